//! A policy that is tried beside the one in force: what it changes, which is nothing, and
//! what an operator learns of it.

use std::rc::Rc;
use std::time::{Duration, SystemTime};

use libtest_mimic::{Failed, Trial};
use mcp_gate::config;
use mcp_gate::gate::Gate;
use serde_json::{Value, json};

use crate::case::{AUTHORITY, Request, merge};
use crate::keys::{Keys, surroundings};
use crate::listings::scenarios;
use crate::lists::{self, answered, permitted};
use crate::native::{NOW, exchange};
use crate::properties::{Dice, gate, legacy, modern, request};
use crate::reload::{Connection, World, bytes, status};

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |name: &str, run: fn() -> Result<(), String>| Trial::test(name, move || run().map_err(Failed::from));
    vec![
        trial("native/with a candidate every decision, answer and forwarded request is as without", changes_nothing),
        trial("native/with a candidate every list is as without", lists_are_the_same),
        trial("native/what is wrong with a candidate is found, and the policy beside it holds", left_out),
        trial("candidate/a broken one leaves the policy beside it in force, and is told", broken),
        trial("candidate/each answer of it is counted, and recorded where it differs", counted),
    ]
}

fn modules(rules: &str) -> Value {
    json!({"authz.rego": format!("package mcp.authz\n\n{rules}\n")})
}

const ANYBODY: &str = "allow if input.identity.subject";

const NOBODY: &str = "allow if false";

/// Candidates of every kind, with what may come of one that is asked.
fn candidates() -> Vec<(Value, &'static [&'static str])> {
    let of = |rules: &str| json!({"modules": modules(rules), "handshake": "policy"});
    let long = "allow if {\n\tsome a in data.many\n\tsome b in data.many\n\tsome c in data.many\n\ta + b + c < 0\n}";
    let failing = "allow if {\n\tinput.identity.subject\n\tnot abs(input.identity.subject) == 1\n}";
    let many: Vec<usize> = (0..200).collect();
    vec![
        (of(ANYBODY), &["agreed", "disagreed"]),
        (of(NOBODY), &["agreed", "disagreed"]),
        (of(failing), &["failed"]),
        (of("allow if input.identity.subject\n\nscopes contains count(input.mcp)"), &["failed"]),
        (
            json!({"modules": modules(long), "data": {"many": many}, "time_limit_ms": 1, "handshake": "policy"}),
            &["failed"],
        ),
        (json!({"rules": [{"allow": {"tools": ["read_*"], "scopes": ["deep"]}}]}), &["agreed", "disagreed"]),
        // It is left out.
        (of("allow if {"), &[]),
        (json!({"modules": 1}), &[]),
    ]
}

/// Who asks, and what: good messages of every kind, and some that are none.
fn history() -> Vec<Request> {
    let mut dice = Dice(20_261_126);
    let bearer = |token: Value| {
        let mut headers = request(&json!({"token": token})).headers;
        headers.retain(|(name, _)| name == "authorization");
        headers
    };
    let people = [
        json!({}),
        json!({"sub": "bob", "roles": ["editor"], "scope": "mcp:read mcp:write"}),
        json!({"roles": ["hr"], "scope": "mcp:read"}),
        json!({"exp": "now-300"}),
        Value::Null,
    ];
    let people = people.map(bearer);
    let arguments = [json!({}), json!({"id": "q3-report"}), json!({"Id": 1}), json!({"limit": 21})];
    let bodiless = |method: &str| json!({"request": {"method": method, "body": null}});
    let message = |body: Value| json!({"request": {"body": body}});
    let mut history = Vec::new();
    for _ in 0..100 {
        let tool = ["read_document", "list_documents", "edit_document", "rm"][dice.roll(4)];
        let step = match dice.roll(9) {
            0 => modern(tool),
            1 => bodiless("GET"),
            2 => bodiless("DELETE"),
            3 => message(json!({"jsonrpc": "2.0", "method": "notifications/initialized"})),
            4 => message(json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})),
            5 => message(json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call"})),
            _ => legacy(tool, &arguments[dice.roll(4)]),
        };
        let mut request = request(&step);
        request.headers.retain(|(name, _)| name != "authorization");
        request.headers.extend(people[[0, 0, 1, 1, 2, 3, 4][dice.roll(7)]].clone());
        history.push(request);
    }
    history
}

