//! One JWK (RFC 7517 §4, RFC 7518 §6, RFC 8037 §2) as a [`Key`], or why it is unusable.
//!
//! A reason names the member, and no material: sets are fetched, and reasons logged.

use jwt_simple::reexports::ct_codecs::{Base64UrlSafeNoPadding, Decoder as _};
use serde_json::Value;

use super::Algorithm;
use super::material::Material;

/// One key that may verify.
pub(super) struct Key {
    pub(super) kid: Option<String>,
    /// `alg`, where the key has one: then it serves no other.
    pub(super) algorithm: Option<Algorithm>,
    pub(super) material: Material,
}

impl Key {
    /// Is the key for this algorithm?
    pub(super) fn serves(&self, algorithm: Algorithm) -> bool {
        self.algorithm.map_or_else(|| self.material.fits(algorithm), |own| own == algorithm)
    }

    /// Reads a JWK. What its members do not say is not guessed.
    pub(super) fn read(jwk: &Value) -> Result<Self, String> {
        if !jwk.is_object() {
            return Err("expected an object".into());
        }
        let kty = text(jwk, "kty")?.ok_or("`kty`: expected `EC`, `OKP` or `RSA`, found nothing")?;
        if kty == "oct" || jwk.get("k").is_some() {
            return Err("`kty`: expected a public key, found a symmetric one, which nobody but its owner may know; \
                        publish it nowhere"
                .into());
        }
        if let Some(member) = PRIVATE.into_iter().find(|member| jwk.get(member).is_some()) {
            return Err(format!(
                "`{member}`: expected a public key, found private material; publish it nowhere and rotate the key"
            ));
        }
        let kid = match text(jwk, "kid")? {
            Some(kid) if !(1..=LONGEST_KID).contains(&kid.len()) => {
                return Err(format!("`kid`: expected 1 to {LONGEST_KID} bytes, found {}", kid.len()));
            }
            kid => kid.map(str::to_owned),
        };
        check_purpose(jwk)?;
        let material = material(jwk, kty)?;
        let algorithm = match text(jwk, "alg")? {
            None => None,
            Some(name) => match Algorithm::from_name(name).filter(|algorithm| material.fits(*algorithm)) {
                Some(algorithm) => Some(algorithm),
                None => {
                    let fitting = Algorithm::ALL.into_iter().filter(|algorithm| material.fits(*algorithm));
                    let fitting: Vec<_> = fitting.map(Algorithm::name).collect();
                    return Err(format!("`alg`: expected {}, found {}", fitting.join(", "), shown(name)));
                }
            },
        };
        Ok(Self { kid, algorithm, material })
    }
}

/// The longest name, in bytes. It is compared with that of every token.
const LONGEST_KID: usize = 256;

/// Members of private keys (RFC 7518 §6.2.2, §6.3.2; RFC 8037 §2; the `AKP` keys of RFC 9964), and
/// of symmetric ones (RFC 7518 §6.4).
pub const PRIVATE: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];

fn text<'a>(jwk: &'a Value, member: &str) -> Result<Option<&'a str>, String> {
    match jwk.get(member) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("`{member}`: expected a string")),
    }
}

/// A text of a set that somebody else wrote, for a log.
fn shown(found: &str) -> String {
    match found.len() <= 32 && found.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'`') {
        true => format!("`{found}`"),
        false => format!("{} bytes", found.len()),
    }
}

/// `use` and `key_ops`: a key for anything else does not verify (RFC 7517 §4.2, §4.3).
fn check_purpose(jwk: &Value) -> Result<(), String> {
    match text(jwk, "use")? {
        None | Some("sig") => {}
        Some(other) => return Err(format!("`use`: expected `sig`, found {}", shown(other))),
    }
    let operations = match jwk.get("key_ops") {
        None => return Ok(()),
        Some(Value::Array(operations)) => operations,
        Some(_) => return Err("`key_ops`: expected a list".into()),
    };
    // `sign` is the other half of the same purpose.
    let is_known = |operation: &Value| operation == "verify" || operation == "sign";
    let verifies = operations.iter().filter(|operation| *operation == "verify").count();
    match verifies == 1 && operations.iter().all(is_known) {
        true => Ok(()),
        false => Err("`key_ops`: expected `verify`, and nothing but `sign` beside it".into()),
    }
}

