# psirtd: build, test, try. `make` alone lists the targets.

.DEFAULT_GOAL := help
.PHONY: demo test crash load fanout check bench fuzz clean help rust

# rustup puts cargo here; a shell opened before the installation does not know it yet.
export PATH := $(PATH):$(HOME)/.cargo/bin

# cargo obeys CARGO_TARGET_DIR, so the demo must look for its program there too.
target := $(or $(CARGO_TARGET_DIR),target)

demo: rust ## Build psirtd and show it at work, without a mailbox or a configuration
	@.ci/packages build
	cargo build --locked
	$(target)/debug/psirtd demo

test: rust ## Run all tests, against a private Dovecot and Postfix (uses sudo when you are not root)

# The test that `make test` runs in a short form; PSIRTD_CRASH_SEED lets chance fall as it did once.
CRASH_KILLS ?= 1000
crash: rust ## Kill psirtd CRASH_KILLS (1000) times while mail arrives, and compare the books afterwards
crash: export PSIRTD_CRASH_KILLS := $(CRASH_KILLS)
crash: TESTS := --test psirtd -- crash:: --nocapture

# The tests start a private Postfix, which only root can do. When you are not root, cargo builds as
# you and runs the test programs through sudo; -E keeps the variables cargo sets for them. The one
# that names sudo is dropped (env -u), or the tests would use it for each psirtd they start as well.
# What they leave behind as root is given back to you, or the next build could not replace it.
test crash:
	@.ci/packages test
	@if [ "$$(id -u)" -eq 0 ]; then \
	    set -x; cargo test --locked $(TESTS); \
	else \
	    runner=CARGO_TARGET_$$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')_RUNNER; \
	    status=0; \
	    (set -x; env "$$runner=sudo -E env -u $$runner" cargo test --locked $(TESTS)) || status=$$?; \
	    sudo find . "$(target)" -xdev -user root -exec chown -h "$$(id -u):$$(id -g)" {} +; \
	    exit $$status; \
	fi

# The program is built for speed, the test around it is not: only the program is measured.
LOAD_MAILS ?= 10000
load: rust ## Let a backlog of LOAD_MAILS (10000) mails drain, and print what it costs (as make test)
	@.ci/packages build
	cargo build --locked --release
	@PSIRTD_PROGRAM="$(abspath $(target))/release/psirtd" PSIRTD_LOAD_MAILS=$(LOAD_MAILS) \
	    $(MAKE) --no-print-directory test TESTS="--test psirtd load::a_backlog -- --nocapture"

# As for the load: the program is built for speed.
FANOUT_MEMBERS ?= 1000
fanout: rust ## Send a notice to FANOUT_MEMBERS (1000) members, killed ten times on the way, and print what it costs
	@.ci/packages build
	cargo build --locked --release
	@PSIRTD_PROGRAM="$(abspath $(target))/release/psirtd" PSIRTD_FANOUT_MEMBERS=$(FANOUT_MEMBERS) \
	    $(MAKE) --no-print-directory test TESTS="--test psirtd fanout:: -- --nocapture"

check: rust ## Formatting, lints and documentation, with every warning an error
	@.ci/packages build
	cargo fmt --check
	cargo clippy --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked --document-private-items

bench: rust ## Run the benchmarks
	@.ci/packages build
	cargo bench --locked

# What a run learns is kept in fuzz/corpus, what breaks psirtd in fuzz/artifacts; to see it again:
# `cargo fuzz run --sanitizer none open FILE`. FUZZ_MAILS may name a folder of more mails to begin
# with. The stack is as small as that of the threads that open mails. There is no sanitizer, for
# psirtd has no unsafe code, and so the stable compiler will do. No backtrace for every error, only
# for panics: Sequoia makes thousands of errors out of a damaged mail.
FUZZ_SECONDS ?= 600
fuzzed := open header armor sealed said
fuzz: rust ## Look for mails that break psirtd, FUZZ_SECONDS (600) for each of five targets
	@.ci/packages build
	@cargo fuzz --version >/dev/null 2>&1 || \
	    { echo "psirtd: installing cargo-fuzz" >&2; cargo install --locked cargo-fuzz; }
	cargo fuzz build --sanitizer none
	@mkdir -p $(fuzzed:%=fuzz/corpus/%)
	@ulimit -s 2048; for target in $(fuzzed); do \
	    (set -x; RUST_LIB_BACKTRACE=0 cargo fuzz run --sanitizer none $$target \
	        fuzz/corpus/$$target fuzz/seeds/$$target $(FUZZ_MAILS) -- -dict=fuzz/mail.dict \
	        -max_total_time=$(FUZZ_SECONDS) -max_len=65536 -timeout=10 -rss_limit_mb=1024) || exit; \
	done

clean: rust ## Remove everything that was built
	cargo clean
	cargo clean --manifest-path fuzz/Cargo.toml

help: ## This list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1	\2/p' Makefile | expand -t 16

# Rust comes from rustup, not from apt: the distributions' compilers are too old for Cargo.toml.
rust:
	@command -v cargo >/dev/null || { echo "psirtd: Rust is missing; install rustup from https://rustup.rs and run make again" >&2; exit 1; }
