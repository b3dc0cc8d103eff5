"""Lays out a demo under target/: keys, tokens, and the two Envoy files with the chosen ports.

    lay_out.py          # into target/demo; PORT=, ADMIN_PORT=, UPSTREAM_PORT= and ISSUER_PORT= choose others than
                        # envoy.yaml's

It makes
    keys.json           private keys, made once; they never leave this directory
    alice.headers ...   an access token and the headers of an MCP request, for `curl -H @FILE`
    envoy.yaml          envoy/envoy.yaml
    gate/filter.yaml    envoy/filter.yaml, laid out and swapped as the kubelet does with a ConfigMap
"""

import contextlib
import json
import os
import re
import socket
import time
import uuid
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "target/demo"
ISSUER = "https://as.example.com"
VERSION = "2026-07-28"
PORTS = {"PORT": 10000, "ADMIN_PORT": 9901, "UPSTREAM_PORT": 8000, "ISSUER_PORT": 9000}

# What the issuer says about each user; one file of headers for each. Nobody has no token.
USERS: dict[str, dict[str, Any]] = {
    "nobody": {},
    "alice": {"sub": "alice", "roles": ["editor"], "scope": "mcp:read mcp:write"},
    "bob": {"sub": "bob", "roles": ["analyst"], "scope": "mcp:read mcp:write"},
    "carol": {"sub": "carol", "roles": ["hr"], "scope": "mcp:read", "device": "managed"},
    "carol-byod": {"sub": "carol", "roles": ["hr"], "scope": "mcp:read", "device": "byod"},
}

MAKE_KEY = {
    "ES256": lambda: ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()), as_dict=True),
    "RS256": lambda: RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 2048), as_dict=True),
    "EdDSA": lambda: OKPAlgorithm.to_jwk(ed25519.Ed25519PrivateKey.generate(), as_dict=True),
}
PUBLIC = {"kty", "crv", "x", "y", "n", "e", "kid", "alg", "use"}


def keys(directory: Path) -> dict[str, dict[str, str]]:
    """The private keys of `directory` as JWKs by algorithm; made at the first call."""
    file = directory / "keys.json"
    if not file.exists():
        made = {}
        for algorithm, make in MAKE_KEY.items():
            # PyJWT adds `key_ops: [sign]`, which a public key made from this one must not say.
            jwk = {name: value for name, value in make().items() if name != "key_ops"}
            made[algorithm] = jwk | {"alg": algorithm, "use": "sig", "kid": f"demo-{algorithm.lower()}"}
        directory.mkdir(parents=True, exist_ok=True)
        write(file, json.dumps(made, indent=1), mode=0o600)
    return json.loads(file.read_text())


def jwks(keys: dict[str, dict[str, str]]) -> dict[str, list[dict[str, str]]]:
    """The public halves, as an issuer publishes them."""
    return {"keys": [{n: v for n, v in key.items() if n in PUBLIC} for key in keys.values()]}


def token(keys: dict[str, dict[str, str]], claims: dict[str, Any], alg: str = "ES256") -> str:
    """An RFC 9068 access token. `claims` come on top of what every token has; a claim of None is left out."""
    now = int(time.time())
    usual = {"iss": ISSUER, "client_id": "demo", "iat": now, "exp": now + 24 * 3600, "jti": str(uuid.uuid4())}
    claims = {name: value for name, value in (usual | claims).items() if value is not None}
    headers = {"typ": "at+jwt", "kid": keys[alg]["kid"]}
    return jwt.encode(claims, jwt.PyJWK(keys[alg]).key, algorithm=alg, headers=headers)


def resource(port: int) -> str:
    return f"http://127.0.0.1:{port}/mcp"


def headers(token: str | None) -> dict[str, str]:
    """What every MCP request of the modern era carries."""
    usual = {
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": VERSION,
    }
    return ({"authorization": f"Bearer {token}"} if token else {}) | usual


def envoy_yaml(directory: Path, port: int, admin: int, upstream: int, access_log: str, issuer: int = 9000) -> str:
    return replace(
        ROOT / "envoy/envoy.yaml",
        {
            "port_value: 10000": f"port_value: {port}",
            "port_value: 9901": f"port_value: {admin}",
            "port_value: 8000": f"port_value: {upstream}",
            "port_value: 9000": f"port_value: {issuer}",
            "target/demo/gate": f"{shown(directory)}/gate",
            "/dev/stdout": access_log,
        },
    )


