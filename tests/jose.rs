//! JSON Web Signatures and Keys (RFC 7515, 7517, 7518, 8037): the answers that the
//! RFCs give, Wycheproof's files, and signatures made at run, good and bad; natively,
//! and in the module on both of its ways to verify, which must agree on each one.
//!
//! What is looked at is the signature and the key: a payload may be anything, as it is
//! in those files. `jose/wycheproof.json` lists where Wycheproof is not followed.
//! Its files are no part of this project: they lie in `$MCP_GATE_VECTORS/jose` or in
//! `../shared/vectors/jose`, and where they do not, the suite says so.

mod jwk;
mod vectors;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jwt_simple::algorithms::{
    ECDSAP256PublicKeyLike as _, ECDSAP384PublicKeyLike as _, ES256PublicKey, ES384PublicKey, RSAPublicKey,
};
use jwt_simple::reexports::ct_codecs::{Base64UrlSafeNoPadding, Decoder as _};
use libtest_mimic::{Failed, Trial};
use mcp_gate::json::{Json, Limits};
use mcp_gate::keys::{Algorithm, Crypto, HostVerify, Keys};
use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::case::Run;
use crate::client;
use crate::process::trapping_module;
use crate::wire::World;
use vectors::{Set, Vector, groups};

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |name: &str, run: fn() -> Result<(), String>| {
        Trial::test(format!("jose/{name}"), move || run().map_err(Failed::from))
    };
    let mut trials = vec![
        trial("JWT-04 JWT-30 JWT-31 JWT-32 JWT-33 JWT-34 JWT-35 JWT-36 JWT-37 made at run, natively", natively),
        trial("the known answers of RFC 7515, 7520 and 8037", known_answers),
        trial(
            "JWT-30 JWT-31 JWT-32 JWT-33 JWT-34 JWT-35 JWT-36 JWT-37 both ways to verify in the module",
            in_the_module,
        ),
        trial("the shipped module has the host verify what it can", shipped),
    ];
    trials.extend(jwk::trials());
    match files() {
        Ok(files) => trials.extend(files.into_iter().map(|(name, file)| {
            let rows: Vec<&str> = file.row.threats.keys().map(String::as_str).collect();
            let name = format!("jose/wycheproof {} {name}", rows.join(" "));
            Trial::test(name, move || wycheproof(&file).map_err(Failed::from))
        })),
        Err(None) => eprintln!(
            "jose: the 510 tests of Wycheproof NOT RUN: give its files in MCP_GATE_VECTORS/jose, or in \
             ../shared/vectors/jose"
        ),
        Err(Some(problem)) => {
            trials.push(Trial::test("jose/wycheproof is here", move || Err(Failed::from(problem))));
        }
    }
    trials
}

/// What is verified of a vector.
fn verdict(keys: &Keys, vector: &Vector, crypto: &Crypto) -> bool {
    let algorithm = Algorithm::from_name(&vector.alg);
    let key = algorithm.and_then(|algorithm| keys.find(vector.kid.as_deref(), algorithm));
    key.is_some_and(|key| key.verify(&vector.jws, crypto).is_ok())
}

/// A host as it should be: by the same means, from what a host gets.
fn host(hash: &str, spki: &[u8], signature: &[u8], text: &[u8]) -> Option<bool> {
    use superboring::hash::MessageDigest;
    let digest = match hash {
        "sha256" => hmac_sha256::Hash::hash(text).to_vec(),
        "sha384" => hmac_sha512::sha384::Hash::hash(text).to_vec(),
        _ => hmac_sha512::Hash::hash(text).to_vec(),
    };
    if let Ok(key) = ES256PublicKey::from_der(spki) {
        let signature = p256::ecdsa::Signature::from_der(signature);
        return Some(signature.is_ok_and(|found| key.public_key().as_ref().verify_prehash(&digest, &found).is_ok()));
    }
    if let Ok(key) = ES384PublicKey::from_der(spki) {
        let signature = p384::ecdsa::Signature::from_der(signature);
        return Some(signature.is_ok_and(|found| key.public_key().as_ref().verify_prehash(&digest, &found).is_ok()));
    }
    let key = RSAPublicKey::from_der(spki).ok()?;
    let key = superboring::pkey::PKey::from_rsa(key.as_ref().clone()).ok()?;
    let digest = match hash {
        "sha256" => MessageDigest::sha256(),
        "sha384" => MessageDigest::sha384(),
        _ => MessageDigest::sha512(),
    };
    let mut verifier = superboring::sign::Verifier::new(digest, &key).ok()?;
    verifier.set_rsa_padding(superboring::rsa::Padding::PKCS1).ok()?;
    verifier.update(text).ok()?;
    Some(verifier.verify(signature).unwrap_or(false))
}

