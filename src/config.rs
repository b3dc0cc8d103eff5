//! The configuration as an operator writes it, and its way into a [`Gate`].
//!
//! `Config` is what stands in the ConfigMap; nothing but this file and those under it see it.
//! [`load`] checks all of it, compiles the policy, and gives a [`Gate`] or every
//! finding: the path of the field, what was expected, what was found.
//! `mcp-gate check` calls it on a file; the module, in `on_configure`, [`load_to_share`] or
//! [`take_over`].

mod accepted;
mod annotations;
mod candidate;
mod catalogues;
mod digest;
mod document;
mod issuers;
mod jwks;
mod notes;
mod resources;
mod rules;
mod secrets;
mod tables;
mod value;
mod vocabulary;

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::time::Duration;

use serde::Deserialize;

pub use crate::gate::Finding;
use crate::gate::{Elsewhere, Gate, Hold};
use crate::keys::Crypto;
use crate::policy::{self, Candidate, Options, Policy};
use crate::resource::Resource;
use crate::secret::Secret;
use crate::session::SessionKeys;
use crate::token::nonce::NonceKeys;
use accepted::Accepted;
pub use document::document;
use issuers::{ApiKeyConfig, IssuerConfig};
pub use notes::notes;
use resources::{Known, ResourceConfig};
use secrets::SecretConfig;
use vocabulary::Vocabulary;

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
    #[serde(default)]
    issuers: Vec<IssuerConfig>,
    #[serde(default)]
    api_keys: Vec<ApiKeyConfig>,
    policy: PolicyConfig,
}

impl Config {
    /// Issuers and API keys without a name, or which no resource names: nobody comes in by them.
    fn unnamed(&self) -> Vec<Finding> {
        let issuers: Vec<&String> = self.issuers.iter().map(|issuer| &issuer.name).collect();
        let keys: Vec<&String> = self.api_keys.iter().map(|keys| &keys.name).collect();
        let named = self.resources.iter().flat_map(ResourceConfig::issuers).collect();
        let keyed = self.resources.iter().flat_map(|resource| &resource.api_keys).collect();
        let mut findings = Vec::new();
        for (list, known, named) in [("issuers", issuers, named), ("api_keys", keys, keyed)] {
            let named: HashSet<&String> = named;
            // A name that is none may be a misspelled one, and is a finding of its own.
            let is_misspelled = named.iter().any(|name| !known.contains(name));
            for (index, name) in known.into_iter().enumerate() {
                let problem = match name.as_str() {
                    "" => "expected a name, found an empty string".to_owned(),
                    _ if is_misspelled || named.contains(name) => continue,
                    _ => format!("expected a resource that names it in its `{list}`, found none for `{name}`"),
                };
                findings.push(Finding { path: format!("{list}[{index}].name"), problem });
            }
        }
        findings
    }
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

/// The policy, and how it is applied.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct PolicyConfig {
    #[serde(default)]
    modules: BTreeMap<String, String>,
    #[serde(default = "no_data")]
    data: serde_json::Value,
    /// Rules without Rego, as they are; see `rules.rs`.
    #[serde(default, deserialize_with = "value::present")]
    rules: Option<serde_json::Value>,
    #[serde(default)]
    handshake: HandshakeConfig,
    #[serde(default)]
    mode: ModeConfig,
    #[serde(default = "default_time_limit")]
    time_limit_ms: u64,
    /// As it is: what is wrong with it must not be wrong with the rest; see `candidate.rs`.
    candidate: Option<serde_json::Value>,
}

