import SyncStatus
import Testing

@Suite("folders")
struct DirectoryStatusTests {
  @Test("a folder sums what is below and shows the worst state")
  func sum() {
    var late = recording("d/a")
    late.lagSeconds = 30
    late.isRecording = true
    var done = recording("d/b", .synced, written: 7, synced: 7)
    done.lastSyncedAt = 99
    let folder = DirectoryStatus.sum([late, done], path: Array("d".utf8), destination: "x")
    #expect(folder.state == .uploading)
    #expect(folder.recordings == 2)
    #expect(folder.bytesWritten == (20 << 20) + 7)
    #expect(folder.bytesSynced == (9 << 20) + 7)
    #expect(folder.chunksTotal == 21)
    #expect(folder.lagSeconds == 30)
    #expect(folder.isRecording)
    #expect(folder.lastSyncedAt == 99)
    #expect(folder.session == nil)
  }

  @Test("an empty folder is synced: there is nothing that could be lost")
  func empty() {
    let folder = DirectoryStatus.sum([], path: [], destination: "x")
    #expect(folder.state == .synced)
    #expect(folder.progress == 100)
  }

  @Test("sparse giants do not overflow the sum")
  func giants() {
    let giant = recording("a", written: .max, synced: 1)
    #expect(DirectoryStatus.sum([giant, giant], path: [], destination: "").bytesWritten == .max)
  }

  @Test("the error shown does not depend on the order of adding")
  func errorOrder() {
    var recordings = [recording("a", .uploading), recording("b", .paused), recording("c"), recording("z", .failed)]
    recordings[0].error = "one"
    recordings[2].error = "two"
    #expect(DirectoryStatus.sum(recordings, path: [], destination: "").error == "a: one")
    #expect(DirectoryStatus.sum(recordings.reversed(), path: [], destination: "").error == "a: one")
    recordings[3].error = "worst"
    #expect(DirectoryStatus.sum(recordings, path: [], destination: "").error == "z: worst")
    #expect(DirectoryStatus.sum(recordings.reversed(), path: [], destination: "").error == "z: worst")
  }
}
