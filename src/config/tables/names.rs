//! The lists of names in a table.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::entries;

/// Lists that ask for nothing: where they stand in a table, and what is wrong.
pub(super) fn in_vain(name: &str, table: &Value) -> Vec<(String, String)> {
    let none = "expected at least one name, found none".to_owned();
    match name {
        "tool_scopes" => empty(table).map(|at| (at, none.clone())).collect(),
        "guards" => {
            let urls = table.get("urls").into_iter().flat_map(|urls| empty(urls).map(|at| format!(".urls{at}")));
            let paths = table.get("paths").into_iter().flat_map(|paths| {
                let inner =
                    entries(paths).flat_map(|(tool, lists)| empty(lists).map(move |at| format!(".paths.{tool}{at}")));
                empty(paths).map(|at| format!(".paths{at}")).chain(inner)
            });
            let destructive = table.get("destructive").into_iter().flat_map(empty);
            let destructive = destructive.filter(|at| at == ".tools").map(|at| format!(".destructive{at}"));
            urls.chain(paths).chain(destructive).map(|at| (at, none.clone())).collect()
        }
        "duties" => alone(table),
        "labels" => {
            let problem = "expected at least one of `tools`, `prompts`, `resources`, `methods`, `annotations` and `arguments`, \
                found none; nothing has this label";
            let void = entries(table).filter(|(_, label)| entries(label).all(|(_, part)| is_empty(part)));
            void.map(|(label, _)| (format!(".{label}"), problem.to_owned())).collect()
        }
        _ => Vec::new(),
    }
}

/// Where entries of a table stand that are empty.
fn empty(table: &Value) -> impl Iterator<Item = String> {
    entries(table).filter(|(_, entry)| is_empty(entry)).map(|(name, _)| format!(".{name}"))
}

fn is_empty(value: &Value) -> bool {
    *value == json!([]) || *value == json!({})
}

/// Sets of roles in which nothing excludes another.
fn alone(duties: &Value) -> Vec<(String, String)> {
    let sets = duties.get("exclusive").and_then(Value::as_array).into_iter().flatten().zip(0..);
    let counts = sets.map(|(set, index)| {
        let roles: BTreeSet<&str> = set.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        (index, roles.len())
    });
    let problem = |count| format!("expected at least two roles, of which nobody may use both, found {count}");
    counts
        .filter(|(_, count)| *count < 2)
        .map(|(index, count)| (format!(".exclusive[{index}]"), problem(count)))
        .collect()
}

/// The names of arguments in a table, and where they stand.
pub(in crate::config) fn arguments<'t>(name: &str, table: &'t Value) -> Vec<(String, &'t str)> {
    let keys = |at: String, by_name: Option<&'t Value>| {
        let names = by_name.into_iter().flat_map(entries);
        names.map(move |(argument, _)| (format!("{at}.{argument}"), argument)).collect::<Vec<_>>()
    };
    let by_tool = |at: String, part: Option<&'t Value>| {
        let tools = part.into_iter().flat_map(entries);
        tools.flat_map(move |(tool, by_name)| keys(format!("{at}.{tool}"), Some(by_name))).collect::<Vec<_>>()
    };
    match name {
        "conditions" | "label_conditions" => {
            let of_entry =
                |(owner, entry): (&'t str, &'t Value)| keys(format!(".{owner}.arguments"), entry.get("arguments"));
            entries(table).flat_map(of_entry).collect()
        }
        "roles" | "labels" => {
            let part = if name == "roles" { "limits" } else { "arguments" };
            entries(table).flat_map(|(owner, entry)| by_tool(format!(".{owner}.{part}"), entry.get(part))).collect()
        }
        "relation_rules" => {
            let of_rule =
                |(tool, rule): (&str, &'t Value)| Some((format!(".{tool}.argument"), rule.get("argument")?.as_str()?));
            entries(table).filter_map(of_rule).collect()
        }
        "guards" => {
            let of_list = |(tool, list): (&'t str, &'t Value)| {
                let names = list.as_array().into_iter().flatten().zip(0..);
                names.filter_map(move |(name, index)| Some((format!(".urls.{tool}[{index}]"), name.as_str()?)))
            };
            let urls = table.get("urls").into_iter().flat_map(entries).flat_map(of_list);
            urls.chain(by_tool(".paths".to_owned(), table.get("paths"))).collect()
        }
        _ => Vec::new(),
    }
}

/// A name or a glob in a table: where it stands, of which kind it is, and what it is.
type Pattern<'t> = (String, &'static str, &'t str);

/// The names of tools, resources and methods in a table of the bundled policies.
pub(in crate::config) fn named<'t>(name: &str, table: &'t Value) -> Vec<Pattern<'t>> {
    let keys = |at: &str, by_tool: Option<&'t Value>| -> Vec<Pattern<'t>> {
        let tools = by_tool.into_iter().flat_map(entries);
        tools.map(|(tool, _)| (format!("{at}.{tool}"), "tools", tool)).collect()
    };
    let list = |at: &str, kind: &'static str, owner: Option<&'t Value>| -> Vec<Pattern<'t>> {
        let names = owner.and_then(|owner| owner.get(kind)).and_then(Value::as_array).into_iter().flatten().zip(0..);
        names.filter_map(|(name, index)| Some((format!("{at}.{kind}[{index}]"), kind, name.as_str()?))).collect()
    };
    match name {
        "relation_rules" | "conditions" | "tool_scopes" => keys("", Some(table)),
        "roles" | "labels" => {
            let part = if name == "roles" { "limits" } else { "arguments" };
            let of_owner = |(owner, entry): (&'t str, &'t Value)| {
                let at = format!(".{owner}");
                let named = ["tools", "prompts", "resources", "methods"]
                    .into_iter()
                    .flat_map(|kind| list(&at, kind, Some(entry)));
                let by_tool = keys(&format!("{at}.{part}"), entry.get(part));
                named.chain(by_tool).collect::<Vec<_>>()
            };
            entries(table).flat_map(of_owner).collect()
        }
        "duties" => keys(".second", table.get("second")),
        "guards" => {
            let destructive = list(".destructive", "tools", table.get("destructive"));
            let by_tool = ["urls", "paths"].into_iter().flat_map(|key| keys(&format!(".{key}"), table.get(key)));
            destructive.into_iter().chain(by_tool).collect()
        }
        _ => Vec::new(),
    }
}
