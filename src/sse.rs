//! Streams of events (WHATWG HTML, server-sent events), read as they come.
//!
//! A [`Reader`] takes a stream in pieces of any size and gives back what goes on in
//! their place. It keeps nothing but the data of one event until that is complete: what
//! comes before the data, keep-alive comments among it, goes on with its line. An event
//! whose data is to be other data keeps its id, its type and all else; every other event
//! goes on byte by byte as it came.

/// What a [`Reader`] asks about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// The data of an event, its lines joined.
    Data(&'a [u8]),
    /// The data of an event that is longer than the reader keeps.
    TooLarge,
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
    /// Did the last piece end with a CR, of which a LF may be a part?
    after_cr: bool,
    /// What becomes of the rest of an event that is too large.
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

const BOM: &[u8] = b"\xef\xbb\xbf";

impl Reader {
    /// A reader that keeps so many bytes of an event.
    pub fn new(limit: usize) -> Self {
        Self { limit, kept: Vec::new(), line: 0, has_data: false, after_cr: false, rest: Rest::Judged, mark: 0 }
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
            if std::mem::take(&mut self.after_cr) && *first == b'\n' {
                self.end_line(&mut out);
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
            let (text, tail) = rest.split_at_checked(end.unwrap_or(rest.len())).unwrap_or((rest, &[]));
            self.keep(text, &mut out, &mut judge)?;
            rest = tail;
            if let Some((mark, tail)) = tail.split_first() {
                self.handle_line(*mark, &mut out, &mut judge)?;
                self.after_cr = *mark == b'\r';
                rest = tail;
            }
        }
        Ok(out)
    }

    /// The stream has ended. Some readers take what is left for an event, though its end
    /// is not there.
    pub fn finish(&mut self, mut judge: impl FnMut(Event<'_>) -> Fate) -> Result<Vec<u8>, Ended> {
        let mut out = Vec::new();
        self.has_data |= self.is_data();
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
            // Of these lines it matters only whether they are empty.
            self.kept.truncate(1);
            return Ok(());
        }
        if self.kept.len() <= self.limit {
            return Ok(());
        }
        self.rest = match judge(Event::TooLarge) {
            Fate::Passes => {
                out.append(&mut self.kept);
                Rest::Passes
            }
            Fate::Becomes(data) => {
                // Without the line at hand, which is not whole.
                let whole = self.kept.get(..self.line).unwrap_or_default();
                replace(if self.has_data { whole } else { b"data" }, &data, out);
                Rest::Dropped
            }
            Fate::Ends => return Err(Ended),
        };
        self.kept = vec![b' '];
        (self.line, self.has_data) = (0, false);
        Ok(())
    }

    /// The line at hand ends, with a CR or a LF.
    fn handle_line(
        &mut self,
        mark: u8,
        out: &mut Vec<u8>,
        judge: &mut impl FnMut(Event<'_>) -> Fate,
    ) -> Result<(), Ended> {
        let is_empty = self.kept.len() == self.line;
        if self.rest != Rest::Judged {
            if self.rest == Rest::Passes || is_empty {
                out.push(mark);
            }
            self.kept.clear();
            if is_empty {
                self.rest = Rest::Judged;
            }
            return Ok(());
        }
        self.has_data |= self.is_data();
        self.kept.push(mark);
        self.line = self.kept.len();
        if is_empty || !self.has_data {
            self.dispatch(out, judge)?;
        }
        Ok(())
    }

    /// The LF of a line end whose CR was handled.
    fn end_line(&mut self, out: &mut Vec<u8>) {
        match (self.rest, self.kept.is_empty()) {
            (Rest::Judged, false) => {
                self.kept.push(b'\n');
                self.line = self.kept.len();
            }
            (Rest::Dropped, _) => {}
            _ => out.push(b'\n'),
        }
    }

    /// Is the line at hand one of data?
    fn is_data(&self) -> bool {
        self.kept.get(self.line..).and_then(data).is_some()
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
mod tests;
