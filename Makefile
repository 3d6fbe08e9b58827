# Each command does its own set-up: nothing else needs to be typed on a machine with Python 3.11+ and make.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PLUGINS := $(wildcard plugins/*)
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet --timeout 120 --retries 8
# Locks are complete: resolving them again would let a newer release of anything in them break the installation.
LOCKED := $(PIP) install --no-deps --require-hashes

# Most of a test's time is waiting, so there are more workers than cores.
PARALLEL := -n 6
# Those of test-fast wait for less, and each worker first spends seconds on collecting every test.
PARALLEL_FAST := -n 5

# Where it is set, each of the hundreds of processes that the tests start would compile every module anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install run run-iceberg test test-fast test-lowest lint lint-style lint-types lint-imports format bench conformance verdicts faults setup environments soak replay changelog docs dist sbom audit pictures chart certify lock clean

help: ## show the commands
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

# Before each step of more than a few seconds.
installing = echo "installing $(1): $$(grep -c == $(1)) distributions"

install: $(VENV)/runtime.done ## set up .venv with the daemon and its plugins
	@echo "floe-monitor is installed: $(BIN)/floe-monitor --help"

run: $(VENV)/runtime.done ## run the daemon on config/duckdb.yaml
	@mkdir -p var
	$(BIN)/floe-monitor run --config config/duckdb.yaml

run-iceberg: $(VENV)/runtime.done ## start an Iceberg catalog with a table, and the daemon on config/iceberg.yaml
	@mkdir -p var/iceberg
	$(BIN)/python -m conformance.lakehouse $(BIN)/floe-monitor run --config config/iceberg.yaml

test: $(VENV)/dev.done ## run the tests
	$(BIN)/python -m pytest $(PARALLEL) $(PYTEST_ARGS)

test-fast: $(VENV)/dev.done ## run those that start no process and no server
	$(BIN)/python -m pytest $(PARALLEL_FAST) --fast $(PYTEST_ARGS)

test-lowest: $(VENV)/created ## run the tests against the lowest versions allowed
	@folder=$$($(BIN)/python -m conformance.environments lowest.txt) && $$folder/bin/python -m pytest $(PYTEST_ARGS)

lint: lint-style lint-types lint-imports ## style, types and import contracts

lint-style: $(VENV)/dev.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

lint-types: $(VENV)/dev.done
	$(BIN)/mypy
	@for tests in plugins/*/tests; do $(BIN)/mypy --no-error-summary $$tests || exit 1; done

lint-imports: $(VENV)/dev.done
	$(BIN)/lint-imports

format: $(VENV)/dev.done ## rewrite to the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/dev.done ## print what is claimed about speed, as ratios
	$(BIN)/python -m benchmarks

conformance: ## compare every verdict with dbt's, try every fault; writes docs/verdicts.md, docs/faults.md
	@$(MAKE) --no-print-directory verdicts
	@$(MAKE) --no-print-directory faults

verdicts: $(VENV)/dev.done
	$(BIN)/python -m conformance $(CONFORMANCE_ARGS)

faults: $(VENV)/dev.done
	$(BIN)/python -m conformance.faults $(CONFORMANCE_ARGS)

setup: $(VENV)/dev.done

environments: $(VENV)/dev.done
	$(BIN)/python -m conformance.environments
	$(BIN)/python -m conformance.maven
	$(BIN)/python -m conformance.trino_server

soak: $(VENV)/dev.done ## run all engines for ten minutes, one target of each hung
	$(BIN)/python -m conformance.soak

replay: $(VENV)/dev.done ## play outages with a real Prometheus and Alertmanager, count the pages; writes docs/alerts.md
	$(BIN)/python -m conformance.alerts $(REPLAY_ARGS)

changelog: $(VENV)/dev.done ## show what changelog.d adds to the changelog
	@$(BIN)/towncrier build --draft

docs: $(VENV)/created ## build the documentation site in docs/_build/html, where each warning is an error
	@echo "building the site"
	@$$($(BIN)/python -m conformance.environments docs.txt)/bin/python -m sphinx -W --keep-going -q docs docs/_build/html
	@echo "built docs/_build/html/index.html"

dist: $(VENV)/dev.done ## build wheels and sources into dist/, each engine's requirements with hashes beside them
	@echo "building wheels"
	@$(BIN)/python deploy/distributions.py dist

sbom: $(VENV)/dev.done ## write a bill of materials (CycloneDX) for each of ENGINES into dist/
	@$(BIN)/python -m deploy.bill_of_materials $(ENGINES)

audit: $(VENV)/dev.done ## ask for advisories on everything locked that runs, is built with or tests (network; no part of the gate)
	@$(BIN)/python -m deploy.audit

pictures: $(VENV)/dev.done ## take the pictures in docs/images (needs chromium)
	@$(BIN)/python -m docs.screenshots

chart: $(VENV)/dev.done ## write what is made of the Helm chart's values, and the manifests without Helm (needs helm)
	@$(BIN)/python -m deploy.chart

certify: $(VENV)/dev.done ## build and run the image of each set of engines; writes docs/images.md (root, buildah)
	@$(BIN)/python -m deploy.certify $(ENGINES)

lock: ## pin the newest versions allowed, and the lowest for test-lowest (needs uv)
	@for each in requirements/*.lock requirements/*.txt; do \
		case $$each in \
			*/browser.lock | */upstream.txt | */spark.txt | */chdb.txt) only=--no-deps ;; \
			*/lowest.txt) only="--resolution lowest-direct $(patsubst plugins/%,--no-emit-package floe-monitor-%,$(PLUGINS)) --no-emit-package floe-monitor" ;; \
			*) only= ;; esac; \
		uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.11 \
			$$only --upgrade $${each%.*}.in -o $$each || exit 1; done

clean: ## remove what the commands made
	rm -rf dist docs/_build docs/api/reference $(VENV) .venvs .cache .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

$(VENV)/created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "floe-monitor needs Python 3.11 or newer: set PYTHON=python3.x" >&2; exit 2; }
	@echo "creating $(VENV) (once)"
	@$(PYTHON) -m venv $(VENV) || { echo "python3 cannot make virtual environments here: install python3-venv" >&2; exit 2; }
	@touch $@

$(VENV)/runtime.done: requirements/runtime.lock pyproject.toml $(wildcard plugins/*/pyproject.toml) | $(VENV)/created
	@$(call installing,requirements/runtime.lock)
	@$(LOCKED) --requirement requirements/runtime.lock
	@echo "installing floe-monitor and $(words $(PLUGINS)) plugins from here"
	@$(PIP) install --no-deps --no-build-isolation $(addprefix --editable ,. $(PLUGINS))
	@touch $@

$(VENV)/dev.done: requirements/build.lock requirements/dev.lock requirements/browser.lock $(VENV)/runtime.done
	@echo "adding what tests and lint need"
	@$(LOCKED) --requirement requirements/build.lock
	@$(call installing,requirements/dev.lock)
	@$(LOCKED) --no-build-isolation --requirement requirements/dev.lock
	@$(LOCKED) --requirement requirements/browser.lock
	@touch $@
