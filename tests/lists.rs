//! Lists in the answers of servers: each caller sees what that caller may call,
//! natively and through a real Envoy.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime};

use libtest_mimic::{Failed, Trial};
use mcp_gate::config;
use mcp_gate::gate::{Exchange, Gate, Piece, Response, Step};
use mcp_gate::http::Head;
use mcp_gate::policy::Peer;
use serde_json::{Value, json};

use crate::case::{AUTHORITY, Request, Run, merge};
use crate::client::{self, writes};
use crate::keys::{Keys, surroundings};
use crate::listings::{Ask, Becomes, EVENTS, Got, JSON, Scenario, call, list, scenarios};
use crate::native::{self, NOW};
use crate::process::{Envoy, PATIENCE, Setting, free_port};
use crate::sessions::WAYS;
use crate::upstream::Message;

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |name: &str, run: fn() -> Result<(), String>| Trial::test(name, move || run().map_err(Failed::from));
    vec![
        trial("native/MCP-17 RPC-18 RPC-19 HTTP-23 PW-25 what becomes of each list, however it comes", natively),
        trial("native/MCP-17 what the host does not hand over is not passed on", not_handed_over),
        trial("native/MCP-17 what is listed may be called, and nothing else may", listed_is_callable),
        trial("native/MCP-17 in shadow mode nothing is hidden, and what would be is counted", shadowed),
        trial("lists/MCP-17 RPC-18 RPC-19 HTTP-23 PW-25 what becomes of each list, however it comes", through_envoy),
        trial("lists/PW-25 under a held body, too", body_held),
        trial("lists/PW-25 a stream that does not end goes on as it comes", endless),
    ]
}

const POLICY: &str = "package mcp.authz

allow if input.mcp.name in data.rights[input.identity.subject]

allow if input.mcp.uri in data.rights[input.identity.subject]

allow if {
    input.mcp.method == \"tools/call\"
    input.mcp.name == \"limited\"
    input.mcp.arguments.limit < 5
    data.rights[input.identity.subject]
}

visible if {
    input.mcp.name == \"limited\"
    data.rights[input.identity.subject]
}

visible if allow
";

/// A policy with three users of different rights, and lists of at most 2000 bytes.
pub(crate) fn given(shadow: bool) -> Value {
    json!({
        "resources": [{"url": format!("http://{AUTHORITY}/mcp"), "issuers": ["demo"], "limits": {"list": 2000}}],
        "session_keys": [{"env": "MCP_GATE_SESSION_KEY"}],
        "policy": {
            "modules": {"authz.rego": POLICY},
            "data": {"rights": {
                "alice": ["read", "write", "greet", "file:///a", "file:///{path}", "Not A Tool"],
                "bob": ["read", "file:///b"],
            }},
            "mode": if shadow { "shadow" } else { "enforce" },
        },
    })
}

pub(crate) fn gate(given: &Value) -> Result<Rc<Gate>, String> {
    let configuration = Keys::shared().configuration(given, AUTHORITY);
    config::load_document(configuration, &surroundings()).map(Rc::new).map_err(|findings| format!("{findings:?}"))
}

/// A request that is let go.
pub(crate) fn permitted(gate: &Rc<Gate>, request: &Request) -> Result<Exchange, String> {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
    let mut exchange = Exchange::new(Some(Rc::clone(gate)), "d".into());
    let mut step = exchange.handle_head(Head::new(native::head(request)), request.body.is_none(), Peer::default(), now);
    if let (Step::Hold(_), Some(body)) = (&step, &request.body) {
        step = exchange.handle_body(body, now);
    }
    match step {
        Step::Forward(_) => Ok(exchange),
        step => Err(format!("expected it to be let go, found {step:?}")),
    }
}

