//! Tokens that only their issuer can read, through a real Envoy, from an issuer that
//! misbehaves on purpose, and from clients that do not wait for it.

use std::thread::sleep;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use crate::case::{Request, Run, merge};
use crate::client::{self, writes};
use crate::fetching::SECRET;
use crate::key_server::{Answer, KeyServer};
use crate::keys::Keys;
use crate::process::{cluster, free_port};
use crate::reload::Connection;
use crate::wire::{self, status};

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |name: &str, run: fn() -> Result<(), String>| {
        Trial::test(format!("introspection/{name}"), move || run().map_err(Failed::from))
    };
    vec![
        trial("JWT-67 PW-11 an issuer that misbehaves makes nobody welcome, and the record says why", misbehaving),
        trial("JWT-67 PW-11 an issuer that Envoy does not reach makes nobody welcome", unreachable),
        trial("PW-08 the body, and trailers, may be there before the answer", body_first),
        trial(
            "PW-05 PW-06 a body that is too large is refused before the answer, which then changes nothing",
            too_large,
        ),
        trial("PW-06 a client that is gone when the answer comes leaves a record and no trap", gone),
        trial("PW-03 INV-1 under `hold: body` a body that comes while the issuer is asked waits, too", body_held),
        trial("PW-11 others are served while an issuer is asked", meanwhile),
        trial("JWT-66 what was revoked is refused although its issuer vouched for it", revoked),
    ]
}

/// Of the form that no resource may have.
const PATH: &str = "/o/introspect/?v=1";
/// What neither a log nor a record may hold: of an answer, of the gate's own, and of tokens.
const SECRETS: [&str; 3] = [SECRET, "do-not-record", "token-"];

/// How long an issuer is waited for, in milliseconds: by who waits for the end of it, and
/// by who does not.
const SHORT: u64 = 700;
const LONG: u64 = 10_000;

/// Refused by the policy of [`wire::World`], which permits even numbers, and permitted.
const NUMBERS: [(usize, u16, &str); 2] = [(1, 403, "policy_undefined"), (0, 200, "permitted")];

struct World {
    wire: wire::World,
    server: KeyServer,
    given: Value,
}

impl World {
    /// An Envoy whose issuer is asked, and keys of the issuer beside it.
    fn start(timeout: u64) -> Result<Self, String> {
        Self::start_changed(&json!({}), timeout, |_| {})
    }

    /// With a patch of the gate's configuration, and changes to `envoy/filter.yaml`.
    fn start_changed(patch: &Value, timeout: u64, change: impl Fn(&mut Value)) -> Result<Self, String> {
        let server = KeyServer::start(0);
        let mut given = json!({
            "issuers": [{
                "name": "demo", "issuer": "https://as.example.com", "jwks": {"inline": {"keys": ["es256"]}},
                "introspection": introspection("as", server.port, timeout),
            }],
            "policy": {"modules": {"authz.rego": "package mcp.authz\n\nallow if input.mcp.arguments.n % 2 == 0\n"}},
        });
        merge(&mut given, patch);
        let clusters = [cluster("as", server.port), cluster("nobody", free_port())].concat();
        let wire = wire::World::start_changed(&given, |bootstrap, filter| {
            bootstrap.push_str(&clusters);
            change(filter);
        })?;
        Ok(Self { wire, server, given })
    }

    /// Changes the issuer, and waits until that is in force.
    fn configure(&mut self, issuer: &Value) -> Result<(), String> {
        merge(&mut self.given["issuers"][0], issuer);
        let loaded = self.wire.envoy.stat("update_success");
        self.wire.configure(&self.given);
        self.wire.envoy.wait_until("the configuration is in force", |envoy| envoy.stat("update_success") > loaded)
    }

    fn says(&self, answer: Answer) {
        self.server.set(PATH, answer);
    }

    /// A yes, with more members.
    fn yes(&self, more: &Value) -> Answer {
        let resource = format!("http://{}/mcp", String::from_utf8_lossy(&self.wire.call(0).authority));
        let mut yes = json!({"active": true, "sub": "alice", "aud": resource, "client_id": "client-1"});
        merge(&mut yes, more);
        Answer::json(&yes)
    }

    /// A call of a number with a token that nobody has seen before.
    fn call(&self, number: usize) -> Request {
        let mut request = self.wire.call(number);
        for (name, value) in &mut request.headers {
            if name == "authorization" {
                *value = format!("Bearer {}", Keys::shared().unique()).into_bytes();
            }
        }
        request
    }

    fn open(&self) -> Result<Connection, String> {
        Connection::open(self.wire.envoy.port)
    }

    fn ask(&self, request: &Request) -> Result<u16, String> {
        self.open()?.send(&writes(Run::H1, request).concat()).map(|answer| status(&answer))
    }

