//! URIs of resources. Policy knows one by its text, and servers take several texts for one: what is
//! denied as `doc://board` would be read as `doc://%62oard`.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::is_plain;

const PLAIN: &str = "expected the URI of a resource to be 1 to 2048 bytes without control characters";
const SPACES: &str = "expected the URI of a resource without spaces around it, and without `\\`";
const SCHEME: &str = "expected the URI of a resource with its scheme in small letters (RFC 3986 section 6.2.2.1)";
const FILE: &str = "expected the URI of a file as `file:///...`, without `//`, `%2F` and `%5C` further on, and with `:` behind \
    the letter of a drive";
const HOST: &str = "expected the URI of a resource with a host in small ASCII letters between `//` and `/`, without a user, and \
    without the scheme's own port (RFC 3986 section 6.2.3)";
const PARTS: &str =
    "expected the URI of a resource without an empty user, password or port, and without zeros before a port";
const SEGMENTS: &str = "expected the URI of a resource without segments `.` and `..`, behind `%2F` and `%5C`, too (RFC 3986 section \
    6.2.2.3)";
const ESCAPES: &str = "expected the URI of a resource without escapes of letters, digits, `-`, `.`, `_` and `~`, and others with \
    capitals, such as `%2C` (RFC 3986 section 6.2.2)";

/// Schemes whose hosts and slashes are read in many ways (WHATWG URL, special schemes), with their ports.
const SPECIAL: [(&str, &str); 5] = [("http", "80"), ("https", "443"), ("ws", "80"), ("wss", "443"), ("ftp", "21")];

/// What is wrong with a URI, if it is not in normal form.
pub(super) fn fault(text: &str) -> Option<&'static str> {
    let scheme = text.split_once(':');
    first_of([
        (is_plain(text), PLAIN),
        (is_read_as_written(text), SPACES),
        (scheme.is_none_or(|(scheme, _)| !has_capitals(scheme)), SCHEME),
        (scheme.is_none_or(|(scheme, rest)| scheme != "file" || is_plain_file(rest)), FILE),
        (scheme.is_none_or(|(scheme, rest)| port_of(scheme).is_none_or(|port| has_plain_host(rest, port))), HOST),
        (scheme.is_none_or(|(_, rest)| has_no_empty_part(rest)), PARTS),
        (has_plain_segments(text), SEGMENTS),
        (text.split('%').skip(1).all(is_needed), ESCAPES),
    ])
}

/// What is wrong with a template of URIs (RFC 6570), if none that it stands for is in normal form. Nothing is read
/// by it, so an expression stands for anything.
pub(super) fn fault_of_template(text: &str) -> Option<&'static str> {
    match text.split_once('{') {
        None => fault(text),
        Some(_) if !is_plain(text) => Some(PLAIN),
        Some((first, rest)) => fault_of_pattern(&format!("{first}*{{{rest}")),
    }
}

/// Why no URI matches this pattern, in which `*` stands for anything. Of one with a `*` only what stands before
/// it, and what is whole elsewhere, is looked at.
pub fn fault_of_pattern(pattern: &str) -> Option<&'static str> {
    let Some((first, rest)) = pattern.split_once('*') else { return fault_of_template(pattern) };
    // The last segment may go on in what the star stands for, and so may the last escape, and what begins with `{`.
    let segments = if first.contains(['?', '#']) { first } else { first.rsplit_once('/').map_or("", |(path, _)| path) };
    let scheme = first.split('{').next().unwrap_or_default().split_once(':');
    let last = rest.rsplit('*').next().unwrap_or_default();
    let has_needed = |part: &str| part.split('%').skip(1).filter(|rest| rest.len() > 1).all(is_needed);
    first_of([
        (is_read_as_written(pattern), SPACES),
        (scheme.is_none_or(|(scheme, _)| !has_capitals(scheme)), SCHEME),
        (scheme.is_none_or(|(scheme, rest)| scheme != "file" || "///".starts_with(rest) || is_plain_file(rest)), FILE),
        (scheme.is_none_or(|(scheme, rest)| port_of(scheme).is_none_or(|port| may_have_plain_host(rest, port))), HOST),
        (scheme.is_none_or(|(_, rest)| may_go_on(rest) || has_no_empty_part(rest)), PARTS),
        (has_plain_segments(segments), SEGMENTS),
        (pattern.split('*').all(has_needed) && last.split('%').skip(1).all(is_needed), ESCAPES),
    ])
}

