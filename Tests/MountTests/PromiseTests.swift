import CLinux
import Foundation
import Glibc
import TestSupport
import Testing

/// Promises of docs/SEMANTICS.md that no other test shows, under their own words.
@Suite("Promises", .enabled(if: Machine.canMount, "needs /dev/fuse and reelfs"))
struct PromiseTests {
  @Test("The mount is always `nosuid,nodev`.")
  func mountFlags() async throws {
    try await withMount { world in
      let line = try #require(try World.mountTable().split(separator: "\n").first { $0.contains(" \(world.mountpoint) ") })
      let flags = line.split(separator: " ")[3].split(separator: ",")
      #expect(flags.contains("nosuid") && flags.contains("nodev"), "\(line)")
    }
  }

  @Test("how the mount was set up: mount point, state directory, destination, device, the files of token and certificates.")
  func mountRecord() async throws {
    try await withMount { world in
      let file = world.statusPath("mount.json")
      #expect(try Files.status(file).st_mode & 0o777 & ~0o400 == 0)
      let text = String(decoding: try Files.read(file), as: UTF8.self).replacing("\\/", with: "/")
      for value in [world.mountpoint, world.state, world.receiverURL] { #expect(text.contains("\"\(value)\""), "\(text)") }
    }
  }

  @Test("ACLs are not supported (EOPNOTSUPP).")
  func accessLists() async throws {
    try await withMount { world in
      try Files.write(world.path("take"), [1])
      // Version 2, then tag, permissions and id of the owner, user 1, the group, the mask and others; an empty one would
      // remove the list that is not there, which succeeds.
      let list =
        "\u{2}\0\0\0" + "\u{1}\0\u{6}\0\u{1}\0\0\0" + "\u{2}\0\u{6}\0\u{1}\0\0\0" + "\u{4}\0\u{4}\0\u{1}\0\0\0"
        + "\u{10}\0\u{6}\0\u{1}\0\0\0" + "\u{20}\0\u{4}\0\u{1}\0\0\0"
      #expect(
        errorCode { try Files.setAttribute("system.posix_acl_access", list, of: world.path("take")) } == EOPNOTSUPP)
    }
  }

  @Test("`user.reelfs.*` cannot be set or seen.")
  func ownAttributes() async throws {
    try await withMount { world in
      try Files.write(world.path("take"), [1])
      #expect(errorCode { try Files.setAttribute("user.reelfs.session", "sess_0000000000000001", of: world.path("take")) } != 0)
      #expect(errorCode { _ = try Files.attribute("user.reelfs.session", of: world.path("take")) } == ENODATA)
      #expect(try !Files.attributeNames(of: world.path("take")).contains { $0.hasPrefix("user.reelfs.") })
    }
  }

  @Test("At most 64 MiB a call; counts as a write.")
  func copying() async throws {
    try await withMount { world in
      let size = 65 << 20
      try Files.write(world.path("from"), [1])
      let (from, to) = (try OpenFile(world.path("from"), O_RDWR), try OpenFile(world.path("to"), O_RDWR | O_CREAT))
      try from.truncate(to: size)
      let copied = try call("copy_file_range") {
        Int(copy_file_range(from.descriptor, nil, to.descriptor, nil, size, 0))
      }
      #expect(0 < copied && copied <= 64 << 20)
      try from.close()
      try to.close()

      try world.waitUntilSynced("to")
      #expect(world.number("bytes_synced", of: "to") == copied)
    }
  }

  @Test("A created regular file gets its session at once.")
  func sessionAtOnce() async throws {
    try await withMount { world in
      let file = try OpenFile(world.path("take"), O_WRONLY | O_CREAT)
      #expect(world.attribute("session", of: "take")?.hasPrefix("sess_") == true)
      try file.close()
    }
  }

  @Test("No byte is sent again.")
  func renamed() async throws {
    try await withMount { world in
      try Files.write(world.path("take"), noise(2 << 20))
      try world.waitUntilSynced("take")
      let before = try world.uploads(of: "take")

      try Files.rename(world.path("take"), to: world.path("keep"))
      try world.waitUntilSynced("keep")
      try eventually("the receiver has the new name") { try Files.exists(world.received("keep")) }

      #expect(try world.uploads(of: "keep") == before)
    }
  }

  @Test("Nothing is deleted at the destination.")
  func deleted() async throws {
    try await withMount { world in
      try Files.write(world.path("take"), [1, 2, 3])
      try Files.write(world.path("other"), [1])
      try world.waitUntilSynced("take")
      let received = try world.received("take")

      try Files.unlink(world.path("take"))
      // What is told of a later recording comes after all that was told of this one.
      try Files.write(world.path("later"), [4])
      try world.waitUntilSynced("later")

      #expect(try Files.read(received) == [1, 2, 3])
    }
  }

  @Test("Those without a value now are not listed.")
  func withoutValue() async throws {
    try await withMount { world in
      try Files.write(world.path("take"), [1])
      try world.waitUntilSynced("take")
      let names = try Files.attributeNames(of: world.path("take"))
      #expect(names.contains("user.sync.last_synced_at") && !names.contains("user.sync.error"))
    }
  }

  @Test("a path without a recording is ENOENT")
  func unknownPath() async throws {
    try await withMount { world in
      #expect(
        errorCode { try Files.write(world.statusPath("control"), Array("retry nothing-here\n".utf8), O_WRONLY) } == ENOENT)
    }
  }
}
