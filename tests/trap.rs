//! What a trap of the module hits: the stream that it happened in, all others of
//! its worker, and for how long. A module of its own traps when it is asked to
//! (`make trap`); the one that is shipped cannot.

use std::time::{Duration, Instant};

use bytes::Bytes;
use libtest_mimic::{Failed, Trial};
use serde_json::json;

use crate::case::{Request, Run};
use crate::client;
use crate::key_server::{Answer, KeyServer};
use crate::keys::Keys;
use crate::process::{PATIENCE, cluster, module, trapping_module};
use crate::wire::{World, body};

/// What one connection may carry (`envoy/envoy.yaml`).
const HELD: usize = 100;

/// From a trap until the gate serves again: Envoy waits a second before it
/// reloads, and each attempt in between begins that anew.
const MOST: Duration = Duration::from_secs(5);

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |name: &str, run: fn() -> Result<(), String>| {
        Trial::test(format!("trap/{name}"), move || run().map_err(Failed::from))
    };
    vec![
        trial(
            "PW-01 PW-02 PW-12 INV-5 INV-6 a trap in the head ends all that is held, and the gate comes back",
            || trapped("headers"),
        ),
        trial(
            "PW-01 PW-02 PW-12 INV-5 INV-6 a trap in the body ends all that is held, and the gate comes back",
            || trapped("body"),
        ),
        trial("PW-12 a trap while the record is written loses no line", in_the_log),
        trial("PW-16 JWK-06 who traps while it fetches keys cannot keep others from it", while_it_fetches),
        trial("PW-01 the shipped module cannot be asked to trap", shipped),
    ]
}

fn start() -> Result<World, String> {
    let module = trapping_module()?;
    World::start_changed(&json!({}), |_, filter| {
        let place = "/resources/0/typed_config/config/vm_config/code/local/filename";
        *filter.pointer_mut(place).unwrap() = module.to_str().unwrap().into();
    })
}

/// A call that traps there.
fn trap(world: &World, at: &str) -> Request {
    let mut request = world.call(0);
    request.headers.push(("x-trap".into(), at.into()));
    request
}

fn trapped(at: &str) -> Result<(), String> {
    let mut world = start()?;
    let (port, held, trap) = (world.envoy.port, world.call(0), trap(&world, at));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let statuses = runtime.block_on(async {
        let all = tokio::time::timeout(PATIENCE, hold(port, &held, &trap));
        all.await.unwrap_or_else(|_| Err("a stream that was held has no end".into()))
    })?;
    let start = Instant::now();
    if statuses.len() != HELD + 1 || statuses.iter().any(|status| *status != 503) {
        return Err(format!("expected 503 for all, found {statuses:?}"));
    }
    // A line for each, though no module could write one.
    world.expect("held", &statuses, &vec![(503, "-"); statuses.len()])?;
    serves_again(&mut world, start)
}

