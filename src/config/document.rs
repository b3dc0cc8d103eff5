//! The bytes of a configuration, as the JSON that they stand for.

use prost::Message as _;

use crate::json::{Json, Limits};

/// A configuration as JSON. An object begins with `{`; a `Struct` on the wire
/// with the tag of its first member, which is a line feed.
pub fn document(configuration: &[u8]) -> Result<serde_json::Value, String> {
    if configuration.first() == Some(&b'{') {
        // An operator's own data may hold `alice` and `Alice`.
        let limits = Limits { nodes: 1_000_000, alike: true, ..Limits::default() };
        return Json::read(configuration, limits).map(Json::into_owned).map_err(|error| error.to_string());
    }
    let decoded = prost_types::Struct::decode(configuration);
    let decoded = decoded.map_err(|error| format!("expected a google.protobuf.Struct or a JSON object: {error}"))?;
    Ok(members(decoded))
}

// prost bounds the depth at 100.
fn members(object: prost_types::Struct) -> serde_json::Value {
    object.fields.into_iter().map(|(name, value)| (name, value_of(value))).collect()
}

fn value_of(value: prost_types::Value) -> serde_json::Value {
    use prost_types::value::Kind;
    match value.kind {
        None | Some(Kind::NullValue(_)) => serde_json::Value::Null,
        Some(Kind::BoolValue(bool)) => bool.into(),
        Some(Kind::NumberValue(number)) => integer(number).map_or_else(|| number.into(), Into::into),
        Some(Kind::StringValue(text)) => text.into(),
        Some(Kind::ListValue(list)) => list.values.into_iter().map(value_of).collect(),
        Some(Kind::StructValue(object)) => members(object),
    }
}

/// A number that was an integer before `Struct` made a double of it.
#[expect(clippy::cast_possible_truncation, reason = "the range was checked")]
fn integer(number: f64) -> Option<i64> {
    const SAFE: f64 = 9_007_199_254_740_991.0;
    (number.fract() == 0.0 && (-SAFE..=SAFE).contains(&number)).then_some(number as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_struct_is_read_whatever_the_length_of_its_first_member() {
        // 123 is `{`, and the tag before it a line feed.
        for length in 0..300 {
            let value = prost_types::Value { kind: Some(prost_types::value::Kind::StringValue("x".repeat(length))) };
            let object = prost_types::Struct { fields: [("a".to_owned(), value)].into() };
            let read = document(&object.encode_to_vec());
            assert_eq!(read, Ok(serde_json::json!({"a": "x".repeat(length)})), "{length}");
        }
        assert_eq!(document(b"{\"a\": 1}"), Ok(serde_json::json!({"a": 1})));
        assert!(document(b"{\"a\": 1, \"a\": 2}").is_err());
        assert!(document(b"\xff").is_err());
    }
}
