//! Every method of both eras, and what each names.

use super::{Era, Kind};
use crate::denial::Denial;

/// What a method names, and where in its params.
#[derive(Clone, Copy)]
pub(super) enum Names {
    Nothing,
    /// `params.name`, a tool.
    Tool,
    /// `params.name`, a prompt.
    Prompt,
    /// `params.uri`
    Uri,
    /// `params.ref`, a prompt or a resource.
    Ref,
    /// `params.taskId`
    Task,
    /// `params.notifications`, a list of resources and tasks.
    Subscriptions,
}

/// In which era a method exists.
#[derive(Clone, Copy)]
pub(super) enum In {
    Both,
    Legacy,
    Modern,
}

/// Every method that a client sends (MCP 2025-03-26 to 2026-07-28 and the
/// tasks and skills extensions).
pub(super) const METHODS: [(&str, In, Names); 23] = [
    ("initialize", In::Legacy, Names::Nothing),
    ("server/discover", In::Modern, Names::Nothing),
    ("ping", In::Legacy, Names::Nothing),
    ("logging/setLevel", In::Legacy, Names::Nothing),
    ("tools/list", In::Both, Names::Nothing),
    ("tools/call", In::Both, Names::Tool),
    ("prompts/list", In::Both, Names::Nothing),
    ("prompts/get", In::Both, Names::Prompt),
    ("resources/list", In::Both, Names::Nothing),
    ("resources/templates/list", In::Both, Names::Nothing),
    ("resources/read", In::Both, Names::Uri),
    ("resources/directory/read", In::Modern, Names::Uri),
    ("resources/subscribe", In::Legacy, Names::Uri),
    ("resources/unsubscribe", In::Legacy, Names::Uri),
    ("subscriptions/listen", In::Modern, Names::Subscriptions),
    ("completion/complete", In::Both, Names::Ref),
    ("tasks/get", In::Both, Names::Task),
    ("tasks/cancel", In::Both, Names::Task),
    ("tasks/result", In::Legacy, Names::Task),
    ("tasks/list", In::Legacy, Names::Nothing),
    ("tasks/update", In::Modern, Names::Task),
    ("skills/list", In::Modern, Names::Nothing),
    ("skills/get", In::Modern, Names::Uri),
];

/// Those of a client. In the modern era they mean nothing over HTTP, and SDKs drop
/// them: nobody is harmed who still sends one.
const NOTIFICATIONS: [(&str, Names); 5] = [
    ("notifications/initialized", Names::Nothing),
    ("notifications/cancelled", Names::Nothing),
    ("notifications/progress", Names::Nothing),
    ("notifications/roots/list_changed", Names::Nothing),
    ("notifications/tasks/status", Names::Task),
];

/// The methods that MCP has, in any era.
pub fn methods() -> impl Iterator<Item = &'static str> {
    METHODS.iter().map(|(name, ..)| *name).chain(NOTIFICATIONS.iter().map(|(name, _)| *name))
}

/// Does MCP have this method, in any era?
pub fn is_known_method(method: &str) -> bool {
    methods().any(|name| name == method)
}

/// The kind of a method and what it names. `more` are the operator's, which are
/// of both eras and name nothing.
pub(super) fn known(method: &str, era: Era, has_id: bool, more: &[String]) -> Result<(Kind, Names), Denial> {
    let is_listed = more.iter().any(|known| known == method);
    let notification = NOTIFICATIONS.iter().find(|(name, _)| *name == method).map(|(_, names)| *names);
    let listed = (is_listed && method.starts_with("notifications/")).then_some(Names::Nothing);
    if let Some(names) = notification.or(listed) {
        return match has_id {
            false => Ok((Kind::Notification, names)),
            true => Err(Denial::MessageInvalid("a notification has no `id`")),
        };
    }
    let entry = METHODS.iter().find(|(name, within, _)| {
        *name == method
            && match within {
                In::Both => true,
                In::Legacy => era == Era::Legacy,
                In::Modern => era == Era::Modern,
            }
    });
    let names = match entry {
        Some((_, _, names)) => *names,
        None if is_listed => Names::Nothing,
        None => return Err(Denial::MethodUnknown { modern: era == Era::Modern }),
    };
    // A server may run a request that comes without an id and answer nobody.
    match has_id {
        true => Ok((Kind::Request, names)),
        false => Err(Denial::MessageInvalid("a request has an `id`")),
    }
}
