package mcp.paths_test

import data.mcp.paths

test_what_is_below_is_below if {
	every path in [
		"/srv/data", "/srv/data/", "/srv/data/a", "/srv//data/./a", "//srv/data/a", `\srv\data\a`, "/srv/data/..a",
		"/srv/data/a..", "/srv/data/a%20b",
	] {
		paths.are_below(["/other", "/srv/data"], path)
	}
	paths.are_below(["/srv/data/"], ["/srv/data/a", "/srv/data/b"])
	paths.are_below(["notes"], "notes/a")
	paths.are_below(["/"], "/anything")
}

test_what_is_not_below_is_not if {
	every path in [
		"/srv", "/srv/database", "/srv/data2/a", "srv/data/a", "", "/", "x/srv/data", "/SRV/data/a", 5, null, {"a": "/srv/data"},
	] {
		not paths.are_below(["/srv/data"], path)
	}
	not paths.are_below(["/srv/data"], ["/srv/data/a", "/etc"])
	not paths.are_below(["notes"], "/notes/a")
	not paths.are_below([], "/srv/data")
	not paths.are_below("/srv/data", "/srv/data")
	not paths.are_below([5], "/srv/data")
	not paths.are_below(["", ".", "./"], "/srv/data")
}

test_what_may_be_more_than_it_looks_is_below_nothing if {
	every path in [
		"/srv/data/../../etc/passwd", "/srv/data/..", "/srv/data/%2e%2e/etc", "/srv/data/%2E./etc", "/srv/data/..%2fetc",
		"/srv/data/%252e%252e/etc", `/srv/data/..\..\etc`, `/srv/data/..%5cetc`, "/srv/data/a\u0000", "/srv/data/a%00",
		"/srv/data/a\n", "/srv/data/..;/etc", "~/srv/data", "../srv/data",
	] {
		not paths.are_below(["/srv/data", "/", "~", "..", ""], path)
	}
}

test_a_uri_is_in_its_plain_form_or_not if {
	every uri in ["doc://q3", "file:///srv/a.b/c", "doc://a?x=1#y", "doc://{id}"] { paths.is_sound(uri) }
	every uri in ["doc://a/../b", "doc://..", "file:///srv/%2e%2e/etc", `file:///srv\..\etc`, "doc://a/..?x", "doc://a/..#x"] {
		not paths.is_sound(uri)
	}
}
