//! Who is asking: a credential in, an [`Identity`] out.
//!
//! A [`Bearer`] is what the caller presents; nothing in it is believed. An
//! [`Identity`] exists only where a token was verified: signed by a key of an
//! issuer that the resource accepts, an access token by its type, meant for
//! this resource, and valid now (RFC 6750 §2.1, RFC 9068 §4, RFC 8725); or where
//! the issuer itself vouched for it, or the operator.
//!
//! Verified tokens are remembered by [`Tokens`], for as long as they are valid,
//! no longer than the configuration under which they were verified, and not
//! beyond a change of the keys that verified them.

pub mod api_key;
pub mod certificate;
mod claims;
mod credential;
pub mod dpop;
pub mod introspection;
mod issuer;
pub mod nonce;
pub mod thumbprint;

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

pub use claims::{Confirmation, is_scope};
pub use credential::{Bearer, Credential, LONGEST, Scheme};
pub use issuer::{ClaimPath, ClaimPaths, Issuer, Revoked};

use crate::denial::Denial;
use crate::json::{Json, Limits, Object};
use crate::keys::{Algorithm, Crypto};
use crate::store::Store;
use claims::Claims;

/// The longest name of a key, in bytes.
const LONGEST_KID: usize = 256;

/// No token is good for longer than this, whatever its issuer says: ten years.
pub const LONGEST_LIFE: i64 = 10 * 365 * 24 * 60 * 60;

/// What a verified credential says.
#[derive(Debug)]
pub struct Identity {
    /// `iss`
    pub issuer: String,
    /// `sub`
    pub subject: String,
    /// The client that presents it.
    pub client_id: Option<String>,
    /// The scopes that it was granted.
    pub scopes: Vec<String>,
    /// `acr`: how strong the login was.
    pub acr: Option<String>,
    /// `auth_time`: when the login was, in seconds since 1970.
    pub auth_time: Option<i64>,
    /// What must be proven with each request.
    pub confirmation: Confirmation,
    /// `input.identity`, built once and shared by all evaluations.
    pub input: regorus::Value,
    /// Who says so.
    vouched: Vouched,
    /// First and last second at which it is valid, leeway included. Private, so
    /// that only what verifies makes an identity.
    valid: (i64, i64),
    /// When it is over, however long its issuer is believed without being asked again.
    last: i64,
}

/// Who says that an identity is what it says.
#[derive(Debug)]
enum Vouched {
    /// A key of an issuer, in the state that its keys had then.
    Keys(Rc<Issuer>, u64),
    /// An issuer that was asked, and can be asked again.
    Issuer,
    /// The configuration.
    Operator,
}

impl Identity {
    /// The last second of the credential itself, leeway included, however long it is
    /// believed without asking again.
    pub fn last(&self) -> i64 {
        self.last
    }

    /// Does it come from an API key?
    pub fn is_api_key(&self) -> bool {
        matches!(self.vouched, Vouched::Operator)
    }

    /// Is it valid at this second?
    pub(crate) fn check(&self, now: i64) -> Result<(), Denial> {
        match self.valid {
            (_, last) if now > last => Err(Denial::TokenExpired),
            (first, _) if now < first => Err(Denial::TokenNotYetValid),
            _ => Ok(()),
        }
    }

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
            confirmation: Confirmation::default(),
            input: regorus::Value::from_json_str(&input).unwrap(),
            vouched: Vouched::Operator,
            valid: (10, 20),
            last: 20,
        }
    }
}

/// Whose tokens a resource accepts, and under which name.
#[derive(Debug)]
pub struct Acceptance {
    /// The resource's canonical URL (RFC 8707 §2).
    pub audience: String,
    /// The issuers.
    pub issuers: Vec<Rc<Issuer>>,
}

/// What a token turned out to be.
#[derive(Debug)]
pub enum Verified {
    /// Verified here.
    Known(Rc<Identity>),
    /// Its issuer has to be asked (RFC 7662).
    Opaque(Rc<Issuer>),
}

