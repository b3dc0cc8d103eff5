//! A part of the configuration, read by its type. What is wrong with it is said here, in
//! words of whoever wrote it: `a list`, not `a sequence`.

use std::fmt;

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, DeserializeOwned, Deserializer, Expected, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::Value;

use super::Finding;

/// Reads the part at a path; the whole is at none.
pub(super) fn read<T: DeserializeOwned>(value: Value, path: &str) -> Result<T, Finding> {
    serde_path_to_error::deserialize(Part(value)).map_err(|error| {
        let path = match (path, error.path().to_string().as_str()) {
            ("", ".") => "configuration".to_owned(),
            ("", inner) => inner.to_owned(),
            (path, ".") => path.to_owned(),
            (path, inner) if inner.starts_with('[') => format!("{path}{inner}"),
            (path, inner) => format!("{path}.{inner}"),
        };
        Finding { path, problem: error.into_inner().0 }
    })
}

struct Part(Value);

impl<'de> Deserializer<'de> for Part {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(bool) => visitor.visit_bool(bool),
            Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => visitor.visit_u64(number),
                (None, Some(number)) => visitor.visit_i64(number),
                (None, None) => visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => visitor.visit_string(text),
            Value::Array(items) => visitor.visit_seq(SeqDeserializer::new(items.into_iter().map(Part))),
            Value::Object(members) => {
                visitor.visit_map(MapDeserializer::new(members.into_iter().map(|(name, value)| (name, Self(value)))))
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        match self.0 {
            Value::String(text) => visitor.visit_enum(text.into_deserializer()),
            other => Err(de::Error::invalid_type(kind(&other), &one_of(variants).as_str())),
        }
    }

    /// An object, and not the values of its fields in a row, which `Deserialize` would take, too.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        match self.0 {
            Value::Object(_) => self.deserialize_any(visitor),
            other => Err(de::Error::invalid_type(kind(&other), &visitor)),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

impl IntoDeserializer<'_, Problem> for Part {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// What is wrong.
#[derive(Debug)]
struct Problem(String);

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Problem {}

impl de::Error for Problem {
    fn custom<T: fmt::Display>(problem: T) -> Self {
        Self(problem.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::unlike(found, expected)
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::unlike(found, expected)
    }

    fn unknown_variant(found: &str, known: &'static [&'static str]) -> Self {
        Self(format!("expected {}, found `{found}`{}", one_of(known), meant(found, known)))
    }

    fn unknown_field(found: &str, known: &'static [&'static str]) -> Self {
        Self(format!("unknown field `{found}`, expected {}{}", one_of(known), meant(found, known)))
    }

    fn missing_field(name: &'static str) -> Self {
        Self(format!("expected the field `{name}`, found none"))
    }
}

impl Problem {
    /// Of a text nothing is told but that it is one: it may be a key.
    fn unlike(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let expected = expected.to_string();
        let expected = match expected.as_str() {
            "a string" => TEXT,
            "a boolean" => "`true` or `false`",
            "a sequence" => LIST,
            "a map" => "an object",
            "i64" => "a whole number",
            "u32" | "u64" | "usize" => "a whole number from 0 on",
            other => other,
        };
        let found = match found {
            Unexpected::Bool(true) if expected == TEXT => "`true`, which `y`, `yes` and `on` are, too".to_owned(),
            Unexpected::Bool(false) if expected == TEXT => "`false`, which `n`, `no` and `off` are, too".to_owned(),
            Unexpected::Bool(bool) => format!("`{bool}`"),
            Unexpected::Unsigned(number) => format!("the number {number}"),
            Unexpected::Signed(number) => format!("the number {number}"),
            Unexpected::Float(number) => format!("the number {number}"),
            Unexpected::Unit | Unexpected::Option => "nothing".to_owned(),
            Unexpected::Seq => "a list".to_owned(),
            Unexpected::Map => "an object".to_owned(),
            _ => "a text".to_owned(),
        };
        let advice = match found.as_str() {
            "nothing" | "a list" | "an object" => "",
            "a text" if expected == LIST => "; put it in brackets",
            "a text" => "",
            _ if expected == TEXT => "; put it in quotes",
            _ => "",
        };
        Self(format!("expected {expected}, found {found}{advice}"))
    }
}

const TEXT: &str = "a text";

const LIST: &str = "a list";

