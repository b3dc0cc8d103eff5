mod alike;
mod modules;
mod parts;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use super::key::{encode, look_up};
use super::*;
use crate::catalogue::{Catalogue, Pin};
use crate::http::Head;
use crate::mcp::{Call, Listed};
use crate::policy::{Options, Peer, Policy, Question};
use crate::token::Identity;

fn encoded(json: &str) -> Vec<u8> {
    let mut key = Vec::new();
    encode(&Value::from_json_str(json).unwrap(), &mut key);
    key
}

#[test]
fn a_failure_is_tried_again() {
    let memory = policy("allow if input.mcp.name").memory.unwrap();
    for (key, answer, is_kept) in [
        (b"1", Ok(()), true),
        (b"2", Err(Denial::PolicyUndefined), true),
        (b"3", Err(Denial::PolicyTimeout), false),
        (b"4", Err(Denial::PolicyError(String::new())), false),
    ] {
        memory.keep(key.to_vec(), &answer);
        assert_eq!(memory.recall(key), is_kept.then_some(answer));
    }
}

#[test]
fn an_answer_weighs_what_it_says() {
    let memory = policy("allow if input.mcp.name").memory.unwrap();
    let texts = |text: &str| vec![text.repeat(512); 64];
    let none = Vec::new;
    for denial in [
        Denial::PolicyDenied { reasons: texts("a") },
        Denial::ScopeMissing { needed: texts("b"), granted: none() },
        Denial::ScopeMissing { needed: none(), granted: texts("c") },
    ] {
        for number in 0..200_u8 {
            memory.keep(vec![number], &Err(denial.clone()));
        }
        // Two generations of a mebibyte, 32 KiB and more each.
        assert!(memory.answers.borrow().len() <= 64, "{denial:?}");
    }
}

