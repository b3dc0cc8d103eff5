//! Strict JSON: bytes in, a tree that borrows from them out.
//!
//! A message that the gate and the server behind it read differently is a way
//! around the gate, so what parsers are known to disagree on is refused here:
//! a member that stands twice in an object, at any depth (RFC 8259 §4), two that
//! some decoder takes for one, an integer beyond ±(2^53−1) (RFC 7493 §2.2),
//! negative zero, lone surrogates, invalid UTF-8, a byte order mark, text after
//! the value, and names that some parser treats as magic. Depth, number and size
//! of values are bounded.
//!
//! serde_json reads the tokens; what it would let through is refused in
//! `Reader`, which sees every value once, while it is read. Its recursion ends at
//! the depth limit. Nothing else in this crate parses bytes from outside as JSON.

mod canonical;
mod names;
mod number;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

pub(crate) use names::weight;
pub use names::{Names, is_lookalike};
use names::{is_alike, skeleton};
use number::{MAX_SAFE_INTEGER, UNSAFE, unsafe_number};

/// Bounds on one JSON text.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Arrays and objects within each other.
    pub depth: u32,
    /// Values in all, member names not counted.
    pub nodes: u32,
    /// The longest name of a member, in bytes, unescaped.
    pub name: usize,
    /// The longest string, in bytes, unescaped.
    pub string: usize,
    /// May one object have members whose names look alike? Data that an operator
    /// wrote may; a message and a token may not.
    pub alike: bool,
    /// Must all readers read its numbers alike? Not where nothing depends on them.
    pub exact: bool,
}

impl Default for Limits {
    fn default() -> Self {
        // 64 is the lowest limit among the parsers that may stand behind the gate.
        // A string may be as long as the largest body.
        Self { depth: 64, nodes: 20_000, name: 1024, string: 1024 * 1024 - 1, alike: false, exact: true }
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
        let mut state = State { limits, depth: 0, nodes: 0, odd_names: 0, fault: Fault::Syntax, has_float: false };
        let mut deserializer = serde_json::Deserializer::from_slice(text);
        let value = Reader { state: &mut state }
            .deserialize(&mut deserializer)
            .and_then(|value| deserializer.end().map(|()| value));
        let value = value.map_err(|error| JsonError { fault: state.fault, reason: error.to_string() })?;
        match state.has_float.then(|| unsafe_number(text)).flatten() {
            Some((fault, reason)) => Err(JsonError { fault, reason: reason.to_owned() }),
            None => Ok(value),
        }
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

    /// The number, if it is one; an integer fits exactly.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Integer(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
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

/// What is wrong with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is not JSON, or nests too deeply for some readers.
    Syntax,
    /// A member stands twice in one object.
    Duplicate,
    /// Two members of one object have names that some decoder takes for one.
    Lookalike,
    /// It is JSON, and readers read it differently.
    Ambiguous,
    /// More values, or longer ones, than the limits allow.
    TooLarge,
}

/// Why a text was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonError {
    /// What kind of fault it is.
    pub fault: Fault,
    reason: String,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

/// Bytes of all names of one text that may have to be looked up in Unicode's tables:
/// one character can take as long there as a thousand plain ones.
const ODD_NAMES: usize = 16 * 1024;

struct State {
    limits: Limits,
    /// How deep the value at hand lies.
    depth: u32,
    /// Values so far.
    nodes: u32,
    /// Bytes, so far, of names that had to be looked up.
    odd_names: usize,
    /// What an error means; serde_json's own are about syntax.
    fault: Fault,
    /// Was there a number that is no integer, or too large to be read as one?
    has_float: bool,
}

impl State {
    fn refuse<E: serde::de::Error>(&mut self, fault: Fault, reason: impl fmt::Display) -> E {
        self.fault = fault;
        E::custom(reason)
    }
}

/// Reads one value, within what is left.
struct Reader<'s> {
    state: &'s mut State,
}

