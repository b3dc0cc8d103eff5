# METADATA
# title: What conditions can be about
# description: |
#   The keys of an entry of conditions, and what each wants:
#
#       subjects, clients, issuers, tenants, roles, groups: [one, of, these]
#       claims: {name: CONDITION}     # of mcp.condition; or a path with dots
#       actor: CONDITION              # on who acts for the subject
#       amr: [one, of, these]         # how the login was done
#       token: {max_age: 300}         # seconds since it was issued
#       annotations: {name: VALUE}    # of the tool, as pinned
#       sources: [CIDR]
#       principals: [one, of, these]  # of the client's certificate
#       time: {days: [mon, fri], hours: "08:00-18:00"}   # UTC
#
#   A key of another name, or a list that is none, holds for nobody.
package mcp.attributes

import data.mcp.condition

# METADATA
# description: Does this hold now, for whoever asks?
hold(key, wanted) if {
	is_array(wanted)
	some value in _values(key)
	value in wanted
}

hold("claims", wanted) if {
	is_object(wanted)
	every claim, condition_of_claim in wanted { _claim_meets(claim, condition_of_claim) }
}

hold("actor", wanted) if condition.holds(wanted, input.identity.actor.sub)

hold("actor", wanted) if {
	wanted == {"absent": true}
	not input.identity.actor
}

hold("annotations", wanted) if {
	is_object(wanted)
	every name, value in wanted { input.tool.annotations[name] == value }
}

hold("sources", wanted) if {
	is_array(wanted)
	address := trim_prefix(input.http.source.address, "::ffff:")
	net.cidr_is_valid(sprintf("%s/32", [address]))
	some network in wanted
	is_string(network)
	net.cidr_is_valid(network)
	net.cidr_contains(network, address)
}

hold("token", wanted) if {
	data.mcp.index.conditions.reads_time
	is_object(wanted)
	object.keys(wanted) == {"max_age"}
	is_number(wanted.max_age)
	is_number(input.identity.claims.iat)
	input.time.unix - input.identity.claims.iat <= wanted.max_age
}

hold("time", wanted) if {
	data.mcp.index.conditions.reads_time
	is_object(wanted)
	object.keys(wanted) - {"days", "hours"} == set()
	_is_day(object.get(wanted, "days", data.mcp.index.conditions.days))
	_is_hour(object.get(wanted, "hours", "00:00-24:00"))
}

# These are looked at elsewhere; here they only have to be well-formed.
hold("arguments", wanted) if is_object(wanted)

hold("grants", wanted) if is_boolean(wanted)

hold("unless", wanted) if {
	is_object(wanted)
	count(wanted) > 0
	object.keys(wanted) & {"arguments", "grants", "login", "unless"} == set()
}

hold("login", wanted) if {
	is_object(wanted)
	count(wanted) > 0
	every key, value in wanted { _asks(key, value) }
}

_asks("max_age", value) if {
	is_number(value)
	value >= 0
	floor(value) == value
}

_asks("acr", value) if {
	is_array(value)
	count(value) > 0
	every acr in value { is_string(acr) }
}

_values("subjects") := [input.identity.subject]

_values("clients") := [input.identity.client_id]

_values("issuers") := [input.identity.issuer]

_values("tenants") := [input.identity.tenant]

_values("roles") := data.mcp.rbac.held | {role | some role in input.identity.roles}

_values("groups") := input.identity.groups

_values("amr") := input.identity.claims.amr

_values("principals") := [input.http.source.principal]

_claim_meets(claim, wanted) if condition.holds(wanted, _claim(claim))

_claim_meets(claim, wanted) if {
	wanted == {"absent": true}
	_claim(claim) == set()
}

# No claim is a set, and no condition holds for one.
_claim(claim) := object.get(
	input.identity.claims, claim,
	object.get(input.identity.claims, split(claim, "."), set()),
)

_is_day(days) if {
	is_array(days)
	data.mcp.index.conditions.days[(floor(input.time.unix / 86400) + 4) % 7] in days
}

_is_hour(hours) if {
	some [from, to] in data.mcp.index.conditions.windows[hours]
	minute := floor((input.time.unix % 86400) / 60)
	from <= minute
	minute < to
}
