//! A case: one behaviour of the gate, as data.
//!
//! ```json
//! {
//!   "why": "one sentence",
//!   "given": {"policy": {"mode": "shadow"}},       a merge patch (RFC 7386) over the configuration of envoy/filter.yaml
//!   "token": {"sub": "bob", "exp": "now+300"},     a merge patch over alice's claims; null: no token;
//!                                                  {"raw": "..."}: this text; {"payload": "..."}: this JSON, signed
//!                                                  ({"payload_bytes": "..."}: each character is one byte)
//!   "token_header": {"typ": "JWT"},                a merge patch over the token's header; {"raw": "..."}: this text;
//!                                                  {"bytes": "..."}; "jwk": "{jwk}" is the key that signs
//!   "sign_with": "es256",                          or rs256, ps256, eddsa, other (a key that nobody knows), client, none;
//!                                                  {"hmac": "rsa_pem"}: HS256 with what everybody knows as its secret
//!   "token_text": "{header}.{payload}.{signature}", put together from pieces, which may be `{last.…}`, of the token
//!                                                  before; `{…^7}` has bit 7 flipped, `{…~}` other bits at its end that
//!                                                  do not count, and `{…/}` is in the other alphabet of base64
//!   "dpop": {"htm": "GET"},                        a merge patch over the claims of a good proof of possession (RFC
//!                                                  9449) for this token and request; null: no proof; {"raw": "..."}
//!   "dpop_header": {"typ": "JWT"},                 a merge patch over the proof's header
//!   "dpop_with": "client",                         the key of the proof, as `sign_with`
//!   "request": {"method", "path", "headers", "body"},
//!   "expect": {"forward": {"headers": {...}, "absent": [...]}},
//!   "record": {"code": "permitted"},               members of the record; null: not there
//!   "then": [{...}],                               further requests to the same gate, without `why` and `given`
//!   "runs": ["native", "h1"]                       only where a case cannot be said in all ways
//! }
//! ```
//!
//! `request.headers` is a list of pairs over the usual headers: a name given
//! takes the usual one's place, null takes it away; each character of a value is
//! one byte, and a value may be a `body_repeat`. `more_headers` is how many others
//! come with them. `{token}` in a value or in the path is the token, `{proof}` the proof,
//! and `{jkt}` in a token or an answer the thumbprint of `client`, which signs proofs: `"cnf": {"jkt":
//! "{jkt}"}` binds a token to it. `{nonce}` in the claim of that name is the `DPoP-Nonce` of
//! the last answer that had one, `{etag}` in a value the `etag`, `{session}` the session id
//! of `SESSION` that alice has under `MCP_GATE_SESSION_KEY`. A token that comes with a proof is presented as
//! `DPoP`, else as `Bearer`. Instead of `body`
//! (JSON) stands `raw_body` (text), `raw_bytes` (each character is one byte),
//! `raw_body_base64`, or `body_repeat` (`before`, `text` as often as `times` says,
//! `after`; or a list of these); `stops_after` cuts the connection after so many
//! bytes of it. `expect` is one of `forward`, `reply`, `refused` (the
//! configuration, with what each of its findings begins with), `edge` (refused by
//! Envoy, before the gate), `reset` (the same over HTTP/2, where Envoy only resets
//! the stream) and `unanswered`. A step of `then` takes token, proof and request of the step before it
//! where it has none (`"dpop": {}` makes a proof anew), and `at` moves the clock (natively only), in seconds; `runs`
//! in it leaves it out of the other runs. `answer` (`status`, `content_type`, `body`)
//! is what the issuer says when the gate asks it about the token (natively only);
//! `certificate` the digest that the host has of the client's (natively only).
//! The variables that a configuration names by `{env: NAME}` are those of
//! `keys::ENVIRONMENT`, natively and through Envoy.
//!
//! A step with `"each": ["a", "b"]` is one step for each of these texts, which
//! stands wherever the step says `{each}`.
//!
//! The files of `tests/cases` are named after what the gate does; those of
//! `tests/threats` after the row of the catalogue of threats that they cover.

use std::path::{Path, PathBuf};

use mcp_gate::session::Owner;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::check::Outcome;
use crate::keys::{Keys, Proof, Signer, sealed};
use crate::token::Recipe;

