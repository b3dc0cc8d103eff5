//! One request's way through the gate.
//!
//! A [`Gate`] is a configuration, validated and compiled. An [`Exchange`] takes
//! one request through it: `handle_*` takes what the host has, a [`Step`] says
//! what the host must do. It does no I/O, reads no clock and keeps no log.
//!
//! Nothing reaches upstream but through [`Step::Forward`], and that is made
//! from a [`Permit`] alone.

mod cors;
mod head;

use std::rc::Rc;
use std::time::SystemTime;

use serde_json::json;

use crate::denial::Denial;
use crate::http::{Edits, Head, MOST_HEADERS, Reply};
use crate::keys::Crypto;
use crate::mcp::{Call, Id, Kind, Refused};
use crate::policy::{Peer, Permit, Policy, Question};
use crate::record::{Record, Verdict};
use crate::resource::Resource;
use crate::token::{Bearer, Identity};
use head::{check_media_type, claimed, has_token, is_alike, is_modern, is_session, visible};

const DECISION_HEADER: &str = "x-mcp-gate-decision";

const JSON: &str = "application/json";

/// Headers that stand once, beside those of which repetition has an answer of its own.
const SINGLE: [&str; 5] = ["content-length", "content-type", "content-encoding", "mcp-session-id", "last-event-id"];

/// How a request is held until it is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// Head and body; the host must allow it (`allow_on_headers_stop_iteration`).
    Head,
    /// The body alone; Envoy's buffer filter behind the gate holds the head.
    Body,
}

/// What becomes of a request to no protected resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Elsewhere {
    /// 404.
    Refuse,
    /// Forwarded, without identity.
    Pass,
}

/// A configuration, validated and compiled. Immutable.
#[derive(Debug)]
pub struct Gate {
    /// The protected resources.
    pub resources: Vec<Resource>,
    /// The policy.
    pub policy: Policy,
    /// How requests are held.
    pub hold: Hold,
    /// What becomes of requests to no protected resource.
    pub elsewhere: Elsewhere,
    /// Who verifies signatures.
    pub crypto: Crypto,
}

