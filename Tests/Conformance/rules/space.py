"""Sizes, holes, fallocate and copy_file_range."""
import fcntl, os
from place import COLLAPSE_RANGE, INSERT_RANGE, KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE, content, equal, fallocate, opened
from rules import rule

KIB, MIB = 1 << 10, 1 << 20


@rule("truncating down and up again leaves zeros, at every border of pages, blocks and chunks")
def truncating(at):
    for size in (1, 4095, 4096, 4097, 100_000, MIB - 1, MIB, MIB + 1, 2 * MIB + 5):
        path = at.file("file", b"\xaa" * (2 * MIB + 100))
        os.truncate(path, size)
        equal((os.stat(path).st_size, content(path)), (size, b"\xaa" * size))
        os.truncate(path, 3 * MIB)
        equal(content(path) == b"\xaa" * size + bytes(3 * MIB - size), True, f"{size} bytes and zeros")
        with opened(path) as file:
            os.ftruncate(file, size // 2)
            os.pwrite(file, b"z", size)
            equal(os.pread(file, 3 * MIB, 0), b"\xaa" * (size // 2) + bytes(size - size // 2) + b"z")


@rule("what cannot be truncated says so")
def truncating_wrongly(at):
    path = at.file("file", b"x")
    at.fails("EINVAL", os.truncate, path, -1)
    at.fails("EISDIR", os.truncate, at.folder("folder"), 0)
    at.fails("ENOENT", os.truncate, at / "missing", 0)
    os.mkfifo(at / "fifo")
    at.fails("EINVAL", os.truncate, at / "fifo", 0)
    equal(os.stat(path).st_size, 1)


@rule("holes are zeros, take no space, and are found by SEEK_HOLE and SEEK_DATA")
def holes(at):
    with opened(at / "file") as file:
        os.pwrite(file, b"d" * 64 * KIB, 256 * KIB)
        os.pwrite(file, b"e" * 64 * KIB, 2 * MIB)
        os.ftruncate(file, 4 * MIB)
        os.fsync(file)
        places = []
        for offset in (0, 1, 256 * KIB, 300 * KIB, 320 * KIB, MIB, 2 * MIB, 2 * MIB + 64 * KIB, 4 * MIB - 1):
            for whence in (os.SEEK_DATA, os.SEEK_HOLE):
                places.append(at.see(os.lseek, file, offset, whence))
        at.note("places", places)
        for whence in (os.SEEK_DATA, os.SEEK_HOLE):
            at.fails("ENXIO", os.lseek, file, 4 * MIB, whence)
            at.fails("ENXIO", os.lseek, file, -1, whence)
        equal(at.note("blocks", os.fstat(file).st_blocks), 256)
        equal(os.pread(file, 256 * KIB, 0), bytes(256 * KIB))
    with opened(at / "empty") as file:
        at.fails("ENXIO", os.lseek, file, 0, os.SEEK_DATA)
        at.fails("ENXIO", os.lseek, file, 0, os.SEEK_HOLE)


@rule("fallocate reserves, with and without a longer file")
def reserving(at):
    with opened(at / "file") as file:
        fallocate(file, 0, 0, 100_000)
        at.note("size", (os.fstat(file).st_size, os.fstat(file).st_blocks))
        fallocate(file, KEEP_SIZE, 0, MIB)
        equal(os.fstat(file).st_size, 100_000)
        at.note("blocks", os.fstat(file).st_blocks)
        os.posix_fallocate(file, 50_000, 100_000)
        equal((os.fstat(file).st_size, os.pread(file, 200_000, 0)), (150_000, bytes(150_000)))
        os.pwrite(file, b"x" * 150_000, 0)
        fallocate(file, 0, 10_000, 10_000)
        equal(os.pread(file, 200_000, 0), b"x" * 150_000)
        os.ftruncate(file, 0)
        at.note("blocks at last", os.fstat(file).st_blocks)


@rule("fallocate punches holes and zeroes ranges, also across the end")
def punching(at):
    with opened(at / "file") as file:
        os.write(file, b"x" * 3 * MIB)
        model = bytearray(b"x" * 3 * MIB)
        for how, offset, count in (
                (PUNCH_HOLE | KEEP_SIZE, 4096, 8192), (PUNCH_HOLE | KEEP_SIZE, MIB - 5, 10), (PUNCH_HOLE | KEEP_SIZE, 1, 1),
                (PUNCH_HOLE | KEEP_SIZE, 3 * MIB - 100, 5000), (ZERO_RANGE | KEEP_SIZE, 2 * MIB - 7, 4099),
                (ZERO_RANGE | KEEP_SIZE, 3 * MIB - 10, 5000), (PUNCH_HOLE | KEEP_SIZE, 9 * MIB, 100)):
            fallocate(file, how, offset, count)
            model[offset:min(offset + count, len(model))] = bytes(max(0, min(offset + count, len(model)) - offset))
            equal(os.pread(file, 9 * MIB, 0) == bytes(model), True, f"the content after {how} at {offset}")
        fallocate(file, ZERO_RANGE, 3 * MIB - 50, 1000)
        equal(os.fstat(file).st_size, 3 * MIB + 950)
        equal(os.pread(file, 2000, 3 * MIB - 50), bytes(1000))
        os.fsync(file)
        # 768 blocks of 4 KiB; and one for the list of extents, if the disk wrote a part before it was punched (ext4).
        equal(os.fstat(file).st_blocks in (6144, 6152), True, f"{os.fstat(file).st_blocks} sectors are 6144 or 6152")


@rule("what fallocate cannot do says so")
def allocating_wrongly(at):
    with opened(at / "file") as file:
        at.fails("EINVAL", fallocate, file, 0, -1, 10)
        at.fails("EINVAL", fallocate, file, 0, 0, 0)
        at.fails("EINVAL", fallocate, file, 0, 0, -1)
        at.fails("EFBIG", fallocate, file, 0, (1 << 62), (1 << 62))
        at.fails("ENOTSUP", fallocate, file, PUNCH_HOLE, 0, 10)
        at.fails("ENOTSUP", fallocate, file, 1 << 20, 0, 10)
        equal(os.fstat(file).st_size, 0)
    with opened(at / "file", os.O_RDONLY) as file:
        at.fails("EBADF", fallocate, file, 0, 0, 10)
    with opened(at.root, os.O_RDONLY) as folder:
        at.fails("EBADF", fallocate, folder, 0, 0, 10)


@rule("ranges can be cut out and pushed in", differs="Ranges cannot be cut out or pushed in")
def collapsing(at):
    with opened(at / "file") as file:
        os.write(file, b"a" * 4096 + b"b" * 4096 + b"c" * 4096)
        at.see(fallocate, file, COLLAPSE_RANGE, 4096, 4096)
        at.see(fallocate, file, INSERT_RANGE, 4096, 4096)
    at.note("content", content(at / "file"))


@rule("copy_file_range copies within a file system and within one file, up to the end")
def copying(at):
    source = at.file("source", bytes(range(256)) * 8192)
    with opened(source) as reading, opened(at / "target") as writing:
        done = 0
        while copied := os.copy_file_range(reading, writing, 5 * MIB, done, done):
            done += copied
        equal((done, content(at / "target") == content(source)), (2 * MIB, True))
        equal(os.copy_file_range(reading, writing, 1000, 17, 100), 1000)
        equal(os.pread(writing, 1000, 100), os.pread(reading, 1000, 17))
        equal(os.copy_file_range(reading, writing, 10, 2 * MIB, 0), 0)
        equal(os.copy_file_range(reading, reading, 4096, 0, MIB), 4096)
        equal(os.copy_file_range(reading, writing, 4, 2 * MIB - 4, 5 * MIB), 4)
        equal(os.fstat(writing).st_size, 5 * MIB + 4)
        at.fails("EINVAL", os.copy_file_range, reading, reading, 4096, 0, 100)
    with opened(source, os.O_RDONLY) as reading, opened(at / "target", os.O_WRONLY | os.O_APPEND) as appending:
        at.fails("EBADF", os.copy_file_range, reading, appending, 10)
        at.fails("EBADF", os.copy_file_range, reading, reading, 10, 0, MIB)


@rule("files cannot be cloned, as ext4 cannot")
def cloning(at):
    ficlone = 0x40049409
    with opened(at.file("source", b"x" * 4096)) as reading, opened(at / "target") as writing:
        at.fails("ENOTSUP", fcntl.ioctl, writing, ficlone, reading)


@rule("statvfs tells the length of names and the size of blocks")
def file_system(at):
    status = os.statvfs(at.root)
    at.note("file system", (status.f_namemax, status.f_bsize, status.f_frsize))
    equal(status.f_bavail > 0, True)
    equal(at.note("block", os.stat(at.root).st_blksize), 4096)
