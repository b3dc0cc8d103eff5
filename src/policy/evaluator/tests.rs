pub(in crate::policy) mod generator;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufWriter, Write};

use serde_json::json;

use super::*;
use crate::policy::compiler::{self, Asked, Modules, compile_rules, fold};
use crate::rego::{self, Bundle};
use generator::Generator;

fn compiled(files: &[(&str, &str)], data: &serde_json::Value) -> Result<Rules<'static>, Vec<Refusal>> {
    let mut modules = Modules::parse(files.to_vec())?;
    let analysis = rego::analyse(modules.engine.get_modules(), &|_, _| true)?;
    compile_rules(modules, data, &analysis, ASKED).map(|(rules, _)| rules)
}

fn evaluator(files: &[(&str, &str)], data: &serde_json::Value) -> Result<Evaluator, Vec<Refusal>> {
    compiled(files, data).map(|rules| Evaluator::new(rules, LIMIT).unwrap())
}

fn allow(evaluator: &Evaluator, input: serde_json::Value) -> Value {
    evaluator.ask(input.into(), None).unwrap().rule("allow").unwrap()
}

const AUTHZ: &str = "package mcp.authz\nimport data.lib.index\ndefault allow := false\n\
    allow if input.mcp.name in index.tools[input.identity.subject]\n";
#[test]
fn a_constant_package_stands_as_data() {
    let comprehension = "package lib.index\n\
        tools := {who: tools | some who, list in data.grants; tools := {tool | some tool in _all(list)}}\n\
        _all(list) := list\n";
    let partial = "package lib.index\n\
        tools[who] contains tool if {\n some who, list in data.grants\n some tool in list\n}\n";
    for index in [comprehension, partial] {
        let data = json!({"grants": {"alice": ["read", "write"], "bob": ["read"]}});
        let rules = compiled(&[("authz.rego", AUTHZ), ("index.rego", index)], &data).unwrap();
        let tools = values::decode(&rules.data).unwrap()[0]["lib"]["index"]["tools"].clone();
        let evaluator = Evaluator::new(rules, LIMIT).unwrap();
        assert_eq!(tools["alice"], Value::from(BTreeSet::from(["read".into(), "write".into()])));
        assert_eq!(tools["bob"], Value::from(BTreeSet::from(["read".into()])));
        let ask =
            |who: &str, tool: &str| allow(&evaluator, json!({"identity": {"subject": who}, "mcp": {"name": tool}}));
        assert_eq!(ask("alice", "write"), Value::from(true));
        assert_eq!(ask("bob", "write"), Value::from(false));
        assert_eq!(ask("eve", "read"), Value::from(false));
    }
}

#[test]
fn a_constant_package_that_fails_is_refused_at_load() {
    let index = "package lib.index\ntools := {\"alice\": {name}} if name := concat(\"\", [data.grants])\n";
    let refusals = evaluator(&[("authz.rego", AUTHZ), ("index.rego", index)], &json!({"grants": 1})).err().unwrap();
    assert_eq!((refusals[0].file.as_str(), refusals[0].line), ("index.rego", 2), "{refusals:?}");
}

/// regorus forgets what a loop gave before a turn that gives nothing; OPA does not.
#[test]
fn a_head_that_may_be_undefined_behind_a_loop_is_refused() {
    let load = |rules: &str| {
        let policy = format!("package mcp.authz\ndefault allow := false\nallow if input.mcp.name\n{rules}\n");
        compiled(&[("authz.rego", &policy)], &json!({})).map(drop).map_err(|refusals| refusals[0].to_string())
    };
    for head in [
        "deny contains x.reason if some x in input.mcp.arguments.list",
        "deny contains input.mcp.arguments.list[_].reason if input.mcp.name",
        "deny contains x.reason if x := input.mcp.arguments.list[i]",
        "deny contains input.mcp.arguments.list[i].reason if input.mcp.name",
        "deny contains value.reason if walk(input.mcp.arguments, [_, value])",
        "h := x.name if some x in input.mcp.arguments.list\ndeny contains \"h\" if h == 1",
        "h[x.name] := 1 if some x in input.mcp.arguments.list\ndeny contains \"h\" if h.a",
    ] {
        let refusal = load(head).expect_err(head);
        assert!(refusal.contains("may be undefined behind a loop"), "{head}: {refusal}");
    }
    for head in [
        "deny contains reason if { some x in input.mcp.arguments.list\n reason := x.reason }",
        "deny contains sprintf(\"%v\", [x]) if some x in input.mcp.arguments.list",
        "deny contains input.mcp.arguments.reason if input.mcp.name",
        "deny contains data.reasons[i] if { i := input.mcp.name\n i != \"\" }",
    ] {
        assert_eq!(load(head), Ok(()), "{head}");
    }
    let index = "package lib.index\ntools contains grant.tool if some grant in data.grants\n";
    let refusals = evaluator(&[("authz.rego", AUTHZ), ("index.rego", index)], &json!({"grants": []})).err().unwrap();
    assert_eq!((refusals[0].file.as_str(), refusals[0].line), ("index.rego", 2), "{refusals:?}");
}

