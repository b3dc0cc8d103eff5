//! A policy in two parts says what the interpreter says of it as it was written.

use super::alike::{compile_alone, policy_of, ready};
use super::modules::Modules;
use super::*;
use crate::mcp::Dialect;
use crate::policy::compiled::Code;
use crate::policy::compiler::ASKED;
use crate::policy::evaluator::tests::generator::Generator;
use crate::policy::values;
use crate::rego::Refusal;

/// A policy of these modules: in two parts if it can be, as a whole, and as the interpreter takes it.
fn three(modules: &[&str], data: &serde_json::Value) -> Result<[Policy; 3], String> {
    let mut compiled = compile_alone(modules, data)?;
    let [parts, mut whole] = [ready(&compiled), ready(&compiled)];
    whole.known = None;
    let modules = modules.iter().enumerate().map(|(number, text)| (format!("{number}.rego"), (*text).to_owned()));
    let because = Refusal { file: String::new(), line: 1, column: 1, reason: String::new() };
    compiled.rules.data = values::encode(&[data.clone().into()]).unwrap().into();
    compiled.rules.code = Code::Interpreter { modules: modules.collect(), because };
    Ok([parts, whole, ready(&compiled)])
}

/// Bodies and identities.
fn questions() -> Vec<(String, String)> {
    let mut all = Vec::new();
    let arguments = [
        "",
        r#","arguments":{}"#,
        r#","arguments":{"a":1}"#,
        r#","arguments":{"a":"x","n":2}"#,
        r#","arguments":{"a":[1,"x"]}"#,
    ];
    for name in ["a", "b", "x"] {
        for arguments in arguments {
            for identity in [
                r#"{"subject":"alice","roles":["a"],"scopes":["s"],"groups":[],"claims":{"k":1}}"#,
                r#"{"subject":"bob","roles":["a","b"],"scopes":[],"groups":["g"],"claims":{}}"#,
            ] {
                let body = format!(
                    r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{name}"{arguments}}}}}"#
                );
                all.push((body, identity.to_owned()));
            }
        }
    }
    all
}

#[derive(Debug, Default)]
struct Held {
    answers: BTreeSet<String>,
    holes: Vec<String>,
}

fn hold(policies: &[Policy; 3], questions: &[(String, String)]) -> Held {
    let (head, peer) = (Head::default(), Peer::default());
    let mut held = Held::default();
    for _ in 0..2 {
        for (body, who) in questions {
            let Ok(call) = Call::read(body.as_bytes(), &head, &Dialect::default()) else { panic!("{body}") };
            let identity = identity("s", who, &["s"]);
            let question = question(&identity, &call, &head, &peer);
            let [said, whole, plain] = policies.each_ref().map(|policy| policy.judge(question, policy.input(question)));
            if said != plain || said != whole {
                held.holes.push(format!("{body} {who}\n  {said:?}\n  as a whole {whole:?}\n  interpreted {plain:?}"));
            }
            held.answers.insert(format!("{said:?}"));
        }
    }
    held
}

