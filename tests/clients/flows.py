"""The official clients go the whole way of OAuth, from the MCP URL alone, through a real Envoy with the gate.

    flows.py            every flow
    flows.py WORD...    those whose name has each word

A 401 leads to the resource's metadata, to the authorization server's, to a registration, to a user who says yes in a
browser, with PKCE, to a token and to the call; then a call that takes another scope leads there again. The
authorization server is oidc-provider, the one of the demo. What the clients sent is in their steps, what arrived is
in the logs of the servers, and no token is in any of them.
"""

import asyncio
import base64
import contextlib
import hashlib
import itertools
import json
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2
import node
import yaml
from mcp import Client, MCPError

import issuer
import lay_out
import oauth
from calls import message
from harness import Failed, differences, ended, go_through
from oauth import FIRST, STEP_UP, Step, way
from stack import Answer, Stack, admin, arrived, send

OUT = node.ROOT / "target/flows"
MODERN, LEGACY, FIRST_HTTP = "2026-07-28", "2025-11-25", "2025-03-26"
V1, V2, PY = "@modelcontextprotocol/sdk 1.32.2", "@modelcontextprotocol/client 2.4.0", f"python mcp {version('mcp')}"
# The first that speaks FIRST_HTTP.
V1_11 = "@modelcontextprotocol/sdk 1.11.0"

# The resources, each with the tokens that the authorization server gives for it.
RESOURCES = {
    "/mcp": "ES256",
    "/rs256": "RS256",
    "/brief": "ES256,4",
    "/opaque": "opaque",
    "/bound": "ES256",
}
# What is particular about the gate's side of them.
PARTICULAR = {
    "/mcp": {"metadata": {"authorization_server": "as"}},
    "/bound": {"credentials": ["dpop"], "dpop": {"nonce": True}},
}

# How long the gate takes what it was told of an opaque token for true.
CACHE = 2
# How often it fetches the keys of the authorization server, and how long until it certainly has those of now.
REFRESH = 10
FETCHED = 1.1 * REFRESH + 1
SECRET = "MCP_GATE_INTROSPECTION_SECRET"

# Bob may edit, and owns a document, but the authorization server grants him no scope for it.
USERS = {
    "alice": {"sub": "alice", "roles": ["editor"], "scope": "mcp:read mcp:write"},
    "bob": {"sub": "bob", "roles": ["editor"], "scope": "mcp:read"},
}


