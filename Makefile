# What a developer types. Each target is one script; read it to see what it does.
.DEFAULT_GOAL := help
.PHONY: help run build check test long bench bench-access models risk-report flow e2e generate clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: build ## build, then start Cardea with a demo application and a demo API
	@./bin/cardea dev

build: ## build ./bin/cardea
	@bash -c '. scripts/lib.sh && build_binary'

check: ## formatting, vet, staticcheck, architecture, fast tests (under two minutes)
	@scripts/check.sh --fast-tests

test: ## everything: both databases, real browser, real clients (under ten minutes)
	@scripts/test.sh

long: ## race detector, 200 kills on each database, load on two nodes, fuzzing (under 75 minutes)
	@scripts/long.sh

bench: ## measure all: beside the least that the same answers can cost, decisions, edges
	@status=0; for part in bench bench-access bench-edges; do scripts/$$part.sh || status=$$?; done; exit $$status

bench-access: ## of that, decisions: beside Open Policy Agent, on large graphs, by SQL, from the log and over HTTP
	@scripts/bench-access.sh

models: ## hold decisions to the naive evaluator on random models: make models N=100000 SEED=7
	@CARDEA_TEST_MODELS=$(or $(N),100000) go test -count=1 -timeout 6h -v -run '^TestDecideAgreesWithTheOracle$$' ./internal/access/policy -rapid.seed=$(or $(SEED),1)

risk-report: ## measure the detectors of what looks wrong, and write docs/security/risk-report.md
	@go test -count=1 -run TestRiskReport -v ./internal/identity/risk -report

flow: ## replay one conversation of testdata/flows verbosely: make flow NAME=code
	@CARDEA_FLOW='$(NAME)' go test -count=1 -run TestFlows -v ./internal/app/apptest

e2e: build ## only the browser and interoperability tests
	@scripts/e2e.sh

generate: ## write openapi.json, the configuration reference and the CLI reference anew
	@go generate ./...

clean: ## remove what was built
	@rm -rf bin e2e/node_modules
