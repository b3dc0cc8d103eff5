//! May they? An identity and a call in, a [`Permit`] or a [`Denial`] out.
//!
//! Policy is Rego, in package `mcp.authz`: version 1 of the contract that
//! README describes. Modules are analysed and compiled when the configuration
//! is loaded (`policy/compiler.rs`); what no question changes is evaluated then, once. A call is
//! decided by one of regorus's evaluators (`policy/evaluator.rs`). Rules are evaluated in the order
//! of the answer, and only those that a module defines.
//!
//! No value, a value of the wrong type, an error, a limit: each is a denial
//! with a code of its own.
//!
//! A candidate (`policy/candidate.rs`) is asked like it, and never makes a [`Permit`].
//!
//! A question that was answered is not asked again: the answer is remembered
//! under exactly the values of the input paths that some rule can read, whoever's
//! token they are of. A policy that reads the time is asked each time. What does not hang
//! on arguments or time is remembered by itself, so that an answer that does is less to find.

mod candidate;
mod compiled;
mod compiler;
mod evaluator;
mod input;
mod memory;
mod names;
mod values;
mod visible;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use regorus::Value;

use crate::catalogue::Catalogue;
use crate::denial::Denial;
use crate::http::Head;
use crate::json::{Names, shown};
use crate::mcp::{Call, Kind, is_known_method, is_list};
use crate::token::{self, Identity};
pub use candidate::{Agreement, Candidate};
use compiled::Compiled;
pub use compiler::compile;
use evaluator::Evaluator;
use input::{InputNames, Reads};
use memory::{KnownMemory, Memory};
use names::HeaderNames;
pub use visible::{Deadline, Sight};

/// The modules of `policies/`, compiled into the binary.
pub const BUNDLED: [(&str, &str); 23] = [
    ("mcp/authz.rego", include_str!("../policies/mcp/authz.rego")),
    ("mcp/rbac.rego", include_str!("../policies/mcp/rbac.rego")),
    ("mcp/rebac.rego", include_str!("../policies/mcp/rebac.rego")),
    ("mcp/abac.rego", include_str!("../policies/mcp/abac.rego")),
    ("mcp/attributes.rego", include_str!("../policies/mcp/attributes.rego")),
    ("mcp/scopes.rego", include_str!("../policies/mcp/scopes.rego")),
    ("mcp/guards.rego", include_str!("../policies/mcp/guards.rego")),
    ("mcp/arguments.rego", include_str!("../policies/mcp/arguments.rego")),
    ("mcp/conditions.rego", include_str!("../policies/mcp/conditions.rego")),
    ("mcp/witness.rego", include_str!("../policies/mcp/witness.rego")),
    ("mcp/names.rego", include_str!("../policies/mcp/names.rego")),
    ("mcp/paths.rego", include_str!("../policies/mcp/paths.rego")),
    ("mcp/request.rego", include_str!("../policies/mcp/request.rego")),
    ("mcp/urls.rego", include_str!("../policies/mcp/urls.rego")),
    ("mcp/index/conditions.rego", include_str!("../policies/mcp/index/conditions.rego")),
    ("mcp/index/constraints.rego", include_str!("../policies/mcp/index/constraints.rego")),
    ("mcp/index/guards.rego", include_str!("../policies/mcp/index/guards.rego")),
    ("mcp/index/relations.rego", include_str!("../policies/mcp/index/relations.rego")),
    ("mcp/index/roles.rego", include_str!("../policies/mcp/index/roles.rego")),
    ("mcp/index/scopes.rego", include_str!("../policies/mcp/index/scopes.rego")),
    ("mcp/index/values.rego", include_str!("../policies/mcp/index/values.rego")),
    ("mcp/rules.rego", include_str!("../policies/mcp/rules.rego")),
    ("mcp/index/rules.rego", include_str!("../policies/mcp/index/rules.rego")),
];

/// Proof that a request may be forwarded. Made by [`Policy::decide`], and by
/// `Permit::unprotected` for what the operator declared unprotected.
#[derive(Debug)]
#[must_use]
pub struct Permit {
    shadow: Option<Denial>,
}

impl Permit {
    /// For a request outside every protected resource, under `elsewhere: pass`.
    pub(crate) fn unprotected() -> Self {
        Self { shadow: None }
    }

