//! Exceptions of all that their rule is about, which make a rule that never matches.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::config::vocabulary::is_like;

/// Does the exception hold wherever the rule does? Some that do are not found.
pub(super) fn is_excused(effect: &str, part: Option<&Value>) -> bool {
    // A denial is about one of a message's resources, and about an unknown address; its exception is not.
    let is_partly = |key: &str| effect == "deny" && matches!(key, "resources" | "sources");
    let excused = part.and_then(|part| part.get("unless")).and_then(Value::as_object);
    excused.is_some_and(|excused| {
        let holds = |(key, excused): (&String, &Value)| {
            let own = part.and_then(|part| part.get(key));
            // Of `scopes` all have to be there, of other lists one.
            !is_partly(key)
                && (own == Some(excused)
                    || always(key, excused)
                    || key != "scopes" && own.is_some_and(|own| covers(excused, own)))
        };
        !excused.is_empty() && excused.iter().all(holds)
    })
}

/// Does it hold for every message?
fn always(key: &str, excused: &Value) -> bool {
    let has = |list: Option<&Value>, text: &str| {
        list.and_then(Value::as_array).is_some_and(|list| list.contains(&json!(text)))
    };
    match key {
        "methods" | "subjects" | "issuers" => has(Some(excused), "*"),
        "time" => excused.get("days").is_none() && has(excused.get("hours"), "00:00-24:00"),
        _ => false,
    }
}

/// Is whatever these texts stand for among what those stand for?
fn covers(texts: &Value, others: &Value) -> bool {
    /// Lists may have ten thousand members.
    const GLOBS: usize = 64;
    let texts: BTreeSet<&str> = texts.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let globs: Vec<&str> = texts.iter().copied().filter(|text| text.contains('*')).take(GLOBS).collect();
    let is_covered = |other: &Value| {
        other.as_str().is_some_and(|other| texts.contains(other) || globs.iter().any(|glob| is_like(glob, other)))
    };
    others.as_array().is_some_and(|others| others.iter().all(is_covered))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exception_of_all_is_found() {
        for (effect, part, is_it) in [
            ("allow", json!({"tools": ["a"]}), false),
            ("allow", json!({"tools": ["a"], "unless": {}}), false),
            ("deny", json!({"tools": ["a*", "b"], "unless": {"tools": ["*"]}}), true),
            ("deny", json!({"tools": ["a*"], "unless": {"tools": ["a"]}}), false),
            ("deny", json!({"tools": ["a"], "unless": {"tools": ["a"], "roles": ["x"]}}), false),
            ("deny", json!({"tools": ["a"], "unless": {"time": {"hours": ["00:00-24:00"]}}}), true),
            ("deny", json!({"tools": ["a"], "unless": {"time": {"hours": ["00:00-24:00"], "days": ["mon"]}}}), false),
            ("allow", json!({"scopes": ["a", "b"], "unless": {"scopes": ["a"]}}), false),
            // A message may have other resources beside it, and an address that is not known.
            ("allow", json!({"resources": ["doc://a/*"], "unless": {"resources": ["doc://*"]}}), true),
            ("deny", json!({"resources": ["doc://a/*"], "unless": {"resources": ["doc://*"]}}), false),
            ("allow", json!({"sources": ["10.0.0.0/8"], "unless": {"sources": ["10.0.0.0/8"]}}), true),
            ("deny", json!({"sources": ["10.0.0.0/8"], "unless": {"sources": ["10.0.0.0/8"]}}), false),
        ] {
            assert_eq!(is_excused(effect, Some(&part)), is_it, "{effect}: {part}");
        }
    }
}