class Flows(Stack):
    """What runs: the authorization server, too."""

    def at(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    @property
    def metadata(self) -> str:
        return self.at("/.well-known/oauth-protected-resource")


@contextlib.contextmanager
def running() -> Iterator[Flows]:
    node.prepare()
    environment = {SECRET: secrets.token_urlsafe(32)}
    with Flows(OUT, *lay_out.free_ports(4)) as stack:
        write_routes(stack.envoy_yaml)
        stack.start_server()
        stack.start_issuer({stack.at(path): how for path, how in RESOURCES.items()}, environment, users=USERS)
        stack.wait_for(lambda: issuer.jwks(stack.issuer), "the authorization server", seconds=60)
        write_filter(stack)
        stack.start_envoy(environment)
        stack.wait_ready()
        # Asked by no token of a key that is none: that would be the one in 30 seconds that brings a fetch forward.
        stack.wait_for(lambda: "fetches_ok: 0" not in fetches(stack), "the gate to have fetched keys")
        yield stack


def fetches(stack: Flows) -> str:
    """What Envoy counts of the fetches of keys that went well; nothing is none."""
    return admin(stack, "/stats?filter=mcp_gate_jwks_fetches_ok") or "fetches_ok: 0"


def write_routes(config: Path) -> None:
    """Each resource is the demo server, which knows one path."""
    document = yaml.safe_load(config.read_text())
    manager = document["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    host = manager["route_config"]["virtual_hosts"][0]
    usual = host["routes"][-1]["route"]
    for path in RESOURCES:
        host["routes"].insert(0, {"match": {"path": path}, "route": usual | {"prefix_rewrite": "/mcp"}})
    lay_out.write(config, yaml.safe_dump(document))


def write_filter(stack: Flows) -> None:
    document = yaml.safe_load(stack.filter_yaml.read_text())
    plugin = document["resources"][0]["typed_config"]["config"]
    plugin["vm_config"]["environment_variables"] = {"host_env_keys": [SECRET]}
    value = plugin["configuration"]["value"]
    usual = value["resources"][0] | {"issuers": ["as"]}
    value["resources"] = [usual | {"url": stack.at(path)} | PARTICULAR.get(path, {}) for path in RESOURCES]
    value["issuers"] = [
        {
            "name": "as",
            "issuer": issuer.url(stack.issuer),
            "jwks": {"discover": {"cluster": "authorization-server"}, "refresh": REFRESH},
            "introspection": {
                "cluster": "authorization-server",
                "url": f"{issuer.url(stack.issuer)}/introspect",
                "client_id": "mcp-gate",
                "client_secret": {"env": SECRET},
                "cache": CACHE,
            },
            "algorithms": ["ES256", "RS256"],
            "leeway": 0,
        }
    ]
    lay_out.swap(stack.directory / "gate", yaml.safe_dump(document))


# Clients


Found = dict[str, Any]


def run(stack: Flows, path: str, user: str, language: str, mode: str, *options: str) -> Found:
    """What one client's user got, and the steps on the way."""
    if language == "python":
        return asyncio.run(python(stack.at(path), user, mode, *options))
    command = node.command("flow.mjs", stack.at(path), user, mode, *options)
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise Failed(f"{' '.join(command[1:])} ended with status {done.returncode}:\n{done.stdout}{done.stderr}")
    found = json.loads(done.stdout)
    return found | {"steps": [Step(**step) for step in found["steps"]]}


async def python(url: str, user: str, mode: str, *options: str) -> Found:
    """The same as flow.mjs."""
    given = dict(itertools.pairwise(options))
    document = given.get("--document", "q3-report")
    steps: list[Step] = []
    found: Found = {"client": PY}

    async def call(tool: str, arguments: dict[str, str]) -> Any:
        try:
            return (await client.call_tool(tool, arguments)).content[0].text
        except MCPError as error:
            return {"error": type(error).__name__, "status": error.code}

    async with asyncio.timeout(60), oauth.connected(url, user, mode, steps) as client:
        found["version"] = client.protocol_version
        found["read"] = await call("read_document", {"id": document})
        await asyncio.sleep(float(given.get("--pause", 0)))
        if "--only-read" not in options:
            found["edit"] = await call("edit_document", {"id": document, "text": f"changed by {mode}"})
        found["after"] = await call("read_document", {"id": document})
    return found | {"steps": steps}


# What is told of the steps


def told(steps: list[Step], of: str, member: str) -> list[Any]:
    return [step.told.get(member) for step in steps if step.kind == of]


def asked(steps: list[Step], of: str, member: str) -> list[Any]:
    return [step.asked[member] for step in steps if step.kind == of and member in step.asked]


def challenges(steps: list[Step]) -> list[str]:
    return [step.challenge for step in steps if step.challenge]


# The flows. Each yields what was expected and what was found.


Expectations = Iterator[tuple[str, Any, Any]]


Flow = Callable[[Flows], Expectations]


def whole(language: str, mode: str, client: str, version: str, path: str = "/mcp", *options: str) -> Flow:
    def flow(stack: Flows) -> Expectations:
        before = len(arrived(stack))
        found = run(stack, path, "alice", language, mode, *options)
        steps = found["steps"]
        metadata = f'resource_metadata="{stack.metadata}{path}"'
        yield "client", (client, version), (found["client"], found["version"])
        yield "result of the call that changes", "q3-report saved by alice", found["edit"]
        yield "result of the call after it", f"changed by {mode}", found["after"]
        yield "way", [*FIRST, *STEP_UP], way(steps)
        first, second = challenges(steps)
        yield "challenge of the 401", f'Bearer {metadata}, scope="mcp:read"', first
        yield "scopes of the tokens", ["mcp:read", "mcp:read mcp:write"], told(steps, "token", "scope")
        yield "PKCE of the authorizations", ["S256"] * 2, asked(steps, "browser", "code_challenge_method")
        yield "resource of authorizations", [stack.at(path)] * 2, asked(steps, "browser", "resource")
        yield "resource of token requests", [stack.at(path)] * 2, asked(steps, "token", "resource")
        yield from challenged(second, metadata)
        yield from reached(stack, before, client_id=told(steps, "register", "client_id")[0])

    return flow


def challenged(challenge: str, metadata: str) -> Expectations:
    yield "challenge of the 403", True, challenge.startswith('Bearer error="insufficient_scope", resource_metadata="')
    yield "scope of the 403", True, "mcp:write" in challenge.split('scope="')[1].split('"')[0].split(" ")
    yield "metadata in the 403", True, metadata in challenge


def reached(stack: Flows, before: int, client_id: str, first_scope: str = "mcp:read") -> Expectations:
    """What arrived at the server of a flow with its three calls, of which the second takes another scope."""
    requests = arrived(stack)[before:]
    calls = [entry for entry in requests if entry["method"] == "tools/call"]
    names = [entry["name"] for entry in calls]
    yield "calls that reached the server", ["read_document", "edit_document", "read_document"], names
    yield "requests that reached the server with a token", [], [entry for entry in requests if entry["authorization"]]
    gate = [entry["gate"] for entry in requests]
    yield "issuers that the server was told", {issuer.url(stack.issuer)}, {each["x-mcp-gate-issuer"] for each in gate}
    yield "subjects that the server was told", {"alice"}, {each["x-mcp-gate-subject"] for each in gate}
    yield "clients that the server was told", {client_id}, {each["x-mcp-gate-client"] for each in gate}
    scopes = [entry["gate"]["x-mcp-gate-scopes"] for entry in calls]
    yield "scopes that the server was told", [first_scope, "mcp:read mcp:write", "mcp:read mcp:write"], scopes


def at_its_origin(stack: Flows) -> Expectations:
    """A client that knows of no resource metadata takes the MCP server's origin for the authorization server."""
    before = len(arrived(stack))
    found = run(stack, "/mcp", "alice", "node", FIRST_HTTP)
    steps = found["steps"]
    yield "client", (V1_11, FIRST_HTTP), (found["client"], found["version"])
    yield "result of the call that changes", "q3-report saved by alice", found["edit"]
    yield "result of the call after it", f"changed by {FIRST_HTTP}", found["after"]
    # It reads the metadata again before it hands over the code.
    first = ["mcp 401", "server metadata", "register", "browser", "server metadata", "token", "mcp"]
    yield "way", first, way(steps)
    places = {step.url for step in steps if step.kind == "server metadata"}
    yield "places of the metadata", {stack.at("/.well-known/oauth-authorization-server")}, places
    yield "issuers in it", {issuer.url(stack.issuer)}, set(told(steps, "server metadata", "issuer"))
    yield "PKCE of the authorization", ["S256"], asked(steps, "browser", "code_challenge_method")
    yield "resources that it asked for", [], asked(steps, "browser", "resource") + asked(steps, "token", "resource")
    yield "scopes of the tokens", ["mcp:read mcp:write"], told(steps, "token", "scope")
    client_id = told(steps, "register", "client_id")[0]
    yield from reached(stack, before, client_id, first_scope="mcp:read mcp:write")


def not_granted(language: str, mode: str, error: Any, way_on: list[str]) -> Flow:
    """The authorization server does not grant the scope: the user gets an error, and nobody goes in circles."""

    def flow(stack: Flows) -> Expectations:
        before = len(arrived(stack))
        options = ["--online"] if mode == "v1" else []
        found = run(stack, "/mcp", "bob", language, mode, "--document", "handbook", *options)
        yield "result of a call that is allowed", True, isinstance(found["read"], str)
        yield "result of the call that is not", error, found["edit"]
        yield "the same document after it", found["read"], found["after"]
        yield "way", [*FIRST, *STEP_UP[:-1], "mcp 403", *way_on, "mcp"], way(found["steps"])
        yield "scopes of the tokens", {"mcp:read"}, set(told(found["steps"], "token", "scope"))
        calls = [entry["name"] for entry in arrived(stack)[before:] if entry["method"] == "tools/call"]
        yield "calls that reached the server", ["read_document", "read_document"], calls

    return flow


def refreshed(language: str, mode: str, renewal: list[str]) -> Flow:
    """A token ends, and the client gets another with its refresh token, without its user."""

    def flow(stack: Flows) -> Expectations:
        before = len(arrived(stack))
        found = run(stack, "/brief", "bob", language, mode, "--document", "handbook", "--pause", "4.5", "--only-read")
        steps = found["steps"]
        yield "result of the call after the token's end", found["read"], found["after"]
        yield "way", [*FIRST, *renewal, "mcp"], way(steps)
        yield "grants", ["authorization_code", "refresh_token"], asked(steps, "token", "grant_type")
        expired = f'Bearer error="invalid_token", resource_metadata="{stack.metadata}/brief", scope="mcp:read"'
        yield "challenge of the 401", [expired] if "mcp 401" in renewal else [], challenges(steps)[1:]
        calls = [entry["name"] for entry in arrived(stack)[before:] if entry["method"] == "tools/call"]
        yield "calls that reached the server", ["read_document", "read_document"], calls

    return flow


def foreign(stack: Flows) -> Expectations:
    """A token for one resource at another."""
    storage = connected_once(stack, "/rs256")
    before = len(arrived(stack))
    for path, status in [("/rs256", 200), ("/mcp", 401), ("/brief", 401)]:
        answer = call_with(stack, path, storage.tokens.access_token)
        yield f"status of the token for /rs256 at {path}", status, answer.status
    yield "calls that reached the server", 1, len(arrived(stack)) - before


def rotation(stack: Flows) -> Expectations:
    """The keys of the authorization server change as they should, while two clients go on calling."""
    old, new = oauth.Storage(), oauth.Storage()
    before: list[Step] = []
    after: list[Step] = []
    results: list[str] = []

    async def keep_calling(client: Client, until: asyncio.Event) -> None:
        while not until.is_set():
            results.append((await client.call_tool("read_document", {"id": "handbook"})).content[0].text)
            await asyncio.sleep(0.05)

    async def change(how: str) -> None:
        await asyncio.to_thread(issuer.change_keys, stack.issuer, how)

    async def go() -> tuple[str, str]:
        over = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            async with oauth.connected(stack.url, "alice", "auto", before, old) as first:
                calls = [tasks.create_task(keep_calling(first, over))]
                first_token = old.tokens.access_token
                await change("publish")
                await asyncio.sleep(FETCHED)
                await change("sign")
                async with oauth.connected(stack.url, "bob", "legacy", after, new) as second:
                    calls.append(tasks.create_task(keep_calling(second, over)))
                    await asyncio.sleep(1)
                    await change("retire")
                    await asyncio.sleep(FETCHED)
                    over.set()
                    await asyncio.gather(*calls)
        return first_token, new.tokens.access_token

    began = time.monotonic()
    asked_before = len(lines_of(stack, "/jwks"))
    first_token, second_token = asyncio.run(go())
    seconds = time.monotonic() - began
    yield "results of the calls", {results[0]}, set(results)
    yield "as many calls as should have been", True, len(results) > 10 * FETCHED
    yield "the same key for the tokens of both", False, kid(first_token) == kid(second_token)
    # The one whose key is gone gets another token, and nobody notices.
    yield "way of the client from before", [*FIRST, "mcp 401", *FIRST[1:3], *FIRST[-3:]], way(before)
    yield "way of the client from after", FIRST, way(after)
    yield "key of the token that it got", kid(second_token), kid(old.tokens.access_token)
    yield "status of a token whose key is gone", 401, call_with(stack, "/mcp", first_token).status
    yield "status of a token whose key is there", 200, call_with(stack, "/mcp", second_token).status
    fetches = len(lines_of(stack, "/jwks")) - asked_before
    yield "fetches of the keys, by one worker for all", True, fetches <= 2 + seconds / (0.9 * REFRESH)


def rotation_at_once(stack: Flows) -> Expectations:
    """New keys sign before anybody could know them."""
    before = len(lines_of(stack, "/jwks"))
    for how in ("publish", "sign", "retire"):
        issuer.change_keys(stack.issuer, how)
    storage = oauth.Storage()
    with contextlib.suppress(ExceptionGroup, MCPError):  # the first use of the token is what makes the gate look
        connected_once(stack, "/mcp", storage)

    def taken() -> bool:
        return all(call_with(stack, "/mcp", storage.tokens.access_token).status == 200 for _ in range(12))

    yield "before the usual time", True, stack.wait_for(taken, "a token of the new key to be taken", 40) < REFRESH / 2
    yield "fetches of the keys", 1, len(lines_of(stack, "/jwks")) - before


def kid(token: str) -> str:
    header = token.split(".")[0]
    return json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))["kid"]


