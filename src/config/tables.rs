//! The data of the bundled policies: what each of their tables holds. A key that they do not
//! read would restrict nothing, so it is refused, and so is a value of another type.

mod asked;
mod names;
mod references;
mod shapes;
mod texts;
mod time;

use std::collections::HashSet;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::rules::DEPTH;
use super::vocabulary::{Vocabulary, is_like};
use super::{Findings, annotations};
use asked::{TABLES, table};
pub(super) use asked::{is_asked, is_of_urls, unread};
use names::in_vain;
pub(super) use names::{arguments, named};
pub(super) use references::{Dangling, OF_ISSUERS, dangling};
use shapes::{Assignment, Duties, Entry, Guards, Label, Named, RelationRule, Role, Texts};
use texts::{Scope, Tuple};

/// The entries of a table that has names for them.
pub(super) fn entries(table: &Value) -> impl Iterator<Item = (&str, &Value)> {
    table.as_object().into_iter().flatten().map(|(name, entry)| (name.as_str(), entry))
}

/// Does this role grant the call of a tool itself?
fn grants(role: &Value) -> impl Fn(&str) -> bool {
    let patterns = |kind| role.get(kind).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let (globs, exact): (Vec<&str>, Vec<&str>) = patterns("tools").partition(|pattern| pattern.contains('*'));
    let exact: HashSet<&str> = exact.into_iter().collect();
    let is_any = patterns("methods").any(|pattern| is_like(pattern, "tools/call"));
    move |tool| is_any || exact.contains(tool) || globs.iter().any(|glob| is_like(glob, tool))
}

/// How many findings or notes of one kind there are at most of a table that may have ten thousand entries.
pub(super) const MOST: usize = 20;

impl Findings {
    /// Checks those tables of the bundled policies that are asked for.
    pub(super) fn tables(&mut self, data: &Value, vocabulary: &Vocabulary, is_asked: impl Fn(&str) -> bool) {
        for (name, table) in data.as_object().into_iter().flatten().filter(|(name, _)| is_asked(name)) {
            let path = format!("policy.data.{name}");
            if self::table(name).is_some() {
                self.without_values(&path, table);
            }
            match name.as_str() {
                "roles" => self.each::<Role>(&path, table),
                "assignments" => self.long_table::<Assignment>(&path, table),
                "duties" => drop(self.read::<Duties>(&path, table)),
                "relations" => self.long_table::<Tuple>(&path, table),
                "relation_types" => self.each::<Named<Texts>>(&path, table),
                "relation_rules" => self.each::<RelationRule>(&path, table),
                "conditions" | "label_conditions" => self.entries(&path, table, vocabulary),
                "labels" => self.each::<Label>(&path, table),
                "tool_scopes" => self.each::<Vec<Scope>>(&path, table),
                "guards" => drop(self.read::<Guards>(&path, table)),
                // A name that begins with `_` is a remark.
                name if name.starts_with('_') || name == "rules" => {}
                _ => {
                    let names = TABLES.map(|table| table.name).join(", ");
                    self.add(
                        &path,
                        format!("expected one of {names}, which the bundled policies read, found `{name}`"),
                    );
                }
            }
            let dangling = dangling(name, table, data, vocabulary).into_iter().filter(|dangling| dangling.is_refused);
            for dangling in dangling {
                self.add(format!("{path}{}", dangling.at), dangling.problem);
            }
            for (at, kind, pattern) in named(name, table) {
                self.name(|| format!("{path}{at}"), kind, pattern, vocabulary);
            }
            for (at, problem) in in_vain(name, table) {
                self.add(format!("{path}{at}"), problem);
            }
            for (at, argument) in arguments(name, table) {
                self.argument(|| format!("{path}{at}"), argument);
            }
            self.unannotated(annotations::of_table(name, table), vocabulary);
            // By tool within each role and label.
            let part = match name.as_str() {
                "roles" => "limits",
                "labels" => "arguments",
                _ => continue,
            };
            for (owner, entry) in table.as_object().into_iter().flatten() {
                self.annotations(&format!("{path}.{owner}"), entry, vocabulary);
                let is_granted = grants(entry);
                let by_tool = entry.get(part).and_then(Value::as_object).into_iter().flatten();
                for (tool, conditions) in by_tool {
                    let path = format!("policy.data.{name}.{owner}.{part}.{tool}");
                    if tool.contains('*') {
                        self.add(
                            &path,
                            "expected the exact name of a tool, found a glob; write one entry for each tool",
                        );
                    } else if part == "limits" && !is_granted(tool) {
                        let problem = format!(
                            "expected a tool that `{owner}` grants by its own `tools`, found `{tool}`; limits are of what a role \
                             grants itself, not of what it inherits"
                        );
                        self.add(&path, problem);
                    }
                    self.conditions(&path, Some(conditions));
                }
            }
        }
        let labels = data.get("labels");
        let marked = data.get("label_conditions").filter(|_| is_asked("label_conditions"));
        for (label, entry) in marked.and_then(Value::as_object).into_iter().flatten() {
            let by_arguments = labels.and_then(|labels| labels.get(label)?.get("arguments"));
            if by_arguments.is_some() && entry.get("arguments").is_some() {
                self.add(
                    format!("policy.data.label_conditions.{label}.arguments"),
                    "expected it in `conditions`, by the tool; what its arguments label has conditions on who asks alone",
                );
            }
            if labels.is_none_or(|labels| labels.get(label).is_none()) {
                let problem = "expected a label of `labels`, found another name; nothing has it";
                self.add(format!("policy.data.label_conditions.{label}"), problem);
            }
        }
    }