impl PolicyConfig {
    fn options(&self) -> Options {
        Options {
            handshake: matches!(self.handshake, HandshakeConfig::Allow),
            shadow: matches!(self.mode, ModeConfig::Shadow),
            time_limit: Duration::from_millis(self.time_limit_ms),
        }
    }
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

/// Reads, validates and compiles a configuration: a `google.protobuf.Struct` as
/// it is on the wire, which is what Envoy makes of the YAML, or its JSON, which
/// is what Istio sends.
pub fn load(configuration: &[u8], surroundings: &Surroundings<'_>) -> Result<Gate, Vec<Finding>> {
    load_document(read(configuration)?, surroundings)
}

/// As [`load`], from a document that was read already.
pub fn load_document(document: serde_json::Value, surroundings: &Surroundings<'_>) -> Result<Gate, Vec<Finding>> {
    compile(document, surroundings).map(|(gate, _)| gate)
}

/// As [`load`]. Gives, too, what [`take_over`] takes, if it can be written.
pub fn load_to_share(
    configuration: &[u8],
    surroundings: &Surroundings<'_>,
) -> Result<(Gate, Option<Vec<u8>>), Vec<Finding>> {
    let mut document = read(configuration)?;
    let rest = without(&mut document, &accepted::COMPILED);
    let (gate, compiled) = compile(document, surroundings)?;
    let candidate = gate.candidate.as_ref().map(|_| compiled.candidate.as_deref()).map_err(Clone::clone);
    let accepted = Accepted::new(configuration, gate.configuration.clone(), &rest, &compiled.policy, candidate);
    let shared = accepted.to_bytes();
    Ok((gate, shared))
}

/// The same gate as [`load`], of what another worker shared. None where that is about another
/// configuration, or of another build of this module.
pub fn take_over(configuration: &[u8], shared: &[u8], surroundings: &Surroundings<'_>) -> Option<Gate> {
    let accepted = Accepted::from_bytes(shared, configuration)?;
    let config: Config = value::read(serde_json::from_str(accepted.rest).ok()?, "").ok()?;
    let mut findings = Findings(Vec::new());
    let (parts, config) = findings.parts(config, surroundings);
    let policy = Policy::new(accepted.policy, config.options())?;
    let candidate = match accepted.candidate {
        Ok(Some(compiled)) => Ok(Some(candidate::take_over(config.candidate?, compiled)?)),
        Ok(None) => Ok(None),
        Err(findings) => Err(findings),
    };
    findings.0.is_empty().then(|| parts.gate(accepted.revision, policy, candidate))
}

fn read(configuration: &[u8]) -> Result<serde_json::Value, Vec<Finding>> {
    document(configuration).map_err(|problem| vec![Finding { path: "configuration".into(), problem }])
}

/// What [`policy::compile`] made of the policies of a configuration.
struct Compiled {
    policy: Vec<u8>,
    candidate: Option<Vec<u8>>,
}

fn compile(mut document: serde_json::Value, surroundings: &Surroundings<'_>) -> Result<(Gate, Compiled), Vec<Finding>> {
    let rest = without(&mut document, &[("/policy", "data")]);
    let vocabulary = Vocabulary::of(&document);
    let config: Config = value::read(document, "").map_err(|finding| vec![finding])?;
    let mut findings = Findings(Vec::new());
    let (parts, mut config) = findings.parts(config, surroundings);
    let candidate = config.candidate.take().map(|candidate| candidate::load(candidate, &vocabulary)).transpose();
    match findings.policy(config, &vocabulary) {
        Some((policy, compiled)) if findings.0.is_empty() => {
            let (candidate, of_candidate) = match candidate.map(Option::unzip) {
                Ok((candidate, compiled)) => (Ok(candidate), compiled),
                Err(findings) => (Err(findings), None),
            };
            let gate = parts.gate(revision(&rest, &policy), policy, candidate);
            Ok((gate, Compiled { policy: compiled, candidate: of_candidate }))
        }
        _ => {
            findings.0.extend(candidate.err().unwrap_or_default());
            Err(findings.0)
        }
    }
}

/// A gate without its policies.
struct Parts {
    resources: Vec<Resource>,
    secrets: Vec<Secret>,
    hold: Hold,
    elsewhere: Elsewhere,
    crypto: Crypto,
}

impl Parts {
    fn gate(self, configuration: String, policy: Policy, candidate: Result<Option<Candidate>, Vec<Finding>>) -> Gate {
        let Self { resources, secrets, hold, elsewhere, crypto } = self;
        let (nonces, sessions) = (NonceKeys::new(&secrets), SessionKeys::new(&secrets));
        Gate { configuration, resources, policy, candidate, hold, elsewhere, crypto, nonces, sessions }
    }
}

/// The text of a document without some members: where they are, and their names.
fn without(document: &mut serde_json::Value, members: &[(&str, &str)]) -> String {
    let mut taken = Vec::new();
    for (place, name) in members {
        taken.extend(object(document, place).and_then(|object| object.remove_entry(*name)).map(|entry| (place, entry)));
    }
    let text = document.to_string();
    for (place, (name, value)) in taken {
        if let Some(object) = object(document, place) {
            object.insert(name, value);
        }
    }
    text
}

fn object<'d>(
    document: &'d mut serde_json::Value,
    place: &str,
) -> Option<&'d mut serde_json::Map<String, serde_json::Value>> {
    document.pointer_mut(place)?.as_object_mut()
}

