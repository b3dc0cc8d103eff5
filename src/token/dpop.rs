//! Proofs of possession: the `DPoP` header in, what is to be spent of it out (RFC 9449).
//!
//! A proof says that who sends this request holds the private key that the token is
//! bound to. That the proof was not used before, the store decides (`replay`). Nothing
//! of a proof is remembered here: not its key, either.

use super::nonce::NonceKeys;
use super::{Bearer, decode, object, thumbprint};
use crate::denial::Denial;
use crate::http::Head;
use crate::json::Json;
use crate::keys::{Algorithm, Crypto, Keys, PRIVATE};
use crate::replay::Spend;

/// The longest that a proof may be taken after it was made, in seconds.
pub const LONGEST_AGE: i64 = 300;

/// The longest proof that is looked at, in bytes.
pub const LONGEST: usize = 8 * 1024;

/// How far a client's clock may be ahead, in seconds.
const LEEWAY: i64 = 30;

/// What a proof must be about.
#[derive(Debug)]
pub struct Expected<'a> {
    /// The HTTP method of the request.
    pub method: &'a str,
    /// The URL under which clients know the resource.
    pub url: &'a str,
    /// The access token that comes with the proof.
    pub token: Bearer<'a>,
    /// The token's issuer and subject: all their proofs share one bound.
    pub holder: (&'a str, &'a str),
    /// The SHA-256 thumbprint of the key that the token is bound to (RFC 7638): its `cnf.jkt`.
    pub thumbprint: &'a str,
    /// Seconds since 1970.
    pub now: i64,
    /// How old a proof may be, in seconds.
    pub max_age: i64,
    /// The keys of nonces, where proofs must hold one.
    pub nonce: Option<&'a NonceKeys>,
}

/// The proof of the one `DPoP` header (RFC 9449 §4.3, check 1).
pub fn from_head(head: &Head) -> Result<&str, Denial> {
    let proof = head.get("dpop").map_err(|_| Denial::ProofInvalid("expected one `DPoP` header, found more"))?;
    let proof = proof.ok_or(Denial::ProofMissing)?;
    std::str::from_utf8(proof).map_err(|_| Denial::ProofInvalid("expected a JWT"))
}