/// The resource's authority as the files say it; Envoy gets ports of its own.
pub(crate) const AUTHORITY: &str = "127.0.0.1:10000";

/// A server's session id.
pub(crate) const SESSION: &str = "0123456789abcdef0123456789abcdef";

/// A file of `tests/cases` or `tests/threats`, still as text.
#[derive(Clone)]
pub(crate) struct File {
    pub(crate) name: String,
    text: String,
}

pub(crate) struct Case {
    pub(crate) given: Value,
    pub(crate) runs: Vec<Run>,
    pub(crate) steps: Vec<Step>,
}

/// A way to run a case.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Run {
    Native,
    /// HTTP/1.1 with a length, in one write.
    H1,
    /// The same, one byte at a time.
    H1Bytes,
    /// HTTP/1.1 in chunks of one byte.
    H1Chunked,
    /// The same with extensions, and ended by trailers.
    H1Trailers,
    /// HTTP/2, its end in a frame of its own.
    H2,
    /// HTTP/2, its end in the last frame of the body.
    H2End,
    /// HTTP/2, ended by trailers.
    H2Trailers,
}

pub(crate) const FRAMINGS: [Run; 7] =
    [Run::H1, Run::H1Bytes, Run::H1Chunked, Run::H1Trailers, Run::H2, Run::H2End, Run::H2Trailers];

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    #[serde(default, deserialize_with = "present")]
    token: Option<Value>,
    token_header: Option<Value>,
    token_text: Option<String>,
    sign_with: Option<Signer>,
    #[serde(default, deserialize_with = "present")]
    dpop: Option<Value>,
    dpop_header: Option<Value>,
    dpop_with: Option<Signer>,
    request: Option<RequestSpec>,
    pub(crate) expect: Expect,
    #[serde(default)]
    pub(crate) record: Map<String, Value>,
    #[serde(default)]
    pub(crate) at: u64,
    answer: Option<AnswerSpec>,
    certificate: Option<String>,
    runs: Option<Vec<Run>>,
    /// What stands for `{each}`.
    each: Option<String>,
}

/// What an issuer says when it is asked about a token.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AnswerSpec {
    #[serde(default = "ok")]
    status: u16,
    #[serde(default = "json_type")]
    content_type: String,
    body: Value,
}

fn ok() -> u16 {
    200
}

fn json_type() -> String {
    "application/json".into()
}

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestSpec {
    method: Option<String>,
    path: Option<String>,
    #[serde(default)]
    headers: Vec<(String, Option<HeaderValue>)>,
    #[serde(default)]
    more_headers: usize,
    #[serde(default, deserialize_with = "present")]
    body: Option<Value>,
    raw_body: Option<String>,
    raw_bytes: Option<String>,
    raw_body_base64: Option<String>,
    body_repeat: Option<Repeats>,
    stops_after: Option<usize>,
}

#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum HeaderValue {
    Text(String),
    Long(Repeats),
}

#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Repeats {
    One(Repeat),
    Many(Vec<Repeat>),
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Repeat {
    #[serde(default)]
    before: String,
    text: String,
    #[serde(deserialize_with = "count")]
    times: usize,
    #[serde(default)]
    after: String,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Expect {
    Forward(Forward),
    Reply(Reply),
    Refused(Vec<String>),
    Edge { status: u16 },
    Reset {},
    Unanswered {},
}

/// What upstream must get, beside the body that was sent.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Forward {
    #[serde(default)]
    pub(crate) headers: Map<String, Value>,
    #[serde(default = "credential")]
    pub(crate) absent: Vec<String>,
}

/// What the client must get. A JSON-RPC error if `rpc` is given, this `message` (`{decision}`
/// in it is the decision's id) if that is, and only then; likewise `id`, and some headers.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) rpc: Option<i64>,
    pub(crate) id: Option<Value>,
    pub(crate) message: Option<Value>,
    #[serde(default)]
    pub(crate) headers: Map<String, Value>,
    /// Members of the body, or of `error.data`.
    #[serde(default)]
    pub(crate) body: Map<String, Value>,
}

/// A request as it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) authority: Vec<u8>,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) stops_after: Option<usize>,
    /// What the issuer of the token says, if it is asked.
    pub(crate) answer: Option<(u16, String, String)>,
    /// The digest of the client's certificate, as the host says it.
    pub(crate) certificate: Option<String>,
}

