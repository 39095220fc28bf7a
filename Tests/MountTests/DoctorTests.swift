import CLinux
import FaultyServer
import Foundation
import Glibc
import TestSupport
import Testing

/// `reelfs doctor` on machines that lack something. As root each runs in a mount namespace of its own, where what is to be
/// missing is hidden.
@Suite("doctor finds", .enabled(if: Machine.canMount && Machine.isRoot, "needs root and /dev/fuse"))
struct DoctorOnSickMachinesTests {
  /// - Parameter prepare: shell, in the new namespace; `$REELFS` is the program, `$STATE` an empty folder.
  private static func doctor(_ world: World, _ prepare: String, _ words: String = "", run: String = "exec") throws -> (
    code: Int32, output: String
  ) {
    mkdir(world.folder + "/empty", 0o755)
    let script = """
      REELFS='\(Machine.reelfs)'; STATE="$DIR/empty"; export REELFS STATE
      exec unshare --mount sh -c '\(prepare)
      \(run) "$REELFS" doctor --state-dir "$STATE" \(words)'
      """
    return try world.run(script)
  }

  /// The first finding on a subject that begins like that, with how to mend it.
  private static func finding(_ subject: String, beginning: String = "", _ output: String) -> String {
    let lines = output.split(separator: "\n").map(String.init)
    guard let index = lines.firstIndex(where: { $0.contains("  \(subject): \(beginning)") }) else { return "no \(subject) in \(output)" }
    return lines[index] + (lines[safe: index + 1].map { $0.contains("→") ? $0 : "" } ?? "")
  }

  /// What is bad; dead mounts of this machine are of tests that run beside this one.
  private static func bad(_ output: String) -> [Substring] {
    output.split(separator: "\n").filter { $0.contains("❌ bad") && !$0.contains("  mounts: ") }
  }

  @Test("a healthy machine: exit code 0, and nothing bad")
  func healthy() async throws {
    try await withWorld { world in
      let (code, output) = try Self.doctor(world, "umount --lazy --all --types fuse.reelfs || true")
      #expect(code == 0, "\(output)")
      #expect(!output.contains("❌"))
    }
  }

  @Test("no /dev/fuse")
  func noDevice() async throws {
    try await withWorld { world in
      let (code, output) = try Self.doctor(world, "mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3")
      #expect(code == 1)
      let finding = Self.finding("/dev/fuse", output)
      #expect(finding.contains("❌ bad") && finding.contains("modprobe fuse"), "\(finding)")
    }
  }

  @Test("no fusermount3: root can do without, others cannot")
  func noHelper() async throws {
    try await withWorld { world in
      let output = try Self.doctor(world, "PATH=/nonexistent").output
      #expect(Self.bad(output) == [])
      #expect(Self.finding("fusermount3", output).contains("apt install fuse3"))
      let user = try Self.doctor(
        world, "chmod 777 \"$STATE\"; chmod 666 /dev/fuse", run: "exec setpriv --reuid 65534 --regid 65534 --clear-groups env PATH=/nonexistent")
      #expect(user.code == 1)
      #expect(Self.finding("fusermount3", user.output).contains("❌ bad"), "\(user.output)")
    }
  }

  @Test("user_allow_other is missing")
  func allowOther() async throws {
    try await withWorld { world in
      let (_, output) = try Self.doctor(
        world, "chmod 777 \"$STATE\"; printf \"#user_allow_other\\n\" >\"$DIR/fuse.conf\"; mount --bind \"$DIR/fuse.conf\" /etc/fuse.conf",
        run: "exec setpriv --reuid 65534 --regid 65534 --clear-groups")
      let finding = Self.finding("-o allow_other", output)
      #expect(finding.contains("! warn") && finding.contains("add the line user_allow_other to /etc/fuse.conf"), "\(output)")
    }
  }

  @Test("a dead mount (ENOTCONN)")
  func staleMount() async throws {
    try await withMount { world in
      let processes = try #require(world.mount).descendants
      world.mount?.send(SIGKILL)
      for process in processes { kill(process, SIGKILL) }
      try eventually("the mount is dead") {
        // Never from a cache, as attributes are that somebody has just asked for.
        var space = statvfs()
        return statvfs(world.mountpoint, &space) != 0 && errno == ENOTCONN
      }
      let (code, output) = try world.reelfs("doctor", "--state-dir", world.folder + "/none")
      #expect(code == 1)
      let finding = Self.finding("mounts", beginning: "dead: ", output)
      #expect(finding.contains(world.mountpoint) && finding.contains("reelfs unmount"), "\(finding)")
    }
  }

  @Test("a mount that stands still, without waiting for it; nor do status and debug-bundle")
  func silentMount() async throws {
    try await withMount { world in
      let mount = try #require(world.mount)
      let processes = [mount.pid] + mount.descendants
      for process in processes { kill(process, SIGSTOP) }
      defer { for process in processes { kill(process, SIGCONT) } }
      let (code, output) = try world.reelfs("doctor", "--state-dir", world.folder + "/none")
      #expect(code == 1)
      let finding = Self.finding("mounts", beginning: "no answer: ", output)
      #expect(finding.contains(world.mountpoint) && finding.contains("stopped"), "\(finding)")
      let status = try world.reelfs("status", world.mountpoint)
      #expect(status.code == 1 && status.output.contains("\(world.mountpoint) does not answer"), "\(status.output)")
      let bundle = try world.reelfs("debug-bundle", "--output", world.folder + "/bundle.tar.gz")
      #expect(bundle.code == 0 && bundle.output.contains("\(world.mountpoint) does not answer"), "\(bundle.output)")
    }
  }

