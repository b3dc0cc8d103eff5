//! What a value may be, as far as it is known before a question is asked.

use std::fmt;

use regorus::Value;

/// Kinds of values, as a set of bits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Kinds(u8);

impl Kinds {
    pub(super) const BOOLEAN: Self = Self(1);
    pub(super) const NUMBER: Self = Self(2);
    pub(super) const STRING: Self = Self(4);
    pub(super) const ARRAY: Self = Self(8);
    pub(super) const SET: Self = Self(16);
    pub(super) const OBJECT: Self = Self(32);
    const OTHER: Self = Self(64);

    pub(super) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn of(value: &Value) -> Self {
        match value {
            Value::Bool(_) => Self::BOOLEAN,
            Value::Number(_) => Self::NUMBER,
            Value::String(_) => Self::STRING,
            Value::Array(_) => Self::ARRAY,
            Value::Set(_) => Self::SET,
            Value::Object(_) => Self::OBJECT,
            Value::Null | Value::Undefined => Self::OTHER,
        }
    }

    const fn is_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Is no value of one also of the other? Where there is no value at all, nothing is known, and
    /// `input.mcp.name != null` asks whether there is one.
    pub(super) const fn are_apart(self, other: Self) -> bool {
        let both = self.0 | other.0;
        self.0 != 0 && other.0 != 0 && self.0 & other.0 == 0 && both & Self::OTHER.0 == 0
    }
}

impl fmt::Display for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (Self::BOOLEAN, "a boolean"),
            (Self::NUMBER, "a number"),
            (Self::STRING, "a text"),
            (Self::ARRAY, "a list"),
            (Self::SET, "a set"),
            (Self::OBJECT, "an object"),
            (Self::OTHER, "null"),
        ];
        let names = names.into_iter().filter(|(kind, _)| kind.0 & self.0 != 0).map(|(_, name)| name);
        f.write_str(&names.collect::<Vec<_>>().join(" or "))
    }
}

/// Data beyond so many values is not looked at one by one.
const MOST_VALUES: usize = 200_000;

/// What stands deeper within each other is not looked at.
const MOST_DEPTH: usize = 16;

/// What a value is, if it is defined at all.
#[derive(Clone, Debug)]
pub(super) enum Shape<'d> {
    /// Anything.
    Any,
    /// One of these, which stand in the policy or in its data.
    One(Vec<&'d Value>),
    /// Of one of these kinds; what is in it has that shape, or any.
    Of(Kinds, Option<Box<Self>>),
}

impl<'d> Shape<'d> {
    pub(super) fn kind(kinds: Kinds) -> Self {
        Self::Of(kinds, None)
    }

    pub(super) fn collection(kinds: Kinds, items: Self) -> Self {
        Self::Of(kinds, Some(Box::new(items)))
    }

    /// Is it of these kinds, whatever it is?
    pub(super) fn is(&self, kinds: Kinds) -> bool {
        match self {
            Self::Any => false,
            Self::One(values) => values.iter().all(|value| Kinds::of(value).is_within(kinds)),
            Self::Of(own, _) => own.is_within(kinds),
        }
    }

    /// Is it a string of which this holds, whatever it is?
    pub(super) fn is_text(&self, holds: impl Fn(&str) -> bool) -> bool {
        self.is_each(|value| matches!(value, Value::String(text) if holds(text)))
    }

    /// Is it a value of the policy or its data, of which this holds, whichever it is?
    pub(super) fn is_each(&self, holds: impl Fn(&Value) -> bool) -> bool {
        match self {
            Self::One(values) => values.iter().all(|value| holds(value)),
            Self::Any | Self::Of(..) => false,
        }
    }

