# METADATA
# title: What values are compared with
# description: |
#   Globs and sizes of `data.rules` and of conditions, taken apart for mcp.conditions.
#   Reads data alone, so it is evaluated once, when data is loaded.
package mcp.index.values

# METADATA
# description: Every text with a star, wherever it stands.
patterns := {text: _pattern(text) |
	some source in _sources
	walk(source, [_, text])
	is_string(text)
	contains(text, "*")
}

# METADATA
# description: Each size that is one, with both bounds.
sizes := {size: {"min": least, "max": most} |
	some source in _sources
	walk(source, [_, condition])
	is_object(condition)
	size := condition.size
	is_object(size)
	count(size) > 0
	every key, limit in size { _is_limit(key, limit) }
	least := min([object.get(size, "min", 0), _beyond])
	most := min([object.get(size, "max", _beyond), _beyond])
}

_is_limit(key, limit) if {
	key in {"min", "max"}
	is_number(limit)
	limit >= 0
	floor(limit) == limit
}

# More than a message can hold of anything.
_beyond := 1000000000

# Where conditions stand.
_sources contains data.rules if data.rules

_sources contains data.conditions if data.conditions

_sources contains data.label_conditions if data.label_conditions

_sources contains limits if {
	some role in data.roles
	limits := role.limits
}

_sources contains arguments if {
	some label in data.labels
	arguments := label.arguments
}

# With one star: how it starts and ends. With more, a regular expression.
_pattern(text) := {"start": parts[0], "end": parts[1], "least": count(parts[0]) + count(parts[1])} if {
	parts := split(text, "*")
	count(parts) == 2
}

_pattern(text) := {"regex": concat("", ["(?s)^", concat(".*", parts), "$"])} if {
	parts := [regex.replace(part, `[\\.+?()|\[\]{}^$]`, `\$0`) | some part in split(text, "*")]
	count(parts) > 2
}
