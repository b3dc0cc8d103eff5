"""Envoy with the gate in front of a server: how it is started, and what can be asked of it.

Its files are those of `lay_out`. `running` starts the demo; what has another server, or another configuration,
enters a `Stack`, changes the files, and starts the processes one by one.
"""

import base64
import contextlib
import dataclasses
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import issuer
import lay_out
from harness import TOOLS, Failed, Processes, require, tail
from lay_out import ROOT, shown

MODULE = ROOT / "target/wasm32-wasip1/release/mcp_gate.wasm"


@dataclasses.dataclass
class Stack(Processes):
    """Envoy with the gate, the server behind it, and what else there is; entered, it has its files and no process."""

    port: int
    admin: int
    upstream: int
    issuer: int = 0  # where the authorization server is, if there is one

    def __enter__(self) -> Self:
        require(MODULE, "make build")
        self.directory.mkdir(parents=True, exist_ok=True)
        for log in self.directory.glob("*.log"):
            log.unlink()
        ports = {"port": self.port, "admin": self.admin, "upstream": self.upstream, "issuer": self.issuer or 9000}
        lay_out.lay_out(self.directory, **ports, access_log=shown(self.log("audit")))
        return self

    @property
    def url(self) -> str:
        return lay_out.resource(self.port)

    @property
    def envoy_yaml(self) -> Path:
        return self.directory / "envoy.yaml"

    @property
    def filter_yaml(self) -> Path:
        return self.directory / "gate/filter.yaml"

    @property
    def envoy(self) -> subprocess.Popen[bytes]:
        return self.started["envoy"]

    def start_server(self) -> None:
        server = [sys.executable, str(ROOT / "envoy/demo/server.py"), "--port", str(self.upstream)]
        self.start("server", [*server, "--log", str(self.log("requests"))])

    def start_issuer(self, resources: dict[str, str], environment: dict[str, str] | None = None, **options: Any) -> None:
        require(issuer.PACKAGES / "node_modules/oidc-provider", "python3 tests/setup.py authorization-server")
        self.start("issuer", issuer.command(self.issuer, resources, log=self.log("asked"), **options), environment)

    def start_envoy(self, environment: dict[str, str] | None = None, func_e: bool = False) -> None:
        command, places = envoy_command(self.directory, func_e)
        # Without hot restart, several Envoys can run on one machine; a short flush shows audit lines at once.
        options = ["--concurrency", "2", "--disable-hot-restart", "--file-flush-interval-msec", "50"]
        self.start("envoy", [*command, "-c", shown(self.envoy_yaml), *options], places | (environment or {}))

    def wait_ready(self) -> None:
        def ready() -> bool:
            if rejections(self):
                raise Failed(f"Envoy refused {shown(self.filter_yaml)}:\n{tail(self.log('envoy'))}")
            return listens(self.upstream) and admin(self, "/ready").strip() == "LIVE"

        self.wait_for(ready, "Envoy and the server to answer", seconds=60)

    def wait_keyed(self) -> float:
        """Until all workers have the keys of the authorization server; the seconds that it took.

        Before, they cannot say whose a token is, and answer 503.
        """
        url = issuer.url(self.issuer)

        def keyed() -> bool:
            now = int(time.time())
            said = {"iss": url, "sub": "nobody", "aud": self.url, "client_id": "nobody", "jti": "1", "iat": now, "exp": now + 60}
            parts = [json.dumps(part).encode() for part in ({"alg": "ES256", "kid": "none", "typ": "at+jwt"}, said)]
            token = ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in [*parts, bytes(64)])
            answers = [send(self.port, "GET", "/mcp", {"Authorization": f"Bearer {token}"}) for _ in range(12)]
            return all(answer.status == 401 for answer in answers)

        return self.wait_for(keyed, "the gate to have its keys")


@contextlib.contextmanager
def running(
    directory: Path, port: int, admin: int, upstream: int, issuer_port: int = 0, func_e: bool = False
) -> Iterator[Stack]:
    """Starts the server and Envoy, and with `issuer_port` the authorization server; yields when they answer."""
    for variable, number in zip(lay_out.PORTS, (port, admin, upstream, issuer_port), strict=True):
        require_free(variable, number)
    with Stack(directory, port, admin, upstream, issuer_port) as stack:
        stack.start_server()
        stack.start_envoy(func_e=func_e)
        if issuer_port:
            stack.start_issuer({stack.url: "ES256"})
        import mcp  # noqa: F401  (takes most of a second, which Envoy needs as well)

        stack.wait_ready()
        yield stack


def envoy_command(directory: Path, func_e: bool) -> tuple[list[str], dict[str, str]]:
    chosen = os.environ.get("ENVOY") or str(TOOLS / "envoy")
    envoy = shutil.which(chosen)
    if not func_e:
        if not envoy:
            raise Failed(f"{chosen}: no such program; run python3 tests/setup.py envoy, or name one by ENVOY=")
        return [envoy], {}
    require(TOOLS / "func-e", "python3 tests/setup.py func-e")
    environment = {name: str(directory / "func-e") for name in ("FUNC_E_STATE_HOME", "FUNC_E_RUNTIME_DIR")}
    # Where there is no binary, func-e brings its own.
    return [str(TOOLS / "func-e"), "run"], environment | ({"ENVOY_PATH": envoy} if envoy else {})


def require_free(variable: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise Failed(
                f"port {port} on 127.0.0.1 cannot be used ({error.strerror}); "
                f"stop what listens there, or choose another: make run {variable}={port + 1}"
            ) from None


def listens(port: int) -> bool:
    """Raises OSError where it does not, which is something to wait for."""
    socket.create_connection(("127.0.0.1", port), timeout=1).close()
    return True


# What it answers, and what it has seen


@dataclasses.dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: str

    @property
    def json(self) -> Any:
        try:
            return json.loads(self.body)
        except ValueError:
            raise Failed(f"expected JSON, found: {self.body[:200]}") from None


def send(port: int, method: str, path: str, headers: dict[str, str], body: str | None = None) -> Answer:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request(method, path, body=body.encode() if body else None, headers=headers)
        response = connection.getresponse()
        fields = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, fields, response.read().decode())


def admin(stack: Stack, path: str) -> str:
    return send(stack.admin, "GET", path, {}).body


def rejections(stack: Stack) -> int:
    stats = admin(stack, "/stats?filter=extension_config_discovery.*(update_rejected|config_fail)$")
    return sum(int(line.rsplit(":", 1)[1]) for line in stats.splitlines() if ":" in line)


def arrived(stack: Stack) -> list[dict[str, Any]]:
    """What reached the server: one entry for each HTTP request."""
    log = stack.log("requests")
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
