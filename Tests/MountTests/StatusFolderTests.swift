import CLinux
import Foundation
import Glibc
import TestSupport
import Testing

/// `.status/`: what the whole mount says of itself.
@Suite("The folder .status", .enabled(if: Machine.canMount, "needs /dev/fuse and reelfs"))
struct StatusFolderTests {
  @Test("a recording's page begins with badge and path, and holds the attributes")
  func page() async throws {
    try await withMount { world in
      try Files.makeFolder(world.path("a"))
      try Files.write(world.path("a/take one"), noise(1_000))
      try world.waitUntilSynced("a/take one")

      let lines = try Files.text(world.statusPath("a/take one")).split(separator: "\n")
      #expect(lines.first == "✓ SYNCED a/take one")
      #expect(lines.contains("bytes_synced: 1000"))
      #expect(lines.contains("status: synced"))
    }
  }

  @Test("a page is found by its session's id too")
  func bySession() async throws {
    try await withMount { world in
      try Files.write(world.path("take"), noise(1_000))
      try world.waitUntilSynced("take")
      let session = try #require(world.attribute("session", of: "take"))

      #expect(try Files.text(world.statusPath("\(session)")) == Files.text(world.statusPath("take")))
      #expect(errorCode { _ = try Files.status(world.statusPath("sess_0000000000000000")) } == ENOENT)
    }
  }

  @Test("sizes are right, so that programs which trust them read all", arguments: ["take", "summary", "sessions.json"])
  func sizes(page: String) async throws {
    try await withMount { world in
      try Files.write(world.path("take"), noise(1_000))
      try world.waitUntilSynced("take")
      try eventually("the last line is there") { world.attribute("sha256", of: "take") != nil }

      let file = try OpenFile(world.statusPath("\(page)"), O_RDONLY)
      let size = try Int(file.status().st_size)
      let bytes = try file.read(at: 0, count: 100_000)
      try file.close()
      #expect(size > 0)
      #expect(bytes.count == size)
      #expect(try world.shell("cat $MNT/.status/\(page)").utf8.count == size)
    }
  }

  @Test("the tree mirrors the recordings")
  func mirror() async throws {
    try await withMount { world in
      try world.shell("mkdir -p $MNT/a/b; echo 1 >$MNT/a/b/take; mkfifo $MNT/a/pipe")

      #expect(try Files.names(world.statusPath("a")) == [Array("b".utf8)])
      #expect(try Files.names(world.statusPath("a/b")) == [Array("take".utf8)])
      let own = Set(try Files.names(Path(world.mountpoint + "/.status")).map { String(decoding: $0, as: UTF8.self) })
      #expect(own == ["summary", "sessions.json", "metrics", "events.jsonl", "control", "mount.json", "a"])
    }
  }

  @Test("it is listed in the root, and not with --hide-status", arguments: [true, false])
  func listed(hides: Bool) async throws {
    try await withWorld { world in
      try world.startReceiver()
      try world.startMount(hides ? ["--hide-status"] : [], to: world.receiverURL)

      #expect(try Files.names(Path(world.mountpoint)).contains(Array(".status".utf8)) == !hides)
      #expect(Files.exists(world.statusPath("summary")))
    }
  }

  @Test("nothing in it can be written, made, renamed or deleted")
  func readOnly() async throws {
    try await withMount { world in
      try Files.write(world.path("take"), [])
      let forbidden = [EPERM, EACCES, EROFS]

      #expect(forbidden.contains(errorCode { try Files.write(world.statusPath("take"), [1]) }))
      #expect(forbidden.contains(errorCode { try Files.write(world.statusPath("new"), [1]) }))
      #expect(forbidden.contains(errorCode { try Files.makeFolder(world.statusPath("folder")) }))
      #expect(forbidden.contains(errorCode { try Files.unlink(world.statusPath("take")) }))
      #expect(forbidden.contains(errorCode { try Files.removeFolder(world.path(".status")) }))
      #expect((forbidden + [EISDIR]).contains(errorCode { try Files.rename(world.path("take"), to: world.path(".status")) }))
      #expect(forbidden.contains(errorCode { try Files.rename(world.path(".status"), to: world.path("mine")) }))
      #expect(Files.exists(world.path("take")))
    }
  }

