//! The keys of the tests, made at the start of a run, and the configuration that
//! holds them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use jwt_simple::prelude::{
    ECDSAP256KeyPairLike as _, ECDSAP256PublicKeyLike as _, ES256KeyPair, Ed25519KeyPair, EdDSAKeyPairLike as _,
    RS256KeyPair, RSAKeyPairLike as _,
};
use jwt_simple::reexports::ct_codecs::{Base64, Base64UrlSafeNoPadding, Decoder as _, Encoder as _};
use mcp_gate::config::Surroundings;
use mcp_gate::secret::Secret;
use mcp_gate::session::{Owner, SessionKeys};
use p256::ecdsa::signature::Signer as _;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::case::{AUTHORITY, at_text, merge};

/// Who signs a token.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Signer {
    #[default]
    Es256,
    Rs256,
    Eddsa,
    /// An ES256 key that the configuration does not have, under the name of the one it has.
    Other,
    /// The RSA key, with the other padding.
    Ps256,
    /// HS256, with what everybody knows as the secret.
    Hmac(Public),
    /// The ES256 key of the client, which signs its proofs.
    Client,
    /// Nobody: the signature is empty.
    None,
}

impl Signer {
    pub(crate) fn algorithm(self) -> &'static str {
        match self {
            Self::Es256 | Self::Other | Self::Client => "ES256",
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Hmac(_) => "HS256",
            Self::Eddsa => "EdDSA",
            Self::None => "none",
        }
    }

    pub(crate) fn kid(self) -> &'static str {
        match self {
            Self::Es256 | Self::Other | Self::Client | Self::None => "es256",
            Self::Hmac(Public::EcPoint) => "es256",
            Self::Rs256 | Self::Ps256 | Self::Hmac(_) => "rs256",
            Self::Eddsa => "eddsa",
        }
    }
}

/// What everybody knows, in a form that some verifier has taken for a secret.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Public {
    RsaPem,
    RsaDer,
    RsaModulus,
    /// The modulus as it stands in the JWK.
    RsaN,
    EcPoint,
    Jwks,
    Nothing,
}

/// The session id that somebody has, for one of the server's: under key 1, or 2, the old one.
pub(crate) fn sealed(key: usize, id: &str, owner: &Owner<'_>) -> String {
    let secret = Secret::read(ENVIRONMENT[key].1).unwrap();
    SessionKeys::new(&[secret]).seal(id.as_bytes(), owner).unwrap()
}

pub(crate) struct Keys {
    es256: ES256KeyPair,
    other: ES256KeyPair,
    client: ES256KeyPair,
    rs256: RS256KeyPair,
    eddsa: Ed25519KeyPair,
    /// `envoy/filter.yaml`.
    filter: Value,
    count: AtomicU64,
}

/// The variables that a configuration may name: what the operator sets for Envoy.
pub(crate) const ENVIRONMENT: [(&str, &str); 4] = [
    ("MCP_GATE_CLIENT_SECRET", "do-not-record: 100%"),
    ("MCP_GATE_SESSION_KEY", "bmV2ZXIgdXNlIHRoaXMga2V5LCBpdCBpcyBwdWJsaWM"),
    ("MCP_GATE_SESSION_KEY_OLD", "dGhlIG9uZSBiZWZvcmUgaXQgaXMgcHVibGljLCB0b28"),
    ("MCP_GATE_SHORT_KEY", "c2hvcnQgYnV0IHNlY3JldA"),
];

fn variable(name: &str) -> Option<String> {
    ENVIRONMENT.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
}

/// What every configuration of the tests is loaded with.
pub(crate) fn surroundings() -> Surroundings<'static> {
    Surroundings { environment: &variable, ..Surroundings::offline() }
}

/// Where the plugin configuration stands in `envoy/filter.yaml`.
const CONFIGURATION: &str = "/resources/0/typed_config/config/configuration/value";

