# METADATA
# title: Values that meet a condition
# description: |
#   For lists: some values, among which one meets a condition of mcp.conditions if any
#   value does, and others, among which one misses it. What several conditions on one
#   argument have in common is looked for among the values of all; policies/README.md
#   says what is not looked for.
package mcp.witness

import data.mcp.conditions

values(wanted) := (_plain(wanted) | _lists(wanted, {value | some item in _items(wanted); some value in _values_inside(item)})) | _objects(wanted)

_objects(wanted) := {{name: value |
	some name, member in wanted.members
	value := min({found | some found in _values_inside(member); conditions.meets(found, member)})
}} if {
	is_object(wanted)
}

else := set()

_values_inside(wanted) := (_plain(wanted) | _lists(wanted, {value | some item in _items(wanted); some value in _plain(item)})) | _objects_inside(wanted)

_objects_inside(wanted) := {{name: value |
	some name, member in wanted.members
	value := min({found | some found in _plain(member); conditions.meets(found, member)})
}} if {
	is_object(wanted)
}

else := set()

# METADATA
# description: Values beside those of a condition, one more or one less of each.
others(wanted) := {value | some known in values(wanted); some value in _beside(known)} | _longer(wanted)

_beside(known) := _beside_plain(known) if type_name(known) in {"boolean", "null", "number", "string"}

else := {array.concat(known, [item]) | some item in _beside_items(known)} | {[item | some _ in known] | some item in _beside_items(known)} if is_array(known)

else := {object.union(known, {name: value}) | some name, member in object.union(known, {"mcp-gate": true}); some value in _beside_plain(member)}

_beside_items(known) := {"x"} | {value | some item in known; some value in (_beside_plain(item) | {item})}

_beside_plain(known) := {known + 1, known - 1, known + 0.5, known - 0.5} if is_number(known)

else := {concat("", [known, "x"]), concat("", [known, "/x"])} if is_string(known)

else := {"x", 0, true, false}

_longer(wanted) := {_padding(length), array.slice(_xs, 0, length)} if {
	is_number(wanted.size.max)
	length := floor(wanted.size.max) + 1
}

else := set()

# What needs neither items nor members.
_plain(wanted) := {value | some value in wanted} if is_array(wanted)

else := _operands(wanted) | texts(wanted) if is_object(wanted)

else := {wanted}

_operands(wanted) := {value |
	some operator, operand in wanted
	some value in _values_of(operator, operand)
}

_values_of("equals", operand) := [operand]

_values_of("min", operand) := [operand]

_values_of("max", operand) := [operand]

_values_of("in", operand) := operand if is_array(operand)

# METADATA
# description: Texts that begin, and match, as a condition demands.
texts(wanted) := {concat("", [stem, _padding(_size(wanted) - count(stem))]) | some stem in _stems(wanted)} if {
	is_object(wanted)
}

else := set()

_stems(wanted) := {concat("", [prefix, replace(glob, "*", "")]) |
	some prefix in [object.get(wanted, "prefix", ""), ""]
	is_string(prefix)
	some glob in [object.get(wanted, "glob", ""), ""]
	is_string(glob)
}

# Lists of one item, again and again; `any` takes one at least.
_lists(wanted, items) := {[item | some _ in array.slice(_numbers, 0, length)] |
	some item in items
	some length in {_size(wanted), max([_size(wanted), 1])}
} if {
	is_object(wanted)
}

else := set()

# What items have to meet.
_items(wanted) := [wanted[key] | some key in ["each", "any"]] if {
	is_object(wanted)
	object.keys(wanted) & {"any", "each"} != set()
}

else := ["x"]

_size(wanted) := floor(wanted.size.min) if is_number(wanted.size.min)

else := 0

_numbers := numbers.range(1, 1000)

_padding(length) := concat("", array.slice(_xs, 0, length))

_xs := ["x" | some _ in _numbers]
