//! The names that a query and those around it declare, and which texts they can stand for.

use std::collections::{BTreeMap, BTreeSet};

use regorus::Value;

/// So many texts are worth to be told apart, and no more.
const MOST_TEXTS: usize = 64;

type Texts = BTreeSet<String>;

/// One for each query that is not over, the innermost last.
#[derive(Default)]
pub(super) struct Scopes(Vec<Scope>);

/// The names of one query, each with its texts where they are known.
pub(super) type Scope = BTreeMap<String, Option<Texts>>;

impl Scopes {
    pub(super) fn open(&mut self, names: BTreeSet<String>) {
        self.0.push(names.into_iter().map(|name| (name, None)).collect());
    }

    pub(super) fn close(&mut self) {
        self.0.pop();
    }

    /// Leaves names of the innermost out, until what this gives is restored.
    pub(super) fn hide(&mut self, names: &BTreeSet<String>) -> Scope {
        let scope = self.0.pop().unwrap_or_default();
        self.0.push(scope.clone().into_iter().filter(|(name, _)| !names.contains(name)).collect());
        scope
    }

    pub(super) fn restore(&mut self, scope: Scope) {
        self.0.pop();
        self.0.push(scope);
    }

    pub(super) fn declare(&self, name: &str) -> bool {
        self.0.iter().any(|scope| scope.contains_key(name))
    }

    pub(super) fn add(&mut self, name: String) {
        self.0.last_mut().map(|scope| scope.insert(name, None));
    }

    /// In the innermost, and in those inside of it, a name stands for one of these.
    pub(super) fn know(&mut self, name: &str, texts: Texts) {
        if self.declare(name) {
            self.0.last_mut().map(|scope| scope.insert(name.to_owned(), Some(texts)));
        }
    }

    /// The texts that a name can stand for.
    pub(super) fn known(&self, name: &str) -> Option<&Texts> {
        self.0.iter().rev().find_map(|scope| scope.get(name))?.as_ref()
    }
}

/// The keys of a collection, if each is a text.
pub(super) fn keys(collection: &Value) -> Option<Texts> {
    texts(collection.as_object().ok()?.iter().map(|(name, _)| name))
}

/// The values in a collection, if each is a text.
pub(super) fn values(collection: &Value) -> Option<Texts> {
    match collection {
        Value::Object(members) => texts(members.iter().map(|(_, value)| value)),
        Value::Array(items) => texts(items.iter()),
        Value::Set(items) => texts(items.iter()),
        _ => None,
    }
}

fn texts<'d>(mut values: impl Iterator<Item = &'d Value>) -> Option<Texts> {
    values.try_fold(Texts::new(), |mut texts, value| match value {
        Value::String(text) if texts.len() < MOST_TEXTS || texts.contains(text.as_ref()) => {
            texts.insert(text.to_string());
            Some(texts)
        }
        _ => None,
    })
}
