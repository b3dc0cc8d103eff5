//! A secret, and the keys that are made of it.
//!
//! One that an operator gives stands in a variable, never in a configuration,
//! and serves many proxies; without it the proxy makes one for itself. What uses
//! it takes a key of its own under a label (HKDF, RFC 5869), so that no two uses
//! share one. Never printed.

use std::fmt;

use hmac_sha256::HKDF;
use jwt_simple::reexports::ct_codecs::{Base64UrlSafeNoPadding, Decoder as _};

/// The fewest bytes of one: as many as a key has that is made of it.
const LEAST: usize = 32;

/// A secret that keys are made of.
pub struct Secret {
    key: [u8; 32],
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// From bytes that nobody can guess.
    pub fn new(bytes: &[u8]) -> Self {
        Self { key: HKDF::extract("mcp-gate", bytes) }
    }

    /// From base64url without padding, of at least 256 bits. The error says nothing of
    /// the text but how long it is.
    pub fn read(text: &str) -> Result<Self, String> {
        const HOW: &str = "make one with `openssl rand -base64 32 | tr '+/' '-_' | tr -d =`";
        let bytes = Base64UrlSafeNoPadding::decode_to_vec(text, None);
        let bytes = bytes.map_err(|_| format!("expected base64url without padding, found other characters; {HOW}"))?;
        match bytes.len() {
            length if length < LEAST => Err(format!(
                "expected at least {} bits of base64url, found {}; {HOW}",
                LEAST.saturating_mul(8),
                length.saturating_mul(8)
            )),
            _ => Ok(Self::new(&bytes)),
        }
    }

    /// The key for one use.
    pub fn key(&self, label: &str) -> [u8; 32] {
        let mut key = [0; 32];
        HKDF::expand(&mut key, self.key, label);
        key
    }

    /// Are they the same?
    pub fn is(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_base64url_of_256_bits() {
        let text = "A".repeat(43);
        assert!(Secret::read(&text).unwrap().is(&Secret::new(&[0; 32])));
        for (text, says) in [
            ("", "found 0"),
            ("QUJD", "at least 256 bits of base64url, found 24"),
            (&"A".repeat(42), "found 248"),
            (&format!("{}B", "A".repeat(42)), "characters"),
            (&format!("{text}="), "without padding"),
            (&format!("{}+/A", "A".repeat(40)), "characters"),
            (&format!(" {text}"), "characters"),
        ] {
            let error = Secret::read(text).unwrap_err();
            assert!(error.contains(says) && (text.is_empty() || !error.contains(text)), "{error}");
        }
    }

    #[test]
    fn each_use_has_a_key_of_its_own() {
        let secret = Secret::new(&[7; 32]);
        assert_eq!(secret.key("a"), secret.key("a"));
        assert_ne!(secret.key("a"), secret.key("b"));
        assert_ne!(secret.key("a"), Secret::new(&[8; 32]).key("a"));
        assert!(secret.is(&Secret::new(&[7; 32])) && !secret.is(&Secret::new(&[8; 32])));
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }
}
