//! `mcp-gate check` and `mcp-gate rego`, as an operator runs it.

use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use libtest_mimic::{Failed, Trial};
use serde_json::{Map, Value, json};

use crate::case::AUTHORITY;
use crate::keys::Keys;
use crate::listings::call;
use crate::lists::{gate, permitted};
use crate::native::NOW;
use crate::process::{Envoy, PATIENCE, Setting, free_port};
use crate::reload::{Connection, bytes};
use crate::upstream::Upstream;

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |name: &str, check: fn() -> Result<(), String>| {
        Trial::test(format!("command/{name}"), move || check().map_err(Failed::from))
    };
    vec![
        trial("a_good_file_is_ok_and_names_its_policy", good),
        trial("every_finding_is_reported_with_its_path", findings),
        trial("what_the_module_relies_on_is_checked_around_it", around),
        trial("a_variable_is_one_that_envoy_hands_over", variable),
        trial("a_configmap_is_read", configmap),
        trial("rules_are_counted_and_shown_as_rego", rules),
        trial("a_candidate_is_checked_like_a_policy", candidate),
        trial("what_lists_cannot_know_is_noted", lists_by_arguments),
        trial("data_that_nobody_reads_is_refused_or_noted", unread),
        trial("what_makes_the_interpreter_decide_is_said", evaluators),
        trial("names_of_tables_that_are_nowhere_are_noted", dangling),
        trial("what_annotations_cannot_say_is_noted", unannotated),
        trial("what_is_no_file_and_no_yaml_is_said", unreadable),
        trial("a_reader_that_has_gone_is_no_failure", unheard),
        trial("a_name_that_stands_twice_is_found", twice),
        trial("what_envoy_reads_otherwise_is_said", otherwise),
        trial("what_is_no_configuration_is_named", elsewhere),
        trial("clusters_are_named_as_not_checked", clusters),
        trial("a_key_is_good_as_it_is_printed", key),
        trial("any_change_of_a_configuration_changes_its_digest", digest),
        trial("yaml_is_what_it_is_to_envoy", as_envoy),
    ]
}

/// The ECDS file of the repository.
fn filter() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/envoy/filter.yaml");
    std::fs::read_to_string(path).expect("envoy/filter.yaml is there")
}

/// The same, with one text in another's place.
fn changed(changes: &[(&str, &str)]) -> String {
    changes.iter().fold(filter(), |text, (old, new)| {
        assert!(text.contains(old), "expected `{old}` in envoy/filter.yaml");
        text.replace(old, new)
    })
}

/// Checks a text; its file is gone afterwards.
fn check(name: &str, text: &str) -> (bool, String) {
    ask("check", name, text)
}

