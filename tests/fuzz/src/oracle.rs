//! What a message means to servers that read it less strictly than the gate,
//! and what the policy of `world` says of it, in Rust.

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A value as it stands in the text, nothing of it left out.
#[derive(Debug, Clone, PartialEq)]
pub enum Tree {
    Null,
    Bool(bool),
    Number(f64),
    String(String),
    Array(Vec<Tree>),
    Object(Vec<(String, Tree)>),
}

impl Tree {
    pub fn read(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// Is one of its strings this text?
    pub fn has_text(&self, text: &str) -> bool {
        match self {
            Self::String(own) => own == text,
            Self::Array(items) => items.iter().any(|item| item.has_text(text)),
            Self::Object(members) => members.iter().any(|(_, value)| value.has_text(text)),
            _ => false,
        }
    }

    /// Arrays and objects within each other.
    pub fn depth(&self) -> u32 {
        match self {
            Self::Array(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            Self::Object(members) => 1 + members.iter().map(|(_, value)| value.depth()).max().unwrap_or(0),
            _ => 0,
        }
    }

    /// Values in all.
    pub fn count(&self) -> u32 {
        match self {
            Self::Array(items) => 1 + items.iter().map(Self::count).sum::<u32>(),
            Self::Object(members) => 1 + members.iter().map(|(_, value)| value.count()).sum::<u32>(),
            _ => 1,
        }
    }

    /// Does an object hold two members that some reader takes for one?
    pub fn has_alike(&self) -> bool {
        match self {
            Self::Array(items) => items.iter().any(Self::has_alike),
            Self::Object(members) => {
                let mut names: Vec<String> = members.iter().map(|(name, _)| fold(name)).collect();
                names.sort_unstable();
                names.windows(2).any(|pair| pair[0] == pair[1]) || members.iter().any(|(_, value)| value.has_alike())
            }
            _ => false,
        }
    }

    /// The longest name and the longest string, in bytes.
    pub fn longest(&self) -> (usize, usize) {
        let both = |a: (usize, usize), b: (usize, usize)| (a.0.max(b.0), a.1.max(b.1));
        match self {
            Self::String(text) => (0, text.len()),
            Self::Array(items) => items.iter().map(Self::longest).fold((0, 0), both),
            Self::Object(members) => {
                members.iter().map(|(name, value)| both((name.len(), 0), value.longest())).fold((0, 0), both)
            }
            _ => (0, 0),
        }
    }
}

/// How a server looks a member up.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    exact: bool,
    last: bool,
}

pub const READINGS: [Reading; 4] = [
    Reading { exact: true, last: true },
    Reading { exact: true, last: false },
    Reading { exact: false, last: true },
    Reading { exact: false, last: false },
];

impl Reading {
    fn get<'t>(self, tree: Option<&'t Tree>, name: &str) -> Option<&'t Tree> {
        let Tree::Object(members) = tree? else { return None };
        let mut same = members
            .iter()
            .filter(|(member, _)| if self.exact { member == name } else { fold(member) == name.to_ascii_lowercase() });
        let found = if self.last { same.next_back() } else { same.next() };
        found.map(|(_, value)| value)
    }
}

/// Everything that a decision depends on.
#[derive(Debug, PartialEq)]
pub struct Meaning<'t> {
    pub version: Option<&'t Tree>,
    pub id: Option<&'t Tree>,
    pub method: Option<&'t Tree>,
    pub name: Option<&'t Tree>,
    uri: Option<&'t Tree>,
    task: Option<&'t Tree>,
    path: Option<&'t Tree>,
    limit: Option<&'t Tree>,
    recursive: Option<&'t Tree>,
}

impl<'t> Meaning<'t> {
    pub fn of(message: &'t Tree, reading: Reading) -> Self {
        let get = |tree, name| reading.get(tree, name);
        let message = Some(message);
        let params = get(message, "params");
        let arguments = get(params, "arguments");
        Self {
            version: get(message, "jsonrpc"),
            id: get(message, "id"),
            method: get(message, "method"),
            name: get(params, "name"),
            uri: get(params, "uri"),
            task: get(params, "taskId"),
            path: get(arguments, "path"),
            limit: get(arguments, "limit"),
            recursive: get(get(arguments, "options"), "recursive"),
        }
    }

    pub fn method(&self) -> Option<&str> {
        self.method.and_then(Tree::as_str)
    }

    /// What the policy of `world` says.
    pub fn is_permitted(&self, subject: &str, scopes: &[&str], handshake: bool) -> bool {
        const FREE: [&str; 9] = [
            "initialize",
            "server/discover",
            "ping",
            "logging/setLevel",
            "tools/list",
            "prompts/list",
            "resources/list",
            "resources/templates/list",
            "notifications/",
        ];
        let method = self.method();
        let has_arguments = matches!(method, Some("tools/call" | "prompts/get"));
        if has_arguments
            && (self.path.and_then(Tree::as_str) == Some("/etc/shadow") || self.recursive == Some(&Tree::Bool(true)))
        {
            return false;
        }
        if handshake && method.is_some_and(|method| FREE.contains(&method) || method.starts_with(FREE[8])) {
            return true;
        }
        let name = self.name.and_then(Tree::as_str);
        if has_arguments && name == Some("write") && !scopes.contains(&"mcp:write") {
            return false;
        }
        subject == "alice"
            || (method == Some("tools/call") && name == Some("read") && self.limit == Some(&Tree::Number(10.0)))
    }
}

/// A name as the laxest reader sees it.
fn fold(name: &str) -> String {
    let seen = name.chars().filter(|c| !matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}'));
    let plain = seen.map(|c| match c {
        'ſ' => 's',
        '\u{212a}' => 'k',
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c),
        c => c,
    });
    plain.flat_map(char::to_lowercase).collect()
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Read)
    }
}

struct Read;

impl<'de> Visitor<'de> for Read {
    type Value = Tree;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Number(value as f64))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Number(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element()? {
            items.push(item);
        }
        Ok(Tree::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Tree::Object(members))
    }
}
