//! Runs `tests/cases` and `tests/threats`, and what cannot be said as a case,
//! natively and through a real Envoy.
//!
//! A case is one file; `case.rs` says what may stand in it. Every case is run
//! through the core as it is (`native.rs`) and through an Envoy with the module
//! in it, in five framings (`envoy.rs`). `cargo test -- WORDS` runs those whose
//! name holds the words.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by a panic, and it is the one who knows the time and the environment"
)]

mod answers;
mod candidate;
mod case;
mod certificates;
mod check;
mod client;
mod command;
mod corpus;
mod cors;
mod docs;
mod envoy;
mod fetching;
mod frames;
mod framing;
mod introspection;
mod issuers;
mod jose;
mod json_suite;
mod key_life;
mod key_server;
mod keys;
mod listings;
mod lists;
mod native;
mod pinning;
mod pins;
mod policies;
mod process;
mod proofs;
mod properties;
mod rego;
mod reload;
mod rules;
mod sessions;
mod shipped;
mod sources;
mod stateful;
mod streams;
mod token;
mod trap;
mod upstream;
mod wire;

use libtest_mimic::Arguments;

fn main() {
    let mut arguments = Arguments::from_args();
    // Most trials with an Envoy wait: for time to pass, for its log. Two cores carry four of them.
    arguments.test_threads = arguments.test_threads.or(Some(4));
    let cases = case::read_all();
    // Those that wait longest come first, so that none is waited for in the end.
    let mut trials = sources::trials();
    trials.extend(introspection::trials());
    trials.extend(reload::trials());
    trials.extend(answers::trials());
    trials.extend(trap::trials());
    trials.extend(native::trials(&cases));
    trials.extend(corpus::trials(&cases));
    trials.extend(properties::trials(&cases));
    trials.extend(shipped::trials());
    trials.extend(json_suite::trials());
    trials.extend(jose::trials());
    trials.extend(policies::trials(&cases));
    trials.extend(rego::trials());
    trials.extend(rules::trials());
    trials.extend(candidate::trials());
    trials.extend(docs::trials());
    trials.extend(issuers::trials());
    trials.extend(command::trials());
    trials.extend(pinning::trials());
    trials.extend(envoy::trials(&cases));
    trials.extend(framing::trials());
    trials.extend(streams::trials());
    trials.extend(sessions::trials());
    trials.extend(lists::trials());
    trials.extend(pins::trials());
    trials.extend(frames::trials());
    trials.extend(cors::trials());
    trials.extend(proofs::trials());
    trials.extend(certificates::trials());
    trials.extend(key_life::trials());
    let conclusion = libtest_mimic::run(&arguments, trials);
    envoy::close();
    wire::close();
    eprintln!("{}", envoy::summary());
    conclusion.exit();
}
