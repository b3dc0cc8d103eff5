//! An issuer with fixed keys, gates that believe it, and what a good token says,
//! told without the gate's own reading.

use std::rc::Rc;

use jwt_simple::prelude::{ECDSAP256KeyPairLike as _, ES256KeyPair};
use jwt_simple::reexports::ct_codecs::{Base64UrlSafeNoPadding, Encoder as _};
use mcp_gate::config::{self, Surroundings};
use mcp_gate::gate::Gate;
use p256::ecdsa::signature::Signer as _;
use serde_json::{Value, json};

use crate::oracle::Tree;
use crate::world::{NOW, URL};

pub const ISSUER: &str = "https://as.example.com";
pub const METADATA_URL: &str = "http://127.0.0.1:10000/.well-known/oauth-protected-resource/mcp";
/// The scopes of a 401.
pub const SCOPE: &str = "mcp:read";

/// What is asked for is what the token says, so that challenges hold its texts.
const POLICY: &str = "package mcp.authz

allow if input.identity.subject

scopes contains input.identity.claims.need

step_up := input.identity.claims.step_up
";

/// Ten years, the longest life of a token.
const LONGEST_LIFE: f64 = 315_360_000.0;
const LEEWAY: f64 = 30.0;

pub struct Issuer {
    known: ES256KeyPair,
    other: ES256KeyPair,
    /// The public key, as it stands in a set.
    pub jwk: Value,
    /// It knows the issuer's keys.
    pub signed: Rc<Gate>,
    /// It asks the issuer.
    pub asking: Rc<Gate>,
    /// A token that is good.
    pub good: String,
}

impl Issuer {
    pub fn new() -> Self {
        let known = ES256KeyPair::from_bytes(&[7; 32]).unwrap();
        let other = ES256KeyPair::from_bytes(&[8; 32]).unwrap();
        let mut jwk: Value = serde_json::from_str(&known.public_key().to_jwk()).unwrap();
        jwk["kid"] = json!("es256");
        let introspection = json!({
            "cluster": "as", "url": "https://as.example.com/introspect", "client_id": "gate",
            "client_secret": {"env": "SECRET"},
        });
        let header = json!({"typ": "at+jwt", "alg": "ES256", "kid": "es256"});
        let payload = json!({
            "iss": ISSUER, "aud": URL, "sub": "alice", "client_id": "client-1", "iat": NOW, "exp": NOW + 300, "scope": SCOPE,
        });
        let good = sign(&known, header.to_string().as_bytes(), payload.to_string().as_bytes());
        let signed = gate(&json!({"name": "demo", "issuer": ISSUER, "jwks": {"inline": {"keys": [&jwk]}}}));
        let asking = gate(&json!({"name": "demo", "issuer": ISSUER, "introspection": introspection}));
        Self { known, other, jwk, signed, asking, good }
    }

    /// A token of these bytes, by its key or by another's.
    pub fn token(&self, is_known: bool, header: &[u8], payload: &[u8]) -> String {
        sign(if is_known { &self.known } else { &self.other }, header, payload)
    }

    /// Does a set hold its key, whatever else it holds?
    pub fn is_in(&self, set: &[u8]) -> bool {
        let Some(tree) = Tree::read(set) else { return false };
        let has = |name: &str| tree.has_text(self.jwk[name].as_str().unwrap());
        has("x") && has("y")
    }
}

impl Default for Issuer {
    fn default() -> Self {
        Self::new()
    }
}

fn sign(key: &ES256KeyPair, header: &[u8], payload: &[u8]) -> String {
    let encode = |bytes: &[u8]| Base64UrlSafeNoPadding::encode_to_string(bytes).unwrap();
    let signed = format!("{}.{}", encode(header), encode(payload));
    let signature: p256::ecdsa::Signature = key.key_pair().as_ref().sign(signed.as_bytes());
    format!("{signed}.{}", encode(&signature.to_vec()))
}

