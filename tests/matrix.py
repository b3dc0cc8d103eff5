"""Runs what goes through Envoy on every Envoy of tests/matrix.txt, and on the pinned one.

The module is the same, and so are the cases: one line for each version, what
failed, and a summary; 1 if something failed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / "target" / "tools"
LOGS = ROOT / "target" / "matrix"
# What goes through Envoy; each is the start of the names of some tests.
PARTS = ("envoy/", "framing/", "streams/", "reload/")


def versions() -> list[Path]:
    """The binaries, oldest first; words of the command line choose some of them."""
    chosen = sys.argv[1:]
    found = [path / "envoy" for path in sorted((TOOLS / "envoys").iterdir(), key=lambda path: number(path.name))]
    found.append(Path(os.environ.get("MCP_GATE_ENVOY") or TOOLS / "bin" / "envoy"))
    return [path for path in found if not chosen or path.parent.name in chosen]


def number(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"[0-9]+", version)]


def version_of(envoy: Path) -> str:
    said = subprocess.run([envoy, "--version"], check=True, stdout=subprocess.PIPE, text=True).stdout
    found = re.search(r"/([0-9]+\.[0-9]+\.[0-9]+)", said)
    return found[1] if found else sys.exit(f"matrix: {envoy} names no version")


def run(envoy: Path) -> bool:
    """All parts on one Envoy; whether all of it passed."""
    version, start = version_of(envoy), time.monotonic()
    passed = failed = 0
    cases = framings = requests = "0"
    problems = []
    for part in PARTS:
        command = ["cargo", "test", "--locked", "--quiet", "--test", "suite", "--", part]
        done = subprocess.run(
            command, cwd=ROOT, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, "MCP_GATE_ENVOY": str(envoy)},
        )
        (LOGS / f"{version}-{part.strip('/')}.log").write_text(done.stdout)
        result = re.search(r"([0-9]+) passed; ([0-9]+) failed", done.stdout)
        if result is None or (not int(result[1]) and not int(result[2])):
            problems.append(f"{part} did not run; see {LOGS}/{version}-{part.strip('/')}.log")
            continue
        passed += int(result[1])
        failed += int(result[2])
        if done.returncode and not int(result[2]):
            problems.append(f"{part} ended with {done.returncode}")
        failures = done.stdout.rpartition("\nfailures:\n")[2].partition("\ntest result:")[0]
        problems += [line.strip() for line in failures.splitlines() if line.strip() and int(result[2])]
        if counts := re.search(r"([0-9]+) through Envoy \S+, in ([0-9]+) framings, ([0-9]+) requests", done.stdout):
            cases, framings, requests = counts.groups()
    seconds = time.monotonic() - start
    print(
        f"Envoy {version}: {cases} cases in {framings} framings, {requests} requests; "
        f"{passed} tests passed, {failed} failed, {seconds:.0f} s",
        flush=True,
    )
    for problem in problems:
        print(f"  {problem}", flush=True)
    return not problems


def main() -> int:
    LOGS.mkdir(parents=True, exist_ok=True)
    results = [(version_of(envoy), run(envoy)) for envoy in versions()]
    bad = [version for version, good in results if not good]
    verdict = f"failed on {', '.join(bad)}" if bad else "all passed"
    print(f"matrix: {len(results)} versions of Envoy, {verdict}; logs: {LOGS}")
    return 1 if bad or not results else 0


if __name__ == "__main__":
    sys.exit(main())
