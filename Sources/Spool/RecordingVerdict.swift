public import UploadProtocol

/// What verification found out about one recording.
public struct RecordingVerdict: Sendable, Equatable {
  /// Worse ones are greater.
  public enum Outcome: String, Sendable, Comparable, CaseIterable {
    /// The destination holds every byte of it, and has confirmed it as a whole.
    case verified
    /// All that is said to be stored is there; the rest is on its way.
    case pending
    /// It could not be found out.
    case unknown
    /// The destination does not hold what this machine says that it holds.
    case differs

    public static func < (left: Outcome, right: Outcome) -> Bool { left.rank < right.rank }
    private var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }
  }

  /// One thing that is not as it should be.
  public struct Difference: Sendable, Equatable {
    /// nil: it is about the recording as a whole.
    public let index: Int?
    /// Bytes of the recording; nil as `index` is.
    public let bytes: Range<Int64>?
    public let words: String
  }

  /// Differences kept, for one recording: enough to see a pattern, bounded when everything is wrong.
  public static let differencesMax = 100

  public let session: SessionID
  /// Bytes of its path below the mount's root.
  public let path: [UInt8]
  /// Bytes of the recording here, when it was looked at.
  public internal(set) var size: Int64 = 0
  public internal(set) var verifiedChunks = 0
  public internal(set) var verifiedBytes: Int64 = 0
  /// Of the verified chunks, those whose bytes are not here any more: the digest of the receipt stood for them.
  public internal(set) var chunksByReceipt = 0
  public internal(set) var pendingChunks = 0
  public internal(set) var pendingBytes: Int64 = 0
  public internal(set) var differenceCount = 0
  /// The first of them.
  public internal(set) var differences: [Difference] = []
  /// The chain of all chunk digests, computed here, is the one that the destination's manifest has.
  public internal(set) var isConfirmedAsWhole = false
  /// Why it could not be found out.
  public internal(set) var failure: String?

  init(session: SessionID, path: [UInt8]) {
    self.session = session
    self.path = path
  }

  public var outcome: Outcome {
    if differenceCount > 0 { return .differs }
    if failure != nil { return .unknown }
    return isConfirmedAsWhole && pendingChunks == 0 ? .verified : .pending
  }

  mutating func add(_ difference: Difference) {
    differenceCount += 1
    if differences.count < Self.differencesMax { differences.append(difference) }
  }

  mutating func add(_ words: String) { add(Difference(index: nil, bytes: nil, words: words)) }
}