def connected_once(stack: Flows, path: str, storage: oauth.Storage | None = None) -> oauth.Storage:
    """What a client keeps after it was connected."""
    storage = storage or oauth.Storage()

    async def connect() -> None:
        async with oauth.connected(stack.at(path), "alice", "auto", [], storage):
            pass

    asyncio.run(connect())
    return storage


def call_with(stack: Flows, path: str, token: str, scheme: str = "Bearer") -> Answer:
    """A call by hand, for what no client does."""
    headers = lay_out.headers(token) | {"authorization": f"{scheme} {token}", "mcp-method": "tools/call"}
    headers |= {"mcp-name": "read_document"}
    return send(stack.port, "POST", path, headers, message("read_document", {"id": "handbook"}))


def bound(mode: str, version: str, path: str) -> Flow:
    """Tokens that are bound to a key of the client (DPoP)."""

    def flow(stack: Flows) -> Expectations:
        before = len(arrived(stack))
        found = run(stack, path, "alice", "node", mode, "--dpop")
        steps = found["steps"]
        yield "client", (V2, version), (found["client"], found["version"])
        yield "result of the call that changes", "q3-report saved by alice", found["edit"]
        yield "result of the call after it", f"changed by {mode}", found["after"]
        # The authorization server wants a nonce in the first proof, and the gate where the resource says so.
        first = [*FIRST[:-2], "token 400", "token", *(["mcp 401"] if "dpop" in PARTICULAR.get(path, {}) else []), "mcp"]
        yield "way", [*first, *STEP_UP], way(steps)
        yield "types of the tokens", ["DPoP"] * 2, told(steps, "token", "token_type")
        schemes = {step.scheme for step in steps if step.kind.startswith("mcp") and step.scheme}
        yield "schemes of the credentials", {"DPoP"}, schemes
        yield "status of a token without its key", 401, found["stolen"]
        yield "status of a proof used twice", 401, found["replayed"]
        yield from reached(stack, before, client_id=told(steps, "register", "client_id")[0])

    return flow


