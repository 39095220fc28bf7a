import Dispatch
import Logging
import Synchronization

/// The door to stored data: any task asks, one thread writes.
///
/// Requests that wait together are stored together (group commit): one sync a touched file, one transaction for all.
/// Whatever was answered with success is durable.
final class Vault: Sendable {
  /// Requests that may wait: all bodies that may be in memory, and as many others. More are told to come again.
  static let waitingMax = 256

  private struct Queue {
    var jobs: [VaultJob] = []
    var isScheduled = false
    var isStopping = false
  }

  private let queue = Mutex(Queue())
  /// The writer's only thread. A serial queue, so no thread sits idle when nobody uploads.
  private let thread = DispatchQueue(label: "reelfs.receiver.vault")
  private let writer: VaultWriter

  init(folder: DataFolder, catalog: Catalog, sessionsMax: Int, logger: Logger) {
    writer = VaultWriter(folder: folder, catalog: catalog, sessionsMax: sessionsMax, logger: logger)
  }

  /// Mends what an interrupted run left, before the first request. Blocks.
  func recover() throws(ReceiverError) {
    let result = thread.sync { () -> Result<Void, ReceiverError> in
      do throws(ReceiverError) {
        try writer.recover(resume: { [weak self] job in self?.postAlways(job) })
        return .success(())
      } catch { return .failure(error) }
    }
    try result.get()
  }

  /// - Throws: why nothing was stored; on success the chunk is durable.
  func store(_ upload: ChunkUpload) async throws(ReceiverError) {
    try await ask { .chunk(upload, $0) }
  }

  func announce(_ announcement: Announcement) async throws(ReceiverError) -> SessionRecord {
    try await ask { .announce(announcement, $0) }
  }

  func complete(_ completion: Completion) async throws(ReceiverError) -> CompletedRecording {
    try await ask { .complete(completion, $0) }
  }

  /// - Throws: what kept all of them from being stored.
  /// - Returns: one outcome for each, in their order; on success the recording is durable and whole.
  func store(_ uploads: [WholeUpload]) async throws(ReceiverError) -> [Result<CompletedRecording, ReceiverError>] {
    try await ask { .wholes(uploads, $0) }
  }

  /// Runs `body` on the vault's thread, between the commits of others.
  func perform<Value: Sendable>(
    _ body: @escaping @Sendable (VaultWriter) throws(ReceiverError) -> Value
  ) async throws(ReceiverError) -> Value {
    try await ask { (answer: Answer<Value>) in
      .task { writer in answer(writer.outcome { () throws(ReceiverError) in try body(writer) }) }
    }
  }

  /// Finishes what waits, then refuses everything else. Blocks.
  func stop() {
    queue.withLock { $0.isStopping = true }
    thread.sync {
      drain()
      writer.stop()
    }
  }

  private func ask<Value: Sendable>(_ job: (Answer<Value>) -> VaultJob) async throws(ReceiverError) -> Value {
    let result = await withCheckedContinuation {
      (continuation: CheckedContinuation<Result<Value, ReceiverError>, Never>) in
      let answer = Answer(continuation)
      if let refusal = post(job(answer)) { answer(.failure(refusal)) }
    }
    return try result.get()
  }

  /// - Returns: why the job was not taken.
  private func post(_ job: VaultJob) -> ReceiverError? {
    let outcome = queue.withLock { queue -> (refusal: ReceiverError?, mustSchedule: Bool) in
      if queue.isStopping { return (.stopping, false) }
      if queue.jobs.count >= Self.waitingMax { return (.busy(retryAfterSeconds: 1), false) }
      queue.jobs.append(job)
      defer { queue.isScheduled = true }
      return (nil, !queue.isScheduled)
    }
    if outcome.mustSchedule { thread.async { self.drain() } }
    return outcome.refusal
  }

  /// For the vault's own messages: at most one a session waits, so they need no limit.
  private func postAlways(_ job: VaultJob) {
    let mustSchedule = queue.withLock { queue in
      queue.jobs.append(job)
      defer { queue.isScheduled = true }
      return !queue.isScheduled
    }
    if mustSchedule { thread.async { self.drain() } }
  }

  /// Runs on `thread` until nothing waits and nothing is left to fold.
  private func drain() {
    while true {
      let jobs = queue.withLock { queue in
        let jobs = queue.jobs
        queue.jobs = []
        if jobs.isEmpty && !writer.hasWork { queue.isScheduled = false }
        return jobs
      }
      if jobs.isEmpty && !writer.hasWork { return }
      writer.run(jobs)
    }
  }
}
