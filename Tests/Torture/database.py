#!/usr/bin/env python3
"""sqlite in the mount. As a module: the recorder. As a program: its child, which commits rows and says so.

A child of its own because a database in WAL mode is mapped into memory: when the mount dies, that is a SIGBUS.
"""
import os, random, sqlite3, subprocess, sys, time

KEPT = 200


def payload(seed, number):
    return random.Random(f"{seed}/{number}").randbytes(200 + number % 3000)


def rows_of(database, seed):
    """The number of the last row. - Raises: ValueError unless exactly the newest `KEPT` rows are there, unharmed."""
    check = database.execute("PRAGMA integrity_check").fetchone()[0]
    if check != "ok":
        raise ValueError(f"integrity_check: {check}")
    rows = database.execute("SELECT number, payload FROM rows ORDER BY number").fetchall()
    last = rows[-1][0] if rows else 0
    if [number for number, _ in rows] != list(range(max(0, last - KEPT) + 1, last + 1)):
        raise ValueError(f"rows {[number for number, _ in rows][:5]}… to {last} are not the newest {KEPT}")
    for number, data in rows:
        if data != payload(seed, number):
            raise ValueError(f"row {number} has other bytes")
    return last


def work(path, mode, seed):
    """Commits rows until standard input ends; prints the last row's number at first and after each commit."""
    database = sqlite3.connect(path, isolation_level=None, timeout=60)
    database.execute(f"PRAGMA journal_mode={mode}")
    database.execute("PRAGMA synchronous=FULL")
    # Small, so that no part of the log is old enough to be evicted: a rewrite of it would have to be fetched first.
    database.execute("PRAGMA wal_autocheckpoint=60")
    database.execute("CREATE TABLE IF NOT EXISTS rows (number INTEGER PRIMARY KEY, payload BLOB)")
    number = rows_of(database, seed)
    print(number, flush=True)
    os.set_blocking(0, False)
    while sys.stdin.buffer.raw.read(1) != b"":
        number += 1
        database.execute("BEGIN IMMEDIATE")
        database.execute("INSERT INTO rows VALUES (?, ?)", (number, payload(seed, number)))
        database.execute("DELETE FROM rows WHERE number <= ?", (number - KEPT,))
        database.execute("COMMIT")
        print(number, flush=True)
        time.sleep(0.05)
    database.close()


if __name__ == "__main__":
    work(*sys.argv[1:])
    sys.exit(0)

import select, shutil
from recorder import Recorder, end_group
from world import HANG_SECONDS, Failure, MountDied


class Database(Recorder):
    def __init__(self, world, name, seed, mode):
        super().__init__(world, name, seed)
        self.mode, self.file, self.child, self.rows, self.seed = mode, f"{name}.sqlite", None, 0, f"{seed}/{name}"

    def begin(self):
        with self.world.log(self.name) as log:
            self.child = subprocess.Popen(
                [sys.executable, __file__, self.world.path(self.file), self.mode, self.seed], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=log, start_new_session=True)
        there = self.read_row()
        # The commit under way when the mount died was carried out or was not.
        if there not in (self.rows, self.rows + 1):
            raise Failure(f"{self.file} has {there} rows; {self.rows} were committed")
        self.rows = there

    def read_row(self):
        """The number that the child says next. How long it takes is a stall: two or more synced writes."""
        begun = self.call_since = time.monotonic()
        line = b""
        while not line.endswith(b"\n"):
            ready = select.select([self.child.stdout], [], [], 0.05)[0]
            byte = os.read(self.child.stdout.fileno(), 1) if ready else None
            if byte == b"" or self.world.dying.is_set():
                self._child_ended(line + (byte or b""))
            if time.monotonic() - begun > HANG_SECONDS:
                raise Failure(f"no commit in {HANG_SECONDS} s")
            line += byte or b""
        self.call_since = None
        self.longest = max(self.longest, time.monotonic() - begun)
        return int(line)

    def _child_ended(self, begun_line):
        self.call_since = None
        if self.world.dying.is_set():
            self._last_words(begun_line)
            raise MountDied
        raise Failure(f"the child of {self.file} ended with {self.child.wait()}: see {self.name}.log")

    def step(self):
        if self.child is None:
            self.begin()
        number = self.read_row()
        if number != self.rows + 1:
            raise Failure(f"{self.file}: row {number} after row {self.rows}")
        self.rows, self.bytes = number, self.bytes + len(payload(self.seed, number))

    def _last_words(self, begun_line=b""):
        """Ends the child. What it still says is committed."""
        end_group(self.child)
        said = (begun_line + self.child.stdout.read()).split()
        self.rows, self.child = max([self.rows, *map(int, said[-1:])]), None

    def after_death(self):
        if self.child is not None:
            self._last_words()
        self.begin()

    def finish(self):
        if self.child is None:
            return
        said, _ = self.child.communicate(timeout=HANG_SECONDS)
        if self.child.returncode != 0:
            raise Failure(f"the child of {self.file} ended with {self.child.returncode}: see {self.name}.log")
        self.rows = max([self.rows, *map(int, said.split()[-1:])])

    def verify(self, copies):
        for place in copies.places(self.file):
            copy = self.world.shadow(f"look-{self.file}")
            shutil.copyfile(place, copy)
            database = sqlite3.connect(copy)
            try:
                rows = rows_of(database, self.seed)
            except (ValueError, sqlite3.Error) as error:
                raise Failure(f"{place}: {error}") from error
            finally:
                database.close()
            if rows != self.rows:
                raise Failure(f"{place} has {rows} rows, not {self.rows}")
        copies.same(self.file, self.world.path(self.file))
