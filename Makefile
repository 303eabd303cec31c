# Two commands matter: `make demo` and `make test`. `make help` lists the rest.
PY := .venv/bin/python

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-long lint types contracts bundle lock bench wheel clean \
	elasticsearch elasticsearch-3 elasticsearch-stop

help:  ## this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup:  ## make .venv (TORCH_INDEX=URL: torch from there; WHEELS=DIR: install offline)
	@deploy/setup.sh "$(TORCH_INDEX)" "$(WHEELS)"

demo: setup  ## the whole path on an invented city (FRESH=1 starts over, SAMPLE=DIR another city)
	@$(PY) -m huiyin demo $(if $(SAMPLE),--sample "$(SAMPLE)") $(if $(FRESH),--fresh)

WORKERS ?= 2
test: setup  ## every test, lint, types and contracts
	@$(MAKE) --no-print-directory lint types contracts
	@$(PY) -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

test-long: setup  ## tests that take minutes (three nodes killed); writes benchmarks/results
	@HUIYIN_WRITE_RESULTS=1 $(PY) -m pytest -m long $(ARGS)

lint:  ## ruff
	@$(PY) -m ruff check . && $(PY) -m ruff format --check .

types:  ## mypy --strict
	@$(PY) -m mypy --strict huiyin archive crawler nlp alerts responder ui

contracts:  ## who may import whom
	@.venv/bin/lint-imports

bundle:  ## fill wheels/ for a machine without internet
	@deploy/bundle.sh wheels

lock:  ## pin all dependencies again (needs uv)
	@$(PY) deploy/lock.py

bench: setup  ## all benchmarks; results under benchmarks/results/
	@for b in archive importing understanding incidents; do $(PY) benchmarks/$$b.py || exit 1; done

PORT ?= 9200
elasticsearch:  ## a real Elasticsearch on loopback for development (PORT=9200)
	@$(PY) deploy/elasticsearch-dev/server.py start --port $(PORT)

elasticsearch-3:  ## three nodes on PORT, PORT+1, PORT+2 (needs 3 GB)
	@$(PY) deploy/elasticsearch-dev/server.py start --port $(PORT) --nodes 3

elasticsearch-stop:  ## stop them; their data stays
	@$(PY) deploy/elasticsearch-dev/server.py stop --port $(PORT)

wheel: setup  ## build the wheel into dist/
	@rm -rf build/lib build/bdist.*
	@$(PY) -m pip wheel -q --no-deps --no-build-isolation -w dist .

clean:  ## remove what was built (not var/, where the archive lies)
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
