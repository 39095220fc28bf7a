import CLinux
import FaultyServer
import Glibc
import TestSupport
import Testing

/// Programs end and are killed; recordings do not.
@Suite("Restarts", .enabled(if: Machine.canMount, "needs /dev/fuse and reelfs"))
struct RestartTests {
  @Test("what is not uploaded when a mount ends goes on at the next mount of its state")
  func cleanEnd() async throws {
    try await withMount("--limit", "1M") { world in
      try Files.write(world.path("take"), noise(6 * mebibyte))
      let session = world.attribute("session", of: "take")
      #expect(try world.endMount() == 0)

      try world.startMount(to: world.receiverURL)
      try world.waitUntilSynced("take")
      #expect(world.attribute("session", of: "take") == session)
      #expect(try world.isIdentical("take"))
    }
  }

  @Test("what is stored already is not uploaded again after a restart")
  func storedOnce() async throws {
    try await withMount { world in
      try Files.write(world.path("take"), noise(3 * mebibyte + 1))
      try world.waitUntilSynced("take")
      try world.endMount()

      try world.startMount(to: world.receiverURL)
      try Files.write(world.path("other"), noise(10))
      try world.waitUntilSynced("other")
      #expect(world.attribute("status", of: "take") == "synced")
      #expect(try world.uploads(of: "take").values.allSatisfy { $0 == 1 })
    }
  }

  @Test("after SIGKILL of everything every written byte is there, and is uploaded without being asked")
  func killed() async throws {
    try await withMount("--limit", "1M") { world in
      let file = try OpenFile(world.path("take"), O_RDWR | O_CREAT)
      try file.write(noise(4 * mebibyte + 1_234))
      try world.killMount()
      try? file.close()

      try world.startMount(to: world.receiverURL)
      #expect(try Files.read(world.path("take")) == noise(4 * mebibyte + 1_234))
      try world.waitUntilSynced("take")
      #expect(try world.isIdentical("take"))
    }
  }

  @Test("a recorder that writes while the worker is killed sees no error, and loses no byte")
  func workerKilled() async throws {
    try await withMount { world in
      let bytes = noise(12 * mebibyte)
      let file = try OpenFile(world.path("take"), O_RDWR | O_CREAT)
      for part in 0..<12 {
        if part % 4 == 2 {
          let worker = try #require(world.mount?.descendants.first)
          kill(worker, SIGKILL)
        }
        try file.write(Array(bytes[part * mebibyte..<(part + 1) * mebibyte]))
      }
      try file.close()

      #expect(try Files.read(world.path("take")) == bytes)
      try world.waitUntilSynced("take")
      #expect(try world.isIdentical("take"))
    }
  }

  @Test("as a service, with all of its processes killed again and again, it loses no byte and tells no recorder")
  func serviceKilled() async throws {
    try await withWorld { world in
      try world.startReceiver()
      let manager = try FakeServiceManager(socketName: world.folder + "/notify")
      defer { manager.giveUp() }
      func start() throws {
        let ready = manager.count(of: "READY=1")
        try manager.start(
          [Machine.reelfs, "mount", world.receiverURL, world.mountpoint, "--state-dir", world.state] + World.quickFlags,
          output: world.folder + "/service", environment: ["XDG_CONFIG_HOME": world.folder + "/xdg-config"])
        let log = Path(world.folder + "/service")
        try eventually("the service is ready: \((try? Files.text(log)) ?? "")") { manager.count(of: "READY=1") > ready }
      }
      try start()
      let writer = try OutsideWriter(path: world.mountpoint + "/take", folder: world.folder)
      for _ in 0..<4 {
        let before = writer.count
        try eventually("the recorder writes") { writer.count > before + mebibyte / 2 }
        manager.send(SIGKILL)
        #expect(try manager.waitForEnd() == 128 + SIGKILL)
        try start()
      }
      try writer.stop()

      let isSame = try Files.read(world.path("take")) == Files.read(Path(writer.truth))
      #expect(isSame)
      try world.waitUntilSynced("take")
      #expect(try world.isIdentical("take"))
      manager.send(SIGTERM)
      #expect(try manager.waitForEnd() == 0)
      try eventually("nothing is kept any more") { manager.keptNames == [] }
    }
  }

  @Test("reelfs restart changes the worker under a running recorder")
  func restart() async throws {
    try await withMount { world in
      let file = try OpenFile(world.path("take"), O_RDWR | O_CREAT)
      try file.write(noise(mebibyte))
      let before = try #require(world.mount?.descendants)

      #expect(try world.reelfs("restart", world.mountpoint).code == 0)
      try eventually("there is another worker") {
        let now = world.mount?.descendants ?? []
        return !now.isEmpty && Set(now).isDisjoint(with: before)
      }
      try file.write([1, 2, 3])
      try file.close()

      try world.waitUntilSynced("take")
      #expect(try world.isIdentical("take"))
    }
  }

  @Test("a receiver that is killed has kept what it acknowledged", arguments: [SIGKILL, SIGTERM])
  func receiverKilled(signal: Int32) async throws {
    try await withMount { world in
      let file = try OpenFile(world.path("take"), O_WRONLY | O_CREAT)
      try file.write(noise(3 * mebibyte))
      try eventually("three chunks are stored") { world.number("chunks_synced", of: "take") == 3 }
      try world.stopReceiver(signal)
      try file.write(noise(2 * mebibyte, seed: 2))
      try file.close()
      try world.startReceiver()

      try world.waitUntilSynced("take")
      #expect(try world.isIdentical("take"))
      try world.waitUntilTold("SESSION_UPLOAD_COMPLETE")
      #expect(try world.uploads(of: "take") == [0: 1, 1: 1, 2: 1, 3: 1, 4: 1])
    }
  }

