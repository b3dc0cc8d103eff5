//! The engine under a policy: compiled rules in, their values out.
//!
//! regorus has two evaluators. What the interpreter says is true; its virtual machine
//! is several times faster and decides for those policies in which it cannot differ
//! ([`Bundle::judge`](crate::rego::Bundle::judge)). A policy of the machine may come in two parts
//! ([`Bundle::split`](crate::rego::Bundle::split)): what is known of many questions, and a machine
//! for the rest (`evaluator/residual.rs`).

mod residual;
#[cfg(test)]
pub(super) mod tests;

use std::cell::{RefCell, RefMut};
use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use regorus::rvm::RegoVM;
use regorus::rvm::vm::VmError;
use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{Engine, Value};

use super::compiled::{Code, Rules, decode};
use super::values;
use crate::denial::Denial;
use crate::rego::Refusal;
pub(super) use residual::KnownValues;
use residual::Residual;

/// The most instructions of the machine for one rule. Those of a plain loop take 28 ns natively, so
/// most policies come to the end of their time before.
const MOST_INSTRUCTIONS: usize = 10_000_000;

/// The most for what is known of a question before anybody asks for it: some questions end
/// without it.
const MOST_TO_KNOW: usize = 100_000;

/// Compiled rules, ready to be asked.
pub(super) struct Evaluator {
    rules: Vec<String>,
    decider: Decider,
}

// Each keeps its state in itself; one question is asked at a time.
enum Decider {
    Machine(Box<Machines>),
    Interpreter { engine: Box<RefCell<Engine>>, because: Refusal },
}

struct Machines {
    whole: RefCell<RegoVM>,
    /// If the policy comes in two parts.
    residual: Option<Residual>,
}

/// One question, as long as its rules are asked.
pub(super) struct Evaluation<'a> {
    rules: &'a [String],
    deciding: Deciding<'a>,
}

enum Deciding<'a> {
    Machine(RefMut<'a, RegoVM>),
    Residual(residual::Evaluation<'a>),
    Interpreter(RefMut<'a, Engine>),
}

impl Evaluator {
    /// Makes ready what was compiled, and gives each rule this much time. None where it is not what
    /// the compiler made.
    pub(super) fn new(compiled: Rules<'_>, time_limit: Duration) -> Option<Self> {
        let data = values::decode(&compiled.data)?.pop()?;
        let decider = match compiled.code {
            Code::Machine { whole, residual } => Decider::Machine(Box::new(Machines {
                whole: RefCell::new(machine(&whole, data.clone(), time_limit)?),
                residual: match residual {
                    Some(residual) => Some(Residual::new(residual, data, time_limit)?),
                    None => None,
                },
            })),
            Code::Interpreter { modules, because } => {
                let mut engine = strict_engine();
                engine.set_execution_timer_config(timer(time_limit));
                engine.add_data(data).ok()?;
                for (name, text) in modules {
                    engine.add_policy(name, text).ok()?;
                }
                // The first call does not pay for what the engine makes once.
                engine.eval_query("true".to_owned(), false).ok()?;
                Decider::Interpreter { engine: Box::new(RefCell::new(engine)), because }
            }
        };
        Some(Self { rules: compiled.names, decider })
    }

    /// Why the interpreter decides, if it does.
    pub(super) fn against_machine(&self) -> Option<&Refusal> {
        match &self.decider {
            Decider::Interpreter { because, .. } => Some(because),
            Decider::Machine(_) => None,
        }
    }

    /// Does the policy have this rule?
    pub(super) fn defines(&self, rule: &str) -> bool {
        self.rules.iter().any(|known| known == rule)
    }

    /// The paths of `input` that [`KnownValues`] depend on, in a policy that comes in two parts.
    pub(super) fn known_reads(&self) -> Option<&BTreeSet<Vec<String>>> {
        Some(&self.machines()?.residual.as_ref()?.reads)
    }

    fn machines(&self) -> Option<&Machines> {
        match &self.decider {
            Decider::Machine(machines) => Some(machines),
            Decider::Interpreter { .. } => None,
        }
    }

    /// What can be said of all questions that are alike in what [`Evaluator::known_reads`] names.
    /// None where the machine does not come to an end.
    pub(super) fn know(&self, input: Value) -> Option<KnownValues> {
        let machines = self.machines()?;
        let residual = machines.residual.as_ref()?;
        let mut whole = machines.whole.try_borrow_mut().ok()?;
        whole.set_input(input);
        whole.set_max_instructions(MOST_TO_KNOW);
        let values = whole.execute_entry_point_by_index(residual.values);
        whole.set_max_instructions(MOST_INSTRUCTIONS);
        KnownValues::new(&values.ok()?)
    }

    /// Asks about one input document, of which something may be known. What is known is of the
    /// rules that decide calls, and of no other.
    pub(super) fn ask(&self, input: Value, known: Option<KnownValues>) -> Result<Evaluation<'_>, Denial> {
        let deciding = match &self.decider {
            Decider::Machine(machines) => match machines.residual.as_ref().zip(known) {
                Some((residual, known)) => Deciding::Residual(residual.ask(input, known)?),
                None => {
                    let mut whole = machines.whole.try_borrow_mut().map_err(|_| in_use())?;
                    whole.set_input(input);
                    Deciding::Machine(whole)
                }
            },
            Decider::Interpreter { engine, .. } => {
                let mut engine = engine.try_borrow_mut().map_err(|_| in_use())?;
                engine.set_input(input);
                Deciding::Interpreter(engine)
            }
        };
        Ok(Evaluation { rules: &self.rules, deciding })
    }
}

impl Evaluation<'_> {
    /// The value of a rule of `mcp.authz`; undefined, too, where no module has it.
    pub(super) fn rule(&mut self, rule: &str) -> Result<Value, Denial> {
        let Some(index) = self.rules.iter().position(|known| known == rule) else {
            return Ok(Value::Undefined);
        };
        match &mut self.deciding {
            Deciding::Machine(machine) => run(machine, index),
            Deciding::Residual(residual) => residual.rule(rule),
            Deciding::Interpreter(engine) => engine.eval_rule(path(rule)).map_err(|error| failure(&error.to_string())),
        }
    }
}

