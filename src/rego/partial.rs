//! A policy in two parts: what can be said before a call's arguments are looked at, and the rest.
//!
//! OPA calls it partial evaluation, what is not looked at yet its unknowns, and what is left a
//! residual policy. The unit here is a rule: one that reads nothing unknown, by whatever way, has
//! one value for all calls of one asker to one name, and in the residual policy that value stands
//! in its place. Functions are no values and stay.

use std::collections::{BTreeMap, BTreeSet};

use regorus::Value;
use regorus::unstable::{Module, Ref, Rule};

use super::constants::is_identifier;
use super::program::{Node, PACKAGE, Program};
use super::syntax::path;
use super::visitor::Visits;
use super::{Bundle, Kind, reachable};

/// What a key of few bytes holds, and many calls have in common. All else of the input is unknown.
const KNOWN: [&[&str]; 12] = [
    &["identity"],
    &["resource"],
    &["version"],
    &["tool"],
    &["mcp", "era"],
    &["mcp", "kind"],
    &["mcp", "method"],
    &["mcp", "name"],
    &["mcp", "uri"],
    &["mcp", "uris"],
    &["mcp", "task"],
    &["mcp", "tasks"],
];

/// A policy that was analysed, in two parts.
#[derive(Debug)]
pub struct Partial {
    /// The rules that are known before the unknowns are, as paths without `data`.
    pub known: Vec<Vec<String>>,
    /// The paths of `input` that they read.
    pub reads: BTreeSet<Vec<String>>,
    /// Where the residual policy finds their values: a member of `data` that nobody else has, and
    /// in it the [`key`] of each.
    pub place: String,
    /// A module of package `place`, whose rule [`VALUES`] gives those that have a value, each as
    /// `[key, value]`. It goes with the policy as it was.
    pub values: String,
    /// The residual policy, as texts of modules.
    pub residual: Vec<String>,
}

/// The rule that gives what is known.
pub const VALUES: &str = "values";

/// What the value of a known rule is kept under, by its position.
pub fn key(position: usize) -> String {
    position.to_string()
}

impl Bundle<'_> {
    /// The two parts of a policy, as far as `asked` are about it, rules of `mcp.authz`. None where
    /// one of them would be empty, and where some rule sees another `input` or `data` than the
    /// question's.
    pub(crate) fn partial(&self, asked: &[&str]) -> Option<Partial> {
        let Self { modules, data, program, visits } = self;
        if visits.replaces {
            return None;
        }
        let unknown = unknown(visits);
        let asked =
            asked.iter().flat_map(|rule| program.under(&path([PACKAGE[0], PACKAGE[1], rule])).collect::<Vec<_>>());
        let callees = |node| visits.edges.get(&node).into_iter().flat_map(BTreeMap::keys).copied().collect::<Vec<_>>();
        let is_function = |node: usize| program.nodes.get(node).is_some_and(|node| node.kind == Kind::Function);
        let stays = |node: usize| unknown.contains(&node) || is_function(node);
        // What a known rule asks for is no business of the residual policy.
        let met = reachable(asked.collect(), |node| if stays(node) { callees(node) } else { Vec::new() });
        let (stay, known): (BTreeSet<usize>, BTreeSet<usize>) = met.into_iter().partition(|node| stays(*node));
        if known.is_empty() || stay.is_disjoint(&unknown) {
            return None;
        }
        let read_by = reachable(known.iter().copied().collect(), callees);
        let reads = read_by.iter().filter_map(|node| visits.reads.get(node)).flatten().cloned().collect();
        let nodes =
            |of: &BTreeSet<usize>| of.iter().filter_map(|node| program.nodes.get(*node)).collect::<Vec<&Node<'_>>>();
        let (known, stay) = (nodes(&known), nodes(&stay));
        // Of a partial object a part would be missing.
        let is_plain = |node: &&Node<'_>| {
            node.kind != Kind::Object
                && node.path.len() == node.package.saturating_add(1)
                && node.path.iter().all(|part| is_identifier(part))
        };
        if !known.iter().chain(&stay).all(is_plain) {
            return None;
        }
        let place = place(program, data);
        let (values, mut residual) = stand_ins(&place, &known, &stay);
        let clauses = stay.iter().flat_map(|node| &node.clauses).map(|(_, rule)| std::ptr::from_ref(*rule)).collect();
        for module in *modules {
            residual.extend(rest(module, &clauses)?);
        }
        Some(Partial { known: known.iter().map(|node| node.path.clone()).collect(), reads, place, values, residual })
    }
}

