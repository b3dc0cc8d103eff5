//! What is accepted, though a part of it says nothing: for whoever checks a configuration.

use std::collections::HashSet;

use serde_json::Value;

use super::vocabulary::{Vocabulary, is_like};
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
    if !has_modules && !grants(written) {
        let problem = "expected a rule with `allow`, a role that grants something, or an entry with `grants`, found none; \
            but for opening a session and listing, everything is denied";
        let path = if written.get("rules").is_some() { "rules" } else { "data" };
        notes.push(Finding { path: path.into(), problem: problem.into() });
    }
    let rules = written.get("rules").unwrap_or(&Value::Null);
    notes.extend(of_roles(rules, data));
    let is_asked = |table: &str| !has_modules || tables::is_asked(policy, table);
    let tables: Vec<(&str, &Value)> = tables::entries(data).filter(|(table, _)| is_asked(table)).collect();
    notes.extend(of_members(rules, &tables));
    notes.extend(of_tools(rules, &tables, vocabulary));
    notes
}

/// Does something in rules or tables grant a message?
fn grants(written: &Value) -> bool {
    let entries = |table: &str| written.pointer(&format!("/data/{table}")).into_iter().flat_map(tables::entries);
    let grants = |(_, entry): (&str, &Value)| entry.get("grants") == Some(&Value::Bool(true));
    let is_role = |(_, role): (&str, &Value)| {
        ["tools", "prompts", "resources", "methods"].iter().any(|kind| role.get(kind).is_some())
    };
    let rules = written.get("rules").and_then(Value::as_array).into_iter().flatten();
    rules.map(|rule| rule.get("allow")).any(|allow| allow.is_some())
        || entries("roles").any(is_role)
        || ["conditions", "label_conditions", "relation_rules"].iter().any(|table| entries(table).any(grants))
}

/// What the rules are about, and what they except, with the path of each.
fn parts(rules: &Value) -> Vec<(String, &Value)> {
    let rules = rules.as_array().into_iter().flatten().zip(0..);
    let places = ["allow", "deny", "allow.unless", "deny.unless"];
    let of_rule = |(rule, index): (_, usize)| {
        places.iter().filter_map(move |place| {
            let part = Value::pointer(rule, &format!("/{}", place.replace('.', "/")))?;
            Some((format!("rules[{index}].{place}"), part))
        })
    };
    rules.flat_map(of_rule).collect()
}

/// A list of texts in a part of a rule, with the path of each.
fn texts<'r>(path: &str, part: &'r Value, key: &str) -> Vec<(String, &'r str)> {
    let items = part.get(key).and_then(Value::as_array).into_iter().flatten().zip(0..);
    items.filter_map(|(item, index)| Some((format!("{path}.{key}[{index}]"), item.as_str()?))).collect()
}

/// Roles of rules that `assignments` give: rules know those of tokens alone.
fn of_roles(rules: &Value, data: &Value) -> Vec<Finding> {
    let assignments = data.get("assignments").and_then(Value::as_array).into_iter().flatten();
    let given = assignments.filter_map(|assignment| assignment.get("roles")?.as_array()).flatten();
    let given: HashSet<&str> = given.filter_map(Value::as_str).collect();
    let roles = parts(rules).into_iter().flat_map(|(path, part)| texts(&path, part, "roles"));
    let note = |(path, role): (String, &str)| {
        let problem = format!(
            "expected a role that tokens bring, found `{role}`, which `assignments` give; rules do not know who has it by \
             these, name the `groups` or `subjects`"
        );
        Finding { path, problem }
    };
    some(roles.filter(|(_, role)| given.contains(role)).map(note).collect(), "rules")
}

/// Names of arguments, and in rules of claims, that look like a way to a member.
fn of_members(rules: &Value, tables: &[(&str, &Value)]) -> Vec<Finding> {
    let keys = |(path, part): (String, _)| {
        ["arguments", "claims"].into_iter().flat_map(move |key| {
            let names = Value::get(part, key).into_iter().flat_map(tables::entries);
            let path = path.clone();
            names.map(move |(name, _)| (format!("{path}.{key}.{name}"), name))
        })
    };
    let of_tables = tables.iter().flat_map(|(name, table)| {
        let names = tables::arguments(name, table).into_iter();
        names.map(move |(at, argument)| (format!("data.{name}{at}"), argument))
    });
    let found = parts(rules).into_iter().flat_map(keys).chain(of_tables);
    let note = |(path, name): (String, &str)| {
        let (object, member) =
            name.split_once('.').filter(|(object, member)| !object.is_empty() && !member.is_empty())?;
        let problem = format!(
            "`{name}` is one name here; of a member of `{object}` a condition says `{object}: {{members: {{{member}: ...}}}}`"
        );
        Some(Finding { path, problem })
    };
    some(found.filter_map(note).collect(), "data")
}

