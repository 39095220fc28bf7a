import CurlTransport
import FaultyServer
import Foundation
import Testing
import UploadCore

@Suite("TLS", .enabled(if: TLSServer.isAvailable, "needs the openssl command"))
struct TLSTests {
  @Test("a certificate of the named authority is trusted")
  func trusted() throws {
    let server = try TLSServer()
    #expect(try Harness(server.url, caFile: server.certificate).outcome(of: .probe) == .reachable)
  }

  @Test("a certificate of anybody else is refused before a byte of the request is sent")
  func untrusted() throws {
    let (server, other) = (try TLSServer(), try TLSServer())
    for caFile in [other.certificate, nil] {
      let outcome = try Harness(server.url, caFile: caFile).outcome(of: .probe)
      guard case .blocked(.configuration, let words) = outcome else {
        Issue.record("\(outcome)")
        continue
      }
      #expect(words.contains("--ca-file"))
    }
  }

  @Test("a certificate for another host is refused")
  func otherHost() throws {
    let server = try TLSServer(subject: "DNS:elsewhere.example")
    let outcome = try Harness(server.url, caFile: server.certificate).outcome(of: .probe)
    guard case .blocked(.configuration, _) = outcome else {
      Issue.record("\(outcome)")
      return
    }
  }

  @Test("an authority file that is missing is named as what is wrong")
  func missingFile() throws {
    let server = try TLSServer()
    let outcome = try Harness(server.url, caFile: server.certificate + ".missing").outcome(of: .probe)
    guard case .blocked(.configuration, let words) = outcome else {
      Issue.record("\(outcome)")
      return
    }
    #expect(words.contains("--ca-file"))
  }

  @Test("TLS spoken to a plain server is a wrong address, and says so")
  func plainServer() throws {
    let server = try FaultyServer(greeting: Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8))
    let outcome = try Harness("https://127.0.0.1:\(server.port)").outcome(of: .probe)
    guard case .blocked(.configuration, let words) = outcome else {
      Issue.record("\(outcome)")
      return
    }
    #expect(words.contains("does not speak TLS"))
  }
}

/// `openssl s_server` with a certificate of its own, answering like a healthy receiver; ends with its last owner.
final class TLSServer {
  let certificate: String
  let url: String
  private let folder: URL
  private let process = Process()

  static let isAvailable = FileManager.default.isExecutableFile(atPath: "/usr/bin/openssl")

  init(subject: String = "IP:127.0.0.1") throws {
    folder = FileManager.default.temporaryDirectory.appendingPathComponent("tls-" + UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    certificate = folder.appendingPathComponent("certificate.pem").path
    let make = Process()
    make.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
    make.currentDirectoryURL = folder
    make.arguments =
      "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.pem -out certificate.pem -days 2"
      .split(separator: " ").map(String.init) + ["-subj", "/CN=test", "-addext", "subjectAltName=" + subject]
    make.standardError = FileHandle.nullDevice
    try make.run()
    make.waitUntilExit()

    let answer = "HTTP/1.0 200 OK\r\nContent-Length: 15\r\n\r\n{\"status\":\"ok\"}"
    try Data(answer.utf8).write(to: folder.appendingPathComponent("healthz"))
    let output = Pipe()
    process.executableURL = make.executableURL
    process.currentDirectoryURL = folder
    process.arguments = "s_server -accept 127.0.0.1:0 -cert certificate.pem -key key.pem -HTTP"
      .split(separator: " ").map(String.init)
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    try process.run()
    url = "https://127.0.0.1:" + (try Self.port(in: output.fileHandleForReading))
  }

  deinit {
    // Not SIGTERM: a child of one of the test runner's threads inherits it blocked.
    kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
    try? FileManager.default.removeItem(at: folder)
  }

  /// Reads the line in which openssl says where it listens.
  private static func port(in output: FileHandle) throws -> String {
    var text = ""
    while true {
      let data = output.availableData
      try #require(!data.isEmpty, "openssl ended: \(text)")
      text += String(decoding: data, as: UTF8.self)
      if let line = text.split(separator: "\n").first(where: { $0.hasPrefix("ACCEPT ") }), text.hasSuffix("\n") {
        return try #require(line.split(separator: ":").last.map(String.init))
      }
    }
  }
}
