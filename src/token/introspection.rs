//! Tokens that only their issuer can read (RFC 7662).
//!
//! A question for the issuer goes out as an [`Outbound`]; what comes back is an
//! [`Identity`] or a denial. What is not clearly a yes is a no.

use std::fmt;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use jwt_simple::reexports::ct_codecs::{Base64, Encoder as _};

use super::claims::{self, Claims};
use super::{Acceptance, Bearer, Identity, Issuer, Vouched, seconds, unexpected};
use crate::denial::Denial;
use crate::json::{Json, Object};
use crate::outbound::{Answer, Endpoint, Outbound, object};

/// Where and how an issuer is asked about its tokens.
pub struct Introspection {
    endpoint: Endpoint,
    authorization: String,
    cache: i64,
    timeout: Duration,
}

impl fmt::Debug for Introspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Introspection({:?})", self.endpoint)
    }
}

impl Introspection {
    /// The gate authenticates with a name and a secret (RFC 6749 §2.3.1). An
    /// answer is believed for `cache` seconds, and waited for no longer than `timeout`.
    pub fn new(endpoint: Endpoint, client_id: &str, client_secret: &str, cache: i64, timeout: Duration) -> Self {
        let credentials = format!("{}:{}", form(client_id), form(client_secret));
        // Base64 of a text that fits into memory has no way to fail; without it the issuer refuses the gate.
        let credentials = Base64::encode_to_string(credentials).unwrap_or_default();
        Self { endpoint, authorization: format!("Basic {credentials}"), cache, timeout }
    }

    /// The question whether a token is active (RFC 7662 §2.1).
    pub fn ask(&self, bearer: Bearer<'_>) -> Outbound {
        let form = format!("token={}&token_type_hint=access_token", form(bearer.text()));
        Outbound::post(self.endpoint.clone(), self.timeout, self.authorization.clone(), form)
    }
}