fn ask(command: &str, name: &str, text: &str) -> (bool, String) {
    // Trials of one name run at the same time.
    static FILES: AtomicU32 = AtomicU32::new(0);
    let number = FILES.fetch_add(1, Ordering::Relaxed);
    let file = std::env::temp_dir().join(format!("mcp-gate-{}-{number}-{name}", std::process::id()));
    std::fs::write(&file, text).expect("a file in the temporary directory");
    let Output { status, stdout, stderr } = run(command, &file.to_string_lossy());
    let _ = std::fs::remove_file(&file);
    (status.success(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

/// Whoever reads it has gone before it is written, as `head` may have.
fn unheard() -> Result<(), String> {
    for command in [["key", "nightly"], ["rego", "/nonexistent/gate.yaml"]] {
        let (reader, writer) = std::io::pipe().map_err(|error| error.to_string())?;
        drop(reader);
        let started = Command::new(env!("CARGO_BIN_EXE_mcp-gate")).args(command).stdout(writer).output();
        let Output { status, stderr, .. } = started.map_err(|error| error.to_string())?;
        let stderr = String::from_utf8_lossy(&stderr).into_owned();
        let is_good = command[0] == "key";
        if status.success() != is_good || stderr.contains("panicked") || is_good && !stderr.is_empty() {
            return Err(format!("{command:?}: found {status}, {stderr}"));
        }
    }
    Ok(())
}

fn run(command: &str, file: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mcp-gate")).args([command, file]).output().expect("mcp-gate starts")
}

fn expect(found: (bool, String), good: bool, texts: &[&str]) -> Result<(), String> {
    let (success, output) = found;
    let missing: Vec<_> = texts.iter().filter(|text| !output.contains(**text)).collect();
    match success == good && missing.is_empty() {
        true => Ok(()),
        false => Err(format!("expected success {good} and {missing:?}, found success {success} and:\n{output}")),
    }
}

fn good() -> Result<(), String> {
    expect(check("good", &filter()), true, &["ok: policy ", " for http://127.0.0.1:10000/mcp"])
}

fn findings() -> Result<(), String> {
    let broken = "policy:\n            modules: {authz.rego: \"package mcp.authz\\n\\nallow if input.mcp.name(\"}\n            data:";
    let text = changed(&[("issuers: [demo]", "issuers: [demon]"), ("policy:\n            data:", broken)]);
    let path = "resources[0].typed_config.config.configuration.value: ";
    expect(
        check("findings", &text),
        false,
        &[
            &format!("{path}resources[0].issuers[0]: expected the name of an issuer (demo), found `demon`"),
            &format!("{path}policy.modules.authz.rego:"),
            "2 findings",
        ],
    )
}

fn around() -> Result<(), String> {
    let text = changed(&[
        ("allow_on_headers_stop_iteration: true", "allow_on_headers_stop_iteration: false"),
        ("failure_policy: FAIL_RELOAD", "failure_policy: FAIL_OPEN\n      fail_open: true"),
    ]);
    let path = "resources[0].typed_config.config.";
    expect(
        check("around", &text),
        false,
        &[
            &format!("{path}allow_on_headers_stop_iteration: expected `true`"),
            &format!("{path}failure_policy: expected FAIL_RELOAD or FAIL_CLOSED, found `FAIL_OPEN`"),
            &format!("{path}fail_open: expected it not to be there"),
            "3 findings",
        ],
    )?;
    let body = changed(&[("          resources:\n", "          hold: body\n          resources:\n")]);
    let finding = format!("{path}allow_on_headers_stop_iteration: expected no such flag with `hold: body`");
    expect(check("body", &body), false, &[&finding, "1 finding;"])
}

/// Whether it is there is known only where Envoy runs.
fn variable() -> Result<(), String> {
    let keys =
        ("          resources:\n", "          session_keys: [{env: MCP_GATE_NO_SUCH_KEY}]\n          resources:\n");
    let field = "resources[0].typed_config.config.vm_config.environment_variables: ";
    let finding = format!("{field}expected `MCP_GATE_NO_SUCH_KEY` among `host_env_keys`");
    expect(check("variable", &changed(&[keys])), false, &[&finding, "1 finding;"])?;
    let runtime = "        runtime: envoy.wasm.runtime.v8\n";
    let handed = format!("{runtime}        environment_variables: {{host_env_keys: [MCP_GATE_NO_SUCH_KEY]}}\n");
    let said = "not checked: `MCP_GATE_NO_SUCH_KEY` is no variable here";
    expect(check("handed", &changed(&[keys, (runtime, &handed)])), true, &["ok: policy ", said])
}

fn configmap() -> Result<(), String> {
    let map = |text: &str| {
        let inner: String = text.lines().map(|line| format!("    {line}\n")).collect();
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: gate}}\ndata:\n  filter.yaml: |\n{inner}")
    };
    expect(check("map", &map(&filter())), true, &["ok: policy "])?;
    let text = changed(&[("issuers: [demo]", "issuers: []")]);
    expect(check("bad-map", &map(&text)), false, &["data.filter.yaml: ", "issuers: expected at least one issuer"])
}

fn rules() -> Result<(), String> {
    let rules = "policy:\n            rules:\n            - allow: {tools: [read], scopes: [deep]}\n            - deny: {subjects: [bob]}\n";
    let filter = filter();
    let (before, after) = filter.split_once("policy:\n").expect("a policy");
    let (_, after) = after.split_once("            data:\n").expect("data");
    let text = format!("{before}{rules}            data:\n{after}");
    expect(check("rules", &text), true, &["ok: 2 rules, policy "])?;
    let rego = ask("rego", "rules", &text);
    let texts = [
        "package mcp.authz\n",
        "\t_matches_0\n\t\"deep\" in input.identity.scopes\n",
        "deny contains \"rule 1\" if input.identity.subject == \"bob\"\n",
    ];
    expect(rego, true, &texts)?;
    let missing = "file: expected one configuration with `policy.rules`, found 0";
    expect(ask("rego", "no-rules", &filter), false, &[missing])
}

/// Lists know no arguments.
fn lists_by_arguments() -> Result<(), String> {
    let with = |rules: &str| {
        let module = format!("package mcp.authz\n\nallow if input.mcp.arguments.id == 1\n\n{rules}");
        configured(&[json!(null)], &json!({"modules": {"authz.rego": module}}))
    };
    let note = "note: policy.modules: `allow` or `deny` reads `input.mcp.arguments`, and there is no `visible`";
    expect(check("lists", &with("")), true, &["ok: policy ", note])?;
    let (is_good, said) = check("lists", &with("visible if input.mcp.name"));
    if !is_good || said.contains("note: policy.modules") {
        return Err(format!("expected no note beside `visible`, found {said}"));
    }
    Ok(())
}

/// A configuration as JSON, with this policy and these resources.
fn configured(catalogues: &[Value], policy: &Value) -> String {
    let resources = catalogues.iter().zip(1..).map(|(catalogue, port)| {
        let mut resource = json!({"url": format!("http://127.0.0.1:{port}/mcp"), "api_keys": ["a"]});
        if !catalogue.is_null() {
            resource["catalogue"] = catalogue.clone();
        }
        resource
    });
    let key = json!({"name": "a", "subject": "b", "digests": ["0".repeat(64)]});
    json!({"resources": resources.collect::<Vec<_>>(), "api_keys": [key], "policy": policy}).to_string()
}

/// The paths of what is noted of a good configuration.
fn noted(text: &str, expected: &[&str], texts: &[&str]) -> Result<(), String> {
    let (is_good, said) = check("noted", text);
    let notes = said.lines().filter_map(|line| line.strip_prefix("note: ")?.split(": ").next());
    let notes = notes.filter(|path| *path != "policy.modules");
    if notes.collect::<Vec<_>>() != expected {
        return Err(format!("expected notes of {expected:?}, found\n{said}"));
    }
    expect((is_good, said), true, texts)
}

/// Tables of the bundled policies beside modules that do not ask for them, and other data.
fn unread() -> Result<(), String> {
    let data = json!({
        "roles": {"a": {"tools": ["x"]}}, "assignments": [], "duties": {"second": {"x": ["a"]}}, "relations": [],
        "relation_types": {"a": {"c": []}},
        "relation_rules": {"x": {"type": "a", "argument": "b", "relation": "c"}}, "conditions": {"x": {"roles": ["a"]}},
        "labels": {"a": {"tools": ["x"]}}, "label_conditions": {"a": {"roles": ["a"]}}, "tool_scopes": {"x": ["a"]},
        "guards": {"urls": {"x": ["a"]}}, "owners": {}, "_remark": 1,
    });
    let roles = ["roles", "assignments"];
    let grants = ["roles", "assignments", "relations", "relation_types", "owners", "_remark"];
    let attributes = [&roles[..], &["conditions", "label_conditions", "labels"]].concat();
    for (module, read) in [
        ("allow if data.mcp.rbac.granted", &roles[..]),
        (
            "import data.roles as own\nallow if own[input.mcp.name] == data.owners[input.identity.subject]",
            &["owners", "roles"],
        ),
        ("allow if data.mcp.index.roles.limits[input.mcp.name]", &roles[..]),
        ("allow if data.mcp.rebac.related(\"a\", input.mcp.name, \"b\")", &["relations", "relation_types"]),
        ("allow if data.mcp.rbac.granted\ndeny contains r if some r in data.mcp.abac.violations", &attributes),
        (
            "allow if input.mcp.name\nscopes contains s if some s in data.mcp.scopes.needed\n\
             deny contains r if some r in data.mcp.rbac.violations",
            &["tool_scopes", "duties", "roles", "assignments"],
        ),
        (
            "allow if input.mcp.name\ndeny contains r if some r in data.mcp.rebac.violations\n\
             deny contains r if some r in data.mcp.guards.violations",
            &["relations", "relation_types", "relation_rules", "guards"],
        ),
    ] {
        // What would deny is refused; without it what would grant is noted.
        let (left, kept) = data
            .as_object()
            .expect("tables")
            .iter()
            .partition::<Vec<_>, _>(|(name, _)| !read.contains(&name.as_str()) && !grants.contains(&name.as_str()));
        let modules = json!({"authz.rego": format!("package mcp.authz\n\n{module}\n")});
        let refused: Vec<String> =
            left.iter().map(|(name, _)| format!("policy.data.{name}: expected `modules` that")).collect();
        let mut texts: Vec<&str> = refused.iter().map(String::as_str).collect();
        let count = format!("{} finding", texts.len());
        texts.push(&count);
        if !left.is_empty() {
            let policy = json!({"modules": modules, "data": data});
            let said = check("unread", &configured(&[json!(null)], &policy));
            expect(said, false, &texts).map_err(|problem| format!("{module}: {problem}"))?;
        }
        let data: Map<String, Value> = kept.into_iter().map(|(name, table)| (name.clone(), table.clone())).collect();
        let noted = data.keys().filter(|name| !read.contains(&name.as_str()) && *name != "_remark");
        let noted: Vec<String> = noted.map(|name| format!("policy.data.{name}")).collect();
        let paths: Vec<&str> = noted.iter().map(String::as_str).collect();
        let policy = json!({"modules": modules, "data": data});
        self::noted(&configured(&[json!(null)], &policy), &paths, &[])
            .map_err(|problem| format!("{module}: {problem}"))?;
    }
    let policy = json!({"modules": {"authz.rego": "package mcp.authz\n\nallow if input.mcp.name\n"},
        "data": {"roles": {}, "owners": {}}});
    let texts = [
        "policy.data.roles: expected `modules` that ask the bundled policies for it, such as \
         `data.mcp.rbac.granted`, found none; it is not in force",
        "policy.data.owners: expected a module that reads it, found none; it changes nothing",
    ];
    noted(&configured(&[json!(null)], &policy), &["policy.data.owners", "policy.data.roles"], &texts)?;
    noted(
        &configured(&[json!(null)], &json!({"data": {"roles": {}, "_owners": {}}})),
        &["policy.data"],
        &[
            "note: policy.data: expected a rule with `allow`, a role that grants something, or an entry with `grants`, found none",
        ],
    )
}

/// Who decides, and what makes it the slower one.
fn evaluators() -> Result<(), String> {
    let left = "; of the bundled policies `time`, `token`, `login`, `sources`, `guards.urls` and `guards.paths` are left to it";
    let login = json!({"login": {"max_age": 1}});
    for (data, is_left) in [
        (json!({"conditions": {"x": {"roles": ["a"]}}}), false),
        (json!({"guards": {"destructive": {"roles": ["a"]}}}), false),
        (json!({"conditions": {"x": {"time": {"days": ["mon"]}}}}), true),
        (json!({"conditions": {"x": {"token": {"max_age": 1}}}}), true),
        (json!({"conditions": {"x": login}}), true),
        (json!({"conditions": {"x": {"sources": ["10.0.0.0/8"]}}}), true),
        (json!({"guards": {"urls": {"x": ["a"]}}}), true),
        (json!({"guards": {"paths": {"x": {"a": ["/srv"]}}}}), true),
    ] {
        let (is_good, said) = check("evaluators", &configured(&[json!(null)], &json!({"data": data})));
        let expected = if is_left { left } else { "ok: decided by the virtual machine" };
        expect((is_good, said), true, &[expected]).map_err(|problem| format!("{data}: {problem}"))?;
    }
    let module = "package mcp.authz\n\nallow if input.time.unix > input.identity.claims.exp\n";
    let (_, said) = check("evaluators", &configured(&[json!(null)], &json!({"modules": {"a.rego": module}})));
    if !said.contains("decided by the interpreter, because of a.rego:3:") || said.contains(left) {
        return Err(format!("expected the module's own line, found {said}"));
    }
    Ok(())
}

/// Names of tables that are nowhere, each once, in a candidate as in the policy.
fn dangling() -> Result<(), String> {
    let policy = json!({"data": {
        "roles": {"a": {"inherits": ["b"], "tools": ["x"]}},
        "assignments": [{"roles": ["c"], "subjects": ["x"]}, {"roles": ["a", "c"], "subjects": ["y"]}],
        "duties": {"second": {"x": ["d"]}},
        "relation_rules": {"x": {"type": "e", "argument": "f", "relation": "g"}},
    }});
    let paths = ["assignments[0].roles[0]", "duties.second.x[0]", "relation_rules.x", "roles.a.inherits[0]"];
    let paths = paths.map(|path| format!("policy.data.{path}"));
    let texts = [
        "note: policy.data.assignments[0].roles[0]: expected a role of `roles`, found `c`; nobody has it",
        "note: policy.data.relation_rules.x: expected a relation of `relations` or `relation_types`, found `g` of `e`; \
         nobody has it",
    ];
    noted(&configured(&[json!(null)], &policy), &paths.each_ref().map(String::as_str), &texts)?;
    let many: Vec<Value> = (0..25).map(|n| json!({"roles": [format!("r{n}")], "subjects": ["x"]})).collect();
    let (_, said) = check("many", &configured(&[json!(null)], &json!({"data": {"roles": {}, "assignments": many}})));
    if said.matches("nobody has it").count() != 20 || !said.contains("note: policy.data.assignments: 5 more of these") {
        return Err(format!("expected 20 notes and how many more there are, found {said}"));
    }
    // Keys for machines are of an issuer of their own.
    let keyed = json!({"rules": [{"allow": {"tools": ["x"], "issuers": ["urn:mcp-gate:api-key"]}}]});
    noted(&configured(&[json!(null)], &keyed), &[], &[])?;
    let tried = json!({"rules": [{"allow": {"tools": ["x"]}}], "candidate": policy});
    let paths = paths.map(|path| path.replace("policy", "policy.candidate"));
    noted(&configured(&[json!(null)], &tried), &paths.each_ref().map(String::as_str), &[])
}

fn unannotated() -> Result<(), String> {
    let sha256 = "0".repeat(64);
    let pinned = json!({"tools": {"wipe": {"sha256": sha256, "annotations": {"destructiveHint": true}}}});
    // Pins without annotations are as good as none.
    let bare = json!({"tools": {"wipe": {"sha256": sha256}}});
    let others = json!({"prompts": {}});
    let policy = json!({
        "rules": [
            {"allow": {"annotations": {"readOnlyHint": true}}},
            {"deny": {"tools": ["*"], "unless": {"annotations": {"readOnlyHint": true}}}},
            {"deny": {"annotations": {"readOnlyHint": {"absent": true}}}},
        ],
        "data": {
            "conditions": {"wipe": {"annotations": {"readOnlyHint": true}, "unless": {"annotations": {"title": "a"}}}},
            "labels": {"l": {"tools": ["wip*"]}},
            "label_conditions": {"l": {"roles": ["a"], "unless": {"annotations": {"readOnlyHint": true}}}},
        },
    });
    let closed = [
        "policy.rules[0].allow.annotations",
        "policy.rules[1].deny.unless.annotations",
        "policy.rules[2].deny.annotations",
        "policy.data.conditions.wipe.annotations",
        "policy.data.conditions.wipe.unless.annotations",
        "policy.data.label_conditions.l.unless.annotations",
    ];
    let texts = [
        "policy.rules[0].allow.annotations: expected a resource with `catalogue.tools`, from which alone \
        annotations are known, found none; this never holds; pin the tools (`mcp-gate pin`)",
        "policy.rules[2].deny.annotations: expected a resource with `catalogue.tools`, from which alone annotations \
        are known, found none; this holds for every tool",
    ];
    noted(&configured(&[json!(null), others.clone(), bare], &policy), &closed, &texts)?;
    noted(&configured(std::slice::from_ref(&pinned), &policy), &[], &[])?;
    let denied = json!({"rules": [
        {"deny": {"annotations": {"destructiveHint": true}}},
        {"allow": {"tools": ["*"]}},
    ]});
    let expected = "policy.rules[0].deny.annotations: expected `catalogue.tools` of `http://127.0.0.1:2/mcp`, \
        `http://127.0.0.1:3/mcp`, found none; there this never holds, and more is let through; pin the \
        tools";
    noted(
        &configured(&[pinned, json!(null), others.clone()], &denied),
        &["policy.rules[0].deny.annotations"],
        &[expected],
    )?;
    let refused = "policy.rules[0].deny.annotations: expected a resource with `catalogue.tools`";
    expect(check("unannotated", &configured(&[others], &denied)), false, &[refused, "1 finding;"])
}

fn candidate() -> Result<(), String> {
    let with =
        |rules: &str| changed(&[("policy:\n", &format!("policy:\n            candidate: {{rules: {rules}}}\n"))]);
    let good = check("candidate", &with("[{allow: {tools: [echo]}}]"));
    expect(good, true, &["ok: policy ", "ok: candidate: 1 rule, policy ", ", decided by the virtual machine"])?;
    let path = "resources[0].typed_config.config.configuration.value: ";
    let finding = format!("{path}policy.candidate.rules[0].allow.tool: unknown field `tool`");
    expect(check("bad-candidate", &with("[{allow: {tool: [echo]}}]")), false, &[&finding, "1 finding;"])
}

fn unreadable() -> Result<(), String> {
    expect(check("text", "a: [b"), false, &["expected YAML or JSON"])?;
    // To YAML no value is a value; no rules would be another policy.
    let rules = changed(&[("policy:\n", "policy:\n            rules:\n")]);
    expect(check("no-rules", &rules), false, &["policy.rules: expected a list of rules", "1 finding;"])?;
    let Output { status, stderr, .. } = run("check", "/nonexistent/gate.yaml");
    let output = String::from_utf8_lossy(&stderr).into_owned();
    expect((status.success(), output), false, &["/nonexistent/gate.yaml: file: expected a readable file"])
}

fn twice() -> Result<(), String> {
    let more = "          api_keys: []\n          issuers: []\n          resources:\n";
    let text = changed(&[("          resources:\n", more)]);
    let path = "resources[0].typed_config.config.configuration.value";
    let lines: Vec<usize> =
        (1..).zip(text.lines()).filter(|(_, line)| line.starts_with("          issuers:")).map(|(at, _)| at).collect();
    let found = format!("{path}.issuers: expected it once, found it on line {} and on line {}", lines[0], lines[1]);
    expect(check("twice", &text), false, &[&found, "1 finding;"])?;
    let twice = r#"{"resources": [], "policy": {}, "resources": []}"#;
    expect(check("twice.json", twice), false, &["expected JSON", "twice"])?;
    let any = format!(
        "{{\"resources\": [{{\"typed_config\": {{\"config\": {{\"configuration\": {{\"value\": {}}}}}}}}}]}}",
        Value::from(twice)
    );
    expect(check("twice-in-a-string", &any), false, &["configuration.value: expected JSON in the string", "twice"])
}

fn otherwise() -> Result<(), String> {
    let path = "resources[0].typed_config.config.configuration.value: ";
    let issuer = "          - name: demo\n";
    for (value, problem) in [
        ("[007]", "expected a text, found the number 7; put it in quotes"),
        ("[7]", "expected a text, found the number 7; put it in quotes"),
        ("[on]", "expected a text, found `true`, which `y`, `yes` and `on` are, too; put it in quotes"),
    ] {
        let text = changed(&[(issuer, &format!("{issuer}            audiences: {value}\n"))]);
        let finding = format!("{path}issuers[0].audiences[0]: {problem}");
        expect(check("otherwise", &text), false, &[&finding])?;
    }
    let text = changed(&[(issuer, &format!("{issuer}            audiences: ['007', \"on\"]\n"))]);
    expect(check("quoted", &text), true, &["ok: policy "])?;
    // What is not typed is not refused, but said.
    let text = changed(&[("            data:\n", "            data:\n              _countries: [de, no, 2.5]\n")]);
    let odd = |index, text, what| format!("_countries[{index}]: Envoy reads `{text}` on line ").to_owned() + "|" + what;
    for said in [
        odd(1, "no", "as `false`; put a text in quotes"),
        odd(2, "2.5", "as a text; to Rego it is greater than every number"),
    ] {
        let parts: Vec<&str> = said.split('|').collect();
        expect(check("said", &text), true, &parts)?;
    }
    Ok(())
}

fn elsewhere() -> Result<(), String> {
    let read = |path: &str| std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).expect(path);
    let kind = "apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\nspec: {}\n".to_owned();
    for (name, text, found) in [
        (
            "bootstrap",
            read("envoy/envoy.yaml"),
            "found a bootstrap of Envoy's; give the file that its `path_config_source`",
        ),
        (
            "part",
            read("envoy/issuers/keycloak.yaml"),
            "found `issuers` alone, a part of one; put it beside `resources` and `policy`",
        ),
        ("rules", "- allow: {tools: [a]}\n".into(), "found rules, a part, which belongs under `policy`"),
        ("kind", kind, "found a `WasmPlugin` of Kubernetes"),
        ("nothing", String::new(), "found nothing"),
    ] {
        let expected = "file: expected a plugin's configuration, an ECDS file, or a ConfigMap that holds one; ";
        expect(check(name, &text), false, &[&format!("{expected}{found}"), "1 finding;"])?;
    }
    let inner: String = read("envoy/envoy.yaml").lines().map(|line| format!("    {line}\n")).collect();
    let filter: String = filter().lines().map(|line| format!("    {line}\n")).collect();
    let map = format!("kind: ConfigMap\ndata:\n  envoy.yaml: |\n{inner}");
    expect(check("map-of-others", &map), false, &["data.envoy.yaml: not checked; found a bootstrap"])?;
    let map = format!("{map}  filter.yaml: |\n{filter}");
    expect(check("map-of-both", &map), true, &["ok: policy ", "note: data.envoy.yaml: not checked; found a bootstrap"])
}

