import Synchronization

/// Counts lengths of time in buckets, from any thread, without a lock.
public final class DurationHistogram: Sendable {
  /// Of the buckets, ascending; what is longer than the last falls into one without.
  public let bounds: [Span]
  /// One more than bounds, at most `bucketsMax`.
  private let counts: InlineArray<16, Atomic<UInt64>> = InlineArray { _ in Atomic(0) }
  private let nanoseconds = Atomic<UInt64>(0)

  /// A dozen bounds tell enough, and each is a series for ever.
  public static let bucketsMax = 16

  public init(bounds: [Span]) {
    precondition(bounds.count < Self.bucketsMax && bounds == bounds.sorted(), "ascending bounds, and few")
    self.bounds = bounds
  }

  /// Of system calls: 50 µs to 2.5 s.
  public static func ofCalls() -> DurationHistogram {
    DurationHistogram(
      bounds: [50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 100_000, 500_000, 2_500_000].map {
        Span(nanoseconds: $0 * 1_000)
      })
  }

  /// Of requests and of waiting for them: 50 ms to a day.
  public static func ofUploads() -> DurationHistogram {
    DurationHistogram(
      bounds: [50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000, 1_800_000, 7_200_000, 86_400_000]
        .map(Span.milliseconds))
  }

  public func add(_ span: Span) {
    let bucket = bounds.firstIndex { span <= $0 } ?? bounds.count
    counts[bucket].add(1, ordering: .relaxed)
    nanoseconds.add(UInt64(clamping: span.nanoseconds), ordering: .relaxed)
  }

  /// As of now, give or take what is being added meanwhile.
  public var snapshot: (counts: [UInt64], sum: Span) {
    var counts: [UInt64] = []
    for bucket in 0...bounds.count { counts.append(self.counts[bucket].load(ordering: .relaxed)) }
    return (counts, Span(nanoseconds: Int64(clamping: nanoseconds.load(ordering: .relaxed))))
  }
}
