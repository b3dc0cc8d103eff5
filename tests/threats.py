"""Holds the catalogue of threats against the tests: every row has one, or a reason.

A test covers a row if its name holds the row's identifier. That proves that somebody
wrote a test for the row, and with `make test` that it passes; whether it asserts what
the row says is for its reader to judge. `tests/threats.json` says what each row is, and
why one has no test. Where the catalogue itself is at hand
(`../shared/reference/threats.md`, or $MCP_GATE_THREATS), no row of it may be missing
there, and none too many.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CATALOGUE = Path(os.environ.get("MCP_GATE_THREATS") or ROOT.parent / "shared/reference/threats.md")
IDENTIFIER = r"(?:INV|JSON|HTTP|RPC|SESS|JWT|JWK|REGO|PW|MCP)-[0-9]+"
# The sections whose rows are in tests/threats.json so far.
SECTIONS = ("0.1", "1", "2", "3", "4", "5")
# Rows of other sections that are there already.
ROWS = ("MCP-03", "MCP-04", "MCP-17")
REASONS = ("waits", "not_applicable")


def trials() -> dict[str, list[str]]:
    """The names of the tests that hold each identifier."""
    command = ["cargo", "test", "--locked", "--quiet", "--test", "*", "--", "--list"]
    listed = subprocess.run(command, cwd=ROOT, check=False, stdout=subprocess.PIPE, text=True)
    names = [line.removesuffix(": test") for line in listed.stdout.splitlines() if line.endswith(": test")]
    if listed.returncode or not names:
        sys.exit(f"threats: `{' '.join(command)}` names no test")
    found: dict[str, list[str]] = {}
    for name in names:
        for identifier in re.findall(rf"(?<![A-Z]){IDENTIFIER}(?![0-9])", name):
            found.setdefault(identifier, []).append(name)
    return found


def rows() -> list[dict[str, str]]:
    """The rows of `tests/threats.json`."""
    found = json.loads((ROOT / "tests/threats.json").read_text(encoding="utf-8"))
    for row in found:
        reasons = [reason for reason in REASONS if reason in row]
        if not row.keys() <= {"id", "what", *REASONS} or len(reasons) > 1:
            sys.exit(f"threats.json: {row}: expected `id`, `what`, and `waits` or `not_applicable`")
        if not re.fullmatch(IDENTIFIER, row["id"]) or not all(row.values()) or not row.get("what"):
            sys.exit(f"threats.json: {row}: expected an identifier, and texts that say something")
    identifiers = [row["id"] for row in found]
    if len(set(identifiers)) != len(identifiers):
        sys.exit("threats.json: an identifier stands there twice")
    return found


def catalogue() -> set[str] | None:
    """The identifiers of the catalogue, if it is here."""
    if not CATALOGUE.is_file():
        return None
    found: set[str] = set()
    inside = False
    for line in CATALOGUE.read_text(encoding="utf-8").splitlines():
        if heading := re.match(r"#+ ([0-9]+(?:\.[0-9]+)?)[. ]", line):
            number = heading[1]
            inside = any(number == section or number.startswith(f"{section}.") for section in SECTIONS)
        elif (row := re.match(rf"\| ({IDENTIFIER}) \|", line)) and (inside or row[1] in ROWS):
            found.add(row[1])
    return found


def main() -> int:
    """Compares, and prints what waits; 1 if a row has neither test nor reason."""
    known = {row["id"]: row for row in rows()}
    tests = trials()
    problems = [f"{name}: names {unknown}, which threats.json does not have"
                for unknown in sorted(tests.keys() - known.keys()) for name in tests[unknown]]
    listed = catalogue()
    if listed is None:
        print(f"threats: {CATALOGUE} is not here: NOT COMPARED with threats.json, which is taken as it is")
    else:
        problems += [f"{row}: in the catalogue, but not in threats.json" for row in sorted(listed - known.keys())]
        problems += [f"{row}: in threats.json, but not in the catalogue" for row in sorted(known.keys() - listed)]
    counts = {"covered": 0, "waits": 0, "not_applicable": 0}
    for identifier, row in known.items():
        reason = next((reason for reason in REASONS if reason in row), None)
        if identifier in tests and reason:
            problems.append(f"{identifier}: has a test ({tests[identifier][0]}), so the reason why it has none is stale")
        elif identifier in tests:
            counts["covered"] += 1
        elif reason:
            counts[reason] += 1
            print(f"{identifier} {reason.replace('_', ' ')}: {row['what']}: {row[reason]}")
        else:
            problems.append(f"{identifier}: {row['what']}: has neither a test nor a reason")
    for problem in problems:
        print(f"threats: {problem}", file=sys.stderr)
    print(f"{counts['covered']} covered (a test is named after each; what it asserts is for its reader to judge), "
          f"{counts['waits']} waiting, {counts['not_applicable']} not applicable")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
