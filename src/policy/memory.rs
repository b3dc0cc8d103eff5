//! Answers that were given, so that no question is asked twice.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::{Rc, Weak};

use regorus::Value;

use super::{Answer, Question, Sight};
use crate::denial::Denial;
use crate::json::{Json, Object};
use crate::mcp::Call;
use crate::rego::Analysis;
use crate::store::Store;
use crate::token::Identity;

/// Answers that were given, under one policy.
pub(super) struct Memory {
    /// The paths of `input.identity` that some rule can read.
    traits: Vec<Vec<Value>>,
    /// Does an answer name the scopes that were granted?
    names_scopes: bool,
    /// The other paths of the input that some rule can read, but for those whose value
    /// is the same for every question about one resource.
    paths: Vec<Vec<Value>>,
    /// The same, where each is found in the call itself.
    fields: Option<Vec<Field>>,
    askers: RefCell<Store<usize, Asker>>,
    answers: RefCell<Store<Vec<u8>, Answer>>,
    lists: RefCell<Store<Vec<u8>, Rc<[Sight]>>>,
}

/// Who asks at one resource, as far as the rules can tell: tokens of the same digest are
/// one to them.
#[derive(Clone)]
struct Asker {
    identity: Weak<Identity>,
    resource: Rc<str>,
    digest: [u8; 32],
}

/// A value of the input, as the call has it. What is not of these kinds is looked up in the
/// input document.
enum Field {
    Text(for<'a> fn(&'a Call<'_>) -> Option<&'a str>),
    Texts(for<'a, 'b> fn(&'a Call<'b>) -> &'a [Cow<'b, str>]),
    Retry,
    /// One of the caller's objects, and a way into it.
    Within(for<'a, 'b> fn(&'a Call<'b>) -> Option<&'a Object<'b>>, Vec<String>),
}

impl Field {
    fn new(path: &[String]) -> Option<Self> {
        let (mcp, [name, below @ ..]) = path.split_first()? else { return None };
        let within = match name.as_str() {
            "arguments" => Some(Self::Within(|call| call.arguments(), below.to_vec())),
            "augmentation" => Some(Self::Within(|call| call.augmentation(), below.to_vec())),
            "input_responses" => Some(Self::Within(|call| call.input_responses(), below.to_vec())),
            _ => None,
        };
        let text = match name.as_str() {
            "era" => Self::Text(|call| Some(call.version.era.name())),
            "version" => Self::Text(|call| Some(call.version.name)),
            "kind" => Self::Text(|call| Some(call.kind.name())),
            "method" => Self::Text(|call| call.method.as_deref()),
            "name" => Self::Text(|call| call.name.as_deref()),
            "uri" => Self::Text(|call| call.uri.as_deref()),
            "task" => Self::Text(|call| call.task.as_deref()),
            "cursor" => Self::Text(|call| call.cursor()),
            "level" => Self::Text(|call| call.level()),
            "request_state" => Self::Text(|call| call.request_state()),
            "uris" => Self::Texts(|call| &call.uris),
            "tasks" => Self::Texts(|call| &call.tasks),
            "retry" => Self::Retry,
            _ => return within.filter(|_| mcp == "mcp"),
        };
        (mcp == "mcp" && below.is_empty()).then_some(text)
    }

    /// Unambiguously, as [`encode`] does it.
    fn encode(&self, call: &Call<'_>, key: &mut Vec<u8>) {
        match self {
            Self::Text(text) => match text(call) {
                Some(text) => string(text, key),
                None => key.push(b'u'),
            },
            // The input has no empty list.
            Self::Texts(texts) if texts(call).is_empty() => key.push(b'u'),
            Self::Texts(texts) => {
                counted(b'a', texts(call).len(), key);
                texts(call).iter().for_each(|text| string(text, key));
            }
            Self::Retry => key.push(if call.is_retry() { b't' } else { b'f' }),
            Self::Within(object, path) => {
                let Some(object) = object(call) else { return absent(path.len().saturating_add(1), key) };
                let Some((first, below)) = path.split_first() else { return members(object, key) };
                let Some(mut value) = object.get(first) else { return absent(path.len(), key) };
                for (at, name) in below.iter().enumerate() {
                    match value {
                        Json::Object(object) => match object.get(name) {
                            Some(member) => value = member,
                            None => return absent(below.len().saturating_sub(at), key),
                        },
                        _ => {
                            above(below.len().saturating_sub(at), key);
                            break;
                        }
                    }
                }
                json(value, key);
            }
        }
    }
}

