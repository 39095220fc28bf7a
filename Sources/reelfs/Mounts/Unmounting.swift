import Glibc

/// Takes a FUSE mount away: by umount(2) as root, else through fusermount3, which may do it for its own user.
enum Unmounting {
  static func unmount(_ path: String) throws(CommandFailure) {
    // The page, `status --watch` and the like look into the mount for an instant each second: no reason to refuse.
    for _ in 1..<triesMax {
      if umount2(path, 0) == 0 { return }
      guard errno == EBUSY else { break }
      usleep(triesPauseMicroseconds)
    }
    if umount2(path, 0) == 0 { return }
    switch errno {
    case EPERM: try fusermount(path)
    case EBUSY: throw busy(path)
    case EINVAL, ENOENT: throw CommandFailure("\(path) is not mounted")
    case let number: throw CommandFailure("cannot unmount \(path): \(String(cString: strerror(number)))")
    }
  }

  /// Half a second: whoever holds the mount for longer is at work there.
  private static let triesMax = 10
  private static let triesPauseMicroseconds: UInt32 = 50_000

  private static func fusermount(_ path: String) throws(CommandFailure) {
    guard let status = run(["fusermount3", "-u", "--", path]) else {
      throw CommandFailure("fusermount3 is missing: install fuse3, or unmount as root")
    }
    // fusermount3 has told why on standard error; a busy mount is by far the usual reason.
    guard status == 0 else { throw busy(path) }
  }

  private static func busy(_ path: String) -> CommandFailure {
    CommandFailure("\(path) is in use: stop the recorder and leave the folder first (fuser -vm \(path) shows who)")
  }

  /// Runs a program and waits for it.
  /// - Returns: its exit status, 128 and more after a signal; nil when it could not be started.
  static func run(_ arguments: [String]) -> Int32? {
    var pointers: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
    defer { for pointer in pointers { free(pointer) } }
    pointers.append(nil)
    var process: pid_t = 0
    guard let program = pointers[0], posix_spawnp(&process, program, nil, nil, pointers, environ) == 0 else {
      return nil
    }
    var status: Int32 = 0
    while waitpid(process, &status, 0) < 0 {
      guard errno == EINTR else { return nil }
    }
    let signal = status & 0x7F
    return signal == 0 ? (status >> 8) & 0xFF : 128 + signal
  }
}
