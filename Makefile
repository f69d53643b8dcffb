# Everything runs from .venv, which python3's own venv and pip make on first use; each target installs the lock that it needs.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
RUN := .venv/.run-ready
DEMO := .venv/.demo-ready
BROWSER := .venv/.browser-ready
AUDIT := .venv/.audit-ready
COMPILED := .venv/.compiled
CHROMIUM ?= $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --no-deps --require-hashes
PIN := uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock"

# So that a seed that fails fails again.
export PYTHONHASHSEED ?= 0

# So that not every process compiles the same code anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install demo play comparison test-fast test test-rest test-all guards browser-test gateway-test soak check audit bench run format golden lock clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(RUN)  ## what the bot runs on, into .venv, and nothing else

demo: $(DEMO)  ## one rotation from command to receipt, in the terminal
	$(BIN)/python -m sandbox.demo $(ARGS)

play: $(DEMO)  ## a workspace in the browser, to rotate a key by hand; prints its address; AISIX_BIN=/path/to/aisix for real gateways
	AISIX_BIN="$(AISIX_BIN)" $(BIN)/python -m sandbox.page $(ARGS)

comparison: $(DEMO)  ## what a wrong secret costs callers: by hand, and by the bot
	$(BIN)/python -m sandbox.comparison $(ARGS)

test-fast: $(READY)  ## the rules alone: no socket, no Redis, no process, no whole rotation, nothing at random
	$(BIN)/python -m pytest -n 2 --dist worksteal --fast -m "not rest and not soak and not whole and not hypothesis" tests/bot tests/handlers tests/docs tests/guards $(ARGS)

test: $(READY) $(COMPILED)  ## the rules, and each story once, over sockets; ARGS=--cov measures the branches that they take
	$(BIN)/python -m pytest -n 6 --dist worksteal -m "not rest and not soak" $(ARGS)

test-rest: $(READY) $(COMPILED)  ## what `make test` leaves out: every other case of a story, the stand-ins, demo, page and comparison
	$(BIN)/python -m pytest -n 6 --dist worksteal -m "rest and not soak" $(ARGS)

test-all: test test-rest  ## every test; those in the browser where Chromium is
	@if [ -x "$(CHROMIUM)" ]; then $(MAKE) --no-print-directory browser-test; else echo "There is no Chromium: the stories in the browser were not run."; fi

guards: $(READY)  ## take out one guard at a time, in a copy, and see that its test fails; ARGS="references astray" for some
	$(BIN)/python -m tests.guards $(ARGS)

soak: $(READY)  ## what takes minutes; SOAK_SECONDS says how many seconds each of it (60), SOAK_EXAMPLES how many inputs of a fuzzer (2,000)
	$(BIN)/python -m pytest -n 2 -m soak $(ARGS)

browser-test: $(READY)  ## a person's stories in the workspace of `make play`, in Chromium
	@test -x "$(CHROMIUM)" || { echo "make browser-test needs Chromium: install Debian's package chromium, or say where it is with CHROMIUM=/path/to/it."; exit 1; }
	@$(MAKE) --no-print-directory $(BROWSER)
	CHROMIUM="$(CHROMIUM)" $(BIN)/python -m pytest tests/browser $(ARGS)

gateway-test: $(READY)  ## stories between real gateways; AISIX_BIN=/path/to/aisix, ARGS="--runs 20" for the figures of the guide
	@AISIX_BIN="$(AISIX_BIN)" $(BIN)/python -m sandbox.gateways
	AISIX_BIN="$(AISIX_BIN)" $(BIN)/python -m pytest tests/gateway $(ARGS)

pictures: $(READY)  ## every golden file as a picture, in var/pictures; those of the documents in docs/pictures
	@test -x "$(CHROMIUM)" || { echo "make pictures needs Chromium: install Debian's package chromium, or say where it is with CHROMIUM=/path/to/it."; exit 1; }
	@$(MAKE) --no-print-directory $(BROWSER)
	CHROMIUM="$(CHROMIUM)" $(BIN)/python -m tests.browser.pictures $(ARGS)
	CHROMIUM="$(CHROMIUM)" $(BIN)/python -m tests.browser.moving_picture

check: $(READY) $(AUDIT)  ## format, lint (with bandit's rules), types, and known weaknesses of what is pinned
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python .ci/audit

audit: $(AUDIT)  ## ask an advisory service about every pinned version; what it cannot tell is a failure
	$(BIN)/python .ci/audit --strict

bench: $(READY)  ## how fast it is and how much of it there may be, for docs/benchmarks.md; ARGS=cut-over for one item
	$(BIN)/python -m tests.bench $(ARGS)

run: $(RUN)  ## the bot, with the settings of the environment and .env
	$(BIN)/python -m bot

format: $(READY)  ## format, and mend what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

golden: $(READY)  ## write the cards' golden files again, to be read in the diff
	$(BIN)/python -m pytest tests/handlers --update-golden

lock:  ## pin every dependency again, and those that the bot runs on (needs uv); a lock holds hashes and no URL
	$(PIN) --extra dev pyproject.toml -o requirements.lock --upgrade
	$(PIN) --constraints requirements.lock pyproject.toml -o requirements-run.lock
	$(PIN) --constraints requirements.lock --group demo -o requirements-demo.lock
	$(PIN) --constraints requirements.lock --group browser -o requirements-browser.lock --upgrade
	$(PIN) --constraints requirements.lock --group audit -o requirements-audit.lock --upgrade

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Keyturn needs Python 3.11 or newer; try: make PYTHON=python3.12")'
	@echo "Making .venv with $(PYTHON): a few seconds."
	@$(PYTHON) -m venv .venv

$(RUN): requirements-run.lock | $(BIN)/python
	@echo "Installing what the bot runs on into .venv, once."
	$(INSTALL) -r requirements-run.lock
	@touch $(RUN)

$(DEMO): requirements-run.lock requirements-demo.lock | $(BIN)/python
	@echo "Installing what the bot runs on and what draws the demo into .venv, once. The demo begins when pip is done."
	$(INSTALL) -r requirements-run.lock -r requirements-demo.lock
	@touch $(RUN) $(DEMO)

$(READY): requirements.lock | $(BIN)/python
	@echo "Installing what the bot, its tests and its checks run on into .venv, once."
	$(INSTALL) -r requirements.lock
	@touch $(RUN) $(DEMO) $(READY)

$(BROWSER): requirements-browser.lock
	$(INSTALL) --quiet -r requirements-browser.lock
	touch $(BROWSER)

$(AUDIT): requirements-audit.lock | $(READY)
	$(INSTALL) --quiet -r requirements-audit.lock
	touch $(AUDIT)

# pytest rewrites a test file when it first meets it; else all processes of `make test` would do so for all files.
$(COMPILED): $(shell find tests -name '*.py') | $(READY)
	@echo "Compiling the tests, once."
	@$(BIN)/python -m pytest --collect-only -qq > /dev/null || true
	@touch $(COMPILED)

clean:  ## take .venv and var away
	rm -rf .venv var
