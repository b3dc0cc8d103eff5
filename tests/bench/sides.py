"""The sides of the benchmark: what each is given, and what must come of it.

A side is an Envoy of its own, with one worker: bare, with Envoy's own filters, or
with the gate under some policy. Its tokens are those of bob, an analyst.
"""

import contextlib
import http.client
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jwt
import lay_out
import policies
import yaml
from harness import Failed, Processes

HERE = Path(__file__).resolve().parent
WORK = lay_out.ROOT / "target" / "bench"
# Where load.lua counts, in as many digits.
COUNTER = "#" * 10
# Seconds for a process to start in: V8 compiles the module first, and the machine may have other things to do.
START = 240

META = {
    "io.modelcontextprotocol/protocolVersion": lay_out.VERSION,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1.0"},
}


def cores() -> tuple[int, int]:
    """The core for Envoy and the core for load and upstream."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


# Messages


def message(method: str, params: dict[str, Any]) -> bytes:
    whole = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params | {"_meta": META}}
    return json.dumps(whole, separators=(",", ":")).encode()


def search(size: int = 0, tool: str = policies.TOOL, **more: Any) -> bytes:
    """A search, with as many paragraphs as fit into its size."""
    arguments: dict[str, Any] = {"query": policies.QUERY, "limit": 10} | more
    paragraph = {"id": 1001, "score": 0.875, "tags": ["a", "b"], "text": "Lorem ipsum dolor sit amet, " * 8}
    if size:
        arguments["context"] = [paragraph] * (size // len(json.dumps(paragraph)))
    return message("tools/call", {"name": tool, "arguments": arguments})


def headers(sent: bytes, token: str | None) -> dict[str, str]:
    asked = json.loads(sent)
    named = {"Mcp-Name": asked["params"]["name"]} if "name" in asked["params"] else {}
    return {
        # The resource's authority, whatever port a side listens on: so one set of tokens does for all.
        "Host": "127.0.0.1:10000",
        "User-Agent": "bench/1.0",
        "Accept": "application/json, text/event-stream",
        "Content-Type": "application/json",
        "MCP-Protocol-Version": lay_out.VERSION,
        "Mcp-Method": asked["method"],
        **named,
        **({"Authorization": f"Bearer {token}"} if token else {}),
    }


def request(sent: bytes, token: str) -> bytes:
    """All the bytes of it. `TOKEN` is what load.lua puts a token in the place of."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers(sent, token).items())
    return f"POST /mcp HTTP/1.1\r\n{lines}Content-Length: {len(sent)}\r\n\r\n".encode() + sent


def get(port: int, path: str) -> tuple[int, bytes]:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()


def call(port: int, token: str | None, sent: bytes) -> tuple[int, bytes]:
    sent = sent.replace(COUNTER.encode(), b"0" * len(COUNTER))
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        connection.request("POST", "/mcp", sent, headers(sent, token))
        answer = connection.getresponse()
        return answer.status, answer.read()


# What a side is given


class Setup(NamedTuple):
    gate: bool = True
    # What its gate's configuration has that envoy/filter.yaml has not.
    change: Callable[[dict[str, Any]], None] = lambda value: None
    # The measured message.
    sends: bytes = search()
    # Messages of bob's that must be denied.
    denied: tuple[bytes, ...] = ()
    # The names that the answer must list.
    lists: list[str] | None = None
    # Who must have decided.
    decides: str = ""
    # The side that does the same without.
    over: str | None = "bare"


def given(data: dict[str, Any], **more: Any) -> Callable[[dict[str, Any]], None]:
    """The bundled policies with this data, in the place of filter.yaml's policy."""

    def change(value: dict[str, Any]) -> None:
        value["policy"] = {"data": data} | more

    return change


def many(value: dict[str, Any]) -> None:
    """49 more issuers, and 99 more keys for the first."""
    [issuer] = value["issuers"]

    def stranger(number: int) -> dict[str, str]:
        jwk = lay_out.MAKE_KEY["ES256"]()
        return {name: text for name, text in jwk.items() if name in lay_out.PUBLIC} | {"kid": f"stranger-{number}"}

    own = issuer["jwks"]["inline"]["keys"]
    others = [
        issuer | {"name": f"other-{number}", "issuer": f"https://as-{number}.example.com", "jwks": {"inline": {"keys": [stranger(0)]}}}
        for number in range(49)
    ]
    issuer["jwks"] = {"inline": {"keys": [stranger(number) for number in range(100 - len(own))] + own}}
    value["issuers"] = [*others, issuer]
    value["resources"][0]["issuers"] = [each["name"] for each in value["issuers"]]


def decided(data: dict[str, Any], machine: bool = True, **arguments: Any) -> Setup:
    """A search under bundled policies; what is asked for elsewhere, too often, of another thing or by another tool is denied."""
    sent = {"query": f"{policies.QUERY} {COUNTER}"} | arguments
    denied = [
        search(**sent | {"query": f"{policies.SECRET} {COUNTER}"}),
        search(**sent | {"limit": 21}),
        search(tool="delete_document", **sent),
    ]
    if "within" in sent:
        denied.append(search(**sent | {"within": "d00000"}))
    return Setup(
        change=given(data),
        sends=search(**sent),
        denied=tuple(denied),
        decides="the virtual machine" if machine else "the interpreter",
    )


