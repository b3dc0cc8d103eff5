//! Which policies regorus's virtual machine may decide.
//!
//! It is several times faster than the interpreter, and silent where that fails:
//! an error of a builtin, or two values of one rule, become undefined, which `not`
//! turns into true. So a policy is decided by it only if nothing in it can fail:
//! every argument of a builtin is proven to be what the builtin takes, no rule can
//! have two values, and every construct is one that both evaluators are held to
//! agree on (`policy/evaluator/tests.rs`). All else is the interpreter's.

mod comparison;
mod query;
mod reference;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use regorus::unstable::{ArithOp, AssignOp, BoolOp, Expr, Literal, LiteralStmt, Query, Ref, Rule, RuleHead, Span};

use super::contract::PACKAGE;
use super::defined::World;
use super::names::Names;
use super::needs::{self, Needs};
use super::shape::{Kinds, Shape};
use super::single::{self, collections, generates, literal, loops};
use super::syntax::{Step, anchor, path, static_path, steps, written};
use super::{Bundle, Kind, Refusal, alike, input, total};

/// More arguments become undefined in the virtual machine.
const MOST_ARGUMENTS: usize = 8;

/// What one pass over the rules finds out serves the next; each is sound, so the
/// first that has nothing to say is proof.
const MOST_PASSES: usize = 20;

/// What stands against a negation.
const NEGATED: &str = "this may be undefined, and its negation is then true here and undefined to OPA; \
    write it as a statement of its own before the `not`, or negate a rule that asks for it";

/// What stands against a value of a rule.
const LOST: &str = "this may be undefined behind a loop, and the engine then forgets what the loop gave before; \
    give it to a variable in the body, `x := ...`, and write `x` here";

/// What is found of modules that were analysed, by what the rules asked for need of them.
#[derive(Debug)]
pub struct Judgement {
    /// What the engine and OPA take differently.
    pub misread: Vec<Refusal>,
    /// What compares values that are never of one kind.
    pub idle: Vec<Refusal>,
    /// What methods are compared with, and where.
    pub methods: Vec<(String, Refusal)>,
    /// What stands against the machine.
    pub against: Option<Refusal>,
}

impl Bundle<'_> {
    /// Judges the modules by what the rules `asked` for need of them.
    pub(crate) fn judge(&self, asked: &[&str]) -> Judgement {
        let rules = asked.iter().map(|rule| path([PACKAGE[0], PACKAGE[1], rule]));
        let asked: Vec<usize> = rules.flat_map(|rule| self.program.under(&rule).collect::<Vec<_>>()).collect();
        let world = World { program: &self.program, data: self.data };
        let mut known = Facts::default();
        let mut judgement = Judgement { misread: Vec::new(), idle: Vec::new(), methods: Vec::new(), against: None };
        for _ in 0..MOST_PASSES {
            let pass = Pass::over(world, &known, asked.clone());
            judgement =
                Judgement { misread: pass.misread, idle: pass.idle, methods: pass.methods, against: pass.against };
            if judgement.against.is_none() {
                break;
            }
            known = pass.found;
        }
        judgement
    }

    /// What the engine and OPA take differently in packages that are evaluated when a policy is
    /// loaded. Which evaluator could do it does not matter there, so one pass is enough.
    pub(crate) fn misread<'a>(&self, packages: impl IntoIterator<Item = &'a Vec<String>>) -> Vec<Refusal> {
        let rules = packages.into_iter().flat_map(|path| self.program.under(path).collect::<Vec<_>>());
        let world = World { program: &self.program, data: self.data };
        Pass::over(world, &Facts::default(), rules.collect()).misread
    }
}

/// What is known of rules, by their number.
#[derive(Default)]
struct Facts<'d> {
    /// Of each parameter: what any call hands over.
    parameters: BTreeMap<(usize, usize), Shape<'d>>,
    values: BTreeMap<usize, Shape<'d>>,
}

struct Pass<'p, 'd> {
    world: World<'p, 'd>,
    known: &'p Facts<'d>,
    found: Facts<'d>,
    queue: Vec<usize>,
    /// Negations of what may be undefined, values that may be so behind a loop, and lists made
    /// of a set that is written out.
    misread: Vec<Refusal>,
    idle: Vec<Refusal>,
    methods: Vec<(String, Refusal)>,
    /// The first thing that stands against the machine. The pass goes on: facts hold
    /// only if they are those of every call.
    against: Option<Refusal>,
}

