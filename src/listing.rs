//! Lists: what a caller may know of stays in, the rest is taken out.
//!
//! A list is known by its shape, an array of tools, prompts, resources or templates in
//! the result of a response, whatever was asked: a stream that is taken up again
//! carries answers to earlier requests. What stays is what the server wrote, byte by byte;
//! `nextCursor` and all else stays where it is.
//!
//! A filtered list is one caller's. In the modern era a client may be told that it is
//! everybody's (`cacheScope`, 2026-07-28, Caching), so it is told otherwise.

mod gathered;
mod scan;
mod watch;

use std::ops::Range;

use crate::json::{Json, Limits, Object, is_lookalike};
use crate::mcp::Listed;
use crate::policy::Sight;
use crate::record::Tally;
pub use gathered::{Found, Gathered, gather};
pub use watch::Watch;

/// The most values that an answer with a list may have.
pub const MOST_NODES: u32 = 100_000;

/// An answer that was looked at.
#[derive(Debug, PartialEq, Eq)]
pub struct Filtered {
    /// What goes on in its place; none if it goes on as it is.
    pub text: Option<Vec<u8>>,
    /// What was in its lists.
    pub tally: Tally,
}

/// Why an answer was not read. It says nothing of its contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable(pub &'static str);

/// Could some reader find a list in this text? Where none of these is in it, and no
/// escape that may stand for them, it need not be read.
pub fn is_suspect(text: &[u8]) -> bool {
    // Without an `s`, which a reader that overlooks case finds in U+017F, too.
    const WORDS: [&[u8]; 5] = [b"tool", b"prompt", b"ource", b"cache", b"ttlm"];
    text.iter().enumerate().any(|(at, byte)| {
        let rest = || text.get(at..).unwrap_or_default();
        match byte {
            b'\\' => rest().get(1) == Some(&b'u'),
            b't' | b'T' | b'p' | b'P' | b'o' | b'O' | b'c' | b'C' => {
                WORDS.iter().any(|word| rest().get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word)))
            }
            _ => false,
        }
    })
}

/// An entry of a list: what it is called by, and all of it.
pub type Entry<'m, 'a> = (&'m str, &'m Json<'a>);

/// Reads an answer that may have lists.
fn read(text: &[u8]) -> Result<Json<'_>, Unreadable> {
    // What is in the entries is the server's business, but for what they are called by.
    let limits = Limits { nodes: MOST_NODES, string: text.len(), alike: true, exact: false, ..Limits::default() };
    Json::read(text, limits).map_err(|_| Unreadable("expected one JSON text that all readers read alike"))
}

/// Filters the lists of one message, or of a batch of them. `judge` says what becomes of
/// each of the entries of one list.
pub fn filter(
    text: &[u8],
    mut judge: impl FnMut(Listed, &[Entry<'_, '_>]) -> Vec<Sight>,
) -> Result<Filtered, Unreadable> {
    let json = read(text)?;
    let (mut edits, mut tally) = (Vec::new(), Tally::default());
    let mut look = |message: &Json<'_>, path: Vec<usize>| -> Result<(), Unreadable> {
        let Some((at, result)) = result(message)? else { return Ok(()) };
        let path: Vec<usize> = path.into_iter().chain([at]).collect();
        for (at, (name, value)) in result.members().enumerate() {
            let Some(listed) = Listed::ALL.into_iter().find(|listed| listed.member() == name) else { continue };
            let Some(entries) = value.as_array() else {
                return Err(Unreadable("expected the entries of a list in an array"));
            };
            let sights = sights(listed, entries, &mut judge)?;
            tally.add(count(&sights));
            if sights.iter().any(|sight| *sight != Sight::Visible) {
                let path = path.iter().copied().chain([at]).collect();
                let keeps = sights.iter().map(|sight| *sight == Sight::Visible).collect();
                edits.push((path, Change::Entries(keeps)));
            }
        }
        if let Some(change) = scope(result) {
            edits.push((path, change));
        }
        Ok(())
    };
    match &json {
        // A batch, which servers of 2025-03-26 may answer with.
        Json::Array(messages) => {
            messages.iter().enumerate().try_for_each(|(at, message)| look(message, vec![at]))?;
        }
        message => look(message, Vec::new())?,
    }
    let text = if edits.is_empty() { None } else { Some(rewrite(text, &mut edits)?) };
    Ok(Filtered { text, tally })
}

