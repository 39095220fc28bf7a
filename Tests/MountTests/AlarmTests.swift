import FaultyServer
import Foundation
import Glibc
import TestSupport
import Testing

/// Commands, addresses and attributes by which people hear of what happens to recordings.
@Suite("Alarms", .enabled(if: Machine.canMount, "needs /dev/fuse and reelfs"))
struct AlarmTests {
  /// A program that writes its arguments and variables to a file, one after the other, and then does what `then` says.
  private func recorder(_ world: World, then: String = "exit 0") throws -> String {
    try world.shell(
      """
      cat > $DIR/hook <<'END'
      #!/bin/sh
      echo "run:$1|$2|$REELFS_EVENT|$REELFS_PATH|$REELFS_SESSION|$REELFS_STATUS|$REELFS_ERROR|$REELFS_BYTES|$$" >> "$(dirname "$0")/calls"
      \(then)
      END
      chmod +x $DIR/hook
      """)
    return world.folder + "/hook"
  }

  private func calls(_ world: World) -> [String] {
    let text = (try? String(contentsOfFile: world.folder + "/calls", encoding: .utf8)) ?? ""
    return text.split(separator: "\n").map { String($0.dropFirst(4)) }
  }

  @Test("a synced recording runs the command with its path as one word, and in variables")
  func onSynced() async throws {
    try await withWorld { world in
      let hook = try recorder(world)
      try world.startReceiver()
      try world.startMount(["--on-synced", "\(hook) '{path}' {file}"], to: world.receiverURL)
      try world.shell("mkdir $MNT/day; printf hello > \"$MNT/day/take; one.wav\"")
      try eventually("it was run") { calls(world).count == 1 }

      let session = world.attribute("session", of: "day/take; one.wav") ?? ""
      let file = world.mountpoint + "/day/take; one.wav"
      #expect(calls(world)[0].hasPrefix("day/take; one.wav|\(file)|synced|day/take; one.wav|\(session)|synced||5|"))
      try eventually("it is told") { world.mount?.said.contains("--on-synced day/take; one.wav: \(hook) ended with exit code 0") == true }
    }
  }

