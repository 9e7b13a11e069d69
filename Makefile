# make run    open the dashboard on the built-in clip (without a terminal: run the same race and print the table)
# make test   everything that must hold: lint, format, types, layers, tests
# make shape  how large the house is, and which packages import each other
# make clean  remove the environment and what tools have cached
#
# Needs Python 3.11 or newer and nothing else. Written for GNU make 3.81, which macOS ships.

PYTEST_WORKERS ?= 2

BIN := .venv/bin
RUN := .venv/.installed-run
TEST := .venv/.installed-test
INPUTS := pyproject.toml constraints.txt Makefile tools/install.sh tools/python.sh

.PHONY: run test shape clean FORCE
# Two installs at once would break each other.
.NOTPARALLEL:

run: $(RUN)
	@if [ -t 0 ] && [ -t 1 ]; then exec $(BIN)/speedtest-tui --demo; else exec $(BIN)/speedtest-tui run --demo; fi

test: $(TEST)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy tools/bench_*.py tools/bench tools/screenshots.py
	$(BIN)/lint-imports
	$(BIN)/pytest -n $(PYTEST_WORKERS) --dist loadfile

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

FORCE:
