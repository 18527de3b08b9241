# Each target sets up what it needs: on a fresh machine `make demo` or `make test` is the only command.
#   make demo PYTHON=python3.12      another interpreter (3.11 or newer)
#   make test VENV=/path/to/venv     another environment; one that has geocr installed already is brought up to date
#   make test JOBS=8                 tests on so many cores (2)
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
LATEST ?= python3.12
JOBS ?= 2
IN_PARALLEL := -n $(JOBS) --dist worksteal
DEFAULT_TESTS := not slow and not network
SLOW_TESTS := slow and not network

.PHONY: help install browser demo test test-latest test-slow lint pytest docs format clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## */\1\t/' | expand -t 14

# A venv without pip (Debian makes one when python3-venv is missing) is made again, and pip tells why a package failed.
$(STAMP): pyproject.toml
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { \
	  $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "geocr needs Python 3.11 or newer; '$(PYTHON)' is not: make PYTHON=python3.12 ..." >&2; exit 1; }; \
	  echo "making $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "installing geocr, its dependencies and its checks into $(VENV): some minutes and, with PyTorch's GPU build, 6 GB"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $(STAMP)

install: $(STAMP)  ## make the environment and install geocr with its checks

browser: $(STAMP)  ## a headless Chromium for the tests of pages, where one can be had
	@.ci/browser $(BIN)/python

demo: $(STAMP)  ## install, make a cloudy scene, remove its clouds, measure, draw the picture
	$(BIN)/geocr demo --overwrite

lint: $(STAMP)  ## ruff (check and format), mypy --strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

pytest: $(STAMP) browser  ## the default suite with coverage
	$(BIN)/python -m pytest $(IN_PARALLEL) -m '$(DEFAULT_TESTS)' --cov --cov-report=term --cov-report=xml

test: lint  ## install, lint, default suite with coverage: what must pass before a commit
	@$(MAKE) --no-print-directory pytest

test-slow: $(STAMP) browser  ## the tests that take minutes; the notebooks of examples/ are among them
	$(BIN)/python -m pytest $(IN_PARALLEL) -m '$(SLOW_TESTS)'

test-latest:  ## the data tests on Python 3.12 or newer (LATEST=python3.12) with the newest torchgeo, in an environment of their own
	@$(LATEST) -c 'import sys; sys.exit(sys.version_info < (3, 12))' || { \
	  echo "the newest torchgeo needs Python 3.12 or newer; '$(LATEST)' is not: make test-latest LATEST=/path/to/python3.12" >&2; exit 1; }
	$(LATEST) -m venv $(VENV)-latest
	$(VENV)-latest/bin/python -m pip install --quiet --disable-pip-version-check --upgrade --editable '.[dev]' 'torchgeo>=0.9'
	$(VENV)-latest/bin/python -m pytest tests/data -m '$(DEFAULT_TESTS)'

docs: $(STAMP)  ## the documentation as a site in build/site; a broken link fails
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

format: $(STAMP)  ## mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## delete caches and builds, keep the environment
	rm -rf build dist site demo examples/out .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage .coverage.* coverage.xml
