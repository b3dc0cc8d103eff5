//! Keys that are fetched, through a real Envoy with two workers, from a server that
//! misbehaves on purpose. What time alone decides is in `src/source/tests.rs`.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use crate::fetching::{Client, SECRET, World};
use crate::key_server::{Answer, KeyServer};
use crate::keys::Keys;
use crate::process::free_port;
use crate::reload::Connection;
use crate::wire::status;

/// From the return of a server until the gate serves; the promise is a second, and
/// the machine may have other things to do.
const RECOVERY: Duration = Duration::from_secs(3);

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |name: &str, run: fn() -> Result<(), String>| {
        Trial::test(format!("sources/{name}"), move || run().map_err(Failed::from))
    };
    vec![
        trial("JWK-05 JWK-12 PW-11 a server that misbehaves is as one that is down, whatever it does", misbehaving),
        trial("JWK-05 in an outage the last good keys stay, and go when their time is over", outage),
        trial(
            "JWK-06 PW-16 a cold start with the server down: one worker asks, and all have keys at its return",
            cold_start,
        ),
        trial("JWK-06 PW-16 a thousand requests before the first key make one fetch", thousand),
        trial("JWK-07 JWK-10 HTTP-48 a rotation while clients call", rotation),
        trial("JWK-08 JWK-09 a flood of unknown kids makes one fetch, and memory stays", flood),
        trial("JWK-10 PW-14 PW-16 a new configuration begins with the keys that are there", push),
        trial("JWK-12 the answer to a call of the gate's own, when its configuration is gone", gone),
        trial("JWK-05 JWK-12 clusters that are missing, empty, or without the TLS that they want", clusters),
        trial("JWK-11 keys are discovered where the issuer's metadata says", discovered),
        trial("JWK-11 metadata of another issuer, and keys elsewhere, are refused", poisoned),
    ]
}

fn jwk(name: &str) -> Value {
    Keys::shared().jwk(name)
}

