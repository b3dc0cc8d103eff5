//! `mcp-gate`: what an operator runs beside Envoy.
//!
//! `check` holds a configuration against the very code that the module runs in
//! `on_configure`, so that a ConfigMap is known to be good before it is pushed.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use mcp_gate::config::{self, Finding, Surroundings};
use mcp_gate::gate::Hold;
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
}

fn main() -> ExitCode {
    let Command::Check { config } = Arguments::parse().command;
    match check(&config) {
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
fn check(file: &Path) -> Result<String, Vec<Finding>> {
    let problem = |problem: String| vec![Finding { path: "file".into(), problem }];
    let text = std::fs::read_to_string(file).map_err(|error| problem(format!("expected a readable file: {error}")))?;
    let document: Value =
        yaml_serde::from_str(&text).map_err(|error| problem(format!("expected YAML or JSON: {error}")))?;

    let mut summary = Vec::new();
    let mut findings = Vec::new();
    for Plugin { place, around, configuration } in plugins(document).map_err(problem)? {
        match config::load_document(configuration, &Surroundings::offline()) {
            Ok(gate) => {
                findings.extend(around.iter().flat_map(|around| check_plugin(around, &place, gate.hold)));
                let resources: Vec<_> = gate.resources.iter().map(|resource| resource.url.as_str()).collect();
                summary.push(format!("ok: policy {} for {}", gate.policy.revision(), resources.join(", ")));
            }
            Err(found) => findings.extend(
                found.into_iter().map(|finding| Finding { path: format!("{place}{}", finding.path), ..finding }),
            ),
        }
    }
    if findings.is_empty() { Ok(summary.join("\n")) } else { Err(findings) }
}

/// A plugin's configuration, the path to it, and the plugin where the document has it.
struct Plugin {
    place: String,
    around: Option<Value>,
    configuration: Value,
}

/// What the module cannot see from inside, and relies on.
fn check_plugin(plugin: &Value, place: &str, hold: Hold) -> Vec<Finding> {
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
    let policy = plugin.get("failure_policy").and_then(Value::as_str).unwrap_or("FAIL_CLOSED");
    if !["FAIL_RELOAD", "FAIL_CLOSED"].contains(&policy) {
        add("failure_policy", format!("expected FAIL_RELOAD or FAIL_CLOSED, found `{policy}`"));
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
