//! Values of the engine, as bytes.
//!
//! regorus has an encoding of its own, for literals. It takes a float beyond 2^63 for the integer
//! next to it, and writes what many places share once for each of them. This one keeps both: a value
//! is a list of nodes, each made of earlier ones.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use regorus::Value;
use serde::{Deserialize, Serialize};

/// A value, whose parts are the nodes of these numbers.
#[derive(Deserialize, Serialize)]
enum Node<'a> {
    Undefined,
    Null,
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    /// In decimal.
    Number(#[serde(borrow)] Cow<'a, str>),
    String(&'a str),
    Array(Vec<u32>),
    Set(Vec<u32>),
    Object(Vec<(u32, u32)>),
}

#[derive(Deserialize, Serialize)]
struct Nodes<'a> {
    #[serde(borrow)]
    nodes: Vec<Node<'a>>,
    /// The nodes that were asked for.
    roots: Vec<u32>,
}

/// Writes values. An error is a number that cannot be written, or too many values.
pub(super) fn encode(values: &[Value]) -> Result<Vec<u8>, String> {
    let mut writer = Writer::default();
    let roots = values.iter().map(|value| writer.add(value)).collect::<Result<_, _>>()?;
    postcard::to_allocvec(&Nodes { nodes: writer.nodes, roots }).map_err(|error| error.to_string())
}

/// Reads what [`encode`] wrote.
pub(super) fn decode(bytes: &[u8]) -> Option<Vec<Value>> {
    let Nodes { nodes, roots } = postcard::from_bytes(bytes).ok()?;
    let mut values: Vec<Value> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let value = value(node, &values)?;
        values.push(value);
    }
    roots.into_iter().map(|root| at(&values, root)).collect()
}

fn at(values: &[Value], index: u32) -> Option<Value> {
    values.get(usize::try_from(index).ok()?).cloned()
}

fn value(node: Node<'_>, earlier: &[Value]) -> Option<Value> {
    let at = |index| at(earlier, index);
    Some(match node {
        Node::Undefined => Value::Undefined,
        Node::Null => Value::Null,
        Node::Bool(value) => value.into(),
        Node::Signed(value) => value.into(),
        Node::Unsigned(value) => value.into(),
        Node::Float(value) => value.into(),
        Node::Number(text) => Value::from_numeric_string(&text).ok()?,
        Node::String(text) => text.into(),
        Node::Array(items) => items.into_iter().map(at).collect::<Option<Vec<_>>>()?.into(),
        Node::Set(items) => items.into_iter().map(at).collect::<Option<BTreeSet<_>>>()?.into(),
        Node::Object(members) => {
            let members = members.into_iter().map(|(name, value)| Some((at(name)?, at(value)?)));
            members.collect::<Option<BTreeMap<_, _>>>()?.into()
        }
    })
}

#[derive(Default)]
struct Writer<'v> {
    nodes: Vec<Node<'v>>,
    /// Where texts stand, and lists, sets and objects, by their address.
    texts: HashMap<&'v str, u32>,
    shared: HashMap<usize, u32>,
}

impl<'v> Writer<'v> {
    /// Adds a value, and gives the number of its node. The depth is that of a configuration's data,
    /// which its reader bounds, and of what rules build, which a bound on their chains does.
    fn add(&mut self, value: &'v Value) -> Result<u32, String> {
        let address = match value {
            Value::Array(items) => Some(Arc::as_ptr(items).addr()),
            Value::Set(items) => Some(Arc::as_ptr(items).addr()),
            Value::Object(members) => Some(Arc::as_ptr(members).addr()),
            _ => None,
        };
        let known = match (value, address) {
            (Value::String(text), _) => self.texts.get(text.as_ref()),
            (_, Some(address)) => self.shared.get(&address),
            _ => None,
        };
        if let Some(known) = known {
            return Ok(*known);
        }
        let node = match value {
            Value::Undefined => Node::Undefined,
            Value::Null => Node::Null,
            Value::Bool(value) => Node::Bool(*value),
            Value::Number(_) => number(value)?,
            Value::String(text) => Node::String(text),
            Value::Array(items) => Node::Array(self.all(items.iter())?),
            Value::Set(items) => Node::Set(self.all(items.iter())?),
            Value::Object(members) => {
                let members = members.iter().map(|(name, value)| Ok((self.add(name)?, self.add(value)?)));
                Node::Object(members.collect::<Result<_, String>>()?)
            }
        };
        let index = u32::try_from(self.nodes.len()).map_err(|_| "too many values".to_owned())?;
        self.nodes.push(node);
        if let Value::String(text) = value {
            self.texts.insert(text, index);
        }
        if let Some(address) = address {
            self.shared.insert(address, index);
        }
        Ok(index)
    }

    fn all(&mut self, items: impl Iterator<Item = &'v Value>) -> Result<Vec<u32>, String> {
        items.map(|item| self.add(item)).collect()
    }
}

