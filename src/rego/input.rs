//! The paths that policy input has, version 1 of the contract.

/// `*` stands for anything below.
#[rustfmt::skip]
const INPUT: [&str; 40] = [
    "version", "resource",
    "mcp.era", "mcp.version", "mcp.kind", "mcp.method", "mcp.name", "mcp.uri", "mcp.uris", "mcp.task",
    "mcp.ref.type", "mcp.ref.name", "mcp.ref.uri", "mcp.tasks", "mcp.cursor", "mcp.level",
    "mcp.arguments.*", "mcp.augmentation.*", "mcp.input_responses.*", "mcp.request_state", "mcp.retry", "mcp.client.name", "mcp.client.version",
    "identity.issuer", "identity.subject", "identity.client_id", "identity.actor.*", "identity.scopes",
    "identity.roles", "identity.groups", "identity.tenant", "identity.claims.*", "identity.method", "identity.confirmation",
    "time.unix",
    "http.method", "http.path", "http.host", "http.headers.*", "http.source.*",
];

/// Whether the contract has something at, above or below this path.
pub(super) fn has(path: &[String]) -> bool {
    INPUT.iter().any(|known| {
        let mut known = known.split('.');
        path.iter().all(|part| match known.next() {
            Some("*") => {
                known = "*".split('.');
                true
            }
            Some(name) => name == part,
            None => false,
        })
    })
}
