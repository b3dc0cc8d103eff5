//! The tests of `policies/`, on the engine that ships.

use std::path::{Path, PathBuf};

use libtest_mimic::{Failed, Trial};
use regorus::unstable::{Rule, RuleHead};
use regorus::{Engine, Value};

/// One trial for each `test_*` rule of each `*_test.rego`.
pub(crate) fn trials() -> Vec<Trial> {
    let modules = modules();
    let mut trials = Vec::new();
    for (path, text) in modules.iter().filter(|(path, _)| path.ends_with("_test.rego")) {
        for rule in rules(path, text) {
            let (modules, name) = (modules.clone(), rule.clone());
            trials.push(Trial::test(format!("rego/{rule}"), move || run(&modules, &name)));
        }
    }
    let count = trials.len();
    trials.push(Trial::test("rego/there_are_tests", move || match count {
        0 => Err("expected rules `test_*` in policies/**/*_test.rego, found none".into()),
        _ => Ok(()),
    }));
    trials
}

fn run(modules: &[(String, String)], rule: &str) -> Result<(), Failed> {
    let mut engine = Engine::new();
    engine.set_strict_builtin_errors(true);
    for (path, text) in modules {
        engine.add_policy(path.clone(), text.clone()).map_err(|error| error.to_string())?;
    }
    match engine.eval_rule(rule.to_owned()) {
        Ok(Value::Bool(true)) => Ok(()),
        Ok(found) => Err(format!("expected true, found {found}").into()),
        Err(error) => Err(error.to_string().into()),
    }
}

/// The paths of the `test_*` rules of a module; one each, however many bodies.
fn rules(path: &str, text: &str) -> Vec<String> {
    let mut engine = Engine::new();
    let package = engine.add_policy(path.to_owned(), text.to_owned()).unwrap_or_else(|error| panic!("{path}: {error}"));
    assert!(package.ends_with("_test"), "{path}: expected a package that ends in `_test`, found {package}");
    let module = engine.get_modules()[0].clone();
    let mut names: Vec<String> = module
        .policy
        .iter()
        .filter_map(|rule| {
            let Rule::Spec { head: RuleHead::Compr { refr, .. }, .. } = rule.as_ref() else { return None };
            Some(format!("{package}.{}", refr.span().text()))
        })
        .filter(|name| name.rsplit('.').next().is_some_and(|name| name.starts_with("test_")))
        .collect();
    names.sort();
    names.dedup();
    names
}

fn modules() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut directories: Vec<PathBuf> = vec![root.join("policies")];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory).expect("policies") {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rego") {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}
