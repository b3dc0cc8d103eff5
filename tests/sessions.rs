//! Sessions through a real Envoy: a server that has some, and the ids that its clients
//! see.

use std::time::{Instant, SystemTime};

use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use crate::case::{Request, Run, Session, alice, merge};
use crate::client;
use crate::keys::{Keys, sealed};
use crate::process::{Envoy, PATIENCE, Setting, free_port, trapping_module};
use crate::stateful::{Stateful, value};

/// HTTP/1.1 and HTTP/2.
pub(crate) const WAYS: [Run; 2] = [Run::H1, Run::H2];

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |name: &str, run: fn() -> Result<(), String>| {
        Trial::test(format!("sessions/{name}"), move || run().map_err(Failed::from))
    };
    vec![
        trial("SESS-01 SESS-02 SESS-03 SESS-04 SESS-05 a session is used by who opened it, and by nobody else", owned),
        trial("SESS-06 whether a session is needed is the server's business", needed),
        trial("SESS-07 what is over is answered as what never was, by the server and by the gate", over),
        trial("SESS-07 keys are rotated, and proxies with the same key share sessions", rotated),
        trial("SESS-07 without a configured key each proxy has its own", unconfigured),
        trial("SESS-01 a server's session id that has no room for the tag goes to nobody", unbound),
        trial("SESS-11 a session id of the modern era is taken out of both directions", modern),
    ]
}

pub(crate) struct World {
    pub(crate) envoy: Envoy,
    pub(crate) server: Stateful,
    authority: String,
}

/// `key` is the number of a variable; 0 is none.
pub(crate) fn keys(numbers: &[usize]) -> Value {
    let names = ["MCP_GATE_SESSION_KEY", "MCP_GATE_SESSION_KEY_OLD"];
    let keys: Vec<Value> = numbers.iter().map(|number| json!({"env": names[number - 1]})).collect();
    if keys.is_empty() { json!({}) } else { json!({"session_keys": keys}) }
}

impl World {
    /// An Envoy with two resources and two issuers, and a policy that allows.
    pub(crate) fn start(given: &Value) -> Result<Self, String> {
        Self::start_before(Stateful::start(), given, 1)
    }

    /// One of the module that traps when it is asked to (`tests/trap.rs`).
    pub(crate) fn start_trapping() -> Result<Self, String> {
        let module = trapping_module()?;
        let (server, port) = (Stateful::start(), free_port());
        let authority = format!("127.0.0.1:{port}");
        let configuration = configuration(&json!({}), &authority);
        let setting =
            Setting { port, upstream: server.port(), configuration: &configuration, workers: 1, clusters: &[] };
        let mut envoy = Envoy::launch_changed(&setting, |_, filter| {
            let place = "/resources/0/typed_config/config/vm_config/code/local/filename";
            *filter.pointer_mut(place).unwrap() = module.to_str().unwrap().into();
        })?;
        envoy.wait_ready()?;
        Ok(Self { envoy, server, authority })
    }

    fn start_before(server: Stateful, given: &Value, workers: usize) -> Result<Self, String> {
        let port = free_port();
        let authority = format!("127.0.0.1:{port}");
        let configuration = configuration(given, &authority);
        let setting = Setting { port, upstream: server.port(), configuration: &configuration, workers, clusters: &[] };
        Ok(Self { envoy: Envoy::start(&setting)?, server, authority })
    }

    pub(crate) fn request(&self, method: &str, headers: &[(&str, &str)], body: Value, token: &Value) -> Request {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        request(&self.authority, method, headers, body, token, now)
    }

    pub(crate) fn send(&mut self, way: Run, request: &Request) -> Result<(client::Response, Value), String> {
        let response = client::send(self.envoy.port, way, request)?.ok_or("no answer")?;
        let line = self.envoy.next_line()?;
        let record = serde_json::from_str(&line).map_err(|error| format!("record `{line}`: {error}"))?;
        Ok((response, record))
    }

