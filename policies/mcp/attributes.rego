# METADATA
# title: What conditions can be about
# description: |
#   The keys of an entry of conditions, and what each wants:
#
#       subjects, clients, issuers, tenants, roles, groups: [one, of, these]
#       claims: {name: CONDITION}     # of mcp.conditions; or a path with dots
#       actor: CONDITION              # on who acts for the subject
#       amr: [one, of, these]         # how the login was done
#       token: {max_age: 300}         # seconds since it was issued
#       annotations: {name: VALUE}    # of the tool, as pinned
#       sources: [CIDR]
#       principals: [one, of, these]  # of the client's certificate
#       time: {days: [mon, fri], hours: ["08:00-18:00"]}   # UTC; one may be a text
#
#   A key of another name, or a list that is none, holds for nobody.
package mcp.attributes

import data.mcp.conditions

# METADATA
# description: Does this hold now, for whoever asks?
hold(key, wanted) if {
	is_array(wanted)
	_is_one(key, wanted)
}

hold(key, wanted) if {
	data.mcp.index.conditions.uses.claims
	key == "claims"
	is_object(wanted)
	count(wanted) > 0
	every claim, condition_of_claim in wanted { _claim_meets(claim, condition_of_claim) }
}

hold(key, wanted) if {
	data.mcp.index.conditions.uses.actor
	key == "actor"
	conditions.meets(input.identity.actor.sub, wanted)
}

hold(key, wanted) if {
	data.mcp.index.conditions.uses.actor
	key == "actor"
	wanted == {"absent": true}
	not input.identity.actor
}

hold(key, wanted) if {
	data.mcp.index.conditions.uses.annotations
	key == "annotations"
	is_object(wanted)
	count(wanted) > 0
	every name, value in wanted { _is_annotated(name, value) }
}

_is_annotated(name, value) if input.tool.annotations[name] == value

hold(key, wanted) if {
	data.mcp.index.conditions.uses.sources
	key == "sources"
	is_array(wanted)
	address := trim_prefix(input.http.source.address, "::ffff:")
	net.cidr_is_valid(sprintf("%s/32", [address]))
	some network in wanted
	is_string(network)
	net.cidr_is_valid(network)
	net.cidr_contains(network, address)
}

hold(key, wanted) if {
	data.mcp.index.conditions.reads_time
	key == "token"
	is_object(wanted)
	object.keys(wanted) == {"max_age"}
	is_number(wanted.max_age)
	is_number(input.identity.claims.iat)
	input.time.unix - input.identity.claims.iat <= wanted.max_age
}

hold(key, wanted) if {
	data.mcp.index.conditions.reads_time
	key == "time"
	is_object(wanted)
	count(wanted) > 0
	object.keys(wanted) - {"days", "hours"} == set()
	_is_day(object.get(wanted, "days", data.mcp.index.conditions.days))
	_is_hour(object.get(wanted, "hours", "00:00-24:00"))
}

# These are looked at elsewhere; here they only have to be well-formed.
hold(key, wanted) if {
	data.mcp.index.conditions.uses.arguments
	key == "arguments"
	is_object(wanted)
}

hold(key, wanted) if {
	data.mcp.index.conditions.uses.grants
	key == "grants"
	is_boolean(wanted)
}

hold(key, wanted) if {
	data.mcp.index.conditions.uses.unless
	key == "unless"
	is_object(wanted)
	count(wanted) > 0
	object.keys(wanted) & {"arguments", "grants", "login", "unless"} == set()
}

hold(key, wanted) if {
	data.mcp.index.conditions.uses.login
	key == "login"
	is_object(wanted)
	count(wanted) > 0
	every key, value in wanted { _asks(key, value) }
}

_asks(key, value) if {
	key == "max_age"
	is_number(value)
	value >= 0
	floor(value) == value
}

_asks(key, value) if {
	key == "acr"
	is_array(value)
	count(value) > 0
	every acr in value { is_string(acr) }
}

_is_one(key, wanted) if {
	data.mcp.index.conditions.uses.subjects
	key == "subjects"
	input.identity.subject in wanted
}

_is_one(key, wanted) if {
	data.mcp.index.conditions.uses.clients
	key == "clients"
	input.identity.client_id in wanted
}

_is_one(key, wanted) if {
	data.mcp.index.conditions.uses.issuers
	key == "issuers"
	input.identity.issuer in wanted
}

_is_one(key, wanted) if {
	data.mcp.index.conditions.uses.tenants
	key == "tenants"
	input.identity.tenant in wanted
}

_is_one(key, wanted) if {
	data.mcp.index.conditions.uses.roles
	key == "roles"
	some role in data.mcp.rbac.held
	role in wanted
}

_is_one(key, wanted) if {
	data.mcp.index.conditions.uses.roles
	key == "roles"
	some role in input.identity.roles
	role in wanted
}

_is_one(key, wanted) if {
	data.mcp.index.conditions.uses.groups
	key == "groups"
	some group in input.identity.groups
	group in wanted
}

_is_one(key, wanted) if {
	data.mcp.index.conditions.uses.amr
	key == "amr"
	is_array(input.identity.claims.amr)
	some method in input.identity.claims.amr
	method in wanted
}

_is_one(key, wanted) if {
	data.mcp.index.conditions.uses.principals
	key == "principals"
	input.http.source.principal in wanted
}

# That no claims are read but those that data asks for is what lets an answer be remembered.
_claim_meets(claim, wanted) if {
	claim in data.mcp.index.conditions.claims
	conditions.meets(input.identity.claims[claim], wanted)
}

_claim_meets(claim, wanted) if {
	not _is_claimed(claim)
	outer := split(claim, ".")[0]
	outer in data.mcp.index.conditions.claims
	is_object(input.identity.claims[outer])
	conditions.meets(object.get(input.identity.claims[outer], data.mcp.index.conditions.inner[claim], set()), wanted)
}

_claim_meets(claim, wanted) if {
	wanted == {"absent": true}
	not _is_claimed(claim)
	not _is_within(claim)
}

_is_claimed(claim) if {
	claim in data.mcp.index.conditions.claims
	type_name(input.identity.claims[claim])
}

# No claim is a set, and no condition holds for one.
_is_within(claim) if {
	outer := split(claim, ".")[0]
	outer in data.mcp.index.conditions.claims
	is_object(input.identity.claims[outer])
	object.get(input.identity.claims[outer], data.mcp.index.conditions.inner[claim], set()) != set()
}

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
