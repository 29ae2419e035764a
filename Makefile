.DEFAULT_GOAL := help
.PHONY: help demo test lint docs man fixtures bench fuzz verify clean

VENV := .venv
BIN := $(VENV)/bin
SETUP := scripts/setup.sh scripts/packages.txt pyproject.toml

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.ready-demo ## set up what is needed, then show symprobe on this machine's binaries
	@$(call name_missing,demo)
	@scripts/demo.sh

test: $(VENV)/.ready-test ## set up what is needed, then lint and test everything
	@$(call name_missing,test)
	@$(MAKE) --no-print-directory lint
	-@$(MAKE) --no-print-directory fixtures
	$(BIN)/python -m pytest -n 2 --dist loadgroup -rs

lint: $(VENV)/.ready-test ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.ready-test man ## the documentation is true: help shown, links, examples, schemas
	$(BIN)/python scripts/docs.py check
	$(BIN)/python -m pytest -n 2 tests/test_docs.py tests/test_examples.py

man: $(VENV)/.ready-test ## build/symprobe.1, the man page, from the command line's own help
	@mkdir -p build
	$(BIN)/python scripts/docs.py man build/symprobe.1

fixtures: $(VENV)/.ready-test ## build the test fixtures that are out of date
	$(BIN)/python fixtures/build.py

bench: $(VENV)/.ready-bench ## speed and memory, side by side with other tools
	@$(call name_missing,bench)
	$(BIN)/python -m bench

SECONDS := 20
fuzz: $(VENV)/.ready-test ## hostile input for every reader and parser; SECONDS=20 for each
	@$(call name_missing,test)
	-@$(MAKE) --no-print-directory fixtures
	$(BIN)/python -m fuzz --seconds $(SECONDS)

verify: $(VENV)/.ready-test ## this machine's ELF files against readelf, nm, the loader; CORPUS=DIR: odd files
	@$(call name_missing,test)
	$(BIN)/python -m verify $(if $(CORPUS),--corpus "$(CORPUS)")

clean: ## remove everything that make made
	rm -rf $(VENV) fixtures/build build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis fuzz/corpus fuzz/findings

$(VENV)/.ready-demo: $(SETUP)
	@scripts/setup.sh demo

$(VENV)/.ready-test: $(SETUP)
	@scripts/setup.sh test

$(VENV)/.ready-bench: $(SETUP)
	@scripts/setup.sh bench

# setup.sh leaves the names of the packages that it could not install in its stamp.
name_missing = [ ! -s $(VENV)/.ready-$(1) ] || \
	echo "not installed, and what needs it is left out:$$(cat $(VENV)/.ready-$(1))"
