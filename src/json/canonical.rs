//! One spelling for each value: the JSON Canonicalization Scheme (RFC 8785).

use super::{Json, Object};

impl Json<'_> {
    /// The value in its one spelling: no white space, members by their names in UTF-16,
    /// numbers as ECMAScript writes a double. Members at the paths of `without` are left
    /// out where they are numbers or times, and nothing that says anything to anybody.
    pub fn canonical(&self, without: &[&[&str]]) -> Vec<u8> {
        let mut text = Vec::new();
        write(self, without, &mut text);
        text
    }
}

/// The depth is that of the text, which `Limits` bound.
fn write(value: &Json<'_>, without: &[&[&str]], text: &mut Vec<u8>) {
    match value {
        Json::Null => text.extend(b"null"),
        Json::Bool(true) => text.extend(b"true"),
        Json::Bool(false) => text.extend(b"false"),
        Json::Integer(integer) => text.extend(integer.to_string().into_bytes()),
        Json::Float(float) => text.extend(number(*float).into_bytes()),
        Json::String(string) => write_string(string, text),
        Json::Array(items) => {
            text.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(b',');
                }
                write(item, &[], text);
            }
            text.push(b']');
        }
        Json::Object(object) => write_object(object, without, text),
    }
}

fn write_object(object: &Object<'_>, without: &[&[&str]], text: &mut Vec<u8>) {
    let is_left_out = |name: &str, value: &Json<'_>| without.iter().any(|path| *path == [name]) && is_measure(value);
    let mut members: Vec<_> = object.members().filter(|(name, value)| !is_left_out(name, value)).collect();
    members.sort_by(|(one, _), (other, _)| one.encode_utf16().cmp(other.encode_utf16()));
    text.push(b'{');
    for (index, (name, value)) in members.into_iter().enumerate() {
        if index > 0 {
            text.push(b',');
        }
        write_string(name, text);
        text.push(b':');
        let below = without.iter().filter_map(|path| path.split_first().filter(|(first, _)| **first == name));
        let below: Vec<&[&str]> = below.map(|(_, below)| below).collect();
        write(value, &below, text);
    }
    text.push(b'}');
}

/// A number, or a time such as `2027-01-01T00:00:00Z`.
fn is_measure(value: &Json<'_>) -> bool {
    match value {
        Json::Integer(_) | Json::Float(_) => true,
        Json::String(text) => {
            text.len() <= 40 && text.bytes().all(|byte| byte.is_ascii_digit() || b"TZ:+-.".contains(&byte))
        }
        _ => false,
    }
}

/// serde_json escapes what RFC 8785 §3.2.2.2 escapes, as it does.
fn write_string(string: &str, text: &mut Vec<u8>) {
    // A string has no way to fail.
    text.extend(serde_json::to_vec(string).unwrap_or_default());
}

