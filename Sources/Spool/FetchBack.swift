internal import Synchronization
internal import UploadCore
internal import UploadProtocol

/// Brings back chunks that were given up here and that a destination is still to be sent. On a thread of its own: the
/// evictor must not be kept from making room for recorders meanwhile.
final class FetchBack: Sendable {
  private unowned let spool: Spool
  private let thread = BackgroundThread(name: "reelfs-fetch", niceness: 5)
  /// Recordings that are being brought back, one window each.
  private let busy = Mutex<Set<SessionID>>([])

  /// Chunks brought back at once of one recording: they take room here until they are stored everywhere, 32 MiB for each of
  /// the transfers that a destination has in flight at most.
  private static let window = 32

  init(spool: Spool) { self.spool = spool }

  /// From chunk `index` on. Whoever needs them asks again.
  func begin(_ recording: Recording, from index: Int) {
    guard busy.withLock({ $0.insert(recording.session).inserted }) else { return }
    thread.add { [self] in
      defer { busy.withLock { _ = $0.remove(recording.session) } }
      guard let evicted = try? recording.knownEvicted() else { return }
      for index in (index..<index + Self.window).filter(evicted.contains) {
        // Without room it goes beyond the quota: what must be sent may be what keeps everything else here.
        try? spool.evictor.makeRoom(Int64(ChunkLayout.chunkBytes))
        do { try recording.hydrate([index]) } catch { return }
      }
    }
  }

  /// Compares chunk `index` with what a destination has acknowledged, after a power cut.
  func check(_ recording: Recording, _ index: Int) {
    thread.add { try? recording.hydrate([index]) }
  }

  func stop() { thread.stop() }
}