/// What is known where an expression stands.
#[derive(Clone, Default)]
struct Env<'d> {
    variables: BTreeMap<String, Shape<'d>>,
    /// Of references, as they are written: what a statement before has proven.
    proven: Vec<(String, Kinds)>,
    /// What a statement before could not have held without.
    present: Needs,
    /// Which documents were looked at before.
    loaded: Loaded,
    /// Variables that may be undefined, of which something behind them needs the value.
    doubtful: BTreeSet<String>,
    /// What an `every` around this goes through.
    turned: BTreeSet<&'d str>,
}

/// The machine fetches each document once for a clause, where it is first looked at.
/// Where that place is left out, it is undefined from there on.
#[derive(Clone, Copy, Default, PartialEq)]
struct Loaded {
    input: bool,
    data: bool,
}

impl<'p, 'd> Pass<'p, 'd> {
    fn over(world: World<'p, 'd>, known: &'p Facts<'d>, queue: Vec<usize>) -> Self {
        let mut pass = Self {
            world,
            known,
            found: Facts::default(),
            misread: Vec::new(),
            idle: Vec::new(),
            methods: Vec::new(),
            queue,
            against: None,
        };
        pass.run();
        pass
    }

    fn run(&mut self) {
        let mut seen = BTreeSet::new();
        while let Some(index) = self.queue.pop() {
            let Some(node) = self.world.program.nodes.get(index).filter(|_| seen.insert(index)) else { continue };
            if node.kind == Kind::Object || node.path.len() != node.package.saturating_add(1) {
                self.object(node.span, "a partial object: two values of one key are no error there");
            }
            // What no clause gives: nothing, or an empty set.
            let nothing = Shape::One(Vec::new());
            let none = if node.kind == Kind::Set { Shape::collection(Kinds::SET, nothing) } else { nothing };
            self.found.values.entry(index).or_insert(none);
            for (names, rule) in &node.clauses {
                Clause { pass: self, names: Rc::clone(names), index }.rule(rule);
            }
            if let Some(reason) = single::against(node) {
                self.object(node.span, reason);
            }
        }
    }

    /// Has a function `_` in this place, in some clause?
    fn ignores(&self, function: usize, position: usize) -> bool {
        let clauses = self.world.program.nodes.get(function).into_iter().flat_map(|node| &node.clauses);
        clauses.into_iter().any(|(_, rule)| match rule {
            Rule::Spec { head: RuleHead::Func { args, .. }, .. } => args
                .get(position)
                .is_some_and(|arg| matches!(arg.as_ref(), Expr::Var { span, .. } if span.text() == "_")),
            _ => false,
        })
    }

    fn object(&mut self, span: &Span, reason: impl Into<String>) {
        if self.against.is_none() {
            self.against = Some(Refusal::new(span, reason));
        }
    }
}

/// One clause of a rule, as long as it is looked at.
struct Clause<'a, 'p, 'd> {
    pass: &'a mut Pass<'p, 'd>,
    names: Rc<Names>,
    index: usize,
}

impl<'d> Clause<'_, '_, 'd> {
    fn object(&mut self, span: &Span, reason: impl Into<String>) {
        self.pass.object(span, reason);
    }