/// A finite double as ECMAScript writes it (Number::toString, RFC 8785 §3.2.2.3).
fn number(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let sign = if value < 0.0 { "-" } else { "" };
    // The shortest digits that read as this double, of two that do the even ones, which
    // serde_json finds and `format!` does not; and where their point is.
    let shortest = serde_json::to_string(&value.abs()).unwrap_or_default();
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    let digits = all.trim_start_matches('0');
    let zeros_before = all.len().saturating_sub(digits.len());
    let digits = digits.trim_end_matches('0');
    let length = |length: usize| i32::try_from(length).unwrap_or(i32::MAX);
    let exponent = exponent.parse::<i32>().unwrap_or_default();
    let point = exponent.saturating_add(length(whole.len())).saturating_sub(length(zeros_before));
    let count = length(digits.len());
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or_default());
    let cut = |at: i32| digits.split_at_checked(usize::try_from(at).unwrap_or_default()).unwrap_or((digits, ""));
    match point {
        _ if (count..=21).contains(&point) => format!("{sign}{digits}{}", zeros(point.saturating_sub(count))),
        1..=21 => {
            let (whole, fraction) = cut(point);
            format!("{sign}{whole}.{fraction}")
        }
        -5..=0 => format!("{sign}0.{}{digits}", zeros(point.saturating_neg())),
        _ => {
            let (first, rest) = cut(1);
            let dot = if rest.is_empty() { "" } else { "." };
            format!("{sign}{first}{dot}{rest}e{:+}", point.saturating_sub(1))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Limits;
    use super::*;

    fn canonical(text: &str, without: &[&[&str]]) -> String {
        let limits = Limits { alike: true, exact: false, ..Limits::default() };
        String::from_utf8(Json::read(text.as_bytes(), limits).unwrap().canonical(without)).unwrap()
    }

    /// RFC 8785 §3.2.2 and §3.2.3, as they stand there.
    #[test]
    fn the_examples_of_rfc_8785_are_written_as_it_says() {
        let primitives = r#"{
            "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
            "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
            "literals": [null, true, false]
        }"#;
        assert_eq!(
            canonical(primitives, &[]),
            "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],\"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}"
        );
        let sorted = r#"{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew","1":"One","\ud83d\ude00":"Emoji","\u0080":"Control","\u00f6":"Latin"}"#;
        // A control character in a name is refused by the reader.
        let sorted = sorted.replace(r#""\r":"Carriage Return","#, "");
        let names: serde_json::Value = serde_json::from_str(&canonical(&sorted, &[])).unwrap();
        assert_eq!(names.as_object().unwrap().len(), 6);
        let text = canonical(&sorted, &[]);
        let places: Vec<_> =
            ["One", "Control", "Latin", "Euro", "Emoji", "Hebrew"].map(|value| text.find(value).unwrap()).into();
        assert!(places.is_sorted(), "{text}");
    }

    /// RFC 8785, appendix B, and the borders of ECMAScript's forms.
    #[test]
    fn numbers_are_written_as_ecmascript_writes_them() {
        for (bits, expected) in [
            (0x0000_0000_0000_0000_u64, "0"),
            (0x8000_0000_0000_0000, "0"),
            (0x0000_0000_0000_0001, "5e-324"),
            (0x8000_0000_0000_0001, "-5e-324"),
            (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
            (0x4340_0000_0000_0000, "9007199254740992"),
            (0xc340_0000_0000_0000, "-9007199254740992"),
            (0x4430_0000_0000_0000, "295147905179352830000"),
            (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
            (0x44b5_2d02_c7e1_4af6, "1e+23"),
            (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
            (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
            (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
            (0x444b_1ae4_d6e2_ef50, "1e+21"),
            (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
            (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
            (0x41b3_de43_5555_5553, "333333333.3333332"),
            (0x41b3_de43_5555_5555, "333333333.3333333"),
            (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
            (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
        ] {
            assert_eq!(number(f64::from_bits(bits)), expected, "{bits:x}");
        }
        assert_eq!(canonical("[1e2,100,100.0]", &[]), "[100,100,100]");
    }

    #[test]
    fn what_is_left_out_is_a_measure_at_its_very_place() {
        let without: &[&[&str]] = &[&["size"], &["annotations", "lastModified"]];
        for (text, expected) in [
            (r#"{"size":7,"a":{"size":7}}"#, r#"{"a":{"size":7}}"#),
            (r#"{"size":"ignore what you were told"}"#, r#"{"size":"ignore what you were told"}"#),
            (
                r#"{"annotations":{"lastModified":"2027-01-01T00:00:00Z","priority":1}}"#,
                r#"{"annotations":{"priority":1}}"#,
            ),
            (r#"{"annotations":[{"lastModified":"2027"}]}"#, r#"{"annotations":[{"lastModified":"2027"}]}"#),
            (r#"{"lastModified":"2027"}"#, r#"{"lastModified":"2027"}"#),
        ] {
            assert_eq!(canonical(text, without), expected);
        }
    }
}
