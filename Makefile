# Every target sets up .venv by itself, once, and needs no network after that.

PYTHON ?= python3
.DEFAULT_GOAL := help
.PHONY: help demo test test-all lint bench clean environment

VENV_PYTHON := .venv/bin/python
PIP_INSTALL := $(VENV_PYTHON) -m pip install -qq --disable-pip-version-check --no-input -c constraints.txt

help:
	@echo "make demo      learn handwritten digits with a Boltzmann machine (results/rbm_digits/)"
	@echo "make test      the tests; make test-all adds the slow ones"
	@echo "make lint      ruff and mypy"
	@echo "make bench     time us beside other libraries; some lines only: make bench LINES=\"wolff rbm-rbms\""
	@echo "make clean     remove .venv and all caches"
	@echo "Another interpreter for .venv: make PYTHON=python3.12 ..."

demo: environment
	@$(VENV_PYTHON) examples/rbm_digits.py

# The tests run in an empty folder: the names samplers, ebm and models are common, and must come from the installation.
# Two processes share the files, each with one thread for matrices: much of the time goes into compiling.
RUN_TESTS = folder="$$(mktemp -d)" && trap 'rm -rf "$$folder"' EXIT && cd "$$folder" && \
	OMP_NUM_THREADS=1 "$(CURDIR)/$(VENV_PYTHON)" -P -m pytest -q -n 2 --dist loadfile "$(CURDIR)/tests"

test: environment
	@$(RUN_TESTS) -m "not slow"

test-all: environment
	@$(RUN_TESTS)

lint: environment
	@$(VENV_PYTHON) -m ruff check .
	@$(VENV_PYTHON) -m ruff format --check .
	@$(VENV_PYTHON) -m mypy

# The other libraries are installed when they are first needed; .venv/peers says for which package lists they are.
bench: environment
	@lists="$$(cat pyproject.toml constraints.txt | cksum)"; \
	if [ "$$(cat .venv/peers 2>/dev/null)" = "$$lists" ]; then exit 0; fi; \
	echo "Installing the libraries to compare with into .venv"; \
	$(PIP_INSTALL) --no-build-isolation -e ".[test,bench]" && echo "$$lists" > .venv/peers
	@$(VENV_PYTHON) tests/benchmarks/run.py $(LINES)

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# .venv/installed says which folder and which package lists the installation is complete for. Missing, or of another
# folder: .venv was interrupted, moved or copied, and is made anew. Other lists: it is brought up to date in place.
# torch goes first, at its pinned release, since a looser request may fetch a build of several gigabytes; setuptools with
# it, so that a later change of the lists alone installs without a network.
environment:
	@lists="$$(cat pyproject.toml constraints.txt | cksum)"; \
	found="$$(cat .venv/installed 2>/dev/null)"; \
	if [ -x $(VENV_PYTHON) ] && [ "$$found" = "$(CURDIR): $$lists" ]; then exit 0; fi; \
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "ebmlab needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1 || true)." \
			"Name another: make PYTHON=python3.12 ..." >&2; exit 1; }; \
	echo "Installing ebmlab and its packages into .venv (several minutes the first time)"; \
	case "$$found" in "$(CURDIR): "*) fresh="" ;; *) fresh="--clear" ;; esac; \
	$(PYTHON) -m venv $$fresh .venv && $(PIP_INSTALL) torch setuptools && $(PIP_INSTALL) --no-build-isolation -e ".[test]" && \
		echo "$(CURDIR): $$lists" > .venv/installed
