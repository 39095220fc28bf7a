/// Where a recording was made: the device, and the path below its mount, as bytes.
///
/// Every component is a valid entry name, so no path leads out of the data folder.
struct RecordingPath: Hashable, Sendable, CustomStringConvertible {
  /// Bytes of the path, slashes included: the kernel's own limit.
  static let byteCountMax = 4_096

  let device: EntryName
  /// At least one.
  let components: [EntryName]

  init(device: some Sequence<UInt8>, path: some Sequence<UInt8>) throws(ReceiverError) {
    guard let device = EntryName(device) else {
      throw .badPath("The device must have 1 to 255 bytes, no slash and no NUL, and be neither . nor ..")
    }
    let path = Array(path)
    guard path.count <= Self.byteCountMax else { throw .badPath("The path is longer than \(Self.byteCountMax) bytes.") }
    var components: [EntryName] = []
    for part in path.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false) {
      guard let name = EntryName(part) else {
        throw .badPath("Each part of the path must have 1 to 255 bytes, no NUL, and be neither . nor ..")
      }
      components.append(name)
    }
    self.device = device
    self.components = components
  }

  /// The path's bytes, without the device.
  var bytes: [UInt8] { Array(components.map(\.bytes).joined(separator: [UInt8(ascii: "/")])) }

  /// The name of the whole recording in its session's folder; `_` is appended where the receiver needs the name.
  var fileName: EntryName {
    let last = components[components.count - 1]
    if last == DataFolder.tempName || last == DataFolder.manifestName {
      return EntryName(internal: last.description + "_")
    }
    return last
  }

  /// Repaired where it is not UTF-8: for messages only.
  var description: String { String(decoding: device.bytes + [UInt8(ascii: "/")] + bytes, as: UTF8.self) }

  /// The address under which the recording can be read.
  var location: String {
    "/recordings/" + ([device] + components).map { PercentEncoding.encode($0.bytes) }.joined(separator: "/")
  }

  /// Reads what follows `/recordings/` in a request's address.
  init(percentEncoded text: some StringProtocol) throws(ReceiverError) {
    guard let bytes = PercentEncoding.decode(text.utf8) else { throw .badPath("The address has a broken % sequence.") }
    guard let slash = bytes.firstIndex(of: UInt8(ascii: "/")) else { throw .notFound }
    try self.init(device: bytes[..<slash], path: bytes[(slash + 1)...])
  }
}

enum PercentEncoding {
  /// Everything but the unreserved characters of RFC 3986 becomes `%XX`.
  static func encode(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789ABCDEF".utf8)
    var text: [UInt8] = []
    for byte in bytes {
      switch byte {
      case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
        UInt8(ascii: "~"):
        text.append(byte)
      default: text += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      }
    }
    return String(decoding: text, as: UTF8.self)
  }

  /// nil for a `%` that is not followed by two hexadecimal digits.
  static func decode(_ text: some Sequence<UInt8>) -> [UInt8]? {
    var bytes: [UInt8] = []
    var iterator = text.makeIterator()
    while let byte = iterator.next() {
      guard byte == UInt8(ascii: "%") else {
        bytes.append(byte)
        continue
      }
      guard let high = iterator.next(), let low = iterator.next(),
        let value = UInt8(String(decoding: [high, low], as: UTF8.self), radix: 16), high != UInt8(ascii: "+")
      else { return nil }
      bytes.append(value)
    }
    return bytes
  }
}
