"""What the official SDK clients can do, done direct and through the gate, in both eras: the results must be equal.

    repertoire.py                 every client
    repertoire.py WORD...         those with each word in their name
    repertoire.py --show WORD...  the same, with what each step gave

Each client goes through its steps and says what came of each. A step that fails without the gate fails here, too, but
for those named `refused`, which have to: else a client that can do nothing would be equal to itself.
"""

import json
import os
import re
import subprocess
import sys
import time
from functools import partial
from typing import Any

import node
from pair import SUBJECT, Pair, both, direct, records, running, token

from harness import Failed, ended, go_through, require

OUT = node.ROOT / "target/repertoire"
MODERN, LEGACY = "2026-07-28", "2025-11-25"
# The program, its mode, the client that it says it is, the version that it must end up with, and the least number of
# its steps.
RUNS = [
    ("typescript", "auto", "@modelcontextprotocol/client 2.4.0", MODERN, 34),
    ("typescript", "legacy", "@modelcontextprotocol/client 2.4.0", LEGACY, 38),
    ("typescript", "v1", "@modelcontextprotocol/sdk 1.32.2", LEGACY, 43),
    ("python", "auto", "python mcp 2.3.0", MODERN, 34),
    ("python", "legacy", "python mcp 2.3.0", LEGACY, 37),
    ("rust", "auto", "rmcp 3.11.0", MODERN, 37),
    ("rust", "legacy", "rmcp 3.11.0", LEGACY, 36),
    ("go", "auto", "go-sdk v1.8.0", MODERN, 36),
    ("go", "legacy", "go-sdk v1.8.0", LEGACY, 38),
]
BUILT = {"go": node.CLIENTS / "go-client", "rust": node.CLIENTS / "rust/debug/mcp-gate-client"}
# What differs from run to run: instants, and identifiers of tasks.
VARIES = [(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "<time>"), (r"\b[0-9a-f]{32}\b", "<id>")]


def command(program: str) -> list[str]:
    """What stands before the URL and the mode."""
    if program == "typescript":
        return node.command("client.mjs")
    if program == "python":
        return [sys.executable, str(node.HERE / "client.py")]
    require(BUILT[program], f"python3 tests/setup.py {program}-client")
    return [str(BUILT[program])]


def transcript(command: list[str], url: str, mode: str, token: str) -> dict[str, Any]:
    # A proxy that the machine has is no part of this, whoever asks it about loopback.
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    done = subprocess.run(
        [*command, url, mode],
        cwd=node.ROOT,
        env=environment | {"TOKEN": token},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    if done.returncode != 0:
        raise Failed(f"ended with status {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    text = done.stdout
    for pattern, name in VARIES:
        text = re.sub(pattern, name, text)
    return json.loads(text)


def wrong_alone(found: dict[str, Any], client: str, version: str, least: int) -> list[str]:
    """What is not as it should be without any gate: nothing can be compared with that."""
    problems = [
        f"{what}: expected {expected}, found {actual}"
        for what, expected, actual in [("client", client, found["client"]), ("version", version, found["version"])]
        if expected != actual
    ]
    for name, result in found["steps"].items():
        error = isinstance(result, dict) and "error" in result
        if error != name.startswith("refused"):
            problems.append(f"{name}: {'failed' if error else 'was not refused'}: {json.dumps(result)[:300]}")
    if len(found["steps"]) < least:
        problems.append(f"expected at least {least} steps, found {len(found['steps'])}")
    return problems


def compare(stack: Pair, run: tuple[str, str, str, str, int], show: bool) -> tuple[int, list[str]]:
    """One client both ways: the number of its steps, and what is wrong."""
    program, mode, client, version, least = run
    before = len(records(stack))
    alone, gated = both(
        lambda: transcript(command(program), direct(stack), mode, token(stack)),
        lambda: transcript(command(program), stack.url, mode, token(stack)),
    )
    problems = wrong_alone(alone, client, version, least)
    seen = records(stack)[before:]
    here, there = alone["steps"], gated["steps"]
    for name in here | there:
        if show:
            print(f"    {name}: {json.dumps(there.get(name), ensure_ascii=False)[:300]}")
        if here.get(name) != there.get(name):
            one, other = (json.dumps(found.get(name))[:400] for found in (here, there))
            problems.append(f"{name}\n    direct  {one}\n    gate    {other}")
    # It went through the gate indeed, as this subject, and the gate had nothing against any of it.
    if len(seen) < len(here) or {record.get("subject") for record in seen} != {SUBJECT}:
        problems.append(f"expected a record of {SUBJECT} for each request, found {len(seen)}")
    refused = [record for record in seen if record.get("decision") != "permit"]
    problems += [f"the gate refused: {json.dumps(record)[:400]}" for record in refused]
    return len(here), problems


def main() -> int:
    words = [word for word in sys.argv[1:] if word != "--show"]
    runs = [run for run in RUNS if all(word in " ".join(run[:4]) for word in words)]
    begin = time.monotonic()
    steps: dict[str, int] = {}

    def trial(name: str, run: tuple[str, str, str, str, int]) -> list[str]:
        steps[name], problems = compare(stack, run, "--show" in sys.argv[1:])
        return problems

    with running(OUT) as stack:
        named = {f"{run[2]} ({run[1]}, {run[3]})": run for run in runs}
        trials = {name: partial(trial, name, run) for name, run in named.items()}
        failed = go_through(trials, stack.log("envoy"), lambda name: f": {steps.get(name, 0)} steps")
    print(f"repertoire: {len(runs)} clients, {sum(steps.values())} steps direct and through the gate, {failed} clients "
          f"differ ({time.monotonic() - begin:.1f} s)")
    return 1 if failed or not runs else 0


if __name__ == "__main__":
    sys.exit(ended(main))