/// All that JWK-05 and JWK-12 list, each tried at least once by a gate that has no
/// keys; then a good answer, which is taken within a second.
fn misbehaving() -> Result<(), String> {
    let set = json!({"keys": [jwk("es256")]}).to_string();
    let (good, json) = (set.as_bytes(), "content-type: application/json\r\n");
    let ok = |headers: &str, body: &[u8]| Answer::new("200 OK", headers, body);
    let cut = |bytes: &[u8], length: usize| {
        let head = format!("HTTP/1.1 200 OK\r\n{json}content-length: {length}\r\n\r\n");
        Answer::Bytes([head.as_bytes(), bytes].concat())
    };
    let chunked = format!("HTTP/1.1 200 OK\r\n{json}transfer-encoding: chunked\r\n\r\n");
    let started = format!("{chunked}1\r\n{{\r\n");
    let many = format!("{{\"keys\":[{}]}}", vec![set.clone(); 10_001].join(","));
    let large = [good, &vec![b' '; 4 * 1024 * 1024]].concat();
    let marked = format!("<html>{SECRET}</html>");
    // The bytes that gzip would make of it are no matter: what says that it is encoded is not read.
    let answers = [
        ("no keys", ok(json, br#"{"keys":[]}"#)),
        ("no members", ok(json, b"{}")),
        ("an array", ok(json, b"[]")),
        ("nothing", ok(json, b"")),
        ("HTML that says it is JSON", ok(json, marked.as_bytes())),
        ("HTML", ok("content-type: text/html\r\n", marked.as_bytes())),
        ("no content", Answer::new("204 No Content", json, b"")),
        (
            "another place",
            Answer::new("301 Moved Permanently", &format!("{json}location: http://127.0.0.1:1/\r\n"), good),
        ),
        ("a place of one's own", Answer::new("302 Found", &format!("{json}location: /good\r\n"), good)),
        ("not found", Answer::new("404 Not Found", json, good)),
        ("an error", Answer::new("500 Internal Server Error", json, good)),
        ("another type", ok("content-type: text/plain\r\n", good)),
        ("no type", ok("", good)),
        ("two types", ok(&format!("{json}content-type: text/plain\r\n"), good)),
        ("gzip", ok(&format!("{json}content-encoding: gzip\r\n"), good)),
        ("a byte order mark", ok(json, &[b"\xef\xbb\xbf", good].concat())),
        ("keys twice", ok(json, set.replacen('{', "{\"keys\":[],", 1).as_bytes())),
        ("keys twice, but for case", ok(json, set.replacen('{', "{\"Keys\":[],", 1).as_bytes())),
        ("a private key alone", ok(json, json!({"keys": [jwk("private")]}).to_string().as_bytes())),
        ("10001 keys", ok(json, many.as_bytes())),
        ("four megabytes", ok(json, &large)),
        ("chunks without end", Answer::Endless(chunked.into_bytes())),
        ("a byte a second", Answer::Drips(started.clone().into_bytes())),
        ("silence", Answer::Silent),
        ("a closed connection", Answer::HangsUp),
        ("a body that is cut", cut(&good[..good.len() - 1], good.len())),
        ("chunks that are cut", Answer::Bytes(started.into_bytes())),
        ("a body that is cut, and says so", cut(&good[..good.len() - 1], good.len() - 1)),
        ("a head alone", Answer::Bytes(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n".to_vec())),
        ("half a head", Answer::Bytes(b"HTTP/1.1 200 OK\r\ncontent-ty".to_vec())),
        ("no HTTP", Answer::Bytes(b"220 mail.example.com ESMTP\r\n".to_vec())),
        ("only a note", Answer::Bytes(b"HTTP/1.1 103 Early Hints\r\n\r\n".to_vec())),
    ];
    let server = KeyServer::start(0);
    let world = World::url(server.port, 10, 20)?;
    let request = world.call(&json!({}));
    let memory = world.envoy.memory();
    let mut slowest = 0;
    for (what, answer) in answers {
        server.set("/jwks", answer);
        // One that was answered before, and one that was not.
        let (asked, failed) = (server.asked("/jwks"), world.fetches("failed"));
        let start = Instant::now();
        while server.asked("/jwks") < asked + 2 || world.fetches("failed") < failed + 2 {
            if start.elapsed() > Duration::from_secs(15) {
                return Err(format!("{what}: expected further attempts; Envoy's log:\n{}", world.envoy.own_log()));
            }
            sleep(Duration::from_millis(20));
        }
        slowest = slowest.max(start.elapsed().as_millis());
        world.expect(what, &request, 503)?;
        world.is_well().map_err(|error| format!("{what}: {error}"))?;
    }
    if server.most_open() > 2 {
        // One that Envoy has given up may not have ended yet.
        return Err(format!("expected one fetch at a time, found {}", server.most_open()));
    }
    let more = world.envoy.memory().saturating_sub(memory);
    if more > 64 * 1024 || world.fetches("ok") > 0 {
        return Err(format!(
            "expected no good fetch, and little memory; found {} and {more} KiB more",
            world.fetches("ok")
        ));
    }
    if !world.envoy.own_log().contains("\"https://as.example.com\": jwks_refresh_failed, 1 in a row: expected ") {
        return Err(format!("expected `jwks_refresh_failed` in Envoy's log:\n{}", world.envoy.own_log()));
    }
    // A bad key among good ones is skipped; the others work.
    server.set(
        "/jwks",
        Answer::keys(&[
            json!({"kty": "oct", "k": SECRET}),
            jwk("es256"),
            json!({"kty": "oct", "k": SECRET, "kid": "x"}),
        ]),
    );
    let recovery = world.until("a good answer", &request, 200, RECOVERY)?;
    println!(
        "sources: served {recovery:?} after the first good answer; two attempts took {slowest} ms at most; {more} KiB more"
    );
    world.envoy.own_log().contains("keys[0] is skipped: ").then_some(()).ok_or("expected a warning of the bad key")?;
    world.is_well()
}

/// `keep` after the last good fetch the keys go; at the server's return there are new ones.
fn outage() -> Result<(), String> {
    const KEEP: u64 = 14;
    let server = KeyServer::start(0);
    server.set("/jwks", Answer::keys(&[jwk("es256")]));
    let world = World::url(server.port, 10, KEEP)?;
    let request = world.call(&json!({}));
    world.until("a good answer", &request, 200, RECOVERY)?;
    let start = Instant::now();
    server.set("/jwks", Answer::new("500 Internal Server Error", "", b""));
    while world.fetches("failed") < 3 {
        world.expect("the last good keys", &request, 200)?;
        if start.elapsed() > Duration::from_secs(KEEP) {
            return Err("expected three failures before the keys go".into());
        }
        sleep(Duration::from_millis(50));
    }
    let stopped = server.stop();
    let gone = Duration::from_secs(KEEP + 3).saturating_sub(start.elapsed());
    world.until("keys that are too old", &request, 503, gone)?;
    let kept = start.elapsed();
    if kept < Duration::from_secs(KEEP - 1) {
        return Err(format!("expected the keys for {KEEP} seconds, found {kept:?}"));
    }
    if world.envoy.stat("mcp_gate_jwks_expired") == 0 {
        return Err("expected keys that expired among the counters".into());
    }
    let server = stopped.start();
    server.set("/jwks", Answer::keys(&[jwk("es256")]));
    let recovery = world.until("the server's return", &request, 200, RECOVERY)?;
    println!("sources: last good keys were kept {kept:?} of {KEEP} s; served {recovery:?} after the server's return");
    world.is_well()
}

/// Nobody listens; then somebody does.
fn cold_start() -> Result<(), String> {
    let port = free_port();
    let world = World::url(port, 300, 3600)?;
    let request = world.call(&json!({}));
    let answer = Connection::open(world.envoy.port)?.send(&request)?;
    let retry = answer.headers.iter().any(|(name, value)| name == "retry-after" && value == b"5");
    if status(&answer) != 503 || !retry {
        return Err(format!("expected 503 with Retry-After, found {answer:?}"));
    }
    world.until("nobody listens", &request, 503, Duration::ZERO)?;
    let start = Instant::now();
    while world.fetches("failed") < 5 {
        sleep(Duration::from_millis(20));
        if start.elapsed() > Duration::from_secs(10) {
            return Err(format!("expected attempts, found {}", world.fetches("failed")));
        }
    }
    let server = KeyServer::start(port);
    server.set("/jwks", Answer::keys(&[jwk("es256")]));
    let recovery = world.until("the server's return", &request, 200, RECOVERY)?;
    println!("sources: served {recovery:?} after the server's first start");
    sleep(Duration::from_secs(2));
    match (server.asked("/jwks"), world.fetches("ok")) {
        // It may have asked between the start and the answer's being set.
        (1 | 2, 1) => world.is_well(),
        found => Err(format!("expected one good fetch for two workers, found {found:?}")),
    }
}

/// All are answered at once, and one fetch is under way.
fn thousand() -> Result<(), String> {
    let server = KeyServer::start(0);
    server.set("/jwks", Answer::Silent);
    let world = World::url(server.port, 300, 3600)?;
    let request = world.call(&json!({}));
    let start = Instant::now();
    thread::scope(|scope| {
        let clients = world.clients()?.into_iter().map(|mut client| {
            let request = &request;
            scope.spawn(move || {
                (0..125).try_for_each(|_| match client.send(request)? {
                    503 => Ok(()),
                    found => Err(format!("expected 503, found {found}")),
                })
            })
        });
        let clients: Vec<_> = clients.collect();
        clients.into_iter().try_for_each(|client| client.join().unwrap())
    })?;
    // Each is under way for two seconds.
    let most = usize::try_from(start.elapsed().as_secs()).unwrap() / 2 + 2;
    if server.asked("/jwks") > most || server.most_open() > 1 {
        let found = (server.asked("/jwks"), server.most_open());
        return Err(format!("expected one fetch at a time, {most} at most; found {found:?} in {:?}", start.elapsed()));
    }
    server.set("/jwks", Answer::keys(&[jwk("es256")]));
    world.until("a good answer", &request, 200, RECOVERY + Duration::from_secs(2))?;
    world.is_well()
}

/// The old key, then both, then the new one, while clients call with tokens of
/// either over connections that stay.
fn rotation() -> Result<(), String> {
    let server = KeyServer::start(0);
    server.set("/jwks", Answer::keys(&[jwk("es256")]));
    let world = World::url(server.port, 10, 3600)?;
    let old = world.call(&json!({}));
    let new = world.call(&json!({"sign_with": "other", "token_header": {"kid": "other"}}));
    let short = world.call(&json!({"token": {"iat": "now-60", "exp": "now-25"}}));
    world.until("the first key", &old, 200, RECOVERY)?;
    // A token that ends, on a connection where it was good.
    let mut client = Client::open(world.envoy.port)?;
    if client.send(&short)? != 200 {
        return Err("expected a token that is about to end to be good".into());
    }
    // Leeway is 30 seconds, and 25 are over.
    let start = Instant::now();
    while client.send(&short)? != 401 {
        if start.elapsed() > Duration::from_secs(8) {
            return Err("expected a token that ended to be refused".into());
        }
        sleep(Duration::from_millis(100));
    }
    let (done, phase) = (AtomicBool::new(false), AtomicUsize::new(KNOWN));
    let calls = AtomicUsize::new(0);
    let result = thread::scope(|scope| {
        let clients: Vec<_> = world
            .clients()?
            .into_iter()
            .map(|client| {
                let (old, done, phase, calls) = (&old, &done, &phase, &calls);
                scope.spawn(move || old_client(client, old, done, phase, calls))
            })
            .collect();
        let result = rotate(&world, &server, &old, &new, &phase);
        done.store(true, Ordering::Release);
        let ended = clients.into_iter().try_for_each(|client| client.join().unwrap());
        result.and_then(|bound| ended.map(|()| bound))
    });
    let bound = result?;
    println!(
        "sources: a key that was taken away was refused after {bound:?} (bound: 11 s and a tick), during {calls:?} calls"
    );
    world.is_well()
}

/// What is to be expected of the old key: it is known; its workers learn that it is gone;
/// it is gone.
const KNOWN: usize = 200;
const GOING: usize = 0;
const GONE: usize = 401;

fn rotate(world: &World, server: &KeyServer, old: &[u8], new: &[u8], phase: &AtomicUsize) -> Result<Duration, String> {
    world.expect("a key that nobody knows", new, 401)?;
    // That forced a fetch, and the next one is not before its time.
    server.set("/jwks", Answer::keys(&[jwk("es256"), jwk("other")]));
    world.until("both keys", new, 200, Duration::from_secs(13))?;
    world.expect("both keys", old, 200)?;
    phase.store(GOING, Ordering::Release);
    server.set("/jwks", Answer::keys(&[jwk("other")]));
    let bound = world.until("the new key alone", old, 401, Duration::from_secs(13))?;
    // Each worker looks once a second.
    sleep(Duration::from_millis(1500));
    phase.store(GONE, Ordering::Release);
    sleep(Duration::from_millis(500));
    world.expect("the new key alone", new, 200)?;
    Ok(bound)
}

/// Calls until it is done.
fn old_client(
    mut client: Client,
    request: &[u8],
    done: &AtomicBool,
    phase: &AtomicUsize,
    calls: &AtomicUsize,
) -> Result<(), String> {
    let mut last = 0;
    while !done.load(Ordering::Acquire) {
        let before = phase.load(Ordering::Acquire);
        let found = usize::from(client.send(request)?);
        calls.fetch_add(1, Ordering::Relaxed);
        // Between the question and the answer it may have changed.
        let is_expected = [before, phase.load(Ordering::Acquire)].iter().any(|phase| [GOING, found].contains(phase));
        if !is_expected || ![KNOWN, GONE].contains(&found) {
            return Err(format!("expected {before}, found {found}"));
        }
        last = found;
        sleep(Duration::from_millis(2));
    }
    if last == GONE { Ok(()) } else { Err("a token was good after its key was gone".into()) }
}

/// 10,000 tokens, each of another unknown key.
fn flood() -> Result<(), String> {
    const CLIENTS: usize = 8;
    const MOST_KIB: u64 = 6 * 1024;
    let server = KeyServer::start(0);
    server.set("/jwks", Answer::keys(&[jwk("es256")]));
    let world = World::url(server.port, 3600, 7200)?;
    let good = world.call(&json!({}));
    world.until("the first key", &good, 200, RECOVERY)?;
    let requests: Vec<_> = (0..10_000)
        .map(|number| {
            world.call(&json!({"sign_with": "none", "token_header": {"alg": "ES256", "kid": format!("k{number}")}}))
        })
        .collect();
    let mut memory = 0;
    let start = Instant::now();
    // A fifth of it first, for what is reserved once.
    for (index, part) in [&requests[..2000], &requests[2000..]].into_iter().enumerate() {
        thread::scope(|scope| {
            let clients = world.clients()?.into_iter().enumerate().map(|(first, mut client)| {
                scope.spawn(move || {
                    part.iter().skip(first).step_by(CLIENTS).try_for_each(|request| match client.send(request)? {
                        401 => Ok(()),
                        found => Err(format!("expected 401, found {found}")),
                    })
                })
            });
            let clients: Vec<_> = clients.collect();
            clients.into_iter().try_for_each(|client| client.join().unwrap())
        })?;
        if index == 0 {
            memory = world.envoy.memory();
        }
    }
    let took = start.elapsed();
    let more = world.envoy.memory().saturating_sub(memory);
    sleep(Duration::from_millis(1200));
    world.expect("a good token", &good, 200)?;
    let most = usize::try_from(took.as_secs()).unwrap() / 30 + 2;
    println!("sources: {} fetches for 10000 unknown kids in {took:?}; {more} KiB more", server.asked("/jwks"));
    match (server.asked("/jwks"), world.fetches("forced"), more) {
        (2.., 1.., ..=MOST_KIB) if server.asked("/jwks") <= most => world.is_well(),
        found => {
            Err(format!("expected one forced fetch, {most} in all at most, and no memory; found {found:?} in {took:?}"))
        }
    }
}

/// A push with the server down, under load: nobody sees a 503.
fn push() -> Result<(), String> {
    let server = KeyServer::start(0);
    server.set("/jwks", Answer::keys(&[jwk("es256")]));
    let mut world = World::url(server.port, 300, 3600)?;
    let (request, port) = (world.call(&json!({})), world.envoy.port);
    world.until("the first key", &request, 200, RECOVERY)?;
    let asked = server.asked("/jwks");
    let stopped = server.stop();
    let done = AtomicBool::new(false);
    let count = thread::scope(|scope| {
        let client = scope.spawn(|| {
            let mut count = 0;
            while !done.load(Ordering::Acquire) {
                let answer = Connection::open(port)?.send(&request)?;
                if status(&answer) != 200 {
                    return Err(format!("call {count}: {answer:?}"));
                }
                count += 1;
            }
            Ok(count)
        });
        let result = (0..5).try_for_each(|number| {
            world.configure(&json!({"policy": {"data": {"push": number}}}))?;
            sleep(Duration::from_millis(700));
            Ok::<_, String>(())
        });
        done.store(true, Ordering::Release);
        let count = client.join().unwrap();
        result.and(count)
    })?;
    let server = stopped.start();
    // Another place of keys has none yet.
    world.configure(&json!({"issuers": [{"name": "demo", "issuer": "https://as.example.com", "jwks": {
        "cluster": "keys", "url": format!("http://127.0.0.1:{}/other", server.port),
    }}]}))?;
    world.until("another place", &request, 503, Duration::from_secs(2))?;
    server.set("/other", Answer::keys(&[jwk("es256")]));
    world.until("another place", &request, 200, RECOVERY)?;
    match (server.asked("/jwks"), world.fetches("failed")) {
        (found, _) if found == asked => {}
        found => return Err(format!("expected no fetch for a push, found {found:?}")),
    }
    if count < 50 { Err(format!("expected load, found {count} calls")) } else { world.is_well() }
}

/// A configuration goes while its fetch is under way, again and again.
fn gone() -> Result<(), String> {
    let server = KeyServer::start(0);
    server.set("/jwks", Answer::Silent);
    let mut world = World::url(server.port, 300, 3600)?;
    let request = world.call(&json!({}));
    for number in 0..6 {
        let asked = server.asked("/jwks");
        let start = Instant::now();
        while server.asked("/jwks") == asked {
            if start.elapsed() > Duration::from_secs(10) {
                return Err("expected a fetch".into());
            }
            sleep(Duration::from_millis(20));
        }
        world.configure(&json!({"policy": {"data": {"push": number}}}))?;
        world.is_well()?;
    }
    server.set("/jwks", Answer::keys(&[jwk("es256")]));
    // The last one that nobody answers is given up after two seconds.
    world.until("a good answer", &request, 200, RECOVERY + Duration::from_secs(4))?;
    world.is_well()
}

/// Envoy has the cluster, and no way to it; or does not have it.
fn clusters() -> Result<(), String> {
    let server = KeyServer::start(0);
    server.set("/jwks", Answer::keys(&[jwk("es256")]));
    let mut world = World::url(server.port, 300, 3600)?;
    let request = world.call(&json!({}));
    for name in ["empty", "nobody", "tls", "missing"] {
        let place = json!({"cluster": name, "url": format!("http://127.0.0.1:{}/jwks", server.port)});
        world.configure(&json!({"issuers": [{"name": "demo", "issuer": "https://as.example.com", "jwks": place}]}))?;
        let failed = world.fetches("failed");
        world.envoy.wait_until(name, |envoy| envoy.stat("mcp_gate_jwks_fetches_failed") > failed + 2)?;
        world.expect(name, &request, 503)?;
        world.is_well()?;
    }
    let said = "expected a cluster `missing` of Envoy's, found none";
    world.envoy.own_log().contains(said).then_some(()).ok_or_else(|| format!("expected `{said}` in Envoy's log"))
}

fn metadata(issuer: &str, jwks_uri: &str) -> Answer {
    Answer::json(&json!({"issuer": issuer, "jwks_uri": jwks_uri, "token_endpoint": format!("{issuer}/token")}))
}

/// Each place in its order, keys of the issuer's own origin and of another.
fn discovered() -> Result<(), String> {
    let (server, other) = (KeyServer::start(0), KeyServer::start(0));
    let own = format!("http://127.0.0.1:{}", server.port);
    let issuer = format!("{own}/realms/x");
    let origins = json!({format!("http://127.0.0.1:{}", other.port): "elsewhere"});
    let jwks = json!({"discover": {"cluster": "keys", "origins": origins}, "refresh": 300, "keep": 3600});
    let mut world = World::start(&issuer, &jwks, [server.port, other.port])?;
    let request = world.call(&json!({}));
    let places = [
        "/.well-known/oauth-authorization-server/realms/x",
        "/.well-known/openid-configuration/realms/x",
        "/realms/x/.well-known/openid-configuration",
    ];
    world.until("no metadata", &request, 503, Duration::ZERO)?;
    server.set(places[2], metadata(&issuer, &format!("{own}/keys")));
    server.set("/keys", Answer::keys(&[jwk("es256")]));
    let recovery = world.until("the last place", &request, 200, RECOVERY)?;
    if places.iter().any(|place| server.asked(place) == 0) {
        return Err("expected all places to be asked".into());
    }
    // Another gate, another issuer, one whose keys live elsewhere.
    let issuer = format!("{own}/");
    world.issuer.clone_from(&issuer);
    let request = world.call(&json!({}));
    server.set(
        "/.well-known/oauth-authorization-server",
        metadata(&issuer, &format!("http://127.0.0.1:{}/keys?v=1", other.port)),
    );
    other.set("/keys?v=1", Answer::keys(&[jwk("es256")]));
    world.configure(&json!({"issuers": [{"name": "demo", "issuer": issuer, "jwks": jwks}]}))?;
    world.until("keys that live elsewhere", &request, 200, RECOVERY)?;
    println!("sources: served {recovery:?} after metadata came");
    match (other.asked("/keys?v=1"), server.asked("/.well-known/openid-configuration")) {
        (1, 0) => world.is_well(),
        found => Err(format!("expected one fetch elsewhere, and no second place; found {found:?}")),
    }
}

/// What whoever answers under the well-known path might want.
fn poisoned() -> Result<(), String> {
    let (server, evil) = (KeyServer::start(0), KeyServer::start(0));
    let own = format!("http://127.0.0.1:{}", server.port);
    let jwks = json!({"discover": {"cluster": "keys"}, "refresh": 300, "keep": 3600});
    let world = World::start(&own, &jwks, [server.port, evil.port])?;
    let request = world.call(&json!({}));
    let place = "/.well-known/oauth-authorization-server";
    let foreign = format!("http://127.0.0.1:{}/keys", evil.port);
    evil.set("/keys", Answer::keys(&[jwk("es256")]));
    server.set("/keys", Answer::keys(&[jwk("es256")]));
    for (what, answer) in [
        ("another issuer", metadata("https://evil.example.com", &format!("{own}/keys"))),
        ("a slash at the end", metadata(&format!("{own}/"), &format!("{own}/keys"))),
        ("keys on another port", metadata(&own, &foreign)),
        ("keys on another host", metadata(&own, "https://evil.example.com/keys")),
        ("keys without TLS", metadata(&own, "http://as.example.com/keys")),
        ("keys of the cloud", metadata(&own, "http://169.254.169.254/keys")),
        ("keys of another scheme", metadata(&own, "file:///etc/passwd")),
        ("keys by a relative path", metadata(&own, "/keys")),
        ("no keys", Answer::json(&json!({"issuer": own}))),
        (
            "a redirect",
            Answer::new("302 Found", &format!("location: {foreign}\r\ncontent-type: application/json\r\n"), b""),
        ),
        ("keys instead of metadata", Answer::keys(&[jwk("es256")])),
    ] {
        server.set(place, answer);
        let failed = world.fetches("failed");
        let start = Instant::now();
        while world.fetches("failed") < failed + 2 {
            if start.elapsed() > Duration::from_secs(10) {
                return Err(format!("{what}: expected failures; Envoy's log:\n{}", world.envoy.own_log()));
            }
            sleep(Duration::from_millis(20));
        }
        world.expect(what, &request, 503)?;
    }
    if evil.asked("/keys") + server.asked("/keys") > 0 {
        return Err("expected no keys to be fetched".into());
    }
    server.set(place, metadata(&own, &format!("{own}/keys")));
    world.until("good metadata", &request, 200, RECOVERY)?;
    world.is_well()
}
