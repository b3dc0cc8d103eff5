//! `envoy/issuers`: what is configured for a product, against tokens as its
//! documentation shows them.
//!
//! `tests/issuers/PRODUCT.json` has the tokens, where they are from and what was
//! changed in them:
//!
//! ```json
//! {
//!   "documented": [{"title", "address", "date", "gives"}],
//!   "jwks_uri": "https://...",                     where the product's metadata says that its keys are
//!   "changed": "what differs from the documentation",
//!   "replaced": {"TENANT-ID": "72f988bf-..."},     what an operator replaces in envoy/issuers/PRODUCT.yaml
//!   "resource": "https://mcp.example.com/mcp",
//!   "tokens": [{
//!     "name": "a user's",
//!     "like": "another token",                     a token before it, over which `header` and `claims` are merge patches
//!     "given": {"token_type": "any"},              a merge patch over the issuer, for another way to configure it
//!     "header": {...}, "claims": {...},            times as in cases; or "raw", for a text that is no JWT
//!     "identity": {...}                            whom policy sees, claims aside; or "refused", the code in the record
//!   }]
//! }
//! ```
//!
//! The keys of the tests take the place of discovery, under the names that the
//! headers have.

use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use libtest_mimic::{Failed, Trial};
use mcp_gate::config::{self, Surroundings};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::case::{Request, at_text, merge};
use crate::check::Outcome;
use crate::keys::{Keys, Signer};
use crate::native::{NOW, exchange};

/// The products, by the names of their files.
const PRODUCTS: [&str; 8] = ["auth0", "cognito", "entra", "google", "keycloak", "kubernetes", "okta", "ping"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Product {
    documented: Vec<Page>,
    jwks_uri: String,
    changed: String,
    #[serde(default)]
    replaced: Map<String, Value>,
    resource: String,
    tokens: Vec<Token>,
}

/// A page of the documentation.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    title: String,
    address: String,
    date: String,
    gives: String,
}

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Token {
    name: String,
    like: Option<String>,
    given: Option<Value>,
    header: Option<Value>,
    claims: Option<Value>,
    raw: Option<String>,
    identity: Option<Value>,
    refused: Option<String>,
}

pub(crate) fn trials() -> Vec<Trial> {
    let products = PRODUCTS.iter().map(|product| {
        let check = || tokens(product).map_err(Failed::from);
        Trial::test(format!("issuers/{product}: tokens as documented"), check)
    });
    products.chain([Trial::test("issuers/each file has its tokens", || files_agree().map_err(Failed::from))]).collect()
}

fn read(path: &str) -> Result<String, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
}

/// An example with neither a test nor a page would be folklore.
fn files_agree() -> Result<(), String> {
    for (directory, extension) in [("envoy/issuers", "yaml"), ("tests/issuers", "json")] {
        let entries = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(directory)).expect(directory);
        let mut found: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        found.sort();
        let expected = PRODUCTS.map(|product| format!("{product}.{extension}"));
        if found != expected {
            return Err(format!("{directory}: expected {expected:?}, found {found:?}"));
        }
    }
    Ok(())
}

