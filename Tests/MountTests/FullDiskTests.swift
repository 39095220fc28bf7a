import CLinux
import Foundation
import Glibc
import TestSupport
import Testing

/// Disks without space: this machine's, and the receiver's.
@Suite(
  "Full disks", .enabled(if: Machine.canMount, "needs /dev/fuse and reelfs"),
  .enabled(if: LoopDisk.isAvailable, "needs root, loop devices and mkfs.ext4"))
struct FullDiskTests {
  private func withDisk(
    _ flags: [String] = [], mebibytes: Int = 64, online: Bool = true, _ body: (World, LoopDisk) throws -> Void
  ) async throws {
    try await withWorld { world in
      let disk = try LoopDisk("state", in: world, mebibytes: mebibytes)
      try world.startReceiver()
      if !online { try world.stopReceiver() }
      try world.startMount(flags, to: world.receiverURL)
      try body(world, disk)
    }
  }

  @Test("a disk that others fill is ENOSPC for a recorder, soon, and goes on by itself when there is space again")
  func filledByOthers() async throws {
    try await withDisk(online: false) { world, disk in
      let file = try OpenFile(world.path("take"), O_WRONLY | O_CREAT)
      try file.write(noise(2 * mebibyte))
      try disk.fill()

      let start = ContinuousClock.now
      #expect(errorCode { try file.write(noise(4 * mebibyte, seed: 2)) } == ENOSPC)
      #expect(ContinuousClock.now - start < .seconds(8))
      let kept = Int(try file.status().st_size)
      #expect(errorCode { try Files.makeFolder(world.path("folder")) }.isIn(0, ENOSPC))
      #expect(try Files.read(world.path("take")).starts(with: noise(2 * mebibyte)))

      try disk.unfill()
      try eventually("there is room again") { errorCode { try file.write([1], at: kept) } == 0 }
      try file.write(noise(2 * mebibyte, seed: 3))
      try file.close()
      try world.startReceiver()
      try world.waitUntilSynced("take")
      #expect(try world.isIdentical("take"))
    }
  }

  @Test("with -o writeback a full disk is told at fsync")
  func writeback() async throws {
    try await withDisk(["-o", "writeback"], online: false) { world, disk in
      let file = try OpenFile(world.path("take"), O_WRONLY | O_CREAT)
      try disk.fill()
      try file.write(noise(mebibyte))
      #expect(errorCode { try file.synchronize() } == ENOSPC)
      try disk.unfill()
      try file.close()
    }
  }

