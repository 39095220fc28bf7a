import CLinux
import Foundation
import Glibc
import TestSupport
import Testing

/// The machine, or its disk, is switched off while reelfs runs: everything that was not synced is gone.
@Suite(
  "Power cuts", .enabled(if: Machine.canMount, "needs /dev/fuse and reelfs"),
  .enabled(if: LoopDisk.isAvailable, "needs root, loop devices and mkfs.ext4"))
struct PowerCutTests {
  /// A mount whose state directory is on a disk of its own.
  private func withDisk(_ flags: [String] = [], mebibytes: Int = 128, _ body: (World, LoopDisk) throws -> Void) async throws {
    try await withWorld { world in
      let disk = try LoopDisk("state", in: world, mebibytes: mebibytes)
      try world.startReceiver()
      try world.startMount(flags, to: world.receiverURL)
      try body(world, disk)
    }
  }

  /// Switches the client off and on again, and mounts.
  private func cut(_ world: World, _ disk: LoopDisk, meanwhile: () throws -> Void = {}, _ flags: [String] = []) throws {
    try disk.cutPower()
    try world.killMount()
    try disk.powerUp()
    try meanwhile()
    try world.startMount(flags, to: world.receiverURL)
  }

  /// The bytes of recordings stay in memory.
  private func synchronizeNamesAndReceipts(_ world: World) throws {
    let folder = try OpenFile(world.path(""), O_RDONLY | O_DIRECTORY)
    try folder.synchronize()
    try folder.close()
    try world.shell("sync -d $DIR/state/journal.sqlite-wal")
  }

  @Test("what fsync returned for is there after a power cut, and arrives")
  func synced() async throws {
    try await withDisk(["--limit", "1M"]) { world, disk in
      let bytes = noise(3 * mebibyte + 5_000)
      let file = try OpenFile(world.path("take"), O_WRONLY | O_CREAT)
      try file.write(bytes)
      try file.synchronize()
      try file.write(noise(mebibyte, seed: 2))
      try cut(world, disk)
      try? file.close()

      // What was written after the fsync is lost from its end, or not at all.
      let found = try Files.read(world.path("take"))
      #expect(found.count >= bytes.count && found == Array((bytes + noise(mebibyte, seed: 2)).prefix(found.count)))
      try world.waitUntilSynced("take")
      #expect(try world.isIdentical("take"))
    }
  }

  @Test("what the disk lost and the destination has comes back, and never goes there as zeros")
  func lostBytesComeBack() async throws {
    try await withDisk { world, disk in
      let bytes = noise(6 * mebibyte + 70_000)
      let file = try OpenFile(world.path("take"), O_WRONLY | O_CREAT)
      try file.write(bytes)
      // As a recorder that goes on: nothing is synced but the name and the receipts, within a second.
      try eventually("all is stored") { world.number("bytes_synced", of: "take") == bytes.count }
      try synchronizeNamesAndReceipts(world)
      try cut(world, disk)
      try? file.close()

      // The mount is usable before this line is printed.
      try eventually("it is said") { world.mount?.said.contains("to be checked after a power cut") == true }
      #expect(try Files.read(world.path("take")) == bytes)
      try world.waitUntilSynced("take")
      #expect(try world.isIdentical("take"))
      #expect(try Files.read(world.received("take")) == bytes)
    }
  }

  @Test("what the disk lost and only a further destination has comes back, and goes to the first as it was")
  func lostBytesOfOneDestination() async throws {
    try await withWorld { world in
      let disk = try LoopDisk("state", in: world, mebibytes: 128)
      try world.startReceiver()
      let other = try OtherReceiver(world)
      try world.startMount(["--also", other.url], to: world.receiverURL)
      try world.stopReceiver()
      let bytes = noise(6 * mebibyte + 70_000)
      let file = try OpenFile(world.path("take"), O_WRONLY | O_CREAT)
      try file.write(bytes)
      try eventually("the other has all") { try world.shares(of: "take").last?.bytes == bytes.count }
      try synchronizeNamesAndReceipts(world)
      try cut(world, disk, meanwhile: { try world.startReceiver() }, ["--also", other.url])
      try? file.close()

      try world.waitUntilSynced("take")
      #expect(try Files.read(world.path("take")) == bytes)
      #expect(try Files.read(world.received("take")) == bytes)
      #expect(try Files.read(other.received("take")) == bytes)
    }
  }

  @Test("a recording closed and synced a moment before a power cut is not cut short at the destination")
  func closedBefore() async throws {
    try await withDisk { world, disk in
      let bytes = noise(2 * mebibyte + 10)
      try Files.write(world.path("take"), bytes)
      try world.waitUntilSynced("take")
      try world.shell("sync -d $DIR/state/journal.sqlite-wal")
      try cut(world, disk)

      // A file whose very name was lost is gone here, as on any disk; there it is whole.
      if Files.exists(world.path("take")) {
        try eventually("it is whole again") { try Files.read(world.path("take")) == bytes }
        try world.waitUntilSynced("take")
        #expect(try Files.read(world.received("take")) == bytes)
      }
      #expect(try world.shell("find $DIR/data -name take -size +2M").contains("take"))
    }
  }