fn gate(issuer: &Value) -> Rc<Gate> {
    let document = json!({
        "resources": [{"url": URL, "issuers": ["demo"], "scopes": [SCOPE]}],
        "issuers": [issuer],
        "policy": {"modules": {"authz.rego": POLICY}, "handshake": "policy", "time_limit_ms": 1000},
    });
    let variable = |_: &str| Some("secret".to_owned());
    let surroundings = Surroundings { environment: &variable, ..Surroundings::offline() };
    Rc::new(config::load_document(document, &surroundings).unwrap_or_else(|findings| panic!("{findings:?}")))
}

/// The one member of an exact name.
fn one<'t>(tree: &'t Tree, name: &str) -> Option<&'t Tree> {
    let Tree::Object(members) = tree else { return None };
    let mut found = members.iter().filter(|(known, _)| known == name).map(|(_, value)| value);
    found.next().filter(|_| found.next().is_none())
}

fn text<'t>(tree: &'t Tree, name: &str) -> Option<&'t str> {
    one(tree, name).and_then(Tree::as_str).filter(|text| !text.is_empty())
}

/// Is this the header of an access token that the key signs?
pub fn is_good_header(header: &[u8]) -> bool {
    let Some(header) = Tree::read(header) else { return false };
    let typ = text(&header, "typ").unwrap_or_default().to_ascii_lowercase();
    let unused = ["crit", "b64", "zip", "jku", "jwk", "x5u", "x5c"];
    !header.has_alike()
        && text(&header, "alg") == Some("ES256")
        && ["at+jwt", "application/at+jwt"].contains(&typ.as_str())
        && one(&header, "kid").is_none_or(|kid| kid.as_str() == Some("es256"))
        && unused.iter().all(|name| one(&header, name).is_none())
}

/// Whom claims are about, if they are those of a token for this resource, and valid.
pub fn subject_of(payload: &[u8]) -> Option<String> {
    let payload = Tree::read(payload).filter(|payload| !payload.has_alike())?;
    let time = |name| match one(&payload, name) {
        None => Some(None),
        Some(Tree::Number(seconds)) => Some(Some(seconds.floor())),
        Some(_) => None,
    };
    let (now, expires, issued, starts) = (NOW as f64, time("exp")??, time("iat")??, time("nbf")?);
    let is_typed = ["client_id", "iss"].iter().all(|name| text(&payload, name).is_some());
    let is_now = now < expires + LEEWAY && issued <= now + LEEWAY && starts.is_none_or(|starts| starts <= now + LEEWAY);
    let is_bounded = issued >= 0.0 && issued <= expires && expires - issued <= LONGEST_LIFE;
    let is_ours = text(&payload, "iss") == Some(ISSUER) && is_for_us(&payload) && one(&payload, "cnf").is_none();
    (is_typed && is_now && is_bounded && is_ours).then(|| text(&payload, "sub").map(str::to_owned))?
}

fn is_for_us(claims: &Tree) -> bool {
    match one(claims, "aud") {
        Some(Tree::String(audience)) => audience == URL,
        Some(Tree::Array(list)) => {
            list.iter().all(|name| name.as_str().is_some()) && list.iter().any(|name| name.as_str() == Some(URL))
        }
        _ => false,
    }
}

/// Whom the issuer vouches for with this answer, if it does.
pub fn vouched(answer: &[u8]) -> Option<String> {
    let answer = Tree::read(answer).filter(|answer| !answer.has_alike())?;
    let is_over = match one(&answer, "exp") {
        None => false,
        Some(Tree::Number(expires)) => NOW as f64 >= expires.floor() + LEEWAY,
        Some(_) => true,
    };
    let is_own = one(&answer, "iss").is_none_or(|issuer| issuer.as_str() == Some(ISSUER));
    let is_active = one(&answer, "active") == Some(&Tree::Bool(true));
    let is_good = is_active && !is_over && is_own && is_for_us(&answer) && one(&answer, "cnf").is_none();
    is_good.then(|| text(&answer, "sub").map(str::to_owned))?
}

/// The issuer that a metadata document names.
pub fn issuer_of(document: &[u8]) -> Option<String> {
    let document = Tree::read(document).filter(|document| !document.has_alike())?;
    text(&document, "issuer").map(str::to_owned)
}
