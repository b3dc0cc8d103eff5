//! A SHA-256 as it stands in a configuration.

use crate::token::api_key;

/// Reads 64 hexadecimal digits in lower case, or says what was found without repeating it:
/// it may be a key.
pub(super) fn digest(text: &str) -> Result<[u8; 32], String> {
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    let mut digest = [0; 32];
    if text.len() == 64 && is_hex(text) {
        for (byte, at) in digest.iter_mut().zip((0_usize..64).step_by(2)) {
            let digits = text.get(at..at.saturating_add(2)).unwrap_or_default();
            *byte = u8::from_str_radix(digits, 16).unwrap_or_default();
        }
        return Ok(digest);
    }
    let lower = text.to_ascii_lowercase();
    let found = if text.starts_with(api_key::PREFIX) {
        "a key itself, which must not stand here: replace it, for it has been written down".to_owned()
    } else if text.is_empty() {
        "an empty text".to_owned()
    } else if lower.trim().strip_prefix("sha256").is_some_and(|rest| is_hex(rest.trim_start_matches([':', '-', '=']))) {
        "`sha256` before it, too; write the digits alone".to_owned()
    } else if is_hex(&lower) && text.len() == 64 {
        "digits in upper case".to_owned()
    } else if is_hex(&lower) {
        format!("{} of them", text.len())
    } else if text.trim() != text {
        "white space around it".to_owned()
    } else {
        format!("{} characters, among them others", text.chars().count())
    };
    Err(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_digest_is_said_and_what_it_is_is_not() {
        let good = "0a".repeat(32);
        assert_eq!(digest(&good), Ok([10; 32]));
        for (text, found) in [
            (good.to_uppercase(), "digits in upper case"),
            (format!("sha256:{good}"), "`sha256` before it"),
            (format!("SHA256:{good}"), "`sha256` before it"),
            (good.repeat(2), "128 of them"),
            ("0a".repeat(20), "40 of them"),
            (format!("{}{good}", api_key::PREFIX), "a key itself"),
            (format!(" {good}\n"), "white space around it"),
            (String::new(), "an empty text"),
            ("x".repeat(64), "64 characters, among them others"),
        ] {
            let problem = digest(&text).unwrap_err();
            assert!(problem.starts_with(found) && !problem.contains("0a0a"), "{text}: {problem}");
        }
    }
}