    /// Begins a call, and waits until the issuer is asked about its token.
    fn begin(&self, bytes: &[u8]) -> Result<Connection, String> {
        let asked = self.server.asked(PATH);
        let mut connection = self.open()?;
        connection.write(bytes)?;
        self.server.wait_asked(PATH, asked + 1)?;
        self.wire.upstream_got(0)?;
        Ok(connection)
    }

    /// One call came to this, its record begins its detail so, and upstream got it
    /// only if it was permitted.
    fn expect(&mut self, what: &str, found: u16, expected: (u16, &str), detail: &str) -> Result<(), String> {
        let line = self.wire.envoy.next_line()?;
        self.wire.envoy.no_line()?;
        let record: Value = serde_json::from_str(&line).map_err(|error| format!("{what}: {error}: {line}"))?;
        if let Some(said) = SECRETS.into_iter().find(|secret| line.contains(secret)) {
            return Err(format!("{what}: found `{said}` in the record: {line}"));
        }
        let is_expected = record["detail"].as_str().unwrap_or_default().starts_with(detail);
        if (found, record["code"].as_str().unwrap_or_default()) != expected || !is_expected {
            return Err(format!("{what}: expected {expected:?} `{detail}`, found {found} {line}"));
        }
        let permitted = usize::from(expected.1 == "permitted");
        self.wire.upstream_got(permitted).map_err(|error| format!("{what}: {error}"))
    }

    /// The module lives, serves, and nobody has said a secret.
    fn is_well(&mut self) -> Result<(), String> {
        self.says(self.yes(&json!({})));
        let found = self.ask(&self.call(0))?;
        self.expect("afterwards", found, (200, "permitted"), "")?;
        self.wire.no_trap()?;
        let log = self.wire.envoy.own_log();
        let said = SECRETS.into_iter().find(|secret| log.contains(secret));
        said.map_or(Ok(()), |said| Err(format!("found `{said}` in Envoy's log:\n{log}")))
    }
}

fn introspection(cluster: &str, port: u16, timeout: u64) -> Value {
    json!({
        "cluster": cluster, "url": format!("http://127.0.0.1:{port}{PATH}"), "client_id": "gate",
        "client_secret": {"env": "MCP_GATE_CLIENT_SECRET"}, "timeout_ms": timeout,
    })
}

/// All that an answer can be that is no clear yes.
fn misbehaving() -> Result<(), String> {
    let mut world = World::start(SHORT)?;
    let json = "content-type: application/json\r\n";
    let Answer::Bytes(yes) = world.yes(&json!({})) else { return Err("expected bytes".into()) };
    let start = yes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let (head, good) = (yes[..start].to_vec(), yes[start..].to_vec());
    let ok = |headers: &str, body: &[u8]| Answer::new("200 OK", headers, body);
    let chunked = format!("HTTP/1.1 200 OK\r\n{json}transfer-encoding: chunked\r\n\r\n");
    let large = [good.as_slice(), &vec![b' '; 256 * 1024]].concat();
    let html = format!("<html>{SECRET}</html>");
    let failed = (503, "introspection_failed");
    let (envoys, broken) = ("expected status 200, found 50", "expected an answer, found a broken connection");
    for (what, answer, expected, detail) in [
        ("silence", Answer::Silent, failed, "expected status 200, found 504, the server's or Envoy's own"),
        ("a byte a second", Answer::Drips(format!("{chunked}1\r\n{{\r\n").into_bytes()), failed, broken),
        ("a closed connection", Answer::HangsUp, failed, envoys),
        ("half a head", Answer::Bytes(b"HTTP/1.1 200 OK\r\ncontent-ty".to_vec()), failed, envoys),
        ("no HTTP", Answer::Bytes(b"220 mail.example.com ESMTP\r\n".to_vec()), failed, envoys),
        ("a body that is cut", Answer::Bytes([head.as_slice(), &good[1..]].concat()), failed, broken),
        ("chunks without end", Answer::Endless(chunked.into_bytes()), failed, "expected "),
        ("256 KiB and a yes", ok(json, &large), failed, "expected at most 262144 bytes, found more"),
        (
            "HTML",
            ok("content-type: text/html\r\n", html.as_bytes()),
            failed,
            "expected content-type application/json, found `text/html`",
        ),
        (
            "HTML that says it is JSON",
            ok(json, html.as_bytes()),
            failed,
            "expected an object of strict JSON, found what is none",
        ),
        ("a yes of no type", ok("", &good), failed, "expected content-type application/json, found ``"),
        ("a yes of two types", ok(&format!("{json}{json}"), &good), failed, "expected "),
        (
            "a yes in gzip",
            ok(&format!("{json}content-encoding: gzip\r\n"), &good),
            failed,
            "expected a body that is not encoded, found `gzip`",
        ),
        (
            "a wrong secret",
            Answer::new("401 Unauthorized", json, &good),
            failed,
            "expected status 200, found 401; are `introspection.client_id` and `client_secret` right?",
        ),
        (
            "another place",
            Answer::new("302 Found", &format!("{json}location: /yes\r\n"), &good),
            failed,
            "expected status 200, found 302",
        ),
        ("an error", Answer::new("500 Internal Server Error", json, &good), failed, "expected status 200, found 500"),
        ("created", Answer::new("201 Created", json, &good), failed, "expected status 200, found 201"),
        ("a no", Answer::json(&json!({"active": false})), (401, "token_inactive"), ""),
        ("a yes as text", world.yes(&json!({"active": "true"})), (401, "token_inactive"), ""),
        (
            "another audience",
            world.yes(&json!({"aud": "https://a.example/"})),
            (401, "token_audience"),
            "found `https://a.example/`, expected `http://127.0.0.1:",
        ),
        (
            "another issuer",
            world.yes(&json!({"iss": "https://a.example"})),
            (401, "token_issuer"),
            "found `https://a.example`, expected `https://as.example.com`",
        ),
        (
            "a key of nobody",
            world.yes(&json!({"cnf": {"kid": "x"}})),
            (401, "token_confirmation"),
            "`cnf`: expected `jkt` or `x5t#S256`, and nothing else",
        ),
    ] {
        world.says(answer);
        let asked = world.server.asked(PATH);
        let found = world.ask(&world.call(0))?;
        world.expect(what, found, expected, detail)?;
        if world.server.asked(PATH) == asked {
            return Err(format!("{what}: expected the issuer to be asked at {PATH}"));
        }
    }
    world.is_well()
}

