# METADATA
# title: Relations
# description: |
#   Who may touch what, by tuples `object#relation@subject` as in Zanzibar:
#
#       relations: ["document:q3-report#owner@user:alice"]
#       relation_rules:
#         edit_document: {type: document, argument: id, relation: owner}
#
#   A tool with a rule is denied unless the caller has the relation to the
#   object that the argument names. Names of tools are exact. `user:` is `sub`,
#   which an issuer gives once: on a resource with several issuers theirs must differ.
package mcp.rebac

# METADATA
# description: Has the caller this relation to this object?
related(type, id, relation) if {
	is_string(id)
	tuple := sprintf("%s:%s#%s@user:%s", [type, id, relation, input.identity.subject])
	tuple in data.relations
}

violations contains reason if {
	input.mcp.method == "tools/call"
	rule := data.relation_rules[input.mcp.name]
	not _related(rule)
	reason := _reason(rule)
}

# A rule of its own: negated in place, a call with an argument that is not there
# would be undefined, and so be no violation.
_related(rule) if related(rule.type, input.mcp.arguments[rule.argument], rule.relation)

# Whatever the rule looks like, it has a reason: without one it would be no
# violation.
_reason(rule) := sprintf("%s: only the %s of the %s may", [input.mcp.name, rule.relation, rule.type]) if {
	is_string(rule.relation)
	is_string(rule.type)
} else := sprintf("%s: its relation rule has no type and relation", [input.mcp.name])
