# Everything runs from .venv, which python3's own venv and pip make on first use; each target installs the lock that it needs.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
RUN := .venv/.run-ready
DEMO := .venv/.demo-ready
BROWSER := .venv/.browser-ready
SDKS := .venv/.sdks-ready
AUDIT := .venv/.audit-ready
COMPILED := .venv/.compiled
TYPES := var/types
OIDC := var/oidc
STORES := var/stores
CHROMIUM ?= $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --no-deps --require-hashes
PIN := uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock"

# So that a seed that fails fails again.
export PYTHONHASHSEED ?= 0

# So that each process need not compile the same code.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install install-oidc demo play comparison test-fast test test-rest test-all guards browser-test gateway-test types oidc-test sdk-test stores-test pictures soak check audit sbom bench run format golden lock clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(RUN)  ## install what the bot runs on, into .venv, and nothing else

install-oidc: $(RUN)  ## install also what APPROVAL_LINK needs
	$(INSTALL) -r requirements-oidc.lock

demo: $(DEMO)  ## show one rotation in the terminal, from command to receipt
	$(BIN)/python -m sandbox.demo $(ARGS)

play: $(DEMO)  ## serve a workspace for the browser, to rotate a key by hand; prints its address; AISIX_BIN=/path/to/aisix for real gateways
	AISIX_BIN="$(AISIX_BIN)" $(BIN)/python -m sandbox.page $(ARGS)

comparison: $(DEMO)  ## compare what a wrong secret costs callers: by hand, and by the bot
	$(BIN)/python -m sandbox.comparison $(ARGS)

test-fast: $(READY)  ## run the tests of the rules: no socket, no Redis, no process, no whole rotation, nothing at random
	$(BIN)/python -m pytest -n 2 --dist worksteal --fast -m "not rest and not soak and not whole and not hypothesis" tests/bot tests/handlers tests/docs tests/guards $(ARGS)

test: $(READY) $(COMPILED)  ## run the rules, and each story once, over sockets; ARGS=--cov measures branch coverage
	$(BIN)/python -m pytest -n 6 --dist worksteal -m "not rest and not soak" $(ARGS)

test-rest: $(READY) $(COMPILED)  ## run what `make test` leaves out: the other cases of each story, the sandbox, demo, page and comparison
	$(BIN)/python -m pytest -n 6 --dist worksteal -m "rest and not soak" $(ARGS)

test-all: test test-rest  ## run every test; those in the browser only where Chromium is, Slack's types only where npm is
	@if [ -x "$(CHROMIUM)" ]; then $(MAKE) --no-print-directory browser-test; else echo "There is no Chromium: the stories in the browser were not run."; fi
	@if command -v npm > /dev/null && $(MAKE) --no-print-directory $(TYPES)/.ready; then $(MAKE) --no-print-directory types; else echo "There is no npm, or it installs nothing: the golden files were not compared with Slack's published types."; fi
	@if command -v npm > /dev/null && $(MAKE) --no-print-directory $(OIDC)/.ready; then $(MAKE) --no-print-directory oidc-test; else echo "There is no npm, or it installs nothing: no approval was signed in at a real OpenID Connect server."; fi
	@$(MAKE) --no-print-directory sdk-test
	@if $(MAKE) --no-print-directory $(STORES)/.ready; then $(MAKE) --no-print-directory stores-test; else echo "OpenBao and moto can't be installed here: no secret was read by reference from a real store."; fi

guards: $(READY)  ## take out one guard at a time, in a copy, and check that its test fails; ARGS="test_lease one_approver" for some
	$(BIN)/python -m tests.guards $(ARGS)

soak: $(READY)  ## run the long tests; SOAK_SECONDS: seconds for each (60), SOAK_EXAMPLES: inputs for each fuzzer (2,000)
	$(BIN)/python -m pytest -n 2 -m soak $(ARGS)

browser-test: $(READY)  ## test the workspace of `make play` in Chromium
	@test -x "$(CHROMIUM)" || { echo "make browser-test needs Chromium: install Debian's package chromium, or say where it is with CHROMIUM=/path/to/it."; exit 1; }
	@$(MAKE) --no-print-directory $(BROWSER)
	CHROMIUM="$(CHROMIUM)" $(BIN)/python -m pytest tests/browser $(ARGS)

