//! Requests as bytes on a connection, and what they came to: the answers, the
//! records, and what upstream got.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::Mutex;
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use crate::case::{AUTHORITY, Request, Run, Session};
use crate::client::writes;
use crate::keys::Keys;
use crate::process::{Envoy, PATIENCE, Setting, free_port};
use crate::upstream::{Message, Upstream};

/// An Envoy whose policy allows even numbers, and what stands behind it.
pub(crate) struct World {
    pub(crate) envoy: Envoy,
    pub(crate) upstream: Upstream,
    /// A call of 0 by someone with a token.
    request: Request,
    authority: String,
}

/// Worlds without a trial, by the patch of their configuration.
static IDLE: Mutex<Vec<(Value, World)>> = Mutex::new(Vec::new());

/// Ends them.
pub(crate) fn close() {
    IDLE.lock().unwrap().clear();
}

/// How a client leaves.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Leaves {
    /// With the last answer.
    Answered,
    /// When it is closed, or a while after an answer.
    Quiet,
    /// Without waiting for one.
    AtOnce,
    /// It closes its half, and listens.
    Half,
}

impl World {
    pub(crate) fn start(given: &Value) -> Result<Self, String> {
        Self::start_changed(given, |_, _| {})
    }

    /// Runs a trial in a world that another may have used: to start an Envoy costs
    /// more than most of them.
    pub(crate) fn shared(given: &Value, run: impl FnOnce(&mut Self) -> Result<(), String>) -> Result<(), String> {
        let mut idle = IDLE.lock().unwrap();
        let found = idle.iter().position(|(other, _)| other == given).map(|index| idle.swap_remove(index).1);
        drop(idle);
        let mut world = match found {
            Some(world) => world,
            None => Self::start(given)?,
        };
        run(&mut world)?;
        world.no_trap()?;
        // After a failure there may be traces that the next trial would find.
        IDLE.lock().unwrap().push((given.clone(), world));
        Ok(())
    }

    /// With changes to the two files of `envoy/`.
    pub(crate) fn start_changed(given: &Value, change: impl Fn(&mut String, &mut Value)) -> Result<Self, String> {
        let (port, upstream) = (free_port(), Upstream::start());
        let authority = format!("127.0.0.1:{port}");
        let rego = "package mcp.authz\n\nallow if input.mcp.arguments.n % 2 == 0\n";
        let mut patch = json!({"policy": {"modules": {"authz.rego": rego}}});
        crate::case::merge(
            &mut patch,
            &serde_json::from_str(&given.to_string().replace(AUTHORITY, &authority)).unwrap(),
        );
        let configuration = Keys::shared().configuration(&patch, &authority);
        let setting =
            Setting { port, upstream: upstream.port(), configuration: &configuration, workers: 1, clusters: &[] };
        let mut envoy = Envoy::launch_changed(&setting, change)?;
        envoy.wait_ready()?;
        let step = json!({"token": {"exp": 1_999_999_999_u64, "iat": 1_700_000_000}, "expect": {"unanswered": {}}});
        let step = serde_json::from_value(step).unwrap();
        let mut request = Session::default().request(&step, Keys::shared(), &authority, 0);
        request.body = Some(body(0));
        Ok(Self { envoy, upstream, request, authority })
    }

    /// Swaps in another configuration.
    pub(crate) fn configure(&mut self, given: &Value) {
        let configuration = Keys::shared().configuration(given, &self.authority);
        self.envoy.configure(&configuration);
    }

    /// A call of a number.
    pub(crate) fn call(&self, number: usize) -> Request {
        Request { body: Some(body(number)), ..self.request.clone() }
    }

    /// Its head alone, up to the headers that say how the body comes.
    pub(crate) fn head(&self) -> Vec<u8> {
        let request = Request { body: None, method: "GET".into(), ..self.request.clone() };
        let head = writes(Run::H1, &request).concat();
        [b"POST", &head[3..head.len() - 2]].concat()
    }

