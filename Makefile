# Everything a contributor runs. `make` alone lists the targets.
#
# Only Go and make are needed; `make race` also needs a C compiler.

GO      ?= go
BINARY  := $(if $(LINES),bin/lines/lightning,bin/lightning)
# The stripped program stays below this many bytes: a promise of the product.
MAXSIZE := 5000000

# What make gives the compiler and the linker, to save 80,000 bytes: functions
# begin at multiples of 8 bytes, not 32, and the small ones of these packages,
# which no read or write of the database waits for, are not copied into their
# callers (fmt.Errorf alone was 23,000). A plain go build does without.
COLD    := fmt strings $(addprefix l/,cmd/lightning shell stress stress/crash stress/expect stress/history engine/inspect internal/ui engine/vfs/faultfs)
# What is built are copies, of dependencies without what we never call, by a linker
# that leaves names and lines out (LINES=1: by that of Go): CONTRIBUTING.md.
COPIES  := bin/slim/src/go.mod
LINKER   = $(if $(LINES),,$(patsubst %,-toolexec=$(CURDIR)/%,$(shell ls bin/link.exe 2>/dev/null)))
BUILD    = GOWORK=off CGO_ENABLED=0 $(GO) build -C bin/slim/src $(LINKER) -trimpath -buildvcs=false $(COLD:%=-gcflags=%=-l)
LDFLAGS := $(if $(LINES),,-s -w) -funcalign=8 -X main.revision=$(shell git describe --always --dirty --exclude '*' 2>/dev/null)
TOOLCHAIN := bin/toolchain-$(firstword $(shell $(GO) env GOVERSION GOROOT | cksum))

TOOL := $(GO) tool -modfile=tools/go.mod
# What the copies are made of. A folder changes when a file comes or goes.
SOURCES = $(shell find $(filter-out bench bin docs man tools testdata,$(patsubst %/,%,$(wildcard */))) -name testdata -prune -o -name '*_test.go' -o \( -name '*.go' -o -name '*.s' -o -name '*.h' -o -type d \) -print)
GOFILES = $(shell find . -name '*.go' -not -path './bin/*')

.PHONY: help build install uninstall trace demo test race lint vet fmt fmt-check generate generate-check fuzz torture size deps cross scripts bench bench-peers bench-check canaries coverage clean check

help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Where the copies do not compile, a plain build says why, in the sources.
build: $(COPIES) ## build bin/lightning (LINES=1: bin/lines/lightning, unstripped)
	@echo "build $(BINARY)"; \
	$(BUILD) -ldflags "$(LDFLAGS)" -o $(CURDIR)/$(BINARY) ./cmd/lightning 2>bin/errors || { \
		$(GO) build -o /dev/null ./cmd/lightning && cat bin/errors >&2; exit 1; }

