//! What a rule says a value may be.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::config::Findings;
use crate::config::value::present;

/// How many of `each`, `any` and `members` may stand within each other.
pub(in crate::config) const DEPTH: usize = 2;

/// A condition that is an object; all that it says has to hold.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct ConditionConfig {
    #[serde(default, deserialize_with = "present")]
    pub(super) equals: Option<Value>,
    pub(super) r#in: Option<Vec<Value>>,
    pub(super) prefix: Option<String>,
    pub(super) glob: Option<String>,
    pub(super) min: Option<Value>,
    pub(super) max: Option<Value>,
    pub(super) size: Option<SizeConfig>,
    pub(super) absent: Option<bool>,
    #[serde(default, deserialize_with = "present")]
    pub(super) each: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    pub(super) any: Option<Value>,
    pub(super) members: Option<BTreeMap<String, Value>>,
}

/// Characters of a text, elements of an array, members of an object.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct SizeConfig {
    pub(super) min: Option<u64>,
    pub(super) max: Option<u64>,
}

/// What Envoy makes of numbers.
const NUMBERS: &str = "in YAML Envoy makes a text of a fraction, and of a whole number beyond 32 bits; count in another unit, or write Rego with \
     `to_number`";

/// The keys of a condition, of which a value that is no object could be meant.
const KEYS: [&str; 11] = ["equals", "in", "prefix", "glob", "min", "max", "each", "any", "members", "size", "absent"];

