#!/usr/bin/env python3
"""The rules that programs rely on, tried by the same code in a plain folder and in a mount that uploads meanwhile.

A rule passes when it holds in both and what was seen is the same. Rules that say how the mount differs on purpose must
differ, and be written down in docs/SEMANTICS.md. One line a rule, then `N passed, N failed`; at last every recording is
compared with the receiver's copy.

Environment:
  REELFS           the program                                       (.build/release/reelfs)
  ONLY             only rules whose name has this in it
  SHORT            1: a tenth of the many names
  CONFORMANCE_DIR  where everything lies, on a disk with ext4        (.build/conformance)
"""
import os, pathlib, sys, time, traceback
from place import Place
from rules import RULES, attributes, folders, links, locks, memory, names, opening, owners, removing, space, times
from served import clear, is_served, wait_for

HERE = pathlib.Path(__file__).resolve()
SEMANTICS = HERE.parents[2] / "docs/SEMANTICS.md"


class MountPlace(Place):
    """A folder in the mount, where also workers can be killed, and bytes stored and evicted."""

    def __init__(self, root, served):
        super().__init__(root, served.kill_worker)
        self.served = served

    def stored(self, path):
        wait_for(f"{path} is synced", lambda: os.getxattr(path, "user.sync.status") == b"synced")

    def evict(self, path):
        self.stored(path)
        self.served.command("evict", path)
        # The kernel keeps what it knows of the file in the mount for a while.
        local = os.path.join(self.served.state, "recordings", os.path.relpath(path, self.served.mnt))
        wait_for(f"{path} is evicted", lambda: os.stat(local).st_blocks * 512 < os.stat(local).st_size // 2)


def attempt(rule, place):
    """- Returns: why it does not hold there, or None."""
    umask = os.umask(0o022)
    try:
        rule.body(place)
    except Exception as error:
        where = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if "/rules/" in frame.filename]
        return f"line {where[-1] if where else '?'}: {type(error).__name__}: {error}"
    finally:
        os.umask(umask)
        os.chdir("/")


def difference(plain, mount):
    for number, (one, two) in enumerate(zip(plain.notes, mount.notes)):
        if one != two:
            return f"note {number}: {one[0]} is {one[1]!r} in the plain folder, {two[1]!r} in the mount"
    if len(plain.notes) != len(mount.notes):
        return f"{len(plain.notes)} things were seen in the plain folder, {len(mount.notes)} in the mount"


def judge(rule, served, plain_root):
    """- Returns: what is wrong, or None."""
    # The mount's folder keeps the rule's name, so that what it leaves can be found again.
    plain, mount = (folder / rule.name for folder in (plain_root, pathlib.Path(served.mnt)))
    for folder in (plain, mount):
        folder.mkdir()
    places = Place(plain), MountPlace(mount, served)
    for place in places:
        place.many = 10_000 if os.environ.get("SHORT") else 100_000
        place.elsewhere = pathlib.Path("/dev/shm")
    wrong = [attempt(rule, place) for place in places]
    clear(plain)
    if wrong[0]:
        return f"does not hold in the plain folder: {wrong[0]}"
    if rule.differs:
        if rule.differs not in SEMANTICS.read_text():
            return f"{SEMANTICS.name} says nothing of: {rule.differs}"
        return None if wrong[1] or difference(*places) else "it does not differ any more: say so no longer"
    return wrong[1] or difference(*places)


def main():
    started, failed = time.monotonic(), 0
    chosen = [rule for rule in RULES if os.environ.get("ONLY", "") in rule.name]
    if os.geteuid() != 0:
        print(f"not root: {sum(rule.needs_root for rule in chosen)} rules about other users are left out")
        chosen = [rule for rule in chosen if not rule.needs_root]

    def judge_all(served, folder):
        nonlocal failed
        plain = pathlib.Path(folder, "plain")
        plain.mkdir()
        for rule in chosen:
            begun = time.monotonic()
            wrong = judge(rule, served, plain)
            failed += wrong is not None
            print(f"{'FAIL' if wrong else 'ok  '} {rule.name} ({time.monotonic() - begun:.1f} s): {rule.sentence}"
                  + (f"\n     {wrong}" if wrong else ""), flush=True)

    if not is_served(judge_all):
        failed += 1
    print(f"rules: {len(chosen) - failed} passed, {failed} failed ({time.monotonic() - started:.0f} s)")
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
