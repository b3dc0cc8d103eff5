"""The official Python client with OAuth, which is told the MCP URL and nothing else, and a browser that says yes.

Whoever uses a real client sees a page of the authorization server; here a `Browser` opens it, and says by a header
who logs in. Each HTTP exchange of both becomes a `Step`, with what it is about and no secret: the tour shows the
steps, the tests count them.
"""

import contextlib
import dataclasses
import itertools
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
from mcp import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from pydantic import AnyUrl

# Nobody listens there: the browser stops at the address instead of opening it.
REDIRECT = "http://127.0.0.1:9/callback"

# The members of requests and answers that a step tells.
ASKED = ["grant_type", "scope", "resource", "code_challenge_method", "code_verifier", "application_type"]
TOLD = [
    "resource",
    "authorization_servers",
    "scopes_supported",
    "issuer",
    "registration_endpoint",
    "code_challenge_methods_supported",
    "client_id",
    "token_type",
    "expires_in",
    "scope",
    "error",
    "error_description",
]


KINDS = {
    "/.well-known/oauth-protected-resource": "resource metadata",
    "/.well-known/oauth-authorization-server": "server metadata",
    "/register": "register",
    "/token": "token",
}


@dataclasses.dataclass
class Step:
    by: str  # "client", or the user in front of the browser
    method: str
    url: str
    status: int
    asked: dict[str, Any]
    told: dict[str, Any]
    challenge: str | None
    location: str | None
    scheme: str | None  # of the credential

    @property
    def kind(self) -> str:
        """What it is for, with the status of a refusal."""
        if self.by != "client":
            return "browser"
        path = urlsplit(self.url).path
        name = next((name for start, name in KINDS.items() if path.startswith(start)), "mcp")
        return f"{name} {self.status}" if self.status >= 300 else name


# The whole way to a first call, and from a call that takes another scope to its result.
FIRST = ["mcp 401", "resource metadata", "server metadata", "register", "browser", "token", "mcp"]
STEP_UP = ["mcp 403", "browser", "token", "mcp"]


def way(steps: list[Step]) -> list[str]:
    """The kinds of steps in their order, those in a row as one."""
    return [kind for kind, _ in itertools.groupby(step.kind for step in steps)]


def members(names: list[str], found: Any) -> dict[str, Any]:
    return {name: found[name] for name in names if name in found} if isinstance(found, Mapping) else {}


def plain(url: str) -> str:
    """Without the query, where codes and states are."""
    return url.partition("?")[0]


async def step(by: str, response: httpx2.Response) -> Step:
    request = response.request
    kind = request.headers.get("content-type", "")
    asked = dict(parse_qsl(request.url.query.decode()))
    if kind == "application/x-www-form-urlencoded":
        asked |= dict(parse_qsl(request.content.decode()))
    message = json.loads(request.content or "{}") if kind == "application/json" else {}
    told = {}
    # The MCP server's own answers may be streams.
    if "jsonrpc" in message:
        asked = {"method": message["method"]} | members(["name"], message.get("params"))
    elif "json" in response.headers.get("content-type", ""):
        asked |= message
        told = json.loads(await response.aread() or "{}")
    if "code_verifier" in asked:
        asked["code_verifier"] = "..."
    location = response.headers.get("location")
    if location:
        told = dict(parse_qsl(urlsplit(location).query))
    return Step(
        by=by,
        method=request.method,
        url=plain(str(request.url)),
        status=response.status_code,
        asked=members(["method", "name", *ASKED], asked),
        told=members(TOLD, told),
        challenge=response.headers.get("www-authenticate"),
        location=plain(location) if location else None,
        scheme=request.headers["authorization"].split(" ")[0] if "authorization" in request.headers else None,
    )


class Browser:
    """Follows redirects, keeps cookies, and stops where the client listens."""

    def __init__(self, user: str, steps: list[Step]) -> None:
        self.user, self.steps = user, steps
        self.http = httpx2.AsyncClient(headers={"x-user": user}, timeout=10, trust_env=False)
        self.arrived: dict[str, str] = {}

    async def open(self, url: str) -> None:
        while not url.startswith(REDIRECT):
            response = await self.http.get(url)
            self.steps.append(await step(self.user, response))
            if response.next_request is None:
                raise RuntimeError(f"{plain(url)} answered {response.status_code}: {response.text}")
            url = str(response.next_request.url)
        self.arrived = dict(parse_qsl(urlsplit(url).query))

    async def result(self) -> AuthorizationCodeResult:
        if "code" not in self.arrived:
            raise RuntimeError(f"the authorization server refused: {self.arrived}")
        return AuthorizationCodeResult.model_validate(self.arrived)


class Storage:
    tokens: OAuthToken | None = None
    client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


@contextlib.asynccontextmanager
async def connected(
    url: str, user: str, mode: str, steps: list[Step], storage: Storage | None = None
) -> AsyncIterator[Client]:
    """A client of `user`, connected by way of the whole flow; what happens is added to `steps`."""
    browser = Browser(user, steps)

    async def note(response: httpx2.Response) -> None:
        steps.append(await step("client", response))

    provider = OAuthClientProvider(
        url,
        OAuthClientMetadata(client_name="mcp-gate-demo", redirect_uris=[AnyUrl(REDIRECT)]),
        storage or Storage(),
        redirect_handler=browser.open,
        callback_handler=browser.result,
    )
    hooks = {"response": [note]}
    async with (
        browser.http,
        httpx2.AsyncClient(auth=provider, event_hooks=hooks, timeout=10, trust_env=False) as http_client,
        Client(streamable_http_client(url, http_client=http_client), mode=mode) as client,
    ):
        yield client
