//! Protected resources as an operator writes them.

use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;

use serde::Deserialize;

use super::Findings;
use super::catalogues::CatalogueConfig;
use super::issuers::Machine;
use crate::http::{Location, METADATA_PATH};
use crate::json::Limits;
use crate::keys::Algorithm;
use crate::mcp::{Dialect, ParamHeaders, VERSIONS, Versions, is_known_method, is_param_name};
use crate::resource::{Credentials, DenialShape, Denials, Dpop, Metadata, Resource};
use crate::token::api_key::ApiKeys;
use crate::token::dpop::LONGEST_AGE;
use crate::token::{self, Acceptance, Issuer, Tokens};

/// One protected resource.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct ResourceConfig {
    url: String,
    #[serde(default)]
    issuers: Vec<String>,
    #[serde(default)]
    scopes: Vec<String>,
    credentials: Option<Vec<CredentialConfig>>,
    #[serde(default)]
    pub(super) api_keys: Vec<String>,
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
    catalogue: Option<CatalogueConfig>,
}

impl ResourceConfig {
    /// The issuers that it names, in whatever part.
    pub(super) fn issuers(&self) -> impl Iterator<Item = &String> {
        self.issuers.iter().chain(&self.metadata.authorization_server)
    }
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
const USUAL_CREDENTIALS: [CredentialConfig; 3] =
    [CredentialConfig::ApiKey, CredentialConfig::Bearer, CredentialConfig::Dpop];

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
        Self { nonce: false, max_age: LONGEST_AGE }
    }
}

/// How denials look to the caller.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct DenialsConfig {
    #[serde(default)]
    shape: ShapeConfig,
    #[serde(default)]
    reasons: bool,
}

/// What a request is answered with that policy denies.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ShapeConfig {
    #[default]
    #[serde(rename = "http_403")]
    Http403,
    JsonRpc,
    ToolResult,
    UnknownTool,
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
    list: usize,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        let Limits { depth, nodes, name, string, .. } = Limits::default();
        Self { body: 256 * 1024, headers: MOST_HEADER_BYTES, depth, nodes, name, string, list: MOST_LIST }
    }
}

/// The largest body that can be asked for, below the buffer limit of `envoy.yaml`.
const MOST_BODY: usize = 1024 * 1024 - 1;

/// The largest list that can be asked for, below the same limit.
const MOST_LIST: usize = 1024 * 1024;

/// The largest headers that can be asked for, below Envoy's own limit of 60 KiB.
const MOST_HEADER_BYTES: usize = 48 * 1024;

/// What resources name.
pub(super) struct Known {
    pub(super) issuers: BTreeMap<String, Rc<Issuer>>,
    pub(super) machines: BTreeMap<String, Machine>,
}

