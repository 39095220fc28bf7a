import SyncStatus

/// The file that holds the bearer token: one line.
package enum TokenFile {
  /// Longer lines would not fit the header limits of common servers.
  package static let bytesMax = 4_096

  /// - Throws: a sentence with the path, when the file cannot be read or holds no usable token.
  package static func read(_ path: String) throws(CommandFailure) -> String {
    let bytes: [UInt8]
    do throws(SystemFailure) {
      bytes = try SystemFiles.read(path, bytesMax: bytesMax + 2)
    } catch {
      throw CommandFailure("the token file cannot be read: \(error)")
    }
    let line = bytes.prefix { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") }
    guard !line.isEmpty else { throw CommandFailure("the token file \(path) is empty") }
    guard bytes.dropFirst(line.count).allSatisfy({ $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }) else {
      throw CommandFailure("the token file \(path) has more than one line")
    }
    guard line.count <= bytesMax, line.allSatisfy({ (0x21...0x7E).contains($0) }) else {
      throw CommandFailure("the token in \(path) may hold only printable ASCII without blanks, at most 4096 characters")
    }
    return String(decoding: line, as: UTF8.self)
  }
}
