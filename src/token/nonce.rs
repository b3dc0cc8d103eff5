//! Nonces of DPoP (RFC 9449 §9): the time under a key, so that nobody has to
//! remember them. Any worker, and any proxy with the same keys, knows its own.

use std::fmt;

use hmac_sha256::HMAC;

use super::{decode, encode};

/// A nonce is good in its own step and in the next: for one to two of these, in seconds.
const STEP: i64 = 60;

/// The keys of nonces, one for each session key.
pub struct NonceKeys {
    newest: [u8; 32],
    older: Vec<[u8; 32]>,
}

impl fmt::Debug for NonceKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NonceKeys(…)")
    }
}

impl NonceKeys {
    /// Derives them from session keys. The newest makes nonces; the older ones
    /// know those that are still on their way.
    pub fn derive<K: AsRef<[u8]>>(newest: K, older: impl IntoIterator<Item = K>) -> Self {
        let derive = |key: K| HMAC::mac("dpop nonce, version 1", key);
        Self { newest: derive(newest), older: older.into_iter().map(derive).collect() }
    }

    /// The nonce of this second, for `DPoP-Nonce`.
    pub fn make(&self, now: i64) -> String {
        encode(&HMAC::mac(step(now).to_be_bytes(), self.newest))
    }

    /// Is this a nonce that [`NonceKeys::make`] gave lately?
    pub fn is_fresh(&self, nonce: &str, now: i64) -> bool {
        let Ok(Ok(nonce)) = decode(nonce).map(<[u8; 32]>::try_from) else { return false };
        let steps = [step(now), step(now).saturating_sub(1)];
        let keys = std::iter::once(&self.newest).chain(&self.older);
        // Every key and step is asked, in constant time: a nonce is a MAC.
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

    const NEW: &[u8] = b"a key of thirty-two bytes or more";
    const OLD: &[u8] = b"the key that was there before this";

    #[test]
    fn a_nonce_is_good_in_its_step_and_in_the_next() {
        let keys = NonceKeys::derive(NEW, []);
        let nonce = keys.make(600);
        assert_eq!(nonce, keys.make(659));
        assert_ne!(nonce, keys.make(660));
        assert_ne!(nonce, keys.make(599));
        let mut times = vec![539, 540, 599, 600, 659, 660, 719, 720, 1000];
        times.retain(|now| keys.is_fresh(&nonce, *now));
        assert_eq!(times, [600, 659, 660, 719]);
        for now in [i64::MIN, i64::MAX] {
            assert!(keys.is_fresh(&keys.make(now), now), "{now}");
        }
    }

    #[test]
    fn keys_rotate_by_their_newest() {
        let (old, both, new) = (NonceKeys::derive(OLD, []), NonceKeys::derive(NEW, [OLD]), NonceKeys::derive(NEW, []));
        assert!(both.is_fresh(&old.make(60), 60));
        assert!(both.is_fresh(&new.make(60), 60));
        assert_eq!(both.make(60), new.make(60));
        assert!(!old.is_fresh(&both.make(60), 60));
        assert!(!new.is_fresh(&old.make(60), 60));
    }

    #[test]
    fn what_nobody_made_is_not_fresh() {
        let keys = NonceKeys::derive(NEW, [OLD]);
        let nonce = keys.make(60);
        let zeros = "A".repeat(43);
        for other in ["", "A", nonce.split_at(1).1, &format!("{nonce}="), &format!("{nonce}A"), &zeros] {
            assert!(!keys.is_fresh(other, 60), "{other}");
        }
        // A session key is not itself the key of nonces.
        assert_ne!(nonce, encode(&HMAC::mac(step(60).to_be_bytes(), NEW)));
    }

    #[test]
    fn keys_are_never_shown() {
        assert_eq!(format!("{:?}", NonceKeys::derive(NEW, [])), "NonceKeys(…)");
    }
}
