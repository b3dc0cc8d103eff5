//! What a token says, of the right types and not yet believed.
//!
//! The claims that verification is about (RFC 7519 §4.1, RFC 9068 §2.2), read
//! from where the issuer puts them. A claim that is there and of a wrong type
//! refuses the token: absent and unreadable are not the same.

use std::collections::BTreeSet;

use super::issuer::{ClaimPath, ClaimPaths, at};
use crate::denial::Denial;
use crate::json::{Json, Object};

/// The longest text of a claim that identifies somebody, in bytes.
const LONGEST: usize = 1024;

/// The claims of a token, or the members of an introspection response that have
/// the same names (RFC 7662 §2.2).
#[derive(Debug)]
pub(super) struct Claims<'a> {
    pub subject: &'a str,
    pub client_id: Option<&'a str>,
    pub audience: Vec<&'a str>,
    pub expires: Option<i64>,
    pub not_before: Option<i64>,
    pub issued: Option<i64>,
    pub scopes: Vec<String>,
    pub roles: Vec<&'a str>,
    pub groups: Vec<&'a str>,
    pub tenant: Option<&'a str>,
    pub actor: Option<&'a Object<'a>>,
    pub acr: Option<&'a str>,
    pub auth_time: Option<i64>,
    pub confirmation: Confirmation,
}

/// What a token is bound to (RFC 7800 §3.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Confirmation {
    /// The thumbprint of a key (RFC 9449 §6.1).
    pub jkt: Option<String>,
    /// The digest of a certificate (RFC 8705 §3.1).
    pub certificate: Option<String>,
}

impl Confirmation {
    /// Is it bound to nothing?
    pub fn is_none(&self) -> bool {
        self.jkt.is_none() && self.certificate.is_none()
    }
}

impl<'a> Claims<'a> {
    pub(super) fn read(payload: &'a Object<'a>, paths: &ClaimPaths) -> Result<Self, Denial> {
        for claim in ["jti", "nonce", "sid"] {
            payload.get(claim).map(|value| text(value, claim)).transpose()?;
        }
        let subject = at(payload, &paths.subject).ok_or(Denial::TokenClaim("sub"))?;
        let optional = |path: &ClaimPath, claim| at(payload, path).map(|value| text(value, claim)).transpose();
        Ok(Self {
            subject: text(subject, "sub")?,
            client_id: optional(&paths.client_id, "client_id")?,
            audience: audience(payload)?,
            expires: time(payload, "exp")?,
            not_before: time(payload, "nbf")?,
            issued: time(payload, "iat")?,
            scopes: scopes(payload, &paths.scopes)?,
            roles: texts(payload, &paths.roles, "roles")?,
            groups: texts(payload, &paths.groups, "groups")?,
            tenant: optional(&paths.tenant, "tenant")?,
            actor: payload.get("act").map(|value| value.as_object().ok_or(Denial::TokenClaim("act"))).transpose()?,
            acr: payload.get("acr").map(|value| text(value, "acr")).transpose()?,
            auth_time: time(payload, "auth_time")?,
            confirmation: confirmation(payload)?,
        })
    }
}

/// A claim that must be a non-empty string without control characters.
pub(super) fn text<'a>(value: &'a Json<'_>, claim: &'static str) -> Result<&'a str, Denial> {
    match value.as_str() {
        Some(text) if !text.is_empty() && text.len() <= LONGEST && !text.chars().any(char::is_control) => Ok(text),
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

/// `aud`: a string, or a list of strings (RFC 7519 §4.1.3).
fn audience<'a>(payload: &'a Object<'_>) -> Result<Vec<&'a str>, Denial> {
    let audience = match payload.get("aud") {
        Some(Json::String(audience)) => Some(vec![audience.as_ref()]),
        Some(Json::Array(list)) => list.iter().map(Json::as_str).collect(),
        _ => None,
    };
    audience.ok_or_else(|| Denial::TokenAudience("found no string and no list of strings".into()))
}

/// A list of strings; one string is a list of one, as issuers write it. Absent is empty.
/// What is of another type refuses the token: a denial of those who are in a group must
/// not miss somebody whose groups cannot be read.
fn texts<'a>(payload: &'a Object<'a>, path: &ClaimPath, claim: &'static str) -> Result<Vec<&'a str>, Denial> {
    let texts = match at(payload, path) {
        None => Some(Vec::new()),
        Some(Json::String(text)) => Some(vec![text.as_ref()]),
        Some(Json::Array(items)) => items.iter().map(Json::as_str).collect(),
        Some(_) => None,
    };
    texts.ok_or(Denial::TokenClaim(claim))
}

