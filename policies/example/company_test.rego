package example.company_test

import data.example.company
import data.mcp.authz

_monday_noon := 1795435200

_sunday_noon := _monday_noon - 86400

_people := {
	"alice": {"subject": "alice", "groups": ["finance"]},
	"bob": {"subject": "bob", "groups": ["finance"]},
	"carol": {"subject": "carol", "groups": ["people"], "tenant": "acme", "claims": {"device": "managed"}},
	"carol at home": {"subject": "carol", "groups": ["people"], "tenant": "acme", "claims": {"device": "own"}},
	"carol's agent": {"subject": "carol", "groups": ["people"], "tenant": "acme", "claims": {"device": "managed"}, "actor": {"sub": "bot"}},
	"dave": {"subject": "dave", "groups": ["contractors"]},
	"erin": {"subject": "erin", "groups": ["engineering"]},
	"erin's agent": {"subject": "erin", "groups": ["engineering"], "actor": {"sub": "bot"}},
	"frank": {"subject": "frank", "groups": ["engineering"]},
	"frank in finance": {"subject": "frank", "groups": ["finance"]},
}

# What the gate is asked, and what it answers.
_answer(who, mcp, now) := answer if {
	answer := {
		"pass": authz.allow,
		"reasons": count(authz.deny),
		"login": object.get(authz, "step_up", null),
		"scopes": authz.scopes,
		"seen": authz.visible,
	} with input as {
		"resource": "https://mcp.acme.example/documents",
		"identity": object.union({"roles": [], "claims": {}, "issuer": "https://as.acme.example", "client_id": "app"}, _people[who]),
		"mcp": mcp,
		"time": {"unix": now},
	}
		with data.roles as company.roles
		with data.assignments as company.assignments
		with data.duties as company.duties
		with data.relations as company.relations
		with data.relation_types as company.relation_types
		with data.relation_rules as company.relation_rules
		with data.labels as company.labels
		with data.label_conditions as company.label_conditions
		with data.conditions as company.conditions
		with data.tool_scopes as company.tool_scopes
		with data.guards as company.guards
}

_may(who, name, arguments) if _may_at(who, name, arguments, _monday_noon)

_may_at(who, name, arguments, now) if {
	answer := _answer(who, {"method": "tools/call", "name": name, "arguments": arguments}, now)
	answer.pass
	answer.reasons == 0
}

_sees(who, name) if _answer(who, {"method": "tools/call", "name": name}, _monday_noon).seen

test_an_owner_edits_and_an_editor_of_the_folder_does if {
	_may("bob", "edit_document", {"id": "q3"})
	_may("alice", "edit_document", {"id": "q3"})
	_may("bob", "edit_document", {"id": "memo"})
	not _may("alice", "edit_document", {"id": "memo"})
	not _may("erin", "edit_document", {"id": "q3"})
}

test_a_manager_reads_what_reports_wrote if {
	_may("alice", "read_document", {"id": "memo"})
	not _may("carol", "read_document", {"id": "memo"})
	not _may("bob", "read_document", {"id": "rollout"})
}

test_a_contractor_reads_what_is_shared_and_no_more if {
	_may("dave", "read_document", {"id": "rollout"})
	_may("dave", "read_document", {"id": "handbook"})
	not _may("dave", "read_document", {"id": "q3"})
	not _may("dave", "edit_document", {"id": "rollout"})
	_sees("dave", "read_document")
	not _sees("dave", "edit_document")
	not _sees("dave", "search_documents")
}

test_a_contractor_works_on_weekdays if {
	not _may_at("dave", "read_document", {"id": "rollout"}, _sunday_noon)
	_may_at("bob", "edit_document", {"id": "q3"}, _sunday_noon)
}

test_pay_is_for_people_on_managed_devices_and_for_no_agent if {
	_may("carol", "read_payroll", {})
	not _may("carol at home", "read_payroll", {})
	not _may("carol's agent", "read_payroll", {})
	not _may("alice", "read_payroll", {})
	_may("carol", "read_document", {"id": "salaries"})
	not _may("carol's agent", "read_document", {"id": "salaries"})
	_may("carol's agent", "read_document", {"id": "handbook"})
	_sees("carol", "read_payroll")
	not _sees("carol's agent", "read_payroll")
	_sees("carol's agent", "read_document")
}

test_nobody_gets_a_document_by_another_way if {
	every who, _ in _people {
		not _answer(who, {"method": "resources/read", "uri": "doc://memo"}, _monday_noon).pass
		not _answer(who, {"method": "prompts/get", "name": "summarize", "arguments": {"id": "memo"}}, _monday_noon).pass
	}
}

test_pay_and_deleting_take_a_fresh_login if {
	_answer("carol", {"method": "tools/call", "name": "read_payroll"}, _monday_noon).login == {"max_age": 900}
	_answer("erin", {"method": "tools/call", "name": "delete_document", "arguments": {"id": "rollout"}}, _monday_noon).login == {"max_age": 300}
	_answer("bob", {"method": "tools/call", "name": "list_documents"}, _monday_noon).login == null
}

test_an_agent_deletes_nothing if {
	_may("erin", "delete_document", {"id": "rollout"})
	not _may("erin", "delete_document", {"id": "q3"})
	not _may("erin's agent", "delete_document", {"id": "rollout"})
	_may("erin's agent", "edit_document", {"id": "rollout"})
}

test_who_proposes_does_not_approve if {
	_may("bob", "propose_budget", {})
	_may("frank", "approve_budget", {})
	not _may("bob", "approve_budget", {})
	not _may("frank in finance", "approve_budget", {})
	not _may("frank in finance", "propose_budget", {})
}

test_changes_take_a_scope if {
	_answer("bob", {"method": "tools/call", "name": "edit_document"}, _monday_noon).scopes == {"mcp:write"}
	_answer("bob", {"method": "tools/call", "name": "read_document"}, _monday_noon).scopes == set()
}

test_pages_are_fetched_outside if {
	_may("bob", "fetch_page", {"url": "https://example.com/"})
	not _may("bob", "fetch_page", {"url": "http://169.254.169.254/latest"})
	not _may("bob", "fetch_page", {"url": "https://wiki.acme.example/"})
}

test_a_search_has_its_limit if {
	_may("bob", "search_documents", {"limit": 50})
	not _may("bob", "search_documents", {"limit": 51})
	not _may("dave", "search_documents", {"limit": 1})
}
