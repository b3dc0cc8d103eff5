//! The rules of all modules together: their paths, their kinds, and how they call each other.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::rc::Rc;

use regorus::Value;
use regorus::unstable::{BUILTINS, Import, Module, Ref, Rule, RuleHead, Span};

use super::names::Names;
use super::syntax::{anchor, has_keyword_between, refr, static_path};
use super::visits::{Lookup, Visits};
use super::{Kind, Refusal, dead};

/// How many rules of a package are named to whoever asks for another.
const MOST_NAMES: usize = 12;

/// Rules that call rules, the loops inside each and nested expressions share
/// one stack. In wasm, with its 1 MiB, a chain of 400 plain rules still works,
/// 250 with three loops each, 800 plain ones trap.
const MAX_STACK: usize = 64;

/// The rules of all modules under their paths, without `data`.
#[derive(Default)]
pub(super) struct Program<'m> {
    pub(super) nodes: Vec<Node<'m>>,
    by_path: BTreeMap<Vec<String>, usize>,
    /// By package and name: the engine keeps one for all modules of a package.
    imports: BTreeMap<(Vec<String>, String), Imported<'m>>,
    pub(super) refusals: Vec<Refusal>,
}

/// What an import leads to, and where it stands.
struct Imported<'m> {
    target: Vec<String>,
    span: &'m Span,
}

pub(super) struct Node<'m> {
    pub(super) path: Vec<String>,
    /// How many parts of the path name the package.
    pub(super) package: usize,
    pub(super) kind: Kind,
    pub(super) arity: usize,
    pub(super) span: &'m Span,
    /// Each with what names mean in its module.
    pub(super) clauses: Vec<(Rc<Names>, &'m Rule)>,
}

impl<'m> Program<'m> {
    pub(super) fn of(modules: &'m [Ref<Module>]) -> Self {
        let mut program = Self::default();
        modules.iter().for_each(|module| program.gather(module));
        program
    }

    fn gather(&mut self, module: &'m Module) {
        let package = static_path(&module.package.refr).0;
        if module.target.is_some() {
            self.refusals.push(Refusal::new(&module.package.span, "`__target__` is not Rego; remove it"));
        }
        for import in &module.imports {
            self.check_import(import, &package);
        }
        let names = Rc::new(Names::new(module));
        for rule in &module.policy {
            let refr = refr(rule);
            let (kind, arity) = match rule.as_ref() {
                Rule::Default { args, .. } => {
                    (if args.is_empty() { Kind::Complete } else { Kind::Function }, args.len())
                }
                Rule::Spec { head: RuleHead::Func { args, .. }, .. } => (Kind::Function, args.len()),
                Rule::Spec { head: RuleHead::Set { key, .. }, .. } => {
                    if !key.as_ref().is_some_and(|key| has_keyword_between("contains", refr, key)) {
                        self.refusals.push(Refusal::new(
                            anchor(refr),
                            "a partial set of Rego v0; write `name contains member if { ... }`",
                        ));
                    }
                    (Kind::Set, 0)
                }
                Rule::Spec { head: RuleHead::Compr { .. }, .. } => (Kind::Complete, 0),
            };
            if let Rule::Spec { head, bodies, .. } = rule.as_ref()
                && !matches!(head, RuleHead::Compr { assign: None, .. } | RuleHead::Func { assign: None, .. })
                && bodies.iter().skip(1).any(|body| !body.is_else)
            {
                let reason = "a second body for one head, whose value is then `true` here; write a rule of its own";
                self.refusals.push(Refusal::new(anchor(refr), reason));
            }
            let (name, is_static) = static_path(refr);
            let kind = if is_static { kind } else { Kind::Object };
            let span = anchor(refr);
            if let Some(first) = name.first()
                && is_builtin_name(first)
            {
                self.refusals.push(Refusal::new(
                    span,
                    format!("rule `{first}` has the name of a builtin, which engines resolve differently; rename it"),
                ));
            }
            let full: Vec<String> = package.iter().cloned().chain(name).collect();
            let index = *self.by_path.entry(full.clone()).or_insert(self.nodes.len());
            match self.nodes.get_mut(index) {
                None => self.nodes.push(Node {
                    path: full,
                    package: package.len(),
                    kind,
                    arity,
                    span,
                    clauses: vec![(Rc::clone(&names), rule)],
                }),
                Some(node) => {
                    if node.kind != kind || node.arity != arity {
                        let first = node.span;
                        self.refusals.push(Refusal::new(span, format!("`{}` is also defined at {}:{} as another kind of rule or with other parameters; rename one", full.join("."), first.source.get_path(), first.line)));
                    }
                    // The engine takes the parameters of all clauses for those of one module.
                    let is_elsewhere = |(other, _): &(Rc<Names>, _)| !Rc::ptr_eq(other, &names);
                    if kind == Kind::Function && node.clauses.iter().any(is_elsewhere) {
                        let function = full.join(".");
                        let reason =
                            format!("function `{function}` has clauses in several modules; write them into one");
                        self.refusals.push(Refusal::new(span, reason));
                    }
                    node.clauses.push((Rc::clone(&names), rule));
                }
            }
        }
    }

