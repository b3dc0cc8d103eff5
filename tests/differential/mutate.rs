//! Changes to messages: to the tree, and (`bytes`) to what is written of it.

use crate::bytes;
use crate::message::{Node, token};
use crate::odd;
use crate::random::Random;

/// A text, and how it was made.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) text: Vec<u8>,
    pub(crate) kinds: Vec<&'static str>,
}

/// One kind of change.
#[derive(Clone, Copy)]
struct Kind {
    name: &'static str,
    /// How often it is drawn, against the others.
    weight: usize,
    change: Change,
}

#[derive(Clone, Copy)]
enum Change {
    Tree(fn(&mut Node, &mut Random, &[Node])),
    Bytes(fn(&mut Vec<u8>, &mut Random, &[Node])),
    /// A change that leaves the length as it is.
    Values(fn(&mut [u8], &mut Random)),
    /// White space where it is allowed.
    Space,
}

use Change::{Bytes, Space, Tree, Values};

const fn kind(name: &'static str, weight: usize, change: Change) -> Kind {
    Kind { name, weight, change }
}

/// Those that often leave a strict message weigh more: what is refused tests little.
const KINDS: [Kind; 38] = [
    kind("white space", 6, Space),
    kind("escapes", 8, Tree(escapes)),
    kind("order", 4, Tree(order)),
    kind("odd numbers", 6, Tree(odd_number)),
    kind("random numbers", 8, Tree(random_number)),
    kind("odd strings", 6, Tree(odd_string)),
    kind("random strings", 6, Tree(random_string)),
    kind("surrogates", 2, Tree(surrogates)),
    kind("other types", 3, Tree(other_type)),
    kind("nesting", 3, Tree(nesting)),
    kind("splice of trees", 6, Tree(splice)),
    kind("new members", 6, Tree(new_member)),
    kind("odd names", 3, Tree(odd_name)),
    kind("removed", 2, Tree(removed)),
    kind("swapped", 3, Tree(swapped)),
    kind("many", 1, Tree(many)),
    kind("a member twice", 2, Tree(twice)),
    kind("a member twice, escaped", 2, Tree(twice_escaped)),
    kind("case of a name", 2, Tree(case_of_a_name)),
    kind("invisible in a name", 2, Tree(invisible)),
    kind("odd ids", 2, Tree(odd_id)),
    kind("odd methods", 1, Tree(odd_method)),
    kind("odd envelope", 1, Tree(odd_envelope)),
    kind("truncated", 1, Bytes(bytes::truncated)),
    kind("byte order mark", 1, Bytes(bytes::mark)),
    kind("other encodings", 1, Bytes(bytes::encoding)),
    kind("comments", 1, Bytes(bytes::comment)),
    kind("other literals", 1, Bytes(bytes::literal)),
    kind("after the end", 2, Bytes(bytes::after)),
    kind("batch", 1, Bytes(bytes::batch)),
    kind("any byte", 1, Bytes(bytes::any_byte)),
    kind("a bit", 1, Values(bytes::bit)),
    kind("letter for letter", 8, Values(bytes::letter)),
    kind("invalid UTF-8", 1, Bytes(bytes::invalid_utf8)),
    kind("control characters", 1, Bytes(bytes::control)),
    kind("cut and joined", 1, Bytes(bytes::joined)),
    kind("commas", 1, Bytes(bytes::comma)),
    kind("odd syntax", 1, Bytes(bytes::syntax)),
];

/// All names of kinds.
pub(crate) fn kinds() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|kind| kind.name)
}

