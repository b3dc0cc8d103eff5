//! Refuses Rego modules at load, by analysis, and says what a policy reads.
//!
//! In: the text of each module ([`check_text`]), then the syntax trees that
//! regorus made of them ([`analyse`]). Out: every [`Refusal`] at once, or an
//! [`Analysis`], and of what is not refused, with its data, which evaluator may decide it and
//! whether it comes in two parts (`Bundle`). Nothing is evaluated here, and nothing is read but the
//! arguments.
//!
//! The evaluator runs inside a proxy: an evaluation that does not end, that
//! overflows the stack or that panics stops a whole worker. What regorus finds
//! out while evaluating, or not at all, is therefore found out here.

mod alike;
mod builtins;
mod constants;
mod contract;
mod dead;
mod defined;
mod input;
mod names;
mod needs;
mod program;
mod scopes;
mod shape;
mod single;
mod split;
mod subset;
mod syntax;
#[cfg(test)]
mod tests;
mod text;
mod total;
mod visitor;
mod visits;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::rc::Rc;

use regorus::Value;
use regorus::unstable::{Module, Ref, Rule, Span};
use serde::{Deserialize, Serialize};

use contract::{CONTRACT, PACKAGE};
pub(crate) use input::SECRET;
use program::Program;
pub(crate) use split::{KNOWN, Split, VALUES};
pub use subset::Judgement;
use syntax::{anchor, path, refr, static_path};
pub use text::check_text;
use visitor::Visitor;
use visits::{Lookup, Visits};

/// Why a module was refused, and where.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Refusal {
    /// The module's name, as configured.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// From 1.
    pub column: u32,
    /// What is wrong, and what to do instead.
    pub reason: String,
}

impl Refusal {
    fn new(span: &Span, reason: impl Into<String>) -> Self {
        Self { file: span.source.get_path().clone(), line: span.line, column: span.col, reason: reason.into() }
    }

    /// Reads an error of regorus's lexer or parser, which come as text:
    /// `--> file:line:col`, the line, a caret, and `error: reason`.
    pub fn from_engine(file: &str, error: &str) -> Self {
        let place = error.lines().find_map(|line| line.strip_prefix("--> "));
        let mut numbers = place.unwrap_or_default().rsplitn(3, ':');
        let column = numbers.next().and_then(|n| n.parse().ok()).unwrap_or(1);
        let line = numbers.next().and_then(|n| n.parse().ok()).unwrap_or(1);
        let file = numbers.next().unwrap_or(file).to_owned();
        let message = error.lines().find_map(|line| line.strip_prefix("error: ")).unwrap_or(error).trim();
        let v0 = ["`if` keyword is required", "`contains` keyword is required"]
            .iter()
            .any(|start| message.starts_with(start));
        let hint = if v0 { "; this is Rego v0, write `allow if { ... }` and `deny contains x if { ... }`" } else { "" };
        Self { file, line, column, reason: format!("{}{hint}", message.lines().collect::<Vec<_>>().join(" ")) }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.reason)
    }
}

impl std::error::Error for Refusal {}

/// What a rule is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Kind {
    /// `allow if ...`, `x := ...`
    Complete,
    /// `f(x) := ...`
    Function,
    /// `p[k] := ...`, `p.a := ...`
    Object,
    /// `deny contains ...`
    Set,
}

/// What is known of modules that were not refused.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Analysis {
    /// The rules of package `mcp.authz`.
    pub rules: BTreeMap<String, Kind>,
    /// The paths of `input` that the rules of the contract may read. A path
    /// ends where the policy goes on with a key it computes; what lies below
    /// the end may be read. The empty path is `input` as a whole.
    pub reads: BTreeSet<Vec<String>>,
    /// Names that those rules spell out and may look members up by: texts, and what
    /// stands behind the dots of what is not known to be data.
    pub names: BTreeSet<String>,
    /// The modules that may look members up by other names, which they compute.
    pub computing: BTreeSet<String>,
    /// The packages that say the same whatever the input, and their rules. The
    /// names of a package and its rules are identifiers.
    pub constants: BTreeMap<Vec<String>, BTreeSet<String>>,
    /// What each rule of the contract may ask, without `data`: `mcp.rules.deny`.
    pub asked: BTreeMap<String, BTreeSet<String>>,
    /// What makes no difference to any message, which nobody means: rules and packages that nobody asks for,
    /// statements that always hold, and comparisons of what is never of one kind.
    #[serde(skip)]
    pub idle: Vec<Refusal>,
    /// What rules compare the method of a message with, and what is to be said if there is no such method.
    #[serde(skip)]
    pub methods: Vec<(String, Refusal)>,
    /// What rules of each module that the contract asks refer to below `data`, by its name. The empty path
    /// is all of it.
    pub data: BTreeMap<String, BTreeSet<Vec<String>>>,
}

