//! Changes to the text of a message.

use crate::message::Node;
use crate::odd;
use crate::random::Random;

/// A place between two bytes.
fn place(text: &[u8], random: &mut Random) -> usize {
    random.below(text.len() + 1)
}

fn insert(text: &mut Vec<u8>, at: usize, fresh: &[u8]) {
    text.splice(at..at, fresh.iter().copied());
}

pub(crate) fn truncated(text: &mut Vec<u8>, random: &mut Random, _: &[Node]) {
    let short = match random.once_in(3) {
        true => text.len().saturating_sub(1),
        false => random.below(text.len()),
    };
    text.truncate(short);
}

pub(crate) fn mark(text: &mut Vec<u8>, random: &mut Random, _: &[Node]) {
    let at = if random.once_in(4) { place(text, random) } else { 0 };
    insert(text, at, "\u{feff}".as_bytes());
}

pub(crate) fn encoding(text: &mut Vec<u8>, random: &mut Random, _: &[Node]) {
    let plain = String::from_utf8_lossy(text).into_owned();
    let big = random.once_in(2);
    let mut out = Vec::new();
    if random.once_in(3) {
        let code_points = std::iter::once('\u{feff}').chain(plain.chars()).skip(random.below(2));
        code_points.map(u32::from).for_each(|c| out.extend(if big { c.to_be_bytes() } else { c.to_le_bytes() }));
    } else {
        let units = std::iter::once(0xfeff).chain(plain.encode_utf16()).skip(random.below(2));
        units.for_each(|unit| out.extend(if big { unit.to_be_bytes() } else { unit.to_le_bytes() }));
    }
    *text = out;
}

/// Before or after one of the bytes that stand between tokens.
fn seam(text: &[u8], random: &mut Random) -> usize {
    let seams: Vec<usize> = (0..text.len()).filter(|at| b"{}[],:".contains(&text[*at])).collect();
    match seams.get(random.below(seams.len())) {
        Some(at) => at + random.below(2),
        None => place(text, random),
    }
}

pub(crate) fn comment(text: &mut Vec<u8>, random: &mut Random, _: &[Node]) {
    let at = seam(text, random);
    let fresh = random.pick(&["/**/", "/*,*/", "//x\n", "#x\n", "<!---->", ";"]);
    insert(text, at, fresh.as_bytes());
}

pub(crate) fn literal(text: &mut Vec<u8>, random: &mut Random, _: &[Node]) {
    let fresh = random.pick(&odd::LITERALS);
    let digit = text.iter().position(u8::is_ascii_digit).filter(|_| random.once_in(4));
    let colons: Vec<usize> = (0..text.len()).filter(|at| text[*at] == b':').collect();
    match (digit, colons.get(random.below(colons.len()))) {
        (Some(at), _) => drop(text.splice(at..=at, fresh.bytes())),
        (None, Some(at)) => insert(text, at + 1, format!("{fresh},\"z\":").as_bytes()),
        _ => insert(text, 0, fresh.as_bytes()),
    }
}

pub(crate) fn after(text: &mut Vec<u8>, random: &mut Random, bases: &[Node]) {
    match random.below(4) {
        0 => {
            text.extend_from_slice(random.pick(&["", "\n", " ", "\r\n"]).as_bytes());
            bases[random.below(bases.len())].write(text, &mut None);
        }
        1 => text.resize(text.len() + random.below(300), b" \n\t\r"[random.below(4)]),
        _ => text.extend_from_slice(
            random.pick(&["{}", "]", "}", "\0", " garbage", ",", "//", "\u{1a}", "\u{a0}", "null", "\u{c}"]).as_bytes(),
        ),
    }
}

pub(crate) fn batch(text: &mut Vec<u8>, random: &mut Random, bases: &[Node]) {
    insert(text, 0, b"[");
    if random.once_in(2) {
        text.push(b',');
        bases[random.below(bases.len())].write(text, &mut None);
    }
    text.push(b']');
}

pub(crate) fn any_byte(text: &mut Vec<u8>, random: &mut Random, _: &[Node]) {
    let (at, byte) = (place(text, random), random.byte());
    match random.below(3) {
        0 => insert(text, at, &[byte]),
        1 if at < text.len() => drop(text.remove(at)),
        _ => {
            if let Some(place) = text.get_mut(at) {
                *place = byte;
            }
        }
    }
}

pub(crate) fn bit(text: &mut [u8], random: &mut Random) {
    let (at, bit) = (random.below(text.len()), random.below(8));
    if let Some(place) = text.get_mut(at) {
        *place ^= 1 << bit;
    }
}

pub(crate) fn letter(text: &mut [u8], random: &mut Random) {
    let start = text.windows(8).position(|window| window == b"\"params\"").unwrap_or_default() + 9;
    let places: Vec<usize> = (start..text.len()).filter(|at| text[*at].is_ascii_alphanumeric()).collect();
    if let Some(at) = places.get(random.below(places.len())) {
        let same: Vec<u8> = match text[*at].is_ascii_digit() {
            true => (b'0'..=b'9').collect(),
            false => (b'!'..=b'~').filter(|byte| !b"\"\\".contains(byte)).collect(),
        };
        text[*at] = same[random.below(same.len())];
    }
}

/// Within a string, if there is one.
fn within(text: &[u8], random: &mut Random) -> usize {
    let letters: Vec<usize> = (0..text.len()).filter(|at| text[*at].is_ascii_alphabetic()).collect();
    letters.get(random.below(letters.len())).copied().unwrap_or_default()
}

pub(crate) fn invalid_utf8(text: &mut Vec<u8>, random: &mut Random, _: &[Node]) {
    let at = within(text, random);
    let fresh = odd::INVALID[random.below(odd::INVALID.len())];
    insert(text, at, fresh);
}

pub(crate) fn control(text: &mut Vec<u8>, random: &mut Random, _: &[Node]) {
    let at = match random.once_in(3) {
        true => seam(text, random),
        false => within(text, random),
    };
    let fresh = random.pick(&["\0", "\t", "\n", "\u{1f}", "\u{7f}", "\u{c}", "\u{a0}", "\u{2028}", "\u{85}", "\u{b}"]);
    insert(text, at, fresh.as_bytes());
}

pub(crate) fn joined(text: &mut Vec<u8>, random: &mut Random, bases: &[Node]) {
    let mut other = Vec::new();
    bases[random.below(bases.len())].write(&mut other, &mut None);
    let (end, start) = (seam(text, random), seam(&other, random));
    text.truncate(end);
    text.extend_from_slice(&other[start..]);
}

pub(crate) fn comma(text: &mut Vec<u8>, random: &mut Random, _: &[Node]) {
    let at = seam(text, random);
    match random.once_in(3) {
        true => {
            if let Some(comma) = text.iter().skip(at).position(|byte| *byte == b',') {
                text.remove(at + comma);
            }
        }
        false => insert(text, at, random.pick(&[",", ":", "]", "}", "[", "{", "\"", "'", "="]).as_bytes()),
    }
}

pub(crate) fn syntax(text: &mut Vec<u8>, random: &mut Random, _: &[Node]) {
    let at = within(text, random);
    match random.once_in(2) {
        true => insert(text, at, random.pick(&odd::ESCAPES).as_bytes()),
        false => {
            if let Some(at) = text.iter().rposition(u8::is_ascii_digit) {
                let fresh = random.pick(&[
                    "01", "+1", ".5", "1.", "1e", "0x10", "-", "--1", "1_000", "1e+", "-.5", "0e", "1.e2", "00", "-01",
                ]);
                text.splice(at..=at, fresh.bytes());
            }
        }
    }
}
