//! Who is asking: an `Authorization` header in, an [`Identity`] out.
//!
//! A [`Bearer`] is what the caller presents; nothing in it is believed. An
//! [`Identity`] exists only where a token was verified: signed by a key of an
//! issuer that the resource accepts, an access token by its type, meant for
//! this resource, and valid now (RFC 6750 §2.1, RFC 9068 §4, RFC 8725).
//!
//! Verified tokens are remembered by [`Tokens`], for as long as they are valid
//! and no longer than the configuration under which they were verified.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::time::SystemTime;

use jwt_simple::reexports::ct_codecs::{Base64UrlSafeNoPadding, Decoder as _};

use crate::denial::Denial;
use crate::http::Head;
use crate::json::{Json, Limits, Object};
use crate::keys::{Algorithm, Crypto, Keys};
use crate::store::Store;

/// The longest token that is looked at, in bytes.
pub const LONGEST: usize = 8 * 1024;

/// A token as presented. Untrusted, and never printed.
#[derive(Clone, Copy)]
pub struct Bearer<'a>(&'a str);

impl fmt::Debug for Bearer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearer(…)")
    }
}

impl<'a> Bearer<'a> {
    /// The token of the one `Authorization` header (RFC 6750 §2.1):
    /// `Bearer`, in any case, one space, one b64token.
    pub fn from_head(head: &'a Head) -> Result<Self, Denial> {
        let Ok(value) = head.get("authorization") else {
            return Err(Denial::CredentialMalformed);
        };
        let value = value.ok_or(Denial::CredentialMissing)?;
        if value.len() > LONGEST {
            return Err(Denial::CredentialTooLarge);
        }
        let value = std::str::from_utf8(value).map_err(|_| Denial::CredentialMalformed)?;
        let (scheme, token) = value.split_once(' ').ok_or(Denial::CredentialMalformed)?;
        let body = token.trim_end_matches('=');
        let is_b64token =
            !body.is_empty() && body.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte));
        if !scheme.eq_ignore_ascii_case("bearer") || !is_b64token {
            return Err(Denial::CredentialMalformed);
        }
        Ok(Self(token))
    }
}

/// What is expected of the tokens of one issuer.
#[derive(Debug)]
pub struct Issuer {
    /// `iss`, byte by byte.
    pub issuer: String,
    /// The issuer's keys; no other issuer's are ever tried.
    pub keys: Keys,
    /// The algorithms that it signs with.
    pub algorithms: Vec<Algorithm>,
    /// Does it type its access tokens `at+jwt` (RFC 9068 §2.1)?
    pub typed: bool,
    /// How far its clock may be off, in seconds.
    pub leeway: i64,
}

/// What a verified token says.
#[derive(Debug)]
pub struct Identity {
    /// `iss`
    pub issuer: String,
    /// `sub`
    pub subject: String,
    /// `client_id`
    pub client_id: Option<String>,
    /// `scope`, split (RFC 6749 §3.3).
    pub scopes: Vec<String>,
    /// `acr`: how strong the login was.
    pub acr: Option<String>,
    /// `auth_time`: when the login was, in seconds since 1970.
    pub auth_time: Option<i64>,
    /// `input.identity`, built once and shared by all evaluations.
    pub input: regorus::Value,
    /// First and last second at which the token is valid, leeway included.
    /// Private, so that only [`verify`] makes an identity.
    valid: (i64, i64),
}

