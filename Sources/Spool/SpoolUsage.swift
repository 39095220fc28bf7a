internal import Dispatch
internal import Synchronization

/// Bytes of the local disk that recordings take, kept up to date to within a chunk an open recording.
public final class SpoolUsage: Sendable {
  private let total = Atomic<Int64>(0)
  private let complete = Atomic(false)
  private let counted = DispatchSemaphore(value: 0)

  public var bytes: Int64 { max(0, total.load(ordering: .relaxed)) }
  func add(_ bytes: Int64) { total.add(bytes, ordering: .relaxed) }

  /// Recovery has counted every recording that was there at the start.
  var isComplete: Bool { complete.load(ordering: .acquiring) }
  func setComplete() {
    if !complete.exchange(true, ordering: .acquiringAndReleasing) { counted.signal() }
  }

  /// Waits for that, at most 2 s: as long as a writer waits for room.
  func waitUntilComplete() {
    guard !isComplete, counted.wait(timeout: .now() + .seconds(2)) == .success else { return }
    // The next one waits in vain otherwise.
    counted.signal()
  }
}
