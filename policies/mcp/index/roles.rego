# METADATA
# title: Roles, indexed
# description: Reads data alone, so it is evaluated once, when data is loaded. See mcp.rbac.
package mcp.index.roles

import data.mcp.names

# A role of another form grants nothing.
_roles := {name: role |
	some name, role in data.roles
	is_object(role)
	object.filter(role, _of_roles) == role
	every list in object.filter(role, {"inherits", "at", "tenants", "issuers"}) { is_array(list) }
	limits := object.get(role, "limits", {})
	is_object(limits)
	every by_argument in limits { is_object(by_argument) }
}

_of_roles := {"inherits", "tools", "prompts", "resources", "methods", "limits", "at", "tenants", "issuers"}

grants := names.lists(_roles)

# Each role with all that it inherits, by whatever way.
closure := {name: graph.reachable(_parents, [name]) | some name, _ in _roles}

# The same, of roles that count everywhere, and of those that do not.
anywhere := {name: roles | some name, all in closure; roles := {role | some role in all; not places[role]}}

somewhere := {name: roles | some name, all in closure; roles := {role | some role in all; places[role]}} if count(places) > 0

_parents := {name: [parent | some parent in role.inherits] | some name, role in _roles}

# What the grants of a role demand of arguments, by name of the tool.
limits := {name: by_tool |
	some name, role in _roles
	by_tool := {tool: [{"argument": argument, "kind": "condition", "wanted": wanted} | some argument, wanted in by_argument] |
		some tool, by_argument in role.limits
	}
}

# Where and for whom a role counts, if it does not everywhere.
places := {name: place |
	some name, role in _roles
	place := object.filter(role, ["at", "tenants", "issuers"])
	count(place) > 0
}

# The assignments of each principal, such as `subject:alice`.
assigned[principal] contains {"roles": roles, "place": place} if {
	some assignment in data.assignments
	is_object(assignment)
	object.filter(assignment, _of_assignments) == assignment
	every list in assignment { is_array(list) }
	roles := {role | some given in assignment.roles; some role in closure[given]}
	place := object.filter(assignment, ["at", "tenants", "issuers"])
	some kind, list in {"subject": "subjects", "group": "groups", "client": "clients"}
	some name in assignment[list]
	principal := sprintf("%s:%s", [kind, name])
}

_of_assignments := {"subjects", "groups", "clients", "roles", "at", "tenants", "issuers"}

# Sets of roles of which one identity may use one.
exclusive := [{role | some role in roles} | some roles in data.duties.exclusive] if count(malformed) == 0

# Tools that take a second role.
second := names.table(data.duties.second)

# Duties of another form, under which nothing passes.
malformed contains key if {
	is_object(data.duties)
	some key, duty in data.duties
	not _is_sound(key, duty)
}

_is_sound("second", by_tool) if is_object(by_tool)

_is_sound("exclusive", sets) if {
	is_array(sets)
	every roles in sets { is_array(roles) }
}
