//! Lists in the server's answers: which answers may hold one, how they are read, and
//! what the caller gets in their place.
//!
//! The answer to a request for a list is read whatever it is: JSON as a whole, a stream
//! event by event. A stream that carries the answers to other requests (a GET, or one
//! that is taken up again) is read, too. What cannot be read is not passed on. Any other
//! answer goes on as it comes, and ends where a list turns up in it.

use std::time::SystemTime;

use super::response::Asked;
use super::{Exchange, Gate, Hold, JSON};
use crate::catalogue::Standing;
use crate::denial::Denial;
use crate::http::{Head, Reply, essence};
use crate::listing::{self, Entry, Filtered, Watch};
use crate::mcp::{Call, Id, Kind, Listed, Version, may_list};
use crate::policy::{Deadline, Peer, Question, Sight};
use crate::record::Tally;
use crate::resource::Resource;
use crate::sse::{self, Event, Fate};

/// What a head says of a body that is not the server's any more.
pub(super) const OF_A_BODY: [&str; 6] =
    ["content-length", "content-digest", "content-md5", "digest", "etag", "repr-digest"];

/// A request whose answer may hold lists, as far as policy can ask about it.
#[derive(Debug)]
pub(super) struct Listing {
    head: Head,
    peer: Peer,
    version: Version,
    /// Was a list asked for?
    is_asked: bool,
}

impl Listing {
    /// None where the answer is to this request alone, and no list.
    pub(super) fn of(call: &Call<'_>, head: Head, peer: Peer) -> Option<Box<Self>> {
        let is_asked = call.kind == Kind::Request && call.method.as_deref().is_some_and(may_list);
        let is_resumed = call.kind == Kind::Stream || head.has("last-event-id");
        (is_asked || is_resumed).then(|| Box::new(Self { head, peer, version: call.version, is_asked }))
    }
}

/// How the body of an answer is read.
#[derive(Debug)]
pub(super) enum Reading {
    /// Not at all.
    Nothing,
    /// As a whole.
    Whole,
    /// Event by event.
    Events(Box<sse::Reader>),
    /// As it passes.
    Watched(Box<Watch>),
    /// What is still to come goes nowhere: something else went in its place.
    Over,
}

impl Reading {
    pub(super) fn is_whole(&self) -> bool {
        matches!(self, Self::Whole)
    }

    /// May other bytes go on than those that came?
    pub(super) fn changes(&self) -> bool {
        !matches!(self, Self::Nothing | Self::Watched(_))
    }
}

/// What the host must do with a piece of an answer's body.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Piece {
    /// Let it go on.
    Goes,
    /// Keep it until there is more.
    Stays,
    /// Put this in the place of all that is there.
    Becomes(Vec<u8>),
    /// Answer in the place of head and body.
    Refused(Reply),
    /// End the answer here, as one that is not complete.
    Ends,
}

impl Asked {
    /// The id of the request, if it asks for a list.
    fn list_id(&self) -> Option<Id> {
        self.id.clone().filter(|_| self.listing.as_ref().is_some_and(|listing| listing.is_asked))
    }

    /// How the body after this head is read.
    pub(super) fn reading(
        &self,
        gate: &Gate,
        media_type: &[u8],
        header: impl Fn(&str) -> Option<Vec<u8>>,
    ) -> Result<Reading, Denial> {
        let Some(resource) = gate.resources.get(self.resource) else { return Ok(Reading::Nothing) };
        // Nothing is hidden in shadow mode, so what is not counted has not to be read.
        let is_shadow = gate.policy.is_shadow();
        // No client takes a result from an answer of another status.
        if is_shadow && self.listing.is_none() || header(":status").is_some_and(|status| !status.starts_with(b"2")) {
            return Ok(Reading::Nothing);
        }
        let encoding = header("content-encoding").unwrap_or_default();
        let is_plain = encoding.trim_ascii().is_empty() || encoding.eq_ignore_ascii_case(b"identity");
        // What nobody waits for may be empty, and called what the server calls its pages.
        let is_awaited = self.id.is_some() || self.listing.is_some();
        let events = || Reading::Events(Box::new(sse::Reader::new(resource.list_limit)));
        let reading = match (essence(media_type).to_ascii_lowercase().as_slice(), &self.listing) {
            _ if !is_plain => Err("expected an answer without Content-Encoding"),
            _ if is_awaited && !is_utf8(media_type) => Err("expected an answer in UTF-8"),
            (_, None) => Ok(Reading::Watched(Box::new(Watch::new(media_type)))),
            (b"text/event-stream", _) => Ok(events()),
            (essence, _) if essence == JSON.as_bytes() => Ok(Reading::Whole),
            // Some clients read whatever a GET brings as events.
            (_, Some(listing)) if !listing.is_asked => Ok(events()),
            _ => Err("expected `application/json` or `text/event-stream`"),
        };
        match reading {
            Err(_) if is_shadow => Ok(Reading::Nothing),
            reading => reading.map_err(Denial::ListUnreadable),
        }
    }
}

