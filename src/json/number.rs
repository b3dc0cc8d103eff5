//! Numbers as they are written, where their value alone does not tell.

use super::Fault;

/// The largest integer that every reader reads alike (RFC 7493 §2.2).
pub(super) const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;
pub(super) const UNSAFE: &str = "a number that no double holds, which parsers read differently; send it as a string";

/// The longest token of a number, in bytes. Some readers have a limit (Jackson: 1000).
const LONGEST: usize = 128;

/// The number that is refused for its token, if there is one: an integer beyond
/// ±(2^53−1), a fraction that becomes zero, one that is too long. `text` is JSON.
pub(super) fn unsafe_number(text: &[u8]) -> Option<(Fault, &'static str)> {
    let mut rest = text;
    while let Some(start) = rest.iter().position(|byte| matches!(byte, b'"' | b'-' | b'0'..=b'9')) {
        rest = rest.get(start..).unwrap_or_default();
        if let Some(string) = rest.strip_prefix(b"\"") {
            rest = behind_string(string);
            continue;
        }
        let is_part = |byte: &u8| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
        let end = rest.iter().position(|byte| !is_part(byte)).unwrap_or(rest.len());
        let (token, behind) = rest.split_at_checked(end).unwrap_or((rest, &[]));
        if token.len() > LONGEST {
            return Some((Fault::TooLarge, "expected numbers of at most 128 characters, found a longer one"));
        }
        if is_unsafe(token) {
            return Some((Fault::Ambiguous, UNSAFE));
        }
        rest = behind;
    }
    None
}

/// What follows the quote at the end of a string.
fn behind_string(string: &[u8]) -> &[u8] {
    let mut rest = string;
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\')) {
        let is_end = rest.get(at) == Some(&b'"');
        let next = at.saturating_add(if is_end { 1 } else { 2 });
        rest = rest.get(next..).unwrap_or_default();
        if is_end {
            return rest;
        }
    }
    &[]
}

fn is_unsafe(token: &[u8]) -> bool {
    let Some(number) = std::str::from_utf8(token).ok().and_then(|token| token.parse::<f64>().ok()) else {
        return true;
    };
    let is_integer = token.iter().all(|byte| byte.is_ascii_digit() || *byte == b'-');
    let mut mantissa = token.iter().take_while(|byte| !byte.eq_ignore_ascii_case(&b'e'));
    match is_integer {
        true => number.abs() > MAX_SAFE_INTEGER as f64,
        false => number == 0.0 && mantissa.any(|byte| matches!(byte, b'1'..=b'9')),
    }
}
