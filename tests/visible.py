"""Holds `visible` of the bundled policies against `allow` and `deny`: listed, if and only if some call may be allowed.

Makes rules and data at random (CASES=120 SEED=1), asks OPA whether the entry is visible, and tries every combination
of the arguments below. The values cover what the conditions can tell apart, so that "none of them" means "none". What
asks for scopes or a login may be allowed, for these can be had.
"""

import json
import os
import random
import sys
from itertools import product
from pathlib import Path

from opa import serving

POLICIES = Path(__file__).parent.parent / "policies" / "mcp"
ABSENT = object()
A = [ABSENT, None, True, 0, 2, 3, 7, "", "q", "q3", "3", "x", "z", "qx", "xx", [], ["q"], ["q", "q"], [2], [2, 2],
     ["x", "x"], {}, {"m": "q"}, {"m": 2}, 1, 2.5, 3.5, 8, "qx3", "q3x", [3], [3, 3], ["q", 3], {"m": 3}, "https://example.com/", "http://10.0.0.1/", "/srv/a", "/srv", "/etc"]
B = [ABSENT, "q", "x", 7, [], ["q"], ["q", "x"]]
CONDITIONS = [
    "q", 7, None, ["q", "x"], [2, "z"], {"in": ["q3", "x", 2]}, {"equals": "q3"}, {"prefix": "q"}, {"glob": "*3"},
    {"prefix": "/srv"}, {"glob": "q*"}, {"min": 2}, {"max": 3}, {"min": 3, "max": 2}, {"min": 2, "max": 7},
    {"absent": True}, {"size": {"min": 2}}, {"size": {"max": 1}}, {"size": {"min": 2}, "prefix": "q"},
    {"each": ["q", 2]}, {"each": {"min": 2}, "size": {"min": 2}}, {"any": ["q", 2]}, {"any": 2, "each": {"min": 1}}, {"members": {"m": ["q", 2]}},
    {"members": {"m": {"absent": True}}}, {}, {"nothing": 1},
]  # fmt: skip
OF_B = ["q", ["q", "x"], {"min": 2}, {"absent": True}, {"each": ["q"]}, {"any": "q"}, {}]


def by_argument(at: random.Random) -> dict:
    pools = {"a": CONDITIONS, "b": OF_B}
    return {name: at.choice(pools[name]) for name in at.sample("ab", at.choice([0, 1, 1, 2]))}


def case(at: random.Random) -> dict:
    maybe = lambda share: at.random() < share  # noqa: E731
    data: dict = {"roles": {}}
    for role in "rs":
        data["roles"][role] = {"tools": [at.choice(["t", "t", "*", "u"])], "limits": {"t": by_argument(at)}}
    if maybe(0.3):
        data["roles"]["r"]["inherits"] = ["s"]
    if maybe(0.3):
        data["duties"] = at.choice([{"exclusive": [["r", "s"]]}, {"second": {"t": ["s"]}}])
    if maybe(0.5):
        entry: dict = {"arguments": by_argument(at)}
        entry |= at.choice([{}, {}, {"roles": ["r"]}, {"grants": True}, {"login": {"max_age": 1}}, {"annotations": {"x": 1}}])
        data["conditions"] = {at.choice(["t", "*"]): entry}
    if maybe(0.4):
        data["relations"] = [f"doc:{id}#owner@user:{at.choice(['alice', 'bob'])}" for id in at.sample(["q", "q3", "x"], 2)]
        rule = {"type": "doc", "argument": "a", "relation": at.choice(["owner", "editor"]), "grants": maybe(0.3)}
        data["relation_types"] = {"doc": {"editor": ["owner"]}}
        data["relation_rules"] = {"t": rule}
    if maybe(0.3):
        data["labels"] = {"l": at.choice([{"tools": ["t"]}, {"arguments": {"t": by_argument(at)}}])}
        data["label_conditions"] = {"l": at.choice([{"roles": ["s"]}, {"subjects": ["alice"]}, {"login": {"max_age": 1}}])}
    if maybe(0.3):
        data["guards"] = at.choice([
            {"urls": {"t": ["a"]}}, {"paths": {"t": {"a": ["/srv"]}}}, {"paths": {"t": {"b": []}}},
            {"destructive": {"roles": ["s"]}}, {"destructive": {"login": {"max_age": 1}}}, {"urls": {"t": "a"}},
        ])  # fmt: skip
    identity = {"subject": at.choice(["alice", "bob"]), "roles": at.choice([["r"], ["r", "s"], ["s"], []]), "groups": []}
    question = {"identity": identity | {"claims": {}}, "mcp": {"kind": "request", "method": "tools/call", "name": "t"}}
    if maybe(0.3):
        question["tool"] = {"annotations": {"readOnlyHint": True}}
    return {"data": data, "input": question}


