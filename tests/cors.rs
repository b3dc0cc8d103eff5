//! What a page may read of a server's answer: the gate says it, not the server.

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::case::{FRAMINGS, Session};
use crate::client;
use crate::keys::Keys;
use crate::process::{Envoy, Setting, free_port};
use crate::upstream::Upstream;

pub(crate) fn trials() -> Vec<Trial> {
    vec![Trial::test("streams/HTTP-53 an answer is shared with the listed origin that asked, and no other", || {
        shared().map_err(Into::into)
    })]
}

fn shared() -> Result<(), String> {
    // It would share everything with everybody.
    let upstream = Upstream::start_open();
    let port = free_port();
    let authority = format!("127.0.0.1:{port}");
    let url = format!("http://{authority}/mcp");
    let given = json!({"resources": [
        {"url": url, "issuers": ["demo"], "scopes": ["mcp:read"], "origins": ["https://app.example"]},
    ]});
    let configuration = Keys::shared().configuration(&given, &authority);
    let setting = Setting { port, upstream: upstream.port(), configuration: &configuration, workers: 1, clusters: &[] };
    let envoy = Envoy::start(&setting)?;
    for framing in FRAMINGS {
        for origin in [Some("https://app.example"), None] {
            let step = json!({
                "token": {"exp": 2_000_000_000_u64, "iat": 1_700_000_000},
                "request": {"headers": [["origin", origin]]},
                "expect": {"unanswered": {}},
            });
            let request =
                Session::default().request(&serde_json::from_value(step).unwrap(), Keys::shared(), &authority, 0);
            let answer = client::send(envoy.port, framing, &request)?.ok_or("no answer")?;
            let all = |name: &str| -> Vec<String> {
                let values = answer.headers.iter().filter(|(header, _)| header.eq_ignore_ascii_case(name));
                values.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect()
            };
            let expected: &[(&str, Value)] = match origin {
                Some(origin) => &[
                    ("access-control-allow-origin", json!([origin])),
                    ("access-control-allow-credentials", json!([])),
                    ("access-control-allow-methods", json!([])),
                    // As one, which Envoy makes of two.
                    ("vary", json!(["accept,origin"])),
                ],
                None => &[("vary", json!(["accept"]))],
            };
            for (name, expected) in expected {
                if json!(all(name)) != *expected {
                    return Err(format!(
                        "{framing:?}, {origin:?}: `{name}`: expected {expected}, found {:?}",
                        all(name)
                    ));
                }
            }
            if answer.status != 200 {
                return Err(format!("{framing:?}, {origin:?}: expected 200, found {}", answer.status));
            }
        }
    }
    Ok(())
}
