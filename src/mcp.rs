//! What is asked: one MCP message, read strictly, as a [`Call`].
//!
//! Two eras of the protocol meet on one route: *legacy* (up to 2025-11-25, with
//! `initialize` and sessions) and *modern* (from 2026-07-28, each request
//! complete in itself). Servers tell them apart in different ways, so a message
//! is modern only if its header and its body both say so, and refused if they
//! disagree (2026-07-28, Streamable HTTP, Request Metadata).
//!
//! Every method of both eras is known here, with what it names. A method that
//! neither the table nor the operator lists goes no further.

mod headers;
mod listed;
mod methods;
mod params;
mod uri;
mod version;

use std::borrow::Cow;

use crate::denial::Denial;
use crate::http::Head;
use crate::json::{Fault, Json, JsonError, Limits, Object};
pub use headers::{ParamHeaders, is_param_name};
pub use listed::{Listed, is_list, may_list};
use methods::{Names, known};
pub use methods::{is_known_method, methods};
pub use params::is_plain;
use params::{check_lookalikes, check_params, is_meta, string, strings, uri, uris};
pub use uri::fault_of_pattern;
pub use version::{Era, VERSIONS, Version, Versions};

/// What an operator says of the protocol that a resource speaks, beyond the
/// protocol itself.
#[derive(Debug, Default)]
pub struct Dialect {
    /// Bounds on the JSON of a message.
    pub limits: Limits,
    /// The versions that are accepted.
    pub versions: Versions,
    /// Methods that MCP does not have.
    pub methods: Vec<String>,
    /// Names of tools beyond MCP's grammar of them.
    pub tools: Vec<String>,
    /// Arguments that headers repeat.
    pub params: ParamHeaders,
}

/// What kind of message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Asks for an answer.
    Request,
    /// Asks for none.
    Notification,
    /// Answers a request of the server (legacy).
    Response,
    /// GET: opens a stream (legacy).
    Stream,
    /// DELETE: ends a session (legacy).
    Terminate,
}

impl Kind {
    /// Its name in `input.mcp.kind`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Notification => "notification",
            Self::Response => "response",
            Self::Stream => "stream",
            Self::Terminate => "terminate",
        }
    }
}

/// The id of a request, as it is echoed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Id {
    /// An integer.
    Integer(i64),
    /// A string.
    String(String),
}

impl Id {
    fn read(json: &Json<'_>) -> Option<Self> {
        match json {
            Json::Integer(id) => Some(Self::Integer(*id)),
            Json::String(id) if (1..=256).contains(&id.len()) && !id.chars().any(char::is_control) => {
                Some(Self::String(id.clone().into_owned()))
            }
            _ => None,
        }
    }
}

impl From<&Id> for serde_json::Value {
    fn from(id: &Id) -> Self {
        match id {
            Id::Integer(id) => (*id).into(),
            Id::String(id) => id.as_str().into(),
        }
    }
}

/// One MCP message.
#[derive(Debug)]
pub struct Call<'a> {
    /// The version of the protocol.
    pub version: Version,
    /// What kind of message it is.
    pub kind: Kind,
    /// The id of a request.
    pub id: Option<Id>,
    /// The method; none for a response, a stream, a termination.
    pub method: Option<Cow<'a, str>>,
    /// The tool or prompt that it names.
    pub name: Option<Cow<'a, str>>,
    /// The resource that it names.
    pub uri: Option<Cow<'a, str>>,
    /// The resources that it subscribes to.
    pub uris: Vec<Cow<'a, str>>,
    /// The task that it names.
    pub task: Option<Cow<'a, str>>,
    /// The tasks that it subscribes to.
    pub tasks: Vec<Cow<'a, str>>,
    params: Object<'a>,
}

/// A message that was not read, with what of it was read unambiguously.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    /// The id to echo.
    pub id: Option<Id>,
    /// The method, for the record.
    pub method: Option<String>,
    /// Why.
    pub denial: Denial,
}

