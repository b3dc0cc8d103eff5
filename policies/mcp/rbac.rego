# METADATA
# title: Roles
# description: |
#   What a role grants, as globs (`*` stands for anything, dots and slashes too),
#   and how far its arguments may go:
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
#   or one of `in`; a limit of any other form is met by nothing. Names under
#   `limits` are exact.
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
	glob.match(pattern, null, input.mcp.name)
}

_names(grants) if {
	input.mcp.method in {"prompts/get", "completion/complete"}
	some pattern in grants.prompts
	glob.match(pattern, null, input.mcp.name)
}

_names(grants) if {
	some pattern in grants.resources
	glob.match(pattern, null, input.mcp.uri)
}

_within_limits(grants) if not _is_limited(grants)

_within_limits(grants) if {
	limits := grants.limits[input.mcp.name]
	is_object(limits)
	every argument, limit in limits {
		_within(input.mcp.arguments[argument], limit)
	}
}

# What is no object of limits is a limit that nothing meets.
_is_limited(grants) if {
	limits := object.get(grants, "limits", {})
	not is_object(limits)
}

_is_limited(grants) if {
	is_object(grants.limits)
	input.mcp.name in object.keys(grants.limits)
}

_within(value, limit) if {
	is_object(limit)
	object.keys(limit) == {"in"}
	is_array(limit["in"])
	value in limit["in"]
}

_within(value, limit) if {
	is_object(limit)
	object.keys(limit) - {"min", "max"} == set()
	count(limit) > 0
	every bound in limit { is_number(bound) }
	is_number(value)
	value >= object.get(limit, "min", value)
	value <= object.get(limit, "max", value)
}
