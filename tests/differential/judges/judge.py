"""Judges of the differential test: Python's json, pydantic, orjson, and the official SDK's reading.

A frame is four bytes of length, little-endian, and its content. The first frame out names the readers. After that each
frame in is a batch of cases (a frame each: one byte, 1 where the reading is wanted, and the text), and the frame out
that answers it holds for each case a frame per reader: `-` and why the text is refused, or `+` and the reading, both
without words where no reading is wanted. reading.rs says what a reading looks like.
"""

from __future__ import annotations

import json
import marshal
import platform
import struct
import sys
from importlib.metadata import version
from typing import Any, Callable

import orjson
import pydantic_core
from mcp.types import jsonrpc_message_adapter

DOUBLE = struct.Struct(">d")
LENGTH = struct.Struct("<I")
ABSENT = object()
PATHS = [
    ("", ("method",)),
    ("", ("id",)),
    ("", ("params", "name")),
    ("", ("params", "uri")),
    ("", ("params", "taskId")),
    ("", ("params", "arguments")),
    ("", ("params", "_meta")),
    ("", ("params", "cursor")),
    ("", ("params", "requestState")),
    ("", ("params", "inputResponses")),
    ("", ("params", "task")),
    ("", ("params", "_meta", "io.modelcontextprotocol/protocolVersion")),
    ("", ("params", "_meta", "io.modelcontextprotocol/clientCapabilities")),
    ("completion/complete", ("params", "ref", "type")),
    ("completion/complete", ("params", "ref", "name")),
    ("completion/complete", ("params", "ref", "uri")),
    ("subscriptions/listen", ("params", "notifications", "resourceSubscriptions")),
    ("subscriptions/listen", ("params", "notifications", "taskIds")),
]


def first_of_two(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Where a member stands twice, the first counts. There are parsers of that kind, none of them in Python."""
    members: dict[str, Any] = {}
    for name, value in pairs:
        members.setdefault(name, value)
    return members


def message(text: bytes) -> dict[str, Any]:
    """As the official SDK's server takes it (mcp.server.streamable_http)."""
    read = jsonrpc_message_adapter.validate_python(pydantic_core.from_json(text), by_name=False)
    return {name: getattr(read, name) for name in ("method", "id", "params") if getattr(read, name, None) is not None}


# The name, how it reads, and whether the whole document is left of it.
READERS: list[tuple[str, Callable[[bytes], Any], bool]] = [
    (f"Python {platform.python_version()} json", json.loads, True),
    ("Python json, the first of two members", lambda text: json.loads(text, object_pairs_hook=first_of_two), True),
    (f"pydantic_core {pydantic_core.__version__}", pydantic_core.from_json, True),
    (f"orjson {orjson.__version__}", orjson.loads, True),
    (f"Python SDK {version('mcp')}", message, False),
]


def canonical(value: Any, out: list[bytes]) -> None:
    if isinstance(value, str):
        text = value.encode("utf-8", "surrogatepass")
        out.append(b'"%d:%b' % (len(text), text))
    elif isinstance(value, dict):
        out.append(b"{")
        # Code points sort as their UTF-8 does.
        for name in sorted(value):
            canonical(name, out)
            canonical(value[name], out)
        out.append(b"}")
    elif isinstance(value, list):
        out.append(b"[")
        for item in value:
            canonical(item, out)
        out.append(b"]")
    elif value is None:
        out.append(b"n")
    elif isinstance(value, bool):
        out.append(b"t" if value else b"f")
    else:
        out.append(number(value))


def number(value: int | float) -> bytes:
    try:
        double = float(value)
    except OverflowError:
        return b"i%d" % value
    if isinstance(value, int) and int(double) != value:
        return b"i%d" % value
    return b"#" + DOUBLE.pack(double).hex().encode()


def at(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        if not isinstance(value, dict) or name not in value:
            return ABSENT
        value = value[name]
    return value


def reading(document: Any, is_whole: bool) -> bytes:
    count = len(document) if isinstance(document, list) else int(isinstance(document, dict))
    method = document.get("method") if isinstance(document, dict) else None
    out = [b"%d" % count]
    for asked, path in PATHS:
        found = at(document, path) if not asked or method == asked else ABSENT
        if found is ABSENT:
            out.append(b"!")
        else:
            canonical(found, out)
    if is_whole:
        canonical(document, out)
    else:
        out.append(b"?")
    return b"".join(out)


def answer(
    read: Callable[[bytes], Any], is_whole: bool, text: bytes, wanted: bool, known: dict[bytes, bytes]
) -> bytes:
    try:
        document = read(text)
        if not wanted:
            return b"+"
        # The same objects, to the type and the last bit, have the same reading.
        exact = marshal.dumps((document, is_whole), 2)
        if exact not in known:
            known[exact] = reading(document, is_whole)
        return b"+" + known[exact]
    except Exception as error:  # noqa: BLE001 - whatever it is, the text is refused
        # The sentence takes longer than the reading.
        return b"-" if not wanted else b"-" + f"{type(error).__name__}: {error}"[:200].encode("utf-8", "replace")


def main() -> None:
    source, sink = sys.stdin.buffer, sys.stdout.buffer

    def send(content: bytes) -> None:
        sink.write(LENGTH.pack(len(content)) + content)
        sink.flush()

    send("\n".join(name for name, _, _ in READERS).encode())
    while head := source.read(4):
        batch = source.read(LENGTH.unpack(head)[0])
        place, out = 0, []
        while place < len(batch):
            end = place + 4 + LENGTH.unpack_from(batch, place)[0]
            wanted, text = batch[place + 4] == 1, batch[place + 5 : end]
            known: dict[bytes, bytes] = {}
            for _, read, is_whole in READERS:
                content = answer(read, is_whole, text, wanted, known)
                out.append(LENGTH.pack(len(content)))
                out.append(content)
            place = end
        send(b"".join(out))


if __name__ == "__main__":
    main()
