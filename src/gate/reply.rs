//! What the gate answers itself: its own documents, and denials.

use serde_json::json;

use super::{DECISION_HEADER, Exchange, JSON, State, Step, cors};
use crate::denial::Denial;
use crate::http::Reply;
use crate::mcp::Id;
use crate::record::{Verdict, told};
use crate::resource::Resource;
use crate::token::seconds;

impl Exchange {
    pub(super) fn serve(
        &mut self,
        status: u16,
        mut headers: Vec<(&'static str, String)>,
        body: String,
        code: &'static str,
    ) -> Step {
        self.state = State::Decided(Verdict::Serve, code);
        self.share(&mut headers);
        headers.push((DECISION_HEADER, self.decision_id.clone()));
        Step::Reply(Reply { status, headers, body })
    }

    /// Lets the page that asked read the answer.
    fn share(&self, headers: &mut Vec<(&'static str, String)>) {
        if let Some(origin) = &self.origin {
            headers.extend(cors::share(origin));
        }
    }

    pub(super) fn refuse(&mut self, denial: Denial, id: Option<Id>, resource: Option<&Resource>) -> Step {
        self.note(&denial);
        self.state = State::Decided(Verdict::Deny, denial.code());
        Step::Reply(self.reply(&denial, id, resource))
    }

    /// How a denial looks to the caller.
    pub(super) fn reply(&self, denial: &Denial, id: Option<Id>, resource: Option<&Resource>) -> Reply {
        let mut headers = vec![
            ("content-type", JSON.into()),
            ("cache-control", "no-store".into()),
            (DECISION_HEADER, self.decision_id.clone()),
        ];
        match (denial, resource) {
            (Denial::ScopeMissing { needed, granted }, Some(resource)) => {
                headers.push(("www-authenticate", resource.scope_challenge(needed, granted)));
            }
            (Denial::StepUpRequired { acr_values, max_age }, Some(resource)) => {
                headers.push(("www-authenticate", resource.step_up_challenge(acr_values, *max_age)));
            }
            (Denial::MethodRefused { allow }, _) => headers.push(("allow", (*allow).into())),
            (Denial::CredentialInQuery { .. } | Denial::CredentialTwice, Some(resource)) => {
                headers.push(("www-authenticate", resource.challenge(denial)));
            }
            (denial, Some(resource)) if denial.is_credential() => {
                headers.push(("www-authenticate", resource.challenge(denial)));
                if let (Denial::NonceRequired, Some(gate), Some(now)) = (denial, &self.gate, self.started) {
                    headers.extend(gate.nonces.make(seconds(now)).map(|nonce| ("dpop-nonce", nonce)));
                }
            }
            (denial, _) if denial.status() == 503 => headers.push(("retry-after", "5".into())),
            _ => {}
        }
        self.share(&mut headers);
        let reasons = resource.is_some_and(|resource| resource.reasons);
        let body = self.body(denial, id, reasons);
        Reply { status: denial.status(), headers, body }
    }

    /// The body of a denial: a JSON-RPC error where the message was at fault or
    /// denied, else an object of our own.
    pub(super) fn body(&self, denial: &Denial, id: Option<Id>, reasons: bool) -> String {
        // What was wrong with a credential is nobody's business but the operator's.
        let code = if denial.is_credential() { "unauthorized" } else { denial.code() };
        let Some(rpc_code) = denial.rpc_code() else {
            return json!({"code": code, "message": denial.message(), "decision_id": self.decision_id}).to_string();
        };
        let mut data = json!({"decision_id": self.decision_id, "code": code});
        match denial {
            Denial::PolicyDenied { reasons: given } if reasons && !given.is_empty() => {
                insert(&mut data, "reasons", json!(told(given)));
            }
            Denial::VersionUnsupported { requested, supported } => {
                insert(&mut data, "supported", json!(supported));
                insert(&mut data, "requested", json!(requested));
            }
            _ => {}
        }
        let mut answer =
            json!({"jsonrpc": "2.0", "error": {"code": rpc_code, "message": denial.message(), "data": data}});
        if let Some(id) = &id {
            insert(&mut answer, "id", id.into());
        }
        answer.to_string()
    }

    pub(super) fn note(&mut self, denial: &Denial) {
        if let Denial::PolicyDenied { reasons } = denial {
            self.record.reasons.clone_from(reasons);
        }
        self.record.detail = denial.detail();
    }
}

fn insert(object: &mut serde_json::Value, name: &str, value: serde_json::Value) {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
}
