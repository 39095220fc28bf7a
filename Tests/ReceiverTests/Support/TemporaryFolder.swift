import Foundation
import Testing

/// A folder of its own for each test, removed when the test ends.
final class TemporaryFolder: Sendable {
  let path: String

  init() throws {
    let url = FileManager.default.temporaryDirectory.appendingPathComponent("receiver-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    path = url.path
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  var data: String { path + "/uploaded_data" }

  func bytes(_ relative: String) -> [UInt8]? {
    FileManager.default.contents(atPath: data + "/" + relative).map { Array($0) }
  }

  func exists(_ relative: String) -> Bool { FileManager.default.fileExists(atPath: data + "/" + relative) }

  func names(_ relative: String) -> [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: data + "/" + relative)) ?? []).sorted()
  }

  func write(_ bytes: [UInt8], to relative: String) throws {
    let url = URL(fileURLWithPath: data + "/" + relative)
    try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(bytes).write(to: url)
  }

  func inode(_ relative: String) throws -> UInt64 {
    let attributes = try FileManager.default.attributesOfItem(atPath: data + "/" + relative)
    return try #require(attributes[.systemFileNumber] as? UInt64)
  }
}
