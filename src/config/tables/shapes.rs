//! What the entries of each table hold.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::texts::{Acr, Directory, Host, Network, Seconds, Text};
use super::time::Time;

pub(super) type Named<T> = BTreeMap<String, T>;
pub(super) type Texts = Vec<Text>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[expect(dead_code, reason = "the types are what is checked")]
pub(super) struct Role {
    inherits: Option<Texts>,
    tools: Option<Texts>,
    prompts: Option<Texts>,
    resources: Option<Texts>,
    methods: Option<Texts>,
    limits: Option<Named<Named<Value>>>,
    at: Option<Texts>,
    tenants: Option<Texts>,
    issuers: Option<Texts>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[expect(dead_code, reason = "the types are what is checked")]
pub(super) struct Assignment {
    roles: Texts,
    subjects: Option<Texts>,
    groups: Option<Texts>,
    clients: Option<Texts>,
    at: Option<Texts>,
    tenants: Option<Texts>,
    issuers: Option<Texts>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[expect(dead_code, reason = "the types are what is checked")]
pub(super) struct Duties {
    exclusive: Option<Vec<Texts>>,
    second: Option<Named<Texts>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[expect(dead_code, reason = "the types are what is checked")]
pub(super) struct RelationRule {
    r#type: Text,
    argument: Text,
    relation: Text,
    grants: Option<bool>,
}

/// An entry of `conditions` and of `label_conditions`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[expect(dead_code, reason = "the types are what is checked")]
pub(super) struct Entry {
    subjects: Option<Texts>,
    clients: Option<Texts>,
    issuers: Option<Texts>,
    tenants: Option<Texts>,
    roles: Option<Texts>,
    groups: Option<Texts>,
    amr: Option<Texts>,
    sources: Option<Vec<Network>>,
    principals: Option<Texts>,
    claims: Option<Named<Value>>,
    actor: Option<Value>,
    annotations: Option<Named<Value>>,
    token: Option<Token>,
    time: Option<Time>,
    arguments: Option<Named<Value>>,
    login: Option<Login>,
    grants: Option<bool>,
    unless: Option<Box<Self>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[expect(dead_code, reason = "the types are what is checked")]
struct Token {
    max_age: Seconds,
}

/// It has to ask for something.
#[derive(Deserialize)]
#[serde(try_from = "LoginFields")]
struct Login;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct LoginFields {
    max_age: Option<Seconds>,
    acr: Option<Vec<Acr>>,
}

impl TryFrom<LoginFields> for Login {
    type Error = &'static str;

    fn try_from(login: LoginFields) -> Result<Self, Self::Error> {
        match (login.max_age, login.acr) {
            (None, None) => Err("expected `max_age`, in seconds, or `acr`, a list, or both"),
            (_, Some(acr)) if acr.is_empty() => Err("expected at least one text in `acr`, found none"),
            _ => Ok(Self),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[expect(dead_code, reason = "the types are what is checked")]
pub(super) struct Label {
    tools: Option<Texts>,
    prompts: Option<Texts>,
    resources: Option<Texts>,
    methods: Option<Texts>,
    annotations: Option<Named<Value>>,
    arguments: Option<Named<Named<Value>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[expect(dead_code, reason = "the types are what is checked")]
pub(super) struct Guards {
    destructive: Option<Destructive>,
    urls: Option<Named<Texts>>,
    paths: Option<Named<Named<Vec<Directory>>>>,
    private_hosts: Option<Vec<Host>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[expect(dead_code, reason = "the types are what is checked")]
struct Destructive {
    login: Option<Login>,
    roles: Option<Texts>,
    tools: Option<Texts>,
}