impl Analysis {
    /// Whether anything at, above or below this path may be read.
    pub fn reads(&self, path: &[&str]) -> bool {
        self.reads.iter().any(|read| read.iter().zip(path).all(|(a, b)| a == b))
    }

    /// Whether a module says the same to every question.
    pub fn is_constant(&self, module: &Module) -> bool {
        self.constants.contains_key(&static_path(&module.package.refr).0)
    }

    /// Whether package `mcp.authz` has this rule.
    pub fn defines(&self, rule: &str) -> bool {
        self.rules.contains_key(rule)
    }
}

/// Refuses modules that would add to a package of others: the rules of both
/// would be alternatives, and each grants what the other does not. `bundled` are
/// the packages that are there already, without `data`.
pub fn check_packages(modules: &[Ref<Module>], bundled: &[Vec<&str>]) -> Vec<Refusal> {
    let is_taken = |package: &[String]| {
        package == ["mcp"]
            || bundled.iter().any(|taken| package.iter().zip(taken).filter(|(a, b)| a == b).count() == taken.len())
    };
    let refusal = |module: &Ref<Module>| {
        let package = static_path(&module.package.refr).0;
        is_taken(&package).then(|| {
            let name = package.join(".");
            Refusal::new(
                &module.package.span,
                format!("package `{name}` is bundled; give yours another name and ask `data.{name}`"),
            )
        })
    };
    modules.iter().filter_map(refusal).collect()
}

/// What a rule of the contract has to be.
pub fn shape_of(rule: &str) -> &'static str {
    CONTRACT.iter().find(|(name, ..)| *name == rule).map_or("", |(.., shape)| shape)
}

/// A refusal at the first clause of a rule of package `mcp.authz`.
pub fn refuse_rule(modules: &[Ref<Module>], rule: &str, reason: String) -> Refusal {
    let own = modules.iter().filter(|module| static_path(&module.package.refr).0 == path(PACKAGE));
    let mut clauses = own.flat_map(|module| &module.policy).filter(|clause| {
        !matches!(clause.as_ref(), Rule::Default { .. })
            && static_path(refr(clause)).0.first().is_some_and(|name| name == rule)
    });
    match clauses.next() {
        Some(clause) => Refusal::new(anchor(refr(clause)), reason),
        None => Refusal { file: "policy".to_owned(), line: 1, column: 1, reason },
    }
}

/// What stands against `data[input.identity.tenant]`.
const WHOLE: &str = "this asks for all of `data`, every rule of every package among it; put what is looked up so under one name \
    of `policy.data`, and write `data.tenants[...]`";

/// Judges modules that regorus has parsed, all of them together. `is_there` says whether what a module,
/// by its name, asks for below `data` may be there, if no rule is.
pub fn analyse(modules: &[Ref<Module>], is_there: &dyn Fn(&str, &[String]) -> bool) -> Result<Analysis, Vec<Refusal>> {
    let mut program = Program::of(modules);
    program.check_imports();
    program.check_contract(modules);
    program.check_overlaps(modules);
    let mut visits = visit(&program, None);
    // Who asks for all rules at once changes what is said of each of them.
    let whole = visits.lookups.iter().filter(|lookup| lookup.path.is_empty());
    let mut refusals: Vec<Refusal> = whole.map(|lookup| Refusal::new(&lookup.span, WHOLE)).collect();
    if !refusals.is_empty() {
        return Err(refusals);
    }
    refusals.extend_from_slice(&program.refusals);
    refusals.append(&mut visits.refusals);
    visits.check_flows(&mut refusals);
    program.check_stack(&visits, &mut refusals);
    let constants = constants::find(&program, &visits, modules);
    program.check_gathered(&visits, &constants, &mut refusals);
    program.check_lookups(&visits, is_there, &mut refusals);
    refusals.sort();
    refusals.dedup();
    if !refusals.is_empty() {
        return Err(refusals);
    }
    let idle = program.unasked(&visits).into_iter().chain(visits.idle.drain(..)).collect();
    Ok(Analysis { idle, ..summary(&program, &visits, modules) })
}

