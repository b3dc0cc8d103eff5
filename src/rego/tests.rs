use regorus::{Engine, Value};

use super::*;

fn engine(modules: &[(&str, &str)]) -> Result<Engine, Refusal> {
    let mut engine = Engine::new();
    for (file, source) in modules {
        check_text(file, source)?;
        let added = engine.add_policy((*file).to_owned(), (*source).to_owned());
        added.map_err(|error| Refusal::from_engine(file, &error.to_string()))?;
    }
    Ok(engine)
}

fn load(modules: &[(&str, &str)]) -> Result<Analysis, Vec<String>> {
    let mut engine = engine(modules).map_err(|refusal| vec![refusal.to_string()])?;
    let analysis = analyse(engine.get_modules(), &|_, _| true);
    analysis.map_err(|refusals| refusals.iter().map(Refusal::to_string).collect())
}

fn authz(rules: &str) -> String {
    format!("package mcp.authz\ndefault allow := false\n{rules}\n")
}

#[track_caller]
fn refused(rules: &str, wanted: &str) {
    refused_with(&[("a.rego", &authz(rules))], wanted);
}

#[track_caller]
fn refused_with(modules: &[(&str, &str)], wanted: &str) {
    let refusals = load(modules).expect_err("refused");
    assert!(refusals.iter().any(|refusal| refusal.contains(wanted)), "{refusals:#?}");
}

#[track_caller]
fn reads(rules: &str, wanted: &str) {
    let analysis = load(&[("a.rego", &authz(rules))]).unwrap();
    let found: Vec<String> = analysis.reads.iter().map(|path| path.join(".")).collect();
    assert_eq!(found.join(" "), wanted);
}

/// Evaluates unchecked rules, to see what a ban is for.
fn evaluate(rules: &str, input: &str) -> Result<Value, String> {
    let mut engine = Engine::new();
    engine.add_policy("a.rego".to_owned(), authz(rules)).map_err(|error| error.to_string())?;
    engine.set_input(Value::from_json_str(input).unwrap());
    let result = engine.eval_rule("data.mcp.authz.allow".to_owned());
    result.map_err(|error| error.to_string())
}

#[test]
fn a_small_policy_loads_and_says_what_it_reads() {
    let rules = "allow if input.mcp.name in data.roles[input.identity.roles[_]].tools\n\
                 deny contains \"late\" if input.time.unix > 5";
    let analysis = load(&[("a.rego", &authz(rules))]).unwrap();
    assert!(analysis.defines("allow") && analysis.defines("deny") && !analysis.defines("mask"));
    assert_eq!(analysis.rules.get("deny"), Some(&Kind::Set));
    assert!(analysis.reads(&["mcp", "name"]) && analysis.reads(&["identity"]));
    assert!(analysis.reads(&["identity", "roles", "0"]) && analysis.reads(&[]));
    assert!(!analysis.reads(&["mcp", "arguments"]) && !analysis.reads(&["http"]));
}

#[test]
fn a_path_ends_at_a_computed_key() {
    reads("allow if input.mcp.arguments[data.key].deep == 1", "mcp.arguments");
    reads("allow if input.mcp.arguments[\"a\"].deep == 1", "mcp.arguments.a.deep");
    reads("allow if input.mcp.uris[0] == \"a\"", "mcp.uris");
    reads("allow if { some key; input.http.headers[key] == data.x }", "http.headers");
}

#[test]
fn an_alias_reads_what_it_stands_for() {
    reads("allow if { call := input.mcp; call.name == \"a\" }", "mcp");
    reads("call := input.mcp\nallow if call.name == \"a\"", "mcp");
    let module = "package mcp.authz\nimport input.mcp as call\nallow if call.name == \"a\"";
    let analysis = load(&[("a.rego", module)]).unwrap();
    assert_eq!(analysis.reads, [path(["mcp", "name"])].into());
}

#[test]
fn input_as_a_value_reads_all_of_it() {
    reads("f(x) if x.mcp.name == \"a\"\nallow if f(input)", "");
    assert!(load(&[("a.rego", &authz("f(x) if x.a\nallow if f(input)"))]).unwrap().reads(&["http"]));
}

