"""Which times move with which call, and what times can be set."""
import os
from place import KEEP_SIZE, content, equal, fallocate, opened
from rules import rule


@rule("writing moves the times of change and of the node, writing nothing moves none")
def writing(at):
    path = at.file("file", b"content")
    with opened(path) as file:
        equal(at.moved(path, lambda: os.write(file, b"x")), "mc")
        equal(at.moved(path, lambda: os.write(file, b"")), "")
        equal(at.moved(path, lambda: os.pwrite(file, b"y" * 9000, 100_000)), "mc")
        equal(at.moved(path, lambda: os.lseek(file, 5, os.SEEK_SET)), "")
    equal(at.moved(path, lambda: os.close(os.open(path, os.O_RDWR))), "")


@rule("truncating moves them, also to the same size; O_TRUNC does, O_CREAT alone does not")
def truncating(at):
    path = at.file("file", b"content")
    equal(at.moved(path, lambda: os.truncate(path, 3)), "mc")
    equal(at.moved(path, lambda: os.truncate(path, 9)), "mc")
    at.moved(path, lambda: os.truncate(path, 9))
    with opened(path) as file:
        equal(at.moved(path, lambda: os.ftruncate(file, 4)), "mc")
        at.moved(path, lambda: os.ftruncate(file, 4))
    equal(at.moved(path, lambda: os.close(os.open(path, os.O_WRONLY | os.O_TRUNC))), "mc")
    at.moved(path, lambda: os.close(os.open(path, os.O_WRONLY | os.O_TRUNC)))
    equal(at.moved(path, lambda: os.close(os.open(path, os.O_WRONLY | os.O_CREAT))), "")


@rule("fallocate and copy_file_range move the times that a disk moves")
def allocating(at):
    path, other = at.file("file", b"content"), at.file("other", b"z" * 10_000)
    with opened(path) as file, opened(other) as source:
        at.moved(path, lambda: fallocate(file, 0, 0, 10_000))
        at.moved(path, lambda: fallocate(file, KEEP_SIZE, 50_000, 10_000))
        at.moved(path, lambda: fallocate(file, KEEP_SIZE | 2, 0, 4096))
        equal(at.moved(path, lambda: os.copy_file_range(source, file, 5_000, 0, 0)), "mc")


@rule("mode, owner, names and attributes move only the node's time")
def node_changes(at):
    path = at.file("file", b"content")
    status = os.stat(path)
    equal(at.moved(path, lambda: os.chmod(path, 0o600)), "c")
    equal(at.moved(path, lambda: os.chown(path, status.st_uid, status.st_gid)), "c")
    equal(at.moved(path, lambda: os.link(path, at / "link")), "c")
    equal(at.moved(path, lambda: os.unlink(at / "link")), "c")
    equal(at.moved(path, lambda: os.setxattr(path, "user.x", b"1")), "c")
    equal(at.moved(path, lambda: os.removexattr(path, "user.x")), "c")
    before = os.stat(path)
    at.tick()
    os.rename(path, at / "moved")
    after = os.stat(at / "moved")
    at.note("rename", after.st_ctime_ns > before.st_ctime_ns)
    equal((after.st_mtime_ns, after.st_ino), (before.st_mtime_ns, before.st_ino))


@rule("names that come and go move the folder's times, and listing does not")
def folder_changes(at):
    folder = at.folder("folder")
    other = at.folder("other")

    def move():
        os.rename(at / "folder/file", at / "other/file")
    equal(at.moved(folder, lambda: at.file("folder/file")), "mc")
    equal(at.moved(folder, lambda: os.mkdir(at / "folder/below")), "mc")
    equal(at.moved(folder, lambda: os.symlink("x", at / "folder/symlink")), "mc")
    equal(at.moved(folder, lambda: os.mkfifo(at / "folder/fifo")), "mc")
    equal(at.moved(folder, lambda: os.link(at / "folder/file", at / "folder/link")), "mc")
    equal(at.moved(folder, lambda: os.rename(at / "folder/link", at / "folder/newer")), "mc")
    equal(at.moved(folder, lambda: os.unlink(at / "folder/newer")), "mc")
    equal(at.moved(folder, lambda: os.rmdir(at / "folder/below")), "mc")
    equal(at.moved(other, move), "mc")
    equal(at.moved(folder, lambda: os.rename(at / "other/file", at / "folder/file")), "mc")
    equal(at.moved(other, lambda: os.listdir(folder)), "")
    equal(at.moved(folder, lambda: os.chmod(at / "folder/file", 0o600)), "")
    with opened(at / "folder/file") as file:
        equal(at.moved(folder, lambda: os.write(file, b"x")), "")


