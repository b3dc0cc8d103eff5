//! Issuers and API keys as an operator writes them.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

use super::digest::digest;
use super::jwks::JwksConfig;
use super::secrets::SecretConfig;
use super::{Findings, Surroundings};
use crate::keys::{Algorithm, Keys};
use crate::source::Source;
use crate::token::api_key::{Digest, Holder};
use crate::token::introspection::Introspection;
use crate::token::{self, ClaimPaths, Issuer, LONGEST_LIFE, Revoked};

/// One authorization server.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct IssuerConfig {
    pub(super) name: String,
    issuer: String,
    jwks: Option<JwksConfig>,
    introspection: Option<IntrospectionConfig>,
    algorithms: Option<Vec<Algorithm>>,
    #[serde(default)]
    token_type: TokenTypeConfig,
    #[serde(default)]
    audiences: Vec<String>,
    #[serde(default = "default_leeway")]
    leeway: i64,
    #[serde(default = "longest_life")]
    max_lifetime: i64,
    #[serde(default)]
    ignore_headers: Vec<String>,
    #[serde(default = "yes")]
    requires_client: bool,
    #[serde(default)]
    claims: ClaimsConfig,
    #[serde(default)]
    revoked: RevokedConfig,
}

/// RFC 9068 demands it of every token.
fn yes() -> bool {
    true
}

fn default_leeway() -> i64 {
    30
}

fn longest_life() -> i64 {
    LONGEST_LIFE
}

#[derive(Debug, Default, Deserialize)]
enum TokenTypeConfig {
    #[default]
    #[serde(rename = "at+jwt")]
    AtJwt,
    #[serde(rename = "any")]
    Any,
}

/// How an issuer is asked about its tokens.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct IntrospectionConfig {
    cluster: String,
    url: String,
    client_id: String,
    client_secret: SecretConfig,
    #[serde(default = "default_cache")]
    cache: i64,
    #[serde(default = "default_timeout")]
    timeout_ms: u64,
}

fn default_cache() -> i64 {
    30
}

fn default_timeout() -> u64 {
    2000
}

/// Where claims are; the names of RFC 9068 where nothing is said.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "an object")]
struct ClaimsConfig {
    subject: Option<Path>,
    scopes: Option<Path>,
    roles: Option<Path>,
    groups: Option<Path>,
    client_id: Option<Path>,
    tenant: Option<Path>,
}

/// A name, or the names from the outside in.
#[derive(Debug)]
struct Path(Vec<String>);

impl<'de> Deserialize<'de> for Path {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = Path;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a claim, or a list of names")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Path, E> {
                Ok(Path(vec![name.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<Path, A::Error> {
                let mut path = Vec::new();
                while let Some(name) = names.next_element()? {
                    path.push(name);
                }
                Ok(Path(path))
            }
        }
        deserializer.deserialize_any(Names)
    }
}

/// What is not believed any more.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "an object")]
struct RevokedConfig {
    jti: HashSet<String>,
    sub: HashSet<String>,
    sid: HashSet<String>,
    client_id: HashSet<String>,
    issued_before: Option<i64>,
}

/// One machine that cannot do OAuth.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct ApiKeyConfig {
    pub(super) name: String,
    digests: Vec<String>,
    subject: String,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    groups: Vec<String>,
    tenant: Option<String>,
    expires: Option<String>,
}

/// The digests of a machine's keys, and whom they stand for.
pub(super) type Machine = (Vec<Digest>, Holder);

impl Findings {
    pub(super) fn issuers(
        &mut self,
        configs: Vec<IssuerConfig>,
        surroundings: &Surroundings<'_>,
    ) -> BTreeMap<String, Rc<Issuer>> {
        let mut issuers = BTreeMap::new();
        for (index, config) in configs.into_iter().enumerate() {
            let path = format!("issuers[{index}]");
            let name = config.name.clone();
            let issuer = self.issuer(&path, config, surroundings);
            if issuers.insert(name.clone(), Rc::new(issuer)).is_some() {
                self.add(format!("{path}.name"), format!("expected each name once, found `{name}` again"));
            }
        }
        issuers
    }

    fn issuer(&mut self, path: &str, config: IssuerConfig, surroundings: &Surroundings<'_>) -> Issuer {
        if config.issuer.is_empty() {
            self.add(format!("{path}.issuer"), "expected the `iss` of the issuer's tokens, found an empty string");
        }
        if config.algorithms.as_ref().is_some_and(Vec::is_empty) {
            let known = Algorithm::ALL.map(Algorithm::name).join(", ");
            self.add(format!("{path}.algorithms"), format!("expected at least one of {known}; found none"));
        }
        for (field, value, most) in [("leeway", config.leeway, 60), ("max_lifetime", config.max_lifetime, LONGEST_LIFE)]
        {
            let least = i64::from(field == "max_lifetime");
            if !(least..=most).contains(&value) {
                self.add(format!("{path}.{field}"), format!("expected {least} to {most} seconds, found {value}"));
            }
        }
        for (index, audience) in config.audiences.iter().enumerate().filter(|(_, audience)| audience.is_empty()) {
            self.add(format!("{path}.audiences[{index}]"), format!("expected a value of `aud`, found `{audience}`"));
        }
        for (index, header) in config.ignore_headers.iter().enumerate() {
            if !["jku", "jwk", "x5u", "x5c"].contains(&header.as_str()) {
                let problem = format!("expected one of jku, jwk, x5u, x5c, found `{header}`");
                self.add(format!("{path}.ignore_headers[{index}]"), problem);
            }
        }
        if config.jwks.is_none() && config.introspection.is_none() {
            self.add(format!("{path}.jwks"), "expected its keys, or `introspection`; found neither");
        }
        let source = config.jwks.map(|jwks| self.source(path, &config.issuer, jwks));
        // After a finding it does not matter what stands there.
        let source = source.map(|source| source.unwrap_or_else(|| Source::inline(Keys::default())));
        let revoked = config.revoked;
        Issuer {
            issuer: config.issuer,
            source,
            introspection: config.introspection.and_then(|config| self.introspection(path, config, surroundings)),
            algorithms: config.algorithms,
            typed: matches!(config.token_type, TokenTypeConfig::AtJwt),
            requires_client: config.requires_client,
            audiences: config.audiences,
            leeway: config.leeway,
            max_lifetime: config.max_lifetime,
            ignored_headers: config.ignore_headers,
            claims: self.claims(path, config.claims),
            revoked: Revoked {
                jti: revoked.jti,
                sub: revoked.sub,
                sid: revoked.sid,
                client_id: revoked.client_id,
                issued_before: revoked.issued_before,
            },
        }
    }

