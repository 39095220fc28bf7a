"""What only S3 stores have, against OpenStack Swift's s3api (strict) and moto: metadata, copied parts, objects of old names.

Each scenario ends with every object's bytes equal to the local ones and no multipart upload left behind. What every
destination has is in destinations.py. `s3_client.py NAME…` runs some of them; S3_PEERS=moto or openstack one of the peers.
"""

import os
import pathlib
import shutil
import sys
import tempfile

import mounts
import peers
import places
import s3_peers
from mounts import Recorder
from places import Proxy

MIB = 1 << 20
ODD = "a b+c=d&é(1)'!.wav"


class Store:
    """A bucket at a peer, behind a proxy that can be told to be a bad network."""

    def __init__(self, peer, bucket):
        self.peer, self.bucket = peer, bucket
        self.proxy = Proxy(int(peer.endpoint.rsplit(":", 1)[1]), 1)
        self.endpoint = f"http://127.0.0.1:{self.proxy.port}"
        self.s3 = places.client(peer)
        self.s3.create_bucket(Bucket=bucket)

    def keys(self):
        return {entry["Key"] for entry in self.s3.list_objects_v2(Bucket=self.bucket).get("Contents", [])}

    def uploads(self):
        return self.s3.list_multipart_uploads(Bucket=self.bucket).get("Uploads", [])

    def parts(self):
        """Numbers of the parts of all unfinished uploads."""
        listed = [
            self.s3.list_parts(Bucket=self.bucket, Key=upload["Key"], UploadId=upload["UploadId"]).get("Parts", [])
            for upload in self.uploads()]
        return {part["PartNumber"] for parts in listed for part in parts}

    def read(self, key):
        return self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()


class Mount(mounts.Mount):
    """A mount of one prefix of a store."""

    def __init__(self, store, folder, *flags, prefix="takes", secret=None, bucket=None):
        self.store, self.prefix = store, prefix
        self.keys_file = folder / "credentials"
        self.give_keys(secret or store.peer.secret)
        super().__init__(
            f"s3://{bucket or store.bucket}/{prefix}", folder, "--s3-endpoint", store.endpoint, *flags, environment={
                "AWS_SHARED_CREDENTIALS_FILE": str(self.keys_file), "AWS_CONFIG_FILE": os.devnull, "AWS_REGION": "us-east-1",
                "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_PROFILE": ""})

    def give_keys(self, secret):
        text = f"[default]\naws_access_key_id = {self.store.peer.key}\naws_secret_access_key = {secret}\n"
        self.keys_file.with_suffix(".new").write_text(text)
        self.keys_file.with_suffix(".new").rename(self.keys_file)

    def settle(self, leftover=()):
        """Waits until all is synced and compares it with the store.

        `leftover`: keys that may be there besides, because the program deletes nothing in a store.
        """
        self.ask("flush", "--wait", "--timeout", str(peers.PATIENCE))
        below = self.prefix + "/"
        keys = {key.removeprefix(below) for key in self.store.keys() if key.startswith(below)}
        assert keys - set(leftover) == self.files(), f"at the store {sorted(keys)}, here {sorted(self.files())}"
        for name in self.files():
            assert self.store.read(below + name) == (self.path / name).read_bytes(), f"{name} differs"
        assert not self.store.uploads(), f"left behind: {self.store.uploads()}"


def sizes(store, folder):
    """Empty, 100 B, 7 MB, exactly one part, one part and a byte; odd names and folders; attributes as metadata."""
    with Mount(store, folder) as mount:
        (mount.path / "day 1/ü").mkdir(parents=True)
        for name, size in {
                "empty": 0, ODD: 100, "day 1/seven.bin": 7_000_000, "day 1/ü/part.bin": 16 * MIB, "more.bin": 16 * MIB + 1}.items():
            with open(mount.path / name, "wb") as file:
                if name == ODD:
                    os.setxattr(file.fileno(), "user.Take No", b"7")
                    os.setxattr(file.fileno(), "user.ort", "Köln".encode())
                file.write(peers.noise(size, size))
        mount.settle()
        metadata = store.s3.head_object(Bucket=store.bucket, Key="takes/" + ODD)["Metadata"]
        assert metadata.get("take-no") == "7" and "ort" in metadata, metadata


def network_goes_and_comes(store, folder):
    """The network refuses, stalls and cuts while recording; recording never waits for it."""
    with Mount(store, folder, "--upload-timeout", "10") as mount:
        recorder = Recorder(mount.path / "take.wav", 60, seconds=0.1)
        for mode in ("refuse", "ok", "stall", "ok", "cut", "ok"):
            store.proxy.set(mode)
            here = recorder.written
            peers.until(lambda: recorder.written > here + 6 * MIB or not recorder.thread.is_alive(), "recording goes on")
        whole = recorder.done()
        mount.settle()
        assert store.read("takes/take.wav") == whole


def pause_and_resume(store, folder):
    """Nothing is sent while paused, everything after."""
    with Mount(store, folder) as mount:
        mount.ask("pause")
        recorder = Recorder(mount.path / "take.wav", 40, seconds=0)
        whole = recorder.done()
        assert not store.keys() and not store.uploads()
        mount.ask("resume")
        mount.settle()
        assert store.read("takes/take.wav") == whole


