//! Messages of both eras as trees whose leaves and names are tokens, so that a
//! change can spell them as it likes.

use serde_json::{Value, json};

use crate::random::Random;

/// A value as it is spelled.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    /// A string with its quotes, a number, a literal.
    Token(Vec<u8>),
    Array(Vec<Self>),
    /// Names with their quotes.
    Object(Vec<(Vec<u8>, Self)>),
}

impl From<&Value> for Node {
    fn from(value: &Value) -> Self {
        match value {
            Value::Array(items) => Self::Array(items.iter().map(Self::from).collect()),
            Value::Object(members) => {
                Self::Object(members.iter().map(|(name, value)| (token(name), Self::from(value))).collect())
            }
            scalar => Self::Token(scalar.to_string().into_bytes()),
        }
    }
}

/// A string as JSON spells it.
pub(crate) fn token(text: &str) -> Vec<u8> {
    Value::from(text).to_string().into_bytes()
}

impl Node {
    /// How many values of a kind there are.
    pub(crate) fn count(&self, is: fn(&Self) -> bool) -> usize {
        let within: usize = match self {
            Self::Token(_) => 0,
            Self::Array(items) => items.iter().map(|item| item.count(is)).sum(),
            Self::Object(members) => members.iter().map(|(_, value)| value.count(is)).sum(),
        };
        within + usize::from(is(self))
    }

    /// The value of a kind that has this number.
    pub(crate) fn nth(&mut self, number: &mut usize, is: fn(&Self) -> bool) -> Option<&mut Self> {
        if is(self) {
            if *number == 0 {
                return Some(self);
            }
            *number -= 1;
        }
        match self {
            Self::Token(_) => None,
            Self::Array(items) => items.iter_mut().find_map(|item| item.nth(number, is)),
            Self::Object(members) => members.iter_mut().find_map(|(_, value)| value.nth(number, is)),
        }
    }

    /// Any value of a kind.
    pub(crate) fn any(&mut self, random: &mut Random, is: fn(&Self) -> bool) -> Option<&mut Self> {
        let mut number = random.below(self.count(is));
        self.nth(&mut number, is)
    }

