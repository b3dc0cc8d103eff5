//! What the gate answers itself: its own documents, and denials.

use serde_json::{Value, json};

use super::{DECISION_HEADER, Exchange, JSON, State, Step, cors};
use crate::denial::Denial;
use crate::http::Reply;
use crate::mcp::{Call, Era, Id};
use crate::record::{Verdict, told};
use crate::resource::{DenialShape, Denials, Resource};
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
        let reply = self.reply(&denial, id, resource);
        self.deny(&denial, reply)
    }

    /// Policy lets the call not go. Only the answer depends on the shape that the resource has
    /// for it.
    pub(super) fn refuse_call(&mut self, denial: Denial, call: &Call<'_>, resource: &Resource) -> Step {
        let shaped = self.shaped(&denial, call, resource);
        let reply = shaped.unwrap_or_else(|| self.reply(&denial, call.id.clone(), Some(resource)));
        self.deny(&denial, reply)
    }

    fn deny(&mut self, denial: &Denial, reply: Reply) -> Step {
        self.note(denial);
        self.state = State::Decided(Verdict::Deny, denial.code());
        Step::Reply(reply)
    }

    /// How a denial looks to the caller.
    pub(super) fn reply(&self, denial: &Denial, id: Option<Id>, resource: Option<&Resource>) -> Reply {
        let mut headers = self.headers();
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
        let reasons = resource.is_some_and(|resource| resource.denials.reasons);
        let body = self.body(denial, id, reasons);
        Reply { status: denial.status(), headers, body }
    }

    /// The headers of every denial.
    fn headers(&self) -> Vec<(&'static str, String)> {
        vec![
            ("content-type", JSON.into()),
            ("cache-control", "no-store".into()),
            (DECISION_HEADER, self.decision_id.clone()),
        ]
    }

    /// A plain no in another shape than HTTP's own. What is no request has no id that an
    /// answer could name, and keeps its 403.
    fn shaped(&self, denial: &Denial, call: &Call<'_>, resource: &Resource) -> Option<Reply> {
        let id = call.id.as_ref().filter(|_| denial.is_plain())?;
        let Denials { shape, reasons } = resource.denials;
        let mut headers = self.headers();
        let error = || self.body(denial, Some(id.clone()), reasons);
        let body = match shape {
            DenialShape::Http403 => return None,
            DenialShape::JsonRpc => error(),
            DenialShape::ToolResult if has_tool_result(call) => {
                json!({"jsonrpc": "2.0", "id": Value::from(id), "result": self.tool_result(denial, call, reasons)})
                    .to_string()
            }
            DenialShape::ToolResult => error(),
            DenialShape::UnknownTool => match unknown(call) {
                Some(unknown) => {
                    // It would say that there was something to decide.
                    headers.retain(|(name, _)| *name != DECISION_HEADER);
                    json!({"jsonrpc": "2.0", "id": Value::from(id), "error": unknown}).to_string()
                }
                // Nothing is named, so nothing can be hidden.
                None => error(),
            },
        };
        self.share(&mut headers);
        Some(Reply { status: 200, headers, body })
    }

    /// A denial as the result of a tool that failed, for the model to read.
    fn tool_result(&self, denial: &Denial, call: &Call<'_>, reasons: bool) -> Value {
        let mut text = denial.message();
        if let Some(given) = shown(denial, reasons) {
            text = format!("{text}: {}", given.join("; "));
        }
        let text = format!("{text} (decision {})", self.decision_id);
        let mut result = json!({"content": [{"type": "text", "text": text}], "isError": true});
        if call.version.era == Era::Modern {
            insert(&mut result, "resultType", "complete".into());
        }
        result
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
        if let Some(given) = shown(denial, reasons) {
            insert(&mut data, "reasons", json!(given));
        }
        if let Denial::VersionUnsupported { requested, supported } = denial {
            insert(&mut data, "supported", json!(supported));
            insert(&mut data, "requested", json!(requested));
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

/// The reasons of a denial, where it has any and the caller may learn them.
fn shown(denial: &Denial, reasons: bool) -> Option<Vec<&str>> {
    match denial {
        Denial::PolicyDenied { reasons: given } if reasons && !given.is_empty() => Some(told(given)),
        _ => None,
    }
}

/// Does the caller wait for the result of a tool? One who asks for a task waits for a
/// task (2025-11-25, Tasks), and reads no other result.
fn has_tool_result(call: &Call<'_>) -> bool {
    call.method.as_deref() == Some("tools/call") && call.augmentation().is_none()
}

/// What MCP says of a tool, prompt, resource or task that is not there (Error Handling of
/// each); nothing where none is named.
fn unknown(call: &Call<'_>) -> Option<Value> {
    let method = call.method.as_deref()?;
    if let Some(name) = &call.name {
        let what = if method == "tools/call" { "tool" } else { "prompt" };
        return Some(json!({"code": -32602, "message": format!("Unknown {what}: {name}")}));
    }
    if let Some(uri) = &call.uri {
        let is_legacy = call.version.era == Era::Legacy && method.starts_with("resources/");
        let code = if is_legacy { -32002 } else { -32602 };
        return Some(json!({"code": code, "message": "Resource not found", "data": {"uri": uri}}));
    }
    call.task.as_ref().map(|_| json!({"code": -32602, "message": "Task not found"}))
}

fn insert(object: &mut Value, name: &str, value: Value) {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
}
