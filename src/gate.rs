//! One request's way through the gate.
//!
//! A [`Gate`] is a configuration, validated and compiled. An [`Exchange`] takes
//! one request through it: `handle_*` takes what the host has, a [`Step`] says
//! what the host must do. It does no I/O, reads no clock and keeps no log.
//!
//! Nothing reaches upstream but through [`Step::Forward`], and that is made
//! from a [`Permit`] alone.

mod arrival;
mod candidate;
mod cors;
mod elsewhere;
mod head;
mod lists;
mod reply;
mod response;
mod session;
mod settings;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::rc::Rc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::denial::Denial;
use crate::http::{Edits, Head, MOST_HEADERS, Reply};
use crate::keys::Crypto;
use crate::mcp::{Call, Kind, Refused};
use crate::outbound::Outbound;
use crate::policy::{Candidate, Peer, Permit, Policy, Question};
use crate::record::{Record, Under, Verdict};
use crate::replay::Spend;
use crate::resource::Resource;
use crate::session::SessionKeys;
use crate::token::nonce::NonceKeys;
use crate::token::{Identity, Issuer};
use arrival::Arrival;
pub use candidate::Comparison;
use candidate::Decided;
use head::{check_media_type, claimed, has_token, is_form, is_modern, is_session, visible};
pub use lists::Piece;
use lists::{Listing, Reading};
use response::Asked;
pub use response::{Flow, Response};
use session::Session;
pub use settings::{Elsewhere, Hold};

const DECISION_HEADER: &str = "x-mcp-gate-decision";

const JSON: &str = "application/json";

/// Headers that stand once, beside those of which repetition has an answer of its own.
const SINGLE: [&str; 5] = ["content-length", "content-type", "content-encoding", "mcp-session-id", "last-event-id"];

/// What is wrong with a configuration, and where.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Finding {
    /// The path of the field, such as `issuers[0].algorithms`.
    pub path: String,
    /// What was expected, what was found.
    pub problem: String,
}

impl Finding {
    /// The same, of something larger.
    pub fn within(self, place: &str) -> Self {
        Self { path: format!("{place}{}", self.path), ..self }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.problem)
    }
}

/// A configuration, validated and compiled. Immutable.
#[derive(Debug)]
pub struct Gate {
    /// A SHA-256 over the whole configuration, in hexadecimal digits.
    pub configuration: String,
    /// The protected resources.
    pub resources: Vec<Resource>,
    /// The policy.
    pub policy: Policy,
    /// A policy that is tried beside it, or what is wrong with that one.
    pub candidate: Result<Option<Candidate>, Vec<Finding>>,
    /// How requests are held.
    pub hold: Hold,
    /// What becomes of requests to no protected resource.
    pub elsewhere: Elsewhere,
    /// Who verifies signatures.
    pub crypto: Crypto,
    /// The keys of the nonces that proofs hold.
    pub nonces: NonceKeys,
    /// The keys that bind sessions to who opened them.
    pub sessions: SessionKeys,
}

impl Gate {
    /// The resource that answers here, with its index. Resources on one path differ
    /// by host; a host that none of them has gets the first, which refuses it.
    fn resource(&self, head: &Head, is_here: impl Fn(&Resource) -> bool) -> Option<(usize, &Resource)> {
        let mut here = self.resources.iter().enumerate().filter(|(_, known)| is_here(known));
        here.clone().find(|(_, known)| known.has_host(head)).or_else(|| here.next())
    }

    /// The candidate, if there is a good one.
    fn candidate(&self) -> Option<&Candidate> {
        self.candidate.as_ref().ok()?.as_ref()
    }

    /// Must the host say where the connection comes from?
    pub fn wants_peer(&self) -> bool {
        self.policy.wants_peer() || self.candidate().is_some_and(Candidate::wants_peer)
    }

    /// Must the host say whose certificate the connection has?
    pub fn wants_certificate(&self) -> bool {
        self.resources.iter().any(|resource| resource.credentials.mtls)
    }
}

/// What the host must do next.
#[derive(Debug)]
#[must_use]
pub enum Step {
    /// Hold the request until its body is complete. Under [`Hold::Body`] the head
    /// goes to the filter that holds it, with these changes: it cannot be changed
    /// once it has left.
    Hold(Option<Edits>),
    /// Hold the request, ask this, and hand what comes back to
    /// [`Exchange::handle_answer`].
    Ask(Outbound),
    /// Hold the request, spend this proof in the store that all workers share, and
    /// hand what comes of it to [`Exchange::handle_spent`].
    Spend(Spend),
    /// Answer here. Upstream never sees the request.
    Reply(Reply),
    /// Change the head and let the request go.
    Forward(Forward),
}