impl From<Denial> for Refused {
    fn from(denial: Denial) -> Self {
        Self { id: None, method: None, denial }
    }
}

const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const META_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
const META_CLIENT: &str = "io.modelcontextprotocol/clientInfo";
const META_TASK: &str = "io.modelcontextprotocol/related-task";

impl<'a> Call<'a> {
    /// A GET or DELETE, which only the legacy era has.
    pub fn bodiless(kind: Kind, head: &Head, dialect: &Dialect) -> Result<Self, Denial> {
        let version = match dialect.versions.stated(head)? {
            Some(Version { era: Era::Modern, .. }) => return Err(Denial::MethodRefused { allow: "POST" }),
            Some(version) => version,
            None => dialect.versions.assumed()?,
        };
        let call = Self::new(version, kind);
        call.check_headers(head, &dialect.params)?;
        Ok(call)
    }

    /// A message that has no method and names nothing.
    fn new(version: Version, kind: Kind) -> Self {
        Self {
            version,
            kind,
            id: None,
            method: None,
            name: None,
            uri: None,
            uris: Vec::new(),
            task: None,
            tasks: Vec::new(),
            params: Object::default(),
        }
    }

    /// The call that an entry of a list stands for, with its arguments unknown; none for
    /// one that no message could name.
    pub fn listed(listed: Listed, named: &'a str, version: Version, dialect: &Dialect) -> Option<Self> {
        let is_named = match listed {
            Listed::Tool => is_plain(named) && is_tool(named, &dialect.tools),
            Listed::Prompt => is_plain(named),
            Listed::Resource => uri::fault(named).is_none(),
            Listed::Template => uri::fault_of_template(named).is_none(),
        };
        if !is_named {
            return None;
        }
        let call = Self { method: Some(Cow::Borrowed(listed.method())), ..Self::new(version, Kind::Request) };
        let named = Some(Cow::Borrowed(named));
        Some(match listed {
            Listed::Tool | Listed::Prompt => Self { name: named, ..call },
            Listed::Resource | Listed::Template => Self { uri: named, ..call },
        })
    }

    /// Reads the body of a POST, and holds the MCP headers against it.
    pub fn read(body: &'a [u8], head: &Head, dialect: &Dialect) -> Result<Self, Refused> {
        let mut message = match Json::read(body, dialect.limits) {
            Ok(Json::Object(message)) => message,
            Ok(Json::Array(_)) => return Err(Denial::BatchRefused.into()),
            Ok(_) => return Err(Denial::MessageInvalid("expected a JSON-RPC message, an object").into()),
            Err(error) => return Err(Denial::from(&error).into()),
        };
        let id = match message.get("id").map(Id::read) {
            Some(None) => {
                return Err(Denial::MessageInvalid("`id`: expected an integer or a string of at most 256 bytes").into());
            }
            id => id.flatten(),
        };
        Self::from_message(&mut message, id.clone(), head, dialect).map_err(|denial| {
            let method = message.get("method").and_then(Json::as_str).map(str::to_owned);
            Refused { id, method, denial }
        })
    }

    fn from_message(message: &mut Object<'a>, id: Option<Id>, head: &Head, dialect: &Dialect) -> Result<Self, Denial> {
        if message.get("jsonrpc").and_then(Json::as_str) != Some("2.0") {
            return Err(Denial::MessageInvalid("`jsonrpc`: expected \"2.0\""));
        }
        check_lookalikes(message, "the message", &["jsonrpc", "id", "method", "params", "result", "error"])?;
        if message.get("method").is_none() {
            return Self::response(message, id, head, dialect);
        }
        let stated = dialect.versions.stated(head)?;
        closed(message, &["jsonrpc", "id", "method", "params"])?;
        let Some(Json::String(method)) = message.get("method").cloned() else {
            return Err(Denial::MessageInvalid("`method`: expected a string"));
        };
        let params = match message.take("params") {
            None => Object::default(),
            Some(Json::Object(params)) => params,
            Some(_) => return Err(Denial::ParamsInvalid("`params`: expected an object")),
        };
        check_params(&params)?;
        let version = dialect.versions.agreed(stated, &params, &method)?;
        let (kind, names) = known(&method, version.era, id.is_some(), &dialect.methods)?;
        let mut call = Self { id, method: Some(method), params, ..Self::new(version, kind) };
        call.take_names(names, &dialect.tools)?;
        call.check_meta()?;
        call.check_headers(head, &dialect.params)?;
        Ok(call)
    }

