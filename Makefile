# reelfs: `make run` to see it work, `make test` to check it. `make help` lists the rest.
#
# REELFS_WARNINGS_AS_ERRORS=1 makes every warning in our own targets an error (Package.swift reads it; .ci/run sets it).
# Changing it rebuilds everything, so it is the same for all targets of one checkout.

BUILD  := .build/release
REELFS := $(BUILD)/reelfs
PREFIX := /usr/local

.DEFAULT_GOAL := help
.PHONY: help setup build run test test-conformance test-peers test-browser simulate mutations torture tsan asan bench
.PHONY: instructions growth docs install uninstall recorders deb clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

setup:  ## install the Debian packages that are missing
	@mount-scripts/setup-debian.sh

build:  ## the program, optimized: .build/release/reelfs
	swift build -c release

run: setup  ## build, mount ./Recordings, record a few seconds into it, and leave it mounted
	swift build -c release --product reelfs
	REELFS=$(REELFS) mount-scripts/demo.sh

test: setup  ## all tests: one optimized build, then its tests
	swift build -c release --build-tests
	swift test -c release --skip-build --disable-xctest

test-conformance:  ## the mount beside a plain folder: every rule, random operations, other people's programs: SHORT=1 ONLY=rename
	mount-scripts/setup-debian.sh fio stress-ng dbench git make gcc libc6-dev tar zip unzip
	swift build -c release --product reelfs
	REELFS=$(REELFS) Tests/Conformance/run.sh

test-peers: setup  ## every destination (nginx, tus servers, S3 stores, a folder) and foreign clients; what it needs comes below .build/peers
	Tests/Peers/setup.sh
	swift build -c release --product reelfs
	swift build -c release --product s3-probe
	REELFS=$(CURDIR)/$(REELFS) S3_PROBE=$(CURDIR)/$(BUILD)/s3-probe Tests/Peers/run.sh

test-browser:  ## both pages in Debian's chromium, which is installed if it is missing; pictures in .build/browser; ONLY=badges
	command -v chromium >/dev/null || mount-scripts/setup-debian.sh chromium fonts-dejavu-core fonts-noto-color-emoji
	swift build -c release --product reelfs
	REELFS=$(REELFS) python3 Tests/Browser/run.py $(ONLY)

simulate:  ## the uploader against simulated faults: SEEDS=100000, or SEED=26 TRACE=1
	swift build -c release --product simulate
	$(BUILD)/simulate

mutations:  ## plants bugs into the core one by one; the simulation must find each (half an hour)
	python3 Tests/Mutations/run.py

torture:  ## an hour of kills, dead networks and a small disk under real recorders: MINUTES=2 SEED=26
	swift build -c release --product reelfs
	REELFS=$(REELFS) python3 Tests/Torture/torture.py

tsan:  ## the tests with the thread sanitizer: FILTER='RestartTests|SpoolTests' for some of them
	Tests/Sanitizers/run.sh thread

asan:  ## the tests with the address sanitizer: FILTER as for tsan
	Tests/Sanitizers/run.sh address

bench: SHELL := bash
bench: .SHELLFLAGS := -eo pipefail -c
bench:  ## measure beside passthrough_ll and rclone, with a million chunks and with one recording of 1 TiB, into docs/PERFORMANCE.md: REPS=3 PEERS=reelfs
	swift build -c release --product reelfs
	rm -f .build/bench.jsonl
	REELFS=$(REELFS) python3 Tests/Bench/bench.py | tee -a .build/bench.jsonl
	REELFS=$(REELFS) python3 Tests/Bench/backlog.py | tee -a .build/bench.jsonl
	REELFS=$(REELFS) python3 Tests/Bench/growth.py | tee -a .build/bench.jsonl
	python3 Tests/Bench/limits.py | tee -a .build/bench.jsonl
	python3 Tests/Bench/table.py .build/bench.jsonl docs/PERFORMANCE.md

instructions:  ## count the instructions of two fixed runs; fails when one needs 10 % more: UPDATE=--update
	mount-scripts/setup-debian.sh valgrind binutils
	swift build -c release --product instruction-probe
	python3 Tests/Bench/instructions.py $(BUILD)/instruction-probe $(UPDATE)

growth:  ## fails when a chunk costs more at the end of a long recording: LENGTHS=1024,1048576 (in chunks)
	swift build -c release --product reelfs
	REELFS=$(REELFS) python3 Tests/Bench/growth.py

docs:  ## draw docs/CONFIGURATION.md from the program's help
	mount-scripts/pages.py configuration $(REELFS) >docs/CONFIGURATION.md

install:  ## what was built, with pages, completions, units and mount helper: PREFIX=/usr/local DESTDIR=
	REELFS=$(REELFS) PREFIX=$(PREFIX) DESTDIR=$(DESTDIR) mount-scripts/install.sh

uninstall:  ## remove what install installed; recordings and state stay
	PREFIX=$(PREFIX) DESTDIR=$(DESTDIR) mount-scripts/install.sh --remove

recorders:  ## measure docs/RECORDERS.md again with the recorders that are here, and fail where it says otherwise
	REELFS=$(REELFS) Tests/Recorders/measure.py --check docs/RECORDERS.md

deb:  ## a Debian package for machines without Swift, in .build-deb
	mount-scripts/make-deb.sh

clean:  ## remove what was built; recordings and state stay
	rm -rf .build .build-tsan .build-asan .build-deb
