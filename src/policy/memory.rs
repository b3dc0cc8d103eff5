//! Answers that were given, so that no question is asked twice.

mod known;
#[cfg(test)]
mod tests;
mod key;

use std::cell::RefCell;
use std::rc::Rc;

use regorus::Value;

use super::{Answer, Question, Sight};
use crate::denial::Denial;
use crate::mcp::Call;
use crate::rego::Analysis;
use crate::store::Store;
use key::Key;
pub(super) use known::KnownMemory;

/// Answers that were given, under one policy.
pub(super) struct Memory {
    key: Key,
    answers: RefCell<Store<Vec<u8>, Answer>>,
    lists: RefCell<Store<Vec<u8>, Rc<[Sight]>>>,
}

impl Memory {
    /// None for a policy whose answer depends on more than can be compared: on
    /// the time, of which a login's age is one, or on the input as a whole.
    pub(super) fn new(analysis: &Analysis) -> Option<Self> {
        if analysis.reads(&["time"]) || analysis.defines("step_up") {
            return None;
        }
        Some(Self {
            key: Key::new(&analysis.reads, analysis.defines("scopes")),
            answers: RefCell::new(Store::new(2048, 1024 * 1024)),
            lists: RefCell::new(Store::new(256, 256 * 1024)),
        })
    }

    /// What an answer is kept under.
    pub(super) fn key(&self, question: Question<'_>, input: impl FnOnce() -> Value) -> Vec<u8> {
        self.key.of(question, input)
    }

    pub(super) fn recall(&self, key: &[u8]) -> Option<Answer> {
        self.answers.borrow_mut().get(key)
    }

    pub(super) fn keep(&self, key: Vec<u8>, answer: &Answer) {
        // A failure may pass; the next call tries again.
        if matches!(answer, Err(Denial::PolicyError(_) | Denial::PolicyTimeout)) {
            return;
        }
        let said = match answer {
            Err(Denial::PolicyDenied { reasons }) => weight(reasons),
            Err(Denial::ScopeMissing { needed, granted }) => weight(needed).saturating_add(weight(granted)),
            _ => 0,
        };
        let weight = key.len().saturating_add(said).saturating_add(256);
        self.answers.borrow_mut().insert(key, weight, answer.clone());
    }

    /// The key of a list: the question is that about its first entry, and the others differ
    /// from it in what they name.
    pub(super) fn list_key(
        &self,
        question: Question<'_>,
        input: impl FnOnce() -> Value,
        calls: &[Call<'_>],
    ) -> Vec<u8> {
        let mut hash = hmac_sha256::Hash::new();
        for call in calls {
            for named in [&call.name, &call.uri] {
                let named = named.as_deref().unwrap_or_default();
                hash.update(named.len().to_le_bytes());
                hash.update(named);
            }
        }
        let mut key = self.key(question, input);
        key.extend(hash.finalize());
        key
    }

    pub(super) fn recall_list(&self, key: &[u8]) -> Option<Rc<[Sight]>> {
        self.lists.borrow_mut().get(key)
    }

    pub(super) fn keep_list(&self, key: Vec<u8>, sights: &Rc<[Sight]>) {
        if sights.contains(&Sight::Failed) {
            return;
        }
        let weight = key.len().saturating_add(sights.len()).saturating_add(256);
        self.lists.borrow_mut().insert(key, weight, Rc::clone(sights));
    }
}

/// What texts take, each with its place in the list.
fn weight(texts: &[String]) -> usize {
    texts.iter().fold(0, |sum, text| sum.saturating_add(text.len()).saturating_add(size_of::<String>()))
}
