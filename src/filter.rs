//! Envoy's side: with what is under it, all that speaks `proxy_wasm`.
//!
//! It hands what the host has to an [`Exchange`] and does what the [`Step`]
//! says; it decides nothing. Every callback in which the SDK would continue by
//! itself is overridden. Host calls go through `hostcalls`, where the SDK's
//! traits would unwrap: what the host refuses is a denial. A status that the SDK
//! does not know is a trap, and a trap is a 503.

mod answer;
mod fetcher;
#[cfg(mcp_gate_trap)]
mod probe;
mod shared;

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::time::SystemTime;

use jwt_simple::reexports::rand;
use log::{error, info};
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, BufferType, ContextType, LogLevel, MapType, MetricType, Status};

use crate::config::{self, Finding, Surroundings};
use crate::gate::{Comparison, Exchange, Gate, Step};
use crate::http::{Edits, Head, Reply};
use crate::keys::{Algorithm, Crypto};
use crate::outbound::{self, Answer, Outbound};
use crate::policy::{Agreement, Peer};
use crate::record::Verdict;
use fetcher::Fetcher;
use shared::{accepted, proxy_key, share_accepted, spend, write_shared};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(Root::new()));
}}

/// How many findings of a configuration are logged; a table may have ten thousand.
const MOST_FINDINGS: usize = 100;

/// Filter state in which Envoy's access log finds the record, as
/// `wasm.mcp_gate.record`.
const RECORD: &str = "mcp_gate.record";

/// One configuration of the plugin on one worker.
struct Root {
    gate: Option<Rc<Gate>>,
    shared: Rc<Shared>,
    fetcher: Fetcher,
}

/// What all requests of a worker share.
struct Shared {
    /// Makes decision ids unlike those of other workers.
    seed: u64,
    count: Cell<u64>,
    counters: RefCell<HashMap<(&'static str, &'static str), u32>>,
    crypto: Crypto,
    /// Answers that are streams: when each must end, and its context.
    streams: RefCell<BTreeSet<(SystemTime, u32)>>,
}

thread_local! {
    /// What the host proved, once in the life of a worker's module: a configuration that
    /// is pushed does not wait for it.
    static CRYPTO: Crypto = {
        let crypto = Crypto::new(Some(host_verify));
        report_crypto(&crypto);
        crypto
    };
}

impl Root {
    fn new() -> Self {
        let crypto = CRYPTO.with(Crypto::clone);
        let count = Cell::new(rand::random());
        let (counters, streams) = (RefCell::default(), RefCell::default());
        let shared = Rc::new(Shared { seed: rand::random(), count, counters, crypto, streams });
        let fetcher = Fetcher::new(Rc::clone(&shared));
        Self { gate: None, shared, fetcher }
    }

    /// Takes over what another worker made of this configuration, or compiles it for all.
    fn load(&self, configuration: &[u8], surroundings: &Surroundings<'_>) -> Result<Gate, Vec<Finding>> {
        let taken = accepted().and_then(|accepted| config::take_over(configuration, &accepted, surroundings));
        if let Some(gate) = taken {
            self.shared.increment("mcp_gate_configurations_", "taken_over");
            return Ok(gate);
        }
        let (gate, accepted) = config::load_to_share(configuration, surroundings)?;
        if let Some(accepted) = accepted {
            share_accepted(&accepted);
        }
        self.shared.increment("mcp_gate_configurations_", "compiled");
        Ok(gate)
    }
}

impl Context for Root {
    fn on_http_call_response(&mut self, token: u32, headers: usize, size: usize, _trailers: usize) {
        self.fetcher.handle_answer(token, answer(headers, size));
    }

