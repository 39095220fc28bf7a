import CLinux
import FaultyServer
import Glibc
import TestSupport
import Testing

/// Several destinations at once: `reelfs mount DESTINATION --also DESTINATION`.
@Suite("Several destinations", .enabled(if: Machine.canMount, "needs /dev/fuse and reelfs"))
struct AlsoTests {
  private func withTwo(_ flags: String..., body: (World, OtherReceiver) throws -> Void) async throws {
    try await withWorld { world in
      try world.startReceiver()
      let other = try OtherReceiver(world)
      try world.startMount(["--also", other.url] + flags, to: world.receiverURL)
      try body(world, other)
    }
  }

  private func evicted(_ world: World, _ name: Path) -> String {
    (try? Files.attribute("user.reelfs.evicted", of: Path(world.folder + "/state/recordings") / name)) ?? ""
  }

  private func evict(_ world: World, _ name: Path) throws {
    #expect(try world.reelfs("evict", "\(world.path(name))").code == 0)
    try eventually("its bytes are given up") {
      try Files.status(Path(world.folder + "/state/recordings") / name).st_blocks < 64
    }
    // The kernel's own copy of what was written would answer instead.
    let file = try OpenFile(world.path(name), O_RDONLY)
    #expect(posix_fadvise(file.descriptor, 0, 0, POSIX_FADV_DONTNEED) == 0)
    try file.close()
  }

  @Test("every destination gets every recording, and people are told once that it is complete")
  func both() async throws {
    try await withTwo { world, other in
      try Files.write(world.path("take"), noise(3 * mebibyte + 5))
      try world.waitUntilSynced("take")

      #expect(try world.isIdentical("take"))
      #expect(try other.isIdentical("take"))
      #expect(try world.destinations(ofEvents: "SESSION_UPLOAD_COMPLETE") == [nil])
      #expect(try world.destinations(ofEvents: "SESSION_REGISTERED") == [nil])
      let uploads = try world.destinations(ofEvents: "CHUNK_UPLOADED").map { $0 ?? "" }.sorted()
      #expect(uploads == [world.receiverURL, other.url].sorted().flatMap { [$0, $0, $0, $0] })
    }
  }

  @Test("with one destination away the other gets all, and the recording counts as paused and no further than the slower one")
  func oneAway() async throws {
    try await withTwo { world, other in
      let file = try OpenFile(world.path("take"), O_WRONLY | O_CREAT)
      try file.write(noise(2 * mebibyte))
      try eventually("both have it") { world.number("bytes_synced", of: "take") == 2 * mebibyte }
      try other.stop(SIGKILL)
      try file.write(noise(3 * mebibyte, seed: 2))
      try file.close()

      try eventually("the first has all") { try world.shares(of: "take").first?.status == "synced" }
      try world.wait(for: "paused", of: "take")
      let shares = try world.shares(of: "take")
      #expect(shares.map(\.bytes) == [5 * mebibyte, 2 * mebibyte])
      #expect(world.number("bytes_synced", of: "take") == 2 * mebibyte)
      #expect(world.number("synced_through", of: "take") == 2 * mebibyte)
      #expect(world.attribute("error", of: "take")?.contains(other.url) == true)
      #expect(try world.destinations(ofEvents: "CONNECTION_LOST") == [other.url])
      #expect(try world.destinations(ofEvents: "SESSION_UPLOAD_COMPLETE").isEmpty)

      try other.start()
      try world.waitUntilSynced("take")
      #expect(try world.isIdentical("take"))
      #expect(try other.isIdentical("take"))
      #expect(try world.destinations(ofEvents: "SESSION_UPLOAD_COMPLETE") == [nil])
    }
  }

  @Test("the first destination away does not keep the others from getting everything")
  func firstAway() async throws {
    try await withTwo { world, other in
      try world.stopReceiver(SIGKILL)
      try Files.write(world.path("take"), noise(3 * mebibyte))
      try eventually("the other has all") { try world.shares(of: "take").last?.status == "synced" }
      #expect(try other.isIdentical("take"))
      #expect(world.number("bytes_synced", of: "take") == 0)

      try world.startReceiver()
      try world.waitUntilSynced("take")
      #expect(try world.isIdentical("take"))
    }
  }

