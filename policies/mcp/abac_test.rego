package mcp.abac_test

import data.mcp.abac

_conditions := {"read_payroll": {"roles": ["hr", "audit"], "claims": {"device": ["managed"], "country": ["DE", "FR"]}}}

_violations(identity, name) := found if {
	found := abac.violations with input as {
		"identity": identity,
		"mcp": {"method": "tools/call", "name": name},
	}
		with data.conditions as _conditions
}

test_who_meets_all_conditions_may if {
	_violations({"roles": ["hr"], "claims": {"device": "managed", "country": "FR"}}, "read_payroll") == set()
}

test_each_condition_counts if {
	count(_violations({"roles": ["dev"], "claims": {"device": "managed", "country": "FR"}}, "read_payroll")) == 1
	count(_violations({"roles": ["hr"], "claims": {"device": "byod", "country": "FR"}}, "read_payroll")) == 1
	count(_violations({"roles": ["hr"], "claims": {"device": "managed"}}, "read_payroll")) == 1
	count(_violations({"roles": [], "claims": {}}, "read_payroll")) == 2
}

test_a_claim_of_another_type_is_not_the_value if {
	count(_violations({"roles": ["hr"], "claims": {"device": ["managed"], "country": "FR"}}, "read_payroll")) == 1
}

test_a_tool_without_conditions_has_none if _violations({"roles": [], "claims": {}}, "list_documents") == set()

test_conditions_of_another_form_are_met_by_nobody if {
	every conditions in [
		{"role": ["hr"]},
		{"roles": "hr"},
		{"roles": false},
		{"claims": "managed"},
		{"claims": []},
		["hr"],
		false,
		null,
	] {
		found := abac.violations with input as {
			"identity": {"roles": ["hr"], "claims": {"device": "managed"}},
			"mcp": {"method": "tools/call", "name": "t"},
		}
			with data.conditions as {"t": conditions}
		count(found) > 0
	}
}

_now := 1795392000 # Monday 2026-11-23, 00:00 UTC

_asks := {
	"resource": "https://mcp.example.com/mcp",
	"identity": {
		"issuer": "https://as.example.com",
		"subject": "alice",
		"client_id": "agent",
		"tenant": "acme",
		"roles": ["hr"],
		"groups": ["people", "finance"],
		"actor": {"sub": "assistant"},
		"claims": {"device": {"managed": true}, "a.b": 1, "amr": ["pwd", "otp"], "iat": _now - 100, "acr": "gold"},
	},
	"mcp": {"method": "tools/call", "name": "t", "arguments": {"format": "pdf"}},
	"tool": {"annotations": {"readOnlyHint": true}},
	"http": {"source": {"address": "10.1.2.3", "principal": "spiffe://corp/agent"}},
	"time": {"unix": _now + (((3 * 24) + 9) * 3600)}, # Thursday, 09:00
}

_denied(conditions) := reasons if {
	reasons := abac.violations with input as _asks with data.conditions as {"t": conditions}
}

test_a_condition_holds_for_whom_it_names if {
	every conditions in [
		{}, {"subjects": ["bob", "alice"]}, {"clients": ["agent"]}, {"issuers": ["https://as.example.com"]}, {"tenants": ["acme"]},
		{"roles": ["hr"]}, {"groups": ["finance", "x"]}, {"actor": "assistant"}, {"actor": {"glob": "assist*"}},
		{"claims": {"device.managed": true}}, {"claims": {"device": {"members": {"managed": true}}}}, {"claims": {"a.b": [1]}},
		{"claims": {"none": {"absent": true}}}, {"amr": ["otp", "hwk"]}, {"token": {"max_age": 300000}},
		{"arguments": {"format": ["pdf"]}}, {"arguments": {"other": {"absent": true}}}, {"annotations": {"readOnlyHint": true}},
		{"sources": ["192.168.0.0/16", "10.0.0.0/8"]}, {"principals": ["spiffe://corp/agent"]},
		{"time": {"days": ["thu"], "hours": "08:00-18:00"}}, {"time": {"hours": "22:00-10:00"}}, {"time": {"days": ["mon", "thu"]}},
		{"time": {"hours": ["08:00-09:00", "09:00-18:00"]}}, {"time": {"hours": ["22:00-10:00"]}},
		{"login": {"max_age": 300}}, {"login": {"acr": ["gold"]}}, {"grants": true},
	] {
		_denied(conditions) == set()
	}
}