/// Modules that were analysed, and the data beside them.
pub(crate) struct Bundle<'m> {
    modules: &'m [Ref<Module>],
    data: &'m Value,
    /// What is left of the rules: clauses that ask for data that is not there are not.
    program: Program<'m>,
    visits: Visits,
}

impl<'m> Bundle<'m> {
    pub(crate) fn new(modules: &'m [Ref<Module>], data: &'m Value) -> Self {
        let mut program = Program::of(modules);
        program.prune(data);
        let visits = visit(&program, Some(data));
        Self { modules, data, program, visits }
    }

    /// What the modules may do beside this data.
    pub(crate) fn analysis(&self) -> Analysis {
        summary(&self.program, &self.visits, self.modules)
    }
}

/// Visits all rules; `data` is what they find under that name, if that is known.
fn visit(program: &Program<'_>, data: Option<&Value>) -> Visits {
    let mut visits = Visits::default();
    for (index, node) in program.nodes.iter().enumerate() {
        for (names, rule) in &node.clauses {
            let mut visitor = Visitor::new(program, data, &mut visits, index, Rc::clone(names));
            visitor.rule(rule);
        }
    }
    visits
}

fn summary(program: &Program<'_>, visits: &Visits, modules: &[Ref<Module>]) -> Analysis {
    let asked_by = |rules: &[&str]| {
        let asked = rules.iter().flat_map(|name| program.below(&path([PACKAGE[0], PACKAGE[1], name])));
        reachable(asked.collect::<Vec<usize>>(), |node| visits.callees(node))
    };
    let reached = asked_by(&CONTRACT.map(|(name, ..)| name));
    let reads = visits.reads.iter().filter(|(node, _)| reached.contains(node)).flat_map(|(_, paths)| paths);
    let names = visits.names.iter().filter(|(node, _)| reached.contains(node)).flat_map(|(_, names)| names);
    let named = |nodes: &BTreeSet<usize>| {
        nodes.iter().filter_map(|node| Some(program.nodes.get(*node)?.path.join("."))).collect()
    };
    let computing = visits.computing.intersection(&reached).filter_map(|node| program.nodes.get(*node));
    let mut data: BTreeMap<String, BTreeSet<Vec<String>>> = BTreeMap::new();
    for Lookup { path, span, .. } in visits.lookups.iter().filter(|lookup| reached.contains(&lookup.node)) {
        data.entry(span.source.get_path().clone()).or_default().insert(path.clone());
    }
    Analysis {
        constants: constants::find(program, visits, modules),
        computing: computing.map(|node| node.span.source.get_path().clone()).collect(),
        reads: reads.cloned().collect(),
        names: names.cloned().collect(),
        rules: program.rules_of_contract(),
        idle: Vec::new(),
        methods: Vec::new(),
        asked: CONTRACT.iter().map(|(name, ..)| ((*name).to_owned(), named(&asked_by(&[name])))).collect(),
        data,
    }
}

/// All that can be reached from `start`, which is included.
fn reachable<T: Copy + Ord>(start: Vec<T>, next: impl Fn(T) -> Vec<T>) -> BTreeSet<T> {
    let mut seen: BTreeSet<T> = start.iter().copied().collect();
    let mut queue = VecDeque::from(start);
    while let Some(item) = queue.pop_front() {
        queue.extend(next(item).into_iter().filter(|found| seen.insert(*found)).collect::<Vec<_>>());
    }
    seen
}
