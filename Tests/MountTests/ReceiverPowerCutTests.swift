import CLinux
import Foundation
import Glibc
import TestSupport
import Testing

/// The receiver's machine is switched off: whatever it gave a receipt for is still there.
@Suite(
  "Power cuts of the receiver", .enabled(if: Machine.canMount, "needs /dev/fuse and reelfs"),
  .enabled(if: LoopDisk.isAvailable, "needs root, loop devices and mkfs.ext4"))
struct ReceiverPowerCutTests {
  /// Bytes that the client's journal calls stored, of a recording.
  private func stored(_ world: World, _ name: Path) -> Int { max(0, world.number("synced_through", of: name)) }

  @Test("what a receipt was given for survives a power cut of the receiver", arguments: 0..<3)
  func receipts(seed: Int) async throws {
    try await withWorld { world in
      let disk = try LoopDisk("data", in: world, mebibytes: 160)
      try world.startReceiver()
      try world.startMount(["--limit", "12M"], to: world.receiverURL)
      let bytes = noise(12 * mebibyte + 99, seed: UInt64(seed) + 40)
      let file = try OpenFile(world.path("take"), O_RDWR | O_CREAT)
      try file.write(bytes)
      try Files.write(world.path("small"), noise(700))
      // An older version of a chunk that is there already, and a recording that was whole.
      try eventually("some is stored") { stored(world, "take") >= (1 + 2 * seed) * mebibyte }
      try file.write([1, 2, 3], at: 5)
      usleep(UInt32(noise(8, seed: UInt64(seed))[0]) * 2_000)
      // Before the cut: see `PowerCutTests.randomMoments`.
      let through = stored(world, "take")
      try disk.cutPower()
      try world.stopReceiver(SIGKILL)
      // Receipts that were under way are in the journal by now, or will never come.
      try world.wait(for: "paused", of: "take")
      let expected = try Files.read(world.path("take"))
      try disk.powerUp()

      let (code, report) = try world.reelfs("receive", "--verify", "--data", world.data)
      #expect(code == 0, "\(report)")
      let session = try #require(world.attribute("session", of: "take"))
      try world.startReceiver()
      for index in 0..<through / mebibyte {
        // The first chunk has a version that may still be on its way.
        if index == 0 { continue }
        let chunk = try world.shell("curl -sf \(world.receiverURL)/upload/sessions/\(session)/chunks/\(index) | sha256sum")
        let start = index * mebibyte
        try Files.write(Path(world.folder + "/expected"), Array(expected[start..<start + mebibyte]))
        #expect(try chunk == world.shell("sha256sum <$DIR/expected"), "chunk \(index) of \(through / mebibyte)")
      }
      try file.close()
      try world.waitUntilSynced("take", "small")
      #expect(try world.isIdentical("take"))
      #expect(try world.isIdentical("small"))
      try world.endMount()
      try world.stopReceiver()
      #expect(try world.reelfs("receive", "--verify", "--data", world.data).code == 0)
      // Nothing of the interruption is left.
      let left = try world.shell("find $DIR/data -name '*.part*' -o -name temp -o -name '*.new*'")
      #expect(left == "", "\(left)")
    }
  }

  @Test("the catalog's log is synced before a receipt is given", .enabled(if: Machine.has("strace"), "strace is not installed"))
  func syncedBeforeReceipt() async throws {
    try await withWorld { world in
      let calls = world.folder + "/calls"
      let receiver = try world.start([
        "strace", "-f", "-y", "-e", "trace=fdatasync,fsync", "-o", calls,
        Machine.reelfs, "receive", "--listen", "127.0.0.1:0", "--data", world.data,
      ])
      try eventually("it listens") { receiver.said.contains("receiving on") }
      let url = try #require(receiver.said.firstMatch(of: /http:\/\/127\.0\.0\.1:\d+/)).0
      func syncs() throws -> Int {
        try Files.text(Path(calls)).split(separator: "\n").count { $0.contains("receiver.sqlite-wal>") }
      }
      try world.startMount(to: String(url))
      for number in 1...3 {
        let before = try syncs()
        try Files.write(world.path("take\(number)"), noise(2 * mebibyte, seed: UInt64(number)))
        try world.waitUntilSynced("take\(number)")
        // What strace notes of a call it has written before the call returns.
        #expect(try syncs() > before)
      }
      try world.endMount()
      receiver.killAll()
    }
  }

  @Test("small recordings that were acknowledged together survive a power cut of the receiver", arguments: 0..<3)
  func smallRecordings(seed: Int) async throws {
    try await withWorld { world in
      let disk = try LoopDisk("data", in: world, mebibytes: 160)
      try world.startReceiver()
      try world.startMount(to: world.receiverURL)
      let names = (0..<400).map { Path("small \($0)") }
      for (number, name) in names.enumerated() { try Files.write(world.path(name), noise(500 + number, seed: UInt64(number))) }
      try eventually("some are synced") { world.attribute("status", of: names[100 * seed]) == "synced" }
      usleep(UInt32(noise(8, seed: UInt64(seed))[0]) * 500)
      let synced = names.filter { world.attribute("status", of: $0) == "synced" }
      try disk.cutPower()
      try world.stopReceiver(SIGKILL)
      // All of them may have arrived before.
      try eventually("it is away") { ["paused", "synced"].contains(world.attribute("status", of: "")) }
      try disk.powerUp()

      let (code, report) = try world.reelfs("receive", "--verify", "--data", world.data)
      #expect(code == 0, "\(report)")
      for name in synced { #expect(try world.isIdentical(name), "\(name) of \(synced.count)") }
      try world.startReceiver()
      try world.wait(for: "synced", of: "", seconds: 30)
      for name in names { #expect(try world.isIdentical(name)) }
      try world.endMount()
      try world.stopReceiver()
      #expect(try world.reelfs("receive", "--verify", "--data", world.data).code == 0)
      let left = try world.shell("find $DIR/data -name temp -o -name manifest.json -o -name link")
      #expect(left == "", "\(left)")
    }
  }

  @Test("a whole recording that changes again while the receiver's power is cut stays whole until the change is there")
  func changedAgain() async throws {
    try await withWorld { world in
      let disk = try LoopDisk("data", in: world, mebibytes: 96)
      try world.startReceiver()
      try world.startMount(to: world.receiverURL)
      let bytes = noise(4 * mebibyte)
      try Files.write(world.path("take"), bytes)
      try world.waitUntilSynced("take")
      let whole = try world.received("take")
      let file = try OpenFile(world.path("take"), O_WRONLY)
      try file.write(noise(mebibyte, seed: 9), at: mebibyte)
      try eventually("the change is stored") { world.number("chunks_synced", of: "take") == 4 }
      try disk.cutPower()
      try world.stopReceiver(SIGKILL)
      try disk.powerUp()
      #expect(try Files.read(whole) == bytes)
      #expect(try world.reelfs("receive", "--verify", "--data", world.data).code == 0)

      try world.startReceiver()
      try file.close()
      try eventually("the change is published") { try Files.read(whole)[mebibyte] == noise(1, seed: 9)[0] }
      try world.waitUntilSynced("take")
      #expect(try world.isIdentical("take"))
    }
  }
}
