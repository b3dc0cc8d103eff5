package mcp.rules_test

import data.mcp.rules

_call := {"method": "tools/call", "kind": "request", "name": "weather_now", "arguments": {"city": "NY", "days": 3}}

_identity := {
	"issuer": "https://as.example.com", "subject": "alice", "client_id": "agent",
	"scopes": ["read"], "roles": ["analyst"], "groups": ["eu"], "tenant": "acme",
	"claims": {"tenant": "acme", "nested": {"key": "value"}, "acr": "gold", "auth_time": 1795391900},
}

# Monday, 2026-11-23, 00:00 UTC.
_input := {
	"mcp": _call, "identity": _identity, "time": {"unix": 1795392000},
	"http": {"source": {"address": "10.1.2.3", "principal": "spiffe://corp/agents/a"}},
	"tool": {"annotations": {"destructiveHint": true}},
}

_allows(match) if rules.allow with input as _input with data.rules as [{"allow": match}]

_denies(match) if count(rules.deny) == 1 with input as _input with data.rules as [{"deny": match}]

# Each matches the message above, as it stands.
_matches := [
	{"tools": ["weather_now"]},
	{"tools": ["echo", "weather_*"]},
	{"tools": ["*_now"]},
	{"tools": ["w*r*now"]},
	{"methods": ["tools/*"]},
	{"subjects": ["alice", "bob"]},
	{"clients": ["ag*"]},
	{"issuers": ["https://as.example.com"]},
	{"roles": ["admin", "analyst"]},
	{"groups": ["*"]},
	{"tenants": ["acme"]},
	{"scopes": ["read"]},
	{"claims": {"tenant": "acme", "nested": {"members": {"key": ["value"]}}}},
	{"claims": {"device": {"absent": true}}},
	{"arguments": {"city": {"in": ["NY", "LDN"]}, "days": {"min": 1, "max": 3}}},
	{"annotations": {"destructiveHint": true}},
	{"sources": ["192.168.0.0/16", "10.0.0.0/8"]},
	{"principals": ["spiffe://corp/*"]},
	{"time": {"days": ["mon"], "hours": ["00:00-08:00", "18:00-24:00"]}},
	{"login": {"max_age": 100, "acr": ["gold"]}},
	{"roles": ["analyst"], "unless": {"subjects": ["bob"]}},
	{"roles": ["analyst"], "unless": {"arguments": {"city": "LDN"}}},
]

# None matches it.
_misses := [
	{"tools": ["weather_no"]},
	{"tools": ["weather_now_*"]},
	{"tools": ["weather_now*now"]},
	{"prompts": ["weather_now"]},
	{"resources": ["weather_now"]},
	{"methods": ["prompts/*"]},
	{"subjects": ["bob"]},
	{"clients": ["Agent"]},
	{"issuers": ["https://as.example.com/"]},
	{"roles": ["admin"]},
	{"groups": ["us"]},
	{"tenants": ["globex"]},
	{"claims": {"tenant": "acme", "device": "managed"}},
	{"claims": {"tenant": {"absent": true}}},
	{"arguments": {"city": ["LDN"]}},
	{"arguments": {"days": {"max": 2}}},
	{"arguments": {"country": ["US"]}},
	{"annotations": {"readOnlyHint": true}},
	{"annotations": {"destructiveHint": {"absent": true}}},
	{"sources": ["10.0.0.0/16"]},
	{"principals": ["spiffe://corp"]},
	{"time": {"days": ["tue", "sun"]}},
	{"time": {"hours": ["00:01-24:00"]}},
	{"roles": ["analyst"], "unless": {"subjects": ["alice"], "tools": ["weather_*"]}},
]

test_each_key_matches if {
	every match in _matches {
		_allows(match)
		_denies(match)
	}
}

test_each_key_may_miss if {
	every match in _misses {
		not _allows(match)
		not _denies(match)
	}
}

test_without_rules_nothing_is_said if {
	not rules.allow with input as _input
	count(rules.deny) == 0 with input as _input
}

