//! An answer to a request for no list, as it passes.

use super::Unreadable;
use super::scan::Scan;
use crate::sse::{Data, Part};

/// Looks for lists in one answer, whatever clients may take it for.
#[derive(Debug)]
pub struct Watch {
    json: Option<Scan>,
    events: Option<(Data, Scan)>,
}

impl Watch {
    /// For an answer of this media type. What names neither JSON nor events, or both, may be
    /// read as either: clients compare the type, its beginning, or look for a word in it.
    pub fn new(media_type: &[u8]) -> Self {
        let media_type = media_type.to_ascii_lowercase();
        let names = |word: &[u8]| media_type.windows(word.len()).any(|part| part == word);
        let (json, events) = (names(b"json"), names(b"event-stream"));
        Self { json: (json || !events).then(Scan::default), events: (events || !json).then(Default::default) }
    }

    /// Takes the next piece, and says whether it may go on.
    pub fn read(&mut self, piece: &[u8]) -> Result<(), Unreadable> {
        if let Some(scan) = &mut self.json {
            scan.read(piece)?;
        }
        let Some((data, scan)) = &mut self.events else { return Ok(()) };
        data.read(piece, |part| match part {
            Part::Text(text) => scan.read(text),
            Part::End => {
                scan.restart();
                Ok(())
            }
            Part::Ambiguous => Err(Unreadable("expected events that all readers divide into lines alike")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::scan::tests::has_list;
    use super::*;
    use crate::sse::tests::dice;

    const EVENTS: &[u8] = b"text/event-stream";

    /// What goes on of an answer that comes byte by byte.
    fn passed<'a>(media_type: &[u8], answer: &'a [u8]) -> &'a [u8] {
        let mut watch = Watch::new(media_type);
        let count = answer.chunks(1).take_while(|byte| watch.read(byte).is_ok()).count();
        &answer[..count]
    }

    fn check(media_type: &[u8], answer: &str, expected: bool) {
        assert_eq!(passed(media_type, answer.as_bytes()).len() == answer.len(), expected, "{answer:?}");
        for first in 0..=answer.len() {
            let (one, other) = answer.as_bytes().split_at(first);
            let mut watch = Watch::new(media_type);
            let is_passed = watch.read(one).and_then(|()| watch.read(other)).is_ok();
            assert_eq!(is_passed, expected, "{answer:?} at {first}");
        }
    }

    const LIST: &str = r#"{"id":7,"result":{"tools":[{"name":"x"}]}}"#;
    const RESULT: &str = r#"{"id":7,"result":{"content":[{"type":"text","text":"tools"}]}}"#;

    #[test]
    fn a_list_in_an_event_is_found_and_all_else_passes() {
        for (answer, expected) in [
            (format!("data: {LIST}\n\n"), false),
            (format!("data:{LIST}"), false),
            (format!(": ping\r\n\r\nid: 1\r\ndata: {RESULT}\r\n\r\ndata: {LIST}\r\n\r\n"), false),
            (LIST.replace(',', ",\ndata: ").replacen('{', "event: message\ndata:{", 1), false),
            // What was begun in one event is over in the next one.
            (format!("data: {{\"a\":\"\n\ndata: {LIST}\n\n"), false),
            (format!("data: {RESULT}\n\n: {LIST}\n\nevent: {LIST}\nid: {LIST}\nretry: 5\n\n"), true),
            (format!("id: 1\ndata:\n\ndata\n\nData: {LIST}\ndata2: {LIST}\n data: {LIST}\n\n"), true),
            (format!("data: {}\n\n", RESULT.replace("tools", "a\u{2028}b\u{85}\u{2029}database\u{feff}")), true),
            (": c\rc\u{2028}\n\ndata: {}\n\n".into(), true),
            ("\u{feff}: ping\n\ndata: {}\n\n".into(), true),
        ] {
            check(EVENTS, &answer, expected);
        }
    }

    #[test]
    fn an_event_that_readers_divide_into_lines_differently_is_no_event() {
        for end in ["\r", "\u{b}", "\u{c}", "\u{1c}", "\u{1d}", "\u{1e}", "\u{85}", "\u{2028}", "\u{2029}"] {
            for answer in [
                format!(": c{end}data: {LIST}\n\n"),
                format!("data: \"{end}{end}data: {LIST}\n\n"),
                format!("data: \"{end}{end}\"\ndata: {LIST}\n\n"),
                format!("data: {{\"id\":1,{end}\"\ndata:\"result\":{{\"tools\":[]}}}}\n\n"),
                format!("id: 1{end}\ndata: \ndata: {LIST}\n\n"),
            ] {
                check(EVENTS, &answer, false);
            }
            check(EVENTS, &format!("data: \"a{end}data b\"\n\ndata: {RESULT}\n\n"), true);
        }
        check(EVENTS, &format!("\u{feff}data: \"\ndata: {LIST}\n\n"), false);
    }

    #[test]
    fn an_answer_is_what_some_client_takes_it_for() {
        let (json, events) = (LIST.to_owned(), format!(": \"\ndata: {LIST}\n\n"));
        for (media_type, found) in [
            ("application/json", (true, false)),
            ("Application/JSON; charset=utf-8", (true, false)),
            ("text/Event-Stream;charset=utf-8", (false, true)),
            ("application/json; x=text/event-stream", (true, true)),
            ("application/json, text/event-stream", (true, true)),
            ("text/plain", (true, true)),
            ("", (true, true)),
        ] {
            let is_found = |answer: &str| passed(media_type.as_bytes(), answer.as_bytes()).len() < answer.len();
            assert_eq!((is_found(&json), is_found(&events)), found, "{media_type}");
        }
    }

    /// What a reader takes for the data of events, that of one that was not ended, too.
    fn events(stream: &str, ends: &[char], has_mark: bool) -> Vec<String> {
        let stream = if has_mark { stream.strip_prefix('\u{feff}').unwrap_or(stream) } else { stream };
        let ended = stream.replace("\r\n", "\n") + "\n\n";
        let (mut events, mut lines) = (Vec::new(), Vec::new());
        for line in ended.split(ends) {
            // Go takes every CR at the end of a line away.
            let line = line.trim_end_matches('\r');
            match line.split_once(':').unwrap_or((line, "")) {
                ("", "") if line.is_empty() => events.push(std::mem::take(&mut lines).join("\n")),
                ("data", value) => lines.push(value.to_owned()),
                _ => {}
            }
        }
        events
    }

    #[test]
    fn no_reader_finds_a_list_in_what_passes() {
        // Of which LIST and RESULT stand for one.
        const PARTS: &str = "data: |data:|\ndata: |\ndata: LIST|\n|\n\n|\r\n|\r|\u{2028}|\u{b}|\u{feff}|: c|id: 1|\"|\"|{\"a\":\"\
            |,\"b\":1|LIST|data: LIST|\"result\":{\"tools\":[]}}|RESULT|{\"id\":1,";
        let parts: Vec<String> =
            PARTS.split('|').map(|part| part.replace("LIST", LIST).replace("RESULT", RESULT)).collect();
        const UNICODE: &[char] =
            &['\n', '\r', '\u{b}', '\u{c}', '\u{1c}', '\u{1d}', '\u{1e}', '\u{85}', '\u{2028}', '\u{2029}'];
        let mut roll = dice();
        let seen = |stream: &str| {
            let readers: [&[char]; 3] = [&['\n'], &['\n', '\r'], UNICODE];
            let all = readers.iter().flat_map(|ends| [true, false].map(|has_mark| events(stream, ends, has_mark)));
            all.flatten().any(|data| serde_json::from_str(&data).is_ok_and(|value| has_list(&value)))
        };
        let (mut lists, mut passes) = (0, 0);
        for _ in 0..10_000 {
            let stream: String = (0..1 + roll(9)).map(|_| parts[roll(parts.len())].as_str()).collect();
            let passed = String::from_utf8_lossy(passed(EVENTS, stream.as_bytes())).into_owned();
            assert!(!seen(&passed), "{stream:?}");
            lists += usize::from(seen(&stream));
            passes += usize::from(passed == stream);
            let mut watch = Watch::new(EVENTS);
            let size = 1 + roll(stream.len());
            let is_passed = stream.as_bytes().chunks(size).all(|piece| watch.read(piece).is_ok());
            assert_eq!(is_passed, passed == stream, "{stream:?} in pieces of {size}");
        }
        assert!(lists > 500 && passes > 2000, "{lists}, {passes}");
    }
}
