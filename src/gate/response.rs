//! What becomes of the server's answer to a permitted request.
//!
//! A page hears from the gate that it may read it, a session id is sealed, and a
//! stream of events ends with the token that opened it. The rest passes untouched.

use std::borrow::Cow;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use super::lists::{self, Listing, Reading};
use super::session::{HEADER, Session};
use super::{Exchange, Gate, Hold, JSON, cors};
use crate::denial::Denial;
use crate::http::{Edits, Reply, essence};
use crate::mcp::Id;
use crate::record::Verdict;
use crate::token::Identity;

/// What the host must do with the head of the server's answer.
#[derive(Debug)]
#[must_use]
pub enum Response {
    /// Let it go as it is.
    Untouched,
    /// Change it and let it go.
    Changed(Edits),
    /// Change it, and hold it until its body was read.
    Held(Edits),
    /// Another answer in its place.
    Refused(Reply),
}

/// What the host must do with a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Flow {
    /// Let it go on.
    Goes,
    /// End it: its token is over.
    Ends,
}

impl Exchange {
    /// The head of upstream's answer: `header` gives the value of one of its headers,
    /// and is asked only for what matters; `end` says that no body follows.
    pub fn handle_response(&mut self, header: impl Fn(&str) -> Option<Vec<u8>>, end: bool) -> Response {
        let (Some(Verdict::Permit), Some(asked), Some(gate)) = (self.verdict(), &self.asked, &self.gate) else {
            // What was passed on elsewhere, or is the gate's own answer.
            return Response::Untouched;
        };
        let media_type = header("content-type").unwrap_or_default();
        let reading = || if end { Ok(Reading::Nothing) } else { asked.reading(gate, &media_type, &header) };
        let edits = asked.edits(gate, self.origin.as_deref(), &header);
        match edits.and_then(|edits| Ok((edits, reading()?))) {
            Ok((mut edits, reading)) => {
                self.ends = if end { None } else { asked.ends(&media_type) };
                let is_held = reading.is_whole() && gate.hold == Hold::Head;
                if reading.changes() {
                    edits.remove.extend(lists::OF_A_BODY.map(Cow::Borrowed));
                }
                self.reading = reading;
                if is_held {
                    Response::Held(edits)
                } else if edits == Edits::default() {
                    Response::Untouched
                } else {
                    Response::Changed(edits)
                }
            }
            Err(denial) => {
                // Upstream has acted; what is refused is its answer.
                let id = asked.id.clone();
                self.note_answer(&denial);
                self.asked = None;
                Response::Refused(self.reply(&denial, id, None))
            }
        }
    }

    /// The request is permitted, and its record stays; what is refused is its answer.
    pub(super) fn note_answer(&mut self, denial: &Denial) {
        self.record.detail = Some(format!("{}: {}", denial.code(), denial.message()));
        self.refusals = self.refusals.saturating_add(1);
    }

    /// How often a part of the answer was refused.
    pub fn refusals(&self) -> u32 {
        self.refusals
    }

    /// When the answer must end, if it goes on so long. Known once
    /// its head was handled.
    pub fn ends(&self) -> Option<SystemTime> {
        self.ends
    }

    /// A piece of the answer, or time that has passed without one.
    pub fn handle_stream(&mut self, now: SystemTime) -> Flow {
        match self.ends {
            Some(ends) if now >= ends => {
                self.ends = None;
                self.record.detail = Some("stream_ended: its token is over".into());
                Flow::Ends
            }
            _ => Flow::Goes,
        }
    }
}

/// Who asked, for the answer that is still to come.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) resource: usize,
    pub(super) identity: Rc<Identity>,
    pub(super) session: Session,
    /// The id of the request; none of what asks for no answer.
    pub(super) id: Option<Id>,
    /// What there is to know if the answer may hold lists.
    pub(super) listing: Option<Box<Listing>>,
}

impl Asked {
    /// The changes to the head of the answer; `header` gives the value of one of its headers.
    fn edits(
        &self,
        gate: &Gate,
        origin: Option<&str>,
        header: impl Fn(&str) -> Option<Vec<u8>>,
    ) -> Result<Edits, Denial> {
        let mut edits = origin.map_or_else(Edits::default, cors::response);
        let Some(resource) = gate.resources.get(self.resource) else { return Err(Denial::ResourceUnknown) };
        let id = if self.session.is_legacy() { header(HEADER) } else { None };
        self.session.seal(id.as_deref(), &gate.sessions, &self.identity, resource, &mut edits)?;
        Ok(edits)
    }

    /// When the token is over, for an answer that may take longer than that: one
    /// message is what was permitted, a stream is whatever comes.
    fn ends(&self, media_type: &[u8]) -> Option<SystemTime> {
        let last = u64::try_from(self.identity.last()).ok()?;
        let ends = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(last.checked_add(1)?))?;
        (!essence(media_type).eq_ignore_ascii_case(JSON.as_bytes())).then_some(ends)
    }
}
