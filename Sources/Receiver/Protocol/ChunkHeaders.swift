import Foundation
import HTTPTypes
import UploadProtocol

extension HTTPField.Name {
  // Names from `HeaderName` are valid tokens.
  static let session = HTTPField.Name(HeaderName.session)!
  static let chunkIndex = HTTPField.Name(HeaderName.chunkIndex)!
  static let chunkVersion = HTTPField.Name(HeaderName.chunkVersion)!
  static let contentDigest = HTTPField.Name(HeaderName.contentDigest)!
  static let uploadWriter = HTTPField.Name(HeaderName.writer)!
}

/// What the headers of `POST /upload/chunk` say, checked before a byte of the body is read.
struct ChunkHeaders: Sendable {
  let session: SessionName
  let index: Int
  let version: UInt32
  /// nil when the client sent no digest that this receiver knows.
  let digest: [UInt8]?
  let writer: String?
  let encoding: ContentEncoding

  init(_ headers: HTTPFields) throws(ReceiverError) {
    guard let session = headers[.session].flatMap({ SessionName($0) }) else { throw .badSession }
    guard let index = headers[.chunkIndex].flatMap({ Self.number($0) }), index <= ChunkLayout.indexMax else {
      throw .badIndex
    }
    let version = headers[.chunkVersion].map { Self.number($0) } ?? 1
    guard let version, version >= 1, let version = UInt32(exactly: version) else { throw .badVersion }
    self.session = session
    self.index = index
    self.version = version
    digest = try headers[.contentDigest].flatMap { text throws(ReceiverError) in try Self.digest(text) }
    writer = try Writer.check(headers[.uploadWriter])
    encoding = try ContentEncoding(headers)
  }

  /// Decimal digits only: no sign, no spaces, no more than 10 of them.
  private static func number(_ text: String) -> Int? {
    guard (1...10).contains(text.utf8.count),
      text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) })
    else { return nil }
    return Int(text)
  }

  /// The sha-256 entry of an RFC 9530 list. Other algorithms are ignored, as the RFC asks.
  private static func digest(_ text: String) throws(ReceiverError) -> [UInt8]? {
    for entry in text.split(separator: ",") {
      let entry = entry.trimmingCharacters(in: .whitespaces)
      guard entry.lowercased().hasPrefix("sha-256=") else { continue }
      let value = entry.dropFirst("sha-256=".count)
      guard value.count > 2, value.first == ":", value.last == ":",
        let bytes = Data(base64Encoded: String(value.dropFirst().dropLast())), bytes.count == ChunkDigest.byteCount
      else { throw .badDigest }
      return Array(bytes)
    }
    guard text.contains("=") else { throw .badDigest }
    return nil
  }
}

enum Writer {
  /// Characters of a client's own id.
  static let characterCountMax = 128

  static func check(_ text: String?) throws(ReceiverError) -> String? {
    guard let text else { return nil }
    guard (1...characterCountMax).contains(text.utf8.count) else {
      throw .badBody("The writer must have 1 to \(characterCountMax) characters.")
    }
    return text
  }
}
