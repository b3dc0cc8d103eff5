package mcp.guards_test

import data.mcp.guards

_guards := {
	"destructive": {"login": {"max_age": 300}, "roles": ["operator"]},
	"urls": {"fetch": ["url"], "web_*": ["target"]},
	"paths": {"read_file": {"path": ["/srv/data"]}},
}

_asks(roles, name, arguments, annotations) := {
	"identity": {"roles": roles},
	"mcp": {"method": "tools/call", "name": name, "arguments": arguments},
	"tool": {"annotations": annotations},
}

_logins(data_of_guards, asks) := logins if {
	logins := guards.logins with input as asks with data.guards as data_of_guards with data.roles as {"operator": {}}
}

_violations(data_of_guards, asks) := reasons if {
	reasons := guards.violations with input as asks with data.guards as data_of_guards with data.roles as {"operator": {}}
}

test_what_may_destroy_takes_a_fresh_login_or_a_role if {
	every annotations in [{}, {"destructiveHint": true}, {"readOnlyHint": false}, {"destructiveHint": "false"}] {
		_logins(_guards, _asks([], "drop", {}, annotations)) == {{"max_age": 300}}
		_logins(_guards, _asks(["operator"], "drop", {}, annotations)) == set()
	}
	_logins(_guards, {"identity": {"roles": []}, "mcp": {"method": "tools/call", "name": "unknown"}}) == {{"max_age": 300}}
	_violations(_guards, _asks([], "drop", {}, {})) == set()
}

test_a_login_that_asks_for_nothing_lets_nobody_through if {
	every login in [{}, {"maxage": 300}, {"max_age": "300"}, {"max_age": -1}, {"acr": []}, {"acr": "gold"}, 300, null] {
		reasons := _violations({"destructive": {"login": login}}, _asks(["operator"], "read", {}, {}))
		reasons == {"read: `guards.destructive` has another form"}
	}
	every login in [{"max_age": 0}, {"acr": ["gold"]}, {"max_age": 300, "acr": ["gold"]}] {
		_violations({"destructive": {"login": login}}, _asks([], "read", {}, {})) == set()
	}
}

test_what_is_pinned_as_harmless_does_not if {
	every annotations in [{"readOnlyHint": true}, {"destructiveHint": false}, {"readOnlyHint": true, "destructiveHint": true}] {
		_logins(_guards, _asks([], "read", {}, annotations)) == set()
	}
	_logins(_guards, {"identity": {"roles": []}, "mcp": {"method": "prompts/get", "name": "drop"}}) == set()
	_logins({"urls": {}}, _asks([], "drop", {}, {"destructiveHint": true})) == set()
}

test_destructive_tools_may_be_named if {
	named := {"destructive": {"login": {"max_age": 300}, "tools": ["drop_*"]}}
	_logins(named, _asks([], "drop_table", {}, {"readOnlyHint": true})) == {{"max_age": 300}}
	_logins(named, _asks([], "other", {}, {"destructiveHint": true})) == {{"max_age": 300}}
	_logins(named, _asks([], "other", {}, {})) == set()
}

test_without_a_login_it_takes_a_role if {
	strict := {"destructive": {"roles": ["operator"]}}
	count(_violations(strict, _asks([], "drop", {}, {}))) == 1
	_violations(strict, _asks(["operator"], "drop", {}, {})) == set()
	_violations(strict, _asks([], "read", {}, {"readOnlyHint": true})) == set()
}

test_a_url_must_be_public if {
	_violations(_guards, _asks([], "fetch", {"url": "https://example.com/"}, {})) == set()
	_violations(_guards, _asks([], "fetch", {}, {})) == set()
	_violations(_guards, _asks([], "fetch", {"other": "http://10.0.0.1"}, {})) == set()
	count(_violations(_guards, _asks([], "fetch", {"url": "http://169.254.169.254/latest"}, {}))) == 1
	count(_violations(_guards, _asks([], "fetch", {"url": {"href": "https://example.com"}}, {}))) == 1
	count(_violations(_guards, _asks([], "web_get", {"target": ["https://example.com", "http://[::1]/"]}, {}))) == 1
}

test_a_path_must_be_below if {
	_violations(_guards, _asks([], "read_file", {"path": "/srv/data/a"}, {})) == set()
	_violations(_guards, _asks([], "read_file", {}, {})) == set()
	count(_violations(_guards, _asks([], "read_file", {"path": "/srv/data/../../etc/passwd"}, {}))) == 1
	count(_violations(_guards, _asks([], "read_file", {"path": 5}, {}))) == 1
}

test_a_uri_in_another_form_is_refused_without_any_data if {
	every uri in ["file:///srv/../etc/passwd", "file:///srv/%2e%2e/etc/passwd"] {
		count(_violations({}, {"mcp": {"method": "resources/read", "uri": uri}})) == 1
	}
	_violations({}, {"mcp": {"method": "resources/read", "uri": "doc://q3"}}) == set()
}

test_guards_of_another_form_let_nothing_pass if {
	every wrong in [
		{"url": {}}, {"urls": ["fetch"]}, {"urls": {"fetch": "url"}}, {"paths": {"fetch": ["path"]}}, {"paths": {"fetch": {"url": "/srv"}}},
		{"destructive": true}, {"destructive": {"role": ["x"]}}, {"destructive": {"roles": "x"}}, {"destructive": {"tools": "x"}},
		{"destructive": {"login": 300}}, {"private_hosts": "x"}, {"private_hosts": [5]}, [], "x", 5,
	] {
		count(_violations(wrong, _asks(["operator"], "fetch", {"url": "https://example.com"}, {"readOnlyHint": true}))) > 0
	}
}

test_each_uri_of_a_subscription_is_in_its_plain_form if {
	every uri, count_of in {"file:///srv/a": 0, "file:///srv/..%2Fb": 1} {
		mcp := {"method": "subscriptions/listen", "uris": ["doc://a", uri]}
		reasons := guards.violations with input as {"identity": {"roles": []}, "mcp": mcp}
		count(reasons) == count_of
	}
}
