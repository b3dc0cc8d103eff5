//! The cases against the code: no way to say no, and no field of the
//! configuration, without a case.

use std::collections::BTreeSet;
use std::path::Path;

use libtest_mimic::Trial;
use serde_json::Value;

use crate::case::{AUTHORITY, Expect, File};

pub(crate) fn trials(files: &[File]) -> Vec<Trial> {
    let cases: Vec<_> = files.iter().filter_map(|file| file.case(AUTHORITY).ok()).collect();
    // No request makes Envoy fail, and a hundred thousand fill the store of proofs:
    // `gate.rs` and `replay.rs` have unit tests. What a server
    // answers is shown by `sessions.rs` and `lists.rs`.
    let elsewhere =
        ["host_failed", "replay_store_full", "session_unbound", "list_unreadable", "list_too_large", "list_changed"];
    let mut codes: BTreeSet<String> = elsewhere.map(str::to_owned).into();
    let mut fields = BTreeSet::new();
    for case in &cases {
        for step in &case.steps {
            match &step.expect {
                Expect::Reply(reply) => drop(codes.insert(reply.code.clone())),
                Expect::Unanswered {} => drop(codes.insert("incomplete".into())),
                // A field that does something does it in a configuration that is good.
                Expect::Refused(_) => continue,
                Expect::Forward(_) | Expect::Edge { .. } | Expect::Reset {} => {}
            }
            names(&case.given, &mut fields);
        }
    }
    let denials = denials();
    let unseen: Vec<_> = denials.difference(&codes).cloned().collect();
    let unused: Vec<_> = configuration().difference(&fields).cloned().collect();
    let lacks = |what: &str, missing: Vec<String>| match missing.is_empty() {
        true => Ok(()),
        false => Err(format!("expected a case for each {what}, found none for {}", missing.join(", ")).into()),
    };
    let known = denials.len();
    vec![
        Trial::test("corpus/every_denial_has_a_case", move || lacks("denial", unseen)),
        Trial::test("corpus/REGO-21 every_field_has_a_case", move || lacks("field", unused)),
        Trial::test(
            "corpus/denials_were_found",
            move || if known > 30 { Ok(()) } else { Err(format!("{known}").into()) },
        ),
    ]
}

fn source(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("a file of src")
}

/// The codes in `Denial::code`.
fn denials() -> BTreeSet<String> {
    let source = source("src/denial.rs");
    let body = source.split_once("fn code(").expect("fn code").1.split_once("fn status(").expect("fn status").0;
    body.lines().filter_map(|line| Some(line.split_once("=> \"")?.1.split_once('"')?.0.to_owned())).collect()
}

/// The fields of the structs in `config.rs` that are read from a configuration,
/// but for those that every configuration has.
fn configuration() -> BTreeSet<String> {
    const ALWAYS: [&str; 6] = ["policy", "name", "issuer", "inline", "keys", "url"];
    let source =
        ["config", "config/issuers", "config/jwks", "config/resources", "config/rules", "config/rules/condition"]
            .map(|name| source(&format!("src/{name}.rs")))
            .concat();
    let structs = source.split("#[serde(deny_unknown_fields").skip(1);
    let mut fields = BTreeSet::new();
    for text in structs {
        let body = text.split_once('{').expect("a struct").1.split_once("\n}").expect("its end").0;
        for line in body.lines().filter(|line| !line.trim_start().starts_with(['/', '#'])) {
            // Behind `pub(super) ` and the like.
            let name = line.split_once(": ").and_then(|(name, _)| name.split_whitespace().last());
            fields.extend(name.map(|name| name.trim_start_matches("r#").to_owned()));
        }
    }
    assert!(fields.contains("time_limit_ms") && fields.contains("hold"), "src/config.rs: found {fields:?}");
    fields.retain(|name| !ALWAYS.contains(&name.as_str()));
    fields
}

/// All names of members, down to the modules.
fn names(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                found.insert(name.clone());
                names(value, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| names(item, found)),
        _ => {}
    }
}
