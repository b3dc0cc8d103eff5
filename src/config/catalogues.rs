//! What was approved of a server, as `mcp-gate pin` writes it down.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::digest::digest;
use super::{Findings, magic};
use crate::catalogue::{Catalogue, Pin};
use crate::mcp::Listed;

/// The pins of one resource.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct CatalogueConfig {
    tools: Option<BTreeMap<String, ToolConfig>>,
    prompts: Option<BTreeMap<String, PinConfig>>,
    resources: Option<BTreeMap<String, PinConfig>>,
    templates: Option<BTreeMap<String, PinConfig>>,
    #[serde(default)]
    changed: ChangedConfig,
    #[serde(default)]
    unpinned: UnpinnedConfig,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct ToolConfig {
    sha256: String,
    #[serde(default)]
    annotations: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct PinConfig {
    sha256: String,
}

/// What becomes of an entry that is not what it was.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ChangedConfig {
    #[default]
    Hide,
    Refuse,
}

/// What becomes of what was never pinned, of a kind of which something was.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum UnpinnedConfig {
    Allow,
    #[default]
    Deny,
}

impl Findings {
    pub(super) fn catalogue(&mut self, path: &str, config: CatalogueConfig) -> Catalogue {
        let path = format!("{path}.catalogue");
        let CatalogueConfig { tools, prompts, resources, templates, changed, unpinned } = config;
        let mut catalogue = Catalogue {
            pins: BTreeMap::new(),
            refuses_changes: changed == ChangedConfig::Refuse,
            denies_unpinned: unpinned == UnpinnedConfig::Deny,
        };
        if let Some(tools) = tools {
            let pins = tools.into_iter().map(|(name, ToolConfig { sha256, annotations })| {
                let path = format!("{path}.tools.{name}");
                let sha256 = self.sha256(&path, &sha256);
                let annotations = Value::Object(annotations);
                let magic = magic(&annotations, &format!("{path}.annotations"));
                if let Some(path) = &magic {
                    self.add(path, "expected no `$serde_json::private::`; the engine gives it a meaning of its own");
                }
                // The engine would fail on it.
                let annotations = if magic.is_some() { None } else { Some(annotations.into()) };
                (name, Pin { sha256, annotations })
            });
            catalogue.pins.insert(Listed::Tool, pins.collect());
        }
        let others = [
            ("prompts", Listed::Prompt, prompts),
            ("resources", Listed::Resource, resources),
            ("templates", Listed::Template, templates),
        ];
        for (field, listed, pins) in others {
            let Some(pins) = pins else { continue };
            let pins = pins.into_iter().map(|(name, PinConfig { sha256 })| {
                let sha256 = self.sha256(&format!("{path}.{field}.{name}"), &sha256);
                (name, Pin { sha256, annotations: None })
            });
            catalogue.pins.insert(listed, pins.collect());
        }
        if catalogue.pins.is_empty() {
            self.add(path, "expected at least one of tools, prompts, resources, templates; found none");
        }
        catalogue
    }

    fn sha256(&mut self, path: &str, text: &str) -> [u8; 32] {
        digest(text).unwrap_or_else(|found| {
            let expected = "expected a SHA-256 in 64 hexadecimal digits, as `mcp-gate pin` prints it";
            self.add(format!("{path}.sha256"), format!("{expected}; found {found}"));
            Default::default()
        })
    }
}
