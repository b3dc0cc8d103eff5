"""The tools of the build, the demo and the tests: what tests/setup.py installs, a file for each kind."""

TARGET = "wasm32-wasip1"
VERSIONS = {
    # What is installed. Python packages and Envoy: tests/requirements.txt.
    # Node packages: package-lock.json in tests/clients and envoy/demo. Rust: rust-toolchain.toml.
    # The judges in Go and Java: go.sum and pom.xml in tests/differential/judges.
    "cargo-deny": "0.20.2",
    "cargo-fuzz": "0.13.2",
    "cargo-mutants": "27.1.0",
    "envoy": "1.40.0",  # where no wheel exists and func-e brings it
    "func-e": "v1.6.0",
    "maven-dependency-plugin": "3.8.1",
    "opa": "v1.22.2",
    # The oldest that will do of what a machine may have.
    "python": "3.11",
    "node": "22",
    "go": "1.26",
    # Debian's release whose wasi-libc is new enough for the fallback.
    "debian": "trixie",
}
