# Each target is complete on a machine that has only Python 3.11 or newer, and make. The plain commands
# behind them are in README.md. `make PYTHON=python3.12 demo` chooses another Python, `make PORT=8001 demo` a port.

SUITABLE := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$name -c '$(SUITABLE)' 2>/dev/null && echo $$name && exit; done; echo python3)
CHROMIUM ?= $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)
IN_VENV := .venv/bin/python -m
# Empty while .venv has a Python that works: one that the system has replaced does not.
BROKEN := $(shell .venv/bin/python -c '$(SUITABLE)' 2>/dev/null || echo broken)
# Each process of the tests has a PostgreSQL of its own; a file's tests stay together.
PARALLEL ?= --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
COMPILE := $(IN_VENV) uv pip compile pyproject.toml --universal --no-emit-index-url --no-header --no-annotate --quiet

export CHROMIUM

.PHONY: demo test crash lint lock bench broken

# `exec`, so that a signal to make reaches the program and not a shell in between.
demo: export ENVIRONMENT = demo
demo: .venv/installed
	@exec $(IN_VENV) flask --app app demo $(ARGS)

test: .venv/installed-dev
	@test -x "$(CHROMIUM)" || { echo "The browser's tests need Chromium; on Debian or Ubuntu: apt-get install chromium," \
		"or name one: make CHROMIUM=/path/to/chromium test" >&2; exit 1; }
	@exec $(IN_VENV) pytest $(PARALLEL) $(ARGS)

# Kills web process and worker hundreds of times; ARGS="--kills 300 --seed 7".
crash: .venv/installed-dev
	@exec $(IN_VENV) tests.crashes $(ARGS)

lint: .venv/installed-dev
	$(IN_VENV) ruff check .
	$(IN_VENV) ruff format --check .
	$(IN_VENV) mypy

bench: .venv/installed-dev
	@exec $(IN_VENV) benchmarks $(ARGS)

# Keeps the pins that pyproject.toml still allows; ARGS=--upgrade takes the newest versions.
lock: .venv/installed-dev
	$(COMPILE) --all-extras --output-file constraints.txt $(ARGS)
	$(COMPILE) --extra demo --generate-hashes --constraint constraints.txt --output-file requirements.lock
	$(COMPILE) --all-extras --generate-hashes --constraint constraints.txt --output-file requirements-dev.lock

.venv/installed: requirements.lock $(BROKEN)
	$(install)

.venv/installed-dev: requirements-dev.lock $(BROKEN)
	$(install)

# localstripe, which only the tests need, comes as source alone.
define install
	@$(PYTHON) -c '$(SUITABLE)' 2>/dev/null || { echo "Makegood needs Python 3.11 or newer and found" \
		"$$(command -v $(PYTHON) >/dev/null && $(PYTHON) --version 2>&1 || echo none);" \
		"name one: make PYTHON=/path/to/python3 demo" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "This Python cannot make virtual environments;" \
		"on Debian or Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Installing the packages of $< into .venv (only when that file changed)"
	@test -z "$(BROKEN)" || $(PYTHON) -m venv --clear .venv
	@$(IN_VENV) pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
		--no-binary localstripe --requirement $< >.venv/pip.log 2>&1 || { echo "A package could not be installed:" \
		"$$(grep ERROR .venv/pip.log | tail -n 1) (all that pip said is in .venv/pip.log;" \
		"Linux with glibc or macOS, CPython 3.11 to 3.14 and a network are needed)" >&2; exit 1; }
	@touch $@
endef
