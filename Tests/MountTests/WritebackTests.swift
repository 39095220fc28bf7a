import CLinux
import Glibc
import TestSupport
import Testing

/// The kernel collects small writes: for bulk copies, at the price of uploads that begin later.
@Suite("-o writeback", .enabled(if: Machine.canMount, "needs /dev/fuse and reelfs"))
struct WritebackTests {
  @Test("with -o writeback bytes reach the spool at fsync, and at close")
  func collected() async throws {
    try await withMount("-o", "writeback") { world in
      let backing = Path(world.state) / "recordings/take"
      let file = try OpenFile(world.path("take"), O_WRONLY | O_CREAT)
      try file.write(noise(4_096))
      #expect(try Files.status(backing).st_size == 0, "the kernel has it")
      #expect(try Files.status(world.path("take")).st_size == 4_096)
      try file.synchronize()
      #expect(try Files.status(backing).st_size == 4_096)
      try file.write(noise(100), at: 4_096)
      try file.close()
      #expect(try Files.status(backing).st_size == 4_196)
      try world.waitUntilSynced("take")
      #expect(try world.isIdentical("take"))
    }
  }

  @Test("with -o writeback the worker may be killed in the middle: tiny writes, appends, a patched header and a map arrive")
  func killed() async throws {
    try await withMount("-o", "writeback") { world in
      let bytes = noise(3 * mebibyte + 77)
      let file = try OpenFile(world.path("take"), O_WRONLY | O_CREAT)
      for start in stride(from: 0, to: bytes.count, by: 1_000) {
        try file.write(Array(bytes[start..<min(start + 1_000, bytes.count)]))
        if start % 1_000_000 == 0 { try killWorker(of: world) }
      }
      try file.write(noise(44, seed: 9), at: 0)
      try killWorker(of: world)
      try file.close()
      try Files.write(world.path("take"), noise(5_000, seed: 3), O_WRONLY | O_APPEND)
      try world.shell(
        """
        python3 -c '
        import mmap, os
        file = open(os.environ["MNT"] + "/take", "r+b")
        mmap.mmap(file.fileno(), 0)[70:79] = b"remapped!"'
        """)
      try killWorker(of: world)
      var expected = bytes
      expected.replaceSubrange(0..<44, with: noise(44, seed: 9))
      expected.replaceSubrange(70..<79, with: Array("remapped!".utf8))
      expected += noise(5_000, seed: 3)
      try eventually("all of it is there") { (try? Files.read(world.received("take"))) == expected }
      #expect(try Files.read(world.path("take")) == expected)
    }
  }

  private func killWorker(of world: World) throws {
    kill(try #require(world.mount?.descendants.first), SIGKILL)
    var space = statvfs()
    #expect(statvfs(world.mountpoint, &space) == 0, "the next one serves")
  }
}