/// Envoy has the cluster, and no way to it; or does not have it.
fn unreachable() -> Result<(), String> {
    let mut world = World::start(SHORT)?;
    let port = world.server.port;
    for (name, detail) in [
        ("missing", "expected a cluster `missing` of Envoy's, found none"),
        ("nobody", "expected status 200, found 503"),
    ] {
        world.configure(&json!({"introspection": {"cluster": name}}))?;
        let found = world.ask(&world.call(0))?;
        world.expect(name, found, (503, "introspection_failed"), detail)?;
    }
    world.configure(&json!({"introspection": introspection("as", port, SHORT)}))?;
    world.is_well()
}

/// Nothing goes on before the answer, and nothing of what is refused by it or after it.
fn body_first() -> Result<(), String> {
    let mut world = World::start(LONG)?;
    for framing in [Run::H1, Run::H1Chunked, Run::H1Trailers] {
        for (number, expected, code) in NUMBERS {
            let answers = [(world.yes(&json!({})), (expected, code)), (no(), (401, "token_inactive"))];
            for (answer, expected) in answers {
                world.says(Answer::Waits);
                let mut caller = world.begin(&writes(framing, &world.call(number)).concat())?;
                world.says(answer);
                let found = status(&caller.read()?);
                world.expect(&format!("{framing:?} {number}"), found, expected, "")?;
            }
        }
    }
    world.is_well()
}

/// The head of a call of a number, and its body in chunks, the last of which ends it.
fn pieces(request: &Request, sizes: usize) -> (Vec<u8>, Vec<Vec<u8>>) {
    let whole = writes(Run::H1Chunked, &Request { body: Some(Vec::new()), ..request.clone() });
    let body = request.body.as_deref().unwrap_or_default();
    let mut chunks: Vec<_> = body.chunks(sizes).map(chunk).collect();
    if let Some(last) = chunks.last_mut() {
        last.extend_from_slice(b"0\r\n\r\n");
    }
    (whole[0].clone(), chunks)
}

fn chunk(part: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat()
}

fn too_large() -> Result<(), String> {
    let mut world = World::start(LONG)?;
    for answer in [world.yes(&json!({})), Answer::HangsUp] {
        world.says(Answer::Waits);
        let (head, _) = pieces(&world.call(0), 1);
        let mut caller = world.begin(&head)?;
        caller.write(&chunk(&[b' '; 262_145]))?;
        let found = status(&caller.read()?);
        world.expect("while the issuer is asked", found, (413, "body_too_large"), "")?;
        world.says(answer);
        world.is_well()?;
    }
    Ok(())
}

