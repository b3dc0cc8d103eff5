//! What the candidate would have decided.
//!
//! It is asked when the request has gone its way: the question is kept as it came, and read
//! again then. What comes of it goes into the record, and nowhere else.

use std::rc::Rc;
use std::time::{Duration, SystemTime};

use super::arrival::Arrival;
use super::{Exchange, Held};
use crate::denial::Denial;
use crate::http::Head;
use crate::mcp::{Call, Kind};
use crate::policy::{Agreement, Peer, Permit, Question};
use crate::record::Opinion;
use crate::token::Identity;

/// A message that policy has decided.
#[derive(Debug)]
pub(super) struct Decided {
    resource: usize,
    identity: Rc<Identity>,
    head: Head,
    peer: Peer,
    kind: Kind,
    body: Vec<u8>,
    at: SystemTime,
    /// What policy said, whatever mode it is in.
    code: &'static str,
}

impl Decided {
    pub(super) fn new(held: &Held, kind: Kind, body: &[u8], decision: &Result<Permit, Denial>, at: SystemTime) -> Self {
        let Held { arrival: Arrival { resource, head, peer, .. }, identity, .. } = held;
        let code = match decision {
            Ok(permit) => permit.shadow().map_or("permitted", Denial::code),
            Err(denial) => denial.code(),
        };
        let (identity, head, peer) = (Rc::clone(identity), head.clone(), peer.clone());
        Self { resource: *resource, identity, head, peer, kind, body: body.to_vec(), at, code }
    }
}

/// What came of a candidate, and what it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Comparison {
    /// Does it say what was decided?
    pub agreement: Agreement,
    /// How long it was asked.
    pub taken: Duration,
}

impl Exchange {
    /// Asks the candidate, once, about what policy has decided: when nobody waits for the
    /// decision any more. `clock` gives the host's time.
    pub fn compare(&mut self, clock: impl Fn() -> SystemTime) -> Option<Comparison> {
        let decided = self.decided.take()?;
        let gate = self.gate.clone()?;
        let (candidate, resource) = (gate.candidate()?, gate.resources.get(decided.resource)?);
        let started = clock();
        if !candidate.is_rested(started) {
            return Some(Comparison { agreement: Agreement::Skipped, taken: Duration::ZERO });
        }
        let Decided { identity, head, peer, kind, body, at, code, .. } = &*decided;
        let call = match kind {
            Kind::Stream | Kind::Terminate => Call::bodiless(*kind, head, &resource.dialect).ok()?,
            Kind::Request | Kind::Notification | Kind::Response => Call::read(body, head, &resource.dialect).ok()?,
        };
        let said = candidate.ask(Question {
            resource: resource.url(),
            catalogue: resource.catalogue.as_ref(),
            identity,
            call: &call,
            head,
            peer,
            now: *at,
        });
        let ended = clock();
        // A clock that was set back says nothing.
        let taken = ended.duration_since(started).unwrap_or_default();
        candidate.rest(taken, ended);
        let agreement = Agreement::of(code, &said);
        if matches!(agreement, Agreement::Disagreed | Agreement::Failed) {
            self.record.candidate = Some(Opinion { said, revision: candidate.revision().to_owned() });
        }
        Some(Comparison { agreement, taken })
    }
}
