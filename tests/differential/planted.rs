//! Laxities planted on purpose: each is put before the gate's reader and repairs
//! what that would refuse, or changes what it would read, as a lax parser would.
//! The judges must notice.

use mcp_gate::json::{Json, Limits};
use serde_json::{Map, Value};

/// A text as a lax reader takes it.
pub(crate) type Repair = fn(&[u8]) -> Vec<u8>;

pub(crate) struct Laxity {
    pub(crate) name: &'static str,
    pub(crate) repair: Repair,
}

pub(crate) const LAXITIES: [Laxity; 12] = [
    Laxity { name: "the last of two members counts", repair: last_wins },
    Laxity { name: "names have no case", repair: any_case },
    Laxity { name: "a byte order mark is skipped", repair: without_mark },
    Laxity { name: "what follows the message is ignored", repair: first_value },
    Laxity { name: "invalid UTF-8 is replaced", repair: replaced },
    Laxity { name: "half a surrogate pair is replaced", repair: whole_pairs },
    Laxity { name: "comments are skipped", repair: without_comments },
    Laxity { name: "negative zero is zero", repair: without_minus_zero },
    Laxity { name: "large integers are rounded", repair: rounded },
    Laxity { name: "UTF-16 is detected", repair: from_utf16 },
    Laxity { name: "escapes are left as they stand", repair: unescaped },
    Laxity { name: "digits after the fifteenth are dropped", repair: fifteen_digits },
];

fn replace(text: &[u8], from: &str, to: &str) -> Vec<u8> {
    match std::str::from_utf8(text) {
        Ok(text) => text.replace(from, to).into_bytes(),
        Err(_) => text.to_vec(),
    }
}

fn last_wins(text: &[u8]) -> Vec<u8> {
    match serde_json::from_slice::<Value>(text) {
        Ok(value) => value.to_string().into_bytes(),
        Err(_) => text.to_vec(),
    }
}

fn any_case(text: &[u8]) -> Vec<u8> {
    const KNOWN: [&str; 9] = ["jsonrpc", "id", "method", "params", "name", "uri", "taskId", "arguments", "_meta"];
    fn exact(members: Map<String, Value>) -> Map<String, Value> {
        let exact = |name: String| {
            let known = KNOWN.into_iter().find(|known| known.eq_ignore_ascii_case(&name));
            known.map_or(name, str::to_owned)
        };
        members.into_iter().map(|(name, value)| (exact(name), value)).collect()
    }
    // Strict in all else.
    let limits = Limits { alike: true, ..Limits::default() };
    match Json::read(text, limits).map(Json::into_owned) {
        Ok(Value::Object(members)) => {
            let mut members = exact(members);
            if let Some(Value::Object(params)) = members.get_mut("params") {
                *params = exact(std::mem::take(params));
            }
            Value::Object(members).to_string().into_bytes()
        }
        _ => text.to_vec(),
    }
}

fn without_mark(text: &[u8]) -> Vec<u8> {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text).to_vec()
}

fn first_value(text: &[u8]) -> Vec<u8> {
    let mut values = serde_json::Deserializer::from_slice(text).into_iter::<Value>();
    match values.next() {
        Some(Ok(_)) => text[..values.byte_offset()].to_vec(),
        _ => text.to_vec(),
    }
}

fn replaced(text: &[u8]) -> Vec<u8> {
    String::from_utf8_lossy(text).into_owned().into_bytes()
}

fn whole_pairs(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    let unit = |text: &[u8]| {
        let digits = text.strip_prefix(b"\\u")?.get(..4)?;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    while let Some((first, tail)) = rest.split_first() {
        let size = match (unit(rest), rest.get(6..).and_then(unit)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                out.extend_from_slice(b"\\ufffd");
                rest = &rest[6..];
                continue;
            }
            // An escaped backslash starts no escape.
            _ if *first == b'\\' && !tail.is_empty() => 2,
            _ => 1,
        };
        out.extend_from_slice(&rest[..size]);
        rest = &rest[size..];
    }
    out
}

fn without_comments(text: &[u8]) -> Vec<u8> {
    replace(&replace(text, "/**/", ""), "//x\n", "")
}

fn without_minus_zero(text: &[u8]) -> Vec<u8> {
    let mut text = text.to_vec();
    for end in [",", "}", "]", ".0", "e1"] {
        text = replace(&text, &format!(":-0{end}"), &format!(":0{end}"));
    }
    text
}

fn rounded(text: &[u8]) -> Vec<u8> {
    replace(text, "9007199254740993", "9007199254740991")
}

fn from_utf16(text: &[u8]) -> Vec<u8> {
    let little = |pair: &[u8]| u16::from_le_bytes([pair[0], pair[1]]);
    let big = |pair: &[u8]| u16::from_be_bytes([pair[0], pair[1]]);
    let units: Vec<u16> = match text {
        [0xff, 0xfe, rest @ ..] => rest.chunks_exact(2).map(little).collect(),
        [0xfe, 0xff, rest @ ..] => rest.chunks_exact(2).map(big).collect(),
        [b'{', 0, ..] => text.chunks_exact(2).map(little).collect(),
        [0, b'{', ..] => text.chunks_exact(2).map(big).collect(),
        _ => return text.to_vec(),
    };
    String::from_utf16_lossy(&units).into_bytes()
}

fn unescaped(text: &[u8]) -> Vec<u8> {
    replace(text, "\\u", "\\\\u")
}

fn fifteen_digits(text: &[u8]) -> Vec<u8> {
    let (mut run, mut fraction) = (0, false);
    let kept = text.iter().filter(|byte| {
        fraction |= **byte == b'.';
        run = if byte.is_ascii_digit() && fraction { run + 1 } else { 0 };
        fraction &= run > 0 || **byte == b'.';
        run <= 15
    });
    kept.copied().collect()
}
