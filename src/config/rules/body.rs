//! The body of a Rego rule that says what one rule without Rego says.

use std::collections::BTreeSet;

use serde_json::Value;

use super::condition::{ConditionConfig, SizeConfig};
use super::{Conditions, KINDS, LoginConfig, MatchConfig, TimeConfig};

/// What bodies need beside them.
#[derive(Default)]
pub(super) struct Helpers {
    /// Whole rules, in their order.
    pub(super) rules: Vec<String>,
    /// Those of `rego.rs` that every module may have, by name.
    pub(super) shared: BTreeSet<&'static str>,
}

/// What a body is for.
#[derive(Clone, Copy)]
pub(super) struct Purpose {
    /// The rule's number.
    pub(super) at: usize,
    /// Is it what follows `unless`?
    pub(super) exception: bool,
    /// Must all be covered of several resources that a message names, and the address be known?
    pub(super) all: bool,
    /// Are the arguments known?
    pub(super) arguments: bool,
    /// Are scopes and logins part of it?
    pub(super) held: bool,
}

/// A body, line by line.
pub(super) struct Body<'h> {
    lines: Vec<String>,
    purpose: Purpose,
    variables: usize,
    helpers: &'h mut Helpers,
}

/// One rule, its head before its body.
pub(super) fn clause(head: &str, lines: &[String]) -> String {
    match lines {
        [line] if !line.contains('\n') && !line.starts_with("every") => format!("{head} if {line}"),
        lines => format!("{head} if {}", block(lines)),
    }
}

/// Lines within braces.
fn block(lines: &[String]) -> String {
    format!("{{\n\t{}\n}}", lines.join("\n").replace('\n', "\n\t"))
}

impl<'h> Body<'h> {
    /// The lines for a rule, without its exception.
    pub(super) fn of(part: &MatchConfig, purpose: Purpose, helpers: &'h mut Helpers) -> Vec<String> {
        let mut body = Self { lines: Vec::new(), purpose, variables: 0, helpers };
        body.names(part);
        body.who(part);
        body.conditions(part);
        body.surroundings(part);
        if body.lines.is_empty() {
            body.add("input.mcp.kind");
        }
        body.lines
    }

    fn add(&mut self, line: impl Into<String>) {
        self.lines.push(line.into());
    }

