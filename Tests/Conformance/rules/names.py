"""Names and paths, and the nodes that are neither files nor folders."""
import os, socket, stat
from place import content, equal, mode, opened
from rules import rule


@rule("a name has at most 255 bytes, whatever is done with it")
def long_names(at):
    fits, too_long = at / ("n" * 255), at / ("n" * 256)
    at.file(fits, b"here")
    equal(content(fits), b"here")
    os.rename(fits, at / ("m" * 255))
    at.fails("ENAMETOOLONG", os.open, too_long, os.O_CREAT | os.O_WRONLY)
    at.fails("ENAMETOOLONG", os.mkdir, too_long)
    at.fails("ENAMETOOLONG", os.symlink, "x", too_long)
    at.fails("ENAMETOOLONG", os.mkfifo, too_long)
    at.fails("ENAMETOOLONG", os.link, at / ("m" * 255), too_long)
    at.fails("ENAMETOOLONG", os.rename, at / ("m" * 255), too_long)
    at.fails("ENAMETOOLONG", os.lstat, too_long)
    at.fails("ENAMETOOLONG", os.unlink, too_long)
    equal(os.listdir(at.root), ["m" * 255])


@rule("a path has less than 4096 bytes, and folders may lie deeper than that")
def deep_folders(at):
    at.fails("ENAMETOOLONG", os.lstat, at / ("d/" * 2100))
    here = os.open(at.root, os.O_RDONLY)
    for _ in range(30):
        os.mkdir("d" * 200, dir_fd=here)
        deeper = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    file = os.open("deep", os.O_CREAT | os.O_RDWR, dir_fd=here)
    os.write(file, b"down here")
    at.see(os.setxattr, file, "user.deep", b"yes")
    equal(at.see(os.getxattr, file, "user.deep"), b"yes")
    os.rename("deep", "deeper", src_dir_fd=here, dst_dir_fd=here)
    os.chmod(file, 0o600)
    os.utime(file, (1, 2))
    equal(at.note("size", os.stat("deeper", dir_fd=here).st_size), 9)
    at.note("listed", os.listdir(here))
    again = os.open("deeper", os.O_RDONLY, dir_fd=here)
    equal(os.read(again, 99), b"down here")
    os.link("deeper", "second", src_dir_fd=here, dst_dir_fd=here)
    equal(os.fstat(file).st_nlink, 2)
    for name in ("deeper", "second"):
        os.unlink(name, dir_fd=here)
    for descriptor in (file, again, here):
        os.close(descriptor)


@rule("a name is bytes: line breaks, control characters, no UTF-8, leading blanks; A is not a")
def any_bytes(at):
    names = [b"a\nb", b"\x01\x7f", b"\xff\xfe\x80", b" leading", b"-rf", b"...", b"trailing ", b"tab\t", b"\xc3\xa4",
             b"a\xcc\x88", b"a\\b", b"%2F", b"case", b"CASE", b"*?[", b"\"quoted\"", b"'", b"~", b"#", b"a:b"]
    for name in names:
        at.file(name, name * 3)
    for name in names:
        equal(content(at / name), name * 3)
    equal(at.note("listed", sorted(os.listdir(os.fsencode(at.root)))), sorted(names))


@rule("paths through a file are ENOTDIR, missing ones ENOENT, an empty one ENOENT")
def wrong_paths(at):
    at.file("file")
    for call in (os.lstat, os.unlink, os.listdir, os.readlink, os.mkdir):
        at.fails("ENOTDIR", call, at / "file/below")
        at.fails("ENOENT", call, at / "missing/below")
    at.fails("ENOTDIR", os.stat, at / "file/")
    at.fails("ENOTDIR", os.listdir, at / "file")
    at.fails("ENOTDIR", os.rename, at / "file", at / "file/below")
    at.fails("ENOENT", os.stat, "")
    at.fails("EISDIR", os.open, at / "new/", os.O_CREAT | os.O_WRONLY)


@rule("dot and dot-dot cannot be made, removed or renamed")
def dots(at):
    folder = at.folder("folder")
    for name in (".", ".."):
        at.fails("EEXIST", os.mkdir, os.path.join(folder, name))
        at.fails("EISDIR", os.open, os.path.join(folder, name), os.O_CREAT | os.O_WRONLY)
        at.fails("EBUSY", os.rename, os.path.join(folder, name), at / "x")
        at.fails("EBUSY", os.rename, folder, os.path.join(folder, name))
    at.fails("EINVAL", os.rmdir, os.path.join(folder, "."))
    at.fails("ENOTEMPTY", os.rmdir, os.path.join(folder, ".."))
    equal(os.stat(os.path.join(folder, "..")).st_ino, os.stat(at.root).st_ino)


@rule("a symbolic link holds its text, is followed or not as asked, and may dangle")
def symbolic_links(at):
    link = at / "link"
    at.fails("ENOENT", os.symlink, "", at / "empty")
    os.symlink("target", link)
    equal(os.readlink(link), "target")
    at.fails("EEXIST", os.symlink, "other", link)
    at.fails("ENOENT", os.stat, link)
    at.fails("EINVAL", os.readlink, at.file("file"))
    at.fails("ENOENT", os.readlink, at / "missing")
    status = os.lstat(link)
    equal((stat.S_ISLNK(status.st_mode), status.st_size), (True, 6))
    at.note("mode", oct(status.st_mode))
    with opened(link) as made:
        os.write(made, b"through the link")
    equal(content(at / "target"), b"through the link")
    os.unlink(link)
    equal(content(at / "target"), b"through the link")


