# Everything is installed into .venv, at the versions in constraints.txt. The only requirements are
# Python 3.11 or newer, make and git.

PYTHON ?= python3
UV_VERSION := $(shell sed -n 's/^uv==//p' constraints.txt)
BIN := .venv/bin
DBT_VENV := .cache/dbt-venv
INSTALLED := .venv/installed

export UV_CONSTRAINT := $(CURDIR)/constraints.txt
export UV_BUILD_CONSTRAINT := $(CURDIR)/constraints.txt
export UV_PYTHON := $(CURDIR)/$(BIN)/python
# Tests start hundreds of processes, which share the compiled modules.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this help
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.PHONY: demo
demo: $(INSTALLED) $(if $(DBT),$(DBT_VENV)/installed) ## Sync a Kombo sandbox into PostgreSQL with Meltano; with DBT=1, also run dbt
	@$(BIN)/python -m demo

.PHONY: test
test: $(INSTALLED) ## Run all tests; with ARGS, some of them
	@$(BIN)/pytest $(ARGS)

.PHONY: coverage
coverage: $(INSTALLED) ## Measure how much of the tap and the source their tests cover
	@rm -rf .cache/coverage && mkdir -p .cache/coverage
	@$(BIN)/coverage run -m pytest tests/unit tests/tap tests/source
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

.PHONY: test-fast
test-fast: $(INSTALLED) ## Run the unit tests, the SDK's tests and a few syncs, in a minute
	@$(BIN)/pytest tests/unit tests/tap/test_standard.py tests/tap/test_reading.py $(ARGS)

SOAK_MINUTES ?= 30

.PHONY: soak
soak: $(INSTALLED) ## Run long random histories and kills, for SOAK_MINUTES=30
	@SOAK_MINUTES=$(SOAK_MINUTES) $(BIN)/pytest tests/histories tests/end_to_end/test_soak.py $(ARGS)

