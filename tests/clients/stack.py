"""The fixture server, with an Envoy with the gate in front of it and alone, for conformance.py and repertoire.py.

Envoy's files are those of envoy/, with a policy that allows everything: what differs is then the gate's own doing.
The server runs twice, so that a thing can be done both ways at once and neither sees what the other does.
"""

import contextlib
import dataclasses
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "envoy/demo"))

import lay_out  # noqa: E402
from tour import MODULE, Failed, Stack, envoy_command, require, start, stop, wait_for, wait_ready  # noqa: E402

HERE = Path(__file__).resolve().parent
CLIENTS = ROOT / "target/clients"  # with the Node packages, made by tests/setup.py
SUBJECT = "tester"
MUTATION = "type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation"


Result = TypeVar("Result")


@dataclasses.dataclass
class Pair(Stack):
    """What runs: a gate with its server, and at the port `alone` another such server."""

    alone: int = 0


def node(script: str, *arguments: str) -> list[str]:
    """The command for a script beside the packages, where Node looks for them."""
    program = ROOT / "target/tools/bin/node"
    return [str(program) if program.exists() else "node", str(CLIENTS / script), *arguments]


def token(stack: Pair) -> str:
    keys = lay_out.keys(stack.directory)
    return lay_out.token(keys, {"sub": SUBJECT, "scope": "mcp:read", "aud": [stack.url, lax(stack)]})


def direct(stack: Pair) -> str:
    return lay_out.resource(stack.alone)


def lax(stack: Pair) -> str:
    """The gate's other resource: a server behind it that looks at no header."""
    return f"http://127.0.0.1:{stack.port}/lax"


def both(one: Callable[[], Result], other: Callable[[], Result]) -> tuple[Result, Result]:
    """Two things at once: most of each is waiting."""
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.submit(one), pool.submit(other)
        return first.result(), second.result()


@contextlib.contextmanager
def running(directory: Path, *, inject: bool) -> Iterator[Pair]:
    """Starts all of it; with `inject`, Envoy itself gives each request a token, for clients that cannot."""
    require(MODULE, "make build")
    require(CLIENTS / "node_modules/@modelcontextprotocol/server", "python3 tests/setup.py clients")
    for file in HERE.glob("*.mjs"):
        shutil.copy(file, CLIENTS)
    port, admin, upstream, alone = lay_out.free_ports(4)
    directory.mkdir(parents=True, exist_ok=True)
    for log in directory.glob("*.log"):
        log.unlink()
    audit = lay_out.shown(directory / "audit.log")
    config = lay_out.lay_out(directory, port=port, admin=admin, upstream=upstream, access_log=audit)
    command, environment = envoy_command(directory, func_e=False)

    started: list[subprocess.Popen[bytes]] = []
    try:
        twin = start(node("fixture.mjs", str(alone)), directory / "alone.log")
        started.append(twin)
        server = start(node("fixture.mjs", str(upstream)), directory / "server.log")
        started.append(server)
        stack = Pair(directory, port, admin, upstream, server, alone=alone)
        write_filter(stack)
        if inject:
            write_token(config, token(stack))
        options = ["--concurrency", "2", "--disable-hot-restart", "--file-flush-interval-msec", "50"]
        stack.envoy = start([*command, "-c", lay_out.shown(config), *options], directory / "envoy.log", environment)
        started.append(stack.envoy)
        wait_ready(stack, [server, stack.envoy])
        wait_for(lambda: listens(alone), "the server without a gate to answer; see its alone.log")
        yield stack
    finally:
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
        for process in reversed(started):
            stop(process)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def listens(port: int) -> bool:
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    return False


def write_filter(stack: Pair) -> None:
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


def records(stack: Pair) -> list[dict[str, Any]]:
    """What the gate has recorded, a line for each request. A request that was not its is a line without JSON."""
    time.sleep(0.1)  # twice what Envoy takes to flush it
    text = stack.log("audit").read_text() if stack.log("audit").exists() else ""
    whole = text.rpartition("\n")[0]
    return [json.loads(line) for line in whole.splitlines() if line.startswith("{")]
