//! The data of events, as they pass.
//!
//! A [`Data`] takes a stream in pieces of any size and hands on the values of its lines of data
//! in pieces, too: it keeps nothing, so an event may be as large as it likes.
//!
//! A line ends with LF or CRLF here. Who finds the end of one in the middle of another has a part
//! of that for its data, and nothing else, unless a further line of data is there: such an event is
//! [`Part::Ambiguous`].

use super::BOM;
use super::bytes::Bytes;

/// What a [`Data`] hands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'a> {
    /// More of the data of the event at hand.
    Text(&'a [u8]),
    /// The event is over.
    End,
    /// Readers divide the event into lines differently.
    Ambiguous,
}

/// Reads one stream.
#[derive(Debug, Default)]
pub struct Data {
    line: Line,
    /// Has the event a line of data?
    has_data: bool,
    /// Has some reader found the end of a line in the middle of one?
    is_divided: bool,
    /// How much of `data:` stands behind the last such end, and nothing else.
    behind: Option<usize>,
    /// How much of a byte order mark the stream began with; all of it where it had none.
    mark: usize,
    /// The last two bytes.
    last: [u8; 2],
}

/// What is known of the line at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// It has so much of `data`, and nothing else.
    Field(usize),
    /// It has a CR, and nothing else.
    Return,
    /// It is one of data.
    Value,
    Other,
}

impl Default for Line {
    fn default() -> Self {
        Self::Field(0)
    }
}

const FIELD: &[u8] = b"data:";

/// The last bytes of what some reader ends a line with.
const LAST: Bytes = Bytes::of(b"\n\r\x0b\x0c\x1c\x1d\x1e\x85\xa8\xa9");

impl Data {
    /// Takes the next piece. `take` gets what is in it, and may refuse it.
    pub fn read<E>(&mut self, piece: &[u8], mut take: impl FnMut(Part<'_>) -> Result<(), E>) -> Result<(), E> {
        let mut rest = piece;
        while let Some((first, tail)) = rest.split_first() {
            if !self.is_settled() {
                self.step(*first, &mut take)?;
                rest = tail;
                continue;
            }
            let (text, tail) = LAST.split(rest);
            if self.line == Line::Value && !text.is_empty() {
                take(Part::Text(text))?;
            }
            text.iter().skip(text.len().saturating_sub(2)).for_each(|byte| self.note(*byte));
            rest = tail;
            if let Some((mark, tail)) = rest.split_first() {
                self.step(*mark, &mut take)?;
                rest = tail;
            }
        }
        Ok(())
    }

    /// Is all that there is to know of the line known, until its end or what some take for that?
    fn is_settled(&self) -> bool {
        let [_, last] = self.last;
        matches!(self.line, Line::Value | Line::Other)
            && self.behind.is_none()
            && self.mark == BOM.len()
            && last != b'\r'
    }

    fn note(&mut self, byte: u8) {
        let [_, last] = self.last;
        self.last = [last, byte];
    }

    fn step<E>(&mut self, byte: u8, take: &mut impl FnMut(Part<'_>) -> Result<(), E>) -> Result<(), E> {
        let [_, last] = self.last;
        if last == b'\r' && byte != b'\n' {
            self.divide();
        }
        self.behind = self.behind.filter(|known| FIELD.get(*known) == Some(&byte)).map(|known| known.saturating_add(1));
        if self.behind == Some(FIELD.len()) {
            take(Part::Ambiguous)?;
        }
        if self.ends_mark(byte) || divides(self.last, byte) {
            self.divide();
        }
        self.note(byte);
        match (self.line, byte) {
            (line, b'\n') => {
                match line {
                    Line::Field(0) | Line::Return => self.end_event(take)?,
                    Line::Field(4) => self.begin_value(take)?,
                    _ => {}
                }
                (self.line, self.behind) = (Line::Field(0), None);
            }
            (Line::Field(4), b':' | b'\r') => self.begin_value(take)?,
            (Line::Field(known), byte) if FIELD.get(known) == Some(&byte) => {
                self.line = Line::Field(known.saturating_add(1));
            }
            (Line::Field(0), b'\r') => self.line = Line::Return,
            (Line::Value, byte) => take(Part::Text(&[byte]))?,
            _ => self.line = Line::Other,
        }
        Ok(())
    }

    fn divide(&mut self) {
        (self.is_divided, self.behind) = (true, Some(0));
    }

    /// Is this the last byte of a byte order mark, which some readers overlook, and some take for
    /// a part of the first line?
    fn ends_mark(&mut self, byte: u8) -> bool {
        let Some(expected) = BOM.get(self.mark) else { return false };
        self.mark = if byte == *expected { self.mark.saturating_add(1) } else { BOM.len() };
        byte == *expected && self.mark == BOM.len()
    }

    fn begin_value<E>(&mut self, take: &mut impl FnMut(Part<'_>) -> Result<(), E>) -> Result<(), E> {
        self.line = Line::Value;
        if self.is_divided {
            take(Part::Ambiguous)?;
        }
        if std::mem::replace(&mut self.has_data, true) { take(Part::Text(b"\n")) } else { Ok(()) }
    }

    fn end_event<E>(&mut self, take: &mut impl FnMut(Part<'_>) -> Result<(), E>) -> Result<(), E> {
        self.is_divided = false;
        if std::mem::take(&mut self.has_data) { take(Part::End) } else { Ok(()) }
    }
}

/// Does some reader end a line with this byte, behind these? VT, FF, the separators of files,
/// groups and records, U+0085, U+2028 and U+2029. (A CR does where no LF follows.)
fn divides(last: [u8; 2], byte: u8) -> bool {
    matches!((last, byte), (_, 0x0b | 0x0c | 0x1c..=0x1e) | ([_, 0xc2], 0x85) | ([0xe2, 0x80], 0xa8 | 0xa9))
}
