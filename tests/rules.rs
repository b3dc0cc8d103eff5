//! Rules without Rego against the Rego that they stand for: random rules, random
//! messages, two policies, one answer.
//!
//! `MCP_GATE_RULES=DIRECTORY` leaves each set of rules there, with its messages and
//! the answers, as a JSON document that OPA can be held against.

use libtest_mimic::{Failed, Trial};
use mcp_gate::config;
use mcp_gate::policy::BUNDLED;
use regorus::Engine;
use serde_json::{Map, Value, json};

/// Sets of rules, and messages for each.
const SETS: u64 = 60;
const MESSAGES: usize = 10;

pub(crate) fn trials() -> Vec<Trial> {
    vec![Trial::test("rules/they_say_what_their_rego_says", || equivalence().map_err(Failed::from))]
}

fn equivalence() -> Result<(), String> {
    let directory = std::env::var("MCP_GATE_RULES").ok();
    let sets = std::env::var("MCP_GATE_RULES_SETS").ok().map_or(SETS, |sets| sets.parse().expect("a number"));
    let mut seen = [0_usize; 6];
    for set in 0..sets {
        let mut random = Random(set);
        let rules: Vec<Value> = (0..=random.below(5)).map(|_| random.sound_rule()).collect();
        let rego = config::rego(&document(&json!(rules)))
            .map_err(|findings| format!("set {set}: {findings:?}\n{}", json!(rules)))?;
        let data = json!({"rules": rules});
        let mut written = engine(&[("rules.rego", &rego)], &data)?;
        let mut bundled = bundled(&data)?;
        let mut answers = Vec::new();
        for _ in 0..MESSAGES {
            let input = random.input();
            let expected = answer(&mut written, "data.mcp.authz", &input)?;
            let found = answer(&mut bundled, "data.mcp.rules", &input)?;
            if expected != found {
                return Err(format!(
                    "set {set}: expected {expected}, found {found}\n{input}\n{}\n{rego}",
                    json!(rules)
                ));
            }
            let said = [
                found["allow"] == true,
                found["deny"] != json!([]),
                found["scopes"] != json!([]),
                !found["step_up"].is_null(),
                found["visible"] == true,
            ];
            seen.iter_mut().zip(said).for_each(|(seen, said)| *seen += usize::from(said));
            seen[5] += 1;
            answers.push(json!({"input": input, "answer": found}));
        }
        if let Some(directory) = &directory {
            let document = json!({"rules": rules, "rego": rego, "answers": answers});
            std::fs::write(format!("{directory}/{set}.json"), document.to_string()).expect("a file");
        }
    }
    eprintln!("rules: allow, deny, scopes, step_up, visible of all: {seen:?}");
    match seen.iter().all(|seen| *seen >= seen_at_least(sets)) {
        true => Ok(()),
        false => Err(format!("expected each answer to be given, found {seen:?}")),
    }
}

/// A configuration with these rules, as far as they depend on more of it.
fn document(rules: &Value) -> Value {
    let pinned = json!({"wipe": {"annotations": {"destructiveHint": true}}});
    let resource = json!({"catalogue": {"tools": pinned}, "extensions": {"tools": ["doc://a/1", "a(b"]}});
    json!({"resources": [resource], "policy": {"rules": rules}})
}

/// A test that never sees an answer does not test it.
fn seen_at_least(sets: u64) -> usize {
    usize::try_from(sets / 10).expect("a small number")
}

fn engine(modules: &[(&str, &str)], data: &Value) -> Result<Engine, String> {
    let mut engine = Engine::new();
    engine.set_strict_builtin_errors(true);
    for (name, text) in modules {
        mcp_gate::rego::check_text(name, text).map_err(|refusal| format!("{refusal}\n{text}"))?;
        let added = engine.add_policy((*name).to_owned(), (*text).to_owned());
        added.map_err(|error| format!("{error}\n{text}"))?;
    }
    engine.add_data(data.clone().into()).map_err(|error| error.to_string())?;
    Ok(engine)
}

