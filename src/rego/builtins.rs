//! Which builtins a policy may call, and with what.
//!
//! No limit interrupts a builtin, and a panic in one traps the VM of a whole
//! worker. So each builtin named here has been read in regorus 0.14.1: it is
//! `PLAIN`, or has a row in `JUDGED`. One that nobody has judged is refused.

use regorus::Value;
use regorus::unstable::Expr;

/// What has to hold for one argument.
#[derive(Clone, Copy, Debug)]
pub(super) enum Need {
    /// A literal for which the function holds; the text says which.
    Literal(fn(&Expr) -> bool, &'static str),
    /// Not derived from `input`: a literal, or from `data`.
    Policy,
}

/// What is to be done with a call of a builtin.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verdict {
    /// Cost linear in its arguments, no panic, no effect.
    Plain,
    /// Fine if the arguments (by position) fulfil their needs; the reason why.
    Bounded(&'static [(usize, Need)], &'static str),
    /// Never; what is wrong, and what to do instead.
    Refused(&'static str),
}

/// The reason for a builtin that nobody has judged.
pub(super) const UNKNOWN: &str = "this gate does not offer it";

/// Looks a builtin up; one that nobody has judged is refused.
pub(super) fn judge(name: &str) -> Verdict {
    if let Some((_, verdict)) = JUDGED.iter().find(|(judged, _)| *judged == name) {
        *verdict
    } else if PLAIN.contains(&name) {
        Verdict::Plain
    } else {
        let absent = ABSENT.iter().find(|(start, _)| name.starts_with(start));
        Verdict::Refused(absent.map_or(UNKNOWN, |(_, reason)| reason))
    }
}

/// What people look for in vain, by how it begins, and what there is in its place.
const ABSENT: [(&str, &str); 2] = [
    ("io.jwt.", "the token is verified before policy is asked; read `input.identity.claims`"),
    ("time.", "read `input.time.unix`, in seconds; days and hours are what `time` of rules and conditions is for"),
];

const WITHIN_1000: Need =
    Need::Literal(|e| number(e).is_some_and(|n| n.abs() <= 1000), "a number literal from -1000 to 1000");
const STEP: Need =
    Need::Literal(|e| number(e).is_some_and(|n| (1..=1000).contains(&n)), "a number literal from 1 to 1000");
const SHIFT: Need =
    Need::Literal(|e| number(e).is_some_and(|n| (0..=64).contains(&n)), "a number literal from 0 to 64");
const FORMAT: Need =
    Need::Literal(|e| text(e).is_some_and(is_modest_format), "a string literal with widths of at most two digits");
const SHORT: Need = Need::Literal(|e| text(e).is_some_and(|s| s.len() <= 100), "a string literal of at most 100 bytes");
const NO_EMPTY_ARRAY: Need = Need::Literal(has_no_empty_array, "a literal without an empty array");

#[rustfmt::skip]
const JUDGED: &[(&str, Verdict)] = &[
    // Effects and chance: the same question must have the same answer.
    ("http.send",        Verdict::Refused("a policy has no network; put what it needs into `policy.data` or the token")),
    ("net.lookup_ip_addr", Verdict::Refused("a policy has no network; compare addresses with `net.cidr_contains`")),
    ("opa.runtime",      Verdict::Refused("a policy sees no environment; put what it needs into `policy.data`")),
    ("print",            Verdict::Refused("it would write to the proxy's log; run `opa test` to debug")),
    ("rand.intn",        Verdict::Refused("a decision must not depend on chance")),
    ("time.now_ns",      Verdict::Refused("read `input.time.unix`, one value for all rules")),
    ("trace",            Verdict::Refused("it does nothing here; run `opa test` to debug")),
    ("uuid.rfc4122",     Verdict::Refused("a decision must not depend on chance")),
    // Panics, or another answer than OPA's.
    ("object.subset",    Verdict::Bounded(&[(1, NO_EMPTY_ARRAY)], "it panics on an empty array")),
    ("regex.template_match", Verdict::Refused("it panics on a value shorter than the template; use `regex.match`")),
    ("strings.count",    Verdict::Refused("it panics on an empty substring and counts overlaps, unlike OPA; use `count(split(s, x)) - 1`")),
    ("strings.replace_n", Verdict::Refused("it replaces in turn where OPA replaces at once; use `replace`")),
    ("graph.reachable_paths", Verdict::Refused("the number of paths is exponential; use `graph.reachable`")),
    // The size of the result is an argument.
    ("bits.lsh",         Verdict::Bounded(&[(1, SHIFT)], "a shift by n makes a number of n bits")),
    ("net.cidr_expand",  Verdict::Refused("a /12 makes a million strings; use `net.cidr_contains`")),
    ("numbers.range",    Verdict::Bounded(&[(0, WITHIN_1000), (1, WITHIN_1000)], "the bounds are the length of the result")),
    ("numbers.range_step", Verdict::Bounded(&[(0, WITHIN_1000), (1, WITHIN_1000), (2, STEP)], "the bounds are the length of the result")),
    ("sprintf",          Verdict::Bounded(&[(0, FORMAT)], "a width is a length, and a malformed one panics")),
    ("units.parse",      Verdict::Refused("an exponent in the string makes a number of so many digits; compare numbers")),
    ("units.parse_bytes", Verdict::Refused("an exponent in the string makes a number of so many digits; compare numbers")),
    ("to_number",        Verdict::Bounded(&[(0, Need::Policy)], NUMBER)),
    ("json.is_valid",    Verdict::Bounded(&[(0, Need::Policy)], NUMBER)),
    ("json.unmarshal",   Verdict::Bounded(&[(0, Need::Policy)], NUMBER)),
    // The size of the result, or the time, is a product of two arguments.
    ("concat",           Verdict::Bounded(&[(0, Need::Policy)], "the delimiter is repeated for each element")),
    ("indexof",          Verdict::Bounded(&[(1, Need::Policy)], "the search is quadratic")),
    ("indexof_n",        Verdict::Bounded(&[(1, Need::Policy)], "the search is quadratic")),
    ("json.filter",      Verdict::Bounded(&[(1, Need::Policy)], "it recurses as deep as a path is long")),
    ("json.marshal_with_options", Verdict::Bounded(&[(1, Need::Policy)], "prefix and indent are repeated for each line")),
    ("json.remove",      Verdict::Bounded(&[(1, Need::Policy)], "it recurses as deep as a path is long")),
    ("object.union_n",   Verdict::Bounded(&[(0, Need::Policy)], "it copies the result for each element")),
    ("product",          Verdict::Bounded(&[(0, Need::Policy)], "the digits of the result grow with each element")),
    ("replace",          Verdict::Bounded(&[(2, Need::Policy)], "the replacement is repeated for each match")),
    ("strings.any_prefix_match", Verdict::Bounded(&[(1, Need::Policy)], "each string is compared with each prefix")),
    ("strings.any_suffix_match", Verdict::Bounded(&[(1, Need::Policy)], "each string is compared with each suffix")),
    ("trim",             Verdict::Bounded(&[(1, Need::Policy)], "each character is looked up in the cutset")),
    ("trim_left",        Verdict::Bounded(&[(1, Need::Policy)], "each character is looked up in the cutset")),
    ("trim_right",       Verdict::Bounded(&[(1, Need::Policy)], "each character is looked up in the cutset")),
    ("union",            Verdict::Bounded(&[(0, Need::Policy)], "it copies the result for each element")),
    // A pattern is a program: the caller must not write it.
    ("glob.match",       Verdict::Bounded(&[(0, Need::Policy), (1, Need::Policy)], "a caller who writes the pattern decides what matches, and compiling it is costly")),
    ("glob.quote_meta",  Verdict::Bounded(&[(0, Need::Policy)], "it compiles its argument")),
    ("regex.find_all_string_submatch_n", Verdict::Bounded(&[(0, Need::Policy), (1, Need::Policy)], SEARCH)),
    ("regex.find_n",     Verdict::Bounded(&[(0, Need::Policy), (1, Need::Policy)], SEARCH)),
    ("regex.is_valid",   Verdict::Bounded(&[(0, Need::Policy)], PATTERN)),
    ("regex.match",      Verdict::Bounded(&[(0, Need::Policy)], PATTERN)),
    ("regex.replace",    Verdict::Bounded(&[(0, Need::Policy), (1, Need::Policy), (2, SHORT)], SEARCH)),
    ("regex.split",      Verdict::Bounded(&[(0, Need::Policy), (1, Need::Policy)], SEARCH)),
];

/// `{"$serde_json::private::Number": "1e9999999"}` is a number of so many digits
/// to the engine's parser, and 46 bytes to the caller.
const NUMBER: &str = "a few bytes of JSON can stand for a number of a million digits; send a number, and compare it";
const SEARCH: &str = "searching for every match is quadratic in the text; use `regex.match`";
const PATTERN: &str = "a caller who writes the pattern decides what matches, and compiling it is costly";

#[rustfmt::skip]
const PLAIN: &[&str] = &[
    "abs", "ceil", "floor", "round", "max", "min", "sum", "count", "sort", "format_int",
    "array.concat", "array.reverse", "array.slice", "intersection",
    "bits.and", "bits.negate", "bits.or", "bits.rsh", "bits.xor",
    "contains", "endswith", "startswith", "lower", "upper", "split", "substring", "strings.reverse",
    "trim_prefix", "trim_space", "trim_suffix",
    "is_array", "is_boolean", "is_null", "is_number", "is_object", "is_set", "is_string", "type_name",
    "json.marshal",
    "object.filter", "object.get", "object.keys", "object.remove", "object.union",
    "net.cidr_contains", "net.cidr_is_valid",
    "base64.decode", "base64.encode", "base64.is_valid", "base64url.decode", "base64url.encode", "base64url.encode_no_pad",
    "hex.decode", "hex.encode", "graph.reachable", "walk", "semver.compare", "semver.is_valid",
];

fn number(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Number { value: Value::Number(n), .. } => n.as_i64(),
        _ => None,
    }
}

