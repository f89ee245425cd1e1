# `make learn` and `make test` do all the set-up; both need only Python >= 3.11 and a package index.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: learn test clean

learn: $(VENV)/learn.stamp
	$(BIN)/mibun learn

test: $(VENV)/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest

clean:
	rm -rf $(VENV)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }  # half a venv would never be mended

$(VENV)/learn.stamp: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[cli,plot,data,parallel]"
	touch $@

$(VENV)/test.stamp: pyproject.toml constraints-ci.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints-ci.txt -e ".[cli,plot,data,parallel,test]"
	touch $@ $(VENV)/learn.stamp