/// What a configuration goes by: any change of it gives another. The policy's data are in the
/// policy's own revision. It holds no secrets, only their names.
fn revision(rest: &str, policy: &Policy) -> String {
    let mut hash = hmac_sha256::Hash::new();
    hash.update(policy.revision());
    hash.update(rest);
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The Rego that `policy.rules` of a configuration stands for, as a module of its own.
pub fn rego(document: &serde_json::Value) -> Result<String, Vec<Finding>> {
    rules::rego(document)
}

struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, path: impl Into<String>, problem: impl Into<String>) {
        self.0.push(Finding { path: path.into(), problem: problem.into() });
    }

    /// All but the policies, and how these are configured.
    fn parts(&mut self, config: Config, surroundings: &Surroundings<'_>) -> (Parts, PolicyConfig) {
        let unnamed = config.unnamed();
        let issuers = self.issuers(config.issuers, surroundings);
        let machines = self.api_keys(config.api_keys);
        let resources = self.resources(config.resources, &Known { issuers, machines });
        self.0.extend(unnamed);
        let secrets = self.session_secrets(config.session_keys.as_deref(), surroundings);
        let parts = Parts {
            resources,
            secrets,
            hold: match config.hold {
                HoldConfig::Head => Hold::Head,
                HoldConfig::Body => Hold::Body,
            },
            elsewhere: match config.elsewhere {
                ElsewhereConfig::Refuse => Elsewhere::Refuse,
                ElsewhereConfig::Pass => Elsewhere::Pass,
            },
            crypto: surroundings.crypto.clone(),
        };
        (parts, config.policy)
    }

    /// The policy, and what it was compiled to.
    fn policy(&mut self, config: PolicyConfig, vocabulary: &Vocabulary) -> Option<(Policy, Vec<u8>)> {
        let known = self.0.len();
        self.written(&config, vocabulary);
        if self.0.len() > known {
            return None;
        }
        let options = config.options();
        let effects: Vec<&str> = effects(config.rules.as_ref()).collect();
        let mut data = config.data;
        if let (serde_json::Value::Object(data), Some(rules)) = (&mut data, config.rules) {
            data.insert("rules".into(), rules);
        }
        let compiled = self.compiled(&config.modules, &data, vocabulary)?;
        let Some(policy) = Policy::new(&compiled, options) else {
            self.add(
                "policy",
                "expected to read again what it was compiled to, found that it cannot be; please report it",
            );
            return None;
        };
        self.asked(&policy, &effects);
        // Beside own modules a table is that of a bundled policy where these ask for it.
        if !config.modules.is_empty() {
            self.tables(&data, vocabulary, |table| tables::is_asked(&policy, table));
            self.unread(&data, &policy);
        }
        (self.0.len() == known).then_some((policy, compiled))
    }

    /// What can be said of a policy before it is compiled.
    fn written(&mut self, config: &PolicyConfig, vocabulary: &Vocabulary) {
        if let Some(rules) = &config.rules {
            self.rules(rules, vocabulary);
        }
        if !(1..=1000).contains(&config.time_limit_ms) {
            let problem = format!("expected 1 to 1000 milliseconds, found {}", config.time_limit_ms);
            self.add("policy.time_limit_ms", problem);
        }
        match &config.data {
            serde_json::Value::Object(data) if data.contains_key("mcp") => {
                self.add("policy.data.mcp", "expected another name; packages live at `data.mcp`");
            }
            serde_json::Value::Object(data) if data.contains_key("rules") => {
                self.add(
                    "policy.data.rules",
                    "expected another name; rules without Rego stand beside `data`, in `rules`",
                );
            }
            serde_json::Value::Object(_) => {}
            _ => self.add("policy.data", "expected an object"),
        }
        let rules = config.rules.as_ref().and_then(|rules| magic(rules, "policy.rules"));
        if let Some(path) = magic(&config.data, "policy.data").or(rules) {
            self.add(path, "expected no `$serde_json::private::`; the engine gives it a meaning of its own");
        }
        if config.modules.is_empty() {
            self.tables(&config.data, vocabulary, |_| true);
        }
        let texts = config.modules.iter().map(|(name, text)| name.len().saturating_add(text.len()));
        let tables = [Some(&config.data), config.rules.as_ref()];
        let tables = tables.into_iter().flatten().map(|table| table.to_string().len());
        let size = texts.chain(tables).fold(0_usize, usize::saturating_add);
        if size > MOST_POLICY {
            self.add("policy", format!("expected at most {MOST_POLICY} bytes of modules and data, found {size}"));
        }
    }

    /// What modules and data are compiled to.
    fn compiled(
        &mut self,
        modules: &BTreeMap<String, String>,
        data: &serde_json::Value,
        vocabulary: &Vocabulary,
    ) -> Option<Vec<u8>> {
        let refusals = match policy::compile(modules, data, &|method| vocabulary.has_method(method)) {
            Ok(compiled) => return Some(compiled),
            Err(refusals) => refusals,
        };
        for refusal in refusals {
            let within = if modules.contains_key(&refusal.file) { "policy.modules." } else { "" };
            self.add(format!("{within}{}:{}:{}", refusal.file, refusal.line, refusal.column), refusal.reason);
        }
        None
    }

    /// Rules are asked by the bundled policy; another has to ask them itself.
    fn asked(&mut self, policy: &Policy, effects: &[&str]) {
        for effect in effects {
            let (by, clause, consequence): (&[&str], _, _) = match *effect {
                "deny" => (
                    &["deny", "allow"],
                    "deny contains reason if some reason in data.mcp.rules.deny",
                    "no `deny` counts",
                ),
                "allow" => (&["allow", "deny"], "allow if data.mcp.rules.allow", "no `allow` counts"),
                "scopes" => (
                    &["scopes"],
                    "scopes contains scope if some scope in data.mcp.rules.scopes",
                    "nobody is asked for their `scopes`",
                ),
                _ => (&["step_up"], "step_up := data.mcp.rules.step_up", "nobody is asked for their `login`"),
            };
            let rule = format!("mcp.rules.{effect}");
            if policy.asks(by, &rule) {
                continue;
            }
            let problem = format!(
                "expected `modules` that ask `data.{rule}` in `{}`, found none; without it {consequence}, write `{clause}`",
                by.first().unwrap_or(effect)
            );
            self.add("policy.rules", problem);
        }
    }
}

