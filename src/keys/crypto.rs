//! Who computes: the module itself, or the host, for what it proved that it can.
//!
//! A host's own cryptography is ten times as fast as the module's. It is asked
//! for an algorithm only after it gave the known answers of `known`, good and
//! bad; and only about a signature whose form the module would take, so that it
//! decides nothing but whether the numbers fit. It is never asked about PSS and
//! Ed25519, which no host offers.

use super::Algorithm;
use super::known::Known;
use super::material::Material;

/// The host's own verification of a signature: a hash by name, a key as SPKI in
/// DER, a signature (RSASSA-PKCS1-v1_5, or ECDSA in DER), and what was signed.
/// `None` if the host cannot say.
pub type HostVerify = fn(hash: &str, spki: &[u8], signature: &[u8], text: &[u8]) -> Option<bool>;

/// Who verifies signatures. By default, the module alone.
#[derive(Debug, Clone, Default)]
pub struct Crypto {
    host: Option<HostVerify>,
    proven: Vec<Algorithm>,
}

impl Crypto {
    /// Asks the host, if it has a verification, the questions of which the answers are
    /// known, and believes it for the algorithms of which it knew them all.
    pub fn new(host: Option<HostVerify>) -> Self {
        let proves =
            |algorithm: &Algorithm| host.zip(Known::of(*algorithm)).is_some_and(|(host, known)| known.proves(host));
        Self { host, proven: Algorithm::ALL.into_iter().filter(proves).collect() }
    }

    /// The algorithms that the host verifies.
    pub fn proven(&self) -> impl Iterator<Item = Algorithm> {
        self.proven.iter().copied()
    }

    /// Is this the signature of the text by the key? It fits the algorithm.
    pub(super) fn verify(&self, key: &Material, algorithm: Algorithm, signature: &[u8], text: &[u8]) -> bool {
        if let (Some(host), Some(hash), true) = (self.host, hash(algorithm), self.proven.contains(&algorithm)) {
            let Some(signature) = key.for_host(signature) else { return false };
            // A host that has stopped answering is not one that has answered.
            if let Some(verdict) = host(hash, key.spki(), &signature, text) {
                return verdict;
            }
        }
        key.verify(algorithm, signature, text)
    }
}

/// The hash of an algorithm, by its name at the host, if the host is to verify it at all.
pub(super) fn hash(algorithm: Algorithm) -> Option<&'static str> {
    match algorithm {
        Algorithm::ES256 | Algorithm::RS256 => Some("sha256"),
        Algorithm::ES384 | Algorithm::RS384 => Some("sha384"),
        Algorithm::RS512 => Some("sha512"),
        Algorithm::EdDSA | Algorithm::PS256 | Algorithm::PS384 | Algorithm::PS512 => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::known::tests::verify;
    use super::super::{Keys, Mismatch};
    use super::*;
    use jwt_simple::prelude::{Claims, Duration, ECDSAP256KeyPairLike as _, ES256KeyPair};

    fn proven(host: HostVerify) -> Vec<Algorithm> {
        Crypto::new(Some(host)).proven().collect()
    }

    #[test]
    fn a_host_is_believed_for_exactly_what_it_proved() {
        use Algorithm::{ES256, ES384, RS256, RS384, RS512};
        assert_eq!(Crypto::new(None).proven().count(), 0);
        assert_eq!(proven(verify), [ES256, ES384, RS256, RS384, RS512]);
        // Each of these is wrong in one way.
        assert_eq!(proven(|_, _, _, _| None), [], "absent");
        assert_eq!(proven(|_, _, _, _| Some(true)), [], "takes everything");
        assert_eq!(proven(|_, _, _, _| Some(false)), [], "takes nothing");
        assert_eq!(proven(|_, _, signature, _| Some(!signature.is_empty())), [], "takes every signature");
        assert_eq!(proven(|_, key, signature, text| verify("sha256", key, signature, text)), [], "takes no hash");
        assert_eq!(
            proven(|hash, key, signature, text| match hash {
                "sha256" => verify(hash, key, signature, text),
                _ => None,
            }),
            [ES256, RS256],
            "has no other hash"
        );
        assert_eq!(
            proven(|hash, key, signature, text| match key.len() {
                ..200 => verify(hash, key, signature, text),
                _ => Some(false),
            }),
            [ES256, ES384],
            "has no RSA"
        );
        assert_eq!(
            proven(|hash, key, signature, text| match signature {
                [] => Some(true),
                _ => verify(hash, key, signature, text),
            }),
            [],
            "takes an empty signature"
        );
        // What these take beside what is right.
        const LAX: [(&str, HostVerify); 4] = [
            ("a text that is cut", |hash, key, signature, text| {
                let whole = Known::of(ES256)?.text();
                verify(hash, key, signature, if whole.starts_with(text) { whole } else { text })
            }),
            ("a signature that is cut", |hash, key, signature, text| {
                let longer = [signature, &[0]].concat();
                Some(verify(hash, key, signature, text)? || verify(hash, key, &longer, text)? || signature.len() == 255)
            }),
            ("whatever hash fits", |_, key, signature, text| {
                let fits = |hash: &&str| verify(hash, key, signature, text) == Some(true);
                Some(["sha256", "sha384", "sha512"].iter().any(fits))
            }),
            ("any key of the size", |hash, key, signature, text| {
                let same =
                    |algorithm: &Algorithm| Known::of(*algorithm).filter(|known| known.spki().len() == key.len());
                let known = Algorithm::ALL.iter().find_map(same)?;
                verify(hash, known.spki(), signature, text)
            }),
        ];
        for (lax, host) in LAX {
            assert!(!proven(host).contains(&RS256), "{lax}");
        }
    }

    #[test]
    fn the_host_is_asked_about_what_has_the_form_of_a_signature_and_decides_it() {
        let pair = ES256KeyPair::generate();
        let jwk = serde_json::from_str(&pair.public_key().to_jwk()).unwrap();
        let keys = Keys::read(&[jwk]).0;
        let key = keys.find(None, Algorithm::ES256).unwrap();
        let jws = pair.sign(Claims::create(Duration::from_secs(1))).unwrap();
        let (text, _) = jws.rsplit_once('.').unwrap();
        let forged = format!("{text}.{}", "A".repeat(86));
        let with = |host: HostVerify| Crypto { host: Some(host), proven: vec![Algorithm::ES256] };
        assert_eq!(key.verify(&jws, &with(verify)), Ok(()));
        assert_eq!(key.verify(&jws, &with(|_, _, _, _| Some(false))), Err(Mismatch));
        assert_eq!(key.verify(&forged, &with(|_, _, _, _| Some(true))), Err(Mismatch), "zeros are no signature");
        // A host that has gone is no answer.
        assert_eq!(key.verify(&jws, &with(|_, _, _, _| None)), Ok(()));
        assert_eq!(key.verify(&forged, &with(|_, _, _, _| None)), Err(Mismatch));
        // What it did not prove it is not asked.
        let unproven = Crypto { host: Some(|_, _, _, _| Some(false)), proven: Vec::new() };
        assert_eq!(key.verify(&jws, &unproven), Ok(()));
    }
}
