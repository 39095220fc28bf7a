import CurlTransport
import Foundation
import Testing
import UploadCore
import UploadProtocol

@Suite("Requests of the chunk protocol")
struct RequestTests {
  @Test("announcing says who, what and which path")
  func announcement() throws {
    let request = try requests().request(for: .announce(Harness.announcement), bytesPerSecondMax: nil)
    let body = try object(request)

    #expect(request.method == .put)
    #expect(request.url == "http://there/upload/sessions/sess_0000000000001234")
    #expect(body["device"] as? String == "camera")
    #expect(body["path"] as? String == "takes/one.wav")
    #expect(body["path_base64"] == nil)
    #expect(body["writer"] as? String == "writer-1")
    #expect(body["metadata"] as? [String: String] == ["take": "1"])
  }

  @Test("names and attributes that are not UTF-8 travel as base64")
  func bytesOfNames() throws {
    let facts = SessionFacts(path: [0x61, 0xff, 0x62], inode: 1)
    let announcement = SessionAnnouncement(session: Harness.session, facts: facts, metadata: ["raw": [0xfe, 0]])
    let body = try object(requests().request(for: .announce(announcement), bytesPerSecondMax: nil))

    #expect(body["path"] == nil)
    #expect(body["path_base64"] as? String == "Yf9i")
    #expect(body["metadata"] as? [String: String] == ["raw_base64": "/gA="])
  }

  @Test("names with quotes, backslashes and control characters stay what they are")
  func quotedNames() throws {
    let name = "a \"b\"\\ \n\u{1}ü😀.mkv"
    let facts = SessionFacts(path: Array(name.utf8), inode: 1)
    let manifest = RecordingManifest(session: Harness.session, facts: facts, revision: 1, size: 0, digests: [])
    let body = try object(requests().request(for: .complete(manifest), bytesPerSecondMax: nil))
    #expect(body["path"] as? String == name)
    #expect(body["digests"] as? String == "")
  }

  @Test("completing carries the size and every digest", arguments: [1, 2, 3, 10_000])
  func completion(chunks: Int) throws {
    let manifest = Harness.manifest(chunks: chunks)
    let request = try requests().request(for: .complete(manifest), bytesPerSecondMax: nil)
    let body = try object(request)

    #expect(request.method == .post)
    #expect(request.url == "http://there/upload/sessions/sess_0000000000001234/complete")
    #expect(body["size"] as? Int64 == manifest.size)
    #expect(Data(base64Encoded: body["digests"] as? String ?? "") == Data(manifest.digests))
    #expect(body["path"] as? String == "takes/one.wav")
    #expect(body["writer"] as? String == "writer-1")
    #expect(request.stallTimeout == .seconds(300))
  }

  @Test("small recordings travel behind one line that says what each is")
  func recordings() throws {
    let batch = [Harness.whole(1, count: 3, metadata: ["take": Array("1".utf8)]), Harness.whole(2, count: 5)]
    let request = try requests().request(for: .recordings(batch), bytesPerSecondMax: nil)
    let body = try #require(request.body)
    var bytes = [UInt8](repeating: 0, count: body.count)
    let copied = bytes.withUnsafeMutableBytes { body.copy(from: 0, into: $0) }

    #expect(copied == body.count)
    #expect(request.method == .post)
    #expect(request.url == "http://there/upload/recordings")
    let end = try #require(bytes.firstIndex(of: UInt8(ascii: "\n")))
    #expect(Array(bytes[(end + 1)...]) == batch[0].bytes + batch[1].bytes)
    let head = try #require(try JSONSerialization.jsonObject(with: Data(bytes[..<end])) as? [String: Any])
    #expect(head["device"] as? String == "camera")
    #expect(head["writer"] as? String == "writer-1")
    let entries = try #require(head["recordings"] as? [[String: Any]])
    #expect(entries.map { $0["session_id"] as? String } == batch.map(\.announcement.session.description))
    #expect(entries.map { $0["bytes"] as? Int } == [3, 5])
    #expect(entries[0]["path"] as? String == "day/take 1")
    #expect(entries[0]["metadata"] as? [String: String] == ["take": "1"])
    #expect(entries[1]["chunk_version"] as? Int == 3)
    #expect(entries[1]["sha256"] as? String == batch[1].digest.description)
  }

  @Test("without a token no Authorization is sent")
  func noToken() throws {
    let request = try requests(token: nil).request(for: .probe, bytesPerSecondMax: nil)
    #expect(request.headers == ["Upload-Writer: writer-1"])
    #expect(request.body == nil)
  }

  private func requests(token: String? = "secret") throws -> ChunkRequests {
    let destination = try ChunkDestination(
      baseURL: "http://there", device: "camera", writer: "writer-1", token: token)
    return ChunkRequests(destination, uploadTimeout: .seconds(60))
  }

  private func object(_ request: HTTPRequest) throws -> [String: Any] {
    let body = try #require(request.body)
    let bytes = [UInt8](unsafeUninitializedCapacity: body.count) { buffer, count in
      count = body.copy(from: 0, into: UnsafeMutableRawBufferPointer(buffer))
    }
    return try #require(JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any])
  }
}

@Suite("Destinations")
struct DestinationTests {
  @Test("slashes at the end of an address do not matter, a prefix stays")
  func address() throws {
    #expect(try destination("https://host:8443/up//").baseURL == "https://host:8443/up")
    #expect(try destination("http://[::1]:80").baseURL == "http://[::1]:80")
  }

  @Test(
    "an address that cannot be one is refused before anything is sent",
    arguments: [
      "", "host:8090", "ftp://host", "http://", "http://ho st", "http://host/?a=b", "http://host/#x", "http://me@host",
      "http://host:port", "http://host:99999",
    ])
  func unusableAddress(address: String) {
    #expect { try destination(address) } throws: { error in
      guard case .unusableAddress(address, let reason) = error as? DestinationError else { return false }
      return !reason.isEmpty
    }
  }

  @Test("text that would break a header line is refused", arguments: ["", "a b", "a\r\nHost: x", "ü", "\u{7f}"])
  func unusableText(text: String) {
    #expect(throws: DestinationError.unusableToken) {
      try ChunkDestination(baseURL: "http://host", device: "d", writer: "w", token: text)
    }
    #expect(throws: DestinationError.unusableWriter) {
      try ChunkDestination(baseURL: "http://host", device: "d", writer: text)
    }
  }

  @Test("a device has a name")
  func emptyDevice() {
    #expect(throws: DestinationError.emptyDevice) {
      try ChunkDestination(baseURL: "http://host", device: "", writer: "w")
    }
  }

  private func destination(_ address: String) throws -> ChunkDestination {
    try ChunkDestination(baseURL: address, device: "camera", writer: "writer-1")
  }
}
