//! Names that a table takes from elsewhere: roles from `roles`, relations from `relations` and
//! `relation_types`, issuers and resources from the configuration.
//!
//! What has a name that is nowhere says nothing. Where that lets more through, it is refused; where it lets
//! less through it is a note, as people come and go in data, and several gates may share them.

use std::collections::HashSet;

use serde_json::Value;

use super::entries;
use crate::config::vocabulary::Vocabulary;

/// What the name of an issuer is.
pub(in crate::config) const OF_ISSUERS: &str = "the `issuer` of one of `issuers`, its URL";

/// A name that is nowhere.
pub(in crate::config) struct Dangling {
    /// Within the table, such as `.buyer.inherits[0]`.
    pub(in crate::config) at: String,
    pub(in crate::config) problem: String,
    /// Is it refused? Else it is a note.
    pub(in crate::config) is_refused: bool,
}

/// What is known of the names of one kind.
struct Kind<'a> {
    expected: &'a str,
    /// What is wrong with one that is none.
    without: &'a str,
    is_refused: bool,
    is_known: &'a dyn Fn(&str) -> bool,
}

/// Those of a table of these data.
pub(in crate::config) fn dangling(name: &str, table: &Value, data: &Value, vocabulary: &Vocabulary) -> Vec<Dangling> {
    let mut found = Vec::new();
    let roles = data.get("roles");
    let is_role = |role: &str| roles.is_some_and(|roles| roles.get(role).is_some());
    let (expected, without) = ("a role of `roles`", "nobody has it");
    let role = Kind { expected, without, is_refused: false, is_known: &is_role };
    let is_issuer = |issuer: &str| vocabulary.issuers.iter().any(|known| known == issuer);
    let issuer = Kind { expected: OF_ISSUERS, without: "no token is of it", is_refused: false, is_known: &is_issuer };
    let is_resource = |url: &str| vocabulary.resources.iter().any(|known| known == url);
    let expected = "the `url` of one of `resources`";
    let resource = Kind { expected, without: "no message is for it", is_refused: false, is_known: &is_resource };
    match name {
        "roles" | "conditions" | "label_conditions" => {
            for (owner, entry) in entries(table) {
                role.list(|| format!(".{owner}.inherits"), entry.get("inherits"), &mut found);
                resource.list(|| format!(".{owner}.at"), entry.get("at"), &mut found);
                issuer.list(|| format!(".{owner}.issuers"), entry.get("issuers"), &mut found);
                issuer.list(|| format!(".{owner}.unless.issuers"), entry.pointer("/unless/issuers"), &mut found);
            }
        }
        "assignments" => {
            for (entry, index) in items(table).zip(0..) {
                role.list(|| format!("[{index}].roles"), entry.get("roles"), &mut found);
                if ["subjects", "groups", "clients"].iter().all(|who| entry.get(who).is_none()) {
                    let problem =
                        "expected `subjects`, `groups` or `clients`, found none; it gives nobody a role".to_owned();
                    found.push(Dangling { at: format!("[{index}]"), problem, is_refused: false });
                }
                resource.list(|| format!("[{index}].at"), entry.get("at"), &mut found);
                issuer.list(|| format!("[{index}].issuers"), entry.get("issuers"), &mut found);
            }
        }
        "duties" => {
            let excluded = Kind { is_refused: true, ..role };
            for (set, index) in table.get("exclusive").into_iter().flat_map(items).zip(0..) {
                excluded.list(|| format!(".exclusive[{index}]"), Some(set), &mut found);
            }
            for (tool, roles) in table.get("second").into_iter().flat_map(entries) {
                role.list(|| format!(".second.{tool}"), Some(roles), &mut found);
            }
        }
        "guards" => {
            role.list(|| ".destructive.roles".to_owned(), table.pointer("/destructive/roles"), &mut found);
            if table.get("private_hosts").is_some() && table.get("urls").is_none() {
                let problem = "expected `urls` beside it, whose arguments these hosts are no values of, found none";
                found.push(Dangling {
                    at: ".private_hosts".to_owned(),
                    problem: problem.to_owned(),
                    is_refused: false,
                });
            }
        }
        "labels" => {
            let conditions = data.get("label_conditions");
            for (label, _) in entries(table) {
                if conditions.is_none_or(|conditions| conditions.get(label).is_none()) {
                    let problem =
                        "expected an entry of `label_conditions` for it, found none; it changes nothing".to_owned();
                    found.push(Dangling { at: format!(".{label}"), problem, is_refused: false });
                }
            }
        }
        "relation_rules" => relations(table, data, &mut found),
        _ => {}
    }
    found
}