/// The case of a seed that has this number.
pub(crate) fn case(seed: u64, number: u64, bases: &[Node]) -> Case {
    let random = &mut Random::new(seed, number);
    let mut tree = bases[random.below(bases.len())].clone();
    // Mostly one change; two or three meet in the rest.
    let count = match random.below(16) {
        0 => 0,
        1..=10 => 1,
        11..=13 => 2,
        _ => 3,
    };
    let total: usize = KINDS.iter().map(|kind| kind.weight).sum();
    let mut drawn: Vec<Kind> = Vec::new();
    for _ in 0..count {
        let mut left = random.below(total);
        drawn.extend(KINDS.iter().find(|kind| match left.checked_sub(kind.weight) {
            Some(rest) => {
                left = rest;
                false
            }
            None => true,
        }));
    }
    let mut space = None;
    for kind in &drawn {
        match kind.change {
            Tree(change) => change(&mut tree, random, bases),
            Space => space = Some(random.clone()),
            Bytes(_) | Values(_) => {}
        }
    }
    let mut text = Vec::new();
    tree.write(&mut text, &mut space);
    for kind in &drawn {
        match kind.change {
            Bytes(change) => change(&mut text, random, bases),
            Values(change) => change(&mut text, random),
            Tree(_) | Space => {}
        }
    }
    Case { text, kinds: drawn.iter().map(|kind| kind.name).collect() }
}

fn is_string(node: &Node) -> bool {
    matches!(node, Node::Token(text) if text.first() == Some(&b'"'))
}

fn is_object(node: &Node) -> bool {
    matches!(node, Node::Object(_))
}

/// Any value within the arguments where there are some, or within params, or at all.
fn value<'a>(tree: &'a mut Node, random: &mut Random) -> Option<&'a mut Node> {
    let within = match random.below(8) {
        0 => return tree.any(random, |_| true),
        1 => tree.member("params")?,
        _ => {
            let params = tree.member("params")?;
            match params.member("arguments").is_some() {
                true => params.member("arguments")?,
                false => params,
            }
        }
    };
    // An object that holds nothing gets something.
    if let Node::Object(members) = &mut *within
        && members.is_empty()
    {
        members.push((token("x"), Node::Token(b"1".to_vec())));
    }
    match within {
        Node::Object(members) => {
            let index = random.below(members.len());
            members.get_mut(index)?.1.any(random, |_| true)
        }
        other => Some(other),
    }
}

fn put(tree: &mut Node, random: &mut Random, fresh: Vec<u8>) {
    if let Some(place) = value(tree, random) {
        *place = Node::Token(fresh);
    }
}

/// Spells a string in another way that means the same.
fn spell(text: &[u8], random: &mut Random) -> Vec<u8> {
    let Ok(Some(plain)) =
        serde_json::from_slice::<serde_json::Value>(text).map(|value| value.as_str().map(str::to_owned))
    else {
        return text.to_vec();
    };
    let mut out = String::from("\"");
    for c in plain.chars() {
        match (c, random.below(4)) {
            ('/', 0 | 1) => out.push_str("\\/"),
            (_, 0) => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| match random.once_in(2) {
                true => out.push_str(&format!("\\u{unit:04x}")),
                false => out.push_str(&format!("\\u{unit:04X}")),
            }),
            _ => {
                let one = token(&c.to_string());
                out.push_str(&String::from_utf8_lossy(&one[1..one.len() - 1]));
            }
        }
    }
    out.push('"');
    out.into_bytes()
}

fn escapes(tree: &mut Node, random: &mut Random, _: &[Node]) {
    for _ in 0..=random.below(6) {
        if random.once_in(2) {
            if let Some(members) = tree.any_members(random) {
                let index = random.below(members.len());
                members[index].0 = spell(&members[index].0, random);
            }
        } else if let Some(Node::Token(text)) = tree.any(random, is_string) {
            *text = spell(text, random);
        }
    }
}

fn order(tree: &mut Node, random: &mut Random, _: &[Node]) {
    for _ in 0..3 {
        if let Some(members) = tree.any_members(random) {
            for index in (1..members.len()).rev() {
                members.swap(index, random.below(index + 1));
            }
        }
    }
}

fn odd_number(tree: &mut Node, random: &mut Random, _: &[Node]) {
    let fresh = random.pick(&odd::NUMBERS).as_bytes().to_vec();
    put(tree, random, fresh);
}

fn random_number(tree: &mut Node, random: &mut Random, _: &[Node]) {
    let fresh = odd::number(random);
    put(tree, random, fresh.into_bytes());
}

fn odd_string(tree: &mut Node, random: &mut Random, _: &[Node]) {
    let fresh = random.pick(&odd::STRINGS).as_bytes().to_vec();
    match random.once_in(4) {
        true => {
            if let Some(place) = tree.any(random, is_string) {
                *place = Node::Token(fresh);
            }
        }
        false => put(tree, random, fresh),
    }
}

