"""The repertoire of the official Python client: one line of JSON with what each step gave its user.

    TOKEN=... client.py URL auto|legacy

The same is done by client.mjs with the TypeScript clients; repertoire.py compares.
"""

import asyncio
import json
import logging
import os
import sys
import warnings
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Any

import httpx2
from mcp import Client, types
from mcp.client.streamable_http import streamable_http_client

URI = "test://watched-resource"
INFO = types.Implementation(name="mcp-gate-tests", version="1.0.0")
steps: dict[str, Any] = {}
logged: list[Any] = []
changes: list[str] = []


def plain(value: Any) -> Any:
    """What a model holds, as JSON has it."""
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value.model_dump(mode="json", by_alias=True, exclude_none=True) if hasattr(value, "model_dump") else value


async def step(name: str, run: Callable[[], Awaitable[Any]]) -> None:
    try:
        steps[name] = plain(await run())
    except Exception as error:  # what it is, is the result
        said = {"class": type(error).__name__, "code": getattr(error, "code", None), "message": str(error)}
        steps[name] = {"error": said}


async def elicit(_: Any, params: Any) -> types.ElicitResult:
    fill = {"boolean": True, "string": "Ada"}
    fields = params.requested_schema["properties"]
    content = {name: field.get("default", fill.get(field["type"])) for name, field in fields.items()}
    return types.ElicitResult(action="accept", content=content)


async def sample(_: Any, params: Any) -> types.CreateMessageResult:
    content = types.TextContent(type="text", text="forty-two")
    return types.CreateMessageResult(role="assistant", model="none", content=content)


async def roots(_: Any) -> types.ListRootsResult:
    return types.ListRootsResult(roots=[types.Root(uri="file:///tmp/project", name="project")])


async def log(params: Any) -> None:
    logged.append(plain(params))


async def hear(message: Any) -> None:
    if isinstance(message, types.ResourceUpdatedNotification):
        changes.append(str(message.params.uri))
    if isinstance(message, types.ToolListChangedNotification):
        changes.append("tools")


async def main(url: str, mode: str) -> dict[str, Any]:
    authorization = {"authorization": f"Bearer {os.environ['TOKEN']}"}
    async with (
        httpx2.AsyncClient(headers=authorization, timeout=20, trust_env=False) as http_client,
        Client(
            streamable_http_client(url, http_client=http_client),
            mode=mode,
            client_info=INFO,
            elicitation_callback=elicit,
            sampling_callback=sample,
            list_roots_callback=roots,
            logging_callback=log,
            log_level="debug",
            message_handler=hear,
            cache=None,
        ) as client,
    ):
        await repertoire(client)
        found = {"client": f"python mcp {version('mcp')}", "version": client.protocol_version, "steps": steps}
    return found