impl Memory {
    /// None for a policy whose answer depends on more than can be compared: on
    /// the time, of which a login's age is one, or on the input as a whole.
    pub(super) fn new(analysis: &Analysis) -> Option<Self> {
        if analysis.reads(&["time"]) || analysis.defines("step_up") {
            return None;
        }
        let is_trait = |path: &&Vec<String>| path.first().is_some_and(|name| name == "identity");
        // What was pinned under a method and a name is a resource's own.
        let is_given =
            |path: &&Vec<String>| matches!(path.first().map(String::as_str), Some("resource" | "version" | "tool"));
        // Kind and method are what the handshake is known by.
        let known_by = ["kind", "method"].into_iter().chain(analysis.reads(&["tool"]).then_some("name"));
        let known_by = known_by.map(|name| vec!["mcp".to_owned(), name.to_owned()]);
        let (traits, others): (Vec<_>, Vec<_>) = analysis.reads.iter().partition(is_trait);
        let paths = others.into_iter().filter(|path| !is_given(path)).cloned().chain(known_by);
        let paths: BTreeSet<Vec<String>> = paths.collect();
        let fields = paths.iter().map(|path| Field::new(path)).collect();
        let names = |path: &[String]| path.iter().map(|name| name.as_str().into()).collect();
        Some(Self {
            traits: traits.into_iter().filter_map(|path| path.get(1..)).map(names).collect(),
            names_scopes: analysis.defines("scopes"),
            paths: paths.iter().map(|path| names(path)).collect(),
            fields,
            askers: RefCell::new(Store::new(1024, usize::MAX)),
            answers: RefCell::new(Store::new(2048, 1024 * 1024)),
            lists: RefCell::new(Store::new(256, 256 * 1024)),
        })
    }

    /// The asker, and every value that can be read, unambiguously one after the other.
    /// Most policies read nothing for which the input document has to be made.
    pub(super) fn key(&self, question: Question<'_>, input: impl FnOnce() -> Value) -> Vec<u8> {
        let mut key = Vec::with_capacity(128);
        key.extend(self.asker(question.identity, question.resource));
        match &self.fields {
            Some(fields) => fields.iter().for_each(|field| field.encode(question.call, &mut key)),
            None => look_up(&self.paths, &input(), &mut key),
        }
        key
    }

    /// The digest of all that the rules can read of who asks, and where. One is made for each
    /// identity.
    fn asker(&self, identity: &Rc<Identity>, resource: &str) -> [u8; 32] {
        // INVARIANT: even weakly held, the place of an identity is given to no other, so its
        // address means nobody else while the entry is there.
        let address = Rc::as_ptr(identity).addr();
        let known = self.askers.borrow_mut().get(&address);
        let is_same =
            |known: &Asker| std::ptr::eq(known.identity.as_ptr(), Rc::as_ptr(identity)) && *known.resource == *resource;
        if let Some(known) = known.filter(is_same) {
            return known.digest;
        }
        let mut said = Vec::with_capacity(256);
        string(resource, &mut said);
        look_up(&self.traits, &identity.input, &mut said);
        if self.names_scopes {
            counted(b'a', identity.scopes.len(), &mut said);
            identity.scopes.iter().for_each(|scope| string(scope, &mut said));
        }
        let digest = hmac_sha256::Hash::hash(&said);
        let asker = Asker { identity: Rc::downgrade(identity), resource: resource.into(), digest };
        self.askers.borrow_mut().insert(address, 1, asker);
        digest
    }

    pub(super) fn recall(&self, key: &[u8]) -> Option<Answer> {
        self.answers.borrow_mut().get(key)
    }

    pub(super) fn keep(&self, key: Vec<u8>, answer: &Answer) {
        // A failure may pass; the next call tries again.
        if matches!(answer, Err(Denial::PolicyError(_) | Denial::PolicyTimeout)) {
            return;
        }
        let said = match answer {
            Err(Denial::PolicyDenied { reasons }) => weight(reasons),
            Err(Denial::ScopeMissing { needed, granted }) => weight(needed).saturating_add(weight(granted)),
            _ => 0,
        };
        let weight = key.len().saturating_add(said).saturating_add(256);
        self.answers.borrow_mut().insert(key, weight, answer.clone());
    }