impl Keys {
    pub(crate) fn shared() -> &'static Self {
        static KEYS: OnceLock<Keys> = OnceLock::new();
        KEYS.get_or_init(|| {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("envoy/filter.yaml");
            let text = std::fs::read_to_string(path).expect("envoy/filter.yaml");
            Self {
                es256: ES256KeyPair::generate(),
                other: ES256KeyPair::generate(),
                client: ES256KeyPair::generate(),
                rs256: rsa("rs256"),
                eddsa: Ed25519KeyPair::generate(),
                filter: yaml_serde::from_str(&text).expect("envoy/filter.yaml"),
                count: AtomicU64::new(0),
            }
        })
    }

    /// A text that no other token of this run has.
    pub(crate) fn unique(&self) -> String {
        format!("token-{}", self.count.fetch_add(1, Ordering::Relaxed))
    }

    /// A compact JWS of these very texts.
    pub(crate) fn sign(&self, signer: Signer, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
        let encode = |bytes: &[u8]| Base64UrlSafeNoPadding::encode_to_string(bytes).unwrap();
        let signed = format!("{}.{}", encode(header.as_ref()), encode(payload.as_ref()));
        let ecdsa = |key: &ES256KeyPair| -> Vec<u8> {
            let signature: p256::ecdsa::Signature = key.key_pair().as_ref().sign(signed.as_bytes());
            signature.to_vec()
        };
        let is_pss = matches!(signer, Signer::Ps256);
        let signature = match signer {
            Signer::Es256 => ecdsa(&self.es256),
            Signer::Other => ecdsa(&self.other),
            Signer::Client => ecdsa(&self.client),
            Signer::Rs256 | Signer::Ps256 => {
                let key = superboring::pkey::PKey::from_rsa(self.rs256.key_pair().as_ref().clone()).unwrap();
                let mut signer =
                    superboring::sign::Signer::new(superboring::hash::MessageDigest::sha256(), &key).unwrap();
                let padding = match is_pss {
                    true => superboring::rsa::Padding::PKCS1_PSS,
                    false => superboring::rsa::Padding::PKCS1,
                };
                signer.set_rsa_padding(padding).unwrap();
                signer.update(signed.as_bytes()).unwrap();
                signer.sign_to_vec().unwrap()
            }
            Signer::Eddsa => self.eddsa.key_pair().as_ref().sk.sign(signed.as_bytes(), None).to_vec(),
            Signer::Hmac(secret) => hmac_sha256::HMAC::mac(&signed, self.known(secret)).to_vec(),
            Signer::None => Vec::new(),
        };
        format!("{signed}.{}", encode(&signature))
    }

    /// What stands for `{jkt}`: the thumbprint of the client's key (RFC 7638), told
    /// otherwise than the gate does.
    pub(crate) fn thumbprint(&self) -> String {
        let jwk = self.public(Signer::Client);
        let members: BTreeMap<_, _> = ["crv", "kty", "x", "y"].into_iter().map(|name| (name, &jwk[name])).collect();
        digest(&serde_json::to_string(&members).unwrap())
    }

    /// A DPoP proof (RFC 9449 §4.2) for a request with this token, with a merge patch
    /// over its header and one over its claims.
    pub(crate) fn proof(&self, signer: Signer, about: &Proof<'_>, header: &Value, claims: &Value) -> String {
        let Proof { method, url, token, now } = about;
        let mut all = json!({"typ": "dpop+jwt", "alg": signer.algorithm(), "jwk": self.public(signer)});
        merge(&mut all, header);
        let mut payload = json!({"jti": self.unique(), "htm": method, "htu": url, "iat": now, "ath": digest(token)});
        merge(&mut payload, claims);
        self.sign(signer, all.to_string(), at_text(&payload.to_string(), *now))
    }

    /// The plugin configuration of `envoy/filter.yaml` for a resource at
    /// `authority`, with the keys of the tests, and a patch over it. The names of
    /// signers in a list of keys are the keys.
    pub(crate) fn configuration(&self, given: &Value, authority: &str) -> Value {
        let base = self.filter.pointer(CONFIGURATION).expect(CONFIGURATION).to_string();
        assert!(base.contains(AUTHORITY), "envoy/filter.yaml: expected a resource at {AUTHORITY}");
        let mut configuration: Value = serde_json::from_str(&base.replace(AUTHORITY, authority)).unwrap();
        let keys = configuration.pointer_mut("/issuers/0/jwks/inline/keys").expect("envoy/filter.yaml: inline keys");
        *keys = json!(["es256", "rs256", "eddsa"]);
        // Tables are refused beside modules that do not ask for them.
        if given.pointer("/policy/modules").is_some_and(|modules| !modules.is_null()) {
            configuration["policy"]["data"] = json!({});
        }
        merge(&mut configuration, given);
        let issuers = configuration.get_mut("issuers").and_then(Value::as_array_mut);
        for issuer in issuers.into_iter().flatten() {
            let keys = issuer.pointer_mut("/jwks/inline/keys").and_then(Value::as_array_mut);
            for key in keys.into_iter().flatten() {
                if let Some(name) = key.as_str() {
                    *key = self.jwk(name);
                }
            }
        }
        configuration
    }

    /// `envoy/filter.yaml` with another configuration, the module's place, and the
    /// variables of the tests.
    pub(crate) fn filter(&self, configuration: &Value, module: &str) -> Value {
        let mut filter = self.filter.clone();
        *filter.pointer_mut(CONFIGURATION).unwrap() = configuration.clone();
        let place = "/resources/0/typed_config/config/vm_config/code/local/filename";
        *filter.pointer_mut(place).expect(place) = json!(module);
        let variables = ENVIRONMENT.into_iter().map(|(name, value)| (name.to_owned(), Value::from(value)));
        filter["resources"][0]["typed_config"]["config"]["vm_config"]["environment_variables"] =
            json!({"key_values": variables.collect::<serde_json::Map<_, _>>()});
        filter
    }

    fn known(&self, secret: Public) -> Vec<u8> {
        let rsa = self.rs256.public_key();
        let n = self.public(Signer::Rs256)["n"].as_str().unwrap().to_owned();
        match secret {
            Public::RsaPem => rsa.to_pem().unwrap().into_bytes(),
            Public::RsaDer => rsa.to_der().unwrap(),
            Public::RsaModulus => Base64UrlSafeNoPadding::decode_to_vec(&n, None).unwrap(),
            Public::RsaN => n.into_bytes(),
            Public::EcPoint => self.es256.public_key().public_key().to_bytes_uncompressed(),
            Public::Jwks => {
                let keys = ["es256", "rs256", "eddsa"].map(|name| self.jwk(name));
                json!({"keys": keys}).to_string().into_bytes()
            }
            Public::Nothing => Vec::new(),
        }
    }

    /// The public key of a signer, without its name.
    pub(crate) fn public(&self, signer: Signer) -> Value {
        let jwk = match signer {
            Signer::Es256 | Signer::None => self.es256.public_key().to_jwk(),
            Signer::Other => self.other.public_key().to_jwk(),
            Signer::Client => self.client.public_key().to_jwk(),
            Signer::Rs256 | Signer::Ps256 | Signer::Hmac(_) => self.rs256.public_key().to_jwk(),
            Signer::Eddsa => self.eddsa.public_key().to_jwk(),
        };
        serde_json::from_str(&jwk).unwrap()
    }

    pub(crate) fn jwk(&self, name: &str) -> Value {
        let (jwk, kid) = match name {
            "es256" => (self.es256.public_key().to_jwk(), name),
            "rs256" | "ps256" | "rsa" => (self.rs256.public_key().to_jwk(), "rs256"),
            "eddsa" => (self.eddsa.public_key().to_jwk(), name),
            "other" => (self.other.public_key().to_jwk(), name),
            "private" => (self.es256.to_jwk(), "es256"),
            _ => panic!("keys: expected es256, rs256, ps256, rsa, eddsa, other or private, found `{name}`"),
        };
        let mut jwk: Value = serde_json::from_str(&jwk).unwrap();
        jwk["kid"] = json!(kid);
        match name {
            "ps256" => jwk["alg"] = json!("PS256"),
            "rsa" => drop(jwk.as_object_mut().unwrap().remove("alg")),
            _ => {}
        }
        jwk
    }
}