impl Identity {
    /// A fixture: valid from second 10 to second 20.
    #[cfg(test)]
    pub(crate) fn unverified(subject: &str) -> Self {
        let input = format!(r#"{{"subject":"{subject}"}}"#);
        Self {
            issuer: String::new(),
            subject: subject.to_owned(),
            client_id: None,
            scopes: Vec::new(),
            acr: None,
            auth_time: None,
            input: regorus::Value::from_json_str(&input).unwrap(),
            valid: (10, 20),
        }
    }
}

/// Verifies a token for a resource, one check after the other.
///
/// `issuers` are those that the resource accepts, `audience` is its canonical
/// URL (RFC 8707 §2), `now` is the host's time.
pub fn verify(
    bearer: Bearer<'_>,
    issuers: &[Rc<Issuer>],
    audience: &str,
    crypto: &Crypto,
    now: SystemTime,
) -> Result<Identity, Denial> {
    let now = seconds(now);
    let mut parts = bearer.0.split('.');
    let (Some(header), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(Denial::CredentialMalformed);
    };
    let (header, payload) = (decode(header)?, decode(payload)?);
    let (header, payload) = (object(&header)?, object(&payload)?);

    // Header (RFC 7515 §4.1). What points to keys elsewhere is refused, not
    // ignored: no issuer that the gate knows sends it. The same for `crit` and
    // `b64`, which change how a token is to be read.
    const REFUSED: [&str; 7] = ["crit", "b64", "jku", "jwk", "x5u", "x5c", "zip"];
    if REFUSED.iter().any(|name| header.get(name).is_some()) {
        return Err(Denial::TokenHeader);
    }
    let algorithm = header.get("alg").and_then(Json::as_str).and_then(Algorithm::from_name);
    let algorithm = algorithm.ok_or(Denial::TokenAlgorithm)?;
    let kid = match header.get("kid") {
        None => None,
        Some(kid) => Some(kid.as_str().ok_or(Denial::TokenHeader)?),
    };

    let claims = Claims::read(&payload)?;

    // Which issuer's rules apply is the one thing that an unverified claim
    // decides; a token that names another issuer than its own is then held
    // against that one's keys.
    let issuer = issuers.iter().find(|issuer| issuer.issuer == claims.issuer).ok_or(Denial::TokenIssuer)?;
    if !issuer.algorithms.contains(&algorithm) {
        return Err(Denial::TokenAlgorithm);
    }
    let is_expected = if issuer.typed { is_access_token_type } else { is_jwt_type };
    if !is_expected(header.get("typ")) {
        return Err(Denial::TokenType);
    }
    if issuer.keys.is_empty() {
        return Err(Denial::KeysUnavailable);
    }
    let key = issuer.keys.find(kid, algorithm).ok_or(Denial::TokenKeyUnknown)?;
    key.verify(bearer.0, crypto).map_err(|_| Denial::TokenSignature)?;

    // From here on the claims are the issuer's.
    if !claims.audience.contains(&audience) {
        return Err(Denial::TokenAudience);
    }
    // "On or after" `exp` it is over (RFC 7519 §4.1.4).
    let last = claims.expires.saturating_add(issuer.leeway).saturating_sub(1);
    let starts = claims.not_before.max(claims.issued);
    let first = starts.map_or(i64::MIN, |starts| starts.saturating_sub(issuer.leeway));
    if now > last {
        return Err(Denial::TokenExpired);
    }
    if now < first {
        return Err(Denial::TokenNotYetValid);
    }
    // A token bound to a key is worth nothing without the proof (RFC 9449 §7.2, RFC 8705 §3).
    if payload.get("cnf").is_some() {
        return Err(Denial::TokenConfirmation);
    }
    // What RFC 9068 §2.2 requires beyond RFC 7519, but for `jti`, which nothing here reads.
    if issuer.typed && claims.issued.is_none() {
        return Err(Denial::TokenClaim("iat"));
    }
    if issuer.typed && claims.client_id.is_none() {
        return Err(Denial::TokenClaim("client_id"));
    }

    Ok(Identity {
        issuer: claims.issuer.to_owned(),
        subject: claims.subject.to_owned(),
        client_id: claims.client_id.map(str::to_owned),
        input: document(&payload, &claims),
        scopes: claims.scopes,
        acr: payload.get("acr").and_then(Json::as_str).map(str::to_owned),
        auth_time: payload.get("auth_time").and_then(Json::as_seconds),
        valid: (first, last),
    })
}

/// The claims that verification is about, of the right types and not yet believed.
struct Claims<'a> {
    issuer: &'a str,
    subject: &'a str,
    client_id: Option<&'a str>,
    audience: Vec<&'a str>,
    expires: i64,
    not_before: Option<i64>,
    issued: Option<i64>,
    scopes: Vec<String>,
}

impl<'a> Claims<'a> {
    fn read(payload: &'a Object<'_>) -> Result<Self, Denial> {
        for claim in ["jti", "nonce"] {
            payload.get(claim).map(|_| text(payload, claim)).transpose()?;
        }
        Ok(Self {
            issuer: text(payload, "iss")?,
            subject: text(payload, "sub")?,
            client_id: payload.get("client_id").map(|_| text(payload, "client_id")).transpose()?,
            audience: audience(payload)?,
            expires: time(payload, "exp")?.ok_or(Denial::TokenClaim("exp"))?,
            not_before: time(payload, "nbf")?,
            issued: time(payload, "iat")?,
            scopes: scopes(payload)?,
        })
    }
}