fn clusters() -> Result<(), String> {
    let resource = json!({"url": "https://mcp.example.com/mcp", "issuers": ["a", "b"]});
    let discover = json!({"cluster": "one", "origins": {"https://keys.example.com": "two"}});
    let url = json!({"cluster": "three", "url": "https://b.example.com/keys"});
    let text = json!({
        "resources": [resource],
        "issuers": [
            {"name": "a", "issuer": "https://a.example.com", "jwks": {"discover": discover}},
            {"name": "b", "issuer": "https://b.example.com", "jwks": url},
        ],
        "policy": {},
    });
    let said = "not checked: Envoy must have the clusters `one`, `three`, `two`";
    expect(check("clusters", &text.to_string()), true, &["ok: policy ", said])
}

/// What is printed stands in a configuration, and the key is let in.
fn key() -> Result<(), String> {
    for arguments in [&["ci"][..], &["on", "--subject", "007"], &["a \"b\": c", "--subject", "#"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_mcp-gate")).arg("key").args(arguments).output();
        let printed = String::from_utf8_lossy(&output.map_err(|error| error.to_string())?.stdout).into_owned();
        let mut documents = Vec::new();
        for document in printed.split("---\n") {
            documents.push(yaml_serde::from_str::<Value>(document).map_err(|error| format!("{error}: {printed}"))?);
        }
        let [holder, given] = documents.as_slice() else { return Err(format!("expected two documents: {printed}")) };
        let subject = *arguments.last().expect("a subject");
        let resource = json!({"url": format!("http://{AUTHORITY}/mcp"), "issuers": ["demo"],
            "api_keys": given["resources"][0]["api_keys"]});
        let gate = gate(&json!({
            "resources": [resource],
            "api_keys": given["api_keys"],
            "policy": {"modules": null, "data": null, "rules": [{"allow": {"tools": ["read"], "subjects": [subject]}}]},
        }))?;
        let mut request = call(AUTHORITY, "alice", "read", NOW);
        if permitted(&gate, &request).is_ok() {
            return Err("expected the key alone to be let in, found a token, too".into());
        }
        let authorization = holder["authorization"].as_str().ok_or(format!("expected a header: {printed}"))?;
        for (_, value) in request.headers.iter_mut().filter(|(name, _)| name == "authorization") {
            *value = authorization.into();
        }
        permitted(&gate, &request).map_err(|problem| format!("{arguments:?}: {problem}"))?;
    }
    Ok(())
}

fn configuration_of(output: &str) -> Result<String, String> {
    let line = output.lines().find_map(|line| line.strip_prefix("ok: configuration "));
    line.map(str::to_owned).ok_or_else(|| format!("expected a digest of the configuration, found\n{output}"))
}

fn digest() -> Result<(), String> {
    let revision = |output: &str| output.split(" for ").next().unwrap_or_default().to_owned();
    let plain = check("plain", &filter()).1;
    let spaced =
        check("spaced", &changed(&[("          resources:\n", "          # A remark.\n          resources:\n")])).1;
    let other =
        check("other", &changed(&[("          resources:\n", "          elsewhere: pass\n          resources:\n")])).1;
    let [plain_digest, spaced, other_digest] =
        [configuration_of(&plain)?, configuration_of(&spaced)?, configuration_of(&other)?];
    match plain_digest == spaced && plain_digest != other_digest && revision(&plain) == revision(&other) {
        true => Ok(()),
        false => Err(format!("expected another digest of one policy, found\n{plain}\n{other}")),
    }
}

/// Envoy and the command make the same of a file: the record has the digest that is printed.
fn as_envoy() -> Result<(), String> {
    let scalars = "[on, Off, YES, nO, y, N, true, False, tRue, 7, -7, +7, 007, 08, -010, 0x1F, 0X1f, 0o17, 0b11, 1_0, 2.5, 5., \
                   .5, 1e3, 1E400, -0, 0, 2147483647, 2147483648, -2147483649, 9223372036854775807, 9223372036854775808, \
                   .inf, .nan, ~, null, Null, nULL, 2026-01-01, 'on', \"007\", !!str 7, ! 7, 0x, +, 0x-1, 00, a b]";
    let upstream = Upstream::start_quiet();
    let port = free_port();
    let authority = format!("127.0.0.1:{port}");
    let given = |odd: Value| {
        let policy = json!({"modules": null, "data": {"_odd": odd}, "rules": [{"deny": {"tools": ["a"]}}]});
        Keys::shared().configuration(&json!({"policy": policy}), &authority)
    };
    let configuration = given(json!("none"));
    let setting = Setting { port, upstream: upstream.port(), configuration: &configuration, workers: 1, clusters: &[] };
    let mut envoy = Envoy::start(&setting)?;
    let loaded = envoy.stat("update_success");
    let text = envoy.configure_text(&given(json!("@ODD@")), |text| text.replace("\"@ODD@\"", scalars));
    envoy.wait_until("it is in force", |envoy| envoy.stat("update_success") > loaded)?;
    let expected = configuration_of(&check("as-envoy", &text).1)?;
    let request = bytes(&call(&authority, "alice", "a", NOW));
    let start = Instant::now();
    loop {
        Connection::open(port)?.send(&request)?;
        let record: Value = serde_json::from_str(&envoy.next_line()?).map_err(|error| error.to_string())?;
        match record["configuration"] == *expected {
            true => return Ok(()),
            // The worker may have the one before.
            false if start.elapsed() < PATIENCE / 10 => {}
            false => return Err(format!("expected {expected}, found {record}")),
        }
    }
}