  @Test("a header that is rewritten after one destination had everything reaches both")
  func headerRewrite() async throws {
    try await withTwo { world, other in
      try other.stop(SIGKILL)
      var bytes = noise(3 * mebibyte)
      try Files.write(world.path("take"), bytes)
      try eventually("the first has all") { try world.shares(of: "take").first?.status == "synced" }

      let file = try OpenFile(world.path("take"), O_WRONLY)
      try file.write([1, 2, 3, 4], at: 4)
      try file.close()
      bytes.replaceSubrange(4..<8, with: [1, 2, 3, 4])
      try other.start()

      try world.waitUntilSynced("take")
      #expect(try Files.read(world.received("take")) == bytes)
      #expect(try Files.read(other.received("take")) == bytes)
    }
  }

  @Test("a rename, a truncation and a deletion are told to every destination's uploader")
  func changes() async throws {
    try await withTwo { world, other in
      let bytes = noise(3 * mebibyte)
      try Files.write(world.path("take"), bytes)
      try world.waitUntilSynced("take")
      try Files.rename(world.path("take"), to: world.path("named"))
      let file = try OpenFile(world.path("named"), O_WRONLY)
      try file.truncate(to: mebibyte + 9)
      try file.close()
      try world.waitUntilSynced("named")
      #expect(try Files.read(world.received("named")) == Array(bytes[..<(mebibyte + 9)]))
      #expect(try other.isIdentical("named"))

      try other.stop(SIGKILL)
      try Files.write(world.path("gone"), noise(mebibyte))
      try world.wait(for: "paused", of: "gone")
      try world.shell("rm $MNT/gone")
      try other.start()
      try eventually("nothing waits") { try world.reelfs("status", world.mountpoint).code == 0 }
    }
  }

  @Test("local bytes are given up only when every destination has them, and come back from whichever is there")
  func eviction() async throws {
    try await withTwo("--keep-local", "0") { world, other in
      try other.stop(SIGKILL)
      let bytes = noise(3 * mebibyte)
      try Files.write(world.path("take"), bytes)
      try eventually("the first has all") { try world.shares(of: "take").first?.status == "synced" }
      #expect(try world.reelfs("evict", world.mountpoint + "/take").code == 0)
      try other.start()
      try world.waitUntilSynced("take")
      #expect(evicted(world, "take") == "")

      try evict(world, "take")
      try world.stopReceiver(SIGKILL)
      #expect(try Files.read(world.path("take")) == bytes)
    }
  }

  @Test("a destination that is added later is sent everything, what was evicted too")
  func addedLater() async throws {
    try await withWorld { world in
      try world.startReceiver()
      try world.startMount(to: world.receiverURL)
      let bytes = noise(40 * mebibyte)
      try Files.write(world.path("take"), bytes)
      try world.waitUntilSynced("take")
      try evict(world, "take")
      try world.endMount()

      let other = try OtherReceiver(world)
      try world.startMount(["--also", other.url], to: world.receiverURL)
      try world.waitUntilSynced("take")
      #expect(try Files.read(other.received("take")) == bytes)
      #expect(try world.destinations(ofEvents: "UPLOAD_ERROR").isEmpty)
    }
  }

  @Test("a destination that is left out does not count any more, and goes on where it was when it comes back")
  func leftOut() async throws {
    try await withTwo { world, other in
      try Files.write(world.path("old"), noise(2 * mebibyte))
      try world.waitUntilSynced("old")
      try other.stop(SIGKILL)
      try Files.write(world.path("take"), noise(2 * mebibyte))
      try world.wait(for: "paused", of: "take")
      try world.endMount()

      try world.startMount(to: world.receiverURL)
      try world.waitUntilSynced("take", "old")
      #expect(try world.shares(of: "take").isEmpty)
      try world.endMount()

      try other.start()
      try world.startMount(["--also", other.url], to: world.receiverURL)
      try world.waitUntilSynced("take", "old")
      #expect(try other.isIdentical("take"))
      #expect(try other.isIdentical("old"))
      let uploads = try world.destinations(ofEvents: "CHUNK_UPLOADED").filter { $0 == other.url }
      #expect(uploads.count == 4, "two of each, and none of them twice")
    }
  }

