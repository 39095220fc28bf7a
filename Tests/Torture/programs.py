"""Recorders that are programs: each take is recorded a second time outside the mount, by a deterministic command."""
import filecmp, os, random, shutil, subprocess
from recorder import Recorder
from world import Failure

MIB = 1 << 20
# Headers that a muxer patches when it ends lie in the first bytes; behind them a take that was cut is a whole take's start.
HEAD = 4096
FORMATS = {
    "mkv": ["-f", "matroska"], "wav": ["-vn", "-f", "wav"], "mp4": ["-an", "-f", "mp4"],
    "fragments.mp4": ["-an", "-f", "mp4", "-movflags", "+frag_keyframe+empty_moov"],
}


def make_source(folder):
    """Some seconds of noise that no muxer has to encode again: recording costs disk, not CPU."""
    path = os.path.join(folder, "source.mkv")
    subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=320x240:rate=25,noise=alls=40:allf=t", "-f", "lavfi",
         "-i", "anoisesrc=r=48000:seed=1", "-t", "12", "-c:v", "mjpeg", "-q:v", "2", "-c:a", "pcm_s16le", "-ac", "2", path],
        check=True)
    return path


class Film(Recorder):
    """ffmpeg, one take after the other, in one format."""

    def __init__(self, world, name, seed, source):
        super().__init__(world, name, seed)
        self.format, self.source, self.takes, self.recording, self.whole, self.cut = name, source, 0, None, [], []

    def words(self, target, paced):
        rate = ["-readrate", str(self.rate)] if paced else []
        return ["ffmpeg", "-nostdin", "-v", "error", *rate, "-i", self.source, "-t", str(self.seconds), "-c", "copy",
                "-fflags", "+bitexact", "-flags", "+bitexact", "-metadata", f"title={self.recording}",
                *FORMATS[self.format], "-y", target]

    def step(self):
        self.takes += 1
        self.seconds, self.rate = self.random.randrange(1, 7), self.random.choice((0.25, 0.5, 1))
        self.recording, self.seen = f"film-{self.takes}.{self.format}", 0
        reference = self.world.shadow(self.recording)
        subprocess.run(self.words(reference, False), check=True)
        with self.world.room.reserved(os.path.getsize(reference) + MIB) as has_room:
            if has_room:
                self._record(reference)
        self.recording = None

    def _record(self, reference):
        self.program(self.words(self.world.path(self.recording), True), self._watch)
        self.whole.append(self.recording)
        self.bytes += os.path.getsize(reference)

    def _watch(self):
        """What the spool has been seen to have must still be there after the mount's death."""
        spooled = os.path.join(self.world.state, "recordings", self.recording)
        if os.path.exists(spooled):
            self.seen = max(self.seen, os.stat(spooled).st_size)

    def after_death(self):
        if self.recording is None:
            return
        path = self.world.path(self.recording)
        if not os.path.exists(path):
            if self.seen:
                raise Failure(f"{self.recording} is gone after the death of the mount; it had {self.seen} bytes")
            self.recording = None
            return
        self._keep_what_is_there(path)
        self.cut.append(self.recording)
        self.recording = None

    def _keep_what_is_there(self, path):
        """A take that was cut must have what was seen of it, and must be the start of the take. Then it is the truth."""
        reference = self.world.shadow(self.recording)
        now = self.call("read", lambda: open(path, "rb").read(), fetches=True)
        whole = open(reference, "rb").read()
        if not self.seen <= len(now) <= len(whole):
            raise Failure(f"{self.recording} has {len(now)} bytes after the death of the mount, {self.seen} were seen")
        if now[HEAD:] != whole[HEAD:len(now)]:
            raise Failure(f"{self.recording} is not the start of {reference} after the death of the mount")
        open(reference, "wb").write(now)

    def verify(self, copies):
        for name in self.whole + self.cut:
            copies.same(name, self.world.shadow(name))


