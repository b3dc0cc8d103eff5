//! What reading costs, natively: `cargo bench --bench reader`, which `make bench` runs.
//!
//! Friendly messages of four sizes, read as JSON by serde_json, as strict JSON
//! and as a `Call`; then bodies of one megabyte that were made to cost much; then answers
//! to calls, as they pass. It prints medians, and asserts nothing.

#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "a program that measures may stop at what it did not expect"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use mcp_gate::http::Head;
use mcp_gate::json::{Json, Limits};
use mcp_gate::listing::Watch;
use mcp_gate::mcp::{Call, Dialect};
use serde_json::{Value, json};

const MEGABYTE: usize = 1024 * 1024 - 1;

fn main() {
    println!(
        "{:<24} {:>9} {:>12} {:>12} {:>12} {:>8}",
        "message", "bytes", "serde ns", "json ns", "call ns", "x serde"
    );
    let friendly: Vec<Vec<u8>> = [260, 4 * 1024, 100 * 1024, MEGABYTE].into_iter().map(message).collect();
    for body in &friendly {
        let serde = time(|| serde_json::from_slice::<Value>(body).is_ok());
        let json = time(|| Json::read(body, Limits::default()).is_ok());
        let call = time(|| Call::read(body, &Head::default(), &Dialect::default()).is_ok());
        let ratio = json.as_secs_f64() / serde.as_secs_f64();
        println!(
            "{:<24} {:>9} {:>12} {:>12} {:>12} {ratio:>8.2}",
            "friendly",
            body.len(),
            nanos(serde),
            nanos(json),
            nanos(call)
        );
    }
    let usual = time(|| Call::read(&friendly[3], &Head::default(), &Dialect::default()).is_ok());
    println!("\n{:<24} {:>9} {:>12} {:>10} {:>10}", "hostile", "bytes", "call ns", "x friendly", "read");
    for (name, body) in hostile() {
        assert!(body.len() <= MEGABYTE, "{name}: {} bytes", body.len());
        let is_read = Call::read(&body, &Head::default(), &Dialect::default()).is_ok();
        let call = time(|| Call::read(&body, &Head::default(), &Dialect::default()).is_ok());
        let ratio = call.as_secs_f64() / usual.as_secs_f64();
        println!("{name:<24} {:>9} {:>12} {ratio:>10.2} {is_read:>10}", body.len(), nanos(call));
    }
    println!("\n{:<24} {:>9} {:>12} {:>12}", "answer that passes", "bytes", "watch ns", "ns per KB");
    for (name, media_type, answer) in answers() {
        let pass = time(|| {
            let mut watch = Watch::new(media_type.as_bytes());
            answer.chunks(16 * 1024).all(|piece| watch.read(piece).is_ok())
        });
        let each = pass.as_secs_f64() * 1e9 * 1024.0 / answer.len() as f64;
        println!("{name:<24} {:>9} {:>12} {each:>12.0}", answer.len(), nanos(pass));
    }
}

/// What servers answer to calls: texts, and structured content.
fn answers() -> Vec<(String, &'static str, Vec<u8>)> {
    let mut answers = Vec::new();
    for size in [1024, 100 * 1024, MEGABYTE] {
        let text = "A paragraph of a document, \"quoted\", with a line's end.\n".repeat(size / 64);
        let text =
            json!({"jsonrpc": "2.0", "id": 7, "result": {"content": [{"type": "text", "text": text}]}}).to_string();
        let structured: Value = serde_json::from_slice(&message(size)).unwrap_or_default();
        let structured = json!({"jsonrpc": "2.0", "id": 7, "result": {"structuredContent": structured}}).to_string();
        for (name, body) in [("text", text), ("structured", structured)] {
            answers.push((format!("{name}, JSON"), "application/json", body.clone().into_bytes()));
            answers.push((format!("{name}, event"), "text/event-stream", format!("data: {body}\n\n").into_bytes()));
        }
    }
    answers
}

/// The median of one run over half a second of runs, at least five.
fn time(run: impl Fn() -> bool) -> Duration {
    let mut times = Vec::new();
    let start = Instant::now();
    while times.len() < 5 || start.elapsed() < Duration::from_millis(500) {
        let begin = Instant::now();
        black_box(run());
        times.push(begin.elapsed());
    }
    times.sort_unstable();
    times[times.len() / 2]
}

