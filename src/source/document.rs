//! What a key server answers: a response in, keys or metadata out.
//!
//! Status exactly 200, JSON by its media type and by this project's reader, not
//! encoded, bounded. A redirect is a failure: the operator said where the keys
//! are. No error repeats what the document says.

use std::collections::BTreeMap;

use hmac_sha256::Hash;

use super::location::{Endpoint, Location};
use crate::json::{Fault, Json, Limits, shown};
use crate::keys::Keys;

/// The longest document that is read, in bytes.
pub const LONGEST: usize = 256 * 1024;

/// The most keys that a set may have.
const MOST_KEYS: usize = 100;

/// The answer to a fetch.
#[derive(Debug)]
pub struct Response {
    /// All headers, `:status` among them.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body, unless it is longer than [`LONGEST`].
    pub body: Option<Vec<u8>>,
}

impl Response {
    /// The body of a good answer (RFC 9110 §15.3.1).
    pub(super) fn into_document(self) -> Result<Vec<u8>, String> {
        match self.one(":status")? {
            Some(b"200") => {}
            Some(status) => return Err(format!("expected status 200, found {}", legible(status))),
            None => return Err("expected status 200, found none".into()),
        }
        let media_type = self.one("content-type")?.unwrap_or_default();
        let essence = media_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let json: [&[u8]; 2] = [b"application/json", b"application/jwk-set+json"];
        if !json.iter().any(|known| essence.eq_ignore_ascii_case(known)) {
            return Err(format!("expected content-type application/json, found `{}`", legible(media_type)));
        }
        if let Some(encoding) = self.one("content-encoding")? {
            return Err(format!("expected a body that is not encoded, found `{}`", legible(encoding)));
        }
        self.body.ok_or_else(|| format!("expected at most {LONGEST} bytes, found more"))
    }

    fn one(&self, name: &str) -> Result<Option<&[u8]>, String> {
        let mut values = self.headers.iter().filter(|(header, _)| header == name).map(|(_, value)| value.as_slice());
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            _ => Err(format!("expected one header `{name}`, found several")),
        }
    }
}

fn legible(value: &[u8]) -> String {
    shown(&String::from_utf8_lossy(value))
}

/// Keys, and each one that is skipped, by its index, with the reason.
#[derive(Debug)]
pub(super) struct Set {
    pub(super) keys: Keys,
    pub(super) unusable: Vec<(usize, String)>,
}

impl Set {
    /// Reads a JWK Set (RFC 7517 §5). One key that can be used is enough.
    pub(super) fn read(text: &[u8]) -> Result<Self, String> {
        let document = read(text)?;
        let keys = document.as_object().and_then(|set| set.get("keys")).and_then(Json::as_array);
        let keys = keys.ok_or("expected a JWK Set: an object with `keys`, an array")?;
        if keys.len() > MOST_KEYS {
            return Err(format!("expected at most {MOST_KEYS} keys, found {}", keys.len()));
        }
        let keys: Vec<_> = keys.iter().cloned().map(Json::into_owned).collect();
        let (keys, unusable) = Keys::read(&keys);
        if !keys.is_empty() {
            return Ok(Self { keys, unusable });
        }
        let first = unusable.first().map_or_else(String::new, |(index, reason)| format!("; keys[{index}]: {reason}"));
        Err(format!("expected at least one key that can be used, found {} that cannot{first}", unusable.len()))
    }
}

/// An issuer whose metadata names the keys.
#[derive(Debug)]
pub(super) struct Discovery {
    /// `iss`, byte by byte.
    pub(super) issuer: String,
    /// Where its metadata is looked for.
    pub(super) places: Vec<Endpoint>,
    /// The cluster of each origin on which its keys may live.
    origins: BTreeMap<String, String>,
}

impl Discovery {
    pub(super) fn new(issuer: &str, cluster: &str, origins: BTreeMap<String, String>) -> Result<Self, &'static str> {
        let own = Location::read_issuer(issuer)?;
        let mut clusters = BTreeMap::new();
        for (origin, cluster) in origins {
            clusters.insert(Location::read_origin(&origin)?.origin(), cluster);
        }
        let places = own.well_known().into_iter();
        let places = places.map(|location| Endpoint { cluster: cluster.to_owned(), location }).collect();
        clusters.entry(own.origin()).or_insert_with(|| cluster.to_owned());
        Ok(Self { issuer: issuer.to_owned(), places, origins: clusters })
    }

    /// Reads metadata (RFC 8414 §3.2): where the keys are. The document must be
    /// that of this very issuer (§3.3), and its keys where the operator lets
    /// them be: else whoever answers for one path could say whom to believe.
    pub(super) fn read(&self, text: &[u8]) -> Result<Endpoint, String> {
        let document = read(text)?;
        let member = |name: &str| document.as_object().and_then(|metadata| metadata.get(name)).and_then(Json::as_str);
        let issuer = member("issuer").ok_or("expected metadata with an `issuer`, found none")?;
        if issuer != self.issuer {
            return Err(format!("expected the `issuer` of the configuration, found `{}`", shown(issuer)));
        }
        let url = member("jwks_uri").ok_or("expected metadata with a `jwks_uri`, found none")?;
        let location = Location::read(url).map_err(|expected| format!("jwks_uri: {expected}"))?;
        match self.origins.get(&location.origin()) {
            Some(cluster) => Ok(Endpoint { cluster: cluster.clone(), location }),
            None => Err(format!(
                "jwks_uri: expected one of the origins {}, found `{}`; list it under `origins` if keys may live there",
                self.origins.keys().map(String::as_str).collect::<Vec<_>>().join(", "),
                shown(&location.origin())
            )),
        }
    }

    pub(super) fn origins(&self) -> impl Iterator<Item = (&str, &str)> {
        self.origins.iter().map(|(origin, cluster)| (origin.as_str(), cluster.as_str()))
    }
}

fn read(text: &[u8]) -> Result<Json<'_>, String> {
    Json::read(text, Limits::default()).map_err(|error| {
        let found = match error.fault {
            Fault::Syntax => "what is none",
            Fault::Duplicate => "a member twice in one object",
            Fault::Lookalike => "two members whose names look alike",
            Fault::Ambiguous => "what parsers read differently",
            Fault::TooLarge => "more or longer values than are read",
        };
        format!("expected strict JSON, found {found}")
    })
}

/// The documents of one fetch, as they came, together: what workers hand each
/// other. A reader checks all of it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Documents {
    /// The issuer's metadata, where it was discovered.
    pub(super) metadata: Option<String>,
    /// The JWK Set.
    pub(super) jwks: Vec<u8>,
}

impl Documents {
    /// Names these very documents.
    pub(super) fn version(&self) -> u128 {
        let digest = Hash::hash(&self.to_bytes());
        let first = digest.first_chunk().copied().unwrap_or_default();
        // Zero is that of none.
        u128::from_be_bytes(first).max(1)
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let length = self.metadata.as_ref().map_or_else(|| "-".to_owned(), |metadata| metadata.len().to_string());
        [length.as_bytes(), b"\n", self.metadata.as_deref().unwrap_or_default().as_bytes(), &self.jwks].concat()
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let (length, rest) = (bytes.get(..end)?, bytes.get(end.checked_add(1)?..)?);
        if length == b"-" {
            return Some(Self { metadata: None, jwks: rest.to_vec() });
        }
        let length: usize = std::str::from_utf8(length).ok()?.parse().ok()?;
        let (metadata, jwks) = rest.split_at_checked(length)?;
        Some(Self { metadata: Some(String::from_utf8(metadata.to_vec()).ok()?), jwks: jwks.to_vec() })
    }
}
