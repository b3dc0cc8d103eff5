//! Which values are there, whatever is asked.

use std::rc::Rc;

use regorus::Value;
use regorus::unstable::{Expr, Rule, RuleHead};

use super::names::{Document, Names};
use super::program::Program;
use super::shape::Shape;
use super::syntax::{static_path, written};
use super::{Kind, input};

/// What is known where an expression stands: whether a variable, or a reference in its
/// one spelling, has a value there.
pub(super) type Here<'a> = &'a dyn Fn(&str) -> bool;

/// The modules, and the data beside them.
#[derive(Clone, Copy)]
pub(super) struct World<'p, 'd> {
    pub(super) program: &'p Program<'d>,
    pub(super) data: &'d Value,
}

impl World<'_, '_> {
    /// The path of a reference to the input that says all of it.
    pub(super) fn input_path(&self, names: &Names, expr: &Expr) -> Option<Vec<String>> {
        let (path, true) = static_path(expr) else { return None };
        let (first, rest) = path.split_first()?;
        match names.document(self.program, first)? {
            Document::Input(start) => Some(start.into_iter().chain(rest.iter().cloned()).collect()),
            Document::Data(_) => None,
        }
    }

    /// Is there a value, whatever is asked?
    pub(super) fn is_defined(&self, names: &Names, expr: &Expr, is_here: Here<'_>) -> bool {
        match expr {
            Expr::String { .. }
            | Expr::RawString { .. }
            | Expr::Number { .. }
            | Expr::Bool { .. }
            | Expr::Null { .. }
            | Expr::ArrayCompr { .. }
            | Expr::SetCompr { .. } => true,
            Expr::Array { items, .. } | Expr::Set { items, .. } => {
                items.iter().all(|item| self.is_defined(names, item, is_here))
            }
            Expr::Object { fields, .. } => fields.iter().all(|(_, _, value)| self.is_defined(names, value, is_here)),
            Expr::UnaryExpr { expr, .. } => self.is_defined(names, expr, is_here),
            Expr::ArithExpr { lhs, rhs, .. } | Expr::BinExpr { lhs, rhs, .. } | Expr::BoolExpr { lhs, rhs, .. } => {
                self.is_defined(names, lhs, is_here) && self.is_defined(names, rhs, is_here)
            }
            Expr::Membership { value, collection, .. } => {
                self.is_defined(names, value, is_here) && self.is_defined(names, collection, is_here)
            }
            Expr::Call { fcn, params, .. } => {
                let is_builtin = names.function(self.program, &static_path(fcn).0).is_none();
                is_builtin && params.iter().all(|param| self.is_defined(names, param, is_here))
            }
            Expr::Var { span, .. } if is_here(span.text()) => true,
            reference => {
                written(reference).is_some_and(|text| is_here(&text))
                    || self.input_path(names, reference).is_some_and(|path| input::is_always(&path))
                    || self.stands(names, reference)
            }
        }
    }

    /// Does a reference lead to a constant, or to a rule that always has a value?
    fn stands(&self, names: &Names, expr: &Expr) -> bool {
        let (path, true) = static_path(expr) else { return false };
        let Some((first, rest)) = path.split_first() else { return false };
        let Some(Document::Data(start)) = names.document(self.program, first) else { return false };
        let whole: Vec<String> = start.into_iter().chain(rest.iter().cloned()).collect();
        let node = self.program.under(&whole).next().and_then(|index| self.program.nodes.get(index));
        match node {
            Some(node) => {
                let always = |(names, rule): &(Rc<Names>, &Rule)| match rule {
                    Rule::Default { .. } => true,
                    // `name := value`, without a condition.
                    Rule::Spec { head: RuleHead::Compr { assign: Some(assign), .. }, bodies, .. } => {
                        bodies.is_empty() && self.is_defined(names, &assign.value, &|_| false)
                    }
                    Rule::Spec { .. } => false,
                };
                node.path == whole && (node.kind == Kind::Set || node.clauses.iter().any(always))
            }
            None => {
                let stands = whole.iter().fold(Shape::One(vec![self.data]), |shape, name| shape.member(name));
                stands.only().is_some()
            }
        }
    }
}
