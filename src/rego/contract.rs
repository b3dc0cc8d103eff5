//! What the contract of `mcp.authz` asks of the rules: that they are there, of their kind, and asked for.

use std::collections::{BTreeMap, BTreeSet};

use regorus::Value;
use regorus::unstable::{Expr, Module, Ref, Rule, RuleHead, Span};

use super::builtins::text;
use super::program::{Node, Program};
use super::syntax::{anchor, is_literal, path, static_path};
use super::visits::Visits;
use super::{Kind, Refusal, reachable};
use crate::token::is_scope;

/// The package the gate asks, and the rules it asks for.
pub(super) const PACKAGE: [&str; 2] = ["mcp", "authz"];
#[rustfmt::skip]
pub(super) const CONTRACT: [(&str, &[Kind], &str); 6] = [
    ("allow",   &[Kind::Complete],               "a boolean: `allow if { ... }`"),
    ("deny",    &[Kind::Set, Kind::Complete],    "a set of strings: `deny contains \"reason\" if { ... }`"),
    ("mask",    &[Kind::Set, Kind::Complete],    "a set of JSON pointers: `mask contains \"/a\"`"),
    ("scopes",  &[Kind::Set, Kind::Complete],    "a set of scopes, each a string: `scopes contains \"mcp:write\" if { ... }`"),
    ("step_up", &[Kind::Complete, Kind::Object], "an object of `max_age`, in seconds, and `acr_values`, a list: `step_up := {\"max_age\": 300} if { ... }`"),
    ("visible", &[Kind::Complete],               "a boolean: `visible if { ... }`"),
];

impl<'m> Program<'m> {
    /// What stands in `data.mcp.authz`, whatever package put it there, by its name.
    fn contract(&self) -> impl Iterator<Item = (&str, &Node<'m>)> {
        let of_package = self.nodes.iter().filter(|node| node.path.starts_with(&path(PACKAGE)));
        of_package.filter_map(|node| Some((node.path.get(PACKAGE.len())?.as_str(), node)))
    }

    pub(super) fn rules_of_contract(&self) -> BTreeMap<String, Kind> {
        let alive = self.contract().filter(|(_, node)| !node.clauses.is_empty());
        alive.map(|(name, node)| (name.to_owned(), node.kind_of_first())).collect()
    }

    pub(super) fn check_contract(&mut self, modules: &'m [Ref<Module>]) {
        let mut refusals = Vec::new();
        let package = modules.iter().find(|module| static_path(&module.package.refr).0 == path(PACKAGE));
        match package {
            None => {
                let span = modules.first().map(|module| &module.package.span);
                let reason = "no module has `package mcp.authz`; the gate asks that package";
                refusals.push(span.map_or_else(
                    || Refusal { file: "policy.modules".to_owned(), line: 1, column: 1, reason: reason.to_owned() },
                    |span| Refusal::new(span, reason),
                ));
            }
            Some(module) if !self.contract().any(|(name, _)| name == "allow") => {
                refusals.push(Refusal::new(&module.package.span, "package mcp.authz has no rule `allow`; nothing would be allowed, write `default allow := false` and `allow if { ... }`"));
            }
            Some(_) => {}
        }
        for (name, node) in self.contract() {
            let Some((_, kinds, shape)) = CONTRACT.iter().find(|(contract, ..)| *contract == name) else {
                continue;
            };
            if node.package != PACKAGE.len() {
                refusals.push(Refusal::new(
                    node.span,
                    format!("`{name}` of `mcp.authz` from another package; write it under `package mcp.authz`"),
                ));
            }
            if !kinds.contains(&node.kind_of_first()) {
                refusals.push(Refusal::new(node.span, format!("`{name}` must be {shape}")));
            }
            for (_, rule) in &node.clauses {
                if let Rule::Default { value, .. } = rule
                    && name == "allow"
                    && !matches!(value.as_ref(), Expr::Bool { value: Value::Bool(false), .. })
                {
                    refusals.push(Refusal::new(
                        value.span(),
                        "the default of `allow` must be `false`; anything else allows what no rule has looked at",
                    ));
                }
                // `step_up.max_age := 300` gives a member.
                if node.path.len() == PACKAGE.len() + 1 {
                    let wrong = wrong_value(name, rule);
                    refusals.extend(wrong.map(|span| Refusal::new(span, format!("`{name}` must be {shape}"))));
                }
            }
        }
        self.refusals.append(&mut refusals);
    }

