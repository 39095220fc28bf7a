"""Every kind of destination, as a user writes it on the command line, with the server behind it."""

import hashlib
import os
import signal
import sys
import time
import urllib.request

import botocore.session
from botocore.config import Config

import mounts
import peers
import s3_peers
import tus_peers

sys.path.insert(0, str(peers.ROOT / "Tests/Torture"))
from proxy import Proxy  # noqa: E402: it lies beside what it was written for

TOKEN = "one-token"
FAKETIME = "usr/lib/*/faketime/libfaketimeMT.so.1"


class Place:
    """A destination. Scenarios of one share it, each in a folder of its own name.

    `early`: MiB that a recorder must have written before the first bytes are at the destination; None: nothing before the end.
    `is_served`: whether somebody is behind it who could be killed.
    `forgets`: whether it loses everything when it ends.
    `gives_back`: whether local bytes may be given up because they can be read from there.
    """

    early, gives_back, is_served, forgets = 1, True, True, False
    flags, environment = (), {}

    def mount(self, folder, *flags, environment={}):
        return mounts.Mount(self.address, folder, *self.flags, *flags, environment={**self.environment, **environment})

    def go(self):
        """It cannot be reached any more."""

    def come(self):
        """It is there again."""

    def freeze(self):
        """It is there, and moves no more."""
        self.process().send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process().send_signal(signal.SIGCONT)

    def kill(self):
        """SIGKILL of what is behind it, and a new start."""
        self.go()
        self.come()

    def read(self, path):
        """The whole recording as it is there; None while there is none of this name."""

    def strays(self, expected):
        """What is there although nobody recorded it."""
        return []


class Receiver(Place):
    """`reelfs receive`, with a token."""

    name, path = "receiver", ""

    def __init__(self, folder):
        self.folder = folder
        self.token = folder / "token"
        self.token.write_text(TOKEN)
        self.receiver = peers.Receiver(folder, "--token-file", str(self.token))
        self.port, self.flags = self.receiver.port, (*self.flags, "--device", "camera", "--token-file", str(self.token))

    @property
    def address(self):
        return f"http://127.0.0.1:{self.port}{self.path}"

    def go(self):
        self.receiver.kill()

    def come(self):
        self.receiver.start()

    def process(self):
        return self.receiver.process

    def read(self, path):
        try:
            return self.receiver.recording("camera/" + path)
        except FileNotFoundError:
            return None

    def strays(self, expected):
        root = self.receiver.data / "recordings"
        return {str(path.relative_to(root / "camera")) for path in root.rglob("*") if path.is_file()} - set(expected)

    def stop(self):
        self.receiver.stop()
        if self.receiver.data.exists():
            self.receiver.verify()


class CompressingReceiver(Receiver):
    """`reelfs receive` and `--compress zstd`."""

    name, flags = "receiver, zstd", ("--compress", "zstd")


class ReceiverBehindNginx(Receiver):
    """nginx with its default limits in front of `reelfs receive`."""

    name = "nginx, receiver"

    def __init__(self, folder):
        super().__init__(folder)
        (folder / "nginx").mkdir()
        self.nginx = peers.Nginx(folder / "nginx", self.receiver.port)
        self.port = self.nginx.port

    def kill(self):
        self.nginx.kill()
        self.receiver.kill()
        self.nginx.start()
        self.receiver.start()

    def stop(self):
        self.nginx.kill()
        super().stop()


class ReceiverAsTus(Receiver):
    """The receiver's own tus."""

    name, path, early, gives_back = "receiver's tus", "/files/", 8, False

    @property
    def address(self):
        return "tus+" + super().address


class NginxAsTus(ReceiverAsTus, ReceiverBehindNginx):
    """nginx with its default limits in front of the receiver's tus: requests of more than 1 MiB are refused."""

    name = "nginx, receiver's tus"


class ForeignTus(Place):
    """A tus server of other people."""

    gives_back, flags = False, ("--device", "camera")

    def __init__(self, folder):
        self.server = self.make(folder)
        self.address = "tus+" + self.server.url
        self.process = lambda: self.server.process
        self.go, self.come, self.read, self.stop = self.server.kill, self.server.start, self.server.read, self.server.stop


class TusPyServer(ForeignTus):
    """tuspyserver: creation-defer-length and concatenation."""

    name, early, make = "tuspyserver", 8, tus_peers.TusPyServer


class ResumableUpload(ForeignTus):
    """resumable-upload: no deferred lengths, so an upload begins when a recording has ended."""

    name, early, make = "resumable-upload", None, tus_peers.ResumableUpload


