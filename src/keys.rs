//! The keys of one issuer: a JWK Set (RFC 7517 §5) in, verified signatures out.
//!
//! A key is bound to one algorithm when it is read, so a token never chooses
//! how it is verified; it only names a key (RFC 8725 §3.1). Parsing and
//! cryptography are jwt-simple's.

mod crypto;

use std::fmt;

use jwt_simple::algorithms::{
    ECDSAP256PublicKeyLike as _, ES256PublicKey, Ed25519PublicKey, EdDSAPublicKeyLike as _, RS256PublicKey,
    RSAPublicKeyLike as _,
};
use jwt_simple::claims::NoCustomClaims;
use jwt_simple::common::VerificationOptions;
use jwt_simple::prelude::{Duration, UnixTimeStamp};
use serde::Deserialize;

pub use crypto::{Crypto, HostVerify};

/// A JWS algorithm that the gate verifies (RFC 7518 §3.1, RFC 8037, RFC 9864).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// Ed25519, under its older name.
    EdDSA,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
}

impl Algorithm {
    /// All of them, in the order of preference.
    pub const ALL: [Self; 3] = [Self::ES256, Self::EdDSA, Self::RS256];

    /// Its `alg`.
    pub fn name(self) -> &'static str {
        match self {
            Self::ES256 => "ES256",
            Self::EdDSA => "EdDSA",
            Self::RS256 => "RS256",
        }
    }

    /// The algorithm of this `alg`; byte-exact.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "ES256" => Some(Self::ES256),
            "EdDSA" => Some(Self::EdDSA),
            "RS256" => Some(Self::RS256),
            _ => None,
        }
    }
}

/// The public keys of one issuer. Empty until they are known.
#[derive(Default)]
pub struct Keys(Vec<Key>);

struct Key {
    kid: Option<String>,
    material: Material,
}

enum Material {
    ES256(Box<ES256PublicKey>),
    EdDSA(Box<Ed25519PublicKey>),
    RS256(Box<RS256PublicKey>),
}

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
    /// other one by its index and with the reason.
    pub fn read(jwks: &[serde_json::Value]) -> (Self, Vec<(usize, String)>) {
        let mut keys: Vec<Key> = Vec::new();
        let mut findings = Vec::new();
        for (index, jwk) in jwks.iter().enumerate() {
            match Key::read(jwk) {
                Ok(key) if keys.iter().any(|known| known.kid == key.kid) => {
                    findings.push((
                        index,
                        "expected a `kid` that no other key has; two keys of one name are ambiguous".into(),
                    ));
                }
                Ok(key) => keys.push(key),
                Err(reason) => findings.push((index, reason)),
            }
        }
        (Self(keys), findings)
    }

    /// Is there no key at all?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The key that a token names. A token without `kid` gets the one key of its
    /// algorithm, if there is but one: nothing is tried out.
    pub fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<VerifyingKey<'_>> {
        let mut eligible = self
            .0
            .iter()
            .filter(|key| key.material.algorithm() == algorithm && (kid.is_none() || key.kid.as_deref() == kid));
        match (eligible.next(), eligible.next()) {
            (Some(key), None) => Some(VerifyingKey(&key.material)),
            _ => None,
        }
    }
}

/// One key, found.
#[derive(Clone, Copy)]
pub struct VerifyingKey<'a>(&'a Material);

impl fmt::Debug for VerifyingKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({:?})", self.0.algorithm())
    }
}

impl VerifyingKey<'_> {
    /// Verifies the signature of a compact JWS over its header and payload as received.
    pub fn verify(self, jws: &str, _crypto: &Crypto) -> Result<(), Mismatch> {
        // Signature only: at time zero nothing has expired and the future is
        // accepted. What the claims must say is checked in `token`, check by
        // check and each with its own code.
        let options = VerificationOptions {
            accept_future: true,
            artificial_time: Some(UnixTimeStamp::from_secs(0)),
            time_tolerance: Some(Duration::from_secs(0)),
            ..VerificationOptions::default()
        };
        let claims = match self.0 {
            Material::ES256(key) => key.verify_token::<NoCustomClaims>(jws, Some(options)),
            Material::EdDSA(key) => key.verify_token::<NoCustomClaims>(jws, Some(options)),
            Material::RS256(key) => key.verify_token::<NoCustomClaims>(jws, Some(options)),
        };
        claims.map(drop).map_err(|_| Mismatch)
    }
}

