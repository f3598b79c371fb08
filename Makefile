# The whole project in a few commands. Needs make and Python 3.11 with pip; everything else goes into .venv.

VENV := .venv
BIN := $(VENV)/bin
Q ?= What does DeepSearch do when no language model is configured?
export Q

.PHONY: help install ask test faults check serve bench docs lock clean

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

install: $(VENV)/.installed ## Install into .venv (done again only when pyproject.toml or requirements.lock change)

$(VENV)/.installed: pyproject.toml requirements.lock
	@for python in $(PYTHON) python3.11 python3 ""; do \
	    test -n "$$python" || { echo "Python 3.11 is needed (jina runs on no newer one); name one: make PYTHON=/path/to/python3.11" >&2; exit 1; }; \
	    "$$python" -c 'import sys; sys.exit(not sys.version_info[:2] == (3, 11))' 2>/dev/null || continue; \
	    echo "Installing into $(VENV) with $$python; this takes about a minute." >&2; \
	    exec "$$python" -m venv $(VENV); \
	done
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable '.[dev]'
	@touch $@

ask: install ## Answer a question from this project's own documentation: make ask Q="..."
	@$(BIN)/deepsearch ask --corpus docs -- "$$Q"

test: install ## Run every test but the fault campaign
	$(BIN)/python -m pytest --ignore=tests/faults --ignore=tests/takeover

faults: install ## A hundred runs while processes die, networks are cut and upstreams refuse; takes minutes
	$(BIN)/python -m pytest tests/takeover tests/faults -s

check: install ## Style, types, the floors between the rooms, and that generated documentation is fresh
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/generate.py --check

serve: install ## Start the Flow: gRPC on 8081, HTTP on 8080
	@$(BIN)/deepsearch serve

bench: install ## Run the benchmarks
	$(BIN)/python -m benchmarks.session.run
	$(BIN)/python -m benchmarks.corpus.run

docs: install ## Write the generated documentation again
	$(BIN)/python docs/generate.py

lock: install ## Take the newest releases that pyproject.toml allows into requirements.lock
	rm -rf $(VENV)-lock
	$(BIN)/python -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	{ sed '/^[^#]/d' requirements.lock; $(VENV)-lock/bin/python -m pip freeze --exclude deepsearch; } > $(VENV)-lock/requirements.lock
	mv $(VENV)-lock/requirements.lock requirements.lock
	rm -rf $(VENV)-lock

clean: ## Remove .venv and everything that tools have left
	rm -rf $(VENV) $(VENV)-lock .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache .grimp_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
