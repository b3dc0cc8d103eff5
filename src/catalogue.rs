//! What a server had when it was approved: each tool, prompt, resource and template under
//! its name, with the hash of its definition and, of a tool, its annotations.
//!
//! A server may change what it says of a tool at any time, to anyone. What it says now is
//! believed only if it is what it said then; policy sees the annotations of then.

use std::collections::BTreeMap;

use regorus::Value;

use crate::denial::Denial;
use crate::json::Json;
use crate::mcp::{Call, Listed};

/// A SHA-256.
pub type Digest = [u8; 32];

/// What was approved of one thing.
#[derive(Debug, Clone)]
pub struct Pin {
    /// The digest of its definition.
    pub sha256: Digest,
    /// Its annotations, if it is a tool.
    pub annotations: Option<Value>,
}

/// What was approved of a server.
#[derive(Debug, Default)]
pub struct Catalogue {
    /// By what it is and what it is called. Of a kind that is not here nothing was pinned,
    /// and nothing is asked.
    pub pins: BTreeMap<Listed, BTreeMap<String, Pin>>,
    /// Is a list refused for one entry that is not what it was? Else the entry is hidden.
    pub refuses_changes: bool,
    /// Is what was never pinned denied, and hidden?
    pub denies_unpinned: bool,
}

/// How an entry of a list stands to its pin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing is against it.
    Approved,
    /// It is not what it was.
    Changed,
    /// It was never pinned, and has to be.
    Unpinned,
}

/// What is hashed of a definition: the whole entry of the list, in its one spelling
/// (RFC 8785). Of a resource, how large it is and when it was changed is left out: that is
/// about its contents.
pub fn digest(listed: Listed, definition: &Json<'_>) -> Digest {
    let without: &[&[&str]] = match listed {
        Listed::Tool | Listed::Prompt => &[],
        Listed::Resource | Listed::Template => &[&["size"], &["annotations", "lastModified"]],
    };
    hmac_sha256::Hash::hash(&definition.canonical(without))
}

impl Catalogue {
    /// How an entry of a list stands to its pin.
    pub fn standing(&self, listed: Listed, name: &str, definition: &Json<'_>) -> Standing {
        let Some(pins) = self.pins.get(&listed) else { return Standing::Approved };
        match pins.get(name) {
            Some(pin) if pin.sha256 == digest(listed, definition) => Standing::Approved,
            Some(_) => Standing::Changed,
            None if self.denies_unpinned => Standing::Unpinned,
            None => Standing::Approved,
        }
    }

    /// Denies a message about what was never pinned, if it has to be: calling a tool, getting
    /// and completing a prompt, reading, completing and watching a resource.
    pub fn check(&self, call: &Call<'_>) -> Result<(), Denial> {
        if !self.denies_unpinned {
            return Ok(());
        }
        let name = call.name.as_deref();
        let is_pinned = match call.method.as_deref() {
            Some("tools/call") => name.is_none_or(|name| self.has(Listed::Tool, name)),
            Some("prompts/get") => name.is_none_or(|name| self.has(Listed::Prompt, name)),
            Some("completion/complete") => {
                let uri = call.uri.as_deref();
                name.is_none_or(|name| self.has(Listed::Prompt, name)) && uri.is_none_or(|uri| self.has_completed(uri))
            }
            Some(method) if method == "subscriptions/listen" || method.starts_with("resources/") => {
                call.uri.iter().chain(&call.uris).all(|uri| self.has_resource(uri))
            }
            _ => true,
        };
        if is_pinned { Ok(()) } else { Err(Denial::ToolUnpinned) }
    }

    /// The annotations that the called tool had, if it was pinned.
    pub fn annotations(&self, call: &Call<'_>) -> Option<&Value> {
        let name = call.name.as_deref().filter(|_| call.method.as_deref() == Some("tools/call"))?;
        self.pins.get(&Listed::Tool)?.get(name)?.annotations.as_ref()
    }

    fn has(&self, listed: Listed, name: &str) -> bool {
        self.pins.get(&listed).is_none_or(|pins| pins.contains_key(name))
    }

    /// A template is completed under its own name; no URI has a brace.
    fn has_completed(&self, uri: &str) -> bool {
        if uri.contains('{') { self.has(Listed::Template, uri) } else { self.has_resource(uri) }
    }

    /// A resource is pinned, or may be one of a template's. Where nothing is known of
    /// templates, any may be.
    fn has_resource(&self, uri: &str) -> bool {
        let templates = self.pins.get(&Listed::Template);
        self.has(Listed::Resource, uri)
            || templates.is_none_or(|templates| templates.keys().any(|template| may_expand(template, uri)))
    }
}

