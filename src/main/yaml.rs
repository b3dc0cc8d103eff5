//! YAML as Envoy reads it: what stands there without quotes is a truth value or a number
//! by Envoy's rules, which are neither those of YAML 1.1 nor those of 1.2.
//!
//! Of two members of one name Envoy takes the last, and says nothing. Here they are found.

use std::collections::BTreeMap;

use mcp_gate::config::Finding;
use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput, Tag};
use serde_json::{Map, Value};

/// Lists and objects within each other, as many as the module takes.
const DEPTH: usize = 100;

/// The most bytes that aliases may stand for.
const MOST_COPIED: usize = 16 << 20;

/// One document.
pub(crate) struct Document {
    pub(crate) value: Value,
    /// What is wrong with it.
    pub(crate) findings: Vec<Finding>,
    /// What is not what it looks like.
    pub(crate) remarks: Vec<Finding>,
}

/// Reads the one document of a text.
pub(crate) fn read(text: &str) -> Result<Document, String> {
    let mut reader = Reader {
        events: Parser::new_from_str(text),
        anchors: BTreeMap::new(),
        copied: 0,
        findings: Vec::new(),
        remarks: Vec::new(),
    };
    let mut value = None;
    loop {
        match reader.next()? {
            (Event::StreamEnd, _) => break,
            (Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing, _) => {}
            (_, span) if value.is_some() => {
                return Err(format!("expected one document, found another on line {}", line(span)));
            }
            (event, span) => value = Some(reader.value(event, span, "", 0)?),
        }
    }
    let value = value.unwrap_or_default();
    Ok(Document { value, findings: reader.findings, remarks: reader.remarks })
}

