//! The repertoire of the official Rust client: one line of JSON with what each
//! step gave its user.
//!
//! ```text
//! TOKEN=... mcp-gate-client URL auto|legacy [documents]
//! ```
//!
//! The same is done by client.mjs with the TypeScript clients; repertoire.py
//! compares. Parameters are written as the JSON that they become. With
//! `documents` it does, for run.py, what sdk.py does with the demo server.

// What the modern era no longer has is used in the legacy one.
#![allow(deprecated)]

mod documents;

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rmcp::model::{
    CallToolResponse, ClientRequest, CreateMessageRequestParams, CreateMessageResult, ElicitRequestParams,
    ElicitResult, ListRootsResult, LoggingMessageNotificationParam, ProgressNotificationParam, ProtocolVersion,
    Request, ResourceUpdatedNotificationParam, ServerNotification,
};
use rmcp::service::{
    ClientLifecycleMode, ClientServiceExt, NotificationContext, Peer, PeerRequestOptions, RequestContext, RoleClient,
    RunningService,
};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientHandler, ErrorData, model};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

const WATCHED: &str = "test://watched-resource";

/// What comes by itself, while a step runs or between two.
#[derive(Clone, Default)]
struct Heard {
    logged: Arc<Mutex<Vec<Value>>>,
    progress: Arc<Mutex<Vec<Value>>>,
    changes: Arc<Mutex<Vec<String>>>,
}

impl Heard {
    fn heard(&self, what: &str) -> bool {
        self.changes.lock().unwrap().iter().any(|change| change == what)
    }
}

impl ClientHandler for Heard {
    fn get_info(&self) -> model::ClientConfig {
        of(json!({
            "protocolVersion": "2025-11-25",
            "capabilities": {
                "elicitation": {"form": {}},
                "extensions": {"io.modelcontextprotocol/tasks": {}},
                "roots": {"listChanged": true},
                "sampling": {},
            },
            "clientInfo": {"name": "mcp-gate-tests", "version": "1.0.0"},
        }))
    }

    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let request = json!(request);
        let fields = request["requestedSchema"]["properties"].as_object().unwrap();
        let filled = fields.iter().map(|(name, field)| match field["type"].as_str() {
            Some("boolean") => (name.clone(), json!(true)),
            _ => (name.clone(), json!("Ada")),
        });
        Ok(of(json!({"action": "accept", "content": filled.collect::<Map<_, _>>()})))
    }

    async fn create_message(
        &self,
        _: CreateMessageRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        Ok(of(json!({"role": "assistant", "model": "none", "content": {"type": "text", "text": "forty-two"}})))
    }

    async fn list_roots(&self, _: RequestContext<RoleClient>) -> Result<ListRootsResult, ErrorData> {
        Ok(of(json!({"roots": [{"uri": "file:///tmp/project", "name": "project"}]})))
    }

    async fn on_logging_message(&self, params: LoggingMessageNotificationParam, _: NotificationContext<RoleClient>) {
        self.logged.lock().unwrap().push(json!(params));
    }

    async fn on_progress(&self, params: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        self.progress.lock().unwrap().push(json!([params.progress, params.total, params.message]));
    }

    async fn on_resource_updated(&self, params: ResourceUpdatedNotificationParam, _: NotificationContext<RoleClient>) {
        self.changes.lock().unwrap().push(params.uri);
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.changes.lock().unwrap().push("tools".into());
    }
}

fn of<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

type Found = Result<Value, String>;

/// A result as JSON, a failure in words.
fn found<T: Serialize, E: std::fmt::Display>(result: Result<T, E>) -> Found {
    result.map(|value| json!(value)).map_err(|error| error.to_string())
}

#[derive(Default)]
struct Steps(Map<String, Value>);

impl Steps {
    async fn step(&mut self, name: &str, run: impl Future<Output = Found>) {
        // What waits longer than this would wait for ever.
        let result = match tokio::time::timeout(Duration::from_secs(20), run).await {
            Ok(result) => result,
            Err(late) => Err(late.to_string()),
        };
        self.0.insert(name.into(), result.unwrap_or_else(|error| json!({"error": {"message": error}})));
    }
}

struct Client {
    service: RunningService<RoleClient, Heard>,
    heard: Heard,
    modern: bool,
}

impl Client {
    fn peer(&self) -> &Peer<RoleClient> {
        self.service.peer()
    }

    async fn call(&self, tool: &str, given: Value) -> Found {
        found(self.service.call_tool(of(json!({"name": tool, "arguments": given}))).await)
    }

    async fn text(&self, tool: &str, given: Value) -> Found {
        self.call(tool, given).await.map(|result| result["content"][0]["text"].clone())
    }