/// The module that gives what is known, and those that take it from `place`, a package each.
fn stand_ins(place: &str, known: &[&Node<'_>], stay: &[&Node<'_>]) -> (String, Vec<String>) {
    let mut values = format!("package {place}\n");
    let mut packages = BTreeMap::<String, String>::new();
    let mut add = |node: &Node<'_>, what: String| {
        let (package, name) = node.path.split_at(node.package);
        let module = packages.entry(package.join(".")).or_insert_with_key(|package| format!("package {package}\n"));
        module.push_str(&format!("{}{what}\n", name.concat()));
    };
    for (position, node) in known.iter().enumerate() {
        let (key, rule) = (key(position), format!("data.{}", node.path.join(".")));
        values.push_str(&format!("{VALUES} contains [\"{key}\", {rule}] if type_name({rule})\n"));
        add(node, format!(" := data.{place}[\"{key}\"]"));
    }
    // A function that is called has to be there, even if it never has a value.
    for node in stay.iter().filter(|node| node.clauses.is_empty()) {
        let parameters: Vec<String> = (0..node.arity).map(|position| format!("x{position}")).collect();
        add(node, format!("({}) if false", parameters.join(", ")));
    }
    (values, packages.into_values().collect())
}

/// The rules that read something unknown, by whatever way.
fn unknown(visits: &Visits) -> BTreeSet<usize> {
    let is_known = |path: &Vec<String>| {
        KNOWN.iter().any(|known| path.len() >= known.len() && path.iter().zip(*known).all(|(a, b)| a == b))
    };
    let readers = visits.reads.iter().filter(|(_, paths)| !paths.iter().all(is_known)).map(|(node, _)| *node);
    reachable(readers.collect(), |node| {
        visits.edges.iter().filter(|(_, callees)| callees.contains_key(&node)).map(|(caller, _)| *caller).collect()
    })
}

/// A name at the top of `data` where nothing stands.
fn place(program: &Program<'_>, data: &Value) -> String {
    let is_taken = |name: &str| {
        data.as_object().is_ok_and(|members| members.contains_key(&name.into()))
            || program.under(&[name.to_owned()]).next().is_some()
    };
    let mut name = "mcp_gate".to_owned();
    while is_taken(&name) {
        name.push('_');
    }
    name
}

/// What is left of a module, or nothing; None if its text is not what its tree says.
fn rest(module: &Module, stay: &BTreeSet<*const Rule>) -> Option<Option<String>> {
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

    fn parts(modules: &[&str], data: serde_json::Value) -> Option<Partial> {
        let mut engine = Engine::new();
        for (number, text) in modules.iter().enumerate() {
            engine.add_policy(format!("{number}.rego"), (*text).to_owned()).unwrap();
        }
        Bundle::new(engine.get_modules(), &data.into()).partial(&["deny", "allow"])
    }

    fn known(rules: &str, data: serde_json::Value) -> Vec<String> {
        let parts = parts(&[&format!("package mcp.authz\n{rules}\n")], data);
        parts.map(|parts| parts.known.iter().map(|path| path.join(".")).collect()).unwrap_or_default()
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
        let names = parts.known.iter().map(|path| path.join(".")).collect::<Vec<_>>();
        assert_eq!(names, ["mcp.authz.deny", "lib.may", "lib.name"]);
        assert_eq!(
            parts.residual,
            [
                "package lib\nmay := data.mcp_gate[\"1\"]\nname := data.mcp_gate[\"2\"]\n",
                "package mcp.authz\ndeny := data.mcp_gate[\"0\"]\nnever(x0, x1) if false\n",
                rest
            ]
        );
        let values = "package mcp_gate\n\
            values contains [\"0\", data.mcp.authz.deny] if type_name(data.mcp.authz.deny)\n\
            values contains [\"1\", data.lib.may] if type_name(data.lib.may)\n\
            values contains [\"2\", data.lib.name] if type_name(data.lib.name)\n";
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
            ("allow if { h; input.mcp.arguments.a }\nh if g with data.a as 1\ng if data.a", vec![]),
            ("allow if { h; input.mcp.arguments.a with input.mcp.arguments as 1 }\nh if input.mcp.name", vec![]),
            ("allow if { h.a; input.mcp.arguments.a }\nh[name] := 1 if name := input.mcp.name", vec![]),
        ] {
            assert_eq!(known(rules, json!({})), expected, "{rules}");
        }
    }

    #[test]
    fn values_stand_where_nothing_else_does() {
        let authz = "package mcp.authz\nallow if { h; input.mcp.arguments.a }\nh if input.mcp.name\n";
        let place = |modules: &[&str], data| parts(modules, data).unwrap().place;
        assert_eq!(place(&[authz], json!({"other": 1})), "mcp_gate");
        assert_eq!(place(&[authz], json!({"mcp_gate": 1, "mcp_gate_": false})), "mcp_gate__");
        assert_eq!(place(&[authz, "package mcp_gate.index\nx := 1\n"], json!({})), "mcp_gate_");
    }
}
