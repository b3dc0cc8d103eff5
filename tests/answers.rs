//! Answers of the server: streams, which end with the token that opened them, and
//! what becomes of each head.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, SystemTime};

use libtest_mimic::{Failed, Trial};
use mcp_gate::config;
use mcp_gate::gate::{Exchange, Flow, Response, Step};
use mcp_gate::http::Head;
use mcp_gate::policy::Peer;
use serde_json::{Value, json};

use crate::case::{AUTHORITY, Request, Run, SESSION, alice, merge};
use crate::client::{self, writes};
use crate::keys::{sealed, surroundings};
use crate::native::{self, NOW};
use crate::process::PATIENCE;
use crate::sessions::{WAYS, World, call, configuration, keys, meta, request};

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |name: &str, run: fn() -> Result<(), String>| {
        Trial::test(format!("answers/{name}"), move || run().map_err(Failed::from))
    };
    vec![
        trial("SESS-08 a stream ends with its token", ended),
        trial("SESS-08 a message that comes late is not cut", late),
        trial("SESS-08 PW-12 after a trap nothing more comes in a stream that was open", trapped),
        trial("SESS-01 SESS-08 SESS-11 what becomes of an answer, to the second", natively),
    ]
}

/// A token that is good for so many seconds from now on, less what is left of this one,
/// and when it is over.
fn brief(seconds: u64) -> (Value, SystemTime) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let expires = now + seconds;
    (json!({"exp": expires}), SystemTime::UNIX_EPOCH + Duration::from_secs(expires))
}

/// With a tick of the gate, and a machine with other things to do.
const LATEST: Duration = Duration::from_secs(4);

fn ended() -> Result<(), String> {
    let mut world = World::start(&keys(&[1]))?;
    let (token, expires) = brief(8);
    let port = world.envoy.port;
    let mut streams = Vec::new();
    for way in WAYS {
        for (method, test) in [("GET", "stream"), ("GET", "ticks"), ("POST", "stream"), ("POST", "ticks")] {
            let request = world.request(method, &[("x-test", test)], call(), &token);
            let what = format!("{way:?}, {method}, {test}");
            let read = move || if way == Run::H1 { read_h1(port, &request) } else { read_h2(port, &request) };
            streams.push((what, thread::spawn(move || read().map(|text| (text, SystemTime::now())))));
        }
    }
    let count = streams.len();
    // Some ticks are those of a configuration that is none any more.
    world
        .envoy
        .wait_until("the streams are open", |envoy| envoy.stat("http.mcp.downstream_rq_active") >= count as u64)?;
    world.configure_unasked(&json!({"policy": {"data": {"another": true}}}))?;
    if SystemTime::now() >= expires {
        return Err("too slow to show anything".into());
    }
    for (what, stream) in streams {
        let (text, end) = stream.join().unwrap().map_err(|error| format!("{what}: {error}"))?;
        let late = end.duration_since(expires);
        let late = late.map_err(|early| format!("{what}: ended {:?} before its token", early.duration()))?;
        if late > LATEST || !text.contains("data: {}") {
            return Err(format!("{what}: ended {late:?} after its token, with {text:?}"));
        }
        let record: Value = serde_json::from_str(&world.envoy.next_line()?).unwrap_or_default();
        let detail = record["detail"].as_str().unwrap_or_default();
        if record["code"] != "permitted" || !detail.starts_with("stream_ended") {
            return Err(format!("{what}: found {record}"));
        }
    }
    let server = &world.server;
    world.envoy.wait_until("the server's ends are closed", |_| server.closed() == count)?;
    let ended = world.envoy.stat("mcp_gate_streams_ended");
    if ended != count as u64 {
        return Err(format!("expected {count} streams ended, found {ended}"));
    }
    // One that its client leaves is not one that was ended.
    let (token, _) = brief(300);
    let request = world.request("GET", &[("x-test", "stream")], call(), &token);
    let mut stream = TcpStream::connect(("127.0.0.1", world.envoy.port)).map_err(|error| error.to_string())?;
    stream.write_all(&writes(Run::H1, &request).concat()).map_err(|error| error.to_string())?;
    let _ = stream.read(&mut [0; 64]);
    drop(stream);
    let record: Value = serde_json::from_str(&world.envoy.next_line()?).unwrap_or_default();
    if record.get("detail").is_some() || world.envoy.stat("mcp_gate_streams_ended") != count as u64 {
        return Err(format!("left: found {record}"));
    }
    world.no_trap()
}

