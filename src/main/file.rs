//! The plugin configurations in a file, whichever of its forms it has.

use std::path::Path;

use mcp_gate::config::{self, Finding};
use serde_json::Value;

use crate::yaml::{self, Document};

/// A plugin's configuration, the path to it, and the plugin where the document has it.
pub(crate) struct Plugin {
    pub(crate) place: String,
    pub(crate) around: Option<Value>,
    pub(crate) configuration: Value,
}

/// What a file holds.
#[derive(Default)]
pub(crate) struct Plugins {
    pub(crate) found: Vec<Plugin>,
    /// What is not what it looks like.
    pub(crate) remarks: Vec<Finding>,
}

/// The names of what stands in a configuration, of which parts are kept in files, too.
const FIELDS: [&str; 7] = ["hold", "elsewhere", "session_keys", "resources", "issuers", "api_keys", "policy"];

/// What else an operator has at hand, by a member that it has, and what to give instead.
const OTHERS: [(&str, &str); 5] = [
    ("static_resources", "a bootstrap of Envoy's; give the file that its `path_config_source` names"),
    ("dynamic_resources", "a bootstrap of Envoy's; give the file that its `path_config_source` names"),
    (
        "typed_config",
        "a filter of Envoy's; give what stands under its `configuration`, or a file for `path_config_source`",
    ),
    ("http_filters", "a part of Envoy's own configuration; give what stands under `configuration` of the filter"),
    ("catalogue", "a part, which belongs under one of `resources`"),
];

/// The plugin configurations in a file.
pub(crate) fn read(file: &Path) -> Result<Plugins, Vec<Finding>> {
    let problem = |problem: String| vec![Finding { path: "file".into(), problem }];
    let text = std::fs::read_to_string(file).map_err(|error| problem(format!("expected a readable file: {error}")))?;
    let mut plugins = Plugins::default();
    // As Envoy does.
    let is_json = file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    let document = match is_json {
        true => json(&text).map_err(|error| problem(format!("expected JSON: {error}")))?,
        false => yaml(&text, "", &mut plugins)?,
    };
    add(document, "", &mut plugins)?;
    match plugins.found.is_empty() {
        true if plugins.remarks.is_empty() => Err(problem("expected a plugin's configuration, found none".into())),
        true => Err(plugins.remarks),
        false => Ok(plugins),
    }
}

/// JSON as the module reads it.
fn json(text: &str) -> Result<Value, String> {
    config::document(text.trim_ascii_start().as_bytes())
}

fn yaml(text: &str, place: &str, plugins: &mut Plugins) -> Result<Value, Vec<Finding>> {
    let at = |finding: Finding| finding.within(place);
    let Document { value, findings, remarks } = yaml::read(text).map_err(|error| {
        let path = if place.is_empty() { "file" } else { place.trim_end_matches(": ") };
        vec![Finding { path: path.into(), problem: format!("expected YAML or JSON: {error}") }]
    })?;
    plugins.remarks.extend(remarks.into_iter().map(at));
    if findings.is_empty() { Ok(value) } else { Err(findings.into_iter().map(at).collect()) }
}

/// Adds those of a document: the document itself, those of a `DiscoveryResponse`, those of
/// a ConfigMap's files.
fn add(document: Value, place: &str, plugins: &mut Plugins) -> Result<(), Vec<Finding>> {
    let problem = |path: &str, problem: String| vec![Finding { path: format!("{place}{path}"), problem }];
    if document.get("kind").and_then(Value::as_str) == Some("ConfigMap") {
        let files = document.get("data").and_then(Value::as_object);
        let files = files.ok_or_else(|| problem("data", "expected an object, the files of the ConfigMap".into()))?;
        for (name, text) in files {
            let place = format!("{place}data.{name}: ");
            let text = text.as_str().ok_or_else(|| problem(&format!("data.{name}"), "expected a text".into()))?;
            let inner = yaml(text, &place, plugins)?;
            match other(&inner) {
                Some(found) => {
                    let problem = format!("not checked; found {found}");
                    plugins.remarks.push(Finding { path: format!("data.{name}"), problem });
                }
                None => add(inner, &place, plugins)?,
            }
        }
        return Ok(());
    }
    if let Some(found) = other(&document) {
        let forms = "a plugin's configuration, an ECDS file, or a ConfigMap that holds one";
        return Err(problem("file", format!("expected {forms}; found {found}")));
    }
    let is_discovery = document
        .pointer("/resources/0/typed_config/config/configuration")
        .or_else(|| document.pointer("/resources/0/@type"))
        .is_some();
    if !is_discovery {
        plugins.found.push(Plugin { place: place.to_owned(), around: None, configuration: document });
        return Ok(());
    }
    let resources = document.get("resources").and_then(Value::as_array).cloned().unwrap_or_default();
    for (index, resource) in resources.into_iter().enumerate() {
        let path = format!("resources[{index}].typed_config.config.configuration");
        let configuration = resource.pointer("/typed_config/config/configuration");
        let configuration =
            configuration.ok_or_else(|| problem(&path, "expected the plugin's configuration".into()))?;
        // An `Any` of a well-known type keeps its value beside its type. A
        // `StringValue` holds text.
        let value = configuration.get("value").unwrap_or(configuration).clone();
        let value = match value {
            Value::String(text) => json(&text)
                .map_err(|error| problem(&format!("{path}.value"), format!("expected JSON in the string: {error}")))?,
            value => value,
        };
        let around = resource.pointer("/typed_config/config").cloned();
        plugins.found.push(Plugin { place: format!("{place}{path}.value: "), around, configuration: value });
    }
    Ok(())
}

/// What a document is, if it is none that is asked for.
fn other(document: &Value) -> Option<String> {
    let Some(members) = document.as_object() else {
        let is_rules = document.pointer("/0/allow").or_else(|| document.pointer("/0/deny")).is_some();
        return Some(match document {
            Value::Null => "nothing".into(),
            Value::Array(_) if is_rules => "rules, a part, which belongs under `policy`".into(),
            Value::Array(_) => "a list".into(),
            _ => "neither: no object".into(),
        });
    };
    if let Some(kind) = members.get("kind").and_then(Value::as_str) {
        return Some(format!("a `{kind}` of Kubernetes; give the plugin's configuration that is in it"));
    }
    if let Some((_, found)) = OTHERS.into_iter().find(|(name, _)| members.contains_key(*name)) {
        return Some(found.into());
    }
    let parts: Vec<String> =
        FIELDS.iter().filter(|name| members.contains_key(**name)).map(|name| format!("`{name}`")).collect();
    let is_whole = members.contains_key("resources") || members.contains_key("policy");
    (!is_whole && !parts.is_empty()).then(|| {
        format!(
            "{} alone, a part of one; put it beside `resources` and `policy`, and check the whole",
            parts.join(" and ")
        )
    })
}

/// The rules of a configuration that has some.
pub(crate) fn rules(configuration: &Value) -> Option<&Vec<Value>> {
    configuration.pointer("/policy/rules")?.as_array()
}
