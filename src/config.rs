//! The configuration as an operator writes it, and its way into a [`Gate`].
//!
//! `Config` is what stands in the ConfigMap; nothing but this file sees it.
//! [`load`] checks all of it, compiles the policy, and gives a [`Gate`] or every
//! finding: the path of the field, what was expected, what was found.
//! The module calls it in `on_configure`, `mcp-gate check` on a file.

mod document;
mod issuers;
mod jwks;
mod secrets;

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use serde::Deserialize;

use crate::gate::{Elsewhere, Gate, Hold};
use crate::http::{METADATA_PATH, Url};
use crate::json::Limits;
use crate::keys::{Algorithm, Crypto};
use crate::mcp::{Dialect, ParamHeaders, VERSIONS, Versions, is_known_method, is_param_name};
use crate::policy::{Options, Policy};
use crate::resource::{Credentials, Dpop, Metadata, Resource};
use crate::secret::Secret;
use crate::session::SessionKeys;
use crate::token::api_key::ApiKeys;
use crate::token::nonce::NonceKeys;
use crate::token::{self, Acceptance, Issuer, Tokens};
use document::document;
use issuers::{ApiKeyConfig, IssuerConfig, Machine};
use secrets::SecretConfig;

/// What the host gives when a configuration is loaded. The core has no other way
/// to it.
pub struct Surroundings<'a> {
    /// Who verifies signatures.
    pub crypto: Crypto,
    /// The variables that the operator hands to the module.
    pub environment: &'a dyn Fn(&str) -> Option<String>,
    /// A random key that all workers of this proxy share. A secret.
    pub proxy_key: [u8; 32],
}

impl Surroundings<'_> {
    /// Those of a check and of tests: the module alone, no variables, and a key that
    /// everybody knows. What is loaded with them must serve nobody.
    pub fn offline() -> Self {
        Self { crypto: Crypto::default(), environment: &|_| None, proxy_key: [0; 32] }
    }
}

impl fmt::Debug for Surroundings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings").field("crypto", &self.crypto).finish_non_exhaustive()
    }
}

/// What is wrong with a configuration, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The path of the field, such as `issuers[0].algorithms`.
    pub path: String,
    /// What was expected, what was found.
    pub problem: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.problem)
    }
}

/// The plugin configuration. Unknown fields are refused everywhere.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct Config {
    /// `head` or `body`.
    #[serde(default)]
    hold: HoldConfig,
    /// `refuse` or `pass`.
    #[serde(default)]
    elsewhere: ElsewhereConfig,
    /// The keys of sessions, the newest first.
    session_keys: Option<Vec<SecretConfig>>,
    resources: Vec<ResourceConfig>,
    issuers: Vec<IssuerConfig>,
    #[serde(default)]
    api_keys: Vec<ApiKeyConfig>,
    policy: PolicyConfig,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum HoldConfig {
    #[default]
    Head,
    Body,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ElsewhereConfig {
    #[default]
    Refuse,
    Pass,
}

/// One protected resource.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct ResourceConfig {
    url: String,
    #[serde(default)]
    issuers: Vec<String>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default = "usual_credentials")]
    credentials: Vec<CredentialConfig>,
    #[serde(default)]
    api_keys: Vec<String>,
    api_key_header: Option<String>,
    #[serde(default)]
    dpop: DpopConfig,
    #[serde(default)]
    metadata: MetadataConfig,
    #[serde(default)]
    denials: DenialsConfig,
    #[serde(default)]
    origins: Vec<String>,
    hosts: Option<Vec<String>>,
    #[serde(default)]
    limits: LimitsConfig,
    #[serde(default)]
    versions: VersionsConfig,
    #[serde(default)]
    extensions: ExtensionsConfig,
    /// By tool: the end of a header's name, and the path of the argument that it repeats.
    #[serde(default)]
    param_headers: BTreeMap<String, BTreeMap<String, String>>,
}

/// A kind of credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum CredentialConfig {
    ApiKey,
    Bearer,
    Dpop,
    Mtls,
}

