#!/usr/bin/env python3
"""Draws the tables of docs/PERFORMANCE.md from what the benchmarks of this folder printed: table.py RESULTS.jsonl docs/PERFORMANCE.md

What lies between the two marks of the page is replaced.
"""
import json, sys
from turns import BURSTS, kind

BEGIN, END = "<!-- measured: make bench -->", "<!-- end of what was measured -->"

# What is promised: peer, text, measure, figure, kind, which, relation, aim. `ratio` is the median's to the mark's, same run.
AIMS = (
    *(("reelfs", f"time of {what}, of passthrough_ll's in turn", "turns", "times", kind(label, "passthrough_ll"), "median", "<=", aim)
      for label, what, aim in (
          ("1M", "1 MiB writes", 1.0), ("128K", "128 KiB writes", 1.0), ("4K", "4 KiB writes", 1.0),
          ("files", "making files of 16 KiB", 1.2))),
    ("reelfs_writeback", "time of 4 KiB writes, both with writeback, in turn", "turns", "times",
     kind("4K", "passthrough_ll_writeback"), "median", "<=", 1.11),
    ("reelfs", "read, of passthrough_ll", "read", "MBps", None, "ratio", ">=", 1.0),
    ("reelfs", "names and attributes of 5,000 files, of passthrough_ll", "files", "list_s", None, "ratio", "<=", 1.0),
    ("reelfs", "15,000 names listed, of passthrough_ll", "names", "list_s", None, "ratio", "<=", 1.0),
    ("reelfs", "5,000 files of 16 KiB synced, s", "files", "synced_s", None, "median", "<=", 8),
    ("reelfs", "2 GiB synced, of the time of its write", "write", "synced_of_write", "1M", "median", "<=", 1.3),
    ("reelfs", "2 GiB synced, of rclone's time", "write", "synced_s", "1M", "ratio", "<=", 0.3),
    ("reelfs", "worker, CPU s for 2 GiB", "write", "daemon_cpu_s", "1M", "median", "<=", 3),
    ("reelfs", "receiver, CPU s for 2 GiB", "write", "server_cpu_s", "1M", "median", "<=", 3),
    ("reelfs", "worker, peak MiB", "write", "daemon_peak_rss_mib", "1M", "median", "<=", 64),
    ("reelfs", "receiver, peak MiB", "write", "server_peak_rss_mib", "1M", "median", "<=", 64),
    ("reelfs", "chunk sealed until its receipt, p50 ms", "lag", "p50_ms", None, "median", "<=", 10),
    ("reelfs", "chunk sealed until its receipt, p99 ms", "lag", "p99_ms", None, "median", "<=", 50),
    ("reelfs", "last byte until synced, p99 ms (1 s of it --settle)", "closing", "p99_ms", None, "median", "<=", 1250),
    ("reelfs", "p99.9 of write() during an outage, of quiet times'", "outage", "p999_of_quiet", "outage", "median", "<=", 2),
    ("reelfs", "p99.9 of write() during recovery, of quiet times'", "outage", "p999_of_quiet", "recovery", "median", "<=", 2),
    ("reelfs", "longest write() during an outage, ms", "outage", "max_ms", "outage", "median", "<=", 100),
    ("reelfs", "longest write() during recovery, ms", "outage", "max_ms", "recovery", "median", "<=", 100),
    ("reelfs", "1,000 sessions at once, worker's peak MiB", "sessions", "daemon_peak_rss_mib", None, "median", "<=", 64),
)


def table(head, rows):
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in (head, ["---"] * len(head), *rows)]
    return "\n".join(lines)


def span(line):
    return f"{line['median']:g} ({line['least']:g}–{line['greatest']:g})"


def aims(summaries):
    for peer, text, measure, figure, which_kind, which, relation, aim in AIMS:
        line = summaries.get((peer, measure, figure, which_kind))
        if not line or which not in line:
            continue
        is_met = line[which] >= aim if relation == ">=" else line[which] <= aim
        yield text, f"{'≥' if relation == '>=' else '≤'} {aim:g}", f"{line[which]:g}", "yes" if is_met else "**no**"


