//! Level 0: rules without Rego, as an operator writes them under `policy.rules`.
//!
//! They become `data.rules` as they are, and `policies/mcp/rules.rego` says what
//! they mean. What is found here would make a rule that matches nothing, which
//! in a denial nobody notices. [`rego`] writes down the same in Rego.

mod body;
mod condition;
mod exception;
mod rego;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::tables::OF_ISSUERS;
use super::vocabulary::{Vocabulary, is_like};
use super::{Findings, annotations, value};
use crate::mcp;
use crate::token;
pub(super) use condition::DEPTH;
use exception::is_excused;
pub(super) use rego::rego;

/// One of `policy.rules`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct RuleConfig {
    allow: Option<MatchConfig>,
    deny: Option<MatchConfig>,
    reason: Option<String>,
}

/// What a rule is about. All of these have to hold, and one member of each list.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct MatchConfig {
    tools: Option<Vec<String>>,
    prompts: Option<Vec<String>>,
    resources: Option<Vec<String>>,
    methods: Option<Vec<String>>,
    subjects: Option<Vec<String>>,
    clients: Option<Vec<String>>,
    issuers: Option<Vec<String>>,
    roles: Option<Vec<String>>,
    groups: Option<Vec<String>>,
    tenants: Option<Vec<String>>,
    principals: Option<Vec<String>>,
    /// All of them.
    scopes: Option<Vec<String>>,
    sources: Option<Vec<String>>,
    claims: Option<Conditions>,
    arguments: Option<Conditions>,
    annotations: Option<Conditions>,
    time: Option<TimeConfig>,
    login: Option<LoginConfig>,
    unless: Option<Box<Self>>,
}

/// Conditions by the names of what they are on.
type Conditions = BTreeMap<String, Value>;

/// When, in UTC.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct TimeConfig {
    days: Option<Vec<String>>,
    /// Such as `08:00-18:00`.
    hours: Option<Vec<String>>,
}

/// How fresh and how strong a login is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct LoginConfig {
    max_age: Option<u64>,
    acr: Option<Vec<String>>,
}

pub(super) const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// What messages without a method go by.
const KINDS: [&str; 3] = ["response", "stream", "terminate"];

impl MatchConfig {
    /// What it names, and the methods that name such a thing.
    fn names(&self) -> Vec<(&'static str, &[String])> {
        let named = [("tools", &self.tools), ("prompts", &self.prompts), ("resources", &self.resources)];
        named.into_iter().filter_map(|(kind, names)| Some((kind, names.as_deref()?))).collect()
    }

    /// Its lists of texts, in which a star stands for anything.
    fn texts(&self) -> Vec<(&'static str, &[String])> {
        let others = [
            ("methods", &self.methods),
            ("subjects", &self.subjects),
            ("clients", &self.clients),
            ("issuers", &self.issuers),
            ("roles", &self.roles),
            ("groups", &self.groups),
            ("tenants", &self.tenants),
            ("principals", &self.principals),
        ];
        let others = others.into_iter().filter_map(|(key, texts)| Some((key, texts.as_deref()?)));
        self.names().into_iter().chain(others).collect()
    }

    fn conditions(&self) -> impl Iterator<Item = (&'static str, &Conditions)> {
        let all = [("claims", &self.claims), ("arguments", &self.arguments), ("annotations", &self.annotations)];
        all.into_iter().filter_map(|(key, conditions)| Some((key, conditions.as_ref()?)))
    }

    fn is_empty(&self) -> bool {
        self.texts().is_empty()
            && self.conditions().next().is_none()
            && self.scopes.is_none()
            && self.sources.is_none()
            && self.time.is_none()
            && self.login.is_none()
    }

    /// Does it hold, or not, whatever the arguments are?
    fn is_known(&self) -> bool {
        self.arguments.is_none() && self.unless.as_ref().is_none_or(|unless| unless.arguments.is_none())
    }

    /// What it is about, where it says so: arguments and annotations are those of tools.
    fn kind(&self) -> Option<&'static str> {
        let implied = (self.arguments.is_some() || self.annotations.is_some()).then_some("tools");
        self.names().first().map(|(kind, _)| *kind).or(implied)
    }
}

