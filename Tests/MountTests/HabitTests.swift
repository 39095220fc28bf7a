import CLinux
import Glibc
import TestSupport
import Testing

/// Habits of recorders and copying programs that a file system which uploads must not stumble over.
@Suite("Habits of recorders", .enabled(if: Machine.canMount, "needs /dev/fuse and reelfs"))
struct HabitTests {
  @Test("a file that a reader makes, as flock does, is an empty recording, and synced", .enabled(if: Machine.has("flock")))
  func madeByReader() async throws {
    try await withMount { world in
      try world.shell("flock $MNT/lock true")
      try world.waitUntilSynced("lock")
      #expect(try world.isIdentical("lock"))
    }
  }

  @Test(
    "what a program copies in arrives byte for byte",
    arguments: [
      "cp $DIR/source $MNT/copy",
      "cp -a $DIR/source $MNT/copy",
      "rsync $DIR/source $MNT/copy",
      "rsync -a --inplace $DIR/source $MNT/copy",
      "dd if=$DIR/source of=$MNT/copy bs=256k conv=fsync",
      "dd if=$DIR/source of=$MNT/copy bs=4k oflag=append conv=notrunc",
      "dd if=$DIR/source of=$MNT/copy bs=1M oflag=direct iflag=fullblock",
      "cat <$DIR/source >>$MNT/copy",
    ])
  func copies(command: String) async throws {
    guard Machine.has(String(command.prefix { $0 != " " })) else { return }
    try await withMount { world in
      let bytes = noise(3 * mebibyte + 4_321)
      try Files.write(Path(world.folder) / "source", bytes)

      try world.shell(command)
      try world.waitUntilSynced("copy")

      #expect(try Files.read(world.path("copy")) == bytes)
      #expect(try world.isIdentical("copy"))
    }
  }

  @Test("cp -a keeps times, mode and the user's own attributes, also of a copy out of the mount")
  func archiveCopy() async throws {
    try await withMount { world in
      try Files.write(world.path("original"), noise(5_000))
      try Files.setAttribute("user.take", "7", of: world.path("original"))
      try world.shell("chmod 640 $MNT/original; touch -d '2001-02-03 04:05:06.789 UTC' $MNT/original")

      // The status attributes are copied along, and setting them changes nothing.
      try world.shell("cp -a $MNT/original $MNT/copy")

      let (original, copy) = (try Files.status(world.path("original")), try Files.status(world.path("copy")))
      #expect(copy.st_mode == original.st_mode)
      #expect(copy.st_mtim.tv_sec == 981_173_106 && copy.st_mtim.tv_nsec == 789_000_000)
      #expect(try Files.attribute("user.take", of: world.path("copy")) == "7")
      #expect(world.attribute("session", of: "copy") != world.attribute("session", of: "original"))
    }
  }

  @Test("rsync over an older copy arrives as the new one", .enabled(if: Machine.has("rsync"), "rsync is not installed"),
    arguments: ["", "--inplace", "--inplace --no-whole-file"])
  func rsyncAgain(flags: String) async throws {
    try await withMount { world in
      var bytes = noise(3 * mebibyte)
      try Files.write(Path(world.folder) / "source", bytes)
      try world.shell("rsync -t \(flags) $DIR/source $MNT/copy")
      try world.waitUntilSynced("copy")

      bytes.replaceSubrange(mebibyte + 5..<mebibyte + 10, with: [1, 2, 3, 4, 5])
      try Files.write(Path(world.folder) / "source", bytes + [9])
      try world.shell("rsync -I \(flags) $DIR/source $MNT/copy")
      try eventually("the new size is synced") {
        world.number("bytes_synced", of: "copy") == bytes.count + 1 && world.attribute("status", of: "copy") == "synced"
      }

      #expect(try Files.read(world.path("copy")) == bytes + [9])
      #expect(try world.isIdentical("copy"))
    }
  }