/// Before its body, in the middle of it, and behind it; over HTTP/2 by a reset, too.
fn gone() -> Result<(), String> {
    let mut world = World::start(LONG)?;
    for round in 0..10 {
        let (head, chunks) = pieces(&world.call(0), 30);
        for count in 0..=chunks.len() {
            world.says(Answer::Waits);
            let caller = world.begin(&[head.clone(), chunks[..count].concat()].concat())?;
            drop(caller);
            world.expect(&format!("after {count} chunks"), 0, (0, "incomplete"), "")?;
            // For nobody.
            world.says(world.yes(&json!({})));
        }
        for after in [0, 40] {
            world.says(Answer::Waits);
            let request = Request { stops_after: Some(after), ..world.call(0) };
            client::send(world.wire.envoy.port, Run::H2, &request)?;
            world.expect(&format!("a reset after {after} bytes"), 0, (0, "incomplete"), "")?;
            world.says(world.yes(&json!({})));
        }
        world.is_well().map_err(|error| format!("round {round}: {error}"))?;
    }
    Ok(())
}

/// A part of the body, or all of it, lies in the host when the answer comes. With the
/// flag, which `mcp-gate check` refuses beside `hold: body`, nothing goes on undecided either.
fn body_held() -> Result<(), String> {
    for flag in [false, true] {
        let mut world = World::start_changed(&json!({"hold": "body"}), LONG, |filter| {
            filter["resources"][0]["typed_config"]["config"]["allow_on_headers_stop_iteration"] = flag.into();
        })?;
        for (number, expected, code) in NUMBERS {
            for count in 0..=pieces(&world.call(number), 30).1.len() {
                let what = format!("flag {flag}, {number}, {count} chunks");
                for (answer, expected) in [(world.yes(&json!({})), (expected, code)), (no(), (401, "token_inactive"))] {
                    let (head, chunks) = pieces(&world.call(number), 30);
                    let (first, rest) = chunks.split_at(count);
                    world.says(Answer::Waits);
                    let mut caller = world.begin(&[head, first.concat()].concat())?;
                    world.says(answer);
                    // Who is refused need not go on.
                    if !rest.is_empty() && expected.0 != 401 {
                        sleep(Duration::from_millis(50));
                        world.wire.upstream_got(0).map_err(|error| format!("{what}: {error}"))?;
                        caller.write(&rest.concat())?;
                    }
                    let found = status(&caller.read()?);
                    world.expect(&what, found, expected, "")?;
                }
            }
        }
        world.is_well()?;
    }
    Ok(())
}

fn no() -> Answer {
    Answer::json(&json!({"active": false}))
}

/// One worker; whoever needs no answer has his own at once.
fn meanwhile() -> Result<(), String> {
    const WAITING: usize = 20;
    let mut world = World::start(LONG)?;
    world.says(Answer::Waits);
    let mut waiting = Vec::new();
    for number in 0..WAITING {
        waiting.push(world.begin(&writes(Run::H1, &world.call(number * 2)).concat())?);
    }
    for number in 0..50 {
        let found = world.ask(&world.wire.call(number * 2))?;
        world.expect("a token that can be read", found, (200, "permitted"), "")?;
    }
    if world.server.asked(PATH) != WAITING || world.server.most_open() != WAITING {
        return Err(format!("expected {WAITING} questions at once, found {}", world.server.most_open()));
    }
    world.says(world.yes(&json!({})));
    for caller in &mut waiting {
        match status(&caller.read()?) {
            200 => {}
            found => return Err(format!("expected 200 for who waited, found {found}")),
        }
    }
    for _ in 0..WAITING {
        let code = world.wire.code()?;
        if code != "permitted" {
            return Err(format!("expected `permitted` for who waited, found `{code}`"));
        }
    }
    world.wire.upstream_got(WAITING)?;
    world.is_well()
}

/// By its own id, by its client, and because it names no client where clients are revoked.
fn revoked() -> Result<(), String> {
    let mut world = World::start(SHORT)?;
    for (what, members, revoked) in [
        ("its id", json!({"jti": "stolen"}), json!({"jti": ["stolen"]})),
        ("its client", json!({"client_id": "lost"}), json!({"client_id": ["lost"]})),
        ("no client", json!({"client_id": null}), json!({"client_id": ["lost"]})),
    ] {
        world.configure(&json!({"revoked": {"jti": null, "client_id": null}}))?;
        world.says(world.yes(&members));
        let (request, asked) = (world.call(0), world.server.asked(PATH));
        for _ in 0..3 {
            let found = world.ask(&request)?;
            world.expect(what, found, (200, "permitted"), "")?;
        }
        if world.server.asked(PATH) != asked + 1 {
            return Err(format!("{what}: expected one question, found {}", world.server.asked(PATH) - asked));
        }
        world.configure(&json!({"revoked": revoked}))?;
        for _ in 0..3 {
            let found = world.ask(&request)?;
            world.expect(what, found, (401, "token_revoked"), "")?;
        }
    }
    world.configure(&json!({"revoked": {"jti": null, "client_id": null}}))?;
    world.is_well()
}
