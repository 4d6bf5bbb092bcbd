# Every target sets up what it needs, once; a second call does no set-up again.
#   make run     read the pictures under samples/ with the embedded model
#   make serve   the service on http://127.0.0.1:8000, with SQLite and the embedded models
#   make test    the tests, without the slow ones and those in a browser: a few minutes
#   make test-slow   the slow ones (trainings, notebooks, wheels) and those in a browser
#   make system  the Debian packages that some tests drive: Chromium, PostgreSQL (as root)
#   make check   format, lint, types, import rules, wording
#   make bench   measure speed, size and robustness
#   make docs    build the documentation site into out/site
#   make notebooks   open the notebooks

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

.PHONY: run serve system test test-slow check format bench docs notebooks clean

run: $(VENV)/.base
	$(BIN)/handigit read samples/digits samples/blank samples/not_digits --as digit --annotate out/samples
	$(BIN)/handigit read samples/numbers --as number --annotate out/samples
	$(BIN)/handigit read samples/pages --as page --annotate out/samples

serve: $(VENV)/.app
	$(BIN)/handigit serve

test: $(VENV)/.dev
	$(BIN)/python -m pytest -m "not slow and not browser" -n 2 --dist loadfile

test-slow: $(VENV)/.dev
	$(BIN)/python -m pytest -m "slow or browser" -n 2 --dist loadfile

system:
	scripts/system_packages.sh

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/check_words.py
	$(BIN)/python scripts/check_portability.py

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.dev
	$(BIN)/python -m bench.read.speed
	$(BIN)/python -m bench.read.install_size
	$(BIN)/python -m bench.read.robustness

docs: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

notebooks: $(VENV)/.dev
	$(PIP) install jupyterlab
	$(BIN)/jupyter lab notebooks

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Handigit needs Python 3.11 or newer; name one: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.base: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) install --constraint constraints.txt --editable .
	touch $@

$(VENV)/.app: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) install --constraint constraints.txt --editable '.[app]'
	touch $@ $(VENV)/.base

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) install --constraint constraints.txt --editable '.[dev]'
	touch $@ $(VENV)/.base

clean:
	rm -rf $(VENV) out dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