/// A certificate is the host's word, so whoever wants it says so.
fn usual_credentials() -> Vec<CredentialConfig> {
    vec![CredentialConfig::ApiKey, CredentialConfig::Bearer, CredentialConfig::Dpop]
}

/// What is told of a resource to who has no token yet.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "an object")]
struct MetadataConfig {
    name: Option<String>,
    documentation: Option<String>,
    root: Option<bool>,
    authorization_server: Option<String>,
}

/// The versions of MCP that are accepted.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct VersionsConfig {
    min: Option<String>,
}

/// What MCP itself does not have.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct ExtensionsConfig {
    #[serde(default)]
    methods: Vec<String>,
    #[serde(default)]
    tools: Vec<String>,
}

/// What is asked of a proof of possession.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "an object")]
struct DpopConfig {
    nonce: bool,
    max_age: i64,
}

impl Default for DpopConfig {
    fn default() -> Self {
        Self { nonce: false, max_age: MOST_PROOF_AGE }
    }
}

/// What MCP says a proof may be old, in seconds; older ones would fill the store, too.
const MOST_PROOF_AGE: i64 = 300;

/// How denials look to the caller.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct DenialsConfig {
    #[serde(default)]
    reasons: bool,
}

/// Bounds on one message.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "an object")]
struct LimitsConfig {
    body: usize,
    headers: usize,
    depth: u32,
    nodes: u32,
    name: usize,
    string: usize,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        let Limits { depth, nodes, name, string, .. } = Limits::default();
        Self { body: 256 * 1024, headers: MOST_HEADER_BYTES, depth, nodes, name, string }
    }
}

/// The policy, and how it is applied.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct PolicyConfig {
    #[serde(default)]
    modules: BTreeMap<String, String>,
    #[serde(default = "no_data")]
    data: serde_json::Value,
    #[serde(default)]
    handshake: HandshakeConfig,
    #[serde(default)]
    mode: ModeConfig,
    #[serde(default = "default_time_limit")]
    time_limit_ms: u64,
}

fn no_data() -> serde_json::Value {
    serde_json::Value::Object(serde_json::Map::new())
}

