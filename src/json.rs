//! Strict JSON: bytes in, a tree that borrows from them out.
//!
//! A message that the gate and the server behind it read differently is a way
//! around the gate, so what parsers are known to disagree on is refused here:
//! a member that stands twice in an object, at any depth (RFC 8259 §4), an
//! integer beyond ±(2^53−1) (RFC 7493 §2.2), negative zero, lone surrogates,
//! invalid UTF-8, a byte order mark, text after the value, and names that some
//! parser treats as magic. Depth and number of values are bounded.
//!
//! serde_json reads the tokens; what it would let through is refused in
//! `Reader`, which sees every value once. Nothing else in this crate parses
//! bytes from outside as JSON.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// Bounds on one JSON text.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Arrays and objects within each other.
    pub depth: u32,
    /// Values in all, member names not counted.
    pub nodes: u32,
}

impl Default for Limits {
    fn default() -> Self {
        // 64 is the lowest limit among the parsers that may stand behind the gate.
        Self { depth: 64, nodes: 20_000 }
    }
}

/// One JSON value. Strings borrow from the text unless they hold escapes.
#[derive(Debug, Clone, PartialEq)]
pub enum Json<'a> {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number without fraction and exponent, within ±(2^53−1).
    Integer(i64),
    /// Any other number; finite.
    Float(f64),
    /// A string, unescaped.
    String(Cow<'a, str>),
    /// An array.
    Array(Vec<Self>),
    /// An object, its names unique.
    Object(Object<'a>),
}

impl<'a> Json<'a> {
    /// Reads one JSON text: the whole of `text`, white space around it allowed.
    pub fn read(text: &'a [u8], limits: Limits) -> Result<Self, JsonError> {
        let mut budget = Budget { depth: limits.depth, nodes: limits.nodes };
        let mut deserializer = serde_json::Deserializer::from_slice(text);
        let value = Reader { budget: &mut budget }
            .deserialize(&mut deserializer)
            .and_then(|value| deserializer.end().map(|()| value));
        value.map_err(|error| JsonError::new(&error))
    }

    /// The string, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(string) => Some(string),
            _ => None,
        }
    }

    /// The object, if it is one.
    pub fn as_object(&self) -> Option<&Object<'a>> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The items, if it is an array.
    pub fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The number as seconds, if it is one (RFC 7519 NumericDate, fractions cut off).
    #[expect(clippy::cast_possible_truncation, reason = "a float saturates, which is what a far date should do")]
    pub fn as_seconds(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            Self::Float(number) => Some(number.floor() as i64),
            _ => None,
        }
    }

    /// The same value, owned.
    pub fn into_owned(self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(bool) => bool.into(),
            Self::Integer(number) => number.into(),
            Self::Float(number) => number.into(),
            Self::String(string) => string.into_owned().into(),
            Self::Array(items) => items.into_iter().map(Self::into_owned).collect(),
            Self::Object(Object(members)) => {
                members.into_iter().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
            }
        }
    }

    /// The same value for the policy engine.
    pub fn to_value(&self) -> regorus::Value {
        // The depth is that of the text, which `Limits` bound.
        match self {
            Self::Null => regorus::Value::Null,
            Self::Bool(bool) => (*bool).into(),
            Self::Integer(number) => (*number).into(),
            Self::Float(number) => (*number).into(),
            Self::String(string) => string.as_ref().into(),
            Self::Array(items) => items.iter().map(Self::to_value).collect::<Vec<_>>().into(),
            Self::Object(object) => object.to_value(),
        }
    }
}

/// The members of an object, in their order, names unique.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Object<'a>(Vec<(Cow<'a, str>, Json<'a>)>);

