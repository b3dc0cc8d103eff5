//! The engine under a policy: modules and data in, the values of rules out.
//!
//! regorus has two evaluators. What the interpreter says is true; its virtual machine
//! is several times faster and decides for those policies in which it cannot differ
//! ([`Bundle::judge`]). What the machine could not bring to an end, the interpreter is
//! asked. A policy of the machine may come in two parts ([`Bundle::split`]): what is known of
//! many questions, and a machine for the rest (`evaluator/residual.rs`).

mod residual;
#[cfg(test)]
pub(super) mod tests;

use std::cell::{RefCell, RefMut};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::RegoVM;
use regorus::rvm::vm::VmError;
use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{Engine, Value};
use serde::Deserialize as _;

use super::input::object;
use crate::denial::Denial;
use crate::rego::{self, Analysis, Bundle, Refusal, Split};
pub(super) use residual::KnownValues;
use residual::Residual;

/// The longest that a constant package may take, at load; time on the wall, of which a
/// worker that starts has little.
const LOAD_LIMIT: Duration = Duration::from_secs(5);

/// The most instructions of the machine for one rule. What is left is a matter of time,
/// for the interpreter.
const MOST_INSTRUCTIONS: usize = 1_000_000;

/// The rules of `mcp.authz` that are asked for, of which a policy may lack some.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) all: &'a [&'static str],
    /// Those that decide calls.
    pub(super) of_calls: &'a [&'static str],
}

/// Modules and data, ready to be asked.
pub(super) struct Evaluator {
    // Each keeps its state in itself; one question is asked at a time.
    engine: RefCell<Engine>,
    machines: Result<Machines, Refusal>,
    rules: Vec<&'static str>,
}

struct Machines {
    whole: RefCell<RegoVM>,
    /// If the policy comes in two parts.
    residual: Option<Residual>,
}

/// One question, as long as its rules are asked.
pub(super) struct Evaluation<'a> {
    engine: RefMut<'a, Engine>,
    machine: Option<Machine<'a>>,
    rules: &'a [&'static str],
    /// Does the interpreter know the question, too?
    input: Option<Value>,
}

enum Machine<'a> {
    Whole(RefMut<'a, RegoVM>),
    Residual(residual::Evaluation<'a>),
}

/// The most for what is known of a question before anybody asks for it: some questions end
/// without it.
const MOST_TO_KNOW: usize = MOST_INSTRUCTIONS / 10;

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
    /// Compiles what the analysis has passed. Gives, too, what is left for the rules to do
    /// beside this data.
    pub(super) fn new(
        modules: Modules<'_>,
        data: &serde_json::Value,
        analysis: &Analysis,
        asked: Asked<'_>,
        time_limit: Duration,
    ) -> Result<(Self, Analysis), Vec<Refusal>> {
        let Modules { files, mut engine } = modules;
        let data = Value::deserialize(data).map_err(|error| refused("policy.data", &error))?;
        engine.add_data(data).map_err(|error| refused("policy.data", &error))?;
        if !analysis.constants.is_empty() {
            engine = fold(engine, &files, analysis, LOAD_LIMIT)?;
        }
        engine.set_execution_timer_config(timer(time_limit));
        let data = engine.get_data();
        let bundle = Bundle::new(engine.get_modules(), &data);
        let left = bundle.analysis();
        let defined = |rules: &[&'static str]| -> Vec<&'static str> {
            rules.iter().copied().filter(|rule| left.defines(rule)).collect()
        };
        let (rules, of_calls) = (defined(asked.all), defined(asked.of_calls));
        let asked = Asked { all: &rules, of_calls: &of_calls };
        let judgement = bundle.judge(asked.all);
        if !judgement.misread.is_empty() {
            return Err(judgement.misread);
        }
        let machines = match judgement.against {
            Some(against) => Err(against),
            None => {
                let split = bundle.split(asked.of_calls);
                Machines::new(&mut engine, split, asked, time_limit)
            }
        };
        Ok((Self { engine: RefCell::new(engine), machines, rules }, left))
    }

    /// What each rule says of an input that has nothing; undefined, too, where it fails.
    /// The first call does not pay for what the engine makes once.
    pub(super) fn warm_up(&self) -> Result<Vec<(&'static str, Value)>, Vec<Refusal>> {
        let mut engine = self.engine.borrow_mut();
        // A query that cannot fail makes the engine schedule all modules, and say
        // what it finds: a variable that nothing binds, for example.
        engine.eval_query("true".to_owned(), false).map_err(|error| refused("policy", &error))?;
        engine.set_input(Value::new_object());
        let values = self.rules.iter().map(|rule| {
            let value = engine.eval_rule(path(rule));
            (*rule, value.unwrap_or(Value::Undefined))
        });
        Ok(values.collect())
    }

    /// A refusal of a rule, at its place.
    pub(super) fn refuse(&self, rule: &str, reason: String) -> Refusal {
        rego::refuse_rule(self.engine.borrow_mut().get_modules(), rule, reason)
    }

    /// Why the interpreter decides, if it does.
    pub(super) fn against_machine(&self) -> Option<&Refusal> {
        self.machines.as_ref().err()
    }

    /// Does the policy have this rule?
    pub(super) fn defines(&self, rule: &str) -> bool {
        self.rules.contains(&rule)
    }

    /// The paths of `input` that [`KnownValues`] depend on, in a policy that comes in two parts.
    pub(super) fn known_reads(&self) -> Option<&BTreeSet<Vec<String>>> {
        self.machines.as_ref().ok()?.residual.as_ref().map(|residual| &residual.reads)
    }

    /// What can be said of all questions that are alike in what [`Evaluator::known_reads`] names.
    /// None where the machine does not come to an end.
    pub(super) fn know(&self, input: Value) -> Option<KnownValues> {
        let machines = self.machines.as_ref().ok()?;
        let residual = machines.residual.as_ref()?;
        let mut whole = machines.whole.try_borrow_mut().ok()?;
        whole.set_input(input);
        whole.set_max_instructions(MOST_TO_KNOW);
        let values = whole.execute_entry_point_by_index(residual.values);
        whole.set_max_instructions(MOST_INSTRUCTIONS);
        KnownValues::new(&values.ok()?)
    }

    /// Asks about one input document, of which something may be known.
    pub(super) fn ask(&self, input: Value, known: Option<KnownValues>) -> Result<Evaluation<'_>, Denial> {
        let in_use = || Denial::PolicyError("the engine is in use".into());
        let mut engine = self.engine.try_borrow_mut().map_err(|_| in_use())?;
        let rules = &self.rules;
        let Ok(machines) = &self.machines else {
            engine.set_input(input);
            return Ok(Evaluation { engine, machine: None, rules, input: None });
        };
        let residual = machines.residual.as_ref().zip(known);
        let machine = match residual.and_then(|(residual, known)| residual.ask(input.clone(), known)) {
            Some(residual) => Machine::Residual(residual),
            None => {
                let mut whole = machines.whole.try_borrow_mut().map_err(|_| in_use())?;
                whole.set_input(input.clone());
                Machine::Whole(whole)
            }
        };
        Ok(Evaluation { engine, machine: Some(machine), rules, input: Some(input) })
    }
}