/// Names of tools that no resource has, where all tools are pinned.
fn of_tools(rules: &Value, tables: &[(&str, &Value)], vocabulary: &Vocabulary) -> Vec<Finding> {
    let Some(pinned) = &vocabulary.pinned else { return Vec::new() };
    let of_rules = parts(rules).into_iter().flat_map(|(path, part)| texts(&path, part, "tools"));
    let of_tables = tables.iter().flat_map(|(name, table)| {
        let names = tables::named(name, table).into_iter().filter(|(_, kind, _)| *kind == "tools");
        names.map(move |(at, _, tool)| (format!("data.{name}{at}"), tool))
    });
    let is_pinned = |pattern: &str| pinned.contains(pattern) || pinned.iter().any(|tool| is_like(pattern, tool));
    let note = |(path, tool): (String, &str)| {
        let problem = format!("expected a tool of `catalogue.tools`, found `{tool}`; no resource has it");
        Finding { path, problem }
    };
    some(of_rules.chain(of_tables).filter(|(_, tool)| !is_pinned(tool)).map(note).collect(), "data")
}

/// Not all of many, and how many more there are.
fn some(mut notes: Vec<Finding>, path: impl Into<String>) -> Vec<Finding> {
    let more = notes.len().saturating_sub(tables::MOST);
    notes.truncate(tables::MOST);
    if more > 0 {
        notes.push(Finding { path: path.into(), problem: format!("{more} more of these") });
    }
    notes
}

/// Names of a table that are nowhere, each once, and not all of them.
fn dangling(name: &str, table: &Value, data: &Value, vocabulary: &Vocabulary) -> Vec<Finding> {
    let mut said = HashSet::new();
    let mut dangling = tables::dangling(name, table, data, vocabulary);
    dangling.retain(|dangling| !dangling.is_refused && said.insert(dangling.problem.clone()));
    let note =
        |dangling: tables::Dangling| Finding { path: format!("data.{name}{}", dangling.at), problem: dangling.problem };
    some(dangling.into_iter().map(note).collect(), format!("data.{name}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_grants_nothing_is_known() {
        for (written, is_it) in [
            (json!({}), false),
            (json!({"rules": [{"deny": {"tools": ["x"]}}], "data": {"roles": {"operator": {}}}}), false),
            (json!({"data": {"conditions": {"x": {"roles": ["a"], "grants": false}}}}), false),
            (json!({"rules": [{"deny": {"tools": ["x"]}}, {"allow": {"tools": ["y"]}}]}), true),
            (json!({"data": {"roles": {"a": {"methods": ["tasks/*"]}}}}), true),
            (
                json!({"data": {"relation_rules": {"x": {"type": "a", "argument": "b", "relation": "c", "grants": true}}}}),
                true,
            ),
        ] {
            assert_eq!(grants(&written), is_it, "{written}");
        }
    }

    #[test]
    fn what_is_read_as_something_else_is_said() {
        let rules = json!([
            {"deny": {"tools": ["delte", "read*"], "roles": ["contractor", "boss"], "arguments": {"a.b": 1, "c": 1}}},
            {"allow": {"claims": {"realm.roles": "x"}, "unless": {"tools": ["write*"], "roles": ["contractor"]}}},
        ]);
        let data = json!({
            "assignments": [{"roles": ["contractor"], "groups": ["ext"]}],
            "tool_scopes": {"edti": ["x"], "read": ["y"]},
            "guards": {"urls": {"read": ["options.url", "url"]}},
        });
        let catalogue = json!({"tools": {"read": {}, "delete": {}}});
        let vocabulary = Vocabulary::of(&json!({"resources": [{"url": "https://a", "catalogue": catalogue}]}));
        let tables: Vec<(&str, &Value)> = tables::entries(&data).collect();
        let paths = |notes: Vec<Finding>| -> Vec<String> { notes.into_iter().map(|note| note.path).collect() };
        assert_eq!(paths(of_roles(&rules, &data)), ["rules[0].deny.roles[0]", "rules[1].allow.unless.roles[0]"]);
        let members = ["rules[0].deny.arguments.a.b", "rules[1].allow.claims.realm.roles", "data.guards.urls.read[0]"];
        assert_eq!(paths(of_members(&rules, &tables)), members);
        let tools = ["rules[0].deny.tools[0]", "rules[1].allow.unless.tools[0]", "data.tool_scopes.edti"];
        assert_eq!(paths(of_tools(&rules, &tables, &vocabulary)), tools);
        let mut allowing = json!({"resources": [{"url": "https://a", "catalogue": catalogue}]});
        allowing["resources"][0]["catalogue"]["unpinned"] = json!("allow");
        assert_eq!(paths(of_tools(&rules, &tables, &Vocabulary::of(&allowing))), [""; 0]);
        let unpinned =
            Vocabulary::of(&json!({"resources": [{"url": "https://a", "catalogue": catalogue}, {"url": "https://b"}]}));
        assert_eq!(paths(of_tools(&rules, &tables, &unpinned)), [""; 0]);
    }
}
