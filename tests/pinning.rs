//! `mcp-gate pin URL` against servers that answer as they are told, in both eras, and as none
//! should. What it prints is what it prints of the same answers in a file.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use crate::stateful::value;
use crate::upstream::Message;

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |name: &str, check: fn() -> Result<(), String>| {
        Trial::test(format!("command/pin/{name}"), move || check().map_err(Failed::from))
    };
    vec![
        trial("a_modern_server_is_asked_for_all_that_it_has", modern),
        trial("a_server_with_sessions_and_streams_is_asked_for_all_that_it_has", legacy),
        trial("a_header_comes_from_a_variable_or_a_file", headers),
        trial("what_a_server_should_not_do_is_said", refused),
    ]
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Modern,
    /// With sessions, and streams of events that it does not end.
    Legacy,
    /// Lets nobody in.
    Locked,
    /// Has another page behind each.
    Endless,
    /// Is elsewhere.
    Moved,
    /// Has no lists.
    Empty,
    /// Fails.
    Failing,
}

struct Server {
    url: String,
    seen: Arc<Mutex<Vec<Message>>>,
}

impl Server {
    fn start(kind: Kind) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&seen);
        // Ends with the process.
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let kept = Arc::clone(&kept);
                thread::spawn(move || serve(connection, kind, &kept));
            }
        });
        Self { url, seen }
    }
}

fn serve(mut connection: TcpStream, kind: Kind, seen: &Mutex<Vec<Message>>) {
    let (mut request, mut buffer) = (Vec::new(), [0; 64 * 1024]);
    while let Ok(count @ 1..) = connection.read(&mut buffer) {
        request.extend_from_slice(&buffer[..count]);
        let Some(message) = Message::read(&request, false) else { continue };
        request.clear();
        let answer = answer(kind, &message);
        seen.lock().unwrap().push(message);
        if connection.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// The pages of a list, in order.
fn pages(method: &str) -> Vec<Value> {
    let tool = |name: &str| json!({"name": name, "inputSchema": {"type": "object"}, "annotations": {"title": "on"}});
    match method {
        "tools/list" => vec![json!({"tools": [tool("read")], "nextCursor": "2"}), json!({"tools": [tool("write")]})],
        "prompts/list" => vec![json!({"prompts": [{"name": "greet"}]})],
        "resources/list" => vec![json!({"resources": [{"uri": "file:///a"}]})],
        _ => vec![],
    }
}

fn answer(kind: Kind, message: &Message) -> String {
    let body: Value = serde_json::from_slice(&message.body).unwrap_or_default();
    let method = body["method"].as_str().unwrap_or_default();
    let reply = |status: u16, headers: &str, body: &str| {
        format!("HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
    };
    let json_type = "content-type: application/json\r\n";
    let error = |status: u16, code: i64| {
        let error = json!({"jsonrpc": "2.0", "id": body["id"], "error": {"code": code, "message": "no\u{1b}[2J"}});
        reply(status, json_type, &error.to_string())
    };
    let is_legacy = kind == Kind::Legacy;
    match kind {
        Kind::Locked => return reply(401, "www-authenticate: Bearer\r\n", ""),
        Kind::Moved => return reply(302, "location: http://127.0.0.1:1/mcp\r\n", ""),
        Kind::Failing => return reply(500, "", "oops"),
        _ => {}
    }
    if is_legacy && method != "initialize" && value(message, "mcp-session-id").as_deref() != Some("s1") {
        return error(400, -32600);
    }
    let is_stated =
        value(message, "mcp-protocol-version").as_deref() == Some(if is_legacy { "2025-06-18" } else { "2026-07-28" });
    if !is_stated && method != "initialize" {
        return error(400, -32022);
    }
    let capabilities = match kind {
        Kind::Modern => json!({"tools": {"listChanged": true}, "prompts": {}}),
        Kind::Empty => json!({"logging": {}}),
        _ => json!({"tools": {}, "resources": {}}),
    };
    let result = match method {
        "server/discover" => json!({"capabilities": capabilities, "resultType": "complete"}),
        "initialize" => json!({"capabilities": capabilities, "protocolVersion": "2025-06-18", "serverInfo": {}}),
        "notifications/initialized" => return reply(202, "", ""),
        "tools/list" if kind == Kind::Endless => {
            json!({"tools": [], "nextCursor": format!("{}1", body["params"]["cursor"].as_str().unwrap_or_default())})
        }
        _ => {
            let at = usize::from(body["params"]["cursor"] == "2");
            match pages(method).into_iter().nth(at) {
                Some(result) => result,
                None => return error(if is_legacy { 200 } else { 404 }, -32601),
            }
        }
    };
    let text = json!({"jsonrpc": "2.0", "id": body["id"], "result": result}).to_string();
    if !is_legacy {
        return reply(200, json_type, &text);
    }
    let other = json!({"jsonrpc": "2.0", "id": 99, "result": {"tools": [{"name": "not-asked-for"}]}});
    let events = format!(": ping\n\nid: 0\ndata:\n\ndata: {other}\n\nevent: message\ndata: {text}\n\n");
    format!(
        "HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\nmcp-session-id: s1\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{events}\r\n",
        events.len()
    )
}

/// Runs the command; what it prints.
fn pin(arguments: &[&str], input: &str) -> Result<String, String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-gate"));
    command.arg("pin").args(arguments).args(["--resource", "https://mcp.example.com/mcp"]);
    command.env("MCP_GATE_TEST_TOKEN", "do-not-record");
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.map_err(|error| error.to_string())?;
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).map_err(|error| error.to_string())?;
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// What is printed of these lists in a file.
fn expected(methods: &[&str]) -> Result<String, String> {
    let answers = methods.iter().flat_map(|method| pages(method));
    pin(&["-"], &answers.map(|result| json!({"result": result}).to_string()).collect::<String>())
}

fn same(found: &str, expected: &str) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("expected\n{expected}\nfound\n{found}")) }
}