/// An answer that comes in such pieces, as the host hands them over.
pub(crate) fn answered(exchange: &mut Exchange, scenario: &Scenario, pieces: usize) -> Got {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
    let status = scenario.status.to_string();
    let length = scenario.body.len().to_string();
    let mut headers = vec![(":status", status.as_str()), ("content-length", &length), ("etag", "\"1\"")];
    headers.extend(&scenario.headers);
    let value =
        |name: &str| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_bytes().to_vec());
    let refused = |reply: mcp_gate::http::Reply| Got {
        status: reply.status,
        headers: vec![],
        body: reply.body.into(),
        is_cut: false,
    };
    let edits = match exchange.handle_response(value, false) {
        Response::Untouched => None,
        Response::Changed(edits) | Response::Held(edits) => Some(edits),
        Response::Refused(reply) => return refused(reply),
    };
    let removed = edits.map(|edits| edits.remove).unwrap_or_default();
    let headers = headers
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .filter(|name| !removed.iter().any(|gone| gone == name))
        .collect();
    let mut got = Got { status: scenario.status, headers, body: Vec::new(), is_cut: false };
    let mut kept = Vec::new();
    let chunks = scenario.body.chunks(scenario.body.len() / pieces + 1).map(Some);
    // The end comes by itself, and with the last piece.
    let ends_alone = pieces.is_multiple_of(2);
    let chunks: Vec<_> = chunks.chain(ends_alone.then_some(None)).collect();
    for (index, chunk) in chunks.iter().enumerate() {
        kept.extend_from_slice(chunk.unwrap_or_default());
        let (size, end) = (kept.len(), index + 1 == chunks.len());
        match exchange.handle_response_body(size, end, || Some(kept.clone()), || now) {
            Piece::Goes => got.body.append(&mut kept),
            Piece::Stays => assert!(!end, "an answer is held for ever"),
            Piece::Becomes(bytes) => {
                kept.clear();
                got.body.extend(bytes);
            }
            Piece::Refused(reply) => return refused(reply),
            Piece::Ends => {
                got.is_cut = true;
                return got;
            }
        }
    }
    got
}

pub(crate) fn record(exchange: &Exchange) -> Value {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
    serde_json::from_str(&exchange.record(now).1).unwrap()
}

fn natively() -> Result<(), String> {
    for hold in ["head", "body"] {
        let mut given = given(false);
        given["hold"] = hold.into();
        let gate = gate(&given)?;
        for scenario in scenarios() {
            for pieces in [1, 2, 3, 10, scenario.body.len().max(1), scenario.body.len() * 2] {
                let mut exchange = permitted(&gate, &scenario.ask.request(AUTHORITY, scenario.user, NOW))?;
                let got = answered(&mut exchange, &scenario, pieces);
                scenario
                    .check(&got, &record(&exchange), hold == "head")
                    .map_err(|e| format!("in {pieces} pieces: {e}"))?;
            }
        }
    }
    Ok(())
}

/// Held or not, as a whole or as events, asked for or not.
fn not_handed_over() -> Result<(), String> {
    let gate = gate(&given(false))?;
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
    for ask in [Ask::Legacy("tools/list"), Ask::Call, Ask::Stream] {
        for (name, media_type) in [JSON, EVENTS] {
            let mut exchange = permitted(&gate, &ask.request(AUTHORITY, "alice", NOW))?;
            let header = |asked: &str| (asked == name).then(|| media_type.as_bytes().to_vec());
            if let Response::Refused(reply) = exchange.handle_response(header, false) {
                return Err(format!("{ask:?} {media_type}: refused with {}", reply.status));
            }
            let piece = exchange.handle_response_body(7, true, || None, || now);
            let detail = record(&exchange)["detail"].as_str().unwrap_or_default().to_owned();
            let is_ended = matches!(piece, Piece::Ends | Piece::Refused(_));
            if !is_ended || !detail.starts_with("host_failed: ") || exchange.refusals() != 1 {
                return Err(format!("{ask:?} {media_type}: expected `host_failed`, found {piece:?}, `{detail}`"));
            }
        }
    }
    Ok(())
}

/// Of every tool and every user: listed if and only if some call of it is let go; and a call
/// is decided whatever was listed.
fn listed_is_callable() -> Result<(), String> {
    let gate = gate(&given(false))?;
    let all = ["read", "write", "greet", "limited", "rm", "Not A Tool", "read ", "Read", "\\u0072ead"];
    for user in ["alice", "bob", "carol", "dave"] {
        let mut exchange = permitted(&gate, &Ask::Legacy("tools/list").request(AUTHORITY, user, NOW))?;
        let scenario = Scenario { body: list(&all).into_bytes(), ..scenarios().swap_remove(0) };
        let got = answered(&mut exchange, &scenario, 1);
        let got: Value = serde_json::from_slice(&got.body).map_err(|error| error.to_string())?;
        let names = got["result"]["tools"].as_array().ok_or("no tools")?;
        let mut listed: Vec<&str> = names.iter().filter_map(|tool| tool["name"].as_str()).collect();
        listed.dedup();
        let names = ["read", "write", "greet", "limited", "rm", "Not A Tool", "read ", "Read"];
        let callable = names.iter().filter(|name| permitted(&gate, &call(AUTHORITY, user, name, NOW)).is_ok());
        let mut callable: Vec<&str> = callable.copied().collect();
        listed.sort_unstable();
        callable.sort_unstable();
        listed.dedup();
        if listed != callable {
            return Err(format!("{user}: listed {listed:?}, callable {callable:?}"));
        }
    }
    Ok(())
}

