//! A bounded memory: what was asked for lately stays, the rest goes.
//!
//! Two generations. When the young one is full it becomes the old one, and what
//! was in the old one and was not asked for since is gone. Each operation costs
//! a look-up or two; nothing is ever scanned.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

/// Keeps at most twice `most` entries, and at most twice `most_weight` of
/// whatever unit the caller weighs them in.
#[derive(Debug)]
pub struct Store<K, V> {
    young: HashMap<K, (usize, V)>,
    old: HashMap<K, (usize, V)>,
    weight: usize,
    most: usize,
    most_weight: usize,
}

impl<K: Hash + Eq, V: Clone> Store<K, V> {
    /// An empty one, with the bounds of one generation.
    pub fn new(most: usize, most_weight: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), weight: 0, most, most_weight }
    }

    /// What was kept under a key.
    pub fn get<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        if let Some((_, value)) = self.young.get(key) {
            return Some(value.clone());
        }
        let (key, (weight, value)) = self.old.remove_entry(key)?;
        self.insert(key, weight, value.clone());
        Some(value)
    }

    /// Keeps a value. `weight` counts against the bound of this generation.
    pub fn insert(&mut self, key: K, weight: usize, value: V) {
        // What takes another's place does not weigh beside it.
        if let Some((before, _)) = self.young.remove(&key) {
            self.weight = self.weight.saturating_sub(before);
        }
        if self.young.len() >= self.most || self.weight.saturating_add(weight) > self.most_weight {
            self.old = std::mem::take(&mut self.young);
            self.weight = 0;
        }
        if weight <= self.most_weight {
            self.weight = self.weight.saturating_add(weight);
            self.young.insert(key, (weight, value));
        }
    }

    /// How many entries are kept.
    pub fn len(&self) -> usize {
        self.young.len().saturating_add(self.old.len())
    }

    /// Is nothing kept?
    pub fn is_empty(&self) -> bool {
        self.young.is_empty() && self.old.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_stays_and_the_number_is_bounded() {
        let mut store = Store::new(10, usize::MAX);
        store.insert(u32::MAX, 1, "kept");
        for key in 0..1000 {
            store.insert(key, 1, "new");
            assert_eq!(store.get(&u32::MAX), Some("kept"), "after {key}");
            assert!(store.len() <= 21);
        }
        assert_eq!(store.get(&0), None);
        assert_eq!(store.get(&999), Some("new"));
    }

    #[test]
    fn weight_is_bounded_and_what_is_too_heavy_is_not_kept() {
        let mut store = Store::new(1000, 100);
        for key in 0..1000 {
            store.insert(key, 30, ());
            assert!(store.len() <= 6);
        }
        store.insert(5000, 101, ());
        assert_eq!(store.get(&5000), None);
    }

    #[test]
    fn what_is_kept_again_weighs_once() {
        let mut store = Store::new(1000, 100);
        store.insert("other", 40, 0);
        for value in 0..1000 {
            store.insert("again", 60, value);
            assert_eq!((store.get("again"), store.len(), store.weight), (Some(value), 2, 100), "{value}");
        }
        store.insert("again", 101, 1000);
        assert_eq!((store.get("again"), store.get("other"), store.weight), (None, Some(0), 40));
    }
}
