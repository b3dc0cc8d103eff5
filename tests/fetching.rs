//! An Envoy of two workers that fetches keys, and who calls it.

use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use crate::case::{Session, merge};
use crate::keys::Keys;
use crate::process::{Envoy, Setting, free_port};
use crate::reload::{Connection, bytes};
use crate::upstream::Upstream;
use crate::wire::status;

/// Stands in documents, and nowhere else.
pub(crate) const SECRET: &str = "do-not-log-this";

pub(crate) struct World {
    pub(crate) envoy: Envoy,
    authority: String,
    given: Value,
    /// `iss` of its tokens.
    pub(crate) issuer: String,
    _upstream: Upstream,
}

/// A place of keys behind cluster `keys`.
pub(crate) fn url(port: u16, refresh: u64, keep: u64) -> Value {
    json!({"cluster": "keys", "url": format!("http://127.0.0.1:{port}/jwks"), "refresh": refresh, "keep": keep})
}

impl World {
    /// An Envoy of two workers, with clusters `keys` and `elsewhere` for these ports.
    pub(crate) fn start(issuer: &str, jwks: &Value, ports: [u16; 2]) -> Result<Self, String> {
        Self::start_changed(issuer, jwks, ports, |bootstrap| bootstrap.push_str(&strange(ports[0])))
    }

    /// With changes to `envoy/envoy.yaml`.
    pub(crate) fn start_changed(
        issuer: &str,
        jwks: &Value,
        ports: [u16; 2],
        change: impl Fn(&mut String),
    ) -> Result<Self, String> {
        let (port, upstream) = (free_port(), Upstream::start_quiet());
        let authority = format!("127.0.0.1:{port}");
        let given = json!({
            "issuers": [{"name": "demo", "issuer": issuer, "jwks": jwks}],
            "policy": {"modules": {"authz.rego": "package mcp.authz\n\nallow if input.identity.subject\n"}},
        });
        let configuration = Keys::shared().configuration(&given, &authority);
        let clusters = [("keys", ports[0]), ("elsewhere", ports[1])];
        let setting =
            Setting { port, upstream: upstream.port(), configuration: &configuration, workers: 2, clusters: &clusters };
        let mut envoy = Envoy::launch_changed(&setting, |bootstrap, _| change(bootstrap))?;
        envoy.wait_ready()?;
        Ok(Self { envoy, authority, given, issuer: issuer.to_owned(), _upstream: upstream })
    }

    /// With keys behind a URL of `port`.
    pub(crate) fn url(port: u16, refresh: u64, keep: u64) -> Result<Self, String> {
        Self::start("https://as.example.com", &url(port, refresh, keep), [port, port])
    }

    /// Swaps in a configuration that differs from the one before, and waits until it
    /// is in force.
    pub(crate) fn configure(&mut self, patch: &Value) -> Result<(), String> {
        merge(&mut self.given, patch);
        let loaded = self.envoy.stat("update_success");
        self.envoy.configure(&Keys::shared().configuration(&self.given, &self.authority));
        self.envoy.wait_until("the configuration is in force", |envoy| envoy.stat("update_success") > loaded)
    }

    /// A call with a token, of which `step` says something.
    pub(crate) fn call(&self, step: &Value) -> Vec<u8> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let mut whole = json!({"token": {"iss": self.issuer}, "expect": {"unanswered": {}}});
        merge(&mut whole, step);
        let step = serde_json::from_value(whole).unwrap();
        bytes(&Session::default().request(&step, Keys::shared(), &self.authority, now))
    }

    /// So many clients, of which each worker has some.
    pub(crate) fn clients(&self) -> Result<Vec<Client>, String> {
        (0..8).map(|_| Client::open(self.envoy.port)).collect()
    }

    /// The answers to one call over many connections.
    pub(crate) fn answers(&self, request: &[u8]) -> Result<Vec<u16>, String> {
        let answers = self.clients()?.into_iter().map(|mut client| client.send(request));
        answers.collect()
    }

    /// All of them are answered so.
    pub(crate) fn expect(&self, what: &str, request: &[u8], expected: u16) -> Result<(), String> {
        let found = self.answers(request)?;
        match found.iter().all(|found| *found == expected) {
            true => Ok(()),
            false => {
                Err(format!("{what}: expected {expected}, found {found:?}; Envoy's log:\n{}", self.envoy.own_log()))
            }
        }
    }

    /// How long it takes until all of them are answered so.
    pub(crate) fn until(&self, what: &str, request: &[u8], expected: u16, most: Duration) -> Result<Duration, String> {
        let start = Instant::now();
        loop {
            let found = self.answers(request)?;
            if found.iter().all(|found| *found == expected) {
                return Ok(start.elapsed());
            }
            if start.elapsed() > most {
                let log = self.envoy.own_log();
                return Err(format!(
                    "{what}: expected {expected} within {most:?}, found {found:?}; Envoy's log:\n{log}"
                ));
            }
            sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn fetches(&self, how: &str) -> u64 {
        self.envoy.stat(&format!("mcp_gate_jwks_fetches_{how}"))
    }

    /// The module lives, and its log says nothing that a document did.
    pub(crate) fn is_well(&self) -> Result<(), String> {
        let log = self.envoy.own_log();
        let bad =
            ["panicked", "Function: proxy_on", "unexpected status", SECRET].into_iter().find(|word| log.contains(word));
        bad.map_or(Ok(()), |word| Err(format!("found `{word}` in Envoy's log:\n{log}")))
    }
}

/// A client whose connection stays for as long as Envoy keeps it: it closes one after
/// an answer that came before the end of a request.
pub(crate) struct Client {
    port: u16,
    connection: Option<Connection>,
}

impl Client {
    pub(crate) fn open(port: u16) -> Result<Self, String> {
        Ok(Self { port, connection: Some(Connection::open(port)?) })
    }

    pub(crate) fn send(&mut self, request: &[u8]) -> Result<u16, String> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(self.port)?,
        };
        let status = status(&connection.send(request)?);
        self.connection = Some(connection).filter(|_| status == 200);
        Ok(status)
    }
}

/// Clusters without a host, with one that nobody is, and with TLS where there is none.
fn strange(port: u16) -> String {
    let cluster = |name: &str, address: &str, port: u16, tls: &str| {
        format!(
            "  - name: {name}\n    connect_timeout: 1s\n{tls}    load_assignment:\n      cluster_name: {name}\n      endpoints:\n      \
            - lb_endpoints:\n        - endpoint: {{address: {{socket_address: {{address: {address}, port_value: {port}}}}}}}\n"
        )
    };
    let tls = "    transport_socket:\n      name: envoy.transport_sockets.tls\n      typed_config:\n        \
        \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext\n        sni: as.example.com\n";
    let free = free_port();
    [
        "  - {name: empty, connect_timeout: 1s, load_assignment: {cluster_name: empty}}\n".into(),
        cluster("nobody", "127.0.0.1", free, ""),
        cluster("tls", "127.0.0.1", port, tls),
    ]
    .concat()
}
