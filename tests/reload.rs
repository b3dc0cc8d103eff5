//! What no single request can show: configurations that come and go under load,
//! an Envoy that never had a good one, memory.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::SystemTime;

use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use crate::case::{Request, Session, merge};
use crate::keys::Keys;
use crate::process::{Envoy, Setting, free_port};
use crate::upstream::{Message, Upstream};

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |name: &str, run: fn() -> Result<(), String>| {
        Trial::test(format!("reload/{name}"), move || run().map_err(Failed::from))
    };
    vec![
        trial(
            "PW-13 PW-14 REGO-18 configurations come and go under load, and each answer is that of a good one",
            come_and_go,
        ),
        trial("PW-13 without a good configuration nothing is served, and the first good one is", none_at_first),
        trial("JWT-66 a remembered token is refused once a configuration revokes it", revoked),
        trial("PW-10 memory does not grow over 20,000 calls", memory),
    ]
}

/// A policy, and the status of its answer.
fn policy(allow: bool) -> (Value, u16) {
    let rego = format!("package mcp.authz\n\nallow := {allow} if input.identity.subject\n");
    (json!({"policy": {"modules": {"authz.rego": rego}}}), if allow { 200 } else { 403 })
}

pub(crate) struct World {
    pub(crate) envoy: Envoy,
    authority: String,
    _upstream: Upstream,
}

impl World {
    pub(crate) fn launch(given: &Value, workers: usize) -> Result<Self, String> {
        let (port, upstream) = (free_port(), Upstream::start_quiet());
        let authority = format!("127.0.0.1:{port}");
        let configuration = Keys::shared().configuration(given, &authority);
        let setting =
            Setting { port, upstream: upstream.port(), configuration: &configuration, workers, clusters: &[] };
        Ok(Self { envoy: Envoy::launch(&setting)?, authority, _upstream: upstream })
    }

    pub(crate) fn configure(&mut self, given: &Value) {
        let configuration = Keys::shared().configuration(given, &self.authority);
        self.envoy.configure(&configuration);
    }

    /// A request of someone with a token, for a tool.
    pub(crate) fn call(&self, tool: &str) -> Request {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool}});
        self.request(json!({"request": {"body": body}, "expect": {"unanswered": {}}}))
    }

    /// A request with a token of these claims.
    fn token(&self, claims: &Value) -> Request {
        self.request(json!({"token": claims, "expect": {"unanswered": {}}}))
    }

    fn request(&self, step: Value) -> Request {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let step = serde_json::from_value(step).unwrap();
        Session::default().request(&step, Keys::shared(), &self.authority, now)
    }
}

/// A connection that stays open.
pub(crate) struct Connection(TcpStream);

impl Connection {
    pub(crate) fn open(port: u16) -> Result<Self, String> {
        let stream = TcpStream::connect(("127.0.0.1", port)).map_err(|error| error.to_string())?;
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(crate::process::PATIENCE)).unwrap();
        Ok(Self(stream))
    }

    pub(crate) fn send(&mut self, request: &[u8]) -> Result<Message, String> {
        self.write(request)?;
        self.read()
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.0.write_all(bytes).map_err(|error| error.to_string())
    }

    pub(crate) fn read(&mut self) -> Result<Message, String> {
        let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
        loop {
            match self.0.read(&mut buffer) {
                Ok(0) => return Err("the connection ended".into()),
                Ok(count) => answer.extend_from_slice(&buffer[..count]),
                Err(error) => return Err(error.to_string()),
            }
            if let Some(message) = Message::read(&answer, false) {
                return Ok(message);
            }
        }
    }
}

pub(crate) fn bytes(request: &Request) -> Vec<u8> {
    crate::client::writes(crate::case::Run::H1, request).concat()
}

pub(crate) fn status(message: &Message) -> u16 {
    message.start.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
}

/// Good, bad, good, bad, good: each answer is that of a good one, first of the
/// one before, then of the one after, and never of none.
fn come_and_go() -> Result<(), String> {
    const CLIENTS: usize = 6;
    let mut world = World::launch(&policy(true).0, 2)?;
    world.envoy.wait_ready()?;
    let request = bytes(&world.call("read_document"));
    let port = world.envoy.port;
    // The answer that holds from now on, and what each client saw last.
    let (expected, done) = (AtomicUsize::new(200), AtomicBool::new(false));
    let seen: [AtomicUsize; CLIENTS] = Default::default();
    thread::scope(|scope| {
        let clients: Vec<_> =
            seen.iter().map(|seen| scope.spawn(|| client(port, &request, &expected, seen, &done))).collect();
        let result = generations(&mut world, &expected, &seen);
        done.store(true, Ordering::Release);
        let mut count = 0;
        for client in clients {
            count += client.join().unwrap()?;
        }
        result?;
        if count < 100 { Err(format!("expected load, found {count} calls")) } else { Ok(()) }
    })?;
    match world.envoy.stat("update_rejected") {
        2 => {}
        count => return Err(format!("expected two refused configurations, found {count}")),
    }
    // Envoy's main thread compiles each of the three; it and two workers take that over.
    match ["compiled", "taken_over"].map(|how| world.envoy.stat(&format!("mcp_gate_configurations_{how}"))) {
        [3, 9] => Ok(()),
        found => Err(format!("expected 3 loads that compile and 9 that take over, found {found:?}")),
    }
}

