internal import CLinux
internal import Glibc

/// An unmount under way, on a thread of its own: umount2(2) writes back what the kernel still holds, for which it may
/// need the worker, and so the supervisor must not wait in it.
final class Unmounting: @unchecked Sendable {
  /// Becomes readable when it is done.
  let ending: CInt
  private let end: CInt
  private let mount: FuseMount
  /// Written by the thread before it writes into `end`, read by the owner after it has read that.
  private var message: String?

  /// Detaches the mount, lazily if it is in use. - Returns: nil when there are no descriptors or threads left; the mount
  /// then ends with the processes that hold it.
  static func start(_ mount: FuseMount) -> Unmounting? {
    var pipe: [CInt] = [0, 0]
    guard clinux_pipe_cloexec(&pipe) == 0 else { return nil }
    let unmounting = Unmounting(mount, ending: pipe[0], end: pipe[1])
    let retained = Unmanaged.passRetained(unmounting)
    var thread = pthread_t()
    let result = pthread_create(&thread, nil, { argument in
      if let argument { Unmanaged<Unmounting>.fromOpaque(argument).takeRetainedValue().work() }
      return nil
    }, retained.toOpaque())
    guard result == 0 else {
      retained.release()
      close(pipe[1])
      close(pipe[0])
      return nil
    }
    pthread_detach(thread)
    return unmounting
  }

  private init(_ mount: FuseMount, ending: CInt, end: CInt) {
    self.mount = mount
    self.ending = ending
    self.end = end
  }

  /// - Returns: what the user should know.
  func finish() -> String? {
    var done: UInt8 = 0
    _ = read(ending, &done, 1)
    close(ending)
    return message
  }

  private func work() {
    do throws(MountError) {
      try mount.unmount(.ifUnused)
    } catch .busy {
      do throws(MountError) {
        try mount.unmount(.lazily)
        message = "\(mount.path) is in use: detached; it ends when the files in it are closed"
      } catch {
        message = "\(error)"
      }
    } catch .notMounted {
      // Somebody was faster.
    } catch {
      message = "\(error)"
    }
    var done: UInt8 = 1
    _ = write(end, &done, 1)
    close(end)
  }
}
