//! Proofs, good but for one thing.

use jwt_simple::prelude::{ECDSAP256KeyPairLike as _, ES256KeyPair, Ed25519KeyPair, EdDSAKeyPairLike as _};
use p256::ecdsa::signature::Signer as _;
use serde_json::{Value, json};

use super::*;
use crate::secret::Secret;
use crate::token::encode;

const TOKEN: &str = "a.b.c";
const NOW: i64 = 1_800_000_000;
const URL: &str = "https://mcp.example.com/mcp";

fn expected(thumbprint: &str) -> Expected<'_> {
    let (token, holder) = (bearer(TOKEN), ("https://as.example.com", "alice"));
    Expected { method: "POST", url: URL, token, holder, thumbprint, now: NOW, max_age: 300, nonce: None }
}

/// The thumbprint of the key that a proof has, if it has one.
fn thumbprint_in(proof: &str) -> String {
    let header = proof.split('.').next().and_then(|header| decode(header).ok()).unwrap_or_default();
    let Ok(mut header) = object(&header) else { return String::new() };
    let Some(Json::Object(jwk)) = header.take("jwk") else { return String::new() };
    thumbprint::of(&jwk).unwrap_or_default()
}

/// Verifies a proof for a token that is bound to its key.
fn verify_bound(proof: &str) -> Result<Spend, Denial> {
    verify(proof, &expected(&thumbprint_in(proof)), &Crypto::default())
}

fn bearer(token: &str) -> Bearer<'_> {
    Bearer::read(token).unwrap()
}

fn sign(key: &ES256KeyPair, header: &str, payload: &str) -> String {
    let signed = format!("{}.{}", encode(header.as_bytes()), encode(payload.as_bytes()));
    let signature: p256::ecdsa::Signature = key.key_pair().as_ref().sign(signed.as_bytes());
    format!("{signed}.{}", encode(&signature.to_vec()))
}

fn parts(key: &ES256KeyPair) -> (Value, Value) {
    let jwk: Value = serde_json::from_str(&key.public_key().to_jwk()).unwrap();
    let header = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk});
    let ath = encode(&hmac_sha256::Hash::hash(TOKEN.as_bytes()));
    (header, json!({"jti": "1", "htm": "POST", "htu": URL, "iat": NOW, "ath": ath}))
}

/// A good proof but for one change.
fn changed(change: impl FnOnce(&mut Value, &mut Value)) -> Result<Spend, Denial> {
    let key = ES256KeyPair::generate();
    let (mut header, mut payload) = parts(&key);
    change(&mut header, &mut payload);
    verify_bound(&sign(&key, &header.to_string(), &payload.to_string()))
}

fn claim(name: &str, value: Value) -> Result<Spend, Denial> {
    changed(|_, payload| payload[name] = value)
}

fn header(name: &str, value: Value) -> Result<Spend, Denial> {
    changed(|header, _| header[name] = value)
}

/// What was wrong; it must be about this.
fn about(found: Result<Spend, Denial>, what: &str) {
    match &found {
        Err(Denial::ProofInvalid(reason)) if reason.contains(what) => {}
        _ => panic!("expected a proof that is invalid by {what}, found {found:?}"),
    }
}

#[test]
fn a_good_proof_names_its_key() {
    let key = ES256KeyPair::generate();
    let (header, payload) = parts(&key);
    let proof = sign(&key, &header.to_string(), &payload.to_string());
    let thumbprint = key.public_key().jwk_thumbprint();
    let proven = verify(&proof, &expected(&thumbprint), &Crypto::default()).unwrap();
    assert_eq!(proven.until, NOW + 300);
    // It is one proof however it is signed, and another with another `jti` or key.
    assert_eq!(verify_bound(&proof).unwrap(), proven);
    let spend = |key: &ES256KeyPair, jti: &str| {
        let (header, mut payload) = parts(key);
        payload["jti"] = jti.into();
        let proof = sign(key, &header.to_string(), &payload.to_string());
        verify_bound(&proof).unwrap().key
    };
    assert_eq!(spend(&key, "1"), proven.key);
    assert_ne!(spend(&key, "2"), proven.key);
    assert_ne!(spend(&ES256KeyPair::generate(), "1"), proven.key);
}

