import CLinux
import Glibc
import Testing

/// Names are bytes.
@Suite("Names", .enabled(if: Machine.canMount, "needs /dev/fuse and reelfs"))
struct NameTests {
  @Test(
    "a recording of any name arrives under that name",
    arguments: [
      Array("two words.wav".utf8), Array("é ü 日本.mp4".utf8), Array("line\nbreak".utf8), Array("-rf".utf8),
      Array("a\"b\\c'd".utf8), Array("%2e%2e".utf8), Array("tab\there".utf8), Array(" ".utf8), Array("...".utf8),
      [UInt8](repeating: UInt8(ascii: "x"), count: 255),
    ])
  func anyName(name: [UInt8]) async throws {
    try await withMount { world in
      try Files.write(world.path(Path(name)), noise(2_000))
      try world.waitUntilSynced(Path(name))

      #expect(try Files.names(Path(world.mountpoint)).contains(name))
      #expect(try world.isIdentical(Path(name)))
    }
  }

  @Test("a recording whose name is not UTF-8 arrives, and its name survives here")
  func bytesThatAreNoText() async throws {
    try await withMount { world in
      let name: [UInt8] = [0xFF, 0xC0, UInt8(ascii: "a"), 0x80]
      try Files.write(world.path(Path(name)), noise(2_000))
      try world.waitUntilSynced(Path(name))

      #expect(try Files.names(Path(world.mountpoint)).contains(name))
      let session = try #require(world.attribute("session", of: Path(name)))
      let folder = Path(world.data + "/" + session)
      let received = try Files.names(folder).filter { $0 != Array("temp".utf8) }
      #expect(try received.contains { try Files.status(folder / Path($0)).st_size == 2_000 })
    }
  }

  @Test("a name longer than 255 bytes is refused as on a disk")
  func tooLong() async throws {
    try await withMount { world in
      let name = Path([UInt8](repeating: UInt8(ascii: "x"), count: 256))

      #expect(errorCode { try Files.write(world.path(name), []) } == ENAMETOOLONG)
    }
  }

  @Test("recordings deep in folders arrive at the same place at the receiver")
  func deepFolders() async throws {
    try await withMount("--device", "cam 1".replacing(" ", with: "-")) { world in
      try world.shell("mkdir -p \"$MNT/studio/day 1/é\"")
      try Files.write(world.path("studio/day 1/é/take"), noise(3_000))
      try world.waitUntilSynced("studio/day 1/é/take")

      #expect(
        try Files.read(Path(world.data + "/recordings/cam-1/studio/day 1/é/take"))
          == Files.read(world.path("studio/day 1/é/take")))
    }
  }

  @Test("two recordings of one name in two folders do not meet at the receiver")
  func sameName() async throws {
    try await withMount { world in
      for folder in ["a", "b"] {
        try Files.makeFolder(world.path("\(folder)"))
        try Files.write(world.path("\(folder)/take"), Array(folder.utf8))
      }
      try world.waitUntilSynced("a/take", "b/take")

      #expect(try world.isIdentical("a/take"))
      #expect(try world.isIdentical("b/take"))
    }
  }
}
