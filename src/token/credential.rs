//! A credential as a caller presents it: the head of a request in, something
//! untrusted out.
//!
//! One `Authorization` header with one of two schemes (RFC 6750 §2.1, RFC 9449
//! §7.1), or the header that a resource has for API keys; never both. The text
//! is checked for its form alone, and never printed.

use std::fmt;

use crate::denial::Denial;
use crate::http::Head;

/// The longest token that is looked at, in bytes.
pub const LONGEST: usize = 8 * 1024;

/// A token as presented. Untrusted, and never printed.
#[derive(Clone, Copy)]
pub struct Bearer<'a>(&'a str);

impl fmt::Debug for Bearer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearer(…)")
    }
}

/// Of each byte, whether a token may have it. To look it up takes a third of what it takes to
/// compare it, of a thousand in each request.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, by a byte")]
const IS_ALLOWED: [bool; 256] = {
    let mut table = [false; 256];
    let mut rest: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-._~+/";
    while let [byte, more @ ..] = rest {
        table[*byte as usize] = true;
        rest = more;
    }
    table
};

impl<'a> Bearer<'a> {
    /// A token of the characters that one may have (RFC 6750 §2.1, b64token).
    pub fn read(token: &'a str) -> Result<Self, Denial> {
        let body = token.trim_end_matches('=');
        if !body.is_empty() && body.bytes().all(|byte| IS_ALLOWED.get(usize::from(byte)) == Some(&true)) {
            Ok(Self(token))
        } else {
            Err(Denial::CredentialMalformed)
        }
    }

    /// The text, for what verifies it.
    pub(super) fn text(self) -> &'a str {
        self.0
    }
}

/// How a token was presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `Authorization: Bearer`
    Bearer,
    /// `Authorization: DPoP`, with a proof in a header of its own.
    Dpop,
    /// In the resource's own header for API keys.
    ApiKey,
}

/// A credential as presented.
#[derive(Debug, Clone, Copy)]
pub struct Credential<'a> {
    /// How.
    pub scheme: Scheme,
    /// What.
    pub token: Bearer<'a>,
}

impl<'a> Credential<'a> {
    /// The one credential of a request. `api_key_header` is where the resource
    /// takes API keys, in lower case, if it does.
    pub fn from_head(head: &'a Head, api_key_header: Option<&str>) -> Result<Self, Denial> {
        let authorization = one(head, "authorization")?;
        let api_key = api_key_header.map_or(Ok(None), |name| one(head, name))?;
        match (authorization, api_key) {
            (None, None) => Err(Denial::CredentialMissing),
            (Some(_), Some(_)) => Err(Denial::CredentialTwice),
            (None, Some(key)) => Ok(Self { scheme: Scheme::ApiKey, token: Bearer::read(key)? }),
            (Some(value), None) => Self::from_authorization(value),
        }
    }

    /// A scheme in any case, one space, one token.
    fn from_authorization(value: &'a str) -> Result<Self, Denial> {
        let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
        let scheme = match scheme {
            _ if scheme.eq_ignore_ascii_case("bearer") => Scheme::Bearer,
            _ if scheme.eq_ignore_ascii_case("dpop") => Scheme::Dpop,
            _ => return Err(Denial::CredentialMalformed),
        };
        // A scheme without a token holds no authentication information (RFC 6750 §3.1).
        if token.is_empty() {
            return Err(Denial::CredentialMissing);
        }
        Ok(Self { scheme, token: Bearer::read(token)? })
    }
}

/// The one value of a header, unless it is empty.
fn one<'a>(head: &'a Head, name: &str) -> Result<Option<&'a str>, Denial> {
    let Ok(value) = head.get(name) else { return Err(Denial::CredentialMalformed) };
    let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(None) };
    if value.len() > LONGEST {
        return Err(Denial::CredentialTooLarge);
    }
    std::str::from_utf8(value).map(Some).map_err(|_| Denial::CredentialMalformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[(&str, &str)]) -> Result<(Scheme, String), Denial> {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
        let head = Head::new(headers.collect());
        Credential::from_head(&head, Some("x-api-key"))
            .map(|credential| (credential.scheme, credential.token.0.to_owned()))
    }

    #[test]
    fn the_authorization_header_has_one_strict_grammar() {
        let bearer = |value: &str| read(&[("authorization", value)]);
        for value in ["Bearer a.b.c", "bearer a.b.c", "BEARER a.b.c"] {
            assert_eq!(bearer(value), Ok((Scheme::Bearer, "a.b.c".into())), "{value}");
        }
        for value in ["DPoP a.b.c", "dpop a.b.c"] {
            assert_eq!(bearer(value), Ok((Scheme::Dpop, "a.b.c".into())), "{value}");
        }
        for value in [
            "Bearer  a",
            " Bearer a",
            "Bearer a ",
            "Bearer\ta",
            "Bearer a b",
            "Bearer a,Bearer b",
            "Bearer \"a\"",
            "Basic a",
            "Basic",
            "Bearera",
            "Bearer =",
            "Bearer a=b",
            "Bearer é",
        ] {
            assert_eq!(bearer(value), Err(Denial::CredentialMalformed), "{value}");
        }
        for value in ["", "Bearer", "Bearer ", "DPoP "] {
            assert_eq!(bearer(value), Err(Denial::CredentialMissing), "{value}");
        }
        assert_eq!(bearer(&format!("Bearer {}", "a".repeat(LONGEST))), Err(Denial::CredentialTooLarge));
    }

    #[test]
    fn there_is_one_credential_or_none() {
        let twice = [("authorization", "Bearer a"), ("authorization", "Bearer a")];
        assert_eq!(read(&twice), Err(Denial::CredentialMalformed));
        assert_eq!(read(&[("x-api-key", "a"), ("x-api-key", "a")]), Err(Denial::CredentialMalformed));
        assert_eq!(read(&[("authorization", "Bearer a"), ("x-api-key", "b")]), Err(Denial::CredentialTwice));
        assert_eq!(read(&[("authorization", ""), ("x-api-key", "b")]), Ok((Scheme::ApiKey, "b".into())));
        assert_eq!(read(&[]), Err(Denial::CredentialMissing));
    }

    #[test]
    fn a_bearer_never_shows_its_token() {
        let credential = Credential { scheme: Scheme::Bearer, token: Bearer("secret") };
        assert_eq!(format!("{credential:?}"), "Credential { scheme: Bearer, token: Bearer(…) }");
    }
}
