"""The official SDK clients, in both protocol eras, through a real Envoy with the gate, to the demo server.

    run.py              every client
    run.py --func-e     one of them, with Envoy started by func-e

Each connects, lists tools, calls one, reads a resource, gets a prompt, is denied a call with the error that its
user should see, and calls again on the same connection. The server's log proves what arrived.
"""

import json
import os
import subprocess
import sys
import time
from functools import partial
from typing import Any

import node

import lay_out
from calls import headers_of
from harness import differences, ended, go_through
from stack import Stack, arrived, running

OUT = node.ROOT / "target/clients-run"
MODERN, LEGACY = "2026-07-28", "2025-11-25"
TEXT = "Be kind. Write things down."
# What the caller may call: the server has seven.
TOOLS = ["list_documents", "read_document", "search_documents"]

# What is run; the client it says it is; the version it must end up with; how its user sees a 403 with a JSON-RPC body
# (mcp-wire.md, section 1.8, row A).
RUNS: list[tuple[list[str], str, str, dict[str, Any]]] = [
    (["python", "auto"], "python mcp 2.3.0", MODERN, {"class": "MCPError"}),
    (["python", "legacy"], "python mcp 2.3.0", LEGACY, {"class": "MCPError"}),
    (["node", "auto"], "@modelcontextprotocol/client 2.4.0", MODERN, {"class": "SdkHttpError", "status": 403}),
    (["node", "legacy"], "@modelcontextprotocol/client 2.4.0", LEGACY, {"class": "SdkHttpError", "status": 403}),
    (["node", "v1"], "@modelcontextprotocol/sdk 1.32.2", LEGACY, {"class": "StreamableHTTPError", "status": 403}),
]


def command(language: str, stack: Stack, mode: str) -> list[str]:
    if language == "python":
        return [sys.executable, str(node.HERE / "sdk.py"), stack.url, mode]
    return node.command("sdk.mjs", stack.url, mode)


def problems(stack: Stack, run: list[str], client: str, version: str, surface: dict[str, Any]) -> list[str]:
    """Runs one client; what is not as expected, in words."""
    before = len(arrived(stack))
    token = headers_of(stack, "bob")["authorization"].removeprefix("Bearer ")
    done = subprocess.run(
        command(run[0], stack, run[1]),
        env=os.environ | {"TOKEN": token},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    if done.returncode != 0:
        return [f"ended with status {done.returncode}:\n{done.stdout}{done.stderr}"]
    found = json.loads(done.stdout)
    denied = found.pop("denied") or {}
    data = denied.pop("data", None) or {}
    requests = arrived(stack)[before:]
    calls = [entry["name"] for entry in requests if entry["method"] == "tools/call"]
    expectations: list[tuple[str, Any, Any]] = [
        ("client", client, found["client"]),
        ("protocol version", version, found["version"]),
        ("tools listed", TOOLS, found["tools"]),
        ("result of an allowed call", TEXT, found["read"]),
        ("text of the resource", TEXT, found["resource"]),
        ("text of the prompt", True, TEXT in found["prompt"]),
        ("error of the denied call", surface | {"code": 403}, denied),
        ("code in the data of the denial", "policy_denied", data.get("code")),
        ("a decision id in it", True, bool(data.get("decision_id"))),
        ("result of a call after the denial", TEXT, found["after"]),
        ("tool calls that reached the server", ["read_document", "read_document"], calls),
        ("requests that reached the server with a token", [], [r for r in requests if r["authorization"]]),
        ("subjects that the server was told", {"bob"}, {r["gate"].get("x-mcp-gate-subject") for r in requests}),
    ]
    return differences(expectations)


def main() -> int:
    func_e = "--func-e" in sys.argv[1:] or os.environ.get("FUNC_E", "") not in ("", "0")
    runs = RUNS[:1] if "--func-e" in sys.argv[1:] else RUNS
    if any(run[0] == "node" for run, *_ in runs):
        node.prepare()
    begin = time.monotonic()
    with running(OUT, *lay_out.free_ports(3), func_e=func_e) as stack:
        print(f"Envoy{' by func-e' if func_e else ''}: up in {time.monotonic() - begin:.1f} s", flush=True)
        trials = {f"{run[1]} ({run[0][1]}, {run[2]})": partial(problems, stack, *run) for run in runs}
        failed = go_through(trials, stack.log("envoy"))
    print(f"{len(runs) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(ended(main))
