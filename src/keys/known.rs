//! Questions about signatures of which the answers are known, to put to a host.
//!
//! Two keys of each kind and signatures of one text, made for this with OpenSSL;
//! nobody has their private halves.

use jwt_simple::reexports::ct_codecs::{Base64, Decoder as _};

use super::{Algorithm, crypto};

/// What was signed.
const TEXT: &[u8] = b"mcp-gate: is this signature verified as it should be?";

/// The questions about one algorithm.
pub(super) struct Known {
    hash: &'static str,
    key: Vec<u8>,
    other_key: Vec<u8>,
    signature: Vec<u8>,
    /// Signatures that no key may ever have made.
    never: Vec<Vec<u8>>,
}

impl Known {
    /// Those about an algorithm that a host may verify.
    pub(super) fn of(algorithm: Algorithm) -> Option<Self> {
        let hash = crypto::hash(algorithm)?;
        let decode = |text: &str| Base64::decode_to_vec(text, None).ok();
        // Integers 0, 0 and 1, 1 as a signature of ECDSA.
        let degenerate = || vec![vec![0x30, 6, 2, 1, 0, 2, 1, 0], vec![0x30, 6, 2, 1, 1, 2, 1, 1]];
        // Zeros, and a true signature over another hash.
        let foreign = |other: &str| Some(vec![vec![0; 256], decode(other)?]);
        let (key, other_key, signature, never) = match algorithm {
            Algorithm::ES256 => (P256_KEY, P256_OTHER_KEY, ES256, degenerate()),
            Algorithm::ES384 => (P384_KEY, P384_OTHER_KEY, ES384, degenerate()),
            Algorithm::RS256 => (RSA_KEY, RSA_OTHER_KEY, RS256, foreign(RS384)?),
            Algorithm::RS384 => (RSA_KEY, RSA_OTHER_KEY, RS384, foreign(RS512)?),
            Algorithm::RS512 => (RSA_KEY, RSA_OTHER_KEY, RS512, foreign(RS256)?),
            Algorithm::EdDSA | Algorithm::PS256 | Algorithm::PS384 | Algorithm::PS512 => return None,
        };
        let (key, other_key, signature) = (decode(key)?, decode(other_key)?, decode(signature)?);
        Some(Self { hash, key, other_key, signature, never })
    }

    /// Does it know all the answers? `None` is none, but for a hash that it may not have.
    pub(super) fn proves(&self, verify: crypto::HostVerify) -> bool {
        let Self { hash, key, other_key, signature, never } = self;
        let refuses =
            |hash: &str, key: &[u8], signature: &[u8], text: &[u8]| verify(hash, key, signature, text) == Some(false);
        let flipped = |bytes: &[u8], at: usize| -> Vec<u8> {
            bytes.iter().enumerate().map(|(index, byte)| byte ^ u8::from(index == at)).collect()
        };
        let spoiled = |bytes: &[u8]| -> [Vec<u8>; 5] {
            let last = bytes.len().saturating_sub(1);
            let cut = bytes.get(..last).unwrap_or_default().to_vec();
            [Vec::new(), cut, flipped(bytes, 0), flipped(bytes, last / 2), flipped(bytes, last)]
        };
        let another_hash = if *hash == "sha256" { "sha512" } else { "sha256" };
        verify(hash, key, signature, TEXT) == Some(true)
            && spoiled(signature).iter().chain(never).all(|signature| refuses(hash, key, signature, TEXT))
            && spoiled(TEXT).iter().all(|text| refuses(hash, key, signature, text))
            && refuses(hash, other_key, signature, TEXT)
            && verify(another_hash, key, signature, TEXT) != Some(true)
            // Once more: what it refused in between has not changed it.
            && verify(hash, key, signature, TEXT) == Some(true)
    }
}

const RSA_KEY: &str = "\
    MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAtrCwGmsuJ6Pd1sSQTRfq+Et03PSwcX0PVdEasodSsOQFMwKDOqgrdmF0Sk0x\
    fW0eVfcblAkJd5Y5NJ3pWerTkbisiJRNtkS1g9L1LS31PPyFSZ87IeuFiSn0rOpj1/Xgs3X6OvDaLLZwjyoZQ90Mca9ktUYyQJbLRqPl\
    cDD9qvvC0uoWIlFgdHAWPfRInbirGFp/eMEHZdev5opy8J+nSZoj7Cq9teg9YElkjSo9QDk7XqwYdg3A2G/SKM8bQhHOXp40HhU1Hh7W\
    QYUSn9n0EY9mF080GBbQBJHnWBurlQ4aP34igMNdxkHmqPPDVqVtvX+vBcFX7vxjgEOoHpNqAwIDAQAB";
