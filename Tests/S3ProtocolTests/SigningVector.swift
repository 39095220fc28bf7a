import Foundation
import S3Protocol

/// One line of Tests/Peers/s3_signing_oracle.py.
struct SigningVector: Decodable, Sendable {
  enum Kind: String, Decodable {
    case signer
    case client
  }

  struct Facts: Decodable {
    let key_hex: String
    let source_hex: String
    let upload: String
    let number: Int
    let body_hex: String
    let start: Int64
    let end: Int64
  }

  let kind: Kind
  let access_key: String
  let secret_key: String
  let token: String?
  let region: String
  let endpoint: String
  let style: String
  let bucket: String
  let time: Int64
  let method: String
  let query: [[String]]
  let headers: [[String]]
  let url: String
  let authorization: String
  // A signer's.
  let key_hex: String?
  let body_hex: String?
  // A client's.
  let operation: String?
  let facts: Facts?
  let sent_body_hex: String?

  /// The set of this folder, or that of the file that `REELFS_S3_VECTORS` names.
  static func all() throws -> [SigningVector] {
    let text =
      try ProcessInfo.processInfo.environment["REELFS_S3_VECTORS"].map {
        try String(contentsOfFile: $0, encoding: .utf8)
      } ?? signingVectors
    let vectors = try text.split(separator: "\n").map {
      try JSONDecoder().decode(SigningVector.self, from: Data($0.utf8))
    }
    guard vectors.count >= 50 else { throw Broken("only \(vectors.count) vectors") }
    return vectors
  }

  struct Broken: Error {
    let words: String
    init(_ words: String) { self.words = words }
  }

  // MARK: What is signed

  var moment: SigningTime { SigningTime(secondsSince1970: time) }

  var credentials: S3Credentials {
    get throws {
      try S3Credentials(accessKeyID: access_key, secretAccessKey: secret_key, sessionToken: token, from: "a vector")
    }
  }

  var location: S3Location {
    get throws {
      try S3Location(
        bucket: bucket, prefix: "", endpoint: try S3Endpoint(endpoint), region: region,
        style: S3Location.Style(rawValue: style))
    }
  }

  /// The request as botocore signed it, whatever it is for.
  var request: S3Request {
    get throws {
      guard let method = S3Method(rawValue: method) else { throw Broken("method \(method)") }
      let body = try bytes(body_hex ?? sent_body_hex)
      return S3Request(
        .getObject, method, key: try key, query: try query.map { S3QueryItem($0[0], bytes: try bytes($0[1])) },
        headers: headers.map { S3Header($0[0], $0[1]) }, body: body.isEmpty ? .none : .document(body))
    }
  }

  /// The same by our own constructors.
  var operationRequest: S3Request {
    get throws {
      guard let facts, let operation else { throw Broken("no operation") }
      let key = try S3Key(try bytes(facts.key_hex))
      let upload = S3Upload(key: key, id: facts.upload)
      var digester = S3ContentDigester()
      digester.update(try bytes(facts.body_hex))
      let content = digester.finished()
      switch operation {
      case "headBucket": return .headBucket()
      case "headObject": return .headObject(key)
      case "getObject": return .getObject(key, range: facts.start..<facts.end)
      case "putObject": return .putObject(key, content)
      case "createUpload": return .createUpload(key)
      case "uploadPart": return .uploadPart(facts.number, of: upload, content)
      case "copyPart":
        return .copyPart(
          facts.number, of: upload, from: try S3Key(try bytes(facts.source_hex)), in: bucket,
          range: facts.start..<facts.end)
      case "completeUpload": return .completeUpload(upload, parts: [], size: facts.end)
      case "abortUpload": return .abortUpload(upload)
      case "listParts": return .listParts(upload, after: facts.number)
      case "listUploads":
        return .listUploads(below: key.bytes, after: S3UploadMarker(key: key.bytes, id: facts.upload))
      default: throw Broken("operation \(operation)")
      }
    }
  }

  private var key: S3Key? {
    get throws {
      if operation == "headBucket" || operation == "listUploads" { return nil }
      return try S3Key(try bytes(key_hex ?? facts?.key_hex))
    }
  }

  private func bytes(_ hex: String?) throws -> [UInt8] {
    guard let hex, let bytes = Hex.bytes(hex.utf8) else { throw Broken("hexadecimal") }
    return bytes
  }
}