/// The scopes: a string with one space between them (RFC 6749 §3.3), or a list of
/// them; absent is none. Where both of the usual claims are there they must say
/// the same: which of them a server meant is not for the gate to guess.
fn scopes(payload: &Object<'_>, path: &ClaimPath) -> Result<Vec<String>, Denial> {
    let scopes = at(payload, path).map_or(Ok(Vec::new()), scope_list)?;
    for claim in ["scope", "scp"] {
        if path.as_slice() != [claim]
            && let Some(other) = payload.get(claim)
            && at(payload, path).is_some()
        {
            let other = scope_list(other)?;
            // Anybody can write long lists, before a signature was looked at.
            let [own, other] = [&scopes, &other].map(|list| list.iter().collect::<BTreeSet<_>>());
            if own != other {
                return Err(Denial::TokenClaim("scope"));
            }
        }
    }
    Ok(scopes)
}

fn scope_list(value: &Json<'_>) -> Result<Vec<String>, Denial> {
    let scopes: Option<Vec<&str>> = match value {
        Json::String(text) if text.is_empty() => Some(Vec::new()),
        Json::String(text) => Some(text.split(' ').collect()),
        Json::Array(items) => items.iter().map(Json::as_str).collect(),
        _ => None,
    };
    match scopes {
        Some(scopes) if scopes.iter().all(|scope| is_scope(scope)) => {
            Ok(scopes.into_iter().map(str::to_owned).collect())
        }
        _ => Err(Denial::TokenClaim("scope")),
    }
}