impl<'a> Object<'a> {
    /// The value of a member.
    pub fn get(&self, name: &str) -> Option<&Json<'a>> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// Takes a member out. The order of the others may change.
    pub fn take(&mut self, name: &str) -> Option<Json<'a>> {
        let index = self.0.iter().position(|(key, _)| key == name)?;
        Some(self.0.swap_remove(index).1)
    }

    /// The members, in the order of the text.
    pub fn members(&self) -> impl Iterator<Item = (&str, &Json<'a>)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value))
    }

    /// The same object for the policy engine.
    pub fn to_value(&self) -> regorus::Value {
        let members = self.0.iter().map(|(name, value)| (name.as_ref().into(), value.to_value()));
        members.collect::<std::collections::BTreeMap<_, _>>().into()
    }
}

/// Why a text was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonError {
    /// Not JSON at all, or JSON that says the same thing twice?
    pub duplicate: bool,
    reason: String,
}

impl JsonError {
    fn new(error: &serde_json::Error) -> Self {
        let reason = error.to_string();
        Self { duplicate: reason.starts_with(DUPLICATE), reason }
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

const DUPLICATE: &str = "a member stands twice in one object";

#[derive(Debug)]
struct Budget {
    depth: u32,
    nodes: u32,
}

/// Reads one value, within what is left of the budget.
struct Reader<'b> {
    budget: &'b mut Budget,
}

impl Reader<'_> {
    /// Goes one level down. The caller comes up again by [`Reader::leave`].
    fn enter<E: serde::de::Error>(&mut self) -> Result<(), E> {
        match self.budget.depth.checked_sub(1) {
            Some(depth) => self.budget.depth = depth,
            None => return Err(E::custom("nested too deeply")),
        }
        Ok(())
    }