    /// Entries without a value, and keys in them. A name that an entry goes by is no key.
    fn without_values(&mut self, path: &str, table: &Value) {
        let Some(entries) = table.as_object() else {
            self.nulls(path, table);
            return;
        };
        for (name, entry) in entries {
            let path = format!("{path}.{name}");
            match entry {
                Value::Null => self.add(path, "expected a value, found none; leave the key out, or say which"),
                entry => drop(self.nulls(&path, entry)),
            }
        }
    }

    /// Reads each entry of a table, so that one finding hides no other.
    fn each<T: DeserializeOwned>(&mut self, path: &str, table: &Value) {
        match table.as_object() {
            Some(entries) => {
                entries.iter().for_each(|(name, entry)| drop(self.read::<T>(&format!("{path}.{name}"), entry)))
            }
            None => drop(self.read::<Named<Value>>(path, table)),
        }
    }

    /// The same of a list that may have ten thousand: read as it stands where it is sound, and once
    /// more, each by its path, where not.
    fn long_table<T: DeserializeOwned>(&mut self, path: &str, table: &Value) {
        // To the reader of JSON values a list may be an object, its members in a row.
        let is_sound = |item: &Value| !item.is_array() && T::deserialize(item).is_ok();
        match table.as_array() {
            Some(items) if items.iter().all(is_sound) => {}
            Some(items) => {
                let read = |(item, index): (&Value, usize)| self.read::<T>(&format!("{path}[{index}]"), item);
                if items.iter().zip(0..).map(read).filter(Option::is_none).take(MOST).count() == MOST {
                    self.add(path, format!("expected sound entries, found {MOST} that are not, and looked no further"));
                }
            }
            None => drop(self.read::<Vec<Value>>(path, table)),
        }
    }

