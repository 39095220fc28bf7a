import Supervisor
import Testing

@Suite struct MountTests {
  @Test("the list of mounts is read with its escapes, and the topmost mount counts")
  func mountTable() {
    let table = MountTable(
      text: """
        36 35 98:0 / /mnt/a\\040b rw,noatime master:1 - ext4 /dev/sda rw,errors=continue
        37 35 0:50 / /mnt/a\\040b rw,nosuid - fuse.reelfs reelfs rw,user_id=0
        nonsense
        38 35 0:51 / /other rw shared:4 master:2 - tmpfs tmp\\134fs rw
        """)
    #expect(table.mount(at: "/mnt/a b")?.type == "fuse.reelfs")
    #expect(table.mount(at: "/other")?.source == "tmp\\fs")
    #expect(table.mount(at: "/mnt") == nil)
  }

  @Test("what fusermount3 says becomes an error that tells what to do")
  func helperWords() {
    let refused = "option allow_other only allowed if 'user_allow_other' is set in /etc/fuse.conf"
    #expect(MountHelper.meaning(of: refused, "/m") == .otherUsersForbidden)
    #expect(MountHelper.meaning(of: "failed to unmount /m: Device or resource busy", "/m") == .busy("/m"))
    #expect(MountHelper.meaning(of: "entry for /m not found in /etc/mtab", "/m") == .notMounted("/m"))
    #expect(MountHelper.meaning(of: "something new", "/m") == .helper("something new"))
  }

  @Test("a mountpoint that is missing or no folder is refused by name")
  func badMountpoint() {
    #expect(throws: MountError.mountpointMissing("/nowhere/at/all")) {
      _ = try FuseMount.mount(at: "/nowhere/at/all", options: MountOptions()) { _ in }
    }
    #expect(throws: MountError.notADirectory("/proc/self/exe")) {
      _ = try FuseMount.mount(at: "/proc/self/exe", options: MountOptions()) { _ in }
    }
  }

  @Test("unmounting where nothing is mounted says so")
  func notMounted() {
    #expect(throws: MountError.notMounted("/nowhere")) { try FuseMount.unmount("/nowhere", .ifUnused) }
  }
}
