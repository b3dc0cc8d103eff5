//! What messages can be about at the resources of a configuration, as far as rules and tables name it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::mcp;
use crate::token::api_key;

/// The annotations of tools in MCP (2025-11-25, `ToolAnnotations`).
pub(super) const ANNOTATIONS: [&str; 5] =
    ["title", "readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"];

/// Read from the configuration as it is written, whatever else is wrong with it.
#[derive(Debug, Default)]
pub(super) struct Vocabulary {
    /// The methods that the resources add to those of MCP.
    pub(super) methods: Vec<String>,
    /// The tools that they add to those that MCP has a name for.
    tools: Vec<String>,
    /// The URLs of the resources.
    pub(super) resources: Vec<String>,
    /// What identities are of: the URLs of issuers, and what stands for API keys.
    pub(super) issuers: Vec<String>,
    /// The annotations of pinned tools.
    annotations: BTreeSet<String>,
    /// The resources that have none.
    pub(super) unannotated: Vec<String>,
    /// The tools that are pinned, if no resource has others.
    pub(super) pinned: Option<BTreeSet<String>>,
}

impl Vocabulary {
    pub(super) fn of(document: &Value) -> Self {
        let list = |key: &str| document.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let text = |owner: &Value, key: &str| owner.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut vocabulary = Self {
            resources: list("resources").iter().map(|resource| text(resource, "url")).collect(),
            issuers: list("issuers").iter().map(|issuer| text(issuer, "issuer")).collect(),
            pinned: Some(BTreeSet::new()),
            ..Self::default()
        };
        vocabulary.issuers.extend(list("api_keys").first().map(|_| api_key::ISSUER.to_owned()));
        for resource in list("resources") {
            for (at, added) in
                [("/extensions/methods", &mut vocabulary.methods), ("/extensions/tools", &mut vocabulary.tools)]
            {
                let texts = resource.pointer(at).and_then(Value::as_array).into_iter().flatten();
                added.extend(texts.filter_map(Value::as_str).map(str::to_owned));
            }
            let tools = resource.pointer("/catalogue/tools").and_then(Value::as_object).into_iter().flatten();
            let annotations = tools.clone().filter_map(|(_, tool)| tool.get("annotations")?.as_object());
            let names: Vec<&String> = annotations.flat_map(serde_json::Map::keys).collect();
            if names.is_empty() {
                vocabulary.unannotated.push(text(resource, "url"));
            }
            vocabulary.annotations.extend(names.into_iter().cloned());
            let tools: Vec<String> = tools.map(|(name, _)| name.clone()).collect();
            let has_others =
                tools.is_empty() || resource.pointer("/catalogue/unpinned").is_some_and(|unpinned| unpinned == "allow");
            vocabulary.pinned = vocabulary.pinned.take().filter(|_| !has_others).map(|mut pinned| {
                pinned.extend(tools);
                pinned
            });
        }
        vocabulary
    }

    /// May a message have this method?
    pub(super) fn has_method(&self, method: &str) -> bool {
        mcp::is_known_method(method) || self.methods.iter().any(|known| known == method)
    }

    /// Can any tool have annotations that policy sees?
    pub(super) fn has_annotations(&self) -> bool {
        !self.annotations.is_empty()
    }

    /// Is there an annotation of this name?
    pub(super) fn may_annotate(&self, name: &str) -> bool {
        ANNOTATIONS.contains(&name) || self.annotations.contains(name)
    }

    /// Is there an issuer that has this URL, or one like it?
    pub(super) fn may_name_issuer(&self, pattern: &str) -> bool {
        self.issuers.iter().any(|issuer| is_like(pattern, issuer))
    }

    /// Can a tool be called that has this name, or one like it?
    pub(super) fn may_name_tool(&self, pattern: &str) -> bool {
        mcp::is_tool(&pattern.replace('*', ""), &[]) || self.tools.iter().any(|tool| is_like(pattern, tool))
    }
}

/// Does the pattern stand for this text?
pub(super) fn is_like(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = rest.get(at.saturating_add(part.len())..).unwrap_or_default(),
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, text, is_it) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("*", "", true),
            ("a*", "a", true),
            ("a*a", "a", false),
            ("tools/*", "tools/call", true),
            ("*list", "resources/templates/list", true),
            ("*/t*/l*t", "resources/templates/list", true),
            ("*/x*", "resources/templates/list", false),
        ] {
            assert_eq!(is_like(pattern, text), is_it, "{pattern} {text}");
        }
    }
}
