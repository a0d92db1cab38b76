# Everything a contributor runs. `make` alone lists the targets.
#
# Only Go and make are needed; `make race` also needs a C compiler.

GO      ?= go
BINARY  := bin/lightning
# The stripped program stays below this many bytes: a promise of the product.
MAXSIZE := 5000000

# What make gives the compiler and the linker, to save 80,000 bytes: functions
# begin at multiples of 16 bytes, not 32, and the small ones of these packages,
# which no read or write of the database waits for, are not copied into their
# callers (fmt.Errorf alone was 23,000). A plain go build does without.
OURS    := github.com/lightning-db/lightning
COLD    := fmt strings time $(addprefix $(OURS)/,cmd/lightning stress stress/expect verify/salvage internal/ui engine/vfs/faultfs)
# Dependencies without what we never call, another 690,000: CONTRIBUTING.md.
SLIM    := bin/slim/go.mod
BUILD   := GOWORK=off CGO_ENABLED=0 $(GO) build -modfile=$(SLIM) -trimpath $(COLD:%=-gcflags=%=-l)
LDFLAGS := -s -w -funcalign=16

TOOL := $(GO) tool -modfile=tools/go.mod
GOFILES = $(shell find . -name '*.go' -not -path './bin/*')

.PHONY: help build demo test race lint vet fmt fmt-check generate generate-check fuzz size deps cross scripts bench bench-peers bench-check coverage clean check

help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: $(SLIM) ## build bin/lightning
	$(BUILD) -ldflags "$(LDFLAGS)" -o $(BINARY) ./cmd/lightning

# It runs here, whatever the platform that is built for.
$(SLIM): go.mod go.sum $(filter-out %_test.go,$(wildcard internal/slim/*.go))
	GOOS= GOARCH= GOWORK=off $(GO) run ./internal/slim

demo: build ## build, and do the main job on real data: import, scan, verify, export, compare
	@sh testdata/demo.sh $(BINARY)

test: ## run all tests
	$(GO) test ./...

scripts: build ## run the scripts of cmd/lightning with bin/lightning
	LIGHTNING_BINARY=$(CURDIR)/$(BINARY) $(GO) test ./cmd/lightning -count=1 -run '^TestScripts$$'

race: ## run all tests, the long ones shortened, under the race detector (needs a C compiler)
	@command -v $${CC:-gcc} >/dev/null || { echo "make race: the race detector needs a C compiler (gcc, or CC=...)" >&2; exit 1; }
	CGO_ENABLED=1 $(GO) test -race -short -timeout 30m ./...

vet: ## go vet
	$(GO) vet ./...

lint: ## staticcheck, at the version in tools/go.mod
	$(TOOL) staticcheck ./...

fmt: ## format all Go files
	$(TOOL) gofumpt -w $(GOFILES)

fmt-check:
	@files="$$($(TOOL) gofumpt -l $(GOFILES))" || exit 1; \
	if [ -n "$$files" ]; then echo "not formatted (make fmt):"; echo "$$files"; exit 1; fi

generate: ## write man/ and completions/ anew
	$(GO) test ./cmd/lightning -count=1 -run '^TestDocs_AreFresh$$' -update

generate-check:
	$(GO) test ./cmd/lightning -count=1 -run '^TestDocs_AreFresh$$'

fuzz: ## run every fuzz test for a while (FUZZTIME=10s each)
	@for pkg in $$($(GO) list ./...); do \
		for name in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
			echo "$$pkg $$name"; \
			$(GO) test $$pkg -run '^$$' -fuzz "^$$name\$$" -fuzztime $${FUZZTIME:-10s} || exit 1; \
		done; \
	done

size: build deps ## fail when the stripped binary has 5,000,000 bytes or more
	@size=$$(wc -c < $(BINARY)); \
	echo "$(BINARY): $$size bytes, $$(($(MAXSIZE) - size)) below the limit"; \
	test $$size -lt $(MAXSIZE) || { echo "make size: the limit is $(MAXSIZE) bytes" >&2; exit 1; }

# A call of reflect's Method or MethodByName keeps every exported method of
# every type in the program: about a megabyte. ABSENT is what internal/slim
# keeps out; on Windows, golang.org/x/sys itself wants net.
# Go repeats what the linker said about a main package that it compiled the same
# way, in make build, too: so here it is compiled in another.
ABSENT := crypto/rand encoding/json flag log net regexp text/template
deps: $(SLIM)
	@for os in linux darwin; do \
		packages=$$(GOWORK=off CGO_ENABLED=0 GOOS=$$os $(GO) list -modfile=$(SLIM) -deps ./cmd/lightning) || exit 1; \
		if echo "$$packages" | grep -xF $(ABSENT:%=-e %); then echo "make size: $$os: the packages above are back; see internal/slim/table.go" >&2; exit 1; fi; \
	done
	@$(BUILD) -gcflags=./cmd/lightning=-dwarf=false -ldflags=-dumpdep -o $(BINARY).deps ./cmd/lightning 2>$(BINARY).dumpdep || { cat $(BINARY).dumpdep; exit 1; }
	@if grep ReflectMethod $(BINARY).dumpdep; then echo "make size: the functions above call reflect methods by name" >&2; exit 1; fi
	@rm -f $(BINARY).deps $(BINARY).dumpdep

cross: $(SLIM) ## build for linux, darwin and windows, amd64 and arm64
	@for os in linux darwin windows; do for arch in amd64 arm64; do \
		echo "$$os/$$arch"; \
		GOOS=$$os GOARCH=$$arch $(BUILD) -o /dev/null ./... || exit 1; \
	done; done

bench: ## run the benchmarks (BENCH=regexp)
	$(GO) test -run '^$$' -bench "$${BENCH:-.}" -benchmem ./...

# The peers that are reached through cgo are in when a program with their
# library links; bench says which are left out.
BENCHTAGS = $(foreach peer,lmdb:lmdb.h rocksdb:rocksdb/c.h sqlite3:sqlite3.h,$(shell \
	echo 'int main(void) { return 0; }' | $(CC) -include $(lastword $(subst :, ,$(peer))) -x c -o /dev/null - \
	-l$(firstword $(subst :, ,$(peer))) 2>/dev/null && echo $(firstword $(subst :, ,$(peer)))))

bench-peers: ## compare with other databases, and write docs/PERFORMANCE.md (BENCHFLAGS=-help; an hour or more, 10 GB of disk)
	cd bench && $(GO) build -tags "$(BENCHTAGS:sqlite3=sqlite)" -o ../bin/bench-peers . && ../bin/bench-peers $(BENCHFLAGS)

bench-check: ## vet and test bench/, with the peers that need no C
	cd bench && CGO_ENABLED=0 $(GO) vet ./... && CGO_ENABLED=0 $(GO) test -short ./...

# A statement counts as covered by whichever test runs it. COVERED are the
# packages that are looked at, TESTED those whose tests are run.
COVERED := ./engine ./engine/internal/...
TESTED  := ./engine/... ./verify/...
coverage: ## which part of the storage's statements the tests run, by package (LEAST=95 fails below)
	@mkdir -p bin
	$(GO) test -coverpkg=$$($(GO) list $(COVERED) | paste -s -d , -) -coverprofile=bin/cover.out $(TESTED) >bin/cover.txt || { cat bin/cover.txt; exit 1; }
	@awk -v least=$(or $(LEAST),0) -f tools/coverage.awk bin/cover.out

clean: ## remove what was built
	rm -rf bin

check: fmt-check vet lint generate-check test size scripts cross ## all that CI runs
