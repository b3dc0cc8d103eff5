//! The params of a message: which members decide, of what type they are, and
//! which only look like them.

use std::borrow::Cow;

use super::uri::fault;
use super::{META_CAPABILITIES, META_CLIENT, META_TASK, META_VERSION};
use crate::denial::Denial;
use crate::json::{Json, Object, is_lookalike};

/// The members of `params` that decide what a message is about, and of which
/// type they must be.
const DECISIVE: [(&str, Type); 17] = [
    ("_meta", Type::Object),
    ("arguments", Type::Object),
    ("argument", Type::Any),
    ("capabilities", Type::Any),
    ("clientInfo", Type::Any),
    ("context", Type::Any),
    ("cursor", Type::Text),
    ("inputResponses", Type::Object),
    ("level", Type::Text),
    ("name", Type::Text),
    ("notifications", Type::Any),
    ("protocolVersion", Type::Text),
    ("ref", Type::Object),
    ("requestState", Type::String),
    ("task", Type::Object),
    ("taskId", Type::Text),
    ("uri", Type::Uri),
];

#[derive(Clone, Copy)]
enum Type {
    Any,
    Object,
    /// A string of any length and content.
    String,
    /// A short string without control characters.
    Text,
    /// The URI of a resource.
    Uri,
}

/// Refuses members of `params` of another type than they have in MCP, whatever
/// the method, and those that some server would take for one that decides. No
/// member that MCP has is other than ASCII.
pub(super) fn check_params(params: &Object<'_>) -> Result<(), Denial> {
    check_count(params, "`params`")?;
    for (name, value) in params.members() {
        let Some((_, expected)) = DECISIVE.iter().find(|(known, _)| *known == name) else {
            let known = DECISIVE.map(|(known, _)| known);
            let is_magic = matches!(name, "" | "constructor" | "prototype");
            if is_magic || !name.is_ascii() || is_lookalike(name, &known) {
                return Err(Denial::MemberLookalike(
                    "`params` has a member that looks like another; spell it exactly".into(),
                ));
            }
            continue;
        };
        let problem = match (expected, value) {
            (Type::Object, Json::Object(_)) | (Type::String, Json::String(_)) | (Type::Any, _) => continue,
            (Type::Text, Json::String(text)) if is_plain(text) => continue,
            (Type::Uri, Json::String(text)) => match fault(text) {
                None => continue,
                Some(problem) => problem,
            },
            (Type::Object, _) => {
                "`params`: expected `_meta`, `arguments`, `ref`, `task` and `inputResponses` to be objects"
            }
            (Type::String, _) => "`params.requestState`: expected a string",
            (Type::Text, _) => {
                "`params`: expected `name`, `taskId`, `cursor`, `level` and `protocolVersion` to be strings of 1 to 2048 bytes without control characters"
            }
            (Type::Uri, _) => "`params.uri`: expected a string",
        };
        return Err(Denial::ParamsInvalid(problem));
    }
    match params.get("_meta").and_then(Json::as_object) {
        None => Ok(()),
        Some(meta) if !is_meta(meta) => Err(Denial::ParamsInvalid(
            "`params._meta`: expected `progressToken`, a string or an integer, and `io.modelcontextprotocol/related-task`, an object with a `taskId` and nothing else",
        )),
        Some(meta) => {
            check_lookalikes(meta, "`params._meta`", &[META_VERSION, META_CAPABILITIES, META_CLIENT, META_TASK])
        }
    }
}

/// Refuses an object of the protocol's own with more members than it can have; each is
/// looked at several times.
fn check_count(object: &Object<'_>, place: &str) -> Result<(), Denial> {
    const MOST: usize = 100;
    match object.members().count() {
        count if count > MOST => {
            Err(Denial::JsonTooLarge(format!("{place}: expected at most {MOST} members, found {count}")))
        }
        _ => Ok(()),
    }
}

/// Refuses members of an object that look like one of these without being it.
pub(super) fn check_lookalikes(object: &Object<'_>, place: &str, known: &[&str]) -> Result<(), Denial> {
    check_count(object, place)?;
    match object.members().any(|(name, _)| is_lookalike(name, known)) {
        true => Err(Denial::MemberLookalike(format!("{place} has a member that looks like another; spell it exactly"))),
        false => Ok(()),
    }
}

/// A member that must be a string of one to 2048 bytes, without control characters.
pub(super) fn string<'a>(object: &Object<'a>, name: &str, expected: &'static str) -> Result<Cow<'a, str>, Denial> {
    match object.get(name) {
        Some(Json::String(text)) if is_plain(text) => Ok(text.clone()),
        _ => Err(Denial::ParamsInvalid(expected)),
    }
}

/// One to 2048 bytes, without control characters.
pub fn is_plain(text: &str) -> bool {
    (1..=2048).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// A member `uri`; `expected` says what is, where there is none, and `fault` what is wrong with it.
pub(super) fn uri<'a>(
    object: &Object<'a>,
    expected: &'static str,
    fault: fn(&str) -> Option<&'static str>,
) -> Result<Cow<'a, str>, Denial> {
    let text = string(object, "uri", expected)?;
    match fault(&text) {
        None => Ok(text),
        Some(problem) => Err(Denial::ParamsInvalid(problem)),
    }
}

/// A member that must be a list of strings, if it is there.
pub(super) fn strings<'a>(object: &Object<'a>, name: &str) -> Result<Vec<Cow<'a, str>>, Denial> {
    let expected = Denial::ParamsInvalid("`params.notifications`: expected lists of strings");
    let Some(list) = object.get(name) else { return Ok(Vec::new()) };
    let items = list.as_array().ok_or_else(|| expected.clone())?;
    let strings = items.iter().map(|item| match item {
        Json::String(text) if is_plain(text) => Some(text.clone()),
        _ => None,
    });
    strings.collect::<Option<Vec<_>>>().ok_or(expected)
}

/// The same, of URIs.
pub(super) fn uris<'a>(object: &Object<'a>, name: &str) -> Result<Vec<Cow<'a, str>>, Denial> {
    let uris = strings(object, name)?;
    match uris.iter().find_map(|text| fault(text)) {
        None => Ok(uris),
        Some(problem) => Err(Denial::ParamsInvalid(problem)),
    }
}

/// Are the members of `_meta` that MCP gives a type of it (2025-11-25 and 2026-07-28, `_meta`)?
pub(super) fn is_meta(meta: &Object<'_>) -> bool {
    let has_token = match meta.get("progressToken") {
        None | Some(Json::String(_) | Json::Integer(_)) => true,
        Some(_) => false,
    };
    let has_task = meta.get(META_TASK).is_none_or(|task| {
        let mut members = task.as_object().into_iter().flat_map(Object::members);
        matches!((members.next(), members.next()), (Some(("taskId", Json::String(_))), None))
    });
    has_token && has_task
}