def introspected(stack: Flows) -> Expectations:
    """What the authorization server says of a token is remembered for a short while, and a revocation counts."""
    storage = connected_once(stack, "/opaque")
    time.sleep(CACHE + 1)
    before = len(lines_of(stack, "/introspect"))
    statuses = [call_with(stack, "/opaque", storage.tokens.access_token).status for _ in range(20)]
    yield "statuses of 20 calls in a row", {200}, set(statuses)
    # One for each worker, and another where the time ended.
    yield "questions for them", True, 1 <= len(lines_of(stack, "/introspect")) - before <= 4
    yield "status at another resource", 401, call_with(stack, "/mcp", storage.tokens.access_token).status

    form = {"token": storage.tokens.access_token, "client_id": storage.client.client_id}
    form |= {"client_secret": storage.client.client_secret} if storage.client.client_secret else {}
    revoked = httpx2.post(f"{issuer.url(stack.issuer)}/token/revocation", data=form, trust_env=False)
    yield "status of the revocation", 200, revoked.status_code
    time.sleep(CACHE + 1)
    before = len(arrived(stack))
    answer = call_with(stack, "/opaque", storage.tokens.access_token)
    challenge = f'Bearer error="invalid_token", resource_metadata="{stack.metadata}/opaque", scope="mcp:read"'
    yield "answer to the revoked token", (401, challenge), (answer.status, answer.headers.get("www-authenticate"))
    yield "logs with the token in them", [], leaks(stack, storage.tokens.access_token)
    yield "status of nobody's token", 401, call_with(stack, "/opaque", "A" * 43).status
    yield "calls that reached the server", 0, len(arrived(stack)) - before


