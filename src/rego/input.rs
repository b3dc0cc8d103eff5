//! The paths that policy input has, version 1 of the contract, and what stands there.

use super::shape::{Kinds, Shape};

/// What stands at a path, if anything does.
#[derive(Clone, Copy)]
enum Is {
    Text,
    Texts,
    Number,
    Boolean,
    /// An object, of anything.
    Object,
    /// An object of strings.
    Names,
}
use Is::{Boolean, Names, Number, Object, Text, Texts};

/// Below an object there may be anything.
#[rustfmt::skip]
const INPUT: [(&str, Is); 41] = [
    ("version", Number), ("resource", Text),
    ("mcp.era", Text), ("mcp.version", Text), ("mcp.kind", Text), ("mcp.method", Text), ("mcp.name", Text),
    ("mcp.uri", Text), ("mcp.uris", Texts), ("mcp.task", Text), ("mcp.tasks", Texts),
    ("mcp.ref.type", Text), ("mcp.ref.name", Text), ("mcp.ref.uri", Text), ("mcp.cursor", Text), ("mcp.level", Text),
    ("mcp.arguments", Object), ("mcp.augmentation", Object), ("mcp.input_responses", Object),
    ("mcp.request_state", Text), ("mcp.retry", Boolean), ("mcp.client.name", Text), ("mcp.client.version", Text),
    ("identity.issuer", Text), ("identity.subject", Text), ("identity.client_id", Text), ("identity.actor", Object),
    ("identity.scopes", Texts), ("identity.roles", Texts), ("identity.groups", Texts), ("identity.tenant", Text),
    ("identity.claims", Object), ("identity.method", Text), ("identity.confirmation", Text),
    ("time.unix", Number), ("tool.annotations", Object),
    ("http.method", Text), ("http.path", Text), ("http.host", Text), ("http.headers", Names), ("http.source", Names),
];

/// Headers with credentials, which no policy sees.
pub(crate) const SECRET: [&str; 8] = [
    "api-key",
    "authorization",
    "cookie",
    "dpop",
    "proxy-authorization",
    "x-api-key",
    "x-auth-token",
    "x-forwarded-access-token",
];

/// What every input has.
#[rustfmt::skip]
const ALWAYS: [&str; 22] = [
    "version", "resource", "mcp", "mcp.era", "mcp.version", "mcp.kind", "mcp.retry", "identity", "identity.issuer",
    "identity.subject", "identity.scopes", "identity.roles", "identity.groups", "identity.claims", "identity.method",
    "identity.confirmation", "time", "time.unix", "http", "http.method", "http.path", "http.host",
];

/// Whether there is something at this path, whatever is asked.
pub(super) fn is_always(path: &[String]) -> bool {
    ALWAYS.contains(&path.join(".").as_str())
}

/// What an input with this method has, too.
pub(super) fn with_method(method: &str) -> Option<&'static str> {
    match method {
        "tools/call" | "prompts/get" => Some("name"),
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => Some("uri"),
        _ => None,
    }
}

/// Whether the contract has something at, above or below this path.
pub(super) fn has(path: &[String]) -> bool {
    INPUT.iter().any(|(known, is)| {
        let mut known = known.split('.');
        path.iter().all(|part| match known.next() {
            Some(name) => name == part,
            None => matches!(is, Object | Names),
        })
    })
}

/// What stands at a path.
pub(super) fn shape<'d>(path: &[String]) -> Shape<'d> {
    let found = INPUT.iter().find_map(|(known, is)| {
        let depth = known.split('.').count();
        let is_above = known.split('.').zip(path).filter(|(known, part)| known == part).count() == depth;
        is_above.then(|| (*is, path.len().saturating_sub(depth)))
    });
    match found {
        Some((Text, 0)) | Some((Names, 1)) => Shape::kind(Kinds::STRING),
        Some((Texts, 0)) => Shape::collection(Kinds::ARRAY, Shape::kind(Kinds::STRING)),
        Some((Number, 0)) => Shape::kind(Kinds::NUMBER),
        Some((Boolean, 0)) => Shape::kind(Kinds::BOOLEAN),
        Some((Object, 0)) => Shape::kind(Kinds::OBJECT),
        Some((Names, 0)) => Shape::collection(Kinds::OBJECT, Shape::kind(Kinds::STRING)),
        _ => Shape::Any,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    /// What stands where, and what is always there, as `policies/input.schema.json` says it.
    fn read<'s>(schema: &'s Value, path: &str, found: &mut BTreeSet<(String, &'s str)>, always: &mut BTreeSet<String>) {
        let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        for (name, schema) in schema["properties"].as_object().unwrap() {
            let path = below(name);
            let is = match (schema["type"].as_str().unwrap(), schema.get("additionalProperties")) {
                ("object", Some(Value::Bool(false))) => {
                    read(schema, &path, found, always);
                    continue;
                }
                ("object", None) => "object",
                ("object", Some(members)) if members["type"] == "string" => "names",
                ("array", None) if schema["items"]["type"] == "string" => "texts",
                (kind @ ("string" | "number" | "boolean"), None) => kind,
                other => panic!("{path}: {other:?}"),
            };
            assert!(found.insert((path, is)));
        }
        always.extend(schema["required"].as_array().into_iter().flatten().map(|name| below(name.as_str().unwrap())));
    }

    #[test]
    fn the_schema_says_the_same() {
        let schema: Value = serde_json::from_str(include_str!("../../policies/input.schema.json")).unwrap();
        let (mut found, mut always) = (BTreeSet::new(), BTreeSet::new());
        assert_eq!(schema["additionalProperties"], false);
        read(&schema, "", &mut found, &mut always);
        let known = INPUT.iter().map(|(path, is)| {
            let is = match is {
                Text => "string",
                Texts => "texts",
                Number => "number",
                Boolean => "boolean",
                Object => "object",
                Names => "names",
            };
            ((*path).to_owned(), is)
        });
        assert_eq!(known.collect::<BTreeSet<_>>(), found);
        assert_eq!(ALWAYS.iter().map(|path| (*path).to_owned()).collect::<BTreeSet<_>>(), always);
    }
}