impl Asked {
    /// What becomes of the entries of a list: what is not as it was approved is nobody's to
    /// see, and of the rest policy says who may.
    fn judge(
        &self,
        gate: &Gate,
        resource: &Resource,
        listing: &Listing,
        listed: Listed,
        entries: &[Entry<'_, '_>],
        deadline: &Deadline<'_>,
    ) -> Vec<Sight> {
        let catalogue = resource.catalogue.as_ref();
        let (mut fates, mut calls) = (Vec::with_capacity(entries.len()), Vec::new());
        for (name, definition) in entries {
            fates.push(match catalogue.map(|catalogue| catalogue.standing(listed, name, definition)) {
                Some(Standing::Changed) => Some(Sight::Changed),
                Some(Standing::Unpinned) => Some(Sight::Hidden),
                Some(Standing::Approved) | None => {
                    let call = Call::listed(listed, name, listing.version, &resource.dialect);
                    let fate = if call.is_some() { None } else { Some(Sight::Hidden) };
                    calls.extend(call);
                    fate
                }
            });
        }
        let Listing { head, peer, .. } = listing;
        let sights = calls.first().map(|call| {
            let (resource, identity) = (resource.url(), &self.identity);
            let question = Question { resource, catalogue, identity, call, head, peer, now: deadline.from };
            gate.policy.visible(question, &calls, deadline)
        });
        let mut sights = sights.iter().flat_map(|sights| sights.iter().copied());
        fates.into_iter().map(|fate| fate.or_else(|| sights.next()).unwrap_or(Sight::Hidden)).collect()
    }
}

/// Does a media type say nothing else of its characters?
fn is_utf8(media_type: &[u8]) -> bool {
    let parameters = media_type.split(|byte| *byte == b';').skip(1).map(<[u8]>::trim_ascii);
    let named = parameters.filter_map(|parameter| parameter.split_at_checked(8));
    let mut charsets = named.filter(|(name, _)| name.eq_ignore_ascii_case(b"charset="));
    charsets.all(|(_, value)| value.eq_ignore_ascii_case(b"utf-8") || value.eq_ignore_ascii_case(b"\"utf-8\""))
}

impl Exchange {
    /// Is the body of the answer read?
    pub fn reads_answer(&self) -> bool {
        !matches!(self.reading, Reading::Nothing)
    }

    /// What was in the lists of the answer so far.
    pub fn lists(&self) -> Option<Tally> {
        self.record.lists
    }

    /// A piece of the answer's body: all that the host keeps of it, which is `size` bytes
    /// and what `read` gives; `end` says that nothing follows. `clock` gives the host's time.
    pub fn handle_response_body(
        &mut self,
        size: usize,
        end: bool,
        read: impl FnOnce() -> Option<Vec<u8>>,
        clock: impl Fn() -> SystemTime,
    ) -> Piece {
        let Some(gate) = self.gate.clone() else { return Piece::Ends };
        let deadline = || gate.policy.deadline(&clock);
        let mut reading = std::mem::replace(&mut self.reading, Reading::Nothing);
        let piece = match &mut reading {
            Reading::Nothing => Piece::Goes,
            Reading::Over if size == 0 => Piece::Goes,
            Reading::Over => Piece::Becomes(Vec::new()),
            Reading::Whole => return self.handle_whole(size, end, read, &deadline()),
            Reading::Events(reader) => self.handle_events(reader, size, end, read, &deadline()),
            Reading::Watched(watch) => self.handle_watched(watch, size, read),
        };
        self.reading = if piece == Piece::Ends { Reading::Over } else { reading };
        piece
    }

    fn handle_whole(
        &mut self,
        size: usize,
        end: bool,
        read: impl FnOnce() -> Option<Vec<u8>>,
        deadline: &Deadline<'_>,
    ) -> Piece {
        let limit = self.list_limit();
        let found = match (size > limit, end) {
            (true, _) => Err(Denial::ListTooLarge { limit }),
            (false, false) => {
                self.reading = Reading::Whole;
                return Piece::Stays;
            }
            (false, true) if size == 0 => return Piece::Goes,
            (false, true) => match read() {
                Some(text) => self.filter(&text, deadline),
                None => Err(Denial::HostFailed),
            },
        };
        match found {
            Ok(None) => Piece::Goes,
            Ok(Some(text)) => Piece::Becomes(text),
            Err(_) if self.is_shadow() => Piece::Goes,
            Err(denial) => {
                self.note_answer(&denial);
                self.reading = Reading::Over;
                let id = self.asked.as_ref().and_then(Asked::list_id);
                let is_held = self.gate.as_ref().is_some_and(|gate| gate.hold == Hold::Head);
                let reply = self.reply(&denial, id, None);
                // The head has gone, and was that of JSON.
                if is_held { Piece::Refused(reply) } else { Piece::Becomes(reply.body.into_bytes()) }
            }
        }
    }

