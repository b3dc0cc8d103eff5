//! Goes through the rules and writes down which rules each needs, what it reads
//! of `input`, what it calls, and which values flow where.
//!
//! INVARIANT: the visitor recurses over expressions. `check_text` has bounded
//! nesting and chains before parsing, and with them the depth of the tree.

use std::collections::BTreeSet;
use std::rc::Rc;

use regorus::Value;
use regorus::unstable::{AssignOp, BUILTINS, Expr, Literal, LiteralStmt, Query, Ref, Rule, RuleHead, Span};

use super::builtins::{self, Need, Verdict};
use super::input;
use super::names::{Document, Names};
use super::program::Program;
use super::scopes::{Scopes, keys, values};
use super::single::has_wildcard;
use super::syntax::{Step, anchor, base, declared, fields, is_literal, literal_keys, static_path, steps, variables};
use super::visits::{Lookup, Source, Sources, Visits};
use super::{Kind, Refusal};

/// An expression nested this deep takes about as much stack as one rule.
const DEPTH_PER_FRAME: usize = 16;

/// What stands against a rule that sees another world than the question's.
const WITH: &str = "`with` is for tests, which stay out of `policy.modules`: what is evaluated when a policy is loaded would \
    not see what it replaces; hand the value to a function, `f(x) if ...`";

/// Goes through one rule and writes down what it finds.
pub(super) struct Visitor<'p, 'm> {
    program: &'p Program<'m>,
    /// What there is of data, where that is known.
    data: Option<&'p Value>,
    visits: &'p mut Visits,
    node: usize,
    names: Rc<Names>,
    scopes: Scopes,
    loops: usize,
    /// How deep the expression at hand is nested, and the deepest so far.
    depth: usize,
    deepest: usize,
}

/// What a reference starts from, as far as it can be followed.
pub(super) enum Root {
    Data(Vec<String>),
    Input(Vec<String>),
    Local(String),
    /// A call, a literal, a comprehension: `f(x).name`.
    Value(Sources),
}

impl<'p, 'm> Visitor<'p, 'm> {
    pub(super) fn new(
        program: &'p Program<'m>,
        data: Option<&'p Value>,
        visits: &'p mut Visits,
        node: usize,
        names: Rc<Names>,
    ) -> Self {
        Self { program, data, visits, node, names, scopes: Scopes::default(), loops: 0, depth: 0, deepest: 0 }
    }

    fn refuse(&mut self, span: &Span, reason: impl Into<String>) {
        self.visits.refusals.push(Refusal::new(span, reason));
    }

    fn flow(&mut self, to: Source, from: &Sources) {
        self.visits.flows.entry(to).or_default().extend(from.iter().cloned());
    }

    fn local(&self, name: &str) -> Source {
        Source::Local(self.node, name.to_owned())
    }

    pub(super) fn rule(&mut self, rule: &Rule) {
        let result = Source::Rule(self.node);
        match rule {
            Rule::Default { args, value, .. } => {
                self.parameters(args);
                let from = self.expr(value);
                self.flow(result, &from);
            }
            Rule::Spec { head, bodies, .. } => {
                let (refr, key, value) = match head {
                    RuleHead::Compr { refr, assign, .. } => (refr, None, assign.as_ref()),
                    RuleHead::Set { refr, key, .. } => (refr, key.as_ref(), None),
                    RuleHead::Func { refr, args, assign, .. } => {
                        self.parameters(args);
                        (refr, None, assign.as_ref())
                    }
                };
                let mut most = 0;
                // A rule without a body has a head all the same.
                let queries = bodies.iter().map(|body| (Some(&body.query), body.assign.as_ref(), body.is_else));
                let bare = bodies.is_empty().then_some((None, None, false));
                for (query, own, is_else) in queries.chain(bare) {
                    (self.loops, self.deepest) = (0, 0);
                    self.scopes.open(query.map(|query| declared(query)).unwrap_or_default());
                    if let Some(query) = query {
                        self.statements(query);
                    }
                    let value = if is_else { own } else { value };
                    let mut from: Sources = value.map(|assign| self.expr(&assign.value)).unwrap_or_default();
                    from.extend(key.map(|key| self.expr(key)).unwrap_or_default());
                    from.extend(self.indexes_of_head(refr));
                    self.flow(result.clone(), &from);
                    self.scopes.close();
                    most = most.max(1 + self.loops + self.deepest / DEPTH_PER_FRAME);
                }
                let frames = self.visits.frames.entry(self.node).or_default();
                *frames = most.max(*frames);
            }
        }
    }

