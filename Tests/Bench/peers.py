"""The mounts that are measured."""
import gzip, json, os, resource, shutil, signal, subprocess
from datetime import datetime
from processes import children, free_port, listens, wait_for

EXAMPLES = "/usr/share/doc/libfuse3-dev/examples"


class Missing(Exception):
    """A peer that cannot be had on this machine; the text says why."""


class Peer:
    """A mount to measure, with everything it needs in a folder of its own. Used as a context: started, then cleaned away."""
    synchronizes, is_ours, has_links, is_for_turns_only = True, False, True, False

    def __init__(self, home):
        self.home, self.processes = home, []
        self.mountpoint, self.data = os.path.join(home, "mnt"), os.path.join(home, "data")

    def spawn(self, name, command):
        log = open(os.path.join(self.home, name + ".log"), "ab")
        process = subprocess.Popen(command, stdout=log, stderr=log, env=dict(os.environ, RCLONE_CONFIG="/dev/null"))
        log.close()
        self.processes.append(process)
        return process

    def mounted(self, process):
        if process.poll() is not None:
            raise RuntimeError(f"{self.name} ended: " + self.logs())
        return os.path.ismount(self.mountpoint)

    def logs(self):
        texts = []
        for name in sorted(os.listdir(self.home)):
            if name.endswith(".log"):
                with open(os.path.join(self.home, name), errors="replace") as f:
                    texts.append(name + ": " + f.read()[-800:])
        return "\n".join(texts)

    def __enter__(self):
        os.makedirs(self.mountpoint)
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if os.path.ismount(self.mountpoint):
            command = ["umount", "-l"] if os.geteuid() == 0 else ["fusermount3", "-u", "-z"]
            subprocess.run(command + [self.mountpoint], check=False)
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.home, ignore_errors=True)

    def daemon(self):
        return self.client.pid

    def server_pid(self):
        return self.server.pid if self.synchronizes else None

    def path(self, name):
        return os.path.join(self.mountpoint, name)


class Reelfs(Peer):
    name, is_ours, options = "reelfs", True, []
    program = os.path.abspath(os.environ.get("REELFS", ".build/release/reelfs"))

    @classmethod
    def prepare(cls, tools):
        if not os.access(cls.program, os.X_OK):
            raise Missing(f"{cls.program} is not there: make build")

    def start(self):
        self.port = free_port()
        self.start_server()
        self.client = self.spawn("mount", [
            self.program, "mount", f"http://127.0.0.1:{self.port}", self.mountpoint, "--state-dir",
            os.path.join(self.home, "state"), *self.options])
        wait_for("mounted", lambda: self.mounted(self.client) and os.path.exists(self.path(".status/summary")))

    def start_server(self):
        self.server = self.spawn(
            "receiver", [self.program, "receive", "--listen", f"127.0.0.1:{self.port}", "--data", self.data])
        wait_for("the receiver listens", lambda: listens(self.port))

    def kill_server(self):
        self.server.kill()
        self.server.wait()
        self.processes.remove(self.server)

    def daemon(self):
        """The worker: what serves the mount, below the supervisor."""
        for pid in children(self.client.pid):
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                if f.read().split(b"\0")[1:2] == [b"worker"]:
                    return pid
        raise RuntimeError("no worker below the supervisor")

    def attribute(self, name, attribute):
        return os.getxattr(self.path(name), "user.sync." + attribute).decode()

    def control(self, command):
        with open(self.path(".status/control"), "w") as f:
            f.write(command + "\n")

    def is_synced(self, name, size):
        status = self.attribute(name, "status")
        if status in ("failed", "paused"):
            raise RuntimeError(f"{name} is {status}: " + self.attribute(name, "error"))
        return status == "synced"

    def at_destination(self, name):
        return os.path.join(self.data, self.attribute(name, "session"), name)

    def has_all(self, folder, count, size):
        """Whether a folder of many small files is at the destination."""
        return self.attribute(folder, "status") == "synced"

    def receipts(self, name):
        """When (seconds since 1970) each chunk of a recording was uploaded last."""
        session, times = self.attribute(name, "session"), {}
        with open(self.path(".status/events.jsonl"), encoding="utf-8") as f:
            for event in map(json.loads, f):
                if event["type"] == "CHUNK_UPLOADED" and event["sessionId"] == session:
                    moment = datetime.fromisoformat(event["time"].replace("Z", "+00:00"))
                    times[event["chunkId"]] = moment.timestamp()
        return times


