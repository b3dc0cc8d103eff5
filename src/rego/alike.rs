//! Builtins that say something else here than in OPA, given what they are given.
//!
//! Each difference was seen: `tests/builtins.json` holds the engine and OPA against each other.

use regorus::unstable::{Expr, Ref};

use super::builtins::text;
use super::shape::Shape;

/// What is wrong, and what to write instead; None where both say the same, as far as it is known.
/// `shown` are the values that a format shows, where they are written out.
pub(super) fn otherwise(
    name: &str,
    params: &[Ref<Expr>],
    shapes: &[Shape<'_>],
    shown: &[Shape<'_>],
) -> Option<&'static str> {
    let known =
        |position: usize, is: &dyn Fn(&str) -> bool| shapes.get(position).is_some_and(|shape| shape.has_text(is));
    match name {
        "regex.is_valid" => Some("OPA takes other expressions for valid; leave it out"),
        "regex.split" => Some("it divides at an empty match where OPA does not; use `split`"),
        "regex.replace" => pattern(shapes.get(1)?),
        _ if name.starts_with("regex.") => pattern(shapes.first()?),
        "glob.quote_meta" => Some("it escapes less than OPA's; write the escapes"),
        "glob.match" if known(0, &is_odd_glob) => {
            Some("in its pattern `?`, `[`, `**` and an empty alternative mean something else to OPA; use `regex.match`")
        }
        "glob.match" if !has_plain_delimiters(params.get(1)?) => Some(
            "its delimiters mean something else to OPA; write `null`, `[]`, `[\".\"]` or `[\"/\"]`, or use `regex.match`",
        ),
        "net.cidr_contains" if known(0, &|network| network.to_ascii_lowercase().starts_with("::ffff:")) => {
            Some("OPA takes `::ffff:10.0.0.0/104` for IPv4; write `10.0.0.0/8`")
        }
        "indexof" | "indexof_n" if known(1, &str::is_empty) => Some("an empty text is an error in OPA; ask `contains`"),
        "sprintf" => format(params).or_else(|| {
            let has_set = shapes.iter().skip(1).chain(shown).any(Shape::may_hold_set);
            has_set.then_some("an empty set is `{}` to it and `set()` to OPA; give it a list, `[x | some x in xs]`")
        }),
        _ => None,
    }
}

fn pattern(pattern: &Shape<'_>) -> Option<&'static str> {
    let problem = pattern.texts().find_map(regex);
    problem
        .or_else(|| pattern.has_text(&|text| text.len() > 1000).then_some("the expression is longer than 1000 bytes"))
}

/// What OPA's RE2 and the engine, which is built without Unicode's tables, read differently.
fn regex(pattern: &str) -> Option<&'static str> {
    const ESCAPE: &str =
        "`\\d`, `\\w`, `\\s`, `\\b` and such are not here what they are to OPA; write out `[0-9]`, `[0-9A-Za-z_]`";
    const CLASS: &str = "`[`, `&&`, `--` and `~~` inside of a class mean something else to OPA; escape them with `\\`";
    const FLAGS: &str = "of the flags both know `s`, `m` and `U` alone; compare `lower(x)` instead of `(?i)`";
    const REPEATED: &str = "OPA takes `{` for a letter where it begins no repetition, no more than 1000 of these, and none of another; write `\\{`";
    let mut rest = pattern.chars().peekable();
    let (mut in_class, mut repeats, mut before) = (false, false, ' ');
    while let Some(character) = rest.next() {
        let repeated = std::mem::take(&mut repeats);
        match character {
            '\\' => match rest.next() {
                Some('n' | 't' | 'r' | 'f' | 'v' | 'a' | 'A' | 'z' | 'x') => {}
                Some(other) if other.is_ascii_punctuation() && !"<>".contains(other) => {}
                _ => return Some(ESCAPE),
            },
            '[' if !in_class => {
                in_class = true;
                rest.next_if_eq(&'^');
                rest.next_if_eq(&']');
            }
            '[' if rest.peek() == Some(&':') => {
                let name: String = rest.by_ref().take_while(|c| *c != ']').collect();
                if !name.ends_with(':') {
                    return Some(CLASS);
                }
            }
            '[' => return Some(CLASS),
            ']' if in_class => in_class = false,
            '&' | '-' | '~' if in_class && before == character => return Some(CLASS),
            _ if in_class => {}
            '(' if rest.next_if_eq(&'?').is_some() => {
                let flags: String = rest.by_ref().take_while(|c| !":)>".contains(*c)).collect();
                let is_name = flags.strip_prefix("P<").is_some_and(|name| !name.is_empty());
                if !is_name && !flags.chars().all(|flag| "smU-".contains(flag)) {
                    return Some(FLAGS);
                }
            }
            '{' => {
                let counts: String = rest.by_ref().take_while(|c| *c != '}').collect();
                let (least, most) = counts.split_once(',').unwrap_or((&counts, ""));
                let is_count =
                    |text: &str| text.parse::<u16>().is_ok_and(|count| count <= 1000) && !text.starts_with('+');
                if repeated || !is_count(least) || !(most.is_empty() || is_count(most)) {
                    return Some(REPEATED);
                }
                rest.next_if_eq(&'?');
                repeats = true;
            }
            '*' | '+' | '?' => {
                if repeated {
                    return Some(REPEATED);
                }
                rest.next_if_eq(&'?');
                repeats = true;
            }
            _ => {}
        }
        before = character;
    }
    None
}

fn is_odd_glob(pattern: &str) -> bool {
    ["?", "[", "**", "{,", ",,", ",}", "{}"].iter().any(|odd| pattern.contains(odd))
}

fn has_plain_delimiters(delimiters: &Expr) -> bool {
    match delimiters {
        Expr::Null { .. } => true,
        Expr::Array { items, .. } => items.len() <= 1 && items.iter().all(|item| matches!(text(item), Some("." | "/"))),
        _ => false,
    }
}

fn format(params: &[Ref<Expr>]) -> Option<&'static str> {
    let mut rest = text(params.first()?)?.chars().peekable();
    while let Some(character) = rest.next() {
        if character != '%' {
            continue;
        }
        let mut is_wide = false;
        while rest.next_if(char::is_ascii_digit).is_some() {
            is_wide = true;
        }
        match rest.next() {
            Some('d' | 'x' | 'X' | 'b') => {}
            Some('s' | 'v' | '%') if !is_wide => {}
            _ => {
                return Some(
                    "OPA knows other verbs; write `%s`, `%v`, `%%`, or `%d`, `%x`, `%X`, `%b` with or without a width",
                );
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_both_read_alike_passes() {
        for good in
            ["^a.*b$", "[^]a-z_]+?", r"\.\*\-", "(?s:a|b)", "(?P<n>a){2,3}?", "[[:alpha:]-]", "é", r"(?s)^\(x\)$"]
        {
            assert_eq!(regex(good), None, "{good}");
        }
        for bad in [
            r"\d", r"[\w]", r"\pL", "(?i)a", "(?-u)a", "[a&&b]", "[a[b]]", "a{,2}", "a{1001}", "a**", "a{2}{3}", r"\Qa",
        ] {
            assert!(regex(bad).is_some(), "{bad}");
        }
    }
}