/// A request that may go on. Only a [`Permit`] becomes one.
#[derive(Debug)]
pub struct Forward {
    edits: Edits,
}

impl Forward {
    fn new(_permit: &Permit, edits: Edits) -> Self {
        Self { edits }
    }

    /// The changes to make to the head before it goes.
    pub fn edits(&self) -> &Edits {
        &self.edits
    }
}

/// One request.
#[derive(Debug)]
pub struct Exchange {
    gate: Option<Rc<Gate>>,
    decision_id: String,
    /// When its head came.
    started: Option<SystemTime>,
    record: Record,
    /// The page that asks, once it was found on the list.
    origin: Option<String>,
    state: State,
    /// Who asked, once it was permitted.
    asked: Option<Asked>,
    /// When the answer must end, once that is known.
    ends: Option<SystemTime>,
    /// How its body is read.
    reading: Reading,
    /// How often a part of it was refused.
    refusals: u32,
    /// What policy has decided, until the candidate is asked.
    decided: Option<Box<Decided>>,
}

#[derive(Debug)]
enum State {
    /// Nothing is known yet.
    New,
    /// The issuer was asked about the token.
    Asking(Box<Arrival>, Rc<Issuer>),
    /// A proof of possession is being spent.
    Spending(Box<Held>),
    /// The head was accepted; the body decides.
    Held(Box<Held>),
    /// Decided, with the verdict and its code.
    Decided(Verdict, &'static str),
}

#[derive(Debug)]
struct Held {
    arrival: Arrival,
    identity: Rc<Identity>,
    session: Session,
}

impl Exchange {
    /// A new request, under the configuration of this moment, if there is one.
    /// `decision_id` names the request everywhere.
    pub fn new(gate: Option<Rc<Gate>>, decision_id: String) -> Self {
        Self {
            gate,
            decision_id,
            started: None,
            record: Record::default(),
            origin: None,
            state: State::New,
            asked: None,
            ends: None,
            reading: Reading::Nothing,
            refusals: 0,
            decided: None,
        }
    }

    /// Was it decided, and how?
    pub fn verdict(&self) -> Option<Verdict> {
        match self.state {
            State::Decided(verdict, _) => Some(verdict),
            State::New | State::Asking(..) | State::Spending(_) | State::Held(_) => None,
        }
    }

    /// Is it waiting for its body, and for nothing else?
    pub fn is_held(&self) -> bool {
        matches!(self.state, State::Held(_))
    }

    /// The host did not do what a step asked for: nothing may go on.
    pub fn handle_failure(&mut self) -> Step {
        self.refuse(Denial::HostFailed, None, None)
    }

    /// What the client gets where the host did not do to the server's answer what it was
    /// asked to. The request was decided, and its record stays.
    pub fn failure(&self) -> Reply {
        self.reply(&Denial::HostFailed, None, None)
    }

    /// The head of the request. `end` says that no body follows.
    pub fn handle_head(&mut self, head: Head, end: bool, peer: Peer, now: SystemTime) -> Step {
        self.started = Some(now);
        let Some(gate) = self.gate.clone() else {
            return self.refuse(Denial::NotConfigured, None, None);
        };
        if head.method().is_empty() || head.path().is_empty() {
            let name = if head.method().is_empty() { ":method" } else { ":path" };
            return self.refuse(refused(ONE, name), None, None);
        }
        let is_here = |resource: &Resource| resource.path.as_bytes() == head.path();
        let Some((index, resource)) = gate.resource(&head, is_here) else {
            return self.handle_elsewhere(&gate, &head);
        };
        self.record.resource = Some(resource.url().to_owned());

        if let Err(denial) = self.admit_head(resource, &head) {
            return self.refuse(denial, None, Some(resource));
        }
        if cors::is_preflight(&head) {
            let headers = cors::preflight(&head);
            return self.serve(204, headers, String::new(), "preflight");
        }
        let arrival = Arrival { resource: index, head, end, peer };
        let step = self.authenticate(&gate, resource, arrival, now);
        step.unwrap_or_else(|denial| self.refuse(denial, None, Some(resource)))
    }

