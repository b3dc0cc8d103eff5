//! URIs of resources. Policy knows one by its text, and servers take several texts for one: what is
//! denied as `doc://board` would be read as `doc://%62oard`.

use super::is_plain;

/// What is expected of one.
pub(super) const EXPECTED: &str = "`uri`: expected 1 to 2048 bytes without control characters, in normal form (RFC 3986 \
    section 6.2.2): a scheme in small letters, no escapes of letters, digits, `-`, `.`, `_` and `~`, others with capitals \
    such as `%2F`, no segments `.` and `..`";

/// Is it a short text without control characters, and a URI, or a template of one, in normal form?
pub(super) fn is_uri(text: &str) -> bool {
    is_plain(text) && has_small_scheme(text) && has_plain_segments(text) && text.split('%').skip(1).all(is_needed)
}

/// Does this stand in a URI? Of a pattern, with `*` for anything, only what is whole in it is looked at.
pub fn may_be_in_uri(pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let is_first = |part: &str| has_small_scheme(part);
    let has_needed = |part: &str| part.split('%').skip(1).filter(|rest| rest.len() > 1).all(is_needed);
    parts.clone().next().is_none_or(is_first) && parts.all(has_needed)
}

/// Section 6.2.2.1.
fn has_small_scheme(text: &str) -> bool {
    let is_of_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    text.split_once(':').is_none_or(|(scheme, _)| {
        !scheme.bytes().all(is_of_scheme) || !scheme.bytes().any(|byte| byte.is_ascii_uppercase())
    })
}

/// Section 6.2.2.3. A `\` is a `/` to some.
fn has_plain_segments(text: &str) -> bool {
    let path = text.split(['?', '#']).next().unwrap_or_default();
    !path.split(['/', '\\']).any(|segment| matches!(segment, "." | ".."))
}

/// Does what follows a `%` begin with the capitals of something that has no other spelling?
/// Sections 6.2.2.1 and 6.2.2.2.
fn is_needed(rest: &str) -> bool {
    let digit = |byte: u8| if byte.is_ascii_lowercase() { None } else { char::from(byte).to_digit(16) };
    let [high, low, ..] = rest.as_bytes() else { return false };
    let (Some(high), Some(low)) = (digit(*high), digit(*low)) else { return false };
    let escaped = char::from_u32(high << 4 | low).unwrap_or_default();
    !escaped.is_ascii_alphanumeric() && !matches!(escaped, '-' | '.' | '_' | '~')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_has_one_spelling() {
        for uri in [
            "x",
            "doc://Handbook",
            "doc://a%20b/%C3%A9?q=%2E..",
            "file:///srv/a..b/.c",
            "doc://{+path}",
            "urn:a:B",
            "doc://a%40b",
            "a b:C",
        ] {
            assert_eq!(is_uri(uri), !uri.contains("%2E"), "{uri}");
            assert!(may_be_in_uri(&uri.replace("%2E", "")), "{uri}");
        }
        for uri in [
            "",
            "doc://a\n",
            "doc://%68andbook",
            "doc://%7Ea",
            "doc://%c3%a9",
            "doc://100%",
            "doc://%4",
            "doc://%zz",
            "doc://%é",
            "Doc://a",
            "FILE:///a",
            "doc://a/./b",
            "doc://a/../b",
            "doc://..",
            "doc://a/..?x",
            "doc://a/.#x",
            "file:///srv\\..\\etc",
            "..",
        ] {
            assert!(!is_uri(uri), "{uri}");
        }
        for (pattern, is_it) in [
            ("*", true),
            ("doc://*", true),
            ("doc://100%*", true),
            ("doc://%4*1", true),
            ("*%20*", true),
            ("*%68*", false),
            ("Doc*:*", true),
            ("DOC://*", false),
            ("*DOC://*", true),
        ] {
            assert_eq!(may_be_in_uri(pattern), is_it, "{pattern}");
        }
    }
}
