# METADATA
# title: Any mix of rules, roles, relations, attributes, scopes and guards
# description: |
#   The policy of a gate that is given rules or data, and no Rego. Something must grant
#   the message: a rule, a role, or an entry of relations or attributes with `grants`. All
#   others may take it away again: any denial wins. Scopes and logins may be asked for.
#   What nothing is said about is denied.
#
#   A list shows what may be called: where something grants, nothing denies whatever
#   the arguments are, and some arguments meet all that is demanded of them.
# entrypoint: true
package mcp.authz

import data.mcp.arguments

default allow := false

allow if {
	data.rules
	data.mcp.rules.allow
}

allow if _is_granted

_is_granted if {
	some option in _options
	every constraint in option { arguments.met(constraint) }
}

# What no data speaks of is not asked for: a clause ends where its first line is no data.
deny contains reason if {
	data.rules
	some reason in data.mcp.rules.deny
}

deny contains reason if {
	data.duties
	some reason in data.mcp.rbac.violations
}

deny contains reason if {
	data.mcp.index.relations.rules
	some reason in data.mcp.rebac.violations
}

deny contains reason if {
	data.mcp.index.conditions.is_used
	some reason in data.mcp.abac.violations
}

deny contains reason if {
	data.mcp.index.scopes.tools
	some reason in data.mcp.scopes.barred
}

deny contains reason if some reason in data.mcp.guards.violations

scopes contains scope if {
	data.mcp.index.scopes.tools
	some scope in data.mcp.scopes.needed
}

# What a rule asks for nobody needs whom something else grants the message.
scopes contains scope if {
	data.rules
	not _is_granted
	some scope in data.mcp.rules.scopes
}

step_up := object.union(_age, _strength) if {
	_asks_login
	count(_logins) > 0
}

_asks_login if data.mcp.index.conditions.asks_login

_asks_login if data.mcp.index.rules.asks_login

default visible := false

visible if {
	_is_open
	some option in _ways
	arguments.satisfiable(option)
}

_ways contains option if {
	some grant in _grants
	some escape in _escapes
	option := array.concat(array.concat(grant, escape), [constraint | some constraint in _constraints])
}

_grants contains option if {
	data.rules
	some option in data.mcp.rules.grants
}

_grants contains option if some option in _options

_escapes contains [] if not data.mcp.index.constraints.miss

_escapes contains escape if {
	data.mcp.index.constraints.miss
	some escape in data.mcp.rules.escapes
}

_is_open if {
	not data.mcp.rules.hidden
	count(_barred) == 0
}

_options contains option if {
	data.roles
	some option in data.mcp.rbac.options
}

_options contains option if {
	data.mcp.index.relations.rules
	some option in data.mcp.rebac.options
}

_options contains option if {
	data.mcp.index.conditions.is_used
	some option in data.mcp.abac.options
}

_barred contains reason if {
	data.duties
	some reason in data.mcp.rbac.violations
}

_barred contains reason if {
	data.mcp.index.relations.rules
	some reason in data.mcp.rebac.barred
}

_barred contains reason if {
	data.mcp.index.conditions.is_used
	some reason in data.mcp.abac.barred
}

_barred contains reason if {
	data.mcp.index.scopes.tools
	some reason in data.mcp.scopes.barred
}

_barred contains reason if some reason in data.mcp.guards.barred

_constraints contains constraint if {
	data.mcp.index.relations.rules
	some constraint in data.mcp.rebac.constraints
}

_constraints contains constraint if {
	data.mcp.index.conditions.is_used
	some constraint in data.mcp.abac.constraints
}

_constraints contains constraint if {
	data.guards
	some constraint in data.mcp.guards.constraints
}

_logins contains login if {
	data.mcp.index.conditions.asks_login
	some login in data.mcp.abac.logins
}

_logins contains login if {
	data.guards
	some login in data.mcp.guards.logins
}

_logins contains login if {
	data.mcp.index.rules.asks_login
	some login in _asked
}

_asked := {login |
	data.mcp.index.rules.asks_login
	not _is_granted
	login := {key: data.mcp.rules.step_up[name] | some key, name in {"acr": "acr_values", "max_age": "max_age"}}
	count(login) > 0
}

_ages := {login.max_age | some login in _logins}

_age := {"max_age": min(_ages)} if count(_ages) > 0

else := {}

_strength := {"acr_values": [acr | some acr in _acrs]} if count(_demands) > 0

else := {}

_demands := {{acr | some acr in login.acr} | some login in _logins; login.acr}

_acrs := intersection(_demands)

deny contains "the logins that are asked for exclude each other" if {
	_asks_login
	count(_demands) > 0
	count(_acrs) == 0
}
