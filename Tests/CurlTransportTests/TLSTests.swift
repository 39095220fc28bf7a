import CurlTransport
import FaultyServer
import Foundation
import TestSupport
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
  private let process: Child

  static let isAvailable = FileManager.default.isExecutableFile(atPath: "/usr/bin/openssl")

  init(subject: String = "IP:127.0.0.1") throws {
    folder = FileManager.default.temporaryDirectory.appendingPathComponent("tls-" + UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    certificate = folder.appendingPathComponent("certificate.pem").path
    let request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.pem -out certificate.pem -days 2"
    let names = ["-subj", "/CN=test", "-addext", "subjectAltName=" + subject]
    try run(["/usr/bin/openssl"] + request.split(separator: " ").map(String.init) + names, in: folder.path)

    let answer = "HTTP/1.0 200 OK\r\nContent-Length: 15\r\n\r\n{\"status\":\"ok\"}"
    try Data(answer.utf8).write(to: folder.appendingPathComponent("healthz"))
    let words = "/usr/bin/env -C \(folder.path) openssl s_server -accept 127.0.0.1:0 -cert certificate.pem -key key.pem -HTTP"
    process = try Child(
      words.split(separator: " ").map(String.init), output: folder.appendingPathComponent("output").path, errors: "/dev/null")
    url = "https://127.0.0.1:" + (try Self.port(of: process))
  }

  deinit {
    process.killAll()
    try? FileManager.default.removeItem(at: folder)
  }

  /// Reads the line in which openssl says where it listens.
  private static func port(of process: Child) throws -> String {
    var line: Substring?
    try eventually("openssl listens") {
      // Asked first: what it said is then all that it said.
      let isOver = process.exitCode != nil
      let text = process.said
      line = text.split(separator: "\n").first { $0.hasPrefix("ACCEPT ") }
      try #require(line != nil || !isOver, "openssl ended: \(text)")
      return line != nil && text.hasSuffix("\n")
    }
    return try #require(line?.split(separator: ":").last.map(String.init))
  }
}
