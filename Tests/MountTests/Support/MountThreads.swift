import Foundation

/// Runs what mount tests do: blocking calls, which must not take the threads that all other tests share.
final class MountThreads: TaskExecutor {
  /// Most of a test is waiting for uploads and settle times: four keep a small machine busy, and a large one calm.
  static let shared = MountThreads(width: 4)

  private let queue = OperationQueue()

  private init(width: Int) { queue.maxConcurrentOperationCount = width }

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    queue.addOperation { [self] in job.runSynchronously(on: asUnownedTaskExecutor()) }
  }
}
