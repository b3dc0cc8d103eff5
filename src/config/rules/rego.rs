//! Rules without Rego, written down in Rego: for people to read, and to go on from.

use serde_json::Value;

use super::body::{Body, Helpers, Purpose, clause, is_visible, login_lines, quoted, scopes_line, set};
use super::{MatchConfig, RuleConfig};
use crate::config::vocabulary::Vocabulary;
use crate::config::{Finding, Findings};

const HEAD: &str = r#"# METADATA
# title: Rules
# description: |
#   What `policy.rules` of a configuration stands for, as `mcp-gate rego` writes
#   it. As a module of `policy.modules` it decides the same without them.
# entrypoint: true
package mcp.authz

default allow := false"#;

/// Rules that bodies may need, by the name that they use.
const SHARED: [(&str, &str); 8] = [
    (
        "_method",
        r#"# What has no method goes by its kind.
_method := object.get(input, ["mcp", "method"], input.mcp.kind)"#,
    ),
    (
        "_resources",
        r#"# What a message names; a task beside resources is one more.
_resources := [input.mcp.uri] if is_string(input.mcp.uri)

else := array.concat(object.get(input, ["mcp", "uris"], []), object.get(input, ["mcp", "tasks"], []))"#,
    ),
    (
        "_may_be_from",
        r#"_may_be_from(networks) if {
	some network in networks
	net.cidr_contains(network, _address)
}

# Nobody knows where a caller without an address is from.
_may_be_from(_) if not _address"#,
    ),
    (
        "_address",
        r#"# An IPv4 address may come in the form of an IPv6 one.
_address := address if {
	address := trim_prefix(input.http.source.address, "::ffff:")
	net.cidr_is_valid(sprintf("%s/0", [address]))
}

else := address if {
	address := input.http.source.address
	net.cidr_is_valid(sprintf("%s/0", [address]))
}"#,
    ),
    ("_day", r#"_day := ["thu", "fri", "sat", "sun", "mon", "tue", "wed"][floor(input.time.unix / 86400) % 7]"#),
    (
        "_clock",
        r#"# As texts, times of day are in their order. They are UTC.
_clock := sprintf("%02d:%02d", [floor(_minutes / 60), _minutes % 60])

_minutes := floor((input.time.unix % 86400) / 60)"#,
    ),
    (
        "_is_at_least",
        r#"_is_at_least(value, size) if {
	is_array(value)
	count(value) >= size
}

_is_at_least(value, size) if {
	is_object(value)
	count(value) >= size
}

# Characters as Unicode has them; `count` takes UTF-16 for it in some engines.
_is_at_least(value, size) if {
	is_string(value)
	substring(value, size - 1, 1) != ""
}"#,
    ),
    (
        "_is_at_most",
        r#"_is_at_most(value, size) if {
	is_array(value)
	count(value) <= size
}

_is_at_most(value, size) if {
	is_object(value)
	count(value) <= size
}

# Characters as Unicode has them; `count` takes UTF-16 for it in some engines.
_is_at_most(value, size) if {
	is_string(value)
	substring(value, size, 1) == ""
}"#,
    ),
];

/// The module that the rules of a configuration stand for.
pub(in crate::config) fn rego(document: &Value) -> Result<String, Vec<Finding>> {
    let written = document.pointer("/policy/rules").unwrap_or(&Value::Null);
    let mut findings = Findings(Vec::new());
    let rules = findings.rules(written, &Vocabulary::of(document));
    if findings.0.is_empty() { Ok(module(&rules, written)) } else { Err(findings.0) }
}

