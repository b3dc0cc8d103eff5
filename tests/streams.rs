//! Many requests over one connection, allowed and denied ones in turn: each is
//! judged by itself.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use bytes::Bytes;
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::case::{Request, Run, Session};
use crate::client::writes;
use crate::keys::Keys;
use crate::process::{Envoy, PATIENCE, Setting, free_port};
use crate::upstream::{Message, Upstream};

/// Below the limit of `envoy/envoy.yaml`.
const STREAMS: usize = 90;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("streams/interleaved_requests_are_judged_each_by_itself", || interleaved().map_err(Into::into)),
        Trial::test("streams/pipelined_requests_are_judged_each_by_itself", || pipelined().map_err(Into::into)),
    ]
}

/// An Envoy whose policy allows even numbers, and the head of a request.
fn world() -> Result<(Envoy, Upstream, Request), String> {
    let (port, upstream) = (free_port(), Upstream::start());
    let authority = format!("127.0.0.1:{port}");
    let rego = "package mcp.authz\n\nallow if input.mcp.arguments.n % 2 == 0\n";
    let given = json!({"policy": {"modules": {"authz.rego": rego}}});
    let configuration = Keys::shared().configuration(&given, &authority);
    let setting = Setting { port, upstream: upstream.port(), configuration: &configuration, workers: 1 };
    let envoy = Envoy::start(&setting)?;
    let step = json!({"token": {"exp": 4_102_444_800_u64, "iat": 1_700_000_000}, "expect": {"unanswered": {}}});
    let request = Session::default().request(&serde_json::from_value(step).unwrap(), Keys::shared(), &authority, 0);
    Ok((envoy, upstream, request))
}

fn body(index: usize) -> Vec<u8> {
    let params = json!({"name": "x", "arguments": {"n": index}});
    json!({"jsonrpc": "2.0", "id": index, "method": "tools/call", "params": params}).to_string().into_bytes()
}

fn pipelined() -> Result<(), String> {
    let (mut envoy, upstream, mut request) = world()?;
    let mut bytes = Vec::new();
    for index in 0..2 {
        request.body = Some(body(index));
        bytes.extend(writes(Run::H1, &request).concat());
    }
    let mut stream = TcpStream::connect(("127.0.0.1", envoy.port)).map_err(|error| error.to_string())?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&bytes).map_err(|error| error.to_string())?;
    let (mut answers, mut buffer) = (Vec::new(), [0; 4096]);
    while answers.windows(9).filter(|window| window == b"HTTP/1.1 ").count() < 2 {
        match stream.read(&mut buffer) {
            Ok(count @ 1..) => answers.extend_from_slice(&buffer[..count]),
            end => return Err(format!("{end:?} after {:?}", String::from_utf8_lossy(&answers))),
        }
    }
    let answers = String::from_utf8_lossy(&answers);
    let statuses: Vec<_> = answers.split("HTTP/1.1 ").skip(1).map(|answer| answer.get(..3)).collect();
    if statuses != [Some("200"), Some("403")] {
        return Err(format!("expected 200, 403, found {statuses:?}"));
    }
    upstream_got(&upstream, 1)?;
    (0..2).try_for_each(|_| envoy.next_line().map(drop))?;
    envoy.no_line()
}

fn interleaved() -> Result<(), String> {
    let (mut envoy, upstream, request) = world()?;
    let port = envoy.port;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answers = runtime.block_on(ask_all(port, &request))?;
    for (index, (status, body)) in answers.iter().enumerate() {
        let expected = if index % 2 == 0 { 200 } else { 403 };
        let id = format!("\"id\":{index}");
        if *status != expected || (expected == 403 && !body.contains(&id)) {
            return Err(format!("call {index}: expected {expected}, found {status}: {body}"));
        }
    }
    upstream_got(&upstream, STREAMS / 2)?;
    (0..STREAMS).try_for_each(|_| envoy.next_line().map(drop))?;
    envoy.no_line()
}

/// So many calls, and none of them denied.
fn upstream_got(upstream: &Upstream, count: usize) -> Result<(), String> {
    let connections = upstream.take();
    if connections.len() != count {
        return Err(format!("expected {count} calls upstream, found {}", connections.len()));
    }
    for bytes in connections {
        let message = Message::read(&bytes, false).ok_or("upstream got a part of a request")?;
        let body: Value = serde_json::from_slice(&message.body).map_err(|error| error.to_string())?;
        if body["params"]["arguments"]["n"].as_u64().is_none_or(|n| n % 2 == 1) {
            return Err(format!("upstream got what was denied: {body}"));
        }
    }
    Ok(())
}

/// Begins all requests, sends their bodies in turn byte by byte, and gives the
/// answers in the order of the requests.
async fn ask_all(port: u16, request: &Request) -> Result<Vec<(u16, String)>, String> {
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.map_err(|error| error.to_string())?;
    let (mut sender, connection) = h2::client::handshake(stream).await.map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    let mut open = Vec::new();
    for index in 0..STREAMS {
        let uri = format!("http://{}{}", String::from_utf8_lossy(&request.authority), request.path);
        let mut head = http::Request::post(uri).version(http::Version::HTTP_2);
        for (name, value) in &request.headers {
            head = head.header(name, value.as_slice());
        }
        sender = sender.ready().await.map_err(|error| error.to_string())?;
        let (response, stream) =
            sender.send_request(head.body(()).unwrap(), false).map_err(|error| error.to_string())?;
        open.push((response, stream, body(index)));
    }
    let longest = open.iter().map(|(_, _, body)| body.len()).max().unwrap_or_default();
    for at in 0..longest {
        for (_, stream, body) in &mut open {
            if let Some(byte) = body.get(at) {
                let piece = Bytes::copy_from_slice(&[*byte]);
                stream.send_data(piece, at + 1 == body.len()).map_err(|error| error.to_string())?;
            }
        }
        tokio::task::yield_now().await;
    }
    let mut answers = Vec::new();
    for (response, _, _) in open {
        let (head, mut body) = response.await.map_err(|error| error.to_string())?.into_parts();
        let mut text = Vec::new();
        while let Some(piece) = body.data().await {
            text.extend_from_slice(&piece.map_err(|error| error.to_string())?);
        }
        answers.push((head.status.as_u16(), String::from_utf8_lossy(&text).into_owned()));
    }
    Ok(answers)
}
