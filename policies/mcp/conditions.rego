# METADATA
# title: Conditions
# description: |
#   What a value may be: a scalar (equal to it), a list (one of it), or an object of
#   `equals`, `in`, `prefix`, `glob`, `min`, `max`, `size`, `absent`, `each`, `any`
#   and `members`, which all have to hold. A missing value meets `absent` alone.
#   Conditions stand within conditions twice at most; no function may call itself,
#   so there is one for each depth.
package mcp.conditions

import data.mcp.index.rules as index

met(object, name, condition) if _meets(object[name], condition)

met(object, name, condition) if _is_missing(object, name, condition)

_meets(value, condition) if _meets_inner(value, condition)

_meets(value, condition) if {
	is_object(condition)
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
	is_object(value)
	every name, condition in bound { _met_inner(value, name, condition) }
}

_met_inner(object, name, condition) if _meets_inner(object[name], condition)

_met_inner(object, name, condition) if _is_missing(object, name, condition)

_meets_inner(value, condition) if _meets_plain(value, condition)

_meets_inner(value, condition) if {
	is_object(condition)
	every key, bound in condition { _holds_inner(key, bound, value) }
}

_holds_inner(key, bound, value) if _holds_plain(key, bound, value)

_holds_inner(key, bound, value) if {
	key == "each"
	is_array(value)
	every item in value { _meets_plain(item, bound) }
}

_holds_inner(key, bound, value) if {
	key == "any"
	is_array(value)
	some item in value
	_meets_plain(item, bound)
}

_holds_inner(key, bound, value) if {
	key == "members"
	is_object(value)
	every name, condition in bound { _met_plain(value, name, condition) }
}

_met_plain(object, name, condition) if _meets_plain(object[name], condition)

_met_plain(object, name, condition) if _is_missing(object, name, condition)

_is_missing(object, name, condition) if {
	condition.absent
	not _has(object, name)
}

_has(object, name) if type_name(object[name])

_meets_plain(value, condition) if {
	not is_object(condition)
	not is_array(condition)
	value == condition
}

_meets_plain(value, condition) if {
	is_array(condition)
	value in condition
}

_meets_plain(value, condition) if {
	is_object(condition)
	every key, bound in condition { _holds_plain(key, bound, value) }
}

_holds_plain(key, bound, value) if {
	key == "equals"
	value == bound
}

_holds_plain(key, bound, value) if {
	key == "in"
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
	_fits(bound, count(value))
}

_holds_plain(key, bound, value) if {
	key == "size"
	is_object(value)
	_fits(bound, count(value))
}

_fits(bound, size) if {
	is_object(bound)
	_is_least(bound, size)
	_is_most(bound, size)
}

_is_least(bound, _) if not bound.min

_is_least(bound, size) if {
	is_number(bound.min)
	size >= bound.min
}

_is_most(bound, _) if not bound.max

_is_most(bound, size) if {
	is_number(bound.max)
	size <= bound.max
}

# Characters as Unicode has them; `count` takes UTF-16 for it in some engines.
_holds_plain(key, bound, value) if {
	key == "size"
	is_string(value)
	_is_long(value, bound)
	_is_short(value, bound)
}

_is_long(_, bound) if not bound.min

_is_long(_, bound) if bound.min == 0

_is_long(value, bound) if substring(value, index.last[bound.min], 1) != ""

_is_short(_, bound) if not bound.max

_is_short(value, bound) if substring(value, bound.max, 1) == ""

# A pattern that `mcp.index.rules` took apart.
is_like(value, pattern) if {
	startswith(value, pattern.start)
	endswith(value, pattern.end)
	count(value) >= pattern.least
}

is_like(value, pattern) if regex.match(pattern.regex, value)
