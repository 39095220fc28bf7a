"""Operations: drawn at random, and carried out in a real folder. An operation is a list: its name and its arguments."""
import contextlib, errno, mmap, os, random, stat
from model import EXCHANGE, KEEP_SIZE, NOREPLACE, PUNCH_HOLE, ZERO_RANGE, Model, Refused, possible
from place import fallocate, renameat2

NAMES, SLOTS, MIB = ("a", "b", "c", "d"), 4, 1 << 20
OPENINGS = [access | extra for access in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_RDWR) for extra in (
    0, os.O_CREAT, os.O_CREAT, os.O_CREAT | os.O_EXCL, os.O_CREAT | os.O_TRUNC, os.O_TRUNC,
    os.O_CREAT | os.O_APPEND if access else os.O_CREAT)]


def draw(seed, count, trouble):
    """The list of `count` operations that belongs to `seed`. `trouble`: with kills and evictions."""
    r, model, operations = random.Random(seed), Model(), []

    def path(of=("file", "folder")):
        # Most names are there, so that most operations have something to do.
        if r.random() < 0.6 and (there := sorted(path for path, facts in model.tree().items() if facts[0] in of)):
            return r.choice(there)
        return "/".join(r.choice(NAMES) for _ in range(r.choice((1, 1, 1, 2, 2, 3))))

    def slot():
        return r.choice(sorted(model.handles)) if model.handles and r.random() < 0.9 else r.randrange(SLOTS)

    def offset():
        return r.choice((0, 0, r.randrange(9_000), r.randrange(3 * MIB), r.choice((1, 2, 3)) * MIB + r.randrange(-5, 6),
                         r.randrange(700) * 4096))

    def count_of_bytes():
        return r.choice((1, r.randrange(1, 100), r.randrange(1, 10_000), 4096, r.randrange(1, 300_000), MIB, 1_300_000))

    def content():
        return [r.randrange(1 << 30), count_of_bytes()]
    kinds = {
        "open": (12, lambda: [r.randrange(SLOTS), path("file"), r.choice(OPENINGS)]), "close": (3, lambda: [slot()]),
        "write": (22, lambda: [slot(), offset(), content()]), "read": (10, lambda: [slot(), offset(), count_of_bytes()]),
        "map": (4, lambda: [slot(), offset(), content()]), "fstat": (2, lambda: [slot()]),
        "truncate": (3, lambda: [path("file"), offset()]), "ftruncate": (4, lambda: [slot(), offset()]),
        "fallocate": (5, lambda: [slot(), r.choice((0, KEEP_SIZE, PUNCH_HOLE | KEEP_SIZE, ZERO_RANGE, ZERO_RANGE | KEEP_SIZE)),
                                  offset(), count_of_bytes()]),
        "copy": (4, lambda: [slot(), slot(), offset(), offset(), count_of_bytes()]), "fsync": (1, lambda: [slot()]),
        "rename": (9, lambda: [path(), path(), r.choice((0, 0, 0, NOREPLACE, EXCHANGE))]), "link": (5, lambda: [path(), path()]),
        "unlink": (4, lambda: [path()]), "mkdir": (3, lambda: [path()]), "rmdir": (1, lambda: [path()]),
        "stat": (3, lambda: [path()]), "list": (2, lambda: [r.choice(("", path()))]),
        "chmod": (1, lambda: [path(), r.choice((0o600, 0o644, 0o755, 0o400))]),
        "setxattr": (1, lambda: [path(), "user.x", str(r.randrange(99))]), "getxattr": (1, lambda: [path(), "user.x"])}
    if trouble:
        kinds |= {"kill": (1.5, lambda: []), "evict": (1.0, lambda: [])}
    names, weights = list(kinds), [weight for weight, _ in kinds.values()]
    while len(operations) < count:
        [kind] = r.choices(names, weights)
        operations.append([kind, *kinds[kind][1]()])
        with contextlib.suppress(Refused):
            getattr(model, kind)(*ready(operations[-1]))
    return operations


def ready(operation):
    """Its arguments, with content drawn from its seed."""
    name, *words = operation
    if name in ("write", "map"):
        seed, count = words[-1]
        words = words[:-1] + [random.Random(seed).randbytes(count)]
    return words