OF_RULES = [condition for condition in CONDITIONS if condition not in ({}, {"nothing": 1})]
# What else a rule can name: some of it is so in every question, some in none.
KEYS: dict[str, list] = {
    "methods": [["tools/*"], ["*"], ["prompts/get", "resources/*"], ["response"]],
    "subjects": [["alice"], ["b*"], ["carol"]], "clients": [["agent"], ["web"]], "issuers": [["https://as*"], ["x"]],
    "roles": [["r"], ["s", "u"], ["*"]], "groups": [["eu"], ["u*"]], "tenants": [["acme"], ["b"]],
    "claims": [{"device": "managed"}, {"device": {"absent": True}}, {"level": {"min": 2}}, {"tags": {"any": "x"}}],
    "annotations": [{"readOnlyHint": True}, {"readOnlyHint": {"absent": True}}],
    "sources": [["10.0.0.0/8"], ["192.168.0.0/16", "2001:db8::/32"]], "principals": [["spiffe://corp/*"], ["y"]],
    "time": [{"days": ["mon"]}, {"days": ["tue"]}, {"hours": ["00:00-12:00"]}, {"hours": ["12:00-24:00"]}],
}  # fmt: skip
NAMES = {"tools": ["t", "t*", "*", "u"], "prompts": ["t", "*"], "resources": ["doc://a", "doc://*", "doc://b"]}


def part(at: random.Random, has_names: bool, scopes: str) -> dict:
    """The keys of a rule, or of its exception."""
    made: dict = {}
    if has_names:
        kind = at.choice(["tools", "tools", "tools", "tools", "prompts", "resources", ""])
        if kind:
            made[kind] = at.sample(NAMES[kind], at.choice([1, 1, 2]))
    for key in at.sample(sorted(KEYS), at.choice([0, 0, 0, 1, 1, 2])):
        made[key] = at.choice(KEYS[key])
    if at.random() < 0.6:
        pools = {"a": OF_RULES, "b": [condition for condition in OF_B if condition != {}]}
        made["arguments"] = {name: at.choice(pools[name]) for name in at.sample("ab", at.choice([1, 1, 2]))}
    if at.random() < 0.1:
        made["scopes"] = [scopes]
    return made or {"methods": ["*"]}


def rules(at: random.Random) -> list[dict]:
    """An `allow` at least, most often with denials of the same arguments beside it."""
    made = []
    for effect in ["allow", *at.choices(["allow", "deny", "deny"], k=at.choice([0, 1, 1, 2, 3]))]:
        match = part(at, True, "read" if effect == "allow" else "write")
        if effect == "allow" and at.random() < 0.1:
            match["login"] = {"max_age": 300}
        if at.random() < 0.3:
            match["unless"] = part(at, False, "write")
        if effect == "deny" and at.random() < 0.3 and "arguments" in made[0]["allow"]:
            match["arguments"] = made[0]["allow"]["arguments"]
        made.append({effect: match})
    return made


def ruled(at: random.Random) -> dict:
    """A case with rules, and sometimes with tables of the other models beside them."""
    made = case(at)
    if at.random() < 0.7:
        made["data"] = {}
    made["data"]["rules"] = rules(at)
    asked = made["input"]
    asked["identity"] |= {
        "issuer": "https://as.example.com", "client_id": at.choice(["agent", "web"]), "scopes": at.choice([[], ["write"]]),
        "groups": at.choice([[], ["eu"], ["us"]]), "tenant": at.choice(["acme", "b"]),
        "claims": at.choice([{}, {"device": "managed"}, {"level": 3, "tags": ["x"]}]),
    }  # fmt: skip
    asked["http"] = {"source": at.choice([{"address": "10.1.2.3", "principal": "spiffe://corp/a"}, {"address": "192.0.2.1"}, {}])}
    asked["time"] = {"unix": 1795392000 + at.choice([0, 50000, 100000])}
    other = at.random()
    if other < 0.1:
        asked["mcp"]["method"] = "prompts/get"
    elif other < 0.2:
        asked["mcp"] = {"kind": "request", "method": "resources/read", "uri": at.choice(["doc://a", "doc://b"])}
    return made


# One module beside the policies: what is asked for each trial.
MODULE = """package trial
allowed := [arguments | some arguments in data.trials; passes(arguments)]
passes(arguments) if {
    called := object.union(input, {"mcp": {"arguments": arguments}})
    reaches(called)
    denied := data.mcp.authz.deny with input as called
    count(denied) == 0
}
reaches(called) if data.mcp.authz.allow with input as called
reaches(called) if {
    asked := data.mcp.rules.scopes with input as called
    count(asked) > 0
}
reaches(called) if data.mcp.rules.step_up with input as called
answer := {"visible": data.mcp.authz.visible, "allowed": allowed}
"""


def main() -> None:
    cases, seed = int(os.environ.get("CASES") or 120), int(os.environ.get("SEED") or 1)
    at = random.Random(seed)
    pairs = [{name: value for name, value in zip("ab", pair) if value is not ABSENT} for pair in product(A, B)]
    seen, wrong = {True: 0, False: 0}, 0
    modules = [path for path in sorted(POLICIES.rglob("*.rego")) if not path.name.endswith("_test.rego")]
    with serving("opa", modules) as server:
        server.tell("PUT", "/v1/policies/trial", MODULE.encode())
        for index in range(cases):
            made = (ruled if index % 4 else case)(at)
            server.tell("PUT", "/v1/data", made["data"] | {"trials": pairs})
            answer = json.loads(server.tell("POST", "/v1/data/trial/answer", {"input": made["input"]}))["result"]
            seen[answer["visible"]] += 1
            if answer["visible"] != bool(answer["allowed"]):
                wrong += 1
                print(f"case {index} of seed {seed}: visible is {answer['visible']}, allowed are {answer['allowed'][:3]}")
                print(json.dumps(made))
    print(f"visible: {cases} cases, {seen[True]} listed, {seen[False]} not, {wrong} wrong")
    if wrong or not all(count * 5 > cases for count in seen.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
