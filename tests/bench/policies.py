"""The policies of the benchmark: data of the bundled policies, in sizes.

Each lets an analyst search documents, and nobody else. All but the list's say
something of an argument of the search, so that no answer is remembered for other
arguments.
"""

import json
from fnmatch import fnmatch
from typing import Any

TOOL = "search_documents"
# What the searches look for, and what they may not.
QUERY = "travel"
SECRET = "salaries"
LISTED = [f"tool_{number:02}" for number in range(100)]
# Half of them by name, and some by a glob.
SHOWN = [name for name in LISTED if name < "tool_50" or name >= "tool_90"]
MEGABYTE = 1024 * 1024


def decided(tools: list[str], **more: Any) -> dict[str, Any]:
    """A role with these tools, beside what a small company has."""
    # Limits are of what a role grants.
    limits = {TOOL: {"limit": {"max": 20}}} if any(fnmatch(TOOL, tool) for tool in tools) else {}
    return {
        "roles": {
            "analyst": {"tools": tools, "prompts": ["*"], "resources": ["doc://*"], "limits": limits},
            "hr": {"tools": ["list_documents", "read_payroll"]},
        },
        "relations": ["document:q3-report#owner@user:alice", "document:handbook#owner@user:bob"],
        "relation_rules": {"edit_document": {"type": "document", "argument": "id", "relation": "owner"}},
        "labels": {"pay": {"tools": ["*_payroll"], "arguments": {TOOL: {"query": {"prefix": SECRET}}}}},
        "label_conditions": {"pay": {"roles": ["hr"], "claims": {"device": "managed"}}},
        "tool_scopes": {"edit_document": ["mcp:write"]},
    } | more


def usual() -> dict[str, Any]:
    return decided(["list_documents", TOOL, "read_document"])


def timed() -> dict[str, Any]:
    """The same, at any time of the day. Whether arithmetic on the time can fail is not proven: the interpreter decides."""
    return usual() | {"conditions": {TOOL: {"time": {"hours": "00:00-24:00"}}}}


def grants(count: int) -> dict[str, Any]:
    """Exact names, at most a hundred to a role; the analyst's are the last."""
    names = [f"{what}_{number:05}" for number, what in zip(range(count - 1), ["read_report", "book_room"] * count)] + [TOOL]
    first, last = names[:-100], names[-100:]
    data = decided(last)
    data["roles"] |= {f"role_{at:05}": {"tools": first[at : at + 100]} for at in range(0, len(first), 100)}
    return data


def globs(count: int) -> dict[str, Any]:
    """Globs of one role: a third each of beginnings, ends and others. One of the others matches, the last."""
    forms = ["read_{}_*", "*_{}_report", "a{}_*_by_*"]
    names = [forms[number % 3].format(number) for number in range(count - 1)]
    return decided([*names, "search_*uments"])


def tuples(count: int) -> dict[str, Any]:
    """Who owns what, ten to a person, half of it by way of a folder; bob edits a plan because it lies in his folder."""
    relations = ["document:plan#parent@folder:bobs", "folder:bobs#owner@user:bob"]
    for number in range(count - len(relations)):
        subject = f"folder:f{number // 10}" if number % 2 else f"user:user-{number // 10}"
        relations.append(f"document:d{number:05}#{'parent' if number % 2 else 'owner'}@{subject}")
    types = {"document": {"editor": ["owner", "editor of parent"]}, "folder": {"editor": ["owner"]}}
    rules = {TOOL: {"type": "document", "argument": "within", "relation": "editor"}}
    return decided([TOOL], relations=relations, relation_types=types, relation_rules=rules)


def listed() -> dict[str, Any]:
    """Of a hundred tools an analyst may use sixty."""
    return decided([*(name for name in SHOWN if name < "tool_50"), "tool_9*"])


def megabyte(grants_search: bool) -> dict[str, Any]:
    """A policy of 1 MiB: ten thousand grants, ten thousand tuples, and assignments for the rest."""
    data = grants(10_000) | {name: tuples(10_000)[name] for name in ("relations", "relation_types")}
    if not grants_search:
        data["roles"]["analyst"]["tools"].remove(TOOL)
        del data["roles"]["analyst"]["limits"]
    data["assignments"] = []
    one = {"roles": ["role_00100"], "subjects": ["https://as.example.com/users/00000"], "tenants": ["acme"]}
    # As mcp-gate counts it.
    size, each = (len(json.dumps(value, separators=(",", ":"))) for value in (data, one))
    data["assignments"] = [
        one | {"roles": [f"role_{number % 90 * 100:05}"], "subjects": [f"https://as.example.com/users/{number:05}"]}
        for number in range((MEGABYTE - size) // (each + 1))
    ]
    return data
