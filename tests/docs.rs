//! The documents against the code.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use libtest_mimic::{Failed, Trial};
use mcp_gate::config;
use serde_json::{Value, json};

use crate::keys::surroundings;

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |name: &str, check: fn() -> Result<(), String>| {
        Trial::test(format!("docs/{name}"), move || check().map_err(Failed::from))
    };
    vec![
        trial("the_configuration_of_readme_loads", configuration_loads),
        trial("the_table_of_readme_has_every_field_and_no_other", fields_agree),
        trial("the_rules_of_readme_are_the_tested_ones", rules_agree),
        trial("the_rego_of_readme_is_the_tested_one", rego_agrees),
        trial("the_input_of_readme_is_that_of_the_schema", input_agrees),
        trial("the_answers_of_readme_are_those_of_the_code", answers_agree),
        trial("the_code_map_of_architecture_is_src", code_map),
        trial("the_examples_of_readme_for_identity_providers_are_the_tested_ones", examples_agree),
        trial("imports_go_one_way", imports_go_one_way),
        trial("the_edge_of_envoy_yaml_is_closed", edge_is_closed),
        trial("architecture_is_short", architecture_is_short),
    ]
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What stands between two texts.
fn between<'a>(text: &'a str, start: &str, end: &str) -> Result<&'a str, String> {
    let after = text.split_once(start).ok_or_else(|| format!("expected `{start}`"))?.1;
    Ok(after.split_once(end).ok_or_else(|| format!("expected `{end}` after `{start}`"))?.0)
}

/// The example under "Configuration".
fn example() -> Result<Value, String> {
    let readme = read("README.md");
    let section = between(&readme, "\n## Configuration\n", "\n## ")?;
    yaml_serde::from_str(between(section, "```yaml\n", "```")?).map_err(|error| error.to_string())
}

/// That one, and with the policies under "Candidate".
fn configuration_loads() -> Result<(), String> {
    let readme = read("README.md");
    let tried = between(between(&readme, "\n## Candidate\n", "\n## ")?, "```yaml\n", "```")?;
    let mut tried: Value = yaml_serde::from_str(tried).map_err(|error| error.to_string())?;
    let (whole, mut both) = (example()?, example()?);
    both["policy"] = tried["policy"].take();
    for (document, has_candidate) in [(whole, false), (both, true)] {
        let gate = config::load_document(document, &surroundings()).map_err(|findings| format!("{findings:?}"))?;
        if gate.candidate.map_err(|findings| format!("{findings:?}"))?.is_some() != has_candidate {
            return Err(format!("expected a candidate: {has_candidate}"));
        }
    }
    Ok(())
}

/// The names in backticks of each first cell of a section's table.
fn rows(readme: &str, section: &str) -> Result<Vec<Vec<String>>, String> {
    let section = between(readme, &format!("\n## {section}\n"), "\n## ")?;
    let rows = section.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| field"));
    Ok(rows.map(|row| row.split('`').skip(1).step_by(2).map(str::to_owned).collect()).collect())
}