#[test]
fn object_get_with_literal_keys_reads_one_path() {
    reads("allow if object.get(input, [\"mcp\", \"name\"], \"\") == \"a\"", "mcp.name");
    reads("allow if object.get(input.mcp, \"name\", input.time.unix) == 1", "mcp.name time.unix");
    reads("allow if object.get(input.mcp, data.key, \"\") == \"a\"", "mcp");
}

#[test]
fn every_some_comprehensions_negation_and_else_are_followed() {
    reads(
        "allow if every scope in input.identity.scopes { scope in data.scopes[input.mcp.name] }",
        "identity.scopes mcp.name",
    );
    reads("allow if count({r | some r in input.identity.roles; r != input.mcp.name}) > 1", "identity.roles mcp.name");
    reads("allow if not input.mcp.retry", "mcp.retry");
    reads("allow := true if input.mcp.retry\nelse := false if input.mcp.name", "mcp.name mcp.retry");
}

#[test]
fn only_rules_that_the_contract_reaches_count() {
    reads("spare if input.mcp.task == \"a\"\nallow if input.mcp.retry", "mcp.retry");
    reads("deep[k] := v if { some k, v in input.http.headers }\nallow if deep.a", "http.headers");
}

#[test]
fn other_packages_are_reached_by_path_import_and_call() {
    let rbac = "package mcp.rbac\nallow if input.identity.roles\nok(x) if x == input.mcp.kind\nother if input.mcp.task";
    for body in [
        "package mcp.authz\nallow if data.mcp.rbac.allow\ndeny contains \"a\" if data.mcp.rbac.ok(1)",
        "package mcp.authz\nimport data.mcp.rbac\nallow if data.mcp.rbac.allow\ndeny contains \"a\" if rbac.ok(1)",
        "package mcp.authz\nimport data.mcp.rbac.allow as r\nallow if r\ndeny contains \"a\" if data.mcp.rbac.ok(1)",
    ] {
        let analysis = load(&[("a.rego", body), ("rbac.rego", rbac)]).unwrap();
        assert_eq!(analysis.reads, [path(["identity", "roles"]), path(["mcp", "kind"])].into());
    }
    let dynamic = "package mcp.authz\nallow if data.mcp[data.chosen].allow";
    refused_with(&[("a.rego", dynamic), ("rbac.rego", rbac)], "recursion");
    let dynamic = "package mcp.authz\nallow if data.mcp.rbac[data.chosen]";
    refused_with(&[("a.rego", dynamic), ("rbac.rego", rbac)], "package `mcp.rbac` as a whole");
}

#[test]
fn a_local_with_the_name_of_a_rule_is_not_that_rule() {
    reads("name := input.mcp.name\nok(name) if name == \"a\"\nallow if ok(input.mcp.kind)", "mcp.kind");
    reads("r := input.mcp.task\nallow if { some r in data.roles; r == \"a\" }", "");
    // The collection of `some` stands outside of what it declares.
    reads("r := input.identity.roles\nallow if { some r in r; r == \"a\" }", "identity.roles");
    reads("r := input.mcp.task\nallow if { r := r; r == \"a\" }", "mcp.task");
    assert_eq!(evaluate("r := 5\nallow if { r := r; r == 5 }", "{}"), Ok(Value::from(true)));
}

#[test]
fn an_unknown_input_path_is_refused() {
    refused("allow if input.identity.rolse[_] == \"a\"", "a.rego:3:10: `input.identity.rolse` does not exist");
    refused("allow if input.mcp.name.first == \"a\"", "`input.mcp.name.first` does not exist");
    reads("allow if input.identity.claims.a.b.c", "identity.claims.a.b.c");
}

#[test]
fn rego_v0_is_refused_with_the_way_to_write_it() {
    // In a rule that nobody asks, too.
    refused("spare if not input.identity.roles[_] == \"a\"", "a.rego:3:14: OPA refuses `_` inside of `not`");
    refused("allow { true }", "a.rego:3:7: `if` keyword is required before rule body; this is Rego v0");
    refused("deny[\"x\"]\nspare := 1", "a.rego:3:1: a partial set of Rego v0");
}

