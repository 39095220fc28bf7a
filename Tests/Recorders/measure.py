#!/usr/bin/env python3
"""Measures docs/RECORDERS.md: runs real recorders into a real mount beside a real receiver, counts how often each chunk was
sent, then kills each recorder in the middle and looks what of its file can be played.

    REELFS=.build/release/reelfs Tests/Recorders/measure.py            prints the two tables
    REELFS=… Tests/Recorders/measure.py --check docs/RECORDERS.md      and fails where the document says otherwise

Recorders that are not installed are left out and named. Each recording is about 8 MB in 10 s, recorded in real time.
"""
import collections
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

REELFS = os.path.abspath(os.environ.get("REELFS", ".build/release/reelfs"))
SECONDS = 10

VIDEO = "-re -f lavfi -i testsrc2=size=1280x720:rate=25 -f lavfi -i sine=frequency=440:sample_rate=48000"
CODEC = "-c:v libx264 -preset ultrafast -b:v 6M -minrate 6M -maxrate 6M -bufsize 1M -g 50 -pix_fmt yuv420p -c:a aac"
PICTURES = "videotestsrc is-live=true pattern=snow ! video/x-raw,width=640,height=360,framerate=25/1"
H264 = "x264enc bitrate=6000 tune=zerolatency speed-preset=ultrafast key-int-max=50 ! h264parse"


def ffmpeg(flags, name):
    return f"ffmpeg -nostdin -loglevel error -y {VIDEO} {CODEC} -t {{seconds}} {flags} {name}"


def gst(mux, name):
    return f"gst-launch-1.0 -q -e {PICTURES} ! {H264} ! {mux} ! filesink location={name}"


RECORDERS = {
    "ffmpeg, MKV": (ffmpeg("", "take.mkv"), "take.mkv"),
    "ffmpeg, MP4": (ffmpeg("", "take.mp4"), "take.mp4"),
    "ffmpeg, MP4 with `-movflags +faststart`": (ffmpeg("-movflags +faststart", "take.mp4"), "take.mp4"),
    "ffmpeg, MP4 with `-movflags +frag_keyframe+empty_moov`": (ffmpeg("-movflags +frag_keyframe+empty_moov", "take.mp4"), "take.mp4"),
    "ffmpeg, MPEG-TS": (ffmpeg("-f mpegts", "take.ts"), "take.ts"),
    "ffmpeg, WAV": ("ffmpeg -nostdin -loglevel error -y -re -f lavfi -i anoisesrc=sample_rate=192000 -c:a pcm_s16le -ac 2 -t {seconds} take.wav", "take.wav"),
    "ffmpeg, FLAC": ("ffmpeg -nostdin -loglevel error -y -re -f lavfi -i anoisesrc=sample_rate=192000 -c:a flac -ac 2 -t {seconds} take.flac", "take.flac"),
    "sox, WAV": ("sox -q -t raw -r 192000 -e signed -b 16 -c 2 - take.wav < {noise}", "take.wav"),
    "arecord, WAV": ("arecord -q -D null -f S16_LE -r 192000 -c 2 -d {seconds} take.wav", "take.wav"),
    "GStreamer, `matroskamux`": (gst("matroskamux", "take.mkv"), "take.mkv"),
    "GStreamer, `mp4mux`": (gst("mp4mux", "take.mp4"), "take.mp4"),
    "GStreamer, `qtmux` with `reserved-moov-update-period`": (
        gst("qtmux reserved-max-duration=3600000000000 reserved-moov-update-period=1000000000", "take.mov"), "take.mov"),
    "GStreamer, `mpegtsmux`": (gst("mpegtsmux", "take.ts"), "take.ts"),
    "tcpdump -w": ("tcpdump -q -Z root -i lo -w take.pcap udp port 40999", "take.pcap"),
}


VARYING = ("GStreamer, `matroskamux`", "GStreamer, `qtmux` with `reserved-moov-update-period`")


class Place:
    """A receiver and a mount in a folder of their own."""

    def __enter__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="reelfs-recorders-"))
        self.mount = self.folder / "mnt"
        self.mount.mkdir()
        self.environment = dict(os.environ, XDG_CONFIG_HOME=str(self.folder), HOME=str(self.folder))
        said = open(self.folder / "receiver", "w")
        self.receiver = subprocess.Popen(
            [REELFS, "receive", "--listen", "127.0.0.1:0", "--data", str(self.folder / "data")], stdout=said, stderr=said)
        address = self.wait(lambda: re.search(r"http://[0-9.:]+", (self.folder / "receiver").read_text()))[0]
        self.mounted = subprocess.Popen(
            [REELFS, "mount", address, str(self.mount), "--state-dir", str(self.folder / "state"), "--settle", "1"],
            env=self.environment, stdout=open(self.folder / "mount", "w"), stderr=subprocess.STDOUT)
        self.wait(lambda: "recording folder" in (self.folder / "mount").read_text())
        return self

    def wait(self, condition, seconds=60):
        end = time.monotonic() + seconds
        while not (result := condition()):
            if time.monotonic() > end:
                raise SystemExit(f"nothing happened in {seconds} s: {(self.folder / 'mount').read_text()}")
            time.sleep(0.05)
        return result

    def attribute(self, name, file):
        return os.getxattr(self.mount / file, f"user.sync.{name}").decode()

    def uploads(self, file):
        """How often each chunk was sent."""
        session = self.attribute("session", file)
        counts = collections.Counter()
        for line in (self.mount / ".status/events.jsonl").read_text().splitlines():
            event = json.loads(line)
            if event["type"] == "CHUNK_UPLOADED" and event["sessionId"] == session:
                counts[event["chunkId"]] += 1
        return counts

    def __exit__(self, *_):
        for process in (self.mounted, self.receiver):
            process.send_signal(signal.SIGTERM)
            process.wait(30)
        subprocess.run(["umount", "-l", str(self.mount)], stderr=subprocess.DEVNULL)
        if f" {self.mount} " not in pathlib.Path("/proc/self/mountinfo").read_text():
            shutil.rmtree(self.folder)


