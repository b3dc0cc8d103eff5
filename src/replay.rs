//! Which proofs of possession were spent already (RFC 9449 §11.1).
//!
//! A proof is good once. The bytes of one shard and a [`Spend`] come in; the
//! shard's next bytes go out, or why the proof may not be used. Where the bytes
//! lie, and that nobody has changed them in between, is the adapter's part: it
//! reads, asks here, and writes by compare-and-swap.
//!
//! The workers of one proxy share one store. Another replica has its own and
//! knows nothing of this one's; what spans replicas is the age that a proof may
//! have, and nonces.

use crate::denial::Denial;

/// How many parts the store has, each written as a whole.
pub const SHARDS: usize = 64;

/// Entries of a shard. All of them together are below 2 MB: 99 840 proofs, which at
/// an age of five minutes is 330 a second.
const MOST: usize = 1560;

/// Entries of a shard that are of one holder, so that no single caller closes it for
/// all others, with however many keys: 83 a second.
const MOST_OF_ONE: usize = MOST / 4;

/// The last second in which the proof could be used, and its key.
const ENTRY: usize = 4 + 16;

/// One use of one proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spend {
    /// Whose proof it is, and a digest of its key and `jti`.
    pub key: [u8; 16],
    /// The last second in which the proof could be used.
    pub until: i64,
}

/// Bytes of a key that say whose proof it is. Who shares them with another shares a bound.
const HOLDER: usize = 4;

impl Spend {
    /// Of the proof by a key, which its thumbprint names: so nobody spends another's. Whose
    /// it is, say issuer and subject of the token.
    pub fn new(holder: (&str, &str), thumbprint: &str, jti: &str, until: i64) -> Self {
        let (issuer, subject) = holder;
        let mut holder = hmac_sha256::Hash::new();
        // The digest of the one has one length, so no two pairs are one text.
        holder.update(hmac_sha256::Hash::hash(issuer.as_bytes()));
        holder.update(subject);
        let holder = holder.finalize();
        let mut digest = hmac_sha256::Hash::new();
        // It has one length, so no two pairs are one text.
        digest.update(thumbprint);
        digest.update(jti);
        let mut key = [0; 16];
        let bytes = holder.into_iter().take(HOLDER).chain(digest.finalize());
        key.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        Self { key, until }
    }

    /// Whose it is.
    fn holder(&self) -> [u8; HOLDER] {
        let [a, b, c, d, ..] = self.key;
        [a, b, c, d]
    }
}

/// Why a proof cannot be spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replay {
    /// It was spent before, or nobody remembers that it was not.
    Seen,
    /// There is no place to remember it, or none for one more of its holder; or the bytes
    /// are none that this module wrote.
    Full,
}

impl From<Replay> for Denial {
    fn from(replay: Replay) -> Self {
        match replay {
            Replay::Seen => Self::ProofReplayed,
            Replay::Full => Self::ReplayStoreFull,
        }
    }
}

/// The shard that a proof belongs to, below [`SHARDS`].
pub fn shard_of(spend: &Spend) -> usize {
    let [.., last] = spend.key;
    usize::from(last) % SHARDS
}

/// Spends a proof: the shard with it, and without those that are over.
///
/// A shard is the latest end of all that it has forgotten, and the entries in
/// ascending order: so what is over stands first, and a proof that comes again
/// after the clock went back is still refused.
pub fn spend(shard: Option<&[u8]>, spend: &Spend, now: i64) -> Result<Vec<u8>, Replay> {
    let (forgotten, entries) = match shard {
        None => (0, &[] as &[[u8; ENTRY]]),
        Some(bytes) => read(bytes).ok_or(Replay::Full)?,
    };
    let over = entries.partition_point(|entry| i64::from(until(entry)) < now);
    let (over, live) = entries.split_at_checked(over).ok_or(Replay::Full)?;
    let forgotten = over.last().map_or(forgotten, |last| forgotten.max(until(last)));
    if spend.until < now || spend.until <= i64::from(forgotten) || live.iter().any(|entry| key(entry) == spend.key) {
        return Err(Replay::Seen);
    }
    let of_one = live.iter().filter(|entry| key(entry).starts_with(&spend.holder())).count();
    if live.len() >= MOST || of_one >= MOST_OF_ONE {
        return Err(Replay::Full);
    }
    let mut entry = [0; ENTRY];
    let (end, digest) = entry.split_at_mut(4);
    // Seconds fit until 2106.
    end.copy_from_slice(&u32::try_from(spend.until).map_err(|_| Replay::Full)?.to_be_bytes());
    digest.copy_from_slice(&spend.key);
    let (before, after) = live.split_at_checked(live.partition_point(|known| *known < entry)).ok_or(Replay::Full)?;
    Ok([&forgotten.to_be_bytes(), before.as_flattened(), &entry, after.as_flattened()].concat())
}

