"""The flags of open, and reading and writing through what it gave."""
import mmap, os, resource, signal
from place import content, equal, link_open, opened
from rules import rule

KIB = 1024


@rule("O_EXCL makes a file only where no name is, not even a dangling link")
def exclusive(at):
    path = at.file("file", b"x")
    at.fails("EEXIST", os.open, path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    os.symlink("nowhere", at / "dangling")
    at.fails("EEXIST", os.open, at / "dangling", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    at.fails("EEXIST", os.open, at.folder("folder"), os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    with opened(at / "new", os.O_CREAT | os.O_EXCL | os.O_WRONLY) as file:
        os.write(file, b"y")
    equal((content(path), content(at / "new")), (b"x", b"y"))


@rule("only one of many who try gets to make a file with O_EXCL")
def exclusive_race(at):
    def attempt():
        made = 0
        for number in range(50):
            try:
                os.close(os.open(at / str(number), os.O_CREAT | os.O_EXCL | os.O_WRONLY))
                made += 1
            except FileExistsError:
                pass
        os.write(results[1], bytes([made]))
    results = os.pipe()
    children = []
    for _ in range(4):
        if not (child := os.fork()):
            attempt()
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    equal(sum(os.read(results[0], 99)), 50)
    for end in results:
        os.close(end)


@rule("O_TRUNC empties, with whatever access; without it and O_CREAT nothing happens to a file that is there")
def truncating(at):
    for access in (os.O_WRONLY, os.O_RDWR, os.O_RDONLY):
        path = at.file("file", b"content")
        os.close(os.open(path, access | os.O_CREAT))
        equal(content(path), b"content")
        os.close(os.open(path, access | os.O_TRUNC))
        equal(os.stat(path).st_size, 0, f"the size after O_TRUNC with access {access}")
    with opened(path) as first:
        os.write(first, b"longer content")
        with opened(path, os.O_WRONLY | os.O_TRUNC) as second:
            os.write(second, b"abc")
        equal(os.pread(first, 99, 0), b"abc")
        os.write(first, b"!")
    equal(content(path), b"abc" + bytes(11) + b"!")


@rule("folders are opened for reading only, and O_DIRECTORY and O_NOFOLLOW refuse what they should")
def refusals(at):
    file, folder = at.file("file"), at.folder("folder")
    os.symlink("folder", at / "symlink")
    at.fails("EISDIR", os.open, folder, os.O_WRONLY)
    at.fails("EISDIR", os.open, folder, os.O_RDWR)
    at.fails("EISDIR", os.open, folder, os.O_CREAT | os.O_WRONLY)
    at.fails("ENOTDIR", os.open, file, os.O_DIRECTORY)
    at.fails("ELOOP", os.open, at / "symlink", os.O_NOFOLLOW)
    at.fails("ENOTDIR", os.open, at / "symlink", os.O_NOFOLLOW | os.O_DIRECTORY)
    at.fails("ENOENT", os.open, at / "missing", os.O_RDONLY)
    with opened(folder, os.O_RDONLY) as descriptor:
        at.fails("EISDIR", os.read, descriptor, 9)
    with opened(file, os.O_RDONLY) as reading, opened(file, os.O_WRONLY) as writing:
        at.fails("EBADF", os.write, reading, b"x")
        at.fails("EBADF", os.read, writing, 9)
        at.fails("EINVAL", os.ftruncate, reading, 0)
    with opened(file, os.O_PATH) as path:
        at.fails("EBADF", os.read, path, 9)
        equal(os.fstat(path).st_size, 0)


@rule("with O_APPEND every write goes to the end, pwrite as well, whoever else writes")
def appending(at):
    path = at.file("file", b"0123456789")
    with opened(path, os.O_WRONLY | os.O_APPEND) as one, opened(path, os.O_WRONLY | os.O_APPEND) as two:
        os.write(one, b"a")
        os.write(two, b"b")
        os.lseek(one, 0, os.SEEK_SET)
        os.write(one, b"c")
        at.note("pwrite", os.pwrite(two, b"d", 3))
        os.truncate(path, 5)
        os.write(one, b"e")
    equal(content(path), b"01234e")


@rule("records appended by several processes are all there, each in one piece")
def appending_together(at):
    path, count = at.file("file"), 300
    children = []
    for number in range(4):
        if not (child := os.fork()):
            with opened(path, os.O_WRONLY | os.O_APPEND) as file:
                for turn in range(count):
                    record = b"%d:%04d:" % (number, turn)
                    os.write(file, record + bytes([97 + number]) * (100 + turn * 7 % 5_000) + b"\n")
            os._exit(0)
        children.append(child)
    for child in children:
        equal(os.waitpid(child, 0)[1], 0)
    lines = content(path).split(b"\n")
    equal(lines.pop(), b"")
    for line in lines:
        number, turn, body = line.split(b":")
        equal(body, bytes([97 + int(number)]) * (100 + int(turn) * 7 % 5_000))
    for number in range(4):
        turns = [int(line.split(b":")[1]) for line in lines if line.startswith(b"%d:" % number)]
        equal(turns, list(range(count)))


@rule("O_DIRECT is accepted, and reads and writes what others see")
def direct(at):
    path = at.file("file", b"c" * 64 * KIB)
    buffer = mmap.mmap(-1, 16 * KIB)
    buffer.write(b"D" * 16 * KIB)
    with opened(path, os.O_RDWR | os.O_DIRECT) as file, opened(path) as other:
        equal(os.pwritev(file, [buffer], 8 * KIB), 16 * KIB)
        equal(os.pread(other, 24 * KIB, 0), b"c" * 8 * KIB + b"D" * 16 * KIB)
        os.pwrite(other, b"e" * 4 * KIB, 8 * KIB)
        equal(os.preadv(file, [buffer], 8 * KIB), 16 * KIB)
        equal(buffer[:], b"e" * 4 * KIB + b"D" * 12 * KIB)
        equal(os.pwritev(file, [buffer], 64 * KIB), 16 * KIB)
        equal(os.stat(path).st_size, 80 * KIB)
        equal(os.preadv(file, [buffer], 80 * KIB), 0)


@rule("O_SYNC, O_DSYNC, O_NOATIME, O_NONBLOCK and O_CLOEXEC are accepted, fsync and fdatasync work on what is open")
def other_flags(at):
    for flag in (os.O_SYNC, os.O_DSYNC, os.O_NOATIME, os.O_NONBLOCK, os.O_CLOEXEC, os.O_NOCTTY):
        with opened(at / "file", os.O_RDWR | os.O_CREAT | os.O_TRUNC | flag) as file:
            os.write(file, b"content")
            os.fsync(file)
            os.fdatasync(file)
            equal(os.pread(file, 9, 0), b"content")
    with opened(at / "file", os.O_RDONLY) as file:
        os.fsync(file)
    with opened(at.root, os.O_RDONLY) as folder:
        os.fsync(folder)


@rule("O_TMPFILE makes a file without a name, which linkat may give one")
def without_a_name(at):
    file = os.open(at.root, os.O_TMPFILE | os.O_RDWR, 0o640)
    status = os.fstat(file)
    equal((status.st_nlink, status.st_size, status.st_mode & 0o7777), (0, 0, 0o640))
    os.write(file, b"written without a name")
    equal((os.pread(file, 99, 0), os.listdir(at.root)), (b"written without a name", []))
    at.restart()
    link_open(file, at / "named")
    equal((content(at / "named"), os.fstat(file).st_nlink), (b"written without a name", 1))
    os.write(file, b", and then with one")
    os.close(file)
    equal(content(at / "named"), b"written without a name, and then with one")
    at.fails("EEXIST", lambda: self_link(at))


def self_link(at):
    with opened(at.root, os.O_TMPFILE | os.O_WRONLY) as file:
        link_open(file, at / "named")


@rule("an O_TMPFILE that gets no name is gone with its descriptor, and with O_EXCL it can get none")
def nameless(at):
    file = os.open(at.root, os.O_TMPFILE | os.O_RDWR)
    os.write(file, b"x" * 2_000_000)
    os.close(file)
    file = os.open(at.root, os.O_TMPFILE | os.O_RDWR | os.O_EXCL)
    at.fails("ENOENT", link_open, file, at / "name")
    os.close(file)
    at.fails("ENOENT", os.open, at / "missing", os.O_TMPFILE | os.O_RDWR)
    at.fails("ENOTDIR", os.open, at.file("file"), os.O_TMPFILE | os.O_RDWR)
    at.fails("EINVAL", os.open, at.root, os.O_TMPFILE | os.O_RDONLY)
    equal(os.listdir(at.root), ["file"])


@rule("reads beyond the end give nothing, writes beyond it leave zeros")
def beyond_the_end(at):
    with opened(at / "file") as file:
        equal(os.pread(file, 9, 100), b"")
        os.pwrite(file, b"x", 70_000)
        equal(os.stat(at / "file").st_size, 70_001)
        equal(os.pread(file, 100_000, 0), bytes(70_000) + b"x")
        equal(os.pread(file, 9, 70_000), b"x")
        at.fails("EINVAL", os.pread, file, 9, -1)
        at.fails("EINVAL", os.pwrite, file, b"x", -1)
        at.fails("EINVAL", os.lseek, file, -1, os.SEEK_SET)
        equal(os.lseek(file, 10, os.SEEK_END), 70_011)


@rule("vectored reads and writes, and RWF_APPEND")
def vectors(at):
    with opened(at / "file") as file:
        equal(os.writev(file, [b"one ", b"", b"two ", b"x" * 5000]), 5008)
        os.pwritev(file, [b"ONE"], 0)
        os.pwritev(file, [b"end"], 0, os.RWF_APPEND if hasattr(os, "RWF_APPEND") else 0x10)
        buffers = [bytearray(4), bytearray(4), bytearray(6000)]
        equal(os.preadv(file, buffers, 0), 5011)
        equal((bytes(buffers[0]), bytes(buffers[1]), bytes(buffers[2][:5003])), (b"ONE ", b"two ", b"x" * 5000 + b"end"))


@rule("sendfile and splice carry bytes into and out of files")
def sending(at):
    source = at.file("source", bytes(range(256)) * 1024)
    with opened(source, os.O_RDONLY) as reading, opened(at / "target") as writing:
        sent = 0
        while sent < 262_144:
            sent += os.sendfile(writing, reading, sent, 262_144 - sent)
    equal(content(at / "target"), content(source))
    reading, writing = os.pipe()
    with opened(at / "target", os.O_WRONLY | os.O_TRUNC) as file:
        os.write(writing, b"through a pipe")
        equal(os.splice(reading, file, 14) if hasattr(os, "splice") else os.write(file, os.read(reading, 14)), 14)
    equal(content(at / "target"), b"through a pipe")
    os.close(reading)
    os.close(writing)


@rule("a limit on the size of files holds")
def size_limits(at):
    def write():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
        with opened(at / "file") as file:
            equal(at.see(os.write, file, b"x" * 20_000), 10_000)
            at.fails("EFBIG", os.write, file, b"x")
            at.fails("EFBIG", os.ftruncate, file, 10_001)
    at.by(write)
    equal(os.stat(at / "file").st_size, 10_000)


@rule("a file may have a terabyte, and no more than its file system can hold")
def huge_files(at):
    with opened(at / "file") as file:
        os.unlink(at / "file")
        os.pwrite(file, b"x", (1 << 40) - 1)
        equal((os.fstat(file).st_size, os.pread(file, 9, (1 << 40) - 1)), (1 << 40, b"x"))
        for offset in (1 << 50, (1 << 63) - 4096):
            at.fails("EFBIG", os.pwrite, file, b"x", offset)
            at.fails("EFBIG", os.ftruncate, file, offset)
        at.fails("EINVAL", os.pwrite, file, b"x", (1 << 63) - 1)


@rule("a program in the folder can be run, and cannot be written while it runs")
def programs(at):
    program = at.file("program", content("/bin/sleep"), 0o755)
    child = os.posix_spawn(program, ["sleep", "60"], {})
    try:
        at.fails("ETXTBSY", os.open, program, os.O_WRONLY)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    at.file("script", b"#!/bin/sh\nexit 7\n", 0o755)
    equal(os.waitstatus_to_exitcode(os.waitpid(os.posix_spawn(at / "script", ["script"], {}), 0)[1]), 7)
    at.file("not a program", b"#!/bin/sh\n", 0o644)
    at.fails("EACCES", os.posix_spawn, at / "not a program", ["x"], {})