#[test]
fn an_engine_error_of_any_shape_becomes_a_refusal() {
    for error in ["", "-->", "--> a:b", "error: ", "\n--> a.rego:1:99999999999999\nerror: x", "a:1:2 error: é"] {
        assert!(Refusal::from_engine("f.rego", error).to_string().starts_with(|c: char| c.is_ascii_alphabetic()));
    }
    let refusal = Refusal::from_engine("f", "\n--> C:\\a.rego:7:3\n  |\n7 | x\n  |   ^\nerror: bad");
    assert_eq!(
        (refusal.file.as_str(), refusal.line, refusal.column, refusal.reason.as_str()),
        ("C:\\a.rego", 7, 3, "bad")
    );
}

#[test]
fn effects_and_chance_are_refused() {
    refused("allow if http.send({}).status_code == 200", "a.rego:3:10: builtin `http.send` is refused");
    refused("allow if rand.intn(\"a\", 2) == 1", "builtin `rand.intn` is refused");
    refused("allow if print(\"a\")", "builtin `print` is refused");
    refused("allow if time.now_ns() > 1", "read `input.time.unix`");
    refused("allow if \"a\" == opa.runtime().env.A", "builtin `opa.runtime` is refused");
}

#[test]
fn a_function_that_does_not_exist_is_refused() {
    refused("allow if crypto.sha256(\"a\") == \"b\"", "`crypto.sha256` is no function");
    refused("allow if data.mcp.rbac.granted(1)", "`data.mcp.rbac.granted` is no function");
    refused("x := 1\nallow if x(1)", "`x` is no function");
    // The interpreter notices only when it comes by.
    assert_eq!(evaluate("allow if { 1 == 2; crypto.sha256(\"a\") }", "{}"), Ok(Value::from(false)));
}

#[test]
fn a_wrong_number_of_arguments_is_refused() {
    refused("allow if count([1], [2]) == 1", "`count` takes 1 arguments, found 2");
    refused("f(x) := x\nallow if f(1, 2)", "`f` takes 1 arguments, found 2");
    refused("f(x) := x\nf(x, y) := x\nallow if f(1)", "with other parameters");
    reads("allow if { walk(input.mcp.arguments, [_, value]); value == \"a\" }", "mcp.arguments");
}

#[test]
fn with_is_refused() {
    for with in
        ["count([]) == 1 with count as 1", "p with data.x as 1", "not p with input as {}", "p with input.mcp.name as 1"]
    {
        refused(&format!("allow if {with}\np if data.x"), "`with` is for tests");
    }
}

#[test]
fn a_result_as_long_as_the_caller_likes_is_refused() {
    refused(
        "allow if count(numbers.range(1, input.mcp.arguments.n)) > 1",
        "a.rego:3:33: argument 2 of `numbers.range` must be a number literal",
    );
    refused("allow if numbers.range(1, 3000000)", "argument 2");
    refused("allow if net.cidr_expand(\"10.0.0.0/8\")", "`net.cidr_contains`");
    refused("allow if sprintf(\"%1000000000d\", [1]) == \"\"", "argument 1 of `sprintf`");
    refused("allow if units.parse(input.mcp.arguments.size) > 1", "builtin `units.parse` is refused");
    refused("allow if bits.lsh(1, 4000000000) > 1", "argument 2 of `bits.lsh`");
    reads("allow if sprintf(\"%s/%03d\", [input.mcp.name, numbers.range(1, 9)[0]]) == \"a\"", "mcp.name");
}

#[test]
fn builtins_that_panic_are_refused() {
    refused("allow if regex.template_match(\"abc{.*}\", input.mcp.name, \"{\", \"}\")", "it panics");
    refused("allow if strings.count(input.mcp.name, \"\") > 0", "it panics");
    refused("allow if object.subset(input.identity.roles, input.mcp.arguments)", "argument 2 of `object.subset`");
    reads("allow if object.subset(input.identity.claims, {\"dept\": \"hr\"})", "identity.claims");
    for rules in [
        "allow if regex.template_match(\"abc{.*}\", input.a, \"{\", \"}\")",
        "allow if strings.count(input.a, \"\") > 0",
        "allow if object.subset([input.a], [])",
        "allow if sprintf(\"%½d\", [1]) == input.a",
    ] {
        let outcome = std::panic::catch_unwind(|| evaluate(rules, "{\"a\": \"x\"}"));
        assert!(outcome.is_err(), "no panic any more: {rules}");
    }
}

