//! Conditions on the annotations of tools.
//!
//! Policy sees those of pinned tools alone. Where no tool is pinned none is there, and what a
//! condition says of one is known beforehand, the same for each call. Where that lets more through than
//! whoever wrote it can have meant, as a denial that never holds does, it is refused: nobody would
//! notice. Where it lets less through, somebody will, and a catalogue may come later: that is a note.
//! A note, too, is what one resource has no pins for and another has.

use serde_json::{Value, json};

use super::vocabulary::{ANNOTATIONS, Vocabulary};
use super::{Finding, Findings};

/// A condition, and what it is where there are no annotations.
pub(super) struct Unannotated {
    /// Within the policy.
    path: String,
    /// Does it hold for every tool? Else for none.
    holds: bool,
    /// Does that let more through?
    opens: bool,
}

const EXPECTED: &str = "a resource with `catalogue.tools`, from which alone annotations are known";

const ADVICE: &str = "pin the tools (`mcp-gate pin`)";

impl Unannotated {
    fn says(&self) -> &'static str {
        if self.holds { "holds for every tool" } else { "never holds" }
    }
}

impl Findings {
    /// Refuses conditions on what no tool is annotated with, though some tools are.
    pub(super) fn annotated<'n>(
        &mut self,
        path: &str,
        names: impl Iterator<Item = &'n String>,
        vocabulary: &Vocabulary,
    ) {
        for name in names.filter(|name| vocabulary.has_annotations() && !vocabulary.may_annotate(name)) {
            let known = ANNOTATIONS.join(", ");
            let problem = format!("expected an annotation of a pinned tool, or one of MCP ({known}), found `{name}`");
            self.add(format!("{path}.annotations.{name}"), problem);
        }
    }

    /// Refuses conditions that let more through for want of annotations.
    pub(super) fn unannotated(&mut self, conditions: Vec<Unannotated>, vocabulary: &Vocabulary) {
        for condition in conditions.into_iter().filter(|found| found.opens && !vocabulary.has_annotations()) {
            let says = condition.says();
            self.add(
                format!("policy.{}", condition.path),
                format!(
                    "expected {EXPECTED}, found none; this {says}, and more is let through; {ADVICE}, or name them"
                ),
            );
        }
    }
}

/// Is it a hint of MCP, which is a boolean, and the condition on it about something else?
pub(super) fn is_misvalued_hint(name: &str, condition: &Value) -> bool {
    let is_other = |value: &Value| !value.is_boolean();
    let is_misvalued = match condition {
        Value::Array(values) => values.iter().all(is_other),
        Value::Object(keys) => {
            keys.keys().any(|key| !matches!(key.as_str(), "equals" | "in" | "absent"))
                || keys.get("equals").is_some_and(is_other)
                || keys.get("in").and_then(Value::as_array).is_some_and(|values| values.iter().all(is_other))
        }
        value => is_other(value),
    };
    ANNOTATIONS.contains(&name) && name != "title" && is_misvalued
}

/// What is accepted, and says nothing at some resource.
pub(super) fn notes(conditions: Vec<Unannotated>, vocabulary: &Vocabulary) -> Vec<Finding> {
    let urls = vocabulary.unannotated.iter().map(|url| format!("`{url}`")).collect::<Vec<_>>().join(", ");
    let note = |condition: Unannotated| {
        let (says, opens) = (condition.says(), if condition.opens { ", and more is let through" } else { "" });
        let problem = match vocabulary.has_annotations() {
            true => format!("expected `catalogue.tools` of {urls}, found none; there this {says}{opens}; {ADVICE}"),
            false => format!("expected {EXPECTED}, found none; this {says}{opens}; {ADVICE}"),
        };
        Finding { path: condition.path, problem }
    };
    match vocabulary.unannotated.is_empty() {
        true => Vec::new(),
        false => conditions.into_iter().map(note).collect(),
    }
}

/// Those of rules without Rego.
pub(super) fn of_rules(rules: &Value) -> Vec<Unannotated> {
    let mut found = Vec::new();
    for (rule, index) in rules.as_array().into_iter().flatten().zip(0..) {
        // What an exception lets through is what its rule would not.
        for (effect, lets) in [("allow", true), ("deny", false)] {
            let part = rule.get(effect);
            let unless = part.and_then(|part| part.get("unless"));
            for (path, part, lets) in [(effect.to_owned(), part, lets), (format!("{effect}.unless"), unless, !lets)] {
                let conditions = part.and_then(|part| part.get("annotations")).and_then(Value::as_object);
                let Some(conditions) = conditions else { continue };
                let holds = conditions.values().all(|condition| *condition == json!({"absent": true}));
                let path = format!("rules[{index}].{path}.annotations");
                found.push(Unannotated { path, holds, opens: holds == lets });
            }
        }
    }
    found
}

/// Those of a table of the bundled policies, where a value is all that a condition can be. Who does not
/// meet a condition is denied; what has no label is not.
pub(super) fn of_table(name: &str, table: &Value) -> Vec<Unannotated> {
    let (parts, opens): (&[&str], bool) = match name {
        "conditions" | "label_conditions" => (&["", "/unless"], false),
        "labels" => (&[""], true),
        _ => return Vec::new(),
    };
    let entries = table.as_object().into_iter().flatten();
    let found = entries.flat_map(|(entry, value)| {
        parts.iter().filter_map(move |part| {
            value.pointer(&format!("{part}/annotations"))?.as_object().filter(|annotations| !annotations.is_empty())?;
            let path = format!("data.{name}.{entry}{}.annotations", part.replace('/', "."));
            Some(Unannotated { path, holds: false, opens })
        })
    });
    found.collect()
}