/// Verifies a token for a resource, one check after the other. `time` is the
/// host's.
fn verify(bearer: Bearer<'_>, acceptance: &Acceptance, crypto: &Crypto, time: SystemTime) -> Result<Verified, Denial> {
    let now = seconds(time);
    let mut parts = bearer.text().split('.');
    let (Some(header), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        // Not a JWS. If one issuer can be asked, it may know what this is; but an API key, of
        // whatever resource, is told to nobody.
        if bearer.text().starts_with(api_key::PREFIX) {
            return Err(Denial::TokenKeyUnknown(api_key::OTHERS));
        }
        let asked = acceptance.issuers.iter().find(|issuer| issuer.introspection.is_some());
        return asked.map(|issuer| Verified::Opaque(Rc::clone(issuer))).ok_or(Denial::CredentialMalformed);
    };
    let (header, payload) = (decode(header)?, decode(payload)?);
    let (header, payload) = (object(&header)?, object(&payload)?);

    // Which issuer's rules apply is the one thing that an unverified claim
    // decides; a token that names another issuer than its own is then held
    // against that one's keys.
    let issuer = payload.get("iss").ok_or(Denial::TokenClaim("iss"))?;
    let issuer = claims::text(issuer, "iss")?;
    let mut known = acceptance.issuers.iter();
    let issuer = known.find(|known| known.issuer == issuer).ok_or_else(|| {
        let accepted = acceptance.issuers.iter().map(|issuer| issuer.issuer.as_str());
        Denial::TokenIssuer(unexpected([issuer], accepted))
    })?;
    let Some(source) = &issuer.source else { return Ok(Verified::Opaque(Rc::clone(issuer))) };
    let keys = source.keys();

    // Header (RFC 7515 §4.1). What changes how a token is to be read is refused,
    // and so is what points to keys elsewhere, unless its issuer is known to send
    // it: then it is not looked at.
    const REFUSED: [&str; 3] = ["crit", "b64", "zip"];
    const KEYS: [&str; 4] = ["jku", "jwk", "x5u", "x5c"];
    let points = |name: &&str| header.get(name).is_some() && !issuer.ignored_headers.iter().any(|known| known == name);
    let refused = REFUSED.into_iter().find(|name| header.get(name).is_some()).or(KEYS.into_iter().find(points));
    if let Some(name) = refused {
        return Err(Denial::TokenHeader(name));
    }
    let algorithm = header.get("alg").and_then(Json::as_str).and_then(Algorithm::from_name);
    let listed = |algorithm: &Algorithm| issuer.algorithms.as_ref().is_none_or(|listed| listed.contains(algorithm));
    let algorithm = algorithm
        .filter(listed)
        .ok_or(Denial::TokenAlgorithm("expected one that the issuer may use, found another or none"))?;
    let is_expected = if issuer.typed { is_access_token_type } else { is_plain_type };
    if !is_expected(header.get("typ")) {
        return Err(Denial::TokenType(match issuer.typed {
            true => {
                "expected `at+jwt`, found another or none: does the issuer type its access tokens, or is it `token_type: any`?"
            }
            false => "expected `JWT`, `at+jwt` or none, found the type of another kind of token",
        }));
    }
    let kid = match header.get("kid").map(Json::as_str) {
        None => None,
        Some(Some(kid)) if kid.len() <= LONGEST_KID => Some(kid),
        Some(_) => return Err(Denial::TokenHeader("kid")),
    };

    // The claims have their types before cryptography is paid for.
    let claims = Claims::read(&payload, &issuer.claims)?;
    let expires = claims.expires.ok_or(Denial::TokenClaim("exp"))?;

    if keys.is_empty() {
        return Err(Denial::KeysUnavailable);
    }
    let key = keys.find(kid, algorithm).ok_or_else(|| {
        source.miss(time);
        Denial::TokenKeyUnknown(match kid {
            Some(_) => "found a `kid` that none of the issuer's keys for this algorithm has",
            None => "found no `kid`, and not one key of the issuer's for this algorithm alone",
        })
    })?;
    // Anybody can write PSS into a header, and the module has to compute it.
    if algorithm.is_pss() && issuer.algorithms.is_none() && !key.says_algorithm() {
        return Err(Denial::TokenAlgorithm(
            "found RSA-PSS: name it in the issuer's `algorithms`, or in the key's `alg`",
        ));
    }
    key.verify(bearer.text(), crypto).map_err(|_| Denial::TokenSignature)?;

    // From here on the claims are the issuer's.
    issuer.check(&payload, &claims, &acceptance.audience)?;
    // An ID token is a receipt for the client, not a key to a resource (OpenID
    // Connect Core §2). Where the type does not tell, these claims do;
    // `events` are those of a logout token.
    if !issuer.typed
        && ["nonce", "at_hash", "c_hash", "s_hash", "events"].iter().any(|claim| payload.get(claim).is_some())
    {
        return Err(Denial::TokenType("found the claims of an ID token or a logout token"));
    }
    // What RFC 9068 §2.2 requires beyond RFC 7519, but for `jti`, which nothing here needs.
    if issuer.typed && claims.issued.is_none() {
        return Err(Denial::TokenClaim("iat"));
    }
    if issuer.requires_client && claims.client_id.is_none() {
        return Err(Denial::TokenClaim("client_id"));
    }
    let vouched = Vouched::Keys(Rc::clone(issuer), issuer.generation());
    let identity = issuer.identity(&payload, claims, expires, vouched, now)?;
    Ok(Verified::Known(Rc::new(identity)))
}

