"""What a step of setup is: its stamp, the commands that it runs, the files that it makes."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable, Iterator, NoReturn, Sequence

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "target" / "tools"
BIN = TOOLS / "bin"
CLIENTS = ROOT / "target" / "clients"

# By the names that setup.py takes; the docstring says what a step brings.
STEPS: dict[str, Callable[[], None]] = {}
_step: list[str] = []


def named(name: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Offers a function as a step."""

    def offer(function: Callable[[], None]) -> Callable[[], None]:
        STEPS[name] = function
        return function

    return offer


@contextlib.contextmanager
def step(name: str, key: Sequence[object]) -> Iterator[list[Path] | None]:
    """Runs the body of a step unless its stamp says that nothing changed.

    Yields None then, and otherwise the list for the files it makes; they and
    `key` are the stamp. A lock per step keeps two callers apart.
    """
    digest = hashlib.sha256(json.dumps(key, default=str).encode()).hexdigest()
    stamp = TOOLS / "stamps" / name

    def fresh() -> bool:
        with contextlib.suppress(OSError, ValueError):
            saved = json.loads(stamp.read_text())
            return saved["key"] == digest and all(os.path.exists(file) for file in saved["files"])
        return False

    if fresh():
        yield None
        return
    stamp.parent.mkdir(parents=True, exist_ok=True)
    BIN.mkdir(parents=True, exist_ok=True)
    with (stamp.parent / f"{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say(f"{name}: waiting for another setup")
            fcntl.flock(lock, fcntl.LOCK_EX)
        if fresh():
            yield None
            return
        stamp.unlink() if stamp.exists() else None
        _step.append(name)
        log_file().write_bytes(b"")
        say(f"{name}: {STEPS[name].__doc__}")
        start = time.monotonic()
        made: list[Path] = []
        yield made
        missing = [str(file) for file in made if not file.exists()]
        if missing:
            stop(f"{name}: expected {', '.join(missing)} to be there now; log: {log_file()}")
        if made:  # otherwise it is tried again
            write(stamp, json.dumps({"key": digest, "files": [str(file) for file in made]}))
        say(f"{name}: done in {time.monotonic() - start:.1f} s")
        _step.pop()


# Commands


def run(
    command: list[str], check: bool = True, env: dict[str, str] | None = None, cwd: Path = ROOT
) -> bool:
    """Runs a command with its output in the log, and says that it still runs."""
    name = _step[-1]
    with log_file().open("ab") as log:
        log.write(f"$ {' '.join(map(shlex.quote, command))}\n".encode())
        log.flush()
        try:
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=cwd,
                env={**os.environ, **(env or {})}, start_new_session=True,
            )
        except OSError as error:
            log.write(f"{error}\n".encode())
            if check:
                stop(f"{name}: {command[0]}: {error.strerror}")
            return False
        start = time.monotonic()
        try:
            while child.poll() is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(10)
                if child.poll() is None:
                    say(f"{name}: {shown(command)}, {time.monotonic() - start:.0f} s")
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGTERM)
                child.wait()
    if check and child.returncode != 0:
        tail = log_file().read_text(errors="replace").splitlines()[-15:]
        print("\n".join(f"  {line[:200]}" for line in tail), file=sys.stderr)
        stop(f"{name}: {shown(command)} failed (status {child.returncode}); log: {log_file()}")
    return child.returncode == 0


def shown(command: list[str]) -> str:
    """The words of a command that say what it does, for one line."""
    words = [Path(word).name if word.startswith("/") else word for word in command]
    return " ".join([word for word in words if not word.startswith("-")][:4])


def output(command: list[str]) -> str:
    """What a command prints, on either stream; nothing where it cannot run."""
    try:
        answer = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace", cwd=ROOT, timeout=60,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout if answer.returncode == 0 else ""


def newer(found: str, wanted: str) -> bool:
    """Whether the first version number in a text is at least the wanted one."""
    number = re.search(r"\d+(\.\d+)+|\d+", found)
    return number is not None and parts(number.group()) >= parts(wanted)


def parts(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]


def which(name: str, how: str) -> str:
    path = shutil.which(name)
    if path is None:
        stop(f"{name}: not found. How to get it: {how}")
    return path


def stamp_of(path: str | None) -> float:
    return os.stat(path).st_mtime if path else 0


# Files


def link(name: str, target: Path) -> None:
    place = BIN / name
    fresh = BIN / f".{name}.{os.getpid()}"
    fresh.symlink_to(target)
    fresh.replace(place)


def script(place: Path, line: str) -> None:
    write(place, f"#!/bin/sh\n{line}\n").chmod(0o755)


def write_env(place: Path, exports: dict[str, str]) -> None:
    write(place, "".join(f"export {name}={shlex.quote(value)}\n" for name, value in exports.items()))


def write(place: Path, text: str) -> Path:
    """Writes a file at once, so that a reader never sees half of it."""
    fresh = place.with_name(f".{place.name}.{os.getpid()}")
    fresh.write_text(text)
    fresh.replace(place)
    return place


def read(name: str) -> str:
    return (ROOT / name).read_text()


def log_file() -> Path:
    return TOOLS / "stamps" / f"{_step[-1]}.log"


# What is said


def say(text: str) -> None:
    print(f"setup: {text}", flush=True)


def stop(text: str) -> NoReturn:
    print(f"setup: {text}", file=sys.stderr)
    sys.exit(1)
