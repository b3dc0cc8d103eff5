"""The MCP conformance suite against the fixture server, direct and through the gate, and the difference.

    conformance.py              every scenario for servers, of both eras
    conformance.py --all        the same, with a line for each check that fails the same both ways

The suite is @modelcontextprotocol/conformance. A check must end through the gate as it ends without it, but for those
in stricter.json, each with the rule by which the gate refuses; one that no longer differs is an error, too. Last, what
the suite wants of a server's reading of headers is asked of the gate, with a server behind it that reads none.
"""

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import node
from pair import Pair, both, direct, lax, records, running

from harness import Failed, ended, tail

OUT = node.ROOT / "target/conformance"
SUITE = "node_modules/@modelcontextprotocol/conformance/dist/index.js"
LEGACY, MODERN = "2025-11-25", "2026-07-28"
HEADERS = ["http-header-validation", "http-custom-header-server-validation"]
# How a check can end. `INFO` is what the suite saw, with no verdict.
VERDICTS = {"SUCCESS", "FAILURE", "WARNING", "SKIPPED"}


@dataclasses.dataclass(frozen=True)
class Result:
    status: str
    message: str


def suite(url: str, where: Path, *options: str) -> dict[str, Result]:
    """Runs scenarios against a server; the result of each check by scenario, identifier, name and turn."""
    shutil.rmtree(where, ignore_errors=True)
    where.mkdir(parents=True)
    command = node.command(SUITE, "server", "--url", url, "-o", str(where), *options)
    # The status says whether the server conforms; what counts here is the difference.
    with (where / "output.log").open("wb") as log:
        try:
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=300, cwd=where)
        except subprocess.TimeoutExpired as expired:
            raise Failed(f"the suite did not end in 300 s:\n{tail(where / 'output.log')}") from expired
    found: dict[str, Result] = {}
    for file in sorted(where.glob("*/checks.json")):
        scenario = re.sub(r"^server-|-20\d\d-\d\d-\d\dT[\dZ-]+$", "", file.parent.name)
        turns: Counter[str] = Counter()
        for check in json.loads(file.read_text()):
            if check["status"] in VERDICTS:
                name = f"{scenario}: {check['id']}: {check['name']}"
                turns[name] += 1
                found[f"{name} #{turns[name]}"] = Result(check["status"], check.get("errorMessage") or "")
    if not found:
        raise Failed(f"the suite gave no result:\n{tail(where / 'output.log')}")
    return found


def compare(stack: Pair, version: str, everything: bool) -> int:
    """One era both ways; how many checks are not as they should be."""
    before = len(records(stack))
    options = ["--requirements", version]
    alone, gated = both(
        lambda: suite(direct(stack), OUT / version / "direct", *options),
        lambda: suite(stack.url, OUT / version / "gate", *options),
    )
    codes = {record.get("code") for record in records(stack)[before:]}
    stricter = json.loads((node.HERE / "stricter.json").read_text())[version]
    wrong = known = 0
    for name in sorted(alone.keys() | gated.keys()):
        here, there = alone.get(name), gated.get(name)
        expected = stricter.pop(name, None)
        if expected:
            found = {"direct": here and here.status, "gate": there and there.status}
            if found != {side: expected[side] for side in found} or expected["rule"] not in codes:
                wrong += 1
                print(f"  NOT AS IN stricter.json: {name}\n    {found}, rules {sorted(map(str, codes))}")
            else:
                known += 1
                print(f"  stricter: {name}: {expected['rule']}: {expected['why']}")
        elif (here and here.status) != (there and there.status):
            wrong += 1
            print(f"  DIFFERS: {name}\n    direct  {here}\n    gate    {there}")
        elif everything and here and here.status != "SUCCESS":
            print(f"  {here.status} both ways: {name}: {here.message[:200]}")
    for name in stricter:
        wrong += 1
        print(f"  in stricter.json, but there is no such check: {name}")
    ended = Counter(result.status for result in alone.values())
    counts = ", ".join(f"{count} {status.lower()}" for status, count in sorted(ended.items()))
    scenarios = len({name.split(":")[0] for name in alone})
    print(f"conformance {version}: {scenarios} scenarios, {len(alone)} checks direct ({counts}), "
          f"{len(gated)} through the gate, {wrong} differ, {known} stricter as written", flush=True)
    return wrong


def headers(stack: Pair) -> int:
    """The gate's own reading of headers: nothing behind it would notice."""
    failed = 0
    for scenario in HEADERS:
        options = ["--scenario", scenario]
        alone, gated = both(
            lambda: suite(f"http://127.0.0.1:{stack.alone}/lax", OUT / scenario / "direct", *options),
            lambda: suite(lax(stack), OUT / scenario / "gate", *options),
        )
        bad = {name: result for name, result in gated.items() if result.status != "SUCCESS"}
        for name, result in bad.items():
            print(f"  FAILED: {name}: {result}")
        lost = sum(result.status != "SUCCESS" for result in alone.values())
        print(f"conformance {scenario}: a server that reads no header fails {lost} of {len(alone)} checks, "
              f"behind the gate {len(bad)} of {len(gated)}", flush=True)
        # Where the server alone passes, nothing is proven.
        failed += len(bad) + (lost == 0)
    return failed


def main() -> int:
    os.environ["NO_COLOR"] = "1"
    begin = time.monotonic()
    wrong = 0
    with running(OUT, inject=True) as stack:
        for version in (LEGACY, MODERN):
            wrong += compare(stack, version, "--all" in sys.argv[1:])
        wrong += headers(stack)
    print(f"conformance: {'FAILED' if wrong else 'passed'} in {time.monotonic() - begin:.1f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(ended(main))
