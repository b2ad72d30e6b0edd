# Two commands matter: `make demo` and `make test`. Both set up .venv at first and reuse it afterwards.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO ?= demo
# Waiting threads sleep: on a busy machine spinning ones cost more than they gain.
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: demo test test-long lint docs benchmark table clean
.DELETE_ON_ERROR:

# torch goes first: its pinned version has a small CPU build, and nothing after it may pull another one. Python compiles
# what is imported of it; all would take half a minute more.
$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(VENV)/.installed
	mkdir -p $(DEMO)
	$(BIN)/ctrecon simulate --phantom chest --size 164 --views 120 --noise 1% --seed 7 --overwrite -o $(DEMO)/scan.npz
	$(BIN)/ctrecon reconstruct $(DEMO)/scan.npz --delta auto --overwrite -o $(DEMO)/chest.npy
	$(BIN)/ctrecon verify $(DEMO)/chest.certificate.json
	@echo "image, certificate and picture: $(DEMO)/chest.npy $(DEMO)/chest.certificate.json $(DEMO)/chest.png"

# One process more than there are cores: many tests wait for a network, a browser or a killed process.
JOBS ?= $(shell cores=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2); echo $$((cores < 4 ? cores + 1 : 4)))

# Compiled files are kept even where the system asks for none: hundreds of processes would compile the package anew.
test: $(VENV)/.installed
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile -m "not long"

# Larger cases of tests that run in small form above.
test-long: $(VENV)/.installed
	$(BIN)/python -m pytest -m long

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The site, in site/: open site/index.html; it needs no network. Its examples run; a warning is an error.
docs: $(VENV)/.installed
	OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 MPLBACKEND=Agg $(BIN)/python -m sphinx --builder html --fail-on-warning \
		--keep-going --quiet --doctree-dir build/doctrees docs site
	$(BIN)/python docs/extensions/check_site.py site

# Speed and memory as ratios in one run; not part of the tests.
benchmark: $(VENV)/.installed
	$(BIN)/python -m pytest tests/benchmarks --benchmark-enable --benchmark-only -s

clean:
	rm -rf build dist site docs/examples docs/reference *.egg-info $(DEMO)