    /// The denial that shadow mode let pass.
    pub fn shadow(&self) -> Option<&Denial> {
        self.shadow.as_ref()
    }
}

/// How policy is applied.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// May every authenticated identity open and close a session, and list?
    pub handshake: bool,
    /// Are policy's denials recorded only?
    pub shadow: bool,
    /// The longest that one rule may take.
    pub time_limit: Duration,
}

/// What the line of a bundled module means to whoever wrote data alone.
const LEFT_TO_INTERPRETER: &str = "; of the bundled policies `time`, `token`, `login`, `sources`, `guards.urls` and \
    `guards.paths` are left to it";

/// A compiled policy.
pub struct Policy {
    evaluator: Evaluator,
    reads: Reads,
    options: Options,
    revision: String,
    names: InputNames,
    /// The headers that some rule can read.
    header_names: HeaderNames,
    /// The names by which the rules know members of what a caller hands in.
    members: Names,
    memory: Option<Memory>,
    /// What is known of calls before their arguments are looked at.
    known: Option<KnownMemory>,
    /// What each rule of the contract may ask.
    asked: BTreeMap<String, BTreeSet<String>>,
    /// What the operator's own modules refer to in data.
    data: BTreeSet<Vec<String>>,
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Policy({})", self.revision)
    }
}

/// What is known of the other end of the connection.
#[derive(Debug, Default, Clone)]
pub struct Peer {
    /// Its address, without the port.
    pub address: Option<String>,
    /// The URI of its certificate, where there is one.
    pub principal: Option<String>,
    /// The SHA-256 of its certificate in hexadecimal, where there is one.
    pub certificate: Option<String>,
}

/// What a decision is about.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The canonical URL of the protected resource.
    pub resource: &'a str,
    /// What was approved of its server.
    pub catalogue: Option<&'a Catalogue>,
    /// Who asks.
    pub identity: &'a Rc<Identity>,
    /// What is asked.
    pub call: &'a Call<'a>,
    /// The head of the request.
    pub head: &'a Head,
    /// The other end of the connection, if the policy wants to know.
    pub peer: &'a Peer,
    /// The host's time.
    pub now: SystemTime,
}

/// What the rules say to one question.
type Answer = Result<(), Denial>;

impl Policy {
    /// Makes ready what [`compile`] gave. None where it is something else.
    pub fn new(compiled: &[u8], options: Options) -> Option<Self> {
        let Compiled { revision, analysis, members, rules } = Compiled::from_bytes(compiled)?;
        let evaluator = Evaluator::new(rules, options.time_limit)?;
        Some(Self {
            known: evaluator.known_reads().map(KnownMemory::new),
            evaluator,
            reads: Reads::new(&analysis),
            options,
            revision,
            names: InputNames::new(),
            header_names: HeaderNames::new(&analysis),
            members,
            memory: Memory::new(&analysis),
            asked: analysis.asked,
            data: analysis.data.into_values().flatten().collect(),
        })
    }

    /// Of modules and data, which must not be refused.
    #[cfg(test)]
    fn compile(
        modules: &BTreeMap<String, String>,
        data: &serde_json::Value,
        options: Options,
    ) -> Result<Self, Vec<crate::rego::Refusal>> {
        Ok(Self::new(&compile(modules, data, &|_| true)?, options).expect("what was compiled"))
    }

    #[cfg(test)]
    pub(crate) fn time_limit(&self) -> Duration {
        self.options.time_limit
    }

    /// SHA-256 over all modules and the data, in hexadecimal.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// Which of the engine's evaluators decides, and why if it is the slower one.
    pub fn evaluator(&self) -> String {
        match self.evaluator.against_machine() {
            None => "decided by the virtual machine".to_owned(),
            Some(reason) => {
                let is_bundled = BUNDLED.iter().any(|(name, _)| *name == reason.file);
                let left = if is_bundled { LEFT_TO_INTERPRETER } else { "" };
                format!("decided by the interpreter, because of {reason}{left}")
            }
        }
    }

    /// May what one of these rules of the contract says hang on `rule`, such as `mcp.rules.deny`?
    pub fn asks(&self, contract: &[&str], rule: &str) -> bool {
        contract.iter().filter_map(|name| self.asked.get(*name)).any(|asked| asked.contains(rule))
    }

    /// May what any rule of the contract says hang on this one?
    pub fn reaches(&self, rule: &str) -> bool {
        self.asked.values().any(|asked| asked.contains(rule))
    }

