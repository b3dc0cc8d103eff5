//! Whose session it is: a server's session id on its way to the client gets a
//! tag, and without it none comes back.
//!
//! A server behind the gate does not see the token, so it cannot know that a
//! session is used by another than who opened it (MCP Security Best Practices,
//! Session Hijacking). The gate can, and keeps nothing for it: the tag is a MAC over
//! the id and its owner, which every worker and every proxy with the same key
//! makes alike. What else a session is and when it ends is the server's business.
//!
//! `ID.TAG`, where TAG is base64url of 16 bytes that bind the owner, and of 8 more
//! that say the gate itself made the 16: they open nothing, but tell the record a
//! stolen id from an invented one.

use std::fmt;

use hmac_sha256::HMAC;
use jwt_simple::reexports::ct_codecs::{Base64UrlSafeNoPadding, Decoder as _, Encoder as _, verify};

use crate::secret::Secret;

/// The longest session id, as a client has it, in bytes.
pub const LONGEST: usize = 1024;

/// The longest session id of a server, in bytes.
pub const LONGEST_UNSEALED: usize = LONGEST - 1 - TAG_TEXT;

const OWNED: usize = 16;
const ISSUED: usize = 8;
const TAG: usize = OWNED + ISSUED;
/// A multiple of three bytes has one spelling in base64.
const TAG_TEXT: usize = TAG / 3 * 4;

/// The keys of the tags, the newest first: it seals, and all of them open.
pub struct SessionKeys(Vec<[u8; 32]>);

impl fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionKeys({})", self.0.len())
    }
}

/// Who opened a session, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner<'a> {
    /// `iss`
    pub issuer: &'a str,
    /// `sub`
    pub subject: &'a str,
    /// The client, where the credential names one.
    pub client_id: Option<&'a str>,
    /// The canonical URL of the protected resource.
    pub resource: &'a str,
}

/// Why a session id opens nothing. For the record alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unopened {
    /// The gate made it, for another owner.
    Foreign,
    /// The gate did not make it, or under a key that it does not have.
    Unknown,
}

/// Is it of the form that MCP gives a session id: visible ASCII (2025-11-25, Session
/// Management)? Without a comma, by which a proxy makes one header of two.
pub fn is_session_id(id: &[u8]) -> bool {
    (1..=LONGEST).contains(&id.len()) && id.iter().all(|byte| matches!(byte, 0x21..=0x7e) && *byte != b',')
}

impl SessionKeys {
    /// From secrets, the newest first.
    pub fn new(secrets: &[Secret]) -> Self {
        Self(secrets.iter().map(|secret| secret.key("mcp session id, version 1")).collect())
    }

    /// The session id for the client; none where the server's is none, or too long
    /// for the tag.
    pub fn seal(&self, id: &[u8], owner: &Owner<'_>) -> Option<String> {
        let id = std::str::from_utf8(id).ok().filter(|id| is_session_id(id.as_bytes()))?;
        let key = self.0.first().filter(|_| id.len() <= LONGEST_UNSEALED)?;
        let owned = owned(key, id, owner);
        let tag: Vec<u8> = owned.into_iter().chain(issued(key, id, &owned)).collect();
        Some(format!("{id}.{}", Base64UrlSafeNoPadding::encode_to_string(tag).ok()?))
    }

    /// The server's session id, if this owner has the session.
    pub fn open<'a>(&self, sealed: &'a str, owner: &Owner<'_>) -> Result<&'a str, Unopened> {
        let (id, tag) = sealed.rsplit_once('.').filter(|(_, tag)| tag.len() == TAG_TEXT).ok_or(Unopened::Unknown)?;
        let tag = Base64UrlSafeNoPadding::decode_to_vec(tag, None).map_err(|_| Unopened::Unknown)?;
        let (presented, maker) = tag.split_at_checked(OWNED).ok_or(Unopened::Unknown)?;
        if self.0.iter().any(|key| verify(&owned(key, id, owner), presented)) {
            return Ok(id);
        }
        match self.0.iter().any(|key| verify(&issued(key, id, presented), maker)) {
            true => Err(Unopened::Foreign),
            false => Err(Unopened::Unknown),
        }
    }
}

/// What binds a session id to its owner.
fn owned(key: &[u8; 32], id: &str, owner: &Owner<'_>) -> [u8; OWNED] {
    let Owner { issuer, subject, client_id, resource } = owner;
    // No client is not a client without a name.
    let (has_client, client_id) = client_id.map_or(("0", ""), |client_id| ("1", client_id));
    mac(key, ["owner", id, issuer, subject, has_client, client_id, resource].map(str::as_bytes))
}

/// What says that the gate made the former.
fn issued(key: &[u8; 32], id: &str, owned: &[u8]) -> [u8; ISSUED] {
    mac(key, [b"issued", id.as_bytes(), owned])
}

