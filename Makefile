# Verbs of the project. `make help` lists them.

GO      ?= go
VERSION ?= 0.1.0-dev
COMMIT  := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)
BUILD   := CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)'

# what `make dist` builds for; when the files in its packages say that they were made; what packs them
ARCHES  ?= $(shell $(GO) env GOARCH)
BUILT   := $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
NFPM    ?= $(GO) run github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.48.0

# seeds of one `make sim`; inputs (or time: Go then fails now and then as it runs out) of every fuzz target, and seeds, in `make test`
SEEDS     ?= 2000
FUZZTIME  ?= 500x
TESTSEEDS ?= 200
# what the race detector watches: the packages with goroutines
RACE      ?= ./actors/... ./partition/... ./cluster/... ./group/... ./transport/... ./cmd/...

# requests of `make hostile`
HOSTILE   ?= 1000000

# what `make suites` runs, and where it writes score.md and score.json
SUITES    ?= java,java-apps,franz-go,franz-go-chaos,kcat,librdkafka,librdkafka-idempotent,librdkafka-consumer,librdkafka-noautocreate,librdkafka-sockem,readers,answers
OUT       ?= bin/suites

.PHONY: help dist-one build run test unit race fuzz tidy sim bench hostile suites quick dist clean bin/troupe

help:  ## list the verbs
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-6s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: bin/troupe  ## bin/troupe and bin/simulate
	$(BUILD) -o bin/simulate ./cmd/simulate

bin/troupe:
	$(BUILD) -o bin/troupe ./cmd/troupe

dist:  ## dist/: tar.gz, deb and rpm for Linux on ARCHES, with SHA256SUMS; the same bytes from the same commit
	rm -rf dist && mkdir -p dist
	for arch in $(ARCHES); do ARCH=$$arch $(MAKE) --no-print-directory dist-one || exit 1; done
	rm -rf dist/stage
	cd dist && sha256sum -- *.tar.gz *.deb *.rpm >SHA256SUMS && cat SHA256SUMS

# One architecture, in a directory whose modes, owners and times do not depend on who builds where.
NAME = troupe-$(VERSION)-linux-$(ARCH)
dist-one:
	mkdir -p dist/stage/$(NAME)
	GOOS=linux GOARCH=$(ARCH) $(BUILD) -o dist/stage/$(NAME)/troupe ./cmd/troupe
	cp LICENSE README.md CHANGELOG.md .ci/dist/server.properties .ci/dist/troupe.service dist/stage/$(NAME)/
	tar -C dist/stage --sort=name --mtime=@$(BUILT) --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX --format=gnu -cf - $(NAME) | gzip -9n >dist/$(NAME).tar.gz
	for kind in deb rpm; do \
		ARCH=$(ARCH) VERSION=$(VERSION) STAGE=dist/stage/$(NAME) SOURCE_DATE_EPOCH=$(BUILT) \
		$(NFPM) package --config .ci/dist/nfpm.yaml --packager $$kind --target dist/ || exit 1; \
	done

run: build  ## a broker on localhost:9092
	bin/troupe dev

unit:  ## unit tests
	$(GO) vet ./...
	$(GO) test ./...

race:  ## unit tests under the race detector
	$(GO) test -race $(RACE)

fuzz:  ## every fuzz target for FUZZTIME
	@grep -rEo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' actors partition cluster group transport cmd | sed 's|/[^/]*_test.go:func | |' | sort -u | \
	while read -r dir target; do \
		$(GO) test ./$$dir -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) || exit 1; \
	done

tidy:  ## the rules of the house
	$(GO) test ./simulations/tidy

sim: build  ## SEEDS simulated nodes with power failures, torn writes and I/O errors
	bin/simulate --seeds 1..$(SEEDS)

bench: build  ## the machine's limit, Apache Kafka and troupe side by side
	$(GO) run ./simulations/bench -troupe bin/troupe

hostile:  ## damaged requests of every kind to both kinds of listeners (HOSTILE=1000000)
	HOSTILE=$(HOSTILE) $(GO) test -count=1 -timeout 90m -run TestHostilePeers -v ./simulations/compat

suites: build  ## test suites of other projects, compared with the lists of what passes (SUITES=a,b OUT=dir)
	$(GO) run ./simulations/compat/suite -suite $(SUITES) -out $(OUT) -troupe bin/troupe

quick: build  ## the quick tests of those suites: kcat and franz-go
	$(GO) run ./simulations/compat/suite -quick -troupe bin/troupe

clean:
	rm -rf bin dist

test: build race fuzz  ## everything that must hold; ends with the summary of the unit tests
	bin/simulate --seeds 1..$(TESTSEEDS) --twice
	$(MAKE) --no-print-directory quick
	$(MAKE) --no-print-directory unit
