# METADATA
# title: Relations
# description: |
#   Who may touch what, by tuples `object#relation@subject` as in Zanzibar, each one
#   line. A subject is a `user:` (`sub`), a `client:`, `user:*` for everybody, all members
#   of a set such as `group:eng#member`, or an object that a rule goes through:
#
#       relations:
#       - document:q3-report#owner@user:alice
#       - document:q3-report#viewer@group:eng#member
#       - document:q3-report#parent@folder:plans
#       - group:eng#member@group:core#member
#       - user:bob#manager@user:alice
#       relation_types:
#         document:
#           editor: [owner, editor of parent]
#           viewer: [editor, viewer of parent, manager of owner]
#         folder: {editor: [owner]}
#       relation_rules:
#         edit_document: {type: document, argument: id, relation: editor}
#         "*_report": {type: document, argument: id, relation: viewer, grants: true}
#
#   A tool with a rule is denied unless the caller has the relation to the object
#   that the argument names; with `grants`, who has it needs no role. Groups of the
#   token count as `group:NAME#member`. Circles do no harm: a search looks at each
#   node once. `sub` is given once by one issuer: on a resource with several issuers
#   theirs must differ.
package mcp.rebac

import data.mcp.arguments
import data.mcp.names

# METADATA
# description: Why this message is denied.
violations contains reason if some reason in barred

violations contains reason if {
	some constraint in constraints
	not arguments.met(constraint)
	reason := sprintf("%v: %v", [data.mcp.request.title, constraint.reason])
}

# METADATA
# description: Has the caller this relation to this object?
related(type, id, relation) if {
	is_string(type)
	is_string(id)
	is_string(relation)
	_is_member(sprintf("%s:%s#%s", [type, id, relation]))
}

_is_member(node) if _is_named(node)

_is_member(node) if {
	data.mcp.index.relations.sets[node]
	some reached in graph.reachable(data.mcp.index.relations.sets, [node])
	_is_named(reached)
}

_is_named(node) if {
	some principal in _principals
	[node, principal] in data.mcp.index.relations.direct
}

_is_named(node) if node in _memberships

_principals contains "user:*"

_principals contains sprintf("user:%s", [input.identity.subject])

_principals contains sprintf("client:%s", [input.identity.client_id])

_memberships contains sprintf("group:%s#member", [group]) if some group in input.identity.groups

# METADATA
# description: The objects of a type to which the caller has a relation.
ids(type, relation) := found if {
	is_string(type)
	is_string(relation)
	found := {id |
		some node in _nodes
		startswith(node, sprintf("%s:", [type]))
		endswith(node, sprintf("#%s", [relation]))
		id := trim_suffix(trim_prefix(node, sprintf("%s:", [type])), sprintf("#%s", [relation]))
	}
}

else := set()

_nodes := _starts | graph.reachable(data.mcp.index.relations.containing, _starts)

_starts contains node if {
	some principal in _principals
	some node in data.mcp.index.relations.nodes_of[principal]
}

_starts contains node if some node in _memberships

constraints contains constraint if {
	some rule in _rules
	is_string(rule.type)
	is_string(rule.argument)
	is_string(rule.relation)
	constraint := {
		"argument": rule.argument,
		"kind": "relation",
		"wanted": {"type": rule.type, "relation": rule.relation},
		"reason": sprintf("only the %s of the %s may", [rule.relation, rule.type]),
	}
}

# METADATA
# description: For each rule that needs no role, what it demands beside its own constraint.
options contains [] if {
	some rule in _rules
	rule.grants == true
}

# METADATA
# description: Why no argument helps.
barred contains reason if {
	some rule in _rules
	not _is_sound(rule)
	reason := sprintf("%v: its relation rule has no type, argument and relation", [data.mcp.request.title])
}

_is_sound(rule) if {
	is_string(rule.type)
	is_string(rule.argument)
	is_string(rule.relation)
}

_rules contains rule if {
	data.mcp.index.relations.rules
	input.mcp.method == "tools/call"
	some rule in names.entries(data.mcp.index.relations.rules, input.mcp.name)
}
