//! Where a reference leads, and what stands there.

use std::collections::{BTreeMap, BTreeSet};

use regorus::Value;
use regorus::unstable::Expr;

use super::{Clause, Env};
use crate::rego::names::Document;
use crate::rego::shape::{Kinds, Shape};
use crate::rego::syntax::{Step, anchor, base, steps, written};
use crate::rego::{Refusal, input};

impl<'d> Clause<'_, '_, 'd> {
    pub(super) fn reference(&mut self, expr: &'d Expr, env: &mut Env<'d>) -> Shape<'d> {
        let steps = steps(expr);
        // What stands in brackets is looked at, too.
        let mut looked_up = BTreeMap::new();
        for (position, step) in steps.iter().enumerate() {
            if let Step::Computed(index) = step
                && !matches!(index, Expr::Var { span, .. } if span.text() == "_")
            {
                // To the machine that variable has no value yet.
                if names_one_of(index, &env.turned) {
                    self.object(
                        anchor(index),
                        "a key that `every` gives, for which the machine takes any; write `key := x`",
                    );
                }
                looked_up.insert(position, self.expr(index, env));
            }
        }
        let proven = written(expr).and_then(|text| env.proven.iter().rev().find(|(known, _)| *known == text).cloned());
        let shape = self.root(expr, &steps, &looked_up, env);
        match proven {
            Some((_, kinds)) => shape.narrow(kinds),
            None => shape,
        }
    }

    fn root(
        &mut self,
        expr: &'d Expr,
        steps: &[Step<'d>],
        looked_up: &BTreeMap<usize, Shape<'d>>,
        env: &mut Env<'d>,
    ) -> Shape<'d> {
        let base = base(expr);
        let Expr::Var { span, .. } = base else {
            let shape = self.expr(base, env);
            return follow(shape, steps, looked_up, 0);
        };
        let name = span.text();
        if let Some(shape) = env.variables.get(name) {
            return follow(shape.clone(), steps, looked_up, 0);
        }
        let static_steps: Vec<String> = steps.iter().map_while(|step| step.name()).map(str::to_owned).collect();
        match self.names.document(self.pass.world.program, name) {
            Some(Document::Input(path)) => {
                env.loaded.input = true;
                let taken = static_steps.len();
                let whole: Vec<String> = path.into_iter().chain(static_steps).collect();
                if whole.is_empty() {
                    self.object(span, "`input` as a whole");
                }
                // Below an object of the caller's anything may stand.
                follow(input::shape(&whole), steps, looked_up, taken)
            }
            Some(Document::Data(path)) => {
                let before = path.len();
                let whole: Vec<String> = path.into_iter().chain(static_steps).collect();
                let rule = (1..=whole.len()).find_map(|length| {
                    let mut found = self.pass.world.program.under(whole.get(..length)?);
                    let index = found.next()?;
                    let node = self.pass.world.program.nodes.get(index)?;
                    (node.path.len() == length).then_some((index, length))
                });
                if let Some((index, length)) = rule {
                    self.pass.queue.push(index);
                    let (shape, taken) = (self.value_of(index), length.saturating_sub(before));
                    self.check_keys(&shape, steps, looked_up, taken);
                    return follow(shape, steps, looked_up, taken);
                }
                env.loaded.data = true;
                if whole.is_empty() || self.pass.world.program.under(&whole).next().is_some() {
                    self.object(span, "a package as a whole");
                    return Shape::Any;
                }
                let stands =
                    whole.iter().fold(Shape::One(vec![self.pass.world.data]), |shape, name| shape.member(name));
                let taken = whole.len().saturating_sub(before);
                self.check_keys(&stands, steps, looked_up, taken);
                follow(stands, steps, looked_up, taken)
            }
            None => {
                self.object(span, format!("`{name}` before it has a value; write what gives it one first"));
                Shape::Any
            }
        }
    }
}

impl<'d> Clause<'_, '_, 'd> {
    /// Where a number is no key of an object, the interpreter tries its text, too.
    fn check_keys(
        &mut self,
        shape: &Shape<'d>,
        steps: &[Step<'d>],
        looked_up: &BTreeMap<usize, Shape<'d>>,
        taken: usize,
    ) {
        for (position, step) in steps.iter().enumerate().skip(taken) {
            let (Step::Computed(index), Some(key)) = (step, looked_up.get(&position)) else { continue };
            let stands = follow(shape.clone(), steps.get(..position).unwrap_or_default(), looked_up, taken);
            if key.is(Kinds::STRING) {
                let is_list = |value: &Value| matches!(value, Value::Array(items) if !items.is_empty());
                if stands.kinds().is_some_and(|kinds| kinds == Kinds::ARRAY) && stands.is_each(is_list) {
                    let reason =
                        "a text is no key of a list, so this is never there; write `... in` it, or make it an object";
                    self.pass.idle.push(Refusal::new(anchor(index), reason));
                }
                continue;
            }
            let is_number = |key: &&Value| matches!(key, Value::String(text) if text.parse::<f64>().is_ok());
            let has_numbers = || match stands.keys() {
                Shape::One(keys) => keys.iter().any(is_number),
                _ => true,
            };
            if !stands.is(Kinds::ARRAY.or(Kinds::SET)) && has_numbers() {
                self.object(anchor(index), "a key in `data` that is not known to be a text");
            }
        }
    }
}

/// Where the steps after the first `taken` ones lead.
fn follow<'d>(shape: Shape<'d>, steps: &[Step<'d>], looked_up: &BTreeMap<usize, Shape<'d>>, taken: usize) -> Shape<'d> {
    steps.iter().enumerate().skip(taken).fold(shape, |shape, (position, step)| match step {
        Step::Name(name) => shape.member(name),
        Step::Computed(_) => match looked_up.get(&position).and_then(Shape::only) {
            Some(Value::String(name)) => shape.member(name),
            _ => shape.items(),
        },
    })
}

/// Is this one of these variables, or made of one?
fn names_one_of(expr: &Expr, names: &BTreeSet<&str>) -> bool {
    match expr {
        Expr::Var { span, .. } => names.contains(span.text()),
        Expr::Array { items, .. } | Expr::Set { items, .. } => items.iter().any(|item| names_one_of(item, names)),
        Expr::Object { fields, .. } => fields.iter().any(|(_, _, value)| names_one_of(value, names)),
        _ => false,
    }
}