fn material(jwk: &Value, kty: &str) -> Result<Material, String> {
    let foreign = |members: &[&str]| match members.iter().find(|member| jwk.get(**member).is_some()) {
        None => Ok(()),
        Some(member) => Err(format!("`{member}`: expected no such member in a key of `kty` `{kty}`")),
    };
    let point = |size, on: &str, make: fn(&[u8], &[u8]) -> Option<Material>| {
        let (x, y) = (exactly(jwk, "x", size)?, exactly(jwk, "y", size)?);
        make(&x, &y).ok_or_else(|| format!("`x`, `y`: expected a point on {on}"))
    };
    match kty {
        "EC" => {
            foreign(&["n", "e", "pub"])?;
            match text(jwk, "crv")? {
                Some("P-256") => point(32, "P-256", Material::p256),
                Some("P-384") => point(48, "P-384", Material::p384),
                crv => {
                    Err(format!("`crv`: expected `P-256` or `P-384`, found {}", crv.map_or("nothing".into(), shown)))
                }
            }
        }
        "OKP" => {
            foreign(&["n", "e", "y", "pub"])?;
            match text(jwk, "crv")? {
                Some("Ed25519") => Material::ed25519(&exactly(jwk, "x", 32)?)
                    .ok_or_else(|| "`x`: expected a point on edwards25519 that is not of small order".into()),
                crv => Err(format!("`crv`: expected `Ed25519`, found {}", crv.map_or("nothing".into(), shown))),
            }
        }
        "RSA" => {
            foreign(&["crv", "x", "y", "pub"])?;
            rsa(jwk)
        }
        other => Err(format!("`kty`: expected `EC`, `OKP` or `RSA`, found {}; the key is not used", shown(other))),
    }
}

fn rsa(jwk: &Value) -> Result<Material, String> {
    if text(jwk, "e")? != Some("AQAB") {
        return Err("`e`: expected 65537, which is `AQAB`".into());
    }
    let modulus = decode(jwk, "n")?;
    // As few bytes as it takes (RFC 7518 §6.3.1.1), so that there is one text for one key.
    let Some(top @ 1..) = modulus.first().copied() else {
        return Err("`n`: expected a modulus without leading zeros".into());
    };
    let bits = modulus.len() * 8 - top.leading_zeros() as usize;
    if !(2048..=4096).contains(&bits) {
        return Err(format!("`n`: expected 2048 to 4096 bits, found {bits}"));
    }
    if modulus.last().is_some_and(|last| last % 2 == 0) || residues(&modulus).any(|(_, residue)| residue == 0) {
        return Err("`n`: expected a product of two large primes, found a small divisor".into());
    }
    if has_fingerprint_of_roca(&modulus) {
        return Err("`n`: expected a key that was made at random, found the fingerprint of CVE-2017-15361 (ROCA), \
                    whose private key can be computed; make the key anew"
            .into());
    }
    Material::rsa(&modulus).ok_or_else(|| "`n`: expected the modulus of an RSA key".into())
}

/// The primes below 168, without 2.
const PRIMES: [u64; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109,
    113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

/// A number modulo each of [`PRIMES`]. By four bytes at a time: a proof of possession
/// brings its key with each request.
fn residues(number: &[u8]) -> impl Iterator<Item = (u64, u64)> {
    let word = |bytes: &[u8]| bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
    let words: Vec<u64> = number.rchunks(4).rev().map(word).collect();
    let residue = move |prime| words.iter().fold(0, |rest, word| (rest << 32 | word) % prime);
    PRIMES.into_iter().map(move |prime| (prime, residue(prime)))
}

/// Primes that a broken library made are powers of 65537 modulo the product of the
/// first primes, and so is what they multiply to. One in 2^27 others is, too.
fn has_fingerprint_of_roca(modulus: &[u8]) -> bool {
    residues(modulus).all(|(prime, residue)| {
        let powers = std::iter::successors(Some(1), |power| Some(power * 65537 % prime));
        (0..prime).zip(powers).any(|(_, power)| power == residue)
    })
}

/// base64url without padding, canonical (RFC 7515 §2).
fn decode(jwk: &Value, member: &str) -> Result<Vec<u8>, String> {
    let encoded = text(jwk, member)?.ok_or_else(|| format!("`{member}`: expected base64url, found nothing"))?;
    Base64UrlSafeNoPadding::decode_to_vec(encoded, None)
        .map_err(|_| format!("`{member}`: expected base64url without padding"))
}

fn exactly(jwk: &Value, member: &str, size: usize) -> Result<Vec<u8>, String> {
    let decoded = decode(jwk, member)?;
    match decoded.len() == size {
        true => Ok(decoded),
        false => Err(format!("`{member}`: expected {size} bytes, found {}", decoded.len())),
    }
}
