//! Holds what happened to a request against what a case expects.

use serde_json::{Map, Value, json};

use crate::case::{Expect, Forward, Reply, Request, Step};

/// What became of a request.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// What upstream got: the head and the body.
    Forward { headers: Vec<(String, Vec<u8>)>, body: Vec<u8> },
    /// What the client got, and upstream nothing.
    Reply { status: u16, headers: Vec<(String, Vec<u8>)>, body: Vec<u8> },
    /// Neither.
    Unanswered,
}

/// An argument or a query that says this must be in no record.
const PRIVATE: &str = "do-not-record";

/// Everything that is not as the case says.
struct Check(Vec<String>);

/// Compares; `record` is nothing where the gate was not asked.
pub(crate) fn check(step: &Step, sent: &Request, outcome: &Outcome, record: Option<&Value>) -> Result<(), String> {
    let mut check = Check(Vec::new());
    match (&step.expect, outcome) {
        (Expect::Forward(expected), Outcome::Forward { headers, body }) => {
            check.forward(expected, sent, headers, body, record);
            check.record(step, record, "permit", "permitted");
        }
        // Where one read fills Envoy's buffer, it may answer for the gate, which decided and recorded.
        (Expect::Reply(expected), Outcome::Reply { status: 413, headers, .. })
            if expected.status == 413 && is_beyond_envoy(sent) && one(headers, "content-type") == "text/plain" =>
        {
            check.record(step, record, "deny", &expected.code);
        }
        (Expect::Reply(expected), Outcome::Reply { status, headers, body }) => {
            // The answer to HEAD is a head.
            let body = (sent.method != "HEAD").then_some(body.as_slice());
            check.reply(expected, *status, headers, body, record);
            let decision = if is_denial(expected) { "deny" } else { "serve" };
            check.record(step, record, decision, &expected.code);
        }
        // Before there was a stream to decide on; its line in the log is empty.
        (Expect::Reset {}, Outcome::Unanswered) => check.equal("record", &None, &record),
        (Expect::Unanswered {}, Outcome::Unanswered) => check.record(step, record, "deny", "incomplete"),
        (Expect::Edge { status: expected }, Outcome::Reply { status, .. }) => {
            check.equal("status", expected, status);
            check.record(step, record, "deny", "incomplete");
        }
        _ => check.0.push(format!("found {}", shown(outcome))),
    }
    // A record is for people who may not have the token.
    for (name, value) in &sent.headers {
        let value = String::from_utf8_lossy(value);
        let token = value.split(' ').nth(1).unwrap_or_default();
        let token = if name == "x-api-key" { &value } else { token };
        if matches!(name.as_str(), "authorization" | "x-api-key")
            && token.len() > 16
            && record.is_some_and(|record| record.to_string().contains(token))
        {
            check.0.push("the record holds the token".into());
        }
    }
    let body = String::from_utf8_lossy(sent.body.as_deref().unwrap_or_default());
    if (body.contains(PRIVATE) || sent.path.contains(PRIVATE))
        && record.is_some_and(|record| record.to_string().contains(PRIVATE))
    {
        check.0.push("the record holds an argument or a query".into());
    }
    if check.0.is_empty() {
        Ok(())
    } else {
        Err(format!("{}\n  record: {}", check.0.join("\n"), record.unwrap_or(&Value::Null)))
    }
}

