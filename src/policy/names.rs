//! The names by which rules ask for what a caller hands in: headers, and members of
//! arguments.

use serde_json::Value;

use crate::json::Names;
use crate::rego::{Analysis, SECRET};

/// Which headers rules can read.
#[derive(Debug)]
pub(super) enum HeaderNames {
    All,
    These(Vec<String>),
}

impl HeaderNames {
    pub(super) fn new(analysis: &Analysis) -> Self {
        let mut names = Vec::new();
        for path in &analysis.reads {
            match path.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
                ["http", "headers", name, ..] => names.push((*name).to_owned()),
                [] | ["http"] | ["http", "headers"] => return Self::All,
                _ => {}
            }
        }
        Self::These(names)
    }

    pub(super) fn reads(&self, name: &str) -> bool {
        match self {
            Self::All => !SECRET.contains(&name),
            Self::These(names) => names.iter().any(|known| known == name),
        }
    }
}

/// The names by which rules may ask for a member of what a caller hands in: those that they spell out,
/// and, where they compute names, every text of the data. Of a table that the bundled policies alone look
/// at, it is those that stand where it has names of members. `is_own` says of a module whether it is the
/// operator's, `is_read` of a table whether such a module refers to it: it may hand on what stands there.
pub(super) fn member_names(
    analysis: &Analysis,
    data: &Value,
    is_own: impl Fn(&str) -> bool,
    is_read: impl Fn(&str) -> bool,
) -> Names {
    const PARTS: [&str; 3] = ["arguments", "augmentation", "input_responses"];
    let mut names = Names::default();
    if !PARTS.iter().any(|part| analysis.reads(&["mcp", part])) {
        return names;
    }
    let below = analysis.reads.iter().filter_map(|path| match path.as_slice() {
        [mcp, part, below @ ..] if mcp == "mcp" && PARTS.contains(&part.as_str()) => Some(below),
        _ => None,
    });
    below.flatten().chain(&analysis.names).for_each(|name| names.add(name));
    if analysis.computing.is_empty() {
        return names;
    }
    let by_others = analysis.computing.iter().any(|module| is_own(module));
    for (table, value) in data.as_object().into_iter().flatten() {
        if by_others || is_read(table) {
            names.add(table);
            add_texts(value, &mut names);
        } else {
            add_members_of(table, value, &mut names);
        }
    }
    names
}

/// Of a table: arguments that entries have conditions on, and that relations and guards look at.
fn add_members_of(table: &str, value: &Value, names: &mut Names) {
    let entries = || value.as_object().into_iter().flatten().map(|(_, entry)| entry);
    let by_tool = |part: &'static str| entries().filter_map(move |entry| entry.get(part)?.as_object()).flatten();
    match table {
        "rules" => {
            for rule in value.as_array().into_iter().flatten() {
                let places = ["/allow", "/deny", "/allow/unless", "/deny/unless"];
                let parts = places.iter().filter_map(|place| rule.pointer(&format!("{place}/arguments")));
                parts.for_each(|arguments| add_conditions(arguments, names));
            }
        }
        "conditions" | "label_conditions" => {
            entries().filter_map(|entry| entry.get("arguments")).for_each(|arguments| add_conditions(arguments, names))
        }
        "roles" => by_tool("limits").for_each(|(_, limits)| add_conditions(limits, names)),
        "labels" => by_tool("arguments").for_each(|(_, arguments)| add_conditions(arguments, names)),
        "relation_rules" => {
            entries().filter_map(|rule| rule.get("argument")?.as_str()).for_each(|argument| names.add(argument))
        }
        "guards" => {
            let part = |part| value.get(part).and_then(Value::as_object).into_iter().flatten();
            let urls = part("urls").filter_map(|(_, list)| list.as_array()).flatten().filter_map(Value::as_str);
            let paths = part("paths").filter_map(|(_, paths)| paths.as_object()).flatten();
            urls.chain(paths.map(|(argument, _)| argument.as_str())).for_each(|argument| names.add(argument));
        }
        // The bundled policies compute no names of these.
        "assignments" | "duties" | "relations" | "relation_types" | "tool_scopes" => {}
        _ => add_texts(value, names),
    }
}

/// The depth, here and below, is that of a configuration, which its reader bounds.
fn add_conditions(conditions: &Value, names: &mut Names) {
    for (name, condition) in conditions.as_object().into_iter().flatten() {
        names.add(name);
        add_members(condition, names);
    }
}

fn add_members(condition: &Value, names: &mut Names) {
    if condition.is_array() {
        add_keys(condition, names);
    }
    for (key, inner) in condition.as_object().into_iter().flatten() {
        match key.as_str() {
            "members" => add_conditions(inner, names),
            "each" | "any" => add_members(inner, names),
            // Whole objects are compared with those of the caller.
            _ => add_keys(inner, names),
        }
    }
}

fn add_keys(value: &Value, names: &mut Names) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| add_keys(item, names)),
        Value::Object(members) => members.iter().for_each(|(name, value)| {
            names.add(name);
            add_keys(value, names);
        }),
        _ => {}
    }
}

fn add_texts(data: &Value, names: &mut Names) {
    match data {
        Value::String(text) => names.add(text),
        Value::Array(items) => items.iter().for_each(|item| add_texts(item, names)),
        Value::Object(members) => members.iter().for_each(|(name, value)| {
            names.add(name);
            add_texts(value, names);
        }),
        _ => {}
    }
}
