//! How a body comes makes no difference, and what is no single request is none.

use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use crate::case::{FRAMINGS, Request, Run};
use crate::client;
use crate::wire::{Leaves, World, body, statuses};

const AT_ONCE: Duration = Duration::ZERO;

/// Limits of a body: one that is below a buffer of Envoy's, and the largest.
const SMALL: usize = 4096;
const MOST: usize = 1024 * 1024 - 1;

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |name: &str, run: fn(&mut World) -> Result<(), String>| {
        Trial::test(format!("framing/{name}"), move || World::shared(&json!({}), run).map_err(Failed::from))
    };
    let limited = |name: &str, limit: usize, run: fn(&mut World) -> Result<(), String>| {
        Trial::test(format!("framing/{name}"), move || World::shared(&limit_of(limit), run).map_err(Failed::from))
    };
    vec![
        trial("HTTP-10 INV-9 segments make no difference", segments),
        trial("HTTP-11 chunks, their extensions and trailers make no difference", chunks),
        trial("HTTP-12 HTTP-13 PW-08 INV-1 INV-2 however it ends, it is decided at its end", ends),
        trial("HTTP-14 a post without a body is refused", bodiless),
        trial("HTTP-15 a length that is not the body's is refused", lengths),
        trial("HTTP-16 what may be read as two requests is read as none", smuggling),
        limited("HTTP-17 PW-04 PW-22 a body over the limit is refused in every framing", SMALL, |world| {
            sizes(world, SMALL, 100 * SMALL)
        }),
        limited("HTTP-17 PW-04 a body over the largest limit is refused in every framing", MOST, |world| {
            sizes(world, MOST, 2 * MOST)
        }),
        trial("PW-22 a message that is good only up to a point is refused", prefixes),
        limited("PW-09 nesting without end is refused without a trap", MOST, nesting),
    ]
}

/// A call that is allowed and one that is denied, each in this way.
fn both(world: &mut World, what: &str, pieces: impl Fn(&[u8]) -> Vec<Vec<u8>>, pause: Duration) -> Result<(), String> {
    for (number, expected) in [(0, (200, "permitted")), (1, (403, "policy_undefined"))] {
        let pieces = pieces(&body(number));
        let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        let found = world.talk(&pieces, pause, Leaves::Answered, 1)?;
        world.expect(&format!("{what}, {number}"), &statuses(&found), &[expected])?;
    }
    Ok(())
}

