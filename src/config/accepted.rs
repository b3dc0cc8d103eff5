//! What one worker made of a configuration, for those that are given the same.
//!
//! Envoy gives a configuration to each of its workers, and before them to a module on its main
//! thread, which serves nobody. Whoever is first reads and compiles all of it; the others
//! compare bytes and take over what came of it, so that they serve again at once. It is found in
//! Envoy's shared data, which the modules of one `vm_id` alone can write.

use serde::{Deserialize, Serialize};

use super::Finding;

/// The build that this is. What another one made may mean something else.
const BUILD: &str = env!("MCP_GATE_BUILD");

/// A configuration that was accepted, and what was made of its policies.
#[derive(Deserialize, Serialize)]
pub(super) struct Accepted<'a> {
    build: &'a str,
    /// As the host gave it.
    #[serde(borrow)]
    configuration: &'a [u8],
    /// As [`Gate::configuration`](crate::gate::Gate::configuration).
    pub(super) revision: String,
    /// Its document without modules, data and rules, as JSON.
    pub(super) rest: &'a str,
    /// What [`compile`](crate::policy::compile) gave.
    #[serde(borrow)]
    pub(super) policy: &'a [u8],
    /// The same of the candidate, or why it was left out.
    #[serde(borrow)]
    pub(super) candidate: Result<Option<&'a [u8]>, Vec<Finding>>,
}

impl<'a> Accepted<'a> {
    pub(super) fn new(
        configuration: &'a [u8],
        revision: String,
        rest: &'a str,
        policy: &'a [u8],
        candidate: Result<Option<&'a [u8]>, Vec<Finding>>,
    ) -> Self {
        Self { build: BUILD, configuration, revision, rest, policy, candidate }
    }

    /// Nothing, if it cannot be written: then each worker is on its own.
    pub(super) fn to_bytes(&self) -> Option<Vec<u8>> {
        postcard::to_allocvec(self).ok()
    }

    /// What was made of this very configuration, by this build.
    pub(super) fn from_bytes(bytes: &'a [u8], configuration: &[u8]) -> Option<Self> {
        let accepted: Self = postcard::from_bytes(bytes).ok()?;
        (accepted.build == BUILD && accepted.configuration == configuration).then_some(accepted)
    }
}

/// What is compiled of a document, and no worker needs beside it.
pub(super) const COMPILED: [(&str, &str); 6] = [
    ("/policy", "modules"),
    ("/policy", "data"),
    ("/policy", "rules"),
    ("/policy/candidate", "modules"),
    ("/policy/candidate", "data"),
    ("/policy/candidate", "rules"),
];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use crate::config::{self, Surroundings};

    use super::*;

    fn configuration(candidate: &serde_json::Value) -> Vec<u8> {
        let data = |tool: &str| json!({"roles": {"a": {"tools": [tool]}}, "assignments": [{"subjects": ["s"], "roles": ["a"]}]});
        let mut document = json!({
            "resources": [{"url": "http://127.0.0.1/mcp", "api_keys": ["k"]}],
            "api_keys": [{"name": "k", "digests": ["00".repeat(32)], "subject": "s"}],
            "policy": {"data": data("read"), "candidate": {"data": data("write"), "time_limit_ms": 7}},
        });
        if !candidate.is_null() {
            document["policy"]["candidate"] = candidate.clone();
        }
        document.to_string().into_bytes()
    }

    fn share(configuration: &[u8]) -> Vec<u8> {
        let loaded = config::load_to_share(configuration, &Surroundings::offline());
        let (_, shared) = loaded.unwrap_or_else(|findings| panic!("{findings:?}"));
        shared.unwrap()
    }

    #[test]
    fn a_candidate_is_taken_over_or_left_out_as_it_was() {
        for (candidate, is_sound) in [(json!(null), true), (json!({"data": {"roles": 1}}), false), (json!(5), false)] {
            let configuration = configuration(&candidate);
            let loaded = config::load(&configuration, &Surroundings::offline()).unwrap();
            let taken = config::take_over(&configuration, &share(&configuration), &Surroundings::offline()).unwrap();
            match (loaded.candidate, taken.candidate) {
                (Ok(Some(loaded)), Ok(Some(taken))) if is_sound => assert_eq!(loaded.revision(), taken.revision()),
                (Err(loaded), Err(taken)) if !is_sound => assert_eq!(loaded, taken),
                found => panic!("{candidate}: {found:?}"),
            }
        }
    }

    #[test]
    fn nothing_is_taken_over_but_for_the_same_configuration_in_the_same_build() {
        let configuration = configuration(&json!(null));
        let shared = share(&configuration);
        let take = |configuration: &[u8], shared: &[u8]| {
            config::take_over(configuration, shared, &Surroundings::offline()).is_some()
        };
        assert!(take(&configuration, &shared));
        for at in [0, configuration.len() / 2, configuration.len() - 1] {
            let mut other = configuration.clone();
            other[at] ^= 1;
            assert!(!take(&other, &shared), "byte {at}");
        }
        assert!(!take(&configuration[1..], &shared));
        for length in (0..shared.len()).step_by(97) {
            assert!(!take(&configuration, &shared[..length]), "the first {length} bytes");
        }
        let accepted = Accepted::from_bytes(&shared, &configuration).unwrap();
        let other = Accepted { build: "another", ..accepted }.to_bytes().unwrap();
        assert!(!take(&configuration, &other));
    }

    #[test]
    fn a_candidate_has_its_own_limit_wherever_it_was_compiled() {
        let configuration = configuration(&json!(null));
        let taken = config::take_over(&configuration, &share(&configuration), &Surroundings::offline()).unwrap();
        assert_eq!(taken.candidate.unwrap().unwrap().time_limit(), Duration::from_millis(7));
        assert_eq!(taken.policy.time_limit(), Duration::from_millis(100));
    }

    #[test]
    fn a_worker_without_a_variable_takes_nothing_over() {
        let mut document: serde_json::Value = serde_json::from_slice(&configuration(&json!(null))).unwrap();
        document["session_keys"] = json!([{"env": "KEY"}]);
        let configuration = document.to_string().into_bytes();
        let environment = |_: &str| Some("A".repeat(43));
        let surroundings = Surroundings { environment: &environment, ..Surroundings::offline() };
        let (_, shared) = config::load_to_share(&configuration, &surroundings).unwrap();
        let shared = shared.unwrap();
        assert!(config::take_over(&configuration, &shared, &surroundings).is_some());
        assert!(config::take_over(&configuration, &shared, &Surroundings::offline()).is_none());
    }

    /// A document that is not what it was when its policies were compiled is not half of one.
    #[test]
    fn what_has_another_shape_is_not_taken_over() {
        let configuration = configuration(&json!(null));
        let shared = share(&configuration);
        let accepted = || Accepted::from_bytes(&shared, &configuration).unwrap();
        for other in [
            Accepted { rest: "{", ..accepted() },
            Accepted { rest: "{}", ..accepted() },
            Accepted { policy: &[], ..accepted() },
            Accepted { candidate: Ok(Some(&[1, 2, 3])), ..accepted() },
        ] {
            let taken = config::take_over(&configuration, &other.to_bytes().unwrap(), &Surroundings::offline());
            assert!(taken.is_none());
        }
    }
}