def changes_after_sync(store, folder):
    """A rewrite in the middle and an append after all was synced: unchanged parts are copied, not sent."""
    with Mount(store, folder) as mount:
        path = mount.path / "take.wav"
        whole = bytearray(peers.noise(64 * MIB, 5))
        path.write_bytes(whole)
        mount.settle()
        before = store.proxy.bytes_to_server
        with open(path, "r+b") as file:
            file.seek(20 * MIB)
            file.write(b"changed")
            file.seek(0, 2)
            file.write(b"appended")
        whole[20 * MIB:20 * MIB + 7] = b"changed"
        whole += b"appended"
        mount.settle()
        assert store.read("takes/take.wav") == bytes(whole)
        sent = store.proxy.bytes_to_server - before
        assert sent < 40 * MIB, f"{sent} bytes were sent for two small changes"


def shrinks_and_grows(store, folder):
    """A synced recording is cut to less than a part, then to nothing, then grows again."""
    with Mount(store, folder) as mount:
        path = mount.path / "take.wav"
        path.write_bytes(peers.noise(40 * MIB, 6))
        mount.settle()
        for size in (3 * MIB + 5, 0, 20 * MIB):
            os.truncate(path, size)
            mount.settle()


def renames(store, folder):
    """Renames while recording and after sync; the object of the old name stays."""
    with Mount(store, folder) as mount:
        (mount.path / "day").mkdir()
        recorder = Recorder(mount.path / "first.wav", 200, seconds=0.1)
        peers.until(lambda: len(store.parts()) >= 1, "a part is stored")
        os.rename(mount.path / "first.wav", mount.path / "day/second.wav")
        assert recorder.is_recording, "it was recorded to its end before a part was stored"
        recorder.until(recorder.written // MIB + 5)
        recorder.enough()
        whole = recorder.done()
        mount.settle(leftover=["first.wav"])
        assert "takes/first.wav" not in store.keys(), "an object of a name that no whole recording ever had"
        before = store.proxy.bytes_to_server
        os.rename(mount.path / "day/second.wav", mount.path / ODD)
        peers.until(lambda: "takes/" + ODD in store.keys(), "the object has its new name")
        mount.settle(leftover=["day/second.wav"])
        assert store.read("takes/" + ODD) == whole
        sent = store.proxy.bytes_to_server - before
        assert sent < 20 * MIB, f"{sent} bytes were sent for a rename"


def evict_and_read_back(store, folder):
    """Evicted bytes are read back by ranges, and a change of an evicted recording takes them over."""
    with Mount(store, folder) as mount:
        path = mount.path / ODD
        whole = bytearray(peers.noise(40 * MIB + 77, 7))
        path.write_bytes(whole)
        mount.settle()
        mount.ask("evict")
        peers.until(lambda: mount.local_bytes(ODD) < 64 << 10, "evicted")
        with open(path, "rb") as file:
            file.seek(30 * MIB - 100)
            assert file.read(200) == bytes(whole[30 * MIB - 100:30 * MIB + 100])
        mount.settle()
        mount.ask("evict")
        peers.until(lambda: mount.local_bytes(ODD) < 64 << 10, "evicted again")
        with open(path, "r+b") as file:
            file.seek(5 * MIB)
            file.write(b"after eviction")
        whole[5 * MIB:5 * MIB + 14] = b"after eviction"
        mount.settle()
        assert store.read("takes/" + ODD) == bytes(whole)


SCENARIOS = [sizes, network_goes_and_comes, pause_and_resume, changes_after_sync, shrinks_and_grows, renames, evict_and_read_back]


def of(kind, only):
    """All scenarios of one peer, each with a bucket of its own. - Gives their results."""
    def group():
        folder = pathlib.Path(tempfile.mkdtemp(prefix="peers-s3-", dir=os.environ.get("S3_DIR")))
        peer = kind(folder)
        try:
            peer.start()
            return [
                peers.attempt(
                    f"{kind.name}: {scenario.__name__}", peers.promise(scenario),
                    lambda folder: scenario(Store(peer, f"takes-{number}"), folder))
                for number, scenario in enumerate(SCENARIOS) if not only or scenario.__name__ in only]
        except s3_peers.Missing as reason:
            print(f"FAILED {kind.name} could not be started: {reason}", flush=True)
            return ["FAILED"]
        finally:
            peer.stop()
            shutil.rmtree(folder, ignore_errors=True)
    return group


if __name__ == "__main__":
    only = sys.argv[1:]
    if unknown := set(only) - {scenario.__name__ for scenario in SCENARIOS}:
        sys.exit(f"no such scenario: {', '.join(sorted(unknown))}")
    wanted = os.environ.get("S3_PEERS", "openstack,moto").split(",")
    peers.close(peers.run_groups([of(kind, only) for kind in (s3_peers.OpenStack, s3_peers.Moto) if kind.name in wanted], 2))
