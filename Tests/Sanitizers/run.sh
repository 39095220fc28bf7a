#!/usr/bin/env bash
# Runs the tests with a sanitizer: run.sh thread|address. The programs that tests start (reelfs, fuse-probe) lie beside the
# test program and are built with it, so they are sanitized too. FILTER limits the tests; JOBS (1) is the build's width.
#
# Each process reports into a file of its own: a worker that is killed has reported already, and exit codes stay what tests
# expect. Any report fails the run, and so does a failed test.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."

kind=${1:-}
case $kind in
  thread) short=tsan ;;
  address) short=asan ;;
  *) printf 'usage: run.sh thread|address\n' >&2; exit 1 ;;
esac

# What measures the memory of a process would measure the sanitizer's shadow of it. And the leak sanitizer stops all threads when a
# process ends; it would wait for those that doctor leaves waiting for a mount that stands still.
skipped='MemoryTests|silentMount'
here=$PWD/Tests/Sanitizers
scratch=.build-$short
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

swift build -c debug --sanitize="$kind" --scratch-path "$scratch" --build-tests -j "${JOBS:-1}"

common="log_path=$logs/report exitcode=0"
# Tests let workers crash, in all ways; whoever crashes without being asked fails its test.
common+=" handle_segv=0 handle_sigbus=0 handle_abort=0 handle_sigill=0"
export TSAN_OPTIONS="$common halt_on_error=0 suppressions=$here/thread.txt"
export ASAN_OPTIONS="$common halt_on_error=1 detect_leaks=1 detect_stack_use_after_return=0"
export LSAN_OPTIONS="suppressions=$here/leaks.txt print_suppressions=0"
if [ "$kind" = thread ]; then
  # The toolchain's own clang: others do not know Swift's calling convention.
  "$(dirname "$(readlink -f "$(command -v swift)")")/clang" -shared -fPIC -O2 -o "$scratch/mutex.so" "$here/mutex.c" -ldl
  export LD_PRELOAD=$PWD/$scratch/mutex.so
fi
code=0
swift test -c debug --sanitize="$kind" --scratch-path "$scratch" --skip-build --disable-xctest \
  ${FILTER:+--filter "$FILTER"} --skip "$skipped" || code=$?

unset LD_PRELOAD
reports=$(find "$logs" -name 'report.*' -size +0 | wc -l)
if [ "$reports" -gt 0 ]; then
  find "$logs" -name 'report.*' -size +0 -exec cat {} + >"$scratch/reports.txt"
  printf '%s: %d processes reported; the first lines of %s:\n' "$short" "$reports" "$scratch/reports.txt" >&2
  head -n 60 "$scratch/reports.txt" >&2
  exit 1
fi
printf '%s: no report; the tests ended with %d\n' "$short" "$code"
exit "$code"