impl Findings {
    /// Checks the rules.
    pub(super) fn rules(&mut self, written: &Value, vocabulary: &Vocabulary) -> Vec<RuleConfig> {
        let example = "`- allow: {tools: [echo]}`";
        let rules = match written {
            Value::Array(rules) if !rules.is_empty() => rules,
            Value::Array(_) => {
                let problem = format!(
                    "expected at least one rule, such as {example}, found none; without `rules` and `data` all calls \
                     are denied"
                );
                self.add("policy.rules", problem);
                return Vec::new();
            }
            _ => {
                self.add("policy.rules", format!("expected a list of rules, each with a `-` before it: {example}"));
                return Vec::new();
            }
        };
        self.unannotated(annotations::of_rules(written), vocabulary);
        let paths = (0..rules.len()).map(|at| format!("policy.rules[{at}]"));
        rules.iter().zip(paths).filter_map(|(rule, path)| self.rule(&path, rule, vocabulary)).collect()
    }

    fn rule(&mut self, path: &str, written: &Value, vocabulary: &Vocabulary) -> Option<RuleConfig> {
        if self.misplaced(path, written) | self.nulls(path, written) {
            return None;
        }
        let rule: RuleConfig = self.read(path, written)?;
        match (&rule.allow, &rule.deny) {
            (Some(allow), None) => {
                if rule.reason.is_some() {
                    self.add(format!("{path}.reason"), "expected it beside `deny` alone");
                }
                self.matching(&format!("{path}.allow"), allow, vocabulary);
            }
            (None, Some(deny)) => self.matching(&format!("{path}.deny"), deny, vocabulary),
            (Some(_), Some(_)) => self.add(path, "expected one of `allow` and `deny`, found both; write two rules"),
            (None, None) => self.add(path, "expected `allow` or `deny`"),
        }
        for effect in ["allow", "deny"].into_iter().filter(|effect| is_excused(effect, written.get(effect))) {
            let problem = "expected an exception of some of what the rule is about, found one of all; it never matches";
            self.add(format!("{path}.{effect}.unless"), problem);
        }
        if rule.reason.as_ref().is_some_and(String::is_empty) {
            self.add(format!("{path}.reason"), "expected a text, found an empty one");
        }
        Some(rule)
    }

    /// Keys that are right, and stand one level too high or too deep.
    fn misplaced(&mut self, path: &str, rule: &Value) -> bool {
        let known = self.0.len();
        for (key, value) in rule.as_object().into_iter().flatten() {
            let path = format!("{path}.{key}");
            let effect = if rule.get("deny").is_some() { "deny" } else { "allow" };
            match key.as_str() {
                "allow" if value.get("reason").is_some() => {
                    self.add(
                        format!("{path}.reason"),
                        "expected it beside `deny` alone; what is allowed has no reason",
                    );
                }
                "deny" if value.get("reason").is_some() => {
                    self.add(format!("{path}.reason"), "expected it beside `deny`, `{deny: {...}, reason: ...}`");
                }
                key if is_key(key) => {
                    self.add(path, format!("expected it within `allow` or `deny`, `{effect}: {{..., {key}: ...}}`"));
                }
                _ => {}
            }
        }
        known < self.0.len()
    }

    /// Keys without a value, which YAML makes of `claims:`. Where a key may be absent one would be taken for
    /// that, or for what is met by nobody. A condition on a value may be null.
    pub(super) fn nulls(&mut self, path: &str, value: &Value) -> bool {
        const ON_VALUES: [&str; 5] = ["arguments", "claims", "annotations", "limits", "actor"];
        let known = self.0.len();
        let members = value.as_object().into_iter().flatten().map(|(name, value)| (Some(name.as_str()), value));
        let items = value.as_array().into_iter().flatten().map(|item| (None, item));
        for (index, (name, value)) in members.chain(items).enumerate() {
            match (value, name) {
                (Value::Null, Some(name)) => {
                    self.add(format!("{path}.{name}"), "expected a value, found none; leave the key out, or say which");
                }
                (Value::Object(_), Some(name)) if ON_VALUES.contains(&name) => {}
                (Value::Object(_) | Value::Array(_), Some(name)) => drop(self.nulls(&format!("{path}.{name}"), value)),
                (Value::Object(_), None) => drop(self.nulls(&format!("{path}[{index}]"), value)),
                _ => {}
            }
        }
        known < self.0.len()
    }

    /// Reads a part of a rule by its type.
    pub(super) fn read<T: DeserializeOwned>(&mut self, path: &str, value: &Value) -> Option<T> {
        value::read(value.clone(), path).map_err(|finding| self.0.push(finding)).ok()
    }

