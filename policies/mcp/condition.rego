# METADATA
# title: Conditions on a value
# description: |
#   A condition is a value, which must be equal; a list, of which one must be
#   equal; or an object with any of these, all of which must hold:
#
#       equals: 5                  in: [pdf, text]
#       prefix: /srv/              glob: "*.txt"
#       min: 1                     max: 20
#       size: {min: 1, max: 10}    # of a text, a list, an object
#       each: CONDITION            # of a list
#       members: {name: CONDITION} # of an object; {absent: true}: is not there
#
#   `each` and `members` go two deep. A condition of any other form, and what is
#   not there, meets nothing.
package mcp.condition

import data.mcp.names

# METADATA
# description: Does a value that is there meet a condition?
holds(condition, value) if _is(condition, value)

holds(condition, value) if {
	_is_made_of_operators(condition)
	every operator, operand in condition { _meets(operator, operand, value) }
}

_meets(operator, operand, value) if _compares(operator, operand, value)

_meets("each", operand, value) if {
	is_array(value)
	every item in value { _holds_inside(operand, item) }
}

_meets("members", operand, value) if {
	is_object(operand)
	is_object(value)
	every name, condition in operand { _has_member(condition, value, name) }
}

_has_member(condition, value, name) if _holds_inside(condition, value[name])

_has_member(condition, value, name) if _is_absent(condition, value, name)

_holds_inside(condition, value) if _is(condition, value)

_holds_inside(condition, value) if {
	_is_made_of_operators(condition)
	every operator, operand in condition { _meets_inside(operator, operand, value) }
}

_meets_inside(operator, operand, value) if _compares(operator, operand, value)

_meets_inside("each", operand, value) if {
	is_array(value)
	every item in value { _holds_innermost(operand, item) }
}

_meets_inside("members", operand, value) if {
	is_object(operand)
	is_object(value)
	every name, condition in operand { _has_innermost_member(condition, value, name) }
}

_has_innermost_member(condition, value, name) if _holds_innermost(condition, value[name])

_has_innermost_member(condition, value, name) if _is_absent(condition, value, name)

_holds_innermost(condition, value) if _is(condition, value)

_holds_innermost(condition, value) if {
	_is_made_of_operators(condition)
	every operator, operand in condition { _compares(operator, operand, value) }
}

_is(condition, value) if {
	is_array(condition)
	value in condition
}

_is(condition, value) if {
	type_name(condition) in {"boolean", "null", "number", "string"}
	condition == value
}

_is_made_of_operators(condition) if {
	is_object(condition)
	count(condition) > 0
}

_is_absent(condition, value, name) if {
	condition == {"absent": true}
	not name in object.keys(value)
}

_compares("equals", operand, value) if operand == value

_compares("in", operand, value) if {
	is_array(operand)
	value in operand
}

_compares("prefix", operand, value) if {
	is_string(operand)
	is_string(value)
	startswith(value, operand)
}

_compares("glob", operand, value) if {
	is_string(operand)
	is_string(value)
	some pattern in names.patterns([operand])
	regex.match(pattern, value)
}

_compares(bound, limit, value) if {
	is_number(value)
	_is_within(bound, limit, value)
}

_compares("size", operand, value) if {
	type_name(value) in {"string", "array", "object"}
	_is_made_of_operators(operand)
	every bound, limit in operand { _is_within(bound, limit, count(value)) }
}

_is_within("min", limit, number) if {
	is_number(limit)
	number >= limit
}

_is_within("max", limit, number) if {
	is_number(limit)
	number <= limit
}
