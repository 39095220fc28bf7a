"""A receiver and a mount that uploads to it, and the comparison of what both hold in the end."""
import contextlib, hashlib, os, signal, socket, subprocess, sys, threading, time

MIB = 1 << 20
MANIFEST = ".reelfs-manifest.json"
# For anything that must happen; a hang, not a stall. Generous: machines are busy.
HANG_SECONDS = 120


class Failure(Exception):
    """What must not happen; the text says what and where."""


def wait_for(what, condition, seconds=HANG_SECONDS, every=0.02):
    """The first truthy answer of `condition`; a Failure after `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            if answer := condition():
                return answer
        time.sleep(every)
    raise Failure(f"not within {seconds} s: {what}")


class Served:
    """`with Served(...)`: a mount at `mnt`, made anew below `folder`. Chunks are sealed and sent soon."""

    def __init__(self, reelfs, folder, quota=None, options="allow_other"):
        self.reelfs, self.folder, self.quota, self.options = os.path.abspath(reelfs), folder, quota, options
        self.mnt, self.state, self.data = (os.path.join(folder, name) for name in ("mnt", "state", "data"))
        self.port = self._free_port()
        self.receiver = self.mount = self.background = None
        self.kills = 0

    @staticmethod
    def _free_port():
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            return s.getsockname()[1]

    def __enter__(self):
        # Told to end, as by a time limit: everything started here ends as well.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to end"))
        os.makedirs(self.mnt)
        try:
            self.receiver = self._start(
                "receiver", "receive", "--listen", f"127.0.0.1:{self.port}", "--data", self.data)
            wait_for("the receiver listens", self._listens)
            quota = ["--spool-quota", self.quota] if self.quota else []
            self.mount = self._start(
                "mount", "mount", f"http://127.0.0.1:{self.port}", self.mnt, "--state-dir", self.state, "-o", self.options,
                "--device", "conformance", "--retry-initial", "0.2", "--retry-max", "2", "--max-lag", "1",
                "--settle", "0.2", "--connection-check-interval", "0.5", *quota)
            wait_for("mounted", self._is_mounted)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *_):
        if self.background:
            self.background.stop()
        for process in (self.mount, self.receiver):
            if process:
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(HANG_SECONDS)
                if process.poll() is None:
                    process.kill()
        if os.path.ismount(self.mnt):
            subprocess.run(["umount", "-l", self.mnt])

    def _start(self, name, *words):
        log = open(os.path.join(self.folder, name + ".log"), "ab")
        return subprocess.Popen([self.reelfs, *words], stdout=log, stderr=subprocess.STDOUT)

    def _check(self, name, process):
        if process.poll() is not None:
            log = open(os.path.join(self.folder, name + ".log"), errors="replace").read()
            raise Failure(f"the {name} ended with {process.returncode}: {log[-2000:]}")

    def _listens(self):
        self._check("receiver", self.receiver)
        with contextlib.closing(socket.create_connection(("127.0.0.1", self.port), 1)):
            return True

    def _is_mounted(self):
        self._check("mount", self.mount)
        return os.path.ismount(self.mnt) and os.path.isdir(os.path.join(self.mnt, ".status"))

    # -- trouble
    def worker(self):
        """Its process id; None while there is none."""
        self._check("mount", self.mount)
        with contextlib.suppress(OSError):
            children = open(f"/proc/{self.mount.pid}/task/{self.mount.pid}/children").read().split()
            return int(children[0]) if children else None

    def kill_worker(self):
        """SIGKILL, and no waiting: whatever is called next meets the worker's death or its successor."""
        if worker := self.worker():
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
                self.kills += 1

    def command(self, *words):
        """Runs `reelfs WORDS`. - Raises: Failure unless it succeeds."""
        done = subprocess.run([self.reelfs, *words], capture_output=True, text=True, timeout=HANG_SECONDS)
        if done.returncode != 0:
            raise Failure(f"reelfs {' '.join(words)}: exit code {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def keep_uploading(self):
        """From now on a recording grows beside whatever else goes on, so that there is always something on its way."""
        self.background = Background(os.path.join(self.mnt, "background.rec"))
        self.background.start()

    # -- the end
    def settle(self, seconds=600):
        """Ends the background recording and returns when all is synced."""
        if self.background:
            self.background.stop()
            self.background = None
        self.command("retry", "--force", self.mnt)
        try:
            wait_for("all is synced", self._is_synced, seconds, 0.1)
        except Failure as failure:
            raise Failure(f"{failure}: {self._summary()}") from None

    def _is_synced(self):
        self._check("mount", self.mount)
        self._check("receiver", self.receiver)
        return os.getxattr(self.mnt, "user.sync.status") == b"synced"

    def _summary(self):
        with open(os.path.join(self.mnt, ".status/summary")) as file:
            return file.readline().strip()

    def compare(self, below=""):
        """Compares every recording with the receiver's copy of it. - Returns: how many recordings, and bytes."""
        seen, size = set(), 0
        for folder, folders, names in os.walk(os.fsencode(os.path.join(self.mnt, below) if below else self.mnt)):
            if folder == os.fsencode(self.mnt):
                folders.remove(b".status")
            for name in folders + names:
                # For the comparison; they were uploaded without. Deeper than a path can say nothing lies that it cannot read.
                path = os.path.join(folder, name)
                with contextlib.suppress(OSError):
                    if not os.path.islink(path) and not os.access(path, os.R_OK):
                        os.chmod(path, 0o700)
            for name in names:
                path = os.path.join(folder, name)
                status = os.lstat(path)
                if status.st_mode & 0o170000 == 0o100000 and status.st_ino not in seen:
                    seen.add(status.st_ino)
                    size += self._compare(path, status.st_size)
        return len(seen), size

    def _compare(self, path, size):
        session = os.getxattr(path, "user.sync.session").decode()
        folder = os.path.join(self.data, session)
        there = [entry for entry in os.listdir(folder)
                 if entry != MANIFEST and os.path.isfile(os.path.join(folder, entry))]
        if len(there) != 1:
            raise Failure(f"{path}: at the receiver {session} has {sorted(os.listdir(folder))}, not one recording")
        copy = os.path.join(folder, there[0])
        if os.path.getsize(copy) != size or digest(copy) != digest(path):
            raise Failure(f"{path}: {size} bytes here, the receiver has others ({os.path.getsize(copy)} bytes) in {copy}")
        return size


def digest(path):
    """Whoever's file it is: root reads all."""
    result = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(MIB):
            result.update(block)
    return result.digest()


class Background(threading.Thread):
    """A recorder of about 2 MiB a second, in pieces that are no round number."""
    PIECE = 64_321
    INTERVAL = PIECE / (2 * MIB)

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path, self._stop_asked, self._failure = path, threading.Event(), None

    def run(self):
        try:
            with open(self.path, "ab", buffering=0) as file:
                while not self._stop_asked.wait(self.INTERVAL):
                    file.write(os.urandom(self.PIECE))
        except OSError as error:
            self._failure = error

    def stop(self):
        """- Raises: Failure if a write failed."""
        self._stop_asked.set()
        self.join()
        if self._failure:
            failure, self._failure = self._failure, None
            raise Failure(f"the recording in the background: {failure}")


def is_served(body, quota=None):
    """Calls `body(served, folder)` with a mount in which a recording grows all the while; in the end the receiver must have all.

    - Returns: whether that was so; else everything is kept.
    """
    folder = work_folder()
    options = "allow_other" if os.geteuid() == 0 else "noatime"
    try:
        with Served(os.environ.get("REELFS", ".build/release/reelfs"), folder, quota, options) as served:
            served.keep_uploading()
            body(served, folder)
            served.settle()
            count, size = served.compare()
            print(f"{count} recordings left, {size} bytes: the receiver has them all; {served.kills} workers were killed")
    except Failure as failure:
        print(f"FAIL the whole: {failure}\nlogs and files are kept in {folder}")
        return False
    remove(folder)
    return True


def work_folder():
    """Where mount, spool, receiver and plain folder lie: on one real file system, not in memory."""
    base = os.environ.get("CONFORMANCE_DIR") or os.path.join(os.getcwd(), ".build", "conformance")
    folder = os.path.join(base, f"{os.getpid()}")
    os.makedirs(folder)
    return folder


def clear(folder):
    """Removes it with all that is below, whatever the modes of folders say and however deep they lie."""
    subprocess.run(["chmod", "-R", "u+rwx", folder], stderr=subprocess.DEVNULL, check=False)
    subprocess.run(["rm", "-rf", "--", folder], check=True)


def remove(folder):
    clear(folder)
    with contextlib.suppress(OSError):
        os.rmdir(os.path.dirname(folder))