#[test]
fn the_examples_of_rfc_9449() {
    // §7.1, Figure 13, and the thumbprint of §6.1, Figure 9.
    let proof = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUk\
        lDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSI\
        sImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5\
        leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhX\
        WG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSY\
        oMxhAJpLjA";
    let example = Expected {
        method: "GET",
        url: "https://resource.example.org/protectedresource",
        token: bearer("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"),
        now: 1_562_262_618,
        ..expected("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I")
    };
    let proven = verify(proof, &example, &Crypto::default()).unwrap();
    assert_eq!(proven.until, 1_562_262_918);
    about(verify(&proof.replace("-jfxSYo", "-jfxSYp"), &example, &Crypto::default()), "signature");

    // §4.1, Figure 1: for a token endpoint, so it has no `ath`. Its signature is good.
    let proof = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUk\
        lDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSI\
        sImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV\
        4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOS\
        sX0x7NVY-FNyJK70nfbV37xRZT3Lg";
    let example = Expected { url: "https://server.example.com/token", now: 1_562_262_616, ..example };
    about(verify(proof, &example, &Crypto::default()), "`ath`");
    let (keys, unusable) = Keys::read(&[serde_json::from_str(thumbprint::EXAMPLE).unwrap()]);
    assert!(unusable.is_empty());
    let key = keys.find(None, Algorithm::ES256).unwrap();
    assert!(key.verify(proof, &Crypto::default()).is_ok());
}

#[test]
fn one_header_holds_the_proof() {
    let head = |values: &[&[u8]]| Head::new(values.iter().map(|value| ("dpop".to_owned(), value.to_vec())).collect());
    assert_eq!(from_head(&head(&[b"a.b.c"])), Ok("a.b.c"));
    assert_eq!(from_head(&head(&[])), Err(Denial::ProofMissing));
    assert!(matches!(from_head(&head(&[b"a.b.c", b"a.b.c"])), Err(Denial::ProofInvalid(_))));
    assert!(matches!(from_head(&head(&[b"\xff"])), Err(Denial::ProofInvalid(_))));
}

