//! An MCP server that is asked for its lists, in the era that it speaks: the modern one is
//! tried first, as clients of both do.

use std::collections::BTreeSet;
use std::time::Duration;

use mcp_gate::mcp::{Era, Listed, VERSIONS};
use mcp_gate::sse::{Event, Fate, Reader};
use serde_json::{Map, Value, json};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body, http};

use crate::header;

/// For one request with its answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// The most bytes of one answer, and of all.
const MOST: usize = 16 << 20;

/// Pages of one list.
const MOST_PAGES: usize = 1000;

/// The method of each list, and the capability of a server that has it.
const LISTS: [(Listed, &str, &str); 4] = [
    (Listed::Tool, "tools/list", "tools"),
    (Listed::Prompt, "prompts/list", "prompts"),
    (Listed::Resource, "resources/list", "resources"),
    (Listed::Template, "resources/templates/list", "resources"),
];

/// Headers that are said here, whatever else is given.
const OWN: [&str; 5] = ["accept", "content-type", "mcp-method", "mcp-protocol-version", "mcp-session-id"];

const METHOD_UNKNOWN: i64 = -32601;

/// The answers of a server to every page of the lists that it says it has.
pub(crate) fn lists(url: &str, headers: &[String]) -> Result<Vec<u8>, String> {
    let mut headers = header::read(headers)?;
    headers.retain(|(name, _)| !OWN.iter().any(|own| name.eq_ignore_ascii_case(own)));
    // What the machine trusts: servers of one's own have authorities of one's own.
    let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
    let config = Agent::config_builder()
        .tls_config(tls)
        .timeout_global(Some(PATIENCE))
        .max_redirects(0)
        .http_status_as_error(false)
        .user_agent(concat!("mcp-gate/", env!("CARGO_PKG_VERSION")));
    let mut server = Server {
        agent: config.build().new_agent(),
        url: url.to_owned(),
        headers,
        era: Era::Modern,
        version: VERSIONS.first().map(|version| version.name),
        session: None,
        asked: 0,
    };
    let capabilities = server.open()?;
    let mut answers = Vec::new();
    let listed = LISTS.iter().filter(|(_, _, capability)| capabilities.get(*capability).is_some());
    let outcome = listed.map(|(listed, method, _)| server.pages(*listed, method, &mut answers)).collect();
    server.close();
    let outcome: Result<Vec<()>, String> = outcome;
    match outcome?.is_empty() {
        true => Err("expected tools, prompts or resources among its capabilities, found none".into()),
        false => Ok(answers),
    }
}

/// A server, and what was agreed with it.
struct Server {
    agent: Agent,
    url: String,
    headers: Vec<(String, String)>,
    era: Era,
    /// None while it is not agreed on.
    version: Option<&'static str>,
    session: Option<String>,
    /// Requests so far, of which each has its own id.
    asked: u64,
}

/// What came back.
struct Answer {
    status: u16,
    session: Option<String>,
    /// The response to the request, as it came; nothing where there is none.
    text: Vec<u8>,
    message: Value,
}

impl Server {
    /// Finds out what it speaks; its capabilities.
    fn open(&mut self) -> Result<Value, String> {
        let found = self.ask("server/discover", Map::new())?;
        match found.result("server/discover") {
            Ok(result) => Ok(result.get("capabilities").cloned().unwrap_or_default()),
            // It would refuse the handshake, too.
            Err(problem) if matches!(found.status, 300..=399 | 401 | 403 | 500..) => Err(problem),
            Err(_) => self.initialize(),
        }
    }

    /// The handshake of the versions before 2026-07-28.
    fn initialize(&mut self) -> Result<Value, String> {
        let legacy = VERSIONS.iter().find(|version| version.era == Era::Legacy);
        (self.era, self.version) = (Era::Legacy, None);
        let mut params = Map::new();
        params.insert("protocolVersion".into(), legacy.map(|version| version.name).into());
        params.insert("capabilities".into(), json!({}));
        params.insert("clientInfo".into(), client());
        let found = self.ask("initialize", params)?;
        let result = found.result("initialize")?;
        let version = result.get("protocolVersion").and_then(Value::as_str).unwrap_or_default();
        let known = VERSIONS.iter().filter(|known| known.era == Era::Legacy).find(|known| known.name == version);
        let known = known.ok_or_else(|| format!("expected a version that the gate knows, found {version:.40?}"))?;
        self.version = Some(known.name);
        let capabilities = result.get("capabilities").cloned().unwrap_or_default();
        self.session = found.session;
        let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        let sent = self.send(&initialized, "notifications/initialized")?;
        match sent.status() {
            status if status.is_success() => Ok(capabilities),
            status => Err(format!("notifications/initialized: expected it to be taken, found status {status}")),
        }
    }

