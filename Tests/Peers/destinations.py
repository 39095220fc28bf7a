#!/usr/bin/env python3
"""The same scenarios against every destination: what the README promises of "Where recordings can go", line by line.

`destinations.py NAME…` runs only scenarios, or destinations, of these names. Several destinations are tried at once (JOBS, 4).
"""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import traceback

import mounts
import peers
import places
import troubles

MIB = 1 << 20
ODD = "a b+c=d&é(1)'!.wav"


def online(place, folder):
    """⇪ X% while it records, bytes at the destination before the recorder is done (where it can), ✓ SYNCED after."""
    with place.mount(folder) as mount:
        # On a loaded machine it may take long until something is stored: it records until then.
        recorder = mounts.Recorder(mount.path / "online/take.wav", (place.early or 0) + 60, seconds=0.1)
        if place.early is None:
            recorder.until(20)
            assert mount.number("online/take.wav", "bytes_synced") == 0, "it says stored what nobody has"
        else:
            peers.until(
                lambda: mount.number("online/take.wav", "bytes_synced") > 0 or not recorder.is_recording, "bytes are stored")
            badge = mount.attribute("online/take.wav", "badge")
            assert recorder.is_recording, "nothing was stored while it was recorded"
            assert re.fullmatch(r"⇪ \d{1,3}%", badge), badge
        recorder.enough()
        whole = recorder.done()
        mount.synced("online/take.wav")
        assert mount.attribute("online/take.wav", "badge") == "✓ SYNCED"
        mount.told("CHUNK_UPLOADED", "SESSION_UPLOAD_COMPLETE")
        check(place, mount, {"online/take.wav": whole})


def offline(place, folder):
    """⏸ PAUSED when the destination goes, the recorder goes on, everything resumes by itself."""
    size = max(place.early or 0, 4) + 20
    with place.mount(folder) as mount:
        recorder = mounts.Recorder(mount.path / "offline/take.mkv", size, seconds=0.1)
        recorder.until(size - 14)
        place.go()
        try:
            if place.early is None:
                # It has nothing to send before the end, so it cannot know.
                recorder.thread.join()
            peers.until(lambda: mount.status("offline/take.mkv") == "paused", "paused while offline")
            assert mount.attribute("offline/take.mkv", "badge") == "⏸ PAUSED"
            assert recorder.is_recording or place.early is None, "the recorder was done before the destination went"
            recorder.done()
        finally:
            place.come()
        mount.synced("offline/take.mkv")
        mount.told("CONNECTION_LOST", "CONNECTION_RESTORED")
        check(place, mount, {"offline/take.mkv": recorder.done()})


def closed(place, folder):
    """The recorder is gone and the upload goes on; the mount is ended in the middle of it, and the next one goes on there."""
    with place.mount(folder, "--limit", "8M") as mount:
        whole = peers.take(max(place.early or 0, 8) * MIB + 20 * MIB + 5, 3)
        mount.write("closed/take.raw", whole)
        peers.until(lambda: mount.number("closed/take.raw", "bytes_synced") > 0, "bytes are stored")
        mount.stop()
        mount.start()
        assert mount.number("closed/take.raw", "bytes_synced") > 0, "what was stored is forgotten"
        assert mount.status("closed/take.raw") != "synced", "it was done before the mount ended"
        mount.synced("closed/take.raw")
        check(place, mount, {"closed/take.raw": whole})


def server_failure(place, folder):
    """It is down from the start: paused; then it comes, and everything resumes by itself."""
    place.go()
    try:
        with place.mount(folder) as mount:
            whole = mounts.Recorder(mount.path / "failure/take.mp4", 6, seconds=0).done()
            peers.until(lambda: mount.status("failure/take.mp4") == "paused", "paused without a server")
            place.come()
            mount.synced("failure/take.mp4")
            check(place, mount, {"failure/take.mp4": whole})
    except BaseException:
        place.come()
        raise


def several_sessions(place, folder):
    """Several at once, in folders and under strange names: each its own session and status, none in another's way."""
    with place.mount(folder) as mount:
        names = ["a.wav", "studio/c.mkv", "studio/day 1/d é.mp4", ODD, "ü,日本;語/100%/e#f?.ts"]
        recorders = {
            "several/" + name: mounts.Recorder(mount.path / "several" / name, 3 + number, seconds=0.03)
            for number, name in enumerate(names)}
        contents = {name: recorder.done() for name, recorder in recorders.items()}
        for size in (0, 1, MIB, 5 * MIB, 5 * MIB + 1):
            contents[f"several/{size}.bin"] = peers.take(size, size)
            mount.write(f"several/{size}.bin", contents[f"several/{size}.bin"])
        mount.synced(*contents)
        check(place, mount, contents)
        assert len({mount.attribute(name, "session") for name in contents}) == len(contents), "sessions are not distinct"
        assert mount.status("several/studio") == "synced", "a folder's status"
        table = mount.ask("status")
        assert all(os.path.basename(name) in table for name in contents), table


