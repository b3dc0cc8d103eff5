//! The lists of names in a table.

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// Lists that ask for nothing: where they stand in a table, and what is wrong.
pub(super) fn in_vain(name: &str, table: &Value) -> Vec<(String, String)> {
    let (at, lists) = match name {
        "tool_scopes" => ("", Some(table)),
        "guards" => (".urls", table.get("urls")),
        "duties" => return alone(table),
        _ => return Vec::new(),
    };
    let lists = lists.and_then(Value::as_object).into_iter().flatten();
    let problem = "expected at least one name in the list, found none";
    lists
        .filter(|(_, list)| **list == json!([]))
        .map(|(tool, _)| (format!("{at}.{tool}"), problem.to_owned()))
        .collect()
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

/// The names of tools, and globs, in a table of the bundled policies, and where they stand in it.
pub(super) fn tools<'t>(name: &str, table: &'t Value) -> Vec<(String, &'t str)> {
    let keys = |at: &str, entries: Option<&'t Value>| -> Vec<(String, &'t str)> {
        let entries = entries.and_then(Value::as_object).into_iter().flatten();
        entries.map(|(tool, _)| (format!("{at}.{tool}"), tool.as_str())).collect()
    };
    let list = |at: &str, names: Option<&'t Value>| -> Vec<(String, &'t str)> {
        let names = names.and_then(Value::as_array).into_iter().flatten().zip(0..);
        names.filter_map(|(tool, index)| Some((format!("{at}[{index}]"), tool.as_str()?))).collect()
    };
    let owners = || table.as_object().into_iter().flatten();
    match name {
        "relation_rules" | "conditions" | "tool_scopes" => keys("", Some(table)),
        "roles" | "labels" => {
            let part = if name == "roles" { "limits" } else { "arguments" };
            let of_owner = |(owner, entry): (&'t String, &'t Value)| {
                let named = list(&format!(".{owner}.tools"), entry.get("tools"));
                named.into_iter().chain(keys(&format!(".{owner}.{part}"), entry.get(part)))
            };
            owners().flat_map(of_owner).collect()
        }
        "duties" => keys(".second", table.get("second")),
        "guards" => {
            let destructive = list(".destructive.tools", table.pointer("/destructive/tools"));
            let by_tool = ["urls", "paths"].into_iter().flat_map(|key| keys(&format!(".{key}"), table.get(key)));
            destructive.into_iter().chain(by_tool).collect()
        }
        _ => Vec::new(),
    }
}
