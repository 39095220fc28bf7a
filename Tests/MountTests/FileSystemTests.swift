import CLinux
import Glibc
import TestSupport
import Testing

/// What a file system must do, whoever looks.
@Suite("File system", .enabled(if: Machine.canMount, "needs /dev/fuse and reelfs"))
struct FileSystemTests {
  @Test("O_EXCL makes a file once")
  func exclusive() async throws {
    try await withMount { world in
      try Files.write(world.path("take"), [1], O_WRONLY | O_CREAT | O_EXCL)

      #expect(errorCode { try Files.write(world.path("take"), [2], O_WRONLY | O_CREAT | O_EXCL) } == EEXIST)
      #expect(try Files.read(world.path("take")) == [1])
    }
  }

  @Test("O_APPEND writes at the end, wherever another writer has moved it")
  func appending() async throws {
    try await withMount { world in
      let one = try OpenFile(world.path("log"), O_WRONLY | O_CREAT | O_APPEND)
      let two = try OpenFile(world.path("log"), O_WRONLY | O_APPEND)
      for number in 0..<100 {
        try (number % 2 == 0 ? one : two).write(Array("\(number)\n".utf8))
      }
      try one.close()
      try two.close()

      #expect(try Files.text(world.path("log")) == (0..<100).map { "\($0)\n" }.joined())
    }
  }

  @Test("a rename that must not replace does not")
  func noReplace() async throws {
    try await withMount { world in
      try Files.write(world.path("a"), [1])
      try Files.write(world.path("b"), [2])

      #expect(errorCode { try Files.rename(world.path("a"), to: world.path("b"), flags: 1) } == EEXIST)
      try Files.rename(world.path("a"), to: world.path("c"), flags: 1)
      #expect(try Files.read(world.path("b")) == [2])
      #expect(try Files.read(world.path("c")) == [1])
    }
  }

  @Test("an exchange swaps two recordings, and each keeps its session")
  func exchange() async throws {
    try await withMount { world in
      try Files.write(world.path("a"), [1])
      try Files.write(world.path("b"), [2, 2])
      try world.waitUntilSynced("a", "b")
      let sessions = (world.attribute("session", of: "a"), world.attribute("session", of: "b"))

      try Files.rename(world.path("a"), to: world.path("b"), flags: 2)

      #expect(try Files.read(world.path("a")) == [2, 2])
      #expect(world.attribute("session", of: "a") == sessions.1)
      #expect(world.attribute("session", of: "b") == sessions.0)
      try eventually("the receiver has the new names") {
        try Files.exists(world.received("a")) && Files.exists(world.received("b"))
      }
    }
  }

  @Test("renames between folders, over empty folders and onto themselves follow POSIX")
  func renames() async throws {
    try await withMount { world in
      try world.shell("cd $MNT && mkdir -p a/b full/x empty && echo 1 >a/b/take && echo 2 >file")

      #expect(errorCode { try Files.rename(world.path("a"), to: world.path("a/b/c")) } == EINVAL)
      #expect([ENOTEMPTY, EEXIST].contains(errorCode { try Files.rename(world.path("a"), to: world.path("full")) }))
      try Files.rename(world.path("a"), to: world.path("empty"))
      try Files.rename(world.path("empty"), to: world.path("empty"))
      #expect(try Files.text(world.path("empty/b/take")) == "1\n")
      #expect(errorCode { try Files.rename(world.path("empty/b/take"), to: world.path("full")) } == EISDIR)
      #expect(errorCode { try Files.rename(world.path("empty/b"), to: world.path("file")) } == ENOTDIR)
    }
  }

  @Test("hard links count, and share one content")
  func hardLinks() async throws {
    try await withMount { world in
      try Files.write(world.path("a"), [1])
      try world.shell("ln $MNT/a $MNT/b")
      try Files.write(world.path("b"), [1, 2, 3])

      #expect(try Files.status(world.path("a")).st_nlink == 2)
      #expect(try Files.status(world.path("a")).st_ino == Files.status(world.path("b")).st_ino)
      #expect(try Files.read(world.path("a")) == [1, 2, 3])
      try Files.unlink(world.path("a"))
      #expect(try Files.status(world.path("b")).st_nlink == 1)
      try world.waitUntilSynced("b")
      #expect(try world.isIdentical("b"))
    }
  }

  @Test("a folder's link count tells its subfolders")
  func folderLinks() async throws {
    try await withMount { world in
      try world.shell("mkdir -p $MNT/a/1 $MNT/a/2")

      #expect(try [1, 4].contains(Files.status(world.path("a")).st_nlink))
    }
  }

  @Test("symbolic links are kept as they are, broken ones too")
  func symbolicLinks() async throws {
    try await withMount { world in
      try world.shell("cd $MNT && echo 1 >take && ln -s take link && ln -s ../nowhere/é broken")

      #expect(try world.shell("cat $MNT/link") == "1\n")
      #expect(try world.shell("readlink $MNT/broken") == "../nowhere/é\n")
      #expect(try Files.status(world.path("link")).st_mode & S_IFMT == S_IFLNK)
      #expect(try Files.status(world.path("broken")).st_size == Int("../nowhere/é".utf8.count))
    }
  }