fn random_string(tree: &mut Node, random: &mut Random, _: &[Node]) {
    let fresh = token(&odd::text(random));
    put(tree, random, fresh);
}

fn surrogates(tree: &mut Node, random: &mut Random, _: &[Node]) {
    let fresh = random.pick(&odd::SURROGATES).as_bytes().to_vec();
    match (random.once_in(3), tree.any_members(random)) {
        (true, Some(members)) => {
            let index = random.below(members.len());
            members[index].0 = fresh;
        }
        _ => put(tree, random, fresh),
    }
}

fn other_type(tree: &mut Node, random: &mut Random, _: &[Node]) {
    let place = match random.once_in(2) {
        true => tree.any(random, |_| true),
        false => value(tree, random),
    };
    let Some(place) = place else { return };
    *place = match random.below(8) {
        0 => Node::Array(vec![place.clone()]),
        1 => Node::Object(vec![(token("toString"), place.clone())]),
        2 => Node::Token(b"null".to_vec()),
        3 => Node::Token(b"true".to_vec()),
        4 => Node::Token(b"1".to_vec()),
        5 => Node::Array(Vec::new()),
        6 => Node::Object(Vec::new()),
        _ => {
            let mut text = Vec::new();
            place.write(&mut text, &mut None);
            Node::Token(token(&String::from_utf8_lossy(&text)))
        }
    };
}

fn nesting(tree: &mut Node, random: &mut Random, _: &[Node]) {
    let depth = match random.below(8) {
        0 => 100 + random.below(1000),
        1 | 2 => 56 + random.below(12),
        _ => random.below(56),
    };
    let Some(place) = value(tree, random) else { return };
    let mut node = place.clone();
    for _ in 0..depth {
        node = match random.once_in(2) {
            true => Node::Array(vec![node]),
            false => Node::Object(vec![(token("a"), node)]),
        };
    }
    *place = node;
}

fn splice(tree: &mut Node, random: &mut Random, bases: &[Node]) {
    let mut other = bases[random.below(bases.len())].clone();
    let Some(fresh) = other.any(random, |_| true).cloned() else { return };
    if let Some(place) = value(tree, random) {
        *place = fresh;
    }
}

fn new_member(tree: &mut Node, random: &mut Random, bases: &[Node]) {
    let mut other = bases[random.below(bases.len())].clone();
    let fresh = match other.any_members(random) {
        Some(members) => members[random.below(members.len())].clone(),
        None => return,
    };
    let place = match random.once_in(6) {
        true => tree.any(random, is_object),
        false => value(tree, random),
    };
    match place {
        Some(Node::Object(members)) => {
            let index = random.below(members.len() + 1);
            members.insert(index, fresh);
        }
        Some(place) => *place = Node::Object(vec![fresh]),
        None => {}
    }
}

fn odd_name(tree: &mut Node, random: &mut Random, _: &[Node]) {
    let name = match random.below(24) {
        0 => format!("\"{}\"", "n".repeat(1000 + random.below(50))).into_bytes(),
        1..=8 => token(&odd::text(random)),
        _ => random.pick(&odd::NAMES).as_bytes().to_vec(),
    };
    let place = match random.once_in(4) {
        true => tree.any(random, is_object),
        false => value(tree, random),
    };
    match place {
        Some(Node::Object(members)) => {
            let index = random.below(members.len() + 1);
            members.insert(index, (name, Node::Token(b"\"5\"".to_vec())));
        }
        Some(place) => *place = Node::Object(vec![(name, place.clone())]),
        None => {}
    }
}

fn removed(tree: &mut Node, random: &mut Random, _: &[Node]) {
    if let Some(members) = tree.any_members(random) {
        let index = random.below(members.len());
        members.remove(index);
    }
}

fn swapped(tree: &mut Node, random: &mut Random, _: &[Node]) {
    let Some(members) = tree.any_members(random) else { return };
    let (first, second) = (random.below(members.len()), random.below(members.len()));
    let value = members[first].1.clone();
    members[first].1 = std::mem::replace(&mut members[second].1, value);
}

