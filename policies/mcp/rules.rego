# METADATA
# title: Rules, without Rego
# description: |
#   What `policy.rules` of the configuration means; README has its keys. `allow`,
#   `deny` and `scopes`, `step_up` are those of the contract. For a list, `grants` are
#   what the arguments have to meet to be allowed, `escapes` what not to be denied, and
#   `hidden` says that all are.
package mcp.rules

import data.mcp.conditions
import data.mcp.index.rules as index

allow if {
	data.rules
	count(_granting) > 0
}

deny contains reason if {
	data.rules
	some at in _near
	_matches(index.deny[at])
	reason := index.deny[at].reason
}

# The first rule that would allow the message says what it asks for.
scopes contains scope if {
	index.uses.scopes
	some asked in _asking
	some scope in asked.scopes
}

step_up := {name: value |
	some asked in _asking
	some key, name in {"acr": "acr_values", "max_age": "max_age"}
	value := asked.login[key]
} if {
	index.asks_login
	some first in _asking
	count(first.login) > 0
}

grants contains option if {
	data.rules
	some at in _near
	some case in index.shown[at]
	_covers(case)
	some way in case.ways
	option := array.concat(case.needs, way)
}

# One way past each denial. Where more than three leave a choice, none is looked for.
escapes contains option if {
	count(_choices) <= 3
	choices := array.concat(_choices, [[[]], [[]], [[]]])
	some first in choices[0]
	some second in choices[1]
	some third in choices[2]
	option := array.concat(_forced, array.concat(first, array.concat(second, third)))
}

_forced := [constraint | some ways in _denying; count(ways) == 1; some constraint in ways[0]]

_choices := [ways | some ways in _denying; count(ways) > 1]

_denying contains ways if {
	some at in _near
	some case in index.open[at]
	_matches(case)
	ways := case.ways
}

hidden if {
	data.rules
	some at in _near
	_matches(index.hidden[at])
}

_asking contains asked if {
	not allow
	some at in _allowing
	not _is_later(at)
	some asked in index.allow[at].asks
}

_is_later(at) if {
	some other in _allowing
	other < at
}

_allowing contains at if {
	some at in _near
	_covers(index.allow[at])
}

_granting contains at if {
	some at in _allowing
	_is_given(index.allow[at].asks)
}

_is_given(asks) if count(asks) == 0

_is_given(asks) if {
	_asks
	every asked in asks {
		_has_scopes(asked.scopes)
		_has_login(asked.login)
	}
}

_asks if index.uses.scopes

_asks if index.asks_login

# The rules that may be about this message.
_near := (index.general | _named) | _alike

_named contains at if {
	some name in _names
	some at in index.named[name]
}

_alike contains at if {
	some name in _names
	some length, starting in index.globs
	some glob in starting[substring(name, 0, length)]
	conditions.is_like(name, glob)
	some at in glob.rules
}

# Where a message names several resources, one rule has to be about all of them.
_covers(rule) if {
	_matches(rule)
	not _is_partial(rule)
}

_is_partial(rule) if {
	index.uses.resources
	count(_names) > 1
	some texts in rule.resources
	some name in _names
	not _is_one(name, texts)
}

_matches(rule) if {
	_is_of_kind(rule.kind)
	_holds(rule)
	not _is_excepted(rule)
}

_is_excepted(rule) if {
	index.uses.unless
	some exception in rule.unless
	_holds(exception)
}

_holds(match) if {
	every test in match.who { _is_who(test) }
	every test in match.more { _passes(test) }
}

_is_of_kind(kind) if {
	kind == "any"
	is_string(_kind)
}

_is_of_kind(kind) if kind == _kind

_kind := "tools" if input.mcp.method == "tools/call"

else := "prompts" if is_string(input.mcp.name)

else := "resources" if count(_uris) > 0

else := "" if is_string(input.mcp.kind)

# A task beside them is one more to be covered.
_uris := [input.mcp.uri] if is_string(input.mcp.uri)

else := array.concat([uri | some uri in input.mcp.uris], [task | some task in input.mcp.tasks])

_names := [input.mcp.name] if is_string(input.mcp.name)

else := [uri | some uri in _uris]

# What has no method goes by its kind: `response`, `stream`, `terminate`.
_method := input.mcp.method if is_string(input.mcp.method)

