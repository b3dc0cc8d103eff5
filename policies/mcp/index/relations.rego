# METADATA
# title: Relations, indexed
# description: |
#   Reads data alone, so it is evaluated once, when data is loaded. See mcp.rebac.
#   A node is what has members: `document:q3#viewer`, `group:eng#member`.
package mcp.index.relations

import data.mcp.names

# Each as its node, object, type and relation, and its subject: one, or a set such as
# `group:eng#member`. A user's name may hold a `#`. All in one call, a line each.
_tuples := regex.find_all_string_submatch_n(
	`(?m)^((([^#@:\n]+):[^#\n]+)#([^#@:\n]+))@(?:(user:.+|[^#@:\n]+:[^#\n]+)|([^#@:\n]+:.+))$`,
	concat("\n", _lines), -1,
)

_of_sets := [tuple | some tuple in _tuples; tuple[6] != ""]

_lines := texts if {
	texts := names.texts(data.relations)
	contains(concat("", texts), "\n") == false
}

else := [tuple | some tuple in names.texts(data.relations); not contains(tuple, "\n")]

# A type whose relations are not lists adds nothing to what the tuples say.
_types := {type: relations |
	some type, relations in data.relation_types
	is_object(relations)
	every parts in relations { is_array(parts) }
}

# By type, a relation to what is said to be part of it on the same object.
_parts := {type: parts |
	some type, relations in _types
	parts := {relation: [part | some part in all; not contains(part, " of ")] | some relation, all in relations}
}

# By type and relation: the others for which a tuple stands, too. An owner is an editor is a viewer.
_implied := {type: implied |
	some type, parts in _parts
	of_parts := object.union({part: [] | some all in parts; some part in all}, parts)
	implied := {part: marks |
		some part, _ in of_parts
		marks := {concat("", ["#", whole]) |
			some whole, _ in parts
			whole != part
			part in graph.reachable(of_parts, [whole])
		}
	}
}

# By type and relation: which relations `parent` hands on, and from which relation of the parent.
_hands[type][via] contains {"near": near, "far": concat("", ["#", far])} if {
	some type, relations in _types
	some relation, parts in relations
	some part in parts
	[far, via] = split(part, " of ")
	some near in (_implied[type][relation] | {concat("", ["#", relation])})
}

# Who is named in person: pairs of a node and `user:alice`.
direct := {[node, subject] | some [_, node, _, _, _, subject, _] in _tuples; subject != ""} | {[node, subject] |
	some [_, _, object, type, relation, subject, _] in _tuples
	subject != ""
	some mark in _implied[type][relation]
	node := concat("", [object, mark])
}

# Nodes whose members are members: groups, and what parents hand on.
_edges[node] contains set if some [_, node, _, _, _, _, set] in _of_sets

_edges[node] contains set if {
	some [_, _, object, type, relation, _, set] in _of_sets
	some mark in _implied[type][relation]
	node := concat("", [object, mark])
}

_edges[node] contains far if {
	some [_, _, object, type, relation, subject, _] in _tuples
	subject != ""
	some hand in _hands[type][relation]
	node := concat("", [object, hand.near])
	far := concat("", [subject, hand.far])
}

# From a node to those whose members it has, and back, for lists. Every node has a key.
sets := object.union({far: set() | some _, fars in _edges; some far in fars}, _edges) if count(_edges) > 0

else := {}

containing := object.union({node: set() | some node, _ in _edges}, _containing) if count(_containing) > 0

else := {}

_containing[far] contains node if {
	some node, fars in _edges
	some far in fars
}

nodes_of[subject] contains node if some [node, subject] in direct

rules := names.table(data.relation_rules)