    fn on_done(&mut self) -> bool {
        self.fetcher.stop();
        true
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        let Ok(Some(configuration)) = hostcalls::get_buffer(BufferType::PluginConfiguration, 0, size) else {
            error!("mcp-gate: no configuration; expected one under `configuration` of the plugin");
            return false;
        };
        let surroundings =
            Surroundings { crypto: self.shared.crypto.clone(), environment: &environment, proxy_key: proxy_key() };
        match self.load(&configuration, &surroundings) {
            Ok(gate) => {
                let (policy, evaluator) = (gate.policy.revision(), gate.policy.evaluator());
                let mode = if gate.policy.is_shadow() { "in shadow, denies nothing" } else { "in force" };
                info!("mcp-gate: policy {policy} {mode}, configuration {}, {evaluator}", gate.configuration);
                report_candidate(&gate);
                let has_timer = self.fetcher.install(&gate);
                self.gate = Some(Rc::new(gate));
                has_timer
            }
            Err(findings) => {
                for finding in findings.iter().take(MOST_FINDINGS) {
                    error!("mcp-gate: configuration refused: {finding}");
                }
                if let Some(more) = findings.len().checked_sub(MOST_FINDINGS).filter(|more| *more > 0) {
                    error!("mcp-gate: configuration refused: {more} more findings; `mcp-gate check` says them all");
                }
                false
            }
        }
    }

    fn on_tick(&mut self) {
        self.fetcher.handle_tick();
        // Last, because it leaves the host in the context of a stream: a call made after
        // it would be that stream's, and end with it.
        self.shared.end_streams(now());
    }

    fn create_http_context(&self, context_id: u32) -> Option<Box<dyn HttpContext>> {
        let shared = Rc::clone(&self.shared);
        let exchange = Exchange::new(self.gate.clone(), shared.decision_id());
        let wants_peer = self.gate.as_ref().is_some_and(|gate| gate.wants_peer());
        let wants_certificate = self.gate.as_ref().is_some_and(|gate| gate.wants_certificate());
        Some(Box::new(Stream {
            context_id,
            exchange,
            shared,
            wants_peer,
            wants_certificate,
            size: 0,
            ended: false,
            decided: SystemTime::UNIX_EPOCH,
            listed: None,
            held_answer: None,
        }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl Shared {
    fn decision_id(&self) -> String {
        let count = self.count.get().wrapping_add(1);
        self.count.set(count);
        // splitmix64: no two counts give one value, and neighbours look unlike.
        let mut mixed = count.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        format!("{:016x}{:016x}", self.seed, mixed ^ (mixed >> 31))
    }

    /// Counts one decision, by its code.
    fn count(&self, code: &'static str) {
        self.increment("mcp_gate_decisions_", code);
    }

    /// Counts one more, under a name of two parts.
    fn increment(&self, family: &'static str, member: &'static str) {
        self.increment_by(family, member, 1);
    }

    fn increment_by(&self, family: &'static str, member: &'static str, count: u32) {
        let mut counters = self.counters.borrow_mut();
        let counter = match counters.get(&(family, member)) {
            Some(counter) => *counter,
            None => match hostcalls::define_metric(MetricType::Counter, &format!("{family}{member}")) {
                Ok(counter) => *counters.entry((family, member)).or_insert(counter),
                Err(_) => return,
            },
        };
        let _ = hostcalls::increment_metric(counter, i64::from(count));
    }

    /// Ends the streams whose time is over and in which nothing comes. Each gets its
    /// own last callback when this one is over.
    fn end_streams(&self, now: SystemTime) {
        loop {
            let first = self.streams.borrow().first().copied().filter(|(ends, _)| *ends <= now);
            let Some((ends, context_id)) = first else { return };
            self.streams.borrow_mut().remove(&(ends, context_id));
            if hostcalls::set_effective_context(context_id).is_ok() {
                let _ = hostcalls::reset_http_response();
            }
        }
    }
}

/// One request.
struct Stream {
    context_id: u32,
    exchange: Exchange,
    shared: Rc<Shared>,
    wants_peer: bool,
    wants_certificate: bool,
    /// Bytes of the body that are held.
    size: usize,
    /// Has all of it arrived?
    ended: bool,
    /// When it was decided.
    decided: SystemTime,
    /// Under which time its answer is among the streams, until it has ended.
    listed: Option<SystemTime>,
    /// Bytes of the answer that are held, and whether they are.
    held_answer: Option<usize>,
}

impl Context for Stream {
    fn on_http_call_response(&mut self, _token: u32, headers: usize, size: usize, _trailers: usize) {
        // The request may have been refused meanwhile, for its size.
        if self.exchange.verdict().is_some() {
            return;
        }
        let step = self.exchange.handle_answer(answer(headers, size), now());
        let action = match self.perform(step) {
            // The body arrived meanwhile.
            _ if self.ended && self.exchange.is_held() => self.handle_body(),
            // A part of it lies here, and would go on with its head before it was read.
            Action::Continue if self.size > 0 && self.exchange.is_held() => Action::Pause,
            action => action,
        };
        if matches!(action, Action::Continue) && hostcalls::resume_http_request().is_err() {
            self.fail();
        }
    }
}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        #[cfg(mcp_gate_trap)]
        trap("headers");
        #[cfg(mcp_gate_trap)]
        if probe::is_asked() {
            return Action::Pause;
        }
        let Ok(headers) = hostcalls::get_map_bytes(MapType::HttpRequestHeaders) else {
            return self.fail();
        };
        let mut peer = if self.wants_peer { peer() } else { Peer::default() };
        if self.wants_certificate {
            peer.certificate = property(&["connection", "sha256_peer_certificate_digest"]);
        }
        let step = self.exchange.handle_head(Head::new(headers), end_of_stream, peer, now());
        self.perform(step)
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        #[cfg(mcp_gate_trap)]
        trap("body");
        #[cfg(mcp_gate_trap)]
        if probe::is_asked() {
            if end_of_stream {
                probe::answer(size, &self.shared.crypto);
            }
            return Action::Pause;
        }
        match self.exchange.verdict() {
            Some(Verdict::Permit) => return Action::Continue,
            Some(Verdict::Deny | Verdict::Serve) => return Action::Pause,
            None => {}
        }
        // While it is held, the host counts all of it.
        self.size = size;
        self.ended = end_of_stream;
        if self.ended && self.exchange.is_held() {
            return self.handle_body();
        }
        match self.exchange.handle_size(size) {
            Some(step) => self.perform(step),
            None => Action::Pause,
        }
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        // MCP has none, and a server that merges them into its headers would
        // believe them.
        let trailers = hostcalls::get_map_bytes(MapType::HttpRequestTrailers);
        let removed =
            |(name, _): &(String, Vec<u8>)| hostcalls::remove_map_value(MapType::HttpRequestTrailers, name).is_ok();
        if !trailers.is_ok_and(|trailers| trailers.iter().all(removed)) {
            return self.fail();
        }
        match self.exchange.verdict() {
            Some(Verdict::Permit) => Action::Continue,
            Some(Verdict::Deny | Verdict::Serve) => Action::Pause,
            // The body ended without saying so.
            None if self.exchange.is_held() => self.handle_body(),
            None => {
                self.ended = true;
                Action::Pause
            }
        }
    }

    fn on_http_response_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        let action = self.handle_answer_head(end_of_stream);
        self.compare();
        action
    }

    fn on_http_response_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        self.handle_answer_body(size, end_of_stream)
    }

