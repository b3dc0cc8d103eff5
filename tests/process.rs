//! An Envoy of one's own: the repository's two files with other ports and places,
//! a directory laid out like a ConfigMap, and a process that ends with its owner.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::keys::Keys;
use crate::upstream::Message;

/// Long enough for a machine with other things to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Envoy {
    child: Child,
    pid: u32,
    pub(crate) port: u16,
    admin: u16,
    directory: PathBuf,
    log: BufReader<fs::File>,
    generation: usize,
}

/// What differs between the Envoys of the tests.
pub(crate) struct Setting<'a> {
    pub(crate) port: u16,
    pub(crate) upstream: u16,
    pub(crate) configuration: &'a Value,
    pub(crate) workers: usize,
    /// Further clusters: the name of each, and the port on loopback that it leads to.
    pub(crate) clusters: &'a [(&'a str, u16)],
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file that someone else has to make: the one named, or else the usual one.
fn needed(variable: &str, usual: &str, how: &str) -> Result<PathBuf, String> {
    let path = std::env::var_os(variable).map_or_else(|| root().join(usual), PathBuf::from);
    let found = path.canonicalize().ok().filter(|path| path.is_file());
    found.ok_or_else(|| format!("found no file {}: {how}, or name another in {variable}", path.display()))
}

pub(crate) fn module() -> Result<PathBuf, String> {
    needed("MCP_GATE_MODULE", "target/wasm32-wasip1/release/mcp_gate.wasm", "`make build` makes it")
}

/// The one of `make trap`.
pub(crate) fn trapping_module() -> Result<PathBuf, String> {
    needed("MCP_GATE_TRAP_MODULE", "target/trap/wasm32-wasip1/release/mcp_gate.wasm", "`make trap` makes it")
}

fn binary() -> Result<PathBuf, String> {
    needed("MCP_GATE_ENVOY", "target/tools/bin/envoy", "`python3 tests/setup.py envoy` installs it")
}