class S3(Place):
    """A bucket at an S3 server, behind a proxy that can be told to be a bad network."""

    early, bucket = 34, "takes"

    def __init__(self, folder):
        self.peer = self.make(folder)
        try:
            self.peer.start()
            self.proxy = Proxy(int(self.peer.endpoint.rsplit(":", 1)[1]), 1)
            self.s3 = client(self.peer)
            self.s3.create_bucket(Bucket=self.bucket)
        except BaseException:
            self.peer.stop()
            raise
        self.credentials = folder / "credentials"
        self.give_keys(self.peer.secret)
        self.environment = {
            "AWS_SHARED_CREDENTIALS_FILE": str(self.credentials), "AWS_CONFIG_FILE": os.devnull, "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_PROFILE": "",
        }
        self.flags = ("--s3-endpoint", f"http://127.0.0.1:{self.proxy.port}")
        self.address = f"s3://{self.bucket}/day 1"

    def give_keys(self, secret):
        text = f"[default]\naws_access_key_id = {self.peer.key}\naws_secret_access_key = {secret}\n"
        self.credentials.with_suffix(".new").write_text(text)
        self.credentials.with_suffix(".new").rename(self.credentials)

    def go(self):
        self.proxy.set("refuse")

    def come(self):
        self.proxy.set("ok")

    def freeze(self):
        self.proxy.set("stall")

    def thaw(self):
        self.proxy.set("ok")

    def kill(self):
        self.peer.kill_and_restart()

    def read(self, path):
        try:
            return self.s3.get_object(Bucket=self.bucket, Key="day 1/" + path)["Body"].read()
        except self.s3.exceptions.NoSuchKey:
            return None

    def strays(self, expected):
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        keys = {entry["Key"].removeprefix("day 1/") for page in pages for entry in page.get("Contents", [])}
        # The program deletes nothing: the object of a name before a rename may be there.
        uploads = self.s3.list_multipart_uploads(Bucket=self.bucket).get("Uploads", [])
        return [upload["Key"] for upload in uploads] + sorted(keys - set(expected))

    def stop(self):
        self.peer.stop()


def client(peer):
    """A client of other people."""
    return botocore.session.Session().create_client(
        "s3", region_name="us-east-1", endpoint_url=peer.endpoint, aws_access_key_id=peer.key,
        aws_secret_access_key=peer.secret, config=Config(
            s3={"addressing_style": "path"}, request_checksum_calculation="when_required",
            response_checksum_validation="when_required", retries={"max_attempts": 5}))


class OpenStack(S3):
    """OpenStack Swift's s3api."""

    name, make = "OpenStack Swift", s3_peers.OpenStack

    def set_quota(self, bytes):
        """Of the bucket. S3 has no quotas, and Swift's own API wants a memcached: the container server is told directly."""
        path = f"/AUTH_test/{self.bucket}"
        # As `OpenStack.start` makes its rings: 16 partitions, one device, prefix b and suffix a.
        partition = hashlib.md5(b"b" + path.encode() + b"a").digest()[0] >> 4
        port = self.peer.ports[self.peer.SERVERS.index("container")]
        urllib.request.urlopen(urllib.request.Request(
            f"http://127.0.0.1:{port}/d1/{partition}{path}", method="POST", headers={
                "X-Timestamp": f"{time.time():016.05f}", "X-Container-Meta-Quota-Bytes": str(bytes)}))


class Moto(S3):
    """moto, which keeps everything in memory."""

    name, make, forgets = "moto", s3_peers.Moto, True


class Folder(Place):
    """A folder: a NAS, a USB disk."""

    name, is_served = "folder", False

    def __init__(self, folder):
        self.folder = folder / "disk"
        self.folder.mkdir()
        self.address = f"file://{self.folder}"

    def go(self):
        self.folder.rename(self.folder.with_name("elsewhere"))

    def come(self):
        self.folder.with_name("elsewhere").rename(self.folder)

    def read(self, path):
        try:
            return (self.folder / path).read_bytes()
        except FileNotFoundError:
            return None

    def strays(self, expected):
        names = {str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()}
        return {name for name in names if not name.startswith(".reelfs/")} - set(expected)

    def stop(self):
        """Nothing runs."""


ALL = [
    OpenStack, Moto, Receiver, CompressingReceiver, ReceiverBehindNginx, ReceiverAsTus, NginxAsTus, TusPyServer,
    ResumableUpload, Folder,
]