#[test]
fn a_pattern_from_input_is_refused_whatever_way_it_comes() {
    let wanted = "comes from `input`";
    refused(
        "allow if regex.match(input.mcp.arguments.p, \"a\")",
        "a.rego:3:22: argument 1 of `regex.match` comes from `input`",
    );
    refused("allow if { p := input.mcp.name; glob.match(p, [], \"a\") }", wanted);
    refused("allow if { some p in input.mcp.uris; glob.match(p, [], \"a\") }", wanted);
    refused("allow if { input.mcp.arguments[p]; glob.match(p, [], \"a\") }", wanted);
    refused("p := lower(input.mcp.name)\nallow if glob.match(p, [], \"a\")", wanted);
    refused("ps contains p if some p in input.mcp.uris\nallow if { some p in ps; glob.match(p, [], \"a\") }", wanted);
    refused("f(x, y) if glob.match(x, [], y)\nallow if f(input.mcp.name, \"a\")", wanted);
    refused("f(x) := [x]\nallow if glob.match(f(input.mcp.name)[0], [], \"a\")", wanted);
    refused("allow if { [p, _] = [input.mcp.name, 1]; glob.match(p, [], \"a\") }", wanted);
    refused("allow if { every p in input.mcp.uris { glob.match(p, [], \"a\") } }", wanted);
    refused("allow if { x := {q | q := input.mcp.name}; some p in x; glob.match(p, [], \"a\") }", wanted);
}

#[test]
fn a_pattern_from_data_is_fine_also_under_a_key_from_input() {
    reads(
        "granted(patterns, name) if { some pattern in patterns; glob.match(pattern, [], name) }\n\
         allow if { some role in input.identity.roles; granted(data.roles[role].tools, input.mcp.name) }",
        "identity.roles mcp.name",
    );
}

#[test]
fn recursion_is_refused_and_named() {
    refused(
        "allow if p\np if q\nq if p",
        "a.rego:4:6: recursion: data.mcp.authz.p -> data.mcp.authz.q -> data.mcp.authz.p",
    );
    assert!(evaluate("allow if p\np if q\nq if p", "{}").is_err());
    refused("f(x) := f(x - 1)\nallow if f(3) == 0", "recursion: data.mcp.authz.f -> data.mcp.authz.f");
    refused("allow if data.mcp.authz[input.mcp.name]", "recursion: data.mcp.authz.allow -> data.mcp.authz.allow");
    refused_with(
        &[
            ("a.rego", "package mcp.authz\nimport data.mcp.b as bee\nallow if bee.p"),
            ("b.rego", "package mcp.b\np if data.mcp.authz.allow"),
        ],
        "data.mcp.authz.allow -> data.mcp.b.p -> data.mcp.authz.allow",
    );
}

#[test]
fn a_chain_of_rules_or_loops_that_overflows_the_stack_is_refused() {
    let chain = |n: usize| {
        let rules: String = (0..n).map(|i| format!("p{i} if p{}\n", i + 1)).collect();
        format!("allow if p0\n{rules}p{n} := true")
    };
    refused(&chain(100), "rules and loops nest 65 deep from here");
    assert!(load(&[("a.rego", &authz(&chain(50)))]).is_ok());
    let loops: String = (0..100).map(|i| format!("some a{i} in data.x\n")).collect();
    refused(&format!("allow if {{\n{loops}}}"), "rules and loops nest 101 deep from here");
    let deep: String =
        (0..40).map(|i| format!("p{i} := {}p{}{}\n", "(".repeat(5), i + 1, "+ 1 + 1 + 1 + 1 + 1)".repeat(5))).collect();
    refused(&format!("allow if p0 > 1\n{deep}p40 := 1"), "rules and loops nest 65 deep");
}

#[test]
fn hiding_input_or_data_is_refused() {
    for rules in [
        "f(input) := input\nallow if f(1)",
        "f([data]) := data\nallow if f([1])",
        "allow if { some input in [1]; input == 1 }",
        "allow if { some input; input = 1 }",
        "allow if every input in [1] { input == 1 }",
        "allow if { [input, x] := [1, 2]; x == input }",
    ] {
        refused(rules, "hides the document of that name");
    }
    refused("allow if { input := 1 }", "input cannot be shadowed");
    refused("input := 1", "input cannot be shadowed");
    let module = "package mcp.authz\nimport data.x as input\nallow if input.a";
    refused_with(&[("a.rego", module)], "a.rego:2:18: an import named `input`");
}

