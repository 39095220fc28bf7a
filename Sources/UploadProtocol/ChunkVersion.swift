/// Counts the re-seals of one chunk, from 1. A higher version always wins; an answer about a lower one is ignored.
public struct ChunkVersion: Hashable, Comparable, Sendable, CustomStringConvertible {
  public let number: UInt32

  /// - Parameter number: 1 or more.
  public init(_ number: UInt32) {
    precondition(number > 0, "versions count from 1")
    self.number = number
  }

  public static let first = ChunkVersion(1)

  /// The version after this one. Four thousand million re-seals of one chunk do not happen.
  public var next: ChunkVersion { ChunkVersion(number + 1) }

  public var description: String { String(number) }

  public static func < (left: ChunkVersion, right: ChunkVersion) -> Bool { left.number < right.number }
}
