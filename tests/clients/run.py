"""The official SDK clients, in both protocol eras, through a real Envoy with the gate, to the demo server.

    run.py              every client
    run.py --func-e     one of them, with Envoy started by func-e

Each connects, lists tools, calls one, reads a resource, gets a prompt, is denied a call, and calls again on the same
connection: once for each shape that a denial can have, with what its user should see of it. The server's log proves
what arrived.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import node
import yaml
from repertoire import BUILT, LEGACY, MODERN

import lay_out
from calls import META, headers_of
from harness import Failed, differences, ended, go_through, require
from stack import Stack, arrived, send

OUT = node.ROOT / "target/clients-run"
MCP_GATE = node.ROOT / "target/debug/mcp-gate"
TEXT = "Be kind. Write things down."
# What the caller may call: the server has seven.
TOOLS = ["list_documents", "read_document", "search_documents"]
SHAPES = ["http_403", "json_rpc", "tool_result", "unknown_tool"]

# What is run, the client it says it is, and the version it must end up with.
RUNS = [
    ("python", "auto", "python mcp 2.3.0", MODERN),
    ("python", "legacy", "python mcp 2.3.0", LEGACY),
    ("typescript", "auto", "@modelcontextprotocol/client 2.4.0", MODERN),
    ("typescript", "legacy", "@modelcontextprotocol/client 2.4.0", LEGACY),
    ("typescript", "v1", "@modelcontextprotocol/sdk 1.32.2", LEGACY),
    ("rust", "auto", "rmcp 3.11.0", MODERN),
    ("rust", "legacy", "rmcp 3.11.0", LEGACY),
    ("go", "auto", "go-sdk v1.8.0", MODERN),
    ("go", "legacy", "go-sdk v1.8.0", LEGACY),
]

# What the gate says to each of them.
REASON = "read_payroll: its condition on `claims` is not met"
DATA = {"code": "policy_denied", "decision_id": "<id>", "reasons": [REASON]}
ERROR = {"code": 403, "message": "denied by policy", "data": DATA}
BODY = json.dumps({"jsonrpc": "2.0", "id": 0, "error": ERROR}, sort_keys=True, separators=(",", ":"))
RESULT = {"content": [{"type": "text", "text": f"denied by policy: {REASON} (decision <id>)"}], "isError": True}
UNKNOWN = {"code": -32602, "message": "Unknown tool: read_payroll"}


def surface(program: str, mode: str, version: str, shape: str) -> dict[str, Any]:
    """What the user of a client is told (mcp-wire.md, section 1.8): the classes and the words are the SDK's."""
    if shape == "tool_result":
        # Python fills in what the legacy era does not have, TypeScript leaves it out where it means nothing.
        complete = program == "python" or program != "typescript" and version == MODERN
        return {"result": RESULT | ({"resultType": "complete"} if complete else {})}
    error: dict[str, Any] = UNKNOWN if shape == "unknown_tool" else ERROR
    if program == "python":
        return {"error": {"class": "MCPError", "data": None} | error}
    if program == "go":
        sent = "sending \"tools/call\": " if shape == "http_403" else ""
        rejected = ": rejected by transport: Forbidden" if shape == "http_403" else ""
        message = f"calling \"tools/call\": {sent}{error['message']}{rejected}"
        return {"error": {"data": None} | error | {"message": message}}
    if program == "rust" and shape != "http_403":
        return {"error": error}
    if program == "rust":
        worker = "rmcp::transport::streamable_http_client::StreamableHttpClientWorker<reqwest::async_impl::client::Client>"
        sent = f"Transport send error: Transport [rmcp::transport::worker::WorkerTransport<{worker}>] error"
        return {"error": {"message": f"{sent}: unexpected server response: HTTP 403 Forbidden: {BODY}"}}
    if shape != "http_403":
        message = f"MCP error {error['code']}: {error['message']}" if mode == "v1" else error["message"]
        return {"error": error | {"class": "McpError" if mode == "v1" else "ProtocolError", "message": message}}
    message = f"Error POSTing to endpoint: {BODY}"
    if mode == "v1":
        return {"error": {"class": "StreamableHTTPError", "code": 403, "message": f"Streamable HTTP error: {message}"}}
    data = {"status": 403, "statusText": "Forbidden", "text": BODY}
    code = "CLIENT_HTTP_NOT_IMPLEMENTED"
    return {"error": {"class": "SdkHttpError", "status": 403, "code": code, "message": message, "data": data}}


def command(program: str, url: str, mode: str) -> list[str]:
    if program == "python":
        return [sys.executable, str(node.HERE / "sdk.py"), url, mode]
    if program == "typescript":
        return node.command("sdk.mjs", url, mode)
    require(BUILT[program], f"python3 tests/setup.py {program}-client")
    return [str(BUILT[program]), url, mode, "documents"]


def resource(stack: Stack, shape: str) -> str:
    """The same server behind each; at the first, denials are as the demo has them."""
    return stack.url if shape == SHAPES[0] else f"http://127.0.0.1:{stack.port}/{shape}"


