//! The input document, version 1: what a policy sees of a question.
//!
//! `policies/input.schema.json` describes it. What no rule can read is left out.

use std::collections::BTreeMap;

use regorus::Value;

use super::{Peer, Policy, Question};
use crate::http::Head;
use crate::json::Object;
use crate::rego::{Analysis, SECRET};
use crate::token;

/// Which costly parts of the input some rule can read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reads {
    pub(super) http: bool,
    headers: bool,
    pub(super) source: bool,
    pub(super) arguments: bool,
    augmentation: bool,
    responses: bool,
    client: bool,
    tool: bool,
}

impl Reads {
    pub(super) fn new(analysis: &Analysis) -> Self {
        Self {
            http: analysis.reads(&["http"]),
            headers: analysis.reads(&["http", "headers"]),
            source: analysis.reads(&["http", "source"]),
            arguments: analysis.reads(&["mcp", "arguments"]),
            augmentation: analysis.reads(&["mcp", "augmentation"]),
            responses: analysis.reads(&["mcp", "input_responses"]),
            client: analysis.reads(&["mcp", "client"]),
            tool: analysis.reads(&["tool"]),
        }
    }
}

impl Policy {
    /// The input document of a question.
    pub(super) fn input(&self, question: Question<'_>) -> Value {
        let names = &self.names;
        let call = question.call;
        let mut mcp = BTreeMap::new();
        mcp.insert(names.era.clone(), call.version.era.name().into());
        mcp.insert(names.version.clone(), call.version.name.into());
        mcp.insert(names.kind.clone(), call.kind.name().into());
        mcp.insert(names.retry.clone(), call.is_retry().into());
        let text = |text: Option<&str>| text.map(Value::from);
        insert(&mut mcp, &names.method, text(call.method.as_deref()));
        insert(&mut mcp, &names.name, text(call.name.as_deref()));
        insert(&mut mcp, &names.uri, text(call.uri.as_deref()));
        insert(&mut mcp, &names.task, text(call.task.as_deref()));
        insert(&mut mcp, &names.cursor, text(call.cursor()));
        insert(&mut mcp, &names.level, text(call.level()));
        insert(&mut mcp, &names.request_state, text(call.request_state()));
        if let Some(reference) = call.reference() {
            mcp.insert("ref".into(), object(reference.map(|(name, text)| (name, text.into()))));
        }
        for (name, list) in [(&names.uris, &call.uris), (&names.tasks, &call.tasks)] {
            if !list.is_empty() {
                let list: Vec<Value> = list.iter().map(|item| item.as_ref().into()).collect();
                mcp.insert(name.clone(), list.into());
            }
        }
        if self.reads.arguments {
            insert(&mut mcp, &names.arguments, call.arguments().map(Object::to_value));
        }
        if self.reads.responses {
            insert(&mut mcp, &names.input_responses, call.input_responses().map(Object::to_value));
        }
        if self.reads.augmentation {
            insert(&mut mcp, &names.augmentation, call.augmentation().map(Object::to_value));
        }
        if self.reads.client {
            let (name, version) = call.client();
            let mut client = BTreeMap::new();
            insert(&mut client, &names.name, text(name));
            insert(&mut client, &names.version, text(version));
            mcp.insert(names.client.clone(), client.into());
        }
        let time = BTreeMap::from([(names.unix.clone(), token::seconds(question.now).into())]);

        let mut input = BTreeMap::new();
        input.insert(names.version.clone(), Value::from(1_u64));
        input.insert(names.resource.clone(), question.resource.into());
        input.insert(names.identity.clone(), question.identity.input.clone());
        input.insert(names.mcp.clone(), mcp.into());
        input.insert(names.time.clone(), time.into());
        // Never what a server says of its tool now.
        let annotations = question.catalogue.filter(|_| self.reads.tool).and_then(|known| known.annotations(call));
        if let Some(annotations) = annotations {
            input.insert("tool".into(), object([("annotations", annotations.clone())]));
        }
        if self.reads.http {
            input.insert(names.http.clone(), self.http(question));
        }
        input.into()
    }

    fn http(&self, question: Question<'_>) -> Value {
        let head = question.head;
        let text = |bytes: &[u8]| Value::from(String::from_utf8_lossy(bytes).as_ref());
        let mut http: Vec<(&str, Value)> =
            vec![("method", text(head.method())), ("path", text(head.path())), ("host", text(head.authority()))];
        if self.reads.headers {
            http.push(("headers", headers(head)));
        }
        if self.reads.source {
            let Peer { address, principal, .. } = question.peer;
            let source = [("address", address), ("principal", principal)];
            let source = source.into_iter().filter_map(|(name, value)| Some((name, Value::from(value.as_deref()?))));
            http.push(("source", object(source)));
        }
        object(http)
    }
}

/// Headers for the input: repeated ones joined with a comma (RFC 9110 §5.3),
/// without credentials, without those that are not UTF-8.
fn headers(head: &Head) -> Value {
    let mut joined: BTreeMap<&str, String> = BTreeMap::new();
    for (name, value) in head.iter().filter(|(name, _)| !SECRET.contains(name)) {
        let Ok(value) = std::str::from_utf8(value) else { continue };
        let entry = joined.entry(name).or_default();
        if !entry.is_empty() {
            entry.push(',');
        }
        entry.push_str(value);
    }
    object(joined.iter().map(|(name, value)| (*name, Value::from(value.as_str()))))
}

pub(super) fn object<'a>(members: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    members.into_iter().map(|(name, value)| (name.into(), value)).collect::<BTreeMap<Value, Value>>().into()
}

fn insert(object: &mut BTreeMap<Value, Value>, name: &Value, value: Option<Value>) {
    if let Some(value) = value {
        object.insert(name.clone(), value);
    }
}

/// The names of the input document as the engine keeps them, made once.
macro_rules! names {
    ($($name:ident),*) => {
        pub(super) struct InputNames {
            $($name: Value),*
        }

        impl InputNames {
            pub(super) fn new() -> Self {
                Self { $($name: stringify!($name).into()),* }
            }
        }
    };
}
names!(
    arguments,
    augmentation,
    client,
    cursor,
    era,
    http,
    identity,
    input_responses,
    kind,
    level,
    mcp,
    method,
    name,
    request_state,
    resource,
    retry,
    task,
    tasks,
    time,
    unix,
    uri,
    uris,
    version
);