fn generations(world: &mut World, expected: &AtomicUsize, seen: &[AtomicUsize]) -> Result<(), String> {
    let bad = [
        (
            json!({"policy": {"modules": {"authz.rego": "package mcp.authz\n\nallow if {\n"}}}),
            "policy.modules.authz.rego:4:1: ",
        ),
        (json!({"resources": []}), "resources: expected at least one protected resource, found none"),
    ];
    for (index, (bad, reason)) in bad.iter().enumerate() {
        let rejected = world.envoy.stat("update_rejected");
        world.configure(bad);
        world.envoy.wait_until("the configuration is refused", |envoy| envoy.stat("update_rejected") > rejected)?;
        if !world.envoy.own_log().contains(&format!("mcp-gate: configuration refused: {reason}")) {
            return Err(format!("expected `{reason}` in Envoy's log, found:\n{}", world.envoy.own_log()));
        }
        let (good, status) = policy(index % 2 == 1);
        expected.store(status.into(), Ordering::Release);
        world.configure(&good);
        world.envoy.wait_until("all are answered by the new policy", |_| {
            seen.iter().all(|seen| seen.load(Ordering::Acquire) == usize::from(status))
        })?;
    }
    Ok(())
}

/// Calls until it is done. The answer changes only after another is expected,
/// and then once.
fn client(
    port: u16,
    request: &[u8],
    expected: &AtomicUsize,
    seen: &AtomicUsize,
    done: &AtomicBool,
) -> Result<usize, String> {
    let mut connection = Connection::open(port)?;
    let (mut last, mut count) = (200, 0);
    while !done.load(Ordering::Acquire) {
        let message = connection.send(request)?;
        let found = usize::from(status(&message));
        if found != last && found != expected.load(Ordering::Acquire) {
            let body = String::from_utf8_lossy(&message.body);
            return Err(format!("call {count}: expected {last}, found {found}: {body}"));
        }
        last = found;
        seen.store(found, Ordering::Release);
        count += 1;
    }
    Ok(count)
}

/// Until there is a configuration, every request is refused, and none goes on.
fn none_at_first() -> Result<(), String> {
    let mut world = World::launch(&json!({"resources": []}), 2)?;
    world.envoy.wait_until("the configuration is refused", |envoy| envoy.stat("update_rejected") > 0)?;
    world.envoy.wait_ready()?;
    let request = bytes(&world.call("read_document"));
    let answer = Connection::open(world.envoy.port)?.send(&request)?;
    let retry = answer.headers.iter().any(|(name, value)| name == "retry-after" && value == b"5");
    if status(&answer) != 503 || !retry {
        return Err(format!("expected 503 with Retry-After, found {answer:?}"));
    }
    world.configure(&policy(true).0);
    world.envoy.wait_until("it serves", |envoy| {
        let answer = Connection::open(envoy.port).and_then(|mut connection| connection.send(&request));
        answer.is_ok_and(|answer| status(&answer) == 200)
    })
}

/// Each worker has the token in its memory when the configuration comes.
fn revoked() -> Result<(), String> {
    const CALLS: usize = 20;
    let issuer = |more: &Value| {
        let jwks = json!({"inline": {"keys": ["es256"]}});
        let mut issuer = json!({"name": "demo", "issuer": "https://as.example.com", "jwks": jwks, "token_type": "any", "requires_client": false});
        merge(&mut issuer, more);
        let mut given = policy(true).0;
        merge(&mut given, &json!({"issuers": [issuer]}));
        given
    };
    let mut world = World::launch(&issuer(&json!({})), 2)?;
    world.envoy.wait_ready()?;
    for (what, claims, revoked) in [
        ("its id", json!({"jti": "stolen"}), json!({"jti": ["stolen"]})),
        ("its client", json!({"client_id": "lost"}), json!({"client_id": ["lost"]})),
        ("no client", json!({"client_id": null}), json!({"client_id": ["lost"]})),
        ("another id", json!({"jti": "other"}), json!({"jti": ["stolen"]})),
        ("another client", json!({"client_id": "other"}), json!({"client_id": ["lost"]})),
    ] {
        let (request, after) = (bytes(&world.token(&claims)), if what.starts_with("another") { 200 } else { 401 });
        let port = world.envoy.port;
        let expect = |expected: u16| {
            (0..CALLS).try_for_each(|_| match status(&Connection::open(port)?.send(&request)?) {
                found if found == expected => Ok(()),
                found => Err(format!("{what}: expected {expected}, found {found}")),
            })
        };
        for (given, expected) in [(json!({}), 200), (json!({"revoked": revoked}), after)] {
            let loaded = world.envoy.stat("update_success");
            world.configure(&issuer(&given));
            // The one before may be the same.
            world.envoy.wait_until("it is in force", |envoy| envoy.stat("update_success") > loaded)?;
            expect(expected)?;
        }
    }
    Ok(())
}

/// Memory is that of the module and of what is remembered, which is bounded.
fn memory() -> Result<(), String> {
    const CALLS: usize = 20_000;
    const MOST_KIB: u64 = 6 * 1024;
    let mut world = World::launch(&policy(true).0, 1)?;
    world.envoy.wait_ready()?;
    let requests: Vec<_> = ["read_document", "delete_document"].map(|tool| bytes(&world.call(tool))).into();
    let mut connection = Connection::open(world.envoy.port)?;
    let mut call = |count: usize| -> Result<(), String> {
        for index in 0..count {
            let answer = connection.send(&requests[index % requests.len()])?;
            if status(&answer) != 200 {
                return Err(format!("call {index}: {answer:?}"));
            }
        }
        Ok(())
    };
    call(CALLS / 4)?;
    let before = world.envoy.memory();
    call(CALLS)?;
    let after = world.envoy.memory();
    if after > before + MOST_KIB {
        return Err(format!(
            "expected at most {MOST_KIB} KiB more after {CALLS} calls, found {before} KiB before and {after} after"
        ));
    }
    Ok(())
}
