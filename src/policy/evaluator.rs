//! The engine under a policy: modules and data in, the values of rules out.

use std::cell::{RefCell, RefMut};
use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{Engine, Value};

use super::object;
use crate::denial::Denial;
use crate::rego::{self, Analysis, Refusal};

/// The longest that one rule of a constant package may take, at load.
const LOAD_LIMIT: Duration = Duration::from_secs(2);

/// Modules and data, ready to be asked.
pub(super) struct Evaluator {
    // `Engine` keeps its state in itself; one question is asked at a time.
    engine: RefCell<Engine>,
    rules: Vec<&'static str>,
}

/// One question, as long as its rules are asked.
pub(super) struct Evaluation<'a> {
    engine: RefMut<'a, Engine>,
    rules: &'a [&'static str],
}

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

impl Evaluator {
    /// Compiles what the analysis has passed. `asked` are the rules of `mcp.authz` that
    /// the evaluator will be asked for, of which a policy may lack some.
    pub(super) fn new(
        modules: Modules<'_>,
        data: &serde_json::Value,
        analysis: &Analysis,
        asked: &[&'static str],
        time_limit: Duration,
    ) -> Result<Self, Vec<Refusal>> {
        let Modules { files, mut engine } = modules;
        engine.add_data(Value::from(data.clone())).map_err(|error| refused("policy.data", &error))?;
        if !analysis.constants.is_empty() {
            engine = fold(engine, &files, analysis)?;
        }
        engine.set_execution_timer_config(timer(time_limit));
        let rules = asked.iter().copied().filter(|rule| analysis.defines(rule)).collect();
        let evaluator = Self { engine: RefCell::new(engine), rules };
        evaluator.warm_up()?;
        Ok(evaluator)
    }

    /// Evaluates every rule once, so that the first call does not pay for it.
    fn warm_up(&self) -> Result<(), Vec<Refusal>> {
        let mut engine = self.engine.borrow_mut();
        // A query that cannot fail makes the engine schedule all modules, and say
        // what it finds: a variable that nothing binds, for example.
        engine.eval_query("true".to_owned(), false).map_err(|error| refused("policy", &error))?;
        engine.set_input(Value::new_object());
        for rule in &self.rules {
            // A rule may well fail on an empty input.
            let _ = engine.eval_rule(format!("data.mcp.authz.{rule}"));
        }
        Ok(())
    }

    /// Asks about one input document.
    pub(super) fn ask(&self, input: Value) -> Result<Evaluation<'_>, Denial> {
        let Ok(mut engine) = self.engine.try_borrow_mut() else {
            return Err(Denial::PolicyError("the engine is in use".into()));
        };
        engine.set_input(input);
        Ok(Evaluation { engine, rules: &self.rules })
    }
}

impl Evaluation<'_> {
    /// The value of a rule of `mcp.authz`; undefined, too, where no module has it.
    pub(super) fn rule(&mut self, rule: &'static str) -> Result<Value, Denial> {
        if !self.rules.contains(&rule) {
            return Ok(Value::Undefined);
        }
        self.engine.eval_rule(format!("data.mcp.authz.{rule}")).map_err(|error| failure(&error.to_string()))
    }
}

fn strict_engine() -> Engine {
    let mut engine = Engine::new();
    engine.set_strict_builtin_errors(true);
    engine
}

fn timer(limit: Duration) -> ExecutionTimerConfig {
    // A look at the clock costs as much as a few steps.
    ExecutionTimerConfig { limit, check_interval: NonZeroU32::MIN.saturating_add(63) }
}

fn refused(file: &str, error: &dyn fmt::Display) -> Vec<Refusal> {
    vec![Refusal::from_engine(file, &error.to_string())]
}

