public import SystemPackage

/// Why a mount cannot be served.
public enum SessionError: Error, Equatable, CustomStringConvertible {
  /// `/dev/fuse` failed; ENODEV: unmounted already.
  case device(Errno, doing: String)
  /// The descriptor is that of a mount that another program has initialised.
  case notInitialized
  /// libfuse refused what the kernel offers (its reason is on standard error).
  case refused
  /// libfuse could not be set up (its reason is on standard error).
  case libfuse
  /// The system gives no more threads.
  case threads

  public var description: String {
    switch self {
    case .device(let error, let action): "\(action): \(error)"
    case .notInitialized: "the mount's first request was taken by another program: unmount and mount again"
    case .refused: "libfuse and the kernel do not agree on a protocol"
    case .libfuse: "libfuse could not be set up"
    case .threads: "the system gives no thread for serving requests"
    }
  }
}
