//! Many requests at a time, over one connection and over many, and clients that
//! leave: each request is judged by itself, and has one record.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bytes::Bytes;
use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use crate::case::{Request, Run};
use crate::client::{self, writes};
use crate::process::PATIENCE;
use crate::wire::{Leaves, World, body, statuses};

/// The limit of `envoy/envoy.yaml`.
const STREAMS: usize = 100;
const CONNECTIONS: usize = 10;

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |name: &str, run: fn(&mut World) -> Result<(), String>| {
        Trial::test(format!("streams/{name}"), move || World::shared(&json!({}), run).map_err(Failed::from))
    };
    // With an Envoy that is configured in another way.
    let alone = |name: &str, run: fn() -> Result<(), String>| {
        Trial::test(format!("streams/{name}"), move || run().map_err(Failed::from))
    };
    vec![
        trial("HTTP-20 a thousand interleaved streams are judged each by itself", interleaved),
        trial("HTTP-20 pipelined requests are judged each by itself", pipelined),
        trial("HTTP-18 INV-6 a client that leaves leaves a record and no trap", leaving),
        alone("HTTP-18 a body that never ends is answered 408 and recorded", slow),
        trial("PW-05 what comes after an answer changes nothing", late),
        trial("PW-20 INV-6 requests, records and lines of the access log are as many", reconciled),
        alone("PW-03 INV-1 without the flag nothing goes on", without_the_flag),
        alone("PW-14 a request is decided by the configuration under which it began", in_flight),
    ]
}

/// Two at a time: where a third comes while two answers wait to be written, Envoy
/// takes it for a flood and closes the connection, with `-` in the access log.
fn pipelined(world: &mut World) -> Result<(), String> {
    let expected =
        |number: usize| if number.is_multiple_of(2) { (200, "permitted") } else { (403, "policy_undefined") };
    for numbers in [[0, 1], [1, 0], [0, 2], [1, 3]] {
        for framing in [Run::H1, Run::H1Chunked, Run::H1Trailers] {
            let calls: Vec<Vec<u8>> =
                numbers.iter().map(|number| writes(framing, &world.call(*number)).concat()).collect();
            let found = world.talk(&[&calls.concat()], Duration::ZERO, Leaves::Answered, numbers.len())?;
            let expected: Vec<_> = numbers.iter().map(|number| expected(*number)).collect();
            world.expect(&format!("{framing:?} {numbers:?}"), &statuses(&found), &expected)?;
        }
    }
    Ok(())
}

fn interleaved(world: &mut World) -> Result<(), String> {
    let (port, request) = (world.envoy.port, world.call(0));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answers = runtime.block_on(async {
        let connections: Vec<_> = (0..CONNECTIONS)
            .map(|connection| tokio::spawn(ask_all(port, request.clone(), connection * STREAMS)))
            .collect();
        let mut answers = Vec::new();
        for connection in connections {
            answers.extend(connection.await.map_err(|error| error.to_string())??);
        }
        Ok::<_, String>(answers)
    })?;
    for (index, (status, body)) in answers.iter().enumerate() {
        let expected = if index % 2 == 0 { 200 } else { 403 };
        let id = format!("\"id\":{index},");
        if *status != expected || (expected == 403 && !format!("{body},").replace('}', ",").contains(&id)) {
            return Err(format!("call {index}: expected {expected}, found {status}: {body}"));
        }
    }
    let codes = (0..answers.len()).map(|_| world.code()).collect::<Result<Vec<_>, _>>()?;
    let permitted = codes.iter().filter(|code| *code == "permitted").count();
    if (answers.len(), permitted) != (CONNECTIONS * STREAMS, CONNECTIONS * STREAMS / 2) {
        return Err(format!("{} answers, {permitted} records of permits", answers.len()));
    }
    world.envoy.no_line()?;
    world.upstream_got(permitted)
}

/// Begins all requests of a connection, sends their bodies in turn byte by byte,
/// and gives the answers in the order of the requests.
async fn ask_all(port: u16, request: Request, first: usize) -> Result<Vec<(u16, String)>, String> {
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.map_err(|error| error.to_string())?;
    let (mut sender, connection) = h2::client::handshake(stream).await.map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    let mut open = Vec::new();
    for number in first..first + STREAMS {
        let uri = format!("http://{}{}", String::from_utf8_lossy(&request.authority), request.path);
        let mut head = http::Request::post(uri).version(http::Version::HTTP_2);
        for (name, value) in &request.headers {
            head = head.header(name, value.as_slice());
        }
        sender = sender.ready().await.map_err(|error| error.to_string())?;
        let (response, stream) =
            sender.send_request(head.body(()).unwrap(), false).map_err(|error| error.to_string())?;
        open.push((response, stream, body(number)));
    }
    let longest = open.iter().map(|(_, _, body)| body.len()).max().unwrap_or_default();
    for at in 0..longest {
        for (_, stream, body) in &mut open {
            if let Some(byte) = body.get(at) {
                let piece = Bytes::copy_from_slice(&[*byte]);
                stream.send_data(piece, at + 1 == body.len()).map_err(|error| error.to_string())?;
            }
        }
        tokio::task::yield_now().await;
    }
    let mut answers = Vec::new();
    for (response, _, _) in open {
        let (head, mut body) = response.await.map_err(|error| error.to_string())?.into_parts();
        let mut text = Vec::new();
        while let Some(piece) = body.data().await {
            text.extend_from_slice(&piece.map_err(|error| error.to_string())?);
        }
        answers.push((head.status.as_u16(), String::from_utf8_lossy(&text).into_owned()));
    }
    Ok(answers)
}

