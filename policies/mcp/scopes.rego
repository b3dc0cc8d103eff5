# METADATA
# title: OAuth scopes
# description: |
#   Which scopes a tool needs, by name or glob, all that apply together; a caller
#   that lacks one is told so and may get a new token:
#
#       tool_scopes: {edit_document: ["mcp:write"], "hr_*": ["hr:read"]}
package mcp.scopes

import data.mcp.names

needed contains scope if {
	data.mcp.index.scopes.tools
	input.mcp.method == "tools/call"
	some scopes in names.entries(data.mcp.index.scopes.tools, input.mcp.name)
	some scope in _list(scopes)
}

# What is no list is a scope that no token has.
_list(scopes) := scopes if is_array(scopes)

else := ["malformed"]
