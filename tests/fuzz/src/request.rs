//! A request made of bytes, in a form that a mutation leaves readable:
//!
//! ```text
//! 01000POST /mcp
//! host: 127.0.0.1:10000
//! authorization: Bearer {token}
//!
//! {"jsonrpc":"2.0","id":1,"method":"ping"}
//! ```
//!
//! The first five bytes are choices: configuration, token, the place of a bit
//! that is turned in it, the size of the pieces in which the body comes, and
//! whether the request ends with its head. `{token}` stands for the token. No
//! value can hold a line end, as none does that Envoy hands over.

use crate::world::{AUTHORITY, World};

/// What the first bytes choose.
#[derive(Debug)]
pub struct Choice {
    pub configuration: u8,
    /// Bytes of the body that come at a time; all at once where it is zero.
    pub piece: u8,
}

/// A request as the host would hand it over.
#[derive(Debug)]
pub struct Request {
    pub choice: Choice,
    pub head: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
    /// Does the request end with its head?
    pub end: bool,
}

impl Request {
    pub fn read(data: &[u8], world: &World) -> Option<Self> {
        let (choices, text) = data.split_first_chunk::<5>()?;
        // A digit is the number that it shows.
        let [configuration, token, flip, piece, end] = choices.map(|byte| byte.wrapping_sub(b'0'));
        let token = world.token(token, flip);
        let (head, body) = split(text, b"\n\n").unwrap_or((text, b""));
        let mut lines = head.split(|byte| *byte == b'\n');
        let start = lines.next().unwrap_or_default();
        let (method, path) = split(start, b" ").unwrap_or((start, b"/mcp"));
        let mut head = vec![
            (":method".to_owned(), method.to_vec()),
            (":path".to_owned(), fill(path, &token)),
            (":scheme".to_owned(), b"http".to_vec()),
        ];
        for line in lines {
            let (name, value) = split(line, b": ").unwrap_or((line, b""));
            let name = String::from_utf8_lossy(name).to_ascii_lowercase();
            let name = if name == "host" { ":authority".to_owned() } else { name };
            head.push((name, fill(value, &token)));
        }
        if !head.iter().any(|(name, _)| name == ":authority") {
            head.push((":authority".to_owned(), AUTHORITY.into()));
        }
        Some(Self { choice: Choice { configuration, piece }, head, body: body.to_vec(), end: end % 2 == 1 })
    }

    /// Every value of a header.
    pub fn values(&self, name: &str) -> Vec<&[u8]> {
        let values = self.head.iter().filter(|(header, _)| header == name);
        values.map(|(_, value)| value.as_slice()).collect()
    }

    /// The path without the query.
    pub fn path(&self) -> &[u8] {
        self.values(":path")[0].split(|byte| *byte == b'?').next().unwrap_or_default()
    }
}

fn split<'a>(text: &'a [u8], at: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let place = text.windows(at.len()).position(|window| window == at)?;
    Some((&text[..place], &text[place + at.len()..]))
}

fn fill(value: &[u8], token: &[u8]) -> Vec<u8> {
    match split(value, b"{token}") {
        Some((before, after)) => [before, token, after].concat(),
        None => value.to_vec(),
    }
}
