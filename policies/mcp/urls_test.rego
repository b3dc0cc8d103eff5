package mcp.urls_test

import data.mcp.urls

test_a_public_url_is_public if {
	every url in [
		"https://example.com", "https://example.com/", "HTTP://Example.COM:8080/a?b#c", "https://example.com./x",
		"https://example.com/@user", "https://example.com/a?x=10.0.0.1", "https://8.8.8.8/", "http://1.1.1.1:80",
		"https://[2606:4700:4700::1111]/", "https://[2001:4860:4860::8888]:443/x", "https://xn--bcher-kva.example.com/",
		"https://a-b.c1.example.org?x", "https://v1.2.example.com",
	] {
		urls.are_public(url)
	}
	urls.are_public(["https://example.com", "https://example.org"])
	urls.are_public([])
}

test_a_private_address_is_not if {
	every host in [
		"127.0.0.1", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
		"224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "[::1]", "[::]", "[fe80::1]", "[fc00::1]", "[ff02::1]",
		"[2001:db8::1]", "[2001::1]", "[2002:7f00:1::]", "[64:ff9b::7f00:1]",
	] {
		not urls.are_public(sprintf("http://%s/", [host]))
	}
}

test_an_address_in_another_form_is_not if {
	every host in [
		"2130706433", "017700000001", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "127.1", "127.0.1", "10.1", "0", "127.0.0.1.",
		"127.0.0.01", "8.8.8.08", "8.8.2056", "256.256.256.256", "1.2.3.4.5", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
		"[::127.0.0.1]", "[::ffff:8.8.8.8]", "[fe80::1%25eth0]", "[0:0:0:0:0:ffff:10.0.0.1]", "%31%32%37.0.0.1", "127。0。0。1",
		"１２７.0.0.1", "①②⑦.0.0.1",
	] {
		not urls.are_public(sprintf("http://%s/", [host]))
	}
}

test_a_name_of_something_private_is_not if {
	every host in [
		"localhost", "LOCALHOST", "localhost.", "a.localhost", "printer", "printer.local", "metadata.google.internal", "db.svc",
		"db.default.svc.cluster.local", "nas.lan", "x.home.arpa", "10.0.0.1.nip.io", "10-0-0-1.nip.io", "7f000001.nip.io",
		"a.10.0.0.1.nip.io", "127.0.0.1.sslip.io", "localtest.me", "x.lvh.me", "127-0-0-1.example.com", "a.127.0.0.1.example.com",
		"nip.io.", "X.NIP.IO", "1.0.0.127.in-addr.arpa",
	] {
		not urls.are_public(sprintf("http://%s/", [host]))
	}
}

test_what_is_read_in_two_ways_is_not if {
	every url in [
		"http://example.com@127.0.0.1/", "http://127.0.0.1@example.com/", "http://a:b@example.com/", `http://127.0.0.1\@example.com/`,
		`http:\\127.0.0.1`, "http:///127.0.0.1", "http:/127.0.0.1", "http:127.0.0.1", "//example.com", "https://http://example.com",
		"http://example.com#@127.0.0.1/", "http://example.com?@127.0.0.1/", " http://example.com", "http://example.com ",
		"http://exa\nmple.com", "http://exa\tmple.com/", "http://example.com/\u0000", "http://example.com:80:80/",
		"http://example.com:x/", "http://example.com:999999/", "http://..example.com/", "http://example..com/", "http://.example.com",
		"http://[::1]@example.com/", "http://[2606:4700::1/", "http://[2606:4700::1]x/", "ftp://example.com/", "file:///etc/passwd",
		"gopher://example.com/", "javascript:alert(1)", "", "example.com", "http://", 5, null, {"url": "https://example.com"}, [[]],
		["https://example.com", "http://10.0.0.1"],
	] {
		not urls.are_public(url)
	}
}

test_names_that_the_operator_calls_private_are_not if {
	guards := {"private_hosts": ["*.corp.example.com", "git.example.com"]}
	every url in ["https://wiki.corp.example.com/", "https://GIT.example.com./x"] {
		not urls.are_public(url) with data.guards as guards
	}
	urls.are_public("https://www.example.com/") with data.guards as guards
}
