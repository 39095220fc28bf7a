"""What a person must mend at a destination: the mount is paused, says what is wrong, and goes on by itself once it is mended."""


import os
import subprocess

import peers
import places

MIB = 1 << 20


def wrong_token(place, folder):
    """A wrong token pauses with a sentence; correcting the file is enough."""
    token = folder / "token"
    token.write_text("another-token")
    with place.mount(folder, "--token-file", str(token)) as mount:
        whole = peers.take(9 * MIB)
        mount.write("token/take.wav", whole)
        mount.until_paused("--token-file")
        token.write_text(places.TOKEN)
        finished(place, mount, "token/take.wav", whole)


def full_disk(place, folder):
    """The destination's disk is full: paused, says so; goes on once there is room."""
    with peers.small_disk(folder / "small") as remount:
        there = type(place)(folder / "small")
        try:
            with there.mount(folder) as mount:
                whole = peers.take(36 * MIB, 2)
                mount.write("full/take.wav", whole)
                mount.until_paused("full")
                assert mount.status("full/take.wav") == "paused"
                remount("size=200m")
                finished(there, mount, "full/take.wav", whole)
        finally:
            there.stop()


def wrong_secret(place, folder):
    """A wrong secret pauses with a sentence; correcting the credentials file is enough."""
    place.give_keys("wrong")
    try:
        with place.mount(folder) as mount:
            whole = peers.take(3 * MIB)
            mount.write("secret/take.wav", whole)
            mount.until_paused("refuses the signature", "secret access key")
            place.give_keys(place.peer.secret)
            finished(place, mount, "secret/take.wav", whole)
    finally:
        place.give_keys(place.peer.secret)


def missing_bucket(place, folder):
    """A bucket that is not there pauses with a sentence; once it is created it goes on."""
    there = Later(place)
    with there.mount(folder) as mount:
        whole = peers.take(3 * MIB)
        mount.write("bucket/take.wav", whole)
        mount.until_paused("there is no bucket " + there.bucket, "create it")
        place.s3.create_bucket(Bucket=there.bucket)
        finished(there, mount, "bucket/take.wav", whole)


class Later(places.S3):
    """Another bucket of the same server."""

    def __init__(self, place):
        self.peer, self.s3, self.flags, self.environment = place.peer, place.s3, place.flags, place.environment
        self.bucket = place.bucket + "-later"
        self.address = f"s3://{self.bucket}/day 1"


def wrong_clock(place, folder):
    """A clock that is an hour wrong is made up for: the server's Date tells."""
    library = peers.unpacked(places.FAKETIME)
    if library is None:
        raise peers.Skipped("libfaketime is not there: Tests/Peers/setup.sh")
    # The preloaded library does not get along with our program, so it is the server whose clock is wrong.
    usual = place.proxy.target
    place.proxy.target = place.peer.serve_skewed(LD_PRELOAD=str(library), FAKETIME="+1h", FAKETIME_DONT_FAKE_MONOTONIC="1")
    try:
        with place.mount(folder) as mount:
            whole = peers.take(20 * MIB)
            mount.write("clock/take.wav", whole)
            finished(place, mount, "clock/take.wav", whole)
    finally:
        place.proxy.target = usual


def quota(place, folder):
    """A bucket whose quota is used up: paused, says so; goes on once it is raised."""
    place.set_quota(1 * MIB)
    try:
        with place.mount(folder) as mount:
            whole = peers.take(3 * MIB)
            mount.write("quota/take.wav", whole)
            mount.until_paused("quota")
            place.set_quota(1 << 40)
            finished(place, mount, "quota/take.wav", whole)
    finally:
        place.set_quota(1 << 40)


def not_mounted(place, folder):
    """A disk that is not mounted leaves an empty folder behind: paused, nothing is written into it."""
    with place.mount(folder) as mount:
        mount.write("unplugged/first.wav", b"first")
        mount.synced("unplugged/first.wav")
        place.go()
        place.folder.mkdir()
        try:
            mount.write("unplugged/take.wav", peers.take(3 * MIB))
            mount.until_paused("is the disk mounted?")
            assert not any(place.folder.iterdir()), "it was written to the wrong disk"
        finally:
            place.folder.rmdir()
            place.come()
        finished(place, mount, "unplugged/take.wav", peers.take(3 * MIB))
        finished(place, mount, "unplugged/first.wav", b"first")


def read_only(place, folder):
    """A folder that cannot be written: paused, says so; goes on once it can."""
    with peers.small_disk(folder / "small", "200m") as remount:
        there = places.Folder(folder / "small")
        with there.mount(folder) as mount:
            mount.write("readonly/first.wav", b"first")
            mount.synced("readonly/first.wav")
            remount("ro")
            whole = peers.take(3 * MIB)
            mount.write("readonly/take.wav", whole)
            mount.until_paused("cannot be written")
            remount("rw")
            finished(there, mount, "readonly/take.wav", whole)