/// All that anybody sees of a request.
fn seen(gate: &Rc<Gate>, request: &Request) -> Result<(String, Value), String> {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
    let (outcome, mut record) = exchange(Some(Rc::clone(gate)), request, now, false)?;
    let members = record.as_object_mut().ok_or("expected a record")?;
    // It names the candidate, too.
    members.remove("configuration");
    let candidate = members.remove("candidate").unwrap_or_default();
    Ok((format!("{outcome:?} {record}"), candidate))
}

fn changes_nothing() -> Result<(), String> {
    let live = [
        json!({}),
        json!({"mode": "shadow"}),
        json!({"modules": modules("allow if input.mcp.name\n\ndeny contains \"no\" if input.mcp.name == \"rm\""), "handshake": "policy"}),
        json!({"modules": modules("allow if {\n\tinput.mcp.name\n\tnot abs(input.mcp.name) == 1\n}")}),
    ];
    let history = history();
    let (mut same, mut differ) = (0, 0);
    for live in live {
        let alone = gate(&json!({"policy": live}))?;
        let expected: Vec<_> = history.iter().map(|request| seen(&alone, request)).collect::<Result<_, _>>()?;
        for (candidate, _) in candidates() {
            let mut policy = live.clone();
            policy["candidate"] = candidate.clone();
            let both = gate(&json!({"policy": policy}))?;
            for (request, (expected, nothing)) in history.iter().zip(&expected) {
                let (found, differs) = seen(&both, request)?;
                if *expected != found || !nothing.is_null() {
                    return Err(format!("{live} beside {candidate}, {request:?}: expected {expected}, found {found}"));
                }
                *(if differs.is_null() { &mut same } else { &mut differ }) += 1;
            }
        }
    }
    match same > 500 && differ > 500 {
        true => Ok(()),
        false => Err(format!("these are too easy: {differ} differ, and {same} do not")),
    }
}

fn lists_are_the_same() -> Result<(), String> {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
    for (candidate, expected) in candidates() {
        let mut given = lists::given(false);
        given["policy"]["candidate"] = candidate.clone();
        let gate = lists::gate(&given)?;
        for scenario in scenarios() {
            let mut exchange = permitted(&gate, &scenario.ask.request(AUTHORITY, scenario.user, NOW))?;
            let compared = exchange.compare(|| now).map(|compared| compared.agreement.name());
            if compared.is_some_and(|compared| !expected.contains(&compared))
                || compared.is_none() != expected.is_empty()
            {
                return Err(format!("{candidate}, {}: expected {expected:?}, found {compared:?}", scenario.what));
            }
            let got = answered(&mut exchange, &scenario, scenario.body.len());
            scenario
                .check(&got, &lists::record(&exchange), true)
                .map_err(|problem| format!("{candidate}: {problem}"))?;
        }
    }
    Ok(())
}

/// What is found is that of a policy, under another path; nothing of it refuses the rest.
fn left_out() -> Result<(), String> {
    let of = |rules: &str| json!({"modules": modules(rules)});
    for (candidate, expected) in [
        (json!(1), "policy.candidate: expected an object, found the number 1"),
        (json!({"mode": "shadow"}), "policy.candidate.mode: unknown field `mode`, expected one of `modules`, "),
        (json!({"candidate": {}}), "policy.candidate.candidate: unknown field `candidate`, expected one of "),
        (json!({"modules": {"a.rego": 1}}), "policy.candidate.modules.a.rego: expected a text, found the number 1"),
        (json!({"time_limit_ms": 1001}), "policy.candidate.time_limit_ms: expected 1 to 1000 milliseconds, found 1001"),
        (json!({"data": {"role": {}}}), "policy.candidate.data.role: expected one of "),
        (json!({"rules": [{"allow": {"tool": []}}]}), "policy.candidate.rules[0].allow.tool: unknown field `tool`"),
        (
            json!({"data": {"a": "x".repeat(2 << 20)}, "modules": modules(ANYBODY)}),
            "policy.candidate: expected at most ",
        ),
        (of("allow if {"), "policy.candidate.modules.authz.rego:"),
        (of("allow if input.nam"), "policy.candidate.modules.authz.rego:3:"),
        (of("allow := true"), "policy.candidate.modules.authz.rego:3:1: `allow` is true of an input that has nothing"),
    ] {
        let given = json!({"policy": {"modules": modules(ANYBODY), "candidate": candidate}});
        let good = gate(&given)?;
        let findings = good.candidate.as_ref().err().ok_or_else(|| format!("{given}: expected findings"))?;
        let found = findings.first().map(ToString::to_string).unwrap_or_default();
        if !found.starts_with(expected) {
            return Err(format!("expected `{expected}`, found `{found}`"));
        }
        // Beside others, all are found at once.
        let mut bad = Keys::shared().configuration(&given, AUTHORITY);
        merge(&mut bad, &json!({"policy": {"time_limit_ms": 0}}));
        let all = config::load_document(bad, &surroundings()).err().unwrap_or_default();
        let all: Vec<String> = all.iter().map(ToString::to_string).collect();
        match all.as_slice() {
            [live, tried, ..] if live.starts_with("policy.time_limit_ms: ") && *tried == found => {}
            _ => return Err(format!("expected the finding of the policy and `{found}`, found {all:?}")),
        }
    }
    Ok(())
}