/// The parts of a shard, if it is one that [`spend`] wrote.
fn read(bytes: &[u8]) -> Option<(u32, &[[u8; ENTRY]])> {
    let (forgotten, entries) = bytes.split_first_chunk()?;
    let (entries, []) = entries.as_chunks() else { return None };
    let is_ours = entries.len() <= MOST && entries.is_sorted_by(|one, next| one < next);
    is_ours.then_some((u32::from_be_bytes(*forgotten), entries))
}

fn until(entry: &[u8; ENTRY]) -> u32 {
    let [a, b, c, d, ..] = *entry;
    u32::from_be_bytes([a, b, c, d])
}

fn key(entry: &[u8; ENTRY]) -> [u8; 16] {
    let [_, _, _, _, key @ ..] = *entry;
    key
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// splitmix64
    struct Random(u64);

    impl Random {
        fn below(&mut self, most: u64) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (mixed ^ (mixed >> 31)) % most
        }
    }

    /// Each of another holder.
    fn proof(number: u64, until: i64) -> Spend {
        let name = number.to_string();
        Spend::new(("as", &name), &name, "1", until)
    }

    #[test]
    fn a_proof_is_spent_once_to_its_last_second() {
        let first = spend(None, &proof(1, 100), 100).unwrap();
        assert_eq!(spend(Some(&first), &proof(1, 100), 100), Err(Replay::Seen));
        assert_eq!(spend(Some(&first), &proof(1, 101), 100), Err(Replay::Seen), "whatever age is allowed now");
        let second = spend(Some(&first), &proof(2, 100), 100).unwrap();
        assert_eq!(spend(Some(&second), &proof(1, 100), 100), Err(Replay::Seen));
        assert_eq!(spend(None, &proof(1, 100), 101), Err(Replay::Seen), "over");
        assert_eq!(second.len(), 4 + 2 * ENTRY);
    }

    #[test]
    fn what_is_over_is_forgotten_and_not_taken_again_when_the_clock_goes_back() {
        let shard = spend(None, &proof(1, 100), 50).unwrap();
        let shard = spend(Some(&shard), &proof(2, 300), 101).unwrap();
        assert_eq!(shard.len(), 4 + ENTRY);
        assert_eq!(spend(Some(&shard), &proof(1, 100), 50), Err(Replay::Seen));
        assert_eq!(spend(Some(&shard), &proof(3, 100), 50), Err(Replay::Seen), "nobody knows");
        assert!(spend(Some(&shard), &proof(3, 101), 50).is_ok());
        let shard = spend(Some(&shard), &proof(4, 900), 301).unwrap();
        assert_eq!(spend(Some(&shard), &proof(5, 300), 50), Err(Replay::Seen));
    }

    #[test]
    fn a_full_shard_refuses_until_something_is_over() {
        let mut shard = None;
        for number in 0..MOST as u64 {
            shard = Some(spend(shard.as_deref(), &proof(number, 1000 + number as i64 / 2), 1000).unwrap());
        }
        let shard = shard.unwrap();
        assert!(SHARDS * shard.len() <= 2_000_000, "{}", SHARDS * shard.len());
        let late = proof(u64::MAX, 2000);
        assert_eq!(spend(Some(&shard), &late, 1000), Err(Replay::Full));
        assert_eq!(spend(Some(&shard), &proof(7, 1003), 1000), Err(Replay::Seen), "still known");
        let next = spend(Some(&shard), &late, 1001).unwrap();
        assert_eq!(next.len(), shard.len() - ENTRY, "two were over");
    }

    #[test]
    fn one_holder_does_not_fill_a_shard() {
        // It has as many keys as it likes.
        let of = |holder: &str, number: usize| {
            Spend::new(("as", holder), &format!("key {}", number % 7), &number.to_string(), 1000 + number as i64 / 2)
        };
        let mut shard = None;
        for number in 0..MOST_OF_ONE {
            shard = Some(spend(shard.as_deref(), &of("one", number), 1000).unwrap());
        }
        let shard = shard.unwrap();
        assert_eq!(spend(Some(&shard), &of("one", MOST_OF_ONE), 1000), Err(Replay::Full));
        assert_eq!(spend(Some(&shard), &of("one", 7), 1000), Err(Replay::Seen), "still known");
        assert!(spend(Some(&shard), &of("one", MOST_OF_ONE), 1001).is_ok(), "two were over");
        let mut others = shard;
        for holder in 0..3 {
            for number in 0..MOST_OF_ONE {
                others = spend(Some(&others), &of(&format!("other {holder}"), number), 1000).unwrap();
            }
        }
        assert_eq!(spend(Some(&others), &of("last", 0), 1000), Err(Replay::Full), "{}", others.len());
    }

    #[test]
    fn a_proof_is_named_by_its_key_and_its_jti_and_counts_for_its_holder() {
        let of = |issuer, subject, key, jti| Spend::new((issuer, subject), key, jti, 1);
        let one = of("as", "alice", "one", "1");
        for same in [of("as", "alice", "one", "2"), of("as", "alice", "two", "1")] {
            assert_eq!(one.holder(), same.holder());
            assert_ne!(one.key, same.key);
        }
        for other in [of("as", "bob", "one", "1"), of("asa", "lice", "one", "1")] {
            assert_ne!(one.holder(), other.holder());
            assert_eq!(one.key[HOLDER..], other.key[HOLDER..], "the key and `jti` name the proof");
        }
        assert_eq!(one, of("as", "alice", "one", "1"));
    }

    #[test]
    fn bytes_of_nobody_are_a_full_shard() {
        let two = spend(Some(&spend(None, &proof(1, 100), 1).unwrap()), &proof(2, 200), 1).unwrap();
        let (head, entries) = two.split_at(4);
        let (one, other) = entries.split_at(ENTRY);
        let large = vec![0xff; 4 + (MOST + 1) * ENTRY];
        for bytes in [
            &[] as &[u8],
            &[0; 3],
            &two[..two.len() - 1],
            &[&two[..], &[0]].concat(),
            &[head, other, one].concat(),
            &[head, one, one].concat(),
            &large,
        ] {
            assert_eq!(spend(Some(bytes), &proof(3, 100), 1), Err(Replay::Full), "{bytes:?}");
        }
        assert!(spend(Some(head), &proof(3, 100), 1).is_ok(), "empty is ours");
    }

    #[test]
    fn a_time_that_does_not_fit_is_refused() {
        for until in [i64::from(u32::MAX) + 1, i64::MAX] {
            assert_eq!(spend(None, &proof(1, until), 1), Err(Replay::Full), "{until}");
        }
        assert_eq!(spend(None, &proof(1, -1), -5), Err(Replay::Seen));
        assert!(spend(None, &proof(1, i64::from(u32::MAX)), 1).is_ok());
    }

    #[test]
    fn every_shard_is_used() {
        let mut used: Vec<usize> = (0..4096).map(|number| shard_of(&proof(number, 0))).collect();
        used.sort_unstable();
        used.dedup();
        assert_eq!(used, (0..SHARDS).collect::<Vec<_>>());
    }

    #[test]
    fn a_random_history_is_that_of_a_set() {
        let mut random = Random(1);
        for _ in 0..50 {
            let (mut shard, mut now) = (None::<Vec<u8>>, 1000_i64);
            let mut known: HashMap<[u8; 16], i64> = HashMap::new();
            for _ in 0..400 {
                now += random.below(4) as i64;
                let spent = proof(random.below(60), now - 3 + random.below(40) as i64);
                let is_live = known.get(&spent.key).is_some_and(|until| *until >= now);
                let expected = if is_live || spent.until < now { Err(Replay::Seen) } else { Ok(()) };
                let found = spend(shard.as_deref(), &spent, now);
                assert_eq!(found.as_ref().map(drop), expected.as_ref().map(drop), "{spent:?} at {now}, {known:?}");
                if let Ok(next) = found {
                    known.insert(spent.key, spent.until);
                    let live = known.values().filter(|until| **until >= now).count();
                    assert_eq!(next.len(), 4 + live * ENTRY);
                    shard = Some(next);
                }
            }
        }
    }

    #[test]
    fn no_proof_is_taken_twice_wherever_the_clock_goes() {
        let mut random = Random(2);
        for _ in 0..50 {
            let mut shard = None::<Vec<u8>>;
            // A proof's own end never changes.
            let mut ends: HashMap<u64, i64> = HashMap::new();
            let mut taken = Vec::new();
            let mut now = 1000_i64;
            for _ in 0..400 {
                now += random.below(41) as i64 - 20;
                let number = random.below(80);
                let until = *ends.entry(number).or_insert(now + random.below(60) as i64);
                if let Ok(next) = spend(shard.as_deref(), &proof(number, until), now) {
                    assert!(!taken.contains(&number), "{number}, until {until}, at {now}");
                    taken.push(number);
                    shard = Some(next);
                }
            }
            assert!(taken.len() > 10);
        }
    }

    /// What a host does with one shard: what is not there takes any expectation.
    #[derive(Default)]
    struct Shared {
        shard: Option<(Vec<u8>, u32)>,
        count: u32,
    }

    impl Shared {
        fn swap(&mut self, bytes: Vec<u8>, expected: u32) -> bool {
            if self.shard.as_ref().is_some_and(|(_, current)| *current != expected) {
                return false;
            }
            self.count += 1;
            self.shard = Some((bytes, self.count));
            true
        }
    }

    #[test]
    fn of_writers_that_interleave_one_spends() {
        let mut random = Random(3);
        for round in 0..500 {
            let mut shared = Shared::default();
            if round % 2 == 0 {
                assert!(shared.swap(spend(None, &proof(99, 100), 1).unwrap(), u32::MAX));
            }
            // Three bring one proof, the fourth brings another.
            let proofs = [proof(1, 100), proof(1, 100), proof(1, 100), proof(2, 100)];
            let mut read: [Option<(Option<Vec<u8>>, u32)>; 4] = Default::default();
            let mut ends: [Option<Result<(), Replay>>; 4] = [None; 4];
            while ends.iter().any(Option::is_none) {
                let writer = random.below(4) as usize;
                match read[writer].take() {
                    _ if ends[writer].is_some() => {}
                    None => {
                        let cas = shared.shard.as_ref().map_or(u32::MAX, |(_, cas)| *cas);
                        read[writer] = Some((shared.shard.clone().map(|(bytes, _)| bytes), cas));
                    }
                    Some((bytes, cas)) => match spend(bytes.as_deref(), &proofs[writer], 1) {
                        Err(replay) => ends[writer] = Some(Err(replay)),
                        Ok(next) => {
                            if shared.swap(next, cas) {
                                ends[writer] = Some(Ok(()));
                            }
                        }
                    },
                }
            }
            let spent = ends[..3].iter().filter(|end| **end == Some(Ok(()))).count();
            let seen = ends[..3].iter().filter(|end| **end == Some(Err(Replay::Seen))).count();
            assert_eq!((spent, seen, ends[3]), (1, 2, Some(Ok(()))));
        }
    }
}
