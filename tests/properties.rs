//! What holds for every request and not for one: the invariants of the catalogue
//! of threats, natively. What is tried is made from a seed that never changes.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use libtest_mimic::{Failed, Trial};
use mcp_gate::config;
use mcp_gate::gate::Gate;
use mcp_gate::json::{Json, Limits};
use serde_json::{Value, json};

use crate::case::{AUTHORITY, Expect, FRAMINGS, File, Request, Session, merge};
use crate::check::Outcome;
use crate::keys::{Keys, surroundings};
use crate::native::{NOW, exchange};
use crate::token::spoil;

pub(crate) fn trials(files: &[File]) -> Vec<Trial> {
    let trial =
        |name: &str, check: fn() -> Result<(), String>| Trial::test(name, move || check().map_err(Failed::from));
    let framed = every_denial_in_every_framing(files);
    vec![
        Trial::test("corpus/INV-1 INV-9 every denial is sent in every framing", move || framed.map_err(Failed::from)),
        trial("native/INV-4 any bytes get one verdict", any_bytes),
        trial("native/INV-5 whatever fails, nothing is forwarded", whatever_fails),
        trial("native/INV-7 nothing taken away makes a denial a permit", nothing_taken_away),
        trial("native/INV-8 what only looks like a remembered token is refused", looks_like_a_token),
        trial("native/JWT-36 every bit of a token counts", every_bit),
        trial("native/INV-10 no body costs out of proportion to its size", cost_of_bodies),
        trial("native/JSON-37 names that collide cost what others do", cost_of_collisions),
    ]
}

/// xorshift64*
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from((self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % sides as u64).unwrap()
    }

    /// The same bytes, but for a few.
    pub(crate) fn spoil(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..=self.roll(6) / 4 {
            let at = self.roll(bytes.len() + 1);
            let other = if self.roll(4) == 0 { self.roll(256) } else { 0x20 + self.roll(95) };
            let other = u8::try_from(other).unwrap();
            match self.roll(8) {
                0 => bytes.truncate(at),
                1 => bytes.extend_from_within(at..),
                2..5 => bytes.insert(at, other),
                _ => bytes.get_mut(at).into_iter().for_each(|byte| *byte = other),
            }
        }
        bytes
    }
}

pub(crate) fn gate(given: &Value) -> Result<Rc<Gate>, String> {
    let configuration = Keys::shared().configuration(given, AUTHORITY);
    config::load_document(configuration, &surroundings()).map(Rc::new).map_err(|findings| format!("{findings:?}"))
}

/// A request as a case says it.
pub(crate) fn request(step: &Value) -> Request {
    let mut step = step.clone();
    merge(&mut step, &json!({"expect": {"unanswered": {}}}));
    Session::default().request(&serde_json::from_value(step).unwrap(), Keys::shared(), AUTHORITY, NOW)
}

fn ask(gate: Option<&Rc<Gate>>, request: &Request) -> Result<Outcome, String> {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
    let [whole, pieces] = [false, true].map(|pieces| exchange(gate.cloned(), request, now, pieces));
    let (outcome, pieces) = (whole?.0, pieces?.0);
    match is_forward(&outcome) == is_forward(&pieces) {
        true => Ok(outcome),
        false => Err(format!("in one piece {outcome:?}, in many {pieces:?}")),
    }
}

fn is_forward(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Forward { .. })
}

pub(crate) fn modern(name: &str) -> Value {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    json!({"request": {
        "headers": [["mcp-protocol-version", "2026-07-28"], ["mcp-method", "tools/call"], ["mcp-name", name]],
        "body": {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "_meta": meta}},
    }})
}

pub(crate) fn legacy(name: &str, arguments: &Value) -> Value {
    let params = json!({"name": name, "arguments": arguments});
    json!({"request": {"body": {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}}})
}

