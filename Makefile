# The two commands a newcomer needs: `make run` and `make test`. Plain `make` prints what else there is.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
FLEET  ?= 1000
CHAOS  ?=
FUZZ_MINUTES ?= 10

.DEFAULT_GOAL := help
.PHONY: help install run test check format pictures chaos fuzz bench lock clean

help: ## print this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Each stamp is newer than pyproject.toml once its install has worked, so that an unchanged tree installs nothing.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Streetwarden needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1)."; \
	  echo "Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { \
	  echo "Could not make $(VENV). On Debian and Ubuntu: apt-get install python3-venv"; rm -rf $(VENV); exit 1; }

$(VENV)/.runtime: pyproject.toml | $(BIN)/python
	@echo "Installing into $(VENV): a minute or two the first time ..."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	@echo "Installing into $(VENV), with what tests and checks need: a minute or two the first time ..."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@ $(VENV)/.runtime

install: $(VENV)/.dev ## make .venv with everything that running, testing and checking need

run: $(VENV)/.runtime ## start everything: database, broker, ingest, API and a simulated fleet (FLEET=1000)
	@exec $(BIN)/streetwarden run --fleet $(FLEET)

test: check ## run the gate and all tests, against a real PostgreSQL and real brokers
	$(BIN)/python -m pytest -n 2

check: $(VENV)/.dev ## run the gate alone: format, lint, types, imports, dependencies
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pyright --level error
	$(BIN)/lint-imports
	$(BIN)/deptry .

format: $(VENV)/.dev ## write the format and the fixes that ruff is sure of
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

chaos: $(VENV)/.dev ## kill ingest, broker and database 100 times each way under load (CHAOS_KILLS, CHAOS_SEED, CHAOS=embedded)
	$(BIN)/python -m tests.chaos kills $(CHAOS)

pictures: $(VENV)/.dev ## draw the stories of the manual's page on rule kinds
	$(BIN)/streetwarden rules draw docs/rule-kinds/*.story.yaml --into docs/pictures

fuzz: $(VENV)/.dev ## send what no publisher would to every format (FUZZ_MINUTES=10)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev,fuzz]'
	$(BIN)/python -m tests.fuzz --minutes $(FUZZ_MINUTES)

bench: $(VENV)/.runtime ## measure messages per second through the whole pipeline
	$(BIN)/streetwarden bench ingest

lock: $(VENV)/.dev ## write requirements.lock, the exact versions that the container image installs
	$(PYTHON) -m venv $(VENV)/lock && $(VENV)/lock/bin/pip install --quiet uv
	$(VENV)/lock/bin/uv pip compile --quiet --no-header --no-annotate --universal \
	  --python-version 3.11 pyproject.toml -o requirements.lock
	rm -rf $(VENV)/lock

clean: ## remove what make made (data stays)
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
