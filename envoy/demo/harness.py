"""What the tour, the tests with real clients and the bench have in common: processes that end with whoever started
them, and trials that say how they went."""

import contextlib
import ctypes
import dataclasses
import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from lay_out import ROOT, shown

TOOLS = ROOT / "target/tools/bin"
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
PR_SET_PDEATHSIG = 1


class Failed(Exception):
    """Something was not as it should be; the text says what, and what to do where that is known."""


# Processes


@dataclasses.dataclass
class Processes:
    """Processes by name, each with a log in one directory; the end of the `with` stops them, however it comes."""

    directory: Path
    started: dict[str, subprocess.Popen[bytes]] = dataclasses.field(default_factory=dict, init=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # A second Ctrl-C waits until everything is stopped.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        for process in reversed(self.started.values()):
            stop(process)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def log(self, name: str) -> Path:
        return self.directory / f"{name}.log"

    def start(
        self, name: str, command: list[str], environment: dict[str, str] | None = None, core: int | None = None
    ) -> subprocess.Popen[bytes]:
        def prepare() -> None:
            """Runs in the child: even a kill -9 of ours leaves nothing behind."""
            if LIBC:
                LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            if core is not None:
                os.sched_setaffinity(0, {core})

        with open(self.log(name), "wb") as out:
            self.started[name] = subprocess.Popen(
                command,
                cwd=ROOT,
                env=os.environ | (environment or {}),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches us alone, and we stop the group
                preexec_fn=prepare,
            )
        return self.started[name]

    def wait_for(self, condition: Callable[[], Any], what: str, seconds: float = 10) -> float:
        """Polls until `condition` holds, for which nobody may refuse to answer; returns the seconds that took."""
        begin = time.monotonic()
        while True:
            for name, process in self.started.items():
                if process.poll() is not None:
                    raise Failed(f"{name} ended with status {process.returncode}:\n{tail(self.log(name))}")
            with contextlib.suppress(OSError, http.client.HTTPException):
                if condition():
                    return time.monotonic() - begin
            if time.monotonic() - begin > seconds:
                raise Failed(f"waited {seconds:.0f} s for {what}; see {shown(self.directory)}/*.log")
            time.sleep(0.02)


def stop(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=5)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def require(file: Path, how: str) -> None:
    if not file.exists():
        raise Failed(f"{shown(file)} is missing; get it with: {how}")


def node() -> str:
    """The Node of tests/setup.py, or the machine's."""
    program = TOOLS / "node"
    return str(program) if program.exists() else "node"


def tail(file: Path) -> str:
    """The end of a log, without what Envoy says when all is well."""
    lines = file.read_text(errors="replace").splitlines() if file.exists() else []
    return "\n".join([line for line in lines if "[info]" not in line][-12:]) or f"nothing of note in {shown(file)}"


# Trials


def differences(expectations: Iterable[tuple[str, Any, Any]]) -> list[str]:
    """What is not as expected, in words."""
    return [
        f"{what}\n    expected  {expected}\n    found     {found}"
        for what, expected, found in expectations
        if expected != found
    ]


def go_through(
    trials: Mapping[str, Callable[[], list[str]]], envoy_log: Path, note: Callable[[str], str] = lambda _: ""
) -> int:
    """Goes through trials, each of which gives its problems, and says how each went; returns how many failed."""
    failed = 0
    for name, trial in trials.items():
        begin = time.monotonic()
        try:
            problems = trial()
        except Exception as error:  # what it is, is the result
            problems = [str(error) if isinstance(error, Failed) else f"{type(error).__name__}: {error}"]
        verdict = "FAILED" if problems else "ok"
        print(f"{verdict}  {name}{note(name)}  {time.monotonic() - begin:.1f} s", flush=True)
        for problem in problems:
            print(f"  {problem}")
        failed += bool(problems)
    if failed:
        print(f"{shown(envoy_log)}:\n{tail(envoy_log)}")
    return failed


def ended(program: Callable[[], int]) -> int:
    """Runs a program, and gives its status. A plain kill, or a terminal that is closed, ends it by way of every
    `finally`, as Ctrl-C does."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: sys.exit(128 + received))
    try:
        return program()
    except Failed as failure:
        print(f"\n{failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
