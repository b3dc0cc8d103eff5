# METADATA
# title: What is demanded of arguments
# description: |
#   The other packages say what they demand of one argument each, as constraints:
#
#       {"argument": "limit", "kind": "condition", "wanted": {"max": 20}}
#       {"argument": "id", "kind": "relation", "wanted": {"type": "document", "relation": "owner"}}
#       {"argument": "id", "kind": "avoid", "wanted": ["q3-report"]}
#       {"argument": "url", "kind": "url", "wanted": "public"}
#       {"argument": "path", "kind": "path", "wanted": ["/srv/data"]}
#
#   Here it is decided whether an argument meets them, and, for a list, where the
#   arguments are unknown, whether some argument could: one that does is looked for
#   among the values that the constraints themselves name.
package mcp.arguments

import data.mcp.condition
import data.mcp.paths
import data.mcp.rebac
import data.mcp.urls
import data.mcp.witness

# METADATA
# description: Does the message meet this constraint?
met(constraint) if _meets(constraint.kind, constraint.wanted, input.mcp.arguments[constraint.argument])

met(constraint) if {
	constraint.argument
	not _is_given(constraint.argument)
	_may_be_absent(constraint.kind, constraint.wanted)
}

_is_given(argument) if type_name(input.mcp.arguments[argument])

_may_be_absent("condition", wanted) if wanted == {"absent": true}

_may_be_absent("avoid", _) := true

_may_be_absent("url", _) := true

_may_be_absent("path", _) := true

_meets("condition", wanted, value) if condition.holds(wanted, value)

_meets("relation", wanted, value) if rebac.related(wanted.type, value, wanted.relation)

_meets("avoid", wanted, value) if avoids(wanted, value)

# METADATA
# description: |
#   Is this surely no value that meets the condition? What can be read as more than
#   one value may be read as one that does.
avoids(wanted, value) if {
	type_name(value) in {"boolean", "null", "number", "string"}
	not condition.holds(wanted, value)
}

_meets("url", _, value) if urls.are_public(value)

_meets("path", wanted, value) if paths.are_below(wanted, value)

# METADATA
# description: Are there arguments that meet all of these?
satisfiable(constraints) if {
	every constraint in constraints { _is_satisfiable(constraint.argument, constraints) }
}

_is_satisfiable(argument, constraints) if {
	every constraint in constraints { _spares(constraint, argument) }
}

_is_satisfiable(argument, constraints) if {
	some constraint in constraints
	constraint.argument == argument
	some value in _witnesses(constraint.kind, constraint.wanted)
	every other in constraints { _allows(other, argument, value) }
}

# A beginning that one demands before what another demands.
_is_satisfiable(argument, constraints) if {
	texts := {text |
		some constraint in constraints
		constraint.argument == argument
		constraint.kind == "condition"
		some text in witness.texts(constraint.wanted)
	}
	some start in texts
	some end in texts
	every constraint in constraints { _allows(constraint, argument, concat("", [start, end])) }
}

_spares(constraint, argument) if constraint.argument != argument

_spares(constraint, _) if _may_be_absent(constraint.kind, constraint.wanted)

_allows(constraint, argument, _) if constraint.argument != argument

_allows(constraint, _, value) if _meets(constraint.kind, constraint.wanted, value)

_witnesses("condition", wanted) := witness.values(wanted)

_witnesses("relation", wanted) := rebac.ids(wanted.type, wanted.relation)

_witnesses("avoid", _) := {"mcp-gate", 0, true}

_witnesses("url", _) := {"https://mcp-gate.dev/"}

_witnesses("path", wanted) := wanted
