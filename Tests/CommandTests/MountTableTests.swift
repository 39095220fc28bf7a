import SyncStatus
import Testing
import reelfs

@Suite("the mount table")
struct MountTableTests {
  @Test("paths with blanks, and optional fields, are read; broken lines are left out")
  func parse() {
    let text = """
      22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
      40 22 0:39 / /home/me/My\\040Recordings rw,nosuid,nodev - fuse.reelfs reelfs rw,user_id=1000
      41 22 0:40 / /a rw master:1 shared:2 - fuse.reelfs http://nas rw
      garbage
      42 22 0:40 / /a rw -
      """
    let entries = MountTable.parse(Array(text.utf8))
    #expect(entries.map(\.path) == ["/", "/home/me/My Recordings", "/a"])
    #expect(entries.map(\.type) == ["ext4", "fuse.reelfs", "fuse.reelfs"])
  }

  @Test("the nearest mount counts, and a later one at the same place covers the earlier")
  func nearest() {
    let entries = [
      MountEntry(path: "/", type: "ext4", source: ""), MountEntry(path: "/a", type: "fuse.reelfs", source: ""),
      MountEntry(path: "/a/b", type: "tmpfs", source: ""), MountEntry(path: "/a", type: "nfs", source: "")
    ]
    #expect(MountTable.entry(for: "/a/b/c", in: entries)?.type == "tmpfs")
    #expect(MountTable.entry(for: "/a/x", in: entries)?.type == "nfs")
    #expect(MountTable.entry(for: "/ab", in: entries)?.type == "ext4")
  }

  @Test("a path in a mount becomes a path below its root")
  func places() throws {
    let mount = try FakeMount([recording("studio/take 1.wav", .synced)])
    let file = try mount.locator.places(for: mount.root.path + "/studio/take 1.wav")
    #expect(file.first?.target == .path(Array("studio/take 1.wav".utf8)))
    let root = try mount.locator.places(for: mount.root.path + "/")
    #expect(root == [MountPlace(root: mount.root, target: .all)])
    #expect(try mount.locator.places(for: nil) == root)
    let session = try mount.locator.places(for: "sess_0000000000000001")
    #expect(session.map(\.root) == [mount.root])
  }

  @Test("outside of every mount, and without any, there is a clear error")
  func nowhere() throws {
    let mount = try FakeMount()
    let outside = #expect(throws: CommandFailure.self) { try mount.locator.places(for: mount.parent) }
    #expect(outside?.message.contains("is not in a reelfs mount") == true)
    #expect(outside?.exit == .usageOrInternal)
    let none = MountLocator { [] }
    #expect(throws: CommandFailure.self) { try none.places(for: nil) }
    #expect(throws: CommandFailure.self) { try none.places(for: "sess_0000000000000001") }
  }
}