/// Every object of the configuration is given a field that nobody knows: serde's
/// answer names those that it does know.
fn fields_agree() -> Result<(), String> {
    let mut whole = example()?;
    whole["session_keys"] = json!([{"env": "MCP_GATE_SESSION_KEY"}]);
    whole["resources"][0]["denials"] = json!({});
    whole["resources"][0]["limits"] = json!({});
    whole["resources"][0]["metadata"] = json!({});
    whole["resources"][0]["dpop"] = json!({});
    whole["issuers"][0]["claims"] = json!({});
    whole["issuers"][0]["revoked"] = json!({});
    whole["issuers"][0]["introspection"] =
        json!({"cluster": "", "url": "", "client_id": "", "client_secret": {"env": "NAME"}});
    whole["api_keys"] = json!([{"name": "", "digests": [], "subject": ""}]);
    whole["resources"][0]["versions"] = json!({});
    whole["resources"][0]["extensions"] = json!({});
    whole["policy"]["candidate"] = json!({});
    let pins = json!({"NAME": {"sha256": ""}});
    whole["resources"][0]["catalogue"] = json!({"tools": pins, "prompts": pins});
    let discover = json!({"name": "d", "issuer": "https://d.example.com", "jwks": {"discover": {"cluster": "c"}}});
    whole["issuers"].as_array_mut().ok_or("no issuers")?.push(discover);
    let objects = [
        ("", ""),
        ("/session_keys/0", "session_keys[]."),
        ("/resources/0", "resources[]."),
        ("/resources/0/denials", "resources[].denials."),
        ("/resources/0/limits", "resources[].limits."),
        ("/resources/0/metadata", "resources[].metadata."),
        ("/resources/0/dpop", "resources[].dpop."),
        ("/resources/0/versions", "resources[].versions."),
        ("/resources/0/extensions", "resources[].extensions."),
        ("/resources/0/catalogue", "resources[].catalogue."),
        ("/resources/0/catalogue/tools/NAME", "resources[].catalogue.tools.NAME."),
        ("/resources/0/catalogue/prompts/NAME", "resources[].catalogue.prompts.NAME."),
        ("/issuers/0", "issuers[]."),
        ("/issuers/0/jwks", "issuers[].jwks."),
        ("/issuers/0/jwks/inline", "issuers[].jwks.inline."),
        ("/issuers/0/introspection", "issuers[].introspection."),
        ("/issuers/0/claims", "issuers[].claims."),
        ("/issuers/0/revoked", "issuers[].revoked."),
        ("/api_keys/0", "api_keys[]."),
        ("/issuers/1/jwks/discover", "issuers[].jwks.discover."),
        ("/policy", "policy."),
        ("/policy/candidate", "policy.candidate."),
    ];
    let mut known = BTreeSet::new();
    for (pointer, prefix) in objects {
        let mut document = whole.clone();
        document.pointer_mut(pointer).ok_or_else(|| format!("no {pointer}"))?["no_such_field"] = Value::Null;
        let findings = config::load_document(document, &surroundings())
            .err()
            .ok_or_else(|| format!("{pointer}: an unknown field was taken"))?;
        // A candidate is read apart from the rest.
        let mut problems = findings.iter().map(|finding| &finding.problem);
        let problem = problems.find(|problem| problem.contains("no_such_field")).ok_or(pointer)?;
        let (_, names) = problem.split_once(", expected ").ok_or_else(|| format!("{pointer}: {problem}"))?;
        known.extend(names.split('`').skip(1).step_by(2).map(|name| format!("{prefix}{name}")));
    }
    let documented = rows(&read("README.md"), "Configuration")?;
    let documented: BTreeSet<String> = documented.into_iter().filter_map(|names| names.into_iter().next()).collect();
    same("fields", &documented, &known)
}

/// "Rules": one screen, whose example is that of a case, and whose keys are those of the code.
fn rules_agree() -> Result<(), String> {
    let readme = read("README.md");
    let section = between(&readme, "\n## Rules\n", "\n## ")?;
    let lines = section.lines().count();
    if lines > 60 {
        return Err(format!("expected one screen, of at most 60 lines, found {lines}"));
    }
    let written: Value =
        yaml_serde::from_str(between(section, "```yaml\n", "```")?).map_err(|error| error.to_string())?;
    let case: Value = serde_json::from_str(&read("tests/cases/the-rules-of-readme-decide-what-it-says.json"))
        .map_err(|error| error.to_string())?;
    if written["policy"]["rules"] != case["given"]["policy"]["rules"] {
        return Err(format!("expected the rules of the case, found {}", written["policy"]["rules"]));
    }
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.filter_map(|row| row.split('|').nth(1));
    let documented: BTreeSet<String> =
        cells.flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()).collect();
    let mut known = BTreeSet::new();
    for unknown in [json!({"no_such_field": 1}), json!({"arguments": {"a": {"no_such_field": 1}}})] {
        let findings = config::rego(&json!({"policy": {"rules": [{"allow": unknown}]}})).err().ok_or("it was taken")?;
        let (_, names) = findings[0].problem.split_once(", expected ").ok_or("expected the names that are known")?;
        known.extend(names.split('`').skip(1).step_by(2).map(str::to_owned));
    }
    same("keys of rules", &documented, &known)
}

