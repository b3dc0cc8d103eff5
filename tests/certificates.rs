//! Tokens that are bound to a certificate, through a real Envoy that speaks TLS, and keys
//! that are fetched over it.
//!
//! The client is Envoy, too: beside the gate's listener it has one for each client,
//! which passes bytes on over TLS, with that client's certificate or with none.

use std::collections::BTreeMap;
use std::time::SystemTime;

use jwt_simple::prelude::{ECDSAP256KeyPairLike as _, ECDSAP256PublicKeyLike as _, ES256KeyPair};
use jwt_simple::reexports::ct_codecs::{Base64, Base64UrlSafeNoPadding, Encoder as _};
use libtest_mimic::{Failed, Trial};
use p256::ecdsa::signature::Signer as _;
use serde_json::{Value, json};

use crate::case::Session;
use crate::fetching;
use crate::key_server::{Answer, KeyServer};
use crate::keys::Keys;
use crate::process::{Envoy, PATIENCE, Setting, free_port};
use crate::reload::{Connection, bytes, status};
use crate::upstream::Upstream;

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |name: &str, run: fn() -> Result<(), String>| {
        Trial::test(format!("certificates/{name}"), move || run().map_err(Failed::from))
    };
    vec![
        trial("a token that is bound to one is good on its connection alone", run),
        trial("JWK-05 JWK-11 keys come from a server that has the name in its certificate alone", keys),
    ]
}

fn run() -> Result<(), String> {
    let clients =
        BTreeMap::from([("owner", Some(Certificate::make())), ("other", Some(Certificate::make())), ("none", None)]);
    let ports: BTreeMap<_, _> = clients.keys().map(|name| (*name, free_port())).collect();
    let (port, upstream) = (free_port(), Upstream::start_quiet());
    let authority = format!("127.0.0.1:{port}");
    let configuration = Keys::shared().configuration(
        &json!({
            "resources": [{"url": format!("http://{authority}/mcp"), "issuers": ["demo"], "credentials": ["bearer", "mtls"]}],
            "policy": {"modules": {"authz.rego": "package mcp.authz\n\nallow if input.identity.subject\n"}},
        }),
        &authority,
    );
    let server = Certificate::make();
    let setting = Setting { port, upstream: upstream.port(), configuration: &configuration, workers: 1, clusters: &[] };
    let mut envoy = Envoy::launch_changed(&setting, |bootstrap, _| {
        let mut document: Value = yaml_serde::from_str(bootstrap).unwrap();
        let chain = &mut document["static_resources"]["listeners"][0]["filter_chains"][0];
        // As RFC 8705 §2.2 has it: who issued the certificate does not matter.
        let trust = json!({"trusted_ca": server.chain(), "trust_chain_verification": "ACCEPT_UNTRUSTED"});
        chain["transport_socket"] = tls("Downstream", Some(&server), trust);
        for (name, certificate) in &clients {
            let resources = document["static_resources"].as_object_mut().unwrap();
            resources["listeners"].as_array_mut().unwrap().push(pass(name, ports[name]));
            let mut cluster = pointed(name, port);
            cluster["transport_socket"] = tls("Upstream", certificate.as_ref(), Value::Null);
            resources["clusters"].as_array_mut().unwrap().push(cluster);
        }
        *bootstrap = document.to_string();
    })?;
    envoy.wait_ready()?;

    let owner = clients["owner"].as_ref().unwrap();
    let bound = json!({"cnf": {"x5t#S256": owner.thumbprint()}});
    // A header is a client's word (Envoy's own, and RFC 9440).
    let forged = json!([
        ["x-forwarded-client-cert", format!("Hash={}", owner.digest())],
        ["client-cert", format!(":{}:", owner.base64())],
    ]);
    for (client, token, headers, expected) in [
        ("owner", &bound, json!([]), 200),
        ("other", &bound, json!([]), 401),
        ("none", &bound, json!([]), 401),
        ("other", &bound, forged.clone(), 401),
        ("none", &bound, forged, 401),
        ("owner", &json!({}), json!([]), 200),
        ("none", &json!({}), json!([]), 200),
        // Once more, now that there are TLS sessions to resume.
        ("other", &bound, json!([]), 401),
        ("owner", &bound, json!([]), 200),
    ] {
        let step = json!({"token": token, "request": {"headers": headers}, "expect": {"unanswered": {}}});
        let step = serde_json::from_value(step).unwrap();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let request = bytes(&Session::default().request(&step, Keys::shared(), &authority, now));
        let found = status(&Connection::open(ports[client])?.send(&request)?);
        if found != expected {
            return Err(format!("{client}, {token}, {headers}: expected {expected}, found {found}"));
        }
    }
    Ok(())
}

