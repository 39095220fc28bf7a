import ArgumentParser
import Foundation
import Testing
import UploadCore
import reelfs

@Suite("the flags of reelfs mount")
struct MountOptionsTests {
  @Test("every setting has its flag, and what is given arrives under its name")
  func flags() throws {
    var arguments = ["http://nas:8090", "/mnt/rec", "-o", "allow_other", "-o", "nodev,nosuid"]
    var expected: [Setting: String] = [.destination: "http://nas:8090", .mountOptions: "allow_other,nodev,nosuid"]
    let switches: Set<Setting> = [.hideXattrs, .hideStatus, .propagateDeletes, .pauseOnMetered, .daemon]
    for setting in Setting.allCases where expected[setting] == nil {
      arguments.append(setting.flag)
      if !switches.contains(setting) { arguments.append("value of " + setting.rawValue) }
      expected[setting] = switches.contains(setting) ? "true" : "value of " + setting.rawValue
    }
    #expect(try MountOptions.parse(arguments).flags == expected)
  }

  @Test("what is not given is not set")
  func nothing() throws {
    #expect(try MountOptions.parse(["/mnt/rec"]).flags == [:])
  }

  @Test("variables are spelled after the flags")
  func variables() {
    #expect(Setting.uploadTimeout.variable == "REELFS_UPLOAD_TIMEOUT")
    #expect(Set(Setting.allCases.map(\.variable)).count == Setting.allCases.count)
  }

  @Test("a mount point is needed, and a destination is not one")
  func places() throws {
    #expect(throws: (any Error).self) { try MountOptions.parse([]) }
    #expect(throws: (any Error).self) { try MountOptions.parse(["a", "b", "c"]) }
    let options = try MountOptions.parse(["http://nas:8090"])
    let error = #expect(throws: CommandFailure.self) { try options.configuration() }
    #expect(error?.message.contains("mount point is missing") == true)
  }

  @Test("a config file that was asked for must be there, and its lines are named")
  func configFile() throws {
    let folder = try FakeMount.temporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let file = folder + "/reelfs.yaml"
    let options = try MountOptions.parse(["--config", file, folder + "/mnt", "--state-dir", folder + "/state"])
    let missing = #expect(throws: CommandFailure.self) { try options.configuration() }
    #expect(missing?.message.contains(file) == true)
    try Data("settle: 1\nparallel: 99\n".utf8).write(to: URL(filePath: file))
    let wrong = #expect(throws: CommandFailure.self) { try options.configuration() }
    #expect(wrong?.message.hasPrefix("\(file) line 2 (parallel): ") == true)
    try Data("parallel: 9\n".utf8).write(to: URL(filePath: file))
    #expect(try options.configuration().policy.parallel == 9)
  }
}