class ReelfsWriteback(Reelfs):
    name, options = "reelfs_writeback", ["-o", "writeback"]


class PassthroughLL(Peer):
    """The example of the low-level API that comes with libfuse, over a plain folder."""
    name, synchronizes, options = "passthrough_ll", False, "cache=auto"

    @classmethod
    def prepare(cls, tools):
        compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
        if not compiler:
            raise Missing("no C compiler for libfuse's example")
        for name in ("passthrough_ll.c", "passthrough_helpers.h"):
            cls.unpack(name, tools)
        # The example includes a file that libfuse's own build would make.
        open(os.path.join(tools, "fuse_config.h"), "w").close()
        flags = subprocess.run(["pkg-config", "--cflags", "--libs", "fuse3"], capture_output=True, text=True)
        if flags.returncode != 0:
            raise Missing("pkg-config knows no fuse3: make setup")
        cls.program = os.path.join(tools, "passthrough_ll")
        built = subprocess.run(
            [compiler, "-O2", "-D_FILE_OFFSET_BITS=64", "-DHAVE_UTIMENSAT", "-DHAVE_POSIX_FALLOCATE", "-I", tools,
             os.path.join(tools, "passthrough_ll.c"), "-o", cls.program, *flags.stdout.split()],
            capture_output=True, text=True)
        if built.returncode != 0:
            raise Missing("libfuse's example does not compile: " + built.stderr[-500:])

    @staticmethod
    def unpack(name, tools):
        source = os.path.join(EXAMPLES, name)
        try:
            opened = open(source, "rb") if os.path.exists(source) else gzip.open(source + ".gz")
            with opened as f, open(os.path.join(tools, name), "wb") as out:
                shutil.copyfileobj(f, out)
        except OSError as error:
            raise Missing(f"libfuse's example is not installed: {error}") from error

    def start(self):
        os.makedirs(self.data)
        # It keeps a descriptor for each name that the kernel knows.
        resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
        self.client = self.spawn(
            "mount", [self.program, "-f", "-o", f"source={self.data},{self.options}", self.mountpoint])
        wait_for("mounted", lambda: self.mounted(self.client))


class PassthroughLLChecked(PassthroughLL):
    """As a folder is expected to be, and reelfs is: with attributes, and with permissions that are looked at."""
    name, options, is_for_turns_only = "passthrough_ll_checked", "cache=auto,xattr,default_permissions", True


class PassthroughLLWriteback(PassthroughLL):
    name, options = "passthrough_ll_writeback", "cache=always,writeback"


class Rclone(Peer):
    """rclone's mount, uploading at close to rclone's own webdav server."""
    name, has_links = "rclone", False

    @classmethod
    def prepare(cls, tools):
        cls.program = shutil.which("rclone")
        if not cls.program:
            raise Missing("rclone is not installed")

    def start(self):
        os.makedirs(self.data)
        port = free_port()
        self.server = self.spawn("server", [self.program, "serve", "webdav", self.data, "--addr", f"127.0.0.1:{port}"])
        wait_for("rclone's server listens", lambda: listens(port))
        self.client = self.spawn("mount", [
            self.program, "mount", f":webdav,url='http://127.0.0.1:{port}',vendor=rclone:", self.mountpoint,
            "--vfs-cache-mode", "writes", "--vfs-write-back", "0s", "--cache-dir", os.path.join(self.home, "cache")])
        wait_for("mounted", lambda: self.mounted(self.client))

    def at_destination(self, name):
        return os.path.join(self.data, name)

    def is_synced(self, name, size):
        return os.stat(self.at_destination(name)).st_size == size

    def has_all(self, folder, count, size):
        there = os.path.join(self.data, folder)
        return sum(1 for entry in os.scandir(there) if entry.stat().st_size == size) >= count


ALL = [Reelfs, PassthroughLL, PassthroughLLChecked, Rclone, ReelfsWriteback, PassthroughLLWriteback]