  @Test("a recording that is renamed right after its close arrives under its new name")
  func renameAfterClose() async throws {
    try await withMount { world in
      let bytes = noise(2 * mebibyte + 77)
      try Files.write(world.path("take.wav.part"), bytes)
      try Files.rename(world.path("take.wav.part"), to: world.path("take.wav"))

      try world.waitUntilSynced("take.wav")

      #expect(try Files.read(world.received("take.wav")) == bytes)
      #expect(try Files.names(Path(world.data + "/" + world.attribute("session", of: "take.wav")!))
        .contains(Array("take.wav.part".utf8)) == false)
    }
  }

  @Test("a recording that was synced and is renamed later appears under its new name at the receiver")
  func renameLater() async throws {
    try await withMount { world in
      try Files.write(world.path("before"), noise(10_000))
      try world.waitUntilSynced("before")
      let session = try #require(world.attribute("session", of: "before"))

      try Files.makeFolder(world.path("later"))
      try Files.rename(world.path("before"), to: world.path("later/after"))

      try eventually("the receiver has the new name") { Files.exists(Path(world.data + "/" + session + "/after")) }
      try world.waitUntilSynced("later/after")
      #expect(world.attribute("session", of: "later/after") == session)
      #expect(try world.isIdentical("later/after"))
    }
  }

  @Test("renaming a folder renames every recording in it at the receiver")
  func renameFolder() async throws {
    try await withMount("--device", "cam") { world in
      try Files.makeFolder(world.path("day1"))
      for name in ["a", "b", "c"] { try Files.write(world.path("day1/\(name)"), noise(1_000)) }
      try world.waitUntilSynced("day1/a", "day1/b", "day1/c")

      try Files.rename(world.path("day1"), to: world.path("day2"))

      try eventually("all are below the new name") {
        ["a", "b", "c"].allSatisfy { name in
          Files.exists(Path(world.data + "/recordings/cam/day2/\(name)"))
            && world.attribute("status", of: "day2/\(name)") == "synced"
        }
      }
      #expect(!Files.exists(Path(world.data + "/recordings/cam/day1/a")))
    }
  }

  @Test("two writers of one recording, as OBS has them, end in what both wrote")
  func doubleOpen() async throws {
    try await withMount { world in
      let first = try OpenFile(world.path("obs.mkv"), O_WRONLY | O_CREAT | O_TRUNC)
      try first.write(noise(2 * mebibyte))
      let second = try OpenFile(world.path("obs.mkv"), O_RDWR)
      try second.write(noise(100, seed: 5), at: 40)
      try first.write(noise(mebibyte / 2, seed: 6))
      try second.close()
      try first.write([1, 2, 3])
      try first.close()

      try world.waitUntilSynced("obs.mkv")
      #expect(world.number("bytes_written", of: "obs.mkv") == 5 * mebibyte / 2 + 3)
      #expect(try world.isIdentical("obs.mkv"))
    }
  }

  @Test("a recording that is opened again goes on as the same session and sends only what is new")
  func reopening() async throws {
    try await withMount { world in
      try Files.write(world.path("take"), noise(3 * mebibyte))
      try world.waitUntilSynced("take")
      let session = world.attribute("session", of: "take")

      try Files.write(world.path("take"), noise(mebibyte, seed: 2), O_WRONLY | O_APPEND)
      try eventually("all is synced again") {
        world.number("bytes_synced", of: "take") == 4 * mebibyte && world.attribute("status", of: "take") == "synced"
      }

      #expect(world.attribute("session", of: "take") == session)
      try world.waitUntilTold("CHUNK_UPLOADED") { $0.chunk == 3 }
      #expect(try world.uploads(of: "take") == [0: 1, 1: 1, 2: 1, 3: 1])
      #expect(try world.isIdentical("take"))
    }
  }

  @Test("a file renamed over an open recording takes its name, and the open one can still be read")
  func renameOver() async throws {
    try await withMount { world in
      let (old, new) = (noise(mebibyte + 1, seed: 1), noise(mebibyte + 2, seed: 2))
      let file = try OpenFile(world.path("take"), O_RDWR | O_CREAT)
      try file.write(old)
      try Files.write(world.path("take.tmp"), new)
      try Files.rename(world.path("take.tmp"), to: world.path("take"))

      #expect(try file.read(at: 0, count: old.count) == old)
      try file.write([7], at: 0)
      #expect(try file.status().st_nlink == 0)
      try file.close()

      try world.waitUntilSynced("take")
      #expect(try Files.read(world.path("take")) == new)
      #expect(try world.isIdentical("take"))
    }
  }

  @Test("a recording that is deleted while open can be read and written on, and leaves the queue")
  func unlinkOpen() async throws {
    try await withMount { world in
      let file = try OpenFile(world.path("take"), O_RDWR | O_CREAT)
      try file.write(noise(mebibyte))
      let session = try #require(world.attribute("session", of: "take"))
      try Files.unlink(world.path("take"))

      try file.write([1, 2, 3], at: mebibyte)
      #expect(try file.read(at: 0, count: mebibyte + 3) == noise(mebibyte) + [1, 2, 3])
      #expect(try file.status().st_size == mebibyte + 3)
      #expect(throws: Failure.self) { try Files.status(world.path("take")) }
      try file.close()

      try eventually("it has left the queue") { try world.reelfs("status", world.mountpoint).code == 0 }
      #expect(!Files.exists(world.statusPath("\(session)")))
      #expect(try Files.names(Path(world.state) / "orphans").isEmpty)
    }
  }

  @Test("O_TRUNC begins the same recording anew, and what it was before is not mixed in")
  func truncatingOpen() async throws {
    try await withMount { world in
      try Files.write(world.path("take"), noise(3 * mebibyte + 10, seed: 1))
      try world.waitUntilSynced("take")

      let bytes = noise(mebibyte + 3, seed: 2)
      try Files.write(world.path("take"), bytes)
      try eventually("the new bytes are synced") {
        world.number("bytes_synced", of: "take") == bytes.count && world.attribute("status", of: "take") == "synced"
      }

      #expect(try Files.read(world.received("take")) == bytes)
    }
  }

  @Test("an empty recording arrives")
  func empty() async throws {
    try await withMount { world in
      try Files.write(world.path("empty"), [])
      try world.waitUntilSynced("empty")

      #expect(try Files.status(world.received("empty")).st_size == 0)
    }
  }

  @Test("truncating to a smaller size, within and at the border of a chunk, arrives", arguments: [0, 5, mebibyte, mebibyte + 1])
  func truncateDown(size: Int) async throws {
    try await withMount { world in
      try Files.write(world.path("take"), noise(2 * mebibyte + 99))
      try world.waitUntilSynced("take")

      try call("truncate") { world.path("take").withCString { truncate($0, size) } }
      try eventually("it is synced") {
        world.number("bytes_synced", of: "take") == size && world.attribute("status", of: "take") == "synced"
      }

      #expect(try Files.read(world.received("take")) == Array(noise(2 * mebibyte + 99)[..<size]))
    }
  }

  @Test("truncating down and writing further again does not bring old bytes back")
  func truncateAndGrow() async throws {
    try await withMount { world in
      let file = try OpenFile(world.path("take"), O_RDWR | O_CREAT)
      try file.write(noise(2 * mebibyte))
      try file.truncate(to: 1_000)
      try file.truncate(to: 2 * mebibyte)
      try file.write([42], at: 2 * mebibyte + 5)
      try file.close()

      try world.waitUntilSynced("take")
      let expected = Array(noise(2 * mebibyte)[..<1_000]) + [UInt8](repeating: 0, count: 2 * mebibyte - 995) + [42]
      #expect(try Files.read(world.received("take")) == expected)
    }
  }

  @Test("holes are zeros at the receiver, and stay holes here")
  func holes() async throws {
    try await withMount { world in
      let file = try OpenFile(world.path("sparse"), O_RDWR | O_CREAT)
      try file.write([1], at: 0)
      try file.write([2], at: 5 * mebibyte + 17)
      try file.close()
      try world.waitUntilSynced("sparse")

      let status = try Files.status(world.path("sparse"))
      #expect(status.st_size == 5 * mebibyte + 18)
      #expect(status.st_blocks * 512 < mebibyte)
      #expect(try world.isIdentical("sparse"))
      let again = try OpenFile(world.path("sparse"), O_RDONLY)
      let (seekData, seekHole): (Int32, Int32) = (3, 4)
      #expect(lseek(again.descriptor, 0, seekHole) < mebibyte)
      #expect(lseek(again.descriptor, 2 * mebibyte, seekData) >= 5 * mebibyte)
      try again.close()
    }
  }

  @Test("space reserved with fallocate counts as zeros, and with KEEP_SIZE not at all", .enabled(if: Machine.has("fallocate")))
  func allocating() async throws {
    try await withMount { world in
      try world.shell("fallocate -l 3145728 $MNT/reserved; printf abc | dd of=$MNT/reserved conv=notrunc status=none")
      try world.shell("fallocate -n -l 3145728 $MNT/kept; printf abc >>$MNT/kept")
      try world.waitUntilSynced("reserved", "kept")

      #expect(try Files.status(world.received("reserved")).st_size == 3 * mebibyte)
      #expect(try Files.read(world.received("kept")) == Array("abc".utf8))
      #expect(try world.isIdentical("reserved"))
    }
  }

  @Test("a hole punched into a synced recording arrives as zeros", .enabled(if: Machine.has("fallocate")))
  func punching() async throws {
    try await withMount { world in
      try Files.write(world.path("take"), noise(3 * mebibyte))
      try world.waitUntilSynced("take")

      try world.shell("fallocate -p -o 1000000 -l 200000 $MNT/take")
      try eventually("both chunks were sent again") {
        try world.uploads(of: "take") == [0: 2, 1: 2, 2: 1] && world.attribute("status", of: "take") == "synced"
      }

      #expect(try Files.read(world.received("take"))[1_000_000..<1_200_000].allSatisfy { $0 == 0 })
      #expect(try world.isIdentical("take"))
    }
  }

  @Test("a header patched in a synced recording of 9 MiB costs one chunk")
  func headerPatch() async throws {
    try await withMount { world in
      try Files.write(world.path("take.wav"), noise(9 * mebibyte))
      try world.waitUntilSynced("take.wav")

      let file = try OpenFile(world.path("take.wav"), O_WRONLY)
      try file.write([1, 2, 3, 4], at: 4)
      try file.close()
      try eventually("chunk 0 was sent again") {
        try world.uploads(of: "take.wav")[0] == 2 && world.attribute("status", of: "take.wav") == "synced"
      }

      #expect(try world.uploads(of: "take.wav").values.reduce(0, +) == 10)
      #expect(try world.isIdentical("take.wav"))
    }
  }

  @Test("bytes changed through a shared memory map arrive")
  func memoryMap() async throws {
    try await withMount { world in
      try Files.write(world.path("take"), noise(2 * mebibyte))
      try world.waitUntilSynced("take")

      let file = try OpenFile(world.path("take"), O_RDWR)
      let map = try #require(mmap(nil, 2 * mebibyte, PROT_READ | PROT_WRITE, MAP_SHARED, file.descriptor, 0))
      #expect(map != MAP_FAILED)
      map.storeBytes(of: 0xABCD, toByteOffset: mebibyte + 64, as: UInt16.self)
      msync(map, 2 * mebibyte, MS_SYNC)
      munmap(map, 2 * mebibyte)
      try file.close()
      try eventually("chunk 1 was sent again") {
        try world.uploads(of: "take")[1] == 2 && world.attribute("status", of: "take") == "synced"
      }

      #expect(try world.isIdentical("take"))
    }
  }

  @Test("a recording is on its way while it is still being written")
  func whileWriting() async throws {
    try await withMount { world in
      let file = try OpenFile(world.path("take"), O_WRONLY | O_CREAT)
      try file.write(noise(3 * mebibyte + 5))

      try eventually("three chunks are stored") { world.number("synced_through", of: "take") == 3 * mebibyte }
      #expect(world.attribute("recording", of: "take") == "1")
      #expect(world.attribute("status", of: "take") == "uploading")

      try eventually("the rest is stored too, after the lag") {
        world.number("bytes_synced", of: "take") == 3 * mebibyte + 5
      }
      try file.close()
      try world.waitUntilSynced("take")
    }
  }

  @Test("a hot chunk is sent when it has been quiet, not at each write")
  func hotChunk() async throws {
    try await withMount { world in
      let file = try OpenFile(world.path("take"), O_RDWR | O_CREAT)
      try file.write(noise(mebibyte))
      try eventually("it was sent once") { try world.uploads(of: "take")[0] == 1 }
      for number in 0..<500 {
        try file.write([UInt8(truncatingIfNeeded: number)], at: number)
        usleep(1_000)
      }
      try file.close()
      try world.waitUntilSynced("take")

      #expect(try world.uploads(of: "take")[0, default: 0] <= 3)
      #expect(try world.isIdentical("take"))
    }
  }
}
