import Crypto
import Foundation
import HTTPTypes
import UploadProtocol

extension HTTPField.Name {
  // Valid tokens, all of them.
  static let tusResumable = HTTPField.Name("Tus-Resumable")!
  static let tusVersion = HTTPField.Name("Tus-Version")!
  static let tusExtension = HTTPField.Name("Tus-Extension")!
  static let tusMaxSize = HTTPField.Name("Tus-Max-Size")!
  static let tusChecksumAlgorithm = HTTPField.Name("Tus-Checksum-Algorithm")!
  static let uploadOffset = HTTPField.Name("Upload-Offset")!
  static let uploadLength = HTTPField.Name("Upload-Length")!
  static let uploadDeferLength = HTTPField.Name("Upload-Defer-Length")!
  static let uploadMetadata = HTTPField.Name("Upload-Metadata")!
  static let uploadChecksum = HTTPField.Name("Upload-Checksum")!
  static let uploadExpires = HTTPField.Name("Upload-Expires")!
  static let uploadConcat = HTTPField.Name("Upload-Concat")!
  static let methodOverride = HTTPField.Name("X-HTTP-Method-Override")!
}

/// Values of tus headers, checked before a byte of the body is read.
enum TusHeaders {
  static let bodyType = "application/offset+octet-stream"

  /// Digits only; nil without the header.
  static func number(_ name: HTTPField.Name, _ headers: HTTPFields) throws(ReceiverError) -> Int64? {
    guard let text = headers[name] else { return nil }
    guard (1...19).contains(text.utf8.count),
      text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }), let number = Int64(text)
    else { throw .badBody("\(name.rawName) must be a number of bytes, not \(text.prefix(40)).") }
    return number
  }

  /// What a creation says of the length; nil: it comes later.
  static func length(_ headers: HTTPFields) throws(ReceiverError) -> Int64? {
    let length = try number(.uploadLength, headers)
    switch (length, headers[.uploadDeferLength]) {
    case (let length?, nil): return length
    case (nil, "1"?): return nil
    default: throw .badBody("A creation needs either Upload-Length or Upload-Defer-Length: 1.")
    }
  }
}

/// `Upload-Checksum`: an algorithm and what it must give.
struct TusChecksum {
  enum Algorithm: String, CaseIterable { case sha1, sha256 }

  let algorithm: Algorithm
  let expected: [UInt8]

  init?(_ headers: HTTPFields) throws(ReceiverError) {
    guard let text = headers[.uploadChecksum] else { return nil }
    let words = text.split(separator: " ")
    guard words.count == 2, let algorithm = Algorithm(rawValue: words[0].lowercased()),
      let expected = Data(base64Encoded: String(words[1]))
    else { throw .badBody("Upload-Checksum must be sha1 or sha256, a space, and the digest in base64.") }
    self.algorithm = algorithm
    self.expected = Array(expected)
  }

  func hasher() -> TusHasher {
    switch algorithm {
    case .sha1: .sha1(Insecure.SHA1())
    case .sha256: .sha256(SHA256())
    }
  }

  func check(_ hasher: TusHasher) throws(ReceiverError) {
    if hasher.digest != expected { throw .checksumMismatch }
  }
}

enum TusHasher {
  case sha1(Insecure.SHA1)
  case sha256(SHA256)

  mutating func update(_ bytes: UnsafeRawBufferPointer) {
    switch self {
    case .sha1(var hash):
      hash.update(bufferPointer: bytes)
      self = .sha1(hash)
    case .sha256(var hash):
      hash.update(bufferPointer: bytes)
      self = .sha256(hash)
    }
  }

  var digest: [UInt8] {
    switch self {
    case .sha1(let hash): Array(hash.finalize())
    case .sha256(let hash): Array(hash.finalize())
    }
  }
}

/// `Upload-Concat` of a creation.
enum TusConcat {
  case partial
  /// Ids of the parts, in their order; at least one.
  case final([TusID])

  /// nil without the header.
  init?(_ headers: HTTPFields) throws(ReceiverError) {
    guard let text = headers[.uploadConcat] else { return nil }
    if text == "partial" {
      self = .partial
      return
    }
    guard text.hasPrefix("final;") else { throw .badBody("Upload-Concat must be partial or final;URL URL ….") }
    var ids: [TusID] = []
    for address in text.dropFirst("final;".count).split(separator: " ") {
      // Absolute or relative: what counts is the id at the end, whatever a proxy calls what is before it.
      guard let id = address.split(separator: "/").last.flatMap({ TusID(String($0)) }) else {
        throw .badBody("Upload-Concat names \(address.prefix(200)), which is no upload of this receiver.")
      }
      ids.append(id)
    }
    guard !ids.isEmpty else { throw .badBody("Upload-Concat: final needs the URLs of its parts.") }
    self = .final(ids)
  }
}
