//! A policy in two parts: what can be said before a call's arguments are looked at, and the rest.
//!
//! OPA calls it partial evaluation, what is not looked at yet its unknowns, and what is left a
//! residual policy. The unit here is a rule: one that reads nothing unknown, by whatever way, has
//! one value for all calls of one asker to one name, and in the residual policy that value stands
//! in its place. Functions are no values and stay.

use std::collections::{BTreeMap, BTreeSet};

use regorus::unstable::{Module, Ref, Rule};

use super::constants::is_identifier;
use super::contract::PACKAGE;
use super::program::Node;
use super::syntax::path;
use super::visits::Visits;
use super::{Bundle, Kind, reachable};

/// The input that is looked at first: what a key is made of that many calls have in common. All
/// else is unknown.
const KNOWN_INPUT: [&[&str]; 15] = [
    &["identity"],
    &["resource"],
    &["version"],
    &["tool"],
    &["mcp", "era"],
    &["mcp", "version"],
    &["mcp", "kind"],
    &["mcp", "method"],
    &["mcp", "name"],
    &["mcp", "uri"],
    &["mcp", "uris"],
    &["mcp", "task"],
    &["mcp", "tasks"],
    &["mcp", "retry"],
    &["mcp", "level"],
];

/// The member of `input` in which the residual policy finds the values of known rules, by their
/// paths. The contract has none of this name, so no policy asks for it.
pub(crate) const KNOWN: &str = "known";

/// The rule that gives what is known.
pub(crate) const VALUES: &str = "values";

/// A policy that was analysed, in two parts.
#[derive(Debug)]
pub(crate) struct Split {
    /// The rules that are known before the unknowns are: their paths, without `data`.
    pub(crate) known: BTreeSet<String>,
    /// The paths of `input` that they read.
    pub(crate) reads: BTreeSet<Vec<String>>,
    /// A package that no module has or names.
    pub(crate) package: String,
    /// Its one module, whose rule [`VALUES`] gives those that have a value, each as
    /// `[path, value]`. It goes with the policy as it was.
    pub(crate) values: String,
    /// The residual policy, as texts of modules.
    pub(crate) residual: Vec<String>,
}

impl Bundle<'_> {
    /// The two parts of a policy, as far as `asked` are about it, rules of `mcp.authz`. None where
    /// one of them would be empty, and where some rule sees the input as a whole, or spells a name by
    /// numbers of characters.
    ///
    /// INVARIANT: what is known is evaluated whether or not the rest comes to it, so this is for
    /// policies of which [`Bundle::judge`] says that nothing in them fails.
    pub(crate) fn split(&self, asked: &[&str]) -> Option<Split> {
        let Self { modules, program, visits, .. } = self;
        let reads_all = visits.reads.values().flatten().any(Vec::is_empty);
        let is_spelt = modules.iter().any(|module| module.package.span.source.get_contents().contains("\\u"));
        if reads_all || is_spelt {
            return None;
        }
        let unknown = unknown(visits);
        let is_function = |node: usize| program.nodes.get(node).is_some_and(|node| node.kind == Kind::Function);
        let stays = |node: usize| unknown.contains(&node) || is_function(node);
        let rules = asked.iter().map(|rule| path([PACKAGE[0], PACKAGE[1], rule]));
        let asked = rules.flat_map(|rule| program.under(&rule).collect::<Vec<_>>()).collect();
        // What a known rule asks for is no business of the residual policy.
        let met = reachable(asked, |node| if stays(node) { visits.callees(node) } else { Vec::new() });
        let (stay, known): (BTreeSet<usize>, BTreeSet<usize>) = met.into_iter().partition(|node| stays(*node));
        if known.is_empty() || stay.is_disjoint(&unknown) {
            return None;
        }
        let read_by = reachable(known.iter().copied().collect(), |node| visits.callees(node));
        let reads = read_by.iter().filter_map(|node| visits.reads.get(node)).flatten().cloned().collect();
        let nodes = |indexes: &BTreeSet<usize>| -> Vec<&Node<'_>> {
            indexes.iter().filter_map(|index| program.nodes.get(*index)).collect()
        };
        let (known, stay) = (nodes(&known), nodes(&stay));
        // Of a partial object a part would be missing.
        let is_whole = |node: &&Node<'_>| {
            node.kind != Kind::Object
                && node.path.len() == node.package.saturating_add(1)
                && node.path.iter().all(|part| is_identifier(part))
        };
        if !known.iter().chain(&stay).all(is_whole) {
            return None;
        }
        let package = unnamed(modules);
        let mut residual = stand_ins(&known, &stay);
        let clauses = stay.iter().flat_map(|node| &node.clauses).map(|(_, rule)| std::ptr::from_ref(*rule)).collect();
        for module in *modules {
            residual.extend(residual_text(module, &clauses)?);
        }
        let values = values(&package, &known);
        Some(Split { known: known.iter().map(|node| node.path.join(".")).collect(), reads, package, values, residual })
    }
}

