"""`reelfs mount s3://…` against foreign S3 servers: OpenStack Swift's s3api (strict) and moto (keeps all in memory).

Each scenario ends with every object's bytes equal to the local ones and no multipart upload left behind.
`s3_client.py NAME…` runs some of them; S3_PEERS=moto or openstack one of the peers.
"""
import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

import botocore.session
from botocore.config import Config

import peers
import s3_peers

sys.path.insert(0, str(peers.ROOT / "Tests/Torture"))
from proxy import Proxy  # noqa: E402: it lies beside what it was written for

MIB = 1 << 20
ODD = "a b+c=d&é(1)'!.wav"
PROMPT = [
    "--settle", "0.5", "--max-lag", "2", "--retry-initial", "0.2", "--retry-max", "2", "--connection-check-interval", "0.5",
    "--upload-timeout", "10",
]
FAKETIME = next(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)


class Skipped(Exception):
    """Cannot be tried here; the text says why."""


class Store:
    """A bucket at a peer, behind a proxy that can be told to be a bad network."""

    def __init__(self, peer, bucket):
        self.peer, self.bucket = peer, bucket
        self.proxy = Proxy(int(peer.endpoint.rsplit(":", 1)[1]), 1)
        self.endpoint = f"http://127.0.0.1:{self.proxy.port}"
        self.s3 = botocore.session.Session().create_client(
            "s3", region_name="us-east-1", endpoint_url=peer.endpoint, aws_access_key_id=peer.key,
            aws_secret_access_key=peer.secret, config=Config(
                s3={"addressing_style": "path"}, request_checksum_calculation="when_required",
                response_checksum_validation="when_required", retries={"max_attempts": 5}))
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


class Mount:
    """A mount of one prefix of a store."""

    def __init__(self, store, folder, *flags, prefix="takes", secret=None, bucket=None, **environment):
        self.store, self.prefix, self.flags = store, prefix, [*PROMPT, *flags]
        self.path, self.state = folder / "mnt", folder / "state"
        self.path.mkdir()
        self.keys_file = folder / "credentials"
        self.give_keys(secret or store.peer.secret)
        self.environment = os.environ | {
            "AWS_SHARED_CREDENTIALS_FILE": str(self.keys_file), "AWS_CONFIG_FILE": os.devnull, "AWS_REGION": "us-east-1",
        } | environment
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
            self.environment.pop(name, None)
        self.address = f"s3://{bucket or store.bucket}/{prefix}"
        self.log = open(folder / "mount.log", "a+b")
        self.start()

    def give_keys(self, secret):
        text = f"[default]\naws_access_key_id = {self.store.peer.key}\naws_secret_access_key = {secret}\n"
        self.keys_file.with_suffix(".new").write_text(text)
        self.keys_file.with_suffix(".new").rename(self.keys_file)

    def start(self):
        self.process = subprocess.Popen(
            [peers.REELFS, "mount", self.address, "--s3-endpoint", self.store.endpoint, str(self.path),
             "--state-dir", str(self.state), *self.flags],
            stdout=self.log, stderr=subprocess.STDOUT, env=self.environment)
        peers.until(self._is_mounted, "mounted")

    def _is_mounted(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the mount ended with {self.process.returncode}: {self.said()}")
        return os.path.ismount(self.path) and (self.path / ".status").is_dir()

    def said(self):
        return os.pread(self.log.fileno(), 1 << 20, 0).decode(errors="replace")

    def worker(self):
        with contextlib.suppress(OSError, IndexError):
            return int(pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()[0])

    def kill_worker(self):
        os.kill(peers.until(self.worker, "there is a worker"), signal.SIGKILL)

    def kill_all_and_mount_again(self):
        worker = self.worker()
        self.process.kill()
        if worker:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
        self.process.wait()
        subprocess.run(["umount", "-l", self.path], check=True)
        peers.until(lambda: not os.path.exists(f"/proc/{worker}/fd/0"), "the worker is gone")
        self.start()

    def ask(self, *words, check=True):
        done = subprocess.run(
            [peers.REELFS, *words, str(self.path)], capture_output=True, text=True, timeout=2 * peers.PATIENCE)
        if check:
            assert done.returncode == 0, f"reelfs {' '.join(words)}: {done.returncode}: {done.stdout}{done.stderr}{self.said()[-2000:]}"
        return done.stdout

    def status(self, name=""):
        return os.getxattr(self.path / name, "user.sync.status").decode()

    def complaint(self):
        with contextlib.suppress(OSError):
            return self.status() + ": " + os.getxattr(self.path, "user.sync.error").decode()
        return self.status() + ": " + self.ask("status", check=False)

    def until_paused(self, *words):
        """Waits until it is paused and says all of `words`."""
        try:
            peers.until(
                lambda: self.complaint().startswith("paused") and all(word in self.complaint() for word in words),
                f"paused: {words}")
        except AssertionError as error:
            raise AssertionError(f"{error}; it says {self.complaint()}") from None

    def local_bytes(self, name):
        """What the spool's copy occupies."""
        return (self.state / "recordings" / name).stat().st_blocks * 512

    def files(self):
        return {
            str(path.relative_to(self.path)) for path in self.path.rglob("*")
            if path.is_file() and ".status" not in path.relative_to(self.path).parts}

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

    def stop(self):
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run([peers.REELFS, "unmount", "--timeout", "5", str(self.path)], capture_output=True, timeout=60)
        subprocess.run(["umount", "-l", self.path], capture_output=True)
        if self.process.poll() is None:
            worker = self.worker()
            self.process.kill()
            if worker:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGKILL)
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Recorder:
    """Records `size` MiB at some pace, and rewrites the first bytes at the end, as recorders of WAV and MP4 do."""

    def __init__(self, path, size, seconds=0.02):
        self.path, self.size, self.seconds = path, size, seconds
        self.bytes = peers.noise(size * MIB + 4321, size)
        self.failure = None
        self.written = 0
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        try:
            with open(self.path, "wb", buffering=0) as file:
                for start in range(0, len(self.bytes), MIB):
                    file.write(self.bytes[start:start + MIB])
                    self.written = start
                    time.sleep(self.seconds)
                file.seek(0)
                file.write(b"RIFF-final-header")
        except OSError as error:
            self.failure = error

    def done(self):
        """Waits for the end. - The bytes that the recording must have."""
        self.thread.join()
        assert self.failure is None, self.failure
        return b"RIFF-final-header" + self.bytes[17:]


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