# It runs here, whatever the platform that is built for, as the linker does.
$(COPIES): go.mod go.sum $(SOURCES) $(filter-out %_test.go,$(wildcard internal/slim/*.go)) $(TOOLCHAIN)
	GOOS= GOARCH= GOWORK=off $(GO) run ./internal/slim

# What was built is not built anew: root may have no Go. The folders are those in
# which man and the shells look where PREFIX is /usr/local or /usr; ~/.local is
# one, too, for all of them but zsh. PowerShell looks in none.
PREFIX ?= /usr/local
PLACE   = $(DESTDIR)$(PREFIX)
install: ## install the program, its manual pages and completions (PREFIX=/usr/local, DESTDIR=)
	@test -x "$(BINARY)" || $(MAKE) build
	@for dir in bin share/man/man1 share/bash-completion/completions share/zsh/site-functions share/fish/vendor_completions.d; do \
		install -d "$(PLACE)/$$dir" || exit 1; done
	install -m 755 "$(BINARY)" "$(PLACE)/bin/lightning"
	install -m 644 man/*.1 "$(PLACE)/share/man/man1/"
	install -m 644 completions/lightning.bash "$(PLACE)/share/bash-completion/completions/lightning"
	install -m 644 completions/_lightning "$(PLACE)/share/zsh/site-functions/"
	install -m 644 completions/lightning.fish "$(PLACE)/share/fish/vendor_completions.d/"

uninstall: ## remove what make install puts there, with the same PREFIX and DESTDIR
	cd "$(PLACE)" && rm -f bin/lightning $(addprefix share/,$(patsubst man/%,man/man1/%,$(wildcard man/*.1)) \
		bash-completion/completions/lightning zsh/site-functions/_lightning fish/vendor_completions.d/lightning.fish)

trace: ## put names and lines into the stack trace of a bin/lightning of these sources (make trace <FILE)
	@$(MAKE) -s build LINES=1 >/dev/null && GOOS= GOARCH= $(GO) run ./internal/slim -trace bin/lines/lightning

# Another Go has another linker.
$(TOOLCHAIN):
	@mkdir -p bin && rm -f bin/toolchain-* && touch $@

demo: build ## build, and do the main job on real data: import, scan, verify, export, compare
	@sh testdata/demo.sh $(BINARY)

# Three packages at a time, for some wait for the disk; no debugger asks for the
# tables that -w leaves out, and 36 programs are linked.
test: ## run all tests
	$(GO) test -p 3 -ldflags=-w ./...

scripts: build ## run the scripts of cmd/lightning with bin/lightning
	LIGHTNING_BINARY=$(CURDIR)/$(BINARY) $(GO) test ./cmd/lightning -count=1 -run '^TestScripts$$'

# Without those that run the program command after command, which is its slow way, or
# have it live in little memory, of which the race detector takes much; and without
# those that take long and in which one goroutine does all.
COMMANDS := TestScripts TestGuides_CommandsRun TestHardships TestBadInput TestBombs TestRoundTrip_RandomBytes TestF18_EveryLongCommand \
	TestMemoryLimit TestTooSmall TestCache_LongValuesDoNotPushEachOtherOut TestCompletion_Shells TestOpenStorm TestImport_Resume_IsExact
ALONE := TestDamage_EveryBit TestIncrement_ToEverySequenceNumber TestDB_SpaceComesBack TestRecovery_KeyspaceThatCannotBe TestReader_RefusesBombs \
	TestBolt_Hostile TestWriter_GivesBackLongFields TestScrub_RefusesWhatIsNoPass TestMerge_AgreesWithModel TestMerge_JoinsAndSplits \
	TestMerge_KeepsNodesFull TestRun_AgreesWithModel TestRun_CursorAgreesWithModel TestCursor_AgreesWithModel TestRun_EachExtentLost \
	TestF02_CrashAroundShrink TestExtentSet_IsABitmap
empty :=
race: ## run the tests, the long ones shortened, under the race detector (needs a C compiler)
	@command -v $${CC:-gcc} >/dev/null || { echo "make race: the race detector needs a C compiler (gcc, or CC=...)" >&2; exit 1; }
	CGO_ENABLED=1 $(GO) test -race -short -timeout 30m -skip '^($(subst $(empty) ,|,$(COMMANDS) $(ALONE)))$$|Every(FlippedByte|Byte|Length|Operation)' ./...

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

torture: build ## the test programme of docs/RELIABILITY.md, an hour on two cores (TORTURE="-run '^T6$' -scale 0.02")
	$(GO) run ./internal/torture $(value TORTURE)

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
deps: $(COPIES)
	@for os in linux darwin; do \
		packages=$$(GOWORK=off CGO_ENABLED=0 GOOS=$$os $(GO) list -C bin/slim/src -deps ./cmd/lightning) || exit 1; \
		if echo "$$packages" | grep -xF $(ABSENT:%=-e %); then echo "make size: $$os: the packages above are back; see internal/slim/table.go" >&2; exit 1; fi; \
	done
	@$(BUILD) -gcflags=./cmd/lightning=-dwarf=false -ldflags=-dumpdep -o $(CURDIR)/$(BINARY).deps ./cmd/lightning 2>$(BINARY).dumpdep || { cat $(BINARY).dumpdep; exit 1; }
	@if grep ReflectMethod $(BINARY).dumpdep; then echo "make size: the functions above call reflect methods by name" >&2; exit 1; fi
	@rm -f $(BINARY).deps $(BINARY).dumpdep

cross: $(COPIES) ## build for linux, darwin and windows, amd64 and arm64
	@for os in linux darwin windows; do for arch in amd64 arm64; do \
		echo "$$os/$$arch"; \
		GOOS=$$os GOARCH=$$arch $(BUILD) -o /dev/null ./... || exit 1; \
	done; done
	@echo "vet the tests for windows"; GOOS=windows CGO_ENABLED=0 $(GO) vet ./...

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

# Those whose names match CANARY=regexp; all take about five minutes.
canaries: ## plant bugs, each of which a test must notice (CANARY=regexp)
	$(GO) run ./internal/canary -run '$(CANARY)'

# A statement counts as covered by whichever test runs it. COVERED are the
# packages that are looked at, TESTED those whose tests are run.
COVERED := ./engine ./engine/internal/...
TESTED  := ./engine/... ./verify/...
coverage: ## which part of the storage's statements the tests run, the long ones shortened, by package (LEAST=95 fails below)
	@mkdir -p bin
	$(GO) test -short -tags invariants -coverpkg=$$($(GO) list $(COVERED) | paste -s -d , -) -coverprofile=bin/cover.out $(TESTED) >bin/cover.txt || { cat bin/cover.txt; exit 1; }
	@awk -v least=$(or $(LEAST),0) -f tools/coverage.awk bin/cover.out

clean: ## remove what was built
	rm -rf bin

check: fmt-check vet lint generate-check test size scripts cross ## all that CI runs
