//! The token of a step: made of claims, of texts, or of the pieces of other tokens.

use jwt_simple::reexports::ct_codecs::{Base64UrlSafeNoPadding, Decoder as _, Encoder as _};
use serde_json::{Value, json};

use crate::case::{HeaderValue, at_text, bytes, merge};
use crate::keys::{Keys, Signer};

/// What a step says of its token.
pub(crate) struct Recipe<'a> {
    /// `token`, `token_header` and `token_text`.
    pub(crate) token: Option<&'a Value>,
    pub(crate) header: Option<&'a Value>,
    pub(crate) text: Option<&'a str>,
    pub(crate) signer: Signer,
    /// The token of the step before.
    pub(crate) last: Option<&'a str>,
}

impl Recipe<'_> {
    /// The token; nothing where there is none.
    pub(crate) fn make(&self, keys: &Keys, authority: &str, now: u64) -> Option<String> {
        if let Some(raw) = self.token.and_then(|token| only(token, "raw")) {
            return Some(text_of(raw));
        }
        let mut payload = match self.token {
            Some(Value::Null) => return None,
            token => payload(token, keys, authority, now),
        };
        let mut header = self.header_bytes(keys);
        // White space at the end changes the length, and nothing of what is said.
        let uses = |piece: &str| self.text.is_some_and(|text| text.contains(piece));
        while uses("{header~}") && header.len().is_multiple_of(3) {
            header.push(b' ');
        }
        while uses("{payload~}") && payload.len().is_multiple_of(3) {
            payload.push(b' ');
        }
        let mut token = keys.sign(self.signer, &header, &payload);
        while uses("{signature/}") && !pieces(&token)[2].contains(['-', '_']) {
            payload.push(b' ');
            token = keys.sign(self.signer, &header, &payload);
        }
        match self.text {
            Some(text) => Some(self.put_together(text, &token)),
            None => Some(token),
        }
    }

    fn header_bytes(&self, keys: &Keys) -> Vec<u8> {
        let mut header = json!({"typ": "at+jwt", "alg": self.signer.algorithm(), "kid": self.signer.kid()});
        if let Some(patch) = self.header {
            match (only(patch, "raw"), only(patch, "bytes")) {
                (Some(raw), _) => return text_of(raw).into_bytes(),
                (_, Some(raw)) => return bytes(raw.as_str().expect("`bytes`: a text")),
                _ => merge(&mut header, patch),
            }
        }
        if header["jwk"] == "{jwk}" {
            header["jwk"] = keys.public(self.signer);
        }
        header.to_string().into_bytes()
    }

    /// `{header}`, `{payload}` and `{signature}`, also those of the token before, as
    /// they are or spoilt.
    fn put_together(&self, text: &str, token: &str) -> String {
        let mut parts = text.split('{');
        let mut result = parts.next().unwrap().to_owned();
        for part in parts {
            let (piece, rest) = part.split_once('}').expect("`token_text`: {PIECE}");
            let (from, piece) = match piece.strip_prefix("last.") {
                Some(piece) => (self.last.expect("`token_text`: a token before"), piece),
                None => (token, piece),
            };
            let name = piece.trim_end_matches(|c: char| !c.is_ascii_lowercase());
            let index = ["header", "payload", "signature"].iter().position(|known| *known == name);
            let index = index.unwrap_or_else(|| panic!("`token_text`: expected a piece of a token, found `{name}`"));
            result.push_str(&spoil(pieces(from)[index], piece.trim_start_matches(name)));
            result.push_str(rest);
        }
        result
    }
}

/// The value of a member that stands alone.
fn only<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value.as_object().filter(|members| members.len() == 1)?.get(name)
}

fn text_of(value: &Value) -> String {
    serde_json::from_value::<HeaderValue>(value.clone()).expect("a text, or one that repeats").text()
}

fn payload(token: Option<&Value>, keys: &Keys, authority: &str, now: u64) -> Vec<u8> {
    let nothing = json!({});
    let token = token.unwrap_or(&nothing);
    let text = match (only(token, "payload"), only(token, "payload_bytes")) {
        (_, Some(raw)) => return bytes(raw.as_str().expect("`payload_bytes`: a text")),
        (Some(raw), _) => text_of(raw),
        _ => {
            let mut claims = json!({
                "iss": "https://as.example.com", "aud": format!("http://{authority}/mcp"), "sub": "alice", "client_id": "client-1",
                "iat": "now", "exp": "now+300", "jti": keys.unique(), "scope": "mcp:read", "roles": ["editor"],
            });
            merge(&mut claims, token);
            claims.to_string()
        }
    };
    at_text(&text, now).replace("{jkt}", &keys.thumbprint()).into_bytes()
}

fn pieces(token: &str) -> [&str; 3] {
    let pieces: Vec<_> = token.split('.').collect();
    pieces.try_into().expect("a token of three pieces")
}

/// `^7`: with bit 7 flipped; `~`: with other bits where none count; `/`: in the other alphabet.
pub(crate) fn spoil(piece: &str, how: &str) -> String {
    match how.split_at(how.len().min(1)) {
        ("", _) => piece.to_owned(),
        ("^", bit) => {
            let bit: usize = bit.parse().expect("the number of a bit");
            let mut bytes = Base64UrlSafeNoPadding::decode_to_vec(piece, None).unwrap();
            bytes[bit / 8] ^= 0x80 >> (bit % 8);
            Base64UrlSafeNoPadding::encode_to_string(bytes).unwrap()
        }
        ("~", _) => {
            assert!(!piece.len().is_multiple_of(4), "`token_text`: a piece whose bits all count");
            let (start, last) = piece.split_at(piece.len() - 1);
            // The last bit never counts, and in the alphabet this is the one beside it.
            let next = char::from(last.as_bytes()[0] + 1);
            format!("{start}{next}")
        }
        ("/", _) => {
            let other = piece.replace('-', "+").replace('_', "/");
            assert_ne!(other, piece, "`token_text`: a piece that is the same in both alphabets");
            other
        }
        _ => panic!("`token_text`: expected ^BIT, ~ or /, found `{how}`"),
    }
}