    fn check_import(&mut self, import: &'m Import, package: &[String]) {
        let target = static_path(&import.refr).0;
        let Some(name) = import.r#as.as_ref().map(Span::text).or(target.last().map(String::as_str)) else {
            return;
        };
        let span = import.r#as.as_ref().unwrap_or(&import.span);
        if target.len() == 1 || !matches!(target.first().map(String::as_str), Some("data" | "input")) {
            return;
        }
        let key = (package.to_vec(), name.to_owned());
        let first = self.imports.entry(key).or_insert_with(|| Imported { target: target.clone(), span });
        let elsewhere =
            (first.target != target).then(|| format!("{}:{}", first.span.source.get_path(), first.span.line));
        let reason = match name {
            "data" | "input" => format!("an import named `{name}` hides the document of that name"),
            name if is_builtin_name(name) => {
                format!("an import named `{name}` hides builtins, which engines resolve differently")
            }
            name => match elsewhere {
                None => return,
                Some(first) => format!("an import named `{name}` leads elsewhere at {first}, in the same package"),
            },
        };
        self.refusals.push(Refusal::new(span, format!("{reason}; give it another name with `as`")));
    }

    /// In whatever module of a package, a rule and an import of one name are taken for each other.
    pub(super) fn check_imports(&mut self) {
        for ((package, name), Imported { span, .. }) in &self.imports {
            let rule: Vec<String> = package.iter().chain([name]).cloned().collect();
            if self.under(&rule).next().is_some() {
                let rule = rule.join(".");
                let reason = format!("an import named `{name}` meets a rule `{rule}`; give it another name with `as`");
                self.refusals.push(Refusal::new(span, reason));
            }
        }
    }

    /// The rules at or below a path.
    pub(super) fn under(&self, target: &[String]) -> impl Iterator<Item = usize> {
        self.by_path
            .range::<[String], _>((Bound::Included(target), Bound::Unbounded))
            .take_while(move |(path, _)| path.starts_with(target))
            .map(|(_, index)| *index)
    }

    /// The rules that a reference to this path may evaluate: those at, above
    /// and below it, and, as in regorus, all that share the longest prefix.
    pub(super) fn below(&self, target: &[String]) -> BTreeSet<usize> {
        let prefixes = || (1..=target.len()).rev().filter_map(|n| target.get(..n));
        let is_past_package =
            |prefix: &[String], index: usize| self.nodes.get(index).is_some_and(|node| node.package < prefix.len());
        let longest = prefixes().find(|prefix| self.under(prefix).any(|index| is_past_package(prefix, index)));
        let above = prefixes().filter_map(|prefix| self.by_path.get(prefix).copied());
        above.chain(self.under(target)).chain(longest.into_iter().flat_map(|prefix| self.under(prefix))).collect()
    }

    /// What the rule at this very path is.
    pub(super) fn kind(&self, target: &[String]) -> Option<Kind> {
        self.nodes.get(*self.by_path.get(target)?).map(|node| node.kind)
    }

    pub(super) fn function(&self, target: &[String]) -> Option<(usize, usize)> {
        let index = *self.by_path.get(target)?;
        self.nodes.get(index).filter(|node| node.kind == Kind::Function).map(|node| (index, node.arity))
    }

    /// Takes clauses away that cannot hold, given the data, and those that follow from it.
    pub(super) fn prune(&mut self, data: &Value) {
        loop {
            let dead = dead::find(self, data);
            if dead.is_empty() {
                return;
            }
            for (index, position) in dead.into_iter().rev() {
                if let Some(node) = self.nodes.get_mut(index) {
                    node.clauses.remove(position);
                }
            }
        }
    }

    /// Refuses a rule whose value would have to hold another rule, or a package.
    pub(super) fn check_overlaps(&mut self, modules: &'m [Ref<Module>]) {
        let mut refusals = Vec::new();
        for module in modules {
            let package = static_path(&module.package.refr).0;
            let rule = (1..=package.len()).filter_map(|n| self.by_path.get(package.get(..n)?));
            if let Some(node) = rule.filter_map(|index| self.nodes.get(*index)).next() {
                refusals.push(Refusal::new(
                    node.span,
                    format!(
                        "rule `{}` stands where package `{}` is; rename one",
                        node.path.join("."),
                        package.join(".")
                    ),
                ));
            }
        }
        for node in &self.nodes {
            let mut above = (1..node.path.len()).filter_map(|n| self.by_path.get(node.path.get(..n)?));
            if let Some(other) =
                above.find_map(|index| self.nodes.get(*index).filter(|other| other.kind != Kind::Object))
            {
                refusals.push(Refusal::new(
                    node.span,
                    format!(
                        "rule `{}` stands inside of rule `{}`; rename one",
                        node.path.join("."),
                        other.path.join(".")
                    ),
                ));
            }
        }
        self.refusals.append(&mut refusals);
    }

    /// Refuses what asks for a package as a whole, as `lib.rule` does to the engine behind `import data.lib`:
    /// in the middle of a rule, the interpreter loses its place there, and says something else than OPA.
    /// What is a value before a question comes (`constants`) is no package any more.
    pub(super) fn check_gathered(
        &self,
        visits: &Visits,
        constants: &BTreeMap<Vec<String>, BTreeSet<String>>,
        refusals: &mut Vec<Refusal>,
    ) {
        let is_gathered = |package: &[String], node: &Node<'_>| {
            let own = node.path.get(..node.package).unwrap_or_default();
            package.len() <= own.len() && node.kind != Kind::Function && !constants.contains_key(own)
        };
        for Lookup { asked, path, span, .. } in &visits.lookups {
            let met = self.under(asked).filter_map(|index| self.nodes.get(index));
            let Some(rule) = met.filter(|node| is_gathered(asked, node)).map(|node| &node.path).next() else {
                continue;
            };
            // What is behind an import is known by its name.
            let full = if path.len() > asked.len() { path } else { rule };
            let (package, full) = (asked.join("."), full.join("."));
            let reason = format!(
                "this asks for package `{package}` as a whole, as a rule behind an import of a package does, too; name \
                 the rule in full, `data.{full}`"
            );
            refusals.push(Refusal::new(span, reason));
        }
    }

    /// Refuses references to what is neither a rule nor data: what asks for it would never hold.
    pub(super) fn check_lookups(
        &self,
        visits: &Visits,
        is_there: &dyn Fn(&str, &[String]) -> bool,
        refusals: &mut Vec<Refusal>,
    ) {
        for Lookup { path, span, .. } in &visits.lookups {
            if !self.below(path).is_empty() || is_there(span.source.get_path(), path) {
                continue;
            }
            let packages = (1..path.len()).rev().filter_map(|length| path.get(..length));
            let rules = packages.map(|package| (package, self.names_in(package))).find(|(_, names)| !names.is_empty());
            let found = rules.map_or_else(
                || "spell it as it is there, or write it there, as `false` or empty".to_owned(),
                |(package, names)| format!("package `{}` has {}", package.join("."), names.join(", ")),
            );
            let path = path.join(".");
            let reason = format!(
                "`data.{path}` is no rule and not in `policy.data`: what asks for it never holds, and what negates it always; \
                 {found}"
            );
            refusals.push(Refusal::new(span, reason));
        }
    }

    /// What stands in a package, but for what it keeps to itself.
    fn names_in(&self, package: &[String]) -> Vec<String> {
        let nodes = self.under(package).filter_map(|index| self.nodes.get(index));
        let names = nodes.filter_map(|node| node.path.get(package.len())).filter(|name| !name.starts_with('_'));
        let names: BTreeSet<&String> = names.collect();
        names.into_iter().take(MOST_NAMES).map(|name| format!("`{name}`")).collect()
    }

    /// Refuses cycles, and chains of rules that overflow the stack: takes the
    /// rules away that depend on none, until none is left, or only cycles are.
    pub(super) fn check_stack(&self, visits: &Visits, refusals: &mut Vec<Refusal>) {
        let nothing = BTreeMap::new();
        let edges = |node: usize| visits.edges.get(&node).unwrap_or(&nothing);
        let mut callers: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut waiting: BTreeMap<usize, usize> = (0..self.nodes.len()).map(|node| (node, edges(node).len())).collect();
        for node in 0..self.nodes.len() {
            for callee in edges(node).keys() {
                callers.entry(*callee).or_default().push(node);
            }
        }
        let mut below: BTreeMap<usize, usize> = BTreeMap::new();
        let mut ready: Vec<usize> = waiting.iter().filter(|(_, count)| **count == 0).map(|(node, _)| *node).collect();
        while let Some(node) = ready.pop() {
            waiting.remove(&node);
            let frames = visits.frames.get(&node).unwrap_or(&1) + below.get(&node).unwrap_or(&0);
            for caller in callers.get(&node).into_iter().flatten() {
                let deepest = below.entry(*caller).or_default();
                *deepest = frames.max(*deepest);
                if let Some(count) = waiting.get_mut(caller) {
                    *count = count.saturating_sub(1);
                    if *count == 0 {
                        ready.push(*caller);
                    }
                }
            }
            let deepest_callee = below.get(&node).is_none_or(|below| *below <= MAX_STACK);
            if frames > MAX_STACK
                && deepest_callee
                && let Some(node) = self.nodes.get(node)
            {
                refusals.push(Refusal::new(node.span, format!("rules and loops nest {frames} deep from here, at most {MAX_STACK} fit the stack; flatten the chain of rules that call each other, or loop less")));
            }
        }
        // Each rule left waits for another one that is left: following them closes a circle.
        let mut trail: Vec<usize> = waiting.keys().next().copied().into_iter().collect();
        while let Some(next) =
            trail.last().and_then(|last| edges(*last).keys().find(|callee| waiting.contains_key(callee)))
        {
            let Some(start) = trail.iter().position(|node| node == next) else {
                trail.push(*next);
                continue;
            };
            let circle: Vec<usize> = trail.iter().skip(start).chain([next]).copied().collect();
            let names: Vec<String> = circle
                .iter()
                .filter_map(|node| self.nodes.get(*node))
                .map(|node| format!("data.{}", node.path.join(".")))
                .collect();
            if let Some(span) = circle.first().zip(circle.get(1)).and_then(|(from, to)| edges(*from).get(to)) {
                refusals.push(Refusal::new(span, format!("recursion: {}; Rego has none, put the closure into `policy.data`, such as a list of all ancestors", names.join(" -> "))));
            }
            return;
        }
    }
}

