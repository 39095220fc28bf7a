"""Modes, umask, owners, sticky and set-group-id folders, and who may do what."""
import os, socket, stat
from place import content, equal, mode, opened
from rules import rule

ANN, BOB = (1001, 1001), (1002, 1002)
SHARED = 2000  # A group that Ann is in besides her own.


@rule("what is created has the mode asked for, less the umask")
def umask(at):
    for mask in (0, 0o022, 0o027, 0o077, 0o777):
        def make():
            folder = at / f"{mask:o}"
            os.mkdir(folder)
            os.chmod(folder, 0o755)
            for how in (0o666, 0o777, 0o444, 0o000, 0o4755, 0o2755, 0o1644):
                os.close(os.open(os.path.join(folder, f"file{how:o}"), os.O_CREAT | os.O_WRONLY, how))
                os.mkdir(os.path.join(folder, f"folder{how:o}"), how)
                os.mkfifo(os.path.join(folder, f"fifo{how:o}"), how)
                os.mknod(os.path.join(folder, f"node{how:o}"), how | stat.S_IFREG)
                with_mask = how & ~mask
                equal(mode(os.path.join(folder, f"file{how:o}")), with_mask, f"file {how:o} with umask {mask:o}")
                at.note("folder", oct(mode(os.path.join(folder, f"folder{how:o}"))))
                at.note("fifo", oct(mode(os.path.join(folder, f"fifo{how:o}"))))
                at.note("node", oct(mode(os.path.join(folder, f"node{how:o}"))))
        at.by(make, umask=mask)


@rule("every mode can be set, on files and folders, and by an open descriptor")
def every_mode(at):
    file, folder = at.file("file"), at.folder("folder")
    with opened(file) as descriptor:
        for how in (*range(0, 0o10000, 0o111), 0o777, 0o7777, 0o4000, 0o2000, 0o1000, 0o644):
            for path in (file, folder):
                os.chmod(path, how)
                equal(mode(path), how)
            os.fchmod(descriptor, how ^ 0o111)
            equal(os.fstat(descriptor).st_mode & 0o7777, how ^ 0o111)
    os.chmod(folder, 0o755)


@rule("a file made with a mode that forbids it can be written by who made it, and not be opened again", root=True)
def forbidding_modes(at):
    os.chmod(at.root, 0o777)

    def make():
        with opened(at / "file", os.O_CREAT | os.O_RDWR | os.O_EXCL, 0o000) as descriptor:
            os.write(descriptor, b"written")
            equal(os.pread(descriptor, 9, 0), b"written")
        at.fails("EACCES", os.open, at / "file", os.O_RDONLY)
        at.fails("EACCES", os.open, at / "file", os.O_WRONLY)
    at.by(make, ANN)
    equal(content(at / "file"), b"written")


@rule("what is created belongs to its creator, whatever it is", root=True)
def creators(at):
    os.chmod(at.root, 0o777)
    at.file("source")
    os.chmod(at / "source", 0o666)

    def make():
        os.chdir(at.root)
        os.close(os.open("file", os.O_CREAT | os.O_WRONLY))
        os.mkdir("folder")
        os.symlink("x", "symlink")
        os.mkfifo("fifo")
        os.mknod("node", 0o644 | stat.S_IFREG)
        socket.socket(socket.AF_UNIX).bind("socket")
    at.by(make, ANN, (SHARED,))
    for name in ("file", "folder", "symlink", "fifo", "node", "socket"):
        status = os.lstat(at / name)
        equal((status.st_uid, status.st_gid), ANN, name)
        at.note(name, oct(status.st_mode))


@rule("in a set-group-id folder the group is the folder's, and subfolders hand it on", root=True)
def set_group_id_folders(at):
    folder = at.folder("folder", 0o2777)
    os.chown(folder, 0, SHARED)
    equal(mode(folder), 0o2777)

    def make():
        os.close(os.open(at / "folder/file", os.O_CREAT | os.O_WRONLY, 0o666))
        os.close(os.open(at / "folder/set", os.O_CREAT | os.O_WRONLY, 0o2777))
        os.mkdir(at / "folder/below")
        os.symlink("x", at / "folder/symlink")
        os.mkfifo(at / "folder/fifo")
        os.close(os.open(at / "folder/below/file", os.O_CREAT | os.O_WRONLY, 0o666))
    at.by(make, ANN)
    for name in ("file", "set", "below", "symlink", "fifo", "below/file"):
        status = os.lstat(at / f"folder/{name}")
        equal((status.st_uid, status.st_gid), (ANN[0], SHARED), name)
        at.note(name, oct(status.st_mode))
    equal(mode(at / "folder/below") & 0o2000, 0o2000)
    # By root as well.
    os.close(os.open(at / "folder/root", os.O_CREAT | os.O_WRONLY))
    equal(os.stat(at / "folder/root").st_gid, SHARED)


@rule("in a sticky folder only the owner of a file, of the folder, and root remove and rename", root=True)
def sticky_folders(at):
    folder = at.folder("folder", 0o1777)
    os.chown(folder, *BOB)
    for name in ("one", "two", "three"):
        at.file(f"folder/{name}", mode=0o666)
        os.chown(at / f"folder/{name}", *ANN)
    other = (1003, 1003)

    def meddle():
        at.fails("EPERM", os.unlink, at / "folder/one")
        at.fails("EPERM", os.rename, at / "folder/one", at / "folder/renamed")
        at.file("folder/mine")
        at.fails("EPERM", os.rename, at / "folder/mine", at / "folder/one")
        os.unlink(at / "folder/mine")
    at.by(meddle, other)
    at.by(lambda: os.unlink(at / "folder/one"), ANN)
    at.by(lambda: os.unlink(at / "folder/two"), BOB)
    os.unlink(at / "folder/three")


