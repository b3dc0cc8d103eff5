//! `mcp-gate key`: an API key, of which the configuration gets the digest alone.

use jwt_simple::reexports::rand;
use mcp_gate::token::api_key;
use serde_json::Value;

/// A key of 256 bits by chance, which is kept nowhere, in YAML: one document for its
/// holder, and one for the configuration.
pub(crate) fn key(name: &str, subject: Option<&str>) -> String {
    let secret: [u8; 32] = rand::random();
    let digits = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let key = format!("{}{}", api_key::PREFIX, digits(&secret));
    let digest = digits(&api_key::digest(&key));
    // JSON is YAML, and quotes whatever needs quotes.
    let subject = Value::from(subject.unwrap_or(name));
    let name = Value::from(name);
    format!(
        r#"# For its holder alone; it is shown only now.
authorization: "Bearer {key}"
---
# For the configuration, where the digest is no secret. Add these to the lists that are there:
api_keys:
- name: {name}
  subject: {subject}
  digests: ["{digest}"] # two, while a key is replaced
  # scopes: [mcp:read]
  # roles: [analyst]
  # groups: [staff]
  # tenant: acme
  # expires: "2027-01-01T00:00:00Z"
resources:
- api_keys: [{name}] # of the resource that takes it"#
    )
}