def filter_yaml(keys: dict[str, dict[str, str]], port: int, module: str | None = None) -> str:
    built = "target/wasm32-wasip1/release/mcp_gate.wasm"
    return replace(
        ROOT / "envoy/filter.yaml",
        {
            resource(10000): resource(port),
            "keys: []": f"keys: {json.dumps(jwks(keys)['keys'])}",  # JSON is YAML
            built: module or built,
        },
    )


def replace(file: Path, literals: dict[str, str]) -> str:
    """The text of `file` with every literal replaced; one that is not there is an error, not a default."""
    text = file.read_text()
    for literal in literals:
        if literal not in text:
            raise SystemExit(f"{shown(file)}: expected the text `{literal}`, which lay_out.py replaces; found none")
    # In one pass, so that what one literal becomes is never taken for another literal.
    return re.sub("|".join(map(re.escape, literals)), lambda found: literals[found[0]], text)


def swap(directory: Path, filter_text: str) -> None:
    """Makes `filter_text` the content of directory/filter.yaml, the way the kubelet updates a ConfigMap.

    The files are in a directory with a timestamp as its name, `..data` is a symlink to it, and each file is a
    symlink through `..data`: renaming a new `..data` over the old one changes all files at once.
    """
    data = directory / "..data"
    linked = (directory / "filter.yaml").is_symlink()  # an editor may have put a file in its place
    if linked and data.exists() and (data / "filter.yaml").read_text() == filter_text:
        return
    old = os.readlink(data) if data.is_symlink() else None
    new = directory / f"..{time.strftime('%Y_%m_%d_%H_%M_%S')}.{time.time_ns() % 10**9}"
    new.mkdir(parents=True)
    (new / "filter.yaml").write_text(filter_text)
    link(directory / "..data", new.name)
    link(directory / "filter.yaml", "..data/filter.yaml")
    if old and (directory / old).is_dir():
        (directory / old / "filter.yaml").unlink(missing_ok=True)
        (directory / old).rmdir()


def link(path: Path, target: str) -> None:
    if path.is_symlink() and os.readlink(path) == target:
        return
    temporary = path.with_name(f"{path.name}_tmp")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.rename(path)


def lay_out(
    directory: Path = DEMO,
    *,
    port: int = 10000,
    admin: int = 9901,
    upstream: int = 8000,
    issuer: int = 9000,
    access_log: str = "/dev/stdout",
    module: str | None = None,
) -> Path:
    """All of it; returns the Envoy configuration to start."""
    demo_keys = keys(directory)
    for user, claims in USERS.items():
        of_user = headers(token(demo_keys, claims | {"aud": resource(port)}) if claims else None)
        lines = "".join(f"{name}: {value}\n" for name, value in of_user.items())
        write(directory / f"{user}.headers", lines, mode=0o600)
    swap(directory / "gate", filter_yaml(demo_keys, port, module))
    write(directory / "envoy.yaml", envoy_yaml(directory, port, admin, upstream, access_log, issuer))
    return directory / "envoy.yaml"


def write(file: Path, text: str, mode: int = 0o644) -> None:
    temporary = file.with_name(f"{file.name}_tmp")
    temporary.unlink(missing_ok=True)
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as out:
        out.write(text)
    temporary.rename(file)


def shown(path: Path) -> str:
    """Relative to the repository where it is inside, which is where Envoy is started."""
    path = Path(os.path.abspath(path))
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def free_ports(count: int) -> list[int]:
    """Ports that nobody has now; all are held until the last is known, so that they differ."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in sockets]


def ports() -> tuple[int, int, int, int]:
    """The ports of PORTS, as the environment chooses them; 0 is any free one."""
    chosen = []
    for (variable, default), free in zip(PORTS.items(), free_ports(len(PORTS)), strict=True):
        text = os.environ.get(variable) or str(default)
        if not (text.isascii() and text.isdigit() and int(text) < 65536):
            raise SystemExit(f"{variable}: expected a port from 1 to 65535, or 0 for any, found `{text}`")
        chosen.append(int(text) or free)
    if len(set(chosen)) < len(chosen):
        raise SystemExit(f"{', '.join(PORTS)}: expected different ports, found {chosen}")
    return chosen[0], chosen[1], chosen[2], chosen[3]


def demo(port: int) -> Path:
    """Demos on different ports can run at once, each in its own directory."""
    return DEMO if port == 10000 else DEMO.with_name(f"demo-{port}")


if __name__ == "__main__":
    listener, admin_port, server, issuer_port = ports()
    lay_out(demo(listener), port=listener, admin=admin_port, upstream=server, issuer=issuer_port)
