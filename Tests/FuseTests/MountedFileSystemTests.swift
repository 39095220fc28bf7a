import CLinux
import Foundation
import Glibc
import TestSupport
import Testing

/// A real mount of the probe's passthrough file system, in one process without a supervisor.
@Suite(.enabled(if: ProbeMount.isPossible, "/dev/fuse is missing or forbidden"), .timeLimit(.minutes(1)))
struct MountedFileSystemTests {
  private func withMount(_ body: (ProbeMount) throws -> Void) throws {
    let mount = try ProbeMount("serve")
    defer { mount.remove() }
    try body(mount)
  }

  @Test("what is written is read back and lies in the backing file, at every size of request")
  func readAndWrite() throws {
    try withMount { mount in
      for count in [1, 4_095, 4_096, 65_537, 1 << 20, (3 << 20) + 17] {
        let bytes = Data((0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) })
        try bytes.write(to: URL(fileURLWithPath: mount.path("file")))
        #expect(try Data(contentsOf: URL(fileURLWithPath: mount.path("file"))) == bytes)
        #expect(try Data(contentsOf: URL(fileURLWithPath: mount.backing("file"))) == bytes)
      }
    }
  }

  @Test("names: make, link, rename, list, remove")
  func names() throws {
    try withMount { mount in
      #expect(mkdir(mount.path("folder"), 0o755) == 0)
      #expect(mkdir(mount.path("folder"), 0o755) == -1 && errno == EEXIST)
      #expect(creat(mount.path("folder/a"), 0o640) >= 0)
      #expect(link(mount.path("folder/a"), mount.path("folder/b")) == 0)
      #expect(symlink("a", mount.path("folder/s")) == 0)
      #expect(mkfifo(mount.path("folder/p"), 0o600) == 0)
      #expect(rename(mount.path("folder/a"), mount.path("c")) == 0)
      let listed = try FileManager.default.contentsOfDirectory(atPath: mount.path("folder")).sorted()
      #expect(listed == ["b", "p", "s"])
      let target = try FileManager.default.destinationOfSymbolicLink(atPath: mount.path("folder/s"))
      #expect(target == "a")
      #expect(rmdir(mount.path("folder")) == -1 && errno == ENOTEMPTY)
      for name in ["folder/b", "folder/p", "folder/s", "c"] { #expect(unlink(mount.path(name)) == 0) }
      #expect(rmdir(mount.path("folder")) == 0)
      #expect(access(mount.path("folder"), F_OK) == -1 && errno == ENOENT)
    }
  }

  @Test("a folder of a thousand files is listed whole")
  func manyNames() throws {
    try withMount { mount in
      for index in 0..<1_000 { close(creat(mount.path("a-file-with-a-longish-name-\(index)"), 0o644)) }
      let names = try FileManager.default.contentsOfDirectory(atPath: mount.path(""))
      #expect(Set(names).count == 1_000 && names.count == 1_000)
    }
  }

  @Test("attributes: mode, size and times can be changed")
  func attributes() throws {
    try withMount { mount in
      let path = mount.path("file")
      try Data(count: 100).write(to: URL(fileURLWithPath: path))
      #expect(chmod(path, 0o600) == 0)
      #expect(truncate(path, 12) == 0)
      var status = stat()
      #expect(stat(path, &status) == 0)
      #expect(status.st_mode & 0o7777 == 0o600)
      #expect(status.st_size == 12)
    }
  }

  @Test("rename: not over an existing name if so asked, and in exchange")
  func renameFlags() throws {
    try withMount { mount in
      try Data("a".utf8).write(to: URL(fileURLWithPath: mount.path("a")))
      try Data("b".utf8).write(to: URL(fileURLWithPath: mount.path("b")))
      #expect(renameat2(AT_FDCWD, mount.path("a"), AT_FDCWD, mount.path("b"), 1) == -1 && errno == EEXIST)
      #expect(renameat2(AT_FDCWD, mount.path("a"), AT_FDCWD, mount.path("b"), 2) == 0)
      #expect(FileManager.default.contents(atPath: mount.path("a")) == Data("b".utf8))
      #expect(FileManager.default.contents(atPath: mount.path("b")) == Data("a".utf8))
    }
  }

  @Test("holes are made and found, ranges copied")
  func ranges() throws {
    try withMount { mount in
      let file = open(mount.path("file"), O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
      let block = [UInt8](repeating: 7, count: 1 << 20)
      #expect(write(file, block, block.count) == block.count)
      #expect(fallocate(file, 3 /* PUNCH_HOLE | KEEP_SIZE */, 0, 1 << 19) == 0)
      #expect(lseek(file, 0, 3 /* SEEK_DATA */) == 1 << 19)
      #expect(lseek(file, 0, 4 /* SEEK_HOLE */) == 0)
      let other = open(mount.path("other"), O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
      var (from, to): (off64_t, off64_t) = (1 << 19, 10)
      #expect(copy_file_range(file, &from, other, &to, 1_000, 0) == 1_000)
      var bytes = [UInt8](repeating: 0, count: 1_010)
      #expect(pread(other, &bytes, 2_000, 0) == 1_010)
      #expect(bytes == [UInt8](repeating: 0, count: 10) + [UInt8](repeating: 7, count: 1_000))
      close(file)
      close(other)
    }
  }

  @Test("a file removed while open is read and written on")
  func removedWhileOpen() throws {
    try withMount { mount in
      let file = open(mount.path("file"), O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
      #expect(unlink(mount.path("file")) == 0)
      #expect(pwrite(file, "kept", 4, 0) == 4)
      var bytes = [UInt8](repeating: 0, count: 4)
      #expect(pread(file, &bytes, 4, 0) == 4 && bytes == Array("kept".utf8))
      #expect(close(file) == 0)
    }
  }

  @Test("extended attributes: size query, too small a buffer, list, remove")
  func extendedAttributes() throws {
    guard access("/usr/bin/setfattr", X_OK) == 0, access("/usr/bin/getfattr", X_OK) == 0 else { return }
    try withMount { mount in
      let path = mount.path("file")
      close(creat(path, 0o644))
      #expect(run("/usr/bin/setfattr", "-n", "user.one", "-v", "value", path).code == 0)
      let listed = run("/usr/bin/getfattr", "--absolute-names", "-d", path).output
      #expect(listed.contains("user.one=\"value\""))
      #expect(run("/usr/bin/setfattr", "-x", "user.one", path).code == 0)
      #expect(run("/usr/bin/getfattr", "-n", "user.one", path).code != 0)
    }
  }

  @Test("small writes do not make the kernel ask for security.capability each time")
  func noQuestionBeforeEachWrite() throws {
    guard access("/usr/bin/getfattr", X_OK) == 0 else { return }
    try withMount { mount in
      let file = open(mount.path("file"), O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
      let block = [UInt8](repeating: 1, count: 4096)
      for _ in 0..<2_000 { #expect(write(file, block, block.count) == block.count) }
      close(file)
      let name = "user.probe.count.getxattr"
      let output = run("/usr/bin/getfattr", "--only-values", "-n", name, "--absolute-names", mount.path("file")).output
      let asked = try #require(Int(output))
      #expect(asked < 20, "asked \(asked) times during 2,000 writes")
    }
  }

  @Test("locks are kept by the kernel")
  func locks() throws {
    try withMount { mount in
      let one = open(mount.path("file"), O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
      let two = open(mount.path("file"), O_RDWR | O_CLOEXEC)
      #expect(flock(one, LOCK_EX | LOCK_NB) == 0)
      #expect(flock(two, LOCK_EX | LOCK_NB) == -1 && errno == EWOULDBLOCK)
      close(one)
      // A program that another test is starting this moment has the descriptor until its execve(2).
      try eventually("the other one gets the lock") { flock(two, LOCK_EX | LOCK_NB) == 0 }
      close(two)
    }
  }

  @Test("callers whose requests take long, up to 60 at once, keep nobody else waiting")
  func longRequests() throws {
    let mount = try ProbeMount("serve", environment: ["FUSE_PROBE_FAULTS": "1"])
    defer { mount.remove() }
    let syncs = try (0..<60).map { index in
      #expect(mkdir(mount.path("\(index)"), 0o755) == 0)
      let file = open(mount.path("\(index)/waiting"), O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
      try #require(file >= 0)
      let sync = Thread {
        fsync(file)
        close(file)
      }
      sync.start()
      return sync
    }
    var waits = stat()
    try eventually("all of them wait") { stat(mount.folder + "/back/waits", &waits) == 0 && waits.st_size == 60 }
    let bytes = Data(repeating: 7, count: 1 << 20)
    try bytes.write(to: URL(fileURLWithPath: mount.path("file")))
    #expect(try Data(contentsOf: URL(fileURLWithPath: mount.backing("file"))) == bytes)
    close(creat(mount.folder + "/back/go", 0o644))
    try eventually("they return") { syncs.allSatisfy(\.isFinished) }
    try eventually("nothing of it is open, and it is unmounted") { run("/bin/umount", mount.folder + "/mnt").code == 0 }
    #expect(try mount.process.wait() == 0)
  }

  @Test("umount from outside ends the session with success")
  func unmount() throws {
    let mount = try ProbeMount("serve")
    defer { mount.remove() }
    #expect(run("/bin/umount", mount.folder + "/mnt").code == 0)
    #expect(try mount.process.wait() == 0)
    #expect(mount.said.contains("ended unmounted"))
  }
}