fn late() -> Result<(), String> {
    let mut world = World::start(&keys(&[1]))?;
    for way in WAYS {
        let id = world.open(way, &json!({}))?;
        // As long as the server waits: over when its answer comes, however slowly it was asked.
        let (token, expires) = brief(3);
        let request = world.request("POST", &[("x-test", "late"), ("mcp-session-id", &id)], call(), &token);
        let (response, record) = world.send(way, &request)?;
        if response.status != 200 || SystemTime::now() < expires || record.get("detail").is_some() {
            return Err(format!("{way:?}: found {}, {record}", response.status));
        }
    }
    world.no_trap()
}

/// A module that trapped looks at no time. Envoy lets no further piece pass it: a stream
/// in which something comes is over, one in which nothing comes stays empty until
/// Envoy's idle limit.
fn trapped() -> Result<(), String> {
    let mut world = World::start_trapping()?;
    let (token, _) = brief(300);
    let port = world.envoy.port;
    let mut streams = Vec::new();
    for way in WAYS {
        for test in ["pause", "ticks"] {
            let request = world.request("GET", &[("x-test", test)], call(), &token);
            let read = move || if way == Run::H1 { read_h1(port, &request) } else { read_h2(port, &request) };
            streams.push((way, test, thread::spawn(move || read().map(|text| (text, SystemTime::now())))));
        }
    }
    let (count, mut seen) = (streams.len(), 0);
    let server = &world.server;
    world.envoy.wait_until("the streams are open", |_| {
        seen += server.take().len();
        seen >= count
    })?;
    // Their answers have begun by then.
    thread::sleep(Duration::from_millis(500));
    let trap = SystemTime::now();
    let request = world.request("POST", &[("x-trap", "headers")], call(), &token);
    let answer = client::send(port, Run::H1, &request)?.ok_or("no answer")?;
    if answer.status != 503 {
        return Err(format!("the trap: found {}", answer.status));
    }
    // Another one serves in its place; it does not know them. Envoy waits a second before it is there.
    let served = (0..3).any(|_| {
        thread::sleep(Duration::from_millis(1500));
        let request = world.request("POST", &[], call(), &token);
        matches!(client::send(port, Run::H1, &request), Ok(Some(answer)) if answer.status == 400)
    });
    if !served {
        return Err("the gate does not come back".into());
    }
    for (way, test, stream) in streams {
        let (text, end) = stream.join().unwrap().map_err(|error| format!("{way:?}, {test}: {error}"))?;
        let pieces = text.matches("data: {}").count();
        let after = end.duration_since(trap).unwrap_or_default();
        // Of the one that pauses, the first piece alone came before the trap; the one that
        // ticks is over with the next piece.
        let is_over = if test == "pause" { pieces == 1 } else { pieces > 0 && after < LATEST };
        if !is_over || end < trap {
            return Err(format!("{way:?}, {test}: ended {after:?} after the trap, with {pieces} pieces"));
        }
    }
    Ok(())
}

