"""tus 1.0 servers of other people, and ours, to be uploaded to."""

import contextlib
import json
import pathlib
import sqlite3
import subprocess
import sys

import peers


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
        self.port = peers.free_port()
        self.url = f"http://127.0.0.1:{self.port}/files/"
        self.start()

    def start(self):
        with open(self.data.parent / "server.log", "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", self.program, str(self.data), str(self.port)], stdout=log, stderr=log)
        peers.until(self._answers, f"{type(self).__name__} listens")

    def _answers(self):
        assert self.process.poll() is None, (self.data.parent / "server.log").read_text()
        return peers.listens(self.port)

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
