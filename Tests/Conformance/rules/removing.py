"""Removal of what is open, and of what cannot be removed."""
import os, stat
from place import content, equal, opened
from rules import rule


@rule("unlink takes files, rmdir takes empty folders, and neither takes the other's")
def removing(at):
    at.file("file")
    at.folder("folder")
    at.file("folder/inside")
    at.fails("EISDIR", os.unlink, at / "folder")
    at.fails("ENOTDIR", os.rmdir, at / "file")
    at.fails("ENOTEMPTY", os.rmdir, at / "folder")
    at.fails("ENOENT", os.unlink, at / "missing")
    at.fails("ENOENT", os.rmdir, at / "missing")
    os.symlink("folder", at / "symlink")
    at.fails("ENOTDIR", os.rmdir, at / "symlink")
    os.unlink(at / "symlink")
    os.unlink(at / "folder/inside")
    os.rmdir(at / "folder")
    at.fails("ENOENT", os.stat, at / "folder")


@rule("an open file that is removed can be read, written, cut, mapped, changed and opened again by its descriptor")
def open_files(at):
    path = at.file("file", b"content")
    with opened(path) as file:
        os.unlink(path)
        at.fails("ENOENT", os.stat, path)
        os.pwrite(file, b"CON", 0)
        equal((os.pread(file, 99, 0), os.fstat(file).st_nlink), (b"CONtent", 0))
        os.fchmod(file, 0o600)
        os.utime(file, ns=(3, 4))
        at.see(os.setxattr, file, "user.x", b"1")
        equal(at.see(os.getxattr, file, "user.x"), b"1")
        status = os.fstat(file)
        equal((stat.S_IMODE(status.st_mode), status.st_mtime_ns), (0o600, 4))
        with opened(f"/proc/self/fd/{file}", os.O_RDWR) as again:
            os.pwrite(again, b"again", 1000)
            equal(os.fstat(again).st_ino, status.st_ino)
        equal(os.fstat(file).st_size, 1005)
        at.restart()
        os.ftruncate(file, 5)
        equal((os.pread(file, 99, 0), os.fstat(file).st_size, os.fstat(file).st_nlink), (b"CONte", 5, 0))
        at.fails("ENOENT", os.stat, path)
        os.fsync(file)
    equal(os.listdir(at.root), [])


@rule("a new file may take the name of an open one that was removed, and both live")
def the_same_name(at):
    path = at.file("file", b"old")
    with opened(path) as old:
        os.unlink(path)
        with opened(path) as new:
            os.write(new, b"new!")
            equal((os.pread(old, 9, 0), os.pread(new, 9, 0)), (b"old", b"new!"))
            equal(os.fstat(old).st_ino != os.fstat(new).st_ino, True)
            os.unlink(path)
            at.file("file", b"third")
            equal((os.pread(old, 9, 0), os.pread(new, 9, 0), content(path)), (b"old", b"new!", b"third"))


@rule("an open FIFO, socket or folder that is removed can still be asked for its attributes")
def open_others(at):
    os.mkfifo(at / "fifo")
    at.folder("folder")
    at.file("path", b"x")
    fifo = os.open(at / "fifo", os.O_RDWR)
    folder = os.open(at / "folder", os.O_RDONLY)
    path = os.open(at / "path", os.O_PATH)
    os.unlink(at / "fifo")
    os.rmdir(at / "folder")
    os.unlink(at / "path")
    # What takes their inode numbers on a disk must not take their place here.
    for number in range(5):
        at.file(str(number), b"new")
        os.mkdir(at / f"new {number}")
    for descriptor in (fifo, folder, path):
        status = os.fstat(descriptor)
        at.note("attributes", (oct(status.st_mode), status.st_nlink, status.st_uid))
    equal(at.see(lambda: os.listdir(folder)), [])
    at.fails("ENOENT", lambda: os.open("new", os.O_CREAT | os.O_WRONLY, dir_fd=folder))
    at.fails("ENOENT", lambda: os.mkdir("new", dir_fd=folder))
    os.write(fifo, b"still")
    equal(os.read(fifo, 9), b"still")
    for descriptor in (fifo, folder, path):
        os.close(descriptor)


@rule("a removed working folder has no entries and takes none")
def working_folder(at):
    at.folder("folder")

    def walk():
        os.chdir(at / "folder")
        os.rmdir(at / "folder")
        at.see(lambda: os.listdir("."))
        at.fails("ENOENT", lambda: os.open("new", os.O_CREAT | os.O_WRONLY))
        at.fails("ENOENT", lambda: os.mkdir("new"))
        at.fails("ENOENT", os.getcwd)
        at.see(lambda: os.stat(".").st_nlink)
    at.by(walk)


@rule("a file that was removed while open is gone when the last of its descriptors is")
def last_descriptor(at):
    path = at.file("file", b"x" * 3_000_000)
    first, second = os.open(path, os.O_RDWR), os.open(path, os.O_RDONLY)
    os.unlink(path)
    os.close(first)
    equal(len(os.pread(second, 5_000_000, 0)), 3_000_000)
    third = os.dup(second)
    os.close(second)
    equal(os.pread(third, 1, 2_999_999), b"x")
    os.close(third)
    equal(os.listdir(at.root), [])