/// Is this one scope-token (RFC 6749 §3.3)?
pub fn is_scope(scope: &str) -> bool {
    !scope.is_empty() && scope.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

/// `cnf`: what the token is bound to. A method that the gate does not know binds
/// it to what the gate cannot check.
fn confirmation(payload: &Object<'_>) -> Result<Confirmation, Denial> {
    let Some(cnf) = payload.get("cnf") else { return Ok(Confirmation::default()) };
    let members = cnf.as_object().ok_or(Denial::TokenConfirmation("`cnf`: expected an object"))?;
    let unbound = Denial::TokenConfirmation("`cnf`: expected `jkt` or `x5t#S256`, and nothing else");
    let mut confirmation = Confirmation::default();
    for (name, value) in members.members() {
        // Both are a SHA-256 in base64url.
        let digest = value.as_str().filter(|text| text.len() == 43);
        match (name, digest) {
            ("jkt", Some(digest)) => confirmation.jkt = Some(digest.to_owned()),
            ("x5t#S256", Some(digest)) => confirmation.certificate = Some(digest.to_owned()),
            ("jkt" | "x5t#S256", None) => {
                return Err(Denial::TokenConfirmation("`cnf`: expected a SHA-256 in base64url"));
            }
            _ => return Err(unbound),
        }
    }
    if confirmation.is_none() { Err(unbound) } else { Ok(confirmation) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Limits;

    fn read<T>(payload: &str, check: impl FnOnce(Result<Claims<'_>, Denial>) -> T) -> T {
        read_at(payload, &ClaimPaths::default(), check)
    }

    fn read_at<T>(payload: &str, paths: &ClaimPaths, check: impl FnOnce(Result<Claims<'_>, Denial>) -> T) -> T {
        let payload = format!(r#"{{"sub":"alice","aud":"a"{payload}}}"#);
        let Ok(Json::Object(payload)) = Json::read(payload.as_bytes(), Limits::default()) else { panic!("{payload}") };
        check(Claims::read(&payload, paths))
    }

    fn scopes_of(payload: &str, path: &[&str]) -> Result<Vec<String>, Denial> {
        let scopes = path.iter().map(|name| (*name).to_owned()).collect();
        read_at(payload, &ClaimPaths { scopes, ..ClaimPaths::default() }, |claims| claims.map(|claims| claims.scopes))
    }

    #[test]
    fn scopes_are_a_string_or_a_list_of_single_ones() {
        let ok = |scopes: &[&str]| Ok(scopes.iter().map(|scope| (*scope).to_owned()).collect());
        for (payload, scopes) in [
            ("", ok(&[])),
            (r#","scope":"""#, ok(&[])),
            (r#","scope":"a b""#, ok(&["a", "b"])),
            (r#","scope":["a","b"]"#, ok(&["a", "b"])),
            (r#","scope":"a","scp":["a"]"#, ok(&["a"])),
            (r#","scp":"a""#, ok(&[])),
        ] {
            assert_eq!(scopes_of(payload, &["scope"]), scopes, "{payload}");
        }
        for payload in [
            r#","scope":"a  b""#,
            r#","scope":" a""#,
            r#","scope":"a\tb""#,
            r#","scope":"a\u00a0b""#,
            r#","scope":["a b"]"#,
            r#","scope":[""]"#,
            r#","scope":[1]"#,
            r#","scope":1"#,
            r#","scope":null"#,
            r#","scope":"a","scp":"b""#,
            r#","scope":"a","scp":"a b""#,
        ] {
            assert_eq!(scopes_of(payload, &["scope"]), Err(Denial::TokenClaim("scope")), "{payload}");
        }
        assert_eq!(scopes_of(r#","scope":"a b","scp":"b a""#, &["scope"]), ok(&["a", "b"]));
        assert_eq!(scopes_of(r#","scp":"a b""#, &["scp"]), ok(&["a", "b"]));
        assert_eq!(scopes_of(r#","x":{"y":["a"]}"#, &["x", "y"]), ok(&["a"]));
    }

    #[test]
    fn a_path_leads_through_objects_alone() {
        let paths = ClaimPaths {
            roles: vec!["realm_access".into(), "roles".into()],
            groups: vec!["https://corp.example/groups".into()],
            client_id: vec!["azp".into()],
            subject: vec!["oid".into()],
            tenant: vec!["tid".into()],
            ..ClaimPaths::default()
        };
        let payload =
            r#","realm_access":{"roles":["r"]},"https://corp.example/groups":["g"],"azp":"c","tid":"t","oid":"o""#;
        read_at(payload, &paths, |claims| {
            let claims = claims.unwrap();
            assert_eq!(claims.subject, "o");
            assert_eq!((claims.roles, claims.groups), (vec!["r"], vec!["g"]));
            assert_eq!((claims.client_id, claims.tenant), (Some("c"), Some("t")));
        });
        read_at("", &paths, |claims| assert_eq!(claims.err(), Some(Denial::TokenClaim("sub"))));
        let paths = ClaimPaths { subject: vec!["sub".into()], ..paths };
        let one = r#","realm_access":{"roles":"r"}"#;
        read_at(one, &paths, |claims| assert_eq!(claims.unwrap().roles, ["r"]));
        read_at(r#","realm_access":["roles"]"#, &paths, |claims| assert!(claims.unwrap().roles.is_empty()));
        for payload in [r#","realm_access":{"roles":["r",1]}"#, r#","realm_access":{"roles":null}"#] {
            read_at(payload, &paths, |claims| assert_eq!(claims.err(), Some(Denial::TokenClaim("roles")), "{payload}"));
        }
        for (payload, claim) in [
            (r#","tid":1"#, "tenant"),
            (r#","act":"x""#, "act"),
            (r#","acr":1"#, "acr"),
            (r#","auth_time":"1""#, "auth_time"),
        ] {
            read_at(payload, &paths, |claims| assert_eq!(claims.err(), Some(Denial::TokenClaim(claim)), "{payload}"));
        }
        read_at(r#","azp":1"#, &paths, |claims| assert_eq!(claims.err(), Some(Denial::TokenClaim("client_id"))));
    }

    #[test]
    fn what_a_token_is_bound_to_is_known_or_it_is_refused() {
        let digest = "A".repeat(43);
        let bound = |cnf: &str| read(&format!(r#","cnf":{cnf}"#), |claims| claims.map(|claims| claims.confirmation));
        let jkt = Confirmation { jkt: Some(digest.clone()), certificate: None };
        assert_eq!(bound(&format!(r#"{{"jkt":"{digest}"}}"#)), Ok(jkt));
        let certificate = Confirmation { jkt: None, certificate: Some(digest.clone()) };
        assert_eq!(bound(&format!(r#"{{"x5t#S256":"{digest}"}}"#)), Ok(certificate));
        for cnf in
            ["{}", "null", "[]", r#""x""#, r#"{"jkt":"x"}"#, r#"{"kid":"x"}"#, &format!(r#"{{"jku":"{digest}"}}"#)]
        {
            assert!(matches!(bound(cnf), Err(Denial::TokenConfirmation(_))), "{cnf}");
        }
    }

    #[test]
    fn claims_have_their_types() {
        for payload in [
            r#","exp":"1""#,
            r#","exp":true"#,
            r#","exp":null"#,
            r#","exp":-1"#,
            r#","nbf":[]"#,
            r#","iat":{}"#,
            r#","jti":1"#,
        ] {
            read(payload, |claims| assert!(matches!(claims, Err(Denial::TokenClaim(_))), "{payload}"));
        }
        read(r#","exp":1700000000.9"#, |claims| assert_eq!(claims.unwrap().expires, Some(1_700_000_000)));
    }
}