impl Material {
    fn algorithm(&self) -> Algorithm {
        match self {
            Self::ES256(_) => Algorithm::ES256,
            Self::EdDSA(_) => Algorithm::EdDSA,
            Self::RS256(_) => Algorithm::RS256,
        }
    }
}

impl Key {
    fn read(jwk: &serde_json::Value) -> Result<Self, String> {
        let text = |name: &str| jwk.get(name).and_then(serde_json::Value::as_str);
        if jwk.get("d").is_some() || jwk.get("k").is_some() {
            return Err("expected a public key, found private material; publish it nowhere and rotate the key".into());
        }
        let kid = match jwk.get("kid") {
            None => None,
            Some(serde_json::Value::String(kid)) => Some(kid.clone()),
            Some(_) => return Err("`kid`: expected a string".into()),
        };
        let json = jwk.to_string();
        let unusable = |error: jwt_simple::Error| format!("unusable key: {error}");
        let material = match (text("kty"), text("crv")) {
            (Some("EC"), Some("P-256")) => ES256PublicKey::from_jwk(&json).map(|key| Material::ES256(Box::new(key))),
            (Some("OKP"), Some("Ed25519")) => {
                Ed25519PublicKey::from_jwk(&json).map(|key| Material::EdDSA(Box::new(key)))
            }
            (Some("RSA"), None) => RS256PublicKey::from_jwk(&json).map(|key| Material::RS256(Box::new(key))),
            _ => return Err("expected an `EC` key on `P-256`, an `OKP` key on `Ed25519`, or an `RSA` key".into()),
        };
        Ok(Self { kid, material: material.map_err(unusable)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jwt_simple::prelude::{ECDSAP256KeyPairLike as _, ES256KeyPair, Ed25519KeyPair};
    use serde_json::json;

    fn jwk(kid: &str) -> serde_json::Value {
        let mut jwk: serde_json::Value = serde_json::from_str(&ES256KeyPair::generate().public_key().to_jwk()).unwrap();
        jwk["kid"] = json!(kid);
        jwk
    }

    #[test]
    fn a_key_is_found_by_its_kid_and_algorithm_alone() {
        let mut ed: serde_json::Value =
            serde_json::from_str(&Ed25519KeyPair::generate().public_key().to_jwk()).unwrap();
        ed["kid"] = json!("ed");
        let keys = Keys::read(&[jwk("a"), jwk("b"), ed]).0;
        assert!(keys.find(Some("a"), Algorithm::ES256).is_some());
        assert!(keys.find(Some("a"), Algorithm::RS256).is_none());
        assert!(keys.find(Some("A"), Algorithm::ES256).is_none());
        assert!(keys.find(None, Algorithm::ES256).is_none(), "two keys could be meant");
        assert!(keys.find(None, Algorithm::EdDSA).is_some());
    }

    #[test]
    fn unusable_keys_are_named_with_the_reason() {
        let private: serde_json::Value = serde_json::from_str(&ES256KeyPair::generate().to_jwk()).unwrap();
        let (keys, findings) = Keys::read(&[
            jwk("a"),
            jwk("a"),
            private,
            json!({"kty": "oct", "k": "AA"}),
            json!({"kty": "EC", "crv": "P-521"}),
        ]);
        assert!(keys.find(Some("a"), Algorithm::ES256).is_some());
        let indexes: Vec<_> = findings.iter().map(|(index, _)| *index).collect();
        assert_eq!(indexes, [1, 2, 3, 4]);
        assert!(findings[1].1.contains("private"));
    }

    #[test]
    fn debug_shows_names_and_no_material() {
        assert_eq!(format!("{:?}", Keys::read(&[jwk("a")]).0), "[\"a\"]");
    }

    #[test]
    fn a_signature_is_verified_whatever_the_claims_say() {
        let pair = ES256KeyPair::generate();
        let keys = Keys::read(&[serde_json::from_str(&pair.public_key().to_jwk()).unwrap()]).0;
        let claims = jwt_simple::claims::Claims::create(Duration::from_secs(1));
        let jws = pair.sign(claims).unwrap();
        let key = keys.find(None, Algorithm::ES256).unwrap();
        assert_eq!(key.verify(&jws, &Crypto::default()), Ok(()));
        let other = ES256KeyPair::generate().sign(jwt_simple::claims::Claims::create(Duration::from_secs(1))).unwrap();
        assert_eq!(key.verify(&other, &Crypto::default()), Err(Mismatch));
    }
}
