import Foundation
import TestSupport
import Testing

/// What a person or the time of day makes of uploading.
@Suite("Steering", .enabled(if: Machine.canMount, "needs /dev/fuse and reelfs"))
struct SteeringTests {
  /// Waits until the round that a start is has ended.
  private func waitForEndOfRound(_ world: World) throws {
    try eventually("the mount is between rounds") { try world.summary("next_round_at") != nil }
  }

  @Test("with --sync-every nothing is sent between rounds, and flush --wait sends it now")
  func rounds() async throws {
    try await withMount("--sync-every", "1h") { world in
      try waitForEndOfRound(world)
      try world.shell("head -c 3000000 /dev/urandom > $MNT/take.wav")
      // Sealed, finished, and old enough to have been sent long ago.
      try eventually("it waits") { Double(world.attribute("lag_seconds", of: "take.wav") ?? "") ?? 0 > 1.5 }
      #expect(world.number("bytes_synced", of: "take.wav") == 0)
      #expect(try !world.events().contains { $0.type == "CHUNK_UPLOADED" })
      #expect(try world.summary("sync_every_seconds") == "3600")

      let (code, output) = try world.reelfs("flush", world.mountpoint, "--wait", "--timeout", "20")

      #expect(code == 0, "\(output)")
      #expect(try world.isIdentical("take.wav"))
    }
  }

  @Test("unmount --wait does not wait for a round, also when a recording is closed meanwhile")
  func unmountWait() async throws {
    try await withMount("--sync-every", "1h") { world in
      try waitForEndOfRound(world)
      try world.shell("mkfifo $DIR/pipe")
      let recorder = try world.start(["/bin/sh", "-c", "(head -c 1500000 /dev/urandom; read go < $DIR/pipe) > $MNT/take.wav"])
      try world.shell("until [ -s $MNT/take.wav ]; do :; done")
      let unmount = try world.start([Machine.reelfs, "unmount", world.mountpoint, "--wait", "--timeout", "30"])
      try eventually("all but the end of it is there") { world.number("bytes_synced", of: "take.wav") >= 1 << 20 }
      try waitForEndOfRound(world)
      try world.shell("echo > $DIR/pipe")

      #expect(try recorder.wait() == 0)
      #expect(try unmount.wait(seconds: 30) == 0, "\(unmount.said)")
    }
  }

  @Test("a spool that fills up between rounds begins one, and the writer sees no error")
  func fullSpool() async throws {
    try await withMount("--sync-every", "1h", "--spool-quota", "16M") { world in
      try waitForEndOfRound(world)
      try world.shell("for i in 1 2 3 4; do head -c 9000000 /dev/urandom > $MNT/$i.wav || exit 1; done")
      try world.shell("\(Machine.reelfs) flush $MNT --wait --timeout 20")
    }
  }

  @Test("a schedule sets the limit, and a limit by hand holds until the next window")
  func schedule() async throws {
    try await withMount("--limit-schedule", "00:00,1M Sun-12:00,2M") { world in
      // Set before the first turn of the uploader, and told after it.
      try eventually("the limit is there") { ["1048576", "2097152"].contains(try world.summary("limit")) }
      #expect(try world.summary("limit_until") != nil)

      try world.shell("\(Machine.reelfs) limit 5M $MNT")
      try eventually("the limit is there") { try world.summary("limit") == "5242880" }
      // The schedule has been looked at twice by then.
      let until = ContinuousClock.now + .seconds(5)
      try eventually("time has passed") { ContinuousClock.now > until }
      #expect(try world.summary("limit") == "5242880")
    }
  }

  @Test("a limit by hand outlives the worker, and ends with the mount")
  func limitOfKilledWorker() async throws {
    try await withMount("--limit", "9M") { world in
      try world.shell("\(Machine.reelfs) limit 5M $MNT")
      try eventually("the limit is there") { try world.summary("limit") == "5242880" }
      let worker = try #require(world.mount?.descendants.first)
      kill(worker, SIGKILL)
      try eventually("another worker serves") {
        try String(world.shell("cat $MNT/.status/metrics")).contains("reelfs_worker_starts_total 2")
      }
      try eventually("the limit is there again") { try world.summary("limit") == "5242880" }

      #expect(try world.endMount() == 0)
      try world.startMount(["--limit", "9M"], to: world.receiverURL)
      try eventually("the mount's own limit holds") { try world.summary("limit") == "9437184" }
    }
  }

  @Test("a pause outlives the mount, and a resume right after the new start ends it")
  func resumeAtStart() async throws {
    try await withMount { world in
      // So many that looking through the spool takes a while.
      try world.shell("echo pause >$MNT/.status/control; cd $MNT; seq 4000 | xargs touch; echo 1 >take")
      #expect(try world.endMount() == 0)
      try world.startMount(to: world.receiverURL)
      try eventually("the spool was looked through") { world.mount?.said.contains("recordings in the spool") == true }
      try world.wait(for: "paused", of: "take")

      #expect(try world.endMount() == 0)
      try world.startMount(to: world.receiverURL)
      try world.shell("echo resume >$MNT/.status/control")
      try world.waitUntilSynced("take")
    }
  }

  /// A `busctl` of our own, that answers what stands in a file.
  private func fakeBus(_ world: World) throws -> [String: String] {
    try world.shell(
      """
      mkdir $DIR/bin; echo 'u 1' > $DIR/answer
      printf '#!/bin/sh\\nexec cat %s/answer\\n' $DIR > $DIR/bin/busctl; chmod +x $DIR/bin/busctl
      """)
    return ["PATH": world.folder + "/bin:/usr/bin:/bin"]
  }

  @Test("on a metered connection nothing is sent, with the reason in status; resume sends all the same")
  func metered() async throws {
    try await withWorld { world in
      try world.startReceiver()
      try world.startMount(["--pause-on-metered"], to: world.receiverURL, environment: try fakeBus(world))
      try eventually("it is known") { try world.summary("metered") == "1" }
      try world.shell("head -c 1500000 /dev/urandom > $MNT/take.wav")
      try world.wait(for: "paused", of: "take.wav")
      #expect(world.attribute("error", of: "take.wav") == "the connection is metered")

      try world.shell("\(Machine.reelfs) resume $MNT")

      try world.waitUntilSynced("take.wav")
    }
  }

  @Test("without a NetworkManager --pause-on-metered says so once, and uploads")
  func noNetworkManager() async throws {
    try await withWorld { world in
      try world.startReceiver()
      let environment = try fakeBus(world)
      try world.shell("rm $DIR/answer")
      try world.startMount(["--pause-on-metered"], to: world.receiverURL, environment: environment)
      try world.shell("head -c 1500000 /dev/urandom > $MNT/take.wav")
      try world.waitUntilSynced("take.wav")
      try eventually("it is said") { world.mount?.said.contains("NetworkManager does not answer") == true }
    }
  }
}

extension World {
  /// A line of `.status/summary`; nil if it is not there.
  func summary(_ name: String) throws -> String? {
    let text = String(decoding: try Files.read(statusPath("summary")), as: UTF8.self)
    return text.split(separator: "\n").first { $0.hasPrefix(name + ": ") }.map { String($0.dropFirst(name.count + 2)) }
  }
}
