"""A receiver, a mount of the real program and a proxy between them, each with all it needs in one temporary folder."""
import http.client
import http.server
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time

from browser import Failure

REELFS = os.path.abspath(os.environ.get("REELFS", ".build/release/reelfs"))
POISON = b"THE RECEIVER REFUSES THIS"


def eventually(what, condition, seconds=30):
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure(f"not in {seconds} s: {what}")
        # Between two looks.
        time.sleep(0.1)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Proxy:
    """Passes everything on to the receiver, but answers 400 to a chunk that begins with POISON while `refuses`."""

    def __init__(self, port):
        proxy = self
        self.refuses = True

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def pass_on(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if body.startswith(POISON) and proxy.refuses:
                    return self.answer(400, [("Content-Type", "application/json")],
                                       b'{"error": "bad_body", "message": "The studio does not take this take: ask the night desk."}')
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
                try:
                    headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
                    connection.request(self.command, self.path, body, headers)
                    answer = connection.getresponse()
                    kept = [pair for pair in answer.getheaders() if pair[0].lower() not in ("content-length", "connection", "transfer-encoding")]
                    self.answer(answer.status, kept, answer.read())
                except OSError:
                    self.close_connection = True
                finally:
                    connection.close()

            def answer(self, status, headers, body):
                self.send_response_only(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_PUT = do_POST = do_HEAD = do_PATCH = do_DELETE = pass_on

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class World:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="reelfs-")
        self.mountpoint = self.folder + "/Recordings"
        self.data = self.folder + "/uploaded_data"
        os.mkdir(self.mountpoint)
        self.port = free_port()
        self.receiver = self.mount = self.proxy = None
        self.children = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for child in self.children:
            if child.poll() is None:
                child.kill()
                child.wait()
        self.end_mount()
        self.stop_receiver()
        if self.proxy:
            self.proxy.close()
        subprocess.run(["umount", "-l", self.mountpoint], stderr=subprocess.DEVNULL, check=False)
        if not os.path.ismount(self.mountpoint):
            shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, *words):
        # REELFS_* variables of whoever runs the tests are not theirs.
        variables = {name: value for name, value in os.environ.items() if not name.startswith("REELFS")}
        return subprocess.Popen([REELFS, *words], env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def start_receiver(self, *flags):
        self.receiver = self.start("receive", "--listen", f"127.0.0.1:{self.port}", "--data", self.data, *flags)
        self.heard(self.receiver, "receiving on")
        return f"http://127.0.0.1:{self.port}"

    def stop_receiver(self):
        if self.receiver and self.receiver.poll() is None:
            self.receiver.terminate()
            self.receiver.wait(30)

    def start_mount(self, *flags):
        """Through the proxy. - Returns: the page's address, with its token."""
        self.proxy = Proxy(self.port)
        self.mount = self.start(
            "mount", self.proxy.url, self.mountpoint, "--state-dir", self.folder + "/state", "--web", "127.0.0.1:0",
            "--device", "studio-a", "--settle", "0.2", "--max-lag", "0.5", "--retry-initial", "0.1", "--retry-max", "0.5",
            "--connection-check-interval", "0.5", *flags)
        self.heard(self.mount, "page: ")
        return subprocess.run([REELFS, "web", self.mountpoint], check=True, capture_output=True, text=True).stdout.strip()

    def end_mount(self):
        if self.mount and self.mount.poll() is None:
            self.mount.terminate()
            self.mount.wait(30)

    def heard(self, child, words):
        """Reads what a program says until it says `words`; the rest is read on in a thread."""
        said = []
        for line in child.stdout:
            said.append(line)
            if words in line:
                threading.Thread(target=child.stdout.read, daemon=True).start()
                return
        raise Failure(f"it ended: {''.join(said)}")

    def path(self, name):
        return f"{self.mountpoint}/{name}"

    def write(self, name, content):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "wb") as file:
            file.write(content)

    def attribute(self, name, key):
        try:
            return os.getxattr(self.path(name), f"user.sync.{key}").decode()
        except OSError:
            return None

    def record(self, name, seconds, *codec, picture="testsrc2=size=640x360:rate=25,noise=alls=30:allf=t"):
        """A recorder that writes as fast as a camera would."""
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        child = subprocess.Popen(
            ["ffmpeg", "-nostdin", "-loglevel", "error", "-re", "-f", "lavfi", "-i", picture, "-re", "-f", "lavfi", "-i",
             "sine=frequency=440", "-t", str(seconds), *codec, path])
        self.children.append(child)
        return child
