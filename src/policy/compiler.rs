//! Modules and data in, a compiled policy out: everything that is done once for all workers.
//!
//! Modules are parsed, analysed and refused, what no question changes is evaluated, and for what is
//! left a program of the machine is made, where it may decide, or two. What comes of it is
//! bytes ([`Compiled`]).

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use regorus::languages::rego::compiler::Compiler;
use regorus::{Engine, Value};
use serde::Deserialize as _;

use super::compiled::{Code, Compiled, Place, ResidualRules, Rules, encode};
use super::evaluator::{TIMEOUT, path, strict_engine, timer};
use super::input::object;
use super::names::member_names;
use super::{BUNDLED, login, scopes, strings, values};
use crate::json::shown;
use crate::rego::{self, Analysis, Bundle, Refusal, Split, VALUES};

/// The longest that a constant package or a rule may take at load, on the wall: Envoy's main thread
/// has little of its processor while the workers serve.
const LOAD_LIMIT: Duration = Duration::from_secs(30);

/// The rules of the contract that decide calls, in the order of the answer.
const OF_CALLS: [&str; 4] = ["deny", "scopes", "step_up", "allow"];

/// Those, and the one about entries of lists.
const RULES: [&str; 5] = ["deny", "scopes", "step_up", "allow", "visible"];

/// The rules of `mcp.authz` that are asked for, of which a policy may lack some.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) all: &'a [&'static str],
    /// Those that decide calls.
    pub(super) of_calls: &'a [&'static str],
}

/// What a policy is asked for.
pub(super) const ASKED: Asked<'static> = Asked { all: &RULES, of_calls: &OF_CALLS };

/// Modules that regorus has parsed: file names and texts, in one order with its trees.
pub(super) struct Modules<'a> {
    pub(super) files: Vec<(&'a str, &'a str)>,
    pub(super) engine: Engine,
}

impl<'a> Modules<'a> {
    /// Reads modules. What cannot be read is refused, all of it at once.
    pub(super) fn parse(files: Vec<(&'a str, &'a str)>) -> Result<Self, Vec<Refusal>> {
        let mut engine = strict_engine();
        let parsed = files.iter().map(|(name, text)| {
            rego::check_text(name, text)?;
            let added = engine.add_policy((*name).to_owned(), (*text).to_owned());
            added.map(drop).map_err(|error| Refusal::from_engine(name, &error.to_string()))
        });
        let refusals: Vec<Refusal> = parsed.filter_map(Result::err).collect();
        if refusals.is_empty() { Ok(Self { files, engine }) } else { Err(refusals) }
    }
}