  @Test("on a full disk a header can be rewritten, and receipts are kept: the journal has a reserve")
  func journalOnFullDisk() async throws {
    try await withDisk { world, disk in
      try Files.write(world.path("take"), noise(3 * mebibyte))
      try world.waitUntilSynced("take")
      let reserve = disk.folder / "journal.sqlite.reserve"
      #expect(try Files.status(reserve).st_blocks > 0)
      try disk.fill()

      let file = try OpenFile(world.path("take"), O_RDWR)
      for round in 0..<200 {
        // Each rewrite reopens a chunk that is stored: a commit of the journal.
        #expect(errorCode { try file.write([UInt8(round), 2, 3], at: round % 3 * mebibyte) } == 0, "round \(round)")
        #expect(world.attribute("status", of: "take") != "failed")
        if round % 50 == 49 { #expect(try world.reelfs("flush", world.mountpoint + "/take").code == 0) }
      }
      try file.close()
      try world.waitUntilSynced("take")
      #expect(try world.isIdentical("take"))
      try world.endMount()

      // Also a start finds room for its journal.
      try disk.fill()
      try world.startMount(to: world.receiverURL)
      #expect(world.attribute("status", of: "take") == "synced")
      try disk.unfill()
      try eventually("the reserve is there again") { (try? Files.status(reserve))?.st_blocks ?? 0 > 0 }
      #expect(!(try world.shell("ls $DIR/state")).contains("set-aside"))
    }
  }

  @Test("a mount that ends on a full disk without a reserve keeps its journal")
  func endsOnFullDisk() async throws {
    try await withDisk { world, disk in
      try Files.write(world.path("take"), noise(3 * mebibyte))
      try world.waitUntilSynced("take")
      let log = disk.folder / "journal.sqlite-wal"
      let begun = try Files.status(log).st_size
      let file = try OpenFile(world.path("take"), O_RDWR)
      // Until the log ends with its last commit: the next one needs space.
      for round in 0..<1_000 where try Files.status(log).st_size <= begun {
        try file.write([UInt8(round % 256)], at: round % 3 * mebibyte)
        #expect(try world.reelfs("flush", world.mountpoint + "/take").code == 0)
      }
      try file.close()
      try world.waitUntilSynced("take")
      #expect(try Files.status(log).st_size > begun)
      try Files.unlink(disk.folder / "journal.sqlite.reserve")
      try disk.fill()
      try world.endMount()

      try disk.unfill()
      try world.startMount(to: world.receiverURL)
      #expect(world.attribute("status", of: "take") == "synced")
      #expect(!(try world.shell("ls $DIR/state")).contains("set-aside"))
    }
  }

  @Test("with the destination there a recording larger than the disk goes through it")
  func largerThanTheDisk() async throws {
    try await withDisk(mebibytes: 48) { world, disk in
      let bytes = noise(64 * mebibyte)
      let file = try OpenFile(world.path("take"), O_WRONLY | O_CREAT)
      // A recorder, not a copy: it leaves the uploads the time they need.
      for start in stride(from: 0, to: bytes.count, by: mebibyte) {
        try file.write(Array(bytes[start..<start + mebibyte]))
        try eventually("the last few MiB are on their way") { start - world.number("bytes_synced", of: "take") < 16 * mebibyte }
      }
      try file.close()
      try world.waitUntilSynced("take")
      #expect(try Files.read(world.received("take")) == bytes)
      #expect(Int(try Files.status(disk.folder / "recordings/take").st_blocks) * 512 < 48 * mebibyte)
    }
  }

  @Test("on a disk that others fill, stored bytes make room for a recorder")
  func evictionMakesRoom() async throws {
    try await withDisk { world, disk in
      try Files.write(world.path("old"), noise(16 * mebibyte))
      try world.waitUntilSynced("old")
      try disk.fill()
      let bytes = noise(6 * mebibyte, seed: 2)
      try Files.write(world.path("new"), bytes)
      try world.waitUntilSynced("new")
      #expect(try Files.read(world.received("new")) == bytes)
      #expect(try Files.read(world.received("old")) == noise(16 * mebibyte))
    }
  }

  @Test("a receiver without space answers so, loses nothing, and is used again when it has some")
  func receiverFull() async throws {
    try await withWorld { world in
      let disk = try LoopDisk("data", in: world, mebibytes: 32)
      try world.startReceiver()
      try world.startMount(to: world.receiverURL)
      try Files.write(world.path("first"), noise(2 * mebibyte))
      try world.waitUntilSynced("first")
      try disk.fill(leaving: 3 * mebibyte)

      try Files.write(world.path("take"), noise(8 * mebibyte, seed: 2))
      try world.wait(for: "paused", of: "take")
      #expect(world.attribute("error", of: "take")?.contains("the destination is full") == true)
      func told(_ type: String) -> Int { (try? world.events().filter { $0.type == type }.count) ?? 0 }
      try eventually("the pause is told") { told("UPLOAD_PAUSED") == 1 }

      try disk.unfill()
      try world.waitUntilSynced("take")
      #expect(try world.isIdentical("take"))
      #expect(try world.isIdentical("first"))
      try eventually("the end of the pause is told") { told("UPLOAD_RESUMED") == 1 }
      // It was tried again and again, which is no news.
      #expect(told("UPLOAD_PAUSED") == 1)
      try world.endMount()
      try world.stopReceiver()
      #expect(try world.reelfs("receive", "--verify", "--data", world.data).code == 0)
    }
  }
}

extension Int32 {
  fileprivate func isIn(_ codes: Int32...) -> Bool { codes.contains(self) }
}
