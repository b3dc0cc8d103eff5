//! What holds for every step of every exchange.

use mcp_gate::gate::{Exchange, Response, Step};
use mcp_gate::http::{Edits, Reply};
use mcp_gate::record::Verdict;
use serde_json::Value;

use crate::request::Request;
use crate::world::{AUTHORITY, Configuration, Good, SECOND, URL, World, now};

/// What became of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    Held,
    Forwarded,
    /// Forwarded as what is no endpoint.
    Unprotected,
    Refused(&'static str),
    Served(&'static str),
}

pub fn configuration<'w>(world: &'w World, request: &Request) -> &'w Configuration {
    &world.configurations[usize::from(request.choice.configuration) % world.configurations.len()]
}

/// Whose good token a request shows, at the resource that it is for.
pub fn identity<'w>(world: &'w World, request: &Request) -> Option<&'w Good> {
    let [credential] = request.values("authorization")[..] else { return None };
    let [authority] = request.values(":authority")[..] else { return None };
    let (scheme, token) = credential.split_at_checked(7)?;
    if request.path() != b"/mcp" || !scheme.eq_ignore_ascii_case(b"bearer ") {
        return None;
    }
    let hosts = [(AUTHORITY, URL), ("second.example", SECOND), ("second.example:443", SECOND)];
    let (_, resource) = hosts.into_iter().find(|(host, _)| host.as_bytes().eq_ignore_ascii_case(authority))?;
    world.good.iter().find(|good| good.token.as_bytes() == token && good.resource == resource)
}

/// Holds a step against what is true of all of them.
pub fn outcome(exchange: &mut Exchange, step: &Step, request: &Request, world: &World) -> Outcome {
    let (code, line) = exchange.record(now());
    let record: Value = serde_json::from_str(&line).expect("a record is JSON");
    assert!(!line.contains(['\n', '\r']), "a record is one line");
    assert_eq!(record["code"], code, "a record has the code by which it is counted");
    for good in &world.good {
        let signature = good.token.rsplit('.').next().unwrap_or_default();
        assert!(!line.contains(signature), "a record holds no token");
    }
    if let Response::Changed(edits) = exchange.handle_response(|_| None, false) {
        clean(&edits);
    }
    match step {
        Step::Hold(edits) => {
            assert_eq!(exchange.verdict(), None);
            if let Some(edits) = edits {
                gone(edits, request, true);
            }
            Outcome::Held
        }
        Step::Forward(forward) => {
            assert_eq!(exchange.verdict(), Some(Verdict::Permit));
            if code == "unprotected" {
                assert_ne!(request.path(), b"/mcp", "the endpoint is not elsewhere");
                gone(forward.edits(), request, false);
                return Outcome::Unprotected;
            }
            assert_eq!(code, "permitted");
            // Where the body alone is held, the head went before.
            if *forward.edits() != Edits::default() {
                gone(forward.edits(), request, true);
            }
            Outcome::Forwarded
        }
        Step::Ask(_) | Step::Spend(_) => panic!("no issuer is asked here, and no proof is good"),
        Step::Reply(reply) => {
            let verdict = exchange.verdict().expect("an answer is a verdict");
            assert!(!code.is_empty() && code != "permitted", "an answer has a code");
            answer(reply, code);
            match verdict {
                Verdict::Serve => Outcome::Served(code),
                Verdict::Deny => Outcome::Refused(code),
                Verdict::Permit => panic!("a permit is no answer"),
            }
        }
    }
}

/// The head that goes on has no credential, and of the gate's headers only the gate's.
fn gone(edits: &Edits, request: &Request, protected: bool) {
    clean(edits);
    for (name, _) in &request.head {
        let is_ours = name.len() > 11 && name.replace('_', "-").starts_with("x-mcp-gate-");
        let is_credential = protected && name == "authorization";
        let is_changed =
            edits.remove.iter().any(|removed| removed == name) || edits.set.iter().any(|(set, _)| set == name);
        assert!(is_changed || !(is_ours || is_credential), "`{name}` goes on");
    }
}

fn clean(edits: &Edits) {
    for (name, value) in edits.set.iter().chain(&edits.add) {
        assert!(!value.contains(char::is_control), "`{name}` has a value that no header may have");
    }
}

fn answer(reply: &Reply, code: &str) {
    assert!((200..600).contains(&reply.status), "a status");
    for (name, value) in &reply.headers {
        assert!(!value.contains(char::is_control), "`{name}` has a value that no header may have");
    }
    if reply.body.is_empty() || reply.status < 400 {
        return;
    }
    let body: Value = serde_json::from_str(&reply.body).expect("an answer is JSON");
    let said = if body["jsonrpc"] == "2.0" { &body["error"]["data"]["code"] } else { &body["code"] };
    assert!(said == code || said == "unauthorized", "the answer says {said}, the record {code}");
}
