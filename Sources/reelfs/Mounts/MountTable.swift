/// One line of /proc/self/mountinfo, as far as reelfs needs it.
package struct MountEntry: Sendable, Equatable {
  package let path: String
  /// `fuse.reelfs` for our mounts.
  package let type: String
  package let source: String

  package init(path: String, type: String, source: String) {
    self.path = path
    self.type = type
    self.source = source
  }
}

/// What is mounted where.
package enum MountTable {
  package static let reelfsType = "fuse.reelfs"
  /// A table of 100,000 mounts; a longer one is not read.
  private static let bytesMax = 32 << 20

  static func current() throws -> [MountEntry] {
    do throws(SystemFailure) {
      return parse(try SystemFiles.read("/proc/self/mountinfo", bytesMax: bytesMax))
    } catch {
      throw CommandFailure("cannot read the mount table: \(error)")
    }
  }

  /// Lines that do not look like mountinfo are left out.
  package static func parse(_ bytes: [UInt8]) -> [MountEntry] {
    bytes.split(separator: UInt8(ascii: "\n")).compactMap { line in
      let fields = line.split(separator: UInt8(ascii: " "))
      guard let dash = fields.firstIndex(where: { $0.elementsEqual("-".utf8) }), dash >= 6,
        fields.count > dash + 2
      else { return nil }
      return MountEntry(
        path: unescaped(fields[4]), type: unescaped(fields[dash + 1]), source: unescaped(fields[dash + 2]))
    }
  }

  /// The mount that `path` (absolute, links resolved) lies in: the longest match, and of two at one place the later,
  /// which covers the earlier.
  package static func entry(for path: String, in entries: [MountEntry]) -> MountEntry? {
    var best: MountEntry?
    for entry in entries where contains(entry.path, path) {
      if let found = best, found.path.utf8.count > entry.path.utf8.count { continue }
      best = entry
    }
    return best
  }

  /// `path` is `folder` or lies below it.
  package static func contains(_ folder: String, _ path: String) -> Bool {
    folder == "/" || path == folder || path.hasPrefix(folder + "/")
  }

  /// The kernel writes blank, tab, newline and backslash as `\040` and so on.
  private static func unescaped(_ field: ArraySlice<UInt8>) -> String {
    var out: [UInt8] = []
    var rest = field
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "\\"), rest.count >= 3, rest.prefix(3).allSatisfy({ (48...55).contains($0) }) {
        out.append(rest.prefix(3).reduce(UInt8(0)) { $0 &* 8 &+ ($1 - 48) })
        rest = rest.dropFirst(3)
      } else {
        out.append(byte)
      }
    }
    return String(decoding: out, as: UTF8.self)
  }
}
