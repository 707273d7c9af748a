# Two commands are enough: `make run` and `make test`. Both install what they miss; `make` lists the others.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run test soak bench format format-check lint build openapi openapi-check deny advisories ci clean-tools

profile := $(if $(CI),ci,default)
# Each document is PATH:NAME, where `postroom openapi NAME` prints it.
documents := openapi/postroom.yaml:unified openapi/plannr.yaml:plannr openapi/feather.yaml:feather
# The program as `build` leaves it: with the tests' dependencies, so that nothing is compiled twice.
program = $(shell cargo metadata --no-deps --format-version 1 \
	| sed -E 's/.*"target_directory":"([^"]*)".*/\1/')/debug/postroom

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sed -E 's/:.*## /\t/' | expand -t 16

run: ## build and start the gateway, with a sandbox mail server and a demo tenant
	@tests/setup.sh build
	cargo run --locked -- demo

test: build ## run all tests, on servers of their own (ARGS="NAME" for some of them)
	tests/with-servers.sh cargo nextest run --locked --profile $(profile) $(ARGS)

soak: build ## run the loops in full and write target/soak.md
	@mkdir -p target
	@printf '| loop | rounds | seed | seen |\n|---|---|---|---|\n' > target/soak.md
	POSTROOM_SOAK=$(CURDIR)/target/soak.md tests/with-servers.sh cargo nextest run --locked --profile soak $(ARGS)
	@cat target/soak.md

bench: ## measure against floors in the same run and write target/bench.md (ARGS="read" for one topic)
	@tests/setup.sh test
	@mkdir -p target
	cargo bench --locked --bench all --no-run
	@printf '| what | measured | floor | ratio | wanted | |\n|---|---|---|---|---|---|\n' > target/bench.md
	POSTROOM_BENCH=$(CURDIR)/target/bench.md tests/with-servers.sh cargo bench --locked --bench all -- $(ARGS)
	@cat target/bench.md

build:
	@tests/setup.sh test
	cargo nextest run --locked --no-run

format: ## format the code
	cargo fmt

format-check:
	@tests/setup.sh build
	cargo fmt --check

lint: ## check the code with clippy
	@tests/setup.sh build
	cargo clippy --locked --all-targets -- -D warnings

openapi: build ## write the OpenAPI documents anew
	@set -e; for document in $(documents); do \
		$(program) openapi "$${document#*:}" > "$${document%:*}"; echo "$${document%:*}"; done

openapi-check: build
	@set -e; for document in $(documents); do \
		$(program) openapi "$${document#*:}" | diff -u "$${document%:*}" - \
			|| { echo "$${document%:*} is not what the code says: run make openapi" >&2; exit 1; }; done

deny: ## check the dependencies' licences, sources and bans
	@tests/setup.sh deny
	cargo deny --locked check bans licenses sources

advisories: ## check the dependencies against the RustSec database (needs a network)
	@tests/setup.sh deny
	cargo deny --locked check advisories

ci: format-check deny lint test openapi-check ## all that a commit has to pass

clean-tools: ## remove what the tests installed in target/tooling
	rm -rf target/tooling
