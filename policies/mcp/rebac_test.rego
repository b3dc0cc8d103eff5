package mcp.rebac_test

import data.mcp.rebac

_relations := ["document:q3#owner@user:alice"]

_rules := {"edit_document": {"type": "document", "argument": "id", "relation": "owner"}}

_violations(subject, name, arguments) := found if {
	found := rebac.violations with input as {
		"identity": {"subject": subject},
		"mcp": {"method": "tools/call", "name": name, "arguments": arguments},
	}
		with data.relations as _relations
		with data.relation_rules as _rules
}

test_the_owner_may if _violations("alice", "edit_document", {"id": "q3"}) == set()

test_nobody_else_may if {
	_violations("bob", "edit_document", {"id": "q3"}) == {"edit_document: only the owner of the document may"}
}

test_an_object_that_nobody_owns_is_nobodys if count(_violations("alice", "edit_document", {"id": "q4"})) == 1

test_the_argument_must_be_there_and_be_a_string if {
	count(_violations("alice", "edit_document", {})) == 1
	count(_violations("alice", "edit_document", {"id": ["q3"]})) == 1
	count(_violations("alice", "edit_document", {"id": {"q3": true}})) == 1
}

test_a_tool_without_a_rule_needs_no_relation if _violations("bob", "read_document", {"id": "q3"}) == set()

test_an_id_cannot_forge_a_tuple if {
	count(_violations("bob", "edit_document", {"id": "q3#owner@user:alice"})) == 1
}

test_a_rule_of_another_form_is_met_by_nobody if {
	every rule in [{}, {"argument": "id"}, {"type": "document", "relation": "owner"}, "owner", false, null, []] {
		input_of_alice := {
			"identity": {"subject": "alice"},
			"mcp": {"method": "tools/call", "name": "t", "arguments": {"id": "q3"}},
		}
		found := rebac.violations with input as input_of_alice
			with data.relations as _relations
			with data.relation_rules as {"t": rule}
		count(found) == 1
	}
}

_company := [
	"document:q3#parent@folder:plans", "folder:plans#parent@folder:root", "folder:root#editor@user:erin",
	"document:q3#owner@user:alice", "document:memo#owner@user:bob", "document:memo#viewer@group:eng#member",
	"group:eng#member@user:carol", "group:eng#member@group:core#member", "group:core#member@user:dave",
	"group:core#member@group:eng#member", "user:bob#manager@user:alice", "user:alice#manager@user:zoe",
	"folder:ring#parent@folder:gnir", "folder:gnir#parent@folder:ring", "document:o#parent@folder:ring",
	"document:board#viewer@user:*", "document:feed#viewer@client:agent", "document:x y/z:1@2#owner@user:a@example.com#1",
]

_types := {
	"document": {
		"editor": ["owner", "editor of parent"],
		"viewer": ["editor", "viewer of parent", "manager of owner"],
	},
	"folder": {"editor": ["owner", "editor of parent"], "viewer": ["editor"]},
	"user": {"manager": ["manager of manager"]},
}

_has(identity, type, id, relation) if {
	rebac.related(type, id, relation) with input as {"identity": identity}
		with data.relations as _company
		with data.relation_types as _types
}

_user(name) := {"subject": name, "client_id": "app", "groups": []}

test_an_owner_edits_and_views if {
	every relation in ["owner", "editor", "viewer"] { _has(_user("alice"), "document", "q3", relation) }
	not _has(_user("bob"), "document", "q3", "viewer")
}

test_an_editor_of_a_folder_edits_what_is_in_it if {
	_has(_user("erin"), "document", "q3", "editor")
	_has(_user("erin"), "document", "q3", "viewer")
	not _has(_user("erin"), "document", "q3", "owner")
	not _has(_user("erin"), "document", "memo", "editor")
	not _has(_user("alice"), "folder", "plans", "editor")
}

