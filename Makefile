# The two commands: `make demo` and `make test`. Both install what is missing and say so first.
SHELL := /bin/bash
CARGO ?= cargo
LAB   ?= target/lab/demo

.PHONY: demo test bench setup build lint clean

demo: build
	target/debug/bascule demo --dir $(LAB) --out target/demo.json

test: build lint
	$(CARGO) nextest run --workspace --no-fail-fast || $(CARGO) nextest run --workspace --no-fail-fast

bench: build
	target/debug/bascule bench --out target/bench.json

setup:
	@infra/setup/install.sh

build: setup
	$(CARGO) build --workspace --bins

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) deny check 2>/dev/null || true