/// Through Envoy each case runs against an upstream that would show a byte. So
/// each code has a case that runs in all framings, but for those of which no
/// request of any framing is the cause, or that need an issuer who answers.
fn every_denial_in_every_framing(files: &[File]) -> Result<(), String> {
    const NATIVE: [&str; 2] = ["not_configured", "token_inactive"];
    let mut codes: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for case in files.iter().filter_map(|file| file.case(AUTHORITY).ok()) {
        for step in &case.steps {
            let Expect::Reply(reply) = &step.expect else { continue };
            let runs = FRAMINGS.into_iter().filter(|run| case.runs.contains(run) && step.runs_in(*run));
            codes.entry(reply.code.clone()).or_default().extend(runs.map(|run| format!("{run:?}")));
        }
    }
    let partly = codes.iter().filter(|(code, runs)| runs.len() < FRAMINGS.len() && !NATIVE.contains(&code.as_str()));
    let partly: Vec<_> = partly.collect();
    match (partly.is_empty(), codes.len() > 40) {
        (true, true) => Ok(()),
        (true, false) => Err(format!("expected more than 40 codes, found {}", codes.len())),
        (false, _) => Err(format!("expected a case in every framing, found {partly:?}")),
    }
}

fn any_bytes() -> Result<(), String> {
    let mut dice = Dice(20_261_123);
    let gate = gate(
        &json!({"policy": {"modules": {"authz.rego": "package mcp.authz\n\nallow if input.identity.subject\n"}}}),
    )?;
    // Much of it is a text, so that much that is spoilt is still a message.
    let arguments = json!({"a": ["\u{e9}", 1.5, {"b": null}], "text": "lorem ipsum ".repeat(60)});
    let seeds = [request(&modern("x")), request(&legacy("x", &arguments))];
    let (mut forwarded, mut refused) = (0, 0);
    for round in 0..6000 {
        let mut request = seeds[round % seeds.len()].clone();
        if round % 3 == 0 {
            let index = dice.roll(request.headers.len());
            request.headers[index].1 = dice.spoil(&request.headers[index].1);
        } else {
            request.body = request.body.as_deref().map(|body| dice.spoil(body));
        }
        match ask(Some(&gate), &request).map_err(|problem| format!("round {round}: {problem}"))? {
            Outcome::Forward { .. } => forwarded += 1,
            Outcome::Reply { status: 400..=499, .. } => refused += 1,
            other => return Err(format!("round {round}: {other:?} of {request:?}")),
        }
    }
    // Bytes as a configuration, its keys and its Rego included.
    let configuration = Keys::shared().configuration(&json!({}), AUTHORITY).to_string();
    let loaded =
        (0..600).filter(|_| config::load(&dice.spoil(configuration.as_bytes()), &surroundings()).is_ok()).count();
    match forwarded > 600 && refused > 1000 && (1..300).contains(&loaded) {
        true => Ok(()),
        false => Err(format!("these tests are too easy: {forwarded} forwarded, {refused} refused, {loaded} loaded")),
    }
}

