//! Names of members, and which of them somebody takes for one.
//!
//! The *skeleton* of a name is what is left of it once everything is taken away
//! that some decoder overlooks: case, compatibility forms, characters that
//! nobody sees. Decoders match names whatever their case (Go's encoding/json folds `\u{17f}`
//! to `s` and the Kelvin sign to `k`), and registries behind them normalize
//! (NFKC) or trim. Two names with one skeleton (the word of UTS 39) are one name
//! to somebody.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization as _;

use super::{Json, Object};

/// Names that some rule knows members by, whatever they are the members of.
#[derive(Debug, Default, Deserialize, Serialize)]
pub struct Names(HashMap<String, Vec<String>>);

impl Names {
    /// Adds a name.
    pub fn add(&mut self, name: &str) {
        let known = self.0.entry(skeleton(name).into_owned()).or_default();
        if known.iter().all(|known| known != name) {
            known.push(name.to_owned());
        }
    }

    /// A member of the object, at any depth, whose name looks like a known one
    /// without being it.
    pub fn mistaken<'o>(&self, object: &'o Object<'_>) -> Option<&'o str> {
        object.members().find_map(|(name, value)| match self.0.get(skeleton(name).as_ref()) {
            Some(known) if known.iter().all(|known| known != name) => Some(name),
            _ => self.mistaken_below(value),
        })
    }

    fn mistaken_below<'o>(&self, value: &'o Json<'_>) -> Option<&'o str> {
        match value {
            Json::Object(object) => self.mistaken(object),
            Json::Array(items) => items.iter().find_map(|item| self.mistaken_below(item)),
            _ => None,
        }
    }
}

/// Does a name look like one of these, which are ASCII, without being it?
pub fn is_lookalike(name: &str, known: &[&str]) -> bool {
    if known.contains(&name) {
        return false;
    }
    let skeleton = skeleton(name);
    known.iter().any(|known| known.eq_ignore_ascii_case(&skeleton))
}

/// The skeleton of a name.
pub(super) fn skeleton(name: &str) -> Cow<'_, str> {
    if !is_plain(name) {
        return Cow::Owned(looked_up(name));
    }
    match name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(name.to_ascii_lowercase()),
        false => Cow::Borrowed(name),
    }
}

/// Is all of a name ASCII, or letters that are their own skeleton?
fn is_plain(name: &str) -> bool {
    name.is_ascii() || name.chars().all(is_settled)
}

/// What looking a name up costs: the bytes of its characters, and many times that
/// where one stands for a word. Nothing for a plain name.
pub(crate) fn weight(name: &str) -> usize {
    let weight = |c: char| match c {
        '\u{2100}'..='\u{214f}' | '\u{3200}'..='\u{33ff}' | '\u{fb00}'..='\u{fdff}' | '\u{1f100}'..='\u{1f2ff}' => 72,
        c => c.len_utf8(),
    };
    if is_plain(name) { 0 } else { name.chars().map(weight).sum() }
}

/// Characters whose skeleton they are themselves, next to any other of them: ASCII,
/// and the common letters of scripts in which people name things.
fn is_settled(c: char) -> bool {
    matches!(
        c,
        '\0'..='\x7f' // but for its case
            | '\u{430}'..='\u{44f}' // Cyrillic, small
            | '\u{5d0}'..='\u{5ea}' // Hebrew
            | '\u{621}'..='\u{63a}' | '\u{641}'..='\u{64a}' // Arabic
            | '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30fa}' // Kana
            | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' // Han
            | '\u{ac00}'..='\u{d7a3}' // Hangul
    )
}

/// Have two names one skeleton?
pub(super) fn is_alike(one: &str, other: &str) -> bool {
    match one.is_ascii() && other.is_ascii() {
        true => one.eq_ignore_ascii_case(other),
        false => skeleton(one) == skeleton(other),
    }
}

fn looked_up(name: &str) -> String {
    // A capital I with a dot is an i to some (Java, Go), to others an i with a dot.
    let plain = |c| if c == '\u{130}' { 'i' } else { c };
    let seen: String = name.chars().filter(|c| !is_ignorable(*c)).map(plain).nfkc().collect();
    // Down, up and down: `\u{17f}` is S in upper case alone, `\u{1e9e}` is SS only from below.
    let folded = seen.chars().flat_map(char::to_lowercase).flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    let folded: String = folded.nfkc().filter(|c| !is_ignorable(*c)).collect();
    folded.replace("i\u{307}", "i")
}

/// Characters that show nothing (Unicode, Default_Ignorable_Code_Point).
fn is_ignorable(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Limits;

    #[test]
    fn names_that_somebody_takes_for_one_are_alike() {
        for (one, other) in [
            ("method", "Method"),
            ("params", "param\u{17f}"),
            ("token", "to\u{212a}en"),
            ("name", "na\u{200b}me"),
            ("name", "\u{feff}name"),
            ("name", "\u{ff4e}ame"),
            ("r\u{e9}ad", "re\u{301}ad"),
            ("STRASSE", "stra\u{df}e"),
            ("\u{3c3}", "\u{3c2}"),
            ("\u{130}d", "i\u{307}d"),
            ("rec\u{130}pient", "recipient"),
            ("\u{131}d", "ID"),
        ] {
            assert!(is_alike(one, other), "{one:?} and {other:?}");
            assert_eq!(skeleton(one), skeleton(other));
        }
        for (one, other) in [("name", "names"), ("name", "n\u{430}me"), ("a_b", "a-b"), ("a", "\u{e4}"), ("", "a")] {
            assert!(!is_alike(one, other), "{one:?} and {other:?}");
        }
    }

    #[test]
    fn a_skeleton_is_its_own() {
        for c in ('\0'..=char::MAX).filter(|c| !is_ignorable(*c)) {
            let once = skeleton(&c.to_string()).into_owned();
            assert_eq!(skeleton(&once), once, "{c:?}");
        }
    }

    #[test]
    fn what_is_settled_needs_no_looking_up() {
        let settled: Vec<char> = ('\0'..=char::MAX).filter(|c| is_settled(*c)).collect();
        assert!(settled.len() > 30_000);
        for pair in settled.windows(2) {
            let text: String = pair.iter().collect::<String>().to_ascii_lowercase();
            assert_eq!(looked_up(&text), text);
        }
        // Those that could combine do so with a mark or a jamo, which are not among them.
        let composing =
            ['\u{300}', '\u{301}', '\u{306}', '\u{308}', '\u{3099}', '\u{309a}', '\u{653}', '\u{11a8}', '\u{1161}'];
        assert!(composing.iter().all(|c| !is_settled(*c)));
    }

    #[test]
    fn a_name_that_somebody_knows_is_spelled_exactly() {
        let mut names = Names::default();
        for name in ["path", "recursive", "ID", "id"] {
            names.add(name);
        }
        let mistaken = |text: &str| {
            let value = Json::read(text.as_bytes(), Limits::default()).unwrap();
            names.mistaken(value.as_object().unwrap()).map(str::to_owned)
        };
        assert_eq!(mistaken(r#"{"path":1,"ID":2,"other":{"Other":3}}"#), None);
        assert_eq!(mistaken(r#"{"Path":1}"#).as_deref(), Some("Path"));
        assert_eq!(mistaken(r#"{"Id":1}"#).as_deref(), Some("Id"));
        assert_eq!(mistaken(r#"{"a":[[{"recur\u017five":1}]]}"#).as_deref(), Some("recur\u{17f}ive"));
    }
}