    /// Opens a session for somebody: the id as the client has it.
    pub(crate) fn open(&mut self, way: Run, token: &Value) -> Result<String, String> {
        let request = self.request("POST", &[], initialize(), token);
        let (response, record) = self.send(way, &request)?;
        let ids = all(&response, "mcp-session-id");
        match (response.status, record["code"].as_str(), ids.as_slice()) {
            (200, Some("permitted"), [id]) => Ok(id.clone()),
            (status, code, ids) => Err(format!("initialize: found {status}, {code:?}, {ids:?}")),
        }
    }

    /// Upstream got this one request, with this session id.
    fn got(&self, what: &str, session: Option<&str>) -> Result<(), String> {
        let seen = self.server.take();
        match seen.as_slice() {
            [message] if value(message, "mcp-session-id").as_deref() == session => Ok(()),
            seen => Err(format!("{what}: expected one request with {session:?}, found {seen:?}")),
        }
    }

    /// Answered by the gate as what is over, and unseen by the server.
    fn refused(&mut self, what: &str, way: Run, request: &Request, why: &str) -> Result<String, String> {
        let (response, record) = self.send(way, request)?;
        let seen = self.server.take();
        let detail = record["detail"].as_str().unwrap_or_default();
        let body = String::from_utf8_lossy(&response.body).into_owned();
        if response.status != 404 || record["code"] != "session_unknown" || !detail.starts_with(why) || !seen.is_empty()
        {
            return Err(format!("{what}: found {}: {body}, {record}, upstream {seen:?}", response.status));
        }
        // All but the id of the decision, which is each answer's own.
        let decision = record["decision_id"].as_str().unwrap_or_default();
        Ok(body.replace(decision, "ID"))
    }

    pub(crate) fn no_trap(&self) -> Result<(), String> {
        let log = self.envoy.own_log();
        let trapped = log.contains("panicked") || log.contains("Function: proxy_on") || log.contains("critical");
        if trapped { Err(format!("the module trapped:\n{log}")) } else { Ok(()) }
    }
}

pub(crate) fn configuration(given: &Value, authority: &str) -> Value {
    let issuer = |name: &str, host: &str| json!({"name": name, "issuer": host, "jwks": {"inline": {"keys": ["es256"]}}, "leeway": 0});
    let resource = |path: &str| json!({"url": format!("http://{authority}/{path}"), "issuers": ["demo", "other"]});
    let mut patch = json!({
        "issuers": [issuer("demo", "https://as.example.com"), issuer("other", "https://as.example.org")],
        "resources": [resource("mcp"), resource("other")],
        "policy": {"modules": {"authz.rego": "package mcp.authz\n\nallow if input.identity.subject\n"}},
    });
    merge(&mut patch, given);
    Keys::shared().configuration(&patch, authority)
}

/// A request of the legacy era; `token` is a patch over alice's.
pub(crate) fn request(
    authority: &str,
    method: &str,
    headers: &[(&str, &str)],
    body: Value,
    token: &Value,
    now: u64,
) -> Request {
    let headers: Vec<Value> = headers.iter().map(|(name, value)| json!([name, value])).collect();
    let body = if method == "POST" { body } else { Value::Null };
    let request = json!({"method": method, "headers": headers, "body": body});
    let step = json!({"token": token, "request": request, "expect": {"unanswered": {}}});
    let step = serde_json::from_value(step).unwrap();
    Session::default().request(&step, Keys::shared(), authority, now)
}

fn initialize() -> Value {
    let params =
        json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}});
    json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params})
}

pub(crate) fn call() -> Value {
    json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "x"}})
}

/// What a modern message says of itself.
pub(crate) fn meta() -> Value {
    json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}})
}

fn all(response: &client::Response, name: &str) -> Vec<String> {
    let values = response.headers.iter().filter(|(header, _)| header.eq_ignore_ascii_case(name));
    values.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect()
}

