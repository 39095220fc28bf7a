import Supervisor
import Testing

@Suite struct WorkerWatchTests {
  /// Looks whenever it is time to, until `end`. - Returns: the verdicts, with their times.
  private func run(
    _ watch: inout WorkerWatch, until end: Double, life: WorkerWatch.Life, beats: (Double) -> UInt64
  ) -> [(at: Double, verdict: WorkerWatch.Verdict)] {
    var verdicts: [(Double, WorkerWatch.Verdict)] = []
    while watch.nextAt <= end {
      let now = watch.nextAt
      verdicts.append((now, watch.look(now: now, beats: beats(now), life: life)))
    }
    return verdicts
  }

  @Test("the manager is told all the time that a living worker lives, at least twice in its watchdog time")
  func alive() {
    var watch = WorkerWatch(watchdogSeconds: 8, now: 0)
    let verdicts = run(&watch, until: 100, life: .serving(since: 0)) { UInt64($0) }
    let told = verdicts.filter(\.verdict.tellsManager).map(\.at)
    #expect(zip(told, told.dropFirst()).allSatisfy { $1 - $0 <= 4 })
    #expect(told.count >= 24)
    #expect(verdicts.allSatisfy { $0.verdict.asksForBeat && !$0.verdict.replaces })
  }

  @Test("a worker that falls silent is replaced once, and the manager is not told meanwhile that all is well")
  func silent() {
    var watch = WorkerWatch(watchdogSeconds: 8, now: 0)
    let verdicts = run(&watch, until: 30, life: .serving(since: 0)) { UInt64(min($0, 10)) }
    let replaced = verdicts.filter(\.verdict.replaces).map(\.at)
    #expect(replaced.count == 1)
    let told = verdicts.filter(\.verdict.tellsManager).map(\.at)
    // Early enough for another worker to be there before the manager's patience ends.
    #expect(replaced[0] - told.last! <= 5)
    #expect(told.last! < replaced[0])

    let after = run(&watch, until: 40, life: .serving(since: 30)) { UInt64($0) }
    #expect(after.contains(where: \.verdict.tellsManager) && !after.contains(where: \.verdict.replaces))
  }

  @Test("a worker may take its time to start, but not for ever; one that is being waited for is not judged")
  func starting() {
    var watch = WorkerWatch(watchdogSeconds: 8, now: 0)
    let verdicts = run(&watch, until: 200, life: .starting(since: 0)) { _ in 0 }
    #expect(verdicts.filter(\.verdict.replaces).map(\.at) == [WorkerWatch.startSecondsMax])
    #expect(verdicts.allSatisfy { $0.verdict.tellsManager ? $0.at < WorkerWatch.startSecondsMax : true })
    #expect(verdicts.filter(\.verdict.asksForBeat).isEmpty, "a process that starts would die of the signal")

    let waiting = run(&watch, until: 300, life: .none) { _ in 0 }
    #expect(waiting.contains(where: \.verdict.tellsManager) && !waiting.contains(where: \.verdict.replaces))
  }
}
