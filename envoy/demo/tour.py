"""`make run`: mcp-gate in a real Envoy in front of a real MCP server, shown call by call.

Each call is made by the official SDK in both protocol eras and as the HTTP of the curl line that is shown. What is
printed is what came back, and each answer is checked: one that is not as expected ends the tour with status 1.
`running` starts and stops the processes; the tests of the SDK clients use it too.
"""

import asyncio
import contextlib
import ctypes
import dataclasses
import difflib
import http.client
import json
import logging
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import issuer
import lay_out
from lay_out import ROOT, shown

MODULE = ROOT / "target/wasm32-wasip1/release/mcp_gate.wasm"
TOOLS = ROOT / "target/tools/bin"
METADATA = "/.well-known/oauth-protected-resource/mcp"
META = {"io.modelcontextprotocol/protocolVersion": lay_out.VERSION, "io.modelcontextprotocol/clientCapabilities": {}}

# What the tour changes in envoy/filter.yaml: each text stands there once. The second does not compile.
HIGHER_LIMIT = ("limit: {max: 20}", "limit: {max: 1000}")
BROKEN = ("allow if rbac.granted", "allow if rbac.granted(")
TRUSTED = "issuers: [demo]"
ISSUERS = "issuers:\n          - name: demo"


class Failed(Exception):
    """Something was not as it should be; the text says what, and what to do where that is known."""


# Processes


@dataclasses.dataclass
class Stack:
    """What runs: Envoy with the gate, and the server behind it."""

    directory: Path
    port: int
    admin: int
    upstream: int
    envoy: subprocess.Popen[bytes]
    issuer: int = 0  # where the authorization server is, if there is one

    @property
    def url(self) -> str:
        return lay_out.resource(self.port)

    @property
    def filter_yaml(self) -> Path:
        return self.directory / "gate/filter.yaml"

    def log(self, name: str) -> Path:
        return self.directory / f"{name}.log"


@contextlib.contextmanager
def running(
    directory: Path, port: int, admin: int, upstream: int, issuer_port: int = 0, func_e: bool = False
) -> Iterator[Stack]:
    """Starts the server and Envoy, and with `issuer_port` the authorization server, yields when they answer, and
    leaves no process behind, however it ends."""
    for variable, number in zip(lay_out.PORTS, (port, admin, upstream, issuer_port), strict=True):
        require_free(variable, number)
    require(MODULE, "make build")
    command, environment = envoy_command(directory, func_e)
    directory.mkdir(parents=True, exist_ok=True)
    for log in directory.glob("*.log"):
        log.unlink()
    access_log = shown(directory / "audit.log")
    ports = {"port": port, "admin": admin, "upstream": upstream, "issuer": issuer_port or 9000}
    config = lay_out.lay_out(directory, **ports, access_log=access_log)

    started: list[subprocess.Popen[bytes]] = []
    try:
        server = [sys.executable, str(ROOT / "envoy/demo/server.py"), "--port", str(upstream)]
        started.append(start([*server, "--log", str(directory / "requests.log")], directory / "server.log"))
        # Without hot restart, several Envoys can run on one machine; a short flush shows audit lines at once.
        options = ["--concurrency", "2", "--disable-hot-restart", "--file-flush-interval-msec", "50"]
        envoy = start([*command, "-c", shown(config), *options], directory / "envoy.log", environment)
        started.append(envoy)
        stack = Stack(directory, port, admin, upstream, envoy, issuer_port)
        if issuer_port:
            require(issuer.PACKAGES / "node_modules", "python3 tests/setup.py authorization-server")
            asked = issuer.command(issuer_port, {stack.url: "ES256"}, log=stack.log("asked"))
            started.append(start(asked, stack.log("issuer")))
        import mcp  # noqa: F401  (takes most of a second, which Envoy needs as well)

        wait_ready(stack, started[:2])
        yield stack
    finally:
        # A second Ctrl-C waits until everything is stopped.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
        for process in reversed(started):
            stop(process)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


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