/// To OPA `[x | some x in {a, b}]` has two items where `a` is `b`.
#[test]
fn a_list_of_what_a_written_set_holds_is_refused() {
    for (set, is_refused) in [
        ("{input.mcp.name, input.identity.subject}", true),
        ("{input.mcp.name, \"a\"}", true),
        ("{input.mcp.name}", false),
        ("{\"a\", \"b\"}", false),
        ("{x | some x in {input.mcp.name, \"a\"}}", false),
        ("[input.mcp.name, \"a\"]", false),
    ] {
        let policy = format!("package mcp.authz\ndefault allow := false\nallow if count([y | some y in {set}]) == 1\n");
        let refusals = evaluator(&[("authz.rego", &policy)], &json!({})).err().unwrap_or_default();
        let is_found = refusals.iter().any(|refusal| refusal.reason.contains("OPA goes twice"));
        assert_eq!(is_found, is_refused, "{set}: {refusals:?}");
    }
}

#[test]
fn a_constant_package_that_takes_too_long_is_refused_at_load() {
    let index = "package lib.index\n\
        tools := {\"alice\": {name | some name in data.grants; some other in data.grants; name != other}}\n";
    let files = [("authz.rego", AUTHZ), ("index.rego", index)];
    let mut modules = Modules::parse(files.to_vec()).unwrap();
    let analysis = rego::analyse(modules.engine.get_modules(), &|_, _| true).unwrap();
    modules.engine.add_data(json!({"grants": (0..1000).collect::<Vec<_>>()}).into()).unwrap();
    let refusals = fold(modules, &analysis, Duration::from_millis(5)).err().unwrap();
    let refusal = refusals[0].to_string();
    assert!(refusal.starts_with("lib.index:1:1: expected to be evaluated within 5 ms"), "{refusal}");
}

#[test]
fn what_takes_the_machine_too_many_instructions_is_denied() {
    let policy = "package mcp.authz\ndefault allow := false\nallow if {\n known\n some number in data.numbers\n\
        number == input.mcp.arguments.number\n}\nknown if input.mcp.name in data.names\n";
    // More than the machine takes if nobody tells it.
    let data = json!({"numbers": (0..100_000).collect::<Vec<_>>(), "names": ["a"]});
    let evaluator = evaluator(&[("authz.rego", policy)], &data).unwrap();
    let machines = evaluator.machines().unwrap();
    let input: Value = json!({"mcp": {"name": "a", "arguments": {"number": 99_999}}}).into();
    let known = evaluator.know(input.clone());
    for (machine, known) in
        [(&machines.whole, None), (&machines.residual.as_ref().unwrap().machine, Some(known.unwrap()))]
    {
        let ask = || evaluator.ask(input.clone(), known.clone()).unwrap().rule("allow");
        assert_eq!(ask().unwrap(), Value::from(true));
        machine.borrow_mut().set_max_instructions(50);
        let denial = ask().unwrap_err();
        assert_eq!(denial, Denial::PolicyError("more than 50 instructions of the virtual machine".into()));
    }
}

