import CLinux
import FaultyServer
import Glibc
import TestSupport
import Testing

/// Bytes that are here, there, or in both places.
@Suite("Durability", .enabled(if: Machine.canMount, "needs /dev/fuse and reelfs"))
struct DurabilityTests {
  /// Chunks of the recording that are only at the destination.
  private func evicted(_ world: World, _ name: Path) -> String {
    (try? Files.attribute("user.reelfs.evicted", of: Path(world.folder + "/state/recordings") / name)) ?? ""
  }

  /// A synced recording of four chunks whose local bytes have been given up.
  private func evictedRecording(_ world: World) throws -> [UInt8] {
    let bytes = noise(4 * mebibyte)
    try Files.write(world.path("take"), bytes)
    try world.waitUntilSynced("take")
    #expect(try world.reelfs("evict", world.mountpoint + "/take").code == 0)
    try eventually("its bytes are given up") {
      // A block for the attributes may stay.
      try Files.status(Path(world.folder + "/state/recordings/take")).st_blocks < 64
    }
    // The kernel's own copy of what was written would answer instead.
    let file = try OpenFile(world.path("take"), O_RDONLY)
    #expect(posix_fadvise(file.descriptor, 0, 0, POSIX_FADV_DONTNEED) == 0)
    try file.close()
    return bytes
  }

  @Test("what was evicted is read as it was written, from the destination")
  func readBack() async throws {
    try await withMount { world in
      let bytes = try evictedRecording(world)
      #expect(evicted(world, "take") == "0-3")
      #expect(try Files.read(world.path("take")) == bytes)
      #expect(world.attribute("status", of: "take") == "synced")
    }
  }

  @Test("reading what was evicted fails with EIO while the destination is away, and works again afterwards")
  func awayWhileReading() async throws {
    try await withMount { world in
      let bytes = try evictedRecording(world)
      try world.stopReceiver(SIGKILL)
      #expect(errorCode { _ = try Files.read(world.path("take")) } == EIO)
      try world.startReceiver()
      #expect(try Files.read(world.path("take")) == bytes)
    }
  }

