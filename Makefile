# How to start, test and maintain AiWorker. `make up` is all that a new machine needs; the rest is for its developers.
#
#   PYTHON=python3.13   which Python (3.11 or newer) the virtual environment is made with
#   REQUIRE_ALL=1       a test that is left out is a failure
#   GITEA_URL=… GITEA_TOKEN=…   the server that `make test-real` tests against (a site administrator's token)
#   KUBECONFIG=…        the cluster that `make test-real` tests against
#   ONLY=page           what `make bench` measures alone: start, api, grow, ws, queue, schedule, handover,
#                       page or failover
#   SECONDS_EACH=600    how long the measurement of `make soak` takes
#   ARGS='…'            more arguments for pytest, the benchmark, the demonstration or `aiworker up`

SHELL := /bin/bash
VENV ?= .venv
export VENV
BIN := $(VENV)/bin
SECONDS_EACH ?= 600

.PHONY: help up test test-all test-real check demo pictures examples client bench soak migration lock sbom wheel image clean
.DEFAULT_GOAL := help
export GITEA_URL GITEA_TOKEN KUBECONFIG
# Keep what is compiled, whatever the environment says: nothing is compiled when it is installed, so each process and each
# command would compile the same modules again, which takes longer than what most of them do.
export PYTHONDONTWRITEBYTECODE :=

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

up: ## Install what is missing and start the whole platform in the foreground
	@.ci/venv requirements.lock
	@exec $(BIN)/aiworker up $(ARGS)

test: ## Check style, types and architecture, and run the quick tests: at most 10 minutes
test-all: ## The same with every test

test: tier := -m 'not slow'
# One collection first, so that not all workers of pytest-xdist rewrite the assertions of the same files.
test test-all:
	@.ci/venv requirements-dev.lock
	@.ci/packages & packages=$$!; .ci/check; checked=$$?; wait $$packages && exit $$checked
	@$(BIN)/python -m pytest --collect-only -qq >/dev/null || true
	@exec $(BIN)/python -m pytest -n 6 --dist loadscope $(tier) $(ARGS)

test-real: ## Run the contracts and a whole story on real servers: GITEA_URL=… GITEA_TOKEN=…, KUBECONFIG=…, or both
	@.ci/venv requirements-dev.lock
	@test -n "$${GITEA_URL:+$$GITEA_TOKEN}$$KUBECONFIG" || { echo 'give GITEA_URL=… GITEA_TOKEN=…, KUBECONFIG=…, or both'; exit 2; }
	@AIWORKER_TEST_REAL=1 exec $(BIN)/python -m pytest -p no:cacheprovider tests/real $(ARGS)

check: ## Check style, types and architecture only
	@.ci/venv requirements-dev.lock
	@.ci/check

demo: ## Show one task's whole way, from a sentence to production
	@.ci/venv requirements-dev.lock
	@exec $(BIN)/python -m tests.e2e.story $(ARGS)

pictures: ## Take the pictures of every view for docs/images, on an instance of its own
	@.ci/venv requirements-dev.lock
	@exec $(BIN)/python -m tests.e2e.pictures $(ARGS)

client: ## Build a wheel of the client for Python in dist/; every instance serves it, too
	@.ci/venv requirements.lock
	@$(BIN)/python .ci/client.py

examples: ## Record the examples of the API's description, from a run of every operation
	@.ci/venv requirements-dev.lock
	@exec $(BIN)/python -m tests.e2e.api_examples

bench: ## Measure this machine, and compare the ratios with the recorded run: ARGS=--record to record
	@.ci/venv requirements-dev.lock
	@exec $(BIN)/python -m tests.bench $(if $(ONLY),--only $(ONLY)) $(ARGS)

soak: ## Run what takes long: ten minutes of ten runs at once, and the real CLIs in more trouble
	@.ci/venv requirements-dev.lock
	@.ci/packages
	$(BIN)/python -m tests.soak.many_runs --seconds $(SECONDS_EACH)
	AIWORKER_TEST_SOAK=1 $(BIN)/python -m pytest -p no:cacheprovider --durations=0 tests/soak $(ARGS)

migration: ## Write a migration from the models: MESSAGE='add x'
	@.ci/venv requirements-dev.lock
	@test -n "$(MESSAGE)" || { echo "say what it adds: make migration MESSAGE='add x'"; exit 2; }
	@$(BIN)/python .ci/new_migration.py '$(MESSAGE)'
	@$(BIN)/ruff check --quiet --fix common/migrations/versions; $(BIN)/ruff format --quiet common/migrations/versions

lock: ## Resolve the dependencies anew, with hashes
	@.ci/venv requirements-dev.lock
	@.ci/lock

sbom: ## Print the list of everything that is delivered (CycloneDX, JSON): make -s sbom >sbom.json
	@.ci/venv requirements.lock
	@$(BIN)/python .ci/sbom.py

wheel: ## Build a wheel in dist/, for: pipx install dist/*.whl
	@.ci/venv requirements.lock
	@mkdir -p dist
	@$(BIN)/python -c 'import sys; sys.path.insert(0, ".ci"); import build_backend; print("dist/" + build_backend.build_wheel("dist"))'

image: ## Build the container image
	docker build --tag aiworker .

clean: ## Remove the virtual environment and caches; the data in .aiworker stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
