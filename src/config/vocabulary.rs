//! What messages can be about at the resources of a configuration, as far as rules and tables name it.

use serde_json::Value;

use crate::mcp;

/// Read from the configuration as it is written, whatever else is wrong with it.
#[derive(Debug, Default)]
pub(super) struct Vocabulary {
    /// The methods that the resources add to those of MCP.
    pub(super) methods: Vec<String>,
    /// The tools that they add to those that MCP has a name for.
    tools: Vec<String>,
    /// The resources of whose tools annotations are known, and those where none are.
    annotated: Vec<String>,
    pub(super) unannotated: Vec<String>,
}

impl Vocabulary {
    pub(super) fn of(document: &Value) -> Self {
        let mut vocabulary = Self::default();
        for resource in document.get("resources").and_then(Value::as_array).into_iter().flatten() {
            for (at, added) in
                [("/extensions/methods", &mut vocabulary.methods), ("/extensions/tools", &mut vocabulary.tools)]
            {
                let texts = resource.pointer(at).and_then(Value::as_array).into_iter().flatten();
                added.extend(texts.filter_map(Value::as_str).map(str::to_owned));
            }
            let url = resource.get("url").and_then(Value::as_str).unwrap_or_default().to_owned();
            match resource.pointer("/catalogue/tools") {
                Some(Value::Object(_)) => vocabulary.annotated.push(url),
                _ => vocabulary.unannotated.push(url),
            }
        }
        vocabulary
    }

    /// Can any tool have annotations that policy sees?
    pub(super) fn has_annotations(&self) -> bool {
        !self.annotated.is_empty()
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