@rule("owner, group and others get what the mode gives them, and root what it wants", root=True)
def permissions(at):
    os.chmod(at.root, 0o755)
    path = at.file("file", b"content")
    os.chown(path, ANN[0], SHARED)
    callers = {"owner": (ANN, ()), "group": (BOB, (SHARED,)), "others": (BOB, ())}
    for how in (0o000, 0o400, 0o200, 0o040, 0o020, 0o004, 0o002, 0o077, 0o640, 0o111):
        os.chmod(path, how)
        for who, (user, groups) in callers.items():
            def look():
                at.note(f"{how:o} {who}", [
                    at.see(lambda: os.close(os.open(path, flags))) for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR)])
                at.note("access", [os.access(path, what) for what in (os.R_OK, os.W_OK, os.X_OK)])
            at.by(look, user, groups)
        equal(content(path), b"content")


@rule("folders are searched, listed and changed as their mode says", root=True)
def folder_permissions(at):
    os.chmod(at.root, 0o755)
    folder = at.folder("folder")
    at.file("folder/file", mode=0o666)
    os.chown(folder, *ANN)
    for how in range(8):
        os.chmod(folder, how)

        def look():
            at.see(lambda: sorted(os.listdir(folder)))
            at.see(lambda: os.stat(at / "folder/file").st_size)
            at.see(lambda: os.close(os.open(at / "folder/new", os.O_CREAT | os.O_WRONLY)))
            at.see(lambda: os.mkdir(at / "folder/below"))
            at.see(lambda: os.rename(at / "folder/new", at / "folder/newer"))
            at.see(lambda: os.unlink(at / "folder/newer"))
            at.see(lambda: os.rmdir(at / "folder/below"))
            at.see(lambda: os.link(at / "folder/file", at / "folder/link"))
            at.see(lambda: os.unlink(at / "folder/link"))
        at.by(look, BOB)
    os.chmod(folder, 0o755)
    # Whoever may change the folder may remove what is not his.
    os.chmod(folder, 0o777)
    at.by(lambda: os.unlink(at / "folder/file"), BOB)


@rule("only the owner changes mode and times; only root gives a file away", root=True)
def who_changes_attributes(at):
    os.chmod(at.root, 0o755)
    path = at.file("file", mode=0o666)
    os.chown(path, *ANN)

    def owner():
        os.chmod(path, 0o666)
        os.chown(path, -1, SHARED)
        os.chown(path, -1, ANN[1])
        at.fails("EPERM", os.chown, path, BOB[0], -1)
        at.fails("EPERM", os.chown, path, -1, BOB[1])
        os.utime(path, (1, 2))

    def other():
        at.fails("EPERM", os.chmod, path, 0o600)
        at.fails("EPERM", os.chown, path, BOB[0], BOB[1])
        at.fails("EPERM", os.utime, path, (1, 2))
        os.utime(path)  # May write, so may set them to now.
        at.fails("EPERM", os.open, path, os.O_RDONLY | os.O_NOATIME)
    at.by(owner, ANN, (SHARED,))
    at.by(other, BOB)
    os.chmod(path, 0o644)
    at.by(lambda: at.fails("EACCES", os.utime, path), BOB)
    os.chown(path, *BOB)
    equal((os.stat(path).st_uid, os.stat(path).st_gid), BOB)


@rule("set-user-id and set-group-id go when somebody else writes, truncates, or the owner changes", root=True)
def privileges_go(at):
    os.chmod(at.root, 0o777)

    def write(path):
        with opened(path, os.O_WRONLY) as descriptor:
            os.write(descriptor, b"x")

    def cut(path):
        with opened(path, os.O_WRONLY) as descriptor:
            os.ftruncate(descriptor, 1)
    ways = {
        "write": write, "cut": cut, "truncate": lambda path: os.truncate(path, 2),
        "open": lambda path: os.close(os.open(path, os.O_WRONLY | os.O_TRUNC)),
        "only open": lambda path: os.close(os.open(path, os.O_WRONLY))}
    for name, way in ways.items():
        for how in (0o6777, 0o6767, 0o2666):
            path = at.file(f"{name} {how:o}", b"content", how)
            equal(mode(path), how)
            at.by(lambda: way(path), BOB)
            at.note(f"{name} {how:o} by another", oct(mode(path)))
            os.chmod(path, how)
            way(path)
            at.note(f"{name} {how:o} by root", oct(mode(path)))
    path = at.file("given", b"x", 0o6777)
    os.chown(path, *ANN)
    equal(mode(path), 0o777)
    os.chmod(path, 0o6777)
    at.by(lambda: os.chown(path, -1, SHARED), ANN, (SHARED,))
    equal(mode(path), 0o777)


@rule("set-group-id is not given to who is not in the group", root=True)
def set_group_id_is_refused(at):
    path = at.file("file")
    os.chown(path, ANN[0], BOB[1])
    at.by(lambda: os.chmod(path, 0o2755), ANN)
    equal(mode(path), 0o755)
    at.by(lambda: os.chmod(path, 0o2755), ANN, (BOB[1],))
    equal(mode(path), 0o2755)


@rule("a second name, a rename and a removal keep the owner", root=True)
def owners_stay(at):
    os.chmod(at.root, 0o777)
    path = at.file("file")
    os.chown(path, *ANN)
    at.by(lambda: os.link(path, at / "link"), ANN)
    at.by(lambda: os.rename(path, at / "moved"), BOB)
    for name in ("link", "moved"):
        equal((os.stat(at / name).st_uid, os.stat(at / name).st_gid), ANN)
    at.restart()
    equal(os.stat(at / "moved").st_uid, ANN[0])
