"""Measures what mcp-gate costs: `make bench`, `make soak`.

Sides, each its own Envoy with one worker, given the same tools/call and the
same kind of token:

    bare             envoy/envoy.yaml without the gate
    envoy_chain      jwt_authn with its token cache, mcp and rbac in its place (tests/bench/chain.yaml)
    gate.known       envoy/envoy.yaml as it is; one token, seen before
    gate.new_rs256   the same; every token seen for the first time, signed with RS256
    gate.new_es256   the same, signed with ES256
    gate.bad_rs256   the same as new_rs256, but each token has the signature of another: all are refused
    gate.bad_es256   the same, signed with ES256
    gate.bad_expired the same as new_es256, but each token expired a day ago: all are refused
    gate.many        gate.known with 50 issuers, of which the token's own has 100 keys
    *.4k, *.100k     bare and gate.known with a message of that size

The gate writes its record through Envoy's access log to a file in target/bench;
the other two write no log.

Load is wrk, a closed loop over few connections, on another core than Envoy,
as is the static upstream. CPU time is that of the whole Envoy process, by its
own clock, divided by the requests Envoy says it completed. Rounds are
interleaved and their order rotates; the table shows median, least and greatest.

A soak sends tokens of new_es256 and of bad_es256 in turn, each once, to one Envoy,
and shows its memory at equal steps.
"""

import argparse
import contextlib
import http.client
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import jwt
import yaml

ROOT = Path(__file__).resolve().parent.parent
HERE = ROOT / "tests" / "bench"
WORK = ROOT / "target" / "bench"

sys.path.insert(0, str(ROOT / "envoy" / "demo"))
import lay_out  # noqa: E402
from harness import Failed, Processes, ended  # noqa: E402
from stack import MODULE  # noqa: E402

SIDES = ["bare", "envoy_chain", "gate.known", "gate.many", "gate.new_rs256", "gate.new_es256"]
SIDES += ["gate.bad_rs256", "gate.bad_es256", "gate.bad_expired"]
SIDES += ["bare.4k", "gate.known.4k", "bare.100k", "gate.known.100k"]
SIZES = {"4k": 4 * 1024, "100k": 100 * 1024}
METRICS = ["cpu_us", "p50_us", "p99_us", "rss_mb"]
# Above this share of the two cores, other processes visibly change the figures: they take turns and empty the caches.
DISTURBED = 0.06
# Seconds for a process to start in: V8 compiles the module first, and the machine may have other things to do.
START = 240
# What Envoy's memory may vary by over a soak that leaks nothing, in MB.
GROWTH = 2
# The calls of a soak whose first quarter fills what the gate keeps.
FEWEST = 50_000
# Good and bad in turn; of a soak alone.
MIXED = "gate.mixed"
NEW = {"gate.new_rs256": "RS256", "gate.new_es256": "ES256", MIXED: "ES256"}
BAD = {"gate.bad_rs256": "RS256", "gate.bad_es256": "ES256", "gate.bad_expired": "ES256"}
# How many times a soak shows memory.
STEPS = 20

META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1.0"},
}


def body_of(name: str) -> bytes:
    """The message of a side, with as many paragraphs as fit into its size."""
    arguments: dict[str, Any] = {"query": "travel", "limit": 10}
    params = {"name": "search_documents", "arguments": arguments, "_meta": META}
    size = SIZES.get(name.rpartition(".")[2], 0)
    paragraph = {"id": 1001, "score": 0.875, "tags": ["a", "b"], "text": "Lorem ipsum dolor sit amet, " * 8}
    if size:
        arguments["context"] = [paragraph] * (size // len(json.dumps(paragraph)))
    message = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}
    return json.dumps(message, separators=(",", ":")).encode()


HEADERS = {
    # The resource's authority, whatever port a side listens on: so one set of tokens does for all.
    "Host": "127.0.0.1:10000",
    "User-Agent": "bench/1.0",
    "Accept": "application/json, text/event-stream",
    "Content-Type": "application/json",
    "MCP-Protocol-Version": "2026-07-28",
    "Mcp-Method": "tools/call",
    "Mcp-Name": "search_documents",
}


class Upstream(NamedTuple):
    pid: int
    port: int


class Side(NamedTuple):
    name: str
    pid: int
    port: int
    admin: int
    tokens: Path


