# `make train` and `make test` install everything into .venv and touch nothing else.
PYTHON ?= python3.11
BIN := .venv/bin
STEPS ?= 300000

.PHONY: train test pytest test-fast torture lint foreign bench docs clean

train: .venv/installed
	$(BIN)/macpo train --env predator-prey --weighting macpo --steps $(STEPS)

# One more than there are cores: tests of processes that are killed, hang or start wait a lot.
WORKERS := $(shell echo $$(( $$($(PYTHON) -c 'import os; print(os.cpu_count())') + 1 )))

test: lint pytest

pytest: .venv/installed-dev
	@echo "all tests: about half an hour on two cores, less once programs are compiled; make test-fast runs the quick parts"
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

# Without the rooms whose tests compile much or start processes; `make test` has them all.
FAST := $(addprefix --ignore=tests/, integration algorithms envs training runs interop render kernels bench) \
  --ignore=tests/learners/test_value_based.py --ignore=tests/learners/test_actor_critic.py

test-fast: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/pytest -n auto --dist loadfile -m "not slow" $(FAST)

# The tests of kills, refusing disks, damaged files and bad input with many more cases than `make test`
# tries; each failure says how to repeat it. Another SEED draws other cases.
SEED ?= 0
torture: .venv/installed-dev
	TORTURE=1 TORTURE_SEED=$(SEED) $(BIN)/pytest -n auto tests/integration/torture

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright

# Other projects' learners, environments and statistics, and pysc2, for the tests that compare us with
# them. Without them those tests are skipped. BenchMARL asks for torchvision but does not need it here.
# Of DI-engine only SMAC's environment is used, which needs nothing but pysc2.
foreign: .venv/installed-dev
	$(BIN)/python -m pip install --quiet --group foreign
	$(BIN)/python -m pip install --quiet --no-deps benchmarl==1.5.2 DI-engine==0.5.3

bench: .venv/installed-dev
	$(BIN)/macpo bench

# The documentation site, in build/site.
docs: .venv/installed-dev
	$(BIN)/python -m pip install --quiet --group docs
	$(BIN)/python docs/site/build.py

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

# pip has `--group` since 25.1
.venv/installed-dev: .venv/installed
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --group dev
	touch $@

clean:
	rm -rf .venv .pytest_cache .ruff_cache build
