import CurlTransport
import FaultyServer
import Foundation
import Synchronization
import Testing
import UploadCore
import UploadProtocol
import Zstd

@Suite("Compressed chunks")
struct CompressionTests {
  private static let text = Array(String(repeating: "The take was good. ", count: 40_000).utf8)
  private static let noise: [UInt8] = {
    var generator = SplitMix64(seed: 7)
    return (0..<ChunkLayout.chunkBytes).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
  }()

  private static func chunk(_ bytes: [UInt8], _ index: Int = 0) -> ChunkPayload {
    let digest = ChunkDigest(bytes: (0..<32).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ index) })!
    return ChunkPayload(chunk: ChunkID(Harness.session, index), version: ChunkVersion(3), digest: digest, bytes: bytes)
  }

  /// The receipt for so many bytes, whatever travelled.
  private static func receipt(_ head: RequestHead, bytes: Int) -> Behaviour {
    var answer = Answer.receipt(for: head)
    let text = String(decoding: answer.body, as: UTF8.self)
    answer.body = Array(text.replacing("\"bytes\":\(head.contentLength)", with: "\"bytes\":\(bytes)").utf8)
    return .answer(answer)
  }

  private static func isCompressed(_ head: RequestHead) -> Bool { head.header("Content-Encoding") == "zstd" }

  private static func decoded(_ frame: [UInt8]) throws -> [UInt8] {
    var output = [UInt8](repeating: 0, count: ChunkLayout.chunkBytes)
    let count = try frame.withUnsafeBytes { coded in
      try output.withUnsafeMutableBytes { try ZstdDecoder.decode(coded, into: $0) }
    }
    return Array(output[..<count])
  }

  @Test("text travels compressed, its digest is of the plain bytes, and the limit counts what travelled")
  func compressed() throws {
    let server = try FaultyServer(keepsBodies: true) { Self.receipt($0, bytes: Self.text.count) }
    let harness = try Harness(server.url, compresses: .zstd)
    let chunk = Self.chunk(Self.text)

    let outcome = try harness.outcome(of: .chunk(chunk))

    let request = try #require(server.requests.first)
    #expect(request.head.header("Content-Encoding") == "zstd")
    #expect(request.head.header("Content-Digest") == "sha-256=:\(Data(chunk.digest.bytes).base64EncodedString()):")
    #expect(request.body.count < Self.text.count / 10)
    #expect(try Self.decoded(request.body) == Self.text)
    #expect(outcome == .stored(chunk.version, chunk.digest, bytes: request.body.count))
  }

  @Test("noise travels as it is, and so does everything when nobody asked for compression")
  func plain() throws {
    let server = try FaultyServer(behave: receiver)
    _ = try Harness(server.url, compresses: .zstd).outcome(of: .chunk(Self.chunk(Self.noise)))
    _ = try Harness(server.url).outcome(of: .chunk(Self.chunk(Self.text)))

    #expect(server.requests.count == 2)
    #expect(!server.requests.contains { Self.isCompressed($0.head) })
    #expect(server.requests.map(\.bodyCount) == [Self.noise.count, Self.text.count])
  }

  @Test("a receiver that answers 415 gets that chunk and all later ones as they are, and we say so once")
  func unknownToTheReceiver() throws {
    let server = try FaultyServer(keepsBodies: true) { head in
      Self.isCompressed(head) ? .answer(.json(415, #"{"error":"content_encoding"}"#)) : .answer(.receipt(for: head))
    }
    let said = Mutex<[String]>([])
    let harness = try Harness(server.url, compresses: .zstd, onUncompressed: { words in said.withLock { $0.append(words) } })

    for index in 0..<3 {
      let chunk = Self.chunk(Self.text, index)
      #expect(try harness.outcome(of: .chunk(chunk), id: UInt64(index + 1)) == Harness.stored(chunk))
    }

    #expect(server.requests.map { Self.isCompressed($0.head) } == [true, false, false, false])
    #expect(server.requests.dropFirst().allSatisfy { $0.body == Self.text })
    #expect(said.withLock { $0.count } == 1)
    #expect(said.withLock { $0.first }?.contains("does not take zstd") == true)
  }

  @Test("a receiver from before compression, which finds another digest, gets all as it is after two of them")
  func olderReceiver() throws {
    let server = try FaultyServer { head in
      Self.isCompressed(head) ? .answer(.json(400, #"{"error":"digest_mismatch"}"#)) : .answer(.receipt(for: head))
    }
    let harness = try Harness(server.url, compresses: .zstd)

    for index in 0..<3 {
      let chunk = Self.chunk(Self.text, index)
      #expect(try harness.outcome(of: .chunk(chunk), id: UInt64(index + 1)) == Harness.stored(chunk))
    }

    #expect(server.requests.map { Self.isCompressed($0.head) } == [true, false, true, false, false])
  }

  @Test("a compressed chunk that was damaged on its way is sent again as it is, and the next one is compressed again")
  func damagedOnTheWay() throws {
    let server = try FaultyServer { head in
      if !Self.isCompressed(head) { return .answer(.receipt(for: head)) }
      return head.number == 0 || head.number == 3
        ? .answer(.json(400, #"{"error":"digest_mismatch"}"#)) : Self.receipt(head, bytes: Self.text.count)
    }
    let harness = try Harness(server.url, compresses: .zstd)

    for index in 0..<4 { _ = try harness.outcome(of: .chunk(Self.chunk(Self.text, index)), id: UInt64(index + 1)) }

    #expect(server.requests.map { Self.isCompressed($0.head) } == [true, false, true, true, false, true])
  }

  @Test("a refusal that is not about compression is the chunk's own", arguments: [401, 413, 500, 507])
  func otherRefusals(status: Int) throws {
    let server = try FaultyServer { _ in .answer(Answer(status)) }
    let harness = try Harness(server.url, compresses: .zstd)

    _ = try harness.outcome(of: .chunk(Self.chunk(Self.text)))

    #expect(server.requests.map { Self.isCompressed($0.head) } == [true])
  }

  @Test("of a recording that does not get smaller fewer and fewer chunks are tried, at last one in 65")
  func videoIsLeftAlone() {
    var memory = CompressionMemory()
    var tried: [Int] = []

    for index in 0..<1_000 where memory.mayTry(Harness.session) {
      tried.append(index)
      memory.didNotHelp(Harness.session)
    }

    #expect(Array(tried.prefix(8)) == [0, 2, 5, 10, 19, 36, 69, 134])
    #expect(tried.count == 21)
    memory.helped(Harness.session)
    let again = [memory.mayTry(Harness.session), memory.mayTry(Harness.session)]
    #expect(again == [true, true])
  }

  @Test("other recordings are tried whatever became of one, and only so many are remembered")
  func recordingsByThemselves() {
    var memory = CompressionMemory()
    for number in 0..<Int64(CompressionMemory.sessionsMax) { memory.didNotHelp(SessionID(number: number)) }

    let (another, first) = (memory.mayTry(SessionID(number: 99_999)), memory.mayTry(SessionID(number: 0)))
    #expect(another && !first)
    memory.didNotHelp(SessionID(number: 99_999))
    let forgotten = memory.mayTry(SessionID(number: 1))
    #expect(forgotten)
  }

  @Test("a chunk counts as smaller when it saves a twentieth")
  func twentieth() throws {
    let compression = try #require(ChunkCompression())
    func chunk(compressible: Int) -> ChunkPayload {
      Self.chunk(Array(Self.noise.dropLast(compressible)) + [UInt8](repeating: 0, count: compressible))
    }

    #expect(compression.frame(for: chunk(compressible: 40_000)) == nil)
    let another = try #require(ChunkCompression())
    let frame = try #require(another.frame(for: chunk(compressible: 80_000)))
    #expect(frame.count < ChunkLayout.chunkBytes * 19 / 20)
  }
}