/// The bundled modules, what needs no input evaluated before, as the gate does it.
fn bundled(data: &Value) -> Result<Engine, String> {
    let of = |wanted: &[&str]| BUNDLED.into_iter().filter(|(name, _)| wanted.contains(name)).collect::<Vec<_>>();
    let mut index = engine(&of(&["mcp/index/rules.rego", "mcp/index/values.rego"]), data)?;
    let found = index.eval_query("data.mcp.index".to_owned(), false).map_err(|error| error.to_string())?;
    let mut at = found.result[0].expressions[0].value.clone();
    let mut engine = engine(&of(&["mcp/rules.rego", "mcp/conditions.rego"]), data)?;
    for name in ["index", "mcp"] {
        let mut outer = regorus::Value::new_object();
        outer.as_object_mut().expect("an object").insert(name.into(), at);
        at = outer;
    }
    engine.add_data(at).map_err(|error| error.to_string())?;
    Ok(engine)
}

/// What a package says, rule by rule; nothing is the empty set.
fn answer(engine: &mut Engine, package: &str, input: &Value) -> Result<Value, String> {
    engine.set_input(input.clone().into());
    let mut rule = |name: &str| -> Result<Option<Value>, String> {
        let path = format!("{package}.{name}");
        // A module that asks for nothing has no such rule.
        let is_missing = |error: &str| error.contains("not a valid rule path");
        match engine.eval_rule(path) {
            Ok(regorus::Value::Undefined) => Ok(None),
            Ok(value) => Ok(Some(serde_json::to_value(&value).expect("JSON"))),
            Err(error) if is_missing(&error.to_string()) => Ok(None),
            Err(error) => Err(format!("{name}: {error}\n{input}")),
        }
    };
    let is_true = |value: Option<Value>| value == Some(Value::Bool(true));
    // What arguments some rules leave to others, Rego that people read does not say.
    let visible = match package {
        "data.mcp.rules" => rule("grants")?.is_some_and(|grants| grants != json!([])) && !is_true(rule("hidden")?),
        _ => is_true(rule("visible")?),
    };
    Ok(json!({
        "allow": is_true(rule("allow")?),
        "deny": rule("deny")?.unwrap_or(json!([])),
        "scopes": rule("scopes")?.unwrap_or(json!([])),
        "step_up": rule("step_up")?,
        "visible": visible,
    }))
}