fn kind(value: &Value) -> Unexpected<'_> {
    match value {
        Value::Null => Unexpected::Unit,
        Value::Bool(bool) => Unexpected::Bool(*bool),
        Value::Number(number) => Unexpected::Float(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => Unexpected::Str(text),
        Value::Array(_) => Unexpected::Seq,
        Value::Object(_) => Unexpected::Map,
    }
}

fn one_of(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match names.as_slice() {
        [] => "no field".to_owned(),
        [name] => name.clone(),
        [one, other] => format!("{one} or {other}"),
        names => format!("one of {}", names.join(", ")),
    }
}

/// What a name that nobody knows was meant to be: one that a slip or two away is known.
fn meant(found: &str, known: &[&str]) -> String {
    // In a short name a slip makes another name of it.
    let most = found.chars().count().div_ceil(3).min(2);
    let distances = known.iter().map(|name| (strsim::osa_distance(found, name), name));
    let nearest = distances.filter(|(distance, _)| *distance <= most).min();
    nearest.map(|(_, name)| format!("; did you mean `{name}`?")).unwrap_or_default()
}

/// `null` is a value, too: for a member that may be left out.
pub(super) fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    <Value as de::Deserialize>::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields, expecting = "an object")]
    struct Whole {
        text: String,
        texts: Vec<String>,
        #[serde(default)]
        count: u64,
        #[serde(default)]
        seconds: i64,
        #[serde(default)]
        flag: bool,
        kind: Option<Kind>,
        any: Option<Value>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        Hide,
        Refuse,
    }

    #[test]
    fn what_is_wrong_is_said_in_an_operators_words() {
        for (field, value, problem) in [
            ("text", json!(7), "text: expected a text, found the number 7; put it in quotes"),
            ("text", json!(2.5), "text: expected a text, found the number 2.5; put it in quotes"),
            (
                "text",
                json!(true),
                "text: expected a text, found `true`, which `y`, `yes` and `on` are, too; put it in quotes",
            ),
            ("text", json!(null), "text: expected a text, found nothing"),
            ("text", json!({}), "text: expected a text, found an object"),
            ("texts", json!("one"), "texts: expected a list, found a text; put it in brackets"),
            ("texts", json!(["one", 2]), "texts[1]: expected a text, found the number 2; put it in quotes"),
            ("texts", json!({"a": 1}), "texts: expected a list, found an object"),
            ("count", json!(-1), "count: expected a whole number from 0 on, found the number -1"),
            ("count", json!("1"), "count: expected a whole number from 0 on, found a text"),
            ("seconds", json!(1.5), "seconds: expected a whole number, found the number 1.5"),
            ("flag", json!("yes"), "flag: expected `true` or `false`, found a text"),
            ("kind", json!("hid"), "kind: expected `hide` or `refuse`, found `hid`; did you mean `hide`?"),
            ("kind", json!("pass"), "kind: expected `hide` or `refuse`, found `pass`"),
            ("kind", json!(1), "kind: expected `hide` or `refuse`, found the number 1"),
            (
                "tetx",
                json!(1),
                "tetx: unknown field `tetx`, expected one of `text`, `texts`, `count`, `seconds`, `flag`, `kind`, `any`; did you mean `text`?",
            ),
            (
                "url",
                json!(1),
                "url: unknown field `url`, expected one of `text`, `texts`, `count`, `seconds`, `flag`, `kind`, `any`",
            ),
        ] {
            let mut whole = json!({"text": "a", "texts": []});
            whole[field] = value;
            assert_eq!(read::<Whole>(whole, "").unwrap_err().to_string(), problem);
        }
        let missing = read::<Whole>(json!({"text": "a"}), "a.b").unwrap_err();
        assert_eq!(
            (missing.path.as_str(), missing.problem.as_str()),
            ("a.b", "expected the field `texts`, found none")
        );
        let list = read::<Whole>(json!([]), "").unwrap_err().to_string();
        assert_eq!(list, "configuration: expected an object, found a list");
    }

    #[test]
    fn what_is_right_is_read() {
        let whole = json!({"text": "a", "texts": ["b"], "count": 1, "seconds": -1, "flag": true, "kind": "hide",
            "any": {"a": [1, -1, 2.5, null, "c", false]}});
        let read = read::<Whole>(whole.clone(), "").unwrap();
        assert_eq!((read.text.as_str(), read.texts, read.count, read.seconds), ("a", vec!["b".to_owned()], 1, -1));
        assert!(read.flag && matches!(read.kind, Some(Kind::Hide)));
        assert_eq!(read.any.as_ref(), whole.get("any"));
    }
}