    async fn read(&self, uri: &str) -> Found {
        found(self.service.read_resource(of(json!({"uri": uri}))).await)
    }

    async fn prompt(&self, name: &str, given: Value) -> Found {
        found(self.service.get_prompt(of(json!({"name": name, "arguments": given}))).await)
    }

    async fn log(&self) -> Found {
        let mut params = json!({"name": "test_tool_with_logging", "arguments": {}});
        if self.modern {
            params["_meta"] = json!({"io.modelcontextprotocol/logLevel": "debug"});
        }
        let result = found(self.service.call_tool(of(params)).await)?;
        Ok(json!([*self.heard.logged.lock().unwrap(), result]))
    }

    async fn progress(&self) -> Found {
        let result = self.call("test_tool_with_progress", json!({})).await?;
        Ok(json!([*self.heard.progress.lock().unwrap(), result]))
    }

    async fn cancel(&self) -> Found {
        let key = json!({"key": format!("rust-{}-{}", self.modern, std::process::id())});
        let params = of(json!({"name": "slow", "arguments": key}));
        let request = ClientRequest::CallToolRequest(Request::new(params));
        let options = PeerRequestOptions::no_options();
        let slow = self.peer().send_cancellable_request(request, options).await.map_err(|error| error.to_string())?;
        let begun = self.text("has_begun", key.clone()).await?;
        found(slow.cancel(None).await)?;
        Ok(json!([begun, self.text("was_cancelled", key).await?]))
    }

