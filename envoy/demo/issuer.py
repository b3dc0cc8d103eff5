"""The demo's authorization server as a process: how to start it, and what can be asked of it beside OAuth."""

import contextlib
import json
import shutil
import urllib.request
from pathlib import Path
from typing import Any

import lay_out
from harness import node

HERE = Path(__file__).resolve().parent
PACKAGES = lay_out.ROOT / "target/authorization-server"  # made by tests/setup.py
SCRIPT = "authorization_server.mjs"

# Who can log in, with what tokens say about them.
USERS = {name: claims for name, claims in lay_out.USERS.items() if claims.get("sub") == name}


def url(port: int) -> str:
    """The issuer, byte for byte."""
    return f"http://127.0.0.1:{port}"


def command(
    port: int,
    resources: dict[str, str],
    *,
    users: dict[str, dict[str, Any]] | None = None,
    log: Path | None = None,
) -> list[str]:
    """`resources` says in which format there are tokens for which URL; see authorization_server.mjs."""
    shutil.copy(HERE / SCRIPT, PACKAGES)  # node looks for packages beside the script
    options = ["--port", str(port), "--users", json.dumps(users or USERS)]
    for resource, how in resources.items():
        options += ["--resource", f"{resource}={how}"]
    if log:
        options += ["--log", str(log)]
    return [node(), str(PACKAGES / SCRIPT), *options]


def jwks(port: int) -> dict[str, Any] | None:
    """The key set, as anybody can read it; None while there is no server."""
    with contextlib.suppress(OSError):
        return ask(f"{url(port)}/jwks")
    return None


def change_keys(port: int, how: str) -> dict[str, Any]:
    """`publish`, `sign` or `retire`; see authorization_server.mjs."""
    return ask(f"{url(port)}/keys/{how}", "POST")


def ask(address: str, method: str = "GET") -> dict[str, Any]:
    with urllib.request.urlopen(urllib.request.Request(address, method=method), timeout=10) as answer:
        return json.load(answer)