    fn rule(&mut self, rule: &'d Rule) {
        let (head, bodies) = match rule {
            Rule::Spec { head, bodies, .. } => (head, bodies),
            Rule::Default { args, value, refr, .. } => {
                if !args.is_empty() {
                    self.object(anchor(refr), "a default of a function, which the machine ignores");
                }
                if literal(value).is_none() {
                    self.object(value.span(), "a default that is no literal");
                }
                let shape = self.expr(value, &mut Env::default());
                return self.gives(shape);
            }
        };
        let mut env = Env::default();
        let (key, value) = match head {
            RuleHead::Compr { assign, .. } => (None, assign.as_ref()),
            RuleHead::Set { key, .. } => (key.as_ref(), None),
            RuleHead::Func { args, assign, refr, .. } => {
                if args.len() > MOST_ARGUMENTS {
                    self.object(anchor(refr), format!("more than {MOST_ARGUMENTS} parameters"));
                }
                for (position, arg) in args.iter().enumerate() {
                    match arg.as_ref() {
                        Expr::Var { span, .. } => {
                            let known = self.pass.known.parameters.get(&(self.index, position)).cloned();
                            self.declare(span, known.unwrap_or(Shape::Any), &mut env);
                        }
                        other => self.object(other.span(), "a parameter that is a value; compare it in the body"),
                    }
                }
                (None, assign.as_ref())
            }
        };
        let queries = bodies.iter().map(|body| (Some(&body.query), body.assign.as_ref(), body.is_else));
        let bare = bodies.is_empty().then_some((None, None, false));
        for (query, own, is_else) in queries.chain(bare) {
            let mut env = env.clone();
            let value = if is_else { own } else { value };
            let given = value.map(|assign| assign.value.as_ref()).or(key.map(AsRef::as_ref));
            let is_followed = bodies.iter().any(|body| body.is_else);
            let mut then = Needs::new();
            // Where an `else` follows, it is the body that has to fail: a value that is undefined
            // comes too late.
            if let (Some(given), false) = (given, is_followed) {
                needs::of_value(given, &mut then);
            }
            if let Some(query) = query {
                self.query(query, then, &mut env);
            }
            self.check_kept(head, query.map(AsRef::as_ref), given, &env);
            if let (Some(given), true) = (given, is_followed)
                && !self.is_defined(given, &env)
            {
                self.object(given.span(), "a value that may be undefined, before an `else`");
            }
            if let (Some(query), true) = (query, is_followed)
                && generates(query)
            {
                self.object(&query.span, "a loop before an `else`, which the machine does not come to");
            }
            let shape = match (value, key) {
                (Some(assign), _) => self.expr(&assign.value, &mut env),
                (None, Some(key)) => {
                    let items = self.expr(key, &mut env);
                    Shape::collection(Kinds::SET, items)
                }
                (None, None) => Shape::kind(Kinds::BOOLEAN),
            };
            self.gives(shape);
        }
    }

    /// Behind a loop, is there always what the head says?
    fn check_kept(&mut self, head: &'d RuleHead, query: Option<&Query>, given: Option<&'d Expr>, env: &Env<'d>) {
        let refr = match head {
            RuleHead::Compr { refr, .. } | RuleHead::Set { refr, .. } => Some(refr.as_ref()),
            RuleHead::Func { .. } => None,
        };
        let keys = refr.map(steps).unwrap_or_default();
        let parts: Vec<&Expr> = keys.iter().filter_map(Step::computed).chain(given).collect();
        let is_document = |name: &str| self.names.document(self.pass.world.program, name).is_some();
        let is_bound = |name: &str| env.variables.contains_key(name) || is_document(name);
        let is_looped = |part: &&Expr| !collections(part, &is_bound).is_empty();
        if query.is_some_and(|query| loops(query, &is_bound)) || parts.iter().any(is_looped) {
            // A variable that no statement gives a value is refused by the engine.
            let is_variable = |name: &str| {
                name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') && !is_document(name)
            };
            let is_here = |name: &str| env.present.contains(name) || is_variable(name);
            let is_kept = |part: &&Expr| self.pass.world.is_defined(&self.names, part, &is_here);
            let lost: Vec<&Expr> = parts.into_iter().filter(|part| !is_kept(part)).collect();
            self.pass.misread.extend(lost.into_iter().map(|part| Refusal::new(anchor(part), LOST)));
        }
    }

    /// A value that the rule may have.
    fn gives(&mut self, shape: Shape<'d>) {
        let before = self.pass.found.values.remove(&self.index).unwrap_or(Shape::One(Vec::new()));
        self.pass.found.values.insert(self.index, before.join(shape));
    }

    /// `input.mcp.method == "tools/call"`: then there is a name, too.
    fn infer(&mut self, statement: &LiteralStmt, env: &mut Env<'d>) {
        let Literal::Expr { expr, .. } = &statement.literal else { return };
        let Expr::BoolExpr { op: BoolOp::Eq, lhs, rhs, .. } = expr.as_ref() else { return };
        for (reference, method) in [(lhs, rhs), (rhs, lhs)] {
            if let (Some(written), Some(method)) = (written(reference), super::builtins::text(method))
                && let Some(start) = written.strip_suffix(".\"method\"")
                && self.pass.world.input_path(&self.names, reference).is_some_and(|path| path == ["mcp", "method"])
            {
                env.present.extend(input::with_method(method).map(|name| format!("{start}.{name:?}")));
            }
        }
    }

