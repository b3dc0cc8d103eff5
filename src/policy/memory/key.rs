//! What some rules can tell of a question: two questions of one key are one to them.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::{Rc, Weak};

use regorus::Value;

use crate::json::{Json, Object};
use crate::mcp::Call;
use crate::policy::Question;
use crate::store::Store;
use crate::token::Identity;

/// The input that some rules can read, of which the values are a key.
pub(super) struct Key {
    /// The paths of `input.identity`.
    of_identity: Vec<Vec<Value>>,
    /// Does an answer name the scopes that were granted?
    names_scopes: bool,
    /// The other paths, but for those whose value is the same for every question about one
    /// resource.
    pub(super) paths: Vec<Vec<Value>>,
    /// The same, where each is found in the call itself.
    pub(super) fields: Option<Vec<Field>>,
    askers: RefCell<Store<usize, Asker>>,
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
pub(super) enum Field {
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

impl Key {
    /// `reads` are the paths of `input` that can be read. `names_scopes`: is there, in what is
    /// kept, what else the identity was granted?
    pub(super) fn new(reads: &BTreeSet<Vec<String>>, names_scopes: bool) -> Self {
        let is_of = |path: &[String], parts: &[&str]| path.first().is_some_and(|name| parts.contains(&name.as_str()));
        // What was pinned under a method and a name is a resource's own.
        let is_given = |path: &&Vec<String>| is_of(path, &["resource", "version", "tool"]);
        // Kind and method are what the handshake is known by.
        let reads_tool = reads.iter().any(|path| path.is_empty() || is_of(path, &["tool"]));
        let known_by = ["kind", "method"].into_iter().chain(reads_tool.then_some("name"));
        let known_by = known_by.map(|name| vec!["mcp".to_owned(), name.to_owned()]);
        let (of_identity, others): (Vec<_>, Vec<_>) = reads.iter().partition(|path| is_of(path, &["identity"]));
        let paths = others.into_iter().filter(|path| !is_given(path)).cloned().chain(known_by);
        let paths: BTreeSet<Vec<String>> = paths.collect();
        let fields = paths.iter().map(|path| Field::new(path)).collect();
        let names = |path: &[String]| path.iter().map(|name| name.as_str().into()).collect();
        Self {
            of_identity: of_identity.into_iter().filter_map(|path| path.get(1..)).map(names).collect(),
            names_scopes,
            paths: paths.iter().map(|path| names(path)).collect(),
            fields,
            askers: RefCell::new(Store::new(1024, usize::MAX)),
        }
    }

    /// The asker, and every value that can be read, unambiguously one after the other.
    /// Most policies read nothing for which the input document has to be made.
    pub(super) fn of(&self, question: Question<'_>, input: impl FnOnce() -> Value) -> Vec<u8> {
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
    pub(super) fn asker(&self, identity: &Rc<Identity>, resource: &str) -> [u8; 32] {
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
        look_up(&self.of_identity, &identity.input, &mut said);
        if self.names_scopes {
            counted(b'a', identity.scopes.len(), &mut said);
            identity.scopes.iter().for_each(|scope| string(scope, &mut said));
        }
        let digest = hmac_sha256::Hash::hash(&said);
        let asker = Asker { identity: Rc::downgrade(identity), resource: resource.into(), digest };
        self.askers.borrow_mut().insert(address, 1, asker);
        digest
    }
}

/// The values at these paths, one after the other.
pub(super) fn look_up(paths: &[Vec<Value>], document: &Value, key: &mut Vec<u8>) {
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
pub(super) fn encode(value: &Value, key: &mut Vec<u8>) {
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
