# Every target needs Go alone; race and cover need a C compiler, too. What CI
# runs is .ci/run (make ci).

GO            ?= go
STATICCHECK   := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOLANGCI_LINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.6.0

# Length of the long rings, read by the tests from the environment:
#   make torture DURUS_KILL_SECONDS=3600
DURUS_CRASH_STATES ?= 100000000
DURUS_KILL_SECONDS ?= 600
DURUS_REAL_SECONDS ?= 600
TORTURE_RUN        ?= Crash|Kill|Torture|Fault
TORTURE_TIMEOUT    ?= 24h
FUZZTIME           ?= 5m
BENCH              ?= .
BENCHTIME          ?= 1s

.DEFAULT_GOAL := build
.PHONY: build test race lint cover fuzz torture bench bench-compare bench-gate ci clean help

build: ## compile everything, durusctl into bin/
	$(GO) build ./...
	@if [ -f cmd/durusctl/main.go ]; then $(GO) build -trimpath -o bin/ ./cmd/durusctl; fi

test: ## the tests that everybody runs
	$(GO) test ./...

race: ## the same under the race detector, long ones shortened
	$(GO) test -race -short ./...

lint: ## gofmt, vet, staticcheck, golangci-lint
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "run gofmt -w on these files"; exit 1; }
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	$(GO) run $(GOLANGCI_LINT) run ./...

cover: ## statement coverage over all packages: cover.out, cover.html
	$(GO) test -short -coverpkg=./... -coverprofile=cover.out ./...
	$(GO) tool cover -html=cover.out -o cover.html
	@$(GO) tool cover -func=cover.out | tail -n 1

fuzz: ## each fuzz target for FUZZTIME
	@set -e; for pkg in $$($(GO) list ./...); do \
		for target in $$($(GO) test -list '^Fuzz' "$$pkg" | grep '^Fuzz' || true); do \
			echo "== $$target $$pkg"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzzminimizetime=20x -fuzztime $(FUZZTIME) "$$pkg"; \
		done; \
	done

torture: ## the long rings: crashes, faults, kills, real disks
	DURUS_CRASH_STATES=$(DURUS_CRASH_STATES) DURUS_KILL_SECONDS=$(DURUS_KILL_SECONDS) DURUS_REAL_SECONDS=$(DURUS_REAL_SECONDS) \
		$(GO) test -count=1 -timeout $(TORTURE_TIMEOUT) -run '$(TORTURE_RUN)' ./...
	cd internal/fusedisk && DURUS_REAL_SECONDS=$(DURUS_REAL_SECONDS) $(GO) test -count=1 -timeout $(TORTURE_TIMEOUT) ./...

bench: ## the benchmarks of this module, then those against other databases
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchtime $(BENCHTIME) -benchmem ./...
	@if [ -f bench/go.mod ]; then cd bench && $(GO) test -run '^$$' -bench '$(BENCH)' -benchtime $(BENCHTIME) -benchmem ./...; fi

bench-compare: ## benchmarks of revision BASE and of this tree, in turn, by benchstat
	./bench/compare.sh $(BASE)

bench-gate: ## fail if durus reaches less than half of the share of the machine's limits that it did
	cd bench && $(GO) run -tags alone ./cmd/durusbench --gate results

ci: ## what CI runs
	./.ci/run

clean: ## what the targets above left behind
	rm -rf bin cover.out cover.html

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST)