def ffmpeg_mp4(place, folder):
    """ffmpeg's mp4, whose header is patched at the end; and +faststart, which writes the whole file a second time."""
    with place.mount(folder) as mount:
        (mount.path / "mp4").mkdir()
        for name, flags in {"plain.mp4": [], "faststart.mp4": ["-movflags", "+faststart"]}.items():
            subprocess.run(
                ["ffmpeg", "-v", "error", "-i", take(), "-c", "copy", *flags, str(mount.path / "mp4" / name)], check=True)
        names = ["mp4/plain.mp4", "mp4/faststart.mp4"]
        mount.synced(*names)
        contents = {name: mount.read(name) for name in names}
        check(place, mount, contents)
        for name, data in contents.items():
            there = folder / "there.mp4"
            there.write_bytes(place.read(name))
            seen = subprocess.run(
                ["ffprobe", "-v", "error", "-count_packets", "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0", there],
                capture_output=True, text=True, check=True)
            assert seen.stdout.split() == ["50"] and not seen.stderr, f"{name}: {seen.stdout}{seen.stderr}"


def rewritten(place, folder):
    """Bytes in the middle change after they were uploaded, and a whole recording changes and grows after it was synced."""
    with place.mount(folder) as mount:
        data = bytearray(peers.take(max(place.early or 0, 12) * MIB + 12 * MIB, 5))
        name, middle = "rewritten/take.wav", 8 * MIB + 7
        mount.write(name, b"")
        with open(mount.path / name, "r+b") as file:
            file.write(data)
            file.flush()
            if place.early is not None:
                peers.until(lambda: mount.number(name, "bytes_synced") > 0, "something is uploaded")
            file.seek(middle)
            file.write(b"rewritten")
        data[middle : middle + 9] = b"rewritten"
        mount.synced(name)
        check(place, mount, {name: bytes(data)})
        for at, bytes_ in ((len(data), b"more"), (0, b"HEAD"), (len(data) - 2 * MIB, b"late")):
            mount.write(name, bytes_, at=at)
            data[at : at + 4] = bytes_
            mount.synced(name)
            check(place, mount, {name: bytes(data)})


def renamed(place, folder):
    """A recording that is renamed while it is uploaded arrives under its last name."""
    with place.mount(folder) as mount:
        whole = peers.take(max(place.early or 0, 8) * MIB + 8 * MIB, 6)
        mount.write("renamed/take.wav", b"")
        with open(mount.path / "renamed/take.wav", "ab") as file:
            file.write(whole[: -4 * MIB])
            file.flush()
            if place.early is not None:
                peers.until(lambda: mount.number("renamed/take.wav", "bytes_synced") > 0, "something is uploaded")
            (mount.path / "renamed/final").mkdir()
            os.rename(mount.path / "renamed/take.wav", mount.path / "renamed/final/take.wav")
            file.write(whole[-4 * MIB :])
        mount.synced("renamed/final/take.wav")
        check(place, mount, {"renamed/final/take.wav": whole})


def mount_killed(place, folder):
    """The worker, then the whole mount, are killed again and again in the middle of uploading."""
    with place.mount(folder, "--limit", "8M") as mount:
        def during(at):
            if at % (12 * MIB) == 0:
                mount.kill_worker()
            elif at % (20 * MIB) == 0:
                mount.kill()
                mount.start()

        size = max(place.early or 0, 10) + 22
        whole = mounts.record(mount, "killed/take.mkv", peers.take(size * MIB, 7), mounts.HEADER, during)
        mount.kill()
        mount.start()
        mount.synced("killed/take.mkv")
        check(place, mount, {"killed/take.mkv": whole})


