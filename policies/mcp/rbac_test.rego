package mcp.rbac_test

import data.mcp.rbac

_roles := {
	"analyst": {
		"tools": ["list_documents", "read_*", "search_documents", "convert"],
		"prompts": ["summarize_*"],
		"resources": ["doc://*"],
		"limits": {
			"search_documents": {"limit": {"min": 1, "max": 20}},
			"convert": {"format": {"in": ["pdf", "text"]}},
		},
	},
	"auditor": {"tools": ["*"]},
}

_granted(roles, mcp) if rbac.granted with input as {"identity": {"roles": roles}, "mcp": mcp} with data.roles as _roles

_call(name, arguments) := {"method": "tools/call", "name": name, "arguments": arguments}

test_a_role_grants_its_tools_by_name_and_by_glob if {
	_granted(["analyst"], _call("list_documents", {}))
	_granted(["analyst"], _call("read_document", {}))
}

test_what_no_role_grants_is_not_granted if {
	not _granted(["analyst"], _call("delete_document", {}))
	not _granted([], _call("list_documents", {}))
	not _granted(["nobody_knows"], _call("list_documents", {}))
	not _granted(["analyst"], _call("xread_document", {}))
}

test_a_limit_holds_for_the_argument_it_names if {
	_granted(["analyst"], _call("search_documents", {"limit": 20}))
	not _granted(["analyst"], _call("search_documents", {"limit": 21}))
	not _granted(["analyst"], _call("search_documents", {"limit": 0}))
}

test_a_limited_argument_must_be_there_and_be_a_number if {
	not _granted(["analyst"], _call("search_documents", {}))
	not _granted(["analyst"], _call("search_documents", {"limit": "5"}))
	not _granted(["analyst"], _call("search_documents", {"limit": null}))
	not _granted(["analyst"], {"method": "tools/call", "name": "search_documents"})
}

test_a_limit_can_be_a_list_of_values if {
	_granted(["analyst"], _call("convert", {"format": "pdf"}))
	not _granted(["analyst"], _call("convert", {"format": "exe"}))
	not _granted(["analyst"], _call("convert", {"format": 5}))
}

test_another_role_may_grant_without_the_limit if {
	_granted(["analyst", "auditor"], _call("search_documents", {"limit": 1000}))
}

test_prompts_and_resources_have_grants_of_their_own if {
	_granted(["analyst"], {"method": "prompts/get", "name": "summarize_document"})
	not _granted(["analyst"], {"method": "prompts/get", "name": "list_documents"})
	_granted(["analyst"], {"method": "completion/complete", "name": "summarize_document"})
	_granted(["analyst"], {"method": "resources/read", "uri": "doc://q3-report"})
	not _granted(["analyst"], {"method": "resources/read", "uri": "file:///etc/passwd"})
	not _granted(["auditor"], {"method": "resources/read", "uri": "doc://q3-report"})
}

test_other_methods_are_not_granted if {
	not _granted(["auditor"], {"method": "tasks/list"})
	not _granted(["auditor"], {"kind": "response"})
}

test_a_star_stands_for_anything if {
	_granted(["auditor"], _call("files.read", {}))
	_granted(["analyst"], {"method": "resources/read", "uri": "doc://a/b.v2"})
}

test_a_limit_of_another_form_is_met_by_nothing if {
	every limits in [
		{"t": {"n": {"max": "20"}}},
		{"t": {"n": {"maximum": 20}}},
		{"t": {"n": {}}},
		{"t": {"n": 20}},
		{"t": false},
		{"t": []},
		{"t": null},
		[],
		false,
	] {
		roles := {"r": {"tools": ["*"], "limits": limits}}
		not _granted_with(roles, _call("t", {"n": 5}))
	}
}

_granted_with(roles, mcp) if {
	rbac.granted with input as {"identity": {"roles": ["r"]}, "mcp": mcp} with data.roles as roles
}

_data := {
	"reader": {"tools": ["read"]},
	"editor": {"inherits": ["reader"], "tools": ["edit"]},
	"chief": {"inherits": ["editor", "auditor", "nobody"], "methods": ["tasks/*"]},
	"auditor": {"inherits": ["chief"], "tools": ["audit"]},
	"local": {"tools": ["local"], "tenants": ["acme"], "at": ["https://mcp.example.com/mcp"]},
	"guest": {"tools": ["*"], "issuers": ["https://guests.example.com"]},
}

_identity := {"subject": "alice", "client_id": "agent", "issuer": "https://as.example.com", "tenant": "acme", "groups": ["finance"]}

_may(roles, mcp) if {
	rbac.granted with input as {
		"resource": "https://mcp.example.com/mcp",
		"identity": object.union(_identity, {"roles": roles}),
		"mcp": mcp,
	}
		with data.roles as _data
}

test_a_role_has_what_it_inherits if {
	_may(["editor"], _call("read", {}))
	_may(["chief"], _call("read", {}))
	not _may(["reader"], _call("edit", {}))
}

test_roles_that_inherit_in_a_circle_are_one if {
	_may(["auditor"], _call("read", {}))
	_may(["chief"], _call("audit", {}))
}

test_a_role_grants_methods_by_name if {
	_may(["chief"], {"method": "tasks/list"})
	not _may(["chief"], {"method": "tools/list"})
	not _may(["editor"], {"method": "tasks/list"})
	rbac.granted with input as {"identity": {"roles": ["r"]}, "mcp": {"kind": "response"}}
		with data.roles as {"r": {"methods": ["response"]}}
}

