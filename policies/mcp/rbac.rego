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
	grants := data.roles[role]
	_names(grants)
	_within_limits(grants)
}

_names(grants) if {
	input.mcp.method == "tools/call"
	some pattern in grants.tools
	glob.match(pattern, [], input.mcp.name)
}

_names(grants) if {
	input.mcp.method in {"prompts/get", "completion/complete"}
	some pattern in grants.prompts
	glob.match(pattern, [], input.mcp.name)
}

_names(grants) if {
	some pattern in grants.resources
	glob.match(pattern, [], input.mcp.uri)
}

_within_limits(grants) if not grants.limits

_within_limits(grants) if {
	every argument, limit in object.get(grants.limits, object.get(input.mcp, "name", ""), {}) {
		_within(input.mcp.arguments[argument], limit)
	}
}

_within(value, limit) if value in limit.in

_within(value, limit) if {
	is_number(value)
	not limit.in
	value >= object.get(limit, "min", value)
	value <= object.get(limit, "max", value)
}