    /// The answer to a request of the server, which only the legacy era has.
    fn response(message: &Object<'a>, id: Option<Id>, head: &Head, dialect: &Dialect) -> Result<Self, Denial> {
        closed(message, &["jsonrpc", "id", "result", "error"])?;
        if id.is_none() || message.get("result").is_some() == message.get("error").is_some() {
            return Err(Denial::MessageInvalid("expected a `method`, or an `id` and either `result` or `error`"));
        }
        if message.get("error").is_some_and(|error| !is_error(error)) {
            return Err(Denial::MessageInvalid("`error`: expected an object with `code`, an integer, and `message`"));
        }
        if message.get("result").is_some_and(|result| !is_result(result)) {
            return Err(Denial::MessageInvalid("`result`: expected an object, and a sound `_meta` if it has one"));
        }
        let version = match dialect.versions.stated(head)? {
            Some(Version { era: Era::Modern, .. }) => {
                return Err(Denial::MessageInvalid("a client sends no responses in this version of the protocol"));
            }
            Some(version) => version,
            None => dialect.versions.assumed()?,
        };
        let call = Self::new(version, Kind::Response);
        call.check_headers(head, &dialect.params)?;
        Ok(call)
    }

    fn take_names(&mut self, names: Names, tools: &[String]) -> Result<(), Denial> {
        let params = &self.params;
        match names {
            Names::Nothing => {}
            Names::Tool => {
                let name = string(params, "name", "`params.name`: expected the name of a tool")?;
                if !is_tool(&name, tools) {
                    return Err(Denial::ParamsInvalid("`params.name`: expected 1 to 128 of A-Z a-z 0-9 _ . -"));
                }
                self.name = Some(name);
            }
            Names::Prompt => {
                self.name = Some(string(params, "name", "`params.name`: expected the name of a prompt")?);
            }
            Names::Uri => self.uri = Some(uri(params, "`params.uri`: expected a URI", uri::fault)?),
            Names::Task => self.task = Some(string(params, "taskId", "`params.taskId`: expected the id of a task")?),
            Names::Ref => {
                let expected = "`params.ref`: expected `ref/prompt` with a name, or `ref/resource` with a uri";
                let reference = params.get("ref").and_then(Json::as_object).ok_or(Denial::ParamsInvalid(expected))?;
                check_lookalikes(reference, "`params.ref`", &["type", "name", "uri"])?;
                match reference.get("type").and_then(Json::as_str) {
                    Some("ref/prompt") => self.name = Some(string(reference, "name", expected)?),
                    Some("ref/resource") => self.uri = Some(uri(reference, expected, uri::fault_of_template)?),
                    _ => return Err(Denial::ParamsInvalid(expected)),
                }
            }
            Names::Subscriptions => {
                let expected = "`params.notifications`: expected an object";
                let wanted =
                    params.get("notifications").and_then(Json::as_object).ok_or(Denial::ParamsInvalid(expected))?;
                check_lookalikes(wanted, "`params.notifications`", &["resourceSubscriptions", "taskIds"])?;
                self.uris = uris(wanted, "resourceSubscriptions")?;
                self.tasks = strings(wanted, "taskIds")?;
            }
        }
        Ok(())
    }

    /// What a modern request must carry (2026-07-28, `_meta`).
    fn check_meta(&self) -> Result<(), Denial> {
        if self.version.era == Era::Modern && self.kind == Kind::Request {
            let capabilities = self.meta().and_then(|meta| meta.get(META_CAPABILITIES));
            if capabilities.and_then(Json::as_object).is_none() {
                return Err(Denial::ParamsInvalid(
                    "`params._meta`: expected `io.modelcontextprotocol/clientCapabilities`, an object",
                ));
            }
        }
        Ok(())
    }