fn owned() -> Result<(), String> {
    let mut world = World::start(&keys(&[1]))?;
    for way in WAYS {
        let alices = world.open(way, &json!({}))?;
        let raw = alices.rsplit_once('.').unwrap_or_default().0.to_owned();
        world.got("initialize", None)?;
        let bobs = world.open(way, &json!({"sub": "bob"}))?;
        world.got("initialize", None)?;
        // Hers: the server hears its own id, and answers with it; she hears the sealed one.
        let request = world.request("POST", &[("mcp-session-id", &alices)], call(), &json!({}));
        let (response, _) = world.send(way, &request)?;
        world.got("her call", Some(&raw))?;
        let answer = String::from_utf8_lossy(&response.body).into_owned();
        if all(&response, "mcp-session-id") != [alices.clone()] || !answer.contains(&raw) || response.status != 200 {
            return Err(format!("her call: found {}, {:?}, {answer}", response.status, response.headers));
        }
        // Everybody else, in every way to use a session.
        let url = format!("http://{}/other", world.authority);
        let others = [
            ("another subject", "/mcp", json!({"sub": "bob"})),
            ("another issuer", "/mcp", json!({"iss": "https://as.example.org"})),
            ("another client", "/mcp", json!({"client_id": "client-2"})),
            ("another resource", "/other", json!({"aud": url})),
        ];
        let mut answers = Vec::new();
        for (what, path, token) in &others {
            for method in ["POST", "GET", "DELETE"] {
                for headers in [
                    vec![("mcp-session-id", alices.as_str())],
                    vec![("mcp-session-id", alices.as_str()), ("last-event-id", "1")],
                ] {
                    let request = Request { path: (*path).into(), ..world.request(method, &headers, call(), token) };
                    let answer =
                        world.refused(&format!("{what}, {method}"), way, &request, "session_subject_mismatch")?;
                    answers.push((method == "POST", answer));
                }
            }
        }
        // What is no session at all hears the same.
        for id in [raw.as_str(), &format!("{raw}.{}", "A".repeat(32)), &format!("{alices}A"), "x"] {
            for method in ["POST", "GET", "DELETE"] {
                let request = world.request(method, &[("mcp-session-id", id)], call(), &json!({}));
                let answer = world.refused(&format!("`{id}`, {method}"), way, &request, "the gate did not make it")?;
                answers.push((method == "POST", answer));
            }
        }
        for (is_post, answer) in &answers {
            let first = answers.iter().find(|(other, _)| other == is_post).unwrap();
            if *answer != first.1 {
                return Err(format!("answers differ: {answer} and {}", first.1));
            }
        }
        // Bob's own is still his, and hers hers: nobody has ended it.
        for (id, token) in [(&bobs, json!({"sub": "bob"})), (&alices, json!({"scope": "mcp:read", "jti": "another"}))] {
            let request = world.request("POST", &[("mcp-session-id", id)], call(), &token);
            if world.send(way, &request)?.0.status != 200 {
                return Err("a session was lost".into());
            }
        }
        world.server.take();
        let request = world.request("DELETE", &[("mcp-session-id", &alices)], call(), &json!({}));
        let ended = world.send(way, &request)?.0.status;
        world.got("her end", Some(&raw))?;
        if ended != 200 {
            return Err(format!("her end: found {ended}"));
        }
    }
    world.no_trap()
}

fn needed() -> Result<(), String> {
    let mut world = World::start(&keys(&[1]))?;
    for way in WAYS {
        for method in ["POST", "GET", "DELETE"] {
            let request = world.request(method, &[], call(), &json!({}));
            let (response, record) = world.send(way, &request)?;
            world.got(method, None)?;
            let body = String::from_utf8_lossy(&response.body).into_owned();
            if response.status != 400 || record["code"] != "permitted" || !body.contains("header is required") {
                return Err(format!("{method}: found {}: {body}, {record}", response.status));
            }
        }
    }
    world.no_trap()
}

fn over() -> Result<(), String> {
    let mut world = World::start(&keys(&[1]))?;
    for way in WAYS {
        let id = world.open(way, &json!({}))?;
        world.server.forget();
        world.server.take();
        let request = world.request("POST", &[("mcp-session-id", &id)], call(), &json!({}));
        let (response, record) = world.send(way, &request)?;
        let theirs: Value = serde_json::from_slice(&response.body).map_err(|error| error.to_string())?;
        if response.status != 404 || record["code"] != "permitted" || world.server.take().len() != 1 {
            return Err(format!("over at the server: found {}: {theirs}, {record}", response.status));
        }
        let request = world.request("POST", &[("mcp-session-id", &id)], call(), &json!({"sub": "bob"}));
        let ours = world.refused("somebody else's", way, &request, "session_subject_mismatch")?;
        let ours: Value = serde_json::from_str(&ours).map_err(|error| error.to_string())?;
        if (&ours["error"]["code"], &ours["error"]["message"])
            != (&theirs["error"]["code"], &theirs["error"]["message"])
        {
            return Err(format!("the server says {theirs}, the gate {ours}"));
        }
    }
    world.no_trap()
}

