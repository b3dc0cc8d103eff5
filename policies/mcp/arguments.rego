# METADATA
# title: What is demanded of arguments
# description: |
#   The other packages say what they demand of one argument each, as constraints:
#
#       {"argument": "limit", "kind": "condition", "wanted": {"max": 20}}
#       {"argument": "id", "kind": "relation", "wanted": {"type": "document", "relation": "owner"}}
#       {"argument": "id", "kind": "avoid", "wanted": ["q3-report"]}
#       {"argument": "id", "kind": "miss", "wanted": ["q3-report"]}
#       {"argument": "url", "kind": "url", "wanted": "public"}
#       {"argument": "path", "kind": "path", "wanted": ["/srv/data"]}
#
#   Here it is decided whether an argument meets them, and, for a list, where the
#   arguments are unknown, whether some argument could: one that does is looked for
#   among the values that the constraints themselves name.
package mcp.arguments

import data.mcp.conditions
import data.mcp.paths
import data.mcp.rebac
import data.mcp.urls

# METADATA
# description: Does the message meet this constraint?
met(constraint) if {
	data.mcp.index.constraints.any
	argument := constraint.argument
	argument in data.mcp.index.constraints.demanded
	_meets(constraint, input.mcp.arguments[argument])
}

met(constraint) if {
	data.mcp.index.constraints.any
	constraint.argument
	not _is_given(constraint.argument)
	_may_be_absent(constraint)
}

# Of others nothing is demanded, so it makes no difference whether they are given.
_is_given(argument) if {
	argument in data.mcp.index.constraints.demanded
	type_name(input.mcp.arguments[argument])
}

_may_be_absent(constraint) if {
	constraint.kind == "condition"
	constraint.wanted == {"absent": true}
}

_may_be_absent(constraint) if constraint.kind in {"avoid", "url", "path"}

_may_be_absent(constraint) if {
	constraint.kind == "miss"
	constraint.wanted != {"absent": true}
}

_meets(constraint, value) if {
	data.mcp.index.constraints.condition
	constraint.kind == "condition"
	conditions.meets(value, constraint.wanted)
}

_meets(constraint, value) if {
	data.mcp.index.constraints.relation
	constraint.kind == "relation"
	rebac.related(constraint.wanted.type, value, constraint.wanted.relation)
}

_meets(constraint, value) if {
	data.mcp.index.constraints.avoid
	constraint.kind == "avoid"
	avoids(constraint.wanted, value)
}

_meets(constraint, value) if {
	data.mcp.index.constraints.miss
	constraint.kind == "miss"
	misses(constraint.wanted, value)
}

_meets(constraint, value) if {
	data.mcp.index.constraints.url
	constraint.kind == "url"
	urls.are_public(value)
}

_meets(constraint, value) if {
	data.mcp.index.constraints.path
	constraint.kind == "path"
	paths.are_below(constraint.wanted, value)
}

# METADATA
# description: |
#   Is this surely no value that meets the condition? What can be read as more than
#   one value may be read as one that does.
avoids(wanted, value) if {
	type_name(value) in {"boolean", "null", "number", "string"}
	not conditions.meets(value, wanted)
}

# METADATA
# description: Is this a value that does not meet the condition?
misses(wanted, value) if not conditions.meets(value, wanted)

# METADATA
# description: Are there arguments that meet all of these?
satisfiable(constraints) if {
	every constraint in constraints { _is_satisfiable(constraint.argument, constraints) }
}

_is_satisfiable(argument, constraints) if {
	data.mcp.index.constraints.any
	every constraint in constraints { _spares(constraint, argument) }
}

_is_satisfiable(argument, constraints) if {
	data.mcp.index.constraints.condition
	some constraint in constraints
	constraint.argument == argument
	constraint.kind in {"condition", "miss"}
	some value in data.mcp.index.constraints.witnesses[constraint.wanted]
	every other in constraints { _allows(other, argument, value) }
}

_is_satisfiable(argument, constraints) if {
	data.mcp.index.constraints.relation
	some constraint in constraints
	constraint.argument == argument
	constraint.kind == "relation"
	some value in rebac.ids(constraint.wanted.type, constraint.wanted.relation)
	every other in constraints { _allows(other, argument, value) }
}

_is_satisfiable(argument, constraints) if {
	data.mcp.index.constraints.avoid
	some constraint in constraints
	constraint.argument == argument
	constraint.kind == "avoid"
	some value in {"mcp-gate", 0, true}
	every other in constraints { _allows(other, argument, value) }
}

_is_satisfiable(argument, constraints) if {
	data.mcp.index.constraints.url
	some constraint in constraints
	constraint.argument == argument
	constraint.kind == "url"
	some value in {"https://mcp-gate.dev/"}
	every other in constraints { _allows(other, argument, value) }
}

_is_satisfiable(argument, constraints) if {
	data.mcp.index.constraints.path
	some constraint in constraints
	constraint.argument == argument
	constraint.kind == "path"
	is_array(constraint.wanted)
	some value in constraint.wanted
	every other in constraints { _allows(other, argument, value) }
}

# A beginning that one demands before what another demands.
_is_satisfiable(argument, constraints) if {
	data.mcp.index.constraints.condition
	texts := {text |
		some constraint in constraints
		constraint.argument == argument
		constraint.kind in {"condition", "miss"}
		some text in data.mcp.index.constraints.texts[constraint.wanted]
	}
	some start in texts
	some end in texts
	every constraint in constraints { _allows(constraint, argument, concat("", [start, end])) }
}

_spares(constraint, argument) if constraint.argument != argument

_spares(constraint, _) if _may_be_absent(constraint)

_allows(constraint, argument, _) if constraint.argument != argument

_allows(constraint, _, value) if _meets(constraint, value)
