//! Streams of events (WHATWG HTML, server-sent events), read as they come.
//!
//! A [`Reader`] takes a stream in pieces of any size and gives back what goes on in
//! their place. It keeps nothing but the data of one event until that is complete: what
//! comes before the data, keep-alive comments among it, goes on with its line. An event
//! whose data is to be other data keeps its id, its type and all else; every other event
//! goes on byte by byte as it came.
//!
//! Not every client ends lines where WHATWG does: some do at a LF alone (the MCP SDK for
//! Go), some wherever Unicode does (`splitlines` of Python). So a line ends with LF or CRLF
//! here, and an event in which some reader finds another line is [`Event::Ambiguous`].

mod bytes;
mod data;

pub(crate) use bytes::Bytes;
pub use data::{Data, Part};

/// What a [`Reader`] asks about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// The data of an event, its lines joined.
    Data(&'a [u8]),
    /// The data of an event that is longer than the reader keeps.
    TooLarge,
    /// An event that readers divide into lines differently.
    Ambiguous,
}

/// What becomes of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It goes on as it came.
    Passes,
    /// This is its data.
    Becomes(Vec<u8>),
    /// Nothing can go on in its place: the stream is over.
    Ends,
}

/// The stream is over: nothing more of it may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended;

/// Reads one stream.
#[derive(Debug)]
pub struct Reader {
    /// The most bytes of an event that are kept.
    limit: usize,
    /// From the first line of data of the event at hand, or its line that is not whole.
    kept: Vec<u8>,
    /// Where in `kept` the line at hand begins.
    line: usize,
    /// Does `kept` hold a line of data?
    has_data: bool,
    /// What becomes of the rest of an event that is too large, or ambiguous.
    rest: Rest,
    /// How much of a byte order mark the stream began with; all of it where it had none.
    mark: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    Judged,
    /// It goes on.
    Passes,
    /// It was replaced.
    Dropped,
}

/// How much of a line says whether it is empty, but for a CR.
const ENOUGH: usize = 2;

const BOM: &[u8] = b"\xef\xbb\xbf";

impl Reader {
    /// A reader that keeps so many bytes of an event.
    pub fn new(limit: usize) -> Self {
        Self { limit, kept: Vec::new(), line: 0, has_data: false, rest: Rest::Judged, mark: 0 }
    }

