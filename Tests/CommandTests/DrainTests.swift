import SyncStatus
import Testing
import reelfs

@Suite("draining")
struct DrainTests {
  /// A clock that only `sleep` moves, and a list of states of which each look takes the next.
  private func wait(_ looks: [[SyncState]], timeout: Double?) throws -> (Drain.Outcome, StatusSnapshot, Double) {
    var now = 0.0
    var look = 0
    let drain = Drain(timeout: timeout, now: { now }, sleep: { now += $0 })
    let (outcome, snapshot) = try drain.wait {
      let states = looks[min(look, looks.count - 1)]
      look += 1
      let recordings = states.enumerated().map { recording("\($0.offset).wav", $0.element, session: Int64($0.offset)) }
      return StatusSnapshot(overall: FakeMount.overall(recordings), recordings: recordings)
    }
    return (outcome, snapshot, now)
  }

  @Test("it ends when the last recording is synced")
  func synced() throws {
    let (outcome, _, seconds) = try wait([[.uploading, .synced], [.paused, .synced], [.synced, .synced]], timeout: nil)
    #expect(outcome == .synced)
    #expect(seconds == 1)
  }

  @Test("it does not wait for what only a person can mend")
  func failed() throws {
    let (outcome, _, _) = try wait([[.failed, .uploading], [.failed, .synced]], timeout: nil)
    #expect(outcome == .failed)
  }

  @Test("between two rounds of periodic sync it asks for one, once in ten seconds and not in a round")
  func nudge() throws {
    var now = 0.0
    var nudges: [Double] = []
    let drain = Drain(timeout: 30, now: { now }, sleep: { now += $0 })
    _ = try drain.wait {
      let recordings = [recording("a.wav", .uploading)]
      var overall = FakeMount.overall(recordings)
      // The rounds that it asked for take five seconds each.
      let isInRound = nudges.last.map { now < $0 + 5 } ?? false
      overall.nextRoundAt = isInRound ? nil : 1_000
      return StatusSnapshot(overall: overall, recordings: recordings)
    } nudge: {
      nudges.append(now)
    }
    #expect(nudges == [0, 10, 20])
  }

  @Test("when time is up it says what is unfinished")
  func timedOut() throws {
    let (outcome, snapshot, seconds) = try wait([[.uploading, .paused, .synced]], timeout: 10)
    #expect(outcome == .timedOut(.paused))
    #expect(seconds == 10)
    #expect(
      Drain.unfinished(snapshot)
        == "  ⏸ PAUSED 1.wav: 11.0 MiB not stored\n  ⇪ 45% 0.wav: 11.0 MiB not stored")
  }

  @Test("the list of what is unfinished is bounded")
  func bounded() throws {
    let (_, snapshot, _) = try wait([[SyncState](repeating: .failed, count: 25)], timeout: nil)
    let lines = Drain.unfinished(snapshot).split(separator: "\n")
    #expect(lines.count == 11)
    #expect(lines.last == "  and 15 more")
  }
}