fn rotated() -> Result<(), String> {
    let mut world = World::start(&keys(&[1]))?;
    let old = world.open(Run::H1, &json!({}))?;
    // By another proxy with that key, and by one of two workers.
    let mut second = World::start_before(Stateful::start(), &keys(&[1]), 2)?;
    let resource = format!("http://{}/mcp", second.authority);
    for _ in 0..8 {
        let id = sealed(1, "elsewhere", &alice(&resource));
        let request = second.request("POST", &[("mcp-session-id", &id)], call(), &json!({}));
        second.send(Run::H1, &request)?;
        second.got("with the same key", Some("elsewhere"))?;
    }
    second.no_trap()?;
    // The new key seals, and both open; what the client has stays as it is.
    let check = |world: &mut World, id: &str, good: bool| -> Result<(), String> {
        world.server.take();
        let request = world.request("POST", &[("mcp-session-id", id)], call(), &json!({}));
        if !good {
            return world.refused("a key that is gone", Run::H2, &request, "the gate did not make it").map(drop);
        }
        let (response, _) = world.send(Run::H2, &request)?;
        match (response.status, all(&response, "mcp-session-id")) {
            (200, ids) if ids == [id.to_owned()] => Ok(()),
            (status, ids) => Err(format!("`{id}`: found {status}, {ids:?}")),
        }
    };
    check(&mut world, &old, true)?;
    let raw = old.rsplit_once('.').unwrap_or_default().0.to_owned();
    let resource = format!("http://{}/mcp", world.authority);
    for (numbers, newest, good) in [(&[2, 1][..], 2, true), (&[2][..], 2, false), (&[1, 2][..], 1, true)] {
        world.configure(&keys(numbers))?;
        let id = world.open(Run::H1, &json!({}))?;
        let id_raw = id.rsplit_once('.').unwrap_or_default().0;
        if id != sealed(newest, id_raw, &alice(&resource)) {
            return Err(format!("{numbers:?}: expected the newest key to seal, found {id}"));
        }
        check(&mut world, &id, true)?;
        check(&mut world, &old, good)?;
        check(&mut world, &sealed(2, &raw, &alice(&resource)), true)?;
    }
    world.no_trap()
}

impl World {
    /// Changes the configuration, and waits until it is in force.
    fn configure(&mut self, given: &Value) -> Result<(), String> {
        let revision = self.revision()?;
        let mut given = given.clone();
        let own = given.to_string();
        merge(&mut given, &json!({"policy": {"data": {"own": own}}}));
        self.envoy.configure(&configuration(&given, &self.authority));
        let start = Instant::now();
        while self.revision()? == revision {
            if start.elapsed() > PATIENCE {
                return Err(format!("the configuration was not accepted:\n{}", self.envoy.own_log()));
            }
        }
        Ok(())
    }

    /// Changes it, and waits until Envoy has taken it.
    pub(crate) fn configure_unasked(&mut self, given: &Value) -> Result<(), String> {
        let known = self.envoy.stat("config_reload");
        self.envoy.configure(&configuration(given, &self.authority));
        self.envoy.wait_until("the configuration is accepted", |envoy| envoy.stat("config_reload") > known)
    }

    fn revision(&mut self) -> Result<Value, String> {
        let request = Request { path: "/".into(), ..self.request("GET", &[], Value::Null, &Value::Null) };
        Ok(self.send(Run::H1, &request)?.1["revision"].take())
    }
}