#[test]
fn what_is_left_says_nothing_of_other_rules_and_inputs() {
    let policy = "package mcp.authz\nallow if {\n known\n input.mcp.arguments.a\n}\nknown if input.mcp.name\n\
        visible if known\n";
    let mut modules = Modules::parse(vec![("authz.rego", policy)]).unwrap();
    let analysis = rego::analyse(modules.engine.get_modules(), &|_, _| true).unwrap();
    let (rules, _) = compile_rules(modules, &json!({}), &analysis, compiler::ASKED).unwrap();
    let evaluator = Evaluator::new(rules, LIMIT).unwrap();
    let input: Value = json!({"mcp": {"name": "a", "arguments": {"a": 1}}}).into();
    let known = || evaluator.know(input.clone());
    assert!(known().is_some());
    let mut asked = evaluator.ask(input.clone(), known()).unwrap();
    assert_eq!(asked.rule("allow").unwrap(), Value::from(true));
    assert_eq!(asked.rule("visible").unwrap_err().code(), "policy_error");
    assert_eq!(asked.rule("deny").unwrap(), Value::Undefined);
    drop(asked);
    assert_eq!(evaluator.ask(Value::from(1), known()).err().unwrap().code(), "policy_error");
}

#[test]
fn what_the_machine_does_not_find_out_beforehand_it_finds_out_with_the_rest() {
    let policy = "package mcp.authz\ndefault allow := false\nallow if {\n known\n input.mcp.arguments.number == 1\n}\n\
        known if {\n some number in data.numbers\n number == input.mcp.name\n}\n";
    for (count, is_known) in [(100, true), (100_000, false)] {
        let numbers = json!({"numbers": (0..count).collect::<Vec<_>>()});
        let evaluator = evaluator(&[("authz.rego", policy)], &numbers).unwrap();
        assert!(evaluator.known_reads().is_some());
        for (name, number, expected) in [(99, 1, true), (99, 2, false), (count, 1, false)] {
            let input: Value = json!({"mcp": {"name": name, "arguments": {"number": number}}}).into();
            let known = evaluator.know(input.clone());
            assert_eq!(known.is_some(), is_known);
            let said = evaluator.ask(input, known).unwrap().rule("allow").unwrap();
            assert_eq!(said, Value::from(expected), "{name}, {number}");
        }
    }
}

const RULES: [&str; 3] = ["allow", "deny", "scopes"];
const ASKED: Asked<'static> = Asked { all: &RULES, of_calls: &RULES };

/// For rules of a test, of which a build for debugging makes much.
const LIMIT: Duration = Duration::from_secs(5);

/// A policy, by both evaluators; whether the machine may decide it.
struct Both {
    engine: Engine,
    machine: Option<RegoVM>,
    /// The machines of a policy in two parts.
    parts: Option<(RegoVM, Residual)>,
    verdict: Result<(), Refusal>,
}

impl Both {
    /// None if it is refused at load.
    fn load(policy: &str, data: &serde_json::Value) -> Option<Self> {
        let mut modules = Modules::parse(vec![("authz.rego", policy)]).ok()?;
        let analysis = rego::analyse(modules.engine.get_modules(), &|_, _| true).ok()?;
        let Modules { mut engine, .. } = modules;
        engine.add_data(data.clone().into()).unwrap();
        let rules: Vec<&'static str> = RULES.into_iter().filter(|rule| analysis.defines(rule)).collect();
        assert_eq!(rules, RULES, "{policy}");
        let data = engine.get_data();
        let bundle = Bundle::new(engine.get_modules(), &data);
        let judgement = bundle.judge(&rules);
        let verdict = judgement.misread.into_iter().chain(judgement.against).next().map_or(Ok(()), Err);
        let split = verdict.is_ok().then(|| bundle.split(&RULES)).flatten();
        let mut both = Self { engine, machine: None, parts: None, verdict };
        let entries = RULES.map(path);
        match compiler::program(&mut both.engine, &entries) {
            Ok(program) => {
                let mut machine = machine(&program, data.clone(), LIMIT).unwrap();
                // Most of what may not be its own and does not end.
                machine.set_max_instructions(MOST_INSTRUCTIONS / 10);
                both.machine = Some(machine);
            }
            // As it is with `compile_rules`, the interpreter decides.
            Err(refusal) => both.verdict = both.verdict.and(Err(refusal)),
        }
        if let (Some(split), Ok(())) = (split, &both.verdict) {
            let described = format!("{split:#?}");
            let Some(Code::Machine { whole, residual: Some(residual) }) =
                compiler::in_parts(&both.engine, split, ASKED, &entries)
            else {
                panic!("{described}");
            };
            let whole = machine(&whole, data.clone(), LIMIT).unwrap();
            both.parts = Some((whole, Residual::new(residual, data, LIMIT).unwrap()));
        }
        Some(both)
    }

