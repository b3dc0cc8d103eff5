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

# A company's data, and who sees and may call what.
_company := {
	"roles": {
		"staff": {"tools": ["list", "read_*", "search"], "limits": {"search": {"limit": {"max": 20}}}},
		"writer": {"inherits": ["staff"], "tools": ["edit", "export"]},
		"nobody": {"tools": ["never"], "limits": {"never": {"n": {"min": 5, "max": 4}}}},
	},
	"relations": ["document:q3#owner@user:alice"],
	"relation_rules": {
		"edit": {"type": "document", "argument": "id", "relation": "owner"},
		"share": {"type": "document", "argument": "id", "relation": "owner", "grants": true},
	},
	"conditions": {
		"read_payroll": {"claims": {"device": "managed"}},
		"export": {"arguments": {"format": ["pdf"], "id": {"prefix": "q"}}, "login": {"max_age": 300, "acr": ["gold", "silver"]}},
		"ping": {"grants": true, "subjects": ["bob"]},
	},
	"tool_scopes": {"edit": ["write"]},
	"guards": {"urls": {"read_url": ["url"]}, "paths": {"read_file": {"path": ["/srv"], "id": []}}},
}

_decision(identity, mcp) := decision if {
	decision := {"allow": authz.allow, "deny": count(authz.deny), "visible": authz.visible} with input as {
		"identity": object.union({"roles": ["writer"], "claims": {}}, identity),
		"mcp": object.union({"method": "tools/call"}, mcp),
	}
		with data.roles as _company.roles
		with data.relations as _company.relations
		with data.relation_rules as _company.relation_rules
		with data.conditions as _company.conditions
		with data.tool_scopes as _company.tool_scopes
		with data.guards as _company.guards
}

_sees(identity, name) := _decision(identity, {"name": name}).visible

_may(identity, name, arguments) if {
	decision := _decision(identity, {"name": name, "arguments": arguments})
	decision.allow
	decision.deny == 0
}

test_what_may_be_called_is_seen if {
	_may({"subject": "alice"}, "edit", {"id": "q3"})
	_sees({"subject": "alice"}, "edit")
	_may({"subject": "alice", "roles": []}, "share", {"id": "q3"})
	_sees({"subject": "alice", "roles": []}, "share")
	_may({"subject": "bob"}, "search", {"limit": 20})
	_sees({"subject": "bob"}, "search")
	_may({"subject": "bob"}, "export", {"format": "pdf", "id": "q3"})
	_sees({"subject": "bob"}, "export")
	_may({"subject": "bob", "roles": []}, "ping", {})
	_sees({"subject": "bob", "roles": []}, "ping")
	_may({"claims": {"device": "managed"}}, "read_payroll", {})
	_sees({"claims": {"device": "managed"}}, "read_payroll")
	_may({}, "read_url", {"url": "https://example.com/"})
	_sees({}, "read_url")
}

test_what_may_not_be_called_is_not_seen if {
	not _may({"subject": "bob"}, "edit", {"id": "q3"})
	not _sees({"subject": "bob"}, "edit")
	not _sees({"subject": "bob"}, "share")
	not _sees({"subject": "alice", "roles": ["staff"]}, "edit")
	not _sees({"subject": "alice", "roles": []}, "ping")
	not _sees({"claims": {"device": "own"}}, "read_payroll")
	not _sees({}, "delete")
	not _sees({"roles": ["nobody"]}, "never")
	not _may({"subject": "bob"}, "export", {"format": "text", "id": "q3"})
	not _may({"subject": "bob"}, "export", {"format": "pdf", "id": "x"})
	not _may({"subject": "bob"}, "search", {})
}

test_what_no_directory_is_for_is_seen_without_it if {
	_may({}, "read_file", {"path": "/srv/a"})
	not _may({}, "read_file", {"path": "/srv/a", "id": "x"})
	_sees({}, "read_file")
}

test_demands_on_one_argument_are_met_together if {
	_seen_under({"t": {"a": {"prefix": "q"}}}, {"a": {"glob": "*3"}})
	_seen_under({"t": {"a": {"in": ["x", "y"]}}}, {"a": ["y", "z"]})
	_seen_under({"t": {"a": {"min": 3}}}, {"a": {"max": 3}})
	not _seen_under({"t": {"a": {"min": 3}}}, {"a": {"max": 2}})
	not _seen_under({"t": {"a": {"in": ["x", "y"]}}}, {"a": ["z"]})
	not _seen_under({"t": {"a": {"prefix": "q"}}}, {"a": {"absent": true}})
	not _seen_under({"t": {"a": {"prefix": "q"}}}, {"a": 5})
	_seen_under({"t": {"a": {"each": {"min": 1}, "size": {"min": 2}}}}, {"a": {"each": {"max": 1}}})
	_seen_under({"t": {"a": {"members": {"x": {"prefix": "p"}, "y": {"absent": true}}}}}, {"b": {"absent": true}})
}

_seen_under(limits, arguments) if {
	authz.visible with input as {"identity": {"roles": ["r"]}, "mcp": {"method": "tools/call", "name": "t"}}
		with data.roles as {"r": {"tools": ["t"], "limits": limits}}
		with data.conditions as {"t": {"arguments": arguments}}
}

_login(conditions) := login if {
	login := authz.step_up with input as {"identity": {"roles": []}, "mcp": {"method": "tools/call", "name": "t"}}
		with data.conditions as conditions
}

test_the_strictest_of_the_logins_is_asked_for if {
	_login({"t": {"login": {"max_age": 300}}}) == {"max_age": 300}
	_login({"t": {"login": {"max_age": 300}}, "*": {"login": {"max_age": 60, "acr": ["a", "b"]}}}) == {"max_age": 60, "acr_values": ["a", "b"]}
	_login({"t": {"login": {"acr": ["c", "b"]}}, "*": {"login": {"acr": ["a", "b"]}}}) == {"acr_values": ["b"]}
	not _login({"u": {"login": {"max_age": 300}}})
}

test_logins_that_exclude_each_other_are_denied if {
	denied := authz.deny with input as {"identity": {"roles": []}, "mcp": {"method": "tools/call", "name": "t"}}
		with data.conditions as {"t": {"login": {"acr": ["a"]}}, "*": {"login": {"acr": ["b"]}}}
	count(denied) == 1
}

test_an_empty_input_is_not_seen if not authz.visible with input as {} with data.roles as _company.roles
