internal import CLinux
internal import Foundation
internal import Glibc
public import SystemPackage

/// One mount's own folder: the recordings as plain files, the journal, and what identifies this client.
public struct StateDirectory: Sendable {
  public let path: FilePath
  public var recordings: FilePath { path.appending("recordings") }
  public var orphans: FilePath { path.appending("orphans") }
  public var journal: FilePath { path.appending("journal.sqlite") }

  /// Makes what is missing. The folder is the owner's alone: it holds every recording.
  public init(path: FilePath) throws(StateDirectoryError) {
    self.path = path
    do {
      try FileManager.default.createDirectory(
        atPath: path.string, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
      try FileManager.default.createDirectory(
        atPath: orphans.string, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
      if !FileManager.default.fileExists(atPath: recordings.string) {
        try FileManager.default.createDirectory(
          atPath: recordings.string, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o755])
      }
    } catch {
      throw StateDirectoryError("cannot make the state directory \(path): \(error.localizedDescription)")
    }
  }

  /// Takes the folder for one mount. The lock lives as long as the descriptor or a copy of it, in whatever process.
  /// The worker has a lock of its own, because it goes on serving when its supervisor is killed.
  /// - Parameter patience: how long whoever has it may take to end. A process that was killed keeps its lock until it has
  ///   closed its files, and those that have no name any more are given back to the disk then.
  public func lock(forWorker: Bool = false, patience: Duration = .zero) throws(StateDirectoryError) -> FileDescriptor {
    let file = path.appending(forWorker ? "lock.worker" : "lock").string
    let descriptor = Glibc.open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      throw StateDirectoryError("cannot open \(file): \(Errno(rawValue: Glibc.errno))")
    }
    let end = ContinuousClock.now + patience
    while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
      guard ContinuousClock.now < end else {
        close(descriptor)
        throw StateDirectoryError(
          "another reelfs uses the state directory \(path): unmount it first, or give this mount its own with --state-dir")
      }
      usleep(10_000)  // flock(2) waits for ever or not at all.
    }
    return FileDescriptor(rawValue: descriptor)
  }

  /// This client's random id, made once: sessions at the receiver belong to it.
  public func writerID() throws(StateDirectoryError) -> String {
    let file = path.appending("writer").string
    if let text = try? String(contentsOfFile: file, encoding: .utf8), text.count == 32 { return text }
    var generator = SystemRandomNumberGenerator()
    let text = (0..<2).map { _ in
      let digits = String(generator.next(), radix: 16)
      return String(repeating: "0", count: 16 - digits.count) + digits
    }.joined()
    do { try Self.writeDurably(text, to: file, in: path.string) } catch {
      throw StateDirectoryError("cannot write \(file): \(error)")
    }
    return text
  }

  /// A power cut must not cost this client its identity: the receiver would refuse it every session that it began.
  private static func writeDurably(_ text: String, to file: String, in folder: String) throws(Errno) {
    let descriptor = Glibc.open(file + ".new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw Errno(rawValue: Glibc.errno) }
    let isWritten = Array(text.utf8).withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) } == text.utf8.count
    let isSynced = isWritten && fsync(descriptor) == 0
    let reason = Errno(rawValue: Glibc.errno)
    close(descriptor)
    guard isSynced else { throw reason }
    guard rename(file + ".new", file) == 0 else { throw Errno(rawValue: Glibc.errno) }
    let parent = Glibc.open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard parent >= 0 else { throw Errno(rawValue: Glibc.errno) }
    defer { close(parent) }
    guard fsync(parent) == 0 else { throw Errno(rawValue: Glibc.errno) }
  }
}
