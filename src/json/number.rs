//! Numbers as they are written, where their value alone does not tell.

/// The largest integer that every reader reads alike (RFC 7493 §2.2).
pub(super) const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;
pub(super) const UNSAFE: &str = "a number that no double holds, which parsers read differently; send it as a string";

/// Is there a token of an integer beyond ±(2^53−1), or of a fraction that becomes
/// zero? `text` is JSON.
pub(super) fn has_unsafe_number(text: &[u8]) -> bool {
    let mut rest = text.iter().enumerate();
    while let Some((start, byte)) = rest.next() {
        match byte {
            b'"' => {
                // The string, up to its own quote.
                while let Some((_, byte)) = rest.next().filter(|(_, byte)| **byte != b'"') {
                    if *byte == b'\\' {
                        rest.next();
                    }
                }
            }
            b'-' | b'0'..=b'9' => {
                let tail = text.get(start..).unwrap_or_default();
                let end = tail.iter().position(|byte| !matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9'));
                let token = tail.get(..end.unwrap_or(tail.len())).unwrap_or_default();
                if is_unsafe(token) {
                    return true;
                }
                // The next byte is behind the token.
                rest.by_ref().take(token.len().saturating_sub(1)).for_each(drop);
            }
            _ => {}
        }
    }
    false
}

fn is_unsafe(token: &[u8]) -> bool {
    let number = std::str::from_utf8(token).ok().and_then(|token| token.parse::<f64>().ok()).unwrap_or(f64::NAN);
    let is_integer = token.iter().all(|byte| byte.is_ascii_digit() || *byte == b'-');
    let mut mantissa = token.iter().take_while(|byte| !byte.eq_ignore_ascii_case(&b'e'));
    match is_integer {
        true => number.abs() > MAX_SAFE_INTEGER as f64,
        false => number == 0.0 && mantissa.any(|byte| matches!(byte, b'1'..=b'9')),
    }
}