    /// Everything that a head is refused for whoever sends it.
    fn admit_head(&mut self, resource: &Resource, head: &Head) -> Result<(), Denial> {
        let (count, bytes) = head.size();
        if count > MOST_HEADERS || bytes > resource.header_limit {
            return Err(Denial::HeadersTooLarge { limit: resource.header_limit });
        }
        if !resource.has_host(head) {
            return Err(Denial::HostRefused);
        }
        if !resource.has_origin(head) {
            return Err(Denial::OriginRefused);
        }
        self.origin = head.text("origin").map(str::to_owned);
        // What comes after an upgrade is no message of MCP.
        if let Some(name) = ["upgrade", ":protocol"].into_iter().find(|name| head.has(name)) {
            return Err(refused("no", name));
        }
        if let Some(name) = SINGLE.into_iter().find(|name| head.get(name).is_err()) {
            return Err(match name {
                "content-type" | "content-encoding" => Denial::MediaTypeRefused,
                name => refused(ONE, name),
            });
        }
        if is_modern(head) {
            return Ok(());
        }
        // A stream is taken up again within a session alone: nothing else says whose it was.
        if head.has("last-event-id") && !head.has("mcp-session-id") {
            return Err(refused("`mcp-session-id` beside a", "last-event-id"));
        }
        match is_session(head) {
            true => Ok(()),
            false => Err(refused(ONE, "mcp-session-id")),
        }
    }

    /// It is known who asks; what they ask is in the body, if there is to be one.
    fn accept(&mut self, gate: &Gate, resource: &Resource, mut held: Held, now: SystemTime) -> Result<Step, Denial> {
        // From here on nobody needs it, and policy must not see it.
        if let Some(name) = &resource.api_key_header {
            held.arrival.head.remove(name);
        }
        let Arrival { head, end, .. } = &held.arrival;
        if head.method() == b"POST" {
            // A form is refused once it is known whether it holds a second token.
            if *end || !is_form(head) {
                check_media_type(head)?;
            }
            let length = head.text("content-length").and_then(|length| length.parse::<u64>().ok());
            if length.is_some_and(|length| length > resource.body_limit as u64) {
                return Err(Denial::BodyTooLarge { limit: resource.body_limit });
            }
            if !end {
                let edits = (gate.hold == Hold::Body).then(|| self.introduce(resource, &held));
                self.state = State::Held(Box::new(held));
                return Ok(Step::Hold(edits));
            }
        }
        Ok(self.decide_bodiless(gate, held, now))
    }

    /// A GET or DELETE, or a POST that ended with its head.
    fn decide_bodiless(&mut self, gate: &Gate, held: Held, now: SystemTime) -> Step {
        let Arrival { resource, head, end, .. } = &held.arrival;
        let dialect = gate.resources.get(*resource).map(|resource| &resource.dialect);
        let bodiless = |kind| match dialect {
            Some(dialect) if *end => Call::bodiless(kind, head, dialect),
            _ => Err(Denial::MessageInvalid("GET and DELETE have no body")),
        };
        let call = match head.method() {
            b"GET" => bodiless(Kind::Stream),
            b"DELETE" => bodiless(Kind::Terminate),
            _ => Err(Denial::JsonInvalid("found no body".into())),
        };
        self.decide(gate, held, call.map_err(Refused::from), b"", now)
    }

    /// How much of the body there is so far, in bytes. Says no as soon as it is
    /// too much.
    pub fn handle_size(&mut self, size: usize) -> Option<Step> {
        let resource = match &self.state {
            State::Held(held) => held.arrival.resource,
            State::Asking(arrival, _) => arrival.resource,
            State::New | State::Spending(_) | State::Decided(..) => return None,
        };
        let gate = self.gate.clone()?;
        let resource = gate.resources.get(resource)?;
        (size > resource.body_limit)
            .then(|| self.refuse(Denial::BodyTooLarge { limit: resource.body_limit }, None, Some(resource)))
    }

    /// The whole body.
    pub fn handle_body(&mut self, body: &[u8], now: SystemTime) -> Step {
        if let Some(step) = self.handle_size(body.len()) {
            return step;
        }
        let State::Held(held) = std::mem::replace(&mut self.state, State::New) else {
            return self.refuse(Denial::Incomplete, None, None);
        };
        let Some(gate) = self.gate.clone() else {
            return self.refuse(Denial::NotConfigured, None, None);
        };
        let Some(resource) = gate.resources.get(held.arrival.resource) else {
            return self.refuse(Denial::ResourceUnknown, None, None);
        };
        if is_form(&held.arrival.head) {
            let denial = if has_token(body) { Denial::CredentialTwice } else { Denial::MediaTypeRefused };
            return self.refuse(denial, None, Some(resource));
        }
        let call = Call::read(body, &held.arrival.head, &resource.dialect);
        self.decide(&gate, *held, call, body, now)
    }

