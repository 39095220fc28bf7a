import CLinux
import Foundation
import Glibc
import TestSupport
import Testing

/// The program `reelfs` beside a running mount.
@Suite("The command line", .enabled(if: Machine.canMount, "needs /dev/fuse and reelfs"))
struct CommandLineTests {
  @Test("status ends with 0 when all is synced, and shows every recording")
  func statusSynced() async throws {
    try await withMount { world in
      try Files.write(world.path("take one.wav"), noise(10))
      try Files.write(world.path("take2.wav"), noise(10))
      try world.waitUntilSynced("take one.wav", "take2.wav")

      let (code, output) = try world.reelfs("status", world.mountpoint)
      #expect(code == 0)
      #expect(output.contains("take one.wav") && output.contains("take2.wav") && output.contains("SYNCED"))
    }
  }

  @Test("status ends with 3 while something is pending")
  func statusPending() async throws {
    try await withMount("--limit", "1M") { world in
      try Files.write(world.path("take"), noise(8 * mebibyte))

      #expect(try world.reelfs("status", world.mountpoint).code == 3)
      #expect(try world.reelfs("status", world.mountpoint + "/take").code == 3)
    }
  }

  @Test("status ends with 4 while uploads are paused")
  func statusPaused() async throws {
    try await withMount { world in
      #expect(try world.reelfs("pause", world.mountpoint).code == 0)
      try Files.write(world.path("take"), noise(10))
      try world.wait(for: "paused", of: "take")
      #expect(try world.reelfs("status", world.mountpoint).code == 4)

      #expect(try world.reelfs("resume", world.mountpoint).code == 0)
      try world.waitUntilSynced("take")
      #expect(try world.reelfs("status", world.mountpoint).code == 0)
    }
  }

  @Test("status --json is JSON, for a mount and for one recording", arguments: ["", "/take"])
  func statusJSON(path: String) async throws {
    try await withMount { world in
      try Files.write(world.path("take"), noise(10))
      try world.waitUntilSynced("take")

      let (code, output) = try world.reelfs("status", world.mountpoint + path, "--json")
      let object = try JSONSerialization.jsonObject(with: Data(output.utf8)) as? [String: Any]
      #expect(code == 0)
      #expect(object?["schema_version"] as? Int == 1)
    }
  }

  @Test("pause and resume of one recording leave the others alone")
  func pauseOne() async throws {
    try await withMount { world in
      for name: Path in ["one", "two"] { try Files.write(world.path(name), []) }
      try world.waitUntilSynced("one", "two")
      #expect(try world.reelfs("pause", world.mountpoint + "/one").code == 0)
      for name: Path in ["one", "two"] { try Files.write(world.path(name), noise(10)) }

      try world.wait(for: "paused", of: "one")
      try world.waitUntilSynced("two")
      #expect(try world.reelfs("resume", world.mountpoint + "/one").code == 0)
      try world.waitUntilSynced("one")
    }
  }

  @Test("flush --wait returns when everything is stored, also of a recording still open")
  func flushWait() async throws {
    try await withWorld { world in
      try world.startReceiver()
      try world.startMount(["--max-lag", "600"], to: world.receiverURL)
      let file = try OpenFile(world.path("take"), O_WRONLY | O_CREAT)
      try file.write(noise(mebibyte + 9))

      let (code, output) = try world.reelfs("flush", world.mountpoint, "--wait", "--timeout", "15")
      #expect(world.number("bytes_synced", of: "take") == mebibyte + 9, "\(code): \(output)")
      try file.close()
      #expect(try world.reelfs("flush", world.mountpoint, "--wait", "--timeout", "15").code == 0)
    }
  }

  @Test("flush sends also what is so young that the journal has not heard of it")
  func flushYoung() async throws {
    try await withWorld { world in
      try world.startReceiver()
      try world.startMount(["--max-lag", "600"], to: world.receiverURL)
      try Files.makeFolder(world.path("day"))
      var files: [OpenFile] = []
      for number in 0..<40 {
        let name: Path = "day/take\(number)"
        let file = try OpenFile(world.path(name), O_WRONLY | O_CREAT)
        try file.write(noise(9))
        try Files.write(world.path(".status/control"), Array((number % 2 == 0 ? "flush\n" : "flush day\n").utf8), O_WRONLY)
        files.append(file)
      }
      for number in files.indices {
        try eventually("take\(number) is sent") { world.number("bytes_synced", of: "day/take\(number)") == 9 }
      }
      for file in files { try file.close() }
    }
  }

  @Test("unmount --wait drains first, and then the mount is gone")
  func unmountWait() async throws {
    try await withMount("--limit", "2M") { world in
      try Files.write(world.path("take"), noise(4 * mebibyte))
      let session = try #require(world.attribute("session", of: "take"))

      let (code, output) = try world.reelfs("unmount", world.mountpoint, "--wait", "--timeout", "20")
      #expect(code == 0, "\(output)")
      #expect(try world.mount?.wait() == 0)
      #expect(try !World.mountTable().contains(world.mountpoint))
      #expect(try Files.read(Path(world.data + "/" + session + "/take")) == noise(4 * mebibyte))
    }
  }

