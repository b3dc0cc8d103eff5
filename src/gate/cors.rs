//! What a browser asks before it lets a page call, and what it needs to hear
//! before the page may read the answer (Fetch Standard, CORS protocol).
//!
//! No credentials are allowed: a token comes in a header that the page sets.

use crate::http::{Edits, Head};
use crate::mcp::is_param_name;

/// What MCP clients send that a browser asks about.
const ALLOWED: &str = "accept, authorization, content-type, dpop, last-event-id, mcp-method, mcp-name, mcp-protocol-version, mcp-session-id, traceparent, tracestate";

/// What they read beside the body.
const EXPOSED: &str = "dpop-nonce, mcp-protocol-version, mcp-session-id, www-authenticate, x-mcp-gate-decision";

/// Asks this for permission to ask?
pub(super) fn is_preflight(head: &Head) -> bool {
    head.method() == b"OPTIONS" && head.has("origin") && head.has("access-control-request-method")
}

/// The headers of the answer, but for the origin.
pub(super) fn preflight(head: &Head) -> Vec<(&'static str, String)> {
    let mut allowed = ALLOWED.to_owned();
    // A server chooses the rest of these names; `*` would not cover `authorization`.
    let asked = head.text("access-control-request-headers").unwrap_or_default();
    for name in asked.split(',').map(str::trim).filter(|name| is_param(name)) {
        allowed.push_str(", ");
        allowed.push_str(name);
    }
    vec![
        ("access-control-allow-methods", "POST, GET, DELETE".into()),
        ("access-control-allow-headers", allowed),
        ("access-control-max-age", "600".into()),
    ]
}

fn is_param(name: &str) -> bool {
    let end = name.get(..10).filter(|start| start.eq_ignore_ascii_case("mcp-param-")).and_then(|_| name.get(10..));
    end.is_some_and(is_param_name)
}

/// Lets a page of this origin read an answer of the gate.
pub(super) fn share(origin: &str) -> [(&'static str, String); 3] {
    [
        ("access-control-allow-origin", origin.to_owned()),
        ("access-control-expose-headers", EXPOSED.to_owned()),
        ("vary", "origin".to_owned()),
    ]
}

/// Lets it read an answer of the server, which has no say in it.
pub(super) fn response(origin: &str) -> Edits {
    let [allow, expose, vary] = share(origin);
    let remove = ["access-control-allow-credentials", "access-control-allow-headers", "access-control-allow-methods"];
    Edits {
        remove: remove.map(Into::into).into(),
        set: vec![allow, expose],
        // Beside what the answer varies by already.
        add: vec![vary],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_headers_of_mcp_are_allowed() {
        let asked = "authorization, Mcp-Param-Region ,x-admin,mcp-param-,mcp-param-a b, x-mcp-gate-subject";
        let head = Head::new(vec![("access-control-request-headers".into(), asked.into())]);
        let headers = preflight(&head);
        assert_eq!(headers[1].1, format!("{ALLOWED}, Mcp-Param-Region"));
    }
}
