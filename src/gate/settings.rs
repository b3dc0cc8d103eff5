//! What an operator settles for all requests.

/// How a request is held until it is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// Head and body; the host must allow it (`allow_on_headers_stop_iteration`).
    Head,
    /// The body alone; Envoy's buffer filter behind the gate holds the head.
    Body,
}

/// What becomes of a request to no protected resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Elsewhere {
    /// 404.
    Refuse,
    /// Forwarded, without identity.
    Pass,
}