def say(line: str = "") -> None:
    print(line, flush=True)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="over all sides (%(default)s)")
    parser.add_argument("--seconds", type=int, default=2, help="of load, each run (%(default)s)")
    parser.add_argument("--connections", type=int, default=4, help="of wrk, one thread (%(default)s)")
    parser.add_argument("--patience", type=int, default=60, help="seconds to repeat disturbed runs (%(default)s)")
    parser.add_argument("--tokens", type=int, default=60000, help="to mint, each algorithm (%(default)s)")
    parser.add_argument("--sides", default=",".join(SIDES), help="to measure (all)")
    parser.add_argument("--module", type=Path, default=MODULE, help="another build of the gate")
    parser.add_argument("--soak", type=int, metavar="CALLS", help="show memory over CALLS, each with a token of its own")
    chosen = parser.parse_args()
    chosen.sides = chosen.sides.split(",")
    for name in chosen.sides:
        if name not in SIDES:
            parser.error(f"no side `{name}`: there are {', '.join(SIDES)}")
    return chosen


# Tools and the machine


def tool(name: str, path: Path | str | None, remedy: str) -> str:
    found = path and shutil.which(path)
    if not found:
        raise Failed(f"no {name} at {path}: {remedy}" if path else f"no {name}: {remedy}")
    return str(Path(found).resolve())


def cores() -> tuple[int, int]:
    """The core for Envoy and the core for load and upstream."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


def machine(envoy: str) -> str:
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    version = subprocess.run([envoy, "--version"], capture_output=True, text=True, check=True).stdout
    number = re.search(r"/(\d+\.\d+\.\d+)/", version)
    return f"{model}, {os.cpu_count()} cores, Linux {platform.release()}, Envoy {number[1] if number else 'unknown'}"


def busy() -> float:
    """Seconds that the two cores have worked since boot, stolen time included."""
    ticks = 0
    for line in Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name in {f"cpu{core}" for core in cores()}:
            user, nice, system, _, _, irq, softirq, steal = (int(field) for field in fields[:8])
            ticks += user + nice + system + irq + softirq + steal
    return ticks / os.sysconf("SC_CLK_TCK")


def cpu(pid: int) -> float:
    """CPU seconds of a process, all its threads, at the scheduler's own resolution."""
    # What clock_getcpuclockid(3) computes; Python offers only its use.
    return time.clock_gettime(~pid << 3 | 2)