    async fn subscribe(&self) -> Found {
        found(self.peer().subscribe(of(json!({"uri": WATCHED}))).await)?;
        let mut all = Vec::new();
        for (what, tool, given) in
            [(WATCHED, "touch", json!({"uri": WATCHED})), ("tools", "test_trigger_tool_change", json!({}))]
        {
            // What comes by another stream is asked for until that stream is there.
            for _ in 0..50 {
                if !self.heard.heard(what) {
                    self.call(tool, given.clone()).await?;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
            all.push(self.heard.heard(what));
        }
        found(self.peer().unsubscribe(of(json!({"uri": WATCHED}))).await)?;
        Ok(json!(all))
    }

    async fn listen(&self) -> Found {
        let filter = of(json!({"resourceSubscriptions": [WATCHED], "toolsListChanged": true}));
        let mut stream = self.peer().listen(filter).await.map_err(|error| error.to_string())?;
        let mut all = vec![json!(stream.acknowledged())];
        for (tool, given) in [("touch", json!({"uri": WATCHED})), ("test_trigger_tool_change", json!({}))] {
            self.call(tool, given).await?;
            match stream.next().await.map_err(|error| error.to_string())? {
                Some(ServerNotification::ResourceUpdatedNotification(it)) => all.push(json!(it.params.uri)),
                Some(ServerNotification::ToolListChangedNotification(_)) => all.push(json!("tools")),
                other => return Err(format!("{other:?}")),
            }
        }
        found(stream.cancel().await)?;
        Ok(json!(all))
    }

    /// Calls a tool, which becomes a task.
    async fn task(&self, tool: &str, given: Value) -> Result<String, String> {
        let called = self.peer().call_tool_once(of(json!({"name": tool, "arguments": given}))).await;
        match called.map_err(|error| error.to_string())? {
            CallToolResponse::Task(task) => Ok(json!(task)["taskId"].as_str().unwrap().to_owned()),
            other => Err(format!("expected a task, found {other:?}")),
        }
    }

    /// Asks until a task is no longer at work.
    async fn settled(&self, task: &str) -> Found {
        loop {
            let now = found(self.peer().get_task(of(json!({"taskId": task}))).await)?;
            if now["status"] != "working" {
                return Ok(now);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn task_that_works(&self) -> Found {
        let task = self.task("work", json!({"on": "it"})).await?;
        self.settled(&task).await
    }

    async fn task_that_asks(&self) -> Found {
        let task = self.task("confirm_delete", json!({"filename": "all"})).await?;
        let asking = self.settled(&task).await?;
        let answers = json!({"confirm": {"action": "accept", "content": {"ok": true}}});
        found(self.peer().update_task(of(json!({"taskId": task, "inputResponses": answers}))).await)?;
        Ok(json!([asking, self.settled(&task).await?]))
    }

    async fn task_that_is_cancelled(&self) -> Found {
        let task = self.task("slow_compute", json!({"seconds": 2})).await?;
        found(self.peer().cancel_task(of(json!({"taskId": task}))).await)?;
        self.settled(&task).await
    }

    async fn repertoire(&self) -> Steps {
        let mut steps = Steps::default();
        let peer = self.peer();
        steps.step("server", async { Ok(json!(peer.peer_info().as_deref())) }).await;
        steps.step("list tools", async { found(peer.list_all_tools().await) }).await;
        steps.step("list prompts", async { found(peer.list_all_prompts().await) }).await;
        steps.step("list resources", async { found(peer.list_all_resources().await) }).await;
        steps.step("list templates", async { found(peer.list_all_resource_templates().await) }).await;
        for tool in ["simple_text", "image_content", "audio_content", "embedded_resource", "multiple_content_types"] {
            steps.step(&format!("call {tool}"), self.call(&format!("test_{tool}"), json!({}))).await;
        }
        steps.step("call a tool that fails", self.call("test_error_handling", json!({}))).await;
        steps.step("refused: call no tool", self.call("no_such_tool", json!({}))).await;
        for region in ["eu-west-1", " a b ", "Zürich ☃", "=?base64?eA==?=", ""] {
            let given = json!({"region": region, "level": 1});
            steps.step(&format!("call with the region {region:?}"), self.call("test_x_mcp_header", given)).await;
        }
        for uri in ["static-text", "static-binary", "template/ü 1/data"] {
            steps.step(&format!("read {uri}"), self.read(&format!("test://{uri}"))).await;
        }
        steps.step("refused: read nothing", self.read("test://nothing")).await;
        steps.step("prompt", self.prompt("test_simple_prompt", json!({}))).await;
        let words = json!({"arg1": "ä", "arg2": "{\"b\":[1e3]}"});
        steps.step("prompt with arguments", self.prompt("test_prompt_with_arguments", words)).await;
        let prompt = peer.complete_prompt_simple("test_prompt_with_arguments", "arg1", "par");
        steps.step("complete", async { found(prompt.await) }).await;
        let template = peer.complete_resource_simple("test://template/{id}/data", "id", "par");
        steps.step("complete a uri", async { found(template.await) }).await;
        steps.step("progress", self.progress()).await;
        if !self.modern {
            steps.step("set the level", async { found(peer.set_level(of(json!({"level": "debug"}))).await) }).await;
        }
        steps.step("log", self.log()).await;
        steps.step("cancel", self.cancel()).await;
        steps.step("elicit", self.call("test_elicitation", json!({"message": "Who is there?"}))).await;
        steps.step("sample", self.call("test_sampling", json!({"prompt": "What is the answer?"}))).await;
        let tool = |end: &str| format!("test_input_required_result_{end}");
        steps.step("roots", self.call(&tool("list_roots"), json!({}))).await;
        steps.step("elicit twice", self.call(&tool("multi_round"), json!({}))).await;
        steps.step("ask three things at once", self.call(&tool("multiple_inputs"), json!({}))).await;
        steps.step("bring a state back", self.call(&tool("request_state"), json!({}))).await;
        if self.modern {
            steps.step("prompt that asks", self.prompt(&tool("prompt"), json!({}))).await;
            steps.step("subscribe", self.listen()).await;
            steps.step("task", self.task_that_works()).await;
            steps.step("task that asks", self.task_that_asks()).await;
            steps.step("task that is cancelled", self.task_that_is_cancelled()).await;
        } else {
            steps.step("subscribe", self.subscribe()).await;
            steps.step("roots have changed", async { found(peer.notify_roots_list_changed().await) }).await;
            steps
                .step("resume", async {
                    let result = self.call("test_reconnection", json!({})).await?;
                    Ok(json!([result, self.text("resumed", json!({})).await?]))
                })
                .await;
        }
        steps
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let config = StreamableHttpClientTransportConfig::with_uri(arguments[1].as_str())
        .auth_header(std::env::var("TOKEN").unwrap());
    let transport = StreamableHttpClientTransport::from_config(config);
    let mode = match arguments[2].as_str() {
        "legacy" => ClientLifecycleMode::Initialize,
        _ => {
            ClientLifecycleMode::Auto { preferred_versions: vec![ProtocolVersion::V_2026_07_28], legacy_version: None }
        }
    };
    let heard = Heard::default();
    let service = heard.clone().serve_with_lifecycle(transport, mode).await.unwrap();
    let version = service.peer_info().unwrap().protocol_version.to_string();
    let client = Client { service, heard, modern: version.as_str() >= "2026" };
    let mut told = match arguments.get(3) {
        None => json!({"steps": client.repertoire().await.0}),
        Some(_) => client.documents().await.unwrap(),
    };
    client.service.cancel().await.unwrap();
    told["client"] = "rmcp 3.11.0".into();
    told["version"] = version.into();
    println!("{told}");
}
