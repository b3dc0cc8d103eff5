//! What is one question to the memory has one answer.

use std::collections::{BTreeSet, HashMap};

use serde_json::json;

use super::*;
use crate::mcp::Dialect;
use crate::policy::compiled::Compiled;
use crate::policy::compiler::{ASKED, Modules, compile_rules};
use crate::policy::evaluator::tests::generator::Generator;
use crate::rego;

const LIMIT: Duration = Duration::from_secs(5);

/// Without the bundled modules, which take most of the time. None if it is refused.
fn policy_alone(text: &str, data: &serde_json::Value) -> Option<Policy> {
    policy_of(&[text], data).ok()
}

/// The same, of several modules.
pub(super) fn policy_of(texts: &[&str], data: &serde_json::Value) -> Result<Policy, String> {
    compile_alone(texts, data).map(|compiled| ready(&compiled))
}

pub(super) fn compile_alone(texts: &[&str], data: &serde_json::Value) -> Result<Compiled<'static>, String> {
    let first = |refusals: Vec<rego::Refusal>| refusals.first().map(ToString::to_string).unwrap_or_default();
    let names: Vec<String> = (0..texts.len()).map(|number| format!("{number}.rego")).collect();
    let mut parsed =
        Modules::parse(names.iter().map(String::as_str).zip(texts.iter().copied()).collect()).map_err(first)?;
    let analysis = rego::analyse(parsed.engine.get_modules(), &|_, _| true).map_err(first)?;
    let (rules, analysis) = compile_rules(parsed, data, &analysis, ASKED).map_err(first)?;
    Ok(Compiled { revision: String::new(), analysis, members: crate::json::Names::default(), rules })
}

pub(super) fn ready(compiled: &Compiled<'_>) -> Policy {
    let options = Options { handshake: false, shadow: false, time_limit: LIMIT };
    Policy::new(&compiled.to_bytes().unwrap(), options).unwrap()
}

#[derive(Default)]
struct Found {
    asked: usize,
    /// How many were asked before, as the memory sees it, by either way to a key.
    again: usize,
    answers: BTreeSet<String>,
    /// What was answered otherwise than before.
    holes: Vec<String>,
}

/// The message that a question stands for.
fn body(asked: &serde_json::Value) -> String {
    let said = |name: &str| asked["mcp"].get(name).map(|value| (name.to_owned(), value.clone()));
    let params: serde_json::Map<_, _> = ["name", "arguments"].into_iter().filter_map(said).collect();
    json!({"jsonrpc": "2.0", "id": 1, "method": asked["mcp"]["method"], "params": params}).to_string()
}

fn ask(policy: &Policy, questions: &[serde_json::Value]) -> Found {
    let memory = policy.memory.as_ref().unwrap();
    let mut found = Found::default();
    let mut known: [HashMap<Vec<u8>, (&serde_json::Value, Answer)>; 2] = Default::default();
    let (head, peer) = (Head::default(), Peer::default());
    for asked in questions {
        let body = body(asked);
        let Ok(call) = Call::read(body.as_bytes(), &head, &Dialect::default()) else { continue };
        let identity = identity("s", &asked["identity"].to_string(), &["a"]);
        let question = super::question(&identity, &call, &head, &peer);
        let answer = policy.judge(question, policy.input(question));
        let mut looked_up = memory.key.asker(&identity, "r").to_vec();
        look_up(&memory.key.paths, &policy.input(question), &mut looked_up);
        let key = memory.key(question, || policy.input(question));
        found.asked += 1;
        found.answers.insert(format!("{answer:?}"));
        for (known, key) in known.iter_mut().zip([key, looked_up]) {
            let (before, first) = known.entry(key).or_insert((asked, answer.clone()));
            found.again += usize::from(!std::ptr::eq(*before, asked));
            if *first != answer {
                found.holes.push(format!("{before}\n  {first:?}\n{asked}\n  {answer:?}"));
            }
        }
    }
    found
}

