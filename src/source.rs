//! Where an issuer's keys live: inline, behind a URL, or where the issuer's own
//! metadata says (RFC 8414, OpenID Connect Discovery).
//!
//! A state machine without I/O. Time and answers come in, a [`Step`] says what
//! the host must do, and [`Event`]s say what to log and count. Nothing is fetched
//! on a request: a request takes the keys that are there, and at most notes that
//! one was missing.
//!
//! When: first at start, then by age, then at an unknown `kid`, with back-off
//! after failures, and at most one forced fetch in [`COOL_DOWN`]. One worker
//! fetches for all: whoever writes itself into the lease that they share. The
//! others read what it stored, by the same strict reader, and compile keys of
//! their own. Last good keys stay for as long as the schedule keeps them, and
//! then there are none.

mod document;
mod lease;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod world;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{DefaultHasher, Hasher as _};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use hmac_sha256::Hash;

use crate::keys::Keys;
use crate::outbound::{Answer, Endpoint, Outbound};
use document::{Discovery, Documents, Set};
use lease::Lease;

/// The longest that one call may take; a server that drips is not waited for.
const TIMEOUT: Duration = Duration::from_secs(2);

/// At most one fetch in this time because of an unknown `kid`, in milliseconds.
pub const COOL_DOWN: u64 = 30_000;

/// The first wait after a failure, and the longest, in milliseconds.
const BACK_OFF: (u64, u64) = (250, 30_000);

/// The longest wait while there is no key at all: whoever waits for the first one
/// gets it within a second of the server's return.
const COLD_BACK_OFF: u64 = 500;

/// How often a result is written anew if others write at the same time.
const ATTEMPTS: u32 = 8;

/// When keys are fetched again, and how long they stay if that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// Seconds from one fetch to the next, a tenth more or less.
    pub refresh: u64,
    /// Seconds after the last good fetch at which its keys go.
    pub keep: u64,
}

/// What the host must do next.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Step {
    /// Nothing.
    Rest,
    /// Read what is shared under [`Source::lease_key`], then [`Source::handle_lease`].
    Look,
    /// Read what is shared under [`Source::documents_key`], then [`Source::handle_documents`].
    Read,
    /// Store this, then [`Source::handle_written`].
    Write(Write),
    /// Make this call of this name, then [`Source::handle_answer`].
    Send(u64, Outbound),
}

/// What is to be shared with the other workers.
#[derive(Debug, PartialEq, Eq)]
pub struct Write {
    /// First and in any case, under [`Source::documents_key`].
    pub documents: Option<Vec<u8>>,
    /// Then, if nobody wrote there since it was read, under [`Source::lease_key`].
    pub lease: Vec<u8>,
}

/// What happened, for log and counters.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// This worker fetches because a token named a key that is not there.
    Forced,
    /// It fetched keys.
    Fetched {
        /// Are they others than before?
        changed: bool,
        /// Those that are skipped, by their index, with the reason; said once.
        unusable: Vec<(usize, String)>,
    },
    /// It failed to.
    Failed {
        /// What was expected, what was found.
        reason: String,
        /// How often it failed in a row.
        failures: u64,
    },
    /// The last good keys are too old, and gone.
    Expired,
}

/// Where keys come from.
#[derive(Debug)]
enum Place {
    Inline,
    Url(Endpoint),
    Discovered(Discovery),
}

/// An issuer's keys and where they live. Shared by all requests of a worker.
pub struct Source {
    place: Place,
    schedule: Schedule,
    /// Stable: the same for whoever fetches the same.
    name: String,
    generation: Cell<u64>,
    /// When a token last named a key that is not there; zero is never.
    missed: Cell<u64>,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    keys: Rc<Keys>,
    metadata: Option<Rc<str>>,
    /// Which documents these are; zero is none.
    version: u128,
    /// When the fetch that brought them began.
    fetched: u64,
    /// Tells this worker from the others.
    worker: u64,
    /// How many calls it has made.
    calls: u64,
    /// What the last look at the lease found.
    seen: Lease,
    /// What was shared could not be read.
    misread: bool,
    work: Work,
    events: Vec<Event>,
}

