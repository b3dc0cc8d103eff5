//! The audit record: one line of JSON for each request, whatever became of it.
//!
//! It says who asked for what, what was decided, why, and by which policy. It
//! holds no token, and no argument of the call but what a policy writes into its
//! reasons. What comes from the caller is
//! escaped and cut to a length, so that no one writes a log line of their own.

use std::time::SystemTime;

use serde::Serialize;

use crate::denial::Denial;

/// What is known of a request so far. Absent fields are left out of the line.
#[derive(Debug, Default, Clone)]
pub struct Record {
    /// The canonical URL of the protected resource.
    pub resource: Option<String>,
    /// `iss` of the verified token.
    pub issuer: Option<String>,
    /// `sub` of the verified token.
    pub subject: Option<String>,
    /// `client_id` of the verified token.
    pub client: Option<String>,
    /// The JSON-RPC method, or `stream` and `terminate` for GET and DELETE.
    pub method: Option<String>,
    /// The name of the tool or prompt, the URI of the resource, the id of the task.
    pub name: Option<String>,
    /// Everything that `deny` held.
    pub reasons: Vec<String>,
    /// What the code alone does not say.
    pub detail: Option<String>,
    /// The denial that shadow mode let pass.
    pub shadow: Option<&'static str>,
    /// What a candidate would have said instead.
    pub candidate: Option<Opinion>,
    /// What was in the lists of the answer.
    pub lists: Option<Tally>,
    /// The names of those entries that are not what they were when they were pinned.
    pub changed: Vec<String>,
}

/// What a policy says that is not in force.
#[derive(Debug, Clone)]
pub struct Opinion {
    /// What it would decide.
    pub said: Result<(), Denial>,
    /// Which policy that is.
    pub revision: String,
}

/// The entries of lists that a server answered with, and what became of them.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// All of them.
    pub listed: u32,
    /// Those that the caller may not know of.
    pub hidden: u32,
    /// Those among the hidden of which the rules could not say.
    pub failed: u32,
    /// Those that are not what they were when they were pinned.
    pub changed: u32,
    /// Was nothing hidden, and only counted?
    pub shadow: bool,
}

impl Tally {
    /// Adds the entries of another list.
    pub fn add(&mut self, other: Self) {
        self.listed = self.listed.saturating_add(other.listed);
        self.hidden = self.hidden.saturating_add(other.hidden);
        self.failed = self.failed.saturating_add(other.failed);
        self.changed = self.changed.saturating_add(other.changed);
        self.shadow |= other.shadow;
    }
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Forwarded.
    Permit,
    /// Answered by the gate, or ended before it was decided.
    Deny,
    /// Answered by the gate as asked: its own metadata.
    Serve,
}

/// What it was decided under, by the names that `mcp-gate check` prints.
#[derive(Debug, Default, Clone, Copy)]
pub struct Under<'a> {
    /// Of the policy.
    pub revision: &'a str,
    /// Of the whole configuration.
    pub configuration: &'a str,
}

/// The longest value that a caller can put into a record, in bytes.
const LONGEST: usize = 256;

/// The most reasons, and the most names, that are told.
const MOST: usize = 16;

/// What is told of reasons, to whomever: some of them, cut to a length.
pub fn told(reasons: &[String]) -> Vec<&str> {
    reasons.iter().take(MOST).map(|reason| cut(reason)).collect()
}

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    decision_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    decision: &'a str,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    shadow: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    candidate: Option<Said<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    listed: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hidden: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shadow_hidden: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    list_errors: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changed: Vec<&'a str>,
    revision: &'a str,
    configuration: &'a str,
    duration_us: u64,
}

/// The part of the line that is about a candidate.
#[derive(Serialize)]
struct Said<'a> {
    code: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    revision: &'a str,
}

