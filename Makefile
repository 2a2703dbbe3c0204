# `make train` and `make test` install everything into .venv and touch nothing else.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
STEPS ?= 100000
INSTALL = $(BIN)/python -m pip install --quiet
# Containers often set it, and then each of the processes that tests start reads JAX's sources anew: 3 s.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: train test pytest test-fast test-newest torture lint foreign bench docs dist smoke tag-fits clean same-python

train: $(VENV)/installed
	$(BIN)/macpo train --env predator-prey --weighting macpo --steps $(STEPS)

# One more than there are cores: tests of processes that are killed, hang or start wait a lot.
WORKERS := $(shell echo $$(( $$($(PYTHON) -c 'import os; print(os.cpu_count())') + 1 )))

test: lint pytest

pytest: $(VENV)/installed-dev
	@echo "all tests: 20 to 30 minutes on two cores, less once programs are compiled; make test-fast runs the quick parts"
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

# Without the rooms whose tests compile much or start processes; `make test` has them all.
FAST := $(addprefix --ignore=tests/, integration algorithms envs training runs interop render kernels bench) \
  --ignore=tests/learners/test_value_based.py --ignore=tests/learners/test_actor_critic.py

test-fast: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/pytest -n auto --dist loadfile -m "not slow" $(FAST)

# All tests with the newest releases that pyproject.toml allows: `make test-newest PYTHON=python3.13`.
test-newest:
	rm -rf build/newest
	$(MAKE) pytest VENV=build/newest

# The tests of kills, refusing disks, damaged files and bad input with many more cases than `make test`
# tries; each failure says how to repeat it. Another SEED draws other cases.
SEED ?= 0
torture: $(VENV)/installed-dev
	TORTURE=1 TORTURE_SEED=$(SEED) $(BIN)/pytest -n auto tests/integration/torture

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright --pythonpath $(BIN)/python

# Other projects' learners, environments and statistics, and pysc2, for the tests that compare us with
# them. Without them those tests are skipped. BenchMARL asks for torchvision but does not need it here.
# Of DI-engine only SMAC's environment is used, which needs nothing but pysc2.
foreign: $(VENV)/installed-dev
	$(INSTALL) --group foreign
	$(INSTALL) --no-deps benchmarl==1.5.2 DI-engine==0.5.3

bench: $(VENV)/installed-dev
	$(BIN)/macpo bench

# The documentation site, in build/site.
docs: $(VENV)/installed-dev
	$(BIN)/python docs/site/build.py

# What is published, in dist/: the sources and the wheel.
dist: $(VENV)/pyvenv.cfg
	$(INSTALL) --group dist
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/python -m twine check --strict dist/*

# The wheel alone, in an environment of its own: the quick start, shortened.
smoke: dist
	$(BIN)/python -P tests/support/installed.py dist/*.whl

# For a release's workflow: the tag is v and the version of what was built.
tag-fits:
	test -f "dist/macpo-$${GITHUB_REF_NAME#v}.tar.gz"

# pip has `--group` since 25.1
$(VENV)/pyvenv.cfg:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'

# A Python that is asked for (`make test PYTHON=python3.13`) must be that of the environment.
same-python: | $(VENV)/pyvenv.cfg
ifneq ($(origin PYTHON),file)
	@test "$$($(PYTHON) -V)" = "$$($(BIN)/python -V)" || { \
	  echo "$(VENV) has $$($(BIN)/python -V), not $$($(PYTHON) -V): make clean removes it"; exit 1; }
endif

$(VENV)/installed: pyproject.toml | same-python
	$(INSTALL) --editable .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed | same-python
	$(INSTALL) --group dev
	touch $@

clean:
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis build dist
	find . -name __pycache__ -prune -exec rm -rf {} +
