//! Nonces of DPoP (RFC 9449 §9): the time under a key, so that nobody has to
//! remember them. Any worker, and any proxy with the same keys, knows its own.

use std::fmt;

use hmac_sha256::HMAC;

use super::{decode, encode};
use crate::secret::Secret;

/// A nonce is good in its own step and in the next: for one to two of these, in seconds.
const STEP: i64 = 60;

/// The keys of nonces, the newest first: it makes them, and all of them know their own.
pub struct NonceKeys(Vec<[u8; 32]>);

impl fmt::Debug for NonceKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NonceKeys({})", self.0.len())
    }
}

impl NonceKeys {
    /// From secrets, the newest first.
    pub fn new(secrets: &[Secret]) -> Self {
        Self(secrets.iter().map(|secret| secret.key("dpop nonce, version 1")).collect())
    }

    /// The nonce of this second, for `DPoP-Nonce`.
    pub fn make(&self, now: i64) -> Option<String> {
        self.0.first().map(|newest| encode(&HMAC::mac(step(now).to_be_bytes(), newest)))
    }

    /// Is this a nonce that [`NonceKeys::make`] gave lately?
    pub fn is_fresh(&self, nonce: &str, now: i64) -> bool {
        let Ok(Ok(nonce)) = decode(nonce).map(<[u8; 32]>::try_from) else { return false };
        let steps = [step(now), step(now).saturating_sub(1)];
        // Every key and step is asked, in constant time: a nonce is a MAC.
        let keys = self.0.iter();
        keys.flat_map(|key| steps.map(|step| HMAC::verify(step.to_be_bytes(), key, &nonce)))
            .fold(false, |found, is_this| found | is_this)
    }
}

fn step(now: i64) -> i64 {
    now.div_euclid(STEP)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: u8 = 1;
    const OLD: u8 = 2;

    fn keys(bytes: &[u8]) -> NonceKeys {
        NonceKeys::new(&bytes.iter().map(|byte| Secret::new(&[*byte; 32])).collect::<Vec<_>>())
    }

    #[test]
    fn a_nonce_is_good_in_its_step_and_in_the_next() {
        let keys = keys(&[NEW]);
        let nonce = keys.make(600).unwrap();
        assert_eq!(nonce, keys.make(659).unwrap());
        assert_ne!(nonce, keys.make(660).unwrap());
        assert_ne!(nonce, keys.make(599).unwrap());
        let mut times = vec![539, 540, 599, 600, 659, 660, 719, 720, 1000];
        times.retain(|now| keys.is_fresh(&nonce, *now));
        assert_eq!(times, [600, 659, 660, 719]);
        for now in [i64::MIN, i64::MAX] {
            assert!(keys.is_fresh(&keys.make(now).unwrap(), now), "{now}");
        }
    }

    #[test]
    fn keys_rotate_by_their_newest() {
        let (old, both, new) = (keys(&[OLD]), keys(&[NEW, OLD]), keys(&[NEW]));
        let [of_old, of_both, of_new] = [&old, &both, &new].map(|keys| keys.make(60).unwrap());
        assert!(both.is_fresh(&of_old, 60) && both.is_fresh(&of_new, 60));
        assert_eq!(of_both, of_new);
        assert!(!old.is_fresh(&of_both, 60) && !new.is_fresh(&of_old, 60));
        assert!(keys(&[NEW, NEW]).is_fresh(&of_new, 60), "twice the same is no harm");
        assert_eq!(keys(&[]).make(60), None);
    }

    #[test]
    fn what_nobody_made_is_not_fresh() {
        let keys = keys(&[NEW, OLD]);
        let nonce = keys.make(60).unwrap();
        let zeros = "A".repeat(43);
        for other in ["", "A", nonce.split_at(1).1, &format!("{nonce}="), &format!("{nonce}A"), &zeros] {
            assert!(!keys.is_fresh(other, 60), "{other}");
        }
    }

    #[test]
    fn keys_are_never_shown() {
        assert_eq!(format!("{:?}", keys(&[NEW, OLD])), "NonceKeys(2)");
    }
}