/// base64url without padding, canonical (RFC 7515 §2): one text for one value.
fn decode(part: &str) -> Result<Vec<u8>, Denial> {
    Base64UrlSafeNoPadding::decode_to_vec(part, None).map_err(|_| Denial::CredentialMalformed)
}

fn object(json: &[u8]) -> Result<Object<'_>, Denial> {
    match Json::read(json, Limits::default()) {
        Ok(Json::Object(object)) => Ok(object),
        _ => Err(Denial::CredentialMalformed),
    }
}

/// A claim that must be a non-empty string without control characters.
fn text<'a>(payload: &'a Object<'_>, claim: &'static str) -> Result<&'a str, Denial> {
    match payload.get(claim).and_then(Json::as_str) {
        Some(text) if !text.is_empty() && text.len() <= 1024 && !text.chars().any(char::is_control) => Ok(text),
        _ => Err(Denial::TokenClaim(claim)),
    }
}

/// A claim that must be a NumericDate, if it is there (RFC 7519 §2).
fn time(payload: &Object<'_>, claim: &'static str) -> Result<Option<i64>, Denial> {
    match payload.get(claim) {
        None => Ok(None),
        Some(value) => match value.as_seconds() {
            Some(seconds) if seconds >= 0 => Ok(Some(seconds)),
            _ => Err(Denial::TokenClaim(claim)),
        },
    }
}

/// `typ` of a JWT access token, as a media type with or without its prefix (RFC 9068 §4).
fn is_access_token_type(typ: Option<&Json<'_>>) -> bool {
    let typ = typ.and_then(Json::as_str).unwrap_or_default();
    typ.eq_ignore_ascii_case("at+jwt") || typ.eq_ignore_ascii_case("application/at+jwt")
}

/// `typ` of some JWT, or none (RFC 7519 §5.1).
fn is_jwt_type(typ: Option<&Json<'_>>) -> bool {
    let Some(typ) = typ else { return true };
    let typ = typ.as_str().unwrap_or_default().to_ascii_lowercase();
    typ == "jwt" || typ.ends_with("+jwt")
}

/// `aud`: a string, or a list of strings (RFC 7519 §4.1.3).
fn audience<'a>(payload: &'a Object<'_>) -> Result<Vec<&'a str>, Denial> {
    let audience = match payload.get("aud") {
        Some(Json::String(audience)) => Some(vec![audience.as_ref()]),
        Some(Json::Array(list)) => list.iter().map(Json::as_str).collect(),
        _ => None,
    };
    audience.ok_or(Denial::TokenAudience)
}

/// `scope`: tokens with one space between them (RFC 6749 §3.3); absent is none.
fn scopes(payload: &Object<'_>) -> Result<Vec<String>, Denial> {
    let scope = match payload.get("scope") {
        None => return Ok(Vec::new()),
        Some(scope) => scope.as_str().ok_or(Denial::TokenClaim("scope"))?,
    };
    if scope.is_empty() {
        return Ok(Vec::new());
    }
    let scopes: Vec<String> = scope.split(' ').map(str::to_owned).collect();
    if scopes.iter().all(|scope| is_scope(scope)) { Ok(scopes) } else { Err(Denial::TokenClaim("scope")) }
}