    /// The key of a list: the question is that about its first entry, and the others differ
    /// from it in what they name.
    pub(super) fn list_key(
        &self,
        question: Question<'_>,
        input: impl FnOnce() -> Value,
        calls: &[Call<'_>],
    ) -> Vec<u8> {
        let mut hash = hmac_sha256::Hash::new();
        for call in calls {
            for named in [&call.name, &call.uri] {
                let named = named.as_deref().unwrap_or_default();
                hash.update(named.len().to_le_bytes());
                hash.update(named);
            }
        }
        let mut key = self.key(question, input);
        key.extend(hash.finalize());
        key
    }

    pub(super) fn recall_list(&self, key: &[u8]) -> Option<Rc<[Sight]>> {
        self.lists.borrow_mut().get(key)
    }

    pub(super) fn keep_list(&self, key: Vec<u8>, sights: &Rc<[Sight]>) {
        if sights.contains(&Sight::Failed) {
            return;
        }
        let weight = key.len().saturating_add(sights.len()).saturating_add(256);
        self.lists.borrow_mut().insert(key, weight, Rc::clone(sights));
    }
}

/// The values at these paths, one after the other.
fn look_up(paths: &[Vec<Value>], document: &Value, key: &mut Vec<u8>) {
    'paths: for path in paths {
        let mut value = document;
        for (at, name) in path.iter().enumerate() {
            let left = path.len().saturating_sub(at);
            let Value::Object(members) = value else {
                above(left, key);
                break;
            };
            let Some(member) = members.get(name) else {
                absent(left, key);
                continue 'paths;
            };
            value = member;
        }
        encode(value, key);
    }
}

/// What texts take, each with its place in the list.
fn weight(texts: &[String]) -> usize {
    texts.iter().fold(0, |sum, text| sum.saturating_add(text.len()).saturating_add(size_of::<String>()))
}

fn counted(tag: u8, count: usize, key: &mut Vec<u8>) {
    key.push(tag);
    key.extend(count.to_le_bytes());
}

/// Nothing, from so far above what was looked for: to `object.get` an object without the
/// member is another thing than no object.
fn absent(steps: usize, key: &mut Vec<u8>) {
    counted(b'u', steps, key);
}

/// What follows is no object, and stands this far above what was looked for: what a rule sees
/// there is a matter of the whole, and another one than where the same value stands there.
fn above(steps: usize, key: &mut Vec<u8>) {
    counted(b'^', steps, key);
}

fn string(text: &str, key: &mut Vec<u8>) {
    counted(b's', text.len(), key);
    key.extend(text.as_bytes());
}

fn members(object: &Object<'_>, key: &mut Vec<u8>) {
    counted(b'o', object.members().count(), key);
    for (name, value) in object.members() {
        string(name, key);
        json(value, key);
    }
}

/// What a caller sent, in bytes that no other value has; in the order in which it came.
fn json(value: &Json<'_>, key: &mut Vec<u8>) {
    match value {
        Json::Null => key.push(b'n'),
        Json::Bool(bool) => key.push(if *bool { b't' } else { b'f' }),
        Json::Integer(number) => {
            key.push(b'i');
            key.extend(number.to_le_bytes());
        }
        Json::Float(number) => {
            key.push(b'g');
            key.extend(number.to_bits().to_le_bytes());
        }
        Json::String(text) => string(text, key),
        Json::Array(items) => {
            counted(b'a', items.len(), key);
            items.iter().for_each(|item| json(item, key));
        }
        Json::Object(object) => members(object, key),
    }
}

/// A value, in bytes that no other value has: a tag, a length, the contents.
/// The depth is that of the message, which its reader bounds.
fn encode(value: &Value, key: &mut Vec<u8>) {
    match value {
        Value::Undefined => key.push(b'u'),
        Value::Null => key.push(b'n'),
        Value::Bool(false) => key.push(b'f'),
        Value::Bool(true) => key.push(b't'),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            // 1 and 1.0 are equal in Rego, but do not print alike.
            (Some(integer), _) if value.to_string() == integer.to_string() => {
                key.push(b'i');
                key.extend(integer.to_le_bytes());
            }
            (_, Some(float)) => {
                key.push(b'g');
                key.extend(float.to_bits().to_le_bytes());
            }
            (_, None) => {
                let text = value.to_string();
                counted(b'd', text.len(), key);
                key.extend(text.as_bytes());
            }
        },
        Value::String(text) => string(text, key),
        Value::Array(items) => {
            counted(b'a', items.len(), key);
            items.iter().for_each(|item| encode(item, key));
        }
        Value::Set(items) => {
            counted(b'e', items.len(), key);
            items.iter().for_each(|item| encode(item, key));
        }
        Value::Object(members) => {
            counted(b'o', members.len(), key);
            members.iter().for_each(|(name, value)| {
                encode(name, key);
                encode(value, key);
            });
        }
    }
}