/// The module alone, and the module with a host.
fn ways() -> [(&'static str, Crypto); 2] {
    let crypto = Crypto::new(Some(host as HostVerify));
    assert_eq!(crypto.proven().count(), HOST.len(), "the host of this test");
    [("alone", Crypto::default()), ("with a host", crypto)]
}

/// What Envoy proves.
const HOST: [&str; 5] = ["ES256", "ES384", "RS256", "RS384", "RS512"];

/// Fails with the first of the problems.
fn none_of(problems: &[String]) -> Result<(), String> {
    let shown: Vec<&str> = problems.iter().take(10).map(String::as_str).collect();
    if problems.is_empty() { Ok(()) } else { Err(format!("{} problems:\n{}", problems.len(), shown.join("\n"))) }
}

fn natively() -> Result<(), String> {
    let mut problems = Vec::new();
    for group in groups() {
        let mut counts = (0, 0);
        for set in &group.sets {
            let (keys, findings) = Keys::read(&set.keys);
            problems.extend(findings.iter().map(|finding| format!("{}: {finding:?}", group.name)));
            for vector in &set.asked {
                if vector.valid {
                    counts.0 += 1
                } else {
                    counts.1 += 1
                }
                for (way, crypto) in ways_once() {
                    if verdict(&keys, vector, crypto) != vector.valid {
                        problems.push(format!(
                            "{}: {} {}: expected {}, {way}",
                            group.name, vector.alg, vector.what, vector.valid
                        ));
                    }
                }
            }
        }
        if counts != group.counts {
            problems.push(format!("{}: expected {:?} vectors, found {counts:?}", group.name, group.counts));
        }
    }
    none_of(&problems)
}

/// The ways, proven once.
fn ways_once() -> &'static [(&'static str, Crypto); 2] {
    static WAYS: std::sync::OnceLock<[(&'static str, Crypto); 2]> = std::sync::OnceLock::new();
    WAYS.get_or_init(ways)
}

/// One answer that an RFC gives.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    what: String,
    key: Option<Value>,
    jws: String,
    valid: bool,
    /// Why a good one is refused.
    #[serde(default)]
    why: Option<String>,
}

fn known() -> Vec<Known> {
    serde_json::from_str(include_str!("jose/known.json")).expect("tests/jose/known.json")
}

fn known_answers() -> Result<(), String> {
    let mut problems = Vec::new();
    let known = known();
    for Known { what, key, jws, valid, why } in &known {
        let keys = Keys::read(key.as_slice()).0;
        for (way, crypto) in ways_once() {
            if verdict(&keys, &vector(what, jws, *valid), crypto) != *valid {
                problems.push(format!("{what}: expected {valid}, {way}"));
            }
        }
        if *valid == why.is_some() {
            problems.push(format!("{what}: expected a reason where it is refused, and nowhere else"));
        }
    }
    let good = known.iter().filter(|known| known.valid).count();
    if (known.len(), good) != (10, 5) {
        problems.push(format!("expected 10 answers and 5 of them good, found {} and {good}", known.len()));
    }
    none_of(&problems)
}

/// A compact JWS with the key and algorithm that it names. One that is not of the
/// strict form names none.
fn vector(what: &str, jws: &str, valid: bool) -> Vector {
    let (kid, alg) = header(jws).unwrap_or_default();
    Vector { what: what.to_owned(), kid, alg, jws: jws.to_owned(), valid }
}

fn header(jws: &str) -> Option<(Option<String>, String)> {
    let parts: Vec<&str> = jws.split('.').collect();
    let [header, payload, _] = parts.as_slice() else { return None };
    let decode = |part: &str| Base64UrlSafeNoPadding::decode_to_vec(part, None).ok();
    decode(payload)?;
    let header = decode(header)?;
    let Ok(Json::Object(header)) = Json::read(&header, Limits::default()) else { return None };
    let refused = ["crit", "b64", "jku", "jwk", "x5u", "x5c", "zip"];
    if refused.iter().any(|name| header.get(name).is_some()) {
        return None;
    }
    let kid = match header.get("kid") {
        None => None,
        Some(kid) => Some(kid.as_str()?.to_owned()),
    };
    Some((kid, header.get("alg")?.as_str()?.to_owned()))
}

/// One file of Wycheproof, as far as it is read here.
#[derive(Clone)]
struct File {
    groups: Vec<Value>,
    row: Row,
}

/// What is to come of a file.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    tests: usize,
    accepted: usize,
    deviations: Vec<Deviation>,
    /// By row of the catalogue of threats: its tests, from and to, none of them accepted.
    threats: BTreeMap<String, Vec<(u64, u64)>>,
}

