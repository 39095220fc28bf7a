"""What recorders believe of statfs: they begin only what has room, so ENOSPC means that it was promised too much."""
import contextlib, os, threading, time

# Room for what is not reserved: log, names, databases, and what statfs knows a second late.
SMALL_THINGS = 12 << 20


class Room:
    def __init__(self, world):
        self.world, self.lock, self.taken = world, threading.Lock(), 0

    def left(self):
        """Bytes that can still be written."""
        status = os.statvfs(self.world.mnt)
        return status.f_bavail * status.f_frsize

    @contextlib.contextmanager
    def reserved(self, size):
        """Waits for room and keeps it. Gives False when the session ends or the mount dies before there is any.

        What is written already counts twice, in the mount and in what is taken here: never too little.
        """
        while not (self.world.stopping.is_set() or self.world.dying.is_set()):
            with self.lock:
                if self._left_or_nothing() - self.taken >= size + SMALL_THINGS:
                    self.taken += size
                    break
            time.sleep(0.1)
        else:
            yield False
            return
        try:
            yield True
        finally:
            with self.lock:
                self.taken -= size

    def _left_or_nothing(self):
        try:
            return self.left()
        except OSError:  # Dead; a live mount that fails here is seen to by every other call.
            return 0