/// "Rego": one page, whose module and data are those of a case. `tests/readme.py` runs its tests.
fn rego_agrees() -> Result<(), String> {
    let readme = read("README.md");
    let section = between(&readme, "\n## Rego\n", "\n## ")?;
    let lines = section.lines().count();
    if lines > 100 {
        return Err(format!("expected one page, of at most 100 lines, found {lines}"));
    }
    let blocks = section.split("```rego\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0));
    let module = blocks.filter(|block| !block.contains("_test")).collect::<Vec<_>>().join("\n");
    let data: Value = yaml_serde::from_str(between(section, "```yaml\n", "```")?).map_err(|error| error.to_string())?;
    let case: Value = serde_json::from_str(&read("tests/cases/the-rego-of-readme-decides-what-it-says.json"))
        .map_err(|error| error.to_string())?;
    let policy = &case["given"]["policy"];
    if policy["modules"]["authz.rego"] != module {
        return Err(format!("expected the module of the case, found\n{module}"));
    }
    // The patch of the case takes the tables of envoy/filter.yaml away.
    let mut given = policy["data"].clone();
    for path in ["", "/roles"] {
        let table = given.pointer_mut(path).and_then(Value::as_object_mut).ok_or("expected data with roles")?;
        table.retain(|_, value| !value.is_null());
    }
    if given != data {
        return Err(format!("expected the data of the case, found {data}"));
    }
    Ok(())
}

/// The example under "Policy" has nothing that the schema does not have, and it and its
/// remarks name all that the schema has.
fn input_agrees() -> Result<(), String> {
    fn compare(example: &Value, schema: &Value, text: &str, path: &str) -> Result<(), String> {
        let empty = serde_json::Map::new();
        let known = schema["properties"].as_object().unwrap_or(&empty);
        let is_open = schema["additionalProperties"] != json!(false);
        for (name, value) in example.as_object().into_iter().flatten() {
            match known.get(name) {
                Some(schema) => compare(value, schema, text, &format!("{path}.{name}"))?,
                None if is_open => {}
                None => return Err(format!("{path}.{name}: the schema does not have it")),
            }
        }
        let words = || text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        match known.keys().find(|name| !words().any(|word| word == *name)) {
            Some(name) => Err(format!("{path}.{name}: expected it under Policy, too")),
            None => Ok(()),
        }
    }
    let readme = read("README.md");
    let text = between(&readme, "reserved. `input`:\n\n```jsonc\n", "```")?;
    let lines = text.lines().map(|line| line.split("  //").next().unwrap_or_default());
    let json = lines.collect::<Vec<_>>().join("\n");
    let example: Value = serde_json::from_str(&json).map_err(|error| format!("{error}: {json}"))?;
    let schema: Value = serde_json::from_str(&read("policies/input.schema.json")).map_err(|error| error.to_string())?;
    compare(&example, &schema, text, "input")
}

fn same(what: &str, documented: &BTreeSet<String>, known: &BTreeSet<String>) -> Result<(), String> {
    match documented == known {
        true => Ok(()),
        false => Err(format!(
            "{what}: in the document alone {:?}, in the code alone {:?}",
            documented.difference(known).collect::<Vec<_>>(),
            known.difference(documented).collect::<Vec<_>>()
        )),
    }
}

/// The arms of one of the matches of `denial.rs`: what each variant becomes, or may.
fn arms(source: &str, function: &str) -> Result<BTreeMap<String, BTreeSet<String>>, String> {
    let body = between(source, &format!("pub fn {function}(&self)"), "\n    }\n")?;
    let (mut arms, mut pending) = (BTreeMap::<_, BTreeSet<_>>::new(), Vec::new());
    for piece in body.split("Self::").skip(1) {
        pending.push(piece.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default().to_owned());
        if let Some((_, value)) = piece.split_once("=> ") {
            let value = value.split(',').next().unwrap_or_default();
            let value = value.trim_start_matches("Some(").trim_matches(['"', ')']);
            for variant in pending.drain(..) {
                arms.entry(variant).or_default().insert(value.to_owned());
            }
        }
    }
    Ok(arms)
}

/// Each code stands in the rows of its HTTP status and its JSON-RPC code.
fn answers_agree() -> Result<(), String> {
    let source = read("src/denial.rs");
    let [codes, statuses, rpc_codes] = ["code", "status", "rpc_code"].map(|function| arms(&source, function));
    let (codes, statuses, rpc_codes) = (codes?, statuses?, rpc_codes?);
    let line = |code: &str, status: &str, rpc: &str| format!("`{code}` {status} {rpc}").trim_end().to_owned();
    let mut known = BTreeSet::new();
    for (variant, code) in &codes {
        let status = statuses.get(variant).ok_or_else(|| format!("{variant}: expected a status"))?;
        let rpc = rpc_codes.get(variant).and_then(BTreeSet::first).map_or("", String::as_str);
        known.extend(status.iter().flat_map(|status| code.iter().map(move |code| line(code, status, rpc))));
    }
    let readme = read("README.md");
    let section = between(&readme, "\n## Answers\n", "\n## ")?;
    let mut documented = BTreeSet::new();
    for row in section.lines().filter_map(|line| line.strip_prefix("| ")).skip(1) {
        let [status, rpc, names] = row.splitn(3, '|').collect::<Vec<_>>()[..] else {
            return Err(format!("expected three cells, found {row}"));
        };
        for status in status.split(|c: char| !c.is_ascii_digit()).filter(|status| !status.is_empty()) {
            let names = names.split('`').skip(1).step_by(2).filter(|name| *name != "unauthorized");
            documented.extend(names.map(|code| line(code, status, rpc.trim())));
        }
    }
    same("codes with their HTTP status and JSON-RPC code", &documented, &known)
}

/// "Connect your identity provider": one page, whose examples are those that
/// `issuers.rs` tests, with the pages that they are from.
fn examples_agree() -> Result<(), String> {
    let readme = read("README.md");
    let section = between(&readme, "\n## Connect your identity provider\n", "\n## ")?;
    let lines = section.lines().count();
    if lines > 80 {
        return Err(format!("expected one page, of at most 80 lines, found {lines}"));
    }
    let keycloak = read("envoy/issuers/keycloak.yaml");
    if between(section, "```yaml\n", "```")? != keycloak {
        return Err("expected envoy/issuers/keycloak.yaml as it is".into());
    }
    let mut documented = BTreeSet::new();
    for row in section.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| product")) {
        let file = between(row, "`", "`")?;
        let example = read(&format!("envoy/issuers/{file}"));
        let pages: Vec<&str> = row.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
        if pages.is_empty() || pages.iter().any(|page| !example.contains(page)) {
            return Err(format!("{file}: expected the pages that it names, found {pages:?}"));
        }
        documented.insert(file.to_owned());
    }
    let entries = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("envoy/issuers")).expect("examples");
    let known = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    same("files of envoy/issuers", &documented, &known)?;
    cluster_is_held_to_its_name(section.rsplit_once("```yaml\n").ok_or("expected a cluster")?.1, &keycloak)
}

