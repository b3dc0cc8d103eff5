//! Who sent it? A head that came to a resource, and its way to an identity.
//!
//! The credential is known here, or its issuer is asked ([`Step::Ask`]); what binds it is
//! held against the connection and the proof, and the proof is spent ([`Step::Spend`]).

use std::rc::Rc;
use std::time::SystemTime;

use super::head::{has_token, is_modern};
use super::session::Session;
use super::{Exchange, Gate, Held, State, Step};
use crate::denial::Denial;
use crate::http::Head;
use crate::outbound::Answer;
use crate::policy::Peer;
use crate::replay::{Replay, Spend};
use crate::resource::Resource;
use crate::token::{Confirmation, Credential, Identity, Scheme, Verified, certificate, dpop, seconds};

/// A head at its resource, before it is known who sent it.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) resource: usize,
    pub(super) head: Head,
    /// Does no body follow?
    pub(super) end: bool,
    pub(super) peer: Peer,
}

impl Exchange {
    /// Who sent it? The answer is known here, or the issuer has to be asked.
    pub(super) fn authenticate(
        &mut self,
        gate: &Gate,
        resource: &Resource,
        arrival: Arrival,
        now: SystemTime,
    ) -> Result<Step, Denial> {
        let head = &arrival.head;
        if !matches!(head.method(), b"POST" | b"GET" | b"DELETE") {
            return Err(Denial::MethodRefused { allow: if is_modern(head) { "POST" } else { "POST, GET, DELETE" } });
        }
        let credential = Credential::from_head(head, resource.api_key_header.as_deref());
        if head.query().is_some_and(has_token) {
            return Err(Denial::CredentialInQuery { alone: matches!(credential, Err(Denial::CredentialMissing)) });
        }
        let credential = credential?;
        // What is remembered first: to look for an API key is to hash the token.
        let known = match credential.scheme {
            Scheme::Bearer | Scheme::Dpop => resource.tokens.known(credential.token, now),
            Scheme::ApiKey => None,
        };
        let identity = match known.or_else(|| resource.api_keys.verify(credential.token, now)) {
            Some(identity) => identity?,
            None if credential.scheme == Scheme::ApiKey => {
                return Err(Denial::TokenKeyUnknown("found no API key of this resource's"));
            }
            None => match resource.tokens.verify(credential.token, &resource.acceptance, &gate.crypto, now)? {
                Verified::Known(identity) => identity,
                Verified::Opaque(issuer) => {
                    let introspection = issuer.introspection.as_ref().ok_or(Denial::HostFailed)?;
                    let question = introspection.ask(credential.token);
                    self.state = State::Asking(Box::new(arrival), issuer);
                    return Ok(Step::Ask(question));
                }
            },
        };
        let proof = self.confirm(gate, resource, &arrival, credential, &identity, now)?;
        self.present(gate, resource, arrival, identity, proof, now)
    }

    /// What came of [`Step::Ask`], or why nothing did.
    pub fn handle_answer(&mut self, answer: Result<Answer, String>, now: SystemTime) -> Step {
        let (Some(gate), State::Asking(arrival, issuer)) =
            (self.gate.clone(), std::mem::replace(&mut self.state, State::New))
        else {
            return self.refuse(Denial::Incomplete, None, None);
        };
        let Some(resource) = gate.resources.get(arrival.resource) else {
            return self.refuse(Denial::ResourceUnknown, None, None);
        };
        let step = issuer.vouch(answer, &resource.acceptance, now).and_then(|(identity, said)| {
            let identity = Rc::new(identity);
            let credential = Credential::from_head(&arrival.head, resource.api_key_header.as_deref())?;
            // All that the issuer said is remembered, and weighs; what holds for this call alone is not.
            if identity.check(seconds(now)).is_ok() {
                resource.tokens.keep(credential.token, said, &identity);
            }
            let proof = self.confirm(&gate, resource, &arrival, credential, &identity, now)?;
            self.present(&gate, resource, *arrival, identity, proof, now)
        });
        step.unwrap_or_else(|denial| self.refuse(denial, None, Some(resource)))
    }

    /// The credential is good. Is it theirs who sent it, and of a kind that is taken here?
    /// What proves it is still to be spent.
    fn confirm(
        &mut self,
        gate: &Gate,
        resource: &Resource,
        arrival: &Arrival,
        credential: Credential<'_>,
        identity: &Identity,
        now: SystemTime,
    ) -> Result<Option<Spend>, Denial> {
        self.record.issuer = Some(identity.issuer.clone());
        self.record.subject = Some(identity.subject.clone());
        self.record.client.clone_from(&identity.client_id);
        resource.credentials.check(credential.scheme, identity)?;
        let Confirmation { jkt, certificate } = &identity.confirmation;
        if let Some(thumbprint) = certificate
            && !certificate::is_bound(thumbprint, arrival.peer.certificate.as_deref())
        {
            return Err(Denial::TokenConfirmation(match arrival.peer.certificate {
                Some(_) => "bound to another certificate than that of the connection",
                None => "bound to a certificate, and the connection has none",
            }));
        }
        let Some(jkt) = jkt else { return Ok(None) };
        let expected = dpop::Expected {
            // `authenticate` lets three through.
            method: std::str::from_utf8(arrival.head.method()).unwrap_or_default(),
            url: resource.url(),
            token: credential.token,
            holder: (&identity.issuer, &identity.subject),
            thumbprint: jkt,
            now: seconds(now),
            max_age: resource.dpop.max_age,
            nonce: resource.dpop.nonce.then_some(&gate.nonces),
        };
        dpop::verify(dpop::from_head(&arrival.head)?, &expected, &gate.crypto).map(Some)
    }

    /// The caller is who the credential says. Which session, and is there a proof to spend first?
    fn present(
        &mut self,
        gate: &Gate,
        resource: &Resource,
        arrival: Arrival,
        identity: Rc<Identity>,
        proof: Option<Spend>,
        now: SystemTime,
    ) -> Result<Step, Denial> {
        let session = Session::present(&arrival.head, &gate.sessions, &identity, resource);
        let held = Held { arrival, identity, session };
        match proof {
            None => self.accept(gate, resource, held, now),
            Some(proof) => {
                self.state = State::Spending(Box::new(held));
                Ok(Step::Spend(proof))
            }
        }
    }

    /// What came of [`Step::Spend`].
    pub fn handle_spent(&mut self, spent: Result<(), Replay>, now: SystemTime) -> Step {
        let (Some(gate), State::Spending(held)) = (self.gate.clone(), std::mem::replace(&mut self.state, State::New))
        else {
            return self.refuse(Denial::Incomplete, None, None);
        };
        let Some(resource) = gate.resources.get(held.arrival.resource) else {
            return self.refuse(Denial::ResourceUnknown, None, None);
        };
        let step = spent.map_err(Denial::from).and_then(|()| self.accept(&gate, resource, *held, now));
        step.unwrap_or_else(|denial| self.refuse(denial, None, Some(resource)))
    }
}
