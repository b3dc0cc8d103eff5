"""The demo MCP server: a small document store, without a line about who may do what.

It is what mcp-gate protects in `make run` and in the tests: the official Python SDK, Streamable HTTP,
both protocol eras on /mcp. It never sees a token; who calls is in the x-mcp-gate-* headers, which only
the gate can set. Each HTTP request that arrives becomes one line of JSON in --log, so that a denial
can be proven by the line that is not there.
"""

import argparse
import json
from functools import partial
from typing import Annotated, Any, TextIO

import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.resources import FunctionResource
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types import ToolAnnotations
from pydantic import BaseModel, Field


class Document(BaseModel):
    id: str
    title: str
    folder: str
    owner: str
    text: str
    shared_with: list[str] = []


STORED = [
    Document(id="q3-report", title="Third quarter", folder="finance", owner="alice", text="Revenue rose by 4 %."),
    Document(id="budget", title="Budget for next year", folder="finance", owner="alice", text="One espresso machine."),
    Document(
        id="handbook", title="Employee handbook", folder="people", owner="bob", text="Be kind. Write things down."
    ),
]
DOCUMENTS = {document.id: document for document in STORED}
PAYROLL = {"alice": 5200, "bob": 4700, "carol": 5600}

READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
WRITES = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
DESTROYS = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False)

server = MCPServer("documents", title="Demo document store", version="1.0.0", log_level="WARNING")


def find(id: str) -> Document:
    if id not in DOCUMENTS:
        raise ToolError(f"no document `{id}`; there are: {', '.join(DOCUMENTS)}")
    return DOCUMENTS[id]


def caller(context: Context) -> str:
    """The verified subject, as the gate states it; without a gate in front there is none."""
    return (context.headers or {}).get("x-mcp-gate-subject", "somebody unverified")


@server.tool(annotations=READS)
def list_documents() -> str:
    """List all documents with folder and owner."""
    return "\n".join(f"{d.folder}/{d.id}: {d.title} (owner {d.owner})" for d in DOCUMENTS.values())


@server.tool(annotations=READS)
def search_documents(query: str, limit: int = 10) -> str:
    """Find documents that contain a word."""
    word = query.lower()
    found = [d for d in DOCUMENTS.values() if word in f"{d.id} {d.title} {d.text}".lower()]
    return "\n".join(f"{d.id}: {d.title}" for d in found[:limit]) or "nothing found"


@server.tool(annotations=READS)
def read_document(id: str) -> str:
    """Read one document."""
    return find(id).text


@server.tool(annotations=DESTROYS)
def edit_document(id: str, text: str, context: Context) -> str:
    """Replace the text of a document."""
    find(id).text = text
    return f"{id} saved by {caller(context)}"


@server.tool(annotations=WRITES)
def share_document(id: str, with_: Annotated[str, Field(validation_alias="with")], context: Context) -> str:
    """Share a document with somebody."""
    document = find(id)
    if with_ not in document.shared_with:
        document.shared_with.append(with_)
    return f"{id} shared with {with_} by {caller(context)}"


@server.tool(annotations=DESTROYS)
def delete_document(id: str, context: Context) -> str:
    """Delete a document."""
    del DOCUMENTS[find(id).id]
    return f"{id} deleted by {caller(context)}"


@server.tool(annotations=READS)
def read_payroll(employee: str) -> str:
    """Read what an employee earns."""
    if employee not in PAYROLL:
        raise ToolError(f"no employee `{employee}`; there are: {', '.join(PAYROLL)}")
    return f"{employee} earns {PAYROLL[employee]} a month"


@server.resource("doc://{id}", mime_type="text/plain")
def document(id: str) -> str:
    """The text of a document."""
    return find(id).text


for each in DOCUMENTS.values():
    server.add_resource(
        FunctionResource(uri=f"doc://{each.id}", name=each.title, mime_type="text/plain", fn=partial(document, each.id))
    )


@server.prompt()
def summarize_document(id: str) -> str:
    """Ask for a summary of a document."""
    return f"Summarize this document in one sentence.\n\n{find(id).text}"


def logged(app: Any, log: TextIO) -> Any:
    """The same ASGI application, after each request has been written to `log`."""

    async def logging_app(scope: dict, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return await app(scope, receive, send)
        messages = []
        while True:
            messages.append(await receive())
            if not messages[-1].get("more_body"):
                break
        body = b"".join(message.get("body", b"") for message in messages)
        log.write(json.dumps(line(scope, body)) + "\n")
        log.flush()

        async def replay() -> dict:
            return messages.pop(0) if messages else await receive()

        await app(scope, replay, send)

    return logging_app


def line(scope: dict, body: bytes) -> dict:
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
    try:
        message = json.loads(body)
    except ValueError:
        message = None
    message = message if isinstance(message, dict) else {}
    params = message.get("params")
    params = params if isinstance(params, dict) else {}
    return {
        "http": scope["method"],
        "path": scope["path"],
        "bytes": len(body),
        "method": message.get("method"),
        "name": params.get("name") or params.get("uri"),
        "gate": {name: value for name, value in headers if name.startswith("x-mcp-gate-")},
        "authorization": any(name == "authorization" for name, _ in headers),  # never its value
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--port", type=int, default=8000, help="on 127.0.0.1 (8000)")
    arguments.add_argument("--log", default="/dev/stdout", help="where the lines of JSON go (standard output)")
    options = arguments.parse_args()
    # Envoy passes the client's Host on, so any port of this machine's own name is right, and nothing else.
    hosts = TransportSecuritySettings(allowed_hosts=["127.0.0.1", "127.0.0.1:*", "localhost", "localhost:*"])
    app = server.streamable_http_app(transport_security=hosts)
    with open(options.log, "a", encoding="utf-8") as log:
        uvicorn.run(
            logged(app, log), host="127.0.0.1", port=options.port, log_level="warning", timeout_graceful_shutdown=1
        )


if __name__ == "__main__":
    main()