/// What a proof is about.
pub(crate) struct Proof<'a> {
    pub(crate) method: &'a str,
    pub(crate) url: &'a str,
    pub(crate) token: &'a str,
    pub(crate) now: u64,
}

/// base64url of a SHA-256.
fn digest(text: &str) -> String {
    Base64UrlSafeNoPadding::encode_to_string(hmac_sha256::Hash::hash(text.as_bytes())).unwrap()
}

/// RSA keys take seconds to make, so they are kept.
pub(crate) fn rsa(name: &str) -> RS256KeyPair {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-keys");
    let file = directory.join(format!("{name}.pem"));
    if let Ok(pem) = std::fs::read_to_string(&file) {
        return RS256KeyPair::from_pem(&pem).expect("target/test-keys: remove it to have its keys made anew");
    }
    let pair = RS256KeyPair::generate(2048).unwrap();
    std::fs::create_dir_all(&directory).unwrap();
    // Another run may be making one, too.
    let new = directory.join(format!("{name}.{}", std::process::id()));
    std::fs::write(&new, pair.to_pem().unwrap()).unwrap();
    std::fs::rename(&new, &file).unwrap();
    pair
}

pub(crate) fn base64(text: &str) -> Vec<u8> {
    Base64::decode_to_vec(text, None).expect("base64")
}