/// A cluster over which keys come: whoever answers in its place would be believed.
fn cluster_is_held_to_its_name(text: &str, issuer: &str) -> Result<(), String> {
    let cluster: Value =
        yaml_serde::from_str(text.split("```").next().unwrap_or_default()).map_err(|e| e.to_string())?;
    let issuer: Value = yaml_serde::from_str(issuer).map_err(|error| error.to_string())?;
    let cluster = &cluster[0];
    let issuer = &issuer["issuers"][0];
    let address = &cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"];
    let host = &address["socket_address"]["address"];
    let tls = &cluster["transport_socket"]["typed_config"];
    let validation = &tls["common_tls_context"]["validation_context"];
    let url = format!("https://{}/", host.as_str().unwrap_or_default());
    let is_held = cluster["name"] == issuer["jwks"]["discover"]["cluster"]
        && issuer["issuer"].as_str().is_some_and(|issuer| issuer.starts_with(&url))
        && tls["sni"] == *host
        && validation["trusted_ca"]["filename"].is_string()
        && validation["match_typed_subject_alt_names"][0]["matcher"]["exact"] == *host;
    if is_held {
        Ok(())
    } else {
        Err(format!("expected the issuer's cluster, held to the issuer's name; found {cluster}"))
    }
}

/// The modules of `src/`, by their files.
fn modules() -> BTreeSet<String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let entries = std::fs::read_dir(directory).expect("src/ is there");
    let names = entries.map(|entry| entry.expect("an entry of src/").file_name().to_string_lossy().into_owned());
    names.filter_map(|name| name.strip_suffix(".rs").map(str::to_owned)).filter(|name| name != "lib").collect()
}