    fn is_defined(&self, expr: &Expr, env: &Env<'d>) -> bool {
        let is_here = |name: &str| env.variables.contains_key(name) || env.present.contains(name);
        self.pass.world.is_defined(&self.names, expr, &is_here)
    }

    /// Is it there, and made of nothing that may not be?
    fn is_certain(&self, expr: &Expr, env: &Env<'d>) -> bool {
        let mut needs = Needs::new();
        needs::of_value(expr, &mut needs);
        self.is_defined(expr, env) && needs.is_disjoint(&env.doubtful)
    }

    fn statement(&mut self, statement: &'d LiteralStmt, env: &mut Env<'d>) {
        match &statement.literal {
            Literal::SomeVars { span, .. } => self.object(span, "`some x` without `in`"),
            Literal::SomeIn { key, value, collection, .. } => {
                let shape = self.expr(collection, env);
                if !shape.is(Kinds::ARRAY.or(Kinds::SET).or(Kinds::OBJECT)) {
                    self.object(
                        anchor(collection),
                        "not known to be a collection; ask `is_array` or `is_object` before",
                    );
                }
                if let Some(key) = key {
                    self.bind(key, shape.keys(), env);
                }
                self.bind(value, shape.items(), env);
            }
            Literal::Every { key, value, domain, query, .. } => {
                let shape = self.expr(domain, env);
                let mut inner = env.clone();
                if let Some(key) = key {
                    self.declare(key, shape.keys(), &mut inner);
                }
                self.declare(value, shape.items(), &mut inner);
                inner.turned.extend(key.iter().chain([value]).map(|name| name.text()));
                self.query(query, Needs::new(), &mut inner);
                self.leave(anchor(domain), inner.loaded, env);
            }
            Literal::NotExpr { expr, .. } => {
                let mut inner = env.clone();
                self.condition(expr, &mut inner);
                env.loaded = inner.loaded;
                self.check_negated(expr, env);
            }
            Literal::Expr { expr, .. } => match expr.as_ref() {
                Expr::AssignExpr { op: AssignOp::ColEq, lhs, rhs, .. } => {
                    let shape = self.expr(rhs, env);
                    self.bind(lhs, shape, env);
                }
                other => {
                    self.condition(other, env);
                    self.prove(other, env);
                }
            },
        }
    }

    /// `not f(x)` with an undefined `x` is true to regorus, and undefined to OPA, which
    /// evaluates what a call is given outside of the negation. `not x` and `not x == y` are
    /// true to both.
    fn check_negated(&mut self, expr: &'d Expr, env: &Env<'d>) {
        let mut operands: Vec<&Expr> = Vec::new();
        let mut bare: Vec<&Expr> = Vec::new();
        match expr {
            Expr::BoolExpr { op: BoolOp::Eq, lhs, rhs, .. } => bare.extend([lhs.as_ref(), rhs.as_ref()]),
            Expr::BoolExpr { lhs, rhs, .. } => operands.extend([lhs.as_ref(), rhs.as_ref()]),
            Expr::Membership { value, collection, .. } => operands.extend([value.as_ref(), collection.as_ref()]),
            Expr::Call { params, .. } => operands.extend(params.iter().map(AsRef::as_ref)),
            other => bare.push(other),
        }
        for side in bare {
            match side {
                Expr::Var { .. } | Expr::RefDot { .. } | Expr::RefBrack { .. } => {
                    operands.extend(steps(side).iter().filter_map(Step::computed));
                }
                other => operands.push(other),
            }
        }
        operands.retain(|operand| !self.is_defined(operand, env));
        self.pass.misread.extend(operands.into_iter().map(|operand| Refusal::new(anchor(operand), NEGATED)));
    }

    fn bind(&mut self, pattern: &'d Expr, shape: Shape<'d>, env: &mut Env<'d>) {
        match pattern {
            Expr::Var { span, .. } => self.declare(span, shape, env),
            other => self.object(other.span(), "a pattern; name the value, and take it apart"),
        }
    }