    fn on_http_response_trailers(&mut self, _count: usize) -> Action {
        self.handle_answer_trailers()
    }

    fn on_log(&mut self) {
        #[cfg(mcp_gate_trap)]
        trap("log");
        if self.exchange.verdict().is_none() {
            self.report();
        }
        // There was no answer, or none that this filter saw.
        self.compare();
        if let Some(ends) = self.listed.take() {
            let was_listed = self.shared.streams.borrow_mut().remove(&(ends, self.context_id));
            // Ended here: by a piece that came too late, or by the tick, which took it off the list.
            if !was_listed || self.exchange.ends().is_none() {
                // The tick may have been a moment later than this clock says.
                let _ = self.exchange.handle_stream(ends);
                self.leave_record();
                self.shared.increment("mcp_gate_streams_", "ended");
            }
        }
        self.report_answer();
    }
}

impl Stream {
    fn handle_body(&mut self) -> Action {
        let body = hostcalls::get_buffer(BufferType::HttpRequestBody, 0, self.size);
        // No body is an empty one, which is denied.
        let body = body.ok().flatten().unwrap_or_default();
        let step = self.exchange.handle_body(&body, now());
        self.perform(step)
    }

    fn perform(&mut self, step: Step) -> Action {
        match step {
            Step::Hold(None) => Action::Pause,
            Step::Ask(outbound) => match dispatch(&outbound) {
                Ok(_) => Action::Pause,
                Err(reason) => {
                    let step = self.exchange.handle_answer(Err(reason), now());
                    self.perform(step)
                }
            },
            Step::Spend(proof) => {
                let spent = spend(&proof, now());
                let step = self.exchange.handle_spent(spent, now());
                self.perform(step)
            }
            Step::Hold(Some(edits)) => match apply(MapType::HttpRequestHeaders, &edits) {
                true => Action::Continue,
                false => self.fail(),
            },
            Step::Forward(forward) => match apply(MapType::HttpRequestHeaders, forward.edits()) {
                true => {
                    self.report();
                    Action::Continue
                }
                // A credential that cannot be taken away must not go upstream.
                false => self.fail(),
            },
            Step::Reply(reply) => {
                self.report();
                send(&reply);
                Action::Pause
            }
        }
    }

