//! The keys of one issuer: a JWK Set (RFC 7517 §5) in, verified signatures out.
//!
//! A key is bound to its algorithms when it is read, so a token never chooses how
//! it is verified; it names a key and an algorithm, and gets the key only if both
//! fit (RFC 8725 §3.1). `jwk` reads keys, `material` holds them, `crypto` says
//! whether the host or the module computes. What a token claims is not looked at
//! here, nor is its header.

mod crypto;
mod jwk;
mod known;
mod material;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

pub use crypto::{Crypto, HostVerify};
use jwk::Key;
pub use jwk::PRIVATE;

/// A JWS algorithm that the gate verifies (RFC 7518 §3.1, RFC 8037, RFC 9864).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// ECDSA on P-384 with SHA-384.
    ES384,
    /// Ed25519, under its older name; RFC 9864 calls it `Ed25519`.
    #[serde(alias = "Ed25519")]
    EdDSA,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RS384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RS512,
    /// RSASSA-PSS with SHA-256.
    PS256,
    /// RSASSA-PSS with SHA-384.
    PS384,
    /// RSASSA-PSS with SHA-512.
    PS512,
}

impl Algorithm {
    /// All of them, in the order of preference. None is symmetric.
    pub const ALL: [Self; 9] = [
        Self::ES256,
        Self::ES384,
        Self::EdDSA,
        Self::RS256,
        Self::RS384,
        Self::RS512,
        Self::PS256,
        Self::PS384,
        Self::PS512,
    ];

    /// RSASSA-PSS, which no host verifies, and which an RSA key serves beside the other padding.
    pub fn is_pss(self) -> bool {
        matches!(self, Self::PS256 | Self::PS384 | Self::PS512)
    }

    /// The algorithm of this `alg`; byte-exact.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "Ed25519" => Some(Self::EdDSA),
            name => Self::ALL.into_iter().find(|algorithm| algorithm.name() == name),
        }
    }

    /// Its `alg`.
    pub fn name(self) -> &'static str {
        match self {
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::EdDSA => "EdDSA",
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The public keys of one issuer. Empty until they are known.
#[derive(Default)]
pub struct Keys(Vec<Key>);

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kids = self.0.iter().map(|key| key.kid.as_deref().unwrap_or("(no kid)"));
        f.debug_list().entries(kids).finish()
    }
}

/// The signature is not that of the key.
#[derive(Debug, PartialEq, Eq)]
pub struct Mismatch;

impl Keys {
    /// Reads the members of a JWK Set's `keys`: those that are usable, and each
    /// other one by its index and with the reason. A bad key harms no other but
    /// the one that it shares its name with.
    pub fn read(jwks: &[serde_json::Value]) -> (Self, Vec<(usize, String)>) {
        let mut keys = Vec::new();
        let mut findings = Vec::new();
        for (index, jwk) in jwks.iter().enumerate() {
            match Key::read(jwk) {
                Ok(key) => keys.push((index, key)),
                Err(reason) => findings.push((index, reason)),
            }
        }
        // Neither the first nor the last: whoever put the second one there would
        // otherwise decide which of them counts.
        let names: Vec<Option<String>> = keys.iter().map(|(_, key)| key.kid.clone()).collect();
        let is_ambiguous =
            |key: &Key| key.kid.is_some() && names.iter().filter(|name| **name == key.kid).nth(1).is_some();
        let (ambiguous, keys): (Vec<_>, Vec<_>) = keys.into_iter().partition(|(_, key)| is_ambiguous(key));
        let reason = "`kid`: expected a name that no other key of the set has; keys of one name are all refused";
        findings.extend(ambiguous.into_iter().map(|(index, _)| (index, reason.to_owned())));
        findings.sort_by_key(|(index, _)| *index);
        (Self(keys.into_iter().map(|(_, key)| key).collect()), findings)
    }

    /// Is there no key at all?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The key that a token names, if it serves this algorithm. A token without
    /// `kid` gets the one key that does, if there is but one: nothing is tried out.
    pub fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<VerifyingKey<'_>> {
        let is_named = |key: &&Key| kid.is_none() || key.kid.as_deref() == kid;
        let mut eligible = self.0.iter().filter(|key| key.serves(algorithm)).filter(is_named);
        match (eligible.next(), eligible.next()) {
            (Some(key), None) => Some(VerifyingKey { key, algorithm }),
            _ => None,
        }
    }
}

/// One key, found, and the algorithm for which it was.
#[derive(Clone, Copy)]
pub struct VerifyingKey<'a> {
    key: &'a Key,
    algorithm: Algorithm,
}

impl fmt::Debug for VerifyingKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({})", self.algorithm)
    }
}

