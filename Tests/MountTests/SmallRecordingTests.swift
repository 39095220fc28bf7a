import Foundation
import Glibc
import TestSupport
import Testing

/// Recordings that travel whole, many of them in one request.
@Suite("Small recordings", .enabled(if: Machine.canMount, "needs /dev/fuse and reelfs"))
struct SmallRecordingTests {
  /// Requests that stored something, so far.
  private func requests(_ world: World) throws -> Int {
    let page = String(decoding: try Files.read(world.statusPath("metrics")), as: UTF8.self)
    return page.firstMatch(of: /reelfs_upload_attempts_total\{outcome="stored"\} (\d+)/).flatMap { Int($0.1) } ?? 0
  }

  @Test("hundreds of them arrive in a few requests, and everything is told of each")
  func fewRequests() async throws {
    try await withMount { world in
      let names = (0..<300).map { Path("small \($0)") }
      // None of them travels before all is said of it.
      #expect(try world.reelfs("pause", world.mountpoint).code == 0)
      for (number, name) in names.enumerated() { try Files.write(world.path(name), noise(16 << 10, seed: UInt64(number))) }
      try world.shell("setfattr -n user.note -v loud \"$MNT/small 7\"")
      #expect(try world.reelfs("resume", world.mountpoint).code == 0)
      try world.wait(for: "synced", of: "")

      #expect(try requests(world) < 100)
      for name in names { #expect(try world.isIdentical(name)) }
      let session = try #require(world.attribute("session", of: names[9]))
      try world.waitUntilTold("SESSION_UPLOAD_COMPLETE") { $0.session == session }
      let told = try world.events().filter { $0.session == session }.map(\.type)
      #expect(told == ["SESSION_REGISTERED", "CHUNK_UPLOADED", "SESSION_UPLOAD_COMPLETE"])
      #expect(world.number("bytes_synced", of: names[9]) == 16 << 10)
      let sum = try world.shell("sha256sum <\"$MNT/small 9\" | cut -d' ' -f1").trimmingCharacters(in: .whitespacesAndNewlines)
      #expect(world.attribute("sha256", of: names[9]) == sum)
      let noted = try #require(world.attribute("session", of: names[7]))
      let manifest = try Files.text(Path(world.data + "/" + noted) / ".reelfs-manifest.json")
      #expect(manifest.contains("\"note\":\"loud\""))
      try world.endMount()
      try world.stopReceiver()
      #expect(try world.reelfs("receive", "--verify", "--data", world.data).code == 0)
    }
  }

  @Test("renamed, changed, cut and deleted at any moment after they were closed, they are at the receiver as they are here")
  func changedMeanwhile() async throws {
    try await withMount { world in
      var names = (0..<240).map { Path("small \($0)") }
      for (number, name) in names.enumerated() {
        try Files.write(world.path(name), noise(900, seed: UInt64(number)))
        // The settle time is 0.2 s: by now some travel, some have arrived, some wait.
        guard number % 3 == 2 else { continue }
        let (early, other, gone) = (number / 2, number / 3, number / 4)
        try Files.write(world.path(names[early]), noise(700 + number, seed: UInt64(number + 1_000)))
        if !names[other].description.contains("renamed") {
          let newName = Path("renamed \(other)")
          try Files.rename(world.path(names[other]), to: world.path(newName))
          names[other] = newName
        }
        if number % 9 == 8 {
          try Files.write(world.path("gone \(gone)"), noise(50))
          usleep(30_000)
          try Files.unlink(world.path("gone \(gone)"))
        }
        usleep(3_000)
      }
      try world.wait(for: "synced", of: "", seconds: 30)

      for name in names { #expect(try world.isIdentical(name)) }
      let shown = try world.shell("cd \"$DIR/data/recordings\"/* && ls | grep -v ^gone | sort").split(separator: "\n").map(String.init)
      #expect(shown == names.map { "\($0)" }.sorted())
      try world.endMount()
      try world.stopReceiver()
      #expect(try world.reelfs("receive", "--verify", "--data", world.data).code == 0)
    }
  }

  @Test("a receiver and a worker that are killed again and again lose none of them")
  func killed() async throws {
    try await withMount { world in
      let names = (0..<600).map { Path("small \($0)") }
      for (number, name) in names.enumerated() {
        try Files.write(world.path(name), noise(300, seed: UInt64(number)))
        switch number % 200 {
        case 120:
          try world.stopReceiver(SIGKILL)
          try world.startReceiver()
        case 160: if let worker = world.mount?.descendants.first { kill(worker, SIGKILL) }
        default: break
        }
      }
      try world.wait(for: "synced", of: "", seconds: 30)
      for name in names { #expect(try world.isIdentical(name)) }
      try world.endMount()
      try world.stopReceiver()
      #expect(try world.reelfs("receive", "--verify", "--data", world.data).code == 0)
    }
  }
}
