//! What is asked: one MCP message, read strictly, as a [`Call`].
//!
//! Two eras of the protocol meet on one route: *legacy* (up to 2025-11-25, with
//! `initialize` and sessions) and *modern* (from 2026-07-28, each request
//! complete in itself). Servers tell them apart in different ways, so a message
//! is modern only if its header and its body both say so, and refused if they
//! disagree (2026-07-28, Streamable HTTP, Request Metadata).
//!
//! Every method of both eras is known here, with what it names. A method that
//! is not in the table goes no further.

mod methods;

use std::borrow::Cow;

use jwt_simple::reexports::ct_codecs::{Base64, Decoder as _};

use crate::denial::Denial;
use crate::http::Head;
use crate::json::{Json, Limits, Object};
use methods::{Names, known};

/// Which shape of the protocol a message has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// Before 2026-07-28.
    Legacy,
    /// 2026-07-28 and later.
    Modern,
}

impl Era {
    /// Its name in `input.mcp.era`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Modern => "modern",
        }
    }
}

/// The versions that the gate speaks.
pub const VERSIONS: [(&str, Era); 4] = [
    ("2026-07-28", Era::Modern),
    ("2025-11-25", Era::Legacy),
    ("2025-06-18", Era::Legacy),
    ("2025-03-26", Era::Legacy),
];

/// What a legacy message without a version header is taken for (2025-06-18, Streamable HTTP).
const ASSUMED: &str = "2025-03-26";

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
    /// Which shape of the protocol it has.
    pub era: Era,
    /// The version of the protocol.
    pub version: &'static str,
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

impl<'a> Call<'a> {
    /// A GET or DELETE, which only the legacy era has.
    pub fn bodiless(kind: Kind, head: &Head) -> Result<Self, Denial> {
        let (version, era) = header_version(head)?.unwrap_or((ASSUMED, Era::Legacy));
        if era == Era::Modern {
            return Err(Denial::MethodRefused { allow: "POST" });
        }
        Ok(Self::nameless(era, version, kind))
    }

    /// A message that has no method and names nothing.
    fn nameless(era: Era, version: &'static str, kind: Kind) -> Self {
        let params = Object::default();
        Self { era, version, kind, id: None, method: None, name: None, uri: None, uris: Vec::new(), task: None, params }
    }

    /// Reads the body of a POST, and holds the MCP headers against it.
    pub fn read(body: &'a [u8], head: &Head, limits: Limits) -> Result<Self, Refused> {
        let mut message = match Json::read(body, limits) {
            Ok(Json::Object(message)) => message,
            Ok(Json::Array(_)) => return Err(Denial::BatchRefused.into()),
            Ok(_) => return Err(Denial::MessageInvalid("expected a JSON-RPC message, an object").into()),
            Err(error) if error.duplicate => return Err(Denial::MemberDuplicate(error.to_string()).into()),
            Err(error) => return Err(Denial::JsonInvalid(error.to_string()).into()),
        };
        let id = match message.get("id") {
            None => None,
            Some(id) => match Id::read(id) {
                Some(id) => Some(id),
                None => {
                    return Err(
                        Denial::MessageInvalid("`id`: expected an integer or a string of at most 256 bytes").into()
                    );
                }
            },
        };
        Self::from_message(&mut message, id.clone(), head).map_err(|denial| {
            let method = message.get("method").and_then(Json::as_str).map(str::to_owned);
            Refused { id, method, denial }
        })
    }

    fn from_message(message: &mut Object<'a>, id: Option<Id>, head: &Head) -> Result<Self, Denial> {
        if message.get("jsonrpc").and_then(Json::as_str) != Some("2.0") {
            return Err(Denial::MessageInvalid("`jsonrpc`: expected \"2.0\""));
        }
        let stated = header_version(head)?;
        if message.get("method").is_none() {
            return Self::response(message, id, stated);
        }
        closed(message, &["jsonrpc", "id", "method", "params"])?;
        let Some(Json::String(method)) = message.get("method").cloned() else {
            return Err(Denial::MessageInvalid("`method`: expected a string"));
        };
        let params = match message.take("params") {
            None => Object::default(),
            Some(Json::Object(params)) => params,
            Some(_) => return Err(Denial::ParamsInvalid("`params`: expected an object")),
        };

        no_lookalikes(&params)?;
        let (era, version) = agreed_version(stated, &params, &method)?;
        let (kind, names) = known(&method, era, id.is_some())?;
        let mut call = Self {
            era,
            version,
            kind,
            id,
            method: Some(method),
            name: None,
            uri: None,
            uris: Vec::new(),
            task: None,
            params,
        };
        call.take_names(names)?;
        call.check_meta()?;
        call.check_headers(head)?;
        Ok(call)
    }

