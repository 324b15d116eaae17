# The default is what CI runs. `make help` lists the rest.
.DEFAULT_GOAL := test
.NOTPARALLEL:
.PHONY: help setup setup-tests run compiled java test bench lint format audit clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

setup: ## install what running needs; leaves .venv
	@tools/setup

setup-tests:
	@tools/setup tests

run: setup ## capture the HTTP of this machine: spectap up $(ARGS)
	@tools/as-root .venv/bin/spectap up $(ARGS)

compiled: ## compile the agent's busiest modules, which then take half to two thirds of the CPU
	@tools/setup compiler
	@tools/compile

java: setup ## build what the agent's --java puts into Java virtual machines (installs a JDK)
	@tools/setup java
	@tools/java

test: setup-tests lint ## every check and test; ARGS go to pytest
	@tools/pytest $(ARGS)

bench: setup-tests ## measure; ARGS are parts (all) and options; see tests/bench/README.md
	@.venv/bin/python -m tests.bench $(ARGS)

lint: setup ## style, types, import contracts, dependencies
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-logo
	.venv/bin/deptry .

format: setup ## rewrite the code in the project's style
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

audit: setup ## check the locked packages against known vulnerabilities (needs the network)
	.venv/bin/pip-audit --strict --require-hashes --disable-pip -r requirements.lock

clean: ## remove .venv and every cache
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
