use super::*;

/// A die that falls alike in each run: below so many sides.
pub(crate) fn dice() -> impl FnMut(usize) -> usize {
    let mut seed = 20_261_126_u64;
    move |sides| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % sides as u64).unwrap()
    }
}

/// What a stream becomes that comes in these pieces, and the data that were asked about.
fn read(pieces: &[&[u8]], limit: usize, judge: impl Fn(Event<'_>) -> Fate) -> (Result<Vec<u8>, Ended>, Vec<String>) {
    let mut reader = Reader::new(limit);
    let (mut out, mut asked) = (Vec::new(), Vec::new());
    let mut ask = |event: Event<'_>| {
        asked.push(match event {
            Event::Data(data) => String::from_utf8_lossy(data).into_owned(),
            Event::TooLarge => "(too large)".to_owned(),
            Event::Ambiguous => "(ambiguous)".to_owned(),
        });
        judge(event)
    };
    for piece in pieces {
        match reader.read(piece, &mut ask) {
            Ok(passed) => out.extend(passed),
            Err(ended) => return (Err(ended), asked),
        }
    }
    let last = reader.finish(&mut ask);
    (last.map(|last| [out, last].concat()), asked)
}

/// Data that begin with `x` become two lines.
fn judge(event: Event<'_>) -> Fate {
    match event {
        Event::Data([b'x', ..]) => Fate::Becomes(b"1\n2".to_vec()),
        Event::Data([b'!', ..]) => Fate::Ends,
        Event::Data(_) => Fate::Passes,
        Event::TooLarge => Fate::Becomes(b"large".to_vec()),
        Event::Ambiguous => Fate::Becomes(b"odd".to_vec()),
    }
}

/// Streams, what they become, and the data of their events.
const STREAMS: [(&str, &str, &[&str]); 15] = [
    ("", "", &[]),
    (": keep-alive\n\n:\n\nretry: 5\n\n", ": keep-alive\n\n:\n\nretry: 5\n\n", &[]),
    ("data: a\n\ndata:b\n\ndata\n\n", "data: a\n\ndata:b\n\ndata\n\n", &["a", "b", ""]),
    ("id: 1\nevent: message\ndata: x\nretry: 3\n\n", "id: 1\nevent: message\ndata: 1\ndata: 2\nretry: 3\n\n", &["x"]),
    (
        "data: x\r\ndata: y\r\nid:2\r\n\r\ndata: a\r\n\r\n",
        "data: 1\r\ndata: 2\r\nid:2\r\n\r\ndata: a\r\n\r\n",
        &["x\ny", "a"],
    ),
    ("data: x\r\rdata: a\r\r", "data: odd\n", &["(ambiguous)"]),
    (
        "data: a\n\ndata: b\ndata: {\rid: 1\nid: 2\n\ndata: x\n\n",
        "data: a\n\ndata: odd\n\ndata: 1\ndata: 2\n\n",
        &["a", "(ambiguous)", "x"],
    ),
    (
        "id: 1\r\n: \x0b\r\ndata: a\r\n\r\ndata: x\r\n\r\n",
        "id: 1\r\ndata: odd\n\r\ndata: 1\r\ndata: 2\r\n\r\n",
        &["(ambiguous)", "x"],
    ),
    ("\u{feff}data: x\n\n", "\u{feff}data: 1\ndata: 2\n\n", &["x"]),
    ("data: a\n\u{feff}data: x\n\n", "data: a\n\u{feff}data: x\n\n", &["a"]),
    ("data: a\n: c\ndata:  x\n\n", "data: a\n: c\ndata:  x\n\n", &["a\n x"]),
    ("Data: x\ndata2: x\n data: x\n\n", "Data: x\ndata2: x\n data: x\n\n", &[]),
    ("data: a\n\n\n\ndata: x\n\n", "data: a\n\n\n\ndata: 1\ndata: 2\n\n", &["a", "x"]),
    ("data: x", "data: 1\ndata: 2\n", &["x"]),
    ("data: a\nid: 7", "data: a\nid: 7", &["a"]),
];

#[test]
fn events_go_on_or_get_other_data_wherever_the_stream_is_cut() {
    for (stream, becomes, data) in STREAMS {
        let bytes = stream.as_bytes();
        let expected = (Ok(becomes.as_bytes().to_vec()), data.iter().map(|data| (*data).to_owned()).collect());
        assert_eq!(read(&[bytes], 100, judge), expected, "{stream:?}");
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(read(&single, 100, judge), expected, "{stream:?} byte by byte");
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                assert_eq!(read(&pieces, 100, judge), expected, "{stream:?} at {first} and {second}");
            }
        }
    }
}

#[test]
fn what_is_no_data_goes_on_with_its_line() {
    let mut reader = Reader::new(100);
    for (piece, passed) in [
        (": ping\n", ": ping\n"),
        ("\n", "\n"),
        ("id: 4\n", "id: 4\n"),
        ("event: mess", ""),
        ("age\n", "event: message\n"),
        ("data: a\n", ""),
        ("id: 5\n", ""),
        ("\r", ""),
        ("\n", "data: a\nid: 5\n\r\n"),
    ] {
        assert_eq!(reader.read(piece.as_bytes(), judge), Ok(passed.as_bytes().to_vec()), "{piece:?}");
    }
}