/// Tests that Wycheproof would have otherwise.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Deviation {
    tests: Vec<u64>,
    reason: String,
}

/// The files, by name; or why not, unless they are just not there.
fn files() -> Result<BTreeMap<String, File>, Option<String>> {
    let rows: BTreeMap<String, Row> =
        serde_json::from_str(include_str!("jose/wycheproof.json")).expect("tests/jose/wycheproof.json");
    let given = std::env::var_os("MCP_GATE_VECTORS");
    let usual = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/vectors");
    let folder = given.as_ref().map_or_else(usual, |given| Path::new(given).into()).join("jose");
    if !folder.is_dir() {
        return Err(given.map(|_| format!("MCP_GATE_VECTORS: expected a folder {}, found none", folder.display())));
    }
    let mut files = BTreeMap::new();
    for (name, row) in rows {
        let path = folder.join(&name);
        let problem = |error: &dyn std::fmt::Display| Some(format!("{}: {error}", path.display()));
        let text = std::fs::read_to_string(&path).map_err(|error| problem(&error))?;
        let mut file: Value = serde_json::from_str(&text).map_err(|error| problem(&error))?;
        let groups = file["testGroups"].as_array_mut().map(std::mem::take).unwrap_or_default();
        files.insert(name, File { groups, row });
    }
    Ok(files)
}

impl File {
    /// Each group as a set of keys, its tests numbered.
    fn sets(&self) -> Vec<Set> {
        let sets = self.groups.iter().map(|group| {
            // Where there is no public key, the shared one is what would be published.
            let key = group.get("public").or_else(|| group.get("private")).cloned().unwrap_or_default();
            let keys = match key.get("keys").and_then(Value::as_array) {
                Some(keys) => keys.clone(),
                None => vec![key],
            };
            let tests = group["tests"].as_array().into_iter().flatten();
            let asked = tests.map(|test| {
                let jws = test.get("jws").or_else(|| test.get("jwe")).and_then(Value::as_str).unwrap_or_default();
                vector(&test["tcId"].to_string(), jws, test["result"] == "valid")
            });
            Set { keys, asked: asked.collect() }
        });
        sets.collect()
    }

    /// Those that are not to be as Wycheproof has them.
    fn deviating(&self) -> Vec<String> {
        self.row.deviations.iter().flat_map(|deviation| deviation.tests.iter().map(u64::to_string)).collect()
    }
}

fn wycheproof(file: &File) -> Result<(), String> {
    let expected = file.deviating();
    let mut problems = Vec::new();
    let (mut tests, mut accepted) = (0, 0);
    let mut refused = BTreeSet::new();
    for set in file.sets() {
        let keys = Keys::read(&set.keys).0;
        for vector in &set.asked {
            tests += 1;
            let found = ways_once().each_ref().map(|(_, crypto)| verdict(&keys, vector, crypto));
            accepted += usize::from(found[0]);
            if found == [false, false] && !vector.valid {
                refused.insert(vector.what.clone());
            }
            let deviates = found[0] != vector.valid;
            if found[0] != found[1] || deviates != expected.contains(&vector.what) {
                problems.push(format!("test {}: expected {}, found {found:?}", vector.what, vector.valid));
            }
        }
    }
    if (tests, accepted) != (file.row.tests, file.row.accepted) {
        problems.push(format!(
            "expected {} tests and {} accepted, found {tests} and {accepted}",
            file.row.tests, file.row.accepted
        ));
    }
    for (threat, ranges) in &file.row.threats {
        let missing: Vec<u64> = ranges.iter().flat_map(|(from, to)| *from..=*to).collect();
        let missing: Vec<u64> = missing.into_iter().filter(|test| !refused.contains(&test.to_string())).collect();
        if ranges.is_empty() || !missing.is_empty() {
            problems.push(format!("{threat}: expected tests that are bad and refused, found {missing:?} otherwise"));
        }
    }
    let unsaid = file.row.deviations.iter().filter(|deviation| deviation.reason.is_empty());
    problems.extend(unsaid.map(|deviation| format!("tests {:?}: expected a reason", deviation.tests)));
    none_of(&problems)
}

