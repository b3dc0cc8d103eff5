//! The contract of policies, from outside: what stands in their input, which of them
//! are refused at load, and what their limits do.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use libtest_mimic::{Failed, Trial};
use mcp_gate::config;
use mcp_gate::gate::Gate;
use serde_json::{Value, json};

use crate::case::{AUTHORITY, Expect, File, Run, Session};
use crate::check::Outcome;
use crate::keys::{Keys, surroundings};
use crate::native::{NOW, exchange};

pub(crate) fn trials(files: &[File]) -> Vec<Trial> {
    let files = files.to_vec();
    let mut trials =
        vec![Trial::test("policies/what stands in the input of every case is what the schema says", move || {
            inputs(&files).map_err(Failed::from)
        })];
    trials.extend(refused().into_iter().map(|(name, modules)| {
        Trial::test(format!("policies/{name} is refused"), move || all_refused(&modules).map_err(Failed::from))
    }));
    let trial = |name: &str, check: fn() -> Result<(), String>| {
        Trial::test(format!("policies/{name}"), move || check().map_err(Failed::from))
    };
    trials.extend([
        trial("REGO-13 data that the engine would read as a number is refused", magic_data),
        trial("REGO-16 packages that refer to each other in a circle are refused", circles),
        trial("REGO-17 a policy of 1 MiB loads, and one beyond the limit does not", sizes),
        trial("REGO-20 an answer is that of an engine that was asked nothing else", nothing_is_left),
    ]);
    trials
}