    fn introspection(
        &mut self,
        path: &str,
        config: IntrospectionConfig,
        surroundings: &Surroundings<'_>,
    ) -> Option<Introspection> {
        let path = format!("{path}.introspection");
        if !(0..=300).contains(&config.cache) {
            self.add(format!("{path}.cache"), format!("expected 0 to 300 seconds, found {}", config.cache));
        }
        if !(1..=10_000).contains(&config.timeout_ms) {
            let problem = format!("expected 1 to 10000 milliseconds, found {}", config.timeout_ms);
            self.add(format!("{path}.timeout_ms"), problem);
        }
        if config.client_id.is_empty() {
            self.add(format!("{path}.client_id"), "expected who the gate is to the issuer, found an empty string");
        }
        let endpoint = self.endpoint(&path, config.cluster, &config.url);
        let secret = self.secret(&format!("{path}.client_secret"), &config.client_secret, surroundings)?;
        let timeout = Duration::from_millis(config.timeout_ms);
        Some(Introspection::new(endpoint?, &config.client_id, &secret, config.cache, timeout))
    }

    fn claims(&mut self, path: &str, config: ClaimsConfig) -> ClaimPaths {
        let usual = ClaimPaths::default();
        let mut at = |field: &str, path_: Option<Path>, usual| {
            let Some(Path(names)) = path_ else { return usual };
            if names.is_empty() || names.iter().any(String::is_empty) {
                let problem = "expected the name of a claim, or a list of names from the outside in; found nothing";
                self.add(format!("{path}.claims.{field}"), problem);
            }
            names
        };
        ClaimPaths {
            subject: at("subject", config.subject, usual.subject),
            scopes: at("scopes", config.scopes, usual.scopes),
            roles: at("roles", config.roles, usual.roles),
            groups: at("groups", config.groups, usual.groups),
            client_id: at("client_id", config.client_id, usual.client_id),
            tenant: at("tenant", config.tenant, usual.tenant),
        }
    }

    pub(super) fn api_keys(&mut self, configs: Vec<ApiKeyConfig>) -> BTreeMap<String, Machine> {
        let mut machines = BTreeMap::new();
        let mut seen = HashSet::new();
        for (index, config) in configs.into_iter().enumerate() {
            let path = format!("api_keys[{index}]");
            if config.subject.is_empty() {
                self.add(format!("{path}.subject"), "expected whom the key stands for, found an empty string");
            }
            if !(1..=2).contains(&config.digests.len()) {
                let problem =
                    format!("expected one digest, or two while a key is replaced; found {}", config.digests.len());
                self.add(format!("{path}.digests"), problem);
            }
            let mut digests = Vec::new();
            for (index, text) in config.digests.iter().enumerate() {
                let path = format!("{path}.digests[{index}]");
                match digest(text) {
                    Ok(digest) if seen.insert(digest) => digests.push(digest),
                    Ok(_) => self.add(path, "expected each digest once, found it again"),
                    Err(found) => {
                        let expected = "expected a SHA-256 in 64 hexadecimal digits, as `mcp-gate key` prints it";
                        self.add(path, format!("{expected}; found {found}"));
                    }
                }
            }
            for (index, scope) in config.scopes.iter().enumerate().filter(|(_, scope)| !token::is_scope(scope)) {
                let problem = format!("expected one scope, without spaces and quotes, found `{scope}`");
                self.add(format!("{path}.scopes[{index}]"), problem);
            }
            let expires = config.expires.and_then(|text| {
                let time = humantime::parse_rfc3339(&text).ok().map(token::seconds);
                if time.is_none() {
                    let problem = format!("expected a time such as 2027-01-01T00:00:00Z, found `{text}`");
                    self.add(format!("{path}.expires"), problem);
                }
                time
            });
            let holder = Holder {
                subject: config.subject,
                scopes: config.scopes,
                roles: config.roles,
                groups: config.groups,
                tenant: config.tenant,
                expires,
            };
            if machines.insert(config.name.clone(), (digests, holder)).is_some() {
                self.add(format!("{path}.name"), format!("expected each name once, found `{}` again", config.name));
            }
        }
        machines
    }
}
