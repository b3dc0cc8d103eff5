//! Texts of tables, of which nothing is kept.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

use crate::config::rules::{NETWORK, no_network};

/// A text of which nothing is kept: there may be ten thousand.
pub(super) struct Text;

/// `object#relation@subject`, as `policies/mcp/index/relations.rego` takes it apart.
pub(super) struct Tuple;

/// A network, as in rules without Rego.
pub(super) struct Network;

/// Reads a text of which this holds.
struct Holds {
    expected: &'static str,
    holds: fn(&str) -> bool,
}

impl Visitor<'_> for Holds {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        if (self.holds)(text) { Ok(()) } else { Err(E::invalid_value(de::Unexpected::Str(text), &self)) }
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Holds { expected: "a text", holds: |_| true }).map(|()| Self)
    }
}

impl<'de> Deserialize<'de> for Tuple {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "a text such as `document:q3#owner@user:alice`";
        deserializer.deserialize_str(Holds { expected, holds: is_tuple }).map(|()| Self)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let holds = |text: &str| no_network(text).is_none();
        deserializer.deserialize_str(Holds { expected: NETWORK, holds }).map(|()| Self)
    }
}

fn is_tuple(text: &str) -> bool {
    let is_word = |word: &str| !word.is_empty() && !word.contains(['#', '@', ':']);
    let is_node = |node: &str| node.split_once(':').is_some_and(|(kind, id)| is_word(kind) && !id.is_empty());
    let Some((object, (relation, subject))) =
        text.split_once('#').and_then(|(object, rest)| Some((object, rest.split_once('@')?)))
    else {
        return false;
    };
    !text.contains('\n') && is_node(object) && is_word(relation) && is_node(subject)
}