def rss(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise Failed(f"process {pid} has ended; its log is in {WORK}")


# Requests


def get(port: int, path: str) -> tuple[int, bytes]:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()


def call(port: int, token: str | None, body: bytes) -> int:
    """The status of the measured request with this token."""
    headers = dict(HEADERS)
    if token:
        headers["Authorization"] = f"Bearer {token}"
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        connection.request("POST", "/mcp", body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status


# The sides


def mint(keys: dict[str, dict[str, str]], algorithm: str, count: int, age: int = 0) -> Path:
    """A file of `count` tokens of one user that differ in `jti`, `age` seconds old; kept while new ones are valid."""
    file = WORK / (f"tokens.{algorithm}.{age}" if age else f"tokens.{algorithm}")
    sample = lay_out.token(keys, lay_out.USERS["bob"] | {"aud": lay_out.resource(10000)}, algorithm)
    claims = jwt.decode(sample, options={"verify_signature": False})
    with contextlib.suppress(OSError, IndexError, jwt.InvalidTokenError):
        kept = file.read_text().split()
        key = jwt.PyJWK(lay_out.jwks({algorithm: keys[algorithm]})["keys"][0])
        old = jwt.decode(kept[0], key, audience=claims["aud"], options={"verify_exp": False})
        if len(kept) >= count and old["exp"] + age > time.time() + 3600:
            return file
    claims |= {"iat": claims["iat"] - age, "exp": claims["exp"] - age}
    say(f"minting {count} {algorithm} tokens, kept in {lay_out.shown(file)}")
    header = jwt.get_unverified_header(sample)
    # Made once: reading an RSA key costs far more than signing with it.
    key = jwt.PyJWK(keys[algorithm]).key
    tokens = (jwt.encode(claims | {"jti": f"bench-{number}"}, key, algorithm, header) for number in range(count))
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


def many(filter_text: str) -> str:
    """A filter with 49 more issuers, and 99 more keys for the first."""
    document = yaml.safe_load(filter_text)
    value = document["resources"][0]["typed_config"]["config"]["configuration"]["value"]
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
    return yaml.safe_dump(document)


def render(name: str, keys: dict[str, dict[str, str]], module: Path, port: int, admin: int, upstream: int) -> Path:
    """Writes the side's Envoy configuration and returns its path."""
    directory = WORK / name
    records = WORK / f"{name}.records"
    records.unlink(missing_ok=True)
    text = lay_out.envoy_yaml(directory, port, admin, upstream, str(records))
    if name.startswith("gate."):
        text_of_filter = lay_out.filter_yaml(keys, 10000, lay_out.shown(module))
        lay_out.swap(directory / "gate", many(text_of_filter) if name == "gate.many" else text_of_filter)
    else:
        # The same file but for the gate and the log that writes its record, so that nothing else differs.
        envoy = yaml.safe_load(text)
        [listener] = envoy["static_resources"]["listeners"]
        manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
        del manager["access_log"]
        [gate] = [at for at, each in enumerate(manager["http_filters"]) if "config_discovery" in each]
        instead = [] if name.startswith("bare") else yaml.safe_load((HERE / "chain.yaml").read_text())
        manager["http_filters"][gate : gate + 1] = instead
        text = yaml.safe_dump(envoy)
    config = WORK / f"{name}.yaml"
    config.write_text(text)
    return config


def start_upstream(processes: Processes) -> Upstream:
    [port] = lay_out.free_ports(1)
    process = processes.start("upstream", [sys.executable, str(HERE / "upstream.py"), str(port)], core=cores()[1])
    processes.wait_for(lambda: call(port, None, body_of("")) == 200, "the static upstream", seconds=START)
    return Upstream(process.pid, port)


def start_side(
    processes: Processes, name: str, envoy: str, config: Path, port: int, admin: int, tokens: Path
) -> Side:
    command = [envoy, "-c", str(config), "--concurrency", "1", "--disable-hot-restart", "--log-level", "warn"]
    process = processes.start(name, command, core=cores()[0])
    processes.wait_for(lambda: get(admin, "/ready")[0] == 200, f"the Envoy of `{name}`", seconds=START)
    return Side(name, process.pid, port, admin, tokens)


def verify(side: Side, keys: dict[str, dict[str, str]]) -> None:
    """Each side must permit the measured request, and refuse what it is there to refuse."""
    claims = lay_out.USERS["bob"] | {"aud": lay_out.resource(10000)}
    stranger = lay_out.keys(WORK / "stranger")
    unlisted = lay_out.USERS["carol"] | {"aud": lay_out.resource(10000)}
    decides = not side.name.startswith("bare")
    for what, token, expected in [
        ("a good request", lay_out.token(keys, claims), 200),
        ("a good request, RS256", lay_out.token(keys, claims, "RS256"), 200),
        ("a role without the tool", lay_out.token(keys, unlisted), 403 if decides else 200),
        ("a token of a stranger's key", lay_out.token(stranger, claims), 401 if decides else 200),
        ("no token", None, 401 if decides else 200),
    ]:
        status = call(side.port, token, body_of(side.name))
        if status != expected:
            raise Failed(f"`{side.name}` answered {status} to {what}, expected {expected}; its log is {WORK / side.name}.log")


# Measuring


def counters(side: Side) -> dict[str, int]:
    """Requests that Envoy completed, by class of status, without its admin's own."""
    stats = json.loads(get(side.admin, "/stats?format=json&filter=downstream_rq_(completed|[1-5]xx)")[1])["stats"]
    found: dict[str, int] = {}
    for stat in stats:
        _, listener, name = stat["name"].rsplit(".", 2)
        if stat["name"].startswith("http.") and listener != "admin":
            found[name] = found.get(name, 0) + stat["value"]
    return found


def load(
    side: Side, upstream: Upstream, seconds: int, connections: int, skip: int, limit: int, tokens: list[Path]
) -> dict[str, Any]:
    """One run of wrk against a side; what wrk and Envoy counted."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(HERE / "load.lua")]
    command += [f"http://127.0.0.1:{side.port}/", "--", str(WORK / f"{side.name}.request"), str(skip), str(limit), *map(str, tokens)]

    def ours() -> float:
        return cpu(side.pid) + cpu(upstream.pid) + sum(os.times()[:4])

    with Processes(WORK) as processes:
        counted, worked = counters(side), cpu(side.pid)
        others, began = busy() - ours(), time.monotonic()
        process = processes.start("wrk", command, core=cores()[1])
        process.wait()
        others = (busy() - ours() - others) / (time.monotonic() - began) / len(set(cores()))
        worked = cpu(side.pid) - worked
        counted = {name: value - counted.get(name, 0) for name, value in counters(side).items()}
    output = processes.log("wrk").read_text(errors="replace")
    last = output.splitlines()[-1] if output else ""
    if process.returncode or not last.startswith("{"):
        raise Failed(f"wrk failed on `{side.name}`: {output.strip()}")
    result = json.loads(last)
    answers = ["2xx", "4xx"] if side.name == MIXED else ["4xx"] if side.name in BAD else ["2xx"]
    expected = [counted.pop(f"downstream_rq_{answer}", 0) for answer in answers]
    others_too = any(value for name, value in counted.items() if name.endswith("xx"))
    # wrk prepares calls that it does not send, so that one kind may be a few more.
    uneven = max(expected) - min(expected) > 4 * connections
    if result["broken"] or others_too or uneven or not result["requests"]:
        raise Failed(
            f"`{side.name}` did not answer every request with {' and '.join(answers)} (in turn): "
            f"wrk says {result}, Envoy {expected} and {counted}"
        )
    completed = counted["downstream_rq_completed"]
    measured = {"completed": completed, "cpu_us": worked * 1e6 / completed, "rss_mb": rss(side.pid), "others": others}
    return result | measured


def measure(sides: list[Side], upstream: Upstream, chosen: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    """By side, one result per round."""
    results: dict[str, list[dict[str, Any]]] = {side.name: [] for side in sides}
    spent = dict.fromkeys(results, 0)
    patience, repeated = chosen.patience, 0
    # Round 0 warms up: connections, caches, V8's optimising compiler. It is not counted.
    for number in range(chosen.rounds + 1):
        turn = number % len(sides)
        for side in sides[turn:] + sides[:turn]:
            while True:
                left = (chosen.tokens - spent[side.name]) // (chosen.rounds + 1 - number)
                result = load(side, upstream, chosen.seconds, chosen.connections, spent[side.name], left, [side.tokens])
                spent[side.name] += result["used"]
                if not number or result["others"] < DISTURBED or patience <= 0:
                    break
                patience, repeated = patience - chosen.seconds, repeated + 1
            if number:
                results[side.name].append(result)
        say(f"round {number} of {chosen.rounds}" + ("" if number else " (warm-up)"))
    others = [result["others"] for rounds in results.values() for result in rounds]
    say(
        f"other processes took {statistics.median(others):.0%} of the two cores (median), at most {max(others):.0%}; "
        f"disturbed (above {DISTURBED:.0%}): {repeated} runs repeated, "
        f"{sum(each >= DISTURBED for each in others)} of the {len(others)} that count"
    )
    return results


def figure(name: str, values: list[float]) -> dict[str, Any]:
    return {"name": name, "median": statistics.median(values), "min": min(values), "max": max(values)}


def cell(values: list[float], digits: int) -> str:
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def table(rows: list[list[str]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        say("  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip())
    say()


def report(results: dict[str, list[dict[str, Any]]]) -> None:
    rows = [["side", "CPU us/request", "p50 us", "p99 us", "RSS MB", "requests"]]
    for name, rounds in results.items():
        cells = [cell([each[metric] for each in rounds], digits) for metric, digits in zip(METRICS, (1, 0, 0, 0))]
        rows.append([name, *cells, str(sum(each["completed"] for each in rounds))])
    table(rows)
    if "bare" not in results:
        return

    # Compared round by round, so that a change of the machine's pace between rounds cancels out.
    def bare_of(name: str) -> list[dict[str, Any]]:
        size = name.rpartition(".")[2]
        return results[f"bare.{size}" if size in SIZES else "bare"]

    def over_bare(name: str, metric: str) -> list[float]:
        return [one[metric] - bare[metric] for one, bare in zip(results[name], bare_of(name))]

    rows = [["over bare", "CPU us/request", "x bare", "x what envoy_chain adds", "RSS MB"]]
    for name in results:
        if name.startswith("bare"):
            continue
        added = over_bare(name, "cpu_us")
        ratio = [one["cpu_us"] / bare["cpu_us"] for one, bare in zip(results[name], bare_of(name))]
        row = [name, cell(added, 1), cell(ratio, 2), "-", cell(over_bare(name, "rss_mb"), 0)]
        if "envoy_chain" in results:
            row[3] = cell([one / chain for one, chain in zip(added, over_bare("envoy_chain", "cpu_us"))], 2)
        rows.append(row)
    table(rows)


def start_all(processes: Processes, envoy: str, chosen: argparse.Namespace) -> tuple[Upstream, list[Side]]:
    keys = lay_out.keys(WORK)
    bob = lay_out.USERS["bob"] | {"aud": lay_out.resource(10000)}
    (WORK / "jwks.json").write_text(json.dumps(lay_out.jwks(keys)))
    lines = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
    for name in chosen.sides:
        body = body_of(name)
        head = f"POST /mcp HTTP/1.1\r\n{lines}Authorization: Bearer TOKEN\r\nContent-Length: {len(body)}\r\n\r\n"
        (WORK / f"{name}.request").write_bytes(head.encode() + body)
    known = WORK / "tokens.known"
    lay_out.write(known, lay_out.token(keys, bob, "RS256") + "\n", mode=0o600)
    upstream = start_upstream(processes)
    sides = []
    for name in chosen.sides:
        port, admin = lay_out.free_ports(2)
        tokens = known
        if name in NEW:
            tokens = mint(keys, NEW[name], chosen.tokens)
        if name == "gate.bad_expired":
            # They live for a day.
            tokens = mint(keys, BAD[name], chosen.tokens, age=48 * 3600)
        elif name in BAD:
            tokens = spoiled(mint(keys, BAD[name], chosen.tokens))
        config = render(name, keys, chosen.module, port, admin, upstream.port)
        side = start_side(processes, name, envoy, config, port, admin, tokens)
        verify(side, keys)
        sides.append(side)
    return upstream, sides


def bench(processes: Processes, envoy: str, chosen: argparse.Namespace) -> None:
    upstream, sides = start_all(processes, envoy, chosen)
    say(
        f"tools/call of {len(body_of(''))} bytes where no size is named; wrk, 1 thread, {chosen.connections} connections, closed loop, "
        f"{chosen.seconds} s a run; Envoy on core {cores()[0]}, wrk and upstream on core {cores()[1]}"
    )
    results = measure(sides, upstream, chosen)
    say()
    report(results)
    figures = [
        figure(f"{name}.{metric}", [each[metric] for each in rounds])
        for name, rounds in results.items()
        for metric in METRICS
    ]
    if any(name.startswith("gate.") for name in results):
        size = chosen.module.stat().st_size
        say(f"module: {size / 1e6:.2f} MB")
        figures.append(figure("module.bytes", [size]))
    file = WORK.parent / "bench.json"
    file.write_text("[\n" + ",\n".join(json.dumps(each) for each in figures) + "\n]\n")
    say(f"written to {lay_out.shown(file)}")


def soak(processes: Processes, envoy: str, chosen: argparse.Namespace) -> None:
    """Sends calls with good and bad tokens in turn, each seen once, and shows what memory does."""
    each = chosen.soak // 2
    chosen.tokens = each
    chosen.sides = [MIXED]
    upstream, [side] = start_all(processes, envoy, chosen)
    files = [side.tokens, spoiled(side.tokens)]
    series = [(0, rss(side.pid))]
    say(f"{series[0][0]:>8} calls  {series[0][1]:6.1f} MB")
    calls = used = 0
    for step in range(1, STEPS + 1):
        # The last few of a step are prepared, but not sent.
        while (left := each * step // STEPS - used) > 0:
            result = load(side, upstream, 5, chosen.connections, used, left, files)
            calls, used = calls + result["completed"], used + result["used"]
        series.append((calls, rss(side.pid)))
        say(f"{calls:>8} calls  {series[-1][1]:6.1f} MB")
    # The gate remembers verified tokens up to a bound; the first quarter fills what is kept on purpose.
    if calls < FEWEST:
        say(f"memory is not judged below {FEWEST} calls: what is kept on purpose is not full")
        return
    filled = next(memory for sent, memory in series if sent >= calls / 4)
    say(f"before {series[0][1]:.1f} MB, after a quarter {filled:.1f} MB, after all {series[-1][1]:.1f} MB")
    if series[-1][1] > filled + GROWTH:
        raise Failed(f"memory grew by {series[-1][1] - filled:.1f} MB after the first quarter; expected at most {GROWTH} MB")


def main() -> int:
    chosen = options()
    if not hasattr(os, "sched_setaffinity"):
        raise Failed(f"expected Linux, found {platform.system()}: it reads /proc and pins processes to cores")
    tool("wrk", "wrk", "run `python3 tests/setup.py wrk`")
    found = os.environ.get("ENVOY") or ROOT / "target/tools/bin/envoy"
    envoy = tool("Envoy", found, "run `python3 tests/setup.py envoy`, or set ENVOY")
    if any(name.startswith("gate.") for name in chosen.sides) and not chosen.module.exists():
        raise Failed(f"no module at {chosen.module}: run `make build`")
    WORK.mkdir(parents=True, exist_ok=True)
    say(machine(envoy))
    if cores()[0] == cores()[1]:
        say("only one core may be used: latency will contain the load's own work")
    with Processes(WORK) as processes:
        (soak if chosen.soak else bench)(processes, envoy, chosen)
    return 0


if __name__ == "__main__":
    sys.exit(ended(main))
