//! `mcp-gate`: what an operator runs beside Envoy.
//!
//! `check` holds a configuration against the very code that the module runs in
//! `on_configure`, so that a ConfigMap is known to be good before it is pushed.
//! `rego` prints the Rego that `policy.rules` stands for.
//! `pin` writes down what a server lists, as it is approved.
//! `key` makes an API key, of which the configuration gets the digest alone.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use jwt_simple::reexports::ct_codecs::{Base64UrlSafeNoPadding, Encoder as _};
use jwt_simple::reexports::rand;
use mcp_gate::config::{self, Finding, Surroundings};
use mcp_gate::gate::Hold;
use mcp_gate::listing::{self, Found};
use mcp_gate::mcp::Listed;
use mcp_gate::token::api_key;
use serde_json::Value;

/// A policy gate for the Model Context Protocol.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Validate and compile a configuration, and report every finding.
    Check {
        /// The plugin's configuration, an ECDS file, or a ConfigMap that holds one; YAML or JSON.
        config: PathBuf,
    },
    /// Print the Rego that the rules of a configuration stand for.
    Rego {
        /// As for `check`.
        config: PathBuf,
    },
    /// Print what a server's lists hold, as a catalogue for the configuration.
    Pin {
        /// Its answers to `tools/list` and the other lists, one after another, every page: JSON, or
        /// streams of events. `-` is the standard input.
        answers: PathBuf,
        /// The `url` of the resource that the server is behind.
        #[arg(long)]
        resource: Option<String>,
    },
    /// Make an API key, and print it once, with its digest and the YAML for it.
    Key {
        /// Whom it stands for.
        subject: String,
    },
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Check { config } => report(&config, check(&config)),
        Command::Rego { config } => report(&config, rego(&config)),
        Command::Pin { answers, resource } => report(&answers, pin(&answers, resource.as_deref())),
        Command::Key { subject } => {
            println!("{}", key(&subject));
            ExitCode::SUCCESS
        }
    }
}

/// A key of 256 bits by chance, which is kept nowhere.
fn key(subject: &str) -> String {
    let secret: [u8; 32] = rand::random();
    let digits = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let key = format!("{}{}", api_key::PREFIX, digits(&secret));
    let digest = digits(&api_key::digest(&key));
    // JSON is YAML, and quotes whatever needs quotes.
    let subject = Value::from(subject);
    format!(
        "key: {key}\n\n# Hand the key to its holder alone, as `Authorization: Bearer`; it is shown only now.\n\
         # The digest is no secret. A second one under `digests` lets a key be replaced without a gap.\n\
         api_keys:\n- name: {subject}\n  subject: {subject}\n  digests: [{digest}]\n\
         resources:\n- api_keys: [{subject}]"
    )
}

fn report(config: &Path, outcome: Result<String, Vec<Finding>>) -> ExitCode {
    match outcome {
        Ok(summary) => {
            println!("{summary}");
            ExitCode::SUCCESS
        }
        Err(findings) => {
            for finding in &findings {
                eprintln!("{}: {finding}", config.display());
            }
            let count = findings.len();
            eprintln!(
                "{count} finding{}; mend what was found before this is pushed",
                if count == 1 { "" } else { "s" }
            );
            ExitCode::FAILURE
        }
    }
}

/// Checks every plugin configuration in a file.
#[expect(clippy::disallowed_methods, reason = "a command has an environment; the core gets it as an argument")]
fn check(file: &Path) -> Result<String, Vec<Finding>> {
    let mut summary = Vec::new();
    let mut findings = Vec::new();
    let variables = RefCell::new(BTreeMap::new());
    let environment = |name: &str| {
        let found = std::env::var(name).ok();
        variables.borrow_mut().insert(name.to_owned(), found.is_some());
        // A variable is Envoy's to have. Where this shell has it, its value is checked, too.
        found.or_else(|| Base64UrlSafeNoPadding::encode_to_string(hmac_sha256::Hash::hash(name.as_bytes())).ok())
    };
    let surroundings = Surroundings { environment: &environment, ..Surroundings::offline() };
    for Plugin { place, around, configuration } in read(file)? {
        let [rules, tried] = ["/policy/rules", "/policy/candidate/rules"].map(|at| count(&configuration, at));
        match config::load_document(configuration, &surroundings) {
            Ok(gate) => {
                let names: Vec<String> = variables.borrow().keys().cloned().collect();
                findings.extend(around.iter().flat_map(|around| check_plugin(around, &place, gate.hold, &names)));
                let resources: Vec<_> = gate.resources.iter().map(|resource| resource.url()).collect();
                summary.push(format!("ok: {rules}policy {} for {}", gate.policy.revision(), resources.join(", ")));
                summary.push(format!("ok: {}", gate.policy.evaluator()));
                match gate.candidate {
                    Ok(None) => {}
                    Ok(Some(candidate)) => {
                        let (revision, evaluator) = (candidate.revision(), candidate.evaluator());
                        summary.push(format!("ok: candidate: {tried}policy {revision}, {evaluator}"));
                    }
                    Err(found) => findings.extend(at(&place, found)),
                }
            }
            Err(found) => findings.extend(at(&place, found)),
        }
    }
    for (name, _) in variables.borrow().iter().filter(|(_, is_here)| !**is_here) {
        summary.push(format!("not checked: `{name}` is no variable here; Envoy must hand it to the module"));
    }
    if findings.is_empty() { Ok(summary.join("\n")) } else { Err(findings) }
}

