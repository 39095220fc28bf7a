import CLinux
import Glibc
import TestSupport
import Testing

/// SIGKILL of the worker at random moments under programs that know nothing of it. `make torture` is the long form.
@Suite("Killed workers", .enabled(if: Machine.canMount, "needs /dev/fuse and reelfs"))
struct KilledWorkerTests {
  @Test("ffmpeg records on, byte for byte", .enabled(if: Machine.has("ffmpeg"), "ffmpeg is not installed"),
    arguments: ["mp4", "mkv", "wav"])
  func ffmpeg(format: String) async throws {
    // Muxed twice from one source: what lies outside is the truth. Paced, so that kills meet it at work.
    let words =
      format == "wav"
      ? "-f lavfi -i anoisesrc=r=96000:seed=1 -t 4 -ac 2 -c:a pcm_s32le"
      : "-f lavfi -i testsrc=size=320x240:rate=25,noise=alls=40:allf=t -t 4 -c:v mjpeg -q:v 2"
    try await withMount { world in
      try killing(
        in: world,
        """
        ffmpeg -v error -y -nostdin \(words) -flags +bitexact -fflags +bitexact $DIR/truth.\(format) &&
        ffmpeg -v error -nostdin -re -i $DIR/truth.\(format) -c copy -flags +bitexact -fflags +bitexact $MNT/take.\(format) &&
        ffmpeg -v error -nostdin -i $DIR/truth.\(format) -c copy -flags +bitexact -fflags +bitexact $DIR/again.\(format) &&
        cmp $DIR/again.\(format) $MNT/take.\(format)
        """)
      try world.waitUntilSynced("take.\(format)")
      #expect(try world.isIdentical("take.\(format)"))
    }
  }

  @Test("sqlite commits on: each row is there once, and the database is whole",
    .enabled(if: Machine.has("python3"), "python3 is not installed"), arguments: ["WAL", "DELETE"])
  func sqlite(mode: String) async throws {
    try await withMount { world in
      try killing(
        in: world,
        """
        python3 - <<'END'
        import os, sqlite3, time
        database = sqlite3.connect(os.environ["MNT"] + "/rows.sqlite", isolation_level=None, timeout=30)
        database.execute("PRAGMA journal_mode=\(mode)")
        database.execute("CREATE TABLE rows (number INTEGER PRIMARY KEY, payload BLOB)")
        end, count = time.monotonic() + 4, 0
        while time.monotonic() < end:
            count += 1
            database.execute("INSERT INTO rows VALUES (?, randomblob(2000))", (count,))
        database.close()
        database = sqlite3.connect(os.environ["MNT"] + "/rows.sqlite")
        assert database.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        assert database.execute("SELECT count(*), max(number) FROM rows").fetchone() == (count, count)
        database.close()
        END
        """)
      try world.waitUntilSynced("rows.sqlite")
      #expect(try world.isIdentical("rows.sqlite"))
    }
  }

  @Test("rsync copies a tree as if nothing were", .enabled(if: Machine.has("rsync"), "rsync is not installed"))
  func rsync() async throws {
    try await withMount { world in
      try killing(
        in: world,
        """
        mkdir -p $DIR/tree/a/b $DIR/tree/c &&
        for n in $(seq 60); do head -c $((n * 3000)) /dev/urandom >$DIR/tree/a/$n && ln -s ../a/$n $DIR/tree/c/$n; done &&
        cp -a $DIR/tree/a/1 $DIR/tree/a/b &&
        for round in 1 2 3; do
          rsync -aW --delete --bwlimit=3000 $DIR/tree/ $MNT/tree && rm $DIR/tree/a/$round && echo $round >>$DIR/tree/a/60 || exit 1
        done
        rsync -aW --delete $DIR/tree/ $MNT/tree && diff -r --no-dereference $DIR/tree $MNT/tree
        """)
      try world.waitUntilSynced("tree/a/60")
      #expect(try world.isIdentical("tree/a/60"))
    }
  }

  @Test("names, attributes and sizes change on: nothing fails, and nothing happens twice",
    .enabled(if: Machine.has("python3"), "python3 is not installed"))
  func names() async throws {
    try await withMount { world in
      try killing(
        in: world,
        """
        python3 - <<'END'
        import os, time
        os.chdir(os.environ["MNT"])
        end, count = time.monotonic() + 4, 0
        while time.monotonic() < end:
            count += 1
            os.mkdir(f"d{count}")
            with open(f"d{count}/part", "xb", buffering=0) as file: file.write(b"x" * 5000)
            os.setxattr(f"d{count}/part", "user.take", b"%d" % count)
            os.rename(f"d{count}/part", f"d{count}/take")
            os.link(f"d{count}/take", f"d{count}/again")
            os.truncate(f"d{count}/take", 3000)
            with open(f"d{count}/again", "ab", buffering=0) as file: file.write(b"y" * 7)
            os.unlink(f"d{count}/take")
            assert os.listdir(f"d{count}") == ["again"]
            assert open(f"d{count}/again", "rb").read() == b"x" * 3000 + b"y" * 7
            assert os.getxattr(f"d{count}/again", "user.take") == b"%d" % count
            os.rename(f"d{count}/again", f"kept{count % 5}")
            os.rmdir(f"d{count}")
        assert not [name for name in os.listdir() if name.startswith("d")]
        END
        """)
      try world.waitUntilSynced("kept1")
      #expect(try world.isIdentical("kept1"))
    }
  }

  @Test("a worker that has just started promises no room that is taken")
  func room() async throws {
    try await withWorld { world in
      try world.startReceiver()
      try world.stopReceiver()
      try world.startMount(["--spool-quota", "16MiB"], to: world.receiverURL)
      try Files.write(world.path("take"), noise(12 * mebibyte))
      for _ in 0..<10 {
        try eventually("there is a worker") { world.mount?.descendants.isEmpty == false }
        if let worker = world.mount?.descendants.first { kill(worker, SIGKILL) }
        var space = statvfs()
        #expect(statvfs(world.mountpoint, &space) == 0)
        #expect(space.f_bavail * space.f_frsize <= 4 * UInt(mebibyte))
      }
    }
  }

  /// Runs a script to its end while the worker is killed at moments drawn from a seed, which is printed.
  private func killing(in world: World, _ script: String) throws {
    let seed = UInt64.random(in: 0..<1_000_000)
    var moments = Moments(state: seed)
    let child = try world.start(["/bin/sh", "-c", script])
    var kills = 0
    while child.exitCode == nil {
      // The moment is what is tested: any will do.
      usleep(.random(in: 20_000...400_000, using: &moments))
      // Killed while it starts, each time, it would rightly be given up: so after it has answered once.
      var space = statvfs()
      guard statvfs(world.mountpoint, &space) == 0, let worker = world.mount?.descendants.first else { continue }
      kill(worker, SIGKILL)
      kills += 1
    }
    print("seed \(seed): \(kills) kills")
    #expect(child.exitCode == 0, "seed \(seed): \(child.said); the mount said \(world.mount?.said ?? "")")
    #expect(kills > 3, "seed \(seed)")
  }
}

/// SplitMix64, so that a seed names a sequence of moments.
private struct Moments: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var word = (state ^ state >> 30) &* 0xBF58_476D_1CE4_E5B9
    word = (word ^ word >> 27) &* 0x94D0_49BB_1331_11EB
    return word ^ word >> 31
  }
}
