//! Calls of the gate's own: for keys, and about tokens.
//!
//! An [`Outbound`] is what the host must send, an [`Answer`] what came back. Nothing
//! in it is believed. What an answer must be, whoever gives it, is decided here: status
//! exactly 200, JSON by its media type and by this project's reader, not encoded, and
//! bounded. A redirect is a failure: the operator said where to ask.

use std::fmt;
use std::time::Duration;

use crate::http::{Head, Location, essence};
use crate::json::{Fault, Json, Limits, Object, shown};

/// The longest body of an answer that is read, in bytes.
pub const LONGEST: usize = 256 * 1024;

/// A URL, and the Envoy cluster by which it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The name of the cluster.
    pub cluster: String,
    /// What is asked there.
    pub location: Location,
}

/// A request of the gate's own.
#[derive(Clone, PartialEq, Eq)]
pub struct Outbound {
    /// Where it goes.
    pub endpoint: Endpoint,
    /// How long its answer is waited for.
    pub timeout: Duration,
    method: &'static str,
    more: Vec<(&'static str, String)>,
    body: String,
}

impl fmt::Debug for Outbound {
    // It may hold the gate's own credential, and a caller's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outbound({:?})", self.endpoint)
    }
}

impl Outbound {
    /// Asks for a document.
    pub fn get(endpoint: Endpoint, timeout: Duration) -> Self {
        Self { endpoint, timeout, method: "GET", more: Vec::new(), body: String::new() }
    }

    /// Sends a form, with the gate's own credential.
    pub fn post(endpoint: Endpoint, timeout: Duration, authorization: String, form: String) -> Self {
        let media_type = "application/x-www-form-urlencoded".to_owned();
        let more = vec![("content-type", media_type), ("authorization", authorization)];
        Self { endpoint, timeout, method: "POST", more, body: form }
    }

    /// Pseudo-headers and headers.
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            (":method", self.method.to_owned()),
            (":scheme", self.endpoint.location.scheme().to_owned()),
            (":authority", self.endpoint.location.authority().to_owned()),
            (":path", self.endpoint.location.path()),
            ("accept", "application/json, application/jwk-set+json".to_owned()),
            ("user-agent", "mcp-gate".to_owned()),
        ];
        headers.extend(self.more.iter().cloned());
        headers
    }

    /// The body; empty where there is none.
    pub fn body(&self) -> &str {
        &self.body
    }
}

/// The answer to such a request. Untrusted.
pub struct Answer {
    head: Head,
    body: Vec<u8>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({:?})", self.head)
    }
}

impl Answer {
    /// Takes all headers as the host gives them, `:status` among them. Of a body that is
    /// longer than [`LONGEST`] one byte more is enough.
    pub fn new(headers: Vec<(String, Vec<u8>)>, body: Vec<u8>) -> Self {
        Self { head: Head::new(headers), body }
    }

    /// Does it refuse the gate's own credential (RFC 6749 §5.2)?
    pub fn is_unauthorized(&self) -> bool {
        self.head.text(":status") == Some("401")
    }

    /// The body of a good answer (RFC 9110 §15.3.1). No error repeats it.
    pub fn into_body(self) -> Result<Vec<u8>, String> {
        match self.one(":status")? {
            Some(b"200") => {}
            // Envoy answers in the place of a server that it does not reach, and of one that is late.
            Some(status @ (b"503" | b"504")) => {
                return Err(format!("expected status 200, found {}, the server's or Envoy's own", legible(status)));
            }
            Some(status) => return Err(format!("expected status 200, found {}", legible(status))),
            None => return Err("expected status 200, found none".into()),
        }
        let media_type = self.one("content-type")?.unwrap_or_default();
        let essence = essence(media_type).to_ascii_lowercase();
        if essence != b"application/json" && !(essence.starts_with(b"application/") && essence.ends_with(b"+json")) {
            return Err(format!("expected content-type application/json, found `{}`", legible(media_type)));
        }
        if let Some(encoding) = self.one("content-encoding")? {
            return Err(format!("expected a body that is not encoded, found `{}`", legible(encoding)));
        }
        if self.body.len() > LONGEST {
            return Err(format!("expected at most {LONGEST} bytes, found more"));
        }
        Ok(self.body)
    }