fn whatever_fails() -> Result<(), String> {
    // One that is refused leaves the gate without a configuration, as at its start.
    let policies = [
        "allow if false",
        "allow := \"yes\"",
        "allow := input.mcp.kind",
        "allow if to_number(input.mcp.kind) == 1",
        "allow := true if input.mcp\n\nallow := false if input.mcp",
        "allow if input.identity.subject\n\ndeny contains count(input.mcp)",
        "allow if input.identity.subject\n\ndeny := input.mcp.kind",
        "allow if input.identity.subject\n\nscopes contains count(input.mcp)",
        "allow if input.identity.subject\n\nscopes contains \"mcp:none\"",
        "allow if input.identity.subject\n\nstep_up := count(input.mcp)",
        "allow if {\n\tsome a in data.many\n\tsome b in data.many\n\ta + b < 0\n}",
    ];
    let policy = |rego: &str| json!({"policy": {"handshake": "policy", "time_limit_ms": 20, "data": {"many": (0..2000).collect::<Vec<_>>()}, "modules": {"authz.rego": format!("package mcp.authz\n\n{rego}\n")}}});
    let mut broken: Vec<Value> = policies.iter().map(|rego| policy(rego)).collect();
    broken
        .push(json!({"policy": {"modules": {"authz.rego": "package mcp.authz\n\nallow if input.identity.subject\n"}},
        "issuers": [{"name": "demo", "issuer": "https://as.example.com", "jwks": {"inline": {"keys": []}}}]}));
    let requests = [
        modern("x"),
        legacy("x", &json!({})),
        json!({"request": {"method": "GET", "body": null}}),
        json!({"request": {"method": "DELETE", "body": null}}),
        json!({"request": {"body": {"jsonrpc": "2.0", "method": "notifications/initialized"}}}),
        json!({"request": {"body": {"jsonrpc": "2.0", "id": 1, "result": {}}}}),
        json!({"request": {"body": {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}}}}),
    ];
    let good = gate(&policy("allow if input.identity.subject"))?;
    let none = requests.iter().map(|step| ask(Some(&good), &request(step)));
    if none.collect::<Result<Vec<_>, _>>()?.iter().any(|outcome| !is_forward(outcome)) {
        return Err("with a good policy: expected every request forwarded".into());
    }
    let gates: Vec<_> = broken.iter().map(|given| (gate(given).ok(), given.to_string())).collect();
    if gates.iter().filter(|(gate, _)| gate.is_some()).count() < 8 {
        return Err("expected most of these policies to be accepted".into());
    }
    let none = [(None, "no configuration".to_owned())];
    for (gate, given) in gates.iter().chain(&none) {
        for step in &requests {
            if is_forward(&ask(gate.as_ref(), &request(step))?) {
                return Err(format!("{given}: forwarded {step}"));
            }
        }
    }
    Ok(())
}

/// The policy of the demo denies these; whatever the caller leaves out, adds or
/// spoils, it still does.
fn nothing_taken_away() -> Result<(), String> {
    let gate = gate(&json!({}))?;
    let denied = [
        (json!({}), legacy("read_payroll", &json!({}))),
        (json!({}), legacy("edit_document", &json!({"id": "q3-report"}))),
        (json!({"scope": "mcp:read mcp:write"}), legacy("edit_document", &json!({"id": "handbook"}))),
        (json!({"roles": ["hr"]}), legacy("read_payroll", &json!({}))),
        (json!({"roles": ["analyst"]}), legacy("search_documents", &json!({"limit": 21}))),
        (json!({"roles": ["analyst"]}), modern("delete_document")),
    ];
    let claims = ["iss", "aud", "sub", "client_id", "iat", "exp", "jti", "scope", "roles"];
    let mut tried = 0;
    let mut still = |token: &Value, step: &Value| {
        let mut step = step.clone();
        step["token"] = token.clone();
        tried += 1;
        match is_forward(&ask(Some(&gate), &request(&step))?) {
            true => Err(format!("forwarded: {step}")),
            false => Ok(()),
        }
    };
    for (token, step) in &denied {
        still(token, step)?;
        still(&Value::Null, step)?;
        for claim in claims {
            let mut less = token.clone();
            less[claim] = Value::Null;
            still(&less, step)?;
        }
        for lookalike in ["Name", "NAME", "name ", "n\u{e4}me", "Roles", "\u{ff4e}ame", "na\u{200b}me"] {
            let mut more = step.clone();
            more["request"]["body"]["params"][lookalike] = json!("list_documents");
            still(token, &more)?;
            more = step.clone();
            more["request"]["body"][lookalike] = json!("list_documents");
            still(token, &more)?;
            more = step.clone();
            merge(
                &mut more,
                &json!({"request": {"body": {"params": {"arguments": {lookalike: 1, "Limit": 1, "ID": "budget"}}}}}),
            );
            still(token, &more)?;
        }
        for name in ["mcp-method", "mcp-name", "mcp-protocol-version", "content-type", "x-mcp-gate-subject", "origin"] {
            for value in ["", "list_documents", "\u{ff}"] {
                let mut more = step.clone();
                let mut headers = more["request"]["headers"].as_array().cloned().unwrap_or_default();
                headers.push(json!([name, value]));
                more["request"]["headers"] = headers.into();
                still(token, &more)?;
            }
        }
    }
    // A denial of one rule is not undone by a permit of another.
    for rego in ["allow if input.identity.subject", "allow if input.identity.subject\n\ndeny contains \"x\" if false"] {
        let modules = json!({
            "a.rego": format!("package mcp.authz\n\n{rego}\n"),
            "b.rego": "package mcp.authz\n\ndeny contains \"never\" if input.mcp.name == \"rm\"\n",
            "authz.rego": null,
        });
        let gate = self::gate(&json!({"policy": {"modules": modules}}))?;
        let ask = |name| ask(Some(&gate), &request(&legacy(name, &json!({}))));
        if is_forward(&ask("rm")?) || !is_forward(&ask("ping")?) {
            return Err(format!("{rego}: expected rm denied and ping forwarded"));
        }
    }
    if tried > 250 { Ok(()) } else { Err(format!("tried {tried} only")) }
}