impl Issuer {
    /// Is a token of these claims meant for the resource, and not revoked?
    fn check(&self, payload: &Object<'_>, claims: &Claims<'_>, audience: &str) -> Result<(), Denial> {
        // An origin has two spellings that mean the same (RFC 3986 §6.2.3), and servers use both.
        let is_ours = |name: &str| {
            name == audience
                || audience.strip_suffix('/').is_some_and(|origin| name == origin)
                || self.audiences.iter().any(|known| known == name)
        };
        if !claims.audience.iter().any(|name| is_ours(name)) {
            let own = std::iter::once(audience).chain(self.audiences.iter().map(String::as_str));
            return Err(Denial::TokenAudience(unexpected(claims.audience.iter().copied(), own)));
        }
        if self.revoked.has(payload, claims.subject, claims.client_id, claims.issued) {
            return Err(Denial::TokenRevoked);
        }
        Ok(())
    }

    /// The identity of claims that are believed, if they are valid now.
    fn identity(
        &self,
        payload: &Object<'_>,
        claims: Claims<'_>,
        expires: i64,
        vouched: Vouched,
        now: i64,
    ) -> Result<Identity, Denial> {
        // "On or after" `exp` it is over (RFC 7519 §4.1.4).
        let last = expires.saturating_add(self.leeway).saturating_sub(1);
        let starts = claims.not_before.max(claims.issued);
        let first = starts.map_or(i64::MIN, |starts| starts.saturating_sub(self.leeway));
        let life = expires.saturating_sub(claims.issued.unwrap_or(now));
        if claims.issued.is_some_and(|issued| issued > expires) {
            return Err(Denial::TokenClaim("iat"));
        }
        if life > self.max_lifetime {
            return Err(Denial::TokenClaim("exp"));
        }
        let identity = Identity {
            issuer: self.issuer.clone(),
            subject: claims.subject.to_owned(),
            client_id: claims.client_id.map(str::to_owned),
            input: document(&self.issuer, payload, &claims, &vouched),
            scopes: claims.scopes,
            acr: claims.acr.map(str::to_owned),
            auth_time: claims.auth_time,
            confirmation: claims.confirmation,
            vouched,
            valid: (first, last),
            last,
        };
        identity.check(now)?;
        Ok(identity)
    }
}

/// What the record says of names that are none of those that are expected: first what was
/// found, because a record is cut.
fn unexpected<'a>(found: impl IntoIterator<Item = &'a str>, expected: impl IntoIterator<Item = &'a str>) -> String {
    let list = |names: Vec<String>, between| if names.is_empty() { "none".to_owned() } else { names.join(between) };
    let found = list(found.into_iter().map(|name| format!("`{name}`")).collect(), ", ");
    let expected = list(expected.into_iter().map(|name| format!("`{name}`")).collect(), " or ");
    format!("found {found}, expected {expected}")
}

/// base64url without padding, canonical (RFC 7515 §2): one text for one value.
fn decode(part: &str) -> Result<Vec<u8>, Denial> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Denial::CredentialMalformed)
}

/// The same, the other way.
fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn object(json: &[u8]) -> Result<Object<'_>, Denial> {
    match Json::read(json, Limits::default()) {
        Ok(Json::Object(object)) => Ok(object),
        _ => Err(Denial::CredentialMalformed),
    }
}

/// `typ` of a JWT access token, as a media type with or without its prefix (RFC 9068 §4).
fn is_access_token_type(typ: Option<&Json<'_>>) -> bool {
    let typ = typ.and_then(Json::as_str).unwrap_or_default();
    typ.eq_ignore_ascii_case("at+jwt") || typ.eq_ignore_ascii_case("application/at+jwt")
}

/// `typ` of an access token whose issuer may not type it (RFC 7519 §5.1). Types of
/// other tokens, such as `dpop+jwt`, `logout+jwt` or `oauth-id-jag+jwt`, are none.
fn is_plain_type(typ: Option<&Json<'_>>) -> bool {
    typ.is_none_or(|typ| {
        typ.as_str().is_some_and(|typ| typ.eq_ignore_ascii_case("jwt")) || is_access_token_type(Some(typ))
    })
}