impl VerifyingKey<'_> {
    /// Does the key itself say for which algorithm it is?
    pub fn says_algorithm(self) -> bool {
        self.key.algorithm.is_some()
    }

    /// Verifies the signature of a compact JWS over its header and payload as
    /// received (RFC 7515 §5.2). What they say is the caller's to check.
    pub fn verify(self, jws: &str, crypto: &Crypto) -> Result<(), Mismatch> {
        let (text, signature) = jws.rsplit_once('.').ok_or(Mismatch)?;
        if text.bytes().filter(|byte| *byte == b'.').count() != 1 {
            return Err(Mismatch);
        }
        // Canonical: one text for one signature.
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| Mismatch)?;
        match crypto.verify(&self.key.material, self.algorithm, &signature, text.as_bytes()) {
            true => Ok(()),
            false => Err(Mismatch),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jwt_simple::prelude::{Claims, Duration, ECDSAP256KeyPairLike as _, ES256KeyPair, Ed25519KeyPair};
    use serde_json::{Value, json};

    fn jwk(kid: &str) -> Value {
        let mut jwk: Value = serde_json::from_str(&ES256KeyPair::generate().public_key().to_jwk()).unwrap();
        jwk["kid"] = json!(kid);
        jwk
    }

    fn indexes(findings: &[(usize, String)]) -> Vec<usize> {
        findings.iter().map(|(index, _)| *index).collect()
    }

    #[test]
    fn every_algorithm_has_its_name_and_none_is_symmetric() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::from_name(algorithm.name()), Some(algorithm));
            assert_eq!(serde_json::from_value::<Algorithm>(json!(algorithm.name())).unwrap(), algorithm);
        }
        assert_eq!(Algorithm::from_name("Ed25519"), Some(Algorithm::EdDSA));
        assert_eq!(serde_json::from_value::<Algorithm>(json!("Ed25519")).unwrap(), Algorithm::EdDSA);
        for name in ["", "none", "NONE", "HS256", "HS512", "es256", "ES256 ", "ES256K", "ES512", "Ed448", "RSA1_5"] {
            assert_eq!(Algorithm::from_name(name), None, "{name}");
        }
    }

    #[test]
    fn a_key_is_found_by_its_kid_and_algorithm_alone() {
        let mut ed: Value = serde_json::from_str(&Ed25519KeyPair::generate().public_key().to_jwk()).unwrap();
        ed["kid"] = json!("ed");
        let (keys, findings) = Keys::read(&[jwk("a"), jwk("b"), ed]);
        assert_eq!(findings, []);
        assert!(keys.find(Some("a"), Algorithm::ES256).is_some());
        for other in Algorithm::ALL.into_iter().filter(|other| *other != Algorithm::ES256) {
            assert!(keys.find(Some("a"), other).is_none(), "{other}");
        }
        for kid in ["A", "a ", " a", "a\0", "", "c"] {
            assert!(keys.find(Some(kid), Algorithm::ES256).is_none(), "{kid:?}");
        }
        assert!(keys.find(None, Algorithm::ES256).is_none(), "two keys could be meant");
        assert!(keys.find(None, Algorithm::EdDSA).is_some());
    }

    #[test]
    fn keys_of_one_name_are_all_refused_and_the_others_work() {
        let mut nameless = jwk("");
        nameless.as_object_mut().unwrap().remove("kid");
        let (keys, findings) = Keys::read(&[jwk("a"), jwk("b"), jwk("a"), nameless.clone()]);
        assert_eq!(indexes(&findings), [0, 2]);
        assert!(findings.iter().all(|(_, reason)| reason.starts_with("`kid`: ")));
        assert!(keys.find(Some("a"), Algorithm::ES256).is_none());
        assert!(keys.find(Some("b"), Algorithm::ES256).is_some());
        // Keys without a name are not of one name, and no name finds them.
        let (keys, findings) = Keys::read(&[nameless.clone(), nameless]);
        assert_eq!(findings, []);
        assert!(keys.find(None, Algorithm::ES256).is_none());
        // What is unusable is in nobody's way.
        let unusable = json!({"kty": "oct", "k": "AA", "kid": "a"});
        let (keys, findings) = Keys::read(&[unusable, jwk("a")]);
        assert_eq!(indexes(&findings), [0]);
        assert!(keys.find(Some("a"), Algorithm::ES256).is_some());
    }

    #[test]
    fn debug_shows_names_and_no_material() {
        let keys = Keys::read(&[jwk("a")]).0;
        assert_eq!(format!("{keys:?}"), "[\"a\"]");
        assert_eq!(format!("{:?}", keys.find(None, Algorithm::ES256).unwrap()), "VerifyingKey(ES256)");
    }

    #[test]
    fn a_signature_is_verified_over_what_was_received_and_nothing_else_is_looked_at() {
        let pair = ES256KeyPair::generate();
        let keys = Keys::read(&[serde_json::from_str(&pair.public_key().to_jwk()).unwrap()]).0;
        let key = keys.find(None, Algorithm::ES256).unwrap();
        let crypto = Crypto::default();
        let jws = pair.sign(Claims::create(Duration::from_secs(0))).unwrap();
        assert_eq!(key.verify(&jws, &crypto), Ok(()));
        let other = ES256KeyPair::generate().sign(Claims::create(Duration::from_secs(1))).unwrap();
        assert_eq!(key.verify(&other, &crypto), Err(Mismatch));
        let (text, signature) = jws.rsplit_once('.').unwrap();
        for bad in [
            String::new(),
            ".".into(),
            "..".into(),
            text.into(),
            format!("{text}."),
            format!("{text}.{signature}="),
            format!("{text}.{signature}."),
            format!("{text}..{signature}"),
            format!(".{text}.{signature}"),
            format!("{text} .{signature}"),
            format!("{}.{signature}", text.replace('.', "")),
        ] {
            assert_eq!(key.verify(&bad, &crypto), Err(Mismatch), "{bad}");
        }
    }
}
