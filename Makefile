# What a person needs: Python 3.11, 3.12 or 3.13, and make. Everything else comes into .venv by requirements.lock.

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
UV := uv==0.13.8

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run env test bench lint types imports unit format lock clean crash corrupt lines load-test watch-test scale-test elasticity bench-storage kill-test simulate stories backtest
# The environment is .venv and nothing beside it, and each module is compiled once and not at every start.
unexport PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONDONTWRITEBYTECODE MYPYPATH PYTEST_ADDOPTS PYTEST_PLUGINS

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 16

run: $(READY)  ## open the console on an embedded repository with sample weddings
	@$(BIN)/python -m wedsync_tui --demo

test: lint types imports unit  ## run every check that CI runs

lint: $(READY)  ## style and banned calls (ruff)
	$(BIN)/ruff check --quiet
	$(BIN)/ruff format --check --quiet || { echo "run 'make format'" >&2; exit 1; }

types: $(READY)  ## types (mypy --strict)
	$(BIN)/mypy

imports: $(READY)  ## the floors (import-linter)
	@$(BIN)/lint-imports --no-logo

# Half of a test's time is waiting: for a terminal, a process, a lock. So a worker for each core, none idle at the end.
unit: $(READY)  ## tests (pytest), a worker for each core; T="tests/engine -k chunk" narrows them
	$(BIN)/python -m pytest -n logical --maxprocesses 8 --dist worksteal $(T)

lines: $(READY)  ## lines that are cut, at length: a terminal that stalls for 8 s, consoles over ssh and inside tmux
	LINES_TOO=1 STALL_S=8 $(BIN)/python -m pytest tests/wedsync_tui/test_attach_lines.py

format: $(READY)  ## lay out the code as `make lint` wants it
	$(BIN)/ruff check --quiet --fix --exit-zero
	$(BIN)/ruff format

env: $(READY)  ## prepare .venv only; PYTHON=/path/to/python3 chooses the interpreter

$(READY): requirements.lock pyproject.toml .ci/environment
	@sh .ci/environment $(VENV)
	@touch $@

lock:  ## write requirements.lock anew; UPGRADE=--upgrade moves to the newest releases
	@sh .ci/lock $(UV) $(UPGRADE)

bench: $(READY)  ## measure beside cp, restic and borg (BORG=path); A="--rounds 5" passes options
	$(BIN)/python -m benchmarks.side_by_side $(A)

load-test: $(READY)  ## measure the engine under load, exit 1 on a missed target; L="--short" is a sample
	@mkdir -p build/load
	@$(BIN)/python -m benchmarks.load build/load $(L)

watch-test: $(READY)  ## measure watched folders and 10,000 weddings, exit 1 on a missed target; L="--short" is a sample
	@mkdir -p build/load
	@$(BIN)/python -m benchmarks.watching build/load $(L)
	@$(BIN)/python -m benchmarks.full_house build/load $(L)

scale-test: $(READY)  ## streams and nodes that come and go, a cut of 45 s, a SIMULATED fleet; exit 1 on a missed target; L="--short"
	@mkdir -p build/scale
	@$(BIN)/python -m benchmarks.scaling build/scale $(L)
	@$(BIN)/python -m benchmarks.nodes build/scale $(L)
	@$(BIN)/python -m benchmarks.fleet build/scale $(L)
	CUT_S=45 $(BIN)/python -m pytest -q -n0 tests/engine/operations/test_partition.py

elasticity: $(READY)  ## SIMULATED weeks under rules of scaling, exit 1 on a missed target; SERIES=DIR has the public series
	@OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.elasticity build/elasticity $(if $(SERIES),--series $(SERIES)) $(L)

bench-storage: $(READY)  ## measure stores, cache, copy catalog, lines; exit 1 on a missed target; L="--short" is a sample
	@mkdir -p build/storage
	@$(BIN)/python -m benchmarks.storage build/storage $(L)

backtest: $(READY)  ## try forecasts on their past, exit 1 on a missed target; SERIES=DIR has the public series
	@mkdir -p build/backtest
	@OPENBLAS_NUM_THREADS=1 $(BIN)/python -m benchmarks.backtest build/backtest $(if $(SERIES),--series $(SERIES)) --table build/backtest/table.md $(L)

kill-test: $(READY)  ## kill an engine that takes on jobs a hundred times: none that was acknowledged is lost
	KILL_ROUNDS=100 $(BIN)/python -m pytest -q tests/crash/test_restarts.py

simulate: $(READY)  ## the scheduler over 5,000 random mixes of jobs, on simulated time and streams; SEED=n
	SIMULATIONS=$${SIMULATIONS:-5000} $(BIN)/python -m pytest -q tests/simulation

stories: $(READY)  ## random stories of engines, tiers and regions, kills, damage and prunes; STORIES=n, SEED=n
	STORIES=$${STORIES:-2000} $(BIN)/python -m pytest -q tests/stories

crash: $(READY)  ## kill, cut the power and refuse at every boundary of a store; SEED=n
	$(BIN)/python -m tests.crash.everything kills $(SEED)

corrupt: $(READY)  ## damage every kind of object in many places; SEED=n
	$(BIN)/python -m tests.crash.everything damage $(SEED)

clean:  ## remove .venv and every cache
	rm -rf $(VENV) .lockenv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -f snapshot_report.html
	find engine fixtures screens wedsync_tui tests -name __pycache__ -type d -prune -exec rm -rf {} +
