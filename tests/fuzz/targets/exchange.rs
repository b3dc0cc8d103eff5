//! A whole request. What is forwarded had a good token, means the same to every
//! reader, and is permitted by the policy, as the oracle has it and as a gate
//! without memory has it that got the body in other pieces.

#![no_main]

use std::rc::Rc;

use libfuzzer_sys::fuzz_target;
use mcp_gate::gate::{Exchange, Gate, Step};
use mcp_gate::http::Head;
use mcp_gate::policy::Peer;
use mcp_gate_fuzz::check::{self, Outcome};
use mcp_gate_fuzz::oracle::{Meaning, READINGS, Tree};
use mcp_gate_fuzz::request::Request;
use mcp_gate_fuzz::world::{World, now};

thread_local!(static WORLD: World = World::new());

fuzz_target!(|data: &[u8]| WORLD.with(|world| {
    let Some(request) = Request::read(data, world) else { return };
    let configuration = check::configuration(world, &request);
    let outcome = run(&configuration.remembering, &request, world, usize::from(request.choice.piece));
    let other = run(&configuration.forgetting, &request, world, 0);
    assert_eq!(outcome, other, "with and without memory, in pieces and whole");
    match outcome {
        Outcome::Unprotected => assert!(configuration.elsewhere, "forwarded to nowhere"),
        Outcome::Forwarded => judge(&request, world),
        Outcome::Held | Outcome::Refused(_) | Outcome::Served(_) => {}
    }
}));

/// Takes the request through a gate.
fn run(gate: &Rc<Gate>, request: &Request, world: &World, piece: usize) -> Outcome {
    let mut exchange = Exchange::new(Some(Rc::clone(gate)), "d".into());
    let mut step = exchange.handle_head(Head::new(request.head.clone()), request.end, Peer::default(), now());
    if let Step::Hold(_) = step {
        check::outcome(&mut exchange, &step, request, world);
        let sizes = (piece.max(1)..=request.body.len()).step_by(piece.max(1));
        let early = sizes.filter(|_| piece > 0).find_map(|size| exchange.handle_size(size));
        step = early.unwrap_or_else(|| exchange.handle_body(&request.body, now()));
    }
    let outcome = check::outcome(&mut exchange, &step, request, world);
    assert_ne!(outcome, Outcome::Held, "the whole request is there");
    let again = exchange.handle_body(&request.body, now());
    assert!(!matches!(again, Step::Forward(_)), "a request is decided once");
    outcome
}

fn judge(request: &Request, world: &World) {
    let configuration = check::configuration(world, request);
    let good = check::identity(world, request).expect("forwarded without a good token");
    let method = request.values(":method")[0];
    if method == b"GET" || method == b"DELETE" {
        let free = configuration.shadow || configuration.handshake || good.subject == "alice";
        assert!(request.end && free, "a stream that policy does not allow");
        return;
    }
    assert_eq!(method, b"POST", "another method");
    let message = Tree::read(&request.body).expect("forwarded what is no JSON");
    assert!(matches!(message, Tree::Object(_)), "forwarded what is no object");
    let meanings = READINGS.map(|reading| Meaning::of(&message, reading));
    assert!(meanings.iter().all(|meaning| *meaning == meanings[0]), "readers differ: {meanings:?}");
    assert_eq!(meanings[0].version, Some(&Tree::String("2.0".into())), "not JSON-RPC 2.0");
    let permitted = meanings[0].is_permitted(good.subject, good.scopes, configuration.handshake);
    assert!(permitted || configuration.shadow, "the oracle denies {meanings:?} to {}", good.subject);
}
