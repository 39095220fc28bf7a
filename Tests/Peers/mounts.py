"""A mount of the real program, whatever it uploads to, and a recorder that writes into it.

Real programs under real kills: this needs root or fusermount3, and /dev/fuse.
"""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import threading
import time

import peers

MIB = 1 << 20
# Short times, so that nothing waits longer than what it waits for.
PROMPT = [
    "--settle", "0.3", "--max-lag", "1", "--retry-initial", "0.1", "--retry-max", "1", "--connection-check-interval", "0.5",
    "--upload-timeout", "30",
]
# The program's own limit is some 20 s; on a loaded machine that may take longer.
STOP_SECONDS_MAX = 45
HEADER = b"HEADER, as it is known at the end" * 8


class Mount:
    """`reelfs mount ADDRESS` below `folder`; its worker or all of it can be killed."""

    def __init__(self, address, folder, *flags, environment={}):
        self.path, self.state, self.address, self.flags = folder / "mnt", folder / "state", address, [*PROMPT, *flags]
        self.environment = {**os.environ, **environment}
        self.path.mkdir(exist_ok=True)
        self.log = open(folder / "mount.log", "a+b")
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [peers.REELFS, "mount", self.address, str(self.path), "--state-dir", str(self.state), *self.flags],
            stdout=self.log, stderr=subprocess.STDOUT, env=self.environment)
        try:
            peers.until(self._is_mounted, "mounted")
        except BaseException:
            self.process.kill()
            raise

    def _is_mounted(self):
        assert self.process.poll() is None, f"the mount ended with {self.process.returncode}: {self.said()}"
        return os.path.ismount(self.path) and (self.path / ".status").is_dir()

    def said(self):
        return os.pread(self.log.fileno(), 1 << 20, 0).decode(errors="replace")

    # MARK: Killing

    def worker(self):
        with contextlib.suppress(OSError, IndexError):
            return int(pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()[0])

    def kill_worker(self):
        """SIGKILL; returns once there is another one."""
        worker = peers.until(self.worker, "there is a worker")
        os.kill(worker, signal.SIGKILL)
        peers.until(lambda: self.worker() not in (None, worker), "there is another worker")

    def kill(self):
        """Supervisor and worker at once; nothing serves the folder then."""
        worker = self.worker()
        for pid in (self.process.pid, worker):
            if pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.process.wait()
        peers.until(lambda: not self._serves(), "no process of the mount is left")
        subprocess.run(["umount", "-l", str(self.path)], check=True)

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

    def stop(self):
        """By signal, not by umount: a copy of this mount in another namespace would keep the file system alive."""
        self.process.terminate()
        try:
            self.process.wait(timeout=STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            state = pathlib.Path(f"/proc/{self.worker()}/stack")
            said = self.said()[-2_000:]
            self.kill()
            raise AssertionError(f"the mount did not end: {said}\n{state.read_text() if state.exists() else ''}")

    def __enter__(self):
        return self

    def __exit__(self, error, *_):
        if self.process.poll() is not None:
            return
        if error:
            with contextlib.suppress(Exception):
                self.kill()
        else:
            self.stop()

    # MARK: What a user does and reads

    def ask(self, *words, path="", check=True):
        """`reelfs WORDS…` for the whole mount, or for one path in it."""
        done = subprocess.run(
            [peers.REELFS, *words, str(self.path / path)], capture_output=True, text=True, timeout=2 * peers.PATIENCE)
        if check:
            assert done.returncode == 0, f"reelfs {' '.join(words)}: {done.returncode}: {done.stdout}{done.stderr}{self.said()[-2000:]}"
        return done.stdout

    def write(self, name, data, at=None):
        """Creates a recording, or writes into one."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "wb" if at is None else "r+b") as file:
            file.seek(at or 0)
            file.write(data)

    def read(self, name):
        return (self.path / name).read_bytes()

    def attribute(self, name, attribute):
        """nil, as one says elsewhere, is None here: the attribute is not there."""
        with contextlib.suppress(OSError):
            return os.getxattr(self.path / name, "user.sync." + attribute).decode()

    def status(self, name=""):
        return self.attribute(name, "status")

    def number(self, name, attribute):
        return int(self.attribute(name, attribute) or -1)

    def synced(self, *names):
        for name in names:
            try:
                peers.until(lambda: self.status(name) == "synced", f"{name} is synced")
            except AssertionError:
                raise AssertionError((self.path / ".status" / name).read_text() + self.said()[-3_000:]) from None

    def complaint(self):
        """What the whole mount says of itself."""
        return f"{self.status()}: {self.attribute('', 'error') or self.ask('status', check=False)}"

    def until_paused(self, *words):
        """Waits until it is paused and says all of `words`."""
        try:
            peers.until(
                lambda: self.complaint().startswith("paused") and all(word in self.complaint() for word in words),
                f"paused: {words}")
        except AssertionError as error:
            raise AssertionError(f"{error}; it says {self.complaint()}") from None

    def told(self, *types):
        """Waits for the events, which are told a moment after the journal, and with it the status, has what they are about."""
        log = self.path / ".status" / "events.jsonl"
        peers.until(
            lambda: set(types) <= {json.loads(line)["type"] for line in open(log, encoding="utf-8")}, f"{types} are told")

    def local_bytes(self, name):
        """What the spool's copy occupies."""
        return (self.state / "recordings" / name).stat().st_blocks * 512

    def files(self):
        return {
            str(path.relative_to(self.path)) for path in self.path.rglob("*")
            if path.is_file() and ".status" not in path.relative_to(self.path).parts}


class Recorder:
    """Records `size` MiB (fewer after `enough`) at some pace, and rewrites the first bytes at the end, as recorders of WAV and
    MP4 do."""

    def __init__(self, path, size, seconds=0.02):
        self.path, self.size, self.seconds = path, size, seconds
        self.bytes = peers.take(size * MIB + 4321, size)
        self.failure = None
        self.has_enough = threading.Event()
        self.written = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        try:
            with open(self.path, "wb", buffering=0) as file:
                for start in range(0, len(self.bytes), MIB):
                    file.write(self.bytes[start:start + MIB])
                    self.written = start
                    if self.has_enough.is_set():
                        self.bytes = self.bytes[:start + MIB]
                        break
                    time.sleep(self.seconds)
                file.seek(0)
                file.write(HEADER)
        except OSError as error:
            self.failure = error

    def enough(self):
        self.has_enough.set()

    @property
    def is_recording(self):
        return self.thread.is_alive()

    def until(self, mib):
        """Waits until so much is recorded."""
        peers.until(lambda: self.written >= mib * MIB or not self.is_recording, "recording goes on")

    def done(self):
        """Waits for the end. - The bytes that the recording must have."""
        self.thread.join()
        assert self.failure is None, self.failure
        return HEADER + self.bytes[len(HEADER):]


def record(mount, name, data, header, during=lambda at: None, every=4 * MIB):
    """A recorder that reopens its file: appends, and rewrites its header at the end. `during(at)` is called between writes."""
    path = mount.path / name
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


def common(a, b):
    """How many bytes are equal at the beginning."""
    return next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