def used(stack: Stack, program: str, mode: str, shape: str) -> dict[str, Any]:
    """What one client says of its use of one resource."""
    audience = [resource(stack, each) for each in SHAPES]
    token = lay_out.token(lay_out.keys(stack.directory), lay_out.USERS["bob"] | {"aud": audience})
    done = subprocess.run(
        command(program, resource(stack, shape), mode),
        env=os.environ | {"TOKEN": token},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    if done.returncode != 0:
        raise Failed(f"{shape}: ended with status {done.returncode}:\n{done.stdout}{done.stderr}")
    text = re.sub(r"\b[0-9a-f]{32}\b", "<id>", done.stdout)
    return json.loads(re.sub(r'(\\"id\\":)\d+', r"\g<1>0", text))


def problems(stack: Stack, program: str, mode: str, client: str, version: str) -> list[str]:
    """Runs one client at all resources at once; what is not as expected, in words."""
    before = len(arrived(stack))
    with ThreadPoolExecutor(len(SHAPES)) as pool:
        all_found = list(pool.map(partial(used, stack, program, mode), SHAPES))
    requests = arrived(stack)[before:]
    calls = [entry["name"] for entry in requests if entry["method"] == "tools/call"]
    expectations: list[tuple[str, Any, Any]] = [
        ("tool calls that reached the server", ["read_document"] * 2 * len(SHAPES), calls),
        ("requests that reached the server with a token", [], [r for r in requests if r["authorization"]]),
        ("subjects that the server was told", {"bob"}, {r["gate"].get("x-mcp-gate-subject") for r in requests}),
    ]
    for shape, found in zip(SHAPES, all_found, strict=True):
        expected = {
            "client": client,
            "version": version,
            "tools": TOOLS,
            "read": TEXT,
            "resource": TEXT,
            "prompt": f"Summarize this document in one sentence.\n\n{TEXT}",
            "denied": surface(program, mode, version, shape),
            "after": TEXT,
        }
        names = expected | found
        expectations += [(f"{shape}: {name}", expected.get(name), found.get(name)) for name in names]
    return differences(expectations)


@contextlib.contextmanager
def running(func_e: bool) -> Iterator[Stack]:
    """The demo, with a resource for each shape."""
    with Stack(OUT, *lay_out.free_ports(3)) as stack:
        document = yaml.safe_load(stack.filter_yaml.read_text())
        value = document["resources"][0]["typed_config"]["config"]["configuration"]["value"]
        for shape in SHAPES[1:]:
            denials = {"shape": shape, "reasons": shape != "unknown_tool"}
            value["resources"].append(value["resources"][0] | {"url": resource(stack, shape), "denials": denials})
        lay_out.swap(stack.directory / "gate", yaml.safe_dump(document))
        document = yaml.safe_load(stack.envoy_yaml.read_text())
        manager = document["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
        route = manager["route_config"]["virtual_hosts"][0]["routes"][0]["route"]
        route["regex_rewrite"] = {"pattern": {"regex": "^/[^?]*"}, "substitution": "/mcp"}
        lay_out.write(stack.envoy_yaml, yaml.safe_dump(document))
        stack.start_server()
        stack.start_envoy(func_e=func_e)
        stack.wait_ready()
        yield stack


def pin(*arguments: str, answers: str = "") -> str:
    """What `mcp-gate pin` prints."""
    require(MCP_GATE, "make build")
    done = subprocess.run([str(MCP_GATE), "pin", *arguments], input=answers, capture_output=True, text=True, timeout=60)
    return done.stdout if done.returncode == 0 else done.stderr


def pinned(stack: Stack) -> list[str]:
    """A server is pinned by its URL as it is by its answers to another client; through the gate, as its caller sees it."""
    answers = []
    for method in ["tools/list", "prompts/list", "resources/list", "resources/templates/list"]:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"_meta": META}}
        headers = headers_of(stack, "nobody") | {"mcp-method": method}
        answers.append(send(stack.upstream, "POST", "/mcp", headers, json.dumps(body)).body)
    expected = pin("-", answers="".join(answers))
    through = pin(stack.url, "--header", f"@{stack.directory}/bob.headers")
    expectations: list[tuple[str, Any, Any]] = [
        ("a pin of a tool that destroys", True, "destructiveHint: true" in expected),
        ("pins of the server", expected, pin(f"http://127.0.0.1:{stack.upstream}/mcp")),
        ("tools pinned through the gate", sorted(TOOLS), re.findall(r"^ {8}(\w+):$", through.partition("tools:")[2], re.M)),
    ]
    return differences(expectations)


def main() -> int:
    func_e = "--func-e" in sys.argv[1:] or os.environ.get("FUNC_E", "") not in ("", "0")
    runs = RUNS[:1] if "--func-e" in sys.argv[1:] else RUNS
    if any(program == "typescript" for program, *_ in runs):
        node.prepare()
    begin = time.monotonic()
    with running(func_e) as stack:
        print(f"Envoy{' by func-e' if func_e else ''}: up in {time.monotonic() - begin:.1f} s", flush=True)
        trials = {f"{run[2]} ({run[1]}, {run[3]})": partial(problems, stack, *run) for run in runs}
        trials |= {"mcp-gate pin": partial(pinned, stack)}
        failed = go_through(trials, stack.log("envoy"))
    print(f"{len(runs)} clients in {len(SHAPES)} shapes of denial, and `mcp-gate pin`: {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(ended(main))