else := input.mcp.kind if is_string(input.mcp.kind)

_is_who(test) if {
	field := test.one
	field in index.one
	_is_one(input.identity[field], test)
}

_is_who(test) if {
	field := test.many
	field in index.many
	values := input.identity[field]
	is_array(values)
	some value in values
	_is_one(value, test)
}

_is_one(value, texts) if value in texts.exact

_is_one(value, texts) if {
	is_string(value)
	some glob in texts.globs
	conditions.is_like(value, glob)
}

_passes(test) if {
	index.uses.methods
	test.is == "methods"
	_is_one(_method, test)
}

_passes(test) if {
	index.uses.unless
	test.is == "names"
	test.kind == _kind
	_is_about(test)
}

_passes(test) if {
	index.uses.scopes
	test.is == "scopes"
	_has_scopes(test.of)
}

_passes(test) if {
	index.uses.login
	test.is == "login"
	_has_login(test.of)
}

_passes(test) if {
	index.uses.claims
	test.is == "claims"
	every name, condition in test.of { _claim_meets(name, condition) }
}

_passes(test) if {
	index.uses.arguments
	test.is == "arguments"
	every name, condition in test.of { _argument_meets(name, condition) }
}

_passes(test) if {
	index.uses.annotations
	test.is == "annotations"
	every name, condition in test.of { conditions.met(_annotations, name, condition) }
}

_passes(test) if {
	index.uses.principals
	test.is == "principals"
	_is_one(input.http.source.principal, test)
}

_passes(test) if {
	index.uses.sources
	test.is == "sources"
	some network in test.of
	net.cidr_contains(network, _address)
}

_passes(test) if {
	index.uses.sources
	test.is == "sources"
	test.unknown
	not _address
}

_passes(test) if {
	index.uses.time
	test.is == "time"
	_is_day(test.of)
	_is_hour(test.of)
}

# That none are read but those that rules ask for is what lets an answer be remembered.
_claim_meets(name, condition) if {
	name in index.claims
	conditions.meets(input.identity.claims[name], condition)
}

_claim_meets(name, condition) if {
	condition == {"absent": true}
	not _is_claimed(name)
}

_is_claimed(name) if {
	name in index.claims
	type_name(input.identity.claims[name])
}

_argument_meets(name, condition) if {
	name in index.arguments
	conditions.meets(input.mcp.arguments[name], condition)
}

_argument_meets(name, condition) if {
	condition == {"absent": true}
	not _is_given(name)
}

_is_given(name) if {
	name in index.arguments
	type_name(input.mcp.arguments[name])
}

_annotations := input.tool.annotations if is_object(input.tool.annotations)

else := {}

_is_about(test) if {
	test.all
	every name in _names { _is_one(name, test) }
}

_is_about(test) if {
	not test.all
	some name in _names
	_is_one(name, test)
}

_has_scopes(wanted) if {
	held := {scope | some scope in input.identity.scopes}
	every scope in wanted { scope in held }
}

_has_login(login) if {
	_is_fresh(login)
	_is_strong(login)
}

_is_fresh(login) if not login.max_age

_is_fresh(login) if {
	index.uses.login
	is_number(input.identity.claims.auth_time)
	input.time.unix - input.identity.claims.auth_time <= login.max_age
}

_is_strong(login) if not login.acr

_is_strong(login) if {
	index.uses.login
	input.identity.claims.acr in login.acr
}

# An IPv4 address may come in the form of an IPv6 one.
_address := address if {
	address := trim_prefix(input.http.source.address, "::ffff:")
	net.cidr_is_valid(sprintf("%s/0", [address]))
}

else := address if {
	address := input.http.source.address
	net.cidr_is_valid(sprintf("%s/0", [address]))
}

_day := ["thu", "fri", "sat", "sun", "mon", "tue", "wed"][floor(input.time.unix / 86400) % 7]

_minutes := floor((input.time.unix % 86400) / 60)

_clock := sprintf("%02d:%02d", [floor(_minutes / 60), _minutes % 60])

_is_day(time) if not time.days

_is_day(time) if _day in time.days

_is_hour(time) if not time.hours

# As texts, times of day are in their order.
_is_hour(time) if {
	some hours in time.hours
	bounds := split(hours, "-")
	bounds[0] <= _clock
	_clock < bounds[1]
}
