# `make` alone lists what there is. Each target makes the environment that it needs in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CORE := $(VENV)/.installed-core
DEV := $(VENV)/.installed-dev
DEMO := demo-output
# A process for each of the cores, with one thread: what tests of one file share is made once. What hangs or crashes is seen.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --max-worker-restart 0 --dist loadfile --timeout 900
UV_HTTP_TIMEOUT ?= 300
export UV_HTTP_TIMEOUT

.DELETE_ON_ERROR:
.PHONY: help demo test test-all fuzz web docs lint format constraints clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | awk -F'\t' '{printf "make %-12s %s\n", $$1, $$2}'

demo: $(CORE)  ## find objects in the bundled photographs
	$(BIN)/vedette detect src/vedette/assets/demo/*.jpg --out $(DEMO)
	@echo "The annotated pictures are in $(CURDIR)/$(DEMO)"

test: lint  ## run the checks and the tests
	$(PYTEST) -m "not slow"

test-all: test  ## run the slow tests too
	$(PYTEST) -m slow

fuzz: $(DEV)  ## read twenty thousand damaged files of every format
	$(BIN)/python tests/fuzz/run.py --mutants 20000 --log docs/logs/fuzz.txt

web: $(CORE)  ## fetch ONNX Runtime Web into .web/, for pages with the detector inside
	$(BIN)/python tools/fetch_web.py

docs: $(DEV)  ## build the documentation's site in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build
	@echo "Open $(CURDIR)/site/index.html"

lint: $(DEV)  ## run ruff, mypy and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(DEV)  ## format the code and mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

constraints: $(DEV)  ## renew constraints.txt, all but torch and torchvision
	{ grep -E '^torch(vision)?==' constraints.txt; printf 'editables\nuv\n'; } \
		| $(BIN)/uv pip compile --quiet --upgrade --python-version 3.11 --all-extras \
			--no-annotate --no-header --output-file $(VENV)/constraints.new pyproject.toml -
	{ grep '^#' constraints.txt; cat $(VENV)/constraints.new; } > $(VENV)/constraints.all
	mv $(VENV)/constraints.all constraints.txt

clean:  ## remove caches, builds and the demo's output (.venv and runs/ stay)
	rm -rf build dist site $(DEMO) .pytest_cache .mypy_cache .ruff_cache .hypothesis .schemathesis .import_linter_cache
	find src tests benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment. A stamp file remembers what was installed, so that it is done again only when these files change.
$(CORE): pyproject.toml constraints.txt | $(VENV)/pyvenv.cfg
	$(call install,.)

$(DEV): $(CORE)
	$(call install,.[dev])

# uv because it installs torch's large wheels several times faster; pip where uv cannot reach what pip is configured for.
define install
@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv || true
@$(BIN)/uv pip install --python $(BIN)/python --constraint constraints.txt --build-constraint constraints.txt -e '$(1)' \
	|| { echo "uv did not manage; installing with pip, which takes longer" >&2; \
	     $(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt -e '$(1)'; }
@touch $@
endef

$(VENV)/pyvenv.cfg:
	@command -v $(PYTHON) >/dev/null || { \
		echo "$(PYTHON) is not there. Install Python 3.11 or newer, or name one: make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Vedette needs Python 3.11 or newer, and $(PYTHON) is older. Name another: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) has no venv module. Install it (Debian, Ubuntu: apt install python3-venv) and try again." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }
