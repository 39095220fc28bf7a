internal import Foundation
internal import Glibc

/// A recorder in a process of its own, for mounts that nobody serves for a while. A test process that starts the next
/// server may have no file open there: the child that becomes the server closes its copies of them first, each close is a
/// FLUSH, and the one who would answer it is not there yet.
///
/// It appends blocks, changes earlier bytes through a second descriptor now and then, and does the same to a file outside
/// of the mount, the truth. It ends with the first call that fails.
public final class OutsideWriter {
  private let process: Child
  private let folder: String

  /// - Parameters:
  ///   - path: the file in the mount; made anew.
  ///   - folder: an existing one outside of any mount, for the truth and what else is needed.
  public init(path: String, folder: String) throws {
    self.folder = folder
    process = try Child(["/bin/sh", "-c", Self.script, "writer", path, folder], output: folder + "/writer-errors")
  }

  /// Where a copy of all that it wrote lies.
  public var truth: String { folder + "/writer-truth" }

  /// Bytes written so far, whether or not the mount is served.
  public var count: Int {
    var facts = stat()
    return stat(truth, &facts) == 0 ? Int(facts.st_size) : 0
  }

  /// - Throws: what it complained of.
  public func stop() throws {
    _ = FileManager.default.createFile(atPath: folder + "/writer-stop", contents: nil)
    guard try process.wait() == 0 else { throw Failure("the writer: \(process.said)") }
  }

  // Not the shell's own printf: of a failed write(2) it might say nothing.
  private static let script = """
    set -e
    block=$2/writer-block truth=$2/writer-truth rounds=0
    exec 3>"$1" 4>"$truth"
    while [ ! -e "$2/writer-stop" ]; do
      head -c 65536 /dev/urandom >"$block"
      cat "$block" >&3
      rounds=$((rounds + 1))
      if [ $((rounds % 8)) = 0 ]; then
        for file in "$1" "$truth"; do
          dd if="$block" of="$file" bs=4097 count=1 seek="$rounds" conv=notrunc status=none
        done
      fi
      cat "$block" >&4
      sleep 0.01
    done
    exec 3>&-
    """
}
