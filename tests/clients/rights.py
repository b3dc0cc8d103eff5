"""Three users with different rights, at the demo server and at server-everything, in both eras.

    rights.py            all of it
    rights.py WORD...    the runs with each word in their name
    rights.py --show     with what each step gave

Each does all that the server has. What a list shows is what may be called; what may be called is as it is without a
gate; what may not is denied, and leaves the client usable. RIGHTS says who may do what, as
rules of the configuration; what follows from it is worked out here, and not by the gate.
"""

import fnmatch
import json
import os
import re
import subprocess
import sys
import time
from functools import partial
from typing import Any, NamedTuple

import node
import pair
from pair import Pair, both, direct, records, token

from harness import Failed, differences, ended, go_through, require

OUT = node.ROOT / "target/rights"
EVERYTHING = node.CLIENTS / "node_modules/@modelcontextprotocol/server-everything/dist/index.js"

Step = tuple[str, str, str, Any]
Rights = dict[str, list[str]]
# The kinds of rights.mjs, and what a rule calls that which they use; the others are a client's own affair.
USES = {
    "tool": "tools",
    "task": "tools",
    "prompt": "prompts",
    "complete-prompt": "prompts",
    "read": "resources",
    "complete-resource": "resources",
    "subscribe": "resources",
}
LISTS = {"tools": "tools", "prompts": "prompts", "resources": "resources", "resourceTemplates": "resources"}

# What a server refuses itself, which has to come through as it is.
FAILS = {"complete for a prompt", "complete for a template", "delete"}
# What differs from run to run, or says where the server is.
VARIES = [
    (r"\b\d{1,2}:\d\d:\d\d\b", "<time>"),
    (r"\b\d{4}-\d\d-\d\dT<time>(\.\d+)?Z", "<time>"),
    (r"\b[0-9a-f]{32}\b", "<id>"),
    (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "<id>"),
    (r"UmVzb3VyY2Ug[A-Za-z0-9+/]+=*", "<base64 of a resource with the time in it>"),
    (r'\\"PORT\\": \\"\d+\\"', "<port>"),
    (r'\\"id\\":\d+', "<id>"),
]


def demo_steps(user: str) -> list[Step]:
    q3 = {"id": "q3-report"}
    complete = {"name": "id", "value": "q"}
    return [
        ("list", "tool", "list_documents", {}),
        ("search", "tool", "search_documents", {"query": "espresso"}),
        ("read", "tool", "read_document", q3),
        ("edit", "tool", "edit_document", {"id": "handbook", "text": f"Written by {user}."}),
        ("share", "tool", "share_document", {"id": "handbook", "with": user}),
        ("payroll", "tool", "read_payroll", {"employee": "bob"}),
        ("prompt", "prompt", "summarize_document", q3),
        ("complete for a prompt", "complete-prompt", "summarize_document", complete),
        ("read the resource", "read", "doc://handbook", None),
        ("read another", "read", "doc://budget", None),
        ("read a third", "read", "doc://q3-report", None),
        ("complete for a template", "complete-resource", "doc://{id}", complete),
        ("delete", "tool", "delete_document", {"id": "nothing"}),
        ("read once more", "tool", "read_document", {"id": "handbook"}),
    ]


