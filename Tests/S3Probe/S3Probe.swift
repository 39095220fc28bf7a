import Foundation
import S3Protocol

struct ProbeLine: Decodable {
  let sign: String?
  let read: String?
  // To sign.
  let key_hex: String?
  let source_hex: String?
  let body_hex: String?
  let upload: String?
  let number: Int?
  let range: [Int64]?
  let size: Int64?
  let parts: [[String]]?
  let attributes: [String: String]?
  /// Seconds to add to the clock.
  let skew: Int64?
  let secret: String?
  // To read.
  let status: Int?
  let headers: [String: String]?
}

/// One bucket, as an S3 client of ours sees it.
struct S3Probe {
  private let location: S3Location
  private let credentials: S3Credentials
  private let reader: S3AnswerReader

  init(bucket: String, style: String?, environment: [String: String]) throws {
    let settings = try S3Settings(environment: environment, files: S3SettingsFiles())
    credentials = try settings.credentials()
    location = try S3Location(
      bucket: bucket, prefix: "", endpoint: try settings.endpoint(), region: try settings.region(),
      style: try settings.style(flag: style))
    reader = S3AnswerReader(location)
  }

  func answer(to line: ProbeLine) throws -> [String: Any] {
    if let operation = line.sign { return try signed(operation, line) }
    guard let operation = line.read else { throw Unknown(words: "neither sign nor read") }
    let answer = S3Answer(
      status: line.status ?? 0, headers: line.headers ?? [:], body: try bytes(line.body_hex ?? ""))
    do {
      return try value(operation, answer, line)
    } catch let refusal as S3Refusal {
      return [
        "meaning": "\(refusal.meaning)", "words": refusal.words, "code": refusal.code ?? "",
        "server_time": answer.serverTime ?? 0,
      ]
    }
  }

  // MARK: Requests

  private func signed(_ operation: String, _ line: ProbeLine) throws -> [String: Any] {
    let body = try bytes(line.body_hex ?? "")
    let now = Int64(Date().timeIntervalSince1970) + (line.skew ?? 0)
    let used = try line.secret.map {
      try S3Credentials(accessKeyID: credentials.accessKeyID, secretAccessKey: $0, from: "the line")
    }
    var signer = S3Signer(credentials: used ?? credentials, region: location.region)
    let signed = signer.sign(
      try request(operation, line, body), to: location, at: SigningTime(secondsSince1970: now))
    let sent: [UInt8]
    switch signed.body {
    case .none: sent = []
    case .document(let bytes): sent = bytes
    case .content: sent = body
    }
    return [
      "method": signed.method.rawValue, "url": signed.url, "headers": signed.headers.map { [$0.name, $0.value] },
      "body_hex": Hex.text(sent),
    ]
  }

  private func request(_ operation: String, _ line: ProbeLine, _ body: [UInt8]) throws -> S3Request {
    var digester = S3ContentDigester()
    digester.update(body)
    let content = digester.finished()
    let range = line.range.map { $0[0]..<$0[1] }
    let metadata = S3Metadata(attributes: (line.attributes ?? [:]).mapValues { Array($0.utf8) })
    switch operation {
    case "headBucket": return .headBucket()
    case "headObject": return .headObject(try key(line.key_hex))
    case "getObject": return .getObject(try key(line.key_hex), range: range)
    case "putObject": return .putObject(try key(line.key_hex), content, metadata: metadata)
    case "createUpload": return .createUpload(try key(line.key_hex), metadata: metadata)
    case "uploadPart": return .uploadPart(line.number ?? 1, of: try upload(line), content)
    case "copyPart":
      return .copyPart(
        line.number ?? 1, of: try upload(line), from: try key(line.source_hex), in: location.bucket, range: range ?? 0..<1)
    case "completeUpload":
      let parts = try (line.parts ?? []).map { pair in
        guard let number = Int(pair[0]) else { throw Unknown(words: "part \(pair[0])") }
        return S3Part(number: number, etag: pair[1])
      }
      return .completeUpload(try upload(line), parts: parts, size: line.size)
    case "abortUpload": return .abortUpload(try upload(line))
    case "listParts": return .listParts(try upload(line), after: line.number)
    case "listUploads": return .listUploads(below: try bytes(line.key_hex ?? ""))
    default: throw Unknown(words: operation)
    }
  }

  // MARK: Answers

  private func value(_ operation: String, _ answer: S3Answer, _ line: ProbeLine) throws -> [String: Any] {
    switch operation {
    case "headBucket":
      try reader.bucket(answer)
      return [:]
    case "headObject":
      let object = try reader.object(answer)
      return ["size": object.size, "etag": object.etag ?? ""]
    case "getObject":
      return ["body_hex": Hex.text(try reader.bytes(answer, range: line.range.map { $0[0]..<$0[1] }))]
    case "putObject": return ["etag": try reader.putObject(answer) ?? ""]
    case "createUpload": return ["upload": try reader.createdUpload(answer, of: try key(line.key_hex)).id]
    case "uploadPart": return ["etag": try reader.uploadedPart(answer, number: line.number ?? 1).etag]
    case "copyPart": return ["etag": try reader.copiedPart(answer, number: line.number ?? 1).etag]
    case "completeUpload": return ["etag": try reader.completedUpload(answer)]
    case "abortUpload":
      try reader.abortedUpload(answer)
      return [:]
    case "listParts":
      let page = try reader.parts(answer)
      return ["parts": page.parts.map { [$0.part.number, $0.part.etag, $0.size] as [Any] }, "next": page.next ?? 0]
    case "listUploads":
      let page = try reader.uploads(answer)
      return ["uploads": page.uploads.map { [Hex.text($0.upload.key.bytes), $0.upload.id] }, "more": page.next != nil]
    default: throw Unknown(words: operation)
    }
  }

  private func upload(_ line: ProbeLine) throws -> S3Upload {
    guard let id = line.upload else { throw Unknown(words: "no upload") }
    return S3Upload(key: try key(line.key_hex), id: id)
  }

  private func key(_ hex: String?) throws -> S3Key { try S3Key(try bytes(hex ?? "")) }

  private func bytes(_ hex: String) throws -> [UInt8] {
    guard let bytes = Hex.bytes(hex.utf8) else { throw Unknown(words: "hexadecimal") }
    return bytes
  }

  struct Unknown: Error {
    let words: String
  }
}
