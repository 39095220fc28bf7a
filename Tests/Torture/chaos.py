"""What goes wrong, and when: drawn from the seed."""
import os, random, time
from proxy import MODES
from world import HANG_SECONDS, Failure, wait_for

MIB = 1 << 20
# Full and offline is ENOSPC, by contract: below this the network heals, so that what recorders see is a fault.
ROOM_MIN = 16 * MIB
WHOLE_KILL_SECONDS = 35


class Chaos:
    def __init__(self, world, recorders, seed, seconds):
        self.world, self.recorders, self.random = world, recorders, random.Random(f"{seed}/chaos")
        now = time.monotonic()
        # Each seed is another mixture: what it seldom does leaves room for what it does often.
        self.every = {kind: mean * self.random.uniform(0.6, 1.8) for kind, mean in (
            (self.kill_worker, 2.5), (self.restart, 15), (self.kill_receiver, 12), (self.disturb, 7), (self.control, 4),
            (self.kill_mount, WHOLE_KILL_SECONDS))}
        self.next = {kind: now + self.random.expovariate(1 / mean) for kind, mean in self.every.items()}
        self.next[self.kill_mount] = now + self.random.uniform(0.2, 0.8) * min(WHOLE_KILL_SECONDS, seconds)
        self.heal_at, self.resume_at = float("inf"), float("inf")

    def turn(self):
        """Does what is due."""
        now = time.monotonic()
        self.world.check_mount()
        self._watch_for_hangs(now)
        if now > self.heal_at or now > self.resume_at or self.world.room.left() < ROOM_MIN:
            self.heal()
        for kind, due in self.next.items():
            if now >= due:
                kind()
                self.next[kind] = time.monotonic() + self.random.expovariate(1 / self.every[kind])

    def _watch_for_hangs(self, now):
        for recorder in self.recorders:
            since = recorder.call_since
            if since is not None and now - since > HANG_SECONDS:
                raise Failure(f"{recorder.name} has been waiting for one call for {now - since:.0f} s")

    def heal(self):
        self.world.proxy.set("ok")
        self.heal_at = float("inf")
        if self.resume_at != float("inf"):
            self.world.command("resume", self.world.mnt)
            self.resume_at = float("inf")

    # -- faults
    def kill_worker(self):
        # Sometimes again at once: while it starts, or while it takes over what the one before had in hand.
        for _ in range(self.random.choice((1, 1, 1, 2, 3))):
            self.world.kill_worker()
            time.sleep(self.random.random() * 0.1)

    def restart(self):
        self.world.command("restart", self.world.mnt)
        self.world.count("restart")

    def kill_receiver(self):
        self.world.kill_receiver(self.random.uniform(0, 2))

    def disturb(self):
        self.world.proxy.set(self.random.choice(MODES))
        self.world.count("network " + self.world.proxy.mode)
        self.heal_at = time.monotonic() + self.random.uniform(0.3, 5)

    def control(self):
        words = self.random.choice((
            ["pause"], ["flush"], ["evict"], ["retry", "--force"], ["priority", "high"], ["priority", "low"],
            ["status", "--json"]))
        # A priority is a recording's. Takes are never removed.
        takes = [name for name in os.listdir(self.world.mnt) if name.endswith(".mp4")] if words[0] == "priority" else [""]
        if takes:
            # `status` tells by its exit code what is pending.
            self.world.command(*words, self.world.path(self.random.choice(takes)), check=words[0] != "status")
        self.world.count(words[0])
        if words[0] == "pause":
            self.resume_at = time.monotonic() + self.random.uniform(0.5, 4)

    def kill_mount(self):
        """Everything dies; the network is well until every recorder has looked at what is left."""
        self.heal()
        world = self.world
        world.kill_mount(supervisor_first=self.random.random() < 0.3)
        self._all("parked_at", "has not seen the death of the mount")
        if not world.failures:
            world.mount_again()
            self._all("resumed_at", "has not found again what it had")

    def _all(self, moment, complaint):
        """Waits until every recorder has passed that moment of the mount's death."""
        late = []

        def passed():
            late[:] = [recorder.name for recorder in self.recorders if getattr(recorder, moment) != self.world.generation]
            return not late or self.world.failures

        try:
            wait_for(moment, passed)
        except Failure as failure:
            raise Failure(f"{', '.join(late)} {complaint} after {HANG_SECONDS} s") from failure
