//! Which rules cannot have two values.
//!
//! A complete rule or function with two values is an error, which the virtual machine
//! takes for undefined.

use std::rc::Rc;

use regorus::Value;
use regorus::unstable::{Expr, Literal, Query, Rule, RuleHead};

use super::Kind;
use super::names::Names;
use super::program::Node;
use super::syntax::static_path;

/// What speaks for a second value.
pub(super) fn against(node: &Node<'_>) -> Option<&'static str> {
    if node.kind == Kind::Set {
        return None;
    }
    let clauses = || node.clauses.iter().filter_map(|(_, rule)| values(rule));
    let mut constants = clauses().flatten().map(|(value, _)| value.map_or(Some(Scalar::True), literal));
    let first = constants.next().flatten();
    if first.is_some() && constants.all(|value| value == first) {
        return None;
    }
    let mut all = clauses();
    let is_certain = |(value, query): &(Option<&Expr>, Option<&Query>)| {
        value.is_none_or(|value| literal(value).is_some())
            || query.is_none_or(|query| !generates(query)) && value.is_none_or(|value| !has_wildcard(value))
    };
    let alone = all.next().is_none_or(|values| values.iter().all(is_certain)) && all.next().is_none();
    let has_one_body = |(_, rule): &(Rc<Names>, &Rule)| match rule {
        Rule::Spec { bodies, .. } => bodies.iter().filter(|body| !body.is_else).count() <= 1,
        Rule::Default { .. } => true,
    };
    let is_single = alone && node.clauses.iter().all(has_one_body);
    (!is_single).then_some("it may have two values, which is no error there; give one clause, or `else`")
}

/// A value that is written out; `allow if ...` gives true.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Scalar<'a> {
    True,
    Other(&'a Value),
}

/// What is written out as one value.
pub(super) fn literal(value: &Expr) -> Option<Scalar<'_>> {
    match value {
        Expr::Bool { value: Value::Bool(true), .. } => Some(Scalar::True),
        Expr::Bool { value, .. }
        | Expr::Null { value, .. }
        | Expr::Number { value, .. }
        | Expr::String { value, .. }
        | Expr::RawString { value, .. } => Some(Scalar::Other(value)),
        _ => None,
    }
}

/// The values of one clause, with the bodies that they follow from. None for a default.
fn values(rule: &Rule) -> Option<Vec<(Option<&Expr>, Option<&Query>)>> {
    let Rule::Spec { head, bodies, .. } = rule else { return None };
    let own = match head {
        RuleHead::Compr { assign, .. } | RuleHead::Func { assign, .. } => assign.as_ref(),
        RuleHead::Set { .. } => None,
    };
    if bodies.is_empty() {
        return Some(vec![(own.map(|assign| assign.value.as_ref()), None)]);
    }
    let all = bodies.iter().map(|body| {
        let assign = if body.is_else { body.assign.as_ref() } else { own };
        (assign.map(|assign| assign.value.as_ref()), Some(body.query.as_ref()))
    });
    Some(all.collect())
}

/// May a body hold in more ways than one?
pub(super) fn generates(query: &Query) -> bool {
    query.stmts.iter().any(|statement| match &statement.literal {
        Literal::SomeIn { .. } | Literal::SomeVars { .. } => true,
        // What `not` and `every` try out does not get out of them, but they stand in these loops.
        Literal::Expr { expr, .. } | Literal::NotExpr { expr, .. } | Literal::Every { domain: expr, .. } => {
            has_wildcard(expr)
        }
    })
}

/// May it, or may `walk` or an index that nothing else gives a value hold in more ways than one?
pub(super) fn loops(query: &Query, is_bound: &dyn Fn(&str) -> bool) -> bool {
    let walks = |expr: &Expr| matches!(expr, Expr::Call { fcn, .. } if static_path(fcn).0 == ["walk"]);
    generates(query)
        || query.stmts.iter().any(|statement| match &statement.literal {
            Literal::Expr { expr, .. } => {
                let called = if let Expr::AssignExpr { rhs, .. } = expr.as_ref() { rhs } else { expr };
                walks(called) || !collections(expr, is_bound).is_empty()
            }
            _ => false,
        })
}

/// Is there a `[_]` outside of comprehensions?
pub(super) fn has_wildcard(expr: &Expr) -> bool {
    !wildcards(expr).is_empty()
}

/// What an expression loops over by `[_]`, outside of comprehensions.
pub(super) fn wildcards(expr: &Expr) -> Vec<&Expr> {
    collections(expr, &|_| true)
}

/// What an expression loops over, outside of comprehensions: by `[_]`, and by an index that
/// has no value before.
pub(super) fn collections<'e>(expr: &'e Expr, is_bound: &dyn Fn(&str) -> bool) -> Vec<&'e Expr> {
    fn find<'e>(expr: &'e Expr, is_bound: &dyn Fn(&str) -> bool, found: &mut Vec<&'e Expr>) {
        let mut each = |exprs: &[&'e Expr]| exprs.iter().for_each(|expr| find(expr, is_bound, found));
        match expr {
            Expr::RefBrack { refr, index, .. } => {
                each(&[refr, index]);
                if matches!(index.as_ref(), Expr::Var { span, .. } if span.text() == "_" || !is_bound(span.text())) {
                    found.push(refr);
                }
            }
            Expr::RefDot { refr, .. } => each(&[refr]),
            Expr::Array { items, .. } | Expr::Set { items, .. } => items.iter().for_each(|item| each(&[item])),
            Expr::Object { fields, .. } => fields.iter().for_each(|(_, key, value)| each(&[key, value])),
            Expr::Call { params, .. } => params.iter().for_each(|param| each(&[param])),
            Expr::UnaryExpr { expr, .. } => each(&[expr]),
            Expr::BinExpr { lhs, rhs, .. }
            | Expr::BoolExpr { lhs, rhs, .. }
            | Expr::ArithExpr { lhs, rhs, .. }
            | Expr::AssignExpr { lhs, rhs, .. } => each(&[lhs, rhs]),
            Expr::Membership { key, value, collection, .. } => {
                key.iter().for_each(|key| each(&[key]));
                each(&[value, collection]);
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    find(expr, is_bound, &mut found);
    found
}
