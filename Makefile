# Every verb does its own set-up. `make` alone says what there is.

VENV := .venv
TOOLS := .tools
BIN := $(VENV)/bin
QUICK := -m "not long" -n 3 --dist loadfile -q
LONG := -m long -n 2 -q
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13 python3.14; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help install demo serve test test-long check lint contract format protos bench bench-short history

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14

install: $(VENV)/.installed ## make .venv with the server, the contract and the tools

demo: install ## the whole thing on one machine: store, service, samples, answers
	@$(BIN)/daybook demo

serve: install ## the service on 127.0.0.1:50051 with its own store; more with ARGS="..."
	@$(BIN)/daybook serve $(ARGS)

test: install $(TOOLS)/.installed ## the quick tests: at most five minutes on two cores
	@$(BIN)/python -m pytest $(QUICK) $(ARGS)

test-long: install $(TOOLS)/.installed ## what takes longer: kills, races, other people's clients
	@$(BIN)/python -m pytest $(LONG) $(ARGS)

check: lint contract test ## everything that must hold before a change lands

lint: install
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

contract: install $(TOOLS)/.installed
	@$(TOOLS)/bin/python protos/check.py --buf $(BIN)/buf

format: install ## put code and contract into the house's form
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .
	@$(BIN)/buf format -w

protos: $(TOOLS)/.installed ## write the generated code beside the contract
	@$(TOOLS)/bin/python protos/generate.py

history: install ## record the history of the samples anew, and what it comes to: see tests/test_replay.py
	@$(BIN)/python -m tests.test_replay

$(VENV)/.installed: pyproject.toml protos/pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "daybook needs Python 3.11 or newer on the path" >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@echo "installing into $(VENV)"
	@$(BIN)/python -m pip install -q -c constraints.txt hatchling
	@$(BIN)/python -m pip install -q -c constraints.txt --no-build-isolation -e ./protos -e '.[dev]'
	@touch $@

$(VENV)/.drawing: $(VENV)/.installed
	@$(BIN)/python -m pip install -q -c constraints.txt --no-build-isolation -e '.[bench]'
	@touch $@

$(TOOLS)/.installed: protos/tools.txt
	@test -n "$(PYTHON)" || { echo "daybook needs Python 3.11 or newer on the path" >&2; exit 1; }
	@$(TOOLS)/bin/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(TOOLS)
	@$(TOOLS)/bin/python -m pip install -q --only-binary :all: -r protos/tools.txt
	@touch $@

bench: install $(VENV)/.drawing ## the service beside its ceiling and its peers, into benchmarks/README.md: 22 minutes
	@$(BIN)/python -m benchmarks --keep $(ARGS)

bench-short: install ## the same within three minutes, printed only
	@$(BIN)/python -m benchmarks --short $(ARGS)
