VENV := .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.installed

# The servers that `make score` watches have a venv of their own, with the real packages.
SCENARIOS := .venv-scenarios
SCENARIOS_STAMP := $(SCENARIOS)/.installed

# So have the tools that `make bench` compares leakscope with.
BENCH := .venv-bench
BENCH_STAMP := $(BENCH)/.installed

# The tests also attach to the interpreters that `make pythons` brought, if it ran.
COLON := :
TEST_PYTHONS := $(wildcard $(CURDIR)/.pythons/usr/bin)
TESTING := LEAKSCOPE_TEST_PYTHONS="$(TEST_PYTHONS)$${LEAKSCOPE_TEST_PYTHONS:+$(COLON)$$LEAKSCOPE_TEST_PYTHONS}" \
	$(RUN)
PYTEST := $(TESTING) -m pytest

# The tool that makes one file of leakscope and all it needs, in a venv of its own.
PYZ := .venv-pyz
PYZ_STAMP := $(PYZ)/.installed

.DEFAULT_GOAL := help
.PHONY: help venv demo test lint format types acceptance coverage soak score bench bench-quick pyz pythons browser prometheus readers yama docker pictures readme clean

help:  ## List the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## */\1\t/p' $(MAKEFILE_LIST) | expand -t 14

venv: $(STAMP)  ## Make .venv, with leakscope and the tools to work on it

# A name may be there and not run (a version switcher's stand-in does that), so each is tried.
$(STAMP): pyproject.toml
	@for python in "$(PYTHON)" python3 python3.15 python3.14 python3.13 python3.12 python3.11; do \
		test -n "$$python" || continue; \
		"$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' \
			2>/dev/null && found=$$python && break; \
	done; \
	if test -z "$$found"; then \
		echo "No Python >= 3.11 with venv found: tried \$$(PYTHON), python3 and python3.11 to 3.15." >&2; \
		echo "Name one with: make PYTHON=/path/to/python3 venv" >&2; \
		exit 1; \
	fi; \
	$(RUN) -c '' 2>/dev/null || "$$found" -m venv --clear $(VENV)
	$(RUN) -m pip install --quiet --editable '.[dev]'
	@touch $@

demo: $(STAMP)  ## Watch a small leaking service and check what leakscope says (under a minute)
	$(RUN) -m tests.demo

# Tests that attach wait for most of their time, so those that only compute go on beside them, with
# less of a right to the CPU. What they say is shown when both are over.
COMPUTING := tests/unit $(wildcard tests/test_*.py)
WAITING := tests/faults tests/integration

test: lint types  ## Lint, check types and run all tests but the slow ones
	@said=$$(mktemp); \
	nice -n 10 env $(PYTEST) -m "not slow" -p no:cacheprovider $(COMPUTING) >"$$said" 2>&1 & \
	computing=$$!; trap 'kill "$$computing"' INT TERM; \
	$(PYTEST) -m "not slow" $(WAITING); waiting=$$?; \
	wait "$$computing"; computed=$$?; \
	cat "$$said"; rm -f "$$said"; \
	test "$$waiting" -eq 0 && test "$$computed" -eq 0

lint: $(STAMP)  ## Check style and formatting
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

format: $(STAMP)  ## Put the code in shape
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

types: $(STAMP)  ## Check the types
	$(RUN) -m mypy

acceptance: lint types  ## Run all tests, the slow ones too, and quote their figures in the README (1.5 h)
	$(PYTEST) -m "not soak" --figures=.acceptance.json
	$(RUN) -m tests.acceptance .acceptance.json
	$(MAKE) coverage

# By a run of its own: measured, leakscope is slower, and its figures would not be true.
coverage: $(STAMP)  ## Measure how much of leakscope the tests go through; at least 95 % (20 min)
	$(RUN) -m coverage erase
	$(TESTING) -m coverage run -m pytest -m "not slow and not soak"
	$(RUN) -m coverage combine --quiet
	$(RUN) -m coverage report --show-missing --skip-covered --fail-under=95
	$(RUN) -m tests.covered

soak: $(STAMP)  ## Watch a process that makes threads as fast as it can, and leakscope's memory (10 min)
	$(PYTEST) -m soak

score: $(SCENARIOS_STAMP)  ## Watch real servers, leaking and healthy, and score the verdicts (15 min)
	$(SCENARIOS)/bin/python -m tests.scenarios.score

$(SCENARIOS_STAMP): pyproject.toml $(STAMP)
	$(RUN) -m venv --clear $(SCENARIOS)
	$(SCENARIOS)/bin/python -m pip install --quiet --editable '.[scenarios]'
	@touch $@

bench: $(STAMP) $(BENCH_STAMP)  ## Measure what watching costs, on a quiet machine (100 min)
	$(RUN) -m tests.bench.run

SECONDS := 20
bench-quick: $(STAMP) $(BENCH_STAMP)  ## The same in SECONDS=20 a watch, for a rough idea (25 min)
	$(RUN) -m tests.bench.run --seconds $(SECONDS)

# Each by itself: not every machine has a wheel for both, and the bench runs without them.
$(BENCH_STAMP): $(STAMP)
	$(RUN) -m venv --clear $(BENCH)
	-$(BENCH)/bin/python -m pip install --quiet pystack==1.7.2
	-$(BENCH)/bin/python -m pip install --quiet austin-dist==3.7.0
	@touch $@

pyz: $(PYZ_STAMP)  ## Build dist/leakscope.pyz: one file, with py-spy in it, that needs only Python
	mkdir -p dist
	$(PYZ)/bin/shiv --quiet --compressed --reproducible --python "/usr/bin/env python3" \
		--console-script leakscope --output-file dist/leakscope.pyz ".[prometheus]"
	$(PYZ)/bin/python .container/begin_by.py dist/leakscope.pyz .container/pyz_main.py

$(PYZ_STAMP): $(STAMP)
	$(RUN) -m venv --clear $(PYZ)
	$(PYZ)/bin/python -m pip install --quiet shiv==1.0.8
	@touch $@

pythons:  ## Bring Python 3.14 and 3.15 into .pythons, for the tests to attach to (Debian)
	.ci/install-pythons .pythons

browser:  ## Bring what the tests open the page with: chromium (Debian, as root) and axe-core
	.ci/install-browser .browser

prometheus:  ## Bring Prometheus into .prometheus, for the tests to be scraped by (Debian)
	.ci/install-prometheus .prometheus

readers: $(STAMP)  ## Bring the readers of our formats into .readers: speedscope's schema, inferno, flamegraph.pl
	.ci/install-readers .readers

yama:  ## Bring a kernel with Yama and QEMU into .yama, for the tests to be run under (Debian, x86-64)
	.ci/install-yama .yama

docker:  ## Bring Docker into .docker, for the tests of its recipe to start a daemon of (Debian, root)
	.ci/install-docker .docker

pictures: $(STAMP)  ## Draw the README's pictures from a real watch
	$(RUN) -m tests.pictures .pictures/watch.svg .pictures/page.webp

readme: $(STAMP)  ## Write the help texts in the README and the table of faults anew
	$(RUN) -m tests.readme_blocks
	$(RUN) -m tests.faults.table

clean:  ## Remove all that was made here but what .ci brought: .pythons, .browser and the like
	rm -rf $(VENV) $(SCENARIOS) $(BENCH) $(PYZ) build dist .acceptance.json .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage .coverage.* htmlcov
	find leakscope tests -name __pycache__ -type d -prune -exec rm -rf {} +
