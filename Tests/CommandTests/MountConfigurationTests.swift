import Foundation
import SyncStatus
import Testing
import UploadCore
import reelfs

@Suite("mount options")
struct MountConfigurationTests {
  private func read(
    _ flags: [Setting: String] = [:], environment: [String: String] = [:], file: String = "",
    mountpoint: String = "/mnt/rec"
  ) throws(CommandFailure) -> MountConfiguration {
    let environment = environment.merging(["HOME": "/home/me"]) { given, _ in given }
    let settings = Settings(
      flags: flags, environment: environment, file: try ConfigFile.parse(file, path: "config.yaml"))
    let reader = MountConfigurationReader(
      settings: settings, environment: environment, workingDirectory: "/here and there", hostName: "studio-1.example.org")
    return try reader.configuration(mountpoint: mountpoint)
  }

  private func complaint(_ flags: [Setting: String] = [:], environment: [String: String] = [:], file: String = "")
    -> String?
  {
    do throws(CommandFailure) {
      _ = try read(flags, environment: environment, file: file)
      return nil
    } catch { return error.message }
  }

  @Test("the page is for this machine alone, and can be left out")
  func page() throws {
    #expect(try read().page == PageAddress("127.0.0.1:8091"))
    #expect(try read([.web: "none"]).page == nil)
    #expect(try read([.web: "localhost:0"]).page == PageAddress("127.0.0.1:0"))
    #expect(try read([:], environment: ["REELFS_WEB": "[::1]:9000"]).page == PageAddress("[::1]:9000"))
    for elsewhere in ["0.0.0.0:8091", "192.168.1.2:80", "studio:8091", "8091", "[::]:8091"] {
      #expect(complaint([.web: elsewhere])?.hasPrefix("--web: ") == true, "\(elsewhere)")
    }
  }

  @Test("without anything set, the documented defaults hold")
  func defaults() throws {
    let configuration = try read()
    #expect(configuration.destination == .embedded(data: "/home/me/.local/state/reelfs/mnt-rec/uploaded_data"))
    #expect(configuration.stateDirectory == "/home/me/.local/state/reelfs/mnt-rec/state")
    #expect(configuration.device == "studio-1")
    #expect(configuration.policy == UploadPolicy())
    #expect(configuration.policy.uploadTimeout == .seconds(60))
    #expect(configuration.policy.retryInitial == .seconds(2))
    #expect(configuration.policy.retryMax == .seconds(60))
    #expect(configuration.policy.maxConsecutiveFailures == 10)
    #expect(configuration.policy.connectionCheckInterval == .seconds(5))
    #expect(configuration.policy.parallel == 4)
    #expect(configuration.settle == .seconds(1))
    #expect(configuration.maxLag == .seconds(10))
    #expect(configuration.keepLocal == .whileThereIsRoom)
    #expect(configuration.spoolQuota == nil)
    #expect(configuration.synchronizeTo == .local)
    #expect(configuration.compression == .none)
    #expect(configuration.fuse == FuseOptions())
    #expect(!configuration.hidesAttributes && !configuration.hidesStatus && !configuration.runsAsDaemon)
  }

  @Test("further destinations come from flags, a variable or a list")
  func further() throws {
    let two = ["https://b.example:8090", "file:///media/usb"]
    #expect(try read([.also: two.joined(separator: "\n")]).also.map(\.destination.description) == two)
    #expect(try read(environment: ["REELFS_ALSO": "https://b.example:8090  file:///media/usb"]).also.map(\.destination.description) == two)
    #expect(try read(file: "also:\n  - https://b.example:8090\n  - file:///media/usb\n").also.map(\.destination.description) == two)
    #expect(try read(file: "also: file:///media/usb disk\n").also.map(\.destination) == [.folder("/media/usb disk")])
  }

  @Test("a further destination that is no destination, is given twice or has no readable token is refused, and so is a fifth")
  func refusedFurther() {
    #expect(complaint([.also: "nas"])?.contains("--also: \"nas\" is not a destination") == true)
    #expect(complaint([.destination: "http://a:1", .also: "http://a:1/"])?.contains("given twice") == true)
    #expect(complaint([.also: "http://a:1\nhttp://a:1"])?.contains("given twice") == true)
    #expect(complaint([.also: "http://a:1#token-file=/no/such/file"])?.contains("/no/such/file") == true)
    #expect(complaint([.also: (1...4).map { "http://a:\($0)" }.joined(separator: "\n")]) == nil)
    #expect(complaint([.also: (1...5).map { "http://a:\($0)" }.joined(separator: "\n")])?.contains("at most 4") == true)
  }

