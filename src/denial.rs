//! Every way to say no.
//!
//! One enum, and one exhaustive match for each thing that a denial needs: a
//! stable code, an HTTP status, a JSON-RPC code. A new way to say no does not
//! compile until it has all of them. Codes are promises to users: metrics,
//! records, clients and documents name them, and none is ever reused with
//! another meaning.

use crate::http::MOST_HEADERS;
use crate::session::LONGEST_UNSEALED;

/// Why a request is not forwarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial {
    // The request as HTTP.
    /// No protected resource has this path.
    ResourceUnknown,
    /// The authority is none under which the resource is known.
    HostRefused,
    /// The origin is not one that the operator listed.
    OriginRefused,
    /// The resource does not take this HTTP method.
    MethodRefused {
        /// The value of `Allow`.
        allow: &'static str,
    },
    /// The body is not `application/json`, or it is encoded.
    MediaTypeRefused,
    /// A header that must not be there, or not more than once, or held what it must not.
    HeaderRefused {
        /// `no`, or `one well-formed`.
        expected: &'static str,
        /// Its name, cut to a length.
        name: String,
    },
    /// The body is larger than the operator allows.
    BodyTooLarge {
        /// The largest, in bytes.
        limit: usize,
    },
    /// The headers are larger, or more, than the operator allows.
    HeadersTooLarge {
        /// The largest size of all names and values, in bytes.
        limit: usize,
    },
    /// The credential is larger than any real one.
    CredentialTooLarge,

    // The credential.
    /// A token came in the query, where it is logged and cached.
    CredentialInQuery {
        /// Is it the only one? Then it is a bad credential like any other; else
        /// the request has two (RFC 6750 §3.1).
        alone: bool,
    },
    /// A token, and an API key as well.
    CredentialTwice,
    /// A credential of a kind that the resource does not take.
    CredentialKind(&'static str),
    /// None, or not one that the gate can read.
    CredentialMissing,
    /// Not a well-formed `Bearer` token.
    CredentialMalformed,
    /// `alg` is not one that the issuer uses.
    TokenAlgorithm(&'static str),
    /// `aud` does not name the resource.
    TokenAudience(String),
    /// A claim is missing or of the wrong type.
    TokenClaim(&'static str),
    /// The token binds itself to a key whose possession was not proven.
    TokenConfirmation(&'static str),
    /// Its issuer does not say that it is active (RFC 7662).
    TokenInactive,
    /// The operator revoked it.
    TokenRevoked,
    /// `exp` has passed.
    TokenExpired,
    /// The header asks for what is not supported.
    TokenHeader(&'static str),
    /// `iss` is not an issuer that the resource accepts.
    TokenIssuer(String),
    /// The issuer has no such key.
    TokenKeyUnknown(&'static str),
    /// `nbf` or `iat` lies ahead.
    TokenNotYetValid,
    /// The signature does not match.
    TokenSignature,
    /// `typ` is not that of an access token.
    TokenType(&'static str),
    /// The issuer's keys are not there (yet).
    KeysUnavailable,
    /// The issuer did not say whether the token is active.
    IntrospectionFailed(String),
    /// The metadata of the authorization server is not there (yet).
    MetadataUnavailable,
    /// A token that is bound to a key came without a proof of it, or the resource
    /// takes no other.
    ProofMissing,
    /// The proof is not one of this token and this request.
    ProofInvalid(&'static str),
    /// The proof was used before.
    ProofReplayed,
    /// The proof holds no nonce that the gate gave lately.
    NonceRequired,
    /// There is no place left to remember that a proof was used.
    ReplayStoreFull,

    // The message.
    /// Not strict JSON.
    JsonInvalid(String),
    /// JSON that readers are known to read differently.
    JsonAmbiguous(String),
    /// More values, or longer ones, than the operator allows.
    JsonTooLarge(String),
    /// The same member twice in one object.
    MemberDuplicate(String),
    /// A member that some decoder takes for another.
    MemberLookalike(String),
    /// A batch, which no version of the protocol may be made to judge.
    BatchRefused,
    /// JSON, but not one JSON-RPC message.
    MessageInvalid(&'static str),
    /// The params are not what the method takes.
    ParamsInvalid(&'static str),
    /// A header says something else than the body.
    HeaderMismatch(&'static str),
    /// A protocol version that the gate does not know.
    VersionUnsupported {
        /// What the header said, cut to a length.
        requested: String,
        /// Those that the resource speaks, the newest first.
        supported: Vec<&'static str>,
    },
    /// A method that MCP does not have.
    MethodUnknown {
        /// A modern client takes 404 for this; a legacy one for a lost session.
        modern: bool,
    },

    // The session.
    /// No session of the caller's: unknown, over, forged or of another owner. Why is
    /// for the record.
    SessionUnknown(&'static str),
    /// The server's session id has no room for what would bind it to its owner.
    SessionUnbound,

    // The policy.
    /// What is called was never pinned, and has to be.
    ToolUnpinned,
    /// Policy says no.
    PolicyDenied {
        /// What `deny` held; empty where `allow` was false.
        reasons: Vec<String>,
    },
    /// `allow` has no value.
    PolicyUndefined,
    /// A rule has a value of the wrong type.
    PolicyType(&'static str),
    /// The evaluation failed.
    PolicyError(String),
    /// The evaluation took too long.
    PolicyTimeout,
    /// The identity lacks scopes that this message needs.
    ScopeMissing {
        /// All that the message needs.
        needed: Vec<String>,
        /// All that the identity has.
        granted: Vec<String>,
    },
    /// The login is not strong or not fresh enough (RFC 9470).
    StepUpRequired {
        /// Acceptable `acr` values, the preferred first.
        acr_values: Vec<String>,
        /// Seconds since the login.
        max_age: Option<u64>,
    },

    // What a server answers.
    /// A list that cannot be read, so that nobody could say what is in it.
    ListUnreadable(&'static str),
    /// A list that is larger than what is kept of an answer.
    ListTooLarge {
        /// The most bytes that are kept.
        limit: usize,
    },
    /// A list with an entry that is not what it was when it was pinned.
    ListChanged,

    // The gate itself.
    /// The host did not do what it was asked to.
    HostFailed,
    /// No configuration was ever accepted.
    NotConfigured,
    /// The request ended before it was complete.
    Incomplete,
}

impl Denial {
    /// The stable name of this denial, in records, metrics and answers.
    pub fn code(&self) -> &'static str {
        match self {
            Self::ResourceUnknown => "resource_unknown",
            Self::HostRefused => "host_refused",
            Self::OriginRefused => "origin_refused",
            Self::MethodRefused { .. } => "method_refused",
            Self::MediaTypeRefused => "media_type_refused",
            Self::HeaderRefused { .. } => "header_refused",
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::HeadersTooLarge { .. } => "headers_too_large",
            Self::CredentialTooLarge => "credential_too_large",
            Self::CredentialInQuery { .. } => "credential_in_query",
            Self::CredentialTwice => "credential_twice",
            Self::CredentialKind(_) => "credential_kind",
            Self::CredentialMissing => "credential_missing",
            Self::CredentialMalformed => "credential_malformed",
            Self::TokenAlgorithm(_) => "token_algorithm",
            Self::TokenAudience(_) => "token_audience",
            Self::TokenClaim(_) => "token_claim",
            Self::TokenConfirmation(_) => "token_confirmation",
            Self::TokenInactive => "token_inactive",
            Self::TokenRevoked => "token_revoked",
            Self::TokenExpired => "token_expired",
            Self::TokenHeader(_) => "token_header",
            Self::TokenIssuer(_) => "token_issuer",
            Self::TokenKeyUnknown(_) => "token_key_unknown",
            Self::TokenNotYetValid => "token_not_yet_valid",
            Self::TokenSignature => "token_signature",
            Self::TokenType(_) => "token_type",
            Self::KeysUnavailable => "keys_unavailable",
            Self::IntrospectionFailed(_) => "introspection_failed",
            Self::MetadataUnavailable => "metadata_unavailable",
            Self::ProofMissing => "proof_missing",
            Self::ProofInvalid(_) => "proof_invalid",
            Self::ProofReplayed => "proof_replayed",
            Self::NonceRequired => "nonce_required",
            Self::ReplayStoreFull => "replay_store_full",
            Self::JsonInvalid(_) => "json_invalid",
            Self::JsonAmbiguous(_) => "json_ambiguous",
            Self::JsonTooLarge(_) => "json_too_large",
            Self::MemberDuplicate(_) => "member_duplicate",
            Self::MemberLookalike(_) => "member_lookalike",
            Self::BatchRefused => "batch_refused",
            Self::MessageInvalid(_) => "message_invalid",
            Self::ParamsInvalid(_) => "params_invalid",
            Self::HeaderMismatch(_) => "header_mismatch",
            Self::VersionUnsupported { .. } => "version_unsupported",
            Self::MethodUnknown { .. } => "method_unknown",
            Self::SessionUnknown(_) => "session_unknown",
            Self::SessionUnbound => "session_unbound",
            Self::ToolUnpinned => "tool_unpinned",
            Self::PolicyDenied { .. } => "policy_denied",
            Self::PolicyUndefined => "policy_undefined",
            Self::PolicyType(_) => "policy_type",
            Self::PolicyError(_) => "policy_error",
            Self::PolicyTimeout => "policy_timeout",
            Self::ScopeMissing { .. } => "scope_missing",
            Self::StepUpRequired { .. } => "step_up_required",
            Self::ListUnreadable(_) => "list_unreadable",
            Self::ListTooLarge { .. } => "list_too_large",
            Self::ListChanged => "list_changed",
            Self::HostFailed => "host_failed",
            Self::NotConfigured => "not_configured",
            Self::Incomplete => "incomplete",
        }
    }

    /// The HTTP status of the answer.
    pub fn status(&self) -> u16 {
        match self {
            Self::CredentialInQuery { alone: false }
            | Self::CredentialTwice
            | Self::HeaderRefused { .. }
            | Self::JsonInvalid(_)
            | Self::JsonAmbiguous(_)
            | Self::JsonTooLarge(_)
            | Self::MemberDuplicate(_)
            | Self::MemberLookalike(_)
            | Self::BatchRefused
            | Self::MessageInvalid(_)
            | Self::ParamsInvalid(_)
            | Self::HeaderMismatch(_)
            | Self::VersionUnsupported { .. }
            | Self::MethodUnknown { modern: false }
            // Nobody is there to read it.
            | Self::Incomplete => 400,
            Self::CredentialMissing
            | Self::CredentialMalformed
            | Self::CredentialInQuery { alone: true }
            | Self::CredentialKind(_)
            | Self::TokenAlgorithm(_)
            | Self::TokenAudience(_)
            | Self::TokenClaim(_)
            | Self::TokenConfirmation(_)
            | Self::TokenInactive
            | Self::TokenRevoked
            | Self::TokenExpired
            | Self::TokenHeader(_)
            | Self::TokenIssuer(_)
            | Self::TokenKeyUnknown(_)
            | Self::TokenNotYetValid
            | Self::TokenSignature
            | Self::TokenType(_)
            | Self::ProofMissing
            | Self::ProofInvalid(_)
            | Self::ProofReplayed
            | Self::NonceRequired
            | Self::StepUpRequired { .. } => 401,
            Self::HostRefused
            | Self::OriginRefused
            | Self::ToolUnpinned
            | Self::PolicyDenied { .. }
            | Self::PolicyUndefined
            | Self::PolicyType(_)
            | Self::PolicyError(_)
            | Self::PolicyTimeout
            | Self::ScopeMissing { .. } => 403,
            Self::ResourceUnknown | Self::MethodUnknown { modern: true } | Self::SessionUnknown(_) => 404,
            Self::MethodRefused { .. } => 405,
            Self::BodyTooLarge { .. } => 413,
            Self::MediaTypeRefused => 415,
            Self::HeadersTooLarge { .. } | Self::CredentialTooLarge => 431,
            Self::SessionUnbound | Self::ListUnreadable(_) | Self::ListTooLarge { .. } | Self::ListChanged => 502,
            Self::KeysUnavailable
            | Self::IntrospectionFailed(_)
            | Self::MetadataUnavailable
            | Self::ReplayStoreFull
            | Self::HostFailed
            | Self::NotConfigured => 503,
        }
    }

    /// The JSON-RPC error code; none where the answer is about HTTP alone.
    /// −32020 and −32022 are MCP's own (2026-07-28, error codes), −32001 is what
    /// servers of the official SDK say of a session; 403 is an application's, outside
    /// the range that JSON-RPC reserves.
    pub fn rpc_code(&self) -> Option<i32> {
        match self {
            Self::JsonInvalid(_) => Some(-32700),
            Self::JsonAmbiguous(_)
            | Self::JsonTooLarge(_)
            | Self::MemberDuplicate(_)
            | Self::MemberLookalike(_)
            | Self::BatchRefused
            | Self::MessageInvalid(_) => Some(-32600),
            Self::MethodUnknown { .. } => Some(-32601),
            Self::ParamsInvalid(_) => Some(-32602),
            Self::HeaderMismatch(_) => Some(-32020),
            Self::VersionUnsupported { .. } => Some(-32022),
            Self::SessionUnknown(_) => Some(-32001),
            Self::ListUnreadable(_) | Self::ListTooLarge { .. } | Self::ListChanged => Some(-32603),
            Self::ToolUnpinned
            | Self::PolicyDenied { .. }
            | Self::PolicyUndefined
            | Self::PolicyType(_)
            | Self::PolicyError(_)
            | Self::PolicyTimeout
            | Self::ScopeMissing { .. } => Some(403),
            _ => None,
        }
    }

    /// Does the caller lack a credential that this would be answered otherwise with?
    /// All of these get the same answer, whatever the cause, so that nobody
    /// learns from it what was wrong with a token.
    pub fn is_credential(&self) -> bool {
        self.status() == 401 && !matches!(self, Self::StepUpRequired { .. })
    }

    /// The `error` of a challenge: none where there was no credential (RFC 6750 §3.1,
    /// RFC 9449 §7.1 and §9).
    pub fn challenge_error(&self) -> Option<&'static str> {
        match self {
            Self::CredentialMissing => None,
            Self::CredentialInQuery { alone: false } | Self::CredentialTwice => Some("invalid_request"),
            Self::ProofMissing | Self::ProofInvalid(_) | Self::ProofReplayed => Some("invalid_dpop_proof"),
            Self::NonceRequired => Some("use_dpop_nonce"),
            Self::CredentialMalformed
            | Self::CredentialInQuery { alone: true }
            | Self::CredentialKind(_)
            | Self::TokenAlgorithm(_)
            | Self::TokenAudience(_)
            | Self::TokenClaim(_)
            | Self::TokenConfirmation(_)
            | Self::TokenInactive
            | Self::TokenRevoked
            | Self::TokenExpired
            | Self::TokenHeader(_)
            | Self::TokenIssuer(_)
            | Self::TokenKeyUnknown(_)
            | Self::TokenNotYetValid
            | Self::TokenSignature
            | Self::TokenType(_) => Some("invalid_token"),
            // No credential is at fault, or not this one: another answer, or another challenge.
            Self::ResourceUnknown
            | Self::HostRefused
            | Self::OriginRefused
            | Self::MethodRefused { .. }
            | Self::MediaTypeRefused
            | Self::HeaderRefused { .. }
            | Self::BodyTooLarge { .. }
            | Self::HeadersTooLarge { .. }
            | Self::CredentialTooLarge
            | Self::KeysUnavailable
            | Self::IntrospectionFailed(_)
            | Self::MetadataUnavailable
            | Self::ReplayStoreFull
            | Self::JsonInvalid(_)
            | Self::JsonAmbiguous(_)
            | Self::JsonTooLarge(_)
            | Self::MemberDuplicate(_)
            | Self::MemberLookalike(_)
            | Self::BatchRefused
            | Self::MessageInvalid(_)
            | Self::ParamsInvalid(_)
            | Self::HeaderMismatch(_)
            | Self::VersionUnsupported { .. }
            | Self::MethodUnknown { .. }
            | Self::SessionUnknown(_)
            | Self::SessionUnbound
            | Self::ToolUnpinned
            | Self::PolicyDenied { .. }
            | Self::PolicyUndefined
            | Self::PolicyType(_)
            | Self::PolicyError(_)
            | Self::PolicyTimeout
            | Self::ScopeMissing { .. }
            | Self::StepUpRequired { .. }
            | Self::ListUnreadable(_)
            | Self::ListTooLarge { .. }
            | Self::ListChanged
            | Self::HostFailed
            | Self::NotConfigured
            | Self::Incomplete => None,
        }
    }

    /// Is it about the proof that comes with a token (RFC 9449)?
    pub fn is_proof(&self) -> bool {
        matches!(self, Self::ProofMissing | Self::ProofInvalid(_) | Self::ProofReplayed | Self::NonceRequired)
    }

    /// Is it a plain no of policy's? Its shape is the operator's choice: a client that
    /// is asked for a scope or a login acts on that answer, and knows no other.
    pub fn is_plain(&self) -> bool {
        matches!(
            self,
            Self::ToolUnpinned
                | Self::PolicyDenied { .. }
                | Self::PolicyUndefined
                | Self::PolicyType(_)
                | Self::PolicyError(_)
                | Self::PolicyTimeout
        )
    }

    /// Can policy's shadow mode turn it into a permit?
    pub fn is_policy(&self) -> bool {
        self.is_plain() || matches!(self, Self::ScopeMissing { .. } | Self::StepUpRequired { .. })
    }

    /// One sentence for the caller: what was expected and what to do. It holds
    /// nothing of the policy and nothing of the credential.
    pub fn message(&self) -> String {
        match self {
            Self::ResourceUnknown => "no MCP endpoint is served at this path".into(),
            Self::HostRefused => "this endpoint is not served under this host name".into(),
            Self::OriginRefused => "requests from this origin are not allowed".into(),
            Self::MethodRefused { allow } => format!("this endpoint takes {allow} only"),
            Self::MediaTypeRefused => {
                "expected `Content-Type: application/json` in UTF-8, and no Content-Encoding".into()
            }
            Self::HeaderRefused { expected, name } => format!("expected {expected} `{name}` header"),
            Self::BodyTooLarge { limit } => format!("expected a body of at most {limit} bytes"),
            Self::HeadersTooLarge { limit } => {
                format!("expected at most {MOST_HEADERS} headers, and at most {limit} bytes of them")
            }
            Self::CredentialTooLarge => "the Authorization header is larger than this endpoint accepts".into(),
            Self::CredentialInQuery { alone: false } => {
                "a token must come in the Authorization header, never in the query".into()
            }
            Self::CredentialTwice => "expected one credential, found more".into(),
            Self::MetadataUnavailable => {
                "the metadata of the authorization server is not available; try again later".into()
            }
            Self::IntrospectionFailed(_) => "the issuer of the token did not answer; try again later".into(),
            Self::KeysUnavailable => "the keys that verify tokens are not available; try again later".into(),
            Self::ReplayStoreFull => "proofs of possession come faster than they expire; try again later".into(),
            Self::JsonInvalid(reason) => format!("expected strict JSON (RFC 8259, RFC 7493): {reason}"),
            Self::JsonAmbiguous(reason) => format!("expected JSON that all readers read alike (RFC 7493): {reason}"),
            Self::JsonTooLarge(reason) => format!("expected a smaller message: {reason}"),
            Self::MemberDuplicate(reason) | Self::MemberLookalike(reason) => {
                format!("expected members that cannot be taken for one another: {reason}")
            }
            Self::BatchRefused => "expected one JSON-RPC message, found a batch; send its messages one by one".into(),
            Self::MessageInvalid(reason) | Self::ParamsInvalid(reason) => (*reason).into(),
            Self::HeaderMismatch(reason) => (*reason).into(),
            Self::VersionUnsupported { .. } => "unsupported protocol version".into(),
            Self::MethodUnknown { .. } => "method not found".into(),
            // Word for word as those servers say it: some clients read it.
            Self::SessionUnknown(_) => "Session not found".into(),
            Self::SessionUnbound => format!(
                "expected a session id of 1 to {LONGEST_UNSEALED} bytes of visible ASCII without a comma from the server"
            ),
            Self::ListUnreadable(expected) => format!("the answer of the server cannot be shown: {expected}"),
            Self::ListTooLarge { limit } => {
                format!("the list of the server cannot be shown: expected at most {limit} bytes")
            }
            Self::ListChanged => {
                "the list of the server cannot be shown: an entry is not what it was when it was approved".into()
            }
            Self::ToolUnpinned => "expected a tool, prompt or resource that was approved for this endpoint".into(),
            Self::PolicyDenied { .. }
            | Self::PolicyUndefined
            | Self::PolicyType(_)
            | Self::PolicyError(_)
            | Self::PolicyTimeout => "denied by policy".into(),
            Self::ScopeMissing { needed, .. } => format!("this call needs the scopes: {}", needed.join(" ")),
            Self::StepUpRequired { .. } => "this call needs a stronger or fresher login".into(),
            Self::HostFailed => "the proxy could not pass the request on safely; try again".into(),
            Self::NotConfigured => "the gate has no configuration yet".into(),
            Self::Incomplete => "the request ended before it was complete".into(),
            Self::CredentialMissing
            | Self::CredentialMalformed
            | Self::CredentialInQuery { alone: true }
            | Self::CredentialKind(_)
            | Self::TokenAlgorithm(_)
            | Self::TokenAudience(_)
            | Self::TokenClaim(_)
            | Self::TokenConfirmation(_)
            | Self::TokenInactive
            | Self::TokenRevoked
            | Self::TokenExpired
            | Self::TokenHeader(_)
            | Self::TokenIssuer(_)
            | Self::TokenKeyUnknown(_)
            | Self::TokenNotYetValid
            | Self::TokenSignature
            | Self::TokenType(_)
            | Self::ProofMissing
            | Self::ProofInvalid(_)
            | Self::ProofReplayed
            | Self::NonceRequired => "a valid access token is required".into(),
        }
    }

    /// What the record says beyond the code, for the operator alone; no secret,
    /// no argument of the call.
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::TokenClaim(claim) => Some(format!("claim `{claim}`")),
            Self::CredentialKind(reason)
            | Self::ProofInvalid(reason)
            | Self::TokenAlgorithm(reason)
            | Self::TokenConfirmation(reason)
            | Self::TokenKeyUnknown(reason)
            | Self::TokenType(reason) => Some((*reason).into()),
            Self::TokenHeader(name) => Some(format!("header parameter `{name}`")),
            Self::TokenAudience(reason) | Self::TokenIssuer(reason) | Self::IntrospectionFailed(reason) => {
                Some(reason.clone())
            }
            Self::HeaderRefused { name, .. } => Some(format!("header `{name}`")),
            Self::JsonInvalid(reason)
            | Self::JsonAmbiguous(reason)
            | Self::JsonTooLarge(reason)
            | Self::MemberDuplicate(reason)
            | Self::MemberLookalike(reason) => Some(reason.clone()),
            Self::PolicyType(rule) => Some(format!("rule `{rule}`")),
            Self::PolicyError(reason) => Some(reason.clone()),
            Self::HeaderMismatch(reason) | Self::MessageInvalid(reason) | Self::ParamsInvalid(reason) => {
                Some((*reason).into())
            }
            Self::ScopeMissing { needed, .. } => Some(needed.join(" ")),
            Self::SessionUnknown(why) => Some((*why).into()),
            _ => None,
        }
    }
}
