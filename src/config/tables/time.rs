//! When a condition of a table holds.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Expected, SeqAccess, Visitor};

use crate::config::rules::{DAYS, WINDOW, window};

/// Days of the week, hours, or both.
#[derive(Deserialize)]
#[serde(try_from = "TimeFields")]
pub(super) struct Time;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct TimeFields {
    days: Option<Vec<Day>>,
    hours: Option<Hours>,
}

impl TryFrom<TimeFields> for Time {
    type Error = &'static str;

    fn try_from(time: TimeFields) -> Result<Self, Self::Error> {
        let TimeFields { days, hours } = time;
        match days.map_or(hours.is_some(), |days| !days.is_empty()) {
            true => Ok(Self),
            false => Err("expected `days`, a list, or `hours`, or both"),
        }
    }
}

struct Day;

/// A window of time, which may go over midnight.
struct Window;

/// One window, or several.
struct Hours;

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let day = String::deserialize(deserializer)?;
        match DAYS.contains(&day.as_str()) {
            true => Ok(Self),
            false => Err(Error::custom(format!("expected one of {}, found `{day}`", DAYS.join(", ")))),
        }
    }
}

impl Window {
    fn read<E: Error>(text: &str) -> Result<Self, E> {
        match window(text).filter(|(from, to)| from != to) {
            Some(_) => Ok(Self),
            None => Err(E::custom(format!("expected hours {WINDOW}, at most until `24:00`, found `{text}`"))),
        }
    }
}

impl<'de> Deserialize<'de> for Window {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(&String::deserialize(deserializer)?)
    }
}

impl<'de> Deserialize<'de> for Hours {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Hours {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hours {WINDOW}, or a list of them")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self, E> {
        Window::read(text).map(|_| self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self, A::Error> {
        let mut is_empty = true;
        while list.next_element::<Window>()?.is_some() {
            is_empty = false;
        }
        match is_empty {
            true => Err(A::Error::custom(format!("expected {}, found an empty one", &self as &dyn Expected))),
            false => Ok(self),
        }
    }
}