    fn matching(&mut self, path: &str, rule: &MatchConfig, vocabulary: &Vocabulary) {
        self.part(path, rule, rule.kind(), vocabulary);
        let Some(unless) = &rule.unless else { return };
        let path = format!("{path}.unless");
        if unless.unless.is_some() {
            self.add(format!("{path}.unless"), "expected no exception of an exception; write another rule");
        }
        let named = unless.names().first().map(|(kind, _)| *kind);
        self.part(&path, unless, named.or(rule.kind()), vocabulary);
        if let (Some(kind), Some(excepted)) = (rule.kind(), named)
            && kind != excepted
        {
            self.add(
                format!("{path}.{excepted}"),
                format!("expected `{kind}`, which the rule is about; it never matches"),
            );
        }
    }

    /// Checks the keys of a rule, or of its exception.
    fn part(&mut self, path: &str, part: &MatchConfig, kind: Option<&str>, vocabulary: &Vocabulary) {
        if part.is_empty() {
            self.add(path, "expected at least one key; `methods: [\"*\"]` is every message");
        }
        for (key, texts) in part.texts() {
            self.texts(&format!("{path}.{key}"), texts, true);
        }
        for (kind, names) in part.names() {
            for (index, name) in names.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
                self.name(|| format!("{path}.{kind}[{index}]"), kind, name, vocabulary);
            }
        }
        for (index, issuer) in part.issuers.iter().flatten().enumerate() {
            if !issuer.is_empty() && !vocabulary.may_name_issuer(issuer) {
                let problem = format!("expected {OF_ISSUERS}, or a glob with `*`, found `{issuer}`; no token is of it");
                self.add(format!("{path}.issuers[{index}]"), problem);
            }
        }
        for (key, conditions) in part.conditions() {
            if conditions.is_empty() {
                self.add(format!("{path}.{key}"), "expected at least one name with its condition");
            }
            self.named_conditions(&format!("{path}.{key}"), conditions.iter());
            if key == "arguments" {
                for name in conditions.keys() {
                    self.argument(|| format!("{path}.arguments.{name}"), name);
                }
            }
            if key == "annotations" {
                self.annotated(path, conditions.keys(), vocabulary);
            }
            for (name, condition) in conditions {
                if key == "annotations" && annotations::is_misvalued_hint(name, condition) {
                    let problem = format!("expected `true` or `false`, found `{condition}`");
                    self.add(format!("{path}.{key}.{name}"), problem);
                }
                self.condition(&format!("{path}.{key}.{name}"), condition, DEPTH);
            }
        }
        if let Some(scopes) = &part.scopes {
            self.tokens(&format!("{path}.scopes"), scopes);
        }
        self.about(path, part, kind, vocabulary);
        if let Some(sources) = &part.sources {
            self.sources(&format!("{path}.sources"), sources);
        }
        if let Some(time) = &part.time {
            self.time(&format!("{path}.time"), time);
        }
        if let Some(login) = &part.login {
            let path = format!("{path}.login");
            if login.max_age.is_none() && login.acr.is_none() {
                self.add(path.as_str(), "expected `max_age`, `acr`, or both");
            }
            if login.max_age == Some(0) {
                self.add(format!("{path}.max_age"), "expected at least 1 second, found 0");
            }
            if let Some(acr) = &login.acr {
                self.tokens(&format!("{path}.acr"), acr);
            }
        }
    }

    /// Is there a message that has all of this?
    fn about(&mut self, path: &str, part: &MatchConfig, kind: Option<&str>, vocabulary: &Vocabulary) {
        if let [(one, _), (other, _), ..] = part.names().as_slice() {
            self.add(
                format!("{path}.{other}"),
                format!("expected it in another rule, found it beside `{one}`; no message names both"),
            );
        }
        if part.annotations.is_some() && kind.is_some_and(|kind| kind != "tools") {
            self.add(format!("{path}.annotations"), "expected `tools` beside it; nothing else is annotated");
        }
        if part.arguments.is_some() && kind == Some("resources") {
            self.add(format!("{path}.arguments"), "expected `tools` or `prompts` beside it; resources have none");
        }
        let known: Vec<&str> = known_methods(vocabulary).collect();
        let named: Vec<&str> = match kind {
            Some(kind) => known.into_iter().filter(|method| names(kind, method)).collect(),
            None => known,
        };
        for (index, method) in part.methods.iter().flatten().enumerate() {
            if !named.iter().any(|known| is_like(method, known)) {
                let problem = match kind {
                    Some(kind) => {
                        format!("expected a method that names {kind} ({}), found `{method}`", named.join(", "))
                    }
                    None => format!(
                        "expected a method of MCP or of `extensions.methods`, or {}, found `{method}`",
                        KINDS.join(", ")
                    ),
                };
                self.add(format!("{path}.methods[{index}]"), problem);
            }
        }
    }

    /// A name, or a glob, that some message has.
    pub(super) fn name(&mut self, path: impl Fn() -> String, kind: &str, pattern: &str, vocabulary: &Vocabulary) {
        if kind == "tools" && (pattern.is_empty() || !vocabulary.may_name_tool(pattern)) {
            let problem = format!(
                "expected the name of a tool, or a glob with `*`, found `{pattern}`, which no call has: names are of \
                 A-Z a-z 0-9 _ . -, 1 to 128 of them, or stand in `extensions.tools`"
            );
            self.add(path(), problem);
        }
        // In a table what has no method is an answer.
        let is_of_table = |method: &&str| !matches!(*method, "stream" | "terminate");
        if kind == "methods" && !known_methods(vocabulary).filter(is_of_table).any(|known| is_like(pattern, known)) {
            let problem =
                format!("expected a method of MCP or of `extensions.methods`, or `response`, found `{pattern}`");
            self.add(path(), problem);
        }
        let text = pattern.replace('*', "");
        let is_plain = text.is_empty() || mcp::is_plain(&text);
        if kind == "resources"
            && is_plain
            && let Some(fault) = mcp::fault_of_pattern(pattern)
        {
            self.add(path(), format!("{fault}, or a glob of such, found `{pattern}`; no message has another"));
        }
        if kind != "tools" && !is_plain {
            let problem = format!(
                "expected a name, or a glob with `*`, of at most 2048 bytes without control characters, found {} bytes: \
                 no message has such a name",
                text.len()
            );
            self.add(path(), problem);
        }
    }

    /// The name of an argument, which stands for no other.
    pub(super) fn argument(&mut self, path: impl Fn() -> String, name: &str) {
        if name.contains('*') {
            let problem = format!("expected the exact name of an argument, found `{name}`");
            self.add(path(), problem);
        }
    }

    /// A list of texts, none of them in vain.
    fn texts(&mut self, path: &str, texts: &[String], has_globs: bool) {
        if texts.is_empty() {
            self.add(path, "expected at least one, found an empty list, which nothing matches");
        }
        let mut known = BTreeSet::new();
        for (index, text) in texts.iter().enumerate() {
            let path = format!("{path}[{index}]");
            if !known.insert(text) {
                self.add(path.as_str(), format!("expected it once, found `{text}` again"));
            }
            self.text(path, text, has_globs);
        }
    }

    fn text(&mut self, path: String, text: &str, is_glob: bool) {
        /// What a regular expression of the engine can be made of.
        const LONGEST: usize = 512;
        const STARS: usize = 8;
        let stars = text.matches('*').count();
        if text.is_empty() {
            self.add(path, "expected a text, found an empty one");
        } else if is_glob && text.contains("**") {
            self.add(path, format!("expected one `*`, which stands for anything, `/` too; found `{text}`"));
        } else if is_glob && (stars > STARS || (stars > 1 && text.len() > LONGEST)) {
            let problem = format!(
                "expected at most {STARS} stars, and {LONGEST} bytes around them; found {stars} in {}",
                text.len()
            );
            self.add(path, problem);
        }
    }

    /// A list of names that a challenge can say.
    fn tokens(&mut self, path: &str, texts: &[String]) {
        self.texts(path, texts, false);
        for (index, text) in texts.iter().enumerate().filter(|(_, text)| !text.is_empty() && !token::is_scope(text)) {
            self.add(
                format!("{path}[{index}]"),
                format!("expected visible ASCII without quotes, spaces and backslashes, found `{text}`"),
            );
        }
    }

    fn sources(&mut self, path: &str, sources: &[String]) {
        self.texts(path, sources, false);
        for (index, text) in sources.iter().enumerate() {
            let Some(problem) = no_network(text) else { continue };
            self.add(format!("{path}[{index}]"), format!("{problem}, found `{text}`"));
        }
    }

    fn time(&mut self, path: &str, time: &TimeConfig) {
        if time.days.is_none() && time.hours.is_none() {
            self.add(path, "expected `days`, `hours`, or both");
        }
        if let Some(days) = &time.days {
            let path = format!("{path}.days");
            self.texts(&path, days, false);
            for (index, day) in days.iter().enumerate().filter(|(_, day)| !DAYS.contains(&day.as_str())) {
                self.add(format!("{path}[{index}]"), format!("expected one of {}, found `{day}`", DAYS.join(", ")));
            }
        }
        if let Some(hours) = &time.hours {
            let path = format!("{path}.hours");
            self.texts(&path, hours, false);
            for (index, text) in hours.iter().enumerate() {
                let problem = match window(text) {
                    Some((from, to)) if from < to => continue,
                    Some((from, to)) if from > to && to != "00:00" => format!(
                        "expected the end after the start, found `{text}`; over midnight these are two, \
                         `{from}-24:00` and `00:00-{to}`"
                    ),
                    _ => format!("expected {WINDOW}, the end after the start and at most `24:00`, found `{text}`"),
                };
                self.add(format!("{path}[{index}]"), problem);
            }
        }
    }
}