fn shadowed() -> Result<(), String> {
    let gate = gate(&given(true))?;
    for scenario in scenarios() {
        let scenario = Scenario { becomes: Becomes::Same, ..scenario };
        let mut exchange = permitted(&gate, &scenario.ask.request(AUTHORITY, scenario.user, NOW))?;
        let got = answered(&mut exchange, &scenario, 3);
        let mut found = record(&exchange);
        if scenario.counts.is_some() && found.get("hidden").is_some() {
            return Err(format!("{}: found {found}", scenario.what));
        }
        found["hidden"] = found["shadow_hidden"].take();
        scenario.check(&got, &found, true)?;
    }
    Ok(())
}

/// How a server sends a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Length,
    Chunks,
    Trailers,
}

/// What the server says to the next request.
#[derive(Clone)]
struct Script {
    head: String,
    pieces: Vec<Vec<u8>>,
    end: Vec<u8>,
}

impl Script {
    fn new(scenario: &Scenario, way: Way) -> Self {
        let headers: String = scenario.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let framing = match way {
            Way::Length => format!("content-length: {}\r\n", scenario.body.len()),
            Way::Chunks | Way::Trailers => "transfer-encoding: chunked\r\n".into(),
        };
        let head = format!("HTTP/1.1 {} X\r\n{headers}etag: \"1\"\r\n{framing}\r\n", scenario.status);
        let pieces = scenario.body.chunks(scenario.body.len() / 6 + 1).map(|piece| match way {
            Way::Length => piece.to_vec(),
            _ => chunk(piece),
        });
        let end: &[u8] = match way {
            Way::Length => b"",
            Way::Chunks => b"0\r\n\r\n",
            Way::Trailers => b"0\r\nx-trailer: 1\r\n\r\n",
        };
        Self { head, pieces: pieces.collect(), end: end.to_vec() }
    }
}

fn chunk(piece: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()
}

fn serve(mut connection: TcpStream, script: &Mutex<Option<Script>>) {
    let (mut request, mut buffer) = (Vec::new(), [0; 64 * 1024]);
    connection.set_nodelay(true).unwrap();
    while let Ok(count @ 1..) = connection.read(&mut buffer) {
        request.extend_from_slice(&buffer[..count]);
        if Message::read(&request, false).is_none() {
            continue;
        }
        request.clear();
        let Some(script) = script.lock().unwrap().clone() else { return };
        let mut pieces = vec![script.head.into_bytes()];
        pieces.extend(script.pieces);
        pieces.push(script.end);
        for piece in pieces {
            if connection.write_all(&piece).is_err() {
                return;
            }
            // So that Envoy reads them one by one.
            thread::sleep(Duration::from_millis(2));
        }
    }
}

pub(crate) struct World {
    pub(crate) envoy: Envoy,
    script: Arc<Mutex<Option<Script>>>,
    pub(crate) authority: String,
}

impl World {
    fn start(patch: &Value) -> Result<Self, String> {
        let mut given = given(false);
        merge(&mut given, patch);
        Self::with(&given)
    }

    pub(crate) fn with(given: &Value) -> Result<Self, String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let upstream = listener.local_addr().unwrap().port();
        let script: Arc<Mutex<Option<Script>>> = Arc::default();
        let kept = Arc::clone(&script);
        // Ends with the process.
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let kept = Arc::clone(&kept);
                thread::spawn(move || serve(connection, &kept));
            }
        });
        let port = free_port();
        let authority = format!("127.0.0.1:{port}");
        let given: Value = serde_json::from_str(&given.to_string().replace(AUTHORITY, &authority)).unwrap();
        let configuration = Keys::shared().configuration(&given, &authority);
        let setting = Setting { port, upstream, configuration: &configuration, workers: 1, clusters: &[] };
        Ok(Self { envoy: Envoy::start(&setting)?, script, authority })
    }

    /// The record, where it is as it should be.
    pub(crate) fn run(&mut self, scenario: &Scenario, way: Way, run: Run, is_head_held: bool) -> Result<Value, String> {
        *self.script.lock().unwrap() = Some(Script::new(scenario, way));
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let request = scenario.ask.request(&self.authority, scenario.user, now);
        let got = match client::send(self.envoy.port, run, &request) {
            Ok(Some(response)) => Got {
                status: response.status,
                headers: response.headers.into_iter().map(|(name, _)| name).collect(),
                body: response.body,
                is_cut: false,
            },
            // What came before is seen by `endless`.
            _ => Got { status: 200, headers: vec![], body: vec![], is_cut: true },
        };
        let line = self.envoy.next_line()?;
        let record: Value = serde_json::from_str(&line).map_err(|error| format!("record `{line}`: {error}"))?;
        let checked = scenario.check(&got, &record, is_head_held);
        checked.map(|()| record).map_err(|problem| format!("{way:?}, {run:?}: {problem}"))
    }

    /// The status of what comes to a call.
    pub(crate) fn call(&mut self, user: &str, tool: &str, now: u64) -> Result<u16, String> {
        let scenario =
            scenarios().into_iter().find(|scenario| scenario.what == "a call's answer").ok_or("no answer")?;
        *self.script.lock().unwrap() = Some(Script::new(&scenario, Way::Length));
        let request = call(&self.authority, user, tool, now);
        let found = client::send(self.envoy.port, Run::H1, &request)?.ok_or("no answer")?.status;
        self.envoy.next_line()?;
        Ok(found)
    }

    pub(crate) fn no_trap(&self) -> Result<(), String> {
        let log = self.envoy.own_log();
        let trapped = log.contains("panicked") || log.contains("Function: proxy_on") || log.contains("critical");
        if trapped { Err(format!("the module trapped:\n{log}")) } else { Ok(()) }
    }
}

