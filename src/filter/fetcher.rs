//! Fetches the keys of a gate's issuers: does on a tick what each [`Source`] says.
//!
//! What workers share lies in Envoy's shared data, which outlives configurations,
//! and modules that trapped.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use log::{error, info, warn};
use proxy_wasm::hostcalls;

use super::{Shared, dispatch, now, write_shared};
use crate::gate::Gate;
use crate::outbound::Answer;
use crate::resource::Resource;
use crate::source::{Event, Source, Step};
use crate::token::Issuer;

/// The issuers of the gate in force whose keys are fetched.
pub(super) struct Fetcher {
    shared: Rc<Shared>,
    issuers: Vec<Rc<Issuer>>,
    /// By the host's token: who asked, and what it calls the call.
    calls: HashMap<u32, (Rc<Issuer>, u64)>,
    tick: Option<Duration>,
}

/// How often sources are asked what they need: while there are keys to wait for,
/// and otherwise.
const TICKS: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(1));

impl Fetcher {
    pub(super) fn new(shared: Rc<Shared>) -> Self {
        Self { shared, issuers: Vec::new(), calls: HashMap::new(), tick: None }
    }

    /// Begins with the keys that other workers, or the gate before this one, have
    /// fetched. Fetches nothing yet: this may be a trial of the configuration. Says
    /// whether the host will tell when time has passed.
    pub(super) fn install<'a>(&mut self, gate: &'a Gate) -> bool {
        self.issuers.clear();
        // One whose metadata is served may be none whose tokens are accepted.
        let issuers =
            |resource: &'a Resource| resource.acceptance.issuers.iter().chain(&resource.metadata.authorization_server);
        for issuer in gate.resources.iter().flat_map(issuers) {
            let is_remote = issuer.source.as_ref().is_some_and(Source::is_remote);
            if is_remote && !self.issuers.iter().any(|known| Rc::ptr_eq(known, issuer)) {
                self.issuers.push(Rc::clone(issuer));
            }
        }
        for (index, issuer) in self.issuers.clone().iter().enumerate() {
            let Some(source) = &issuer.source else { continue };
            if source.poll(self.worker(index), now()) == Step::Look
                && let Step::Read = source.handle_lease(shared_data(&source.lease_key()).0.as_deref(), now())
            {
                self.drive(issuer, Step::Read);
            }
        }
        self.set_tick();
        self.tick.is_some()
    }

    pub(super) fn handle_tick(&mut self) {
        for (index, issuer) in self.issuers.clone().iter().enumerate() {
            let Some(source) = &issuer.source else { continue };
            let step = source.poll(self.worker(index), now());
            self.drive(issuer, step);
        }
        self.set_tick();
    }

    /// The answer to a call, or what there is instead of one.
    pub(super) fn handle_answer(&mut self, token: u32, answer: Result<Answer, String>) {
        let Some((issuer, id)) = self.calls.remove(&token) else { return };
        let Some(source) = &issuer.source else { return };
        let step = source.handle_answer(id, answer, now());
        self.drive(&issuer, step);
        self.set_tick();
    }

    /// The configuration goes. Envoy drops its calls; others need not wait for them.
    pub(super) fn stop(&mut self) {
        for (issuer, _) in std::mem::take(&mut self.calls).into_values() {
            let Some(source) = &issuer.source else { continue };
            let step = source.release();
            self.drive(&issuer, step);
        }
    }

    fn worker(&self, index: usize) -> u64 {
        self.shared.seed.wrapping_add(index as u64)
    }

    /// Does what a source says, until there is nothing to do but wait.
    fn drive(&mut self, issuer: &Rc<Issuer>, mut step: Step) {
        let Some(source) = &issuer.source else { return };
        let mut number = None;
        loop {
            step = match step {
                Step::Rest => break,
                Step::Look => {
                    let (lease, found) = shared_data(&source.lease_key());
                    number = found;
                    source.handle_lease(lease.as_deref(), now())
                }
                Step::Read => source.handle_documents(shared_data(&source.documents_key()).0.as_deref(), now()),
                Step::Write(write) => {
                    if let Some(documents) = &write.documents {
                        let _ = hostcalls::set_shared_data(&source.documents_key(), Some(documents), None);
                    }
                    source.handle_written(write_shared(&source.lease_key(), &write.lease, number), now())
                }
                Step::Send(id, outbound) => match dispatch(&outbound) {
                    Ok(token) => {
                        self.calls.insert(token, (Rc::clone(issuer), id));
                        break;
                    }
                    Err(reason) => source.handle_answer(id, Err(reason), now()),
                },
            };
        }
        for event in source.take_events() {
            self.report(&issuer.issuer, event);
        }
    }

    /// Logs and counts. No document is in it.
    fn report(&self, issuer: &str, event: Event) {
        match event {
            Event::Forced => self.shared.increment("mcp_gate_jwks_fetches_", "forced"),
            Event::Fetched { changed, unusable } => {
                self.shared.increment("mcp_gate_jwks_fetches_", "ok");
                if changed {
                    info!("mcp-gate: issuer {issuer:?}: other keys in force");
                }
                for (index, reason) in unusable {
                    warn!("mcp-gate: issuer {issuer:?}: keys[{index}] is skipped: {reason}");
                }
            }
            Event::Failed { reason, failures } => {
                self.shared.increment("mcp_gate_jwks_fetches_", "failed");
                // All of them would drown what else there is.
                if failures.is_power_of_two() {
                    warn!("mcp-gate: issuer {issuer:?}: jwks_refresh_failed, {failures} in a row: {reason}");
                }
            }
            Event::Expired => {
                self.shared.increment("mcp_gate_jwks_", "expired");
                error!("mcp-gate: issuer {issuer:?}: the last good keys are too old, and its tokens are answered 503");
            }
        }
    }

    /// Time passes for streams, too, in which nothing comes: so there is always a timer.
    fn set_tick(&mut self) {
        let (fast, slow) = TICKS;
        let mut sources = self.issuers.iter().filter_map(|issuer| issuer.source.as_ref());
        let is_cold = sources.any(|source| source.keys().is_empty());
        let tick = if is_cold { fast } else { slow };
        if self.tick != Some(tick) && hostcalls::set_tick_period(tick).is_ok() {
            self.tick = Some(tick);
        }
    }
}

/// What is shared under a name, and the number of the write that left it there.
fn shared_data(key: &str) -> (Option<Vec<u8>>, Option<u32>) {
    hostcalls::get_shared_data(key).unwrap_or_default()
}
