//! `mcp-gate pin`: what a server lists, as a catalogue for the configuration.

use std::io::Read as _;

use mcp_gate::config::Finding;
use mcp_gate::listing::{self, Found};
use mcp_gate::mcp::Listed;
use serde_json::Value;

use crate::yaml;

/// The catalogue of what stands in a file of answers.
pub(crate) fn pin(file: &str, resource: Option<&str>) -> Result<String, Vec<Finding>> {
    let problem = |path: &str, problem: String| vec![Finding { path: path.into(), problem }];
    let mut text = Vec::new();
    let read = match file {
        "-" => std::io::stdin().read_to_end(&mut text).map(drop),
        file => std::fs::read(file).map(|found| text = found),
    };
    read.map_err(|error| problem("file", format!("expected a readable file: {error}")))?;
    let mut catalogue = serde_json::Map::new();
    for (listed, entries) in listing::gather(&text).map_err(|found| problem("answers", found))? {
        let pin = |(name, Found { sha256, annotations }): (String, Found)| {
            let mut pin = serde_json::json!({"sha256": sha256});
            if let (Some(pin), Some(annotations)) = (pin.as_object_mut(), annotations) {
                pin.insert("annotations".into(), annotations);
            }
            (name, pin)
        };
        let field = if listed == Listed::Template { "templates" } else { listed.member() };
        catalogue.insert(field.into(), Value::Object(entries.into_iter().map(pin).collect()));
    }
    let mut found = serde_json::json!({"catalogue": catalogue});
    if let (Some(found), Some(url)) = (found.as_object_mut(), resource) {
        found.insert("url".into(), url.into());
    }
    Ok(yaml::write(&serde_json::json!({"resources": [found]})).trim_end().to_owned())
}