/// Findings of a configuration that stands here.
fn at(place: &str, findings: Vec<Finding>) -> impl Iterator<Item = Finding> {
    findings.into_iter().map(move |Finding { path, problem }| Finding { path: format!("{place}{path}"), problem })
}

/// How many rules there are, as it is said.
fn count(configuration: &Value, at: &str) -> String {
    match configuration.pointer(at).and_then(Value::as_array).map_or(0, Vec::len) {
        0 => String::new(),
        1 => "1 rule, ".into(),
        more => format!("{more} rules, "),
    }
}

/// The catalogue of what stands in a file of answers.
fn pin(file: &Path, resource: Option<&str>) -> Result<String, Vec<Finding>> {
    let problem = |path: &str, problem: String| vec![Finding { path: path.into(), problem }];
    let mut text = Vec::new();
    let read = match file.as_os_str() == "-" {
        true => std::io::stdin().read_to_end(&mut text).map(drop),
        false => std::fs::read(file).map(|found| text = found),
    };
    read.map_err(|error| problem("file", format!("expected a readable file: {error}")))?;
    let mut catalogue = serde_json::Map::new();
    for (listed, entries) in listing::gather(&text).map_err(|found| problem("answers", found))? {
        let pin = |(name, Found { sha256, annotations }): (String, Found)| {
            let mut pin = serde_json::json!({"sha256": sha256});
            if let (Some(pin), Some(annotations)) = (pin.as_object_mut(), annotations) {
                pin.insert("annotations".into(), annotations);
            }
            (name, pin)
        };
        let field = if listed == Listed::Template { "templates" } else { listed.member() };
        catalogue.insert(field.into(), Value::Object(entries.into_iter().map(pin).collect()));
    }
    let mut found = serde_json::json!({"catalogue": catalogue});
    if let (Some(found), Some(url)) = (found.as_object_mut(), resource) {
        found.insert("url".into(), url.into());
    }
    let yaml = yaml_serde::to_string(&serde_json::json!({"resources": [found]}));
    yaml.map(|yaml| yaml.trim_end().to_owned()).map_err(|error| problem("answers", error.to_string()))
}

/// The plugin configurations in a file.
fn read(file: &Path) -> Result<Vec<Plugin>, Vec<Finding>> {
    let problem = |problem: String| vec![Finding { path: "file".into(), problem }];
    let text = std::fs::read_to_string(file).map_err(|error| problem(format!("expected a readable file: {error}")))?;
    let document = yaml_serde::from_str(&text).map_err(|error| problem(format!("expected YAML or JSON: {error}")))?;
    plugins(document).map_err(problem)
}

fn rules(configuration: &Value) -> Option<&Vec<Value>> {
    configuration.pointer("/policy/rules")?.as_array()
}

/// The Rego for the one configuration in a file that has rules.
fn rego(file: &Path) -> Result<String, Vec<Finding>> {
    let mut found: Vec<Plugin> =
        read(file)?.into_iter().filter(|plugin| rules(&plugin.configuration).is_some()).collect();
    match (found.pop(), found.len()) {
        (Some(Plugin { place, configuration, .. }), 0) => {
            config::rego(&configuration).map_err(|findings| at(&place, findings).collect())
        }
        (_, more) => {
            let problem =
                format!("expected one configuration with `policy.rules`, found {}", more + usize::from(more > 0));
            Err(vec![Finding { path: "file".into(), problem }])
        }
    }
}