    fn handle_events(
        &mut self,
        reader: &mut sse::Reader,
        size: usize,
        end: bool,
        read: impl FnOnce() -> Option<Vec<u8>>,
        deadline: &Deadline<'_>,
    ) -> Piece {
        let piece = if size == 0 { Some(Vec::new()) } else { read() };
        let Some(piece) = piece else {
            self.note_answer(&Denial::HostFailed);
            return Piece::Ends;
        };
        let mut passed = reader.read(&piece, |event| self.judge_event(event, deadline));
        if end && let Ok(passed) = &mut passed {
            match reader.finish(|event| self.judge_event(event, deadline)) {
                Ok(last) => passed.extend(last),
                Err(sse::Ended) => return Piece::Ends,
            }
        }
        match passed {
            Ok(passed) if passed == piece => Piece::Goes,
            Ok(passed) => Piece::Becomes(passed),
            Err(sse::Ended) => Piece::Ends,
        }
    }

    /// Goes on, unless there is a list in it.
    fn handle_watched(&mut self, watch: &mut Watch, size: usize, read: impl FnOnce() -> Option<Vec<u8>>) -> Piece {
        if size == 0 {
            return Piece::Goes;
        }
        let watched = read()
            .ok_or(Denial::HostFailed)
            .and_then(|piece| watch.read(&piece).map_err(|unreadable| Denial::ListUnreadable(unreadable.0)));
        match watched {
            Ok(()) => Piece::Goes,
            Err(denial) => {
                self.note_answer(&denial);
                Piece::Ends
            }
        }
    }

    fn judge_event(&mut self, event: Event<'_>, deadline: &Deadline<'_>) -> Fate {
        let found = match event {
            Event::Data(text) if !listing::is_suspect(text) => return Fate::Passes,
            Event::Data(text) => self.filter(text, deadline),
            Event::TooLarge => Err(Denial::ListTooLarge { limit: self.list_limit() }),
            Event::Ambiguous => Err(Denial::ListUnreadable("expected events that all readers divide into lines alike")),
        };
        match found {
            Ok(None) => Fate::Passes,
            Ok(Some(text)) => Fate::Becomes(text),
            Err(_) if self.is_shadow() => Fate::Passes,
            Err(denial) => {
                self.note_answer(&denial);
                // Whose answer it was in a stream of many, nobody knows.
                match self.asked.as_ref().and_then(Asked::list_id) {
                    Some(id) => Fate::Becomes(self.body(&denial, Some(id), false).into_bytes()),
                    None => Fate::Ends,
                }
            }
        }
    }

    fn is_shadow(&self) -> bool {
        self.gate.as_ref().is_some_and(|gate| gate.policy.is_shadow())
    }

    fn list_limit(&self) -> usize {
        let resource = self.gate.as_ref().zip(self.asked.as_ref());
        let resource = resource.and_then(|(gate, asked)| gate.resources.get(asked.resource));
        resource.map_or(0, |resource| resource.list_limit)
    }

    /// Takes out of a message what the caller may not know of; nothing if it goes on as it is.
    fn filter(&mut self, text: &[u8], deadline: &Deadline<'_>) -> Result<Option<Vec<u8>>, Denial> {
        let (Some(gate), Some(asked)) = (&self.gate, &self.asked) else { return Err(Denial::NotConfigured) };
        let (Some(listing), Some(resource)) = (&asked.listing, gate.resources.get(asked.resource)) else {
            return Err(Denial::ResourceUnknown);
        };
        let mut changed = Vec::new();
        let filtered = listing::filter(text, |listed, entries| {
            let sights = asked.judge(gate, resource, listing, listed, entries, deadline);
            let sighted = entries.iter().zip(&sights).filter(|(_, sight)| **sight == Sight::Changed);
            changed.extend(sighted.map(|((name, _), _)| (*name).to_owned()));
            sights
        });
        let Filtered { text, mut tally } = filtered.map_err(|unreadable| Denial::ListUnreadable(unreadable.0))?;
        tally.shadow = gate.policy.is_shadow();
        if text.is_some() || tally.listed > 0 {
            self.record.lists.get_or_insert_default().add(tally);
        }
        let is_refused = tally.changed > 0 && resource.catalogue.as_ref().is_some_and(|known| known.refuses_changes);
        changed.iter().for_each(|name| self.record.add_changed(name));
        if is_refused { Err(Denial::ListChanged) } else { Ok(text.filter(|_| !tally.shadow)) }
    }
}
