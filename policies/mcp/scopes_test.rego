package mcp.scopes_test

import data.mcp.authz
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

_call := {"mcp": {"method": "tools/call", "name": "t"}}

test_scopes_of_another_form_deny_and_ask_for_nothing if {
	every table in [{"t": "mcp:write"}, {"t": null}, {"t": {"mcp:write": true}}, {"t": 5}, {"*": [5]}, ["t"], "t", null] {
		found := scopes.barred with input as _call with data.tool_scopes as table
		found == {"t: `tool_scopes` needs a list of scopes for it"}
		needed := scopes.needed with input as _call with data.tool_scopes as table
		needed == set()
	}
}

test_only_what_another_form_names_is_denied if {
	every table in [{"t": ["mcp:write"]}, {"u": "mcp:write"}, {"t": []}] {
		found := scopes.barred with input as _call with data.tool_scopes as table
		found == set()
	}
}

test_what_no_scope_helps_is_denied_and_not_listed if {
	not authz.visible with input as _call with data.tool_scopes as {"t": "x"} with data.roles as {"r": {"tools": ["*"]}}
		with input.identity.roles as ["r"]
	found := authz.deny with input as _call with data.tool_scopes as {"t": "x"}
	found == {"t: `tool_scopes` needs a list of scopes for it"}
	authz.visible with input as _call with data.tool_scopes as {"t": ["x"]} with data.roles as {"r": {"tools": ["*"]}}
		with input.identity.roles as ["r"]
}