/// Time on the wall: long enough for a worker that has to wait for a processor.
fn default_time_limit() -> u64 {
    100
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum HandshakeConfig {
    #[default]
    Allow,
    Policy,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ModeConfig {
    #[default]
    Enforce,
    Shadow,
}

/// The largest body that can be asked for, below the buffer limit of `envoy.yaml`.
const MOST_BODY: usize = 1024 * 1024 - 1;

/// The largest headers that can be asked for, below Envoy's own limit of 60 KiB.
const MOST_HEADER_BYTES: usize = 48 * 1024;

/// Reads, validates and compiles a configuration: a `google.protobuf.Struct` as
/// it is on the wire, which is what Envoy makes of the YAML, or its JSON, which
/// is what Istio sends.
pub fn load(configuration: &[u8], surroundings: &Surroundings<'_>) -> Result<Gate, Vec<Finding>> {
    let document =
        document(configuration).map_err(|problem| vec![Finding { path: "configuration".into(), problem }])?;
    load_document(document, surroundings)
}

/// As [`load`], from a document that was read already.
pub fn load_document(document: serde_json::Value, surroundings: &Surroundings<'_>) -> Result<Gate, Vec<Finding>> {
    let config: Config = serde_path_to_error::deserialize(document).map_err(|error| {
        let path = match error.path().to_string() {
            path if path == "." => "configuration".to_owned(),
            path => path,
        };
        vec![Finding { path, problem: error.into_inner().to_string() }]
    })?;
    let mut findings = Findings(Vec::new());
    let issuers = findings.issuers(config.issuers, surroundings);
    let machines = findings.api_keys(config.api_keys);
    let resources = findings.resources(config.resources, &Known { issuers, machines });
    let secrets = findings.session_secrets(config.session_keys.as_deref(), surroundings);
    let policy = findings.policy(config.policy);
    match policy {
        Some(policy) if findings.0.is_empty() => Ok(Gate {
            resources,
            policy,
            hold: match config.hold {
                HoldConfig::Head => Hold::Head,
                HoldConfig::Body => Hold::Body,
            },
            elsewhere: match config.elsewhere {
                ElsewhereConfig::Refuse => Elsewhere::Refuse,
                ElsewhereConfig::Pass => Elsewhere::Pass,
            },
            crypto: surroundings.crypto.clone(),
            nonces: nonces(&secrets, surroundings),
            sessions: SessionKeys::new(&secrets),
        }),
        _ => Err(findings.0),
    }
}

/// The keys of nonces come from the secrets that session ids are sealed with.
fn nonces(secrets: &[Secret], surroundings: &Surroundings<'_>) -> NonceKeys {
    let mut keys = secrets.iter().map(|secret| secret.key("dpop nonce"));
    let newest = keys.next().unwrap_or(surroundings.proxy_key);
    NonceKeys::derive(newest, keys)
}

/// What resources name.
struct Known {
    issuers: BTreeMap<String, Rc<Issuer>>,
    machines: BTreeMap<String, Machine>,
}

struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, path: impl Into<String>, problem: impl Into<String>) {
        self.0.push(Finding { path: path.into(), problem: problem.into() });
    }

    fn resources(&mut self, configs: Vec<ResourceConfig>, known: &Known) -> Vec<Resource> {
        if configs.is_empty() {
            self.add("resources", "expected at least one protected resource, found none");
        }
        let mut seen = HashSet::new();
        let mut resources = Vec::new();
        for (index, config) in configs.into_iter().enumerate() {
            let path = format!("resources[{index}]");
            if !seen.insert(config.url.clone()) {
                self.add(format!("{path}.url"), format!("expected each URL once, found `{}` again", config.url));
            }
            let root = config.metadata.root;
            resources.extend(self.resource(&path, config, known).map(|resource| (resource, root)));
        }
        self.roots(resources)
    }

    fn resource(&mut self, path: &str, config: ResourceConfig, known: &Known) -> Option<Resource> {
        let mut accepted = Vec::new();
        for (index, name) in config.issuers.iter().enumerate() {
            accepted.extend(
                self.named(&format!("{path}.issuers[{index}]"), "an issuer", name, &known.issuers).map(Rc::clone),
            );
        }
        if config.issuers.is_empty() && config.api_keys.is_empty() {
            self.add(format!("{path}.issuers"), "expected at least one issuer, or `api_keys`; found none");
        }
        let asked = accepted.iter().filter(|issuer| issuer.introspection.is_some()).count();
        if asked > 1 {
            let problem = "expected at most one issuer with `introspection`: a token that only its issuer can read does not say whose it is";
            self.add(format!("{path}.issuers"), format!("{problem}; found {asked}"));
        }
        let (api_keys, api_key_header) = self.keys_of(path, &config, known);
        let metadata_server = config.metadata.authorization_server.as_ref();
        let authorization_server = metadata_server.and_then(|name| {
            self.named(&format!("{path}.metadata.authorization_server"), "an issuer", name, &known.issuers)
                .map(Rc::clone)
        });
        let has = |kind| config.credentials.contains(&kind);
        let credentials = Credentials {
            bearer: has(CredentialConfig::Bearer),
            dpop: has(CredentialConfig::Dpop),
            mtls: has(CredentialConfig::Mtls),
            api_key: has(CredentialConfig::ApiKey),
        };
        if config.credentials.is_empty() {
            let problem = "expected at least one of bearer, dpop, mtls, api_key; found none";
            self.add(format!("{path}.credentials"), problem);
        }
        for (index, scope) in config.scopes.iter().enumerate() {
            if !token::is_scope(scope) {
                let problem = format!("expected one scope, without spaces and quotes, found `{scope}`");
                self.add(format!("{path}.scopes[{index}]"), problem);
            }
        }
        for (index, origin) in config.origins.iter().enumerate() {
            if !is_origin(origin) {
                let problem = format!("expected an origin such as `https://app.example.com`, found `{origin}`");
                self.add(format!("{path}.origins[{index}]"), problem);
            }
        }
        if config.hosts.as_ref().is_some_and(Vec::is_empty) {
            self.add(
                format!("{path}.hosts"),
                "expected at least one host, or no `hosts` for that of `url`; found none",
            );
        }
        for (index, host) in config.hosts.iter().flatten().enumerate() {
            if !is_host(host) {
                let problem = format!("expected a host such as `mcp.example.com` or `10.0.0.7:8443`, found `{host}`");
                self.add(format!("{path}.hosts[{index}]"), problem);
            }
        }
        let document = document_of(&config, &accepted, credentials);
        let most = Limits::default();
        let LimitsConfig { body, headers, depth, nodes, name, string } = config.limits;
        for (field, value, most, unit) in [
            ("body", body, MOST_BODY, " bytes"),
            ("headers", headers, MOST_HEADER_BYTES, " bytes"),
            ("depth", depth as usize, most.depth as usize, ""),
            ("nodes", nodes as usize, most.nodes as usize, ""),
            ("name", name, most.name, " bytes"),
            ("string", string, most.string, " bytes"),
        ] {
            if !(1..=most).contains(&value) {
                self.add(format!("{path}.limits.{field}"), format!("expected 1 to {most}{unit}, found {value}"));
            }
        }
        for (index, method) in config.extensions.methods.iter().enumerate() {
            if method.is_empty() || is_known_method(method) {
                let problem = format!("expected a method that MCP does not have, found `{method}`");
                self.add(format!("{path}.extensions.methods[{index}]"), problem);
            }
        }
        let dialect = Dialect {
            limits: Limits { depth, nodes, name, string, ..most },
            versions: self.versions(path, config.versions),
            params: self.param_headers(path, config.param_headers),
            methods: config.extensions.methods,
            tools: config.extensions.tools,
        };
        let url = match Url::read(&config.url) {
            Ok(url) => url,
            Err(expected) => {
                self.add(format!("{path}.url"), format!("{expected}, found `{}`", config.url));
                return None;
            }
        };
        if !(1..=MOST_PROOF_AGE).contains(&config.dpop.max_age) {
            let found = config.dpop.max_age;
            self.add(format!("{path}.dpop.max_age"), format!("expected 1 to {MOST_PROOF_AGE} seconds, found {found}"));
        }
        Some(Resource {
            path: url.path.to_owned(),
            metadata: Metadata {
                paths: vec![url.metadata_path()],
                etag: etag(&document),
                document,
                authorization_server,
            },
            credentials,
            api_keys,
            api_key_header,
            hosts: config.hosts.unwrap_or_else(|| url.hosts()),
            scopes: config.scopes,
            origins: config.origins,
            reasons: config.denials.reasons,
            body_limit: body,
            header_limit: headers,
            dpop: Dpop { nonce: config.dpop.nonce, max_age: config.dpop.max_age },
            dialect,
            tokens: Tokens::default(),
            acceptance: Acceptance { audience: config.url, issuers: accepted },
        })
    }

    /// The value of a name that must be known.
    fn named<'k, T>(&mut self, path: &str, what: &str, name: &str, known: &'k BTreeMap<String, T>) -> Option<&'k T> {
        let found = known.get(name);
        if found.is_none() {
            let names: Vec<_> = known.keys().map(String::as_str).collect();
            self.add(path, format!("expected the name of {what} ({}), found `{name}`", names.join(", ")));
        }
        found
    }

    /// The API keys of a resource, and the header that it takes them in.
    fn keys_of(&mut self, path: &str, config: &ResourceConfig, known: &Known) -> (ApiKeys, Option<String>) {
        let mut keys = ApiKeys::default();
        for (index, name) in config.api_keys.iter().enumerate() {
            let at = format!("{path}.api_keys[{index}]");
            let machine = self.named(&at, "one of `api_keys`", name, &known.machines);
            if let Some((digests, holder)) = machine {
                digests.iter().for_each(|digest| keys.add(*digest, holder));
            }
        }
        let is_own = |name: &str| {
            let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            name.starts_with("x-") && !name.starts_with("x-mcp-gate-") && name.bytes().all(is_plain)
        };
        if let Some(header) = config.api_key_header.as_deref().filter(|name| !is_own(name)) {
            let problem = "expected a header of your own in lower case, such as `x-api-key`";
            self.add(format!("{path}.api_key_header"), format!("{problem}, found `{header}`"));
        }
        (keys, config.api_key_header.clone())
    }

    /// An origin's only resource has its metadata at the root, too, unless the
    /// operator says otherwise: some clients look nowhere else.
    fn roots(&mut self, found: Vec<(Resource, Option<bool>)>) -> Vec<Resource> {
        let origin = |resource: &Resource| resource.url().strip_suffix(&resource.path).unwrap_or_default().to_owned();
        let origins: Vec<String> = found.iter().map(|(resource, _)| origin(resource)).collect();
        let mut taken = HashSet::new();
        let mut resources = Vec::new();
        for (index, ((mut resource, wish), own)) in found.into_iter().zip(&origins).enumerate() {
            let is_only = origins.iter().filter(|origin| *origin == own).count() == 1;
            if wish.unwrap_or(is_only) {
                if !taken.insert(own) {
                    let problem = format!("expected one resource of `{own}` at the root, found another");
                    self.add(format!("resources[{index}].metadata.root"), problem);
                }
                if resource.path != "/" {
                    resource.metadata.paths.push(METADATA_PATH.to_owned());
                }
            }
            resources.push(resource);
        }
        resources
    }

    fn versions(&mut self, path: &str, config: VersionsConfig) -> Versions {
        let Some(min) = config.min else { return Versions::default() };
        Versions::down_to(&min).unwrap_or_else(|| {
            let known = VERSIONS.map(|version| version.name).join(", ");
            self.add(format!("{path}.versions.min"), format!("expected one of {known}, found `{min}`"));
            Versions::default()
        })
    }

    fn param_headers(&mut self, path: &str, config: BTreeMap<String, BTreeMap<String, String>>) -> ParamHeaders {
        let mut params = ParamHeaders::new();
        for (tool, headers) in config {
            let known = params.entry(tool.clone()).or_default();
            for (header, argument) in headers {
                let path = format!("{path}.param_headers.{tool}.{header}");
                if !is_param_name(&header) || header.to_ascii_lowercase().starts_with("mcp-") {
                    let problem = format!(
                        "expected A-Z a-z 0-9 -, what follows `Mcp-Param-` in the name of a header, found `{header}`"
                    );
                    self.add(&path, problem);
                }
                if argument.split('.').any(str::is_empty) {
                    self.add(&path, format!("expected the path of an argument, found `{argument}`"));
                }
                let header = header.to_ascii_lowercase();
                if known.iter().any(|(known, _)| *known == header) {
                    self.add(&path, "expected each header once, found it in another spelling, too");
                }
                known.push((header, argument.split('.').map(str::to_owned).collect()));
            }
        }
        params
    }

    /// The data of the bundled policies.
    fn tables(&mut self, data: &serde_json::Value) {
        let tables = data.as_object().into_iter().flatten();
        for (name, table) in tables {
            // A name that begins with `_` is a remark.
            if !TABLES.contains(&name.as_str()) && !name.starts_with('_') {
                let problem = format!("expected one of {}, which the bundled policies read", TABLES.join(", "));
                self.add(format!("policy.data.{name}"), problem);
            }
            let is_by_tool = ["relation_rules", "conditions", "tool_scopes"].contains(&name.as_str());
            let tools = table.as_object().into_iter().flatten().filter(|_| is_by_tool);
            for (tool, _) in tools.filter(|(tool, _)| tool.contains(['*', '?', '[', '{'])) {
                self.add(format!("policy.data.{name}.{tool}"), "expected the exact name of a tool, found a glob");
            }
        }
    }

    fn policy(&mut self, config: PolicyConfig) -> Option<Policy> {
        let mut sound = true;
        if !(1..=1000).contains(&config.time_limit_ms) {
            let problem = format!("expected 1 to 1000 milliseconds, found {}", config.time_limit_ms);
            self.add("policy.time_limit_ms", problem);
            sound = false;
        }
        match &config.data {
            serde_json::Value::Object(data) if data.contains_key("mcp") => {
                self.add("policy.data.mcp", "expected another name; packages live at `data.mcp`");
                sound = false;
            }
            serde_json::Value::Object(_) => {}
            _ => {
                self.add("policy.data", "expected an object");
                sound = false;
            }
        }
        if let Some(path) = magic(&config.data, "policy.data") {
            self.add(path, "expected no `$serde_json::private::`; the engine gives it a meaning of its own");
            sound = false;
        }
        if config.modules.is_empty() {
            let known = self.0.len();
            self.tables(&config.data);
            sound &= known == self.0.len();
        }
        if !sound {
            return None;
        }
        let options = Options {
            handshake: matches!(config.handshake, HandshakeConfig::Allow),
            shadow: matches!(config.mode, ModeConfig::Shadow),
            time_limit: Duration::from_millis(config.time_limit_ms),
        };
        let compiled = Policy::compile(&config.modules, &config.data, options);
        compiled
            .map_err(|refusals| {
                for refusal in refusals {
                    let path = match config.modules.contains_key(&refusal.file) {
                        true => format!("policy.modules.{}:{}:{}", refusal.file, refusal.line, refusal.column),
                        false => format!("{}:{}:{}", refusal.file, refusal.line, refusal.column),
                    };
                    self.add(path, refusal.reason);
                }
            })
            .ok()
    }
}

