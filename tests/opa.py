"""Holds the subset of the fast evaluator against OPA.

    opa.py OPA CORPUS [MOST]

CORPUS is what `MCP_GATE_CORPUS` made the test `the_machine_says_what_the_interpreter_says`
write: a policy a line, with its data, and questions with the answer of both evaluators. Prints
how many questions OPA answers alike, and fails if it answers one differently. Policies that
OPA's compiler refuses, because it sees that two types never meet, are counted and left out.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

RULES = ("allow", "deny", "scopes")


def ask(opa, entry):
    """What OPA says to each question of one policy."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "authz.rego").write_text(entry["policy"])
        questions = [question for question, _ in entry["asked"]]
        data = entry["data"] | {"questions": questions}
        (folder / "data.json").write_text(json.dumps(data))
        answers = ", ".join(f"data.mcp.authz.{rule}" for rule in RULES)
        module = f"package ask\nanswers := [a | some q in data.questions; a := answer with input as q]\nanswer := [{answers}]\n"
        (folder / "ask.rego").write_text(module)
        command = [opa, "eval", "--strict-builtin-errors", "--format", "json", "--data", folder, "data.ask.answers"]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode != 0:
            return run.stdout + run.stderr
        return json.loads(run.stdout)["result"][0]["expressions"][0]["value"]


def ordered(value):
    return sorted(value) if isinstance(value, list) else value


def main(opa, corpus, most=None):
    asked = 0
    differ = 0
    policies = 0
    refused = 0
    lines = pathlib.Path(corpus).read_text().splitlines()
    for line in lines[: most and int(most)]:
        entry = json.loads(line)
        if not entry["asked"]:
            continue
        policies += 1
        said = ask(opa, entry)
        expected = [answer for _, answer in entry["asked"]]
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