/// What the rules do: which rules of `mcp.rules` say something.
fn effects(rules: Option<&serde_json::Value>) -> impl Iterator<Item = &'static str> {
    let rules = rules.and_then(serde_json::Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let places =
        [("deny", "/deny"), ("allow", "/allow"), ("scopes", "/allow/scopes"), ("step_up", "/allow/login")].into_iter();
    places.filter(|(_, place)| rules.iter().any(|rule| rule.pointer(place).is_some())).map(|(effect, _)| effect)
}

/// Modules and data, in bytes: what a ConfigMap holds, and as much again for what its YAML
/// leaves out. Each worker has its own copy of what is compiled of it.
const MOST_POLICY: usize = 2 << 20;

const MAGIC: &str = "$serde_json::private::";

/// The path of a member whose name, or whose text once it is parsed, serde_json or regorus would take for
/// something else. The depth is that of a JSON text, which its reader bounds.
fn magic(data: &serde_json::Value, path: &str) -> Option<String> {
    // Nearly always there is none, so paths are made on the way back.
    match data {
        serde_json::Value::Object(members) => members.iter().find_map(|(name, value)| {
            let below = if name.contains(MAGIC) { Some(String::new()) } else { magic(value, "") };
            below.map(|below| format!("{path}.{name}{below}"))
        }),
        serde_json::Value::Array(items) => items
            .iter()
            .zip(0..)
            .find_map(|(item, index)| magic(item, "").map(|below| format!("{path}[{index}]{below}"))),
        serde_json::Value::String(text) => text.contains(MAGIC).then(|| path.to_owned()),
        _ => None,
    }
}
