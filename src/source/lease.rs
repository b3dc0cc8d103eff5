//! What the workers of one proxy know of a source together: a line of text in
//! shared data. Who fetches now, and until when that holds; how the last
//! attempts ended; what was fetched, and when.

/// How long a worker may take for one refresh, all of its calls together. A
/// worker that died with the lease cannot keep it longer.
pub(super) const LONGEST: u64 = 10_000;

/// All times are milliseconds since 1970; zero is never.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Lease {
    /// Who fetches; zero is nobody.
    pub(super) holder: u64,
    /// Until when nobody else does.
    pub(super) until: u64,
    /// Attempts that failed since the last that did not.
    pub(super) failures: u64,
    /// When the last of these ended.
    pub(super) failed: u64,
    /// When a fetch was last made because of an unknown `kid`.
    pub(super) forced: u64,
    /// When the last good fetch began.
    pub(super) fetched: u64,
    /// When the next one is due.
    pub(super) due: u64,
    /// What it brought; zero is nothing.
    pub(super) version: u128,
}

/// The layout of the line. Another layout is another word, and is not read.
const LAYOUT: &str = "mcp-gate-keys-1";

impl Lease {
    /// Reads it. What is none is as if there was none yet: shared data outlives
    /// modules, and others may write there.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut words = std::str::from_utf8(bytes).ok()?.split(' ');
        if words.next()? != LAYOUT {
            return None;
        }
        let mut number = || words.next()?.parse::<u64>().ok();
        let [holder, until, failures, failed, forced, fetched, due] =
            [number()?, number()?, number()?, number()?, number()?, number()?, number()?];
        let version = words.next()?.parse().ok()?;
        let lease = Self { holder, until, failures, failed, forced, fetched, due, version };
        words.next().is_none().then_some(lease)
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let Self { holder, until, failures, failed, forced, fetched, due, version } = self;
        format!("{LAYOUT} {holder} {until} {failures} {failed} {forced} {fetched} {due} {version}").into_bytes()
    }

    /// May this worker take it? A time beyond the longest lease was written before
    /// the clock went back.
    pub(super) fn is_free(&self, worker: u64, now: u64) -> bool {
        let is_over = now >= self.until || self.until > now.saturating_add(LONGEST);
        self.holder == 0 || self.holder == worker || is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_read_as_it_was_written_and_nothing_else_is() {
        let lease =
            Lease { holder: u64::MAX, until: 1, failures: 2, failed: 3, forced: 4, fetched: 5, due: 6, version: 7 };
        assert_eq!(Lease::read(&lease.to_bytes()), Some(lease));
        for bytes in [
            &b""[..],
            b"mcp-gate-keys-1",
            b"mcp-gate-keys-1 1 2 3 4 5 6 7",
            b"mcp-gate-keys-1 1 2 3 4 5 6 7 8 9",
            b"mcp-gate-keys-1 1 2 3 4 5 6 7 -8",
            b"mcp-gate-keys-2 1 2 3 4 5 6 7 8",
            b"\xff",
        ] {
            assert_eq!(Lease::read(bytes), None);
        }
    }

    #[test]
    fn a_lease_ends_by_time_whatever_the_clock_did() {
        let lease = Lease { holder: 1, until: 50_000, ..Lease::default() };
        assert!(!lease.is_free(2, 49_999));
        assert!(lease.is_free(1, 49_999));
        assert!(lease.is_free(2, 50_000));
        assert!(lease.is_free(2, 1_000), "the clock went back");
    }
}
