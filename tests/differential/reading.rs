//! What a reader makes of a text, in a form that is compared byte by byte.
//!
//! A reading is the number of messages, then what `PATHS` lead to, in their order,
//! then the whole document; each as
//!
//! - `n`, `t`, `f` for the literals,
//! - `#` and 16 hexadecimal digits for a number: the IEEE double,
//! - `i` and decimal digits for an integer that no double holds exactly,
//! - `"`, the length in bytes, `:` and the bytes for a string, in UTF-8,
//! - `[` items `]`, and `{` names and values `}`, sorted by the bytes of the name,
//! - `!` for a member that is not there, `?` for a document that a decoder into
//!   types did not keep.

use mcp_gate::http::Head;
use mcp_gate::json::{Json, Limits, Object};
use mcp_gate::mcp::{Call, Dialect, Id};
use serde_json::Value;

/// What the gate makes of a text.
#[derive(PartialEq)]
pub(crate) enum Verdict {
    /// The code of the denial.
    Refused(&'static str),
    Read(Vec<u8>),
    /// The call does not say what the document says.
    Torn(String),
}

/// The gate's own reader. The headers say what the body says, as an honest
/// client's would, so that only the body is judged.
pub(crate) fn gate(text: &[u8]) -> Verdict {
    let document = Json::read(text, Limits::default());
    let head = match &document {
        Ok(Json::Object(message)) => head(message),
        _ => Head::new(Vec::new()),
    };
    let call = match Call::read(text, &head, &Dialect::default()) {
        Ok(call) => call,
        Err(refused) => return Verdict::Refused(refused.denial.code()),
    };
    match document {
        Ok(document) => match torn(&call, &document) {
            None => Verdict::Read(reading(&Tree::from(&document))),
            Some(what) => Verdict::Torn(format!("`{what}` of the call is not that of the document")),
        },
        Err(error) => Verdict::Torn(format!("a call was read of what is no JSON: {error}")),
    }
}

fn head(message: &Object<'_>) -> Head {
    let mut headers = Vec::new();
    let params = message.get("params").and_then(Json::as_object);
    let text = |holder: Option<&Object<'_>>, name: &str| holder?.get(name)?.as_str().map(str::to_owned);
    let meta = params.and_then(|params| params.get("_meta")).and_then(Json::as_object);
    if let Some(version) = text(meta, "io.modelcontextprotocol/protocolVersion") {
        let method = text(Some(message), "method").unwrap_or_default();
        let named = match method.as_str() {
            "tools/call" | "prompts/get" => text(params, "name"),
            "resources/read" => text(params, "uri"),
            "tasks/get" | "tasks/update" | "tasks/cancel" => text(params, "taskId"),
            _ => None,
        };
        headers.push(("mcp-protocol-version", version));
        headers.push(("mcp-method", method));
        headers.extend(named.map(|name| ("mcp-name", encoded(name))));
    }
    Head::new(headers.into_iter().map(|(name, value)| (name.to_owned(), value.into_bytes())).collect())
}

/// A value that no header can hold goes in base64.
fn encoded(name: String) -> String {
    use jwt_simple::reexports::ct_codecs::{Base64, Encoder as _};
    let plain = name.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    match plain && name.trim() == name && !name.starts_with("=?") {
        true => name,
        false => format!("=?base64?{}?=", Base64::encode_to_string(&name).unwrap()),
    }
}

/// The field of a call that is not what the document has in its place.
fn torn(call: &Call<'_>, document: &Json<'_>) -> Option<&'static str> {
    let message = document.as_object()?;
    let params = message.get("params").and_then(Json::as_object);
    let at = |path: &[&str]| {
        let (last, holders) = path.split_last()?;
        let holder = holders.iter().try_fold(params?, |object, name| object.get(name)?.as_object());
        holder?.get(last)?.as_str()
    };
    let id = match message.get("id") {
        Some(Json::Integer(id)) => Some(Id::Integer(*id)),
        Some(Json::String(id)) => Some(Id::String(id.clone().into_owned())),
        _ => None,
    };
    let method = message.get("method").and_then(Json::as_str);
    let reference = match at(&["ref", "type"]) {
        Some("ref/prompt") => (at(&["ref", "name"]), None),
        _ => (None, at(&["ref", "uri"])),
    };
    let (name, uri, task) = match method.unwrap_or_default() {
        "tools/call" | "prompts/get" => (at(&["name"]), None, None),
        "completion/complete" => (reference.0, reference.1, None),
        "resources/read"
        | "resources/subscribe"
        | "resources/unsubscribe"
        | "resources/directory/read"
        | "skills/get" => (None, at(&["uri"]), None),
        "tasks/get" | "tasks/cancel" | "tasks/result" | "tasks/update" => (None, None, at(&["taskId"])),
        _ => (None, None, None),
    };
    let object = |name: &str| params.and_then(|params| params.get(name)?.as_object());
    let listed = |name: &str| {
        let wanted = params?.get("notifications")?.as_object()?.get(name)?.as_array()?;
        wanted.iter().map(Json::as_str).collect::<Option<Vec<_>>>()
    };
    let (uris, tasks) = match method {
        Some("subscriptions/listen") => (listed("resourceSubscriptions"), listed("taskIds")),
        _ => (None, None),
    };
    let arguments = match method {
        Some("tools/call" | "prompts/get") => params.and_then(|params| params.get("arguments")?.as_object()),
        _ => None,
    };
    [
        ("method", call.method.as_deref() == method),
        // The answer to a request of the server has no use for its id.
        ("id", call.id == id || (method.is_none() && call.id.is_none())),
        ("name", call.name.as_deref() == name),
        ("uri", call.uri.as_deref() == uri),
        ("taskId", call.task.as_deref() == task),
        ("resourceSubscriptions", call.uris == uris.unwrap_or_default()),
        ("taskIds", call.tasks == tasks.unwrap_or_default()),
        ("arguments", call.arguments() == arguments),
        ("cursor", call.cursor() == at(&["cursor"])),
        ("requestState", call.request_state() == at(&["requestState"])),
        ("inputResponses", call.input_responses() == object("inputResponses")),
        ("task", call.augmentation() == object("task")),
    ]
    .into_iter()
    .find_map(|(what, same)| (!same).then_some(what))
}

