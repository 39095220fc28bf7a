#!/usr/bin/env python3
"""Our mount uploads to tus servers: our own receiver, tuspyserver, and resumable-upload; every file must arrive as it is.

The mount is the real program under real kills, so this needs root or fusermount3, and /dev/fuse.
"""

import contextlib
import functools
import json
import os
import pathlib
import signal
import socket
import sqlite3
import subprocess
import sys
import time

import peers

MIB = 1 << 20
# Of uploads that something is to happen to: so slow that the recorder is far ahead of them.
SLOW = "8M"


# MARK: Servers


class OurReceiver:
    """`reelfs receive`."""

    defers = True

    def __init__(self, folder):
        self.receiver = peers.Receiver(folder)
        self.url = self.receiver.url + "/files/"
        self.kill, self.start = self.receiver.kill, self.receiver.start

    def read(self, path):
        """The recording as the server has it; None while there is none of this name."""
        try:
            return self.receiver.recording("camera/" + path)
        except FileNotFoundError:
            return None

    def stop(self):
        self.receiver.stop()
        self.receiver.verify()

    def check_names(self, expected):
        """Nothing is below recordings/ but what was recorded: no second copy under another name."""
        root = self.receiver.data / "recordings"
        names = {str(path.relative_to(root / "camera")) for path in root.rglob("*") if path.is_file()}
        assert names == set(expected), names ^ set(expected)


class Script:
    """A server in Python, in a process of its own, that can be killed and started again on its port and folder."""

    def __init__(self, folder):
        self.data = pathlib.Path(folder) / "server"
        self.data.mkdir()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/files/"
        self.start()

    def start(self):
        with open(self.data.parent / "server.log", "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", self.program, str(self.data), str(self.port)], stdout=log, stderr=log)
        peers.until(self._answers, f"{type(self).__name__} listens")

    def _answers(self):
        assert self.process.poll() is None, (self.data.parent / "server.log").read_text()
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.kill()

    def check_names(self, expected):
        """These servers keep what they have under random names; which of them is current nobody there knows."""


class TusPyServer(Script):
    """tuspyserver: deferred lengths and concatenation."""

    defers = True
    program = """
import sys, uvicorn
from fastapi import FastAPI
from tuspyserver import create_tus_router
app = FastAPI()
app.include_router(create_tus_router(prefix="files", files_dir=sys.argv[1]))
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="warning")
"""

    def read(self, path):
        found = []
        for file in self.data.glob("*.info"):
            try:
                info = json.loads(file.read_text())
                bytes = file.with_suffix("").read_bytes()
            except (OSError, ValueError):
                continue  # It is being written.
            if info["metadata"].get("relativePath") == path and len(bytes) == info["size"]:
                found.append((info["created_at"], bytes))
        return max(found)[1] if found else None


class ResumableUpload(Script):
    """resumable-upload: no deferred lengths, but checksums, with a 460 for what is damaged."""

    defers = False
    program = """
import sys
from http.server import ThreadingHTTPServer
from resumable_upload import SQLiteStorage, TusServer, TusHTTPRequestHandler
class Handler(TusHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
Handler.tus_server = TusServer(
    SQLiteStorage(db_path=sys.argv[1] + "/uploads.db", upload_dir=sys.argv[1] + "/data"), base_path="/files")
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Handler).serve_forever()
"""

    def read(self, path):
        with contextlib.closing(sqlite3.connect(self.data / "uploads.db")) as database:
            rows = database.execute("SELECT upload_id, metadata FROM uploads WHERE completed AND NOT is_partial ORDER BY rowid")
            found = [id for id, metadata in rows if json.loads(metadata).get("relativePath") == path]
        return (self.data / "data" / found[-1]).read_bytes() if found else None


# MARK: The mount