def lines_of(stack: Flows, path: str) -> list[Found]:
    """What the authorization server was asked there."""
    lines = [json.loads(line) for line in stack.log("asked").read_text().splitlines()]
    return [line for line in lines if line["path"] == path]


def without_pkce(stack: Flows) -> Expectations:
    """The authorization server gives nothing to a client without PKCE, or with another's verifier."""
    base = issuer.url(stack.issuer)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(b"v" * 43).digest()).decode().rstrip("=")
    client = {
        "redirect_uris": [oauth.REDIRECT],
        "token_endpoint_auth_method": "none",
        "application_type": "native",
    }

    async def attempt(asked: dict[str, str], brought: dict[str, str] | None = None) -> str:
        async with httpx2.AsyncClient(trust_env=False) as http_client:
            registered = (await http_client.post(f"{base}/register", json=client)).json()
            common = {"client_id": registered["client_id"], "redirect_uri": oauth.REDIRECT, "resource": stack.url}
            browser = oauth.Browser("alice", [])
            async with browser.http:
                query = urlencode(common | {"response_type": "code", "scope": "mcp:read"} | asked)
                await browser.open(f"{base}/auth?{query}")
            if "error" in browser.arrived:
                return f"{browser.arrived['error']} at /auth"
            form = common | {"grant_type": "authorization_code", "code": browser.arrived["code"]} | (brought or {})
            answer = (await http_client.post(f"{base}/token", data=form)).json()
            return f"{answer['error']} at /token" if "error" in answer else answer["token_type"]

    s256 = {"code_challenge": challenge, "code_challenge_method": "S256"}
    plain = {"code_challenge": "v" * 43, "code_challenge_method": "plain"}
    for what, expected, asked, brought in [
        ("no challenge", "invalid_request at /auth", {}, None),
        ("the plain method", "invalid_request at /auth", plain, None),
        ("no verifier", "invalid_grant at /token", s256, None),
        ("another verifier", "invalid_grant at /token", s256, {"code_verifier": "w" * 43}),
        ("the right verifier", "Bearer", s256, {"code_verifier": "v" * 43}),
    ]:
        yield f"answer to {what}", expected, asyncio.run(attempt(asked, brought))


