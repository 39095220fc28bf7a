import Foundation
import Glibc
import Synchronization
package import UploadCore
import UploadProtocol

/// Carries uploads into a folder. Another disk or a network folder may take its time, so a thread of its own does the
/// work, one request after the other; the uploader thread only waits for what it reports.
package final class FolderTransport: UploadTransport, Sendable {
  private let clock: any MonotonicClock
  private let condition = NSCondition()
  /// Guarded by `condition`.
  private nonisolated(unsafe) var waiting: [(id: TransferID, payload: UploadPayload)] = []
  private nonisolated(unsafe) var reports: [UploadEvent] = []
  private nonisolated(unsafe) var cancelled: Set<TransferID> = []
  private nonisolated(unsafe) var isWoken = false
  private nonisolated(unsafe) var isStopping = false
  /// Longest single wait, so that a missed wake could never be for ever.
  private static let waitSecondsMax = 60.0

  package init(_ store: FolderStore, clock: any MonotonicClock) {
    self.clock = clock
    let thread = Thread { [weak self] in
      var store = store
      while let job = self?.next() {
        let outcome = Self.carryOut(job.payload, &store) { self?.report(.progressed(job.id, bytes: 0)) }
        self?.finished(job.id, outcome)
      }
    }
    thread.name = "reelfs-folder"
    thread.stackSize = 1 << 20
    thread.start()
  }

  /// Ends the wait of `poll`; any thread may call it.
  package func wake() {
    condition.withLock {
      isWoken = true
      condition.broadcast()
    }
  }

  /// Ends the thread after what it has in hand.
  package func stop() {
    condition.withLock {
      isStopping = true
      condition.broadcast()
    }
  }

  package func start(_ transfer: Transfer, _ payload: UploadPayload) {
    condition.withLock {
      waiting.append((transfer.id, payload))
      condition.broadcast()
    }
  }

  package func cancel(_ id: TransferID) {
    condition.withLock {
      let before = waiting.count + reports.count
      waiting.removeAll { $0.id == id }
      reports.removeAll { if case .transferred(id, _) = $0 { true } else { false } }
      // Otherwise the thread has it in hand: its report is dropped.
      if waiting.count + reports.count == before { cancelled.insert(id) }
    }
  }

  package func poll(until deadline: Instant?) -> [UploadEvent] {
    condition.lock()
    defer { condition.unlock() }
    while reports.isEmpty, !isWoken {
      let rest = deadline.map { Double(($0 - clock.now).nanoseconds) / 1e9 } ?? Self.waitSecondsMax
      if rest <= 0 { break }
      _ = condition.wait(until: Date(timeIntervalSinceNow: min(rest, Self.waitSecondsMax)))
      if deadline == nil, reports.isEmpty, !isWoken { break }
    }
    isWoken = false
    defer { reports = [] }
    return reports
  }

  // MARK: The thread

  private func next() -> (id: TransferID, payload: UploadPayload)? {
    condition.lock()
    defer { condition.unlock() }
    while waiting.isEmpty, !isStopping { condition.wait() }
    return isStopping ? nil : waiting.removeFirst()
  }

  private func finished(_ id: TransferID, _ outcome: TransferOutcome) {
    condition.withLock {
      guard cancelled.remove(id) == nil else { return }
      reports.append(.transferred(id, outcome))
      condition.broadcast()
    }
  }

  private func report(_ event: UploadEvent) {
    condition.withLock {
      // One sign of life between two polls is enough.
      guard reports.isEmpty else { return }
      reports.append(event)
      condition.broadcast()
    }
  }

  private static func carryOut(
    _ payload: UploadPayload, _ store: inout FolderStore, moved: () -> Void
  ) -> TransferOutcome {
    if case .probe = payload { return store.look() }
    // A disk that is gone leaves its empty folder behind: look before every write.
    let there = store.look()
    guard there == .reachable else { return there }
    do throws(FolderError) {
      switch payload {
      case .probe: return there
      case .announce(let announcement): return try store.announce(announcement.session, announcement.facts)
      case .chunk(let chunk): return try store.store(chunk, moved: moved)
      case .complete(let manifest): return try store.complete(manifest, moved: moved)
      case .recordings: return .recordingsUntaken
      }
    } catch {
      return error.outcome
    }
  }
}

/// Reads stored chunks back from a folder. Any thread may call it.
package struct FolderFetcher: Sendable {
  private let store: FolderStore

  package init(_ store: FolderStore) { self.store = store }

  /// The bytes of a stored chunk, unchecked: the caller knows the digest.
  package func fetch(_ chunk: ChunkID) throws -> [UInt8] { try store.bytes(of: chunk) }
}