gateway-test: $(READY)  ## test between real gateways; AISIX_BIN=/path/to/aisix, ARGS="--runs 20" for the figures of the guide
	@AISIX_BIN="$(AISIX_BIN)" $(BIN)/python -m sandbox.gateways
	AISIX_BIN="$(AISIX_BIN)" $(BIN)/python -m pytest tests/gateway $(ARGS)

types: $(READY) $(TYPES)/.ready  ## compare every golden file with Slack's published types of blocks; needs npm
	$(BIN)/python -m pytest tests/published $(ARGS)

oidc-test: $(READY) $(OIDC)/.ready  ## approve after a sign-in at a real OpenID Connect server; needs npm
	$(BIN)/python -m pytest tests/oidc $(ARGS)

sdk-test: $(READY)  ## let the providers' published SDKs call the sandbox's providers
	@$(MAKE) --no-print-directory $(SDKS)
	$(BIN)/python -m pytest tests/sdks $(ARGS)

stores-test: $(READY) $(STORES)/.ready  ## read secrets by reference from a real OpenBao, and from moto's Secrets Manager
	$(BIN)/python -m pytest tests/stores $(ARGS)

pictures: $(READY)  ## draw every golden file, in var/pictures, and the documents' pictures, in docs/pictures
	@test -x "$(CHROMIUM)" || { echo "make pictures needs Chromium: install Debian's package chromium, or say where it is with CHROMIUM=/path/to/it."; exit 1; }
	@$(MAKE) --no-print-directory $(BROWSER)
	CHROMIUM="$(CHROMIUM)" $(BIN)/python -m tests.browser.pictures $(ARGS)
	CHROMIUM="$(CHROMIUM)" $(BIN)/python -m tests.browser.moving_picture

check: $(READY) $(AUDIT)  ## check format, lint (with bandit's rules), types, and known vulnerabilities of the pinned versions
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python .ci/audit

audit: $(AUDIT)  ## ask an advisory service about every pinned version; no answer is a failure
	$(BIN)/python .ci/audit --strict

sbom: $(AUDIT)  ## write what the bot runs on, as requirements-run.lock pins it, in CycloneDX's form to var/sbom.json
	@mkdir -p var
	PYTHONPATH=. $(BIN)/python .ci/sbom > var/sbom.json

bench: $(READY)  ## measure speed and load, for docs/benchmarks.md; ARGS=cut-over for one item
	$(BIN)/python -m tests.bench $(ARGS)

run: $(RUN)  ## run the bot, with the settings of the environment and .env
	$(BIN)/python -m bot

format: $(READY)  ## format, and fix what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

golden: $(READY)  ## write the cards' golden files again; read the diff
	$(BIN)/python -m pytest tests/handlers --update-golden

lock:  ## pin every dependency again (needs uv); a lock holds hashes and no URL
	$(PIN) --extra dev pyproject.toml -o requirements.lock --upgrade
	$(PIN) --constraints requirements.lock pyproject.toml -o requirements-run.lock
	$(PIN) --constraints requirements.lock --group demo -o requirements-demo.lock
	$(PIN) --constraints requirements.lock --group oidc -o requirements-oidc.lock
	$(PIN) --constraints requirements.lock --group providers -o requirements-providers.lock --upgrade
	$(PIN) --group stores -o requirements-stores.lock --upgrade
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

$(SDKS): requirements-providers.lock
	$(INSTALL) --quiet -r requirements-providers.lock
	touch $(SDKS)

$(STORES)/.ready: requirements-stores.lock
	@$(PYTHON) -m venv $(STORES)
	$(STORES)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-stores.lock
	@touch $@

$(TYPES)/.ready: tests/published/package.json tests/published/package-lock.json
	@mkdir -p $(TYPES)
	@cp $^ $(TYPES)
	cd $(TYPES) && npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

$(OIDC)/.ready: tests/oidc/package.json tests/oidc/package-lock.json tests/oidc/server.mjs
	@mkdir -p $(OIDC)
	@cp $^ $(OIDC)
	cd $(OIDC) && npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

$(AUDIT): requirements-audit.lock | $(READY)
	$(INSTALL) --quiet -r requirements-audit.lock
	touch $(AUDIT)

# pytest rewrites a test file when it first meets it; else all processes of `make test` would do so for all files.
$(COMPILED): $(shell find tests -name '*.py') | $(READY)
	@echo "Compiling the tests, once."
	@$(BIN)/python -m pytest --collect-only -qq > /dev/null || true
	@touch $(COMPILED)

clean:  ## remove .venv and var
	rm -rf .venv var
