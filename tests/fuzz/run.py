#!/usr/bin/env python3
"""Runs one fuzz target for some seconds: tests/fuzz/run.py TARGET SECONDS [build]

Seeds and a dictionary are made of tests/cases and tests/threats, the corpus is
kept in target/fuzz/TARGET, and the closing line says what was run. A finding is
a file of target/fuzz/TARGET/findings, made as small as it gets in a minute.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Iterator

ROOT = Path(__file__).resolve().parent.parent.parent
TARGETS = ("reader", "headers", "exchange", "credential", "documents", "lists")
# The longest input; a body beyond the limits is told by its length.
LONGEST = 8192
# The order of src/world.rs.
TOKENS = {"alice": "0", "bob": "1", "second": "2", "none": "9"}
CONFIGURATIONS = range(6)
# 2026-11-23, as in src/world.rs.
NOW = 1_795_392_000
CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "list_documents"}}


def steps() -> Iterator[dict[str, Any]]:
    """Every request of the cases, those of the step before where it has none."""
    for folder in ("cases", "threats"):
        for file in sorted((ROOT / "tests" / folder).glob("**/*.json")):
            case = json.loads(file.read_text())
            before: dict[str, Any] = {}
            if isinstance(case, dict):
                for step in [case, *case.get("then", [])]:
                    before = {**before, **step}
                    for value in step.get("each", [None]):
                        yield before if value is None else filled(before, value)
    # What the policy of src/world.rs asks for.
    questions = ({"limit": 10}, {"limit": 10.5, "path": "/etc/shadow"}, {"options": {"recursive": True}},
                 {"limit": 10, "options": {"recursive": False}, "region": "x"})
    for name in ("read", "write", "other"):
        for arguments in questions:
            for subject in ("alice", "bob"):
                params = {"name": name, "arguments": arguments}
                yield {"token": {"sub": subject}, "request": {"body": {**CALL, "params": params}}}


def widened(body: bytes) -> bytes:
    """The same with more arguments: a reader may treat a large object in its own way."""
    more = b"".join(b'"w%d":%d,' % (number, number) for number in range(9))
    return re.sub(rb'("arguments":\s*\{)(?=\s*")', rb"\1" + more, body)


def filled(step: Any, value: Any) -> Any:
    """A step with one of its values in the place of `{each}`."""
    if isinstance(step, dict):
        return {name: filled(member, value) for name, member in step.items() if name != "each"}
    if isinstance(step, list):
        return [filled(item, value) for item in step]
    if step == "{each}":
        return value
    return step.replace("{each}", str(value)) if isinstance(step, str) else step


def body_of(request: dict[str, Any], method: str) -> bytes:
    repeat = request.get("body_repeat")
    if "raw_body" in request:
        return str(request["raw_body"]).encode()
    if "raw_body_base64" in request:
        return base64.b64decode(request["raw_body_base64"])
    if repeat:
        # As text, a list of repeats is one after the other; a short form of each will do.
        parts = repeat if isinstance(repeat, list) else [repeat]
        texts = [(part.get("before", ""), part["text"], min(int(part["times"]), 200), part.get("after", "")) for part in parts]
        return "".join(before + text * times + after for before, text, times, after in texts).encode()
    if "raw_bytes" in request:
        return str(request["raw_bytes"]).encode("latin-1")
    if "body" in request:
        return b"" if request["body"] is None else json.dumps(request["body"], separators=(",", ":")).encode()
    return json.dumps(CALL).encode() if method == "POST" else b""


def seed(step: dict[str, Any]) -> tuple[bytes, bytes]:
    """The head of a request as src/request.rs reads it, without choices, and its body."""
    request = step.get("request") or {}
    method = request.get("method") or "POST"
    body = body_of(request, method)
    headers = {"host": "127.0.0.1:10000", "content-type": "application/json", "authorization": "Bearer {token}"}
    given = [pair for pair in request.get("headers", []) if isinstance(pair, list) and len(pair) == 2]
    token = step.get("token", {})
    if token is None:
        del headers["authorization"]
    elif isinstance(token, dict) and "raw" in token:
        headers["authorization"] = f"Bearer {token['raw']}"
    lines = [(name, value) for name, value in headers.items() if name not in [given_name for given_name, _ in given]]
    lines += [(str(name), str(value)) for name, value in given if value is not None]
    text = f"{method} {request.get('path') or '/mcp'}\n" + "\n".join(f"{name}: {value}" for name, value in lines)
    return text.encode("latin-1", "replace"), body


def credentials() -> Iterator[bytes]:
    """What src/issuer.rs signs and is asked: tokens, key sets, answers and metadata."""
    # The public key of src/issuer.rs.
    point = {"x": "HhhTL9R1TALzBB2cdc6zO4P_2BrHzk_ogsyxyYvFiW4", "y": "pGwxHE4v9A3ZajZT5uRURdMt_khuztdcepDGoYiBwKM"}
    claims = {"iss": "https://as.example.com", "aud": "http://127.0.0.1:10000/mcp", "sub": "alice",
              "client_id": "client-1", "iat": NOW, "exp": NOW + 300, "scope": "mcp:read"}
    headers = {"typ": "at+jwt", "alg": "ES256", "kid": "es256"}
    needs = [{"need": "mcp:write"}, {"need": "resource_metadata=x"}, {"step_up": {"acr_values": ["a", "b"], "max_age": 1}}]

    def text(value: Any) -> bytes:
        return json.dumps(value, separators=(",", ":")).encode()

    def patched(base: dict[str, Any], patch: Any) -> bytes:
        """The text that a merge patch of a case, or its raw text, makes."""
        if isinstance(patch, dict) and isinstance(patch.get("raw", patch.get("payload")), str):
            said = str(patch.get("raw", patch.get("payload")))
        else:
            changes = patch if isinstance(patch, dict) else {}
            said = text({name: value for name, value in {**base, **changes}.items() if value is not None}).decode()
        later = re.sub(r'"now([+-][0-9]+)?"', lambda found: str(NOW + int(found[1] or 0)), said)
        return later.encode("utf-8", "surrogatepass")

    for more in needs:
        yield b"0" + text(headers) + b"\n\n" + text({**claims, **more})
    for step in steps():
        token, answer = step.get("token"), step.get("answer")
        header, payload = patched(headers, step.get("token_header")), patched(claims, token)
        yield b"0" + header + b"\n\n" + payload
        yield b"2" + header + b"\n\n" + payload
        if isinstance(token, dict) and isinstance(token.get("raw"), str):
            yield b"1" + token["raw"].encode()
        if isinstance(answer, dict) and "body" in answer:
            body = answer["body"]
            yield b"4" + (patched({}, body) if isinstance(body, dict) else str(body).encode())
    # The good token, and with a byte more, less, or another at a few places.
    for place in (0, 10, 70, 71, 72, 300, 330, 331, 400, 410, 411):
        yield from (b"1" + place.to_bytes(2, "big") + change for change in (b"\0", b"\0=", b"\0A", b"\1", b"\1A", b"\1.", b"\1-"))
    key = {"kty": "EC", "crv": "P-256", "kid": "es256", "alg": "ES256", "use": "sig", **point}
    others = [{"kty": "oct", "k": "AA"}, {"kty": "OKP", "crv": "Ed25519", "x": point["x"]}, {**key, "d": point["x"]},
              {"kty": "RSA", "n": "AQAB", "e": "AQAB"}, {**key, "kid": "a", "key_ops": ["verify"]}]
    metadata = {"issuer": "https://as.example.com", "jwks_uri": "https://keys.example.com/jwks"}
    for keys in ([key], [key, *others], [key, key], others):
        yield b"3" + text({"keys": keys})
        yield b"5" + text(metadata) + b"\n\n" + text({"keys": keys})
    yield b"5" + text({**metadata, "jwks_uri": "http://169.254.169.254/"}) + b"\n\n" + text({"keys": [key]})


def lists() -> Iterator[bytes]:
    """Answers with lists, as JSON and as events."""
    tools = [{"name": name, "inputSchema": {"type": "object"}} for name in ("a", "xb", "c")]
    resources = [{"uri": "xa", "name": "a"}, {"uri": "b", "name": "x"}]
    results: list[dict[str, Any]] = [
        {"tools": tools, "nextCursor": "2", "ttlMs": 5, "cacheScope": "public"}, {"prompts": tools}, {"resources": resources},
        {"resourceTemplates": [{"uriTemplate": "x{a}"}, {"uriTemplate": "{a}"}]}, {"ttlMs": 5, "capabilities": {"tools": {}}},
        {"tools": tools, "prompts": tools}, {"content": [{"type": "text", "text": "tools"}]}, {"tools": {}, "Tools": []},
    ]
    for result in results:
        text = json.dumps({"jsonrpc": "2.0", "id": 1, "result": result})
        yield text.encode()
        yield f"[{text}, {text}]".encode()
        for end in ("\n", "\r\n", "\r"):
            lines = ["\ufeff: ping", "", "id: 1", "event: message", f"data: {text[:20]}", f"data:{text[20:]}", "retry: 5", "", f"data: {text}", "", ""]
            yield end.join(lines).encode()


def documents() -> Iterator[bytes]:
    """Sets of keys, metadata, and what workers share, behind the choice of one."""
    issuer = "https://as.example.com/realms/x"
    # RFC 7517, Appendix A.1; RFC 8037, Appendix A.2.
    keys: list[dict[str, Any]] = [
        {"kty": "EC", "crv": "P-256", "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
         "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM", "use": "sig", "kid": "1"},
        {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "alg": "EdDSA"},
        {"kty": "RSA", "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3"
         "oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91"
         "CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw", "e": "AQAB",
         "alg": "RS256", "kid": "2011-04-29"},
        {"kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75"}, {"kty": "EC", "crv": "P-521"}, {},
    ]
    for some in (keys, keys[:1], keys[1:2], keys[2:3], keys[3:], [], [keys[0], keys[0]]):
        yield b"0" + json.dumps({"keys": some}).encode()
    for uri in ("https://as.example.com/jwks", "https://keys.example.com/x?v=1", "http://as.example.com/", "https://evil.example/"):
        yield b"1" + json.dumps({"issuer": issuer, "jwks_uri": uri, "token_endpoint": issuer + "/token"}).encode()
    yield b"2mcp-gate-keys-1 1 1795392001000 1 1795391999000 0 1795392000000 1795392300000 7"
    yield b"2mcp-gate-keys-1 0 0 0 0 0 0 0 0"
    yield b"3-\n" + json.dumps({"keys": keys[:1]}).encode()
    yield b"32\n{}" + json.dumps({"keys": keys[:1]}).encode()


def write_seeds(target: str, home: Path) -> Path:
    folder = home / "seeds"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    found: set[bytes] = set()
    if target == "credential":
        found = set(credentials())
    if target == "documents":
        found = set(documents())
    if target == "lists":
        found = {text + b"\x07\x20" for text in lists()}
    for index, step in enumerate(steps() if target not in ("documents", "lists") else ()):
        head, body = seed(step)
        token = step.get("token")
        who = token.get("sub", "alice") if isinstance(token, dict) else "alice"
        choices = f"{CONFIGURATIONS[index % len(CONFIGURATIONS)]}{TOKENS.get(who, '0')}0{index % 8}".encode()
        if target == "credential":
            break
        if target == "reader":
            # Legacy, and modern with headers that say what the body says.
            found |= {body + b"00000", body + b"00001", widened(body) + b"00000"}
        elif target == "headers":
            found |= {choices + b"0" + head, choices + b"1" + head}
        else:
            ended = b"0" if body else b"1"
            found |= {choices + ended + head + b"\n\n" + body, b"0000" + ended + head + b"\n\n" + body}
            found.add(b"0" + choices[1:2] + b"00" + ended + head + b"\n\n" + widened(body))
    for index, data in enumerate(sorted(found)):
        if len(data) <= LONGEST:
            (folder / f"{index:05}").write_bytes(data)
    return folder


def write_dictionary(home: Path) -> Path:
    """Every name and every short text of the cases, and of the code that reads."""
    words: set[str] = set()

    def collect(value: Any) -> None:
        if isinstance(value, dict):
            words.update(value)
            for inner in value.values():
                collect(inner)
        elif isinstance(value, list):
            for inner in value:
                collect(inner)
        elif isinstance(value, str) and len(value) <= 48:
            words.add(value)

    for step in steps():
        request = step.get("request") or {}
        collect(request.get("body"))
        collect(request.get("headers"))
    for file in [*(ROOT / "src").glob("mcp/*.rs"), ROOT / "src" / "mcp.rs", *(ROOT / "src").glob("gate/*.rs")]:
        words.update(re.findall(r'"([A-Za-z0-9_./-]{3,48})"', file.read_text()))
    words.update(["recursive", "options", "limit", "path", "region", "write", "read", "an unusual name", "acme/export"])
    words.update(["\\u006d", "\\ud83d\\ude00", "\u017f", "\u212a", "\u200b", "\ufeff", "\uff4d", "9007199254740993"])
    escape = "".join
    lines = []
    for word in sorted(word for word in words if word):
        data = word.encode("utf-8", "surrogatepass")[:60]
        lines.append('"' + escape(chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\x{b:02x}" for b in data) + '"')
    place = home / "words.dict"
    place.write_text("\n".join(lines) + "\n")
    return place


def fuzz(command: str, target: str, *arguments: str) -> list[str]:
    # The gate has no unsafe code of its own, so no sanitizer: that takes the
    # compiler of the gate itself, and twice as many inputs. SANITIZER=address
    # watches the libraries, too; the compiler has it, but not for everyone.
    sanitizer = os.environ.get("SANITIZER", "none")
    options = ["--fuzz-dir", "tests/fuzz", "--sanitizer", sanitizer]
    return ["cargo", "fuzz", command, *options, target, *arguments]


def main() -> int:
    target, seconds = (sys.argv[1:] + ["", ""])[:2]
    if target not in TARGETS or not seconds.isdigit():
        print(f"fuzz: expected TARGET={'|'.join(TARGETS)} and SECONDS=number", file=sys.stderr)
        return 2
    env = {**os.environ, "CARGO_TARGET_DIR": str(ROOT / "target")}
    if env.get("SANITIZER", "none") != "none":
        env["RUSTC_BOOTSTRAP"] = "1"
    home = ROOT / "target" / "fuzz" / target
    seeds, words = write_seeds(target, home), write_dictionary(home)
    corpus, findings = home / "corpus", home / "findings"
    corpus.mkdir(exist_ok=True)
    findings.mkdir(exist_ok=True)
    known = set(findings.iterdir())
    subprocess.run(fuzz("build", target), cwd=ROOT, env=env, check=True)
    if sys.argv[3:] == ["build"]:
        return 0
    options = [f"-max_total_time={seconds}", f"-dict={words}", f"-max_len={LONGEST}", f"-artifact_prefix={findings}/"]
    options += ["-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"]
    run = fuzz("run", target, str(corpus), str(seeds), "--", *options)
    start = time.monotonic()
    child = subprocess.Popen(run, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             errors="replace")
    assert child.stdout is not None
    coverage = features = "?"
    executions = "0"
    for line in child.stdout:
        counts = re.search(r"cov: (\d+) ft: (\d+)", line)
        if counts:
            coverage, features = counts.groups()
        done = re.match(r"stat::number_of_executed_units:\s+(\d+)", line)
        executions = done.group(1) if done else executions
        # New inputs and words come by the thousand; everything else is shown.
        if not re.match(r'#\d+\s+(NEW|REDUCE)|".*" # Uses', line):
            print(line, end="", flush=True)
    status = child.wait()
    spent = time.monotonic() - start
    found = sorted(set(findings.iterdir()) - known)
    print(f"fuzz: {target}: {executions} executions in {spent:.0f} s, {int(executions) / max(spent, 1):.0f} each second, "
          f"cov: {coverage}, ft: {features}, {len(list(seeds.iterdir()))} seeds, {len(list(corpus.iterdir()))} in the "
          f"corpus, {len(found)} findings")
    for finding in found:
        print(f"fuzz: found {finding}; run it again: cargo fuzz run --fuzz-dir tests/fuzz --sanitizer none {target} {finding}")
    return 1 if found or status else 0


if __name__ == "__main__":
    sys.exit(main())
