//! An issuer on loopback that does as it is told, also what none should do, and writes
//! down what it was asked for.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::process::PATIENCE;
use crate::upstream::Message;

/// What it does with a connection.
#[derive(Clone)]
pub(crate) enum Answer {
    /// It says this, and closes.
    Bytes(Vec<u8>),
    /// It says this, and then a byte a second.
    Drips(Vec<u8>),
    /// It says this head, and then chunks without end.
    Endless(Vec<u8>),
    /// It says nothing.
    Silent,
    /// It says nothing until it is told to answer otherwise.
    Waits,
    /// It closes at once.
    HangsUp,
}

impl Answer {
    /// An answer of HTTP/1.1.
    pub(crate) fn new(status: &str, headers: &str, body: &[u8]) -> Self {
        let head = format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n", body.len());
        Self::Bytes([head.as_bytes(), body].concat())
    }

    /// JSON, as it should be.
    pub(crate) fn json(body: &Value) -> Self {
        Self::new("200 OK", "content-type: application/json\r\n", body.to_string().as_bytes())
    }

    /// A JWK Set.
    pub(crate) fn keys(keys: &[Value]) -> Self {
        Self::json(&json!({ "keys": keys }))
    }
}

/// Ends with its owner, and then nobody listens.
pub(crate) struct KeyServer {
    pub(crate) port: u16,
    state: Arc<State>,
    ended: Arc<AtomicBool>,
    listening: Option<thread::JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    answers: Mutex<HashMap<String, Answer>>,
    asked: Mutex<Vec<(Instant, String)>>,
    open: AtomicUsize,
    most_open: AtomicUsize,
}

impl KeyServer {
    pub(crate) fn start(port: u16) -> Self {
        Self::resume(port, Arc::default())
    }

    fn resume(port: u16, state: Arc<State>) -> Self {
        let start = Instant::now();
        let listener = loop {
            match TcpListener::bind(("127.0.0.1", port)) {
                Ok(listener) => break listener,
                Err(error) => assert!(start.elapsed() < Duration::from_secs(10), "port {port}: {error}"),
            }
            thread::sleep(Duration::from_millis(10));
        };
        let port = listener.local_addr().unwrap().port();
        let ended = Arc::new(AtomicBool::new(false));
        let (kept, end) = (Arc::clone(&state), Arc::clone(&ended));
        let listening = thread::spawn(move || {
            for connection in listener.incoming() {
                if end.load(Ordering::Acquire) {
                    return;
                }
                let Ok(connection) = connection else { continue };
                let kept = Arc::clone(&kept);
                thread::spawn(move || kept.serve(connection));
            }
        });
        Self { port, state, ended, listening: Some(listening) }
    }

    /// Sets what is answered under a path from now on.
    pub(crate) fn set(&self, path: &str, answer: Answer) {
        self.state.answers.lock().unwrap().insert(path.to_owned(), answer);
    }

    /// How often a path was asked for.
    pub(crate) fn asked(&self, path: &str) -> usize {
        self.state.asked.lock().unwrap().iter().filter(|(_, asked)| asked == path).count()
    }

    /// Waits until a path was asked for so often.
    pub(crate) fn wait_asked(&self, path: &str, times: usize) -> Result<(), String> {
        let start = Instant::now();
        while self.asked(path) < times {
            if start.elapsed() > PATIENCE {
                return Err(format!("expected {times} questions at {path}, found {}", self.asked(path)));
            }
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// How many requests it had at the same time, at most.
    pub(crate) fn most_open(&self) -> usize {
        self.state.most_open.load(Ordering::Acquire)
    }

    /// Ends. Its answers and its memory are those of the next one.
    pub(crate) fn stop(self) -> Stopped {
        Stopped { port: self.port, state: Arc::clone(&self.state) }
    }
}

/// A server that is down.
pub(crate) struct Stopped {
    port: u16,
    state: Arc<State>,
}

impl Stopped {
    pub(crate) fn start(self) -> KeyServer {
        KeyServer::resume(self.port, self.state)
    }
}

impl Drop for KeyServer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        // Wakes it up.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(listening) = self.listening.take() {
            let _ = listening.join();
        }
    }
}

impl State {
    fn serve(&self, mut connection: TcpStream) {
        let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
        while Message::read(&request, false).is_none() {
            match connection.read(&mut buffer) {
                Ok(0) | Err(_) => return,
                Ok(count) => request.extend_from_slice(&buffer[..count]),
            }
        }
        let request = String::from_utf8_lossy(&request).into_owned();
        let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
        self.asked.lock().unwrap().push((Instant::now(), path.clone()));
        let open = self.open.fetch_add(1, Ordering::AcqRel) + 1;
        self.most_open.fetch_max(open, Ordering::AcqRel);
        let mut answer = self.given(&path);
        while matches!(answer, Answer::Waits) {
            thread::sleep(Duration::from_millis(2));
            answer = self.given(&path);
        }
        let _ = self.answer(connection, answer);
        self.open.fetch_sub(1, Ordering::AcqRel);
    }

    fn given(&self, path: &str) -> Answer {
        let answer = self.answers.lock().unwrap().get(path).cloned();
        answer.unwrap_or_else(|| Answer::new("404 Not Found", "", b""))
    }

    fn answer(&self, mut connection: TcpStream, answer: Answer) -> std::io::Result<()> {
        match answer {
            Answer::Bytes(bytes) => connection.write_all(&bytes),
            Answer::Drips(bytes) => {
                connection.write_all(&bytes)?;
                connection.set_read_timeout(Some(Duration::from_secs(1)))?;
                loop {
                    // Until the other side has enough, which it says at once.
                    match connection.read(&mut [0; 64]) {
                        Ok(0) => return Ok(()),
                        _ => connection.write_all(b" ")?,
                    }
                }
            }
            Answer::Endless(head) => {
                connection.write_all(&head)?;
                let chunk = [b"4000\r\n", [b' '; 0x4000].as_slice(), b"\r\n"].concat();
                loop {
                    connection.write_all(&chunk)?;
                }
            }
            // Until the other side has enough.
            Answer::Silent => connection.read(&mut [0; 64]).map(drop),
            Answer::HangsUp | Answer::Waits => Ok(()),
        }
    }
}