    /// The end of every request to a protected resource: policy, then the answer.
    fn decide(
        &mut self,
        gate: &Gate,
        held: Held,
        call: Result<Call<'_>, Refused>,
        body: &[u8],
        now: SystemTime,
    ) -> Step {
        let Held { arrival: Arrival { resource: index, head, peer, .. }, identity, session } = &held;
        let Some(resource) = gate.resources.get(*index) else {
            return self.refuse(Denial::ResourceUnknown, None, None);
        };
        let call = match call {
            Ok(call) => call,
            Err(Refused { id, method, denial }) => {
                self.record.method = method;
                return self.refuse(denial, id, Some(resource));
            }
        };
        self.record.method = Some(call.label().to_owned());
        self.record.name = call.about().map(str::to_owned);
        if let Err(denial) = session.check() {
            return self.refuse(denial, call.id, Some(resource));
        }
        let catalogue = resource.catalogue.as_ref();
        let question = Question { resource: resource.url(), catalogue, identity, call: &call, head, peer, now };
        let decision = gate.policy.decide(question);
        if gate.candidate().is_some() {
            self.decided = Some(Box::new(Decided::new(&held, call.kind, body, &decision, now)));
        }
        match decision {
            Err(denial) => self.refuse_call(denial, &call, resource),
            Ok(permit) => {
                let is_changed = gate.hold == Hold::Body && head.method() == b"POST";
                let edits = if is_changed { Edits::default() } else { self.introduce(resource, &held) };
                let Held { arrival: Arrival { resource, head, peer, .. }, identity, session } = held;
                let id = call.id.clone().filter(|_| call.kind == Kind::Request);
                let listing = Listing::of(&call, head, peer);
                self.asked = Some(Asked { resource, identity, session, id, listing });
                self.forward(&permit, edits, "permitted")
            }
        }
    }

    /// Puts the verified identity in the place of the credential. A server must
    /// never get the token: it was not meant for anything behind the gate (MCP
    /// Authorization, Token Passthrough).
    fn introduce(&self, resource: &Resource, held: &Held) -> Edits {
        let Held { arrival: Arrival { head, .. }, identity, session } = held;
        let mut edits = Edits { remove: claimed(head), set: Vec::with_capacity(6), add: Vec::new() };
        session.unseal(head, &mut edits);
        // Beside the credential: the answer must be readable, and no stream is taken up again in the modern era.
        let gone = ["authorization", "dpop", "accept-encoding", "content-encoding"].into_iter();
        let gone = gone.chain(is_modern(head).then_some("last-event-id"));
        // Each change is a call of the host's, so what is not there is left alone.
        edits.remove.extend(gone.filter(|name| head.has(name)).map(Cow::Borrowed));
        // This one was taken from the head already.
        edits.remove.extend(resource.api_key_header.clone().map(Cow::Owned));
        if head.method() == b"POST" && head.text("content-type") != Some(JSON) {
            edits.set.push(("content-type", JSON.to_owned()));
        }
        edits.set.push(("x-mcp-gate-subject", visible(&identity.subject)));
        edits.set.push(("x-mcp-gate-issuer", visible(&identity.issuer)));
        if let Some(client_id) = &identity.client_id {
            edits.set.push(("x-mcp-gate-client", visible(client_id)));
        }
        edits.set.push(("x-mcp-gate-scopes", identity.scopes.join(" ")));
        edits.set.push((DECISION_HEADER, self.decision_id.clone()));
        edits
    }

    fn forward(&mut self, permit: &Permit, edits: Edits, code: &'static str) -> Step {
        if let Some(denial) = permit.shadow() {
            self.note(denial);
            self.record.shadow = Some(denial.code());
        }
        self.state = State::Decided(Verdict::Permit, code);
        Step::Forward(Forward::new(permit, edits))
    }

    /// The record of this request, and the code by which it is counted. Before
    /// the decision it says that the request ended incomplete.
    pub fn record(&self, now: SystemTime) -> (&'static str, String) {
        let (verdict, code) = match self.state {
            State::Decided(verdict, code) => (verdict, code),
            State::New | State::Asking(..) | State::Spending(_) | State::Held(_) => {
                (Verdict::Deny, Denial::Incomplete.code())
            }
        };
        let under = self.gate.as_ref().map_or(Under::default(), |gate| Under {
            revision: gate.policy.revision(),
            configuration: &gate.configuration,
        });
        let started = self.started.unwrap_or(now);
        (code, self.record.line(&self.decision_id, verdict, code, under, started, now))
    }
}

const ONE: &str = "one well-formed";

fn refused(expected: &'static str, name: &str) -> Denial {
    Denial::HeaderRefused { expected, name: name.chars().take(64).collect() }
}