struct Reader<'t> {
    events: Parser<'t, StrInput<'t>>,
    anchors: BTreeMap<usize, Value>,
    copied: usize,
    findings: Vec<Finding>,
    remarks: Vec<Finding>,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Span), String> {
        match self.events.next_event() {
            Some(event) => event.map_err(|error| error.to_string()),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn value(&mut self, event: Event<'t>, span: Span, path: &str, depth: usize) -> Result<Value, String> {
        if depth > DEPTH {
            return Err(format!("expected at most {DEPTH} lists and objects within each other"));
        }
        let depth = depth.saturating_add(1);
        let (anchor, value) = match event {
            Event::Alias(anchor) => return self.copy(anchor),
            Event::Scalar(text, style, anchor, tag) => (anchor, self.scalar(&text, style, tag.as_deref(), path, span)),
            Event::SequenceStart(anchor, _) => {
                let mut items = Vec::new();
                loop {
                    let (event, span) = self.next()?;
                    if event == Event::SequenceEnd {
                        break (anchor, Value::Array(items));
                    }
                    let path = format!("{path}[{}]", items.len());
                    items.push(self.value(event, span, &path, depth)?);
                }
            }
            Event::MappingStart(anchor, _) => (anchor, self.object(path, depth)?),
            _ => return Err(format!("expected a value on line {}", line(span))),
        };
        if anchor > 0 {
            self.anchors.insert(anchor, value.clone());
        }
        Ok(value)
    }

    fn object(&mut self, path: &str, depth: usize) -> Result<Value, String> {
        let mut members = Map::new();
        let mut lines: BTreeMap<String, usize> = BTreeMap::new();
        loop {
            let (event, span) = self.next()?;
            let (name, is_ignored) = match event {
                Event::MappingEnd => return Ok(Value::Object(members)),
                Event::Scalar(name, _, _, tag) => (name.into_owned(), tag.is_some_and(|tag| is_own(&tag, "ignore"))),
                _ => return Err(format!("expected a name on line {}", line(span))),
            };
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let (event, value) = self.next()?;
            let value = self.value(event, value, &path, depth)?;
            // So that parts of a file can be kept for aliases alone.
            if is_ignored {
                continue;
            }
            if let Some(first) = lines.insert(name.clone(), line(span)) {
                let problem = format!(
                    "expected it once, found it on line {first} and on line {}, of which Envoy takes the last alone; make one of them",
                    line(span)
                );
                self.findings.push(Finding { path, problem });
            }
            members.insert(name, value);
        }
    }

    fn copy(&mut self, anchor: usize) -> Result<Value, String> {
        let value = self.anchors.get(&anchor).cloned().ok_or("expected an alias of a value that is complete")?;
        self.copied = self.copied.saturating_add(value.to_string().len());
        if self.copied > MOST_COPIED {
            return Err(format!("expected aliases to stand for at most {MOST_COPIED} bytes"));
        }
        Ok(value)
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>, path: &str, span: Span) -> Value {
        let is_text = tag.map_or(style != ScalarStyle::Plain, |tag| is_own(tag, ""));
        if is_text {
            return text.into();
        }
        let value = plain(text);
        if is_odd(text, &value) {
            let advice = match text.parse::<f64>() {
                Ok(_) if value.is_string() => {
                    "to Rego it is greater than every number; count in another unit, or write Rego with `to_number`"
                }
                _ => "put a text in quotes, and write anything else plainly",
            };
            let problem = format!(
                "Envoy reads `{text}` on line {} as {}; {advice}",
                line(span),
                if value.is_string() { "a text".to_owned() } else { format!("`{value}`") },
            );
            self.remarks.push(Finding { path: path.to_owned(), problem });
        }
        value
    }
}

/// What Envoy makes of a scalar without quotes: yaml-cpp says what is a truth value or a
/// whole number, and of those beyond 32 bits, and of fractions, Envoy makes texts.
fn plain(text: &str) -> Value {
    if matches!(text, "" | "~" | "null" | "Null" | "NULL") {
        return Value::Null;
    }
    if let Some(bool) = truth(text) {
        return bool.into();
    }
    match whole(text) {
        Some(number) if i32::try_from(number).is_ok() => number.into(),
        Some(number) => number.to_string().into(),
        None => text.into(),
    }
}

/// `yes`, `Yes` and `YES`, but not `yEs`.
fn truth(text: &str) -> Option<bool> {
    let lower = text.to_ascii_lowercase();
    let rest = text.get(1..).unwrap_or_default();
    let is_plain = text == lower || text == text.to_ascii_uppercase() || lower.get(1..) == Some(rest);
    match lower.as_str() {
        "true" | "yes" | "on" | "y" if is_plain => Some(true),
        "false" | "no" | "off" | "n" if is_plain => Some(false),
        _ => None,
    }
}

fn whole(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (digits, radix) = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if digits.starts_with('0') => (digits, 8),
        None => (digits, 10),
    };
    let number =
        Some(digits).filter(|digits| !digits.starts_with(['-', '+'])).map(|digits| i64::from_str_radix(digits, radix));
    number?.ok().map(|number| if text.starts_with('-') { number.saturating_neg() } else { number })
}

/// Would another reader of YAML, or a human one, read it otherwise?
fn is_odd(text: &str, value: &Value) -> bool {
    match value {
        Value::Bool(_) => !text.eq_ignore_ascii_case("true") && !text.eq_ignore_ascii_case("false"),
        Value::Number(number) => number.to_string() != text,
        Value::String(_) => {
            text.bytes().any(|byte| byte.is_ascii_digit()) && text.parse::<f64>().is_ok_and(f64::is_finite)
        }
        _ => false,
    }
}

/// Writes a value so that every reader of YAML reads the same: all texts in quotes.
pub(crate) fn write(value: &Value) -> String {
    let mut text = String::new();
    add(value, 0, &mut text);
    text
}

fn add(value: &Value, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, value) in members {
                let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
                    && plain(name) == *name
                    && !name.starts_with(|first: char| first.is_ascii_digit());
                let name = if is_plain { name.clone() } else { Value::from(name.as_str()).to_string() };
                // A name beside its colon has at most 1024 characters.
                let name = if name.len() > 1000 { format!("? {name}\n{indent}") } else { name };
                let is_nested = value.as_object().is_some_and(|members| !members.is_empty());
                let is_nested = is_nested || value.as_array().is_some_and(|items| !items.is_empty());
                text.push_str(&format!("{indent}{name}:"));
                if is_nested {
                    text.push('\n');
                    add(value, depth.saturating_add(1), text);
                } else {
                    text.push_str(&format!(" {value}\n"));
                }
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                let mut inner = String::new();
                add(item, depth.saturating_add(1), &mut inner);
                let inner = inner.trim_start();
                text.push_str(&format!("{indent}- {inner}"));
            }
        }
        scalar => text.push_str(&format!("{indent}{scalar}\n")),
    }
}

