# METADATA
# title: Any mix of roles, relations, attributes, scopes and guards
# description: |
#   The policy of a gate that is given data and no Rego. Something must grant the
#   message: a role, or a rule of relations or attributes with `grants`. All others
#   may take it away again: any denial wins. Scopes and logins may be asked for.
#   What `policy.data` says nothing about is denied.
#
#   A list shows what may be called: where something grants, nothing denies whatever
#   the arguments are, and some arguments meet all that is demanded of them.
# entrypoint: true
package mcp.authz

import data.mcp.arguments

default allow := false

allow if {
	some option in _options
	every constraint in option { arguments.met(constraint) }
}

deny contains reason if some reason in data.mcp.rbac.violations

deny contains reason if some reason in data.mcp.rebac.violations

deny contains reason if some reason in data.mcp.abac.violations

deny contains reason if some reason in data.mcp.guards.violations

scopes contains scope if some scope in data.mcp.scopes.needed

step_up := object.union(_age, _strength) if {
	data.mcp.index.conditions.asks_login
	count(_logins) > 0
}

default visible := false

visible if {
	count(_barred) == 0
	some option in _options
	arguments.satisfiable(array.concat(option, [constraint | some constraint in _constraints]))
}

_options := (data.mcp.rbac.options | data.mcp.rebac.options) | data.mcp.abac.options

_barred := ((data.mcp.rbac.violations | data.mcp.rebac.barred) | data.mcp.abac.barred) | data.mcp.guards.barred

_constraints := (data.mcp.rebac.constraints | data.mcp.abac.constraints) | data.mcp.guards.constraints

_logins := data.mcp.abac.logins | data.mcp.guards.logins

_ages := {login.max_age | some login in _logins}

_age := {"max_age": min(_ages)} if count(_ages) > 0

else := {}

_strength := {"acr_values": [acr | some acr in _acrs]} if count(_demands) > 0

else := {}

_demands := {{acr | some acr in login.acr} | some login in _logins; login.acr}

_acrs := intersection(_demands)

deny contains "the logins that are asked for exclude each other" if {
	count(_demands) > 0
	count(_acrs) == 0
}
