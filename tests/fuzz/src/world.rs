//! Gates with fixed configurations, and tokens by fixed keys.

use std::rc::Rc;
use std::time::{Duration, SystemTime};

use jwt_simple::prelude::{ECDSAP256KeyPairLike as _, ES256KeyPair};
use jwt_simple::reexports::ct_codecs::{Base64UrlSafeNoPadding, Encoder as _};
use mcp_gate::config::{self, Surroundings};
use mcp_gate::gate::Gate;
use p256::ecdsa::signature::Signer as _;
use serde_json::{Value, json};

/// 2026-11-23.
pub const NOW: u64 = 1_795_392_000;
pub const AUTHORITY: &str = "127.0.0.1:10000";
pub const URL: &str = "http://127.0.0.1:10000/mcp";
pub const SECOND: &str = "https://second.example/mcp";

/// What `oracle::permits` says in Rust.
const POLICY: &str = r#"package mcp.authz

allow if input.identity.subject == "alice"

allow if {
	input.mcp.method == "tools/call"
	input.mcp.name == "read"
	input.mcp.arguments.limit == 10
}

deny contains "path" if input.mcp.arguments.path == "/etc/shadow"

deny contains "recursive" if input.mcp.arguments.options.recursive == true

scopes contains "mcp:write" if input.mcp.name == "write"
"#;

/// A rule that never holds. A policy that reads the time has no memory.
const FORGETFUL: &str = "\ndeny contains \"time\" if input.time.unix < 0\n";

/// A token that is good, for whom, and where.
pub struct Good {
    pub token: String,
    pub subject: &'static str,
    pub scopes: &'static [&'static str],
    pub resource: &'static str,
}

/// One configuration, twice: with a memory of answers and without.
pub struct Configuration {
    pub remembering: Rc<Gate>,
    pub forgetting: Rc<Gate>,
    /// Does every authenticated identity pass, and is only read?
    pub shadow: bool,
    /// Is the handshake free?
    pub handshake: bool,
    /// Is what is no endpoint forwarded?
    pub elsewhere: bool,
}

pub struct World {
    pub configurations: Vec<Configuration>,
    pub good: Vec<Good>,
    /// All that can be chosen: the good ones first.
    tokens: Vec<String>,
}

pub fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
}

