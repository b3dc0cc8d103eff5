//! What stands behind Envoy: it writes down every connection and every byte of
//! it, and answers what is a whole HTTP/1.1 request. And how such a message is read.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// The body of every answer.
pub(crate) const ANSWER: &str = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;

pub(crate) struct Upstream {
    address: SocketAddr,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    connections: Mutex<HashMap<SocketAddr, Vec<u8>>>,
    changed: Condvar,
}

impl Upstream {
    /// One that writes down what it gets, each request over a connection of its own.
    pub(crate) fn start() -> Self {
        Self::serve(record)
    }

    /// One that writes nothing down and answers many requests over a connection.
    pub(crate) fn start_quiet() -> Self {
        Self::serve(|connection, _, _| answer(connection))
    }

    /// One that lets every page read its answers.
    pub(crate) fn start_open() -> Self {
        Self::serve(|connection, _, _| share(connection))
    }

    /// One that answers with the subject that it was told.
    pub(crate) fn start_echo() -> Self {
        Self::serve(|connection, _, _| echo(connection))
    }

    fn serve(handle: fn(TcpStream, SocketAddr, &Seen)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let kept = Arc::clone(&seen);
        // Ends with the process.
        thread::spawn(move || {
            for connection in listener.incoming() {
                let Ok(connection) = connection else { continue };
                let Ok(peer) = connection.peer_addr() else { continue };
                kept.write(peer, &[]);
                let kept = Arc::clone(&kept);
                thread::spawn(move || handle(connection, peer, &kept));
            }
        });
        Self { address, seen }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Takes out what came in over each connection since the last time.
    pub(crate) fn take(&self) -> Vec<Vec<u8>> {
        // Connections are accepted in their order: once this one is there, so is
        // every one that Envoy made before.
        let last = TcpStream::connect(self.address).unwrap();
        let last = last.local_addr().unwrap();
        let guard = self.seen.connections.lock().unwrap();
        let wait =
            self.seen.changed.wait_timeout_while(guard, Duration::from_secs(10), |seen| !seen.contains_key(&last));
        let (mut connections, timeout) = wait.unwrap();
        assert!(!timeout.timed_out(), "the recorder does not accept connections");
        connections.remove(&last);
        connections.drain().map(|(_, bytes)| bytes).collect()
    }
}

impl Seen {
    fn write(&self, peer: SocketAddr, bytes: &[u8]) {
        self.connections.lock().unwrap().entry(peer).or_default().extend_from_slice(bytes);
        self.changed.notify_all();
    }
}

fn record(mut connection: TcpStream, peer: SocketAddr, seen: &Seen) {
    let mut request = Vec::new();
    let mut buffer = [0; 64 * 1024];
    while Message::read(&request, false).is_none() {
        match connection.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(count) => {
                request.extend_from_slice(&buffer[..count]);
                seen.write(peer, &buffer[..count]);
            }
        }
    }
    let _ = connection.write_all(response("connection: close\r\n").as_bytes());
}

fn answer(connection: TcpStream) {
    answer_with(connection, "");
}

fn share(connection: TcpStream) {
    let all = "access-control-allow-origin: *\r\naccess-control-allow-credentials: true\r\naccess-control-allow-methods: PUT\r\n\
               access-control-allow-headers: *\r\naccess-control-expose-headers: *\r\nvary: accept\r\n";
    answer_with(connection, all);
}

fn answer_with(mut connection: TcpStream, headers: &str) {
    let mut request = Vec::new();
    let mut buffer = [0; 64 * 1024];
    while let Ok(count @ 1..) = connection.read(&mut buffer) {
        request.extend_from_slice(&buffer[..count]);
        // One request at a time, as Envoy sends them.
        if Message::read(&request, false).is_some() {
            request.clear();
            if connection.write_all(response(headers).as_bytes()).is_err() {
                return;
            }
        }
    }
}

fn echo(mut connection: TcpStream) {
    let mut request = Vec::new();
    let mut buffer = [0; 64 * 1024];
    while let Ok(count @ 1..) = connection.read(&mut buffer) {
        request.extend_from_slice(&buffer[..count]);
        if let Some(Message { headers, .. }) = Message::read(&request, false) {
            request.clear();
            let subject = headers.into_iter().find(|(name, _)| name == "x-mcp-gate-subject").unwrap_or_default().1;
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", subject.len());
            // Late, so that answers wait for each other's requests.
            thread::sleep(Duration::from_millis(20));
            if connection.write_all(&[head.as_bytes(), &subject].concat()).is_err() {
                return;
            }
        }
    }
}

fn response(headers: &str) -> String {
    let length = ANSWER.len();
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{headers}content-length: {length}\r\n\r\n{ANSWER}")
}

/// One HTTP/1.1 message.
#[derive(Debug)]
pub(crate) struct Message {
    /// The request line or the status line.
    pub(crate) start: String,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
}

impl Message {
    /// Reads a message once it is complete. A response to HEAD has no body.
    pub(crate) fn read(bytes: &[u8], bodiless: bool) -> Option<Self> {
        let end = find(bytes, b"\r\n\r\n")?;
        let mut lines = bytes[..end].split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let start = String::from_utf8_lossy(lines.next()?).into_owned();
        let headers: Vec<(String, Vec<u8>)> = lines
            .map(|line| {
                let colon = find(line, b":").expect("a header with a colon");
                (String::from_utf8_lossy(&line[..colon]).to_lowercase(), line[colon + 1..].trim_ascii().to_vec())
            })
            .collect();
        let value = |name: &str| headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_slice());
        let rest = &bytes[end + 4..];
        let body = if bodiless {
            Vec::new()
        } else if value("transfer-encoding") == Some(b"chunked") {
            dechunk(rest)?
        } else {
            let length = value("content-length").map_or(0, |length| String::from_utf8_lossy(length).parse().unwrap());
            rest.get(..length)?.to_vec()
        };
        Some(Self { start, headers, body })
    }
}

fn dechunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = find(rest, b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).expect("the size of a chunk");
        rest = &rest[end + 2..];
        if size == 0 {
            return (rest.starts_with(b"\r\n") || find(rest, b"\r\n\r\n").is_some()).then_some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size + 2..)?;
    }
}

fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes.windows(pattern.len()).position(|window| window == pattern)
}
