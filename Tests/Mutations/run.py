#!/usr/bin/env python3
"""Plants one bug after the other into a copy of the core, and demands that the simulation finds each.

usage: run.py [--seeds N] [--only NAME] [--build-dir DIR]

Exit code 0: every bug was caught. 1: one survived, or a replacement does not match the sources any more.
A bug that changes no outcome but makes two runs of one seed differ is caught by comparing traces of two processes.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGETS = ["UploadProtocol", "UploadCore", "UploadSimulator", "simulate"]
CORE = "Sources/UploadCore/"
# Compiling dominates: a bug is found within some hundred seeds.
CONFIGURATION = "debug"

# name, file below Sources/UploadCore, old text (exactly once), new text
MUTATIONS = [
    ("a sealed chunk in flight is not marked stale", "UploadScheduler+Spool.swift",
     "      transfers[place].isStale = true\n      transfers[place].isSealedAgain = true\n",
     ""),
    ("version check dropped: an overtaken receipt counts", "UploadScheduler+Outcomes.swift",
     "    guard !transfer.isStale else { return putBack(transfer) }\n    effects.append(.record(.stored",
     "    effects.append(.record(.stored"),
    ("synced before the receipt", "UploadScheduler+Starting.swift",
     "    case .completion: converse(session, .complete(session))",
     "    case .completion:\n      converse(session, .complete(session))\n      sessions[session]?.isSynced = true"),
    ("lease removed instead of leased", "UploadScheduler+Starting.swift",
     "    sessions[chunk.session]?.pending.insert(chunk.index)\n", "    _ = chunk\n"),
    ("sort removed", "UploadScheduler+Control.swift",
     "sessions.keys.sorted()", "Array(sessions.keys)"),
    ("backoff reset lost", "UploadScheduler+Failures.swift",
     "    sessions[session]?.failures = 0\n", ""),
    ("a resting session is not left alone", "SessionEntry.swift",
     "guard failure == nil, !isHeld, notBefore == nil else", "guard failure == nil, !isHeld else"),
    ("probe herd", "UploadScheduler+Connection.swift",
     "guard connection.probe == nil, !isPausedByUser else { return }\n    switch",
     "guard !isPausedByUser else { return }\n    switch"),
    ("requests go on while offline", "UploadScheduler.swift",
     "var maySend: Bool { !isPausedByUser && connection.state == .online }",
     "var maySend: Bool { !isPausedByUser }"),
    ("no ramp after an outage", "UploadScheduler+Connection.swift",
     "    connection.window = 1\n    connection.nextProbe = nil", "    connection.nextProbe = nil"),
    ("no next probe while offline", "UploadScheduler+Connection.swift",
     "    connection.nextProbe = now + max(policy.connectionCheckInterval, min(after ?? .zero, policy.retryAfterMax))\n",
     "    _ = after\n"),
    ("limit ignored", "UploadScheduler+Starting.swift",
     "      limiter.charge(bytes: charged, at: now)\n", ""),
    ("Retry-After ignored", "UploadScheduler+Connection.swift",
     "    if let after { wait(after) }\n", "    _ = after\n"),
    ("more in flight than allowed", "UploadScheduler+Failures.swift",
     "min(policy.parallel, connection.window * 2)", "connection.window * 2"),
    ("a changed chunk is sent twice at once", "UploadScheduler+Spool.swift",
     "    if let place = lease(of: chunk) {\n      transfers[place].isStale = true\n      transfers[place].isSealedAgain = true\n    } else {\n      sessions[chunk.session]?.pending.insert(chunk.index)\n    }",
     "    sessions[chunk.session]?.pending.insert(chunk.index)"),
    ("complete without checking what changed", "UploadScheduler+Outcomes.swift",
     "guard let entry = sessions[session], !entry.isChanged, !entry.isRenamed else { return }",
     "guard sessions[session] != nil else { return }"),
    ("an announcement of an old name counts", "UploadScheduler+Outcomes.swift",
     "    guard sessions[session]?.isRenamed == false else { return }\n    guard facts == sessions[session]?.facts else {",
     "    guard sessions[session] != nil else {"),
    ("missing chunks are not sent again", "UploadScheduler+Outcomes.swift",
     "      sessions[session]?.pending.insert(index)\n", ""),
    ("a session that is unknown stays announced", "UploadScheduler+Outcomes.swift",
     "      sessions[session]?.isAnnounced = false\n", ""),
    ("superseded is not journaled", "UploadScheduler+Outcomes.swift",
     "    effects.append(.record(.superseded(chunk, current: current)))\n", ""),
    ("stalled attempts are left hanging", "UploadScheduler.swift", "    cancelStalled()\n", ""),
    ("journal after send", "UploadLoop.swift",
     "      guard record(now), !unstarted.isEmpty else { return }\n", "      guard !unstarted.isEmpty else { break }\n"),
    ("facts are dropped when the journal fails", "UploadLoop.swift",
     "      journalError = error.message\n", "      journalError = error.message\n      unrecorded = []\n"),
    ("a failed session is never forgiven", "UploadScheduler+Spool.swift",
     "    sessions[session]?.failure = nil\n", ""),
    ("a reopened recording stays synced", "SessionEntry.swift", "    isSynced = false\n", ""),
    ("a write into a sealed chunk does not reopen it", "ChunkTracker.swift",
     "      reopened.append(index)\n", ""),
    ("a delayed session never wakes", "UploadScheduler+Failures.swift",
     "    delays.insert(DelayTicket(moment: moment, session: session))\n", ""),
]

PACKAGE = """// swift-tools-version: 6.2
import PackageDescription
let common: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"), .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
]
let package = Package(
  name: "mutated",
  dependencies: [.package(url: "https://github.com/apple/swift-collections", from: "1.6.0")],
  targets: [
    .executableTarget(name: "simulate", dependencies: ["UploadSimulator"], swiftSettings: common),
    .target(name: "UploadSimulator", dependencies: ["UploadCore", "UploadProtocol"], swiftSettings: common),
    .target(name: "UploadCore", dependencies: ["UploadProtocol",
      .product(name: "HeapModule", package: "swift-collections")], swiftSettings: common),
    .target(name: "UploadProtocol", swiftSettings: common),
  ],
  swiftLanguageModes: [.v6])