#[test]
fn names_of_builtins_are_refused_for_rules_and_imports() {
    refused("count(x) := 1\nallow if count([]) == 1", "rule `count` has the name of a builtin");
    refused("regex := data.x\nallow if regex", "rule `regex` has the name of a builtin");
    let module = "package mcp.authz\nimport data.my.glob\nallow if glob.match(1, 2, 3)";
    refused_with(&[("a.rego", module)], "an import named `glob` hides builtins");
    let module = "package mcp.authz\nimport data.my.mcp\nmcp := 1\nallow if mcp";
    refused_with(&[("a.rego", module)], "an import named `mcp` meets a rule");
    // The engine keeps one import of a name for all modules of a package.
    let hr = "package mcp.authz\nimport data.hr.closed\ndeny contains \"hr\" if input.mcp.name in closed";
    let it = "package mcp.authz\nimport data.it.closed\ndeny contains \"it\" if input.mcp.name in closed";
    refused_with(&[("hr.rego", hr), ("it.rego", it)], "an import named `closed` leads elsewhere at hr.rego:2");
    let it = "package mcp.authz\nclosed := {\"reboot\"}\ndeny contains \"it\" if input.mcp.name in closed";
    refused_with(&[("hr.rego", hr), ("it.rego", it)], "an import named `closed` meets a rule");
}

#[test]
fn a_second_body_is_refused_where_there_is_a_value() {
    refused("h := \"no\" if { input.mcp.name } { input.mcp.uri }\nallow if h", "a second body for one head");
    reads("allow if { input.mcp.name } { input.mcp.uri }", "mcp.name mcp.uri");
}

#[test]
fn a_name_that_nothing_defines_is_refused() {
    refused("allow if alowed", "a.rego:3:10: `alowed` is neither a rule of this package nor an import");
    refused("allow if { x == 1 }", "`x` is neither");
    reads("allow if { x = input.mcp.name; x == \"a\" }", "mcp.name");
}

#[test]
fn a_rule_of_the_contract_has_its_kind() {
    refused("deny(x) := x", "`deny` must be a set of strings");
    refused("deny[x] if { x := input.mcp.name }", "`deny` must be a set of strings");
    refused("deny[\"x\"] if input.mcp.name", "`deny` must be a set of strings");
    refused("visible contains \"a\"", "`visible` must be a boolean");
    refused("mask.a := 1", "`mask` must be a set");
    refused("deny if input.mcp.name", "a.rego:3:1: `deny` must be a set of strings");
    refused("deny := \"no\" if input.mcp.name", "a.rego:3:10: `deny` must be a set of strings");
    refused("deny contains {\"msg\": \"no\"} if input.mcp.name", "`deny` must be a set of strings");
    refused("deny := set() if input.mcp.name\nelse := []", "`deny` must be a set of strings");
    refused("scopes := [\"a\"] if input.mcp.name", "`scopes` must be a set of scopes");
    refused("default scopes := {}", "`scopes` must be a set of scopes");
    refused("scopes contains 5", "`scopes` must be a set of scopes");
    refused("scopes contains \"a b\"", "`scopes` must be a set of scopes");
    refused("step_up := 300 if input.mcp.name", "`step_up` must be an object");
    refused("step_up if input.mcp.name", "`step_up` must be an object");
    refused("step_up := {\"max-age\": 300} if input.mcp.name", "`step_up` must be an object of `max_age`");
    refused("step_up := {\"max_age\": \"5m\"} if input.mcp.name", "`step_up` must be an object of `max_age`");
    refused("step_up := {\"acr_values\": [\"a b\"]} if input.mcp.name", "`step_up` must be an object of `max_age`");
    reads("step_up := {\"acr_values\": [\"a\"], \"max_age\": input.time.unix} if true", "time.unix");
    refused("default visible := 1", "`visible` must be a boolean");
    refused("allow contains \"a\"", "`mcp.authz.allow` is also defined at a.rego:2");
    reads("deny := {\"x\"} if input.mcp.name", "mcp.name");
    reads("step_up.max_age := input.time.unix", "time.unix");
}