fn tokens(name: &str) -> Result<(), String> {
    let product: Product = serde_json::from_str(&read(&format!("tests/issuers/{name}.json"))?)
        .map_err(|error| format!("tests/issuers/{name}.json: {error}"))?;
    let said = product.documented.iter().flat_map(|page| [&page.title, &page.address, &page.date, &page.gives]);
    if product.documented.is_empty() || said.chain([&product.changed]).any(String::is_empty) {
        return Err("`documented`, `changed`: expected where the tokens are from, and what was changed".into());
    }
    let issuer = issuer(name, &product)?;
    keys_are_found(&issuer, &product.jwks_uri)?;
    let mut known: Vec<Token> = Vec::new();
    let mut problems = Vec::new();
    for token in &product.tokens {
        let token = token.like(&known)?;
        let problem = token.check(&issuer, &product.resource).err();
        problems.extend(problem.map(|problem| format!("{}: {problem}", token.name)));
        known.push(token);
    }
    let refused = known.iter().filter(|token| token.refused.is_some()).count();
    if refused == 0 || refused == known.len() {
        return Err("expected tokens that are accepted, and tokens that are refused".into());
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
}

/// The one issuer of an example, as an operator has it who replaced what is theirs.
fn issuer(name: &str, product: &Product) -> Result<Value, String> {
    let path = format!("envoy/issuers/{name}.yaml");
    let mut text = read(&path)?;
    for (placeholder, value) in &product.replaced {
        if !text.contains(placeholder.as_str()) {
            return Err(format!("{path}: expected `{placeholder}` in it"));
        }
        text = text.replace(placeholder.as_str(), value.as_str().expect("a text"));
    }
    let document: Value = yaml_serde::from_str(&text).map_err(|error| format!("{path}: {error}"))?;
    match document["issuers"].as_array().map(Vec::as_slice) {
        Some([issuer]) if document.as_object().is_some_and(|document| document.len() == 1) => Ok(issuer.clone()),
        _ => Err(format!("{path}: expected `issuers` with one issuer, and nothing else")),
    }
}

/// Does the example let the keys be where they are: at this URL, or on the issuer's
/// own origin or one that it lists?
fn keys_are_found(issuer: &Value, jwks_uri: &str) -> Result<(), String> {
    let jwks = &issuer["jwks"];
    let origin = |url: &str| url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
    let own = issuer["issuer"].as_str().map(origin);
    let is_found = match (jwks.get("url"), jwks.get("discover")) {
        (Some(url), None) => url == jwks_uri && jwks["cluster"].is_string(),
        (None, Some(discover)) => {
            let listed = discover["origins"].as_object().is_some_and(|origins| origins.contains_key(&origin(jwks_uri)));
            discover["cluster"].is_string() && (listed || own == Some(origin(jwks_uri)))
        }
        _ => false,
    };
    if is_found { Ok(()) } else { Err(format!("`jwks`: expected it to lead to {jwks_uri}, found {jwks}")) }
}

/// Denies everything with the identity as JSON, in pieces that a reason holds.
const ECHO: &str = r#"package mcp.authz

default allow := false

deny contains piece if {
	some n in numbers.range(0, 15)
	n * 240 < count(_text)
	piece := concat("", [format_int(n + 10, 10), substring(_text, n * 240, 240)])
}

_text := json.marshal(input.identity)
"#;

impl Token {
    /// This token, whole.
    fn like(&self, known: &[Self]) -> Result<Self, String> {
        let Some(name) = &self.like else { return Ok(self.clone()) };
        let base = known.iter().find(|token| token.name == *name);
        let base = base.ok_or_else(|| format!("{}: expected `like` to name a token before it", self.name))?;
        let patched = |base: &Option<Value>, patch: &Option<Value>| {
            let mut value = base.clone().unwrap_or_default();
            patch.iter().for_each(|patch| merge(&mut value, patch));
            Some(value)
        };
        Ok(Self {
            given: self.given.clone().or_else(|| base.given.clone()),
            header: patched(&base.header, &self.header),
            claims: patched(&base.claims, &self.claims),
            ..self.clone()
        })
    }

    fn check(&self, issuer: &Value, resource: &str) -> Result<(), String> {
        let keys = Keys::shared();
        let header = self.header.clone().unwrap_or_default();
        let claims = at_text(&self.claims.clone().unwrap_or_default().to_string(), NOW);
        let token = match &self.raw {
            Some(raw) => raw.clone(),
            None => keys.sign(signer(&header)?, header.to_string(), &claims),
        };
        let configuration = self.configuration(issuer, resource, &header);
        let gate = config::load_document(configuration, &Surroundings::offline())
            .map_err(|findings| format!("{findings:?}"))?;
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
        let (outcome, record) = exchange(Some(Rc::new(gate)), &request(resource, &token), now, false)?;
        match (&self.refused, &self.identity) {
            (Some(code), None) => same("code", &json!(code), &record["code"]),
            (None, Some(identity)) => {
                let mut found = echoed(&outcome, &record)?;
                let members = found.as_object_mut().ok_or("expected an object")?;
                let claims: Value = serde_json::from_str(&claims).map_err(|error| error.to_string())?;
                same("claims", &claims, &members.remove("claims").unwrap_or_default())?;
                same("issuer", &claims["iss"], &members.remove("issuer").unwrap_or_default())?;
                same("method", &json!("bearer"), &members.remove("method").unwrap_or_default())?;
                same("confirmation", &json!("none"), &members.remove("confirmation").unwrap_or_default())?;
                same("identity", identity, &found)
            }
            _ => Err("expected either `identity` or `refused`".into()),
        }
    }

    /// A gate that takes this issuer's tokens, and denies everything with whom it
    /// took the caller for.
    fn configuration(&self, issuer: &Value, resource: &str, header: &Value) -> Value {
        let mut issuer = issuer.clone();
        self.given.iter().for_each(|given| merge(&mut issuer, given));
        let mut key = Keys::shared().jwk("rs256");
        if let Some(kid) = header.get("kid") {
            key["kid"] = kid.clone();
        }
        issuer["jwks"] = json!({"inline": {"keys": [key]}});
        json!({
            "resources": [{"url": resource, "issuers": [issuer["name"]], "denials": {"reasons": true}}],
            "issuers": [issuer],
            "policy": {"modules": {
                "echo.rego": ECHO,
            }},
        })
    }
}

fn signer(header: &Value) -> Result<Signer, String> {
    match header["alg"].as_str() {
        Some("RS256") => Ok(Signer::Rs256),
        _ => Err(format!("`alg`: expected RS256, which all of them use, found {}", header["alg"])),
    }
}

fn request(resource: &str, token: &str) -> Request {
    let (authority, path) = resource.strip_prefix("https://").and_then(|rest| rest.split_once('/')).expect("a URL");
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "list_documents"}});
    Request {
        method: "POST".into(),
        path: format!("/{path}"),
        authority: authority.as_bytes().to_vec(),
        headers: vec![
            ("content-type".into(), b"application/json".to_vec()),
            ("authorization".into(), format!("Bearer {token}").into_bytes()),
        ],
        body: Some(body.to_string().into_bytes()),
        stops_after: None,
        answer: None,
        certificate: None,
    }
}

/// The identity in the one reason of the denial.
fn echoed(outcome: &Outcome, record: &Value) -> Result<Value, String> {
    same("code", &json!("policy_denied"), &record["code"])?;
    let Outcome::Reply { status: 403, body, .. } = outcome else { return Err("expected a 403".into()) };
    let body: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let reasons = body.pointer("/error/data/reasons").and_then(Value::as_array).ok_or("expected reasons")?;
    let mut pieces: Vec<&str> = reasons.iter().filter_map(Value::as_str).collect();
    pieces.sort_unstable();
    let reason: String = pieces.iter().filter_map(|piece| piece.get(2..)).collect();
    serde_json::from_str(&reason).map_err(|error| error.to_string())
}

fn same(what: &str, expected: &Value, found: &Value) -> Result<(), String> {
    if expected == found { Ok(()) } else { Err(format!("{what}: expected {expected}, found {found}")) }
}
