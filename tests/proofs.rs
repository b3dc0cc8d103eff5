//! Proofs of possession through a real Envoy: one that comes to all its workers at
//! once, and one that comes again after another configuration.

use std::sync::Barrier;
use std::thread;
use std::time::SystemTime;

use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use crate::case::Session;
use crate::keys::Keys;
use crate::process::{Envoy, Setting, free_port};
use crate::reload::{Connection, bytes, status};
use crate::upstream::Upstream;

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |name: &str, run: fn() -> Result<(), String>| {
        Trial::test(format!("proofs/{name}"), move || run().map_err(Failed::from))
    };
    vec![
        trial("a proof that comes to all workers at once is taken once", at_once),
        trial("a proof that was spent stays spent under another configuration", reconfigured),
    ]
}

struct World {
    envoy: Envoy,
    authority: String,
    _upstream: Upstream,
}

/// A policy that allows, told from others by a member of its data.
fn given(number: u64) -> Value {
    let rego = "package mcp.authz\n\nallow if input.identity.subject\n";
    json!({"policy": {"modules": {"authz.rego": rego}, "data": {"number": number}}})
}

impl World {
    fn start(workers: usize) -> Result<Self, String> {
        let (port, upstream) = (free_port(), Upstream::start_quiet());
        let authority = format!("127.0.0.1:{port}");
        let configuration = Keys::shared().configuration(&given(0), &authority);
        let setting =
            Setting { port, upstream: upstream.port(), configuration: &configuration, workers, clusters: &[] };
        Ok(Self { envoy: Envoy::start(&setting)?, authority, _upstream: upstream })
    }

    /// A request with a proof that no other has.
    fn call(&self) -> Vec<u8> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let step = json!({"token": {"cnf": {"jkt": "{jkt}"}}, "dpop": {}, "expect": {"unanswered": {}}});
        let step = serde_json::from_value(step).unwrap();
        bytes(&Session::default().request(&step, Keys::shared(), &self.authority, now))
    }

    fn no_trap(&self) -> Result<(), String> {
        let log = self.envoy.own_log();
        let trapped = log.contains("panicked") || log.contains("Function: proxy_on");
        if trapped { Err(format!("the module trapped:\n{log}")) } else { Ok(()) }
    }
}

/// As many rounds as make every shard of the store for the first time, and then some.
fn at_once() -> Result<(), String> {
    const CLIENTS: usize = 8;
    const ROUNDS: usize = 600;
    let world = World::start(4)?;
    let calls: Vec<Vec<u8>> = (0..ROUNDS).map(|_| world.call()).collect();
    let (port, barrier) = (world.envoy.port, Barrier::new(CLIENTS));
    let client = || -> Vec<Result<u16, String>> {
        let round = |call: &Vec<u8>| {
            // Envoy closes a connection where the gate answers before the body was read.
            let connection = Connection::open(port);
            // Whoever fails does not keep the others waiting.
            barrier.wait();
            connection?.send(call).map(|answer| status(&answer))
        };
        calls.iter().map(round).collect()
    };
    let found: Vec<Vec<Result<u16, String>>> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    for round in 0..ROUNDS {
        let statuses = found.iter().map(|client| client[round].clone());
        let mut statuses = statuses.collect::<Result<Vec<u16>, _>>()?;
        statuses.sort_unstable();
        if statuses != [[200].as_slice(), &[401; CLIENTS - 1]].concat() {
            return Err(format!("round {round}: expected one 200 and the others 401, found {statuses:?}"));
        }
    }
    world.no_trap()
}

fn reconfigured() -> Result<(), String> {
    let mut world = World::start(2)?;
    let proofs: Vec<Vec<u8>> = (0..8).map(|_| world.call()).collect();
    let send =
        |world: &World, call: &[u8]| Connection::open(world.envoy.port)?.send(call).map(|answer| status(&answer));
    let all = |world: &World| proofs.iter().map(|call| send(world, call)).collect::<Result<Vec<_>, _>>();
    same("at first", &[200; 8], &all(&world)?)?;
    same("again", &[401; 8], &all(&world)?)?;
    let loaded = world.envoy.stat("update_success");
    world.envoy.configure(&Keys::shared().configuration(&given(1), &world.authority));
    world.envoy.wait_until("another configuration is in force", |envoy| envoy.stat("update_success") > loaded)?;
    same("under another configuration", &[401; 8], &all(&world)?)?;
    same("a new one", &[200], &[send(&world, &world.call())?])?;
    world.no_trap()
}

fn same(what: &str, expected: &[u16], found: &[u16]) -> Result<(), String> {
    if expected == found { Ok(()) } else { Err(format!("{what}: expected {expected:?}, found {found:?}")) }
}
