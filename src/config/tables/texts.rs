//! Texts of tables, of which nothing is kept.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

use crate::config::rules::{NETWORK, no_network};
use crate::json::shown;
use crate::token;

/// A text of which nothing is kept: there may be ten thousand.
pub(super) struct Text;

/// `object#relation@subject`, as `policies/mcp/index/relations.rego` takes it apart.
pub(super) struct Tuple;

/// A network, as in rules without Rego.
pub(super) struct Network;

/// A scope (RFC 6749 §3.3).
pub(super) struct Scope;

/// What a challenge can ask for (RFC 9470 §3).
pub(super) struct Acr;

/// A time that a login or a token may be old.
pub(super) struct Seconds;

/// A directory, below which `policies/mcp/paths.rego` compares paths.
pub(super) struct Directory;

/// A name in the DNS, or a glob of some.
pub(super) struct Host;

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

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        match (self.holds)(text) {
            true => Ok(()),
            false => Err(E::custom(format!("expected {}, found `{}`", self.expected, shown(text)))),
        }
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Holds { expected: "a text", holds: |text| !text.is_empty() }).map(|()| Self)
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

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "a scope, visible ASCII without quotes, spaces and backslashes";
        deserializer.deserialize_str(Holds { expected, holds: token::is_scope }).map(|()| Self)
    }
}

impl<'de> Deserialize<'de> for Acr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "visible ASCII without quotes, spaces and backslashes";
        deserializer.deserialize_str(Holds { expected, holds: token::is_scope }).map(|()| Self)
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            0 => Err(D::Error::custom("expected at least 1 second, found 0")),
            _ => Ok(Self),
        }
    }
}

impl<'de> Deserialize<'de> for Directory {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "a directory such as `/srv/data`, without `..`";
        deserializer.deserialize_str(Holds { expected, holds: is_directory }).map(|()| Self)
    }
}

impl<'de> Deserialize<'de> for Host {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "the name of a host in small letters, or a glob such as `*.corp.example.com`";
        deserializer.deserialize_str(Holds { expected, holds: is_host }).map(|()| Self)
    }
}

/// Everything would be below one without segments.
fn is_directory(text: &str) -> bool {
    let segments = || text.split(['/', '\\']);
    !segments().any(|segment| segment == "..")
        && (text.starts_with(['/', '\\']) || segments().any(|segment| !matches!(segment, "" | ".")))
}

/// Addresses are no names: what is a number, or begins like one, is public or not by itself.
fn is_host(text: &str) -> bool {
    let is_of_host = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_*".contains(&byte);
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(is_of_host);
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit() || byte == b'*');
    text.split('.').all(is_label) && (text == "*" || text.starts_with("*.") || !text.split('.').all(is_number))
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
