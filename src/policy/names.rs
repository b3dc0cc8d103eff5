//! The names by which rules ask for what a caller hands in: headers, and members of
//! arguments.

use crate::json::Names;
use crate::rego::Analysis;

/// Credentials, which no policy sees.
pub(super) const SECRET: [&str; 8] = [
    "api-key",
    "authorization",
    "cookie",
    "dpop",
    "proxy-authorization",
    "x-api-key",
    "x-auth-token",
    "x-forwarded-access-token",
];

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

/// The names by which rules may ask for a member of what a caller hands in: those
/// that they spell out, and, where they compute names, every text of the data.
pub(super) fn member_names(analysis: &Analysis, data: &serde_json::Value) -> Names {
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
    if analysis.computes_names {
        add_texts(data, &mut names);
    }
    names
}

/// The depth is that of a configuration, which its reader bounds.
fn add_texts(data: &serde_json::Value, names: &mut Names) {
    match data {
        serde_json::Value::String(text) => names.add(text),
        serde_json::Value::Array(items) => items.iter().for_each(|item| add_texts(item, names)),
        serde_json::Value::Object(members) => members.iter().for_each(|(name, value)| {
            names.add(name);
            add_texts(value, names);
        }),
        _ => {}
    }
}
