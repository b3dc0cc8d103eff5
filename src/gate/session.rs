//! The session of a request, and what becomes of session ids on their way through.
//!
//! The client has a sealed id and the server its own; neither sees the other's
//! (MCP 2025-11-25, Session Management). In the modern era there are none, and
//! whoever speaks of one is not heard.

use super::head::is_modern;
use std::fmt;

use crate::denial::Denial;
use crate::http::{Edits, Head};
use crate::resource::Resource;
use crate::session::{Owner, SessionKeys, Unopened};
use crate::token::Identity;

pub(super) const HEADER: &str = "mcp-session-id";

/// What a request says of its session.
pub(super) enum Session {
    /// It is of the modern era.
    Gone,
    /// Nothing. Whether it needs one is the server's business.
    Absent,
    /// The caller's own: the id as the client has it, and as the server does.
    Opened { sealed: String, id: String },
    /// None of the caller's.
    Unopened(Unopened),
}

impl fmt::Debug for Session {
    // An id opens a session.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gone => "Gone",
            Self::Absent => "Absent",
            Self::Opened { .. } => "Opened",
            Self::Unopened(_) => "Unopened",
        })
    }
}

/// Who has the sessions that an identity opens at a resource.
fn owner<'a>(identity: &'a Identity, resource: &'a Resource) -> Owner<'a> {
    Owner {
        issuer: &identity.issuer,
        subject: &identity.subject,
        client_id: identity.client_id.as_deref(),
        resource: resource.url(),
    }
}

impl Session {
    /// Opens the session id of a head, if it has one.
    pub(super) fn present(head: &Head, keys: &SessionKeys, identity: &Identity, resource: &Resource) -> Self {
        if is_modern(head) {
            return Self::Gone;
        }
        if !head.has(HEADER) {
            return Self::Absent;
        }
        // What is no text was refused before the token was looked at.
        let sealed = head.text(HEADER).unwrap_or_default();
        match keys.open(sealed, &owner(identity, resource)) {
            Ok(id) => Self::Opened { sealed: sealed.to_owned(), id: id.to_owned() },
            Err(unopened) => Self::Unopened(unopened),
        }
    }

    /// One that is not the caller's is answered as one that is over, whatever it is.
    pub(super) fn check(&self) -> Result<(), Denial> {
        match self {
            Self::Unopened(Unopened::Foreign) => Err(Denial::SessionUnknown(
                "session_subject_mismatch: the gate made it for another subject, issuer, client or resource",
            )),
            Self::Unopened(Unopened::Unknown) => {
                Err(Denial::SessionUnknown("the gate did not make it, or with a key that it does not have any more"))
            }
            Self::Gone | Self::Absent | Self::Opened { .. } => Ok(()),
        }
    }

    /// On its way to the server: its own id in the place of the client's.
    pub(super) fn unseal(&self, head: &Head, edits: &mut Edits) {
        match self {
            Self::Opened { id, .. } => edits.set.push((HEADER, id.clone())),
            // It goes nowhere; under `hold: body` its head must not say so.
            Self::Unopened(_) | Self::Gone if head.has(HEADER) => edits.remove.push(HEADER.into()),
            Self::Unopened(_) | Self::Gone | Self::Absent => {}
        }
    }

    /// Does the answer of the server have a session id that has to be sealed?
    pub(super) fn is_legacy(&self) -> bool {
        !matches!(self, Self::Gone)
    }

    /// On its way to the client: the sealed id in the place of the server's. One
    /// that cannot be sealed would be anybody's, so that answer does not go on.
    pub(super) fn seal(
        &self,
        id: Option<&[u8]>,
        keys: &SessionKeys,
        identity: &Identity,
        resource: &Resource,
        edits: &mut Edits,
    ) -> Result<(), Denial> {
        match (self, id) {
            (Self::Gone, _) => edits.remove.push(HEADER.into()),
            (_, None) => {}
            // Clients do not take another id for the same session, which a new key would make.
            (Self::Opened { sealed, id: known }, Some(id)) if known.as_bytes() == id => {
                edits.set.push((HEADER, sealed.clone()));
            }
            (_, Some(id)) => {
                let sealed = keys.seal(id, &owner(identity, resource)).ok_or(Denial::SessionUnbound)?;
                edits.set.push((HEADER, sealed));
            }
        }
        Ok(())
    }
}
