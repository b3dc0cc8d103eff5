//! What is left of a name once everything is taken away that some decoder
//! overlooks: case, compatibility forms, characters that nobody sees.
//!
//! Decoders match names whatever their case (Go's encoding/json folds `\u{17f}`
//! to `s` and the Kelvin sign to `k`), and registries behind them normalize
//! (NFKC) or trim. Two names with one skeleton (the word of UTS 39) are one name
//! to somebody.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization as _;

/// The skeleton of a name; names without capitals in ASCII are their own.
pub(super) fn skeleton(name: &str) -> Cow<'_, str> {
    if !name.is_ascii() {
        return Cow::Owned(beyond_ascii(name));
    }
    match name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(name.to_ascii_lowercase()),
        false => Cow::Borrowed(name),
    }
}

/// Have two names one skeleton?
pub(super) fn is_alike(one: &str, other: &str) -> bool {
    match one.is_ascii() && other.is_ascii() {
        true => one.eq_ignore_ascii_case(other),
        false => skeleton(one) == skeleton(other),
    }
}

fn beyond_ascii(name: &str) -> String {
    let seen: String = name.chars().filter(|c| !is_ignorable(*c)).nfkc().collect();
    // Down, up and down: `\u{17f}` is S in upper case alone, `\u{1e9e}` is SS only from below.
    let folded = seen.chars().flat_map(char::to_lowercase).flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    folded.nfkc().filter(|c| !is_ignorable(*c)).collect()
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
}
