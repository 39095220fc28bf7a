#!/usr/bin/env python3
"""Measures reelfs beside libfuse's passthrough_ll and beside rclone, run by run, and prints one JSON object a line.

Environment:
  REELFS     the program                                      (.build/release/reelfs)
  SIZE       bytes of the large recording, with K, M or G     (2G)
  SMALL      bytes written at 128 KiB and at 4 KiB a write    (256M)
  PACED      bytes written at 8 MiB/s for the chunk lag       (64M)
  FILES      files of 16 KiB                                  (5000)
  NAMES      names in one folder                              (15000: passthrough_ll needs a descriptor for each)
  SESSIONS   recordings that are open at once                 (1000)
  REPS       runs of reelfs and passthrough_ll, by turns      (3)
  REPS_MORE  runs of the others, which set no mark            (1: rclone needs minutes)
  TURNS      rounds of short bursts                           (15)
  PEERS      of reelfs, passthrough_ll, passthrough_ll_checked, rclone, reelfs_writeback, passthrough_ll_writeback    (all)
  MEASURES   of write, files, names, lag, closing, outage, sessions, idle, turns    (all)
  BENCH_DIR  where spool, receiver and peers keep their data  (/dev/shm: the code is measured, not the disk)

Measures, all in one process that writes incompressible bytes of which no two chunks are equal:
  write      MB/s (10^6) into the mount from open() to the end of the last write(), while uploads run; close_s: close();
             synced_s: from open() until the recording is whole at the destination; last_byte_to_synced_s: from the end of
             the last write() until then (reelfs waits --settle, 1 s by default, for a writer to come back; rclone runs with
             --vfs-write-back 0s). CPU seconds and peak RSS (VmHWM, reset before each run) of the process that serves the
             mount (for reelfs the worker below the supervisor) and of the destination's server.
  read       MB/s of reading the 1 MiB run's recording back from the mount, after the kernel gave up its pages of it.
  verified   of that recording: SHA-256 of what was written and of what lies at the destination are equal.
  files      create_s: making, writing and closing FILES files; list_s: their names and attributes; synced_s: from the first
             one until all are at the destination.
  names      NAMES symbolic links in one folder: list_s: reading them the second time. Not rclone.
  lag        reelfs only: one recording paced at 8 MiB/s in 64 KiB writes. A chunk is sealed when the write() that fills it
             returns: that moment is taken here. Its receipt is the `time` of its CHUNK_UPLOADED in `.status/events.jsonl`,
             which is written after the receipt was journaled. Lag = receipt - sealed, over the full chunks.
  closing    reelfs only: from the last byte of a recording of 3 MiB until it is synced, --settle included.
  outage     reelfs only: what write() takes while all is well, after the receiver was killed, and after it was started again.
  sessions   reelfs only: SESSIONS recordings open at once, 256 KiB each.
  idle       reelfs only: CPU seconds of the worker over 5 s after all is synced, with the mount idle.
  turns      reelfs and passthrough_ll are mounted at once and written to in turn: bursts of 256 MiB, 64 MiB and 16 MiB at the
             three sizes, and of 500 files. times: what reelfs needed, as a multiple of what passthrough_ll needed in that round,
             and of what passthrough_ll with attributes and permissions did (passthrough_ll_checked). Then the same with
             uploads paused: the way of a write alone. Then 16 MiB at 4 KiB with both kernels' writeback caches.
  summary    medians over the runs, and the ratios to the peers that set the mark.
"""
import contextlib, os, shutil, sys, tempfile
import measures
from data import MIB
from peers import ALL, Missing
from summary import summarize
from turns import BURSTS, turns

OURS = ("lag", "closing", "outage", "sessions", "idle")
# Run `REPS` times; the others set no mark.
MARKED = ("reelfs", "passthrough_ll")
# Who is written to in turn with whom, and what.
IN_TURN = (
    ("reelfs", ("passthrough_ll", "passthrough_ll_checked"), BURSTS, True),
    ("reelfs_writeback", ("passthrough_ll_writeback",), ("4K",), False))


def size_of(text):
    units = {"K": 10, "M": 20, "G": 30}
    unit = text[-1:].upper()
    try:
        count = float(text[:-1]) * (1 << units[unit]) if unit in units else int(text)
    except ValueError:
        sys.exit(f"bench: {text!r} is not a size: write a number and K, M or G")
    return int(count)