test_an_empty_input_is_not_allowed if {
	not rules.allow with input as {} with data.rules as [{"allow": {"claims": {"x": {"absent": true}}}}]
}

test_a_denial_has_its_reason if {
	_rules := [{"deny": {"tools": ["*"]}}, {"deny": {"roles": ["analyst"]}, "reason": "no analysts"}]
	rules.deny == {"rule 0", "no analysts"} with input as _input with data.rules as _rules
}

_scopes(match) := scopes if {
	scopes := rules.scopes with input as _input with data.rules as match
}

test_a_missing_scope_is_asked_for if {
	_scopes([{"allow": {"tools": ["weather_*"], "scopes": ["read", "more"]}}]) == {"read", "more"}
}

test_no_scope_is_asked_for_where_something_else_misses if {
	_scopes([{"allow": {"tools": ["echo"], "scopes": ["more"]}}]) == set()
}

test_the_first_rule_asks if {
	_scopes([{"allow": {"scopes": ["one"]}}, {"allow": {"scopes": ["two"]}}]) == {"one"}
}

test_no_scope_is_asked_for_where_a_rule_allows_without if {
	_scopes([{"allow": {"scopes": ["more"]}}, {"allow": {"tools": ["*"]}}]) == set()
}

test_a_login_is_asked_for if {
	_rules := [{"allow": {"tools": ["*"], "login": {"max_age": 99, "acr": ["gold"]}}}]
	rules.step_up == {"max_age": 99, "acr_values": ["gold"]} with input as _input with data.rules as _rules
	not rules.allow with input as _input with data.rules as _rules
}

_listed := json.remove(_input, ["mcp/arguments"])

_shows(match) if data.mcp.authz.visible with input as _listed with data.rules as match

test_a_list_shows_what_some_arguments_may_do if {
	_shows([{"allow": {"arguments": {"city": "NY"}}}])
	_shows([{"allow": {"tools": ["*"], "scopes": ["more"], "login": {"max_age": 1}}}])
	_shows([{"allow": {"tools": ["*"]}}, {"deny": {"arguments": {"city": {"absent": true}}}}])
	_shows([{"allow": {"tools": ["*"]}}, {"deny": {"tools": ["*"], "unless": {"arguments": {"city": "NY"}}}}])
	_shows([{"allow": {"tools": ["*"], "unless": {"arguments": {"city": {"absent": true}}}}}])
}

test_a_list_hides_what_no_arguments_may_do if {
	not _shows([{"allow": {"tools": ["echo"], "arguments": {"city": "NY"}}}])
	not _shows([{"allow": {"tools": ["*"]}}, {"deny": {"roles": ["analyst"]}}])
	not _shows([{"allow": {"tools": ["*"], "unless": {"roles": ["analyst"]}}}])
}

# Each line is rules of which none leaves arguments to call with.
test_a_list_hides_what_one_rule_allows_and_another_denies if {
	_here := {"arguments": {"city": "NY"}}
	not _shows([{"allow": _here}, {"deny": _here}])
	not _shows([{"allow": _here}, {"deny": {"arguments": {"city": {"prefix": "N"}}}}])
	not _shows([{"allow": _here}, {"deny": {"tools": ["*"], "unless": {"arguments": {"city": "LDN"}}}}])
	not _shows([{"allow": object.union(_here, {"unless": _here})}])
	_absent := {"arguments": {"city": {"absent": true}}}
	not _shows([{"allow": _absent}, {"deny": _absent}])
	not _shows([{"allow": {"tools": ["*"]}}, {"deny": _here}, {"deny": {"tools": ["*"], "unless": _here}}])
	not _shows([{"allow": {"arguments": {"n": {"min": 2, "max": 7}}}}, {"deny": {"arguments": {"n": {"min": 1}}}}])
}

