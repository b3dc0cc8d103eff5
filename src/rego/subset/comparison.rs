//! What the two sides of a comparison may be.

use regorus::unstable::Expr;

use super::{Clause, Env};
use crate::rego::Refusal;
use crate::rego::shape::Shape;
use crate::rego::syntax::anchor;

impl<'d> Clause<'_, '_, 'd> {
    /// Finds comparisons of what stands in the input with what it never is, and with methods.
    pub(super) fn check_kinds(&mut self, [lhs, rhs]: [&Expr; 2], [left, right]: &[Shape<'d>; 2]) {
        for (expr, other, shape) in [(lhs, rhs, right), (rhs, lhs, left)] {
            if self.pass.world.input_path(&self.names, expr).is_some_and(|path| path == ["mcp", "method"]) {
                let reason = "expected a method of MCP or of `extensions.methods`";
                let refusal =
                    |text| Refusal::new(anchor(other), format!("{reason}, found `{text}`; no message has it"));
                self.pass.methods.extend(shape.texts().map(|text| (text.to_owned(), refusal(text))));
            }
        }
        let is_input = |expr: &Expr| self.pass.world.input_path(&self.names, expr).is_some();
        let (Some(left), Some(right)) = (left.kinds(), right.kinds()) else { return };
        if (is_input(lhs) || is_input(rhs)) && left.are_apart(right) {
            let reason = format!("{left} is compared with {right}, which says the same of every message");
            self.pass.idle.push(Refusal::new(anchor(lhs), reason));
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
                let sides = [self.expr(value, env), self.expr(collection, env).items()];
                self.check_kinds([value, collection], &sides);
            }
            other => drop(self.expr(other, env)),
        }
    }
}
