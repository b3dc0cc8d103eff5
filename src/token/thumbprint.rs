//! The name of a key that follows from the key itself: `jkt` (RFC 7638).

use super::{decode, encode};
use crate::json::{Json, Object};

/// The thumbprint of a key: the hash of its required members alone, in the order of
/// their names (RFC 7638 §3). Each has one spelling (RFC 7518 §6.2.1, §6.3.1; RFC 8037
/// §2), so a key has one thumbprint.
pub fn of(jwk: &Object<'_>) -> Option<String> {
    let text = |name: &str| jwk.get(name).and_then(Json::as_str);
    let bytes = |name: &str, size: usize| text(name).filter(|text| decode(text).is_ok_and(|it| it.len() == size));
    let is_number = |bytes: Vec<u8>| bytes.first().is_some_and(|first| *first != 0);
    let number = |name: &str| text(name).filter(|text| decode(text).is_ok_and(is_number));
    let members = match (text("kty")?, text("crv")) {
        ("EC", Some(curve @ ("P-256" | "P-384"))) => {
            let size = if curve == "P-256" { 32 } else { 48 };
            format!(r#"{{"crv":"{curve}","kty":"EC","x":"{}","y":"{}"}}"#, bytes("x", size)?, bytes("y", size)?)
        }
        ("OKP", Some("Ed25519")) => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, bytes("x", 32)?),
        ("RSA", None) => format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, number("e")?, number("n")?),
        _ => return None,
    };
    Some(encode(&hmac_sha256::Hash::hash(members.as_bytes())))
}

/// The key of RFC 9449's examples (§4.1, Figure 3).
#[cfg(test)]
pub(super) const EXAMPLE: &str = r#"{"kty":"EC","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
    "y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA","crv":"P-256"}"#;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::json::Limits;

    fn read(jwk: &str) -> Option<String> {
        let Ok(Json::Object(jwk)) = Json::read(jwk.as_bytes(), Limits::default()) else { panic!("an object") };
        of(&jwk)
    }

    #[test]
    fn thumbprints_are_those_of_the_rfcs() {
        // RFC 7638 §3.1
        let rsa = r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}"#;
        assert_eq!(read(rsa).unwrap(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        // RFC 8037 A.3
        let okp = r#"{"x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","crv":"Ed25519","kty":"OKP"}"#;
        assert_eq!(read(okp).unwrap(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        assert_eq!(read(EXAMPLE).unwrap(), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
        // P-384, of which they have none: its base point, hashed by another program.
        let p384 = r#"{"kty":"EC","crv":"P-384","x":"qofKIr6LBTeOscce8yCtdG4dO2KLp5uYWfdB4IJUKjhVAvJdv1UpbDpUXjhydgq3","y":"NhfeSpYmLG9dnpi_kpLcKfj0Hb0omhR86doxE7XwuMAKYLHOHX6BnXpDHXyQ6g5f"}"#;
        assert_eq!(read(p384).unwrap(), "-W6Wzot_wuerYbKBVKfGEks3iY2EALna-hBqObnPuJE");
    }

    #[test]
    fn a_key_has_one_spelling() {
        let x = "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs";
        let y = "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA";
        let zero = "AJfLRa4cft-LVd4USAkQ2PcwpA5aQYReNlEFH1lQFgRb";
        for jwk in [
            json!({}),
            json!({"kty": "oct", "k": "AA"}),
            json!({"kty": "ec", "crv": "P-256", "x": x, "y": y}),
            json!({"kty": "EC", "crv": "P-384", "x": x, "y": y}),
            json!({"kty": "EC", "crv": "P-256K", "x": x, "y": y}),
            json!({"kty": "EC", "x": x, "y": y}),
            json!({"kty": "EC", "crv": "P-256", "x": x}),
            json!({"kty": "EC", "crv": "P-256", "x": x, "y": 1}),
            json!({"kty": "EC", "crv": "P-256", "x": format!("{x}="), "y": y}),
            json!({"kty": "EC", "crv": "P-256", "x": x.replace("BFs", "BFt"), "y": y}),
            json!({"kty": "EC", "crv": "P-256", "x": zero, "y": y}),
            json!({"kty": "OKP", "crv": "Ed25519", "x": "AA"}),
            json!({"kty": "OKP", "crv": "Ed448", "x": x}),
            json!({"kty": "RSA", "n": "AQAB", "e": ""}),
            json!({"kty": "RSA", "n": "AQAB", "e": "AAEAAQ"}),
            json!({"kty": "RSA", "n": "AAEAAQ", "e": "AQAB"}),
            json!({"kty": "RSA", "n": "AQAB"}),
        ] {
            assert_eq!(read(&jwk.to_string()), None, "{jwk}");
        }
    }
}