    fn parameters(&mut self, args: &[Ref<Expr>]) {
        let mut names = BTreeSet::new();
        for (index, arg) in args.iter().enumerate() {
            // regorus evaluates what stands inside of a pattern, calls included.
            let is_plain = matches!(
                arg.as_ref(),
                Expr::Var { .. }
                    | Expr::Bool { .. }
                    | Expr::Null { .. }
                    | Expr::Number { .. }
                    | Expr::String { .. }
                    | Expr::RawString { .. }
            );
            if !is_plain {
                self.refuse(
                    arg.span(),
                    "a parameter that is a pattern; name it, and take it apart in the body".to_owned(),
                );
            }
            variables(arg, &mut names);
            self.bind(arg, &[Source::Parameter(self.node, index)].into());
            self.refuse_reserved(arg);
        }
        self.scopes.open(names);
    }

    /// `p[k]` in a head: `k` is part of the value of `p`.
    fn indexes_of_head(&mut self, refr: &Expr) -> Sources {
        match refr {
            Expr::RefBrack { refr, index, .. } => {
                let mut from = self.expr(index);
                from.extend(self.indexes_of_head(refr));
                from
            }
            Expr::RefDot { refr, .. } => self.indexes_of_head(refr),
            _ => Sources::new(),
        }
    }

    fn query(&mut self, query: &Query) {
        self.scopes.open(declared(query));
        self.statements(query);
        self.scopes.close();
    }

    fn statements(&mut self, query: &Query) {
        for statement in &query.stmts {
            self.statement(statement);
        }
    }

    fn statement(&mut self, statement: &LiteralStmt) {
        match &statement.literal {
            Literal::SomeVars { vars, .. } => {
                self.loops += vars.len();
                for var in vars {
                    self.refuse_reserved_name(var);
                    self.scopes.free(var.text());
                }
            }
            Literal::SomeIn { key, value, collection, .. } => {
                self.loops += 1;
                let mut names = BTreeSet::new();
                let patterns: Vec<&Ref<Expr>> = key.iter().chain([value]).collect();
                for pattern in &patterns {
                    variables(pattern, &mut names);
                    self.refuse_reserved(pattern);
                }
                let from = self.outside(&names, collection);
                for pattern in patterns {
                    self.expr(pattern);
                    self.bind(pattern, &from);
                }
                self.know(key.as_deref(), value, collection);
            }
            Literal::Every { key, value, domain, query, .. } => {
                self.loops += 1;
                let from = self.expr(domain);
                let mut names = BTreeSet::new();
                for name in key.iter().chain([value]) {
                    self.refuse_reserved_name(name);
                    self.flow(self.local(name.text()), &from);
                    names.insert(name.text().to_owned());
                }
                self.scopes.open(names);
                self.query(query);
                self.scopes.close();
            }
            Literal::Expr { expr, .. } => {
                self.refuse_value(expr);
                self.expr(expr);
                if let Expr::Membership { key: None, value, collection, .. } = expr.as_ref() {
                    self.know(None, value, collection);
                }
            }
            Literal::NotExpr { expr, .. } => {
                self.refuse_value(expr);
                if has_wildcard(expr) {
                    self.refuse(anchor(expr), "OPA refuses `_` inside of `not`; ask in a rule, and negate that");
                }
                self.expr(expr);
            }
        }
        if let Some(with) = statement.with_mods.first() {
            self.refuse(anchor(&with.refr), WITH);
        }
    }

    /// Visits an expression and says where its value may come from.
    fn expr(&mut self, expr: &Expr) -> Sources {
        self.depth += 1;
        self.deepest = self.deepest.max(self.depth);
        let from = self.parts(expr);
        self.depth -= 1;
        from
    }

