import Foundation
import Glibc
import TestSupport
import Testing

@Suite(.serialized, .enabled(if: ProbeMount.isPossible, "/dev/fuse is missing or forbidden"), .timeLimit(.minutes(1)))
struct SupervisorTests {
  @Test("SIGTERM unmounts and ends with success", arguments: [SIGTERM, SIGINT])
  func terminated(signal: Int32) throws {
    let mount = try ProbeMount("mount")
    defer { mount.remove() }
    mount.process.send(signal)
    #expect(try mount.process.wait() == 0)
    #expect(rmdir(mount.folder + "/mnt") == 0, "nothing is mounted there any more")
  }

  @Test("SIGTERM with a file open detaches the mount and lets the writer finish")
  func terminatedInUse() throws {
    let mount = try ProbeMount("mount")
    defer { mount.remove() }
    let file = open(mount.path("file"), O_WRONLY | O_CREAT, 0o644)
    #expect(write(file, "one", 3) == 3)

    mount.process.send(SIGTERM)
    try eventually("the mount is detached") { mount.said.contains("in use") }
    #expect(write(file, "two", 3) == 3)
    #expect(close(file) == 0)

    #expect(try mount.process.wait() == 0)
    #expect(FileManager.default.contents(atPath: mount.backing("file")) == Data("onetwo".utf8))
  }

  @Test("umount from outside ends worker and supervisor with success")
  func unmountedFromOutside() throws {
    let mount = try ProbeMount("mount")
    defer { mount.remove() }
    #expect(run("/bin/umount", mount.folder + "/mnt").code == 0)
    #expect(try mount.process.wait() == 0)
  }

  @Test("a planned restart changes the program under an open file")
  func plannedRestart() throws {
    let mount = try ProbeMount("mount")
    defer { mount.remove() }
    let file = open(mount.path("file"), O_WRONLY | O_CREAT, 0o644)
    let first = try #require(mount.worker)

    mount.process.send(SIGUSR2)
    var writes = 0
    try eventually("another worker serves") {
      #expect(write(file, "x", 1) == 1)
      writes += 1
      return mount.worker != nil && mount.worker != first
    }
    #expect(write(file, "x", 1) == 1)
    #expect(close(file) == 0)

    #expect(FileManager.default.contents(atPath: mount.backing("file"))?.count == writes + 1)
    #expect(!mount.said.contains("signal"), "nobody was killed: \(mount.said)")
  }

  @Test("the worker serves on when the supervisor is killed, and unmounts when it is told to end")
  func supervisorKilled() throws {
    let mount = try ProbeMount("mount")
    defer { mount.remove() }
    let worker = try #require(mount.worker)

    mount.process.send(SIGKILL)
    try mount.process.wait()
    try Data("still".utf8).write(to: URL(fileURLWithPath: mount.path("file")))
    #expect(FileManager.default.contents(atPath: mount.backing("file")) == Data("still".utf8))

    kill(worker, SIGTERM)
    try eventually("unmounted") { rmdir(mount.folder + "/mnt") == 0 }
  }

  @Test("a dead mount of ours is detached first, a living one is not touched")
  func staleMount() throws {
    let dead = try ProbeMount("mount")
    defer { dead.remove() }
    let worker = try #require(dead.worker)
    dead.process.send(SIGKILL)
    kill(worker, SIGKILL)
    try dead.process.wait()
    try eventually("the mount is dead") { access(dead.path(""), F_OK) == -1 && errno == ENOTCONN }

    let next = try ProbeMount("mount", over: dead)
    defer { next.remove() }
    #expect(next.said.contains("detached a dead mount"))
    #expect(access(dead.path(""), F_OK) == 0)

    let second = run(ProbeMount.program, "mount", dead.folder + "/back", dead.folder + "/mnt")
    #expect(second.code == 1 && second.output.contains("mounted there already"))
  }

  @Test("a worker that cannot be brought back is given up: the mount ends, and the folder is named")
  func givenUp() throws {
    let mount = try ProbeMount("mount", ["5"])
    defer { mount.remove() }
    let worker = try #require(mount.worker)
    _ = FileManager.default.createFile(atPath: mount.folder + "/back/crash", contents: nil)

    kill(worker, SIGKILL)

    #expect(try mount.process.wait() == 1)
    // At once, then after pauses: each said once, with the reason.
    #expect(mount.said.components(separatedBy: "(Aborted), again and again; starting it again").count == 2)
    #expect(mount.said.components(separatedBy: "(Aborted); starting it again at once").count == 2)
    #expect(mount.said.contains("given up") && mount.said.contains(mount.folder + "/back"))
    #expect(rmdir(mount.folder + "/mnt") == 0)
  }

  @Test("a worker that is killed before it serves, again and again, is not given up: its callers wait, without an error")
  func killedBeforeItServes() throws {
    let mount = try ProbeMount("mount", ["3"])
    defer { mount.remove() }
    let worker = try #require(mount.worker)
    let kills = mount.folder + "/back/kill"
    _ = FileManager.default.createFile(atPath: kills, contents: nil)
    kill(worker, SIGKILL)
    let path = mount.path("made")
    let caller = Thread { mkdir(path, 0o755) }
    caller.start()
    // More often than a worker that crashes is given.
    try eventually("it was killed six times") { (FileManager.default.contents(atPath: kills)?.count ?? 0) >= 6 }
    #expect(!caller.isFinished)

    #expect(unlink(kills) == 0)

    try eventually("the caller has its answer") { caller.isFinished }
    #expect(access(mount.backing("made"), F_OK) == 0)
    #expect(!mount.said.contains("given up"), "\(mount.said)")
  }

  @Test("--daemon returns when the mount is usable, and says why it is not")
  func daemon() throws {
    let mount = try ProbeMount("daemon")
    defer { mount.remove() }
    #expect(try mount.process.wait() == 0)
    #expect(access(mount.path(""), F_OK) == 0)
    #expect(run("/bin/umount", mount.folder + "/mnt").code == 0)

    let failed = run(ProbeMount.program, "daemon", mount.folder + "/back", mount.folder + "/nowhere")
    #expect(failed.code == 1 && failed.output.contains("nowhere: no such folder"))
  }

  @Test("a worker that cannot begin ends the mount with its own exit code")
  func cannotBegin() throws {
    let mount = try ProbeMount("mount", ["3"])
    defer { mount.remove() }
    let other = run(ProbeMount.program, "mount", "/dev/null/folder", mount.folder + "/back/tree")
    #expect(other.code == 3, "\(other.output)")
  }
}