fn in_use() -> Denial {
    Denial::PolicyError("the engine is in use".into())
}

/// Where a rule of the contract stands.
pub(super) fn path(rule: &str) -> String {
    format!("data.mcp.authz.{rule}")
}

/// A machine of what [`encode`](super::compiled::encode) made of a program.
fn machine(program: &[u8], data: Value, time_limit: Duration) -> Option<RegoVM> {
    let mut machine = RegoVM::new();
    machine.load_program(Arc::new(decode(program)?));
    machine.set_data(data).ok()?;
    // Strictly, it would not compare a string with a number. No builtin fails here.
    machine.set_strict_builtin_errors(false);
    machine.set_max_instructions(MOST_INSTRUCTIONS);
    machine.set_execution_timer_config(Some(timer(time_limit)));
    Some(machine)
}

/// The value of an entry point. Of the machine's errors its limits alone are expected, for what it
/// is given cannot fail. The text of another may hold values of the input.
fn run(machine: &mut RegoVM, entry: usize) -> Result<Value, Denial> {
    machine.execute_entry_point_by_index(entry).map_err(|error| match error {
        VmError::TimeLimitExceeded { .. } => Denial::PolicyTimeout,
        // A second try would end alike.
        VmError::InstructionLimitExceeded { limit, .. } => {
            Denial::PolicyError(format!("more than {limit} instructions of the virtual machine"))
        }
        _ => Denial::PolicyError("the virtual machine".into()),
    })
}

/// An engine to which an error is an error.
pub(super) fn strict_engine() -> Engine {
    let mut engine = Engine::new();
    engine.set_strict_builtin_errors(true);
    engine
}

/// A limit on one evaluation.
pub(super) fn timer(limit: Duration) -> ExecutionTimerConfig {
    // A look at the clock costs as much as a few steps.
    ExecutionTimerConfig { limit, check_interval: NonZeroU32::MIN.saturating_add(63) }
}

/// What regorus says when the time is up. Longer than anything that a value in
/// another error could say by accident.
pub(super) const TIMEOUT: &str = "execution exceeded time limit";

/// An engine's error as a denial. Its text may hold values of the input, so
/// only the place goes into the record.
fn failure(error: &str) -> Denial {
    if error.contains(TIMEOUT) {
        return Denial::PolicyTimeout;
    }
    let place = Refusal::from_engine("policy", error);
    Denial::PolicyError(format!("{}:{}:{}", place.file, place.line, place.column))
}