    fn interpret(&mut self, input: &Value) -> Vec<Result<Value, String>> {
        self.engine.set_input(input.clone());
        RULES.iter().map(|rule| said(self.engine.eval_rule(format!("data.mcp.authz.{rule}")))).collect()
    }

    /// What either says to one question.
    fn ask(&mut self, input: &Value) -> [Vec<Result<Value, String>>; 2] {
        let run = self.machine.as_mut().map(|machine| {
            machine.set_input(input.clone());
            (0..RULES.len()).map(|index| said(machine.execute_entry_point_by_index(index))).collect()
        });
        [self.interpret(input), run.unwrap_or_default()]
    }

    /// What the two parts say, if there are two.
    fn ask_parts(&mut self, input: &Value) -> Option<Vec<Result<Value, String>>> {
        let (whole, residual) = self.parts.as_mut()?;
        whole.set_input(input.clone());
        let values = whole.execute_entry_point_by_index(residual.values).unwrap();
        let mut evaluation = residual.ask(input.clone(), KnownValues::new(&values).unwrap()).unwrap();
        Some(RULES.iter().map(|rule| said(evaluation.rule(rule).map_err(|denial| denial.code()))).collect())
    }
}

fn said(value: Result<Value, impl ToString>) -> Result<Value, String> {
    let empty = |value: Value| if value == Value::Undefined { Value::new_set() } else { value };
    value.map(empty).map_err(|error| error.to_string())
}

/// Random policies and questions: what is found, and how many were in the subset.
struct Found {
    policies: usize,
    admitted: usize,
    questions: usize,
    permitted: usize,
    /// Of the questions, those to policies in two parts.
    in_parts: usize,
    /// Differences in what the subset admits, and in what it does not.
    admitted_differ: Vec<String>,
    refused_differ: usize,
    /// What stood against the machine, and how often.
    against: BTreeMap<String, usize>,
}

/// Of so many policies the machine is asked, too, where it may not decide: there are
/// differences to be seen. Most of its time would go into loops that it does not end.
const ALL_ASKED: usize = 600;

/// `corpus` gets policies and questions in the subset, for OPA.
fn compare(seed: u64, policies: usize, questions: usize, corpus: &mut dyn Write) -> Found {
    let mut generator = Generator::new(seed);
    let mut found = Found {
        policies: 0,
        admitted: 0,
        questions: 0,
        permitted: 0,
        in_parts: 0,
        admitted_differ: Vec::new(),
        refused_differ: 0,
        against: BTreeMap::new(),
    };
    for _ in 0..policies {
        let (policy, data) = (generator.policy(), generator.data());
        let Some(mut both) = Both::load(&policy, &data) else { continue };
        found.policies += 1;
        found.admitted += usize::from(both.verdict.is_ok());
        if let Err(refusal) = &both.verdict {
            *found.against.entry(refusal.reason.clone()).or_default() += 1;
            if found.policies > ALL_ASKED {
                continue;
            }
        }
        let mut asked = Vec::new();
        for _ in 0..questions {
            let question = generator.input();
            let [interpreted, run] = both.ask(&question.clone().into());
            let parts = both.ask_parts(&question.clone().into());
            let agree = interpreted == run
                && interpreted.iter().all(Result::is_ok)
                && parts.as_ref().is_none_or(|parts| *parts == interpreted);
            match (agree, &both.verdict) {
                (false, Ok(())) => found.admitted_differ.push(format!(
                    "{policy}\ndata: {data}\ninput: {question}\ninterpreter: {interpreted:?}\nmachine: {run:?}\nin parts: {parts:?}"
                )),
                (false, Err(_)) => found.refused_differ += 1,
                (true, _) => {}
            }
            if both.verdict.is_ok() && agree {
                found.questions += 1;
                found.permitted += usize::from(run[0] == Ok(Value::from(true)));
                found.in_parts += usize::from(parts.is_some());
                let answer: Vec<serde_json::Value> =
                    run.into_iter().map(|value| serde_json::to_value(value.unwrap()).unwrap()).collect();
                asked.push(json!([question, answer]));
            }
        }
        if both.verdict.is_ok() {
            writeln!(corpus, "{}", json!({"policy": policy, "data": data, "asked": asked})).unwrap();
        }
    }
    found
}

