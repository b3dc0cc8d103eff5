# METADATA
# title: Attributes
# description: |
#   Conditions on who asks, for tools that need more than a grant:
#
#       conditions:
#         read_payroll: {roles: [hr], claims: {device: [managed]}}
#
#   A tool with conditions is denied unless the caller has one of the roles, and
#   for each claim one of the values.
package mcp.abac

violations contains reason if {
	input.mcp.method == "tools/call"
	conditions := data.conditions[input.mcp.name]
	not _has_role(conditions)
	reason := sprintf("%s: needs one of the roles %s", [input.mcp.name, concat(", ", conditions.roles)])
}

violations contains reason if {
	input.mcp.method == "tools/call"
	some claim, values in data.conditions[input.mcp.name].claims
	not _has_claim(claim, values)
	reason := sprintf("%s: needs the claim `%s` to be one of %s", [input.mcp.name, claim, concat(", ", values)])
}

_has_role(conditions) if not conditions.roles

_has_role(conditions) if {
	some role in conditions.roles
	role in input.identity.roles
}

_has_claim(claim, values) if input.identity.claims[claim] in values