/// Analyses and compiles modules and data, for [`Policy::new`](super::Policy::new). `modules` maps
/// file names to Rego; bundled modules are added, `mcp.authz` only if none is given. `is_method` says which
/// methods messages may have.
pub fn compile(
    modules: &BTreeMap<String, String>,
    data: &serde_json::Value,
    is_method: &dyn Fn(&str) -> bool,
) -> Result<Vec<u8>, Vec<Refusal>> {
    let bundled: Vec<(&str, &str)> =
        BUNDLED.into_iter().filter(|(name, _)| modules.is_empty() || *name != "mcp/authz.rego").collect();
    let given = modules.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    let files: Vec<(&str, &str)> = given.chain(bundled.iter().copied()).collect();

    let mut parsed = Modules::parse(files)?;
    // The package of a bundled module is its path.
    let packages: Vec<Vec<&str>> =
        bundled.iter().map(|(name, _)| name.trim_end_matches(".rego").split('/').collect()).collect();
    let given = parsed.engine.get_modules().get(..modules.len()).unwrap_or_default();
    let refusals = rego::check_packages(given, &packages);
    if !refusals.is_empty() {
        return Err(refusals);
    }
    // The bundled policies ask for tables that may be there.
    let is_there = |file: &str, path: &[String]| !modules.contains_key(file) || has(data, path);
    let analysis = rego::analyse(parsed.engine.get_modules(), &is_there)?;
    let revision = revision(&parsed.files, data);
    let (rules, left) = compile_rules(parsed, data, &analysis, ASKED)?;
    let unknown = left.methods.iter().filter(|(method, _)| !is_method(method)).map(|(_, refusal)| refusal);
    let mut idle: Vec<Refusal> = analysis.idle.iter().chain(&left.idle).chain(unknown).cloned().collect();
    idle.retain(|refusal| modules.contains_key(&refusal.file));
    idle.sort();
    idle.dedup();
    if !idle.is_empty() {
        return Err(idle);
    }
    // The indexes of the bundled policies spell words of their own, and find the names of
    // members in data. What another constant package spells may be such a name.
    let is_bundled = |package: &Vec<String>| packages.iter().any(|bundled| bundled == package);
    let spelling = if analysis.constants.keys().all(is_bundled) { &left } else { &analysis };
    // What the operator's modules refer to, of which an index may have been evaluated.
    let read: BTreeMap<String, BTreeSet<Vec<String>>> = analysis
        .data
        .iter()
        .filter(|(file, _)| modules.contains_key(*file))
        .map(|(file, paths)| (file.clone(), paths.clone()))
        .collect();
    let is_read = |table: &str| {
        read.values().flatten().any(|path| match path.as_slice() {
            [] => true,
            [package] if package == "mcp" => true,
            [package, index, ..] if package == "mcp" && index == "index" => true,
            [first, ..] => first == table,
        })
    };
    let members = member_names(spelling, data, |module| modules.contains_key(module), is_read);
    let compiled = Compiled { revision, analysis: Analysis { data: read, ..left }, members, rules };
    compiled.to_bytes().map_err(|error| refused("policy", &error))
}

/// Are there data at this path?
fn has(data: &serde_json::Value, path: &[String]) -> bool {
    let found = path.iter().try_fold(data, |data, name| data.get(name));
    found.is_some()
}

