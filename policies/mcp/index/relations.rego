# METADATA
# title: Relations, indexed
# description: |
#   Reads data alone, so it is evaluated once, when data is loaded. See mcp.rebac.
#   A node is what has members: `document:q3#viewer`, `group:eng#member`.
package mcp.index.relations

import data.mcp.names

# Each as its object, `document#owner`, and its subject.
_tuples := [[object, concat("#", [type, relation]), subject] |
	some tuple in data.relations
	is_string(tuple)
	some [_, object, type, relation, subject] in regex.find_all_string_submatch_n(`^(([^#@:]+):[^#]+)#([^#@:]+)@([^#@:]+:.+)$`, tuple, 1)
]

# Of sets such as `group:eng#member`. A user's name may hold a `#`.
_of_sets := [tuple | some tuple in _tuples; contains(tuple[2], "#"); not startswith(tuple[2], "user:")]

_of_one := array.concat(
	[tuple | some tuple in _tuples; is_string(tuple[2]); not contains(tuple[2], "#")],
	[tuple | some tuple in _tuples; contains(tuple[2], "#"); startswith(tuple[2], "user:")],
)

# A type whose relations are not lists adds nothing to what the tuples say.
_types := {type: relations |
	some type, relations in data.relation_types
	is_object(relations)
	every parts in relations { is_array(parts) }
}

# `document#editor` to what is said to be part of it on the same object.
_parts := {sprintf("%s#%s", [type, relation]): [sprintf("%s#%s", [type, part]) |
	some part in parts
	not contains(part, " of ")
] |
	some type, relations in _types
	some relation, parts in relations
}

_graph_of_parts := object.union({part: [] | some _, parts in _parts; some part in parts}, _parts)

# Which relations a tuple stands for: an owner is an editor is a viewer.
_implied := {part: relations |
	some part, _ in _graph_of_parts
	relations := {split(whole, "#")[1] |
		some whole, _ in _parts
		part in graph.reachable(_graph_of_parts, [whole])
	} | {split(part, "#")[1]}
}

_marks := {hop: {concat("", ["#", relation]) | some relation in _relations(hop)} | some hop in _hops}

_hops := {hop | some [_, hop, _] in _tuples}

_relations(hop) := object.get(_implied, hop, {split(hop, "#")[1]})

# Which relations `document#parent` hands on, and from which relation of the parent.
_hands[hop] contains {"near": concat("", ["#", relation]), "far": concat("", ["#", far])} if {
	some type, relations in _types
	some near, parts in relations
	some part in parts
	[far, via] = split(part, " of ")
	hop := concat("#", [type, via])
	some relation in _relations(concat("#", [type, near]))
}

# Who is named in person: pairs of a node and `user:alice`.
direct contains [node, subject] if {
	some [object, hop, subject] in _of_one
	some mark in _marks[hop]
	node := concat("", [object, mark])
}

# Nodes whose members are members: groups, and what parents hand on.
_edges[node] contains subject if {
	some [object, hop, subject] in _of_sets
	some mark in _marks[hop]
	node := concat("", [object, mark])
}

_edges[node] contains far if {
	some [object, hop, subject] in _of_one
	some hand in _hands[hop]
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