/// Holds calls of builtins against `tests/builtins.json`: what is refused, what the gate
/// says, and for OPA what it says, of which some `differ`.
fn builtins(corpus: &mut dyn Write) {
    let rows: serde_json::Value = serde_json::from_str(include_str!("../../../tests/builtins.json")).unwrap();
    let (data, input) = (&rows["data"], &rows["input"]);
    let policy = |expression: &str| {
        format!(
            "package mcp.authz\ndefault allow := false\nallow if input.mcp.name\ndeny contains \"no\" if false\n\
             scopes contains value if {{ value := [{expression}] }}\n"
        )
    };
    for (expression, name) in rows["refused"].as_object().unwrap() {
        let refusals = evaluator(&[("authz.rego", &policy(expression))], data).err();
        let reason = &refusals.unwrap_or_else(|| panic!("{expression}: not refused"))[0].reason;
        assert!(reason.contains(name.as_str().unwrap()), "{expression}: {reason}");
    }
    let same = rows["same"].as_array().unwrap().iter().map(|expression| (expression.as_str().unwrap(), None));
    let differ = rows["differ"].as_object().unwrap().iter().map(|(expression, said)| (expression.as_str(), Some(said)));
    for (expression, said) in same.chain(differ) {
        let mut both = Both::load(&policy(expression), data).unwrap_or_else(|| panic!("{expression}: refused"));
        let interpreted = both.interpret(&input.clone().into());
        if both.verdict.is_ok() {
            assert_eq!(both.ask(&input.clone().into())[1], interpreted, "{expression}");
        }
        let found =
            serde_json::to_value(interpreted[2].clone().unwrap_or_else(|error| panic!("{expression}: {error}")));
        let found = found.unwrap();
        let list = |value: &serde_json::Value| if value.is_null() { json!([]) } else { json!([[value]]) };
        let expected = said.map_or_else(|| found.clone(), |said| list(&said["here"]));
        assert_eq!(found, expected, "{expression}");
        let of_opa = said.map_or(found, |said| list(&said["opa"]));
        let fails = said.is_some_and(|said| said["opa"] == "ERROR");
        let asked = json!([[input, [true, [], of_opa]]]);
        writeln!(corpus, "{}", json!({"policy": policy(expression), "data": data, "asked": asked, "fails": fails}))
            .unwrap();
    }
}

#[test]
fn builtins_say_what_is_written_of_them() {
    builtins(&mut std::io::sink());
}

/// `MCP_GATE_POLICIES` and `MCP_GATE_SEED` make a campaign of it; `MCP_GATE_CORPUS`
/// names a file for `tests/opa.py`.
#[test]
#[expect(clippy::disallowed_methods, reason = "how a campaign is told from a test")]
fn the_machine_says_what_the_interpreter_says() {
    let setting = |name: &str, or: u64| std::env::var(name).map_or(or, |text| text.parse().unwrap());
    let policies = usize::try_from(setting("MCP_GATE_POLICIES", 600)).unwrap();
    let mut corpus: Box<dyn Write> = match std::env::var("MCP_GATE_CORPUS") {
        Ok(path) => Box::new(BufWriter::new(std::fs::File::create(path).unwrap())),
        Err(_) => Box::new(std::io::sink()),
    };
    builtins(&mut corpus);
    let found = compare(setting("MCP_GATE_SEED", 20_261_126), policies, 20, &mut corpus);
    corpus.flush().unwrap();
    assert!(
        found.admitted_differ.is_empty(),
        "{} differ, the shortest:\n{}",
        found.admitted_differ.len(),
        found.admitted_differ.iter().min_by_key(|text| text.len()).map_or("", String::as_str)
    );
    println!(
        "{} policies, {} in the subset, {} questions to those, {} permitted, {} to policies in two parts, \
         0 differ; outside of it {} answers differ",
        found.policies, found.admitted, found.questions, found.permitted, found.in_parts, found.refused_differ
    );
    let mut against: Vec<_> = found.against.iter().map(|(reason, count)| (count, reason)).collect();
    against.sort();
    against.iter().rev().take(12).for_each(|(count, reason)| println!("{count:6} {reason}"));
    // A test of nothing would pass, too.
    assert!(found.admitted * 5 > found.policies, "{} of {}", found.admitted, found.policies);
    assert!(
        found.permitted * 20 > found.questions && found.permitted * 20 < found.questions * 19,
        "{}",
        found.permitted
    );
    assert!(found.in_parts * 4 > found.questions, "{} of {}", found.in_parts, found.questions);
    // And were everything let in, it would find out.
    assert!(found.refused_differ > 0);
}

