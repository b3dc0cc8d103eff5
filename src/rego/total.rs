//! Builtins that cannot fail, given what they are given.

use regorus::Engine;
use regorus::unstable::{Expr, Ref};

use super::builtins::text;
use super::shape::{Kinds, Shape};

const ARRAY: Kinds = Kinds::ARRAY;
const BOOLEAN: Kinds = Kinds::BOOLEAN;
const NUMBER: Kinds = Kinds::NUMBER;
const OBJECT: Kinds = Kinds::OBJECT;
const SET: Kinds = Kinds::SET;
const STRING: Kinds = Kinds::STRING;

/// Builtins that take strings alone, and what they give.
const OF_STRINGS: [(&str, Kinds); 12] = [
    ("contains", BOOLEAN),
    ("endswith", BOOLEAN),
    ("lower", STRING),
    ("replace", STRING),
    ("startswith", BOOLEAN),
    ("trim", STRING),
    ("trim_left", STRING),
    ("trim_prefix", STRING),
    ("trim_right", STRING),
    ("trim_space", STRING),
    ("trim_suffix", STRING),
    ("upper", STRING),
];

/// What a builtin gives for arguments of these shapes; a reason if it could fail.
pub(super) fn call<'d>(name: &str, params: &[Ref<Expr>], shapes: &[Shape<'d>]) -> Result<Shape<'d>, String> {
    let is = |position: usize, kinds: Kinds, what: &str| match shapes.get(position).is_some_and(|shape| shape.is(kinds))
    {
        true => Ok(()),
        false => Err(format!("argument {} is not known to be {what}", position.saturating_add(1))),
    };
    let string = |position| is(position, STRING, "a string");
    let items = |position: usize| items(shapes, position);
    if let Some((_, gives)) = OF_STRINGS.iter().find(|(of_strings, _)| *of_strings == name) {
        (0..shapes.len()).try_for_each(string)?;
        return Ok(Shape::kind(*gives));
    }
    match name {
        "is_array" | "is_boolean" | "is_null" | "is_number" | "is_object" | "is_set" | "is_string" => {
            Ok(Shape::kind(BOOLEAN))
        }
        "type_name" => Ok(Shape::kind(STRING)),
        "count" => {
            is(0, STRING.or(ARRAY).or(SET).or(OBJECT), "a string or a collection")?;
            Ok(Shape::kind(NUMBER))
        }
        "split" => {
            string(0)?;
            string(1)?;
            Ok(Shape::collection(ARRAY, Shape::kind(STRING)))
        }
        "concat" => {
            string(0)?;
            is(1, ARRAY.or(SET), "an array or a set")?;
            match items(1).is(STRING) {
                true => Ok(Shape::kind(STRING)),
                false => Err("argument 2 is not known to hold strings alone".into()),
            }
        }
        "glob.match" => {
            match shapes.first().is_some_and(|pattern| pattern.is_text(is_plain_glob)) {
                true => {}
                false => {
                    return Err("argument 1 is not known to be a pattern of letters, digits, `-._~:/@ ` and `*`".into());
                }
            }
            match params.get(1).map(AsRef::as_ref) {
                Some(Expr::Null { .. }) => {}
                Some(Expr::Array { items, .. })
                    if items.iter().all(|item| text(item).is_some_and(|delimiter| delimiter.len() == 1)) => {}
                _ => return Err("argument 2 is neither null nor an array of single characters".into()),
            }
            string(2)?;
            Ok(Shape::kind(BOOLEAN))
        }
        "substring" => {
            string(0)?;
            for position in 1..shapes.len() {
                if !shapes.get(position).is_some_and(|shape| shape.is_each(|value| value.as_u64().is_ok())) {
                    return Err(format!(
                        "argument {} is not known to be a whole number from 0",
                        position.saturating_add(1)
                    ));
                }
            }
            Ok(Shape::kind(STRING))
        }
        "regex.match" => {
            match shapes.first().is_some_and(|pattern| pattern.is_text(is_regex)) {
                true => {}
                false => return Err("argument 1 is not known to be a regular expression".into()),
            }
            string(1)?;
            Ok(Shape::kind(BOOLEAN))
        }
        "strings.any_prefix_match" | "strings.any_suffix_match" => {
            for position in 0..shapes.len() {
                let is_text = is(position, STRING, "a string").is_ok();
                if !is_text {
                    is(position, ARRAY.or(SET), "a string, or an array or a set of strings")?;
                }
                if !is_text && !items(position).is(STRING) {
                    return Err(format!("argument {} is not known to hold strings alone", position.saturating_add(1)));
                }
            }
            Ok(Shape::kind(BOOLEAN))
        }
        "sprintf" => {
            let (Some(format), Some(Expr::Array { items, .. })) =
                (params.first().and_then(|format| text(format)), params.get(1).map(AsRef::as_ref))
            else {
                return Err("its arguments are not a literal and an array that is written out".into());
            };
            match verbs(format) {
                Some((verbs, _)) if verbs != items.len() => Err("its verbs are not one for each argument".into()),
                Some((_, true)) if !self::items(shapes, 1).is(STRING) => {
                    Err("`%s` stands beside what is not known to be a string; write `%v`".into())
                }
                Some(_) => Ok(Shape::kind(STRING)),
                None => Err("its verbs are not `%s` and `%v`".into()),
            }
        }
        "object.get" => {
            is(0, OBJECT, "an object")?;
            let found = match (shapes.first(), params.get(1).and_then(|key| text(key))) {
                (Some(object), Some(name)) => object.member(name),
                _ => Shape::Any,
            };
            Ok(found.join(shapes.get(2).cloned().unwrap_or(Shape::Any)))
        }
        "graph.reachable" => {
            is(0, OBJECT, "an object")?;
            is(1, ARRAY.or(SET), "an array or a set")?;
            match items(0).is(ARRAY.or(SET)) {
                true => Ok(Shape::collection(SET, items(0).items().join(items(1)))),
                false => Err("argument 1 is not known to hold arrays or sets alone".into()),
            }
        }
        "object.keys" => {
            is(0, OBJECT, "an object")?;
            Ok(Shape::collection(SET, shapes.first().map_or(Shape::Any, Shape::keys)))
        }
        "array.concat" => {
            is(0, ARRAY, "an array")?;
            is(1, ARRAY, "an array")?;
            Ok(Shape::collection(ARRAY, items(0).join(items(1))))
        }
        "abs" | "ceil" | "floor" | "round" => {
            is(0, NUMBER, "a number")?;
            Ok(Shape::kind(NUMBER))
        }
        _ => Err("it is not among those of which it is known when they do not".into()),
    }
}

/// A glob in which nothing has to be closed.
fn is_plain_glob(pattern: &str) -> bool {
    pattern.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~:/@ *".contains(&byte))
}

/// What the engine takes for a regular expression, it takes for one at every call.
fn is_regex(pattern: &str) -> bool {
    let mut engine = Engine::new();
    engine.set_strict_builtin_errors(true);
    engine.set_input(pattern.into());
    engine.eval_query("regex.match(input, \"\")".to_owned(), false).is_ok()
}

fn items<'d>(shapes: &[Shape<'d>], position: usize) -> Shape<'d> {
    shapes.get(position).map_or(Shape::Any, Shape::items)
}

/// How many values a format takes, and whether it has a `%s`. None if it takes not
/// just anything.
fn verbs(format: &str) -> Option<(usize, bool)> {
    let mut count: usize = 0;
    let mut has_string = false;
    let mut characters = format.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            continue;
        }
        match characters.next()? {
            '%' => continue,
            's' => has_string = true,
            'v' => {}
            _ => return None,
        }
        count = count.saturating_add(1);
    }
    Some((count, has_string))
}
