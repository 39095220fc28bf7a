"""Recorders in this process: every byte that write() accepted is in the shadow, so the truth is known at any moment."""
import contextlib, os, time
from recorder import Recorder
from world import Failure, MountDied

KIB, MIB = 1 << 10, 1 << 20


class Shadowed:
    """A file in the mount and its shadow outside. What a call that died in the middle has done is settled by looking."""

    def __init__(self, recorder, name):
        self.recorder, self.name, self.pending = recorder, name, None
        self.shadow = open(recorder.world.shadow(name), "w+b", buffering=0)
        self.size, self.file = 0, None
        self.open(os.O_CREAT)

    def open(self, flags=0):
        path = self.recorder.world.path(self.name)
        self.file = self.recorder.call(f"open {self.name}", lambda: os.open(path, os.O_RDWR | flags, 0o644))

    def write(self, offset, data, fetches=False):
        self.pending = offset, data
        done = self.recorder.call(
            f"pwrite of {len(data)} at {offset} of {self.name}", lambda: os.pwrite(self.file, data, offset), fetches)
        if done != len(data):
            raise Failure(f"pwrite of {len(data)} at {offset} of {self.name} wrote {done}")
        self._accept(offset, data)
        self.recorder.bytes += done

    def _accept(self, offset, data):
        os.pwrite(self.shadow.fileno(), data, offset)
        self.size, self.pending = max(self.size, offset + len(data)), None

    def sync(self):
        self.recorder.call(f"fsync {self.name}", lambda: os.fsync(self.file))

    def close(self):
        """Of both; the truth stays on the disk."""
        if self.file is not None:
            file, self.file = self.file, None
            self.recorder.call(f"close {self.name}", lambda: os.close(file))
        self.shadow.close()

    def settle(self):
        """After the death of the mount: opens again, and takes what the write under way then has done as the truth."""
        if self.file is not None:
            try:
                os.close(self.file)
            except OSError:
                pass
        self.file = None
        self.open()
        size = os.fstat(self.file).st_size
        offset, data = self.pending or (self.size, b"")
        if not self.size <= size <= max(self.size, offset + len(data)):
            raise Failure(f"{self.name} has {size} bytes after the death of the mount; {self.size} were accepted")
        old = os.pread(self.shadow.fileno(), len(data), offset)
        now = self.recorder.call(f"pread {self.name}", lambda: os.pread(self.file, len(data), offset), fetches=True)
        for place, byte in enumerate(now):
            if byte != data[place] and (place >= len(old) or byte != old[place]):
                raise Failure(f"{self.name} has at {offset + place} neither the old byte nor the new one")
        self._accept(offset, now)


class Writer(Recorder):
    """Records takes, one after the other, each in its own file."""

    takes = 0

    def __init__(self, world, name, seed):
        super().__init__(world, name, seed)
        self.take, self.names, self.unsure = None, [], None

    def begin(self, suffix, size):
        """A new take, once there is room for `size` bytes; False if there never was."""
        self.reservation = contextlib.ExitStack()
        if not self.reservation.enter_context(self.world.room.reserved(size)):
            return False
        self.takes += 1
        name = f"{self.name}-{self.takes}.{suffix}"
        self.names.append(name)
        try:
            self.take = Shadowed(self, name)
        except MountDied:
            self.reservation.close()
            self._created_or_not(name)
            raise
        self.goal = self.random.randrange(256 * KIB, 5 * MIB)
        return True

    def _created_or_not(self, name):
        """The death of the mount met its open(2): it is looked at and removed when there is a mount again."""
        self.names.remove(name)
        self.unsure = name

    def after_death(self):
        if self.unsure and os.path.exists(path := self.world.path(self.unsure)):
            if size := os.path.getsize(path):
                raise Failure(f"{self.unsure} has {size} bytes that nobody wrote")
            os.unlink(path)
        self.unsure = None
        if self.take is None:
            return
        if self.take.file is None and not os.path.exists(self.world.path(self.take.name)):
            raise Failure(f"{self.take.name} is gone after the death of the mount")
        self.take.settle()

    def finish(self):
        if self.take:
            self.take.close()
            self.take = None
            self.reservation.close()

    def verify(self, copies):
        for name in self.names:
            copies.same(name, self.world.shadow(name))


class Patcher(Writer):
    """Appends at a steady rate, patches its header and anything else now and then: WAV, MP4 and AVI at their worst."""

    rate = 384 * KIB

    def step(self):
        # Twice: a patch of a chunk that was given up or could have been takes its place again.
        if self.take is None and not self.begin("mp4", 12 * MIB):
            return
        size, dice = self.take.size, self.random.random()
        if size > 4 * KIB and dice < 0.02:
            self.take.write(8, self.random.randbytes(16))
        elif size > 4 * KIB and dice < 0.03:
            self.take.write(self.random.randrange(size - 1024), self.random.randbytes(1024), fetches=True)
        else:
            self.take.write(size, self.random.randbytes(self.random.choice((512, 4 * KIB, 60_001, 128 * KIB))))
        if self.take.size >= self.goal:
            self.finish()
        self.nap(self.random.random() * 2 * 32 * KIB / self.rate)


class Logger(Writer):
    """Appends lines and has each synced before it says the next."""

    def step(self):
        if self.take is None:
            if not self.begin("log", MIB):
                return
            self.goal = 64 * KIB
        line = f"{time.time():.6f} {self.random.randbytes(self.random.randrange(8, 120)).hex()}\n".encode()
        self.take.write(self.take.size, line)
        self.take.sync()
        if self.take.size >= self.goal:
            self.finish()
        self.nap(0.05)
