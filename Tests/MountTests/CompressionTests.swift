import FaultyServer
import Glibc
import Testing

/// `--compress zstd`, between a mount and a real receiver.
@Suite("Compression", .enabled(if: Machine.canMount, "needs /dev/fuse and reelfs"))
struct CompressionTests {
  private static let text = Array(String(repeating: "12:00:01 The take was good.\n", count: 300_000).utf8)

  private func withProxy(_ flags: [String], body: (World, FaultyProxy) throws -> Void) async throws {
    try await withWorld { world in
      try world.startReceiver()
      let proxy = try FaultyProxy(upstreamPort: world.port, faults: ProxyFaults())
      defer { proxy.stop() }
      try world.startMount(flags, to: proxy.url)
      try body(world, proxy)
    }
  }

  @Test("text takes a fraction of its bytes on the wire, and arrives as it is")
  func text() async throws {
    try await withProxy(["--compress", "zstd"]) { world, proxy in
      try Files.write(world.path("log"), Self.text)
      try world.waitUntilSynced("log")

      #expect(try world.isIdentical("log"))
      #expect(proxy.requestBytes < Self.text.count / 10)
    }
  }

  @Test("without the flag text travels as it is")
  func withoutTheFlag() async throws {
    try await withProxy([]) { world, proxy in
      try Files.write(world.path("log"), Self.text)
      try world.waitUntilSynced("log")

      #expect(try world.isIdentical("log"))
      #expect(proxy.requestBytes > Self.text.count)
    }
  }

  @Test("noise takes as many bytes as it has, and what is mixed arrives as it is")
  func mixed() async throws {
    try await withProxy(["--compress", "zstd"]) { world, proxy in
      let take = noise(5 * mebibyte + 77)
      try Files.write(world.path("take"), take)
      try world.waitUntilSynced("take")
      #expect((take.count..<take.count + 100_000).contains(proxy.requestBytes))

      try Files.write(world.path("mixed"), noise(mebibyte) + Self.text + noise(3 * mebibyte, seed: 2))
      try world.waitUntilSynced("mixed")
      #expect(try world.isIdentical("take"))
      #expect(try world.isIdentical("mixed"))
    }
  }

  @Test("a limit counts the bytes on the wire: text under 200 KB a second arrives faster than that")
  func limit() async throws {
    try await withProxy(["--compress", "zstd", "--limit", "200K"]) { world, proxy in
      let begun = ContinuousClock.now
      try Files.write(world.path("log"), Self.text)
      try world.waitUntilSynced("log")

      // Uncompressed it would be 41 s.
      #expect(ContinuousClock.now - begun < .seconds(20))
      #expect(try world.isIdentical("log"))
    }
  }

  @Test("other destinations than a receiver refuse the flag with a sentence", arguments: ["file:///tmp", "tus+http://127.0.0.1:1/files/"])
  func refused(destination: String) async throws {
    try await withWorld { world in
      let answer = try world.reelfs("mount", destination, world.mountpoint, "--state-dir", world.state, "--compress", "zstd")

      #expect(answer.code == 1)
      #expect(answer.output.contains("--compress: only a receiver at http:// or https:// takes compressed chunks"))
    }
  }
}
