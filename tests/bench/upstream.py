"""The static upstream: reads whole HTTP/1.1 requests, answers each with the same bytes.

Usage: upstream.py PORT. One thread, keep-alive, loopback. It understands what
Envoy sends it in the benchmark (a Content-Length, no chunks) and no more, so
that it costs less than what is measured. Asked for the tools, it lists a hundred,
of which the last is called after the page that was asked for.
"""

import json
import selectors
import socket
import sys

BODY = (
    b'{"jsonrpc":"2.0","id":7,"result":{"resultType":"complete",'
    b'"content":[{"type":"text","text":"handbook: Travel and expenses, 3 hits"}],"isError":false}}'
)
PROPERTIES = {
    "query": {"type": "string", "description": "What to look for, in words"},
    "limit": {"type": "integer", "minimum": 1, "maximum": 100, "default": 10},
}
TOOLS = [
    {
        "name": f"tool_{number:02}",
        "title": f"Tool {number}",
        "description": "Looks through all that is known of one subject, and gives what is nearest to the question.",
        "inputSchema": {"type": "object", "properties": PROPERTIES, "required": ["query"]},
        "annotations": {"readOnlyHint": True, "openWorldHint": False},
    }
    for number in range(100)
]
LIST = {"jsonrpc": "2.0", "id": 7, "result": {"resultType": "complete", "ttlMs": 60000, "cacheScope": "private", "tools": TOOLS}}
LISTED = b"\r\nmcp-method: tools/list\r\n"
CURSOR = b'"cursor":"'
PAGE = 10


def answer(body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return head % len(body) + body


ANSWER = answer(BODY)
# Up to the name of the last tool, and behind it.
BEFORE, AFTER = answer(json.dumps(LIST).replace("tool_99", f"tool_99_{'#' * PAGE}").encode()).split(b"#" * PAGE)


def answer_to(data: bytes) -> bytes:
    """What one whole request gets."""
    if LISTED not in data:
        return ANSWER
    at = data.find(CURSOR) + len(CURSOR)
    return BEFORE + (data[at : at + PAGE] if CURSOR in data else b"0" * PAGE) + AFTER


LENGTH = b"\r\ncontent-length: "


def whole(data: bytes) -> int:
    """The length of the first request in `data`, or 0 while it is not complete."""
    end = data.find(b"\r\n\r\n") + 4
    if end < 4:
        return 0
    at = data.find(LENGTH, 0, end)
    if at >= 0:
        at += len(LENGTH)
        end += int(data[at : data.index(b"\r", at)])
    return end if len(data) >= end else 0


def main() -> None:
    selector = selectors.DefaultSelector()
    with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as server:
        selector.register(server, selectors.EVENT_READ)
        pending: dict[socket.socket, bytes] = {}
        while True:
            for key, _ in selector.select():
                connection = key.fileobj
                if connection is server:
                    connection, _ = server.accept()
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    selector.register(connection, selectors.EVENT_READ)
                    pending[connection] = b""
                    continue
                try:
                    received = connection.recv(65536)
                    data = pending[connection] + received
                    while length := whole(data):
                        connection.sendall(answer_to(data[:length]))
                        data = data[length:]
                    pending[connection] = data
                except ConnectionError:
                    received = b""
                if not received:
                    del pending[connection]
                    selector.unregister(connection)
                    connection.close()


if __name__ == "__main__":
    main()
