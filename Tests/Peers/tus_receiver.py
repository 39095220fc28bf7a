"""Foreign tus clients upload to our receiver: tuspy, aiotus, curl, and raw sockets for what clients cannot do."""

import asyncio
import base64
import http.client
import io
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.parse

import aiotus
import tusclient.client

import peers

MIB = 1 << 20
TYPE = "application/offset+octet-stream"
SIZES = [0, 1, MIB - 1, MIB, MIB + 1, 4 * MIB, 5 * MIB + 12_345]


def b64(text):
    return base64.b64encode(text.encode()).decode()


def tus(receiver, method, path, headers=None, body=None):
    """One request; returns status and headers."""
    connection = http.client.HTTPConnection("127.0.0.1", receiver.port, timeout=peers.PATIENCE)
    try:
        connection.request(method, path, body, {"Tus-Resumable": "1.0.0", **(headers or {})})
        answer = connection.getresponse()
        answer.read()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}
    finally:
        connection.close()


def create(receiver, length, name):
    status, headers = tus(
        receiver, "POST", "/files/", {"Upload-Length": str(length), "Upload-Metadata": f"filename {b64(name)}"})
    assert status == 201, status
    return urllib.parse.urljoin("/files/", headers["location"])


def offset(receiver, url):
    status, headers = tus(receiver, "HEAD", url)
    assert status == 200, status
    return int(headers["upload-offset"])


def patch(receiver, url, at, body, **headers):
    return tus(receiver, "PATCH", url, {"Upload-Offset": str(at), "Content-Type": TYPE, **headers}, body)


def open_patch(receiver, url, at, length, body):
    """A PATCH that announces more than it sends; the connection stays open."""
    connection = socket.create_connection(("127.0.0.1", receiver.port))
    head = (
        f"PATCH {url} HTTP/1.1\r\nHost: 127.0.0.1:{receiver.port}\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: {at}\r\n"
        f"Content-Type: {TYPE}\r\nContent-Length: {length}\r\n\r\n")
    connection.sendall(head.encode() + body)
    return connection


def tuspy_sizes(folder):
    """tuspy uploads all sizes, cut in several ways, with and without checksums."""
    with peers.Receiver(folder) as receiver:
        client = tusclient.client.TusClient(receiver.url + "/files/")
        for size in SIZES:
            for chunk in [MIB, 700_000]:
                for checksum in [False, True]:
                    data, name = peers.noise(size, size), f"{size}-{chunk}-{checksum}.bin"
                    client.uploader(
                        file_stream=io.BytesIO(data), chunk_size=chunk, metadata={"filename": name},
                        upload_checksum=checksum).upload()
                    assert receiver.recording(f"tus/{name}") == data, name
        receiver.verify()


def aiotus_sizes(folder):
    """aiotus uploads all sizes and reads its metadata and our configuration back."""
    with peers.Receiver(folder) as receiver:
        for size in SIZES:
            data, name = peers.noise(size, size), f"{size}.bin"
            where = asyncio.run(
                asyncio.wait_for(
                    aiotus.upload(receiver.url + "/files/", io.BytesIO(data), {"filename": name.encode()}, chunksize=MIB),
                    peers.PATIENCE))
            assert where is not None, f"aiotus gave up on {name}"
            assert receiver.recording(f"tus/{name}") == data, name
            assert asyncio.run(aiotus.metadata(where)) == {"filename": name.encode()}
        receiver.verify()


def aiotus_multiple(folder):
    """aiotus uploads parts in parallel and has them put together."""
    with peers.Receiver(folder) as receiver:
        parts = [peers.noise(size, size) for size in [MIB + 1, 700_000, 2 * MIB]]
        where = asyncio.run(
            asyncio.wait_for(
                aiotus.upload_multiple(
                    receiver.url + "/files/", [io.BytesIO(part) for part in parts], {"filename": b"joined.bin"}),
                peers.PATIENCE))
        assert where is not None, "aiotus gave up"
        assert receiver.recording("tus/joined.bin") == b"".join(parts)
        receiver.verify()


