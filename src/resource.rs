//! A protected resource: one MCP endpoint, and what it says of itself.
//!
//! It is named by its canonical URL (RFC 8707 §2), which is the audience of its
//! tokens, the path of its route, and the `resource` of its metadata document
//! (RFC 9728). From the URL follow where that document is served and what a
//! 401 points to.

use std::rc::Rc;

use crate::http::Head;
use crate::mcp::Dialect;
use crate::token::{Issuer, Tokens};

/// A validated resource, with the tokens that were verified for it.
#[derive(Debug)]
pub struct Resource {
    /// The canonical URL.
    pub url: String,
    /// The path of the endpoint; compared byte by byte.
    pub path: String,
    /// Where the metadata document is served (RFC 9728 §3.1).
    pub metadata_path: String,
    /// The metadata document.
    pub metadata: String,
    /// The issuers whose tokens are accepted.
    pub issuers: Vec<Rc<Issuer>>,
    /// The scopes of a 401.
    pub scopes: Vec<String>,
    /// The authorities under which it is served.
    pub hosts: Vec<String>,
    /// The origins from which a browser may call it.
    pub origins: Vec<String>,
    /// Are a policy's reasons told to the caller?
    pub reasons: bool,
    /// The largest body, in bytes.
    pub body_limit: usize,
    /// The largest size of all headers, names and values, in bytes.
    pub header_limit: usize,
    /// The protocol that it speaks.
    pub dialect: Dialect,
    /// Verified tokens.
    pub tokens: Tokens,
}

/// The parts of a resource's URL.
#[derive(Debug, PartialEq, Eq)]
pub struct Url<'a> {
    /// `https`, or `http` for a loopback address.
    pub scheme: &'a str,
    /// Host and port as written.
    pub authority: &'a str,
    /// The path.
    pub path: &'a str,
}

impl<'a> Url<'a> {
    /// Reads a URL of the one form that has no two spellings: `https` (`http`
    /// for loopback), a host in lower case, a path without escapes, no query,
    /// no fragment, no slash at the end but the root's.
    pub fn read(url: &'a str) -> Result<Self, &'static str> {
        let (scheme, rest) = url.split_once("://").ok_or("expected `https://host/path`")?;
        let start = rest.find('/').ok_or("expected a path, at least `/`")?;
        let (authority, path) = rest.split_at_checked(start).ok_or("expected a path")?;
        let is_host = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-:[]".contains(&byte);
        if authority.is_empty() || !authority.bytes().all(is_host) {
            return Err("expected a host in lower case, without user name");
        }
        let loopback = ["127.0.0.1", "[::1]", "localhost"];
        let is_loopback = loopback
            .iter()
            .any(|host| authority.strip_prefix(host).is_some_and(|port| port.is_empty() || port.starts_with(':')));
        match scheme {
            "https" => {}
            "http" if is_loopback => {}
            _ => return Err("expected `https` (`http` only for a loopback address)"),
        }
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
        if !path.bytes().all(is_plain) {
            return Err("expected a path of A-Z a-z 0-9 - . _ ~ /, without query, fragment or escapes");
        }
        if path.split('/').any(|segment| segment == "." || segment == "..") || path.contains("//") {
            return Err("expected a path in normal form, without `.`, `..` and `//`");
        }
        if path.len() > 1 && path.ends_with('/') {
            return Err("expected no `/` at the end of the path");
        }
        Ok(Self { scheme, authority, path })
    }

    /// Where its metadata document is served: the well-known string between host
    /// and path (RFC 9728 §3.1).
    pub fn metadata_path(&self) -> String {
        let path = if self.path == "/" { "" } else { self.path };
        format!("/.well-known/oauth-protected-resource{path}")
    }

    /// The authorities that mean this host: with and without the default port.
    pub fn hosts(&self) -> Vec<String> {
        let port = if self.scheme == "https" { ":443" } else { ":80" };
        let host = self.authority.strip_suffix(port).unwrap_or(self.authority);
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
        if has_port { vec![host.to_owned()] } else { vec![host.to_owned(), format!("{host}{port}")] }
    }
}

impl Resource {
    /// Is it served under this authority?
    pub fn has_host(&self, head: &Head) -> bool {
        let authority = head.authority();
        self.hosts.iter().any(|host| host.as_bytes().eq_ignore_ascii_case(authority))
    }

