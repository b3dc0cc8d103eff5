//! The tables of the bundled policies, and what own modules ask of them.

use serde_json::{Value, json};

use super::entries;
use crate::config::Findings;
use crate::policy::Policy;

const OF_ROLES: &[&str] = &["mcp.rbac.held"];
const OF_RELATIONS: &[&str] = &["mcp.rebac.related", "mcp.rebac.ids"];
const OF_RELATION_RULES: &[&str] = &["mcp.rebac.barred", "mcp.rebac.constraints", "mcp.rebac.options"];
const OF_ATTRIBUTES: &[&str] = &["mcp.abac.barred", "mcp.abac.constraints", "mcp.abac.options", "mcp.abac.logins"];
const OF_SCOPES: &[&str] = &["mcp.scopes.needed"];
const OF_GUARDS: &[&str] = &["mcp.guards.barred", "mcp.guards.constraints", "mcp.guards.logins"];

/// A table of the bundled policies.
pub(super) struct Table {
    pub(super) name: &'static str,
    /// The rules that apply it.
    rules: &'static [&'static str],
    /// What own Rego asks for that to be done.
    asking: &'static str,
    /// The rules of the contract that have to ask for it, if it takes away what something else grants: where none
    /// does, more is let through.
    by: &'static [&'static str],
}

const fn grants(name: &'static str, rules: &'static [&'static str], asking: &'static str) -> Table {
    Table { name, rules, asking, by: &[] }
}

const fn denies(name: &'static str, rules: &'static [&'static str], asking: &'static str) -> Table {
    Table { name, rules, asking, by: &["deny", "allow"] }
}

/// A table of another name would be no table at all, and restrict nothing.
pub(super) const TABLES: [Table; 11] = [
    grants("roles", OF_ROLES, "data.mcp.rbac.granted"),
    grants("assignments", OF_ROLES, "data.mcp.rbac.granted"),
    denies("duties", &["mcp.rbac.violations"], "data.mcp.rbac.violations"),
    grants("relations", OF_RELATIONS, "data.mcp.rebac.related(type, id, relation)"),
    grants("relation_types", OF_RELATIONS, "data.mcp.rebac.related(type, id, relation)"),
    denies("relation_rules", OF_RELATION_RULES, "data.mcp.rebac.violations"),
    denies("conditions", OF_ATTRIBUTES, "data.mcp.abac.violations"),
    denies("labels", OF_ATTRIBUTES, "data.mcp.abac.violations"),
    denies("label_conditions", OF_ATTRIBUTES, "data.mcp.abac.violations"),
    Table { by: &["scopes", "deny", "allow"], ..denies("tool_scopes", OF_SCOPES, "data.mcp.scopes.needed") },
    denies("guards", OF_GUARDS, "data.mcp.guards.violations"),
];

/// Tables with a `login`, and the rules that say which are asked for.
const LOGINS: [(&str, &str); 3] =
    [("conditions", "mcp.abac.logins"), ("label_conditions", "mcp.abac.logins"), ("guards", "mcp.guards.logins")];

fn has_login(table: &Value, name: &str) -> bool {
    let mut entries = entries(table).filter(|(key, _)| name != "guards" || *key == "destructive");
    entries.any(|(_, entry)| entry.get("login").is_some())
}

pub(super) fn table(name: &str) -> Option<&'static Table> {
    TABLES.iter().find(|table| table.name == name)
}

/// Does a policy ask the bundled one that applies this table?
pub(in crate::config) fn is_asked(policy: &Policy, name: &str) -> bool {
    table(name).is_some_and(|table| table.rules.iter().any(|rule| policy.reaches(rule)))
}

/// Does what the table denies count?
fn is_in_force(policy: &Policy, table: &Table) -> bool {
    policy.asks(table.by, table.asking.trim_start_matches("data."))
}

/// Is there nothing in it but what `mcp.urls` reads, which own Rego may ask by itself?
pub(in crate::config) fn is_of_urls(name: &str, table: &Value) -> bool {
    name == "guards" && entries(table).all(|(key, _)| key == "private_hosts")
}

/// What is said of a table of the data that no module of the operator's reads, and whether it is refused.
pub(in crate::config) fn unread(policy: &Policy, name: &str) -> Option<(String, bool)> {
    // Who asks a part of what a bundled policy says of a table has not made a policy of one's own of it.
    let is_read = match table(name) {
        Some(table) if !table.by.is_empty() => {
            is_in_force(policy, table) || !is_asked(policy, name) && policy.refers_to(name)
        }
        _ => is_asked(policy, name) || policy.refers_to(name),
    };
    // A name that begins with `_` is a remark.
    if name == "rules" || name.starts_with('_') || is_read {
        return None;
    }
    let Some(Table { asking, by, .. }) = table(name) else {
        return Some(("expected a module that reads it, found none; it changes nothing".to_owned(), false));
    };
    let part = match by.first().filter(|_| is_asked(policy, name)) {
        Some(rule) => format!("whose `{rule}` asks for all of it"),
        None => "that ask the bundled policies for it".to_owned(),
    };
    let problem = format!("expected `modules` {part}, such as `{asking}`, found none; it is not in force");
    Some((problem, !by.is_empty()))
}

impl Findings {
    /// Refuses tables that would take something away if anybody asked for them.
    pub(in crate::config) fn unread(&mut self, data: &Value, policy: &Policy) {
        for (name, table) in data.as_object().into_iter().flatten() {
            let denies = match name.as_str() {
                "labels" => entries(data.get("label_conditions").unwrap_or(&Value::Null)).next().is_some(),
                "guards" => !is_of_urls(name, table),
                _ => *table != json!({}),
            };
            if let Some((problem, true)) = unread(policy, name).filter(|_| denies) {
                self.add(format!("policy.data.{name}"), problem);
            }
        }
        for (name, logins) in LOGINS {
            let has_login = data.get(name).is_some_and(|table| has_login(table, name));
            if has_login && is_asked(policy, name) && !policy.asks(&["deny", "allow", "step_up"], logins) {
                let problem = format!(
                    "expected `modules` with a `step_up` that asks `data.{logins}`, as the bundled `mcp.authz` has it, found \
                     none; the `login` in it would be asked for by nobody"
                );
                self.add(format!("policy.data.{name}"), problem);
            }
        }
    }
}