/// What this worker is at.
#[derive(Default)]
enum Work {
    #[default]
    Idle,
    /// It asked for the lease.
    Claiming { forced: bool },
    /// It fetches.
    Running(Run),
    /// It has fetched, or failed to, and the others do not know yet.
    Settling { began: u64, ending: Ending, attempts: u32 },
}

/// How a fetch ended.
#[derive(Debug)]
enum Ending {
    Good(Documents),
    Bad,
    /// The configuration went.
    Abandoned,
}

struct Run {
    began: u64,
    call: u64,
    /// Why metadata was not to be had, place by place.
    reasons: Vec<String>,
    /// The metadata, once it was found.
    metadata: Option<String>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.borrow();
        f.debug_struct("Source").field("place", &self.place).field("keys", &state.keys).finish_non_exhaustive()
    }
}

impl Source {
    /// Keys that stand in the configuration.
    pub fn inline(keys: Keys) -> Self {
        let schedule = Schedule { refresh: u64::MAX, keep: u64::MAX };
        let source = Self::new(Place::Inline, schedule, &[]);
        source.state.borrow_mut().keys = Rc::new(keys);
        source
    }

    /// A JWK Set behind a URL.
    pub fn url(endpoint: Endpoint, schedule: Schedule) -> Self {
        let url = endpoint.location.to_string();
        let name = ["url", &endpoint.cluster, &url].map(str::to_owned);
        Self::new(Place::Url(endpoint), schedule, &name)
    }