/// Why each thing is outside of the subset: what it says there, and what it does.
#[test]
fn what_is_outside_of_the_subset_differs() {
    #[rustfmt::skip]
    let outside: &[(&str, &str, &str)] = &[
        ("two values of a rule", "it may have two values",
         "h := 1 if input.mcp.name == \"a\"\nh := 2 if input.identity.subject == \"a\"\nallow if not h"),
        ("two values from one clause", "it may have two values",
         "h := role if some role in input.identity.roles\nallow if not h"),
        ("two values of a function", "it may have two values",
         "f(x) := 1 if x == \"a\"\nf(x) := 2 if x != \"b\"\ng if f(input.mcp.name)\nallow if not g"),
        ("an error of a builtin", "`startswith` may fail",
         "g if startswith(input.mcp.arguments.number, \"a\")\nallow if not g"),
        ("an argument of a builtin that is none", "`glob.match` may fail",
         "g if glob.match(data.bad, null, input.mcp.name)\nallow if not g"),
        ("a regular expression that is none", "`regex.match` may fail",
         "g if regex.match(data.bad, input.mcp.name)\nallow if not g"),
        ("the beginning of something else", "`strings.any_prefix_match` may fail",
         "g if strings.any_prefix_match(input.mcp.arguments.number, [\"a\"])\nallow if not g"),
        ("a part from before the start", "`substring` may fail",
         "g if substring(input.mcp.name, input.time.unix - 1, 1) == \"a\"\nallow if not g"),
        ("arithmetic with something else", "not known to be a number",
         "g if input.mcp.arguments.list + 1 > 0\nallow if not g"),
        ("a division by zero", "a division, which may be one by zero",
         "g if 1 / input.time.unix == 1\nallow if not g"),
        ("sets of something else", "not known to be a set",
         "g if input.mcp.arguments.list & {1} == {1}\nallow if not g"),
        ("an undefined variable", "may be undefined, which is the machine's reason to go on",
         "allow if { x := input.mcp.arguments.missing\n 1 == 1 }"),
        ("an undefined variable before an `else`", "`x` may be undefined, which is the machine's reason to go on",
         "h := [x] if x := input.mcp.arguments.missing\nelse := [1]\nallow if h"),
        ("some of something else", "not known to be a collection",
         "h if some x in input.mcp.name\nallow if not h"),
        ("an else after a loop", "a loop before an `else`",
         "h := 1 if { some x in [1]; some y in [x]; y == 2 } else := 2\nallow if h == 2"),
        ("an undefined item", "an item that may be undefined",
         "allow if { some _ in input.identity.roles\n count([input.mcp.arguments.missing | some _ in input.identity.roles]) == 2 }"),
        ("input first inside of a loop", "for the first time inside of a loop",
         "allow if { count([1 | some x in data.empty; x == input.mcp.name]) == 0\n input.mcp.name == \"a\" }"),
        ("an else after a value that is undefined", "before an `else`",
         "h := input.mcp.arguments.missing if input.mcp.name == \"a\" else := 1\nallow if h == 1"),
        ("an else after `every` over loops", "a loop before an `else`",
         "h := 1 if { input.mcp.name == \"a\"\n every y in data.lists[_] { y == 9 } } else := 2\nallow if h == 2"),
        ("a condition that ends the loop around its comprehension", "a condition in a comprehension before a loop",
         "allow if { input.mcp.name\n every r in input.identity.roles { count([1 | r == \"b\"]) == 0 } }"),
        ("a parameter that takes what is undefined", "for a parameter `_`",
         "g(_) if input.mcp.name\nallow if g(input.mcp.arguments.missing)"),
        ("the same, through a variable", "for a parameter `_`",
         "g(_, y) if y\nallow if { x := input.mcp.arguments.missing\n g([x], 1)\n is_number(1) }"),
        ("a key of a membership", "leaves out the key",
         "allow if \"owner\", input.identity.subject in data.docs[input.mcp.name]"),
        ("input first behind a loop over data", "for the first time inside of a loop",
         "h if { count({1 | data.empty[_] == input.mcp.name}) == 0\n input.mcp.name == \"a\" }\nallow if h"),
        ("a number for a text", "a key in `data` that is not known to be a text",
         "allow if data.numbered[input.mcp.arguments.number]"),
        ("a loop over nothing, in a term", "a loop over what may be undefined",
         "allow if { input.mcp.name\n count({input.mcp.arguments.missing[_] | some x in data.lists; x != 1}) == 0 }"),
        ("a key from `every`", "a key that `every` gives",
         "allow if { input.mcp.name != data.docs\n every x in [\"none\"] { data.numbered[x] } }"),
        ("a default of a function", "a default of a function",
         "default f(_) := true\nf(x) := false if x == 1\nallow if f(input.mcp.name)"),
        ("a partial object", "a partial object",
         "h[role] := index if some index, role in [\"a\", \"a\"]\nallow if not h.b"),
        ("a comprehension of an object", "a comprehension of an object",
         "allow if not {\"a\": x | some x in input.identity.roles}.b"),
    ];
    let data = json!({
        "bad": 1, "empty": [], "lists": [[1], [2]], "numbered": {"1": true},
        "docs": {"a": {"owner": "x", "reader": "a"}},
    });
    let input = json!({
        "mcp": {"name": "a", "arguments": {"number": 1, "list": [1]}},
        "identity": {"subject": "a", "roles": ["a", "b"]},
        "time": {"unix": 0},
    });
    let mut alike = Vec::new();
    for (what, reason, rules) in outside {
        let rest = "deny contains \"no\" if false\nscopes contains \"no\" if false";
        let policy = format!("package mcp.authz\ndefault allow := false\n{rules}\n{rest}\n");
        let mut both = Both::load(&policy, &data).unwrap_or_else(|| panic!("{what}: refused at load"));
        let refusal = both.verdict.clone().expect_err(what);
        assert!(refusal.reason.contains(reason), "{what}: {refusal}");
        let [interpreted, run] = both.ask(&input.clone().into());
        if interpreted[0] == run[0] {
            alike.push((what, interpreted[0].clone()));
        }
    }
    assert!(alike.is_empty(), "nothing differs: {alike:#?}");
}