/// `count`, or `regex` for the sake of `regex.match`.
fn is_builtin_name(name: &str) -> bool {
    BUILTINS.keys().any(|builtin| builtin.split('.').next() == Some(name))
}

#[cfg(test)]
mod tests {
    use regorus::Engine;

    use crate::rego::analyse;

    fn judged(modules: &[&str]) -> Result<(), String> {
        let mut engine = Engine::new();
        for (number, text) in modules.iter().enumerate() {
            engine.add_policy(format!("{number}.rego"), (*text).to_owned()).unwrap();
        }
        analyse(engine.get_modules(), &|_, _| true).map(drop).map_err(|refusals| refusals[0].to_string())
    }

    #[test]
    fn a_package_as_a_whole_is_asked_for_by_nobody_unless_it_is_constant() {
        let lib = "package a.lib\nr if input.mcp.name\nf(x) if x == 1";
        let index = "package a.index\ntools := {tool | some tool in data.tools}";
        let authz = |rest: &str| format!("package mcp.authz\n{rest}");
        for asks in [
            "import data.a.lib\nallow if lib.r",
            "import data.a.lib as l\nallow if { input.mcp.name; not l.r }",
            "import data.a\nallow if a.lib.r",
            "allow if data.a.lib[input.mcp.name]",
            "allow if count(data.a.lib) == 1",
            "allow if { some name, value in data.a; value }",
        ] {
            let refusal = judged(&[&authz(asks), lib, index]).expect_err(asks);
            assert!(
                refusal.contains("as a whole") && refusal.contains("name the rule in full, `data.a.lib.r`"),
                "{asks}: {refusal}"
            );
        }
        for asks in [
            "allow if data.a.lib.r",
            "import data.a.lib\nallow if lib.f(input.mcp.retry)",
            "import data.a.index\nallow if input.mcp.name in index.tools",
            "allow if data.a.index[input.mcp.name]",
            "import data.a.lib.r\nallow if r",
        ] {
            assert_eq!(judged(&[&authz(asks), lib, index]), Ok(()), "{asks}");
        }
        // Two that ask for each other would end the stack at the first question.
        let sub = "package a.lib.sub\nimport data.a\nr := 2 if { input.mcp.name; a.lib.r }";
        assert!(judged(&[&authz("import data.a.lib.sub\nallow if sub.r"), lib, sub]).is_err());
    }

    #[test]
    fn a_function_stands_in_one_module() {
        let authz = "package mcp.authz\nallow if { data.lib.f(input.mcp.name); data.lib.r }";
        let own = "package lib\nf(x) if x == \"a\"\nr if input.mcp.name\n";
        let refusal = judged(&[authz, own, "package lib\nf(y) if y == \"b\""]).unwrap_err();
        assert!(refusal.starts_with("2.rego:2:1: function `lib.f` has clauses in several modules"), "{refusal}");
        assert_eq!(judged(&[authz, own, "package lib\nimport input.identity as who\nr if who.subject"]), Ok(()));
    }
}