/// The first of the ways to write a number that gives the same one, spelled alike.
fn number(value: &Value) -> Result<Node<'static>, String> {
    /// Integers of which a float is one, too, and no other.
    const EXACT: u64 = 1 << 53;
    let Value::Number(number) = value else { return Err("no number".into()) };
    // Nearly all. A negative zero is 0 here, and is looked at.
    if let Some(value) = number.as_i64().filter(|value| *value != 0 && value.unsigned_abs() < EXACT) {
        return Ok(Node::Signed(value));
    }
    let text = number.format_decimal();
    let ways = [
        number.as_i64().map(Node::Signed),
        number.as_u64().map(Node::Unsigned),
        number.as_f64().map(Node::Float),
        Some(Node::Number(Cow::Owned(text.clone()))),
    ];
    let is_kept = |node: &Node<'static>| {
        let back = match node {
            Node::Signed(value) => Value::from(*value),
            Node::Unsigned(value) => Value::from(*value),
            Node::Float(value) => Value::from(*value),
            Node::Number(text) => Value::from_numeric_string(text).unwrap_or(Value::Undefined),
            _ => Value::Undefined,
        };
        back == *value && matches!(back, Value::Number(back) if back.format_decimal() == text)
    };
    ways.into_iter().flatten().find(is_kept).ok_or_else(|| format!("the number {text} cannot be kept"))
}

#[cfg(test)]
mod tests {
    use regorus::Engine;

    use super::*;

    /// As Rego spells them.
    const VALUES: [&str; 13] = [
        "[null, true, false, \"\", \"é\\u0000\"]",
        "{1: {2, \"2\", [2]}, [true]: {{}, set()}, null: {\"a\": {\"b\": set()}}}",
        "[0, -1, 9223372036854775807, -9223372036854775808, 9223372036854775808, 18446744073709551615]",
        "[18446744073709551616, -9223372036854775809, 9007199254740993]",
        "[123456789012345678901234567890123456789, -123456789012345678901234567890123456789]",
        "[1.5, -0.1, 0.30000000000000004, 1e300, 5e-324, 123456789.123456789]",
        "[1.0, 100e3, 1e2, 1e20, 1e22, 1e23, -0.0]",
        "[9223372036854775808.0, -9223372036854775808.0, 18446744073709551616.0, 9.223372036854775e18, 1.8446744073709552e19]",
        "[2 * 9223372036854775807, 18446744073709551615 * 18446744073709551615]",
        "[0.1 + 0.2, 1 / 3, 7 / 7, 10 % 3]",
        "[n | some n in numbers.range(1, 300)]",
        "{n: {m | some m in numbers.range(1, n)} | some n in numbers.range(1, 5)}",
        "[{}, [], set(), [[[[]]]]]",
    ];

    /// Equal, and spelled alike: 1 and 1.0 are one number to the engine.
    #[test]
    fn a_value_comes_back_as_it_was() {
        for text in VALUES {
            let mut engine = Engine::new();
            engine.add_policy("a.rego".to_owned(), format!("package a\nx := {text}\n")).unwrap();
            let value = engine.eval_rule("data.a.x".to_owned()).unwrap();
            assert_ne!(value, Value::Undefined, "{text}");
            let back = decode(&encode(&[value.clone(), value.clone()]).unwrap()).unwrap();
            for back in back {
                assert_eq!(back, value, "{text}");
                assert_eq!(back.to_string(), value.to_string(), "{text}");
            }
        }
    }

    /// What a configuration holds beyond 2^53 is a float.
    #[test]
    fn a_float_is_not_the_integer_next_to_it() {
        let limit = 2_f64.powi(63);
        for value in [limit, -limit, 2.0 * limit, limit * (1.0 - f64::EPSILON)] {
            let value = Value::from(value);
            let back = decode(&encode(std::slice::from_ref(&value)).unwrap()).unwrap();
            assert_eq!(back, [value]);
        }
        let [back] = &decode(&encode(&[limit.into()]).unwrap()).unwrap()[..] else { panic!("one value") };
        assert_ne!(*back, Value::from(i64::MAX));
        assert_eq!(*back, Value::from(1_u64 << 63));
    }

    #[test]
    fn what_is_shared_is_written_once() {
        let mut value = Value::from("a text");
        for _ in 0..64 {
            value = vec![value.clone(), value].into();
        }
        let bytes = encode(std::slice::from_ref(&value)).unwrap();
        assert!(bytes.len() < 512, "{} bytes", bytes.len());
        let [Value::Array(back)] = &decode(&bytes).unwrap()[..] else { panic!("a list") };
        let [Value::Array(one), Value::Array(other)] = back.as_slice() else { panic!("two lists") };
        assert!(Arc::ptr_eq(one, other));
    }

    #[test]
    fn what_was_not_written_is_not_read() {
        let bytes = encode(&[vec![Value::from("a"), Value::from(1)].into()]).unwrap();
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length]).is_none(), "the first {length} bytes");
        }
        // One that is not what it was may be another value, and is no panic.
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut bytes = bytes.clone();
                bytes[at] ^= 1 << bit;
                let _ = decode(&bytes);
            }
        }
        for nodes in [vec![Node::Array(vec![0])], vec![Node::Null, Node::Set(vec![2])], vec![Node::Number("x".into())]]
        {
            let bytes = postcard::to_allocvec(&Nodes { nodes, roots: vec![0] }).unwrap();
            assert!(decode(&bytes).is_none());
        }
    }
}
