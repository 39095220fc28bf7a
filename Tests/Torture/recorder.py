"""What all recorders share: their life between the deaths of the mount, and the measuring of each call."""
import errno, os, random, signal, subprocess, threading, time
from world import Failure, MountDied, wait_for


class Recorder(threading.Thread):
    """Repeats `step` until the world stops, then calls `finish` in peace.

    When the whole mount dies `step` ends with MountDied; once there is a mount again `after_death` says what was lost,
    which must be nothing.
    """

    def __init__(self, world, name, seed):
        super().__init__(daemon=True, name=name)
        self.world, self.random = world, random.Random(f"{seed}/{name}")
        self.parked_at = self.resumed_at = 0
        self.longest, self.bytes, self.unreachable = 0.0, 0, 0
        self.call_since = None

    def step(self): raise NotImplementedError
    def after_death(self): pass
    def finish(self): pass
    # What to compare at the end: raises Failure. `local(name)` and `remote(name)` give the bytes' places.
    def verify(self, copies): raise NotImplementedError

    def run(self):
        try:
            while not self.world.stopping.is_set():
                self._live()
            self.finish()
        except Failure as failure:
            self.world.fail(f"{self.name}: {failure}")
        except Exception as error:
            self.world.fail(f"{self.name}: {type(error).__name__}: {error} (line {error.__traceback__.tb_lineno})")

    def _live(self):
        if self.world.dying.is_set():
            self.parked_at = self.world.generation
            wait_for("there is a mount again", lambda: not self.world.dying.is_set(), seconds=600)
            self.after_death()
            self.resumed_at = self.world.generation
        try:
            self.step()
        except MountDied:
            wait_for("the death of the mount is known", self.world.dying.is_set)

    def call(self, what, body, fetches=False):
        """Runs one call on the mount and measures it.

        `fetches`: it may need bytes that were evicted, so EIO is its right answer while the network is bad; then the call
        is made again until it works.
        """
        while True:
            begun = self.call_since = time.monotonic()
            try:
                result = body()
            except OSError as error:
                if self.world.dying.is_set():
                    raise MountDied from error
                if not (fetches and error.errno == errno.EIO and self.world.network_was_bad(begun)):
                    raise Failure(f"{what}: {error} after {time.monotonic() - begun:.2f} s")
                self.unreachable += 1
                time.sleep(0.2)
                continue
            finally:
                self.call_since = None
            self.longest = max(self.longest, time.monotonic() - begun)
            return result

    def nap(self, seconds):
        """Keeps the recorder's pace; ends early when the mount dies."""
        self.world.dying.wait(seconds)

    def program(self, words, watch=lambda: None):
        """Runs a program that writes into the mount. A Failure if it fails, MountDied if that killed it."""
        log = self.world.log(self.name)
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        log.close()
        while process.poll() is None:
            watch()
            if self.world.dying.wait(0.05):
                end_group(process)
                raise MountDied
        if self.world.dying.is_set():
            raise MountDied  # Whatever it says: not every program's exit code tells of an error in its last write().
        if process.returncode != 0:
            raise Failure(f"exit code {process.returncode} of {' '.join(words)}: see {self.name}.log")


def end_group(process):
    """Gives a program some time to fail by the dead mount, then kills it and all that it started."""
    try:
        process.wait(2)
    except subprocess.TimeoutExpired:
        pass
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