FLOWS: dict[str, Flow] = {
    "whole, python, modern": whole("python", "auto", PY, MODERN),
    "whole, python, legacy": whole("python", "legacy", PY, LEGACY),
    "whole, typescript 2, modern": whole("node", "auto", V2, MODERN),
    "whole, typescript 2, legacy": whole("node", "legacy", V2, LEGACY),
    "whole, typescript 1, legacy": whole("node", "v1", V1, LEGACY, "/mcp", "--online"),
    "whole, typescript 1.11, metadata at the origin": at_its_origin,
    "whole, RS256, python": whole("python", "auto", PY, MODERN, "/rs256"),
    "whole, RS256, typescript 2": whole("node", "auto", V2, MODERN, "/rs256"),
    "scope not granted, python": not_granted("python", "auto", {"error": "MCPError", "status": 403}, []),
    # What an application does that starts over once; the client itself would go on.
    "scope not granted, typescript 2": not_granted("node", "auto", {"error": "UnauthorizedError"}, ["browser"]),
    "scope not granted, typescript 1": not_granted("node", "v1", {"error": "StreamableHTTPError", "status": 403}, []),
    "refresh, python": refreshed("python", "auto", ["token"]),
    "refresh, typescript 2": refreshed("node", "auto", ["mcp 401", "token"]),
    "refresh, typescript 1": refreshed("node", "v1", ["mcp 401", "token"]),
    "whole, opaque tokens, python": whole("python", "legacy", PY, LEGACY, "/opaque"),
    "whole, opaque tokens, typescript 2": whole("node", "auto", V2, MODERN, "/opaque"),
    "opaque tokens, remembered and revoked": introspected,
    "bound tokens, typescript 2, modern": bound("auto", MODERN, "/mcp"),
    "bound tokens, typescript 2, legacy": bound("legacy", LEGACY, "/mcp"),
    "bound tokens with a nonce, typescript 2": bound("auto", MODERN, "/bound"),
    "bound tokens, opaque, typescript 2": bound("auto", MODERN, "/opaque"),
    "a token for another resource": foreign,
    "no PKCE": without_pkce,
    # In this order: the gate is made to look once in a while only, by a token of a key that is gone as well.
    "keys change at once": rotation_at_once,
    "keys change while clients call": rotation,
}


def leaks(stack: Flows, token: str = "eyJ") -> list[str]:
    """Logs in which a token stands, or anything that looks like a JWT."""
    return [log.name for log in sorted(stack.directory.glob("*.log")) if token in log.read_text(errors="replace")]


def problems(stack: Flows, flow: Flow) -> list[str]:
    """Goes one way; what is not as expected, in words."""
    return differences([*flow(stack), ("logs with a token in them", [], leaks(stack))])


def main() -> int:
    words = sys.argv[1:]
    flows = {name: flow for name, flow in FLOWS.items() if all(word in name for word in words)}
    begin = time.monotonic()
    with running() as stack:
        print(f"Envoy and the authorization server: up in {time.monotonic() - begin:.1f} s", flush=True)
        failed = go_through({name: partial(problems, stack, flow) for name, flow in flows.items()}, stack.log("envoy"))
    print(f"{len(flows) - failed} passed, {failed} failed")
    return 1 if failed or not flows else 0


if __name__ == "__main__":
    sys.exit(ended(main))
