//! What is known of a question before its arguments are looked at, so that nothing is evaluated
//! anew that they do not change.

use std::cell::RefCell;
use std::collections::BTreeSet;

use regorus::Value;

use super::traits::Traits;
use crate::policy::Question;
use crate::policy::evaluator::Known;
use crate::store::Store;

/// What was found out of earlier questions that holds for later ones, under one policy.
pub(in crate::policy) struct Prior {
    traits: Traits,
    pub(super) known: RefCell<Store<Vec<u8>, Known>>,
}

impl Prior {
    /// `reads` are the paths of `input` that what is known depends on.
    pub(in crate::policy) fn new(reads: &BTreeSet<Vec<String>>) -> Self {
        Self { traits: Traits::new(reads, false), known: RefCell::new(Store::new(1024, 1024 * 1024)) }
    }

    /// What is known of a question; what was not known yet is found out, if it can be.
    pub(in crate::policy) fn recall(
        &self,
        question: Question<'_>,
        input: &Value,
        find: impl FnOnce() -> Option<Known>,
    ) -> Option<Known> {
        let key = self.traits.key(question, || input.clone());
        let recalled = self.known.borrow_mut().get(&key);
        recalled.or_else(|| {
            let known = find()?;
            let weight = key.len().saturating_add(known.weight()).saturating_add(256);
            self.known.borrow_mut().insert(key, weight, known.clone());
            Some(known)
        })
    }
}
