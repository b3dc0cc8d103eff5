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

test_a_glob_adds_its_scopes if {
	found := scopes.needed with input as {"mcp": {"method": "tools/call", "name": "hr_edit"}}
		with data.tool_scopes as {"hr_*": ["hr:read"], "*_edit": ["write"], "hr_edit": ["hr:write"], "hr": ["x"]}
	found == {"hr:read", "hr:write", "write"}
}

test_scopes_of_another_form_are_scopes_that_nobody_has if {
	every wrong in ["mcp:write", null, {"mcp:write": true}, 5] {
		found := scopes.needed with input as {"mcp": {"method": "tools/call", "name": "t"}} with data.tool_scopes as {"t": wrong}
		found == {"malformed"}
	}
}