impl ConditionConfig {
    /// A key for each sort of value that it is for, and whether these have a size.
    fn sorts(&self) -> Vec<(&'static str, bool)> {
        let first = |said: &[(bool, &'static str)]| said.iter().find(|(is_said, _)| *is_said).map(|(_, key)| *key);
        let said = [
            (first(&[(self.equals.is_some(), "equals")]), false),
            (first(&[(self.r#in.is_some(), "in")]), false),
            (first(&[(self.absent.is_some(), "absent")]), false),
            (first(&[(self.prefix.is_some(), "prefix"), (self.glob.is_some(), "glob")]), true),
            (first(&[(self.min.is_some(), "min"), (self.max.is_some(), "max")]), false),
            (first(&[(self.each.is_some(), "each"), (self.any.is_some(), "any")]), true),
            (first(&[(self.members.is_some(), "members")]), true),
        ];
        said.into_iter().filter_map(|(key, has_size)| Some((key?, has_size))).collect()
    }
}

impl Findings {
    /// Refuses a condition where names with conditions belong: its keys would be taken for names.
    pub(in crate::config) fn named_conditions<'c>(
        &mut self,
        path: &str,
        conditions: impl Iterator<Item = (&'c String, &'c Value)>,
    ) {
        let mut conditions = conditions.peekable();
        let Some((key, value)) = conditions.peek().copied() else { return };
        if conditions.all(|(key, value)| KEYS.contains(&key.as_str()) && !value.is_object()) {
            let meant = if value.is_array() { "in" } else { "equals" };
            let problem = format!(
                "expected names, each with its condition, such as `{{limit: {{max: 20}}}}`, found `{key}`, which is a key of a \
                 condition; write `{key}: {{{meant}: {value}}}` for what has that name"
            );
            self.add(path, problem);
        }
    }

    /// Checks a condition, and those within it.
    pub(in crate::config) fn condition(&mut self, path: &str, condition: &Value, depth: usize) {
        match condition {
            Value::Array(values) if values.is_empty() => {
                self.add(path, "expected at least one value, found an empty list, which nothing is in");
            }
            Value::Array(values) => {
                for (value, index) in values.iter().zip(0..) {
                    self.value(&format!("{path}[{index}]"), value);
                }
            }
            Value::Object(_) => {
                if let Some(condition) = self.read::<ConditionConfig>(path, condition) {
                    self.object(path, &condition, depth);
                }
            }
            value => self.value(path, value),
        }
    }

    /// Refuses what is taken for the very value, and reads as something else.
    fn value(&mut self, path: &str, value: &Value) {
        match value {
            Value::String(text) if text.contains('*') => {
                let problem = format!(
                    "expected a value, found `{text}`, in which `*` would stand for itself alone; write `{{glob: {value}}}`, or \
                     `{{equals: {value}}}` for the star itself"
                );
                self.add(path, problem);
            }
            Value::Object(keys) if !keys.is_empty() && keys.keys().all(|key| KEYS.contains(&key.as_str())) => {
                let problem =
                    format!("expected values, found `{value}`, a condition; write a rule or an entry for each");
                self.add(path, problem);
            }
            _ => {}
        }
    }

    fn object(&mut self, path: &str, condition: &ConditionConfig, depth: usize) {
        match condition.sorts().as_slice() {
            [] if condition.size.is_none() => {
                self.add(path, "expected a condition, such as `{min: 1}`, found an empty object");
            }
            [] => {}
            [(sort, false)] if condition.size.is_some() => {
                self.add(
                    format!("{path}.size"),
                    format!("expected it without `{sort}`, found both; write one of them"),
                );
            }
            [_] => {}
            [(one, _), (other, _), ..] => {
                self.add(path, format!("expected `{one}` without `{other}`, found both; write one of them"));
            }
        }
        if condition.r#in.as_ref().is_some_and(Vec::is_empty) {
            self.add(format!("{path}.in"), "expected at least one value, found an empty list, which nothing is in");
        }
        if condition.absent == Some(false) {
            self.add(format!("{path}.absent"), "expected `true`; a value that is there meets any other condition");
        }
        if let Some(prefix) = &condition.prefix {
            match prefix.strip_suffix('*') {
                _ if prefix.is_empty() => self.add(format!("{path}.prefix"), "expected a text, found an empty one"),
                Some(rest) => self.add(
                    format!("{path}.prefix"),
                    format!("expected what a text begins with, such as `{rest}`, found `{prefix}`; in a `glob` `*` stands for anything"),
                ),
                None => {}
            }
        }
        if let Some(glob) = &condition.glob {
            self.text(format!("{path}.glob"), glob, true);
        }
        for (key, bound) in [("min", &condition.min), ("max", &condition.max)] {
            if let Some(found) = bound.as_ref().filter(|bound| !bound.is_number()) {
                let problem = format!("expected a number, found `{found}`; {NUMBERS}");
                self.add(format!("{path}.{key}"), problem);
            }
        }
        let number = |bound: &Option<Value>| bound.as_ref().and_then(Value::as_f64);
        if let (Some(min), Some(max)) = (number(&condition.min), number(&condition.max))
            && min > max
        {
            self.add(format!("{path}.min"), format!("expected at most `max`, {max}, found {min}"));
        }
        match &condition.size {
            Some(SizeConfig { min: None, max: None }) => {
                self.add(format!("{path}.size"), "expected `min`, `max`, or both");
            }
            Some(SizeConfig { min: Some(0), .. }) => {
                self.add(format!("{path}.size.min"), "expected at least 1, found 0, which everything has");
            }
            Some(SizeConfig { min: Some(min), max: Some(max) }) if min > max => {
                self.add(format!("{path}.size.min"), format!("expected at most `max`, {max}, found {min}"));
            }
            _ => {}
        }
        let members = condition.members.iter().flatten().map(|(name, inner)| (format!("{path}.members.{name}"), inner));
        let inner: Vec<(String, &Value)> = [("each", &condition.each), ("any", &condition.any)]
            .into_iter()
            .filter_map(|(key, inner)| Some((format!("{path}.{key}"), inner.as_ref()?)))
            .chain(members)
            .collect();
        for name in condition.members.iter().flatten().map(|(name, _)| name) {
            self.argument(|| format!("{path}.members.{name}"), name);
        }
        if condition.members.as_ref().is_some_and(BTreeMap::is_empty) {
            self.add(format!("{path}.members"), "expected at least one name with its condition");
        }
        match depth.checked_sub(1) {
            Some(depth) => inner.iter().for_each(|(path, inner)| self.condition(path, inner, depth)),
            None if inner.is_empty() => {}
            None => self.add(
                path,
                format!(
                    "expected at most {DEPTH} of `each`, `any` and `members` within each other; write Rego for more"
                ),
            ),
        }
    }
}