  @Test("a killed worker loses nothing of any destination's work")
  func killedWorker() async throws {
    try await withTwo { world, other in
      let bytes = noise(24 * mebibyte)
      let file = try OpenFile(world.path("take"), O_WRONLY | O_CREAT)
      for start in stride(from: 0, to: bytes.count, by: 4 * mebibyte) {
        try file.write(Array(bytes[start..<start + 4 * mebibyte]))
        if start % (8 * mebibyte) == 0, let worker = world.mount?.descendants.first { kill(worker, SIGKILL) }
      }
      try file.close()
      try world.waitUntilSynced("take")
      #expect(try Files.read(world.received("take")) == bytes)
      #expect(try other.isIdentical("take"))
    }
  }

  @Test("a receiver and a folder", arguments: [false, true])
  func folder(isFirst: Bool) async throws {
    try await withWorld { world in
      try world.startReceiver()
      try world.shell("mkdir $DIR/usb")
      let folder = "file://\(world.folder)/usb"
      try world.startMount(["--also", isFirst ? world.receiverURL : folder], to: isFirst ? folder : world.receiverURL)
      try Files.makeFolder(world.path("day"))
      try Files.write(world.path("day/take"), noise(3 * mebibyte + 1))
      try world.waitUntilSynced("day/take")
      #expect(try world.isIdentical("day/take"))
      try world.shell("cmp $MNT/day/take $DIR/usb/day/take")

      try world.shell("mv $DIR/usb $DIR/unplugged")
      try Files.write(world.path("second"), noise(2 * mebibyte))
      try eventually("the receiver has it") { try world.shares(of: "second").contains { $0.status == "synced" } }
      try world.wait(for: "paused", of: "second")
      try world.shell("mv $DIR/unplugged $DIR/usb")
      #expect(try world.reelfs("retry", world.mountpoint).code == 0)
      try world.waitUntilSynced("second")
      try world.shell("cmp $MNT/second $DIR/usb/second")
    }
  }

  @Test("a tus server as a further destination")
  func tus() async throws {
    try await withWorld { world in
      try world.startReceiver()
      let other = try OtherReceiver(world)
      try world.startMount(["--also", "tus+\(other.url)/files/"], to: world.receiverURL)
      var bytes = noise(5 * mebibyte + 3)
      let file = try OpenFile(world.path("take"), O_WRONLY | O_CREAT)
      try file.write(bytes)
      try file.write([9, 9, 9], at: 100)
      bytes.replaceSubrange(100..<103, with: [9, 9, 9])
      try file.close()
      try world.waitUntilSynced("take")
      #expect(try world.isIdentical("take"))
      let found = try world.shell("find '\(other.data)'/sess_* -name take -type f").split(separator: "\n")
      #expect(try found.count == 1 && Files.read(Path(String(found[0]))) == bytes, "\(found)")
    }
  }

  @Test("pauses and limits are for all destinations")
  func controls() async throws {
    try await withTwo { world, other in
      #expect(try world.reelfs("pause", world.mountpoint).code == 0)
      try Files.write(world.path("take"), noise(2 * mebibyte))
      try world.wait(for: "paused", of: "take")
      #expect(try world.shares(of: "take").map(\.bytes) == [0, 0])
      #expect(try world.reelfs("limit", "3M", world.mountpoint).code == 0)
      try eventually("the limit is told as it was set") {
        try String(decoding: Files.read(world.statusPath("summary")), as: UTF8.self).contains("limit: 3145728\n")
      }
      #expect(try world.reelfs("resume", world.mountpoint).code == 0)
      try world.waitUntilSynced("take")
      #expect(try other.isIdentical("take"))
    }
  }

  @Test("with --fsync remote, fsync returns once every destination has the bytes")
  func synchronizesRemotely() async throws {
    try await withTwo("--fsync", "remote") { world, other in
      let file = try OpenFile(world.path("take"), O_WRONLY | O_CREAT)
      try file.write(noise(2 * mebibyte + 7))
      try file.synchronize()
      #expect(try world.shares(of: "take").map(\.bytes) == [2 * mebibyte + 7, 2 * mebibyte + 7])
      try file.close()
    }
  }