/// A plugin's configuration, the path to it, and the plugin where the document has it.
struct Plugin {
    place: String,
    around: Option<Value>,
    configuration: Value,
}

/// What the module cannot see from inside, and relies on.
fn check_plugin(plugin: &Value, place: &str, hold: Hold, variables: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |field: &str, problem: String| {
        let place = place.trim_end_matches("configuration.value: ");
        findings.push(Finding { path: format!("{place}{field}"), problem });
    };
    let text = |field: &str| plugin.get(field).map_or("nothing".to_owned(), |found| format!("`{found}`"));
    let flag = "allow_on_headers_stop_iteration";
    if hold == Hold::Head && plugin.get(flag) != Some(&Value::Bool(true)) {
        add(flag, format!("expected `true` with `hold: head`, found {}; without it every POST hangs", text(flag)));
    }
    if hold == Hold::Body && plugin.get(flag) == Some(&Value::Bool(true)) {
        add(flag, "expected no such flag with `hold: body`, found `true`; with it, use `hold: head`".into());
    }
    let policy = plugin.get("failure_policy").and_then(Value::as_str).unwrap_or("FAIL_CLOSED");
    if !["FAIL_RELOAD", "FAIL_CLOSED"].contains(&policy) {
        add("failure_policy", format!("expected FAIL_RELOAD or FAIL_CLOSED, found `{policy}`"));
    }
    let field = "vm_config.environment_variables";
    let handed = plugin.pointer("/vm_config/environment_variables");
    let from_host = handed.and_then(|handed| handed.get("host_env_keys")).and_then(Value::as_array);
    for name in variables {
        let is_handed = from_host.is_some_and(|names| names.iter().any(|known| known == name))
            || handed.and_then(|handed| handed.get("key_values")).is_some_and(|values| values.get(name).is_some());
        if !is_handed {
            add(field, format!("expected `{name}` among `host_env_keys`, for the configuration asks for it"));
        }
    }
    if plugin.get("fail_open").is_some() {
        add("fail_open", "expected it not to be there: it lets requests around a gate that failed".into());
    }
    findings
}

/// The plugin configurations in a document: the document itself, those of a
/// `DiscoveryResponse`, those of a ConfigMap's files.
fn plugins(document: Value) -> Result<Vec<Plugin>, String> {
    if document.get("kind").and_then(Value::as_str) == Some("ConfigMap") {
        let files = document.get("data").and_then(Value::as_object).ok_or("ConfigMap: expected `data`, an object")?;
        let mut found = Vec::new();
        for (name, text) in files {
            let text = text.as_str().ok_or_else(|| format!("data.{name}: expected a string"))?;
            let inner =
                yaml_serde::from_str(text).map_err(|error| format!("data.{name}: expected YAML or JSON: {error}"))?;
            let prefixed = |plugin: Plugin| Plugin { place: format!("data.{name}: {}", plugin.place), ..plugin };
            found.extend(plugins(inner)?.into_iter().map(prefixed));
        }
        return Ok(found);
    }
    let is_discovery = document
        .pointer("/resources/0/typed_config/config/configuration")
        .or_else(|| document.pointer("/resources/0/@type"))
        .is_some();
    if !is_discovery {
        return Ok(vec![Plugin { place: String::new(), around: None, configuration: document }]);
    }
    let resources = document.get("resources").and_then(Value::as_array).cloned().unwrap_or_default();
    resources
        .into_iter()
        .enumerate()
        .map(|(index, resource)| {
            let path = format!("resources[{index}].typed_config.config.configuration");
            let configuration = resource.pointer("/typed_config/config/configuration");
            let configuration = configuration.ok_or_else(|| format!("{path}: expected the plugin's configuration"))?;
            // An `Any` of a well-known type keeps its value beside its type. A
            // `StringValue` holds text.
            let value = configuration.get("value").unwrap_or(configuration).clone();
            let value = match value {
                Value::String(text) => serde_json::from_str(&text)
                    .map_err(|error| format!("{path}.value: expected JSON in the string: {error}"))?,
                value => value,
            };
            let around = resource.pointer("/typed_config/config").cloned();
            Ok(Plugin { place: format!("{path}.value: "), around, configuration: value })
        })
        .collect()
}
