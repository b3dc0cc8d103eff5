//! Signatures of every algorithm, made at the start of a run, and what may become of
//! them on their way; and those of `crafted.json`, which no signer would make.

use jwt_simple::algorithms::{
    ECDSAP256KeyPairLike as _, ECDSAP256PublicKeyLike as _, ECDSAP384KeyPairLike as _, ECDSAP384PublicKeyLike as _,
    ES256KeyPair, ES384KeyPair, RS256KeyPair, RSAKeyPairLike as _,
};
use jwt_simple::reexports::ct_codecs::{Base64UrlSafeNoPadding, Encoder as _};
use mcp_gate::keys::Algorithm;
use p256::ecdsa::signature::Signer as _;
use serde::Deserialize;
use serde_json::{Value, json};
use superboring::hash::MessageDigest;
use superboring::pkey::PKey;
use superboring::rsa::Padding;
use superboring::sign::Signer;

use crate::keys::rsa;

/// Vectors with one thing in common.
pub(super) struct Group {
    pub(super) name: &'static str,
    /// How many of them are good, and how many are not.
    pub(super) counts: (usize, usize),
    pub(super) sets: Vec<Set>,
}

/// A set of keys, and what is asked about it.
pub(super) struct Set {
    pub(super) keys: Vec<Value>,
    pub(super) asked: Vec<Vector>,
}

pub(super) struct Vector {
    pub(super) what: String,
    pub(super) kid: Option<String>,
    pub(super) alg: String,
    pub(super) jws: String,
    pub(super) valid: bool,
}

/// `crafted.json`, as `make.py` makes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Crafted {
    text: String,
    keys: Value,
    signatures: Vec<Signature>,
    sizes: Vec<Size>,
    pub(super) moduli: Vec<Value>,
    pub(super) points: Vec<Value>,
}

#[derive(Deserialize)]
struct Signature {
    alg: String,
    valid: bool,
    what: String,
    signature: String,
}

#[derive(Deserialize)]
struct Size {
    alg: String,
    bits: usize,
    key: Value,
    signature: String,
}

impl Crafted {
    pub(super) fn read() -> Self {
        serde_json::from_str(include_str!("crafted.json")).expect("tests/jose/crafted.json")
    }

    /// The key of a `kty`.
    pub(super) fn key(&self, kty: &str) -> Value {
        self.keys[kty].clone()
    }
}

/// One who signs.
enum Secret {
    P256(ES256KeyPair),
    P384(ES384KeyPair),
    Ed25519(ed25519_compact::KeyPair),
    Rsa(RS256KeyPair),
}

impl Secret {
    fn of_each_kind(name: &str) -> [Self; 4] {
        [
            Self::P256(ES256KeyPair::generate()),
            Self::P384(ES384KeyPair::generate()),
            Self::Ed25519(ed25519_compact::KeyPair::generate()),
            Self::Rsa(rsa(name)),
        ]
    }

    fn algorithms(&self) -> &'static [Algorithm] {
        use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
        match self {
            Self::P256(_) => &[ES256],
            Self::P384(_) => &[ES384],
            Self::Ed25519(_) => &[EdDSA],
            Self::Rsa(_) => &[RS256, RS384, RS512, PS256, PS384, PS512],
        }
    }

    /// The public key, which serves whatever it can.
    fn jwk(&self) -> Value {
        match self {
            Self::P256(key) => ec("P-256", &key.public_key().public_key().to_bytes_uncompressed()),
            Self::P384(key) => ec("P-384", &key.public_key().public_key().to_bytes_uncompressed()),
            Self::Ed25519(key) => json!({"kty": "OKP", "crv": "Ed25519", "x": encode(&*key.pk)}),
            Self::Rsa(key) => {
                let n = key.key_pair().public_key().to_components().n;
                json!({"kty": "RSA", "e": "AQAB", "n": encode(&n)})
            }
        }
    }

    fn sign(&self, algorithm: Algorithm, text: &str) -> Vec<u8> {
        let key = match self {
            Self::P256(key) => {
                let signature: p256::ecdsa::Signature = key.key_pair().as_ref().sign(text.as_bytes());
                return signature.to_vec();
            }
            Self::P384(key) => {
                let signature: p384::ecdsa::Signature = key.key_pair().as_ref().sign(text.as_bytes());
                return signature.to_vec();
            }
            Self::Ed25519(key) => return key.sk.sign(text, None).to_vec(),
            Self::Rsa(key) => PKey::from_rsa(key.key_pair().as_ref().clone()).unwrap(),
        };
        let name = algorithm.name();
        let digest = match name {
            "RS256" | "PS256" => MessageDigest::sha256(),
            "RS384" | "PS384" => MessageDigest::sha384(),
            _ => MessageDigest::sha512(),
        };
        let mut signer = Signer::new(digest, &key).unwrap();
        signer.set_rsa_padding(if name.starts_with("RS") { Padding::PKCS1 } else { Padding::PKCS1_PSS }).unwrap();
        signer.update(text.as_bytes()).unwrap();
        signer.sign_to_vec().unwrap()
    }

    fn jws(&self, algorithm: Algorithm, payload: &[u8]) -> String {
        let text = text(algorithm, payload);
        format!("{text}.{}", encode(&self.sign(algorithm, &text)))
    }
}

