import CLinux
import Foundation
import Glibc
import TestSupport
import Testing

/// A disk that fails: single calls by strace, a whole file system by its own error handling.
@Suite("Broken disks", .enabled(if: Machine.canMount, "needs /dev/fuse and reelfs"))
struct BrokenDiskTests {
  private func worker(_ world: World) throws -> pid_t { try #require(world.mount?.descendants.first) }
  private func backing(_ world: World, _ name: Path) -> Path { Path(world.state) / "recordings" / name }
  private func log(_ world: World) -> Path { Path(world.state) / "journal.sqlite-wal" }

  @Test(
    "an fsync that fails is the recorder's to know, and no later one of it says that all is well",
    .enabled(if: Injection.isAvailable, "needs root and strace"))
  func failedSync() async throws {
    try await withMount { world in
      let file = try OpenFile(world.path("take"), O_WRONLY | O_CREAT)
      try file.write(noise(1_000))
      let injection = try Injection(
        "fsync,fdatasync", error: "EIO", of: worker(world), path: backing(world, "take"), in: world)
      #expect(errorCode { try file.synchronize() } == EIO)
      try injection.end()
      #expect(errorCode { try file.synchronize() } == EIO)
      let other = try OpenFile(world.path("take"), O_WRONLY)
      #expect(errorCode { try other.synchronize() } == EIO)
      try other.close()
      try file.close()

      // Closed by all, it begins anew, as on a disk.
      let again = try OpenFile(world.path("take"), O_WRONLY)
      try again.write(noise(1_000, seed: 2))
      try again.synchronize()
      try again.close()
      try world.waitUntilSynced("take")
      #expect(try world.isIdentical("take"))
    }
  }

  @Test(
    "a journal that cannot be synced fails every fsync until it is read again",
    .enabled(if: Injection.isAvailable, "needs root and strace"))
  func failedJournalSync() async throws {
    try await withMount { world in
      let file = try OpenFile(world.path("take"), O_WRONLY | O_CREAT)
      try file.write(noise(1_000))
      let injection = try Injection("fdatasync", error: "EIO", of: worker(world), path: log(world), in: world)
      #expect(errorCode { try file.synchronize() } == EIO)
      try injection.end()
      #expect(errorCode { try file.synchronize() } == EIO)

      #expect(try world.reelfs("restart", world.mountpoint).code == 0)
      try eventually("fsync works again") { errorCode { try file.synchronize() } == 0 }
      try file.close()
      try world.waitUntilSynced("take")
      #expect(try world.isIdentical("take"))
    }
  }

  @Test(
    "a journal that cannot be written stops uploads and says so; recorders append on, and all goes on by itself",
    .enabled(if: Injection.isAvailable, "needs root and strace"), arguments: ["EIO", "EROFS"])
  func journalFails(error: String) async throws {
    try await withMount { world in
      try Files.write(world.path("first"), noise(mebibyte))
      try world.waitUntilSynced("first")
      let file = try OpenFile(world.path("take"), O_WRONLY | O_CREAT)
      try file.write(noise(mebibyte))
      try eventually("it is uploaded as it is") { world.number("bytes_synced", of: "take") == mebibyte }
      let injection = try Injection("pwrite64", error: error, of: worker(world), path: log(world), in: world)
      try file.write(noise(3 * mebibyte, seed: 2))
      try eventually("it is said") { world.attribute("error", of: "take")?.contains("the journal cannot be written") == true }
      #expect(world.attribute("status", of: "take") == "paused")
      // A rewrite of stored bytes needs the journal, and changes nothing without it.
      let first = try OpenFile(world.path("first"), O_WRONLY)
      #expect(errorCode { try first.write([9], at: 5) } == EIO)
      try injection.end()

      try first.write([9], at: 5)
      try first.close()
      try file.close()
      try world.waitUntilSynced("take", "first")
      #expect(try world.isIdentical("take"))
      #expect(try world.isIdentical("first"))
    }
  }

  @Test(
    "a chunk that cannot be read is said, not skipped, and sent when it can",
    .enabled(if: Injection.isAvailable, "needs root and strace"))
  func unreadableChunk() async throws {
    try await withMount { world in
      let file = try OpenFile(world.path("take"), O_WRONLY | O_CREAT)
      try file.write(noise(1_000))
      let injection = try Injection("pread64", error: "EIO", of: worker(world), path: backing(world, "take"), in: world)
      try file.write(noise(2 * mebibyte, seed: 2))
      try file.close()
      try eventually("it is said") { world.attribute("error", of: "take")?.contains("Input/output error") == true }
      #expect(world.attribute("status", of: "take") != "synced")
      #expect(world.attribute("progress", of: "take") != "100")
      try world.waitUntilTold("UPLOAD_ERROR") { $0.error?.contains("Input/output error") == true }
      try injection.end()
      try world.waitUntilSynced("take")
      #expect(try world.isIdentical("take"))
    }
  }

  @Test(
    "a write that the disk refuses is the recorder's error, and nobody else's",
    .enabled(if: Injection.isAvailable, "needs root and strace"), arguments: ["EIO", "EROFS", "EDQUOT"])
  func refusedWrite(error: String) async throws {
    try await withMount { world in
      let bytes = noise(mebibyte + 50)
      let file = try OpenFile(world.path("take"), O_RDWR | O_CREAT)
      try file.write(bytes)
      let injection = try Injection(
        "splice,pwrite64,write", error: error, of: worker(world), path: backing(world, "take"), in: world)
      let expected = ["EIO": EIO, "EROFS": EROFS, "EDQUOT": EDQUOT][error]
      #expect(errorCode { try file.write([1, 2, 3], at: bytes.count) } == expected)
      try Files.write(world.path("other"), noise(5_000))
      try injection.end()
      #expect(Int(try file.status().st_size) == bytes.count)
      try file.write([4, 5, 6], at: bytes.count)
      try file.close()
      try world.waitUntilSynced("take", "other")
      #expect(try Files.read(world.received("take")) == bytes + [4, 5, 6])
      #expect(try world.isIdentical("other"))
    }
  }

  @Test(
    "a disk that turned read-only is EROFS for recorders and said; nothing else is lost, and a writable one goes on",
    .enabled(if: LoopDisk.isAvailable, "needs root, loop devices and mkfs.ext4"))
  func readOnlyDisk() async throws {
    try await withWorld { world in
      let disk = try LoopDisk("state", in: world, mebibytes: 64, options: ",errors=remount-ro")
      try world.startReceiver()
      try world.startMount(to: world.receiverURL)
      let bytes = noise(2 * mebibyte + 11)
      let file = try OpenFile(world.path("take"), O_RDWR | O_CREAT)
      try file.write(bytes)
      try file.synchronize()
      try disk.breakDown()

      try eventually("a write is refused") { errorCode { try file.write([1], at: bytes.count) }.isIn(EROFS, EIO) }
      #expect(errorCode { try file.synchronize() }.isIn(EROFS, EIO))
      #expect(errorCode { try Files.write(world.path("new"), [1]) }.isIn(EROFS, EIO))
      #expect(try Files.read(world.path("take")) == bytes)
      try eventually("it is said: \(world.attribute("json", of: "take") ?? "")") {
        world.attribute("error", of: "take")?.contains("the journal cannot be written") == true
      }
      try world.killMount()
      try? file.close()
      try disk.powerUp()

      try world.startMount(to: world.receiverURL)
      #expect(try Files.read(world.path("take")) == bytes)
      try world.waitUntilSynced("take")
      #expect(try world.isIdentical("take"))
    }
  }
}

extension Int32 {
  fileprivate func isIn(_ codes: Int32...) -> Bool { codes.contains(self) }
}
