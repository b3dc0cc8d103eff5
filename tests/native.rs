//! Cases through the core as it is: no Envoy, no module, a fixed clock.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use libtest_mimic::{Failed, Trial};
use mcp_gate::config;
use mcp_gate::gate::{Exchange, Gate, Step as Next};
use mcp_gate::http::{Edits, Head};
use mcp_gate::outbound::Answer;
use mcp_gate::policy::Peer;
use mcp_gate::record::Verdict;
use mcp_gate::replay::{self, Replay, Spend};
use mcp_gate::token::seconds;
use prost::Message as _;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct};
use serde_json::Value;

use crate::case::{AUTHORITY, Case, Expect, File, Request, Run, Session, Step};
use crate::check::{Outcome, check};
use crate::keys::{Keys, surroundings};

/// 2026-11-23.
pub(crate) const NOW: u64 = 1_795_392_000;

pub(crate) fn trials(files: &[File]) -> Vec<Trial> {
    let trials = files.iter().cloned().map(|file| {
        let name = format!("native/{}", file.name);
        Trial::test(name, move || run(&file).map_err(Failed::from))
    });
    trials.collect()
}

fn run(file: &File) -> Result<(), String> {
    let case = file.case(AUTHORITY)?;
    if !case.runs.contains(&Run::Native) {
        return Ok(());
    }
    crate::envoy::COUNTS.native();
    let configuration = Keys::shared().configuration(&case.given, AUTHORITY);
    // As Envoy hands it over, and as JSON, which some control planes send.
    let forms = [structure(&configuration), configuration.to_string().into_bytes()];
    if let Some(Step { expect: Expect::Refused(expected), .. }) = case.steps.first() {
        return refused(&forms[0], expected);
    }
    if config::document(&forms[0]) != config::document(&forms[1]) {
        return Err("expected one document of both forms, found two".into());
    }
    // One worker compiles it, and another takes that over.
    let (gate, taken) = match configuration {
        Value::Null => (None, None),
        _ => both(&forms[0]).map(|(gate, taken)| (Some(Rc::new(gate)), Some(Rc::new(taken))))?,
    };
    steps(&case, gate.as_ref(), false)?;
    steps(&case, taken.as_ref(), true)
}

/// The gate of a worker that compiles a configuration, and that of one to which it is handed on. Of
/// cases that share a configuration, the first has it compiled.
fn both(configuration: &[u8]) -> Result<(Gate, Gate), String> {
    static SHARED: Mutex<BTreeMap<Vec<u8>, Arc<[u8]>>> = Mutex::new(BTreeMap::new());
    let surroundings = surroundings();
    let take_over =
        |shared: &[u8]| config::take_over(configuration, shared, &surroundings).ok_or("it was not taken over");
    let known = SHARED.lock().unwrap().get(configuration).cloned();
    if let Some(shared) = known {
        return Ok((take_over(&shared)?, take_over(&shared)?));
    }
    let loaded = config::load_to_share(configuration, &surroundings).map_err(|findings| format!("{findings:?}"))?;
    let (gate, Some(shared)) = loaded else { return Err("nothing was shared".into()) };
    let taken = take_over(&shared)?;
    let names = |gate: &Gate| (gate.configuration.clone(), gate.policy.revision().to_owned(), gate.policy.evaluator());
    if names(&gate) != names(&taken) {
        return Err(format!("expected {:?}, found {:?}", names(&gate), names(&taken)));
    }
    SHARED.lock().unwrap().insert(configuration.to_vec(), shared.into());
    Ok((gate, taken))
}

fn refused(configuration: &[u8], expected: &[String]) -> Result<(), String> {
    let found = match config::load(configuration, &surroundings()) {
        Ok(_) => return Err("expected findings, found a good configuration".into()),
        Err(findings) => findings.iter().map(ToString::to_string).collect::<Vec<_>>(),
    };
    let same = found.len() == expected.len()
        && found.iter().zip(expected).all(|(found, expected)| found.starts_with(expected));
    if same { Ok(()) } else { Err(format!("expected {expected:#?}, found {found:#?}")) }
}

/// A configuration as a `google.protobuf.Struct`; what is no object, as JSON.
fn structure(configuration: &Value) -> Vec<u8> {
    match value(configuration).kind {
        Some(Kind::StructValue(members)) => members.encode_to_vec(),
        _ => configuration.to_string().into_bytes(),
    }
}

fn value(json: &Value) -> prost_types::Value {
    let kind = match json {
        Value::Null => Kind::NullValue(0),
        Value::Bool(bool) => Kind::BoolValue(*bool),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap()),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(items) => Kind::ListValue(ListValue { values: items.iter().map(value).collect() }),
        Value::Object(members) => {
            let fields = members.iter().map(|(name, member)| (name.clone(), value(member)));
            Kind::StructValue(Struct { fields: fields.collect() })
        }
    };
    prost_types::Value { kind: Some(kind) }
}

fn steps(case: &Case, gate: Option<&Rc<Gate>>, pieces: bool) -> Result<(), String> {
    let mut session = Session::default();
    let mut problems = Vec::new();
    for (index, step) in case.steps.iter().enumerate() {
        let request = session.request(step, Keys::shared(), AUTHORITY, NOW);
        if !step.runs_in(Run::Native) {
            continue;
        }
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW + step.at);
        let result = exchange(gate.cloned(), &request, now, pieces);
        let result = result.inspect(|(outcome, _)| session.learn(outcome));
        let result = result.and_then(|(outcome, record)| check(step, &request, &outcome, Some(&record)));
        problems.extend(result.err().map(|problem| format!("{}: {problem}", step.label(index))));
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
}