    fn meta(&self) -> Option<&Object<'a>> {
        self.params.get("_meta").and_then(Json::as_object)
    }

    /// The arguments of a tool or prompt.
    pub fn arguments(&self) -> Option<&Object<'a>> {
        match self.method.as_deref() {
            Some("tools/call" | "prompts/get") => self.params.get("arguments").and_then(Json::as_object),
            _ => None,
        }
    }

    /// What a client hands in when it takes up an earlier call (2026-07-28, MRTR).
    pub fn input_responses(&self) -> Option<&Object<'a>> {
        self.params.get("inputResponses").and_then(Json::as_object)
    }

    /// What the server gave the client to hand in again; anyone may have written it.
    pub fn request_state(&self) -> Option<&str> {
        self.text("requestState")
    }

    /// What is completed: the members of `ref` that say so.
    pub fn reference(&self) -> Option<impl Iterator<Item = (&'static str, &str)>> {
        let reference = self.params.get("ref").and_then(Json::as_object)?;
        let text = |name| Some((name, reference.get(name).and_then(Json::as_str)?));
        Some(["type", "name", "uri"].into_iter().filter_map(text))
    }

    /// How a call is to be run as a task (2025-11-25, tasks).
    pub fn augmentation(&self) -> Option<&Object<'a>> {
        self.params.get("task").and_then(Json::as_object)
    }

    /// Where a list goes on.
    pub fn cursor(&self) -> Option<&str> {
        self.text("cursor")
    }

    /// The level of `logging/setLevel`.
    pub fn level(&self) -> Option<&str> {
        self.text("level")
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.params.get(name).and_then(Json::as_str)
    }

    /// Does it take up an earlier call? Then that is decided anew.
    pub fn is_retry(&self) -> bool {
        self.params.get("inputResponses").is_some() || self.params.get("requestState").is_some()
    }

    /// Name and version that the client claims. Nothing to trust.
    pub fn client(&self) -> (Option<&str>, Option<&str>) {
        let info = match self.version.era {
            Era::Modern => self.meta().and_then(|meta| meta.get(META_CLIENT)),
            Era::Legacy => self.params.get("clientInfo"),
        };
        let info = info.and_then(Json::as_object);
        let text = |name| info.and_then(|info| info.get(name)).and_then(Json::as_str);
        (text("name"), text("version"))
    }

    /// What the record calls the message.
    pub fn label(&self) -> &str {
        self.method.as_deref().unwrap_or(self.kind.name())
    }

    /// What the record says it is about.
    pub fn about(&self) -> Option<&str> {
        self.name.as_deref().or(self.uri.as_deref()).or(self.task.as_deref())
    }
}

/// Is it the name of a tool, by MCP's grammar or by the operator's word?
pub fn is_tool(name: &str, tools: &[String]) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    (name.len() <= 128 && name.bytes().all(plain)) || tools.iter().any(|known| known == name)
}

impl From<&JsonError> for Denial {
    fn from(error: &JsonError) -> Self {
        let reason = error.to_string();
        match error.fault {
            Fault::Syntax => Self::JsonInvalid(reason),
            Fault::Duplicate => Self::MemberDuplicate(reason),
            Fault::Lookalike => Self::MemberLookalike(reason),
            Fault::Ambiguous => Self::JsonAmbiguous(reason),
            Fault::TooLarge => Self::JsonTooLarge(reason),
        }
    }
}

/// Is it an error object (JSON-RPC 2.0 §5.1)?
fn is_error(error: &Json<'_>) -> bool {
    let Some(error) = error.as_object() else { return false };
    let has_code = matches!(error.get("code"), Some(Json::Integer(_)));
    has_code && error.get("message").is_some_and(|message| message.as_str().is_some())
}