fn with_length(world: &World, body: &[u8]) -> Vec<u8> {
    [&world.head(), format!("content-length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
}

fn segments(world: &mut World) -> Result<(), String> {
    let head = world.head();
    for (count, pause) in [(1, 0), (2, 50), (84, 10)] {
        let cut = |body: &[u8]| {
            let length = format!("content-length: {}\r\n\r\n", body.len()).into_bytes();
            let mut pieces = vec![head.clone(), length];
            pieces.extend(body.chunks(body.len().div_ceil(count)).map(<[u8]>::to_vec));
            // In one segment the head is in it, too.
            if count == 1 { vec![pieces.concat()] } else { pieces }
        };
        both(world, &format!("{count} segments"), cut, Duration::from_millis(pause))?;
    }
    Ok(())
}

fn chunks(world: &mut World) -> Result<(), String> {
    let head = [world.head(), b"transfer-encoding: chunked\r\n\r\n".to_vec()].concat();
    let endings = ["0\r\n\r\n", "0\r\nX: y\r\n\r\n", "0;x=y\r\nContent-Length: 3\r\nx-mcp-gate-subject: root\r\n\r\n"];
    for (size, extension) in [(1, ""), (1, ";x=y"), (7, ";a=\"b\""), (4096, "")] {
        for ending in endings {
            let cut = |body: &[u8]| {
                let mut bytes = head.clone();
                for chunk in body.chunks(size) {
                    bytes.extend(format!("{:x}{extension}\r\n", chunk.len()).bytes());
                    bytes.extend_from_slice(chunk);
                    bytes.extend(b"\r\n");
                }
                bytes.extend(ending.bytes());
                vec![bytes]
            };
            both(world, &format!("chunks of {size}{extension}, {ending:?}"), cut, AT_ONCE)?;
        }
    }
    Ok(())
}

fn ends(world: &mut World) -> Result<(), String> {
    for framing in FRAMINGS {
        for (number, expected) in [(0, (200, "permitted")), (1, (403, "policy_undefined"))] {
            let answer = client::send(world.envoy.port, framing, &world.call(number))?.ok_or("no answer")?;
            world.expect(&format!("{framing:?}, {number}"), &[answer.status], &[expected])?;
        }
    }
    Ok(())
}

fn bodiless(world: &mut World) -> Result<(), String> {
    let expected = [(400, "json_invalid")];
    for ending in ["content-length: 0\r\n\r\n", "\r\n", "transfer-encoding: chunked\r\n\r\n0\r\n\r\n"] {
        let bytes = [world.head(), ending.as_bytes().to_vec()].concat();
        let found = world.talk(&[&bytes], AT_ONCE, Leaves::Answered, 1)?;
        world.expect(&format!("{ending:?}"), &statuses(&found), &expected)?;
    }
    for framing in [Run::H2, Run::H2End, Run::H2Trailers] {
        for body in [None, Some(Vec::new())] {
            let what = format!("{framing:?}, {body:?}");
            let request = Request { body, ..world.call(0) };
            let answer = client::send(world.envoy.port, framing, &request)?.ok_or("no answer")?;
            world.expect(&what, &[answer.status], &expected)?;
        }
    }
    Ok(())
}

fn lengths(world: &mut World) -> Result<(), String> {
    // Too short: what is left is a request of its own, and none.
    let bytes = [&world.head(), &b"content-length: 10\r\n\r\n"[..], &body(0)].concat();
    world.harmless("too short", &[&bytes], &[])?;
    // Envoy closes a connection on which it answered 400, and drops what is left.
    let denied = with_length(world, &body(1));
    let bytes = [&world.head(), &b"content-length: 2\r\n\r\n{}"[..], &denied].concat();
    let found = world.talk(&[&bytes], AT_ONCE, Leaves::Answered, 2)?;
    world.expect("pipelined", &statuses(&found), &[(400, "message_invalid")])?;
    // Too long: the rest never comes.
    let bytes = [&world.head(), &b"content-length: 1000\r\n\r\n"[..], &body(0)].concat();
    let found = world.talk(&[&bytes], AT_ONCE, Leaves::AtOnce, 0)?;
    world.expect("too long", &statuses(&found), &[(0, "incomplete")])?;
    for (framing, length) in [(Run::H2, "10"), (Run::H2, "1000"), (Run::H2End, "10"), (Run::H2End, "1000")] {
        let mut request = world.call(0);
        request.headers.push(("content-length".into(), length.into()));
        let what = format!("{framing:?}, {length}");
        match client::send(world.envoy.port, framing, &request) {
            Ok(Some(answer)) => return Err(format!("{what}: answered {}", answer.status)),
            Ok(None) | Err(_) => world.expect(&what, &[], &[(0, "incomplete")])?,
        }
    }
    Ok(())
}

/// Each begins with an allowed call and may hold a denied one in its body.
fn smuggling(world: &mut World) -> Result<(), String> {
    let inner = with_length(world, &body(1));
    let good = body(0);
    let length = good.len();
    let chunked = |body: &[u8]| [format!("{:x}\r\n", body.len()).as_bytes(), body, b"\r\n0\r\n\r\n"].concat();
    let text = String::from_utf8(good.clone()).unwrap();
    let folded = "x-a: b\r\n c\r\n";
    let refused = [
        ("CL.TE", format!("content-length: {length}\r\ntransfer-encoding: chunked\r\n\r\n"), good.clone()),
        ("TE.CL", format!("transfer-encoding: chunked\r\ncontent-length: {length}\r\n\r\n"), chunked(&good)),
        (
            "CL.TE with a request inside",
            "content-length: 6\r\ntransfer-encoding: chunked\r\n\r\n".into(),
            [&b"0\r\n\r\n"[..], &inner].concat(),
        ),
        ("chunked, identity", "transfer-encoding: chunked, identity\r\n\r\n".into(), chunked(&good)),
        ("identity, chunked", "transfer-encoding: identity, chunked\r\n\r\n".into(), chunked(&good)),
        (
            "identity with a length",
            format!("transfer-encoding: identity\r\ncontent-length: {length}\r\n\r\n"),
            good.clone(),
        ),
        ("two encodings", "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n".into(), chunked(&good)),
        ("chunked twice", "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n".into(), chunked(&good)),
        ("xchunked", "transfer-encoding: xchunked\r\n\r\n".into(), chunked(&good)),
        ("a space before the colon", "transfer-encoding : chunked\r\n\r\n".into(), chunked(&good)),
        ("a vertical tab", "transfer-encoding: \x0bchunked\r\n\r\n".into(), chunked(&good)),
        ("a line end in the name", "transfer-encoding\n : chunked\r\n\r\n".into(), chunked(&good)),
        ("two lengths in one", format!("content-length: {length}, {length}\r\n\r\n"), good.clone()),
        ("two lengths", format!("content-length: {length}\r\ncontent-length: 2\r\n\r\n"), good.clone()),
        ("a length with a sign", format!("content-length: +{length}\r\n\r\n"), good.clone()),
        ("a length below nothing", "content-length: -1\r\n\r\n".into(), good.clone()),
        ("a length in hexadecimal", format!("content-length: 0x{length:x}\r\n\r\n"), good.clone()),
        ("a length with a space", format!("content-length: {} {}\r\n\r\n", length / 10, length % 10), good.clone()),
        ("NUL in a header", format!("x-a: b\0c\r\ncontent-length: {length}\r\n\r\n"), good.clone()),
        (
            "a size of a chunk with a sign",
            "transfer-encoding: chunked\r\n\r\n".into(),
            format!("+{length:x}\r\n{text}\r\n0\r\n\r\n").into(),
        ),
        (
            "a size of a chunk with 0x",
            "transfer-encoding: chunked\r\n\r\n".into(),
            format!("0x{length:x}\r\n{text}\r\n0\r\n\r\n").into(),
        ),
        (
            "a size of a chunk without end",
            "transfer-encoding: chunked\r\n\r\n".into(),
            format!("fffffffffffffffff\r\n{text}\r\n0\r\n\r\n").into(),
        ),
        (
            "a chunk with another end",
            "transfer-encoding: chunked\r\n\r\n".into(),
            format!("{length:x}\r\n{text}xx0\r\n\r\n").into(),
        ),
    ];
    let mut problems = Vec::new();
    for (what, head, body) in refused {
        let bytes = [&world.head(), head.as_bytes(), &body].concat();
        problems.extend(world.harmless(what, &[&bytes], &[]).err());
    }
    // These may be read, since they can be read in one way alone: then as what they are.
    let read = [
        // Envoy takes it out, so upstream sees one header; `World::upstream_got` looks for another.
        (
            "a carriage return in a header",
            [&world.head(), &b"x-a: b\rc\r\n"[..], &with_length(world, &good)[world.head().len()..]].concat(),
        ),
        (
            "a folded header",
            [&world.head(), folded.as_bytes(), &with_length(world, &good)[world.head().len()..]].concat(),
        ),
        ("line feeds alone", String::from_utf8_lossy(&with_length(world, &good)).replace("\r\n", "\n").into_bytes()),
        (
            "chunked in another case",
            [&world.head(), &b"transfer-encoding: Chunked\r\n\r\n"[..], &chunked(&good)].concat(),
        ),
        (
            "the same length twice",
            [&world.head(), format!("content-length: {length}\r\ncontent-length: {length}\r\n\r\n").as_bytes(), &good]
                .concat(),
        ),
        (
            "a chunk that ends in a line feed",
            [
                &world.head(),
                &b"transfer-encoding: chunked\r\n\r\n"[..],
                format!("{length:x}\n{text}\n0\n\n").as_bytes(),
            ]
            .concat(),
        ),
    ];
    for (what, bytes) in read {
        problems.extend(world.harmless(what, &[&bytes], &[200]).err());
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
}

fn sizes(world: &mut World, limit: usize, many: usize) -> Result<(), String> {
    for (size, expected) in [
        (limit - 1, (200, "permitted")),
        (limit, (200, "permitted")),
        (limit + 1, (413, "body_too_large")),
        (many, (413, "body_too_large")),
    ] {
        for framing in FRAMINGS {
            let mut whole = body(0);
            whole.resize(size, b' ');
            let request = Request { body: Some(whole), ..world.call(0) };
            let what = format!("limit {limit}, {size} bytes, {framing:?}");
            let answer = client::send(world.envoy.port, framing, &request).map_err(|e| format!("{what}: {e}"))?;
            let found: Vec<u16> = answer.iter().map(|answer| answer.status).collect();
            world.expect(&what, &found, &[expected])?;
        }
    }
    Ok(())
}

/// The resource of `envoy/filter.yaml` with another limit.
fn limit_of(limit: usize) -> Value {
    json!({"resources": [{"url": "http://127.0.0.1:10000/mcp", "issuers": ["demo"], "limits": {"body": limit}}]})
}

fn prefixes(world: &mut World) -> Result<(), String> {
    for (rest, code) in [("x", "json_invalid"), ("{}", "json_invalid"), (",", "json_invalid")] {
        for framing in FRAMINGS {
            let request = Request { body: Some([body(0), rest.into()].concat()), ..world.call(0) };
            let answer = client::send(world.envoy.port, framing, &request)?.ok_or("no answer")?;
            world.expect(&format!("{framing:?}, {rest}"), &[answer.status], &[(400, code)])?;
        }
        // The good part comes first, and the rest when it could have been decided.
        let bytes = with_length(world, &[body(0), rest.into()].concat());
        let (good, rest) = bytes.split_at(bytes.len() - rest.len());
        let found = world.talk(&[good, rest], Duration::from_millis(100), Leaves::Answered, 1)?;
        world.expect("later", &statuses(&found), &[(400, code)])?;
    }
    Ok(())
}

fn nesting(world: &mut World) -> Result<(), String> {
    let before = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{"n":0,"a":"#;
    for (text, times, expected) in [
        ("[", 5_000_000, (413, "body_too_large")),
        ("[", 1_000_000, (400, "json_invalid")),
        (r#"{"a":"#, 200_000, (400, "json_invalid")),
        (r#"[{"a":"#, 150_000, (400, "json_invalid")),
    ] {
        for prefix in ["", before] {
            for framing in [Run::H1, Run::H2] {
                let request = Request { body: Some([prefix, &text.repeat(times)].concat().into()), ..world.call(0) };
                let what = format!("{prefix}{text} {times} times, {framing:?}");
                let answer = client::send(world.envoy.port, framing, &request).map_err(|e| format!("{what}: {e}"))?;
                let found: Vec<u16> = answer.iter().map(|answer| answer.status).collect();
                world.expect(&what, &found, &[expected])?;
            }
        }
    }
    Ok(())
}