fn through_envoy() -> Result<(), String> {
    let mut world = World::start(&json!({}))?;
    let mut counts = (0, 0, 0);
    for scenario in scenarios() {
        for way in [Way::Length, Way::Chunks, Way::Trailers] {
            for run in WAYS {
                world.run(&scenario, way, run, true)?;
                let (listed, hidden) = scenario.counts.unwrap_or_default();
                let is_refused = matches!(scenario.becomes, Becomes::Refused(_) | Becomes::Error(..) | Becomes::Cut(_));
                counts = (counts.0 + listed, counts.1 + hidden, counts.2 + u32::from(is_refused));
            }
        }
    }
    let names = ["list_entries_listed", "list_entries_hidden", "answers_refused"];
    let found = names.map(|name| world.envoy.stat(&format!("mcp_gate_{name}")));
    let counts = [counts.0, counts.1, counts.2].map(u64::from);
    if found != counts {
        return Err(format!("expected {names:?} to be {counts:?}, found {found:?}"));
    }
    // A tool that was hidden is no more callable than before.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    for (tool, status) in [("rm", 403), ("read", 200)] {
        let found = world.call("bob", tool, now)?;
        if found != status {
            return Err(format!("{tool}: expected {status}, found {found}"));
        }
    }
    world.no_trap()
}

fn body_held() -> Result<(), String> {
    let mut world = World::start(&json!({"hold": "body"}))?;
    for scenario in scenarios() {
        for way in [Way::Length, Way::Chunks, Way::Trailers] {
            for run in WAYS {
                world.run(&scenario, way, run, false)?;
            }
        }
    }
    world.no_trap()
}

/// Each event is with the client before the next one is sent.
fn endless() -> Result<(), String> {
    let mut world = World::start(&json!({}))?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let (ping, half) = (": ping\n\n", r#"{"result":{"content":[{"text":"tools"#);
    for (ask, (_, media_type), piece) in [
        (Ask::Stream, EVENTS, ping),
        (Ask::Legacy("tools/list"), EVENTS, ping),
        (Ask::Modern("tools/list"), EVENTS, ping),
        (Ask::Call, EVENTS, ping),
        (Ask::Call, EVENTS, &format!("data: {half}")),
        (Ask::Call, JSON, half),
    ] {
        let head = format!("HTTP/1.1 200 X\r\ncontent-type: {media_type}\r\ntransfer-encoding: chunked\r\n\r\n");
        let pieces = vec![chunk(piece.as_bytes())];
        *world.script.lock().unwrap() = Some(Script { head, pieces, end: Vec::new() });
        let request = ask.request(&world.authority, "bob", now);
        let mut stream = TcpStream::connect(("127.0.0.1", world.envoy.port)).map_err(|error| error.to_string())?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&writes(Run::H1, &request).concat()).map_err(|error| error.to_string())?;
        let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
        while !String::from_utf8_lossy(&bytes).contains(piece) {
            match stream.read(&mut buffer) {
                Ok(count @ 1..) => bytes.extend_from_slice(&buffer[..count]),
                other => return Err(format!("{ask:?}: {other:?} after {:?}", String::from_utf8_lossy(&bytes))),
            }
        }
        drop(stream);
        world.envoy.next_line()?;
    }
    // What is cut is cut where it says.
    for scenario in scenarios().into_iter().filter(|scenario| matches!(scenario.becomes, Becomes::Cut(_))) {
        *world.script.lock().unwrap() = Some(Script::new(&scenario, Way::Chunks));
        let request = scenario.ask.request(&world.authority, "bob", now);
        let mut stream = TcpStream::connect(("127.0.0.1", world.envoy.port)).map_err(|error| error.to_string())?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&writes(Run::H1, &request).concat()).map_err(|error| error.to_string())?;
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        let text = String::from_utf8_lossy(&bytes);
        if text.contains("\"name\"") || text.ends_with("0\r\n\r\n") {
            return Err(format!("{}: found {text}", scenario.what));
        }
    }
    world.no_trap()
}
