//! What callers are answered while the keys of an issuer come and go: the core alone, in
//! virtual time, with a key server that answers as it is told.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use libtest_mimic::{Failed, Trial};
use mcp_gate::config::{self, Surroundings};
use mcp_gate::gate::Gate;
use mcp_gate::outbound::Answer;
use mcp_gate::source::Step;
use serde_json::{Value, json};

use crate::case::{AUTHORITY, Request, Session, merge};
use crate::fetching::url;
use crate::keys::Keys;
use crate::native::{self, NOW};

pub(crate) fn trials() -> Vec<Trial> {
    let name = "key_life/JWK-06 JWK-07 JWK-08 JWK-10 a token before its key is there, with it, and after it is gone";
    vec![Trial::test(name, || run().map_err(Failed::from))]
}

/// Does what the source of a gate's first issuer says at `now`; its calls are answered so.
/// How many there were?
fn fetch(gate: &Gate, shared: &mut HashMap<String, Vec<u8>>, now: SystemTime, answer: Option<&Value>) -> usize {
    let source = gate.resources[0].acceptance.issuers[0].source.as_ref().expect("a source");
    let (mut step, mut calls) = (source.poll(1, now), 0);
    loop {
        step = match step {
            Step::Rest => return calls,
            Step::Look => source.handle_lease(shared.get(&source.lease_key()).map(Vec::as_slice), now),
            Step::Read => source.handle_documents(shared.get(&source.documents_key()).map(Vec::as_slice), now),
            Step::Write(write) => {
                shared.extend(write.documents.map(|documents| (source.documents_key(), documents)));
                shared.insert(source.lease_key(), write.lease);
                source.handle_written(true, now)
            }
            Step::Send(id, _) => {
                calls += 1;
                let headers = [(":status", "200"), ("content-type", "application/json")];
                let headers = headers.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).to_vec();
                let answer = answer.map(|keys| Answer::new(headers, keys.to_string().into_bytes()));
                source.handle_answer(id, answer.ok_or_else(|| "no answer".into()), now)
            }
        };
    }
}

fn run() -> Result<(), String> {
    let given = json!({
        "issuers": [{"name": "demo", "issuer": "https://as.example.com", "jwks": url(8000, 300, 600)}],
        "policy": {"modules": {"authz.rego": "package mcp.authz\n\nallow if input.identity.subject\n"}},
    });
    let configuration = Keys::shared().configuration(&given, AUTHORITY);
    let gate = config::load_document(configuration, &Surroundings::offline()).map_err(|found| format!("{found:?}"))?;
    let (gate, mut shared) = (Rc::new(gate), HashMap::new());
    let at = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(NOW + seconds);
    let request = |step: &Value| {
        let mut whole = json!({"token": {"exp": "now+7200"}, "expect": {"unanswered": {}}});
        merge(&mut whole, step);
        let step = serde_json::from_value(whole).unwrap();
        Session::default().request(&step, Keys::shared(), AUTHORITY, NOW)
    };
    let old = request(&json!({}));
    let new = request(&json!({"sign_with": "other", "token_header": {"kid": "other"}}));
    let expect = |what: &str, request: &Request, seconds: u64, expected: &str| {
        let (_, record) = native::exchange(Some(Rc::clone(&gate)), request, at(seconds), false)?;
        match record["code"] == expected {
            true => Ok(()),
            false => Err(format!("{what}: expected {expected} after {seconds} s, found {record}")),
        }
    };
    let set = |names: &[&str]| json!({"keys": names.iter().map(|name| Keys::shared().jwk(name)).collect::<Vec<_>>()});
    expect("no keys yet", &old, 0, "keys_unavailable")?;
    fetch(&gate, &mut shared, at(0), Some(&set(&["es256"])));
    expect("the old key", &old, 0, "permitted")?;
    // The first token that names it; then a thousand that name others.
    expect("an unknown key", &new, 60, "token_key_unknown")?;
    if fetch(&gate, &mut shared, at(60), Some(&set(&["es256", "other"]))) != 1 {
        return Err("expected a fetch for an unknown key".into());
    }
    expect("both keys", &new, 60, "permitted")?;
    expect("both keys", &old, 60, "permitted")?;
    let mut calls = 0;
    for number in 0..1000 {
        let kid = format!("k{number}");
        let unknown = request(&json!({"sign_with": "none", "token_header": {"alg": "ES256", "kid": kid}}));
        expect("an unknown key", &unknown, 61 + number / 100, "token_key_unknown")?;
        calls += fetch(&gate, &mut shared, at(61 + number / 100), Some(&set(&["es256", "other"])));
    }
    if calls != 0 {
        return Err(format!("expected no fetch within the cool-down, found {calls}"));
    }
    expect("both keys", &old, 71, "permitted")?;
    // The old one goes: what was remembered goes with it, within `refresh` and a tenth.
    fetch(&gate, &mut shared, at(91), Some(&set(&["es256", "other"])));
    expect("before the bound", &old, 91 + 269, "permitted")?;
    fetch(&gate, &mut shared, at(91 + 331), Some(&set(&["other"])));
    expect("after the bound", &old, 91 + 331, "token_key_unknown")?;
    expect("after the bound", &new, 91 + 331, "permitted")?;
    // No answer any more. The last good keys stay for 600 seconds, and not one longer.
    fetch(&gate, &mut shared, at(422 + 600), None);
    expect("the last good keys", &new, 422 + 600, "permitted")?;
    fetch(&gate, &mut shared, at(422 + 601), None);
    expect("keys that are too old", &new, 422 + 601, "keys_unavailable")?;
    fetch(&gate, &mut shared, at(422 + 602), Some(&set(&["other"])));
    expect("the server's return", &new, 422 + 602, "permitted")
}
