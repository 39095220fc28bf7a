"""Link counts, hard links, and every case of rename."""
import os
from place import RENAME_EXCHANGE, RENAME_NOREPLACE, content, equal, opened, renameat2
from rules import rule


@rule("a file counts its names, a folder its subfolders")
def counts(at):
    path = at.file("file")
    equal(os.stat(path).st_nlink, 1)
    os.link(path, at / "second")
    equal((os.stat(path).st_nlink, os.stat(at / "second").st_nlink), (2, 2))
    with opened(path) as file:
        os.unlink(path)
        equal((os.fstat(file).st_nlink, os.stat(at / "second").st_nlink), (1, 1))
        os.unlink(at / "second")
        equal(os.fstat(file).st_nlink, 0)
    folder = at.folder("folder")
    equal(os.stat(folder).st_nlink, 2)
    os.mkdir(at / "folder/one")
    os.mkdir(at / "folder/two")
    at.file("folder/file")
    equal(os.stat(folder).st_nlink, 4)
    os.rename(at / "folder/one", at / "one")
    equal((os.stat(folder).st_nlink, os.stat(at / "one/..").st_nlink), (3, os.stat(at.root).st_nlink))
    os.rmdir(at / "folder/two")
    equal(os.stat(folder).st_nlink, 2)


@rule("two names are one file: bytes, size, mode, attributes; also with one of them open")
def two_names(at):
    one, two = at.file("one", b"content"), at / "two"
    os.link(one, two)
    equal(os.stat(one).st_ino, os.stat(two).st_ino)
    with opened(one) as first, opened(two) as second:
        os.pwrite(first, b"CON", 0)
        equal(os.pread(second, 99, 0), b"CONtent")
        os.pwrite(second, b"longer", 100)
        equal((os.stat(one).st_size, os.fstat(first).st_size), (106, 106))
        os.truncate(one, 3)
        equal((os.stat(two).st_size, os.pread(second, 99, 0)), (3, b"CON"))
    os.chmod(one, 0o600)
    equal(os.stat(two).st_mode & 0o777, 0o600)
    os.setxattr(two, "user.x", b"1")
    equal(os.getxattr(one, "user.x"), b"1")
    at.restart()
    os.unlink(one)
    equal((content(two), os.stat(two).st_nlink), (b"CON", 1))


@rule("hard links in several folders outlive the removal of any of them")
def scattered_names(at):
    at.file("first", b"0")
    for number in range(8):
        at.folder(str(number))
        os.link(at / "first", at / f"{number}/name")
    os.unlink(at / "first")
    for number in range(7):
        os.unlink(at / f"{number}/name")
        os.rmdir(at / str(number))
        left = at / "7/name"
        with opened(left, os.O_WRONLY | os.O_APPEND) as file:
            os.write(file, b"%d" % number)
        equal(os.stat(left).st_nlink, 7 - number)
        os.setxattr(left, "user.turn", b"%d" % number)
    equal(content(left), b"00123456")


@rule("links cannot replace, lead to folders, or leave the file system; a symbolic link can have two names")
def linking(at):
    path, folder = at.file("file"), at.folder("folder")
    at.fails("EEXIST", os.link, path, folder)
    at.fails("EEXIST", os.link, path, at.file("other"))
    at.fails("EEXIST", os.link, path, path)
    at.fails("EPERM", os.link, folder, at / "new")
    at.fails("ENOENT", os.link, at / "missing", at / "new")
    at.fails("ENOENT", os.link, path, at / "missing/new")
    at.fails("ENOTDIR", os.link, path, at / "other/new")
    at.fails("EXDEV", os.link, path, at.elsewhere / "reelfs-conformance")
    os.symlink("file", at / "symlink")
    os.link(at / "symlink", at / "second", follow_symlinks=False)
    equal((os.readlink(at / "second"), os.lstat(at / "symlink").st_nlink, os.stat(path).st_nlink), ("file", 2, 1))
    os.mkfifo(at / "fifo")
    os.link(at / "fifo", at / "fifo2")
    equal(os.stat(at / "fifo2").st_nlink, 2)


@rule("rename moves a file, and replaces a file, with all that it is")
def renaming_files(at):
    one, two = at.file("one", b"1", 0o600), at.file("two", b"22", 0o640)
    number = os.stat(one).st_ino
    os.rename(one, at / "three")
    equal((os.stat(at / "three").st_ino, os.path.lexists(one)), (number, False))
    os.rename(at / "three", two)
    status = os.stat(two)
    equal((status.st_ino, status.st_mode & 0o777, status.st_nlink, content(two)), (number, 0o600, 1, b"1"))
    equal(os.listdir(at.root), ["two"])
    os.rename(two, two)
    equal(content(two), b"1")
    at.fails("ENOENT", os.rename, at / "missing", two)
    at.fails("ENOENT", os.rename, two, at / "missing/new")
    at.fails("ENOTDIR", os.rename, two, at / "two/new")
    at.fails("ENOTDIR", os.rename, two, at / "new/")
    at.fails("EXDEV", os.rename, two, at.elsewhere / "reelfs-conformance")
    at.fails("EXDEV", os.rename, at.elsewhere, at / "new")