/// One request: its body with a length and as a whole, or without and announced
/// byte by byte.
pub(crate) fn exchange(
    gate: Option<Rc<Gate>>,
    request: &Request,
    now: SystemTime,
    pieces: bool,
) -> Result<(Outcome, Value), String> {
    let mut exchange = Exchange::new(gate, "0123456789abcdef".into());
    let mut head = head(request);
    let length = request.body.as_ref().map(Vec::len).filter(|_| !pieces);
    let has_length = head.iter().any(|(name, _)| name == "content-length");
    head.extend(
        length.filter(|_| !has_length).map(|length| ("content-length".into(), length.to_string().into_bytes())),
    );
    let peer = Peer { certificate: request.certificate.clone(), ..Peer::default() };
    let mut step = exchange.handle_head(Head::new(head.clone()), request.body.is_none(), peer, now);
    if let Next::Ask(outbound) = &step {
        if format!("{outbound:?}").contains("token=") {
            return Err("a question shows its token".into());
        }
        let answer = request.answer.clone().map(|(status, content_type, body)| {
            let headers = [(":status", status.to_string()), ("content-type", content_type)];
            let headers = headers.map(|(name, value)| (name.to_owned(), value.into_bytes())).to_vec();
            Answer::new(headers, body.into_bytes())
        });
        step = exchange.handle_answer(answer.ok_or_else(|| "no answer".into()), now);
    }
    if let Next::Spend(proof) = &step {
        step = exchange.handle_spent(spend(proof, now), now);
    }
    if let Next::Hold(Some(edits)) = &step {
        apply(edits, &mut head);
    }
    if let (Next::Hold(_), Some(body)) = (&step, &request.body) {
        let arrives = request.stops_after.unwrap_or(body.len());
        // As a whole, the size is seen with the body alone.
        let announced = if pieces { arrives } else { 0 };
        // Refused as soon as it is too much, and not before.
        let refused = (1..=announced).find_map(|size| exchange.handle_size(size));
        match refused {
            Some(refused) => step = refused,
            None if request.stops_after.is_none() => step = exchange.handle_body(body, now),
            None => {}
        }
    }
    let _ = exchange.compare(|| now);
    let (code, line) = exchange.record(now);
    let record: Value = serde_json::from_str(&line).map_err(|error| format!("record `{line}`: {error}"))?;
    if record["code"] != code || line.contains('\n') {
        return Err(format!("the record {line} is not one line of code `{code}`"));
    }
    let verdict = match (&step, &record["decision"]) {
        (Next::Hold(_) | Next::Ask(_) | Next::Spend(_), _) => None,
        (Next::Forward(_), _) => Some(Verdict::Permit),
        (Next::Reply(_), Value::String(decision)) if decision == "serve" => Some(Verdict::Serve),
        (Next::Reply(_), _) => Some(Verdict::Deny),
    };
    if exchange.verdict() != verdict {
        return Err(format!("expected the verdict {verdict:?}, found {:?}", exchange.verdict()));
    }
    let outcome = match step {
        Next::Hold(_) | Next::Ask(_) | Next::Spend(_) => Outcome::Unanswered,
        Next::Reply(reply) => {
            let headers = reply.headers.into_iter().map(|(name, value)| (name.to_owned(), value.into_bytes()));
            Outcome::Reply { status: reply.status, headers: headers.collect(), body: reply.body.into_bytes() }
        }
        Next::Forward(forward) => {
            apply(forward.edits(), &mut head);
            Outcome::Forward { headers: head, body: request.body.clone().unwrap_or_default() }
        }
    };
    Ok((outcome, record))
}

/// What the workers of a proxy share; no two proofs of a run are one.
fn spend(proof: &Spend, now: SystemTime) -> Result<(), Replay> {
    static SHARDS: Mutex<BTreeMap<usize, Vec<u8>>> = Mutex::new(BTreeMap::new());
    let mut shards = SHARDS.lock().unwrap();
    let shard = replay::shard_of(proof);
    let next = replay::spend(shards.get(&shard).map(Vec::as_slice), proof, seconds(now))?;
    shards.insert(shard, next);
    Ok(())
}

fn apply(edits: &Edits, head: &mut Vec<(String, Vec<u8>)>) {
    head.retain(|(name, _)| !edits.remove.iter().any(|removed| removed == name));
    head.retain(|(name, _)| edits.set.iter().all(|(set, _)| set != name));
    let set = edits.set.iter().chain(&edits.add);
    head.extend(set.map(|(name, value)| ((*name).to_owned(), value.clone().into_bytes())));
}

/// The head as Envoy hands it over.
pub(crate) fn head(request: &Request) -> Vec<(String, Vec<u8>)> {
    let mut head = vec![
        (":authority".to_owned(), request.authority.clone()),
        (":path".to_owned(), request.path.clone().into_bytes()),
        (":method".to_owned(), request.method.clone().into_bytes()),
        (":scheme".to_owned(), b"http".to_vec()),
    ];
    head.extend(request.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())));
    head
}
