"""The three places of each recording: the mount, the receiver, and the truth."""
import hashlib, os
from world import Failure

MIB = 1 << 20
MANIFEST = ".reelfs-manifest.json"


def digest(path):
    result = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(MIB):
            result.update(block)
    return result.hexdigest()


def difference(path, truth):
    """The first byte that differs, in words."""
    with open(path, "rb") as here, open(truth, "rb") as there:
        offset = 0
        while True:
            a, b = here.read(MIB), there.read(MIB)
            if a != b:
                place = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
                return (f"{os.path.getsize(path)} bytes, {os.path.getsize(truth)} expected; the first that differs is "
                        f"{offset + place} (chunk {(offset + place) // MIB}): "
                        f"{a[place:place + 16].hex()} for {b[place:place + 16].hex()}")
            if not a:
                return "they differed while they were read"
            offset += len(a)


class Copies:
    """Compares, and counts what was compared."""

    def __init__(self, world):
        self.world, self.files, self.bytes_compared = world, set(), 0

    def remote(self, name):
        """The whole recording at the receiver."""
        path = self.world.path(name)
        session = os.getxattr(path, "user.sync.session").decode()
        folder = os.path.join(self.world.data, session)
        # Beside it are the manifest and, for one with several names, no second copy.
        files = [entry for entry in os.listdir(folder) if entry != MANIFEST and os.path.isfile(os.path.join(folder, entry))]
        if len(files) != 1:
            raise Failure(f"{name}: {folder} has {sorted(os.listdir(folder))}, not one whole recording")
        return os.path.join(folder, files[0])

    def places(self, name):
        return self.world.path(name), self.remote(name)

    def same(self, name, truth):
        """The file at `truth` is what both have. - Raises: Failure with the first byte that differs."""
        self._compare(name, digest(truth), lambda place: difference(place, truth))

    def bytes(self, name, truth):
        self._compare(name, hashlib.sha256(truth).hexdigest(), lambda place: f"not the {len(truth)} bytes expected")

    def _compare(self, name, expected, explain):
        self.files.add(name)
        for place in self.places(name):
            self.bytes_compared += os.path.getsize(place)
            if digest(place) != expected:
                raise Failure(f"{place}: {explain(place)}; {os.getxattr(self.world.path(name), 'user.sync.json').decode()}")

    def nothing_else(self):
        """Whatever is in the mount was compared."""
        there = set()
        for folder, folders, names in os.walk(self.world.mnt):
            if ".status" in folders:
                folders.remove(".status")
            there |= {os.path.relpath(os.path.join(folder, name), self.world.mnt) for name in names}
        if there != self.files:
            raise Failure(f"in the mount and unknown: {sorted(there - self.files)}; missing: {sorted(self.files - there)}")