def tuspy_resumes_after_kill(folder):
    """After SIGKILL of the receiver between requests tuspy goes on at what was acknowledged."""
    data = peers.noise(4 * MIB + 99)
    with peers.Receiver(folder) as receiver:
        client = tusclient.client.TusClient(receiver.url + "/files/")
        uploader = client.uploader(
            file_stream=io.BytesIO(data), chunk_size=700_000, metadata={"filename": "take.bin"}, upload_checksum=True)
        while uploader.offset < len(data):
            uploader.upload_chunk()
            receiver.kill()
            receiver.start()
            resumed = client.uploader(
                file_stream=io.BytesIO(data), chunk_size=700_000, url=uploader.url, upload_checksum=True)
            assert resumed.offset == uploader.offset, (resumed.offset, uploader.offset)
            uploader = resumed
        assert receiver.recording("tus/take.bin") == data
        receiver.verify()


def kill_within_a_request(folder):
    """SIGKILL in the middle of a PATCH keeps what had been received, and HEAD says how much."""
    data = peers.noise(40 * MIB)
    with peers.Receiver(folder) as receiver:
        url = create(receiver, len(data), "take.bin")
        connection = open_patch(receiver, url, 0, len(data), data[: 20 * MIB])
        known = peers.until(lambda: (lambda now: now if now >= 10 * MIB else 0)(offset(receiver, url)), "10 MiB stored")
        receiver.kill()
        connection.close()
        receiver.start()
        kept = offset(receiver, url)
        assert known <= kept <= 20 * MIB, (known, kept)
        status, headers = patch(receiver, url, kept, data[kept:])
        assert (status, headers["upload-offset"]) == (204, str(len(data))), (status, headers)
        assert receiver.recording("tus/take.bin") == data
        receiver.verify()


def broken_connection(folder):
    """A connection that breaks within a PATCH keeps every byte that arrived; with a checksum, none."""
    data = peers.noise(2 * MIB)
    with peers.Receiver(folder) as receiver:
        url = create(receiver, len(data), "take.bin")
        open_patch(receiver, url, 0, len(data), data[: MIB + 12_345]).close()
        peers.until(lambda: offset(receiver, url) == MIB + 12_345, "the prefix is kept")
        rest = data[MIB + 12_345 :]
        status, _ = patch(receiver, url, MIB + 12_345, rest, **{"Upload-Checksum": f"sha1 {b64('no')}"})
        assert status == 460, status
        assert offset(receiver, url) == MIB + 12_345
        assert patch(receiver, url, MIB + 12_345, rest)[0] == 204
        assert receiver.recording("tus/take.bin") == data
        receiver.verify()


def locked_and_taken_over(folder):
    """A second PATCH is 423 while the first one moves, and takes over when the first has gone silent."""
    data = peers.noise(3 * MIB)
    with peers.Receiver(folder) as receiver:
        url = create(receiver, len(data), "take.bin")
        first = open_patch(receiver, url, 0, len(data), data[:1000])
        stop = threading.Event()

        def drip():
            # A byte at a time is progress enough.
            at = 1000
            while not stop.wait(0.2):
                first.sendall(data[at : at + 1])
                at += 1

        thread = threading.Thread(target=drip)
        thread.start()
        seen = peers.until(lambda: patch(receiver, url, 0, b"")[0] == 423, "the first request has the upload")
        began = time.monotonic()
        while time.monotonic() - began < 5:
            status, headers = patch(receiver, url, 0, b"")
            assert seen and status == 423 and headers["retry-after"] == "1", status
            time.sleep(0.5)
        stop.set()
        thread.join()
        # The connection stays open and silent, as one whose other end lost its network.
        status = peers.until(lambda: (lambda s: s if s != 423 else 0)(patch(receiver, url, 0, b"")[0]), "taken over")
        assert status == 409, status
        kept = offset(receiver, url)
        assert 1000 <= kept < 2000, kept
        assert patch(receiver, url, kept, data[kept:])[0] == 204
        first.close()
        assert receiver.recording("tus/take.bin") == data
        receiver.verify()


