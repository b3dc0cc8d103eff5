package mcp.authz_test

import data.mcp.authz

_roles := {"editor": {"tools": ["edit_document", "read_payroll"]}}

_relations := ["document:q3#owner@user:alice"]

_rules := {"edit_document": {"type": "document", "argument": "id", "relation": "owner"}}

_answer(subject, name) := answer if {
	answer := {"allow": authz.allow, "deny": authz.deny, "scopes": authz.scopes} with input as {
		"identity": {"subject": subject, "roles": ["editor"], "claims": {}},
		"mcp": {"method": "tools/call", "name": name, "arguments": {"id": "q3"}},
	}
		with data.roles as _roles
		with data.relations as _relations
		with data.relation_rules as _rules
		with data.conditions as {"read_payroll": {"roles": ["hr"]}}
		with data.tool_scopes as {"edit_document": ["mcp:write"]}
}

test_a_grant_without_a_violation_allows if {
	_answer("alice", "edit_document") == {"allow": true, "deny": set(), "scopes": {"mcp:write"}}
}

test_relations_take_away_what_a_role_grants if count(_answer("bob", "edit_document").deny) == 1

test_attributes_take_away_what_a_role_grants if count(_answer("alice", "read_payroll").deny) == 1

test_what_no_role_grants_is_not_allowed if not _answer("alice", "delete_document").allow

test_without_data_nothing_is_allowed if {
	not authz.allow with input as {"identity": {"roles": ["editor"]}, "mcp": {"method": "tools/call", "name": "edit_document"}}
}

test_an_empty_input_is_not_allowed if not authz.allow with input as {} with data.roles as _roles
