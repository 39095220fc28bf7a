#!/usr/bin/env python3
"""Measures whether a chunk costs the same however long its recording is: appends to recordings of 1 GiB to 1 TiB.

A worker and a receiver make a recording of two chunks; then both are ended, and the rest of it (rows, and sparse files)
is added as they would have left it. Measured is what 64 chunks cost, and 64 more, with the recording open all the time: the
first ones include what a new worker and a new receiver have to find out about the recording once.

Environment:
  REELFS     the program                                     (.build/release/reelfs)
  LENGTHS    lengths of the recordings, in chunks            (1024,10240,102400,1048576)
  BENCH_DIR  where everything lies                           (/dev/shm)

Prints one JSON line a length: first_s and stored_s, from the first byte of the first and the further 64 until all of them
are stored; CPU milliseconds a chunk of the further ones, of worker and receiver; the worker's peak MiB. Exit code 1 when
a chunk costs three times as much at the last length as at the first.
"""
import json, os, shutil, signal, sqlite3, subprocess, sys, tempfile, time
from data import MIB
from peers import Reelfs
from processes import Meter, wait_for

LENGTHS = [int(length) for length in os.environ.get("LENGTHS", "1024,10240,102400,1048576").split(",")]
APPENDED = 64
# CPU time on a busy machine differs by half; one query that looks through the recording costs thirty times as much.
DEARER_MAX = 3


class Growing(Reelfs):
    # Longer than one length takes: nothing is completed.
    options = ["--settle", "60s", "--web", "none"]

    def stored(self):
        return int(self.attribute("long.bin", "bytes_synced"))

    def end(self):
        """As killed: nobody closes the recording."""
        worker = self.daemon()
        self.client.kill()
        os.kill(worker, signal.SIGKILL)
        subprocess.run(["umount", "-l", self.mountpoint], check=True)
        for process in (self.client, self.server):
            process.kill()
            process.wait()
        self.processes.clear()

    def lengthen(self, session, count):
        """The recording has `count` chunks, all of them stored."""
        os.truncate(os.path.join(self.home, "state", "recordings", "long.bin"), count * MIB)
        with sqlite3.connect(os.path.join(self.home, "state", "journal.sqlite")) as journal:
            journal.executemany(
                "INSERT INTO chunks (session, idx, version, state, bytes, digest, at) VALUES (?,?,1,2,?,?,?)",
                ((session, index, MIB, bytes(32), time.time()) for index in range(2, count)))
            journal.execute(
                "UPDATE sessions SET size = ?, stored_chunks = ?, stored_bytes = ?, stored_through = ?",
                (count * MIB, count, count * MIB, count))
        with sqlite3.connect(os.path.join(self.data, "receiver.sqlite")) as catalog:
            number, = catalog.execute("SELECT number FROM session").fetchone()
            catalog.executemany(
                "INSERT INTO chunk (session, idx, version, bytes, digest, place) VALUES (?,?,1,?,?,1)",
                ((number, index, MIB, bytes(32)) for index in range(2, count)))
            catalog.execute("UPDATE session SET folded = ?", (count,))
        growing, = [
            os.path.join(folder, name) for folder, _, names in os.walk(self.data) for name in names
            if os.path.getsize(os.path.join(folder, name)) == 2 * MIB]
        os.truncate(growing, count * MIB)


def append(peer, file, count):
    for _ in range(APPENDED):
        os.write(file, os.urandom(MIB))
    wait_for("what was appended is stored", lambda: peer.stored() == (count + APPENDED) * MIB, 120)


def measure(peer, count):
    file = os.open(peer.path("long.bin"), os.O_WRONLY | os.O_CREAT)
    os.write(file, os.urandom(2 * MIB))
    wait_for("two chunks are stored", lambda: peer.stored() == 2 * MIB)
    session = int(peer.attribute("long.bin", "session").removeprefix("sess_"), 16)
    peer.end()
    peer.lengthen(session, count)
    peer.start()
    wait_for("what was stored is known", lambda: peer.stored() == count * MIB)
    file = os.open(peer.path("long.bin"), os.O_WRONLY | os.O_APPEND)
    start = time.monotonic()
    append(peer, file, count)
    first_s = time.monotonic() - start
    meter, start = Meter(peer), time.monotonic()
    append(peer, file, count + APPENDED)
    figures, taken = meter.read(), time.monotonic() - start
    os.close(file)
    line = dict(
        measure="growth", chunks=count, first_s=round(first_s, 3), stored_s=round(taken, 3),
        worker_ms_per_chunk=round(figures["daemon_cpu_s"] * 1e3 / APPENDED, 2),
        receiver_ms_per_chunk=round(figures["server_cpu_s"] * 1e3 / APPENDED, 2),
        peak_rss_mib=figures["daemon_peak_rss_mib"])
    print(json.dumps(line), flush=True)
    return line


def main():
    Reelfs.prepare(None)
    work = tempfile.mkdtemp(prefix="reelfs-growth-", dir=os.environ.get("BENCH_DIR", "/dev/shm"))
    try:
        lines = []
        for count in LENGTHS:
            with Growing(os.path.join(work, str(count))) as peer:
                lines.append(measure(peer, count))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    for figure in ("worker_ms_per_chunk", "receiver_ms_per_chunk"):
        if lines[-1][figure] > DEARER_MAX * lines[0][figure]:
            return f"growth: {figure} is {lines[-1][figure]} at the last length, and {lines[0][figure]} at the first"
    return 0


if __name__ == "__main__":
    sys.exit(main())
