//! Which clauses cannot hold, given the data.
//!
//! `index.urls` at the start of a clause, and no data that has it: whatever the clause
//! asks for behind it is not asked for, and a policy that could do much more answers what it is
//! configured to answer from less.

use std::collections::BTreeSet;

use regorus::Value;
use regorus::unstable::{Expr, Literal, LiteralStmt, Rule, RuleHead};

use super::Kind;
use super::names::{Document, Names};
use super::program::Program;
use super::syntax::{declared, static_path, variables};

/// The clauses that cannot hold, by rule and position.
pub(super) fn find(program: &Program<'_>, data: &Value) -> Vec<(usize, usize)> {
    let clauses = program.nodes.iter().enumerate().flat_map(|(index, node)| {
        node.clauses.iter().enumerate().map(move |(position, (names, rule))| (index, position, names, *rule))
    });
    let dead = clauses.filter(|(_, _, names, rule)| is_dead(program, data, names, rule));
    dead.map(|(index, position, ..)| (index, position)).collect()
}

fn is_dead(program: &Program<'_>, data: &Value, names: &Names, rule: &Rule) -> bool {
    let Rule::Spec { head, bodies, .. } = rule else { return false };
    // Of several bodies another one may hold.
    let [body] = bodies.as_slice() else { return false };
    // A parameter hides the rule or the import of its name.
    let mut own = declared(&body.query);
    if let RuleHead::Func { args, .. } = head {
        args.iter().for_each(|arg| variables(arg, &mut own));
    }
    // What stands before the end of a clause is evaluated, and may fail.
    body.query.stmts.first().is_some_and(|statement| never_holds(program, data, names, &own, statement))
}

/// Does this ask for data that is not there, or that no data is there?
fn never_holds(
    program: &Program<'_>,
    data: &Value,
    names: &Names,
    own: &BTreeSet<String>,
    statement: &LiteralStmt,
) -> bool {
    match &statement.literal {
        Literal::Expr { expr, .. } => constant(program, data, names, own, expr) == Some(false),
        Literal::NotExpr { expr, .. } => constant(program, data, names, own, expr) == Some(true),
        Literal::SomeVars { .. } | Literal::SomeIn { .. } | Literal::Every { .. } => false,
    }
}

/// Whether a reference holds as a statement, if data alone says so.
fn constant(program: &Program<'_>, data: &Value, names: &Names, own: &BTreeSet<String>, expr: &Expr) -> Option<bool> {
    let (path, true) = static_path(expr) else { return None };
    let (first, rest) = path.split_first().filter(|(first, _)| !own.contains(*first))?;
    let Document::Data(start) = names.document(program, first)? else { return None };
    let whole: Vec<String> = start.into_iter().chain(rest.iter().cloned()).collect();
    // A rule at, above or below it has a say.
    let mut rules = (1..=whole.len()).flat_map(|length| program.under(whole.get(..length).unwrap_or_default()));
    let mut said = rules.by_ref().filter_map(|index| program.nodes.get(index));
    let by_rule = said.find(|node| node.path.starts_with(&whole) || whole.starts_with(&node.path));
    match by_rule {
        Some(node) => (node.path == whole && node.kind == Kind::Complete && node.clauses.is_empty()).then_some(false),
        None => {
            let found = whole.iter().try_fold(data, |value, name| value.as_object().ok()?.get(&name.as_str().into()));
            Some(found.is_some_and(|value| *value != Value::Bool(false)))
        }
    }
}
