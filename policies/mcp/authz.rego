# METADATA
# title: Any mix of roles, relations, attributes and scopes
# description: |
#   The policy of a gate that is given data and no Rego. A role must grant the
#   message; relations and attributes may take it away again; scopes may be
#   asked for. What `policy.data` says nothing about is denied.
# entrypoint: true
package mcp.authz

import data.mcp.abac
import data.mcp.rbac
import data.mcp.rebac
import data.mcp.scopes as oauth

default allow := false

allow if rbac.granted

deny contains reason if some reason in rebac.violations

deny contains reason if some reason in abac.violations

scopes contains scope if some scope in oauth.needed
