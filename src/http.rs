//! What a request is before anyone has looked at it, and what a response is.
//!
//! [`Head`] holds the head of a request as the host hands it over: names and
//! values as bytes, every value of a repeated header. Nothing here decides.

mod location;

use std::borrow::Cow;
use std::fmt;

pub use location::{Location, METADATA_PATH};

/// The most headers that a request may have, below Envoy's own limit of 100.
pub const MOST_HEADERS: usize = 96;

/// The head of a request: pseudo-headers and headers, in their order.
#[derive(Clone, Default)]
pub struct Head {
    headers: Vec<(String, Vec<u8>)>,
}

impl fmt::Debug for Head {
    // Values hold credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.headers.iter().map(|(name, _)| name)).finish()
    }
}

/// A header that may stand once stood more than once.
#[derive(Debug, PartialEq, Eq)]
pub struct Repeated;

impl Head {
    /// Takes the pairs as Envoy gives them: names in lower case, the
    /// pseudo-headers `:method`, `:path` and `:authority` among them.
    pub fn new(headers: Vec<(String, Vec<u8>)>) -> Self {
        Self { headers }
    }

    /// The one value of a header.
    pub fn get(&self, name: &str) -> Result<Option<&[u8]>, Repeated> {
        let mut values = self.headers.iter().filter(|(header, _)| header == name);
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some((_, value)), None) => Ok(Some(value)),
            (Some(_), Some(_)) => Err(Repeated),
        }
    }

    /// The one value of a header, if it is there once and is UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).ok().flatten().and_then(|value| std::str::from_utf8(value).ok())
    }

    /// Does the header stand here at all?
    pub fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(header, _)| header == name)
    }

    /// How many headers there are, and the size of their names and values, in bytes.
    pub fn size(&self) -> (usize, usize) {
        (self.iter().count(), self.iter().map(|(name, value)| name.len().saturating_add(value.len())).sum())
    }

    /// All headers, without the pseudo-headers.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let headers = self.headers.iter().filter(|(name, _)| !name.starts_with(':'));
        headers.map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    fn pseudo(&self, name: &str) -> &[u8] {
        // Envoy's codecs let no request through that lacks one of them, or has two.
        self.get(name).ok().flatten().unwrap_or_default()
    }

    /// Takes a header away.
    pub fn remove(&mut self, name: &str) {
        self.headers.retain(|(header, _)| header != name);
    }

    /// `:method`; empty where the host gave none.
    pub fn method(&self) -> &[u8] {
        self.pseudo(":method")
    }

    /// `:path` up to the first `?`.
    pub fn path(&self) -> &[u8] {
        self.pseudo(":path").split(|byte| *byte == b'?').next().unwrap_or_default()
    }

    /// What follows the first `?` of `:path`.
    pub fn query(&self) -> Option<&[u8]> {
        let path = self.pseudo(":path");
        let mark = path.iter().position(|byte| *byte == b'?')?;
        path.get(mark.saturating_add(1)..)
    }

    /// `:authority`; empty where the host gave none.
    pub fn authority(&self) -> &[u8] {
        self.pseudo(":authority")
    }
}

/// A media type without its parameters (RFC 9110 §8.3.1).
pub fn essence(media_type: &[u8]) -> &[u8] {
    let essence = media_type.split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii_end()
}

/// A response that the gate sends itself. Upstream never sees the request.
#[derive(PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers, their names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// The body, JSON if it is not empty.
    pub body: String,
}

/// Changes to the head of a request or response that is let go.
#[derive(Default, PartialEq, Eq)]
pub struct Edits {
    /// Headers to take away, whatever their values.
    pub remove: Vec<Cow<'static, str>>,
    /// Headers to set, in place of what stood there.
    pub set: Vec<(&'static str, String)>,
    /// Headers to add, beside what stands there.
    pub add: Vec<(&'static str, String)>,
}

impl fmt::Debug for Reply {
    // Values hold nonces.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.status)?;
        f.debug_list().entries(self.headers.iter().map(|(name, _)| name)).finish()?;
        write!(f, " {}", self.body)
    }
}

impl fmt::Debug for Edits {
    // Values hold session ids.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = self.set.iter().chain(&self.add).map(|(name, _)| name);
        f.debug_list().entries(&self.remove).entries(set).finish()
    }
}