  @Test("a FIFO carries bytes between two programs")
  func fifo() async throws {
    try await withMount { world in
      let output = try world.shell("mkfifo $MNT/pipe; (echo through >$MNT/pipe &) ; timeout 10 cat $MNT/pipe")

      #expect(output == "through\n")
    }
  }

  @Test("a socket can be bound and removed", .enabled(if: Machine.has("python3")))
  func unixSocket() async throws {
    try await withMount { world in
      try world.shell(
        "cd $MNT && python3 -c 'import socket; s = socket.socket(socket.AF_UNIX); s.bind(\"s\"); s.listen(); c = socket.socket(socket.AF_UNIX); c.connect(\"s\")' && rm s"
      )
    }
  }

  @Test("statfs tells of the disk below")
  func space() async throws {
    try await withMount { world in
      var (here, below) = (statvfs(), statvfs())
      try call("statvfs") { statvfs(world.mountpoint, &here) }
      try call("statvfs") { statvfs(world.state, &below) }

      #expect(here.f_blocks > 0 && here.f_bavail <= below.f_bavail + below.f_blocks / 50)
      #expect(here.f_namemax == 255)
    }
  }

  @Test("a folder of 2,000 files lists each of them once")
  func largeFolder() async throws {
    try await withMount { world in
      for number in 0..<2_000 { try Files.write(world.path("a long enough file name \(number)"), []) }

      let names = try Files.names(Path(world.mountpoint)).filter { $0 != Array(".status".utf8) }
      #expect(names.count == 2_000)
      #expect(Set(names).count == 2_000)
      #expect(try world.shell("ls -l $MNT | wc -l").trimmingSpaces == "2001")
    }
  }