/// A token, a proof and a request, kept for the next step.
#[derive(Default)]
pub(crate) struct Session {
    /// Inside, nothing where the case has no token.
    token: Option<Option<String>>,
    proof: Option<String>,
    nonce: Option<String>,
    request: RequestSpec,
    etag: Option<String>,
}

fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// A number, or a text that says one, for `{each}`.
fn count<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    text.parse().map_err(|_| serde::de::Error::custom(format!("`times`: expected a number, found `{text}`")))
}

fn credential() -> Vec<String> {
    vec!["authorization".into()]
}

/// Every case, by name.
pub(crate) fn read_all() -> Vec<File> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for directory in ["tests/cases", "tests/threats"] {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
        let known = paths.len();
        paths.extend(std::fs::read_dir(&directory).expect("a directory of cases").map(|entry| entry.unwrap().path()));
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        assert!(paths.len() > known, "expected cases in {}, found none", directory.display());
    }
    let files = paths.iter().map(|path| File {
        name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
        text: std::fs::read_to_string(path).unwrap(),
    });
    let mut files: Vec<File> = files.collect();
    files.sort_by(|a, b| a.name.cmp(&b.name));
    files
}

impl File {
    /// The case, for a resource at `authority`.
    pub(crate) fn case(&self, authority: &str) -> Result<Case, String> {
        let text = self.text.replace(AUTHORITY, authority);
        let mut first: Map<String, Value> = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let why = first.remove("why").unwrap_or_default();
        if why.as_str().unwrap_or_default().is_empty() {
            return Err("`why`: expected a sentence".into());
        }
        let given = first.remove("given").unwrap_or_else(|| json!({}));
        let runs = first.remove("runs").unwrap_or_else(|| {
            json!(["native", "h1", "h1_bytes", "h1_chunked", "h1_trailers", "h2", "h2_end", "h2_trailers"])
        });
        let runs: Vec<Run> = serde_json::from_value(runs).map_err(|error| format!("`runs`: {error}"))?;
        let Value::Array(then) = first.remove("then").unwrap_or_else(|| json!([])) else {
            return Err("`then`: expected a list".into());
        };
        let mut steps = Vec::new();
        for step in std::iter::once(Value::Object(first)).chain(then) {
            for step in each(step)? {
                steps.push(serde_json::from_value::<Step>(step).map_err(|error| error.to_string())?);
            }
        }
        if steps.iter().any(|step| step.at != 0) && runs != [Run::Native] {
            return Err("`at`: expected `runs: [\"native\"]`; nobody moves Envoy's clock".into());
        }
        let is_answered = |step: &Step| {
            (step.answer.is_some() || step.certificate.is_some())
                && step.runs.as_ref().unwrap_or(&runs) != &[Run::Native]
        };
        if steps.iter().any(is_answered) {
            return Err("`answer`, `certificate`: expected `runs: [\"native\"]`; Envoy asks for itself".into());
        }
        Ok(Case { given, runs, steps })
    }
}

/// The steps that a step with `each` stands for.
fn each(mut step: Value) -> Result<Vec<Value>, String> {
    let Some(texts) = step.as_object_mut().and_then(|step| step.remove("each")) else {
        return Ok(vec![step]);
    };
    let texts: Vec<String> = serde_json::from_value(texts).map_err(|error| format!("`each`: {error}"))?;
    let mut steps = Vec::new();
    for text in texts {
        let mut filled = step.clone();
        if !fill(&mut filled, &text) {
            return Err("`each`: expected `{each}` somewhere in the step".into());
        }
        filled["each"] = text.into();
        steps.push(filled);
    }
    match steps.is_empty() {
        true => Err("`each`: expected texts, found none".into()),
        false => Ok(steps),
    }
}

/// Puts a text in the place of `{each}`; was there one?
fn fill(value: &mut Value, text: &str) -> bool {
    match value {
        Value::String(string) => {
            let found = string.contains("{each}");
            if found {
                *string = string.replace("{each}", text);
            }
            found
        }
        Value::Array(items) => items.iter_mut().fold(false, |found, item| fill(item, text) | found),
        Value::Object(members) => members.values_mut().fold(false, |found, member| fill(member, text) | found),
        _ => false,
    }
}