fn ec(crv: &str, point: &[u8]) -> Value {
    let (x, y) = point[1..].split_at(point.len() / 2);
    json!({"kty": "EC", "crv": crv, "x": encode(x), "y": encode(y)})
}

pub(super) fn encode(bytes: &[u8]) -> String {
    Base64UrlSafeNoPadding::encode_to_string(bytes).unwrap()
}

/// What is signed.
fn text(algorithm: Algorithm, payload: &[u8]) -> String {
    let header = format!(r#"{{"alg":"{}"}}"#, algorithm.name());
    format!("{}.{}", encode(header.as_bytes()), encode(payload))
}

const PAYLOAD: &[u8] = br#"{"sub":"alice"}"#;

/// Vectors about one key and algorithm.
struct About {
    algorithm: Algorithm,
    asked: Vec<Vector>,
}

impl About {
    fn new(algorithm: Algorithm) -> Self {
        Self { algorithm, asked: Vec::new() }
    }

    fn ask(&mut self, what: impl Into<String>, jws: impl Into<String>, valid: bool) {
        let (what, alg, jws) = (what.into(), self.algorithm.name().to_owned(), jws.into());
        self.asked.push(Vector { what, kid: None, alg, jws, valid });
    }

    /// A signature of the usual text.
    fn ask_signature(&mut self, what: impl Into<String>, signature: &[u8], valid: bool) {
        let jws = format!("{}.{}", text(self.algorithm, PAYLOAD), encode(signature));
        self.ask(what, jws, valid);
    }

    fn set(self, secret: &Secret) -> Set {
        Set { keys: vec![secret.jwk()], asked: self.asked }
    }
}

/// All groups.
pub(super) fn groups() -> Vec<Group> {
    let (secrets, others) = (Secret::of_each_kind("rs256"), Secret::of_each_kind("other-rsa"));
    let crafted = Crafted::read();
    let pairs = || {
        let pairs = secrets.iter().zip(&others);
        pairs.flat_map(|(secret, other)| secret.algorithms().iter().map(move |algorithm| (secret, other, *algorithm)))
    };
    let curves = || pairs().filter(|(secret, ..)| matches!(secret, Secret::P256(_) | Secret::P384(_)));
    vec![
        Group {
            name: "JWT-36 JWT-37 a signature is good for its text and key alone",
            counts: (81, 5704),
            sets: pairs().map(|(secret, other, algorithm)| spoiled(secret, other, algorithm)).collect(),
        },
        Group {
            name: "JWT-04 a signature is good for its algorithm alone",
            counts: (18, 144),
            sets: pairs().flat_map(|(secret, _, algorithm)| misnamed(secret, algorithm)).collect(),
        },
        Group {
            name: "JWT-30 JWT-31 JWT-33 r and s are within their bounds",
            counts: (4, 208),
            sets: curves().map(|(secret, _, algorithm)| bounds(secret, algorithm)).collect(),
        },
        Group {
            name: "JWT-32 a signature of ECDSA is r and s and nothing else",
            counts: (2, 300),
            sets: curves().map(|(secret, _, algorithm)| forms(secret, algorithm)).collect(),
        },
        Group { name: "JWT-34 what is no signature of Ed25519", counts: (1, 22), sets: vec![made(&crafted, "OKP")] },
        Group { name: "JWT-35 what is no signature of RSA", counts: (6, 80), sets: vec![made(&crafted, "RSA")] },
        Group { name: "JWT-35 RSA keys of many sizes", counts: (28, 28), sets: sizes(&crafted) },
    ]
}

/// Every bit of what was signed, and of the signature; what is cut, added, swapped;
/// what is written in another way.
fn spoiled(secret: &Secret, other: &Secret, algorithm: Algorithm) -> Set {
    let mut about = About::new(algorithm);
    let long = "x".repeat(6000);
    let payloads: [&[u8]; 6] = [PAYLOAD, b"", b"foo", b"{ \"sub\" :\t\"alice\" }\n", &[0xff, 0, 0x80], long.as_bytes()];
    for (index, payload) in payloads.iter().enumerate() {
        about.ask(format!("payload {index}"), secret.jws(algorithm, payload), true);
    }
    // The header is what was sent: with spaces, and its members in any order.
    for header in ["{ \"alg\" : \"?\" }", "{\"typ\":\"JWT\",\r\n \"alg\":\"?\"}", "{\"b\":1,\"alg\":\"?\",\"a\":2}"] {
        let header = header.replace('?', algorithm.name());
        let spaced = format!("{}.{}", encode(header.as_bytes()), encode(PAYLOAD));
        let signature = encode(&secret.sign(algorithm, &spaced));
        about.ask("a header in its own words", format!("{spaced}.{signature}"), true);
        about.ask("a header in other words", format!("{}.{signature}", text(algorithm, PAYLOAD)), false);
    }
    let text = text(algorithm, PAYLOAD);
    let signature = secret.sign(algorithm, &text);
    let encoded = encode(&signature);
    // Of RSA, some: what decides is the same arithmetic for all of them.
    let step = if matches!(secret, Secret::Rsa(_)) { 5 } else { 1 };
    for bit in (0..text.len() * 7).step_by(step) {
        let mut bytes = text.clone().into_bytes();
        bytes[bit / 7] ^= 1 << (bit % 7);
        let flipped = String::from_utf8(bytes).unwrap();
        about.ask(format!("bit {bit} of the text"), format!("{flipped}.{encoded}"), false);
    }
    for bit in (0..signature.len() * 8).step_by(step) {
        let mut flipped = signature.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        about.ask_signature(format!("bit {bit} of the signature"), &flipped, false);
    }
    about.ask_signature("nothing", &[], false);
    about.ask_signature("a byte less", &signature[1..], false);
    about.ask_signature("a byte less at its end", &signature[..signature.len() - 1], false);
    about.ask_signature("half of it", &signature[..signature.len() / 2], false);
    about.ask_signature("a zero before it", &[&[0], signature.as_slice()].concat(), false);
    about.ask_signature("a zero after it", &[signature.as_slice(), &[0]].concat(), false);
    about.ask_signature("twice", &signature.repeat(2), false);
    about.ask_signature("backwards", &signature.iter().rev().copied().collect::<Vec<_>>(), false);
    about.ask_signature("zeros", &vec![0; signature.len()], false);
    about.ask_signature("ones", &vec![0xff; signature.len()], false);
    about.ask("another's", other.jws(algorithm, PAYLOAD), false);
    let elsewhere = secret.jws(algorithm, b"{\"sub\":\"bob\"}");
    let (_, swapped) = elsewhere.rsplit_once('.').unwrap();
    about.ask("that of another text", format!("{text}.{swapped}"), false);
    // One text for one signature.
    let (half, other_half) = encoded.split_at(encoded.len() / 2);
    for (what, written) in [
        ("padding", format!("{encoded}=")),
        ("more padding", format!("{encoded}==")),
        ("a line feed", format!("{encoded}\n")),
        ("a space", format!(" {encoded}")),
        ("a character of no alphabet", format!("{encoded}*")),
        ("a fourth part", format!("{encoded}.")),
        ("a dot in it", format!("{half}.{other_half}")),
        ("the bits that nobody reads", unread_bit(&encoded)),
        ("the other alphabet", format!("{}+", encoded.split_at(encoded.len() - 1).0)),
    ] {
        about.ask(what, format!("{text}.{written}"), false);
    }
    about.ask("the payload left out", format!("{}.{encoded}", text.split('.').next().unwrap()), false);
    about.ask("the text left out", format!("..{encoded}"), false);
    about.ask("nothing at all", "", false);
    about.set(secret)
}

/// base64 of the same bytes, were the last bits not looked at.
fn unread_bit(encoded: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (start, last) = encoded.split_at(encoded.len() - 1);
    let value = ALPHABET.iter().position(|other| *other == last.as_bytes()[0]).unwrap();
    // 96 and 384 bytes leave none: there the last character is just another one.
    format!("{start}{}", ALPHABET[value ^ 1] as char)
}

/// Under every name: with the key as it is, and with the key bound to that name.
fn misnamed(secret: &Secret, algorithm: Algorithm) -> [Set; 2] {
    let jws = secret.jws(algorithm, PAYLOAD);
    let ask = |bound: bool| {
        Algorithm::ALL.map(|name| Vector {
            what: format!("{algorithm} as {name}{}", if bound { ", with a key of its own" } else { "" }),
            kid: None,
            alg: name.name().to_owned(),
            jws: jws.clone(),
            valid: name == algorithm,
        })
    };
    let mut bound = secret.jwk();
    bound["alg"] = algorithm.name().into();
    [Set { keys: vec![secret.jwk()], asked: ask(false).into() }, Set { keys: vec![bound], asked: ask(true).into() }]
}

/// Group order and prime of a curve.
fn constants(secret: &Secret) -> (Vec<u8>, Vec<u8>) {
    let bytes = |hex: &str| -> Vec<u8> {
        let digits = hex.bytes().map(|digit| u8::try_from(char::from(digit).to_digit(16).unwrap()).unwrap());
        digits.collect::<Vec<u8>>().chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    };
    match secret {
        Secret::P256(_) => (
            bytes("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"),
            bytes("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff"),
        ),
        _ => (
            bytes(&format!("{}c7634d81f4372ddf581a0db248b0a77aecec196accc52973", "f".repeat(48))),
            bytes(&format!("{}feffffffff0000000000000000ffffffff", "f".repeat(62))),
        ),
    }
}

/// r and s out of what they may be, with each other and with a good one.
fn bounds(secret: &Secret, algorithm: Algorithm) -> Set {
    let mut about = About::new(algorithm);
    let (order, prime) = constants(secret);
    let size = order.len();
    let small = |value: u8| [vec![0; size - 1], vec![value]].concat();
    let near = |number: &[u8], add: i8| {
        let mut bytes = number.to_vec();
        let last = bytes.last_mut().unwrap();
        *last = last.wrapping_add_signed(add);
        bytes
    };
    let edges = [
        ("0", small(0)),
        ("1", small(1)),
        ("2", small(2)),
        ("n-1", near(&order, -1)),
        ("n", order.clone()),
        ("n+1", near(&order, 1)),
        ("p-1", near(&prime, -1)),
        ("p", prime.clone()),
        ("all bits", vec![0xff; size]),
    ];
    let good = secret.sign(algorithm, &text(algorithm, PAYLOAD));
    let (r, s) = good.split_at(size);
    about.ask_signature("r, s", &good, true);
    // n - s fits, too: the two are one signature to ECDSA. Nothing here takes a
    // signature for an identity.
    about.ask_signature("r, n-s", &[r, &minus(&order, s)].concat(), true);
    about.ask_signature("n-r, s", &[&minus(&order, r), s].concat(), false);
    about.ask_signature("n-r, n-s", &[minus(&order, r), minus(&order, s)].concat(), false);
    about.ask_signature("s, r", &[s, r].concat(), false);
    for (first, one) in &edges {
        about.ask_signature(format!("{first}, s"), &[one, s].concat(), false);
        about.ask_signature(format!("r, {first}"), &[r, one].concat(), false);
        for (second, other) in &edges {
            about.ask_signature(format!("{first}, {second}"), &[one.as_slice(), other].concat(), false);
        }
    }
    // The same numbers modulo n, where they still fit in the bytes.
    for (what, one, other) in [("r+n, s", plus(r, &order), s.to_vec()), ("r, s+n", r.to_vec(), plus(s, &order))] {
        about.ask_signature(what, &[one, other].concat(), false);
    }
    about.set(secret)
}

fn minus(order: &[u8], number: &[u8]) -> Vec<u8> {
    let mut borrow = 0;
    let digits = order.iter().zip(number).rev().map(|(order, digit)| {
        let value = i16::from(*order) - i16::from(*digit) - borrow;
        borrow = i16::from(value < 0);
        u8::try_from(value.rem_euclid(256)).unwrap()
    });
    let mut digits: Vec<u8> = digits.collect();
    digits.reverse();
    digits
}

/// The sum, a byte longer where it has to be.
fn plus(number: &[u8], order: &[u8]) -> Vec<u8> {
    let mut carry = 0;
    let digits = number.iter().zip(order).rev().map(|(digit, order)| {
        let value = u16::from(*digit) + u16::from(*order) + carry;
        carry = value >> 8;
        u8::try_from(value & 0xff).unwrap()
    });
    let mut digits: Vec<u8> = digits.collect();
    digits.extend((carry > 0).then_some(1));
    digits.reverse();
    digits
}

/// Every length but the right one, DER, and what fits the other curve.
fn forms(secret: &Secret, algorithm: Algorithm) -> Set {
    let mut about = About::new(algorithm);
    let good = secret.sign(algorithm, &text(algorithm, PAYLOAD));
    let size = good.len();
    let (r, s) = good.split_at(size / 2);
    about.ask_signature("r, s", &good, true);
    for length in (0..=145).filter(|length| *length != size).chain([514, 1024]) {
        let padded: Vec<u8> = good.iter().copied().chain(std::iter::repeat(0)).take(length).collect();
        about.ask_signature(format!("{length} bytes"), &padded, false);
    }
    let der = match secret {
        Secret::P256(_) => p256::ecdsa::Signature::from_slice(&good).unwrap().to_der().as_bytes().to_vec(),
        _ => p384::ecdsa::Signature::from_slice(&good).unwrap().to_der().as_bytes().to_vec(),
    };
    about.ask_signature("DER", &der, false);
    about.ask_signature("r and s with a zero before each", &[&[0], r, &[0], s].concat(), false);
    about.ask_signature("as wide as the other curve", &[vec![0; 16], r.into(), vec![0; 16], s.into()].concat(), false);
    about.set(secret)
}

/// Those of `crafted.json`.
fn made(crafted: &Crafted, kty: &str) -> Set {
    let asked = crafted.signatures.iter().filter(|signature| (kty == "OKP") == (signature.alg == "EdDSA"));
    let asked = asked.map(|signature| Vector {
        what: format!("{}: {}", signature.alg, signature.what),
        kid: None,
        alg: signature.alg.clone(),
        jws: format!("{}.{}", crafted.text, signature.signature),
        valid: signature.valid,
    });
    Set { keys: vec![crafted.key(kty)], asked: asked.collect() }
}

/// Keys of every size, each with a good signature and one that is not.
fn sizes(crafted: &Crafted) -> Vec<Set> {
    let sets = crafted.sizes.iter().map(|size| {
        let ask = |what: &str, text: &str, valid| Vector {
            what: format!("{} of {} bits: {what}", size.alg, size.bits),
            kid: None,
            alg: size.alg.clone(),
            jws: format!("{text}.{}", size.signature),
            valid,
        };
        let asked =
            vec![ask("good", &crafted.text, true), ask("of another text", &format!("{}A", crafted.text), false)];
        Set { keys: vec![size.key.clone()], asked }
    });
    sets.collect()
}