    /// The host did not do what it was asked to.
    fn fail(&mut self) -> Action {
        match self.exchange.handle_failure() {
            Step::Reply(reply) => {
                self.report();
                send(&reply);
            }
            Step::Hold(_) | Step::Ask(_) | Step::Spend(_) | Step::Forward(_) => {}
        }
        Action::Pause
    }

    /// Leaves the record where Envoy's access log finds it, and counts.
    fn report(&mut self) {
        self.decided = now();
        let code = self.leave_record();
        self.shared.count(code);
    }

    /// Asks the candidate. The request has gone on by now, or was denied.
    fn compare(&mut self) {
        let Some(Comparison { agreement, taken }) = self.exchange.compare(now) else { return };
        self.shared.increment("mcp_gate_candidate_", agreement.name());
        let taken = u32::try_from(taken.as_micros()).unwrap_or(u32::MAX);
        self.shared.increment_by("mcp_gate_candidate_", "microseconds", taken);
        if matches!(agreement, Agreement::Disagreed | Agreement::Failed) {
            self.leave_record();
        }
    }

    /// Leaves the record, in the place of what it said before; the time that the gate
    /// took is that of the decision.
    fn leave_record(&self) -> &'static str {
        let (code, record) = self.exchange.record(self.decided);
        let _ = hostcalls::set_property(vec![RECORD], Some(record.as_bytes()));
        code
    }
}

/// Changes the head of a request or response; all of it or nothing goes on.
fn apply(map: MapType, edits: &Edits) -> bool {
    let removed = |name: &Cow<'_, str>| hostcalls::remove_map_value(map, name).is_ok();
    let set =
        |(name, value): &(&str, String)| hostcalls::set_map_value_bytes(map, name, Some(value.as_bytes())).is_ok();
    let added = |(name, value): &(&str, String)| hostcalls::add_map_value_bytes(map, name, value.as_bytes()).is_ok();
    edits.remove.iter().all(removed) && edits.set.iter().all(set) && edits.add.iter().all(added)
}

/// Traps where a request asks for it. It is in no module but that of `tests/trap.rs`,
/// which shows what else a trap hits.
#[cfg(mcp_gate_trap)]
#[expect(clippy::panic, reason = "it is what is wanted")]
fn trap(at: &str) {
    let asked = hostcalls::get_map_value_bytes(MapType::HttpRequestHeaders, "x-trap");
    if asked.ok().flatten().is_some_and(|asked| asked == at.as_bytes()) {
        panic!("mcp_gate_trap: {at}");
    }
}

fn send(reply: &Reply) {
    let headers = reply.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let _ = hostcalls::send_http_response(u32::from(reply.status), headers, Some(reply.body.as_bytes()));
}

