"""Rust, its wasm32-wasip1 target, and what is built with cargo."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from pathlib import Path

from tools import TARGET, VERSIONS
from tools.debian import apt_install, wasi_libc
from tools.step import (
    BIN,
    CLIENTS,
    ROOT,
    TOOLS,
    link,
    log_file,
    named,
    newer,
    output,
    read,
    run,
    say,
    step,
    stop,
    which,
    write_env,
)


@named("wasm-target")
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


@named("rust-client")
def rust_client() -> None:
    """the client of the official Rust MCP SDK, built from source"""
    wasm_target()
    folder = ROOT / "tests" / "clients" / "rust"
    sources = sorted(folder.glob("src/*.rs"))
    files = [file.read_text() for file in (folder / "Cargo.toml", folder / "Cargo.lock", *sources)]
    with step("rust-client", [read("rust-toolchain.toml"), rust_env(), *files]) as made:
        if made is None:
            return
        build = CLIENTS / "rust"
        manifest = ["--locked", "--manifest-path", str(folder / "Cargo.toml")]
        run(["cargo", "build", *manifest], env={**rust_env(), "CARGO_TARGET_DIR": str(build)})
        made.append(build / "debug" / "mcp-gate-client")


@named("cargo-deny")
def cargo_deny() -> None:
    """cargo-deny, built from source"""
    cargo_tool("cargo-deny")


@named("cargo-fuzz")
def cargo_fuzz() -> None:
    """cargo-fuzz, built from source"""
    # libFuzzer is C++, and is built with each target.
    which("c++", "a C++ compiler: apt-get install build-essential, or xcode-select --install")
    cargo_tool("cargo-fuzz")


@named("cargo-mutants")
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


# The toolchain


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


# Without rustup's target


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
