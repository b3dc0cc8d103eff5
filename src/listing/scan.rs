//! A list where nobody asked for one: found by its shape as an answer passes.
//!
//! Of each message the members are looked at, and of its `result` the members; what lies
//! deeper is counted and skipped. Nothing is kept but the name of a member, so an answer may be
//! as large as it likes, and comes in pieces that end anywhere.
//!
//! What is no JSON is nobody's list, so brackets are not held against each other. But a name that
//! readers read differently, where a list's might stand, is taken for one.

use super::Unreadable;
use crate::json::{Json, Limits, is_lookalike, weight};
use crate::mcp::Listed;
use crate::sse::Bytes;

/// Follows the JSON texts of one answer, one after another.
#[derive(Debug, Default)]
pub(super) struct Scan {
    place: Place,
    /// Arrays and objects that are open below this place.
    below: u64,
    /// Is a string that begins at this place the name of a member?
    is_name_next: bool,
    /// Is the member at hand the result of the message?
    is_result: bool,
    string: Text,
    /// Is the next byte of the string escaped?
    is_escaped: bool,
    /// The name at hand, as it is written.
    name: Vec<u8>,
    /// What names in unusual letters took so far.
    odd_names: usize,
}

/// Where in a text something can be told.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Around the messages, which may stand in an array.
    #[default]
    Around,
    Message,
    /// In the object that is the result of a message.
    Result,
}

/// Which string the byte at hand is in.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Text {
    #[default]
    Nowhere,
    Skipped,
    Name,
}

/// The bytes that matter in a string, and outside of strings.
const STRING: Bytes = Bytes::of(b"\"\\");
const STRUCTURE: Bytes = Bytes::of(b"\"{[}],:\0");

/// The longest name that is read, in bytes, with its escapes.
const LONGEST: usize = 1024;

/// What looking up names in unusual letters may take in one answer; each can take as long as a
/// thousand plain ones.
const ODD_NAMES: usize = 16 * 1024;

impl Scan {
    /// Takes the next piece, and says whether it may go on.
    pub(super) fn read(&mut self, piece: &[u8]) -> Result<(), Unreadable> {
        let mut rest = piece;
        while let Some((first, tail)) = rest.split_first() {
            rest = match self.string {
                Text::Nowhere => self.read_structure(rest)?,
                _ if std::mem::take(&mut self.is_escaped) => {
                    self.keep(&[*first]);
                    tail
                }
                _ => self.read_string(rest)?,
            };
        }
        Ok(())
    }

    /// What follows is another text.
    pub(super) fn restart(&mut self) {
        *self = Self { name: std::mem::take(&mut self.name), odd_names: self.odd_names, ..Self::default() };
    }

