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
