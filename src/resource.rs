//! A protected resource: one MCP endpoint, and what it says of itself.
//!
//! It is named by its canonical URL (RFC 8707 §2), which is the audience of its
//! tokens, the path of its route, and the `resource` of its metadata document
//! (RFC 9728). From the URL follow where that document is served and what a
//! 401 points to.

use std::collections::HashSet;
use std::rc::Rc;

use crate::catalogue::Catalogue;
use crate::denial::Denial;
use crate::http::Head;
use crate::keys::Algorithm;
use crate::mcp::Dialect;
use crate::token::api_key::ApiKeys;
use crate::token::{Acceptance, Identity, Issuer, Scheme, Tokens};

/// A validated resource, with the tokens that were verified for it.
#[derive(Debug)]
pub struct Resource {
    /// The path of the endpoint; compared byte by byte.
    pub path: String,
    /// What is served of the resource, and where (RFC 9728 §3.1).
    pub metadata: Metadata,
    /// Its canonical URL, and whose tokens it accepts.
    pub acceptance: Acceptance,
    /// The kinds of credentials that it takes.
    pub credentials: Credentials,
    /// The API keys that it takes.
    pub api_keys: ApiKeys,
    /// Where it takes them, beside `Authorization`; in lower case.
    pub api_key_header: Option<String>,
    /// The scopes of a 401.
    pub scopes: Vec<String>,
    /// The authorities under which it is served.
    pub hosts: Vec<String>,
    /// The origins from which a browser may call it.
    pub origins: Vec<String>,
    /// How policy's denials look to the caller.
    pub denials: Denials,
    /// The largest body, in bytes.
    pub body_limit: usize,
    /// The largest answer with a list, in bytes.
    pub list_limit: usize,
    /// The largest size of all headers, names and values, in bytes.
    pub header_limit: usize,
    /// What is asked of a proof of possession.
    pub dpop: Dpop,
    /// The protocol that it speaks.
    pub dialect: Dialect,
    /// What was approved of the server behind it.
    pub catalogue: Option<Catalogue>,
    /// Verified tokens.
    pub tokens: Tokens,
}

/// How policy's denials look to the caller. To the record all of them look alike.
#[derive(Debug, Clone, Copy)]
pub struct Denials {
    /// What a denied request is answered with.
    pub shape: DenialShape,
    /// Are a policy's reasons told?
    pub reasons: bool,
}

/// What a request is answered with that policy denies. Clients differ in which answers
/// reach their user, or the model, and which they take for a broken connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DenialShape {
    /// A JSON-RPC error with HTTP 403 (MCP Authorization, Error Handling).
    Http403,
    /// The same error with HTTP 200.
    JsonRpc,
    /// The result of a tool that failed, where a tool is called.
    ToolResult,
    /// What a server says of what it does not have.
    UnknownTool,
}

/// What a resource asks of proofs (RFC 9449).
#[derive(Debug, Clone, Copy)]
pub struct Dpop {
    /// Must they hold a nonce of the gate's?
    pub nonce: bool,
    /// How old one may be, in seconds.
    pub max_age: i64,
}

/// The kinds of credentials that a resource takes.
#[derive(Debug, Clone, Copy)]
pub struct Credentials {
    /// Tokens that are bound to nothing.
    pub bearer: bool,
    /// Tokens that are bound to a key (RFC 9449).
    pub dpop: bool,
    /// Tokens that are bound to a certificate (RFC 8705).
    pub mtls: bool,
}

impl Credentials {
    /// Does the resource take this identity, presented in this way? A token that
    /// is bound is worth nothing to who only has the token, and one that is not
    /// bound proves nothing by a proof (RFC 9449 §7.1, §7.2).
    pub fn check(&self, scheme: Scheme, identity: &Identity) -> Result<(), Denial> {
        let confirmation = &identity.confirmation;
        match (scheme == Scheme::Dpop, confirmation.jkt.is_some()) {
            (true, false) => return Err(Denial::TokenConfirmation("presented as `DPoP`, and bound to no key")),
            (false, true) => return Err(Denial::TokenConfirmation("bound to a key, and not presented as `DPoP`")),
            (true, true) | (false, false) => {}
        }
        let taken = [
            ("dpop", confirmation.jkt.is_some(), self.dpop),
            ("mtls", confirmation.certificate.is_some(), self.mtls),
            ("bearer", confirmation.is_none() && !identity.is_api_key(), self.bearer),
        ];
        match taken.into_iter().find(|(_, is_one, takes)| *is_one && !takes) {
            Some((kind, ..)) => Err(Denial::CredentialKind(kind)),
            None => Ok(()),
        }
    }
}