    /// A variable gets its value. It had none before, in whatever scope, and hides nothing:
    /// so a name means one thing in all of a clause.
    fn declare(&mut self, name: &'d Span, shape: Shape<'d>, env: &mut Env<'d>) {
        let text = name.text();
        if text == "_" {
            return;
        }
        if env.variables.contains_key(text) || self.names.document(self.pass.world.program, text).is_some() {
            self.object(name, format!("`{text}` means something already; give the second one another name"));
        }
        env.variables.insert(text.to_owned(), shape);
    }

    /// `is_string(x)` holds from here on.
    fn prove(&mut self, expr: &'d Expr, env: &mut Env<'d>) {
        let Expr::Call { fcn, params, .. } = expr else { return };
        let ([param], (name, true)) = (params.as_slice(), static_path(fcn)) else { return };
        if self.names.function(self.pass.world.program, &name).is_some() {
            return;
        }
        let kinds = match name.join(".").as_str() {
            "is_string" => Kinds::STRING,
            "is_number" => Kinds::NUMBER,
            "is_array" => Kinds::ARRAY,
            "is_set" => Kinds::SET,
            "is_object" => Kinds::OBJECT,
            "is_boolean" => Kinds::BOOLEAN,
            _ => return,
        };
        match param.as_ref() {
            Expr::Var { span, .. } if env.variables.contains_key(span.text()) => {
                // What it may be of another kind it is not.
                let known = env.variables.remove(span.text()).unwrap_or(Shape::Any);
                env.variables.insert(span.text().to_owned(), known.narrow(kinds));
            }
            reference => {
                if let Some(text) = written(reference) {
                    env.proven.push((text, kinds));
                }
            }
        }
    }

