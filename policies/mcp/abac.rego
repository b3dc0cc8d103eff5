# METADATA
# title: Attributes
# description: |
#   Conditions on who asks, for tools that need more than a grant:
#
#       conditions:
#         read_payroll: {roles: [hr], claims: {device: [managed]}}
#
#   A tool with conditions is denied unless the caller has one of the roles, and
#   for each claim one of the values. Names of tools are exact.
package mcp.abac

violations contains reason if {
	input.mcp.method == "tools/call"
	conditions := data.conditions[input.mcp.name]
	not _is_well_formed(conditions)
	reason := sprintf("%s: its conditions are not `roles`, a list, and `claims`, lists by name", [input.mcp.name])
}

violations contains reason if {
	input.mcp.method == "tools/call"
	roles := data.conditions[input.mcp.name].roles
	not _has_role(roles)
	reason := sprintf("%s: needs one of the roles %v", [input.mcp.name, roles])
}

violations contains reason if {
	input.mcp.method == "tools/call"
	claims := data.conditions[input.mcp.name].claims
	is_object(claims)
	some claim, values in claims
	not _has_claim(claim, values)
	reason := sprintf("%s: needs the claim `%s` to be one of %v", [input.mcp.name, claim, values])
}

_is_well_formed(conditions) if {
	is_object(conditions)
	object.keys(conditions) - {"roles", "claims"} == set()
	is_array(object.get(conditions, "roles", []))
	claims := object.get(conditions, "claims", {})
	is_object(claims)
	every values in claims { is_array(values) }
}

_has_role(roles) if {
	is_array(roles)
	some role in roles
	role in input.identity.roles
}

_has_claim(claim, values) if {
	is_array(values)
	input.identity.claims[claim] in values
}
