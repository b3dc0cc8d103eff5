"""The fixture server, and an Envoy with the gate in front of it, for conformance.py and repertoire.py.

Envoy's files are those of envoy/, with a policy that allows everything: what differs is then the gate's own doing.
"""

import contextlib
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "envoy/demo"))

import lay_out  # noqa: E402
from tour import MODULE, Failed, Stack, envoy_command, require, start, stop, wait_ready  # noqa: E402

HERE = Path(__file__).resolve().parent
CLIENTS = ROOT / "target/clients"  # with the Node packages, made by tests/setup.py
SUBJECT = "tester"
MUTATION = "type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation"


def node(script: str, *arguments: str) -> list[str]:
    """The command for a script of ours, laid beside the packages, where Node looks for them."""
    if not (CLIENTS / "node_modules/@modelcontextprotocol/server").exists():
        raise Failed("target/clients has no packages; get them with: python3 tests/setup.py clients")
    for file in HERE.glob("*.mjs"):
        shutil.copy(file, CLIENTS)
    program = ROOT / "target/tools/bin/node"
    return [str(program) if program.exists() else "node", str(CLIENTS / script), *arguments]


def token(stack: Stack) -> str:
    keys = lay_out.keys(stack.directory)
    return lay_out.token(keys, {"sub": SUBJECT, "scope": "mcp:read", "aud": [stack.url, lax(stack)]})


def direct(stack: Stack) -> str:
    return lay_out.resource(stack.upstream)


def lax(stack: Stack) -> str:
    """The gate's other resource: a server behind it that looks at no header."""
    return f"http://127.0.0.1:{stack.port}/lax"


@contextlib.contextmanager
def running(directory: Path, *, inject: bool) -> Iterator[Stack]:
    """Starts both; with `inject`, Envoy itself gives each request a token, for clients that cannot."""
    require(MODULE, "make build")
    port, admin, upstream = lay_out.free_ports(3)
    directory.mkdir(parents=True, exist_ok=True)
    for log in directory.glob("*.log"):
        log.unlink()
    audit = lay_out.shown(directory / "audit.log")
    config = lay_out.lay_out(directory, port=port, admin=admin, upstream=upstream, access_log=audit)
    command, environment = envoy_command(directory, func_e=False)

    started: list[subprocess.Popen[bytes]] = []
    try:
        started.append(start(node("fixture.mjs", str(upstream)), directory / "server.log"))
        stack = Stack(directory, port, admin, upstream, started[0])
        write_filter(stack)
        if inject:
            write_token(config, token(stack))
        options = ["--concurrency", "2", "--disable-hot-restart", "--file-flush-interval-msec", "50"]
        started.append(start([*command, "-c", lay_out.shown(config), *options], directory / "envoy.log", environment))
        stack.envoy = started[1]
        wait_ready(stack, started)
        yield stack
    finally:
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
        for process in reversed(started):
            stop(process)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def write_filter(stack: Stack) -> None:
    """envoy/filter.yaml with a resource for each server, and with a policy that has nothing against anything."""
    document = yaml.safe_load(stack.filter_yaml.read_text())
    value = document["resources"][0]["typed_config"]["config"]["configuration"]["value"]
    more = {
        "origins": [f"http://127.0.0.1:{stack.port}"],
        "param_headers": {"test_x_mcp_header": {"Region": "region"}},
    }
    resource = value["resources"][0] | more
    value["resources"] = [resource, resource | {"url": lax(stack)}]
    value["policy"] = {"modules": {"authz.rego": "package mcp.authz\n\nallow := true\n"}}
    lay_out.swap(stack.directory / "gate", yaml.safe_dump(document))


def write_token(config: Path, token: str) -> None:
    document = yaml.safe_load(config.read_text())
    manager = document["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    header = {"header": {"key": "authorization", "value": f"Bearer {token}"}}
    mutation = {"@type": MUTATION, "mutations": [{"append": header | {"append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}}]}
    manager["early_header_mutation_extensions"] = [{"name": "token", "typed_config": mutation}]
    lay_out.write(config, yaml.safe_dump(document), mode=0o600)


def records(stack: Stack) -> list[dict[str, Any]]:
    """What the gate has recorded, a line for each request. A request that was not its is a line without JSON."""
    time.sleep(0.1)  # twice what Envoy takes to flush it
    text = stack.log("audit").read_text() if stack.log("audit").exists() else ""
    whole = text.rpartition("\n")[0]
    return [json.loads(line) for line in whole.splitlines() if line.startswith("{")]
