"""Measures what mcp-gate costs: `make bench`, `make soak`.

Sides, each its own Envoy with one worker, given the same tools/call and the
same kind of token (tests/bench/sides.py):

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

Under the bundled policies (tests/bench/policies.py), one token, seen before:

    remembered       the same call again and again
    decided_anew     an argument that a rule reads is another in every call, so that nothing is remembered; so in all below
    interpreter      the same beside a condition on the time of day, which leaves the decision to the interpreter
    grants_N         N exact grants in roles of a hundred
    tuples_N         N relation tuples, of which two lead to the document
    globs_N          N globs in a role, a third of which are neither beginnings nor ends
    list_100_unfiltered  tools/list of a hundred tools, without the gate
    list_100_shadow  through the gate in shadow mode, which reads no list
    list_100         through the gate, which shows sixty of them, again and again
    list_100_anew    the same, each time with another tool, so that nothing is remembered
    load             a policy of 1 MiB is pushed to a gate that serves (tests/bench/pushes.py)

The gate writes its record through Envoy's access log to a file in target/bench;
the sides without it write no log.

Load is wrk, a closed loop over few connections, on another core than Envoy,
as is the static upstream. CPU time is that of the whole Envoy process, by its
own clock, divided by the requests Envoy says it completed. Rounds are
interleaved and their order rotates; the table shows median, least and greatest.

A soak sends tokens of new_es256 and of bad_es256 in turn, each once, to one Envoy,
and shows its memory at equal steps.
"""

import argparse
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

ROOT = Path(__file__).resolve().parent.parent

sys.path[:0] = [str(ROOT / "envoy" / "demo"), str(ROOT / "tests" / "bench")]
import lay_out  # noqa: E402
import pushes  # noqa: E402
from harness import Failed, Processes, ended, stop  # noqa: E402
from sides import BAD, HERE, MIXED, POLICY, SETUPS, START, WORK, Side  # noqa: E402
from sides import call, cores, get, know, search, setup, spoiled, start, verify  # noqa: E402
from stack import MODULE  # noqa: E402

# No side that takes turns with the others.
LOAD = "load"
SIDES = [*SETUPS, LOAD]
# Whose decisions are held against each other: the larger, the smaller.
PAIRS = [("grants_10000", "grants_10"), ("tuples_10000", "tuples_10"), ("globs_200", "globs_10"), ("interpreter", "decided_anew")]
METRICS = ["cpu_us", "p50_us", "p99_us", "rss_mb"]
# Above this share of the two cores, other processes visibly change the figures: they take turns and empty the caches.
DISTURBED = 0.06
# What Envoy's memory may vary by over a soak that leaks nothing, in MB.
GROWTH = 2
# The calls of a soak whose first quarter fills what the gate keeps.
FEWEST = 50_000
# How many times a soak shows memory.
STEPS = 20


class Upstream(NamedTuple):
    pid: int
    port: int


def say(line: str = "") -> None:
    print(line, flush=True)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="over all sides (%(default)s)")
    parser.add_argument("--seconds", type=int, default=2, help="of load, each run (%(default)s)")
    parser.add_argument("--connections", type=int, default=4, help="of wrk, one thread (%(default)s)")
    parser.add_argument("--patience", type=int, default=60, help="seconds to repeat disturbed runs (%(default)s)")
    parser.add_argument("--tokens", type=int, default=60000, help="to mint, each algorithm (%(default)s)")
    parser.add_argument("--sides", default=",".join(SIDES), help="to measure (all); `policy` are those of policies")
    parser.add_argument("--module", type=Path, default=MODULE, help="another build of the gate")
    parser.add_argument("--soak", type=int, metavar="CALLS", help="show memory over CALLS, each with a token of its own")
    chosen = parser.parse_args()
    chosen.sides = [*POLICY, LOAD] if chosen.sides == "policy" else chosen.sides.split(",")
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


# Measuring


def start_upstream(processes: Processes) -> Upstream:
    [port] = lay_out.free_ports(1)
    process = processes.start("upstream", [sys.executable, str(HERE / "upstream.py"), str(port)], core=cores()[1])
    processes.wait_for(lambda: call(port, None, search())[0] == 200, "the static upstream", seconds=START)
    return Upstream(process.pid, port)


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

    # Compared round by round, so that a change of the machine's pace between rounds cancels out.
    def over(name: str, other: str, metric: str) -> list[float]:
        return [one[metric] - less[metric] for one, less in zip(results[name], results[other])]

    rows = [["over bare", "CPU us/request", "x bare", "x what envoy_chain adds", "RSS MB"]]
    for name in results:
        bare = setup(name).over
        if name == bare or bare not in results:
            continue
        added = over(name, bare, "cpu_us")
        ratio = [one["cpu_us"] / less["cpu_us"] for one, less in zip(results[name], results[bare])]
        row = [name, cell(added, 1), cell(ratio, 2), "-", cell(over(name, bare, "rss_mb"), 0)]
        if "envoy_chain" in results and bare == "bare":
            row[3] = cell([one / chain for one, chain in zip(added, over("envoy_chain", bare, "cpu_us"))], 2)
        rows.append(row)
    if len(rows) > 1:
        table(rows)

    # A decision is what a call costs beyond one that is remembered.
    rows = [["decision", "CPU us", "x", "CPU us"]]
    for name, less in PAIRS:
        if {name, less, "remembered"} <= results.keys():
            one, other = (over(each, "remembered", "cpu_us") for each in (name, less))
            rows.append([name, cell(one, 1), cell([a / b for a, b in zip(one, other)], 2), f"{less} {cell(other, 1)}"])
    if len(rows) > 1:
        table(rows)


def start_all(processes: Processes, envoy: str, chosen: argparse.Namespace) -> tuple[Upstream, list[Side]]:
    keys = lay_out.keys(WORK)
    know(keys)
    upstream = start_upstream(processes)
    sides = []
    for name in chosen.sides:
        side = start(processes, name, envoy, keys, chosen.module, upstream.port, chosen.tokens)
        verify(side, keys)
        sides.append(side)
    return upstream, sides


def bench(processes: Processes, envoy: str, chosen: argparse.Namespace) -> None:
    pushed = LOAD in chosen.sides
    chosen.sides = [name for name in chosen.sides if name != LOAD]
    upstream, sides = start_all(processes, envoy, chosen)
    figures = []
    if sides:
        say(
            f"tools/call of {len(search())} bytes where no size is named; wrk, 1 thread, {chosen.connections} connections, closed loop, "
            f"{chosen.seconds} s a run; Envoy on core {cores()[0]}, wrk and upstream on core {cores()[1]}"
        )
        results = measure(sides, upstream, chosen)
        say()
        report(results)
        figures += [
            figure(f"{name}.{metric}", [each[metric] for each in rounds])
            for name, rounds in results.items()
            for metric in METRICS
        ]
    if pushed:
        for side in sides:
            stop(processes.started.pop(side.name))
        measured = pushes.measure(processes, envoy, chosen.module, upstream.port, chosen.rounds)
        table([["push of 1 MiB", "ms"], *([name, cell(values, 0)] for name, values in measured.items())])
        figures += [figure(f"{LOAD}.{name}_ms", values) for name, values in measured.items()]
    if pushed or any(setup(side.name).gate for side in sides):
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
    if any(name == LOAD or setup(name).gate for name in chosen.sides) and not chosen.module.exists():
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
