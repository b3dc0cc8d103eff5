//! Makes policies, data and questions, from a seed.

use serde_json::{Value, json};

/// xorshift64*
pub(in crate::policy) struct Generator {
    state: u64,
    /// The variables in scope.
    variables: Vec<String>,
    named: usize,
    /// Rules to refer to: name and number of parameters.
    helpers: Vec<(String, usize)>,
}

const WORDS: [&str; 7] = ["a", "b", "ab", "read_doc", "doc://x", "*", "b*"];
/// OPA wants a variable that is declared to be used.
const USED: &str = "[\"unused\"]";
const NAMES: [&str; 4] = ["x", "y", "list", "deep"];

impl Generator {
    pub(in crate::policy) fn new(seed: u64) -> Self {
        Self { state: seed | 1, variables: Vec::new(), named: 0, helpers: Vec::new() }
    }

    pub(in crate::policy) fn roll(&mut self, sides: usize) -> usize {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        usize::try_from((self.state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % sides as u64).unwrap()
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.roll(from.len())]
    }

    pub(in crate::policy) fn policy(&mut self) -> String {
        self.helpers.clear();
        let mut text = "package mcp.authz\n\ndefault allow := false\n\n".to_owned();
        for index in 0..self.roll(4) {
            text.push_str(&self.helper(&format!("h{index}")));
        }
        for _ in 0..=self.roll(2) {
            let body = self.body(3);
            text.push_str(&format!("allow if {body}\n"));
        }
        for rule in ["deny", "scopes"] {
            for _ in 0..=self.roll(2) {
                self.variables.clear();
                let (statements, key) = self.scoped(3, |own| match own.roll(3) {
                    0 => own.string(),
                    1 if own.roll(2) == 0 => format!("sprintf(\"%s-%v\", [{}, {}])", own.string(), own.string()),
                    1 => format!("sprintf(\"%v\", [{}])", own.term(1)),
                    _ => own.pick(&["\"one\"", "\"two\""]).to_owned(),
                });
                text.push_str(&self.member(rule, &statements, &key));
            }
        }
        text
    }

    /// One of a few rules, which look members up by names that they compute.
    pub(in crate::policy) fn keyed_policy(&mut self) -> String {
        self.helpers.clear();
        let mut text = "package mcp.authz\n\n".to_owned();
        if self.roll(3) == 0 {
            self.variables = vec!["p".to_owned()];
            let body = self.keyed();
            text.push_str(&format!("h(p) if {{\n\t{body}\n}}\n\n"));
            self.helpers.push(("h".to_owned(), 1));
        }
        for _ in 0..=self.roll(2) {
            self.variables.clear();
            let body = match self.roll(6) {
                0 => format!("not count([1 | {}]) == 1", self.keyed().replace("\n\t", "; ")),
                1 => format!("{}\n\t{}", self.keyed(), self.keyed()),
                2 if !self.helpers.is_empty() => {
                    format!("h({})", self.pick(&["\"x\"", "\"y\"", "\"deep\"", "input.mcp.name"]))
                }
                _ => self.keyed(),
            };
            text.push_str(&format!("allow if {{\n\tinput.mcp.method\n\t{body}\n}}\n\n"));
        }
        text
    }

    pub(in crate::policy) fn data(&mut self) -> Value {
        let some: Vec<Value> = (0..3).map(|_| self.value(2)).collect();
        let words: Vec<&str> = (0..self.roll(4)).map(|_| self.pick(&WORDS)).collect();
        json!({
            "words": words,
            "by_name": {"a": ["a", "b"], "read_doc": words, "x": ["*"]},
            "some": some,
            "limits": {"a": {"max": self.roll(5)}, "b": {"max": 2}},
            "any": self.value(3),
            "numbered": {"1": true, "2": "a", "a": 1},
            "names": ["x", "y"],
            "named": {"x": "deep", "list": "x"},
        })
    }

    pub(in crate::policy) fn input(&mut self) -> Value {
        let mut arguments = serde_json::Map::new();
        for name in NAMES {
            if self.roll(3) > 0 {
                arguments.insert(name.to_owned(), self.value(2));
            }
        }
        let roles: Vec<&str> = (0..self.roll(3)).map(|_| self.pick(&WORDS)).collect();
        let mut mcp = json!({"method": self.pick(&["tools/call", "tools/list"])});
        // A call names its tool, else it is no question (`rego::input::with_method`).
        if mcp["method"] == "tools/call" || self.roll(5) > 0 {
            mcp["name"] = self.pick(&WORDS).into();
        }
        if self.roll(8) > 0 {
            mcp["arguments"] = arguments.into();
        }
        // Roles are always there, be they none (`rego::input::is_always`).
        let identity = json!({"subject": self.pick(&WORDS), "roles": roles, "claims": {"x": self.value(2)}});
        json!({"version": 1, "mcp": mcp, "identity": identity, "time": {"unix": self.roll(5)}})
    }

