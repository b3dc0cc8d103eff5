//! API keys, for machines that cannot do OAuth.
//!
//! The configuration has the SHA-256 of a key, never the key: a ConfigMap is read
//! by many. A digest is enough because keys are made by chance (`mcp-gate key`);
//! a password would be guessed from it.

use std::fmt;
use std::rc::Rc;
use std::time::SystemTime;

use super::{Bearer, Confirmation, Identity, Vouched, object_of, seconds};
use crate::denial::Denial;

/// `iss` of an identity that the operator gave: nobody else can have it.
pub const ISSUER: &str = "urn:mcp-gate:api-key";

/// What every key begins with that `mcp-gate key` makes, so that scanners for
/// leaked secrets know one when they see it.
pub const PREFIX: &str = "mcpgate_";

/// What the record says of a key of another resource.
pub(super) const OTHERS: &str = "found an API key that is none of this resource's";

/// Whom a key stands for.
#[derive(Debug, Clone, Default)]
pub struct Holder {
    /// `subject`
    pub subject: String,
    /// `scopes`
    pub scopes: Vec<String>,
    /// `roles`
    pub roles: Vec<String>,
    /// `groups`
    pub groups: Vec<String>,
    /// `tenant`
    pub tenant: Option<String>,
    /// The first second at which it is good no more.
    pub expires: Option<i64>,
}

/// The SHA-256 of a key.
pub type Digest = [u8; 32];

/// The keys of one resource, and the digests of all others, which stand for nobody here.
#[derive(Default)]
pub struct ApiKeys(Vec<(Digest, Option<Rc<Identity>>)>);

impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKeys({})", self.0.len())
    }
}

impl ApiKeys {
    /// Adds a key for a holder; for none if it is another resource's.
    pub fn add(&mut self, digest: Digest, holder: Option<&Holder>) {
        let at = self.0.partition_point(|(known, _)| known < &digest);
        self.0.insert(at, (digest, holder.map(|holder| Rc::new(holder.identity()))));
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whom a key stands for; nothing if it is no key at all, and may be a token. A key of
    /// another resource is refused here, so that it is told to no issuer.
    ///
    /// Looking up the digest takes no time that tells about the key: who cannot
    /// choose the digest learns nothing from how much of it was alike.
    pub fn verify(&self, bearer: Bearer<'_>, now: SystemTime) -> Option<Result<Rc<Identity>, Denial>> {
        if self.is_empty() {
            return None;
        }
        let digest = digest(bearer.text());
        let at = self.0.binary_search_by(|(known, _)| known.cmp(&digest)).ok()?;
        let (_, identity) = self.0.get(at)?;
        let Some(identity) = identity else { return Some(Err(Denial::TokenKeyUnknown(OTHERS))) };
        Some(identity.check(seconds(now)).map(|()| Rc::clone(identity)))
    }
}

/// The digest of a key.
pub fn digest(key: &str) -> Digest {
    hmac_sha256::Hash::hash(key.as_bytes())
}

impl Holder {
    fn identity(&self) -> Identity {
        let list =
            |items: &[String]| items.iter().map(|item| item.as_str().into()).collect::<Vec<regorus::Value>>().into();
        let mut members: Vec<(&str, regorus::Value)> = vec![
            ("issuer", ISSUER.into()),
            ("subject", self.subject.as_str().into()),
            ("scopes", list(&self.scopes)),
            ("roles", list(&self.roles)),
            ("groups", list(&self.groups)),
            ("claims", object_of(Vec::new())),
            ("method", "api_key".into()),
            ("confirmation", "none".into()),
        ];
        members.extend(self.tenant.as_deref().map(|tenant| ("tenant", tenant.into())));
        let last = self.expires.map_or(i64::MAX, |expires| expires.saturating_sub(1));
        Identity {
            issuer: ISSUER.to_owned(),
            subject: self.subject.clone(),
            client_id: None,
            scopes: self.scopes.clone(),
            acr: None,
            auth_time: None,
            confirmation: Confirmation::default(),
            input: object_of(members),
            vouched: Vouched::Operator,
            valid: (i64::MIN, last),
            last,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_key_is_found_by_its_digest_alone_and_until_it_expires() {
        let mut keys = ApiKeys::default();
        assert!(keys.verify(Bearer::read("one").unwrap(), SystemTime::UNIX_EPOCH).is_none());
        for (key, expires) in [("one", None), ("two", Some(100)), ("three", None)] {
            keys.add(digest(key), Some(&Holder { subject: key.into(), expires, ..Holder::default() }));
        }
        keys.add(digest("elsewhere"), None);
        let at = |key: &str, now| {
            let verified = keys.verify(Bearer::read(key).unwrap(), SystemTime::UNIX_EPOCH + Duration::from_secs(now));
            verified.map(|verified| verified.map(|identity| identity.subject.clone()))
        };
        assert_eq!(at("one", 0), Some(Ok("one".into())));
        assert_eq!(at("three", u32::MAX.into()), Some(Ok("three".into())));
        assert_eq!((at("two", 99), at("two", 100)), (Some(Ok("two".into())), Some(Err(Denial::TokenExpired))));
        assert_eq!(at("elsewhere", 0), Some(Err(Denial::TokenKeyUnknown(OTHERS))));
        assert_eq!((at("One", 0), at("on", 0), at("one1", 0)), (None, None, None));
    }
}