  @Test("a folder that was listed before shows every change of its names, also after its worker was killed")
  func listedAgain() async throws {
    try await withMount { world in
      try Files.makeFolder(world.path("d"))
      func expect(_ names: String...) throws {
        #expect(try Files.names(world.path("d")).map { String(decoding: $0, as: UTF8.self) }.sorted() == names)
      }
      try expect()
      try Files.write(world.path("d/a"), [])
      try expect("a")
      try world.shell("ln $MNT/d/a $MNT/d/b; ln -s a $MNT/d/c; mkdir $MNT/d/e; mkfifo $MNT/d/f")
      try expect("a", "b", "c", "e", "f")
      try Files.rename(world.path("d/b"), to: world.path("d/e/b"))
      try Files.rename(world.path("d/c"), to: world.path("d/a"))
      try expect("a", "e", "f")
      kill(try #require(world.mount?.descendants.first), SIGKILL)
      try expect("a", "e", "f")
      try Files.unlink(world.path("d/a"))
      try Files.rename(world.path("d/e/b"), to: world.path("d/g"))
      try Files.removeFolder(world.path("d/e"))
      try expect("f", "g")
      // What nobody but reelfs changes is not kept.
      let pages = try Files.names(world.statusPath("d"))
      try Files.write(world.path("d/new"), [])
      #expect(try Files.names(world.statusPath("d")).count == pages.count + 1)
    }
  }

  @Test("a folder that is listed while its files are deleted shows no file twice and misses none that stays")
  func deletingWhileListing() async throws {
    try await withMount { world in
      try Files.makeFolder(world.path("d"))
      for number in 0..<600 { try Files.write(world.path("d/file\(number)"), []) }

      var seen: [String] = []
      let folder = try #require(opendir(world.mountpoint + "/d"))
      while let entry = readdir(folder) {
        let name = String(decoding: Files.name(of: entry), as: UTF8.self)
        guard name.hasPrefix("file") else { continue }
        seen.append(name)
        if name.hasSuffix("7") { try Files.unlink(world.path("d/\(name)")) }
      }
      closedir(folder)

      #expect(Set(seen).count == seen.count)
      #expect(Set(seen).isSuperset(of: (0..<600).map { "file\($0)" }.filter { !$0.hasSuffix("7") }))
      try world.shell("rm -r $MNT/d")
    }
  }

  @Test("mode and times can be set, and are kept")
  func modeAndTimes() async throws {
    try await withMount { world in
      try Files.write(world.path("take"), [1])
      try world.shell("chmod 0604 $MNT/take; touch -m -d '1999-12-31 23:59:59.123456789 UTC' $MNT/take; touch -a -d @5 $MNT/take")

      let status = try Files.status(world.path("take"))
      #expect(status.st_mode & 0o7777 == 0o604)
      #expect(status.st_mtim.tv_sec == 946_684_799 && status.st_mtim.tv_nsec == 123_456_789)
      #expect(status.st_atim.tv_sec == 5)
    }
  }

  @Test("writing moves the time of change, and a size seen by stat is the one that was written")
  func freshAttributes() async throws {
    try await withMount { world in
      let file = try OpenFile(world.path("take"), O_WRONLY | O_CREAT)
      try world.shell("touch -d @5 $MNT/take")
      for size in 1...20 {
        try file.write([1])
        #expect(try Files.status(world.path("take")).st_size == Int(size))
      }
      #expect(try Files.status(world.path("take")).st_mtim.tv_sec > 1_000_000)
      try file.close()
    }
  }

  @Test("the creator's umask counts")
  func mask() async throws {
    try await withMount { world in
      try world.shell("cd $MNT && umask 027 && echo 1 >file && mkdir folder && mkfifo pipe")

      #expect(try Files.status(world.path("file")).st_mode & 0o7777 == 0o640)
      #expect(try Files.status(world.path("folder")).st_mode & 0o7777 == 0o750)
      #expect(try Files.status(world.path("pipe")).st_mode & 0o7777 == 0o640)
    }
  }

  @Test("errors are those of a disk")
  func errors() async throws {
    try await withMount { world in
      try world.shell("mkdir -p $MNT/folder/full; echo 1 >$MNT/file")

      #expect(errorCode { _ = try OpenFile(world.path("none"), O_RDONLY) } == ENOENT)
      #expect(errorCode { _ = try OpenFile(world.path("none/take"), O_RDWR | O_CREAT) } == ENOENT)
      #expect(errorCode { _ = try OpenFile(world.path("file/take"), O_RDONLY) } == ENOTDIR)
      #expect(errorCode { _ = try OpenFile(world.path("folder"), O_WRONLY) } == EISDIR)
      #expect(errorCode { try Files.removeFolder(world.path("folder")) } == ENOTEMPTY)
      #expect(errorCode { try Files.removeFolder(world.path("file")) } == ENOTDIR)
      #expect([EISDIR, EPERM].contains(errorCode { try Files.unlink(world.path("folder")) }))
      #expect(errorCode { try Files.makeFolder(world.path("folder")) } == EEXIST)
    }
  }

  @Test("locks of one program keep another one out", .enabled(if: Machine.has("flock"), "flock is not installed"))
  func locks() async throws {
    try await withMount { world in
      let file = try OpenFile(world.path("take"), O_RDWR | O_CREAT)
      #expect(flock(file.descriptor, LOCK_EX) == 0)
      #expect(try world.run("flock -n -x $MNT/take true").code != 0)

      #expect(flock(file.descriptor, LOCK_UN) == 0)
      #expect(try world.run("flock -n -x $MNT/take true").code == 0)
      try file.close()
    }
  }

  @Test("bytes beyond 4 GiB are where they were written")
  func largeOffsets() async throws {
    try await withMount("--limit", "1M") { world in
      try world.shell("echo pause >$MNT/.status/control")
      let file = try OpenFile(world.path("take"), O_RDWR | O_CREAT)
      try file.write([7, 8, 9], at: 5 << 30)

      #expect(try file.read(at: 5 << 30, count: 10) == [7, 8, 9])
      #expect(try Files.status(world.path("take")).st_size == 5 << 30 + 3)
      try file.close()
      try Files.unlink(world.path("take"))
    }
  }

  @Test("an SQLite database works in it", .enabled(if: Machine.has("python3"), "python3 is not installed"), arguments: ["DELETE", "WAL"])
  func database(mode: String) async throws {
    try await withMount { world in
      let output = try world.shell(
        """
        cd $MNT && python3 -c '
        import sqlite3
        db = sqlite3.connect("x.sqlite"); db.execute("PRAGMA journal_mode=\(mode)")
        db.execute("CREATE TABLE t (a)")
        for i in range(200):
            db.execute("INSERT INTO t VALUES (?)", (i,)); db.commit()
        db.close(); db = sqlite3.connect("x.sqlite")
        print(db.execute("SELECT COUNT(*), SUM(a) FROM t").fetchone(), db.execute("PRAGMA integrity_check").fetchone())'
        """)

      #expect(output.contains("(200, 19900) ('ok',)"), "\(output)")
      try world.waitUntilSynced("x.sqlite")
      #expect(try world.isIdentical("x.sqlite"))
    }
  }

  @Test("a tree unpacked, compared and deleted is what it was", .enabled(if: Machine.has("tar", "diff")))
  func tree() async throws {
    try await withMount { world in
      try world.shell(
        """
        cd $DIR && mkdir -p tree/a/b && head -c 100000 /dev/urandom >tree/a/one && ln -s one tree/a/link &&
        ln tree/a/one tree/a/b/hard && : >tree/empty && chmod 700 tree/a/b &&
        tar -c tree | tar -x -C $MNT && diff -r --no-dereference tree $MNT/tree && rm -r $MNT/tree && ! test -e $MNT/tree
        """)
    }
  }
}

extension String {
  fileprivate var trimmingSpaces: String { String(drop { $0.isWhitespace }.prefix { !$0.isWhitespace }) }
}