  @Test("a full disk")
  func fullDisk() async throws {
    try await withWorld { world in
      let (code, output) = try Self.doctor(
        world, "mount -t tmpfs -o size=64k none \"$STATE\"; head -c 1000000 /dev/zero >\"$STATE/fill\" 2>/dev/null")
      #expect(code == 1)
      #expect(output.contains("is full: only") || output.contains("No space left on device"), "\(output)")
      #expect(output.contains("free some"), "\(output)")
    }
  }

  @Test("a read-only disk")
  func readOnlyDisk() async throws {
    try await withWorld { world in
      let (code, output) = try Self.doctor(world, "mount -t tmpfs -o ro none \"$STATE\"")
      #expect(code == 1)
      #expect(Self.finding("state directory", output).contains("a failing disk turns read-only"), "\(output)")
    }
  }

  @Test("an address that is none, a name that nobody knows, a port where nobody listens", arguments: [
    ("nas:8090/", "is not a destination"), ("ftp://nas", "is not a destination"), ("http://name.invalid:8090", "look at the network and its name server"),
    ("http://127.0.0.1:1", "is the receiver running there"),
  ])
  func badAddress(address: String, words: String) async throws {
    try await withWorld { world in
      let (code, output) = try world.reelfs("doctor", address, "--state-dir", world.state)
      #expect(code == 1)
      #expect(output.contains(words) || output.contains("No such file"), "\(output)")
    }
  }

  @Test("a refused token, and one that is missing")
  func token() async throws {
    try await withWorld { world in
      try Files.write(Path(world.folder + "/token"), Array("right-token\n".utf8))
      try Files.write(Path(world.folder + "/wrong"), Array("wrong-token\n".utf8))
      for name in ["/token", "/wrong"] { chmod(world.folder + name, 0o600) }
      try world.startReceiver(["--token-file", world.folder + "/token"])
      let right = try world.reelfs("doctor", world.receiverURL, "--state-dir", world.state, "--token-file", world.folder + "/token")
      #expect(Self.bad(right.output) == [])
      let wrong = try world.reelfs("doctor", world.receiverURL, "--state-dir", world.state, "--token-file", world.folder + "/wrong")
      #expect(wrong.code == 1 && wrong.output.contains("refuses the token (401)"), "\(wrong.output)")
      let none = try world.reelfs("doctor", world.receiverURL, "--state-dir", world.state)
      #expect(none.code == 1 && none.output.contains("wants a token"), "\(none.output)")
    }
  }

  @Test("a clock that differs from the destination's")
  func clock() async throws {
    try await withWorld { world in
      let server = try FaultyServer(script: [
        .answer(.json(200, #"{"status":"ok"}"#, headers: ["Date: Sun, 06 Nov 1994 08:49:37 GMT"]))
      ])
      defer { server.stop() }
      let output = try world.reelfs("doctor", server.url, "--state-dir", world.state).output
      #expect(Self.bad(output) == [])
      let finding = Self.finding("clock", output)
      #expect(finding.contains("ahead of the destination") && finding.contains("NTP"), "\(output)")
    }
  }

  @Test("a kernel without FUSE_NOTIFY_RESEND", .enabled(if: Machine.has("setarch")))
  func oldKernel() async throws {
    try await withWorld { world in
      let output = try Self.doctor(world, ":", run: "exec setarch --uname-2.6").output
      let finding = Self.finding("kernel", output)
      #expect(finding.contains("warn") && finding.contains("before 6.9"), "\(output)")
    }
  }

  @Test("a damaged journal, by its first bytes and by what is behind them")
  func journal() async throws {
    try await withMount { world in
      try Files.write(world.path("take"), noise(3 * mebibyte))
      try world.waitUntilSynced("take")
      try world.endMount()
      let journal = Path(world.state + "/journal.sqlite")
      #expect(try world.reelfs("doctor", "--state-dir", world.state).output.contains("✓ ok    journal"))
      let good = try Files.read(journal)
      // All pages after the first, so that its head still looks right.
      try Files.write(journal, Array(good[..<4096]) + noise(good.count - 4096))
      for bytes in [try Files.read(journal), noise(8192)] {
        try Files.write(journal, bytes)
        let output = try world.reelfs("doctor", "--state-dir", world.state).output
        #expect(Self.bad(output) == [])
        let finding = Self.finding("journal", output)
        #expect(finding.contains("is damaged") && finding.contains("rebuilt from the recordings"), "\(output)")
      }
    }
  }

  @Test("a running mount is asked for its own destination and state directory")
  func runningMount() async throws {
    try await withMount { world in
      let output = try world.reelfs("doctor", world.mountpoint).output
      #expect(Self.bad(output) == [])
      #expect(output.contains("\(world.receiverURL) is there") && output.contains(world.state), "\(output)")
    }
  }
}

extension Array {
  fileprivate subscript(safe index: Int) -> Element? { indices.contains(index) ? self[index] : nil }
}