test_a_role_counts_where_it_says if {
	_may(["local"], _call("local", {}))
	not _may(["guest"], _call("read", {}))
	every other in [{"resource": "https://other.example.com/mcp"}, {"identity": {"roles": ["local"], "tenant": "globex"}}, {"identity": {"roles": ["local"]}}] {
		at := {"resource": "https://mcp.example.com/mcp", "identity": {"roles": ["local"], "tenant": "acme"}, "mcp": _call("local", {})}
		rbac.granted with input as at with data.roles as _data
		not rbac.granted with input as object.union(object.remove(at, object.keys(other)), other) with data.roles as _data
	}
}

_assigned(assignments, identity) := roles if {
	roles := rbac.held with input as {"resource": "https://mcp.example.com/mcp", "identity": identity}
		with data.roles as _data
		with data.assignments as assignments
}

test_data_assigns_roles_to_subjects_groups_and_clients if {
	_assigned([{"roles": ["editor"], "subjects": ["alice"]}], _identity) == {"editor", "reader"}
	_assigned([{"roles": ["editor"], "groups": ["finance"]}], _identity) == {"editor", "reader"}
	_assigned([{"roles": ["reader"], "clients": ["agent"]}], _identity) == {"reader"}
	_assigned([{"roles": ["reader"], "subjects": ["bob", "agent"], "groups": ["alice"], "clients": ["alice"]}], _identity) == set()
	_assigned([{"roles": ["nobody_knows"], "subjects": ["alice"]}], _identity) == set()
	_assigned([{"roles": ["guest"], "subjects": ["alice"]}], _identity) == set()
}

test_an_assignment_counts_where_it_says if {
	of_alice := {"roles": ["reader"], "subjects": ["alice"]}
	every here in [{"tenants": ["acme"]}, {"at": ["https://mcp.example.com/mcp"]}, {"issuers": ["https://as.example.com"]}] {
		_assigned([object.union(of_alice, here)], _identity) == {"reader"}
	}
	every there in [{"tenants": ["globex"]}, {"tenants": []}, {"at": ["https://mcp.example.com"]}, {"issuers": ["x"]}] {
		_assigned([object.union(of_alice, there)], _identity) == set()
	}
}

test_an_assignment_of_another_form_gives_nothing if {
	every wrong in [{}, {"roles": "reader"}, {"subjects": "alice"}, {"tenants": "acme"}, {"tenant": ["acme"]}, {"at": {}}, null, "reader", 5] {
		assignments := [object.union({"roles": ["reader"], "subjects": ["alice"]}, fields) | fields := wrong; is_object(wrong); wrong != {}]
		_assigned(array.concat(assignments, [wrong]), _identity) == set()
	}
}

test_a_role_of_another_form_grants_nothing if {
	every wrong in [
		{"inherits": "x"},
		{"tenants": "acme"},
		{"tenant": ["acme"]},
		{"limit": {"t": {"n": {"max": 1}}}},
		{"at": null},
		{"tools": "*"},
		{"tools": {"a": "*"}},
		{"tools": [["*"], 5, null]},
	] {
		not _granted_with({"r": object.union({"tools": ["*"]}, wrong)}, _call("t", {}))
	}
	every wrong in [["*"], "*", null, 5] { not _granted_with({"r": wrong}, _call("t", {})) }
}

_duties := {"exclusive": [["buyer", "payer"]], "second": {"approve_*": ["controller"], "broken": "controller"}}

_denied(roles, name) := reasons if {
	reasons := rbac.violations with input as {"identity": {"roles": roles}, "mcp": _call(name, {})}
		with data.duties as _duties
		with data.roles as {
			"buyer": {"tools": ["buy", "approve_order"]},
			"payer": {"tools": ["pay"]},
			"controller": {"tools": ["approve_order"]},
			"both": {"inherits": ["buyer", "payer"]},
		}
}

test_roles_that_exclude_each_other_are_not_used_together if {
	_denied(["buyer"], "buy") == set()
	_denied(["buyer", "controller"], "buy") == set()
	_denied(["payer", "buyer"], "buy") == {`the roles ["buyer", "payer"] exclude each other`}
	count(_denied(["both"], "pay")) == 1
}

test_a_tool_may_take_a_second_role if {
	_denied(["buyer", "controller"], "approve_order") == set()
	count(_denied(["buyer"], "approve_order")) == 1
	count(_denied(["controller"], "approve_order")) == 1
	count(_denied([], "approve_order")) == 1
	count(_denied(["buyer", "controller"], "broken")) == 1
}

test_who_holds_both_opens_a_session_and_uses_nothing if {
	denied := {message |
		some message in [
			{"kind": "request", "method": "initialize"}, {"kind": "request", "method": "tools/list"},
			{"kind": "notification", "method": "notifications/initialized"}, {"kind": "stream"},
			{"kind": "request", "method": "tools/call", "name": "read"}, {"kind": "response"},
			{"kind": "request", "method": "tasks/list"}, {"kind": "request", "method": "subscriptions/listen"},
		]
		reasons := rbac.violations with input as {"identity": {"roles": ["buyer", "payer"]}, "mcp": message}
			with data.duties as _duties
			with data.roles as {"buyer": {"tools": ["buy"]}, "payer": {"tools": ["pay"]}}
		count(reasons) > 0
	}
	{message.method | some message in denied} == {"tools/call", "tasks/list", "subscriptions/listen"}
	count(denied) == 4
}

test_duties_of_another_form_are_fulfilled_by_nobody if {
	every wrong in [{"exclusive": ["buyer"]}, {"exclusive": "buyer"}, {"second": ["buy"]}, {"secnd": {}}] {
		reasons := rbac.violations with input as {"identity": {"roles": []}, "mcp": _call("t", {})} with data.duties as wrong
		count(reasons) > 0
	}
}