/// Evaluates the constant packages, and gives back an engine in which their values
/// stand where they stood.
fn fold(mut engine: Engine, files: &[(&str, &str)], analysis: &Analysis) -> Result<Engine, Vec<Refusal>> {
    engine.set_execution_timer_config(timer(LOAD_LIMIT));
    let mut rest = strict_engine();
    rest.add_data(engine.get_data()).map_err(|error| refused("policy.data", &error))?;
    for (package, rules) in &analysis.constants {
        let path = package.join(".");
        let mut members = BTreeMap::new();
        for rule in rules {
            let value = engine.eval_rule(format!("data.{path}.{rule}")).map_err(|error| refused(&path, &error))?;
            if value != Value::Undefined {
                members.insert(Value::from(rule.as_str()), value);
            }
        }
        let value = package.iter().rev().fold(members.into(), |value, name| object([(name.as_str(), value)]));
        rest.add_data(value).map_err(|error| refused(&path, &error))?;
    }
    let is_constant: Vec<bool> = engine.get_modules().iter().map(|module| analysis.is_constant(module)).collect();
    for ((name, text), _) in files.iter().zip(is_constant).filter(|(_, is_constant)| !is_constant) {
        rest.add_policy((*name).to_owned(), (*text).to_owned()).map_err(|error| refused(name, &error))?;
    }
    Ok(rest)
}

/// What regorus says when the time is up. Longer than anything that a value in
/// another error could say by accident.
const TIMEOUT: &str = "execution exceeded time limit";

/// An engine's error as a denial. Its text may hold values of the input, so
/// only the place goes into the record.
fn failure(error: &str) -> Denial {
    if error.contains(TIMEOUT) {
        return Denial::PolicyTimeout;
    }
    let place = Refusal::from_engine("policy", error);
    Denial::PolicyError(format!("{}:{}:{}", place.file, place.line, place.column))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    fn evaluator(files: &[(&str, &str)], data: &serde_json::Value) -> Result<Evaluator, Vec<Refusal>> {
        let mut modules = Modules::parse(files.to_vec())?;
        let analysis = rego::analyse(modules.engine.get_modules())?;
        Evaluator::new(modules, data, &analysis, &["allow"], Duration::from_secs(1))
    }

    fn allow(evaluator: &Evaluator, input: serde_json::Value) -> Value {
        evaluator.ask(input.into()).unwrap().rule("allow").unwrap()
    }

    const AUTHZ: &str = "package mcp.authz\nimport data.lib.index\ndefault allow := false\n\
        allow if input.mcp.name in index.tools[input.identity.subject]\n";
    #[test]
    fn a_constant_package_stands_as_data() {
        let comprehension = "package lib.index\n\
            tools := {who: tools | some who, list in data.grants; tools := {tool | some tool in _all(list)}}\n\
            _all(list) := list\n";
        let partial = "package lib.index\n\
            tools[who] contains tool if {\n some who, list in data.grants\n some tool in list\n}\n";
        for index in [comprehension, partial] {
            let data = json!({"grants": {"alice": ["read", "write"], "bob": ["read"]}});
            let evaluator = evaluator(&[("authz.rego", AUTHZ), ("index.rego", index)], &data).unwrap();
            assert_eq!(evaluator.engine.borrow_mut().get_modules().len(), 1);
            let tools = evaluator.engine.borrow().get_data()["lib"]["index"]["tools"].clone();
            assert_eq!(tools["alice"], Value::from(BTreeSet::from(["read".into(), "write".into()])));
            assert_eq!(tools["bob"], Value::from(BTreeSet::from(["read".into()])));
            let ask =
                |who: &str, tool: &str| allow(&evaluator, json!({"identity": {"subject": who}, "mcp": {"name": tool}}));
            assert_eq!(ask("alice", "write"), Value::from(true));
            assert_eq!(ask("bob", "write"), Value::from(false));
            assert_eq!(ask("eve", "read"), Value::from(false));
        }
    }

    #[test]
    fn a_constant_package_that_fails_is_refused_at_load() {
        let index = "package lib.index\ntools := {\"alice\": {name}} if name := concat(\"\", [data.grants])\n";
        let refusals = evaluator(&[("authz.rego", AUTHZ), ("index.rego", index)], &json!({"grants": 1})).err().unwrap();
        assert_eq!((refusals[0].file.as_str(), refusals[0].line), ("index.rego", 2), "{refusals:?}");
    }
}
