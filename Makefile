# Each target sets up what it needs: on a fresh machine `make demo` or `make test` is the only command.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test test-slow lint format clean

$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $(STAMP)

demo: $(STAMP)  ## install, make a cloudy scene, remove its clouds, draw the picture
	$(BIN)/geocr demo --overwrite

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint  ## lint, types, floors, and the default suite with coverage
	$(BIN)/python -m pytest -m 'not slow and not network' --cov --cov-report=term --cov-report=xml

test-slow: $(STAMP)  ## the tests that take minutes
	$(BIN)/python -m pytest -m 'slow and not network'

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .coverage*
