"""The scripts of this directory for Node, beside their packages. Whoever imports it finds the modules of envoy/demo."""

import os
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "envoy/demo"))

import harness  # noqa: E402

CLIENTS = ROOT / "target/clients"  # with the packages, made by tests/setup.py


def prepare() -> None:
    """Puts the scripts where Node finds the packages."""
    harness.require(CLIENTS / "node_modules/@modelcontextprotocol/client", "python3 tests/setup.py clients")
    for file in HERE.glob("*.mjs"):
        # As a whole, since another program's clients may be reading it.
        whole = CLIENTS / f"{file.name}.{os.getpid()}"
        shutil.copy(file, whole)
        whole.replace(CLIENTS / file.name)


def command(script: str, *arguments: str) -> list[str]:
    return [harness.node(), str(CLIENTS / script), *arguments]
