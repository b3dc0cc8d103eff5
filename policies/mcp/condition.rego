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

# METADATA
# description: Does a value that is there meet a condition?
holds(condition, value) if _is(condition, value)

holds(condition, value) if {
	is_object(condition)
	count(condition) > 0
	every operator, operand in condition { _meets(operator, operand, value) }
}

_meets(operator, operand, value) if _compares(operator, operand, value)

_meets(operator, operand, value) if {
	operator == "each"
	is_array(value)
	every item in value { _holds_inside(operand, item) }
}

_meets(operator, operand, value) if {
	operator == "members"
	is_object(operand)
	is_object(value)
	every name, condition in operand { _has_member(condition, value, name) }
}

_has_member(condition, value, name) if _holds_inside(condition, value[name])

_has_member(condition, value, name) if _is_absent(condition, value, name)

_holds_inside(condition, value) if _is(condition, value)

_holds_inside(condition, value) if {
	is_object(condition)
	count(condition) > 0
	every operator, operand in condition { _meets_inside(operator, operand, value) }
}

_meets_inside(operator, operand, value) if _compares(operator, operand, value)

_meets_inside(operator, operand, value) if {
	operator == "each"
	is_array(value)
	every item in value { _holds_innermost(operand, item) }
}

_meets_inside(operator, operand, value) if {
	operator == "members"
	is_object(operand)
	is_object(value)
	every name, condition in operand { _has_innermost_member(condition, value, name) }
}

_has_innermost_member(condition, value, name) if _holds_innermost(condition, value[name])

_has_innermost_member(condition, value, name) if _is_absent(condition, value, name)

_holds_innermost(condition, value) if _is(condition, value)

_holds_innermost(condition, value) if {
	is_object(condition)
	count(condition) > 0
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

_is_absent(condition, value, name) if {
	condition == {"absent": true}
	is_object(value)
	not name in object.keys(value)
}

_compares(operator, operand, value) if {
	operator == "equals"
	operand == value
}

_compares(operator, operand, value) if {
	operator == "in"
	is_array(operand)
	value in operand
}

_compares(operator, operand, value) if {
	operator == "prefix"
	is_string(operand)
	is_string(value)
	startswith(value, operand)
}

_compares(operator, operand, value) if {
	operator == "glob"
	is_string(operand)
	is_string(value)
	regex.match(data.mcp.index.globs.patterns[operand], value)
}

_compares(bound, limit, value) if {
	is_number(value)
	_is_within(bound, limit, value)
}

_compares(operator, operand, value) if {
	operator == "size"
	is_string(value)
	_fits(operand, count(value))
}

_compares(operator, operand, value) if {
	operator == "size"
	is_array(value)
	_fits(operand, count(value))
}

_compares(operator, operand, value) if {
	operator == "size"
	is_object(value)
	_fits(operand, count(value))
}

_fits(operand, size) if {
	is_object(operand)
	count(operand) > 0
	every bound, limit in operand { _is_within(bound, limit, size) }
}

_is_within(bound, limit, number) if {
	bound == "min"
	is_number(number)
	is_number(limit)
	number >= limit
}

_is_within(bound, limit, number) if {
	bound == "max"
	is_number(number)
	is_number(limit)
	number <= limit
}
