import GRDB
import Logging

/// Deletes what nobody goes on with, and finishes what was interrupted: at the start and from time to time.
struct TusSweeper: Sendable {
  let store: TusStore
  let logger: Logger

  /// Uploads looked at in one read; there may be as many as sessions.
  private static let pageMax = 500

  /// Sweeps at once and again and again, until the task is cancelled.
  func start() -> Task<Void, Never> {
    // An expired upload takes at most a quarter longer; no more often than every second, at least every hour.
    let seconds = max(1, min(3_600, store.limits.tusExpirySeconds / 4))
    return Task {
      while !Task.isCancelled {
        await sweep()
        try? await Task.sleep(for: .seconds(seconds))
      }
    }
  }

  private func sweep() async {
    var last: Int64 = 0
    while !Task.isCancelled {
      let after = last
      do throws(ReceiverError) {
        let page = try await store.vault.perform { writer throws(ReceiverError) in
          try writer.cataloged { catalog throws(CatalogError) in
            try catalog.read { db in try TusUpload.fetchUnfinished(db, after: after, limit: Self.pageMax) }
          }
        }
        guard let end = page.last else { return }
        for entry in page { await settle(entry) }
        last = end.number
      } catch {
        if error != .stopping { logger.warning("uploads were not swept", metadata: ["reason": "\(error)"]) }
        return
      }
    }
  }

  private func settle(_ entry: TusUpload.SweepEntry) async {
    // What is being written to is not abandoned.
    guard let id = entry.id, store.locks.takeIfFree(id) else { return }
    defer { store.locks.release(id) }
    do throws(ReceiverError) {
      if entry.isRemoved { return try await store.remove(id) }
      let upload = try await store.upload(id)
      if upload.kind == .final && !upload.session.isComplete {
        // Its parts were being put together when the receiver ended; nobody was told its address.
        return try await store.remove(id)
      }
      _ = try await store.finishIfFull(id, upload)
    } catch .gone {
      await expire(id)
    } catch .notFound {
      // Deleted since it was listed.
    } catch {
      if error != .stopping {
        logger.warning("an upload was not settled", metadata: ["upload": "\(id)", "reason": "\(error)"])
      }
    }
  }

  private func expire(_ id: TusID) async {
    do throws(ReceiverError) {
      try await store.remove(id)
      logger.info("an abandoned upload has expired", metadata: ["upload": "\(id)"])
    } catch {
      logger.warning("an expired upload was not deleted", metadata: ["upload": "\(id)", "reason": "\(error)"])
    }
  }
}