SHARDS := packages/tap-kombo-airflow
AIRFLOW := .cache/airflow-venv
DAGSTER := .cache/dagster-venv
TAP := .cache/benchmarks/tap
AIRBYTE := .cache/benchmarks/airbyte
DLT := .cache/benchmarks/dlt
LOADERS := $(patsubst loaders/environments/%.in,.cache/loaders/%/installed,$(wildcard loaders/environments/*.in))

.PHONY: test-airflow
test-airflow: $(INSTALLED) $(AIRFLOW)/installed ## Sync 200 integrations on Airflow with two workers, and lose one
	@command -v redis-server >/dev/null || test "$$(id -u)" != 0 \
		|| { apt-get update -qq && apt-get install -y -qq --no-install-recommends redis-server; }
	@$(BIN)/pytest --numprocesses=0 $(SHARDS)/system_tests/test_airflow.py $(ARGS)

.PHONY: test-airbyte
test-airbyte: $(INSTALLED) $(AIRBYTE)/installed ## Read source-kombo into DuckDB with PyAirbyte
	@$(BIN)/pytest --numprocesses=0 airbyte/system_tests $(ARGS)

.PHONY: test-loaders
test-loaders: $(INSTALLED) $(LOADERS) ## Load all streams with other loaders; with ARGS="-k duckdb", one
	@$(BIN)/pytest --numprocesses=0 loaders $(ARGS)

.PHONY: test-recipes
test-recipes: $(INSTALLED) $(DAGSTER)/installed ## Run the recipes of docs/scaling.md: cron, Dagster, Kubernetes
	@$(BIN)/pytest --numprocesses=0 $(SHARDS)/system_tests/test_recipes.py $(ARGS)

.PHONY: test-dbt
test-dbt: $(INSTALLED) $(DBT_VENV)/installed .cache/loaders/duckdb/installed ## Build the dbt package on PostgreSQL and DuckDB
	@$(BIN)/pytest --dist=load dbt/system_tests $(ARGS)

define create_environment
	@echo "Installing into $(@D) ..."
	@rm -rf $(@D)
	@$(BIN)/uv venv --quiet --python $(BIN)/python $(@D)
	@UV_CONSTRAINT=$(1) $(BIN)/uv pip install --quiet --compile-bytecode --python $(@D)/bin/python $(2)
endef

$(AIRFLOW)/installed $(DAGSTER)/installed: .cache/%-venv/installed: $(SHARDS)/system_tests/%.txt $(SHARDS)/pyproject.toml | $(INSTALLED)
	$(call create_environment,$<,--requirement $(<:.txt=.in) --editable $(SHARDS))
	@touch $@

$(DBT_VENV)/installed: dbt/system_tests/dbt.txt | $(INSTALLED)
	$(call create_environment,$<,--requirement $(<:.txt=.in))
	@touch $@

$(AIRBYTE)/installed $(DLT)/installed: .cache/benchmarks/%/installed: benchmarks/environments/%.txt | $(INSTALLED)
	$(call create_environment,$<,--requirement $(<:.txt=.in))
	@touch $@

$(LOADERS): .cache/loaders/%/installed: loaders/environments/%.txt | $(INSTALLED)
	$(call create_environment,$<,--requirement $(<:.txt=.in))
	@touch $@

$(TAP)/installed: benchmarks/environments/tap.in constraints.txt pyproject.toml | $(INSTALLED)
	$(call create_environment,$(CURDIR)/constraints.txt,--requirement $<)
	@touch $@

.PHONY: mutants
mutants: $(INSTALLED) ## Check that the tests detect mutations of the tap: takes hours
	@$(BIN)/uv pip install --quiet --group mutation
	@rm -f .cache/mutants.sqlite && mkdir -p .cache
	@$(BIN)/cosmic-ray init tests/mutants.toml .cache/mutants.sqlite
	@$(BIN)/cr-filter-operators .cache/mutants.sqlite tests/mutants.toml
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/cosmic-ray exec tests/mutants.toml .cache/mutants.sqlite
	@$(BIN)/cr-report --surviving-only --show-diff .cache/mutants.sqlite

.PHONY: bench
bench: $(INSTALLED) $(TAP)/installed $(AIRBYTE)/installed $(DLT)/installed ## Compare the tap with other tools, with ARGS="--only waiting --rounds 1"
	@$(BIN)/uv pip install --quiet --group benchmarks
	@$(BIN)/python -m benchmarks $(ARGS)

DIST ?= dist

.PHONY: build
build: $(INSTALLED) ## Build the distributions into DIST=dist, and check their descriptions
	@rm -rf $(DIST)
	@for project in . packages/*; do \
		$(BIN)/uv build --quiet --out-dir $(DIST) $$project || exit 1; \
	done
	@$(BIN)/twine check --strict $(DIST)/*.whl $(DIST)/*.tar.gz

.PHONY: lint
lint: $(INSTALLED) ## Check style and types
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/mypy packages/kombo-sandbox/tests
	@$(BIN)/mypy $(SHARDS)/tests
	@$(BIN)/mypy $(SHARDS)/system_tests docs/recipes
	@$(BIN)/mypy airbyte/system_tests
	@$(BIN)/mypy dbt/system_tests

.PHONY: format
format: $(INSTALLED) ## Fix style
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

.PHONY: docs
docs: $(INSTALLED) ## Build the documentation into build/docs, and check its links
	@$(BIN)/uv pip install --quiet --group docs
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --clean

.PHONY: generate
generate: $(INSTALLED) ## Update the generated files and sections: catalog.json, docs/streams and others
	@$(BIN)/python scripts/generate.py

.PHONY: schemas
schemas: $(INSTALLED) ## Update tap_kombo/schemas from Kombo's API document (OPENAPI=file or URL)
	@$(BIN)/python scripts/update_schemas.py $(if $(OPENAPI),--openapi $(OPENAPI))

NEWEST := --quiet --upgrade --universal --python-version 3.11 \
	--no-header --no-annotate --no-emit-index-url --no-emit-find-links

.PHONY: constraints
constraints: $(INSTALLED) ## Update constraints.txt to the newest versions
	@UV_CONSTRAINT= $(BIN)/uv pip compile $(NEWEST) \
		pyproject.toml packages/kombo-sandbox/pyproject.toml $(SHARDS)/pyproject.toml \
		--group benchmarks --group docs --group lint --group mutation \
		--output-file constraints.txt
	@for part in airflow dagster; do \
		UV_CONSTRAINT= $(BIN)/uv pip compile $(NEWEST) \
			$(SHARDS)/system_tests/$$part.in $(SHARDS)/pyproject.toml \
			--output-file $(SHARDS)/system_tests/$$part.txt || exit 1; \
	done
	@for part in dbt/system_tests/dbt benchmarks/environments/airbyte benchmarks/environments/dlt \
		$(basename $(wildcard loaders/environments/*.in)); do \
		UV_CONSTRAINT= $(BIN)/uv pip compile $(NEWEST) $$part.in --output-file $$part.txt || exit 1; \
	done

.PHONY: clean
clean: ## Remove everything that make created
	rm -rf .venv .meltano .cache .mypy_cache .pytest_cache .ruff_cache build dist output

$(INSTALLED): pyproject.toml packages/kombo-sandbox/pyproject.toml $(SHARDS)/pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "tap-kombo needs Python 3.11 or newer: set PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv \
		|| { echo "Python's venv module is missing: on Debian, apt install python3-venv"; exit 1; }
	@echo "Installing into .venv ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@$(BIN)/uv pip install --quiet --editable . --editable packages/kombo-sandbox \
		--editable $(SHARDS) --group lint --group test
	@touch $@