/// Builtins that are proven not to fail by data, with what OPA says, too.
#[test]
fn what_data_proves_is_decided_by_the_machine() {
    let rows = [
        ("regex.match(`^(?s:a.*|b)$`, input.mcp.name)", ["a", "ab", "b", "a\n"], ["c", "bb", "", "ca"]),
        ("regex.match(data.patterns[_], input.mcp.name)", ["x", "xy", "y", "yx"], ["a", "ax", "", "-"]),
        ("strings.any_prefix_match(input.mcp.name, data.texts)", ["x", "xy", "é", "éa"], ["a", "ax", "", "e"]),
        ("strings.any_suffix_match(input.mcp.name, data.texts)", ["x", "yx", "é", "aé"], ["a", "xa", "", "e"]),
        ("substring(input.mcp.name, data.start, 1) == \"é\"", ["aé", "éé", "😀é", "aéa"], ["é", "aaé", "", "a"]),
        ("\"x\" in graph.reachable(data.graph, [input.mcp.name])", ["x", "y", "z", "w"], ["a", "b", "", "c"]),
        ("replace(input.mcp.name, \"a\", \"x\") == \"x.x\"", ["a.a", "x.a", "a.x", "x.x"], ["a", "ax", "", "aa"]),
    ];
    let graph = json!({"x": [], "y": ["x"], "z": ["y"], "w": ["z", "w"], "a": ["b"], "b": ["a"]});
    let data = json!({"patterns": ["^x", "^y"], "texts": ["x", "é"], "start": 1, "graph": graph});
    for (condition, holds, fails) in rows {
        let rest = "deny contains \"no\" if false\nscopes contains \"no\" if false";
        let policy = format!("package mcp.authz\ndefault allow := false\nallow if {condition}\n{rest}\n");
        let mut both = Both::load(&policy, &data).unwrap_or_else(|| panic!("{condition}: refused at load"));
        both.verdict.clone().unwrap_or_else(|refusal| panic!("{condition}: {refusal}"));
        for (names, expected) in [(holds, true), (fails, false)] {
            for name in names {
                let [interpreted, run] = both.ask(&json!({"mcp": {"name": name}}).into());
                assert_eq!(interpreted, run, "{condition}: {name:?}");
                assert_eq!(run[0], Ok(Value::from(expected)), "{condition}: {name:?}");
            }
        }
    }
}