fn now() -> SystemTime {
    // Without a time every token has yet to become valid.
    hostcalls::get_current_time().unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Envoy's own verification of a signature. What it takes is a message of four fields
/// (`VerifySignatureArguments` in its `verify_signature.proto`), what it gives is
/// `result: true` or anything else.
fn host_verify(hash: &str, spki: &[u8], signature: &[u8], text: &[u8]) -> Option<bool> {
    // Tags of fields 1 to 4, which are as long as they say.
    let fields = [(0x0a, hash.as_bytes()), (0x12, spki), (0x1a, signature), (0x22, text)];
    let mut arguments = Vec::with_capacity(hash.len() + spki.len() + signature.len() + text.len() + 16);
    for (tag, field) in fields {
        arguments.push(tag);
        prost::encode_length_delimiter(field.len(), &mut arguments).ok()?;
        arguments.extend_from_slice(field);
    }
    let answer = hostcalls::call_foreign_function("verify_signature", Some(&arguments)).ok()?;
    Some(answer.is_some_and(|answer| answer == [0x08, 1]))
}

/// Says who verifies which signatures.
fn report_crypto(crypto: &Crypto) {
    let (host, module): (Vec<_>, Vec<_>) =
        Algorithm::ALL.into_iter().partition(|algorithm| crypto.proven().any(|proven| proven == *algorithm));
    let names = |algorithms: &[Algorithm]| match algorithms {
        [] => "none".to_owned(),
        algorithms => algorithms.iter().map(|algorithm| algorithm.name()).collect::<Vec<_>>().join(", "),
    };
    info!("mcp-gate: signatures: the host verifies {}; the module {}", names(&host), names(&module));
    set_gauge("mcp_gate_crypto_host", host.len() as u64);
}

/// Says which candidate is asked beside the policy, or why none is.
fn report_candidate(gate: &Gate) {
    match &gate.candidate {
        Ok(None) => {}
        Ok(Some(candidate)) => {
            info!("mcp-gate: candidate {} beside it, {}", candidate.revision(), candidate.evaluator());
        }
        Err(findings) => {
            for finding in findings {
                error!("mcp-gate: candidate left out: {finding}");
            }
        }
    }
    set_gauge("mcp_gate_candidate_left_out", u64::from(gate.candidate.is_err()));
}

fn set_gauge(name: &str, value: u64) {
    if let Ok(gauge) = hostcalls::define_metric(MetricType::Gauge, name) {
        let _ = hostcalls::record_metric(gauge, value);
    }
}

/// A variable that `vm_config.environment_variables` hands to the module.
#[expect(clippy::disallowed_methods, reason = "this is the host's side, which hands it to the core")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Starts a call of the gate's own: its token, or why the host does not take it.
fn dispatch(outbound: &Outbound) -> Result<u32, String> {
    let headers = outbound.headers();
    let headers = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let body = Some(outbound.body().as_bytes()).filter(|body| !body.is_empty());
    let cluster = &outbound.endpoint.cluster;
    hostcalls::dispatch_http_call(cluster, headers, body, Vec::new(), outbound.timeout).map_err(|status| match status {
        Status::BadArgument => format!("expected a cluster `{cluster}` of Envoy's, found none"),
        _ => format!("expected cluster `{cluster}` to take a call, found that it does not"),
    })
}

/// The answer to a call of the gate's own, while the host has it: so many headers, and a
/// body of this size.
fn answer(headers: usize, size: usize) -> Result<Answer, String> {
    // What Envoy makes of a broken connection has no headers.
    let (1.., Ok(headers)) = (headers, hostcalls::get_map_bytes(MapType::HttpCallResponseHeaders)) else {
        return Err("expected an answer, found a broken connection".into());
    };
    // One byte too many shows that it is too long; the rest of it need not be copied.
    let body = match size.min(outbound::LONGEST.saturating_add(1)) {
        0 => None,
        size => hostcalls::get_buffer(BufferType::HttpCallResponseBody, 0, size).ok().flatten(),
    };
    Ok(Answer::new(headers, body.unwrap_or_default()))
}

fn property(path: &[&str]) -> Option<String> {
    let value = hostcalls::get_property(path.to_vec()).ok().flatten()?;
    String::from_utf8(value).ok().filter(|value| !value.is_empty())
}

fn peer() -> Peer {
    let address = property(&["source", "address"]);
    Peer {
        // Without the port, and without the brackets of IPv6.
        address: address.and_then(|address| {
            let (host, _) = address.rsplit_once(':')?;
            Some(host.trim_matches(['[', ']']).to_owned())
        }),
        principal: property(&["connection", "uri_san_peer_certificate"]),
        certificate: None,
    }
}