const RSA_OTHER_KEY: &str = "\
    MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA7NUW00851KEv0QQV83wiwcHVqkPKFKtB0iBDGKZXqqpxZE5dyHG/FULfOkjr\
    6UTZKFC7D5ljToTvRY3CZCMxrWvCetygRcZgxbKCbYigLk7hnpxdGdwAHsYWsXCUm+2CDVFXaT6k8+1GXQE4wXgehl4sF6JsSTQmzGS1\
    OrtI1XFvAgRXs8JARQ7uqrydh0qiCj9h2dlBBoQA2IEk15GLCgGJyJdaeZWLDgXqGB0Agth/v3hmt+fzA9IKEP6TBkoNtCJA8KxIWgzn\
    slyuM0X076E6hB7jyrLFE5vxs7+dudfdrArFfxwekjog2QeAg3XamN+TO4KbsSsZqVPbm3i2gwIDAQAB";
const RS256: &str = "\
    UJYTpiN1IGSMz8a925R9r998oeCktz2wyTIw7BPG7JsUBzotdj1CcbkQva837sNjocWmzycaTIxbJNNF8n1m225gALWnFFC1OMKFEIIK\
    UR6eRNpW6o670nzCGM+xofaF4mYeIcsZWVspvLORZcTBGXth4g/ROMsrHZuwSF1YGLCzRfJtnlD1p+qo8j++zMAHh43RCeZcU71qkiuJ\
    RFWezETJdZ3ZXweBV0JQpEBzb1zxcz1lFouxjXTKF4hkdTfhjTPSESkwdkbux1jj0ZT+7ZXBdtiIIkIgZu+vlRWoRVkwsBNBKPTImEAH\
    JzLT37f7PJgWUkHTmQASike1snTfxQ==";
const RS384: &str = "\
    MmPuqtWD2MpzmROKiwqVvAzCoKAQy7lvw4+jBJffLO1DXosdWBh8FPQYJFS2J74CwXBNifckqsA98PKg7TmEEX2aFGwhwsB6v8ypojLQ\
    nTTfc8Y8bIFcKs9J4d0zRRwg1MrqKILqmDX1tC7EqrxF9ipWxZFYvXGG+k3uMy0Oz8pw4LqNHVrVDUfWPxmikQwDvRig2+Uh0whe/eIn\
    bRSymch9sfjAbCMy5DW/nbOjAUjj1+xshbuRSEjtv1Zs+JFwNhSTUWs2xnQSDhrsA9Qs8vItIp9aa4o10LZ1AOJ3/BGR34H6cDnDkhvv\
    TPgcDWUt+3t4dNP0jbo+2+XqmaOBdQ==";
const RS512: &str = "\
    tQV93YAomfTPQfI0poMA+taaictXtDxfjTttBCnJXCFT61yoRG3jzcRt18DEV0W9HvzaG1Ovzrc1Y7emBwR9YKDnhcdIKJ4sA0oGlzBq\
    KZUCpwrQNlj0Zw99zFZboka6MQAiaHb5z2tH1aC+wzbWLKCEM0WlvHE1jwdd0f9ikWu2qcoo6aVHcUHkGH03XKv9uq6JZ8GuIXd8KIeS\
    zbXnjnFot0I11UznwN9qQoZcTzc7rGyFKoC6gF20W4PbnF3AonyAl3ulxZ4g0mAvTpzenSD9dcjZz6Myyrjdx+KC21IZ816EyISJk/RP\
    TLg4k6HVTbo1ytSEZ5Ukz9y+Amgbcg==";
const P256_KEY: &str = "\
    MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEuEJK8wvy2ebsYfa+6rrvTvTikG6ih1jUa2zvusqbzL2iQrfslYLVnXyLpNZ92gQIscaW\
    pqb6cn3RNi/39CexTA==";