impl Step {
    /// Is it part of this run?
    pub(crate) fn runs_in(&self, run: Run) -> bool {
        self.runs.as_ref().is_none_or(|runs| runs.contains(&run))
    }

    fn makes_token(&self) -> bool {
        self.token.is_some() || self.token_header.is_some() || self.token_text.is_some() || self.sign_with.is_some()
    }

    /// Which one it is, for a problem.
    pub(crate) fn label(&self, index: usize) -> String {
        match &self.each {
            None => format!("step {index}"),
            Some(each) => format!("step {index}, {:?}", each.chars().take(200).collect::<String>()),
        }
    }
}

impl Session {
    /// A request that is about no resource.
    pub(crate) fn unprotected(&mut self, authority: &str) -> Request {
        self.request = RequestSpec { method: Some("GET".into()), path: Some("/".into()), ..RequestSpec::default() };
        self.build(authority)
    }

    /// The request of a step, its token made at `now`.
    pub(crate) fn request(&mut self, step: &Step, keys: &Keys, authority: &str, now: u64) -> Request {
        if step.makes_token() || self.token.is_none() {
            let last = self.token.take().flatten();
            let recipe = Recipe {
                token: step.token.as_ref(),
                header: step.token_header.as_ref(),
                text: step.token_text.as_deref(),
                signer: step.sign_with.unwrap_or_default(),
                last: last.as_deref(),
            };
            self.token = Some(recipe.make(keys, authority, now));
        }
        if let Some(request) = &step.request {
            self.request = request.clone();
        }
        if step.dpop.is_some() || step.dpop_header.is_some() || step.dpop_with.is_some() {
            self.proof = self.make_proof(step, keys, authority, now);
        }
        let answer = step.answer.as_ref().map(|answer| {
            let body = answer.body.as_str().map_or_else(|| answer.body.to_string(), str::to_owned);
            let body = body.replace(AUTHORITY, authority).replace("{jkt}", &keys.thumbprint());
            (answer.status, answer.content_type.clone(), at_text(&body, now))
        });
        Request { answer, certificate: step.certificate.clone(), ..self.build(authority) }
    }

    /// Keeps what later requests repeat: the nonce and the `etag` of an answer.
    pub(crate) fn learn(&mut self, outcome: &Outcome) {
        let Outcome::Reply { headers, .. } = outcome else { return };
        for (header, kept) in [("dpop-nonce", &mut self.nonce), ("etag", &mut self.etag)] {
            if let Some((_, value)) = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(header)) {
                *kept = Some(String::from_utf8_lossy(value).into_owned());
            }
        }
    }

    fn make_proof(&self, step: &Step, keys: &Keys, authority: &str, now: u64) -> Option<String> {
        let nothing = json!({});
        let mut claims = step.dpop.clone().unwrap_or_else(|| nothing.clone());
        if let (Some(Value::String(claim)), Some(nonce)) = (claims.get_mut("nonce"), &self.nonce) {
            *claim = claim.replace("{nonce}", nonce);
        }
        match &claims {
            Value::Null => return None,
            Value::Object(claims) if claims.len() == 1 && claims.contains_key("raw") => {
                return Some(claims["raw"].as_str().unwrap().to_owned());
            }
            _ => {}
        }
        let path = self.request.path.as_deref().unwrap_or("/mcp");
        let path = path.split('?').next().unwrap();
        let about = Proof {
            method: self.request.method.as_deref().unwrap_or("POST"),
            url: &format!("http://{authority}{path}"),
            token: self.token.as_ref().and_then(Option::as_deref).unwrap_or_default(),
            now,
        };
        let header = step.dpop_header.as_ref().unwrap_or(&nothing);
        Some(keys.proof(step.dpop_with.unwrap_or(Signer::Client), &about, header, &claims))
    }

    fn build(&self, authority: &str) -> Request {
        let spec = &self.request;
        let method = spec.method.clone().unwrap_or_else(|| "POST".into());
        let token = self.token.as_ref().and_then(Option::as_deref);
        let proof = self.proof.as_deref();
        let etag = self.etag.as_deref().unwrap_or("{etag}");
        let resource = format!("http://{authority}/mcp");
        let fill = |text: &str| {
            let text = text.replace("{token}", token.unwrap_or("{token}")).replace("{etag}", etag);
            let text = text.replace("{proof}", proof.unwrap_or("{proof}"));
            match text.contains("{session}") {
                true => text.replace("{session}", &sealed(1, SESSION, &alice(&resource))),
                false => text,
            }
        };
        let body = spec.body(&method);
        let mut usual = vec![("host".to_owned(), Some(authority.to_owned()))];
        if body.is_some() {
            usual.push(("content-type".into(), Some("application/json".into())));
        }
        let scheme = if proof.is_some() { "DPoP" } else { "Bearer" };
        usual.extend(token.map(|token| ("authorization".to_owned(), Some(format!("{scheme} {token}")))));
        usual.extend(proof.map(|proof| ("dpop".to_owned(), Some(proof.to_owned()))));
        usual.retain(|(name, _)| spec.headers.iter().all(|(given, _)| given != name));
        let given = spec.headers.iter().map(|(name, value)| (name.clone(), value.as_ref().map(HeaderValue::text)));
        let more = (0..spec.more_headers).map(|index| (format!("x-more-{index}"), Some("1".to_owned())));
        let headers = usual.into_iter().chain(given).chain(more);
        let bytes = |value: String| bytes(&fill(&value));
        let mut headers: Vec<(String, Vec<u8>)> =
            headers.filter_map(|(name, value)| Some((name, bytes(value?)))).collect();
        let host = headers.iter().position(|(name, _)| name == "host");
        let authority = host.map(|index| headers.remove(index).1).unwrap_or_default();
        let path = fill(spec.path.as_deref().unwrap_or("/mcp"));
        Request {
            method,
            path,
            authority,
            headers,
            body,
            stops_after: spec.stops_after,
            answer: None,
            certificate: None,
        }
    }
}