    fn parts(&mut self, expr: &Expr) -> Sources {
        match expr {
            Expr::RawString { .. } | Expr::String { .. } => {
                let names = self.visits.names.entry(self.node).or_default();
                names.extend(builtins::text(expr).map(str::to_owned));
                Sources::new()
            }
            Expr::Bool { .. } | Expr::Null { .. } | Expr::Number { .. } => Sources::new(),
            Expr::Var { .. } | Expr::RefBrack { .. } | Expr::RefDot { .. } => self.reference(expr),
            Expr::Array { items, .. } | Expr::Set { items, .. } => {
                items.iter().flat_map(|item| self.expr(item)).collect()
            }
            Expr::Object { fields, .. } => {
                fields.iter().flat_map(|(_, key, value)| [key, value]).flat_map(|part| self.expr(part)).collect()
            }
            Expr::ArrayCompr { term, query, .. } | Expr::SetCompr { term, query, .. } => {
                self.comprehension(query, &[term])
            }
            Expr::ObjectCompr { key, value, query, .. } => self.comprehension(query, &[key, value]),
            Expr::Call { fcn, params, .. } => self.call(fcn, params),
            Expr::UnaryExpr { expr, .. } => self.expr(expr),
            Expr::ArithExpr { lhs, rhs, .. } | Expr::BinExpr { lhs, rhs, .. } => {
                let mut from = self.expr(lhs);
                from.append(&mut self.expr(rhs));
                from
            }
            Expr::BoolExpr { lhs, rhs, .. } => {
                self.expr(lhs);
                self.expr(rhs);
                Sources::new()
            }
            Expr::Membership { key, value, collection, .. } => {
                for part in key.iter().chain([value, collection]) {
                    self.expr(part);
                }
                Sources::new()
            }
            Expr::AssignExpr { op, lhs, rhs, .. } => {
                let mut names = BTreeSet::new();
                if *op == AssignOp::ColEq {
                    variables(lhs, &mut names);
                    self.refuse_reserved(lhs);
                }
                let right = self.outside(&names, rhs);
                let left = self.expr(lhs);
                self.bind(lhs, &right);
                if *op == AssignOp::Eq {
                    self.bind(rhs, &left);
                }
                Sources::new()
            }
        }
    }

    /// `some x in x`, `x := x`: what is on the right is outside of the scope
    /// that is opened on the left.
    fn outside(&mut self, names: &BTreeSet<String>, expr: &Expr) -> Sources {
        let scope = self.scopes.hide(names);
        let from = self.expr(expr);
        self.scopes.restore(scope);
        from
    }

    fn comprehension(&mut self, query: &Query, terms: &[&Ref<Expr>]) -> Sources {
        self.loops += 1;
        self.scopes.open(declared(query));
        self.statements(query);
        let from = terms.iter().flat_map(|term| self.expr(term)).collect();
        self.scopes.close();
        from
    }

    fn call(&mut self, function: &Expr, params: &[Ref<Expr>]) -> Sources {
        let span = anchor(function);
        let (written, _) = static_path(function);
        let name = written.join(".");
        let from = self.arguments(&name, params);
        let all = || from.iter().flatten().cloned().collect();
        // The one builtin whose last argument is customarily what it gives.
        let params = match params {
            [_, result] if name == "walk" => {
                self.loops += 1;
                self.bind(result, &all());
                params.get(..1).unwrap_or_default()
            }
            params => params,
        };
        if let Some((callee, arity)) = self.names.function(self.program, &written) {
            self.edge(callee, span);
            if arity != params.len() {
                self.refuse(span, format!("`{name}` takes {arity} arguments, found {}", params.len()));
            }
            for (index, from) in from.iter().enumerate() {
                self.flow(Source::Parameter(callee, index), from);
            }
            return [Source::Rule(callee)].into();
        }
        match builtins::judge(&name) {
            Verdict::Refused(reason) if is_builtin(&name) || reason != builtins::UNKNOWN => self.refuse(span, format!("builtin `{name}` is refused: {reason}")),
            _ if !is_builtin(&name) => self.refuse(span, format!("`{name}` is no function of these modules and no builtin of this gate; define it, or import its package")),
            verdict => {
                let arity = BUILTINS.get(name.as_str()).map_or(0, |(_, arity)| usize::from(*arity));
                if arity != params.len() {
                    self.refuse(span, format!("`{name}` takes {arity} arguments, found {}; assign its result with `:=`", params.len()));
                } else if let Verdict::Bounded(needs, reason) = verdict {
                    for (position, need) in needs {
                        let Some((param, from)) = params.get(*position).zip(from.get(*position)) else { continue };
                        let which = format!("argument {} of `{name}`", position + 1);
                        match need {
                            Need::Literal(holds, _) if holds(param) => {}
                            Need::Literal(_, what) => self.refuse(anchor(param), format!("{which} must be {what}: {reason}")),
                            Need::Policy => {
                                let refusal = Refusal::new(anchor(param), format!("{which} comes from `input`: {reason}; take it from the policy or from `policy.data`"));
                                self.visits.guarded.push((from.clone(), refusal));
                            }
                        }
                    }
                }
            }
        }
        all()
    }

