internal import CLinux
internal import Glibc
internal import Synchronization

/// A thread of our own that serves requests: never one of Swift's pool, which must not block.
struct PoolThread: @unchecked Sendable {
  /// Our deepest call is a file system's method over plain file calls; SQLite wants some tens of KiB.
  private static let stackBytes = 512 << 10

  private let id: pthread_t

  private final class Start {
    let thread: RequestThread
    let pool: RequestPool
    let name: String
    init(_ thread: RequestThread, _ pool: RequestPool, _ name: String) {
      self.thread = thread
      self.pool = pool
      self.name = name
    }
  }

  /// Starts one, which `RequestPool.run` gets. - Returns: false when the system gives no more threads.
  static func start(name: String, serving thread: RequestThread, in pool: RequestPool) -> Bool {
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    defer { pthread_attr_destroy(&attributes) }
    pthread_attr_setstacksize(&attributes, stackBytes)
    let start = Unmanaged.passRetained(Start(thread, pool, name))
    var id = pthread_t()
    let result = pthread_create(&id, &attributes, { argument in
      guard let argument else { return nil }
      let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
      clinux_name_thread(start.name)
      start.thread.number.store(clinux_thread_number(), ordering: .releasing)
      let crashStack = clinux_begin_crash_stack()
      defer { clinux_end_crash_stack(crashStack) }
      clinux_set_thread_pointer(Unmanaged.passUnretained(start.thread).toOpaque())
      start.pool.run(start.thread, PoolThread(id: pthread_self()))
      clinux_set_thread_pointer(nil)
      return nil
    }, start.toOpaque())
    guard result == 0 else {
      start.release()
      return false
    }
    return true
  }

  func join() { pthread_join(id, nil) }
}