    /// The members of any object that has some.
    pub(crate) fn any_members(&mut self, random: &mut Random) -> Option<&mut Vec<(Vec<u8>, Self)>> {
        match self.any(random, |node| matches!(node, Self::Object(members) if !members.is_empty()))? {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    /// The value of a member that is spelled plainly.
    pub(crate) fn member(&mut self, name: &str) -> Option<&mut Self> {
        let name = token(name);
        match self {
            Self::Object(members) => members.iter_mut().find(|(known, _)| *known == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// Writes it, with white space where chance says so.
    pub(crate) fn write(&self, out: &mut Vec<u8>, space: &mut Option<Random>) {
        let gap = |out: &mut Vec<u8>, space: &mut Option<Random>| {
            let Some(random) = space else { return };
            while random.once_in(2) {
                out.push(b" \t\n\r"[random.below(4)]);
            }
        };
        gap(out, space);
        match self {
            Self::Token(text) => out.extend_from_slice(text),
            Self::Array(items) => {
                out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    item.write(out, space);
                }
                gap(out, space);
                out.push(b']');
            }
            Self::Object(members) => {
                out.push(b'{');
                for (index, (name, value)) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    gap(out, space);
                    out.extend_from_slice(name);
                    gap(out, space);
                    out.push(b':');
                    value.write(out, space);
                }
                gap(out, space);
                out.push(b'}');
            }
        }
        gap(out, space);
    }
}

/// In which era a method is sent.
#[derive(Clone, Copy, PartialEq)]
enum In {
    Both,
    Legacy,
    Modern,
}

/// Methods with params that a client might send.
fn requests() -> Vec<(&'static str, In, Value)> {
    let prompt = json!({"type": "ref/prompt", "name": "review"});
    let template = json!({"type": "ref/resource", "uri": "file:///{path}"});
    let argument = json!({"name": "language", "value": "py"});
    let task = json!({"taskId": "786512e2-9e0d-44bd-8f29-789f320fe840"});
    vec![
        ("tools/call", In::Both, json!({"name": "rm", "arguments": {}})),
        ("tools/call", In::Both, json!({"name": "read_document", "arguments": {"id": "handbook", "page": 3}})),
        (
            "tools/call",
            In::Both,
            json!({"name": "transfer", "arguments": {"amount": 12.5, "to": {"iban": "DE02", "Name": "Zoë"},
                "notes": ["a", "\u{1f600}", null, true, {"deep": [[1, -2, 3e2]]}], "limit": 9_007_199_254_740_991_i64}}),
        ),
        (
            "tools/call",
            In::Both,
            json!({"name": "search", "arguments": {"query": "a \"quoted\" \\ thing/\n", "tags": ["x", "y"], "uri": "s3://b/k"},
                "_meta": {"progressToken": 7, "io.modelcontextprotocol/related-task": {"taskId": "t-1"}}}),
        ),
        ("tools/call", In::Legacy, json!({"name": "slow", "arguments": {"n": 1}, "task": {"ttl": 60000}})),
        (
            "tools/call",
            In::Modern,
            json!({"name": "book", "arguments": {"seat": "12A"}, "requestState": "eyJhIjoxfQ",
                "inputResponses": {"confirm": {"action": "accept", "content": {"ok": true}}}}),
        ),
        ("tools/list", In::Both, json!({"cursor": "b2Zmc2V0PTEw"})),
        ("tools/list", In::Both, json!({})),
        ("prompts/list", In::Both, json!({})),
        ("prompts/get", In::Both, json!({"name": "review", "arguments": {"language": "rust", "code": "fn main() {}"}})),
        ("resources/list", In::Both, json!({})),
        ("resources/templates/list", In::Both, json!({})),
        ("resources/read", In::Both, json!({"uri": "file:///srv/notes/%C3%A4.txt"})),
        ("resources/subscribe", In::Legacy, json!({"uri": "file:///srv/a"})),
        ("resources/unsubscribe", In::Legacy, json!({"uri": "file:///srv/a"})),
        (
            "completion/complete",
            In::Both,
            json!({"ref": prompt, "argument": argument, "context": {"arguments": {"a": "b"}}}),
        ),
        ("completion/complete", In::Both, json!({"ref": template, "argument": argument})),
        ("logging/setLevel", In::Legacy, json!({"level": "debug"})),
        ("ping", In::Legacy, json!({})),
        (
            "initialize",
            In::Legacy,
            json!({"protocolVersion": "2025-11-25", "capabilities": {"roots": {"listChanged": true}, "sampling": {}},
                "clientInfo": {"name": "client", "version": "1.0.0"}}),
        ),
        ("server/discover", In::Modern, json!({})),
        (
            "subscriptions/listen",
            In::Modern,
            json!({"notifications": {"resourceSubscriptions": ["file:///a", "file:///b"]}}),
        ),
        ("tasks/get", In::Both, task.clone()),
        ("tasks/cancel", In::Both, task.clone()),
        ("tasks/result", In::Legacy, task),
        ("tasks/list", In::Legacy, json!({})),
        ("tasks/update", In::Modern, json!({"taskId": "t-1", "inputResponses": {"q": {"action": "decline"}}})),
        ("notifications/initialized", In::Both, json!({})),
        ("notifications/cancelled", In::Both, json!({"requestId": 12, "reason": "no longer needed"})),
        ("notifications/progress", In::Both, json!({"progressToken": "p", "progress": 0.5, "total": 1})),
        ("notifications/roots/list_changed", In::Both, json!({})),
    ]
}

/// Answers to requests of the server, which legacy clients send.
fn responses() -> Vec<Value> {
    vec![
        json!({"jsonrpc": "2.0", "id": 3, "result": {"roots": [{"uri": "file:///home", "name": "home"}]}}),
        json!({"jsonrpc": "2.0", "id": "s-1", "result": {"action": "accept", "content": {"colour": "red", "n": 1.5}}}),
        json!({"jsonrpc": "2.0", "id": 4, "result": {"_meta": {"progressToken": "p"}}}),
        json!({"jsonrpc": "2.0", "id": 5, "error": {"code": -1, "message": "the user said no", "data": {"x": []}}}),
    ]
}

/// The messages that everything is made of.
pub(crate) fn bases() -> Vec<Node> {
    let mut bases: Vec<_> = responses().iter().map(Node::from).collect();
    for (number, (method, within, params)) in (1..).zip(requests()) {
        let mut message = json!({"jsonrpc": "2.0", "method": method});
        if !method.starts_with("notifications/") {
            message["id"] = if number % 3 == 0 { json!(format!("r-{number}")) } else { json!(number) };
        }
        if within != In::Modern {
            let mut legacy = message.clone();
            if params != json!({}) || number % 2 == 0 {
                legacy["params"] = params.clone();
            }
            bases.push(Node::from(&legacy));
        }
        if within != In::Legacy {
            message["params"] = params;
            let meta = &mut message["params"]["_meta"];
            meta["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
            meta["io.modelcontextprotocol/clientCapabilities"] = json!({"elicitation": {}});
            meta["io.modelcontextprotocol/clientInfo"] = json!({"name": "client", "version": "2.4.0"});
            bases.push(Node::from(&message));
        }
    }
    bases
}