fn first_of<const N: usize>(found: [(bool, &'static str); N]) -> Option<&'static str> {
    found.into_iter().find(|(is_right, _)| !is_right).map(|(_, fault)| fault)
}

/// Some servers trim spaces, and read `\` as `/`. Within a URI clients send spaces, though section 2 has none.
fn is_read_as_written(text: &str) -> bool {
    // JavaScript trims the byte order mark, too.
    let is_space = |char: char| char.is_whitespace() || char == '\u{feff}';
    !text.starts_with(is_space) && !text.ends_with(is_space) && !text.contains('\\')
}

fn has_capitals(scheme: &str) -> bool {
    let is_of_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    scheme.bytes().all(is_of_scheme) && scheme.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// Three slashes, with which some read fewer, or `localhost` (RFC 8089 section 2), and no empty segments, which
/// are none to a file system, nor escaped slashes, which are slashes to it. A drive's `|` is a `:` to browsers'
/// parsers.
fn is_plain_file(rest: &str) -> bool {
    let path = rest.split(['?', '#']).next().unwrap_or_default().strip_prefix("//");
    path.is_some_and(|path| {
        let is_drive =
            matches!(path.as_bytes(), [_, letter, b'|'] | [_, letter, b'|', b'/', ..] if letter.is_ascii_alphabetic());
        path.starts_with('/') && !is_drive && !["//", "%2F", "%5C"].iter().any(|slash| path.contains(slash))
    })
}

/// The port of a special scheme.
fn port_of(scheme: &str) -> Option<&'static str> {
    SPECIAL.iter().find(|(special, _)| *special == scheme).map(|(_, port)| *port)
}

fn has_plain_host(rest: &str, port: &str) -> bool {
    rest.strip_prefix("//")
        .map(authority)
        .is_some_and(|(host, path)| is_plain_authority(host, port) && path.starts_with('/'))
}

/// Of whatever scheme, parsers drop what is empty before a host and behind it.
fn has_no_empty_part(rest: &str) -> bool {
    let Some((authority, _)) = rest.strip_prefix("//").map(authority) else { return true };
    let port =
        authority.rsplit_once(':').map(|(_, port)| port).filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    !authority.starts_with('@')
        && !authority.contains(":@")
        && port.is_none_or(|port| port == "0" || !port.is_empty() && !port.starts_with('0'))
}

/// May the host and its port go on behind this beginning?
fn may_go_on(rest: &str) -> bool {
    rest.strip_prefix("//").is_none_or(|rest| authority(rest).1.is_empty())
}

/// The same of a beginning, of which the host may go on.
fn may_have_plain_host(rest: &str, port: &str) -> bool {
    let Some(host) = rest.strip_prefix("//") else { return "//".starts_with(rest) };
    match authority(host) {
        (host, "") => host.bytes().all(is_of_host),
        _ => has_plain_host(rest, port),
    }
}

/// What names the host, and what follows.
fn authority(text: &str) -> (&str, &str) {
    text.split_at_checked(text.find(['/', '?', '#']).unwrap_or(text.len())).unwrap_or_default()
}

/// A host as it is looked up, and no port that goes without saying.
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

fn has_plain_segments(text: &str) -> bool {
    let path = text.split(['?', '#']).next().unwrap_or_default();
    // Some servers take escapes away first.
    let is_plain = |segment: &str| !segment.split("%2F").flat_map(|part| part.split("%5C")).any(|part| part == "..");
    path.split('/').all(|segment| segment != "." && is_plain(segment))
}

/// Does what follows a `%` begin with the capitals of something that has no other spelling?
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
            "urn:a:B",
            "doc://a%40b",
            "repo://group%2Fproject/a..%2Fb",
            "doc://é",
            "doc://ü 1|2",
            "doc:////a//b",
            "https://board.example/A//b",
            "https://board.example:8443/?q",
            "http://10.0.0.1/",
            "http://[2001:db8::1]:8080/",
            "file:///a|b",
        ] {
            assert!(fault(uri).is_none() && fault_of_pattern(uri).is_none(), "{uri}");
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
            "https://board.example",
            "https://board.example?1",
            "doc://@board/x",
            "doc://:@board/x",
            "doc://board:/x",
            "doc://board:080/x",
            "https://board.example#/1",
            "file:///srv%2Fa",
            "file:///srv/a%5Cb",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://127.1/",
            "http://[0::1]/",
            "http://[::1/",
        ] {
            assert!(fault(uri).is_some() && fault_of_pattern(uri).is_some(), "{uri}");
        }
        for uri in [
            "https://{@board.example/1",
            "https://{x}@board.example/1",
            "https://{@board.example/secret?}",
            "https://a.example{@board.example/x}",
            "https://board.example:{/1",
            "https://{A}/",
            "file://{}/etc/passwd}",
            "file://{x}/srv/a",
            "file://{/etc/passwd?}",
            "file:///etc{//passwd?}",
            "file://{path}",
        ] {
            assert!(fault(uri).is_some(), "{uri}");
        }
        for template in [
            "doc://{+path}{?q,r}",
            "file://{path}",
            "file:///{path}?a=//b",
            "file://{root}{/path*}",
            "https://{host}:{port}/{path}",
            "https://{tenant}.board.example{/path}",
            "http://localhost:3000{/path}",
        ] {
            assert_eq!((fault_of_template(template), fault_of_pattern(template)), (None, None), "{template}");
        }
        for template in ["https://BOARD.example/{id}", "DOC://{id}", "doc://a/../{id}", "file:/srv/{path}", ""] {
            assert!(fault_of_template(template).is_some(), "{template}");
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
            ("https://{host}*", true),
            ("file://{*", true),
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
            ("doc://board:*", true),
            ("doc://@board/*", false),
            ("doc://board:080/*", false),
            ("doc://*%", false),
            ("*%4", false),
            ("doc://x/../board/*", false),
        ] {
            assert_eq!(fault_of_pattern(pattern).is_none(), is_it, "{pattern}");
        }
    }
}
