//! A policy as it comes from the compiler: bytes of which each worker makes what decides. Where that
//! is the machine, it does so without a look at Rego; the interpreter reads its modules again.
//!
//! One worker compiles, the others take over what it made (`config/accepted.rs`). It makes its own of
//! the same bytes, so that all decide alike.

use std::borrow::Cow;
use std::collections::BTreeSet;

use regorus::rvm::program::{DeserializationResult, Program};
use serde::{Deserialize, Serialize};

use super::values;
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
    /// The data, with the values of constant packages, as `policy/values.rs` writes it.
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

/// A program of the machine, whose literals are written as all values are.
#[derive(Deserialize, Serialize)]
struct Parts<'a> {
    program: &'a [u8],
    literals: &'a [u8],
}

/// Writes a program. It loses what describes it to people, which the machine does not read.
pub(super) fn encode(mut program: Program) -> Result<Vec<u8>, String> {
    program.validate_limits()?;
    program.sources.clear();
    program.instruction_spans.clear();
    let literals = values::encode(&std::mem::take(&mut program.literals))?;
    let parts = Parts { program: &program.serialize_binary()?, literals: &literals };
    postcard::to_allocvec(&parts).map_err(|error| error.to_string())
}

/// Reads what [`encode`] wrote.
pub(super) fn decode(bytes: &[u8]) -> Option<Program> {
    let Parts { program, literals } = postcard::from_bytes(bytes).ok()?;
    match Program::deserialize_binary(program) {
        Ok(DeserializationResult::Complete(mut program)) => {
            program.literals = values::decode(literals)?;
            Some(program)
        }
        Ok(DeserializationResult::Partial(_)) | Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use regorus::rvm::program::BuiltinInfo;

    use super::*;

    #[test]
    fn a_program_is_read_as_a_whole_or_not_at_all() {
        let mut program = Program::new();
        program.add_builtin_info(BuiltinInfo { name: "count".into(), num_args: 1 });
        let bytes = encode(program.clone()).unwrap();
        assert!(decode(&bytes).is_some());
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length]).is_none(), "the first {length} bytes");
        }
        // regorus gives back what it could read of it.
        program.add_builtin_info(BuiltinInfo { name: "no.such".into(), num_args: 1 });
        assert!(decode(&encode(program).unwrap()).is_none());
    }
}