/// The rules that read something unknown, by whatever way.
fn unknown(visits: &Visits) -> BTreeSet<usize> {
    let is_known = |path: &Vec<String>| {
        KNOWN_INPUT.iter().any(|known| path.len() >= known.len() && path.iter().zip(*known).all(|(a, b)| a == b))
    };
    let readers = visits.reads.iter().filter(|(_, paths)| !paths.iter().all(is_known)).map(|(node, _)| *node);
    reachable(readers.collect(), |node| visits.callers(node))
}

/// A name that stands in no module: whoever wrote it would see what is here.
fn unnamed(modules: &[Ref<Module>]) -> String {
    let mut name = "mcp_gate_known".to_owned();
    while modules.iter().any(|module| module.package.span.source.get_contents().contains(&name)) {
        name.push('_');
    }
    name
}

/// The module that gives what is known.
fn values(package: &str, known: &[&Node<'_>]) -> String {
    let mut module = format!("package {package}\n");
    for node in known {
        let rule = node.path.join(".");
        // Of each value there is, a type has a name, of `false` too.
        module.push_str(&format!("{VALUES} contains [\"{rule}\", data.{rule}] if type_name(data.{rule})\n"));
    }
    module
}

/// What stands in the place of rules that are known, a module for each package.
fn stand_ins(known: &[&Node<'_>], stay: &[&Node<'_>]) -> Vec<String> {
    let mut packages = BTreeMap::<String, String>::new();
    let mut add = |node: &Node<'_>, what: String| {
        let (package, name) = node.path.split_at(node.package);
        let module = packages.entry(package.join(".")).or_insert_with_key(|package| format!("package {package}\n"));
        module.push_str(&format!("{}{what}\n", name.concat()));
    };
    for node in known {
        add(node, format!(" := input.{KNOWN}[\"{}\"]", node.path.join(".")));
    }
    // A function that is called has to be there, even if it never has a value.
    for node in stay.iter().filter(|node| node.clauses.is_empty()) {
        let parameters: Vec<String> = (0..node.arity).map(|position| format!("x{position}")).collect();
        add(node, format!("({}) if false", parameters.join(", ")));
    }
    packages.into_values().collect()
}

/// What is left of a module, or nothing; None if its text is not what its tree says.
fn residual_text(module: &Module, stay: &BTreeSet<*const Rule>) -> Option<Option<String>> {
    let text = module.package.span.source.get_contents();
    let start = |rule: &Ref<Rule>| {
        let (Rule::Spec { span, .. } | Rule::Default { span, .. }) = rule.as_ref();
        usize::try_from(span.start).ok()
    };
    let starts: Vec<usize> = module.policy.iter().map(start).collect::<Option<_>>()?;
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    let mut left = text.get(..*starts.first().unwrap_or(&0))?.to_owned();
    let mut is_empty = true;
    for ((rule, from), to) in module.policy.iter().zip(&starts).zip(ends) {
        // Whatever stands behind a clause and before the next is a comment.
        let clause = text.get(*from..to)?;
        if stay.contains(&std::ptr::from_ref(rule.as_ref())) {
            left.push_str(clause);
            is_empty = false;
        }
    }
    Some((!is_empty).then_some(left))
}

#[cfg(test)]
mod tests {
    use regorus::Engine;
    use serde_json::json;

    use super::*;
    use crate::rego::input;

    fn parts(modules: &[&str], data: serde_json::Value) -> Option<Split> {
        let mut engine = Engine::new();
        for (number, text) in modules.iter().enumerate() {
            engine.add_policy(format!("{number}.rego"), (*text).to_owned()).unwrap();
        }
        Bundle::new(engine.get_modules(), &data.into()).split(&["deny", "allow"])
    }

    fn known(rules: &str, data: serde_json::Value) -> Vec<String> {
        let parts = parts(&[&format!("package mcp.authz\n{rules}\n")], data);
        parts.map(|parts| parts.known.into_iter().collect()).unwrap_or_default()
    }

