# All commands, for people and CI. Environments are built from requirements/*.txt if missing or outdated.

SUITABLE := import sys, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c '$(SUITABLE)' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
TESTS := $(PYTEST) --numprocesses auto --maxprocesses 4 --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help run test soak lint notebooks bench lab airflow api review lock clean

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: .venv/.run ## Run both DAGs through Airflow on the sample data and show what each notebook did
	@$(BIN)/python -m sample.make_run

test: .venv/.dev ## Run every test that needs no system package
	@$(TESTS) -m "not soak"

soak: .venv/.dev .venv-lab/.lab ## Run the long matrices; needs Debian's chromium
	@$(TESTS) -m soak --ignore-glob 'tests/test_browser*' --ignore tests/test_cluster.py
	@$(PYTEST) -m soak tests/test_browser*.py tests/test_cluster.py

lint: .venv/.dev ## Check style and types
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/basedpyright

notebooks: .venv/.dev ## Update the notebooks' outputs with a run on the sample data
	@$(BIN)/python -m sample.make_notebooks

bench: .venv/.bench ## Compare with the alternatives and write docs/benchmarks.md
	@$(BIN)/python -m benchmarks $(SECTIONS) $(addprefix --rows ,$(ROWS))

lab: .venv/.run .venv-lab/.lab ## Start JupyterLab with the sample API, on loopback
	@$(BIN)/python -m sample.make_lab

airflow: .venv/.run ## Start Airflow (scheduler, UI, …) with the sample API, on loopback
	@$(BIN)/python -m sample.make_airflow

api: .venv/.run ## Serve the sample API on loopback
	@$(BIN)/notebook-pipeline api

review: .venv/.run ## Write output/review/index.html
	@$(BIN)/notebook-pipeline review

lock: .venv/.run ## Pin all packages again (with UPGRADE=--upgrade: the newest)
	@$(BIN)/python requirements/lock.py $(UPGRADE)

clean: ## Remove environments and caches, never output/
	rm -rf .venv .venv-lab .airflow .cache .pytest_cache .ruff_cache .hypothesis build dist
	find notebook_pipeline sample dags tests requirements -name __pycache__ -prune -exec rm -rf {} +

# The development packages include those of a run, at the same versions.
.venv/.run: requirements/run.txt pyproject.toml requirements/install.py
	@$(call install,.venv,run,.)
	@touch $@

.venv/.dev: requirements/dev.txt pyproject.toml requirements/install.py
	@$(call install,.venv,dev,.)
	@touch .venv/.run $@

.venv/.bench: .venv/.dev requirements/bench.txt
	@$(call install,.venv,bench)
	@touch $@

# Notebooks run in the environment of the tasks, so JupyterLab's own environment only starts that kernel.
.venv-lab/.lab: requirements/lab.txt requirements/install.py | .venv/.run
	@$(call install,.venv-lab,lab)
	@$(BIN)/python -m ipykernel install --prefix .venv-lab --name python3 >/dev/null 2>&1
	@touch $@

define install
	if ! '$(PYTHON)' -c '$(SUITABLE)' 2>/dev/null; then \
		echo "No suitable Python ($(or $(PYTHON),python3, python3.13, python3.12 and python3.11 were tried)):" \
			'3.11, 3.12 or 3.13 with venv is needed. Install one (Debian: apt install python3 python3-venv)' \
			'or name it: make PYTHON=/path/to/python3' >&2; \
		exit 1; \
	fi; \
	'$(PYTHON)' requirements/install.py $(1) requirements/$(2).txt $(3)
endef
