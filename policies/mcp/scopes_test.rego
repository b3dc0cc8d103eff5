package mcp.scopes_test

import data.mcp.scopes

_needed(mcp) := found if {
	found := scopes.needed with input as {"mcp": mcp} with data.tool_scopes as {"edit_document": ["mcp:write"]}
}

test_a_tool_needs_its_scopes if _needed({"method": "tools/call", "name": "edit_document"}) == {"mcp:write"}

test_other_tools_and_methods_need_none if {
	_needed({"method": "tools/call", "name": "read_document"}) == set()
	_needed({"method": "prompts/get", "name": "edit_document"}) == set()
}