def listed(names: list[str], gate: bool = True, anew: bool = False, **more: Any) -> Setup:
    return Setup(
        gate=gate,
        change=given(policies.listed(), **more),
        # The upstream has a tool that is named after the page.
        sends=message("tools/list", {"cursor": COUNTER} if anew else {}),
        lists=names,
        decides="the virtual machine" if gate else "",
        over="list_100_unfiltered",
    )


SETUPS: dict[str, Setup] = {
    "bare": Setup(gate=False, over=None),
    "envoy_chain": Setup(gate=False),
    "gate.known": Setup(),
    "gate.many": Setup(change=many),
    "gate.new_rs256": Setup(),
    "gate.new_es256": Setup(),
    "gate.bad_rs256": Setup(),
    "gate.bad_es256": Setup(),
    "gate.bad_expired": Setup(),
    "bare.4k": Setup(gate=False, sends=search(4 * 1024), over=None),
    "gate.known.4k": Setup(sends=search(4 * 1024), over="bare.4k"),
    "bare.100k": Setup(gate=False, sends=search(100 * 1024), over=None),
    "gate.known.100k": Setup(sends=search(100 * 1024), over="bare.100k"),
    "remembered": decided(policies.usual(), query=f"{policies.QUERY} 0123456789"),
    "decided_anew": decided(policies.usual()),
    "interpreter": decided(policies.timed(), machine=False),
    "grants_10": decided(policies.grants(10)),
    "grants_10000": decided(policies.grants(10_000)),
    "tuples_10": decided(policies.tuples(10), within="plan"),
    "tuples_10000": decided(policies.tuples(10_000), within="plan"),
    "globs_10": decided(policies.globs(10)),
    "globs_200": decided(policies.globs(200)),
    "list_100_unfiltered": listed(policies.LISTED, gate=False),
    "list_100_shadow": listed(policies.LISTED, mode="shadow"),
    "list_100": listed(policies.SHOWN),
    "list_100_anew": listed(policies.SHOWN, anew=True),
}
# Good and bad in turn; of a soak alone.
MIXED = "gate.mixed"
NEW = {"gate.new_rs256": "RS256", "gate.new_es256": "ES256", MIXED: "ES256"}
BAD = {"gate.bad_rs256": "RS256", "gate.bad_es256": "ES256", "gate.bad_expired": "ES256"}
# What issue 6 asks for, and what it is held against.
POLICY = ["bare", "envoy_chain", *list(SETUPS)[list(SETUPS).index("remembered") :]]


def setup(name: str) -> Setup:
    return SETUPS.get(name, SETUPS["gate.known"])


# Tokens


def claims(user: str = "bob") -> dict[str, Any]:
    return lay_out.USERS[user] | {"aud": lay_out.resource(10000)}


def mint(keys: dict[str, dict[str, str]], algorithm: str, count: int, age: int = 0) -> Path:
    """A file of `count` tokens of one user that differ in `jti`, `age` seconds old; kept while new ones are valid."""
    file = WORK / (f"tokens.{algorithm}.{age}" if age else f"tokens.{algorithm}")
    sample = lay_out.token(keys, claims(), algorithm)
    said = jwt.decode(sample, options={"verify_signature": False})
    with contextlib.suppress(OSError, IndexError, jwt.InvalidTokenError):
        kept = file.read_text().split()
        key = jwt.PyJWK(lay_out.jwks({algorithm: keys[algorithm]})["keys"][0])
        old = jwt.decode(kept[0], key, audience=said["aud"], options={"verify_exp": False})
        if len(kept) >= count and old["exp"] + age > time.time() + 3600:
            return file
    said |= {"iat": said["iat"] - age, "exp": said["exp"] - age}
    print(f"minting {count} {algorithm} tokens, kept in {lay_out.shown(file)}", flush=True)
    header = jwt.get_unverified_header(sample)
    # Made once: reading an RSA key costs far more than signing with it.
    key = jwt.PyJWK(keys[algorithm]).key
    tokens = (jwt.encode(said | {"jti": f"bench-{number}"}, key, algorithm, header) for number in range(count))
    lay_out.write(file, "".join(f"{token}\n" for token in tokens), mode=0o600)
    return file


def spoiled(tokens: Path) -> Path:
    """The same tokens, each with the signature of the one before it."""
    file = tokens.with_suffix(tokens.suffix + ".bad")
    if not file.exists() or file.stat().st_mtime < tokens.stat().st_mtime:
        lines = tokens.read_text().split()
        signatures = [line.rpartition(".")[2] for line in [lines[-1], *lines]]
        bad = (f"{line.rpartition('.')[0]}.{signature}\n" for line, signature in zip(lines, signatures))
        lay_out.write(file, "".join(bad), mode=0o600)
    return file


