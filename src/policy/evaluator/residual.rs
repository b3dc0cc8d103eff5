//! The machine for what is left of a policy where the values of its known rules are at hand
//! ([`Bundle::partial`](crate::rego::Bundle::partial)).

use std::cell::{RefCell, RefMut};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use regorus::rvm::RegoVM;
use regorus::rvm::vm::VmError;
use regorus::{Engine, Value};

use super::{compile, path, strict_engine};
use crate::rego::partial::{self, Partial};

/// What is left of a policy, ready to be asked.
pub(super) struct Residual {
    pub(super) machine: RefCell<RegoVM>,
    /// Where the values of the rules are found that decide calls.
    rules: Vec<(&'static str, Place)>,
    /// The paths of `input` that the known rules read.
    pub(super) reads: BTreeSet<Vec<String>>,
    /// What of `data` is theirs.
    place: Value,
    data: Value,
}

enum Place {
    /// Among the known, under this key.
    Known(Value),
    /// An entry point of the machine.
    Residual(usize),
}

/// What is known of some questions: `data`, and in it what the known rules say of them.
#[derive(Clone)]
pub(in crate::policy) struct Known {
    data: Value,
    weight: usize,
}

impl Residual {
    /// The machine of the whole policy, which says what is known at its last entry point, and
    /// what is left. None if there is nothing to be gained, or one of them cannot be compiled.
    pub(super) fn new(
        engine: &Engine,
        partial: Partial,
        [rules, deciding]: [&[&'static str]; 2],
        time_limit: Duration,
    ) -> Option<(RegoVM, Self)> {
        let Partial { known, reads, place, values, residual } = partial;
        let mut whole = engine.clone();
        whole.add_policy("known.rego".to_owned(), values).ok()?;
        let entries = rules.iter().map(|rule| path(rule)).chain([format!("data.{place}.{}", partial::VALUES)]);
        let whole = compile(&mut whole, &entries.collect::<Vec<_>>(), time_limit).ok()?;

        let mut rest = strict_engine();
        let data = engine.get_data();
        rest.add_data(data.clone()).ok()?;
        for (number, text) in residual.into_iter().enumerate() {
            rest.add_policy(format!("residual-{number}.rego"), text).ok()?;
        }
        let mut entries = Vec::new();
        let places = deciding.iter().filter(|rule| rules.contains(rule)).map(|rule| {
            let is_it = |known: &Vec<String>| matches!(known.as_slice(), [a, b, name] if a == "mcp" && b == "authz" && name == rule);
            let place = match known.iter().position(is_it) {
                Some(position) => Place::Known(partial::key(position).into()),
                None => {
                    entries.push(path(rule));
                    Place::Residual(entries.len().saturating_sub(1))
                }
            };
            (*rule, place)
        });
        let rules = places.collect();
        let machine = RefCell::new(compile(&mut rest, &entries, time_limit).ok()?);
        Some((whole, Self { machine, rules, reads, place: place.into(), data }))
    }

    /// What is known, from what the rule [`partial::VALUES`] gives.
    pub(super) fn know(&self, values: &Value) -> Option<Known> {
        let pair = |pair: &Value| match pair.as_array().ok()?.as_slice() {
            [key, value] => Some((key.clone(), value.clone())),
            _ => None,
        };
        let known: BTreeMap<Value, Value> = values.as_set().ok()?.iter().map(pair).collect::<Option<_>>()?;
        let weight = weight(values);
        let mut data = self.data.clone();
        data.as_object_mut().ok()?.insert(self.place.clone(), known.into());
        Some(Known { data, weight })
    }

    /// The machine for one question, of which this is known.
    pub(super) fn ask(&self, input: Value, known: Known) -> Option<Rest<'_>> {
        let mut machine = self.machine.try_borrow_mut().ok()?;
        machine.set_data(known.data.clone()).ok()?;
        machine.set_input(input);
        Some(Rest { residual: self, machine, known })
    }
}

impl Known {
    /// About what it takes, in bytes, beside the policy's own data.
    pub(in crate::policy) fn weight(&self) -> usize {
        self.weight
    }
}

/// One question to what is left of a policy.
pub(super) struct Rest<'a> {
    residual: &'a Residual,
    machine: RefMut<'a, RegoVM>,
    known: Known,
}

impl Rest<'_> {
    /// The value of a rule that decides calls; None of another.
    pub(super) fn rule(&mut self, rule: &str) -> Option<Result<Value, VmError>> {
        let (_, place) = self.residual.rules.iter().find(|(name, _)| *name == rule)?;
        Some(match place {
            Place::Known(key) => Ok(self.known.data[&self.residual.place][key].clone()),
            Place::Residual(entry) => self.machine.execute_entry_point_by_index(*entry),
        })
    }
}

/// About what a value takes, in bytes. The depth is that of the data, which its reader bounds, and
/// of what the rules build.
fn weight(value: &Value) -> usize {
    let sum = |sum: usize, item: &Value| sum.saturating_add(weight(item));
    let inside = match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().fold(0, sum),
        Value::Set(items) => items.iter().fold(0, sum),
        Value::Object(members) => members.iter().fold(0, |all, (name, value)| sum(sum(all, name), value)),
        Value::Undefined | Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    inside.saturating_add(size_of::<Value>()).saturating_add(16)
}
