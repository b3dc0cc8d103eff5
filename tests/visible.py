"""Holds `visible` of the bundled policies against `allow` and `deny`: listed, if and only if some call may be allowed.

Makes data at random (CASES=60 SEED=1), asks OPA whether the tool is visible, and tries every combination of the
arguments below. The values cover what the conditions can tell apart, so that "none of them" means "none".
"""

import json
import os
import random
import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path

POLICIES = Path(__file__).parent.parent / "policies" / "mcp"
ABSENT = object()
A = [ABSENT, None, True, 0, 2, 3, 7, "", "q", "q3", "3", "x", "z", "qx", "xx", [], ["q"], ["q", "q"], [2], [2, 2],
     ["x", "x"], {}, {"m": "q"}, {"m": 2}, "https://example.com/", "http://10.0.0.1/", "/srv/a", "/srv", "/etc"]
B = [ABSENT, "q", 7, [], ["q"]]
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


# One module beside the policies: what is asked for each trial.
MODULE = """package trial
allowed := [arguments | some arguments in data.trials; passes(arguments)]
passes(arguments) if {
    data.mcp.authz.allow with input as object.union(input, {"mcp": {"arguments": arguments}})
    denied := data.mcp.authz.deny with input as object.union(input, {"mcp": {"arguments": arguments}})
    count(denied) == 0
}
answer := {"visible": data.mcp.authz.visible, "allowed": allowed}
"""


def main() -> None:
    cases, seed = int(os.environ.get("CASES") or 60), int(os.environ.get("SEED") or 1)
    at = random.Random(seed)
    pairs = [{name: value for name, value in zip("ab", pair) if value is not ABSENT} for pair in product(A, B)]
    seen, wrong = {True: 0, False: 0}, 0
    modules = [str(path) for path in sorted(POLICIES.rglob("*.rego")) if not path.name.endswith("_test.rego")]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "trial.rego").write_text(MODULE)
        for index in range(cases):
            made = case(at)
            (Path(folder) / "data.json").write_text(json.dumps(made["data"] | {"trials": pairs}))
            files = [option for name in [*modules, f"{folder}/trial.rego", f"{folder}/data.json"] for option in ("-d", name)]
            command = ["opa", "eval", *files, "-I", "-f", "raw", "data.trial.answer"]
            asked = subprocess.run(command, input=json.dumps(made["input"]), capture_output=True, text=True, check=True)
            answer = json.loads(asked.stdout)
            seen[answer["visible"]] += 1
            if answer["visible"] != bool(answer["allowed"]):
                wrong += 1
                print(f"case {index} of seed {seed}: visible is {answer['visible']}, allowed are {answer['allowed'][:3]}")
                print(json.dumps(made))
    print(f"visible: {cases} cases, {seen[True]} listed, {seen[False]} not, {wrong} wrong")
    if wrong or not all(seen.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
