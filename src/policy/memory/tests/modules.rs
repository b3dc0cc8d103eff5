//! Policies of several modules, of which a part does not look at arguments.

use crate::policy::evaluator::tests::generator::Generator;

struct Rule {
    package: usize,
    name: String,
    /// Of a function.
    parameters: usize,
    is_set: bool,
    /// Has it a value whatever is asked?
    is_total: bool,
}

const PACKAGES: [&str; 4] = ["mcp.authz", "lib", "lib.sub", "util"];

/// One policy as it is made.
pub(super) struct Modules<'g> {
    generator: &'g mut Generator,
    rules: Vec<Rule>,
    /// By package: the clauses of each of its modules.
    clauses: Vec<(usize, Vec<String>, Vec<String>)>,
    locals: usize,
}

impl<'g> Modules<'g> {
    pub(super) fn texts(generator: &'g mut Generator) -> Vec<String> {
        let mut own = Self { generator, rules: Vec::new(), clauses: Vec::new(), locals: 0 };
        for package in 0..PACKAGES.len() {
            for _ in 0..=own.roll(2) {
                let imports = own.imports(package);
                own.clauses.push((package, imports, Vec::new()));
            }
        }
        for number in 0..=3 + own.roll(6) {
            own.rule(number);
        }
        own.contract();
        let mut texts = Vec::new();
        for (package, imports, clauses) in std::mem::take(&mut own.clauses) {
            if clauses.is_empty() && own.roll(2) == 0 && package > 0 {
                continue;
            }
            texts.push(own.module(package, &imports, clauses));
        }
        texts
    }

