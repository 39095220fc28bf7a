/// A node as the kernel names it. 1 is the root; others are the file system's choice and must mean the same after a
/// restart of the worker.
public struct NodeID: RawRepresentable, Hashable, Sendable {
  public let rawValue: UInt64
  public init(rawValue: UInt64) { self.rawValue = rawValue }
  public static let root = NodeID(rawValue: 1)
}

/// An open file or directory as the kernel names it (`fh`): the file system's choice.
public struct HandleID: RawRepresentable, Hashable, Sendable {
  public let rawValue: UInt64
  public init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// A name within a directory: bytes without NUL or slash, not UTF-8.
public struct FileName: Hashable, Sendable {
  public let bytes: [UInt8]
  public init(bytes: [UInt8]) { self.bytes = bytes }
  public init(_ string: String) { self.bytes = Array(string.utf8) }
  /// What is created has no name (O_TMPFILE).
  public static let none = FileName("/")
  /// For people; invalid UTF-8 is repaired.
  public var text: String { String(decoding: bytes, as: UTF8.self) }
}
