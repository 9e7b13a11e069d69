# make run    open the dashboard on the built-in clip (without a terminal: run the same race and print the table)
# make test   everything that must hold: lint, format, types, layers, tests
# make real   the same libraries on real weights and real speech (downloads 200 MB once; needs a network then)
# make bench  measure everything on an idle machine and write the README's figures (BENCH=--short: does it work?)
# make shape  how large the house is, and which packages import each other
# make clean  remove the environment and what tools have cached
#
# Needs Python 3.11 to 3.14 and nothing else; PYTHON=python3.12 make run takes that one, whichever others there are.
# Written for GNU make 3.81, which macOS ships.

PYTEST_WORKERS ?= 2
BENCH ?= --write
REAL ?= $(HOME)/.cache/speedtest-tui-real

BIN := .venv/bin
RUN := .venv/.installed-run
TEST := .venv/.installed-test
INPUTS := pyproject.toml constraints.txt Makefile tools/install.sh tools/python.sh

.PHONY: run test real bench shape clean FORCE
# Two installs at once would break each other.
.NOTPARALLEL:

run: $(RUN)
	@if [ -t 0 ] && [ -t 1 ]; then exec $(BIN)/speedtest-tui --demo; else exec $(BIN)/speedtest-tui run --demo; fi

test: $(TEST)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy tools/*.py tools/bench
	MYPYPATH=tools/fuzz $(BIN)/mypy tools/fuzz/*.py
	$(BIN)/lint-imports
	$(BIN)/pytest -n $(PYTEST_WORKERS) --dist loadfile --no-loadscope-reorder

# Real weights take minutes: they are no part of `make test`, which skips these tests.
real: $(TEST)
	$(BIN)/python tools/real_weights.py "$(REAL)"
	SPEEDTEST_REAL="$(REAL)" $(BIN)/pytest tests/real

# All of them, whatever fails; one after another, or they would measure each other.
bench: $(TEST)
	@failed=0; for bench in tools/bench_*.py; do echo "== $$bench"; $(BIN)/python $$bench $(BENCH) || failed=1; done; exit $$failed

shape: $(TEST)
	@$(BIN)/python tools/house_shape.py

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache snapshot_report.html

# What tests need is more than what running needs: it counts for both.
$(RUN): $(INPUTS)
	@sh tools/install.sh all $(RUN)

$(TEST): $(INPUTS)
	@sh tools/install.sh all,dev $(TEST) $(RUN)

# Stamps say nothing where the environment's interpreter is gone or the checkout was moved or copied.
ifneq '$(shell .venv/bin/python -c "" 2>/dev/null && cat .venv/.checkout 2>/dev/null)' '$(shell pwd -P)'
$(RUN) $(TEST): FORCE
endif
# Neither do they where PYTHON names another version than the environment's.
VERSION := -c "import sys; print(sys.hexversion)" 2>/dev/null
ifneq '$(and $(PYTHON),$(shell .venv/bin/python $(VERSION)))' '$(and $(PYTHON),$(shell $(PYTHON) $(VERSION)))'
$(RUN) $(TEST): FORCE
endif

FORCE:
