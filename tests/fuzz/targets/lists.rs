//! Any bytes, as an answer with lists and as a stream of events. What is filtered is the
//! same JSON without what is hidden; a stream is the same in any pieces, and what is not
//! replaced in it goes on byte by byte. What is only watched is judged alike in any pieces, and
//! has no list where it passes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mcp_gate::listing::{Entry, Watch, filter, is_suspect};
use mcp_gate::mcp::Listed;
use mcp_gate::policy::Sight;
use mcp_gate::sse::{Ended, Event, Fate, Reader};
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    // Behind the text, so that the text of a seed stands as it is.
    let Some((text, [size, limit])) = data.split_last_chunk() else { return };
    check_list(text);

    check_watch(text, usize::from(*size).max(1));

    let (size, limit) = (usize::from(*size).max(1), usize::from(*limit).saturating_mul(8));
    let passes = |_: Event<'_>| Fate::Passes;
    assert_eq!(stream(text, size, limit, passes), Ok(text.to_vec()), "it passes as it is");
    assert_eq!(stream(text, size, limit, rewrite), stream(text, text.len().max(1), limit, rewrite), "in any pieces");
    // What was filtered once is not filtered again, but for events that were too large.
    if let Ok(once) = stream(text, size, usize::MAX, rewrite) {
        assert_eq!(stream(&once, size, usize::MAX, rewrite), Ok(once.clone()), "filtered again it is the same");
    }
});

/// What the name hides: those that begin with an x.
fn judge(_: Listed, entries: &[Entry<'_, '_>]) -> Vec<Sight> {
    let sight = |(name, _): &Entry<'_, '_>| if name.starts_with('x') { Sight::Hidden } else { Sight::Visible };
    entries.iter().map(sight).collect()
}

fn rewrite(event: Event<'_>) -> Fate {
    match event {
        Event::Data(text) if !is_suspect(text) => Fate::Passes,
        Event::Data(text) => match filter(text, judge) {
            Ok(filtered) => filtered.text.map_or(Fate::Passes, Fate::Becomes),
            Err(_) => Fate::Becomes(b"{}".to_vec()),
        },
        Event::TooLarge | Event::Ambiguous => Fate::Becomes(b"{}".to_vec()),
    }
}

fn stream(text: &[u8], size: usize, limit: usize, judge: impl Fn(Event<'_>) -> Fate) -> Result<Vec<u8>, Ended> {
    let mut reader = Reader::new(limit);
    let mut out = Vec::new();
    for piece in text.chunks(size) {
        out.extend(reader.read(piece, &judge)?);
    }
    out.extend(reader.finish(&judge)?);
    Ok(out)
}

fn check_list(text: &[u8]) {
    let Ok(filtered) = filter(text, judge) else { return };
    let mut value: Value = serde_json::from_slice(text).expect("what was read is JSON");
    match &mut value {
        Value::Array(messages) => messages.iter_mut().for_each(hide),
        message => hide(message),
    }
    let found = filtered.text.as_deref().unwrap_or(text);
    let found_value: Value = serde_json::from_slice(found).expect("what goes on is JSON");
    assert_eq!(found_value, value, "what is hidden is gone, and nothing else");
    assert!(filtered.text.is_none() || is_suspect(text), "a list that nobody would look for");
    let again = filter(found, judge).expect("what goes on can be read again");
    assert_eq!(again.text, None, "filtered again it is the same");
}

/// An answer to a request for no list.
fn check_watch(text: &[u8], size: usize) {
    let passes = |media_type: &[u8], size: usize| {
        let mut watch = Watch::new(media_type);
        text.chunks(size).all(|piece| watch.read(piece).is_ok())
    };
    for media_type in [&b"application/json"[..], b"text/event-stream"] {
        assert_eq!(passes(media_type, size), passes(media_type, text.len().max(1)), "in any pieces");
    }
    let value = serde_json::from_slice::<Value>(text);
    let is_list = value.as_ref().is_ok_and(has_list);
    let is_plain = filter(text, judge).is_ok() && text.len() <= 1024;
    match passes(b"application/json", size) {
        true => assert!(!is_list, "a list passes"),
        false => assert!(is_list || !is_plain, "what is no list passes"),
    }
    if passes(b"text/event-stream", size) {
        let found = |event: Event<'_>| match event {
            Event::Data(data) if serde_json::from_slice::<Value>(data).is_ok_and(|value| has_list(&value)) => {
                Fate::Ends
            }
            _ => Fate::Passes,
        };
        assert!(stream(text, size, usize::MAX, found).is_ok(), "a list in an event passes");
    }
}

fn has_list(value: &Value) -> bool {
    match value {
        Value::Array(messages) => messages.iter().any(has_list),
        message => Listed::ALL
            .iter()
            .any(|listed| message.get("result").is_some_and(|result| result.get(listed.member()).is_some())),
    }
}

/// The same by the tree.
fn hide(message: &mut Value) {
    let Some(result) = message.get_mut("result").and_then(Value::as_object_mut) else { return };
    for listed in Listed::ALL {
        if let Some(entries) = result.get_mut(listed.member()).and_then(Value::as_array_mut) {
            entries.retain(|entry| {
                let name = entry.as_object().and_then(|entry| entry.get(listed.key())).and_then(Value::as_str);
                name.is_some_and(|name| !name.starts_with('x'))
            });
        }
    }
    if result.contains_key("cacheScope") || result.contains_key("ttlMs") {
        result.insert("cacheScope".into(), "private".into());
    }
}