/// Names a document, quoted (RFC 9110 §8.8.3).
fn etag(document: &str) -> String {
    let digest = hmac_sha256::Hash::hash(document.as_bytes());
    let digits: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{digits}\"")
}

/// The document of a resource (RFC 9728 §2, RFC 9449 §5.1, RFC 8705 §3.3).
fn document_of(config: &ResourceConfig, issuers: &[Rc<Issuer>], credentials: Credentials) -> String {
    let servers: Vec<&str> = issuers.iter().map(|issuer| issuer.issuer.as_str()).collect();
    let mut document = serde_json::json!({
        "resource": config.url,
        "authorization_servers": servers,
        "scopes_supported": config.scopes,
        "bearer_methods_supported": ["header"],
    });
    let more = [
        ("resource_name", config.metadata.name.as_deref().map(Into::into)),
        ("resource_documentation", config.metadata.documentation.as_deref().map(Into::into)),
        (
            "dpop_signing_alg_values_supported",
            credentials.dpop.then(|| Algorithm::ALL.map(Algorithm::name).to_vec().into()),
        ),
        ("dpop_bound_access_tokens_required", (credentials.dpop && !credentials.bearer).then(|| true.into())),
        ("tls_client_certificate_bound_access_tokens", credentials.mtls.then(|| true.into())),
    ];
    for (name, value) in more {
        if let (Some(members), Some(value)) = (document.as_object_mut(), value) {
            members.insert(name.to_owned(), value);
        }
    }
    document.to_string()
}

