//! URLs: of a protected resource, of an issuer, and of what the gate asks itself;
//! and the well-known places that follow from them (RFC 9728 §3.1, RFC 8414 §3.1,
//! OpenID Connect Discovery §4.1).

/// Where the metadata document of a resource is served; its path follows (RFC 9728 §3.1).
pub const METADATA_PATH: &str = "/.well-known/oauth-protected-resource";

/// An absolute URL of one spelling: `https` (`http` for loopback), a host in
/// lower case, no user name, no fragment, no dot segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    scheme: &'static str,
    authority: String,
    /// Path and query, empty where the URL has none.
    path: String,
}

impl Location {
    /// Reads an URL; the error says what was expected. It may have a query, escapes
    /// and a slash at its end, for its owner chose it.
    pub fn read(url: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = url.split_once("://").ok_or("expected an absolute URL such as `https://host/path`")?;
        let start = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(start).ok_or("expected a host")?;
        let is_host = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-:[]".contains(&byte);
        if authority.is_empty() || !authority.bytes().all(is_host) {
            return Err("expected a host in lower case, without user name");
        }
        let is_loopback = ["127.0.0.1", "[::1]", "localhost"]
            .iter()
            .any(|host| authority.strip_prefix(host).is_some_and(|port| port.is_empty() || port.starts_with(':')));
        let scheme = match scheme {
            "https" => "https",
            "http" if is_loopback => "http",
            _ => return Err("expected `https` (`http` only for a loopback address)"),
        };
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@%/?".contains(&byte);
        if !path.bytes().all(is_plain) {
            return Err("expected a path of the characters of a URL, without fragment");
        }
        let before_query = path.split('?').next().unwrap_or_default();
        if before_query.split('/').any(|segment| segment == "." || segment == "..") {
            return Err("expected a path without `.` and `..`");
        }
        Ok(Self { scheme, authority: authority.to_owned(), path: path.to_owned() })
    }

