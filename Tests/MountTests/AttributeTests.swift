import CLinux
import Foundation
import Glibc
import TestSupport
import Testing

/// `user.sync.*`: what a recording says of itself.
@Suite("Attributes", .enabled(if: Machine.canMount, "needs /dev/fuse and reelfs"))
struct AttributeTests {
  @Test("a synced recording says so in every attribute")
  func synced() async throws {
    try await withMount { world in
      try Files.write(world.path("take"), noise(2 * mebibyte + 5))
      try world.waitUntilSynced("take")

      let values: [String: String] = Dictionary(
        uniqueKeysWithValues: ["badge", "progress", "recording", "bytes_written", "bytes_synced", "synced_through",
          "chunks_total", "chunks_synced", "destination", "priority", "hold"].map { ($0, world.attribute($0, of: "take") ?? "none") })
      let bytes = String(2 * mebibyte + 5)
      #expect(
        values == [
          "badge": "✓ SYNCED", "progress": "100", "recording": "0", "bytes_written": bytes, "bytes_synced": bytes,
          "synced_through": bytes, "chunks_total": "3", "chunks_synced": "3", "destination": world.receiverURL,
          "priority": "normal", "hold": "0",
        ])
      #expect(world.attribute("session", of: "take")?.hasPrefix("sess_") == true)
      #expect(Double(world.attribute("lag_seconds", of: "take") ?? "") == 0)
      #expect(world.attribute("last_synced_at", of: "take")?.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/) != nil)
      #expect(world.attribute("error", of: "take") == nil)
    }
  }

  @Test("a synced recording tells the digest of its content", .enabled(if: Machine.has("sha256sum")))
  func digest() async throws {
    try await withMount { world in
      try Files.write(world.path("take"), noise(mebibyte + 5))
      try world.waitUntilSynced("take")

      let digest = try world.shell("sha256sum <$MNT/take").prefix { $0 != " " }
      try eventually("the digest is there") { world.attribute("sha256", of: "take").map { $0 == digest } == true }
    }
  }

  @Test("attributes are listed, so that getfattr -d shows them")
  func listed() async throws {
    try await withMount { world in
      try Files.write(world.path("take"), noise(10))
      try world.waitUntilSynced("take")

      let names = try Files.attributeNames(of: world.path("take"))
      for name in ["status", "badge", "progress", "session", "bytes_synced", "json"] {
        #expect(names.contains("user.sync." + name))
      }
      #expect(!names.contains { $0.hasPrefix("user.reelfs.") })
    }
  }

  @Test("with --hide-xattrs they are not listed, and still there")
  func hidden() async throws {
    try await withMount("--hide-xattrs") { world in
      try Files.write(world.path("take"), noise(10))
      try Files.setAttribute("user.own", "1", of: world.path("take"))

      #expect(try Files.attributeNames(of: world.path("take")) == ["user.own"])
      #expect(world.attribute("status", of: "take") != nil)
    }
  }

  @Test("json holds all of it", arguments: ["take", ""])
  func json(name: String) async throws {
    try await withMount { world in
      try Files.write(world.path("take"), noise(1_000))
      try world.waitUntilSynced("take")

      let text = try #require(world.attribute("json", of: "\(name)"))
      let object = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
      #expect(object["schema_version"] as? Int == 1)
      #expect(object["status"] as? String == "synced")
      #expect(object["bytes_synced"] as? Int == 1_000)
    }
  }

  @Test("a folder and the root sum what is below them")
  func folders() async throws {
    try await withMount { world in
      try world.shell("mkdir -p $MNT/a/b")
      try Files.write(world.path("a/one"), noise(1_000))
      try Files.write(world.path("a/b/two"), noise(2_000))
      try Files.write(world.path("three"), noise(4_000))
      try world.waitUntilSynced("a/one", "a/b/two", "three")

      #expect(world.number("bytes_synced", of: "a") == 3_000)
      #expect(world.number("bytes_written", of: "") == 7_000)
      #expect(world.attribute("status", of: "a/b") == "synced")
    }
  }

  @Test("the worst status below a folder is the folder's")
  func worstFirst() async throws {
    try await withMount { world in
      try Files.makeFolder(world.path("a"))
      for name in ["one", "two"] { try Files.write(world.path("a/\(name)"), noise(1_000)) }
      try world.waitUntilSynced("a/one", "a/two")

      try Files.setAttribute("user.sync.hold", "1", of: world.path("a/two"))
      try Files.write(world.path("a/two"), noise(10), O_WRONLY | O_APPEND)
      try world.wait(for: "paused", of: "a/two")

      #expect(world.attribute("status", of: "a") == "paused")
      #expect(world.attribute("status", of: "a/one") == "synced")
    }
  }

  @Test("setting or removing one that is read-only succeeds and changes nothing")
  func readOnly() async throws {
    try await withMount { world in
      try Files.write(world.path("take"), noise(10))
      try world.waitUntilSynced("take")

      try Files.setAttribute("user.sync.status", "failed", of: world.path("take"))
      try Files.setAttribute("user.sync.anything", "x", of: world.path("take"))

      #expect(world.attribute("status", of: "take") == "synced")
      #expect(world.attribute("anything", of: "take") == nil)
    }
  }

  @Test("priority and hold can be set, and a wrong value is refused")
  func settable() async throws {
    try await withMount { world in
      try Files.write(world.path("take"), noise(10))
      try world.waitUntilSynced("take")

      try Files.setAttribute("user.sync.priority", "high", of: world.path("take"))
      try Files.setAttribute("user.sync.hold", "1", of: world.path("take"))
      try eventually("both are in effect") {
        world.attribute("priority", of: "take") == "high" && world.attribute("hold", of: "take") == "1"
      }

      #expect(errorCode { try Files.setAttribute("user.sync.priority", "soon", of: world.path("take")) } == EINVAL)
    }
  }

  @Test("a held recording waits, and goes on when it is released")
  func hold() async throws {
    try await withMount { world in
      let file = try OpenFile(world.path("take"), O_WRONLY | O_CREAT)
      try Files.setAttribute("user.sync.hold", "1", of: world.path("take"))
      try world.wait(for: "paused", of: "take")
      try file.write(noise(3 * mebibyte))
      try file.close()
      try Files.write(world.path("other"), noise(10))
      try world.waitUntilSynced("other")
      #expect(world.number("bytes_synced", of: "take") == 0)

      try Files.setAttribute("user.sync.hold", "0", of: world.path("take"))
      try world.waitUntilSynced("take")
      #expect(try world.isIdentical("take"))
    }
  }

  @Test("the user's own attributes are kept, listed, replaced and removed as on a disk")
  func own() async throws {
    try await withMount { world in
      try Files.write(world.path("take"), [])
      let (create, replace): (Int32, Int32) = (1, 2)
      try Files.setAttribute("user.scene", "12", of: world.path("take"), flags: create)

      #expect(errorCode { try Files.setAttribute("user.scene", "13", of: world.path("take"), flags: create) } == EEXIST)
      #expect(errorCode { try Files.setAttribute("user.none", "1", of: world.path("take"), flags: replace) } == ENODATA)
      #expect(try Files.attribute("user.scene", of: world.path("take")) == "12")
      #expect(try Files.attributeNames(of: world.path("take")).contains("user.scene"))
      try Files.removeAttribute("user.scene", of: world.path("take"))
      #expect(errorCode { _ = try Files.attribute("user.scene", of: world.path("take")) } == ENODATA)
    }
  }
}
