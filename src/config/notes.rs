//! What is accepted, though a part of it says nothing: for whoever checks a configuration.

use std::collections::HashSet;

use serde_json::Value;

use super::vocabulary::Vocabulary;
use super::{Finding, annotations, tables};
use crate::gate::Gate;
use crate::policy::{Candidate, Policy};

/// What `visible` is for.
const UNKNOWN_ARGUMENTS: &str = "`allow` or `deny` reads `input.mcp.arguments`, and there is no `visible`; an entry of a \
    list is decided as a call without arguments, so what needs them to be allowed is hidden, and what they would deny is \
    shown; write `visible if { ... }` for what may be listed";

/// Of a configuration that was loaded, as it is written.
pub fn notes(document: &Value, gate: &Gate) -> Vec<Finding> {
    let mut notes = Vec::new();
    if gate.policy.is_shadow() {
        let problem = "`shadow` denies nothing: what policy would deny is recorded, and passes";
        notes.push(Finding { path: "policy.mode".into(), problem: problem.into() });
    }
    let vocabulary = Vocabulary::of(document);
    let candidate = gate.candidate.as_ref().ok().and_then(Option::as_ref).map(Candidate::policy);
    for (path, policy) in [("policy", Some(&gate.policy)), ("policy.candidate", candidate)] {
        let (Some(policy), Some(written)) = (policy, document.pointer(&format!("/{}", path.replace('.', "/")))) else {
            continue;
        };
        let of_policy = of_policy(written, policy, &vocabulary).into_iter();
        notes.extend(of_policy.map(|note| Finding { path: format!("{path}.{}", note.path), ..note }));
    }
    notes
}

/// Of one policy; the paths are within it.
fn of_policy(written: &Value, policy: &Policy, vocabulary: &Vocabulary) -> Vec<Finding> {
    let mut notes = Vec::new();
    if policy.lists_by_arguments() {
        notes.push(Finding { path: "modules".into(), problem: UNKNOWN_ARGUMENTS.into() });
    }
    let has_modules = written.get("modules").and_then(Value::as_object).is_some_and(|modules| !modules.is_empty());
    let mut conditions = written.get("rules").map(annotations::of_rules).unwrap_or_default();
    let data = written.get("data").unwrap_or(&Value::Null);
    for (name, table) in data.as_object().into_iter().flatten() {
        if !has_modules || tables::is_asked(policy, name) {
            conditions.extend(annotations::of_table(name, table));
            notes.extend(dangling(name, table, data, vocabulary));
        } else if let Some((problem, _)) = tables::unread(policy, name).filter(|_| !tables::is_of_urls(name, table)) {
            notes.push(Finding { path: format!("data.{name}"), problem });
        }
    }
    notes.extend(annotations::notes(conditions, vocabulary));
    notes
}

/// Names of a table that are nowhere, each once, and not all of them.
fn dangling(name: &str, table: &Value, data: &Value, vocabulary: &Vocabulary) -> Vec<Finding> {
    let mut said = HashSet::new();
    let mut dangling = tables::dangling(name, table, data, vocabulary);
    dangling.retain(|dangling| !dangling.is_refused && said.insert(dangling.problem.clone()));
    let more = dangling.len().saturating_sub(tables::MOST);
    dangling.truncate(tables::MOST);
    let note =
        |dangling: tables::Dangling| Finding { path: format!("data.{name}{}", dangling.at), problem: dangling.problem };
    let mut notes: Vec<Finding> = dangling.into_iter().map(note).collect();
    if more > 0 {
        notes.push(Finding { path: format!("data.{name}"), problem: format!("{more} more of these") });
    }
    notes
}
