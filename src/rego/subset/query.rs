//! Queries: one statement after the other, and comprehensions around them.

use regorus::unstable::{Expr, Literal, LiteralStmt, Query, Span};

use super::{Clause, Env, Loaded};
use crate::rego::Refusal;
use crate::rego::names::Document;
use crate::rego::needs::{self, Needs};
use crate::rego::shape::{Kinds, Shape};
use crate::rego::single::{has_wildcard, literal, wildcards};
use crate::rego::syntax::{anchor, base};

/// What stands against a list made of a set.
const REPEATED: &str = "OPA goes twice through what stands twice in a set that is written with what it has to \
    compute, and this engine once; loop over a list, `[a, b]`, or make a set: `{x | some x in {a, b}}`";

impl<'d> Clause<'_, '_, 'd> {
    /// Goes through a query of whose outcome `then` is needed. Gives what its first
    /// statement has looked at.
    pub(super) fn query(&mut self, query: &'d Query, then: Needs, env: &mut Env<'d>) -> Loaded {
        let after = needs::after_each(query, then);
        let mut first = None;
        for (statement, after) in query.stmts.iter().zip(after) {
            self.infer(statement, env);
            if let Some((name, value)) = needs::assignment(statement)
                && !self.is_certain(value, env)
            {
                if !after.contains(name) {
                    let reason = format!("`{name}` may be undefined, which is the machine's reason to go on");
                    self.object(value.span(), reason);
                }
                env.doubtful.insert(name.to_owned());
            }
            let before = env.loaded;
            self.statement(statement, env);
            needs::of_statement(statement, &mut env.present);
            first.get_or_insert_with(|| match loops_over(statement) {
                None => env.loaded,
                // What it loops over is looked at before, all else inside of its loop.
                Some(collections) => self.looked_at(&collections, before),
            });
        }
        first.unwrap_or(env.loaded)
    }

    /// Which documents were looked at, with those that collections are in.
    fn looked_at(&self, collections: &[&Expr], before: Loaded) -> Loaded {
        let mut loaded = before;
        for collection in collections {
            let Expr::Var { span, .. } = base(collection) else { continue };
            match self.names.document(self.pass.world.program, span.text()) {
                Some(Document::Input(_)) => loaded.input = true,
                Some(Document::Data(_)) => loaded.data = true,
                None => {}
            }
        }
        loaded
    }

    /// What is looked at here first may not be looked at, and what follows goes without.
    pub(super) fn leave(&mut self, span: &Span, inner: Loaded, env: &Env<'d>) {
        if inner != env.loaded {
            self.object(span, "`input` or `data` for the first time inside of a loop of its own; use it before");
        }
    }

    pub(super) fn comprehension(
        &mut self,
        kinds: Kinds,
        term: &'d Expr,
        query: &'d Query,
        env: &mut Env<'d>,
    ) -> Shape<'d> {
        let mut inner = env.clone();
        // A statement that fails outside of a loop of its own ends the loop around all of this,
        // or begins one anew that is over.
        let mut outside = query.stmts.iter().take_while(|statement| !begins_loop(statement));
        if let Some(statement) = outside.find(|statement| needs::assignment(statement).is_none()) {
            self.object(
                &statement.span,
                "a condition in a comprehension before a loop, where the machine ends another",
            );
        }
        if kinds == Kinds::ARRAY {
            let loops = query.stmts.iter().filter_map(|statement| match &statement.literal {
                Literal::SomeIn { collection, .. } if is_written_set(collection) => Some(collection),
                _ => None,
            });
            let repeated: Vec<Refusal> = loops.map(|set| Refusal::new(anchor(set), REPEATED)).collect();
            self.pass.misread.extend(repeated);
        }
        let mut then = Needs::new();
        needs::of_value(term, &mut then);
        env.loaded = self.query(query, then, &mut inner);
        let items = self.expr(term, &mut inner);
        if kinds == Kinds::ARRAY && !self.is_defined(term, &inner) {
            self.object(anchor(term), "an item that may be undefined, which the machine puts into the array");
        }
        if has_wildcard(term) && !self.is_defined(term, &inner) {
            self.object(anchor(term), "a loop over what may be undefined, in a term");
        }
        self.leave(anchor(term), inner.loaded, env);
        Shape::collection(kinds, items)
    }
}

/// Does it stand there with several items, not all of them known?
fn is_written_set(expr: &Expr) -> bool {
    matches!(expr, Expr::Set { items, .. } if items.len() > 1 && !items.iter().all(|item| literal(item).is_some()))
}

/// What a statement that is an expression loops over by `[_]`, if it does.
fn loops_over(statement: &LiteralStmt) -> Option<Vec<&Expr>> {
    let (Literal::Expr { expr, .. } | Literal::NotExpr { expr, .. }) = &statement.literal else { return None };
    Some(wildcards(expr)).filter(|found| !found.is_empty())
}

/// Does what follows stand in a loop of this statement?
fn begins_loop(statement: &LiteralStmt) -> bool {
    matches!(statement.literal, Literal::SomeIn { .. })
        || matches!(&statement.literal, Literal::Expr { expr, .. } if has_wildcard(expr))
}
