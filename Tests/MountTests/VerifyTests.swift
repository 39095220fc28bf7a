import Foundation
import Glibc
import TestSupport
import Testing

/// `reelfs verify` asks the destination, and believes nobody.
@Suite("Verify", .enabled(if: Machine.canMount, "needs /dev/fuse and reelfs"))
struct VerifyTests {
  /// A synced recording of three chunks.
  private func take(_ world: World) throws -> [UInt8] {
    let bytes = noise(2 * mebibyte + 77)
    try Files.write(world.path("take"), bytes)
    try world.waitUntilSynced("take")
    return bytes
  }

  /// Adds one to a byte of a file, behind everybody's back.
  private func damage(_ path: Path, at offset: Int) throws {
    let file = try OpenFile(path, O_RDWR)
    let byte = try file.read(at: offset, count: 1)[0]
    try file.write([byte &+ 1], at: offset)
    try file.close()
  }

  private func spooled(_ world: World, _ name: Path) -> Path { Path(world.state + "/recordings") / name }

  @Test("what is synced is verified, with and without --deep, one recording, a mount, and every mount")
  func clean() async throws {
    try await withMount { world in
      _ = try take(world)
      try Files.write(world.path("empty"), [])
      try world.waitUntilSynced("empty")

      let one = try world.reelfs("verify", world.mountpoint + "/take")
      #expect(one.code == 0)
      #expect(one.output.contains("✓ take: 2.0 MiB in 3 chunks verified"))
      let all = try world.reelfs("verify", "--deep", world.mountpoint)
      #expect(all.code == 0, "\(all.output)")
      #expect(all.output.contains("2 recordings: 2 verified"))
      let json = try world.reelfs("verify", "--json", world.mountpoint).output
      let object = try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any]
      let place = (object?["places"] as? [[String: Any]])?.first
      #expect(place?["outcome"] as? String == "verified")
      #expect((place?["total"] as? [String: Any])?["bytes_verified"] as? Int == 2 * mebibyte + 77)
      #expect((place?["recordings"] as? [[String: Any]])?.count == 2)
    }
  }

  @Test("a byte that flips at the destination is seen with --deep, and the chunk is named")
  func flippedThere() async throws {
    try await withMount { world in
      _ = try take(world)
      try damage(try world.received("take"), at: mebibyte + 5)

      #expect(try world.reelfs("verify", world.mountpoint).code == 0)
      let deep = try world.reelfs("verify", "--deep", world.mountpoint)
      #expect(deep.code == 4)
      #expect(deep.output.contains("chunk 1 (bytes 1048576 to 2097151): the bytes stored at the destination are not those"))
      #expect(deep.output.contains("1 not as recorded"))
    }
  }

  @Test("a recording or manifest that is gone at the destination is seen with --deep")
  func goneThere() async throws {
    try await withMount { world in
      _ = try take(world)
      let manifest = Path(world.data + "/" + (world.attribute("session", of: "take") ?? "") + "/.reelfs-manifest.json")
      try Files.unlink(manifest)
      let withoutManifest = try world.reelfs("verify", "--deep", world.mountpoint)
      #expect(withoutManifest.code == 4)
      #expect(withoutManifest.output.contains("the manifest beside the recording at the destination is missing"))

      try Files.unlink(try world.received("take"))
      let gone = try world.reelfs("verify", "--deep", world.mountpoint)
      #expect(gone.code == 4)
      #expect(gone.output.contains("chunk 2 (bytes 2097152 to 2097228): the destination acknowledged it, but its bytes are not"))
    }
  }

  @Test("a receiver that has lost the session lacks every chunk")
  func lostThere() async throws {
    try await withMount { world in
      _ = try take(world)
      try world.stopReceiver()
      try world.shell("rm -rf $DIR/data")
      try world.startReceiver()

      let verified = try world.reelfs("verify", world.mountpoint)
      #expect(verified.code == 4)
      #expect(verified.output.contains("chunk 0 (bytes 0 to 1048575): missing at the destination, which once confirmed it"))
      #expect(verified.output.contains("the destination does not know this recording"))
    }
  }

  @Test("local bytes that were changed behind reelfs' back are told from a destination that is wrong")
  func changedHere() async throws {
    try await withMount { world in
      _ = try take(world)
      try damage(spooled(world, "take"), at: 2 * mebibyte + 76)

      let verified = try world.reelfs("verify", world.mountpoint + "/take")
      #expect(verified.code == 4)
      #expect(verified.output.contains("chunk 2 (bytes 2097152 to 2097228): the bytes here are not those that were sent"))
      #expect(verified.output.contains("the destination holds what was sent"))
    }
  }

  @Test("evicted chunks are compared by the digest of their receipt, and the output says so")
  func evicted() async throws {
    try await withMount { world in
      _ = try take(world)
      #expect(try world.reelfs("evict", world.mountpoint + "/take").code == 0)
      try eventually("its bytes are given up") {
        (try? Files.attribute("user.reelfs.evicted", of: spooled(world, "take"))) == "0-2"
      }

      let verified = try world.reelfs("verify", "--deep", world.mountpoint)
      #expect(verified.code == 0, "\(verified.output)")
      #expect(verified.output.contains("(3 chunks evicted here: compared by the receipt's digest)"))
      try damage(try world.received("take"), at: 1)
      #expect(try world.reelfs("verify", "--deep", world.mountpoint).code == 4)
    }
  }

  @Test("a recording that is being written is verified as far as it is stored; the rest is not synced yet")
  func recording() async throws {
    try await withMount("--max-lag", "3600") { world in
      let file = try OpenFile(world.path("take"), O_WRONLY | O_CREAT)
      try file.write(noise(2 * mebibyte + 100))
      try eventually("two chunks are stored") { world.number("chunks_synced", of: "take") == 2 }

      let verified = try world.reelfs("verify", world.mountpoint)
      #expect(verified.code == 3)
      #expect(verified.output.contains("⇪ take: 2.0 MiB verified, 100 B in 1 chunk not synced yet"))
      try file.close()
    }
  }

  @Test("a destination that cannot be reached is said, with exit code 1, and so is a path that is no recording")
  func unreachable() async throws {
    try await withMount { world in
      _ = try take(world)
      let wrong = try world.reelfs("verify", world.mountpoint + "/nothing")
      #expect(wrong.code == 1)
      #expect(wrong.output.contains("/nothing is no recording that the mount knows"))

      try world.stopReceiver()
      let verified = try world.reelfs("verify", world.mountpoint)
      #expect(verified.code == 1)
      #expect(verified.output.contains("ended early: no answer from \(world.receiverURL)"))
      #expect(try world.reelfs("verify", "/").output.contains("is not in a reelfs mount"))
    }
  }

  @Test("a state directory that is not mounted is verified against the destination that is named")
  func unmounted() async throws {
    try await withMount { world in
      _ = try take(world)
      try world.endMount()

      let verified = try world.reelfs("verify", "--state-dir", world.state, "--destination", world.receiverURL, "take")
      #expect(verified.code == 0, "\(verified.output)")
      #expect(try world.reelfs("verify", "--state-dir", world.state).code == 1)
      // What it did left a journal that a mount can use.
      try world.startMount(to: world.receiverURL)
      #expect(world.attribute("status", of: "take") == "synced")
    }
  }

  @Test("a state directory restored from an older backup is told by verify, and its next change is a later version")
  func olderBackup() async throws {
    try await withMount { world in
      var bytes = try take(world)
      try world.endMount()
      try world.shell("cp -a $DIR/state $DIR/backup")
      try world.startMount(to: world.receiverURL)
      let file = try OpenFile(world.path("take"), O_WRONLY)
      try file.write([1, 2, 3], at: 0)
      try file.close()
      try eventually("the change has arrived") { try Files.read(world.received("take")).starts(with: [1, 2, 3]) }
      try world.waitUntilSynced("take")
      try world.endMount()
      try world.shell("rm -rf $DIR/state && mv $DIR/backup $DIR/state")

      try world.startMount(to: world.receiverURL)
      let verified = try world.reelfs("verify", world.mountpoint)
      #expect(verified.code == 4)
      #expect(verified.output.contains("chunk 0 (bytes 0 to 1048575): the destination holds other bytes"))
      let again = try OpenFile(world.path("take"), O_WRONLY)
      try again.write([9], at: 5)
      try again.close()
      bytes[5] = 9
      try eventually("the older state's bytes have arrived") { try Files.read(world.received("take")) == bytes }
      try world.waitUntilSynced("take")
      #expect(try world.reelfs("verify", "--deep", world.mountpoint).code == 0)
    }
  }

  @Test("another client that has a recording's session is refused, says what to do, and changes nothing at the receiver")
  func otherWriter() async throws {
    try await withMount { world in
      let bytes = try take(world)
      try world.endMount()
      // The spool, with its attributes, but not the client's identity.
      try world.shell("mkdir -m 700 $DIR/other && cp -a $DIR/state/recordings $DIR/other/ && printf y >>$DIR/other/recordings/take")
      try world.shell("mv $DIR/state $DIR/first && mv $DIR/other $DIR/state")

      try world.startMount(to: world.receiverURL)
      try world.wait(for: "failed", of: "take")
      #expect(world.attribute("error", of: "take")?.contains("copied to a new name in the mount it is uploaded") == true)
      #expect(try Files.read(world.received("take")) == bytes)
      try world.shell("cp $MNT/take $MNT/mine")
      try world.waitUntilSynced("mine")
      #expect(try world.isIdentical("mine"))
    }
  }
}