/// All that messages go by.
fn known_methods<'v>(vocabulary: &'v Vocabulary) -> impl Iterator<Item = &'v str> {
    let known = mcp::methods().chain(KINDS).map(|method| -> &'v str { method });
    known.chain(vocabulary.methods.iter().map(String::as_str))
}

/// Is it a key of what a rule matches?
fn is_key(key: &str) -> bool {
    serde_json::from_value::<MatchConfig>(json!({key: null})).is_ok()
}

/// Does this method name something of the kind?
fn names(kind: &str, method: &str) -> bool {
    match kind {
        "tools" => method == "tools/call",
        "prompts" => matches!(method, "prompts/get" | "completion/complete"),
        _ => {
            matches!(method, "completion/complete" | "subscriptions/listen" | "skills/get")
                || (method.starts_with("resources/") && !method.ends_with("/list"))
        }
    }
}

/// What a network is.
pub(super) const NETWORK: &str = "a network, such as `10.0.0.0/8` or `2001:db8::/32`";

/// What is wrong with it, if it is none.
pub(super) fn no_network(text: &str) -> Option<String> {
    let network = text.split_once('/').and_then(|(address, length)| {
        let address: IpAddr = address.parse().ok()?;
        let is_plain = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
        Some((address, length.parse::<u8>().ok().filter(|_| is_plain)?))
    });
    match network {
        Some((IpAddr::V6(address), _)) if address.to_ipv4_mapped().is_some() => Some("expected it as IPv4".to_owned()),
        Some((IpAddr::V4(_), 0..=32) | (IpAddr::V6(_), 0..=128)) => None,
        _ => Some(format!("expected {NETWORK}")),
    }
}

