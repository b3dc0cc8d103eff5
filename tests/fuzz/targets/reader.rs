//! Any bytes, as JSON and as a message. What is read is strict JSON that
//! serde_json reads too, to the same tree, within its limits, without two
//! members that some reader takes for one; and a call says what its text says.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mcp_gate::http::Head;
use mcp_gate::json::{Json, Limits};
use mcp_gate::mcp::{Call, Dialect, Kind};
use mcp_gate_fuzz::oracle::{Meaning, READINGS, Tree};
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    // Behind the text, so that the text of a seed stands as it is.
    let Some((text, [depth, nodes, name, string, headers])) = data.split_last_chunk() else { return };
    let chosen = |byte: &u8, usual: usize| if *byte >= b'0' { usual } else { usize::from(*byte) };
    let limits = Limits {
        depth: chosen(depth, 64) as u32,
        nodes: chosen(nodes, 20_000) as u32,
        name: chosen(name, 1024),
        string: chosen(string, 1024 * 1024 - 1),
        ..Limits::default()
    };

    let read = Json::read(text, limits);
    if let Ok(json) = &read {
        let value: Value = serde_json::from_slice(text).expect("serde_json reads what we read");
        assert_eq!(json.clone().into_owned(), value, "the tree is that of serde_json");
        let tree = Tree::read(text).expect("serde_json reads what we read");
        assert!(!tree.has_alike(), "two members that look alike");
        assert!(tree.depth() <= limits.depth && tree.count() <= limits.nodes, "beyond depth or nodes");
        let (name, string) = tree.longest();
        assert!(name <= limits.name && string <= limits.string, "beyond name or string");
        let again = serde_json::to_vec(&value).expect("a tree has a text");
        let again = Json::read(&again, limits).expect("what was read can be read again");
        assert_eq!(again.into_owned(), value, "read again it is the same");
    }

    let head = head(text, *headers);
    let dialect = Dialect { limits, ..Dialect::default() };
    let Ok(call) = Call::read(text, &head, &dialect) else { return };
    assert!(read.is_ok(), "a call of what is no JSON");
    let tree = Tree::read(text).expect("a call is JSON");
    let meanings = READINGS.map(|reading| Meaning::of(&tree, reading));
    let meaning = &meanings[0];
    for other in &meanings[1..] {
        // What only a policy names may differ; the policy is not here.
        let same = (meaning.version, meaning.id, meaning.method, meaning.name);
        assert_eq!(same, (other.version, other.id, other.method, other.name), "a reader sees another call");
    }
    assert_eq!(call.method.as_deref(), meaning.method(), "the method");
    // The answer to a request of the server has the id of that request.
    let is_response = call.kind == Kind::Response;
    assert_eq!(call.id.is_some(), meaning.id.is_some() && !is_response, "the id");
    assert_eq!(call.method.is_none(), is_response, "the kind");
    if let Some("tools/call" | "prompts/get") = call.method.as_deref() {
        assert_eq!(call.name.as_deref().map(|name| Tree::String(name.to_owned())).as_ref(), meaning.name, "the name");
    }
});

/// Headers that say what the body says, where it says anything.
fn head(text: &[u8], choice: u8) -> Head {
    const VERSIONS: [Option<&str>; 4] = [None, Some("2026-07-28"), Some("2025-11-25"), Some("2025-06-18")];
    let mut headers = vec![(":method".to_owned(), b"POST".to_vec())];
    if let Some(version) = VERSIONS[usize::from(choice % 4)] {
        headers.push(("mcp-protocol-version".to_owned(), version.into()));
    }
    if choice % 8 < 4 {
        let value: Value = serde_json::from_slice(text).unwrap_or_default();
        let text = |value: &Value| value.as_str().map(|text| text.as_bytes().to_vec());
        headers.extend(text(&value["method"]).map(|method| ("mcp-method".to_owned(), method)));
        let params = &value["params"];
        let named = ["name", "uri", "taskId"].into_iter().find_map(|name| text(&params[name]));
        headers.extend(named.map(|name| ("mcp-name".to_owned(), name)));
    }
    Head::new(headers)
}