    #[test]
    fn clauses_stay_as_they_are_written_and_values_take_the_place_of_rules() {
        let authz = "# about \"it\"\npackage mcp.authz\n\nimport data.lib\n\ndefault allow := false\n\n\
            allow if { lib.may; input.mcp.arguments.n < 3 } # é\n\n\
            allow if f(input.mcp.arguments.m) == \"\\\"}\"\n\n\
            deny contains \"last\"\n\n\
            unused := input.mcp.arguments.z\n\n\
            allow if { data.never; input.mcp.arguments.x }\n\n\
            f(x) := y if { y := x } else := data.lib.name\n\n\
            never(x, y) if { data.never; x == y }\n\nallow if { never(1, 2); input.time.unix == 1 }\n";
        let lib = "package lib\nmay if \"a\" in input.identity.roles\nname := input.mcp.name\nother if may";
        let parts = parts(&[authz, lib], json!({})).unwrap();
        let rest = "# about \"it\"\npackage mcp.authz\n\nimport data.lib\n\ndefault allow := false\n\n\
            allow if { lib.may; input.mcp.arguments.n < 3 } # é\n\n\
            allow if f(input.mcp.arguments.m) == \"\\\"}\"\n\n\
            f(x) := y if { y := x } else := data.lib.name\n\nallow if { never(1, 2); input.time.unix == 1 }\n";
        assert_eq!(parts.known.iter().collect::<Vec<_>>(), ["lib.may", "lib.name", "mcp.authz.deny"]);
        assert_eq!(
            parts.residual,
            [
                "package lib\nmay := input.known[\"lib.may\"]\nname := input.known[\"lib.name\"]\n",
                "package mcp.authz\ndeny := input.known[\"mcp.authz.deny\"]\nnever(x0, x1) if false\n",
                rest
            ]
        );
        let values = "package mcp_gate_known\n\
            values contains [\"mcp.authz.deny\", data.mcp.authz.deny] if type_name(data.mcp.authz.deny)\n\
            values contains [\"lib.may\", data.lib.may] if type_name(data.lib.may)\n\
            values contains [\"lib.name\", data.lib.name] if type_name(data.lib.name)\n";
        assert_eq!(parts.values, values);
        let reads: Vec<String> = parts.reads.iter().map(|path| path.join(".")).collect();
        assert_eq!(reads, ["identity.roles", "mcp.name"]);
    }

    #[test]
    fn what_reads_arguments_by_whatever_way_is_not_known() {
        for (path, is_known) in [
            ("identity.claims.a.b", true),
            ("identity[x]", true),
            ("resource", true),
            ("tool.annotations.readOnlyHint", true),
            ("mcp.method", true),
            ("mcp.uri", true),
            ("mcp.arguments.a", false),
            ("mcp.cursor", false),
            ("mcp[x]", false),
            ("mcp", false),
            ("time.unix", false),
            ("http.source.address", false),
            ("http.headers.a", false),
        ] {
            for rules in [
                "h if { x := \"a\"; input.PATH; x }",
                "h if g\ng if { x := \"a\"; input.PATH; x }",
                "h if f(1)\nf(x) if input.PATH == x",
                "h := {y | x := \"a\"; y := input.PATH; x}",
                "h if data.mcp.authz.g.a\ng.a if { x := \"a\"; input.PATH; x }",
            ] {
                let rules = rules.replace("PATH", path);
                let known = known(&format!("{rules}\ndeny contains \"a\" if {{ h; input.time.unix }}"), json!({}));
                let expected: &[&str] = if is_known { &["mcp.authz.h"] } else { &[] };
                assert_eq!(known, expected, "{rules}");
            }
        }
    }

    #[test]
    fn there_are_two_parts_or_none() {
        for (rules, expected) in [
            ("allow if { h; input.mcp.arguments.a }\nh if input.mcp.name", vec!["mcp.authz.h"]),
            ("allow if { input.mcp.arguments.a; h }\nh if data.never", vec!["mcp.authz.h"]),
            ("allow if { h; input.mcp.arguments.a }\nh if data.never", vec![]),
            // Nobody asks for what is known here.
            ("allow if { input.mcp.name; input.mcp.arguments.a }\nh if input.mcp.name", vec![]),
            ("allow if { h; input.mcp.name }\nh if input.mcp.name", vec![]),
            ("allow if { f(1); input.mcp.arguments.a }\nf(x) if x == input.mcp.name", vec![]),
            (
                "allow if { h; g(1, 2); input.mcp.arguments.a }\nh if input.mcp.name\ng(a, b) if { data.never; a == b }",
                vec!["mcp.authz.h"],
            ),
            ("allow if { h.a; input.mcp.arguments.a }\nh[name] := 1 if name := input.mcp.name", vec![]),
        ] {
            assert_eq!(known(rules, json!({})), expected, "{rules}");
        }
    }

    #[test]
    fn nobody_sees_what_is_known() {
        let authz = "package mcp.authz\nallow if { h; input.mcp.arguments.a }\nh if input.mcp.name\n";
        let package = |more: &str| parts(&[&format!("{authz}{more}")], json!({})).unwrap().package;
        assert_eq!(package(""), "mcp_gate_known");
        assert_eq!(package("allow if { h; input.mcp.arguments.b; data.mcp_gate_known }"), "mcp_gate_known_");
        assert_eq!(package("# mcp_gate_known_ or mcp_gate_known__"), "mcp_gate_known___");
        assert!(
            parts(&[&format!("{authz}deny contains \"a\" if data[\"mcp\\u005fgate_known\"]")], json!({})).is_none()
        );
        assert!(!input::has(&path([KNOWN])));
        assert!(KNOWN_INPUT.iter().all(|known| input::has(&path(known.iter().copied()))));
    }
}