/// What a window of time is.
pub(super) const WINDOW: &str = "such as `08:00-18:00`, in UTC";

/// From when, and until when.
pub(super) fn window(text: &str) -> Option<(&str, &str)> {
    text.split_once('-').filter(|(from, to)| is_clock(from) && *from != "24:00" && is_clock(to))
}

fn is_clock(text: &str) -> bool {
    let digits =
        |text: &str| (text.len() == 2).then(|| text.parse::<u8>().ok().filter(|_| !text.starts_with('+'))).flatten();
    let Some((hour, minute)) = text.split_once(':') else { return false };
    matches!((digits(hour), digits(minute)), (Some(0..=23), Some(0..=59)) | (Some(24), Some(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_pattern_is_one_that_the_engine_takes() {
        let mut findings = Findings(Vec::new());
        let longest = format!("*{}aa{}", "é*".repeat(7), "\u{10ffff}".repeat(122));
        findings.text("a".into(), &longest, true);
        assert_eq!((findings.0.len(), longest.len()), (0, 512), "{:?}", findings.0);
        let rules = serde_json::json!([{"allow": {"tools": [longest]}}]);
        let mut engine = regorus::Engine::new();
        engine.set_strict_builtin_errors(true);
        for (name, text) in crate::policy::BUNDLED {
            engine.add_policy(name.into(), text.into()).unwrap();
        }
        engine.add_data(serde_json::json!({"rules": rules}).into()).unwrap();
        let text = longest.replace('*', "x");
        let mcp = serde_json::json!({"kind": "request", "method": "tools/call", "name": text});
        engine.set_input(serde_json::json!({"mcp": mcp}).into());
        assert_eq!(engine.eval_rule("data.mcp.rules.allow".into()).unwrap(), true.into());
        findings.text("a".into(), &format!("{longest}x"), true);
        assert_eq!(findings.0.len(), 1);
    }
}
