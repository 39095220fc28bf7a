import CLinux
import Glibc
import TestSupport
import Testing

/// Users other than the one who mounted.
@Suite("Other users", .enabled(if: Machine.canMount && Machine.isRoot && Machine.has("setpriv"), "needs root and setpriv"))
struct OtherUserTests {
  private static let asNobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
  private static let nobody = asNobody.joined(separator: " ") + " sh -c"

  @Test("what another user makes belongs to that user")
  func ownership() async throws {
    try await withMount("-o", "allow_other") { world in
      try world.shell(
        "mkdir -m 777 $MNT/open; \(Self.nobody) 'cd $MNT/open && echo 1 >file && mkdir folder && ln -s file link && mkfifo pipe'")

      for name in ["file", "folder", "link", "pipe"] {
        let status = try Files.status(world.path("open/\(name)"))
        #expect(status.st_uid == 65_534 && status.st_gid == 65_534, "\(name)")
      }
      try world.waitUntilSynced("open/file")
    }
  }

  @Test("modes keep other users out")
  func permissions() async throws {
    try await withMount("-o", "allow_other") { world in
      try world.shell("cd $MNT && echo 1 >secret && chmod 600 secret && mkdir -m 700 private && mkdir -m 755 shown")

      for attempt in ["cat secret", "echo 2 >secret", "ls private", "touch shown/x", "rm secret", "chmod 777 secret"] {
        #expect(try world.run("cd $MNT && \(Self.nobody) '\(attempt)' </dev/null").code != 0, "\(attempt)")
      }
      #expect(try Files.text(world.path("secret")) == "1\n")
    }
  }

  @Test("without allow_other nobody else gets in")
  func closed() async throws {
    try await withMount { world in
      try world.shell("chmod 777 $MNT; echo 1 >$MNT/take; chmod 666 $MNT/take")

      #expect(try world.run("\(Self.nobody) 'cat $MNT/take'").code != 0)
    }
  }

  @Test("a folder with the set-group bit hands its group on")
  func setGroup() async throws {
    try await withMount("-o", "allow_other") { world in
      try world.shell("mkdir $MNT/shared && chgrp 1234 $MNT/shared && chmod 2777 $MNT/shared")
      try world.shell("\(Self.nobody) 'echo 1 >$MNT/shared/file; mkdir $MNT/shared/folder'")

      #expect(try Files.status(world.path("shared/file")).st_gid == 1_234)
      #expect(try Files.status(world.path("shared/folder")).st_gid == 1_234)
      #expect(try Files.status(world.path("shared/folder")).st_mode & 0o2000 != 0)
    }
  }

  @Test("writing by another user takes the set-user bit away")
  func setUser() async throws {
    try await withMount("-o", "allow_other") { world in
      try world.shell("cp /bin/true $MNT/program; chmod 4777 $MNT/program; \(Self.nobody) 'echo >>$MNT/program'")

      #expect(try Files.status(world.path("program")).st_mode & 0o7777 == 0o777)
    }
  }

  @Test("chown changes the owner, and only root may")
  func changingOwner() async throws {
    try await withMount("-o", "allow_other") { world in
      try world.shell("cd $MNT && echo 1 >take && chown 1000:1001 take")
      let status = try Files.status(world.path("take"))

      #expect(status.st_uid == 1_000 && status.st_gid == 1_001)
      #expect(try world.run("\(Self.nobody) 'chown 65534 $MNT/take'").code != 0)
    }
  }

  @Test(
    "what a user's own modes shut that user out of is uploaded, also after a new start",
    .enabled(if: Machine.usersCanMount, "needs fusermount3, and new privileges"))
  func ownModes() async throws {
    try await withWorld { world in
      try world.startReceiver()
      try world.shell("mkdir $DIR/state && chown 65534:65534 $DIR/state $MNT")
      func start() throws { try world.startMount(to: world.receiverURL, by: Self.asNobody) }
      func commands(_ script: String) throws -> String { try world.shell("\(Self.nobody) 'cd $MNT && \(script)'") }
      try start()
      _ = try commands("echo pause >.status/control; mkdir folder && echo 1 >folder/inside && echo 2 >secret && chmod 0 folder secret")
      // Made without a right to write, as git makes its objects.
      _ = try commands("umask 0777; echo 3 >nothing; umask 0222; echo 4 >unchangeable")
      #expect(try world.endMount() == 0)
      try start()

      _ = try commands("echo resume >.status/control")
      // The kernel answers no question about what its owner may not read.
      try eventually("all of it is synced") {
        try commands("cat .status/events.jsonl").matches(of: /SESSION_UPLOAD_COMPLETE/).count == 4
      }
      let modes = try commands("chmod 700 folder; stat -c %a folder folder/inside secret nothing unchangeable")
      #expect(modes.split(separator: "\n") == ["700", "644", "0", "0", "444"])
      #expect(try world.endMount() == 0)
    }
  }

  @Test(
    "in a user's own mount what others make belongs to that user",
    .enabled(if: Machine.usersCanMount && Machine.has("unshare"), "needs fusermount3, new privileges and unshare"))
  func ownAllowOther() async throws {
    try await withWorld { world in
      try world.startReceiver()
      // In a mount namespace with a configuration of its own.
      let owners = try world.shell(
        """
        mkdir $DIR/state && chown 65534:65534 $DIR/state $MNT && echo user_allow_other >$DIR/fuse.conf
        unshare -m sh -ec '
          mount --bind $DIR/fuse.conf /etc/fuse.conf
          \(Self.asNobody.joined(separator: " ")) \(Machine.reelfs) mount \(world.receiverURL) $MNT --state-dir $DIR/state \\
            -o allow_other >$DIR/said 2>&1 & mount=$!
          until [ -e $MNT/.status/summary ]; do kill -0 $mount; sleep 0.05; done
          \(Self.nobody) "chmod 777 $MNT"
          setpriv --reuid=1234 --regid=1234 --clear-groups sh -c "umask 077; echo 1 >$MNT/take; mkdir $MNT/folder"
          stat -c %u $MNT/take $MNT/folder
          kill $mount; wait $mount'
        """)
      #expect(owners == "65534\n65534\n", "\(owners)")
    }
  }
}