    fn one(&self, name: &str) -> Result<Option<&[u8]>, String> {
        self.head.get(name).map_err(|_| format!("expected one header `{name}`, found several"))
    }
}

fn legible(value: &[u8]) -> String {
    shown(&String::from_utf8_lossy(value))
}

/// Reads what such a body must be: one object of strict JSON.
pub fn object(body: &[u8]) -> Result<Object<'_>, String> {
    let found = match Json::read(body, Limits::default()).map_err(|error| error.fault) {
        Ok(Json::Object(object)) => return Ok(object),
        Ok(_) => "another value",
        Err(Fault::Syntax) => "what is none",
        Err(Fault::Duplicate) => "a member twice in one object",
        Err(Fault::Lookalike) => "two members whose names look alike",
        Err(Fault::Ambiguous) => "what parsers read differently",
        Err(Fault::TooLarge) => "more or longer values than are read",
    };
    Err(format!("expected an object of strict JSON, found {found}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: &str, value: &str) -> (String, Vec<u8>) {
        (name.to_owned(), value.as_bytes().to_vec())
    }

    #[test]
    fn jwk_12_headers_that_are_missing_or_stand_twice_are_a_failure() {
        let (status, media_type) = (header(":status", "200"), header("content-type", "application/json"));
        let is_good = |headers: &[(String, Vec<u8>)]| Answer::new(headers.to_vec(), b"{}".to_vec()).into_body().is_ok();
        assert!(is_good(&[status.clone(), media_type.clone()]));
        assert!(!is_good(&[]));
        assert!(!is_good(std::slice::from_ref(&media_type)));
        assert!(!is_good(std::slice::from_ref(&status)));
        assert!(!is_good(&[status.clone(), status.clone(), media_type.clone()]));
        assert!(!is_good(&[status.clone(), media_type.clone(), media_type.clone()]));
        for encoding in ["gzip", "identity", ""] {
            assert!(
                !is_good(&[status.clone(), media_type.clone(), header("content-encoding", encoding)]),
                "{encoding}"
            );
        }
        assert!(!is_good(&[header(":status", "200 "), media_type]));
        for (media_type, expected) in [
            ("Application/JSON; charset=utf-8", true),
            ("application/jwk-set+json", true),
            ("application/jsonx", false),
            ("application/+jsonx", false),
            ("text/json", false),
            ("image/svg+json", false),
            ("application/json, text/html", false),
        ] {
            assert_eq!(is_good(&[status.clone(), header("content-type", media_type)]), expected, "{media_type}");
        }
    }

    #[test]
    fn a_body_is_bounded_and_is_one_object() {
        let answer = |length: usize| {
            let headers = vec![header(":status", "200"), header("content-type", "application/json")];
            Answer::new(headers, vec![b' '; length]).into_body().map(|body| body.len())
        };
        assert_eq!(answer(LONGEST), Ok(LONGEST));
        assert_eq!(answer(LONGEST + 1), Err("expected at most 262144 bytes, found more".into()));
        assert!(object(b"{}").is_ok());
        for (body, found) in [
            ("[]", "another value"),
            ("", "what is none"),
            ("{\"a\":1,\"a\":1}", "a member twice in one object"),
            ("{\"a\":1,\"A\":1}", "two members whose names look alike"),
        ] {
            let reason = object(body.as_bytes()).map(drop);
            assert_eq!(reason, Err(format!("expected an object of strict JSON, found {found}")), "{body}");
        }
    }

    #[test]
    fn what_is_sent_has_no_printable_form() {
        let location = Location::read("https://as.example.com/o/introspect/?v=1").unwrap();
        let endpoint = Endpoint { cluster: "as".into(), location };
        let asked = Outbound::post(endpoint.clone(), Duration::ZERO, "Basic c2VjcmV0".into(), "token=abc".into());
        assert!(!format!("{asked:?}").contains("c2VjcmV0") && !format!("{asked:?}").contains("abc"));
        let headers = asked.headers();
        let header = |name| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
        assert_eq!((header(":method"), header(":path")), (Some("POST"), Some("/o/introspect/?v=1")));
        assert_eq!((header(":scheme"), header(":authority")), (Some("https"), Some("as.example.com")));
        assert_eq!(Outbound::get(endpoint, Duration::ZERO).body(), "");
    }
}
