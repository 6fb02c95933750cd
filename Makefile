# One word per task; continuous integration runs the same words (.ci/run).
.DEFAULT_GOAL := help
SHELL := bash
.PHONY: help demo demo-kafka test laws test-services test-api test-browser test-browser-services mutants lint score bench web ci

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 29

demo: ## build everything and play the simulated province and the recorded hour on http://127.0.0.1:8080; nothing else is needed
	@.ci/needs
	@$(MAKE) --no-print-directory web
	cargo run --release --locked -- demo

demo-kafka: ## the same through real Apache Kafka and InfluxDB 2, without Docker (the first time builds them, about 7 min)
	@.ci/needs services
	@$(MAKE) --no-print-directory web
	cargo build --release --locked
	demo/kafka

# Properties run on the same cases every time, so that a red test is this change's; `make laws` looks for new ones.
test: ## every test that needs no server and no browser
	@.ci/needs
	PROPTEST_RNG_SEED=20250715 cargo test --locked
	@$(MAKE) --no-print-directory dashboard/node_modules/.package-lock.json
	cd dashboard && npm run lint && npm test

laws: ## the property tests on new random cases, ten times as many
	@.ci/needs
	IOC_LAWS_TIMES=10 cargo test --locked --test it laws::

test-services: ## the cases on real Kafka and InfluxDB, without Docker
	@.ci/needs services
	tests/services/services up
	env $$(tests/services/services env) cargo test --locked --features services --test it services:: ; \
	  code=$$?; tests/services/services down; exit $$code

test-api: ## every route of the running program against its OpenAPI document, with well-formed and broken questions
	@.ci/needs api
	cargo build --locked
	tests/api/run

test-browser: ## operators, a local officer, every screen in headless Chromium against the demo; screenshots in dashboard/e2e/shots
	@.ci/needs browser
	@$(MAKE) --no-print-directory web
	cargo build --locked
	dashboard/e2e/run

test-browser-services: ## the main stories of test-browser on real Kafka and InfluxDB; screenshots in dashboard/e2e/shots/services
	@.ci/needs browser services
	@$(MAKE) --no-print-directory web
	cargo build --locked
	IOC_BACKEND=services dashboard/e2e/run

mutants: ## breaks the program in named ways, one by one; each must turn the test of its contract red (about 25 min)
	@.ci/needs services
	tests/services/services up
	env $$(tests/services/services env) tests/mutants/run --services ; \
	  code=$$?; tests/services/services down; exit $$code

lint: ## format, clippy, types, shell, docker-compose.yml
	@.ci/needs lint
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --all-targets --features services -- -D warnings
	@$(MAKE) --no-print-directory dashboard/node_modules/.package-lock.json
	cd dashboard && npm run lint
	tests/mutants/run --applies
	shellcheck .ci/needs .ci/run bench/score dashboard/e2e/run demo/kafka tests/api/run tests/services/services
	tests/services/services compose-check

score: ## three seeded days of the simulated province, as fast as it can; what was found is held against what is true
	@.ci/needs
	cargo build --release --locked
	bench/score

bench: ## speed and exactness against the machine's limit; writes docs/benchmarks.md
	@.ci/needs
	bench/run

web: dashboard/dist/index.html ## the page, built anew if its sources changed

# `TESTED=1`: `make test` has just passed. The page is made first, so that the program is built once with it; both back ends' desks spend
# their time waiting for alerts, so they do that side by side.
ci: lint $(if $(TESTED),,test) test-services web test-api ## lint and every test
	$(MAKE) --no-print-directory -j2 -O test-browser test-browser-services

dashboard/node_modules/.package-lock.json: dashboard/package.json dashboard/package-lock.json
	cd dashboard && npm ci --no-audit --no-fund
	@touch $@

# build.rs makes Cargo look at dist/, so a new page is built into the program.
dashboard/dist/index.html: dashboard/node_modules/.package-lock.json dashboard/index.html dashboard/vite.config.ts dashboard/tsconfig.json \
		$(shell find dashboard/src dashboard/public -type f)
	cd dashboard && npm run build
	@touch $@
