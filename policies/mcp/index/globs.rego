# METADATA
# title: Globs of conditions, indexed
# description: Reads data alone, so it is evaluated once, when data is loaded. See mcp.condition.
package mcp.index.globs

import data.mcp.names

# METADATA
# description: Each glob as a regular expression.
patterns := {glob: pattern |
	some source in _sources
	walk(source, [_, value])
	is_object(value)
	glob := value.glob
	is_string(glob)
	pattern := names.patterns([glob])[0]
}

# Where conditions stand.
_sources contains limits if {
	some role in data.roles
	limits := role.limits
}

_sources contains arguments if {
	some label in data.labels
	arguments := label.arguments
}

_sources contains data.conditions if data.conditions

_sources contains data.label_conditions if data.label_conditions
