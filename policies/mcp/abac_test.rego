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