/// In the middle of the body, with its last byte, by a reset, by closing one half.
fn leaving(world: &mut World) -> Result<(), String> {
    let length = format!("content-length: {}\r\n\r\n", body(0).len());
    let begun = [&world.head(), length.as_bytes(), &body(0)[..40]].concat();
    for leaves in [Leaves::AtOnce, Leaves::Half] {
        for _ in 0..20 {
            let found = world.talk(&[&begun], Duration::ZERO, leaves, 1)?;
            world.expect("in the middle", &statuses(&found), &[(0, "incomplete")])?;
        }
    }
    for framing in [Run::H2, Run::H1Chunked] {
        for (after, times) in [(0, 20), (40, 20), (body(0).len(), 20)] {
            for _ in 0..times {
                let request = Request { stops_after: Some(after), ..world.call(0) };
                client::send(world.envoy.port, framing, &request)?;
                world.expect(&format!("{framing:?} after {after}"), &[], &[(0, "incomplete")])?;
            }
        }
    }
    // With the last byte: decided or not, a record it has, and upstream no part.
    for number in [0, 1] {
        for _ in 0..20 {
            let whole = writes(Run::H1, &world.call(number)).concat();
            world.talk(&[&whole], Duration::ZERO, Leaves::AtOnce, 0)?;
            let code = world.code()?;
            if !["permitted", "incomplete", "policy_undefined"].contains(&code.as_str()) {
                return Err(format!("left with the last byte: {code}"));
            }
        }
    }
    world.upstream.take();
    let answer = client::send(world.envoy.port, Run::H1, &world.call(0))?.ok_or("no answer")?;
    world.expect("it serves", &[answer.status], &[(200, "permitted")])
}

fn slow() -> Result<(), String> {
    let mut world = World::start_changed(&json!({}), |bootstrap, _| {
        assert!(bootstrap.contains("request_timeout: 30s"));
        *bootstrap = bootstrap.replace("request_timeout: 30s", "request_timeout: 1s");
    })?;
    let length = format!("content-length: {}\r\n\r\n", body(0).len());
    let head = [world.head(), length.into_bytes()].concat();
    let begun = [&head, &body(0)[..40]].concat();
    let found = world.talk(&[&begun], Duration::ZERO, Leaves::Answered, 1)?;
    world.expect("it stops", &statuses(&found), &[(408, "incomplete")])?;
    let call = body(0);
    let mut pieces = vec![head.as_slice()];
    pieces.extend(call.chunks(1));
    let found = world.talk(&pieces, Duration::from_millis(100), Leaves::Answered, 1)?;
    world.expect("byte by byte", &statuses(&found), &[(408, "incomplete")])?;
    world.no_trap()
}

/// Refused at the head, with the body still to come.
fn late(world: &mut World) -> Result<(), String> {
    let strip = |request: Request| {
        let headers = request.headers.into_iter().filter(|(name, _)| name != "authorization");
        Request { headers: headers.collect(), ..request }
    };
    let head = writes(Run::H1, &strip(Request { body: Some(vec![b' '; 100_000]), ..world.call(0) })).concat();
    let (first, second) = head.split_at(head.len() - 90_000);
    let found = world.talk(&[first, second], Duration::from_millis(100), Leaves::Answered, 2)?;
    world.expect("HTTP/1.1", &statuses(&found), &[(401, "credential_missing")])?;

    let request = strip(world.call(0));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let statuses = runtime.block_on(async {
        let asked = tokio::time::timeout(PATIENCE, answered_early(world.envoy.port, &request));
        asked.await.unwrap_or_else(|_| Err("HTTP/2: no answer in time".into()))
    })?;
    world.expect("HTTP/2", &statuses, &[(401, "credential_missing")])?;
    // Refused for the size of its body, which goes on.
    let large = Request { body: Some(vec![b' '; 1_500_000]), ..world.call(0) };
    for framing in [Run::H1Chunked, Run::H2] {
        let answer = client::send(world.envoy.port, framing, &large)?.ok_or("no answer")?;
        world.expect("a large body", &[answer.status], &[(413, "body_too_large")])?;
    }
    Ok(())
}

