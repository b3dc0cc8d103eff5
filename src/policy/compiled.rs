//! A policy as it comes from the compiler: bytes of which each worker makes what decides. Where that
//! is the machine, it does so without a look at Rego; the interpreter reads its modules again.
//!
//! One worker compiles, the others take over what it made (`config/accepted.rs`). It makes its own of
//! the same bytes, so that all decide alike.

use std::borrow::Cow;
use std::collections::BTreeSet;

use regorus::Value;
use regorus::rvm::program::{DeserializationResult, Program};
use serde::{Deserialize, Serialize};

use crate::json::Names;
use crate::rego::{Analysis, Refusal};

/// A policy, compiled.
#[derive(Deserialize, Serialize)]
pub(super) struct Compiled<'a> {
    /// SHA-256 over modules and data, in hexadecimal.
    pub(super) revision: String,
    /// What the rules may do beside the data.
    pub(super) analysis: Analysis,
    /// The names by which they know members of what a caller hands in.
    pub(super) members: Names,
    #[serde(borrow)]
    pub(super) rules: Rules<'a>,
}

/// The rules that are asked for, and what they are asked with.
#[derive(Deserialize, Serialize)]
pub(super) struct Rules<'a> {
    /// Rules of `mcp.authz`. The first entry points of a machine are theirs.
    pub(super) names: Vec<String>,
    /// The data, with the values of constant packages: see [`encode_value`].
    #[serde(borrow)]
    pub(super) data: Cow<'a, [u8]>,
    #[serde(borrow)]
    pub(super) code: Code<'a>,
}

/// Which of the engine's evaluators decides.
#[derive(Deserialize, Serialize)]
pub(super) enum Code<'a> {
    /// The virtual machine, with a program: see [`encode`].
    Machine {
        #[serde(borrow)]
        whole: Cow<'a, [u8]>,
        /// If the policy comes in two parts.
        #[serde(borrow)]
        residual: Option<ResidualRules<'a>>,
    },
    /// The interpreter, with file names and texts of modules.
    Interpreter { modules: Vec<(String, String)>, because: Refusal },
}

/// What is left of a policy where the values of its known rules are at hand.
#[derive(Deserialize, Serialize)]
pub(super) struct ResidualRules<'a> {
    /// Its program.
    #[serde(borrow)]
    pub(super) program: Cow<'a, [u8]>,
    /// Where the value of each rule is found that decides calls.
    pub(super) rules: Vec<(String, Place)>,
    /// The entry point of the whole policy that says what is known.
    pub(super) values: usize,
    /// The paths of `input` that the known rules read.
    pub(super) reads: BTreeSet<Vec<String>>,
}

/// Where the value of a rule is found.
#[derive(Deserialize, Serialize)]
pub(super) enum Place {
    /// What is known has it, under this path.
    Known(String),
    /// An entry point of the machine.
    Entry(usize),
}

impl<'a> Compiled<'a> {
    /// In postcard, whose bytes say nothing of types: they are for the build that wrote them.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, String> {
        postcard::to_allocvec(self).map_err(|error| error.to_string())
    }

    /// What [`Compiled::to_bytes`] gave.
    pub(super) fn from_bytes(bytes: &'a [u8]) -> Option<Self> {
        postcard::from_bytes(bytes).ok()
    }
}

/// A program of the machine. It loses what describes it to people, which the machine does not read.
pub(super) fn encode(mut program: Program) -> Result<Vec<u8>, String> {
    program.sources.clear();
    program.instruction_spans.clear();
    program.serialize_binary()
}

/// What [`encode`] gave.
pub(super) fn decode(bytes: &[u8]) -> Option<Program> {
    match Program::deserialize_binary(bytes) {
        Ok(DeserializationResult::Complete(program)) => Some(program),
        Ok(DeserializationResult::Partial(_)) | Err(_) => None,
    }
}

/// A value in regorus's own encoding, which keeps what JSON has not: that of a program's literals.
pub(super) fn encode_value(value: Value) -> Result<Vec<u8>, String> {
    let mut program = Program::new();
    program.literals.push(value);
    program.serialize_binary()
}

/// What [`encode_value`] gave.
pub(super) fn decode_value(bytes: &[u8]) -> Option<Value> {
    decode(bytes)?.literals.pop()
}

#[cfg(test)]
mod tests {
    use regorus::Engine;

    use super::*;

    /// As Rego spells them.
    const VALUES: [&str; 12] = [
        "[null, true, false, \"\", \"é\\u0000\"]",
        "{1: {2, \"2\", [2]}, [true]: {{}, set()}, null: {\"a\": {\"b\": set()}}}",
        "[0, -1, 9223372036854775807, -9223372036854775808, 9223372036854775808, 18446744073709551615]",
        "[18446744073709551616, -9223372036854775809, 9007199254740993]",
        "[123456789012345678901234567890123456789, -123456789012345678901234567890123456789]",
        "[1.5, -0.1, 0.30000000000000004, 1e300, 5e-324, 123456789.123456789]",
        "[1.0, 100e3, 1e2, 1e20, 1e22, 1e23]",
        "[2 * 9223372036854775807, 18446744073709551615 * 18446744073709551615]",
        "[0.1 + 0.2, 1 / 3, 7 / 7, 10 % 3]",
        "[n | some n in numbers.range(1, 300)]",
        "{n: {m | some m in numbers.range(1, n)} | some n in numbers.range(1, 5)}",
        "[{}, [], set(), [[[[]]]]]",
    ];

    /// Equal, and spelled alike: 1 and 1.0 are one number to the engine.
    #[test]
    fn a_value_comes_back_as_it_was() {
        for text in VALUES {
            let mut engine = Engine::new();
            engine.add_policy("a.rego".to_owned(), format!("package a\nx := {text}\n")).unwrap();
            let value = engine.eval_rule("data.a.x".to_owned()).unwrap();
            assert_ne!(value, Value::Undefined, "{text}");
            let back = decode_value(&encode_value(value.clone()).unwrap()).unwrap();
            assert_eq!(back, value, "{text}");
            assert_eq!(back.to_string(), value.to_string(), "{text}");
        }
    }
}