    fn entries(&mut self, path: &str, table: &Value, vocabulary: &Vocabulary) {
        self.each::<Entry>(path, table);
        for (name, entry) in table.as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            self.entry(&path, entry, vocabulary);
            let mut keys = entry.as_object().into_iter().flatten().map(|(key, _)| key.as_str());
            if keys.all(|key| matches!(key, "unless" | "grants")) {
                self.add(&path, "expected at least one condition, found none");
            }
            let Some(unless) = entry.get("unless") else { continue };
            let path = format!("{path}.unless");
            self.entry(&path, unless, vocabulary);
            for key in ["arguments", "grants", "login", "unless"] {
                if unless.get(key).is_some() {
                    self.add(
                        format!("{path}.{key}"),
                        "expected another condition: an exception is about who asks, how and when",
                    );
                }
            }
        }
    }

    fn entry(&mut self, path: &str, entry: &Value, vocabulary: &Vocabulary) {
        self.annotations(path, entry, vocabulary);
        for key in ["claims", "arguments"] {
            if entry.get(key).is_some_and(|conditions| *conditions == json!({})) {
                self.add(format!("{path}.{key}"), "expected at least one name with its condition, found none");
            }
        }
        for key in ["claims", "arguments"] {
            self.conditions(&format!("{path}.{key}"), entry.get(key));
        }
        if let Some(actor) = entry.get("actor") {
            self.condition(&format!("{path}.actor"), actor, DEPTH);
        }
    }

    /// In tables a condition on an annotation is its value.
    fn annotations(&mut self, path: &str, entry: &Value, vocabulary: &Vocabulary) {
        let Some(annotations) = entry.get("annotations").and_then(Value::as_object) else { return };
        self.annotated(path, annotations.keys(), vocabulary);
        if annotations.is_empty() {
            self.add(format!("{path}.annotations"), "expected at least one name with its value, found none");
        }
        for (name, value) in annotations.iter().filter(|(name, value)| annotations::is_misvalued_hint(name, value)) {
            self.add(format!("{path}.annotations.{name}"), format!("expected `true` or `false`, found `{value}`"));
        }
        for (name, value) in
            annotations.iter().filter(|(_, value)| value.is_object() || value.is_array() || value.is_null())
        {
            let problem = format!("expected the value itself, such as `true`, found `{value}`");
            self.add(format!("{path}.annotations.{name}"), problem);
        }
    }

    fn conditions(&mut self, path: &str, conditions: Option<&Value>) {
        self.named_conditions(path, conditions.and_then(Value::as_object).into_iter().flatten());
        for (name, condition) in conditions.and_then(Value::as_object).into_iter().flatten() {
            self.condition(&format!("{path}.{name}"), condition, DEPTH);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PolicyConfig;

    /// What is wrong with data that is loaded beside the bundled policies.
    fn findings(data: &Value) -> Vec<String> {
        let mut findings = Findings(Vec::new());
        let config: PolicyConfig = serde_json::from_value(json!({"data": data})).unwrap();
        let policy = findings.policy(config, &Vocabulary::default());
        assert_eq!(policy.is_some(), findings.0.is_empty(), "{data}");
        findings.0.iter().map(|finding| format!("{}: {}", finding.path, finding.problem)).collect()
    }

    #[test]
    fn every_table_can_be_loaded() {
        let mut engine = regorus::Engine::new();
        let company = include_str!("../../policies/example/company.rego");
        engine.add_policy("company.rego".into(), company.into()).unwrap();
        let company = engine.eval_rule("data.example.company".into());
        let company = company.unwrap_or_else(|_| {
            let found = engine.eval_query("data.example.company".into(), false).unwrap();
            found.result[0].expressions[0].value.clone()
        });
        let company = serde_json::to_value(company).unwrap();
        assert!(TABLES.iter().all(|table| company.get(table.name).is_some()), "{company}");
        assert_eq!(findings(&company), [""; 0]);
        let paths = json!({"guards": {"paths": {"read_file": {"path": ["/srv"]}}, "destructive": {"roles": ["x"]}}});
        let entry = json!({
            "subjects": [], "clients": [], "issuers": [], "tenants": [], "roles": [], "groups": [], "amr": [],
            "sources": ["10.0.0.0/8"], "principals": [], "claims": {"a.b": {"each": {"in": [1]}}}, "actor": "x",
            "annotations": {"readOnlyHint": true}, "token": {"max_age": 1}, "time": {"days": ["mon"], "hours": "22:00-06:00"},
            "arguments": {"a": {"prefix": "a", "size": {"max": 2}}}, "login": {"acr": ["gold"]}, "grants": true,
            "unless": {"roles": ["admin"], "time": {"hours": ["08:00-18:00", "22:00-24:00"]}},
        });
        let null = json!({"conditions": {"x": {"claims": {"a": null}}}});
        for data in [json!({}), json!({"_remark": 1}), paths, null, json!({"conditions": {"*": entry}})] {
            assert_eq!(findings(&data), [""; 0], "{data}");
        }
        for (table, value) in company.as_object().unwrap() {
            let mut data = json!({table: value});
            for (of, needed) in [("label_conditions", "labels"), ("duties", "roles")] {
                if table == of {
                    data[needed] = company[needed].clone();
                }
            }
            assert_eq!(findings(&data), [""; 0], "{table}");
        }
    }

    #[test]
    fn what_no_policy_reads_is_refused_by_its_path() {
        for (data, expected) in [
            (json!({"rolls": {}}), "policy.data.rolls: expected one of roles, assignments"),
            (json!({"roles": {"a": {"tenant": ["acme"]}}}), "policy.data.roles.a"),
            (json!({"roles": {"a": {"limit": {}}}}), "policy.data.roles.a"),
            (json!({"roles": {"a": {"tools": "x"}}}), "policy.data.roles.a.tools"),
            (
                json!({"roles": {"a": {"limits": {"x_*": {"n": 1}}}}}),
                "policy.data.roles.a.limits.x_*: expected the exact name",
            ),
            (json!({"roles": {"a": {"limits": {"x": {"n": {"maximum": 1}}}}}}), "policy.data.roles.a.limits.x.n"),
            (
                json!({"assignments": [{"roles": ["a"], "subjects": ["b"], "tenant": ["c"]}]}),
                "policy.data.assignments[0]",
            ),
            (json!({"assignments": [{"subjects": ["b"]}]}), "policy.data.assignments[0]"),
            (json!({"duties": {"exclusive": ["a"]}}), "policy.data.duties.exclusive[0]"),
            (
                json!({"roles": {"b": {}, "c": {}}, "duties": {"exclusive": [["b", "c"], ["b", "d"]]}}),
                "policy.data.duties.exclusive[1][1]: expected a role of `roles`, found `d`",
            ),
            (
                json!({"roles": {"b": {}}, "duties": {"exclusive": [["b", "b"]]}}),
                "policy.data.duties.exclusive[0]: expected at least two roles, of which nobody may use both, found 1",
            ),
            (
                json!({"relations": vec!["document:a#owner"; 30]}),
                "policy.data.relations: expected sound entries, found 20 that are not",
            ),
            (
                json!({"roles": {"a": {"tools": ["f*"], "limits": {"g": {"n": 1}}}}}),
                "policy.data.roles.a.limits.g: expected a tool that `a` grants",
            ),
            (json!({"assignments": [[["a"], ["b"]]]}), "policy.data.assignments[0]: expected an object"),
            (json!({"roles": {"a": {"tools": [""]}}}), "policy.data.roles.a.tools[0]: expected a text"),
            (
                json!({"conditions": {"x": {"grants": true}}}),
                "policy.data.conditions.x: expected at least one condition",
            ),
            (
                json!({"conditions": {"claims": {"roles": null}}}),
                "policy.data.conditions.claims.roles: expected a value",
            ),
            (
                json!({"conditions": {"x": {"token": {"max_age": 0}}}}),
                "policy.data.conditions.x.token.max_age: expected at least 1 second, found 0",
            ),
            (
                json!({"conditions": {"x": {"login": {"acr": ["a b"]}}}}),
                "policy.data.conditions.x.login.acr[0]: expected visible ASCII",
            ),
            (
                json!({"conditions": {"x": {"arguments": {"n*": 1}}}}),
                "policy.data.conditions.x.arguments.n*: expected the exact name of an argument",
            ),
            (
                json!({"labels": {"x": {"arguments": {"t": {"id": "hr-*"}}}}}),
                "policy.data.labels.x.arguments.t.id: expected a value, found `hr-*`",
            ),
            (
                json!({"labels": {"x": {"arguments": {"t": {"id": [{"prefix": "hr-"}]}}}}}),
                "policy.data.labels.x.arguments.t.id[0]: expected values, found",
            ),
            (
                json!({"labels": {"x": {"arguments": {"t": {"id": {"in": []}}}}}}),
                "policy.data.labels.x.arguments.t.id.in: expected at least one value",
            ),
            (
                json!({"labels": {"x": {"arguments": {"t": {"id": {"absent": false}}}}}}),
                "policy.data.labels.x.arguments.t.id.absent: expected `true`",
            ),
            (
                json!({"labels": {"x": {"arguments": {"t": {"id": {"prefix": "hr-*"}}}}}}),
                "policy.data.labels.x.arguments.t.id.prefix: expected what a text begins with, such as `hr-`",
            ),
            (json!({"guards": {"urls": {"x": ["*"]}}}), "policy.data.guards.urls.x[0]: expected the exact name"),
            (
                json!({"guards": {"paths": {"x": {"*": ["/srv"]}}}}),
                "policy.data.guards.paths.x.*: expected the exact name",
            ),
            (
                json!({"guards": {"private_hosts": [".a.com"]}}),
                "policy.data.guards.private_hosts[0]: expected the name",
            ),
            (
                json!({"guards": {"private_hosts": ["10.1.*"]}}),
                "policy.data.guards.private_hosts[0]: expected the name",
            ),
            (
                json!({"guards": {"private_hosts": ["*.a..com"]}}),
                "policy.data.guards.private_hosts[0]: expected the name",
            ),
            (json!({"relations": ["document:a\n#owner@user:b"]}), "policy.data.relations[0]: expected a text such as"),
            (json!({"relations": ["document:a#owner@user:"]}), "policy.data.relations[0]: expected a text such as"),
            (json!({"relations": ["document:a#ow:ner@user:b"]}), "policy.data.relations[0]: expected a text such as"),
            (
                json!({"conditions": {"x": {"unless": {"login": {"max_age": 1}}}}}),
                "policy.data.conditions.x.unless.login",
            ),
            (json!({"conditions": {"x": {"unless": {"grants": true}}}}), "policy.data.conditions.x.unless.grants"),
            (json!({"conditions": {"x": {"unless": {"unless": {}}}}}), "policy.data.conditions.x.unless.unless"),
            (json!({"conditions": {"x": {"actor": {"mini": 1}}}}), "policy.data.conditions.x.actor"),
            (
                json!({"conditions": {"x": {"login": {"acr": []}}}}),
                "policy.data.conditions.x.login: expected at least one text in `acr`",
            ),
            (json!({"conditions": {"x": {"time": {"hours": "24:00-10:00"}}}}), "policy.data.conditions.x.time.hours"),
            (
                json!({"labels": {"x": {"annotations": {"destructiveHint": null}}}}),
                "policy.data.labels.x.annotations.destructiveHint: expected the value itself",
            ),
            (
                json!({"labels": {"x": {"arguments": {"x?": {"a": 1}}}}}),
                "policy.data.labels.x.arguments.x?: expected the name",
            ),
            (json!({"guards": {"paths": {"x?": {"a": ["/srv"]}}}}), "policy.data.guards.paths.x?: expected the name"),
            (json!({"conditions": {"a": {"x": 1}, "b": {"roles": 1}}}), "policy.data.conditions.b.roles"),
            (json!({"assignments": [{"x": 1}, {"roles": "a"}]}), "policy.data.assignments[1].roles"),
            (json!({"relations": ["document:a#owner@user:b", "document:a#owner"]}), "policy.data.relations[1]"),
            (json!({"relations": {}}), "policy.data.relations"),
            (json!({"relation_types": {"document": {"owner": "x"}}}), "policy.data.relation_types.document.owner"),
            (json!({"relation_rules": {"x": {"type": "document", "argument": "id"}}}), "policy.data.relation_rules.x"),
            (
                json!({"relation_rules": {"x?": {"type": "d", "argument": "i", "relation": "r"}}}),
                "policy.data.relation_rules.x?",
            ),
            (json!({"conditions": {"x": {"role": ["a"]}}}), "policy.data.conditions.x"),
            (json!({"conditions": {"x": {"claims": {"a": {"mini": 1}}}}}), "policy.data.conditions.x.claims.a"),
            (
                json!({"conditions": {"x": {"claims": {"a": {}}}}}),
                "policy.data.conditions.x.claims.a: expected a condition",
            ),
            (
                json!({"conditions": {"x": {"claims": {"a": {"min": "3"}}}}}),
                "policy.data.conditions.x.claims.a.min: expected a number",
            ),
            (
                json!({"conditions": {"x": {"time": {"hours": "8-18"}}}}),
                "policy.data.conditions.x.time.hours: expected hours such as `08:00-18:00`, in UTC, at most until `24:00`, found `8-18`",
            ),
            (json!({"conditions": {"x": {"time": {"hours": []}}}}), "policy.data.conditions.x.time.hours: expected"),
            (
                json!({"conditions": {"x": {"time": {"hours": [["08:00-18:00"]]}}}}),
                "policy.data.conditions.x.time.hours[0]",
            ),
            (
                json!({"conditions": {"x": {"sources": ["10.0.0.0/8", "10.0.0.1"]}}}),
                "policy.data.conditions.x.sources[1]: expected a network, such as `10.0.0.0/8` or `2001:db8::/32`, found",
            ),
            (json!({"conditions": {"x": {}}}), "policy.data.conditions.x: expected at least one condition"),
            (
                json!({"conditions": {"x": {"unless": {"roles": ["a"]}}}}),
                "policy.data.conditions.x: expected at least one condition",
            ),
            (json!({"conditions": {"x": {"roles": null}}}), "policy.data.conditions.x.roles: expected a value"),
            (json!({"labels": {"x": {"tools": null}}}), "policy.data.labels.x.tools: expected a value"),
            (json!({"assignments": [{"roles": ["a"], "groups": null}]}), "policy.data.assignments[0].groups: expected"),
            (json!({"guards": {"destructive": null}}), "policy.data.guards.destructive: expected a value"),
            (json!({"tool_scopes": {"x": ["mcp:read mcp:write"]}}), "policy.data.tool_scopes.x[0]: expected a scope"),
            (json!({"guards": {"paths": {"x": {"a": ["/srv", "./"]}}}}), "policy.data.guards.paths.x.a[1]: expected a"),
            (json!({"guards": {"paths": {"x": {"a": ["/srv/../x"]}}}}), "policy.data.guards.paths.x.a[0]: expected a"),
            (json!({"guards": {"paths": {"x": {}}}}), "policy.data.guards.paths.x: expected at least one name"),
            (
                json!({"guards": {"paths": {"x": {"a": []}}}}),
                "policy.data.guards.paths.x.a: expected at least one name",
            ),
            (
                json!({"guards": {"destructive": {"tools": [], "roles": ["a"]}}}),
                "policy.data.guards.destructive.tools: ",
            ),
            (
                json!({"guards": {"private_hosts": ["*.Corp.example.com"]}}),
                "policy.data.guards.private_hosts[0]: expected",
            ),
            (
                json!({"guards": {"private_hosts": ["a.example", "a.b:80"]}}),
                "policy.data.guards.private_hosts[1]: expected",
            ),
            (json!({"guards": {"private_hosts": ["34.1.2.3"]}}), "policy.data.guards.private_hosts[0]: expected"),
            (json!({"labels": {"x": {}}}), "policy.data.labels.x: expected at least one"),
            (json!({"labels": {"x": {"tools": [], "arguments": {}}}}), "policy.data.labels.x: expected at least one"),
            (
                json!({"labels": {"x": {"methods": ["tool/call"]}}}),
                "policy.data.labels.x.methods[0]: expected a method",
            ),
            (json!({"labels": {"x": {"arguments": {"t": {"a": []}}}}}), "policy.data.labels.x.arguments.t.a: expected"),
            (
                json!({"labels": {"x": {"arguments": {"t": {"a": {"min": 5, "max": 3}}}}}}),
                "policy.data.labels.x.arguments.t.a.min: expected at most `max`",
            ),
            (
                json!({"labels": {"x": {"annotations": {"destructiveHint": "true"}}}}),
                "policy.data.labels.x.annotations.destructiveHint: expected `true` or `false`",
            ),
            (
                json!({"labels": {"x": {"arguments": {"t": {"a": 1}}}},
                    "label_conditions": {"x": {"arguments": {"b": 1}}}}),
                "policy.data.label_conditions.x.arguments: expected it in `conditions`",
            ),
            (json!({"tool_scopes": {"x": []}}), "policy.data.tool_scopes.x: expected at least one name"),
            (json!({"guards": {"urls": {"x": []}}}), "policy.data.guards.urls.x: expected at least one name"),
            (
                json!({"labels": {"x": {"annotations": {"destructiveHint": {"absent": true}}}}}),
                "policy.data.labels.x.annotations.destructiveHint: expected the value itself, such as `true`",
            ),
            (
                json!({"conditions": {"x": {"annotations": {"destructiveHint": [true]}}}}),
                "policy.data.conditions.x.annotations.destructiveHint: expected the value itself",
            ),
            (json!({"labels": {"x": {"annotations": {}}}}), "policy.data.labels.x.annotations: expected at least one"),
            (json!({"conditions": {"x": {"time": {"days": []}}}}), "policy.data.conditions.x.time: expected `days`"),
            (json!({"conditions": {"x": {"unless": {"time": {}}}}}), "policy.data.conditions.x.unless.time: expected"),
            (
                json!({"conditions": {"x": {"unless": {"claims": {}}}}}),
                "policy.data.conditions.x.unless.claims: expected at least one name",
            ),
            (
                json!({"conditions": {"x": {"unless": {"annotations": {}}}}}),
                "policy.data.conditions.x.unless.annotations: expected at least one name",
            ),
            (
                json!({"conditions": {"x": {"time": {"hours": ["08:00-18:00", "18:00-18:00"]}}}}),
                "policy.data.conditions.x.time.hours[1]",
            ),
            (
                json!({"conditions": {"x": {"unless": {"time": {"days": ["monday"]}}}}}),
                "policy.data.conditions.x.unless.time.days[0]: expected one of mon, tue, wed, thu, fri, sat, sun, found `monday`",
            ),
            (json!({"roles": {"a": {"tools": ["x", "read_?"]}}}), "policy.data.roles.a.tools[1]: expected the name"),
            (json!({"roles": {"a": {"limits": {"a b": {}}}}}), "policy.data.roles.a.limits.a b: expected the name"),
            (
                json!({"labels": {"a": {"resources": ["doc://*", "DOC://%61"]}}}),
                "policy.data.labels.a.resources[1]: expected the URI of a resource with its scheme in small letters",
            ),
            (
                json!({"roles": {"a": {"resources": ["doc://%c3%a9"]}}}),
                "policy.data.roles.a.resources[0]: expected the URI of a resource without escapes",
            ),
            (json!({"labels": {"a": {"tools": ["é"]}}}), "policy.data.labels.a.tools[0]: expected the name"),
            (json!({"duties": {"second": {"x?": ["a"]}}}), "policy.data.duties.second.x?: expected the name"),
            (json!({"guards": {"urls": {"a/b": ["c"]}}}), "policy.data.guards.urls.a/b: expected the name"),
            (json!({"guards": {"destructive": {"tools": [""]}}}), "policy.data.guards.destructive.tools[0]: expected"),
            (
                json!({"labels": {"a": {"annotations": {"openWorldHint": true}}}}),
                "policy.data.labels.a.annotations: expected a resource with `catalogue.tools`",
            ),
            (json!({"conditions": {"x": {"token": {"max_age": "300"}}}}), "policy.data.conditions.x.token.max_age"),
            (json!({"conditions": {"x": {"login": {}}}}), "policy.data.conditions.x.login: expected `max_age`"),
            (json!({"conditions": {"x": {"unless": {"arguments": {}}}}}), "policy.data.conditions.x.unless.arguments"),
            (
                json!({"conditions": {"x": {"arguments": {"a": {"each": {"each": {"each": {"each": 1}}}}}}}}),
                "policy.data.conditions.x.arguments.a.each.each: expected at most 2",
            ),
            (json!({"labels": {"pay": {"argument": {}}}}), "policy.data.labels.pay"),
            (
                json!({"labels": {"pay": {"arguments": {"x": {"n": {"minimum": 3}}}}}}),
                "policy.data.labels.pay.arguments.x.n",
            ),
            (
                json!({"labels": {"pay": {"arguments": {"*": {"n": 3}}}}}),
                "policy.data.labels.pay.arguments.*: expected the exact",
            ),
            (
                json!({"label_conditions": {"pay": {"roles": ["hr"]}}}),
                "policy.data.label_conditions.pay: expected a label",
            ),
            (json!({"tool_scopes": {"x": "mcp:write"}}), "policy.data.tool_scopes.x"),
            (json!({"guards": {"url": {}}}), "policy.data.guards"),
            (json!({"guards": {"urls": ["a"]}}), "policy.data.guards.urls"),
            (json!({"guards": {"private_hosts": "*.x"}}), "policy.data.guards.private_hosts"),
            (json!({"guards": {"destructive": {"login": {"maxage": 300}}}}), "policy.data.guards.destructive.login"),
            (
                json!({"guards": {"destructive": {"login": {}}}}),
                "policy.data.guards.destructive.login: expected `max_age`",
            ),
        ] {
            let found = findings(&data);
            assert!(found.iter().any(|finding| finding.starts_with(expected)), "{data}: {found:?}");
        }
    }
}