/// The result of a response, and which of its members it is.
fn result<'m, 'a>(message: &'m Json<'a>) -> Result<Option<(usize, &'m Object<'a>)>, Unreadable> {
    let Some(message) = message.as_object() else { return Ok(None) };
    check(message, &["result"])?;
    let found = message.members().enumerate().find(|(_, (name, _))| *name == "result");
    let Some((at, result)) = found.and_then(|(at, (_, value))| Some((at, value.as_object()?))) else {
        return Ok(None);
    };
    check(result, &["tools", "prompts", "resources", "resourceTemplates", "cacheScope", "ttlMs"])?;
    Ok(Some((at, result)))
}

/// Refuses a member that a reader could take for one of these.
fn check(object: &Object<'_>, known: &[&str]) -> Result<(), Unreadable> {
    match object.members().any(|(name, _)| is_lookalike(name, known)) {
        true => Err(Unreadable("expected no member that looks like one of a list's")),
        false => Ok(()),
    }
}

/// What becomes of each entry. One that cannot be called by anything is hidden.
fn sights(
    listed: Listed,
    entries: &[Json<'_>],
    judge: &mut impl FnMut(Listed, &[Entry<'_, '_>]) -> Vec<Sight>,
) -> Result<Vec<Sight>, Unreadable> {
    let names = entries.iter().map(|entry| name(listed, entry)).collect::<Result<Vec<_>, _>>()?;
    let named: Vec<Entry<'_, '_>> =
        names.iter().zip(entries).filter_map(|(name, entry)| Some(((*name)?, entry))).collect();
    let mut judged = judge(listed, &named).into_iter();
    // One that was not judged is hidden, too.
    let sight = |name: &Option<&str>| name.and_then(|_| judged.next()).unwrap_or(Sight::Hidden);
    Ok(names.iter().map(sight).collect())
}

/// What an entry is called by, if by anything.
fn name<'m>(listed: Listed, entry: &'m Json<'_>) -> Result<Option<&'m str>, Unreadable> {
    let Some(entry) = entry.as_object() else { return Ok(None) };
    check(entry, &[listed.key()])?;
    Ok(entry.get(listed.key()).and_then(Json::as_str))
}

fn count(sights: &[Sight]) -> Tally {
    let count = |is_so: fn(&&Sight) -> bool| u32::try_from(sights.iter().filter(is_so).count()).unwrap_or(u32::MAX);
    Tally {
        listed: count(|_| true),
        hidden: count(|sight| **sight != Sight::Visible),
        failed: count(|sight| **sight == Sight::Failed),
        changed: count(|sight| **sight == Sight::Changed),
        shadow: false,
    }
}

/// What has to change in a container of the text.
enum Change {
    /// Of an array: the entries that stay.
    Entries(Vec<bool>),
    /// Of an object: the value of this member is another.
    Scope(usize),
    /// Of an object: it lacks a member.
    NoScope,
}

const SCOPE: &str = "\"private\"";

/// What a client is told of who else may have the result: nobody. Where nothing is said
/// of it and it may be kept, some take it for everybody's.
fn scope(result: &Object<'_>) -> Option<Change> {
    match result.get("cacheScope") {
        Some(scope) if scope.as_str() == Some("private") => None,
        Some(_) => result.members().position(|(name, _)| name == "cacheScope").map(Change::Scope),
        None => result.get("ttlMs").map(|_| Change::NoScope),
    }
}

/// A container of the text that is not over yet.
#[derive(Default)]
struct Open<'e> {
    /// How many of its values are over.
    over: usize,
    /// Where the value at hand begins, and where it ended last.
    start: Option<usize>,
    end: usize,
    /// What has to change in it, and if anything has, where its values lie: its items, or the
    /// values of its members, without the white space around them.
    change: Option<&'e Change>,
    values: Vec<Range<usize>>,
}

impl<'e> Open<'e> {
    /// A part of the value at hand.
    fn extend(&mut self, start: usize, end: usize) {
        self.start.get_or_insert(start);
        self.end = end;
    }

