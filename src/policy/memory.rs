//! Answers that were given, so that no question is asked twice.

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

/// A value of the input, as the call has it. What is no text, no flag and no object of
/// the caller's is looked up in the input document.
enum Field {
    Text(for<'a> fn(&'a Call<'_>) -> Option<&'a str>),
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
            Self::Retry => key.push(if call.is_retry() { b't' } else { b'f' }),
            Self::Within(object, path) => {
                let Some(object) = object(call) else { return key.push(b'u') };
                let Some((first, below)) = path.split_first() else { return members(object, key) };
                let Some(mut value) = object.get(first) else { return key.push(b'u') };
                for (at, name) in below.iter().enumerate() {
                    match value {
                        Json::Object(object) => match object.get(name) {
                            Some(member) => value = member,
                            None => return key.push(b'u'),
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
    for path in paths {
        let mut value = document;
        for (at, name) in path.iter().enumerate() {
            match value {
                Value::Object(members) => value = members.get(name).unwrap_or(&Value::Undefined),
                Value::Undefined => break,
                _ => {
                    above(path.len().saturating_sub(at), key);
                    break;
                }
            }
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::catalogue::{Catalogue, Pin};
    use crate::http::Head;
    use crate::mcp::{Call, Listed};
    use crate::policy::{Options, Peer, Policy, Question};

    fn encoded(json: &str) -> Vec<u8> {
        let mut key = Vec::new();
        encode(&Value::from_json_str(json).unwrap(), &mut key);
        key
    }

    #[test]
    fn a_failure_is_tried_again() {
        let memory = policy("allow if input.mcp.name").memory.unwrap();
        for (key, answer, is_kept) in [
            (b"1", Ok(()), true),
            (b"2", Err(Denial::PolicyUndefined), true),
            (b"3", Err(Denial::PolicyTimeout), false),
            (b"4", Err(Denial::PolicyError(String::new())), false),
        ] {
            memory.keep(key.to_vec(), &answer);
            assert_eq!(memory.recall(key), is_kept.then_some(answer));
        }
    }

    #[test]
    fn an_answer_weighs_what_it_says() {
        let memory = policy("allow if input.mcp.name").memory.unwrap();
        let texts = |text: &str| vec![text.repeat(512); 64];
        let none = Vec::new;
        for denial in [
            Denial::PolicyDenied { reasons: texts("a") },
            Denial::ScopeMissing { needed: texts("b"), granted: none() },
            Denial::ScopeMissing { needed: none(), granted: texts("c") },
        ] {
            for number in 0..200_u8 {
                memory.keep(vec![number], &Err(denial.clone()));
            }
            // Two generations of a mebibyte, 32 KiB and more each.
            assert!(memory.answers.borrow().len() <= 64, "{denial:?}");
        }
    }

    fn identity(subject: &str, input: &str, scopes: &[&str]) -> Rc<Identity> {
        let mut identity = Identity::unverified(subject);
        identity.input = Value::from_json_str(input).unwrap();
        identity.scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        Rc::new(identity)
    }

    #[test]
    fn tokens_are_one_asker_as_long_as_no_rule_can_tell_them_apart() {
        let one =
            identity("alice", r#"{"subject":"alice","roles":["a"],"claims":{"jti":"1","dept":{"id":1}}}"#, &["s"]);
        for (other, who) in [
            (r#"{"subject":"alice","roles":["a"],"claims":{"jti":"2","dept":{"id":1}}}"#, "another token"),
            (r#"{"subject":"bob","roles":["a"],"claims":{"jti":"2","dept":{"id":1}}}"#, "another subject"),
            (r#"{"subject":"alice","roles":["a","b"],"claims":{"jti":"2","dept":{"id":1}}}"#, "another role"),
            (r#"{"subject":"alice","roles":["a"],"claims":{"jti":"2","dept":{"id":2}}}"#, "another department"),
            (r#"{"subject":"alice","roles":["a"],"claims":{"jti":"2"}}"#, "no department"),
            (r#"{"subject":"alice","roles":["a"],"claims":{"jti":"2","dept":1}}"#, "a department without id"),
        ] {
            let [other, more] = [&["s"][..], &["s", "t"]].map(|scopes| identity("alice", other, scopes));
            for (rules, tells) in [
                ("allow if input.mcp.name", &[][..]),
                ("allow if \"a\" in input.identity.roles", &["another role"]),
                ("allow if input.identity.subject == \"alice\"", &["another subject"]),
                (
                    "allow if input.identity.claims.dept.id == 1",
                    &["another department", "no department", "a department without id"],
                ),
            ] {
                let memory = policy(rules).memory.unwrap();
                let digests = [&one, &other, &more].map(|identity| memory.asker(identity, "r"));
                assert_eq!(digests[0] != digests[1], tells.contains(&who), "{rules}: {who}");
                assert_eq!(digests[1], digests[2], "{rules}: {who}");
                assert_ne!(memory.asker(&one, "s"), digests[0], "{rules}: another resource");
                assert_eq!(memory.asker(&one, "r"), digests[0]);
            }
            // The answer says which scopes there are, though no rule reads them.
            let memory = policy("scopes contains \"t\"\nallow if input.mcp.name").memory.unwrap();
            assert_ne!(memory.asker(&other, "r"), memory.asker(&more, "r"), "{who}");
            let memory = policy("allow if some claim in input.identity.claims").memory.unwrap();
            assert_ne!(memory.asker(&one, "r"), memory.asker(&other, "r"), "{who}");
        }
    }

    #[test]
    fn different_values_have_different_bytes() {
        let texts = [
            "null",
            "true",
            "false",
            "1",
            "-1",
            "1.5",
            "\"1\"",
            "\"\"",
            "[]",
            "{}",
            "[[]]",
            "[1,2]",
            "[12]",
            "[\"1\",\"2\"]",
            "[\"12\"]",
            "{\"a\":1}",
            "{\"a\":\"1\"}",
            "{\"a\":{\"b\":1}}",
            "[\"a\",1]",
            "{\"ab\":1}",
            "123456789.12345679",
            "123456789.1234568",
            "[{\"a\":1},[]]",
        ];
        for (index, one) in texts.iter().enumerate() {
            for other in texts.iter().skip(index + 1) {
                assert_ne!(encoded(one), encoded(other), "{one} and {other}");
            }
        }
        let mut undefined = Vec::new();
        encode(&Value::Undefined, &mut undefined);
        assert!(texts.iter().all(|text| encoded(text) != undefined));
    }

    fn policy(rules: &str) -> Policy {
        let module = format!("package mcp.authz\n\n{rules}\n");
        let modules = BTreeMap::from([("authz.rego".to_owned(), module)]);
        let options = Options { handshake: true, shadow: false, time_limit: Duration::from_secs(1) };
        let data = serde_json::json!({"owners": {"a": "alice", "b": "bob"}});
        Policy::compile(&modules, &data, options).unwrap_or_else(|refusals| panic!("{rules}: {}", refusals[0]))
    }

    #[test]
    fn bundled_policies_are_remembered_unless_data_asks_for_the_time() {
        let of = |data: serde_json::Value| {
            let options = Options { handshake: true, shadow: false, time_limit: Duration::from_secs(1) };
            Policy::compile(&BTreeMap::new(), &data, options)
                .unwrap_or_else(|refusals| panic!("{data}: {}", refusals[0]))
        };
        let roles = serde_json::json!({"analyst": {"tools": ["search", "read_*"]}});
        let rules = |rule: serde_json::Value| of(serde_json::json!({"rules": [{"allow": rule}]}));
        let alone = of(serde_json::json!({"roles": roles}));
        assert_eq!(alone.evaluator(), "decided by the virtual machine");
        assert!(!alone.reads.arguments && !alone.reads.http);
        assert!(alone.memory.is_some());
        assert!(rules(serde_json::json!({"tools": ["x"]})).memory.is_some());
        assert!(rules(serde_json::json!({"time": {"days": ["mon"]}})).memory.is_none());
        let timed = serde_json::json!({"roles": roles, "conditions": {"search": {"token": {"max_age": 300}}}});
        assert!(of(timed).memory.is_none());
    }

    /// All messages of a small world, in an order that looks like none.
    fn history() -> Vec<(usize, String, &'static str, u64)> {
        let mut history = Vec::new();
        let arguments =
            ["", r#","arguments":{"id":"a"}"#, r#","arguments":{"id":"b"}"#, r#","arguments":{"id":{"a":"b"}}"#];
        let methods = ["tools/call", "prompts/get", "tools/list"];
        for step in 0..3000_usize {
            let pick = step.wrapping_mul(2_654_435_761) >> 5;
            let name = ["x", "y"][pick / 7 % 2];
            let method = methods[pick / 3 % 3];
            let body = format!(
                r#"{{"jsonrpc":"2.0","id":{step},"method":"{method}","params":{{"name":"{name}"{}}}}}"#,
                arguments[pick / 11 % 4]
            );
            history.push((pick / 5 % 3, body, ["", "v", "w"][pick / 13 % 3], (pick / 17 % 2) as u64));
        }
        history
    }

    #[test]
    fn a_remembered_answer_is_the_one_that_would_be_given() {
        let policies = [
            (true, "allow if input.mcp.name == \"x\""),
            (true, "allow if data.owners[input.mcp.arguments.id] == input.identity.subject"),
            (true, "allow if { some key; input.mcp.arguments[key] == \"a\" }"),
            (true, "allow if { arguments := input.mcp.arguments; count(arguments) == 1 }"),
            (true, "allow if input.http.headers[\"x-v\"] == \"v\""),
            (true, "allow if input.http.headers[sprintf(\"x-%s\", [input.mcp.name])]"),
            (true, "deny contains input.mcp.name if input.mcp.method == \"prompts/get\""),
            (true, "scopes contains input.mcp.arguments.id\nallow if input.mcp.name"),
            (true, "scopes contains \"b\" if input.mcp.name == \"x\"\nallow if \"b\" in input.identity.roles"),
            (true, "allow if input.identity.claims[input.mcp.arguments.id]"),
            // What stands there is not what stands below it.
            (true, "allow if input.mcp.arguments.id.a == \"b\""),
            (true, "allow if input.identity.claims.jti == \"3\""),
            (
                true,
                "deny contains reason if {\n\tsome key, value in input.identity.claims\n\treason := sprintf(\"%s=%v\", [key, value])\n}\nallow if input.mcp.name",
            ),
            // It reads the tool, and not its name.
            (true, "allow if input.tool.annotations.readOnlyHint == true"),
            (true, "allow if { input.tool.annotations; not input.tool.annotations.destructiveHint }"),
            (true, "deny contains \"no\" if input.tool\nallow if input.identity.subject"),
            (false, "allow if input.time.unix == 1"),
            (false, "step_up := {\"max_age\": 1}\nallow if input.mcp.name"),
        ];
        let identities = [
            identity("alice", r#"{"subject":"alice","roles":["a"],"claims":{"jti":"1"}}"#, &[]),
            identity("bob", r#"{"subject":"bob","roles":["a","b"],"claims":{"jti":"2","a":true}}"#, &["a"]),
            identity("alice", r#"{"subject":"alice","roles":["a"],"claims":{"jti":"3"}}"#, &["b"]),
        ];
        let pin = |name: &str, annotations: &str| {
            let annotations = Some(Value::from_json_str(annotations).unwrap());
            (name.to_owned(), Pin { sha256: [0; 32], annotations })
        };
        let pins = [pin("x", r#"{"readOnlyHint":true}"#), pin("y", r#"{"destructiveHint":true}"#)];
        let pins = BTreeMap::from([(Listed::Tool, BTreeMap::from(pins))]);
        let catalogue = Catalogue { pins, ..Catalogue::default() };
        for (remembers, rules) in policies {
            let rules =
                if rules.contains("allow") { rules.to_owned() } else { format!("{rules}\nallow if input.mcp.name") };
            let (policy, mut looks_up) = (policy(&rules), policy(&rules));
            // The slower way to the same key.
            looks_up.memory.iter_mut().for_each(|memory| memory.fields = None);
            assert_eq!(policy.memory.is_some(), remembers, "{rules}");
            let mut answers = BTreeSet::new();
            for (identity, body, header, unix) in history() {
                let headers = vec![("x-v".to_owned(), header.into()), (format!("x-{header}"), b"1".to_vec())];
                let head = Head::new(headers);
                let call = Call::read(body.as_bytes(), &head, &crate::mcp::Dialect::default()).unwrap();
                let question = Question {
                    resource: "r",
                    catalogue: Some(&catalogue),
                    identity: &identities[identity],
                    call: &call,
                    head: &head,
                    peer: &Peer::default(),
                    now: SystemTime::UNIX_EPOCH + Duration::from_secs(unix),
                };
                let fresh = policy.judge(question, policy.input(question));
                assert_eq!(policy.answer(question), fresh, "{rules}: {body} {header}");
                if let Some(memory) = &looks_up.memory {
                    let key = memory.key(question, || looks_up.input(question));
                    let is_input = memory.recall(&key);
                    assert!(is_input.is_none_or(|answer| answer == fresh), "{rules}: {body} {header}");
                    assert_eq!(looks_up.answer(question), fresh, "{rules}: {body} {header}");
                }
                answers.insert(format!("{fresh:?}"));
            }
            assert!(answers.len() > 1, "{rules}: expected different answers, found {answers:?}");
            if let Some(memory) = &policy.memory {
                let kept = memory.answers.borrow().len();
                assert!(
                    (2..1000).contains(&kept),
                    "{rules}: expected some answers to be given again, found {kept} kept"
                );
            }
        }
    }
}