#[test]
fn a_proof_is_one_jws_of_strict_json() {
    let key = ES256KeyPair::generate();
    let (header, payload) = parts(&key);
    let (header, payload) = (header.to_string(), payload.to_string());
    let good = sign(&key, &header, &payload);
    let verify = verify_bound;
    assert!(verify(&good).is_ok());
    for proof in ["", ".", "..", "a", &good.replace('.', ","), &format!("{good}."), &format!("{good}.a.b")] {
        about(verify(proof), if proof == ".." { "JSON" } else { "JWT" });
    }
    // Two headers that a proxy made one of.
    about(verify(&format!("{good}, {good}")), "JWT");
    for (proof, what) in [
        (good.replacen('.', "=.", 1), "base64url"),
        (format!(" {good}"), "base64url"),
        (good.replacen('.', ".=", 1), "base64url"),
        (format!("{good}="), "signature"),
        (format!("{good}\n"), "signature"),
        (sign(&key, &format!("{header} "), &payload), ""),
        (sign(&key, "[]", &payload), "JSON"),
        (sign(&key, &header, "1"), "JSON"),
        (sign(&key, &header.replacen('{', r#"{"typ":"JWT","#, 1), &payload), "JSON"),
        (sign(&key, &header, &payload.replacen('{', r#"{"htm":"GET","#, 1)), "JSON"),
        (sign(&key, &header, &payload.replacen('{', r#"{"HTM":"GET","#, 1)), "JSON"),
        (sign(&key, &header, &format!("{payload}{{}}")), "JSON"),
        (sign(&key, &header, &format!("\u{feff}{payload}")), "JSON"),
    ] {
        match what {
            "" => assert!(verify(&proof).is_ok(), "what was received is what was signed"),
            what => about(verify(&proof), what),
        }
    }
}

#[test]
fn no_character_of_a_proof_can_be_another() {
    let key = ES256KeyPair::generate();
    let (header, payload) = parts(&key);
    let good = sign(&key, &header.to_string(), &payload.to_string());
    for index in 0..good.len() {
        let other = |at: usize, c: char| match (at == index, c) {
            (true, 'A') => 'B',
            (true, _) => 'A',
            (false, c) => c,
        };
        let proof: String = good.chars().enumerate().map(|(at, c)| other(at, c)).collect();
        assert!(verify_bound(&proof).is_err(), "{index}");
    }
}

#[test]
fn a_proof_is_at_most_8_kib() {
    let key = ES256KeyPair::generate();
    let (header, mut payload) = parts(&key);
    let mut proof = |size: usize| {
        payload["pad"] = "x".repeat(size).into();
        sign(&key, &header.to_string(), &payload.to_string())
    };
    let largest = (5000..6500).rev().map(&mut proof).find(|proof| proof.len() <= LONGEST).unwrap();
    assert!(largest.len() > LONGEST - 2);
    assert!(verify_bound(&largest).is_ok());
    about(verify_bound(&format!("{largest}AA")), "8 KiB");
}

#[test]
fn the_header_says_what_it_is_and_nothing_that_changes_it() {
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("b64", json!(true)),
        ("b64", json!(false)),
        ("jku", json!("https://a.example/keys")),
        ("x5u", json!("https://a.example/cert")),
        ("x5c", json!(["AA"])),
        ("zip", json!("DEF")),
        ("crit", json!(null)),
    ] {
        about(header(name, value), "expected no `crit`");
    }
    for typ in [json!("JWT"), json!("at+jwt"), json!("DPoP+jwt"), json!("application/dpop+jwt"), json!(1), json!(null)]
    {
        about(header("typ", typ), "`typ`");
    }
    about(changed(|header, _| drop(header.as_object_mut().unwrap().remove("typ"))), "`typ`");
    for alg in [json!("none"), json!("HS256"), json!("es256"), json!("ES256K"), json!(["ES256"]), json!(null)] {
        about(header("alg", alg), "`alg`");
    }
    about(changed(|header, _| drop(header.as_object_mut().unwrap().remove("alg"))), "`alg`");
    assert!(header("kid", json!("any")).is_ok());
    assert!(header("x5t", json!("any")).is_ok());
}

#[test]
fn the_key_is_there_and_public_and_the_one_that_signed() {
    about(changed(|header, _| drop(header.as_object_mut().unwrap().remove("jwk"))), "expected `jwk`");
    for jwk in [json!(null), json!("{}"), json!([]), json!(1)] {
        about(header("jwk", jwk), "expected `jwk`");
    }
    let own = ES256KeyPair::generate().to_jwk();
    about(header("jwk", serde_json::from_str(&own).unwrap()), "public");
    for name in ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"] {
        about(changed(|header, _| header["jwk"][name] = json!("AA")), "public");
    }
    about(header("jwk", json!({"kty": "oct"})), "whole");
    about(changed(|header, _| header["jwk"]["crv"] = json!("P-384")), "whole");
    // No point of the curve.
    let x = encode(&[1; 32]);
    about(changed(|header, _| header["jwk"]["x"] = json!(x)), "usable");
    about(header("alg", json!("RS256")), "usable");
    about(header("alg", json!("EdDSA")), "usable");
    let other: Value = serde_json::from_str(&ES256KeyPair::generate().public_key().to_jwk()).unwrap();
    about(header("jwk", other), "signature");
    assert!(changed(|header, _| header["jwk"]["kid"] = json!("mine")).is_ok());
    about(changed(|header, _| header["jwk"]["kid"] = json!(1)), "usable");
}

#[test]
fn nothing_dear_is_done_for_a_proof_that_is_not_for_this_request() {
    let key = ES256KeyPair::generate();
    let (header, payload) = parts(&key);
    let payload = |name: &str, value: Value| {
        let mut payload = payload.clone();
        payload[name] = value;
        // What has no good signature is not found out by its signature.
        sign(&ES256KeyPair::generate(), &header.to_string(), &payload.to_string())
    };
    for (name, value) in [
        ("htm", json!("GET")),
        ("htu", json!("https://evil.example/mcp")),
        ("iat", json!(NOW - 301)),
        ("iat", json!(NOW + 31)),
        ("exp", json!(NOW - 30)),
        ("nbf", json!(NOW + 31)),
        ("ath", json!(encode(&[0; 32]))),
    ] {
        about(verify_bound(&payload(name, value)), &format!("`{name}`"));
    }
    let proof = payload("jti", json!("2"));
    about(verify_bound(&proof), "signature");
    let other = ES256KeyPair::generate().public_key().jwk_thumbprint();
    about(verify(&proof, &expected(&other), &Crypto::default()), "not that of the token");
}

#[test]
fn another_kind_of_key_proves_as_well() {
    let key = Ed25519KeyPair::generate();
    let (_, payload) = parts(&ES256KeyPair::generate());
    let jwk: Value = serde_json::from_str(&key.public_key().to_jwk()).unwrap();
    let header = json!({"typ": "dpop+jwt", "alg": "EdDSA", "jwk": jwk});
    let signed = format!("{}.{}", encode(header.to_string().as_bytes()), encode(payload.to_string().as_bytes()));
    let proof = format!("{signed}.{}", encode(&*key.key_pair().as_ref().sk.sign(signed.as_bytes(), None)));
    assert!(verify_bound(&proof).is_ok());
}

#[test]
fn claims_are_there_and_of_their_types() {
    for name in ["jti", "htm", "htu", "iat", "ath"] {
        let what = format!("expected `{name}`");
        about(changed(|_, payload| drop(payload.as_object_mut().unwrap().remove(name))), &what);
        for value in [json!(null), json!([]), json!({}), json!(true)] {
            about(claim(name, value), &what);
        }
    }
    for name in ["jti", "htm", "htu", "ath"] {
        about(claim(name, json!(1)), name);
    }
    about(claim("iat", json!(NOW.to_string())), "`iat`");
    about(claim("iat", json!(-1)), "`iat`");
    about(claim("jti", json!("")), "`jti`");
    about(claim("jti", json!("x".repeat(257))), "`jti`");
    about(claim("jti", json!("é".repeat(129))), "`jti`");
    for jti in ["x", &"x".repeat(256), &"é".repeat(128)] {
        assert!(claim("jti", json!(jti)).is_ok(), "{jti}");
    }
    assert!(claim("iat", json!(NOW as f64 + 0.5)).is_ok());
}

#[test]
fn a_proof_is_for_one_method() {
    for htm in ["post", "GET", "POST ", "", "POST,GET"] {
        about(claim("htm", json!(htm)), "`htm`");
    }
}

#[test]
fn a_proof_is_for_one_url() {
    for htu in [
        "https://mcp.example.com/mcp",
        "HTTPS://MCP.Example.COM/mcp",
        "https://mcp.example.com:443/mcp",
        "https://mcp.example.com/mcp?a=b",
        "https://mcp.example.com/mcp#a",
        "https://mcp.example.com/mcp?#",
        "https://mcp.example.com/mcp#?",
    ] {
        assert!(claim("htu", json!(htu)).is_ok(), "{htu}");
    }
    for htu in [
        "",
        "/mcp",
        "mcp.example.com/mcp",
        "http://mcp.example.com/mcp",
        "http://mcp.example.com:443/mcp",
        "https://mcp.example.com",
        "https://mcp.example.com/",
        "https://mcp.example.com/MCP",
        "https://mcp.example.com/mcp/",
        "https://mcp.example.com//mcp",
        "https://mcp.example.com/./mcp",
        "https://mcp.example.com/a/../mcp",
        "https://mcp.example.com/m%63p",
        "https://mcp.example.com%2fmcp",
        "https://mcp.example.com/mcp%3f",
        "https://mcp.example.com:80/mcp",
        "https://mcp.example.com:0443/mcp",
        "https://mcp.example.com:8443/mcp",
        "https://mcp.example.com:/mcp",
        "https://mcp.example.com.:443/mcp",
        "https://mcp.example.com.evil.example/mcp",
        "https://a@mcp.example.com/mcp",
        "https://evil.example/mcp",
        "https://evil.example#@mcp.example.com/mcp",
        "https://evil.example/?https://mcp.example.com/mcp",
        "https:///mcp.example.com/mcp",
        "https:/mcp.example.com/mcp",
        "https:\\\\mcp.example.com\\mcp",
        "https://mcp.example.com\\mcp",
        "ftp://mcp.example.com/mcp",
        " https://mcp.example.com/mcp",
        "https://mcp.example.com/mcp ",
        "https://mcp.example.com/mcp;a",
    ] {
        about(claim("htu", json!(htu)), "`htu`");
    }
}

#[test]
fn a_url_has_one_normal_form() {
    for (one, other) in [
        ("http://127.0.0.1:80/mcp", "http://127.0.0.1/mcp"),
        ("https://a.example:443", "https://a.example/"),
        ("https://a.example?x", "https://a.example/"),
        ("http://[::1]:80/", "HTTP://[::1]"),
        ("https://a.example:8443/x", "https://A.example:8443/x"),
    ] {
        assert_eq!(normal(one), normal(other), "{one}");
    }
    for (one, other) in [
        ("http://[::80]/", "http://[:]/"),
        ("http://a.example:443/", "http://a.example/"),
        ("https://a.example:80/", "https://a.example/"),
        ("https://a.example/x", "https://a.example/X"),
    ] {
        assert_ne!(normal(one), normal(other), "{one}");
    }
}

#[test]
fn a_proof_is_for_this_time() {
    for iat in [NOW - 300, NOW, NOW + 30] {
        let proven = claim("iat", json!(iat)).unwrap();
        assert_eq!(proven.until, iat + 300);
    }
    about(claim("iat", json!(NOW - 301)), "too long ago");
    about(claim("iat", json!(NOW + 31)), "ahead");
    about(claim("iat", json!(0)), "too long ago");
    about(claim("iat", json!(9_007_199_254_740_991_i64)), "ahead");
    about(claim("iat", json!(1e300)), "ahead");
    for (exp, is_good) in [(NOW - 30, false), (NOW - 29, true), (NOW + 1, true)] {
        match is_good {
            true => assert!(claim("exp", json!(exp)).is_ok()),
            false => about(claim("exp", json!(exp)), "`exp`"),
        }
    }
    assert!(claim("nbf", json!(NOW + 30)).is_ok());
    about(claim("nbf", json!(NOW + 31)), "`nbf`");
    for name in ["exp", "nbf"] {
        about(claim(name, json!("1")), name);
        about(claim(name, json!(null)), name);
    }
}

#[test]
fn a_proof_is_for_one_token() {
    let hash = |token: &str| encode(&hmac_sha256::Hash::hash(token.as_bytes()));
    about(claim("ath", json!(hash("a.b.d"))), "`ath`");
    about(claim("ath", json!(hash(""))), "`ath`");
    about(claim("ath", json!(TOKEN)), "base64url");
    about(claim("ath", json!(format!("{}=", hash(TOKEN)))), "base64url");
    about(claim("ath", json!("")), "`ath`");
    about(claim("ath", json!(hash(TOKEN).split_at(40).0)), "`ath`");
}

#[test]
fn a_nonce_is_asked_for_where_nothing_else_is_wrong() {
    let key = ES256KeyPair::generate();
    let keys = NonceKeys::new(&[Secret::new(b"a session key")]);
    let thumbprint = key.public_key().jwk_thumbprint();
    let expected = Expected { nonce: Some(&keys), ..expected(&thumbprint) };
    let with = |nonce: Value, htm: &str| {
        let (header, mut payload) = parts(&key);
        payload["htm"] = htm.into();
        payload["nonce"] = nonce;
        let proof = sign(&key, &header.to_string(), &payload.to_string());
        verify(&proof, &expected, &Crypto::default())
    };
    assert!(with(json!(keys.make(NOW).unwrap()), "POST").is_ok());
    assert!(with(json!(keys.make(NOW - 60).unwrap()), "POST").is_ok());
    let foreign = NonceKeys::new(&[Secret::new(b"another")]).make(NOW).unwrap();
    for nonce in [json!(null), json!(1), json!(""), json!(keys.make(NOW - 120).unwrap()), json!(foreign)] {
        assert_eq!(with(nonce, "POST"), Err(Denial::NonceRequired));
    }
    about(with(json!(null), "GET"), "`htm`");
    // Where none is asked for, one of an authorization server does no harm.
    assert!(claim("nonce", json!("any")).is_ok());
}