@rule("reading moves the time of access as relatime says: once after each change")
def reading(at):
    path = at.file("file", b"content")
    os.utime(path, (1, 2))
    equal(at.moved(path, lambda: content(path)), "a")
    equal(at.moved(path, lambda: content(path)), "")


@rule("reading what has just been written moves the time of access", differs="Reading what the kernel still has in memory")
def reading_again(at):
    path = at.file("file", b"content")
    content(path)
    os.utime(path)
    at.tick()
    with opened(path, os.O_WRONLY) as file:
        os.write(file, b"new")
    equal(at.moved(path, lambda: content(path)), "a")


@rule("nobody but a reader moves the time of access: uploading does not")
def not_read(at):
    path = at.file("file", b"content" * 1000)
    before = os.stat(path)
    at.tick()
    at.stored(path)
    at.note("read by nobody", os.stat(path).st_atime_ns == before.st_atime_ns)
    equal(os.stat(path).st_mtime_ns, before.st_mtime_ns)
    equal(os.stat(path).st_ctime_ns, before.st_ctime_ns)


@rule("listing a folder and reading a symbolic link move their times of access as relatime says")
def reading_folders(at):
    folder = at.folder("folder")
    os.utime(folder, (1, 2))
    equal(at.moved(folder, lambda: os.listdir(folder)), "a")
    equal(at.moved(folder, lambda: os.listdir(folder)), "")
    os.symlink("x", at / "symlink")
    os.utime(at / "symlink", (1, 2), follow_symlinks=False)
    equal(at.moved(at / "symlink", lambda: os.readlink(at / "symlink")), "a")


@rule("times are set to the nanosecond, before 1970 and after 2038, one without the other")
def setting(at):
    for path in (at.file("file"), at.folder("folder")):
        for times in ((1, 2), (1_700_000_000_123_456_789, 1_600_000_000_987_654_321), (-1_500_000_000, -1),
                      (4_102_444_800_000_000_001, 9_000_000_000_000_000_002), (0, 0)):
            os.utime(path, ns=times)
            status = os.stat(path)
            equal((status.st_atime_ns, status.st_mtime_ns), times, "times")
    path = at / "file"
    at.tick()
    before = os.stat(path).st_ctime_ns
    os.utime(path, ns=(5, 5))
    equal(os.stat(path).st_ctime_ns > before, True, "the time of the node moves")
    with opened(path) as file:
        os.utime(file, ns=(7, 8))
        equal((os.stat(path).st_atime_ns, os.stat(path).st_mtime_ns), (7, 8))


@rule("beyond what the disk's times can hold they are cut to it")
def times_out_of_range(at):
    path = at.file("file")
    for seconds in (15_032_385_535, 15_032_385_536, 60_000_000_000, -2_147_483_648, -2_147_483_649, -9_000_000_000):
        at.see(os.utime, path, (seconds, seconds))
        status = os.stat(path)
        at.note("seconds", (status.st_atime_ns, status.st_mtime_ns))


@rule("times stay as they are: over closing, reopening, another name, a kill of the worker, and eviction of the bytes")
def staying(at):
    path = at.file("file", b"content" * 400_000)
    os.utime(path, ns=(1_000_000_007, 2_000_000_009))
    os.link(path, at / "second")

    def times():
        status = os.stat(path)
        return status.st_atime_ns, status.st_mtime_ns, status.st_size, status.st_nlink
    before, ctime = times(), os.stat(path).st_ctime_ns
    os.close(os.open(path, os.O_RDWR))
    equal(times(), before)
    at.restart()
    equal(times(), before)
    equal(os.stat(path).st_ctime_ns, ctime)
    at.evict(path)
    equal(times(), before)
    # What a disk would do: one read since the last change moves the time of access, and nothing else.
    equal(content(path), b"content" * 400_000)
    equal(times()[1:], before[1:])
    at.restart()
    equal(times()[1:], before[1:])


@rule("a new node has the time of its making, and so has its folder")
def new_nodes(at):
    at.tick()
    for name, make in (("file", at.file), ("folder", at.folder)):
        path = make(name)
        status = os.stat(path)
        at.note(name, (status.st_mtime_ns == status.st_atime_ns, status.st_ctime_ns >= status.st_mtime_ns))
        equal(os.stat(at.root).st_mtime_ns >= status.st_mtime_ns, True, "the folder is younger")
