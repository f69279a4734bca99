# Versions of the tools that lint runs. They are not in go.mod, so that nobody
# who builds flashcrowd, or a k6 with its extension, has to resolve them.
STATICCHECK   := v0.8.2
GOVULNCHECK   := v1.8.0
GOLANGCI_LINT := v2.15.0

FUZZTIME ?= 60s
BENCH    ?= .
SEEDS    ?= 10000

.DEFAULT_GOAL := help
.PHONY: help build test race lint golangci vuln fuzz bench bench-engine bench-memory bench-lag bench-coordinator bench-stop bench-audit audit-matrix surge e2e simulation k6

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## bin/flashcrowd, the one binary
	go build -trimpath -o bin/flashcrowd ./cmd/flashcrowd

test: ## all tests
	go test -timeout 30m ./...

race: ## the tests under the race detector, without cmd's child processes (needs a C compiler)
	CGO_ENABLED=1 go test -race $$(go list ./... | grep -v /cmd/)

lint: ## gofmt, go vet, staticcheck
	@unformatted=$$(gofmt -l .); \
	test -z "$$unformatted" || { echo "gofmt -w $$unformatted"; exit 1; }
	go vet ./...
	go run honnef.co/go/tools/cmd/staticcheck@$(STATICCHECK) ./...

golangci: ## golangci-lint, with .golangci.yml (takes minutes the first time)
	go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT) run ./...

vuln: ## known vulnerabilities that our code reaches; GOVULNDB=file:///copy where there is no network
	@go run golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK) $${GOVULNDB:+-db "$$GOVULNDB"} ./... || { code=$$?; \
	echo "vuln: if the database could not be fetched: unpack a copy of https://vuln.go.dev/vulndb.zip and run" >&2; \
	echo "      make vuln GOVULNDB=file:///path/to/copy" >&2; exit $$code; }

fuzz: ## every fuzz target for FUZZTIME (60s) each
	bash ci/fuzz.sh $(FUZZTIME)

bench: ## the benchmarks of every package; BENCH=regexp chooses
	go test -run '^$$' -bench '$(BENCH)' -benchmem ./...

bench-engine: build ## orders per CPU-second of flashcrowd, plain k6 and wrk, each alone on one core (Linux; apt-get install wrk)
	go run ./cmd/bench engine

bench-memory: build ## memory of a shopper: thinking, pooled, in a stream; and of 100,000 (Linux)
	go run ./cmd/bench memory

bench-lag: build ## how late shoppers come when the generator's core is half busy (Linux)
	go run ./cmd/bench lag

bench-coordinator: build ## what an exchange costs the coordinator of 500 workers, and its memory over 20 minutes (Linux)
	go run ./cmd/bench coordinator

bench-stop: build ## from flashcrowd stop to the last byte on the wire, in 50 fleets
	go run ./cmd/bench stop

bench-audit: ## an audit of ten million ledger entries against ten million orders: seconds and memory (Linux; 7 GB of disk in TMPDIR)
	go run ./cmd/bench audit

audit-matrix: build ## every planted bug under 20 seeds, right designs 100 times: what the audit finds (Linux; half an hour)
	go run ./cmd/bench -parallel 4 matrix

surge: build ## spring-festival against each design of the storefront but null: one picture and one table (7 minutes)
	go run ./cmd/bench surge

e2e: ## whole runs through real child processes
	go test -count=1 -v -timeout 30m ./cmd/...

simulation: ## the lease protocol under SEEDS (10000) seeds of trouble
	go test ./agents -run '^TestSimulation' -seeds $(SEEDS) -v -timeout 60m

k6: ## ./k6, a stock k6 with our extension
	go tool xk6 build v2.2.0 --with github.com/flashcrowd/flashcrowd=.