    /// Do modules of the operator's refer to this table of the data, by an index of the bundled
    /// policies, too?
    pub fn refers_to(&self, table: &str) -> bool {
        self.data.iter().any(|path| match path.as_slice() {
            [] => true,
            [package, index, of, rest @ ..] if package == "mcp" && index == "index" => match of.as_str() {
                "roles" if table == "duties" => {
                    rest.first().is_none_or(|rule| matches!(rule.as_str(), "exclusive" | "second" | "malformed"))
                }
                "roles" => matches!(table, "roles" | "assignments"),
                "relations" => matches!(table, "relations" | "relation_types" | "relation_rules"),
                "conditions" => matches!(table, "conditions" | "labels" | "label_conditions"),
                "scopes" => table == "tool_scopes",
                "guards" => table == "guards",
                // What rules without Rego say, and what conditions compare.
                _ => false,
            },
            [package, index] if package == "mcp" && index == "index" => true,
            [package, ..] if package == "mcp" => false,
            [first, ..] => first == table,
        })
    }

    /// Do lists depend on arguments that no entry of them has?
    pub fn lists_by_arguments(&self) -> bool {
        self.reads.arguments && !self.evaluator.defines("visible")
    }

    /// Should [`Question::peer`] be filled in?
    pub fn wants_peer(&self) -> bool {
        self.reads.source
    }

    /// Decides one call.
    pub fn decide(&self, question: Question<'_>) -> Result<Permit, Denial> {
        self.check_head(question.head)?;
        let permit = match self.weigh(question) {
            Ok(()) => Permit { shadow: None },
            Err(denial) if self.options.shadow => Permit { shadow: Some(denial) },
            Err(denial) => return Err(denial),
        };
        // Who is denied anyway learns nothing of the rules' words.
        self.check_members(question.call).map(|()| permit)
    }

    /// What is no text has no value in the input; a rule would take it for absent.
    fn check_head(&self, head: &Head) -> Result<(), Denial> {
        let mut headers = head.iter().filter(|(name, _)| self.header_names.reads(name));
        match headers.find(|(_, value)| std::str::from_utf8(value).is_err()) {
            None => Ok(()),
            Some((name, _)) => {
                Err(Denial::HeaderRefused { expected: "UTF-8 in every", name: name.chars().take(64).collect() })
            }
        }
    }

    /// What was never pinned, and then what the rules say.
    fn weigh(&self, question: Question<'_>) -> Answer {
        question.catalogue.map_or(Ok(()), |catalogue| catalogue.check(question.call))?;
        self.answer(question)
    }

    /// To a rule about `path`, an argument `Path` is not there; to some servers it
    /// is the same.
    fn check_members(&self, call: &Call<'_>) -> Result<(), Denial> {
        let parts = [call.arguments(), call.augmentation(), call.input_responses()];
        match parts.into_iter().flatten().find_map(|part| self.members.mistaken(part)) {
            None => Ok(()),
            Some(name) => Err(Denial::MemberLookalike(format!(
                "found `{}`, which looks like a name that the policy asks for; spell it exactly",
                shown(name)
            ))),
        }
    }

    /// The answer as it is remembered, or as it is found now.
    fn answer(&self, question: Question<'_>) -> Answer {
        let Some(memory) = &self.memory else {
            return self.judge(question, self.input(question));
        };
        let key = memory.key(question, || self.input(question));
        if let Some(answer) = memory.recall(&key) {
            return answer;
        }
        let answer = self.judge(question, self.input(question));
        memory.keep(key, &answer);
        answer
    }

    /// Asks the rules. The time limit is one on the wall: a worker that had to
    /// wait for its processor gets a second try.
    fn judge(&self, question: Question<'_>, input: Value) -> Answer {
        match self.ask(question, input.clone()) {
            Err(Denial::PolicyTimeout) => self.ask(question, input),
            answer => answer,
        }
    }

