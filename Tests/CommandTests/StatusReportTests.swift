import Foundation
import SyncStatus
import Testing
import UploadProtocol
import reelfs

@Suite("reelfs status")
struct StatusReportTests {
  @Test(
    "the exit code is that of the worst recording",
    arguments: [
      ([SyncState](), ReelfsExit.allSynced), ([.synced, .synced], .allSynced), ([.synced, .uploading], .pending),
      ([.uploading, .paused], .failedOrPaused), ([.failed, .synced], .failedOrPaused)
    ])
  func exits(states: [SyncState], exit: ReelfsExit) throws {
    let recordings = states.enumerated().map { recording("\($0.offset).wav", $0.element, session: Int64($0.offset)) }
    let mount = try FakeMount(recordings)
    #expect(try StatusReport(places: mount.locator.places(for: nil)).exit == exit)
  }

  @Test("the codes are the documented ones")
  func codes() {
    #expect([ReelfsExit.allSynced, .usageOrInternal, .pending, .failedOrPaused].map(\.rawValue) == [0, 1, 3, 4])
  }

  @Test("what the mount wrote is read back without loss, also names that are not UTF-8")
  func roundTrip() throws {
    var odd = recording("x", .failed)
    odd.path = [0xFF, 0x2F, 0x61]
    odd.error = "413: \"too large\""
    odd.lagSeconds = 12.5
    odd.lastSyncedAt = 1_795_346_354
    odd.isRecording = true
    odd.syncedThrough = 7
    odd.sha256 = "00ff"
    odd.priority = "high"
    odd.isHeld = true
    var whole = FakeMount.overall([odd], .blocked("401"))
    whole.isPaused = true
    whole.bytesPerSecondMax = 5_000
    whole.limitUntil = "Mon 18:00"
    whole.isOnMeter = true
    whole.syncEvery = 900
    whole.nextRoundAt = 1_795_346_400
    whole.inFlight = 3
    whole.journalError = "disk full"
    let snapshot = try StatusSnapshot(json: SessionsPage.bytes(whole, [odd]))
    #expect(snapshot.recordings == [odd])
    #expect(snapshot.overall == whole)
  }

  @Test("a folder is summed up on its own, and a sibling with the same beginning is not in it")
  func folder() throws {
    let mount = try FakeMount([
      recording("day/a.wav", .synced, session: 1), recording("day 2/b.wav", .failed, session: 2),
      recording("day/c/d.wav", .uploading, session: 3)
    ])
    let report = try StatusReport(places: mount.locator.places(for: mount.root.path + "/day"))
    #expect(report.exit == .pending)
    #expect(report.parts[0].snapshot.overall.total.recordings == 2)
  }

  @Test("one recording is asked about by path or by session id")
  func one() throws {
    let mount = try FakeMount([recording("a.wav", .synced, session: 1), recording("b.wav", .failed, session: 2)])
    for argument in [mount.root.path + "/a.wav", "sess_0000000000000001"] {
      let report = try StatusReport(places: mount.locator.places(for: argument))
      #expect(report.exit == .allSynced)
      let object = try JSONSerialization.jsonObject(with: Data(report.json(isList: false).utf8)) as? [String: Any]
      #expect(object?["path"] as? String == "a.wav")
      #expect(object?["status"] as? String == "synced")
    }
    #expect(throws: CommandFailure.self) {
      try StatusReport(places: mount.locator.places(for: mount.root.path + "/none.wav"))
    }
  }

  @Test("without a path the JSON is a list of mounts, whether there is one or more")
  func list() throws {
    let mount = try FakeMount([recording("a.wav", .synced)])
    let report = try StatusReport(places: mount.locator.places(for: nil))
    let object = try JSONSerialization.jsonObject(with: Data(report.json(isList: true).utf8)) as? [String: Any]
    let mounts = object?["mounts"] as? [[String: Any]]
    #expect(mounts?.count == 1)
    #expect(mounts?[0]["mountpoint"] as? String == mount.root.path)
    #expect((mounts?[0]["status"] as? [String: Any])?["schema_version"] as? Int == 1)
  }

  @Test("the table names every recording in full when nobody's terminal is in the way")
  func table() throws {
    let name = "studio/day 1/d é " + String(repeating: "long ", count: 30) + ".mp4"
    let mount = try FakeMount([recording(name, .synced)])
    let terminal = Terminal(isTerminal: false, size: nil, environment: [:])
    #expect(try StatusReport(places: mount.locator.places(for: nil)).table(terminal).contains(name))
  }

  @Test(
    "a status of another version, or none, is a clear error",
    arguments: [
      "", "{}", #"{"schema_version":2}"#, "[1]"
    ])
  func broken(json: String) {
    let error = #expect(throws: CommandFailure.self) { try StatusSnapshot(json: Array(json.utf8)) }
    #expect(error?.exit == .usageOrInternal)
  }

  @Test("a folder without .status says that nothing is mounted there")
  func notMounted() throws {
    let folder = try FakeMount.temporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let error = #expect(throws: CommandFailure.self) { try MountRoot(path: folder).snapshot() }
    #expect(error?.message.contains("has no .status") == true)
  }
}