    /// Rules of `mcp.authz` that nobody asks for, as a `denies` is.
    pub(super) fn unasked(&self, visits: &Visits) -> Vec<Refusal> {
        let rules = CONTRACT.iter().flat_map(|(name, ..)| self.below(&path([PACKAGE[0], PACKAGE[1], name])));
        let asked = reachable(rules.collect(), |node| visits.callees(node));
        let contract = CONTRACT.map(|(name, ..)| format!("`{name}`")).join(", ");
        let refusal = |(index, node): (usize, &Node<'m>)| {
            let name = node.path.strip_prefix(path(PACKAGE).as_slice())?.join(".");
            let is_idle = node.package == PACKAGE.len() && node.kind != Kind::Function && !asked.contains(&index);
            let reason = || {
                format!(
                    "nothing asks for `{name}`, neither the gate, which asks for {contract}, nor one of these; spell it like one, \
                     or take it out"
                )
            };
            is_idle.then(|| Refusal::new(node.span, reason()))
        };
        let rules = self.nodes.iter().enumerate().filter_map(refusal);
        let package = |node: &Node<'m>| node.path.get(..node.package).map(<[String]>::to_vec).unwrap_or_default();
        let mut met: BTreeSet<Vec<String>> =
            asked.iter().filter_map(|index| self.nodes.get(*index)).map(package).collect();
        // A library may have what nobody asks; what is called `deny` is meant for the gate.
        let is_meant = |node: &&Node<'m>| {
            let name = node.path.get(node.package);
            CONTRACT.iter().any(|(contract, ..)| name.is_some_and(|name| name == contract))
        };
        let whole = self.nodes.iter().filter(is_meant).filter(|node| met.insert(package(node)));
        let reason = |node: &Node<'m>| {
            format!(
                "nothing asks for a rule of package `{}`; ask one in `mcp.authz`, or take the module out",
                package(node).join(".")
            )
        };
        rules.chain(whole.map(|node| Refusal::new(node.span, reason(node))).collect::<Vec<_>>()).collect()
    }
}

impl Node<'_> {
    /// `step_up.max_age := 300` makes an object of `step_up`.
    fn kind_of_first(&self) -> Kind {
        if self.path.len() > self.package + 1 { Kind::Object } else { self.kind }
    }
}

/// Where a clause of a rule of the contract says in so many words what that rule may not be.
fn wrong_value<'r>(name: &str, rule: &'r Rule) -> Option<&'r Span> {
    let is_sound = |value: &Expr| match (name, value) {
        ("allow" | "visible", Expr::Bool { .. }) => true,
        ("step_up", Expr::Object { fields, .. }) => {
            !fields.is_empty() && fields.iter().all(|(_, key, value)| is_login(key, value))
        }
        ("scopes", Expr::Set { items, .. }) => {
            items.iter().all(|item| !is_literal(item) || text(item).is_some_and(is_scope))
        }
        ("allow" | "visible" | "step_up", _) => false,
        (_, value) => matches!(value, Expr::Set { .. }),
    };
    let wrong = |value: &&'r Expr| is_literal(value) && !is_sound(value);
    match rule {
        Rule::Default { value, .. } => Some(value.as_ref()).filter(|_| name != "allow").filter(wrong).map(Expr::span),
        Rule::Spec { head: RuleHead::Set { key: Some(key), .. }, .. } => {
            let is_sound = |text: &str| name != "scopes" || is_scope(text);
            (is_literal(key) && !text(key).is_some_and(is_sound)).then(|| key.span())
        }
        // Without a value it is true.
        Rule::Spec { head: RuleHead::Compr { refr, assign: None, .. }, .. } if !matches!(name, "allow" | "visible") => {
            Some(anchor(refr))
        }
        Rule::Spec { .. } => values(rule).find(wrong).map(Expr::span),
    }
}

/// May a login be asked for so, as far as that is written out?
fn is_login(key: &Expr, value: &Expr) -> bool {
    match text(key) {
        Some("max_age") => match value {
            Expr::Number { value, .. } => value.as_u64().is_ok_and(|seconds| seconds > 0),
            value => !is_literal(value),
        },
        Some("acr_values") => match value {
            Expr::Array { items, .. } => {
                !items.is_empty() && items.iter().all(|item| !is_literal(item) || text(item).is_some_and(is_scope))
            }
            value => !is_literal(value),
        },
        Some(_) => false,
        None => !is_literal(key),
    }
}

/// The values that the clauses of a rule give it.
fn values(rule: &Rule) -> impl Iterator<Item = &Expr> {
    let (head, bodies) = match rule {
        Rule::Spec { head: RuleHead::Compr { assign, .. }, bodies, .. } => (assign.as_ref(), bodies.as_slice()),
        _ => (None, [].as_slice()),
    };
    let own = bodies.iter().filter_map(|body| body.assign.as_ref());
    head.into_iter().chain(own).map(|assign| assign.value.as_ref())
}