  @Test("a flag wins over a variable, and a variable over the file")
  func precedence() throws {
    let file = "parallel: 2\nsettle: 2\nmax_lag: 2\n"
    let environment = ["REELFS_PARALLEL": "3", "REELFS_SETTLE": "3"]
    let configuration = try read([.parallel: "4"], environment: environment, file: file)
    #expect(configuration.policy.parallel == 4)
    #expect(configuration.settle == .seconds(3))
    #expect(configuration.maxLag == .seconds(2))
  }

  @Test("an empty variable counts as not set")
  func emptyVariable() throws {
    #expect(try read(environment: ["REELFS_PARALLEL": ""], file: "parallel: 2").policy.parallel == 2)
  }

  @Test("everything can be set in the file, as it is written on the command line")
  func file() throws {
    let configuration = try read(
      file: """
        # the studio
        destination: https://nas.example.org/reelfs/
        state-dir: ../spool
        upload-timeout: 90s
        retry-initial: 0.5
        retry-max: 2m
        limit: 2M
        spool-quota: 20G
        keep-local: 2h
        compress: zstd
        device: cam_1
        ca-file: /etc/ca.pem
        fsync: remote
        mount-options: [allow_other, nodev]
        hide-xattrs: yes
        hide_status: true
        propagate-deletes: on
        daemon: no
        chunk-size: 1MiB
        """)
    #expect(configuration.destination == .receiver(try ReceiverAddress("https://nas.example.org/reelfs")))
    #expect(configuration.stateDirectory == "/spool")
    #expect(configuration.policy.uploadTimeout == .seconds(90))
    #expect(configuration.policy.retryInitial == .milliseconds(500))
    #expect(configuration.policy.retryMax == .seconds(120))
    #expect(configuration.policy.bytesPerSecondMax == 2 << 20)
    #expect(configuration.spoolQuota == 20 << 30)
    #expect(configuration.keepLocal == .seconds(7_200))
    #expect(configuration.compression == .zstd)
    #expect(configuration.device == "cam_1")
    #expect(configuration.caFile == "/etc/ca.pem")
    #expect(configuration.synchronizeTo == .remote)
    #expect(configuration.fuse.allowsOther)
    #expect(configuration.fuse.kernelFlags == ["nodev"])
    #expect(configuration.hidesAttributes && configuration.hidesStatus && configuration.propagatesDeletes)
    #expect(!configuration.runsAsDaemon)
  }