impl Kind<'_> {
    fn list(&self, at: impl Fn() -> String, names: Option<&Value>, found: &mut Vec<Dangling>) {
        for (name, index) in names.into_iter().flat_map(items).zip(0..) {
            let Some(name) = name.as_str().filter(|name| !(self.is_known)(name)) else { continue };
            let problem = format!("expected {}, found `{name}`; {}", self.expected, self.without);
            found.push(Dangling { at: format!("{}[{index}]", at()), problem, is_refused: self.is_refused });
        }
    }
}

/// Rules about a relation that nobody has, to no object.
fn relations(table: &Value, data: &Value, found: &mut Vec<Dangling>) {
    let tuples = data.get("relations").into_iter().flat_map(items).filter_map(Value::as_str);
    let mut known: HashSet<(&str, &str)> = tuples.filter_map(of_tuple).collect();
    for (r#type, relations) in data.get("relation_types").into_iter().flat_map(entries) {
        known.extend(entries(relations).map(|(relation, _)| (r#type, relation)));
    }
    // Groups of tokens.
    known.insert(("group", "member"));
    for (tool, rule) in entries(table) {
        let part = |key| rule.get(key).and_then(Value::as_str);
        let (Some(r#type), Some(relation)) = (part("type"), part("relation")) else { continue };
        if !known.contains(&(r#type, relation)) {
            let problem = format!(
                "expected a relation of `relations` or `relation_types`, found `{relation}` of `{type}`; nobody has it"
            );
            found.push(Dangling { at: format!(".{tool}"), problem, is_refused: false });
        }
    }
}

/// The type and the relation of `document:q3#owner@user:alice`.
fn of_tuple(tuple: &str) -> Option<(&str, &str)> {
    let (object, rest) = tuple.split_once('#')?;
    Some((object.split_once(':')?.0, rest.split_once('@')?.0))
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_that_is_nowhere_is_found() {
        let data = json!({
            "roles": {
                "buyer": {"inherits": ["payer", "bayer"]},
                "payer": {"at": ["https://a/mcp", "https://b/mcp"], "issuers": ["https://i", "corp"]},
            },
            "assignments": [
                {"roles": ["buyer"]},
                {"roles": ["payer", "payre"], "at": ["a"], "issuers": ["i"], "groups": ["g"]},
            ],
            "labels": {"y": {"tools": ["x"]}, "z": {"tools": ["x"]}},
            "duties": {"exclusive": [["buyer", "payer"], ["buyer", "approver"]], "second": {"x": ["payer", "boss"]}},
            "conditions": {"x": {"issuers": ["corp"], "unless": {"issuers": ["https://i", "j"]}}},
            "label_conditions": {"y": {"issuers": ["k"]}},
            "guards": {"destructive": {"roles": ["payer", "operator"]}, "private_hosts": ["a.example.com"]},
            "relations": ["document:a#owner@user:b", "user:b#manager@user:c", "folder:x#own#er@user:b"],
            "relation_types": {"document": {"editor": ["owner"]}},
            "relation_rules": {
                "a": {"type": "document", "relation": "owner"},
                "b": {"type": "document", "relation": "editor"},
                "c": {"type": "user", "relation": "manager"},
                "g": {"type": "group", "relation": "member"},
                "d": {"type": "documents", "relation": "owner"},
                "e": {"type": "document", "relation": "viewer"},
            },
        });
        let document = json!({"resources": [{"url": "https://a/mcp"}], "issuers": [{"issuer": "https://i"}]});
        let vocabulary = Vocabulary::of(&document);
        let mut found = Vec::new();
        for (name, table) in entries(&data) {
            let dangling = dangling(name, table, &data, &vocabulary).into_iter();
            found.extend(dangling.map(|dangling| (format!("{name}{}", dangling.at), dangling.is_refused)));
        }
        found.sort();
        let expected = [
            ("assignments[0]", false),
            ("assignments[1].at[0]", false),
            ("assignments[1].issuers[0]", false),
            ("assignments[1].roles[1]", false),
            ("conditions.x.issuers[0]", false),
            ("conditions.x.unless.issuers[1]", false),
            ("duties.exclusive[1][1]", true),
            ("duties.second.x[1]", false),
            ("guards.destructive.roles[1]", false),
            ("guards.private_hosts", false),
            ("label_conditions.y.issuers[0]", false),
            ("labels.z", false),
            ("relation_rules.d", false),
            ("relation_rules.e", false),
            ("roles.buyer.inherits[1]", false),
            ("roles.payer.at[1]", false),
            ("roles.payer.issuers[1]", false),
        ];
        assert_eq!(found, expected.map(|(at, is_refused)| (at.to_owned(), is_refused)));
    }
}