/// May a template (RFC 6570) become this URI? Its expressions may become anything.
fn may_expand(template: &str, uri: &str) -> bool {
    let (first, expressions) = template.split_once('{').unwrap_or((template, ""));
    let Some(mut rest) = uri.strip_prefix(first) else { return false };
    let mut literals: Vec<&str> = expressions.split('{').filter_map(|part| Some(part.split_once('}')?.1)).collect();
    let Some(last) = literals.pop() else { return rest.is_empty() };
    for literal in literals {
        let Some((_, behind)) = rest.split_once(literal) else { return false };
        rest = behind;
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Limits;
    use crate::mcp::{Dialect, VERSIONS};

    fn read(text: &str) -> Json<'_> {
        Json::read(text.as_bytes(), Limits { alike: true, exact: false, ..Limits::default() }).unwrap()
    }

    fn catalogue(denies_unpinned: bool, entries: &[(Listed, &str, &str)]) -> Catalogue {
        let mut catalogue = Catalogue { denies_unpinned, ..Catalogue::default() };
        for (listed, name, text) in entries {
            let sha256 = digest(*listed, &read(text));
            let annotations = read(text).as_object().unwrap().get("annotations").map(Json::to_value);
            let pins = catalogue.pins.entry(*listed).or_default();
            pins.insert((*name).to_owned(), Pin { sha256, annotations });
        }
        catalogue
    }

    const ECHO: &str = r#"{"name":"echo","description":"Says it again.","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true}}"#;

    #[test]
    fn the_hash_is_that_of_the_canonical_definition() {
        // As `python3 -c 'hashlib.sha256(json.dumps(.., sort_keys=True, separators=(",", ":")))'` says it.
        let digits: String = digest(Listed::Tool, &read(ECHO)).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digits, "790510958d237e103bdfa0b071fe22b9ee9394adabf1d26d7578055682223319");
    }

    #[test]
    fn an_entry_is_what_it_was_or_it_is_not() {
        let catalogue = catalogue(true, &[(Listed::Tool, "echo", ECHO)]);
        let respelled = r#" {"annotations": {"readOnlyHint" : true}, "inputSchema":{"type":"object"},
            "description":"Say\u0073 it again.", "name":"echo"}"#;
        for (name, text, expected) in [
            ("echo", ECHO, Standing::Approved),
            ("echo", respelled, Standing::Approved),
            ("echo", &ECHO.replace("again", "again. <IMPORTANT>"), Standing::Changed),
            ("echo", &ECHO.replace("true", "false"), Standing::Changed),
            ("echo", &ECHO.replace(r#""object""#, r#""object","required":["key"]"#), Standing::Changed),
            ("echo", &ECHO.replace(r#"{"name""#, r#"{"title":"Echo","name""#), Standing::Changed),
            ("other", ECHO, Standing::Unpinned),
        ] {
            assert_eq!(catalogue.standing(Listed::Tool, name, &read(text)), expected, "{text}");
        }
        // Of prompts nothing was pinned.
        assert_eq!(catalogue.standing(Listed::Prompt, "other", &read("{}")), Standing::Approved);
        let lenient = Catalogue { denies_unpinned: false, ..catalogue };
        assert_eq!(lenient.standing(Listed::Tool, "other", &read("{}")), Standing::Approved);
        assert_eq!(lenient.standing(Listed::Tool, "echo", &read("{}")), Standing::Changed);
    }

    #[test]
    fn a_resource_may_grow() {
        let text =
            |size: &str| format!(r#"{{"uri":"file:///a","size":{size},"annotations":{{"lastModified":"2027"}}}}"#);
        let catalogue = catalogue(true, &[(Listed::Resource, "file:///a", &text("1"))]);
        let standing = |text: &str| catalogue.standing(Listed::Resource, "file:///a", &read(text));
        assert_eq!(standing(&text("2")), Standing::Approved);
        assert_eq!(standing(&text("\"obey\"")), Standing::Changed);
    }

    #[test]
    fn what_was_never_pinned_is_denied_where_it_has_to_be() {
        let all = [
            (Listed::Tool, "echo", ECHO),
            (Listed::Prompt, "greet", "{}"),
            (Listed::Resource, "file:///a", "{}"),
            (Listed::Template, "db:///{table}/{+row}.json{?q}", "{}"),
        ];
        let (strict, lenient, nothing) = (catalogue(true, &all), catalogue(false, &all), catalogue(true, &[]));
        let uris = catalogue(true, &[(Listed::Resource, "file:///a", "{}")]);
        for (listed, name, is_pinned) in [
            (Listed::Tool, "echo", true),
            (Listed::Tool, "Echo", false),
            (Listed::Tool, "greet", false),
            (Listed::Prompt, "greet", true),
            (Listed::Prompt, "echo", false),
            (Listed::Resource, "file:///a", true),
            (Listed::Resource, "file:///b", false),
            (Listed::Resource, "db:///t/1/2.json", true),
            (Listed::Resource, "db:///t/1.json?q=3", true),
            (Listed::Resource, "db:///t/1.xml", false),
            (Listed::Resource, "db://t/1.json", false),
        ] {
            let call = Call::listed(listed, name, VERSIONS[0], &Dialect::default()).unwrap();
            assert_eq!(strict.check(&call).is_ok(), is_pinned, "{name}");
            assert!(lenient.check(&call).is_ok() && nothing.check(&call).is_ok(), "{name}");
            assert!(uris.check(&call).is_ok(), "{name}: a template may become any URI");
            let has_annotations = strict.annotations(&call).is_some();
            assert_eq!(has_annotations, listed == Listed::Tool && name == "echo", "{name}");
        }
    }
}
