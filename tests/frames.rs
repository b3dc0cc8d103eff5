//! What is to be seen over HTTP/2 alone: streams side by side, and frames that no
//! library sends.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::case::{Request, Session};
use crate::keys::Keys;
use crate::process::{Envoy, PATIENCE, Setting, free_port};
use crate::upstream::Upstream;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("streams/RPC-05 requests of one id get each its own answer", || one_id().map_err(Into::into)),
        Trial::test("streams/HTTP-38 a name in upper case is refused", || upper_case().map_err(Into::into)),
    ]
}

fn envoy(upstream: &Upstream) -> Result<(Envoy, String), String> {
    let port = free_port();
    let authority = format!("127.0.0.1:{port}");
    let rego = "package mcp.authz\n\ndefault allow := false\n\nallow if input.identity.subject != \"mallory\"\n";
    let given = json!({"policy": {"modules": {"authz.rego": rego}}});
    let configuration = Keys::shared().configuration(&given, &authority);
    let setting = Setting { port, upstream: upstream.port(), configuration: &configuration, workers: 1, clusters: &[] };
    Ok((Envoy::start(&setting)?, authority))
}

/// A call with the id 7.
fn request(authority: &str, subject: &str) -> Request {
    let step = json!({
        "token": {"sub": subject, "exp": 2_000_000_000_u64, "iat": 1_700_000_000},
        "request": {"body": {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "x"}}},
        "expect": {"unanswered": {}},
    });
    Session::default().request(&serde_json::from_value(step).unwrap(), Keys::shared(), authority, 0)
}

fn one_id() -> Result<(), String> {
    let upstream = Upstream::start_echo();
    let (envoy, authority) = envoy(&upstream)?;
    let subjects = ["alice", "bob", "mallory", "alice", "carol", "mallory", "bob"];
    let requests: Vec<_> = subjects.iter().map(|subject| request(&authority, subject)).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answers = runtime.block_on(async {
        let asked = tokio::time::timeout(PATIENCE, ask(envoy.port, &requests));
        asked.await.unwrap_or_else(|_| Err("no answers in time".into()))
    })?;
    for (subject, (status, body)) in subjects.iter().zip(answers) {
        let is_own = match *subject {
            "mallory" => {
                let body: Value = serde_json::from_str(&body).unwrap_or_default();
                status == 403 && body["id"] == 7 && body["error"]["code"] == 403
            }
            subject => status == 200 && body == subject,
        };
        if !is_own {
            return Err(format!("{subject}: got {status}: {body}"));
        }
    }
    Ok(())
}

/// All at once over one connection; the answers in the order of the requests.
async fn ask(port: u16, requests: &[Request]) -> Result<Vec<(u16, String)>, String> {
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.map_err(|error| error.to_string())?;
    let (mut sender, connection) = h2::client::handshake(stream).await.map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    let mut open = Vec::new();
    for request in requests {
        let uri = format!("http://{}{}", String::from_utf8_lossy(&request.authority), request.path);
        let mut head = http::Request::post(uri).version(http::Version::HTTP_2);
        for (name, value) in &request.headers {
            head = head.header(name, value.as_slice());
        }
        sender = sender.ready().await.map_err(|error| error.to_string())?;
        open.push(sender.send_request(head.body(()).unwrap(), false).map_err(|error| error.to_string())?);
    }
    // The last one first.
    for ((_, stream), request) in open.iter_mut().zip(requests).rev() {
        let body = request.body.clone().unwrap_or_default();
        stream.send_data(body.into(), true).map_err(|error| error.to_string())?;
        tokio::task::yield_now().await;
    }
    let mut answers = Vec::new();
    for (response, _) in open {
        let (head, mut body) = response.await.map_err(|error| error.to_string())?.into_parts();
        let mut text = Vec::new();
        while let Some(piece) = body.data().await {
            text.extend_from_slice(&piece.map_err(|error| error.to_string())?);
        }
        answers.push((head.status.as_u16(), String::from_utf8_lossy(&text).into_owned()));
    }
    Ok(answers)
}

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags, 0, 0, 0, stream], payload].concat()
}

/// Headers in HPACK, as they stand: neither indexed nor packed.
fn block(headers: &[(&str, &[u8])]) -> Vec<u8> {
    let text = |block: &mut Vec<u8>, text: &[u8]| {
        // A length from 127 on goes on in the next bytes (RFC 7541 5.1).
        let mut rest = text.len();
        if rest < 127 {
            block.push(u8::try_from(rest).unwrap());
        } else {
            block.push(127);
            rest -= 127;
            while rest >= 128 {
                block.push(u8::try_from(rest % 128).unwrap() | 128);
                rest /= 128;
            }
            block.push(u8::try_from(rest).unwrap());
        }
        block.extend_from_slice(text);
    };
    let mut bytes = Vec::new();
    for (name, value) in headers {
        bytes.push(0);
        text(&mut bytes, name.as_bytes());
        text(&mut bytes, value);
    }
    bytes
}

/// What Envoy sends back: the kinds of the frames of stream 1, and GOAWAY.
fn kinds(port: u16, request: &Request, extra: &str) -> Result<Vec<u8>, String> {
    let mut headers: Vec<(&str, &[u8])> = vec![
        (":method", b"POST"),
        (":scheme", b"http"),
        (":path", b"/mcp"),
        (":authority", &request.authority),
        (extra, b"1"),
    ];
    headers.extend(request.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())));
    let bytes = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        frame(4, 0, 0, &[]),
        frame(1, 4, 1, &block(&headers)),
        frame(0, 1, 1, request.body.as_deref().unwrap_or_default()),
    ];
    let mut stream = TcpStream::connect(("127.0.0.1", port)).map_err(|error| error.to_string())?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    stream.write_all(&bytes.concat()).map_err(|error| error.to_string())?;
    let (mut kinds, mut read, mut buffer) = (Vec::new(), Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        read.extend_from_slice(&buffer[..count]);
        while let Some(length) = read.get(..9).map(|head| usize::from(head[1]) * 256 + usize::from(head[2])) {
            if read.len() < 9 + length {
                break;
            }
            let frame: Vec<u8> = read.drain(..9 + length).collect();
            if frame[8] == 1 || frame[3] == 7 {
                kinds.push(frame[3]);
            }
        }
        // HEADERS and DATA are an answer; RST_STREAM and GOAWAY are none.
        if kinds.iter().any(|kind| [0, 3, 7].contains(kind)) {
            return Ok(kinds);
        }
    }
    Ok(kinds)
}

fn upper_case() -> Result<(), String> {
    let upstream = Upstream::start();
    let (mut envoy, authority) = envoy(&upstream)?;
    let request = request(&authority, "alice");
    let answered = kinds(envoy.port, &request, "x-lower")?;
    if upstream.take().len() != 1 || !answered.contains(&1) {
        return Err(format!("a name in lower case: expected an answer, found the frames {answered:?}"));
    }
    envoy.next_line()?;
    for name in ["X-Upper", "Mcp-Name", "x-uppeR"] {
        let refused = kinds(envoy.port, &request, name)?;
        if refused.contains(&1) || !upstream.take().is_empty() {
            return Err(format!("{name}: expected no answer and nothing upstream, found the frames {refused:?}"));
        }
    }
    Ok(())
}