impl Findings {
    pub(super) fn resources(&mut self, configs: Vec<ResourceConfig>, known: &Known) -> Vec<Resource> {
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
        // One that stands in the configuration twice, with other audiences for other
        // resources, has one set of rules here.
        let mut known_here = HashSet::new();
        for (index, issuer) in accepted.iter().enumerate() {
            if !known_here.insert(&issuer.issuer) {
                let problem = format!("expected each issuer once, found `{}` again", issuer.issuer);
                self.add(format!("{path}.issuers[{index}]"), problem);
            }
        }
        if config.issuers.is_empty() && config.api_keys.is_empty() {
            self.add(format!("{path}.issuers"), "expected at least one issuer, or `api_keys`; found none");
        }
        let asked: HashSet<_> =
            accepted.iter().filter(|issuer| issuer.introspection.is_some()).map(|issuer| &issuer.issuer).collect();
        if asked.len() > 1 {
            let problem = "expected at most one issuer with `introspection`: a token that only its issuer can read does \
                           not say whose it is";
            self.add(format!("{path}.issuers"), format!("{problem}; found {}", asked.len()));
        }
        let credentials = self.credentials(path, &config);
        let (api_keys, api_key_header) = self.keys_of(path, &config, known);
        let metadata_server = config.metadata.authorization_server.as_ref();
        let authorization_server = metadata_server.and_then(|name| {
            self.named(&format!("{path}.metadata.authorization_server"), "an issuer", name, &known.issuers)
                .map(Rc::clone)
        });
        let is_discovered = |issuer: &Rc<Issuer>| issuer.source.as_ref().is_some_and(|source| source.is_discovered());
        if authorization_server.as_ref().is_some_and(|issuer| !is_discovered(issuer)) {
            let problem = "expected an issuer with `jwks.discover`, whose metadata is fetched; found one without";
            self.add(format!("{path}.metadata.authorization_server"), problem);
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
        let LimitsConfig { body, headers, depth, nodes, name, string, list } = config.limits;
        for (field, value, most, unit) in [
            ("body", body, MOST_BODY, " bytes"),
            ("headers", headers, MOST_HEADER_BYTES, " bytes"),
            ("depth", depth as usize, most.depth as usize, ""),
            ("nodes", nodes as usize, most.nodes as usize, ""),
            ("name", name, most.name, " bytes"),
            ("string", string, most.string, " bytes"),
            ("list", list, MOST_LIST, " bytes"),
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
        let url = match Location::read_resource(&config.url) {
            Ok(url) => url,
            Err(expected) => {
                self.add(format!("{path}.url"), format!("{expected}, found `{}`", config.url));
                return None;
            }
        };
        if !(1..=LONGEST_AGE).contains(&config.dpop.max_age) {
            let found = config.dpop.max_age;
            self.add(format!("{path}.dpop.max_age"), format!("expected 1 to {LONGEST_AGE} seconds, found {found}"));
        }
        Some(Resource {
            path: url.path(),
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
            denials: self.denials(path, config.denials),
            body_limit: body,
            list_limit: list,
            header_limit: headers,
            dpop: Dpop { nonce: config.dpop.nonce, max_age: config.dpop.max_age },
            dialect,
            catalogue: config.catalogue.map(|catalogue| self.catalogue(path, catalogue)),
            tokens: Tokens::default(),
            acceptance: Acceptance { audience: config.url, issuers: accepted },
        })
    }

    /// How denials look. What is hidden has no reasons.
    fn denials(&mut self, path: &str, config: DenialsConfig) -> Denials {
        let shape = match config.shape {
            ShapeConfig::Http403 => DenialShape::Http403,
            ShapeConfig::JsonRpc => DenialShape::JsonRpc,
            ShapeConfig::ToolResult => DenialShape::ToolResult,
            ShapeConfig::UnknownTool => DenialShape::UnknownTool,
        };
        if config.reasons && shape == DenialShape::UnknownTool {
            let problem = "expected `false` with the shape `unknown_tool`, which tells of no denial; found `true`";
            self.add(format!("{path}.denials.reasons"), problem);
        }
        Denials { shape, reasons: config.reasons }
    }

    /// The value of a name that must be known.
    fn named<'k, T>(&mut self, path: &str, what: &str, name: &str, known: &'k BTreeMap<String, T>) -> Option<&'k T> {
        let found = known.get(name);
        if found.is_none() {
            let names: Vec<_> = known.keys().map(String::as_str).collect();
            let names = if names.is_empty() { "there is none".to_owned() } else { names.join(", ") };
            self.add(path, format!("expected the name of {what} ({names}), found `{name}`"));
        }
        found
    }

