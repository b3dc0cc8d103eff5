//! A server of the legacy era with sessions, as the official SDKs have them: the id
//! comes with the answer to `initialize`, every later message names it, what is no
//! session of its own is 404, and GET opens a stream of events.
//!
//! `x-test` in a request asks for what no good server does: `id=TEXT` answers with
//! this session id, `ids` with two, `stream` with a stream in which nothing comes,
//! `ticks` with one in which something does, `pause` with one in which something does
//! after eight seconds, `late` with an answer after two seconds.

use std::collections::HashSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::upstream::Message;

pub(crate) struct Stateful {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    sessions: Mutex<HashSet<String>>,
    count: Mutex<u64>,
    /// What came in.
    seen: Mutex<Vec<Message>>,
    /// How many streams have been closed by the other side.
    closed: Mutex<usize>,
}

impl Stateful {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let kept = Arc::clone(&state);
        // Ends with the process.
        thread::spawn(move || {
            for connection in listener.incoming() {
                let Ok(connection) = connection else { continue };
                let kept = Arc::clone(&kept);
                thread::spawn(move || serve(connection, &kept));
            }
        });
        Self { address, state }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// The requests that came since the last time.
    pub(crate) fn take(&self) -> Vec<Message> {
        std::mem::take(&mut self.state.seen.lock().unwrap())
    }

    /// How many of its streams the other side has closed.
    pub(crate) fn closed(&self) -> usize {
        *self.state.closed.lock().unwrap()
    }

    /// Forgets all sessions, as after a restart.
    pub(crate) fn forget(&self) {
        self.state.sessions.lock().unwrap().clear();
    }
}

/// The one value of a header, as text.
pub(crate) fn value(message: &Message, name: &str) -> Option<String> {
    let found = message.headers.iter().find(|(header, _)| header == name);
    found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
}

fn serve(mut connection: TcpStream, state: &State) {
    let mut request = Vec::new();
    let mut buffer = [0; 64 * 1024];
    while let Ok(count @ 1..) = connection.read(&mut buffer) {
        request.extend_from_slice(&buffer[..count]);
        let Some(message) = Message::read(&request, false) else { continue };
        request.clear();
        let goes_on = answer(&mut connection, &message, state);
        if !goes_on {
            return;
        }
    }
}

/// Answers; does the connection go on?
fn answer(connection: &mut TcpStream, message: &Message, state: &State) -> bool {
    let body: Value = serde_json::from_slice(&message.body).unwrap_or_default();
    let session = value(message, "mcp-session-id");
    let test = value(message, "x-test").unwrap_or_default();
    let is_known = session.as_ref().is_some_and(|session| state.sessions.lock().unwrap().contains(session));
    state.seen.lock().unwrap().push(Message {
        start: message.start.clone(),
        headers: message.headers.clone(),
        body: message.body.clone(),
    });
    let id = &body["id"];
    let error = |code: i64, text: &str| json!({"jsonrpc": "2.0", "error": {"code": code, "message": text}, "id": null});
    if let Some(given) = test.strip_prefix("id=") {
        return reply(connection, 200, &[given], &json!({"jsonrpc": "2.0", "id": id, "result": {}}));
    }
    if test == "ids" {
        return reply(connection, 200, &["first", "second"], &json!({"jsonrpc": "2.0", "id": id, "result": {}}));
    }
    if test == "late" {
        thread::sleep(Duration::from_secs(3));
    }
    let silence = match test.as_str() {
        "stream" => Some(usize::MAX),
        "pause" => Some(80),
        "ticks" => Some(0),
        _ => None,
    };
    if let Some(silence) = silence {
        return stream(connection, session.as_deref(), silence, state);
    }
    if body["method"] == "initialize" && session.is_none() {
        let mut count = state.count.lock().unwrap();
        *count += 1;
        let session = format!("00000000-0000-4000-8000-{:012}", *count);
        state.sessions.lock().unwrap().insert(session.clone());
        let result =
            json!({"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "s", "version": "1"}});
        return reply(connection, 200, &[&session], &json!({"jsonrpc": "2.0", "id": id, "result": result}));
    }
    let Some(session) = session else {
        return reply(connection, 400, &[], &error(-32000, "Bad Request: Mcp-Session-Id header is required"));
    };
    if !is_known {
        return reply(connection, 404, &[], &error(-32001, "Session not found"));
    }
    match message.start.split(' ').next() {
        Some("GET") => stream(connection, Some(&session), usize::MAX, state),
        Some("DELETE") => {
            state.sessions.lock().unwrap().remove(&session);
            reply(connection, 200, &[], &Value::Null)
        }
        _ => reply(connection, 200, &[&session], &json!({"jsonrpc": "2.0", "id": id, "result": {"session": session}})),
    }
}

fn reply(connection: &mut TcpStream, status: u16, sessions: &[&str], body: &Value) -> bool {
    let sessions: String = sessions.iter().map(|id| format!("mcp-session-id: {id}\r\n")).collect();
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{sessions}content-length: {}\r\n\r\n{body}",
        body.len()
    );
    connection.write_all(head.as_bytes()).is_ok()
}

/// One event, and after so many tenths of a second one in each, until the other side closes.
fn stream(connection: &mut TcpStream, session: Option<&str>, silence: usize, state: &State) -> bool {
    let session = session.map(|id| format!("mcp-session-id: {id}\r\n")).unwrap_or_default();
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n{session}transfer-encoding: chunked\r\n\r\n");
    let event = "id: 1\ndata: {}\n\n";
    let chunk = format!("{:x}\r\n{event}\r\n", event.len());
    if connection.write_all(format!("{head}{chunk}").as_bytes()).is_err() {
        return false;
    }
    connection.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    // Longer than any trial waits.
    for tenth in 0..600 {
        if tenth >= silence && connection.write_all(chunk.as_bytes()).is_err() {
            break;
        }
        match connection.read(&mut [0; 1024]) {
            Err(error) if [std::io::ErrorKind::WouldBlock, std::io::ErrorKind::TimedOut].contains(&error.kind()) => {}
            _ => break,
        }
    }
    *state.closed.lock().unwrap() += 1;
    false
}