#[test]
fn what_is_known_weighs_what_it_says() {
    let rules =
        format!("allow if input.mcp.arguments.a == long\nlong := sprintf(\"{}%s\", [input.mcp.name])", "a".repeat(900));
    let policy = policy(&rules);
    let (head, peer) = (Head::default(), Peer::default());
    let alice = identity("alice", r#"{"subject":"alice"}"#, &[]);
    for number in 0..3000 {
        let name = number.to_string();
        let call = Call::listed(Listed::Tool, &name, crate::mcp::VERSIONS[1], &crate::mcp::Dialect::default());
        let call = call.unwrap();
        let question = question(&alice, &call, &head, &peer);
        assert_eq!(policy.judge(question, policy.input(question)), Err(Denial::PolicyUndefined));
    }
    // Two generations of a mebibyte, a kilobyte or two each.
    let kept = policy.known.unwrap().len();
    assert!((400..1600).contains(&kept), "{kept}");
}

#[test]
fn what_time_does_not_change_is_known_of_every_call() {
    let policy = policy(
        "allow if { owns; input.time.unix >= 0 }\nowns if data.owners[input.mcp.name] == input.identity.subject",
    );
    assert!(policy.memory.is_none());
    let (head, peer) = (Head::default(), Peer::default());
    for (subject, name, may) in [("alice", "a", true), ("alice", "b", false), ("bob", "a", false), ("bob", "b", true)] {
        let identity = identity(subject, &format!(r#"{{"subject":"{subject}"}}"#), &[]);
        let call = Call::listed(Listed::Tool, name, crate::mcp::VERSIONS[1], &crate::mcp::Dialect::default()).unwrap();
        let question = question(&identity, &call, &head, &peer);
        for is_known in [false, true] {
            assert_eq!(policy.known.as_ref().unwrap().knows(question, &policy.input(question)), is_known);
            assert_eq!(policy.decide(question).is_ok(), may, "{subject} {name}");
        }
    }
    assert_eq!(policy.known.unwrap().len(), 4);
}

fn question<'a>(identity: &'a Rc<Identity>, call: &'a Call<'a>, head: &'a Head, peer: &'a Peer) -> Question<'a> {
    Question { resource: "r", catalogue: None, identity, call, head, peer, now: SystemTime::UNIX_EPOCH }
}

fn identity(subject: &str, input: &str, scopes: &[&str]) -> Rc<Identity> {
    let mut identity = Identity::unverified(subject);
    identity.input = Value::from_json_str(input).unwrap();
    identity.scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    Rc::new(identity)
}

#[test]
fn tokens_are_one_asker_as_long_as_no_rule_can_tell_them_apart() {
    let one = identity("alice", r#"{"subject":"alice","roles":["a"],"claims":{"jti":"1","dept":{"id":1}}}"#, &["s"]);
    for (other, who) in [
        (r#"{"subject":"alice","roles":["a"],"claims":{"jti":"2","dept":{"id":1}}}"#, "another token"),
        (r#"{"subject":"bob","roles":["a"],"claims":{"jti":"2","dept":{"id":1}}}"#, "another subject"),
        (r#"{"subject":"alice","roles":["a","b"],"claims":{"jti":"2","dept":{"id":1}}}"#, "another role"),
        (r#"{"subject":"alice","roles":["a"],"claims":{"jti":"2","dept":{"id":2}}}"#, "another department"),
        (r#"{"subject":"alice","roles":["a"],"claims":{"jti":"2"}}"#, "no department"),
        (r#"{"subject":"alice","roles":["a"],"claims":{"jti":"2","dept":1}}"#, "a department without id"),
    ] {
        let [other, more] = [&["s"][..], &["s", "t"]].map(|scopes| identity("alice", other, scopes));
        for (rules, tells) in [
            ("allow if input.mcp.name", &[][..]),
            ("allow if \"a\" in input.identity.roles", &["another role"]),
            ("allow if input.identity.subject == \"alice\"", &["another subject"]),
            (
                "allow if input.identity.claims.dept.id == 1",
                &["another department", "no department", "a department without id"],
            ),
        ] {
            let memory = policy(rules).memory.unwrap();
            let digests = [&one, &other, &more].map(|identity| memory.key.asker(identity, "r"));
            assert_eq!(digests[0] != digests[1], tells.contains(&who), "{rules}: {who}");
            assert_eq!(digests[1], digests[2], "{rules}: {who}");
            assert_ne!(memory.key.asker(&one, "s"), digests[0], "{rules}: another resource");
            assert_eq!(memory.key.asker(&one, "r"), digests[0]);
        }
        // The answer says which scopes there are, though no rule reads them.
        let memory = policy("scopes contains \"t\"\nallow if input.mcp.name").memory.unwrap();
        assert_ne!(memory.key.asker(&other, "r"), memory.key.asker(&more, "r"), "{who}");
        let memory = policy("allow if some claim in input.identity.claims").memory.unwrap();
        assert_ne!(memory.key.asker(&one, "r"), memory.key.asker(&other, "r"), "{who}");
    }
}

#[test]
fn different_values_have_different_bytes() {
    let texts = [
        "null",
        "true",
        "false",
        "1",
        "-1",
        "1.5",
        "\"1\"",
        "\"\"",
        "[]",
        "{}",
        "[[]]",
        "[1,2]",
        "[12]",
        "[\"1\",\"2\"]",
        "[\"12\"]",
        "{\"a\":1}",
        "{\"a\":\"1\"}",
        "{\"a\":{\"b\":1}}",
        "[\"a\",1]",
        "{\"ab\":1}",
        "123456789.12345679",
        "123456789.1234568",
        "[{\"a\":1},[]]",
    ];
    for (index, one) in texts.iter().enumerate() {
        for other in texts.iter().skip(index + 1) {
            assert_ne!(encoded(one), encoded(other), "{one} and {other}");
        }
    }
    let mut undefined = Vec::new();
    encode(&Value::Undefined, &mut undefined);
    assert!(texts.iter().all(|text| encoded(text) != undefined));
}

fn policy(rules: &str) -> Policy {
    let module = format!("package mcp.authz\n\n{rules}\n");
    let modules = BTreeMap::from([("authz.rego".to_owned(), module)]);
    let options = Options { handshake: true, shadow: false, time_limit: Duration::from_secs(1) };
    let data = serde_json::json!({"owners": {"a": "alice", "b": "bob"}});
    Policy::compile(&modules, &data, options).unwrap_or_else(|refusals| panic!("{rules}: {}", refusals[0]))
}

#[test]
fn bundled_policies_are_remembered_unless_data_asks_for_the_time() {
    let of = |data: serde_json::Value| {
        let options = Options { handshake: true, shadow: false, time_limit: Duration::from_secs(1) };
        Policy::compile(&BTreeMap::new(), &data, options).unwrap_or_else(|refusals| panic!("{data}: {}", refusals[0]))
    };
    let roles = serde_json::json!({"analyst": {"tools": ["search", "read_*"]}});
    let rules = |rule: serde_json::Value| of(serde_json::json!({"rules": [{"allow": rule}]}));
    let alone = of(serde_json::json!({"roles": roles}));
    assert_eq!(alone.evaluator(), "decided by the virtual machine");
    assert!(!alone.reads.arguments && !alone.reads.http);
    assert!(alone.memory.is_some());
    assert!(rules(serde_json::json!({"tools": ["x"]})).memory.is_some());
    assert!(rules(serde_json::json!({"time": {"days": ["mon"]}})).memory.is_none());
    let timed = serde_json::json!({"roles": roles, "conditions": {"search": {"token": {"max_age": 300}}}});
    assert!(of(timed).memory.is_none());
}

#[test]
fn bundled_policies_are_remembered_for_what_data_asks_for() {
    let options = Options { handshake: true, shadow: false, time_limit: Duration::from_secs(1) };
    let tables = serde_json::json!({
        "roles": {"a": {"tools": ["search"], "limits": {"search": {"limit": {"max": 20}}}}},
        "conditions": {"search": {"claims": {"device": ["managed"], "dept.id": {"absent": true}}}},
        "relation_rules": {"edit": {"type": "document", "argument": "id", "relation": "owner"}},
    });
    let rules = serde_json::json!({"rules": [
        {"allow": {
            "tools": ["search"], "roles": ["a"], "arguments": {"limit": {"max": 20}, "none": {"absent": true}},
            "claims": {"device": ["managed"], "dept": {"absent": true}, "dept.id": {"absent": true}}
        }},
        {"deny": {"tools": ["edit"], "arguments": {"id": "q3"}}},
        {"allow": {"methods": ["tasks/*"], "subjects": ["x"]}},
    ]});
    for data in [tables, rules] {
        is_remembered_for_what_it_asks_for(&Policy::compile(&BTreeMap::new(), &data, options).unwrap());
    }
}

fn is_remembered_for_what_it_asks_for(policy: &Policy) {
    assert_eq!(policy.evaluator(), "decided by the virtual machine");
    assert!(policy.known.is_some());
    let memory = policy.memory.as_ref().unwrap();
    let key = |claims: &str, arguments: &str| {
        let input = format!(r#"{{"subject":"s","roles":["a"],"groups":[],"scopes":[],"claims":{claims}}}"#);
        let identity = identity("s", &input, &[]);
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"search","arguments":{arguments}}}}}"#
        );
        let head = Head::default();
        let call = Call::read(body.as_bytes(), &head, &crate::mcp::Dialect::default()).unwrap();
        let peer = Peer::default();
        let question = question(&identity, &call, &head, &peer);
        (memory.key(question, || panic!("the input document is not needed")), policy.decide(question).is_ok())
    };
    let (known, may) = key(r#"{"jti":"1","device":"managed"}"#, r#"{"limit":10,"query":"a"}"#);
    assert!(may);
    for (claims, arguments, is_known, may) in [
        (r#"{"jti":"2","device":"managed","exp":1}"#, r#"{"limit":10,"query":"b"}"#, true, true),
        (r#"{"device":"managed"}"#, r#"{"limit":20}"#, false, true),
        (r#"{"device":"managed"}"#, r#"{"limit":21}"#, false, false),
        (r#"{"device":"managed"}"#, r#"{"limit":10,"id":"q3"}"#, false, true),
        (r#"{"device":"own"}"#, r#"{"limit":10}"#, false, false),
        (r#"{"device":"managed","dept":{"id":1}}"#, r#"{"limit":10}"#, false, false),
        (r#"{"device":"managed","dept.id":1}"#, r#"{"limit":10}"#, false, false),
    ] {
        let (key, found) = key(claims, arguments);
        assert_eq!((key == known, found), (is_known, may), "{claims} {arguments}");
    }
}

/// All messages of a small world, in an order that looks like none.
fn history() -> Vec<(usize, String, &'static str, u64)> {
    let mut history = Vec::new();
    let arguments =
        ["", r#","arguments":{"id":"a"}"#, r#","arguments":{"id":"b"}"#, r#","arguments":{"id":{"a":"b"}}"#];
    let methods = ["tools/call", "prompts/get", "tools/list"];
    for step in 0..3000_usize {
        let pick = step.wrapping_mul(2_654_435_761) >> 5;
        let name = ["x", "y"][pick / 7 % 2];
        let method = methods[pick / 3 % 3];
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{step},"method":"{method}","params":{{"name":"{name}"{}}}}}"#,
            arguments[pick / 11 % 4]
        );
        history.push((pick / 5 % 3, body, ["", "v", "w"][pick / 13 % 3], (pick / 17 % 2) as u64));
    }
    history
}

#[test]
fn a_remembered_answer_is_the_one_that_would_be_given() {
    let policies = [
        (true, "allow if input.mcp.name == \"x\""),
        (true, "allow if data.owners[input.mcp.arguments.id] == input.identity.subject"),
        (true, "allow if { some key; input.mcp.arguments[key] == \"a\" }"),
        (true, "allow if { arguments := input.mcp.arguments; count(arguments) == 1 }"),
        (true, "allow if input.http.headers[\"x-v\"] == \"v\""),
        (true, "allow if input.http.headers[sprintf(\"x-%s\", [input.mcp.name])]"),
        (true, "deny contains input.mcp.name if input.mcp.method == \"prompts/get\""),
        (true, "scopes contains input.mcp.arguments.id\nallow if input.mcp.name"),
        (true, "scopes contains \"b\" if input.mcp.name == \"x\"\nallow if \"b\" in input.identity.roles"),
        (true, "allow if input.identity.claims[input.mcp.arguments.id]"),
        // What stands there is not what stands below it.
        (true, "allow if input.mcp.arguments.id.a == \"b\""),
        (true, "allow if input.identity.claims.jti == \"3\""),
        (
            true,
            "deny contains reason if {\n\tsome key, value in input.identity.claims\n\treason := sprintf(\"%s=%v\", [key, value])\n}\nallow if input.mcp.name",
        ),
        // It reads the tool, and not its name.
        (true, "allow if input.tool.annotations.readOnlyHint == true"),
        (true, "allow if { input.tool.annotations; not input.tool.annotations.destructiveHint }"),
        (true, "deny contains \"no\" if input.tool\nallow if input.identity.subject"),
        (false, "allow if input.time.unix == 1"),
        (false, "step_up := {\"max_age\": 1}\nallow if input.mcp.name"),
    ];
    let identities = [
        identity("alice", r#"{"subject":"alice","roles":["a"],"claims":{"jti":"1"}}"#, &[]),
        identity("bob", r#"{"subject":"bob","roles":["a","b"],"claims":{"jti":"2","a":true}}"#, &["a"]),
        identity("alice", r#"{"subject":"alice","roles":["a"],"claims":{"jti":"3"}}"#, &["b"]),
    ];
    let pin = |name: &str, annotations: &str| {
        let annotations = Some(Value::from_json_str(annotations).unwrap());
        (name.to_owned(), Pin { sha256: [0; 32], annotations })
    };
    let pins = [pin("x", r#"{"readOnlyHint":true}"#), pin("y", r#"{"destructiveHint":true}"#)];
    let pins = BTreeMap::from([(Listed::Tool, BTreeMap::from(pins))]);
    let catalogue = Catalogue { pins, ..Catalogue::default() };
    for (remembers, rules) in policies {
        let rules =
            if rules.contains("allow") { rules.to_owned() } else { format!("{rules}\nallow if input.mcp.name") };
        let (policy, mut looks_up) = (policy(&rules), policy(&rules));
        // The slower way to the same key.
        looks_up.memory.iter_mut().for_each(|memory| memory.key.fields = None);
        assert_eq!(policy.memory.is_some(), remembers, "{rules}");
        let mut answers = BTreeSet::new();
        for (identity, body, header, unix) in history() {
            let headers = vec![("x-v".to_owned(), header.into()), (format!("x-{header}"), b"1".to_vec())];
            let head = Head::new(headers);
            let call = Call::read(body.as_bytes(), &head, &crate::mcp::Dialect::default()).unwrap();
            let peer = Peer::default();
            let question = Question {
                catalogue: Some(&catalogue),
                now: SystemTime::UNIX_EPOCH + Duration::from_secs(unix),
                ..question(&identities[identity], &call, &head, &peer)
            };
            let fresh = policy.judge(question, policy.input(question));
            assert_eq!(policy.answer(question), fresh, "{rules}: {body} {header}");
            if let Some(memory) = &looks_up.memory {
                let key = memory.key(question, || looks_up.input(question));
                let is_input = memory.recall(&key);
                assert!(is_input.is_none_or(|answer| answer == fresh), "{rules}: {body} {header}");
                assert_eq!(looks_up.answer(question), fresh, "{rules}: {body} {header}");
            }
            answers.insert(format!("{fresh:?}"));
        }
        assert!(answers.len() > 1, "{rules}: expected different answers, found {answers:?}");
        if let Some(memory) = &policy.memory {
            let kept = memory.answers.borrow().len();
            assert!((2..1000).contains(&kept), "{rules}: expected some answers to be given again, found {kept} kept");
        }
    }
}