fn with(live: &str, candidate: &Value) -> Value {
    json!({"policy": {"modules": modules(live), "candidate": candidate}})
}

fn ask(world: &World, tool: &str) -> Result<u16, String> {
    Ok(status(&Connection::open(world.envoy.port)?.send(&bytes(&world.call(tool)))?))
}

/// At the first start, and when another configuration comes; then a good one.
fn broken() -> Result<(), String> {
    let bad = json!({"modules": {"authz.rego": "package mcp.authz\n\nallow if {\n"}});
    let line = "mcp-gate: candidate left out: policy.candidate.modules.authz.rego:4:1: ";
    let mut world = World::launch(&with(ANYBODY, &bad), 2)?;
    world.envoy.wait_ready()?;
    let call = bytes(&world.call("read_document"));
    for (live, candidate, expected, left_out) in
        [(ANYBODY, &bad, 200, 1), (NOBODY, &bad, 403, 1), (ANYBODY, &json!({"modules": modules(NOBODY)}), 200, 0)]
    {
        world.configure(&with(live, candidate));
        world.envoy.wait_until("the policy is in force", |envoy| {
            let answer = Connection::open(envoy.port).and_then(|mut connection| connection.send(&call));
            answer.is_ok_and(|answer| status(&answer) == expected)
                && envoy.stat("mcp_gate_candidate_left_out") == left_out
        })?;
    }
    if !world.envoy.own_log().contains(line) {
        return Err(format!("expected `{line}` in Envoy's log, found:\n{}", world.envoy.own_log()));
    }
    match world.envoy.stat("update_rejected") {
        0 => Ok(()),
        count => Err(format!("expected no configuration refused, found {count}")),
    }
}

fn counted() -> Result<(), String> {
    let rules = "allow if input.identity.subject\n\ndeny contains \"no\" if input.mcp.name == \"rm\"\n\nscopes contains count(input.mcp) if input.mcp.name == \"type\"";
    let mut world = World::launch(&with(ANYBODY, &json!({"modules": modules(rules)})), 1)?;
    world.envoy.wait_ready()?;
    for (tool, said) in [("read", Value::Null), ("rm", "policy_denied".into()), ("type", "policy_type".into())] {
        for _ in 0..3 {
            let found = ask(&world, tool)?;
            let record: Value = serde_json::from_str(&world.envoy.next_line()?).map_err(|error| error.to_string())?;
            if found != 200 || record["candidate"]["code"] != said {
                return Err(format!("{tool}: expected 200 and {said}, found {found} and {record}"));
            }
        }
    }
    let counted = ["agreed", "disagreed", "failed", "skipped"]
        .map(|name| world.envoy.stat(&format!("mcp_gate_candidate_{name}")));
    let taken = world.envoy.stat("mcp_gate_candidate_microseconds");
    match counted == [3, 3, 3, 0] && taken > 0 && world.envoy.stat("mcp_gate_decisions_permitted") == 9 {
        true => Ok(()),
        false => Err(format!("expected 3, 3, 3 and 0 in some time, found {counted:?} in {taken} µs")),
    }
}
