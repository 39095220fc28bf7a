import TestSupport
import Testing

@Suite("services", .enabled(if: Machine.canMount, "needs reelfs"))
struct ServiceTests {
  @Test("the receiver tells the service manager when it listens")
  func receiverReady() async throws {
    try await withWorld { world in
      let manager = try FakeServiceManager(socketName: world.folder + "/notify")
      defer { manager.giveUp() }
      try manager.start(
        [Machine.reelfs, "receive", "--listen", "127.0.0.1:0", "--data", world.data], output: world.folder + "/service")
      try eventually("the receiver is ready") { manager.count(of: "READY=1") == 1 }
      #expect(manager.messages.contains { $0.contains("STATUS=receiving on http://127.0.0.1:") })
    }
  }

  @Test("a mount that ends says what is not stored, and where it is safe")
  func end() async throws {
    try await withMount { world in
      try world.stopReceiver()
      try Files.write(world.path("take"), noise(10))
      try world.wait(for: "paused", of: "take")
      let mount = try #require(world.mount)
      try world.endMount()
      #expect(mount.said.contains("unmounted. 10 B of 1 recording not stored yet: safe in \(world.state)/recordings"), "\(mount.said)")
    }
  }

  @Test("a mount that ends with everything stored says so")
  func endSynced() async throws {
    try await withMount { world in
      try Files.write(world.path("take"), noise(10))
      try world.waitUntilSynced("take")
      let mount = try #require(world.mount)
      try world.endMount()
      #expect(mount.said.contains("unmounted. Safe: all 10 B in 1 recording"), "\(mount.said)")
    }
  }
}
