"""The static upstream: reads whole HTTP/1.1 requests, answers each with the same bytes.

Usage: upstream.py PORT. One thread, keep-alive, loopback. It understands what
Envoy sends it in the benchmark (a Content-Length, no chunks) and no more, so
that it costs less than what is measured.
"""

import selectors
import socket
import sys

BODY = (
    b'{"jsonrpc":"2.0","id":7,"result":{"resultType":"complete",'
    b'"content":[{"type":"text","text":"handbook: Travel and expenses, 3 hits"}],"isError":false}}'
)
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(BODY), BODY)
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
                        data = data[length:]
                        connection.sendall(ANSWER)
                    pending[connection] = data
                except ConnectionError:
                    received = b""
                if not received:
                    del pending[connection]
                    selector.unregister(connection)
                    connection.close()


if __name__ == "__main__":
    main()