/// What the bundled policies read.
/// A table of another name would be no table at all, and restrict nothing.
const TABLES: [&str; 5] = ["roles", "relations", "relation_rules", "conditions", "tool_scopes"];

/// scheme, host and perhaps a port, in lower case (RFC 6454 §6.2).
fn is_origin(origin: &str) -> bool {
    let Some((scheme, host)) = origin.split_once("://") else { return false };
    matches!(scheme, "https" | "http") && is_host(host)
}

/// A host in lower case, perhaps with a port.
fn is_host(host: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-:[]".contains(&byte);
    !host.is_empty() && host.bytes().all(is_plain)
}

const MAGIC: &str = "$serde_json::private::";

/// The path of a member whose name, or whose text once it is parsed, serde_json or regorus would take for
/// something else. The depth is that of a JSON text, which its reader bounds.
fn magic(data: &serde_json::Value, path: &str) -> Option<String> {
    match data {
        serde_json::Value::Object(members) => members.iter().find_map(|(name, value)| {
            let path = format!("{path}.{name}");
            if name.contains(MAGIC) { Some(path) } else { magic(value, &path) }
        }),
        serde_json::Value::Array(items) => {
            items.iter().zip(0..).find_map(|(item, index)| magic(item, &format!("{path}[{index}]")))
        }
        serde_json::Value::String(text) => text.contains(MAGIC).then(|| path.to_owned()),
        _ => None,
    }
}