  @Test("a bad value names its flag, variable or line, and what is allowed")
  func complaints() {
    #expect(complaint([.parallel: "0"]) == "--parallel: \"0\" must be a number from 1 to 64")
    #expect(
      complaint(environment: ["REELFS_UPLOAD_TIMEOUT": "0"])
        == "REELFS_UPLOAD_TIMEOUT: 0 is out of range: 1 to 3600 seconds")
    #expect(complaint(file: "\n\nfsync: yes\n") == "config.yaml line 3 (fsync): \"yes\" must be local or remote")
    #expect(complaint([.chunkSize: "2M"])?.hasPrefix("--chunk-size: only 1MiB is possible") == true)
    #expect(complaint([.retryInitial: "90"]) == "--retry-initial: --retry-initial must not be longer than --retry-max")
    #expect(complaint([.mountOptions: "allow_other,fly"])?.hasPrefix("-o: \"fly\" is not a mount option") == true)
    #expect(complaint([.compress: "zstd"])?.hasPrefix("--compress: only a receiver at http") == true)
    #expect(complaint([.s3Endpoint: "http://minio:9000"])?.contains("belongs to a destination s3://") == true)
  }

  @Test(
    "every wrong value is refused, whichever setting it is for",
    arguments: [
      (Setting.uploadTimeout, "fast"), (.retryInitial, "-1"), (.retryMax, "inf"), (.maxConsecutiveFailures, "1.5"),
      (.connectionCheckInterval, "0.1"), (.parallel, "65"), (.limit, "1"), (.spoolQuota, "1M"), (.keepLocal, "some"),
      (.settle, "61"), (.maxLag, "0"), (.compress, "gzip"), (.device, "../x"), (.device, ".."), (.device, ""),
      (.tokenFile, "/does/not/exist"), (.destination, "nas:8090"), (.fsync, ""), (.hideXattrs, "maybe"),
      (.daemon, "2"), (.stateDir, ""), (.chunkSize, "big"), (.s3Endpoint, "minio"),
      (.limitSchedule, "8-18,2M"), (.syncEvery, "9"), (.pauseOnMetered, "sometimes")
    ])
  func wrong(setting: Setting, text: String) {
    #expect(complaint([setting: text])?.hasPrefix(setting.flag + ":") == true)
  }

  @Test(
    "a config file with a slip is refused with the line of it",
    arguments: [
      ("paralel: 2", "config.yaml line 1: there is no setting \"paralel\""),
      ("a: 1\n b: : 2\n", "config.yaml is not YAML"), ("- 1\n- 2", "config.yaml must be lines of the form"),
      ("settle: 1\nparallel:\n  - 2", "config.yaml line 2: parallel must be one plain value"),
      ("max-lag: 1\nmax_lag: 2", "config.yaml line 2: max-lag is set twice")
    ])
  func badFile(text: String, beginning: String) {
    #expect(complaint(file: text)?.hasPrefix(beginning) == true, "\(complaint(file: text) ?? "none")")
  }

  @Test("a schedule, rounds and metered connections can be set, and what excludes each other is refused")
  func steering() throws {
    let file = """
      limit-schedule: 08:00,2M 18:00,off
      sync-every: 15m
      pause-on-metered: true
      settle: 3
      """
    let configuration = try read(file: file)
    #expect(configuration.limitSchedule == (try LimitSchedule("08:00,2M 18:00,off")))
    #expect(configuration.policy.syncEvery == .seconds(900))
    #expect(configuration.policy.roundLeast == .seconds(5))
    #expect(configuration.pausesOnMetered)
    // A flag takes back what the file says.
    #expect(try read([.limitSchedule: "off", .syncEvery: "off"], file: file).policy.syncEvery == nil)
    #expect(complaint([.limit: "1M", .limitSchedule: "08:00,2M"])?.contains("exclude each other") == true)
    #expect(complaint([.syncEvery: "15m", .fsync: "remote"])?.hasPrefix("--sync-every: fsync() would wait") == true)
  }

  @Test("an empty file sets nothing", arguments: ["", "# nothing\n", "---\n", "{}"])
  func emptyFile(text: String) throws {
    #expect(try read(file: text).policy == UploadPolicy())
  }

  @Test("the state must not lie in the mount, nor the mount in the state")
  func nested() {
    #expect(complaint([.stateDir: "/mnt/rec/state"])?.contains("must not lie in each other") == true)
    #expect(complaint([.stateDir: "/mnt"])?.hasPrefix("--state-dir: ") == true)
    #expect(complaint([.recordingsData: "/mnt/rec"])?.hasPrefix("--recordings-data: ") == true)
    #expect(complaint([.stateDir: "/mnt/recorder"]) == nil)
  }

  @Test("relative paths count from the working directory")
  func relative() throws {
    let configuration = try read([.stateDir: "./a/../b/"], mountpoint: "Recordings/")
    #expect(configuration.mountpoint == "/here and there/Recordings")
    #expect(configuration.stateDirectory == "/here and there/b")
  }

  @Test("the token is read from its file, and the file must hold one line")
  func token() throws {
    let folder = try FakeMount.temporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let file = folder + "/token"
    try Data("s3cret\n".utf8).write(to: URL(filePath: file))
    #expect(try read([.tokenFile: file]).token == "s3cret")
    for bad in ["", "\n", "a\nb\n", "a b", "ü", String(repeating: "x", count: 5_000)] {
      try Data(bad.utf8).write(to: URL(filePath: file))
      #expect(complaint([.tokenFile: file])?.hasPrefix("--token-file: ") == true)
    }
  }
}