fn module(rules: &[RuleConfig], written: &Value) -> String {
    let mut sections = vec![HEAD.to_owned()];
    let mut helpers = Helpers::default();
    let (mut asks, mut shown, mut hidden) = (Vec::new(), vec!["_shown if allow".to_owned()], Vec::new());
    for (at, rule) in rules.iter().enumerate() {
        let text = written.get(at).map(comment).unwrap_or_default();
        if let Some(allow) = &rule.allow {
            let purpose = Purpose { at, exception: false, all: true, arguments: true, held: false };
            let lines = lines(allow, purpose, &mut helpers);
            let held = held(allow);
            if held.is_empty() {
                sections.push(format!("{text}\n{}", clause("allow", &lines)));
            } else {
                sections.push(format!("{text}\n{}", clause(&format!("_matches_{at}"), &lines)));
                let lines: Vec<String> = std::iter::once(format!("_matches_{at}")).chain(held).collect();
                sections.push(clause("allow", &lines));
                asks.push((at, allow));
            }
            if !allow.is_known() || allow.scopes.is_some() || allow.login.is_some() {
                let purpose = Purpose { arguments: false, ..purpose };
                shown.push(clause("_shown", &self::lines(allow, purpose, &mut helpers)));
            }
        }
        if let Some(deny) = &rule.deny {
            let purpose = Purpose { at, exception: false, all: false, arguments: true, held: true };
            let head = format!("deny contains {}", quoted(&rule.reason.clone().unwrap_or(format!("rule {at}"))));
            sections.push(format!("{text}\n{}", clause(&head, &lines(deny, purpose, &mut helpers))));
            if deny.arguments.is_none() {
                let purpose = Purpose { arguments: false, ..purpose };
                hidden.push(clause("_hidden", &lines(deny, purpose, &mut helpers)));
            }
        }
    }
    sections.extend(asking(&asks));
    let visible: Vec<String> =
        std::iter::once("_shown".to_owned()).chain((!hidden.is_empty()).then(|| "not _hidden".to_owned())).collect();
    sections.push(format!("# In a list nobody knows the arguments.\n{}", clause("visible", &visible)));
    sections.extend(shown);
    sections.extend(hidden);
    sections.extend(helpers.rules);
    let needed = |name: &str| helpers.shared.contains(name);
    sections.extend(SHARED.iter().filter(|(name, _)| needed(name)).map(|(_, text)| (*text).to_owned()));
    format!("{}\n", sections.join("\n\n"))
}

/// The rule as it was written, in a comment.
fn comment(rule: &Value) -> String {
    /// The engine reads no longer lines.
    const LENGTH: usize = 900;
    let text: Vec<char> = rule.to_string().chars().map(|c| if is_visible(c) { c } else { '?' }).collect();
    let lines = text.chunks(LENGTH).map(|line| format!("# {}", line.iter().collect::<String>()));
    lines.collect::<Vec<_>>().join("\n")
}

/// What a rule says, its exception included.
fn lines(part: &MatchConfig, purpose: Purpose, helpers: &mut Helpers) -> Vec<String> {
    let mut lines = Body::of(part, purpose, helpers);
    let Some(unless) = &part.unless else { return lines };
    // With arguments that nobody knows, a rule may hold if its exception may not, and the
    // other way round.
    if purpose.all && !purpose.arguments && unless.arguments.is_some() {
        return lines;
    }
    let excepted = Purpose { exception: true, all: !purpose.all, held: true, ..purpose };
    let name = format!("_unless_{}{}", purpose.at, if purpose.arguments { "" } else { "_shown" });
    let inner = Body::of(unless, excepted, helpers);
    helpers.rules.push(clause(&name, &inner));
    lines.push(format!("not {name}"));
    lines
}

/// What an `allow` asks for.
fn held(allow: &MatchConfig) -> Vec<String> {
    let scopes = allow.scopes.as_ref().map(|scopes| scopes_line(scopes));
    scopes.into_iter().chain(allow.login.iter().flat_map(login_lines)).collect()
}

/// The first rule that would allow the message says what it asks for.
fn asking(asks: &[(usize, &MatchConfig)]) -> Vec<String> {
    let mut sections = Vec::new();
    let numbers =
        asks.iter().map(|(at, _)| clause(&format!(":= {at}"), &["not allow".to_owned(), format!("_matches_{at}")]));
    let chain = numbers.collect::<Vec<_>>().join("\n\nelse ");
    if !chain.is_empty() {
        sections.push(format!("# The first rule that would allow the message says what it asks for.\n_asking {chain}"));
    }
    for (at, allow) in asks {
        let asked = format!("_asking == {at}");
        if let Some(scopes) = &allow.scopes {
            sections.push(match scopes.as_slice() {
                [scope] => clause(&format!("scopes contains {}", quoted(scope)), std::slice::from_ref(&asked)),
                scopes => {
                    let some = format!("some scope in {}", set(scopes.iter().map(|scope| quoted(scope))));
                    clause("scopes contains scope", &[asked.clone(), some])
                }
            });
        }
        if let Some(login) = &allow.login {
            let age = login.max_age.map(|age| format!("\"max_age\": {age}"));
            let acr = login.acr.as_ref().map(|acr| {
                format!("\"acr_values\": [{}]", acr.iter().map(|acr| quoted(acr)).collect::<Vec<_>>().join(", "))
            });
            let members: Vec<String> = acr.into_iter().chain(age).collect();
            sections.push(clause(&format!("step_up := {{{}}}", members.join(", ")), &[asked]));
        }
    }
    sections
}
