# METADATA
# title: OAuth scopes
# description: |
#   Which scopes a tool needs, by name or glob, all that apply together; a caller
#   that lacks one is told so and may get a new token:
#
#       tool_scopes: {edit_document: ["mcp:write"], "hr_*": ["hr:read"]}
#
#   What has another form denies the tools that it names: no token would help.
package mcp.scopes

import data.mcp.names

needed contains scope if {
	data.mcp.index.scopes.tools
	input.mcp.method == "tools/call"
	some scopes in names.entries(data.mcp.index.scopes.tools, input.mcp.name)
	is_array(scopes)
	some scope in scopes
	is_string(scope)
}

# METADATA
# description: Why no scope helps.
barred contains sprintf("%s: `tool_scopes` needs a list of scopes for it", [input.mcp.name]) if {
	data.mcp.index.scopes.tools
	input.mcp.method == "tools/call"
	some scopes in names.entries(data.mcp.index.scopes.tools, input.mcp.name)
	not _is_sound(scopes)
}

_is_sound(scopes) if {
	is_array(scopes)
	every scope in scopes { is_string(scope) }
}