    /// The kinds of credentials that a resource takes.
    fn credentials(&mut self, path: &str, config: &ResourceConfig) -> Credentials {
        let kinds = config.credentials.as_deref();
        let has = |kind| kinds.unwrap_or(&USUAL_CREDENTIALS).contains(&kind);
        if kinds.is_some_and(<[_]>::is_empty) {
            let problem = "expected at least one of bearer, dpop, mtls, api_key; found none";
            self.add(format!("{path}.credentials"), problem);
        } else if !has(CredentialConfig::ApiKey) && !config.api_keys.is_empty() {
            let problem = "expected `api_key` among them for the resource's `api_keys`, found the others alone";
            self.add(format!("{path}.credentials"), problem);
        } else if kinds.is_some_and(|kinds| kinds.contains(&CredentialConfig::ApiKey)) && config.api_keys.is_empty() {
            self.add(format!("{path}.api_keys"), "expected some for `api_key` among the `credentials`, found none");
        }
        let of_tokens = [CredentialConfig::Bearer, CredentialConfig::Dpop, CredentialConfig::Mtls];
        if !config.issuers.is_empty() && kinds.is_some_and(|kinds| !kinds.is_empty()) && !of_tokens.into_iter().any(has)
        {
            let problem = "expected bearer, dpop or mtls among them for the resource's `issuers`, found api_key alone";
            self.add(format!("{path}.credentials"), problem);
        }
        if config.dpop.nonce && !has(CredentialConfig::Dpop) {
            self.add(format!("{path}.dpop.nonce"), "expected `dpop` among the `credentials`, found the others alone");
        }
        Credentials {
            bearer: has(CredentialConfig::Bearer),
            dpop: has(CredentialConfig::Dpop),
            mtls: has(CredentialConfig::Mtls),
        }
    }

    /// The API keys of a resource, and the header that it takes them in.
    fn keys_of(&mut self, path: &str, config: &ResourceConfig, known: &Known) -> (ApiKeys, Option<String>) {
        let mut keys = ApiKeys::default();
        for (index, name) in config.api_keys.iter().enumerate() {
            let at = format!("{path}.api_keys[{index}]");
            let machine = self.named(&at, "one of `api_keys`", name, &known.machines);
            if config.api_keys.iter().take(index).any(|other| other == name) {
                self.add(&at, format!("expected each name once, found `{name}` again"));
            }
            if let Some((digests, holder)) = machine {
                digests.iter().for_each(|digest| keys.add(*digest, Some(holder)));
            }
        }
        let others = known.machines.iter().filter(|(name, _)| !config.api_keys.contains(name));
        others.flat_map(|(_, (digests, _))| digests).for_each(|digest| keys.add(*digest, None));
        let is_own = |name: &str| {
            let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            name.starts_with("x-") && !name.starts_with("x-mcp-gate-") && name.bytes().all(is_plain)
        };
        if let Some(header) = config.api_key_header.as_deref().filter(|name| !is_own(name)) {
            let problem = "expected a header of your own in lower case that begins with `x-`, such as `x-api-key`";
            self.add(format!("{path}.api_key_header"), format!("{problem}, found `{header}`"));
        }
        if config.api_key_header.is_some() && config.api_keys.is_empty() {
            self.add(format!("{path}.api_keys"), "expected some for the `api_key_header`, found none");
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
    let Credentials { bearer, dpop, mtls, .. } = credentials;
    let mut document = serde_json::json!({ "resource": config.url, "bearer_methods_supported": ["header"] });
    // What has no value is left out (RFC 9728 §3.2).
    let more = [
        ("authorization_servers", (!servers.is_empty()).then(|| servers.into())),
        ("scopes_supported", (!config.scopes.is_empty()).then(|| config.scopes.clone().into())),
        ("resource_name", config.metadata.name.as_deref().map(Into::into)),
        ("resource_documentation", config.metadata.documentation.as_deref().map(Into::into)),
        ("dpop_signing_alg_values_supported", dpop.then(|| Algorithm::ALL.map(Algorithm::name).to_vec().into())),
        ("dpop_bound_access_tokens_required", (dpop && !bearer && !mtls).then(|| true.into())),
        ("tls_client_certificate_bound_access_tokens", mtls.then(|| true.into())),
    ];
    for (name, value) in more {
        if let (Some(members), Some(value)) = (document.as_object_mut(), value) {
            members.insert(name.to_owned(), value);
        }
    }
    document.to_string()
}

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