/// Whose the usual token is, at a resource.
pub(crate) fn alice(resource: &str) -> Owner<'_> {
    Owner { issuer: "https://as.example.com", subject: "alice", client_id: Some("client-1"), resource }
}

/// Each character as one byte.
pub(crate) fn bytes(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(c).expect("one byte")).collect()
}

impl Repeats {
    fn text(&self) -> String {
        let repeats = match self {
            Self::One(repeat) => std::slice::from_ref(repeat),
            Self::Many(repeats) => repeats,
        };
        let part = |repeat: &Repeat| format!("{}{}{}", repeat.before, repeat.text.repeat(repeat.times), repeat.after);
        repeats.iter().map(part).collect()
    }
}

impl HeaderValue {
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Long(repeats) => repeats.text(),
        }
    }
}

impl RequestSpec {
    fn body(&self, method: &str) -> Option<Vec<u8>> {
        if let Some(text) = &self.raw_body {
            return Some(text.clone().into_bytes());
        }
        if let Some(text) = &self.raw_bytes {
            return Some(bytes(text));
        }
        if let Some(text) = &self.raw_body_base64 {
            return Some(crate::keys::base64(text));
        }
        if let Some(repeats) = &self.body_repeat {
            let repeats = match repeats {
                Repeats::One(repeat) => std::slice::from_ref(repeat),
                Repeats::Many(repeats) => repeats,
            };
            let parts = repeats
                .iter()
                .map(|Repeat { before, text, times, after }| format!("{before}{}{after}", text.repeat(*times)));
            return Some(parts.collect::<String>().into_bytes());
        }
        match &self.body {
            Some(Value::Null) => None,
            Some(body) => Some(body.to_string().into_bytes()),
            None if method != "POST" => None,
            None => {
                let body =
                    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "list_documents"}});
                Some(body.to_string().into_bytes())
            }
        }
    }
}

/// A JSON merge patch (RFC 7386).
pub(crate) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let members = target.as_object_mut().unwrap();
    for (name, value) in patch {
        if value.is_null() {
            members.remove(name);
        } else {
            merge(members.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

/// Puts seconds in the place of `"now"`, `"now+300"` and `"now-300"`.
pub(crate) fn at_text(text: &str, now: u64) -> String {
    let mut parts = text.split("\"now");
    let mut result = parts.next().unwrap().to_owned();
    for part in parts {
        let (offset, rest) = part.split_once('"').unwrap();
        let offset: i64 = if offset.is_empty() { 0 } else { offset.parse().expect("now+SECONDS") };
        result.push_str(&now.checked_add_signed(offset).unwrap().to_string());
        result.push_str(rest);
    }
    result
}
