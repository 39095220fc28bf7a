import Crypto
import Foundation
import HTTPTypes
import Testing

/// tus 1.0 as a client speaks it.
extension Uploader {
  static let tusType = "application/offset+octet-stream"

  func tus(
    _ method: HTTPRequest.Method, _ uri: String, _ headers: [String: String] = [:], body: [UInt8]? = nil
  ) async throws -> Answer {
    try await send(method, uri, ["Tus-Resumable": "1.0.0"].merging(headers) { $1 }, body: body)
  }

  /// - Parameter length: nil: it comes later.
  func create(_ length: Int?, named name: String? = nil, _ headers: [String: String] = [:]) async throws -> String {
    var all = length.map { ["Upload-Length": String($0)] } ?? ["Upload-Defer-Length": "1"]
    if let name { all["Upload-Metadata"] = "filename \(base64(name))" }
    let answer = try await tus(.post, "/files/", all.merging(headers) { $1 })
    #expect(answer.status == 201)
    return try #require(answer.upload)
  }

  func patch(
    _ url: String, at offset: Int, _ bytes: [UInt8], _ headers: [String: String] = [:]
  ) async throws -> Answer {
    let own = ["Upload-Offset": String(offset), "Content-Type": Self.tusType]
    return try await tus(.patch, url, own.merging(headers) { $1 }, body: bytes)
  }

  func offset(_ url: String) async throws -> Int? {
    try await tus(.head, url).number("Upload-Offset")
  }
}

extension Uploader.Answer {
  /// The path of what a POST to `/files/` created.
  var upload: String? { headers[.location].map { "/files/" + $0 } }
  func value(_ name: String) -> String? { HTTPField.Name(name).flatMap { headers[$0] } }
  func number(_ name: String) -> Int? { value(name).flatMap { Int($0) } }
}

func base64(_ text: String) -> String { Data(text.utf8).base64EncodedString() }

func sha1(_ bytes: [UInt8]) -> String { "sha1 " + Data(Insecure.SHA1.hash(data: bytes)).base64EncodedString() }
func sha256(_ bytes: [UInt8]) -> String { "sha256 " + Data(SHA256.hash(data: bytes)).base64EncodedString() }
