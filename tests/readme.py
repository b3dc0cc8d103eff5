"""Runs the Rego that README.md teaches, as it says to: formatted, checked and tested by OPA.

    readme.py OPA
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "target/readme"


def main(opa: str) -> int:
    page = (ROOT / "README.md").read_text().split("\n## Rego\n")[1].split("\n## ")[0]
    blocks = re.findall(r"```rego\n(.*?)```", page, re.DOTALL)
    tests = [block for block in blocks if block.startswith("package mcp.authz_test")]
    OUT.mkdir(parents=True, exist_ok=True)
    files = {"authz.rego": [block for block in blocks if block not in tests], "authz_test.rego": tests}
    for name, texts in files.items():
        (OUT / name).write_text("\n".join(texts))
    policies = OUT / "policies"
    policies.unlink(missing_ok=True)
    policies.symlink_to(ROOT / "policies")
    subprocess.run([opa, "fmt", "--fail", "--list", *files], cwd=OUT, check=True)
    check, test = ([opa, *shlex.split(line)] for line in re.findall(r"\$ opa (.*)", page))
    subprocess.run(check, cwd=OUT, check=True)
    said = subprocess.run(test, cwd=OUT, check=True, capture_output=True, text=True).stdout.strip()
    expected = re.search(r"\$ opa test .*\n(.*)", page)[1]
    if said != expected:
        print(f"README.md, Rego: expected `{expected}`, found `{said}`")
        return 1
    print(f"README.md, Rego: {said}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
