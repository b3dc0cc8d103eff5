"""The other parsers of the differential test."""

from __future__ import annotations

import hashlib
import os
import shutil

from tools import VERSIONS
from tools.go import go
from tools.node import clients
from tools.python import venv
from tools.step import BIN, ROOT, TOOLS, log_file, named, output, run, say, step, stop

JUDGES = ROOT / "tests" / "differential" / "judges"
JACKSON = {
    "jackson-annotations-2.20.jar": "959a2ffb2d591436f51f183c6a521fc89347912f711bf0cae008cdf045d95319",
    "jackson-core-2.20.0.jar": "bc0cf46075877201f8406ee7de2741ae7df6c066f5f0457bd80632a718c06e72",
    "jackson-databind-2.20.0.jar": "a70e146a6bf2cba4f9cd367169787f50adcfbb57122bc2e9c8390cd0b397ac30",
}


@named("differential")
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


@named("jackson")
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