def peer_killed(place, folder):
    """What is behind the destination is killed while bytes are on their way to it."""
    if not place.is_served or place.forgets:
        raise peers.Skipped("it forgets everything when it ends" if place.forgets else "nobody is behind it")
    with place.mount(folder, "--limit", "12M") as mount:
        size = max(place.early or 0, 10) + 20

        def during(at):
            if at == (size // 8) * 4 * MIB:
                place.kill()

        whole = mounts.record(mount, "peer/take.mkv", peers.take(size * MIB, 8), mounts.HEADER, during)
        place.kill()
        mount.synced("peer/take.mkv")
        check(place, mount, {"peer/take.mkv": whole})


def frozen(place, folder):
    """It is there but moves no more in the middle of an upload: the recorder goes on, the mount ends in time, the next one goes on."""
    if not place.is_served:
        raise peers.Skipped("nobody is behind it")
    with place.mount(folder) as mount:
        size = max(place.early or 0, 8) + 12
        recorder = mounts.Recorder(mount.path / "frozen/take.mkv", size, seconds=0.1)
        recorder.until(size - 10)
        place.freeze()
        try:
            whole = recorder.done()
            assert mount.status("frozen/take.mkv") != "synced", "it is synced although nobody can have it"
            mount.stop()
        finally:
            place.thaw()
        mount.start()
        mount.synced("frozen/take.mkv")
        check(place, mount, {"frozen/take.mkv": whole})


def evicted(place, folder):
    """Local bytes are given up where the destination gives them back, and read from there; elsewhere they stay."""
    with place.mount(folder) as mount:
        whole = peers.take(18 * MIB + 77, 9)
        mount.write(f"evicted/{ODD}", whole)
        mount.synced(f"evicted/{ODD}")
        mount.ask("evict", path=f"evicted/{ODD}", check=place.gives_back)
        if place.gives_back:
            peers.until(lambda: mount.local_bytes(f"evicted/{ODD}") < 64 << 10, "evicted")
        else:
            assert mount.local_bytes(f"evicted/{ODD}") >= len(whole), "bytes are gone that nobody gives back"
        with open(mount.path / "evicted" / ODD, "rb") as file:
            file.seek(17 * MIB - 100)
            assert file.read(200) == whole[17 * MIB - 100 : 17 * MIB + 100]
        assert mount.read(f"evicted/{ODD}") == whole
        check(place, mount, {f"evicted/{ODD}": whole})


SCENARIOS = [
    online, offline, closed, server_failure, several_sessions, ffmpeg_mp4, rewritten, renamed, mount_killed, peer_killed, frozen,
    evicted,
]


def check(place, mount, contents):
    """Every recording is as it was written, here and at the destination, byte for byte."""
    for name, data in contents.items():
        assert mount.read(name) == data, f"{name} is not what was written"
        theirs = place.read(name)
        assert theirs is not None, f"the destination has no {name}"
        assert theirs == data, f"{name}: {len(theirs)} of {len(data)} bytes, equal up to {mounts.common(theirs, data)}"
    place.expected = getattr(place, "expected", set()) | set(contents)


_source = []


def take():
    """A short video, made once; recorded by copying its packets into another container."""
    if not _source:
        folder = pathlib.Path(tempfile.mkdtemp(prefix="peers-take-"))
        subprocess.run(
            ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=640x480:rate=25,noise=alls=80:allf=t", "-t", "2",
             "-c:v", "mjpeg", "-q:v", "1", "-pix_fmt", "yuvj444p", folder / "take.mkv"], check=True)
        _source.append(folder / "take.mkv")
    return _source[0]


def of(make, wanted):
    """All scenarios of one destination, one after the other. - Gives their results."""
    def group():
        scenarios = [
            scenario for scenario in SCENARIOS + troubles.OF.get(make.name, [])
            if not wanted or wanted & {make.name, scenario.__name__}]
        if not scenarios:
            return []
        folder = pathlib.Path(tempfile.mkdtemp(prefix="peers-place-"))
        try:
            place = make(folder)
        except Exception as error:
            traceback.print_exc()
            print(f"FAILED           {make.name} could not be started: {error}", flush=True)
            return ["FAILED"]
        try:
            results = [
                peers.attempt(
                    f"{make.name}: {scenario.__name__}", peers.promise(scenario), lambda folder: scenario(place, folder))
                for scenario in scenarios]
            results.append(peers.attempt(f"{make.name}: nothing_else", peers.promise(nothing_else), lambda _: nothing_else(place)))
        finally:
            place.stop()
            shutil.rmtree(folder, ignore_errors=True)
        return results
    return group


def nothing_else(place):
    """Nothing is there in the end but what was recorded."""
    strays = place.strays(getattr(place, "expected", set()))
    assert not strays, strays


if __name__ == "__main__":
    import sys
    wanted = set(sys.argv[1:])
    if unknown := wanted - {scenario.__name__ for scenario in SCENARIOS + troubles.ALL} - {make.name for make in places.ALL}:
        sys.exit(f"no such scenario or destination: {', '.join(sorted(unknown))}")
    take()
    try:
        results = peers.run_groups([of(make, wanted) for make in places.ALL], int(os.environ.get("JOBS", "4")))
    finally:
        shutil.rmtree(take().parent)
    peers.close(results)
