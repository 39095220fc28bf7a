internal import Glibc
internal import SystemPackage

/// The program file that children are started from: the very file this process runs, whatever has been put in its place
/// meanwhile; after a planned restart the file that lies at its path then.
struct Program {
  /// Where it lies, for argument 0 and for upgrades.
  let path: String
  private let file: CInt

  /// The program this process runs.
  static func current() throws(Errno) -> Program {
    var bytes = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
    let count = readlink("/proc/self/exe", &bytes, bytes.count - 1)
    guard count > 0 else { throw Errno(rawValue: errno) }
    let path = String(decoding: bytes[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return try Program(path: path, opening: "/proc/self/exe")
  }

  /// What lies at the path now.
  func upgraded() throws(Errno) -> Program { try Program(path: path, opening: path) }

  func close() { Glibc.close(file) }

  /// A name under which a child can execute it, also when the path leads elsewhere by now.
  var executable: String { "/proc/\(getpid())/fd/\(file)" }

  private init(path: String, opening name: String) throws(Errno) {
    file = open(name, 0o10000000 /* O_PATH, a macro that depends on _GNU_SOURCE */ | O_CLOEXEC)
    guard file >= 0 else { throw Errno(rawValue: errno) }
    self.path = path
  }
}
