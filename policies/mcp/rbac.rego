# METADATA
# title: Roles
# description: |
#   What a role grants, as globs, and how far its arguments may go:
#
#       roles:
#         analyst:
#           tools: [list_documents, "read_*"]
#           prompts: ["*"]
#           resources: ["doc://*"]
#           limits: {search_documents: {limit: {max: 20}}}
#
#   Roles are those of `input.identity.roles`. A limit holds for the grants of
#   its own role: another role may grant the same call without it. An argument
#   that a limit names must be there, and be a number between `min` and `max`,
#   or one of `in`.
package mcp.rbac

granted if {
	some role in input.identity.roles
	some pattern in data.roles[role][_kind]
	glob.match(pattern, [], _target)
	_within_limits(role)
}

_kind := "tools" if input.mcp.method == "tools/call"

_kind := "prompts" if input.mcp.method == "prompts/get"

_kind := "prompts" if {
	input.mcp.method == "completion/complete"
	input.mcp.name
}

_kind := "resources" if input.mcp.uri

_target := input.mcp.uri

_target := input.mcp.name

_within_limits(role) if not _limits(role)

_within_limits(role) if {
	every argument, limit in _limits(role) {
		_within(input.mcp.arguments[argument], limit)
	}
}

# A rule of its own: negated in place, it would be undefined where the message
# has no name, and so neither true nor false.
_limits(role) := data.roles[role].limits[input.mcp.name]

_within(value, limit) if value in limit.in

_within(value, limit) if {
	is_number(value)
	not limit.in
	value >= object.get(limit, "min", value)
	value <= object.get(limit, "max", value)
}
