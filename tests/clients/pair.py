"""A server with an Envoy with the gate in front of it, and alone, for conformance.py, repertoire.py and rights.py.

Envoy's files are those of envoy/, with a policy that allows everything unless another is named: what differs is then
the gate's own doing. The server runs twice, so that a thing can be done both ways at once and neither sees what the
other does.
"""

import contextlib
import dataclasses
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import node
import yaml

import lay_out
from stack import Stack, listens

SUBJECT = "tester"
MUTATION = "type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation"


ALL = {"modules": {"authz.rego": "package mcp.authz\n\nallow if input.identity.subject\n"}}
Result = TypeVar("Result")
# The command of a server at a port, and its environment.
Server = Callable[[int], tuple[list[str], dict[str, str]]]


@dataclasses.dataclass
class Pair(Stack):
    """What runs: a gate with its server, and at the port `alone` another such server."""

    alone: int = 0


def token(stack: Pair, subject: str = SUBJECT) -> str:
    keys = lay_out.keys(stack.directory)
    return lay_out.token(keys, {"sub": subject, "scope": "mcp:read", "aud": [stack.url, lax(stack)]})


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


def fixture(port: int) -> tuple[list[str], dict[str, str]]:
    return node.command("fixture.mjs", str(port)), {}


@contextlib.contextmanager
def running(
    directory: Path, *, inject: bool = False, server: Server = fixture, policy: dict[str, Any] = ALL
) -> Iterator[Pair]:
    """Starts all of it; with `inject`, Envoy itself gives each request a token, for clients that cannot."""
    node.prepare()
    port, admin, upstream, alone = lay_out.free_ports(4)
    with Pair(directory, port, admin, upstream, alone=alone) as stack:
        stack.start("alone", *server(alone))
        stack.start("server", *server(upstream))
        write_filter(stack, policy)
        if inject:
            write_token(stack.envoy_yaml, token(stack))
        stack.start_envoy()
        stack.wait_ready()
        stack.wait_for(lambda: listens(alone), "the server without a gate to answer")
        yield stack


def write_filter(stack: Pair, policy: dict[str, Any]) -> None:
    """envoy/filter.yaml with a resource for each server, and with this policy."""
    document = yaml.safe_load(stack.filter_yaml.read_text())
    value = document["resources"][0]["typed_config"]["config"]["configuration"]["value"]
    more = {
        "origins": [f"http://127.0.0.1:{stack.port}"],
        "param_headers": {"test_x_mcp_header": {"Region": "region"}},
    }
    resource = value["resources"][0] | more
    value["resources"] = [resource, resource | {"url": lax(stack)}]
    value["policy"] = policy
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
