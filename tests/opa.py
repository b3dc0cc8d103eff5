"""Holds the subset of the fast evaluator against OPA.

    opa.py OPA CORPUS [MOST]

CORPUS is what `MCP_GATE_CORPUS` made the test `the_machine_says_what_the_interpreter_says`
write: a policy a line, with its data, and questions with the answer of both evaluators, or, of
builtins that differ (`builtins.json`), with that of OPA. Prints how many questions OPA answers alike, and fails if it answers one differently. Policies that
OPA's compiler refuses, because it sees that two types never meet, are counted and left out.

One OPA serves all policies, one after the other: to start it takes longer than to ask it.
"""

import contextlib
import http.client
import itertools
import json
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

RULES = ("allow", "deny", "scopes")
ANSWERS = ", ".join(f"data.mcp.authz.{rule}" for rule in RULES)
ASK = f"package ask\nanswers := [a | some q in input; a := answer with input as q]\nanswer := [{ANSWERS}]\n"


class Server(http.client.HTTPConnection):
    """An OPA that listens on a socket of its own."""

    def __init__(self, path):
        super().__init__("localhost", timeout=60)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)

    def tell(self, method, path, body):
        """What it says to Rego, or to JSON; an error, if it does not take that."""
        self.request(method, path, body if isinstance(body, bytes) else json.dumps(body).encode())
        answer = self.getresponse()
        said = answer.read().decode()
        if answer.status not in (200, 204):
            raise ValueError(said)
        return said


@contextlib.contextmanager
def serving(opa, modules=()):
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/opa.sock"
        command = [opa, "run", "--server", "--addr", f"unix://{path}", "--log-level", "error", "--skip-version-check", *map(str, modules)]
        process = subprocess.Popen(command)
        server = Server(path)
        try:
            while True:
                with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
                    server.connect()
                    break
                if process.poll() is not None:
                    sys.exit(f"{opa} ended before it served")
                time.sleep(0.01)
            yield server
        finally:
            process.terminate()
            process.wait()


def ask(server, entry):
    """What OPA says to each question of one policy, or what it says against that."""
    questions = [question for question, _ in entry["asked"]]
    try:
        server.tell("PUT", "/v1/policies/authz", entry["policy"].encode())
        server.tell("PUT", "/v1/policies/ask", ASK.encode())
        server.tell("PUT", "/v1/data", entry["data"])
        said = server.tell("POST", "/v1/data/ask/answers?strict-builtin-errors", {"input": questions})
    except ValueError as error:
        return str(error)
    return json.loads(said).get("result", said)


def ordered(value):
    return sorted(value) if isinstance(value, list) else value


def main(opa, corpus, most=None):
    asked = 0
    differ = 0
    policies = 0
    refused = 0
    with serving(opa) as server, open(corpus, encoding="utf-8") as lines:
        for line in itertools.islice(lines, most and int(most)):
            entry = json.loads(line)
            if not entry["asked"]:
                continue
            policies += 1
            said = ask(server, entry)
            expected = [answer for _, answer in entry["asked"]]
            if entry.get("fails"):
                differ += not isinstance(said, str)
                continue
            if isinstance(said, str) and "rego_type_error" in said:
                refused += 1
                continue
            if not isinstance(said, list) or len(said) != len(expected):
                differ += 1
                print(f"{entry['policy']}\nOPA: {said}\n")
                continue
            for (question, answer), found in zip(entry["asked"], said, strict=True):
                asked += 1
                # A set is an array in JSON, in an order of its own.
                if [ordered(value) for value in answer] != [ordered(value) for value in found]:
                    differ += 1
                    if differ <= 3:
                        print(f"{entry['policy']}\ndata: {json.dumps(entry['data'])}\ninput: {json.dumps(question)}\nours: {answer}\nOPA: {found}\n")
    print(f"opa: {policies} policies, {refused} refused by OPA's compiler, {asked} questions, {differ} answered differently")
    return 0 if asked and not differ and refused < policies / 2 else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
