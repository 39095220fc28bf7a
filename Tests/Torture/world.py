"""The programs under torture: a receiver, a proxy in front of it, and a mount; and what kills them."""
import collections, contextlib, os, signal, socket, subprocess, threading, time
from proxy import Proxy
from room import Room

# Recorders wait at most this long for anything but a dead mount; a hang, not a stall. Generous: machines are busy.
HANG_SECONDS = 90
# A read of evicted bytes may fail for so long after the network is well again: connections have to be made anew.
RECOVERY_SECONDS = 5


class Failure(Exception):
    """What must not happen; the text says what and where."""


class MountDied(Exception):
    """The whole mount was killed by us while a call was under way: the one error that recorders may see."""


def wait_for(what, condition, seconds=HANG_SECONDS, every=0.02):
    """The first truthy answer of `condition`; a Failure after `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            if answer := condition():
                return answer
        time.sleep(every)
    raise Failure(f"not within {seconds} s: {what}")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class World:
    def __init__(self, reelfs, folder, quota, seed):
        self.reelfs, self.folder, self.quota = reelfs, folder, quota
        self.mnt, self.state, self.data, self.shadows = (
            os.path.join(folder, name) for name in ("mnt", "state", "data", "shadows"))
        for path in (self.mnt, self.shadows):
            os.makedirs(path)
        self.port = free_port()
        self.proxy = Proxy(self.port, seed)
        self.mount = self.receiver = None
        # Set from before the whole mount is killed until it is there again; then the generation is one more.
        self.dying, self.stopping, self.generation = threading.Event(), threading.Event(), 0
        self.failures, self.kills = [], {}
        # The latest of what was done, for whoever looks why it failed.
        self.begun, self.latest = time.monotonic(), collections.deque(maxlen=8)
        self.receiver_away_until = 0.0
        self.room = Room(self)

    # -- programs
    def log(self, name):
        return open(os.path.join(self.folder, name + ".log"), "ab")

    def path(self, name):
        return os.path.join(self.mnt, name)

    def shadow(self, name):
        path = os.path.join(self.shadows, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def start_receiver(self):
        self.receiver = subprocess.Popen(
            [self.reelfs, "receive", "--listen", f"127.0.0.1:{self.port}", "--data", self.data],
            stdout=self.log("receiver"), stderr=subprocess.STDOUT)
        wait_for("the receiver listens", lambda: self._answers("receiver", self.receiver))

    def _answers(self, name, process):
        if process.poll() is not None:
            raise Failure(f"the {name} ended with {process.returncode}: see {name}.log")
        with contextlib.closing(socket.create_connection(("127.0.0.1", self.port), 1)):
            return True

    def start_mount(self):
        self.mount = subprocess.Popen(
            [self.reelfs, "mount", f"http://127.0.0.1:{self.proxy.port}", self.mnt, "--state-dir", self.state,
             "--spool-quota", self.quota, "--device", "torture", "--retry-initial", "0.2", "--retry-max", "2",
             "--connection-check-interval", "0.5", "--upload-timeout", "10", "--max-lag", "3", "--settle", "0.5"],
            stdout=self.log("mount"), stderr=subprocess.STDOUT)
        wait_for("mounted", self._is_mounted)

    def _is_mounted(self):
        self.check_mount()
        return os.path.ismount(self.mnt) and os.path.isdir(self.path(".status"))

    def check_mount(self):
        if self.mount.poll() is not None:
            raise Failure(f"the mount ended by itself with {self.mount.returncode}: see mount.log")

    def command(self, *words, check=True):
        """Runs `reelfs WORDS`."""
        done = subprocess.run([self.reelfs, *words], capture_output=True, text=True, timeout=HANG_SECONDS)
        if check and done.returncode != 0:
            raise Failure(f"reelfs {' '.join(words)}: exit code {done.returncode}: {done.stderr.strip()}")
        return done

    # -- kills
    def count(self, kind):
        self.kills[kind] = self.kills.get(kind, 0) + 1
        self.latest.append(f"{time.monotonic() - self.begun:.1f} s {kind}")

    def worker(self):
        """None while there is none."""
        with contextlib.suppress(OSError):
            children = open(f"/proc/{self.mount.pid}/task/{self.mount.pid}/children").read().split()
            return int(children[0]) if children else None

    def kill_worker(self):
        if worker := self.worker():
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
                self.count("worker")

    def serving_worker(self):
        """The worker, if it answers. One that was killed a moment ago may still be listed, but another answers then."""
        worker = self.worker()
        os.statvfs(self.mnt)
        return worker if worker == self.worker() else None

    def kill_mount(self, supervisor_first):
        """Supervisor and worker, at once or the supervisor some time before; all recorders then see a dead mount."""
        self.check_mount()
        worker = self.worker()
        if supervisor_first:
            # Nobody replaces a worker any more from now on, so a dead one would be the mount's end before its time.
            worker = wait_for("a worker serves", self.serving_worker)
            self.count("supervisor")
            self.mount.kill()
            self.mount.wait()
            time.sleep(0.5)  # The worker goes on serving without one: that is what this is about.
        self.generation += 1
        self.dying.set()
        for pid in (self.mount.pid if not supervisor_first else None, worker):
            with contextlib.suppress(ProcessLookupError):
                if pid:
                    os.kill(pid, signal.SIGKILL)
        self.mount.wait()
        # A worker that took over just then is nobody's child any more; it holds the state directory.
        wait_for("every process of the mount is gone", self.nobody_serves)
        self.count("whole mount")

    def nobody_serves(self):
        leftover = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                words = open(f"/proc/{pid}/cmdline", "rb").read().split(b"\0")
                if self.state.encode() in words or any(word.startswith(self.mnt.encode()) for word in words):
                    if b"reelfs" in os.path.basename(words[0]):
                        leftover.append(int(pid))
        for pid in leftover:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not leftover

    def mount_again(self):
        subprocess.run(["umount", "-l", self.mnt], check=True)
        self.start_mount()
        self.dying.clear()

    def kill_receiver(self, away):
        self.receiver_away_until = float("inf")
        self.receiver.kill()
        self.receiver.wait()
        self.count("receiver")
        time.sleep(away)
        self.start_receiver()
        self.receiver_away_until = time.monotonic()

    # -- what is excused
    def network_was_bad(self, since):
        """Whether evicted bytes could not be had at some moment since `since`."""
        moment = since - RECOVERY_SECONDS
        return self.proxy.mode != "ok" or self.proxy.disturbed_until > moment or self.receiver_away_until > moment

    def fail(self, text):
        self.failures.append(text)
