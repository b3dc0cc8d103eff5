//! Which values have to be there for something to hold.
//!
//! `x := input.a` without an `a` is the end of a clause, but not in the virtual
//! machine, which goes on with an undefined `x`. That makes no difference if the
//! clause needs `x` later on: then it ends there.

use std::collections::BTreeSet;

use regorus::unstable::{AssignOp, Expr, Literal, LiteralStmt, Query};

use super::syntax::{base, steps, written};

/// Variables and references, in one spelling each.
pub(super) type Needs = BTreeSet<String>;

/// What an expression needs to have a value at all. A call needs all that it is given.
pub(super) fn of_value(expr: &Expr, needs: &mut Needs) {
    match expr {
        Expr::Var { .. } | Expr::RefDot { .. } | Expr::RefBrack { .. } => {
            needs.extend(written(expr));
            for index in steps(expr).iter().filter_map(|step| step.computed()) {
                of_value(index, needs);
            }
            match base(expr) {
                Expr::Var { span, .. } => needs.extend([span.text().to_owned()]),
                other => of_value(other, needs),
            }
        }
        Expr::Call { params, .. } => params.iter().for_each(|param| of_value(param, needs)),
        Expr::UnaryExpr { expr, .. } => of_value(expr, needs),
        Expr::ArithExpr { lhs, rhs, .. } | Expr::BinExpr { lhs, rhs, .. } | Expr::BoolExpr { lhs, rhs, .. } => {
            of_value(lhs, needs);
            of_value(rhs, needs);
        }
        Expr::Array { items, .. } | Expr::Set { items, .. } => {
            items.iter().for_each(|item| of_value(item, needs));
        }
        Expr::Object { fields, .. } => fields.iter().for_each(|(_, _, value)| of_value(value, needs)),
        // A membership is false there, and so has a value.
        _ => {}
    }
}

/// What a statement that gives no variable a value needs to hold.
pub(super) fn of_statement(statement: &LiteralStmt, needs: &mut Needs) {
    match &statement.literal {
        Literal::Expr { expr, .. } => match expr.as_ref() {
            Expr::Membership { value, collection, .. } => {
                of_value(value, needs);
                of_value(collection, needs);
            }
            other => of_value(other, needs),
        },
        Literal::SomeIn { collection, .. } => of_value(collection, needs),
        Literal::NotExpr { .. } | Literal::Every { .. } | Literal::SomeVars { .. } => {}
    }
}

/// What is needed after each statement of a query. `then` is what is needed of the query
/// as a whole.
pub(super) fn after_each(query: &Query, then: Needs) -> Vec<Needs> {
    let mut needs = then;
    let mut after: Vec<Needs> = query
        .stmts
        .iter()
        .rev()
        .map(|statement| {
            let after = needs.clone();
            match assignment(statement) {
                Some((name, value)) if needs.contains(name) => of_value(value, &mut needs),
                Some(_) => {}
                None => of_statement(statement, &mut needs),
            }
            after
        })
        .collect();
    after.reverse();
    after
}

/// `name := value`
pub(super) fn assignment(statement: &LiteralStmt) -> Option<(&str, &Expr)> {
    let Literal::Expr { expr, .. } = &statement.literal else { return None };
    let Expr::AssignExpr { op: AssignOp::ColEq, lhs, rhs, .. } = expr.as_ref() else { return None };
    let Expr::Var { span, .. } = lhs.as_ref() else { return None };
    Some((span.text(), rhs))
}
