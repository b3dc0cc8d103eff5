"""What the tour prints, in colours where that is a terminal."""

from __future__ import annotations

import difflib
import json
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oauth import Step  # takes a second to import, which the tour has later

COLOUR = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
headings = 0


def paint(code: str, text: str) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if COLOUR and code and text else text


def heading(title: str) -> None:
    global headings
    headings += 1
    print(f"\n{paint('1', f'{headings}. {title}')}", flush=True)


def say(text: str, code: str = "") -> None:
    for line in text.splitlines():
        print(f"   {paint(code, line)}", flush=True)


said: set[str] = set()


def say_once(line: str) -> None:
    say("the same curl line as above" if line in said else line, "2")
    said.add(line)


def blank() -> None:
    print()


def shortened(text: str) -> str:
    return text if len(text) <= 200 else text[:200] + " ..."


def show(step: Step) -> None:
    """One exchange, with what it is about."""
    asked = "".join(f" {name}={json.dumps(value)}" for name, value in step.asked.items())
    told = f" {json.dumps(step.told)}" if step.told else ""
    fields = {"www-authenticate": step.challenge, "location": step.location}
    headers = "".join(f" {name}: {value}" for name, value in fields.items() if value)
    say(f"{step.by if step.by == 'client' else f'{step.by} in a browser'}: {step.method} {step.url}{asked}")
    say(f"  {step.status}{headers}{told}", "32" if step.status < 400 else "31")


def show_change(old: str, new: str) -> None:
    """The lines that differ."""
    for line in difflib.unified_diff(old.splitlines(), new.splitlines(), n=0, lineterm=""):
        if line[0] in "+-" and not line.startswith(("+++", "---")):
            say(f"{line[0]} {line[1:].strip()}", "32" if line[0] == "+" else "31")