    /// May a page of this origin call it? A request without `Origin` comes from
    /// no page (MCP, Security Warning of Streamable HTTP).
    pub fn has_origin(&self, head: &Head) -> bool {
        match head.get("origin") {
            Ok(None) => true,
            Ok(Some(origin)) => self.origins.iter().any(|known| known.as_bytes() == origin),
            Err(_) => false,
        }
    }

    fn metadata_url(&self) -> String {
        let origin = self.url.strip_suffix(&self.path).unwrap_or(&self.url);
        format!("{origin}{}", self.metadata_path)
    }

    /// The challenge of a 401 (RFC 9728 §5.1, RFC 6750 §3): one line, the scheme
    /// first, every value quoted, because clients read it with a pattern.
    pub fn challenge(&self) -> String {
        let mut challenge = format!("Bearer resource_metadata=\"{}\"", self.metadata_url());
        if !self.scopes.is_empty() {
            challenge.push_str(&format!(", scope=\"{}\"", self.scopes.join(" ")));
        }
        challenge
    }

    /// The challenge of a 403 that more scopes would turn (RFC 6750 §3.1).
    pub fn scope_challenge(&self, needed: &[String]) -> String {
        let scope = needed.join(" ");
        format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\", resource_metadata=\"{}\"", self.metadata_url())
    }

    /// The challenge of a 401 that another login would turn (RFC 9470 §3).
    pub fn step_up_challenge(&self, acr_values: &[String], max_age: Option<u64>) -> String {
        let mut challenge = String::from("Bearer error=\"insufficient_user_authentication\"");
        if !acr_values.is_empty() {
            challenge.push_str(&format!(", acr_values=\"{}\"", acr_values.join(" ")));
        }
        if let Some(max_age) = max_age {
            challenge.push_str(&format!(", max_age=\"{max_age}\""));
        }
        challenge.push_str(&format!(", resource_metadata=\"{}\"", self.metadata_url()));
        challenge
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_one_spelling() {
        for url in [
            "https://mcp.example.com/mcp",
            "https://a.b/",
            "http://127.0.0.1:10000/mcp",
            "http://[::1]:8/x",
            "http://localhost/x",
        ] {
            assert!(Url::read(url).is_ok(), "{url}");
        }
        for url in [
            "mcp.example.com/mcp",
            "https://mcp.example.com",
            "http://mcp.example.com/mcp",
            "https://MCP.example.com/mcp",
            "https://a@b/mcp",
            "https://a/mcp?x",
            "https://a/mcp#x",
            "https://a/m%63p",
            "https://a/../mcp",
            "https://a//mcp",
            "https://a/mcp/",
            "https:///mcp",
            "http://127.0.0.1.example.com/mcp",
            "http://localhostx/",
            "ftp://a/",
        ] {
            assert!(Url::read(url).is_err(), "{url}");
        }
    }

    #[test]
    fn hosts_and_metadata_follow_from_the_url() {
        let url = Url::read("https://a.example/x/mcp").unwrap();
        assert_eq!(url.metadata_path(), "/.well-known/oauth-protected-resource/x/mcp");
        assert_eq!(url.hosts(), ["a.example", "a.example:443"]);
        assert_eq!(Url::read("https://a.example:443/").unwrap().hosts(), ["a.example", "a.example:443"]);
        assert_eq!(Url::read("https://a.example:8443/").unwrap().hosts(), ["a.example:8443"]);
        assert_eq!(Url::read("http://[::1]/").unwrap().hosts(), ["[::1]", "[::1]:80"]);
        assert_eq!(Url::read("https://a.example/").unwrap().metadata_path(), "/.well-known/oauth-protected-resource");
    }
}