/// As many vectors as are asked about at once: a slow machine answers them in time, and
/// they are far below the buffer limit of `envoy.yaml`.
const MOST: usize = 64;

/// All of them, asked of the module of `make trap`: with Envoy's cryptography, and alone.
fn in_the_module() -> Result<(), String> {
    let mut sets: Vec<Set> = groups().into_iter().flat_map(|group| group.sets).collect();
    for file in files().unwrap_or_default().values() {
        let deviating = file.deviating();
        for mut set in file.sets() {
            for vector in &mut set.asked {
                vector.valid &= !deviating.contains(&vector.what);
                vector.what = format!("wycheproof {}", vector.what);
            }
            sets.push(set);
        }
    }
    for Known { what, key, jws, valid, .. } in known() {
        sets.push(Set { keys: key.into_iter().collect(), asked: vec![vector(&what, &jws, valid)] });
    }
    let module = trapping_module()?;
    let world = World::start_changed(&json!({}), |_, filter| {
        let place = "/resources/0/typed_config/config/vm_config/code/local/filename";
        *filter.pointer_mut(place).unwrap() = module.to_str().unwrap().into();
    })?;
    let mut problems = Vec::new();
    let mut times: BTreeMap<String, Vec<(u64, u64)>> = BTreeMap::new();
    let mut count = 0;
    for set in &sets {
        for asked in set.asked.chunks(MOST) {
            for (vector, answer) in asked.iter().zip(ask(&world, &set.keys, asked)?) {
                count += 1;
                let (host, module, host_took, module_took) = answer;
                if (host, module) != (vector.valid, vector.valid) {
                    problems.push(format!(
                        "{} {}: expected {}, found {host} with the host and {module} without",
                        vector.alg, vector.what, vector.valid
                    ));
                }
                if vector.valid {
                    times.entry(vector.alg.clone()).or_default().push((host_took, module_took));
                }
            }
        }
    }
    world.no_trap()?;
    let expected: usize = sets.iter().map(|set| set.asked.len()).sum();
    if count != expected {
        problems.push(format!("expected {expected} answers, found {count}"));
    }
    if std::env::var_os("MCP_GATE_TIMES").is_some() {
        for (algorithm, times) in &times {
            // The quickest: what else the machine does is not of interest.
            let least = |pick: fn(&(u64, u64)) -> u64| times.iter().map(pick).min().unwrap_or_default() / 1000;
            eprintln!("{algorithm}: with the host {} µs, without {} µs", least(|took| took.0), least(|took| took.1));
        }
        eprintln!("jose: {count} vectors in the module");
    }
    none_of(&problems)
}

/// By vector: the verdict with the host, the verdict without, and the nanoseconds of each.
fn ask(world: &World, keys: &[Value], asked: &[Vector]) -> Result<Vec<(bool, bool, u64, u64)>, String> {
    let asked: Vec<Value> =
        asked.iter().map(|vector| json!({"set": 0, "kid": vector.kid, "alg": vector.alg, "jws": vector.jws})).collect();
    let mut request = world.call(0);
    request.headers.push(("x-probe".into(), "signatures".into()));
    request.body = Some(json!({"sets": [keys], "asked": asked}).to_string().into_bytes());
    let answer = client::send(world.envoy.port, Run::H1, &request)?.ok_or("no answer")?;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    #[derive(Deserialize)]
    struct Answer {
        proven: Vec<String>,
        answers: Vec<(bool, bool, u64, u64)>,
    }
    let answer: Answer = serde_json::from_str(&text).map_err(|error| format!("{} {text}: {error}", answer.status))?;
    match answer.proven == HOST {
        true => Ok(answer.answers),
        false => Err(format!("expected Envoy to prove {HOST:?}, found {:?}", answer.proven)),
    }
}

fn shipped() -> Result<(), String> {
    World::shared(&json!({}), |world| {
        let found = world.envoy.stat("mcp_gate_crypto_host");
        match found == HOST.len() as u64 {
            true => Ok(()),
            false => Err(format!("mcp_gate_crypto_host: expected {}, found {found}", HOST.len())),
        }
    })
}