    /// The JWK Set that an issuer's metadata names. `cluster` leads to the
    /// issuer's own origin, `origins` are others on which its keys may live, with
    /// their clusters.
    pub fn discover(
        issuer: &str,
        cluster: &str,
        origins: BTreeMap<String, String>,
        schedule: Schedule,
    ) -> Result<Self, &'static str> {
        let discovery = Discovery::new(issuer, cluster, origins)?;
        let mut name = ["discover", issuer, cluster].map(str::to_owned).to_vec();
        name.extend(discovery.origins().flat_map(|(origin, cluster)| [origin.to_owned(), cluster.to_owned()]));
        Ok(Self::new(Place::Discovered(discovery), schedule, &name))
    }

    fn new(place: Place, schedule: Schedule, name: &[String]) -> Self {
        let digest = Hash::hash(name.join("\0").as_bytes());
        let name = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let (generation, missed) = (Cell::default(), Cell::default());
        Self { place, schedule, name, generation, missed, state: RefCell::default() }
    }

    /// The keys of this moment; none before the first fetch, and none after the
    /// last good ones became too old.
    pub fn keys(&self) -> Rc<Keys> {
        Rc::clone(&self.state.borrow().keys)
    }

    /// Changes whenever the keys do. What was verified under another is to be
    /// verified anew.
    pub fn generation(&self) -> u64 {
        self.generation.get()
    }

    /// A token named a key that is not there. There may be a new one.
    pub fn miss(&self, now: SystemTime) {
        self.missed.set(millis(now));
    }

    /// The issuer's metadata, as it was discovered.
    pub fn metadata(&self) -> Option<Rc<str>> {
        self.state.borrow().metadata.clone()
    }

    /// Does it fetch the issuer's metadata?
    pub fn is_discovered(&self) -> bool {
        matches!(self.place, Place::Discovered(_))
    }

    /// Does it fetch at all?
    pub fn is_remote(&self) -> bool {
        !matches!(self.place, Place::Inline)
    }

    /// The name under which workers share who fetches, and when.
    pub fn lease_key(&self) -> String {
        format!("mcp_gate.jwks.{}.lease", self.name)
    }

    /// The name under which they share what was fetched.
    pub fn documents_key(&self) -> String {
        format!("mcp_gate.jwks.{}.documents", self.name)
    }

    /// What happened since this was last asked.
    pub fn take_events(&self) -> Vec<Event> {
        std::mem::take(&mut self.state.borrow_mut().events)
    }

    /// Some time has passed. `worker` tells this worker from the others; chance
    /// alone is asked for, and it decides who fetches first, nothing else.
    pub fn poll(&self, worker: u64, now: SystemTime) -> Step {
        if !self.is_remote() {
            return Step::Rest;
        }
        let now = millis(now);
        let mut state = self.state.borrow_mut();
        state.worker = worker.max(1);
        match &state.work {
            Work::Running(run) if now < run.began.saturating_add(self.lease()) && now >= run.began => {
                self.expire(&mut state, now);
                Step::Rest
            }
            Work::Running(run) => {
                let began = run.began;
                self.fail(&mut state, began, "expected answers in time, found none".into())
            }
            // What could not be settled before is the others' loss alone.
            Work::Idle | Work::Claiming { .. } | Work::Settling { .. } => {
                state.work = Work::Idle;
                Step::Look
            }
        }
    }

    /// The configuration goes: whoever comes after it need not wait for this worker.
    pub fn release(&self) -> Step {
        let mut state = self.state.borrow_mut();
        match std::mem::take(&mut state.work) {
            Work::Running(Run { began, .. }) => {
                state.work = Work::Settling { began, ending: Ending::Abandoned, attempts: 0 };
                Step::Look
            }
            Work::Idle | Work::Claiming { .. } | Work::Settling { .. } => Step::Rest,
        }
    }

    /// What is shared under [`Source::lease_key`].
    pub fn handle_lease(&self, lease: Option<&[u8]>, now: SystemTime) -> Step {
        let now = millis(now);
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        let lease = lease.and_then(Lease::read).unwrap_or_default();
        state.seen = lease.clone();
        if let Work::Settling { began, ending, .. } = &state.work {
            return self.settle(state.worker, *began, ending, lease, now);
        }
        if lease.version != 0 && self.is_kept(lease.fetched, now) {
            if lease.version == state.version {
                state.fetched = lease.fetched;
            } else if !std::mem::take(&mut state.misread) {
                return Step::Read;
            }
        }
        if lease.fetched >= self.missed.get() {
            self.missed.set(0);
        }
        self.expire(state, now);
        let Some(forced) = self.is_due(state, &lease, now) else { return Step::Rest };
        if !lease.is_free(state.worker, now) {
            return Step::Rest;
        }
        state.work = Work::Claiming { forced };
        let (holder, until) = (state.worker, now.saturating_add(self.lease()));
        let forced = if forced { now } else { lease.forced };
        let lease = Lease { holder, until, forced, ..lease };
        Step::Write(Write { documents: None, lease: lease.to_bytes() })
    }

    /// What is shared under [`Source::documents_key`]. It was good when it was
    /// stored; it is held against the same rules all the same.
    pub fn handle_documents(&self, documents: Option<&[u8]>, now: SystemTime) -> Step {
        let mut state = self.state.borrow_mut();
        let documents = documents.and_then(Documents::from_bytes);
        let documents = documents.filter(|documents| documents.version() == state.seen.version);
        let accepted = documents.and_then(|documents| {
            let set = Set::read(&documents.jwks).ok()?;
            let metadata = match (&self.place, &documents.metadata) {
                (Place::Discovered(discovery), Some(metadata)) => discovery.read(metadata.as_bytes()).map(drop),
                (Place::Inline | Place::Url(_), None) => Ok(()),
                (Place::Discovered(_), None) | (Place::Inline | Place::Url(_), Some(_)) => Err(String::new()),
            };
            metadata.ok().map(|()| (documents, set))
        });
        match accepted {
            Some((documents, set)) => {
                let (version, fetched) = (state.seen.version, state.seen.fetched);
                self.adopt(&mut state, documents.metadata, set.keys, version, fetched);
            }
            // Its writer may be at it. If not, it is fetched anew.
            None => state.misread = true,
        }
        self.expire(&mut state, millis(now));
        Step::Rest
    }

    /// Was the lease written? Not, if another worker was faster.
    pub fn handle_written(&self, written: bool, now: SystemTime) -> Step {
        let mut state = self.state.borrow_mut();
        match std::mem::take(&mut state.work) {
            Work::Claiming { forced } if written => {
                if forced {
                    state.events.push(Event::Forced);
                }
                let run = Run { began: millis(now), call: 0, reasons: Vec::new(), metadata: None };
                match &self.place {
                    Place::Inline => Step::Rest,
                    Place::Url(endpoint) => send(&mut state, run, endpoint.clone()),
                    Place::Discovered(discovery) => Self::look_for(discovery, &mut state, run)
                        .unwrap_or_else(|run| self.fail(&mut state, run.began, run.reasons.join("; "))),
                }
            }
            Work::Settling { began, ending, attempts } if !written && attempts < ATTEMPTS => {
                state.work = Work::Settling { began, ending, attempts: attempts.saturating_add(1) };
                Step::Look
            }
            // A worker that does not wait for an answer is at nothing.
            Work::Idle | Work::Claiming { .. } | Work::Running(_) | Work::Settling { .. } => Step::Rest,
        }
    }

    /// The answer to a call, or why there is none. One that nobody waits for any
    /// more is dropped.
    pub fn handle_answer(&self, id: u64, answer: Result<Answer, String>, now: SystemTime) -> Step {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        let mut run = match std::mem::take(&mut state.work) {
            Work::Running(run) if run.call == id => run,
            other => {
                state.work = other;
                return Step::Rest;
            }
        };
        let body = answer.and_then(Answer::into_body);
        let discovery = match &self.place {
            Place::Discovered(discovery) if run.metadata.is_none() => discovery,
            _ => return self.finish(state, run, body, now),
        };
        let found = body.and_then(|body| {
            let endpoint = discovery.read(&body)?;
            // What was read as JSON is UTF-8.
            Ok((String::from_utf8(body).map_err(|_| "expected UTF-8")?, endpoint))
        });
        match found {
            Ok((metadata, endpoint)) => {
                run.metadata = Some(metadata);
                send(state, run, endpoint)
            }
            Err(reason) => {
                run.reasons.push(reason);
                Self::look_for(discovery, state, run)
                    .unwrap_or_else(|run| self.fail(state, run.began, run.reasons.join("; ")))
            }
        }
    }

    /// Asks for metadata in the next place. Gives the run back if there is none.
    fn look_for(discovery: &Discovery, state: &mut State, run: Run) -> Result<Step, Run> {
        match discovery.places.get(run.reasons.len()) {
            Some(endpoint) => Ok(send(state, run, endpoint.clone())),
            None => Err(run),
        }
    }

    /// The answer to the last call of a run.
    fn finish(&self, state: &mut State, run: Run, body: Result<Vec<u8>, String>, now: SystemTime) -> Step {
        let set = body.and_then(|jwks| Ok((Set::read(&jwks)?, Documents { metadata: run.metadata, jwks })));
        let (Set { keys, unusable }, documents) = match set {
            Ok(read) => read,
            Err(reason) => return self.fail(state, run.began, reason),
        };
        let (version, began) = (documents.version(), run.began);
        let changed = version != state.version;
        state.events.push(Event::Fetched { changed, unusable: if changed { unusable } else { Vec::new() } });
        self.adopt(state, documents.metadata.clone(), keys, version, began);
        self.expire(state, millis(now));
        state.work = Work::Settling { began, ending: Ending::Good(documents), attempts: 0 };
        Step::Look
    }

    fn fail(&self, state: &mut State, began: u64, reason: String) -> Step {
        let failures = state.seen.failures.saturating_add(1);
        state.events.push(Event::Failed { reason, failures });
        state.work = Work::Settling { began, ending: Ending::Bad, attempts: 0 };
        Step::Look
    }

    /// Takes keys into use.
    fn adopt(&self, state: &mut State, metadata: Option<String>, keys: Keys, version: u128, fetched: u64) {
        if version != state.version {
            state.keys = Rc::new(keys);
            state.metadata = metadata.map(Rc::from);
            state.version = version;
            self.generation.set(self.generation.get().wrapping_add(1));
        }
        state.fetched = fetched;
        state.misread = false;
    }

    /// Writes down how a run ended. A good result counts whoever has the lease
    /// by now; a bad one only if it is still this worker's.
    fn settle(&self, worker: u64, began: u64, ending: &Ending, lease: Lease, now: u64) -> Step {
        let is_own = lease.holder == worker;
        let (holder, until) = if is_own { (0, 0) } else { (lease.holder, lease.until) };
        let lease = Lease { holder, until, ..lease };
        match ending {
            Ending::Good(documents) => {
                let version = documents.version();
                let due = began.saturating_add(jittered(self.refresh(), worker ^ began));
                let (failures, failed) = (0, 0);
                let stored = (version != lease.version).then(|| documents.to_bytes());
                let lease = Lease { failures, failed, fetched: began, due, version, ..lease };
                Step::Write(Write { documents: stored, lease: lease.to_bytes() })
            }
            Ending::Bad if is_own => {
                let lease = Lease { failures: lease.failures.saturating_add(1), failed: now, ..lease };
                Step::Write(Write { documents: None, lease: lease.to_bytes() })
            }
            Ending::Abandoned if is_own => Step::Write(Write { documents: None, lease: lease.to_bytes() }),
            Ending::Bad | Ending::Abandoned => Step::Rest,
        }
    }

    /// Last good keys are good for as long as the schedule says, and no longer.
    fn expire(&self, state: &mut State, now: u64) {
        if state.version == 0 || self.is_kept(state.fetched, now) {
            return;
        }
        (state.keys, state.metadata) = (Rc::default(), None);
        (state.version, state.fetched) = (0, 0);
        self.generation.set(self.generation.get().wrapping_add(1));
        state.events.push(Event::Expired);
    }

    fn is_kept(&self, fetched: u64, now: u64) -> bool {
        now.saturating_sub(fetched) <= self.schedule.keep.saturating_mul(1000)
    }

    /// Is it time to fetch? `Some(true)`, if an unknown `kid` alone is the reason.
    fn is_due(&self, state: &State, lease: &Lease, now: u64) -> Option<bool> {
        // After the clock went back, all times lie ahead, and all waits are over.
        let is_past = |since: u64, wait: u64| now < since || now >= since.saturating_add(wait);
        let (first, most) = BACK_OFF;
        let most = if state.version == 0 { COLD_BACK_OFF } else { most };
        let doubled = first.saturating_mul(1 << lease.failures.saturating_sub(1).min(16));
        let wait = jittered(doubled.min(most), state.worker ^ lease.failed);
        let is_patient = lease.failures == 0 || is_past(lease.failed, wait);
        let refresh = self.refresh();
        let due = lease.due.min(lease.fetched.saturating_add(refresh).saturating_add(refresh / 10));
        let is_old = now >= due || now < lease.fetched;
        match () {
            () if state.version == 0 || is_old => is_patient.then_some(false),
            () => (self.missed.get() != 0 && is_past(lease.forced, COOL_DOWN)).then_some(true),
        }
    }

    fn refresh(&self) -> u64 {
        self.schedule.refresh.saturating_mul(1000)
    }

    /// How long a run may take: all of its calls, and a while.
    fn lease(&self) -> u64 {
        let calls: u64 = match &self.place {
            Place::Inline | Place::Url(_) => 1,
            Place::Discovered(discovery) => u64::try_from(discovery.places.len()).unwrap_or(u64::MAX).saturating_add(1),
        };
        let call = u64::try_from(TIMEOUT.as_millis()).unwrap_or(u64::MAX);
        calls.saturating_add(1).saturating_mul(call).min(lease::LONGEST)
    }
}

fn send(state: &mut State, mut run: Run, endpoint: Endpoint) -> Step {
    state.calls = state.calls.wrapping_add(1);
    run.call = state.calls;
    state.work = Work::Running(run);
    Step::Send(state.calls, Outbound::get(endpoint, TIMEOUT))
}

/// A tenth more or less, so that proxies that started together do not ask together.
fn jittered(wait: u64, seed: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write_u64(seed);
    let spread = (wait / 5).saturating_add(1);
    wait.saturating_sub(wait / 10).saturating_add(hasher.finish().checked_rem(spread).unwrap_or_default())
}

/// Milliseconds since 1970.
fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