#[test]
fn a_boolean_rule_with_another_literal_is_refused() {
    refused("allow := \"yes\" if input.mcp.name", "a.rego:3:11: `allow` must be a boolean");
    refused("visible := true if input.mcp.name\nelse := 1", "`visible` must be a boolean");
    reads("allow := input.mcp.retry", "mcp.retry");
}

#[test]
fn a_rule_inside_of_another_rule_is_refused() {
    refused("p := {}\np.a := 1", "rule `mcp.authz.p.a` stands inside of rule `mcp.authz.p`");
    refused_with(
        &[("a.rego", &authz("")), ("b.rego", "package mcp.authz.allow\nx := 1")],
        "rule `mcp.authz.allow` stands where package `mcp.authz.allow` is",
    );
}

#[test]
fn package_and_allow_must_exist() {
    refused_with(&[], "no module has `package mcp.authz`");
    refused_with(&[("a.rego", "package mcp.auth\nallow := true")], "a.rego:1:1: no module has `package mcp.authz`");
    refused_with(&[("a.rego", "package mcp.authz\ndeny contains \"a\"")], "package mcp.authz has no rule `allow`");
}

#[test]
fn allowing_by_default_is_refused() {
    for default in ["true", "\"false\"", "{}"] {
        let module = format!("package mcp.authz\ndefault allow := {default}");
        refused_with(&[("a.rego", &module)], "the default of `allow` must be `false`");
    }
}

#[test]
fn all_refusals_come_at_once_and_in_order() {
    let refusals = load(&[("a.rego", &authz("allow if http.send(1)\ndeny(x) := rand.intn(\"a\", 1)"))]).unwrap_err();
    assert_eq!(refusals.len(), 3, "{refusals:#?}");
    assert!(refusals[0].starts_with("a.rego:3:10:") && refusals[2].starts_with("a.rego:4:12:"));
}

#[test]
fn a_parameter_is_a_name_or_a_literal() {
    for parameter in ["input.mcp.name", "[a]", "{\"k\": a}", "[http.send({})]", "{a}"] {
        refused(&format!("f({parameter}) := true\nallow if f(1)"), "a parameter that is a pattern");
    }
    refused("g([f(1)]) := true\nf(x) := true if g([x])\nallow if f(1)", "a parameter that is a pattern");
    assert!(load(&[("a.rego", &authz("f(1, \"a\", x) := x\nallow if f(1, \"a\", true)"))]).is_ok());
}

#[test]
fn the_contract_is_written_under_its_own_package() {
    let own = authz("allow if input.mcp.retry");
    for other in ["package mcp\nauthz.deny contains \"x\"", "package mcp.authz.deny\nx := 1"] {
        refused_with(&[("a.rego", &own), ("b.rego", other)], "from another package");
    }
    let helper = "package mcp.authz.helpers\nx if input.mcp.retry";
    assert!(load(&[("a.rego", &own), ("b.rego", helper)]).is_ok());
}

#[test]
fn nobody_adds_to_a_package_that_is_bundled() {
    let taken = [vec!["mcp", "rbac"]];
    let refused = |module: &str| {
        let mut engine = engine(&[("a.rego", module)]).unwrap();
        check_packages(engine.get_modules(), &taken).len()
    };
    for module in ["package mcp", "package mcp.rbac", "package mcp[\"rbac\"]", "package mcp.rbac.granted"] {
        assert_eq!(refused(&format!("{module}\nx := 1")), 1, "{module}");
    }
    for module in ["package mcp.authz", "package mcp.rbacs", "package rbac", "package acme.mcp.rbac"] {
        assert_eq!(refused(&format!("{module}\nx := 1")), 0, "{module}");
    }
}

#[track_caller]
fn constants(others: &[(&str, &str)], wanted: &[&str]) {
    let authz = authz("allow if input.mcp.name in data.lib.index.tools");
    let modules: Vec<(&str, &str)> =
        [("authz.rego", authz.as_str())].into_iter().chain(others.iter().copied()).collect();
    let found: Vec<String> = load(&modules).unwrap().constants.keys().map(|package| package.join(".")).collect();
    assert_eq!(found, wanted, "{others:?}");
}