@rule("rename of one name of a file to another of its names does nothing")
def renaming_to_itself(at):
    os.link(at.file("one", b"1"), at / "two")
    os.rename(at / "one", at / "two")
    equal(sorted(os.listdir(at.root)), ["one", "two"])
    equal(os.stat(at / "one").st_nlink, 2)


@rule("rename moves folders with what is in them, over empty folders only, and not into themselves")
def renaming_folders(at):
    for name in ("a", "a/b", "a/b/c", "empty", "full", "full/x"):
        at.folder(name)
    file = at.file("a/b/file", b"content")
    at.fails("EINVAL", os.rename, at / "a", at / "a/b/new")
    at.fails("EINVAL", os.rename, at / "a", at / "a/new")
    at.fails("ENOTEMPTY", os.rename, at / "a", at / "full")
    at.fails("ENOTEMPTY", os.rename, at / "a/b/c", at / "a/b")
    at.fails("EISDIR", os.rename, file, at / "empty")
    at.fails("ENOTDIR", os.rename, at / "empty", file)
    number = os.stat(at / "a").st_ino
    os.rename(at / "a", at / "empty")
    equal((os.stat(at / "empty").st_ino, content(at / "empty/b/file")), (number, b"content"))
    os.rename(at / "empty/b", at / "full/b")
    equal(content(at / "full/b/file"), b"content")
    equal(os.stat(at / "full/b/..").st_ino, os.stat(at / "full").st_ino)
    at.note("links", [os.stat(at / name).st_nlink for name in ("empty", "full", "full/b")])
    os.symlink("full", at / "symlink")
    os.rename(at / "symlink", at / "moved")
    equal((os.readlink(at / "moved"), sorted(os.listdir(at / "moved"))), ("full", ["b", "x"]))


@rule("RENAME_NOREPLACE does not replace, RENAME_EXCHANGE swaps what both names are")
def rename_flags(at):
    one, two, folder = at.file("one", b"1"), at.file("two", b"22"), at.folder("folder")
    at.file("folder/below", b"below")
    at.fails("EEXIST", renameat2, one, two, RENAME_NOREPLACE)
    at.fails("EEXIST", renameat2, one, folder, RENAME_NOREPLACE)
    at.fails("EEXIST", renameat2, one, one, RENAME_NOREPLACE)
    renameat2(one, at / "three", RENAME_NOREPLACE)
    renameat2(at / "three", one, RENAME_NOREPLACE)
    at.fails("ENOENT", renameat2, one, at / "missing", RENAME_EXCHANGE)
    at.fails("EINVAL", renameat2, one, two, RENAME_EXCHANGE | RENAME_NOREPLACE)
    at.fails("EINVAL", renameat2, one, two, 1 << 20)
    renameat2(one, two, RENAME_EXCHANGE)
    equal((content(one), content(two)), (b"22", b"1"))
    renameat2(one, folder, RENAME_EXCHANGE)
    equal((content(folder), content(at / "one/below")), (b"22", b"below"))
    at.fails("EINVAL", renameat2, at / "one", at / "one/below", RENAME_EXCHANGE)
    os.mkdir(at / "one/inner")
    os.mkdir(at / "outer")
    renameat2(at / "one/inner", at / "outer", RENAME_EXCHANGE)
    renameat2(at / "outer", two, RENAME_EXCHANGE)
    at.note("tree", sorted((name, os.path.isdir(at / name), os.stat(at / name).st_nlink) for name in os.listdir(at.root)))


@rule("an open file goes on under its new name, and so does one in a folder that is renamed")
def renaming_open_files(at):
    at.folder("a")
    at.folder("a/b")
    with opened(at / "a/b/file") as file:
        os.write(file, b"one ")
        os.rename(at / "a/b/file", at / "a/file")
        os.write(file, b"two ")
        os.rename(at / "a", at / "z")
        os.write(file, b"three")
        os.fchmod(file, 0o600)
        os.setxattr(file, "user.x", b"1")
        equal(content(at / "z/file"), b"one two three")
        equal(os.stat(at / "z/file").st_mode & 0o777, 0o600)
        os.ftruncate(file, 3)
        equal((os.pread(file, 99, 0), os.stat(at / "z/file").st_size), (b"one", 3))
    at.restart()
    equal(os.getxattr(at / "z/file", "user.x"), b"1")


@rule("an open file that is renamed over can be read and written on, without a name")
def renaming_over_open_files(at):
    old, new = at.file("old", b"old content"), at.file("new", b"new content")
    with opened(old) as file:
        os.rename(new, old)
        equal((os.pread(file, 99, 0), os.fstat(file).st_nlink), (b"old content", 0))
        os.pwrite(file, b"OLD", 0)
        at.restart()
        equal((os.pread(file, 99, 0), content(old)), (b"OLD content", b"new content"))
        os.ftruncate(file, 3)
        equal((os.fstat(file).st_size, os.stat(old).st_size), (3, 11))


@rule("a working folder can be renamed, and its dot-dot follows")
def renaming_working_folders(at):
    for name in ("a", "a/b", "c"):
        at.folder(name)

    def walk():
        os.chdir(at / "a/b")
        os.rename(at / "a/b", at / "c/b")
        at.file(os.path.abspath(at / "c/b/file"), b"x")
        return os.listdir("."), os.stat("..").st_ino == os.stat(at / "c").st_ino, os.getcwd().endswith("/c/b")
    equal(at.by(walk), (["file"], True, True))
