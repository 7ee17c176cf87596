# The two commands to start with are `make demo` and `make test`. Both make the environment they need first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.made
# Most of a test's time is that of processes it starts; more workers than cores would only wait for each other.
WORKERS ?= 2
# The pip that is there works on the environment: Debian's Python brings no other one.
PIP := $(PYTHON) -m pip --python $(BIN)/python

.DEFAULT_GOAL := help
.PHONY: help env demo test lint format benchmark requirements clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

env: $(STAMP) ## Make the environment in .venv from the pinned requirements

$(STAMP): requirements/dev.txt requirements/pytest-asyncio.txt pyproject.toml src/realdb_ci/__init__.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=...")'
	$(PYTHON) -m venv --without-pip $(VENV)
	$(PIP) install --quiet --require-hashes -r requirements/dev.txt
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	rm -rf $(VENV)/with-pytest-asyncio
	$(PIP) install --quiet --no-deps --require-hashes --target $(VENV)/with-pytest-asyncio -r requirements/pytest-asyncio.txt
	@touch $@

demo: env ## Run the sample projects on real databases and show the report
	$(BIN)/realdb-ci run fixtures/bookshelf fixtures/chats

test: env ## Run the tests; those that need a Docker engine only where one answers
	$(BIN)/pytest -rs --no-fold-skipped -n $(WORKERS) --dist loadfile --no-loadscope-reorder

lint: env ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	for platform in linux darwin win32; do $(BIN)/mypy --platform $$platform || exit; done
	$(BIN)/shellcheck .ci/run .github/release composite/run.sh tests/machine tests/images/build tests/images/engine \
		tests/images/*/*.sh
	$(BIN)/hadolint Dockerfile tests/runner/base/Dockerfile tests/images/*/Dockerfile
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-actions action.yml composite/action.yml
	$(BIN)/zizmor --offline --quiet .

format: env ## Put the sources into their usual shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

benchmark: env ## Measure against peers, as ratios within one run (minutes)
	$(BIN)/python benchmarks/isolation.py
	$(BIN)/python benchmarks/isolation.py --suite commit
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/import_cost.py
	$(BIN)/python benchmarks/report.py
	$(BIN)/python benchmarks/action.py

requirements: env ## Resolve the pinned requirements again
	$(BIN)/uv pip compile pyproject.toml --all-extras --group dev --python-version 3.11 --universal \
		--generate-hashes --no-emit-index-url --no-annotate --upgrade --no-header --output-file requirements/dev.txt
	$(BIN)/uv pip compile --group asyncio --no-deps --python-version 3.11 --universal \
		--generate-hashes --no-emit-index-url --no-annotate --upgrade --no-header \
		--output-file requirements/pytest-asyncio.txt
	for name in action build; do $(BIN)/uv pip compile requirements/$$name.in --python-version 3.11 --universal \
		--generate-hashes --no-emit-index-url --no-annotate --upgrade --no-header \
		--output-file requirements/$$name.txt; done

clean: ## Remove what the other targets made
	rm -rf $(VENV) .realdb-ci .pytest_cache .mypy_cache .ruff_cache .hypothesis
