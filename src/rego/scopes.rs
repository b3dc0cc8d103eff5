//! The names that a query and those around it declare, and which texts they can stand for.

use std::collections::{BTreeMap, BTreeSet};

use regorus::Value;

/// So many texts are worth to be told apart, and no more.
const MOST_TEXTS: usize = 64;

type Texts = BTreeSet<String>;

#[derive(Default)]
pub(super) struct Scopes {
    /// One for each query that is not over, the innermost last.
    queries: Vec<Scope>,
    /// Names to which no statement gives a value before all others: a look-up runs over all
    /// that there is, wherever it stands, and what the name can be is asked behind it.
    free: BTreeSet<String>,
}

/// The names of one query, each with its texts where they are known.
pub(super) type Scope = BTreeMap<String, Option<Texts>>;

impl Scopes {
    pub(super) fn open(&mut self, names: BTreeSet<String>) {
        self.queries.push(names.into_iter().map(|name| (name, None)).collect());
    }

    pub(super) fn close(&mut self) {
        self.queries.pop();
    }

    /// Leaves names of the innermost out, until what this gives is restored.
    pub(super) fn hide(&mut self, names: &BTreeSet<String>) -> Scope {
        let scope = self.queries.pop().unwrap_or_default();
        self.queries.push(scope.clone().into_iter().filter(|(name, _)| !names.contains(name)).collect());
        scope
    }

    pub(super) fn restore(&mut self, scope: Scope) {
        self.queries.pop();
        self.queries.push(scope);
    }

    pub(super) fn declare(&self, name: &str) -> bool {
        self.queries.iter().any(|scope| scope.contains_key(name))
    }

    /// No statement gives it a value of its own.
    pub(super) fn free(&mut self, name: &str) {
        self.free.insert(name.to_owned());
    }

    pub(super) fn add(&mut self, name: String) {
        self.free(&name);
        self.queries.last_mut().map(|scope| scope.insert(name, None));
    }

    /// In the innermost, and in those inside of it, a name stands for one of these.
    pub(super) fn know(&mut self, name: &str, texts: Texts) {
        // Each `_` is another one.
        if name != "_" && !self.free.contains(name) && self.declare(name) {
            self.queries.last_mut().map(|scope| scope.insert(name.to_owned(), Some(texts)));
        }
    }

    /// The texts that a name can stand for.
    pub(super) fn known(&self, name: &str) -> Option<&Texts> {
        self.queries.iter().rev().find_map(|scope| scope.get(name))?.as_ref()
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