def uploads_while_recording(store, folder):
    """Parts arrive while the recording goes on; the first one, whose header is rewritten, at the end."""
    with Mount(store, folder) as mount:
        recorder = Recorder(mount.path / ODD, 60, seconds=0.1)
        early = peers.until(lambda: recorder.thread.is_alive() and store.parts() or not recorder.thread.is_alive(), "a part arrives")
        assert early is not True, "nothing arrived while it was recorded"
        assert 1 not in early, "the first part did not wait for the header"
        whole = recorder.done()
        mount.settle()
        assert store.read("takes/" + ODD) == whole


def ffmpeg_patches_header(store, folder):
    """ffmpeg's mp4, whose header is patched at the end, and a file that grows from the same process."""
    if not shutil.which("ffmpeg"):
        raise Skipped("ffmpeg is not installed")
    with Mount(store, folder) as mount:
        subprocess.run(
            ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=25", "-t", "6", "-c:v", "mpeg4",
             "-b:v", "60M", "-minrate", "60M", "-maxrate", "60M", "-bufsize", "8M", str(mount.path / "cam.mp4")], check=True)
        assert (mount.path / "cam.mp4").stat().st_size > 17 * MIB, "the take is too short for this test"
        mount.settle()


def network_goes_and_comes(store, folder):
    """The network refuses, stalls and cuts while recording; recording never waits for it."""
    with Mount(store, folder) as mount:
        recorder = Recorder(mount.path / "take.wav", 60, seconds=0.1)
        for mode in ("refuse", "ok", "stall", "ok", "cut", "ok"):
            store.proxy.set(mode)
            here = recorder.written
            peers.until(lambda: recorder.written > here + 6 * MIB or not recorder.thread.is_alive(), "recording goes on")
        whole = recorder.done()
        mount.settle()
        assert store.read("takes/take.wav") == whole


def worker_is_killed(store, folder):
    """SIGKILL of the worker in the middle of transfers, three times."""
    with Mount(store, folder, "--limit", "20M") as mount:
        recorder = Recorder(mount.path / "take.wav", 60, seconds=0.05)
        for count in (20, 35, 50):
            peers.until(lambda: recorder.written >= count * MIB, "recording goes on")
            mount.kill_worker()
        whole = recorder.done()
        mount.settle()
        assert store.read("takes/take.wav") == whole


def mount_is_killed(store, folder):
    """SIGKILL of the whole mount in the middle of transfers: what was sent is not sent again."""
    with Mount(store, folder, "--limit", "8M") as mount:
        whole = peers.noise(60 * MIB, 3)
        (mount.path / "take.wav").write_bytes(whole)
        peers.until(lambda: len(store.parts()) >= 1, "a part is stored")
        id = store.uploads()[0]["UploadId"]
        mount.flags[mount.flags.index("8M")] = "off"
        mount.kill_all_and_mount_again()
        again = {upload["UploadId"] for upload in store.uploads()}
        mount.settle()
        assert again <= {id}, "another upload was begun"
        assert store.read("takes/take.wav") == whole


