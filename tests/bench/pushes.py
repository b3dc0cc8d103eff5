"""What the push of a large policy costs a gate that serves.

A policy of 1 MiB is swapped in, the way the kubelet updates a ConfigMap, for another
of that size, while one client calls all the while on one connection. `total` is
from the swap to the first answer by the new policy; `stall` is the longest time between two
answers meanwhile; `quiet` is the same without a push, and what the machine does
by itself.
"""

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import lay_out
import policies
from harness import Failed, Processes
from sides import WORK, call, claims, cores, filter_text, given, request, search, start

NAME = "load"
# Longer than any push may take, in seconds.
PATIENCE = 60
# How long is called before a push, and after it.
AROUND = 1.0


def measure(processes: Processes, envoy: str, module: Path, upstream: int, count: int) -> dict[str, list[float]]:
    """Milliseconds, of each of `count` pushes."""
    keys = lay_out.keys(WORK)
    side = start(processes, NAME, envoy, keys, module, upstream, 1)
    # What is swapped in turns between a policy that grants the search and one that does not.
    texts = [filter_text(keys, module, given(policies.megabyte(grants))) for grants in (False, True)]
    measured: dict[str, list[float]] = {"total": [], "stall": [], "quiet": []}
    token = lay_out.token(keys, claims())
    status, answer = call(side.port, token, search())
    if status != 200:
        raise Failed(f"`{NAME}` answered {status} before a push, expected 200: {answer[:200]!r}")
    with on_core(cores()[1]), socket.create_connection(("127.0.0.1", side.port), timeout=PATIENCE) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        calls = answers(connection, request(search(), token))
        # The first comes into the place of a small one, and is not counted.
        for number in range(count + 1):
            expected = b"403" if number % 2 == 0 else b"200"
            quiet, _ = longest(calls, until=AROUND)
            began = time.monotonic()
            lay_out.swap(WORK / NAME / "gate", texts[number % 2])
            before, arrived = longest(calls, status=expected)
            after, _ = longest(calls, until=AROUND)
            if number:
                for name, seconds in (("total", arrived - began), ("stall", max(before, after)), ("quiet", quiet)):
                    measured[name].append(seconds * 1000)
    return measured


@contextlib.contextmanager
def on_core(core: int) -> Iterator[None]:
    usable = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, usable)


def answers(connection: socket.socket, sent: bytes) -> Iterator[tuple[float, bytes]]:
    """Calls again and again; when each answer was there, and its status."""
    reader = connection.makefile("rb")
    while True:
        connection.sendall(sent)
        status = reader.readline().split(b" ")[1]
        length = 0
        while (line := reader.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            if name == b"content-length":
                length = int(value)
        reader.read(length)
        yield time.monotonic(), status


def longest(calls: Iterator[tuple[float, bytes]], until: float = PATIENCE, status: bytes | None = None) -> tuple[float, float]:
    """The longest time between two answers, for so many seconds or until one has this status; and when that was."""
    began = last = time.monotonic()
    most = 0.0
    for at, found in calls:
        most, last = max(most, at - last), at
        if found == status or (status is None and at - began > until):
            return most, at
        if at - began > PATIENCE or found not in (b"200", b"403"):
            raise Failed(f"`{NAME}` answered {found!r} {at - began:.0f} s after a push, expected {status!r}; its log is in {WORK}")
    raise Failed(f"`{NAME}` ended the connection")