/// serde_json as most servers use it.
pub(crate) fn serde(text: &[u8]) -> Result<Vec<u8>, String> {
    match serde_json::from_slice::<Value>(text) {
        Ok(document) => Ok(reading(&Tree::from(&document))),
        Err(error) => Err(error.to_string()),
    }
}

/// A document of either reader.
enum Tree<'a> {
    Null,
    Bool(bool),
    Double(f64),
    /// Beyond what a double holds exactly, as it may be.
    Integer(i128),
    String(&'a str),
    Array(Vec<Self>),
    Object(Vec<(&'a str, Self)>),
}

impl<'a> From<&'a Json<'_>> for Tree<'a> {
    fn from(json: &'a Json<'_>) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(bool) => Self::Bool(*bool),
            Json::Integer(number) => Self::Integer((*number).into()),
            Json::Float(number) => Self::Double(*number),
            Json::String(text) => Self::String(text),
            Json::Array(items) => Self::Array(items.iter().map(Self::from).collect()),
            Json::Object(object) => Self::Object(object.members().map(|(name, value)| (name, value.into())).collect()),
        }
    }
}

impl<'a> From<&'a Value> for Tree<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(bool) => Self::Bool(*bool),
            Value::Number(number) => match (number.as_i128(), number.as_f64()) {
                (Some(integer), _) => Self::Integer(integer),
                (None, number) => Self::Double(number.unwrap_or(f64::NAN)),
            },
            Value::String(text) => Self::String(text),
            Value::Array(items) => Self::Array(items.iter().map(Self::from).collect()),
            Value::Object(members) => {
                Self::Object(members.iter().map(|(name, value)| (name.as_str(), value.into())).collect())
            }
        }
    }
}

impl<'a> Tree<'a> {
    fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.iter().find(|(known, _)| *known == name).map(|(_, value)| value),
            _ => None,
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.push(b'n'),
            Self::Bool(bool) => out.push(if *bool { b't' } else { b'f' }),
            Self::Double(number) => out.extend_from_slice(format!("#{:016x}", number.to_bits()).as_bytes()),
            Self::Integer(number) => {
                #[expect(
                    clippy::cast_precision_loss,
                    clippy::cast_possible_truncation,
                    reason = "that is what is asked"
                )]
                let (double, exact) = (*number as f64, (*number as f64) as i128 == *number);
                match exact {
                    true => Self::Double(double).write(out),
                    false => out.extend_from_slice(format!("i{number}").as_bytes()),
                }
            }
            Self::String(text) => string(text, out),
            Self::Array(items) => {
                out.push(b'[');
                items.iter().for_each(|item| item.write(out));
                out.push(b']');
            }
            Self::Object(members) => {
                let mut sorted: Vec<_> = members.iter().collect();
                sorted.sort_unstable_by_key(|(name, _)| *name);
                out.push(b'{');
                for (name, value) in sorted {
                    string(name, out);
                    value.write(out);
                }
                out.push(b'}');
            }
        }
    }
}

fn string(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("\"{}:{text}", text.len()).as_bytes());
}

/// What decides about a message; some of it in one method alone. Each judge has
/// this list, too.
const PATHS: [(&str, &[&str]); 18] = [
    ("", &["method"]),
    ("", &["id"]),
    ("", &["params", "name"]),
    ("", &["params", "uri"]),
    ("", &["params", "taskId"]),
    ("", &["params", "arguments"]),
    ("", &["params", "_meta"]),
    ("", &["params", "cursor"]),
    ("", &["params", "requestState"]),
    ("", &["params", "inputResponses"]),
    ("", &["params", "task"]),
    ("", &["params", "_meta", "io.modelcontextprotocol/protocolVersion"]),
    ("", &["params", "_meta", "io.modelcontextprotocol/clientCapabilities"]),
    ("completion/complete", &["params", "ref", "type"]),
    ("completion/complete", &["params", "ref", "name"]),
    ("completion/complete", &["params", "ref", "uri"]),
    ("subscriptions/listen", &["params", "notifications", "resourceSubscriptions"]),
    ("subscriptions/listen", &["params", "notifications", "taskIds"]),
];

fn reading(document: &Tree<'_>) -> Vec<u8> {
    let count = match document {
        Tree::Object(_) => 1,
        Tree::Array(items) => items.len(),
        _ => 0,
    };
    let mut out = count.to_string().into_bytes();
    for (asked, path) in PATHS {
        let method = document.get("method");
        let is_asked = asked.is_empty() || matches!(method, Some(Tree::String(method)) if *method == asked);
        match path.iter().try_fold(document, |holder, name| holder.get(name)).filter(|_| is_asked) {
            Some(value) => value.write(&mut out),
            None => out.push(b'!'),
        }
    }
    document.write(&mut out);
    out
}

/// Does another reading say the same, as far as it goes?
pub(crate) fn same(ours: &[u8], theirs: &[u8]) -> bool {
    match theirs.strip_suffix(b"?") {
        // The next thing is the document, an object.
        Some(view) => ours.strip_prefix(view).is_some_and(|rest| rest.starts_with(b"{")),
        None => ours == theirs,
    }
}