class Folder:
    """Carries operations out below `root`. `trouble`: what `kill` and `evict` do there."""

    def __init__(self, root, trouble=None):
        self.root, self.handles, self.trouble = root, {}, trouble or {}

    def _path(self, path):
        return os.path.join(self.root, path)

    def run(self, name, words):
        """- Returns: what a program sees; the errno's name if it fails."""
        try:
            return getattr(self, name)(*words)
        except OSError as error:
            return errno.errorcode[error.errno]

    def end(self):
        for slot in list(self.handles):
            self.close(slot)

    # -- names
    def mkdir(self, path):
        os.mkdir(self._path(path), 0o755)

    def rmdir(self, path):
        os.rmdir(self._path(path))

    def unlink(self, path):
        os.unlink(self._path(path))

    def link(self, path, new_path):
        os.link(self._path(path), self._path(new_path))

    def rename(self, path, new_path, flags):
        renameat2(self._path(path), self._path(new_path), flags)

    def list(self, path):
        return sorted(name for name in os.listdir(self._path(path)))

    def stat(self, path):
        return self._facts(os.lstat(self._path(path)))

    @staticmethod
    def _facts(status):
        facts = stat.S_IMODE(status.st_mode), status.st_nlink
        return ("folder", *facts) if stat.S_ISDIR(status.st_mode) else ("file", *facts, status.st_size)

    def chmod(self, path, how):
        os.chmod(self._path(path), possible(how))

    def setxattr(self, path, name, value):
        os.setxattr(self._path(path), name, value.encode())

    def getxattr(self, path, name):
        return os.getxattr(self._path(path), name).decode()

    # -- open files
    def open(self, slot, path, flags):
        self.close(slot)
        descriptor = os.open(self._path(path), flags, 0o644)
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            return "EISDIR"
        self.handles[slot] = descriptor, flags

    def close(self, slot):
        if slot in self.handles:
            os.close(self.handles.pop(slot)[0])

    def fstat(self, slot):
        if slot in self.handles:
            status = os.fstat(self.handles[slot][0])
            return status.st_nlink, status.st_size, stat.S_IMODE(status.st_mode)

    def write(self, slot, offset, content):
        if slot in self.handles:
            return os.pwrite(self.handles[slot][0], content, offset)

    def map(self, slot, offset, content):
        if slot not in self.handles or self.handles[slot][1] & os.O_ACCMODE != os.O_RDWR:
            return
        file, size = self.handles[slot][0], os.fstat(self.handles[slot][0]).st_size
        if offset + len(content) <= size:
            with mmap.mmap(file, size) as view:
                view[offset:offset + len(content)] = content
                view.flush()

    def read(self, slot, offset, count):
        if slot in self.handles:
            return os.pread(self.handles[slot][0], count, offset)

    def truncate(self, path, size):
        os.truncate(self._path(path), size)

    def ftruncate(self, slot, size):
        if slot in self.handles:
            os.ftruncate(self.handles[slot][0], size)

    def fallocate(self, slot, how, offset, count):
        if slot in self.handles:
            fallocate(self.handles[slot][0], how, offset, count)

    def copy(self, slot, other, offset, new_offset, count):
        if slot not in self.handles or other not in self.handles:
            return
        # Within one file the target may move the end while the copy goes on.
        done, count = 0, max(1, min(count, os.fstat(self.handles[slot][0]).st_size - offset))
        while done < count and (step := os.copy_file_range(
                self.handles[slot][0], self.handles[other][0], count - done, offset + done, new_offset + done)):
            done += step
        return done

    def fsync(self, slot):
        if slot in self.handles:
            os.fsync(self.handles[slot][0])

    def kill(self):
        self.trouble.get("kill", lambda: None)()

    def evict(self):
        self.trouble.get("evict", lambda: None)()

    # -- the whole
    def tree(self):
        found = {}
        for folder, folders, names in os.walk(self.root):
            for name in folders + names:
                path = os.path.relpath(os.path.join(folder, name), self.root)
                found[path] = self.stat(path)
        return found

    def content(self, path):
        with open(self._path(path), "rb") as file:
            return file.read()
