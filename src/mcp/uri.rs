//! URIs of resources. Policy knows one by its text, and servers take several texts for one: what is
//! denied as `doc://board` would be read as `doc://%62oard`.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::is_plain;

/// What is expected of one.
pub(super) const EXPECTED: &str = "expected every URI of a resource to be 1 to 2048 bytes in normal form (RFC 3986 section \
    6.2.2): no spaces around it, no `\\`, the scheme in small letters, no escapes of letters, digits, `-`, `.`, `_` and `~`, others \
    with capitals such as `%2C`, no segments `.` and `..`, files as `file:///...` without `//` behind it, and behind `https://` and \
    the like a host in small ASCII letters, without a user and without the scheme's own port";

/// Schemes whose hosts and slashes are read in many ways (WHATWG URL, special schemes), with their ports.
const SPECIAL: [(&str, &str); 5] = [("http", "80"), ("https", "443"), ("ws", "80"), ("wss", "443"), ("ftp", "21")];

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
    let Some((first, rest)) = pattern.split_once('*') else { return is_uri(pattern) };
    // The last segment may go on in what the star stands for, and so may the last escape.
    let is_path = !first.contains(['?', '#']);
    let segments = if is_path { first.rsplit_once('/').map_or("", |(segments, _)| segments) } else { first };
    let last = rest.rsplit('*').next().unwrap_or_default();
    let has_needed = |part: &str| part.split('%').skip(1).filter(|rest| rest.len() > 1).all(is_needed);
    is_read_as_written(pattern)
        && may_begin_plainly(first)
        && has_plain_segments(segments)
        && pattern.split('*').all(has_needed)
        && last.split('%').skip(1).all(is_needed)
}

/// Is this the beginning of something with a plain scheme?
fn may_begin_plainly(first: &str) -> bool {
    let Some((scheme, rest)) = first.split_once(':') else { return true };
    let host = rest.strip_prefix("//").unwrap_or_default();
    match scheme {
        "file" if "///".starts_with(rest) => true,
        _ if SPECIAL.iter().any(|(special, _)| *special == scheme) && !host.contains(['/', '?', '#']) => {
            "//".starts_with(rest) || (rest.starts_with("//") && host.bytes().all(is_of_host))
        }
        _ => has_plain_scheme(first),
    }
}

/// Some servers trim spaces, and read `\` as `/`. Within a URI clients send spaces, though section 2 has none.
fn is_read_as_written(text: &str) -> bool {
    // JavaScript trims the byte order mark, too.
    let is_space = |char: char| char.is_whitespace() || char == '\u{feff}';
    !text.starts_with(is_space) && !text.ends_with(is_space) && !text.contains('\\')
}

/// Section 6.2.2.1. A file has three slashes, with which some read fewer, or `localhost` (RFC 8089 section 2),
/// and no empty segments, which are none to a file system.
fn has_plain_scheme(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return true };
    let special = SPECIAL.iter().find(|(special, _)| *special == scheme);
    match (scheme, special) {
        ("file", _) => {
            let path = rest.split(['?', '#']).next().unwrap_or_default();
            let is_template = path.starts_with("//{") && path.ends_with('}');
            // A drive's `|` is a `:` to browsers' parsers.
            is_template
                || (path.starts_with("///")
                    && !path.get(3..).unwrap_or_default().contains("//")
                    && !path.starts_with("////")
                    && !path.contains('|'))
        }
        (_, Some((_, port))) => rest.strip_prefix("//").is_some_and(|rest| {
            let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
            authority.contains('{') || is_plain_authority(authority, port)
        }),
        _ => !has_capitals(scheme),
    }
}

/// Section 6.2.2.1 and 6.2.3: a host as it is looked up, and no port that goes without saying.
fn is_plain_authority(authority: &str, default: &str) -> bool {
    let (host, port) = match authority.rsplit_once(':').filter(|(_, port)| !port.contains(']')) {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_port = |port: &str| is_digits(port) && !port.starts_with('0') && port != default;
    let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok_and(|parsed| parsed.to_string() == address),
        None => {
            let last = host.rsplit('.').next().unwrap_or_default();
            // Numbers are read as addresses, in hexadecimal, too.
            let is_number = last.starts_with(|first: char| first.is_ascii_digit());
            !last.is_empty()
                && !host.contains(['[', ']', ':'])
                && host.bytes().all(is_of_host)
                && (!is_number || host.parse::<Ipv4Addr>().is_ok())
        }
    };
    is_host && port.is_none_or(is_port)
}

fn is_of_host(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_:[]".contains(&byte)
}

fn has_capitals(scheme: &str) -> bool {
    let is_of_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    scheme.bytes().all(is_of_scheme) && scheme.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// Section 6.2.2.3.
fn has_plain_segments(text: &str) -> bool {
    let path = text.split(['?', '#']).next().unwrap_or_default();
    // Some servers take escapes away first.
    let is_plain = |segment: &str| !segment.split("%2F").flat_map(|part| part.split("%5C")).any(|part| part == "..");
    path.split('/').all(|segment| segment != "." && is_plain(segment))
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
            "repo://group%2Fproject/a..%2Fb",
            "doc://é",
            "doc://ü 1|2",
            "doc:////a//b",
            "https://board.example/A//b",
            "https://board.example:8443?q",
            "http://10.0.0.1/",
            "http://[2001:db8::1]:8080/",
            "https://{host}/{path}",
            "file:///{path}?a=//b",
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
            "file:///srv/..%2F..%2Fetc",
            "doc://a/..%5Cb",
            "\u{feff}doc://a",
            "file:///C|/a",
            "file://{x}/srv/a",
            "doc://a/..?x",
            "doc://a/.#x",
            "file:///srv\\..\\etc",
            "..",
            "file:////srv/a",
            "file:///srv//a",
            "https:board.example/1",
            "https:/board.example/1",
            "https:///board.example/1",
            "https://Board.example/1",
            "https://bo\u{ff41}rd.example/1",
            "https://board.example./1",
            "https://board.example:443/1",
            "https://board.example:/1",
            "https://board.example:08443/1",
            "https://a@board.example/1",
            "https://",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://127.1/",
            "http://[0::1]/",
            "http://[::1/",
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
            ("file:/*", true),
            ("file://*", true),
            ("https:*", true),
            ("https://*.board.example/1", true),
            ("https://board.*", true),
            ("https://board.example/A*", true),
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
            ("file:/srv/*", false),
            ("file:////*", false),
            ("https:/board/*", false),
            ("https://Board*", false),
            ("https://board.example:443/*", false),
            ("doc://a/..?x=*", false),
            ("doc://*%", false),
            ("*%4", false),
            ("doc://x/../board/*", false),
        ] {
            assert_eq!(may_be_uri(pattern), is_it, "{pattern}");
        }
    }
}
