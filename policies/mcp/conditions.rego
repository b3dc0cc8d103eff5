# METADATA
# title: Conditions on a value
# description: |
#   What a value may be: a scalar (equal to it), a list (one of it), or an object with
#   any of these, all of which must hold:
#
#       equals: 5                  in: [pdf, text]
#       prefix: /srv/              glob: "*.txt"
#       min: 1                     max: 20
#       size: {min: 1, max: 10}    # of a text, a list, an object
#       each: CONDITION            # of a list: on all of it
#       any: CONDITION             # on some of it
#       members: {name: CONDITION} # of an object
#
#   A missing value meets `{absent: true}` alone, and nothing else meets that. `each`,
#   `any` and `members` stand within each other twice at most; no function may call
#   itself, so there is one for each depth. A condition of any other form meets nothing.
package mcp.conditions

import data.mcp.index.values as index

# METADATA
# description: Does a member, there or not, meet a condition?
met(object, name, condition) if meets(object[name], condition)

met(object, name, condition) if _is_missing(object, name, condition)

# METADATA
# description: Does a value that is there meet a condition?
meets(value, condition) if _is(value, condition)

meets(value, condition) if {
	is_object(condition)
	count(condition) > 0
	every key, bound in condition { _holds(key, bound, value) }
}

_holds(key, bound, value) if _holds_plain(key, bound, value)

_holds(key, bound, value) if {
	key == "each"
	is_array(value)
	every item in value { _meets_inner(item, bound) }
}

_holds(key, bound, value) if {
	key == "any"
	is_array(value)
	some item in value
	_meets_inner(item, bound)
}

_holds(key, bound, value) if {
	key == "members"
	is_object(bound)
	is_object(value)
	every name, condition in bound { _met_inner(value, name, condition) }
}

_met_inner(object, name, condition) if _meets_inner(object[name], condition)

_met_inner(object, name, condition) if _is_missing(object, name, condition)

_meets_inner(value, condition) if _is(value, condition)

_meets_inner(value, condition) if {
	is_object(condition)
	count(condition) > 0
	every key, bound in condition { _holds_inner(key, bound, value) }
}

_holds_inner(key, bound, value) if _holds_plain(key, bound, value)

_holds_inner(key, bound, value) if {
	key == "each"
	is_array(value)
	every item in value { _meets_innermost(item, bound) }
}

_holds_inner(key, bound, value) if {
	key == "any"
	is_array(value)
	some item in value
	_meets_innermost(item, bound)
}

_holds_inner(key, bound, value) if {
	key == "members"
	is_object(bound)
	is_object(value)
	every name, condition in bound { _met_innermost(value, name, condition) }
}

_met_innermost(object, name, condition) if _meets_innermost(object[name], condition)

_met_innermost(object, name, condition) if _is_missing(object, name, condition)

_meets_innermost(value, condition) if _is(value, condition)

_meets_innermost(value, condition) if {
	is_object(condition)
	count(condition) > 0
	every key, bound in condition { _holds_plain(key, bound, value) }
}

_is_missing(object, name, condition) if {
	condition == {"absent": true}
	not _has(object, name)
}

_has(object, name) if type_name(object[name])

_is(value, condition) if {
	is_array(condition)
	value in condition
}

_is(value, condition) if {
	type_name(condition) in {"boolean", "null", "number", "string"}
	condition == value
}

_holds_plain(key, bound, value) if {
	key == "equals"
	value == bound
}

_holds_plain(key, bound, value) if {
	key == "in"
	is_array(bound)
	value in bound
}

_holds_plain(key, bound, value) if {
	key == "prefix"
	is_string(value)
	is_string(bound)
	startswith(value, bound)
}

_holds_plain(key, bound, value) if {
	key == "glob"
	is_string(bound)
	value == bound
}

_holds_plain(key, bound, value) if {
	key == "glob"
	is_string(value)
	is_like(value, index.patterns[bound])
}

_holds_plain(key, bound, value) if {
	key == "min"
	is_number(value)
	is_number(bound)
	value >= bound
}

_holds_plain(key, bound, value) if {
	key == "max"
	is_number(value)
	is_number(bound)
	value <= bound
}

_holds_plain(key, bound, value) if {
	key == "size"
	is_array(value)
	size := index.sizes[bound]
	count(value) >= size.min
	count(value) <= size.max
}

_holds_plain(key, bound, value) if {
	key == "size"
	is_object(value)
	size := index.sizes[bound]
	count(value) >= size.min
	count(value) <= size.max
}

# Characters as Unicode has them; `count` takes UTF-16 for it in some engines. With one
# more before them, the last that there has to be has its place always.
_holds_plain(key, bound, value) if {
	key == "size"
	is_string(value)
	size := index.sizes[bound]
	substring(concat("", [".", value]), size.min, 1) != ""
	substring(value, size.max, 1) == ""
}

# METADATA
# description: Does a text match a pattern of mcp.index.values?
is_like(value, pattern) if {
	startswith(value, pattern.start)
	endswith(value, pattern.end)
	count(value) >= pattern.least
}

is_like(value, pattern) if regex.match(pattern.regex, value)