test_a_list_shows_what_denials_leave if {
	_here := {"arguments": {"city": "NY"}}
	_both := {"arguments": {"city": "NY", "days": {"max": 3}}}
	_shows([{"allow": _here}, {"deny": _both}])
	_shows([{"allow": {"arguments": {"city": {"prefix": "N"}}}}, {"deny": _here}])
	_shows([{"allow": {"arguments": {"n": {"min": 2}}}}, {"deny": {"arguments": {"n": {"min": 2, "max": 7}}}}])
	_shows([{"allow": _here}, {"deny": {"arguments": {"city": "NY"}, "unless": {"arguments": {"days": 1}}}}, {"deny": {"arguments": {"days": 2}}}])
}

test_a_list_hides_where_more_than_three_denials_leave_a_choice if {
	_denials := [{"deny": {"arguments": {"city": "NY", name: 1}}} | some name in ["a", "b", "c", "d"]]
	_shows(array.concat([{"allow": {"tools": ["*"]}}], array.slice(_denials, 0, 3)))
	not _shows(array.concat([{"allow": {"tools": ["*"]}}], _denials))
}

_resources(mcp, match) if rules.allow with input as {"mcp": mcp, "identity": _identity} with data.rules as [{"allow": match}]

test_resources_are_read_completed_and_listened_to if {
	_match := {"resources": ["doc://a/*", "doc://b"]}
	_resources({"method": "resources/read", "uri": "doc://b"}, _match)
	_resources({"method": "completion/complete", "uri": "doc://a/x"}, _match)
	_resources({"method": "subscriptions/listen", "uris": ["doc://a/x", "doc://b"]}, _match)
	not _resources({"method": "subscriptions/listen", "uris": ["doc://a/x", "doc://c"]}, _match)
	not _resources({"method": "subscriptions/listen", "uris": ["doc://b"], "tasks": ["t"]}, _match)
}

test_one_resource_of_several_is_denied if {
	_mcp := {"method": "subscriptions/listen", "uris": ["doc://a", "doc://b"]}
	count(rules.deny) == 1 with input as {"mcp": _mcp} with data.rules as [{"deny": {"resources": ["doc://b"]}}]
}

test_an_exception_of_a_denial_covers_all_resources if {
	_rules := [{"deny": {"resources": ["*"], "unless": {"resources": ["doc://open/*"]}}}]
	_mcp := {"method": "subscriptions/listen", "uris": ["doc://open/a", "doc://b"]}
	count(rules.deny) == 1 with input as {"mcp": _mcp} with data.rules as _rules
}

test_what_has_no_method_goes_by_its_kind if {
	rules.allow with input as {"mcp": {"kind": "response"}} with data.rules as [{"allow": {"methods": ["response"]}}]
	not rules.allow with input as {"mcp": {"kind": "stream"}} with data.rules as [{"allow": {"methods": ["response"]}}]
}

_nowhere := [object.remove(_input, ["http"]), object.union(_input, {"http": {"source": {"address": "/run/a.sock"}}}), object.union(_input, {"http": {"source": {"address": "fe80::1%eth0"}}})]

test_a_source_that_nobody_knows_is_denied_and_never_allowed if {
	every message in _nowhere {
		count(rules.deny) == 1 with input as message with data.rules as [{"deny": {"sources": ["10.0.0.0/8"]}}]
		count(rules.deny) == 1 with input as message
			with data.rules as [{"deny": {"methods": ["*"], "unless": {"sources": ["10.0.0.0/8"]}}}]
		not rules.allow with input as message with data.rules as [{"allow": {"sources": ["10.0.0.0/8"]}}]
		not rules.allow with input as message
			with data.rules as [{"allow": {"methods": ["*"], "unless": {"sources": ["10.0.0.0/8"]}}}]
		rules.hidden with input as message with data.rules as [{"deny": {"sources": ["10.0.0.0/8"]}}]
		count(rules.grants) == 0 with input as message with data.rules as [{"allow": {"sources": ["10.0.0.0/8"]}}]
	}
	_misses_address := [{"sources": ["192.168.0.0/16"]}]
	count(rules.deny) == 0 with input as _input with data.rules as [{"deny": match} | some match in _misses_address]
}