/// Verifies a proof for a request, one check after the other (RFC 9449 §4.3). It is good
/// once: what comes out is still to be spent.
pub fn verify(proof: &str, expected: &Expected<'_>, crypto: &Crypto) -> Result<Spend, Denial> {
    let invalid = Denial::ProofInvalid;

    // 2. One well-formed JWT.
    if proof.len() > LONGEST {
        return Err(invalid("expected at most 8 KiB"));
    }
    let mut parts = proof.split('.');
    let (Some(header), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(invalid("expected a JWT"));
    };
    let decode = |part| decode(part).map_err(|_| invalid("expected base64url, canonical and without padding"));
    let (header, payload) = (decode(header)?, decode(payload)?);
    let object = |json| object(json).map_err(|_| invalid("expected strict JSON objects"));
    let (mut header, payload) = (object(&header)?, object(&payload)?);

    // What changes how a JWT is to be read, or points to keys elsewhere. The one key
    // of a proof is `jwk`.
    const REFUSED: [&str; 6] = ["crit", "b64", "jku", "x5u", "x5c", "zip"];
    if REFUSED.iter().any(|name| header.get(name).is_some()) {
        return Err(invalid("expected no `crit`, `b64`, `jku`, `x5u`, `x5c` and `zip` in the header"));
    }

    // 3. The claims of §4.2, of the right types.
    let text = |claim: &str| payload.get(claim).and_then(Json::as_str);
    let jti = text("jti").filter(|jti| (1..=256).contains(&jti.len()));
    let jti = jti.ok_or(invalid("expected `jti`, a string of 1 to 256 bytes"))?;
    let htm = text("htm").ok_or(invalid("expected `htm`, a string"))?;
    let htu = text("htu").ok_or(invalid("expected `htu`, a string"))?;
    let time = |claim: &str| payload.get(claim).and_then(Json::as_seconds).filter(|time| *time >= 0);
    let issued = time("iat").ok_or(invalid("expected `iat`, seconds since 1970"))?;
    let ath = text("ath").ok_or(invalid("expected `ath`, a string"))?;

    // 4. Its type, which no access token and no ID token has.
    if header.get("typ").and_then(Json::as_str) != Some("dpop+jwt") {
        return Err(invalid("expected `typ` to be `dpop+jwt`"));
    }

    // 5. An algorithm of the list, which has none that is symmetric, and not `none`.
    let algorithm = header.get("alg").and_then(Json::as_str).and_then(Algorithm::from_name);
    let algorithm = algorithm.ok_or(invalid("expected `alg` to be an asymmetric algorithm that the gate verifies"))?;

    // 7. A key without its private part: that which the token is bound to.
    let Some(Json::Object(jwk)) = header.take("jwk") else {
        return Err(invalid("expected `jwk`, an object"));
    };
    if PRIVATE.iter().any(|name| jwk.get(name).is_some()) {
        return Err(invalid("expected a public `jwk`"));
    }
    let thumbprint = thumbprint::of(&jwk).ok_or(invalid("expected `jwk` to be a whole `EC`, `OKP` or `RSA` key"))?;
    if thumbprint != expected.thumbprint {
        return Err(invalid("the key of the proof is not that of the token"));
    }

    // 8. This method.
    if htm != expected.method {
        return Err(invalid("`htm` is not the method of this request"));
    }
    // 9. This resource.
    let url = normal(htu).ok_or(invalid("expected `htu` to be an `http` or `https` URL"))?;
    if Some(url) != normal(expected.url) {
        return Err(invalid("`htu` is not the URL of this resource"));
    }
    // 11. This time. What RFC 7519 gives a JWT beside `iat` holds for this one, too.
    let Expected { now, max_age, .. } = *expected;
    if issued > now.saturating_add(LEEWAY) {
        return Err(invalid("`iat` lies ahead"));
    }
    let until = issued.saturating_add(max_age);
    if now > until {
        return Err(invalid("`iat` is too long ago"));
    }
    if payload.get("exp").is_some() && time("exp").is_none_or(|end| now.saturating_sub(LEEWAY) >= end) {
        return Err(invalid("`exp` has passed"));
    }
    if payload.get("nbf").is_some() && time("nbf").is_none_or(|start| start > now.saturating_add(LEEWAY)) {
        return Err(invalid("`nbf` lies ahead"));
    }
    // 12. This token, which is bound to this key.
    if decode(ath)? != hmac_sha256::Hash::hash(expected.token.text().as_bytes()) {
        return Err(invalid("`ath` is not the hash of this token"));
    }
    // 6. The signature, by that key and with its own algorithm. It stands behind all that costs
    // less: whoever has a token and not its key brings keys of his own.
    let (keys, _) = Keys::read(&[Json::Object(jwk).into_owned()]);
    let key = keys.find(None, algorithm).ok_or(invalid("expected a `jwk` that is usable with `alg`"))?;
    key.verify(proof, crypto).map_err(|_| invalid("the signature does not match"))?;
    // 10. A nonce of ours, the last of all: it is asked for where nothing else is wrong.
    if let Some(keys) = expected.nonce
        && !text("nonce").is_some_and(|nonce| keys.is_fresh(nonce, now))
    {
        return Err(Denial::NonceRequired);
    }

    // Remembered for as long as any configuration takes it, so that none that comes meanwhile
    // takes it again.
    Ok(Spend::new(expected.holder, &thumbprint, jti, issued.saturating_add(LONGEST_AGE)))
}

/// A URL in normal form, without query and fragment (RFC 3986 §6.2.2.1, §6.2.3). No
/// more than this: the resource's own URL has no escapes and no dot segments, so what
/// would have to be decoded or resolved does not equal it.
fn normal(url: &str) -> Option<String> {
    let url = url.split(['?', '#']).next()?;
    let (scheme, rest) = url.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let port = match scheme.as_str() {
        "https" => ":443",
        "http" => ":80",
        _ => return None,
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let authority = authority.to_ascii_lowercase();
    let host = authority.strip_suffix(port).unwrap_or(&authority);
    Some(format!("{scheme}://{host}/{path}"))
}

#[cfg(test)]
mod tests;