    fn end_value(&mut self) {
        let value = self.start.take().map(|start| start..self.end);
        self.values.extend(value.filter(|_| self.change.is_some()));
        self.over = next(self.over);
    }

    /// What takes the place of what, in the container as a whole.
    fn piece(&self, text: &[u8]) -> Option<(Range<usize>, Vec<u8>)> {
        let (values, last) = (&self.values, self.values.last()?);
        Some(match self.change? {
            Change::Entries(keeps) => {
                let kept = values.iter().zip(keeps).filter(|(_, keep)| **keep);
                let kept: Vec<&[u8]> = kept.map(|(range, _)| text.get(range.clone()).unwrap_or_default()).collect();
                (values.first()?.start..last.end, kept.join(&b','))
            }
            Change::Scope(at) => (values.get(*at)?.clone(), SCOPE.into()),
            Change::NoScope => (last.end..last.end, format!(",\"cacheScope\":{SCOPE}").into_bytes()),
        })
    }
}

/// The text, which is JSON, with these changes to the containers at these paths.
fn rewrite(text: &[u8], edits: &mut [(Vec<usize>, Change)]) -> Result<Vec<u8>, Unreadable> {
    let lost = || Unreadable("expected to find again what was read");
    let mut pieces = pieces(text, edits).ok_or_else(lost)?;
    if pieces.len() != edits.len() {
        return Err(lost());
    }
    pieces.sort_by_key(|(range, _)| (range.start, range.end));
    let (mut rewritten, mut from) = (Vec::with_capacity(text.len()), 0);
    for (range, piece) in pieces {
        rewritten.extend_from_slice(text.get(from..range.start).ok_or_else(lost)?);
        rewritten.extend(piece);
        from = range.end;
    }
    rewritten.extend_from_slice(text.get(from..).unwrap_or_default());
    Ok(rewritten)
}

/// What takes the place of what. A server may have written many lists, so the text is gone
/// through once for all of them: sorted, paths stand in the order in which containers open.
fn pieces(text: &[u8], edits: &mut [(Vec<usize>, Change)]) -> Option<Vec<(Range<usize>, Vec<u8>)>> {
    edits.sort_by(|(one, _), (other, _)| one.cmp(other));
    let (mut edits, mut pieces) = (edits.iter().peekable(), Vec::new());
    // Around the text there is a container that has nothing but it.
    let mut open = vec![Open::default()];
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        let first = at;
        at = next(at);
        let container = open.last_mut()?;
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => {}
            // What came before was the name of a member.
            b':' => container.start = None,
            b',' => container.end_value(),
            b'[' | b'{' => {
                container.extend(first, at);
                let path = || open.iter().skip(1).map(|container| container.over);
                let is_here = |(wanted, _): &&(Vec<usize>, Change)| {
                    next(wanted.len()) == open.len() && wanted.iter().copied().eq(path())
                };
                let change = edits.next_if(is_here).map(|(_, change)| change);
                open.push(Open { change, ..Open::default() });
            }
            b']' | b'}' => {
                let mut closed = open.pop()?;
                closed.end_value();
                pieces.extend(closed.piece(text));
                open.last_mut()?.end = at;
            }
            b'"' => {
                at = after_string(text, at);
                container.extend(first, at);
            }
            _ => container.extend(first, at),
        }
    }
    Some(pieces)
}

/// Where a string ends that begins before this place.
fn after_string(text: &[u8], mut at: usize) -> usize {
    loop {
        let rest = text.get(at..).unwrap_or_default();
        let Some(mark) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\')) else { return text.len() };
        at = next(at.saturating_add(mark));
        match rest.get(mark) {
            // What follows is escaped.
            Some(b'\\') => at = next(at),
            _ => return at,
        }
    }
}