test_a_manager_reads_what_reports_wrote if {
	_has(_user("alice"), "document", "memo", "viewer")
	not _has(_user("alice"), "document", "memo", "editor")
	_has(_user("zoe"), "document", "q3", "viewer")
	_has(_user("zoe"), "document", "memo", "viewer")
	not _has(_user("bob"), "document", "q3", "viewer")
}

test_members_of_groups_in_groups_are_members if {
	every name in ["carol", "dave"] { _has(_user(name), "document", "memo", "viewer") }
	_has({"subject": "frank", "groups": ["core"]}, "document", "memo", "viewer")
	not _has({"subject": "frank", "groups": ["sales"]}, "document", "memo", "viewer")
}

test_circles_do_no_harm if {
	not _has(_user("carol"), "document", "o", "editor")
	_has(_user("dave"), "group", "eng", "member")
	_has(_user("carol"), "group", "core", "member")
}

test_everybody_and_clients_are_subjects if {
	_has(_user("nobody"), "document", "board", "viewer")
	_has({"subject": "x", "client_id": "agent"}, "document", "feed", "viewer")
	not _has({"subject": "agent", "client_id": "x"}, "document", "feed", "viewer")
}

test_names_may_hold_signs if {
	_has(_user("a@example.com#1"), "document", "x y/z:1@2", "editor")
	not _has(_user("a@example.com"), "document", "x y/z:1@2", "editor")
}

test_nothing_is_forged_by_the_form_of_a_name if {
	every id in ["q3#owner@user:mallory", "q3#parent@folder:plans#editor", "", "q3#owner", "../q3", "Q3", " q3"] {
		not _has(_user("erin"), "document", id, "editor")
		not _has(_user("alice"), "document", id, "owner")
	}
	not _has(_user("*"), "document", "q3", "viewer")
	not _has({"subject": "member", "groups": ["eng#member"]}, "document", "memo", "viewer")
}

test_objects_are_found_for_lists if {
	ids := rebac.ids("document", "viewer") with input as {"identity": _user("alice")}
		with data.relations as _company
		with data.relation_types as _types
	ids == {"q3", "memo", "board"}
	of_erin := rebac.ids("document", "editor") with input as {"identity": _user("erin")}
		with data.relations as _company
		with data.relation_types as _types
	of_erin == {"q3"}
	of_frank := rebac.ids("document", "viewer") with input as {"identity": {"subject": "frank", "groups": ["core"]}}
		with data.relations as _company
		with data.relation_types as _types
	of_frank == {"memo", "board"}
}

test_tuples_and_types_of_another_form_give_nothing if {
	every tuples in [[5, null, {}, "document:q3#owner", "document:q3@user:alice", "q3#owner@user:alice", "document:q3#owner@alice"], {}, []] {
		not rebac.related("document", "q3", "owner") with input as {"identity": _user("alice")} with data.relations as tuples
	}
	every forged in ["x\ndocument:q3#owner@user:alice", "document:q3#owner@user:alice\n", "document:q3#owner@user:alice\nx"] {
		not rebac.related("document", "q3", "owner") with input as {"identity": _user("alice")}
			with data.relations as [forged, "document:q4#owner@user:alice"]
	}
	every types in [{"document": {"editor": "owner"}}, {"document": ["owner"]}, {"document": null}, []] {
		not rebac.related("document", "q3", "editor") with input as {"identity": _user("alice")}
			with data.relations as _company
			with data.relation_types as types
	}
}

test_a_rule_may_be_for_many_tools_and_grant_them if {
	input_of_bob := {"identity": {"subject": "bob"}, "mcp": {"method": "tools/call", "name": "read_document", "arguments": {"id": "q3"}}}
	rules := {"read_*": {"type": "document", "argument": "id", "relation": "owner", "grants": true}}
	denied := rebac.violations with input as input_of_bob with data.relation_rules as rules
	count(denied) == 1
	options := rebac.options with input as input_of_bob with data.relation_rules as rules
	options == {[]}
}