    /// Visits arguments; `object.get(input.a, ["b"], x)` reads `input.a.b` only.
    fn arguments(&mut self, name: &str, params: &[Ref<Expr>]) -> Vec<Sources> {
        let mut rest = params;
        let mut from = Vec::new();
        // Those that take names of members as values.
        if matches!(name, "object.get" | "object.filter" | "object.subset" | "object.keys" | "walk") {
            self.visits.computing.insert(self.node);
        }
        if let (true, [object, key, _]) = (name == "object.get", params)
            && let Some(keys) = literal_keys(key)
            && let (Root::Input(mut path), true) = self.root(object)
        {
            path.extend(keys);
            self.read(anchor(object), path);
            from = vec![[Source::Input].into(), Sources::new()];
            rest = params.get(2..).unwrap_or_default();
        }
        from.extend(rest.iter().map(|param| self.expr(param)));
        from
    }

    fn reference(&mut self, expr: &Expr) -> Sources {
        let span = anchor(expr);
        let (root, is_static) = self.root(expr);
        let is_named = match &root {
            Root::Input(_) => is_static,
            Root::Data(path) => self.program.below(path).is_empty(),
            Root::Local(_) | Root::Value(_) => false,
        };
        if !is_named {
            self.visits.names.entry(self.node).or_default().extend(fields(expr));
            if !is_static {
                self.visits.computing.insert(self.node);
            }
        }
        let from: Sources = match root {
            Root::Value(from) => from,
            Root::Local(name) => {
                let local = self.local(&name);
                if !self.scopes.declare(&name) {
                    self.loops += 1;
                    let reason = format!(
                        "`{name}` is neither a rule of this package nor an import, and nothing gives it a value"
                    );
                    self.visits.free.push((local.clone(), Refusal::new(span, reason)));
                    if name != "_" {
                        self.scopes.add(name);
                    }
                }
                [local].into()
            }
            Root::Input(path) => {
                match self.next_names(expr) {
                    None => self.read(span, path),
                    // The key is computed, but what it can be is known.
                    Some(names) => names.into_iter().for_each(|name| {
                        self.read(span, path.iter().cloned().chain([name]).collect());
                    }),
                }
                [Source::Input].into()
            }
            Root::Data(path) => {
                let rules = self.program.below(&path);
                for rule in &rules {
                    self.edge(*rule, span);
                }
                let asked = self.imported(expr).unwrap_or_else(|| path.clone());
                self.visits.lookups.push(Lookup { node: self.node, asked, path, span: span.clone() });
                rules.into_iter().map(Source::Rule).collect()
            }
        };
        self.indexes(expr, &from);
        from
    }

    /// The import that a reference to data starts with, without `data`.
    fn imported(&self, expr: &Expr) -> Option<Vec<String>> {
        let Expr::Var { span, .. } = base(expr) else { return None };
        let target = self.names.imported(span.text())?;
        target.split_first().filter(|(root, _)| *root == "data").map(|(_, package)| package.to_vec())
    }

    /// Visits the keys of a reference; a free one runs over the keys of the value.
    fn indexes(&mut self, expr: &Expr, from: &Sources) {
        match expr {
            Expr::RefDot { refr, .. } => self.indexes(refr, from),
            Expr::RefBrack { refr, index, .. } => {
                self.expr(index);
                self.bind(index, from);
                self.indexes(refr, from);
            }
            _ => {}
        }
    }

    /// Follows a reference to where it starts; whether its whole path is static.
    fn root(&mut self, expr: &Expr) -> (Root, bool) {
        let base = base(expr);
        let Expr::Var { span, .. } = base else {
            return (Root::Value(self.expr(base)), false);
        };
        let name = span.text();
        let (written, is_static) = static_path(expr);
        let rest = written.iter().skip(1).cloned();
        let is_local = self.scopes.declare(name);
        let root = match self.names.document(self.program, name).filter(|_| !is_local) {
            Some(Document::Input(path)) => Root::Input(path.into_iter().chain(rest).collect()),
            Some(Document::Data(path)) => Root::Data(path.into_iter().chain(rest).collect()),
            None => Root::Local(name.to_owned()),
        };
        (root, is_static)
    }

