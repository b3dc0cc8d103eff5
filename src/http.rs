//! What a request is before anyone has looked at it, and what a response is.
//!
//! [`Head`] holds the head of a request as the host hands it over: names and
//! values as bytes, every value of a repeated header. Nothing here decides.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

/// The most headers that a request may have, below Envoy's own limit of 100.
pub const MOST_HEADERS: usize = 96;

/// The head of a request: pseudo-headers and headers, in their order.
#[derive(Default)]
pub struct Head {
    headers: Vec<(String, Vec<u8>)>,
}

impl fmt::Debug for Head {
    // Values hold credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.headers.iter().map(|(name, _)| name)).finish()
    }
}

/// Where the metadata document of a resource is served; its path follows (RFC 9728 §3.1).
pub const METADATA_PATH: &str = "/.well-known/oauth-protected-resource";

/// A header that may stand once stood more than once.
#[derive(Debug, PartialEq, Eq)]
pub struct Repeated;

impl Head {
    /// Takes the pairs as Envoy gives them: names in lower case, the
    /// pseudo-headers `:method`, `:path` and `:authority` among them.
    pub fn new(headers: Vec<(String, Vec<u8>)>) -> Self {
        Self { headers }
    }

    /// The one value of a header.
    pub fn get(&self, name: &str) -> Result<Option<&[u8]>, Repeated> {
        let mut values = self.headers.iter().filter(|(header, _)| header == name);
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some((_, value)), None) => Ok(Some(value)),
            (Some(_), Some(_)) => Err(Repeated),
        }
    }

    /// The one value of a header, if it is there once and is UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).ok().flatten().and_then(|value| std::str::from_utf8(value).ok())
    }

    /// Does the header stand here at all?
    pub fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(header, _)| header == name)
    }

    /// How many headers there are, and the size of their names and values, in bytes.
    pub fn size(&self) -> (usize, usize) {
        (self.iter().count(), self.iter().map(|(name, value)| name.len().saturating_add(value.len())).sum())
    }

    /// All headers, without the pseudo-headers.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let headers = self.headers.iter().filter(|(name, _)| !name.starts_with(':'));
        headers.map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    fn pseudo(&self, name: &str) -> &[u8] {
        // Envoy's codecs let no request through that lacks one of them, or has two.
        self.get(name).ok().flatten().unwrap_or_default()
    }

    /// Takes a header away.
    pub fn remove(&mut self, name: &str) {
        self.headers.retain(|(header, _)| header != name);
    }

    /// `:method`; empty where the host gave none.
    pub fn method(&self) -> &[u8] {
        self.pseudo(":method")
    }

    /// `:path` up to the first `?`.
    pub fn path(&self) -> &[u8] {
        self.pseudo(":path").split(|byte| *byte == b'?').next().unwrap_or_default()
    }

    /// What follows the first `?` of `:path`.
    pub fn query(&self) -> Option<&[u8]> {
        let path = self.pseudo(":path");
        let mark = path.iter().position(|byte| *byte == b'?')?;
        path.get(mark.saturating_add(1)..)
    }

    /// `:authority`; empty where the host gave none.
    pub fn authority(&self) -> &[u8] {
        self.pseudo(":authority")
    }
}

/// A media type without its parameters (RFC 9110 §8.3.1).
pub fn essence(media_type: &[u8]) -> &[u8] {
    let essence = media_type.split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii_end()
}

/// A response that the gate sends itself. Upstream never sees the request.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers, their names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// The body, JSON if it is not empty.
    pub body: String,
}

/// Changes to the head of a request or response that is let go.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// Headers to take away, whatever their values.
    pub remove: Vec<Cow<'static, str>>,
    /// Headers to set, in place of what stood there.
    pub set: Vec<(&'static str, String)>,
    /// Headers to add, beside what stands there.
    pub add: Vec<(&'static str, String)>,
}

/// The parts of a URL, a resource's or an endpoint's.
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
        format!("{METADATA_PATH}{path}")
    }

    /// The authorities that mean this host: with and without the default port.
    pub fn hosts(&self) -> Vec<String> {
        let port = if self.scheme == "https" { ":443" } else { ":80" };
        let host = self.authority.strip_suffix(port).unwrap_or(self.authority);
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
        if has_port { vec![host.to_owned()] } else { vec![host.to_owned(), format!("{host}{port}")] }
    }
}

/// A server that the gate asks itself, behind a cluster of Envoy's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The cluster's name.
    pub cluster: String,
    /// `https`, or `http` for loopback.
    pub scheme: String,
    /// Host and port.
    pub authority: String,
    /// The path.
    pub path: String,
}

impl Endpoint {
    /// The endpoint of a URL, behind a cluster.
    pub fn read(cluster: &str, url: &str) -> Result<Self, &'static str> {
        let Url { scheme, authority, path } = Url::read(url)?;
        Ok(Self { cluster: cluster.into(), scheme: scheme.into(), authority: authority.into(), path: path.into() })
    }

    /// The pseudo-headers of a request to it, and who sends it.
    pub fn head(&self, method: &str) -> Vec<(&'static str, String)> {
        vec![
            (":method", method.into()),
            (":path", self.path.clone()),
            (":authority", self.authority.clone()),
            (":scheme", self.scheme.clone()),
            ("user-agent", "mcp-gate".into()),
        ]
    }
}

/// A request that the gate makes itself.
pub struct Outbound {
    /// The cluster that it goes to.
    pub cluster: String,
    /// Pseudo-headers and headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
    /// How long its answer is waited for.
    pub timeout: Duration,
}

impl fmt::Debug for Outbound {
    // It may hold the gate's own credential, and a caller's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outbound({})", self.cluster)
    }
}

/// The answer to a request that the gate made. Untrusted.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// `content-type`, empty if there is none or more than one.
    pub content_type: String,
    /// Does it say that its body is encoded?
    pub encoded: bool,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Is its body JSON, as it stands there?
    pub fn is_json(&self) -> bool {
        let essence = self.content_type.split(';').next().unwrap_or_default().trim();
        let is_json = essence.eq_ignore_ascii_case("application/json")
            || essence.len() > 5 && essence.to_ascii_lowercase().ends_with("+json");
        is_json && !self.encoded
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