  @Test("a refused recording runs the other command with the server's words, and the heartbeat says so too")
  func onFailed() async throws {
    try await withWorld { world in
      let hook = try recorder(world, then: "exit 7")
      let server = try FaultyServer { head in
        switch (head.method, head.target) {
        case ("GET", "/healthz"): .answer(.json(200, #"{"status":"ok"}"#))
        case ("PUT", let target):
          .answer(.json(200, "{\"session_id\":\"\(target.split(separator: "/").last ?? "")\",\"state\":\"receiving\"}"))
        default: .answer(.json(413, #"{"error":"too_large","message":"no more than 5 kB"}"#))
        }
      }
      defer { server.stop() }
      try world.startMount(["--on-failed", hook], to: server.url)
      try world.shell("printf hello > $MNT/take.wav")
      try eventually("it was run") { calls(world).count == 1 }
      #expect(calls(world)[0].contains("|failed|take.wav|"))
      #expect(calls(world)[0].contains("no more than 5 kB"))
      try eventually("it is told") { world.mount?.said.contains("ended with exit code 7") == true }
      try world.endMount()

      let (pings, port) = try startPings(world)
      defer { pings.killAll() }
      try world.startMount(["--heartbeat-url", "http://127.0.0.1:\(port)/ping/abc?x=1"], to: server.url)
      try eventually("the failure is told") { pings.said.contains("POST /ping/abc/fail?x=1 1 recordings failed: take.wav: ") }
    }
  }

  /// An address that prints what it is asked.
  private func startPings(_ world: World) throws -> (Child, Substring) {
    let server = try world.start(["python3", "-c", Self.server])
    try eventually("the server listens: \(server.said)") { server.said.contains("port ") }
    guard let port = server.said.firstMatch(of: /port (\d+)/)?.1 else { throw Failure("no port") }
    return (server, port)
  }

  @Test("a command that is running when the worker is killed is run again by the next one: at least once")
  func atLeastOnce() async throws {
    try await withWorld { world in
      let hook = try recorder(world, then: "read go < \"$(dirname \"$0\")/pipe\"")
      try world.shell("mkfifo $DIR/pipe")
      try world.startReceiver()
      try world.startMount(["--on-synced", hook], to: world.receiverURL)
      try world.shell("printf hello > $MNT/take.wav")
      try eventually("it runs") { calls(world).count == 1 }

      let worker = try #require(world.mount?.descendants.first)
      kill(worker, SIGKILL)

      try eventually("it runs again") { calls(world).count == 2 }
      // Opened for both ways: it waits for no reader, and a reader that is late finds its line, as long as this is open.
      let pipe = try OpenFile(Path(world.folder + "/pipe"), O_RDWR)
      try pipe.write(Array("\n\n".utf8))
      try eventually("it has ended") { world.mount?.said.contains("ended with exit code 0") == true }
      try pipe.close()
      #expect(calls(world).count == 2)
    }
  }

  @Test("a command that hangs holds up neither uploads nor the end of the mount")
  func hanging() async throws {
    try await withWorld { world in
      let hook = try recorder(world, then: "exec sleep 1000")
      try world.startReceiver()
      try world.startMount(["--on-synced", hook], to: world.receiverURL)
      try world.shell("printf hello > $MNT/1.wav")
      try eventually("it runs") { calls(world).count == 1 }
      try world.shell("for i in 2 3 4; do printf hello > $MNT/$i.wav; done")
      try world.waitUntilSynced("2.wav", "3.wav", "4.wav")
      #expect(calls(world).count == 1)

      #expect(try world.endMount() == 0)
      let left = try #require(pid_t(calls(world)[0].split(separator: "|").last ?? ""))
      kill(left, SIGKILL)
    }
  }

  @Test("a heartbeat is asked for while all is well", .enabled(if: Machine.has("python3"), "python3 is not installed"))
  func heartbeat() async throws {
    try await withWorld { world in
      try world.startReceiver()
      let (server, port) = try startPings(world)
      defer { server.killAll() }
      try world.startMount(["--heartbeat-url", "http://127.0.0.1:\(port)/ping/abc"], to: world.receiverURL)

      try eventually("it was asked for") { server.said.contains("GET /ping/abc") }
    }
  }

  private static let server = """
    import http.server
    class H(http.server.BaseHTTPRequestHandler):
      def answer(self):
        body = self.rfile.read(int(self.headers.get('Content-Length') or 0)).decode()
        print(self.command, self.path, body, flush=True)
        self.send_response(200); self.end_headers()
      do_GET = do_POST = answer
      def log_message(self, *a): pass
    s = http.server.HTTPServer(('127.0.0.1', 0), H)
    print('port', s.server_port, flush=True)
    s.serve_forever()
    """

  @Test("an open recording without a write for --stall-after is stalled, in its attribute and once in the events")
  func stalled() async throws {
    try await withMount("--stall-after", "1") { world in
      try world.shell("mkfifo $DIR/pipe")
      let writer = try world.start(["/bin/sh", "-c", "(echo one; read go < $DIR/pipe; echo two; read go < $DIR/pipe) > $MNT/take.wav"])
      try eventually("it is stalled") { world.attribute("stalled_seconds", of: "take.wav") != nil }
      func stalls() throws -> Int { try world.events().count { $0.type == "RECORDING_STALLED" } }
      try eventually("it is told") { try stalls() == 1 }
      try eventually("it is said") { world.mount?.said.contains("take.wav: open, but nothing was written for") == true }

      try world.shell("echo > $DIR/pipe")
      try eventually("it moves") { world.attribute("stalled_seconds", of: "take.wav") == nil }
      try eventually("it is told again") { try stalls() == 2 }
      try world.shell("echo > $DIR/pipe")
      #expect(try writer.wait() == 0)
      #expect(world.attribute("stalled_seconds", of: "take.wav") == nil)
    }
  }

  @Test("a program that has a recording open for writing can start another: nothing waits for the kernel's locks of its process")
  func closedByExec() async throws {
    try await withMount { world in
      for number in 0..<20 {
        try world.shell("exec 3> $MNT/\(number).wav; echo hello >&3; exec python3 -c 'import os; os.execv(\"/bin/true\", [\"true\"])'")
        try world.shell("python3 -c 'import os; os.open(\"'$MNT'/by-exec\", os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC); os.execv(\"/bin/true\", [\"true\"])'")
      }
      try world.waitUntilSynced("by-exec", "19.wav")
    }
  }

  @Test("the person at the desk is told through the session's notification service")
  func desktop() async throws {
    try await withWorld { world in
      try world.startReceiver()
      try world.shell(
        """
        mkdir $DIR/bin
        printf '#!/bin/sh\\nprintf "%%s|" "$@" >> \(world.folder)/notices\\necho >> \(world.folder)/notices\\n' > $DIR/bin/notify-send
        chmod +x $DIR/bin/notify-send
        """)
      try world.startMount(
        [], to: world.receiverURL,
        environment: ["PATH": world.folder + "/bin:/usr/bin:/bin", "DBUS_SESSION_BUS_ADDRESS": "unix:path=/nowhere"])
      try world.shell("printf hello > $MNT/take.wav")

      try eventually("it was told") {
        (try? String(contentsOfFile: world.folder + "/notices", encoding: .utf8))?.contains("|--|✓ take.wav|stored at the destination|") == true
      }
    }
  }
}
