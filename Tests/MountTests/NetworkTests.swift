import CLinux
import FaultyServer
import Glibc
import Synchronization
import TestSupport
import Testing

/// What networks do, between a mount and a real receiver.
@Suite("Networks", .enabled(if: Machine.canMount, "needs /dev/fuse and reelfs"))
struct NetworkTests {
  /// A mount whose way to the receiver goes through a proxy.
  private func withProxy(_ faults: ProxyFaults = ProxyFaults(), _ flags: String..., body: (World, FaultyProxy) throws -> Void)
    async throws
  {
    try await withWorld { world in
      try world.startReceiver()
      let proxy = try FaultyProxy(upstreamPort: world.port, faults: faults)
      defer { proxy.stop() }
      try world.startMount(flags, to: proxy.url)
      try body(world, proxy)
    }
  }

  private static func faults(_ change: (inout ProxyFaults) -> Void) -> ProxyFaults {
    var faults = ProxyFaults()
    change(&faults)
    return faults
  }

  @Test("a recording is paused while the server cannot be reached, and goes on by itself")
  func refused() async throws {
    try await withProxy(Self.faults { $0.isRefusing = true }) { world, proxy in
      try Files.write(world.path("take"), noise(3 * mebibyte))
      try world.wait(for: "paused", of: "take")
      #expect(world.attribute("error", of: "take")?.isEmpty == false)

      proxy.set(ProxyFaults())
      try world.waitUntilSynced("take")
      #expect(try world.isIdentical("take"))
      try world.waitUntilTold("CONNECTION_RESTORED")
      #expect(try world.events().map(\.type).filter { $0.hasPrefix("CONNECTION") } == ["CONNECTION_LOST", "CONNECTION_RESTORED"])
    }
  }

  @Test("a wrong token pauses with a sentence, and correcting its file is enough")
  func wrongToken() async throws {
    try await withWorld { world in
      try world.shell("echo right >\"$DIR/theirs\"; echo wrong >\"$DIR/ours\"")
      try world.startReceiver(["--token-file", world.folder + "/theirs"])
      try world.startMount(["--token-file", world.folder + "/ours"], to: world.receiverURL)
      try Files.write(world.path("take"), noise(3 * mebibyte))
      try world.wait(for: "paused", of: "take")
      #expect(world.attribute("error", of: "take")?.contains("--token-file") == true)

      try world.shell("echo right >\"$DIR/ours\"")
      try world.waitUntilSynced("take")
      #expect(try world.isIdentical("take"))
    }
  }

  @Test("a connection lost in the middle of a recording pauses it, and the recorder does not notice")
  func lostMeanwhile() async throws {
    try await withProxy { world, proxy in
      let file = try OpenFile(world.path("take"), O_WRONLY | O_CREAT)
      try file.write(noise(2 * mebibyte))
      try eventually("it is on its way") { world.number("chunks_synced", of: "take") == 2 }
      proxy.set(Self.faults { $0.isRefusing = true })
      proxy.cutConnections(byReset: true)

      let start = ContinuousClock.now
      try file.write(noise(3 * mebibyte, seed: 2))
      #expect(ContinuousClock.now - start < .seconds(2))
      try world.wait(for: "paused", of: "take")
      proxy.set(ProxyFaults())
      try file.close()

      try world.waitUntilSynced("take")
      #expect(try world.isIdentical("take"))
    }
  }

  @Test("connections that end in the middle of a chunk or of an answer cost nothing but time", arguments: [
    NetworkTests.faults { $0.cutAfterRequestBytes = 700_000 },
    NetworkTests.faults { $0.cutAfterRequestBytes = 100 },
    NetworkTests.faults {
      $0.cutAfterRequestBytes = 1_300_000
      $0.cutsByReset = true
    },
    NetworkTests.faults { $0.cutAfterAnswerBytes = 10 },
    NetworkTests.faults { $0.cutAfterAnswerBytes = 500 },
  ])
  func cut(faults: ProxyFaults) async throws {
    try await withProxy(faults) { world, proxy in
      try Files.write(world.path("take"), noise(3 * mebibyte + 5))
      try eventually("connections have ended") { proxy.connectionCount > 2 }

      proxy.set(ProxyFaults())
      try world.waitUntilSynced("take")
      #expect(try world.isIdentical("take"))
    }
  }

  @Test("a server that takes bytes and says nothing more is given up, and asked again")
  func stalled() async throws {
    try await withProxy(Self.faults { $0.isStalled = true }, "--upload-timeout", "1") { world, proxy in
      try Files.write(world.path("take"), noise(2 * mebibyte))
      try eventually("it has been asked again") { proxy.connectionCount > 2 }
      #expect(world.number("bytes_synced", of: "take") == 0)

      proxy.set(ProxyFaults())
      try world.waitUntilSynced("take")
      #expect(try world.isIdentical("take"))
    }
  }

  @Test("noise in place of answers is never taken for a receipt")
  func garbage() async throws {
    try await withProxy(Self.faults { $0.answers = .garbage }) { world, proxy in
      try Files.write(world.path("take"), noise(2 * mebibyte))
      try eventually("it was tried more than once") { proxy.connectionCount > 3 }
      #expect(world.number("chunks_synced", of: "take") == 0)

      proxy.set(ProxyFaults())
      try world.waitUntilSynced("take")
      #expect(try world.isIdentical("take"))
    }
  }

  @Test("answers that arrive twice do no harm")
  func twice() async throws {
    try await withProxy(Self.faults { $0.answers = .twice }) { world, proxy in
      try Files.write(world.path("take"), noise(4 * mebibyte))
      try eventually("it was tried") { proxy.connectionCount > 0 }
      let file = try OpenFile(world.path("take"), O_WRONLY)
      try file.write(noise(mebibyte, seed: 9), at: mebibyte)
      try file.close()

      proxy.set(ProxyFaults())
      try world.waitUntilSynced("take")
      #expect(try world.isIdentical("take"))
    }
  }

  @Test("a slow network slows the upload, never the recorder")
  func slow() async throws {
    try await withProxy(Self.faults { $0.bytesPerSecondMax = 200_000 }) { world, proxy in
      let bytes = noise(16 * mebibyte)
      let start = ContinuousClock.now
      try Files.write(world.path("take"), bytes)
      // The network needs 80 s for them.
      #expect(ContinuousClock.now - start < .seconds(20))
      #expect(world.attribute("status", of: "take") == "uploading")

      proxy.set(ProxyFaults())
      try world.waitUntilSynced("take")
      #expect(try world.isIdentical("take"))
    }
  }

  @Test("an answer that is cut within its head is a lost connection, not a wrong server")
  func cutWithinHead() async throws {
    try await withProxy(Self.faults { $0.cutAfterAnswerBytes = 60 }) { world, proxy in
      try Files.write(world.path("take"), noise(1_000))
      try eventually("it was answered") { world.attribute("error", of: "take") != nil }

      proxy.set(ProxyFaults())
      try world.waitUntilSynced("take", seconds: 8)
    }
  }

  @Test("a server that takes connections and stays silent is away: one probe asks for all recordings")
  func silent() async throws {
    try await withProxy(Self.faults { $0.isStalled = true }, "--upload-timeout", "1") { world, proxy in
      for number in 0..<50 { try Files.write(world.path("take\(number)"), noise(1_000)) }
      try eventually("it was asked") { proxy.connectionCount > 0 }

      try world.wait(for: "paused", of: "take49", seconds: 25)
    }
  }
}
