"""What is measured of a mount; each measure reports one JSON line."""
import json, os, shutil, threading, time
from data import MIB, block, digest, digest_of, write_all, write_paced
from processes import Meter, cpu_seconds, wait_for

BLOCK_SIZES = {"1M": MIB, "128K": 128 << 10, "4K": 4 << 10}
SYNC_SECONDS_MAX = 600
RESULTS = []


def report(peer, measure, **figures):
    line = dict(peer=peer, measure=measure, **figures)
    RESULTS.append(line)
    print(json.dumps(line), flush=True)


def percentile(ascending, percent):
    """In milliseconds."""
    return round(ascending[min(len(ascending) - 1, int(len(ascending) * percent / 100))] * 1e3, 1)


def write(peer, rep, label, size):
    name, seed = f"write-{label}.bin", rep * 10 + len(label)
    meter = Meter(peer)
    start, written, closed = write_all(peer.path(name), size, BLOCK_SIZES[label], seed)
    figures = dict(MBps=round(size / 1e6 / (written - start), 1), close_s=round(closed - written, 3))
    if peer.synchronizes:
        wait_for(f"{name} is synced", lambda: peer.is_synced(name, size), SYNC_SECONDS_MAX)
        synced = time.monotonic()
        figures.update(
            synced_s=round(synced - start, 3), last_byte_to_synced_s=round(synced - written, 3),
            synced_of_write=round((synced - start) / (written - start), 2))
    report(peer.name, "write", bs=label, rep=rep, bytes=size, **figures, **meter.read())
    if label == "1M":
        read(peer, rep, name, size)
        if peer.synchronizes:
            verify(peer, rep, name, digest(size, seed))
    os.unlink(peer.path(name))


def read(peer, rep, name, size):
    file = os.open(peer.path(name), os.O_RDONLY)
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    buffer, start = bytearray(MIB), time.monotonic()
    while os.readv(file, [buffer]):
        pass
    report(peer.name, "read", rep=rep, bytes=size, MBps=round(size / 1e6 / (time.monotonic() - start), 1))
    os.close(file)


def verify(peer, rep, name, expected):
    same = digest_of(peer.at_destination(name)) == expected
    report(peer.name, "verified", rep=rep, ok=same)
    if not same:
        raise RuntimeError(f"{name}: the destination has other bytes")


def files(peer, rep, count, size):
    """Many small files; then their names and attributes."""
    folder = peer.path("small")
    meter, start = Meter(peer), time.monotonic()
    os.mkdir(folder)
    make_files(folder, count, size, rep)
    figures = dict(create_s=round(time.monotonic() - start, 3))
    listing = time.monotonic()
    for entry in os.scandir(folder):
        entry.stat(follow_symlinks=False)
    figures.update(list_s=round(time.monotonic() - listing, 3))
    if peer.synchronizes:
        wait_for("the small files are synced", lambda: peer.has_all("small", count, size), SYNC_SECONDS_MAX, 0.1)
        figures.update(synced_s=round(time.monotonic() - start, 3))
    else:
        # passthrough_ll holds a descriptor for each, and needs them for `names`.
        shutil.rmtree(folder)
    report(peer.name, "files", rep=rep, files=count, bytes=size, **figures, **meter.read())


def names(peer, rep, count):
    """One folder with many names, listed twice: the second time nothing has to be learned any more."""
    folder = peer.path("names")
    os.mkdir(folder)
    for number in range(count):
        os.symlink("x", f"{folder}/link {number:06d}")
    for _ in range(2):
        start = time.monotonic()
        found = sum(1 for _ in os.scandir(folder))
        seconds = time.monotonic() - start
    if found != count:
        raise RuntimeError(f"{found} names of {count} are listed")
    report(peer.name, "names", rep=rep, names=count, list_s=round(seconds, 3))


def make_files(folder, count, size, seed):
    for number in range(count):
        file = os.open(f"{folder}/f{number:06d}", os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o644)
        os.write(file, block(number * size, size, seed))
        os.close(file)


def lag(peer, rep, size):
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


def closing(peer, rep, count=20):
    """From the last byte of a short recording until it is synced, one after the other."""
    times = []
    for number in range(count):
        name = f"short{number}.bin"
        _, written, _ = write_all(peer.path(name), 3 * MIB + 100, 64 << 10, number)
        wait_for(f"{name} is synced", lambda: peer.attribute(name, "status") == "synced", 60, 0.002)
        times.append(time.monotonic() - written)
    times.sort()
    report(peer.name, "closing", rep=rep, recordings=count, p50_ms=percentile(times, 50), p99_ms=percentile(times, 99))


def outage(peer, rep, seconds=10):
    """What write() of 64 KiB takes at 8 MiB/s while all is well, while the receiver is gone, and after it came back."""
    name, count = "outage.bin", 64 << 10
    file, offset, quiet = os.open(peer.path(name), os.O_CREAT | os.O_WRONLY, 0o644), 0, None

    def phase(what):
        nonlocal offset, quiet
        times, begun, first = [], time.monotonic(), offset
        while time.monotonic() - begun < seconds:
            data, before = block(offset, count, rep), time.monotonic()
            os.write(file, data)
            times.append(time.monotonic() - before)
            offset += count
            ahead = (offset - first) / (8 * MIB) - (time.monotonic() - begun)
            if ahead > 0:
                time.sleep(ahead)
        times.sort()
        p999 = percentile(times, 99.9)
        quiet = quiet or p999
        report(
            peer.name, "outage", rep=rep, phase=what, writes=len(times), p50_ms=percentile(times, 50),
            p999_ms=p999, p999_of_quiet=round(p999 / quiet, 2), max_ms=percentile(times, 100))

    phase("quiet")
    peer.kill_server()
    phase("outage")
    # It starts beside the writer, as it does in life.
    starting = threading.Thread(target=peer.start_server)
    starting.start()
    phase("recovery")
    starting.join()
    os.close(file)
    wait_for(f"{name} is synced", lambda: peer.attribute(name, "status") == "synced", SYNC_SECONDS_MAX)


def sessions(peer, rep, count, size=256 << 10):
    """Recorders that all record at once, each a little at a time."""
    meter, start, step = Meter(peer), time.monotonic(), 64 << 10
    os.mkdir(peer.path("sessions"))
    open_files = [os.open(peer.path(f"sessions/s{number}"), os.O_CREAT | os.O_WRONLY, 0o644) for number in range(count)]
    for offset in range(0, size, step):
        for number, file in enumerate(open_files):
            os.write(file, block(offset, step, number))
    for file in open_files:
        os.close(file)
    written = time.monotonic()
    wait_for("all sessions are synced", lambda: peer.attribute("sessions", "status") == "synced", SYNC_SECONDS_MAX, 0.1)
    report(
        peer.name, "sessions", rep=rep, sessions=count, bytes=size, write_s=round(written - start, 3),
        synced_s=round(time.monotonic() - start, 3), **meter.read())


def idle(peer, rep, seconds=5):
    pid = peer.daemon()
    before = cpu_seconds(pid)
    time.sleep(seconds)
    report(peer.name, "idle", rep=rep, seconds=seconds, daemon_cpu_s=round(cpu_seconds(pid) - before, 3))
