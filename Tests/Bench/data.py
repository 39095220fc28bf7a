"""What is written: incompressible bytes of which no two chunks are equal."""
import hashlib, os, time

MIB = 1 << 20
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
