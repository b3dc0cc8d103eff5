//! A client that says a request as a case wants it said: HTTP/1.1 by hand,
//! HTTP/2 by the h2 crate.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use bytes::Bytes;

use crate::case::{Request, Run};
use crate::upstream::Message;

/// Nothing here takes that long.
const PATIENCE: Duration = Duration::from_secs(20);

/// Bodies beyond this come in pieces of this size where small ones come byte by byte.
const PIECE: usize = 2048;

pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
}

/// Sends a request in a framing, and waits for its response unless the request
/// stops before its end. An HTTP/2 stream that is
/// reset, or whose connection is, has none.
pub(crate) fn send(port: u16, framing: Run, request: &Request) -> Result<Option<Response>, String> {
    match framing {
        Run::H1 | Run::H1Bytes | Run::H1Chunked | Run::H1Trailers => {
            h1(port, framing, request).map_err(|error| format!("HTTP/1.1: {error}"))
        }
        Run::H2 | Run::H2End | Run::H2Trailers => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                match tokio::time::timeout(PATIENCE, h2(port, framing, request)).await {
                    Ok(response) => response.map_err(|error| format!("HTTP/2: {error}")),
                    Err(_) => Err("HTTP/2: no response in time".into()),
                }
            })
        }
        Run::Native => Err("not a framing".into()),
    }
}

/// Can the request be said in this framing? What has no body has neither chunks
/// nor trailers.
pub(crate) fn applies(framing: Run, request: &Request) -> bool {
    request.body.is_some()
        || request.method == "POST"
        || !matches!(framing, Run::H1Chunked | Run::H1Trailers | Run::H2Trailers)
}

fn h1(port: u16, framing: Run, request: &Request) -> Result<Option<Response>, String> {
    let stream = TcpStream::connect(("127.0.0.1", port)).map_err(|error| error.to_string())?;
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let writes = writes(framing, request);
    let answered = AtomicBool::new(false);
    thread::scope(|scope| {
        // Envoy may answer, and close, before the request is complete.
        let reader = scope.spawn(|| read_response(&stream, request, &answered));
        let mut writer = &stream;
        for piece in writes {
            if answered.load(Ordering::Acquire) || writer.write_all(&piece).is_err() {
                break;
            }
        }
        if request.stops_after.is_some() {
            let _ = stream.shutdown(Shutdown::Both);
            let _ = reader.join();
            return Ok(None);
        }
        reader.join().unwrap().map(Some)
    })
}

fn read_response(mut stream: &TcpStream, request: &Request, answered: &AtomicBool) -> Result<Response, String> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        let count = stream.read(&mut buffer).map_err(|error| error.to_string())?;
        if count == 0 {
            return Err(format!("the connection ended after {:?}", String::from_utf8_lossy(&bytes)));
        }
        answered.store(true, Ordering::Release);
        bytes.extend_from_slice(&buffer[..count]);
        if let Some(Message { start, headers, body }) = Message::read(&bytes, request.method == "HEAD") {
            let status = start.split(' ').nth(1).and_then(|status| status.parse().ok());
            let status = status.ok_or_else(|| format!("no status in `{start}`"))?;
            return Ok(Response { status, headers, body });
        }
    }
}