def everything_steps(user: str) -> list[Step]:
    static = "demo://resource/static/document"
    dynamic = "demo://resource/dynamic"
    data = "data:text/plain;base64,SGVsbG8="
    resource_id = {"name": "resourceId", "value": "7"}
    steps: list[Step] = [
        ("ping", "ping", "", None),
        ("level", "level", "error", None),
        ("echo", "tool", "echo", {"message": f"Zürich ☃ {user}"}),
        ("annotated", "tool", "get-annotated-message", {"messageType": "error", "includeImage": True}),
        ("environment", "tool", "get-env", {}),
        ("links", "tool", "get-resource-links", {"count": 4}),
        ("reference", "tool", "get-resource-reference", {"resourceType": "Blob", "resourceId": 2}),
        ("roots", "tool", "get-roots-list", {}),
        ("structured", "tool", "get-structured-content", {"location": "Chicago"}),
        ("sum", "tool", "get-sum", {"a": 1.5, "b": -3}),
        ("image", "tool", "get-tiny-image", {}),
        ("gzip", "tool", "gzip-file-as-resource", {"name": "hello.gz", "data": data, "outputType": "resource"}),
        ("logging on", "tool", "toggle-simulated-logging", {}),
        ("logging off", "tool", "toggle-simulated-logging", {}),
        ("updates on", "tool", "toggle-subscriber-updates", {}),
        ("updates off", "tool", "toggle-subscriber-updates", {}),
        ("elicit", "tool", "trigger-elicitation-request", {}),
        ("elicit by URL", "tool", "trigger-url-elicitation", {"url": "https://example.com/login"}),
        ("sample", "tool", "trigger-sampling-request", {"prompt": "What is the answer?"}),
        ("long", "tool", "trigger-long-running-operation", {"duration": 0.2, "steps": 2}),
        ("prompt", "prompt", "simple-prompt", {}),
        ("prompt with arguments", "prompt", "args-prompt", {"city": "Bern", "state": "BE"}),
        ("prompt to complete", "prompt", "completable-prompt", {"department": "Sales", "name": "Eve"}),
        ("prompt with a resource", "prompt", "resource-prompt", {"resourceType": "Text", "resourceId": "3"}),
        ("complete", "complete-prompt", "completable-prompt", {"name": "department", "value": "S"}),
        ("complete a type", "complete-prompt", "resource-prompt", {"name": "resourceType", "value": "T"}),
        *(
            (f"complete a {kind} uri", "complete-resource", f"{dynamic}/{kind}/{{resourceId}}", resource_id)
            for kind in ("text", "blob")
        ),
        ("text", "read", f"{dynamic}/text/1", None),
        ("blob", "read", f"{dynamic}/blob/1", None),
        ("what was compressed", "read", "demo://resource/session/hello.gz", None),
        ("subscribe", "subscribe", f"{static}/features.md", None),
    ]
    files = sorted(file.name for file in (EVERYTHING.parent / "docs").iterdir())
    return steps + [(f"document {name}", "read", f"{static}/{name}", None) for name in files]


# It takes a second and more for each of its four stages, and only this client knows tasks.
TASK: Step = ("research", "task", "simulate-research-query", {"topic": "python"})


class Tried(NamedTuple):
    """A server, who may do what there, and in which modes of the client."""

    server: pair.Server
    steps: Any
    rights: dict[str, Rights]
    versions: dict[str, str]


ANY = {"tools": ["*"], "prompts": ["*"], "resources": ["*"]}
TRIED = {
    "demo server": Tried(
        lambda port: ([sys.executable, str(node.ROOT / "envoy/demo/server.py"), "--port", str(port)], {}),
        demo_steps,
        {
            "ann": ANY,
            "ben": {"tools": ["list_*", "search_documents", "read_document"], "resources": ["doc://*"]},
            "cat": {"tools": ["read_payroll"], "prompts": ["summarize_*"], "resources": ["doc://handbook"]},
        },
        {"auto": "2026-07-28", "legacy": "2025-11-25"},
    ),
    "server-everything": Tried(
        lambda port: ([node.harness.node(), str(EVERYTHING), "streamableHttp"], {"PORT": str(port)}),
        everything_steps,
        {
            "ann": ANY,
            "ben": {
                "tools": ["get-*", "*-request", "*-as-*"],
                "prompts": ["*-prompt"],
                "resources": ["demo://resource/static/*", "demo://resource/dynamic/text/*"],
            },
            "cat": {"tools": ["echo", "simulate-*"], "prompts": ["args-prompt"]},
        },
        {"auto": "2025-11-25", "v1": "2025-11-25"},
    ),
}


# What a client answers when a server asks, and what it asks about the tasks that it was permitted to begin.
ANSWERS = {"allow": {"methods": ["response", "tasks/*"]}}


def policy(rights: dict[str, Rights]) -> dict[str, Any]:
    rules = [
        {"allow": {kind: globs, "subjects": [user]}} for user, kinds in rights.items() for kind, globs in kinds.items()
    ]
    return {"rules": [ANSWERS, *rules]}


def may(rights: Rights, kind: str, name: str) -> bool:
    return any(fnmatch.fnmatchcase(name, glob) for glob in rights.get(kind, []))


