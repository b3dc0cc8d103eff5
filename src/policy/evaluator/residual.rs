//! The machine for what is left of a policy where the values of its known rules are at hand
//! ([`Bundle::split`](crate::rego::Bundle::split)).

use std::cell::{RefCell, RefMut};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use regorus::Value;
use regorus::rvm::RegoVM;

use super::{in_use, machine, run};
use crate::denial::Denial;
use crate::policy::compiled::{Place, ResidualRules};
use crate::rego::KNOWN;

/// What is left of a policy, ready to be asked.
pub(super) struct Residual {
    pub(super) machine: RefCell<RegoVM>,
    /// Where the value of each rule is found that decides calls.
    rules: Vec<(String, Place)>,
    /// Where the machine of the whole policy says what is known.
    pub(super) values: usize,
    /// The paths of `input` that the known rules read.
    pub(super) reads: BTreeSet<Vec<String>>,
}

/// What is known of some questions: the values of known rules, by their paths.
#[derive(Clone)]
pub(in crate::policy) struct KnownValues(Value);

impl Residual {
    /// Makes ready what was compiled, as [`super::Evaluator::new`].
    pub(super) fn new(compiled: ResidualRules<'_>, data: Value, time_limit: Duration) -> Option<Self> {
        let ResidualRules { program, rules, values, reads } = compiled;
        let machine = RefCell::new(machine(&program, data, time_limit)?);
        Some(Self { machine, rules, values, reads })
    }

    /// The machine for one question, of which this is known.
    pub(super) fn ask(&self, mut input: Value, known: KnownValues) -> Result<Evaluation<'_>, Denial> {
        let mut machine = self.machine.try_borrow_mut().map_err(|_| in_use())?;
        let members = input.as_object_mut().map_err(|_| Denial::PolicyError("the input is no object".into()))?;
        members.insert(KNOWN.into(), known.0.clone());
        machine.set_input(input);
        Ok(Evaluation { residual: self, machine, known })
    }
}

impl KnownValues {
    /// From what the rule [`VALUES`] gives.
    pub(super) fn new(values: &Value) -> Option<Self> {
        let pair = |pair: &Value| match pair.as_array().ok()?.as_slice() {
            [path, value] => Some((path.clone(), value.clone())),
            _ => None,
        };
        let values: BTreeMap<Value, Value> = values.as_set().ok()?.iter().map(pair).collect::<Option<_>>()?;
        Some(Self(values.into()))
    }

    /// About what they take, in bytes, or this much.
    pub(in crate::policy) fn weight(&self, most: usize) -> usize {
        weight(&self.0, most)
    }
}

/// One question to what is left of a policy.
pub(super) struct Evaluation<'a> {
    residual: &'a Residual,
    machine: RefMut<'a, RegoVM>,
    known: KnownValues,
}

impl Evaluation<'_> {
    /// The value of a rule that decides calls.
    pub(super) fn rule(&mut self, rule: &str) -> Result<Value, Denial> {
        match self.residual.rules.iter().find(|(name, _)| name == rule) {
            Some((_, Place::Known(path))) => Ok(self.known.0[path.as_str()].clone()),
            Some((_, Place::Entry(entry))) => run(&mut self.machine, *entry),
            None => Err(Denial::PolicyError(format!("`{rule}` does not decide calls"))),
        }
    }
}

/// About what a value takes, in bytes: its own size, that of the counts before what it shares, and
/// what is inside. The depth is that of the data, which its reader bounds, and of what rules build.
fn weight(value: &Value, most: usize) -> usize {
    let own = size_of::<Value>().saturating_add(2 * size_of::<usize>());
    let add = |sum: usize, item: &Value| match most.checked_sub(sum) {
        None | Some(0) => most,
        Some(left) => sum.saturating_add(weight(item, left)),
    };
    let sum = match value {
        Value::String(text) => own.saturating_add(text.len()),
        // Each has at least its own size.
        Value::Array(items) if items.len() > most / own => most,
        Value::Set(items) if items.len() > most / own => most,
        Value::Object(members) if members.len() > most / own => most,
        Value::Array(items) => items.iter().fold(own, add),
        Value::Set(items) => items.iter().fold(own, add),
        Value::Object(members) => members.iter().fold(own, |sum, (name, value)| add(add(sum, name), value)),
        Value::Undefined | Value::Null | Value::Bool(_) | Value::Number(_) => own,
    };
    sum.min(most)
}
