"""What every peer test needs: a receiver to start and kill, nginx in front of it, folders, bytes, and a runner."""

import argparse
import concurrent.futures
import contextlib
import io
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
REELFS = os.environ.get("REELFS", str(ROOT / ".build/release/reelfs"))

# A loaded machine may take long for anything; what takes longer than this hangs.
PATIENCE = 120
MIB = 1 << 20


class Skipped(Exception):
    """Cannot be tried here, or does not apply; the text says why."""


def noise(count, seed=1):
    """Bytes that look random and are the same in every run."""
    return random.Random(seed).randbytes(count)


def take(count, seed=1):
    """What a recorder might write: one MiB that cannot be compressed, one that can, and so on."""
    data = bytearray(noise(count, seed))
    for start in range(MIB, count, 2 * MIB):
        end = min(count, start + MIB)
        # Something in it is its own, so that no two are equal.
        text = b"%12d The take was good.\n" % (start + seed)
        data[start:end] = (text * (MIB // len(text) + 1))[: end - start]
    return bytes(data)


def until(condition, what):
    """Waits until `condition()` is true, and returns its value."""
    end = time.monotonic() + PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"never happened: {what}")
        time.sleep(0.02)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def unpacked(pattern):
    """A file of a Debian package: installed, or unpacked by Tests/Peers/setup.sh. None: neither."""
    for root in (pathlib.Path("/"), ROOT / ".build/peers/debian"):
        if found := next(root.glob(pattern), None):
            return found
    return None


class Receiver:
    """`reelfs receive` on a data folder; it can be killed and started again on the same port."""

    def __init__(self, folder, *flags):
        self.data = pathlib.Path(folder) / "uploaded_data"
        self.flags = flags
        self.port = 0
        self.start()

    def start(self):
        command = [REELFS, "receive", "--listen", f"127.0.0.1:{self.port}", "--data", str(self.data), *self.flags]
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(command, stdout=self.log, stderr=subprocess.STDOUT)
        said = until(self._listening, f"{' '.join(command)} listens")
        self.port = int(said.group(1))
        self.url = f"http://127.0.0.1:{self.port}"

    def _listening(self):
        text = os.pread(self.log.fileno(), 1 << 16, 0).decode(errors="replace")
        if self.process.poll() is not None:
            raise AssertionError(f"the receiver ended with {self.process.returncode}: {text}")
        return re.search(r"receiving on \S+:(\d+),", text)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=PATIENCE)

    def verify(self):
        """Stops it and reads every stored byte again."""
        self.stop()
        done = subprocess.run([REELFS, "receive", "--data", str(self.data), "--verify"], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    def recording(self, path):
        return (self.data / "recordings" / path).read_bytes()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Nginx:
    """nginx with its default limits (bodies of 1 MiB, whole requests buffered, HTTP/1.0 behind it) in front of a port."""

    def __init__(self, folder, target):
        self.program = unpacked("usr/sbin/nginx")
        if self.program is None:
            raise Skipped("nginx is not there: Tests/Peers/setup.sh")
        self.folder, self.port = pathlib.Path(folder), free_port()
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        (self.folder / "nginx.conf").write_text(
            "daemon off; master_process off; pid nginx.pid; events {}\nhttp {\naccess_log off;\n"
            + "".join(f"{kind}_temp_path {self.folder}/{kind};\n" for kind in kinds)
            + f"server {{ listen 127.0.0.1:{self.port}; location / {{ proxy_pass http://127.0.0.1:{target}; }} }}\n}}\n")
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self):
        log = self.folder / "nginx.log"
        with open(log, "ab") as output:
            self.process = subprocess.Popen(
                [self.program, "-p", self.folder, "-c", self.folder / "nginx.conf", "-e", log], stdout=output, stderr=output)
        until(lambda: self.process.poll() is not None or listens(self.port), "nginx listens")
        assert self.process.poll() is None, log.read_text()

    def kill(self):
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def small_disk(folder, size="24m"):
    """A file system of its own in memory. A full one is mended by `grow`, which it gives."""
    if os.geteuid() != 0:
        raise Skipped("not root: a small file system cannot be mounted")
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", folder], check=True)
    try:
        yield lambda options: subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True)
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


# MARK: Running


class _Output(io.TextIOBase):
    """What a thread prints appears as a whole, after its scenario."""

    def __init__(self, real):
        self.real, self.local = real, threading.local()

    def write(self, text):
        kept = getattr(self.local, "kept", None)
        return self.real.write(text) if kept is None else kept.write(text)

    def flush(self):
        self.real.flush()


_printing = threading.Lock()


def attempt(name, promise, call):
    """Runs one scenario in a folder of its own and prints a line. - Returns: "ok", "skip" or "FAILED"."""
    began, result, words = time.monotonic(), "ok", io.StringIO()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, _Output):
            stream.local.kept = words
    folder = pathlib.Path(tempfile.mkdtemp(prefix="peers-"))
    try:
        call(folder)
    except Skipped as reason:
        result, promise = "skip", f"{promise} SKIPPED: {reason}"
    except Exception:
        result = "FAILED"
        traceback.print_exc(file=words)
        with contextlib.suppress(OSError):
            words.write((folder / "mount.log").read_text(errors="replace")[-4_000:])
    # Never into a mount that is still there.
    if not any(f" {folder}/" in line for line in open("/proc/self/mounts")):
        shutil.rmtree(folder, ignore_errors=True)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, _Output):
            stream.local.kept = None
    with _printing:
        print(f"{words.getvalue()}{result:6} {time.monotonic() - began:6.1f} s  {name}: {promise}", flush=True)
    return result


def promise(scenario):
    return scenario.__doc__.strip().splitlines()[0]


def close(results):
    """Prints the closing line, and ends."""
    passed, failed = results.count("ok"), results.count("FAILED")
    if skipped := results.count("skip"):
        print(f"{skipped} skipped")
    print(f"{passed} passed, {failed} failed", flush=True)
    # Not sys.exit: what a failed scenario left in a system call must not keep the others' result waiting.
    os._exit(1 if failed or not passed else 0)


def run(scenarios):
    """Runs functions that take a folder; the first line of a docstring is the promise it checks."""
    parser = argparse.ArgumentParser()
    parser.add_argument("only", nargs="*", help="names of scenarios; all without")
    only = parser.parse_args().only
    close([
        attempt(scenario.__name__, promise(scenario), scenario)
        for scenario in scenarios if not only or scenario.__name__ in only])


def run_groups(groups, workers):
    """Runs groups of scenarios, several groups at once. - Each is a function that gives the list of its results."""
    sys.stdout, sys.stderr = _Output(sys.stdout), _Output(sys.stderr)
    # Not `with`, which joins the threads: CPython 3.11 was seen to wait there for ever for one that had ended. `close` ends all.
    pool = concurrent.futures.ThreadPoolExecutor(workers)
    return [result for results in pool.map(lambda group: group(), groups) for result in results]
