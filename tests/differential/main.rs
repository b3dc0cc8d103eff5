//! The strictness theorem (INV-3): what the gate reads, every parser that may
//! stand behind it accepts, and reads alike.
//!
//! A generator changes and joins messages of both eras; the gate's reader runs
//! in-process, the judges in processes of their own (`judges/`). That a judge
//! takes what the gate refuses is fine. The reverse is a defect: its bytes are
//! kept under `target/differential`. The same is done with laxities planted
//! before the reader, which must be noticed.
//!
//! `make differential CASES=100000 SEED=1 LIMIT=seconds`.

#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a test fails by a panic, and it is the one who knows the time and the environment"
)]

mod bytes;
mod campaign;
mod judges;
mod message;
mod mutate;
mod odd;
mod planted;
mod random;
mod reading;
mod single;

use campaign::{Plan, run};
use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    let mut arguments = Arguments::from_args();
    // The judges are shared, and they keep two cores busy.
    arguments.test_threads = Some(1);
    let trial = |name: &str, check: fn() -> Result<(), String>| {
        Trial::test(format!("differential/{name}"), move || check().map_err(Failed::from))
    };
    let mut trials = vec![
        trial("INV-3 what is accepted is read alike by every judge", theorem),
        trial("JSON-56 a message with one byte changed is refused or read alike by every judge", || {
            judges::with(|judges| single::run(judges, &single::one_byte(), ONE_BYTE))
        }),
        trial("JSON-56 a message that ends early is refused", || {
            judges::with(|judges| single::run(judges, &single::cut_short(), 0))
        }),
        trial("INV-3 what was found once is refused", || {
            let texts = single::found()?;
            match texts.is_empty() {
                true => Err("tests/differential/found: expected texts".into()),
                false => judges::with(|judges| single::run(judges, &texts, 0)),
            }
        }),
    ];
    for laxity in planted::LAXITIES {
        trials.push(Trial::test(format!("differential/INV-3 planted and found: {}", laxity.name), move || {
            Ok(noticed(&laxity)?)
        }));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    judges::close();
    conclusion.exit();
}

/// How many of the messages with one byte changed are strict messages: another
/// digit as the id, another letter in `rm`, and params with another member than
/// `arguments`, which may be any but its uppercase.
const ONE_BYTE: usize = 9 + 2 * 64 + 9 * 91;

/// What is run where nothing else is asked for, and within which every planted
/// laxity must be found.
const CASES: u64 = 100_000;

fn theorem() -> Result<(), String> {
    let seed = variable("MCP_GATE_SEED")?.unwrap_or(1);
    let plan = Plan {
        cases: variable("MCP_GATE_CASES")?.unwrap_or(CASES),
        seed,
        seconds: variable("MCP_GATE_LIMIT")?,
        repair: None,
        one: false,
    };
    let account = judges::with(|judges| run(&plan, judges))?;
    eprintln!("{}", account.report(seed));
    if let Some(finding) = account.findings.first() {
        return Err(format!(
            "{} findings, kept under target/differential; the first:\n{}",
            account.found,
            finding.shown(seed)
        ));
    }
    match account.share() >= 30.0 {
        true => Ok(()),
        false => Err(format!("expected 30 % of the cases to be accepted, found {:.1} %", account.share())),
    }
}

fn noticed(laxity: &planted::Laxity) -> Result<(), String> {
    let plan = Plan { cases: CASES, seed: 1, seconds: None, repair: Some(laxity.repair), one: true };
    let account = judges::with(|judges| run(&plan, judges))?;
    match account.findings.first() {
        Some(finding) => {
            eprintln!("differential: {}: noticed at case {} by {}", laxity.name, finding.number, finding.judge);
            Ok(())
        }
        None => Err(format!("expected a finding in {} cases", account.cases)),
    }
}

fn variable(name: &str) -> Result<Option<u64>, String> {
    match std::env::var(name) {
        Ok(text) if !text.is_empty() => {
            text.replace('_', "").parse().map(Some).map_err(|_| format!("{name}: expected a number, found {text}"))
        }
        _ => Ok(None),
    }
}
