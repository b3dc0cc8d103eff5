//! Which packages say the same to every question.
//!
//! An index over `policy.data` is a package that reads no `input`. Evaluated once,
//! when the configuration is loaded, it costs a call nothing. The package is the
//! unit, because its value then stands where the package stood, as data.

use std::collections::{BTreeMap, BTreeSet};

use regorus::unstable::{Module, Ref};

use super::contract::PACKAGE;
use super::program::Program;
use super::syntax::{path, static_path};
use super::visits::Visits;
use super::{Kind, reachable};

/// The constant packages, each with its rules.
pub(super) fn find(
    program: &Program<'_>,
    visits: &Visits,
    modules: &[Ref<Module>],
) -> BTreeMap<Vec<String>, BTreeSet<String>> {
    let packages: BTreeSet<Vec<String>> = modules.iter().map(|module| static_path(&module.package.refr).0).collect();
    let alone = packages.iter().filter(|package| {
        // What stands below a package is merged with it: a value would hide it.
        let others = packages.iter().filter(|other| other != package);
        let mut related = others.filter(|other| other.starts_with(package) || package.starts_with(other));
        **package != path(PACKAGE) && package.iter().all(|part| is_identifier(part)) && related.next().is_none()
    });
    alone.filter_map(|package| Some((package.clone(), rules(program, visits, package)?))).collect()
}

/// The rules of a package, if it is constant and has any.
fn rules(program: &Program<'_>, visits: &Visits, package: &[String]) -> Option<BTreeSet<String>> {
    let nodes: BTreeSet<usize> = program.under(package).collect();
    let reached = reachable(nodes.iter().copied().collect(), |node| visits.callees(node));
    if reached.iter().any(|node| visits.reads.contains_key(node)) {
        return None;
    }
    let from_outside = |function: usize| {
        visits.edges.iter().any(|(caller, callees)| !nodes.contains(caller) && callees.contains_key(&function))
    };
    let mut rules = BTreeSet::new();
    for index in &nodes {
        let node = program.nodes.get(*index)?;
        match node.path.get(package.len()..)? {
            // A function is no value. Those that the package keeps to itself go with it.
            [_] if node.kind == Kind::Function && !from_outside(*index) => {}
            [name] if node.kind != Kind::Function && is_identifier(name) => {
                rules.insert(name.clone());
            }
            _ => return None,
        }
    }
    (!rules.is_empty()).then_some(rules)
}

/// Can it stand behind a dot?
pub(super) fn is_identifier(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
