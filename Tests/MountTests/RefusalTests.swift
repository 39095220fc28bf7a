import CLinux
import FaultyServer
import Glibc
import Synchronization
import TestSupport
import Testing

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
