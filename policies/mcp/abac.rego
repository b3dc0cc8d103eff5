# METADATA
# title: Attributes
# description: |
#   Conditions on who asks, how and when, by name or glob of a tool, or by label:
#
#       conditions:
#         read_payroll: {roles: [hr], claims: {device: [managed]}, login: {max_age: 900}}
#         "export_*": {arguments: {format: [pdf]}, sources: [10.0.0.0/8]}
#       labels:
#         sensitive:
#           tools: ["*_payroll"]
#           resources: ["doc://hr/*"]
#           annotations: {openWorldHint: true}      # as pinned
#           arguments: {read_document: {id: {prefix: hr-}}}
#       label_conditions:
#         sensitive: {roles: [hr], actor: {absent: true}}
#
#   All keys of an entry must hold, and all entries that apply; mcp.attributes says
#   what they are. Beside them an entry may have `arguments`, each with a condition
#   (mcp.conditions), `login: {max_age: 900, acr: [gold]}`, which is asked for rather
#   than denied, `unless`, with other conditions under which the entry does not apply,
#   and `grants: true`: who meets the conditions needs no role. Who does
#   not meet those of a label keeps to arguments without it.
package mcp.abac

import data.mcp.arguments
import data.mcp.attributes
import data.mcp.names

# METADATA
# description: Why this message is denied.
violations contains reason if some reason in barred

violations contains reason if {
	some constraint in constraints
	not arguments.met(constraint)
	reason := sprintf("%v: %v", [data.mcp.request.title, constraint.reason])
}

# What has to hold for this message, whatever its arguments.
_entries contains entry if {
	data.mcp.index.conditions.tools
	input.mcp.method == "tools/call"
	some entry in names.entries(data.mcp.index.conditions.tools, input.mcp.name)
	not _is_excused(entry)
}

_entries contains entry if {
	data.label_conditions
	some label, entry in data.label_conditions
	_is_labelled(label)
	not _is_excused(entry)
}

_is_excused(entry) if {
	is_object(entry.unless)
	attributes.hold("unless", entry.unless)
	every key, wanted in entry.unless { attributes.hold(key, wanted) }
}

_is_labelled(label) if {
	some kind, name in data.mcp.request.names
	names.covers(data.mcp.index.conditions.labels, label, kind, name)
}

# A subscription may be to several.
_is_labelled(label) if {
	some uri in input.mcp.uris
	names.covers(data.mcp.index.conditions.labels, label, "resources", uri)
}

_is_labelled(label) if {
	some name, value in data.labels[label].annotations
	input.tool.annotations[name] == value
}

# METADATA
# description: Why no argument helps.
barred contains sprintf("`labels.%s` has another form", [label]) if some label in data.mcp.index.conditions.malformed

barred contains reason if {
	some entry in _entries
	some key in _unmet(entry)
	reason := sprintf("%s: its condition on `%s` is not met", [data.mcp.request.title, key])
}

_unmet(entry) := {key | some key, wanted in entry; not attributes.hold(key, wanted)} if is_object(entry)

else := {"conditions"}

# METADATA
# description: What the conditions demand of arguments.
constraints contains constraint if {
	some entry in _entries
	is_object(entry.arguments)
	some argument, wanted in entry.arguments
	constraint := {
		"argument": argument,
		"kind": "condition",
		"wanted": wanted,
		"reason": sprintf("its condition on the argument `%s` is not met", [argument]),
	}
}

# Who does not meet the conditions of a label keeps to arguments without it.
constraints contains constraint if {
	data.label_conditions
	input.mcp.method == "tools/call"
	some label, entry in data.label_conditions
	not _is_excused(entry)
	count(_unmet(entry)) > 0
	some argument, avoided in data.labels[label].arguments[input.mcp.name]
	constraint := {
		"argument": argument,
		"kind": "avoid",
		"wanted": avoided,
		"reason": sprintf("its argument `%s` is %s", [argument, label]),
	}
}

# METADATA
# description: For each entry that needs no role, what it demands beside its own constraints.
options contains [] if {
	some entry in _entries
	entry.grants == true
}

# METADATA
# description: The logins that are asked for.
logins contains entry.login if {
	data.mcp.index.conditions.asks_login
	some entry in _entries
	is_object(entry.login)
}

logins contains entry.login if {
	data.mcp.index.conditions.asks_login
	some label, entry in data.label_conditions
	is_object(entry.login)
	not _is_excused(entry)
	some argument, labelled in data.labels[label].arguments[input.mcp.name]
	type_name(input.mcp.arguments[argument])
	not arguments.avoids(labelled, input.mcp.arguments[argument])
}
