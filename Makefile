# Lockstep. `make demo` shows what it does, `make test` proves that it works.
# Both need Go; `make test` also needs Node for the official clients. They install the rest.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
GO          ?= go
TOOLS       := $(CURDIR)/.tools
GOLANGCI    := $(TOOLS)/golangci-lint-2.15.0
SQLC        := $(TOOLS)/sqlc-1.31.1
VULNCHECK   := $(TOOLS)/govulncheck-1.9.0
COMPOSE     := $(TOOLS)/docker-compose-5.5.0
FUZZTIME    ?= 5m
KILLS       ?= 300
HAMMER_DATABASES ?= sqlite postgres
BENCHFLAGS  ?=
INITDB       = command -v initdb || ls /usr/lib/postgresql/*/bin/initdb 2>/dev/null
say          = @printf '\n== %s\n' "$(1)"

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## the main job, end to end, in one process: update CVMs off chain and on chain
	$(GO) run ./cmd/lockstep demo

.PHONY: dev
dev: ## the same cloud, staying up, for your own clients
	$(GO) run ./cmd/lockstep dev

.PHONY: build
build: ## bin/lockstep, and bin/lockstep-server without the development chain
	$(GO) build -trimpath -o bin/lockstep ./cmd/lockstep
	$(GO) build -trimpath -tags serveronly -o bin/lockstep-server ./cmd/lockstep

.PHONY: test
test: check-format vet lint contracts-check unit hammer-short compat vulncheck ## everything CI runs
	$(call say,all passed)

.PHONY: check-format
check-format: ## gofmt has nothing to change
	$(call say,gofmt)
	@unformatted=$$(gofmt -l $$(git ls-files --cached --others --exclude-standard '*.go')); \
	  test -z "$$unformatted" || { echo "not gofmt'ed:"; echo "$$unformatted"; exit 1; }

.PHONY: vet
vet: ## go vet, both builds
	$(call say,go vet)
	$(GO) vet ./...
	$(GO) vet -tags serveronly ./cmd/...

.PHONY: lint
lint: $(GOLANGCI) ## golangci-lint with .golangci.yml
	$(call say,golangci-lint)
	$(GOLANGCI) run ./...

.PHONY: unit
unit: postgres docker-tools ## all Go tests with the race detector, but for those with the official clients
	$(call say,go test -race)
	LOCKSTEP_DOCKER_TESTS="$$(tools/docker-engine.sh)" $(GO) test -race -timeout 15m $$($(GO) list ./... | grep -v /test/compat)

.PHONY: postgres
postgres: ## what the tests need of PostgreSQL: Debian's package where it is missing and may be installed
	$(call say,PostgreSQL for the tests)
	@found() { test -n "$${LOCKSTEP_TEST_POSTGRES_URL:-}" || $(INITDB); }; \
	if found >/dev/null; then echo "found"; \
	elif command -v apt-get >/dev/null && test "$$(id -u)" = 0; then \
	  { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends postgresql; } >/dev/null || true; \
	fi; \
	found >/dev/null || printf '%s\n' '********' 'NOT TESTED on PostgreSQL: it is not installed and could not be.' \
	  'Install the package postgresql, or name a server in LOCKSTEP_TEST_POSTGRES_URL.' '********'

.PHONY: compat
compat: postgres docker-tools ## the official npm clients, unmodified, against a real server
	$(call say,official clients)
	LOCKSTEP_DOCKER_TESTS="$$(tools/docker-engine.sh)" $(GO) test -race -count=1 -timeout 10m ./test/compat

.PHONY: docker-tools
docker-tools: $(COMPOSE) ## what tests on Docker need: the Compose plugin, and an engine where root may install one
	$(call say,docker)
	@echo "tests on a Docker Engine: $$(tools/docker-engine.sh | grep . || echo NOT AVAILABLE)"

.PHONY: vulncheck
vulncheck: $(VULNCHECK) ## known vulnerabilities in what we use, where the database can be reached
	$(call say,govulncheck)
	@status=0; $(VULNCHECK) ./... >$(TOOLS)/vulncheck.log 2>&1 || status=$$?; \
	if grep -qE 'no such host|dial tcp|connection refused|i/o timeout' $(TOOLS)/vulncheck.log; then \
	  echo "NOT CHECKED: the vulnerability database cannot be reached from here"; \
	else cat $(TOOLS)/vulncheck.log; exit $$status; fi

.PHONY: contracts
contracts: ## compile the contracts and generate their bindings
	cd onchain/contracts && npm ci --no-audit --no-fund && node build.mjs
	$(GO) generate ./onchain/internal/bindings

.PHONY: contracts-check
contracts-check: ## the committed contract artifacts are what the sources compile to
	$(call say,contracts)
	cd onchain/contracts && npm ci --no-audit --no-fund --silent && node build.mjs --check

.PHONY: sqlc
sqlc: $(SQLC) ## generate the Go of the SQL statements
	cd internal/store && $(SQLC) generate

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (5m)
	@for package in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
	    printf '\n== %s %s\n' "$$package" "$$target"; \
	    $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x $$package; \
	  done; \
	done

.PHONY: property
property: ## the invariant through many more interleavings, and a death at every point of every story (`make test`: each fifth)
	$(GO) test -run TestEveryCrashPoint -timeout 60m ./internal/control -crash.stride=1
	$(GO) test -run TestInvariant -timeout 60m ./internal/control -rapid.checks=2000 -rapid.steps=60

.PHONY: hammer
hammer: build postgres ## servers killed KILLS (300) times under load lose nothing, on each of HAMMER_DATABASES
	@for database in $(HAMMER_DATABASES); do \
	  printf '\n== hammer on %s\n' "$$database"; \
	  if test "$$database" = postgres && ! { $(INITDB); } >/dev/null; then \
	    echo "NOT TESTED: the hammer starts a PostgreSQL of its own, and there is none to start"; continue; \
	  fi; \
	  $(GO) run ./test/hammer -lockstep bin/lockstep -database "$$database" -kills $(KILLS); \
	done

.PHONY: hammer-docker
hammer-docker: build docker-tools ## a short form on a Docker Engine: a server killed, the engine cut off from it
	$(call say,hammer on docker)
	@if test -n "$$(tools/docker-engine.sh)"; then $(GO) run ./test/hammer -lockstep bin/lockstep -runtime docker; \
	else printf '%s\n' '********' 'NOT TESTED: the hammer on a Docker Engine: there is none.' '********'; fi

.PHONY: hammer-short
hammer-short: ## the same with 15 kills, and the one on docker; part of `make test`
	$(MAKE) --no-print-directory hammer KILLS=15
	$(MAKE) --no-print-directory hammer-docker

.PHONY: bench
bench: build docker-tools ## what is promised, each as a ratio to a baseline of the same run; BENCHFLAGS="-database postgres"
	cd test/compat && npm ci --no-audit --no-fund --silent
	$(GO) run ./test/bench -lockstep bin/lockstep -server bin/lockstep-server -node-modules test/compat/node_modules $(BENCHFLAGS)

.PHONY: clean
clean: ## remove what was built and installed here
	rm -rf bin .tools test/compat/node_modules onchain/contracts/node_modules

$(GOLANGCI):
	$(call say,installing golangci-lint)
	GOBIN=$(TOOLS) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
	mv $(TOOLS)/golangci-lint $@

$(SQLC):
	$(call say,installing sqlc)
	GOBIN=$(TOOLS) $(GO) install github.com/sqlc-dev/sqlc/cmd/sqlc@v1.31.1
	mv $(TOOLS)/sqlc $@

$(VULNCHECK):
	$(call say,installing govulncheck)
	GOBIN=$(TOOLS) $(GO) install golang.org/x/vuln/cmd/govulncheck@v1.9.0
	mv $(TOOLS)/govulncheck $@

$(COMPOSE): tools/compose/go.mod tools/compose/go.sum
	$(call say,building Docker Compose)
	cd tools/compose && $(GO) build -trimpath -ldflags "-s -w -X github.com/docker/compose/v5/internal.Version=v5.5.0" -o $@ github.com/docker/compose/v5/cmd
	touch $@
