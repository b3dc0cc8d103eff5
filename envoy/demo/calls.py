"""Tool calls and lists by a user of the demo: over HTTP, as a curl line, and by the official SDK."""

import asyncio
import contextlib
import json
import shlex
from collections.abc import AsyncIterator
from typing import Any

import lay_out
from lay_out import shown
from stack import Answer, Stack, send

META = {"io.modelcontextprotocol/protocolVersion": lay_out.VERSION, "io.modelcontextprotocol/clientCapabilities": {}}


def headers_of(stack: Stack, user: str) -> dict[str, str]:
    lines = (stack.directory / f"{user}.headers").read_text().splitlines()
    return dict(line.split(": ", 1) for line in lines)


def message(tool: str, arguments: dict[str, Any]) -> str:
    params = {"name": tool, "arguments": arguments, "_meta": META}
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    return json.dumps(call, separators=(",", ":"))


def over_http(stack: Stack, user: str, tool: str, arguments: dict[str, Any]) -> Answer:
    headers = headers_of(stack, user) | {"mcp-method": "tools/call", "mcp-name": tool}
    return send(stack.port, "POST", "/mcp", headers, message(tool, arguments))


def curl(stack: Stack, user: str, tool: str, arguments: dict[str, Any]) -> str:
    """The same request to paste. The token is in a file, so that the line stays short."""
    fields = [f"@{shown(stack.directory)}/{user}.headers", "mcp-method: tools/call", f"mcp-name: {tool}"]
    quoted = " ".join(f"-H {shlex.quote(field)}" for field in fields)
    return f"curl -i {stack.url} {quoted} \\\n  -d {shlex.quote(message(tool, arguments))}"


def over_sdk(stack: Stack, user: str, tool: str, arguments: dict[str, Any], mode: str) -> tuple[str, str]:
    """The protocol version that the official client settled on, and what its user gets."""
    from mcp import MCPError

    async def call() -> tuple[str, str]:
        version = "-"
        try:
            async with connected(stack, user, mode) as client:
                version = client.protocol_version
                result = await client.call_tool(tool, arguments)
                return version, ("error result: " if result.is_error else "") + result.content[0].text
        except (MCPError, ExceptionGroup) as error:
            # What fails while connecting comes inside the groups of the transport's tasks.
            while isinstance(error, ExceptionGroup):
                error = error.exceptions[0]
            if not isinstance(error, MCPError):
                raise
            return version, f"MCPError {error.code}: {error.message}"

    return asyncio.run(call())


def listed(stack: Stack, user: str, mode: str) -> tuple[str, list[str]]:
    """The protocol version, and the names of the tools that the client's user is shown."""

    async def call() -> tuple[str, list[str]]:
        async with connected(stack, user, mode) as client:
            return client.protocol_version, sorted(tool.name for tool in (await client.list_tools()).tools)

    return asyncio.run(call())


@contextlib.asynccontextmanager
async def connected(stack: Stack, user: str, mode: str) -> AsyncIterator[Any]:
    """The official client, with the user's token."""
    import httpx2
    from mcp import Client
    from mcp.client.streamable_http import streamable_http_client

    token = {name: value for name, value in headers_of(stack, user).items() if name == "authorization"}
    async with (
        httpx2.AsyncClient(headers=token, timeout=10, trust_env=False) as http_client,
        Client(streamable_http_client(stack.url, http_client=http_client), mode=mode) as client,
    ):
        yield client
