PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test test-all lint docs docs-check golden corpus dist clean

# A virtual environment with the tool and what is needed to work on it; nothing is installed elsewhere.
$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "make: this needs Python 3.11 or newer; name one with make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "make: $(PYTHON) cannot make virtual environments; install its venv package (on Debian: apt install python3-venv)"; exit 1; }
	@echo "make: setting up $(VENV), once (torch is a large download)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --editable . --group dev
	@touch $(READY)

demo: $(READY)
	@$(BIN)/python examples/demo.py

test: $(READY)
	$(BIN)/python -m pytest -q -n 2 -m "not slow and not corpus"

test-all: $(READY)
	$(BIN)/python -m pytest -q -n 2 -m "not corpus"

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: $(READY)
	$(BIN)/python tools/pages.py

docs-check: $(READY)
	$(BIN)/python tools/pages.py --check

golden: $(READY)
	$(BIN)/python -m tests.golden regenerate

corpus: $(READY)
	$(BIN)/python benchmarks/corpus.py

# The wheel is built from the unpacked sdist, so that nothing lying about in the checkout gets into it.
dist: $(READY)
	rm -rf dist
	$(BIN)/python -m build --quiet --no-isolation --outdir dist .

clean:
	rm -rf $(VENV) .demo build dist *.egg-info
