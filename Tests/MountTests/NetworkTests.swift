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

/// What servers refuse.
@Suite("Refusals", .enabled(if: Machine.canMount, "needs /dev/fuse and reelfs"))
struct RefusalTests {
  @Test("a wrong token pauses everything with a sentence, and a mended one goes on")
  func wrongToken() async throws {
    try await withWorld { world in
      try world.shell("echo right-token-of-sixteen >$DIR/right; echo wrong-token-of-sixteen >$DIR/wrong; chmod 600 $DIR/right $DIR/wrong")
      try world.startReceiver(["--token-file", world.folder + "/right"])
      try world.startMount(["--token-file", world.folder + "/wrong"], to: world.receiverURL)
      try Files.write(world.path("take"), noise(1_000))
      try world.wait(for: "paused", of: "take")
      #expect(world.attribute("error", of: "take")?.contains("token") == true, "\(world.attribute("error", of: "take") ?? "")")
      #expect(try world.reelfs("status", world.mountpoint).code == 4)

      try world.stopReceiver()
      try world.startReceiver(["--token-file", world.folder + "/wrong"])
      #expect(try world.reelfs("retry", "--force", world.mountpoint).code == 0)
      try world.waitUntilSynced("take")
    }
  }

  /// A server that knows sessions, and answers chunks as `chunk` says.
  private func withServer(
    chunk: @escaping @Sendable (RequestHead) -> Behaviour, body: (World, FaultyServer) throws -> Void
  ) async throws {
    try await withWorld { world in
      let server = try FaultyServer { head in
        switch (head.method, head.target) {
        case ("GET", "/healthz"): .answer(.json(200, #"{"status":"ok"}"#))
        case ("POST", "/upload/chunk"): chunk(head)
        case ("PUT", let target):
          .answer(.json(200, "{\"session_id\":\"\(target.split(separator: "/").last ?? "")\",\"state\":\"receiving\"}"))
        default: .answer(.json(503, #"{"error":"busy","message":"later"}"#, headers: ["Retry-After: 1"]))
        }
      }
      defer { server.stop() }
      try world.startMount(to: server.url)
      try body(world, server)
    }
  }

  @Test("413 fails that recording with the server's words, and only that one")
  func tooLarge() async throws {
    try await withServer { head in
      head.contentLength > 5_000
        ? .answer(.json(413, #"{"error":"too_large","message":"bodies end at 5 kB here"}"#)) : .answer(.receipt(for: head))
    } body: { world, _ in
      try Files.write(world.path("large"), noise(10_000))
      try Files.write(world.path("small"), noise(1_000))

      try world.wait(for: "failed", of: "large")
      #expect(world.attribute("error", of: "large")?.contains("bodies end at 5 kB here") == true)
      #expect(world.attribute("badge", of: "large") == "❌ FAILED")
      try eventually("the other is stored") { world.number("bytes_synced", of: "small") == 1_000 }
      #expect(try world.reelfs("status", world.mountpoint).code == 4)
      try world.waitUntilTold("UPLOAD_ERROR") { $0.error?.contains("5 kB") == true }
    }
  }

  @Test("retry --force tries a failed recording again")
  func retryFailed() async throws {
    let isMended = Atomic(false)
    try await withServer { head in
      isMended.load(ordering: .relaxed)
        ? .answer(.receipt(for: head)) : .answer(.json(400, #"{"error":"bad","message":"not today"}"#))
    } body: { world, _ in
      try Files.write(world.path("take"), noise(10_000))
      try world.wait(for: "failed", of: "take")
      isMended.store(true, ordering: .relaxed)

      #expect(try world.reelfs("retry", "--force", world.mountpoint + "/take").code == 0)
      try eventually("it is stored") { world.number("bytes_synced", of: "take") == 10_000 }
      #expect(world.attribute("status", of: "take") != "failed")
    }
  }

  @Test("507 pauses the destination with the server's words")
  func serverFull() async throws {
    try await withServer { _ in
      .answer(.json(507, #"{"error":"full","message":"the disk of the archive is full"}"#))
    } body: { world, _ in
      try Files.write(world.path("take"), noise(10_000))

      try world.wait(for: "paused", of: "take")
      #expect(world.attribute("error", of: "take")?.contains("the disk of the archive is full") == true)
      #expect(try Files.text(world.statusPath("summary")).contains("the disk of the archive is full"))
      #expect(try world.reelfs("status", world.mountpoint).code == 4)
    }
  }

  @Test("errors that pass are tried again until the chunk is stored", arguments: [500, 502, 503, 429, 408])
  func passing(status: Int) async throws {
    let refusals = Atomic(0)
    try await withServer { head in
      refusals.add(1, ordering: .relaxed).newValue <= 3
        ? .answer(.json(status, #"{"error":"x","message":"y"}"#)) : .answer(.receipt(for: head))
    } body: { world, _ in
      try Files.write(world.path("take"), noise(10_000))

      try eventually("it is stored") { world.number("bytes_synced", of: "take") == 10_000 }
    }
  }

  @Test("Retry-After is waited for")
  func retryAfter() async throws {
    let times = Mutex<[ContinuousClock.Instant]>([])
    try await withServer { head in
      let count = times.withLock {
        $0.append(.now)
        return $0.count
      }
      return count == 1
        ? .answer(.json(429, #"{"error":"x"}"#, headers: ["Retry-After: 2"])) : .answer(.receipt(for: head))
    } body: { world, _ in
      try Files.write(world.path("take"), noise(10_000))
      try eventually("it is stored") { world.number("bytes_synced", of: "take") == 10_000 }

      let asked = times.withLock { $0 }
      #expect(asked[1] - asked[0] >= .milliseconds(1_900))
    }
  }

  @Test("a receipt for other bytes does not count as stored")
  func wrongReceipt() async throws {
    try await withServer { head in
      let zeros = String(repeating: "0", count: 64)
      return .answer(
        .json(
          200,
          """
          {"session_id":"\(head.header("Session-Id") ?? "")","chunk_index":0,"chunk_version":1,\
          "bytes":\(head.contentLength),"sha256":"\(zeros)"}
          """))
    } body: { world, server in
      try Files.write(world.path("take"), noise(10_000))
      try eventually("it was sent") { server.requests.contains { $0.head.target == "/upload/chunk" } }

      try eventually("it says that bytes were damaged") {
        try world.events().contains { $0.type == "UPLOAD_ERROR" } || world.attribute("status", of: "take") == "failed"
      }
      #expect(world.number("bytes_synced", of: "take") == 0)
    }
  }

  private static let certificate = """
    cd $DIR && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -keyout key.pem \
    -out cert.pem -subj /CN=reelfs -addext subjectAltName=IP:127.0.0.1 2>openssl.log
    """

  @Test("over TLS with an own authority everything arrives", .enabled(if: Machine.has("openssl"), "openssl is not installed"))
  func ownAuthority() async throws {
    try await withWorld { world in
      try world.shell(Self.certificate)
      let (cert, key) = (world.folder + "/cert.pem", world.folder + "/key.pem")
      try world.startReceiver(["--tls-cert", cert, "--tls-key", key])
      try world.startMount(["--ca-file", cert], to: "https://127.0.0.1:\(world.port)")
      try Files.write(world.path("take"), noise(2 * mebibyte + 3))

      try world.waitUntilSynced("take")
      #expect(try world.isIdentical("take"))
    }
  }

  @Test("a server with an unknown certificate gets nothing", .enabled(if: Machine.has("openssl"), "openssl is not installed"))
  func unknownAuthority() async throws {
    try await withWorld { world in
      try world.shell(Self.certificate)
      try world.startReceiver(["--tls-cert", world.folder + "/cert.pem", "--tls-key", world.folder + "/key.pem"])
      try world.startMount(to: "https://127.0.0.1:\(world.port)")
      try Files.write(world.path("take"), noise(1_000))

      try world.wait(for: "paused", of: "take")
      #expect(world.attribute("error", of: "take")?.contains("--ca-file") == true)
      #expect(world.number("bytes_synced", of: "take") == 0)
    }
  }
}
