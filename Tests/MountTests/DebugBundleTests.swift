import CLinux
import Foundation
import Glibc
import TestSupport
import Testing

@Suite("debug-bundle", .enabled(if: Machine.canMount && Machine.has("tar"), "needs /dev/fuse and tar"))
struct DebugBundleTests {
  private static let token = "tok-6f1f5c0a9b"
  private static let key = "aws-secret-77aa1"

  /// A mount with a token, a recording that failed to be sent, and one that is synced.
  private static func withBundle(_ flags: [String], _ body: (World, _ files: [String: String]) throws -> Void) async throws {
    try await withWorld { world in
      try Files.write(Path(world.folder + "/token"), Array("\(token)\n".utf8))
      chmod(world.folder + "/token", 0o600)
      mkdir(world.folder + "/xdg-config", 0o755)
      mkdir(world.folder + "/xdg-config/reelfs", 0o755)
      try Files.write(
        Path(world.folder + "/xdg-config/reelfs/config.yaml"), Array("token-file: \(world.folder)/token\nparallel: 3\n".utf8))
      try world.startReceiver(["--token-file", world.folder + "/token"])
      try world.startMount(to: world.receiverURL)
      try Files.makeFolder(world.path("private day"))
      try Files.write(world.path("private day/secret interview.wav"), noise(100))
      try world.waitUntilSynced("private day/secret interview.wav")
      let child = try world.start(
        [Machine.reelfs, "debug-bundle", world.mountpoint, "--output", world.folder + "/bundle.tar.gz"] + flags,
        environment: ["REELFS_PARALLEL": "2", "AWS_SECRET_ACCESS_KEY": key])
      guard try child.wait() == 0 else { throw Failure("no bundle: \(child.said)") }
      try world.shell("mkdir $DIR/out && tar -xzf $DIR/bundle.tar.gz -C $DIR/out --strip-components 1")
      var files: [String: String] = [:]
      for path in try world.shell("cd $DIR/out && find . -type f").split(separator: "\n") {
        files[String(path.dropFirst(2))] = try Files.text(Path(world.folder + "/out/" + path.dropFirst(2)))
      }
      try body(world, files)
    }
  }

  @Test("holds what is needed to find out what is wrong")
  func contents() async throws {
    try await Self.withBundle([]) { world, files in
      #expect(
        files.keys.sorted() == [
          "README.txt", "config.yaml", "doctor.txt", "environment.txt", "log.txt", "mount-1/events.jsonl", "mount-1/journal.txt",
          "mount-1/metrics.txt", "mount-1/record.json", "mount-1/sessions.json", "mount-1/space.txt", "mount-1/summary.txt",
          "mountinfo.txt", "versions.txt",
        ])
      #expect(files["versions.txt"]?.contains("reelfs: ") == true && files["versions.txt"]?.contains("libcurl") == true)
      #expect(files["config.yaml"]?.contains("parallel: 3") == true)
      #expect(files["environment.txt"]?.contains("REELFS_PARALLEL=2") == true)
      #expect(files["mount-1/events.jsonl"]?.contains("SESSION_UPLOAD_COMPLETE") == true)
      #expect(files["mount-1/journal.txt"]?.contains("sessions_synced: 1") == true, "\(files["mount-1/journal.txt"] ?? "")")
      #expect(files["mount-1/sessions.json"]?.contains("\"status\":\"synced\"") == true)
      #expect(files["doctor.txt"]?.contains("is there") == true, "the destination was asked with its token: \(files["doctor.txt"] ?? "")")
      #expect(files["mountinfo.txt"]?.contains(world.mountpoint) == true)
      var facts = stat()
      #expect(stat(world.folder + "/bundle.tar.gz", &facts) == 0 && facts.st_mode & 0o077 == 0)
    }
  }

  @Test("no token, no key and no name of a recording is in it")
  func secrets() async throws {
    try await Self.withBundle([]) { _, files in
      for (name, text) in files {
        for secret in [Self.token, Self.key, "private day", "secret interview"] {
          #expect(!text.contains(secret), "\(secret) in \(name): \(text)")
        }
      }
    }
  }

  @Test("names come with --include-names, tokens never")
  func names() async throws {
    try await Self.withBundle(["--include-names"]) { _, files in
      #expect(files["mount-1/sessions.json"]?.contains("secret interview.wav") == true)
      for (name, text) in files { for secret in [Self.token, Self.key] { #expect(!text.contains(secret), "\(name)") } }
    }
  }

  @Test("without any mount there is still one")
  func noMount() async throws {
    try await withWorld { world in
      let (code, output) = try world.reelfs("debug-bundle", "--state-dir", world.folder, "--output", world.folder + "/b.tar.gz")
      #expect(code == 0, "\(output)")
      #expect(try world.shell("tar -tzf $DIR/b.tar.gz").contains("doctor.txt"))
    }
  }
}