    /// Every page of a list.
    fn pages(&mut self, listed: Listed, method: &str, answers: &mut Vec<u8>) -> Result<(), String> {
        let mut params = Map::new();
        let mut seen = BTreeSet::new();
        loop {
            let found = self.ask(method, params)?;
            let code = found.message.pointer("/error/code").and_then(Value::as_i64);
            // Not all servers with resources have templates: none is what such a one lists.
            if listed == Listed::Template && code == Some(METHOD_UNKNOWN) {
                answers.extend(json!({"result": {listed.member(): []}}).to_string().as_bytes());
                return Ok(());
            }
            let result = found.result(method)?;
            if answers.len().saturating_add(found.text.len()) > MOST {
                return Err(format!("expected lists of at most {MOST} bytes, found more"));
            }
            answers.extend_from_slice(&found.text);
            answers.push(b'\n');
            let Some(cursor) = result.get("nextCursor").and_then(Value::as_str) else { return Ok(()) };
            if !seen.insert(cursor.to_owned()) || seen.len() >= MOST_PAGES {
                return Err(format!("{method}: expected at most {MOST_PAGES} pages, and each `nextCursor` once"));
            }
            params = Map::new();
            params.insert("cursor".into(), cursor.into());
        }
    }

    /// Ends the session. Servers need not let clients do that.
    fn close(&self) {
        if self.session.is_some() {
            let request = self.headers().into_iter();
            let request =
                request.fold(self.agent.delete(&self.url), |request, (name, value)| request.header(name, value));
            let _ = request.call();
        }
    }

    fn ask(&mut self, method: &str, mut params: Map<String, Value>) -> Result<Answer, String> {
        self.asked = self.asked.saturating_add(1);
        if self.era == Era::Modern {
            let meta = json!({
                "io.modelcontextprotocol/protocolVersion": self.version,
                "io.modelcontextprotocol/clientCapabilities": {},
                "io.modelcontextprotocol/clientInfo": client(),
            });
            params.insert("_meta".into(), meta);
        }
        let message = json!({"jsonrpc": "2.0", "id": self.asked, "method": method, "params": params});
        let mut response = self.send(&message, method)?;
        let header = |name: &str| {
            response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
        };
        let (status, session) = (response.status().as_u16(), header("mcp-session-id"));
        let is_stream = header("content-type").starts_with("text/event-stream");
        let body = response.body_mut().with_config().limit(MOST as u64).reader();
        let text = match is_stream {
            true => event(body, self.asked),
            false => whole(body),
        };
        let text = text.map_err(|problem| format!("{method}: {problem}"))?;
        let message = serde_json::from_slice(&text).unwrap_or_default();
        Ok(Answer { status, session: Some(session).filter(|id| !id.is_empty()), text, message })
    }

    fn send(&self, message: &Value, method: &str) -> Result<http::Response<Body>, String> {
        let mut headers = self.headers();
        headers.push(("content-type", "application/json"));
        headers.push(("accept", "application/json, text/event-stream"));
        if self.era == Era::Modern {
            headers.push(("mcp-method", method));
        }
        let request =
            headers.into_iter().fold(self.agent.post(&self.url), |request, (name, value)| request.header(name, value));
        request.send(message.to_string()).map_err(|error| format!("{method}: expected an answer: {error}"))
    }

    fn headers(&self) -> Vec<(&str, &str)> {
        let mut headers: Vec<(&str, &str)> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        headers.extend(self.version.map(|version| ("mcp-protocol-version", version)));
        headers.extend(self.session.as_deref().map(|session| ("mcp-session-id", session)));
        headers
    }
}

impl Answer {
    fn result(&self, method: &str) -> Result<&Value, String> {
        match (self.message.get("result"), self.message.get("error")) {
            (Some(result), None) if self.status == 200 => Ok(result),
            (_, Some(error)) => {
                let text = error.get("message").and_then(Value::as_str).unwrap_or_default();
                let code = error.get("code").cloned().unwrap_or_default();
                Err(format!("{method}: expected a result, found the error {code}, {text:.200?}"))
            }
            _ if matches!(self.status, 401 | 403) => {
                Err(format!("expected an answer, found status {}; give a credential with `--header`", self.status))
            }
            _ => Err(format!("{method}: expected a result, found status {} without one", self.status)),
        }
    }
}

/// Who asks.
fn client() -> Value {
    json!({"name": "mcp-gate", "version": env!("CARGO_PKG_VERSION")})
}

fn whole(mut body: impl std::io::Read) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    body.read_to_end(&mut text).map(|_| text).map_err(|error| error.to_string())
}

/// The response with this id in a stream, which is not read further: it may never end.
fn event(mut body: impl std::io::Read, id: u64) -> Result<Vec<u8>, String> {
    let (mut reader, mut found) = (Reader::new(MOST), None);
    let mut piece = vec![0; 16 << 10];
    loop {
        let count = body.read(&mut piece).map_err(|error| error.to_string())?;
        let mut take = |event: Event<'_>| {
            if let Event::Data(data) = event
                && serde_json::from_slice::<Value>(data).is_ok_and(|message| message.get("id") == Some(&id.into()))
            {
                found = Some(data.to_vec());
            }
            Fate::Passes
        };
        let read = match count {
            0 => reader.finish(&mut take),
            count => reader.read(piece.get(..count).unwrap_or_default(), &mut take),
        };
        read.map_err(|_| "expected a stream of events".to_owned())?;
        match found.take() {
            Some(text) => return Ok(text),
            None if count == 0 => return Ok(Vec::new()),
            None => {}
        }
    }
}