"""


def copy_sources(work):
    """Writes the targets as they are into `work`; only files that differ, so that builds stay incremental."""
    work.mkdir(parents=True, exist_ok=True)
    write(work / "Package.swift", PACKAGE)
    resolved = ROOT / "Package.resolved"
    if resolved.exists() and not (work / "Package.resolved").exists():
        shutil.copy(resolved, work / "Package.resolved")
    for target in TARGETS:
        for source in sorted((ROOT / "Sources" / target).glob("*.swift")):
            write(work / "Sources" / target / source.name, source.read_text())


def write(path, text):
    if path.exists() and path.read_text() == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def build(work):
    command = ["swift", "build", "-c", CONFIGURATION, "--package-path", str(work), "--product", "simulate"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit("a mutated core does not compile:\n" + done.stdout[-3000:] + done.stderr[-3000:])


def simulate(work, seeds):
    """Returns (caught, what): the closing line of the run."""
    environment = dict(os.environ, SEEDS=str(seeds))
    for name in ("SEED", "TRACE", "FIRST"):
        environment.pop(name, None)
    try:
        done = subprocess.run(
            [str(work / ".build" / CONFIGURATION / "simulate")], env=environment, capture_output=True, text=True, timeout=600)
    except subprocess.TimeoutExpired:
        return True, "a seed that does not end within 600 s"
    lines = done.stdout.strip().splitlines()
    last = lines[-1] if lines else ""
    if done.returncode == 0:
        return False, last
    found = re.search(r"seed=(\d+) .* FAILED (.*)", last)
    if found:
        return True, f"seed {found.group(1)} ({found.group(2)})"
    return True, f"exit code {done.returncode}: a precondition of the core"


def try_mutation(work, mutation, seeds):
    name, file, old, new = mutation
    path = work / CORE / file
    original = path.read_text()
    if original.count(old) != 1:
        return False, f"the text to replace is there {original.count(old)} times in {file}"
    path.write_text(original.replace(old, new))
    try:
        build(work)
        caught, what = simulate(work, seeds)
        if not caught:
            # An order that differs shows at once; a thousand seeds are plenty.
            _, what = simulate(work, min(seeds, 1000))
            _, again = simulate(work, min(seeds, 1000))
            if again != what:
                return True, "two runs of the same seeds (trace digests differ)"
        return caught, what
    finally:
        path.write_text(original)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8000, help="seeds tried for each bug (default 8000)")
    parser.add_argument("--only", default="", help="only bugs whose name contains this")
    parser.add_argument("--build-dir", default="", help="kept between runs; default: a temporary folder")
    arguments = parser.parse_args()
    chosen = [mutation for mutation in MUTATIONS if arguments.only in mutation[0]]
    if not chosen:
        parser.error(f"no bug is called like {arguments.only!r}")
    work = pathlib.Path(arguments.build_dir or tempfile.mkdtemp(prefix="mutations-"))
    survivors = 0
    try:
        copy_sources(work)
        for mutation in chosen:
            caught, what = try_mutation(work, mutation, arguments.seeds)
            survivors += not caught
            print(f"{mutation[0]}: " + (f"caught at {what}" if caught else f"SURVIVED: {what}"), flush=True)
        print(f"{len(chosen) - survivors} of {len(chosen)} planted bugs caught")
    finally:
        if not arguments.build_dir:
            shutil.rmtree(work, ignore_errors=True)
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