    fn roll(&mut self, sides: usize) -> usize {
        self.generator.roll(sides)
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.roll(from.len())]
    }

    fn imports(&mut self, package: usize) -> Vec<String> {
        let all = [
            "data.lib",
            "data.lib.sub",
            "data.util",
            "input.mcp as m",
            "input.identity as who",
            "data.names",
            "data.never as gone",
        ];
        let mut imports = Vec::new();
        for import in all {
            let is_own = import == format!("data.{}", PACKAGES[package]);
            // A rule or a package of its name stands there.
            let is_below = package == 1 && import == "data.lib.sub";
            if !(is_own || is_below) && self.roll(2) == 0 {
                imports.push(format!("import {import}"));
            }
        }
        if self.roll(4) == 0 {
            imports.insert(0, "import rego.v1".to_owned());
        }
        imports
    }

    fn module(&mut self, package: usize, imports: &[String], mut clauses: Vec<String>) -> String {
        // In whatever order.
        for at in (1..clauses.len()).rev() {
            let other = self.roll(at + 1);
            clauses.swap(at, other);
        }
        let mut text = self.pick(&["", "# { \"\n", "# METADATA\n# title: é\n"]).to_owned();
        text.push_str(&format!("package {}", PACKAGES[package]));
        let between = |own: &mut Self| {
            own.pick(&[
                "\n\n",
                "\n",
                " ",
                "\t",
                " # }\n",
                " # deny contains \"x\" if true\n",
                "\n# 😀 `\n\n",
                "\n# METADATA\n# title: \"{\n",
                "\r\n",
            ])
            .to_owned()
        };
        for import in imports {
            text.push_str(self.pick(&["\n", "\n\n", " # i\n"]));
            text.push_str(import);
        }
        for clause in clauses {
            text.push_str(&between(self));
            text.push_str(&clause);
        }
        text.push_str(&between(self));
        if self.roll(4) == 0 { text.replace('\n', "\r\n").replace("\r\r", "\r") } else { text }
    }

    /// A module of this package, and the clause.
    fn put(&mut self, package: usize, make: impl FnOnce(&mut Self, usize) -> String) {
        let of: Vec<usize> = (0..self.clauses.len()).filter(|at| self.clauses[*at].0 == package).collect();
        let at = of[self.roll(of.len())];
        let clause = make(self, at);
        self.clauses[at].2.push(clause);
    }

    fn rule(&mut self, number: usize) {
        let package = self.roll(PACKAGES.len());
        let name = match self.roll(8) {
            0 => format!("v{number}"),
            1 => format!("values{number}"),
            _ => format!("r{number}"),
        };
        let mut rule = Rule { package, name: name.clone(), parameters: 0, is_set: false, is_total: false };
        // Whether it looks at what is unknown.
        let late = self.roll(3) == 0;
        match self.roll(8) {
            0 | 1 => {
                for _ in 0..=self.roll(2) {
                    self.put(package, |own, at| format!("{name} if {}", own.body(at, late, &[])));
                }
                if self.roll(3) == 0 {
                    self.put(package, |_, _| format!("default {name} := false"));
                    rule.is_total = true;
                }
            }
            2 => {
                let default = self.roll(2) == 0;
                self.put(package, |own, at| {
                    format!("{name} := {} if {}", own.value(at, late, &[]), own.body(at, late, &[]))
                });
                if default {
                    self.put(package, |own, _| {
                        format!("default {name} := {}", own.pick(&["null", "[]", "\"d\"", "{\"}\": `{`}", "false"]))
                    });
                    rule.is_total = true;
                }
            }
            3 => {
                rule.is_total = true;
                self.put(package, |own, at| {
                    format!(
                        "{name} := {} if {} else := {} if {} else := \"e\"",
                        own.literal(),
                        own.plain(at, late),
                        own.literal(),
                        own.plain(at, late)
                    )
                });
            }
            4 => {
                rule.is_set = true;
                rule.is_total = true;
                for _ in 0..=self.roll(3) {
                    self.put(package, |own, at| own.member(&name, at, late));
                }
            }
            5 => {
                rule.is_total = true;
                self.put(package, |own, at| format!("{name} := {}", own.total_value(at)));
            }
            kind => {
                rule.parameters = kind - 5;
                let parameters = ["p", "q"];
                let parameters = &parameters[..rule.parameters];
                // In one module: the interpreter takes parameters of all clauses for those of one.
                self.put(package, |own, at| {
                    let clauses = (0..=own.roll(2))
                        .map(|_| format!("{name}({}) if {}\n", parameters.join(", "), own.body(at, late, parameters)));
                    clauses.collect()
                });
            }
        }
        self.rules.push(rule);
    }

    fn contract(&mut self) {
        self.put(0, |_, _| "default allow := false".to_owned());
        for _ in 0..=self.roll(2) {
            let late = self.roll(4) > 0;
            self.put(0, |own, at| format!("allow if {}", own.body(at, late, &[])));
        }
        for name in ["deny", "scopes"] {
            for _ in 0..self.roll(4) {
                let late = self.roll(3) > 0;
                self.put(0, |own, at| own.member(name, at, late));
            }
        }
        if self.roll(4) == 0 {
            self.put(0, |own, at| format!("step_up := {{\"acr_values\": [\"x\"]}} if {}", own.plain(at, false)));
        }
    }

    fn member(&mut self, name: &str, at: usize, late: bool) -> String {
        self.locals += 1;
        let local = format!("l{}", self.locals);
        let body = self.body(at, late, &[]);
        let value = match self.roll(3) {
            0 => "input.identity.subject".to_owned(),
            _ => format!("{:?}", ["one", "two", "}", "é", "s"][self.roll(5)]),
        };
        let body = body.trim_end_matches('}').trim_end().to_owned();
        format!("{name} contains {local} if {body}\n\t{local} := {value}\n}}")
    }

    fn body(&mut self, at: usize, late: bool, locals: &[&str]) -> String {
        let mut text = "{\n".to_owned();
        match self.roll(10) {
            0 => text.push_str("\tdata.never\n"),
            1 => text.push_str("\tnot data.flag\n"),
            2 if self.clauses[at].1.iter().any(|import| import.ends_with(" gone")) => text.push_str("\tgone\n"),
            _ => {}
        }
        text.push_str("\tinput.mcp.method != data.limits\n");
        for _ in 0..=self.roll(3) {
            let statement = self.statement(at, late, locals);
            text.push_str(&format!("\t{statement}\n"));
        }
        text.push('}');
        text
    }

    /// A body without loops.
    fn plain(&mut self, at: usize, late: bool) -> String {
        let condition = self.condition(at, late, &[]);
        format!("{{ input.mcp.method != data.limits; {condition} }}")
    }

    fn statement(&mut self, at: usize, late: bool, locals: &[&str]) -> String {
        self.locals += 1;
        let local = format!("l{}", self.locals);
        match self.roll(8) {
            0 => {
                let from = self.collection(at);
                let inner = self.condition(at, late, &[&local]);
                format!("some {local} in {from}\n\t{local} != \"z\"\n\t{inner}")
            }
            1 => {
                let from = self.collection(at);
                let inner = self.condition(at, late, &[&local]);
                format!("every {local} in {from} {{\n\t\t{local} != \"z\"\n\t\t{inner}\n\t}}")
            }
            2 => {
                let from = self.collection(at);
                let inner = self.condition(at, late, &[&local]);
                format!(
                    "count([{local} | some {local} in {from}; {inner}]) {} {}",
                    self.pick(&[">", "==", "<="]),
                    self.roll(2)
                )
            }
            3 => format!("{local} := {}\n\t{local} != \"z\"", self.total_value(at)),
            _ => self.condition(at, late, locals),
        }
    }

    fn collection(&mut self, at: usize) -> String {
        let sets = self.rules_for(at, |rule| rule.is_set);
        match self.roll(4) {
            0 | 1 if !sets.is_empty() => {
                let rule = sets[self.roll(sets.len())];
                self.spelled(at, rule)
            }
            2 => "input.identity.roles".to_owned(),
            _ => self.pick(&["data.names", "[\"a\", \"b\"]", "data.limits"]).to_owned(),
        }
    }

    fn rules_for(&self, at: usize, is_it: impl Fn(&Rule) -> bool) -> Vec<usize> {
        let package = self.clauses[at].0;
        (0..self.rules.len()).filter(|rule| self.rules[*rule].package >= package && is_it(&self.rules[*rule])).collect()
    }

    /// A rule by one of its names.
    fn spelled(&mut self, at: usize, rule: usize) -> String {
        let (package, name) = (self.rules[rule].package, self.rules[rule].name.clone());
        let mut ways = vec![format!("data.{}.{name}", PACKAGES[package])];
        if self.clauses[at].0 == package {
            ways.push(name.clone());
            ways.push(name.clone());
        }
        for import in &self.clauses[at].1 {
            // To ask for a rule behind an import is to ask for the whole package, and is refused.
            if self.rules[rule].parameters > 0 && *import == format!("import data.{}", PACKAGES[package]) {
                ways.push(format!("{}.{name}", PACKAGES[package].rsplit('.').next().unwrap()));
            }
        }
        ways.swap_remove(self.generator.roll(ways.len()))
    }

    fn condition(&mut self, at: usize, late: bool, locals: &[&str]) -> String {
        let rules = self.rules_for(at, |_| true);
        if !rules.is_empty() && self.roll(2) == 0 {
            let rule = rules[self.roll(rules.len())];
            let spelled = self.spelled(at, rule);
            let Rule { parameters, is_set, is_total, .. } = self.rules[rule];
            return match (parameters, is_set) {
                (0, true) => {
                    let argument = self.argument(at, locals);
                    match self.roll(4) {
                        0 => format!("not {argument} in {spelled}"),
                        1 => format!("count({spelled}) {} 1", self.pick(&["<", "==", ">"])),
                        2 => format!("{spelled} == set()"),
                        _ => format!("{argument} in {spelled}"),
                    }
                }
                (0, false) => match self.roll(5) {
                    0 => format!("not {spelled}"),
                    1 => format!("{spelled} == {}", self.literal()),
                    2 if is_total => format!("{spelled} != {}", self.literal()),
                    3 if is_total => {
                        format!("type_name({spelled}) == {}", self.pick(&["\"null\"", "\"boolean\"", "\"string\""]))
                    }
                    _ => spelled,
                },
                (count, _) => {
                    let arguments: Vec<String> = (0..count).map(|_| self.argument(at, locals)).collect();
                    let call = format!("{spelled}({})", arguments.join(", "));
                    if self.roll(4) == 0 { format!("not {call}") } else { call }
                }
            };
        }
        let has = |own: &Self, end: &str| own.clauses[at].1.iter().any(|import| import.ends_with(end));
        let (m, who) = (has(self, " m"), has(self, " who"));
        let mcp = if m && self.roll(2) == 0 { "m" } else { "input.mcp" };
        let identity = if who && self.roll(2) == 0 { "who" } else { "input.identity" };
        let argument = self.argument(at, locals);
        if late && self.roll(3) > 0 {
            return match self.roll(8) {
                0 => format!("{mcp}.arguments.a == {}", self.literal()),
                1 => format!("{mcp}.arguments.n"),
                2 => format!("not {mcp}.arguments.a"),
                3 => format!("{mcp}.arguments.a == {argument}"),
                4 => "input.time.unix != 3".to_owned(),
                5 => format!("not {mcp}.arguments"),
                6 => "input.http.method != \"GET\"".to_owned(),
                _ => format!("is_array({mcp}.arguments.a)\n\tsome _ in {mcp}.arguments.a"),
            };
        }
        match self.roll(12) {
            0 => format!("{mcp}.name == {}", self.pick(&["\"a\"", "\"b\"", "\"x\""])),
            1 => format!("{mcp}.method == {}", self.pick(&["\"tools/call\"", "\"resources/read\""])),
            2 => format!("\"b\" in {identity}.roles"),
            3 => format!("{identity}.subject == \"alice\""),
            4 => format!("{identity}.claims.k == 1"),
            5 => format!("not {mcp}.name"),
            6 => format!("{mcp}.uri == \"a://b\""),
            7 => format!("not {mcp}.uri"),
            8 => format!("{argument} == {}", self.literal()),
            9 => format!("input.tool.annotations.readOnlyHint == {}", self.pick(&["true", "false"])),
            10 => "not input.tool".to_owned(),
            _ => format!("data.keyed[{mcp}.name] != {argument}"),
        }
    }

    fn argument(&mut self, at: usize, locals: &[&str]) -> String {
        match self.roll(4) {
            0 | 1 if !locals.is_empty() => self.pick(locals).to_owned(),
            2 => self.total_value(at),
            _ => self.literal(),
        }
    }

    fn value(&mut self, at: usize, late: bool, _: &[&str]) -> String {
        if late && self.roll(3) == 0 {
            return "input.time.unix".to_owned();
        }
        self.total_value(at)
    }

    /// What has a value always.
    fn total_value(&mut self, at: usize) -> String {
        let total = self.rules_for(at, |rule| rule.is_total && rule.parameters == 0);
        match self.roll(6) {
            0 | 1 if !total.is_empty() => {
                let rule = total[self.roll(total.len())];
                self.spelled(at, rule)
            }
            2 => "input.identity.subject".to_owned(),
            3 => "input.identity.roles".to_owned(),
            4 => "data.names".to_owned(),
            _ => self.literal(),
        }
    }

    fn literal(&mut self) -> String {
        self.pick(&[
            "\"a\"",
            "\"x\"",
            "1",
            "false",
            "null",
            "[]",
            "{\"k\": [1]}",
            "`}\n{`",
            "\"\\\"#\"",
            "\"é\"",
            "set()",
        ])
        .to_owned()
    }
}
