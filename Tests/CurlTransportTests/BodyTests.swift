import CurlTransport
import Foundation
import Testing

@Suite("Request bodies")
struct BodyTests {
  @Test("base64 read from any place is a part of the whole text", arguments: 0...8)
  func base64(count: Int) {
    let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 97 &+ 13) }
    let body = RequestBody([.base64(of: bytes)])
    let text = Array(Data(bytes).base64EncodedData())
    #expect(body.count == text.count)
    for offset in 0...text.count {
      for room in 0...5 {
        #expect(read(body, from: offset, room: room) == Array(text[offset...].prefix(room)))
      }
    }
  }

  @Test("pieces follow each other without a seam, whatever the size of the reads", arguments: [1, 2, 3, 7, 64, 10_000])
  func pieces(room: Int) {
    let digests = (0..<320).map { UInt8(truncatingIfNeeded: $0) }
    let body = RequestBody([.plain(Array("head".utf8)), .plain([]), .base64(of: digests), .plain(Array("tail".utf8))])
    var bytes: [UInt8] = []
    while bytes.count < body.count { bytes += read(body, from: bytes.count, room: room) }
    #expect(bytes == Array("head".utf8) + Array(Data(digests).base64EncodedData()) + Array("tail".utf8))
    #expect(read(body, from: body.count, room: room).isEmpty)
    #expect(read(body, from: body.count + 5, room: room).isEmpty)
  }

  private func read(_ body: RequestBody, from offset: Int, room: Int) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
      count = body.copy(from: offset, into: UnsafeMutableRawBufferPointer(buffer))
    }
  }
}