fn looks_like_a_token() -> Result<(), String> {
    let gate = gate(&json!({}))?;
    let good = request(&json!({}));
    let place = good.headers.iter().position(|(name, _)| name == "authorization").ok_or("no token")?;
    let token = good.headers[place].1.clone();
    if !is_forward(&ask(Some(&gate), &good)?) {
        return Err("expected the token itself to be good".into());
    }
    let mut forged: Vec<Vec<u8>> = Vec::new();
    // Any one character another, in every part.
    for at in "Bearer ".len()..token.len() {
        for other in [b'A', b'B', b'-', b'_', b'.', b'='] {
            let mut changed = token.clone();
            changed[at] = other;
            forged.push(changed);
        }
    }
    for end in ["=", "==", ".", "A", ".A", "%3D"] {
        forged.push([&token, end.as_bytes()].concat());
    }
    // The last character has bits that no byte is made of.
    let last = token.len() - 1;
    for other in b'A'..=b'z' {
        let mut changed = token.clone();
        changed[last] = other;
        forged.push(changed);
    }
    forged.push(token[..last].to_vec());
    forged.push(token.to_ascii_lowercase());
    forged.retain(|forged| *forged != token);
    for forged in forged {
        let mut request = good.clone();
        request.headers[place].1 = forged;
        if is_forward(&ask(Some(&gate), &request)?) {
            return Err(format!("forwarded: {}", String::from_utf8_lossy(&request.headers[place].1)));
        }
    }
    match is_forward(&ask(Some(&gate), &good)?) {
        true => Ok(()),
        false => Err("expected the token itself to be good still".into()),
    }
}

/// Each in turn flipped, in a token that was never sent as it is.
fn every_bit() -> Result<(), String> {
    let gate = gate(&json!({}))?;
    let mut tried = 0;
    for (signer, pieces) in [("es256", &[0, 1, 2][..]), ("rs256", &[2][..]), ("eddsa", &[2][..])] {
        let good = request(&json!({"sign_with": signer}));
        let place = good.headers.iter().position(|(name, _)| name == "authorization").ok_or("no token")?;
        let token = String::from_utf8_lossy(&good.headers[place].1).replace("Bearer ", "");
        for piece in pieces {
            let parts: Vec<_> = token.split('.').collect();
            for bit in 0..parts[*piece].len() * 6 / 8 * 8 {
                let spoilt = spoil(parts[*piece], &format!("^{bit}"));
                let mut parts = parts.clone();
                parts[*piece] = &spoilt;
                let mut request = good.clone();
                request.headers[place].1 = format!("Bearer {}", parts.join(".")).into_bytes();
                if !matches!(ask(Some(&gate), &request)?, Outcome::Reply { status: 401, .. }) {
                    return Err(format!("{signer}, piece {piece}, bit {bit}: expected 401"));
                }
                tried += 1;
            }
        }
        if !is_forward(&ask(Some(&gate), &good)?) {
            return Err(format!("{signer}: expected the token itself to be good"));
        }
    }
    if tried > 4000 { Ok(()) } else { Err(format!("expected more than 4000 bits, found {tried}")) }
}