impl Gate {
    /// The resource that has this path, with its index. Resources on one path
    /// differ by host; a host that none of them has gets the first, which refuses it.
    fn resource(&self, head: &Head, path: impl Fn(&Resource) -> &str) -> Option<(usize, &Resource)> {
        let mut at_path = self.resources.iter().enumerate().filter(|(_, known)| path(known).as_bytes() == head.path());
        at_path.clone().find(|(_, known)| known.has_host(head)).or_else(|| at_path.next())
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
    started: SystemTime,
    record: Record,
    /// The page that asks, once it was found on the list.
    origin: Option<String>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Nothing is known yet.
    New,
    /// The head was accepted; the body decides.
    Held(Box<Held>),
    /// Decided, with the verdict and its code.
    Decided(Verdict, &'static str),
}

impl State {
    fn verdict(&self) -> Option<Verdict> {
        match self {
            Self::Decided(verdict, _) => Some(*verdict),
            Self::New | Self::Held(_) => None,
        }
    }
}

#[derive(Debug)]
struct Held {
    resource: usize,
    identity: Rc<Identity>,
    head: Head,
    peer: Peer,
}

impl Exchange {
    /// A new request, under the configuration of this moment, if there is one.
    /// `decision_id` names the request everywhere; `now` is the host's time.
    pub fn new(gate: Option<Rc<Gate>>, decision_id: String, now: SystemTime) -> Self {
        Self { gate, decision_id, started: now, record: Record::default(), origin: None, state: State::New }
    }

    /// Was it decided, and how?
    pub fn verdict(&self) -> Option<Verdict> {
        self.state.verdict()
    }

    /// The host did not do what a step asked for: nothing may go on.
    pub fn handle_failure(&mut self) -> Step {
        self.refuse(Denial::HostFailed, None, None)
    }

    /// The head of the request. `end` says that no body follows.
    pub fn handle_head(&mut self, head: Head, end: bool, peer: Peer, now: SystemTime) -> Step {
        let Some(gate) = self.gate.clone() else {
            return self.refuse(Denial::NotConfigured, None, None);
        };
        if head.method().is_empty() || head.path().is_empty() {
            let name = if head.method().is_empty() { ":method" } else { ":path" };
            return self.refuse(refused(ONE, name), None, None);
        }
        let Some((index, resource)) = gate.resource(&head, |resource| &resource.path) else {
            return self.handle_elsewhere(&gate, &head);
        };
        self.record.resource = Some(resource.url.clone());

        if let Err(denial) = self.admit_head(resource, &head) {
            return self.refuse(denial, None, Some(resource));
        }
        if cors::is_preflight(&head) {
            let headers = cors::preflight(&head);
            return self.serve(204, headers, String::new(), "preflight");
        }
        match self.admit(resource, &gate.crypto, &head, now) {
            Err(denial) => self.refuse(denial, None, Some(resource)),
            Ok(identity) => {
                let held = Held { resource: index, identity, head, peer };
                if held.head.method() == b"POST" && !end {
                    let edits = (gate.hold == Hold::Body).then(|| self.introduce(&held.head, &held.identity));
                    self.state = State::Held(Box::new(held));
                    return Step::Hold(edits);
                }
                self.decide_bodiless(&gate, &held, end, now)
            }
        }
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
        match is_modern(head) || is_session(head) {
            true => Ok(()),
            false => Err(refused(ONE, "mcp-session-id")),
        }
    }

    /// Everything else that the head alone can be refused for.
    fn admit(
        &mut self,
        resource: &Resource,
        crypto: &Crypto,
        head: &Head,
        now: SystemTime,
    ) -> Result<Rc<Identity>, Denial> {
        let is_post = head.method() == b"POST";
        if !is_post && head.method() != b"GET" && head.method() != b"DELETE" {
            return Err(Denial::MethodRefused { allow: if is_modern(head) { "POST" } else { "POST, GET, DELETE" } });
        }
        if head.query().is_some_and(has_token) {
            return Err(Denial::CredentialInQuery);
        }
        let bearer = Bearer::from_head(head)?;
        let identity = resource.tokens.verify(bearer, &resource.issuers, &resource.url, crypto, now)?;
        self.record.issuer = Some(identity.issuer.clone());
        self.record.subject = Some(identity.subject.clone());
        self.record.client.clone_from(&identity.client_id);
        if is_post {
            check_media_type(head)?;
            let length = head.text("content-length").and_then(|length| length.parse::<u64>().ok());
            if length.is_some_and(|length| length > resource.body_limit as u64) {
                return Err(Denial::BodyTooLarge { limit: resource.body_limit });
            }
        }
        Ok(identity)
    }

    /// A GET or DELETE, or a POST that ended with its head.
    fn decide_bodiless(&mut self, gate: &Gate, held: &Held, end: bool, now: SystemTime) -> Step {
        let kind = match held.head.method() {
            b"GET" => Kind::Stream,
            b"DELETE" => Kind::Terminate,
            _ => return self.decide(gate, held, Err(Denial::JsonInvalid("found no body".into()).into()), now),
        };
        let dialect = gate.resources.get(held.resource).map(|resource| &resource.dialect);
        let call = match dialect {
            Some(dialect) if end => Call::bodiless(kind, &held.head, dialect),
            _ => Err(Denial::MessageInvalid("GET and DELETE have no body")),
        };
        self.decide(gate, held, call.map_err(Refused::from), now)
    }

    /// How much of the body there is so far, in bytes. Says no as soon as it is
    /// too much.
    pub fn handle_size(&mut self, size: usize) -> Option<Step> {
        let State::Held(held) = &self.state else { return None };
        let gate = self.gate.clone()?;
        let resource = gate.resources.get(held.resource)?;
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
        let Some(resource) = gate.resources.get(held.resource) else {
            return self.refuse(Denial::ResourceUnknown, None, None);
        };
        let call = Call::read(body, &held.head, &resource.dialect);
        self.decide(&gate, &held, call, now)
    }

    /// The end of every request to a protected resource: policy, then the answer.
    fn decide(&mut self, gate: &Gate, held: &Held, call: Result<Call<'_>, Refused>, now: SystemTime) -> Step {
        let Some(resource) = gate.resources.get(held.resource) else {
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
        let Held { identity, head, peer, .. } = held;
        let question = Question { resource: &resource.url, identity, call: &call, head, peer, now };
        match gate.policy.decide(question) {
            Err(denial) => self.refuse(denial, call.id, Some(resource)),
            Ok(permit) => {
                let is_changed = gate.hold == Hold::Body && head.method() == b"POST";
                let edits = if is_changed { Edits::default() } else { self.introduce(head, identity) };
                self.forward(&permit, edits, "permitted")
            }
        }
    }

    /// Not an endpoint: a metadata document, or nothing of ours.
    fn handle_elsewhere(&mut self, gate: &Gate, head: &Head) -> Step {
        if let Some((_, resource)) = gate.resource(head, |resource| &resource.metadata_path) {
            self.record.resource = Some(resource.url.clone());
            return match head.method() {
                _ if !resource.has_host(head) => self.refuse(Denial::HostRefused, None, None),
                b"GET" | b"HEAD" => {
                    // Public by nature, and read by clients that run in a browser (RFC 9728 §3.1).
                    let headers = vec![
                        ("content-type", JSON.into()),
                        ("access-control-allow-origin", "*".into()),
                        ("cache-control", "public, max-age=300".into()),
                    ];
                    self.serve(200, headers, resource.metadata.clone(), "served")
                }
                _ if cors::is_preflight(head) => {
                    let mut headers = cors::preflight(head);
                    headers.push(("access-control-allow-origin", "*".into()));
                    self.serve(204, headers, String::new(), "preflight")
                }
                _ => self.refuse(Denial::MethodRefused { allow: "GET, HEAD" }, None, None),
            };
        }
        match gate.elsewhere {
            Elsewhere::Refuse => self.refuse(Denial::ResourceUnknown, None, None),
            // What a server may take for an endpoint of its own is not elsewhere.
            Elsewhere::Pass if gate.resources.iter().any(|resource| is_alike(head.path(), &resource.path)) => {
                self.refuse(Denial::ResourceUnknown, None, None)
            }
            Elsewhere::Pass => {
                let edits = Edits { remove: claimed(head), ..Edits::default() };
                self.forward(&Permit::unprotected(), edits, "unprotected")
            }
        }
    }

    /// Puts the verified identity in the place of the credential. A server must
    /// never get the token: it was not meant for anything behind the gate (MCP
    /// Authorization, Token Passthrough).
    fn introduce(&self, head: &Head, identity: &Identity) -> Edits {
        let mut edits = Edits { remove: claimed(head), set: Vec::with_capacity(6), add: Vec::new() };
        edits.remove.push("authorization".to_owned());
        // The answer must be readable, and there are no sessions in the modern era.
        let gone: &[&str] = match is_modern(head) {
            true => &["accept-encoding", "content-encoding", "mcp-session-id", "last-event-id"],
            false => &["accept-encoding", "content-encoding"],
        };
        edits.remove.extend(gone.iter().filter(|name| head.has(name)).map(|name| (*name).to_owned()));
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

    /// Changes to the head of upstream's response: a page learns from the gate,
    /// and from nobody else, that it may read the answer.
    pub fn handle_response(&self) -> Option<Edits> {
        match (self.state.verdict(), &self.origin) {
            (Some(Verdict::Permit), Some(origin)) => Some(cors::response(origin)),
            _ => None,
        }
    }

    fn serve(
        &mut self,
        status: u16,
        mut headers: Vec<(&'static str, String)>,
        body: String,
        code: &'static str,
    ) -> Step {
        self.state = State::Decided(Verdict::Serve, code);
        self.share(&mut headers);
        headers.push((DECISION_HEADER, self.decision_id.clone()));
        Step::Reply(Reply { status, headers, body })
    }

    /// Lets the page that asked read the answer.
    fn share(&self, headers: &mut Vec<(&'static str, String)>) {
        if let Some(origin) = &self.origin {
            headers.extend(cors::share(origin));
        }
    }

    fn refuse(&mut self, denial: Denial, id: Option<Id>, resource: Option<&Resource>) -> Step {
        self.note(&denial);
        self.state = State::Decided(Verdict::Deny, denial.code());
        let mut headers = vec![
            ("content-type", JSON.into()),
            ("cache-control", "no-store".into()),
            (DECISION_HEADER, self.decision_id.clone()),
        ];
        match (&denial, resource) {
            (Denial::ScopeMissing { needed }, Some(resource)) => {
                headers.push(("www-authenticate", resource.scope_challenge(needed)));
            }
            (Denial::StepUpRequired { acr_values, max_age }, Some(resource)) => {
                headers.push(("www-authenticate", resource.step_up_challenge(acr_values, *max_age)));
            }
            (Denial::MethodRefused { allow }, _) => headers.push(("allow", (*allow).into())),
            (denial, Some(resource)) if denial.is_credential() => {
                headers.push(("www-authenticate", resource.challenge()));
            }
            (denial, _) if denial.status() == 503 => headers.push(("retry-after", "5".into())),
            _ => {}
        }
        self.share(&mut headers);
        let reasons = resource.is_some_and(|resource| resource.reasons);
        let body = self.body(&denial, id, reasons);
        Step::Reply(Reply { status: denial.status(), headers, body })
    }

    /// The body of a denial: a JSON-RPC error where the message was at fault or
    /// denied, else an object of our own.
    fn body(&self, denial: &Denial, id: Option<Id>, reasons: bool) -> String {
        // What was wrong with a credential is nobody's business but the operator's.
        let code = if denial.is_credential() { "unauthorized" } else { denial.code() };
        let Some(rpc_code) = denial.rpc_code() else {
            return json!({"code": code, "message": denial.message(), "decision_id": self.decision_id}).to_string();
        };
        let mut data = json!({"decision_id": self.decision_id, "code": code});
        match denial {
            Denial::PolicyDenied { reasons: given } if reasons && !given.is_empty() => {
                insert(&mut data, "reasons", json!(given));
            }
            Denial::VersionUnsupported { requested, supported } => {
                insert(&mut data, "supported", json!(supported));
                insert(&mut data, "requested", json!(requested));
            }
            _ => {}
        }
        let mut answer =
            json!({"jsonrpc": "2.0", "error": {"code": rpc_code, "message": denial.message(), "data": data}});
        if let Some(id) = &id {
            insert(&mut answer, "id", id.into());
        }
        answer.to_string()
    }

    fn note(&mut self, denial: &Denial) {
        if let Denial::PolicyDenied { reasons } = denial {
            self.record.reasons.clone_from(reasons);
        }
        self.record.detail = denial.detail();
    }

    /// The record of this request, and the code by which it is counted. Before
    /// the decision it says that the request ended incomplete.
    pub fn record(&self, now: SystemTime) -> (&'static str, String) {
        let (verdict, code) = match self.state {
            State::Decided(verdict, code) => (verdict, code),
            State::New | State::Held(_) => (Verdict::Deny, Denial::Incomplete.code()),
        };
        let revision = self.gate.as_ref().map_or("", |gate| gate.policy.revision());
        (code, self.record.line(&self.decision_id, verdict, code, revision, self.started, now))
    }
}

const ONE: &str = "one well-formed";

fn refused(expected: &'static str, name: &str) -> Denial {
    Denial::HeaderRefused { expected, name: name.chars().take(64).collect() }
}

fn insert(object: &mut serde_json::Value, name: &str, value: serde_json::Value) {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_host_did_not_do_is_a_denial() {
        let now = SystemTime::UNIX_EPOCH;
        let mut exchange = Exchange::new(None, "d".into(), now);
        let Step::Reply(reply) = exchange.handle_failure() else { panic!("expected a reply") };
        assert_eq!(reply.status, 503);
        assert!(reply.headers.contains(&("retry-after", "5".to_owned())));
        assert_eq!(exchange.verdict(), Some(Verdict::Deny));
        assert_eq!(exchange.record(now).0, "host_failed");
    }
}