#[test]
fn no_more_than_the_limit_is_kept() {
    for end in ["\n", "\r\n"] {
        let line = |text: &str| format!("{text}{end}");
        let large = format!("data: {}", "y".repeat(50));
        let event = [line("id: 1"), line("data: a"), line(&large), line("id: 2"), line("data: b"), line("")].concat();
        let tail = [line("data: x"), line("")].concat();
        let stream = [event.clone(), tail].concat();
        let after = [line("data: 1"), line("data: 2"), line("")].concat();
        for size in 1..=stream.len() {
            let pieces: Vec<&[u8]> = stream.as_bytes().chunks(size).collect();
            let passing = |event: Event<'_>| if event == Event::TooLarge { Fate::Passes } else { judge(event) };
            let (passed, asked) = read(&pieces, 40, passing);
            let expected = [event.clone(), after.clone()].concat();
            assert_eq!(passed.map(|out| String::from_utf8(out).unwrap()), Ok(expected), "{size}");
            assert_eq!(asked, ["(too large)", "x"]);
            let replaced = [line("id: 1"), line("data: large"), line(""), after.clone()].concat();
            let (found, _) = read(&pieces, 40, judge);
            assert_eq!(found.map(|out| String::from_utf8(out).unwrap()), Ok(replaced), "{size}");
            let ending = |event: Event<'_>| if event == Event::TooLarge { Fate::Ends } else { judge(event) };
            assert_eq!(read(&pieces, 40, ending).0, Err(Ended));
        }
        // Nothing of it is whole.
        let single = [line(&large), line("")].concat();
        let (found, _) = read(&[single.as_bytes()], 40, judge);
        assert_eq!(found.map(|out| String::from_utf8(out).unwrap()), Ok(["data: large\n", end].concat()));
    }
    let mut reader = Reader::new(64);
    for _ in 0..1000 {
        let _ = reader.read(&[b'z'; 1000], |_| Fate::Passes).unwrap();
        assert!(reader.kept.capacity() < 3000, "{}", reader.kept.capacity());
    }
}

/// An event whose size is the limit is over where it ends, and the next one is judged.
#[test]
fn an_event_about_as_large_as_the_limit_is_one_event() {
    for end in ["\n", "\r\n"] {
        for size in 1..20 {
            let stream = format!("data: {}{end}{end}data: x{end}{end}", "y".repeat(size));
            let (found, asked) = read(&[stream.as_bytes()], 16, judge);
            let found = String::from_utf8(found.unwrap()).unwrap();
            assert!(found.ends_with(&format!("{end}data: 1{end}data: 2{end}{end}")), "{found:?}");
            assert_eq!((asked.len(), asked[1].as_str()), (2, "x"), "{stream:?}");
        }
    }
}

/// What some readers take for the end of a line: the characters, and whether it may be in data.
const DIVIDERS: [(&str, bool); 9] = [
    ("\r", false),
    ("\u{b}", true),
    ("\u{c}", true),
    ("\u{1c}", true),
    ("\u{1d}", true),
    ("\u{1e}", true),
    ("\u{85}", true),
    ("\u{2028}", true),
    ("\u{2029}", true),
];

#[test]
fn an_event_in_which_readers_find_other_lines_is_ambiguous() {
    for (divider, may_be_in_data) in DIVIDERS {
        for (stream, is_ambiguous) in [
            (format!(": c{divider}data: x\n\n"), true),
            (format!("{divider}data: x\n\n"), true),
            (format!("id: 1{divider}{divider}\ndata: a\n\n"), true),
            (format!("data{divider}: x\n\n"), true),
            (format!("data: a\nevent: e{divider}data: x\r\n\r\n"), true),
            (format!("data: a\n: c{divider}c"), true),
            (format!("data: a{divider}data: x\n\n"), !may_be_in_data),
        ] {
            let bytes = stream.as_bytes();
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            for pieces in [&[bytes][..], &single[..]] {
                let (_, asked) = read(pieces, 100, judge);
                assert_eq!(asked == ["(ambiguous)"], is_ambiguous, "{stream:?}: {asked:?}");
                assert_eq!(read(pieces, 100, |_| Fate::Passes).0, Ok(bytes.to_vec()), "{stream:?}");
            }
        }
    }
    for near in ["\t", "\u{1b}", "\u{1f}", "\u{84}", "\u{86}", "\u{a0}", "\u{2027}", "\u{202a}", "\u{feff}", "\r\n"] {
        assert_eq!(read(&[format!(": c{near}c\n\n").as_bytes()], 100, judge).1, [""; 0], "{near:?}");
    }
}

#[test]
fn an_event_that_cannot_go_on_ends_the_stream() {
    assert_eq!(read(&[b"data: a\n\ndata: !\n\ndata: b\n\n"], 100, judge), (Err(Ended), vec!["a".into(), "!".into()]));
}

/// Whatever a stream is made of, and wherever it is cut: what comes out is the same, and
/// where nothing is replaced it is what came in.
#[test]
fn a_stream_is_the_same_in_any_pieces() {
    const PARTS: [&str; 15] = [
        "\u{2028}",
        "data: x",
        "data:a",
        "data",
        "dat",
        "id: 1",
        ": c",
        ":",
        "x",
        "\n",
        "\r",
        "\r\n",
        "\n\n",
        "\u{feff}",
        "event: message",
    ];
    let mut roll = dice();
    for _ in 0..4000 {
        let parts: Vec<&str> = (0..roll(24)).map(|_| PARTS[roll(PARTS.len())]).collect();
        let stream = parts.concat();
        let mut cuts: Vec<usize> = (0..roll(6)).map(|_| roll(stream.len() + 1)).chain([0, stream.len()]).collect();
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &stream.as_bytes()[cut[0]..cut[1]]).collect();
        let limit = 10 + roll(40);
        // One that is too large is found so at another byte, but it is the same one.
        for limit in [limit, 1000] {
            let whole = read(&[stream.as_bytes()], limit, judge);
            assert_eq!(read(&pieces, limit, judge), whole, "{stream:?} at {cuts:?}, {limit}");
            assert_eq!(read(&pieces, limit, |_| Fate::Passes).0, Ok(stream.as_bytes().to_vec()), "{stream:?}");
        }
    }
}
