//! Any method, path and headers. The head alone never makes the gate fail; it
//! has one verdict, and is held or let go only with a token that is good.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mcp_gate::gate::{Exchange, Step};
use mcp_gate::http::Head;
use mcp_gate::policy::Peer;
use mcp_gate_fuzz::check::{self, Outcome};
use mcp_gate_fuzz::request::Request;
use mcp_gate_fuzz::world::{World, now};

/// Of these a request has one or none; which of two a server believes nobody knows.
const SINGLE: [&str; 7] = [
    "authorization",
    "content-type",
    "content-length",
    "origin",
    "mcp-protocol-version",
    "mcp-session-id",
    "last-event-id",
];

thread_local!(static WORLD: World = World::new());

fuzz_target!(|data: &[u8]| WORLD.with(|world| {
    let Some(request) = Request::read(data, world) else { return };
    let configuration = check::configuration(world, &request);
    let mut exchange = Exchange::new(Some(configuration.remembering.clone()), "d".into());
    let head = Head::new(request.head.clone());
    let step = exchange.handle_head(head, request.end, Peer::default(), now());
    let held = matches!(step, Step::Hold(_));
    assert_eq!(exchange.verdict().is_none(), held, "one verdict, or the body decides");
    let outcome = check::outcome(&mut exchange, &step, &request, world);
    if !matches!(outcome, Outcome::Refused(_) | Outcome::Served(_)) && outcome != Outcome::Unprotected {
        assert!(check::identity(world, &request).is_some(), "held without a good token");
        // The message may still be refused for a version that stands twice; without
        // a body there is no type of one.
        let without = if held { "mcp-protocol-version" } else { "content-type" };
        let mut single = SINGLE.into_iter().filter(|name| *name != without);
        let twice = single.find(|name| request.values(name).len() > 1);
        assert_eq!(twice, None, "held or forwarded with two of one header");
    }
}));
