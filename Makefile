# `make learn`, `make test` and `make docs` do all the set-up; they need only Python >= 3.11 and a package index.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: learn test docs clean

learn: $(VENV)/learn.stamp
	$(BIN)/mibun learn

test: $(VENV)/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest

docs: $(VENV)/docs.stamp
	$(BIN)/sphinx-build -W --keep-going -q -j auto docs docs/_build/html
	@echo "Look at them in a browser: file://$(CURDIR)/docs/_build/html/index.html"

clean:
	rm -rf $(VENV) docs/_build docs/auto_*

$(BIN)/python:
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }  # half a venv would never be mended

$(VENV)/learn.stamp: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[cli,plot,data,parallel]"
	touch $@

$(VENV)/test.stamp: pyproject.toml constraints-ci.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints-ci.txt -e ".[cli,plot,data,parallel,test]"
	touch $@ $(VENV)/learn.stamp

$(VENV)/docs.stamp: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[cli,plot,data,parallel,scipy,docs]"
	touch $@