/// Waits for the answer, then sends the body.
async fn answered_early(port: u16, request: &Request) -> Result<Vec<u16>, String> {
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.map_err(|error| error.to_string())?;
    let (mut sender, connection) = h2::client::handshake(stream).await.map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    let uri = format!("http://{}{}", String::from_utf8_lossy(&request.authority), request.path);
    let head = http::Request::post(uri).header("content-type", "application/json").body(()).unwrap();
    let (response, mut body) = sender.send_request(head, false).map_err(|error| error.to_string())?;
    let mut response = response.await.map_err(|error| error.to_string())?;
    while let Some(Ok(_)) = response.body_mut().data().await {}
    // Envoy has closed the stream, or takes what comes and drops it.
    for _ in 0..10 {
        let _ = body.send_data(Bytes::from_static(b"0123456789"), false);
        tokio::task::yield_now().await;
    }
    let _ = body.send_data(Bytes::new(), true);
    tokio::time::sleep(Duration::from_millis(100)).await;
    Ok(vec![response.status().as_u16()])
}

/// Of each way to end there are some; each has one line, and each line is of one.
fn reconciled(world: &mut World) -> Result<(), String> {
    let mut counts = std::collections::BTreeMap::<&str, usize>::new();
    for round in 0..10 {
        let bad = Request { body: Some(b"[]".to_vec()), ..world.call(0) };
        let large = Request { body: Some(vec![b' '; 300_000]), ..world.call(0) };
        let cut = Request { stops_after: Some(10), ..world.call(0) };
        let elsewhere = Request { path: "/other".into(), ..world.call(0) };
        let framing = if round % 2 == 0 { Run::H1 } else { Run::H2 };
        for (request, code) in [
            (world.call(0), "permitted"),
            (world.call(1), "policy_undefined"),
            (bad, "batch_refused"),
            (large, "body_too_large"),
            (cut, "incomplete"),
            (elsewhere, "resource_unknown"),
        ] {
            client::send(world.envoy.port, framing, &request)?;
            *counts.entry(code).or_default() += 1;
        }
        // Not HTTP at all: Envoy's own answer, and a record that it came to nothing.
        world.talk(&[b"nonsense\r\n\r\n"], Duration::ZERO, Leaves::Answered, 1)?;
        *counts.entry("incomplete").or_default() += 1;
    }
    let mut found = std::collections::BTreeMap::<String, usize>::new();
    let total: usize = counts.values().sum();
    for _ in 0..total {
        *found.entry(world.code()?).or_default() += 1;
    }
    world.envoy.no_line()?;
    let expected: std::collections::BTreeMap<String, usize> =
        counts.into_iter().map(|(code, count)| (code.to_owned(), count)).collect();
    if found != expected {
        return Err(format!("expected {expected:?}, found {found:?}"));
    }
    world.upstream_got(10)
}

/// Envoy then delivers no body to a module that waits for one: `mcp-gate check`
/// refuses such a configuration, and if it runs, nothing leaves.
fn without_the_flag() -> Result<(), String> {
    let mut world = World::start_changed(&json!({}), |_, filter| {
        let config: &mut Value = &mut filter["resources"][0]["typed_config"]["config"];
        config["allow_on_headers_stop_iteration"] = false.into();
    })?;
    let whole = writes(Run::H1, &world.call(0)).concat();
    let stream = TcpStream::connect(("127.0.0.1", world.envoy.port)).map_err(|error| error.to_string())?;
    stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    (&stream).write_all(&whole).map_err(|error| error.to_string())?;
    let answer = (&stream).read(&mut [0; 1024]);
    if answer.is_ok() {
        return Err("expected no answer within a second, found one".into());
    }
    drop(stream);
    world.expect("without the flag", &[], &[(0, "incomplete")])
}

/// Held while the configuration changes, from one that allows to one that denies
/// and back.
fn in_flight() -> Result<(), String> {
    let policy = |allow: bool| {
        let rego = format!("package mcp.authz\n\nallow := {allow} if input.identity.subject\n");
        json!({"policy": {"modules": {"authz.rego": rego}}})
    };
    let mut world = World::start(&policy(true))?;
    let length = format!("content-length: {}\r\n\r\n", body(0).len());
    let begun = [&world.head(), length.as_bytes(), &body(0)[..40]].concat();
    for (old, expected, next) in [(true, (200, "permitted"), 403), (false, (403, "policy_denied"), 200)] {
        let mut held = Vec::new();
        for _ in 0..20 {
            let stream = TcpStream::connect(("127.0.0.1", world.envoy.port)).map_err(|error| error.to_string())?;
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            (&stream).write_all(&begun).map_err(|error| error.to_string())?;
            held.push(stream);
        }
        // They are in the module before the configuration goes.
        world.envoy.wait_until("all are held", |envoy| envoy.stat("http.mcp.downstream_rq_active") >= 20)?;
        world.configure(&policy(!old));
        let request = world.call(0);
        let start = Instant::now();
        while client::send(world.envoy.port, Run::H1, &request)?.is_none_or(|answer| answer.status != next) {
            world.code()?;
            if start.elapsed() > PATIENCE {
                return Err("the new configuration does not come".into());
            }
        }
        world.code()?;
        world.upstream.take();
        for stream in held {
            (&stream).write_all(&body(0)[40..]).map_err(|error| error.to_string())?;
            let mut answer = [0; 12];
            (&stream).read_exact(&mut answer).map_err(|error| error.to_string())?;
            let status = String::from_utf8_lossy(&answer[9..]).parse().unwrap_or_default();
            world.expect("held", &[status], &[expected])?;
        }
    }
    world.no_trap()
}