fn nanos(time: Duration) -> u128 {
    time.as_nanos()
}

/// A call of about this size, of the kind that agents send: texts, numbers, lists of objects.
fn message(size: usize) -> Vec<u8> {
    let mut items = Vec::new();
    let call = |items: &[Value]| {
        let arguments = json!({"query": "quarterly travel report", "limit": 10, "items": items});
        json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "search_documents", "arguments": arguments}})
    };
    let one = json!({"id": 1001, "title": "A paragraph of a document", "score": 0.875, "tags": ["a", "b"], "text": "Lorem ipsum dolor sit amet, ".repeat(8)});
    let (empty, each) = (call(&[]).to_string().len(), one.to_string().len() + 1);
    items.resize(size.saturating_sub(empty) / each, one);
    let mut text = call(&items).to_string();
    // The rest is white space, which a message may have.
    text.extend(std::iter::repeat_n(' ', size.saturating_sub(text.len())));
    text.into_bytes()
}

/// Calls of nearly a megabyte whose arguments are made to be expensive.
fn hostile() -> Vec<(&'static str, Vec<u8>)> {
    let call = |arguments: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"x","arguments":{arguments}}}}}"#)
            .into_bytes()
    };
    let fill = |each: &dyn Fn(usize) -> String, open: &str, close: &str| {
        let mut text = open.to_owned();
        for count in 0.. {
            let next = each(count);
            if count >= 19_000 || text.len() + next.len() + 200 > MEGABYTE {
                break;
            }
            if count > 0 {
                text.push(',');
            }
            text.push_str(&next);
        }
        text.push_str(close);
        call(&text)
    };
    let members = |name: &'static dyn Fn(usize) -> String| fill(&|count| format!("\"{}\":0", name(count)), "{", "}");
    let string = |unit: &str| call(&format!("{{\"a\":\"{}\"}}", unit.repeat((MEGABYTE - 200) / unit.len())));
    // As many names in unusual letters as are read, and a text of the rest.
    let odd = |unit: &str| {
        let names = (0..16).map(|count| format!("\"{}{count:02}\":0,", unit.repeat(1000 / unit.len())));
        let names: String = names.collect();
        let rest = "x".repeat(MEGABYTE - 200 - names.len());
        call(&format!("{{{names}\"rest\":\"{rest}\"}}"))
    };
    vec![
        ("names, one prefix", members(&|count| format!("{}{count:06}", "a".repeat(42)))),
        ("names, in capitals", members(&|count| format!("{}{count:06}", "A".repeat(42)))),
        ("names, escaped", members(&|count| format!("{}{count:06}", "\\u0061".repeat(7)))),
        ("names, fullwidth", odd("\u{ff21}")),
        ("names, marks", odd("a\u{301}")),
        ("names, marks in disorder", odd("\u{315}\u{300}")),
        ("names, ligatures", odd("\u{fdfa}")),
        ("names, unseen", odd("\u{200b}")),
        ("numbers, long", fill(&|_| format!("0.{}", "1".repeat(50)), "{\"a\":[", "]}")),
        ("numbers, doubtful", fill(&|_| "0.0".to_owned(), "{\"a\":[", "]}")),
        ("numbers, huge", fill(&|_| format!("{}e1", "9".repeat(50)), "{\"a\":[", "]}")),
        ("objects, empty", fill(&|_| "{}".to_owned(), "{\"a\":[", "]}")),
        ("objects, nested", fill(&|_| format!("{}{}", "[".repeat(25), "]".repeat(25)), "{\"a\":[", "]}")),
        ("string, escapes", string("\\u00e9")),
        ("string, pairs", string("\\ud83d\\ude00")),
        ("string, line feeds", string("\\n")),
        ("string, four bytes", string("\u{1f600}")),
        ("white space", call(&format!("{{{}}}", " ".repeat(MEGABYTE - 200)))),
        ("depth, unterminated", "[".repeat(MEGABYTE).into_bytes()),
    ]
}