def know(keys: dict[str, dict[str, str]]) -> None:
    """Makes the token of the sides that know theirs, and the keys of Envoy's own filter."""
    lay_out.write(WORK / "tokens.known", lay_out.token(keys, claims(), "RS256") + "\n", mode=0o600)
    (WORK / "jwks.json").write_text(json.dumps(lay_out.jwks(keys)))


def tokens_of(name: str, keys: dict[str, dict[str, str]], count: int) -> Path:
    """A file of the tokens that a side is called with."""
    if name == "gate.bad_expired":
        # They live for a day.
        return mint(keys, BAD[name], count, age=48 * 3600)
    if name in BAD:
        return spoiled(mint(keys, BAD[name], count))
    if name in NEW:
        return mint(keys, NEW[name], count)
    return WORK / "tokens.known"


# A side, running


class Side(NamedTuple):
    name: str
    pid: int
    port: int
    admin: int
    tokens: Path

    @property
    def setup(self) -> Setup:
        return setup(self.name)


def filter_text(keys: dict[str, dict[str, str]], module: Path, change: Callable[[dict[str, Any]], None]) -> str:
    document = yaml.safe_load(lay_out.filter_yaml(keys, 10000, lay_out.shown(module)))
    change(document["resources"][0]["typed_config"]["config"]["configuration"]["value"])
    return json.dumps(document)  # JSON is YAML


def render(name: str, keys: dict[str, dict[str, str]], module: Path, port: int, admin: int, upstream: int) -> Path:
    """Writes the side's Envoy configuration and returns its path."""
    directory = WORK / name
    records = WORK / f"{name}.records"
    records.unlink(missing_ok=True)
    text = lay_out.envoy_yaml(directory, port, admin, upstream, str(records))
    if setup(name).gate:
        lay_out.swap(directory / "gate", filter_text(keys, module, setup(name).change))
    else:
        # The same file but for the gate and the log that writes its record, so that nothing else differs.
        envoy = yaml.safe_load(text)
        [listener] = envoy["static_resources"]["listeners"]
        manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
        del manager["access_log"]
        [gate] = [at for at, each in enumerate(manager["http_filters"]) if "config_discovery" in each]
        instead = yaml.safe_load((HERE / "chain.yaml").read_text()) if name == "envoy_chain" else []
        manager["http_filters"][gate : gate + 1] = instead
        text = yaml.safe_dump(envoy)
    config = WORK / f"{name}.yaml"
    config.write_text(text)
    return config


def start(
    processes: Processes, name: str, envoy: str, keys: dict[str, dict[str, str]], module: Path, upstream: int, count: int
) -> Side:
    """Starts a side; `count` are the tokens to have."""
    port, admin = lay_out.free_ports(2)
    tokens = tokens_of(name, keys, count)
    (WORK / f"{name}.request").write_bytes(request(setup(name).sends, "TOKEN"))
    config = render(name, keys, module, port, admin, upstream)
    command = [envoy, "-c", str(config), "--concurrency", "1", "--disable-hot-restart", "--log-level", "warn"]
    # Where the gate says who decides.
    command += ["--component-log-level", "wasm:info"]
    process = processes.start(name, command, core=cores()[0])
    processes.wait_for(lambda: get(admin, "/ready")[0] == 200, f"the Envoy of `{name}`", seconds=START)
    return Side(name, process.pid, port, admin, tokens)


def verify(side: Side, keys: dict[str, dict[str, str]]) -> None:
    """Each side must permit the measured request, and refuse what it is there to refuse."""
    given = side.setup
    stranger = lay_out.keys(WORK / "stranger")
    decides = given.gate or side.name == "envoy_chain"
    may = lay_out.token(keys, claims())
    asked = [
        ("a good request", may, given.sends, 200),
        ("a good request, RS256", lay_out.token(keys, claims(), "RS256"), given.sends, 200),
        ("a token of a stranger's key", lay_out.token(stranger, claims()), given.sends, 401 if decides else 200),
        ("no token", None, given.sends, 401 if decides else 200),
        *(("a request that no rule grants", may, sent, 403) for sent in given.denied),
    ]
    if given.lists is None:
        asked.append(("a role without the tool", lay_out.token(keys, claims("carol")), given.sends, 403 if decides else 200))
    log = f"its log is {WORK / side.name}.log"
    for what, token, sent, expected in asked:
        status, answer = call(side.port, token, sent)
        if status != expected:
            raise Failed(f"`{side.name}` answered {status} to {what}, expected {expected}: {answer[:200]!r}; {log}")
        if given.lists is not None and status == 200:
            # Without the page that the last one is named after.
            names = [tool["name"][: len("tool_00")] for tool in json.loads(answer)["result"]["tools"]]
            if names != given.lists:
                raise Failed(f"`{side.name}` listed {names}, expected {given.lists}")
    if f"decided by {given.decides}" not in (WORK / f"{side.name}.log").read_text(errors="replace") and given.decides:
        raise Failed(f"`{side.name}` is not decided by {given.decides}; {log}")
