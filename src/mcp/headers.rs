//! The headers that repeat what the body says, held against it.
//!
//! Routers trust them; servers may trust them or the body. So they must agree:
//! `Mcp-Method`, `Mcp-Name`, and `Mcp-Param-*`, which repeats arguments of a tool
//! (2026-07-28, Streamable HTTP, Request Metadata).

use std::collections::{BTreeMap, HashMap};

use jwt_simple::reexports::ct_codecs::{Base64, Decoder as _};

use super::{Call, Era, Kind};
use crate::denial::Denial;
use crate::http::Head;
use crate::json::{Json, Limits, Object};

/// Which `Mcp-Param-*` headers the tools of a resource have: by tool, the end of
/// the header's name in lower case, and the path of the argument.
pub type ParamHeaders = BTreeMap<String, Vec<(String, Vec<String>)>>;

const PREFIX: &str = "mcp-param-";

/// May this stand after `Mcp-Param-` in the name of a header? An underscore would
/// be a hyphen to some servers.
pub fn is_param_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

impl Call<'_> {
    /// Every such header says what the body says: required in the modern era,
    /// never wrong in the legacy one.
    pub(super) fn check_headers(&self, head: &Head, params: &ParamHeaders) -> Result<(), Denial> {
        let required = self.version.era == Era::Modern && self.kind == Kind::Request;
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
            Some(value) if named.is_none() || decoded(value).as_deref() != named => {
                return Err(Denial::HeaderMismatch("Mcp-Name: expected the name, uri or task id of the body"));
            }
            None if required && named.is_some() => {
                return Err(Denial::HeaderMismatch(
                    "Mcp-Name: expected the name, uri or task id of the body, found no header",
                ));
            }
            _ => {}
        }
        self.check_param_headers(head, params, required)
    }

    /// `Mcp-Param-*`: what the operator said of the tool, and what can be seen
    /// without knowing its schema.
    fn check_param_headers(&self, head: &Head, params: &ParamHeaders, required: bool) -> Result<(), Denial> {
        let tool = self.name.as_deref().filter(|_| self.method.as_deref() == Some("tools/call"));
        let known = tool.and_then(|tool| params.get(tool)).map(Vec::as_slice).unwrap_or_default();
        for (name, path) in known {
            let header = one(head, &format!("{PREFIX}{name}"), REPEATED)?;
            match (header, self.argument(path)) {
                (Some(value), Some(argument)) if says(value, argument) => {}
                (None, None | Some(Json::Null)) => {}
                (None, Some(_)) if !required => {}
                _ => return Err(Denial::HeaderMismatch(MISMATCH)),
            }
        }
        let given: Vec<_> = head.iter().filter_map(|(name, value)| Some((name.strip_prefix(PREFIX)?, value))).collect();
        // Looked up by name, since there may be thousands; no two differ in case alone.
        let arguments = self.arguments().filter(|_| !given.is_empty()).into_iter().flat_map(Object::members);
        let arguments: HashMap<_, _> = arguments.map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
        for (name, value) in given {
            one(head, &format!("{PREFIX}{name}"), REPEATED)?;
            if decoded(value).is_none() {
                return Err(Denial::HeaderMismatch(MISMATCH));
            }
            if known.iter().any(|(known, _)| known == name) {
                continue;
            }
            // A schema may give the name of one argument to the header of another,
            // but whoever does so says it in `param_headers`.
            let same = arguments.get(name).filter(|argument| !matches!(argument, Json::Array(_) | Json::Object(_)));
            if same.is_some_and(|argument| !says(value, argument)) {
                return Err(Denial::HeaderMismatch(MISMATCH));
            }
        }
        Ok(())
    }

    fn argument(&self, path: &[String]) -> Option<&Json<'_>> {
        let (last, above) = path.split_last()?;
        let object = above.iter().try_fold(self.arguments()?, |object, name| object.get(name)?.as_object())?;
        object.get(last)
    }
}

const REPEATED: &str = "Mcp-Param-*: expected one header of each name";
const MISMATCH: &str = "Mcp-Param-*: expected each header to say what its argument says, and to be there if it is";

fn one<'h>(head: &'h Head, name: &str, expected: &'static str) -> Result<Option<&'h [u8]>, Denial> {
    head.get(name).map_err(|_| Denial::HeaderMismatch(expected))
}

/// Does a header say this argument? Numbers are compared as numbers.
fn says(header: &[u8], argument: &Json<'_>) -> bool {
    let Some(text) = decoded(header) else { return false };
    match argument {
        Json::String(argument) => *argument == text,
        Json::Bool(argument) => text == if *argument { "true" } else { "false" },
        Json::Integer(_) | Json::Float(_) => {
            let said = Json::read(text.as_bytes(), Limits::default()).ok().and_then(|said| said.as_number());
            // The number alone, without the white space that JSON allows around it.
            text.trim_ascii().len() == text.len() && said == argument.as_number()
        }
        Json::Null | Json::Array(_) | Json::Object(_) => false,
    }
}

/// The value of such a header: ASCII as it stands, or between `=?base64?` and `?=`
/// canonical base64 of UTF-8.
fn decoded(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?;
    match text.strip_prefix("=?base64?").and_then(|text| text.strip_suffix("?=")) {
        None => text.is_ascii().then(|| text.to_owned()),
        Some(encoded) => {
            let bytes = Base64::decode_to_vec(encoded, None).ok()?;
            String::from_utf8(bytes).ok()
        }
    }
}
