"""Listings: complete, once each, while names come and go, and from a place told before."""
import ctypes, os, threading
from place import equal, libc
from rules import rule


class Entry(ctypes.Structure):
    """struct dirent of 64-bit glibc."""
    _fields_ = [("ino", ctypes.c_uint64), ("off", ctypes.c_int64), ("length", ctypes.c_ushort), ("type", ctypes.c_ubyte),
                ("name", ctypes.c_char * 256)]


libc.opendir.restype = ctypes.c_void_p
libc.readdir.restype = ctypes.POINTER(Entry)
libc.telldir.restype = ctypes.c_long
for function in (libc.readdir, libc.telldir, libc.closedir, libc.rewinddir):
    function.argtypes = [ctypes.c_void_p]
libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]


class Listing:
    """readdir(3) and its friends."""

    def __init__(self, path):
        self.handle = libc.opendir(os.fsencode(path))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        libc.closedir(self.handle)

    def next(self):
        entry = libc.readdir(self.handle)
        return entry.contents.name if entry else None

    def rest(self):
        names = []
        while (name := self.next()) is not None:
            names.append(name)
        return names

    def tell(self):
        return libc.telldir(self.handle)

    def seek(self, place):
        libc.seekdir(self.handle, place)

    def rewind(self):
        libc.rewinddir(self.handle)


def make(at, count, prefix="name"):
    names = [f"{prefix}-{number:06}" for number in range(count)]
    for name in names:
        os.symlink("x", at / name)
    return {name.encode() for name in names}


@rule("a listing has dot, dot-dot and every name once, each with its type")
def listing(at):
    at.file("file")
    at.folder("folder")
    os.symlink("x", at / "symlink")
    os.mkfifo(at / "fifo")
    with Listing(at.root) as folder:
        names = folder.rest()
        equal(sorted(names), [b".", b"..", b"fifo", b"file", b"folder", b"symlink"])
        equal(folder.next(), None)
        folder.rewind()
        equal(sorted(folder.rest()), sorted(names))
    at.note("types", sorted((entry.name, entry.is_symlink(), entry.is_dir(follow_symlinks=False), entry.is_file(follow_symlinks=False))
                            for entry in os.scandir(at.root)))


@rule("seekdir goes on where telldir was, after names have come and gone")
def seeking(at):
    names = make(at, 500)
    with Listing(at.root) as folder:
        order, places = [], []
        while True:
            places.append(folder.tell())
            if (name := folder.next()) is None:
                break
            order.append(name)
        equal(set(order) - {b".", b".."}, names)
        for number in (0, 1, 7, 250, 499, 501):
            folder.seek(places[number])
            equal(folder.rest(), order[number:], f"from place {number}")
        gone = set(order[100:400:3]) - {b".", b".."}
        for name in gone:
            os.unlink(at / name)
        make(at, 50, "new")
        for number in (0, 99, 150, 250, 420):
            folder.seek(places[number])
            rest = [name for name in folder.rest() if not name.startswith(b"new-")]
            equal(rest, [name for name in order[number:] if name not in gone], f"from place {number} later")


@rule("a folder can be emptied while it is listed")
def emptying(at):
    names = make(at, 3_000)
    removed = []
    with Listing(at.root) as folder:
        while (name := folder.next()) is not None:
            if name not in (b".", b".."):
                os.unlink(at / name)
                removed.append(name)
    equal((len(removed), set(removed)), (3_000, names))
    equal(os.listdir(at.root), [])


@rule("names that stay are listed once, whatever comes, goes and is renamed meanwhile")
def changing(at):
    names = make(at, 2_000, "stays")
    stop = threading.Event()
    failures = []

    def change():
        try:
            turn = 0
            while not stop.is_set():
                turn += 1
                os.symlink("x", at / f"comes-{turn}")
                os.rename(at / f"comes-{turn}", at / f"moves-{turn}")
                if turn > 20:
                    os.unlink(at / f"moves-{turn - 20}")
        except OSError as error:
            failures.append(error)
    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(15):
            with Listing(at.root) as folder:
                seen = [name for name in folder.rest() if name.startswith(b"stays-")]
            equal((len(seen), set(seen) == names), (2_000, True))
    finally:
        stop.set()
        thread.join()
    equal(failures, [])


@rule("a folder may have 100,000 names, each listed once and found")
def many_names(at):
    count = at.many
    names = make(at, count)
    with Listing(at.root) as folder:
        seen = folder.rest()
    equal((len(seen), set(seen) == names | {b".", b".."}), (count + 2, True))
    for number in range(0, count, max(1, count // 1000)):
        equal(os.readlink(at / f"name-{number:06}"), "x")
    equal(len({entry.inode() for entry in os.scandir(at.root)}), count)
    at.restart()
    equal(len(os.listdir(at.root)), count)
    for name in names:
        os.unlink(at / os.fsdecode(name))
    equal(os.listdir(at.root), [])


@rule("thousands of files are listed with their attributes, as they are")
def attributes_of_many(at):
    for number in range(1_500):
        at.file(str(number), b"x" * number, 0o600 if number % 2 else 0o644)
    for _ in range(2):
        found = {entry.name: entry.stat() for entry in os.scandir(at.root)}
        equal(len(found), 1_500)
        for number in range(1_500):
            status = found[str(number)]
            equal((status.st_size, status.st_mode & 0o777), (number, 0o600 if number % 2 else 0o644), str(number))
        at.restart()