def figures(summaries):
    peers = list(dict.fromkeys(peer for peer, *_ in summaries))
    for key in dict.fromkeys(tuple(rest) for _, *rest in summaries):
        measure, figure, which = key
        if measure != "turns":
            cells = [span(line) if (line := summaries.get((peer, *key))) else "" for peer in peers]
            yield f"{measure}{' ' + which if which else ''} {figure}", *cells


def in_turn(summaries):
    """Times of reelfs as multiples of both marks', while it uploads and while it does not."""
    for label in BURSTS:
        lines = [
            summaries.get(("reelfs", "turns", "times", kind(label, mark, is_paused)))
            for is_paused in (False, True) for mark in ("passthrough_ll", "passthrough_ll_checked")]
        if any(lines):
            yield label, *(span(line) if line else "" for line in lines)


def backlogs(lines):
    for line in lines:
        yield (line["case"], line["chunks"], line["synced_sessions"],
               *(line.get(name, "") for name in ("usable_s", "recovered_s", "summary_s", "peak_rss_mib", "synced_s")))


def lengths(lines):
    for line in lines:
        yield (line["chunks"] >> 10, *(line[name] for name in (
            "stored_s", "worker_ms_per_chunk", "receiver_ms_per_chunk", "peak_rss_mib")))


def floors(summaries, limits):
    """What the steps cost that nobody can leave out, per GiB, beside what was measured of 2 GiB."""
    step = {line["step"]: line["cpu_s_per_gib"] for line in limits}

    def per_gib(peer, figure):
        line = summaries.get((peer, "write", figure, "1M"))
        return line["median"] / 2 if line else float("nan")

    brought = per_gib("passthrough_ll", "daemon_cpu_s")
    for role, parts, measured in (
        ("worker", {"FUSE (passthrough_ll)": brought, **{name: step[name] for name in ("read", "hashed", "sent")}},
         per_gib("reelfs", "daemon_cpu_s")),
        ("receiver", {name: step[name] for name in ("received", "hashed", "written")}, per_gib("reelfs", "server_cpu_s"))):
        words = " + ".join(f"{name} {seconds:.2f}" for name, seconds in parts.items())
        yield role, words, f"{sum(parts.values()):.2f}", f"{measured:.2f}"


def main():
    results, page = sys.argv[1:3]
    lines = [json.loads(line) for line in open(results, encoding="utf-8") if line.startswith("{")]
    summaries = {
        (line["peer"], line["of"], line["figure"], line["kind"]): line for line in lines if line.get("measure") == "summary"}
    if not summaries:
        sys.exit(f"{results}: there is no summary in it: bench.py did not come to its end")
    peers = list(dict.fromkeys(peer for peer, *_ in summaries))
    parts = [table(("aim", "", "measured", "met"), aims(summaries))]
    if rows := list(figures(summaries)):
        parts += ["Medians, and least to greatest, of each peer:", table(("", *peers), rows)]
    if rounds := list(in_turn(summaries)):
        parts += ["Time of a burst as a multiple of the mark's, in turn; the mark with attributes and permissions is *checked*:", table(
            ("", "of passthrough_ll", "of it, checked", "uploads paused: of passthrough_ll", "of it, checked"), rounds)]
    if cases := [line for line in lines if line.get("measure") == "backlog"]:
        parts += ["With a backlog:", table(
            ("case", "chunks", "synced recordings", "usable s", "recovered s", "summary s", "peak MiB", "32 MiB synced s"),
            backlogs(cases))]
    if grown := [line for line in lines if line.get("measure") == "growth"]:
        parts += ["At the end of a recording of so many GiB:", table(
            ("GiB", "64 MiB more stored s", "worker, CPU ms a chunk", "receiver, CPU ms a chunk", "worker, peak MiB"),
            lengths(grown))]
    if limits := [line for line in lines if line.get("measure") == "limit"]:
        parts += ["What this machine needs at least, CPU s per GiB:", table(
            ("", "steps", "sum", "measured"), floors(summaries, limits))]
    text = open(page, encoding="utf-8").read()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    if not rest or not _:
        sys.exit(f"{page}: the marks {BEGIN} and {END} are not there")
    with open(page, "w", encoding="utf-8") as out:
        out.write(f"{before}{BEGIN}\n\n" + "\n\n".join(parts) + f"\n\n{END}{after}")


if __name__ == "__main__":
    main()
