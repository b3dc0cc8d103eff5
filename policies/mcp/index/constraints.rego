# METADATA
# title: What data can demand of arguments
# description: |
#   Reads data alone, so it is evaluated once, when data is loaded. What no data demands
#   costs a call nothing. See mcp.arguments.
package mcp.index.constraints

import data.mcp.witness

condition if {
	some role in data.roles
	role.limits
}

condition if {
	some entry in data.conditions
	entry.arguments
}

condition if {
	some entry in data.label_conditions
	entry.arguments
}

condition if count(_of_rules) > 0

# A list has to find a way past these.
miss if count(_missed) > 0

miss if {
	some rule in data.rules
	rule.deny.unless.arguments
}

avoid if {
	some label in data.labels
	label.arguments
}

relation if data.relation_rules

url if data.guards.urls

path if data.guards.paths

any if condition

any if avoid

any if relation

any if url

any if path

# METADATA
# description: The arguments of which something is demanded, for whatever tool.
demanded contains argument if {
	some by_tool in _by_tool
	is_object(by_tool)
	some by_argument in by_tool
	is_object(by_argument)
	some argument, _ in by_argument
}

demanded contains argument if {
	some entries in _entries
	some entry in entries
	is_object(entry.arguments)
	some argument, _ in entry.arguments
}

demanded contains argument if {
	is_object(data.relation_rules)
	some rule in data.relation_rules
	argument := rule.argument
	is_string(argument)
}

demanded contains argument if {
	is_object(data.guards.urls)
	some list in data.guards.urls
	is_array(list)
	some argument in list
	is_string(argument)
}

# What says something of arguments by tool.
_by_tool contains limits if {
	some role in data.roles
	limits := role.limits
}

_by_tool contains marks if {
	some label in data.labels
	marks := label.arguments
}

_by_tool contains data.guards.paths if is_object(data.guards.paths)

_conditions contains wanted if {
	some role in data.roles
	is_object(role.limits)
	some by_argument in role.limits
	is_object(by_argument)
	some wanted in by_argument
}

_conditions contains wanted if {
	some entries in _entries
	some entry in entries
	is_object(entry.arguments)
	some wanted in entry.arguments
}

_conditions contains wanted if {
	some arguments in _of_rules
	some wanted in arguments
}

_of_rules contains arguments if {
	some rule in data.rules
	some key in ["allow", "deny"]
	some match in [rule[key], object.get(rule[key], "unless", {})]
	arguments := match.arguments
}

_missed contains wanted if {
	some rule in data.rules
	some wanted in rule.deny.arguments
}

_missed contains wanted if {
	some rule in data.rules
	some wanted in rule.allow.unless.arguments
}

_entries contains data.conditions if is_object(data.conditions)

_entries contains data.label_conditions if data.label_conditions

# METADATA
# description: |
#   For each condition on an argument, values among which one meets it, and one misses it.
witnesses := {wanted: _witnesses(wanted) | some wanted in _conditions}

_witnesses(wanted) := witness.values(wanted) | witness.others(wanted) if wanted in _missed

else := witness.values(wanted)

texts := {wanted: {text | some text in witnesses[wanted]; is_string(text)} | some wanted in _conditions}
