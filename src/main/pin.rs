//! `mcp-gate pin`: what a server lists, as a catalogue for the configuration.

use std::io::Read as _;

use mcp_gate::config::Finding;
use mcp_gate::listing::{self, Found};
use mcp_gate::mcp::Listed;
use serde_json::Value;

use crate::{server, yaml};

/// The catalogue of what a server lists, or of what stands in a file of its answers.
pub(crate) fn pin(source: &str, resource: Option<&str>, headers: &[String]) -> Result<String, Vec<Finding>> {
    let problem = |path: &str, problem: String| vec![Finding { path: path.into(), problem }];
    let is_server = source.starts_with("http://") || source.starts_with("https://");
    if !is_server && !headers.is_empty() {
        return Err(problem("--header", "expected it with the URL of a server, found a file of answers".into()));
    }
    let text = match source {
        _ if is_server => server::lists(source, headers).map_err(|found| problem("server", found))?,
        "-" => {
            let mut text = Vec::new();
            let read = std::io::stdin().read_to_end(&mut text);
            read.map(|_| text).map_err(|error| problem("file", format!("expected a readable file: {error}")))?
        }
        file => std::fs::read(file).map_err(|error| problem("file", format!("expected a readable file: {error}")))?,
    };
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
