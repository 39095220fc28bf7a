internal import Glibc

/// One line of /proc/self/mountinfo.
package struct MountTableEntry: Equatable {
  package var mountpoint: String
  package var type: String
  package var source: String
  /// Major and minor number: no other mount of now has the same, unless it shows the same file system.
  package var device: UInt64

  /// `36 35 98:0 / /mnt rw,noatime master:1 - ext3 /dev/root rw`: the fields after ` - ` have no fixed position before.
  init?(line: Substring) {
    let fields = line.split(separator: " ")
    guard fields.count > 5, let dash = fields.firstIndex(of: "-"), dash + 2 < fields.count else { return nil }
    mountpoint = Self.unescaped(fields[4])
    type = String(fields[dash + 1])
    source = Self.unescaped(fields[dash + 2])
    let numbers = fields[2].split(separator: ":").compactMap { UInt64($0) }
    guard numbers.count == 2 else { return nil }
    device = numbers[0] << 32 | numbers[1]
  }

  /// Space, tab, newline and backslash come as `\` and three octal digits.
  private static func unescaped(_ field: Substring) -> String {
    var bytes: [UInt8] = []
    var rest = field.utf8[...]
    while let byte = rest.popFirst() {
      let digits = rest.prefix(3)
      if byte == UInt8(ascii: "\\"), digits.count == 3, let value = UInt8(String(Substring(digits)), radix: 8) {
        bytes.append(value)
        rest = rest.dropFirst(3)
      } else {
        bytes.append(byte)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}

/// What is mounted in this process's view.
package struct MountTable {
  let entries: [MountTableEntry]

  package init(text: String) { entries = text.split(separator: "\n").compactMap { MountTableEntry(line: $0) } }

  /// Empty when /proc is not there.
  static func read() -> MountTable {
    guard let file = fopen("/proc/self/mountinfo", "re") else { return MountTable(text: "") }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = fread(&part, 1, part.count, file)
      if count == 0 { break }
      bytes += part[..<count]
    }
    return MountTable(text: String(decoding: bytes, as: UTF8.self))
  }

  /// The topmost mount at `path`.
  package func mount(at path: String) -> MountTableEntry? { entries.last { $0.mountpoint == path } }
}