  @Test("unmount --wait that cannot drain in time leaves the mount as it is")
  func unmountTimeout() async throws {
    try await withMount { world in
      try world.shell("echo pause >$MNT/.status/control")
      try Files.write(world.path("take"), noise(10))

      let (code, output) = try world.reelfs("unmount", world.mountpoint, "--wait", "--timeout", "1")
      #expect(code == 4 || code == 3)
      #expect(output.contains("stays mounted"))
      #expect(Files.exists(world.path("take")))
    }
  }

  @Test("umount ends the program with 0", .enabled(if: Machine.isRoot))
  func plainUnmount() async throws {
    try await withMount { world in
      try Files.write(world.path("take"), noise(10))
      try world.shell("umount $MNT")

      #expect(try world.mount?.wait() == 0)
    }
  }

  @Test("Ctrl-C and SIGTERM end it cleanly", arguments: [SIGINT, SIGTERM])
  func signals(signal: Int32) async throws {
    try await withMount { world in
      try Files.write(world.path("take"), noise(10))
      world.mount?.send(signal)

      #expect(try world.mount?.wait() == 0)
      #expect(try !World.mountTable().contains(world.mountpoint))
    }
  }

  @Test("a second mount on the same state directory is refused in one clear sentence")
  func sameState() async throws {
    try await withMount { world in
      mkdir(world.folder + "/mnt2", 0o755)
      let (code, output) = try world.reelfs(
        "mount", world.receiverURL, world.folder + "/mnt2", "--state-dir", world.state)

      #expect(code == 1)
      #expect(output.contains("another reelfs uses the state directory"), "\(output)")
      #expect(try !World.mountTable().contains(world.folder + "/mnt2"))
    }
  }

  @Test(
    "a wrong flag ends with 1 and a sentence that names it",
    arguments: [
      ["--upload-timeout", "soon"], ["--parallel", "0"], ["--limit", "fast"], ["--chunk-size", "2MiB"],
      ["--retry-initial", "100", "--retry-max", "1"], ["--max-lag", "-1"], ["--compress", "lzma"], ["-o", "suid_please"],
      ["--token-file", "/nonexistent/token"], ["--device", "../evil"], ["--fsync", "never"], ["--no-such-flag"],
      ["--spool-quota", "1"], ["--config", "/nonexistent/config.yaml"],
    ])
  func badFlags(flags: [String]) async throws {
    try await withWorld { world in
      let child = try world.start(
        [Machine.reelfs, "mount", "http://127.0.0.1:1", world.mountpoint, "--state-dir", world.state] + flags)
      defer { child.killAll() }

      #expect(try child.wait() == 1)
      #expect(child.said.contains(flags[0]) || child.said.contains(flags[1 % flags.count]), "\(child.said)")
    }
  }

  @Test(
    "a wrong destination or mountpoint ends with 1 and a sentence",
    arguments: [
      ["http://user:pass@host:1", "MNT"], ["gopher://host", "MNT"], ["http://host:99999", "MNT"],
      ["http://127.0.0.1:1", "/nonexistent/folder"], ["http://127.0.0.1:1", "/dev/null"],
    ])
  func badPlaces(places: [String]) async throws {
    try await withWorld { world in
      let words = places.map { $0 == "MNT" ? world.mountpoint : $0 }
      let child = try world.start([Machine.reelfs, "mount"] + words + ["--state-dir", world.state])
      defer { child.killAll() }

      #expect(try child.wait() == 1)
      #expect(child.said.contains(" "), "\(child.said)")
    }
  }

  @Test("status of a path that is in no mount says so", arguments: ["status", "pause", "flush", "retry"])
  func noMount(command: String) async throws {
    try await withWorld { world in
      let (code, output) = try world.reelfs(command, world.folder)

      #expect(code == 1)
      #expect(output.contains(world.folder), "\(output)")
    }
  }

  @Test("without a destination the receiver in the same program keeps the copies")
  func embedded() async throws {
    try await withWorld { world in
      try world.startMount(["--recordings-data", world.data], to: nil)
      try Files.write(world.path("take"), noise(mebibyte + 3))
      try world.waitUntilSynced("take")

      #expect(try world.isIdentical("take"))
      let processes = try #require(world.mount).descendants
      try world.endMount()
      try eventually("worker and receiver have ended") { processes.allSatisfy { kill($0, 0) != 0 } }
    }
  }

  @Test("--daemon returns once the mount is usable")
  func daemon() async throws {
    try await withWorld { world in
      try world.startReceiver()
      let (code, output) = try world.reelfs(
        "mount", world.receiverURL, world.mountpoint, "--state-dir", world.state, "--daemon", "--settle", "0.1")
      defer { _ = try? world.reelfs("unmount", world.mountpoint) }

      #expect(code == 0, "\(output)")
      try Files.write(world.path("take"), noise(10))
      try world.waitUntilSynced("take")
    }
  }
}
