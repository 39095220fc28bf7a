import Foundation
import Glibc
import TestSupport
import Testing

@Suite("Reading settings again", .enabled(if: Machine.canMount, "needs /dev/fuse and reelfs"))
struct ReloadTests {
  private func withConfig(_ text: String, _ body: (World, (String) throws -> Void) throws -> Void) async throws {
    try await withWorld { world in
      func write(_ text: String) throws {
        try text.write(toFile: world.folder + "/config.yaml", atomically: true, encoding: .utf8)
      }
      try write(text)
      try world.startReceiver()
      try world.startMount(["--config", world.folder + "/config.yaml"], to: world.receiverURL)
      try body(world, write)
    }
  }

  @Test("SIGHUP changes what can change under a running recorder, and names what waits for the next mount")
  func reload() async throws {
    try await withConfig("limit: 5M\ndevice: studio\n") { world, write in
      try eventually("the limit is told") { try world.summary("limit") == "5242880" }
      try world.shell("exec 3> $MNT/take.wav; head -c 1500000 /dev/urandom >&3; kill -HUP \(world.mount?.pid ?? 0); sleep 0.1; echo end >&3")
      try eventually("it was read") { world.mount?.said.contains("settings read again: nothing changed") == true }

      try write("limit: 7M\ndevice: attic\nsync-every: 1h\nstall-after: 5\n")
      world.mount?.send(SIGHUP)

      try eventually("it is said") {
        world.mount?.said.contains("settings changed: limit, sync-every, stall-after\ntakes effect at the next mount: device\n") == true
      }
      try eventually("it holds") { try world.summary("limit") == "7340032" }
      #expect(try world.summary("sync_every_seconds") == "3600")
      try world.waitUntilSynced("take.wav")
    }
  }

  @Test("a settings file that is wrong changes nothing, and its line is named")
  func wrong() async throws {
    try await withConfig("limit: 5M\n") { world, write in
      try write("limit: 5M\nparalel: 2\n")
      world.mount?.send(SIGHUP)

      try eventually("it is said") { world.mount?.said.contains("config.yaml line 2: there is no setting \"paralel\"") == true }
      #expect(world.mount?.said.contains("; all settings stay as they were") == true)
      try eventually("the limit is told") { try world.summary("limit") == "5242880" }
    }
  }

  @Test("a worker that is replaced while the settings file is wrong goes on with the settings of the mount")
  func replaced() async throws {
    try await withConfig("limit: 5M\n") { world, write in
      try write("nonsense\n")
      let worker = try #require(world.mount?.descendants.first)
      kill(worker, SIGKILL)

      try eventually("it is said") { world.mount?.said.contains("going on with the settings as they were at the mount") == true }
      try eventually("the limit is told") { try world.summary("limit") == "5242880" }
    }
  }
}
