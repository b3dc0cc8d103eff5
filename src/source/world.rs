//! Sources in virtual time, for tests: workers that share a table, a key server that
//! answers as it is told, and a clock that is turned by hand.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime};

use jwt_simple::prelude::ES256KeyPair;

use super::{Event, Schedule, Source, Step, Write};
use crate::http::Location;
use crate::keys::Algorithm;
use crate::outbound::{Answer, Endpoint, Outbound};

pub(super) const URL: &str = "https://as.example.com/jwks";
pub(super) const ISSUER: &str = "https://as.example.com/realms/x";
pub(super) const METADATA: &str = "https://as.example.com/.well-known/oauth-authorization-server/realms/x";
pub(super) const SCHEDULE: Schedule = Schedule { refresh: 300, keep: 3600 };
pub(super) const START: u64 = 1_795_392_000_000;

/// A public key of this name.
pub(super) fn jwk(kid: &str) -> serde_json::Value {
    let mut jwk: serde_json::Value = serde_json::from_str(&ES256KeyPair::generate().public_key().to_jwk()).unwrap();
    jwk["kid"] = kid.into();
    jwk
}

pub(super) fn jwks(kids: &[&str]) -> Vec<u8> {
    let keys: Vec<_> = kids.iter().map(|kid| jwk(kid)).collect();
    serde_json::json!({ "keys": keys }).to_string().into_bytes()
}

pub(super) fn metadata(issuer: &str, jwks_uri: &str) -> Vec<u8> {
    serde_json::json!({"issuer": issuer, "jwks_uri": jwks_uri}).to_string().into_bytes()
}

/// An answer of the server: status, content type, body; or none.
pub(super) type Served = Result<(u16, &'static str, Vec<u8>), &'static str>;

pub(super) fn good(body: Vec<u8>) -> Served {
    Ok((200, "application/json", body))
}

pub(super) struct Worker {
    pub(super) source: Source,
    pub(super) seed: u64,
    pub(super) waiting: Option<(u64, Outbound)>,
    pub(super) events: Vec<Event>,
}

impl Worker {
    pub(super) fn has(&self, kid: &str) -> bool {
        self.source.keys().find(Some(kid), Algorithm::ES256).is_some()
    }

    pub(super) fn is_cold(&self) -> bool {
        self.source.keys().is_empty()
    }

    /// Why the last fetch failed.
    pub(super) fn reason(&self) -> &str {
        let reason = self.events.iter().rev().find_map(|event| match event {
            Event::Failed { reason, .. } => Some(reason.as_str()),
            _ => None,
        });
        reason.unwrap_or("(none failed)")
    }
}

/// All of it.
pub(super) struct World {
    pub(super) now: u64,
    pub(super) shared: HashMap<String, (Vec<u8>, u32)>,
    pub(super) writes: u32,
    pub(super) workers: Vec<Worker>,
    pub(super) server: HashMap<String, Served>,
    /// What was asked for, and when.
    pub(super) asked: Vec<(u64, String)>,
    /// Answers take so long, in milliseconds.
    pub(super) delay: u64,
}

impl World {
    pub(super) fn new(workers: usize, make: impl Fn() -> Source) -> Self {
        let (shared, server, asked) = (HashMap::new(), HashMap::new(), Vec::new());
        let mut world = Self { now: START, shared, writes: 0, workers: Vec::new(), server, asked, delay: 0 };
        for _ in 0..workers {
            world.join(make());
        }
        world
    }

    pub(super) fn url(workers: usize) -> Self {
        Self::new(workers, || Source::url(endpoint("as", URL), SCHEDULE))
    }

    pub(super) fn discover(workers: usize) -> Self {
        Self::new(workers, || Source::discover(ISSUER, "as", BTreeMap::new(), SCHEDULE).unwrap())
    }

    /// A worker that starts now.
    pub(super) fn join(&mut self, source: Source) {
        let seed = 7 + u64::try_from(self.workers.len()).unwrap() * 13;
        self.workers.push(Worker { source, seed, waiting: None, events: Vec::new() });
    }

    pub(super) fn serve(&mut self, url: &str, answer: Served) {
        self.server.insert(url.to_owned(), answer);
    }

    pub(super) fn time(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.now)
    }

    pub(super) fn asked(&self, url: &str) -> usize {
        self.asked.iter().filter(|(_, asked)| asked == url).count()
    }

    /// Does what a step says, as the adapter does.
    pub(super) fn drive(&mut self, index: usize, mut step: Step) {
        let mut cas = 0;
        loop {
            let now = self.time();
            let source = &self.workers[index].source;
            step = match step {
                Step::Rest => break,
                Step::Look => {
                    let (bytes, found) = self.shared.get(&source.lease_key()).cloned().unzip();
                    cas = found.unwrap_or_default();
                    source.handle_lease(bytes.as_deref(), now)
                }
                Step::Read => {
                    let bytes = self.shared.get(&source.documents_key()).map(|(bytes, _)| bytes.clone());
                    source.handle_documents(bytes.as_deref(), now)
                }
                Step::Write(Write { documents, lease }) => {
                    self.writes += 1;
                    if let Some(documents) = documents {
                        self.shared.insert(source.documents_key(), (documents, self.writes));
                    }
                    let found = self.shared.get(&source.lease_key()).map_or(0, |(_, cas)| *cas);
                    if found == cas {
                        self.shared.insert(source.lease_key(), (lease, self.writes));
                    }
                    source.handle_written(found == cas, now)
                }
                Step::Send(id, outbound) => {
                    self.asked.push((self.now, outbound.endpoint.location.to_string()));
                    self.workers[index].waiting = Some((id, outbound));
                    if self.delay > 0 {
                        break;
                    }
                    self.answer(index)
                }
            };
        }
        let worker = &mut self.workers[index];
        worker.events.extend(worker.source.take_events());
    }

    /// The server answers what a worker waits for.
    pub(super) fn answer(&mut self, index: usize) -> Step {
        let (id, outbound) = self.workers[index].waiting.take().unwrap();
        let served = self.server.get(&outbound.endpoint.location.to_string()).cloned().unwrap_or(Err("no answer"));
        let answer = served.map_err(str::to_owned).map(|(status, media_type, body)| {
            let headers = [(":status", status.to_string()), ("content-type", media_type.to_owned())];
            Answer::new(headers.map(|(name, value)| (name.to_owned(), value.into_bytes())).to_vec(), body)
        });
        self.workers[index].source.handle_answer(id, answer, self.time())
    }

    pub(super) fn tick(&mut self, index: usize) {
        let step = self.workers[index].source.poll(self.workers[index].seed, self.time());
        self.drive(index, step);
    }

    /// Time passes; each worker ticks five times a second.
    pub(super) fn pass(&mut self, milliseconds: u64) {
        let end = self.now + milliseconds;
        loop {
            for index in 0..self.workers.len() {
                self.tick(index);
            }
            if self.now >= end {
                break;
            }
            self.now = end.min(self.now + 200);
        }
    }

    /// As [`World::pass`], in steps of a second.
    pub(super) fn pass_seconds(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now += 1000;
            for index in 0..self.workers.len() {
                self.tick(index);
            }
        }
    }
}

pub(super) fn endpoint(cluster: &str, url: &str) -> Endpoint {
    Endpoint { cluster: cluster.into(), location: Location::read(url).unwrap() }
}
