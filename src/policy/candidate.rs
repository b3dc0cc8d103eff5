//! A policy beside the one in force: asked the same questions, and heard by the operator alone.
//!
//! What it says is no [`Permit`](super::Permit), and none is made of it. It gets a share of
//! its worker's time and no more, so that a policy nobody has tried yet takes nothing from
//! the calls that the other one decides.

use std::cell::Cell;
use std::time::{Duration, SystemTime};

use super::{Policy, Question};
use crate::denial::Denial;

/// A worker's time for each unit of it that goes into the candidate.
const SHARE: u32 = 10;

/// How far ahead of its share a candidate may be.
const AHEAD: Duration = Duration::from_secs(1);

/// Farther ahead than the longest evaluation could bring it.
const BEYOND: Duration = Duration::from_secs(600);

/// A compiled policy that decides nothing.
#[derive(Debug)]
pub struct Candidate {
    policy: Policy,
    /// When its share of the time makes up for what it has taken.
    due: Cell<SystemTime>,
}

/// What the candidate says beside what was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agreement {
    /// The same.
    Agreed,
    /// Something else.
    Disagreed,
    /// Nothing: its evaluation failed.
    Failed,
    /// It was not asked, because its share of the time is taken.
    Skipped,
}

impl Agreement {
    /// Its name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Agreed => "agreed",
            Self::Disagreed => "disagreed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }

    /// Of what was decided, by its code, and what the candidate says.
    pub fn of(decided: &str, said: &Result<(), Denial>) -> Self {
        // To whoever called, both are a plain no.
        let plain = |code| if code == "policy_undefined" { "policy_denied" } else { code };
        match said {
            Err(Denial::PolicyError(_) | Denial::PolicyTimeout | Denial::PolicyType(_)) => Self::Failed,
            said if plain(decided) == plain(code(said)) => Self::Agreed,
            _ => Self::Disagreed,
        }
    }
}

fn code(said: &Result<(), Denial>) -> &'static str {
    said.as_ref().map_or_else(Denial::code, |()| "permitted")
}

impl Candidate {
    /// Of a policy that is not in force.
    pub fn new(policy: Policy) -> Self {
        Self { policy, due: Cell::new(SystemTime::UNIX_EPOCH) }
    }

    /// What is tried.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// As [`Policy::revision`].
    pub fn revision(&self) -> &str {
        self.policy.revision()
    }

    /// As [`Policy::evaluator`].
    pub fn evaluator(&self) -> String {
        self.policy.evaluator()
    }

    /// As [`Policy::wants_peer`].
    pub fn wants_peer(&self) -> bool {
        self.policy.wants_peer()
    }

    #[cfg(test)]
    pub(crate) fn time_limit(&self) -> Duration {
        self.policy.time_limit()
    }

    /// What it would decide.
    pub fn ask(&self, question: Question<'_>) -> Result<(), Denial> {
        self.policy.check_head(question.head)?;
        self.policy.weigh(question)?;
        self.policy.check_members(question.call)
    }

    /// May it be asked now?
    pub fn is_rested(&self, now: SystemTime) -> bool {
        match self.due.get().duration_since(now) {
            // The clock was set back.
            Ok(ahead) if ahead > BEYOND => {
                self.due.set(now);
                true
            }
            Ok(ahead) => ahead <= AHEAD,
            Err(_) => true,
        }
    }

    /// It was asked from then until now.
    pub fn rest(&self, taken: Duration, now: SystemTime) {
        let due = self.due.get().max(now);
        self.due.set(due.checked_add(taken.saturating_mul(SHARE)).unwrap_or(due));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::policy::Options;

    fn candidate() -> Candidate {
        let modules =
            BTreeMap::from([("a.rego".to_owned(), "package mcp.authz\n\nallow if input.mcp.name\n".to_owned())]);
        let options = Options { handshake: true, shadow: false, time_limit: Duration::from_secs(1) };
        Candidate::new(Policy::compile(&modules, &serde_json::json!({}), options).unwrap())
    }

    #[test]
    fn however_long_it_takes_it_gets_a_tenth_of_the_time() {
        for (taken, idle) in [(80_u64, 0_u64), (20, 5), (9, 1), (1, 0), (1, 99), (5000, 0)] {
            let [taken, idle] = [taken, idle].map(Duration::from_millis);
            let candidate = candidate();
            let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_392_000);
            let (mut now, mut sum, mut skipped) = (start, Duration::ZERO, 0);
            for _ in 0..10_000 {
                if candidate.is_rested(now) {
                    now += taken;
                    sum += taken;
                    candidate.rest(taken, now);
                } else {
                    skipped += 1;
                }
                now += idle.max(Duration::from_millis(1));
            }
            let most = now.duration_since(start).unwrap() / SHARE + AHEAD / SHARE + taken;
            assert!(sum <= most, "{taken:?}: expected at most {most:?}, found {sum:?}");
            assert_eq!(skipped == 0, taken * SHARE <= idle + taken, "{taken:?} after {idle:?}: {skipped} skipped");
        }
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_silence_it() {
        let candidate = candidate();
        let [then, now] = [2_000_000, 1_000_000].map(|at| SystemTime::UNIX_EPOCH + Duration::from_secs(at));
        candidate.rest(Duration::from_secs(1), then);
        assert!(!candidate.is_rested(then));
        assert!(candidate.is_rested(now));
    }

    #[test]
    fn what_differs_is_the_answer_and_not_the_words_for_it() {
        let denied = |reason: &str| Denial::PolicyDenied { reasons: vec![reason.to_owned()] };
        let scope = Denial::ScopeMissing { needed: vec!["a".into()], granted: Vec::new() };
        for (decided, said, expected) in [
            ("permitted", Ok(()), Agreement::Agreed),
            ("permitted", Err(denied("no")), Agreement::Disagreed),
            ("policy_denied", Ok(()), Agreement::Disagreed),
            ("policy_denied", Err(denied("no")), Agreement::Agreed),
            ("policy_denied", Err(Denial::PolicyUndefined), Agreement::Agreed),
            ("policy_undefined", Err(denied("no")), Agreement::Agreed),
            ("policy_denied", Err(scope.clone()), Agreement::Disagreed),
            ("scope_missing", Err(scope), Agreement::Agreed),
            ("policy_error", Ok(()), Agreement::Disagreed),
            ("policy_error", Err(Denial::PolicyError(String::new())), Agreement::Failed),
            ("permitted", Err(Denial::PolicyTimeout), Agreement::Failed),
            ("policy_denied", Err(Denial::PolicyType("deny")), Agreement::Failed),
        ] {
            assert_eq!(Agreement::of(decided, &said), expected, "{decided} beside {said:?}");
        }
    }
}