class Mount:
    """`reelfs mount` on a server; its worker or all of it can be killed."""

    def __init__(self, server, folder, flags):
        self.folder, self.state, self.url, self.flags = folder / "mnt", folder / "state", "tus+" + server.url, flags
        self.folder.mkdir()
        self.log = open(folder / "mount.log", "ab")
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [peers.REELFS, "mount", self.url, str(self.folder), "--state-dir", str(self.state), "--device", "camera",
             "--retry-initial", "0.1", "--retry-max", "1", "--connection-check-interval", "0.5", "--upload-timeout", "30",
             "--max-lag", "1", "--settle", "0.3", *self.flags],
            stdout=self.log, stderr=subprocess.STDOUT)
        peers.until(self._is_mounted, "mounted")

    def _is_mounted(self):
        assert self.process.poll() is None, self.said()
        return os.path.ismount(self.folder) and (self.folder / ".status").is_dir()

    def said(self):
        return pathlib.Path(self.log.name).read_text()

    def worker(self):
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(children[0]) if children else None

    def kill_worker(self):
        worker = peers.until(self.worker, "there is a worker")
        os.kill(worker, signal.SIGKILL)
        peers.until(lambda: self.worker() not in (None, worker), "there is another worker")

    def kill(self):
        """Supervisor and worker at once, then everything again on the same state."""
        worker = self.worker()
        for pid in (self.process.pid, worker):
            if pid:
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        peers.until(lambda: not self._serves(), "no process of the mount is left")
        subprocess.run(["umount", "-l", str(self.folder)], check=True)
        self.start()

    def _serves(self):
        """Whether a process still has the state directory; a worker that took over just then is nobody's child."""
        left = False
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit() or entry.name == str(os.getpid()):
                continue
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if str(self.state).encode() in words and (entry / "stat").read_text().rsplit(")")[1].split()[0] != "Z":
                    os.kill(int(entry.name), signal.SIGKILL)
                    left = True
            except (OSError, IndexError):
                pass
        return left

    def write(self, name, data, at=None):
        """Creates a recording, or writes into one."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "wb" if at is None else "r+b") as file:
            file.seek(at or 0)
            file.write(data)

    def read(self, name):
        return (self.folder / name).read_bytes()

    def status(self, name):
        return os.getxattr(self.folder / name, "user.sync.status").decode()

    def bytes_synced(self, name):
        return int(os.getxattr(self.folder / name, "user.sync.bytes_synced"))

    def synced(self, *names):
        for name in names:
            try:
                peers.until(lambda: self.status(name) == "synced", f"{name} is synced")
            except AssertionError:
                raise AssertionError((self.folder / ".status" / name).read_text() + self.said()[-3_000:])

    def stop(self):
        """By signal, not by umount: a copy of this mount in another namespace would keep the file system alive."""
        self.process.terminate()
        try:
            self.process.wait(timeout=peers.PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            subprocess.run(["umount", "-l", str(self.folder)])
            raise


class World:
    """A server and a mount that uploads to it."""

    def __init__(self, make, folder, *flags):
        self.server = make(folder)
        try:
            self.mount = Mount(self.server, folder, flags)
        except BaseException:
            self.server.kill()
            raise

    def __enter__(self):
        return self

    def __exit__(self, error, *_):
        try:
            self.mount.stop()
        finally:
            self.server.kill() if error else self.server.stop()

    def check(self, contents):
        """Every recording is synced, and at the server byte for byte."""
        self.mount.synced(*contents)
        for name, data in contents.items():
            assert self.mount.read(name) == data, f"{name} is not what was written"
            theirs = self.server.read(name)
            assert theirs is not None, f"the server has no {name}"
            assert theirs == data, f"{name}: {len(theirs)} of {len(data)} bytes, equal up to {common(theirs, data)}"
        self.server.check_names(contents)


def common(a, b):
    return next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))


def record(mount, name, data, header, during=lambda at: None, every=4 * MIB):
    """A recorder: appends, and rewrites its header at the end. `during(at)` is called between its writes."""
    path = mount.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    for at in range(0, len(data), every):
        with open(path, "r+b" if path.exists() else "wb") as file:
            file.seek(at)
            file.write(data[at : at + every])
            os.fsync(file.fileno())
        during(at)
    with open(path, "r+b") as file:
        file.write(header)
    return header + data[len(header) :]


# MARK: Scenarios


def sizes(make, folder):
    """Empty, small, exact multiples of a chunk and odd sizes arrive, in folders and under strange names."""
    with World(make, folder) as world:
        contents = {
            f"takes/{size}.wav": peers.noise(size, size)
            for size in [0, 1, MIB - 1, MIB, 5 * MIB, 5 * MIB + 1, 6 * MIB, 7 * MIB + 123]
        }
        contents["a b/ü,日本;語.mkv"] = b"strange name"
        for name, data in contents.items():
            world.mount.write(name, data)
        world.check(contents)


def growing(make, folder):
    """60 MiB that grow while they are uploaded, with a header that is rewritten at the end."""
    with World(make, folder) as world:
        data = record(world.mount, "live.mkv", peers.noise(60 * MIB), b"HEADER" * 40)
        world.check({"live.mkv": data})


def middle_rewritten(make, folder):
    """Bytes in the middle are rewritten after they were uploaded."""
    with World(make, folder) as world:
        data = bytearray(peers.noise(24 * MIB))
        with open(world.mount.folder / "take.wav", "wb") as file:
            file.write(data)
            file.flush()
            if world.server.defers:
                peers.until(lambda: world.mount.bytes_synced("take.wav") >= 12 * MIB, "the middle is uploaded")
            for at in [8 * MIB + 7, 10 * MIB]:
                file.seek(at)
                file.write(b"rewritten")
                data[at : at + 9] = b"rewritten"
        world.check({"take.wav": bytes(data)})


def renamed(make, folder):
    """A recording that is renamed while it is uploaded arrives under its last name."""
    with World(make, folder) as world:
        data = peers.noise(20 * MIB)
        world.mount.write("tmp.wav", data[: 12 * MIB])
        with open(world.mount.folder / "tmp.wav", "ab") as file:
            file.write(data[12 * MIB :])
            file.flush()
            (world.mount.folder / "final").mkdir()
            os.rename(world.mount.folder / "tmp.wav", world.mount.folder / "final/take.wav")
        world.check({"final/take.wav": data})


def changed_after_sync(make, folder):
    """A recording that grows or gets a new header after it was synced arrives again, under its one name."""
    with World(make, folder) as world:
        contents = {"small.log": peers.noise(1_000), "large.log": peers.noise(9 * MIB)}
        for name, data in contents.items():
            world.mount.write(name, data)
        world.check(contents)
        for name, data in contents.items():
            world.mount.write(name, b"more", at=len(data))
            contents[name] = data + b"more"
        world.check(contents)
        for name, data in contents.items():
            world.mount.write(name, b"HEAD", at=0)
            contents[name] = b"HEAD" + data[4:]
        world.check(contents)


def killed(make, folder):
    """The worker, then the whole mount, are killed again and again in the middle of uploading."""
    with World(make, folder, "--limit", SLOW) as world:
        mount = world.mount

        def during(at):
            if at % (12 * MIB) == 0:
                mount.kill_worker()
            elif at % (20 * MIB) == 0:
                mount.kill()

        data = record(mount, "take.mkv", peers.noise(60 * MIB, 2), b"HEADER" * 40, during)
        mount.kill()
        world.check({"take.mkv": data})


def server_killed(make, folder):
    """The server is killed while bytes are on their way to it, several times."""
    with World(make, folder, "--limit", SLOW) as world:
        def during(at):
            if at % (12 * MIB) == 8 * MIB:
                world.server.kill()
                world.server.start()

        data = record(world.mount, "take.mkv", peers.noise(60 * MIB, 3), b"HEADER" * 40, during)
        world.server.kill()
        world.server.start()
        world.check({"take.mkv": data})


SCENARIOS = [sizes, growing, middle_rewritten, renamed, changed_after_sync, killed, server_killed]
SERVERS = [OurReceiver, TusPyServer, ResumableUpload]


def named(scenario, make):
    """The scenario on one server, under a name of its own."""
    function = functools.partial(scenario, make)
    function.__name__ = f"{scenario.__name__}-{make.__name__}"
    function.__doc__ = f"{make.__name__}: {scenario.__doc__}"
    return function


if __name__ == "__main__":
    peers.run([named(scenario, make) for make in SERVERS for scenario in SCENARIOS])