def curl_deferred(folder):
    """curl alone uploads a growing file: creation without a length, appends, the length at the end."""
    data = peers.noise(2 * MIB + 5)
    (folder / "one").write_bytes(data[:MIB])
    (folder / "two").write_bytes(data[MIB:])
    (folder / "token").write_text("secret")

    def curl(*arguments):
        command = ["curl", "-sS", "-D", "-", "-o", "/dev/null", "-H", "Tus-Resumable: 1.0.0"]
        done = subprocess.run(
            command + ["-H", "Authorization: Bearer secret", *arguments], capture_output=True, text=True, check=True)
        # Interim answers (100 Continue) come before the real one. Text mode has made \n of \r\n.
        head = done.stdout.strip().split("\n\n")[-1].splitlines()
        pairs = (line.split(": ", 1) for line in head[1:] if ": " in line)
        return int(head[0].split()[1]), {name.lower(): value for name, value in pairs}

    with peers.Receiver(folder, "--token-file", str(folder / "token")) as receiver:
        files = receiver.url + "/files/"
        status, headers = curl(
            "-X", "POST", "-H", "Upload-Defer-Length: 1", "-H", f"Upload-Metadata: filename {b64('live.mkv')}", files)
        assert status == 201, status
        url = urllib.parse.urljoin(files, headers["location"])
        at = 0
        for name in ["one", "two"]:
            status, headers = curl(
                "-X", "PATCH", "-H", f"Content-Type: {TYPE}", "-H", f"Upload-Offset: {at}", "--data-binary",
                f"@{folder / name}", url)
            at = int(headers["upload-offset"])
            assert status == 204, status
        status, headers = curl(
            "-X", "PATCH", "-H", f"Content-Type: {TYPE}", "-H", f"Upload-Offset: {at}", "-H", f"Upload-Length: {at}",
            "--data-binary", "", url)
        assert (status, at) == (204, len(data)), (status, at)
        assert receiver.recording("tus/live.mkv") == data
        # A chunked body, whose length nobody knows before its end: too long by a byte is refused.
        status, headers = curl(
            "-X", "POST", "-H", f"Upload-Length: {MIB - 1}", "-H", f"Content-Type: {TYPE}", "-H",
            "Transfer-Encoding: chunked", "--data-binary", f"@{folder / 'one'}", files)
        assert status == 413, status
        assert curl("-X", "DELETE", url)[0] == 204
        assert curl("--head", url)[0] == 404
        receiver.verify()


def memory_is_bounded(folder):
    """A PATCH of 300 MiB does not pass through memory as a whole, with a checksum or without."""
    block = peers.noise(MIB)
    count = 300
    with peers.Receiver(folder) as receiver:
        def resident():
            for line in open(f"/proc/{receiver.process.pid}/status"):
                if line.startswith("VmHWM"):
                    return int(line.split()[1]) << 10
        for checksum in [None, "sha256"]:
            headers = {}
            if checksum:
                import hashlib

                digest = hashlib.sha256()
                for _ in range(count):
                    digest.update(block)
                headers["Upload-Checksum"] = f"sha256 {base64.b64encode(digest.digest()).decode()}"
            url = create(receiver, count * MIB, f"large-{checksum}.bin")
            headers["Content-Length"] = str(count * MIB)
            began = time.monotonic()
            status, _ = patch(receiver, url, 0, (block for _ in range(count)), **headers)
            seconds = time.monotonic() - began
            assert status == 204, status
            print(f"       {count / seconds:.0f} MiB/s, {resident() >> 20} MiB resident at most, checksum {checksum}")
            assert resident() < 200 << 20, resident()
        receiver.verify()


def full_disk(folder):
    """A full disk is 507, and what was acknowledged before is still there."""
    if os.geteuid() != 0:
        print("       not root: a small file system cannot be mounted, this was not checked")
        return
    small = folder / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(small)], check=True)
    try:
        data = peers.noise(16 * MIB)
        with peers.Receiver(small) as receiver:
            url = create(receiver, len(data), "take.bin")
            assert patch(receiver, url, 0, data[: 2 * MIB])[0] == 204
            assert patch(receiver, url, 2 * MIB, data[2 * MIB :])[0] == 507
            kept = offset(receiver, url)
            assert kept >= 2 * MIB, kept
            stored = next(receiver.data.glob("sess_tus_*/temp/recording")).read_bytes()
            assert stored[:kept] == data[:kept]
            assert tus(receiver, "DELETE", url)[0] == 204
            url = create(receiver, MIB, "fits.bin")
            assert patch(receiver, url, 0, data[:MIB])[0] == 204
            receiver.verify()
    finally:
        subprocess.run(["umount", str(small)], check=True)


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    peers.run([
        tuspy_sizes, aiotus_sizes, aiotus_multiple, tuspy_resumes_after_kill, kill_within_a_request, broken_connection,
        locked_and_taken_over, curl_deferred, memory_is_bounded, full_disk,
    ])