  @Test("readers of evicted recordings who wait for a destination that stands still, however many, keep no recorder waiting")
  func readersWait() async throws {
    try await withMount { world in
      let names = (0..<12).map { Path("take-\($0)") }
      let bytes = noise(mebibyte)
      for name in names { try Files.write(world.path(name), bytes) }
      for name in names {
        try world.waitUntilSynced(name)
        #expect(try world.reelfs("evict", "\(world.path(name))").code == 0)
        try eventually("\(name) is given up") { evicted(world, name) == "0" }
        let file = try OpenFile(world.path(name), O_RDONLY)
        #expect(posix_fadvise(file.descriptor, 0, 0, POSIX_FADV_DONTNEED) == 0)
        try file.close()
      }
      let receiver = try #require(world.receiver)
      receiver.send(SIGSTOP)
      defer { receiver.send(SIGCONT) }
      let readers = try names.map { try world.start(["/usr/bin/sha256sum", "\(world.path($0))"]) }
      try eventually("all of them read") {
        try readers.allSatisfy { try world.shell("ls -l /proc/\($0.pid)/fd").contains("/take-") }
      }
      let file = try OpenFile(world.path("live"), O_WRONLY | O_CREAT)
      for _ in 0..<32 { try file.write(noise(mebibyte / 8)) }
      try file.close()
      #expect(world.number("bytes_written", of: "live") == 4 * mebibyte)
      #expect(readers.allSatisfy { $0.exitCode == nil }, "they still wait")
      receiver.send(SIGCONT)
      for reader in readers { #expect(try reader.wait() == 0) }
      #expect(Set(readers.map { $0.said.prefix(64) }).count == 1, "they read the same")
      try world.waitUntilSynced("live")
    }
  }

  @Test("a recorder can go back to the start of what it records while the destination is away, whatever was evicted meanwhile")
  func backToTheStart() async throws {
    try await withMount { world in
      var bytes = noise(5 * mebibyte)
      let file = try OpenFile(world.path("take"), O_CREAT | O_RDWR)
      try file.write(bytes)
      try eventually("all that is full is stored") { world.attribute("chunks_synced", of: "take") == "5" }
      #expect(try world.reelfs("evict", world.mountpoint + "/take").code == 0)
      try eventually("the middle is given up") { evicted(world, "take") == "1-2" }

      try world.stopReceiver(SIGKILL)
      try file.write([1, 2, 3], at: 4)
      try file.write([4, 5], at: 5 * mebibyte - 2)
      try file.close()
      bytes.replaceSubrange(4..<7, with: [1, 2, 3])
      bytes.replaceSubrange(5 * mebibyte - 2..<5 * mebibyte, with: [4, 5])

      try world.startReceiver()
      try world.waitUntilSynced("take")
      #expect(try world.isIdentical("take"))
      #expect(try Files.read(world.path("take")) == bytes)
    }
  }

  @Test("a write into an evicted chunk keeps the rest of it, here and at the destination")
  func writeIntoEvicted() async throws {
    try await withMount { world in
      var bytes = try evictedRecording(world)
      let file = try OpenFile(world.path("take"), O_WRONLY)
      try file.write([1, 2, 3], at: mebibyte + 7)
      try file.close()
      bytes.replaceSubrange(mebibyte + 7..<mebibyte + 10, with: [1, 2, 3])

      try world.waitUntilSynced("take")
      #expect(try Files.read(world.path("take")) == bytes)
      #expect(try world.isIdentical("take"))
    }
  }

  @Test("a lost journal costs nothing, not even of what was evicted")
  func lostJournal() async throws {
    try await withMount { world in
      let bytes = try evictedRecording(world)
      let other = noise(2 * mebibyte + 5, seed: 2)
      try Files.write(world.path("other"), other)
      try world.waitUntilSynced("other")
      try world.endMount()
      try world.shell("cd $DIR/state && rm -f journal.sqlite*")

      try world.startMount(to: world.receiverURL)
      try world.waitUntilSynced("take", "other")
      #expect(try Files.read(world.path("take")) == bytes)
      #expect(try world.isIdentical("take"))
      #expect(try world.isIdentical("other"))
    }
  }

  @Test("a rebuilt journal asks the receiver what it has instead of sending it again, and evicted chunks stay evicted")
  func rebuiltJournal() async throws {
    try await withWorld { world in
      try world.startReceiver()
      let proxy = try FaultyProxy(upstreamPort: world.port)
      defer { proxy.stop() }
      try world.startMount(to: proxy.url)
      let long = noise(64 * mebibyte + 11, seed: 3)
      let evicted = try evictedRecording(world)
      try Files.write(world.path("long"), long)
      try world.waitUntilSynced("long")
      try world.endMount()
      try world.shell("cd $DIR/state && rm -f journal.sqlite*")
      let before = proxy.requestBytes
      #expect(before > 64 * mebibyte)

      try world.startMount(to: proxy.url)
      try world.waitUntilSynced("long", "take")
      #expect(proxy.requestBytes - before < mebibyte)
      #expect(self.evicted(world, "take") == "0-3")
      #expect(try Files.status(Path(world.folder + "/state/recordings/take")).st_blocks < 64)
      #expect(try world.isIdentical("long"))
      #expect(try Files.read(world.path("take")) == evicted)
    }
  }

  @Test("after a journal was rebuilt a chunk that changed gets a later version than the receiver has")
  func rebuiltJournalAndChanges() async throws {
    try await withMount { world in
      var bytes = noise(3 * mebibyte)
      try Files.write(world.path("take"), bytes)
      try world.waitUntilSynced("take")
      for seed in 2..<4 {
        bytes.replaceSubrange(..<1_000, with: noise(1_000, seed: UInt64(seed)))
        let file = try OpenFile(world.path("take"), O_WRONLY)
        try file.write(Array(bytes[..<1_000]), at: 0)
        try file.close()
        try eventually("version \(seed) has arrived") { try Files.read(world.received("take")) == bytes }
      }
      try world.waitUntilSynced("take")
      try world.endMount()
      // One chunk changes while nothing runs, another one after it has been recognised.
      try world.shell("cd $DIR/state && rm -f journal.sqlite* && printf x | dd of=recordings/take bs=1 seek=1048580 conv=notrunc")
      bytes[mebibyte + 4] = UInt8(ascii: "x")

      try world.startMount(to: world.receiverURL)
      try world.waitUntilSynced("take")
      #expect(try Files.read(world.received("take")) == bytes)
      let file = try OpenFile(world.path("take"), O_WRONLY)
      try file.write([7], at: 3)
      try file.close()
      bytes[3] = 7
      try eventually("the change has arrived") { try Files.read(world.received("take")) == bytes }
      try world.waitUntilSynced("take")
    }
  }

  @Test("a damaged journal is set aside, and said so")
  func damagedJournal() async throws {
    try await withMount { world in
      try Files.write(world.path("take"), noise(3_000))
      try world.waitUntilSynced("take")
      try world.endMount()
      try world.shell("cd $DIR/state && rm -f journal.sqlite-* && head -c 100000 /dev/urandom >journal.sqlite")

      try world.startMount(to: world.receiverURL)
      try world.waitUntilSynced("take")
      #expect(try world.isIdentical("take"))
      #expect(try world.shell("ls $DIR/state").contains("journal.sqlite.set-aside-"))
    }
  }

  @Test("with --fsync remote, fsync returns once the bytes are stored at the destination")
  func remoteSynchronization() async throws {
    try await withMount("--fsync", "remote") { world in
      let file = try OpenFile(world.path("take"), O_WRONLY | O_CREAT)
      try file.write(noise(mebibyte + 100))
      try file.synchronize()
      #expect(world.number("bytes_synced", of: "take") == mebibyte + 100)
      try file.close()
    }
  }

  @Test("a synced recording has its SHA-256 in an attribute")
  func wholeDigest() async throws {
    try await withMount { world in
      try Files.write(world.path("take"), noise(mebibyte + 1))
      try world.waitUntilSynced("take")
      let expected = try world.shell("sha256sum <$MNT/take").prefix(64)
      try eventually("it has been computed") { world.attribute("sha256", of: "take").map { $0 == expected } ?? false }
    }
  }

  @Test("a recording longer than a session can be is EFBIG, and the mount goes on")
  func tooLong() async throws {
    try await withMount { world in
      let file = try OpenFile(world.path("take"), O_RDWR | O_CREAT)
      #expect(errorCode { try file.truncate(to: Int.max) } == EFBIG)
      #expect(errorCode { try file.write([1], at: 1 << 60) } == EFBIG)
      try file.write([1, 2, 3])
      try file.close()
      try world.waitUntilSynced("take")
      #expect(try world.isIdentical("take"))
    }
  }
}