/// One value of a form (WHATWG URL, application/x-www-form-urlencoded).
fn form(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => text.push(char::from(byte)),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

impl Issuer {
    /// Reads the issuer's answer about a token of its own (RFC 7662 §2.2), or why there
    /// is none. Says how much of it there is to remember, in bytes.
    pub fn vouch(
        self: &Rc<Self>,
        answer: Result<Answer, String>,
        acceptance: &Acceptance,
        now: SystemTime,
    ) -> Result<(Identity, usize), Denial> {
        let now = seconds(now);
        let cache = self.introspection.as_ref().map_or(0, |introspection| introspection.cache);
        let is_unauthorized = answer.as_ref().is_ok_and(Answer::is_unauthorized);
        let body = answer.and_then(Answer::into_body).map_err(|mut reason| {
            if is_unauthorized {
                reason.push_str("; are `introspection.client_id` and `client_secret` right?");
            }
            Denial::IntrospectionFailed(reason)
        })?;
        let payload = object(&body).map_err(Denial::IntrospectionFailed)?;
        if !matches!(payload.get("active"), Some(Json::Bool(true))) {
            return Err(Denial::TokenInactive);
        }
        // Its own, where it says whose (RFC 7662 §2.2).
        let issuer = payload.get("iss").map(|issuer| claims::text(issuer, "iss")).transpose()?;
        if let Some(issuer) = issuer.filter(|issuer| *issuer != self.issuer) {
            return Err(Denial::TokenIssuer(unexpected([issuer], [self.issuer.as_str()])));
        }
        let claims = Claims::read(&payload, &self.claims)?;
        check_kind(&payload, &claims)?;
        self.check(&payload, &claims, &acceptance.audience)?;
        // Believed until it has to be asked again, or it is over, whatever comes first.
        let longest = claims.issued.unwrap_or(now).saturating_add(self.max_lifetime);
        let expires = claims.expires.unwrap_or(longest);
        let known = now.saturating_add(cache).min(expires).saturating_sub(1);
        let mut identity = self.identity(&payload, claims, expires, Vouched::Issuer, now)?;
        identity.valid.1 = identity.valid.1.min(known);
        Ok((identity, body.len()))
    }
}

/// An issuer answers about every token that it knows, whatever the hint was (RFC 7662
/// §2.1): what it says to be no access token is none, and what it says to be bound to a key
/// names the key.
fn check_kind(payload: &Object<'_>, claims: &Claims<'_>) -> Result<(), Denial> {
    let text = |name: &str| payload.get(name).map(|value| value.as_str().unwrap_or_default().to_ascii_lowercase());
    let is_access = |usage: &str| matches!(usage, "access_token" | "access");
    if text("token_use").is_some_and(|usage| !is_access(&usage)) {
        return Err(Denial::TokenType("expected `access_token` as `token_use`, found another"));
    }
    if text("typ").is_some_and(|typ| !matches!(typ.as_str(), "bearer" | "dpop" | "jwt" | "at+jwt")) {
        return Err(Denial::TokenType("expected an access token, found another `typ`"));
    }
    match text("token_type").as_deref() {
        None | Some("bearer") => Ok(()),
        Some("dpop") if claims.confirmation.jkt.is_some() => Ok(()),
        Some("dpop") => Err(Denial::TokenConfirmation("expected `cnf.jkt` of a DPoP-bound token, found none")),
        // Some issuers say here what others say under `token_use`.
        Some("access_token") => Ok(()),
        Some(_) => Err(Denial::TokenType("expected `Bearer` or `DPoP` as `token_type`, found another")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Location;
    use crate::outbound::LONGEST;
    use crate::token::{ClaimPaths, Revoked};

    const NOW: i64 = 1_000_000;

    fn issuer() -> Rc<Issuer> {
        let location = Location::read("https://as.example.com/introspect").unwrap();
        let endpoint = Endpoint { cluster: "as".into(), location };
        Rc::new(Issuer {
            issuer: "https://as.example.com".into(),
            source: None,
            algorithms: None,
            typed: true,
            requires_client: true,
            audiences: Vec::new(),
            leeway: 30,
            max_lifetime: super::super::LONGEST_LIFE,
            ignored_headers: Vec::new(),
            claims: ClaimPaths::default(),
            revoked: Revoked::default(),
            introspection: Some(Introspection::new(endpoint, "gate:1", "s=cret", 30, Duration::from_secs(2))),
        })
    }

    fn vouch(status: u16, content_type: &str, body: &str) -> Result<Identity, Denial> {
        let headers = [(":status", status.to_string()), ("content-type", content_type.to_owned())];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.into_bytes())).to_vec();
        let answer = Answer::new(headers, body.as_bytes().to_vec());
        let acceptance = Acceptance { audience: "https://mcp.example.com/mcp".into(), issuers: Vec::new() };
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW.unsigned_abs());
        issuer().vouch(Ok(answer), &acceptance, now).map(|(identity, _)| identity)
    }

    fn about(members: &str) -> Result<Identity, Denial> {
        let body = format!(r#"{{"active":true,"sub":"alice","aud":"https://mcp.example.com/mcp"{members}}}"#);
        vouch(200, "application/json", &body)
    }

    #[test]
    fn the_question_is_a_form_and_the_gate_says_who_it_is() {
        let asked = issuer().introspection.as_ref().unwrap().ask(Bearer::read("a+b/c==").unwrap());
        assert_eq!(asked.body(), "token=a%2Bb%2Fc%3D%3D&token_type_hint=access_token");
        assert_eq!(asked.endpoint.cluster, "as");
        let headers = asked.headers();
        let header = |name| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
        assert_eq!((header(":method"), header(":path")), (Some("POST"), Some("/introspect")));
        // gate%3A1:s%3Dcret
        assert_eq!(header("authorization"), Some("Basic Z2F0ZSUzQTE6cyUzRGNyZXQ="));
        let shown = format!("{asked:?} {:?}", issuer());
        assert!(!shown.contains("a%2B") && !shown.contains("Basic"), "{shown}");
    }

    #[test]
    fn a_yes_is_believed_for_a_short_time_and_never_beyond_the_token() {
        let valid = |members: &str| about(members).unwrap().valid.1 - NOW;
        assert_eq!(valid(""), 29);
        assert_eq!(valid(r#","exp":2000000"#), 29);
        assert_eq!(valid(r#","exp":1000010"#), 9);
        assert_eq!(valid(r#","iat":999000"#), 29);
        assert_eq!(about(r#","exp":1000"#).err(), Some(Denial::TokenExpired));
        assert_eq!(about(r#","nbf":2000000"#).err(), Some(Denial::TokenNotYetValid));
    }

    #[test]
    fn what_is_no_clear_yes_is_a_no() {
        let json = "application/json";
        for body in [
            "{}",
            r#"{"active":false}"#,
            r#"{"active":"true"}"#,
            r#"{"active":1,"sub":"alice"}"#,
            r#"{"sub":"alice","aud":"https://mcp.example.com/mcp"}"#,
        ] {
            assert_eq!(vouch(200, json, body).err(), Some(Denial::TokenInactive), "{body}");
        }
        let failed = |reason: &str| Some(Denial::IntrospectionFailed(reason.into()));
        for (status, content_type, body, reason) in [
            (500, json, r#"{"active":true}"#, "expected status 200, found 500"),
            (201, json, r#"{"active":true}"#, "expected status 200, found 201"),
            (302, json, "", "expected status 200, found 302"),
            (504, json, "", "expected status 200, found 504, the server's or Envoy's own"),
            (401, json, "", "expected status 200, found 401; are `introspection.client_id` and `client_secret` right?"),
            (200, "text/html", r#"{"active":true}"#, "expected content-type application/json, found `text/html`"),
            (200, json, "", "expected an object of strict JSON, found what is none"),
            (200, json, "[]", "expected an object of strict JSON, found another value"),
            (
                200,
                json,
                r#"{"active":true,"active":true}"#,
                "expected an object of strict JSON, found a member twice in one object",
            ),
            (
                200,
                json,
                r#"{"active":true,"Active":false}"#,
                "expected an object of strict JSON, found two members whose names look alike",
            ),
        ] {
            assert_eq!(vouch(status, content_type, body).err(), failed(reason), "{status} {body}");
        }
        let large = format!(r#"{{"active":true,"x":"{}"}}"#, "x".repeat(LONGEST));
        assert_eq!(vouch(200, json, &large).err(), failed("expected at most 262144 bytes, found more"));
        let acceptance = Acceptance { audience: String::new(), issuers: Vec::new() };
        let silence = issuer().vouch(Err("expected an answer".into()), &acceptance, SystemTime::UNIX_EPOCH);
        assert_eq!(silence.err(), failed("expected an answer"));
    }

    #[test]
    fn an_active_token_for_somebody_else_is_refused() {
        let audience = |detail: &str| Some(Denial::TokenAudience(detail.into()));
        let other = r#"{"active":true,"sub":"alice","aud":"https://other.example.com/"}"#;
        assert_eq!(
            vouch(200, "application/json", other).err(),
            audience("found `https://other.example.com/`, expected `https://mcp.example.com/mcp`")
        );
        let none = r#"{"active":true,"sub":"alice"}"#;
        assert_eq!(vouch(200, "application/json", none).err(), audience("found no string and no list of strings"));
        assert_eq!(about(r#","iss":"https://as.example.com""#).map(|identity| identity.subject), Ok("alice".into()));
        assert_eq!(
            about(r#","iss":"https://other.example.com""#).err(),
            Some(Denial::TokenIssuer("found `https://other.example.com`, expected `https://as.example.com`".into()))
        );
    }

    #[test]
    fn what_an_issuer_says_to_be_another_token_is_no_access_token() {
        let active = r#""active":true,"sub":"alice","client_id":"c","aud":"https://mcp.example.com/mcp","exp":1000100"#;
        let said = |members: &str| vouch(200, "application/json", &format!("{{{active}{members}}}")).map(drop);
        for members in [
            "",
            r#","token_type":"Bearer""#,
            r#","token_type":"bearer","typ":"Bearer""#,
            r#","token_use":"access_token""#,
            r#","token_type":"access_token""#,
        ] {
            assert_eq!(said(members), Ok(()), "{members}");
        }
        for members in [
            r#","token_use":"refresh_token""#,
            r#","token_type":"refresh_token""#,
            r#","token_type":"N_A""#,
            r#","token_type":1"#,
            r#","typ":"Refresh""#,
            r#","typ":"ID""#,
            r#","typ":"Logout""#,
        ] {
            assert!(matches!(said(members), Err(Denial::TokenType(_))), "{members}");
        }
        assert!(matches!(said(r#","token_type":"DPoP""#), Err(Denial::TokenConfirmation(_))));
    }
}
