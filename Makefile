# The front door: `make help`. Python 3, a C compiler and Rust have to be here;
# tests/setup.py brings everything else, pinned, under target/tools.

TRIPLE := wasm32-wasip1
TOOLS  := target/tools
PYTHON := $(TOOLS)/venv/bin/python

# ENVOY=path takes another Envoy; FUNC_E=1 starts it through func-e;
# PORT, ADMIN_PORT, UPSTREAM_PORT and ISSUER_PORT move the demo. make hands them on as they are.
export MCP_GATE_ENVOY  := $(CURDIR)/$(TOOLS)/bin/$(if $(filter 1,$(FUNC_E)),func-e-envoy,envoy)
export MCP_GATE_MODULE := $(CURDIR)/target/$(TRIPLE)/release/mcp_gate.wasm
export PATH := $(CURDIR)/$(TOOLS)/bin:$(PATH)
# Builds of this package belong into target/, wherever a machine sends others.
export CARGO_TARGET_DIR := $(CURDIR)/target
# The engine's parser makes an error of each try, with a backtrace where one is asked for.
export RUST_LIB_BACKTRACE := 0

# Evaluated only by a recipe that needs it, so that `make help` always works.
need  = $(if $(shell command -v $1),,$(error $1 not found: $2))
setup = $(call need,python3,install Python 3.11 or newer (apt-get install python3 python3-venv; brew install python3))$\
        $(call need,cargo,install Rust with rustup (https://rustup.rs))python3 tests/setup.py

# What setup.py found out about the machine's Rust. The module has a compiler of
# its own where rustup cannot add the target.
rust = . $(TOOLS)/rust.env &&
wasm = . $(TOOLS)/wasm.env &&

# The module of tests/trap.rs, which traps when it is asked to.
TRAP := target/trap

# Policies and answers, for OPA.
CORPUS := $(CURDIR)/target/evaluators.jsonl

# For make soak.
CALLS = 1000000

# For make fuzz.
TARGET  = reader
SECONDS = 60

# What does not disturb each other, two at a time: $(call both,GOALS). All else is one by one.
both = $(MAKE) --no-print-directory -j2 $(if $(filter output-sync,$(.FEATURES)),--output-sync=target) BOTH=1 $1

.DEFAULT_GOAL := help
ifndef BOTH
.NOTPARALLEL:
endif
.PHONY: help build module trap run test clients flows check threats differential evaluators matrix policy bench soak mutants fuzz clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' Makefile
	@echo "Variables: ENVOY=path  FUNC_E=1  PORT=10000  ADMIN_PORT=9901  UPSTREAM_PORT=8000  ISSUER_PORT=9000"

build: module ## Build the module and the mcp-gate command, and lay out the demo
	$(rust) cargo build --locked --bin mcp-gate
	@target/debug/mcp-gate check envoy/filter.yaml
	@$(PYTHON) envoy/demo/lay_out.py

module: ## Build the module alone
	@$(setup) wasm-target venv
	$(wasm) $$CARGO rustc --locked --release --lib --target $(TRIPLE) --crate-type cdylib
	@wc -c $(MCP_GATE_MODULE)

run: module ## Start Envoy with the gate before a demo MCP server, and give the tour
	@$(setup) envoy authorization-server $(if $(filter 1,$(FUNC_E)),func-e)
	@exec $(PYTHON) envoy/demo/tour.py

trap:
	@$(setup) wasm-target
	$(wasm) $$CARGO rustc --locked --release --lib --target $(TRIPLE) --crate-type cdylib \
		--target-dir $(TRAP) -- --cfg mcp_gate_trap

test: policy ## Run every test, natively and through a real Envoy
	@$(setup) wasm-target venv
	@$(call both,module trap)
	@$(setup) envoy clients authorization-server func-e go-client rust-client json-suite differential
	$(rust) MCP_GATE_CORPUS=$(CORPUS) cargo test --locked
	$(PYTHON) tests/opa.py $(TOOLS)/bin/opa $(CORPUS) 600
	$(rust) $(PYTHON) tests/threats.py
	@$(MAKE) --no-print-directory clients flows

# Of test; flows wait for most of their time.
clients:
	$(PYTHON) tests/clients/run.py
	$(PYTHON) tests/clients/run.py --func-e
	$(PYTHON) tests/clients/repertoire.py
	$(PYTHON) tests/clients/rights.py
	$(PYTHON) tests/clients/conformance.py

flows:
	$(PYTHON) tests/clients/flows.py
	PORT=0 ADMIN_PORT=0 UPSTREAM_PORT=0 ISSUER_PORT=0 $(PYTHON) envoy/demo/tour.py </dev/null >target/tour.log || { cat target/tour.log; exit 1; }

differential: ## Hold the reader against other parsers (CASES=100000 SEED=1 LIMIT=seconds)
	@$(setup) wasm-target differential
	$(rust) MCP_GATE_CASES=$(CASES) MCP_GATE_SEED=$(SEED) MCP_GATE_LIMIT=$(LIMIT) \
		cargo test --locked --test differential

evaluators: ## Hold both evaluators and OPA against each other (POLICIES=20000 SEED=1); some 250000 are a million questions
	@$(setup) opa
	$(rust) MCP_GATE_CORPUS=$(CORPUS) MCP_GATE_POLICIES=$(or $(POLICIES),20000) MCP_GATE_SEED=$(or $(SEED),1) \
		cargo test --locked --release --lib the_machine_says -- --nocapture
	$(PYTHON) tests/opa.py $(TOOLS)/bin/opa $(CORPUS)

matrix: module ## Run the cases on older Envoys, too
	@$(setup) envoy envoys
	$(rust) $(PYTHON) tests/matrix.py $(VERSIONS)

check: policy ## Format, lints, docs, licences and advisories
	@$(setup) wasm-target cargo-deny
	$(rust) cargo fmt --check
	$(rust) cargo fmt --check --manifest-path tests/clients/rust/Cargo.toml
	$(rust) cargo fmt --check --manifest-path tests/fuzz/Cargo.toml
	$(rust) cargo clippy --locked --all-targets -- -D warnings
	@$(wasm) if [ "$$MCP_GATE_WASM_CLIPPY" = no ]; \
	then echo "check: clippy for $(TRIPLE) NOT RUN: this machine's compiler for it has none"; \
	else set -x; cargo clippy --locked --lib --target $(TRIPLE) -- -D warnings; fi
	$(rust) RUSTDOCFLAGS=-Dwarnings cargo doc --locked --no-deps
	$(rust) cargo deny --locked check --hide-inclusion-graph bans licenses sources
	@$(rust) if cargo deny fetch db >$(TOOLS)/advisories.log 2>&1; \
	then set -x; cargo deny --locked check advisories; \
	else echo "check: advisories NOT CHECKED: their database cannot be reached; see $(TOOLS)/advisories.log"; fi

policy: ## Format, check and test the bundled policies with OPA
	@$(setup) opa
	opa fmt --fail --list policies
	opa check --strict --schema policies/input.schema.json policies
	opa test --timeout 60s --ignore "*.json" policies
	python3 tests/visible.py
	python3 tests/readme.py opa

threats: ## Hold the catalogue of threats against the tests
	@$(setup) venv
	$(rust) $(PYTHON) tests/threats.py

bench: module ## Measure bare Envoy, Envoy's own chain, the gate, and the reader alone (SIDES=policy)
	@$(setup) envoy wrk
	$(rust) cargo bench --locked --bench reader
	$(PYTHON) tests/bench.py $(if $(SIDES),--sides $(SIDES))

soak: module ## Send a million tokens, good and bad in turn, and see that Envoy's memory stays (CALLS=1000000)
	@$(setup) envoy wrk
	$(PYTHON) tests/bench.py --soak $(CALLS)

mutants: ## Change the deciding files place by place, and list what no native test noticed
	@$(setup) wasm-target cargo-mutants
	$(rust) cargo mutants --config tests/mutants.toml --output target $(MUTANTS)

fuzz: ## Fuzz reader, headers, exchange, credential, documents or lists: TARGET=reader SECONDS=60
	@$(setup) wasm-target cargo-fuzz
	$(rust) python3 tests/fuzz/run.py $(TARGET) $(SECONDS)

clean: ## Remove target/, the tools included
	rm -rf target