/// Compiles the rules of modules that the analysis has passed. Gives, too, what is left for
/// them to do beside this data.
pub(super) fn compile_rules(
    mut modules: Modules<'_>,
    data: &serde_json::Value,
    analysis: &Analysis,
    asked: Asked<'_>,
) -> Result<(Rules<'static>, Analysis), Vec<Refusal>> {
    let data = Value::deserialize(data).map_err(|error| refused("policy.data", &error))?;
    modules.engine.add_data(data).map_err(|error| refused("policy.data", &error))?;
    if !analysis.constants.is_empty() {
        modules = fold(modules, analysis, LOAD_LIMIT)?;
    }
    let Modules { files, mut engine } = modules;
    let data = engine.get_data();
    let bundle = Bundle::new(engine.get_modules(), &data);
    let mut left = bundle.analysis();
    let defined = |rules: &[&'static str]| -> Vec<&'static str> {
        rules.iter().copied().filter(|rule| left.defines(rule)).collect()
    };
    let (all, of_calls) = (defined(asked.all), defined(asked.of_calls));
    let asked = Asked { all: &all, of_calls: &of_calls };
    let judgement = bundle.judge(asked.all);
    if !judgement.misread.is_empty() {
        return Err(judgement.misread);
    }
    (left.idle, left.methods) = (judgement.idle, judgement.methods);
    let code = match judgement.against {
        Some(against) => Err(against),
        None => {
            let split = bundle.split(asked.of_calls);
            for_machine(&mut engine, split, asked)
        }
    };
    engine.set_execution_timer_config(timer(LOAD_LIMIT));
    check_of_nothing(&mut engine, &all)?;
    let code = code.unwrap_or_else(|because| Code::Interpreter {
        modules: files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect(),
        because,
    });
    let data = values::encode(&[data]).map_err(|error| refused("policy.data", &error))?;
    let names = all.iter().map(|rule| (*rule).to_owned()).collect();
    Ok((Rules { names, data: Cow::Owned(data), code }, left))
}

/// Programs for the machine: two, if there is a split that can be compiled.
fn for_machine(engine: &mut Engine, split: Option<Split>, asked: Asked<'_>) -> Result<Code<'static>, Refusal> {
    let entries: Vec<String> = asked.all.iter().map(|rule| path(rule)).collect();
    if let Some(code) = split.and_then(|split| in_parts(engine, split, asked, &entries)) {
        return Ok(code);
    }
    Ok(Code::Machine { whole: program(engine, &entries)?.into(), residual: None })
}

/// The program of the whole policy, which says what is known, too, and that of what is left.
pub(super) fn in_parts(engine: &Engine, split: Split, asked: Asked<'_>, entries: &[String]) -> Option<Code<'static>> {
    let Split { known, reads, package, values, residual } = split;
    let mut whole = engine.clone();
    whole.add_policy("known.rego".to_owned(), values).ok()?;
    let values = format!("data.{package}.{VALUES}");
    let entries: Vec<String> = entries.iter().cloned().chain([values]).collect();
    let values = entries.len().checked_sub(1)?;
    let whole = program(&mut whole, &entries).ok()?;

    let mut rest = strict_engine();
    rest.add_data(engine.get_data()).ok()?;
    for (number, text) in residual.into_iter().enumerate() {
        rest.add_policy(format!("residual-{number}.rego"), text).ok()?;
    }
    let mut entries = Vec::new();
    let mut rules = Vec::new();
    for rule in asked.of_calls {
        let path = path(rule);
        let place = match path.strip_prefix("data.").filter(|path| known.contains(*path)) {
            Some(path) => Place::Known(path.to_owned()),
            None => {
                entries.push(path);
                Place::Entry(entries.len().saturating_sub(1))
            }
        };
        rules.push(((*rule).to_owned(), place));
    }
    let residual = ResidualRules { program: program(&mut rest, &entries).ok()?.into(), rules, values, reads };
    Some(Code::Machine { whole: whole.into(), residual: Some(residual) })
}

/// A program whose entry points are these rules; whether the machine may decide is
/// [`Bundle::judge`]'s business.
pub(super) fn program(engine: &mut Engine, entries: &[String]) -> Result<Vec<u8>, Refusal> {
    let refused = |error: &dyn std::fmt::Display| Refusal::from_engine("policy", &error.to_string());
    let entries: Vec<&str> = entries.iter().map(String::as_str).collect();
    let first = entries.first().ok_or_else(|| refused(&"no rule to ask for"))?;
    let compiled = engine.compile_with_entrypoint(&(*first).into()).map_err(|error| refused(&error))?;
    let program = Compiler::compile_from_policy(&compiled, &entries).map_err(|error| refused(&error))?;
    program.check_rule_data_conflicts(&engine.get_data()).map_err(|error| refused(&error))?;
    encode(Arc::unwrap_or_clone(program)).map_err(|error| refused(&error))
}

/// Evaluates the constant packages, and gives back the other modules, with an engine in which
/// the values stand where those stood.
pub(super) fn fold<'a>(
    modules: Modules<'a>,
    analysis: &Analysis,
    limit: Duration,
) -> Result<Modules<'a>, Vec<Refusal>> {
    let Modules { mut files, mut engine } = modules;
    engine.set_execution_timer_config(timer(limit));
    let data = engine.get_data();
    let misread = Bundle::new(engine.get_modules(), &data).misread(analysis.constants.keys());
    if !misread.is_empty() {
        return Err(misread);
    }
    let mut rest = strict_engine();
    rest.add_data(data).map_err(|error| refused("policy.data", &error))?;
    for (package, rules) in &analysis.constants {
        let path = package.join(".");
        // All of a package at once: what its rules have in common is evaluated for all of them.
        let found = engine.eval_query(format!("data.{path}"), false).map_err(|error| match error.to_string() {
            text if text.contains(TIMEOUT) => refused(&path, &too_long(limit)),
            text => refused(&path, &text),
        })?;
        let expressions = found.result.into_iter().flat_map(|result| result.expressions);
        let value = expressions.map(|expression| expression.value).next().unwrap_or(Value::Undefined);
        let kept = |name: &Value| matches!(name, Value::String(name) if rules.contains(name.as_ref()));
        let members = value.as_object().into_iter().flat_map(|members| members.iter());
        let members = members.filter(|(name, _)| kept(name)).map(|(name, value)| (name.clone(), value.clone()));
        let members: BTreeMap<Value, Value> = members.collect();
        let value = package.iter().rev().fold(members.into(), |value, name| object([(name.as_str(), value)]));
        rest.add_data(value).map_err(|error| refused(&path, &error))?;
    }
    let mut is_constant = engine.get_modules().iter().map(|module| analysis.is_constant(module));
    files.retain(|_| !is_constant.next().unwrap_or_default());
    for (name, text) in &files {
        rest.add_policy((*name).to_owned(), (*text).to_owned()).map_err(|error| refused(name, &error))?;
    }
    Ok(Modules { files, engine: rest })
}

fn too_long(limit: Duration) -> String {
    format!(
        "expected to be evaluated within {} ms, which it is once, when it is loaded; give it less data or simpler rules, \
         or the machine less to do",
        limit.as_millis()
    )
}

/// Refuses rules that say what they must not of an input that has nothing.
fn check_of_nothing(engine: &mut Engine, rules: &[&'static str]) -> Result<(), Vec<Refusal>> {
    // A query that cannot fail makes the engine schedule all modules, and say
    // what it finds: a variable that nothing binds, for example.
    engine.eval_query("true".to_owned(), false).map_err(|error| refused("policy", &error))?;
    engine.set_input(Value::new_object());
    let mut refusals = Vec::new();
    for rule in rules {
        // Undefined, too, where it fails.
        let value = engine.eval_rule(path(rule)).unwrap_or(Value::Undefined);
        if let Some(reason) = of_nothing(rule, &value) {
            refusals.push(rego::refuse_rule(engine.get_modules(), rule, reason));
        }
    }
    if refusals.is_empty() { Ok(()) } else { Err(refusals) }
}

/// What is wrong with a rule that says this of an input that has nothing: nobody asked, so
/// nothing may be allowed, and what stands there anyway has its type.
fn of_nothing(rule: &str, value: &Value) -> Option<String> {
    let is_typed = match rule {
        "deny" => strings(value, "deny").is_ok(),
        "scopes" => scopes(value).is_ok(),
        "step_up" => login(value).is_ok(),
        _ => matches!(value, Value::Bool(_) | Value::Undefined),
    };
    match value {
        Value::Bool(true) if rule == "allow" => Some(
            "`allow` is true of an input that has nothing, so whatever is missing lets a message through; ask for what \
             has to be there, such as `input.identity.subject`, beside every `not`, and alone where all who are known \
             may"
                .to_owned(),
        ),
        _ if is_typed => None,
        _ => {
            let found = value.to_string();
            Some(format!("`{rule}` must be {}, found {}", rego::shape_of(rule), shown(&found)))
        }
    }
}

/// SHA-256 over names, modules and data, each with its length before it.
fn revision(files: &[(&str, &str)], data: &serde_json::Value) -> String {
    let mut hash = hmac_sha256::Hash::new();
    let data = data.to_string();
    let parts = files.iter().flat_map(|(name, text)| [*name, *text]).chain([data.as_str()]);
    for part in parts {
        // As 64 bits, so that the command says what the module says.
        hash.update((part.len() as u64).to_le_bytes().as_slice());
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn refused(file: &str, error: &dyn std::fmt::Display) -> Vec<Refusal> {
    vec![Refusal::from_engine(file, &error.to_string())]
}
