# Every target sets itself up. It takes Python 3.11, 3.12 or 3.13, make, git and a package index.
#
#   make test PYTEST_ARGS="-k surgery"      other arguments for pytest
#   make demo PYTHON=/opt/python3.12        another Python for .venv
#   make bench BENCH_ARGS="--only core"     other arguments for the benchmarks

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
DEMO_FIGURE := out/cat-over-coffee.png
comma := ,
PYTEST_ARGS ?= -n 2 --dist loadfile
# What has to do with the framework: not the command line, pictures, figures, reports and files.
ON_BACKENDS ?= tests/core/testing/test_kit.py tests/core/surgery tests/proofs tests/plugins \
    $(addprefix tests/core/test_,$(addsuffix .py,across_models backends definitions dense disagreement \
    engines evaluate explaining histogram inputs kernels keras_globals ladder_maps leftovers models \
    placement planner separable study targets trust twins windows winograd witness))
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1

.PHONY: help demo test backends maps check docs bench study clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s  %s\n", $$1, $$2 }' Makefile

demo: .venv/.ready ## explain a picture of a cat over a cup of coffee, into out/
	@mkdir -p $(dir $(DEMO_FIGURE))
	@$(BIN)/xai demo --out $(DEMO_FIGURE)

test: .venv/.ready ## run the tests
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

backends: .venv/.backends-ready ## run the tests on torch and JAX, compare maps of small models, and benchmark shortly
	@for backend in torch jax; do \
	    echo "Keras on $$backend"; \
	    KERAS_BACKEND=$$backend $(BIN)/python -m pytest $(PYTEST_ARGS) $(ON_BACKENDS); \
	done
	@$(BIN)/python -m pytest -rP tests/backends -k kit
	@$(BIN)/python -m pytest tests/benchmarks/test_frameworks.py

maps: .venv/.backends-ready ## hold the maps of torch and JAX to TensorFlow's, of large models too; half an hour
	@$(BIN)/python -m pytest -rP tests/backends

check: .venv/.ready ## lint, format, types and import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

docs: .venv/.docs-ready ## build the documentation into docs/_build/html
	@$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

bench: .venv/.ready ## measure what explanations cost, into out/benchmarks; more than half an hour
	@$(BIN)/python -m benchmarks run $(BENCH_ARGS)

study: .venv/.study-ready ## evaluate all methods by all metrics, as in docs/which-method.md; hours
	@$(BIN)/python docs/studies/which_method.py $(STUDY_ARGS)

clean: ## remove what the targets made, all but .venv
	@rm -rf out build dist docs/_build docs/_generated .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	@find . -path ./.venv -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# ---------------------------------------------------------------------------------------
# Setting up. A name on PATH proves nothing: a Python counts when it runs and fits.

FITS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))

.venv/.ready: pyproject.toml constraints.txt
	@if ! $(BIN)/python -c '$(FITS)' 2>/dev/null; then \
	    for python in $(or $(PYTHON),python3.13 python3.12 python3.11 python3); do \
	        if "$$python" -c '$(FITS)' >/dev/null 2>&1; then found=$$python; break; fi; \
	    done; \
	    if [ -z "$${found:-}" ]; then \
	        echo "No Python 3.11, 3.12 or 3.13 runs here as" \
	             "$(or $(PYTHON),python3.13 python3.12 python3.11 python3):" \
	             "name one with make PYTHON=..." >&2; \
	        exit 1; \
	    fi; \
	    echo "Creating .venv with $$("$$found" --version)"; \
	    "$$found" -m venv --clear .venv; \
	fi
	@echo "Installing xai-core and its tools into .venv (some minutes the first time)"
	@$(call install,dev)
	@touch $@

.venv/.docs-ready: .venv/.ready
	@echo "Installing the documentation's tools into .venv"
	@$(call install,docs)
	@touch $@

.venv/.backends-ready: .venv/.ready
	@echo "Installing JAX and torch into .venv"
	@$(call install,jax$(comma)torch)
	@touch $@

.venv/.study-ready: .venv/.ready
	@echo "Installing what brings the study's photographs into .venv"
	@$(call install,study)
	@touch $@

# Shows the large downloads, keeps the rest in .venv/install.log, prints all of it on failure.
install = $(BIN)/python -m pip install -c constraints.txt -e '.[$1]' 2>&1 \
	| tee .venv/install.log \
	| while IFS= read -r line; do case "$$line" in \
	    *Downloading*" MB)"*) echo "$${line%%-[0-9]*} $${line/*(/(}" ;; \
	    *"Installing collected"*) echo "  Installing" ;; \
	  esac; done \
	|| { cat .venv/install.log >&2; echo "Installing failed." >&2; exit 1; }