/// The value of a string literal.
pub(super) fn text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::String { value: Value::String(s), .. } | Expr::RawString { value: Value::String(s), .. } => {
            Some(s.as_ref())
        }
        _ => None,
    }
}

/// regorus takes any Unicode digit for a width and then panics on it, or on one that overflows.
fn is_modest_format(format: &str) -> bool {
    let mut rest = format.chars().peekable();
    while let Some(c) = rest.next() {
        if c != '%' {
            continue;
        }
        if rest.next_if_eq(&'%').is_some() {
            continue;
        }
        rest.next_if_eq(&'.');
        let mut digits = 0;
        while let Some(digit) = rest.next_if(|c| c.is_numeric()) {
            digits += 1;
            if digits > 2 || !digit.is_ascii_digit() {
                return false;
            }
        }
    }
    true
}

fn has_no_empty_array(expr: &Expr) -> bool {
    match expr {
        Expr::Array { items, .. } => !items.is_empty() && items.iter().all(|item| has_no_empty_array(item)),
        Expr::Set { items, .. } => items.iter().all(|item| has_no_empty_array(item)),
        Expr::Object { fields, .. } => {
            fields.iter().all(|(_, key, value)| has_no_empty_array(key) && has_no_empty_array(value))
        }
        Expr::Bool { .. } | Expr::Null { .. } | Expr::Number { .. } | Expr::RawString { .. } | Expr::String { .. } => {
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_builtin_compiled_in_has_been_judged() {
        for name in regorus::unstable::BUILTINS.keys().filter(|name| !name.starts_with("__")) {
            let judged = PLAIN.contains(name) || JUDGED.iter().any(|(judged, _)| judged == name);
            assert!(judged, "`{name}` is new: read it, measure it, and give it a row");
        }
    }

    #[test]
    fn no_builtin_is_judged_twice() {
        let mut names: Vec<_> = JUDGED.iter().map(|(name, _)| *name).chain(PLAIN.iter().copied()).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn a_format_is_modest_or_refused() {
        for good in ["%s", "100%% of %d", "%5d", "%.2f", "%02d", "no verb"] {
            assert!(is_modest_format(good), "{good}");
        }
        for bad in ["%1000000000d", "%½d", "%.999f", "%٣d"] {
            assert!(!is_modest_format(bad), "{bad}");
        }
    }
}
