import CLinux
import Glibc
import TestSupport
import Testing

/// Real recorders, and what each of them does that a copy does not.
@Suite("Real recorders", .enabled(if: Machine.canMount, "needs /dev/fuse and reelfs"))
struct RecorderTests {
  private static let hasFFmpeg = Machine.has("ffmpeg")
  private static let picture = "-f lavfi -i testsrc=size=320x240:rate=25"
  private static let tone = "-f lavfi -i sine=frequency=440"

  @Test(
    "what ffmpeg records arrives byte for byte", .enabled(if: hasFFmpeg, "ffmpeg is not installed"),
    arguments: [
      ("take.mp4", "-c:v mpeg4"),
      ("faststart.mp4", "-c:v mpeg4 -movflags +faststart"),
      ("fragments.mp4", "-c:v mpeg4 -movflags +frag_keyframe+empty_moov -g 25"),
      ("take.mkv", "-c:v mpeg4"),
      ("take.ts", "-c:v mpeg2video"),
    ])
  func ffmpegFilms(name: String, options: String) async throws {
    try await withMount { world in
      try world.shell(
        "ffmpeg -v error \(Self.picture) \(Self.tone) -t 3 \(options) -b:v 8M -c:a aac \"$MNT/\(name)\"")

      try world.waitUntilSynced("\(name)")
      #expect(try world.isIdentical("\(name)"))
    }
  }

  @Test("the sizes that a WAV recorder writes at its end cost one chunk", .enabled(if: hasFFmpeg, "ffmpeg is not installed"))
  func wavHeader() async throws {
    try await withMount { world in
      // 96 kHz, four bytes, two channels: 15 s are 11 MiB; paced, so that the first chunk has left when the end comes.
      try world.shell("ffmpeg -v error -readrate 4 \(Self.tone) -t 15 -ar 96000 -ac 2 -c:a pcm_s32le \"$MNT/take.wav\"")
      try world.waitUntilSynced("take.wav")

      try world.waitUntilTold("SESSION_UPLOAD_COMPLETE")
      let uploads = try world.uploads(of: "take.wav")
      #expect(try world.isIdentical("take.wav"))
      #expect(uploads.count == world.number("chunks_total", of: "take.wav"))
      #expect(uploads[0, default: 0] <= 2)
      #expect(uploads.filter { $0.key != 0 }.values.allSatisfy { $0 <= 2 }, "\(uploads)")
      #expect(uploads.values.reduce(0, +) <= uploads.count + 2, "\(uploads)")
    }
  }

  @Test("the index that an MP4 recorder writes at its end costs its chunks", .enabled(if: hasFFmpeg, "ffmpeg is not installed"))
  func mp4Index() async throws {
    try await withMount { world in
      try world.shell(
        "ffmpeg -v error -readrate 3 -f lavfi -i testsrc=size=640x480:rate=25 -t 9 -c:v mjpeg -q:v 1 -f mp4 "
          + "-vf noise=alls=40:allf=t \"$MNT/take.mp4\"")
      try world.waitUntilSynced("take.mp4")

      try world.waitUntilTold("SESSION_UPLOAD_COMPLETE")
      let uploads = try world.uploads(of: "take.mp4")
      #expect(uploads.count >= 8)
      #expect(try world.isIdentical("take.mp4"))
      #expect(uploads.values.reduce(0, +) <= uploads.count + 3, "\(uploads)")
    }
  }

  @Test("what sox records arrives byte for byte", .enabled(if: Machine.has("sox"), "sox is not installed"),
    arguments: ["tone.wav", "tone.flac"])
  func sox(name: String) async throws {
    try await withMount { world in
      try world.shell("sox -q -n -r 48000 -c 2 \"$MNT/\(name)\" synth 12 whitenoise gain -3")

      try world.waitUntilSynced("\(name)")
      #expect(try world.isIdentical("\(name)"))
    }
  }

  @Test(
    "a ring of captures that overwrites its oldest file arrives as it is at the end",
    .enabled(if: Machine.has("tcpdump", "python3") && Machine.isRoot, "tcpdump, python3 or the rights for it are missing"))
  func tcpdumpRing() async throws {
    try await withMount { world in
      let capture = try world.start([
        "tcpdump", "-Z", "root", "-i", "lo", "-U", "-C", "1", "-W", "3", "-w", world.mountpoint + "/ring", "udp port 9",
      ])
      defer { capture.killAll() }
      try eventually("tcpdump listens") { capture.said.contains("listening on") }
      // Five times 1 MB: the first two files are written anew.
      try world.shell(
        """
        python3 -c '
        import socket, time
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for i in range(1000):
            s.sendto(bytes(5000), ("127.0.0.1", 9))
            time.sleep(0.001)'
        """)
      try eventually("the ring has come round") { Files.exists(world.path("ring0")) && Files.exists(world.path("ring2")) }
      capture.send(SIGINT)
      _ = try capture.wait()

      for name: Path in ["ring0", "ring1", "ring2"] {
        try world.waitUntilSynced(name)
        #expect(try world.isIdentical(name))
      }
    }
  }

  @Test(
    "998 header patches do not upload the first chunk hundreds of times",
    .enabled(if: Machine.has("python3"), "python3 is not installed"))
  func pythonWave() async throws {
    try await withMount { world in
      // `writeframes` patches the header after each block, unlike `writeframesraw`.
      try world.shell(
        """
        python3 -c '
        import os, wave
        with wave.open(os.environ["MNT"] + "/take.wav", "wb") as w:
            w.setnchannels(2); w.setsampwidth(2); w.setframerate(48000)
            for i in range(998): w.writeframes(os.urandom(4800))'
        """)
      try world.waitUntilSynced("take.wav")

      try world.waitUntilTold("SESSION_UPLOAD_COMPLETE")
      let uploads = try world.uploads(of: "take.wav")
      #expect(try world.isIdentical("take.wav"))
      #expect(uploads[0, default: 0] <= 4, "\(uploads)")
    }
  }
}