def peer_is_killed(store, folder):
    """SIGKILL of the store in the middle of transfers."""
    if not store.peer.is_strict:
        raise Skipped("moto forgets everything when it ends, and answers 500 to a part of an upload that it does not know")
    with Mount(store, folder, "--limit", "16M") as mount:
        whole = peers.noise(50 * MIB, 4)
        (mount.path / "take.wav").write_bytes(whole)
        peers.until(lambda: len(store.parts()) >= 1, "a part is stored")
        store.peer.kill_and_restart()
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
        recorder = Recorder(mount.path / "first.wav", 50, seconds=0.05)
        peers.until(lambda: len(store.parts()) >= 1, "a part is stored")
        os.rename(mount.path / "first.wav", mount.path / "day/second.wav")
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


def wrong_secret(store, folder):
    """A wrong secret pauses with a sentence; correcting the credentials file is enough."""
    if not store.peer.is_strict:
        raise Skipped("moto checks no signatures")
    with Mount(store, folder, secret="wrong") as mount:
        (mount.path / "take.wav").write_bytes(peers.noise(3 * MIB))
        mount.until_paused("refuses the signature", "secret access key")
        mount.give_keys(store.peer.secret)
        mount.ask("retry")
        mount.settle()


def missing_bucket(store, folder):
    """A bucket that is not there pauses with a sentence; once it is created it goes on."""
    name = store.bucket + "-later"
    with Mount(store, folder, bucket=name) as mount:
        (mount.path / "take.wav").write_bytes(peers.noise(3 * MIB))
        mount.until_paused("there is no bucket " + name, "create it")
        store.s3.create_bucket(Bucket=name)
        store.bucket = name
        mount.ask("retry")
        mount.settle()


def wrong_clock(store, folder):
    """A clock that is an hour wrong is made up for: the server's Date tells."""
    if not store.peer.is_strict:
        raise Skipped("moto looks at no clock")
    if FAKETIME is None:
        raise Skipped("libfaketime is not installed (Debian: faketime)")
    # The preloaded library does not get along with our program, so it is the server whose clock is wrong.
    store.proxy.target = store.peer.serve_skewed(LD_PRELOAD=str(FAKETIME), FAKETIME="+1h", FAKETIME_DONT_FAKE_MONOTONIC="1")
    with Mount(store, folder) as mount:
        (mount.path / "take.wav").write_bytes(peers.noise(20 * MIB))
        mount.settle()


SCENARIOS = [
    sizes, uploads_while_recording, ffmpeg_patches_header, network_goes_and_comes, worker_is_killed, mount_is_killed,
    pause_and_resume, changes_after_sync, shrinks_and_grows, renames, evict_and_read_back, wrong_secret, missing_bucket,
    peer_is_killed, wrong_clock,
]


def attempt(scenario, store):
    """- Returns: whether it held."""
    began = time.monotonic()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="s3-client-"))
    promise = scenario.__doc__.strip().splitlines()[0]
    try:
        scenario(store, folder)
        result = "ok"
    except Skipped as reason:
        result, promise = "skip", f"{promise} SKIPPED: {reason}"
    except Exception:
        traceback.print_exc()
        with contextlib.suppress(OSError):
            print((folder / "mount.log").read_text(errors="replace")[-4000:], file=sys.stderr)
        result = "FAILED"
    store.proxy.set("ok")
    shutil.rmtree(folder)
    print(f"{result:6} {time.monotonic() - began:6.1f} s  {store.peer.name} {scenario.__name__}: {promise}", flush=True)
    return result != "FAILED"


def main():
    only = sys.argv[1:]
    if unknown := set(only) - {scenario.__name__ for scenario in SCENARIOS}:
        sys.exit(f"no such scenario: {', '.join(sorted(unknown))}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
    failed = 0
    for kind in (s3_peers.OpenStack, s3_peers.Moto):
        if kind.name not in os.environ.get("S3_PEERS", "openstack,moto").split(","):
            continue
        with tempfile.TemporaryDirectory(prefix=f"s3-{kind.name}-", dir=os.environ.get("S3_DIR")) as folder:
            peer = kind(folder)
            try:
                peer.start()
                for number, scenario in enumerate(SCENARIOS):
                    if not only or scenario.__name__ in only:
                        failed += not attempt(scenario, Store(peer, f"takes-{number}"))
            except s3_peers.Missing as reason:
                failed += 1
                print(f"FAILED {kind.name} could not be started: {reason}", flush=True)
            finally:
                peer.stop()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
