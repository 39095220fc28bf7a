import Foundation
import Glibc
import TestSupport
import Testing

/// Requests that crash the worker each time are refused; requests that are only there when it dies are not.
@Suite(.serialized, .enabled(if: ProbeMount.isPossible, "/dev/fuse is missing or forbidden"), .timeLimit(.minutes(2)))
struct PoisonTests {
  private func withMount(_ body: (ProbeMount) throws -> Void) throws {
    let mount = try ProbeMount("mount", environment: ["FUSE_PROBE_FAULTS": "1"])
    defer { mount.remove() }
    try body(mount)
  }

  @Test(
    "a request that always crashes the worker gets EIO after three crashes, and the mount goes on",
    arguments: ["poison-trap", "poison-abort", "poison-fault", "poison-overflow"])
  func refused(name: String) throws {
    try withMount { mount in
      let file = open(mount.path("file"), O_RDWR | O_CREAT, 0o644)
      #expect(write(file, "one", 3) == 3)

      #expect(mkdir(mount.path(name), 0o755) == -1 && errno == EIO)

      #expect(write(file, "two", 3) == 3 && close(file) == 0)
      #expect(mkdir(mount.path("harmless"), 0o755) == 0)
      // Said after the answer: nobody is to wait for a log.
      try eventually("it is said once") {
        mount.said.components(separatedBy: "MKDIR of node 1: this request is refused").count == 2
      }
    }
  }

  @Test("the same for a big write, which comes through a pipe, and the next requests come through it unharmed")
  func bigWrite() throws {
    try withMount { mount in
      let file = open(mount.path("poison-abort"), O_RDWR | O_CREAT, 0o644)
      let bytes = [UInt8](repeating: 7, count: 1 << 20)
      #expect(pwrite(file, bytes, bytes.count, 0) == -1 && errno == EIO)
      // Said after the answer: nobody is to wait for a log.
      try eventually("it is said: \(mount.said)") { mount.said.contains("WRITE of node") }
      #expect(close(file) == 0)

      let other = open(mount.path("other"), O_RDWR | O_CREAT, 0o644)
      for round in 0..<16 { #expect(pwrite(other, bytes, bytes.count, off_t(round << 20)) == bytes.count) }
      #expect(close(other) == 0)
      #expect(FileManager.default.contents(atPath: mount.backing("other")) == Data(repeating: 7, count: 16 << 20))
    }
  }

  @Test("one poisoned request after another is refused: they do not use up the worker's restarts together")
  func many() throws {
    try withMount { mount in
      for _ in 0..<6 { #expect(mkdir(mount.path("poison-abort"), 0o755) == -1 && errno == EIO) }
      #expect(mkdir(mount.path("harmless"), 0o755) == 0)
    }
  }

  @Test("two requests that crash at the same time are both refused, a request that waits meanwhile is not")
  func inFlightTogether() throws {
    try withMount { mount in
      let waiting = try Waiting(mount)
      let calls = ["poison-late", "poison-abort"].map { name in
        let path = mount.path(name)
        return Call { mkdir(path, 0o755) }
      }
      for call in calls { #expect(try call.end() == EIO) }
      #expect(!waiting.call.isOver)
      #expect(try waiting.end() == 0)
      #expect(!mount.said.contains("FSYNC"))
    }
  }

  @Test("a request that waits while somebody kills the worker twenty times ends well", arguments: [SIGKILL, SIGSEGV])
  func killedFromOutside(signal: Int32) throws {
    try withMount { mount in
      let waiting = try Waiting(mount)
      for _ in 0..<20 {
        let waits = mount.folder + "/back/waits"
        try eventually("the request waits again: \(mount.said)") { access(waits, F_OK) == 0 }
        #expect(unlink(waits) == 0)
        // A signal that looks like a crash, as soon as that, would count against the worker (`healthySeconds`).
        if signal == SIGSEGV { usleep(600_000) }
        let worker = try #require(mount.worker)
        kill(worker, signal)
        try eventually("the worker has died") { kill(worker, 0) != 0 }
      }
      #expect(!waiting.call.isOver)
      #expect(try waiting.end() == 0)
      #expect(!mount.said.contains("refused"))
    }
  }
}

/// A system call on a thread of its own.
private final class Call {
  private final class Result: @unchecked Sendable {
    // Written by the thread, read after that has ended.
    var error: Int32 = -1
  }
  private let result = Result()
  private let thread: Thread

  init(_ body: @escaping @Sendable () -> Int32) {
    let result = result
    thread = Thread { result.error = body() == 0 ? 0 : errno }
    thread.start()
  }

  var isOver: Bool { thread.isFinished }

  /// - Returns: its errno, 0 for success.
  func end() throws -> Int32 {
    try eventually("the call returns") { thread.isFinished }
    return result.error
  }
}

/// An fsync that is answered when the test says so.
private struct Waiting {
  let call: Call
  private let go: String

  init(_ mount: ProbeMount) throws {
    go = mount.folder + "/back/go"
    let path = mount.path("waiting")
    call = Call {
      let file = open(path, O_RDWR | O_CREAT, 0o644)
      defer { close(file) }
      return fsync(file)
    }
    try eventually("the request waits") { access(mount.folder + "/back/waits", F_OK) == 0 }
  }

  func end() throws -> Int32 {
    _ = FileManager.default.createFile(atPath: go, contents: nil)
    return try call.end()
  }
}
