# METADATA
# title: Guards
# description: |
#   What is dangerous whoever asks:
#
#       guards:
#         destructive: {login: {max_age: 300}, roles: [operator], tools: ["drop_*"]}
#         urls: {fetch_page: [url], "web_*": [target]}
#         private_hosts: ["*.corp.example.com"]
#         paths: {read_file: {path: [/srv/data]}}
#
#   A destructive tool needs one of the roles, or a login so fresh; without `login`,
#   one of the roles. Destructive is what `tools` names, and what is pinned with
#   `destructiveHint`; without `tools`, everything that is not pinned as harmless
#   (`readOnlyHint`, or `destructiveHint: false`), as MCP has it. `urls` names
#   arguments that must be public URLs (mcp.urls; `private_hosts` are not), `paths`
#   such as must be below a directory (mcp.paths). A resource whose URI has `..` in it,
#   or an escaped slash, is always refused, as is a subscription to it.
package mcp.guards

import data.mcp.arguments
import data.mcp.names
import data.mcp.paths

# METADATA
# description: Why this message is denied.
violations contains reason if some reason in barred

violations contains reason if {
	data.guards
	some constraint in constraints
	not arguments.met(constraint)
	reason := sprintf("%v: %v", [data.mcp.request.title, constraint.reason])
}

# METADATA
# description: Why no argument helps.
barred contains sprintf("%s: the URI is not in its plain form", [data.mcp.request.title]) if {
	is_string(input.mcp.uri)
	not paths.is_sound(input.mcp.uri)
}

barred contains reason if {
	some uri in input.mcp.uris
	not paths.is_sound(uri)
	reason := sprintf("%s: the URI `%s` is not in its plain form", [data.mcp.request.title, uri])
}

barred contains sprintf("%s: `guards.%s` has another form", [data.mcp.request.title, key]) if {
	data.mcp.index.guards.is_malformed
	some key in data.mcp.index.guards.malformed
}

barred contains sprintf("%v: destroys, which takes one of the roles %v", [data.mcp.request.title, roles]) if {
	data.mcp.index.guards.destructive
	not data.mcp.index.guards.login
	_is_destructive
	not _has_role
	roles := [role | some role in data.mcp.index.guards.destructive.roles]
}

# METADATA
# description: The login that a destructive tool takes.
logins contains data.mcp.index.guards.login if {
	data.mcp.index.guards.destructive
	_is_destructive
	not _has_role
}

_is_destructive if {
	input.mcp.method == "tools/call"
	names.covers(data.mcp.index.guards.destructive.tools, "named", "tools", input.mcp.name)
}

_is_destructive if {
	input.mcp.method == "tools/call"
	input.tool.annotations.destructiveHint == true
	not _is_read_only
}

_is_destructive if {
	input.mcp.method == "tools/call"
	data.mcp.index.guards.destructive.named == false
	not _is_harmless
}

_is_harmless if _is_read_only

_is_harmless if input.tool.annotations.destructiveHint == false

_is_read_only if input.tool.annotations.readOnlyHint == true

_has_role if {
	some role in data.mcp.rbac.held
	role in data.mcp.index.guards.destructive.roles
}

# METADATA
# description: What the guards demand of arguments.
constraints contains constraint if {
	data.mcp.index.guards.urls
	input.mcp.method == "tools/call"
	some list in names.entries(data.mcp.index.guards.urls, input.mcp.name)
	is_array(list)
	some argument in list
	constraint := {
		"argument": argument,
		"kind": "url",
		"wanted": "public",
		"reason": sprintf("`%s` must be a public URL", [argument]),
	}
}

constraints contains constraint if {
	data.mcp.index.guards.paths
	input.mcp.method == "tools/call"
	some by_argument in names.entries(data.mcp.index.guards.paths, input.mcp.name)
	is_object(by_argument)
	some argument, directories in by_argument
	constraint := {
		"argument": argument,
		"kind": "path",
		"wanted": directories,
		"reason": sprintf("`%v` must be a path below one of %v", [argument, directories]),
	}
}

barred contains sprintf("%s: `guards.urls` needs a list of arguments for it", [input.mcp.name]) if {
	data.mcp.index.guards.urls
	input.mcp.method == "tools/call"
	some list in names.entries(data.mcp.index.guards.urls, input.mcp.name)
	not is_array(list)
}

barred contains sprintf("%s: `guards.paths` needs lists of directories by argument for it", [input.mcp.name]) if {
	data.mcp.index.guards.paths
	input.mcp.method == "tools/call"
	some by_argument in names.entries(data.mcp.index.guards.paths, input.mcp.name)
	not is_object(by_argument)
}
