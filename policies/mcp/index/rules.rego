# METADATA
# title: Rules, indexed
# description: |
#   `data.rules` as `mcp.rules` looks it up: by the exact name of a tool, prompt
#   or resource, and by how a glob starts. No rule here reads `input`, so that all
#   of it is known when the policy is loaded.
package mcp.index.rules

import data.mcp.index.values

# By their numbers in `data.rules`.
allow := {at: _rule(match, match, _asks(match), false) |
	some at, rule in data.rules
	match := rule.allow
}

deny := {at: object.union(_rule(match, match, _asks(match), true), {"reason": reason}) |
	some at, rule in data.rules
	match := rule.deny
	reason := object.get(rule, "reason", sprintf("rule %d", [at]))
}

# In a list nobody knows the arguments. Each case in which a rule may allow: what they
# have to meet, and ways past its exception, one of which they have to take.
shown := {at: _shown(match) | some at, rule in data.rules; match := rule.allow}

# Each case in which a rule may deny, with the ways past it.
open := {at: cases |
	some at, rule in data.rules
	cases := _open(rule.deny)
	count(cases) > 0
}

# What holds whatever the arguments are.
hidden := {at: known |
	some at, rule in deny
	known := _hidden(rule, data.rules[at].deny)
}

named[name] contains at if {
	some at, rule in data.rules
	some match in rule
	some kind in _kinds
	some name in match[kind]
	not contains(name, "*")
}

# By how many characters they start with, and by these: a look-up for each length.
globs := {length: starting |
	some length in {_length(start) | some start, _ in _starting}
	starting := {start: found | some start, found in _starting; _length(start) == length}
}

_starting[start] contains glob if {
	some text, rules in _globs
	start := split(text, "*")[0]
	glob := object.union(values.patterns[text], {"rules": rules})
}

_globs[text] contains at if {
	some at, rule in data.rules
	some match in rule
	some kind in _kinds
	some text in match[kind]
	contains(text, "*")
}

# The rules about whatever there is.
general := {at |
	some at, rule in data.rules
	some key in ["allow", "deny"]
	match := rule[key]
	not match.tools
	not match.prompts
	not match.resources
}

# METADATA
# description: The keys that some rule has. What none has is not looked at.
uses := {key: true | some match in _matches; some key, _ in match}

# METADATA
# description: The fields of the identity that some rule asks for, of one value and of many.
one contains field if {
	some key, _ in uses
	field := _who[key].one
}

many contains field if {
	some key, _ in uses
	field := _who[key].many
}

# METADATA
# description: The claims that some rule asks for.
claims contains name if {
	some match in _matches
	is_object(match.claims)
	some name, _ in match.claims
}

# METADATA
# description: The arguments that some rule asks for.
arguments contains name if {
	some match in _matches
	is_object(match.arguments)
	some name, _ in match.arguments
}

_matches contains match if {
	some rule in data.rules
	some effect in ["allow", "deny"]
	match := rule[effect]
}

_matches contains unless if {
	some rule in data.rules
	some effect in ["allow", "deny"]
	unless := rule[effect].unless
}

# METADATA
# description: Does a rule ask for a login?
asks_login if {
	some rule in data.rules
	rule.allow.login
}

_kinds := {"tools", "prompts", "resources"}

# What an `allow` asks for.
_asked := ["scopes", "login"]

_who := {
	"subjects": {"one": "subject"},
	"clients": {"one": "client_id"},
	"issuers": {"one": "issuer"},
	"tenants": {"one": "tenant"},
	"roles": {"many": "roles"},
	"groups": {"many": "groups"},
}

_textual := {key: key | some key in ["methods", "principals"]}

_valued := {key: key | some key in ["claims", "arguments", "annotations", "sources", "time"]}

# An `allow` asks for scopes and logins, a denial tests them. Where the address is not
# known, a denial holds, and so does what takes away from an `allow`.
_rule(match, tested, asks, denies) := {
	"kind": _kind(match),
	"resources": [_texts(texts) | texts := match.resources],
	"who": _who_of(tested),
	"more": array.concat(_more(tested, denies), [test | denies; some test in _held(match)]),
	"asks": asks,
	"unless": [exception |
		unless := tested.unless
		exception := {
			"who": _who_of(unless),
			"more": array.concat(array.concat(_more(unless, denies == false), _held(unless)), _names(unless, denies)),
		}
	],
}

_asks(match) := [{"scopes": object.get(match, "scopes", []), "login": object.get(match, "login", {})}] if {
	count(_held(match)) > 0
}

else := []

_held(match) := [{"is": key, "of": match[key]} | some key in _asked]

_shown(match) := [object.union(_rule(match, tested, [], false), {"needs": _needs(match), "ways": ways}) |
	some [removed, ways] in _cases(match)
	tested := object.union(object.remove(match, ["arguments", "unless"]), removed)
]

# Its exception holds not, whatever the arguments are, or it is these that it misses.
_cases(match) := [[{"unless": object.remove(match.unless, ["arguments"])}, [[]]], [{}, _misses(match.unless)]] if {
	match.unless.arguments
}

else := [[{"unless": match.unless}, [[]]]] if match.unless

else := [[{}, [[]]]]

_open(match) := array.concat(
	[_way(match, {}, array.concat(_misses(match), [_needs(match.unless)])) | match.unless.arguments],
	[_way(match, unless, _misses(match)) |
		match.arguments
		unless := {"unless": object.remove(exception, ["arguments"]) | exception := match.unless}
	],
)

_way(match, unless, ways) := object.union(
	_rule(match, object.union(object.remove(match, ["arguments", "unless"]), unless), [], true),
	{"ways": ways},
)

_needs(match) := [{"argument": name, "kind": "condition", "wanted": wanted} | some name, wanted in match.arguments]

_misses(match) := [[{"argument": name, "kind": "miss", "wanted": wanted}] | some name, wanted in match.arguments]

_hidden(rule, match) := rule if not _is_open(match)

_hidden(_, match) := _rule(match, object.union(object.remove(match, ["unless"]), {"unless": unless}), [], true) if {
	not match.arguments
	match.unless.arguments
	unless := object.remove(match.unless, ["arguments"])
}

_is_open(match) if match.arguments

_is_open(match) if match.unless.arguments

# What a rule is about: arguments and annotations are those of tools, if it does not say more.
_kind(match) := "tools" if match.tools

else := "prompts" if match.prompts

else := "resources" if match.resources

else := "tools" if match.arguments

else := "tools" if match.annotations

else := "any"

_who_of(match) := [object.union(_texts(texts), field) | some key, texts in match; field := _who[key]]

_more(match, unknown) := array.concat(
	[object.union(_texts(texts), {"is": is}) | some key, texts in match; is := _textual[key]],
	[{"is": is, "of": value, "unknown": unknown} | some key, value in match; is := _valued[key]],
)

# An exception of a denial covers all that a message names.
_names(match, denies) := [object.union(_texts(texts), {"is": "names", "kind": kind, "all": denies}) |
	some kind in _kinds
	texts := match[kind]
]

_texts(texts) := {
	"exact": {text | some text in texts; not contains(text, "*")},
	"globs": [values.patterns[text] | some text in texts; contains(text, "*")],
}

# In characters as Unicode has them, as `substring` counts.
_length(text) := count(split(text, ""))