const P256_OTHER_KEY: &str = "\
    MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEF3nUcxy/0xLoj/8/0tFPBfvmZjaNdcVN6VYOYKv8YMfFoXLcE2oFuzlufbPH26vIXFps\
    B9sRy6YrjQqQuaNqZQ==";
const ES256: &str = "\
    MEYCIQC2lYpKl0L4z8PQRk9z6Fj504KL1kOVSN3gWyB+uxodkwIhAPRE68ptN9ItXRTwfSoeG5b5TrYe28fv+aOGJgeTverm";
const P384_KEY: &str = "\
    MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEAaPhEW2hZkwfiKTd6ER0Cy+qJ7BXMZaSC/giw0QvT2pkKrIoGSxgMvgD6/uIGbUuoKyGecbc\
    5LnDTDCfLZMkW/Vt/3PIt0Puchoc5elV/Kie5g6zZOmmw+y6GqbB5OK+";
const P384_OTHER_KEY: &str = "\
    MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEGpFihioGFiFowfqrTL+yt/dV0cGXOkqkIYRUxw99js02Kbxq1Ih5dfX6dn0lTZA7srB9BoDZ\
    h8Zp9QiX5pqMjwnLmKfwVrwO8Xx41yA7y8XQ1BLq/EbCxDniPvFeH08y";
const ES384: &str = "\
    MGYCMQCUpXvFCRQGuN0wCx5XikFr6pcdunVi0u8FuJocwJpqKPG/faqjmvOb/f25zNVC7pQCMQC6KvbZgPfg0PDwp6q5IlR0izsAhv88\
    HHxzeXjCRM9lLcgYM10McGzsXII13yBy8VI=";

#[cfg(test)]
pub(super) mod tests {
    use super::super::material::Material;
    use super::*;
    use jwt_simple::algorithms::{ES256PublicKey, ES384PublicKey, RSAPublicKey};

    impl Known {
        pub(in crate::keys) fn spki(&self) -> &[u8] {
            &self.key
        }

        pub(in crate::keys) fn text(&self) -> &'static [u8] {
            TEXT
        }
    }

    /// What a host does, by the module's own means.
    pub(in crate::keys) fn verify(hash: &str, spki: &[u8], signature: &[u8], text: &[u8]) -> Option<bool> {
        let signed = |name: &str| Algorithm::ALL.into_iter().find(|known| known.name() == name);
        let raw = |signature: Result<Vec<u8>, p256::ecdsa::Error>| signature.unwrap_or_default();
        let p256 = |key: &ES256PublicKey| {
            let point = key.public_key().to_bytes_uncompressed();
            Material::p256(&point[1..33], &point[33..])
        };
        let p384 = |key: &ES384PublicKey| {
            let point = key.public_key().to_bytes_uncompressed();
            Material::p384(&point[1..49], &point[49..])
        };
        use jwt_simple::algorithms::{ECDSAP256PublicKeyLike as _, ECDSAP384PublicKeyLike as _};
        let (key, name, signature) = if let Ok(key) = ES256PublicKey::from_der(spki) {
            let signature = p256::ecdsa::Signature::from_der(signature).map(|found| found.to_bytes().to_vec());
            (p256(&key)?, "ES256", raw(signature))
        } else if let Ok(key) = ES384PublicKey::from_der(spki) {
            let signature = p384::ecdsa::Signature::from_der(signature).map(|found| found.to_bytes().to_vec());
            (p384(&key)?, "ES384", raw(signature))
        } else {
            let key = RSAPublicKey::from_der(spki).ok()?;
            (Material::rsa(&key.to_components().n)?, "RS", signature.to_vec())
        };
        let name = match (name, hash) {
            ("RS", hash) => format!("RS{}", hash.strip_prefix("sha")?),
            ("ES256", "sha256") | ("ES384", "sha384") => name.to_owned(),
            // Another hash than that of the curve, which no algorithm has.
            _ => return Some(false),
        };
        Some(key.verify(signed(&name)?, &signature, text))
    }

    #[test]
    fn the_answers_are_those_of_the_module() {
        for algorithm in Algorithm::ALL {
            let known = Known::of(algorithm);
            assert_eq!(known.is_some(), crypto::hash(algorithm).is_some(), "{algorithm}");
            assert!(known.is_none_or(|known| known.proves(verify)), "{algorithm}");
        }
    }
}
