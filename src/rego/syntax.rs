//! Questions about one piece of regorus's syntax tree.

use std::collections::BTreeSet;

use regorus::unstable::{AssignOp, Expr, Literal, Query, Rule, RuleHead, Span};

use super::builtins;

pub(super) fn path<'a>(parts: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    parts.into_iter().map(str::to_owned).collect()
}

/// The names that the statements of a query declare, without those of inner queries.
pub(super) fn declared(query: &Query) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for statement in &query.stmts {
        match &statement.literal {
            Literal::SomeVars { vars, .. } => names.extend(vars.iter().map(|var| var.text().to_owned())),
            Literal::SomeIn { key, value, .. } => {
                key.iter().chain([value]).for_each(|pattern| variables(pattern, &mut names))
            }
            Literal::Expr { expr, .. } | Literal::NotExpr { expr, .. } => {
                if let Expr::AssignExpr { op: AssignOp::ColEq, lhs, .. } = expr.as_ref() {
                    variables(lhs, &mut names);
                }
            }
            Literal::Every { .. } => {}
        }
    }
    names
}

/// The variables of a pattern.
pub(super) fn variables(pattern: &Expr, names: &mut BTreeSet<String>) {
    match pattern {
        Expr::Var { span, .. } => {
            names.insert(span.text().to_owned());
        }
        Expr::Array { items, .. } | Expr::Set { items, .. } => items.iter().for_each(|item| variables(item, names)),
        Expr::Object { fields, .. } => fields.iter().for_each(|(_, _, value)| variables(value, names)),
        _ => {}
    }
}

/// The parts of a reference up to the first computed key, and whether that is all.
pub(super) fn static_path(expr: &Expr) -> (Vec<String>, bool) {
    let mut parts = Vec::new();
    let mut links = Vec::new();
    let mut at = expr;
    loop {
        match at {
            Expr::RefDot { refr, field, .. } => {
                links.push(Some(field.0.text()));
                at = refr;
            }
            Expr::RefBrack { refr, index, .. } => {
                links.push(builtins::text(index));
                at = refr;
            }
            Expr::Var { span, .. } => {
                parts.push(span.text().to_owned());
                break;
            }
            _ => return (parts, false),
        }
    }
    for link in links.into_iter().rev() {
        let Some(link) = link else {
            return (parts, false);
        };
        parts.push(link.to_owned());
    }
    (parts, true)
}

/// What stands behind the dots of a reference.
pub(super) fn fields(mut expr: &Expr) -> Vec<String> {
    let mut names = Vec::new();
    while let Expr::RefDot { refr, .. } | Expr::RefBrack { refr, .. } = expr {
        if let Expr::RefDot { field, .. } = expr {
            names.push(field.0.text().to_owned());
        }
        expr = refr;
    }
    names
}

/// The reference in the head of a rule.
pub(super) fn refr(rule: &Rule) -> &Expr {
    match rule {
        Rule::Default { refr, .. } => refr,
        Rule::Spec {
            head: RuleHead::Compr { refr, .. } | RuleHead::Func { refr, .. } | RuleHead::Set { refr, .. },
            ..
        } => refr,
    }
}

/// What a reference starts with.
pub(super) fn base(mut expr: &Expr) -> &Expr {
    while let Expr::RefBrack { refr, .. } | Expr::RefDot { refr, .. } = expr {
        expr = refr;
    }
    expr
}

/// regorus puts the span of a reference at its last link; people look for the first.
pub(super) fn anchor(expr: &Expr) -> &Span {
    match base(expr) {
        Expr::ArithExpr { lhs, .. } | Expr::BinExpr { lhs, .. } | Expr::BoolExpr { lhs, .. } => anchor(lhs),
        other => other.span(),
    }
}

pub(super) fn literal_keys(key: &Expr) -> Option<Vec<String>> {
    match key {
        Expr::Array { items, .. } => items.iter().map(|item| builtins::text(item).map(str::to_owned)).collect(),
        key => builtins::text(key).map(|key| vec![key.to_owned()]),
    }
}

/// regorus reads `p["x"]` and `p contains "x"` into the same tree.
pub(super) fn has_keyword_between(keyword: &str, before: &Expr, after: &Expr) -> bool {
    let (start, end) = (before.span().end, anchor(after).start);
    let between = usize::try_from(start)
        .ok()
        .zip(usize::try_from(end).ok())
        .and_then(|(start, end)| before.span().source.get_contents().get(start..end));
    between.is_some_and(|text| text.contains(keyword))
}

/// Whether an expression is what it is without being evaluated.
pub(super) fn is_literal(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::Array { .. }
            | Expr::Bool { .. }
            | Expr::Null { .. }
            | Expr::Number { .. }
            | Expr::Object { .. }
            | Expr::RawString { .. }
            | Expr::Set { .. }
            | Expr::String { .. }
    )
}

/// One step of a reference.
pub(super) enum Step<'d> {
    Name(&'d str),
    Computed(&'d Expr),
}

impl<'d> Step<'d> {
    pub(super) fn name(&self) -> Option<&'d str> {
        match self {
            Self::Name(name) => Some(name),
            Self::Computed(_) => None,
        }
    }

    pub(super) fn computed(&self) -> Option<&'d Expr> {
        match self {
            Self::Name(_) => None,
            Self::Computed(index) => Some(index),
        }
    }
}

/// The steps of a reference, after what it starts with.
pub(super) fn steps(expr: &Expr) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    let mut at = expr;
    loop {
        match at {
            Expr::RefDot { refr, field, .. } => {
                steps.push(Step::Name(field.0.text()));
                at = refr;
            }
            Expr::RefBrack { refr, index, .. } => {
                steps.push(builtins::text(index).map_or(Step::Computed(index), Step::Name));
                at = refr;
            }
            _ => break,
        }
    }
    steps.reverse();
    steps
}

/// A reference in one spelling, if it leads to one value alone.
pub(super) fn written(expr: &Expr) -> Option<String> {
    let Expr::Var { span, .. } = base(expr) else { return None };
    let steps = steps(expr).into_iter().map(|step| match step {
        Step::Name(name) => Some(format!(".{name:?}")),
        Step::Computed(Expr::Var { span, .. }) if span.text() == "_" => None,
        Step::Computed(Expr::Var { span, .. } | Expr::Number { span, .. }) => Some(format!("[{}]", span.text())),
        Step::Computed(_) => None,
    });
    Some(format!("{}{}", span.text(), steps.collect::<Option<String>>()?))
}
