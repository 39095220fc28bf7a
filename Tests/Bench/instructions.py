#!/usr/bin/env python3
"""Counts the instructions of two fixed runs with Valgrind's callgrind, and fails when one needs 10 % more than it did.

usage: instructions.py PROBE [--update]

The counts to compare with are in instructions.json beside this script, with the compiler they are of: another compiler makes other
code, so its counts are printed and compared with nothing. Exit code 1: more than the limit; --update writes the file anew.
"""
import json, os, re, subprocess, sys, tempfile
from pathlib import Path

KNOWN = Path(__file__).with_name("instructions.json")
RUNS = ("scheduler", "write-path")
LIMIT = 1.10


def count(probe, run):
    # Swift draws a seed for its hash tables in each process.
    environment = dict(os.environ, SWIFT_DETERMINISTIC_HASHING="1")
    done = subprocess.run(
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", probe, run], env=environment, capture_output=True,
        text=True)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or not found:
        sys.exit(f"instructions: {run} ended with {done.returncode}: {done.stderr[-600:]}")
    return int(found[1])


def main():
    with tempfile.TemporaryDirectory() as folder:
        # Valgrind 3.19 cannot read the debugging information.
        probe = os.path.join(folder, "probe")
        subprocess.run(["strip", "--strip-all", "-o", probe, sys.argv[1]], check=True)
        counts = {run: count(probe, run) for run in RUNS}
    compiler = subprocess.run(["swift", "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    if "--update" in sys.argv:
        KNOWN.write_text(json.dumps(dict(compiler=compiler, **counts), indent=2) + "\n")
    known, failed = json.loads(KNOWN.read_text()), False
    for run, instructions in counts.items():
        line = dict(measure="instructions", run=run, instructions=instructions)
        if known["compiler"] == compiler:
            line.update(known=known[run], ratio=round(instructions / known[run], 3), ok=instructions <= LIMIT * known[run])
            failed = failed or not line["ok"]
        else:
            line.update(compiler=compiler, known_of=known["compiler"])
        print(json.dumps(line))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