    fn value(&mut self, depth: usize) -> Value {
        match self.roll(if depth == 0 { 5 } else { 8 }) {
            0 | 1 => self.pick(&WORDS).into(),
            2 => self.roll(5).into(),
            3 => [json!(-1), json!(1.5), json!(-2.5)][self.roll(3)].clone(),
            4 => [Value::Null, true.into(), false.into()][self.roll(3)].clone(),
            5 | 6 => (0..self.roll(3)).map(|_| self.value(depth - 1)).collect(),
            _ => {
                let members = (0..self.roll(3)).map(|_| (self.pick(&NAMES).to_owned(), self.value(depth - 1)));
                Value::Object(members.collect::<Vec<_>>().into_iter().collect())
            }
        }
    }

    /// A rule or function beside those of the contract.
    fn helper(&mut self, name: &str) -> String {
        self.variables.clear();
        let (text, parameters) = match self.roll(6) {
            0 => {
                let (body, value) = self.scoped(2, |own| own.term(2));
                self.variables.clear();
                let other = self.term(1);
                let rest = match self.roll(3) {
                    0 => format!("\n{name} := {other} if input.time.unix > 2\n"),
                    1 => String::new(),
                    _ => return self.with_else(name, &body, &value),
                };
                (format!("{name} := {value} if {{\n{body}}}\n{rest}\n"), 0)
            }
            1 => {
                let (body, key) = self.scoped(2, |own| own.term(1));
                (self.member(name, &body, &key), 0)
            }
            2 | 3 => {
                let mut text = String::new();
                for _ in 0..=self.roll(2) {
                    let second = self.pick(&["q", "q", "_"]);
                    self.variables =
                        ["p", second].iter().filter(|name| **name != "_").map(|name| (*name).to_owned()).collect();
                    let body = self.statements(2);
                    text.push_str(&format!("{name}(p, {second}) if {{\n{body}}}\n\n"));
                }
                (text, 2)
            }
            4 => {
                self.variables = vec!["p".to_owned()];
                let (body, value) = self.scoped(2, |own| own.term(2));
                (format!("{name}(p) := {value} if {{\n{body}}}\n\n"), 1)
            }
            _ => {
                let bodies = (0..=self.roll(2)).map(|_| format!("{name} if {}\n", self.body(2)));
                (bodies.collect(), 0)
            }
        };
        self.helpers.push((name.to_owned(), parameters));
        text
    }

    fn with_else(&mut self, name: &str, body: &str, value: &str) -> String {
        let other = self.pick(&["1", "\"b\"", "[1]"]);
        self.helpers.push((name.to_owned(), 0));
        format!("{name} := {value} if {{\n{body}}} else := {other}\n\n")
    }

    fn body(&mut self, most: usize) -> String {
        self.variables.clear();
        format!("{{\n{}}}\n", self.statements(most))
    }

    /// A clause of a set. What may be undefined behind a loop is refused in its head.
    fn member(&mut self, rule: &str, statements: &str, key: &str) -> String {
        if self.roll(8) == 0 {
            return format!("{rule} contains {key} if {{\n{statements}}}\n\n");
        }
        let name = self.fresh();
        format!("{rule} contains {name} if {{\n{statements}\t{name} := {key}\n}}\n\n")
    }

    /// Statements, and what follows from them.
    fn scoped(&mut self, most: usize, then: impl FnOnce(&mut Self) -> String) -> (String, String) {
        let before = self.variables.clone();
        let statements = self.statements(most);
        let value = then(self);
        self.variables = before;
        (statements, value)
    }

    fn statements(&mut self, most: usize) -> String {
        // Both documents once, so that what follows may look at them in a loop.
        let first = if self.roll(3) == 0 { "" } else { "\tinput.mcp.method != data.limits\n" };
        let rest: String = (0..=self.roll(most)).map(|_| format!("\t{}\n", self.statement())).collect();
        format!("{first}{rest}")
    }

    /// A variable that no other clause has.
    fn fresh(&mut self) -> String {
        self.named += 1;
        format!("v{}", self.named)
    }

    /// Something inside of which a variable has a value.
    fn under(&mut self, name: &str) -> String {
        self.variables.push(name.to_owned());
        let inner = self.condition();
        self.variables.pop();
        inner
    }

