# METADATA
# title: What a message is about
# description: |
#   A message asks for a method, and most for a tool, a prompt or a resource,
#   each by its name. An answer of the client has no method; it counts as `response`.
package mcp.request

names := {"methods": input.mcp.method, "tools": input.mcp.name} if {
	input.mcp.method == "tools/call"
	is_string(input.mcp.name)
}

else := {"methods": input.mcp.method, "prompts": input.mcp.name} if {
	input.mcp.method in {"prompts/get", "completion/complete"}
	is_string(input.mcp.name)
}

else := {"methods": input.mcp.method, "resources": input.mcp.uri} if {
	is_string(input.mcp.method)
	is_string(input.mcp.uri)
}

else := {"methods": input.mcp.method} if is_string(input.mcp.method)

else := {"methods": "response"} if input.mcp.kind == "response"

else := {}

# METADATA
# description: What a reason calls the message.
title := input.mcp.name if is_string(input.mcp.name)

else := input.mcp.uri if is_string(input.mcp.uri)

else := input.mcp.method if is_string(input.mcp.method)

else := "this message"