/// Long lists, and strings of thousands of bytes.
fn many(tree: &mut Node, random: &mut Random, _: &[Node]) {
    let size = 1 << random.below(12);
    let Some(place) = value(tree, random) else { return };
    *place = match random.once_in(2) {
        true => Node::Array(vec![place.clone(); size.min(256)]),
        false => Node::Token(token(&odd::text(random).repeat(size / 8 + 1))),
    };
}

fn twice(tree: &mut Node, random: &mut Random, _: &[Node]) {
    let Some(members) = tree.any_members(random) else { return };
    let (name, value) = members[random.below(members.len())].clone();
    let fresh = match random.below(3) {
        0 => value,
        1 => members[random.below(members.len())].1.clone(),
        _ => Node::Token(b"\"tools/list\"".to_vec()),
    };
    let index = random.below(members.len() + 1);
    members.insert(index, (name, fresh));
}

fn twice_escaped(tree: &mut Node, random: &mut Random, bases: &[Node]) {
    twice(tree, random, bases);
    if let Some(members) = tree.any_members(random) {
        let index = random.below(members.len());
        members[index].0 = spell(&members[index].0, random);
    }
}

/// Renames a member, or sets another beside it, by a change of its text.
fn rename(tree: &mut Node, random: &mut Random, change: impl FnOnce(&str, &mut Random) -> String) {
    let Some(members) = tree.any_members(random) else { return };
    let index = random.below(members.len());
    let Some((name, value)) = members.get(index).cloned() else { return };
    let fresh = change(&String::from_utf8_lossy(&name), random).into_bytes();
    match random.once_in(2) {
        true => members[index].0 = fresh,
        false => members.insert(random.below(members.len() + 1), (fresh, value)),
    }
}

fn case_of_a_name(tree: &mut Node, random: &mut Random, _: &[Node]) {
    rename(tree, random, |name, random| match random.below(5) {
        0 => name.to_uppercase(),
        1 => name.replacen('s', "\u{17f}", 1),
        2 => name.replacen('k', "\u{212a}", 1).replacen('i', "\u{131}", 1),
        3 => name
            .chars()
            .map(|c| char::from_u32(u32::from(c) + 0xfee0).filter(|_| c.is_ascii_lowercase()).unwrap_or(c))
            .collect(),
        _ => {
            let at = random.below(name.len());
            name.char_indices().map(|(index, c)| if index == at { c.to_ascii_uppercase() } else { c }).collect()
        }
    });
}

fn invisible(tree: &mut Node, random: &mut Random, _: &[Node]) {
    rename(tree, random, |name, random| {
        let hidden = random.pick(&[
            "\u{200b}", "\u{200d}", "\u{feff}", "\u{ad}", "\\u0000", "\\u200b", "\u{2060}", "\u{7f}", " ", "\u{301}",
        ]);
        let at = 1 + random.below(name.len().saturating_sub(1));
        match name.is_char_boundary(at) && at < name.len() {
            true => format!("{}{hidden}{}", &name[..at], &name[at..]),
            false => format!("\"{hidden}{}", &name[1..]),
        }
    });
}

fn set(tree: &mut Node, name: &str, value: &str) {
    match tree.member(name) {
        Some(place) => *place = Node::Token(value.as_bytes().to_vec()),
        None => {
            if let Node::Object(members) = tree {
                members.push((token(name), Node::Token(value.as_bytes().to_vec())));
            }
        }
    }
}

fn odd_id(tree: &mut Node, random: &mut Random, _: &[Node]) {
    let id = match random.once_in(3) {
        true => String::from_utf8(token(&odd::text(random))).unwrap(),
        false => (*random.pick(&odd::IDS)).to_owned(),
    };
    set(tree, "id", &id);
}

fn odd_method(tree: &mut Node, random: &mut Random, _: &[Node]) {
    set(tree, "method", random.pick(&odd::METHODS));
}

fn odd_envelope(tree: &mut Node, random: &mut Random, _: &[Node]) {
    let (name, value) = odd::ENVELOPE[random.below(odd::ENVELOPE.len())];
    set(tree, name, value);
}