    /// The answer to a request of the server, which only the legacy era has.
    fn response(message: &Object<'a>, id: Option<Id>, stated: Option<(&'static str, Era)>) -> Result<Self, Denial> {
        closed(message, &["jsonrpc", "id", "result", "error"])?;
        if id.is_none() || message.get("result").is_some() == message.get("error").is_some() {
            return Err(Denial::MessageInvalid("expected a `method`, or an `id` and either `result` or `error`"));
        }
        let (version, era) = stated.unwrap_or((ASSUMED, Era::Legacy));
        if era == Era::Modern {
            return Err(Denial::MessageInvalid("a client sends no responses in this version of the protocol"));
        }
        Ok(Self::nameless(era, version, Kind::Response))
    }

    fn take_names(&mut self, names: Names) -> Result<(), Denial> {
        let params = &self.params;
        match names {
            Names::Nothing => {}
            Names::Tool => {
                let name = string(params, "name", "`params.name`: expected the name of a tool")?;
                let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
                if name.len() > 128 || !name.bytes().all(plain) {
                    return Err(Denial::ParamsInvalid("`params.name`: expected 1 to 128 of A-Z a-z 0-9 _ . -"));
                }
                self.name = Some(name);
                if params.get("arguments").is_some_and(|arguments| arguments.as_object().is_none()) {
                    return Err(Denial::ParamsInvalid("`params.arguments`: expected an object"));
                }
            }
            Names::Prompt => {
                self.name = Some(string(params, "name", "`params.name`: expected the name of a prompt")?);
                if params.get("arguments").is_some_and(|arguments| arguments.as_object().is_none()) {
                    return Err(Denial::ParamsInvalid("`params.arguments`: expected an object"));
                }
            }
            Names::Uri => self.uri = Some(string(params, "uri", "`params.uri`: expected a URI")?),
            Names::Task => self.task = Some(string(params, "taskId", "`params.taskId`: expected the id of a task")?),
            Names::Ref => {
                let expected = "`params.ref`: expected `ref/prompt` with a name, or `ref/resource` with a uri";
                let reference = params.get("ref").and_then(Json::as_object).ok_or(Denial::ParamsInvalid(expected))?;
                match reference.get("type").and_then(Json::as_str) {
                    Some("ref/prompt") => self.name = Some(string(reference, "name", expected)?),
                    Some("ref/resource") => self.uri = Some(string(reference, "uri", expected)?),
                    _ => return Err(Denial::ParamsInvalid(expected)),
                }
            }
            Names::Subscriptions => {
                let expected = "`params.notifications`: expected an object";
                let wanted =
                    params.get("notifications").and_then(Json::as_object).ok_or(Denial::ParamsInvalid(expected))?;
                self.uris = strings(wanted, "resourceSubscriptions")?;
                // One task can be named; more would need a decision each.
                let mut tasks = strings(wanted, "taskIds")?;
                self.task = tasks.pop();
                if !tasks.is_empty() {
                    return Err(Denial::ParamsInvalid("`params.notifications.taskIds`: expected at most one id"));
                }
            }
        }
        Ok(())
    }

    /// What a modern request must carry (2026-07-28, `_meta`).
    fn check_meta(&self) -> Result<(), Denial> {
        if self.era == Era::Modern && self.kind == Kind::Request {
            let capabilities = self.meta().and_then(|meta| meta.get(META_CAPABILITIES));
            if capabilities.and_then(Json::as_object).is_none() {
                return Err(Denial::ParamsInvalid(
                    "`params._meta`: expected `io.modelcontextprotocol/clientCapabilities`, an object",
                ));
            }
        }
        Ok(())
    }

    /// `Mcp-Method` and `Mcp-Name` must say what the body says: required in the
    /// modern era, where routers trust them; never wrong in the legacy one.
    fn check_headers(&self, head: &Head) -> Result<(), Denial> {
        let required = self.era == Era::Modern && self.kind == Kind::Request;
        match one(head, "mcp-method", "Mcp-Method: expected one header")? {
            Some(value) if self.method.as_deref().map(str::as_bytes) != Some(value) => {
                return Err(Denial::HeaderMismatch("Mcp-Method: expected the `method` of the body"));
            }
            None if required => {
                return Err(Denial::HeaderMismatch("Mcp-Method: expected the `method` of the body, found no header"));
            }
            _ => {}
        }
        let named = match self.method.as_deref() {
            Some("tools/call" | "prompts/get") => self.name.as_deref(),
            Some("resources/read") => self.uri.as_deref(),
            Some("tasks/get" | "tasks/update" | "tasks/cancel") => self.task.as_deref(),
            _ => None,
        };
        match one(head, "mcp-name", "Mcp-Name: expected one header")? {
            Some(value) if decoded(value).as_deref() != named => {
                Err(Denial::HeaderMismatch("Mcp-Name: expected the name, uri or task id of the body"))
            }
            None if required && named.is_some() => {
                Err(Denial::HeaderMismatch("Mcp-Name: expected the name, uri or task id of the body, found no header"))
            }
            _ => Ok(()),
        }
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

    /// Does it take up an earlier call? Then that is decided anew.
    pub fn is_retry(&self) -> bool {
        self.params.get("inputResponses").is_some() || self.params.get("requestState").is_some()
    }

    /// Name and version that the client claims. Nothing to trust.
    pub fn client(&self) -> (Option<&str>, Option<&str>) {
        let info = match self.era {
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

/// The version that the header states, if it is there.
fn header_version(head: &Head) -> Result<Option<(&'static str, Era)>, Denial> {
    let Some(stated) = one(head, "mcp-protocol-version", "MCP-Protocol-Version: expected one header")? else {
        return Ok(None);
    };
    let version = VERSIONS.into_iter().find(|(version, _)| version.as_bytes() == stated);
    let requested = || String::from_utf8_lossy(stated).chars().take(32).collect();
    version.map(Some).ok_or_else(|| Denial::VersionUnsupported { requested: requested() })
}

/// Header and body must agree on the era.
fn agreed_version(
    stated: Option<(&'static str, Era)>,
    params: &Object<'_>,
    method: &str,
) -> Result<(Era, &'static str), Denial> {
    let meta = params.get("_meta").and_then(Json::as_object).and_then(|meta| meta.get(META_VERSION));
    match (stated, meta) {
        (Some((version, Era::Modern)), Some(meta)) if meta.as_str() == Some(version) => Ok((Era::Modern, version)),
        (Some((version, Era::Modern)), None) if method.starts_with("notifications/") => Ok((Era::Modern, version)),
        (Some((_, Era::Modern)), None) => {
            Err(Denial::ParamsInvalid("`params._meta`: expected `io.modelcontextprotocol/protocolVersion`"))
        }
        (_, Some(_)) => Err(Denial::HeaderMismatch("MCP-Protocol-Version: expected the version in `params._meta`")),
        (Some((version, Era::Legacy)), None) => Ok((Era::Legacy, version)),
        (None, None) => Ok((Era::Legacy, ASSUMED)),
    }
}

fn closed(message: &Object<'_>, members: &[&str]) -> Result<(), Denial> {
    match message.members().all(|(name, _)| members.contains(&name)) {
        true => Ok(()),
        false => Err(Denial::MessageInvalid(
            "expected no members but `jsonrpc`, `id`, and `method` with `params`, or `result`, or `error`",
        )),
    }
}

/// The members of `params` that decide what a message is about.
const DECISIVE: [&str; 17] = [
    "_meta",
    "arguments",
    "argument",
    "capabilities",
    "clientInfo",
    "context",
    "cursor",
    "inputResponses",
    "level",
    "name",
    "notifications",
    "protocolVersion",
    "ref",
    "requestState",
    "task",
    "taskId",
    "uri",
];

/// Refuses members of `params` that some server would take for one that decides:
/// there are decoders that match names whatever their case, Unicode's folds
/// included. No member that MCP has is other than ASCII.
fn no_lookalikes(params: &Object<'_>) -> Result<(), Denial> {
    let is_alike = |name: &str| {
        !name.is_ascii() || DECISIVE.iter().any(|known| known.eq_ignore_ascii_case(name) && *known != name)
    };
    match params.members().any(|(name, _)| is_alike(name)) {
        true => {
            Err(Denial::MessageInvalid("`params`: found a member whose name looks like another's; spell it exactly"))
        }
        false => Ok(()),
    }
}

/// A member that must be a string of one to 2048 bytes, without control characters.
fn string<'a>(object: &Object<'a>, name: &str, expected: &'static str) -> Result<Cow<'a, str>, Denial> {
    match object.get(name) {
        Some(Json::String(text)) if is_plain(text) => Ok(text.clone()),
        _ => Err(Denial::ParamsInvalid(expected)),
    }
}

fn is_plain(text: &str) -> bool {
    (1..=2048).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// A member that must be a list of such strings, if it is there.
fn strings<'a>(object: &Object<'a>, name: &str) -> Result<Vec<Cow<'a, str>>, Denial> {
    let expected = Denial::ParamsInvalid("`params.notifications`: expected lists of strings");
    let Some(list) = object.get(name) else { return Ok(Vec::new()) };
    let items = list.as_array().ok_or_else(|| expected.clone())?;
    let strings = items.iter().map(|item| match item {
        Json::String(text) if is_plain(text) => Some(text.clone()),
        _ => None,
    });
    strings.collect::<Option<Vec<_>>>().ok_or(expected)
}

fn one<'h>(head: &'h Head, name: &str, expected: &'static str) -> Result<Option<&'h [u8]>, Denial> {
    head.get(name).map_err(|_| Denial::HeaderMismatch(expected))
}

/// The value of `Mcp-Name`: as it stands, or between `=?base64?` and `?=` as
/// canonical base64 of UTF-8.
fn decoded(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?;
    match text.strip_prefix("=?base64?").and_then(|text| text.strip_suffix("?=")) {
        None => Some(text.to_owned()),
        Some(encoded) => {
            let bytes = Base64::decode_to_vec(encoded, None).ok()?;
            String::from_utf8(bytes).ok()
        }
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
        Call::read(body.as_bytes(), &head(headers), Limits::default())
    }

    const MODERN: [(&str, &str); 3] =
        [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", "rm")];
    const BODY: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"rm","arguments":{"a":1},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"}}}}"#;

    #[test]
    fn a_modern_call_carries_what_policy_needs() {
        let call = read(BODY, &MODERN).unwrap();
        assert_eq!((call.era, call.version, call.kind), (Era::Modern, "2026-07-28", Kind::Request));
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