impl Reader<'_> {
    /// Goes one level down. The caller comes up again by [`Reader::leave`].
    fn enter<E: serde::de::Error>(&mut self) -> Result<(), E> {
        let most = self.state.limits.depth;
        if self.state.depth >= most {
            return Err(self.state.refuse(Fault::Syntax, format_args!("nested deeper than {most} arrays and objects")));
        }
        self.state.depth = self.state.depth.saturating_add(1);
        Ok(())
    }

    fn leave(&mut self) {
        self.state.depth = self.state.depth.saturating_sub(1);
    }

    fn check_string<E: serde::de::Error>(&mut self, value: &str) -> Result<(), E> {
        let (length, most) = (value.len(), self.state.limits.string);
        match length > most {
            true => Err(self.state.refuse(
                Fault::TooLarge,
                format_args!("expected strings of at most {most} bytes, found one of {length}"),
            )),
            false => Ok(()),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Json<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json<'de>, D::Error> {
        let most = self.state.limits.nodes;
        if self.state.nodes >= most {
            return Err(self.state.refuse(Fault::TooLarge, format_args!("expected at most {most} values, found more")));
        }
        self.state.nodes = self.state.nodes.saturating_add(1);
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
            Err(_) if !self.state.limits.exact => Ok(Json::Float(value as f64)),
            Err(_) => Err(self.state.refuse(Fault::Ambiguous, UNSAFE)),
        }
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Json<'de>, E> {
        if value.unsigned_abs() > MAX_SAFE_INTEGER {
            if !self.state.limits.exact {
                return Ok(Json::Float(value as f64));
            }
            return Err(self.state.refuse(Fault::Ambiguous, UNSAFE));
        }
        Ok(Json::Integer(value))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Json<'de>, E> {
        if !self.state.limits.exact {
            return Ok(Json::Float(value));
        }
        if value == 0.0 && value.is_sign_negative() {
            return Err(self.state.refuse(Fault::Ambiguous, "negative zero, which parsers read differently"));
        }
        // An integer that fits no i64, a fraction too small for a double, a thousand
        // digits? The token alone would tell, and serde_json does not hand it over.
        self.state.has_float = true;
        Ok(Json::Float(value))
    }

    fn visit_borrowed_str<E: serde::de::Error>(mut self, value: &'de str) -> Result<Json<'de>, E> {
        self.check_string(value)?;
        Ok(Json::String(Cow::Borrowed(value)))
    }

    fn visit_str<E: serde::de::Error>(mut self, value: &str) -> Result<Json<'de>, E> {
        self.check_string(value)?;
        Ok(Json::String(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut sequence: A) -> Result<Json<'de>, A::Error> {
        self.enter()?;
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element_seed(Reader { state: self.state })? {
            items.push(item);
        }
        self.leave();
        Ok(Json::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Json<'de>, A::Error> {
        self.enter()?;
        let mut members = Vec::new();
        while let Some(name) = map.next_key_seed(Name { state: self.state })? {
            let value = map.next_value_seed(Reader { state: self.state })?;
            members.push((name, value));
        }
        self.leave();
        if let Some((fault, name)) = collision(&members, self.state.limits.alike) {
            let problem = match fault {
                Fault::Duplicate => "a member stands twice in one object",
                _ => "the names of two members look alike",
            };
            let name = shown(name);
            return Err(self.state.refuse(fault, format_args!("{problem}: `{name}`")));
        }
        Ok(Json::Object(Object(members)))
    }
}

/// A member whose name is another's, or looks like it. Sorting keeps a hostile
/// object from costing the square of its size.
fn collision<'m>(members: &'m [(Cow<'_, str>, Json<'_>)], alike: bool) -> Option<(Fault, &'m str)> {
    let fault = |one: &str, other: &str| if one == other { Fault::Duplicate } else { Fault::Lookalike };
    if members.len() <= 8 {
        // Two names in ASCII look alike only if they are as long.
        let is_ascii = members.iter().all(|(name, _)| name.is_ascii());
        let is_same = |one: &str, other: &str| match (alike, is_ascii) {
            (true, _) => one == other,
            (false, true) => one.eq_ignore_ascii_case(other),
            (false, false) => is_alike(one, other),
        };
        let mut rest = members.iter();
        return std::iter::from_fn(|| rest.next()).zip(1..).find_map(|((name, _), next)| {
            let mut others = members.iter().skip(next).map(|(other, _)| other);
            let other = others.find(|other| is_same(name, other))?;
            Some((fault(name, other), other.as_ref()))
        });
    }
    let spelled = |name: &'m str| if alike { Cow::Borrowed(name) } else { skeleton(name) };
    let mut names: Vec<_> = members.iter().map(|(name, _)| (spelled(name), name.as_ref())).collect();
    names.sort_unstable();
    names.windows(2).find_map(|pair| match pair {
        [(first, one), (second, other)] if first == second => Some((fault(one, other), *other)),
        _ => None,
    })
}

/// A name as it may stand in a message: short, and without control characters.
pub(crate) fn shown(name: &str) -> String {
    name.chars().take(64).flat_map(char::escape_default).collect()
}

/// Reads the name of a member.
struct Name<'s> {
    state: &'s mut State,
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name<'_> {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_borrowed_str<E: serde::de::Error>(mut self, name: &'de str) -> Result<Cow<'de, str>, E> {
        self.check(name)?;
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E: serde::de::Error>(mut self, name: &str) -> Result<Cow<'de, str>, E> {
        self.check(name)?;
        Ok(Cow::Owned(name.to_owned()))
    }
}

impl Name<'_> {
    /// Refuses names that some parser gives a meaning of its own: JavaScript's
    /// prototype, and the names by which serde_json and regorus smuggle numbers.
    fn check<E: serde::de::Error>(&mut self, name: &str) -> Result<(), E> {
        let Limits { name: most, alike, .. } = self.state.limits;
        if name.len() > most {
            let length = name.len();
            let problem = format_args!("expected names of at most {most} bytes, found one of {length}");
            return Err(self.state.refuse(Fault::TooLarge, problem));
        }
        if !alike {
            self.state.odd_names = self.state.odd_names.saturating_add(weight(name));
            if self.state.odd_names > ODD_NAMES {
                let problem =
                    format_args!("expected at most {ODD_NAMES} bytes of names in unusual letters, found more");
                return Err(self.state.refuse(Fault::TooLarge, problem));
            }
        }
        if name == "__proto__" || name.starts_with("$serde_json::private::") {
            let name = shown(name);
            return Err(self.state.refuse(Fault::Ambiguous, format_args!("the member name `{name}` is reserved")));
        }
        // Some decoders end a name at its first NUL.
        if name.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(self.state.refuse(Fault::Ambiguous, "a member name holds a control character"));
        }
        Ok(())
    }
}