#[test]
fn a_package_is_constant_if_nothing_that_it_reaches_depends_on_the_question() {
    let index = ("index.rego", "package lib.index\ntools contains tool if some tool in _all\n_all := data.tools\n");
    constants(&[index], &["lib.index"]);
    constants(&[("a.rego", "package lib.index\ntools := {input.mcp.name}\n")], &[]);
    // Through another package.
    let asking = ("b.rego", "package lib.who\nname := input.mcp.name\n");
    constants(&[("a.rego", "package lib.index\ntools := {data.lib.who.name}\n"), asking], &[]);
    let other = ("b.rego", "package lib.other\nname := data.name\n");
    constants(&[("a.rego", "package lib.index\ntools := {data.lib.other.name}\n"), other], &["lib.index", "lib.other"]);
    // A function that others call is no value; one of its own is not missed.
    constants(&[("a.rego", "package lib.index\ntools := {f(1)}\nf(x) := x\n")], &["lib.index"]);
    let caller = ("b.rego", "package lib.other\nname := data.lib.index.f(2)\n");
    constants(&[("a.rego", "package lib.index\ntools := {f(1)}\nf(x) := x\n"), caller], &["lib.other"]);
    // A package above another one, and names that no path can hold.
    constants(&[index, ("b.rego", "package lib.index.more\nx := 1\n")], &[]);
    constants(&[index, ("b.rego", "package lib[\"a b\"]\nx := 1\n")], &["lib.index"]);
    // Rules with a path of their own, and two modules of one package.
    constants(&[("a.rego", "package lib.index\ntools.a := 1\n")], &[]);
    constants(&[index, ("b.rego", "package lib.index\nmore := 1\n")], &["lib.index"]);
    constants(&[index, ("b.rego", "package lib.index\nmore := input.mcp.name\n")], &[]);
}

/// What is read beside data, and the rules that are left.
fn reads_with(data: &str, rules: &str) -> (String, String) {
    let text = authz(rules);
    let mut engine = engine(&[("a.rego", &text)]).unwrap();
    let left = Bundle::new(engine.get_modules(), &Value::from_json_str(data).unwrap()).analysis();
    let reads: Vec<String> = left.reads.iter().map(|path| path.join(".")).collect();
    (reads.join(" "), left.rules.keys().cloned().collect::<Vec<_>>().join(" "))
}

