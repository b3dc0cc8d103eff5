# METADATA
# title: A company's data
# description: |
#   The story of policies/README.md as data: each rule here is a table of
#   `policy.data`. Finance, people and engineering share a document server; agents act
#   for them, and a contractor helps with one project.
package example.company

roles := {
	"staff": {
		"tools": ["list_documents", "search_documents", "read_document", "edit_document", "share_document", "fetch_page"],
		"limits": {"search_documents": {"limit": {"max": 50}}},
	},
	"finance": {"inherits": ["staff"], "tools": ["propose_budget"]},
	"controller": {"tools": ["approve_budget"]},
	"hr": {"inherits": ["staff"], "tools": ["read_payroll"], "tenants": ["acme"]},
	"operator": {"inherits": ["staff"], "tools": ["delete_document"]},
	"contractor": {"tools": ["list_documents", "read_document"]},
}

# Departments are groups of the directory; who does more is named.
assignments := [
	{"roles": ["finance"], "groups": ["finance"]},
	{"roles": ["hr"], "groups": ["people"]},
	{"roles": ["staff"], "groups": ["engineering"]},
	{"roles": ["controller"], "subjects": ["frank"]},
	{"roles": ["operator"], "subjects": ["erin"]},
	{"roles": ["contractor"], "groups": ["contractors"], "at": ["https://mcp.acme.example/documents"]},
]

# Who proposes a budget does not approve one; who approves is of a department, too.
duties := {
	"exclusive": [["finance", "controller"]],
	"second": {"approve_budget": ["staff"]},
}

relations := [
	"folder:plans#editor@user:alice",
	"document:q3#parent@folder:plans",
	"document:q3#owner@user:bob",
	"document:memo#owner@user:bob",
	"document:salaries#owner@user:carol",
	"document:rollout#owner@user:erin",
	"document:rollout#viewer@group:contractors#member",
	"document:handbook#viewer@user:*",
	"user:bob#manager@user:alice",
]

relation_types := {
	"document": {
		"editor": ["owner", "editor of parent"],
		"viewer": ["editor", "viewer of parent", "manager of owner"],
	},
	"folder": {"viewer": ["editor"]},
	"user": {"manager": ["manager of manager"]},
}

# About tools alone: no role grants resources and prompts, which no relation would be asked about.
relation_rules := {
	"read_document": {"type": "document", "argument": "id", "relation": "viewer"},
	"edit_document": {"type": "document", "argument": "id", "relation": "editor"},
	"share_document": {"type": "document", "argument": "id", "relation": "owner"},
	"delete_document": {"type": "document", "argument": "id", "relation": "owner"},
}

# Pay is for people on managed devices, after a fresh login, and for no agent.
labels := {"pay": {
	"tools": ["read_payroll"],
	"arguments": {"read_document": {"id": {"prefix": "salaries"}}},
}}

label_conditions := {"pay": {
	"groups": ["people"],
	"claims": {"device": "managed"},
	"actor": {"absent": true},
	"login": {"max_age": 900},
}}

# Contractors work on weekdays; whoever is in a department works when they like.
conditions := {
	"*": {
		"time": {"days": ["mon", "tue", "wed", "thu", "fri"], "hours": "08:00-18:00"},
		"unless": {"groups": ["finance", "people", "engineering"]},
	},
	"delete_document": {"actor": {"absent": true}},
}

tool_scopes := {"edit_*": ["mcp:write"], "share_*": ["mcp:write"], "delete_*": ["mcp:write"]}

guards := {
	"destructive": {"tools": ["delete_*"], "login": {"max_age": 300}},
	"urls": {"fetch_page": ["url"]},
	"private_hosts": ["*.acme.example"],
}
