"""`make run`: mcp-gate in a real Envoy in front of a real MCP server, shown call by call.

Each call is made by the official SDK in both protocol eras and as the HTTP of the curl line that is shown. What is
printed is what came back, and each answer is checked: one that is not as expected ends the tour with status 1.
"""

import asyncio
import json
import logging
import os
import re
import sys
import time
from typing import Any

import issuer
import lay_out
from calls import curl, listed, over_http, over_sdk
from harness import Failed, ended, tail
from lay_out import shown
from screen import blank, heading, paint, say, say_once, shortened, show, show_change
from stack import Answer, Stack, admin, arrived, rejections, running, send

METADATA = "/.well-known/oauth-protected-resource/mcp"

# What the tour changes in envoy/filter.yaml: each text stands there once.
HIGHER_LIMIT = ("limit: {max: 20}", "limit: {max: 1000}")
DATA = "policy:\n            data:"
# Rules beside the tables.
RULES = """policy:
            rules:
            - allow: {tools: [read_document], subjects: [carol], arguments: {id: [handbook]}}
            - deny: {tools: ["search_*"], arguments: {query: {glob: "*budget*"}}, unless: {roles: [editor]}}
              reason: the budget is not public yet
            data:"""
# Rego in place of the bundled `authz.rego`. It does not compile.
BROKEN = """policy:
            modules:
              authz.rego: |
                package mcp.authz

                allow if data.mcp.rbac.granted(
            data:"""
TRUSTED = "issuers: [demo]"
# Nothing grants the call, and no model has a reason against it.
UNGRANTED: list[str] = []
ISSUERS = "issuers:\n          - name: demo"


def expect(what: str, expected: Any, found: Any) -> None:
    if expected != found:
        raise Failed(f"{what}\n  expected  {expected}\n  found     {found}")


def record_of(stack: Stack, decision: str) -> str:
    """The line of the audit log that is about one decision."""

    def find() -> str | None:
        log = stack.log("audit")
        lines = log.read_text().splitlines() if log.exists() else []
        return next((line for line in lines if f'"{decision}"' in line), None)

    stack.wait_for(find, f"the audit line of decision {decision} in {shown(stack.log('audit'))}")
    return find() or ""


def call(stack: Stack, user: str, tool: str, arguments: dict[str, Any], expected: str | list[str]) -> Answer:
    """One call, made as HTTP and by the SDK in both eras, shown and checked; a list is the reasons of a denial."""
    is_denied = isinstance(expected, list)
    before = len(arrived(stack))
    blank()
    say(f"{user} calls {tool} {json.dumps(arguments)}")
    say_once(curl(stack, user, tool, arguments))

    answer = over_http(stack, user, tool, arguments)
    say(
        f"{answer.status} {answer.body if is_denied else shortened(answer.body)}",
        "32" if answer.status == 200 else "31",
    )
    by_sdk = [over_sdk(stack, user, tool, arguments, mode) for mode in ("auto", "legacy")]
    outcomes = {outcome for _, outcome in by_sdk}
    versions = " and ".join(version for version, _ in by_sdk)
    say(f"SDK, {versions}: {' / '.join(sorted(outcomes))}")
    calls = [entry for entry in arrived(stack)[before:] if entry["method"] == "tools/call"]

    who = lay_out.USERS[user]["sub"]
    if is_denied:
        error = answer.json.get("error", {})
        say("the server: the call did not arrive" if not calls else f"the server: {len(calls)} calls arrived")
        expect("status of a denied call", 403, answer.status)
        expect(
            "id, code and reason of a denied call",
            (1, 403, "policy_denied"),
            (answer.json.get("id"), error.get("code"), error.get("data", {}).get("code")),
        )
        expect("reasons of a denied call", expected, error["data"].get("reasons", []))
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


def stops(stack: Stack) -> None:
    info = json.loads(admin(stack, "/server_info"))
    print(paint("1", f"mcp-gate in Envoy {info['version'].split('/')[1]}, {stack.url}"))
    say(
        "Each call is made three times: as the curl line (from the repository's root)\n"
        "and by the official Python SDK in both protocol eras."
    )

    no_token(stack)

    heading("An allowed call")
    call(stack, "bob", "search_documents", {"query": "espresso", "limit": 5}, "budget: Budget for next year")

    heading("Roles: bob is an analyst, and analysts do not share")
    call(stack, "bob", "share_document", {"id": "handbook", "with": "carol"}, UNGRANTED)

    heading("Arguments: analysts search with a limit of at most 20")
    too_many = {"query": "espresso", "limit": 500}
    call(stack, "bob", "search_documents", too_many, UNGRANTED)

    heading("Relations: only the owner may edit a document, and alice owns q3-report, not handbook")
    call(stack, "alice", "edit_document", {"id": "q3-report", "text": "Revenue rose."}, "q3-report saved by alice")
    theirs = ["edit_document: only the owner of the document may"]
    denied = call(stack, "alice", "edit_document", {"id": "handbook", "text": "Lock nothing."}, theirs)

    heading("Attributes: payroll is read on a managed device only")
    call(stack, "carol", "read_payroll", {"employee": "bob"}, "bob earns 4700 a month")
    unmanaged = ["read_payroll: its condition on `claims` is not met"]
    call(stack, "carol-byod", "read_payroll", {"employee": "bob"}, unmanaged)

    heading("Guards: what cannot be undone takes an operator, whoever owns the document")
    destructive = ['delete_document: destroys, which takes one of the roles ["operator"]']
    call(stack, "alice", "delete_document", {"id": "budget"}, destructive)

    heading("Lists show what may be called")
    lists(stack)

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
    write_rules(stack)
    whole_flow(stack)
    expect("the Envoy that served all of it", process, identity(stack))


