#!/usr/bin/env python3
"""Measures reelfs beside libfuse's passthrough_ll and beside rclone, run by run, and prints one JSON object a line.

Environment:
  REELFS     the program                                      (.build/release/reelfs)
  SIZE       bytes of the large recording, with K, M or G     (2G)
  SMALL      bytes written at 128 KiB and at 4 KiB a write    (256M)
  PACED      bytes written at 8 MiB/s for the chunk lag       (64M)
  REPS       runs of each peer; peers alternate run by run    (3)
  PEERS      of reelfs, passthrough_ll, rclone                (all that can be had)
  BENCH_DIR  where spool, receiver and peers keep their data  (/dev/shm: the code is measured, not the disk)

Measures, all in one process that writes incompressible bytes of which no two chunks are equal:
  write      MB/s (10^6) into the mount from open() to the end of the last write(), while uploads run; close_s: close();
             synced_s: from open() until the recording is whole at the destination; last_byte_to_synced_s: from the end of
             the last write() until then (reelfs waits --settle, 1 s by default, for a writer to come back; rclone runs with
             --vfs-write-back 0s). CPU seconds and peak RSS (VmHWM, reset before each run) of the process that serves the
             mount (for reelfs the worker below the supervisor) and of the destination's server.
  verified   for the 1 MiB run: SHA-256 of what was written and of what lies at the destination are equal.
  lag        reelfs only: one recording paced at 8 MiB/s in 64 KiB writes. A chunk is sealed when the write() that fills it
             returns: that moment is taken here. Its receipt is the `time` of its CHUNK_UPLOADED in `.status/events.jsonl`,
             which is written after the receipt was journaled. Lag = receipt - sealed, over the full chunks.
  idle       reelfs only: CPU seconds of the worker over 5 s after all is synced, with the mount idle.
  summary    medians over the runs, and the ratio of write speeds to passthrough_ll's.
"""
import gzip, hashlib, json, os, shutil, signal, socket, statistics, subprocess, sys, tempfile, time
from datetime import datetime

MIB = 1 << 20
HZ = os.sysconf("SC_CLK_TCK")
BLOCK_SIZES = {"1M": MIB, "128K": 128 << 10, "4K": 4 << 10}
SYNC_SECONDS_MAX = 600
EXAMPLES = "/usr/share/doc/libfuse3-dev/examples"


class Missing(Exception):
    """A peer that cannot be had on this machine; the text says why."""


def size_of(text):
    units = {"K": 10, "M": 20, "G": 30}
    unit = text[-1:].upper()
    try:
        count = float(text[:-1]) * (1 << units[unit]) if unit in units else int(text)
    except ValueError:
        sys.exit(f"bench: {text!r} is not a size: write a number and K, M or G")
    return int(count)