  @Test("bytes fetched back before a power cut are not taken for a hole after it")
  func fetchedBack() async throws {
    try await withDisk { world, disk in
      let bytes = noise(4 * mebibyte)
      try Files.write(world.path("take"), bytes)
      try world.waitUntilSynced("take")
      #expect(try world.reelfs("evict", world.mountpoint + "/take").code == 0)
      try eventually("its bytes are given up") { try Files.status(disk.folder / "recordings/take").st_blocks < 64 }
      try world.shell("sync -f $DIR/state/recordings")
      let file = try OpenFile(world.path("take"), O_RDONLY)
      posix_fadvise(file.descriptor, 0, 0, POSIX_FADV_DONTNEED)
      #expect(try file.read(at: 0, count: 4 * mebibyte) == bytes)
      try? file.close()
      try world.shell("sync -d $DIR/state/journal.sqlite-wal")
      try cut(world, disk)

      #expect(try Files.read(world.path("take")) == bytes)
      // A change of it takes the rest along.
      let writer = try OpenFile(world.path("take"), O_WRONLY)
      try writer.write([7], at: mebibyte + 3)
      try writer.close()
      try eventually("the change is there") { try Files.read(world.received("take"))[mebibyte + 3] == 7 }
      try world.waitUntilSynced("take")
      #expect(try world.isIdentical("take"))
    }
  }

  @Test("with the destination away after a power cut, what it has is waited for and not replaced")
  func destinationAway() async throws {
    try await withDisk { world, disk in
      let bytes = noise(3 * mebibyte)
      let file = try OpenFile(world.path("take"), O_WRONLY | O_CREAT)
      try file.write(bytes)
      try eventually("all is stored") { world.number("bytes_synced", of: "take") == bytes.count }
      // The name and the receipts are on the disk, the bytes are not.
      try synchronizeNamesAndReceipts(world)
      try cut(world, disk, meanwhile: { try world.stopReceiver() })
      try? file.close()
      // What the disk still has may be read; what it has lost may not be read as anything else.
      let there = try? Files.read(world.path("take"))
      #expect(there == nil || there == bytes, "\(there?.count ?? 0) bytes, equal up to \(zip(there ?? [], bytes).prefix { $0 == $1 }.count)")

      try world.startReceiver()
      try eventually("the bytes are back") { (try? Files.read(world.path("take"))) == bytes }
      try world.waitUntilSynced("take")
      #expect(try world.isIdentical("take"))
    }
  }

  @Test("what a clean end left is there after a power cut")
  func cleanEnd() async throws {
    try await withDisk { world, disk in
      let bytes = noise(2 * mebibyte + 77)
      try Files.write(world.path("take"), bytes)
      try world.endMount()
      try disk.cutPower()
      try disk.powerUp()
      try world.startMount(to: world.receiverURL)

      #expect(try Files.read(world.path("take")) == bytes)
      #expect(world.mount?.said.contains("to be checked after a power cut") == false)
      try world.waitUntilSynced("take")
      #expect(try world.isIdentical("take"))
    }
  }

  @Test("receipts are on the disk soon after they came, without an fsync")
  func receipts() async throws {
    try await withDisk { world, disk in
      let file = try OpenFile(world.path("take"), O_WRONLY | O_CREAT)
      try file.synchronize()
      try file.write(noise(2 * mebibyte))
      try eventually("all is stored") { world.number("bytes_synced", of: "take") == 2 * mebibyte }
      // The promise is a second; what is waited for is time, for nothing tells that a disk has a page.
      sleep(3)
      try cut(world, disk, meanwhile: { try world.stopReceiver() })
      try? file.close()
      #expect(world.number("bytes_synced", of: "take") == 2 * mebibyte)
    }
  }

  @Test("a name that fsync of its folder returned for is there after a power cut")
  func names() async throws {
    try await withDisk { world, disk in
      try Files.makeFolder(world.path("day"))
      try Files.write(world.path("day/old"), noise(2_000))
      let file = try OpenFile(world.path("day/old"), O_WRONLY)
      try file.synchronize()
      try file.close()
      try Files.rename(world.path("day/old"), to: world.path("day/new"))
      for name: Path in ["day", ""] {
        let folder = try OpenFile(world.path(name), O_RDONLY | O_DIRECTORY)
        try folder.synchronize()
        try folder.close()
      }
      try cut(world, disk)

      #expect(!Files.exists(world.path("day/old")))
      #expect(try Files.read(world.path("day/new")) == noise(2_000))
      try world.waitUntilSynced("day/new")
      #expect(try world.isIdentical("day/new"))
    }
  }