def lists(stack: Stack) -> None:
    blank()
    for user, expected in [
        ("alice", ["edit_document", "list_documents", "read_document", "search_documents", "share_document"]),
        ("bob", ["list_documents", "read_document", "search_documents"]),
        ("carol", ["list_documents", "read_payroll"]),
        ("carol-byod", ["list_documents"]),
    ]:
        by_sdk = [listed(stack, user, mode) for mode in ("auto", "legacy")]
        say(f"{user} sees {', '.join(by_sdk[0][1])}")
        expect(f"tools that {user} sees", [expected, expected], [tools for _, tools in by_sdk])
        expect("eras", (lay_out.VERSION, True), (by_sdk[0][0], by_sdk[1][0] < lay_out.VERSION))


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
        call(stack, "bob", "search_documents", too_many, UNGRANTED)
    finally:
        lay_out.swap(stack.directory / "gate", good)


def break_policy(stack: Stack, too_many: dict[str, Any]) -> None:
    heading("A broken policy is refused, and the last good one goes on serving")
    good = stack.filter_yaml.read_text()
    refused = rejections(stack)
    log_length = stack.log("envoy").stat().st_size
    try:
        swap(stack, good, changed(good, (DATA, BROKEN)))
        stack.wait_for(lambda: rejections(stack) > refused, "Envoy to refuse a policy that does not compile")
        say(f"{shown(stack.log('envoy'))}:")
        logged = reason(stack, log_length)
        say(logged, "31")
        expect("file and line in the reason", True, re.search(r"authz\.rego:\d+:\d+: ", logged) is not None)
        call(stack, "bob", "search_documents", {"query": "espresso", "limit": 5}, "budget: Budget for next year")
        call(stack, "bob", "search_documents", too_many, UNGRANTED)
        blank()
        say(f"{same_envoy(stack)}")
    finally:
        lay_out.swap(stack.directory / "gate", good)


def write_rules(stack: Stack) -> None:
    heading("Rules beside the tables: carol may read the handbook, and only editors look for the budget")
    good = stack.filter_yaml.read_text()
    budget = {"query": "budget", "limit": 5}
    try:
        swap(stack, good, changed(good, (DATA, RULES)))
        seconds = wait_answer(stack, budget, 403)
        say(f"in force after {seconds:.1f} s; {same_envoy(stack)}")
        call(stack, "carol", "read_document", {"id": "handbook"}, "Be kind. Write things down.")
        call(stack, "carol", "read_document", {"id": "q3-report"}, UNGRANTED)
        call(stack, "bob", "search_documents", budget, ["the budget is not public yet"])
        swap(stack, changed(good, (DATA, RULES)), good)
        wait_answer(stack, budget, 200)
    finally:
        lay_out.swap(stack.directory / "gate", good)


def whole_flow(stack: Stack) -> None:
    heading("Scopes: a client that knows the URL and nothing else, and an authorization server")
    import oauth

    stack.wait_for(lambda: issuer.jwks(stack.issuer), "the authorization server", 60)
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

    seconds = stack.wait_for(told, "the gate to name the authorization server")
    seconds += stack.wait_keyed()
    say(f"in force, with keys, after {seconds:.1f} s; they come from where {url} says they are")

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
    show_change(old, new)


def wait_answer(stack: Stack, arguments: dict[str, Any], status: int) -> float:
    """Until both workers answer so: the kernel spreads new connections over them."""

    def answered() -> bool:
        return all(over_http(stack, "bob", "search_documents", arguments).status == status for _ in range(12))

    return stack.wait_for(answered, f"the changed policy to answer {status}")


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


def tour(func_e: bool) -> int:
    begin = time.monotonic()
    port, admin_port, upstream, issuer_port = lay_out.ports()
    print(
        f"Starting Envoy on port {port} (admin {admin_port}), the demo server on {upstream} and its authorization "
        f"server on {issuer_port}.\n",
        flush=True,
    )
    with running(lay_out.demo(port), port, admin_port, upstream, issuer_port, func_e) as stack:
        try:
            stops(stack)
            print(f"\nAll as expected, in {time.monotonic() - begin:.0f} s.", flush=True)
            if sys.stdin.isatty() and sys.stdout.isatty():
                stay(stack)
        except Exception:
            print(f"\n{shown(stack.log('envoy'))}:\n{tail(stack.log('envoy'))}", file=sys.stderr)
            raise
    return 0


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # of the SDK, about the denials that the tour provokes
    by_func_e = "--func-e" in sys.argv[1:] or os.environ.get("FUNC_E", "") not in ("", "0")
    sys.exit(ended(lambda: tour(by_func_e)))
