# make demo | test | test-slow | test-mmpretrain | test-onedl | test-onedl-core | test-oldest | lint: each sets up what it needs first.
# make docs: the documentation site, docs/_build/html. make mmpretrain: sets up the environment of the classification recipes.
PYTHON ?= python3
# A process for each core, a file of tests each at a time, in the order of tests/conftest.py.
PYTEST_OPTIONS ?= -n auto --maxprocesses=4 --dist loadfile --no-loadscope-reorder
# Most of these tests are in two files.
PYTEST_OPTIONS_MMPRETRAIN ?= -n auto --maxprocesses=4 --dist worksteal
VENV ?= .venv
VENV_MMPRETRAIN ?= .venv-mmpretrain
VENV_DOCS ?= .venv-docs
VENV_MIM ?= .venv-mim
VENV_ONEDL ?= .venv-onedl
VENV_TRACKERS ?= .venv-trackers
VENV_OLDEST ?= .venv-oldest
# Python compiles what it imports; pip would compile all of torch: half a minute for each environment.
export PIP_NO_COMPILE = 1
# The tests of another stack than the default one.
CORE = -m 'core and not slow'

# test-slurm: suites on a slurm of this machine. test-trackers: MLflow, Weights & Biases, Aim.
.PHONY: demo test test-slow test-slurm test-mmpretrain test-mim test-trackers test-onedl test-onedl-core test-oldest \
  mmpretrain docs gpu lines lint format clean

demo: $(VENV)/installed
	$(VENV)/bin/python tools/demo.py $(ARGS)

test: $(VENV)/installed
	$(VENV)/bin/python -m pytest $(PYTEST_OPTIONS) $(ARGS)

test-slow: $(VENV)/installed
	$(VENV)/bin/python -m pytest $(PYTEST_OPTIONS) -m slow $(ARGS)

test-mmpretrain: $(VENV_MMPRETRAIN)/installed
	$(VENV_MMPRETRAIN)/bin/python -m pytest $(PYTEST_OPTIONS_MMPRETRAIN) -m 'mmpretrain and not slow' $(ARGS)

mmpretrain: $(VENV_MMPRETRAIN)/installed

docs: $(VENV_DOCS)/installed
	$(VENV_DOCS)/bin/python -m sphinx -W --keep-going -q -b html docs docs/_build/html $(ARGS)

# All that wants a GPU; rehearsed by make gpu ARGS="--device cpu --small".
gpu: $(VENV)/installed
	PYTHON=$(VENV)/bin/python bash benchmarks/gpu.sh $(ARGS)

lines: $(VENV)/installed
	$(VENV)/bin/python tests/test_house.py

lint: $(VENV)/installed
	PATH="$(abspath $(VENV))/bin:$$PATH" pre-commit run --all-files

format: $(VENV)/installed
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

# A slurm of this machine alone (Debian: slurmctld slurmd munge), as root.
test-slurm: $(VENV)/installed
	tests/slurm/with_slurm.sh $(VENV)/bin/python -m pytest tests/test_benchmark/test_cluster.py $(ARGS)

test-mim: $(VENV_MIM)/installed
	$(VENV_MIM)/bin/python -m pip install -q --no-deps --no-build-isolation --force-reinstall .
	cd tests && $(abspath $(VENV_MIM))/bin/python -m pytest -m mim test_mim.py $(ARGS)

test-trackers: $(VENV_TRACKERS)/installed
	$(VENV_TRACKERS)/bin/python -m pytest -m trackers tests/test_trackers.py $(ARGS)

test-onedl: $(VENV_ONEDL)/installed
	$(VENV_ONEDL)/bin/python -m pytest $(PYTEST_OPTIONS) $(ARGS)

test-onedl-core: $(VENV_ONEDL)/installed
	$(VENV_ONEDL)/bin/python -m pytest $(PYTEST_OPTIONS) $(CORE) $(ARGS)

test-oldest: $(VENV_OLDEST)/installed
	$(VENV_OLDEST)/bin/python -m pytest $(PYTEST_OPTIONS) $(CORE) $(ARGS)

# The editable install names no dependency and no build environment: the pins are the whole set-up.
$(VENV)/installed: requirements/default.txt requirements/dev.txt setup.py
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install -q -r requirements/default.txt -r requirements/dev.txt
	$(VENV)/bin/python -m pip install -q --no-deps --no-build-isolation -e .
	touch $@

# Sees what the default environment has, which stays as it is; its own packages come on top.
# mmpretrain's torchvision is importable even where it is built for CUDA and the pinned torch for the CPU.
define on_top_of_default
	$(PYTHON) -m venv --clear --without-pip $(@D)
	$(VENV)/bin/python tests/cpu_torchvision/write_pth.py $(@D)
	$(VENV)/bin/python -m pip --python $(@D)/bin/python install -q -r $(lastword $^)
	touch $@
endef

$(VENV_MMPRETRAIN)/installed: $(VENV)/installed requirements/mmpretrain.txt
	$(on_top_of_default)

$(VENV_DOCS)/installed: $(VENV)/installed requirements/docs.txt
	$(on_top_of_default)

$(VENV_TRACKERS)/installed: $(VENV)/installed requirements/trackers.txt
	$(on_top_of_default)

$(VENV_MIM)/installed: $(VENV)/installed requirements/mim.txt
	$(PYTHON) -m venv --clear $(VENV_MIM)
	$(VENV)/bin/python tests/cpu_torchvision/write_pth.py $(VENV_MIM)
	$(VENV_MIM)/bin/python -m pip install -q -r requirements/mim.txt
	touch $@

$(VENV_ONEDL)/installed: requirements/onedl.txt requirements/dev.txt setup.py
	$(PYTHON) -m venv $(VENV_ONEDL)
	$(VENV_ONEDL)/bin/python -m pip install -q -r requirements/onedl.txt -r requirements/dev.txt
	$(VENV_ONEDL)/bin/python -m pip install -q --no-deps --no-build-isolation -e .
	touch $@

# Python 3.10 or 3.11: there is no torch 2.1 for later ones.
$(VENV_OLDEST)/installed: requirements/oldest.txt requirements/dev.txt setup.py
	$(PYTHON) -m venv $(VENV_OLDEST)
	$(VENV_OLDEST)/bin/python -m pip install -q -r requirements/oldest.txt -r requirements/dev.txt
	$(VENV_OLDEST)/bin/python -m pip install -q --no-deps --no-build-isolation -e .
	touch $@

clean:
	rm -rf $(VENV) $(VENV_MMPRETRAIN) $(VENV_DOCS) $(VENV_MIM) $(VENV_TRACKERS) $(VENV_ONEDL) $(VENV_OLDEST) build *.egg-info work_dirs