/// `input.identity` of the policy contract.
fn document(issuer: &str, payload: &Object<'_>, claims: &Claims<'_>, vouched: &Vouched) -> regorus::Value {
    let list = |items: &[&str]| items.iter().map(|item| (*item).into()).collect::<Vec<regorus::Value>>().into();
    let scopes: Vec<&str> = claims.scopes.iter().map(String::as_str).collect();
    let (method, confirmation) = match (&claims.confirmation, vouched) {
        (Confirmation { jkt: Some(_), .. }, _) => ("dpop", "jkt"),
        (Confirmation { certificate: Some(_), .. }, _) => ("mtls", "x5t#S256"),
        (_, Vouched::Issuer) => ("introspected", "none"),
        (_, Vouched::Keys(..) | Vouched::Operator) => ("bearer", "none"),
    };
    let mut members: Vec<(&str, regorus::Value)> = vec![
        ("issuer", issuer.into()),
        ("subject", claims.subject.into()),
        ("scopes", list(&scopes)),
        ("roles", list(&claims.roles)),
        ("groups", list(&claims.groups)),
        ("claims", payload.to_value()),
        ("method", method.into()),
        ("confirmation", confirmation.into()),
    ];
    members.extend(claims.client_id.map(|client_id| ("client_id", client_id.into())));
    members.extend(claims.tenant.map(|tenant| ("tenant", tenant.into())));
    members.extend(claims.actor.map(|actor| ("actor", actor.to_value())));
    object_of(members)
}

fn object_of(members: Vec<(&str, regorus::Value)>) -> regorus::Value {
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
    /// Whose token it is, if it was verified before: then only the time is still to be
    /// asked. The whole token is the key, its signature included, so a hit is the very
    /// text that was verified.
    pub fn known(&self, bearer: Bearer<'_>, time: SystemTime) -> Option<Result<Rc<Identity>, Denial>> {
        let identity = self.0.borrow_mut().get(bearer.text())?;
        let is_valid = identity.check(seconds(time));
        match &identity.vouched {
            // Its key may be gone (RFC 7517 §5, rotation).
            Vouched::Keys(issuer, generation) if issuer.generation() != *generation => None,
            Vouched::Issuer if is_valid.is_err() => None,
            Vouched::Keys(..) | Vouched::Issuer | Vouched::Operator => Some(is_valid.map(|()| identity)),
        }
    }

    /// Verifies a token that is not known. A failure is not remembered: a key may
    /// come, and what is refused costs nobody but its sender.
    pub fn verify(
        &self,
        bearer: Bearer<'_>,
        acceptance: &Acceptance,
        crypto: &Crypto,
        time: SystemTime,
    ) -> Result<Verified, Denial> {
        let verified = verify(bearer, acceptance, crypto, time)?;
        if let Verified::Known(identity) = &verified {
            self.keep(bearer, 0, identity);
        }
        Ok(verified)
    }

    /// Remembers a token that its issuer vouched for. `said` is how much more than the
    /// token itself there is to remember, in bytes.
    pub fn keep(&self, bearer: Bearer<'_>, said: usize, identity: &Rc<Identity>) {
        let weight = bearer.text().len().saturating_add(said);
        self.0.borrow_mut().insert(bearer.text().to_owned(), weight, Rc::clone(identity));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64url_is_canonical() {
        assert!(decode("VGVzdA").is_ok());
        for part in ["VGVzdB", "VGVzdA==", "VGVz dA", "VG+zdA", "VGVzd"] {
            assert!(decode(part).is_err(), "{part}");
        }
    }

    #[test]
    fn a_type_is_that_of_an_access_token_or_none_that_tells() {
        let typed = |typ: &'static str| Json::String(typ.into());
        for typ in ["at+jwt", "application/at+jwt", "AT+JWT"] {
            assert!(is_access_token_type(Some(&typed(typ))) && is_plain_type(Some(&typed(typ))), "{typ}");
        }
        assert!(is_plain_type(None) && is_plain_type(Some(&typed("JWT"))));
        assert!(!is_access_token_type(None) && !is_access_token_type(Some(&typed("JWT"))));
        for typ in ["id_token+jwt", "dpop+jwt", "logout+jwt", "secevent+jwt", "oauth-id-jag+jwt", "JOSE", "", "at+jwt "]
        {
            assert!(!is_access_token_type(Some(&typed(typ))) && !is_plain_type(Some(&typed(typ))), "{typ}");
        }
        assert!(!is_plain_type(Some(&Json::Integer(1))));
    }

    #[test]
    fn a_remembered_token_is_good_from_its_first_to_its_last_second() {
        let tokens = Tokens::default();
        let bearer = Bearer::read("a").unwrap();
        tokens.keep(bearer, 0, &Rc::new(Identity::unverified("alice")));
        let at = |now| {
            let now = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(now);
            tokens.known(bearer, now).map(|identity| identity.map(drop))
        };
        assert_eq!(at(9), Some(Err(Denial::TokenNotYetValid)));
        assert_eq!((at(10), at(20)), (Some(Ok(())), Some(Ok(()))));
        assert_eq!(at(21), Some(Err(Denial::TokenExpired)));
        assert!(tokens.known(Bearer::read("b").unwrap(), SystemTime::UNIX_EPOCH).is_none());
    }
}