/// The writes of an HTTP/1.1 request.
pub(crate) fn writes(framing: Run, request: &Request) -> Vec<Vec<u8>> {
    let mut head = format!("{} {} HTTP/1.1\r\nhost: ", request.method, request.path).into_bytes();
    head.extend_from_slice(&request.authority);
    for (name, value) in &request.headers {
        head.extend_from_slice(format!("\r\n{name}: ").as_bytes());
        head.extend_from_slice(value);
    }
    let body = request.body.as_deref().unwrap_or_default();
    let has_length = request.headers.iter().any(|(name, _)| name == "content-length");
    if matches!(framing, Run::H1Chunked | Run::H1Trailers) {
        head.extend_from_slice(b"\r\ntransfer-encoding: chunked");
    } else if !has_length && (request.body.is_some() || request.method == "POST") {
        head.extend_from_slice(format!("\r\ncontent-length: {}", body.len()).as_bytes());
    }
    head.extend_from_slice(b"\r\n\r\n");
    let body = request.stops_after.map_or(body, |end| &body[..end]);
    let piece = if body.len() > PIECE { PIECE } else { 1 };
    match framing {
        Run::H1Bytes => head.chunks(1).chain(body.chunks(piece)).map(<[u8]>::to_vec).collect(),
        Run::H1Chunked | Run::H1Trailers => {
            let (extension, trailers) =
                if framing == Run::H1Trailers { (";x=y", "x-trailer: 1\r\n") } else { ("", "") };
            let mut chunks = Vec::new();
            for chunk in body.chunks(piece) {
                chunks.extend_from_slice(format!("{:x}{extension}\r\n", chunk.len()).as_bytes());
                chunks.extend_from_slice(chunk);
                chunks.extend_from_slice(b"\r\n");
            }
            if request.stops_after.is_none() {
                chunks.extend_from_slice(format!("0\r\n{trailers}\r\n").as_bytes());
            }
            vec![head, chunks]
        }
        _ => vec![[&head, body].concat()],
    }
}

async fn h2(port: u16, framing: Run, request: &Request) -> Result<Option<Response>, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.map_err(|error| text(&error))?;
    stream.set_nodelay(true).unwrap();
    let (mut sender, mut connection) = h2::client::handshake(stream).await.map_err(|error| text(&error))?;
    let mut pings = connection.ping_pong().unwrap();
    // Dropped, and so closed, with the runtime.
    tokio::spawn(connection);

    let authority = String::from_utf8_lossy(&request.authority);
    let mut head = http::Request::builder()
        .version(http::Version::HTTP_2)
        .method(request.method.as_str())
        .uri(format!("http://{authority}{}", request.path));
    for (name, value) in &request.headers {
        head = head.header(name, value.as_slice());
    }
    let head = head.body(()).map_err(|error| format!("this request cannot be said: {error}"))?;
    let trailers = framing == Run::H2Trailers;
    let bodiless = request.body.is_none() && !trailers;
    let (response, mut body) = sender.send_request(head, bodiless).map_err(|error| text(&error))?;
    if let Some(end) = request.stops_after {
        let begun = request.body.as_deref().unwrap_or_default()[..end].to_vec();
        body.send_data(begun.into(), false).map_err(|error| text(&error))?;
        // A reset takes back what is queued, so the bytes go out first, and come in.
        tokio::task::yield_now().await;
        pings.ping(h2::Ping::opaque()).await.map_err(|error| text(&error))?;
        body.send_reset(h2::Reason::CANCEL);
        let _ = response.await;
        return Ok(None);
    }
    // Errors of writing are an early response, which is read below.
    let ends = framing == Run::H2End;
    if !bodiless {
        let _ = body.send_data(Bytes::from(request.body.clone().unwrap_or_default()), ends);
    }
    if !bodiless && !trailers && !ends {
        // The end comes by itself, after the last byte.
        let _ = body.send_data(Bytes::new(), true);
    }
    if trailers {
        let mut fields = http::HeaderMap::new();
        fields.insert("x-trailer", http::HeaderValue::from_static("1"));
        let _ = body.send_trailers(fields);
    }
    let response = match response.await {
        Err(error) if error.is_remote() || error.is_io() => return Ok(None),
        response => response.map_err(|error| text(&error))?,
    };
    let (parts, mut stream) = response.into_parts();
    let mut body = Vec::new();
    while let Some(piece) = stream.data().await {
        let piece = piece.map_err(|error| text(&error))?;
        let _ = stream.flow_control().release_capacity(piece.len());
        body.extend_from_slice(&piece);
    }
    let headers = parts.headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
    Ok(Some(Response { status: parts.status.as_u16(), headers: headers.collect(), body }))
}