impl Machines {
    /// In two parts, if there is a split that can be compiled.
    fn new(engine: &mut Engine, split: Option<Split>, asked: Asked<'_>, time_limit: Duration) -> Result<Self, Refusal> {
        if let Some((whole, residual)) = split.and_then(|split| Residual::new(engine, split, asked, time_limit)) {
            return Ok(Self { whole: RefCell::new(whole), residual: Some(residual) });
        }
        let paths: Vec<String> = asked.all.iter().map(|rule| path(rule)).collect();
        Ok(Self { whole: RefCell::new(compile(engine, &paths, time_limit)?), residual: None })
    }
}

impl Evaluation<'_> {
    /// The value of a rule of `mcp.authz`; undefined, too, where no module has it.
    pub(super) fn rule(&mut self, rule: &'static str) -> Result<Value, Denial> {
        let Some(index) = self.rules.iter().position(|known| *known == rule) else {
            return Ok(Value::Undefined);
        };
        if let Some(machine) = &mut self.machine {
            let value = match machine {
                Machine::Whole(whole) => Some(whole.execute_entry_point_by_index(index)),
                Machine::Residual(residual) => residual.rule(rule),
            };
            match value {
                Some(Ok(value)) => return Ok(value),
                Some(Err(VmError::TimeLimitExceeded { .. })) => return Err(Denial::PolicyTimeout),
                // Whatever else there is, the interpreter finds it, or does not.
                Some(Err(_)) | None => {}
            }
        }
        if let Some(input) = self.input.take() {
            self.engine.set_input(input);
        }
        self.engine.eval_rule(path(rule)).map_err(|error| failure(&error.to_string()))
    }
}

/// Where a rule of the contract stands.
fn path(rule: &str) -> String {
    format!("data.mcp.authz.{rule}")
}

/// The machine, whose entry points are these rules; whether it may decide is [`Bundle::judge`]'s
/// business.
fn compile(engine: &mut Engine, paths: &[String], time_limit: Duration) -> Result<RegoVM, Refusal> {
    let refused = |error: &dyn fmt::Display| Refusal::from_engine("policy", &error.to_string());
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let first = paths.first().ok_or_else(|| refused(&"no rule to ask for"))?;
    let compiled = engine.compile_with_entrypoint(&(*first).into()).map_err(|error| refused(&error))?;
    let program = Compiler::compile_from_policy(&compiled, &paths).map_err(|error| refused(&error))?;
    let mut machine = RegoVM::new();
    machine.load_program(program);
    machine.set_data(engine.get_data()).map_err(|error| refused(&error))?;
    // Strictly, it would not compare a string with a number. No builtin fails here.
    machine.set_strict_builtin_errors(false);
    machine.set_max_instructions(MOST_INSTRUCTIONS);
    machine.set_execution_timer_config(Some(timer(time_limit)));
    Ok(machine)
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
fn fold(
    mut engine: Engine,
    files: &[(&str, &str)],
    analysis: &Analysis,
    limit: Duration,
) -> Result<Engine, Vec<Refusal>> {
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
    let is_constant: Vec<bool> = engine.get_modules().iter().map(|module| analysis.is_constant(module)).collect();
    for ((name, text), _) in files.iter().zip(is_constant).filter(|(_, is_constant)| !is_constant) {
        rest.add_policy((*name).to_owned(), (*text).to_owned()).map_err(|error| refused(name, &error))?;
    }
    Ok(rest)
}

fn too_long(limit: Duration) -> String {
    format!(
        "expected to be evaluated within {} ms, which it is once, when it is loaded; give it less data or simpler rules, \
         or the machine less to do",
        limit.as_millis()
    )
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