test_a_condition_holds_for_nobody_else if {
	every conditions in [
		{"subjects": ["bob"]}, {"clients": []}, {"issuers": ["https://as.example.com/"]}, {"tenants": ["globex"]}, {"roles": ["HR"]},
		{"groups": ["x"]}, {"actor": "other"}, {"actor": {"absent": true}}, {"claims": {"device.managed": false}},
		{"claims": {"device": true}}, {"claims": {"none": 1}}, {"claims": {"a": {"absent": true}, "a.b": 2}}, {"claims": {"none": null}},
		{"claims": {"a.b": {"absent": true}}}, {"amr": ["hwk"]}, {"token": {"max_age": 30}}, {"arguments": {"format": ["text"]}},
		{"arguments": {"other": "x"}}, {"arguments": {"format": {"absent": true}}}, {"annotations": {"readOnlyHint": false}},
		{"annotations": {"destructiveHint": false}}, {"sources": ["192.168.0.0/16"]}, {"principals": ["spiffe://corp/other"]},
		{"time": {"days": ["fri"]}}, {"time": {"hours": "09:01-18:00"}}, {"time": {"hours": "22:00-09:00"}},
		{"time": {"days": ["thu"], "hours": "08:00-09:00"}}, {"time": {"hours": ["08:00-09:00", "10:00-18:00"]}},
	] {
		count(_denied(conditions)) == 1
	}
}

test_a_condition_of_another_form_holds_for_nobody if {
	every conditions in [
		{"subject": ["alice"]}, {"subjects": "alice"}, {"subjects": {"alice": true}}, {"roles": null}, {"claims": ["device"]},
		{"actor": {}}, {"amr": "otp"}, {"token": 300}, {"token": {"max_age": "300"}}, {"token": {"maxage": 300}},
		{"arguments": ["format"]}, {"annotations": ["readOnlyHint"]}, {"sources": "10.0.0.0/8"}, {"sources": ["10.0.0.0"]},
		{"sources": [10]}, {"time": "08:00-18:00"}, {"time": {"hours": "8-18"}}, {"time": {"hours": "08:00-25:00"}}, {"time": {"days": "thu"}},
		{"time": {"hours": []}}, {"time": {"hours": [8, "8-18"]}}, {"time": {"hours": {"from": "08:00-18:00"}}},
		{"time": {"zone": "UTC"}}, {"login": 300}, {"login": {}}, {"login": {"max_age": "300"}}, {"login": {"max_age": 1.5}},
		{"login": {"acr": "gold"}}, {"login": {"acr": []}}, {"login": {"age": 300}}, {"grants": "true"}, null, [], "hr", true,
	] {
		count(_denied(conditions)) > 0
	}
}

test_what_is_not_there_meets_no_condition if {
	every conditions in [
		{"subjects": ["alice"]}, {"tenants": ["acme"]}, {"roles": ["hr"]}, {"groups": ["x"]}, {"claims": {"device": 1}}, {"actor": "x"},
		{"amr": ["otp"]}, {"token": {"max_age": 300}}, {"annotations": {"readOnlyHint": true}}, {"sources": ["0.0.0.0/0"]},
		{"principals": ["x"]}, {"time": {"days": ["thu"]}}, {"arguments": {"format": "pdf"}},
	] {
		reasons := abac.violations with input as {"mcp": {"method": "tools/call", "name": "t"}} with data.conditions as {"t": conditions}
		count(reasons) > 0
	}
}

test_conditions_do_not_apply_to_whom_they_excuse if {
	_denied({"subjects": ["bob"], "unless": {"roles": ["hr"], "tenants": ["acme"]}}) == set()
	count(_denied({"subjects": ["bob"], "unless": {"roles": ["hr"], "tenants": ["globex"]}})) == 1
	every excuse in [{"time": {"days": ["thu"], "hours": "08:00-18:00"}}, {"time": {"hours": ["09:00-10:00"]}}, {"token": {"max_age": 300000}}] {
		_denied({"subjects": ["bob"], "unless": excuse}) == set()
	}
	every excuse in [{"time": {"days": ["fri"]}}, {"time": {"hours": "10:00-18:00"}}, {"token": {"max_age": 30}}] {
		count(_denied({"subjects": ["bob"], "unless": excuse})) == 1
	}
	every wrong in [
		{},
		{"role": ["hr"]},
		{"claims": {}},
		{"annotations": {}},
		{"time": {}},
		{"arguments": {}},
		{"login": {"max_age": 1}},
		"hr",
		null,
		["hr"],
		{"unless": {}},
	] {
		count(_denied({"subjects": ["bob"], "unless": wrong})) > 0
	}
}