/// Keys over TLS: Envoy has a listener that ends it before the key server, and clusters
/// that lead there, each with another idea of whom it speaks with.
fn keys() -> Result<(), String> {
    const NAME: &str = "as.example.com";
    let server = KeyServer::start(0);
    server.set("/jwks", Answer::keys(&[Keys::shared().jwk("es256")]));
    let (named, other, port) = (Certificate::named(NAME), Certificate::named(NAME), free_port());
    let trust = |certificate: &Certificate, name: &str| {
        let names = json!([{"san_type": "DNS", "matcher": {"exact": name}}]);
        json!({"trusted_ca": certificate.chain(), "match_typed_subject_alt_names": names})
    };
    let clusters = [
        ("misnamed", trust(&named, "other.example.com")),
        ("untrusted", trust(&other, NAME)),
        ("trusted", trust(&named, NAME)),
    ];
    let place = |cluster: &str| json!({"cluster": cluster, "url": format!("https://{NAME}/jwks")});
    let issuer = format!("https://{NAME}");
    let mut world = fetching::World::start_changed(&issuer, &place("nobody"), [server.port; 2], |bootstrap| {
        let mut document: Value = yaml_serde::from_str(bootstrap).unwrap();
        let resources = document["static_resources"].as_object_mut().unwrap();
        let mut listener = pass("keys", port);
        listener["filter_chains"][0]["transport_socket"] = tls("Downstream", Some(&named), Value::Null);
        resources["listeners"].as_array_mut().unwrap().push(listener);
        for (name, trust) in &clusters {
            let mut cluster = pointed(name, port);
            cluster["transport_socket"] = tls("Upstream", None, trust.clone());
            cluster["transport_socket"]["typed_config"]["sni"] = NAME.into();
            resources["clusters"].as_array_mut().unwrap().push(cluster);
        }
        *bootstrap = document.to_string();
    })?;
    let request = world.call(&json!({}));
    for (name, _) in &clusters[..2] {
        world.configure(&json!({"issuers": [{"name": "demo", "issuer": issuer, "jwks": place(name)}]}))?;
        let failed = world.envoy.stat("mcp_gate_jwks_fetches_failed");
        world.envoy.wait_until(name, |envoy| envoy.stat("mcp_gate_jwks_fetches_failed") > failed + 2)?;
        world.expect(name, &request, 503)?;
    }
    if server.asked("/jwks") > 0 {
        return Err("expected nobody to be asked for keys but who has the name".into());
    }
    world.configure(&json!({"issuers": [{"name": "demo", "issuer": issuer, "jwks": place("trusted")}]}))?;
    world.until("the server itself", &request, 200, PATIENCE).map(drop)
}

/// A listener that passes bytes on to the cluster of its name.
fn pass(name: &str, port: u16) -> Value {
    let proxy = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy";
    let proxy = json!({"@type": proxy, "stat_prefix": name, "cluster": name});
    json!({
        "name": name,
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy}]}],
    })
}

fn pointed(name: &str, port: u16) -> Value {
    let address = json!({"socket_address": {"address": "127.0.0.1", "port_value": port}});
    let endpoints = json!([{"lb_endpoints": [{"endpoint": {"address": address}}]}]);
    json!({
        "name": name, "type": "STATIC", "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": endpoints},
    })
}

fn tls(side: &str, certificate: Option<&Certificate>, trust: Value) -> Value {
    let kind = format!("type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.{side}TlsContext");
    let mut common = json!({});
    if let Some(certificate) = certificate {
        let key = json!({"inline_string": certificate.key.to_pem().unwrap()});
        common["tls_certificates"] = json!([{"certificate_chain": certificate.chain(), "private_key": key}]);
    }
    if !trust.is_null() {
        common["validation_context"] = trust;
    }
    json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {"@type": kind, "common_tls_context": common},
    })
}

/// A certificate that somebody signed himself.
struct Certificate {
    key: ES256KeyPair,
    der: Vec<u8>,
}

impl Certificate {
    fn make() -> Self {
        Self::with(&[])
    }

    /// For a host.
    fn named(host: &str) -> Self {
        let names = der(0x04, &[&der(0x30, &[&der(0x82, &[host.as_bytes()])])]);
        let name = der(0x30, &[&der(0x06, &[&[0x55, 0x1d, 0x11]]), &names]);
        Self::with(&der(0xa3, &[&der(0x30, &[&name])]))
    }

    /// RFC 5280 §4.1, and no more of it than TLS needs.
    fn with(extensions: &[u8]) -> Self {
        let key = ES256KeyPair::generate();
        let algorithm = der(0x30, &[&der(0x06, &[&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02]])]);
        let name = der(0x30, &[&der(0x06, &[&[0x55, 0x04, 0x03]]), &der(0x0c, &[b"tests"])]);
        let name = der(0x30, &[&der(0x31, &[&name])]);
        let validity = der(0x30, &[&der(0x17, &[b"200101000000Z"]), &der(0x17, &[b"491231235959Z"])]);
        let version = der(0xa0, &[&der(0x02, &[&[2]])]);
        let public = key.public_key().public_key().to_der().unwrap();
        let signed =
            der(0x30, &[&version, &der(0x02, &[&[1]]), &algorithm, &name, &validity, &name, &public, extensions]);
        let signature: p256::ecdsa::Signature = key.key_pair().as_ref().sign(&signed);
        let signature = der(0x03, &[&[0], signature.to_der().as_bytes()]);
        let der = der(0x30, &[&signed, &algorithm, &signature]);
        Self { key, der }
    }

    fn base64(&self) -> String {
        Base64::encode_to_string(&self.der).unwrap()
    }

    fn chain(&self) -> Value {
        let text = self.base64();
        json!({"inline_string": format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")})
    }

    fn thumbprint(&self) -> String {
        Base64UrlSafeNoPadding::encode_to_string(hmac_sha256::Hash::hash(&self.der)).unwrap()
    }

    fn digest(&self) -> String {
        hmac_sha256::Hash::hash(&self.der).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// One value in DER.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    let head: &[u8] = match content.len() {
        0..128 => &[tag, length[1]],
        128..256 => &[tag, 0x81, length[1]],
        _ => &[tag, 0x82, length[0], length[1]],
    };
    [head, &content].concat()
}