fn serves_again(world: &mut World, start: Instant) -> Result<(), String> {
    loop {
        let answer = client::send(world.envoy.port, Run::H1, &world.call(0))?.ok_or("no answer")?;
        if answer.status == 200 {
            world.expect("afterwards", &[200], &[(200, "permitted")])?;
            break;
        }
        world.expect("until then", &[answer.status], &[(503, "-")])?;
        if start.elapsed() > MOST {
            return Err(format!("expected the gate back within {MOST:?}; Envoy's log:\n{}", world.envoy.own_log()));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let answer = client::send(world.envoy.port, Run::H1, &world.call(1))?.ok_or("no answer")?;
    world.expect("what is denied", &[answer.status], &[(403, "policy_undefined")])?;
    // The module that came in the place of the other compiled nothing: calls wait for it.
    match ["compiled", "taken_over"].map(|how| world.envoy.stat(&format!("mcp_gate_configurations_{how}"))) {
        [1, taken_over] if taken_over > 1 => Ok(()),
        found => Err(format!("expected a configuration compiled once and taken over since, found {found:?}")),
    }
}

/// Holds calls of which half the body came, has another one trap, and waits for
/// the end of all of them.
async fn hold(port: u16, held: &Request, trap: &Request) -> Result<Vec<u16>, String> {
    let text = |error: h2::Error| error.to_string();
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.map_err(|error| error.to_string())?;
    let (mut sender, mut connection) = h2::client::handshake(stream).await.map_err(text)?;
    let mut pings = connection.ping_pong().unwrap();
    tokio::spawn(connection);
    let mut open = Vec::new();
    for _ in 0..HELD {
        let uri = format!("http://{}{}", String::from_utf8_lossy(&held.authority), held.path);
        let mut head = http::Request::post(uri).version(http::Version::HTTP_2);
        for (name, value) in &held.headers {
            head = head.header(name, value.as_slice());
        }
        sender = sender.ready().await.map_err(text)?;
        let (response, mut stream) = sender.send_request(head.body(()).unwrap(), false).map_err(text)?;
        stream.send_data(Bytes::from(body(0)[..40].to_vec()), false).map_err(text)?;
        open.push((response, stream));
    }
    // Once this is answered, all of it has come.
    pings.ping(h2::Ping::opaque()).await.map_err(text)?;
    let trap = trap.clone();
    let trapped = tokio::task::spawn_blocking(move || client::send(port, Run::H1, &trap));
    let answer = trapped.await.map_err(|error| error.to_string())??.ok_or("no answer to what trapped")?;
    let mut statuses = vec![answer.status];
    for (response, mut stream) in open {
        // The rest of the body, which nobody may take for a message.
        let _ = stream.send_data(Bytes::from(body(0)[40..].to_vec()), true);
        statuses.push(response.await.map_err(|error| format!("a stream that was held: {error}"))?.status().as_u16());
    }
    Ok(statuses)
}

/// Keys are on their way to a worker that traps, again and again; in the end the gate has them.
fn while_it_fetches() -> Result<(), String> {
    let (module, server) = (trapping_module()?, KeyServer::start(0));
    server.set("/jwks", Answer::Silent);
    let jwks = json!({"cluster": "keys", "url": format!("http://127.0.0.1:{}/jwks", server.port)});
    let given = json!({"issuers": [{"name": "demo", "issuer": "https://as.example.com", "jwks": jwks}]});
    let mut world = World::start_changed(&given, |bootstrap, filter| {
        let place = "/resources/0/typed_config/config/vm_config/code/local/filename";
        *filter.pointer_mut(place).unwrap() = module.to_str().unwrap().into();
        bootstrap.push_str(&cluster("keys", server.port));
    })?;
    for round in 0..3 {
        let asked = server.asked("/jwks");
        world.envoy.wait_until("keys are asked for", |_| server.asked("/jwks") > asked)?;
        let answer = client::send(world.envoy.port, Run::H1, &trap(&world, "headers"))?.ok_or("no answer")?;
        world.expect("a trap", &[answer.status], &[(503, "-")])?;
        let start = Instant::now();
        // The module is loaded again, and serves: what it has to say is that it has no keys.
        while world.envoy.stat("mcp_gate_decisions_keys_unavailable") <= round {
            let answer = client::send(world.envoy.port, Run::H1, &world.call(0))?.ok_or("no answer")?;
            let code = world.code()?;
            if answer.status != 503 || !["-", "keys_unavailable"].contains(&code.as_str()) || start.elapsed() > MOST {
                return Err(format!(
                    "expected the gate back without keys within {MOST:?}, found {} {code}",
                    answer.status
                ));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    server.set("/jwks", Answer::keys(&[Keys::shared().jwk("es256")]));
    let start = Instant::now();
    loop {
        let answer = client::send(world.envoy.port, Run::H1, &world.call(0))?.ok_or("no answer")?;
        if answer.status == 200 {
            println!("trap: keys {:?} after the server answers", start.elapsed());
            return world.expect("with keys", &[200], &[(200, "permitted")]);
        }
        world.expect("until then", &[answer.status], &[(503, "keys_unavailable")])?;
        // What a lease can last, and a call.
        if start.elapsed() > Duration::from_secs(8) {
            return Err(format!("expected keys; Envoy's log:\n{}", world.envoy.own_log()));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn in_the_log() -> Result<(), String> {
    let mut world = start()?;
    let answer = client::send(world.envoy.port, Run::H1, &trap(&world, "log"))?.ok_or("no answer")?;
    world.expect("decided before it trapped", &[answer.status], &[(200, "permitted")])?;
    serves_again(&mut world, Instant::now())
}

fn shipped() -> Result<(), String> {
    let is_asked = |path: std::path::PathBuf| -> Result<bool, String> {
        let bytes = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok([b"x-trap".as_slice(), b"x-probe"]
            .iter()
            .any(|name| bytes.windows(name.len()).any(|window| window == *name)))
    };
    match (is_asked(module()?)?, is_asked(trapping_module()?)?) {
        (false, true) => Ok(()),
        found => Err(format!("expected `x-trap` and `x-probe` in the module of `make trap` alone, found {found:?}")),
    }
}