def start(place, command, seconds):
    noise = place.folder / "noise"
    feeder = None
    if "{noise}" in command:
        # In real time through a pipe, as from a microphone.
        os.mkfifo(noise)
        feeder = subprocess.Popen([
            "sh", "-c", f"exec ffmpeg -nostdin -loglevel error -re -f lavfi -i anoisesrc=sample_rate=192000 -ac 2 -f s16le -t {seconds} -y {noise}"],
            stderr=subprocess.DEVNULL)
    if command.startswith("tcpdump"):
        feeder = subprocess.Popen([sys.executable, "-c", SENDER, str(seconds)])
    text = command.format(seconds=seconds, noise=noise)
    recorder = subprocess.Popen(["sh", "-c", "exec " + text], cwd=place.mount, env=place.environment, stderr=subprocess.DEVNULL)
    return recorder, feeder


SENDER = """
import os, socket, sys, time
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
end = time.monotonic() + float(sys.argv[1]) + 2
while time.monotonic() < end:
    for _ in range(8):
        out.sendto(os.urandom(1200), ("127.0.0.1", 40999))
    time.sleep(0.01)
"""


def finish(recorder, feeder, file, place):
    """Ends a recorder as a person does, and waits until the recording is synced."""
    if recorder.args[2].split()[1] in ("gst-launch-1.0", "tcpdump"):
        time.sleep(SECONDS)
        recorder.send_signal(signal.SIGINT)
    recorder.wait(90)
    if feeder:
        feeder.terminate()
        feeder.wait()
    place.wait(lambda: place.attribute("status", file) == "synced", 90)


def playable(path):
    """Whether most of it can be read by a program that was not told anything."""
    if path.suffix == ".pcap":
        words = subprocess.run(["tcpdump", "-q", "-n", "-r", str(path)], capture_output=True, text=True)
        return "yes" if words.stdout.count("\n") > 100 else "no"
    run = subprocess.run(["ffprobe", "-v", "error", "-count_packets", "-show_entries", "stream=codec_type,nb_read_packets",
                          "-of", "json", str(path)], capture_output=True, text=True)
    streams = json.loads(run.stdout or "{}").get("streams", [])
    return "yes" if any(int(s.get("nb_read_packets", 0)) > 20 for s in streams) else "no"


def sent_again(counts):
    again = {chunk: count - 1 for chunk, count in sorted(counts.items()) if count > 1}
    if not again:
        return "none"
    chunks = list(again)
    if len(chunks) > 2 and chunks == list(range(chunks[0], chunks[-1] + 1)):
        return f"chunks {chunks[0]} to {chunks[-1]} of {len(counts)}"
    return ", ".join(f"chunk {chunk}" + (f" ({again[chunk]} times more)" if again[chunk] > 1 else "") for chunk in chunks)


def measure(name):
    command, file = RECORDERS[name]
    with Place() as place:
        recorder, feeder = start(place, command, SECONDS)
        finish(recorder, feeder, file, place)
        counts = place.uploads(file)
        size = int(place.attribute("bytes_written", file))
        again = sent_again(counts)
        extra = sum(count - 1 for count in counts.values())
    with Place() as place:
        recorder, feeder = start(place, command, SECONDS)
        time.sleep(SECONDS * 0.7)
        recorder.kill()
        recorder.wait()
        if feeder:
            feeder.terminate()
            feeder.wait()
        place.wait(lambda: place.attribute("status", file) == "synced", 90)
        # As the receiver has it, not as the mount does.
        copy = next(path for path in (place.folder / "data" / "recordings").rglob(file))
        rest = playable(copy)
    return {"recorder": name, "chunks": len(counts), "mib": round(size / (1 << 20), 1), "again": again, "extra": extra, "playable": rest}


def row(result):
    return f"| {result['recorder']} | {result['again']} | {result['playable']} |"


def is_in(document, name, result):
    """How often some go back depends on the clock: of these only what is playable is compared."""
    if name not in VARYING:
        return row(result) in document
    return any(line.startswith(f"| {name} |") and line.endswith(f"| {result['playable']} |") for line in document.splitlines())


def main():
    check = pathlib.Path(sys.argv[2]).read_text() if sys.argv[1:2] == ["--check"] else None
    wanted = sys.argv[1:] if check is None else []
    missing, wrong = [], []
    print("| recorder | sent more than once | playable when it was killed |\n|---|---|---|")
    for name in RECORDERS:
        if wanted and not any(word in name for word in wanted):
            continue
        if not shutil.which(RECORDERS[name][0].split()[0]):
            missing.append(name)
            continue
        try:
            result = measure(name)
        except (OSError, StopIteration) as error:
            wrong.append(f"{name}: {error!r}")
            continue
        print(row(result), flush=True)
        print(f"    {result['chunks']} chunks, {result['mib']} MiB, {result['extra']} sent again", file=sys.stderr)
        if check is not None and not is_in(check, name, result):
            wrong.append(row(result))
    if missing:
        print("not installed: " + "; ".join(missing), file=sys.stderr)
    if wrong:
        print("wrong, or not in the document:\n" + "\n".join(wrong), file=sys.stderr)
    sys.exit(1 if wrong else 0)


main()
