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