    fn expr(&mut self, expr: &'d Expr, env: &mut Env<'d>) -> Shape<'d> {
        match expr {
            Expr::String { value, .. }
            | Expr::RawString { value, .. }
            | Expr::Number { value, .. }
            | Expr::Bool { value, .. }
            | Expr::Null { value, .. } => Shape::One(vec![value]),
            Expr::Var { .. } | Expr::RefDot { .. } | Expr::RefBrack { .. } => self.reference(expr, env),
            Expr::Array { items, .. } => Shape::collection(Kinds::ARRAY, self.all(items.iter(), env)),
            Expr::Set { items, .. } => Shape::collection(Kinds::SET, self.all(items.iter(), env)),
            Expr::Object { fields, .. } => {
                let mut keys = BTreeSet::new();
                for (span, key, _) in fields {
                    if !matches!(key.as_ref(), Expr::String { value, .. } if keys.insert(value)) {
                        self.object(span, "an object whose keys are not strings, each once");
                    }
                }
                Shape::collection(Kinds::OBJECT, self.all(fields.iter().map(|(_, _, value)| value), env))
            }
            Expr::ArrayCompr { term, query, .. } => self.comprehension(Kinds::ARRAY, term, query, env),
            Expr::SetCompr { term, query, .. } => self.comprehension(Kinds::SET, term, query, env),
            Expr::ObjectCompr { span, .. } => {
                self.object(span, "a comprehension of an object: two values of one key are no error there");
                Shape::Any
            }
            Expr::Call { fcn, params, .. } => self.call(fcn, params, env),
            Expr::UnaryExpr { span, expr, .. } => {
                if !matches!(expr.as_ref(), Expr::Number { .. }) {
                    self.pass
                        .misread
                        .push(Refusal::new(span, "the engine takes `-` from numbers alone; write `0 - x`"));
                }
                self.must(expr, Kinds::NUMBER, "a number", env);
                Shape::kind(Kinds::NUMBER)
            }
            Expr::ArithExpr { op, lhs, rhs, .. } => {
                if matches!(op, ArithOp::Div | ArithOp::Mod) {
                    self.object(anchor(lhs), "a division, which may be one by zero");
                }
                self.must(lhs, Kinds::NUMBER, "a number", env);
                self.must(rhs, Kinds::NUMBER, "a number", env);
                Shape::kind(Kinds::NUMBER)
            }
            Expr::BinExpr { lhs, rhs, .. } => {
                let left = self.must(lhs, Kinds::SET, "a set", env);
                let right = self.must(rhs, Kinds::SET, "a set", env);
                Shape::collection(Kinds::SET, left.items().join(right.items()))
            }
            Expr::BoolExpr { op, lhs, rhs, .. } => {
                let sides = [self.expr(lhs, env), self.expr(rhs, env)];
                self.check_compared(op, lhs, rhs, &sides);
                let are = |kinds: Kinds| sides.iter().all(|side| side.is(kinds));
                let orders = !matches!(op, BoolOp::Eq | BoolOp::Ne);
                if orders && !are(Kinds::NUMBER) && !are(Kinds::STRING) {
                    let reason = "not known to compare two numbers or two strings: OPA orders others another way";
                    self.object(anchor(lhs), reason);
                }
                Shape::kind(Kinds::BOOLEAN)
            }
            Expr::Membership { value, .. } => {
                if !self.is_defined(expr, env) {
                    self.object(anchor(value), "a membership of something undefined, which is false there");
                }
                self.condition(expr, env);
                Shape::kind(Kinds::BOOLEAN)
            }
            Expr::AssignExpr { span, lhs, rhs, .. } => {
                self.object(span, "`=`, or `:=` inside of an expression; compare with `==`");
                self.expr(lhs, env);
                self.expr(rhs, env);
                Shape::Any
            }
        }
    }

    fn all<'e>(&mut self, exprs: impl Iterator<Item = &'e Ref<Expr>>, env: &mut Env<'d>) -> Shape<'d>
    where
        'd: 'e,
        'e: 'd,
    {
        let mut all = Shape::One(Vec::new());
        for expr in exprs {
            all = all.join(self.expr(expr, env));
        }
        all
    }

    fn must(&mut self, expr: &'d Expr, kinds: Kinds, what: &str, env: &mut Env<'d>) -> Shape<'d> {
        let shape = self.expr(expr, env);
        if !shape.is(kinds) {
            self.object(anchor(expr), format!("not known to be {what}"));
        }
        shape
    }

    fn call(&mut self, function: &'d Expr, params: &'d [Ref<Expr>], env: &mut Env<'d>) -> Shape<'d> {
        let name = static_path(function).0;
        let shapes: Vec<Shape<'d>> = params.iter().map(|param| self.expr(param, env)).collect();
        if let Some((callee, _)) = self.names.function(self.pass.world.program, &name) {
            for (position, param) in params.iter().enumerate() {
                if self.pass.ignores(callee, position) && !self.is_certain(param, env) {
                    self.object(
                        anchor(param),
                        "an argument that may be undefined, for a parameter `_`, which takes it",
                    );
                }
            }
            for (position, shape) in shapes.into_iter().enumerate() {
                let before = self.pass.found.parameters.remove(&(callee, position)).unwrap_or(Shape::One(Vec::new()));
                self.pass.found.parameters.insert((callee, position), before.join(shape));
            }
            self.pass.queue.push(callee);
            return self.value_of(callee);
        }
        let shown = self.shown(&name, params, env);
        if let Some(reason) = alike::otherwise(&name.join("."), params, &shapes, &shown) {
            self.pass.misread.push(Refusal::new(anchor(function), format!("`{}`: {reason}", name.join("."))));
        }
        total::call(&name.join("."), params, &shapes).unwrap_or_else(|reason| {
            self.object(anchor(function), format!("`{}` may fail: {reason}", name.join(".")));
            Shape::Any
        })
    }

    /// The values that a format shows, one by one. They were looked at before.
    fn shown(&mut self, name: &[String], params: &'d [Ref<Expr>], env: &mut Env<'d>) -> Vec<Shape<'d>> {
        let ([name], [_, values]) = (name, params) else { return Vec::new() };
        let Expr::Array { items, .. } = values.as_ref() else { return Vec::new() };
        let known = self.pass.misread.len();
        let shown = items.iter().filter(|_| name == "sprintf").map(|item| self.expr(item, env)).collect();
        self.pass.misread.truncate(known);
        shown
    }

    fn value_of(&self, rule: usize) -> Shape<'d> {
        let is_set = self.pass.world.program.nodes.get(rule).is_some_and(|node| node.kind == Kind::Set);
        let any = if is_set { Shape::kind(Kinds::SET) } else { Shape::Any };
        self.pass.known.values.get(&rule).cloned().unwrap_or(any)
    }
}