    fn statement(&mut self) -> String {
        match self.roll(14) {
            0 | 1 => {
                let (name, from) = (self.fresh(), self.collection());
                self.variables.push(name.clone());
                format!("some {name} in {from}\n\t{name} != {USED}")
            }
            2 => {
                let (key, name, from) = (self.fresh(), self.fresh(), self.collection());
                self.variables.extend([key.clone(), name.clone()]);
                format!("some {key}, {name} in {from}\n\t[{key}, {name}] != {USED}")
            }
            3 => {
                let (name, value) = (self.fresh(), self.term(2));
                self.variables.push(name.clone());
                format!("{name} := {value}")
            }
            4 => {
                let term = self.reference();
                let call = match self.roll(4) {
                    0 => format!("startswith({term}, {})", self.string()),
                    1 => format!("glob.match({}, null, {term})", self.pick(&["\"a*\"", "\"*\"", "data.words[_]"])),
                    2 => format!("contains(lower({term}), \"a\")"),
                    _ => format!("count(split({term}, \"b\")) > 1"),
                };
                if self.roll(16) == 0 { call } else { format!("is_string({term})\n\t{call}") }
            }
            5 => {
                let term = self.reference();
                let compare = format!("{term} {} {} >= {}", self.pick(&["+", "-", "*"]), self.roll(3), self.roll(3));
                if self.roll(16) == 0 { compare } else { format!("is_number({term})\n\t{compare}") }
            }
            6 => {
                let (name, from) = (self.fresh(), self.collection());
                let inner = self.under(&name);
                let before =
                    if self.roll(4) == 0 { String::new() } else { format!("count({from}) >= {}\n\t", self.roll(2)) };
                format!("{before}every {name} in {from} {{\n\t\t{name} != {USED}\n\t\t{inner}\n\t}}")
            }
            7 => {
                let (name, from) = (self.fresh(), self.collection());
                let inner = self.under(&name);
                let (open, close) = if self.roll(2) == 0 { ("[", "]") } else { ("{", "}") };
                let compare = self.pick(&[">", "==", "<="]);
                format!("count({open}{name} | some {name} in {from}; {inner}{close}) {compare} {}", self.roll(2))
            }
            8 => {
                let term = self.reference();
                let guard = self.pick(&["is_array", "is_object"]);
                let name = self.fresh();
                self.variables.push(name.clone());
                format!("{guard}({term})\n\tsome {name} in {term}\n\t{name} != {USED}")
            }
            _ => self.condition(),
        }
    }

    /// A look-up by a name, of which data may know what it can be.
    fn keyed(&mut self) -> String {
        let names = self.pick(&["data.names", "data.names", "data.named", "data.words"]);
        let object = self.pick(&["input.mcp.arguments", "input.identity.claims", "input.mcp.arguments.deep"]);
        let guard = match self.roll(8) {
            0 => format!("some {} in {names}", self.pick(&["_", "i, _"])),
            1 => format!("{} in {names}", self.argument()),
            kind => {
                let name = self.fresh();
                self.variables.push(name.clone());
                let value = self.pick(&["\"x\"", "\"other\"", "input.mcp.name"]);
                match kind {
                    2 | 3 => format!("some {name} in {names}"),
                    4 => format!("some {name}, _ in {names}"),
                    5 => format!("some {name}\n\t{name} in {names}"),
                    6 => format!("{name} := {value}\n\t{name} in {names}"),
                    _ => format!("{name} := {value}\n\tnot {name} in {names}"),
                }
            }
        };
        let is_wild = self.roll(if guard.contains("_ ") { 2 } else { 8 }) == 0;
        let key = match self.variables.last().cloned() {
            _ if is_wild => "_".to_owned(),
            Some(last) if self.roll(4) > 0 => last,
            _ => self.argument(),
        };
        let found = match self.roll(8) {
            0 => {
                let names = self.pick(&["\"x\"", "\"y\"", "[\"deep\", \"x\"]"]);
                format!("object.get({object}, {names}, {}) == {}", self.roll(2), self.roll(2))
            }
            1 => format!("object.get({object}, {key}, 0) == {}", self.roll(2)),
            2 => {
                let name = self.fresh();
                self.variables.push(name.clone());
                format!("{name} := {object}[{key}]\n\t{name} != {USED}")
            }
            3 => format!("abs({object}[{key}]) > 0"),
            4 => format!("{object}[{key}] == {}", self.term(0)),
            _ => format!("{object}[{key}] != {USED}"),
        };
        format!("{guard}\n\t{found}")
    }