test_an_address_that_is_none_is_in_no_network if {
	every address in ["", "/var/run/socket", "10.1.2", "10.1.2.3%0"] {
		reasons := abac.violations with input as object.union(_asks, {"http": {"source": {"address": address}}})
			with data.conditions as {"t": {"sources": ["10.0.0.0/8"]}}
		count(reasons) == 1
	}
}

test_an_address_of_ipv4_within_ipv6_is_one_of_ipv4 if {
	reasons := abac.violations with input as object.union(_asks, {"http": {"source": {"address": "::ffff:10.1.2.3"}}})
		with data.conditions as {"t": {"sources": ["10.0.0.0/8"]}}
	reasons == set()
}

test_all_that_apply_must_hold if {
	conditions := {"*": {"roles": ["hr"]}, "t": {"tenants": ["acme"]}, "t*": {"subjects": ["bob"]}, "u": {"roles": ["x"]}}
	reasons := abac.violations with input as _asks with data.conditions as conditions
	count(reasons) == 1
}

_labels := {"sensitive": {
	"tools": ["*_payroll"],
	"prompts": ["salary"],
	"resources": ["doc://hr/*"],
	"annotations": {"openWorldHint": true},
	"arguments": {"read": {"id": {"prefix": "hr-"}}},
}}

_under_label(roles, mcp, annotations) := reasons if {
	reasons := abac.violations with input as {"identity": {"roles": roles}, "mcp": mcp, "tool": {"annotations": annotations}}
		with data.labels as _labels
		with data.label_conditions as {"sensitive": {"roles": ["hr"]}}
}

test_what_is_labelled_has_the_conditions_of_the_label if {
	every mcp in [
		{"method": "tools/call", "name": "read_payroll"}, {"method": "prompts/get", "name": "salary"},
		{"method": "resources/read", "uri": "doc://hr/1"}, {"method": "tools/call", "name": "read", "arguments": {"id": "hr-1"}},
		{"method": "tools/call", "name": "read", "arguments": {"id": ["hr-1"]}},
	] {
		_under_label(["hr"], mcp, {}) == set()
		count(_under_label([], mcp, {})) == 1
	}
	count(_under_label([], {"method": "tools/call", "name": "x"}, {"openWorldHint": true})) == 1
}

test_a_subscription_has_the_conditions_of_all_its_labels if {
	listen := {"method": "subscriptions/listen", "uris": ["doc://a", "doc://hr/1"]}
	every roles in [[], ["hr"]] {
		reasons := abac.violations with input as {"identity": {"roles": roles}, "mcp": listen}
			with data.labels as {"sensitive": {"resources": ["doc://hr/*"]}}
			with data.label_conditions as {"sensitive": {"roles": ["hr"]}}
		count(reasons) == 1 - count(roles)
	}
}

test_what_is_not_labelled_has_none if {
	every mcp in [
		{"method": "tools/call", "name": "payroll"}, {"method": "tools/call", "name": "salary"}, {"method": "resources/read", "uri": "doc://x"},
		{"method": "tools/call", "name": "read", "arguments": {"id": "q3"}}, {"method": "tools/call", "name": "read"},
		{"method": "prompts/get", "name": "read", "arguments": {"id": "hr-1"}},
	] {
		_under_label([], mcp, {"openWorldHint": false}) == set()
	}
}

test_labels_of_another_form_let_nothing_pass if {
	every wrong in [{"tools": "x"}, {"tools": [5]}, {"tool": ["x"]}, {"arguments": {"read": ["id"]}}, {"annotations": []}, [], null, "x"] {
		reasons := abac.violations with input as _asks with data.labels as {"sensitive": wrong}
		count(reasons) == 1
	}
}

test_logins_are_asked_for if {
	logins := abac.logins with input as _asks with data.conditions as {"t": {"login": {"max_age": 300}}, "*": {"login": {"acr": ["gold"]}}}
	logins == {{"max_age": 300}, {"acr": ["gold"]}}
	one := abac.logins with input as _asks with data.conditions as {"*": {"roles": ["hr"]}, "t": {"login": {"max_age": 300}}}
	one == {{"max_age": 300}}
	none := abac.logins with input as _asks with data.conditions as {"u": {"login": {"max_age": 300}}}
	none == set()
	by_label := abac.logins with input as {"mcp": {"method": "tools/call", "name": "read", "arguments": {"id": "hr-1"}}}
		with data.labels as _labels
		with data.label_conditions as {"sensitive": {"login": {"max_age": 60}}}
	by_label == {{"max_age": 60}}
}