#[test]
fn however_it_is_written_it_is_decided_as_it_was_written() {
    let data = serde_json::json!({"names": ["a", "b"], "keyed": {"a": "b"}, "flag": true});
    #[rustfmt::skip]
    let cases: &[(&str, &[&str])] = &[
        ("gate's name", &["package mcp.authz\ndeny contains \"x\" if { input.mcp.arguments.a; data.mcp_gate_known }\nh if input.mcp.name == \"a\"\nallow if { h; input.mcp.arguments.a == 1 }"]),
        ("gate's name, not", &["package mcp.authz\ndeny contains \"x\" if { input.mcp.arguments.a; not data.mcp_gate_known }\nh if input.mcp.name == \"a\"\nallow if { h; input.mcp.arguments.a == 1 }"]),
        ("gate's key", &["package mcp.authz\ndeny contains \"x\" if { input.mcp.arguments.a; data.mcp_gate_known[\"0\"] }\nh if input.mcp.name == \"a\"\nallow if { h; input.mcp.arguments.a == 1 }"]),
        ("gate's key, any", &["package mcp.authz\ndeny contains \"x\" if { input.mcp.arguments.a; some k, v in data.mcp_gate_known; v }\nh if input.mcp.name == \"a\"\nallow if { h; input.mcp.arguments.a == 1 }"]),
        ("gate's import", &["package mcp.authz\nimport data.mcp_gate_known as g\ndeny contains \"x\" if { input.mcp.arguments.a; g }\nh if input.mcp.name == \"a\"\nallow if { h; input.mcp.arguments.a == 1 }"]),
        ("gate's values in a known rule", &["package mcp.authz\nh if { input.mcp.name == \"a\"; not data.mcp_gate_known }\nallow if { h; input.mcp.arguments.a == 1 }"]),
        ("gate's values in a known rule 2", &["package mcp.authz\nh if { input.mcp.name == \"a\"; not data.mcp_gate_known.values }\nallow if { h; input.mcp.arguments.a == 1 }"]),
        ("crlf", &["package mcp.authz\r\nh if input.mcp.name == \"a\"\r\nallow if { h; input.mcp.arguments.a == 1 }\r\n# x\r\ndeny contains \"no\" if input.mcp.name == \"b\"\r\n"]),
        ("one line", &["package mcp.authz h if input.mcp.name == \"a\" allow if { h; input.mcp.arguments.a == 1 } deny contains \"no\" if input.mcp.name == \"b\" g := 1"]),
        ("non-ascii", &["package mcp.authz\n# ééé €€ 😀\nh if input.mcp.name == \"é\"\nk if input.mcp.name == \"a\" # 😀\n\tallow if { k; not h; input.mcp.arguments.a == 1; \"😀{\" != `é\n}` }\ndeny contains \"é\" if input.mcp.name == \"b\"\n"]),
        ("aliases in several modules", &[
            "package mcp.authz\nallow if { data.lib.h; input.mcp.arguments.a == 1 }",
            "package lib\nimport data.names as n\nh if input.mcp.name in n",
            "package lib\nimport data.keyed as k\ng if k[input.mcp.name]\nu(x) if { some n in x; n == 1 }",
            "package mcp.authz\ndeny contains \"u\" if { input.mcp.arguments.a; some l, x in input.mcp.arguments; x == 1; l != \"\" }",
        ]),
        ("parameter hides import", &[
            "package mcp.authz\nimport data.names as x0\nh if input.mcp.name in x0\nf(a) if { data.never; a }\n",
            "package mcp.authz\nallow if { h; not f(1); input.mcp.arguments.a == 1 }",
        ]),
        ("keywords as parts", &["package mcp.authz\nallow if { data.lib[\"if\"].h; input.mcp.arguments.a == 1 }", "package lib[\"if\"]\nh if input.mcp.name == \"a\""]),
        ("rule named values", &["package mcp.authz\nvalues := input.mcp.name\nmcp_gate_known := values\nallow if { mcp_gate_known == \"a\"; values == \"a\"; input.mcp.arguments.a == 1 }"]),
        ("rule named _", &["package mcp.authz\n_ := input.mcp.name\nallow if { data.mcp.authz._ == \"a\"; input.mcp.arguments.a == 1 }"]),
        ("false, null, set", &["package mcp.authz\nf := false if input.mcp.name == \"a\"\nn := null\ns contains x if { some x in input.identity.roles; x == \"b\" }\ndeny contains \"f\" if { f; input.mcp.arguments.a }\ndeny contains \"nf\" if { not f; input.mcp.arguments.a }\ndeny contains \"n\" if { n; input.mcp.arguments.a == 1 }\ndeny contains \"s\" if { s; input.mcp.arguments.n }\ndeny contains \"s0\" if { s == set(); input.mcp.arguments.n }\nallow if input.mcp.name"]),
        ("package of data", &["package mcp.authz\nallow if { data.keyed.h; data.keyed.a == \"b\"; input.mcp.arguments.a == 1 }", "package keyed\nh := 1 if input.mcp.name == \"a\"\n"]),
        ("known contract", &["package mcp.authz\ndeny contains \"b\" if input.mcp.name == \"b\"\nscopes contains \"t\" if input.mcp.name == \"x\"\nstep_up := {\"acr_values\": [\"x\"]} if input.identity.subject == \"bob\"\nallow if input.mcp.arguments.a == 1"]),
        ("known allow", &["package mcp.authz\ndefault allow := false\nallow if input.mcp.name == \"a\"\ndeny contains \"b\" if input.mcp.arguments.n\nscopes contains \"t\" if input.mcp.arguments.a == 1"]),
        ("dead default", &["package mcp.authz\ndefault h := 3\nh := 4 if { data.never; input.mcp.arguments.a }\nallow if { h == 3; input.mcp.arguments.a == 1 }\ndefault allow := false"]),
        ("dead contract", &["package mcp.authz\ndeny contains \"x\" if { data.never; input.mcp.arguments.a }\nscopes contains \"t\" if data.never\nh if input.mcp.name == \"a\"\nallow if { h; input.mcp.arguments.a == 1 }"]),
        ("else", &["package mcp.authz\nh := 1 if { data.never; input.mcp.name } else := 2 if input.mcp.name == \"a\" else := 3\nallow if { h == 2; input.mcp.arguments.a == 1 }\ng := \"g\" if input.mcp.arguments.a == 1 else := \"e\" if h == 2\ndeny contains g if { g == \"e\"; input.mcp.arguments.n }"]),
        ("v in values", &["package mcp.authz\nh := {\"a\": {1, 2}, \"b\": [null, false]} if input.mcp.name\nallow if { input.mcp.arguments.a in h.a; h.b[1] == false }"]),
        ("uris", &["package mcp.authz\nh if not input.mcp.uris\nk if count(input.mcp.uris) == 0\nallow if { h; input.mcp.arguments.a == 1 }\ndeny contains \"k\" if { k; input.mcp.arguments.n }"]),
        ("comment with rule", &["package mcp.authz\nallow if { h; input.mcp.arguments.a == 1 } # deny contains \"x\" if true\nh if input.mcp.name == \"a\" # {\n# METADATA\n# title: x\ndeny contains \"y\" if input.mcp.arguments.n # tail"]),
        ("bodies", &["package mcp.authz\nh if { input.mcp.name == \"a\" } { input.mcp.name == \"b\" }\nallow if { h; input.mcp.arguments.a == 1 } { input.mcp.arguments.n }"]),
    ];
    for (what, modules) in cases {
        let policies = three(modules, &data).unwrap_or_else(|refusal| panic!("{what}: {refusal}"));
        assert!(policies[0].known.is_some(), "{what}");
        let held = hold(&policies, &questions());
        assert!(held.holes.is_empty(), "{what}: {}", held.holes[0]);
        assert!(held.answers.len() > 1, "{what}: {:?}", held.answers);
    }
}

