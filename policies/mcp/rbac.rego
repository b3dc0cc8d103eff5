# METADATA
# title: Roles
# description: |
#   What a role grants, as names or globs (`*` stands for anything, dots and
#   slashes too), and how far its arguments may go:
#
#       roles:
#         analyst:
#           inherits: [reader]
#           tools: [list_documents, "read_*"]
#           prompts: ["*"]
#           resources: ["doc://*"]
#           methods: ["tasks/*"]
#           limits: {search_documents: {limit: {max: 20}}}
#           tenants: [acme]                       # counts for these tenants,
#           at: ["https://mcp.example.com/mcp"]   # at these resources, alone
#       assignments:
#       - {roles: [analyst], groups: [finance], tenants: [acme]}
#       duties:
#         exclusive: [[buyer, payer]]
#         second: {"approve_*": [controller]}
#
#   Roles are those of `input.identity.roles`, those that `assignments` give to
#   subjects, groups and clients, and what these inherit. A limit holds for the
#   grants of its own role; it is a condition of mcp.conditions, by the exact name
#   of the tool, on an argument that must be there. `exclusive`: who holds two of
#   these roles may use nothing until one is gone. `second`: takes one of these roles,
#   beside another that grants.
package mcp.rbac

import data.mcp.arguments
import data.mcp.names

granted if {
	some option in options
	every constraint in option { arguments.met(constraint) }
}

# METADATA
# description: For each role that grants, what it demands of the arguments.
options contains [constraint | some constraint in data.mcp.index.roles.limits[role][_name]] if some role in _granting

# Limits are by name; what has none has none.
_name := input.mcp.name if is_string(input.mcp.name)

else := ""

_granting contains role if {
	some role in held
	some kind, name in data.mcp.request.names
	names.covers(data.mcp.index.roles.grants, role, kind, name)
}

# METADATA
# description: The roles that count here.
held contains role if {
	some claimed in input.identity.roles
	some role in data.mcp.index.roles.anywhere[claimed]
}

held contains role if {
	data.mcp.index.roles.somewhere
	some claimed in input.identity.roles
	some role in data.mcp.index.roles.somewhere[claimed]
	_counts(role)
}

held contains role if {
	data.assignments
	some principal in _principals
	some assignment in data.mcp.index.roles.assigned[principal]
	every key, values in assignment.place { _is_at(key, values) }
	some role in assignment.roles
	_counts(role)
}

_counts(role) if not data.mcp.index.roles.places[role]

_counts(role) if {
	every key, values in data.mcp.index.roles.places[role] { _is_at(key, values) }
}

_is_at(key, values) if {
	key == "at"
	input.resource in values
}

_is_at(key, values) if {
	key == "tenants"
	input.identity.tenant in values
}

_is_at(key, values) if {
	key == "issuers"
	input.identity.issuer in values
}

_principals contains sprintf("subject:%s", [input.identity.subject])

_principals contains sprintf("client:%s", [input.identity.client_id])

_principals contains sprintf("group:%s", [group]) if some group in input.identity.groups

# METADATA
# description: Why this message is denied, whatever grants it.
violations contains sprintf("`duties.%s` has another form", [key]) if {
	data.duties
	some key in data.mcp.index.roles.malformed
}

violations contains reason if {
	data.duties
	some roles in data.mcp.index.roles.exclusive
	used := roles & held
	count(used) > 1
	not _opens_session
	reason := sprintf("the roles %v exclude each other", [[role | some role in used]])
}

# What a client says before it uses anything, and its lists, which show nothing then.
_opens_session if input.mcp.kind in {"notification", "stream", "terminate"}

_opens_session if {
	input.mcp.method in {
		"initialize", "server/discover", "ping", "logging/setLevel",
		"tools/list", "prompts/list", "resources/list", "resources/templates/list",
	}
}

violations contains reason if {
	data.mcp.index.roles.second
	input.mcp.method == "tools/call"
	some roles in names.entries(data.mcp.index.roles.second, input.mcp.name)
	not _is_second(roles)
	reason := sprintf("%s: needs a second role", [input.mcp.name])
}

_is_second(roles) if {
	is_array(roles)
	some role in roles
	role in held
	some other in _granting
	other != role
}