  @Test("sessions.json is valid JSON with every recording")
  func sessions() async throws {
    try await withMount { world in
      for name in ["a", "quote \" and \\", "line\nbreak"] { try Files.write(world.path("\(name)"), noise(100)) }
      try Files.write(world.path(Path([0xFF])), noise(100))
      try world.waitUntilSynced("a", "quote \" and \\", "line\nbreak", Path([0xFF]))

      let page = Data(try Files.read(world.statusPath("sessions.json")))
      let object = try #require(try JSONSerialization.jsonObject(with: page) as? [String: Any])
      let sessions = try #require(object["sessions"] as? [[String: Any]])
      #expect(object["schema_version"] as? Int == 1)
      #expect(Set(sessions.compactMap { $0["path"] as? String }).isSuperset(of: ["a", "quote \" and \\", "line\nbreak"]))
      #expect(sessions.contains { $0["path_base64"] as? String == "/w==" })
      #expect(sessions.allSatisfy { $0["status"] as? String == "synced" })
    }
  }

  @Test("metrics are lines that Prometheus reads")
  func metrics() async throws {
    try await withMount { world in
      try Files.write(world.path("take"), noise(1_000))
      try world.waitUntilSynced("take")

      let lines = try Files.text(world.statusPath("metrics")).split(separator: "\n")
      let sample = /[a-zA-Z_:][a-zA-Z0-9_:]*(\{[a-z_]+="([^"\\\n]|\\.)*"(,[a-z_]+="([^"\\\n]|\\.)*")*\})? [-+0-9.eE]+/
      let samples = lines.filter { !$0.hasPrefix("#") }
      #expect(!samples.isEmpty)
      for line in samples { #expect(line.wholeMatch(of: sample) != nil, "\(line)") }
      #expect(lines.filter { $0.hasPrefix("# TYPE ") }.count > 3)
    }
  }

  @Test("a folder is not synced from the moment on in which a file is made or moved in it", arguments: [false, true])
  func young(isMoved: Bool) async throws {
    try await withMount { world in
      for number in 0..<100 {
        let (folder, name) = (Path("\(number)"), Path("\(number)/take"))
        try Files.makeFolder(world.path(folder))
        let file = try OpenFile(world.path(isMoved ? "take" : name), O_CREAT | O_WRONLY)
        defer { try? file.close() }
        // Open, so nobody can say that it is stored.
        if isMoved { try Files.rename(world.path("take"), to: world.path(name)) }
        #expect(world.attribute("status", of: folder) == "uploading", "\(name)")
        if !isMoved { #expect(try Files.text(world.statusPath("sessions.json")).contains("\"\(name)\""), "\(name)") }
      }
    }
  }

  @Test("the summary says when everything is safe")
  func summary() async throws {
    try await withMount { world in
      try Files.write(world.path("take"), noise(1_000))
      try world.waitUntilSynced("take")

      let text = try Files.text(world.statusPath("summary"))
      #expect(text.contains("✓ SYNCED"), "\(text)")
      #expect(text.contains("online"), "\(text)")
    }
  }

  @Test("events have ids that increase, also over a restart, and the types that scripts look for")
  func events() async throws {
    try await withMount { world in
      try Files.write(world.path("one"), noise(mebibyte + 1))
      try world.waitUntilSynced("one")
      try world.endMount()
      try world.startMount(to: world.receiverURL)
      try Files.write(world.path("two"), noise(100))
      try world.waitUntilSynced("two")
      // Told a moment after the journal has it.
      try eventually("both are told of") { try world.events().count { $0.type == "SESSION_UPLOAD_COMPLETE" } == 2 }

      let events = try world.events()
      #expect(zip(events, events.dropFirst()).allSatisfy { $0.id + 1 == $1.id })
      #expect(events.first?.id == 1)
      #expect(events.filter { $0.type == "SESSION_REGISTERED" }.count == 2)
      #expect(events.filter { $0.type == "CHUNK_UPLOADED" }.count == 3)
    }
  }

  @Test("tail -f follows the events", .enabled(if: Machine.has("tail")))
  func following() async throws {
    try await withMount { world in
      let tail = try world.start(["tail", "-n", "+1", "-f", world.mountpoint + "/.status/events.jsonl"])
      defer { tail.killAll() }

      try Files.write(world.path("take"), noise(100))

      try eventually("tail shows the end of the upload") { tail.said.contains("SESSION_UPLOAD_COMPLETE") }
    }
  }
}

/// `.status/control`.
@Suite("Commands to a mount", .enabled(if: Machine.canMount, "needs /dev/fuse and reelfs"))
struct ControlTests {
  private func command(_ world: World, _ text: String) throws {
    try Files.write(world.statusPath("control"), Array(text.utf8), O_WRONLY | O_TRUNC)
  }