impl<'a> From<&'a Opinion> for Said<'a> {
    fn from(Opinion { said, revision }: &'a Opinion) -> Self {
        let denial = said.as_ref().err();
        let reasons = match denial {
            Some(Denial::PolicyDenied { reasons }) => told(reasons),
            _ => Vec::new(),
        };
        let detail = denial.and_then(Denial::detail).map(|detail| cut(&detail).to_owned());
        Self { code: denial.map_or("permitted", Denial::code), reasons, detail, revision }
    }
}

impl Record {
    /// Adds an entry that is not what it was, once: a stream may hold it again and again.
    pub fn add_changed(&mut self, name: &str) {
        let name = cut(name);
        if self.changed.len() < MOST && !self.changed.iter().any(|known| known == name) {
            self.changed.push(name.to_owned());
        }
    }

    /// The record as one line of JSON, without a line end.
    ///
    /// `code` is that of the denial, or `permitted` or `served`; `started` and `now` are the
    /// host's times.
    pub fn line(
        &self,
        decision_id: &str,
        verdict: Verdict,
        code: &str,
        under: Under<'_>,
        started: SystemTime,
        now: SystemTime,
    ) -> String {
        // A clock that was set back makes a duration of zero, not an error.
        let duration = now.duration_since(started).unwrap_or_default();
        let hidden = |shadow: bool| self.lists.filter(|lists| lists.shadow == shadow).map(|lists| lists.hidden);
        let line = Line {
            time: humantime::format_rfc3339_millis(started).to_string(),
            decision_id,
            resource: self.resource.as_deref(),
            issuer: self.issuer.as_deref().map(cut),
            subject: self.subject.as_deref().map(cut),
            client: self.client.as_deref().map(cut),
            method: self.method.as_deref().map(cut),
            name: self.name.as_deref().map(cut),
            decision: match verdict {
                Verdict::Permit => "permit",
                Verdict::Deny => "deny",
                Verdict::Serve => "serve",
            },
            code,
            shadow: self.shadow,
            reasons: told(&self.reasons),
            detail: self.detail.as_deref().map(cut),
            candidate: self.candidate.as_ref().map(Said::from),
            listed: self.lists.map(|lists| lists.listed),
            hidden: hidden(false),
            shadow_hidden: hidden(true),
            list_errors: self.lists.map(|lists| lists.failed).filter(|failed| *failed > 0),
            changed: self.changed.iter().map(String::as_str).collect(),
            revision: under.revision,
            configuration: under.configuration,
            duration_us: u64::try_from(duration.as_micros()).unwrap_or(u64::MAX),
        };
        // Strings and integers have no way to fail; an empty record would be found missing.
        serde_json::to_string(&line).unwrap_or_default()
    }
}

/// At most [`LONGEST`] bytes of a string, cut between two characters.
fn cut(value: &str) -> &str {
    let mut end = value.len().min(LONGEST);
    while !value.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    value.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_record_is_one_line_of_json_that_nobody_can_break() {
        let record = Record {
            subject: Some("mallory\n{\"decision\":\"permit\"}".into()),
            name: Some("é".repeat(1000)),
            detail: Some("x".repeat(1000)),
            ..Record::default()
        };
        let started = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_392_000);
        let line = record.line(
            "d1",
            Verdict::Deny,
            "policy_denied",
            Under::default(),
            started,
            started + Duration::from_micros(42),
        );
        assert!(!line.contains('\n'));
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["decision"], "deny");
        assert_eq!(line["time"], "2026-11-23T00:00:00.000Z");
        assert_eq!(line["duration_us"], 42);
        assert_eq!(line["name"].as_str().unwrap().len(), 256);
        assert_eq!(line["detail"].as_str().unwrap().len(), 256);
        assert!(line.get("issuer").is_none());
    }

    #[test]
    fn a_clock_set_back_gives_no_duration() {
        let started = SystemTime::UNIX_EPOCH + Duration::from_secs(2);
        let line = Record::default().line(
            "d",
            Verdict::Permit,
            "permitted",
            Under::default(),
            started,
            SystemTime::UNIX_EPOCH,
        );
        assert!(line.contains("\"duration_us\":0"));
    }
}
