# The two commands: `make demo` and `make test`. Both install what is missing, and say so first.
SHELL := /bin/bash
CARGO ?= cargo
LAB   ?= target/lab/demo
TOOLS := $(CURDIR)/target/tools
export PATH := $(PATH):$(TOOLS)/bin

.PHONY: demo test bench bench-papers fuzz torture setup build lint tools

# The whole story on a new lab; its drills land in target/demo.json.
demo: build
	target/debug/bascule demo --dir $(LAB) --out target/demo.json

# Every test, those on the real lab included.
test: build lint
	$(CARGO) nextest run --release -p bascule-sim --no-fail-fast
	$(CARGO) nextest run --workspace --exclude bascule-sim --no-fail-fast
	@CARGO=$(CARGO) infra/fuzz.sh 60

# The readers of documents and of Terraform against hostile input, for an hour in all (or `make fuzz FOR=600`, in seconds).
fuzz: setup
	@CARGO=$(CARGO) infra/fuzz.sh $$(($(FOR) / 3))

# Papers of 1,000 to 10,000 assets through import, facts, checks and document: docs/papers-bench.json and .svg.
bench-papers:
	$(CARGO) run --release -p bascule-import --example bench_papers -- docs

# Medians of 10 moves each, beside the same move by hand, moves of a site by itself, and other failover managers; they
# land in target/bench.json. About 50 minutes.
bench: build
	@infra/setup/install.sh --peers
	target/debug/bascule bench --by-itself 10 --peers 10 --out target/bench.json

# 50 faults at random times on a site that moves by itself, under load; a row each in target/torture.json. About 30 minutes.
torture: build
	target/debug/bascule torture --out target/torture.json

# The model of the protocol at bounds beyond the tests': hundreds of millions of steps, and gigabytes of memory.
.PHONY: prove soak
prove:
	$(CARGO) run --release -p bascule-sim --example prove

# Sites with keepers and faults from new seeds, for an hour (or `make soak FOR=600`, in seconds).
FOR   ?= 3600
FIRST ?= $(shell date +%s)00000
soak:
	$(CARGO) run --release -p bascule-sim --example soak -- $(FOR) $(FIRST)

# A lab that moves by itself, under load and an ordinary day's small troubles, for an hour: nothing may move. Lands in
# target/soak.json.
.PHONY: soak-lab
soak-lab: build
	target/debug/bascule soak --for $(FOR)s --out target/soak.json

# Debian packages and the Python environment.
setup:
	@infra/setup/install.sh

build: setup
	$(CARGO) build --workspace --bins

lint: tools
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) metadata --locked --format-version 1 --manifest-path crates/import/fuzz/Cargo.toml >/dev/null
	$(CARGO) deny --log-level error check bans licenses sources

# Test runner and dependency checker, where the machine has none.
tools:
	@for tool in cargo-nextest cargo-deny; do \
	  command -v $$tool >/dev/null || { \
	    echo "setup: installing $$tool from crates.io into target/tools"; \
	    $(CARGO) install --quiet --locked --debug --root $(TOOLS) $$tool; } || exit 1; \
	done
