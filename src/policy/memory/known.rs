//! What is known of a question before its arguments are looked at, so that nothing is evaluated
//! anew that they do not change.

use std::cell::RefCell;
use std::collections::BTreeSet;

use regorus::Value;

use super::key::Key;
use crate::policy::Question;
use crate::policy::evaluator::KnownValues;
use crate::store::Store;

/// The most that is kept under one key, in bytes. What says more is not worth the place of a hundred
/// others, and to weigh it takes long.
const MOST_WEIGHT: usize = 64 * 1024;

/// What was found out of earlier questions that holds for later ones, under one policy.
pub(in crate::policy) struct KnownMemory {
    key: Key,
    /// None where it took too long, or is too much: then nobody tries again.
    values: RefCell<Store<Vec<u8>, Option<KnownValues>>>,
}

impl KnownMemory {
    /// `reads` are the paths of `input` that what is known depends on.
    pub(in crate::policy) fn new(reads: &BTreeSet<Vec<String>>) -> Self {
        Self { key: Key::new(reads, false), values: RefCell::new(Store::new(1024, 1024 * 1024)) }
    }

    /// What is known of a question; what was not looked for yet is found out, if it can be.
    pub(in crate::policy) fn recall(
        &self,
        question: Question<'_>,
        input: &Value,
        find: impl FnOnce() -> Option<KnownValues>,
    ) -> Option<KnownValues> {
        let key = self.key.of(question, || input.clone());
        let recalled = self.values.borrow_mut().get(&key);
        recalled.unwrap_or_else(|| {
            let found = find().map(|values| (values.weight(MOST_WEIGHT), values));
            let (weight, values) = found.filter(|(weight, _)| *weight < MOST_WEIGHT).unzip();
            let weight = key.len().saturating_add(weight.unwrap_or(0)).saturating_add(256);
            self.values.borrow_mut().insert(key, weight, values.clone());
            values
        })
    }

    /// Was something found out?
    #[cfg(test)]
    pub(super) fn knows(&self, question: Question<'_>, input: &Value) -> bool {
        let key = self.key.of(question, || input.clone());
        matches!(self.values.borrow_mut().get(&key), Some(Some(_)))
    }

    /// Under how many keys something is kept.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.values.borrow().len()
    }
}
