import Foundation
import SyncStatus
import Testing
import reelfs

@Suite("reelfs doctor")
struct DoctorTests {
  @Test(
    "kernels before 6.9 are named, later ones are fine",
    arguments: [
      ("6.12.9-amd64", Finding.Level.ok), ("6.9.0", .ok), ("7.0", .ok), ("6.8.0-31-generic", .warn), ("5.15.0", .warn),
      ("", .warn), ("six", .warn)
    ])
  func kernel(release: String, level: Finding.Level) {
    #expect(MachineChecks.kernel(release: release).level == level)
  }

  @Test(
    "user_allow_other counts only outside of comments",
    arguments: [
      ("user_allow_other\n", Finding.Level.ok), (" user_allow_other # yes\n", .ok), ("#user_allow_other\n", .warn),
      ("", .warn)
    ])
  func allowOther(text: String, level: Finding.Level) {
    #expect(MachineChecks.allowOther(configuration: text).level == level)
  }

  @Test("an answer is read for status and clock")
  func answers() throws {
    let address = try ReceiverAddress("http://nas:8090")
    let there = 784_111_777.0  // Sun, 06 Nov 1994 08:49:37 GMT
    let date = "Sun, 06 Nov 1994 08:49:37 GMT"
    func levels(_ status: Int, date: String? = nil, now: Double = there) -> [Finding.Level] {
      DestinationChecks.answered(address, status: status, date: date, now: now).map(\.level)
    }
    #expect(levels(200, date: date) == [.ok, .ok])
    #expect(levels(200, date: date, now: there + 3_600) == [.ok, .warn])
    #expect(levels(200, date: "yesterday") == [.ok])
    for bad in [401, 403, 404, 502] { #expect(levels(bad) == [.bad]) }
  }

  @Test("an unfinished upload is orphaned when no journal here knows it and nothing of it came for long")
  func leftovers() {
    let now = 1_800_000_000.0
    func verdict(_ changed: Double?, used: [String: String] = [:]) -> Leftover.Verdict {
      Leftover(name: "take", id: "id", bytes: 1, changed: changed).verdict(used: used, age: Leftover.usualAge, now: now)
    }

    #expect(verdict(now - 8 * 86_400) == .orphaned)
    #expect(verdict(now - 6 * 86_400) == .young)
    #expect(verdict(now + 86_400) == .young)
    // Of unknown age it may be of today.
    #expect(verdict(nil) == .young)
    #expect(verdict(now - 800 * 86_400, used: ["id": "/state/journal.sqlite"]) == .inUse("/state/journal.sqlite"))
    #expect(verdict(now - 800 * 86_400, used: ["other": "/state/journal.sqlite"]) == .orphaned)
  }

  @Test("every finding that is not ok says how to mend it")
  func mending() throws {
    let folder = try FakeMount.temporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let token = folder + "/token"
    try Data("x".utf8).write(to: URL(filePath: token))
    try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: token)
    let open = StorageChecks.tokenFile(token)
    #expect(open.level == .warn)
    #expect(open.mend == "chmod 600 \(token)")
    #expect(StorageChecks.journals(folder) == [])
    let state = folder + "/mnt/state"
    try FileManager.default.createDirectory(atPath: state, withIntermediateDirectories: true)
    for (bytes, level) in [("", Finding.Level.ok), ("SQLite format 3\0rest", .warn), ("garbage", .warn)] {
      try Data(bytes.utf8).write(to: URL(filePath: state + "/journal.sqlite"))
      #expect(StorageChecks.journals(folder).map(\.level) == [level])
      #expect(StorageChecks.journals(state).map(\.level) == [level])
    }
    #expect(StorageChecks.tokenFile(folder + "/none").level == .bad)
    #expect(StorageChecks.stateDirectory(token).first?.level == .bad)
    #expect(StorageChecks.stateDirectory(folder + "/new/state").first?.level == .ok)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == ["mnt", "token"])
  }
}