  @Test("verify asks every destination that can be asked")
  func verify() async throws {
    try await withWorld { world in
      try world.startReceiver()
      let other = try OtherReceiver(world)
      try world.shell("mkdir $DIR/usb")
      try world.startMount(["--also", other.url, "--also", "file://\(world.folder)/usb"], to: world.receiverURL)
      try Files.write(world.path("take"), noise(2 * mebibyte))
      try world.waitUntilSynced("take")
      let (code, words) = try world.reelfs("verify", world.mountpoint)
      #expect(code == 0)
      #expect(words.contains("verified at \(world.receiverURL)") && words.contains("verified at \(other.url)"))
      #expect(words.contains("usb cannot be asked"))

      // One of them loses the recording.
      try other.stop()
      try world.shell("rm -rf '\(other.data)'")
      try other.start()
      let (later, complaint) = try world.reelfs("verify", world.mountpoint)
      #expect(later == 4)
      #expect(complaint.contains("verified at \(world.receiverURL)") && complaint.contains("does not know this recording"))
    }
  }

  @Test("every view tells what each destination has")
  func views() async throws {
    try await withTwo { world, other in
      try other.stop(SIGKILL)
      try Files.write(world.path("take"), noise(2 * mebibyte))
      try eventually("the first has all") { try world.shares(of: "take").first?.status == "synced" }
      try world.wait(for: "paused", of: "take")

      let page = try String(decoding: Files.read(world.statusPath("take")), as: UTF8.self)
      #expect(page.contains("\ndestination.1: ✓ SYNCED \(world.receiverURL)\n"))
      #expect(page.contains("\ndestination.2: ⏸ PAUSED \(other.url): "))
      let summary = try String(decoding: Files.read(world.statusPath("summary")), as: UTF8.self)
      #expect(summary.contains("\nconnection: offline\n"))
      #expect(summary.contains("\nconnection.1: online\n"))
      #expect(summary.contains("\nconnection.2: offline: "))
      let (code, table) = try world.reelfs("status", world.mountpoint)
      #expect(code == 4)
      #expect(table.contains("→ \(world.receiverURL), online"))
      #expect(table.contains("and also → \(other.url), offline"))
      #expect(table.contains("→ ⏸ PAUSED \(other.url)"))
      #expect(try world.reelfs("flush", world.mountpoint, "--wait", "--timeout", "1").code == 4)
    }
  }

  @Test("destinations that are given twice, too many or in another order than before are refused with a sentence")
  func refusals() async throws {
    try await withWorld { world in
      try world.startReceiver()
      let other = try OtherReceiver(world)
      func refusal(_ words: [String]) throws -> String {
        let child = try world.start([Machine.reelfs, "mount"] + words + [world.mountpoint, "--state-dir", world.state])
        #expect(try child.wait() == 1)
        return child.said
      }
      #expect(try refusal([world.receiverURL, "--also", world.receiverURL]).contains("given twice"))
      let many = (1...5).flatMap { ["--also", "file:///tmp/reelfs-\($0)"] }
      #expect(try refusal([world.receiverURL] + many).contains("too many"))

      try world.startMount(["--also", other.url], to: world.receiverURL)
      try world.endMount()
      #expect(try refusal([other.url, "--also", world.receiverURL]).contains("keep it first"))
    }
  }

  @Test("a token goes to its own destination only")
  func tokens() async throws {
    try await withWorld { world in
      try world.shell("echo secret-one > $DIR/one; echo secret-two > $DIR/two; chmod 600 $DIR/one $DIR/two")
      try world.startReceiver(["--token-file", world.folder + "/one"])
      let other = try OtherReceiver(world, flags: ["--token-file", world.folder + "/two"])
      try world.startMount(
        ["--token-file", world.folder + "/one", "--also", "\(other.url)#token-file=\(world.folder)/two"], to: world.receiverURL)
      try Files.write(world.path("take"), noise(mebibyte))
      try world.waitUntilSynced("take")
      #expect(try world.isIdentical("take"))
      #expect(try other.isIdentical("take"))
    }
  }
}
