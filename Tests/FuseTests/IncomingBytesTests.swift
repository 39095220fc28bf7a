import Foundation
import Fuse
import SystemPackage
import Testing

@Suite struct IncomingBytesTests {
  @Test("bytes in memory are written where they belong and can be read")
  func memory() throws {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString).path
    defer { try? FileManager.default.removeItem(atPath: path) }
    let file = try FileDescriptor.open(
      FilePath(path), .readWrite, options: [.create, .exclusiveCreate], permissions: .ownerReadWrite)
    defer { try? file.close() }
    let bytes = IncomingBytes([1, 2, 3])

    let written = try bytes.copy(to: file, at: 5)

    #expect(written == 3)
    #expect(bytes.count == 3)
    #expect(try bytes.bytes() == [1, 2, 3])
    #expect(FileManager.default.contents(atPath: path) == Data([0, 0, 0, 0, 0, 1, 2, 3]))
  }
}