type Modules = Vec<(String, &'static str)>;

/// Rows of the catalogue: modules, and what is said when they are refused.
fn refused() -> Vec<(&'static str, Modules)> {
    let authz = |rules: &str| format!("package mcp.authz\n\n{rules}\n");
    let all = |list: &[(&str, &'static str)]| list.iter().map(|(rules, wanted)| (authz(rules), *wanted)).collect();
    let each =
        |list: &[&str], wanted: &'static str| -> Modules { list.iter().map(|rules| (authz(rules), wanted)).collect() };
    let mut elsewhere: Modules = all(&[("alowed if input.mcp.name", "package mcp.authz has no rule `allow`")]);
    elsewhere.push(("package mcp.auth\n\nallow if input.mcp.name\n".into(), "no module has `package mcp.authz`"));
    let nothing = "`allow` is true of an input that has nothing";
    let mut open = each(
        &[
            "allow := true",
            "allow if true",
            "allow if not input.identity.claims.blocked",
            "allow if not data.mcp.rbac.granted",
            "allow if input.mcp.name == \"a\"\n\nallow if not _is_bad\n\n_is_bad if input.mcp.name == \"rm\"",
            "allow if every uri in object.get(input, [\"mcp\", \"uris\"], []) { startswith(uri, \"a:\") }",
        ],
        nothing,
    );
    open.push((authz("default allow := true"), "the default of `allow` must be `false`"));
    let deep = format!("allow if {}input.mcp.retry{}", "(".repeat(10_000), ")".repeat(10_000));
    let (long, lines, wide) = (" ".repeat(1 << 20), "\n".repeat(20_001), " ".repeat(2000));
    vec![
        ("REGO-01 a rule or a package of another name", elsewhere),
        (
            "REGO-02 a result of another type",
            all(&[
                ("allow := \"true\" if input.mcp.name", "`allow` must be a boolean"),
                ("allow := 1 if input.mcp.name", "`allow` must be a boolean"),
                ("allow := {\"allow\": true}", "`allow` must be a boolean"),
                ("allow := [true]", "`allow` must be a boolean"),
                ("allow := {true}", "`allow` must be a boolean"),
                ("allow := count([])", "`allow` must be a boolean"),
                ("allow if input.mcp.name\n\ndeny contains 7", "`deny` must be a set of strings"),
                ("allow if input.mcp.name\n\ndeny := [\"a\"]", "`deny` must be a set of strings"),
                ("allow if input.mcp.name\n\nscopes contains \"a b\"", "`scopes` must be a set of scopes"),
                ("allow if input.mcp.name\n\nstep_up := {\"age\": 1}", "`step_up` must be an object"),
                ("allow if input.mcp.name\n\nvisible := count([])", "`visible` must be a boolean"),
            ]),
        ),
        ("REGO-03 a policy that allows what says nothing", open),
        (
            "REGO-07 what costs without bounds",
            all(&[
                ("allow if count(numbers.range(1, 1000000000)) > 1", "argument 2 of `numbers.range`"),
                ("allow if sprintf(\"%1000000000d\", [1]) == input.mcp.name", "argument 1 of `sprintf`"),
                ("allow if bits.lsh(1, 4000000000) > 1", "argument 2 of `bits.lsh`"),
                ("allow if net.cidr_expand(\"10.0.0.0/8\")", "builtin `net.cidr_expand` is refused"),
                ("allow if graph.reachable_paths(data.g, [\"a\"])", "builtin `graph.reachable_paths` is refused"),
            ]),
        ),
        (
            "REGO-08 a pattern from the caller",
            each(
                &[
                    "allow if regex.match(input.mcp.arguments.p, \"a\")",
                    "allow if glob.match(input.mcp.name, [], \"a\")",
                    "p := lower(input.mcp.name)\n\nallow if regex.match(p, \"a\")",
                ],
                "comes from `input`",
            ),
        ),
        (
            "REGO-09 a builtin with effects, or of chance",
            all(&[
                ("allow if http.send({}).status_code == 200", "builtin `http.send` is refused"),
                ("allow if opa.runtime().env.A == \"a\"", "builtin `opa.runtime` is refused"),
                ("allow if rand.intn(\"a\", 2) == 1", "builtin `rand.intn` is refused"),
                ("allow if time.now_ns() > 1", "builtin `time.now_ns` is refused"),
                (
                    "allow if time.clock(input.time.unix)[0] > 8",
                    "builtin `time.clock` is refused: read `input.time.unix`",
                ),
                ("allow if io.jwt.decode(input.mcp.name)", "builtin `io.jwt.decode` is refused: the token is verified"),
                ("allow if uuid.rfc4122(\"a\") != \"\"", "builtin `uuid.rfc4122` is refused"),
                ("allow if net.lookup_ip_addr(\"a.example.com\")", "builtin `net.lookup_ip_addr` is refused"),
                ("allow if print(\"a\")", "builtin `print` is refused"),
                ("allow if trace(\"a\")", "builtin `trace` is refused"),
                ("allow if lower(\"a\") == \"b\" with lower as http.send", "`with` is for tests"),
            ]),
        ),
        (
            "a value in the place of a statement",
            all(&[
                (
                    "allow if {\n\tinput.mcp.method == \"tools/call\",\n\tinput.mcp.name == \"a\"\n}",
                    "a value in the place",
                ),
                ("allow if { input.mcp.name == \"a\", }", "a value in the place"),
                ("allow if { \"name\": input.mcp.name }", "a value in the place"),
                ("f(x) if { x == \"a\", }\n\nallow if f(input.mcp.name)", "a value in the place"),
                (
                    "allow if input.mcp.name == \"a\"\n\ndeny contains \"b\" if not {input.mcp.name == \"a\",}",
                    "a value in the place",
                ),
                ("allow if count([x | x := input.mcp.name; [x]]) == 1", "a value in the place"),
                ("allow if { input.mcp.name; {1} | {input.mcp.name == \"a\"} }", "a value in the place"),
                (
                    "allow if { input.mcp.name; admins }\n\nadmins contains x if { some x in input.identity.roles; x == \"a\" }",
                    "a rule that is there whatever is in it",
                ),
                (
                    "allow if input.mcp.name\n\ndeny contains \"a\" if not data.mcp.scopes.needed",
                    "a rule that is there whatever is in it",
                ),
            ]),
        ),
        (
            "what is nowhere",
            all(&[
                (
                    "allow if input.mcp.name\n\ndeny contains \"a\" if input.mcp.name in data.blocklst",
                    "`data.blocklst` is no rule",
                ),
                (
                    "allow if data.mcp.rbac.grantd",
                    "`data.mcp.rbac.grantd` is no rule and not in `policy.data`: what asks for it never holds, and what negates it always; package \
                     `mcp.rbac` has `granted`, `held`",
                ),
                ("import data.libb\n\nallow if libb.is_ok", "`data.libb.is_ok` is no rule"),
                ("allow if data[input.mcp.name]", "this asks for all of `data`"),
            ]),
        ),
        (
            "what nobody asks for",
            all(&[
                ("allow if input.mcp.name\n\ndenies contains \"a\" if input.mcp.name", "nothing asks for `denies`"),
                (
                    "allow if input.mcp.name\n\nstep_up := {\"max_age\": 0} if input.mcp.name",
                    "`step_up` must be an object of",
                ),
                (
                    "allow if input.mcp.name\n\nstepup := {\"max_age\": 1} if input.mcp.name",
                    "nothing asks for `stepup`",
                ),
            ]),
        ),
        (
            "what says the same of every message",
            all(&[
                ("allow if input.identity.roles == \"a\"", "a list is compared with a text"),
                ("allow if input.identity.roles in [\"a\"]", "a list is compared with a text"),
                ("allow if input.identity.roles != \"a\"", "a list is compared with a text"),
                ("allow if input.time.unix > \"2026-01-01\"", "a number is compared with a text"),
                ("allow if input.mcp.retry == \"true\"", "a boolean is compared with a text"),
                ("allow if input.mcp.method == \"tool/call\"", "found `tool/call`; no message has it"),
                (
                    "allow if input.mcp.method in {\"tools/call\", \"prompt/get\"}",
                    "found `prompt/get`; no message has it",
                ),
                ("import input.identity as who\n\nallow if who.subject in {1, 2}", "a text is compared with a number"),
            ]),
        ),
        ("what is looked up where it never is", all(&[("allow if \"a\" in input.mcp.name", "nothing is in a text")])),
        (
            "a header that is never there",
            all(&[
                ("allow if input.http.headers[\"X-Env\"] == \"a\"", "write `input.http.headers[\"x-env\"]`"),
                ("allow if input.http.headers.authorization", "`authorization` is a credential"),
            ]),
        ),
        (
            "REGO-10 a module that is too deep, too long or too wide",
            vec![
                (authz(&deep), "brackets nested deeper than"),
                (authz(&format!("allow if input.mcp.name in {}{}", "[".repeat(64), "]".repeat(64))), "brackets nested"),
                (authz(&long), "bytes, at most 1048576 are read"),
                (authz(&lines), "lines, at most 20000 are read"),
                (authz(&format!("allow if{wide}input.mcp.name")), "authz.rego"),
            ],
        ),
        (
            "REGO-11 Rego of version 0",
            all(&[
                ("allow { true }", "this is Rego v0"),
                ("allow { input.mcp.name == \"a\" }", "this is Rego v0"),
                ("allow if input.mcp.name\n\ndeny[\"x\"] { input.mcp.name }", "Rego v0"),
            ]),
        ),
        (
            "REGO-15 a builtin that the engine does not have",
            all(&[
                ("allow if graphql.is_valid(\"a\", \"b\")", "graphql.is_valid"),
                ("allow if io.jwt.decode(\"a\")[0].a", "io.jwt.decode"),
                ("allow if crypto.sha256(\"a\") == \"b\"", "crypto.sha256"),
                ("allow if net.cidr_merge([\"10.0.0.0/8\"])", "net.cidr_merge"),
                ("allow if net.cidr_intersects(\"10.0.0.0/8\", \"10.0.0.0/9\")", "net.cidr_intersects"),
                ("allow if providers.aws.sign_req({}, {}, 1)", "providers.aws.sign_req"),
                ("allow if rego.parse_module(\"a\", \"b\")", "rego.parse_module"),
                ("allow if strings.render_template(\"a\", {})", "strings.render_template"),
            ]),
        ),
    ]
}

/// What is wrong with modules and data, as findings.
fn load(modules: &Value, data: &Value) -> Result<Rc<Gate>, Vec<String>> {
    let mut configuration = Keys::shared().configuration(&json!({}), AUTHORITY);
    configuration["policy"] = json!({"modules": modules, "data": data});
    let loaded = config::load_document(configuration, &surroundings());
    loaded.map(Rc::new).map_err(|findings| findings.iter().map(ToString::to_string).collect())
}

fn is_refused(modules: &Value, data: &Value, wanted: &str) -> Result<(), String> {
    let shown = |text: String| text.chars().take(300).collect::<String>();
    match load(modules, data) {
        Err(findings) if findings.iter().any(|finding| finding.contains(wanted)) => Ok(()),
        Err(findings) => Err(shown(format!("expected `{wanted}`, found {findings:?}"))),
        Ok(_) => Err(shown(format!("expected `{wanted}`, but it loads: {modules}"))),
    }
}

fn all_refused(modules: &Modules) -> Result<(), String> {
    let data = json!({"x": [1]});
    modules.iter().try_for_each(|(text, wanted)| is_refused(&json!({"authz.rego": text}), &data, wanted))
}

const AUTHZ: &str = "package mcp.authz\n\nallow if input.mcp.name in data.tools\n";

fn magic_data() -> Result<(), String> {
    let wanted = "expected no `$serde_json::private::`";
    for name in ["Number", "RawValue", "x"] {
        let name = format!("$serde_json::private::{name}");
        is_refused(&json!({"authz.rego": AUTHZ}), &json!({"tools": [{&name: "1"}]}), wanted)?;
        is_refused(&json!({"authz.rego": AUTHZ}), &json!({"tools": [format!("{{\"{name}\": 1}}")]}), wanted)?;
        let text = format!("{AUTHZ}\nx := \"{name}\"\n");
        is_refused(&json!({"authz.rego": text}), &json!({}), "means a number to the engine")?;
    }
    Ok(())
}

fn circles() -> Result<(), String> {
    for (here, there) in [
        ("allow if data.acme.p", "p if data.mcp.authz.allow"),
        ("allow if data.acme.p\n\nq if input.mcp.name", "p if data.mcp.authz[input.mcp.name]"),
        ("allow if data.acme.f(1)", "f(x) if data.mcp.authz.allow"),
    ] {
        let modules = json!({
            "authz.rego": format!("package mcp.authz\n\n{here}\n"), "acme.rego": format!("package acme\n\n{there}\n")
        });
        is_refused(&modules, &json!({}), "recursion: ")?;
    }
    Ok(())
}

/// What a ConfigMap holds, as data and as rules, and more than is taken.
fn sizes() -> Result<(), String> {
    let tools: Vec<String> = (0..58_000).map(|n| format!("tool_{n:010}")).collect();
    let data = json!({"tools": tools});
    let rules: String = (0..2500).map(|n| format!("allow if input.mcp.name == \"tool_{n}\"\n\n")).collect();
    let rules = format!("package mcp.authz\n\n{rules}");
    let remark = format!("# {}\n", "x".repeat(1000)).repeat((1 << 20) / 1003 - rules.len() / 1003 - 1);
    for (what, modules, data) in [
        ("data", json!({"authz.rego": AUTHZ}), data.clone()),
        ("a module of 2500 rules and remarks", json!({"authz.rego": format!("{rules}{remark}")}), json!({})),
    ] {
        let size = modules.to_string().len() + data.to_string().len();
        let started = Instant::now();
        load(&modules, &data).map_err(|findings| format!("{what}: {findings:?}"))?;
        println!("policies: {size} bytes, {what}, load in {} ms", started.elapsed().as_millis());
        if !(1_000_000..1_100_000).contains(&size) {
            return Err(format!("{what}: expected about 1 MiB, found {size} bytes"));
        }
    }
    let twice = json!({"tools": [tools, tools, tools]});
    is_refused(&json!({"authz.rego": AUTHZ}), &twice, "policy: expected at most 2097152 bytes of modules and data")
}

/// Two callers in turn at one gate, each question also at a gate of its own; the policy
/// reads the time, so that no answer is a remembered one.
fn nothing_is_left() -> Result<(), String> {
    let rules = "allow if {\n\tinput.time.unix > 0\n\t_mine\n}\n\n_mine if input.mcp.arguments.owner == _me\n\n\
                 _me := input.identity.subject\n";
    let modules = json!({"authz.rego": format!("package mcp.authz\n\n{rules}")});
    let new = || load(&modules, &json!({})).map_err(|findings| format!("{findings:?}"));
    let request = |subject: &str, owner: &str| {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                          "params": {"name": "x", "arguments": {"owner": owner}}});
        let step = json!({"token": {"sub": subject}, "request": {"body": body}, "expect": {"unanswered": {}}});
        Session::default().request(&serde_json::from_value(step).unwrap(), Keys::shared(), AUTHORITY, NOW)
    };
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
    let mut questions = Vec::new();
    for subject in ["alice", "bob", "carol"] {
        for owner in ["alice", "bob"] {
            let request = request(subject, owner);
            let (outcome, _) = exchange(Some(new()?), &request, now, false)?;
            let permitted = matches!(outcome, Outcome::Forward { .. });
            if permitted != (subject == owner) {
                return Err(format!("{subject} at what is {owner}'s: {outcome:?}"));
            }
            questions.push((request, permitted));
        }
    }
    let gate = new()?;
    for round in 0..5000_usize {
        let (request, permitted) = &questions[round.wrapping_mul(2_654_435_761) / 7 % questions.len()];
        let (outcome, _) = exchange(Some(Rc::clone(&gate)), request, now, false)?;
        if matches!(outcome, Outcome::Forward { .. }) != *permitted {
            return Err(format!("round {round}: expected {permitted}, found {outcome:?}"));
        }
    }
    Ok(())
}

/// Says all paths of its input and what stands there, but for what is below `data.open`.
const WITNESS: &str = r#"package mcp.authz

default allow := false

deny contains piece if {
	some n in numbers.range(0, 15)
	n * 240 < count(_text)
	piece := concat("", [format_int(n + 10, 10), substring(_text, n * 240, 240)])
}

_text := concat(" ", sort([found | some found in _found]))

_found contains entry if {
	walk(input, [path, value])
	count(path) > 0
	not _is_below(path)
	entry := concat(":", [concat(".", _names(path)), type_name(value)])
}

_is_below(path) if {
	some open in data.open
	count(open) < count(path)
	array.slice(path, 0, count(open)) == open
}

_names(path) := [name | some part in path; name := _name(part)]

_name(part) := part if is_string(part)

_name(part) := "[]" if is_number(part)
"#;

/// Paths of the schema and what stands there; those of objects of anything.
fn schema() -> (BTreeMap<String, String>, Vec<Vec<String>>) {
    fn read(schema: &Value, path: &[String], found: &mut BTreeMap<String, String>, open: &mut Vec<Vec<String>>) {
        for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
            let path: Vec<String> = path.iter().chain([name]).cloned().collect();
            found.insert(path.join("."), schema["type"].as_str().unwrap().to_owned());
            if let Some(items) = schema.get("items") {
                found.insert(format!("{}.[]", path.join(".")), items["type"].as_str().unwrap().to_owned());
            }
            if schema["type"] == "object" && schema["additionalProperties"] != json!(false) {
                open.push(path.clone());
            }
            read(schema, &path, found, open);
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/input.schema.json");
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let (mut found, mut open) = (BTreeMap::new(), Vec::new());
    read(&schema, &[], &mut found, &mut open);
    (found, open)
}

/// What is said of the input of each request of each native case, under a policy that
/// denies and tells.
fn inputs(files: &[File]) -> Result<(), String> {
    let (known, open) = schema();
    let policy = json!({"modules": {"authz.rego": WITNESS}, "data": {"open": open}, "time_limit_ms": 1000});
    let mut seen = BTreeSet::new();
    let mut asked = 0;
    // Most cases differ in their policy alone, which is another one here.
    let mut gates: BTreeMap<String, Rc<Gate>> = BTreeMap::new();
    for file in files {
        let Ok(case) = file.case(AUTHORITY) else { continue };
        let is_refused = matches!(case.steps.first().map(|step| &step.expect), Some(Expect::Refused(_)));
        if !case.runs.contains(&Run::Native) || is_refused {
            continue;
        }
        let mut configuration = Keys::shared().configuration(&case.given, AUTHORITY);
        let Some(resources) = configuration.get_mut("resources").and_then(Value::as_array_mut) else { continue };
        resources.iter_mut().for_each(|resource| resource["denials"] = json!({"reasons": true}));
        configuration["policy"] = policy.clone();
        let text = configuration.to_string();
        // One that knows whom an issuer vouched for in this case would not ask again in the next.
        let issuers = configuration.get("issuers").and_then(Value::as_array);
        let asks = issuers.is_some_and(|issuers| issuers.iter().any(|issuer| issuer.get("introspection").is_some()));
        let gate = match gates.get(&text) {
            Some(gate) => Rc::clone(gate),
            None => {
                let gate = config::load_document(configuration, &surroundings());
                let gate = Rc::new(gate.map_err(|findings| format!("{}: {findings:?}", file.name))?);
                if !asks {
                    gates.insert(text, Rc::clone(&gate));
                }
                gate
            }
        };
        let mut session = Session::default();
        for step in &case.steps {
            let request = session.request(step, Keys::shared(), AUTHORITY, NOW);
            if !step.runs_in(Run::Native) {
                continue;
            }
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW + step.at);
            let (outcome, _) = exchange(Some(Rc::clone(&gate)), &request, now, false)?;
            session.learn(&outcome);
            let Outcome::Reply { body, .. } = outcome else { continue };
            let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
            let Some(reasons) = answer["error"]["data"]["reasons"].as_array() else { continue };
            asked += 1;
            let mut pieces: Vec<&str> = reasons.iter().filter_map(Value::as_str).collect();
            pieces.sort_unstable();
            let text: String = pieces.iter().filter_map(|piece| piece.get(2..)).collect();
            for found in text.split(' ') {
                let (path, kind) = found.rsplit_once(':').ok_or_else(|| format!("{}: {text}", file.name))?;
                if known.get(path).map(String::as_str) != Some(kind) {
                    return Err(format!("{}: expected what the schema has, found {path}, a {kind}", file.name));
                }
                seen.insert(path.to_owned());
            }
        }
    }
    let never: Vec<_> = known.keys().filter(|path| !seen.contains(*path)).collect();
    println!("policies: {asked} inputs, with {} of {} paths", seen.len(), known.len());
    match (never.is_empty(), asked > 300) {
        (true, true) => Ok(()),
        _ => Err(format!("{asked} inputs; never seen: {never:?}")),
    }
}
