//! Answers with lists, and what becomes of each: who asks for what, what the server
//! says, and what the client gets.

use serde_json::{Value, json};

use crate::case::{Request, SESSION, alice};
use crate::keys::sealed;
use crate::sessions::{meta, request};

/// What is asked, by whom.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ask {
    /// A list, in the legacy era.
    Legacy(&'static str),
    /// A list, in the modern era.
    Modern(&'static str),
    /// What is in a directory.
    Directory,
    /// A call.
    Call,
    /// A stream, taken up again.
    Stream,
}

/// What the client gets.
#[derive(Clone, Debug)]
pub(crate) enum Becomes {
    /// The answer as it is.
    Same,
    /// This body.
    Body(String),
    /// A refusal in its place.
    Refused(&'static str),
    /// This before the list, and then an error.
    Error(&'static str, &'static str),
    /// The answer ends, and is not complete; no more than this of it came.
    Cut(String),
}

#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) what: &'static str,
    pub(crate) ask: Ask,
    pub(crate) user: &'static str,
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, &'static str)>,
    pub(crate) body: Vec<u8>,
    pub(crate) becomes: Becomes,
    /// What the record says of it: listed and hidden.
    pub(crate) counts: Option<(u32, u32)>,
}

pub(crate) const EVENTS: (&str, &str) = ("content-type", "text/event-stream");
pub(crate) const JSON: (&str, &str) = ("content-type", "application/json; charset=utf-8");

fn tools(names: &[&str]) -> String {
    let tools: Vec<String> = names
        .iter()
        .map(|name| format!(r#"{{"name":"{name}","inputSchema":{{"type":"object","maximum":1e2}}}}"#))
        .collect();
    tools.join(",")
}

pub(crate) fn message(result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":7,"result":{{{result}}}}}"#)
}

pub(crate) fn list(names: &[&str]) -> String {
    message(&format!(r#""tools":[{}],"nextCursor":"page 2""#, tools(names)))
}

pub(crate) const PROGRESS: &str = "event: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":1,\"progress\":1}}\n\n";

pub(crate) fn scenarios() -> Vec<Scenario> {
    let scenario = |what, ask, user, headers: &[_], body: String, becomes, counts| Scenario {
        what,
        ask,
        user,
        status: 200,
        headers: headers.to_vec(),
        body: body.into_bytes(),
        becomes,
        counts,
    };
    let (legacy, modern) = (Ask::Legacy("tools/list"), Ask::Modern("tools/list"));
    let all = ["read", "write", "limited", "rm", "Not A Tool"];
    let stream = |before: &str, list: &str| {
        format!(": ping\n\n{PROGRESS}id: 3\r\n{before}data: {list}\r\nretry: 9\r\n\r\n: ping\n\n")
    };
    let of = |names: &[&str]| Becomes::Body(list(names));
    let event = |names: &[&str]| Becomes::Body(stream("", &list(names)));
    let scope = |scope: &str, names: &[&str]| {
        message(&format!(r#""tools":[{}],"ttlMs":60000,"cacheScope":"{scope}","resultType":"complete""#, tools(names)))
    };
    let resources = |uris: &[&str]| {
        let entries: Vec<String> = uris.iter().map(|uri| format!(r#"{{"uri":"{uri}","name":"read"}}"#)).collect();
        message(&format!(r#""resources":[{}]"#, entries.join(",")))
    };
    let templates = |entries: &str| message(&format!(r#""resourceTemplates":[{entries}]"#));
    let cut = || Becomes::Cut(format!(": ping\n\n{PROGRESS}id: 3\r\n"));
    let before_list = |answer: &str| {
        let before = answer.split_once(r#"[{"name""#).map(|(before, _)| before);
        Becomes::Cut(before.unwrap_or_default().to_owned())
    };
    let result = |more: &str| message(&format!(r#""content":[{{"type":"text","text":"tools: \n"}}]{more}"#));
    let sampling = r#"{"jsonrpc":"2.0","id":9,"method":"sampling/createMessage","params":{"tools":[{"name":"rm"}]}}"#;
    let error = r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32603,"message":"no tools today"}}"#;
    let mut scenarios = vec![
        scenario(
            "alice's tools",
            legacy,
            "alice",
            &[JSON],
            list(&all),
            of(&["read", "write", "limited"]),
            Some((5, 2)),
        ),
        scenario("bob's tools", legacy, "bob", &[JSON], list(&all), of(&["read", "limited"]), Some((5, 3))),
        scenario("carol's tools", legacy, "carol", &[JSON], list(&["read", "rm"]), of(&[]), Some((2, 2))),
        scenario("nothing to hide", legacy, "alice", &[JSON], list(&["read"]), Becomes::Same, Some((1, 0))),
        scenario(
            "modern tools",
            modern,
            "bob",
            &[JSON],
            scope("public", &all),
            Becomes::Body(scope("private", &["read", "limited"])),
            Some((5, 3)),
        ),
        scenario(
            "modern, nothing to hide",
            modern,
            "bob",
            &[JSON],
            scope("public", &["read"]),
            Becomes::Body(scope("private", &["read"])),
            Some((1, 0)),
        ),
        scenario(
            "prompts",
            Ask::Legacy("prompts/list"),
            "alice",
            &[JSON],
            message(r#""prompts":[{"name":"greet"},{"name":"rm"}]"#),
            Becomes::Body(message(r#""prompts":[{"name":"greet"}]"#)),
            Some((2, 1)),
        ),
        scenario(
            "resources",
            Ask::Modern("resources/list"),
            "bob",
            &[JSON],
            resources(&["file:///a", "file:///b"]),
            Becomes::Body(resources(&["file:///b"])),
            Some((2, 1)),
        ),
        scenario(
            "templates",
            Ask::Legacy("resources/templates/list"),
            "alice",
            &[JSON],
            templates(r#"{"uriTemplate":"file:///{path}"},{"uriTemplate":"db:///{row}"}"#),
            Becomes::Body(templates(r#"{"uriTemplate":"file:///{path}"}"#)),
            Some((2, 1)),
        ),
        scenario(
            "discover",
            Ask::Modern("server/discover"),
            "bob",
            &[JSON],
            message(r#""capabilities":{"tools":{}},"ttlMs":5,"cacheScope":"public""#),
            Becomes::Body(message(r#""capabilities":{"tools":{}},"ttlMs":5,"cacheScope":"private""#)),
            Some((0, 0)),
        ),
        scenario("a JSON-RPC error", legacy, "bob", &[JSON], error.into(), Becomes::Same, None),
        scenario(
            "a directory",
            Ask::Directory,
            "bob",
            &[JSON],
            resources(&["file:///a", "file:///b"]),
            Becomes::Body(resources(&["file:///b"])),
            Some((2, 1)),
        ),
        scenario(
            "a call's answer",
            Ask::Call,
            "bob",
            &[JSON],
            result(r#","structuredContent":{"tools":[{"name":"rm"}],"result":{"prompts":[]}}"#),
            Becomes::Same,
            None,
        ),
        scenario(
            "a call's answer that is large",
            Ask::Call,
            "bob",
            &[JSON],
            result(&format!(r#","structuredContent":"{}""#, "\"tools\":[".repeat(20_000).replace('"', "\\\""))),
            Becomes::Same,
            None,
        ),
        scenario(
            "a call's events",
            Ask::Call,
            "bob",
            &[EVENTS],
            stream("", sampling) + &stream("", &result("")),
            Becomes::Same,
            None,
        ),
        scenario("a list to a call", Ask::Call, "bob", &[JSON], list(&all), before_list(&list(&all)), None),
        scenario(
            "a list of no type to a call",
            Ask::Call,
            "bob",
            &[("content-type", "text/plain")],
            list(&all),
            before_list(&list(&all)),
            None,
        ),
        scenario(
            "a list in a batch to a call",
            Ask::Call,
            "bob",
            &[JSON],
            format!("[{},{}]", result(""), list(&all)),
            before_list(&format!("[{},{}]", result(""), list(&all))),
            None,
        ),
        scenario(
            "a list in a call's events",
            Ask::Call,
            "bob",
            &[EVENTS],
            stream("", &list(&all)),
            before_list(&stream("", &list(&all))),
            None,
        ),
        scenario(
            "a list by another name in a call's events",
            Ask::Call,
            "bob",
            &[EVENTS],
            stream("", &message("\"TOOL\u{17f}\":[{\"name\":\"rm\"}]")),
            before_list(&stream("", &message("\"TOOL\u{17f}\":[{\"name\":\"rm\"}]"))),
            None,
        ),
        scenario(
            "a list behind a CR in a call's events",
            Ask::Call,
            "bob",
            &[EVENTS],
            stream(&format!(": c\rdata: {}\r\n", list(&all)), error),
            Becomes::Cut(format!(": ping\n\n{PROGRESS}id: 3\r\n: c\rdata")),
            None,
        ),
        scenario(
            "events",
            legacy,
            "bob",
            &[EVENTS],
            stream("", &list(&all)),
            event(&["read", "limited"]),
            Some((5, 3)),
        ),
        scenario(
            "modern events",
            modern,
            "alice",
            &[EVENTS],
            stream("", &scope("public", &all)),
            Becomes::Body(stream("", &scope("private", &["read", "write", "limited"]))),
            Some((5, 2)),
        ),
        scenario(
            "data in many lines",
            legacy,
            "carol",
            &[EVENTS],
            stream("data: {\"id\":7,\r\ndata:\"result\":\r\n", r#"{"tools":[{"name":"rm"}]}}"#),
            Becomes::Body(stream("data: {\"id\":7,\r\ndata: \"result\":\r\n", r#"{"tools":[]}}"#)),
            Some((1, 1)),
        ),
        scenario(
            "a late list in a stream",
            Ask::Stream,
            "bob",
            &[EVENTS],
            stream("", &list(&all)),
            event(&["read", "limited"]),
            Some((5, 3)),
        ),
        scenario(
            "a late list of no type",
            Ask::Stream,
            "bob",
            &[("content-type", "text/plain")],
            stream("", &list(&all)),
            event(&["read", "limited"]),
            Some((5, 3)),
        ),
        scenario(
            "a late list in JSON",
            Ask::Stream,
            "bob",
            &[JSON],
            list(&all),
            of(&["read", "limited"]),
            Some((5, 3)),
        ),
        scenario(
            "a late answer that nobody can read",
            Ask::Stream,
            "bob",
            &[EVENTS],
            stream("", r#"{"result":{"content":[1,]}}"#),
            Becomes::Same,
            None,
        ),
        scenario(
            "a late list that nobody can read",
            Ask::Stream,
            "bob",
            &[EVENTS],
            stream("", r#"{"result":{"tools":[],"tools":[]}}"#),
            cut(),
            None,
        ),
        scenario(
            "a late event that is too large",
            Ask::Stream,
            "bob",
            &[EVENTS],
            stream("", &"x".repeat(3000)),
            cut(),
            None,
        ),
        scenario(
            "a list behind a CR, which ends no line for Go",
            legacy,
            "bob",
            &[EVENTS],
            stream("", &list(&all).replacen(',', ",\r", 2)),
            Becomes::Error("id: 3\r\n", "list_unreadable"),
            None,
        ),
        scenario(
            "a late list behind a CR",
            Ask::Stream,
            "bob",
            &[EVENTS],
            stream("", &list(&all).replacen(',', ",\r", 2)),
            cut(),
            None,
        ),
        scenario(
            "a list in a comment, for who ends lines where Unicode does",
            legacy,
            "bob",
            &[EVENTS],
            stream(&format!(": c\u{2028}data: {}\r\n", list(&all)), error),
            Becomes::Error("id: 3\r\n", "list_unreadable"),
            None,
        ),
        scenario(
            "a list with a text of many lines",
            legacy,
            "bob",
            &[EVENTS],
            stream("", &message("\"tools\":[{\"name\":\"rm\"},{\"name\":\"read\",\"title\":\"a\u{2028}\u{85}b\"}]")),
            Becomes::Body(stream("", &message("\"tools\":[{\"name\":\"read\",\"title\":\"a\u{2028}\u{85}b\"}]"))),
            Some((2, 1)),
        ),
        scenario(
            "a list that nobody can read",
            legacy,
            "bob",
            &[JSON],
            r#"{"result":{"tools":[],"Tools":[]}}"#.into(),
            Becomes::Refused("list_unreadable"),
            None,
        ),
        scenario("no JSON", legacy, "bob", &[JSON], "nonsense".into(), Becomes::Refused("list_unreadable"), None),
        scenario(
            "another type",
            legacy,
            "bob",
            &[("content-type", "text/plain")],
            list(&all),
            Becomes::Refused("list_unreadable"),
            None,
        ),
        scenario(
            "other characters",
            legacy,
            "bob",
            &[("content-type", "application/json; charset=utf-16")],
            list(&all),
            Becomes::Refused("list_unreadable"),
            None,
        ),
        scenario(
            "a compressed list",
            legacy,
            "bob",
            &[JSON, ("content-encoding", "gzip")],
            list(&all),
            Becomes::Refused("list_unreadable"),
            None,
        ),
        scenario(
            "a compressed stream of a list",
            modern,
            "bob",
            &[EVENTS, ("content-encoding", "br")],
            list(&all),
            Becomes::Refused("list_unreadable"),
            None,
        ),
        scenario(
            "a compressed stream",
            Ask::Stream,
            "bob",
            &[EVENTS, ("content-encoding", "gzip")],
            list(&all),
            Becomes::Refused("list_unreadable"),
            None,
        ),
        scenario(
            "a compressed answer to a call",
            Ask::Call,
            "bob",
            &[JSON, ("content-encoding", "gzip")],
            list(&all),
            Becomes::Refused("list_unreadable"),
            None,
        ),
        scenario(
            "other characters to a call",
            Ask::Call,
            "bob",
            &[("content-type", "text/event-stream; charset=utf-16")],
            list(&all),
            Becomes::Refused("list_unreadable"),
            None,
        ),
        scenario(
            "encoded by no name",
            legacy,
            "bob",
            &[JSON, ("content-encoding", "identity")],
            list(&["rm"]),
            of(&[]),
            Some((1, 1)),
        ),
        scenario(
            "a list that is too large",
            legacy,
            "alice",
            &[JSON],
            list(&["read"; 40]),
            Becomes::Refused("list_too_large"),
            None,
        ),
        scenario(
            "an event of a list that is too large",
            legacy,
            "alice",
            &[EVENTS],
            stream("", &list(&["read"; 40])),
            Becomes::Error("id: 3\r\n", "list_too_large"),
            None,
        ),
        scenario(
            "an event of a list that nobody can read",
            modern,
            "alice",
            &[EVENTS],
            stream("", r#"{"result":{"tools":[],"tools":[]}}"#),
            Becomes::Error("id: 3\r\n", "list_unreadable"),
            None,
        ),
        scenario("UTF-16", legacy, "bob", &[JSON], String::new(), Becomes::Refused("list_unreadable"), None),
    ];
    if let Some(last) = scenarios.last_mut() {
        last.body = list(&all).encode_utf16().flat_map(u16::to_le_bytes).collect();
    }
    // Another status is nobody's list.
    scenarios.extend([404, 500].map(|status| Scenario {
        status,
        ..scenario("another status", legacy, "bob", &[JSON], list(&all), Becomes::Same, None)
    }));
    scenarios.extend([201, 299].map(|status| Scenario {
        status,
        ..scenario("another success", legacy, "bob", &[JSON], list(&["rm"]), of(&[]), Some((1, 1)))
    }));
    scenarios
}

impl Ask {
    pub(crate) fn request(self, authority: &str, user: &str, now: u64) -> Request {
        let token = json!({"sub": user});
        let session = session(authority, user);
        let session = ("mcp-session-id", session.as_str());
        match self {
            Self::Legacy(method) => {
                let body = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": {"cursor": "page 1"}});
                request(authority, "POST", &[session], body, &token, now)
            }
            Self::Modern(method) => {
                let body = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": {"_meta": meta()}});
                let headers = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", method)];
                request(authority, "POST", &headers, body, &token, now)
            }
            Self::Directory => {
                let (method, uri) = ("resources/directory/read", "file:///b");
                let params = json!({"_meta": meta(), "uri": uri});
                let body = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
                let headers = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", method)];
                request(authority, "POST", &headers, body, &token, now)
            }
            Self::Call => call(authority, user, "read", now),
            Self::Stream => request(authority, "GET", &[session, ("last-event-id", "1")], Value::Null, &token, now),
        }
    }
}

fn session(authority: &str, user: &str) -> String {
    let resource = format!("http://{authority}/mcp");
    let mut owner = alice(&resource);
    owner.subject = user;
    sealed(1, SESSION, &owner)
}

pub(crate) fn call(authority: &str, user: &str, tool: &str, now: u64) -> Request {
    let params = json!({"name": tool, "arguments": {"limit": 3}});
    let body = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params});
    request(authority, "POST", &[], body, &json!({"sub": user}), now)
}

/// What came to the client of an answer.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) headers: Vec<String>,
    pub(crate) body: Vec<u8>,
    pub(crate) is_cut: bool,
}

impl Scenario {
    /// Did the client get what it should, and does the record say so?
    pub(crate) fn check(&self, got: &Got, record: &Value, is_head_held: bool) -> Result<(), String> {
        let problem = |what: &str| {
            Err(format!(
                "{}: {what}: found {} {:?}, {record}",
                self.what,
                got.status,
                String::from_utf8_lossy(&got.body)
            ))
        };
        let detail = record["detail"].as_str().unwrap_or_default();
        let is_whole = match &self.becomes {
            Becomes::Same => got.status == self.status && got.body == self.body && detail.is_empty(),
            Becomes::Body(body) => got.status == self.status && got.body == body.as_bytes() && detail.is_empty(),
            Becomes::Refused(code) => {
                let body: Value = serde_json::from_slice(&got.body).unwrap_or_default();
                let refused =
                    (&body["error"]["data"]["code"], &body["error"]["code"]) == (&json!(code), &json!(-32603));
                let is_early =
                    self.headers.iter().any(|(name, value)| *name == "content-encoding" && *value != "identity")
                        || self.what.starts_with("other")
                        || self.what == "another type";
                let status = if is_head_held || is_early { 502 } else { 200 };
                let id = if matches!(self.ask, Ask::Stream) { Value::Null } else { json!(7) };
                got.status == status && refused && body["id"] == id && detail.starts_with(code)
            }
            Becomes::Error(before, code) => {
                let text = String::from_utf8_lossy(&got.body);
                let data: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
                let error: Value = data.get(1).and_then(|data| serde_json::from_str(data).ok()).unwrap_or_default();
                let (mark, end) = if text.contains("retry: 9") {
                    ("data: ", "retry: 9\r\n\r\n: ping\n\n")
                } else {
                    ("data: ", "\r\n: ping\n\n")
                };
                text.starts_with(&format!(": ping\n\n{PROGRESS}{before}{mark}"))
                    && text.ends_with(end)
                    && error["error"]["data"]["code"] == *code
                    && error["id"] == 7
                    && detail.starts_with(code)
            }
            Becomes::Cut(before) => {
                got.is_cut && before.as_bytes().starts_with(&got.body) && detail.starts_with("list_")
            }
        };
        if !is_whole || (got.is_cut && !matches!(self.becomes, Becomes::Cut(_))) {
            return problem("expected something else");
        }
        let is_changed = !matches!(self.becomes, Becomes::Same) && !matches!(self.ask, Ask::Call);
        if is_changed && got.headers.iter().any(|name| name == "etag") {
            return problem("expected no `etag` of another body");
        }
        let counts = self.counts.map_or(json!([null, null]), |(listed, hidden)| json!([listed, hidden]));
        match json!([record["listed"], record["hidden"]]) == counts && record["code"] == "permitted" {
            true => Ok(()),
            false => problem("expected other counts"),
        }
    }
}