  @Test("pause stops uploading while recording goes on, and resume goes on")
  func pause() async throws {
    try await withMount { world in
      try world.shell("echo pause >$MNT/.status/control")
      try Files.write(world.path("take"), noise(2 * mebibyte))
      try world.wait(for: "paused", of: "take")
      #expect(world.attribute("badge", of: "take") == "⏸ PAUSED")
      #expect(world.number("bytes_synced", of: "take") == 0)

      try world.shell("echo resume >$MNT/.status/control")
      try world.waitUntilSynced("take")
      try world.waitUntilTold("UPLOAD_PAUSED")
      try world.waitUntilTold("UPLOAD_RESUMED")
    }
  }

  @Test("a pause outlives a restart")
  func pauseOutlives() async throws {
    try await withMount { world in
      try command(world, "pause\n")
      try eventually("it is recorded") { try Files.text(world.statusPath("summary")).contains("paused") }
      try world.endMount()
      try world.startMount(to: world.receiverURL)

      try Files.write(world.path("take"), noise(10))
      try world.wait(for: "paused", of: "take")
      try command(world, "resume\n")
      try world.waitUntilSynced("take")
    }
  }

  @Test("a limit holds, and can be lifted while uploading")
  func limit() async throws {
    try await withMount { world in
      try command(world, "limit 1M\n")
      let start = ContinuousClock.now
      try Files.write(world.path("take"), noise(5 * mebibyte))
      try eventually("three chunks are stored") { world.number("chunks_synced", of: "take") >= 3 }
      // A bucket may start full: the first second's worth costs nothing.
      #expect(ContinuousClock.now - start > .milliseconds(900))

      try command(world, "limit off\n")
      try world.waitUntilSynced("take")
      #expect(try world.isIdentical("take"))
    }
  }

  @Test("process-uploads force tries again what waits for its next attempt")
  func force() async throws {
    try await withWorld { world in
      try world.startReceiver()
      try world.startMount(
        ["--retry-initial", "300", "--retry-max", "600", "--connection-check-interval", "600"], to: world.receiverURL)
      try world.stopReceiver()
      try Files.write(world.path("take"), noise(10))
      try world.wait(for: "paused", of: "take")
      try world.startReceiver()

      try command(world, "process-uploads force\n")
      try world.waitUntilSynced("take")
    }
  }

  @Test("flush sends the open tail of a recording at once")
  func flush() async throws {
    try await withWorld { world in
      try world.startReceiver()
      try world.startMount(["--max-lag", "600"], to: world.receiverURL)
      let file = try OpenFile(world.path("take"), O_WRONLY | O_CREAT)
      try file.write(noise(1_000))

      try command(world, "flush take\n")
      try eventually("the tail is stored") { world.number("bytes_synced", of: "take") == 1_000 }
      try file.close()
    }
  }

  @Test("a line that is not understood is refused, and then none of the lines counts")
  func badLine() async throws {
    try await withMount { world in
      #expect(errorCode { try command(world, "frobnicate\n") } == EINVAL)
      #expect(errorCode { try command(world, "pause\nlimit quickly\n") } == EINVAL)
      #expect(errorCode { try command(world, "pause ../../etc\n") } == EINVAL)
      #expect(errorCode { try command(world, "pause no/such/recording\n") } == ENOENT)

      try Files.write(world.path("take"), noise(10))
      try world.waitUntilSynced("take")
    }
  }

  @Test("only the mount's owner may command", .enabled(if: Machine.isRoot && Machine.has("setpriv"), "needs root and setpriv"))
  func onlyOwner() async throws {
    try await withMount("-o", "allow_other") { world in
      let (code, output) = try world.run(
        "setpriv --reuid=65534 --regid=65534 --clear-groups sh -c 'echo pause >$MNT/.status/control'")

      #expect(code != 0)
      #expect(output.contains("Permission denied"))
    }
  }
}