def done(url: str, mode: str, token: str, steps: list[Step]) -> dict[str, Any]:
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    ran = subprocess.run(
        node.command("rights.mjs", url, mode),
        cwd=node.ROOT,
        env=environment | {"TOKEN": token},
        input=json.dumps(steps),
        capture_output=True,
        text=True,
        timeout=60,
    )
    if ran.returncode != 0:
        raise Failed(f"ended with status {ran.returncode}:\n{ran.stdout[-2000:]}{ran.stderr[-2000:]}")
    text = ran.stdout
    for pattern, name in VARIES:
        text = re.sub(pattern, name, text)
    return json.loads(text)


def fails(result: dict[str, Any]) -> bool:
    return "error" in result or bool(result.get("isError"))


def problems(stack: Pair, tried: Tried, user: str, mode: str, show: bool) -> tuple[str, list[str]]:
    rights = tried.rights[user]
    steps = tried.steps(user) + ([TASK] if mode == "v1" else [])
    denied = {name for name, kind, what, _ in steps if kind in USES and not may(rights, USES[kind], what)}
    before = len(records(stack))
    alone, gated = both(
        # What is denied does not reach the server: so nor may it the other one, whose documents change.
        lambda: done(direct(stack), mode, "none", [step for step in steps if step[0] not in denied]),
        lambda: done(stack.url, mode, token(stack, user), steps),
    )
    said = json.loads(json.dumps(alone["steps"]).replace("somebody unverified", user))
    seen = records(stack)[before:]
    if show:
        for name, result in gated["steps"].items():
            print(f"    {name}: {json.dumps(result, ensure_ascii=False)[:200]}")
    expectations: list[tuple[str, Any, Any]] = [
        ("version", [tried.versions[mode]] * 2, [alone["version"], gated["version"]]),
        ("denied", denied, {name for name, result in gated["steps"].items() if "denied" in result}),
        ("codes", {"policy_denied"} if denied else set(), {gated["steps"][name].get("denied") for name in denied}),
        ("records of denials", len(denied), sum(record["decision"] == "deny" for record in seen)),
        ("subjects of records", {user}, {record.get("subject") for record in seen}),
    ]
    expectations += [(name, result, gated["steps"].get(name)) for name, result in said.items()]
    listed = 0
    for when in ("before", "after"):
        for member, kind in LISTS.items():
            shown = [name for name in alone[when][member] if may(rights, kind, name)]
            expectations.append((f"{member} listed {when}", shown, gated[when][member]))
            listed += len(shown)
    hidden = sum(len(alone[when][member]) for when in ("before", "after") for member in LISTS) - listed
    expectations.append(("entries that the records say were hidden", hidden, sum(r.get("hidden") or 0 for r in seen)))
    # Whatever the server has is tried, and what is tried is there.
    for member, kind in LISTS.items():
        used = {what for _, step, what, _ in [*steps, TASK] if USES.get(step) == kind}
        left = [name for name in alone["after"][member] if name not in used]
        expectations.append((f"{member} that no step uses", [], left))
    failed = {name for name, result in said.items() if isinstance(result, dict) and fails(result)}
    expectations.append(("steps that fail without a gate", FAILS.intersection(said), failed))
    note = f"{len(said)} steps as without a gate, {len(denied)} denied, {listed} listed, {hidden} hidden"
    return note, differences(expectations)


def main() -> int:
    words = [word for word in sys.argv[1:] if word != "--show"]
    show = "--show" in sys.argv[1:]
    require(EVERYTHING, "python3 tests/setup.py clients")
    begin = time.monotonic()
    failed = ran = 0
    for server, tried in TRIED.items():
        names = {
            f"{user} at the {server} ({mode}, {version})": (user, mode)
            for mode, version in tried.versions.items()
            for user in tried.rights
        }
        names = {name: run for name, run in names.items() if all(word in name for word in words)}
        if not names:
            continue
        notes: dict[str, str] = {}

        def trial(name: str, user: str, mode: str) -> list[str]:
            notes[name], found = problems(stack, tried, user, mode, show)
            return found

        with pair.running(OUT, server=tried.server, policy=policy(tried.rights)) as stack:
            trials = {name: partial(trial, name, *run) for name, run in names.items()}
            failed += go_through(trials, stack.log("envoy"), lambda name: f": {notes.get(name, '')}")
        ran += len(names)
    print(f"rights: {ran} runs, {failed} failed ({time.monotonic() - begin:.1f} s)")
    return 1 if failed or not ran else 0


if __name__ == "__main__":
    sys.exit(ended(main))