async def repertoire(client: Client) -> None:
    modern = client.protocol_version >= "2026"

    async def text(tool: str, given: dict[str, Any]) -> str:
        return (await client.call_tool(tool, given)).content[0].text

    async def every(list_page: Callable[..., Awaitable[Any]], member: str) -> list[Any]:
        page = await list_page()
        found = list(getattr(page, member))
        while page.next_cursor:
            page = await list_page(cursor=page.next_cursor)
            found += getattr(page, member)
        return found

    async def server() -> Any:
        return [plain(client.server_info), plain(client.server_capabilities)]

    await step("server", server)
    await step("list tools", lambda: every(client.list_tools, "tools"))
    await step("list prompts", lambda: every(client.list_prompts, "prompts"))
    await step("list resources", lambda: every(client.list_resources, "resources"))
    await step("list templates", lambda: every(client.list_resource_templates, "resource_templates"))
    for tool in ["simple_text", "image_content", "audio_content", "embedded_resource", "multiple_content_types"]:
        await step(f"call {tool}", lambda tool=tool: client.call_tool(f"test_{tool}"))
    await step("call a tool that fails", lambda: client.call_tool("test_error_handling"))
    await step("refused: call no tool", lambda: client.call_tool("no_such_tool"))
    for region in ["eu-west-1", " a b ", "Zürich ☃", "=?base64?eA==?=", ""]:
        given = {"region": region, "level": 1}
        await step(f"call with the region `{region}`", lambda given=given: client.call_tool("test_x_mcp_header", given))
    for uri in ["static-text", "static-binary", "template/ü 1/data"]:
        await step(f"read {uri}", lambda uri=uri: client.read_resource(f"test://{uri}"))
    await step("refused: read nothing", lambda: client.read_resource("test://nothing"))
    await step("prompt", lambda: client.get_prompt("test_simple_prompt"))
    words = {"arg1": "ä", "arg2": '{"b":[1e3]}'}
    await step("prompt with arguments", lambda: client.get_prompt("test_prompt_with_arguments", words))
    argument = {"name": "arg1", "value": "par"}
    prompt = types.PromptReference(type="ref/prompt", name="test_prompt_with_arguments")
    await step("complete", lambda: client.complete(prompt, argument))
    template = types.ResourceTemplateReference(type="ref/resource", uri="test://template/{id}/data")
    await step("complete a uri", lambda: client.complete(template, argument))

    async def progress() -> Any:
        seen = []

        async def saw(*what: Any) -> None:
            seen.append(what)

        result = await client.call_tool("test_tool_with_progress", progress_callback=saw)
        return [seen, plain(result)]

    await step("progress", progress)
    if not modern:
        await step("set the level", lambda: client.set_logging_level("debug"))

    async def logging_tool() -> Any:
        result = await client.call_tool("test_tool_with_logging")
        return [logged, plain(result)]

    await step("log", logging_tool)

    async def cancel() -> Any:
        key = {"key": f"python-{modern}-{os.getpid()}"}
        task = asyncio.ensure_future(client.call_tool("slow", key))
        begun = await text("has_begun", key)
        task.cancel()
        left = await asyncio.gather(task, return_exceptions=True)
        return [begun, type(left[0]).__name__, await text("was_cancelled", key)]

    await step("cancel", cancel)
    await step("elicit", lambda: client.call_tool("test_elicitation", {"message": "Who is there?"}))
    await step("sample", lambda: client.call_tool("test_sampling", {"prompt": "What is the answer?"}))
    await step("roots", lambda: client.call_tool("test_input_required_result_list_roots"))
    await step("elicit twice", lambda: client.call_tool("test_input_required_result_multi_round"))
    await step("ask three things at once", lambda: client.call_tool("test_input_required_result_multiple_inputs"))
    await step("bring a state back", lambda: client.call_tool("test_input_required_result_request_state"))
    if modern:
        await step("prompt that asks", lambda: client.get_prompt("test_input_required_result_prompt"))

    async def subscribe() -> Any:
        await client.subscribe_resource(URI)
        heard = []
        for what, tool, given in [(URI, "touch", {"uri": URI}), ("tools", "test_trigger_tool_change", {})]:
            # What comes by another stream is asked for until that stream is there.
            for _ in range(50):
                if what not in changes:
                    await client.call_tool(tool, given)
                    await asyncio.sleep(0.1)
            heard.append(what in changes)
        await client.unsubscribe_resource(URI)
        return heard

    async def listen() -> Any:
        heard = []
        async with client.listen(resource_subscriptions=[URI], tools_list_changed=True) as events:
            await client.call_tool("touch", {"uri": URI})
            heard.append(repr(await asyncio.wait_for(anext(aiter(events)), 10)))
            await client.call_tool("test_trigger_tool_change")
            heard.append(repr(await asyncio.wait_for(anext(aiter(events)), 10)))
        return heard

    await step("subscribe", listen if modern else subscribe)
    if not modern:
        await step("ping", client.send_ping)
        await step("roots have changed", client.send_roots_list_changed)

        async def resume() -> Any:
            return [plain(await client.call_tool("test_reconnection")), await text("resumed", {})]

        await step("resume", resume)


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")  # about what the modern era no longer has
    print(json.dumps(asyncio.run(main(*sys.argv[1:]))))
