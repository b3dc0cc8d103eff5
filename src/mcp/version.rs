//! Which version of the protocol a message speaks.

use super::{META_VERSION, Object};
use crate::denial::Denial;
use crate::http::Head;
use crate::json::Json;

/// Which shape of the protocol a message has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// Before 2026-07-28.
    Legacy,
    /// 2026-07-28 and later.
    Modern,
}

impl Era {
    /// Its name in `input.mcp.era`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Modern => "modern",
        }
    }
}

/// A version of the protocol that the gate speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// Its date, as it stands in messages.
    pub name: &'static str,
    /// The shape of its messages.
    pub era: Era,
}

/// The versions that the gate speaks, the newest first.
pub const VERSIONS: [Version; 4] = [
    Version { name: "2026-07-28", era: Era::Modern },
    Version { name: "2025-11-25", era: Era::Legacy },
    Version { name: "2025-06-18", era: Era::Legacy },
    ASSUMED,
];

/// What a legacy message without a version header is taken for (2025-06-18, Streamable HTTP).
const ASSUMED: Version = Version { name: "2025-03-26", era: Era::Legacy };

/// The versions that a resource speaks: all from the newest down to one.
#[derive(Debug, Clone, Copy)]
pub struct Versions(&'static [Version]);

impl Default for Versions {
    fn default() -> Self {
        Self(&VERSIONS)
    }
}

impl Versions {
    /// All down to this one, if the gate speaks it.
    pub fn down_to(name: &str) -> Option<Self> {
        let last = VERSIONS.iter().position(|version| version.name == name)?;
        VERSIONS.get(..=last).map(Self)
    }

    /// Is it the name of a version without sessions?
    pub fn is_modern(name: &str) -> bool {
        VERSIONS.iter().any(|version| version.era == Era::Modern && version.name == name)
    }

    /// The version of this name, if the resource speaks it.
    fn named(self, name: &[u8]) -> Result<Version, Denial> {
        let version = self.0.iter().find(|version| version.name.as_bytes() == name);
        version.copied().ok_or_else(|| Denial::VersionUnsupported {
            requested: String::from_utf8_lossy(name).chars().take(32).collect(),
            supported: self.0.iter().map(|version| version.name).collect(),
        })
    }

    /// The version that the header states, if it is there.
    pub(super) fn stated(self, head: &Head) -> Result<Option<Version>, Denial> {
        let header = head.get("mcp-protocol-version");
        let header = header.map_err(|_| Denial::HeaderMismatch("MCP-Protocol-Version: expected one header"))?;
        header.map(|name| self.named(name)).transpose()
    }

    /// The version of a message that states none.
    pub(super) fn assumed(self) -> Result<Version, Denial> {
        self.named(ASSUMED.name.as_bytes())
    }

    /// Header and body must agree on the era.
    pub(super) fn agreed(self, stated: Option<Version>, params: &Object<'_>, method: &str) -> Result<Version, Denial> {
        let meta = match params.get("_meta") {
            None => None,
            Some(Json::Object(meta)) => meta.get(META_VERSION),
            Some(_) => return Err(Denial::ParamsInvalid("`params._meta`: expected an object")),
        };
        match (stated, meta) {
            (Some(version @ Version { era: Era::Modern, .. }), Some(meta)) if meta.as_str() == Some(version.name) => {
                Ok(version)
            }
            (Some(version @ Version { era: Era::Modern, .. }), None) if method.starts_with("notifications/") => {
                Ok(version)
            }
            (Some(Version { era: Era::Modern, .. }), None) => {
                Err(Denial::ParamsInvalid("`params._meta`: expected `io.modelcontextprotocol/protocolVersion`"))
            }
            (_, Some(_)) => Err(Denial::HeaderMismatch("MCP-Protocol-Version: expected the version in `params._meta`")),
            (Some(version), None) if method == "initialize" => self.asked(params).map(|_| version),
            (Some(version), None) => Ok(version),
            (None, None) if method == "initialize" => self.asked(params),
            (None, None) => self.assumed(),
        }
    }

    /// The version that `initialize` asks for; the header comes with the messages
    /// after it. A server may answer with a newer version than the gate knows or
    /// the client asks for, but not with one that the operator excluded.
    fn asked(self, params: &Object<'_>) -> Result<Version, Denial> {
        let asked = params.get("protocolVersion").and_then(Json::as_str).unwrap_or_default();
        let oldest = self.0.last().copied().unwrap_or(ASSUMED);
        match self.named(asked.as_bytes()) {
            Ok(version) if version.era == Era::Legacy => Ok(version),
            // Versions are dates: an older one is the smaller text.
            Err(denial) if oldest.era == Era::Modern || (oldest != ASSUMED && asked < oldest.name) => Err(denial),
            _ => Ok(oldest),
        }
    }
}