  @Test("recordings renamed, deleted and added in the spool while nothing runs are taken as they are")
  func changedMeanwhile() async throws {
    try await withMount { world in
      for name: Path in ["renamed", "deleted", "copied"] { try Files.write(world.path(name), noise(5_000)) }
      try world.waitUntilSynced("renamed", "deleted", "copied")
      try world.endMount()
      try world.shell(
        """
        cd $DIR/state/recordings && mv renamed new-name && rm deleted && cp -a copied copy && echo more >>copy &&
        mkdir folder && echo new >folder/added
        """)

      try world.startMount(to: world.receiverURL)
      try world.waitUntilSynced("new-name", "copied", "copy", "folder/added")
      try eventually("the receiver has the new name") { try Files.exists(world.received("new-name")) }
      for name: Path in ["new-name", "copied", "copy", "folder/added"] { #expect(try world.isIdentical(name)) }
      #expect(world.attribute("session", of: "copy") != world.attribute("session", of: "copied"))
      #expect(try world.reelfs("status", world.mountpoint).code == 0)
    }
  }

  @Test("a recording with two names is one recording after a restart too")
  func hardLinks() async throws {
    try await withMount { world in
      try Files.write(world.path("a"), noise(2_000))
      try world.shell("ln $MNT/a $MNT/b")
      try world.waitUntilSynced("a")
      let session = world.attribute("session", of: "a")
      try world.endMount()

      try world.startMount(to: world.receiverURL)
      try Files.write(world.path("b"), [1], O_WRONLY | O_APPEND)
      try eventually("it is synced") { world.number("bytes_synced", of: "a") == 2_001 }
      #expect(world.attribute("session", of: "a") == session)
      #expect(world.attribute("session", of: "b") == session)
    }
  }

  @Test("a journal that is lost or damaged costs no recording", arguments: ["rm $J*", "head -c 5000 /dev/zero >$J", "truncate -s 100 $J; rm -f $J-wal"])
  func lostJournal(damage: String) async throws {
    try await withMount { world in
      try Files.write(world.path("take"), noise(2 * mebibyte + 7))
      try world.waitUntilSynced("take")
      try world.endMount()
      try world.shell("J=$DIR/state/journal.sqlite; \(damage); echo more >>$DIR/state/recordings/take")

      try world.startMount(to: world.receiverURL)
      try world.waitUntilSynced("take")
      #expect(world.number("bytes_written", of: "take") == 2 * mebibyte + 12)
      #expect(try world.isIdentical("take"))
    }
  }

  @Test("a receiver that has lost its data gets a changed recording whole")
  func lostReceiverData() async throws {
    try await withMount { world in
      try Files.write(world.path("take"), noise(3 * mebibyte))
      try world.waitUntilSynced("take")
      try world.stopReceiver()
      try world.shell("rm -rf $DIR/data")
      try world.startReceiver()

      try Files.write(world.path("take"), [1], O_WRONLY | O_APPEND)
      try eventually("it is synced again") {
        world.number("bytes_synced", of: "take") == 3 * mebibyte + 1 && world.attribute("status", of: "take") == "synced"
      }
      #expect(try world.isIdentical("take"))
    }
  }

  @Test("a mount whose destination has another name than before says that old receipts count")
  func otherDestination() async throws {
    try await withMount { world in
      try Files.write(world.path("take"), noise(100))
      try world.waitUntilSynced("take")
      try world.endMount()
      try world.startMount(to: world.receiverURL.replacing("127.0.0.1", with: "localhost"))
      #expect(world.mount?.said.contains("went to \(world.receiverURL) until now") == true)
      try world.endMount()
      try world.startMount(to: world.receiverURL.replacing("127.0.0.1", with: "localhost"))
      #expect(world.mount?.said.contains("until now") == false)
    }
  }

  @Test("a mount that was killed and still closes its files is waited for", .enabled(if: Machine.has("flock"), "flock is not installed"),
    arguments: ["lock", "lock.worker"])
  func dyingMount(lock: String) async throws {
    try await withMount { world in
      try world.endMount()
      let dying = try world.start(["flock", world.state + "/" + lock, "sh", "-c", "echo held; sleep 1"])
      try eventually("it has the lock") { dying.said.contains("held") }
      try world.startMount(to: world.receiverURL)
      #expect(try dying.wait() == 0, "it came to its end first")
    }
  }

  @Test("mounting works without a server, and a thousand recordings made meanwhile all arrive")
  func manyOffline() async throws {
    try await withWorld { world in
      try world.startReceiver()
      try world.stopReceiver()
      try world.startMount(to: world.receiverURL)
      for number in 0..<1_000 { try Files.write(world.path("take\(number)"), noise(100, seed: UInt64(number))) }
      try world.wait(for: "paused", of: "take0")
      try world.startReceiver()

      try eventually("all are synced") { world.attribute("status", of: "") == "synced" }
      #expect(try world.isIdentical("take0"))
      #expect(try world.isIdentical("take999"))
    }
  }
}
