//! A policy to try, under `policy.candidate`: the fields that say what a policy decides, and
//! none of those that say what becomes of it.
//!
//! It is read apart from the rest. The policy beside it holds whatever is wrong here.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::vocabulary::Vocabulary;
use super::{Finding, Findings, HandshakeConfig, ModeConfig, PolicyConfig, no_data, value};
use crate::policy::{Candidate, Policy};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct CandidateConfig {
    #[serde(default)]
    modules: BTreeMap<String, String>,
    #[serde(default = "no_data")]
    data: serde_json::Value,
    #[serde(default, deserialize_with = "value::present")]
    rules: Option<serde_json::Value>,
    #[serde(default)]
    handshake: HandshakeConfig,
    #[serde(default = "default_time_limit")]
    time_limit_ms: u64,
}

/// What it takes is taken from all calls of a worker, so it gets less than a policy in force.
fn default_time_limit() -> u64 {
    10
}

impl From<CandidateConfig> for PolicyConfig {
    fn from(config: CandidateConfig) -> Self {
        let CandidateConfig { modules, data, rules, handshake, time_limit_ms } = config;
        Self { modules, data, rules, handshake, mode: ModeConfig::Enforce, time_limit_ms, candidate: None }
    }
}

/// The candidate and what it was compiled to, or every finding of it.
pub(super) fn load(document: serde_json::Value, vocabulary: &Vocabulary) -> Result<(Candidate, Vec<u8>), Vec<Finding>> {
    let config = read(document)?;
    let mut findings = Findings(Vec::new());
    match findings.policy(config, vocabulary) {
        Some((policy, compiled)) if findings.0.is_empty() => Ok((Candidate::new(policy), compiled)),
        _ => Err(findings.0.into_iter().map(moved).collect()),
    }
}

/// The same candidate, of what it was compiled to elsewhere; `document` is the rest of it.
pub(super) fn take_over(document: serde_json::Value, compiled: &[u8]) -> Option<Candidate> {
    Policy::new(compiled, read(document).ok()?.options()).map(Candidate::new)
}

fn read(document: serde_json::Value) -> Result<PolicyConfig, Vec<Finding>> {
    let config = value::read::<CandidateConfig>(document, "policy.candidate").map_err(|finding| vec![finding])?;
    Ok(config.into())
}

/// A finding of a policy, as one of the candidate.
fn moved(Finding { path, problem }: Finding) -> Finding {
    let path = match path.strip_prefix("policy") {
        Some(below) => format!("policy.candidate{below}"),
        // In a bundled module.
        None => format!("policy.candidate: {path}"),
    };
    Finding { path, problem }
}