#[test]
fn what_a_rule_can_tell_apart_is_not_one_question() {
    let rules = [
        // Each `_` is another one, and runs over all.
        "allow if { some _ in data.names; input.mcp.arguments[_] == 1 }",
        "allow if { some key, _ in data.keyed; key == \"a\"; input.mcp.arguments[_] == 1 }",
        "allow if { input.mcp.name; count([1 | some _ in data.names; input.identity.claims[_] == 1]) > 0 }",
        // An object without the member is no absent one.
        "allow if object.get(input.mcp.arguments, \"q\", 1) == 1",
        "allow if object.get(input.mcp.arguments, [\"a\", \"b\"], 0) == 0",
        "allow if object.get(input.mcp.arguments.a, \"b\", 0) == 0",
        "allow if object.get(input.identity.claims.a, \"b\", 0) == 0",
        "allow if object.get(input.identity.claims, [\"a\", \"b\"], 0) == 0",
        "allow if { some x in data.names; object.get(input.mcp.arguments[x], \"b\", 0) == 0 }",
        // What nothing else gives a value runs over all, before its value is asked for.
        "allow if { some x; x in data.names; abs(input.mcp.arguments[x]) == 1 }",
        "allow if { some x; x in data.names; y := input.mcp.arguments[x]; abs(y) == 1 }",
        "allow if { x in data.names; abs(input.identity.claims[x]) == 1 }",
        "f(y) if { x in y; x in data.names; abs(input.identity.claims[x]) == 1 }\nallow if f({\"a\", \"b\"})",
        // Names that are known.
        "allow if { some x in data.names; y := abs(input.mcp.arguments[x]); y == 1 }",
        "allow if { some x in data.names; a := abs(input.mcp.arguments[x]); a == 1 }",
        "allow if { x := input.mcp.name; x in data.names; a := abs(input.mcp.arguments[x]); a == 1 }",
        "allow if { [x, y] := [input.mcp.name, 1]; x in data.names; a := abs(input.mcp.arguments[x]); a == y }",
        "f(x) if { x in data.names; a := abs(input.mcp.arguments[x]); a == 1 }\nallow if f(input.mcp.name)",
        "f(x) if { x in data.names; a := input.mcp.arguments[x]; a == 1 }\nallow if f(input.mcp.name)",
        "f(y) if { x := y; x in data.names; a := abs(input.mcp.arguments[x]); a == 1 }\nallow if f(input.mcp.name)",
        "allow if { some x, y in data.keyed; input.mcp.arguments[x] == 1; y }",
        "allow if { some x, x in data.keyed; input.mcp.arguments[x] == 1 }",
        // And those that are not.
        "allow if { x := input.mcp.name; not x in data.names; input.mcp.arguments.c == 1 }",
        "allow if { x := input.mcp.name; not x in data.names; input.mcp.arguments[x] == 1 }",
        "allow if { x := input.mcp.name; v := x in data.names; input.mcp.arguments[x] == 1; v == false }",
        "allow if { some x in data.names; c := [1 | x := input.mcp.name; input.mcp.arguments[x] == 1]; count(c) > 0 }",
        "allow if { some x in data.names; every x in [input.mcp.name] { input.mcp.arguments[x] == 1 } }",
        "f(x) if { x in data.names; false }\nf(x) if input.mcp.arguments[x] == 1\nallow if f(input.mcp.name)",
        "f(x) := 1 if { x in data.names; false } else := input.mcp.arguments[x]\nallow if f(input.mcp.name) == 1",
        // A name that hides a rule.
        "flag if data.never\nf(flag) if { flag; input.mcp.arguments.a == 1 }\nallow if { input.mcp.name; f(true) }",
    ];
    let data = json!({"names": ["a", "b"], "keyed": {"a": "b"}});
    let values = [json!(null), json!(1), json!(-2), json!("a"), json!([]), json!(["b"]), json!({}), json!({"b": 1})];
    let mut objects = vec![json!({})];
    for value in &values {
        objects.extend(["a", "b", "c"].map(|name| json!({name: value})));
        objects.push(json!({"a": value, "0": "text"}));
        objects.push(json!({"a": value, "c": 1}));
    }
    let mut questions = Vec::new();
    for name in ["a", "c"] {
        let mut ask = |mcp: serde_json::Value, claims: &serde_json::Value| {
            questions.push(json!({"mcp": mcp, "identity": {"subject": "s", "claims": claims}}));
        };
        ask(json!({"method": "tools/call", "name": name}), &objects[0]);
        for object in &objects {
            ask(json!({"method": "tools/call", "name": name, "arguments": object}), &objects[0]);
            ask(json!({"method": "tools/call", "name": name}), object);
        }
    }
    let mut wrong = Vec::new();
    for rules in rules {
        let Some(policy) = policy_alone(&format!("package mcp.authz\n\n{rules}\n"), &data) else {
            wrong.push(format!("{rules}: refused"));
            continue;
        };
        let found = ask(&policy, &questions);
        if found.answers.len() < 2 {
            wrong.push(format!("{rules}: always {:?}", found.answers));
        }
        wrong.extend(found.holes.first().map(|hole| format!("{rules}:\n{hole}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A question with more claims than the generator gives one.
fn question(generator: &mut Generator) -> serde_json::Value {
    let mut question = generator.input();
    if let Some(claims) = generator.input()["mcp"].get("arguments") {
        question["identity"]["claims"] = claims.clone();
    }
    question
}

/// Questions that differ in little: what no rule reads is soon the difference.
fn alike(generator: &mut Generator) -> Vec<serde_json::Value> {
    const PLACES: [(&str, &[&str]); 6] = [
        ("/mcp", &["name", "arguments"]),
        ("/identity", &["subject", "roles", "claims"]),
        ("/mcp/arguments", &["x", "y", "list", "deep", "other", "0"]),
        ("/mcp/arguments/deep", &["x", "y", "list", "other"]),
        ("/identity/claims", &["x", "y", "list", "deep", "other", "0"]),
        ("/identity/claims/deep", &["x", "y", "list", "other"]),
    ];
    let mut first = question(generator);
    first["mcp"]["method"] = "tools/call".into();
    first["mcp"]["name"] = ["a", "b", "read_doc"][generator.roll(3)].into();
    let mut questions = vec![first];
    for _ in 0..24 {
        // Those before are changed further, as often as not.
        let at = if generator.roll(2) == 0 { 0 } else { generator.roll(questions.len()) };
        let mut changed = questions[at].clone();
        let (place, names) = PLACES[generator.roll(PLACES.len())];
        let name = names[generator.roll(names.len())];
        let known = if name == "other" || name == "0" { "x" } else { name };
        // What stood below it, or what another one has there.
        let place_below = format!("{place}/{name}/x");
        let below = changed.pointer(&place_below).filter(|_| generator.roll(2) == 0).cloned();
        let value = below.or_else(|| question(generator).pointer(&format!("{place}/{known}")).cloned());
        let Some(members) = changed.pointer_mut(place).and_then(serde_json::Value::as_object_mut) else { continue };
        match value {
            Some(value) if generator.roll(3) > 0 => drop(members.insert(name.to_owned(), value)),
            // What every input has.
            _ if matches!(name, "subject" | "claims") => {}
            _ => drop(members.remove(name)),
        }
        questions.push(changed);
    }
    questions
}

#[test]
fn whatever_the_policy_one_question_has_one_answer() {
    let mut generator = Generator::new(20_261_126);
    let (mut policies, mut sum) = (0, Found::default());
    for _ in 0..1500 {
        let text = generator.keyed_policy().replace("input.time.unix", "input.identity.claims.y");
        let (data, questions) = (generator.data(), alike(&mut generator));
        let Some(policy) = policy_alone(&text, &data).filter(|policy| policy.memory.is_some()) else { continue };
        let found = ask(&policy, &questions);
        policies += usize::from(found.answers.len() > 1);
        sum.asked += found.asked;
        sum.again += found.again;
        sum.holes.extend(found.holes.iter().map(|hole| format!("{text}\ndata: {data}\n{hole}")));
    }
    println!("{policies} policies with several answers, {} questions, {} asked before", sum.asked, sum.again);
    let shortest = sum.holes.iter().min_by_key(|hole| hole.len()).map_or("", String::as_str);
    assert!(sum.holes.is_empty(), "{} answered otherwise, the shortest:\n{shortest}", sum.holes.len());
    // A test of nothing would pass, too.
    assert!(policies > 200 && sum.again > sum.asked / 2, "{policies} policies, {} of {}", sum.again, sum.asked);
}

/// A policy of which a part does not look at arguments, by names that it computes.
fn in_parts(generator: &mut Generator) -> String {
    let [late, early] = [(); 2].map(|()| generator.keyed_policy());
    let early =
        early.replace("input.mcp.arguments", "input.identity.claims").replace("input.time.unix", "input.mcp.name");
    let early = early.replace("package mcp.authz\n\n", "").replace("allow if", "early if").replace("h(", "early_h(");
    let asks =
        ["input.mcp.arguments.x\n\tearly", "early\n\tinput.mcp.arguments.y", "input.mcp.arguments.x\n\tnot early"];
    format!("{late}{early}deny contains \"early\" if {{\n\t{}\n}}\n", asks[generator.roll(asks.len())])
}

#[test]
fn what_is_known_of_earlier_questions_changes_no_answer() {
    let mut generator = Generator::new(20_261_127);
    let (mut policies, mut sum, mut again, mut wrong) = (0, 0, 0, Vec::new());
    let (head, peer) = (Head::default(), Peer::default());
    for _ in 0..800 {
        let text = in_parts(&mut generator);
        let (data, questions) = (generator.data(), alike(&mut generator));
        let Some(policy) = policy_alone(&text, &data).filter(|policy| policy.known.is_some()) else { continue };
        let mut whole = policy_alone(&text, &data).unwrap();
        whole.known = None;
        policies += 1;
        for asked in &questions {
            let body = body(asked);
            let Ok(call) = Call::read(body.as_bytes(), &head, &Dialect::default()) else { continue };
            let identity = identity("s", &asked["identity"].to_string(), &["a"]);
            let question = super::question(&identity, &call, &head, &peer);
            let input = policy.input(question);
            again += usize::from(policy.known.as_ref().unwrap().knows(question, &input));
            let answers = [&policy, &whole].map(|policy| policy.judge(question, policy.input(question)));
            sum += 1;
            if answers[0] != answers[1] {
                wrong.push(format!("{text}\ndata: {data}\n{asked}\n{answers:?}"));
            }
        }
    }
    println!("{policies} policies in two parts, {sum} questions, {again} of which something was known");
    let shortest = wrong.iter().min_by_key(|hole| hole.len()).map_or("", String::as_str);
    assert!(wrong.is_empty(), "{} answered otherwise, the shortest:\n{shortest}", wrong.len());
    assert!(policies > 100 && again > sum / 4, "{policies} policies, {again} of {sum}");
}