    /// Reads an origin: a URL of scheme and authority alone (RFC 6454 §6.2).
    pub fn read_origin(origin: &str) -> Result<Self, &'static str> {
        match Self::read(origin)? {
            location if location.path.is_empty() => Ok(location),
            _ => Err("expected an origin such as `https://keys.example.com`, without a path"),
        }
    }

    /// Reads the identifier of an issuer: a URL without query (RFC 8414 §2).
    pub fn read_issuer(issuer: &str) -> Result<Self, &'static str> {
        match Self::read(issuer)? {
            location if location.path.contains('?') => Err("expected an issuer without a query"),
            location => Ok(location),
        }
    }

    /// Reads the URL of a protected resource, which clients compare byte by byte: its
    /// path has no escapes, no query, and no slash at the end but the root's.
    pub fn read_resource(url: &str) -> Result<Self, &'static str> {
        let location = Self::read(url)?;
        let path = location.path.as_str();
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
        if !path.bytes().all(is_plain) {
            return Err("expected a path of A-Z a-z 0-9 - . _ ~ /, without query, fragment or escapes");
        }
        match path {
            "" => Err("expected a path, at least `/`"),
            path if path.contains("//") => Err("expected a path without `//`"),
            path if path.len() > 1 && path.ends_with('/') => Err("expected no `/` at the end of the path"),
            _ => Ok(location),
        }
    }

    /// `https` or `http`.
    pub fn scheme(&self) -> &'static str {
        self.scheme
    }

    /// Host, and port where the URL has one.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Path and query, as a request line has them.
    pub fn path(&self) -> String {
        if self.path.starts_with('/') { self.path.clone() } else { format!("/{}", self.path) }
    }

    /// Scheme and authority, without the scheme's own port: two URLs are of one
    /// origin if these are equal.
    pub fn origin(&self) -> String {
        let port = if self.scheme == "https" { ":443" } else { ":80" };
        format!("{}://{}", self.scheme, self.authority.strip_suffix(port).unwrap_or(&self.authority))
    }

    /// The authorities that mean this host: with and without the default port.
    pub fn hosts(&self) -> Vec<String> {
        let port = if self.scheme == "https" { ":443" } else { ":80" };
        let host = self.authority.strip_suffix(port).unwrap_or(&self.authority);
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
        if has_port { vec![host.to_owned()] } else { vec![host.to_owned(), format!("{host}{port}")] }
    }

    /// Where the metadata document of this resource is served: the well-known string
    /// between host and path (RFC 9728 §3.1).
    pub fn metadata_path(&self) -> String {
        format!("{METADATA_PATH}{}", if self.path == "/" { "" } else { &self.path })
    }

    /// Where the metadata of this issuer is looked for, in the order in which MCP
    /// clients do: RFC 8414 first, its well-known string between host and path;
    /// then OpenID Connect, in the same place, and behind the path.
    pub fn well_known(&self) -> Vec<Self> {
        const OAUTH: &str = "/.well-known/oauth-authorization-server";
        const OPENID: &str = "/.well-known/openid-configuration";
        // "Any terminating `/` MUST be removed" (RFC 8414 §3.1; OpenID Connect Discovery §4.1).
        let own = self.path.strip_suffix('/').unwrap_or(&self.path);
        let mut paths = vec![format!("{OAUTH}{own}"), format!("{OPENID}{own}")];
        if !own.is_empty() {
            paths.push(format!("{own}{OPENID}"));
        }
        paths.into_iter().map(|path| Self { path, ..self.clone() }).collect()
    }
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(issuer: &str) -> Vec<String> {
        Location::read_issuer(issuer).unwrap().well_known().iter().map(Location::path).collect()
    }

    #[test]
    fn metadata_is_looked_for_where_clients_look() {
        let root = ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"];
        assert_eq!(paths("https://as.example.com"), root);
        assert_eq!(paths("https://as.example.com/"), root);
        for issuer in ["https://as.example.com/realms/x", "https://as.example.com/realms/x/"] {
            assert_eq!(
                paths(issuer),
                [
                    "/.well-known/oauth-authorization-server/realms/x",
                    "/.well-known/openid-configuration/realms/x",
                    "/realms/x/.well-known/openid-configuration",
                ]
            );
        }
    }

    #[test]
    fn jwk_11_a_location_is_https_or_loopback_and_has_one_spelling() {
        for url in [
            "https://as.example.com/jwks",
            "https://as.example.com:8443/jwks?p=b2c_1",
            "https://as.example.com",
            "https://as.example.com/",
            "https://as.example.com/a%20b/",
            "http://127.0.0.1:8000/jwks",
            "http://localhost/jwks",
            "http://[::1]:1/jwks",
        ] {
            assert!(Location::read(url).is_ok(), "{url}");
        }
        for url in [
            "",
            "as.example.com/jwks",
            "http://as.example.com/jwks",
            "http://169.254.169.254/latest/meta-data",
            "http://127.0.0.1.example.com/jwks",
            "http://localhosted/jwks",
            "https:///jwks",
            "https://user@as.example.com/jwks",
            "https://AS.example.com/jwks",
            "https://as.example.com/jwks#x",
            "https://as.example.com/a/../jwks",
            "https://as.example.com/a b",
            "https://as.example.com/\r\nx: y",
            "file:///etc/passwd",
            "data:application/json,{}",
            "HTTPS://as.example.com/jwks",
        ] {
            assert!(Location::read(url).is_err(), "{url}");
        }
        assert!(Location::read_issuer("https://as.example.com/?x").is_err());
        assert!(Location::read_origin("https://as.example.com").is_ok());
        assert!(Location::read_origin("https://as.example.com/").is_err());
    }

    #[test]
    fn the_port_of_the_scheme_is_no_part_of_an_origin() {
        let origin = |url: &str| Location::read(url).unwrap().origin();
        assert_eq!(origin("https://a.example:443/x"), origin("https://a.example"));
        assert_ne!(origin("https://a.example:8443/x"), origin("https://a.example"));
        assert_ne!(origin("http://localhost/x"), origin("https://localhost/x"));
        assert_eq!(Location::read("https://a.example?x").unwrap().path(), "/?x");
    }

    #[test]
    fn the_url_of_a_resource_has_one_spelling() {
        for url in [
            "https://mcp.example.com/mcp",
            "https://a.b/",
            "http://127.0.0.1:10000/mcp",
            "http://[::1]:8/x",
            "http://localhost/x",
        ] {
            assert!(Location::read_resource(url).is_ok(), "{url}");
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
            assert!(Location::read_resource(url).is_err(), "{url}");
        }
    }

    #[test]
    fn hosts_and_metadata_follow_from_the_url() {
        let url = Location::read_resource("https://a.example/x/mcp").unwrap();
        assert_eq!(url.metadata_path(), "/.well-known/oauth-protected-resource/x/mcp");
        assert_eq!(url.hosts(), ["a.example", "a.example:443"]);
        assert_eq!(Location::read_resource("https://a.example:443/").unwrap().hosts(), ["a.example", "a.example:443"]);
        assert_eq!(Location::read_resource("https://a.example:8443/").unwrap().hosts(), ["a.example:8443"]);
        assert_eq!(Location::read_resource("http://[::1]/").unwrap().hosts(), ["[::1]", "[::1]:80"]);
        assert_eq!(
            Location::read_resource("https://a.example/").unwrap().metadata_path(),
            "/.well-known/oauth-protected-resource"
        );
    }
}
