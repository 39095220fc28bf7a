"""Memory maps."""
import mmap, os, signal
from place import content, equal, opened
from rules import rule

PAGE = 4096


@rule("a shared map and the calls see each other's bytes at once")
def shared(at):
    with opened(at.file("file", b"f" * 3 * PAGE)) as file:
        view = mmap.mmap(file, 3 * PAGE)
        view[10:13] = b"MAP"
        equal(os.pread(file, 16, 0), b"f" * 10 + b"MAP" + b"fff")
        os.pwrite(file, b"WRITE", PAGE)
        equal(view[PAGE:PAGE + 6], b"WRITEf")
        view.flush()
        view[2 * PAGE] = 0x21
        view.close()
    equal(content(at / "file")[10:13] + content(at / "file")[2 * PAGE:2 * PAGE + 1], b"MAP!")


@rule("a map of one process is seen by another's, and survives close, rename and unlink")
def shared_by_processes(at):
    path = at.file("file", bytes(PAGE))
    file = os.open(path, os.O_RDWR)
    view = mmap.mmap(file, PAGE)
    os.close(file)
    os.rename(path, at / "moved")

    def write():
        with opened(at / "moved") as again:
            other = mmap.mmap(again, PAGE)
            other[0:5] = b"child"
            other.flush()
    at.by(write)
    equal(view[0:5], b"child")
    os.unlink(at / "moved")
    view[5:9] = b"last"
    view.flush()
    at.restart()
    equal(view[0:9], b"childlast")
    view.close()


@rule("a private map changes nothing in the file")
def private(at):
    with opened(at.file("file", b"f" * PAGE), os.O_RDONLY) as file:
        view = mmap.mmap(file, PAGE, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)
        view[0:4] = b"mine"
        equal((view[0:5], content(at / "file")[:5]), (b"minef", b"fffff"))
        at.see(lambda: mmap.mmap(file, PAGE, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE))
        view.close()
    with opened(at / "file", os.O_WRONLY) as file:
        at.see(lambda: mmap.mmap(file, PAGE, mmap.MAP_SHARED, mmap.PROT_READ))


@rule("what is mapped beyond the end is zeros in its page and SIGBUS after it, and never grows the file")
def beyond_the_end(at):
    path = at.file("file", b"short")
    with opened(path) as file:
        view = mmap_beyond(file)
        equal(view[0:8], b"short\0\0\0")
        view[6:9] = b"xyz"
        view.flush()
        equal((os.fstat(file).st_size, content(path)), (5, b"short"))

        def touch():
            return view[2 * PAGE]
        equal(at.by(touch), -signal.SIGBUS)
        os.ftruncate(file, 3 * PAGE)
        at.note("beyond", view[5:10] in (bytes(5), b"\0xyz\0"))
        equal(view[2 * PAGE], 0)
        view.close()


def mmap_beyond(file):
    """Python refuses maps longer than the file: it is made longer for a moment."""
    size = os.fstat(file).st_size
    os.ftruncate(file, 4 * PAGE)
    view = mmap.mmap(file, 4 * PAGE)
    os.ftruncate(file, size)
    return view


@rule("truncating takes the bytes out of maps")
def truncated(at):
    with opened(at.file("file", b"f" * 4 * PAGE)) as file:
        view = mmap.mmap(file, 4 * PAGE)
        equal(view[3 * PAGE], 0x66)
        os.ftruncate(file, PAGE + 100)
        equal((view[PAGE + 99], view[PAGE + 100]), (0x66, 0))
        equal(at.by(lambda: view[3 * PAGE]), -signal.SIGBUS)
        view.close()


@rule("what was written through a map is in the file after msync, and its time has moved")
def synced(at):
    path = at.file("file", b"f" * 64 * PAGE)
    with opened(path) as file:
        view = mmap.mmap(file, 64 * PAGE)

        def change():
            for page in range(64):
                view[page * PAGE] = 0x30 + page % 10
            view.flush()
        at.moved(path, change)
        os.fsync(file)
        at.restart()
        view.close()
    equal(content(path)[::PAGE], b"0123456789" * 6 + b"0123")
