# METADATA
# title: Guards, indexed
# description: Reads data alone, so it is evaluated once, when data is loaded. See mcp.guards.
package mcp.index.guards

import data.mcp.names

urls := names.table(data.guards.urls)

paths := names.table(data.guards.paths)

private_hosts := names.patterns([name | is_array(data.guards.private_hosts); some name in data.guards.private_hosts; is_string(name)])

# What a destructive tool takes.
destructive := {
	"named": is_array(object.get(data.guards.destructive, "tools", null)),
	"tools": names.lists({"named": data.guards.destructive}),
	"roles": {role |
		is_array(data.guards.destructive.roles)
		some role in data.guards.destructive.roles
	},
} if {
	is_object(data.guards.destructive)
}

login := data.guards.destructive.login

# What is there and has another form: then nothing passes.
malformed contains key if {
	is_object(data.guards)
	some key, _ in data.guards
	not _is_sound(key)
}

malformed contains "guards" if {
	data.guards != null
	not is_object(data.guards)
}

is_malformed if count(malformed) > 0

_is_sound("private_hosts") if {
	is_array(data.guards.private_hosts)
	every name in data.guards.private_hosts { is_string(name) }
}

_is_sound(key) if {
	key in {"urls", "paths"}
	is_object(data.guards[key])
}

_is_sound("destructive") if {
	is_object(data.guards.destructive)
	object.keys(data.guards.destructive) - {"login", "roles", "tools"} == set()
	is_array(object.get(data.guards.destructive, "roles", []))
	is_array(object.get(data.guards.destructive, "tools", []))
	every login in object.filter(data.guards.destructive, {"login"}) { _is_login(login) }
}

# What asks for nothing would let everybody through.
_is_login(login) if {
	is_object(login)
	count(login) > 0
	every key, value in login { _asks(key, value) }
}

_asks("max_age", age) if {
	is_number(age)
	age >= 0
	floor(age) == age
}

_asks("acr", values) if {
	is_array(values)
	count(values) > 0
	every value in values { is_string(value) }
}