    /// `some x in data.names`, `x in data.names`: what `x` can be from here on, where data alone
    /// says so.
    fn know(&mut self, key: Option<&Expr>, value: &Expr, collection: &Expr) {
        let (Root::Data(path), true) = self.root(collection) else { return };
        let Some(data) = self.data.filter(|_| self.program.below(&path).is_empty()) else { return };
        let found = path.iter().try_fold(data, |value, name| value.as_object().ok()?.get(&name.as_str().into()));
        let keys = key.map(|key| (key, found.and_then(keys)));
        for (pattern, texts) in keys.into_iter().chain([(value, found.and_then(values))]) {
            if let (Expr::Var { span, .. }, Some(texts)) = (pattern, texts) {
                self.scopes.know(span.text(), texts);
            }
        }
    }

    /// What the first computed key of a reference can be, if that is known.
    fn next_names(&self, expr: &Expr) -> Option<BTreeSet<String>> {
        match steps(expr).iter().find_map(Step::computed)? {
            Expr::Var { span, .. } => self.scopes.known(span.text()).cloned(),
            _ => None,
        }
    }

    fn edge(&mut self, to: usize, span: &Span) {
        self.visits.edges.entry(self.node).or_default().entry(to).or_insert_with(|| span.clone());
    }

    /// `allow if { a, b }` is a set to the engine, and a set holds whatever is in it.
    fn refuse_value(&mut self, statement: &Expr) {
        let is_made = matches!(
            statement,
            Expr::ArrayCompr { .. }
                | Expr::SetCompr { .. }
                | Expr::ObjectCompr { .. }
                | Expr::ArithExpr { .. }
                | Expr::BinExpr { .. }
                | Expr::UnaryExpr { .. }
        );
        if self.is_collection(statement) {
            let reason = "a rule that is there whatever is in it, in the place of a statement; write `count(...) > 0`, or what has to \
                be in it";
            self.visits.idle.push(Refusal::new(anchor(statement), reason));
        }
        if is_made || is_literal(statement) && !matches!(statement, Expr::Bool { .. }) {
            let reason = "a value in the place of a statement, which holds whatever it is; write one statement on a line, or `;` \
                between them, and no commas";
            self.refuse(anchor(statement), reason);
        }
    }

    /// Is it a set or an object that rules make member by member?
    fn is_collection(&self, expr: &Expr) -> bool {
        let (written, is_static) = static_path(expr);
        let Some(name) = written.first().filter(|name| is_static && !self.scopes.declare(name)) else { return false };
        let Some(Document::Data(path)) = self.names.document(self.program, name) else { return false };
        let path: Vec<String> = path.into_iter().chain(written.iter().skip(1).cloned()).collect();
        self.program.kind(&path).is_some_and(|kind| matches!(kind, Kind::Set | Kind::Object))
    }

    fn read(&mut self, span: &Span, path: Vec<String>) {
        if let [http, headers, name, ..] = path.as_slice()
            && (http.as_str(), headers.as_str()) == ("http", "headers")
        {
            if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
                let name = name.to_ascii_lowercase();
                self.refuse(
                    span,
                    format!("names of headers are in small letters here; write `input.http.headers[\"{name}\"]`"),
                );
            }
            if input::SECRET.contains(&name.as_str()) {
                self.refuse(span, format!("`{name}` is a credential, which no policy sees; ask `input.identity`"));
            }
        }
        if !input::has(&path) {
            self.refuse(
                span,
                format!(
                    "`input.{}` does not exist in version 1 of the policy input; see policies/input.schema.json",
                    path.join(".")
                ),
            );
        }
        self.visits.reads.entry(self.node).or_default().insert(path);
    }

    /// The variables of a pattern take their values from `from`.
    fn bind(&mut self, pattern: &Expr, from: &Sources) {
        let mut names = BTreeSet::new();
        variables(pattern, &mut names);
        for name in names {
            self.flow(self.local(&name), from);
        }
    }

    fn refuse_reserved(&mut self, pattern: &Expr) {
        match pattern {
            Expr::Var { span, .. } => self.refuse_reserved_name(span),
            Expr::Array { items, .. } | Expr::Set { items, .. } => {
                items.iter().for_each(|item| self.refuse_reserved(item))
            }
            Expr::Object { fields, .. } => fields.iter().for_each(|(_, _, value)| self.refuse_reserved(value)),
            _ => {}
        }
    }

    fn refuse_reserved_name(&mut self, name: &Span) {
        if matches!(name.text(), "data" | "input") {
            self.refuse(name, format!("a variable named `{}` hides the document of that name; rename it", name.text()));
        }
    }
}

fn is_builtin(name: &str) -> bool {
    BUILTINS.contains_key(name)
}