class Robust(Film):
    """GStreamer's robust muxing: qtmux, which rewrites its index in place again and again."""

    def __init__(self, world, name, seed):
        super().__init__(world, name, seed, None)

    @staticmethod
    def is_possible():
        return shutil.which("gst-launch-1.0") is not None and subprocess.run(
            ["gst-inspect-1.0", "qtmux"], capture_output=True).returncode == 0

    def step(self):
        self.takes += 1
        self.recording, self.seen = f"robust-{self.takes}.mov", 0
        with self.world.room.reserved(8 * MIB) as has_room:
            if has_room:
                self._record(None)
        self.recording = None

    def _record(self, _):
        """One pipeline, two files: what the muxer says reaches both."""
        target, shadow = self.world.path(self.recording), self.world.shadow(self.recording)
        self.program(
            ["gst-launch-1.0", "-q", "videotestsrc", "is-live=true", f"num-buffers={self.random.randrange(50, 200)}",
             "!", "video/x-raw,width=320,height=240,framerate=25/1", "!", "jpegenc", "!", "qtmux",
             "reserved-max-duration=60000000000", "reserved-moov-update-period=1000000000", "!", "tee", "name=t",
             "t.", "!", "queue", "!", "filesink", "buffer-mode=unbuffered", f"location={shadow}",
             "t.", "!", "queue", "!", "filesink", "buffer-mode=unbuffered", f"location={target}"],
            self._watch)
        self.whole.append(self.recording)
        self.bytes += os.path.getsize(shadow)

    def _keep_what_is_there(self, path):
        """Two files of one pipeline stop at different places; as far as both go, the frames must be the same.

        The index before them is rewritten all the time: after a cut its last state is chance.
        """
        shadow = self.world.shadow(self.recording)
        now = self.call("read", lambda: open(path, "rb").read(), fetches=True)
        with open(shadow, "rb") as file:
            whole = file.read()
        frames = whole.find(b"mdat") + 12  # Behind the name a size of eight bytes, which is rewritten too.
        end = min(len(now), len(whole))
        if len(now) < self.seen or now[frames:end] != whole[frames:end]:
            raise Failure(f"{self.recording} has other frames than {shadow} after the death of the mount")
        with open(shadow, "wb") as file:
            file.write(now)


class Tree(Recorder):
    """rsync of a tree that changes between the rounds."""

    def __init__(self, world, name, seed):
        super().__init__(world, name, seed)
        self.source, self.names = os.path.join(world.folder, "tree"), []
        for number in range(30):
            self._change(f"{number % 5}/{number % 3}/file{number}")

    def _change(self, name):
        path = os.path.join(self.source, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        data = self.random.randbytes(self.random.choice((10, 5_000, 70_000, 200_000)))
        # Never of the same size twice: rsync looks at size and time, and times have seconds.
        with open(path, "ab" if os.path.exists(path) and os.path.getsize(path) < MIB else "wb") as file:
            file.write(data)
        self.bytes += len(data)
        if name not in self.names:
            self.names.append(name)

    def step(self):
        with self.world.room.reserved(4 * MIB) as has_room:
            if has_room:
                self._round()
        self.nap(self.random.random() * 3)

    def _round(self):
        for name in self.random.sample(self.names, 3):
            self._change(name)
        if self.random.random() < 0.3:
            gone = self.names.pop(self.random.randrange(len(self.names)))
            os.unlink(os.path.join(self.source, gone))
            self._change(f"new/{self.random.randrange(1000)}")
        self._copy()

    def _copy(self):
        self.program(["rsync", "-aW", "--delete", self.source + "/", self.world.path("tree/")])

    def finish(self):
        self._copy()

    def verify(self, copies):
        mounted = self.world.path("tree")
        for folder, _, names in os.walk(mounted):
            for name in names:
                relative = os.path.relpath(os.path.join(folder, name), mounted)
                if relative not in self.names:
                    raise Failure(f"tree/{relative} is in the mount and not in the source")
        for name in self.names:
            copies.same(f"tree/{name}", os.path.join(self.source, name))
            if not filecmp.cmp(os.path.join(mounted, name), os.path.join(self.source, name)):
                raise Failure(f"tree/{name}: size or time differ from the source")
