//! The lists of a server, gathered to be pinned: whatever it answered, as it came.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;

use super::{name, read, result};
use crate::catalogue::digest;
use crate::json::{Json, shown};
use crate::mcp::Listed;
use crate::sse::{Event, Fate, Reader};

/// The largest text that is read, in bytes.
const LONGEST: usize = 16 * 1024 * 1024;

/// What is pinned of one entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The SHA-256 of its definition, in hexadecimal digits.
    pub sha256: String,
    /// The annotations of a tool.
    pub annotations: Option<serde_json::Value>,
}

/// What is to be pinned: by kind, each under what it is called by.
pub type Gathered = BTreeMap<Listed, BTreeMap<String, Found>>;

/// Gathers the lists in these answers, one after another: JSON-RPC messages, or streams of
/// events that carry them. Of each list the last page has to be there; whether one before it is
/// missing, the pages do not say.
pub fn gather(text: &[u8]) -> Result<Gathered, String> {
    let mut gathered = Gathered::new();
    // Of each list: how many of its pages say that another follows, and how many do not.
    let mut pages: BTreeMap<Listed, (u32, u32)> = BTreeMap::new();
    for message in messages(text)? {
        let json = read(&message).map_err(|unreadable| unreadable.0.to_owned())?;
        let messages = json.as_array().unwrap_or(std::slice::from_ref(&json));
        for message in messages {
            add(message, &mut gathered, &mut pages)?;
        }
    }
    for (listed, (more, last)) in pages {
        if more > 0 && last == 0 {
            let member = listed.member();
            return Err(format!("expected every page of `{member}`, found a `nextCursor` and no last page"));
        }
    }
    if gathered.is_empty() {
        return Err("expected an answer with `tools`, `prompts`, `resources` or `resourceTemplates`, found none".into());
    }
    Ok(gathered)
}

fn add(message: &Json<'_>, gathered: &mut Gathered, pages: &mut BTreeMap<Listed, (u32, u32)>) -> Result<(), String> {
    let unreadable = |unreadable: super::Unreadable| unreadable.0.to_owned();
    if message.as_object().is_some_and(|message| message.get("error").is_some()) {
        return Err("expected the lists of the server, found an error that it answered".into());
    }
    let Some((_, result)) = result(message).map_err(unreadable)? else { return Ok(()) };
    for listed in Listed::ALL {
        let Some(list) = result.get(listed.member()) else { continue };
        let entries = list.as_array().ok_or_else(|| format!("{}: expected an array", listed.member()))?;
        let (more, last) = pages.entry(listed).or_default();
        match result.get("nextCursor") {
            Some(Json::String(_)) => *more = more.saturating_add(1),
            _ => *last = last.saturating_add(1),
        }
        let known = gathered.entry(listed).or_default();
        for entry in entries {
            let name = name(listed, entry).map_err(unreadable)?;
            let name = name.ok_or_else(|| format!("{}: expected a `{}` of each", listed.member(), listed.key()))?;
            let sha256: String = digest(listed, entry).iter().map(|byte| format!("{byte:02x}")).collect();
            let annotations = entry.as_object().filter(|_| listed == Listed::Tool);
            let annotations = annotations.and_then(|entry| entry.get("annotations")).cloned().map(Json::into_owned);
            if annotations.as_ref().is_some_and(|annotations| !annotations.is_object()) {
                return Err(format!("tools.{}.annotations: expected an object", shown(name)));
            }
            let found = Found { sha256, annotations };
            if known.get(name).is_some_and(|known| *known != found) {
                return Err(format!("{}: expected one `{}`, found two that differ", listed.member(), shown(name)));
            }
            known.insert(name.to_owned(), found);
        }
    }
    Ok(())
}

/// The JSON texts in what a server answered.
fn messages(text: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    if text.len() > LONGEST {
        return Err(format!("expected at most {LONGEST} bytes, found {}", text.len()));
    }
    let mut found = Vec::new();
    if matches!(text.trim_ascii_start().first(), Some(b'{' | b'[')) {
        let mut values = serde_json::Deserializer::from_slice(text).into_iter::<IgnoredAny>();
        let mut from = 0;
        while let Some(value) = values.next() {
            value.map_err(|error| format!("expected JSON, one answer after another: {error}"))?;
            found.push(text.get(from..values.byte_offset()).unwrap_or_default().to_vec());
            from = values.byte_offset();
        }
        return Ok(found);
    }
    let mut reader = Reader::new(LONGEST);
    let mut take = |event: Event<'_>| match event {
        Event::Data(data) => {
            if !data.trim_ascii().is_empty() {
                found.push(data.to_vec());
            }
            Fate::Passes
        }
        Event::TooLarge | Event::Ambiguous => Fate::Ends,
    };
    // What ends without an empty line is an event, too, of who saved it to a file.
    let read = reader.read(text, &mut take).and_then(|_| reader.read(b"\n\n", &mut take));
    read.map_err(|_| "expected JSON, or a stream of events that all readers divide into lines alike".to_owned())?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(tools: &str, more: &str) -> String {
        format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"tools":[{tools}]{more}}}}}"#)
    }

    fn names(text: &str) -> Result<Vec<String>, String> {
        let gathered = gather(text.as_bytes())?;
        Ok(gathered.values().flat_map(BTreeMap::keys).cloned().collect())
    }

    #[test]
    fn answers_are_read_one_after_another_however_they_came() {
        let (one, two) = (list(r#"{"name":"a"}"#, r#","nextCursor":"2""#), list(r#"{"name":"b"}"#, ""));
        let prompts = r#"{"result":{"prompts":[{"name":"p"}]}}"#;
        let initialized = r#"{"jsonrpc":"2.0","id":0,"result":{"capabilities":{"tools":{}}}}"#;
        for (text, expected) in [
            (format!("{initialized}\n{one}\n{two}{prompts}"), vec!["a", "b", "p"]),
            (format!("[{one},{two}]"), vec!["a", "b"]),
            (format!("event: message\ndata: {one}\n\n: ping\n\ndata: {two}\n"), vec!["a", "b"]),
            (format!("id: 1\ndata:\n\ndata: {prompts}"), vec!["p"]),
            (list("", ""), vec![]),
        ] {
            assert_eq!(names(&text), Ok(expected.into_iter().map(str::to_owned).collect()), "{text}");
        }
    }

    #[test]
    fn what_is_not_whole_is_not_pinned() {
        let same = r#"{"name":"a"},{ "name":"a"}"#;
        assert_eq!(names(&list(same, "")), Ok(vec!["a".to_owned()]));
        for (text, problem) in [
            (list(r#"{"name":"a"}"#, r#","nextCursor":"2""#), "every page of `tools`"),
            (list(r#"{"title":"a"}"#, ""), "expected a `name`"),
            (list(r#"{"name":"a"},{"name":"a","title":"b"}"#, ""), "two that differ"),
            (list(r#"{"name":"a","annotations":[]}"#, ""), "expected an object"),
            (list(r#"{"name":"a","name":"b"}"#, ""), "all readers read alike"),
            (r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x"}}"#.into(), "found an error"),
            (r#"{"result":{"content":[]}}"#.into(), "found none"),
            (list("", "") + "{", "expected JSON"),
            (String::new(), "found none"),
            ("<html>".into(), "found none"),
            (format!("data: {}\r\r", list("", "")), "divide into lines alike"),
        ] {
            let found = names(&text).unwrap_err();
            assert!(found.contains(problem), "{text}: {found}");
        }
    }
}
