"""flock, and byte-range locks of processes and of open files."""
import contextlib, fcntl, os, signal, struct, time
from place import equal, opened
from rules import rule

F_OFD_GETLK, F_OFD_SETLK = 36, 37


def refused(call):
    try:
        call()
    except (BlockingIOError, PermissionError):
        return True
    return False


def range_lock(file, kind, start, count, command=fcntl.F_SETLK):
    fcntl.fcntl(file, command, struct.pack("hhqqi4x", kind, os.SEEK_SET, start, count, 0))


def owner(file, kind, start, count):
    """The process that holds a lock in the way; 0 for none."""
    answer = struct.unpack("hhqqi4x", fcntl.fcntl(
        file, fcntl.F_GETLK, struct.pack("hhqqi4x", kind, os.SEEK_SET, start, count, 0)))
    return 0 if answer[0] == fcntl.F_UNLCK else answer[4]


@contextlib.contextmanager
def holder(path, take):
    """Another process that has `path` open and has run `take` with it, until it is killed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        file = os.open(path, os.O_RDWR)
        take(file)
        os.write(writing, b"!")
        time.sleep(600)
        os._exit(0)
    os.close(writing)
    equal(os.read(reading, 1), b"!", "the holder's word")
    os.close(reading)
    try:
        yield child
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@rule("flock: one may write or many read, by open file, until closed or killed")
def whole_files(at):
    path = at.file("file")
    with opened(path) as one, opened(path) as two:
        with holder(path, lambda file: fcntl.flock(file, fcntl.LOCK_SH)):
            fcntl.flock(one, fcntl.LOCK_SH | fcntl.LOCK_NB)
            equal(refused(lambda: fcntl.flock(one, fcntl.LOCK_EX | fcntl.LOCK_NB)), True)
            at.restart()
            equal(refused(lambda: fcntl.flock(two, fcntl.LOCK_EX | fcntl.LOCK_NB)), True)
        fcntl.flock(one, fcntl.LOCK_EX | fcntl.LOCK_NB)
        equal(refused(lambda: fcntl.flock(two, fcntl.LOCK_SH | fcntl.LOCK_NB)), True)
        copy = os.dup(one)
        fcntl.flock(copy, fcntl.LOCK_UN)
        fcntl.flock(two, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(copy)
    with opened(path) as again:
        fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)


@rule("byte-range locks keep other processes out of these bytes only, and say who holds them")
def ranges(at):
    path = at.file("file", b"x" * 100)
    with opened(path) as file:
        with holder(path, lambda held: range_lock(held, fcntl.F_WRLCK, 10, 10)) as child:
            equal(owner(file, fcntl.F_RDLCK, 15, 1), child)
            equal(refused(lambda: range_lock(file, fcntl.F_RDLCK, 19, 5)), True)
            at.restart()
            equal(refused(lambda: range_lock(file, fcntl.F_WRLCK, 0, 0)), True)
            range_lock(file, fcntl.F_WRLCK, 0, 10)
            range_lock(file, fcntl.F_WRLCK, 20, 0)
            # Whoever locks is not kept from writing: locks are advisory.
            os.pwrite(file, b"y", 12)
        equal(owner(file, fcntl.F_RDLCK, 15, 1), 0)
        range_lock(file, fcntl.F_WRLCK, 10, 10)


@rule("a process loses its byte-range locks with any of its descriptors of the file")
def lost_locks(at):
    path = at.file("file", b"x")
    with opened(path) as file:
        range_lock(file, fcntl.F_WRLCK, 0, 1)
        equal(at.by(lambda: attempt(path)), "refused")
        os.close(os.open(path, os.O_RDONLY))
        equal(at.by(lambda: attempt(path)), "taken")


def attempt(path, command=fcntl.F_SETLK):
    with opened(path) as file:
        return "refused" if refused(lambda: range_lock(file, fcntl.F_WRLCK, 0, 1, command)) else "taken"


@rule("locks of open files (F_OFD_SETLK) keep other openings of the same process out")
def open_file_locks(at):
    path = at.file("file", b"x")
    with opened(path) as one, opened(path) as two:
        range_lock(one, fcntl.F_WRLCK, 0, 1, F_OFD_SETLK)
        equal(refused(lambda: range_lock(two, fcntl.F_RDLCK, 0, 1, F_OFD_SETLK)), True)
        os.close(os.open(path, os.O_RDONLY))
        equal(attempt(path, F_OFD_SETLK), "refused")
        range_lock(one, fcntl.F_UNLCK, 0, 1, F_OFD_SETLK)
        equal(attempt(path, F_OFD_SETLK), "taken")


@rule("who waits for a lock gets it when it is free, and two who wait for each other are told")
def waiting(at):
    path = at.file("file", b"xx")
    with holder(path, lambda held: range_lock(held, fcntl.F_WRLCK, 0, 1)) as child:
        waiter = os.fork()
        if waiter == 0:
            with opened(path) as file:
                range_lock(file, fcntl.F_WRLCK, 0, 1, fcntl.F_SETLKW)
            os._exit(7)
        sleeps(waiter)
        os.kill(child, signal.SIGKILL)
        equal(os.waitstatus_to_exitcode(os.waitpid(waiter, 0)[1]), 7)
    with opened(path) as file:
        range_lock(file, fcntl.F_WRLCK, 0, 1)
        reading, writing = os.pipe()
        other = os.fork()
        if other == 0:
            with opened(path) as mine:
                range_lock(mine, fcntl.F_WRLCK, 1, 1)
                os.write(writing, b"!")
                range_lock(mine, fcntl.F_WRLCK, 0, 1, fcntl.F_SETLKW)
            os._exit(0)
        os.read(reading, 1)
        sleeps(other)
        at.fails("EDEADLOCK", range_lock, file, fcntl.F_WRLCK, 1, 1, fcntl.F_SETLKW)
        range_lock(file, fcntl.F_UNLCK, 0, 1)
        equal(os.waitpid(other, 0)[1], 0)
        for end in (reading, writing):
            os.close(end)


def sleeps(process):
    """Returns when it waits in the kernel for a lock."""
    while "F_SETLKW" not in lock_call(process):
        time.sleep(0.001)


def lock_call(process):
    # fcntl is call 72 on x86_64 and 25 on arm64; F_SETLKW is 7.
    words = open(f"/proc/{process}/syscall").read().split()
    return "F_SETLKW" if words[0] in ("72", "25") and int(words[2], 16) == 7 else ""


@rule("read and write access are needed for read and write locks")
def access(at):
    path = at.file("file", b"x")
    with opened(path, os.O_RDONLY) as reading, opened(path, os.O_WRONLY) as writing:
        range_lock(reading, fcntl.F_RDLCK, 0, 1)
        at.fails("EBADF", range_lock, reading, fcntl.F_WRLCK, 0, 1)
        range_lock(writing, fcntl.F_WRLCK, 0, 1)
        at.fails("EBADF", range_lock, writing, fcntl.F_RDLCK, 0, 1)
        fcntl.flock(reading, fcntl.LOCK_EX)
