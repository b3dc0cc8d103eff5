"""The official Python client through the gate: one line of JSON about what its user gets.

    TOKEN=... sdk.py URL auto|legacy

run.py says what to expect; sdk.mjs does the same with the TypeScript clients, and so do those in go and rust.
"""

import asyncio
import json
import logging
import os
import sys
from importlib.metadata import version

import httpx2
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client


async def main(url: str, mode: str) -> dict:
    authorization = {"authorization": f"Bearer {os.environ['TOKEN']}"}
    async with (
        httpx2.AsyncClient(headers=authorization, timeout=10, trust_env=False) as http_client,
        Client(streamable_http_client(url, http_client=http_client), mode=mode) as client,
    ):
        found = {"client": f"python mcp {version('mcp')}", "version": client.protocol_version}
        found["tools"] = sorted(tool.name for tool in (await client.list_tools()).tools)
        found["read"] = await read(client)
        found["resource"] = (await client.read_resource("doc://handbook")).contents[0].text
        prompt = await client.get_prompt("summarize_document", {"id": "handbook"})
        found["prompt"] = prompt.messages[0].content.text
        try:
            result = await client.call_tool("read_payroll", {"employee": "carol"})
            found["denied"] = {"result": result.model_dump(mode="json", by_alias=True, exclude_none=True)}
        except MCPError as error:
            said = {"class": "MCPError", "code": error.code, "message": error.message, "data": error.data}
            found["denied"] = {"error": said}
        found["after"] = await read(client)
        return found


async def read(client: Client) -> str:
    return (await client.call_tool("read_document", {"id": "handbook"})).content[0].text


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # about the denial, which is wanted
    print(json.dumps(asyncio.run(main(*sys.argv[1:]))))
