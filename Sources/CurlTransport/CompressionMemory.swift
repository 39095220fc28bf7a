package import UploadProtocol

/// Remembers of each recording whether compressing its chunks was worth it, so that video costs next to nothing.
///
/// A recording whose chunk did not get smaller is left alone for one chunk, then for 2, 4, … up to 64, until one does.
package struct CompressionMemory {
  /// Of a long video, one chunk in so many is tried in vain.
  package static let restMax = 64
  /// Recordings remembered; then all are forgotten, which costs one chunk tried in vain for each.
  package static let sessionsMax = 1_024

  private struct Rest {
    /// Chunks that are not tried.
    var left: Int
    /// How many there will be after the next one in vain.
    var next: Int
  }

  private var rests: [SessionID: Rest] = [:]

  package init() {}

  /// Whether to try the next chunk of `session`; each call stands for one chunk.
  package mutating func mayTry(_ session: SessionID) -> Bool {
    guard let rest = rests[session], rest.left > 0 else { return true }
    rests[session]?.left -= 1
    return false
  }

  package mutating func helped(_ session: SessionID) { rests[session] = nil }

  package mutating func didNotHelp(_ session: SessionID) {
    let count = rests[session]?.next ?? 1
    if rests[session] == nil, rests.count >= Self.sessionsMax { rests.removeAll() }
    rests[session] = Rest(left: count, next: min(Self.restMax, count * 2))
  }
}