/// What is served of a resource without a token.
#[derive(Debug)]
pub struct Metadata {
    /// Where the document is: at the place that follows from the URL, and perhaps
    /// at the root, for clients that only look there.
    pub paths: Vec<String>,
    /// The document (RFC 9728 §2).
    pub document: String,
    /// Names this document, for who asks again (RFC 9110 §8.8.3).
    pub etag: String,
    /// The server whose metadata is served at the resource's own origin, for
    /// clients of 2025-03-26, which look there.
    pub authorization_server: Option<Rc<Issuer>>,
}

/// Where clients of 2025-03-26 look for the metadata of the authorization server (RFC 8414 §3).
pub const AUTHORIZATION_SERVER_PATH: &str = "/.well-known/oauth-authorization-server";

impl Resource {
    /// Is it served under this authority?
    pub fn has_host(&self, head: &Head) -> bool {
        let authority = head.authority();
        self.hosts.iter().any(|host| host.as_bytes().eq_ignore_ascii_case(authority))
    }

    /// May a page of this origin call it? A request without `Origin` comes from
    /// no page (MCP, Security Warning of Streamable HTTP).
    pub fn has_origin(&self, head: &Head) -> bool {
        match head.get("origin") {
            Ok(None) => true,
            Ok(Some(origin)) => self.origins.iter().any(|known| known.as_bytes() == origin),
            Err(_) => false,
        }
    }

    /// Its canonical URL.
    pub fn url(&self) -> &str {
        &self.acceptance.audience
    }

    fn metadata_url(&self) -> String {
        let origin = self.url().strip_suffix(&self.path).unwrap_or(self.url());
        format!("{origin}{}", self.metadata.paths.first().map_or("", String::as_str))
    }

    /// The challenge of a 401 (RFC 9728 §5.1, RFC 6750 §3, RFC 9449 §7.1): one
    /// line with one scheme, that first, and every value quoted, because clients
    /// read it with a pattern.
    pub fn challenge(&self, denial: &Denial) -> String {
        let is_dpop = denial.is_proof() || !self.credentials.bearer && self.credentials.dpop;
        let mut parameters = Vec::new();
        parameters.extend(denial.challenge_error().map(|error| format!("error=\"{error}\"")));
        if is_dpop {
            parameters.push(format!("algs=\"{}\"", Algorithm::ALL.map(Algorithm::name).join(" ")));
        }
        parameters.push(format!("resource_metadata=\"{}\"", self.metadata_url()));
        if !self.scopes.is_empty() {
            parameters.push(format!("scope=\"{}\"", self.scopes.join(" ")));
        }
        format!("{} {}", if is_dpop { "DPoP" } else { "Bearer" }, parameters.join(", "))
    }

    /// The scheme under which a good token is asked to be another.
    fn scheme(&self) -> &'static str {
        if self.credentials.dpop && !self.credentials.bearer { "DPoP" } else { "Bearer" }
    }

    /// The challenge of a 403 that more scopes would turn (RFC 6750 §3.1): those
    /// that are needed, and those that the token has, because some clients ask for
    /// what is named here and nothing else (MCP 2025-11-25, Scope Challenge Handling).
    /// Scopes stand last: their texts are not the gate's, and clients take the first
    /// `resource_metadata=` that they find, even inside of quotes.
    pub fn scope_challenge(&self, needed: &[String], granted: &[String]) -> String {
        let mut scopes: Vec<&str> = granted.iter().chain(needed).map(String::as_str).collect();
        let mut seen = HashSet::new();
        scopes.retain(|scope| seen.insert(*scope));
        let scope = scopes.join(" ");
        let (scheme, metadata) = (self.scheme(), self.metadata_url());
        format!("{scheme} error=\"insufficient_scope\", resource_metadata=\"{metadata}\", scope=\"{scope}\"")
    }

    /// The challenge of a 401 that another login would turn (RFC 9470 §3).
    pub fn step_up_challenge(&self, acr_values: &[String], max_age: Option<u64>) -> String {
        let mut challenge = format!("{} error=\"insufficient_user_authentication\"", self.scheme());
        challenge.push_str(&format!(", resource_metadata=\"{}\"", self.metadata_url()));
        if !acr_values.is_empty() {
            challenge.push_str(&format!(", acr_values=\"{}\"", acr_values.join(" ")));
        }
        if let Some(max_age) = max_age {
            challenge.push_str(&format!(", max_age=\"{max_age}\""));
        }
        challenge
    }
}