@rule("the text of a symbolic link has up to 4095 bytes, of any kind")
def long_symbolic_links(at):
    for text in (b"x" * 59, b"x" * 60, b"x" * 61, b"\xff\n" * 500, b"y" * 4094, b"y" * 4095):
        os.symlink(text, at / b"link")
        equal(os.readlink(at / b"link"), text)
        equal(at.note("size", os.lstat(at / b"link").st_size), len(text))
        os.unlink(at / b"link")
    at.fails("ENAMETOOLONG", os.symlink, "y" * 4096, at / "link")


@rule("symbolic links in a circle are ELOOP, as are more than forty in a row")
def loops(at):
    os.symlink("b", at / "a")
    os.symlink("a", at / "b")
    at.fails("ELOOP", os.stat, at / "a")
    at.fails("ELOOP", os.open, at / "a", os.O_RDONLY)
    at.fails("ELOOP", os.open, at / "a/x", os.O_CREAT | os.O_WRONLY)
    at.file("0", b"end")
    for number in range(1, 42):
        os.symlink(str(number - 1), at / str(number))
    equal(content(at / "40"), b"end")
    at.fails("ELOOP", os.stat, at / "41")
    at.fails("ELOOP", os.open, at / "1", os.O_RDONLY | os.O_NOFOLLOW)


@rule("owner and times of a symbolic link are its own", root=True)
def symbolic_link_attributes(at):
    target = at.file("target")
    os.symlink("target", at / "link")
    before = os.stat(target)
    os.lchown(at / "link", 1001, 1002)
    os.utime(at / "link", ns=(5, 7), follow_symlinks=False)
    status = os.lstat(at / "link")
    equal((status.st_uid, status.st_gid, status.st_mtime_ns), (1001, 1002, 7))
    after = os.stat(target)
    equal((after.st_uid, after.st_mtime_ns), (before.st_uid, before.st_mtime_ns))
    os.chown(at / "link", 1003, 1004)
    equal((os.stat(target).st_uid, os.lstat(at / "link").st_uid), (1003, 1001))


@rule("a FIFO carries bytes between processes")
def fifos(at):
    os.mkfifo(at / "fifo", 0o640)
    status = os.lstat(at / "fifo")
    equal((stat.S_ISFIFO(status.st_mode), mode(at / "fifo"), status.st_size), (True, 0o640, 0))
    at.fails("EEXIST", os.mkfifo, at / "fifo")
    at.fails("ENXIO", os.open, at / "fifo", os.O_WRONLY | os.O_NONBLOCK)
    reader = os.open(at / "fifo", os.O_RDONLY | os.O_NONBLOCK)

    def write():
        with opened(at / "fifo", os.O_WRONLY) as writer:
            os.write(writer, b"through the fifo")
    at.by(write)
    equal((os.read(reader, 99), os.read(reader, 99)), (b"through the fifo", b""))
    os.rename(at / "fifo", at / "moved")
    os.unlink(at / "moved")
    at.note("links of the unlinked", os.fstat(reader).st_nlink)
    os.close(reader)


@rule("a socket can be bound to a name and connected to by it")
def sockets(at):
    os.chdir(at.root)  # Its path has at most 107 bytes.
    server = socket.socket(socket.AF_UNIX)
    server.bind("socket")
    equal(stat.S_ISSOCK(os.lstat("socket").st_mode), True)
    at.note("mode", oct(mode("socket")))
    server.listen()

    def talk():
        client = socket.socket(socket.AF_UNIX)
        client.connect("socket")
        client.sendall(b"hello")
    at.by(talk)
    equal(server.accept()[0].recv(99), b"hello")
    at.fails("EADDRINUSE", socket.socket(socket.AF_UNIX).bind, "socket")
    at.fails("ENXIO", os.open, "socket", os.O_RDWR)
    server.close()
    at.fails("ECONNREFUSED", socket.socket(socket.AF_UNIX).connect, "socket")
    at.restart()
    at.fails("ECONNREFUSED", socket.socket(socket.AF_UNIX).connect, "socket")
    os.unlink("socket")
    os.chdir("/")


@rule("device nodes can be made by root", root=True)
def devices(at):
    os.mknod(at / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    os.mknod(at / "block", 0o660 | stat.S_IFBLK, os.makedev(7, 250))
    for name in ("null", "block"):
        status = os.lstat(at / name)
        at.note(name, (oct(status.st_mode), status.st_rdev))
    os.chmod(at.root, 0o777)
    at.by(lambda: at.fails("EPERM", os.mknod, at / "other", 0o666 | stat.S_IFCHR, os.makedev(1, 3)), (1001, 1001))


@rule("mknod makes regular files too")
def regular_nodes(at):
    os.mknod(at / "node", 0o640 | stat.S_IFREG)
    status = os.lstat(at / "node")
    equal((stat.S_ISREG(status.st_mode), status.st_size, status.st_nlink), (True, 0, 1))
    at.fails("EEXIST", os.mknod, at / "node", 0o640 | stat.S_IFREG)
    at.fails("EPERM", os.mknod, at / "folder", 0o755 | stat.S_IFDIR)
    at.file(at / "node", b"content")
    equal(content(at / "node"), b"content")


@rule("a folder has the same number in listings, stat and its subfolders' dot-dot")
def numbers(at):
    os.mkdir(at / "a")
    os.mkdir(at / "a/b")
    at.file("a/file")
    found = {entry.name: (entry.inode(), entry.is_dir(), entry.is_file()) for entry in os.scandir(at / "a")}
    for name in found:
        equal(found[name][0], os.lstat(at / f"a/{name}").st_ino, name)
    equal(sorted((name, *kind[1:]) for name, kind in found.items()), [("b", True, False), ("file", False, True)])
    equal(os.stat(at / "a/b/..").st_ino, os.stat(at / "a").st_ino)
