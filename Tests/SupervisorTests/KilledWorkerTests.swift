import Foundation
import Glibc
import TestSupport
import Synchronization
import Testing

/// SIGKILL of the worker, again and again, while the mount is in use: nobody sees an error, nothing happens twice.
@Suite(.serialized, .enabled(if: ProbeMount.isPossible, "/dev/fuse is missing or forbidden"), .timeLimit(.minutes(2)))
struct KilledWorkerTests {
  private static let kills = 12
  /// A restart takes some 15 ms on an idle machine; tests run on machines that are busy with other tests.
  private static let stallMax = Duration.seconds(5)

  @Test("steady writing with patches of earlier bytes: no error, no lost byte, no long stall")
  func writing() throws {
    let mount = try ProbeMount("mount")
    defer { mount.remove() }
    let writer = Writer(path: mount.path("recording"))

    let thread = Thread { writer.run() }
    thread.start()
    try killWorkers(of: mount)
    writer.stop()
    try eventually("the writer has ended") { thread.isFinished }

    #expect(writer.error == nil)
    #expect(writer.longest < Self.stallMax)
    #expect(try Data(contentsOf: URL(fileURLWithPath: mount.path("recording"))) == writer.expected)
    #expect(try Data(contentsOf: URL(fileURLWithPath: mount.backing("recording"))) == writer.expected)
  }

  @Test("create, mkdir, rename, link, symlink, setxattr, unlink, rmdir: none fails and none happens twice")
  func names() throws {
    let mount = try ProbeMount("mount")
    defer { mount.remove() }
    let churns = (0..<3).map { Churn(folder: mount.path("d\($0)")) }

    let threads = churns.map { churn in Thread { churn.run() } }
    threads.forEach { $0.start() }
    try killWorkers(of: mount)
    churns.forEach { $0.stop() }
    try eventually("the threads have ended") { threads.allSatisfy(\.isFinished) }

    for churn in churns {
      #expect(churn.failure == nil)
      #expect(churn.rounds > 0)
    }
  }

  @Test("open files and their offsets, locks and open folders outlive the worker")
  func handles() throws {
    let mount = try ProbeMount("mount")
    defer { mount.remove() }
    let file = open(mount.path("file"), O_RDWR | O_CREAT, 0o644)
    let removed = open(mount.path("removed"), O_RDWR | O_CREAT, 0o644)
    #expect(write(removed, "grave", 5) == 5)
    #expect(unlink(mount.path("removed")) == 0)
    #expect(flock(file, LOCK_EX) == 0)
    let folder = try #require(opendir(mount.path("")))

    try killWorkers(of: mount, count: 1)

    #expect(write(file, "kept", 4) == 4)
    let other = open(mount.path("file"), O_RDWR)
    #expect(flock(other, LOCK_EX | LOCK_NB) == -1 && errno == EWOULDBLOCK)
    var bytes = [UInt8](repeating: 0, count: 5)
    #expect(pread(removed, &bytes, 5, 0) == 5 && bytes == Array("grave".utf8))
    var names = 0
    while readdir(folder) != nil { names += 1 }
    #expect(names == 3)
    for descriptor in [file, removed, other] { #expect(close(descriptor) == 0) }
    #expect(closedir(folder) == 0)
  }

  private func killWorkers(of mount: ProbeMount, count: Int = kills) throws {
    let seed = UInt64.random(in: 0..<1_000_000)
    print("moments of seed \(seed)")
    var moments = Moments(state: seed)
    for _ in 0..<count {
      // The moment is what is tested: any will do.
      usleep(.random(in: 100_000...500_000, using: &moments))
      // Killed while it starts, each time, it would rightly be given up: so after it has answered once.
      // statvfs(3) is never answered from the kernel's caches.
      var status = statvfs()
      try eventually("there is a worker that serves") { mount.worker != nil && statvfs(mount.path(""), &status) == 0 }
      if let worker = mount.worker { kill(worker, SIGKILL) }
    }
  }
}

/// SplitMix64, so that a seed names a sequence of moments.
private struct Moments: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var word = (state ^ state >> 30) &* 0xBF58_476D_1CE4_E5B9
    word = (word ^ word >> 27) &* 0x94D0_49BB_1331_11EB
    return word ^ word >> 31
  }
}

/// Appends blocks and goes back to patch now and then, until told to stop.
final class Writer: @unchecked Sendable {
  // Written by its thread, read by the test after that has ended.
  private(set) var expected = Data()
  private(set) var error: String?
  private(set) var longest = Duration.zero
  private let path: String
  private let mustStop = Atomic(false)

  init(path: String) { self.path = path }

  func stop() { mustStop.store(true, ordering: .relaxed) }

  func run() {
    let file = open(path, O_RDWR | O_CREAT, 0o644)
    var count: UInt8 = 0
    while !mustStop.load(ordering: .relaxed), error == nil {
      count &+= 1
      let isPatch = count % 16 == 0 && expected.count > 4096
      let block = Data(repeating: count, count: isPatch ? 512 : 65_536)
      let offset = isPatch ? Int(count) * 8 : expected.count
      let start = ContinuousClock.now
      let written = block.withUnsafeBytes { pwrite(file, $0.baseAddress, $0.count, off_t(offset)) }
      if written != block.count { error = "pwrite: \(written), errno \(errno)" }
      longest = max(longest, ContinuousClock.now - start)
      expected.replaceSubrange(offset..<min(offset + block.count, expected.count), with: block)
      usleep(2_000)
    }
    if fsync(file) != 0 || close(file) != 0 { error = "at the end: errno \(errno)" }
  }
}

/// Makes, moves and removes names in a folder of its own, until told to stop.
private final class Churn: @unchecked Sendable {
  // Written by its thread, read by the test after that has ended.
  private(set) var rounds = 0
  private(set) var failure: String?
  private let folder: String
  private let mustStop = Atomic(false)

  init(folder: String) { self.folder = folder }

  func stop() { mustStop.store(true, ordering: .relaxed) }

  func run() {
    check("mkdir", mkdir(folder, 0o755))
    while !mustStop.load(ordering: .relaxed), failure == nil {
      rounds += 1
      round(folder + "/m\(rounds)", folder + "/done\(rounds)")
    }
  }

  private func round(_ made: String, _ done: String) {
    check("mkdir", mkdir(made, 0o755))
    let file = open(made + "/x.part", O_WRONLY | O_CREAT | O_EXCL, 0o644)
    check("create", file < 0 ? -1 : 0)
    check("write", write(file, "data", 4) == 4 ? 0 : -1)
    check("close", close(file))
    check("rename", rename(made + "/x.part", made + "/x"))
    check("link", link(made + "/x", made + "/y"))
    check("symlink", symlink("x", made + "/s"))
    check("unlink", unlink(made + "/y"))
    check("rename of a folder", rename(made, done))
    let names = try? FileManager.default.contentsOfDirectory(atPath: done).sorted()
    check("list", names == ["s", "x"] ? 0 : -1)
    check("read", FileManager.default.contents(atPath: done + "/x") == Data("data".utf8) ? 0 : -1)
    check("unlink", unlink(done + "/s"))
    check("unlink", unlink(done + "/x"))
    check("rmdir", rmdir(done))
  }

  private func check(_ what: String, _ result: Int32) {
    let error = errno
    if result != 0, failure == nil { failure = "\(what) in round \(rounds): errno \(error)" }
  }
}