#[test]
fn a_key_out_of_data_reads_what_it_can_be() {
    let many: Vec<String> = (0..65).map(|number| format!("\"{number}\"")).collect();
    let data = format!(
        r#"{{"list": ["a", "b"], "table": {{"a": "c", "d": "e"}}, "mixed": ["a", 1], "many": [{}], "none": []}}"#,
        many.join(",")
    );
    let (ab, all) = ("mcp.arguments.a mcp.arguments.b", "mcp.arguments");
    for (rules, read) in [
        ("allow if { some x in data.list; input.mcp.arguments[x] == 1 }", ab),
        ("allow if { some x in data.list; input.mcp.arguments[x].y.z == 1 }", ab),
        ("allow if { some x, _ in data.table; input.mcp.arguments[x] == 1 }", "mcp.arguments.a mcp.arguments.d"),
        ("allow if { some _, x in data.table; input.mcp.arguments[x] == 1 }", "mcp.arguments.c mcp.arguments.e"),
        (
            "f(x) if { x in data.list; input.mcp.arguments[x] == 1 }\nallow if f(input.mcp.name)",
            "mcp.arguments.a mcp.arguments.b mcp.name",
        ),
        ("allow if { some x in data.list; count({y | y := input.mcp.arguments[x]}) == 1 }", ab),
        ("allow if { every x in [\"a\"] { x in data.list; input.mcp.arguments[x] } }", ab),
        ("allow if { some x in data.list; not input.mcp.arguments[x] }", ab),
        ("allow if { some x in data.none; input.mcp.arguments[x] }", ""),
        // What is no text, is too much, or is not known to be data.
        ("allow if { some x in data.mixed; input.mcp.arguments[x] == 1 }", all),
        ("allow if { some x in data.many; input.mcp.arguments[x] == 1 }", all),
        ("allow if { some x in data.absent; input.mcp.arguments[x] == 1 }", all),
        ("allow if { some x in data[\"list\"]; input.mcp.arguments[x] == 1 }", ab),
        ("allow if { some y in [\"list\"]; some x in data[y]; input.mcp.arguments[x] == 1 }", all),
        ("names := [\"a\"]\nallow if { some x in names; input.mcp.arguments[x] == 1 }", all),
        ("allow if { some x in array.concat(data.list, [\"c\"]); input.mcp.arguments[x] == 1 }", all),
        ("allow if { some [x] in data.list; input.mcp.arguments[x] == 1 }", all),
        // Not here, or not yet.
        ("f(x) if { not x in data.list; input.mcp.arguments[x] == 1 }\nallow if f(\"c\")", all),
        ("f(x) if x in data.list\nf(x) if input.mcp.arguments[x] == 1\nallow if f(\"c\")", all),
        ("f(x) if { count({x | x in data.list}) == 0; input.mcp.arguments[x] == 1 }\nallow if f(\"c\")", all),
        ("f(x) := 1 if { x in data.list } else := 2 if { input.mcp.arguments[x] }\nallow if f(\"c\") == 2", all),
        ("f(x) if { x in data.list == false; input.mcp.arguments[x] == 1 }\nallow if f(\"c\")", all),
        (
            "allow if { some x in [\"c\"]; y := {x | some x in data.list}; count(y) == 2; input.mcp.arguments[x] == 1 }",
            all,
        ),
        // Each `_` is another name, and what nothing gives a value runs over all first.
        ("allow if { some _ in data.list; input.mcp.arguments[_] == 1 }", all),
        ("allow if { some _, x in data.list; x != input.mcp.arguments[_] }", all),
        ("allow if { some x; x in data.list; input.mcp.arguments[x] == 1 }", all),
        ("allow if { x in data.list; input.mcp.arguments[x] == 1 }", all),
    ] {
        assert_eq!(reads_with(&data, rules).0, read, "{rules}");
    }
}

#[test]
fn a_clause_that_asks_for_absent_data_first_reads_nothing() {
    let reads = |rules: &str| reads_with(r#"{"here": {"x": 1}, "no": false}"#, rules);
    let rules = |rest: &str| format!("allow if input.mcp.name == \"a\"\n{rest}");
    let (some, all) = ("mcp.name time.unix", "mcp.name");
    for (rest, read, defined) in [
        ("deny contains \"x\" if {\n data.here\n input.time.unix > 1\n}", some, "allow deny"),
        ("deny contains \"x\" if {\n data.absent\n input.time.unix > 1\n}", all, "allow"),
        ("deny contains \"x\" if {\n data.here.y.z\n input.time.unix > 1\n}", all, "allow"),
        ("deny contains \"x\" if {\n data.no\n input.time.unix > 1\n}", all, "allow"),
        ("deny contains \"x\" if {\n not data.here\n input.time.unix > 1\n}", all, "allow"),
        ("deny contains \"x\" if {\n not data.absent\n input.time.unix > 1\n}", some, "allow deny"),
        // What stands before it is evaluated.
        ("deny contains \"x\" if {\n input.time.unix > 1\n data.absent\n}", some, "allow deny"),
        // A rule that cannot hold is as good as no data.
        ("h if data.absent\ndeny contains \"x\" if {\n h\n input.time.unix > 1\n}", all, "allow"),
        ("h if data.here\ndeny contains \"x\" if {\n h\n input.time.unix > 1\n}", some, "allow deny h"),
        // What is a parameter is no rule.
        ("h if data.absent\nf(h) if {\n h\n input.time.unix > 1\n}\ndeny contains \"x\" if f(1)", some, "allow deny f"),
        // Any key may be there.
        ("deny contains \"x\" if {\n data[input.mcp.name]\n input.time.unix > 1\n}", some, "allow deny"),
        (
            "h := 1 if {\n data.absent\n input.time.unix > 1\n} else := 2\ndeny contains \"x\" if h",
            some,
            "allow deny h",
        ),
    ] {
        assert_eq!(reads(&rules(rest)), (read.to_owned(), defined.to_owned()), "{rest}");
    }
}