/// A free port below those that the system gives to connections.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 10_000).unwrap();
    loop {
        let port = 20_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// `envoy/envoy.yaml` with what a test changes. Each of these stands in it once.
fn render(setting: &Setting<'_>, admin: u16, directory: &Path) -> String {
    let mut text = fs::read_to_string(root().join("envoy/envoy.yaml")).expect("envoy/envoy.yaml");
    let mut replace = |from: &str, to: &str| {
        assert_eq!(text.matches(from).count(), 1, "envoy/envoy.yaml: expected `{from}` once");
        text = text.replace(from, to);
    };
    let gate = directory.join("gate");
    replace("port_value: 9901", &format!("port_value: {admin}"));
    replace("port_value: 10000", &format!("port_value: {}", setting.port));
    replace("port_value: 8000", &format!("port_value: {}", setting.upstream));
    replace("path: /dev/stdout", &format!("path: {}", directory.join("access.log").display()));
    replace("path: target/demo/gate/filter.yaml", &format!("path: {}", gate.join("filter.yaml").display()));
    replace("{path: target/demo/gate}", &format!("{{path: {}}}", gate.display()));
    if is_body_held(setting.configuration) {
        // The other way to hold a request: the body alone, and this filter behind.
        let router = "          - name: envoy.filters.http.router\n";
        let buffer = "          - name: envoy.filters.http.buffer\n            typed_config:\n              \
            \"@type\": type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer\n              \
            max_request_bytes: 1048576\n";
        replace(router, &format!("{buffer}{router}"));
    }
    for (name, port) in setting.clusters {
        text.push_str(&cluster(name, *port));
    }
    text
}

/// A cluster at the end of `envoy/envoy.yaml`, where they stand.
pub(crate) fn cluster(name: &str, port: u16) -> String {
    format!(
        "  - name: {name}\n    type: STATIC\n    connect_timeout: 1s\n    load_assignment:\n      cluster_name: {name}\n      \
        endpoints:\n      - lb_endpoints:\n        - endpoint:\n            \
        address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}\n"
    )
}

fn is_body_held(configuration: &Value) -> bool {
    configuration["hold"] == "body"
}

impl Envoy {
    /// Starts it and waits until it serves.
    pub(crate) fn start(setting: &Setting<'_>) -> Result<Self, String> {
        let mut envoy = Self::launch(setting)?;
        envoy.wait_ready()?;
        Ok(envoy)
    }

    /// Waits until it takes connections.
    pub(crate) fn wait_ready(&mut self) -> Result<(), String> {
        self.wait_until("it serves", |envoy| {
            envoy.admin("GET", "/ready").is_some_and(|answer| answer.contains("LIVE"))
                && TcpStream::connect(("127.0.0.1", envoy.port)).is_ok()
        })
    }

    /// Starts it.
    pub(crate) fn launch(setting: &Setting<'_>) -> Result<Self, String> {
        Self::launch_changed(setting, |_, _| {})
    }

    /// Starts it with other changes to `envoy/envoy.yaml` and `envoy/filter.yaml`.
    pub(crate) fn launch_changed(
        setting: &Setting<'_>,
        change: impl Fn(&mut String, &mut Value),
    ) -> Result<Self, String> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let (binary, module) = (binary()?, module()?);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = root().join(format!("target/test-envoy/{}-{count}", std::process::id()));
        fs::create_dir_all(directory.join("gate")).unwrap();
        let admin = free_port();
        let mut bootstrap = render(setting, admin, &directory);
        let mut filter = document(setting.configuration, &module);
        change(&mut bootstrap, &mut filter);
        fs::write(directory.join("envoy.yaml"), bootstrap).unwrap();
        fs::write(directory.join("access.log"), "").unwrap();
        swap(&directory, 0, &filter.to_string());

        // The shell kills Envoy when our end of its input closes, however we end.
        let mut child = Command::new("sh")
            .args(["-c", "\"$@\" </dev/null >\"$LOG\" 2>&1 & echo $!; read -r _; kill -KILL 0", "sh"])
            .arg(binary)
            .args(["-c", directory.join("envoy.yaml").to_str().unwrap(), "--disable-hot-restart"])
            .args(["--concurrency", &setting.workers.to_string(), "--log-level", "warning"])
            .args(["--file-flush-interval-msec", "1"])
            .env("LOG", directory.join("envoy.log"))
            .current_dir(root())
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("sh: {error}"))?;
        let mut pid = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut pid).unwrap();
        let log = BufReader::new(fs::File::open(directory.join("access.log")).unwrap());
        let pid = pid.trim().parse().unwrap();
        Ok(Self { child, pid, port: setting.port, admin, directory, log, generation: 0 })
    }

    /// Swaps in another configuration, as the kubelet does.
    pub(crate) fn configure(&mut self, configuration: &Value) {
        self.configure_text(configuration, |text| text);
    }

    /// The same, with a change to the text of the file, which is given back.
    pub(crate) fn configure_text(&mut self, configuration: &Value, change: impl Fn(String) -> String) -> String {
        self.generation += 1;
        let text = change(document(configuration, &module().unwrap()).to_string());
        swap(&self.directory, self.generation, &text);
        text
    }

    /// Polls until it is so.
    pub(crate) fn wait_until(&mut self, what: &str, mut is: impl FnMut(&Self) -> bool) -> Result<(), String> {
        let start = Instant::now();
        while !is(self) {
            if start.elapsed() > PATIENCE || !matches!(self.child.try_wait(), Ok(None)) {
                return Err(format!("waited in vain until {what}; Envoy's log:\n{}", self.own_log()));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// The body of an answer of the admin interface.
    pub(crate) fn admin(&self, method: &str, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.admin)).ok()?;
        let request = format!("{method} {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        let Message { start, body, .. } = Message::read(&answer, false)?;
        start.starts_with("HTTP/1.1 200").then(|| String::from_utf8_lossy(&body).into_owned())
    }

    /// The sum of the counters whose name ends so.
    pub(crate) fn stat(&self, name: &str) -> u64 {
        let stats = self.admin("GET", &format!("/stats?filter={name}$")).unwrap_or_default();
        stats.lines().filter_map(|line| line.rsplit_once(": ")?.1.parse::<u64>().ok()).sum()
    }

    /// The next line of the access log.
    pub(crate) fn next_line(&mut self) -> Result<String, String> {
        let start = Instant::now();
        let mut line = String::new();
        while !line.ends_with('\n') {
            self.log.read_line(&mut line).unwrap();
            if start.elapsed() > PATIENCE {
                return Err(format!("expected a line in the access log, found `{line}`"));
            }
            if !line.ends_with('\n') {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        Ok(line.trim_end().to_owned())
    }

    /// There is no further line in the access log.
    pub(crate) fn no_line(&mut self) -> Result<(), String> {
        let mut line = String::new();
        self.log.read_line(&mut line).unwrap();
        if line.is_empty() { Ok(()) } else { Err(format!("found a record that belongs to no request: {line}")) }
    }

    /// What Envoy itself logged.
    pub(crate) fn own_log(&self) -> String {
        fs::read_to_string(self.directory.join("envoy.log")).unwrap_or_default()
    }

    /// Resident memory, in KiB.
    pub(crate) fn memory(&self) -> u64 {
        let output = Command::new("ps").args(["-o", "rss=", "-p", &self.pid.to_string()]).output().expect("ps");
        String::from_utf8_lossy(&output.stdout).trim().parse().expect("ps: a number")
    }

    pub(crate) fn version(&self) -> Option<String> {
        let info: Value = serde_json::from_str(&self.admin("GET", "/server_info")?).ok()?;
        info["version"].as_str()?.split('/').nth(1).map(str::to_owned)
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}

/// `envoy/filter.yaml` with this configuration; JSON is YAML.
fn document(configuration: &Value, module: &Path) -> Value {
    let mut filter = Keys::shared().filter(configuration, module.to_str().unwrap());
    if is_body_held(configuration) {
        filter["resources"][0]["typed_config"]["config"]["allow_on_headers_stop_iteration"] = false.into();
    }
    filter
}

/// Puts a file in the place of the one before, as the kubelet does with a
/// ConfigMap: `filter.yaml` -> `..data/filter.yaml`, `..data` -> a directory.
fn swap(directory: &Path, generation: usize, document: &str) {
    let gate = directory.join("gate");
    let version = format!("..2026_11_23_{generation}");
    fs::create_dir(gate.join(&version)).unwrap();
    fs::write(gate.join(&version).join("filter.yaml"), document).unwrap();
    if generation == 0 {
        symlink("..data/filter.yaml", gate.join("filter.yaml")).unwrap();
    }
    symlink(&version, gate.join("..data_tmp")).unwrap();
    fs::rename(gate.join("..data_tmp"), gate.join("..data")).unwrap();
}