/// Is it a result of MCP: an object, and so is its `_meta`?
fn is_result(result: &Json<'_>) -> bool {
    result.as_object().is_some_and(|result| match result.get("_meta") {
        None => true,
        Some(meta) => meta.as_object().is_some_and(is_meta),
    })
}

fn closed(message: &Object<'_>, members: &[&str]) -> Result<(), Denial> {
    match message.members().all(|(name, _)| members.contains(&name)) {
        true => Ok(()),
        false => Err(Denial::MessageInvalid(
            "expected no members but `jsonrpc`, `id`, and `method` with `params`, or `result`, or `error`",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::methods::{In, METHODS};
    use super::*;

    fn head(headers: &[(&str, &str)]) -> Head {
        Head::new(headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect())
    }

    fn read<'a>(body: &'a str, headers: &[(&str, &str)]) -> Result<Call<'a>, Refused> {
        Call::read(body.as_bytes(), &head(headers), &Dialect::default())
    }

    const MODERN: [(&str, &str); 3] =
        [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", "rm")];
    const BODY: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"rm","arguments":{"a":1},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"}}}}"#;

    #[test]
    fn a_modern_call_carries_what_policy_needs() {
        let call = read(BODY, &MODERN).unwrap();
        assert_eq!((call.version, call.kind), (VERSIONS[0], Kind::Request));
        assert_eq!(call.name.as_deref(), Some("rm"));
        assert_eq!(call.arguments().unwrap().get("a"), Some(&Json::Integer(1)));
        assert_eq!(call.client(), (Some("c"), Some("1")));
        assert!(!call.is_retry());
    }

    #[test]
    fn every_method_of_the_table_is_read_in_its_era() {
        for (method, within, names) in METHODS {
            let params = match names {
                Names::Nothing => "",
                Names::Tool | Names::Prompt => r#""name":"x","#,
                Names::Uri => r#""uri":"x","#,
                Names::Task => r#""taskId":"x","#,
                Names::Ref => r#""ref":{"type":"ref/prompt","name":"x"},"#,
                Names::Subscriptions => r#""notifications":{"resourceSubscriptions":["x"]},"#,
            };
            let legacy = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}"z":1}}}}"#);
            assert_eq!(read(&legacy, &[]).is_ok(), !matches!(within, In::Modern), "{method}");
            let meta = format!(r#""_meta":{{"{META_VERSION}":"2026-07-28","{META_CAPABILITIES}":{{}}}}"#);
            let modern = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}{meta}}}}}"#);
            let headers = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", method), ("mcp-name", "x")];
            let named = matches!(method, "tools/call" | "prompts/get" | "resources/read")
                || (method.starts_with("tasks/") && matches!(names, Names::Task));
            let headers = if named { &headers[..] } else { &headers[..2] };
            let outcome = read(&modern, headers);
            assert_eq!(outcome.is_ok(), !matches!(within, In::Legacy), "{method}: {outcome:?}");
        }
    }

    #[test]
    fn mcp_name_is_compared_decoded() {
        for (value, same) in [
            ("rm", true),
            ("=?base64?cm0=?=", true),
            ("=?base64?cm0?=", false),
            ("=?BASE64?cm0=?=", false),
            ("RM", false),
            ("", false),
        ] {
            let headers = [MODERN[0], MODERN[1], ("mcp-name", value)];
            assert_eq!(read(BODY, &headers).is_ok(), same, "{value}");
        }
    }

    #[test]
    fn the_id_is_echoed_only_if_it_was_read_unambiguously() {
        let refused = read(r#"{"jsonrpc":"2.0","id":7,"method":"no/such"}"#, &[]).unwrap_err();
        assert_eq!(refused.id, Some(Id::Integer(7)));
        for id in ["1.5", "null", "true", "[]", "{}", "1e2", "9007199254740993"] {
            let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
            assert_eq!(read(&body, &[]).unwrap_err().id, None, "{id}");
        }
        assert_eq!(read(r#"{"jsonrpc":"2.0","id":7,"id":8,"method":"ping"}"#, &[]).unwrap_err().id, None);
    }
}
