//! What is accepted, though a part of it says nothing: for whoever checks a configuration.

use serde_json::Value;

use super::vocabulary::Vocabulary;
use super::{Finding, annotations, tables};
use crate::gate::Gate;
use crate::policy::Policy;

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
    if gate.policy.lists_by_arguments() {
        notes.push(Finding { path: "policy.modules".into(), problem: UNKNOWN_ARGUMENTS.into() });
    }
    let data = document.pointer("/policy/data").and_then(Value::as_object);
    let modules = document.pointer("/policy/modules").and_then(Value::as_object);
    let has_modules = modules.is_some_and(|modules| !modules.is_empty());
    let mut conditions = document.pointer("/policy/rules").map(annotations::of_rules).unwrap_or_default();
    for (name, table) in data.into_iter().flatten() {
        if !has_modules || tables::is_asked(&gate.policy, name) {
            conditions.extend(annotations::of_table(name, table));
        } else if let Some(problem) = unread(&gate.policy, name) {
            notes.push(Finding { path: format!("policy.data.{name}"), problem });
        }
    }
    notes.extend(annotations::notes(conditions, &Vocabulary::of(document)));
    notes
}

/// What is said of a table that nobody reads.
fn unread(policy: &Policy, table: &str) -> Option<String> {
    // A name that begins with `_` is a remark.
    if table.starts_with('_') || policy.refers_to(table) {
        return None;
    }
    Some(match tables::asking(table) {
        Some(asking) => format!(
            "expected `modules` that ask the bundled policies for it, such as `{asking}`, found none; it is not in force"
        ),
        None => "expected a module that reads it, found none; it changes nothing".to_owned(),
    })
}
