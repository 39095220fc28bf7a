import CLinux
import Foundation
import Glibc
import TestSupport

/// A small ext4 of its own on a loop device, whose power can be cut. Needs root.
final class LoopDisk {
  let folder: Path
  private let image: String
  private let world: World
  private let options: String

  /// Whether this machine can make one: asked once, by doing it.
  static let isAvailable: Bool = {
    guard Machine.isRoot, Machine.has("mkfs.ext4", "mount", "umount", "losetup") else { return false }
    let script = """
      d=$(mktemp -d) && truncate -s 16M $d/image && mkfs.ext4 -q $d/image && mkdir $d/disk && mount -o loop $d/image $d/disk
      code=$?; umount $d/disk; rm -rf --one-file-system $d; exit $code
      """
    let child = try? Child(["/bin/sh", "-c", script], output: "/dev/null")
    return (try? child?.wait(seconds: 60)) == 0
  }()

  /// Mounts it at `name` in the world's folder.
  /// - Parameter options: for mount(8), with a comma before each.
  init(_ name: String, in world: World, mebibytes: Int, options: String = "") throws {
    (self.world, self.options) = (world, options)
    folder = Path(world.folder) / Path(name)
    image = world.folder + "/" + name + ".image"
    try world.shell("truncate -s \(mebibytes)M \(image) && mkfs.ext4 -q -b 4096 -m 0 \(image) && mkdir \(folder)")
    try mount()
  }

  deinit { _ = try? world.run("umount -l \(folder); exit 0") }

  private func mount() throws { try world.shell("mount -o loop\(options) \(image) \(folder)") }

  /// What was not synced is gone from now on, and every access fails with EIO.
  func cutPower() throws {
    let root = try OpenFile(folder, O_RDONLY | O_DIRECTORY)
    defer { try? root.close() }
    // EXT4_IOC_SHUTDOWN, _IOR('X', 125, __u32); EXT4_GOING_FLAGS_NOLOGFLUSH.
    var how: UInt32 = 2
    try call("EXT4_IOC_SHUTDOWN") { ioctl(root.descriptor, 0x8004_587D, &how) }
  }

  /// The file system finds an error of its own, and does what its mount option `errors` says.
  func breakDown() throws {
    let device = try world.shell("basename $(findmnt -no SOURCE \(folder))").filter { !$0.isWhitespace }
    try world.shell("echo power >/sys/fs/ext4/\(device)/trigger_fs_error")
  }

  /// The disk as a machine finds it that was switched on again.
  func powerUp() throws {
    var last = ""
    try eventually("nobody uses the disk any more: \(last)") {
      let (code, output) = try world.run("umount \(folder)")
      last = output
      return code == 0
    }
    try mount()
  }

  /// What is free of it, in bytes, for everybody.
  func free() throws -> Int {
    var space = statvfs()
    try call("statvfs") { folder.withCString { statvfs($0, &space) } }
    return Int(space.f_bavail) * Int(space.f_frsize)
  }

  /// Fills it to the last block with a file `filling`, as other programs do.
  func fill(leaving bytes: Int = 0) throws {
    let file = try OpenFile(folder / "filling", O_WRONLY | O_CREAT)
    defer { try? file.close() }
    var end = Int(try file.status().st_size)
    for step in [1 << 20, 1 << 16, 1 << 12] {
      while try free() >= bytes + step, posix_fallocate(file.descriptor, end, step) == 0 { end += step }
    }
  }

  func unfill() throws { try Files.unlink(folder / "filling") }
}