    /// Tool, prompt or resources.
    fn names(&mut self, part: &MatchConfig) {
        let named = part.names().into_iter().next();
        match named {
            Some(("resources", uris)) if self.purpose.all => {
                self.helpers.shared.insert("_resources");
                self.add("count(_resources) > 0");
                let lines = self.within(|body| body.text("uri", uris, "resources"));
                self.every("uri", "_resources", &lines);
            }
            Some(("resources", uris)) => {
                self.helpers.shared.insert("_resources");
                self.add("some uri in _resources");
                self.text("uri", uris, "resources");
            }
            Some(("prompts", names)) => {
                self.add(r#"input.mcp.method in {"prompts/get", "completion/complete"}"#);
                self.text("input.mcp.name", names, "prompts");
            }
            Some((_, names)) => {
                self.add(r#"input.mcp.method == "tools/call""#);
                self.text("input.mcp.name", names, "tools");
            }
            None if part.kind().is_some() && !self.purpose.exception => {
                self.add(r#"input.mcp.method == "tools/call""#);
            }
            None => {}
        }
    }

    fn who(&mut self, part: &MatchConfig) {
        for (key, texts) in part.texts() {
            let (value, many) = match key {
                "methods" => {
                    // A message without a method goes by its kind.
                    let has_kinds = texts.iter().any(|text| text.contains('*') || KINDS.contains(&text.as_str()));
                    if has_kinds {
                        self.helpers.shared.insert("_method");
                    }
                    (if has_kinds { "_method" } else { "input.mcp.method" }, None)
                }
                "subjects" => ("input.identity.subject", None),
                "clients" => ("input.identity.client_id", None),
                "issuers" => ("input.identity.issuer", None),
                "tenants" => ("input.identity.tenant", None),
                "principals" => ("input.http.source.principal", None),
                "roles" => ("input.identity.roles", Some("role")),
                "groups" => ("input.identity.groups", Some("group")),
                _ => continue,
            };
            match (many, texts) {
                (Some(_), [text]) if !text.contains('*') => self.add(format!("{} in {value}", quoted(text))),
                (Some(one), texts) => {
                    self.add(format!("some {one} in {value}"));
                    self.text(one, texts, key);
                }
                (None, texts) => self.text(value, texts, key),
            }
        }
        if let Some(scopes) = part.scopes.as_ref().filter(|_| self.purpose.held) {
            let line = scopes_line(scopes);
            self.add(line);
        }
        if let Some(login) = part.login.as_ref().filter(|_| self.purpose.held) {
            self.lines.extend(login_lines(login));
        }
    }

    fn conditions(&mut self, part: &MatchConfig) {
        for (key, conditions) in part.conditions() {
            let (path, safe) = match key {
                "claims" => ("input.identity.claims", r#"object.get(input, ["identity", "claims"], {})"#),
                "annotations" => ("input.tool.annotations", r#"object.get(input, ["tool", "annotations"], {})"#),
                _ if !self.purpose.arguments => continue,
                _ => ("input.mcp.arguments", r#"object.get(input, ["mcp", "arguments"], {})"#),
            };
            self.members(path, safe, conditions);
        }
    }

    fn surroundings(&mut self, part: &MatchConfig) {
        if let Some(sources) = &part.sources {
            self.helpers.shared.insert("_address");
            match sources.as_slice() {
                networks if !self.purpose.all => {
                    self.helpers.shared.insert("_may_be_from");
                    self.add(format!("_may_be_from({})", set(networks.iter().map(|network| quoted(network)))));
                }
                [network] => self.add(format!("net.cidr_contains({}, _address)", quoted(network))),
                networks => {
                    self.add(format!("some network in {}", set(networks.iter().map(|network| quoted(network)))));
                    self.add("net.cidr_contains(network, _address)");
                }
            }
        }
        if let Some(TimeConfig { days, hours }) = &part.time {
            if let Some(days) = days {
                self.helpers.shared.insert("_day");
                self.add(format!("_day in {}", set(days.iter().map(|day| quoted(day)))));
            }
            let hours = hours.iter().flatten().filter_map(|hours| hours.split_once('-'));
            let hours: Vec<Vec<String>> = hours
                .map(|(from, to)| vec![format!("_clock >= {}", quoted(from)), format!("_clock < {}", quoted(to))])
                .collect();
            if !hours.is_empty() {
                self.helpers.shared.insert("_clock");
            }
            match hours.as_slice() {
                [lines] => self.lines.extend(lines.iter().cloned()),
                [] => {}
                several => {
                    let name = self.helper("hours");
                    self.helpers.rules.extend(several.iter().map(|lines| clause(&name, lines)));
                    self.add(name);
                }
            }
        }
    }

    /// Helpers of the same name would be alternatives.
    fn helper(&mut self, key: &str) -> String {
        format!("_{key}_{}_{}", self.purpose.at, self.helpers.rules.len())
    }

    /// A text is one of these, or like one of these.
    fn text(&mut self, value: &str, texts: &[String], key: &str) {
        let (globs, exact): (Vec<&String>, Vec<&String>) = texts.iter().partition(|text| text.contains('*'));
        match (exact.as_slice(), globs.as_slice()) {
            ([_, ..], []) => self.add(one_of(value, exact.iter().map(|text| quoted(text)).collect())),
            ([], [glob]) => self.add(like(value, glob)),
            _ => {
                let name = self.helper(key);
                let head = format!("{name}(text)");
                let exact =
                    (!exact.is_empty()).then(|| one_of("text", exact.iter().map(|text| quoted(text)).collect()));
                let lines = exact.into_iter().chain(globs.iter().map(|glob| like("text", glob)));
                self.helpers.rules.extend(lines.map(|line| clause(&head, &[line])));
                self.add(format!("{name}({value})"));
            }
        }
    }

    fn within(&mut self, fill: impl FnOnce(&mut Self)) -> Vec<String> {
        let outer = std::mem::take(&mut self.lines);
        fill(self);
        std::mem::replace(&mut self.lines, outer)
    }

    fn every(&mut self, variable: &str, value: &str, lines: &[String]) {
        match lines {
            [line] if !line.contains('\n') => self.add(format!("every {variable} in {value} {{ {line} }}")),
            lines => self.add(format!("every {variable} in {value} {}", block(lines))),
        }
    }

    /// Conditions on members of an object; `safe` is the object where it may be missing.
    fn members(&mut self, path: &str, safe: &str, conditions: &Conditions) {
        for (name, condition) in conditions {
            match condition.get("absent") {
                Some(_) => self.add(format!("not {} in object.keys({safe})", quoted(name))),
                None => self.meets(&member(path, name), condition),
            }
        }
    }

    fn meets(&mut self, value: &str, condition: &Value) {
        let condition = match condition {
            Value::Array(values) => return self.add(one_of(value, values.iter().map(literal).collect())),
            Value::Object(_) => serde_json::from_value::<ConditionConfig>(condition.clone()),
            scalar => return self.add(one_of(value, vec![literal(scalar)])),
        };
        // It was read before.
        let Ok(condition) = condition else { return self.add("false") };
        if let Some(equal) = &condition.equals {
            self.add(one_of(value, vec![literal(equal)]));
        }
        if let Some(values) = &condition.r#in {
            self.add(one_of(value, values.iter().map(literal).collect()));
        }
        if condition.absent.is_some() {
            self.add("false");
        }
        if condition.prefix.is_some() || condition.glob.is_some() {
            self.add(format!("is_string({value})"));
        }
        if let Some(prefix) = &condition.prefix {
            self.add(format!("startswith({value}, {})", quoted(prefix)));
        }
        match &condition.glob {
            Some(glob) if glob.contains('*') => self.add(like(value, glob)),
            Some(text) => self.add(one_of(value, vec![quoted(text)])),
            None => {}
        }
        if condition.min.is_some() || condition.max.is_some() {
            self.add(format!("is_number({value})"));
            self.lines.extend(condition.min.map(|min| format!("{value} >= {min}")));
            self.lines.extend(condition.max.map(|max| format!("{value} <= {max}")));
        }
        if let Some(SizeConfig { min, max }) = condition.size {
            for (function, bound) in [("_is_at_least", min), ("_is_at_most", max)] {
                let Some(bound) = bound else { continue };
                self.helpers.shared.insert(function);
                self.add(format!("{function}({value}, {bound})"));
            }
        }
        if let Some(inner) = &condition.each {
            let item = self.variable();
            self.add(format!("is_array({value})"));
            let lines = self.within(|body| body.meets(&item, inner));
            self.every(&item, value, &lines);
        }
        if let Some(inner) = &condition.any {
            let item = self.variable();
            self.add(format!("is_array({value})"));
            self.add(format!("some {item} in {value}"));
            self.meets(&item, inner);
        }
        if let Some(members) = &condition.members {
            self.add(format!("is_object({value})"));
            self.members(value, value, members);
        }
    }

    fn variable(&mut self) -> String {
        self.variables = self.variables.saturating_add(1);
        if self.variables == 1 { "item".into() } else { format!("item_{}", self.variables) }
    }
}

/// Does the caller have all of these?
pub(super) fn scopes_line(scopes: &[String]) -> String {
    match scopes {
        [scope] => format!("{} in input.identity.scopes", quoted(scope)),
        scopes => {
            let scopes = set(scopes.iter().map(|scope| quoted(scope)));
            format!("every scope in {scopes} {{ scope in input.identity.scopes }}")
        }
    }
}

/// Is the login as it has to be?
pub(super) fn login_lines(login: &LoginConfig) -> Vec<String> {
    let claims = "input.identity.claims";
    let age = login.max_age.map(|age| {
        [format!("is_number({claims}.auth_time)"), format!("input.time.unix - {claims}.auth_time <= {age}")]
    });
    let acr =
        login.acr.as_ref().map(|acr| one_of(&format!("{claims}.acr"), acr.iter().map(|acr| quoted(acr)).collect()));
    age.into_iter().flatten().chain(acr).collect()
}

fn one_of(value: &str, literals: Vec<String>) -> String {
    match literals.as_slice() {
        [one, others @ ..] if others.iter().all(|other| other == one) => format!("{value} == {one}"),
        _ => format!("{value} in {}", set(literals.into_iter())),
    }
}

/// On one line, or, where that would be long, on a line for each.
pub(super) fn set(literals: impl Iterator<Item = String>) -> String {
    let mut known = BTreeSet::new();
    let literals: Vec<String> = literals.filter(|literal| known.insert(literal.clone())).collect();
    let line = literals.join(", ");
    if line.len() <= 100 { format!("{{{line}}}") } else { format!("{{\n\t{},\n}}", literals.join(",\n\t")) }
}

/// One star at an end is a builtin, any other a regular expression.
fn like(value: &str, glob: &str) -> String {
    let parts: Vec<&str> = glob.split('*').collect();
    match parts.as_slice() {
        ["", ""] => format!("is_string({value})"),
        [start, ""] => format!("startswith({value}, {})", quoted(start)),
        ["", end] => format!("endswith({value}, {})", quoted(end)),
        parts => {
            let parts: Vec<String> = parts.iter().map(|part| escaped(part)).collect();
            let regex = format!("(?s)^{}$", parts.join(".*"));
            let is_plain = !regex.contains('`') && regex.chars().all(is_visible);
            let regex = if is_plain { format!("`{regex}`") } else { quoted(&regex) };
            format!("regex.match({regex}, {value})")
        }
    }
}

fn escaped(text: &str) -> String {
    let escape = |c: char| if r"\.+?()|[]{}^$".contains(c) { format!("\\{c}") } else { c.into() };
    text.chars().map(escape).collect()
}

pub(super) fn is_visible(c: char) -> bool {
    c.is_alphanumeric() || c.is_ascii_graphic() || c == ' '
}

pub(super) fn quoted(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    let mut units = [0_u16; 2];
    let mut escape = |c: char| match is_visible(c) {
        true => c.to_string(),
        false => c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
    };
    quoted.chars().map(&mut escape).collect()
}

fn literal(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Array(items) => format!("[{}]", items.iter().map(literal).collect::<Vec<_>>().join(", ")),
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| format!("{}: {}", quoted(name), literal(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
        }
        value => value.to_string(),
    }
}

/// A member of what a path leads to.
fn member(path: &str, name: &str) -> String {
    const KEYWORDS: [&str; 18] = [
        "as", "contains", "data", "default", "else", "every", "false", "if", "import", "in", "input", "not", "null",
        "package", "set", "some", "true", "with",
    ];
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !KEYWORDS.contains(&name);
    if is_name { format!("{path}.{name}") } else { format!("{path}[{}]", quoted(name)) }
}