fn code_map() -> Result<(), String> {
    let architecture = read("ARCHITECTURE.md");
    let map = between(&architecture, "\n## Code map\n", "\n## ")?;
    let cells = map.lines().filter_map(|line| line.strip_prefix("| `src/")?.split_once(".rs`"));
    let documented = cells.map(|(name, _)| name.to_owned()).collect();
    same("files of src/", &documented, &modules())
}

/// The text of a module and of those in its folder, without their tests.
fn sources(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(name);
    let inner = std::fs::read_dir(folder).into_iter().flatten();
    let inner = inner.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    let inner = inner.filter_map(|file| Some(format!("{name}/{}", file.strip_suffix(".rs")?)));
    let inner = inner.filter(|module| !module.ends_with("/tests")).map(|module| sources(&module));
    let text = read(&format!("src/{name}.rs"));
    let text = text.split("\n#[cfg(test)]\nmod tests").next().unwrap_or_default().to_owned();
    inner.chain([text]).collect()
}

fn imports_go_one_way() -> Result<(), String> {
    let architecture = read("ARCHITECTURE.md");
    let map = between(&architecture, "\n## Code map\n", "\n## ")?;
    let order: Vec<&str> = map
        .lines()
        .find_map(|line| line.strip_prefix("    "))
        .ok_or("expected the order of imports")?
        .split(' ')
        .collect();
    same("order of imports", &order.iter().map(|name| (*name).to_owned()).collect(), &modules())?;
    for (place, name) in order.iter().enumerate() {
        let source = sources(name);
        let crate_name = if *name == "main" { "mcp_gate::" } else { "crate::" };
        for import in source.split(crate_name).skip(1) {
            let end = import.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(import.len());
            let (import, _) = import.split_at(end);
            if import != *name && !order[..place].contains(&import) {
                return Err(format!(
                    "src/{name}.rs imports `{import}`, which does not stand to its left in ARCHITECTURE.md"
                ));
            }
        }
    }
    Ok(())
}

/// What Envoy has to settle before the gate is asked (threats, "Envoy edge settings").
fn edge_is_closed() -> Result<(), String> {
    let envoy: Value = yaml_serde::from_str(&read("envoy/envoy.yaml")).map_err(|error| error.to_string())?;
    let listener = &envoy["static_resources"]["listeners"][0];
    let manager = &listener["filter_chains"][0]["filters"][0]["typed_config"];
    let expected = [
        ("/normalize_path", json!(true)),
        ("/merge_slashes", json!(true)),
        ("/path_with_escaped_slashes_action", json!("REJECT_REQUEST")),
        ("/common_http_protocol_options/headers_with_underscores_action", json!("REJECT_REQUEST")),
        ("/use_remote_address", json!(true)),
        ("/http_protocol_options", json!({"allow_absolute_url": false})),
        ("/http2_protocol_options/max_concurrent_streams", json!(100)),
        ("/http2_protocol_options/initial_stream_window_size", json!(2_097_152)),
        ("/request_timeout", json!("30s")),
        ("/request_headers_timeout", json!("10s")),
        ("/stream_idle_timeout", json!("300s")),
    ];
    for (pointer, expected) in expected {
        if manager.pointer(pointer) != Some(&expected) {
            return Err(format!("{pointer}: expected {expected}, found {:?}", manager.pointer(pointer)));
        }
    }
    let buffer = &listener["per_connection_buffer_limit_bytes"];
    let filters: Vec<_> = manager["http_filters"].as_array().into_iter().flatten().map(|one| &one["name"]).collect();
    match (buffer == 2_097_152, manager.get("upgrade_configs"), filters.as_slice()) {
        (true, None, [gate, router]) if *gate == "mcp-gate" && *router == "envoy.filters.http.router" => Ok(()),
        _ => {
            Err(format!("expected a bounded buffer, no upgrades, the gate and the router; found {buffer}, {filters:?}"))
        }
    }
}

fn architecture_is_short() -> Result<(), String> {
    let lines = read("ARCHITECTURE.md").lines().count();
    if lines <= 150 { Ok(()) } else { Err(format!("ARCHITECTURE.md: expected at most 150 lines, found {lines}")) }
}
