//! What the two sides of a comparison may be.

use regorus::unstable::{BoolOp, Expr};

use super::{Clause, Env};
use crate::rego::shape::{Kinds, Shape};
use crate::rego::syntax::{anchor, is_literal};
use crate::rego::{Refusal, input};

impl<'d> Clause<'_, '_, 'd> {
    /// Finds comparisons of what stands in the input with what it never is, as far as the module itself
    /// says so: data may have values for several gates, and for several rules.
    pub(super) fn check_compared(&mut self, op: &BoolOp, lhs: &Expr, rhs: &Expr, [left, right]: &[Shape<'d>; 2]) {
        self.check_sides(op, [lhs, rhs], [left, right]);
        self.check_sides(op, [rhs, lhs], [right, left]);
    }

    fn check_sides(&mut self, op: &BoolOp, [expr, other]: [&Expr; 2], [shape, others]: [&Shape<'d>; 2]) {
        let Some(path) = self.pass.world.input_path(&self.names, expr) else { return };
        let is_said = is_literal(other) || self.pass.world.input_path(&self.names, other).is_some();
        // What may be missing is asked for by `!=`, too.
        if !is_said || matches!(op, BoolOp::Ne) && !input::is_always(&path) {
            return;
        }
        if path == ["mcp", "method"] {
            let reason = |text| {
                format!(
                    "expected a method of MCP or of `extensions.methods`, found `{text}`; no message has it, and what has none \
                     goes by `input.mcp.kind`"
                )
            };
            let texts = others.texts().map(|text| (text.to_owned(), Refusal::new(anchor(other), reason(text))));
            self.pass.methods.extend(texts);
        }
        if let (Some(one), Some(another)) = (shape.kinds(), others.kinds())
            && one.are_apart(another)
        {
            let reason = format!(
                "{one} is compared with {another}, which says the same of every message; compare values of one kind, those \
                 within a list by `some x in`"
            );
            self.pass.idle.push(Refusal::new(anchor(expr), reason));
        }
    }

    /// Something that holds or does not. Here it makes no difference whether a membership
    /// is false or undefined.
    pub(super) fn condition(&mut self, expr: &'d Expr, env: &mut Env<'d>) {
        match expr {
            Expr::Membership { key, value, collection, .. } => {
                if let Some(key) = key {
                    self.object(anchor(key), "`key, value in`, of which the machine leaves out the key");
                }
                let (item, items) = (self.expr(value, env), self.expr(collection, env));
                // What is to have nothing in it may be `false`.
                let collections = Kinds::ARRAY.or(Kinds::SET).or(Kinds::OBJECT).or(Kinds::BOOLEAN);
                if let Some(kinds) = items.kinds().filter(|kinds| kinds.are_apart(collections)) {
                    let reason = format!("nothing is in {kinds}; ask for it in a list, a set or an object");
                    self.pass.idle.push(Refusal::new(anchor(collection), reason));
                }
                if is_literal(collection) {
                    self.check_sides(&BoolOp::Eq, [value, collection], [&item, &items.items()]);
                }
            }
            other => drop(self.expr(other, env)),
        }
    }
}