/// Is this one scope-token (RFC 6749 §3.3)?
pub fn is_scope(scope: &str) -> bool {
    !scope.is_empty() && scope.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

/// `input.identity` of the policy contract.
fn document(payload: &Object<'_>, claims: &Claims<'_>) -> regorus::Value {
    let strings =
        |list: &[String]| list.iter().map(|item| item.as_str().into()).collect::<Vec<regorus::Value>>().into();
    let list = |claim: &str| -> regorus::Value {
        let items = payload.get(claim).and_then(Json::as_array).unwrap_or_default();
        let all_text = items.iter().all(|item| item.as_str().is_some());
        let items = items.iter().filter(|_| all_text);
        items.map(Json::to_value).collect::<Vec<_>>().into()
    };
    let mut members: Vec<(&str, regorus::Value)> = vec![
        ("issuer", claims.issuer.into()),
        ("subject", claims.subject.into()),
        ("scopes", strings(&claims.scopes)),
        ("roles", list("roles")),
        ("groups", list("groups")),
        ("claims", payload.to_value()),
        ("method", "bearer".into()),
        ("confirmation", "none".into()),
    ];
    members.extend(claims.client_id.map(|client_id| ("client_id", client_id.into())));
    let tenant = payload.get("tenant").and_then(Json::as_str);
    members.extend(tenant.map(|tenant| ("tenant", tenant.into())));
    let actor = payload.get("act").and_then(Json::as_object);
    members.extend(actor.map(|actor| ("actor", actor.to_value())));
    let members = members.into_iter().map(|(name, value)| (name.into(), value));
    members.collect::<std::collections::BTreeMap<_, _>>().into()
}

/// Seconds since 1970; before that, none have passed.
pub fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// Tokens that were verified for one resource.
pub struct Tokens(RefCell<Store<String, Rc<Identity>>>);

impl Default for Tokens {
    fn default() -> Self {
        Self(RefCell::new(Store::new(1024, 1024 * 1024)))
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokens({})", self.0.borrow().len())
    }
}

impl Tokens {
    /// The identity of a token: remembered, or verified and then remembered.
    /// What fails is not remembered: a caller could fill the memory with it.
    pub fn verify(
        &self,
        bearer: Bearer<'_>,
        issuers: &[Rc<Issuer>],
        audience: &str,
        crypto: &Crypto,
        now: SystemTime,
    ) -> Result<Rc<Identity>, Denial> {
        // The whole token is the key, its signature included: a hit is the very
        // text that was verified. Only the time is still to be asked.
        let known = self.0.borrow_mut().get(bearer.0);
        if let Some(identity) = known {
            let (first, last) = identity.valid;
            return match seconds(now) {
                now if now > last => Err(Denial::TokenExpired),
                now if now < first => Err(Denial::TokenNotYetValid),
                _ => Ok(identity),
            };
        }
        let identity = Rc::new(verify(bearer, issuers, audience, crypto, now)?);
        self.0.borrow_mut().insert(bearer.0.to_owned(), bearer.0.len(), Rc::clone(&identity));
        Ok(identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(value: &str) -> Result<String, Denial> {
        let head = Head::new(vec![("authorization".into(), value.as_bytes().to_vec())]);
        Bearer::from_head(&head).map(|bearer| bearer.0.to_owned())
    }

    #[test]
    fn the_authorization_header_has_one_strict_grammar() {
        for value in ["Bearer a.b.c", "bearer a.b.c", "BEARER a.b.c"] {
            assert_eq!(bearer(value).as_deref(), Ok("a.b.c"), "{value}");
        }
        for value in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer  a",
            " Bearer a",
            "Bearer a ",
            "Bearer\ta",
            "Bearer a b",
            "Bearer a,Bearer b",
            "Bearer \"a\"",
            "Basic a",
            "DPoP a",
            "Bearera",
            "Bearer =",
            "Bearer a=b",
            "Bearer é",
        ] {
            assert_eq!(bearer(value), Err(Denial::CredentialMalformed), "{value}");
        }
        assert_eq!(bearer(&format!("Bearer {}", "a".repeat(LONGEST))), Err(Denial::CredentialTooLarge));
        let twice =
            vec![("authorization".into(), b"Bearer a".to_vec()), ("authorization".into(), b"Bearer a".to_vec())];
        assert_eq!(Bearer::from_head(&Head::new(twice)).map(drop), Err(Denial::CredentialMalformed));
        assert_eq!(Bearer::from_head(&Head::default()).map(drop), Err(Denial::CredentialMissing));
    }

    #[test]
    fn base64url_is_canonical() {
        assert!(decode("VGVzdA").is_ok());
        for part in ["VGVzdB", "VGVzdA==", "VGVz dA", "VG+zdA", "VGVzd"] {
            assert!(decode(part).is_err(), "{part}");
        }
    }

    #[test]
    fn a_bearer_never_shows_its_token() {
        assert_eq!(format!("{:?}", Bearer("secret")), "Bearer(…)");
    }

    #[test]
    fn a_remembered_token_is_good_from_its_first_to_its_last_second() {
        let tokens = Tokens::default();
        tokens.0.borrow_mut().insert("a".into(), 1, Rc::new(Identity::unverified("alice")));
        let at = |now| {
            let now = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(now);
            tokens.verify(Bearer("a"), &[], "", &Crypto::default(), now).map(drop)
        };
        assert_eq!(at(9), Err(Denial::TokenNotYetValid));
        assert_eq!((at(10), at(20)), (Ok(()), Ok(())));
        assert_eq!(at(21), Err(Denial::TokenExpired));
    }
}
