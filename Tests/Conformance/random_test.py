#!/usr/bin/env python3
"""Random operations against a model in memory, a plain folder and the mount: all three must see the same.

In between workers are killed and stored bytes are evicted. At the end of each list the trees and all contents are compared,
and the receiver's copies. A list that fails is shortened while it still fails, and printed: put it into `regressions.json`,
whose lists are tried first, every time.

Environment:
  REELFS           the program                                              (.build/release/reelfs)
  SEED             the first of the seeds                                   (drawn, and printed)
  SEEDS, OPERATIONS  how many lists, and how many operations in each        (20, 400; SHORT=1: 4, 300)
  CONFORMANCE_DIR  where everything lies                                    (.build/conformance)
"""
import json, os, pathlib, random, shutil, sys, time
from model import Model, Refused
from operations import Folder, draw, ready
from served import Failure, is_served, wait_for

REGRESSIONS = pathlib.Path(__file__).with_name("regressions.json")
# Trying shorter lists ends after so many attempts, or so long: what is left is short enough to read.
SHRINK_ATTEMPTS, SHRINK_SECONDS = 400, 300


def short(value):
    return f"{value[:12].hex()}… ({len(value)} bytes)" if isinstance(value, bytes) else repr(value)


class Arena:
    """Where lists are tried: each in folders of its own, of a plain tree and of one mount."""

    def __init__(self, served, plain):
        self.served, self.plain, self.count = served, plain, 0

    def attempt(self, operations, compares_remotely=True):
        """- Returns: what went wrong, or None."""
        self.count += 1
        roots = [os.path.join(root, f"list-{self.count}") for root in (self.plain, self.served.mnt)]
        for root in roots:
            os.mkdir(root)
        trouble = {"kill": self.served.kill_worker, "evict": lambda: self.evict(roots[1])}
        model, places = Model(), (Folder(roots[0]), Folder(roots[1], trouble))
        try:
            wrong = self._run(operations, model, places) or self._compare(model, places)
            for place in places:
                place.end()
            # What was unlinked while open is gone now; the rest is as before.
            wrong = wrong or self._compare(model, places)
            if not wrong and compares_remotely:
                wrong = self._compare_remotely(roots[1])
            return wrong
        finally:
            for place in places:
                place.end()
            for root in roots:
                shutil.rmtree(root)

    def _run(self, operations, model, places):
        for number, operation in enumerate(operations):
            words = ready(operation)
            try:
                expected = getattr(model, operation[0])(*words)
            except Refused as refusal:
                expected = str(refusal)
            for place, name in zip(places, ("the plain folder", "the mount")):
                seen = place.run(operation[0], words)
                if seen != expected:
                    return f"operation {number}, {json.dumps(operation)}: {name} gives {short(seen)}, not {short(expected)}"

    def _compare(self, model, places):
        tree, files = model.tree(), model.files()
        for place, name in zip(places, ("the plain folder", "the mount")):
            there = place.tree()
            if there != tree:
                paths = sorted(path for path in tree.keys() | there.keys() if tree.get(path) != there.get(path))
                return f"{name} has {[(path, there.get(path)) for path in paths]}, not {[(path, tree.get(path)) for path in paths]}"
            for path, content in files.items():
                if (seen := place.content(path)) != content:
                    at = next((i for i, (a, b) in enumerate(zip(seen, content)) if a != b), min(len(seen), len(content)))
                    return f"{name}: {path} differs from byte {at} on: {short(seen[at:])}, not {short(content[at:])}"

    def _compare_remotely(self, root):
        try:
            wait_for("the list's folder is synced", lambda: os.getxattr(root, "user.sync.status") == b"synced")
            self.served.compare(os.path.relpath(root, self.served.mnt))
        except (Failure, OSError) as failure:
            return f"at the receiver: {failure}"

    def evict(self, root):
        """Gives up all that is stored; a little of what was just written is by then."""
        def is_stored():
            return os.getxattr(root, "user.sync.bytes_synced") == os.getxattr(root, "user.sync.bytes_written")
        end = time.monotonic() + 2
        while not is_stored() and time.monotonic() < end:
            time.sleep(0.02)
        self.served.command("evict", self.served.mnt)

    def shrink(self, operations):
        """A short part of `operations` that still fails, and how."""
        end, attempts, wrong = time.monotonic() + SHRINK_SECONDS, 0, None
        size = len(operations) // 2
        while size and attempts < SHRINK_ATTEMPTS and time.monotonic() < end:
            start = 0
            while start < len(operations) and attempts < SHRINK_ATTEMPTS and time.monotonic() < end:
                attempts += 1
                shorter = operations[:start] + operations[start + size:]
                if shorter and (found := self.attempt(shorter)):
                    operations, wrong = shorter, found
                else:
                    start += size
            size //= 2
        return operations, wrong


def lists():
    """(name, operations) of each: what failed before, then as many seeds as asked for."""
    for number, known in enumerate(json.loads(REGRESSIONS.read_text())):
        yield f"regression {number} ({known['why']})", known["operations"]
    is_short = bool(os.environ.get("SHORT"))
    first = int(os.environ.get("SEED") or random.randrange(1 << 31))
    count = int(os.environ.get("OPERATIONS") or (300 if is_short else 400))
    for seed in range(first, first + int(os.environ.get("SEEDS") or (4 if is_short else 20))):
        yield f"seed {seed}", draw(seed, count, trouble=True)


def main():
    started, passed, failed = time.monotonic(), 0, 0

    def attempt_all(served, folder):
        nonlocal passed, failed
        plain = os.path.join(folder, "plain")
        os.mkdir(plain)
        arena = Arena(served, plain)
        for name, operations in lists():
            begun = time.monotonic()
            wrong = arena.attempt(operations)
            passed, failed = passed + (not wrong), failed + bool(wrong)
            print(f"{'FAIL' if wrong else 'ok  '} {name}: {len(operations)} operations ({time.monotonic() - begun:.1f} s)"
                  + (f"\n     {wrong}" if wrong else ""), flush=True)
            if wrong:
                shorter, why = arena.shrink(operations)
                print(f"     {len(shorter)} operations are enough: {json.dumps(shorter)}\n     {why or wrong}", flush=True)

    if not is_served(attempt_all, quota="64MiB"):
        failed += 1
    print(f"random: {passed} passed, {failed} failed ({time.monotonic() - started:.0f} s)")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
