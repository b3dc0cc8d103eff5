# METADATA
# title: URLs that point outside
# description: |
#   For an argument that a server fetches. A URL is public if it is `http` or `https`
#   to a name in the DNS, or to a public address in its one plain form. What parsers
#   read differently is refused: user names, backslashes, escapes in the host, numbers
#   as hosts (decimal, octal, hexadecimal, short), addresses of IPv4 within IPv6. So
#   are names that mean a private address: of one label, of private suffixes, and of
#   services that answer with the address in the name. What a public name resolves
#   to, and where it redirects, is not known here: the server's own network must
#   not reach what it should not fetch.
package mcp.urls

# METADATA
# description: Is this a public URL, or a list of such?
are_public(value) if is_public(value)

are_public(value) if {
	is_array(value)
	every url in value { is_public(url) }
}

is_public(url) if {
	is_string(url)
	regex.match(`^https?://[^\x00-\x20\x7f\\/?#@]+(/[^\x00-\x20\x7f\\]*|[?#][^\x00-\x20\x7f\\@]*)?$`, lower(url))
	authority := split(split(split(split(lower(url), "://")[1], "/")[0], "?")[0], "#")[0]
	_is_public_authority(authority)
}

# An IPv6 address in brackets.
_is_public_authority(authority) if {
	regex.match(`^\[[0-9a-f:.]+\](:[0-9]{1,5})?$`, authority)
	address := trim_prefix(split(authority, "]")[0], "[")
	net.cidr_is_valid(sprintf("%s/128", [address]))
	net.cidr_contains("2000::/3", address)
	every network in _special { not net.cidr_contains(network, address) }
}

# Teredo, documentation, 6to4: addresses within addresses, or nobody's.
_special := ["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"]

_is_public_authority(authority) if {
	regex.match(`^([a-z0-9_-]+\.)+[a-z0-9-]+\.?(:[0-9]{1,5})?$`, authority)
	host := trim_suffix(split(authority, ":")[0], ".")
	_is_public_host(host)
}

_is_public_host(host) if {
	regex.match(`^((25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])\.){3}(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])$`, host)
	every network in _private { not net.cidr_contains(network, host) }
}

_is_public_host(host) if {
	regex.match(`\.[a-z][a-z0-9-]*$`, host)
	not regex.match(_private_name, host)
	every pattern in data.mcp.index.guards.private_hosts { not regex.match(pattern, host) }
	not regex.match(`(^|[.-])([0-9]{1,3}[.-]){3}[0-9]{1,3}([.-]|$)`, host)
}

_private := [
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
	"192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
	"224.0.0.0/3",
]

# Suffixes that are private by name, and services whose names hold, or mean, any address.
_private_name := concat("", [
	`(^|\.)(localhost|local|localdomain|internal|intranet|private|corp|home|lan|home\.arpa|in-addr\.arpa|ip6\.arpa|test|invalid|example`,
	`|onion|alt|svc|cluster|nip\.io|sslip\.io|xip\.io|xip\.name|traefik\.me|localtest\.me|lvh\.me|lacolhost\.com|vcap\.me`,
	`|local\.gd|localho\.st|yoogle\.com|1u\.ms|rbndr\.us)$`,
])
