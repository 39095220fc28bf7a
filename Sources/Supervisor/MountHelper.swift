internal import CLinux
internal import Glibc
internal import SystemPackage

/// fusermount3, the set-user-id program that mounts for ordinary users. It hands `/dev/fuse` back over the socket whose
/// number it finds in `_FUSE_COMMFD`.
package enum MountHelper {
  private static let program = "fusermount3"
  /// The child's number of the socket.
  private static let socketInChild: CInt = 3

  static func mount(_ path: String, _ options: MountOptions) throws(MountError) -> FileDescriptor {
    var ends: [CInt] = [0, 0]
    guard socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
      throw .system(Errno(rawValue: errno), doing: "making a socket for \(program)")
    }
    defer { close(ends[0]) }
    var words = ["fsname=\(options.source)", "subtype=\(options.type)", "default_permissions", "nosuid", "nodev"]
    if options.allowOther { words.append("allow_other") }
    if options.readOnly { words.append("ro") }
    let run: Run
    do throws(MountError) {
      run = try start(
        ["-o", words.joined(separator: ","), "--", path],
        environment: ["_FUSE_COMMFD=\(socketInChild)"], socket: ends[1])
    } catch {
      close(ends[1])
      throw error
    }
    close(ends[1])
    let device = clinux_receive_descriptor(ends[0])
    let words2 = run.finish()
    guard device >= 0 else { throw meaning(of: words2.text, path) }
    return FileDescriptor(rawValue: device)
  }

  static func unmount(_ path: String, _ how: FuseMount.Unmounting) throws(MountError) {
    let run = try start((how == .lazily ? ["-u", "-z"] : ["-u"]) + ["--", path], environment: [], socket: nil)
    let result = run.finish()
    if !result.succeeded { throw meaning(of: result.text, path) }
  }

  /// Its messages are the only way to tell its refusals apart.
  package static func meaning(of words: String, _ path: String) -> MountError {
    if words.contains("user_allow_other") { return .otherUsersForbidden }
    if words.contains("/dev/fuse") && words.contains("No such") { return .noDevice }
    if words.contains("busy") { return .busy(path) }
    if words.contains("not found in /etc/mtab") || words.contains("not mounted") { return .notMounted(path) }
    return .helper(words.isEmpty ? "it ended without a word" : words)
  }

  private struct Run {
    let process: pid_t
    let errors: CInt

    func finish() -> (succeeded: Bool, text: String) {
      var bytes: [UInt8] = []
      var part = [UInt8](repeating: 0, count: 4096)
      while true {
        let count = read(errors, &part, part.count)
        if count < 0, errno == EINTR { continue }
        // More than a screenful would be no message.
        if count <= 0 || bytes.count > 1 << 16 { break }
        bytes += part[..<count]
      }
      close(errors)
      var status: CInt = 0
      while waitpid(process, &status, 0) < 0, errno == EINTR {}
      let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
      let text = lines.map { $0.hasPrefix("\(program): ") ? $0.dropFirst(program.count + 2) : $0[...] }
      return (status == 0, text.joined(separator: "; "))
    }
  }

  private static func start(
    _ arguments: [String], environment: [String], socket: CInt?
  ) throws(MountError) -> Run {
    var errors: [CInt] = [0, 0]
    guard clinux_pipe_cloexec(&errors) == 0 else {
      throw .system(Errno(rawValue: errno), doing: "making a pipe for \(program)")
    }
    var inherited = [Inherited(errors[1], as: 2)]
    if let socket { inherited.append(Inherited(socket, as: socketInChild)) }
    let result = spawn(
      program, name: program, arguments, environment: environment, inherited: inherited, newSession: false)
    close(errors[1])
    switch result {
    case .success(let process): return Run(process: process, errors: errors[0])
    case .failure(let error):
      close(errors[0])
      throw error == .noSuchFileOrDirectory ? .noHelper : .system(error, doing: "starting \(program)")
    }
  }
}
