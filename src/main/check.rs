//! `mcp-gate check`: a configuration held against the code that the module runs, and what
//! is around it against what the module relies on.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jwt_simple::reexports::ct_codecs::{Base64UrlSafeNoPadding, Encoder as _};
use mcp_gate::config::{self, Finding, Surroundings};
use mcp_gate::gate::Hold;
use serde_json::Value;

use crate::file::{self, Plugin, Plugins};

/// Checks every plugin configuration in a file.
#[expect(clippy::disallowed_methods, reason = "a command has an environment; the core gets it as an argument")]
pub(crate) fn check(file: &Path) -> Result<String, Vec<Finding>> {
    let mut summary = Vec::new();
    let mut findings = Vec::new();
    let mut clusters = BTreeSet::new();
    let variables = RefCell::new(BTreeMap::new());
    let environment = |name: &str| {
        let found = std::env::var(name).ok();
        variables.borrow_mut().insert(name.to_owned(), found.is_some());
        // A variable is Envoy's to have. Where this shell has it, its value is checked, too.
        found.or_else(|| Base64UrlSafeNoPadding::encode_to_string(hmac_sha256::Hash::hash(name.as_bytes())).ok())
    };
    let surroundings = Surroundings { environment: &environment, ..Surroundings::offline() };
    let Plugins { found, remarks } = file::read(file)?;
    for Plugin { place, around, configuration } in found {
        let [rules, tried] = ["/policy/rules", "/policy/candidate/rules"].map(|at| count(&configuration, at));
        clusters.extend(clusters_of(&configuration));
        match config::load_document(configuration.clone(), &surroundings) {
            Ok(gate) => {
                let names: Vec<String> = variables.borrow().keys().cloned().collect();
                findings.extend(around.iter().flat_map(|around| check_plugin(around, &place, gate.hold, &names)));
                let resources: Vec<_> = gate.resources.iter().map(|resource| resource.url()).collect();
                summary.push(format!("ok: {rules}policy {} for {}", gate.policy.revision(), resources.join(", ")));
                summary.push(format!("ok: configuration {}", gate.configuration));
                summary.push(format!("ok: {}", gate.policy.evaluator()));
                summary.extend(config::notes(&configuration, &gate).iter().map(|note| format!("note: {note}")));
                match gate.candidate {
                    Ok(None) => {}
                    Ok(Some(candidate)) => {
                        let (revision, evaluator) = (candidate.revision(), candidate.evaluator());
                        summary.push(format!("ok: candidate: {tried}policy {revision}, {evaluator}"));
                    }
                    Err(found) => findings.extend(found.into_iter().map(|finding| finding.within(&place))),
                }
            }
            Err(found) => findings.extend(found.into_iter().map(|finding| finding.within(&place))),
        }
    }
    summary.extend(remarks.iter().map(|remark| format!("note: {remark}")));
    for (name, _) in variables.borrow().iter().filter(|(_, is_here)| !**is_here) {
        summary.push(format!("not checked: `{name}` is no variable here; Envoy must hand it to the module"));
    }
    if !clusters.is_empty() {
        let clusters: Vec<String> = clusters.iter().map(|name| format!("`{name}`")).collect();
        summary.push(format!("not checked: Envoy must have the clusters {}", clusters.join(", ")));
    }
    // What is not what it looks like may be the cause.
    if !findings.is_empty() {
        findings.extend(remarks);
    }
    if findings.is_empty() { Ok(summary.join("\n")) } else { Err(findings) }
}

/// How many rules there are, as it is said.
fn count(configuration: &Value, at: &str) -> String {
    match configuration.pointer(at).and_then(Value::as_array).map_or(0, Vec::len) {
        0 => String::new(),
        1 => "1 rule, ".into(),
        more => format!("{more} rules, "),
    }
}

/// The clusters of Envoy's that a configuration names.
fn clusters_of(configuration: &Value) -> BTreeSet<String> {
    let issuers = configuration.get("issuers").and_then(Value::as_array).into_iter().flatten();
    let places = ["/jwks/cluster", "/jwks/discover/cluster", "/introspection/cluster"];
    let found = issuers.flat_map(|issuer| {
        let origins = issuer.pointer("/jwks/discover/origins").and_then(Value::as_object);
        let named = places.iter().filter_map(|place| issuer.pointer(place));
        named.chain(origins.into_iter().flat_map(|origins| origins.values()))
    });
    found.filter_map(Value::as_str).map(str::to_owned).collect()
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