    /// Takes the next piece, and gives what goes on. `judge` says what becomes of an event.
    pub fn read(&mut self, piece: &[u8], mut judge: impl FnMut(Event<'_>) -> Fate) -> Result<Vec<u8>, Ended> {
        let mut out = Vec::with_capacity(piece.len());
        let mut rest = piece;
        while let Some(first) = rest.first() {
            if let Some(expected) = BOM.get(self.mark) {
                self.mark = if first == expected { self.mark.saturating_add(1) } else { BOM.len() };
                if first == expected {
                    out.push(*first);
                    rest = rest.get(1..).unwrap_or_default();
                }
                continue;
            }
            let end = rest.iter().position(|byte| *byte == b'\n');
            let (text, tail) = rest.split_at_checked(end.unwrap_or(rest.len())).unwrap_or((rest, &[]));
            self.keep(text, &mut out, &mut judge)?;
            rest = tail.get(1..).unwrap_or_default();
            if end.is_some() {
                self.handle_line(&mut out, &mut judge)?;
            }
        }
        Ok(out)
    }

    /// The stream has ended. Some readers take what is left for an event, though its end
    /// is not there.
    pub fn finish(&mut self, mut judge: impl FnMut(Event<'_>) -> Fate) -> Result<Vec<u8>, Ended> {
        let mut out = Vec::new();
        if self.rest == Rest::Judged && is_ambiguous(self.line()) {
            self.give_up(Event::Ambiguous, &mut out, &mut judge)?;
        }
        self.has_data |= data(self.line()).is_some();
        self.dispatch(&mut out, &mut judge)?;
        Ok(out)
    }

    /// A part of the line at hand.
    fn keep(&mut self, text: &[u8], out: &mut Vec<u8>, judge: &mut impl FnMut(Event<'_>) -> Fate) -> Result<(), Ended> {
        if self.rest == Rest::Passes {
            out.extend_from_slice(text);
        }
        self.kept.extend_from_slice(text);
        if self.rest != Rest::Judged {
            self.kept.truncate(ENOUGH);
            return Ok(());
        }
        if self.kept.len() <= self.limit { Ok(()) } else { self.give_up(Event::TooLarge, out, judge) }
    }

    /// What is not to be judged by its data.
    fn give_up(
        &mut self,
        event: Event<'_>,
        out: &mut Vec<u8>,
        judge: &mut impl FnMut(Event<'_>) -> Fate,
    ) -> Result<(), Ended> {
        self.rest = match judge(event) {
            Fate::Passes => {
                out.extend_from_slice(&self.kept);
                Rest::Passes
            }
            Fate::Becomes(data) => {
                // Without the line at hand, which is not whole or not clear.
                let whole = self.kept.get(..self.line).unwrap_or_default();
                replace(if self.has_data { whole } else { b"data" }, &data, out);
                Rest::Dropped
            }
            Fate::Ends => return Err(Ended),
        };
        self.kept = self.kept.get(self.line..).unwrap_or_default().iter().copied().take(ENOUGH).collect();
        (self.line, self.has_data) = (0, false);
        Ok(())
    }

    /// The line at hand ends.
    fn handle_line(&mut self, out: &mut Vec<u8>, judge: &mut impl FnMut(Event<'_>) -> Fate) -> Result<(), Ended> {
        if self.rest == Rest::Judged && is_ambiguous(self.line()) {
            self.give_up(Event::Ambiguous, out, judge)?;
        }
        let is_empty = self.line().is_empty();
        if self.rest != Rest::Judged {
            match self.rest {
                Rest::Dropped if !is_empty => {}
                Rest::Dropped => {
                    out.append(&mut self.kept);
                    out.push(b'\n');
                }
                _ => out.push(b'\n'),
            }
            self.kept.clear();
            if is_empty {
                self.rest = Rest::Judged;
            }
            return Ok(());
        }
        self.has_data |= data(self.line()).is_some();
        self.kept.push(b'\n');
        self.line = self.kept.len();
        if is_empty || !self.has_data {
            self.dispatch(out, judge)?;
        }
        Ok(())
    }

    /// The line at hand, without the CR of a CRLF.
    fn line(&self) -> &[u8] {
        let line = self.kept.get(self.line..).unwrap_or_default();
        line.strip_suffix(b"\r").unwrap_or(line)
    }

    /// What is kept is whole.
    fn dispatch(&mut self, out: &mut Vec<u8>, judge: &mut impl FnMut(Event<'_>) -> Fate) -> Result<(), Ended> {
        let kept = std::mem::take(&mut self.kept);
        self.line = 0;
        if !std::mem::take(&mut self.has_data) || self.rest != Rest::Judged {
            if self.rest == Rest::Judged {
                out.extend(kept);
            }
            return Ok(());
        }
        let values: Vec<&[u8]> = lines(&kept).filter_map(|(line, _)| data(line)).collect();
        match judge(Event::Data(&values.join(&b'\n'))) {
            Fate::Passes => out.extend(kept),
            Fate::Becomes(data) => replace(&kept, &data, out),
            Fate::Ends => return Err(Ended),
        }
        Ok(())
    }
}

/// The value of a line, if it is one of data.
fn data(line: &[u8]) -> Option<&[u8]> {
    let value = line.strip_prefix(b"data")?;
    match value.split_first() {
        None => Some(value),
        Some((b':', value)) => Some(value.strip_prefix(b" ").unwrap_or(value)),
        Some(_) => None,
    }
}

/// Does some reader find more than one line in this one? Of data, those that Unicode alone
/// divides are no matter: none can be in JSON but in a string, of which such a reader has a
/// part, and what follows is no list that was not in the whole, too.
fn is_ambiguous(line: &[u8]) -> bool {
    let divides = |at: usize| match line.get(at..).unwrap_or_default() {
        // VT, FF, and the separators of files, groups and records.
        [0x0b | 0x0c | 0x1c..=0x1e, ..] => true,
        // U+0085, U+2028 and U+2029.
        [0xc2, 0x85, ..] | [0xe2, 0x80, 0xa8 | 0xa9, ..] => true,
        _ => false,
    };
    line.contains(&b'\r') || data(line).is_none() && (0..line.len()).any(divides)
}

/// The lines of a text, each with its end.
fn lines(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(rest.len());
        let (line, tail) = rest.split_at_checked(end)?;
        let length = match tail {
            [b'\r', b'\n', ..] => 2,
            [] => 0,
            _ => 1,
        };
        let (mark, tail) = tail.split_at_checked(length)?;
        rest = tail;
        Some((line, mark))
    })
}

/// An event with other data in the place of its own.
fn replace(event: &[u8], with: &[u8], out: &mut Vec<u8>) {
    let mut is_done = false;
    for (line, mark) in lines(event) {
        if data(line).is_none() {
            out.extend_from_slice(line);
            out.extend_from_slice(mark);
            continue;
        }
        if std::mem::replace(&mut is_done, true) {
            continue;
        }
        let mark = if mark.is_empty() { b"\n" } else { mark };
        for (value, _) in lines(with) {
            out.extend_from_slice(b"data: ");
            out.extend_from_slice(value);
            out.extend_from_slice(mark);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
