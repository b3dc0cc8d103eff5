//! What sdk.py does with the demo server, and what its user gets; run.py says
//! what to expect.

use rmcp::service::ServiceError;
use serde_json::{Value, json};

use crate::{Client, Found, found, of};

impl Client {
    pub(crate) async fn documents(&self) -> Found {
        let handbook = json!({"id": "handbook"});
        let tools = found(self.peer().list_all_tools().await)?;
        let mut tools: Vec<&Value> = tools.as_array().into_iter().flatten().map(|tool| &tool["name"]).collect();
        tools.sort_by_key(|name| name.as_str());
        let mut all = json!({"tools": tools});
        all["read"] = self.text("read_document", handbook.clone()).await?;
        all["resource"] = self.read("doc://handbook").await?["contents"][0]["text"].take();
        let mut prompt = self.prompt("summarize_document", handbook.clone()).await?;
        all["prompt"] = prompt["messages"][0]["content"]["text"].take();
        let payroll = of(json!({"name": "read_payroll", "arguments": {"employee": "carol"}}));
        all["denied"] = match self.peer().call_tool(payroll).await {
            Ok(result) => json!({"result": result}),
            Err(ServiceError::McpError(error)) => json!({"error": error}),
            Err(error) => json!({"error": {"message": error.to_string()}}),
        };
        all["after"] = self.text("read_document", handbook).await?;
        Ok(all)
    }
}
