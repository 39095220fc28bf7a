#!/usr/bin/env python3
"""Plants one bug after the other into a copy of the core, and demands that the simulation finds each.

usage: run.py [--seeds N] [--only TEXT] [--build-dir DIR] [--list]

Only four targets are copied and built, in a package of their own: nothing of this checkout's build is touched. The copy is
kept, so that a second run compiles little. Exit code 0: every bug was caught, and without a bug all seeds pass. 1: one
survived, or its text is not in the sources any more, or it does not compile.

A bug that changes no outcome but makes two runs of one seed differ is caught by comparing traces of two processes.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGETS = ["UploadProtocol", "UploadCore", "UploadSimulator", "simulate"]
# Optimized: forty thousand seeds take twenty seconds of one core then, and a bug that hides well is found by them.
CONFIGURATION = "release"
# An endless loop within one seed shows by this; the slowest bug that ends needs a tenth.
SECONDS_MAX = 240

# name, file below Sources, old text (exactly once), new text
MUTATIONS = [
    ("a sealed chunk in flight is not marked stale", "UploadCore/UploadScheduler+Spool.swift",
     "      transfers[place].stale.insert(chunk.index)\n      transfers[place].sealedAgain.insert(chunk.index)\n",
     ""),
    ("version check dropped: an overtaken receipt counts", "UploadCore/UploadScheduler+Outcomes.swift",
     "    guard !transfer.isStale else { return putBack(transfer) }\n    effects.append(.record(.stored",
     "    effects.append(.record(.stored"),
    ("synced before the receipt", "UploadCore/UploadScheduler+Starting.swift",
     "    case .completion: converse(session, .complete(session))",
     "    case .completion:\n      converse(session, .complete(session))\n      sessions[session]?.isSynced = true"),
    ("lease removed instead of leased", "UploadCore/UploadScheduler+Starting.swift",
     "      sessions[session]?.putBack(transfer.request.chunks)\n      return\n", "      return\n"),
    ("sort removed", "UploadCore/UploadScheduler+Control.swift",
     "sessions.keys.sorted()", "Array(sessions.keys)"),
    ("backoff reset lost", "UploadCore/UploadScheduler+Failures.swift",
     "    sessions[session]?.failures = 0\n", ""),
    ("a resting session is not left alone", "UploadCore/SessionEntry.swift",
     "{ failure == nil && !isHeld && notBefore == nil }", "{ failure == nil && !isHeld }"),
    ("probe herd", "UploadCore/UploadScheduler+Connection.swift",
     "guard connection.probe == nil, !isPaused, rounds.isOpen else { return }\n    switch",
     "guard !isPaused, rounds.isOpen else { return }\n    switch"),
    ("requests go on while offline", "UploadCore/UploadScheduler.swift",
     "var maySend: Bool { !isPaused && rounds.isOpen && connection.state == .online }",
     "var maySend: Bool { !isPaused && rounds.isOpen }"),
    ("no ramp after an outage", "UploadCore/UploadScheduler+Connection.swift",
     "    connection.window.restart(isBack: isBack)\n    connection.nextProbe = nil", "    _ = isBack\n    connection.nextProbe = nil"),
    ("no next probe while offline", "UploadCore/UploadScheduler+Connection.swift",
     "    connection.nextProbe = now + max(RetryDelay.probe(policy: policy, using: &generator), asked)\n",
     "    _ = asked\n"),
    ("limit ignored", "UploadCore/UploadScheduler+Starting.swift",
     "      limiter.charge(bytes: charged, at: now)\n", ""),
    ("Retry-After ignored", "UploadCore/UploadScheduler+Connection.swift",
     "    if let after { wait(RetryDelay.afterAsked(after, policy: policy, using: &generator)) }\n", "    _ = after\n"),
    ("more in flight than allowed", "UploadCore/TransferWindow.swift",
     "let limit = min(parallel, slowLink?.limit ?? parallel)", "let limit = slowLink?.limit ?? Int.max"),
    ("a refusal's room is never given up", "UploadCore/RequestSpacing.swift",
     "    if isNone { forget() } else { room = new }\n", "    _ = isNone\n    room = room.map { $0 + $0 }\n"),
    ("a chunk that was given up early is given up as early again", "UploadCore/UploadScheduler+Starting.swift",
     "      transfer.wasGivenUp = silences.wasGivenUp(request.chunks, of: session)\n", ""),
    ("whoever was given up is forgotten when another chunk is stored", "UploadCore/StallTimeout.swift",
     "      current.givenUp.remove(chunk)\n", "      current.givenUp = []\n"),
    ("a changed chunk is sent twice at once", "UploadCore/UploadScheduler+Spool.swift",
     "sealed(chunk.index, isOnItsWay: place != nil)", "sealed(chunk.index, isOnItsWay: false)"),
    ("complete without checking what changed", "UploadCore/UploadScheduler+Outcomes.swift",
     "guard let entry = sessions[session], !entry.isChanged, !entry.isRenamed else { return }",
     "guard sessions[session] != nil else { return }"),
    ("an announcement of an old name counts", "UploadCore/UploadScheduler+Outcomes.swift",
     "    guard sessions[session]?.isRenamed == false else { return }\n    guard facts == sessions[session]?.facts else {",
     "    guard sessions[session] != nil else {"),
    ("missing chunks are not sent again", "UploadCore/UploadScheduler+Outcomes.swift",
     "      sessions[session]?.putBack(index..<index + 1)\n", ""),
    ("a session that is unknown stays announced", "UploadCore/UploadScheduler+Outcomes.swift",
     "      sessions[session]?.isAnnounced = false\n", ""),
    ("superseded is not journaled", "UploadCore/UploadScheduler+Outcomes.swift",
     "    effects.append(.record(.superseded(chunk, current: current)))\n", ""),
    ("stalled attempts are left hanging", "UploadCore/UploadScheduler.swift", "    cancelStalled()\n", ""),
    ("journal after send", "UploadCore/UploadLoop.swift",
     "      guard record(now), !unstarted.isEmpty else { return }\n", "      guard !unstarted.isEmpty else { break }\n"),
    ("facts are dropped when the journal fails", "UploadCore/UploadLoop.swift",
     "      journalError = error.message\n", "      journalError = error.message\n      unrecorded = []\n"),
    ("a failed session is never forgiven", "UploadCore/UploadScheduler+Spool.swift",
     "    sessions[session]?.failure = nil\n", ""),
    ("a reopened recording stays synced", "UploadCore/SessionEntry.swift", "    isSynced = false\n", ""),
    ("a write into a sealed chunk does not reopen it", "UploadCore/ChunkTracker.swift",
     "      reopened.append(index)\n", ""),
    ("a delayed session never wakes", "UploadCore/UploadScheduler+Failures.swift",
     "    delays.insert(DelayTicket(moment: moment, session: session))\n", ""),
    ("a chunk that changed and is sealed again is forgotten", "UploadCore/UploadScheduler+Outcomes.swift",
     "guard !transfer.isStale else { return putBack(transfer) }", "guard !transfer.isStale else { return }"),
    ("lost chunks stay stored in the journal", "UploadCore/UploadScheduler+Outcomes.swift",
     "      effects.append(.record(.unstored(ChunkID(session, index))))\n", ""),
    ("a truncation is not recorded once more", "UploadCore/UploadScheduler+Spool.swift",
     "    effects.append(.record(.dropped(session, from: chunkCount, base: base)))\n", ""),
    ("a removed session stays in the queue", "UploadCore/UploadScheduler+Spool.swift", "    queue.forget(session)\n", ""),
    ("a version beyond all numbers is believed", "UploadCore/UploadScheduler+Outcomes.swift",
     ".superseded(let current)) where current <= Self.versionMax:", ".superseded(let current)):"),
    ("held back, and started although nothing may", "UploadCore/UploadScheduler+Starting.swift",
     "return maySend && entries.allSatisfy", "return entries.allSatisfy"),
    ("held back, and started although its session may not", "UploadCore/UploadScheduler+Starting.swift",
     "return maySend && entries.allSatisfy(\\.mayWork) &&", "return maySend &&"),
    ("held back, and completed although it went on", "UploadCore/UploadScheduler+Starting.swift",
     "case .complete where entries.contains { $0.isRenamed || $0.isChanged }: return false",
     "case .complete where entries.contains { $0.isRenamed }: return false"),
    ("a failing journal is tried without a pause", "UploadCore/UploadLoop.swift",
     "journalRetry = now + Self.journalPause", "journalRetry = now"),
    ("an append asks the journal", "UploadCore/ChunkTracker.swift",
     "    } else if touched[index] == nil {\n", "    } else if touched[index] == nil {\n      reopened.append(index)\n"),
    ("dropped chunks come back with old versions", "UploadCore/ChunkTracker.swift", "    baseVersion = base\n  }", "  }"),
    ("a blocked destination is never looked at again", "UploadCore/UploadScheduler+Connection.swift",
     "    connection.nextProbe = now + min(policy.retryMax, policy.blockedCheckInterval)\n", ""),
    # Destinations that take runs of chunks.
    ("a part is sent while it is on its way", "UploadCore/RunPlanner.swift",
     "sealed.contains(run) && !leased.intersects(run)", "sealed.contains(run)"),
    ("two appends to one upload at once", "UploadCore/RunPlanner.swift",
     "guard mayStart, leased.isEmpty, let run", "guard mayStart, let run"),
    ("a recording that has grown past a part does not free it", "UploadCore/RunPlanner.swift",
     "    if end > oldEnd { judge(max(0, oldEnd - 1)..<oldEnd, pending) }\n", "    _ = oldEnd\n"),
    ("a run stays leased when it has ended", "UploadCore/RunPlanner.swift",
     "    for index in run { leased.remove(index) }\n", ""),
    ("the head waits for a run of its own", "UploadCore/RunPlanner.swift",
     "    if case .appended(let head, _, _) = geometry { head } else { 0 }\n", "    0\n"),
    ("a part whose run failed is not ready again", "UploadCore/SessionEntry.swift",
     "    pending.insert(chunks)\n    planner?.changed(chunks, pending)\n", "    pending.insert(chunks)\n"),
    ("parts beyond the end of a recording that was cut", "UploadCore/RunPlanner.swift",
     "    sealed.removeAll(from: count)\n", ""),
    ("a new process does not know what is sealed", "UploadCore/RunPlanner.swift",
     "    self.sealed = PendingRanges(sealed)\n", ""),
    ("what was rolled back is not sent again", "UploadCore/UploadScheduler+Runs.swift",
     "      pending.insert(run.clamped(to: index..<max(index, run.upperBound)))\n", ""),
    ("what the destination told is forgotten", "UploadCore/UploadScheduler+Runs.swift",
     "    for fact in facts { effects.append(.record(.remote(session, fact))) }\n", ""),
    ("chunks that travelled with the completion still wait", "UploadCore/UploadScheduler+Runs.swift",
     "      for chunk in chunks { sessions[session]?.stored(chunk.index) }\n", ""),
    ("what was begun under another name is completed for ever", "UploadCore/UploadScheduler+Outcomes.swift",
     "    sessions[session]?.mustBeAnnounced = transfer.request == .complete(session)\n", ""),
    ("a small recording of which parts were begun is completed for ever", "UploadCore/UploadScheduler+Outcomes.swift",
     "    sessions[session]?.mustBeAnnounced = !entry.isAnnounced\n", ""),
    ("a discovered geometry is adopted in the order of hashing", "UploadCore/UploadScheduler+Runs.swift",
     "for session in sessions.keys.sorted() {", "for session in sessions.keys {"),
    # Small recordings that travel whole.
    ("small: a receipt for what has changed since counts", "UploadCore/UploadScheduler+Recordings.swift",
     "    guard let entry = sessions[session], !entry.isChanged else { return }\n",
     "    guard let entry = sessions[session] else { return }\n"),
    ("small: synced under the name that it had when it was sent", "UploadCore/UploadScheduler+Recordings.swift",
     "    guard !entry.isRenamed, recording.facts == entry.facts else { return }\n", "    _ = entry\n"),
    ("small: one that was refused is sent whole again and again", "UploadCore/UploadScheduler+Recordings.swift",
     "      sessions[session]?.isFresh = false\n      sessions[session]?.wholeAttempts += 1\n", ""),
    ("small: sent again while it is on its way", "UploadCore/UploadScheduler+Recordings.swift",
     "      sessions[session]?.conversation = id\n", ""),
    ("small: its request ends, and it waits for it for ever", "UploadCore/UploadScheduler+Starting.swift",
     "      for session in batch where sessions[session]?.conversation == id { sessions[session]?.conversation = nil }\n",
     "      _ = batch\n"),
    ("small: the receiver takes a session whole that it knows", "UploadSimulator/SimulatedReceiver.swift",
     "    if let held, !held.chunks.isEmpty || held.recording != nil {\n", "    if let held, held.path == [] {\n"),
    # The spool and the receiver of the simulated world: can the checker see what the real ones must not do?
    ("eviction before confirmation", "UploadSimulator/SimulatedWorld+Eviction.swift",
     "guard rows[index]?.state == .stored, file", "guard rows[index]?.state == .stored || rows[index]?.state == .sealed, file"),
    ("eviction before the journal is durable", "UploadSimulator/SimulatedWorld+Eviction.swift",
     "    journal.commit(.evict(session, candidates), at: now)\n    journal.sync()\n",
     "    journal.commit(.evict(session, candidates), at: now)\n"),
    ("eviction before the file's size is durable", "UploadSimulator/SimulatedWorld+Eviction.swift",
     "    file.sync()\n    journal.commit(.evict", "    journal.commit(.evict"),
    ("fetched bytes count before they are synced", "UploadSimulator/SimulatedWorld+Eviction.swift",
     "    file.sync()\n    journal.commit(.hydrate", "    journal.commit(.hydrate"),
    ("fetched bytes change before the journal is durable", "UploadSimulator/SimulatedWorld+Eviction.swift",
     "    journal.commit(.hydrate(chunk), at: now)\n    journal.sync()\n", "    journal.commit(.hydrate(chunk), at: now)\n"),
    ("evicted chunks are dropped, but not durably", "UploadSimulator/SimulatedWorld+Recorders.swift",
     "    if wereElsewhere { journal.sync() }\n", ""),
    ("evicted bytes are read as the hole they left", "UploadSimulator/SimulatedWorld+Eviction.swift",
     "    guard file.holes.contains(index) else { return checker.read(ChunkID(session, index), file) }\n",
     "    return checker.read(ChunkID(session, index), file)\n"),
    ("a power cut is followed by trust in the journal", "UploadSimulator/SimulatedWorld+Spool.swift",
     "      checkDigests(of: file)\n", ""),
    ("recovery trusts the length at which a chunk was sealed", "UploadSimulator/SimulatedWorld+Spool.swift",
     "    reopenCutOff(file)\n", ""),
    ("an append goes on with other bytes after a power cut", "UploadSimulator/SimulatedWorld+Spool.swift",
     "      if destination.kind != .chunks { journal.commit(.distrust(session), at: now) }\n", ""),
    ("an object that is newer than the journal is forgotten", "UploadSimulator/StoreClient.swift",
     "memory.forgotten + [StoreMemory.fact(known)]", "memory.forgotten + [RemoteFact(StoreMemory.Name.object, nil)]"),
    ("a recording that was cut is declared for ever", "UploadSimulator/TusClient+Completing.swift",
     "      if case .refused(.wrongOffset) = answer { return whyNotDeclared(url, answer) }\n", ""),
    ("a head that is to be joined is taken for the whole", "UploadSimulator/TusClient+Completing.swift",
     "isPartial ? upload.head : upload.whole, head", "upload.head ?? upload.whole, head"),
    ("the receiver answers and never syncs", "UploadSimulator/SimulatedWorld+Network.swift", "    receiver.sync()\n", ""),
]

COLLECTIONS = ROOT / ".build" / "checkouts" / "swift-collections"

PACKAGE = """// swift-tools-version: 6.2
import PackageDescription
let common: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"), .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
]
let package = Package(
  name: "mutated",
  dependencies: [DEPENDENCY],
  targets: [
    .executableTarget(name: "simulate", dependencies: ["UploadSimulator"], swiftSettings: common),
    .target(name: "UploadSimulator", dependencies: ["UploadCore", "UploadProtocol"], swiftSettings: common),
    .target(name: "UploadCore", dependencies: ["UploadProtocol",
      .product(name: "HeapModule", package: "swift-collections")], swiftSettings: common),
    .target(name: "UploadProtocol", swiftSettings: common),
  ],
  swiftLanguageModes: [.v6])