/// The shortest time of some readings.
fn cost(body: &[u8]) -> Duration {
    let limits = Limits { nodes: u32::MAX, depth: 64, ..Limits::default() };
    let reading = || {
        let start = Instant::now();
        let read = Json::read(std::hint::black_box(body), limits);
        let time = start.elapsed();
        drop(std::hint::black_box(read.map(drop)));
        time
    };
    (0..15).map(|_| reading()).min().unwrap_or_default()
}

fn object(names: impl Iterator<Item = String>) -> Vec<u8> {
    let members: Vec<_> = names.map(|name| format!("\"{name}\":1")).collect();
    format!("{{{}}}", members.join(",")).into_bytes()
}

const SIZE: usize = 200_000;

fn cost_of_bodies() -> Result<(), String> {
    let document = r#"{"id":17,"title":"Quarterly report","tags":["a","b"],"open":true,"size":1234.5},"#;
    let friendly = format!("[{}1]", document.repeat(SIZE / document.len())).into_bytes();
    let repeat = |before: &str, text: &str, after: &str| {
        format!("{before}{}{after}", text.repeat(SIZE / text.len())).into_bytes()
    };
    let hostile: [(&str, Vec<u8>); 10] = [
        ("escapes", repeat("\"", "\\u00e9", "\"")),
        ("surrogates", repeat("\"", "\\ud83d\\ude00", "\"")),
        ("small values", repeat("[", "0,", "0]")),
        ("empty arrays", repeat("[", "[],", "[]]")),
        ("nested to the limit", repeat("[", &format!("{}{},", "[".repeat(60), "]".repeat(60)), "0]")),
        ("digits", repeat("[0.", "1234567890", "]")),
        ("many numbers", repeat("[", "0.1234567890123,", "0]")),
        ("many members", object((0..SIZE / 12).map(|index| format!("name{index}")))),
        ("many members beyond ASCII", object((0..SIZE / 20).map(|index| format!("\u{fb03}\u{1e9e}\u{212a}{index}")))),
        (
            "one long name",
            object(
                std::iter::once("\u{fdfa}".repeat(340))
                    .chain((0..SIZE / 1030).map(|index| format!("{}{index}", "\u{fdfa}".repeat(338)))),
            ),
        ),
    ];
    let base = cost(&friendly);
    let dear = hostile.iter().map(|(what, body)| (*what, cost(body))).filter(|(_, cost)| *cost > base * 30);
    let dear: Vec<_> = dear.collect();
    match dear.is_empty() {
        true => Ok(()),
        false => Err(format!("expected at most thirty times {base:?}, found {dear:?}")),
    }
}

/// FNV-1a, as tables of hashes use it.
fn fnv(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// SipHash with the key that nobody chose.
fn sip(name: &str) -> u64 {
    use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
    BuildHasherDefault::<DefaultHasher>::default().hash_one(name)
}

fn cost_of_collisions() -> Result<(), String> {
    const MEMBERS: usize = 4096;
    let names = |keep: fn(&str) -> bool| {
        let all = (0_u32..).map(|index| format!("{index:08x}"));
        object(all.filter(move |name| keep(name)).take(MEMBERS))
    };
    let words =
        |words: [&str; 2]| object((0..MEMBERS).map(|index| (0..12).map(|bit| words[index >> bit & 1]).collect()));
    // In a table of hashes each of the first would meet all before it; the second
    // are as many and as long, and spread.
    let flooded = [
        ("FNV-1a", names(|name| fnv(name) & 0xff == 0), names(|_| true)),
        ("SipHash", names(|name| sip(name) & 0xff == 0), names(|_| true)),
        ("DJBX33A", words(["Ez", "FY"]), words(["Ez", "FX"])),
    ];
    for (what, collide, spread) in flooded {
        let (collide, spread) = (cost(&collide), cost(&spread));
        if collide > spread * 8 {
            return Err(format!("{what}: expected about {spread:?}, found {collide:?}"));
        }
    }
    Ok(())
}