def orphans(place, folder):
    """doctor lists uploads that nobody goes on with and ends them with --clean; those of a journal here, and young ones, stay."""
    orphan = place.s3.create_multipart_upload(Bucket=place.bucket, Key="day 1/orphans/gone é.wav")["UploadId"]
    part = dict(Bucket=place.bucket, Key="day 1/orphans/gone é.wav", UploadId=orphan, PartNumber=1)
    place.s3.upload_part(**part, Body=peers.noise(MIB))
    outside = place.s3.create_multipart_upload(Bucket=place.bucket, Key="elsewhere/theirs.wav")
    try:
        with place.mount(folder, "--limit", "8M") as mount:
            def doctor(*words):
                done = subprocess.run(
                    [peers.REELFS, "doctor", place.address, *place.flags, "--state-dir", mount.state, *words],
                    capture_output=True, text=True, env={**os.environ, **place.environment})
                # Its exit code is about the whole machine, on which others may have left a dead mount.
                assert "✓ ok    destination" in done.stdout, done.stdout + done.stderr
                return done.stdout

            mount.write("orphans/live.wav", peers.take(56 * MIB))
            open_uploads = lambda: place.s3.list_multipart_uploads(Bucket=place.bucket).get("Uploads", [])
            peers.until(lambda: any(upload["Key"] == "day 1/orphans/live.wav" for upload in open_uploads()), "it is under way")
            live = next(upload["UploadId"] for upload in open_uploads() if upload["Key"] == "day 1/orphans/live.wav")
            # Of all ages: young ones are told and stay.
            said = doctor("--clean")
            assert "gone é.wav" in said and "another machine" in said and "goes on with it" in said, said
            said = doctor("--older-than", "0")
            assert "nobody goes on with it" in said, said
            assert {orphan, live, outside["UploadId"]} <= {upload["UploadId"] for upload in open_uploads()}
            said = doctor("--clean", "--older-than", "0")
            assert "ended, 1.0 MiB are free" in said, said
            ids = {upload["UploadId"] for upload in open_uploads()}
            assert orphan not in ids and outside["UploadId"] in ids, "the wrong uploads were ended"
            assert live in ids or mount.status("orphans/live.wav") == "synced", "a live upload was ended"
            mount.ask("limit", "off", check=False)
            finished(place, mount, "orphans/live.wav", peers.take(56 * MIB))
    finally:
        for upload in place.s3.list_multipart_uploads(Bucket=place.bucket).get("Uploads", []):
            place.s3.abort_multipart_upload(Bucket=place.bucket, Key=upload["Key"], UploadId=upload["UploadId"])


def renamed_after_sync(place, folder):
    """A recording that is renamed after it was synced gets its new name at the destination, its old one is gone."""
    with place.mount(folder) as mount:
        contents = {"moved/small.wav": b"small", "moved/large.wav": peers.take(9 * MIB)}
        for name, data in contents.items():
            mount.write(name, data)
        mount.synced(*contents)
        (mount.path / "moved/away").mkdir()
        for name, data in contents.items():
            new = name.replace("moved/", "moved/away/é ")
            os.rename(mount.path / name, mount.path / new)
            peers.until(lambda: place.read(new) == data, f"it is {new} there too")
            peers.until(lambda: place.read(name) is None, "the old name is gone")
            finished(place, mount, new, data)


def joined_parts(place, folder):
    """doctor says what the server can do; parts that were joined into a recording are ended with --clean, the recording stays."""
    with place.mount(folder) as mount:
        whole = peers.take(9 * MIB)
        mount.write("parts/take.wav", whole)
        mount.synced("parts/take.wav")
        token = [flag for flag in place.flags if flag.endswith("token")]

        def doctor(*words):
            flags = ["--token-file", token[0]] if token else []
            done = subprocess.run(
                [peers.REELFS, "doctor", place.address, *flags, "--state-dir", mount.state, *words], capture_output=True, text=True)
            assert "✓ ok    destination" in done.stdout, done.stdout + done.stderr
            return done.stdout

        said = doctor()
        assert "all but the first 5 MiB" in said and "2 of 9.0 MiB" in said, said
        assert "2 of 9.0 MiB whose recordings are complete: ended" in doctor("--clean")
        assert "none are left" in doctor()
        assert place.read("parts/take.wav") == whole
        # The mount does not mind: a recording that grows is sent anew.
        mount.write("parts/take.wav", b"more", at=len(whole))
        finished(place, mount, "parts/take.wav", whole + b"more")


def finished(place, mount, name, whole):
    """It went on by itself, and nothing is lost."""
    mount.synced(name)
    peers.until(lambda: mount.status() == "synced", "nothing is paused any more")
    theirs = place.read(name)
    assert theirs == whole, f"{name}: {theirs and len(theirs)} of {len(whole)} bytes"
    place.expected = getattr(place, "expected", set()) | {name}


OF = {
    "receiver": [wrong_token, full_disk, renamed_after_sync],
    "receiver, zstd": [full_disk],
    "nginx, receiver": [wrong_token],
    "receiver's tus": [wrong_token, full_disk, joined_parts, renamed_after_sync],
    "nginx, receiver's tus": [wrong_token],
    # tuspyserver deletes what it has joined: nothing is left to be ended there.
    "tuspyserver": [],
    "OpenStack Swift": [wrong_secret, missing_bucket, wrong_clock, quota, orphans],
    "moto": [missing_bucket, orphans],
    "folder": [full_disk, not_mounted, read_only, renamed_after_sync],
}
ALL = list({scenario.__name__: scenario for scenarios in OF.values() for scenario in scenarios}.values())