    /// Up to the next byte that matters, in a string: what follows it.
    fn read_string<'a>(&mut self, text: &'a [u8]) -> Result<&'a [u8], Unreadable> {
        let (before, rest) = STRING.split(text);
        self.keep(before);
        let Some((mark, rest)) = rest.split_first() else { return Ok(rest) };
        if *mark == b'\\' {
            self.keep(b"\\");
            self.is_escaped = true;
        } else if std::mem::take(&mut self.string) == Text::Name {
            self.end_name()?;
        }
        Ok(rest)
    }

    /// The same outside of strings.
    fn read_structure<'a>(&mut self, text: &'a [u8]) -> Result<&'a [u8], Unreadable> {
        let (_, rest) = STRUCTURE.split(text);
        let Some((mark, rest)) = rest.split_first() else { return Ok(rest) };
        match (mark, self.below) {
            (b'"', 0) if self.is_name_next && self.place != Place::Around => {
                self.name.clear();
                self.string = Text::Name;
            }
            (b'"', _) => self.string = Text::Skipped,
            (b'{', 0) if self.place == Place::Around => self.enter(Place::Message),
            (b'{', 0) if self.place == Place::Message && self.is_result => self.enter(Place::Result),
            (b'[', 0) if self.place == Place::Around => {}
            (b'{' | b'[', below) => self.below = below.saturating_add(1),
            (b'}' | b']', 0) => {
                self.place = if self.place == Place::Result { Place::Message } else { Place::Around };
                self.is_name_next = false;
            }
            (b'}' | b']', below) => self.below = below.saturating_sub(1),
            (b',', 0) => (self.is_name_next, self.is_result) = (true, false),
            (b':', 0) => self.is_name_next = false,
            // UTF-16 or UTF-32, as some readers find out by themselves.
            (0, 0) => return Err(Unreadable("expected an answer in UTF-8")),
            _ => {}
        }
        Ok(rest)
    }

    fn enter(&mut self, place: Place) {
        self.place = place;
        self.is_name_next = true;
    }

    /// A part of the string at hand.
    fn keep(&mut self, text: &[u8]) {
        if self.string == Text::Name {
            // One byte too many shows that it is too long.
            let room = LONGEST.saturating_add(1).saturating_sub(self.name.len());
            self.name.extend(text.iter().take(room));
        }
    }

    fn end_name(&mut self) -> Result<(), Unreadable> {
        if self.place == Place::Message {
            self.is_result = self.is_called(&["result"])?;
            return Ok(());
        }
        match self.is_called(&Listed::ALL.map(Listed::member))? {
            true => Err(Unreadable("expected no list but in the answer to a request for it")),
            false => Ok(()),
        }
    }

    /// Does some reader take the name for one of these?
    fn is_called(&mut self, known: &[&str]) -> Result<bool, Unreadable> {
        if self.name.iter().all(|byte| matches!(byte, b' '..=b'~') && *byte != b'\\') {
            return Ok(known.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(&self.name)));
        }
        let text = [b"{\"", self.name.as_slice(), b"\":0}"].concat();
        let object = Json::read(&text, Limits::default()).ok().filter(|_| self.name.len() <= LONGEST);
        let name = object.as_ref().and_then(Json::as_object).and_then(|object| object.members().next());
        if let Some((name, _)) = name {
            self.odd_names = self.odd_names.saturating_add(weight(name));
            if self.odd_names <= ODD_NAMES {
                return Ok(known.contains(&name) || is_lookalike(name, known));
            }
        }
        Err(Unreadable("expected names of members that all readers read alike"))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::Value;

    use super::*;
    use crate::sse::tests::dice;

    /// How much of a text goes on that comes byte by byte.
    fn passes(text: &[u8]) -> Result<(), usize> {
        let mut scan = Scan::default();
        text.iter().enumerate().try_for_each(|(at, byte)| scan.read(&[*byte]).map_err(|_| at))
    }

    /// The same in any pieces: whether all of it does.
    fn check(text: &[u8], expected: bool) {
        assert_eq!(passes(text).is_ok(), expected, "{}", String::from_utf8_lossy(text));
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let mut scan = Scan::default();
                let pieces = [&text[..first], &text[first..second], &text[second..]];
                let found = pieces.into_iter().try_for_each(|piece| scan.read(piece));
                assert_eq!(found.is_ok(), expected, "{} at {first} and {second}", String::from_utf8_lossy(text));
            }
        }
    }

    #[test]
    fn a_list_is_found_wherever_a_client_takes_one() {
        for text in [
            r#"{"result":{"tools":[]}}"#,
            r#"{"jsonrpc":"2.0","result":{"_meta":{},"prompts":[{"name":"a"}]},"id":7}"#,
            r#" { "id" : [1] , "result" : { "a" : "}\\\"" , "resources" : 1 } } "#,
            r#"[{"result":{}},{"result":{"resourceTemplates":[]}}]"#,
            r#"[[{"id":1}],{"result":{"tools":[]}}]"#,
            r#"{"result":{"tools":[]},"result":{}}"#,
            r#"{"result":{},"result":{"tools":[]}}"#,
            r#"{"result":[],"result":{"tools":[]}}"#,
            r#"{"id":1}{"result":{"tools":[]}}"#,
            r#"{"\u0072esult":{"\u0074\u006F\u006fls":[]}}"#,
            r#"{"Result":{"TOOLS":[]}}"#,
            "\u{feff}{\"result\":{\"tools\":[]}}",
            "{\"result\":{\"tool\u{17f}\":[]}}",
            r#"{"result":{"tool\u017f":[]}}"#,
            "{\"re\u{200b}sult\":{\"tools\":[]}}",
            // Who ends a name at its first NUL, or drops what is no letter, reads a list.
            r#"{"result":{"tools\u0000":[]}}"#,
            "{\"result\":{\"to\tols\":[]}}",
            r#"{"result":{"tools\ud800":[]}}"#,
            r#"{"result":{"\x74ools":[]}}"#,
        ] {
            check(text.as_bytes(), false);
        }
        check(b"{\"result\":{\"to\xffols\":[]}}", false);
        let text = r#"{"result":{"tools":[]}}"#;
        let wide = |bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
        check(&wide(u16::to_le_bytes), false);
        check(&wide(u16::to_be_bytes), false);
    }

    #[test]
    fn what_is_no_list_passes() {
        for text in [
            "",
            "7",
            r#""{\"result\":{\"tools\":[]}}""#,
            r#"{"result":{"content":[{"type":"text","text":"tools"}],"structuredContent":{"tools":[{}]},"isError":false}}"#,
            r#"{"result":{"contents":[{"uri":"a:b","text":"{\"tools\":"}],"ttlMs":0,"cacheScope":"public"}}"#,
            r#"{"result":{"capabilities":{"tools":{},"prompts":{}},"protocolVersion":"2025-11-25"}}"#,
            r#"{"result":{"skills":[{"resources":[]}],"skill":{"resources":"dynamic"}}}"#,
            r#"{"result":{"taskId":"1","result":{"tools":[]}}}"#,
            r#"{"result":"tools","tools":[]}"#,
            r#"{"result":["tools",{"tools":[]}]}"#,
            r#"{"id":1,"method":"sampling/createMessage","params":{"tools":[],"result":{"tools":[]}}}"#,
            r#"{"error":{"tools":[]},"id":"result"}"#,
            r#"{"data":{"result":{"tools":[]}}}"#,
            r#"{"results":{"tools":[]},"result":{"tool":1,"resource":2,"resource_templates":3,"outils":4}}"#,
            r#"{"result":{"\u00e9tat":1,"данные":2,"数据":3}}"#,
            r#"{"tools":1,"prompts":{"result":2}}"#,
        ] {
            check(text.as_bytes(), true);
        }
    }

    #[test]
    fn a_name_is_kept_no_longer_than_it_is_read() {
        let plain = format!(r#"{{"result":{{"{}":1}}}}"#, "tools".repeat(10_000));
        assert_eq!(passes(plain.as_bytes()), Ok(()));
        let mut scan = Scan::default();
        assert_eq!(scan.read(plain.as_bytes()), Ok(()));
        assert!(scan.name.capacity() <= 2 * LONGEST, "{}", scan.name.capacity());
        // Only a text in which other letters are overlooked can be a list's, and be longer.
        for hidden in ["\u{200b}", r"\u200b"] {
            let name = |count: usize| format!(r#"{{"result":{{"{}tools":1}}}}"#, hidden.repeat(count));
            assert!((0..400).step_by(10).all(|count| passes(name(count).as_bytes()).is_err()));
        }
        assert_eq!(passes(format!(r#"{{"result":{{"{}":1}}}}"#, r"\u0061".repeat(171)).as_bytes()), Err(1038));
    }

    #[test]
    fn names_in_unusual_letters_are_looked_up_so_often_and_no_more() {
        let member = "\"\u{fdfa}\":1,".repeat(200);
        assert_eq!(passes(format!(r#"{{"result":{{{member}"a":1}}}}"#).as_bytes()), Ok(()));
        let mut scan = Scan::default();
        let texts = [(); 3].map(|()| {
            let read = scan.read(format!(r#"{{"result":{{{member}"a":1}}}}"#).as_bytes());
            scan.restart();
            read.is_ok()
        });
        assert_eq!(texts, [true, false, false]);
    }

    /// The same by the tree.
    pub(in crate::listing) fn has_list(value: &Value) -> bool {
        let is_called = |name: &str, known: &[&str]| {
            known.contains(&name) || is_lookalike(name, known) || name.chars().any(char::is_control)
        };
        match value {
            Value::Array(messages) => messages.iter().any(has_list),
            Value::Object(message) => message.iter().any(|(name, value)| {
                name.chars().any(char::is_control)
                    || is_called(name, &["result"])
                        && value.as_object().is_some_and(|result| {
                            result.keys().any(|name| is_called(name, &Listed::ALL.map(Listed::member)))
                        })
            }),
            _ => false,
        }
    }

    #[test]
    fn what_is_found_is_what_is_there() {
        const NAMES: [&str; 16] = [
            "result",
            "result",
            "Resul\\u0074",
            "tools",
            "\\u0074ools",
            "prompts",
            "resources",
            "resourceTemplates",
            "content",
            "content",
            "id",
            "method",
            "a\\\"b",
            "\\\\",
            "",
            "a\\n",
        ];
        const VALUES: [&str; 8] = ["1", "-1e5", "null", "\"\"", "\"a\\\\\"", "\"{\\\"result\\\":{\"", "[]", "{}"];
        let mut roll = dice();
        fn value(roll: &mut impl FnMut(usize) -> usize, depth: usize, out: &mut String) {
            let kind = if depth > 4 { 0 } else { roll(3) };
            if kind == 0 && depth > 0 {
                return out.push_str(VALUES[roll(VALUES.len())]);
            }
            let is_object = kind != 1;
            out.push_str(if is_object { "{" } else { "[" });
            let mut names = Vec::new();
            for index in 0..roll(4) {
                let name = NAMES[roll(NAMES.len())];
                if is_object && names.contains(&name) {
                    continue;
                }
                if index > 0 && (!is_object || !names.is_empty()) {
                    out.push_str([",", " ,\n"][roll(2)]);
                }
                if is_object {
                    out.push_str(&format!("\"{name}\"{}", [":", " : "][roll(2)]));
                }
                names.push(name);
                value(roll, depth + 1, out);
            }
            out.push_str(if is_object { "}" } else { "]" });
        }
        let mut counts = [0, 0];
        for _ in 0..40_000 {
            let mut text = String::new();
            value(&mut roll, 0, &mut text);
            let parsed: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            let expected = has_list(&parsed);
            let found = passes(text.as_bytes());
            assert_eq!(found.is_err(), expected, "{text}");
            if let Err(at) = found {
                assert_eq!(text.as_bytes()[at], b'"', "{text}: what is listed has not gone on");
            }
            let size = 1 + roll(text.len());
            let mut scan = Scan::default();
            assert_eq!(
                text.as_bytes().chunks(size).try_for_each(|piece| scan.read(piece)).is_err(),
                expected,
                "{text}"
            );
            counts[usize::from(expected)] += 1;
        }
        assert!(counts.iter().all(|count| *count > 2000), "{counts:?}");
    }
}