def start(command: list[str], log: Path, environment: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    with open(log, "ab") as out:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | (environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches us alone, and we stop the group
            preexec_fn=die_with_parent if sys.platform == "linux" else None,
        )


LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Runs in the child: even a kill -9 of the tour leaves nothing behind."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def stop(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=5)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def leave_in_order() -> None:
    """A plain kill, or a terminal that is closed, ends this process by way of every `finally`, as Ctrl-C does."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: sys.exit(128 + received))


def require(file: Path, how: str) -> None:
    if not file.exists():
        raise Failed(f"{shown(file)} is missing; get it with: {how}")


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


def wait_ready(stack: Stack, processes: list[subprocess.Popen[bytes]]) -> None:
    def ready() -> bool:
        for process, log in zip(processes, ("server", "envoy"), strict=True):
            if process.poll() is not None:
                raise Failed(f"{log} ended with status {process.returncode}:\n{tail(stack.log(log))}")
        with contextlib.suppress(OSError, http.client.HTTPException):
            if rejections(stack):
                raise Failed(f"Envoy refused {shown(stack.filter_yaml)}:\n{tail(stack.log('envoy'))}")
            socket.create_connection(("127.0.0.1", stack.upstream), timeout=1).close()
            return admin(stack, "/ready").strip() == "LIVE"
        return False

    wait_for(ready, f"Envoy and the server to answer; see {shown(stack.directory)}/*.log", seconds=60)


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 10) -> float:
    """Polls until `condition` holds; returns the seconds that took."""
    begin = time.monotonic()
    while not condition():
        if time.monotonic() - begin > seconds:
            raise Failed(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.02)
    return time.monotonic() - begin


def admin(stack: Stack, path: str) -> str:
    return send(stack.admin, "GET", path, {}).body


def rejections(stack: Stack) -> int:
    stats = admin(stack, "/stats?filter=extension_config_discovery.*(update_rejected|config_fail)$")
    return sum(int(line.rsplit(":", 1)[1]) for line in stats.splitlines() if ":" in line)


def tail(file: Path) -> str:
    """The end of a log, without what Envoy says when all is well."""
    lines = file.read_text(errors="replace").splitlines() if file.exists() else []
    return "\n".join([line for line in lines if "[info]" not in line][-12:]) or f"nothing of note in {shown(file)}"


# Calls


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
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body=body.encode() if body else None, headers=headers)
        response = connection.getresponse()
        fields = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, fields, response.read().decode())
    finally:
        connection.close()


def headers_of(stack: Stack, user: str) -> dict[str, str]:
    lines = (stack.directory / f"{user}.headers").read_text().splitlines()
    return dict(line.split(": ", 1) for line in lines)


def message(tool: str, arguments: dict[str, Any]) -> str:
    params = {"name": tool, "arguments": arguments, "_meta": META}
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    return json.dumps(call, separators=(",", ":"))


def over_http(stack: Stack, user: str, tool: str, arguments: dict[str, Any]) -> Answer:
    headers = headers_of(stack, user) | {"mcp-method": "tools/call", "mcp-name": tool}
    return send(stack.port, "POST", "/mcp", headers, message(tool, arguments))


def curl(stack: Stack, user: str, tool: str, arguments: dict[str, Any]) -> str:
    """The same request to paste. The token is in a file, so that the line stays short."""
    fields = [f"@{shown(stack.directory)}/{user}.headers", "mcp-method: tools/call", f"mcp-name: {tool}"]
    quoted = " ".join(f"-H {shlex.quote(field)}" for field in fields)
    return f"curl -i {stack.url} {quoted} \\\n  -d {shlex.quote(message(tool, arguments))}"


def over_sdk(stack: Stack, user: str, tool: str, arguments: dict[str, Any], mode: str) -> tuple[str, str]:
    """The protocol version that the official client settled on, and what its user gets."""
    import httpx2
    from mcp import Client, MCPError
    from mcp.client.streamable_http import streamable_http_client

    token = {name: value for name, value in headers_of(stack, user).items() if name == "authorization"}

    async def call() -> tuple[str, str]:
        version = "-"
        try:
            async with (
                httpx2.AsyncClient(headers=token, timeout=10, trust_env=False) as http_client,
                Client(streamable_http_client(stack.url, http_client=http_client), mode=mode) as client,
            ):
                version = client.protocol_version
                result = await client.call_tool(tool, arguments)
                return version, ("error result: " if result.is_error else "") + result.content[0].text
        except (MCPError, ExceptionGroup) as error:
            # What fails while connecting comes inside the groups of the transport's tasks.
            while isinstance(error, ExceptionGroup):
                error = error.exceptions[0]
            if not isinstance(error, MCPError):
                raise
            return version, f"MCPError {error.code}: {error.message}"

    return asyncio.run(call())


def arrived(stack: Stack) -> list[dict[str, Any]]:
    """What reached the server: one entry for each HTTP request."""
    log = stack.log("requests")
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def record_of(stack: Stack, decision: str) -> str:
    """The line of the audit log that is about one decision."""

    def find() -> str | None:
        log = stack.log("audit")
        lines = log.read_text().splitlines() if log.exists() else []
        return next((line for line in lines if f'"{decision}"' in line), None)

    wait_for(find, f"the audit line of decision {decision} in {shown(stack.log('audit'))}")
    return find() or ""


# What is printed

COLOUR = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
headings = 0


def paint(code: str, text: str) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if COLOUR and code and text else text


def heading(title: str) -> None:
    global headings
    headings += 1
    print(f"\n{paint('1', f'{headings}. {title}')}", flush=True)


def say(text: str, code: str = "") -> None:
    for line in text.splitlines():
        print(f"   {paint(code, line)}", flush=True)


said: set[str] = set()


def say_once(line: str) -> None:
    say("the same curl line as above" if line in said else line, "2")
    said.add(line)


def blank() -> None:
    print()


def shortened(text: str) -> str:
    return text if len(text) <= 200 else text[:200] + " ..."


def expect(what: str, expected: Any, found: Any) -> None:
    if expected != found:
        raise Failed(f"{what}\n  expected  {expected}\n  found     {found}")


# The tour


def call(stack: Stack, user: str, tool: str, arguments: dict[str, Any], expected: str | None) -> Answer:
    """One call, made as HTTP and by the SDK in both eras, shown and checked; `expected` is None for a denial."""
    before = len(arrived(stack))
    blank()
    say(f"{user} calls {tool} {json.dumps(arguments)}")
    say_once(curl(stack, user, tool, arguments))

    answer = over_http(stack, user, tool, arguments)
    say(
        f"{answer.status} {answer.body if expected is None else shortened(answer.body)}",
        "32" if answer.status == 200 else "31",
    )
    by_sdk = [over_sdk(stack, user, tool, arguments, mode) for mode in ("auto", "legacy")]
    outcomes = {outcome for _, outcome in by_sdk}
    versions = " and ".join(version for version, _ in by_sdk)
    say(f"SDK, {versions}: {' / '.join(sorted(outcomes))}")
    calls = [entry for entry in arrived(stack)[before:] if entry["method"] == "tools/call"]

    who = lay_out.USERS[user]["sub"]
    if expected is None:
        error = answer.json.get("error", {})
        say("the server: the call did not arrive" if not calls else f"the server: {len(calls)} calls arrived")
        expect("status of a denied call", 403, answer.status)
        expect(
            "id, code and reason of a denied call",
            (1, 403, "policy_denied"),
            (answer.json.get("id"), error.get("code"), error.get("data", {}).get("code")),
        )
        expect("what the SDK's user gets", {f"MCPError 403: {error['message']}"}, outcomes)
        expect("calls that reached the server", [], calls)
    else:
        subjects = {entry["gate"].get("x-mcp-gate-subject") for entry in calls}
        say(f"the server: {len(calls)} calls arrived, from {', '.join(map(str, subjects))}, none with a token")
        expect("status of an allowed call", 200, answer.status)
        expect("what the SDK's user gets", {expected}, outcomes)
        expect("the same over HTTP", expected, answer.json["result"]["content"][0]["text"])
        expect(
            "calls that reached the server, their subject, and whether a token came along",
            (3, {who}, {False}),
            (len(calls), subjects, {entry["authorization"] for entry in calls}),
        )
    expect("eras of the SDK's two calls", (lay_out.VERSION, True), (by_sdk[0][0], by_sdk[1][0] < lay_out.VERSION))
    return answer


def no_token(stack: Stack) -> None:
    heading("No token")
    challenge = f'Bearer resource_metadata="http://127.0.0.1:{stack.port}{METADATA}", scope="mcp:read"'
    blank()
    say("nobody calls list_documents {}")
    say(curl(stack, "nobody", "list_documents", {}), "2")
    answer = over_http(stack, "nobody", "list_documents", {})
    say(f"{answer.status} www-authenticate: {answer.headers.get('www-authenticate')}", "31")
    outcomes = [over_sdk(stack, "nobody", "list_documents", {}, mode)[1] for mode in ("auto", "legacy")]
    say(f"SDK, auto and legacy: {' / '.join(sorted(set(outcomes)))}")
    expect("status without a token", 401, answer.status)
    expect("the challenge", challenge, answer.headers.get("www-authenticate"))
    expect("SDK errors", [True, True], [outcome.startswith("MCPError") for outcome in outcomes])
    expect("requests that reached the server", [], arrived(stack))

    blank()
    say("the document that the challenge names says where tokens come from")
    say(f"curl -i http://127.0.0.1:{stack.port}{METADATA}", "2")
    answer = send(stack.port, "GET", METADATA, {})
    say(f"{answer.status} {answer.body}", "32")
    expect("status of the metadata document", 200, answer.status)
    expect(
        "resource and issuers in it",
        (stack.url, [lay_out.ISSUER]),
        (answer.json.get("resource"), answer.json.get("authorization_servers")),
    )


def tour(stack: Stack) -> None:
    info = json.loads(admin(stack, "/server_info"))
    print(paint("1", f"mcp-gate in Envoy {info['version'].split('/')[1]}, {stack.url}"))
    say(
        "Each call is made three times: as the curl line (from the repository's root)\n"
        "and by the official Python SDK in both protocol eras."
    )

    no_token(stack)

    heading("An allowed call")
    call(stack, "bob", "search_documents", {"query": "espresso", "limit": 5}, "budget: Budget for next year")

    heading("Denied by role: bob is an analyst, and analysts do not delete")
    call(stack, "bob", "delete_document", {"id": "handbook"}, None)

    heading("Denied because of an argument: analysts search with a limit of at most 20")
    too_many = {"query": "espresso", "limit": 500}
    call(stack, "bob", "search_documents", too_many, None)

    heading("Only the owner may edit a document: alice owns q3-report, not handbook")
    call(stack, "alice", "edit_document", {"id": "q3-report", "text": "Revenue rose."}, "q3-report saved by alice")
    denied = call(stack, "alice", "edit_document", {"id": "handbook", "text": "Lock nothing."}, None)

    heading("Only hr reads payroll, and only on a managed device")
    call(stack, "carol", "read_payroll", {"employee": "bob"}, "bob earns 4700 a month")
    call(stack, "carol-byod", "read_payroll", {"employee": "bob"}, None)

    heading("The audit line of alice's denied edit")
    blank()
    say(f"{shown(stack.log('audit'))}, one line for each request", "2")
    record = record_of(stack, denied.json["error"]["data"]["decision_id"])
    say(record)
    fields = json.loads(record)
    names = ("subject", "method", "name", "decision", "code")
    expect(
        f"{', '.join(names)} of the audit line",
        ["alice", "tools/call", "edit_document", "deny", "policy_denied"],
        [fields.get(name) for name in names],
    )
    expect("argument values and tokens in the audit line", False, "Lock nothing" in record or "eyJ" in record)

    process = identity(stack)
    change_policy(stack, too_many)
    break_policy(stack, too_many)
    whole_flow(stack)
    expect("the Envoy that served all of it", process, identity(stack))


def change_policy(stack: Stack, too_many: dict[str, Any]) -> None:
    heading("The policy changes as a ConfigMap does, and the same call is answered differently")
    good = stack.filter_yaml.read_text()
    try:
        swap(stack, good, changed(good, HIGHER_LIMIT))
        seconds = wait_answer(stack, too_many, 200)
        say(f"in force after {seconds:.1f} s; {same_envoy(stack)}")
        call(stack, "bob", "search_documents", too_many, "budget: Budget for next year")
        swap(stack, changed(good, HIGHER_LIMIT), good)
        seconds = wait_answer(stack, too_many, 403)
        say(f"put back after {seconds:.1f} s; {same_envoy(stack)}")
        call(stack, "bob", "search_documents", too_many, None)
    finally:
        lay_out.swap(stack.directory / "gate", good)


def break_policy(stack: Stack, too_many: dict[str, Any]) -> None:
    heading("A broken policy is refused, and the last good one goes on serving")
    good = stack.filter_yaml.read_text()
    refused = rejections(stack)
    log_length = stack.log("envoy").stat().st_size
    try:
        swap(stack, good, changed(good, BROKEN))
        wait_for(lambda: rejections(stack) > refused, "Envoy to refuse a policy that does not compile")
        say(f"{shown(stack.log('envoy'))}:")
        logged = reason(stack, log_length)
        say(logged, "31")
        expect("file and line in the reason", True, re.search(r"authz\.rego:\d+:\d+: ", logged) is not None)
        call(stack, "bob", "search_documents", {"query": "espresso", "limit": 5}, "budget: Budget for next year")
        call(stack, "bob", "search_documents", too_many, None)
        blank()
        say(f"{same_envoy(stack)}")
    finally:
        lay_out.swap(stack.directory / "gate", good)


def whole_flow(stack: Stack) -> None:
    heading("A client that knows the URL and nothing else, and an authorization server that the gate is told to trust")
    import oauth

    wait_for(lambda: issuer.jwks(stack.issuer), f"the authorization server; see {shown(stack.log('issuer'))}", 60)
    url = issuer.url(stack.issuer)
    good = stack.filter_yaml.read_text()
    # Clients take the first.
    trusted = changed(good, (TRUSTED, "issuers: [accounts, demo]"))
    source = "{discover: {cluster: authorization-server}}"
    more = f"- name: accounts\n            issuer: {url}\n            jwks: {source}\n          "
    trusted = changed(trusted, (ISSUERS, ISSUERS.replace("- name: demo", f"{more}- name: demo")))
    swap(stack, good, trusted)

    def told() -> bool:
        answers = [send(stack.port, "GET", METADATA, {}) for _ in range(12)]
        return all(answer.json["authorization_servers"][0] == url for answer in answers)

    seconds = wait_for(told, f"the gate to name the authorization server; see {shown(stack.log('envoy'))}")
    say(f"in force after {seconds:.1f} s; the keys come from where {url} says they are")

    before = len(arrived(stack))
    steps: list[oauth.Step] = []

    async def calls() -> list[str]:
        async with oauth.connected(stack.url, "alice", "auto", steps) as client:
            read = await client.call_tool("read_document", {"id": "q3-report"})
            edit = await client.call_tool("edit_document", {"id": "q3-report", "text": "Revenue rose again."})
            return [result.content[0].text for result in (read, edit)]

    results = asyncio.run(calls())
    blank()
    for each in steps:
        show(each)
    blank()
    say(f"SDK: {' / '.join(results)}")
    reached = [entry for entry in arrived(stack)[before:] if entry["method"] == "tools/call"]
    scopes = [entry["gate"].get("x-mcp-gate-scopes") for entry in reached]
    say(f"the server: {len(reached)} calls arrived, with the scopes {' and then '.join(scopes)}, none with a token")
    expect("the way of the client", [*oauth.FIRST, *oauth.STEP_UP], oauth.way(steps))
    expect("what the SDK's user gets", ["Revenue rose.", "q3-report saved by alice"], results)
    expect("scopes of the calls that reached the server", ["mcp:read", "mcp:read mcp:write"], scopes)
    gate = [entry["gate"] for entry in reached]
    who = {(each.get("x-mcp-gate-subject"), each.get("x-mcp-gate-issuer")) for each in gate}
    expect("subjects and issuers of these calls", {("alice", url)}, who)
    expect("tokens that came along", [False, False], [entry["authorization"] for entry in reached])


def show(step: Any) -> None:
    """One exchange, with what it is about."""
    asked = "".join(f" {name}={json.dumps(value)}" for name, value in step.asked.items())
    told = f" {json.dumps(step.told)}" if step.told else ""
    fields = {"www-authenticate": step.challenge, "location": step.location}
    headers = "".join(f" {name}: {value}" for name, value in fields.items() if value)
    say(f"{step.by if step.by == 'client' else f'{step.by} in a browser'}: {step.method} {step.url}{asked}")
    say(f"  {step.status}{headers}{told}", "32" if step.status < 400 else "31")


def changed(filter_text: str, change: tuple[str, str]) -> str:
    old, new = change
    if filter_text.count(old) != 1:
        raise Failed(
            f"envoy/filter.yaml: expected `{old}` once, which the tour changes; found it {filter_text.count(old)} times"
        )
    return filter_text.replace(old, new)


def swap(stack: Stack, old: str, new: str) -> None:
    lay_out.swap(stack.directory / "gate", new)
    blank()
    say(f"{shown(stack.filter_yaml)}, by a swap of the symlink ..data")
    for line in difflib.unified_diff(old.splitlines(), new.splitlines(), n=0, lineterm=""):
        if line[0] in "+-" and not line.startswith(("+++", "---")):
            say(f"{line[0]} {line[1:].strip()}", "32" if line[0] == "+" else "31")


def wait_answer(stack: Stack, arguments: dict[str, Any], status: int) -> float:
    """Until both workers answer so: the kernel spreads new connections over them."""

    def answered() -> bool:
        return all(over_http(stack, "bob", "search_documents", arguments).status == status for _ in range(12))

    return wait_for(answered, f"the changed policy to answer {status}; see {shown(stack.log('envoy'))}")


def reason(stack: Stack, offset: int) -> str:
    """What the gate and Envoy's discovery have logged since `offset`; the lines between them only repeat it."""
    with open(stack.log("envoy"), "rb") as log:
        log.seek(offset)
        lines = log.read().decode(errors="replace").splitlines()
    return "\n".join(line for line in lines if "mcp-gate: " in line or "update rejected" in line)


def identity(stack: Stack) -> tuple[int, str, bool]:
    """Changes when Envoy does: a restart has another process or another epoch."""
    stats = admin(stack, "/stats?filter=^server.hot_restart_epoch$")
    return stack.envoy.pid, stats.strip(), stack.envoy.poll() is None


def same_envoy(stack: Stack) -> str:
    uptime = json.loads(admin(stack, "/server_info"))["uptime_current_epoch"]
    epoch = identity(stack)[1].rsplit(" ", 1)[1]
    return f"no restart: process {stack.envoy.pid}, up {uptime}, restart epoch {epoch}"


def stay(stack: Stack) -> None:
    heading("Your turn")
    say("Everything stays up until Ctrl-C. Calls to paste, from the repository's root:")
    for user, tool, arguments in [
        ("bob", "list_documents", {}),
        ("alice", "share_document", {"id": "q3-report", "with": "bob"}),
        ("carol", "read_payroll", {"employee": "alice"}),
    ]:
        blank()
        say(curl(stack, user, tool, arguments), "2")
    blank()
    say(f"or give an MCP client of your own {stack.url}, and log in on the page that it opens")
    blank()
    say(f"tokens, good for a day: {shown(stack.directory)}/*.headers\naudit lines: tail -f {shown(stack.log('audit'))}")
    try:
        status = stack.envoy.wait()
    except KeyboardInterrupt:
        print()
        return
    raise Failed(f"Envoy ended with status {status}")


def main() -> int:
    leave_in_order()
    logging.disable(logging.WARNING)  # of the SDK, about the denials that the tour provokes
    func_e = "--func-e" in sys.argv[1:] or os.environ.get("FUNC_E", "") not in ("", "0")
    begin = time.monotonic()
    try:
        port, admin_port, upstream, issuer_port = lay_out.ports()
        print(
            f"Starting Envoy on port {port} (admin {admin_port}), the demo server on {upstream} and its authorization "
            f"server on {issuer_port}.\n",
            flush=True,
        )
        with running(lay_out.demo(port), port, admin_port, upstream, issuer_port, func_e) as stack:
            try:
                tour(stack)
                print(f"\nAll as expected, in {time.monotonic() - begin:.0f} s.", flush=True)
                if sys.stdin.isatty() and sys.stdout.isatty():
                    stay(stack)
            except Exception:
                print(f"\n{shown(stack.log('envoy'))}:\n{tail(stack.log('envoy'))}", file=sys.stderr)
                raise
    except Failed as failure:
        print(f"\n{failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
