# METADATA
# title: OAuth scopes
# description: |
#   Which scopes a tool needs; a caller that lacks one is told so and may get a
#   new token:
#
#       tool_scopes: {edit_document: ["mcp:write"]}
package mcp.scopes

needed contains scope if {
	input.mcp.method == "tools/call"
	some scope in data.tool_scopes[input.mcp.name]
}
