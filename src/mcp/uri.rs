//! URIs of resources. Policy knows one by its text, and servers take several texts for one: what is
//! denied as `doc://board` would be read as `doc://%62oard`.

use super::is_plain;

/// What is expected of one.
pub(super) const EXPECTED: &str = "expected every URI of a resource to be 1 to 2048 bytes in normal form (RFC 3986 section \
    6.2.2): no spaces around it, no `\\`, the scheme in small letters, no escapes of letters, digits, `-`, `.`, `_` and `~`, others \
    with capitals such as `%2F`, no segments `.` and `..`, and files as `file:///...`";

/// Is it a URI, or a template of one (RFC 6570), in normal form?
pub(super) fn is_uri(text: &str) -> bool {
    is_plain(text)
        && is_read_as_written(text)
        && has_plain_scheme(text)
        && has_plain_segments(text)
        && text.split('%').skip(1).all(is_needed)
}

/// Does some URI match this pattern, in which `*` stands for anything? Of one with a `*` only what
/// stands before it, and what is whole elsewhere, is looked at.
pub fn may_be_uri(pattern: &str) -> bool {
    let Some((first, _)) = pattern.split_once('*') else { return is_uri(pattern) };
    // The last segment may go on in what the star stands for.
    let segments = first.rsplit_once('/').map_or("", |(segments, _)| segments);
    let has_needed = |part: &str| part.split('%').skip(1).filter(|rest| rest.len() > 1).all(is_needed);
    is_read_as_written(pattern)
        && (!first.contains("://") || has_plain_scheme(first))
        && !first.split_once(':').is_some_and(|(scheme, _)| has_capitals(scheme))
        && has_plain_segments(segments)
        && pattern.split('*').all(has_needed)
}

/// Some servers trim spaces, and read `\` as `/`. Within a URI clients send spaces, though section 2 has none.
fn is_read_as_written(text: &str) -> bool {
    text.trim() == text && !text.contains('\\')
}

/// Section 6.2.2.1. A file has three slashes, with which some read fewer, or `localhost` (RFC 8089 section 2).
fn has_plain_scheme(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return true };
    !has_capitals(scheme) && (scheme != "file" || rest.starts_with("///") || rest.starts_with("//{"))
}

fn has_capitals(scheme: &str) -> bool {
    let is_of_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    scheme.bytes().all(is_of_scheme) && scheme.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// Section 6.2.2.3.
fn has_plain_segments(text: &str) -> bool {
    let path = text.split(['?', '#']).next().unwrap_or_default();
    !path.split('/').any(|segment| matches!(segment, "." | ".."))
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
            "doc://a%20b/%C3%A9?q=..",
            "file:///srv/a..b/.c",
            "file://{path}",
            "doc://{+path}{?q,r}",
            "urn:a:B",
            "doc://a%40b",
            "doc://é",
            "doc://ü 1|2",
        ] {
            assert!(is_uri(uri) && may_be_uri(uri), "{uri}");
        }
        for uri in [
            "",
            "doc://a\n",
            " doc://a",
            "doc://a ",
            "doc://%68andbook",
            "doc://%7Ea",
            "doc://%c3%a9",
            "doc://100%",
            "doc://%4",
            "doc://%zz",
            "Doc://a",
            "FILE:///a",
            "file:/a",
            "file://localhost/a",
            "doc://a/./b",
            "doc://a/../b",
            "doc://..",
            "doc://a/..?x",
            "doc://a/.#x",
            "file:///srv\\..\\etc",
            "..",
        ] {
            assert!(!is_uri(uri) && !may_be_uri(uri), "{uri}");
        }
        for (pattern, is_it) in [
            ("*", true),
            ("doc://*", true),
            ("doc://..*", true),
            ("doc://100%*", true),
            ("doc://%4*1", true),
            ("file:*", true),
            ("file:///srv/*", true),
            ("*%20*", true),
            ("Doc*:*", true),
            ("*DOC://*", true),
            ("*%68*", false),
            ("* *", true),
            (" doc://*", false),
            ("* ", false),
            ("DOC://*", false),
            ("file://localhost/*", false),
            ("doc://x/../board/*", false),
        ] {
            assert_eq!(may_be_uri(pattern), is_it, "{pattern}");
        }
    }
}
