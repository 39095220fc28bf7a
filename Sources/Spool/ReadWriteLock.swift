internal import Glibc

/// pthread's read-write lock. A reader must not take it twice: a waiting writer would stop the second.
final class ReadWriteLock: @unchecked Sendable {
  // The lock guards itself; its address is stable because it is allocated once.
  private let lock = UnsafeMutablePointer<pthread_rwlock_t>.allocate(capacity: 1)

  init() { pthread_rwlock_init(lock, nil) }

  deinit {
    pthread_rwlock_destroy(lock)
    lock.deallocate()
  }

  func lockShared() { pthread_rwlock_rdlock(lock) }
  func lockExclusive() { pthread_rwlock_wrlock(lock) }
  func unlock() { pthread_rwlock_unlock(lock) }
}