impl World {
    pub fn new() -> Self {
        let known = ES256KeyPair::from_bytes(&[7; 32]).unwrap();
        let other = ES256KeyPair::from_bytes(&[8; 32]).unwrap();
        let good = |subject, scopes: &'static [&'static str], resource| {
            let claims = json!({"sub": subject, "scope": scopes.join(" "), "aud": resource});
            Good { token: token(&known, &json!({}), &claims), subject, scopes, resource }
        };
        let good = vec![
            good("alice", &["mcp:read", "mcp:write"], URL),
            good("bob", &["mcp:read"], URL),
            good("alice", &["mcp:read"], SECOND),
        ];
        let mut tokens: Vec<String> = good.iter().map(|good| good.token.clone()).collect();
        tokens.extend([
            token(&other, &json!({}), &json!({})),
            token(&known, &json!({}), &json!({"exp": NOW - 60})),
            token(&known, &json!({}), &json!({"nbf": NOW + 60})),
            token(&known, &json!({}), &json!({"aud": "https://other.example/mcp"})),
            token(&known, &json!({"alg": "none"}), &json!({})),
            token(&known, &json!({"typ": "JWT"}), &json!({})),
            String::new(),
        ]);
        let mut jwk: Value = serde_json::from_str(&known.public_key().to_jwk()).unwrap();
        jwk["kid"] = json!("es256");
        let configurations = configurations(&jwk);
        Self { configurations, good, tokens }
    }

    /// The token that was chosen, with one bit turned where that was chosen, too.
    pub fn token(&self, choice: u8, flip: u8) -> Vec<u8> {
        let mut token = self.tokens[usize::from(choice) % self.tokens.len()].clone().into_bytes();
        if let Some(place) = (usize::from(flip) * 3).checked_rem(token.len()).filter(|_| flip != 0) {
            // From the end, where a signature can be bent.
            let place = token.len() - 1 - place;
            token[place] ^= 1;
        }
        token
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

fn token(key: &ES256KeyPair, header: &Value, claims: &Value) -> String {
    let mut whole_header = json!({"typ": "at+jwt", "alg": "ES256", "kid": "es256"});
    let mut whole = json!({
        "iss": "https://as.example.com", "aud": URL, "sub": "alice", "client_id": "client-1", "iat": NOW,
        "exp": NOW + 300, "scope": "mcp:read",
    });
    for (all, some) in [(&mut whole_header, header), (&mut whole, claims)] {
        all.as_object_mut().unwrap().extend(some.as_object().unwrap().clone());
    }
    let encode = |bytes: &[u8]| Base64UrlSafeNoPadding::encode_to_string(bytes).unwrap();
    let signed = format!("{}.{}", encode(whole_header.to_string().as_bytes()), encode(whole.to_string().as_bytes()));
    let signature: p256::ecdsa::Signature = key.key_pair().as_ref().sign(signed.as_bytes());
    format!("{signed}.{}", encode(&signature.to_vec()))
}

fn configurations(jwk: &Value) -> Vec<Configuration> {
    let resource = json!({
        "url": URL, "issuers": ["demo"], "scopes": ["mcp:read"], "origins": ["https://app.example"],
        "denials": {"reasons": true},
    });
    let with = |member: &str, value: Value| {
        let mut resource = resource.clone();
        resource[member] = value;
        resource
    };
    let small = json!({"body": 400, "headers": 2048, "depth": 8, "nodes": 48, "name": 64, "string": 64});
    let mut narrow = with("limits", small);
    narrow["versions"] = json!({"min": "2025-06-18"});
    let mut wide = with("extensions", json!({"methods": ["acme/export"], "tools": ["an unusual name"]}));
    wide["param_headers"] = json!({"read": {"Region": "region", "Path": "path"}});
    let second = json!({"url": SECOND, "issuers": ["demo"], "scopes": []});

    let make = |top: Value, resources: Vec<Value>, policy: Value| {
        let gate = |rego: String| {
            let mut document = json!({
                "resources": resources,
                "issuers": [{
                    "name": "demo", "issuer": "https://as.example.com", "jwks": {"inline": {"keys": [jwk]}},
                    "algorithms": ["ES256"],
                }],
                // A machine with other things to do must not make a finding.
                "policy": {"modules": {"authz.rego": rego}, "time_limit_ms": 1000},
            });
            let merge = |into: &mut Value, from: &Value| {
                into.as_object_mut().unwrap().extend(from.as_object().unwrap().clone());
            };
            merge(&mut document, &top);
            merge(&mut document["policy"], &policy);
            let gate = config::load_document(document, &Surroundings::offline())
                .unwrap_or_else(|findings| panic!("{findings:?}"));
            Rc::new(gate)
        };
        Configuration {
            remembering: gate(POLICY.to_owned()),
            forgetting: gate(format!("{POLICY}{FORGETFUL}")),
            shadow: policy["mode"] == "shadow",
            handshake: policy["handshake"] != "policy",
            elsewhere: top["elsewhere"] == "pass",
        }
    };
    let plain = || vec![resource.clone()];
    vec![
        make(json!({}), plain(), json!({})),
        make(json!({"hold": "body"}), plain(), json!({})),
        make(json!({"elsewhere": "pass"}), plain(), json!({})),
        make(json!({}), plain(), json!({"mode": "shadow"})),
        make(json!({}), vec![narrow], json!({"handshake": "policy"})),
        make(json!({}), vec![wide, second], json!({})),
    ]
}
