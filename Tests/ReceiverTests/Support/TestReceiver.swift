import Crypto
import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Logging
import NIOCore
import Receiver
import Testing

let mebibyte = 1 << 20

/// Bytes that look random and are the same in every run.
func noise(_ count: Int, seed: UInt64) -> [UInt8] {
  var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
  var bytes: [UInt8] = []
  bytes.reserveCapacity(count + 8)
  while bytes.count < count {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    withUnsafeBytes(of: state.littleEndian) { bytes.append(contentsOf: $0) }
  }
  return Array(bytes.prefix(count))
}

func chunk(_ index: Int, of recording: [UInt8]) -> [UInt8] {
  Array(recording[index * mebibyte..<min(recording.count, (index + 1) * mebibyte)])
}

func digests(of recording: [UInt8]) -> [UInt8] {
  stride(from: 0, to: recording.count, by: mebibyte).flatMap { start in
    Array(SHA256.hash(data: recording[start..<min(recording.count, start + mebibyte)]))
  }
}

/// Runs `body` against a receiver on `folder`, then stops it; calling it again is a restart.
@discardableResult
func withReceiver<Value>(
  on folder: TemporaryFolder, token: String? = nil,
  limits: ReceiverConfiguration.Limits = ReceiverConfiguration.Limits(), live: Bool = false,
  _ body: @escaping @Sendable (Uploader) async throws -> Value
) async throws -> Value {
  var logger = Logger(label: "receiver-tests")
  logger.logLevel = .critical
  let receiver = try Receiver(
    configuration: ReceiverConfiguration(listenPort: 0, dataDirectory: folder.data, token: token, limits: limits),
    logger: logger)
  do {
    let value = try await receiver.application.test(live ? .live : .router) { client in
      try await body(Uploader(client: client))
    }
    receiver.stop()
    return value
  } catch {
    receiver.stop()
    throw error
  }
}

/// A client of the protocol, as plain as any HTTP client may be.
struct Uploader: Sendable {
  let client: any TestClientProtocol

  struct Answer {
    let status: Int
    let headers: HTTPFields
    let bytes: [UInt8]

    var json: [String: Any] {
      (try? JSONSerialization.jsonObject(with: Data(bytes))) as? [String: Any] ?? [:]
    }
    var error: String? { json["error"] as? String }
  }

  func send(
    _ method: HTTPRequest.Method, _ uri: String, _ headers: [String: String] = [:], body: [UInt8]? = nil
  ) async throws -> Answer {
    var fields = HTTPFields()
    for (name, value) in headers { fields[try #require(HTTPField.Name(name))] = value }
    let response = try await client.executeRequest(
      uri: uri, method: method, headers: fields, body: body.map { ByteBuffer(bytes: $0) })
    return Answer(
      status: response.status.code, headers: response.headers, bytes: Array(response.body.readableBytesView))
  }

  @discardableResult
  func put(
    _ bytes: [UInt8], as index: Int, in session: String, version: Int? = nil, writer: String? = nil,
    headers: [String: String] = [:]
  ) async throws -> Answer {
    var all = ["Session-Id": session, "Chunk-Index": String(index)]
    if let version { all["Chunk-Version"] = String(version) }
    if let writer { all["Upload-Writer"] = writer }
    return try await send(.post, "/upload/chunk", all.merging(headers) { $1 }, body: bytes)
  }

  /// Sends all chunks of a recording, in order.
  func upload(_ recording: [UInt8], as session: String) async throws {
    for index in 0..<(recording.count + mebibyte - 1) / mebibyte {
      let answer = try await put(chunk(index, of: recording), as: index, in: session)
      #expect(answer.status == 200)
    }
  }

  @discardableResult
  func announce(_ session: String, _ body: [String: Any]) async throws -> Answer {
    let bytes = Array(try JSONSerialization.data(withJSONObject: body))
    return try await send(.put, "/upload/sessions/\(session)", body: bytes)
  }

  @discardableResult
  func complete(
    _ session: String, _ recording: [UInt8], path: String? = "take.wav", device: String = "studio",
    writer: String? = nil
  ) async throws -> Answer {
    var body: [String: Any] = ["size": recording.count, "digests": Data(digests(of: recording)).base64EncodedString()]
    if let path { (body["path"], body["device"]) = (path, device) }
    if let writer { body["writer"] = writer }
    let bytes = Array(try JSONSerialization.data(withJSONObject: body))
    return try await send(.post, "/upload/sessions/\(session)/complete", body: bytes)
  }
}