    /// Asks the rules, in the order of the answer.
    fn ask(&self, question: Question<'_>, input: Value) -> Answer {
        let find = || self.evaluator.know(input.clone());
        let known = self.known.as_ref().and_then(|known| known.recall(question, &input, find));
        let mut rules = self.evaluator.ask(input, known)?;
        let reasons = strings(&rules.rule("deny")?, "deny")?;
        if !reasons.is_empty() {
            return Err(Denial::PolicyDenied { reasons });
        }
        if self.options.handshake && is_handshake(question.call) {
            return Ok(());
        }
        let needed = scopes(&rules.rule("scopes")?)?;
        if !needed.iter().all(|scope| question.identity.scopes.contains(scope)) {
            return Err(Denial::ScopeMissing { needed, granted: question.identity.scopes.clone() });
        }
        step_up(&rules.rule("step_up")?, question.identity, question.now)?;
        match rules.rule("allow")? {
            Value::Bool(true) => Ok(()),
            Value::Bool(false) => Err(Denial::PolicyDenied { reasons: Vec::new() }),
            Value::Undefined => Err(Denial::PolicyUndefined),
            _ => Err(Denial::PolicyType("allow")),
        }
    }
}

/// What the contract's `handshake: allow` is about.
fn is_handshake(call: &Call<'_>) -> bool {
    match call.kind {
        Kind::Stream | Kind::Terminate => true,
        // What the operator added is no part of it.
        Kind::Notification => call.method.as_deref().is_some_and(is_known_method),
        Kind::Response => false,
        Kind::Request => call
            .method
            .as_deref()
            .is_some_and(|method| matches!(method, "initialize" | "ping" | "logging/setLevel") || is_list(method)),
    }
}

/// A set of strings, or nothing.
fn strings(value: &Value, rule: &'static str) -> Result<Vec<String>, Denial> {
    let items: Vec<&Value> = match value {
        Value::Undefined => Vec::new(),
        Value::Set(items) => items.iter().collect(),
        _ => return Err(Denial::PolicyType(rule)),
    };
    let strings = items.into_iter().map(|item| match item {
        Value::String(text) => Some(text.to_string()),
        _ => None,
    });
    strings.collect::<Option<Vec<_>>>().ok_or(Denial::PolicyType(rule))
}

/// OAuth scopes that a message needs.
fn scopes(value: &Value) -> Result<Vec<String>, Denial> {
    let needed = strings(value, "scopes")?;
    let is_sound = needed.iter().all(|scope| token::is_scope(scope)) && fits(&needed);
    if is_sound { Ok(needed) } else { Err(Denial::PolicyType("scopes")) }
}

/// What `step_up` asks of a login: `acr_values`, and `max_age` in seconds.
fn login(value: &Value) -> Result<(Vec<String>, Option<u64>), Denial> {
    let wrong = Denial::PolicyType("step_up");
    let members = match value {
        Value::Undefined => return Ok((Vec::new(), None)),
        Value::Object(members) => members,
        _ => return Err(wrong),
    };
    let mut acr_values = Vec::new();
    let mut max_age = None;
    for (name, value) in members.iter() {
        match (name, value) {
            (Value::String(name), Value::Array(values)) if name.as_ref() == "acr_values" => {
                for value in values.iter() {
                    match value {
                        Value::String(acr) if token::is_scope(acr) => acr_values.push(acr.to_string()),
                        _ => return Err(wrong),
                    }
                }
            }
            (Value::String(name), value) if name.as_ref() == "max_age" => {
                max_age = Some(value.as_u64().map_err(|_| wrong.clone())?);
            }
            _ => return Err(wrong),
        }
    }
    if fits(&acr_values) { Ok((acr_values, max_age)) } else { Err(wrong) }
}

/// What a header can hold that clients read, in bytes.
const LONGEST_DEMAND: usize = 4096;

/// Is there room for all of it in a challenge?
fn fits(names: &[String]) -> bool {
    names.iter().fold(0_usize, |sum, name| sum.saturating_add(name.len()).saturating_add(1)) <= LONGEST_DEMAND
}

/// Holds `step_up` against the identity (RFC 9470 §3).
fn step_up(value: &Value, identity: &Identity, now: SystemTime) -> Result<(), Denial> {
    let (acr_values, max_age) = login(value)?;
    let strong = acr_values.is_empty() || identity.acr.as_ref().is_some_and(|acr| acr_values.contains(acr));
    let fresh = max_age.is_none_or(|max_age| {
        let age = identity.auth_time.map(|login| token::seconds(now).saturating_sub(login));
        age.is_some_and(|age| age <= i64::try_from(max_age).unwrap_or(i64::MAX))
    });
    if strong && fresh { Ok(()) } else { Err(Denial::StepUpRequired { acr_values, max_age }) }
}