fn methods(server: &Server) -> Vec<String> {
    let seen = server.seen.lock().unwrap();
    let method = |message: &Message| {
        let body: Value = serde_json::from_slice(&message.body).unwrap_or_default();
        body["method"].as_str().map_or(message.start.chars().take(6).collect(), str::to_owned)
    };
    seen.iter().map(method).collect()
}

fn modern() -> Result<(), String> {
    let server = Server::start(Kind::Modern);
    same(&pin(&[&server.url], "")?, &expected(&["tools/list", "prompts/list"])?)?;
    let asked = methods(&server);
    match asked == ["server/discover", "tools/list", "tools/list", "prompts/list"] {
        true => Ok(()),
        false => Err(format!("found {asked:?}")),
    }
}

fn legacy() -> Result<(), String> {
    let server = Server::start(Kind::Legacy);
    let found = pin(&[&server.url], "")?;
    let none = json!({"result": {"resourceTemplates": []}}).to_string();
    let lists = ["tools/list", "resources/list"].iter().flat_map(|method| pages(method));
    let lists: String = lists.map(|result| json!({"result": result}).to_string()).collect();
    same(&found, &pin(&["-"], &format!("{lists}{none}"))?)?;
    let asked = methods(&server);
    let expected = [
        "server/discover",
        "initialize",
        "notifications/initialized",
        "tools/list",
        "tools/list",
        "resources/list",
        "resources/templates/list",
        "DELETE",
    ];
    if asked == expected { Ok(()) } else { Err(format!("found {asked:?}")) }
}

fn headers() -> Result<(), String> {
    let file = std::env::temp_dir().join(format!("mcp-gate-{}-headers", std::process::id()));
    std::fs::write(&file, "authorization: Bearer do-not-record\n\nx-tenant: acme\n").expect("a file");
    let at = format!("@{}", file.display());
    for header in ["Authorization: Bearer $MCP_GATE_TEST_TOKEN", &at] {
        let server = Server::start(Kind::Modern);
        pin(&[&server.url, "--header", header], "")?;
        let seen = server.seen.lock().unwrap();
        if !seen.iter().all(|message| value(message, "authorization").as_deref() == Some("Bearer do-not-record")) {
            return Err(format!("{header}: expected it in every request"));
        }
    }
    let _ = std::fs::remove_file(&file);
    for (arguments, problem) in [
        (["http://127.0.0.1:1/", "--header", "authorization: Bearer do-not-record"], "found what everybody"),
        (["http://127.0.0.1:1/", "--header", "authorization: $MCP_GATE_NO_SUCH_VARIABLE"], "expected the variable"),
        (["-", "--header", "authorization: $MCP_GATE_TEST_TOKEN"], "expected it with the URL of a server"),
    ] {
        let found = pin(&arguments, "").err().ok_or("expected it to be refused")?;
        if !found.contains(problem) || found.contains("do-not-record") {
            return Err(format!("expected `{problem}`, found {found}"));
        }
    }
    Ok(())
}

fn refused() -> Result<(), String> {
    for (kind, problem) in [
        (Kind::Locked, "found status 401; give a credential with `--header`"),
        (Kind::Endless, "tools/list: expected at most 1000 pages"),
        (Kind::Moved, "found status 302"),
        (Kind::Empty, "expected tools, prompts or resources among its capabilities"),
        (Kind::Failing, "found status 500"),
    ] {
        let found = pin(&[&Server::start(kind).url], "").err().ok_or("expected it to be refused")?;
        if !found.contains(problem) || found.contains('\u{1b}') {
            return Err(format!("expected `{problem}`, found {found}"));
        }
    }
    let found = pin(&["http://127.0.0.1:1/mcp"], "").err().ok_or("expected nobody to be there")?;
    if found.contains("expected an answer") { Ok(()) } else { Err(format!("found {found}")) }
}