const TOOLS: [&str; 5] = ["read", "write", "weather_now", "weather_next", "w*"];
const URIS: [&str; 4] = ["doc://a/1", "doc://a/2", "doc://b", "doc://b/*"];
const GLOBS: [&str; 8] = ["*", "w*", "*e", "weather_*", "w*t", "*a*", "doc://*/1", "*(*"];
const TEXTS: [&str; 8] = ["NY", "LDN", "/srv/a", "/srv/b.txt", "wat", "", "é😀", "a(b)\n"];

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// At most this.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end + 1).unwrap()).unwrap()
    }

    fn once_in(&mut self, of: usize) -> bool {
        self.below(of - 1) == 0
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() - 1)].clone()
    }

    /// One that may match something.
    fn sound_rule(&mut self) -> Value {
        loop {
            let rule = self.rule();
            if config::rego(&document(&json!([rule]))).is_ok() {
                return rule;
            }
        }
    }

    fn rule(&mut self) -> Value {
        if self.once_in(4) {
            let mut rule = json!({"deny": self.matching(true)});
            if self.once_in(2) {
                rule["reason"] = self.pick(&["no \"way\"", "not today"]).into();
            }
            return rule;
        }
        json!({"allow": self.matching(true)})
    }

    fn matching(&mut self, has_exception: bool) -> Value {
        let mut part = Map::new();
        let kind = self.pick(&["tools", "tools", "prompts", "resources", "", ""]);
        match kind {
            "tools" | "prompts" => drop(part.insert(kind.into(), self.texts(&TOOLS))),
            "resources" => drop(part.insert(kind.into(), self.texts(&URIS))),
            _ => {}
        }
        let is_named = !part.is_empty();
        let keys = self.below(2) + usize::from(!is_named);
        for _ in 0..keys {
            let (key, value) = match self.below(15) {
                0 | 1 => ("subjects", self.texts(&["alice", "bob", "weather"])),
                2 => ("clients", self.texts(&["agent", "web"])),
                3 => ("issuers", self.texts(&["https://a.example.com", "https://b.example.com"])),
                4 => ("roles", self.texts(&["admin", "analyst", "reader"])),
                5 => ("groups", self.texts(&["eu", "us"])),
                6 => ("tenants", self.texts(&["acme", "globex"])),
                7 => ("scopes", self.some(&["read", "write", "admin"])),
                8 => ("claims", json!({"tenant": self.condition(2), "device": self.condition(2)})),
                9 if kind != "resources" => ("arguments", self.members(2)),
                10 if matches!(kind, "" | "tools") => (
                    "annotations",
                    json!({self.pick(&["destructiveHint", "readOnlyHint"]): self.pick(&[json!(true), json!({"absent": true})])}),
                ),
                11 => ("sources", self.some(&["10.0.0.0/8", "192.168.1.0/24", "2001:db8::/32"])),
                12 => ("principals", self.texts(&["spiffe://corp/a", "spiffe://corp/b"])),
                13 => (
                    "time",
                    self.pick(&[
                        json!({"days": ["mon", "wed"]}),
                        json!({"hours": ["00:00-08:00", "12:30-24:00"]}),
                        json!({"days": ["sun", "thu"], "hours": ["06:00-18:00"]}),
                    ]),
                ),
                14 => (
                    "login",
                    self.pick(&[
                        json!({"max_age": 300}),
                        json!({"acr": ["gold", "silver"]}),
                        json!({"max_age": 900, "acr": ["gold"]}),
                    ]),
                ),
                _ if !is_named => {
                    ("methods", self.some(&["tools/call", "resources/*", "response", "*", "prompts/get", "tools/*"]))
                }
                _ => ("subjects", self.texts(&["alice", "bob"])),
            };
            part.insert(key.into(), value);
        }
        if ["arguments", "annotations"].iter().any(|key| part.contains_key(*key)) {
            part.remove("methods");
        }
        if has_exception && self.once_in(3) {
            let mut unless = self.matching(false);
            if let Some(unless) = unless.as_object_mut() {
                let named = ["tools", "prompts", "resources"];
                if part.keys().any(|key| named.contains(&key.as_str()) || key == "arguments" || key == "annotations") {
                    named.iter().for_each(|key| drop(unless.remove(*key)));
                    ["arguments", "annotations"].iter().for_each(|key| drop(unless.remove(*key)));
                    if kind == "tools" {
                        unless.insert("arguments".into(), self.members(2));
                    }
                    unless.entry("roles").or_insert(json!(["admin"]));
                }
            }
            part.insert("unless".into(), unless);
        }
        part.into()
    }

    /// One to three of these.
    fn some(&mut self, from: &[&str]) -> Value {
        let mut some: Vec<&str> = from.iter().copied().filter(|_| self.once_in(2)).take(3).collect();
        if some.is_empty() {
            some.push(self.pick(from));
        }
        json!(some)
    }

    /// The same, or globs.
    fn texts(&mut self, from: &[&str]) -> Value {
        let mut some = self.some(from);
        if let (true, Some(some)) = (self.once_in(3), some.as_array_mut()) {
            let glob = Value::from(self.pick(&GLOBS));
            if !some.contains(&glob) {
                some.push(glob);
            }
        }
        some
    }

    fn members(&mut self, depth: usize) -> Value {
        let names = ["city", "n", "list", "in", "x-y"];
        let count = self.below(1);
        (0..=count).map(|_| (self.pick(&names).to_owned(), self.condition(depth))).collect::<Map<_, _>>().into()
    }

    fn condition(&mut self, depth: usize) -> Value {
        match self.below(if depth > 0 { 14 } else { 10 }) {
            0 => self.scalar(),
            1 | 2 => json!([self.scalar(), self.scalar(), self.scalar()]),
            3 => json!({"equals": self.value(1)}),
            4 => json!({"in": [self.value(1), self.scalar()]}),
            5 => json!({"prefix": self.pick(&["/srv", "N", "w", "é"])}),
            6 => json!({"glob": self.pick(&GLOBS)}),
            7 => json!({"min": self.below(3)}),
            8 => json!({"min": 0.5, "max": self.below(3) + 1}),
            9 => match self.below(2) {
                0 => json!({"size": {"max": self.below(4)}}),
                _ => json!({"size": {"min": self.below(2) + 1, "max": 3}}),
            },
            10 => json!({"absent": true}),
            11 => json!({"each": self.condition_of_present(depth - 1)}),
            12 => json!({"any": self.condition_of_present(depth - 1), "size": {"min": 1}}),
            _ => json!({"members": self.members(depth - 1)}),
        }
    }

    fn condition_of_present(&mut self, depth: usize) -> Value {
        loop {
            let condition = self.condition(depth);
            if condition.get("absent").is_none() {
                return condition;
            }
        }
    }

    fn scalar(&mut self) -> Value {
        match self.below(5) {
            0 => self.below(3).into(),
            1 => self.pick(&[json!(1.0), json!(2.5), json!(true), json!(false), Value::Null]),
            _ => self.pick(&TEXTS).into(),
        }
    }

    fn value(&mut self, depth: usize) -> Value {
        match self.below(4) {
            0 if depth > 0 => (0..self.below(3)).map(|_| self.value(depth - 1)).collect::<Vec<_>>().into(),
            1 if depth > 0 => self.object(depth - 1),
            _ => self.scalar(),
        }
    }

    fn object(&mut self, depth: usize) -> Value {
        let names = ["city", "n", "list", "in", "x-y"];
        let names: Vec<&str> = names.into_iter().filter(|_| self.once_in(2)).collect();
        names.into_iter().map(|name| (name.to_owned(), self.value(depth))).collect::<Map<_, _>>().into()
    }

    fn input(&mut self) -> Value {
        let mut mcp = match self.below(9) {
            0 => json!({"kind": "response"}),
            1 => json!({"kind": "request", "method": self.pick(&["tools/list", "initialize", "ping"])}),
            2 => {
                json!({"kind": "request", "method": "prompts/get", "name": self.pick(&TOOLS), "arguments": self.object(0)})
            }
            3 => json!({"kind": "request", "method": "completion/complete", "name": self.pick(&TOOLS)}),
            4 => json!({"kind": "request", "method": "resources/read", "uri": self.pick(&URIS)}),
            5 => {
                let mut mcp = json!({"kind": "request", "method": "subscriptions/listen", "uris": [self.pick(&URIS), self.pick(&URIS)]});
                if self.once_in(3) {
                    mcp["tasks"] = json!(["t1"]);
                }
                mcp
            }
            _ => {
                json!({"kind": "request", "method": "tools/call", "name": self.pick(&TOOLS), "arguments": self.object(2)})
            }
        };
        if self.once_in(4)
            && let Some(mcp) = mcp.as_object_mut()
        {
            mcp.remove("arguments");
        }
        let mut identity = json!({
            "issuer": self.pick(&["https://a.example.com", "https://b.example.com"]),
            "subject": self.pick(&["alice", "bob", "weather"]),
            "scopes": self.pick(&[json!([]), json!(["read"]), json!(["read", "write"])]),
            "roles": self.pick(&[json!([]), json!(["admin"]), json!(["analyst", "reader"])]),
            "groups": self.pick(&[json!([]), json!(["eu"]), json!(["eu", "us"])]),
        });
        if self.once_in(2) {
            identity["client_id"] = self.pick(&["agent", "web"]).into();
            identity["tenant"] = self.pick(&["acme", "globex"]).into();
        }
        if !self.once_in(5) {
            let mut claims = self.object(1);
            claims["tenant"] = self.value(1);
            claims["acr"] = self.pick(&[json!("gold"), json!("silver"), json!("bronze"), json!(1)]);
            claims["auth_time"] = self.pick(&[json!(1_795_391_900), json!(1_795_391_300), json!("now")]);
            identity["claims"] = claims;
        }
        let unix = 1_795_392_000 + self.below(7 * 86_400);
        let mut input = json!({"mcp": mcp, "identity": identity, "time": {"unix": unix}, "http": {"source": {}}});
        let address = self.pick(&["10.1.2.3", "192.168.1.9", "::ffff:10.1.2.3", "2001:db8::1", "8.8.8.8", "@pipe", ""]);
        if !address.is_empty() {
            input["http"]["source"]["address"] = address.into();
        }
        if self.once_in(2) {
            input["http"]["source"]["principal"] = self.pick(&["spiffe://corp/a", "spiffe://other"]).into();
        }
        if self.once_in(2) {
            input["tool"] = json!({"annotations": {"destructiveHint": self.once_in(2)}});
        }
        input
    }
}