impl Check {
    fn equal<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, expected: &T, found: &T) {
        if expected != found {
            self.0.push(format!("{what}: expected {expected:?}, found {found:?}"));
        }
    }

    /// `null` says that a member is not there.
    fn members(&mut self, what: &str, expected: &Map<String, Value>, found: Option<&Value>) {
        for (name, value) in expected {
            let found = found.and_then(|found| found.get(name)).unwrap_or(&Value::Null);
            self.equal(&format!("{what} `{name}`"), value, found);
        }
    }

    fn headers(&mut self, expected: &Map<String, Value>, found: &[(String, Vec<u8>)]) {
        for (name, value) in expected {
            self.equal(&format!("header `{name}`"), value, &one(found, name));
        }
    }

    fn forward(
        &mut self,
        expected: &Forward,
        sent: &Request,
        headers: &[(String, Vec<u8>)],
        body: &[u8],
        record: Option<&Value>,
    ) {
        self.headers(&expected.headers, headers);
        for name in &expected.absent {
            self.equal(&format!("header `{name}`"), &Value::Null, &one(headers, name));
        }
        if sent.body.as_deref().unwrap_or_default() != body {
            self.0.push(format!("upstream got another body: {:?}", String::from_utf8_lossy(body)));
        }
        // Outside of protected resources nobody is introduced.
        let resource = record.and_then(|record| record.get("resource"));
        if resource.is_some() {
            let decision = record.and_then(|record| record.get("decision_id")).unwrap_or(&Value::Null);
            self.equal("header `x-mcp-gate-decision`", decision, &one(headers, "x-mcp-gate-decision"));
        }
    }

    fn reply(
        &mut self,
        expected: &Reply,
        status: u16,
        headers: &[(String, Vec<u8>)],
        body: Option<&[u8]>,
        record: Option<&Value>,
    ) {
        self.equal("status", &expected.status, &status);
        self.headers(&expected.headers, headers);
        for name in ["www-authenticate", "allow", "retry-after"] {
            if !expected.headers.contains_key(name) {
                self.equal(&format!("header `{name}`"), &Value::Null, &one(headers, name));
            }
        }
        // What has no content has no type of it.
        let media_type = if matches!(status, 204 | 304) { Value::Null } else { Value::from("application/json") };
        self.equal("header `content-type`", &media_type, &one(headers, "content-type"));
        let Some(body) = body else { return };
        let body: Value = serde_json::from_slice(body).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(body)));
        if !is_denial(expected) {
            return self.members("body", &expected.body, Some(&body));
        }
        self.equal("header `cache-control`", &Value::from("no-store"), &one(headers, "cache-control"));
        let decision = record.map_or(Value::Null, |record| record["decision_id"].clone());
        if !expected.headers.contains_key("x-mcp-gate-decision") {
            self.equal("header `x-mcp-gate-decision`", &decision, &one(headers, "x-mcp-gate-decision"));
        }
        if let Some(message) = &expected.message {
            let text = message.to_string().replace("{decision}", decision.as_str().unwrap_or("{decision}"));
            return self.equal("message", &serde_json::from_str(&text).unwrap_or_default(), &body);
        }

        // A bad credential has one answer; its cause is for the record.
        let credential = status == 401 && expected.code != "step_up_required";
        let code = Value::from(if credential { "unauthorized" } else { &expected.code });
        match expected.rpc {
            Some(rpc) => {
                self.equal("`jsonrpc`", &Value::from("2.0"), &body["jsonrpc"]);
                self.equal("`error.code`", &Value::from(rpc), &body["error"]["code"]);
                self.equal("`error.data.code`", &code, &body["error"]["data"]["code"]);
                self.equal("`error.data.decision_id`", &decision, &body["error"]["data"]["decision_id"]);
                self.equal("`id`", &expected.id.as_ref(), &body.get("id"));
                self.members("error.data", &expected.body, body["error"].get("data"));
            }
            None => {
                self.equal("`jsonrpc`", &Value::Null, &body["jsonrpc"]);
                self.equal("`code`", &code, &body["code"]);
                self.equal("`decision_id`", &decision, &body["decision_id"]);
                self.members("body", &expected.body, Some(&body));
                if credential {
                    let message = "a valid access token is required";
                    let same = json!({"code": code, "message": message, "decision_id": decision});
                    self.equal("the one answer to all of these", &same, &body);
                }
            }
        }
    }

    fn record(&mut self, step: &Step, record: Option<&Value>, decision: &str, code: &str) {
        let Some(found) = record else {
            self.0.push("expected a record, found none".into());
            return;
        };
        for name in ["time", "decision_id", "revision", "configuration", "duration_us"] {
            if found.get(name).is_none() {
                self.0.push(format!("record: expected `{name}`"));
            }
        }
        let revision = found["revision"].as_str().unwrap_or_default();
        let is_hash = revision.len() == 64 && revision.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_hash && !step.record.contains_key("revision") {
            self.0.push(format!("record `revision`: expected a SHA-256, found `{revision}`"));
        }
        let mut expected = step.record.clone();
        expected.entry("decision").or_insert(decision.into());
        expected.entry("code").or_insert(code.into());
        // A revision is that of the bundled modules, too.
        if let Some(candidate) = expected.get_mut("candidate").and_then(Value::as_object_mut) {
            let revision = &found["candidate"]["revision"];
            if revision.as_str().map(str::len) != Some(64) || *revision == found["revision"] {
                self.0.push(format!("record `candidate.revision`: expected one of its own, found {revision}"));
            }
            candidate.insert("revision".into(), revision.clone());
        }
        self.members("record", &expected, record);
    }
}

/// Or is it something that was asked for?
fn is_denial(expected: &Reply) -> bool {
    expected.status >= 400 || expected.rpc.is_some() || expected.message.is_some()
}

/// Is the body larger than the buffer of `envoy.yaml`?
fn is_beyond_envoy(sent: &Request) -> bool {
    sent.body.as_ref().is_some_and(|body| body.len() > 2 * 1024 * 1024)
}

/// The one value of a header; null where it is not there, a list where it is repeated.
fn one(headers: &[(String, Vec<u8>)], name: &str) -> Value {
    let values = headers.iter().filter(|(header, _)| header == name);
    let mut values: Vec<Value> = values.map(|(_, value)| String::from_utf8_lossy(value).as_ref().into()).collect();
    match values.len() {
        0 => Value::Null,
        1 => values.remove(0),
        _ => Value::Array(values),
    }
}

fn shown(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Forward { body, .. } => format!("the request forwarded: {:?}", String::from_utf8_lossy(body)),
        Outcome::Reply { status, body, .. } => format!("a reply {status}: {}", String::from_utf8_lossy(body)),
        Outcome::Unanswered => "no answer".into(),
    }
}
