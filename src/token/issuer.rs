//! An issuer, and what is expected of its tokens.
//!
//! RFC 9068 is the default. Servers that came before it put scopes, roles and the
//! client elsewhere; where, an operator says here, and says it for one issuer.

use std::collections::HashSet;
use std::rc::Rc;

use super::introspection::Introspection;
use crate::json::{Json, Object};
use crate::keys::Algorithm;
use crate::source::Source;

/// What is expected of the tokens of one issuer.
#[derive(Debug)]
pub struct Issuer {
    /// `iss`, byte by byte.
    pub issuer: String,
    /// Where the issuer's keys live; no other issuer's are ever tried. None where the
    /// issuer is asked about each of its tokens.
    pub source: Option<Source>,
    /// How it is asked about a token that the gate cannot read.
    pub introspection: Option<Introspection>,
    /// The algorithms that it signs with, where the operator says; else those of its
    /// keys, RSASSA-PSS only where a key says it.
    pub algorithms: Option<Vec<Algorithm>>,
    /// Does it type its access tokens `at+jwt` (RFC 9068 §2.1)?
    pub typed: bool,
    /// What it may call a resource, beside the resource's URL.
    pub audiences: Vec<String>,
    /// Must a token that the gate reads say which client it was issued to? RFC 9068 demands
    /// it, and ID tokens often do not say it where access tokens do.
    pub requires_client: bool,
    /// How far its clock may be off, in seconds.
    pub leeway: i64,
    /// The longest that a token of it may be valid, in seconds.
    pub max_lifetime: i64,
    /// Headers that point to keys, which it sends and which are not looked at.
    pub ignored_headers: Vec<String>,
    /// Where its claims are.
    pub claims: ClaimPaths,
    /// What it has issued and is not believed any more.
    pub revoked: Revoked,
}

impl Issuer {
    /// Changes whenever its keys do.
    pub(super) fn generation(&self) -> u64 {
        self.source.as_ref().map_or(0, Source::generation)
    }

    /// The metadata of the authorization server, once it was discovered (RFC 8414).
    pub fn server_metadata(&self) -> Option<Rc<str>> {
        self.source.as_ref().and_then(Source::metadata)
    }
}

/// Where in a token a claim is: the names from the outside in.
pub type ClaimPath = Vec<String>;

/// Where an issuer puts what RFC 9068 has at the top.
#[derive(Debug)]
pub struct ClaimPaths {
    /// A string.
    pub subject: ClaimPath,
    /// A string of scopes, or a list of them.
    pub scopes: ClaimPath,
    /// A list of strings.
    pub roles: ClaimPath,
    /// A list of strings.
    pub groups: ClaimPath,
    /// A string.
    pub client_id: ClaimPath,
    /// A string.
    pub tenant: ClaimPath,
}

impl Default for ClaimPaths {
    fn default() -> Self {
        let path = |name: &str| vec![name.to_owned()];
        Self {
            subject: path("sub"),
            scopes: path("scope"),
            roles: path("roles"),
            groups: path("groups"),
            client_id: path("client_id"),
            tenant: path("tenant"),
        }
    }
}

/// What is found at a path.
pub(super) fn at<'a>(payload: &'a Object<'a>, path: &[String]) -> Option<&'a Json<'a>> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(payload.get(first)?, |value, name| value.as_object()?.get(name))
}

/// Tokens that are refused although they are valid. In force with the
/// configuration that names them: remembered tokens go with the one before.
#[derive(Debug, Default)]
pub struct Revoked {
    /// Single tokens.
    pub jti: HashSet<String>,
    /// Subjects.
    pub sub: HashSet<String>,
    /// Sessions of users at the issuer (OpenID Connect Front-Channel Logout §3).
    pub sid: HashSet<String>,
    /// Clients, and what does not say which client it was issued to.
    pub client_id: HashSet<String>,
    /// Everything issued before this second, and what does not say when it was issued.
    pub issued_before: Option<i64>,
}

impl Revoked {
    /// Is a token of these claims revoked?
    pub(super) fn has(
        &self,
        payload: &Object<'_>,
        subject: &str,
        client_id: Option<&str>,
        issued: Option<i64>,
    ) -> bool {
        let names = |set: &HashSet<String>, claim: &str| {
            !set.is_empty() && payload.get(claim).and_then(Json::as_str).is_some_and(|value| set.contains(value))
        };
        names(&self.jti, "jti")
            || names(&self.sid, "sid")
            || self.sub.contains(subject)
            || !self.client_id.is_empty() && client_id.is_none_or(|client_id| self.client_id.contains(client_id))
            || self.issued_before.is_some_and(|before| issued.is_none_or(|issued| issued < before))
    }
}
