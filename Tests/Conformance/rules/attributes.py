"""Extended attributes."""
import ctypes, os
from place import check, equal, libc, opened
from rules import rule

CREATE, REPLACE = os.XATTR_CREATE, os.XATTR_REPLACE


def own(path):
    """The attributes that are the user's: reelfs adds its status to those of a recording."""
    return sorted(name for name in os.listxattr(path) if not name.startswith("user.sync."))


@rule("attributes of files and folders are set, replaced, listed and removed")
def setting(at):
    for path in (at.file("file"), at.folder("folder")):
        for value in (b"", b"text", bytes(range(256)), b"v" * 3000):
            os.setxattr(path, "user.name", value)
            equal(os.getxattr(path, "user.name"), value)
        os.setxattr(path, "user.other", b"1")
        equal(own(path), ["user.name", "user.other"])
        at.fails("EEXIST", os.setxattr, path, "user.name", b"x", CREATE)
        at.fails("ENODATA", os.setxattr, path, "user.new", b"x", REPLACE)
        os.setxattr(path, "user.name", b"replaced", REPLACE)
        os.setxattr(path, "user.new", b"created", CREATE)
        os.removexattr(path, "user.other")
        at.fails("ENODATA", os.getxattr, path, "user.other")
        at.fails("ENODATA", os.removexattr, path, "user.other")
        at.restart()
        equal(own(path), ["user.name", "user.new"])
        equal(os.getxattr(path, "user.name"), b"replaced")
    at.fails("ENOENT", os.getxattr, at / "missing", "user.x")
    at.fails("ENOENT", os.setxattr, at / "missing", "user.x", b"")


@rule("names have 255 bytes at most, values 64 KiB, and both what fits into a block of the disk")
def limits(at):
    path = at.file("file")
    os.setxattr(path, "user." + "n" * 250, b"x")
    at.fails("ERANGE", os.setxattr, path, "user." + "n" * 251, b"x")
    at.fails("ERANGE", os.getxattr, path, "user." + "n" * 251)
    at.fails("E2BIG", os.setxattr, path, "user.big", b"x" * 65_537)
    at.fails("ENOSPC", os.setxattr, path, "user.big", b"x" * 65_536)
    at.fails("ENOSPC", os.setxattr, path, "user.big", b"x" * 5_000)
    at.fails("ENOTSUP", os.setxattr, path, "unknown.name", b"x")
    at.fails("ENOTSUP", os.setxattr, path, "noprefix", b"x")
    at.see(os.setxattr, path, "user.", b"x")
    at.see(os.setxattr, path, "", b"x")
    equal(own(path), ["user." + "n" * 250])


@rule("a buffer that is too small is ERANGE, none at all asks for the size")
def buffers(at):
    path = os.fsencode(at.file("file"))
    os.setxattr(path, "user.name", b"0123456789")
    buffer = ctypes.create_string_buffer(100)
    equal(check(libc.getxattr(path, b"user.name", None, 0)), 10)
    equal(check(libc.getxattr(path, b"user.name", buffer, 10)), 10)
    at.fails("ERANGE", lambda: check(libc.getxattr(path, b"user.name", buffer, 9)))
    at.fails("ERANGE", lambda: check(libc.listxattr(path, buffer, 3)))


@rule("user attributes belong to files and folders only, not to symbolic links, FIFOs and sockets")
def other_nodes(at):
    os.symlink("file", at / "symlink")
    os.mkfifo(at / "fifo")
    at.fails("EPERM", os.setxattr, at / "symlink", "user.x", b"1", 0, follow_symlinks=False)
    at.fails("EPERM", os.setxattr, at / "fifo", "user.x", b"1")
    at.see(lambda: os.listxattr(at / "symlink", follow_symlinks=False))
    at.see(lambda: os.listxattr(at / "fifo"))
    target = at.file("file")
    os.setxattr(at / "symlink", "user.x", b"1")
    equal(os.getxattr(target, "user.x"), b"1")


@rule("an attribute goes with the file: through its descriptors, its other names and renames")
def following(at):
    path = at.file("file")
    with opened(path) as file:
        os.setxattr(file, "user.x", b"1")
        os.link(path, at / "link")
        os.rename(path, at / "moved")
        equal((os.getxattr(at / "link", "user.x"), os.getxattr(at / "moved", "user.x")), (b"1", b"1"))
        os.removexattr(at / "link", "user.x")
        at.fails("ENODATA", os.getxattr, file, "user.x")


@rule("who may read a file may read its attributes, who may write it may set them", root=True)
def permissions(at):
    os.chmod(at.root, 0o755)
    path = at.file("file", mode=0o644)
    os.setxattr(path, "user.x", b"1")

    def other():
        equal(os.getxattr(path, "user.x"), b"1")
        at.fails("EACCES", os.setxattr, path, "user.x", b"2")
        at.fails("EACCES", os.removexattr, path, "user.x")
    at.by(other, (1001, 1001))
    os.chmod(path, 0o622)
    at.by(lambda: at.fails("EACCES", os.getxattr, path, "user.x"), (1001, 1001))
    at.by(lambda: os.setxattr(path, "user.x", b"2"), (1001, 1001))
    folder = at.folder("folder", 0o1777)
    at.by(lambda: at.fails("EPERM", os.setxattr, folder, "user.x", b"2"), (1001, 1001))


@rule("trusted attributes are root's, and seen by nobody else; security attributes are kept", root=True)
def namespaces(at):
    os.chmod(at.root, 0o755)
    path = at.file("file")
    os.setxattr(path, "trusted.x", b"root's")
    os.setxattr(path, "security.x", b"kept")
    equal((os.getxattr(path, "trusted.x"), os.getxattr(path, "security.x")), (b"root's", b"kept"))
    at.note("root sees", own(path))

    def other():
        at.see(os.getxattr, path, "trusted.x")
        at.fails("EPERM", os.setxattr, path, "trusted.x", b"2")
        at.fails("EPERM", os.setxattr, path, "security.x", b"2")
        at.note("others see", own(path))
    at.by(other, (1001, 1001))
    os.mkfifo(at / "fifo")
    os.setxattr(at / "fifo", "trusted.x", b"1")
    equal(os.getxattr(at / "fifo", "trusted.x"), b"1")


@rule("a recording has attributes that tell its status", differs="`user.sync.*` of a recording or a folder")
def status(at):
    at.note("attributes", len(os.listxattr(at.file("file"))))