/// How many are asked, one after the other, and what is kept of them.
fn ask_many(policy: &Policy, names: usize) -> (BTreeSet<String>, Vec<bool>) {
    let (head, peer) = (Head::default(), Peer::default());
    let identity = identity("s", r#"{"subject":"alice"}"#, &[]);
    let mut answers = BTreeSet::new();
    let mut known = Vec::new();
    for number in 0..names * 2 {
        let name = format!("t{}", number % names);
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{name}","arguments":{{"a":{number}}}}}}}"#
        );
        let call = Call::read(body.as_bytes(), &head, &Dialect::default()).ok().unwrap();
        let question = question(&identity, &call, &head, &peer);
        answers.insert(format!("{:?}", policy.judge(question, policy.input(question))));
        let found = policy.known.as_ref().unwrap().recall(question, &policy.input(question), || panic!("forgotten"));
        known.push(found.is_some());
    }
    (answers, known)
}

#[test]
fn what_costs_too_much_to_know_is_not_known() {
    let costly = "count([1 | some x in data.numbers; some y in data.numbers; [x, y] != [input.mcp.name, 1]])";
    let rule = |value: &str| {
        format!(
            "package mcp.authz\ndefault allow := false\nh := {value} if input.mcp.name != data.numbers\n\
             allow if {{ input.mcp.arguments.a == 5; h != 0 }}\n"
        )
    };
    let numbers = |count: usize| serde_json::json!({"numbers": (0..count).collect::<Vec<_>>()});
    for (value, data, is_known) in [
        (costly, numbers(10), true),
        // Most questions end before they come to it.
        (costly, numbers(1000), false),
        ("data.numbers", numbers(1000), true),
        ("data.numbers", numbers(5000), false),
    ] {
        let policy = policy_of(&[&rule(value)], &data).unwrap();
        let (answers, known) = ask_many(&policy, 10);
        assert_eq!(answers.len(), 2, "{answers:?}");
        assert_eq!(known, vec![is_known; 20], "{value}");
    }
}

