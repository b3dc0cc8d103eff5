//! What a public key is made of, and verification in the module.
//!
//! The types are jwt-simple's, which read a key strictly, and what they hold is
//! asked directly: jwt-simple's own `verify_token` would read header and claims
//! once more, by rules of its own.

use std::fmt;

use jwt_simple::algorithms::{
    ECDSAP256PublicKeyLike as _, ECDSAP384PublicKeyLike as _, ES256PublicKey, ES384PublicKey, Ed25519PublicKey,
    EdDSAPublicKeyLike as _, RSAPublicKey,
};
use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use superboring::hash::MessageDigest;
use superboring::pkey::{PKey, Public};
use superboring::rsa::Padding;
use superboring::sign::Verifier;

use super::Algorithm;

/// One public key, and its SPKI in DER, for the host.
pub(super) struct Material {
    kind: Kind,
    /// Empty where no host verifies.
    spki: Box<[u8]>,
}

enum Kind {
    P256(Box<ES256PublicKey>),
    P384(Box<ES384PublicKey>),
    Ed25519(Box<Ed25519PublicKey>),
    /// One form for all six algorithms.
    Rsa(Box<PKey<Public>>),
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::P256(_) => "P-256",
            Kind::P384(_) => "P-384",
            Kind::Ed25519(_) => "Ed25519",
            Kind::Rsa(_) => "RSA",
        })
    }
}

impl Material {
    /// A point on P-256, if it is one, by its coordinates of 32 bytes each.
    pub(super) fn p256(x: &[u8], y: &[u8]) -> Option<Self> {
        let key = ES256PublicKey::from_bytes(&uncompressed(x, y)).ok()?;
        let spki = key.public_key().to_der().ok()?.into();
        Some(Self { kind: Kind::P256(Box::new(key)), spki })
    }

    /// A point on P-384, if it is one, by its coordinates of 48 bytes each.
    pub(super) fn p384(x: &[u8], y: &[u8]) -> Option<Self> {
        let key = ES384PublicKey::from_bytes(&uncompressed(x, y)).ok()?;
        let spki = key.public_key().to_der().ok()?.into();
        Some(Self { kind: Kind::P384(Box::new(key)), spki })
    }

    /// A point on edwards25519 in its 32 bytes. None of small order: to such a key
    /// one signature fits any text.
    pub(super) fn ed25519(x: &[u8]) -> Option<Self> {
        let key = Ed25519PublicKey::from_bytes(x).ok()?;
        Some(Self { kind: Kind::Ed25519(Box::new(key)), spki: Box::default() })
    }

    /// A modulus of 2048 to 4096 bits; the exponent is 65537.
    pub(super) fn rsa(modulus: &[u8]) -> Option<Self> {
        let key = RSAPublicKey::from_components(modulus, &[1, 0, 1]).ok()?;
        let spki = key.to_der().ok()?.into();
        let key = PKey::from_rsa(key.as_ref().clone()).ok()?;
        Some(Self { kind: Kind::Rsa(Box::new(key)), spki })
    }

    /// May a key of this kind serve that algorithm?
    pub(super) fn fits(&self, algorithm: Algorithm) -> bool {
        use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
        match self.kind {
            Kind::P256(_) => algorithm == ES256,
            Kind::P384(_) => algorithm == ES384,
            Kind::Ed25519(_) => algorithm == EdDSA,
            Kind::Rsa(_) => matches!(algorithm, RS256 | RS384 | RS512 | PS256 | PS384 | PS512),
        }
    }

    pub(super) fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The signature as the host takes it, if it has the form that it must have.
    ///
    /// This is all that stands between the two ways to verify, so it refuses
    /// whatever the module refuses for its form: another length, r or s that is
    /// zero or not below the order of the group.
    pub(super) fn for_host(&self, signature: &[u8]) -> Option<Vec<u8>> {
        match &self.kind {
            Kind::P256(_) => Some(p256::ecdsa::Signature::from_slice(signature).ok()?.to_der().as_bytes().to_vec()),
            Kind::P384(_) => Some(p384::ecdsa::Signature::from_slice(signature).ok()?.to_der().as_bytes().to_vec()),
            Kind::Rsa(key) => (signature.len() == size(key)).then(|| signature.to_vec()),
            Kind::Ed25519(_) => None,
        }
    }

    /// Verifies in the module.
    pub(super) fn verify(&self, algorithm: Algorithm, signature: &[u8], text: &[u8]) -> bool {
        let (digest, padding) = match (&self.kind, algorithm) {
            (Kind::P256(key), Algorithm::ES256) => {
                // `r || s` of the curve's length, both in range (RFC 7518 §3.4).
                let Ok(signature) = p256::ecdsa::Signature::from_slice(signature) else { return false };
                let digest = hmac_sha256::Hash::hash(text);
                return key.public_key().as_ref().verify_prehash(&digest, &signature).is_ok();
            }
            (Kind::P384(key), Algorithm::ES384) => {
                let Ok(signature) = p384::ecdsa::Signature::from_slice(signature) else { return false };
                let digest = hmac_sha512::sha384::Hash::hash(text);
                return key.public_key().as_ref().verify_prehash(&digest, &signature).is_ok();
            }
            (Kind::Ed25519(key), Algorithm::EdDSA) => {
                let Ok(signature) = ed25519_compact::Signature::from_slice(signature) else { return false };
                return key.public_key().as_ref().verify(text, &signature).is_ok();
            }
            (Kind::Rsa(_), Algorithm::RS256) => (MessageDigest::sha256(), Padding::PKCS1),
            (Kind::Rsa(_), Algorithm::RS384) => (MessageDigest::sha384(), Padding::PKCS1),
            (Kind::Rsa(_), Algorithm::RS512) => (MessageDigest::sha512(), Padding::PKCS1),
            // The salt is as long as the hash (RFC 7518 §3.5): what the verifier takes by itself.
            (Kind::Rsa(_), Algorithm::PS256) => (MessageDigest::sha256(), Padding::PKCS1_PSS),
            (Kind::Rsa(_), Algorithm::PS384) => (MessageDigest::sha384(), Padding::PKCS1_PSS),
            (Kind::Rsa(_), Algorithm::PS512) => (MessageDigest::sha512(), Padding::PKCS1_PSS),
            _ => return false,
        };
        let Kind::Rsa(key) = &self.kind else { return false };
        let verified = || -> Result<bool, superboring::error::ErrorStack> {
            let mut verifier = Verifier::new(digest, key)?;
            verifier.set_rsa_padding(padding)?;
            verifier.update(text)?;
            verifier.verify(signature)
        };
        verified().unwrap_or(false)
    }
}

/// The bytes of a modulus.
fn size(key: &PKey<Public>) -> usize {
    match key {
        PKey::Rsa(key) => key.size() as usize,
        PKey::None => 0,
    }
}

/// A point as SEC 1 §2.3.3 writes it.
fn uncompressed(x: &[u8], y: &[u8]) -> Vec<u8> {
    [&[4], x, y].concat()
}
