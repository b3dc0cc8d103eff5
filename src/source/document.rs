//! What a key server says: keys or metadata. No error repeats it.

use std::collections::BTreeMap;

use hmac_sha256::Hash;

use crate::http::Location;
use crate::json::{Json, shown};
use crate::keys::Keys;
use crate::outbound::{Endpoint, object};

/// The most keys that a set may have.
const MOST_KEYS: usize = 100;

/// Keys, and each one that is skipped, by its index, with the reason.
#[derive(Debug)]
pub(super) struct Set {
    pub(super) keys: Keys,
    pub(super) unusable: Vec<(usize, String)>,
}

impl Set {
    /// Reads a JWK Set (RFC 7517 §5). One key that can be used is enough.
    pub(super) fn read(text: &[u8]) -> Result<Self, String> {
        let set = object(text)?;
        let keys = set.get("keys").and_then(Json::as_array);
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
        let metadata = object(text)?;
        let member = |name: &str| metadata.get(name).and_then(Json::as_str);
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