def setting(name, usual):
    return size_of(os.environ.get(name, usual))


def chosen(name, known):
    wanted = [word.strip() for word in os.environ.get(name, "").split(",") if word.strip()]
    if unknown := set(wanted) - set(known):
        sys.exit(f"bench: {name} may name {', '.join(known)}; not {', '.join(sorted(unknown))}")
    return wanted


def measure(peer, rep, wanted):
    def is_wanted(name):
        return (not wanted or name in wanted) and (name not in OURS or peer.name == "reelfs")

    if is_wanted("write"):
        for label in measures.BLOCK_SIZES:
            measures.write(peer, rep, label, setting("SIZE", "2G") if label == "1M" else setting("SMALL", "256M"))
    if is_wanted("files"):
        measures.files(peer, rep, setting("FILES", "5000"), 16 << 10)
    if is_wanted("names") and peer.has_links:
        measures.names(peer, rep, setting("NAMES", "15000"))
    if is_wanted("lag"):
        measures.lag(peer, rep, setting("PACED", "64M"))
    if is_wanted("closing"):
        measures.closing(peer, rep)
    if is_wanted("outage"):
        measures.outage(peer, rep)
    if is_wanted("sessions"):
        measures.sessions(peer, rep, setting("SESSIONS", "1000"))
    if is_wanted("idle"):
        measures.idle(peer, rep)


def prepared(tools, wanted):
    """The peers that can be had, and whether one that was asked for cannot."""
    peers, failed = [], False
    for peer in ALL:
        if wanted and peer.name not in wanted:
            continue
        try:
            peer.prepare(tools)
            peers.append(peer)
        except Missing as reason:
            measures.report(peer.name, "left_out", reason=str(reason))
            failed = failed or peer.name in wanted
    return peers, failed


def run(work, peers, wanted):
    """Whether all went well."""
    went_well, reps = True, setting("REPS", "3")
    for rep in range(1, reps + 1):
        for number, peer in enumerate(peers):
            if peer.is_for_turns_only or (rep > setting("REPS_MORE", "1") and peer.name not in MARKED):
                continue
            try:
                with peer(os.path.join(work, f"{number}-{rep}")) as running:
                    measure(running, rep, wanted)
            except (RuntimeError, OSError) as error:
                went_well = False
                measures.report(peer.name, "failed", rep=rep, reason=str(error))
    return went_well


def take_turns(work, peers):
    """Whether all went well. Of those that cannot be had nothing is measured."""
    there, rounds = {peer.name: peer for peer in peers}, setting("TURNS", "15")
    try:
        for ours, marks, labels, also_paused in IN_TURN:
            marks = [mark for mark in marks if mark in there]
            if ours not in there or not marks:
                continue
            with contextlib.ExitStack() as mounts:
                one, *others = [
                    mounts.enter_context(there[name](os.path.join(work, "turn-" + name))) for name in (ours, *marks)]
                turns(one, others, labels, rounds)
                if also_paused:
                    turns(one, others, labels, rounds, is_paused=True)
        return True
    except (RuntimeError, OSError) as error:
        measures.report("turns", "failed", reason=str(error))
        return False


def main():
    base = os.environ.get("BENCH_DIR", "/dev/shm")
    wanted = chosen("MEASURES", ("write", "files", "names", *OURS, "turns"))
    # The spool (or cache) and the destination hold each byte once; half as much again for journals and logs.
    needed, free = int(2.5 * setting("SIZE", "2G")), shutil.disk_usage(base).free
    if free < needed:
        sys.exit(f"bench: {base} has {free // MIB} MiB free, {needed // MIB} are needed: set SIZE or BENCH_DIR")
    work = tempfile.mkdtemp(prefix="reelfs-bench-", dir=base)
    tools = tempfile.mkdtemp(prefix="reelfs-bench-tools-")
    try:
        peers, failed = prepared(tools, chosen("PEERS", [peer.name for peer in ALL]))
        failed = not run(work, peers, wanted) or failed
        if not wanted or "turns" in wanted:
            failed = not take_turns(work, peers) or failed
        summarize(measures.RESULTS)
    finally:
        shutil.rmtree(work, ignore_errors=True)
        shutil.rmtree(tools, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