    /// The texts of the policy or its data that it may be.
    pub(super) fn texts(&self) -> impl Iterator<Item = &'d str> {
        let values = if let Self::One(values) = self { values.as_slice() } else { &[] };
        values.iter().filter_map(|value| if let Value::String(text) = value { Some(text.as_ref()) } else { None })
    }

    /// May it be one of which this holds?
    pub(super) fn has_text(&self, holds: &dyn Fn(&str) -> bool) -> bool {
        self.texts().any(holds)
    }

    /// May it be a set, or hold one, as far as anything is known of it?
    pub(super) fn may_hold_set(&self) -> bool {
        let mut shape = self.clone();
        for _ in 0..MOST_DEPTH {
            match shape.kinds() {
                None => return false,
                Some(kinds) if kinds.0 & Kinds::SET.0 != 0 => return true,
                Some(_) => shape = shape.items(),
            }
        }
        false
    }

    /// What it is, if it is of these kinds.
    pub(super) fn narrow(self, kinds: Kinds) -> Self {
        match self {
            Self::Any => Self::kind(kinds),
            Self::One(mut values) => {
                values.retain(|value| Kinds::of(value).is_within(kinds));
                Self::One(values)
            }
            Self::Of(_, items) => Self::Of(kinds, items),
        }
    }

    /// The one value that it is.
    pub(super) fn only(&self) -> Option<&'d Value> {
        match self {
            Self::One(values) => values.first().filter(|_| values.len() == 1).copied(),
            Self::Any | Self::Of(..) => None,
        }
    }

    /// What stands in it under a name.
    pub(super) fn member(&self, name: &str) -> Self {
        match self {
            Self::One(values) => {
                let name = Value::from(name);
                let members = values.iter().filter_map(|value| match value {
                    Value::Object(members) => members.get(&name),
                    // A set holds its members under themselves.
                    Value::Set(items) => items.get(&name),
                    _ => None,
                });
                Self::One(members.collect())
            }
            other => other.items(),
        }
    }

    /// What stands anywhere in it.
    pub(super) fn items(&self) -> Self {
        match self {
            Self::Any | Self::Of(_, None) => Self::Any,
            Self::Of(_, Some(items)) => items.as_ref().clone(),
            Self::One(values) => {
                let mut items: Vec<&'d Value> = Vec::new();
                for value in values {
                    match value {
                        Value::Array(all) => items.extend(all.iter()),
                        Value::Set(all) => items.extend(all.iter()),
                        Value::Object(members) => items.extend(members.values()),
                        _ => {}
                    }
                    if items.len() > MOST_VALUES {
                        return Self::Any;
                    }
                }
                Self::One(items)
            }
        }
    }

    /// What its items stand under.
    pub(super) fn keys(&self) -> Self {
        let Self::One(values) = self else { return Self::Any };
        let mut keys = Self::One(Vec::new());
        for value in values {
            let more = match value {
                Value::Array(_) => Self::kind(Kinds::NUMBER),
                Value::Set(items) => Self::One(items.iter().collect()),
                Value::Object(members) => Self::One(members.keys().collect()),
                _ => Self::One(Vec::new()),
            };
            keys = keys.join(more);
        }
        keys
    }

    /// What is either of the two.
    pub(super) fn join(self, other: Self) -> Self {
        match (self, other) {
            (Self::One(nothing), some) | (some, Self::One(nothing)) if nothing.is_empty() => some,
            (Self::One(mut left), Self::One(mut right)) if left.len().saturating_add(right.len()) <= MOST_VALUES => {
                left.append(&mut right);
                Self::One(left)
            }
            (left, right) => match (left.kinds(), right.kinds()) {
                (Some(own), Some(others)) => {
                    let items = left.items().join(right.items());
                    Self::Of(own.or(others), (!matches!(items, Self::Any)).then(|| Box::new(items)))
                }
                _ => Self::Any,
            },
        }
    }

    pub(super) fn kinds(&self) -> Option<Kinds> {
        match self {
            Self::Any => None,
            Self::One(values) => Some(values.iter().fold(Kinds(0), |kinds, value| kinds.or(Kinds::of(value)))),
            Self::Of(kinds, _) => Some(*kinds),
        }
    }
}