    /// Writes on one connection, reads so many answers or to the end.
    pub(crate) fn talk(
        &self,
        pieces: &[&[u8]],
        pause: Duration,
        leaves: Leaves,
        answers: usize,
    ) -> Result<Vec<Message>, String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.envoy.port)).map_err(|error| error.to_string())?;
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        for (index, piece) in pieces.iter().enumerate() {
            if index > 0 {
                sleep(pause);
            }
            // Refused early, it may be closed already.
            if stream.write_all(piece).is_err() {
                break;
            }
        }
        match leaves {
            Leaves::AtOnce => return Ok(Vec::new()),
            Leaves::Half => stream.shutdown(Shutdown::Write).map_err(|error| error.to_string())?,
            Leaves::Answered | Leaves::Quiet => {}
        }
        let (mut bytes, mut found) = (Vec::new(), Vec::new());
        let mut buffer = [0; 16 * 1024];
        while found.len() < answers {
            match stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => bytes.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
                Err(_) if leaves == Leaves::Quiet && !found.is_empty() => break,
                Err(error) => return Err(format!("{error} after {:?}", String::from_utf8_lossy(&bytes))),
            }
            found.clear();
            let mut rest = bytes.as_slice();
            while let Some((message, length)) = first(rest) {
                found.push(message);
                rest = &rest[length..];
            }
            if leaves == Leaves::Quiet && !found.is_empty() {
                stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            }
        }
        Ok(found)
    }

    /// Holds what came of requests against what should have: so many records, of
    /// these codes, and upstream exactly what was permitted, whole and unchanged.
    pub(crate) fn expect(&mut self, what: &str, found: &[u16], expected: &[(u16, &str)]) -> Result<(), String> {
        let mut codes = Vec::new();
        for _ in expected {
            codes.push(self.code().map_err(|error| format!("{what}: after {found:?}, {codes:?}: {error}"))?);
        }
        self.envoy.no_line().map_err(|error| format!("{what}: {error}"))?;
        // A status of 0 is a request that got no answer.
        let statuses: Vec<u16> = expected.iter().map(|(status, _)| *status).filter(|status| *status != 0).collect();
        let expected: Vec<&str> = expected.iter().map(|(_, code)| *code).collect();
        if statuses != found || codes != expected {
            return Err(format!("{what}: expected {statuses:?} {expected:?}, found {found:?} {codes:?}"));
        }
        let permitted = codes.iter().filter(|code| *code == "permitted").count();
        self.upstream_got(permitted).map_err(|error| format!("{what}: {error}"))
    }

    /// Sends what nobody should send. It is refused, or what of it is a request is
    /// judged by itself: upstream gets what a record permits, and nothing else. A
    /// status that is no refusal has to be among those that are allowed.
    pub(crate) fn harmless(&mut self, what: &str, pieces: &[&[u8]], allowed: &[u16]) -> Result<(), String> {
        let found = statuses(&self.talk(pieces, Duration::ZERO, Leaves::Quiet, usize::MAX)?);
        // A request that gets through has its record by then, and so has its neighbour.
        let marker = writes(Run::H1, &Request { path: "/marker".into(), ..self.call(0) }).concat();
        self.talk(&[&marker], Duration::ZERO, Leaves::Answered, 1)?;
        let mut codes = vec![self.code()?];
        while codes.last().is_some_and(|code| code != "resource_unknown") {
            codes.push(self.code()?);
        }
        self.envoy.no_line()?;
        let permitted = codes.iter().filter(|code| *code == "permitted").count();
        self.upstream_got(permitted).map_err(|error| format!("{what}: {error}"))?;
        let fine = |status: &u16| (400..=501).contains(status) || allowed.contains(status);
        match found.first().is_some_and(fine) && found.iter().all(fine) {
            true => Ok(()),
            false => Err(format!("{what}: found {found:?}, {codes:?}")),
        }
    }

    /// The code of the next record.
    pub(crate) fn code(&mut self) -> Result<String, String> {
        let line = self.envoy.next_line()?;
        let record: Value = serde_json::from_str(&line).unwrap_or_default();
        Ok(record["code"].as_str().unwrap_or("-").to_owned())
    }

    /// So many calls, and none of them denied.
    pub(crate) fn upstream_got(&self, count: usize) -> Result<(), String> {
        let connections = self.upstream.take();
        if connections.len() != count {
            let shown: Vec<_> = connections.iter().map(|bytes| String::from_utf8_lossy(bytes)).collect();
            return Err(format!("expected {count} calls upstream, found {}: {shown:?}", connections.len()));
        }
        for bytes in connections {
            let message = Message::read(&bytes, false)
                .ok_or_else(|| format!("upstream got a part of a request: {:?}", String::from_utf8_lossy(&bytes)))?;
            if bytes.split(|byte| *byte == b'\n').any(|line| line.strip_suffix(b"\r").unwrap_or(line).contains(&b'\r'))
            {
                return Err(format!("upstream got a bare carriage return: {:?}", String::from_utf8_lossy(&bytes)));
            }
            let text = String::from_utf8_lossy(&message.body);
            let call: Value = serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))?;
            let number = call["params"]["arguments"]["n"].as_u64().ok_or_else(|| format!("upstream got {call}"))?;
            if number % 2 == 1 || text.trim_end() != String::from_utf8_lossy(&body(usize::try_from(number).unwrap())) {
                return Err(format!("upstream got what was not permitted: {text}"));
            }
        }
        Ok(())
    }

    /// The module lives.
    pub(crate) fn no_trap(&self) -> Result<(), String> {
        let log = self.envoy.own_log();
        let trapped = log.contains("panicked") || log.contains("Function: proxy_on");
        if trapped { Err(format!("the module trapped:\n{log}")) } else { Ok(()) }
    }
}

/// A call of a number, its bytes.
pub(crate) fn body(number: usize) -> Vec<u8> {
    let params = json!({"name": "x", "arguments": {"n": number}});
    json!({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}).to_string().into_bytes()
}

pub(crate) fn status(message: &Message) -> u16 {
    message.start.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
}

pub(crate) fn statuses(messages: &[Message]) -> Vec<u16> {
    messages.iter().map(status).collect()
}

/// The first message of some bytes, and its length there.
fn first(bytes: &[u8]) -> Option<(Message, usize)> {
    let message = Message::read(bytes, false)?;
    // Answers of Envoy and of the gate have a length; those of upstream have, too.
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let is_chunked = message.headers.iter().any(|(name, _)| name == "transfer-encoding");
    let length = match is_chunked {
        true => bytes.windows(5).position(|window| window == b"0\r\n\r\n")? + 5,
        false => head + message.body.len(),
    };
    Some((message, length))
}