    /// A statement that gives no variable a value.
    fn condition(&mut self) -> String {
        let kinds = if self.roll(4) == 0 { 12 } else { 8 };
        let condition = match self.roll(kinds) {
            0 => format!("{} {} {}", self.term(1), self.pick(&["==", "!=", "==", "<"]), self.term(1)),
            1 => format!("{} {} {}", self.string(), self.pick(&["<", ">=", "!="]), self.string()),
            2 => format!("{} in {}", self.term(1), self.collection()),
            3 => self.reference(),
            4 => format!("{}({})", self.pick(&["is_string", "is_number", "is_null", "is_boolean"]), self.term(1)),
            5 => self.call(),
            6 => format!("input.mcp.name == {}", self.string()),
            8 => format!("{}, {} in {}", self.term(1), self.term(1), self.collection()),
            9 => {
                let inner = self.condition();
                let (open, close) = if self.roll(2) == 0 { ("[", "]") } else { ("{", "}") };
                format!("count({open}1 | {inner}{close}) {} {}", self.pick(&["==", ">="]), self.roll(2))
            }
            10 => format!("{}[_] == {}", self.pick(&["data.words", "data.some", "input.identity.roles"]), self.term(1)),
            11 => format!("data.numbered[{}]", self.argument()),
            _ => {
                let from = self.pick(&["{\"a\", \"b\"}", "[1, 2, \"ab\"]", "input.identity.roles"]);
                format!("{} in {from}", self.reference())
            }
        };
        match self.roll(40) {
            0..3 => format!("not {} == {}", self.reference(), self.roll(3)),
            3..6 => format!("not {}", self.reference()),
            6 => format!("not {condition}"),
            _ => condition,
        }
    }

    fn call(&mut self) -> String {
        let helpers = self.helpers.clone();
        match helpers.get(self.roll(helpers.len() + 1)) {
            Some((name, 0)) => name.clone(),
            Some((name, 1)) => format!("{name}({})", self.argument()),
            Some((name, _)) => format!("{name}({}, {})", self.argument(), self.argument()),
            None => "input.mcp.method == \"tools/call\"".to_owned(),
        }
    }

    /// Something that has a value, more often than not.
    fn argument(&mut self) -> String {
        let variables = self.variables.clone();
        match self.roll(6) {
            0 => self.term(1),
            1 => "data.words".to_owned(),
            2 => self.roll(3).to_string(),
            _ if variables.is_empty() => "\"b\"".to_owned(),
            _ => variables[self.roll(variables.len())].clone(),
        }
    }

    fn string(&mut self) -> String {
        match self.roll(3) {
            0 => "input.mcp.name".to_owned(),
            1 => "input.identity.subject".to_owned(),
            _ => format!("{:?}", self.pick(&WORDS)),
        }
    }

    fn collection(&mut self) -> String {
        match self.roll(24) {
            0..6 => "input.identity.roles".to_owned(),
            6..9 => "data.words".to_owned(),
            9..12 => "data.by_name[input.mcp.name]".to_owned(),
            12..14 => "data.limits".to_owned(),
            14..16 => "data.some".to_owned(),
            16..20 => format!("[{}, {}]", self.term(1), self.term(1)),
            20..23 => format!("{{{}, {}}}", self.string(), self.string()),
            _ => self.reference(),
        }
    }

    fn reference(&mut self) -> String {
        let variables = self.variables.clone();
        match self.roll(7) {
            0..3 if !variables.is_empty() => {
                let name = variables[self.roll(variables.len())].clone();
                if self.roll(5) == 0 { format!("{name}.{}", self.pick(&NAMES)) } else { name }
            }
            3 => "input.identity.claims.x".to_owned(),
            4 => "data.limits[input.mcp.name].max".to_owned(),
            5 => self.pick(&["data.any", "input.time.unix", "input.mcp.name", "data.missing.x"]).to_owned(),
            _ => format!("input.mcp.arguments.{}", self.pick(&NAMES)),
        }
    }

    fn term(&mut self, depth: usize) -> String {
        match self.roll(if depth == 0 { 5 } else { 8 }) {
            0 => self.roll(4).to_string(),
            1 => self.string(),
            2..5 => self.reference(),
            5 => format!("[{}]", self.term(depth - 1)),
            6 => format!("{{\"x\": {}}}", self.term(depth - 1)),
            _ => match self.call() {
                // An expression, but no term.
                call if call.contains("==") => self.string(),
                call => call,
            },
        }
    }
}