/// The start of a MAC over parts, each with its length, so that no two lists of them are one text.
fn mac<const PARTS: usize, const SIZE: usize>(key: &[u8; 32], parts: [&[u8]; PARTS]) -> [u8; SIZE] {
    let mut mac = HMAC::new(key);
    for part in parts {
        mac.update((part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    let mut start = [0; SIZE];
    for (to, from) in start.iter_mut().zip(mac.finalize()) {
        *to = from;
    }
    start
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: Owner<'_> = Owner {
        issuer: "https://as.example.com",
        subject: "alice",
        client_id: Some("client-1"),
        resource: "https://mcp.example.com/mcp",
    };

    fn keys(bytes: &[u8]) -> SessionKeys {
        SessionKeys::new(&bytes.iter().map(|byte| Secret::new(&[*byte; 32])).collect::<Vec<_>>())
    }

    #[test]
    fn a_session_opens_for_its_owner() {
        for id in ["1", "0123456789abcdef", "a.b.c", "~!\"#$%&'()*+-./:;<=>?@[\\]^_`{|}", &"x".repeat(LONGEST_UNSEALED)]
        {
            let sealed = keys(&[1]).seal(id.as_bytes(), &ALICE).unwrap();
            assert!(is_session_id(sealed.as_bytes()), "{sealed}");
            assert_eq!(keys(&[1]).open(&sealed, &ALICE), Ok(id));
        }
    }

    #[test]
    fn a_session_opens_for_nobody_else() {
        let sealed = keys(&[1]).seal(b"session", &ALICE).unwrap();
        for other in [
            Owner { issuer: "https://as.example.org", ..ALICE },
            Owner { subject: "bob", ..ALICE },
            Owner { client_id: Some("client-2"), ..ALICE },
            Owner { client_id: Some(""), ..ALICE },
            Owner { client_id: None, ..ALICE },
            Owner { resource: "https://mcp.example.com/other", ..ALICE },
            // The same characters, cut elsewhere.
            Owner { issuer: "https://as.example.coma", subject: "lice", ..ALICE },
            Owner { subject: "aliceclient-1", client_id: Some(""), ..ALICE },
        ] {
            assert_eq!(keys(&[1]).open(&sealed, &other), Err(Unopened::Foreign), "{other:?}");
        }
        let none = Owner { client_id: None, ..ALICE };
        let sealed = keys(&[1]).seal(b"session", &none).unwrap();
        assert_eq!(keys(&[1]).open(&sealed, &none), Ok("session"));
        assert_eq!(keys(&[1]).open(&sealed, &Owner { client_id: Some(""), ..ALICE }), Err(Unopened::Foreign));
    }

    #[test]
    fn what_the_gate_did_not_make_opens_nothing() {
        let keys = keys(&[1]);
        let sealed = keys.seal(b"session", &ALICE).unwrap();
        // A bit of the owner's half makes it unknown, one of the maker's half opens all the same: only
        // the former is believed.
        let (id, tag) = sealed.rsplit_once('.').unwrap();
        let bytes = Base64UrlSafeNoPadding::decode_to_vec(tag, None).unwrap();
        for bit in 0..8 * TAG {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let forged = format!("{id}.{}", Base64UrlSafeNoPadding::encode_to_string(&bytes).unwrap());
            let expected = if bit < 8 * OWNED { Err(Unopened::Unknown) } else { Ok("session") };
            assert_eq!(keys.open(&forged, &ALICE), expected, "bit {bit}");
        }
        let other = keys.seal(b"session2", &ALICE).unwrap();
        let (_, other) = other.rsplit_once('.').unwrap();
        for forged in [
            "",
            ".",
            "session",
            &format!("session.{other}"),
            &format!(".{tag}"),
            &format!("sessio.{tag}"),
            &format!("session.x.{tag}"),
            &format!("session..{tag}"),
            &format!("session.{tag}="),
            &format!("session.{}", tag.split_at(1).1),
            &format!("session.{tag}A"),
            &format!("Session.{tag}"),
            &format!("session.{}", tag.to_lowercase()),
            &format!("session.{}", tag.to_uppercase()),
            &format!("session.{}", "*".repeat(TAG_TEXT)),
            &format!("session.{}", "A".repeat(TAG_TEXT)),
        ] {
            assert_eq!(keys.open(forged, &ALICE), Err(Unopened::Unknown), "{forged}");
        }
    }

    #[test]
    fn the_newest_key_seals_and_all_open() {
        let old = keys(&[1]).seal(b"session", &ALICE).unwrap();
        let both = keys(&[2, 1]);
        let new = both.seal(b"session", &ALICE).unwrap();
        assert_ne!(old, new);
        assert_eq!((both.open(&old, &ALICE), both.open(&new, &ALICE)), (Ok("session"), Ok("session")));
        assert_eq!(both.open(&old, &Owner { subject: "bob", ..ALICE }), Err(Unopened::Foreign));
        assert_eq!(keys(&[2]).open(&new, &ALICE), Ok("session"));
        assert_eq!(keys(&[2]).open(&old, &ALICE), Err(Unopened::Unknown));
        assert_eq!(format!("{both:?}"), "SessionKeys(2)");
    }

    #[test]
    fn what_is_no_session_id_is_not_sealed() {
        let long = "x".repeat(LONGEST_UNSEALED + 1);
        for id in ["", " ", "a b", "a\tb", "a,b", "é", "a\u{7f}", &long] {
            assert_eq!(keys(&[1]).seal(id.as_bytes(), &ALICE), None, "{id:?}");
        }
        assert_eq!(keys(&[1]).seal(b"\xff", &ALICE), None);
        assert_eq!(keys(&[]).seal(b"session", &ALICE), None);
        assert_eq!(LONGEST_UNSEALED, 991);
    }
}