/// The same without Envoy: each kind of answer to each kind of request.
fn natively() -> Result<(), String> {
    let mut given = configuration(&keys(&[1]), AUTHORITY);
    merge(&mut given, &json!({"elsewhere": "pass"}));
    let gate = config::load_document(given, &surroundings()).map_err(|findings| format!("{findings:?}"))?;
    let gate = Rc::new(gate);
    let at = |second: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(second);
    let resource = format!("http://{AUTHORITY}/mcp");
    let (own, long) = (sealed(1, SESSION, &alice(&resource)), "x".repeat(992));
    let minted = sealed(1, "minted", &alice(&resource));
    let modern = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", "x")];
    let exchange = |path: &str, headers: &[(&str, &str)]| {
        let mut body = call();
        if headers.contains(&modern[0]) {
            body["params"]["_meta"] = meta();
        }
        let request = request(AUTHORITY, "POST", headers, body, &json!({"exp": NOW + 10}), NOW);
        let request = Request { path: path.into(), ..request };
        let mut exchange = Exchange::new(Some(Rc::clone(&gate)), "d".into());
        let head = Head::new(native::head(&request));
        let step = exchange.handle_head(head, false, Peer::default(), at(NOW));
        if matches!(step, Step::Hold(_)) {
            let _ = exchange.handle_body(&request.body.unwrap_or_default(), at(NOW));
        }
        exchange
    };
    // What the request has, what the answer has, whether it ends with its head, and what becomes of the id; when it ends.
    let session = ("mcp-session-id", own.as_str());
    type Case<'a> = (&'a [(&'a str, &'a str)], Option<&'a str>, &'a str, bool, Option<&'a str>, bool);
    let cases: [Case<'_>; 9] = [
        (&[], None, "application/json", false, None, false),
        (&[], Some("minted"), "text/event-stream", false, Some(&minted), true),
        (&[session], Some(SESSION), "text/event-stream", true, Some(&own), false),
        (&[session], Some("minted"), "Application/JSON; charset=utf-8", false, Some(&minted), false),
        (&[session], None, "", false, None, true),
        (&[], Some(&long), "text/event-stream", false, Some("502"), false),
        (&[], Some(""), "application/json", false, Some("502"), false),
        (&modern, Some("minted"), "text/event-stream", false, Some(""), true),
        (&modern, None, "application/json", false, Some(""), false),
    ];
    for (headers, id, media_type, end, becomes, has_end) in cases {
        let mut exchange = exchange("/mcp", headers);
        let answer = |name: &str| match name {
            "mcp-session-id" => id.map(|id| id.as_bytes().to_vec()),
            "content-type" => Some(media_type.as_bytes().to_vec()),
            _ => None,
        };
        let found = match exchange.handle_response(answer, end) {
            Response::Untouched => None,
            Response::Refused(reply) => Some(reply.status.to_string()),
            Response::Changed(edits) if edits.remove == ["mcp-session-id"] && edits.set.is_empty() => {
                Some(String::new())
            }
            Response::Changed(edits) | Response::Held(edits) => {
                edits.set.iter().find(|(name, _)| *name == "mcp-session-id").map(|set| set.1.clone())
            }
        };
        let ends = exchange.ends();
        let flows = [NOW + 9, NOW + 10, NOW + 11].map(|second| exchange.handle_stream(at(second)));
        let expected = if has_end { [Flow::Goes, Flow::Ends, Flow::Goes] } else { [Flow::Goes; 3] };
        if found.as_deref() != becomes || ends != has_end.then(|| at(NOW + 10)) || flows != expected {
            return Err(format!("{headers:?}, {id:?}, {media_type}: found {found:?}, {ends:?}, {flows:?}"));
        }
    }
    // What is no resource's, and what was denied, is nobody's session.
    for (path, headers) in [("/elsewhere", [].as_slice()), ("/mcp", &[("mcp-session-id", "x")])] {
        let mut exchange = exchange(path, headers);
        let asked = std::cell::Cell::new(false);
        let answer = |_: &str| {
            asked.set(true);
            Some(b"minted".to_vec())
        };
        if !matches!(exchange.handle_response(answer, false), Response::Untouched)
            || exchange.ends().is_some()
            || asked.get()
        {
            return Err(format!("{path}: expected an answer that is untouched"));
        }
    }
    Ok(())
}

/// What came until the end.
fn read_h1(port: u16, request: &Request) -> Result<String, String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).map_err(|error| error.to_string())?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&writes(Run::H1, request).concat()).map_err(|error| error.to_string())?;
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
            Err(error) => return Err(format!("{error} after {:?}", String::from_utf8_lossy(&bytes))),
        }
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    // A chunk of no bytes would say that all is there.
    if text.ends_with("0\r\n\r\n") { Err(format!("ended as if complete: {text}")) } else { Ok(text) }
}

fn read_h2(port: u16, request: &Request) -> Result<String, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let read = tokio::time::timeout(PATIENCE, read_stream(port, request));
        read.await.unwrap_or_else(|_| Err("it does not end".into()))
    })
}

async fn read_stream(port: u16, request: &Request) -> Result<String, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.map_err(|error| text(&error))?;
    let (mut sender, connection) = h2::client::handshake(stream).await.map_err(|error| text(&error))?;
    tokio::spawn(connection);
    let uri = format!("http://{}{}", String::from_utf8_lossy(&request.authority), request.path);
    let mut head = http::Request::builder().version(http::Version::HTTP_2).method(request.method.as_str()).uri(uri);
    for (name, value) in &request.headers {
        head = head.header(name, value.as_slice());
    }
    let head = head.body(()).map_err(|error| text(&error))?;
    let (response, mut body) = sender.send_request(head, request.body.is_none()).map_err(|error| text(&error))?;
    if let Some(bytes) = &request.body {
        body.send_data(bytes.clone().into(), true).map_err(|error| text(&error))?;
    }
    let mut stream = response.await.map_err(|error| text(&error))?.into_body();
    let mut bytes = Vec::new();
    while let Some(piece) = stream.data().await {
        match piece {
            Ok(piece) => {
                let _ = stream.flow_control().release_capacity(piece.len());
                bytes.extend_from_slice(&piece);
            }
            Err(error) if error.is_reset() => return Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) => return Err(text(&error)),
        }
    }
    Err(format!("ended as if complete: {:?}", String::from_utf8_lossy(&bytes)))
}