fn is_own(tag: &Tag, suffix: &str) -> bool {
    format!("{}{}", tag.handle, tag.suffix).strip_prefix('!') == Some(suffix)
}

fn line(span: Span) -> usize {
    span.start.line()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn findings(found: &[Finding]) -> Vec<String> {
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_name_that_stands_twice_is_found_with_its_lines() {
        let text = "a:\n- b: 1\n  c: {d: 1, d: 2}\n  b: 2\na: []\n";
        let Document { findings: found, .. } = read(text).unwrap();
        let once = |path: &str, first, second| {
            format!(
                "{path}: expected it once, found it on line {first} and on line {second}, of which Envoy takes the last alone; make one of them"
            )
        };
        assert_eq!(findings(&found), [once("a[0].c.d", 3, 3), once("a[0].b", 2, 4), once("a", 1, 5)]);
        assert!(read("{\"a\": {\"a\": 1}, \"b\": [{\"a\": 1}, {\"a\": 1}]}").unwrap().findings.is_empty());
    }

    #[test]
    fn scalars_are_what_they_are_to_envoy() {
        let text = "[on, No, y, oN, 'on', \"7\", 7, 007, 0x1f, 08, 2147483648, 2.5, 1e3, ~, null, 1_0, !!str 7, ! 7]";
        let Document { value, remarks, .. } = read(text).unwrap();
        let expected = json!([
            true,
            false,
            true,
            "oN",
            "on",
            "7",
            7,
            7,
            31,
            "08",
            "2147483648",
            "2.5",
            "1e3",
            null,
            null,
            "1_0",
            7,
            "7"
        ]);
        assert_eq!(value, expected);
        let paths: Vec<&str> = remarks.iter().map(|remark| remark.path.as_str()).collect();
        assert_eq!(paths, ["[0]", "[1]", "[2]", "[7]", "[8]", "[9]", "[10]", "[11]", "[12]"]);
        let said = "[7]: Envoy reads `007` on line 1 as `7`; put a text in quotes, and write anything else plainly";
        assert_eq!(findings(&remarks[3..4]), [said]);
    }

    #[test]
    fn aliases_stand_for_what_was_anchored() {
        let text = "a: &a {b: [1]}\n!ignore kept: &b 2\nc: [*a, *b]\n";
        assert_eq!(read(text).unwrap().value, json!({"a": {"b": [1]}, "c": [{"b": [1]}, 2]}));
        let mut laughs = "a: &a0 [0123456789]\n".to_owned();
        for level in 1..12 {
            let before = format!("*a{}, ", level - 1).repeat(10);
            laughs.push_str(&format!("b{level}: &a{level} [{before}]\n"));
        }
        assert!(read(&laughs).is_err_and(|problem| problem.contains("aliases")));
        assert!(read(&"[".repeat(1000)).is_err());
        assert!(read("a: 1\n---\nb: 1\n").is_err_and(|problem| problem.contains("one document")));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let value = json!({
            "resources": [{"url": "https://a", "catalogue": {
                "tools": {"y": {"sha256": "1e9", "annotations": {"title": "on\u{7}\n", "x": 0, "list": [1, {"a": "b"}, [], {}]}}},
                "prompts": {},
                "resources": {"x".repeat(2000): {"sha256": "00"}, "file:///a#b": {"sha256": "~"}, "1": {"sha256": "'\""}},
            }}],
        });
        let text = write(&value);
        let Document { value: found, findings, remarks } = read(&text).unwrap();
        assert_eq!((&found, findings.len(), remarks.len()), (&value, 0, 0), "{text}");
        assert_eq!(yaml_serde::from_str::<Value>(&text).unwrap(), value, "{text}");
    }
}