"""


class DoesNotCompile(Exception):
    pass


def copy_sources(work):
    """Writes the targets as they are into `work`; only files that differ, so that builds stay incremental."""
    # Sources that were fetched already need no network.
    dependency = f'.package(path: "{COLLECTIONS}")' if COLLECTIONS.is_dir() else \
        '.package(url: "https://github.com/apple/swift-collections", from: "1.6.0")'
    write(work / "Package.swift", PACKAGE.replace("DEPENDENCY", dependency))
    for target in TARGETS:
        names = set()
        for source in sorted((ROOT / "Sources" / target).glob("*.swift")):
            write(work / "Sources" / target / source.name, source.read_text())
            names.add(source.name)
        for stale in (work / "Sources" / target).glob("*.swift"):
            if stale.name not in names:
                stale.unlink()


def write(path, text):
    if path.exists() and path.read_text() == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def build(work):
    command = ["swift", "build", "-c", CONFIGURATION, "--package-path", str(work), "--product", "simulate"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        errors = [line for line in (done.stdout + done.stderr).splitlines() if "error:" in line]
        raise DoesNotCompile("; ".join(errors[:3]) or "swift build failed")


def run_seeds(work, seeds):
    """Returns (exit code, last line); None instead of the code when it does not end."""
    environment = dict(os.environ, SEEDS=str(seeds), SWIFT_BACKTRACE="enable=no")
    for name in ("SEED", "TRACE", "FIRST", "JOBS"):
        environment.pop(name, None)
    try:
        done = subprocess.run(
            [str(work / ".build" / CONFIGURATION / "simulate")], env=environment, capture_output=True, text=True,
            timeout=SECONDS_MAX)
    except subprocess.TimeoutExpired:
        return None, ""
    lines = done.stdout.strip().splitlines()
    return done.returncode, lines[-1] if lines else ""


def simulate(work, seeds):
    """Returns (caught, what)."""
    code, last = run_seeds(work, seeds)
    if code is None:
        return True, f"a seed that does not end within {SECONDS_MAX} s"
    if code == 0:
        return differs(work, min(seeds, 10_000))
    found = re.search(r"seed=(\d+) .* FAILED (.*)", last)
    if found:
        return True, f"seed {found.group(1)}: {found.group(2)}"
    return True, f"seed {first_crash(work, seeds)}: a precondition of the core"


def first_crash(work, seeds):
    """The lowest seed that ends the process: the first n seeds crash exactly if it is among them."""
    low, high = 1, seeds
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if run_seeds(work, middle)[0] != 0 else (middle + 1, high)
    return low - 1


def differs(work, seeds):
    """An order that depends on the process shows at once."""
    lines = {run_seeds(work, seeds)[1] for _ in range(3)}
    if len(lines) == 1:
        return False, lines.pop()
    return True, f"seeds below {seeds}: the traces of two processes differ"


def try_mutation(work, mutation, seeds):
    _, file, old, new = mutation
    path = work / "Sources" / file
    original = path.read_text()
    if original.count(old) != 1:
        return False, f"its text is there {original.count(old)} times in {file}"
    path.write_text(original.replace(old, new))
    try:
        build(work)
        return simulate(work, seeds)
    except DoesNotCompile as error:
        return False, f"does not compile: {error}"
    finally:
        path.write_text(original)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=40000, help="seeds tried for each bug (default 40000)")
    parser.add_argument("--only", default="", help="only bugs whose name or file contains this")
    parser.add_argument("--build-dir", default=str(ROOT / ".build" / "mutations"), help="default: .build/mutations")
    parser.add_argument("--list", action="store_true", help="names the bugs and ends")
    arguments = parser.parse_args()
    chosen = [m for m in MUTATIONS if arguments.only in m[0] or arguments.only in m[1]]
    if not chosen:
        parser.error(f"no bug is called like {arguments.only!r}")
    if arguments.list:
        print("\n".join(f"{m[0]} ({m[1]})" for m in chosen))
        return 0
    work = pathlib.Path(arguments.build_dir)
    began = time.monotonic()
    copy_sources(work)
    try:
        build(work)
    except DoesNotCompile as error:
        sys.exit(f"the sources do not compile: {error}")
    code, last = run_seeds(work, arguments.seeds)
    print(f"without a bug: {last}", flush=True)
    if code != 0:
        sys.exit("without a bug the simulation fails already")
    results = []
    for number, mutation in enumerate(chosen, 1):
        start = time.monotonic()
        caught, what = try_mutation(work, mutation, arguments.seeds)
        results.append(caught)
        verdict = "caught  " if caught else "SURVIVED"
        print(f"{number:2}/{len(chosen)} {verdict} {time.monotonic() - start:4.0f} s  {mutation[0]:<58} {what}", flush=True)
    print(f"{sum(results)} of {len(chosen)} planted bugs caught in {(time.monotonic() - began) / 60:.0f} min")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
