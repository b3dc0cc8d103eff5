//! What visiting the rules has found, by rule.

use std::collections::{BTreeMap, BTreeSet};

use regorus::unstable::Span;

use super::Refusal;

/// Where a value may come from.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Source {
    Input,
    /// Of one rule; scopes inside it are not told apart.
    Local(usize, String),
    Parameter(usize, usize),
    Rule(usize),
}

pub(super) type Sources = BTreeSet<Source>;

/// A reference to data.
pub(super) struct Lookup {
    /// The rule that it stands in.
    pub(super) node: usize,
    /// What the engine asks for, which behind an import may be a package.
    pub(super) asked: Vec<String>,
    /// What is meant.
    pub(super) path: Vec<String>,
    pub(super) span: Span,
}

/// What visiting the rules has found.
#[derive(Default)]
pub(super) struct Visits {
    pub(super) edges: BTreeMap<usize, BTreeMap<usize, Span>>,
    pub(super) lookups: Vec<Lookup>,
    pub(super) reads: BTreeMap<usize, BTreeSet<Vec<String>>>,
    /// Names that a rule may look members of a value up by.
    pub(super) names: BTreeMap<usize, BTreeSet<String>>,
    /// Rules that may look up members of the input by names that they compute.
    pub(super) computing: BTreeSet<usize>,
    /// What a rule needs of the stack, in rules.
    pub(super) frames: BTreeMap<usize, usize>,
    /// To each value those that may flow into it.
    pub(super) flows: BTreeMap<Source, Sources>,
    /// Values that must not come from `input`.
    pub(super) guarded: Vec<(Sources, Refusal)>,
    /// Variables that no statement declares: something has to give them a value.
    pub(super) free: Vec<(Source, Refusal)>,
    /// Statements that hold whatever the message is.
    pub(super) idle: Vec<Refusal>,
    pub(super) refusals: Vec<Refusal>,
}

impl Visits {
    pub(super) fn callees(&self, node: usize) -> Vec<usize> {
        self.edges.get(&node).into_iter().flat_map(BTreeMap::keys).copied().collect()
    }

    pub(super) fn callers(&self, node: usize) -> Vec<usize> {
        self.edges.iter().filter(|(_, callees)| callees.contains_key(&node)).map(|(caller, _)| *caller).collect()
    }

    pub(super) fn check_flows(&mut self, refusals: &mut Vec<Refusal>) {
        let mut tainted: Sources = [Source::Input].into();
        loop {
            let more: Vec<Source> = self
                .flows
                .iter()
                .filter(|(to, from)| !tainted.contains(to) && !tainted.is_disjoint(from))
                .map(|(to, _)| to.clone())
                .collect();
            if more.is_empty() {
                break;
            }
            tainted.extend(more);
        }
        refusals.extend(
            self.free.drain(..).filter(|(variable, _)| !self.flows.contains_key(variable)).map(|(_, refusal)| refusal),
        );
        refusals.extend(
            self.guarded.drain(..).filter(|(sources, _)| !tainted.is_disjoint(sources)).map(|(_, refusal)| refusal),
        );
    }
}