fn asked(generator: &mut Generator) -> Vec<(String, String, usize, u64)> {
    let mut all = Vec::new();
    for _ in 0..40 {
        let arguments = [
            "",
            r#","arguments":{}"#,
            r#","arguments":{"a":1}"#,
            r#","arguments":{"a":"x","n":2}"#,
            r#","arguments":{"a":[1,"x"],"n":false}"#,
            r#","arguments":{"a":null}"#,
            r#","arguments":{"a":"a"}"#,
        ][generator.roll(7)];
        let name = ["a", "b", "x"][generator.roll(3)];
        let params = match generator.roll(8) {
            0 => format!(r#""method":"prompts/get","params":{{"name":"{name}"{arguments}}}"#),
            1 => r#""method":"resources/read","params":{"uri":"a://b"}"#.to_owned(),
            2 => r#""method":"resources/read","params":{"uri":"a://c"}"#.to_owned(),
            3 => r#""method":"tools/list","params":{}"#.to_owned(),
            4 => r#""method":"ping""#.to_owned(),
            _ => format!(r#""method":"tools/call","params":{{"name":"{name}"{arguments}}}"#),
        };
        let identity = [
            r#"{"subject":"alice","roles":["a"],"scopes":["s"],"groups":[],"claims":{"k":1}}"#,
            r#"{"subject":"bob","roles":["a","b"],"scopes":[],"groups":["g"],"claims":{}}"#,
            r#"{"subject":"alice","roles":[],"scopes":[],"groups":["g"],"claims":{"k":2}}"#,
        ][generator.roll(3)];
        all.push((
            format!(r#"{{"jsonrpc":"2.0","id":1,{params}}}"#),
            identity.to_owned(),
            generator.roll(3),
            generator.roll(5) as u64,
        ));
    }
    all
}

/// `MCP_GATE_POLICIES` and `MCP_GATE_SEED` make a campaign of it.
#[test]
#[expect(clippy::disallowed_methods, reason = "how a campaign is told from a test")]
fn policies_of_several_modules_say_in_parts_what_they_say_as_a_whole() {
    let setting = |name: &str, or: u64| std::env::var(name).map_or(or, |text| text.parse().unwrap());
    let mut generator = Generator::new(setting("MCP_GATE_SEED", 20_261_128));
    let pin = |name: &str, annotations: &str| {
        (name.to_owned(), Pin { sha256: [0; 32], annotations: Some(Value::from_json_str(annotations).unwrap()) })
    };
    let pins = [pin("a", r#"{"readOnlyHint":true}"#), pin("b", r#"{"readOnlyHint":false}"#)];
    let catalogue = Catalogue { pins: BTreeMap::from([(Listed::Tool, BTreeMap::from(pins))]), ..Catalogue::default() };
    let data = serde_json::json!({"names": ["a", "b"], "keyed": {"a": "b", "x": 1}, "flag": true, "limits": {"a": 1}});
    let (mut loaded, mut in_parts, mut sum, mut several) = (0, 0, 0, 0);
    let mut holes: Vec<String> = Vec::new();
    for _ in 0..setting("MCP_GATE_POLICIES", 30) {
        let texts = Modules::texts(&mut generator);
        let modules: Vec<&str> = texts.iter().map(String::as_str).collect();
        let Ok(policies) = three(&modules, &data) else { continue };
        loaded += 1;
        if policies[0].known.is_none() {
            continue;
        }
        in_parts += 1;
        let (head, peer) = (Head::default(), Peer::default());
        let mut answers = BTreeSet::new();
        for (body, who, at, unix) in asked(&mut generator) {
            let Ok(call) = Call::read(body.as_bytes(), &head, &Dialect::default()) else { panic!("{body}") };
            let identity = identity("s", &who, &["s"]);
            let question = Question {
                // A catalogue is a resource's own.
                catalogue: Some(&catalogue).filter(|_| at > 0),
                resource: ["r", "s", "t"][at],
                now: SystemTime::UNIX_EPOCH + Duration::from_secs(unix),
                ..question(&identity, &call, &head, &peer)
            };
            let [said, whole, plain] = policies.each_ref().map(|policy| policy.judge(question, policy.input(question)));
            // Not only what decides: what each rule says.
            let known = policies[0].known.as_ref().unwrap().recall(question, &policies[0].input(question), || None);
            assert!(known.is_some());
            let [rules, of_whole, of_plain] = [(0, known), (1, None), (2, None)].map(|(at, known)| {
                let mut asked = policies[at].evaluator.ask(policies[at].input(question), known).unwrap();
                let said = ASKED.of_calls.iter().map(|rule| asked.rule(rule));
                said.map(|value| {
                    value.map(|value| Some(value).filter(|v| *v != Value::Undefined && *v != Value::new_set()))
                })
                .collect::<Vec<_>>()
            });
            let told = format!(
                "{}\n{body} {who} {at} {unix}\n{said:?} {rules:?}\n{whole:?} {of_whole:?}\n{plain:?} {of_plain:?}",
                texts.join("\n---\n")
            );
            if said != whole || rules != of_whole || said != plain || rules != of_plain {
                holes.push(told);
            }
            sum += 1;
            answers.insert(format!("{said:?}"));
        }
        several += usize::from(answers.len() > 1);
    }
    println!("{loaded} policies, {in_parts} in two parts, {several} with several answers, {sum} questions");
    let shortest = holes.iter().min_by_key(|hole| hole.len()).map_or("", String::as_str);
    assert!(holes.is_empty(), "{} holes, the shortest:\n{shortest}", holes.len());
    assert!(in_parts * 2 > loaded && several * 2 > in_parts, "{loaded}, {in_parts}, {several}");
}