  @Test(
    "a journal older than the spool, without its log, or gone costs nothing that was synced",
    arguments: ["rm -f $J-wal $J-shm", "cp $DIR/older $J && rm -f $J-wal $J-shm", "rm -f $J*", "truncate -s 40000 $J-wal"])
  func olderJournal(damage: String) async throws {
    try await withDisk { world, disk in
      var bytes = noise(3 * mebibyte + 9)
      try Files.write(world.path("take"), bytes)
      try world.waitUntilSynced("take")
      try world.shell("cp $DIR/state/journal.sqlite $DIR/older")
      let file = try OpenFile(world.path("take"), O_WRONLY)
      try file.write([1, 2, 3], at: mebibyte + 5)
      try file.write([4, 5, 6], at: 3 * mebibyte + 9)
      try file.synchronize()
      bytes.replaceSubrange(mebibyte + 5..<mebibyte + 8, with: [1, 2, 3])
      bytes += [4, 5, 6]
      try cut(world, disk, meanwhile: { try world.shell("J=$DIR/state/journal.sqlite; \(damage)") })
      try? file.close()

      #expect(try Files.read(world.path("take")) == bytes)
      try world.waitUntilSynced("take")
      try eventually("the destination has it as it is") { try Files.read(world.received("take")) == bytes }
    }
  }

  /// How many cuts at random moments; a soak test sets more.
  private static let rounds = ProcessInfo.processInfo.environment["REELFS_POWER_CUTS"].flatMap { Int($0) } ?? 5

  @Test("power cuts at any moment lose nothing that was acknowledged", arguments: 0..<rounds)
  func randomMoments(seed: Int) async throws {
    try await withDisk(seed % 2 == 0 ? [] : ["--limit", "3M"]) { world, disk in
      var random = noise(64, seed: UInt64(seed) + 100)[...]
      let bytes = noise(24 * mebibyte, seed: UInt64(seed) + 7)
      let recorder = Recorder(bytes, at: world.path("take"), synchronizesEvery: 1 + Int(random.popFirst()!) % 20)
      recorder.start()
      try eventually("the first fsync has returned") { recorder.acknowledged > 0 || recorder.isDone }
      usleep(UInt32(random.popFirst()!) * 6_000)
      // Before, not after: a file system that was shut down may still say yes to an fsync that was under way (jbd2 calls a
      // transaction done that it has just dropped), and without power nobody would have heard that.
      let acknowledged = recorder.acknowledged
      try disk.cutPower()
      try world.killMount()
      recorder.stop()
      try disk.powerUp()
      try world.startMount(to: world.receiverURL)

      let found = try Files.read(world.path("take"))
      #expect(found.count >= acknowledged, "seed \(seed)")
      // Beyond what was acknowledged the disk's own file system may leave zeros, up to the end of a block.
      let same = zip(found, bytes).prefix { $0 == $1 }.count
      let isZeroedBlock = same >= acknowledged && found.count - same < 4_096 && found[same...].allSatisfy { $0 == 0 }
      #expect(
        same == found.count || isZeroedBlock,
        "seed \(seed): what is lost is a suffix; \(acknowledged) acknowledged, \(found.count) found, equal up to \(same)")
      try world.waitUntilSynced("take")
      #expect(try world.isIdentical("take"), "seed \(seed)")
    }
  }
}

/// A recorder on a thread of its own: appends, syncs, and remembers what it was told.
private final class Recorder: @unchecked Sendable {
  // `condition` guards everything below it.
  private let condition = NSCondition()
  private var bytesAcknowledged = 0
  private var isEnded = false
  private var mustStop = false
  private let bytes: [UInt8]
  private let path: Path
  private let synchronizesEvery: Int

  init(_ bytes: [UInt8], at path: Path, synchronizesEvery: Int) {
    (self.bytes, self.path, self.synchronizesEvery) = (bytes, path, synchronizesEvery)
  }

  var acknowledged: Int { condition.withLock { bytesAcknowledged } }
  var isDone: Bool { condition.withLock { isEnded } }

  func start() {
    Thread { [self] in
      try? record()
      condition.withLock {
        isEnded = true
        condition.broadcast()
      }
    }.start()
  }

  func stop() {
    condition.withLock {
      mustStop = true
      while !isEnded { condition.wait() }
    }
  }

  /// Ends with the first error: the disk is gone.
  private func record() throws {
    let file = try OpenFile(path, O_WRONLY | O_CREAT)
    defer { try? file.close() }
    let step = 50_000
    for (number, start) in stride(from: 0, to: bytes.count, by: step).enumerated() {
      if condition.withLock({ mustStop }) { return }
      let end = min(start + step, bytes.count)
      try file.write(Array(bytes[start..<end]))
      guard number % synchronizesEvery == 0 else { continue }
      try file.synchronize()
      condition.withLock { bytesAcknowledged = end }
    }
  }
}
