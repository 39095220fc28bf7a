#!/usr/bin/env python3
"""Measures what a long time without a network costs: mounts on a state with a million chunks waiting, prints JSON lines.

The program makes its own state; rows and sparse files are then added as it would have left them. Each case is compared
with the same mount without a backlog ("none").

Environment:
  REELFS     the program                                              (.build/release/reelfs)
  CASES      of none, one, many, small                                (all)
               one    one recording of CHUNKS chunks (1 TiB, sparse)
               many   CHUNKS/1000 recordings of 1,000 chunks
               small  as `many`, beside SESSIONS finished and synced recordings of 1 KiB
  CHUNKS     chunks that wait                                         (1048576)
  SESSIONS   synced recordings of `small`                             (100000)
  BENCH_DIR  where everything lies                                    (/dev/shm)

Measures, with the destination away at first:
  usable_s     from starting `reelfs mount` until a recording could be created, written and closed, and .status/summary read
  create_max_s the longest create+write+close of a one-byte recording while the worker still looks through the spool
  recovered_s  from the start until the mount says what it found (the uploader's first turn follows)
  rss_mib, peak_rss_mib   of the worker then; after_rss_mib after the destination came
  summary_s    reading .status/summary
  idle_cpu_share  of one processor, over 5 s with everything waiting
  synced_s     with the destination there: from the first write of a new 32 MiB recording until it is synced, while the
               backlog is uploaded beside it at low priority
"""
import json, os, shutil, sqlite3, subprocess, sys, tempfile, time
from data import MIB
from peers import Reelfs
from processes import children, cpu_seconds, free_port, peak_bytes, wait_for

CHUNKS = int(os.environ.get("CHUNKS", 1 << 20))
SESSIONS = int(os.environ.get("SESSIONS", 100_000))


def rss_bytes(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) << 10 for line in f if line.startswith("VmRSS"))


class Backlog(Reelfs):
    def __init__(self, home):
        super().__init__(home)
        self.state, self.port = os.path.join(home, "state"), free_port()

    def start_mount(self):
        self.client = self.spawn("mount", [
            self.program, "mount", f"http://127.0.0.1:{self.port}", self.mountpoint, "--state-dir", self.state,
            "--connection-check-interval", "1"])

    def start(self):
        self.start_mount()
        wait_for("mounted", lambda: self.mounted(self.client) and os.path.exists(self.path(".status/summary")), 60)

    def end_mount(self):
        self.client.terminate()
        self.client.wait(60)
        self.processes.remove(self.client)

    def log(self):
        with open(os.path.join(self.home, "mount.log"), errors="replace") as f:
            return f.read()

    def fill(self, case):
        """What a worker leaves that recorded all this while the destination was away."""
        database = sqlite3.connect(os.path.join(self.state, "journal.sqlite"))
        now, number = time.time(), 0

        def add(name, size, chunks, synced):
            nonlocal number
            number += 1
            path = os.path.join(self.state, "recordings", name)
            with open(path, "wb") as f:
                f.truncate(size)
            os.setxattr(path, "user.reelfs.session", b"sess_%016x" % number)
            stored = chunks if synced else 0
            database.execute(
                "INSERT INTO sessions (number, path, inode, created_at, size, is_finished, is_synced, is_announced, priority,"
                " stored_chunks, stored_bytes, stored_through, synced_at, sha256) VALUES (?,?,?,?,?,1,?,?,?,?,?,?,?,?)",
                (number, name.encode(), os.stat(path).st_ino, now, size, synced, synced, 0 if not synced else 1, stored,
                 size if synced else 0, stored, now if synced else None, bytes(32) if synced else None))
            database.executemany(
                "INSERT INTO chunks (session, idx, version, state, bytes, digest, at) VALUES (?,?,1,?,?,?,?)",
                ((number, index, 2 if synced else 1, min(MIB, size - index * MIB), bytes(32) if synced else None, now)
                 for index in range(chunks)))

        if case == "one":
            add("one.bin", CHUNKS * MIB, CHUNKS, 0)
        if case in ("many", "small"):
            for place in range(CHUNKS // 1000):
                add(f"many-{place:05}.bin", 1000 * MIB, 1000, 0)
        if case == "small":
            for place in range(SESSIONS):
                add(f"small-{place:06}.bin", 1024, 1, 1)
        database.commit()
        database.close()


def record_one_byte(mount, name):
    before = time.monotonic()
    with open(mount.path(name), "wb") as f:
        f.write(b"x")
    return time.monotonic() - before


def measure(mount, case):
    mount.end_mount()
    mount.fill(case)
    said = len(mount.log())
    start = time.monotonic()
    mount.start_mount()
    wait_for("mounted", lambda: mount.mounted(mount.client), 60, every=0.002)
    slowest = record_one_byte(mount, "first.bin")
    with open(mount.path(".status/summary")) as f:
        f.read()
    figures = dict(usable_s=round(time.monotonic() - start, 3))
    count = 0
    while case != "none" and "in the spool" not in mount.log()[said:]:
        if time.monotonic() - start > 300:
            raise RuntimeError("no recovery within 300 s: " + mount.logs())
        count += 1
        slowest = max(slowest, record_one_byte(mount, f"during-{count}.bin"))
        time.sleep(0.01)
    figures.update(recovered_s=round(time.monotonic() - start, 3), create_max_s=round(slowest, 3))
    worker = mount.daemon()
    time.sleep(2)  # measured is the rest that follows, not the wait
    figures.update(rss_mib=round(rss_bytes(worker) / MIB, 1), peak_rss_mib=round(peak_bytes(worker) / MIB, 1))
    before = time.monotonic()
    with open(mount.path(".status/summary")) as f:
        figures["says"] = f.readline().strip()
    figures["summary_s"] = round(time.monotonic() - before, 3)
    cpu = cpu_seconds(worker)
    time.sleep(5)
    figures["idle_cpu_share"] = round((cpu_seconds(worker) - cpu) / 5, 3)

    mount.start_server()
    before = time.monotonic()
    with open(mount.path("new.bin"), "wb") as f:
        for _ in range(32):
            f.write(os.urandom(MIB))
    wait_for("new.bin is synced", lambda: mount.attribute("new.bin", "status") == "synced", 300)
    figures.update(synced_s=round(time.monotonic() - before, 3), after_rss_mib=round(rss_bytes(worker) / MIB, 1))
    print(json.dumps(dict(measure="backlog", case=case, chunks=0 if case == "none" else CHUNKS,
                          synced_sessions=SESSIONS if case == "small" else 0, **figures)), flush=True)


def main():
    cases = os.environ.get("CASES", "none,one,many,small").split(",")
    if unknown := set(cases) - {"none", "one", "many", "small"}:
        sys.exit(f"backlog: CASES may name none, one, many, small; not {', '.join(sorted(unknown))}")
    Reelfs.prepare(None)
    work, failed = tempfile.mkdtemp(prefix="reelfs-backlog-", dir=os.environ.get("BENCH_DIR", "/dev/shm")), False
    try:
        for case in cases:
            try:
                with Backlog(os.path.join(work, case)) as mount:
                    measure(mount, case)
            except (RuntimeError, OSError) as error:
                failed = True
                print(json.dumps(dict(measure="backlog", case=case, failed=str(error)[-2000:])), flush=True)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