fn next(number: usize) -> usize {
    #[cfg(test)]
    tests::STEPS.set(tests::STEPS.get().saturating_add(1));
    number.saturating_add(1)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        /// How many steps were made through a text.
        pub(super) static STEPS: Cell<usize> = const { Cell::new(0) };
    }

    /// What begins with `x` is hidden, what begins with `?` could not be decided.
    fn judge(_: Listed, entries: &[Entry<'_, '_>]) -> Vec<Sight> {
        let sight = |(name, _): &Entry<'_, '_>| match name.as_bytes() {
            [b'x', ..] => Sight::Hidden,
            [b'?', ..] => Sight::Failed,
            _ => Sight::Visible,
        };
        entries.iter().map(sight).collect()
    }

    fn filtered(text: &str) -> (Option<String>, (u32, u32, u32)) {
        let Filtered { text, tally } = filter(text.as_bytes(), judge).unwrap();
        (text.map(|text| String::from_utf8(text).unwrap()), (tally.listed, tally.hidden, tally.failed))
    }

    #[test]
    fn what_is_hidden_is_taken_out_and_all_else_stays_as_it_is() {
        let list = |entries: &str| {
            format!(
                r#" {{"id" : 1e0,"result":{{ "nextCursor":"a\u0062" , "tools" : [{entries}],"_meta":{{}} }},"jsonrpc":"2.0"}} "#
            )
        };
        for (entries, becomes, tally) in [
            ("", None, (0, 0, 0)),
            (r#"{"name":"a"}, {"name":"b"}"#, None, (2, 0, 0)),
            (r#" {"name":"x"} "#, Some("  "), (1, 1, 0)),
            (r#"{"name":"x"},{"name":"b"}"#, Some(r#"{"name":"b"}"#), (2, 1, 0)),
            (
                r#"{"name":"b","m":9223372036854775807} , {"name":"x"}"#,
                Some(r#"{"name":"b","m":9223372036854775807}"#),
                (2, 1, 0),
            ),
            (
                r#"{"d":"],}\"","name":"b"},{"name":"x","i":[{"name":"a"}]},{"n":[1,{}],"name":"?"},{"name":"c"}"#,
                Some(r#"{"d":"],}\"","name":"b"},{"name":"c"}"#),
                (4, 2, 1),
            ),
            // A name in other words is the same name; what has none cannot be called.
            (r#"{"name":"\u0078y"},{"title":"x"},{"name":7},7,null,[]"#, Some(""), (6, 6, 0)),
            (
                r#"{"name":"a","inputSchema":{"properties":{"path":{},"Path":{}}}},{"name":"x"}"#,
                Some(r#"{"name":"a","inputSchema":{"properties":{"path":{},"Path":{}}}}"#),
                (2, 1, 0),
            ),
        ] {
            assert_eq!(filtered(&list(entries)), (becomes.map(list), tally), "{entries}");
        }
    }

    #[test]
    fn each_list_is_known_by_its_shape() {
        for (text, becomes) in [
            (r#"{"result":{"prompts":[{"name":"x"}]}}"#, Some(r#"{"result":{"prompts":[]}}"#)),
            (
                r#"{"result":{"resources":[{"uri":"x","name":"a"},{"uri":"a","name":"x"}]}}"#,
                Some(r#"{"result":{"resources":[{"uri":"a","name":"x"}]}}"#),
            ),
            (
                r#"{"result":{"resourceTemplates":[{"uriTemplate":"x{a}","uri":"a"}]}}"#,
                Some(r#"{"result":{"resourceTemplates":[]}}"#),
            ),
            (
                r#"{"result":{"\u0074ools":[{"name":"x"}],"prompts":[{"name":"a"},{"name":"x"}]}}"#,
                Some(r#"{"result":{"\u0074ools":[],"prompts":[{"name":"a"}]}}"#),
            ),
            (
                r#"[{"result":{}}, {"result":{"tools":[{"name":"x"}]}} ,{"result":{"tools":[{"name":"a"},{"name":"x"}]}}]"#,
                Some(r#"[{"result":{}}, {"result":{"tools":[]}} ,{"result":{"tools":[{"name":"a"}]}}]"#),
            ),
            (r#"{"method":"notifications/progress","params":{"tools":[{"name":"x"}]}}"#, None),
            (r#"{"result":{"content":[{"tools":[{"name":"x"}]}],"structuredContent":{"tools":[{"name":"x"}]}}}"#, None),
            (r#"{"error":{"code":1,"message":"tools"}}"#, None),
            (r#"{"result":[{"tools":[{"name":"x"}]}]}"#, None),
            ("7", None),
        ] {
            assert_eq!(filtered(text).0.as_deref(), becomes, "{text}");
        }
    }

    #[test]
    fn a_batch_of_lists_is_gone_through_once() {
        let batch = |list: &str, count: usize| format!("[{}]", vec![list; count].join(","));
        let list =
            |entries: &str, scope: &str| format!(r#"{{"result":{{"tools":[{entries}],"cacheScope":"{scope}"}}}}"#);
        let (given, becomes) = (list(r#"{"name":"x"},{"name":"a"}"#, "public"), list(r#"{"name":"a"}"#, "private"));
        for (given, becomes, count) in
            [(r#"{"result":{"tools":[0]}}"#, r#"{"result":{"tools":[]}}"#, 24_000), (&*given, &*becomes, 5_000)]
        {
            let given = batch(given, count);
            STEPS.set(0);
            let (found, _) = filtered(&given);
            assert_eq!(found, Some(batch(becomes, count)));
            assert!(STEPS.get() < 3 * given.len(), "{} steps through {} bytes", STEPS.get(), given.len());
        }
    }

    #[test]
    fn what_may_be_kept_is_kept_for_one_caller() {
        for (text, becomes) in [
            (
                r#"{"result":{"tools":[],"ttlMs":5,"cacheScope" : "public"}}"#,
                Some(r#"{"result":{"tools":[],"ttlMs":5,"cacheScope" : "private"}}"#),
            ),
            (
                r#"{"result":{"cacheScope":["private"],"tools":[{"name":"x"}]}}"#,
                Some(r#"{"result":{"cacheScope":"private","tools":[]}}"#),
            ),
            (
                r#"{"result":{"tools":[{"name":"x"}],"ttlMs":5 }}"#,
                Some(r#"{"result":{"tools":[],"ttlMs":5,"cacheScope":"private" }}"#),
            ),
            (
                r#"{"result":{"ttlMs":0,"capabilities":{"tools":{}}}}"#,
                Some(r#"{"result":{"ttlMs":0,"capabilities":{"tools":{}},"cacheScope":"private"}}"#),
            ),
            (r#"{"result":{"tools":[],"cacheScope":"private"}}"#, None),
            (r#"{"result":{}}"#, None),
        ] {
            assert_eq!(filtered(text).0.as_deref(), becomes, "{text}");
        }
    }

    #[test]
    fn what_readers_read_differently_is_not_read() {
        for text in [
            "",
            "{",
            "\u{feff}{}",
            r#"{"result":{"tools":[],"tools":[{"name":"x"}]}}"#,
            r#"{"result":{"tools":[],"Tools":[{"name":"x"}]}}"#,
            r#"{"result":{},"Result":{"tools":[{"name":"x"}]}}"#,
            "{\"result\":{\"tool\u{17f}\":[{\"name\":\"x\"}]}}",
            r#"{"result":{"tools":[{"name":"a","Name":"x"}]}}"#,
            r#"{"result":{"tools":[{"Name":"x"}]}}"#,
            r#"{"result":{"tools":{"0":{"name":"x"}}}}"#,
            r#"{"result":{"tools":[]}} {}"#,
            &format!(r#"{{"result":{{"tools":[{}]}}}}"#, "0,".repeat(100_000) + "0"),
        ] {
            assert!(filter(text.as_bytes(), judge).is_err(), "{}", text.get(..40).unwrap_or(text));
        }
    }

    #[test]
    fn whatever_could_be_a_list_is_read() {
        for text in [
            r#"{"result":{"tools":[]}}"#,
            r#"{"result":{"TOOLS":[]}}"#,
            r#"{"result":{"\u0074\u006f\u006f\u006cs":[]}}"#,
            r#"{"result":{"prompts":[]}}"#,
            r#"{"result":{"resourceTemplates":[]}}"#,
            "{\"result\":{\"re\u{17f}ources\":[]}}",
            r#"{"result":{"cacheScope":"public"}}"#,
            r#"{"result":{"ttlMs":5}}"#,
        ] {
            assert!(is_suspect(text.as_bytes()), "{text}");
        }
        let progress = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":5,"message":"half\n"}}"#;
        assert!(!is_suspect(progress.as_bytes()));
    }
}