    fn leave(&mut self) {
        self.budget.depth = self.budget.depth.saturating_add(1);
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Json<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json<'de>, D::Error> {
        match self.budget.nodes.checked_sub(1) {
            Some(nodes) => self.budget.nodes = nodes,
            None => return Err(D::Error::custom("too many values")),
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Json<'de>, E> {
        match i64::try_from(value) {
            Ok(value) => self.visit_i64(value),
            Err(_) => Err(E::custom(TOO_LARGE)),
        }
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Json<'de>, E> {
        if value.unsigned_abs() > MAX_SAFE_INTEGER {
            return Err(E::custom(TOO_LARGE));
        }
        Ok(Json::Integer(value))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Json<'de>, E> {
        if value == 0.0 && value.is_sign_negative() {
            return Err(E::custom("negative zero, which parsers read differently"));
        }
        // serde_json turns an integer that fits no i64 into a float.
        if value.fract() == 0.0 && value.abs() > MAX_SAFE_INTEGER as f64 {
            return Err(E::custom(TOO_LARGE));
        }
        Ok(Json::Float(value))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::String(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json<'de>, E> {
        Ok(Json::String(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut sequence: A) -> Result<Json<'de>, A::Error> {
        self.enter()?;
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element_seed(Reader { budget: self.budget })? {
            items.push(item);
        }
        self.leave();
        Ok(Json::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Json<'de>, A::Error> {
        self.enter()?;
        let mut members = Vec::new();
        while let Some(name) = map.next_key_seed(Name)? {
            let value = map.next_value_seed(Reader { budget: self.budget })?;
            members.push((name, value));
        }
        self.leave();
        unique(&members).map_err(A::Error::custom)?;
        Ok(Json::Object(Object(members)))
    }
}

const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;
const TOO_LARGE: &str = "an integer beyond ±(2^53−1), which parsers read differently; send it as a string";

/// Refuses two members of one name. Sorting keeps a hostile object from costing
/// the square of its size.
fn unique(members: &[(Cow<'_, str>, Json<'_>)]) -> Result<(), String> {
    let twice = if members.len() <= 8 {
        let mut names = members.iter().map(|(name, _)| name);
        let mut seen: [&str; 8] = [""; 8];
        names.by_ref().zip(0..).find_map(|(name, count)| {
            let repeated = seen.iter().take(count).any(|known| known == name);
            if let Some(place) = seen.get_mut(count) {
                *place = name;
            }
            repeated.then_some(name)
        })
    } else {
        let mut names: Vec<_> = members.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        names.windows(2).find_map(|pair| match pair {
            [first, second] if first == second => Some(*first),
            _ => None,
        })
    };
    match twice {
        Some(name) => Err(format!("{DUPLICATE}: `{}`", shown(name))),
        None => Ok(()),
    }
}

/// A name as it may stand in a message: short, and without control characters.
fn shown(name: &str) -> String {
    name.chars().take(64).flat_map(char::escape_default).collect()
}

/// Reads the name of a member.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, name: &'de str) -> Result<Cow<'de, str>, E> {
        plain(name)?;
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Cow<'de, str>, E> {
        plain(name)?;
        Ok(Cow::Owned(name.to_owned()))
    }
}

/// Refuses names that some parser gives a meaning of its own: JavaScript's
/// prototype, and the names by which serde_json and regorus smuggle numbers.
fn plain<E: serde::de::Error>(name: &str) -> Result<(), E> {
    if name == "__proto__" || name.starts_with("$serde_json::private::") {
        return Err(E::custom(format_args!("the member name `{name}` is reserved")));
    }
    if name.chars().any(|c| c.is_ascii_control()) {
        return Err(E::custom("a member name holds a control character"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Json<'_>, JsonError> {
        Json::read(text.as_bytes(), Limits::default())
    }

    #[test]
    fn what_parsers_agree_on_is_read() {
        for text in
            ["null", " {\"a\": [1, -2, 0.5, \"\\u00e9\", true, {}]} \n", "\"\\ud83d\\ude00\"", "9007199254740991"]
        {
            assert!(read(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_fraction_is_read_to_its_last_bit() {
        for (text, number) in
            [("0.09999999999999999", 0.099_999_999_999_999_99), ("123456789.1234568", 123_456_789.123_456_8)]
        {
            assert_eq!(read(text), Ok(Json::Float(number)), "{text}");
        }
    }

    #[test]
    fn what_parsers_disagree_on_is_refused() {
        for text in [
            "",
            " ",
            "{} {}",
            "{}]",
            "\u{feff}{}",
            "[1,]",
            "NaN",
            "1e400",
            "-0",
            "-0.0",
            "01",
            "9007199254740992",
            "-9007199254740992",
            "18446744073709551616",
            "1e30",
            "\"\\ud800\"",
            "{\"\\ud800\":1}",
            "{\"a\\u0000\":1}",
            "{\"__proto__\":{}}",
            "[{\"$serde_json::private::Number\":\"5\"}]",
            "/**/1",
        ] {
            let error = read(text).expect_err(text);
            assert!(!error.duplicate, "{text}: {error}");
        }
        assert!(Json::read(b"\"\xff\"", Limits::default()).is_err());
        assert!(Json::read(b"\"\xed\xa0\x80\"", Limits::default()).is_err());
    }

    #[test]
    fn a_member_may_stand_once_at_any_depth_and_however_it_is_escaped() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":1}"#,
            r#"[[{"b":{"a":1,"c":2,"a":3}}]]"#,
            r#"{"1":1,"2":1,"3":1,"4":1,"5":1,"6":1,"7":1,"8":1,"9":1,"8":1}"#,
            r#"{"1":1,"2":1,"3":1,"4":1,"5":1,"6":1,"7":1,"1":1}"#,
        ] {
            assert!(read(text).expect_err(text).duplicate, "{text}");
        }
        assert!(read(r#"{"a":1,"A":1,"b":{"a":1}}"#).is_ok());
    }

    #[test]
    fn depth_and_number_of_values_are_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read(&nested(64)).is_ok());
        assert!(read(&nested(65)).is_err());
        assert!(read(&"[".repeat(1_000_000)).is_err());
        let limits = Limits { depth: 2, nodes: 4 };
        assert!(Json::read(b"[1,2,3]", limits).is_ok());
        assert!(Json::read(b"[1,2,3,4]", limits).is_err());
        assert!(Json::read(b"[[],[],[]]", limits).is_ok());
    }
}