def wait_for(what, condition, seconds=30, every=0.01):
    """The first truthy answer of `condition`; ends the program after `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if answer := condition():
                return answer
        except OSError:
            pass
        time.sleep(every)
    raise RuntimeError(f"not within {seconds} s: {what}")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def listens(port):
    with socket.create_connection(("127.0.0.1", port), 1):
        return True


# MARK: bytes to write

POOL = os.urandom(64 * MIB + MIB)


def block(offset, count, seed):
    """`count` (at most 1 MiB) bytes for `offset`: a window into random bytes that moves with every MiB, so that chunks differ."""
    chunk, inside = divmod(offset, MIB)
    start = (chunk * 1_048_583 + seed * 7_919) % (64 * MIB - MIB)
    return memoryview(POOL)[start + inside:start + inside + count]


def digest(size, seed):
    sha = hashlib.sha256()
    for offset in range(0, size, MIB):
        sha.update(block(offset, min(MIB, size - offset), seed))
    return sha.hexdigest()


def digest_of(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def write_all(path, size, count, seed):
    """Writes as fast as it goes. Returns the moments before open, after the last write, after close."""
    start = time.monotonic()
    f = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o644)
    for offset in range(0, size, count):
        data = block(offset, min(count, size - offset), seed)
        while len(data):
            data = data[os.write(f, data):]
    written = time.monotonic()
    os.close(f)
    return start, written, time.monotonic()


def write_paced(path, size, rate, seed):
    """Writes 64 KiB at a time, `rate` bytes a second. Returns when (seconds since 1970) each full chunk was complete."""
    sealed, count = [], 64 << 10
    start = time.monotonic()
    f = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o644)
    for offset in range(0, size, count):
        os.write(f, block(offset, count, seed))
        if (offset + count) % MIB == 0:
            sealed.append(time.time())
        ahead = (offset + count) / rate - (time.monotonic() - start)
        if ahead > 0:
            time.sleep(ahead)
    os.close(f)
    return sealed


# MARK: processes

def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / HZ


def peak_bytes(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) << 10 for line in f if line.startswith("VmHWM"))


def reset_peak(pid):
    with open(f"/proc/{pid}/clear_refs", "w") as f:
        f.write("5")


def children(pid):
    found = []
    for other in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{other}/stat") as f:
                if int(f.read().rsplit(")", 1)[1].split()[1]) == pid:
                    found.append(int(other))
        except (OSError, IndexError, ValueError):
            pass
    return found


class Meter:
    """CPU and peak memory of the two processes of a peer, from its making to `read`."""

    def __init__(self, peer):
        self.roles = {"daemon": peer.daemon(), "server": peer.server_pid()}
        self.roles = {role: pid for role, pid in self.roles.items() if pid}
        for pid in self.roles.values():
            reset_peak(pid)
        self.before = {role: cpu_seconds(pid) for role, pid in self.roles.items()}

    def read(self):
        figures = {}
        for role, pid in self.roles.items():
            figures[f"{role}_cpu_s"] = round(cpu_seconds(pid) - self.before[role], 2)
            figures[f"{role}_peak_rss_mib"] = round(peak_bytes(pid) / MIB, 1)
        return figures


# MARK: peers

class Peer:
    """A mount to measure, with everything it needs in a folder of its own. Used as a context: started, then cleaned away."""
    synchronizes = True

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
    name = "reelfs"
    program = os.path.abspath(os.environ.get("REELFS", ".build/release/reelfs"))

    @classmethod
    def prepare(cls, tools):
        if not os.access(cls.program, os.X_OK):
            raise Missing(f"{cls.program} is not there: make build")

    def start(self):
        port = free_port()
        self.server = self.spawn(
            "receiver", [self.program, "receive", "--listen", f"127.0.0.1:{port}", "--data", self.data])
        wait_for("the receiver listens", lambda: listens(port))
        self.client = self.spawn("mount", [
            self.program, "mount", f"http://127.0.0.1:{port}", self.mountpoint, "--state-dir",
            os.path.join(self.home, "state")])
        wait_for("mounted", lambda: self.mounted(self.client) and os.path.exists(self.path(".status/summary")))

    def daemon(self):
        """The worker: what serves the mount, below the supervisor."""
        for pid in children(self.client.pid):
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                if f.read().split(b"\0")[1:2] == [b"worker"]:
                    return pid
        raise RuntimeError("no worker below the supervisor")

    def attribute(self, name, attribute):
        return os.getxattr(self.path(name), "user.sync." + attribute).decode()

    def is_synced(self, name, size):
        status = self.attribute(name, "status")
        if status in ("failed", "paused"):
            raise RuntimeError(f"{name} is {status}: " + self.attribute(name, "error"))
        return status == "synced"

    def at_destination(self, name):
        return os.path.join(self.data, self.attribute(name, "session"), name)

    def receipts(self, name):
        """When (seconds since 1970) each chunk of a recording was uploaded last."""
        session, times = self.attribute(name, "session"), {}
        with open(self.path(".status/events.jsonl"), encoding="utf-8") as f:
            for event in map(json.loads, f):
                if event["type"] == "CHUNK_UPLOADED" and event["sessionId"] == session:
                    moment = datetime.fromisoformat(event["time"].replace("Z", "+00:00"))
                    times[event["chunkId"]] = moment.timestamp()
        return times


class PassthroughLL(Peer):
    """The example of the low-level API that comes with libfuse, over a plain folder."""
    name, synchronizes = "passthrough_ll", False

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
        self.client = self.spawn(
            "mount", [self.program, "-f", "-o", f"source={self.data},cache=auto", self.mountpoint])
        wait_for("mounted", lambda: self.mounted(self.client))


class Rclone(Peer):
    """rclone's mount, uploading at close to rclone's own webdav server."""
    name = "rclone"

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


# MARK: measures

RESULTS = []


def report(peer, measure, **figures):
    line = dict(peer=peer, measure=measure, **figures)
    RESULTS.append(line)
    print(json.dumps(line), flush=True)


def measure_write(peer, rep, label, size):
    name, seed = f"write-{label}.bin", rep * 10 + len(label)
    meter = Meter(peer)
    start, written, closed = write_all(peer.path(name), size, BLOCK_SIZES[label], seed)
    figures = dict(MBps=round(size / 1e6 / (written - start), 1), close_s=round(closed - written, 3))
    if peer.synchronizes:
        wait_for(f"{name} is synced", lambda: peer.is_synced(name, size), SYNC_SECONDS_MAX)
        synced = time.monotonic()
        figures.update(synced_s=round(synced - start, 3), last_byte_to_synced_s=round(synced - written, 3))
    report(peer.name, "write", bs=label, rep=rep, bytes=size, **figures, **meter.read())
    if peer.synchronizes and label == "1M":
        same = digest_of(peer.at_destination(name)) == digest(size, seed)
        report(peer.name, "verified", bs=label, rep=rep, ok=same)
        if not same:
            raise RuntimeError(f"{name}: the destination has other bytes")
    os.unlink(peer.path(name))


def measure_lag(peer, rep, size):
    name = "paced.bin"
    meter = Meter(peer)
    sealed = write_paced(peer.path(name), size, 8 * MIB, seed=rep)
    wait_for(f"{name} is synced", lambda: peer.is_synced(name, size), SYNC_SECONDS_MAX)
    receipts = peer.receipts(name)
    missing = [index for index in range(len(sealed)) if index not in receipts]
    if missing:
        raise RuntimeError(f"no CHUNK_UPLOADED for chunks {missing[:5]} of {name}")
    lags = sorted(receipts[index] - moment for index, moment in enumerate(sealed))
    report(
        peer.name, "lag", rep=rep, chunks=len(lags), p50_ms=percentile(lags, 50), p99_ms=percentile(lags, 99),
        **meter.read())


def percentile(ascending, percent):
    return round(ascending[min(len(ascending) - 1, len(ascending) * percent // 100)] * 1e3, 1)


def measure_idle(peer, rep, seconds=5):
    pid = peer.daemon()
    before = cpu_seconds(pid)
    time.sleep(seconds)
    report(peer.name, "idle", rep=rep, seconds=seconds, daemon_cpu_s=round(cpu_seconds(pid) - before, 3))


def measure(peer, rep, sizes):
    for label in BLOCK_SIZES:
        measure_write(peer, rep, label, sizes["large"] if label == "1M" else sizes["small"])
    if peer.name == "reelfs":
        measure_lag(peer, rep, sizes["paced"])
        measure_idle(peer, rep)


def summarize():
    def median(peer, measure, figure, **wanted):
        values = [r[figure] for r in RESULTS if r["peer"] == peer and r["measure"] == measure and figure in r
                  and all(r.get(key) == value for key, value in wanted.items())]
        return round(statistics.median(values), 3) if values else None

    for peer in dict.fromkeys(result["peer"] for result in RESULTS if result["measure"] == "write"):
        figures = {}
        for label in BLOCK_SIZES:
            own, base = (median(name, "write", "MBps", bs=label) for name in (peer, "passthrough_ll"))
            figures[f"write_{label}_MBps"] = own
            if own and base and peer != "passthrough_ll":
                figures[f"write_{label}_of_passthrough_ll"] = round(own / base, 2)
        for figure in ("synced_s", "last_byte_to_synced_s", "daemon_cpu_s", "daemon_peak_rss_mib", "server_cpu_s",
                       "server_peak_rss_mib"):
            figures[figure] = median(peer, "write", figure, bs="1M")
        for figure in ("p50_ms", "p99_ms"):
            figures["lag_" + figure] = median(peer, "lag", figure)
        print(json.dumps(dict(
            peer=peer, measure="summary", **{name: value for name, value in figures.items() if value is not None})))


def main():
    base = os.environ.get("BENCH_DIR", "/dev/shm")
    sizes = {name: size_of(os.environ.get(variable, usual)) for name, variable, usual in (
        ("large", "SIZE", "2G"), ("small", "SMALL", "256M"), ("paced", "PACED", "64M"))}
    wanted = [name for name in os.environ.get("PEERS", "").split(",") if name]
    known = {peer.name: peer for peer in (Reelfs, PassthroughLL, Rclone)}
    if unknown := set(wanted) - set(known):
        sys.exit(f"bench: PEERS may name {', '.join(known)}; not {', '.join(sorted(unknown))}")
    # The spool (or cache) and the destination hold each byte once; half as much again for journals and logs.
    needed, free = int(2.5 * max(sizes.values())), shutil.disk_usage(base).free
    if free < needed:
        sys.exit(f"bench: {base} has {free // MIB} MiB free, {needed // MIB} are needed: set SIZE or BENCH_DIR")
    work, failed = tempfile.mkdtemp(prefix="reelfs-bench-", dir=base), False
    tools = tempfile.mkdtemp(prefix="reelfs-bench-tools-")
    try:
        peers = []
        for name, peer in known.items():
            if wanted and name not in wanted:
                continue
            try:
                peer.prepare(tools)
                peers.append(peer)
            except Missing as reason:
                report(name, "left_out", reason=str(reason))
                failed = failed or name in wanted
        for rep in range(1, int(os.environ.get("REPS", "3")) + 1):
            for peer in peers:
                try:
                    with peer(os.path.join(work, f"{peer.name}-{rep}")) as running:
                        measure(running, rep, sizes)
                except (RuntimeError, OSError) as error:
                    failed = True
                    report(peer.name, "failed", rep=rep, reason=str(error))
        summarize()
    finally:
        shutil.rmtree(work, ignore_errors=True)
        shutil.rmtree(tools, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