fn unconfigured() -> Result<(), String> {
    // Two workers have one key.
    let mut world = World::start_before(Stateful::start(), &keys(&[]), 2)?;
    let id = world.open(Run::H1, &json!({}))?;
    world.server.take();
    let raw = id.rsplit_once('.').unwrap_or_default().0.to_owned();
    for _ in 0..16 {
        let request = world.request("POST", &[("mcp-session-id", &id)], call(), &json!({}));
        let (response, _) = world.send(Run::H1, &request)?;
        world.got("by any worker", Some(&raw))?;
        if response.status != 200 {
            return Err(format!("by any worker: found {}", response.status));
        }
    }
    // A new configuration keeps it, another process does not.
    world.configure(&json!({"policy": {"data": {"x": 1}}}))?;
    world.server.take();
    let request = world.request("POST", &[("mcp-session-id", &id)], call(), &json!({}));
    world.send(Run::H1, &request)?;
    world.got("after a new configuration", Some(&raw))?;
    world.no_trap()?;
    let mut other = World::start(&keys(&[]))?;
    let request = other.request("POST", &[("mcp-session-id", &id)], call(), &json!({}));
    other.refused("by another proxy", Run::H1, &request, "the gate did not make it")?;
    other.no_trap()
}

fn unbound() -> Result<(), String> {
    let mut world = World::start(&keys(&[1]))?;
    for way in WAYS {
        for (id, good) in [
            ("x".repeat(991), true),
            ("x".repeat(992), false),
            ("a,b".into(), false),
            ("a b".into(), false),
            ("\u{e9}".into(), false),
        ] {
            let test = format!("id={id}");
            let request = world.request("POST", &[("x-test", &test)], call(), &json!({}));
            let (response, record) = world.send(way, &request)?;
            let ids = all(&response, "mcp-session-id");
            let text = String::from_utf8_lossy(&response.body).into_owned();
            let (status, detail) = (response.status, record["detail"].as_str().unwrap_or_default());
            let fine = match good {
                true => status == 200 && ids.len() == 1 && ids[0].len() == 1024 && record.get("detail").is_none(),
                false => {
                    status == 502
                        && ids.is_empty()
                        && text.contains("\"session_unbound\"")
                        && !text.contains(&id)
                        && all(&response, "x-mcp-gate-decision") == [record["decision_id"].as_str().unwrap_or_default()]
                        && detail.starts_with("session_unbound")
                }
            };
            if !fine || record["code"] != "permitted" || world.server.take().len() != 1 {
                return Err(format!("{way:?}, an id of {}: found {status}, {ids:?}, {text}, {record}", id.len()));
            }
        }
        // Of two the client gets one, and it is bound.
        let request = world.request("POST", &[("x-test", "ids")], call(), &json!({}));
        let (response, _) = world.send(way, &request)?;
        let resource = format!("http://{}/mcp", world.authority);
        if all(&response, "mcp-session-id") != [sealed(1, "first", &alice(&resource))] {
            return Err(format!("two ids: found {:?}", response.headers));
        }
        world.server.take();
    }
    let refused = world.envoy.stat("mcp_gate_answers_refused");
    if refused != 8 {
        return Err(format!("expected 8 answers refused, found {refused}"));
    }
    world.no_trap()
}

fn modern() -> Result<(), String> {
    let mut world = World::start(&keys(&[1]))?;
    let resource = format!("http://{}/mcp", world.authority);
    let id = sealed(1, "raw", &alice(&resource));
    let mut body = call();
    body["params"]["_meta"] = meta();
    for way in WAYS {
        for id in [id.as_str(), "x", "a,b"] {
            let headers = [
                ("mcp-protocol-version", "2026-07-28"),
                ("mcp-method", "tools/call"),
                ("mcp-name", "x"),
                ("mcp-session-id", id),
                ("last-event-id", "1"),
                ("x-test", "id=minted"),
            ];
            let request = world.request("POST", &headers, body.clone(), &json!({}));
            let (response, record) = world.send(way, &request)?;
            let seen = world.server.take();
            let is_without = |name| matches!(seen.as_slice(), [message] if value(message, name).is_none());
            if !is_without("mcp-session-id") || !is_without("last-event-id") {
                return Err(format!("`{id}`: expected one message without either, found {seen:?}"));
            }
            if response.status != 200 || !all(&response, "mcp-session-id").is_empty() {
                return Err(format!("`{id}`: found {}, {:?}, {record}", response.status, response.headers));
            }
        }
    }
    world.no_trap()
}
