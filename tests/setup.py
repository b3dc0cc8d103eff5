#!/usr/bin/env python3
"""Installs the pinned tools of the build, the demo and the tests.

    python3 tests/setup.py NAME...

Everything lands under target/tools (and target/clients); what the machine
itself has is taken where it is new enough. A step whose result is already
there costs nothing: it leaves a stamp that names its versions and its files.
Needs Python 3.9 and nothing else, since it makes the rest.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from tools import envoy, go, judges, node, python, rust  # noqa: F401  (each brings its steps)
from tools.step import BIN, STEPS, stop


def main() -> None:
    names = sys.argv[1:]
    unknown = [name for name in names if name not in STEPS]
    if unknown or not names:
        print(f"usage: python3 {Path(sys.argv[0]).name} NAME...", file=sys.stderr)
        for name in sorted(STEPS):
            print(f"  {name:20} {STEPS[name].__doc__}", file=sys.stderr)
        stop(f"expected names of the list, found {', '.join(unknown) or 'none'}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # make puts our own programs first; asked for here is what the machine has.
    path = os.environ.get("PATH", os.defpath).split(os.pathsep)
    os.environ["PATH"] = os.pathsep.join(entry for entry in path if entry != str(BIN))
    for name in names:
        STEPS[name]()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
