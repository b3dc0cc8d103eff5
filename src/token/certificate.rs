//! Tokens bound to a certificate (RFC 8705 §3): `cnf`'s `x5t#S256` against the
//! certificate of the client's connection.
//!
//! Which certificate that is, the host says, and nobody else: Envoy's property
//! `connection.sha256_peer_certificate_digest` is computed by its TLS socket from
//! the certificate whose key the handshake proved. It is absent on a connection
//! without TLS or without a certificate of the client, and no header and no other
//! filter can set it. Whether the certificate was issued by somebody trusted is
//! the listener's business; for the token only the key counts (RFC 8705 §2.2).

use jwt_simple::reexports::ct_codecs::{Decoder as _, Hex};

use super::decode;

/// Is a token with this `x5t#S256` bound to the certificate that the host names?
/// What cannot be read is nobody's.
pub fn is_bound(thumbprint: &str, property: Option<&str>) -> bool {
    let connection = property.and_then(from_connection);
    connection.is_some_and(|digest| from_confirmation(thumbprint) == Some(digest))
}

/// The SHA-256 of a certificate in DER, as Envoy writes it: 64 hexadecimal digits in
/// lower case.
fn from_connection(property: &str) -> Option<[u8; 32]> {
    if property.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    Hex::decode_to_vec(property, None).ok()?.try_into().ok()
}

/// The same, as a token has it: canonical base64url.
fn from_confirmation(thumbprint: &str) -> Option<[u8; 32]> {
    decode(thumbprint).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The SHA-256 of nothing, in both spellings.
    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const BASE64: &str = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";

    #[test]
    fn both_spellings_are_one_digest() {
        let digest = hmac_sha256::Hash::hash(b"");
        assert_eq!(from_connection(HEX), Some(digest));
        assert_eq!(from_confirmation(BASE64), Some(digest));
        let example = from_confirmation("bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg0");
        let connection = "6f070ad1eb1cdc0082dc3076639fe5112b1713ca3d96d734e4ef3d8dd37e760d";
        assert!(example.is_some() && example == from_connection(connection));
        assert!(is_bound(BASE64, Some(HEX)) && !is_bound(BASE64, Some(connection)));
    }

    #[test]
    fn without_a_certificate_nothing_is_bound() {
        assert!(!is_bound(BASE64, None));
        // Nor are two that are both unreadable one.
        for property in [None, Some(""), Some("x"), Some(BASE64), Some(HEX)] {
            assert!(!is_bound("", property) && !is_bound("x", property) && !is_bound(HEX, property), "{property:?}");
        }
    }

    #[test]
    fn another_certificate_is_another_digest() {
        for index in 0..HEX.len() {
            let other = |at: usize, digit: char| match (at == index, digit) {
                (true, '0') => '1',
                (true, _) => '0',
                (false, digit) => digit,
            };
            let other: String = HEX.chars().enumerate().map(|(at, digit)| other(at, digit)).collect();
            assert!(from_connection(&other).is_some() && !is_bound(BASE64, Some(&other)), "{other}");
        }
    }

    #[test]
    fn other_spellings_are_none() {
        let colons = HEX.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap()).collect::<Vec<_>>();
        for property in [
            "",
            HEX.trim_start_matches('e'),
            HEX.trim_start_matches("e3"),
            &format!("{HEX}00"),
            &HEX.to_uppercase(),
            &colons.join(":"),
            &format!("{HEX} "),
            &HEX.replacen("e3", "0x", 1),
            BASE64,
        ] {
            assert_eq!(from_connection(property), None, "{property}");
        }
        for thumbprint in [
            "",
            BASE64.trim_start_matches('4'),
            &format!("{BASE64}="),
            &format!("{BASE64}A"),
            &BASE64.replace("uFU", "uF "),
            // The same 32 bytes, but for bits that no byte has.
            &BASE64.replace("uFU", "uFV"),
            &BASE64.replace('-', "+").replace('_', "/"),
            HEX,
            // The example of RFC 8705 §3.1 has such bits, too: it is no digest of anything.
            "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2",
        ] {
            assert_eq!(from_confirmation(thumbprint), None, "{thumbprint}");
        }
    }
}
