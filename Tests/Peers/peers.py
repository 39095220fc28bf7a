"""What every peer test needs: a receiver to start and kill, folders, bytes, and a runner."""

import argparse
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
REELFS = os.environ.get("REELFS", str(ROOT / ".build/release/reelfs"))

# A loaded machine may take long for anything; what takes longer than this hangs.
PATIENCE = 120


def noise(count, seed=1):
    """Bytes that look random and are the same in every run."""
    return random.Random(seed).randbytes(count)


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


def run(scenarios):
    """Runs functions that take a folder; the first line of a docstring is the promise it checks."""
    parser = argparse.ArgumentParser()
    parser.add_argument("only", nargs="*", help="names of scenarios; all without")
    only = parser.parse_args().only
    failed = 0
    for scenario in scenarios:
        if only and scenario.__name__ not in only:
            continue
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            try:
                scenario(pathlib.Path(folder))
                result = "ok"
            except Exception:
                traceback.print_exc()
                result, failed = "FAILED", failed + 1
        promise = scenario.__doc__.strip().splitlines()[0]
        print(f"{result:6} {time.monotonic() - began:6.1f} s  {scenario.__name__}: {promise}", flush=True)
    sys.exit(1 if failed else 0)
