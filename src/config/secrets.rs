//! Secrets, which stand in variables: a configuration names them and never holds
//! them, for anybody may read it in a ConfigMap or in Envoy's dump.

use serde::Deserialize;
use serde_json::Value;

use super::{Findings, Surroundings, value};
use crate::secret::Secret;

/// Where a secret is: a variable that Envoy hands to the module.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Value")]
pub(super) struct SecretConfig {
    env: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct Named {
    env: String,
}

impl TryFrom<Value> for SecretConfig {
    type Error = String;

    /// What is wrong is said without what was found: it may be the secret.
    fn try_from(config: Value) -> Result<Self, String> {
        const EXPECTED: &str = "expected `{env: NAME}`, the name of a variable of A-Z a-z 0-9 _ that holds the secret";
        let named = match config {
            Value::Object(members) if members.get("env").is_none_or(Value::is_string) => {
                value::read(Value::Object(members), "").map_err(|finding| finding.problem)
            }
            _ => Err(EXPECTED.to_owned()),
        };
        let Named { env } = named?;
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        match !env.is_empty() && env.bytes().all(is_name) {
            true => Ok(Self { env }),
            false => Err(EXPECTED.to_owned()),
        }
    }
}

/// The old one and the new one.
const MOST_KEYS: usize = 2;

impl Findings {
    /// The text of a variable that must be there; nothing is ever said of the text. A line
    /// end behind it, which files have, is not part of it.
    pub(super) fn secret(
        &mut self,
        path: &str,
        config: &SecretConfig,
        surroundings: &Surroundings<'_>,
    ) -> Option<String> {
        let text = (surroundings.environment)(&config.env);
        let text = text.map(|text| text.trim_end_matches(['\r', '\n']).to_owned()).filter(|text| !text.is_empty());
        if text.is_none() {
            let problem = format!(
                "expected the variable `{}`, found none; name it in `vm_config.environment_variables.host_env_keys`, and set it for Envoy",
                config.env
            );
            self.add(format!("{path}.env"), problem);
        }
        text
    }

    /// The secrets that sessions are bound with, the newest first; without any, one
    /// that this proxy made.
    pub(super) fn session_secrets(
        &mut self,
        configs: Option<&[SecretConfig]>,
        surroundings: &Surroundings<'_>,
    ) -> Vec<Secret> {
        let Some(configs) = configs else {
            return vec![Secret::new(&surroundings.proxy_key)];
        };
        if !(1..=MOST_KEYS).contains(&configs.len()) {
            let problem = "expected one key, or the new one and then the old one, or no `session_keys` for a key that \
                           each proxy makes for itself";
            self.add("session_keys", format!("{problem}; found {}", configs.len()));
        }
        let mut secrets: Vec<Secret> = Vec::new();
        for (index, config) in configs.iter().enumerate() {
            let path = format!("session_keys[{index}]");
            let Some(text) = self.secret(&path, config, surroundings) else { continue };
            match Secret::read(&text) {
                Ok(secret) if secrets.iter().any(|known| known.is(&secret)) => {
                    let problem = format!("expected another key, found the same in the variable `{}`", config.env);
                    self.add(format!("{path}.env"), problem);
                }
                Ok(secret) => secrets.push(secret),
                Err(problem) => self.add(format!("{path}.env"), format!("in the variable `{}`: {problem}", config.env)),
            }
        }
        secrets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_end_behind_a_secret_is_no_part_of_it() {
        let variable = |name: &str| match name {
            "UNIX" => Some("a secret\n".to_owned()),
            "DOS" => Some("a secret\r\n".to_owned()),
            "NOTHING" => Some("\n".to_owned()),
            _ => None,
        };
        let surroundings = Surroundings { environment: &variable, ..Surroundings::offline() };
        let mut findings = Findings(Vec::new());
        let mut read = |env: &str| findings.secret("path", &SecretConfig { env: env.into() }, &surroundings);
        assert_eq!(read("UNIX").as_deref(), Some("a secret"));
        assert_eq!(read("DOS").as_deref(), Some("a secret"));
        assert_eq!((read("NOTHING"), read("ABSENT")), (None, None));
        assert_eq!(findings.0.len(), 2);
    }
}
