"""Debian's packages, for machines that reach package registries only."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from tools import TARGET, VERSIONS
from tools.step import TOOLS, log_file, output, read, run, stop, write


def apt_install(packages: list[str], hint: str) -> None:
    """Installs what is missing, as root or by sudo where it asks nothing."""
    if shutil.which("apt-get") is None:
        stop(hint)
    missing = [name for name in packages if "ok installed" not in output(["dpkg-query", "-Wf", "${Status}", name])]
    if not missing:
        return
    root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    install = [*root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "--no-install-recommends"]
    if run([*install, *missing], check=False):
        return
    # The lists may be missing or old.
    run([*root, "apt-get", "update"], check=False)
    if not run([*install, *missing], check=False):
        stop(f"{hint} (log: {log_file()})")


def wasi_libc(hint: str) -> Path:
    """Unpacks wasi-libc of a newer Debian, from the mirror this machine uses."""
    home = TOOLS / "wasi-libc"
    libraries = home / "usr" / "lib" / TARGET
    if libraries.is_dir():
        return libraries
    for name in ("lists/partial", "archives/partial"):
        (home / "apt" / name).mkdir(parents=True, exist_ok=True)
    options, mirror = debian_mirror(hint)
    sources = write(home / "apt" / "sources.list", f"deb {options}{mirror} {VERSIONS['debian']} main\n")
    apt = ["apt-get"]
    for option in (
        f"Dir::Etc::SourceList={sources}", "Dir::Etc::SourceParts=/dev/null",
        f"Dir::State::Lists={home}/apt/lists", f"Dir::Cache={home}/apt",
        "APT::Get::List-Cleanup=0", "APT::Sandbox::User=root",
    ):
        apt += ["-o", option]
    run([*apt, "update"])
    run([*apt, "download", "wasi-libc"], cwd=home)
    packages = sorted(home.glob("wasi-libc_*.deb"))
    if not packages:
        stop(hint)
    run(["dpkg", "-x", str(packages[-1]), str(home)])
    return libraries


def debian_mirror(hint: str) -> tuple[str, str]:
    """The mirror, and its options, that holds this machine's own release."""
    release = dict(line.split("=", 1) for line in read("/etc/os-release").splitlines() if "=" in line)
    codename = release.get("VERSION_CODENAME", "").strip('"')
    if release.get("ID", "").strip('"') != "debian" or not codename:
        stop(hint)
    folder = Path("/etc/apt")
    for file in [folder / "sources.list", *sorted(folder.glob("sources.list.d/*"))]:
        text = file.read_text() if file.is_file() else ""
        for stanza in re.split(r"\n\s*\n", text):
            field = dict(re.findall(r"^([A-Za-z-]+):[ \t]*(.+)$", stanza, re.M))
            if codename in field.get("Suites", "").split():
                signed = field.get("Signed-By", "")
                return (f"[signed-by={signed}] " if signed.startswith("/") else ""), field["URIs"].split()[0]
        for options, uri in re.findall(rf"^deb\s+(?:\[(.*)\]\s+)?(\S+)\s+{codename}\s", text, re.M):
            return (f"[{options}] " if options else ""), uri
    stop(hint)
