PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test test-all lint golden corpus clean

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable . --group dev
	touch $(READY)

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

golden: $(READY)
	$(BIN)/python -m tests.golden regenerate

corpus: $(READY)
	$(BIN)/python benchmarks/corpus.py

clean:
	rm -rf $(VENV) .demo build *.egg-info
