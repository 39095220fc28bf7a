"""One of the two places where a rule is tried: a plain folder or a folder in the mount."""
import ctypes, errno, os, pickle, time

libc = ctypes.CDLL(None, use_errno=True)
AT_FDCWD, AT_EMPTY_PATH, AT_SYMLINK_FOLLOW = -100, 0x1000, 0x400
RENAME_NOREPLACE, RENAME_EXCHANGE = 1, 2
KEEP_SIZE, PUNCH_HOLE, COLLAPSE_RANGE, ZERO_RANGE, INSERT_RANGE = 1, 2, 8, 16, 32


class Failed(Exception):
    """A rule does not hold in this place."""


class Place:
    """`at / name` is a path in it. What a rule notes is compared with what it noted in the other place."""

    def __init__(self, root, restart=None):
        self.root, self.notes, self._restart = root, [], restart

    def __truediv__(self, name):
        return os.path.join(os.fsencode(self.root), name) if isinstance(name, bytes) else os.path.join(self.root, name)

    # -- looking
    def note(self, label, value):
        """Compared with the other place. - Returns: the value."""
        self.notes.append((label, value))
        return value

    def see(self, call, *words, **named):
        """Makes a call whose outcome is compared with the other place. - Returns: its value, or its error's name."""
        try:
            value = call(*words, **named)
        except OSError as error:
            value = errno.errorcode.get(error.errno, str(error.errno))
        return self.note(getattr(call, "__name__", "call"), value)

    def fails(self, expected, call, *words, **named):
        """The call fails with this errno."""
        equal(self.see(call, *words, **named), expected, f"{getattr(call, '__name__', 'call')}{words}")

    def moved(self, path, action):
        """Which of the times of `path` (a, m, c, of the node itself) `action` moves forward."""
        before = os.lstat(path)
        self.tick()
        action()
        after = os.lstat(path)
        return self.note("moved", "".join(
            name[3] for name in ("st_atime_ns", "st_mtime_ns", "st_ctime_ns") if getattr(after, name) > getattr(before, name)))

    def tick(self):
        """Returns when the file system's clock has moved on."""
        probe = self / ".tick"
        with open(probe, "w"):
            pass
        start = os.stat(probe).st_ctime_ns
        # Its steps are 1 to 10 ms (CONFIG_HZ).
        while os.stat(probe).st_ctime_ns - start < 1_000_000:
            time.sleep(0.001)
            os.utime(probe)
        os.unlink(probe)

    def stored(self, path):
        """In the mount: returns when the destination has it."""

    def evict(self, path):
        """In the mount: its bytes are at the destination only."""

    def restart(self):
        """In the mount: the worker is killed, and another one takes over."""
        if self._restart:
            self._restart()

    # -- making
    def file(self, name, content=b"", mode=0o644):
        path = self / name
        with open(path, "wb", buffering=0) as file:
            file.write(content)
        os.chmod(path, mode)
        return path

    def folder(self, name, mode=0o755):
        path = self / name
        os.mkdir(path)
        os.chmod(path, mode)
        return path

    # -- somebody else
    def by(self, action, user=None, groups=(), umask=0o022):
        """What `action` returns in another process, as another user: (user, group). Its notes count too."""
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            self.notes, code = [], 1
            try:
                os.umask(umask)
                if user:
                    os.setgroups(groups)
                    os.setgid(user[1])
                    os.setuid(user[0])
                answer = (self.notes, action(), None)
                code = 0
            except BaseException as error:  # The parent raises it.
                answer = (self.notes, None, f"{type(error).__name__}: {error}")
            with os.fdopen(writing, "wb") as pipe:
                pickle.dump(answer, pipe)
            os._exit(code)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            content = pipe.read()
        _, status = os.waitpid(child, 0)
        if not content:
            return self.note("ended", os.waitstatus_to_exitcode(status))
        notes, value, failure = pickle.loads(content)
        self.notes += notes
        if failure:
            raise Failed(failure)
        return value


def equal(value, expected, what="value"):
    if value != expected:
        raise Failed(f"{what} is {value!r}, not {expected!r}")


def content(path):
    with open(path, "rb") as file:
        return file.read()


def mode(path):
    return os.lstat(path).st_mode & 0o7777


def check(result):
    """What a C function returned, -1 raised as OSError."""
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def renameat2(old, new, flags):
    check(libc.renameat2(AT_FDCWD, os.fsencode(old), AT_FDCWD, os.fsencode(new), flags))


def link_open(descriptor, path):
    """Gives an open file a name (linkat(2), as open(2) describes it for O_TMPFILE)."""
    check(libc.linkat(AT_FDCWD, b"/proc/self/fd/%d" % descriptor, AT_FDCWD, os.fsencode(path), AT_SYMLINK_FOLLOW))


def fallocate(descriptor, how, offset, count):
    check(libc.fallocate(descriptor, how, ctypes.c_int64(offset), ctypes.c_int64(count)))


class opened:
    """`with opened(path, flags) as descriptor`."""

    def __init__(self, path, flags=os.O_RDWR | os.O_CREAT, how=0o644):
        self.descriptor = os.open(path, flags, how)

    def __enter__(self):
        return self.descriptor

    def __exit__(self, *_):
        os.close(self.descriptor)
