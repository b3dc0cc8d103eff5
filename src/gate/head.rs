//! What is seen in the head of a request, whoever sent it.

use std::borrow::Cow;

use super::JSON;
use crate::denial::Denial;
use crate::http::{Head, essence};
use crate::mcp::Versions;
use crate::session::is_session_id;

/// What all headers begin with that tell upstream what was verified. Taken away
/// from every request first, so that none of them is ever the caller's.
const IDENTITY_PREFIX: &str = "x-mcp-gate-";

/// The identity headers that the caller claims for itself.
pub(super) fn claimed(head: &Head) -> Vec<Cow<'static, str>> {
    // A server may take an underscore for a hyphen.
    let fold = |byte: u8| if byte == b'_' { b'-' } else { byte };
    let is_ours = |name: &&str| {
        name.len() > IDENTITY_PREFIX.len() && name.bytes().map(fold).zip(IDENTITY_PREFIX.bytes()).all(|(a, b)| a == b)
    };
    head.iter().map(|(name, _)| name).filter(is_ours).map(|name| Cow::Owned(name.to_owned())).collect()
}

/// Would some server route this path as it routes the resource's? Some overlook
/// case, one layer of escapes, a `;parameter`, and slashes, backslashes, dots or
/// spaces at the end.
pub(super) fn is_alike(path: &[u8], resource: &str) -> bool {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((first, tail)) = rest.split_first() {
        let escape = || std::str::from_utf8(tail.get(..2)?).ok().and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (first, escape()) {
            (b';', _) => break,
            (b'%', Some(byte)) => {
                decoded.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            (first, _) => {
                decoded.push(*first);
                rest = tail;
            }
        }
    }
    let trimmed =
        |path: &[u8]| path.iter().rposition(|byte| !b"/\\. ".contains(byte)).map_or(0, |last| last.saturating_add(1));
    let ours = resource.as_bytes();
    decoded
        .get(..trimmed(&decoded))
        .unwrap_or_default()
        .eq_ignore_ascii_case(ours.get(..trimmed(ours)).unwrap_or_default())
}

/// Does a query or a form carry a token (RFC 6750 §2.2, §2.3)? A name with an escape may be any.
pub(super) fn has_token(pairs: &[u8]) -> bool {
    pairs.split(|byte| matches!(byte, b'&' | b';')).any(|pair| {
        let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
        name.contains(&b'%') || name.eq_ignore_ascii_case(b"access_token")
    })
}

/// Does it say that it is of the era without sessions? The body has to agree.
pub(super) fn is_modern(head: &Head) -> bool {
    head.text("mcp-protocol-version").is_some_and(Versions::is_modern)
}

/// Is its session id one, if it is there?
pub(super) fn is_session(head: &Head) -> bool {
    head.get("mcp-session-id").is_ok_and(|id| id.is_none_or(is_session_id))
}

/// Is the body a form, as it stands there?
pub(super) fn is_form(head: &Head) -> bool {
    let is_form = |media_type| essence(media_type).eq_ignore_ascii_case(b"application/x-www-form-urlencoded");
    head.get("content-type").is_ok_and(|media_type| media_type.is_some_and(is_form)) && !head.has("content-encoding")
}

/// `application/json`, in UTF-8 if it says, and not encoded.
pub(super) fn check_media_type(head: &Head) -> Result<(), Denial> {
    let one = |name| head.get(name).map_err(|_| Denial::MediaTypeRefused);
    let media_type = one("content-type")?.and_then(|value| std::str::from_utf8(value).ok()).unwrap_or_default();
    let is_utf8 = media_type.split_once(';').is_none_or(|(_, parameters)| {
        let parameters = parameters.trim_matches([' ', '\t']);
        ["charset=utf-8", "charset=\"utf-8\""].iter().any(|known| parameters.eq_ignore_ascii_case(known))
    });
    let encoding = one("content-encoding")?;
    let is_plain = encoding.is_none_or(|encoding| encoding.eq_ignore_ascii_case(b"identity"));
    if essence(media_type.as_bytes()).eq_ignore_ascii_case(JSON.as_bytes()) && is_utf8 && is_plain {
        Ok(())
    } else {
        Err(Denial::MediaTypeRefused)
    }
}

/// A value for a header: visible ASCII as it is, anything else and `%` itself
/// percent-encoded (RFC 3986 §2.1), so that it can be undone.
pub(super) fn visible(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'%' | ..=0x20 | 0x7f.. => text.push_str(&format!("%{byte:02X}")),
            _ => text.push(char::from(byte)),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_value_is_visible_ascii_and_can_be_undone() {
        assert_eq!(visible("alice@example.com"), "alice@example.com");
        assert_eq!(visible("a b\r\né%"), "a%20b%0D%0A%C3%A9%25");
    }

    #[test]
    fn what_a_server_may_take_for_an_endpoint_is_alike() {
        for path in [
            "/mcp", "/MCP", "/mcp/", "/mcp//", "/mcp;a=b", "/mcp/;a", "/%6dcp", "/mcp%2f", "/mcp\\", "/mcp/.",
            "/mcp%20", "/mcp%5c",
        ] {
            assert!(is_alike(path.as_bytes(), "/mcp"), "{path}");
        }
        for path in ["/", "/mcpx", "/x/mcp", "/mcp/x", "/mc", "/%6d"] {
            assert!(!is_alike(path.as_bytes(), "/mcp"), "{path}");
        }
    }

    #[test]
    fn a_token_in_the_query_is_seen_however_it_is_written() {
        for query in ["access_token=x", "a=1&access_token=x", "ACCESS_TOKEN", "a;access_token=x", "access%5ftoken=x"] {
            assert!(has_token(query.as_bytes()), "{query}");
        }
        assert!(!has_token(b"a=access_token&my_access_token=1"));
    }

    #[test]
    fn media_types_have_one_meaning() {
        let check = |content_type: &str, encoding: Option<&str>| {
            let mut headers = vec![("content-type".to_owned(), content_type.as_bytes().to_vec())];
            headers.extend(encoding.map(|encoding| ("content-encoding".to_owned(), encoding.as_bytes().to_vec())));
            check_media_type(&Head::new(headers)).is_ok()
        };
        for good in [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json;charset=\"UTF-8\"",
        ] {
            assert!(check(good, None), "{good}");
        }
        for bad in [
            "",
            "text/plain",
            "application/jsonp",
            "application/json; charset=utf-16",
            "application/json;x",
            "application/json, text/plain",
            "application/json; charset=utf-8; charset=utf-16",
            "application/json;",
        ] {
            assert!(!check(bad, None), "{bad}");
        }
        assert!(check("application/json", Some("identity")));
        assert!(!check("application/json", Some("gzip")));
        assert!(!check("application/json", Some("")));
    }
}
